from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.keyword_index import KeywordIndex

PASSAGES = [
    "dropout zero activation random train dropout".split(),
    "batch norm standard channel mean variance".split(),
    "layer norm feature example".split(),
    "early stop train validation loss".split(),
]


@pytest.fixture
def index() -> KeywordIndex:
    return KeywordIndex.build(PASSAGES)


def test_the_passage_with_the_rare_words_of_the_question_scores_best(index: KeywordIndex):
    scores = index.scores(["batch", "norm"])

    assert int(np.argmax(scores)) == 1
    assert scores[1] > scores[2] > 0 == scores[0]


def test_scores_lie_between_zero_and_one_and_agree_with_the_formula(index: KeywordIndex):
    scores = index.scores(["dropout"])
    mean_length = sum(map(len, PASSAGES)) / len(PASSAGES)

    expected = 2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 6 / mean_length))

    assert scores[0] == pytest.approx(expected, rel=1e-5)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_words_that_no_passage_has_lower_the_score_of_all(index: KeywordIndex):
    assert index.scores(["dropout", "kubernetes"])[0] < index.scores(["dropout"])[0]


def test_unknown_words_alone_find_nothing(index: KeywordIndex):
    assert not index.scores(["kubernetes"]).any()
    assert not index.scores([]).any()


def test_a_word_asked_twice_counts_once(index: KeywordIndex):
    assert np.array_equal(index.scores(["train", "train"]), index.scores(["train"]))


def test_a_rare_word_weighs_more_and_an_unknown_one_most(index: KeywordIndex):
    assert index.idf("kubernetes") > index.idf("dropout") > index.idf("train")


def test_passages_without_words_can_be_indexed():
    index = KeywordIndex.build([[], []])

    assert index.scores(["dropout"]).shape == (2,)


def test_what_was_saved_scores_as_before(index: KeywordIndex, tmp_path: Path):
    index.save(tmp_path)

    loaded = KeywordIndex.load(tmp_path)

    assert loaded.count == 4
    assert loaded.idf("norm") == pytest.approx(index.idf("norm"))
    assert np.allclose(loaded.scores(["norm", "train"]), index.scores(["norm", "train"]))


def test_the_words_that_passages_hold_are_told_apart(index: KeywordIndex, tmp_path: Path):
    rows, asked = np.array([3, 1, 0, 2]), ["norm", "kubernetes", "dropout", "train"]
    expected = [[word in PASSAGES[row] for row in rows] for word in asked]

    assert index.holding(asked, rows).tolist() == expected

    index.save(tmp_path)
    assert KeywordIndex.load(tmp_path).holding(asked, rows).tolist() == expected


def test_passages_from_elsewhere_score_as_they_would_in_the_index(index: KeywordIndex):
    asked = ["norm", "train", "kubernetes", "norm"]

    assert index.scores_beside(asked, PASSAGES) == pytest.approx(index.scores(asked), rel=1e-5)


def test_passages_from_elsewhere_without_words_score_nothing(index: KeywordIndex):
    assert index.scores_beside(["norm"], [[], []]).tolist() == [0, 0]
    assert index.scores_beside(["norm"], []).tolist() == []
    assert index.scores_beside([], PASSAGES).tolist() == [0, 0, 0, 0]


def test_the_matrix_is_that_of_bm25s():
    import bm25s

    passages = [*PASSAGES, [], ["dropout"] * 3]
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    reference.index(passages, show_progress=False)
    index = KeywordIndex.build(iter(passages))

    for word in {word for passage in passages for word in passage}:
        best = index.idf(word)
        assert np.array_equal(index.scores([word]), np.float32(reference.get_scores([word]) / best))


def test_an_index_of_nothing_is_empty_in_words_too():
    assert KeywordIndex.build([]).count == 0

from __future__ import annotations

import pytest

from index.hits import Neighbours, typed_words
from index.words import words
from tutor.tutor import Tutor


@pytest.mark.parametrize(
    ("question", "typed"),
    [
        ("patience of early stopping", ["patience", "early", "stopping"]),
        ("Why does BatchNorm normalise?", ["BatchNorm", "normalise"]),
        ("批归一化的计算过程 in PyTorch 2.5", ["批", "归一化", "一化", "归一", "计算", "过程", "PyTorch", "2.5"]),
        ("C++ or c++", ["C++"]),
        ("", []),
    ],
)
def test_the_words_of_a_hit_are_shown_as_they_were_typed(question: str, typed: list[str]):
    found = typed_words(question, words(question))

    assert set(found) <= set(typed)
    assert [word for word in found if word.isascii()] == [word for word in typed if word.isascii()]


def test_a_hit_knows_what_stands_around_it(tutor: Tutor):
    (hit,) = tutor.retrieve("early stopping patience", count=1)

    assert hit.around.before is not None
    assert hit.around.after is not None
    assert (hit.around.before.heading, hit.around.after.heading) == ("Dropout", "Weight decay")
    assert hit.around == tutor.index.neighbours(hit.chunk)


def test_nothing_stands_before_the_first_passage_of_a_guide_and_after_its_last(tutor: Tutor):
    first, *_, last = tutor.index.chunks_of("regularization.md")

    assert tutor.index.neighbours(first).before is None
    assert tutor.index.neighbours(last).after is None


def test_a_guide_is_walked_from_end_to_end_by_its_neighbours(tutor: Tutor):
    walked = [tutor.index.chunks_of("regularization.md")[0]]
    while following := tutor.index.neighbours(walked[-1]).after:
        walked.append(following)

    assert walked == list(tutor.index.chunks_of("regularization.md"))
    assert walked[-1].above == "Weight decay"
    assert walked[0].above == "Regularization"


def test_a_passage_of_another_index_has_no_neighbours(tutor: Tutor):
    chunk = tutor.index.chunks[0]
    tutor.update_index(remove=[chunk.document_id])

    assert tutor.index.neighbours(chunk) == Neighbours()

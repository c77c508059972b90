from __future__ import annotations

from itertools import count

import pytest

from corpus.chunks import Chunk
from corpus.documents import parse_document
from index.build import index_documents
from index.duplicates import merge_near_duplicates
from index.hits import Hit
from index.retriever import Retriever

PREVENTS = "To prevent overfitting, I use dropout, early stopping, weight decay and data augmentation, and check the gap on validation data."
HANDLES = "I prevent overfitting with weight decay, dropout, data augmentation and early stopping; the gap on validation data tells when."
numbers = count(1)


def hit(
    text: str, heading: str = "How do you prevent overfitting in deep learning?", *, document: str = "", line: int = 1
) -> Hit:
    """A passage of a guide of its own, unless one is named; each scores less than the one made before."""
    number = next(numbers)
    name = document or f"guide-{number}.md"
    chunk = Chunk(f"{name}#{number}", name, "Interview questions", (heading,), text, line, line + text.count("\n") + 1)
    return Hit(chunk, 1 / number, 1 / number, 1 / number)


def ids(hits: list[Hit]) -> list[list[str]]:
    return [[chunk.id for chunk in (found.chunk, *found.also)] for found in hits]


def test_the_same_answer_to_the_same_question_is_merged_into_the_better_hit():
    better, worse = hit(PREVENTS), hit(HANDLES, "How do you handle overfitting in deep learning?")

    (merged,) = merge_near_duplicates([better, worse])

    assert merged.chunk == better.chunk
    assert merged.score == better.score
    assert merged.also == (worse.chunk,)


def test_the_same_words_are_merged_whatever_they_are_called():
    first, second = hit(PREVENTS), hit(PREVENTS.replace("To", "In order to"), "Regularization in practice")

    assert ids(merge_near_duplicates([first, second])) == [[first.chunk.id, second.chunk.id]]


def test_entries_in_the_same_mould_stay_apart():
    mould = "- *Pros*: {}\n- *Cons*: not suitable for {} tasks\n- *When to use*: {} tasks\n- *When to avoid*: {} tasks\n- *Function*: {}"
    cross_entropy = mould.format(
        "simple, focuses on probabilities", "regression", "classification", "regression", "- sum y log p"
    )
    hinge = mould.format(
        "large margins between classes", "regression", "binary classification", "regression", "max(0, 1 - y p)"
    )

    assert len(merge_near_duplicates([hit(cross_entropy, "Cross-Entropy"), hit(hinge, "Hinge loss")])) == 2


def test_different_answers_to_the_same_question_stay_apart():
    other = "Collect more examples, or choose a smaller model: with fewer parameters there is less to learn by heart."

    assert len(merge_near_duplicates([hit(PREVENTS), hit(other)])) == 2


def test_the_same_subject_under_another_question_stays_apart():
    assert len(merge_near_duplicates([hit(PREVENTS), hit(HANDLES, "Name three signs of a poor data split")])) == 2


def test_order_and_scores_of_what_stays_are_kept():
    hits = [
        hit("Dropout zeroes activations.", "Dropout"),
        hit(PREVENTS),
        hit("Adam adapts rates.", "Adam"),
        hit(HANDLES),
    ]

    merged = merge_near_duplicates(hits)

    assert [(found.chunk, found.score) for found in merged] == [(found.chunk, found.score) for found in hits[:3]]
    assert merged[1].also == (hits[3].chunk,)


def test_all_repeats_of_a_passage_are_listed_best_first():
    hits = [hit(PREVENTS), hit(HANDLES), hit(PREVENTS), hit(HANDLES)]

    assert ids(merge_near_duplicates(hits)) == [[found.chunk.id for found in hits]]


def test_merging_again_changes_nothing():
    once = merge_near_duplicates([hit(PREVENTS), hit(HANDLES), hit("Adam adapts rates.", "Adam")])

    assert merge_near_duplicates(once) == once


def test_what_was_merged_before_is_not_lost():
    (first,) = merge_near_duplicates([hit(PREVENTS), hit(HANDLES)])
    (second,) = merge_near_duplicates([hit(HANDLES), hit(PREVENTS)])

    (merged,) = merge_near_duplicates([first, second])

    assert merged.also == (*first.also, second.chunk, *second.also)


def test_neighbouring_pieces_of_a_section_stay_apart_though_they_overlap():
    pieces = [hit(PREVENTS, document="guide.md", line=10), hit(HANDLES, document="guide.md", line=12)]

    assert merge_near_duplicates(pieces) == pieces
    assert merge_near_duplicates(pieces[::-1]) == pieces[::-1]


def test_a_question_that_its_guide_asks_twice_is_merged():
    asked_twice = [hit(PREVENTS, document="guide.md", line=10), hit(HANDLES, document="guide.md", line=90)]

    assert len(merge_near_duplicates(asked_twice)) == 1


def test_chinese_passages_are_compared_by_their_words():
    one = hit("批归一化用小批量的均值和方差对每个通道做标准化，再乘以可学习的缩放并加上平移。", "什么是批归一化？")
    other = hit("批归一化对每个通道用小批量的均值和方差标准化，然后乘以可学习的缩放，加上平移。", "介绍一下批归一化")
    unlike = hit("非极大值抑制先按置信度对检测框排序，再删除与已保留的框重叠过大的框。", "什么是非极大值抑制？")

    assert ids(merge_near_duplicates([one, other, unlike])) == [[one.chunk.id, other.chunk.id], [unlike.chunk.id]]


@pytest.mark.parametrize("hits", [[], [hit(PREVENTS)]])
def test_fewer_than_two_hits_are_as_they_were(hits: list[Hit]):
    assert merge_near_duplicates(hits) == hits


@pytest.mark.parametrize("text", ["", "?", "it", "42"])
def test_passages_without_words_are_merged_only_where_they_are_equal(text: str):
    assert len(merge_near_duplicates([hit(text), hit("Adam adapts rates.", "Adam")])) == 2
    assert len(merge_near_duplicates([hit(text), hit(text)])) == 1


def test_the_hits_of_a_search_over_a_guide_that_repeats_itself_are_merged():
    guide = (
        f"# Questions\n\n## How do you prevent overfitting in deep learning?\n\n{PREVENTS}\n\n## What is momentum?\n\nMomentum averages gradients, and so "
        f"smooths the path of overfitting nothing.\n\n## How do you handle overfitting in deep learning?\n\n{HANDLES}\n"
    )
    index = index_documents(
        [parse_document(guide, "questions.md", sha256="")], embedder="shipped", dimension=8, chunk_words=100
    )
    hits = Retriever(index, dense_weight=0.5, far_dense_weight=0.1, heading_weight=0.2).retrieve(
        "prevent overfitting", count=3
    )

    merged = merge_near_duplicates(hits)

    assert [found.chunk.heading for found in merged] == [
        "How do you prevent overfitting in deep learning?",
        "What is momentum?",
    ]
    assert [chunk.heading for chunk in merged[0].also] == ["How do you handle overfitting in deep learning?"]

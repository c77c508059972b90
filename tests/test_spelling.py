"""Words of a question in the spelling of the passages."""

from __future__ import annotations

import pytest

from index.keyword_index import KeywordIndex
from index.spelling import Speller
from index.words import words

PASSAGES = [
    "A larger batchsize needs a larger learning rate.",
    "The gradient of the loss is averaged over the batch; its size matters.",
    "A ResNet adds the input of a block to its output.",
    "Backpropagation goes from the loss to the weights.",
    "A photo is cropped.",
    "Text synthesis needs a vocoder.",
]


@pytest.fixture(scope="module")
def speller() -> Speller:
    """Over six short passages."""
    return Speller(KeywordIndex.build([words(passage) for passage in PASSAGES]))


def test_words_that_are_known_stay_as_they_are(speller: Speller):
    terms = words("the gradient of the loss in backpropagation")

    assert speller.spell(terms) == terms


def test_two_words_are_also_looked_for_as_the_compound_that_a_passage_has(speller: Speller):
    assert speller.spell(words("batch size")) == ["batch", "batchsiz", "size"]


def test_compound_is_parted_where_a_passage_has_both_parts(speller: Speller):
    assert speller.spell(words("resnet")) == words("ResNet")


def test_unknown_word_is_not_parted_into_words_that_never_meet(speller: Speller):
    assert speller.spell(words("photosynthesis")) == words("photosynthesis")


@pytest.mark.parametrize("typed", ["gradeint", "gradiant", "gradint", "graddient"])
def test_typing_error_is_mended(speller: Speller, typed: str):
    assert speller.spell(words(typed)) == words("gradient")


@pytest.mark.parametrize("other", ["loess", "grade", "kubernetes", "batc"])
def test_another_word_is_not_taken_for_a_typing_error(speller: Speller, other: str):
    assert speller.spell(words(other)) == words(other)


@pytest.mark.parametrize("text", ["", "批归一化", "3.5 1e-3", "c++", "😀"])
def test_what_is_no_english_word_is_left_alone(speller: Speller, text: str):
    assert speller.spell(words(text)) == words(text)


def test_pasted_text_is_searched_as_it_stands(speller: Speller):
    pasted = words("batch size gradeint " + " ".join(f"resnet{letter}" for letter in "abcdefghij" * 40))

    assert speller.spell(pasted) == list(dict.fromkeys(pasted))

"""A sentence beside the sentence of a passage that says most of it."""

from __future__ import annotations

import pytest

from tutor.grounding_alignment import DIFFERENCES, AlignedSentence, clauses
from tutor.grounding_features import FEATURES, compare
from tutor.grounding_words import opposite_terms, read_words, rival_terms, without_marks


def even(_word: str) -> float:
    return 1.0


def different(sentence: str, passage: str) -> set[str]:
    compared = compare(sentence, passage, even)
    assert compared is not None
    values = dict(zip(FEATURES, compared.features.tolist(), strict=True))
    return {name for name in DIFFERENCES if values[name]}


@pytest.mark.parametrize(
    ("sentence", "passage", "difference"),
    [
        ("Tessa reads print faster than Scriptor.", "Scriptor reads print faster than Tessa.", "exchanged"),
        (
            "Skip-gram trains faster, and CBOW handles rare words.",
            "Skip-gram handles rare words, and CBOW trains faster.",
            "exchanged",
        ),
        (
            "The mirrors confuse the camera, not the radar.",
            "The mirrors confuse the radar, not the camera.",
            "other_polarity",
        ),
        (
            "The valve opens on the upstream side of the dam.",
            "The valve opens on the downstream side of the dam.",
            "other_opposite",
        ),
        ("The race started on 4 June in Carden.", "The race started on 4 May in Carden.", "other_opposite"),
        ("The optimizer Adam takes 12 GB.", "The optimizer Adam takes 16 GB.", "other_number"),
        ("The prize went to Pieter Claes in spring.", "The prize went to Joost Claes in spring.", "other_name"),
    ],
)
def test_an_edited_sentence_differs_in_what_was_edited(sentence: str, passage: str, difference: str):
    assert difference in different(sentence, passage)
    assert not different(passage, passage)


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("Brightmill was bought by Halvern in spring.", "Halvern bought Brightmill in spring."),
        ("In training, dropout zeroes random activations.", "Dropout zeroes random activations in training."),
        ("Cameras are confused by mirrors, radars are not.", "Momentum smooths the gradient."),
    ],
)
def test_another_order_of_the_same_words_is_no_difference(sentence: str, passage: str):
    assert not different(sentence, passage)


def test_each_clause_is_laid_beside_the_sentence_that_says_most_of_it():
    passage = "Warmup lasts 500 steps. The rate then follows a cosine downstream of the peak."
    sentence = "Warmup lasts 500 steps, and the rate follows a cosine upstream of the peak."

    assert "other_opposite" in different(sentence, passage)


def test_half_a_sentence_that_is_not_said_is_noticed():
    passage = "Dropout zeroes random activations in training."
    half, whole = (
        compare(sentence, passage, even)
        for sentence in (
            "Dropout zeroes random activations in training, and Hinton patented gradient clipping.",
            "Dropout zeroes activations, and the activations are random.",
        )
    )
    assert half is not None
    assert whole is not None
    place = FEATURES.index("half_said")

    assert half.features[place] > 0.3
    assert whole.features[place] == 0


def test_a_clause_of_one_word_goes_with_its_neighbour():
    text = "However, dropout zeroes activations, and warmup raises the rate, slowly."
    words = [word for word in read_words(text) if word.has_content]

    found = [[words[place].spelt for place in clause] for clause in clauses(text, read_words(text))]
    assert all(len(clause) > 1 for clause in found)
    assert [spelt for clause in found for spelt in clause] == [word.spelt for word in words]
    assert len(found) == 2


def test_denial_reaches_to_the_end_of_its_stretch():
    text = "It does not fit the camera, but it fits the radar."
    read = AlignedSentence.read(text, read_words(text))

    assert [word.spelt for word, denied in zip(read.words, read.denied, strict=True) if denied] == [
        "not",
        "fit",
        "the",
        "camera",
    ]


def test_opposites_go_both_ways_and_rivals_include_them():
    for table in (opposite_terms(), rival_terms()):
        assert all(term in table[other] and term != other for term, others in table.items() for other in others)
    assert all(others <= rival_terms()[term] for term, others in opposite_terms().items())
    assert read_words("March")[0].term in opposite_terms()[read_words("April")[0].term]


def test_marks_are_blanked_and_what_follows_keeps_its_place():
    assert without_marks("Dropout [1, 3] zeroes.") == "Dropout        zeroes."

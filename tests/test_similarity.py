"""What the features see, on a small lexicon made for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tutor.grader import SHIPPED_GRADER
from tutor.similarity import (
    FEATURES,
    GROWING,
    POSITION,
    SIGNS,
    Lexicon,
    agree,
    compare,
    fragments_kept,
    order_kept,
    wording,
)

LEXICON = Lexicon.load(SHIPPED_GRADER / "lexicon.npz")
REFERENCE = "Dropout randomly sets activations to zero during training."
QUESTION = "What does dropout do?"


def values(window: str, reference: str = REFERENCE) -> dict[str, float]:
    """The features of one window beside one reference."""
    comparison = compare([wording(reference)], [wording(window)], frozenset({"dropout"}), QUESTION, LEXICON)
    return {name: float(comparison.features[0, 0, POSITION[name]]) for name in FEATURES}


def test_a_text_says_all_of_itself():
    same = values(REFERENCE)

    assert all(same[name] == pytest.approx(1, abs=1e-3) for name in ("words", "meaning", "bigrams", "phrases", "tfidf"))
    assert same["unmatched"] == pytest.approx(0, abs=1e-3)
    assert same["denial"] == same["denies"] == same["opposite"] == 0


def test_word_of_the_question_counts_less_than_another():
    assert values("dropout")["words"] < values("activations")["words"]


def test_misspelt_word_counts_nearly_as_one_spelt_right():
    typed = values("Dropout randomly sets activatons to zero during trainning.")

    assert typed["words"] < typed["spelling"]
    assert typed["spelling"] > 0.9


def test_word_of_like_meaning_counts_more_than_one_of_another_field():
    near = values("It zeroes neurons while learning.")
    far = values("It bakes bread in an oven.")

    assert near["meaning"] > far["meaning"]
    assert near["sense"] > far["sense"]


def test_order_of_the_words_shows_in_the_pairs_alone():
    shuffled = values("zero training sets randomly during activations to Dropout")

    assert shuffled["words"] == pytest.approx(values(REFERENCE)["words"])
    assert shuffled["bigrams"] < 0.5


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("Dropout is off at inference.", "At inference dropout is off.", True),
        ("Dropout is off at inference.", "Dropout is not off at inference.", False),
        ("Dropout is off at inference.", "It is not true that dropout is off at inference.", False),
        ("Dropout is off at inference.", "Dropout is off at inference, and we don't scale.", True),
        ("ReLU outputs are never negative.", "ReLU's outputs are never negative.", True),
    ],
)
def test_denial_is_read_clause_by_clause(text: str, other: str, expected: bool):
    assert agree(wording(text), wording(other)) is expected


def test_opposite_word_is_noticed():
    assert values("It decreases the loss.", "It increases the loss.")["opposite"] == 1
    assert values("It increases the loss.", "It increases the loss.")["opposite"] == 0


def test_order_is_kept_by_sentences_and_lost_by_shuffled_words():
    reference = wording(REFERENCE)

    assert order_kept(reference, wording("In short, dropout randomly sets activations to zero during training.")) == 1
    assert order_kept(reference, wording("zero training sets randomly during activations to Dropout")) < 0.5


def test_fragments_of_related_words_are_shared_and_those_of_the_question_do_not_count():
    reference = wording("Dropout regularizes.")

    assert fragments_kept(reference, wording("It is a regularization."), frozenset({"dropout"})) > 0.5
    assert fragments_kept(reference, wording("Dropout drops."), frozenset({"dropout"})) == 0
    assert fragments_kept(reference, wording("Dropout drops."), frozenset()) > 0


def test_sentences_flow_and_shuffled_words_do_not():
    sentence = "It splits the array into two halves, sorts each of the halves, and then merges the sorted arrays."
    shuffled = "the each two then arrays It of and sorts sorted halves the into array splits halves the merges"

    assert LEXICON.flow(sentence) > 0 > LEXICON.flow(shuffled)


WINDOWS = (
    "Dropout randomly zeroes units.",
    "It is not true that it sets activations to zero.",
    "During training the activations change.",
    "Bread needs salt.",
    "It happens at random, each step anew.",
)


def open_windows(chosen: list[int]) -> NDArray[np.bool_]:
    return np.isin(np.arange(len(WINDOWS)), chosen)[None]


@given(st.lists(st.sampled_from(range(len(WINDOWS))), min_size=1, max_size=4, unique=True), st.data())
def test_another_window_only_betters_what_windows_say_together(chosen: list[int], data: st.DataObject):
    more = data.draw(st.sampled_from(range(len(WINDOWS))))
    comparison = compare([wording(REFERENCE)], [wording(text) for text in WINDOWS], frozenset(), QUESTION, LEXICON)
    before = comparison.together(open_windows(chosen))[0]
    after = comparison.together(open_windows([*chosen, more]))[0]

    for name in GROWING:
        place = POSITION[name]
        assert SIGNS[place] * (after[place] - before[place]) >= -1e-6, name


def test_lexicon_reads_back_what_was_written(tmp_path: Path):
    rows = np.eye(3, dtype=np.float32)
    fluency = np.zeros((2, 2), dtype=np.float32)
    Lexicon(["adam", "loss", "梯度"], np.array([1.0, 2.0, 3.0]), rows, rows, fluency, 4.0).save(tmp_path / "small.npz")

    again = Lexicon.load(tmp_path / "small.npz")

    assert again.ids(["梯度", "unheard"]).tolist() == [2, 3]
    assert again.idf.tolist() == [1, 2, 3, 4]
    assert again.company[:3] == pytest.approx(rows)

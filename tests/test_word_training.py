"""Word vectors taught by what says the same."""

from __future__ import annotations

import numpy as np

from corpus.sayings import Sayings
from tutor.similarity import CLASSES, Lexicon
from tutor.word_training import Pair, pairs_of, taught_vectors

STEMS = ["fast", "quick", "slow", "train", "car", "run", "stop", "wait", "rest", "red", "blue", "green"]


def quiet(_stage: str, _done: int, _total: int) -> None:
    """No progress to show."""


def lexicon() -> Lexicon:
    """Stems with vectors drawn at random."""
    dice = np.random.default_rng(0)

    def vectors() -> np.ndarray:
        drawn = dice.normal(size=(len(STEMS), 8)).astype(np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    return Lexicon(STEMS, np.full(len(STEMS), 3.0), vectors(), vectors(), np.zeros((CLASSES, CLASSES)), 5.0)


def pairs() -> list[Pair]:
    """Fast and quick stand for each other, everything else for itself."""
    same = [("fast train", "quick train"), ("fast car", "quick car"), ("fast run", "quick run")]
    other = [("slow train", "slow train wait"), ("slow car", "slow car rest"), ("red stop", "red stop wait")]
    return [Pair(text, said, "", text, ("blue green",)) for text, said in (*same, *other)] * 40


def cosine(vectors: np.ndarray, one: str, other: str) -> float:
    return float(vectors[STEMS.index(one)] @ vectors[STEMS.index(other)])


def test_words_that_stand_for_each_other_come_nearer_than_words_that_do_not():
    known = lexicon()

    taught = taught_vectors(known, pairs(), dimension=8, epochs=60, progress=quiet)

    assert taught.shape == (len(STEMS), 8)
    assert np.allclose(np.linalg.norm(taught, axis=1), 1, atol=1e-4)
    assert cosine(taught, "fast", "quick") > cosine(taught, "fast", "slow") + 0.2


def test_same_pairs_teach_the_same_vectors():
    first, again = (taught_vectors(lexicon(), pairs(), dimension=8, epochs=1, progress=quiet) for _ in range(2))

    assert np.array_equal(first, again)


def test_what_says_the_same_is_paired_and_what_stands_beside_it_is_not():
    item = Sayings(
        "It is fast.",
        "How is it?",
        said=("it is quick",),
        mistakes=(("It is slow.", "takes its time"), ("It stops.",)),
        beside=("It is red.",),
    )

    found = pairs_of([item], [["red", "reddish"], ["alone"]])

    together = {frozenset((pair.text, pair.other)) for pair in found}
    assert together == {
        frozenset(("It is fast.", "it is quick")),
        frozenset(("It is slow.", "takes its time")),
        frozenset(("red", "reddish")),
    }
    assert {pair.beside for pair in found if pair.question} == {("It is red.",)}

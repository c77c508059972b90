"""Expressions that say the same, and the opposite."""

from __future__ import annotations

from index.words import words
from tutor.paraphrases import read_paraphrases, shipped_paraphrases
from tutor.similarity import opposes, wording

LISTS = read_paraphrases(
    ["# a comment", "prevent | keep from", "overfit | memorise the training set"], ["rise | go up <> fall | go down"]
)


def groups(text: str) -> set[int]:
    return set(LISTS.found(words(text, stop_words=True)))


def test_paraphrases_share_a_group_whatever_their_inflection():
    assert groups("It prevents overfitting.") & groups("It keeps from memorising a training set.") == {0, 1}


def test_places_are_those_of_the_words_that_say_it():
    assert LISTS.found(words("it will go up now", stop_words=True)) == {2: frozenset({2, 3})}


def test_sides_of_a_pair_are_opposites_of_each_other():
    assert (LISTS.opposites[2], LISTS.opposites[3]) == (frozenset({3}), frozenset({2}))


def test_shipped_lists_have_no_expression_that_is_its_own_opposite():
    shipped = shipped_paraphrases()

    assert len(shipped.groups) > 5_000
    assert not [
        stems
        for stems, numbers in shipped.groups.items()
        if any(shipped.opposites.get(number, frozenset()) & numbers for number in numbers)
    ]


def test_opposite_counts_where_it_stands_beside_the_same_words():
    reference = wording("A larger batch lowers the gradient noise.")

    assert opposes(reference, wording("With a larger batch the gradient noise increases."))
    assert not opposes(reference, wording("With a larger batch the gradient noise decreases."))
    assert not opposes(reference, wording("Memory use increases."))

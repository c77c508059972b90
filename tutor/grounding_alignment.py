"""A sentence laid beside the sentence of a passage that says most of it: what is the same, and what stands in another place."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tutor.grounding_words import Word, rival_terms

Numbers = NDArray[np.float64]

DIFFERENCES = (
    "exchanged",  # two things have changed places: A was bought by B, B was bought by A
    "other_polarity",  # share of the words that one of the two denies and the other affirms
    "other_opposite",  # a word stands there as its opposite
    "other_name",  # another name stands in the place of a name
    "other_number",  # another number stands in the place of a number
)
_CLAUSE = re.compile(
    r"[;:()；：，]|,(?!\d)|\s[-–—]+\s|\b(?:and|but|or|because|so|as|while|whereas|since|which|who|that|although|though|unless|if|"
    r"where|when|until|after|before|then|with)\b",
    re.IGNORECASE,
)
_DENIED_TO = re.compile(r"[;:()；：，]|,(?!\d)|\b(?:and|but|or|than|while|whereas|which)\b", re.IGNORECASE)
"""Where what a "not" denies ends."""
_DENIALS = frozenset("not no never cannot without nor neither none nobody nothing".split())
_LEAST_SHARED = 0.3
"""Share of the words that two sentences must have in common to be laid beside each other."""
_NEARLY_ALL, _MOST = 0.8, 0.6
"""Share from which they are about the same thing, so that an exchange, or an opposite, changes what is said."""
_MOST_RUNS = 9
_FEW = 3


@dataclass(frozen=True)
class AlignedSentence:
    """A sentence and where its words stand in it."""

    words: tuple[Word, ...]
    terms: tuple[str, ...]
    known: frozenset[str]
    places: dict[str, int]
    """Of the terms that stand there once."""
    denied: tuple[bool, ...]

    @classmethod
    def read(cls, text: str, words: Sequence[Word]) -> AlignedSentence:
        """Of a text and its words."""
        terms = tuple(word.term for word in words)
        known = frozenset(terms)
        places = {term: place for place, term in enumerate(terms)}
        if len(known) < len(terms):
            places = {term: place for term, place in places.items() if terms.index(term) == place}
        return cls(tuple(words), terms, known, places, _denied(text, words))


def clauses(text: str, words: Sequence[Word]) -> list[list[int]]:
    """The places, among the words with content, of those of each clause; one of a single word goes with its neighbour."""
    found: list[list[int]] = []
    owner = None
    content = [word for word in words if word.has_content]
    for place, clause in enumerate(_pieces(_CLAUSE, text, content)):
        if clause != owner and (not found or len(found[-1]) > 1):
            found.append([])
        found[-1].append(place)
        owner = clause
    if len(found) > 1 and len(found[-1]) == 1:
        last = found.pop()
        found[-1] += last
    return found


def differences(
    said: AlignedSentence,
    content: Sequence[int],
    share: Numbers,
    near: NDArray[np.float32],
    parts: Sequence[Sequence[int]],
    sentences: Sequence[AlignedSentence],
    names: frozenset[str],
) -> dict[str, float]:
    """How a sentence differs from the sentences of a passage that say most of it, and of each of its clauses; by DIFFERENCES.

    `content` are the places of its words with content, `share` their weights, `near` how far each stands in each sentence,
    `parts` its clauses, and `names` what the passage writes with a capital.
    """
    found = dict.fromkeys(DIFFERENCES, 0.0)
    whole = share @ near
    best = int(whole.argmax())
    beside: dict[int, set[int]] = {best: set(range(len(content)))}
    for rows in parts if len(parts) > 1 else ():
        nearest = int((share[rows] @ near[rows] / share[rows].sum() + _LEAST_SHARED * whole).argmax())
        if nearest != best:
            beside.setdefault(nearest, set()).update(rows)
    for place, rows_there in beside.items():
        rows = sorted(rows_there)
        weights = share[rows] / share[rows].sum()
        shared = float(weights @ near[rows, place])
        if shared < _LEAST_SHARED:
            continue
        for name, value in _differences(
            said, [content[row] for row in rows], weights, shared, sentences[place], names
        ).items():
            found[name] = max(found[name], value)
    return found


def _differences(
    said: AlignedSentence,
    content: Sequence[int],
    weights: Numbers,
    shared: float,
    other: AlignedSentence,
    names: frozenset[str],
) -> dict[str, float]:
    common = [
        (place, other.places[said.terms[place]], weight)
        for place, weight in zip(content, weights.tolist(), strict=True)
        if said.terms[place] in said.places and said.terms[place] in other.places
    ]
    total = sum(weight for _, _, weight in common)
    denied = sum(weight for here, there, weight in common if said.denied[here] != other.denied[there])
    found = {
        "exchanged": float(shared >= _NEARLY_ALL and _is_exchanged(said, other, common)),
        "other_polarity": denied / total * max(0.0, 2 * shared - 1) if total else 0.0,
    }
    opposites = rival_terms()
    for place in content:
        term = said.terms[place]
        if term in other.known:
            continue
        if shared >= _MOST and (opposites.get(term, frozenset()) & other.known) - said.known:
            found["other_opposite"] = 1.0
        word = said.words[place]
        is_name = word.is_name or term in names
        if not (word.is_number or is_name):
            continue
        for there in _in_its_place(said, place, other):
            instead = other.words[there]
            if not instead.has_content or instead.term in said.known:
                continue
            if word.is_number and instead.is_number:
                found["other_number"] = shared
            elif is_name and instead.term in names and not instead.is_number:
                found["other_name"] = shared
    return found


def _is_exchanged(said: AlignedSentence, other: AlignedSentence, common: Sequence[tuple[int, int, float]]) -> bool:
    """Whether the runs of words that both have come in one order once two of them have changed places, and far from it before."""
    # "X was bought by Y" is "Y bought X".
    if ("by" in said.known) != ("by" in other.known):
        return False
    starts: list[int] = []
    last = (-_MOST_RUNS, -_MOST_RUNS)
    for here, there, _ in common:
        if not (0 < there - last[1] <= _FEW and here - last[0] <= _FEW):
            starts.append(there)
        last = here, there
    if not _FEW <= len(starts) <= _MOST_RUNS or _longest_rise(starts) > len(starts) - 2:
        return False
    ordered = sorted(starts)
    wrong = [place for place, (one, right) in enumerate(zip(starts, ordered, strict=True)) if one != right]
    return len(wrong) == 2


def _longest_rise(values: Sequence[int]) -> int:
    """Length of the longest rising subsequence."""
    ends: list[int] = []
    for value in values:
        place = bisect_left(ends, value)
        ends[place : place + 1] = [value]
    return len(ends)


def _in_its_place(said: AlignedSentence, place: int, other: AlignedSentence) -> set[int]:
    """Where in the other sentence something else stands between, or beside, the neighbours of a word that it does not have."""
    reach = _FEW + 1
    before = next(
        (at for at in range(place - 1, max(-1, place - 1 - reach), -1) if said.terms[at] in other.known), None
    )
    after = next(
        (at for at in range(place + 1, min(len(said.terms), place + 1 + reach)) if said.terms[at] in other.known), None
    )
    found: set[int] = set()
    for there, term in enumerate(other.terms):
        if before is not None and term == said.terms[before]:
            if after is not None:
                last = there + after - before + 2
                ends = [
                    at
                    for at in range(there + 2, min(len(other.terms), last + 1))
                    if other.terms[at] == said.terms[after]
                ]
                found.update(range(there + 1, max(ends, default=there)))
            elif said.words[before].has_content or said.words[place].is_number:
                first = there + place - before
                found.update(range(first, min(len(other.terms), first + 2)))
        elif before is None and after is not None and term == said.terms[after]:
            last = there - (after - place)
            found.update(range(max(0, last - 1), max(0, last + 1)))
    return found


def _denied(text: str, words: Sequence[Word]) -> tuple[bool, ...]:
    """Whether a denial stands before each word in its stretch of the sentence."""
    if not any(_denies(word) for word in words):
        return (False,) * len(words)
    result: list[bool] = []
    stretch, is_denied = -1, False
    for word, piece in zip(words, _pieces(_DENIED_TO, text, words), strict=True):
        is_denied = (is_denied and piece == stretch) or _denies(word)
        stretch = piece
        result.append(is_denied)
    return tuple(result)


def _denies(word: Word) -> bool:
    return word.spelt in _DENIALS or word.spelt.endswith(("n't", "n’t"))


def _pieces(cut: re.Pattern[str], text: str, words: Sequence[Word]) -> list[int]:
    """The number of the piece that each word stands in."""
    cuts = [match.start() for match in cut.finditer(text)]
    return np.searchsorted(cuts, [word.start for word in words], side="right").tolist() if cuts else [0] * len(words)

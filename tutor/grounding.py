"""Is a sentence supported by passages? Deterministic, no model: rare words and numbers must be found there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from index.words import words

SUPPORTED = 0.6
"""Share of a sentence's rare words that must stand in the passages for it to count as supported."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
"""The comma of 50,176, which others write 50176."""
_NEGATION = re.compile(r"\b(?:not|no|never|cannot|without|nor|neither)\b|n't\b|n’t\b|不|没有|无法", re.IGNORECASE)


def support(sentence: str, passages: Sequence[str], idf: Callable[[str], float]) -> float:
    """How far the best of the passages supports the sentence, 0 to 1; 0 without passages.

    The share of the sentence's words, weighted by rarity, that the passage contains. A number or a negation that the passage
    does not have halves it: such a sentence says something else with the same words.
    """
    return max((_containment(sentence, passage, idf) for passage in passages), default=0.0)


def _containment(sentence: str, passage: str, idf: Callable[[str], float]) -> float:
    sentence, passage = (_THOUSANDS.sub("", text) for text in (sentence, passage))
    terms = set(words(sentence))
    present = set(words(passage))
    total = sum(map(idf, terms))
    if not total:
        return 0.0
    score = sum(idf(term) for term in terms if term in present) / total
    numbers = set(_NUMBER.findall(sentence))
    if numbers - set(_NUMBER.findall(passage)):
        score /= 2
    if _NEGATION.search(sentence) and not _NEGATION.search(passage):
        score /= 2
    return round(score, 4)

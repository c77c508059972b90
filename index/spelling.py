"""A question's words as the passages spell them: compounds joined and parted, typing errors mended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from index.keyword_index import KeywordIndex
from index.words import words

LIKENESS = 0.8
"""Normalized edit similarity (optimal string alignment) from which an unknown word is taken for a known one: a letter in five."""
_LEAST_LETTERS = 5
"""Of a word that is mended; between shorter ones a letter makes another word."""
_MOST_LETTERS = 32
_LEAST_PART = 3
_MOST_TERMS = 200
"""Of a question; a longer text was pasted, and one typing error more or less does not decide what it is about."""


@dataclass(frozen=True)
class Speller:
    """Knows the words of an index. Words that it knows are left as they are, so that a right question stays what it is.

    On development cases: nDCG@10 of our tuning questions .796 to .800, of 52 questions over four web guides .817 to .827, of 500
    over SQuAD's paragraphs .895 to .902, with no question more or less answered.
    """

    keywords: KeywordIndex

    def spell(self, terms: Sequence[str]) -> list[str]:
        """The terms with "batchsize" beside "batch size", "resnet" as "res net" and "gradeint" as "gradient"."""
        if len(terms) > _MOST_TERMS:
            return list(dict.fromkeys(terms))
        spelt: list[str] = []
        for term, following in zip_longest(terms, terms[1:], fillvalue=""):
            if term in self.keywords or not _is_word(term):
                spelt.append(term)
            else:
                spelt += self._parted(term) or self._mended(term) or [term]
            if _is_word(term) and _is_word(following):
                spelt += [joined for joined in words(term + following) if joined in self.keywords]
        return list(dict.fromkeys(spelt))

    def _parted(self, term: str) -> list[str]:
        """The two words a term is made of, where some passage has both."""
        for place in range(_LEAST_PART, len(term) - _LEAST_PART + 1):
            # The term is a stem, the stems of its parts may be shorter.
            parts = [*words(term[:place], stop_words=True), *words(term[place:], stop_words=True)]
            if len(parts) == 2 and self.keywords.share_a_passage(*parts):
                return parts
        return []

    def _mended(self, term: str) -> list[str]:
        """The known word that a misspelt term is likest to; words are rarely misspelt in their first letter."""
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import extractOne

        if len(term) < _LEAST_LETTERS:
            return []
        found = extractOne(term, self._by_initial[term[0]], scorer=OSA.normalized_similarity, score_cutoff=LIKENESS)
        return [found[0]] if found else []

    @cached_property
    def _by_initial(self) -> defaultdict[str, list[str]]:
        known: defaultdict[str, list[str]] = defaultdict(list)
        for word in self.keywords.vocabulary:
            if _is_word(word) and len(word) >= _LEAST_LETTERS - 1:
                known[word[0]].append(word)
        return known


def _is_word(term: str) -> bool:
    return len(term) <= _MOST_LETTERS and term.isascii() and term.isalpha()

"""Hits that say the same thing, merged: guides answer one question twice, in other words or in the same."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from corpus.chunks import Chunk
from index.hits import Hit
from index.words import words

# Measured on four web guides of interview questions, 159 passages: 39 pairs answer the same question alike. The verbatim pair
# shares all its pairs of words, the next ones (entries of a list in the same mould: cross-entropy, hinge loss) 30 %. What tells
# a repeated answer from such an entry is the heading. With these two shares 15 pairs are merged, all rightly; with .38 16 rightly
# but one of our own guides' 140,000 pairs too; with .35 18 rightly and 3 wrongly. Vectors do not tell them apart: the cosine of
# those entries (.77) is above that of most repeats. What stays apart costs a learner a look, what is merged wrongly an answer.
SAME_TEXT = 0.5
"""Jaccard index of the texts' pairs of neighbouring words, 0 to 1, from which two passages are one, whatever they are called."""
SAME_HEADING = 0.5
"""Jaccard index of the headings' words from which two passages may answer the same question."""
ALIKE_TEXT = 0.4
"""Jaccard index of the texts' words from which two passages under such headings say the same."""
_BLANK_LINES = 2


def merge_near_duplicates(hits: Sequence[Hit]) -> list[Hit]:
    """The hits (best first) with every near duplicate of a better one moved into that one's `also`.

    Neighbouring pieces of one section are never merged: they overlap, but one goes on where the other ends.
    """
    kept: list[tuple[Hit, _Wording]] = []
    for hit in hits:
        wording = _Wording(hit.chunk)
        for place, (better, other) in enumerate(kept):
            if wording.says_the_same_as(other):
                kept[place] = replace(better, also=(*better.also, hit.chunk, *hit.also)), other
                break
        else:
            kept.append((hit, wording))
    return [hit for hit, _ in kept]


@dataclass(frozen=True)
class _Wording:
    """What a passage is compared by; each part is made when a comparison first needs it."""

    chunk: Chunk

    @cached_property
    def heading(self) -> frozenset[str]:
        return frozenset(words(self.chunk.heading))

    @cached_property
    def text(self) -> frozenset[str]:
        return frozenset(words(self.chunk.text))

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset(pairwise(words(self.chunk.text, stop_words=True)))

    def says_the_same_as(self, other: _Wording) -> bool:
        if _are_neighbours(self.chunk, other.chunk):
            return False
        if self.chunk.text == other.chunk.text or _jaccard(self.pairs, other.pairs) >= SAME_TEXT:
            return True
        return _jaccard(self.heading, other.heading) >= SAME_HEADING and _jaccard(self.text, other.text) >= ALIKE_TEXT


def _are_neighbours(one: Chunk, other: Chunk) -> bool:
    if (one.document_id, one.heading_path) != (other.document_id, other.heading_path):
        return False
    first, second = sorted((one, other), key=lambda chunk: chunk.start_line)
    return second.start_line <= first.end_line + 1 + _BLANK_LINES


def _jaccard(one: AbstractSet[object], other: AbstractSet[object]) -> float:
    either = len(one | other)
    return len(one & other) / either if either else 0.0

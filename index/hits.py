"""What a search hands on: `Hit`, a chunk with its scores; and `Neighbours`, what stands around it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from corpus.chunks import Chunk
from index.words import words

_TYPED = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+|[^\W\u3400-\u9fff\uf900-\ufaff]+(?:\.\d+)*[+#]*")


@dataclass(frozen=True)
class Neighbours:
    """The passages right before and after one in its document; None at either end."""

    before: Chunk | None = None
    after: Chunk | None = None


@dataclass(frozen=True)
class Hit:
    """A passage that was found, and why."""

    chunk: Chunk
    score: float
    """The fused score, 0 to 1; comparable between the hits of one query."""
    dense_score: float
    """Cosine between question and passage, -1 to 1."""
    keyword_score: float
    """BM25 as a share of what a perfect passage could reach, 0 to 1."""
    heading_score: float = 0.0
    """How much question and heading share, weighted by rarity, 0 to 1."""
    matched: tuple[str, ...] = ()
    """Words of the question that stand in the passage, as stems."""
    rerank_score: float | None = None
    """What the reranker gave it, on the model's own scale; None without one."""
    also: tuple[Chunk, ...] = ()
    """Passages that say the same, best first, where near duplicates were merged into this one."""
    around: Neighbours = Neighbours()


def typed_words(question: str, matched: Collection[str]) -> list[str]:
    """Words of a question that a hit holds, as they were typed: "early" where the stem is `earli`."""
    typed: dict[str, str] = {}
    for token in _TYPED.findall(question):
        for term in words(token):
            typed.setdefault(term, term if "\u3400" <= token[0] <= "\ufaff" else token)
    return list(dict.fromkeys(typed.get(term, term) for term in matched))

"""What a search hands on: `Hit`, a chunk with its scores."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.chunks import Chunk


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

"""A question to hits: dense and keyword scores, fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from corpus.chunks import Chunk
from corpus.documents import language_of
from index.hits import Hit
from index.passage_index import PassageIndex
from index.reranker import Reranker
from index.static_encoder import Vectors
from index.words import ASPECT_WORDS, words

Ranking = Literal["keyword", "dense", "fused"]
"""What orders the hits. Only the fused ranking looks at headings on their own."""
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
HEADING_CANDIDATES = 50
"""Hits whose headings are compared with the question; a section further down has too little of it in its text."""
RERANK_CANDIDATES = 20
"""Hits that a cross-encoder reads; each costs a pass of the model."""
FOREIGN, FAMILIAR = 0.7, 0.95
"""Familiarities between which the dense score gains weight. Study guides of the field have .96 to .98, SQuAD's paragraphs .67:
there nDCG@10 is .890 with a dense weight of 0 to 0.2 and .851 with 0.5; on guides it is .75 with 0 and .82 and more from 0.4."""
POOL = 256
"""Nearest passages, and as many with the best keyword scores, that are looked at in a collection too large to score whole."""
_POOL_GROWTH = 16
"""How much the pool grows while a filter leaves too little of it."""


@dataclass(frozen=True)
class Retriever:
    """Finds the passages of an index that answer a question."""

    index: PassageIndex
    dense_weight: float
    """Weight of the dense score beside the keyword score, 0 to 1, on text that the embedder knows well."""
    far_dense_weight: float
    """The same on text of another field, whose vectors say little."""
    heading_weight: float
    """Weight of the heading beside the text, 0 to 1."""
    reranker: Reranker | None = field(default=None, kw_only=True)

    @property
    def text_weight(self) -> float:
        """The weight of the dense score on this index: between the two, by how well the embedder knows its text."""
        known = (self.index.familiarity - FOREIGN) / (FAMILIAR - FOREIGN)
        return self.far_dense_weight + (self.dense_weight - self.far_dense_weight) * min(1.0, max(0.0, known))

    def retrieve(
        self,
        question: str,
        *,
        count: int,
        ranking: Ranking = "fused",
        keep: Callable[[Chunk], bool] | None = None,
    ) -> list[Hit]:
        """The `count` best passages, best first; fewer where fewer have anything in common with the question.

        `keep` filters by what a chunk says of itself (document, topic, language, level); in a large collection, one that
        few passages pass takes seconds. A question without a known word finds nothing.
        """
        terms = words(question)
        if not terms or not self.index.chunks:
            return []
        query = self.index.embedder.embed_queries([question])
        keyword = self.index.keywords.scores(terms)
        wanted, pool = max(count, HEADING_CANDIDATES), POOL
        while True:
            found = self._candidates(query, keyword, pool, ranking)
            kept = self._kept(found, wanted, keep)
            if keep is None or len(kept) == wanted or len(found.rows) == len(self.index.chunks):
                return self._reranked(question, self._hits(found, kept, terms, ranking), ranking)[:count]
            pool *= _POOL_GROWTH

    def _reranked(self, question: str, hits: list[Hit], ranking: Ranking) -> list[Hit]:
        if self.reranker is None or ranking != "fused":
            return hits
        return [*self.reranker.rerank(question, hits[:RERANK_CANDIDATES]), *hits[RERANK_CANDIDATES:]]

    def _candidates(self, query: Vectors, keyword: Vectors, pool: int, ranking: Ranking) -> _Candidates:
        """All passages of a small collection, else the `pool` best of either score."""
        nearest, rows = self.index.nearest, np.arange(len(keyword))
        some: NDArray[np.int64] | slice = slice(None)
        if not nearest.is_exact and pool < len(rows):
            _, near = nearest.search(query, pool)
            some = np.union1d(near[near >= 0], _best(keyword, pool))
        dense, keyword = nearest.cosines(query, some), keyword[some]
        scores = {
            "fused": self.text_weight * dense + (1 - self.text_weight) * keyword,
            "dense": dense,
            "keyword": keyword,
        }[ranking]
        return _Candidates(rows[some], dense, keyword, scores)

    def _kept(self, found: _Candidates, wanted: int, keep: Callable[[Chunk], bool] | None) -> NDArray[np.int64]:
        """The `wanted` best candidates that pass the filter, best first, as places among them."""
        if keep is None:
            return _best(found.scores, wanted)
        chunks, rows = self.index.chunks, found.rows
        passing = (place for place in _best(found.scores, len(rows)) if keep(chunks[int(rows[place])]))
        return np.fromiter(islice(passing, wanted), dtype=np.int64)

    def _hits(self, found: _Candidates, kept: NDArray[np.int64], terms: Sequence[str], ranking: Ranking) -> list[Hit]:
        """Hits of the kept candidates, best first after their headings were compared with the question."""
        weight = self.heading_weight if ranking == "fused" else 0.0
        asked = tuple(dict.fromkeys(terms))
        rows = found.rows[kept]
        hits = []
        for row, score, dense, keyword, holds in zip(
            rows.tolist(),
            found.scores[kept].tolist(),
            found.dense[kept].tolist(),
            found.keyword[kept].tolist(),
            self.index.keywords.holding(asked, rows).T.tolist(),
            strict=True,
        ):
            chunk = self.index.chunks[row]
            heading = self._overlap(set(asked), _heading_words(chunk.heading))
            fused = (1 - weight) * score + weight * heading
            matched = tuple(term for term, is_held in zip(asked, holds, strict=True) if is_held)
            hits.append(Hit(chunk, round(fused, 6), round(dense, 6), round(keyword, 6), round(heading, 6), matched))
        return sorted(hits, key=lambda hit: -hit.score)

    def _overlap(self, asked: AbstractSet[str], named: AbstractSet[str]) -> float:
        """Jaccard index of two sets of words, weighted by rarity."""
        either = sum(map(self.index.keywords.idf, asked | named))
        return sum(map(self.index.keywords.idf, asked & named)) / either if either else 0.0

    def coverage(self, question: str, hits: Sequence[Hit]) -> float:
        """The share, 0 to 1, of the question's words, weighted by their rarity, that the hits contain together.

        What is asked of the subject ("disadvantages") is left out: guides rarely use the word for it.
        """
        asked = dict.fromkeys(words(question))
        terms = [term for term in asked if term not in ASPECT_WORDS] or list(asked)
        total = sum(map(self.index.keywords.idf, terms))
        matched = {term for hit in hits for term in hit.matched}
        return sum(self.index.keywords.idf(term) for term in terms if term in matched) / total if total else 0.0

    def confidence(self, question: str, hits: Sequence[Hit]) -> float:
        """How sure one can be, 0 to 1, that the hits (best first) answer the question.

        The best cosine, and half as much how much of the question the best three hits contain together: what is near in
        meaning but lacks the question's rare words is another topic. Of the sums tried on two sets of cases this one told
        answerable questions best (AUC .94 and .90; the cosine alone .88 and .95, the words alone .87 and .79).
        """
        if not hits:
            return 0.0
        nearest = max(hits, key=lambda hit: hit.dense_score)
        cosine = max(0.0, nearest.dense_score)
        # Words cannot be found across languages: there the meaning alone decides.
        crosses = nearest.chunk.language != language_of(question)
        found = cosine if crosses else self.coverage(question, hits[:3])
        return (cosine + 0.5 * found) / 1.5


@dataclass(frozen=True)
class _Candidates:
    """Rows of the index in rising order, each with its scores."""

    rows: NDArray[np.int64]
    dense: Vectors
    keyword: Vectors
    scores: Vectors
    """What orders them."""


def _best(scores: Vectors, count: int) -> NDArray[np.int64]:
    """Where the `count` highest scores above 0 stand, highest first; of equal ones the earlier."""
    places = np.flatnonzero(scores > 0)
    if len(places) > count:
        lowest = np.partition(scores[places], -count)[-count]
        places = np.flatnonzero(scores >= lowest)
    return places[np.argsort(-scores[places], kind="stable")][:count]


@lru_cache(maxsize=100_000)
def _heading_words(heading: str) -> frozenset[str]:
    return frozenset(words(heading))

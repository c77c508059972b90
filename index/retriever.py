"""A question to hits: dense and keyword scores, fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from corpus.documents import language_of
from index.hits import Hit
from index.passage_index import PassageIndex
from index.reranker import Reranker
from index.scope import EVERYWHERE, Scope
from index.static_encoder import Vectors
from index.vector_index import Rows
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
UNREAD = "The encoder does not know the language of this question: its words decide, likeness in meaning says little."
"""What a reader is told of such a search."""
_MOST = 4
"""A share of the passages, one in so many, from which a scope holds most of them."""


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

    def notes(self, question: str) -> tuple[str, ...]:
        """What a reader should know of how a question is searched."""
        return () if self.index.embedder.reads(question) else (UNREAD,)

    def _known(self, question: str) -> float:
        """How well the embedder knows the text of this index, 0 to 1; 0 where it does not know the language of the question."""
        if not self.index.embedder.reads(question):
            return 0.0
        return min(1.0, max(0.0, (self.index.familiarity - FOREIGN) / (FAMILIAR - FOREIGN)))

    def _text_weight(self, question: str) -> float:
        """The weight of the dense score: between the two, by how well the embedder knows the text."""
        return self.far_dense_weight + (self.dense_weight - self.far_dense_weight) * self._known(question)

    def retrieve(
        self,
        question: str,
        *,
        count: int,
        ranking: Ranking = "fused",
        within: Scope = EVERYWHERE,
    ) -> list[Hit]:
        """The `count` best passages, best first; fewer where fewer have anything in common with the question.

        All that is `within` is compared with the question, also in a large collection. A question without a known word finds
        nothing. Raises ScopeError for a scope that names what is not there.
        """
        rows = None if within == EVERYWHERE else self.index.rows_within(within)
        terms = self._terms(question)
        if not terms or not self.index.chunks:
            return []
        found = self._candidates(question, terms, rows, ranking)
        kept = _best(found.scores, max(count, HEADING_CANDIDATES))
        wanted = max(count, RERANK_CANDIDATES) if self.reranker else count
        hits = self._reranked(question, self._hits(found, kept, terms, ranking, wanted), ranking)[:count]
        row_of = {self.index.chunks[row].id: row for row in found.rows[kept].tolist()}
        return [replace(hit, around=self.index.around(row_of[hit.chunk.id])) for hit in hits]

    def retrieve_in_context(
        self,
        question: str,
        before: str,
        *,
        count: int,
        ranking: Ranking = "fused",
        within: Scope = EVERYWHERE,
    ) -> list[Hit]:
        """As `retrieve`, for a question that follows another: searched by itself and with the one `before` it.

        A follow-up that could stand by itself ("how do gradients get through the rounding?") mostly still is about the same
        thing, and one that changes the subject is found by itself. In the order of the mean of both scores; a hit's own scores
        are those for the question alone, where it was found so. On development cases nDCG@10 of follow-ups went from .870 to
        .928 (20 tuning cases) and from .810 to .834 (9 over four web guides).
        """
        alone = self.retrieve(question, count=max(count, HEADING_CANDIDATES), ranking=ranking, within=within)
        if not before:
            return alone[:count]
        both = f"{question} {before}"
        together = self.retrieve(both, count=max(count, HEADING_CANDIDATES), ranking=ranking, within=within)
        hits = {hit.chunk.id: hit for hit in (*together, *alone)}
        score = dict.fromkeys(hits, 0.0)
        for hit in (*alone, *together):
            score[hit.chunk.id] += hit.score
        return sorted(hits.values(), key=lambda hit: -score[hit.chunk.id])[:count]

    def _terms(self, question: str) -> list[str]:
        """The words that are looked for: the question's, as the passages spell them."""
        return self.index.speller.spell(words(question))

    def _reranked(self, question: str, hits: list[Hit], ranking: Ranking) -> list[Hit]:
        if self.reranker is None or ranking != "fused":
            return hits
        return [*self.reranker.rerank(question, hits[:RERANK_CANDIDATES]), *hits[RERANK_CANDIDATES:]]

    def _candidates(self, question: str, terms: Sequence[str], rows: Rows | None, ranking: Ranking) -> _Candidates:
        """The rows that are given; else all passages of a small collection, and the `POOL` best of either score of a large one."""
        query, nearest = self.embedded(question), self.index.nearest
        keyword = self.index.keywords.scores(terms)
        if rows is None and not nearest.is_exact and len(keyword) > POOL:
            _, near = nearest.search(query, POOL)
            rows = np.union1d(near[near >= 0], _best(keyword, POOL))
        elif rows is None:
            rows = np.arange(len(keyword))
        # To compare all vectors is quicker than to copy many of them.
        is_most = _MOST * len(rows) > len(keyword)
        dense = nearest.cosines(query, slice(None))[rows] if is_most else nearest.cosines(query, rows)
        keyword = keyword[rows]
        fused = self._fused(question, dense, keyword, self.index.languages[rows])
        scores = {"fused": fused, "dense": dense, "keyword": keyword}[ranking]
        return _Candidates(rows, dense, keyword, scores)

    def _fused(self, question: str, dense: Vectors, keyword: Vectors, languages: NDArray[np.str_]) -> Vectors:
        """One score from two, for passages in these languages; all of shape (passages,).

        A passage in another language cannot have the question's words. As far as the encoder knows the field, what it says of
        the meaning stands in for them; on another field it knows too little across languages.
        """
        weight = self._text_weight(question)
        stand_in = np.where(languages != language_of(question), self._known(question) * dense, 0)
        return np.asarray(weight * dense + (1 - weight) * (keyword + stand_in), dtype=np.float32)

    def embedded(self, question: str) -> Vectors:
        """The question's vector, shape (1, dimension). Raises IndexStaleError where it does not fit those of the index."""
        query = self.index.embedder.embed_queries([question])
        self.index.check_embedder(query.shape[1])
        return query

    def _hits(self, found: _Candidates, kept: Rows, terms: Sequence[str], ranking: Ranking, wanted: int) -> list[Hit]:
        """The `wanted` best of the kept candidates, best first after their headings were compared with the question."""
        weight = self.heading_weight if ranking == "fused" else 0.0
        asked = tuple(dict.fromkeys(terms))
        weights = {term: self.index.keywords.idf(term) for term in asked}
        total = sum(weights.values())
        chunks = [self.index.chunks[row] for row in found.rows[kept].tolist()]
        headings = np.array([self._overlap(weights, total, _heading_words(chunk.heading)) for chunk in chunks])
        scores = (1 - weight) * found.scores[kept] + weight * headings
        # Rounded before they are compared: what differs by less than a score shows stays in the order it came in.
        places = np.argsort(-np.round(scores, 6), kind="stable")[:wanted]
        best = kept[places]
        return [
            Hit(
                chunks[place],
                round(score, 6),
                round(dense, 6),
                round(keyword, 6),
                round(heading, 6),
                tuple(term for term, is_held in zip(asked, holds, strict=True) if is_held),
            )
            for place, score, dense, keyword, heading, holds in zip(
                places.tolist(),
                scores[places].tolist(),
                found.dense[best].tolist(),
                found.keyword[best].tolist(),
                headings[places].tolist(),
                self.index.keywords.holding(asked, found.rows[best]).T.tolist(),
                strict=True,
            )
        ]

    def _overlap(self, asked: Mapping[str, float], total: float, named: AbstractSet[str]) -> float:
        """Jaccard index of a question's words (with their rarity, and its total) and a heading's, weighted by rarity."""
        both = sum(asked[word] for word in named if word in asked)
        either = total + sum(self.index.keywords.idf(word) for word in named if word not in asked)
        return both / either if either else 0.0

    def coverage(self, question: str, hits: Sequence[Hit]) -> float:
        """The share, 0 to 1, of the question's words, weighted by their rarity, that the hits contain together.

        What is asked of the subject ("disadvantages") is left out: guides rarely use the word for it.
        """
        asked = self._terms(question)
        terms = [term for term in asked if term not in ASPECT_WORDS] or asked
        total = sum(map(self.index.keywords.idf, terms))
        matched = {term for hit in hits for term in hit.matched}
        return sum(self.index.keywords.idf(term) for term in terms if term in matched) / total if total else 0.0

    def confidence(self, question: str, hits: Sequence[Hit]) -> float:
        """How sure one can be, 0 to 1, that the hits (best first) answer the question.

        The best cosine, the best score, and half as much how much of the question the best three hits contain together: what is
        near in meaning but lacks the question's rare words is another topic. Of the sums tried on two sets of cases this one
        told answerable questions best (AUC .957 and .934; without the score .938 and .917, the cosine alone .972 and .922).
        """
        if not hits:
            return 0.0
        nearest = max(hits, key=lambda hit: hit.dense_score)
        cosine = max(0.0, nearest.dense_score)
        # Words cannot be found across languages: there the meaning alone decides.
        crosses = nearest.chunk.language != language_of(question)
        found = cosine if crosses else self.coverage(question, hits[:3])
        return (cosine + max(hit.score for hit in hits) + 0.5 * found) / 2.5


@dataclass(frozen=True)
class _Candidates:
    """Rows of the index in rising order, each with its scores."""

    rows: Rows
    dense: Vectors
    keyword: Vectors
    scores: Vectors
    """What orders them."""


def _best(scores: Vectors, count: int) -> Rows:
    """Where the `count` highest scores above 0 stand, highest first; of equal ones the earlier."""
    places = np.flatnonzero(scores > 0)
    if len(places) > count:
        lowest = np.partition(scores[places], -count)[-count]
        places = np.flatnonzero(scores >= lowest)
    return places[np.argsort(-scores[places], kind="stable")][:count]


@lru_cache(maxsize=100_000)
def _heading_words(heading: str) -> frozenset[str]:
    return frozenset(words(heading))

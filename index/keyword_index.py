"""BM25 over words. The only file that knows bm25s."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

from index.static_encoder import Vectors

K1, B = 1.2, 0.75
_STAND_IN = "\0"


class _VectorizedBM25(bm25s.BM25):  # type: ignore[misc]  # has no types
    """Built with the same scores from whole arrays, where bm25s goes from passage to passage."""

    def build_index_from_ids(
        self, unique_token_ids: Sequence[int], corpus_token_ids: Sequence[array[int]], **_progress: bool
    ) -> dict[str, Any]:
        """The scores as a matrix of passages and words, by columns. Words are numbered from 0."""
        from scipy.sparse import csr_array

        lengths = np.fromiter(map(len, corpus_token_ids), dtype=np.int64, count=len(corpus_token_ids))
        columns = np.frombuffer(b"".join(corpus_token_ids), dtype=np.int32)
        shape, ends = (len(lengths), len(unique_token_ids)), np.concatenate(([0], np.cumsum(lengths)))
        counts = csr_array((np.ones(len(columns), dtype=np.float32), columns, ends), shape=shape).tocsc()
        counts.sum_duplicates()
        holding = np.diff(counts.indptr)
        idf = np.log(1 + (len(lengths) - holding + 0.5) / (holding + 0.5)).astype(np.float32)
        damping = self.k1 * ((1 - self.b) + self.b * lengths / lengths.mean())
        frequency = counts.data / (damping[counts.indices] + counts.data)
        data = (np.repeat(idf, holding) * frequency).astype(np.float32)
        self.nonoccurrence_array = None
        return {"data": data, "indices": counts.indices, "indptr": counts.indptr, "num_docs": len(lengths)}


class KeywordIndex:
    """BM25 with scores between 0 and 1: the share of what a perfect passage could reach.

    Lucene's variant (Kamphuis et al. 2020, "Which BM25 do you mean?"): a term adds idf · tf / (tf + k1 · (1 - b + b · length / mean
    length)), which never exceeds its idf. Divided by the sum of the query's idf the score says how much of the question was found.
    """

    def __init__(self, bm25: bm25s.BM25, idf: dict[str, float], count: int) -> None:
        self._bm25 = bm25
        self._idf = idf
        self.count = count

    @classmethod
    def build(cls, token_lists: Iterable[Iterable[str]]) -> KeywordIndex:
        """Index the passages' words, read once."""
        bm25 = _VectorizedBM25(method="lucene", k1=K1, b=B)
        numbers: defaultdict[str, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        tokens = [array("i", map(numbers.__getitem__, words)) for words in token_lists]
        count = len(tokens)
        if not numbers:
            # An index without a single word cannot be built; a word that no query asks for stands in.
            tokens[:1] = [array("i", [numbers[_STAND_IN]])]
        bm25.index((tokens, dict(numbers)), show_progress=False)
        # A word is listed once for each passage that has it.
        frequency = np.diff(bm25.scores["indptr"]).tolist()
        idf = {
            word: math.log(1 + (count - frequency[column] + 0.5) / (frequency[column] + 0.5))
            for word, column in bm25.vocab_dict.items()
            if word not in {"", _STAND_IN}
        }
        return cls(bm25, idf, count)

    @property
    def vocabulary(self) -> Collection[str]:
        """The words that some passage has."""
        return self._idf.keys()

    def __contains__(self, word: str) -> bool:
        return word in self._idf

    def share_a_passage(self, first: str, second: str) -> bool:
        """Whether some passage has both words."""
        if first not in self._idf or second not in self._idf:
            return False
        return bool(np.intersect1d(self._passages(first), self._passages(second), assume_unique=True).size)

    def _passages(self, word: str) -> NDArray[np.int64]:
        """Rows of the passages that have a known word, in order."""
        column, starts = self._bm25.vocab_dict[word], self._bm25.scores["indptr"]
        rows: NDArray[np.int64] = self._bm25.scores["indices"][starts[column] : starts[column + 1]]
        return rows

    def idf(self, word: str) -> float:
        """Inverse document frequency; that of a word in no passage where it is unknown."""
        found = self._idf.get(word)
        return math.log(1 + (self.count + 0.5) / 0.5) if found is None else found

    def scores(self, words: Sequence[str]) -> Vectors:
        """Scores of all passages, shape (count,), 0 to 1. All 0 where no word is known."""
        unique = list(dict.fromkeys(words))
        known = [word for word in unique if word in self._idf]
        if not known:
            return np.zeros(self.count, dtype=np.float32)
        best = sum(self.idf(word) for word in unique)
        raw: Vectors = self._bm25.get_scores(known)
        return np.asarray(raw / best, dtype=np.float32)

    def scores_beside(self, words: Sequence[str], token_lists: Sequence[Sequence[str]]) -> Vectors:
        """Scores of passages from elsewhere, 0 to 1, by the rarity of words in this index and the mean length of those passages."""
        unique = list(dict.fromkeys(words))
        best = sum(map(self.idf, unique)) or 1.0
        mean = sum(map(len, token_lists)) / len(token_lists) if any(token_lists) else 1.0
        scores = np.zeros(len(token_lists), dtype=np.float32)
        for row, tokens in enumerate(token_lists):
            counts, damping = Counter(tokens), K1 * (1 - B + B * len(tokens) / mean)
            scores[row] = sum(self.idf(word) * counts[word] / (counts[word] + damping) for word in unique) / best
        return scores

    def holding(self, words: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which passages hold which words, shape (words, rows)."""
        found = np.zeros((len(words), len(rows)), dtype=np.bool_)
        for number, word in enumerate(words):
            if word in self._idf:
                # The passages of a word stand in order, so that a handful is found without a look at the rest.
                passages = self._passages(word)
                places = np.minimum(np.searchsorted(passages, rows), len(passages) - 1)
                found[number] = passages[places] == rows
        return found

    def save(self, folder: Path) -> None:
        """Write below `folder/keywords`."""
        self._bm25.save(str(folder / "keywords"), show_progress=False)
        words = sorted(self._idf)
        np.savez(
            folder / "idf.npz",
            words=np.array(words),
            idf=np.array([self._idf[word] for word in words]),
            count=self.count,
        )

    @classmethod
    def load(cls, folder: Path) -> KeywordIndex:
        """Read what `save` wrote."""
        bm25 = bm25s.BM25.load(str(folder / "keywords"), load_corpus=False, mmap=True)
        with np.load(folder / "idf.npz", allow_pickle=False) as data:
            idf = {str(word): float(value) for word, value in zip(data["words"], data["idf"], strict=True)}
            return cls(bm25, idf, int(data["count"]))

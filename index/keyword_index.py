"""BM25 over words. The only file that knows bm25s."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import bm25s
import numpy as np
from numpy.typing import NDArray

from index.static_encoder import Vectors

K1, B = 1.2, 0.75
_STAND_IN = "\0"


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
    def build(cls, token_lists: Sequence[Sequence[str]]) -> KeywordIndex:
        """Index the passages' words."""
        bm25 = bm25s.BM25(method="lucene", k1=K1, b=B)
        # An index without a single word cannot be built; a word that no query asks for stands in.
        tokens = [list(words) for words in token_lists]
        bm25.index(tokens if any(tokens) else [[_STAND_IN], *tokens[1:]], show_progress=False)
        # A word is listed once for each passage that has it.
        frequency = np.diff(bm25.scores["indptr"]).tolist()
        count = len(tokens)
        idf = {
            word: math.log(1 + (count - frequency[column] + 0.5) / (frequency[column] + 0.5))
            for word, column in bm25.vocab_dict.items()
            if word not in {"", _STAND_IN}
        }
        return cls(bm25, idf, count)

    def idf(self, word: str) -> float:
        """Inverse document frequency; that of a word in no passage where it is unknown."""
        return self._idf.get(word, math.log(1 + (self.count + 0.5) / 0.5))

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
        indices, starts = self._bm25.scores["indices"], self._bm25.scores["indptr"]
        for number, word in enumerate(words):
            if word in self._idf:
                column = self._bm25.vocab_dict[word]
                # The passages of a word stand in order, so that a handful is found without a look at the rest.
                passages = indices[starts[column] : starts[column + 1]]
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

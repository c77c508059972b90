"""The shipped encoder as files: a tokenizer and one int8 vector a token, read with numpy alone.

The same folder is what `sentence_transformers.models.StaticEmbedding` would hold, at a quarter of the size; torch is not
imported, so the first answer comes within a second of starting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]


def save_encoder(folder: Path, tokenizer: Tokenizer, vectors: Vectors) -> None:
    """Write `tokenizer.json` and `vectors.npz`: each row as int8 with a scale of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    scale = np.abs(vectors).max(axis=1, keepdims=True) / 127
    rounded = np.rint(vectors / np.where(scale == 0, 1, scale)).astype(np.int8)
    np.savez(folder / "vectors.npz", vectors=rounded, scale=scale.astype(np.float16))


class StaticEncoder:
    """A text's vector is the mean of its tokens' vectors."""

    def __init__(self, folder: Path) -> None:
        """Read what `save_encoder` wrote. Raises FileNotFoundError or ValueError where it is missing or damaged."""
        from tokenizers import Tokenizer

        if not (folder / "tokenizer.json").is_file():
            raise FileNotFoundError(f"No encoder in {str(folder)!r}. Expected tokenizer.json and vectors.npz.")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        with np.load(folder / "vectors.npz", allow_pickle=False) as data:
            self._vectors: Vectors = data["vectors"].astype(np.float32) * data["scale"].astype(np.float32)

    @property
    def dimension(self) -> int:
        """Of a vector."""
        return int(self._vectors.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimension), of length 1; 0 for a text without a known token."""
        result = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, encoded in enumerate(self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            ids = np.array([token for token in encoded.ids if token], dtype=np.int64)
            if len(ids):
                result[row] = self._vectors[ids].sum(axis=0)
        norms = np.linalg.norm(result, axis=1, keepdims=True)
        return np.asarray(result / np.where(norms == 0, 1, norms), dtype=np.float32)

    def familiarity(self, text: str) -> float:
        """The share, 0 to 1, of a text's letters that stand in tokens of a whole word (Chinese: of two characters or more).

        The vocabulary was learned from text of the field, where nearly every word is a token of its own; a text that falls
        into fragments is of another field, and its vector says little.
        """
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        pieces = Counter(encoded.word_ids)
        known = total = 0
        for token, (start, end), word in zip(encoded.tokens, encoded.offsets, encoded.word_ids, strict=True):
            size = end - start
            if token.isalpha():
                total += size
                whole = size >= 2 if "\u3400" <= token[0] <= "\u9fff" else pieces[word] == 1
                known += size * whole
        return known / total if total else 1.0

"""The shipped encoder as files: a tokenizer and one int8 vector a token, read with numpy alone.

The same folder is what `sentence_transformers.models.StaticEmbedding` would hold, at a quarter of the size; torch is not
imported, so the first answer comes within a second of starting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]

_KNOWN_LETTERS = 1_000_000
"""Of all pieces of text whose tokens are remembered; some tens of megabytes."""
_FEW_PIECES = 32


class _Piece(NamedTuple):
    letters: int
    is_word: bool
    """Whether it is a whole word; of Chinese, which has no spaces, two characters or more."""
    is_part: bool
    """Whether it is at least what words are made of: two letters, or a Chinese character."""


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
        self._known: dict[str, list[int]] = {}
        self._known_letters = 0
        with np.load(folder / "vectors.npz", allow_pickle=False) as data:
            self._vectors: Vectors = data["vectors"].astype(np.float32)
            self._vectors *= data["scale"].astype(np.float32)

    @property
    def dimension(self) -> int:
        """Of a vector."""
        return int(self._vectors.shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimension), of length 1; 0 for a text without a known token."""
        from scipy.sparse import csr_array

        tokens = self._tokens(texts)
        ends = np.cumsum([0, *map(len, tokens)])
        columns = np.fromiter(chain.from_iterable(tokens), dtype=np.int32, count=ends[-1])
        # The unknown token counts nothing. The product adds row after row, and lets other threads run meanwhile.
        counts = csr_array((columns != 0, columns, ends), shape=(len(texts), len(self._vectors)), dtype=np.float32)
        result = counts @ self._vectors
        norms = np.linalg.norm(result, axis=1, keepdims=True)
        return np.asarray(result / np.where(norms == 0, 1, norms), dtype=np.float32)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, as the tokenizer gives them: none crosses a space, so that a piece between two is cut but once."""
        pieces = [text.replace("\n", " ").split(" ") for text in texts]
        known = self._known
        new = list(set[str]().union(*pieces).difference(known))
        if len(new) > _FEW_PIECES:
            encoded = self._tokenizer.encode_batch_fast(new, add_special_tokens=False)
        else:  # waking threads would take longer
            encoded = [self._tokenizer.encode(piece, add_special_tokens=False) for piece in new]
        known.update((piece, encoding.ids) for piece, encoding in zip(new, encoded, strict=True))
        self._known_letters += sum(map(len, new))
        if self._known_letters > _KNOWN_LETTERS:
            # Made anew, not emptied: another thread may be reading it.
            self._known, self._known_letters = {}, 0
        most = self._tokenizer.truncation["max_length"] if self._tokenizer.truncation else None
        return [list(chain.from_iterable(map(known.__getitem__, row)))[:most] for row in pieces]

    def familiarity(self, text: str) -> float:
        """The share, 0 to 1, of a text's letters that stand in tokens of a whole word (Chinese: of two characters or more).

        The vocabulary was learned from text of the field, where nearly every word is a token of its own; a text that falls
        into fragments is of another field, and its vector says little.
        """
        pieces = self._pieces(text)
        total = sum(piece.letters for piece in pieces)
        return sum(piece.letters for piece in pieces if piece.is_word) / total if total else 1.0

    def reads(self, text: str) -> bool:
        """Whether at least half of a text's letters stand in words or parts of words that the vocabulary holds.

        A misspelt or foreign Latin word falls into parts; one in a script that it was not learned from falls into letters.
        """
        pieces = self._pieces(text)
        known = sum(piece.letters for piece in pieces if piece.is_word or piece.is_part)
        return 2 * known >= sum(piece.letters for piece in pieces)

    def _pieces(self, text: str) -> list[_Piece]:
        """The tokens of a text that hold letters."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        parts = Counter(encoded.word_ids)
        pieces = []
        for number, token, (start, end), word in zip(
            encoded.ids, encoded.tokens, encoded.offsets, encoded.word_ids, strict=True
        ):
            letters = end - start
            # What has no token of its own is one of the text's letters all the same.
            if not (token if number else text[start:end]).isalpha():
                continue
            is_known, is_chinese = bool(number), "\u3400" <= token[0] <= "\u9fff"
            is_word = is_known and (letters >= 2 if is_chinese else parts[word] == 1)
            pieces.append(_Piece(letters, is_word, is_known and (is_chinese or letters >= 2)))
        return pieces

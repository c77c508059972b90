"""Vectors for texts: the `Embedder` protocol, vectors made from the indexed text itself, and sentence-transformers models."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from index.static_encoder import StaticEncoder, Vectors
from index.words import words

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CORPUS_EMBEDDER = "corpus"
"""The setting that names the embedder made from the indexed text."""
SHIPPED_EMBEDDER = "shipped"
"""The setting that names the encoder in this package."""
SHIPPED_FOLDER = Path(__file__).parent / "encoder"


class ModelFolderError(ValueError):
    """A model that cannot be loaded; the message names it and the setting to mend."""


class Embedder(Protocol):
    """Texts to unit vectors, so that an inner product is a cosine."""

    @property
    def name(self) -> str:
        """What the manifest of an index records: an index can only be searched with the embedder that made it."""

    @property
    def dimension(self) -> int: ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimension), rows of length 1 (or 0 for a text without known words)."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As `embed_passages`, with the model's own prompt for questions where it has one."""

    def familiarity(self, texts: Sequence[str]) -> float:
        """How well the texts are of a kind that the embedder knows, 0 to 1; 1 where it cannot tell."""

    def reads(self, text: str) -> bool:
        """Whether the embedder knows the language of a text, so that its vector means something; true where it cannot tell."""


@cache
def make_embedder(setting: str) -> Embedder:
    """The embedder of a setting, but for `corpus`, which is fitted to the text. Loads nothing yet.

    The same one for the same setting: an index that was replaced must not cost the loading of a model.
    """
    return ShippedEmbedder() if setting == SHIPPED_EMBEDDER else SentenceEmbedder(setting)


class ShippedEmbedder:
    """The encoder that the project ships: static vectors of tokens, English and Chinese, trained by `tutor train encoder`."""

    name = SHIPPED_EMBEDDER

    @cached_property
    def _encoder(self) -> StaticEncoder:
        return StaticEncoder(SHIPPED_FOLDER)

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.encode(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encoder.encode(texts)

    def familiarity(self, texts: Sequence[str]) -> float:
        return float(np.mean([self._encoder.familiarity(text) for text in texts])) if texts else 1.0

    def reads(self, text: str) -> bool:
        return self._encoder.reads(text)


class LatentSemanticEmbedder:
    """Word vectors from the indexed text itself: TF-IDF and a truncated SVD (latent semantic analysis).

    Needs no download and gives the same vectors for the same text. After Deerwester et al. 1990, "Indexing by latent
    semantic analysis"; a text is the IDF-weighted sum of its words' right singular vectors.
    """

    name = CORPUS_EMBEDDER

    def __init__(self, vocabulary: dict[str, int], idf: Vectors, components: Vectors) -> None:
        """`idf` has shape (words,), `components` (words, dimension)."""
        self._vocabulary = vocabulary
        self._idf = idf
        self._components = components

    @property
    def dimension(self) -> int:
        return int(self._components.shape[1])

    @classmethod
    def fit(cls, texts: Sequence[str], *, dimension: int) -> LatentSemanticEmbedder:
        """Learn from the texts. The dimension is at most the number of texts and of words."""
        from scipy.sparse.linalg import svds
        from sklearn.feature_extraction.text import TfidfVectorizer

        if not any(words(text) for text in texts):
            raise ValueError("The text to index has no words to learn from. Add guides with text in them.")
        vectorizer = TfidfVectorizer(analyzer=words, sublinear_tf=True, dtype=np.float64)
        matrix = vectorizer.fit_transform(texts)
        rank = min(dimension, min(matrix.shape) - 1)
        if rank < 1:
            # One text or one word: nothing to decompose, so every known word points the same way.
            components = np.ones((matrix.shape[1], 1))
        else:
            # A fixed start vector makes ARPACK deterministic; the signs of singular vectors are arbitrary but then fixed.
            _, _, right = svds(matrix, k=rank, v0=np.ones(min(matrix.shape)))
            components = right[::-1].T
        vocabulary = {str(word): int(index) for word, index in vectorizer.vocabulary_.items()}
        return cls(vocabulary, vectorizer.idf_.astype(np.float32), np.ascontiguousarray(components, dtype=np.float32))

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            terms = [self._vocabulary[word] for word in words(text) if word in self._vocabulary]
            if terms:
                found, counts = np.unique(terms, return_counts=True)
                weights = (1 + np.log(counts)) * self._idf[found]
                vectors[row] = weights @ self._components[found]
        return _unit(vectors)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self.embed_passages(texts)

    def familiarity(self, texts: Sequence[str]) -> float:
        del texts
        return 1.0

    def reads(self, text: str) -> bool:
        del text
        return True

    def save(self, folder: Path) -> None:
        """Write the fitted vectors as `embedder.npz`."""
        ordered = sorted(self._vocabulary, key=self._vocabulary.__getitem__)
        np.savez(folder / "embedder.npz", words=np.array(ordered), idf=self._idf, components=self._components)

    @classmethod
    def load(cls, folder: Path) -> LatentSemanticEmbedder:
        """Read what `save` wrote. Raises FileNotFoundError or ValueError where it is missing or damaged."""
        with np.load(folder / "embedder.npz", allow_pickle=False) as data:
            vocabulary = {str(word): index for index, word in enumerate(data["words"])}
            return cls(vocabulary, data["idf"], data["components"])


class SentenceEmbedder:
    """A sentence-transformers model by hub id or folder, loaded at first use.

    Query and passage prompts, maximum length and normalization are those of the model. Nothing is downloaded: a hub id is
    looked up in the local cache alone.
    """

    def __init__(self, name: str, *, device: str | None = None) -> None:
        self.name = name
        self._device = device

    @cached_property
    def _model(self) -> SentenceTransformer:
        # Without it an unreachable hub is retried for over a minute before the same error.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self.name, device=self._device, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelFolderError(
                f"The embedder {self.name!r} cannot be loaded ({str(error).splitlines()[0]}). Expected the folder of a "
                "sentence-transformers model or the id of one in the local cache. Set TUTOR_EMBEDDER, or leave it out."
            ) from error

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode(self._model.encode_document, texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(self._model.encode_query, texts)

    def familiarity(self, texts: Sequence[str]) -> float:
        del texts
        return 1.0

    def reads(self, text: str) -> bool:
        del text
        return True

    def _encode(self, encode: Callable[..., Any], texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = encode(list(texts), convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False)
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms == 0, 1, norms), dtype=np.float32)

"""The order of hits by a cross-encoder, which reads question and passage together. Optional; off by default."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from index.embedder import ModelFolderError
from index.hits import Hit

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class Reranker:
    """A sentence-transformers cross-encoder by hub id (from the local cache; nothing is downloaded) or folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def _model(self) -> CrossEncoder:
        # Without it an unreachable hub is retried for over a minute before the same error.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from sentence_transformers import CrossEncoder

        try:
            model: CrossEncoder = CrossEncoder(self.name, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelFolderError(
                f"The reranker {self.name!r} cannot be loaded ({str(error).splitlines()[0]}). Expected the folder of a "
                "cross-encoder or the id of one in the local cache. Set TUTOR_RERANKER, or leave it out."
            ) from error
        return model

    def rerank(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits, best first by the model; their scores stay those of the search, which the threshold was chosen for."""
        if len(hits) < 2:
            return list(hits)
        scores = self._model.predict([(question, hit.chunk.search_text) for hit in hits], show_progress_bar=False)
        order = sorted(range(len(hits)), key=lambda place: -float(scores[place]))
        return [replace(hits[place], rerank_score=round(float(scores[place]), 6)) for place in order]

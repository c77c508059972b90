"""Vectors of a build that is under way, on disk: one that was interrupted goes on where it stopped."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from index.embedder import Embedder
from index.static_encoder import Vectors

_DIGEST_BYTES = 16
_CHECK_BYTES = 4
_FOLDER = "embedding"


class EmbeddingCache:
    """An embedder's vectors by the hash of their text, appended to a file below the index folder as they are made.

    A record is the hash, the vector and a checksum of both. A record that a kill, a full disk or a power cut left in halves
    is passed over. The caller holds the index's lock.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        self._record_bytes = _DIGEST_BYTES + 4 * embedder.dimension + _CHECK_BYTES
        key = f"{embedder.name}\0{_changed(Path(embedder.name))}\0{embedder.dimension}".encode()
        self._file = folder / _FOLDER / f"{hashlib.blake2b(key, digest_size=_DIGEST_BYTES).hexdigest()}.vectors"

    def __enter__(self) -> Self:
        self._file.parent.mkdir(exist_ok=True)
        self._known = self._read()
        self._stream = self._file.open("r+b" if self._file.exists() else "wb", buffering=0)
        whole = self._file.stat().st_size // self._record_bytes * self._record_bytes
        self._stream.truncate(whole)
        self._stream.seek(whole)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder's `embed_passages`; only texts without a vector here are given to it."""
        digests = [hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest() for text in texts]
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in self._known}
        if new:
            vectors = self._embedder.embed_passages(list(new.values()))
            rows = [digest + vector.tobytes() for digest, vector in zip(new, vectors, strict=True)]
            records = b"".join(row + zlib.crc32(row).to_bytes(_CHECK_BYTES, "little") for row in rows)
            self._known.update(zip(new, vectors, strict=True))
            written = self._stream.write(records)
            if written != len(records):
                raise OSError(f"Only {written} of {len(records)} bytes fit on the disk. Free some, then: tutor index")
        return np.stack([self._known[digest] for digest in digests])

    def _read(self) -> dict[bytes, Vectors]:
        known = {}
        if self._file.exists():
            with self._file.open("rb") as stream:
                while len(record := stream.read(self._record_bytes)) == self._record_bytes:
                    row, check = record[:-_CHECK_BYTES], record[-_CHECK_BYTES:]
                    if zlib.crc32(row).to_bytes(_CHECK_BYTES, "little") == check:
                        known[row[:_DIGEST_BYTES]] = np.frombuffer(row, dtype=np.float32, offset=_DIGEST_BYTES)
        return known

    @staticmethod
    def clear(folder: Path) -> None:
        """Forget all vectors: the index that was saved holds them."""
        shutil.rmtree(folder / _FOLDER, ignore_errors=True)


def _changed(model: Path) -> int:
    """When a model's folder was last changed, so that vectors of a former training are not taken for its own; 0 for a hub id."""
    return max((file.stat().st_mtime_ns for file in model.rglob("*") if file.is_file()), default=0)

"""Everything search needs, as one folder on disk: passages, vectors, keywords, and the manifest that makes them an index.

```
index/
  current.json        the manifest: which generation is in force, and what it was made from; replaced atomically, last
  generations/<name>/ documents.jsonl chunks.jsonl chunks.npy vectors.npy keywords/ idf.npz [embedder.npz] [graph.faiss]
  index.lock          held by the one process that writes
```
A reader opens the generation that the manifest names and keeps it; a writer makes a new one beside it. So a reader sees the old
index or the new one, never a mixture, and a writer that is killed leaves a folder that nothing names.

Vectors, graph and keywords are mapped from their files, and the passages of a large index stay there until they are found:
opening a million takes about a second.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from corpus.chunks import Chunk, anchor
from corpus.documents import Document
from index.embedder import CORPUS_EMBEDDER, Embedder, LatentSemanticEmbedder, make_embedder
from index.hits import Neighbours
from index.keyword_index import KeywordIndex
from index.scope import Scope
from index.spelling import Speller
from index.static_encoder import Vectors
from index.vector_index import EXACT_LIMIT, Rows, VectorIndex

FAMILIARITY_SAMPLE = 100
FORMAT_VERSION = 2
_MANIFEST = "current.json"
_CACHED_CHUNKS = 50_000
"""Passages of a large index that are kept in memory once they were found."""


class IndexMissingError(FileNotFoundError):
    """There is no index yet."""


class IndexDamagedError(RuntimeError):
    """The index on disk cannot be read."""


class IndexStaleError(RuntimeError):
    """The index was made with other settings than the present ones."""


@dataclass(frozen=True)
class IndexedDocument:
    """What the manifest keeps of a guide."""

    sha256: str
    source: str
    """The file or folder that was given to `tutor index`; empty for one that lives in the index alone."""
    title: str
    topic: str
    language: str
    chunks: int


@dataclass(frozen=True)
class Manifest:
    """What an index was made from, and with what."""

    generation: str
    embedder: str
    dimension: int
    chunk_words: int
    created_at: str
    """ISO 8601, UTC."""
    documents: Mapping[str, IndexedDocument]
    files: Mapping[str, int]
    """Bytes of each file of the generation: a truncated one is found before it is read."""
    removed: Sequence[str] = ()
    """Ids that were taken out by hand and stay out, though their files are still in a source."""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class PassageIndex:
    """An index in memory. Rows of `vectors` belong to `chunks` in order, and `nearest` searches among them."""

    manifest: Manifest
    documents: Sequence[Document]
    chunks: Sequence[Chunk]
    vectors: Vectors
    embedder: Embedder
    keywords: KeywordIndex
    nearest: VectorIndex

    def chunks_of(self, document_id: str) -> Sequence[Chunk]:
        """The chunks of a document in the order of its text; none where it is not in the manifest."""
        rows = self.rows_of.get(document_id, range(0))
        return self.chunks[rows.start : rows.stop]

    @cached_property
    def rows_of(self) -> Mapping[str, range]:
        """Where in `chunks` each document's stand."""
        ends = np.cumsum([entry.chunks for entry in self.manifest.documents.values()], dtype=int).tolist()
        return {
            name: range(end - entry.chunks, end)
            for (name, entry), end in zip(self.manifest.documents.items(), ends, strict=True)
        }

    def check_embedder(self, dimension: int) -> None:
        """Raise IndexStaleError where the embedder's vectors have another dimension than those of the index."""
        made = self.vectors.shape[1]
        if dimension != made:
            raise IndexStaleError(
                f"The embedder {self.embedder.name!r} gives {dimension} dimensions, the index was made with {made}: it is another "
                "model by now. Put the former one back, or rebuild the index: tutor index --rebuild"
            )

    def rows_within(self, scope: Scope) -> Rows:
        """Where in `chunks` those of the scope stand, in rising order. Raises ScopeError where it names what is not there."""
        scope.check(self.documents)
        sizes = [len(self.rows_of[document.id]) for document in self.documents]
        return np.flatnonzero(np.repeat([scope.admits(document) for document in self.documents], sizes))

    def neighbours(self, chunk: Chunk) -> Neighbours:
        """What stands around a chunk in its document; nothing around one of another index."""
        rows = self.rows_of.get(chunk.document_id, range(0))
        found = next((row for row in rows if self.chunks[row].id == chunk.id), None)
        return Neighbours() if found is None else self.around(found)

    def around(self, row: int) -> Neighbours:
        """What stands around the chunk of a row."""
        chunks, document_id = self.chunks, self.chunks[row].document_id
        before = chunks[row - 1] if row else None
        after = chunks[row + 1] if row + 1 < len(chunks) else None
        return Neighbours(
            before if before and before.document_id == document_id else None,
            after if after and after.document_id == document_id else None,
        )

    @cached_property
    def languages(self) -> NDArray[np.str_]:
        """The language of each chunk, that of its document; shape (chunks,)."""
        sizes = [len(self.rows_of[document.id]) for document in self.documents]
        return np.repeat(np.array([document.language for document in self.documents], dtype=np.str_), sizes)

    @cached_property
    def speller(self) -> Speller:
        """What brings a question's words into the spelling of the passages."""
        return Speller(self.keywords)

    @cached_property
    def familiarity(self) -> float:
        """How well the embedder knows the text of this index, 0 to 1, from a sample of its passages."""
        step = max(1, len(self.chunks) // FAMILIARITY_SAMPLE)
        return self.embedder.familiarity([chunk.text for chunk in self.chunks[::step]])

    @cached_property
    def by_section(self) -> Mapping[str, Sequence[Chunk]]:
        """Chunks by the links that lead to them: `guide#anchor` for each heading of their paths, the guide without suffix."""
        sections: dict[str, list[Chunk]] = {}
        for chunk in self.chunks:
            guide = chunk.document_id.rsplit(".", 1)[0]
            for heading in chunk.heading_path:
                sections.setdefault(f"{guide}#{anchor(heading)}", []).append(chunk)
        return sections

    @cached_property
    def documents_by_id(self) -> Mapping[str, Document]:
        """Documents by their ids."""
        return {document.id: document for document in self.documents}


def read_manifest(folder: Path) -> Manifest:
    """The manifest in force. Raises IndexMissingError, or IndexDamagedError where it cannot be understood."""
    try:
        # Asked for before every question; a file that was replaced has another inode or time.
        stat = (folder / _MANIFEST).stat()
        return _parse_manifest(folder, stat.st_ino, stat.st_mtime_ns, stat.st_size)
    except FileNotFoundError as error:
        raise IndexMissingError(f"There is no index in {str(folder)!r}. Build it: tutor index") from error


@lru_cache(maxsize=2)
def _parse_manifest(folder: Path, *_version: int) -> Manifest:
    try:
        raw = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if raw.get("format_version") != FORMAT_VERSION:
            raise IndexStaleError(
                f"The index in {str(folder)!r} has format {raw.get('format_version')!r}, this version reads {FORMAT_VERSION}. "
                "Rebuild it: tutor index --rebuild"
            )
        documents = {name: IndexedDocument(**entry) for name, entry in raw.pop("documents").items()}
        return Manifest(documents=documents, **raw)
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error


def load_index(folder: Path) -> PassageIndex:
    """Read the index in force. Raises IndexMissingError, IndexStaleError (another format) or IndexDamagedError."""
    manifest = read_manifest(folder)
    place = folder / "generations" / manifest.generation
    try:
        for name, size in manifest.files.items():
            found = (place / name).stat().st_size
            if found != size:
                raise ValueError(f"{name} has {found} bytes, expected {size}")
        documents = [_document(row) for row in _read_rows(place / "documents.jsonl")]
        chunks: Sequence[Chunk] = StoredChunks(
            place / "chunks.jsonl", np.load(place / "chunks.npy", allow_pickle=False)
        )
        if len(chunks) < EXACT_LIMIT:
            chunks = list(chunks)
        vectors = np.load(place / "vectors.npy", mmap_mode="r", allow_pickle=False)
        nearest = VectorIndex.load(vectors, place / "graph.faiss")
        keywords = KeywordIndex.load(place)
        embedder = open_embedder(manifest.embedder, place)
        if not len(chunks) == len(vectors) == keywords.count:
            raise ValueError(
                f"{len(chunks)} passages, {len(vectors)} vectors and {keywords.count} keyword rows do not match"
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        if read_manifest(folder).generation != manifest.generation:
            # Another process put a newer generation in force while this one was read, and removed it.
            return load_index(folder)
        raise _damaged(folder, error) from error
    return PassageIndex(manifest, documents, chunks, vectors, embedder, keywords, nearest)


class StoredChunks(Sequence[Chunk]):
    """Passages that stay in their file, mapped; each is decoded when it is asked for."""

    def __init__(self, file: Path, ends: NDArray[np.int64]) -> None:
        """`ends` holds the byte after each row. Raises ValueError where the file is not of that length."""
        self._ends = ends
        with file.open("rb") as stream:
            self._text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if not len(ends) or len(self._text) != ends[-1]:
            raise ValueError(f"{file.name} has {len(self._text)} bytes, which is not where its last row ends")
        self._read = lru_cache(maxsize=_CACHED_CHUNKS)(self._decoded)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, row: int) -> Chunk: ...

    @overload
    def __getitem__(self, row: slice) -> list[Chunk]: ...

    def __getitem__(self, row: int | slice) -> Chunk | list[Chunk]:
        if isinstance(row, slice):
            return [self._read(number) for number in range(*row.indices(len(self)))]
        return self._read(range(len(self))[row])

    def __iter__(self) -> Iterator[Chunk]:
        # Past the cache: who reads all does not come back to one.
        return map(self._decoded, range(len(self)))

    def _decoded(self, row: int) -> Chunk:
        return _chunk(json.loads(self._text[self._ends[row - 1] if row else 0 : self._ends[row]]))


def _damaged(folder: Path, error: Exception) -> IndexDamagedError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return IndexDamagedError(f"The index in {str(folder)!r} is damaged ({reason}). Rebuild it: tutor index --rebuild")


def save_index(index: PassageIndex, folder: Path) -> PassageIndex:
    """Write the index as a new generation and put it in force. Returns it with the manifest that was written.

    The caller holds the lock. A failure at any point, a full disk or a kill included, leaves the old generation in force.
    """
    generations = folder / "generations"
    place = generations / index.manifest.generation
    former = _in_force(folder)
    place.mkdir(parents=True)
    try:
        _write_rows(place / "documents.jsonl", index.documents)
        ends = _write_rows(place / "chunks.jsonl", index.chunks)
        np.save(place / "chunks.npy", ends)
        np.save(place / "vectors.npy", index.vectors)
        index.nearest.save(place / "graph.faiss")
        index.keywords.save(place)
        if isinstance(index.embedder, LatentSemanticEmbedder):
            index.embedder.save(place)
        files = {
            file.relative_to(place).as_posix(): file.stat().st_size
            for file in sorted(place.rglob("*"))
            if file.is_file()
        }
        manifest = replace(index.manifest, files=files)
        # The manifest comes last: what it names is whole.
        write_atomically(folder / _MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    _forget_old(generations, keep={manifest.generation, former})
    return replace(index, manifest=manifest)


def _in_force(folder: Path) -> str:
    try:
        return read_manifest(folder).generation
    except (IndexMissingError, IndexStaleError, IndexDamagedError):
        return ""


def _forget_old(generations: Path, *, keep: Collection[str]) -> None:
    """Remove the rests of killed writers, and all generations but the one in force and the one before: a reader may be opening it."""
    for path in generations.iterdir():
        if path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)


def open_embedder(name: str, place: Path) -> Embedder:
    """The embedder an index was made with: fitted vectors from its folder, or a model by its name."""
    return LatentSemanticEmbedder.load(place) if name == CORPUS_EMBEDDER else make_embedder(name)


def write_atomically(file: Path, text: str) -> None:
    """Replace a file's text so that a reader, or a crash, finds the old text or the new one."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_rows(file: Path, rows: Sequence[Document] | Sequence[Chunk]) -> NDArray[np.int64]:
    """Write a line a row. Returns where each ends, in bytes."""
    # Not asdict, which copies every value and takes longer than all the writing.
    lines = (
        json.dumps({field: getattr(row, field) for field in row.__dataclass_fields__}, ensure_ascii=False)
        for row in rows
    )
    with file.open("wb") as stream:
        sizes = [stream.write(line.encode() + b"\n") for line in lines]
    return np.cumsum(sizes, dtype=np.int64)


def _read_rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _document(row: dict[str, Any]) -> Document:
    # An index of before there were pages has none.
    pages = tuple(row.get("page_starts", ()))
    return Document(**{**row, "sources": tuple(row["sources"]), "page_starts": pages})


def _chunk(row: dict[str, Any]) -> Chunk:
    return Chunk(**{**row, "heading_path": tuple(row["heading_path"])})

"""Nearest neighbours over unit vectors: exact for small collections, over a graph for large ones. The only file that knows faiss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.static_encoder import Vectors

Rows = NDArray[np.int64]

EXACT_LIMIT = 50_000
"""Vectors from which a graph is made. Below it a scan takes a few milliseconds: 0.5 for 10,000 of 512 dimensions."""
REBUILD_SHARE = 0.2
"""Share of removed or of new vectors from which the graph is made anew: removed ones are still walked through."""
_GRAPH_DIMENSION, _LINKS = 256, 16
"""Principal components that the graph holds of longer vectors, a byte each, and links a vector. Over 100,000 passages of
`benchmarks/retrieval.py` an exact search among so many components finds .9995 of the ten nearest with 64 candidates; 192 find .994.
The graph takes 0.55 of the time that all 512 dimensions and 32 links take.
"""
_BLOCK = 50_000
"""Vectors of which the components are learned, and that are added at a time, so that only their components take more memory."""
_BUILD_BREADTH, _SEARCH_BREADTH = 80, 800
"""HNSW's efConstruction and efSearch. Recall@10 over the same passages: breadth 600 .994, 800 .9945; with 192 components .9915 at 800,
with 512 components, 32 links and breadth 400 .9925. Over a million, 600 finds .970 in 1.2 ms, 800 .9915 in 1.7 and 1000 as much in 2.3.

Inverted lists are as quick to make, but a question is unlike the passages that their centres were learned from: over 40,000
paragraphs of docstrings they find .926 in 0.45 ms and .969 when a third of all lists is searched, a graph of 16 links .988 in 0.5.
"""
_REFINED = 64
"""Candidates at least, whose rounded scores are replaced by exact ones before the best are taken."""
_GPU_COUNT = 2048
"""Neighbours that faiss can be asked for on a GPU."""


class VectorIndex:
    """Cosines between queries and vectors.

    Scores are exact inner products in either case; what a graph may miss is a neighbour, not its score. Where faiss finds a
    GPU, the first one compares every vector. Nothing is imported or copied before the first search, but the graph of a large
    collection is made when it is given.
    """

    def __init__(self, vectors: Vectors, *, use_gpu: bool = True, exact_limit: int = EXACT_LIMIT) -> None:
        """Index `vectors` of shape (count, dimension), which may be mapped from a file. A graph of a million takes minutes."""
        self.count, self.dimension = vectors.shape
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._use_gpu = use_gpu
        self._exact_limit = exact_limit
        self._file: Path | None = None
        self._graph: Any = _make_graph(self._vectors) if self.count >= exact_limit else None
        self._lock = Lock()

    @classmethod
    def load(cls, vectors: Vectors, file: Path, *, use_gpu: bool = True, exact_limit: int = EXACT_LIMIT) -> VectorIndex:
        """The index of vectors whose graph `save` wrote, memory-mapped. Raises ValueError where graph and vectors differ.

        Where there is no such file the search is exact.
        """
        index = cls._without_graph(vectors, use_gpu, exact_limit)
        if file.is_file():
            index._file, index._graph = file, _read_graph(file, in_memory=False)
            if index._graph.d != index.dimension or _ids(index._graph).max(initial=-1) != index.count - 1:
                raise ValueError(
                    f"{file.name} is not the graph of {index.count} vectors of {index.dimension} dimensions"
                )
        return index

    @classmethod
    def _without_graph(cls, vectors: Vectors, use_gpu: bool, exact_limit: int) -> VectorIndex:
        index = cls(vectors, use_gpu=use_gpu, exact_limit=len(vectors) + 1)
        index._exact_limit = exact_limit
        return index

    def save(self, file: Path) -> None:
        """Write the graph; nothing where the search is exact, because the vectors are all it needs."""
        if self._graph is not None:
            import faiss

            # Not faiss.write_index: it does not tell when the last block finds the disk full.
            file.write_bytes(faiss.serialize_index(self._graph).data)

    def updated(self, vectors: Vectors, former: Rows) -> VectorIndex:
        """The index of `vectors`, of which number i was row `former[i]` of this one, or is new where that is -1.

        A graph that was loaded is kept, what is new added and what has gone passed over, until that is too much of it.
        """
        new = np.flatnonzero(former < 0)
        if self._file is None or len(vectors) < self._exact_limit or len(new) > REBUILD_SHARE * len(vectors):
            return VectorIndex(vectors, use_gpu=self._use_gpu, exact_limit=self._exact_limit)
        graph = _read_graph(self._file, in_memory=True)
        if graph.ntotal + len(new) > (1 + REBUILD_SHARE) * len(vectors):
            return VectorIndex(vectors, use_gpu=self._use_gpu, exact_limit=self._exact_limit)
        row_of = np.full(self.count + 1, -1, dtype=np.int64)  # the last for id -1, what has gone before
        row_of[former[former >= 0]] = np.flatnonzero(former >= 0)
        _renumber(graph, row_of)
        index = self._without_graph(vectors, self._use_gpu, self._exact_limit)
        graph.add_with_ids(index._vectors[new], new)
        index._graph = graph
        return index

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared with a query."""
        return self._graph is None

    @property
    def description(self) -> str:
        """How it searches and why, for a person."""
        if self.is_exact:
            return f"exact search: {self.count:,} passages, under {self._exact_limit:,}"
        return f"approximate search over an HNSW graph: {self.count:,} passages, {self._exact_limit:,} or more"

    @cached_property
    def device(self) -> str:
        """Where batches of queries are searched, `cpu` or `cuda:0`."""
        return "cuda:0" if self._use_gpu and gpu_count() else "cpu"

    def search(self, queries: Vectors, count: int) -> tuple[Vectors, Rows]:
        """Scores and row numbers of the `count` nearest vectors of each query, both of shape (queries, count), best first.

        Where a graph leads to fewer, the rest is row -1 with score -inf. Raises ValueError where the queries' dimension is not that
        of the index.
        """
        queries = self._checked(queries)
        count = min(count, self.count)
        if self.is_exact:
            return self._nearest(queries, count)
        # Some of what the graph leads to is rounded or has gone.
        wanted = math.ceil(max(count, _REFINED) * self._graph.ntotal / self.count)
        _, rows = self._nearest(queries, wanted)
        scores = np.stack([self.cosines(query[None], found) for query, found in zip(queries, rows, strict=True)])
        scores[rows < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)

    def cosines(self, query: Vectors, rows: Rows | slice) -> Vectors:
        """Exact scores of one query of shape (1, dimension) and the vectors of `rows`, in that order."""
        import faiss

        query = self._checked(query)
        vectors = self._vectors[rows]
        scores = np.empty(len(vectors), dtype=np.float32)
        # One thread: a product of this size ends before others have woken, above all on a busy machine.
        faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]  # its stubs leave it out
            faiss.swig_ptr(scores), faiss.swig_ptr(query), faiss.swig_ptr(vectors), self.dimension, len(vectors)
        )
        return scores

    def _checked(self, queries: Vectors) -> Vectors:
        if queries.shape[1] != self.dimension:
            raise ValueError(
                f"The query has {queries.shape[1]} dimensions, the index {self.dimension}: they were made by different "
                "embedders. Rebuild the index: tutor index --rebuild"
            )
        return np.ascontiguousarray(queries, dtype=np.float32)

    def _nearest(self, queries: Vectors, count: int) -> tuple[Vectors, Rows]:
        """As faiss finds them: by rounded scores where it walks through a graph."""
        import faiss

        if self.device != "cpu" and count <= _GPU_COUNT:
            with self._lock:  # a GPU index has one scratch memory
                scores, rows = self._on_gpu.search(queries, min(count, self.count))
            return scores, rows
        with _threads_for(queries):
            if self._graph is not None:
                scores, rows = self._graph.search(queries, count)
            else:
                scores, rows = faiss.knn(queries, self._vectors, count, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, rows

    @cached_property
    def _on_gpu(self) -> Any:  # noqa: ANN401 - faiss has no types
        import faiss

        self._resources = faiss.StandardGpuResources()
        index = faiss.index_cpu_to_gpu(self._resources, 0, faiss.IndexFlatIP(self.dimension))
        index.add(self._vectors)
        return index


def gpu_count() -> int:
    """GPUs that faiss can use; 0 on a machine without one and with the CPU wheel."""
    import faiss

    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def _make_graph(vectors: Vectors) -> Any:  # noqa: ANN401 - faiss has no types
    """A graph over the vectors with a byte a dimension, the vectors' row numbers as ids."""
    import faiss

    count, dimension = vectors.shape
    kept = min(dimension, _GRAPH_DIMENSION)
    hnsw: Any = faiss.index_factory(kept, f"HNSW{_LINKS}_SQ8", faiss.METRIC_INNER_PRODUCT)
    hnsw.hnsw.efConstruction, hnsw.hnsw.efSearch = _BUILD_BREADTH, _SEARCH_BREADTH
    components: Any = faiss.PCAMatrix(dimension, kept)
    # Without a mean: inner products are to be kept, not distances from a centre.
    components.have_bias = False
    graph: Any = faiss.IndexIDMap(hnsw if kept == dimension else faiss.IndexPreTransform(components, hnsw))
    graph.train(vectors[:: math.ceil(count / _BLOCK)])
    for start in range(0, count, _BLOCK):
        block = vectors[start : start + _BLOCK]
        graph.add_with_ids(block, np.arange(start, start + len(block)))
    return graph


def _read_graph(file: Path, *, in_memory: bool) -> Any:  # noqa: ANN401 - faiss has no types
    import faiss

    try:
        # Not IO_FLAG_MMAP, which is for inverted lists alone.
        graph = faiss.read_index(str(file), 0 if in_memory else faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise ValueError(f"{file.name} cannot be read by faiss") from error
    if not isinstance(graph, faiss.IndexIDMap):
        raise ValueError(f"{file.name} is not a graph but {type(graph).__name__}")
    return graph


def _ids(graph: Any) -> Rows:  # noqa: ANN401 - faiss has no types
    import faiss

    return np.asarray(faiss.vector_to_array(graph.id_map), dtype=np.int64)


def _renumber(graph: Any, row_of: Rows) -> None:  # noqa: ANN401 - faiss has no types
    """Replace each id by `row_of[id]`; faiss hands -1 on as what it did not find."""
    import faiss

    faiss.copy_array_to_vector(row_of[_ids(graph)], graph.id_map)


@contextmanager
def _threads_for(queries: Vectors) -> Iterator[None]:
    """One thread for one query: waking others takes longer than searching, 50 times longer on a busy machine."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if len(queries) == 1 else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)

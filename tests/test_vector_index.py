from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.vector_index import VectorIndex, gpu_count


def unit_vectors(count: int, dimension: int = 32) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_nearest_vector_comes_first_with_its_cosine():
    vectors = unit_vectors(20)
    index = VectorIndex(vectors, use_gpu=False)

    scores, rows = index.search(vectors[7:8], 3)

    assert rows[0, 0] == 7
    assert scores[0, 0] == pytest.approx(1, abs=1e-5)
    assert list(scores[0]) == sorted(scores[0], reverse=True)


def test_search_is_exact():
    vectors, queries = unit_vectors(200), unit_vectors(5)[::-1]

    scores, rows = VectorIndex(vectors, use_gpu=False).search(queries, 200)

    assert np.allclose(np.take_along_axis(queries @ vectors.T, rows, axis=1), scores, atol=1e-5)


def test_no_more_is_found_than_there_is():
    _, rows = VectorIndex(unit_vectors(2), use_gpu=False).search(unit_vectors(1), 10)

    assert rows.shape == (1, 2)


def test_a_query_of_another_dimension_says_to_rebuild():
    index = VectorIndex(unit_vectors(3, 32), use_gpu=False)

    with pytest.raises(ValueError, match=r"16 dimensions, the index 32.*tutor index --rebuild"):
        index.search(unit_vectors(1, 16), 1)


def test_without_a_gpu_it_searches_on_the_cpu():
    assert VectorIndex(unit_vectors(3), use_gpu=False).device == "cpu"
    assert VectorIndex(unit_vectors(3)).device == ("cuda:0" if gpu_count() else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif("gpu_count() == 0", reason="faiss finds no GPU")
def test_scores_of_cpu_and_gpu_agree():
    vectors, queries = unit_vectors(5000, 256), unit_vectors(8, 256)

    cpu_scores, cpu_rows = VectorIndex(vectors, use_gpu=False).search(queries, 10)
    gpu_scores, gpu_rows = VectorIndex(vectors).search(queries, 10)

    assert np.allclose(cpu_scores, gpu_scores, atol=1e-4)
    assert np.array_equal(cpu_rows[:, 0], gpu_rows[:, 0])


def clustered_vectors(count: int = 3000, dimension: int = 32) -> np.ndarray:
    """Vectors in groups of thirty, as passages on the same subject are."""
    dice = np.random.default_rng(2)
    centres = np.repeat(dice.normal(size=(count // 30, dimension)), 30, axis=0)
    vectors = (centres + 0.5 * dice.normal(size=centres.shape)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)]))


@pytest.fixture(scope="module")
def linked() -> VectorIndex:
    """A collection that counts as large."""
    return VectorIndex(clustered_vectors(), use_gpu=False, exact_limit=1000)


def test_the_size_decides_how_it_searches_and_the_reason_is_told(linked: VectorIndex):
    exact = VectorIndex(clustered_vectors(), use_gpu=False)

    assert exact.is_exact
    assert exact.description == "exact search: 3,000 passages, under 50,000"
    assert not linked.is_exact
    assert linked.description == "approximate search over an HNSW graph: 3,000 passages, 1,000 or more"


def test_a_graph_finds_nearly_all_that_an_exact_search_finds_with_the_same_scores(linked: VectorIndex):
    vectors = clustered_vectors()
    queries = vectors[::50] + 0.01

    truth_scores, truth = VectorIndex(vectors, use_gpu=False).search(queries, 10)
    scores, rows = linked.search(queries, 10)

    assert recall(rows, truth) >= 0.98
    assert np.allclose(scores[:, 0], truth_scores[:, 0], atol=1e-6)
    assert np.allclose(np.einsum("qd,qkd->qk", queries, vectors[rows]), scores, atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_a_graph_of_long_vectors_finds_nearly_all_and_scores_whole_vectors(tmp_path: Path):
    vectors = clustered_vectors(dimension=400)
    queries = vectors[::50] + 0.01
    built = VectorIndex(vectors, use_gpu=False, exact_limit=1000)
    built.save(tmp_path / "graph.faiss")
    loaded = VectorIndex.load(vectors, tmp_path / "graph.faiss", use_gpu=False, exact_limit=1000)
    former = np.concatenate([np.full(100, -1), np.arange(100, 3000)])

    truth = VectorIndex(vectors, use_gpu=False).search(queries, 10)[1]

    for index in (built, loaded, loaded.updated(vectors, former)):
        scores, rows = index.search(queries, 10)
        assert recall(rows, truth) >= 0.98
        assert np.allclose(np.einsum("qd,qkd->qk", queries, vectors[rows]), scores, atol=1e-6)


def test_many_queries_find_what_each_would(linked: VectorIndex):
    queries = clustered_vectors()[:600]

    together = linked.search(queries, 5)[1]

    assert together.tolist() == [linked.search(query[None], 5)[1][0].tolist() for query in queries]


def test_what_a_graph_does_not_lead_to_is_row_minus_one(linked: VectorIndex, tmp_path: Path):
    vectors = clustered_vectors()
    linked.save(tmp_path / "graph.faiss")
    loaded = VectorIndex.load(vectors, tmp_path / "graph.faiss", use_gpu=False, exact_limit=1000)
    # The graph leads to these first, but they have gone.
    nearest = loaded.search(vectors[:1], 90)[1][0]
    former = np.setdiff1d(np.arange(3000), nearest)

    scores, rows = loaded.updated(vectors[former], former).search(vectors[:1], 100)

    assert (rows[0] < 0).any()
    assert np.isneginf(scores[0, rows[0] < 0]).all()
    assert not np.isin(former[rows[0, rows[0] >= 0]], nearest).any()


@pytest.mark.parametrize("rows", [slice(None), np.array([5, 1, 1, 30])])
def test_cosines_are_those_of_the_rows_asked_for(linked: VectorIndex, rows: slice | np.ndarray):
    vectors = clustered_vectors()

    assert np.allclose(linked.cosines(vectors[3:4], rows), vectors[rows] @ vectors[3], atol=1e-6)


def test_a_graph_that_was_saved_is_mapped_and_finds_the_same(linked: VectorIndex, tmp_path: Path):
    queries = clustered_vectors()[::100]

    linked.save(tmp_path / "graph.faiss")
    loaded = VectorIndex.load(clustered_vectors(), tmp_path / "graph.faiss", use_gpu=False)
    loaded.save(tmp_path / "again.faiss")

    assert loaded.search(queries, 10)[1].tolist() == linked.search(queries, 10)[1].tolist()
    assert not loaded.is_exact
    assert (tmp_path / "again.faiss").read_bytes() == (tmp_path / "graph.faiss").read_bytes()


def test_an_exact_search_needs_no_file(tmp_path: Path):
    VectorIndex(unit_vectors(9), use_gpu=False).save(tmp_path / "graph.faiss")

    assert not list(tmp_path.iterdir())
    assert VectorIndex.load(unit_vectors(9), tmp_path / "graph.faiss", use_gpu=False).is_exact


@pytest.mark.parametrize("content", [b"", b"no graph", b"IwSq" + bytes(200)])
def test_a_file_that_holds_no_graph_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "graph.faiss").write_bytes(content)

    with pytest.raises(ValueError, match=r"graph\.faiss (cannot be read|is not a graph)"):
        VectorIndex.load(unit_vectors(9), tmp_path / "graph.faiss", use_gpu=False)


def test_a_graph_follows_what_was_removed_moved_and_added(linked: VectorIndex, tmp_path: Path):
    before = clustered_vectors()
    linked.save(tmp_path / "graph.faiss")
    loaded = VectorIndex.load(before, tmp_path / "graph.faiss", use_gpu=False, exact_limit=1000)
    new = unit_vectors(100)
    former = np.concatenate([np.full(50, -1), np.arange(200, 3000), np.full(50, -1)])
    after = np.concatenate([new[:50], before[200:], new[50:]])

    updated = loaded.updated(after, former)

    assert not updated.is_exact
    assert updated.search(after, 1)[1][:, 0].tolist() == list(range(2900))
    assert (
        recall(updated.search(after[::40], 10)[1], VectorIndex(after, use_gpu=False).search(after[::40], 10)[1]) > 0.97
    )
    gone, kept = updated.search(before[100:101], 5)[0][0], loaded.search(before[100:101], 1)[0][0]
    assert gone.max() < kept.max()


@pytest.mark.parametrize(("count", "is_exact"), [(3000, False), (900, True)])
def test_what_changed_too_much_is_indexed_anew(linked: VectorIndex, tmp_path: Path, count: int, is_exact: bool):
    linked.save(tmp_path / "graph.faiss")
    loaded = VectorIndex.load(clustered_vectors(), tmp_path / "graph.faiss", use_gpu=False, exact_limit=1000)
    vectors = unit_vectors(count)

    updated = loaded.updated(vectors, np.full(count, -1))

    assert updated.is_exact == is_exact
    assert updated.search(vectors[:1], 1)[1][0, 0] == 0


@pytest.mark.gpu
@pytest.mark.skipif("gpu_count() == 0", reason="faiss finds no GPU")
def test_a_large_collection_on_cpu_and_gpu_agree():
    vectors, queries = clustered_vectors(), clustered_vectors()[::20]

    cpu_scores, cpu_rows = VectorIndex(vectors, use_gpu=False, exact_limit=1000).search(queries, 10)
    on_gpu = VectorIndex(vectors, exact_limit=1000)
    gpu_scores, gpu_rows = on_gpu.search(queries, 10)

    assert on_gpu.device == "cuda:0"
    assert np.allclose(cpu_scores, gpu_scores, atol=1e-4)
    assert recall(gpu_rows, cpu_rows) > 0.98


@pytest.mark.gpu
@pytest.mark.skipif("gpu_count() == 0", reason="faiss finds no GPU")
def test_more_neighbours_than_a_gpu_gives_are_found_on_the_cpu():
    vectors = unit_vectors(5000)

    assert VectorIndex(vectors).search(vectors[:2], 5000)[1].shape == (2, 5000)

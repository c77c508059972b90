from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.passage_index import (
    IndexDamagedError,
    IndexMissingError,
    IndexStaleError,
    PassageIndex,
    StoredChunks,
    load_index,
    read_manifest,
    save_index,
    write_atomically,
)
from index.vector_index import VectorIndex
from tutor.settings import Settings
from tutor.tutor import Tutor

GENERATION_FILES = (
    "documents.jsonl",
    "chunks.jsonl",
    "chunks.npy",
    "vectors.npy",
    "embedder.npz",
    "idf.npz",
    "keywords/data.csc.index.npy",
    "keywords/indices.csc.index.npy",
    "keywords/indptr.csc.index.npy",
    "keywords/params.index.json",
    "keywords/vocab.index.json",
)


@pytest.fixture
def indexed(settings: Settings) -> Tutor:
    """A tutor whose index has every kind of file: vectors fitted to the text are kept beside it."""
    tutor = Tutor(settings.model_copy(update={"embedder": "corpus"}))
    tutor.update_index()
    return tutor


@pytest.fixture
def folder(indexed: Tutor) -> Path:
    return indexed.settings.index_folder


def generation(folder: Path) -> Path:
    return folder / "generations" / read_manifest(folder).generation


def test_what_was_saved_is_what_is_loaded(indexed: Tutor, folder: Path):
    built, loaded = indexed.update_index(rebuild=True).index, load_index(folder)

    assert loaded.manifest == built.manifest
    assert loaded.documents == built.documents
    assert loaded.chunks == built.chunks
    assert np.array_equal(loaded.vectors, built.vectors)
    assert np.array_equal(loaded.keywords.scores(["dropout"]), built.keywords.scores(["dropout"]))


def test_the_manifest_says_what_the_index_was_made_from(folder: Path):
    manifest = read_manifest(folder)

    assert set(manifest.documents) == {"normalization.md", "regularization.md", "zh-notes.md"}
    assert manifest.documents["zh-notes.md"].language == "zh"
    assert manifest.documents["regularization.md"].chunks == 4
    assert set(manifest.files) == set(GENERATION_FILES)


def test_sections_are_found_by_their_links_from_any_heading_of_the_path(folder: Path):
    sections = load_index(folder).by_section

    (chunk,) = sections["regularization#common-mistake-l2-in-adam-is-weight-decay"]
    assert chunk.document_id == "regularization.md"
    assert [chunk.heading for chunk in sections["regularization#weight-decay"]] == [
        "Weight decay",
        "Common mistake: L2 in Adam is weight decay",
    ]
    assert "regularization#nowhere" not in sections


def test_without_an_index_the_message_names_the_command(tmp_path: Path):
    with pytest.raises(IndexMissingError, match="Build it: tutor index"):
        load_index(tmp_path)


# numpy leaves a file open that begins like a zip and is none.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", GENERATION_FILES)
@pytest.mark.parametrize("harm", ["missing", "truncated", "garbage"])
def test_damage_to_any_file_is_reported_with_the_way_out(folder: Path, name: str, harm: str):
    file = generation(folder) / name
    content = file.read_bytes()
    # Written anew beside it: an index in memory may still be mapped to the old file.
    file.unlink()
    if harm == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif harm == "garbage":
        file.write_bytes(b"PK\x03\x04" + b"\xff" * (len(content) - 4))

    with pytest.raises(IndexDamagedError, match=r"is damaged \(.*\)\. Rebuild it: tutor index --rebuild"):
        load_index(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format_version": 2}', "\x00\x01", '{"format_version": 2, "documents": 3}']
)
def test_a_broken_manifest_is_reported_with_the_way_out(folder: Path, text: str):
    (folder / "current.json").write_text(text, encoding="utf-8")

    with pytest.raises(IndexDamagedError, match="tutor index --rebuild"):
        load_index(folder)


@pytest.mark.parametrize("change", [{"files": []}, {"files": {"chunks.jsonl": "many"}}, {"generation": "gone"}])
def test_a_manifest_with_odd_values_is_reported_with_the_way_out(folder: Path, change: dict[str, object]):
    manifest = json.loads((folder / "current.json").read_text(encoding="utf-8"))
    (folder / "current.json").write_text(json.dumps(manifest | change), encoding="utf-8")

    with pytest.raises(IndexDamagedError, match="tutor index --rebuild"):
        load_index(folder)


def test_an_index_of_another_format_version_says_to_rebuild(folder: Path):
    manifest = json.loads((folder / "current.json").read_text(encoding="utf-8"))
    (folder / "current.json").write_text(json.dumps(manifest | {"format_version": 99}), encoding="utf-8")

    with pytest.raises(IndexStaleError, match=r"has format 99, this version reads 2.*tutor index --rebuild"):
        load_index(folder)


def renamed(index: PassageIndex, generation: str) -> PassageIndex:
    return replace(index, manifest=replace(index.manifest, generation=generation))


def test_the_generation_before_is_kept_for_readers_and_older_ones_and_rests_are_not(folder: Path):
    index = load_index(folder)
    before = index.manifest.generation
    (folder / "generations" / "99999999T000000-killed").mkdir()

    save_index(renamed(index, "second"), folder)
    assert {path.name for path in (folder / "generations").iterdir()} == {before, "second"}

    save_index(renamed(index, "third"), folder)
    assert {path.name for path in (folder / "generations").iterdir()} == {"second", "third"}


@pytest.mark.parametrize("place", ["vectors.npy", "current.json"])
def test_a_full_disk_leaves_the_old_index_and_no_rests(folder: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    index = load_index(folder)
    before = index.manifest.generation

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    # The disk is the one thing here that is not ours.
    monkeypatch.setattr(*((np, "save") if place == "vectors.npy" else (os, "fsync")), full)
    with pytest.raises(OSError, match="No space left"):
        save_index(renamed(index, "second"), folder)
    monkeypatch.undo()

    assert load_index(folder).manifest.generation == before
    assert [path.name for path in (folder / "generations").iterdir()] == [before]
    assert not list(folder.glob("*.tmp"))


def test_a_reader_goes_on_searching_in_an_index_that_was_replaced_and_removed(folder: Path):
    reader = load_index(folder)
    scores = reader.keywords.scores(["dropout"])

    shutil.rmtree(generation(folder))

    assert reader.keywords.scores(["dropout"]).tolist() == scores.tolist()
    assert reader.nearest.search(reader.vectors[:1], 1)[1].tolist() == [[0]]


def test_writing_atomically_replaces_the_text_and_leaves_nothing_beside_it(tmp_path: Path):
    file = tmp_path / "current.json"

    write_atomically(file, "old")
    write_atomically(file, "批归一化")

    assert file.read_text(encoding="utf-8") == "批归一化"
    assert [path.name for path in tmp_path.iterdir()] == ["current.json"]


def test_passages_that_stay_on_disk_are_those_in_memory(folder: Path):
    in_memory = load_index(folder).chunks

    stored = StoredChunks(generation(folder) / "chunks.jsonl", np.load(generation(folder) / "chunks.npy"))

    assert len(stored) == len(in_memory)
    assert list(stored) == stored[:] == [stored[row] for row in range(len(stored))] == in_memory
    assert (stored[-1], stored[2:4]) == (in_memory[-1], in_memory[2:4])
    assert stored[3] is stored[3]
    with pytest.raises(IndexError):
        stored[len(stored)]


def test_a_file_of_passages_that_is_too_short_is_refused(folder: Path):
    place = generation(folder)
    (place / "short.jsonl").write_bytes((place / "chunks.jsonl").read_bytes()[:-5])

    with pytest.raises(ValueError, match="not where its last row ends"):
        StoredChunks(place / "short.jsonl", np.load(place / "chunks.npy"))


def test_the_chunks_of_a_document_are_found_without_a_look_at_the_others(folder: Path):
    index = load_index(folder)

    for name in index.manifest.documents:
        assert index.chunks_of(name) == [chunk for chunk in index.chunks if chunk.document_id == name]
    assert list(index.chunks_of("nowhere.md")) == []


def test_vectors_are_mapped_from_their_file_and_not_copied(folder: Path):
    assert isinstance(load_index(folder).vectors, np.memmap)


def test_the_graph_of_a_large_collection_are_saved_and_loaded(folder: Path):
    index = load_index(folder)
    listed = replace(renamed(index, "second"), nearest=VectorIndex(index.vectors, use_gpu=False, exact_limit=1))

    save_index(listed, folder)
    loaded = load_index(folder)

    assert "graph.faiss" in loaded.manifest.files
    assert not loaded.nearest.is_exact
    assert loaded.nearest.search(index.vectors[:3], 1)[1].tolist() == [[0], [1], [2]]


def test_the_graph_of_other_vectors_is_damage(folder: Path):
    index = load_index(folder)
    other = VectorIndex(index.vectors[:-1], use_gpu=False, exact_limit=1)

    save_index(replace(renamed(index, "second"), nearest=other), folder)

    with pytest.raises(IndexDamagedError, match=r"graph\.faiss is not the graph of 9 vectors"):
        load_index(folder)


def test_a_manifest_is_read_again_after_it_was_replaced(folder: Path):
    assert read_manifest(folder) is read_manifest(folder)

    save_index(renamed(load_index(folder), "second"), folder)

    assert read_manifest(folder).generation == "second"

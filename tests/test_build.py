from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

import index.build
import index.passage_index
from corpus.documents import parse_document
from index.build import BuildReport, IndexBusyError, build_index, index_documents
from index.embedding_cache import EmbeddingCache
from index.passage_index import IndexDamagedError, IndexStaleError, load_index, read_manifest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOPICS = ("momentum", "dropout", "batchnorm", "attention", "convolution", "pooling", "recurrence", "augmentation")


def write_guide(folder: Path, topic: str, text: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{topic}.md"
    body = text or f"The idea of {topic} is asked in every interview; say what {topic} costs and what it buys."
    file.write_text(f"# {topic.title()}\n\n## What {topic} does\n\n{body}\n", encoding="utf-8")
    return file


@pytest.fixture
def guides(tmp_path: Path) -> Path:
    """A folder of eight guides with a passage each."""
    for topic in TOPICS:
        write_guide(tmp_path / "guides", topic)
    return tmp_path / "guides"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


def build(folder: Path, *sources: Path, **changes: object) -> BuildReport:
    options: dict[str, Any] = {"embedder": "corpus", "dimension": 8, "chunk_words": 200, "now": NOW}
    return build_index(folder, sources, **{**options, **changes})


def test_the_first_build_embeds_everything(folder: Path, guides: Path):
    report = build(folder, guides)

    assert len(report.added) == report.embedded == len(report.index.chunks) == 8
    assert read_manifest(folder).created_at == "2026-01-02T03:04:05+00:00"


def test_a_second_build_without_changes_writes_nothing(folder: Path, guides: Path):
    generation = build(folder, guides).index.manifest.generation

    report = build(folder, guides)

    assert (report.kept, report.embedded, report.changed) == (8, 0, ())
    assert read_manifest(folder).generation == generation


def test_only_the_changed_guide_is_embedded_again(folder: Path, guides: Path):
    before = build(folder, guides).index
    write_guide(guides, "dropout", "Dropout zeroes activations in training and is switched off at inference.")

    report = build(folder)

    assert (report.changed, report.kept, report.embedded) == (("dropout.md",), 7, 1)
    assert "zeroes activations" in report.index.chunks_of("dropout.md")[0].text
    rows = [row for row, chunk in enumerate(before.chunks) if chunk.document_id != "dropout.md"]
    assert np.array_equal(report.index.vectors[rows], before.vectors[rows])


def test_a_large_change_makes_the_word_vectors_anew(folder: Path, guides: Path):
    build(folder, guides)
    for topic in TOPICS[:4]:
        write_guide(guides, topic, f"Everything about {topic} was rewritten, with other words about tensors.")

    report = build(folder)

    assert (len(report.changed), report.embedded) == (4, 8)


def test_a_guide_deleted_from_its_folder_leaves_the_index(folder: Path, guides: Path):
    build(folder, guides)
    (guides / "pooling.md").unlink()

    report = build(folder)

    assert report.removed == ("pooling.md",)
    assert "pooling.md" not in report.index.documents_by_id
    assert len(report.index.chunks) == len(report.index.vectors) == report.index.keywords.count == 7


def test_a_renamed_guide_is_found_under_its_new_name(folder: Path, guides: Path):
    build(folder, guides)
    (guides / "pooling.md").rename(guides / "max-pooling.md")

    report = build(folder)

    assert (report.added, report.removed) == (("max-pooling.md",), ("pooling.md",))


def test_a_source_that_is_gone_is_kept_as_it_was_last_read(folder: Path, guides: Path, tmp_path: Path):
    upload = write_guide(tmp_path / "uploads", "distillation")
    build(folder, guides, upload)
    upload.unlink()

    report = build(folder)

    assert "distillation.md" in report.index.documents_by_id
    assert "distillation.md: kept as it was last read" in report.notes[0]


def test_a_source_that_is_gone_can_be_forgotten(folder: Path, guides: Path, tmp_path: Path):
    upload = write_guide(tmp_path / "uploads", "distillation")
    build(folder, guides, upload)
    upload.unlink()

    assert build(folder, forget_missing=True).removed == ("distillation.md",)


def test_a_guide_that_cannot_be_read_now_is_reported_and_kept(folder: Path, guides: Path):
    build(folder, guides)
    (guides / "pooling.md").write_bytes(b"\xff\xff")

    report = build(folder)

    assert [problem.path for problem in report.problems] == ["pooling.md"]
    assert "pooling.md" in report.index.documents_by_id


def test_guides_of_one_name_in_several_sources_are_all_kept_and_keep_their_ids(folder: Path, tmp_path: Path):
    sources = [tmp_path / place / "guides" for place in ("mine", "yours", "theirs")]
    for number, source in enumerate(sources):
        write_guide(source, "dropout", f"Dropout as author {number} tells it, with a rate.")
    single = write_guide(tmp_path / "notes", "dropout", "Dropout as my own notes have it, with a rate.")

    first = build(folder, *sources, single)
    write_guide(sources[1], "dropout", "Dropout told anew by the second author, with a rate.")
    second = build(folder)

    assert list(first.added) == ["dropout.md", "guides-2/dropout.md", "guides/dropout.md", "notes/dropout.md"]
    assert second.changed == ("guides/dropout.md",)
    assert not second.added + second.removed


def test_a_file_that_lies_in_a_given_folder_too_is_indexed_once(folder: Path, guides: Path):
    build(folder, guides / "dropout.md")

    report = build(folder, guides)

    assert sorted(report.index.documents_by_id) == sorted(f"{topic}.md" for topic in TOPICS)


def test_a_document_is_taken_out_by_its_id(folder: Path, guides: Path, tmp_path: Path):
    upload = write_guide(tmp_path / "uploads", "distillation")
    build(folder, guides, upload)

    assert build(folder, remove=["distillation.md"]).removed == ("distillation.md",)
    assert "distillation.md" not in build(folder).index.documents_by_id


def test_a_removed_guide_stays_out_until_it_is_named_again(folder: Path, guides: Path):
    build(folder, guides)
    build(folder, remove=["dropout.md"])

    refreshed = build(folder, guides)
    rebuilt = build(folder, guides, rebuild=True)
    named = build(folder, guides, restore=[guides / "dropout.md"])

    assert "dropout.md" not in refreshed.index.manifest.documents
    assert "dropout.md" not in rebuilt.index.manifest.documents
    assert named.added == ("dropout.md",)
    assert build(folder, guides).kept == len(named.index.manifest.documents)


def test_removing_what_is_not_there_names_the_list(folder: Path, guides: Path):
    with pytest.raises(ValueError, match=r"No document 'nowhere\.md' in the index\. See: tutor index --list"):
        build(folder, guides, remove=["nowhere.md"])


def test_a_missing_source_is_an_error_and_leaves_the_index(folder: Path, guides: Path, tmp_path: Path):
    generation = build(folder, guides).index.manifest.generation

    with pytest.raises(FileNotFoundError, match="No such file or folder"):
        build(folder, tmp_path / "nowhere")

    assert read_manifest(folder).generation == generation


def test_nothing_to_index_is_an_error_with_the_reasons(folder: Path, tmp_path: Path):
    (tmp_path / "paper.pdf").write_bytes(b"%PDF")

    with pytest.raises(ValueError, match=r"Nothing to index\. paper\.pdf: the PDF is damaged"):
        build(folder, tmp_path / "paper.pdf")


def test_guides_of_headings_alone_are_an_error(folder: Path, tmp_path: Path):
    (tmp_path / "empty.md").write_text("# Dropout\n\n## Rate\n", encoding="utf-8")

    with pytest.raises(ValueError, match="no text to index below their headings"):
        build(folder, tmp_path / "empty.md")


@pytest.mark.parametrize(("setting", "value"), [("chunk_words", 100), ("embedder", "some/model")])
def test_other_settings_make_the_index_stale_and_name_what_differs(
    folder: Path, guides: Path, setting: str, value: object
):
    build(folder, guides)

    with pytest.raises(IndexStaleError, match=rf"{setting} .*, now {value!r}.*tutor index --rebuild"):
        build(folder, **{setting: value})


def test_a_rebuild_takes_other_settings_and_keeps_all_sources(folder: Path, guides: Path, tmp_path: Path):
    upload = write_guide(tmp_path / "uploads", "distillation")
    build(folder, guides, upload)
    upload.unlink()

    report = build(folder, rebuild=True, chunk_words=100)

    assert report.index.manifest.chunk_words == 100
    assert report.embedded == 9
    assert "distillation.md" in report.index.documents_by_id


def test_a_rebuild_makes_everything_anew_even_where_nothing_changed(folder: Path, guides: Path):
    generation = build(folder, guides).index.manifest.generation

    report = build(folder, rebuild=True, dimension=4)

    assert report.embedded == 8
    assert report.index.manifest.generation != generation
    assert report.index.manifest.dimension == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "name", ["chunks.jsonl", "vectors.npy", "idf.npz", "keywords/params.index.json", "current.json"]
)
def test_a_damaged_index_is_repaired_by_a_rebuild_alone(folder: Path, guides: Path, name: str):
    generation = build(folder, guides).index.manifest.generation
    file = folder / name if name == "current.json" else folder / "generations" / generation / name
    file.write_bytes(b"PK\x03\x04" + bytes(file.stat().st_size - 4))

    with pytest.raises(IndexDamagedError, match="tutor index --rebuild"):
        build(folder, guides)
    build(folder, guides, rebuild=True)

    assert len(load_index(folder).chunks) == 8


def test_a_rebuild_of_a_damaged_index_goes_on_without_a_source_that_is_gone(folder: Path, guides: Path, tmp_path: Path):
    upload = write_guide(tmp_path / "uploads", "distillation")
    generation = build(folder, guides, upload).index.manifest.generation
    upload.unlink()
    (folder / "generations" / generation / "vectors.npy").unlink()

    report = build(folder, rebuild=True)

    assert len(report.index.documents) == 8
    assert "distillation.md: left out; it is gone" in report.notes[0]


def test_another_format_version_is_repaired_by_a_rebuild(folder: Path, guides: Path):
    build(folder, guides)
    manifest = json.loads((folder / "current.json").read_text(encoding="utf-8"))
    (folder / "current.json").write_text(json.dumps(manifest | {"format_version": 0}), encoding="utf-8")

    with pytest.raises(IndexStaleError, match="has format 0"):
        build(folder, guides)

    assert len(build(folder, guides, rebuild=True).index.documents) == 8


def test_the_stages_of_a_build_are_told(folder: Path, guides: Path):
    stages: list[str] = []

    build(folder, guides, progress=lambda stage, _done, _total: stages.append(stage))

    assert list(dict.fromkeys(stages))[-5:] == [
        "cutting passages",
        "learning word vectors",
        "embedding passages",
        "indexing keywords",
        "saving",
    ]
    assert "reading dropout.md" in stages


STAGES = ("reading dropout.md", "cutting passages", "embedding passages", "indexing keywords", "saving")


def kill_at(stage: str, folder: Path, guides: Path) -> None:
    def progress(now: str, _done: int, _total: int) -> None:
        if now == stage:
            os.kill(os.getpid(), signal.SIGKILL)

    build(folder, guides, progress=progress)


def kill_while_saving(file: str, folder: Path, guides: Path) -> None:
    """Die when a file of the new generation is opened for writing."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(file) and "w" in str(arguments[1]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    build(folder, guides)


def in_process(target: Callable[..., None], *arguments: object) -> multiprocessing.Process:
    # A fork has the heavy imports already; each child makes its own files and leaves no thread behind.
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("death", "place"),
    [(kill_at, stage) for stage in STAGES]
    + [(kill_while_saving, name) for name in ("chunks.jsonl", "vectors.npy", "idf.npz", ".tmp")],
)
def test_a_build_that_is_killed_leaves_the_old_index_and_the_next_one_succeeds(
    folder: Path, guides: Path, death: Callable[..., None], place: str
):
    before = build(folder, guides).index.manifest
    write_guide(guides, "dropout", "Dropout was rewritten while the power was about to fail.")

    process = in_process(death, place, folder, guides)
    process.join(30)

    assert process.exitcode == -signal.SIGKILL
    assert load_index(folder).manifest == before
    assert build(folder, guides).changed == ("dropout.md",)
    assert len(list((folder / "generations").iterdir())) == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_first_build_that_is_killed_leaves_no_index_and_the_next_one_succeeds(folder: Path, guides: Path):
    process = in_process(kill_at, "saving", folder, guides)
    process.join(30)

    assert not (folder / "current.json").exists()
    assert len(build(folder, guides).added) == 8


def test_a_full_disk_while_building_leaves_the_old_index(folder: Path, guides: Path, monkeypatch: pytest.MonkeyPatch):
    before = build(folder, guides).index.manifest
    write_guide(guides, "dropout", "Dropout was rewritten on a disk without room.")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        build(folder, guides)
    monkeypatch.undo()

    assert load_index(folder).manifest == before
    assert build(folder, guides).changed == ("dropout.md",)


def test_two_processes_that_index_at_once_both_succeed(folder: Path, guides: Path, tmp_path: Path):
    extra = [write_guide(tmp_path / name, f"guide-{name}").parent for name in ("first", "second")]
    code = (
        "import sys; from pathlib import Path; from datetime import UTC, datetime; from index.build import build_index\n"
        "folder, *sources = map(Path, sys.argv[1:])\n"
        "build_index(folder, sources, embedder='corpus', dimension=8, chunk_words=200, now=datetime.now(UTC))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(folder), str(guides), str(source)]) for source in extra
    ]

    assert [process.wait(60) for process in processes] == [0, 0]
    assert {"guide-first.md", "guide-second.md"} < set(load_index(folder).documents_by_id)
    assert len(load_index(folder).documents) == 10


def test_a_writer_waits_for_another_and_gives_up_in_the_end(folder: Path, guides: Path):
    folder.mkdir()
    with FileLock(folder / "index.lock"), pytest.raises(IndexBusyError, match="Another process has been writing"):
        build(folder, guides, lock_seconds=0.05)


def write_again_and_again(folder: Path, guides: Path) -> None:
    for number in range(6):
        write_guide(guides, "dropout", f"Dropout in version {number} of the guide.")
        build(folder, guides)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_readers_find_a_whole_index_while_another_process_replaces_it(folder: Path, guides: Path):
    before = build(folder, guides).index
    writer = in_process(write_again_and_again, folder, guides)
    seen = set()
    deadline = time.monotonic() + 30

    while writer.is_alive() and time.monotonic() < deadline:
        index = load_index(folder)
        seen.add(index.manifest.generation)
        assert len(index.chunks) == 8

    assert writer.exitcode == 0
    assert len(seen) > 1
    assert "every interview" in before.chunks_of("dropout.md")[0].text


def test_an_index_in_memory_is_made_of_documents_alone(home: Path):
    documents = [parse_document(f"# {topic}\n\nAbout {topic}.", f"{topic}.md", sha256="") for topic in TOPICS]

    index = index_documents(documents, embedder="corpus", dimension=4, chunk_words=100)

    assert len(index.chunks) == 8
    assert index.vectors.shape == (8, 4)
    assert not home.exists()


class RecordingEmbedder:
    """Bags of letters, as slow as a model: what it embeds is written to a file, and it may die at a given passage."""

    name = "test/recording"
    dimension = 26

    def __init__(
        self, record: Path, *, dies_at: int = 0, death: int = signal.SIGKILL, delay_seconds: float = 0
    ) -> None:
        self._record, self._dies_at, self._death, self._delay_seconds = record, dies_at, death, delay_seconds

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        before = len(self.embedded)
        if self._dies_at and before + len(texts) >= self._dies_at:
            # A shell's background jobs ignore Ctrl-C; here it must come through.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.kill(os.getpid(), self._death)
        time.sleep(self._delay_seconds)
        with self._record.open("a", encoding="utf-8") as stream:
            stream.writelines(f"{text!r}\n" for text in texts)
        counts = np.array([[text.lower().count(chr(97 + letter)) for letter in range(26)] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)

    embed_queries = embed_passages

    @property
    def embedded(self) -> list[str]:
        return self._record.read_text(encoding="utf-8").splitlines() if self._record.exists() else []


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "embedded.txt"


def build_recorded(folder: Path, guides: Path, embedder: RecordingEmbedder, **changes: object) -> BuildReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index.build, "make_embedder", lambda _name: embedder)
        patch.setattr(index.passage_index, "make_embedder", lambda _name: embedder)
        patch.setattr(index.build, "EMBED_BATCH", 2)
        return build(folder, guides, embedder=embedder.name, **changes)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(("death", "exit_code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 1)])
def test_what_was_embedded_before_an_interruption_is_not_embedded_again(
    folder: Path, guides: Path, record: Path, death: int, exit_code: int
):
    process = in_process(build_recorded, folder, guides, RecordingEmbedder(record, dies_at=6, death=death))
    process.join(30)
    assert process.exitcode == exit_code
    assert len(RecordingEmbedder(record).embedded) == 4
    assert not (folder / "current.json").exists()

    report = build_recorded(folder, guides, RecordingEmbedder(record))

    assert len(RecordingEmbedder(record).embedded) == len(set(RecordingEmbedder(record).embedded)) == 8
    assert report.embedded == 8
    texts = [chunk.search_text for chunk in report.index.chunks]
    assert np.array_equal(report.index.vectors, RecordingEmbedder(record.with_name("anew")).embed_passages(texts))
    assert sorted(path.name for path in folder.iterdir()) == ["current.json", "generations", "index.lock"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_interrupted_update_goes_on_too_and_leaves_the_old_index(folder: Path, guides: Path, record: Path):
    before = build_recorded(folder, guides, RecordingEmbedder(record)).index.manifest
    for topic in TOPICS[:6]:
        write_guide(guides, topic, f"Rewritten: {topic} is asked in other words, and the power fails.")

    process = in_process(build_recorded, folder, guides, RecordingEmbedder(record, dies_at=8 + 5))
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert read_manifest(folder) == before

    assert len(build_recorded(folder, guides, RecordingEmbedder(record)).changed) == 6
    assert len(RecordingEmbedder(record).embedded) == 8 + 6


@pytest.mark.parametrize("harm", ["torn", "zeroed", "foreign"])
def test_a_damaged_record_of_an_interrupted_build_is_embedded_again(folder: Path, record: Path, harm: str):
    folder.mkdir()
    texts = ["dropout", "momentum", "pooling"]
    with EmbeddingCache(folder, RecordingEmbedder(record)) as cache:
        vectors = cache.embed(texts)
    (file,) = (folder / "embedding").iterdir()
    content = file.read_bytes()
    size = len(content) // 3
    file.write_bytes({"torn": content[:-9], "zeroed": content[:-size] + bytes(size), "foreign": b"x" * 7}[harm])

    for _ in range(2):
        with EmbeddingCache(folder, RecordingEmbedder(record)) as cache:
            assert np.array_equal(cache.embed(texts), vectors)

    assert len(RecordingEmbedder(record).embedded) == 3 + (3 if harm == "foreign" else 1)


class WiderEmbedder(RecordingEmbedder):
    """Another model under the same name: its vectors have four more dimensions."""

    dimension = 30

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        return np.pad(super().embed_passages(texts), ((0, 0), (0, 4)))


def test_a_model_that_another_one_took_the_place_of_leaves_the_index_as_it_was(
    folder: Path, guides: Path, record: Path
):
    before = build_recorded(folder, guides, RecordingEmbedder(record)).index
    write_guide(guides, "dropout", "Dropout zeroes activations in training and is switched off at inference.")

    with pytest.raises(IndexStaleError, match="gives 30 dimensions, the index was made with 26"):
        build_recorded(folder, guides, WiderEmbedder(record))

    assert read_manifest(folder) == before.manifest
    rebuilt = build_recorded(folder, guides, WiderEmbedder(record), rebuild=True).index
    assert rebuilt.vectors.shape == (8, 30)


def test_vectors_of_a_model_that_was_trained_again_are_not_taken_for_its_own(
    folder: Path, record: Path, tmp_path: Path
):
    folder.mkdir()
    model = tmp_path / "model"
    model.mkdir()
    embedder = RecordingEmbedder(record)
    embedder.name = str(model)
    for weights in ("first", "first", "second"):
        if not (model / weights).exists():
            (model / weights).write_text(weights, encoding="utf-8")
            os.utime(model / weights, ns=(len(weights), len(weights) + weights.count("o")))
        with EmbeddingCache(folder, embedder) as cache:
            cache.embed(["dropout"])

    assert len(embedder.embedded) == 2


def build_with_room_for(room_bytes: int, folder: Path, guides: Path, record: Path) -> None:
    """Build where no file can grow beyond a size: a real write fails in the middle, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))
    build_recorded(folder, guides, RecordingEmbedder(record))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("room_bytes", [0, 150, 500, 1200, 2500])
def test_a_disk_that_fills_at_any_moment_leaves_the_old_index(
    folder: Path, guides: Path, record: Path, tmp_path: Path, room_bytes: int
):
    before = build_recorded(folder, guides, RecordingEmbedder(record)).index
    for topic in TOPICS:
        write_guide(guides, topic, f"Rewritten: {topic} is asked in other words on a disk without room.")

    process = in_process(build_with_room_for, room_bytes, folder, guides, tmp_path / "lost.txt")
    process.join(30)

    assert process.exitcode == 1
    loaded = load_index(folder)
    assert loaded.manifest == before.manifest
    assert np.array_equal(loaded.vectors, before.vectors)
    assert len(build_recorded(folder, guides, RecordingEmbedder(record)).changed) == 8


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_of_two_slow_builds_at_once_the_second_waits_and_embeds_nothing_again(folder: Path, guides: Path, record: Path):
    slow = RecordingEmbedder(record, delay_seconds=0.05)

    processes = [in_process(build_recorded, folder, guides, slow) for _ in range(2)]
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0, 0]
    assert len(slow.embedded) == len(load_index(folder).chunks) == 8

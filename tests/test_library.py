"""The instructor's own guides and pictures: what an upload leaves behind, and what it does not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from corpus.documents import UnreadableFileError
from index.passage_index import read_manifest
from tutor.library import FileState, Library, Upload, picture_targets
from tutor.tutor import Tutor

MESSY_UPLOAD = """\
---
layout: page
---
{% include header.html %}
<div class="post">

# ðŸŽ¯ Label smoothing

Label smoothing mixes the one-hot target with the uniform distribution, so itâ€™s a brake on overconfident logits.
• A smoothing of 0.1 is common.
</div
"""
QUANTIZATION = (
    "# Quantization\n\n## INT8\n\nQuantization maps weights to 8-bit integers.\n\n![range](figures/range.png)\n"
)
PICTURE = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
def library(tutor: Tutor) -> Library:
    return Library(tutor)


def file_of(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def kept_files(library: Library) -> list[str]:
    """What lies in the folder of uploaded guides, hidden rests included."""
    return sorted(path.name for path in library.folder.glob("*")) if library.folder.exists() else []


class Watched(Upload):
    """An upload that keeps every state it was told, and stops at a stage."""

    def __init__(self, files: list[Path], *, stop_at: str = "") -> None:
        super().__init__(files)
        self.told: list[FileState] = []
        self.stop_at = stop_at

    def tell(self, place: int, state: FileState) -> None:
        super().tell(place, state)
        self.told.append(state)
        if state.stage == self.stop_at:
            self.stop.set()


# One guide


def test_uploaded_guide_outlives_the_file(library: Library, tmp_path: Path):
    upload = file_of(tmp_path, "label smoothing.md", MESSY_UPLOAD)

    document_id, report = library.add(upload)
    upload.unlink()

    assert (document_id,) == report.added == ("label smoothing.md",)
    library.tutor.update_index()
    assert "it’s a brake on overconfident logits" in library.tutor.ask("What is label smoothing?").text


def test_upload_that_cannot_be_read_is_refused_and_not_kept(library: Library, tmp_path: Path):
    for file in (file_of(tmp_path, "slides.pdf", b"%PDF-1.7 \0\1\2"), file_of(tmp_path, "notes.md", b"\xff\xfe \0")):
        with pytest.raises(UnreadableFileError):
            library.add(file)
        assert kept_files(library) == []


def test_broken_upload_does_not_take_the_place_of_a_sound_one(library: Library, tmp_path: Path):
    upload = file_of(tmp_path, "notes.md", MESSY_UPLOAD)
    library.add(upload)
    upload.write_bytes(b"\xff\xff")

    with pytest.raises(UnreadableFileError, match="line 1 is not UTF-8"):
        library.add(upload)

    assert (library.folder / "notes.md").read_text(encoding="utf-8") == MESSY_UPLOAD
    assert kept_files(library) == ["notes.md"]
    assert library.tutor.ask("What is label smoothing?").answered


def test_sound_upload_is_kept_beside_a_broken_guide_of_a_like_name(library: Library, tmp_path: Path):
    file_of(library.folder, "old-notes.md", b"\xff\xff")

    library.add(file_of(tmp_path, "notes.md", MESSY_UPLOAD))

    assert (library.folder / "notes.md").exists()


def test_a_guide_with_the_name_of_a_shipped_one_stands_beside_it(library: Library, tmp_path: Path):
    document_id, _ = library.add(file_of(tmp_path, "regularization.md", QUANTIZATION))

    assert document_id == "guides/regularization.md"
    assert {"regularization.md", document_id} <= set(library.tutor.index.manifest.documents)


# Several files


def test_one_broken_file_does_not_stop_the_others(library: Library, tmp_path: Path):
    files = [
        file_of(tmp_path, "quantization.md", QUANTIZATION),
        file_of(tmp_path, "broken.md", b"\xff\xff"),
        file_of(tmp_path, "smoothing.md", MESSY_UPLOAD),
    ]
    upload = Upload(files)
    library.run(upload)

    assert [state.stage for state in upload.states] == ["done", "failed", "done"]
    assert upload.is_over
    assert "line 1 is not UTF-8" in upload.states[1].message
    assert upload.states[0] == FileState("quantization.md", "done", 1, 1, "added", "quantization.md")
    assert kept_files(library) == ["quantization.md", "smoothing.md"]


def test_the_stages_of_a_file_come_in_order_with_a_count_of_its_passages(library: Library, tmp_path: Path):
    upload = Watched([file_of(tmp_path, "quantization.md", QUANTIZATION)])
    library.run(upload)

    stages = list(dict.fromkeys(state.stage for state in upload.told))
    assert stages == ["reading", "splitting", "embedding", "saving", "done"]
    assert [(state.done, state.total) for state in upload.told if state.stage == "embedding"] == [(0, 1), (1, 1)]


@pytest.mark.parametrize("stage", ["reading", "splitting", "embedding", "saving"])
def test_a_cancelled_upload_leaves_nothing_behind(library: Library, tmp_path: Path, stage: str):
    before = read_manifest(library.tutor.settings.index_folder).generation
    files = [file_of(tmp_path, "quantization.md", QUANTIZATION), file_of(tmp_path, "smoothing.md", MESSY_UPLOAD)]
    upload = Watched(files, stop_at=stage)
    library.run(upload)

    assert [state.stage for state in upload.states] == ["cancelled", "cancelled"]
    assert kept_files(library) == []
    assert read_manifest(library.tutor.settings.index_folder).generation == before


def test_a_cancelled_update_keeps_the_former_guide(library: Library, tmp_path: Path):
    upload = file_of(tmp_path, "quantization.md", QUANTIZATION)
    library.add(upload)
    upload.write_text(QUANTIZATION.replace("8-bit", "4-bit"), encoding="utf-8")
    library.run(Watched([upload], stop_at="embedding"))

    assert (library.folder / "quantization.md").read_text(encoding="utf-8") == QUANTIZATION
    assert "8-bit" in library.tutor.index.documents_by_id["quantization.md"].text


def test_what_was_finished_before_the_cancelling_stays(library: Library, tmp_path: Path):
    files = [file_of(tmp_path, "quantization.md", QUANTIZATION), file_of(tmp_path, "smoothing.md", MESSY_UPLOAD)]
    upload = Watched(files, stop_at="done")
    library.run(upload)

    assert [state.stage for state in upload.states] == ["done", "cancelled"]
    assert "quantization.md" in library.tutor.index.manifest.documents


def test_the_same_file_again_is_unchanged_and_another_text_updates_it(library: Library, tmp_path: Path):
    file = file_of(tmp_path, "quantization.md", QUANTIZATION)

    def uploaded() -> str:
        upload = Upload([file])
        library.run(upload)
        return upload.states[0].message

    assert [uploaded(), uploaded()] == ["added", "unchanged"]
    file.write_text(QUANTIZATION.replace("8-bit", "4-bit"), encoding="utf-8")
    assert uploaded() == "updated"


def test_two_files_of_one_name_are_not_taken_for_each_other(library: Library, tmp_path: Path):
    upload = Upload([file_of(tmp_path / "a", "q.md", QUANTIZATION), file_of(tmp_path / "b", "q.md", MESSY_UPLOAD)])
    library.run(upload)

    assert [state.stage for state in upload.states] == ["done", "failed"]
    assert "Another file of this name" in upload.states[1].message


def test_two_uploads_at_once_both_arrive(library: Library, tmp_path: Path):
    uploads = [
        Upload([file_of(tmp_path, "quantization.md", QUANTIZATION)]),
        Upload([file_of(tmp_path, "smoothing.md", MESSY_UPLOAD)]),
    ]
    threads = [threading.Thread(target=library.run, args=(upload,)) for upload in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [upload.states[0].stage for upload in uploads] == ["done", "done"]
    assert {"quantization.md", "smoothing.md"} <= set(library.tutor.index.manifest.documents)


# Removal


def test_a_removed_upload_is_gone_with_its_file_and_its_pictures(library: Library, tmp_path: Path):
    library.run(Upload([file_of(tmp_path, "quantization.md", QUANTIZATION), file_of(tmp_path, "range.png", PICTURE)]))
    assert kept_files(library) == ["quantization.md", "quantization.md.pictures"]

    report = library.remove("quantization.md")

    assert report.removed == ("quantization.md",)
    assert kept_files(library) == []
    assert library.removed == []


def test_a_removed_upload_can_be_uploaded_again(library: Library, tmp_path: Path):
    file = file_of(tmp_path, "quantization.md", QUANTIZATION)
    library.add(file)
    library.remove("quantization.md")

    assert library.add(file)[0] == "quantization.md"


def test_a_guide_of_a_folder_is_taken_out_and_put_back(library: Library):
    library.remove("regularization.md")
    assert library.removed == ["regularization.md"]
    assert "regularization.md" not in library.tutor.index.manifest.documents

    library.put_back("regularization.md")
    assert library.removed == []
    assert "regularization.md" in library.tutor.index.manifest.documents
    assert (library.tutor.settings.guides[0] / "regularization.md").exists()


def test_what_is_not_there_can_be_neither_removed_nor_put_back(library: Library):
    with pytest.raises(ValueError, match=r"No document 'gone\.md'"):
        library.remove("gone.md")
    with pytest.raises(ValueError, match="its file is gone"):
        library.put_back("gone.md")


# Pictures


def test_a_picture_uploaded_with_its_guide_is_found_whatever_folder_the_guide_names(library: Library, tmp_path: Path):
    files = [file_of(tmp_path, "range.png", PICTURE), file_of(tmp_path, "quantization.md", QUANTIZATION)]
    upload = Upload(files)
    library.run(upload)

    assert upload.states[0].message == "shown in quantization.md"
    found = library.picture("quantization.md", "figures/range.png")
    assert found is not None
    assert found.read_bytes() == PICTURE


def test_a_picture_that_no_guide_shows_is_refused(library: Library, tmp_path: Path):
    upload = Upload([file_of(tmp_path, "cat.png", PICTURE)])
    library.run(upload)

    assert upload.states[0].stage == "failed"
    assert "no uploaded guide shows" in upload.states[0].message


def test_a_picture_beside_a_guide_of_a_folder_is_found(library: Library, small_corpus: Path):
    picture = file_of(small_corpus / "guides", "figures/a b.png", PICTURE)

    assert library.picture("regularization.md", "figures/a%20b.png") == picture.resolve()
    assert library.picture("regularization.md", "./figures/../figures/a%20b.png?raw=1") == picture.resolve()


@pytest.mark.parametrize(
    "target",
    [
        "../secret.png",
        "figures/../../secret.png",
        "%2e%2e/secret.png",
        "link.png",
        "linked/secret.png",
        "{secret}",
        "regularization.md",
        "missing.png",
        "nul\0.png",
        "figures",
        "",
    ],
)
def test_no_file_elsewhere_is_shown_as_a_picture(library: Library, small_corpus: Path, tmp_path: Path, target: str):
    guides = small_corpus / "guides"
    secret = file_of(small_corpus, "secret.png", PICTURE)
    (guides / "figures").mkdir()
    (guides / "link.png").symlink_to(secret)
    (guides / "linked").symlink_to(small_corpus)

    assert library.picture("regularization.md", target.format(secret=secret)) is None
    assert library.picture("gone.md", target.format(secret=secret)) is None
    assert tmp_path in secret.parents


def test_an_uploaded_guide_shows_no_other_uploaded_file(library: Library, tmp_path: Path):
    library.run(Upload([file_of(tmp_path, "quantization.md", QUANTIZATION)]))
    file_of(library.folder, "range.png", PICTURE)
    file_of(library.folder, "figures/range.png", PICTURE)

    assert library.picture("quantization.md", "figures/range.png") is None


def test_pictures_from_elsewhere_are_no_targets(library: Library, tmp_path: Path):
    text = (
        "# G\n\n## S\n\n![a](a.png) ![b](https://x.org/b.png) ![c](//x.org/c.png) ![d](data:image/png;base64,x) text\n"
    )
    library.add(file_of(tmp_path, "g.md", text))

    assert picture_targets(library.tutor.index.documents_by_id["g.md"]) == ["a.png"]

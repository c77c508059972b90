"""The instructor's own guides and their pictures, kept in the home folder: uploaded file by file, removed, put back."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal
from urllib.parse import unquote

from corpus.documents import Document, UnreadableFileError, reason
from index.build import BuildReport, IndexBusyError, Progress
from index.passage_index import IndexDamagedError, IndexMissingError, IndexStaleError
from tutor.tutor import Tutor

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
"""What browsers show and what holds no script; SVG may."""
MAX_PICTURE_BYTES = 20_000_000
_PICTURES = ".pictures"
"""Beside `notes.md` lies the folder `notes.md.pictures` with the pictures that were uploaded for it."""
_PICTURE_LINK = re.compile(r"!\[[^\]\n]*\]\((?P<target>[^()\s]+)(?:\s+\"[^\"\n]*\")?\)")
Stage = Literal["waiting", "reading", "splitting", "embedding", "saving", "done", "failed", "cancelled"]
_STAGES: tuple[tuple[str, Stage], ...] = (
    ("reading", "reading"),
    ("cutting", "splitting"),
    ("learning", "embedding"),
    ("embedding", "embedding"),
)


class UploadCancelledError(RuntimeError):
    """The upload was ended from outside; nothing of the file was kept."""


@dataclass(frozen=True)
class FileState:
    """How far one uploaded file is."""

    name: str
    stage: Stage = "waiting"
    done: int = 0
    total: int = 0
    """Of passages while they are embedded; 0 where there is nothing to count."""
    message: str = ""
    """The reason of a failure, or what became of the file."""
    document_id: str = ""
    """Of a guide that is in the library now."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.stage in {"done", "failed", "cancelled"}


@dataclass
class Upload:
    """Files on their way into the library. One thread does the work, another may look at `states` and set `stop`."""

    files: Sequence[Path]
    stop: Event = field(default_factory=Event)
    states: list[FileState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states = [FileState(file.name) for file in self.files]

    def tell(self, place: int, state: FileState) -> None:
        """Say how far a file is."""
        self.states[place] = state

    @property
    def is_over(self) -> bool:
        """Whether every file came to its end."""
        return all(state.is_over for state in self.states)


@dataclass(frozen=True)
class Library:
    """The guides of a tutor, as who looks after them sees them."""

    tutor: Tutor

    @property
    def folder(self) -> Path:
        """Where uploaded guides are kept."""
        return self.tutor.settings.home / "guides"

    def run(self, upload: Upload) -> None:
        """Bring the files in, one after the other, the pictures last. A file that fails or is cancelled leaves no trace; the others go on."""
        pictures: list[int] = []
        seen: set[str] = set()
        for place, file in enumerate(upload.files):
            if upload.stop.is_set():
                upload.tell(place, FileState(file.name, "cancelled"))
            elif file.name in seen:
                message = "Another file of this name is in the same upload. Rename one of them."
                upload.tell(place, FileState(file.name, "failed", message=message))
            elif file.suffix.lower() in PICTURE_SUFFIXES:
                pictures.append(place)
            else:
                self._add(upload, place, file)
            seen.add(file.name)
        for place in pictures:
            upload.tell(place, self._add_picture(upload.files[place]))

    def _add(self, upload: Upload, place: int, file: Path) -> None:
        def told(stage: str, done: int, total: int) -> None:
            if upload.stop.is_set():
                raise UploadCancelledError
            known: Stage = next((name for start, name in _STAGES if stage.startswith(start)), "saving")
            # Reading and splitting count guides, most of them the library's: that says nothing of this file.
            counted = (done, total) if stage.startswith("embedding") else (0, 0)
            upload.tell(place, FileState(file.name, known, *counted))

        try:
            told("reading", 0, 0)
            document_id, report = self.add(file, progress=told)
            passages = report.index.manifest.documents[document_id].chunks
            what = (
                "updated" if document_id in report.changed else "added" if document_id in report.added else "unchanged"
            )
            state = FileState(file.name, "done", passages, passages, what, document_id)
        except UploadCancelledError:
            state = FileState(file.name, "cancelled")
        except (
            UnreadableFileError,
            IndexBusyError,
            IndexMissingError,
            IndexStaleError,
            IndexDamagedError,
            ValueError,
            OSError,
        ) as error:
            state = FileState(file.name, "failed", message=reason(error))
        except Exception as error:
            # A parser's own bug with one file must not stop the others.
            logging.getLogger(__name__).exception("The uploaded file %r could not be read.", file.name)
            state = FileState(file.name, "failed", message=f"it cannot be read ({type(error).__name__}: {error}).")
        upload.tell(place, state)

    def add(self, file: Path, *, progress: Progress = lambda _stage, _done, _total: None) -> tuple[str, BuildReport]:
        """Copy a guide into the home folder and index it, so that it outlives the uploaded file. Returns its id with the report.

        Raises UnreadableFileError for one that cannot be read; then, and where `progress` raises, all stays as it was.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self.folder / file.name
        with _replaced(kept, file):
            report = self.tutor.update_index([kept], progress=progress)
            source = str(kept.resolve())
            document_id = next(
                (name for name, entry in report.index.manifest.documents.items() if entry.source == source), ""
            )
            # A guide that was there before is kept as it was last read.
            wrong = next(
                (
                    item
                    for item in report.problems
                    if item.path == document_id or (not document_id and Path(item.path).name == file.name)
                ),
                None,
            )
            if wrong is not None or not document_id:
                raise UnreadableFileError(wrong.message if wrong else "it holds no text to learn from.")
        return document_id, report

    def _add_picture(self, picture: Path) -> FileState:
        """Keep a picture with the uploaded guides that show one of its name."""
        try:
            if picture.stat().st_size > MAX_PICTURE_BYTES:
                raise ValueError(f"a picture may have {MAX_PICTURE_BYTES / 1e6:.0f} MB. Make it smaller.")
            guides = [
                guide
                for guide, document in self._own_documents()
                if picture.name in {Path(target).name for target in picture_targets(document)}
            ]
            if not guides:
                raise ValueError("no uploaded guide shows a picture of this name. Upload the guide first, or with it.")
            for guide in guides:
                folder = guide.with_name(guide.name + _PICTURES)
                folder.mkdir(exist_ok=True)
                shutil.copyfile(picture, folder / picture.name)
        except (ValueError, OSError) as error:
            return FileState(picture.name, "failed", message=reason(error))
        return FileState(picture.name, "done", message=f"shown in {', '.join(guide.name for guide in guides)}")

    def _own_documents(self) -> Iterator[tuple[Path, Document]]:
        index = self.tutor.index
        for name, entry in index.manifest.documents.items():
            if self.is_own(name):
                yield Path(entry.source), index.documents_by_id[name]

    def is_own(self, document_id: str) -> bool:
        """Whether a guide was uploaded, so that its file is ours to delete."""
        entry = self.tutor.index.manifest.documents.get(document_id)
        return entry is not None and Path(entry.source).parent == self.folder.resolve()

    def remove(self, document_id: str, *, progress: Progress = lambda _stage, _done, _total: None) -> BuildReport:
        """Take a guide out of the library; of an uploaded one the file as well.

        Raises ValueError for one that is not there and for the last one.
        """
        own = Path(self.tutor.index.manifest.documents[document_id].source) if self.is_own(document_id) else None
        report = self.tutor.update_index(remove=[document_id], progress=progress)
        if own is not None:
            own.unlink(missing_ok=True)
            shutil.rmtree(own.with_name(own.name + _PICTURES), ignore_errors=True)
        return report

    @property
    def removed(self) -> list[str]:
        """Ids of guides that were taken out and can be put back: their files are still in a folder of the settings."""
        return [name for name in self.tutor.index.manifest.removed if self._file_of_removed(name)]

    def put_back(self, document_id: str, *, progress: Progress = lambda _stage, _done, _total: None) -> BuildReport:
        """Bring a guide back that was taken out. Raises ValueError where its file is gone."""
        file = self._file_of_removed(document_id)
        if file is None:
            raise ValueError(f"{document_id!r} cannot be put back: its file is gone. Upload it again.")
        return self.tutor.update_index([file], progress=progress)

    def _file_of_removed(self, document_id: str) -> Path | None:
        files = (folder / document_id for folder in self.tutor.settings.guides)
        return next(filter(Path.is_file, files), None)

    def picture(self, document_id: str, target: str) -> Path | None:
        """The file of a picture that a guide shows by a relative path; None where there is none that may be shown.

        Only pictures below the folder that was indexed, or uploaded for the guide, are given: never a file elsewhere.
        """
        entry = self.tutor.index.manifest.documents.get(document_id)
        path = unquote(re.split(r"[?#]", target, maxsplit=1)[0])
        if entry is None or not entry.source or Path(path).suffix.lower() not in PICTURE_SUFFIXES or "\0" in path:
            return None
        source = Path(entry.source)
        uploaded = source.with_name(source.name + _PICTURES)
        if uploaded.is_dir():
            places = [(uploaded, uploaded / Path(path).name)]
        elif self.is_own(document_id):
            places = []
        elif source.is_file():
            places = [(source.parent, source.parent / path)]
        else:
            # Where two folders have a guide of the same name, an id begins with the name of its folder.
            inner = document_id.split("/", 1)[-1]
            places = [(source, source / Path(name).parent / path) for name in dict.fromkeys((document_id, inner))]
        for folder, file in places:
            try:
                real = file.resolve()
                if (
                    real.is_relative_to(folder.resolve())
                    and real.is_file()
                    and real.stat().st_size <= MAX_PICTURE_BYTES
                ):
                    return real
            except (OSError, ValueError):
                continue
        return None


def picture_targets(document: Document) -> list[str]:
    """The relative paths of the pictures that a guide shows, in order."""
    targets = (unquote(match["target"]) for match in _PICTURE_LINK.finditer(document.text))
    return [target for target in dict.fromkeys(targets) if not re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.I)]


@contextmanager
def _replaced(file: Path, new: Path) -> Iterator[None]:
    """The file with another one's content; where something fails meanwhile it gets its former content back, or goes."""
    before, coming = file.with_name(f".{file.name}.before"), file.with_name(f".{file.name}.coming")
    shutil.copyfile(new, coming)
    existed = file.exists()
    if existed:
        file.replace(before)
    coming.replace(file)
    try:
        yield
    except BaseException:
        if existed:
            before.replace(file)
        else:
            file.unlink(missing_ok=True)
        raise
    before.unlink(missing_ok=True)

"""The Library tab: the guides in the index, uploading one, and reading one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from corpus.documents import Problem, reason
from index.build import BuildReport, Progress
from tutor.tutor import Tutor
from ui.page import FORMULAS, INDEX_ERRORS, KNOWN_ERRORS, known_errors_shown
from ui.render import document_markdown, documents_html, upload_markdown

_CHOOSE = '<p class="empty">Choose a guide to read it here.</p>'


class LibraryView(NamedTuple):
    """The documents of the index, in the order of `LibraryTab.view`."""

    table: str
    choice: gr.Dropdown


class UploadView(NamedTuple):
    """What changes with an upload, in the order of the tab's `on_upload`."""

    report: str
    files: None
    table: str
    choice: gr.Dropdown


class ReadingView(NamedTuple):
    """What a link into a guide changes, in the order of `LibraryTab.reading`."""

    tabs: gr.Tabs
    choice: str
    text: str


@dataclass(frozen=True)
class LibraryHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor

    def refresh(self) -> LibraryView:
        """The documents as they are now; none where there is no sound index."""
        try:
            documents = self.tutor.index.manifest.documents
        except INDEX_ERRORS:
            documents = {}
        choices = [(entry.title, name) for name, entry in documents.items()]
        return LibraryView(documents_html(documents), gr.Dropdown(choices=choices))

    def upload(self, files: Sequence[str] | None, progress: gr.Progress = gr.Progress()) -> UploadView:  # noqa: B008
        """Add guides to the library. What cannot be read is left out, and the reason shown."""
        reports: list[BuildReport] = []
        problems: list[Problem] = []
        for file in map(Path, files or ()):
            try:
                reports.append(self.tutor.upload_guide(file, progress=_shown_by(progress, file.name)))
                problems.extend(problem for problem in reports[-1].problems if problem.path.endswith(file.name))
            except (*KNOWN_ERRORS, ValueError, OSError) as error:
                problems.append(Problem(file.name, 0, reason(error)))
        return UploadView(upload_markdown(reports, problems), None, *self.refresh())

    def read(self, document_id: str | None) -> str:
        """A guide, whole."""
        if not document_id:
            return _CHOOSE
        with known_errors_shown():
            document = self.tutor.index.documents_by_id.get(document_id)
        if document is None:
            raise gr.Error(f"There is no guide {document_id!r} in the library.", print_exception=False)
        return document_markdown(document)

    def open_link(self, link: gr.EventData) -> ReadingView:
        """Follow a link to a guide. The page scrolls to the section itself."""
        document_id = str(link.document_id)
        return ReadingView(gr.Tabs(selected="library"), document_id, self.read(document_id))


def _shown_by(bar: gr.Progress, name: str) -> Progress:
    def show(stage: str, done: int, total: int) -> None:
        bar(done / total if total else 0.0, desc=f"{name}: {stage}")

    return show


@dataclass(frozen=True)
class LibraryTab:
    """The components that other parts of the page need, and the handlers that fill them."""

    handlers: LibraryHandlers
    view: tuple[gr.HTML, gr.Dropdown]
    choice: gr.Dropdown
    text: gr.Markdown


def build_library_tab(tutor: Tutor) -> LibraryTab:
    """Lay the tab out and wire it."""
    handlers = LibraryHandlers(tutor)
    with gr.Row(elem_id="library-row"):
        with gr.Column(scale=2, min_width=320, elem_id="guides-column"):
            table = gr.HTML(elem_id="documents")
            files = gr.File(
                label="Add guides (Markdown, text, HTML, PDF, Word, PowerPoint, notebook, EPUB)",
                file_count="multiple",
                type="filepath",
                height=132,
                elem_id="upload",
            )
            report = gr.Markdown(elem_id="upload-report")
        with gr.Column(scale=3, min_width=320, elem_id="reader-column"):
            choice = gr.Dropdown([], value=None, label="Read a guide", elem_id="choose-guide")
            text = gr.Markdown(_CHOOSE, latex_delimiters=FORMULAS, header_links=True, elem_id="reader")

    private: dict[str, Any] = {"api_visibility": "private"}
    files.upload(handlers.upload, files, [report, files, table, choice], show_progress_on=report, **private)
    choice.input(handlers.read, choice, text, show_progress="hidden", **private)
    return LibraryTab(handlers, (table, choice), choice, text)

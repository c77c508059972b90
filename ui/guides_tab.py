"""What an instructor does with guides: uploads followed file by file, removal, and reading again what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import gradio as gr

from corpus.documents import GUIDE_SUFFIXES
from index.build import BuildReport
from tutor.library import PICTURE_SUFFIXES, Library, Upload
from tutor.tutor import Tutor
from ui.page import INDEX_ERRORS, editor_tutor, known_errors_shown, shown_by
from ui.render_library import report_html, upload_html

_POLL_SECONDS = 0.15
_ABOUT = (
    "Drop Markdown, text, HTML, PDF, Word, PowerPoint, notebooks or EPUB here, several at once; and the pictures that your Markdown "
    "shows by a relative path. They are searched and cited beside the guides that are here."
)


class GuidesView(NamedTuple):
    """The guides that can be removed or put back, in the order of `GuidesTab.view`."""

    choice: gr.Dropdown
    removed: gr.Dropdown
    removed_row: gr.Row


class StartedView(NamedTuple):
    """What changes when an upload begins, in the order of the tab's `started`."""

    upload: Upload
    report: str
    files: None
    cancel: gr.Button


class AskedView(NamedTuple):
    """The question before a removal, in the order of the tab's `asked`."""

    question: str
    row: gr.Row


class ChangedView(NamedTuple):
    """What changes with the library, in the order of the tab's `changed`."""

    report: str
    row: gr.Row
    choice: gr.Dropdown
    removed: gr.Dropdown
    removed_row: gr.Row


@dataclass(frozen=True)
class GuidesHandlers:
    """What the tab does with a tutor. Whoever may not change guides is refused."""

    tutor: Tutor

    def refresh(self, request: gr.Request | None = None) -> GuidesView:
        """The guides as they are now; none where there is no sound index."""
        library = Library(editor_tutor(self.tutor, request))
        try:
            choices = [
                (f"{entry.title} ({name}{', yours' if library.is_own(name) else ''})", name)
                for name, entry in library.tutor.index.manifest.documents.items()
            ]
            removed = library.removed
        except INDEX_ERRORS:
            choices, removed = [], []
        # What was chosen may be gone.
        return GuidesView(
            gr.Dropdown(choices=choices, value=None),
            gr.Dropdown(choices=removed, value=None),
            gr.Row(visible=bool(removed)),
        )

    def start(self, files: Sequence[str] | None, request: gr.Request | None = None) -> StartedView:
        """Take the dropped files; `follow` brings them in."""
        editor_tutor(self.tutor, request)
        upload = Upload([Path(file) for file in files or ()])
        return StartedView(upload, upload_html(upload.states), None, gr.Button(visible=True, interactive=True))

    def follow(self, upload: Upload, request: gr.Request | None = None) -> Iterator[str]:
        """Bring the files in, and say how far each one is. A page that is closed meanwhile does not end it."""
        library = Library(editor_tutor(self.tutor, request))
        work = Thread(target=library.run, args=(upload,), name="upload", daemon=True)
        work.start()
        shown = ""
        while work.is_alive():
            work.join(_POLL_SECONDS)
            if (now := upload_html(upload.states)) != shown:
                shown = now
                yield shown
        yield upload_html(upload.states)

    def cancel(self, upload: Upload | None) -> gr.Button:
        """End the upload before its next step; the file that is under way leaves nothing behind."""
        if upload is not None:
            upload.stop.set()
        return gr.Button("Cancelling …", interactive=False)

    def rest(self) -> gr.Button:
        """Take the button away when the upload has ended."""
        return gr.Button("Cancel", visible=False)

    def ask_removal(self, document_id: str | None, request: gr.Request | None = None) -> AskedView:
        """Ask before a guide is removed."""
        library = Library(editor_tutor(self.tutor, request))
        if not document_id:
            raise gr.Error("Choose the guide to remove.", print_exception=False)
        with known_errors_shown():
            is_own = library.is_own(document_id)
        what = "Its file is deleted." if is_own else "You can put it back later."
        return AskedView(f"Remove `{document_id}` from the library? {what}", gr.Row(visible=True))

    def keep(self) -> AskedView:
        """Remove nothing."""
        return AskedView("", gr.Row(visible=False))

    def remove(self, document_id: str | None, request: gr.Request | None = None) -> ChangedView:
        """Take a guide out of the library."""
        return self._changed(request, lambda library: library.remove(str(document_id)))

    def put_back(self, document_id: str | None, request: gr.Request | None = None) -> ChangedView:
        """Bring a guide back that was taken out."""
        if not document_id:
            raise gr.Error("Choose the guide to put back.", print_exception=False)
        return self._changed(request, lambda library: library.put_back(document_id))

    def read_again(
        self,
        request: gr.Request | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> ChangedView:
        """Index again what changed in its files."""
        return self._changed(request, lambda library: library.tutor.update_index(progress=shown_by(progress)))

    def rebuild(
        self,
        request: gr.Request | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> ChangedView:
        """Index everything anew."""
        return self._changed(
            request, lambda library: library.tutor.update_index(rebuild=True, progress=shown_by(progress))
        )

    def _changed(self, request: gr.Request | None, change: Callable[[Library], BuildReport]) -> ChangedView:
        library = Library(editor_tutor(self.tutor, request))
        with known_errors_shown():
            try:
                report = change(library)
            except (ValueError, OSError) as error:
                raise gr.Error(str(error), print_exception=False) from error
        return ChangedView(report_html(report), gr.Row(visible=False), *self.refresh(request))


@dataclass(frozen=True)
class GuidesTab:
    """The components that other parts of the page need, and the handlers that fill them."""

    handlers: GuidesHandlers
    view: tuple[gr.components.Component | gr.Row, ...]
    changes: tuple[Callable[..., Any], ...]
    """Events after which the library has other guides."""


def build_guides_tab(tutor: Tutor) -> GuidesTab:
    """Lay the tab out and wire it."""
    handlers = GuidesHandlers(tutor)
    upload = gr.State(None)
    with gr.Row(elem_id="own-guides-row"):
        with gr.Column(scale=1, min_width=320):
            gr.Markdown(f"### Add guides\n\n{_ABOUT}")
            files = gr.File(
                label="Guides and pictures to add",
                file_count="multiple",
                file_types=[*GUIDE_SUFFIXES, *PICTURE_SUFFIXES],
                type="filepath",
                height=140,
                elem_id="upload",
            )
            report = gr.HTML(elem_id="upload-report")
            cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel-upload")
        with gr.Column(scale=1, min_width=320):
            gr.Markdown("### Look after them")
            choice = gr.Dropdown([], value=None, label="Guide", elem_id="guide-to-remove")
            remove = gr.Button("Remove this guide", size="sm", elem_id="remove-guide")
            with gr.Row(visible=False, elem_id="removal") as row:
                asked = gr.Markdown()
                sure = gr.Button("Yes, remove it", variant="stop", elem_id="removal-sure")
                keep = gr.Button("Keep it", elem_id="removal-keep")
            with gr.Row(visible=False) as removed_row:
                removed = gr.Dropdown([], value=None, label="Taken out before", scale=1, elem_id="removed-guides")
                back = gr.Button("Put it back", scale=0, min_width=120)
            gr.Markdown("Files of your folders that changed are read again on request.")
            with gr.Row(elem_id="index-row"):
                again = gr.Button("Read again what changed", size="sm", elem_id="read-again")
                rebuild = gr.Button("Rebuild the whole index", size="sm", elem_id="rebuild")
            change = gr.HTML(elem_id="library-report")

    private: dict[str, Any] = {"api_visibility": "private"}
    quiet: dict[str, Any] = {**private, "show_progress": "hidden"}
    view = (choice, removed, removed_row)
    started = files.upload(handlers.start, files, [upload, report, files, cancel], **quiet)
    followed = started.success(handlers.follow, upload, report, **quiet)
    rested = followed.then(handlers.rest, None, cancel, **quiet).then(handlers.refresh, None, list(view), **quiet)
    cancel.click(handlers.cancel, upload, cancel, **quiet)
    remove.click(handlers.ask_removal, choice, [asked, row], **quiet)
    keep.click(handlers.keep, None, [asked, row], **quiet)
    changed = [change, row, *view]
    changes = [
        sure.click(handlers.remove, choice, changed, **quiet),
        back.click(handlers.put_back, removed, changed, **quiet),
        again.click(handlers.read_again, None, changed, show_progress_on=change, **private),
        rebuild.click(handlers.rebuild, None, changed, show_progress_on=change, **private),
    ]
    return GuidesTab(handlers, view, (rested.then, *(event.success for event in changes)))

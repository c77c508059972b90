"""What an instructor does with question banks: uploads with the linter's messages, drafts from a guide, an editor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import gradio as gr

from corpus.documents import UnreadableFileError
from corpus.sayings import SAID_SUFFIX
from tutor.question_banks import BankError, QuestionBanks, without_draft_mark
from tutor.question_drafts import DraftError
from tutor.tutor import Tutor
from ui.page import INDEX_ERRORS, editor_tutor, known_errors_shown, shown_by
from ui.render_library import bank_check_html, draft_html, own_banks_html, refused_html, sayings_html

_ABOUT = (
    "One Markdown file a topic, in the form of the guide for authors (docs/authoring.md). Each file is checked; its sound questions are "
    "asked and graded at once, beside those that are here."
)
_DRAFT_ABOUT = (
    "A draft is a beginning: read every line of it, mend it, then save it. Nothing of it counts before that. Without a language model it "
    "is made of the guide's headings and strongest sentences."
)


class BanksView(NamedTuple):
    """The own banks, and the guides to draft from, in the order of `BanksTab.view`."""

    table: str
    own: gr.Column
    choice: gr.Dropdown
    guide: gr.Dropdown


class KeptView(NamedTuple):
    """What changes with the banks, in the order of the tab's `kept`."""

    report: str
    files: None
    row: gr.Row
    table: str
    own: gr.Column
    choice: gr.Dropdown
    guide: gr.Dropdown


class AskedView(NamedTuple):
    """The question before a removal, in the order of the tab's `asked`."""

    question: str
    row: gr.Row


class EditorView(NamedTuple):
    """What stands in the editor, in the order of the tab's `editor`."""

    name: str
    text: str
    report: str


@dataclass(frozen=True)
class BanksHandlers:
    """What the tab does with a tutor. Whoever may not change question banks is refused."""

    tutor: Tutor

    def refresh(self, request: gr.Request | None = None) -> BanksView:
        """The own banks as they are now."""
        banks = self._banks(request)
        try:
            entries = self.tutor.index.manifest.documents
        except INDEX_ERRORS:
            entries = {}
        own = banks.all()
        return BanksView(
            own_banks_html(own),
            gr.Column(visible=bool(own)),
            gr.Dropdown(choices=[bank.name for bank in own], value=None),
            gr.Dropdown(choices=[(entry.title, name) for name, entry in entries.items()]),
        )

    def upload(self, files: Sequence[str] | None, request: gr.Request | None = None) -> KeptView:
        """Check files and keep those that have a sound question; what is wrong with the others is said."""
        banks = self._banks(request)
        reports = []
        # What candidates say of a bank needs the bank.
        for file in sorted(map(Path, files or ()), key=lambda file: file.name.endswith(SAID_SUFFIX)):
            with known_errors_shown():
                try:
                    if file.name.endswith(SAID_SUFFIX):
                        reports.append(sayings_html(file.name, banks.add_sayings(file)))
                    else:
                        reports.append(bank_check_html(file.name, banks.add(file), is_kept=True))
                except BankError as error:
                    reports.append(refused_html(file.name, str(error), error.check))
        return self._kept("".join(reports), request)

    def save(self, name: str, text: str, request: gr.Request | None = None) -> KeptView:
        """Keep what stands in the editor. Who saves a draft has read it: its mark goes."""
        with known_errors_shown():
            banks = self._banks(request)
            try:
                report = bank_check_html(name, banks.save(without_draft_mark(text), name), is_kept=True)
            except BankError as error:
                report = refused_html(name, str(error), error.check)
        return self._kept(report, request)

    def check(self, name: str, text: str, request: gr.Request | None = None) -> str:
        """What the linter says of the text in the editor."""
        banks = self._banks(request)
        try:
            return bank_check_html(name, banks.check(text, name))
        except (BankError, UnreadableFileError) as error:
            return refused_html(name, str(error))

    def open(self, name: str | None, request: gr.Request | None = None) -> EditorView:
        """Put a bank into the editor."""
        banks = self._banks(request)
        try:
            text = banks.text(name or "")
            return EditorView(name or "", text, bank_check_html(name or "", banks.check(text, name or "")))
        except BankError as error:
            raise gr.Error("Choose the bank to edit." if not name else str(error), print_exception=False) from error
        except UnreadableFileError as error:
            raise gr.Error(f"{name} cannot be edited here: {error}", print_exception=False) from error

    def ask_removal(self, name: str | None, request: gr.Request | None = None) -> AskedView:
        """Ask before a bank is removed."""
        self._banks(request)
        if not name:
            raise gr.Error("Choose the bank to remove.", print_exception=False)
        return AskedView(
            f"Delete `{name}`? Its questions are asked no more; grades of them stay.", gr.Row(visible=True)
        )

    def keep(self) -> AskedView:
        """Remove nothing."""
        return AskedView("", gr.Row(visible=False))

    def remove(self, name: str | None, request: gr.Request | None = None) -> KeptView:
        """Delete a bank."""
        banks = self._banks(request)
        try:
            banks.remove(name or "")
        except BankError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return self._kept(refused_html(name or "", "removed."), request)

    def start_draft(self, document_id: str | None, request: gr.Request | None = None) -> tuple[Event, gr.Button]:
        """Make ready for a draft, which can be stopped."""
        self._banks(request)
        if not document_id:
            raise gr.Error("Choose the guide to draft from.", print_exception=False)
        return Event(), gr.Button(visible=True)

    def draft(
        self,
        document_id: str,
        count: float,
        stop: Event,
        request: gr.Request | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> EditorView:
        """Draft questions from a guide into the editor."""
        banks = self._banks(request)
        with known_errors_shown():
            try:
                draft = banks.draft(document_id, count=int(count), progress=shown_by(progress), stop=stop)
            except DraftError as error:
                raise gr.Error(str(error), print_exception=False) from error
            name = f"{Path(document_id).stem}-draft.md"
            return EditorView(name, draft.markdown, draft_html(draft, banks.check(draft.markdown, name)))

    def stop_draft(self, stop: Event | None) -> None:
        """End a draft after the section that is under way."""
        if stop is not None:
            stop.set()

    def rest(self) -> gr.Button:
        """Take the button away when the draft is there."""
        return gr.Button(visible=False)

    def _kept(self, report: str, request: gr.Request | None) -> KeptView:
        return KeptView(report, None, gr.Row(visible=False), *self.refresh(request))

    def _banks(self, request: gr.Request | None) -> QuestionBanks:
        return QuestionBanks(editor_tutor(self.tutor, request))


@dataclass(frozen=True)
class BanksTab:
    """The components that other parts of the page need, and the handlers that fill them."""

    handlers: BanksHandlers
    view: tuple[gr.components.Component | gr.Column, ...]
    changes: tuple[Callable[..., Any], ...]
    """Events after which other questions may be asked."""


def build_banks_tab(tutor: Tutor) -> BanksTab:
    """Lay the tab out and wire it."""
    handlers = BanksHandlers(tutor)
    stop = gr.State(None)
    with gr.Row(elem_id="own-banks-row"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(f"### Question banks of your own\n\n{_ABOUT}")
            files = gr.File(
                label="Question banks to add (.md, and .said.txt beside them)",
                file_count="multiple",
                file_types=[".md", ".txt"],
                type="filepath",
                height=140,
                elem_id="upload-banks",
            )
            table = gr.HTML(elem_id="own-banks")
            with gr.Column(visible=False) as own:
                choice = gr.Dropdown([], value=None, label="Bank", elem_id="choose-bank")
                with gr.Row():
                    edit = gr.Button("Edit", size="sm", elem_id="edit-bank")
                    remove = gr.Button("Remove", size="sm", elem_id="remove-bank")
            with gr.Row(visible=False, elem_id="bank-removal") as row:
                asked = gr.Markdown()
                sure = gr.Button("Yes, delete it", variant="stop")
                keep = gr.Button("Keep it")
            gr.Markdown(f"### Draft questions from a guide\n\n{_DRAFT_ABOUT}")
            guide = gr.Dropdown([], value=None, label="Guide", elem_id="draft-from")
            count = gr.Slider(1, 20, value=5, step=1, label="Questions at most", elem_id="draft-count")
            with gr.Row():
                draft = gr.Button("Draft questions", variant="primary", elem_id="draft")
                end = gr.Button("Stop", variant="stop", visible=False)
        with gr.Column(scale=3, min_width=320, elem_id="editor-column"):
            name = gr.Textbox("my-questions.md", label="File name", max_lines=1, elem_id="bank-name")
            # With its numbered lines, which the linter names.
            text = gr.Code(
                "",
                language="markdown",
                label="Questions (Markdown)",
                lines=18,
                max_lines=28,
                wrap_lines=True,
                elem_id="bank-text",
            )
            with gr.Row():
                check = gr.Button("Check", elem_id="check-bank")
                save = gr.Button("Save to the bank", variant="primary", elem_id="save-bank")
            report = gr.HTML(elem_id="bank-report")

    private: dict[str, Any] = {"api_visibility": "private"}
    quiet: dict[str, Any] = {**private, "show_progress": "hidden"}
    view = (table, own, choice, guide)
    kept = [report, files, row, *view]
    editor = [name, text, report]
    changes = [
        files.upload(handlers.upload, files, kept, show_progress_on=report, **private),
        save.click(handlers.save, [name, text], kept, show_progress_on=report, **private),
        sure.click(handlers.remove, choice, kept, **quiet),
    ]
    edit.click(handlers.open, choice, editor, **quiet)
    check.click(handlers.check, [name, text], report, **quiet)
    remove.click(handlers.ask_removal, choice, [asked, row], **quiet)
    keep.click(handlers.keep, None, [asked, row], **quiet)
    started = draft.click(handlers.start_draft, guide, [stop, end], **quiet)
    drafted = started.success(handlers.draft, [guide, count, stop], editor, show_progress_on=report, **private)
    drafted.then(handlers.rest, None, end, **quiet)
    end.click(handlers.stop_draft, stop, None, **quiet)
    return BanksTab(handlers, view, tuple(event.success for event in changes))

"""The Library tab: the guides, searched and read; beside that what an instructor does with guides and question banks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from corpus.questions import LEVELS
from index.passage_index import PassageIndex
from index.scope import Scope
from tutor.library import Library
from tutor.reading import Place, best_sentences, open_guide
from tutor.tutor import Tutor, checked_question
from ui.banks_tab import build_banks_tab
from ui.guides_tab import build_guides_tab
from ui.page import FORMULAS, INDEX_ERRORS, known_errors_shown, learner_tutor, may_edit, picture_address
from ui.render_library import contents_html, documents_html, found_markdown, guide_markdown, language_label

_CHOOSE = '<p class="empty">Choose a guide to read it here, or search in all of them.</p>'
_FOUND_COUNT = 12
_NEAR = 0.3
"""Share of the best score below which a section is not shown."""
_READER_TO_TOP = "() => document.querySelector('#reader')?.scrollTo({ top: 0 })"


class LibraryView(NamedTuple):
    """The documents of the index and what can be done with them, in the order of `LibraryTab.view`."""

    table: str
    choice: gr.Dropdown
    topics: gr.Dropdown
    languages: gr.Dropdown
    levels: gr.Dropdown
    guides: gr.Tab
    banks: gr.Tab


class FoundView(NamedTuple):
    """What a search changes, in the order of the tab's `found_view`."""

    found: gr.Markdown
    table: gr.HTML
    clear: gr.Button


class GuideView(NamedTuple):
    """An open guide, in the order of the tab's `guide_view`."""

    contents: str
    text: str


class ReadingView(NamedTuple):
    """What a link into a guide changes, in the order of `app`'s tabs and `LibraryTab.reading`."""

    tabs: gr.Tabs
    places: gr.Tabs
    choice: str
    contents: str
    text: str


@dataclass(frozen=True)
class LibraryHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor

    def refresh(self, request: gr.Request | None = None) -> LibraryView:
        """The documents as they are now; none where there is no sound index."""
        try:
            index: PassageIndex | None = self.tutor.index
        except INDEX_ERRORS:
            index = None
        entries = index.manifest.documents if index else {}
        documents = index.documents if index else []
        edits = may_edit(self.tutor, request)
        languages = sorted({entry.language for entry in entries.values()})
        levels = {document.level for document in documents}
        return LibraryView(
            documents_html(entries),
            gr.Dropdown(choices=[(entry.title, name) for name, entry in entries.items()]),
            gr.Dropdown(choices=sorted({entry.topic for entry in entries.values()})),
            gr.Dropdown(choices=[(language_label(code), code) for code in languages]),
            gr.Dropdown(choices=[level for level in LEVELS if level in levels]),
            gr.Tab(visible=edits),
            gr.Tab(visible=edits),
        )

    def search(
        self,
        question: str,
        topics: Sequence[str] | None,
        languages: Sequence[str] | None,
        levels: Sequence[str] | None,
        request: gr.Request | None = None,
    ) -> FoundView:
        """The sections that say something about a question, by the tutor's own search; nothing and all guides for no question."""
        if not question.strip():
            return self.clear()
        within = Scope(topics=tuple(topics or ()), languages=tuple(languages or ()), levels=tuple(levels or ()))
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            asked = checked_question(question)
            hits = tutor.retrieve(asked, count=_FOUND_COUNT, within=within, merged=True)
            is_covered = tutor.retriever.confidence(asked, hits) >= tutor.settings.answer_threshold
            hits = [hit for hit in hits if hit.score >= _NEAR * hits[0].score]
            quotes = best_sentences(asked, hits, tutor.index.embedder, tutor.index.keywords.idf)
            found = found_markdown(asked, hits, quotes, is_covered=is_covered, notes=tutor.retriever.notes(asked))
        return FoundView(gr.Markdown(found, visible=True), gr.HTML(visible=False), gr.Button(visible=True))

    def clear(self) -> FoundView:
        """All guides in place of what was found."""
        return FoundView(gr.Markdown("", visible=False), gr.HTML(visible=True), gr.Button(visible=False))

    def read(self, document_id: str | None) -> GuideView:
        """A guide from its beginning."""
        return self._opened(document_id, Place(), 0) if document_id else GuideView("", _CHOOSE)

    def open_link(self, link: gr.EventData) -> ReadingView:
        """Follow a link to a place in a guide; what it names is marked, and the page scrolls there."""
        document_id = str(link.document_id)
        place = Place(
            section=str(getattr(link, "section", "")),
            line=int(getattr(link, "line", 0)),
            quote=str(getattr(link, "quote", "")),
        )
        contents, text = self._opened(document_id, place, int(getattr(link, "visit", 0)))
        return ReadingView(gr.Tabs(selected="library"), gr.Tabs(selected="read"), document_id, contents, text)

    def _opened(self, document_id: str, place: Place, visit: int) -> GuideView:
        with known_errors_shown():
            index = self.tutor.index
            document = index.documents_by_id.get(document_id)
        if document is None:
            raise gr.Error(f"There is no guide {document_id!r} in the library.", print_exception=False)
        library = Library(self.tutor)

        def picture(target: str) -> str:
            file = library.picture(document_id, target)
            return picture_address(file) if file else ""

        with known_errors_shown():
            opened = open_guide(document, index.chunks_of(document_id), place)
            return GuideView(contents_html(opened), guide_markdown(opened, visit=visit, picture=picture))


@dataclass(frozen=True)
class LibraryTab:
    """The components that other parts of the page need, and the handlers that fill them."""

    handlers: LibraryHandlers
    view: tuple[gr.components.Component | gr.Tab, ...]
    reading: tuple[gr.components.Component | gr.Tabs, ...]
    changes: tuple[Callable[..., Any], ...]
    """Events after which there are other guides or questions."""


def build_library_tab(tutor: Tutor) -> LibraryTab:
    """Lay the tab out and wire it."""
    handlers = LibraryHandlers(tutor)
    with gr.Tabs(elem_id="library-places") as places:
        with gr.Tab("Read and search", id="read"), gr.Row(elem_id="library-row"):
            with gr.Column(scale=2, min_width=320, elem_id="guides-column"):
                with gr.Row(elem_id="find-row"):
                    question = gr.Textbox(
                        label="Search in the guides",
                        show_label=False,
                        placeholder="Search in the guides …",
                        container=False,
                        scale=1,
                        max_lines=1,
                        elem_id="find",
                    )
                    find = gr.Button("Search", variant="primary", scale=0, min_width=88)
                with gr.Accordion("Narrow the search", open=False, elem_id="narrow"):
                    topics = gr.Dropdown([], label="Topics", multiselect=True, value=None)
                    languages = gr.Dropdown([], label="Languages", multiselect=True, value=None)
                    levels = gr.Dropdown([], label="Levels", multiselect=True, value=None)
                clear = gr.Button("Back to all guides", size="sm", visible=False, elem_id="clear-found")
                found = gr.Markdown("", latex_delimiters=FORMULAS, visible=False, elem_id="found")
                table = gr.HTML(elem_id="documents")
            with gr.Column(scale=3, min_width=320, elem_id="reader-column"):
                choice = gr.Dropdown([], value=None, label="Read a guide", elem_id="choose-guide")
                contents = gr.HTML(elem_id="contents")
                text = gr.Markdown(_CHOOSE, latex_delimiters=FORMULAS, elem_id="reader")
        with gr.Tab("Your guides", id="guides") as guides_place:
            guides = build_guides_tab(tutor)
        with gr.Tab("Your questions", id="banks") as banks_place:
            banks = build_banks_tab(tutor)

    view = (table, choice, topics, languages, levels, guides_place, banks_place)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    filters = [topics, languages, levels]
    searched = [question, *filters]
    for search in (question.submit, find.click, *(one.input for one in filters)):
        search(handlers.search, searched, [found, table, clear], **quiet)
    clear.click(handlers.clear, None, [found, table, clear], **quiet)
    read = choice.input(handlers.read, choice, [contents, text], **quiet)
    read.then(None, None, None, js=_READER_TO_TOP, **quiet)
    for changed in guides.changes:
        changed(handlers.refresh, None, list(view), **quiet)
    guides_place.select(guides.handlers.refresh, None, list(guides.view), **quiet)
    banks_place.select(banks.handlers.refresh, None, list(banks.view), **quiet)
    return LibraryTab(handlers, view, (places, choice, contents, text), (*guides.changes, *banks.changes))

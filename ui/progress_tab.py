"""The Progress tab: what is due, a plan to the interview, scores, the map of the guides, reports, and the history as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gradio as gr

from tutor.coverage import coverage, days_of_practice, topic_standings
from tutor.exports import HistoryFileError, counted, read_history, write_anki_deck, write_attempts, write_history
from tutor.interview import mean
from tutor.progress import Review, most_made, most_missed
from tutor.schedule import PlanError, cards, due, fewest_a_day, plan
from tutor.tutor import Tutor
from ui.page import FORMULAS, INDEX_ERRORS, known_errors_shown, learner_tutor, topic_titles
from ui.render import topic_label
from ui.render_interview import report_file
from ui.render_progress import (
    Figures,
    day_html,
    due_markdown,
    exports_html,
    figures_html,
    interviews_html,
    map_html,
    nothing_yet,
    parcel_html,
    plan_html,
    points_markdown,
    standing_html,
    streak,
)

_INTERVIEWS_SHOWN = 20
_CONFIRMATION = "delete"
_NO_PLAN = '<p class="empty">Give the day of your interview: you see how many questions a day that makes.</p>'
_ABOUT_DELETION = (
    "Your graded answers, interviews, conversations, questions and thumbs are removed for good, from this tutor. What you "
    f"saved as a file stays. Save the JSON first if you may want them back. To confirm, type **{_CONFIRMATION}**."
)
_RELOAD = "() => { setTimeout(() => location.reload(), 1500); }"
Dates = Mapping[str, str]
"""The day of the interview, by learner, as the browser remembers it."""


class ProgressView(NamedTuple):
    """What the tab shows, in the order of `ProgressTab.view`."""

    head: str
    due: gr.Markdown
    day: str
    topics: gr.Dropdown
    standing: gr.HTML
    map: gr.HTML
    points: gr.Markdown
    interviews: gr.HTML


class DeletedView(NamedTuple):
    """What a deletion changes."""

    message: str
    word: str
    dates: Dates


@dataclass(frozen=True)
class ProgressHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor
    now: Callable[[], datetime] = lambda: datetime.now().astimezone()
    """The moment, in the time zone of this machine: days begin at its midnight."""

    def refresh(self, dates: Dates | None = None, request: gr.Request | None = None) -> ProgressView:
        """The learner's progress as it stands now."""
        titles, now = topic_titles(self.tutor), self.now()
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            learner = tutor.settings.learner
            reviews = tutor.progress.reviews(learner)
            questions = {one.id: one for one in tutor.questions}
            known = {name: card for name, card in cards(reviews).items() if name in questions}
            held = tutor.interviews.begun(_INTERVIEWS_SHOWN)
        is_due = due(known, now)
        later = [card.due for card in known.values()]
        days = days_of_practice(reviews, now.tzinfo)
        standings = topic_standings(reviews, tutor.questions)
        topics = sorted((topic_label(item.topic, titles), item.topic) for item in standings)
        latest = _latest_scores(reviews)
        figures = Figures(
            due=len(is_due),
            answered=len(known),
            questions=len(tutor.questions),
            score=mean([latest[name] for name in known]),
            streak=streak(days, now.date()),
        )
        due_list = due_markdown(is_due, questions, titles, now=now, next_due=min(later, default=None))
        return ProgressView(
            head=figures_html(figures) if days else nothing_yet(len(tutor.questions)),
            due=gr.Markdown(due_list, visible=bool(known)),
            day=day_html(_day((dates or {}).get(learner)), now.date()),
            topics=gr.Dropdown(choices=topics),
            standing=_shown(standing_html(standings, days, titles, now.date()) if days else ""),
            map=_shown(self._map(tutor, reviews)),
            points=_shown_markdown(points_markdown(most_missed(reviews), most_made(reviews), titles)),
            interviews=_shown(interviews_html(held)),
        )

    def _map(self, tutor: Tutor, reviews: Sequence[Review]) -> str:
        try:
            index = tutor.index
        except INDEX_ERRORS:
            # Said at the head of the page, with the way to mend it.
            return ""
        guides = {name: entry.title for name, entry in index.manifest.documents.items()}
        return map_html(coverage(index.by_section, tutor.questions, reviews), guides)

    def choose_day(self, link: gr.EventData, dates: Dates | None, request: gr.Request | None = None) -> Dates:
        """Remember the day of the interview; forget it where the field was emptied."""
        day, kept = str(link.day), dict(dates or {})
        with known_errors_shown():
            learner = learner_tutor(self.tutor, request).settings.learner
        kept.pop(learner, None)
        return {**kept, learner: day} if day else kept

    def plan(
        self,
        most_a_day: float | None,
        topics: Sequence[str] | None,
        dates: Dates | None,
        request: gr.Request | None = None,
    ) -> str:
        """How many questions a day until the interview."""
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            until = _day((dates or {}).get(tutor.settings.learner))
            known = tutor.cards() if until else {}
        if until is None:
            return _NO_PLAN
        most = int(most_a_day) if most_a_day and most_a_day >= 1 else tutor.settings.questions_a_day
        ids = {one.id for one in tutor.questions if not topics or one.topic in topics}
        now = self.now()
        try:
            planned = plan(known, ids, now=now, until=until, most_a_day=most)
        except PlanError as error:
            return f"<p class='empty'>{error}</p>"
        needed = planned.a_day if planned.is_met else fewest_a_day(known, ids, now=now, until=until)
        return plan_html(planned, new=len(ids - known.keys()), needed=needed)

    def save(self, link: gr.EventData, request: gr.Request | None = None) -> str:
        """A file to save, which travels in the page: nothing of the learner's is left in a file of the server."""
        kind, name, ending = str(link.kind), str(getattr(link, "name", "")), str(getattr(link, "ending", ""))
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            if kind == "report":
                file, text = report_file(tutor.interviews.resume(name), topic_titles(self.tutor), ending)
                return parcel_html(file, text.encode(), visit=int(link.visit))
            return parcel_html(*self._history_file(tutor, kind), visit=int(link.visit))

    def _history_file(self, tutor: Tutor, kind: str) -> tuple[str, bytes]:
        """The name and the content of the history, or the questions, as a file."""
        learner, now = tutor.settings.learner, self.now()
        ending = {"anki": "apkg", "csv": "csv", "json": "json"}[kind]
        with TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            if kind == "json":
                write_history(file, learner, tutor.progress.history(learner), now=now)
            elif kind == "csv":
                write_attempts(file, tutor.progress.reviews(learner), {one.id: one for one in tutor.questions})
            else:
                scores = _latest_scores(tutor.progress.reviews(learner))
                write_anki_deck(file, tutor.questions, scores=scores, cite=tutor.cite_section, now=now)
            return f"interview-tutor-{now:%Y-%m-%d}.{ending}", file.read_bytes()

    def add(self, file: str | None, request: gr.Request | None = None) -> None:
        """Add a history that was saved as JSON; what is there already is not added again."""
        if not file:
            return
        try:
            with known_errors_shown():
                tutor = learner_tutor(self.tutor, request)
                try:
                    added = tutor.progress.merge_history(tutor.settings.learner, read_history(Path(file)))
                except HistoryFileError as error:
                    raise gr.Error(str(error), duration=12, print_exception=False) from error
        finally:
            # It holds a learner's history, and Gradio would keep it for a day.
            Path(file).unlink(missing_ok=True)
        gr.Info(f"Added: {counted(added)}.")

    def delete(self, word: str, dates: Dates | None, request: gr.Request | None = None) -> DeletedView:
        """Delete everything of the learner, once they typed the word that confirms it."""
        if word.strip().lower() != _CONFIRMATION:
            raise gr.Error(f"Nothing was deleted. To confirm, type the word {_CONFIRMATION}.", print_exception=False)
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            learner = tutor.settings.learner
            removed = tutor.progress.delete_learner(learner)
        kept = {name: day for name, day in (dates or {}).items() if name != learner}
        return DeletedView(f"Deleted: {counted(removed)}. The page is loaded anew.", "", kept)


def _latest_scores(reviews: Sequence[Review]) -> dict[str, float]:
    return {review.question_id: review.score for review in reviews if review.score is not None}


def _day(kept: str | None) -> date | None:
    """What the browser kept as a day; None where it is none."""
    try:
        return date.fromisoformat(kept or "")
    except ValueError:
        return None


def _shown(text: str) -> gr.HTML:
    return gr.HTML(text, visible=bool(text))


def _shown_markdown(text: str) -> gr.Markdown:
    return gr.Markdown(text, visible=bool(text))


@dataclass(frozen=True)
class ProgressTab:
    """The components that are refreshed, and the handlers that refresh them."""

    handlers: ProgressHandlers
    dates: gr.BrowserState
    view: tuple[gr.components.Component, ...]
    planning: Mapping[str, Any]
    """What an event takes, besides `ProgressHandlers.plan`, to have the plan made anew."""
    parcel: gr.HTML


def build_progress_tab(tutor: Tutor) -> ProgressTab:
    """Lay the tab out and wire it."""
    handlers = ProgressHandlers(tutor)
    # Told apart by learners, so that two who share a browser have a date each; no secret is kept here.
    dates = gr.BrowserState({}, storage_key="interview-tutor-dates", secret="interview-tutor")  # noqa: S106
    with gr.Column(elem_classes="page", elem_id="progress-page"):
        head = gr.HTML(elem_id="progress-head")
        due_list = gr.Markdown(visible=False, latex_delimiters=FORMULAS, elem_id="due")
        with gr.Column(elem_id="plan-part"):
            gr.HTML("<h2>Plan to the interview</h2>")
            with gr.Row(elem_classes="choices"):
                day = gr.HTML(min_width=200, elem_id="plan-day")
                most = gr.Number(
                    tutor.settings.questions_a_day,
                    label="Questions a day at most",
                    precision=0,
                    minimum=1,
                    maximum=1000,
                    min_width=180,
                    elem_id="plan-most",
                )
                topics = gr.Dropdown(
                    [],
                    value=[],
                    multiselect=True,
                    label="Topics (none: all)",
                    scale=2,
                    min_width=240,
                    elem_id="plan-topics",
                )
            planned = gr.HTML(_NO_PLAN, elem_id="plan")
        standing = gr.HTML(visible=False, elem_id="standing")
        map_ = gr.HTML(visible=False, elem_id="map")
        points = gr.Markdown(visible=False, latex_delimiters=FORMULAS, elem_id="points")
        interviews = gr.HTML(visible=False, elem_id="interviews")
        with gr.Column(elem_id="files-part"):
            gr.HTML(f"<h2>Your history as files</h2>{exports_html()}", elem_id="exports")
            load = gr.UploadButton("Import a history (JSON)", file_types=[".json"], scale=0, elem_id="import-history")
            with gr.Accordion("Delete everything", open=False, elem_id="deletion"):
                gr.Markdown(_ABOUT_DELETION)
                with gr.Row(elem_classes="choices"):
                    word = gr.Textbox(
                        label=f"Type {_CONFIRMATION} to confirm", max_lines=1, min_width=200, elem_id="confirm"
                    )
                    delete = gr.Button(
                        "Delete everything of mine", variant="stop", scale=0, min_width=220, elem_id="delete-all"
                    )
                deleted = gr.Markdown(elem_id="deleted")
        parcel = gr.HTML(elem_id="parcel")

    view = (head, due_list, day, topics, standing, map_, points, interviews)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    planning: dict[str, Any] = {"inputs": [most, topics, dates], "outputs": planned, **quiet}
    gr.on([most.input, topics.input], handlers.plan, **planning)
    added = load.upload(handlers.add, load, None, api_visibility="private", show_progress_on=load)
    added.success(handlers.refresh, dates, list(view), **quiet)
    gone = gr.on([delete.click, word.submit], handlers.delete, [word, dates], [deleted, word, dates], **quiet)
    gone.success(None, js=_RELOAD)
    return ProgressTab(handlers, dates, view, planning, parcel)

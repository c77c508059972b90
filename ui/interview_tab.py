"""The Interview tab: a set-up, question by question with help, grades, follow-ups and disputes, and the report."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import gradio as gr

from corpus.documents import language_of
from corpus.questions import LEVELS
from tutor.interview import MAX_QUESTIONS, Interview, InterviewPlan, Language, Style
from tutor.interview_messages import Message, Move, read_turn
from tutor.interviewer import hint_cost, wants_questions
from tutor.interviews import InterviewMovedOnError
from tutor.tutor import Tutor
from ui.page import FORMULAS, known_errors_shown, learner_tutor, topic_titles
from ui.render import topic_label
from ui.render_interview import (
    STYLE_LABELS,
    asked_markdown,
    download_links,
    left_label,
    report_page,
    status_html,
    transcript_markdown,
)

_INTRO = (
    '<p class="empty">You are asked one question at a time. Answer in your own words; ask back, take a hint or say that you '
    "don't know, as in a real interview. Each key point is graded with your words beside the guide, then comes a follow-up. "
    "Everything is saved as you go.</p>"
)
_LENGTHS = {
    "1 question": (1, 0),
    "3 questions": (3, 0),
    "5 questions": (5, 0),
    "10 questions": (10, 0),
    "15 minutes": (0, 15),
    "30 minutes": (0, 30),
    "45 minutes": (0, 45),
    "Until I end it": (0, 0),
}
_MOST_OFFERED = 10
"""Interviews left open that are offered."""
_TAKEN_FOR: dict[Move, str] = {
    "clarification": "a question to the interviewer",
    "hint": "a request for a hint",
    "skip": "“skip”",
    "dont-know": "“I don't know”",
}
FOCUS_ANSWER = "() => focusAnswer()"
_SHOW_DISPUTE = "() => showDispute()"


class RoomView(NamedTuple):
    """Everything that a turn may change, in the order of the tab's `room`."""

    interview: Interview | None
    setup: gr.Column
    room: gr.Column
    report: gr.Column
    status: str
    question: str
    transcript: str
    dispute: gr.Accordion
    point: gr.Dropdown
    argument: gr.Textbox
    talk: gr.Column
    attempt: gr.Textbox
    skip: gr.Button
    after: gr.Row
    next: gr.Button
    how_it_went: str
    downloads: str


class SetupView(NamedTuple):
    """What is to choose from, in the order of the tab's `setup`."""

    topics: gr.Dropdown
    left: gr.Dropdown
    left_row: gr.Row


@dataclass(frozen=True)
class InterviewHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor

    # Beginning

    def look(self, request: gr.Request | None = None) -> SetupView:
        """The topics, and the interviews that were left open."""
        with known_errors_shown():
            left = learner_tutor(self.tutor, request).interviews.open()[:_MOST_OFFERED]
        choices = [(left_label(one), one.id) for one in left]
        return SetupView(
            gr.Dropdown(choices=self.topics()),
            gr.Dropdown(choices=choices, value=choices[0][1] if choices else None),
            gr.Row(visible=bool(choices)),
        )

    def topics(self) -> list[tuple[str, str]]:
        """The choices of the topic list."""
        titles = topic_titles(self.tutor)
        return sorted((topic_label(topic, titles), topic) for topic in {one.topic for one in self.tutor.questions})

    def start(
        self,
        topics: Sequence[str] | None,
        level: str,
        style: Style,
        length: str,
        language: Language,
        shows_timer: bool,
        request: gr.Request | None = None,
    ) -> RoomView:
        """A new interview."""
        questions, minutes = _LENGTHS[length]
        with known_errors_shown():
            plan = InterviewPlan(
                topics=tuple(topics or ()),
                level=next((known for known in LEVELS if known == level), None),
                style=style,
                questions=questions,
                minutes=minutes,
                language=language,
                shows_timer=shows_timer,
                seed=random.randrange(2**31),  # noqa: S311 - which question comes next is no secret
            )
            return self.view(learner_tutor(self.tutor, request).interviews.start(plan))

    def practise(self, link: gr.EventData, request: gr.Request | None = None) -> tuple[Any, ...]:
        """What a link of another tab names: an interview to go on with or its report, or a new one on certain questions.

        For the page's tabs, and then the room.
        """
        kind, name = str(link.kind), str(getattr(link, "name", ""))
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            if kind == "interview":
                interview = tutor.interviews.resume(name)
            else:
                interview = tutor.interviews.start(_practice_plan(tutor, kind, name))
            return gr.Tabs(selected="interview"), *self.view(interview)

    def resume(self, interview_id: str | None, request: gr.Request | None = None) -> RoomView:
        """An interview that was left open."""
        if not interview_id:
            raise gr.Error("Choose the interview to go on with.", print_exception=False)
        with known_errors_shown():
            return self.view(learner_tutor(self.tutor, request).interviews.resume(interview_id))

    # Turns

    def send(self, text: str, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """What was typed: an answer, or words to the interviewer that are nothing else."""
        now = interview.current if interview else None
        with known_errors_shown():
            message = read_turn(
                text,
                can_dispute=now is not None and now.grade is not None,
                wants_questions=now is not None and wants_questions(now.question),
            )
        if message.move in _TAKEN_FOR and not text.lstrip().startswith("/"):
            gr.Info(f"Taken for {_TAKEN_FOR[message.move]}. To have these words graded, put /answer before them.")
        return self._take(interview, message, request)

    def clarify(self, text: str, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """What is typed is a question to the interviewer, or nothing is and the whole question is unclear."""
        return self._take(interview, Message("clarification", text), request)

    def hint(self, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """A hint; what is typed stays."""
        return self._take(interview, Message("hint", ""), request, keeps_text=True)

    def dont_know(self, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """Be taught instead of graded."""
        return self._take(interview, Message("dont-know", ""), request)

    def skip(self, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """Pass over the question or the follow-up."""
        return self._take(interview, Message("skip", ""), request)

    def next(self, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """The next question, or the report."""
        return self._take(interview, Message("next", ""), request)

    def end(self, interview: Interview | None, request: gr.Request | None = None) -> RoomView:
        """End it here."""
        return self._take(interview, Message("end", ""), request)

    def dispute(
        self, point: int | None, argument: str, interview: Interview | None, request: gr.Request | None = None
    ) -> RoomView:
        """Have a key point judged again; both verdicts are kept, and what is typed stays."""
        if point is None:
            raise gr.Error("Choose the point that you dispute.", print_exception=False)
        return self._take(interview, Message("dispute", argument, point), request, keeps_text=True)

    def _take(
        self, interview: Interview | None, message: Message, request: gr.Request | None, *, keeps_text: bool = False
    ) -> RoomView:
        if interview is None:
            raise gr.Error("There is no interview going on. Start one.", print_exception=False)
        with known_errors_shown():
            interviews = learner_tutor(self.tutor, request).interviews
            try:
                return self.view(interviews.take_turn(interview, message), keeps_text=keeps_text)
            except InterviewMovedOnError as moved:
                gr.Warning(str(moved), duration=12)
                return self.view(moved.interview, keeps_text=True)

    # What is shown

    def view(self, interview: Interview, *, keeps_text: bool = False) -> RoomView:
        """The room as the interview stands; `keeps_text` leaves alone what is being typed, which may have grown meanwhile."""
        titles = topic_titles(self.tutor)
        phase, now = interview.phase, interview.rounds[-1] if interview.rounds else None
        is_last = interview.is_used_up(datetime.now(UTC))
        is_follow_up = phase == "follow-up"
        label = "Your answer to the follow-up" if is_follow_up else "Your answer"
        points = [
            (f"{number}. {verdict.key_point.text}", number)
            for number, verdict in enumerate(
                now.grade.verdicts if now and now.grade and now.is_answered else (), start=1
            )
            if verdict.verdict not in {"made", "unjudged"}
            and not (now and now.follow_up and now.follow_up.point == number)
        ]
        return RoomView(
            interview,
            setup=gr.Column(visible=False),
            room=gr.Column(visible=phase != "over"),
            report=gr.Column(visible=phase == "over"),
            status=status_html(interview, datetime.now(UTC), titles),
            question=asked_markdown(now.question, interview.plan.language) if now else "",
            transcript=transcript_markdown(now) if now else "",
            dispute=gr.Accordion(visible=bool(points), open=False),
            point=gr.Dropdown(choices=points, value=None),
            argument=gr.Textbox(value=""),
            talk=gr.Column(visible=phase in {"question", "follow-up"}),
            attempt=gr.Textbox(label=label) if keeps_text else gr.Textbox(value="", label=label),
            skip=gr.Button(("See the report" if is_last else "Next question") if is_follow_up else "Skip"),
            after=gr.Row(visible=phase == "between"),
            next=gr.Button("See the report" if is_last else "Next question"),
            how_it_went=report_page(interview, titles) if phase == "over" else "",
            downloads=download_links(interview, titles) if phase == "over" else "",
        )

    def set_up(self) -> RoomView:
        """No interview: choose another one."""
        return RoomView(
            None,
            setup=gr.Column(visible=True),
            room=gr.Column(visible=False),
            report=gr.Column(visible=False),
            status="",
            question="",
            transcript="",
            dispute=gr.Accordion(visible=False),
            point=gr.Dropdown(choices=[], value=None),
            argument=gr.Textbox(value=""),
            talk=gr.Column(visible=False),
            attempt=gr.Textbox(value=""),
            skip=gr.Button("Skip"),
            after=gr.Row(visible=False),
            next=gr.Button("Next question"),
            how_it_went="",
            downloads="",
        )


def _practice_plan(tutor: Tutor, kind: str, name: str) -> InterviewPlan:
    """An interview on one `question`, on a `section` of the guides, on all that is `due`, or on what suits best."""
    dice = random.randrange(2**31)  # noqa: S311 - which question comes next is no secret
    if kind == "any":
        return InterviewPlan(questions=3, seed=dice)
    if kind == "due":
        only = [card.question_id for card in tutor.due(datetime.now().astimezone())]
    elif kind == "section":
        only = [one.id for one in tutor.questions if any(point.section == name for point in one.key_points)]
    else:
        only = [tutor.find_question(name).id]
    if not only:
        raise gr.Error("There is no question left to practise here. Look at Progress again.", print_exception=False)
    language = language_of(tutor.find_question(only[0]).prompt)
    count = 1 if kind == "section" else min(len(only), MAX_QUESTIONS)
    return InterviewPlan(only=tuple(only), questions=count, language="zh" if language == "zh" else "en", seed=dice)


@dataclass(frozen=True)
class InterviewTab:
    """The components that other parts of the page need, and the handlers that fill them."""

    handlers: InterviewHandlers
    setup: tuple[gr.Dropdown, gr.Dropdown, gr.Row]
    room: list[Any]
    """Everything that a turn may change."""


class _Setup(NamedTuple):
    """The components of the set-up."""

    column: gr.Column
    left_row: gr.Row
    left: gr.Dropdown
    go_on: gr.Button
    plan: list[Any]
    """What a new interview is made from, in the order of `InterviewHandlers.start`."""
    topics: gr.Dropdown
    begin: gr.Button


def _build_setup(handlers: InterviewHandlers) -> _Setup:
    with gr.Column(elem_classes="page", elem_id="interview-setup") as column:
        gr.Markdown(_INTRO)
        with gr.Row(visible=False, elem_id="left-row") as left_row:
            left = gr.Dropdown([], label="You left an interview", scale=3, min_width=220, elem_id="left")
            go_on = gr.Button("Go on with it", variant="primary", scale=0, min_width=150, elem_id="go-on")
        with gr.Row(elem_classes="choices"):
            style = gr.Dropdown(
                [(label, name) for name, label in STYLE_LABELS.items()],
                value="mixed",
                label="Style",
                scale=2,
                min_width=240,
                elem_id="style",
            )
            length = gr.Dropdown(list(_LENGTHS), value="3 questions", label="Length", min_width=150, elem_id="length")
        with gr.Row(elem_classes="choices"):
            topics = gr.Dropdown(
                handlers.topics(),
                value=[],
                multiselect=True,
                label="Topics (none: all)",
                scale=2,
                min_width=240,
                elem_id="topic",
            )
            level = gr.Dropdown(
                [("As my scores go", ""), *((name.capitalize(), name) for name in LEVELS)],
                value="",
                label="Level to start at",
                min_width=150,
                elem_id="level",
            )
        with gr.Row(elem_classes="choices", elem_id="language-row"):
            language = gr.Radio(
                [("English", "en"), ("中文", "zh")], value="en", label="Language", min_width=150, elem_id="language"
            )
            timer = gr.Checkbox(True, label="Show the time used", min_width=150, elem_id="timer")
            begin = gr.Button("Start the interview", variant="primary", scale=0, min_width=190, elem_id="start")
    return _Setup(column, left_row, left, go_on, [topics, level, style, length, language, timer], topics, begin)


def build_interview_tab(tutor: Tutor) -> InterviewTab:
    """Lay the tab out and wire it."""
    handlers = InterviewHandlers(tutor)
    interview = gr.State(None)
    setup = _build_setup(handlers)
    with gr.Column(visible=False, elem_classes="page", elem_id="interview-room") as room:
        status = gr.HTML(elem_id="status")
        question = gr.Markdown(latex_delimiters=FORMULAS, elem_id="interview-question")
        transcript = gr.Markdown(latex_delimiters=FORMULAS, elem_id="transcript")
        with gr.Column(elem_id="talk") as talk:
            attempt = gr.Textbox(
                label="Your answer",
                info="Ctrl+Enter sends it.",
                placeholder="Explain it as you would to an interviewer …",
                lines=6,
                max_lines=20,
                elem_id="attempt",
            )
            with gr.Row(elem_id="attempt-row"):
                send = gr.Button("Answer", variant="primary", scale=0, min_width=120, elem_id="send-answer")
                hint = gr.Button(f"Hint ({hint_cost().split()[-1]})", scale=0, min_width=100, elem_id="hint")
                clarify = gr.Button("Clarify", scale=0, min_width=90, elem_id="clarify")
                dont_know = gr.Button("I don't know", scale=0, min_width=110, elem_id="dont-know")
                skip = gr.Button("Skip", scale=0, min_width=80, elem_id="skip")
                end = gr.Button("End", scale=0, min_width=70, elem_id="end")
        with gr.Row(visible=False, elem_id="next-row") as after:
            follow = gr.Button("Next question", variant="primary", scale=0, min_width=160, elem_id="next")
            end_here = gr.Button("End", scale=0, min_width=70, elem_id="end-here")
        with gr.Accordion("Dispute a point", visible=False, open=False, elem_id="dispute") as dispute:
            point = gr.Dropdown([], label="Key point", elem_id="disputed-point")
            argument = gr.Textbox(
                label="Your argument",
                placeholder="Quote the words of your answer that make the point, and say what you mean by them.",
                lines=2,
                elem_id="argument",
            )
            judge_again = gr.Button("Judge it again", elem_id="judge-again")
    with gr.Column(visible=False, elem_classes="page", elem_id="interview-report") as report:
        how_it_went = gr.Markdown(latex_delimiters=FORMULAS, elem_id="how-it-went")
        downloads = gr.HTML(elem_id="downloads")
        another = gr.Button("Another interview", variant="primary", elem_id="another")

    outputs = [
        interview, setup.column, room, report, status, question, transcript, dispute, point, argument,
        talk, attempt, skip, after, follow, how_it_went, downloads,
    ]  # fmt: skip
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    busy: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", "show_progress_on": attempt}
    begun = [
        setup.begin.click(handlers.start, setup.plan, outputs, **quiet),
        setup.go_on.click(handlers.resume, setup.left, outputs, **quiet),
        skip.click(handlers.skip, interview, outputs, **quiet),
        follow.click(handlers.next, interview, outputs, **quiet),
    ]
    gr.on([send.click, attempt.submit], handlers.send, [attempt, interview], outputs, **busy)
    clarify.click(handlers.clarify, [attempt, interview], outputs, **busy)
    hint.click(handlers.hint, interview, outputs, **quiet)
    dont_know.click(handlers.dont_know, interview, outputs, **quiet)
    gr.on([end.click, end_here.click], handlers.end, interview, outputs, **quiet)
    judged = judge_again.click(handlers.dispute, [point, argument, interview], outputs, **busy)
    judged.success(None, js=_SHOW_DISPUTE)
    for event in begun:
        event.success(None, js=FOCUS_ANSWER)
    chosen = another.click(handlers.set_up, None, outputs, **quiet)
    choices = (setup.topics, setup.left, setup.left_row)
    chosen.then(handlers.look, None, list(choices), **quiet)
    return InterviewTab(handlers, choices, outputs)

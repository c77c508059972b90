"""The Practice tab: a question of the bank, hints, the learner's attempt, and its grade."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gradio as gr

from corpus.questions import LEVELS, Question
from tutor.grading import Grade
from tutor.tutor import Tutor
from ui.page import FORMULAS, known_errors_shown, topic_titles
from ui.render import grade_markdown, hints_markdown, question_markdown, topic_label

_START = (
    '<p class="empty">Choose a topic and a level, then get a question. Answer in your own words, as you would in the '
    "interview: each key point is judged on its own, with the section to read next to it.</p>"
)
_FOCUS_ATTEMPT = "() => document.querySelector('#attempt textarea')?.focus()"
_SHOW_GRADE = "() => document.querySelector('#grade-card')?.scrollIntoView({ block: 'start' })"


@dataclass(frozen=True)
class Practice:
    """Where the learner stands between two clicks."""

    question: Question | None = None
    hints: int = 0
    """How many hints were shown."""
    asked: tuple[str, ...] = ()
    """Ids of the questions of this visit, so that none comes twice before all have come."""
    grade: Grade | None = None
    """Of the last attempt at the present question."""

    def with_question(self, question: Question) -> Practice:
        """A new question, without hints."""
        return Practice(question, asked=(*self.asked, question.id))

    def with_hint(self) -> Practice:
        """One hint more, as far as there are any."""
        available = len(self.question.hints) if self.question else 0
        return replace(self, hints=min(self.hints + 1, available))


class QuestionView(NamedTuple):
    """What changes with the question, in the order of the tab's `on_question`."""

    practice: Practice
    question: str
    hints: str
    attempt: gr.Textbox
    hint: gr.Button
    workplace: gr.Column
    grade: gr.Markdown
    next: gr.Button
    dispute: gr.Accordion
    get: gr.Button


class GradeView(NamedTuple):
    """What changes with a grade, in the order of the tab's `on_grade`."""

    practice: Practice
    grade: gr.Markdown
    next: gr.Button
    dispute: gr.Accordion
    point: gr.Dropdown
    argument: str


class HintView(NamedTuple):
    """What changes with a hint, in the order of the tab's `on_hint`."""

    practice: Practice
    hints: str
    hint: gr.Button


@dataclass(frozen=True)
class PracticeHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor

    def next_question(self, topic: str, level: str, practice: Practice) -> QuestionView:
        """Another question of the topic and level; one that was asked before where all were."""
        with known_errors_shown():
            question = self.tutor.next_question(topic=topic, level=level, exclude=practice.asked)
            if question is None and practice.asked:
                question = self.tutor.next_question(topic=topic, level=level)
                practice = replace(practice, asked=())
                if question is not None:
                    gr.Info("You have seen every question of this choice. They start again.")
        if question is None:
            raise gr.Error("No question has this topic and level. Choose another level.", print_exception=False)
        return question_view(practice.with_question(question), topic_label(question.topic, topic_titles(self.tutor)))

    def hint(self, practice: Practice) -> HintView:
        """Show one hint more."""
        question, practice = _asked(practice), practice.with_hint()
        return HintView(practice, hints_markdown(question, practice.hints), _hint_button(practice))

    def grade(self, attempt: str, practice: Practice) -> GradeView:
        """Grade the attempt at the present question, and keep the grade."""
        question = _asked(practice)
        with known_errors_shown():
            grade = self.tutor.grade(question, attempt, hints=practice.hints)
        return grade_view(replace(practice, grade=grade), grade)

    def dispute(self, point: int | None, argument: str, practice: Practice) -> GradeView:
        """Have a key point of the last grade judged again; both verdicts are kept."""
        if practice.grade is None or point is None:
            raise gr.Error("Choose the point that you dispute.", print_exception=False)
        with known_errors_shown():
            grade = self.tutor.dispute(practice.grade, point, argument)
        return grade_view(replace(practice, grade=grade), grade)

    def topics(self) -> list[tuple[str, str]]:
        """The choices of the topic list."""
        titles = topic_titles(self.tutor)
        topics = sorted({question.topic for question in self.tutor.questions})
        labelled = [(topic_label(topic, titles), topic) for topic in topics]
        return [("All topics", ""), *sorted(labelled)]

    def refresh_topics(self) -> gr.Dropdown:
        """The topic list once the index is known."""
        return gr.Dropdown(choices=self.topics())


def _asked(practice: Practice) -> Question:
    if practice.question is None:
        raise gr.Error("Get a question first.", print_exception=False)
    return practice.question


def question_view(practice: Practice, topic: str) -> QuestionView:
    """The present question, with an empty attempt and no grade."""
    return QuestionView(
        practice,
        question_markdown(_asked(practice), topic),
        "",
        attempt=gr.Textbox(value=""),
        hint=_hint_button(practice),
        workplace=gr.Column(visible=True),
        grade=gr.Markdown("", visible=False),
        next=gr.Button(visible=False),
        dispute=gr.Accordion(visible=False),
        get=gr.Button("New question", variant="secondary"),
    )


def grade_view(practice: Practice, grade: Grade) -> GradeView:
    """The grade, and the points of it that can be disputed."""
    points = [
        (f"{number}. {verdict.key_point.text}", number)
        for number, verdict in enumerate(grade.verdicts, start=1)
        if verdict.verdict not in {"made", "unjudged"}
    ]
    return GradeView(
        practice,
        gr.Markdown(grade_markdown(grade), visible=True),
        gr.Button(visible=True),
        dispute=gr.Accordion(visible=bool(points), open=False),
        point=gr.Dropdown(choices=points, value=None),
        argument="",
    )


def _hint_button(practice: Practice) -> gr.Button:
    left = len(_asked(practice).hints) - practice.hints
    return gr.Button(f"Hint ({left} left)" if left else "No more hints", interactive=left > 0)


@dataclass(frozen=True)
class PracticeTab:
    """The events and components that other parts of the page need."""

    graded: Any
    """Fires when a grade was kept; Gradio gives it no public type."""
    topic: gr.Dropdown
    handlers: PracticeHandlers


def build_practice_tab(tutor: Tutor) -> PracticeTab:
    """Lay the tab out and wire it."""
    handlers = PracticeHandlers(tutor)
    practice = gr.State(Practice())
    levels = [("All levels", ""), *((level.capitalize(), level) for level in LEVELS)]
    with gr.Column(elem_classes="page"):
        with gr.Row(elem_id="choice-row"):
            topic = gr.Dropdown(handlers.topics(), value="", label="Topic", scale=3, min_width=200, elem_id="topic")
            level = gr.Dropdown(levels, value="", label="Level", scale=1, min_width=130, elem_id="level")
            get = gr.Button("Get a question", variant="primary", scale=0, min_width=150, elem_id="get-question")
        question = gr.Markdown(_START, latex_delimiters=FORMULAS, elem_id="practice-question")
        with gr.Column(visible=False, elem_id="workplace") as workplace:
            hints = gr.Markdown(latex_delimiters=FORMULAS, elem_id="hints")
            attempt = gr.Textbox(
                label="Your answer",
                info="Ctrl+Enter grades it.",
                placeholder="Explain it as you would to an interviewer …",
                lines=6,
                max_lines=20,
                elem_id="attempt",
            )
            with gr.Row(elem_id="attempt-row"):
                grade = gr.Button("Grade my answer", variant="primary", scale=0, min_width=160, elem_id="grade")
                hint = gr.Button("Hint", scale=0, min_width=120, elem_id="hint")
                skip = gr.Button("Skip", scale=0, min_width=90, elem_id="skip")
        card = gr.Markdown(visible=False, latex_delimiters=FORMULAS, elem_id="grade-card")
        with gr.Accordion("Dispute a point", visible=False, open=False, elem_id="dispute") as dispute:
            point = gr.Dropdown([], label="Key point", elem_id="disputed-point")
            argument = gr.Textbox(
                label="Your argument",
                placeholder="Quote the words of your answer that make the point, and say what you mean by them.",
                lines=2,
                elem_id="argument",
            )
            judge_again = gr.Button("Judge it again", elem_id="judge-again")
        follow = gr.Button("Next question", variant="primary", visible=False, elem_id="next")

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    on_question = [practice, question, hints, attempt, hint, workplace, card, follow, dispute, get]
    on_grade = [practice, card, follow, dispute, point, argument]
    chosen = gr.on(
        [get.click, skip.click, follow.click], handlers.next_question, [topic, level, practice], on_question, **quiet
    )
    chosen.success(None, js=_FOCUS_ATTEMPT)
    hint.click(handlers.hint, practice, [practice, hints, hint], **quiet)
    graded = gr.on(
        [grade.click, attempt.submit],
        handlers.grade,
        [attempt, practice],
        on_grade,
        api_visibility="private",
        show_progress="minimal",
    )
    graded.success(None, js=_SHOW_GRADE)
    judge_again.click(
        handlers.dispute, [point, argument, practice], on_grade, api_visibility="private", show_progress="minimal"
    )
    return PracticeTab(graded, topic, handlers)

"""An interview as the Markdown and HTML that the page shows: where it stands, what was said, the report. Pure; knows no Gradio."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from corpus.documents import language_of
from corpus.questions import Question
from tutor.interview import HINT_COST, LONGEST_TURN_SECONDS, Interview, Language, Round, Style, Turn
from tutor.interview_report import (
    OUTCOMES,
    GroupScore,
    InterviewReport,
    PointResult,
    duration,
    outcome_of,
    percent,
    report_html,
    report_markdown,
    report_record,
    summary,
)
from tutor.interviewer import shown_grade, withheld_points
from ui.render import (
    VERDICT_LABELS,
    cited,
    grade_markdown,
    model_answer,
    page_markdown,
    practise_link,
    question_markdown,
    said,
    score_bar,
    score_cell,
    section_link,
    topic_label,
    typed,
)

STYLE_LABELS: Mapping[Style, str] = {
    "mixed": "A bit of everything",
    "screening": "Screening: broad, short questions",
    "deep-dive": "Deep dive: one topic, why and how",
    "behavioural": "Behavioural: your own stories",
    "systems-gpu": "Like an NVIDIA round: systems and GPU",
}


# Where it stands


def status_html(interview: Interview, now: datetime, titles: Mapping[str, str]) -> str:
    """How far the interview is, and the time used; the page counts it on from the numbers that the timer carries."""
    if not interview.rounds:
        return ""
    question = interview.rounds[-1].question
    number, total = len(interview.rounds), interview.plan.questions
    where = f"Question {number} of {total}" if total else f"Question {number}"
    about = f"{html.escape(topic_label(question.topic, titles))} · {question.level} · {question.kind}"
    done = number - (interview.phase != "between")
    bar = (
        f'<span class="bar" role="progressbar" aria-label="Questions done" aria-valuemin="0" aria-valuemax="{total}" '
        f'aria-valuenow="{done}"><span class="fill done" style="width:{done / total:.0%}"></span></span>'
        if total
        else ""
    )
    return f'<div class="status"><b>{where}</b><span class="about">{about}</span>{bar}{_timer(interview, now)}</div>'


def _timer(interview: Interview, now: datetime) -> str:
    if not interview.plan.shows_timer:
        return ""
    used = round(interview.seconds_at(now))
    most = round(interview.seconds) + LONGEST_TURN_SECONDS
    limit = f" of {interview.plan.minutes} min" if interview.plan.minutes else ""
    return (
        f'<span class="timer" role="timer" aria-label="Time used"><span data-used="{used}" data-most="{most}">'
        f"{used // 60}:{used % 60:02}</span>{limit}</span>"
    )


def asked_markdown(question: Question, language: Language) -> str:
    """The question in the language of the interview, and below it in the other one."""
    if language_of(question.prompt) != language and question.translation:
        question = replace(question, prompt=question.translation, translation=question.prompt)
    return question_markdown(question)


# What was said


def transcript_markdown(round_: Round, *, is_over: bool = False) -> str:
    """What was said to the question, in its order; the grade as it is after disputes.

    Unless the interview `is_over`, what a waiting follow-up asks for is not told.
    """
    return "\n\n".join(_said(round_, is_over))


def _said(round_: Round, is_over: bool) -> Iterator[str]:
    hints = follow_ups = 0
    for turn in round_.turns[1:]:
        match turn.kind:
            case "hint":
                hints += 1
                yield _note(f"Hint {hints}", f"{page_markdown(turn.reply)} <small>({-HINT_COST:+.0%})</small>")
            case "clarification":
                yield _note("You asked", f"{said(turn.text) or 'What is meant?'}\n\n{page_markdown(turn.reply)}")
            case "answer":
                yield _note("Your answer", typed(turn.text))
                yield from _card(round_, is_over) if turn.grade and turn.grade.is_judged else (_unjudged(turn),)
            case "follow-up":
                yield _note("You", typed(turn.text))
                label = f"{VERDICT_LABELS[turn.verdict.verdict]}. " if turn.verdict else ""
                yield _note("Interviewer", label + page_markdown(turn.reply))
            case "dont-know":
                yield _note("You", "I don't know.")
                yield from _lesson(turn) if turn.grade else (_note("Interviewer", page_markdown(turn.reply)),)
        if turn.follow_up:
            follow_ups += 1
            yield _note(f"Follow-up {follow_ups}", page_markdown(turn.follow_up.text), "follow-up")
    if round_.phase == "between" and round_.grade:
        yield _arithmetic(round_)


def _note(who: str, text: str, kind: str = "") -> str:
    return f'<div class="said {kind}">\n\n<span class="who">{who}</span>\n\n{text}\n\n</div>'


def _card(round_: Round, is_over: bool) -> Iterator[str]:
    grade = replace(round_.grade, follow_up="") if is_over and round_.grade else shown_grade(round_)
    if grade is not None:
        withheld = () if is_over else withheld_points(round_)
        yield f'<div class="card">\n\n{grade_markdown(grade, withheld=withheld)}\n\n</div>'


def _unjudged(turn: Turn) -> str:
    """Why an answer could not be judged, without the points: it may be given again."""
    return _note("Interviewer", said(turn.grade.feedback) if turn.grade else "")


def _lesson(turn: Turn) -> Iterator[str]:
    if turn.grade is None:
        return
    yield _note("Interviewer", page_markdown(turn.reply))
    yield "### What a good answer says"
    for number, verdict in enumerate(turn.grade.verdicts, start=1):
        source = f"\n\n{cited(verdict.citation, f'point-{number}')}" if verdict.citation else ""
        yield f'<div class="verdict">\n\n{page_markdown(verdict.key_point.text)}{source}\n\n</div>'
    yield model_answer(turn.grade.question, is_open=True)


def _arithmetic(round_: Round) -> str:
    """How hints and follow-ups changed the score; nothing where they did not."""
    grade = round_.grade
    if grade is None or grade.score is None or round_.score is None or round_.score == grade.score:
        return ""
    parts = [f"grade {grade.score:.0%}"]
    if round_.follow_up_credit:
        parts.append(f"follow-ups {round_.follow_up_credit:+.0%}")
    if round_.hints:
        parts.append(
            f"{len(round_.hints)} {'hint' if len(round_.hints) == 1 else 'hints'} {-HINT_COST * len(round_.hints):+.0%}"
        )
    return f'<p class="arithmetic"><b>This question: {round_.score:.0%}</b> ({", ".join(parts)})</p>'


# Interviews left open


def left_label(interview: Interview) -> str:
    """An interview to be taken up, in a line."""
    total = f" of {interview.plan.questions}" if interview.plan.questions else ""
    style = STYLE_LABELS[interview.plan.style].split(":")[0]
    return f"Question {len(interview.rounds)}{total} · {style} · {interview.last_at.astimezone():%d %b, %H:%M}"


# The report


def report_page(interview: Interview, titles: Mapping[str, str]) -> str:
    """The report as the page shows it, with links that open the guides."""
    return "\n\n".join(_report(InterviewReport(interview), titles))


def _report(report: InterviewReport, titles: Mapping[str, str]) -> Iterator[str]:
    interview = report.interview
    yield "## How it went"
    yield score_bar(interview.score)
    yield said(summary(report))
    if interview.rounds:
        yield _groups("Topic", [replace(one, name=topic_label(one.name, titles)) for one in report.by_topic])
        yield _groups("Kind of question", report.by_kind)
    if report.readings:
        yield "### Read again"
        yield "\n".join(
            f"- [{said(reading.citation.chunk.title)} › {said(reading.citation.chunk.heading)}]({section_link(reading.citation.chunk, reading.citation.quote)})"
            for reading in report.readings
        )
    if report.strongest:
        yield "### Your strongest points"
        yield from map(_point, report.strongest)
    if report.weakest:
        yield "### What was missing most"
        yield from map(_point, report.weakest)
    if interview.rounds:
        yield "### The questions"
    for number, round_ in enumerate(interview.rounds, start=1):
        yield _round(number, round_)


def _groups(title: str, groups: list[GroupScore]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(group.name)}</th><td>{group.questions}</td>"
        f"<td>{'–' if group.score is None else score_cell(group.score)}</td></tr>"
        for group in groups
    )
    return (
        f"<table class='plain'><thead><tr><th scope='col'>{title}</th><th scope='col'>Questions</th><th scope='col'>Score</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _point(point: PointResult) -> str:
    quoted = f"\n\n> You said: “{said(point.verdict.evidence)}”" if point.verdict.evidence else ""
    return (
        f'<div class="verdict {point.after}">\n\n<span class="badge">{VERDICT_LABELS[point.after]}</span> '
        f"{page_markdown(point.verdict.key_point.text)}{quoted}\n\n</div>"
    )


def _round(number: int, round_: Round) -> str:
    outcome = outcome_of(round_)
    result = percent(round_.score) if outcome == "answered" else OUTCOMES[outcome]
    return (
        f'<details class="source"><summary><span class="where"><b>{number}. {page_markdown(round_.question.prompt)}</b> '
        f"<small>{result} · {duration(round_.seconds)}</small></span></summary>\n\n"
        f"[Try this question again]({practise_link('question', round_.question.id)})\n\n"
        f"{transcript_markdown(round_, is_over=True) if round_.is_answered or round_.lesson else model_answer(round_.question, is_open=True)}\n\n</details>"
    )


REPORT_FORMATS: Mapping[str, tuple[str, str]] = {
    "md": ("Markdown", "text/markdown"),
    "html": ("HTML", "text/html"),
    "json": ("JSON", "application/json"),
}
"""By the ending of the file: what the format is called, and its media type."""


def report_file(interview: Interview, titles: Mapping[str, str], ending: str) -> tuple[str, str]:
    """The name of the report as a file of one of `REPORT_FORMATS`, and its text."""
    name = f"interview-{interview.started_at:%Y-%m-%d}-{interview.id}.{ending}"
    if ending == "json":
        return name, json.dumps(report_record(interview), ensure_ascii=False, indent=1)
    return name, (report_html if ending == "html" else report_markdown)(interview, titles)


def download_links(interview: Interview, titles: Mapping[str, str]) -> str:
    """Links that save the report. It travels in the page itself: nothing of the learner's is left in a file of the server."""
    links = ""
    for ending, (label, kind) in REPORT_FORMATS.items():
        name, text = report_file(interview, titles, ending)
        data = base64.b64encode(text.encode()).decode()
        links += f'<a class="download" download="{name}" href="data:{kind};charset=utf-8;base64,{data}">{label}</a>'
    return f'<div class="downloads"><span>Save the report:</span>{links}</div>'

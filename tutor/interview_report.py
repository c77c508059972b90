"""What came of an interview: scores, the best and the weakest points in the learner's words, what to read. As Markdown, HTML and JSON."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tutor.answers import Citation
from tutor.grading import CREDIT, Verdict, VerdictName
from tutor.interview import Interview, Round, mean
from tutor.interviewer import place
from tutor.records import grade_record

REPORT_VERSION = 1
STRONGEST, WEAKEST = 3, 5
"""Points that are listed: more is a list nobody reads."""
Outcome = Literal["answered", "unknown", "skipped", "open"]
OUTCOMES: Mapping[Outcome, str] = {
    "answered": "answered",
    "unknown": "did not know (counts 0)",
    "skipped": "skipped (does not count)",
    "open": "left open",
}


@dataclass(frozen=True)
class GroupScore:
    """The questions of one topic or kind."""

    name: str
    questions: int
    score: float | None
    """Mean, 0 to 1; None where none has a score."""


@dataclass(frozen=True)
class PointResult:
    """What became of a key point."""

    round: Round
    verdict: Verdict
    after: VerdictName
    """With what follow-ups brought."""


@dataclass(frozen=True)
class Reading:
    """A section to read again."""

    citation: Citation
    points: tuple[str, ...]
    """The key points that it supports and that were left open, weightiest first."""
    lost: float
    """Their weight."""


@dataclass(frozen=True)
class InterviewReport:
    """All figures follow from the interview, over or not."""

    interview: Interview

    @property
    def by_topic(self) -> list[GroupScore]:
        """Weakest first."""
        return self._groups(lambda round_: round_.question.topic)

    @property
    def by_kind(self) -> list[GroupScore]:
        """Weakest first."""
        return self._groups(lambda round_: round_.question.kind)

    def _groups(self, name_of: Callable[[Round], str]) -> list[GroupScore]:
        rounds: dict[str, list[Round]] = {}
        for round_ in self.interview.rounds:
            rounds.setdefault(name_of(round_), []).append(round_)
        groups = [GroupScore(name, len(found), mean([one.score for one in found])) for name, found in rounds.items()]
        return sorted(groups, key=lambda group: (2.0 if group.score is None else group.score, group.name))

    @cached_property
    def points(self) -> list[PointResult]:
        """Every key point that was judged, or taught after "I don't know"."""
        found = []
        for round_ in self.interview.rounds:
            grade = round_.grade if round_.is_answered else round_.lesson.grade if round_.lesson else None
            if grade is None:
                continue
            found += [
                PointResult(round_, verdict, round_.verdict_after(number))
                for number, verdict in enumerate(grade.verdicts, start=1)
            ]
        return found

    @property
    def strongest(self) -> list[PointResult]:
        """The weightiest points that were made unasked, with the learner's words."""
        made = [point for point in self.points if point.verdict.verdict == "made" and point.verdict.evidence]
        return sorted(made, key=_weight, reverse=True)[:STRONGEST]

    @property
    def weakest(self) -> list[PointResult]:
        """The weightiest points that are still open."""
        left = [point for point in self.points if point.after != "made"]
        return sorted(left, key=lambda point: _weight(point) * (1 - CREDIT[point.after]), reverse=True)[:WEAKEST]

    @property
    def readings(self) -> list[Reading]:
        """The sections behind the open points, where most was lost first."""
        left: dict[str, list[PointResult]] = {}
        for point in self.points:
            if point.after != "made" and point.verdict.citation:
                left.setdefault(point.verdict.citation.chunk.id, []).append(point)
        readings = []
        for found in left.values():
            ordered = sorted(found, key=_weight, reverse=True)
            texts = tuple(dict.fromkeys(point.verdict.key_point.text for point in ordered))
            lost = sum(_weight(point) * (1 - CREDIT[point.after]) for point in ordered)
            citation = ordered[0].verdict.citation
            if citation:
                readings.append(Reading(citation, texts, lost))
        return sorted(readings, key=lambda reading: -reading.lost)

    @property
    def hints(self) -> int:
        """Hints that were taken."""
        return sum(len(round_.hints) for round_ in self.interview.rounds)

    def count(self, outcome: Outcome) -> int:
        """Questions that ended so."""
        return sum(outcome_of(round_) == outcome for round_ in self.interview.rounds)


def _weight(point: PointResult) -> float:
    return point.verdict.key_point.weight


def outcome_of(round_: Round) -> Outcome:
    """How a question ended."""
    if round_.is_answered:
        return "answered"
    return "unknown" if round_.is_unknown else "skipped" if round_.is_skipped else "open"


def duration(seconds: float) -> str:
    """A time as one reads it: `12 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def percent(score: float | None) -> str:
    """A score as one reads it."""
    return "no score" if score is None else f"{score:.0%}"


# JSON


def report_record(interview: Interview) -> dict[str, Any]:
    """The report for a program: documented in docs/json.md, changed only with the version."""
    report, plan = InterviewReport(interview), interview.plan
    return {
        "version": REPORT_VERSION,
        "id": interview.id,
        "started_at": interview.started_at.isoformat(),
        "over": interview.is_over,
        "plan": {
            "topics": list(plan.topics),
            "level": plan.level,
            "style": plan.style,
            "questions": plan.questions,
            "minutes": plan.minutes,
            "language": plan.language,
            "only": list(plan.only),
        },
        "score": _rounded(interview.score),
        "seconds": interview.seconds,
        "hints": report.hints,
        "by_topic": [_group_record(group) for group in report.by_topic],
        "by_kind": [_group_record(group) for group in report.by_kind],
        "strongest": [_point_record(point) for point in report.strongest],
        "weakest": [_point_record(point) for point in report.weakest],
        "study": [
            {
                "document": reading.citation.chunk.document_id,
                "title": reading.citation.chunk.title,
                "heading": reading.citation.chunk.path,
                "start_line": reading.citation.chunk.start_line,
                "points": list(reading.points),
            }
            for reading in report.readings
        ],
        "questions": [_round_record(round_) for round_ in interview.rounds],
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def _group_record(group: GroupScore) -> dict[str, Any]:
    return {"name": group.name, "questions": group.questions, "score": _rounded(group.score)}


def _point_record(point: PointResult) -> dict[str, Any]:
    return {
        "question_id": point.round.question.id,
        "key_point": point.verdict.key_point.text,
        "weight": point.verdict.key_point.weight,
        "verdict": point.after,
        "evidence": point.verdict.evidence,
    }


def _round_record(round_: Round) -> dict[str, Any]:
    question = round_.question
    return {
        "question_id": question.id,
        "topic": question.topic,
        "level": question.level,
        "kind": question.kind,
        "question": question.prompt,
        "outcome": outcome_of(round_),
        "score": round_.score,
        "seconds": round_.seconds,
        "hints": list(round_.hints),
        "clarifications": [
            {"asked": turn.text, "reply": turn.reply} for turn in round_.turns if turn.kind == "clarification"
        ],
        "answer": round_.grade.attempt if round_.grade else None,
        "grade": grade_record(round_.grade) if round_.grade else None,
        "follow_ups": [
            {
                "question": asked.text,
                "point": asked.point or None,
                "answer": turn.text if turn and turn.kind == "follow-up" else None,
                "verdict": turn.verdict.verdict if turn and turn.verdict else None,
            }
            for asked, turn in round_.follow_ups
        ],
        "model_answer": question.answer,
    }


# Markdown


def report_markdown(interview: Interview, titles: Mapping[str, str]) -> str:
    """The report to keep; `titles` are those of the topics. What the learner said stands as it was typed."""
    return "\n".join(_markdown(InterviewReport(interview), titles)) + "\n"


def _markdown(report: InterviewReport, titles: Mapping[str, str]) -> Iterator[str]:
    interview = report.interview
    yield from (f"# Interview of {interview.started_at:%Y-%m-%d}", "", f"**{summary(report)}**", "")
    for name, groups in (("Topic", report.by_topic), ("Kind of question", report.by_kind)):
        if not groups:
            continue
        yield from (f"| {name} | Questions | Score |", "|---|---|---|")
        for group in groups:
            yield f"| {_cell(titles.get(group.name, group.name))} | {group.questions} | {percent(group.score)} |"
        yield ""
    if report.strongest:
        yield from ("## Your strongest points", "")
        for point in report.strongest:
            yield f"- {point.verdict.key_point.text}"
            yield f"  You said: “{_line(point.verdict.evidence)}”"
        yield ""
    if report.weakest:
        yield from ("## What was missing most", "")
        for point in report.weakest:
            said = f" You said: “{_line(point.verdict.evidence)}”" if point.verdict.evidence else ""
            yield f"- {point.after.capitalize()}: {point.verdict.key_point.text}{said}"
        yield ""
    if report.readings:
        yield from ("## Read again", "")
        for reading in report.readings:
            yield f"- {place(reading.citation)} ({reading.citation.chunk.place})"
        yield ""
    yield from ("## The questions", "")
    for number, round_ in enumerate(interview.rounds, start=1):
        yield from _round_markdown(number, round_)


def _round_markdown(number: int, round_: Round) -> Iterator[str]:
    question = round_.question
    yield from (f"### {number}. {question.prompt}", "")
    score = percent(round_.score) if round_.score is not None else OUTCOMES[outcome_of(round_)]
    if round_.is_unknown:
        score = OUTCOMES["unknown"]
    yield f"{question.topic}, {question.level}, {question.kind}: **{score}**, {duration(round_.seconds)}, {_hints(round_)}"
    yield ""
    if round_.grade:
        yield from ("Your answer:", "", *(f"> {line}" for line in round_.grade.attempt.splitlines()), "")
        for point, verdict in enumerate(round_.grade.verdicts, start=1):
            yield f"{point}. {verdict.verdict}: {verdict.key_point.text}"
            if verdict.dispute:
                yield f"   Disputed (it was {verdict.dispute.before.verdict}): “{_line(verdict.dispute.argument)}” {verdict.dispute.reason}"
        yield ""
    for asked, turn in round_.follow_ups:
        yield f"Follow-up: {asked.text}"
        if turn and turn.kind == "follow-up":
            yield from ("", *(f"> {line}" for line in turn.text.splitlines()))
            if turn.verdict:
                yield from ("", f"Verdict on point {asked.point}: {turn.verdict.verdict}.")
        yield ""
    yield from ("Model answer:", "", *(f"> {line}" for line in question.answer.splitlines()), "")


def summary(report: InterviewReport) -> str:
    """The interview in a line."""
    parts = [f"Score {percent(report.interview.score)}" if report.interview.score is not None else "No score"]
    parts.append(f"{report.count('answered')} of {len(report.interview.rounds)} questions answered")
    if report.count("unknown"):
        parts.append(f"{report.count('unknown')} not known")
    if report.count("skipped"):
        parts.append(f"{report.count('skipped')} skipped")
    parts.append("1 hint" if report.hints == 1 else f"{report.hints} hints")
    parts.append(duration(report.interview.seconds))
    return " · ".join(parts)


def _hints(round_: Round) -> str:
    return "1 hint" if len(round_.hints) == 1 else f"{len(round_.hints)} hints"


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


# HTML

_STYLE = """
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif; color: #1e293b; background: #fff; }
table { border-collapse: collapse; margin: 0 0 1.5rem; width: 100%; } th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e2e8f0; text-align: left; }
blockquote { margin: 0 0 1rem; padding: 0 0 0 1rem; border-left: 3px solid #0f766e; color: #526077; } h1, h2, h3 { line-height: 1.3; }
pre { overflow-x: auto; padding: .8rem; background: #f6f8fa; } h2 { margin-top: 2.2rem; }
@media (prefers-color-scheme: dark) { body { color: #e6ebf2; background: #0f172a; } th, td { border-color: #2c3a4f; } blockquote { color: #a3b0c2; } pre { background: #172136; } }
"""


def report_html(interview: Interview, titles: Mapping[str, str]) -> str:
    """The report as one page that fetches nothing. What learners and guides wrote is shown as text, never obeyed."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    title = html.escape(f"Interview of {interview.started_at:%Y-%m-%d}")
    return (
        f'<!doctype html>\n<html lang="{interview.plan.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{_STYLE}</style></head>\n'
        f"<body>\n{parser.render(report_markdown(interview, titles))}</body></html>\n"
    )

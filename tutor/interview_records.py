"""Interviews as the JSON that the history keeps, and back. What is kept is read by later versions: the version says how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tutor.answers import Citation
from tutor.grading import Grade, Verdict
from tutor.interview import Interview, InterviewError, InterviewPlan, Turn
from tutor.progress import StoredInterview

INTERVIEW_VERSION = 1
Cite = Callable[[str, str], Citation | None]
"""The passage of a guide section that supports a text."""

# The passages are found again from the sections that the key points name, and the question stands in the turn that put it.
_VERDICT = {"citation": True, "dispute": {"before": {"citation"}}}
_LEFT_OUT: dict[str, Any] = {
    "grade": {"question": True, "verdicts": {"__all__": _VERDICT}, "misconceptions": {"__all__": {"citation"}}},
    "verdict": _VERDICT,
}


@cache
def _turns() -> TypeAdapter[Turn]:
    return TypeAdapter(Turn)


@cache
def _plans() -> TypeAdapter[InterviewPlan]:
    return TypeAdapter(InterviewPlan)


def plan_record(plan: InterviewPlan) -> dict[str, Any]:
    """The plan as JSON values."""
    return {"version": INTERVIEW_VERSION, **_plans().dump_python(plan, mode="json")}


def turn_record(turn: Turn) -> dict[str, Any]:
    """The turn as JSON values, without passages of the guides."""
    record = _turns().dump_python(turn, mode="json", exclude=_LEFT_OUT, exclude_defaults=True)
    return {"version": INTERVIEW_VERSION, **record}


def read_interview(stored: StoredInterview, cite: Cite) -> Interview:
    """The interview that was kept, its passages found again. Raises InterviewError where it cannot be read."""
    try:
        interview = Interview(stored.id, _read_plan(stored.plan), stored.started_at)
        for record in stored.turns:
            interview = interview.after(_read_turn(record, interview, cite))
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise InterviewError(
            f"The interview {stored.id!r} cannot be read ({type(error).__name__}): it was kept by another version, or damaged. "
            "The others can; start a new one, or update interview-tutor."
        ) from error
    return interview


def _read_plan(record: Mapping[str, Any]) -> InterviewPlan:
    return _plans().validate_python(_checked(record))


def _read_turn(record: Mapping[str, Any], interview: Interview, cite: Cite) -> Turn:
    values = _checked(record)
    if "grade" in values:
        values["grade"] = {**values["grade"], "question": interview.rounds[-1].question}
    turn = _turns().validate_python(values)
    return replace(
        turn,
        grade=_cited_grade(turn.grade, cite) if turn.grade else None,
        verdict=_cited(turn.verdict, cite) if turn.verdict else None,
    )


def _checked(record: Mapping[str, Any]) -> dict[str, Any]:
    version = record["version"]
    if version != INTERVIEW_VERSION:
        raise InterviewError(
            f"An interview was kept by a newer version (format {version}, this one knows {INTERVIEW_VERSION}). "
            "Update interview-tutor, or start a new interview."
        )
    return {name: value for name, value in record.items() if name != "version"}


def _cited_grade(grade: Grade, cite: Cite) -> Grade:
    return replace(
        grade,
        verdicts=tuple(_cited(verdict, cite) for verdict in grade.verdicts),
        misconceptions=tuple(
            replace(found, citation=cite(found.misconception.section, found.misconception.text))
            for found in grade.misconceptions
        ),
    )


def _cited(verdict: Verdict, cite: Cite) -> Verdict:
    dispute = verdict.dispute
    return replace(
        verdict,
        citation=cite(verdict.key_point.section, verdict.key_point.text),
        dispute=replace(dispute, before=_cited(dispute.before, cite)) if dispute else None,
    )

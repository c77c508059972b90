"""Interviews for tests, made turn by turn without a tutor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from corpus.questions import KeyPoint, Kind, Level, Question
from tutor.grading import Grade, Verdict, VerdictName
from tutor.interview import FollowUp, Interview, InterviewPlan, Turn, TurnKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAVY = KeyPoint("Dropout zeroes random activations during training.", 3, "regularization#dropout")
LIGHT = KeyPoint("Dropout is switched off at inference.", 1, "regularization#dropout")


def question(
    name: str = "dropout",
    *,
    topic: str = "regularization",
    level: Level = "mid",
    kind: Kind = "concept",
    prompt: str = "",
    translation: str = "",
) -> Question:
    """A question with a heavy and a light key point."""
    return Question(
        name,
        topic,
        prompt or f"What is {name}?",
        level,
        kind,
        "An answer.",
        (HEAVY, LIGHT),
        translation=translation,
        follow_ups=("And when?", "And why?"),
        hints=("Think of units.",),
    )


def grade(asked: Question, *verdicts: VerdictName, attempt: str = "It zeroes activations.") -> Grade:
    """A grade of the two key points."""
    pairs = zip((HEAVY, LIGHT), verdicts, strict=True)
    said = {"made": attempt, "partial": attempt, "contradicted": attempt}
    return Grade(asked, attempt, tuple(Verdict(point, name, said.get(name, "")) for point, name in pairs))


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def put(asked: Question, seconds: float = 0) -> Turn:
    """The interviewer puts a question."""
    return Turn("question", at(seconds), question=asked)


def answer(graded: Grade, *, follow_up: FollowUp | None = None, seconds: float = 0) -> Turn:
    """The learner's answer."""
    return Turn("answer", at(seconds), graded.attempt, grade=graded, follow_up=follow_up)


def said(kind: TurnKind, seconds: float = 0, *, text: str = "", reply: str = "") -> Turn:
    """Another turn of the learner."""
    return Turn(kind, at(seconds), text, reply)


def interview(turns: Sequence[Turn], plan: InterviewPlan | None = None) -> Interview:
    """An interview with these turns."""
    return Interview("one", plan or InterviewPlan(questions=3), NOON, tuple(turns))

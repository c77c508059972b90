"""What the grader makes of a bank's own texts: model answers, answers to other questions, and what candidates say, left out of the bank."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from corpus.documents import Problem, language_of
from corpus.questions import KeyPoint, Question, read_questions
from evals.case_cache import CaseCache
from evals.cases_format import CaseError
from evals.grading import Judge
from evals.report import CaseDetail, Confusion, EvalReport
from index.build import Progress
from tutor.grading import GradingError, VerdictName
from tutor.settings import CORPUS_FOLDER

VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
_NOT_MADE: frozenset[VerdictName] = frozenset(VERDICTS) - {"made"}
_FOUND: frozenset[VerdictName] = frozenset({"made", "partial"})
_UNCONTRADICTED: frozenset[VerdictName] = frozenset(VERDICTS) - {"contradicted"}
MODEL, ELSEWHERE = "model answers", "answers to another topic"
SAID, MISTAKEN, KNOWN = "phrasings left out", "mistakes left out", "known mistakes"
FIGURES: Mapping[str, Mapping[str, frozenset[VerdictName]]] = {
    MODEL: {
        "model_made": frozenset({"made"}),
        "model_found": _FOUND,
        "model_uncontradicted": _UNCONTRADICTED,
    },
    ELSEWHERE: {"other_not_made": _NOT_MADE},
    SAID: {
        "said_made": frozenset({"made"}),
        "said_found": _FOUND,
        "said_uncontradicted": _UNCONTRADICTED,
    },
    MISTAKEN: {"mistake_contradicted": frozenset({"contradicted"}), "mistake_not_made": _NOT_MADE},
    KNOWN: {"known_contradicted": frozenset({"contradicted"})},
}
"""Of each kind of text the verdicts that a metric counts, of all verdicts that the texts got. The first is what they should all get."""
WITHOUT_MISCONCEPTION = "model_without_misconception"
"""Share of the model answers that are not said to hold one."""


@dataclass(frozen=True)
class Attempt:
    """A text to grade as an answer to a question, which may lack what is to be left out."""

    kind: str
    question: Question
    text: str
    point: KeyPoint | None = None
    """What the text is about; None where it answers the whole question."""


@dataclass(frozen=True)
class Outcome:
    """What the grader made of a text."""

    kind: str
    text: str
    verdicts: tuple[tuple[str, VerdictName], ...]
    """Key points that the text is about, and what became of them."""
    misconceptions: tuple[str, ...]

    @property
    def astray(self) -> list[tuple[str, VerdictName]]:
        """Key points with another verdict than they should have."""
        wanted = next(iter(FIGURES[self.kind].values()))
        return [(point, verdict) for point, verdict in self.verdicts if verdict not in wanted]


def read_bank(place: Path | None) -> tuple[list[Question], list[Problem]]:
    """The questions of a bank, or of all banks of a folder; ours for None. Raises CaseError without a question."""
    root = place or CORPUS_FOLDER / "questions"
    questions, problems = read_questions([root])
    if not questions:
        reasons = "; ".join(map(str, problems[:3])) or "there is no Markdown file with questions"
        raise CaseError(f"{str(root)!r} holds no question: {reasons}")
    return questions, problems


def bank_report(
    bank: Sequence[Question],
    problems: Sequence[Problem],
    judge: Judge,
    *,
    limit: int,
    cache: CaseCache,
    seed: int,
    progress: Progress,
) -> EvalReport:
    """The verdicts on the texts of each question, or of the first `limit` questions."""
    questions = bank[: limit or None]
    outcomes = {}
    for done, question in enumerate(questions):
        progress("grading the bank", done, len(questions))
        attempts = list(_attempts(question, bank, seed))

        def grade(attempts: Sequence[Attempt] = attempts) -> Mapping[str, Any]:
            return {"texts": [_graded(attempt, judge) for attempt in attempts]}

        content = ["bank", [(attempt.kind, repr(attempt.question), attempt.text) for attempt in attempts]]
        outcomes[question.id] = [_outcome(row) for row in cache.judged(content, grade)["texts"]]
    groups: dict[str, dict[str, dict[str, float]]] = {}
    details = {}
    for question in questions:
        for kind in FIGURES:
            if own := [item for item in outcomes[question.id] if item.kind == kind]:
                case = f"{question.id}/{kind.replace(' ', '-')}"
                groups.setdefault(kind, {})[case] = _figures(kind, own)
                details[case] = _detail(question, own)
    graded = [item for found in outcomes.values() for item in found]
    return EvalReport(
        "bank",
        {kind: groups[kind] for kind in FIGURES if kind in groups},
        seed,
        details=details,
        confusions=[_confusion(graded)],
        notes=[*(f"left out {problem}" for problem in problems), *_notes(questions, graded)],
        predictions=[
            {
                "id": question_id,
                "kind": item.kind,
                "text": item.text,
                "verdicts": dict(item.verdicts),
                "misconceptions": list(item.misconceptions),
            }
            for question_id, found in outcomes.items()
            for item in found
        ],
    )


def _attempts(question: Question, bank: Sequence[Question], seed: int) -> Iterator[Attempt]:
    # Each question has its own draw, so that --limit changes nothing.
    dice = random.Random(f"{seed} {question.id}")  # noqa: S311 - an experiment
    yield Attempt(MODEL, question, question.answer)
    for point in question.key_points:
        # One of each: all would take a quarter of an hour on our bank, and say the same.
        if point.said:
            line = dice.choice(point.said)
            yield Attempt(SAID, _without(question, point, line), line, point)
        if point.mistaken:
            line = dice.choice(point.mistaken)
            yield Attempt(MISTAKEN, _without(question, point, line), line, point)
            yield Attempt(KNOWN, question, line, point)
    # Last: other questions in the bank must not change which lines are drawn.
    language = language_of(question.prompt)
    others = [item for item in bank if item.topic != question.topic and language_of(item.prompt) == language]
    if others:
        yield Attempt(ELSEWHERE, question, dice.choice(others).answer)


def _without(question: Question, point: KeyPoint, line: str) -> Question:
    """The question as if nobody had ever said this line of the key point."""

    def rest(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(text for text in texts if text != line)

    left = replace(
        point,
        phrasings=rest(point.phrasings),
        wrong=rest(point.wrong),
        said=rest(point.said),
        mistaken=rest(point.mistaken),
    )
    return replace(question, key_points=tuple(left if item is point else item for item in question.key_points))


def _graded(attempt: Attempt, judge: Judge) -> Mapping[str, Any]:
    points = [attempt.point] if attempt.point else list(attempt.question.key_points)
    try:
        grade = judge(attempt.question, attempt.text)
    except GradingError:
        found, misconceptions = {}, []
    else:
        # A calculation has its result as a point besides.
        found = {verdict.key_point.text: verdict.verdict for verdict in grade.verdicts}
        misconceptions = [item.misconception.text for item in grade.misconceptions]
    return {
        "kind": attempt.kind,
        "text": attempt.text,
        "verdicts": [[point.text, found.get(point.text, "unjudged")] for point in points],
        "misconceptions": misconceptions,
    }


def _outcome(row: Mapping[str, Any]) -> Outcome:
    verdicts = tuple((point, verdict) for point, verdict in row["verdicts"])
    return Outcome(row["kind"], row["text"], verdicts, tuple(row["misconceptions"]))


def _figures(kind: str, texts: Sequence[Outcome]) -> dict[str, float]:
    """Of one question's texts of a kind."""
    verdicts = [verdict for item in texts for _, verdict in item.verdicts]
    figures = {
        name: sum(verdict in counted for verdict in verdicts) / len(verdicts) for name, counted in FIGURES[kind].items()
    }
    if kind == MODEL:
        figures[WITHOUT_MISCONCEPTION] = sum(not item.misconceptions for item in texts) / len(texts)
    return figures


def _detail(question: Question, texts: Sequence[Outcome]) -> CaseDetail:
    """The texts that did not get the verdicts they should, all of one kind."""
    lines = []
    for item in texts:
        said = f"“{item.text}”: " if len(item.verdicts) == 1 else ""
        lines += [f"{said}{verdict}: “{point}”" for point, verdict in item.astray]
        if item.kind == MODEL:
            lines += [f"said to hold a misconception: “{belief}”" for belief in item.misconceptions]
    return CaseDetail(
        question.prompt,
        tuple(f"[{point.weight:g}] {point.text}" for point in question.key_points),
        "\n".join(item.text for item in texts if item.astray or item.kind == MODEL),
        "\n".join(lines),
    )


def _confusion(graded: Sequence[Outcome]) -> Confusion:
    counts = {kind: dict.fromkeys(VERDICTS, 0) for kind in FIGURES if any(item.kind == kind for item in graded)}
    for item in graded:
        for _, verdict in item.verdicts:
            counts[item.kind][verdict] += 1
    return Confusion("texts \\ verdicts", VERDICTS, {kind: list(row.values()) for kind, row in counts.items()})


def _notes(questions: Sequence[Question], graded: Sequence[Outcome]) -> list[str]:
    points = [point for question in questions for point in question.key_points]
    drawn = {kind: sum(item.kind == kind for item in graded) for kind in FIGURES}
    notes = [
        f"{len(questions)} questions with {len(points)} key points; one line of each point drawn: {drawn[SAID]} of "
        f"{sum(len(point.said) for point in points)} that candidates said, {drawn[MISTAKEN]} of "
        f"{sum(len(point.mistaken) for point in points)} mistakes"
    ]
    if alone := len(questions) - drawn[ELSEWHERE]:
        notes.append(f"{alone} questions have no question of another topic in their language to take an answer from")
    return notes

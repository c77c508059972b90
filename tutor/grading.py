"""An attempt judged key point by key point, with the learner's own words as evidence. Deterministic; needs no language model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from corpus.documents import language_of
from corpus.questions import KeyPoint, Misconception, Question
from index.static_encoder import Vectors
from index.words import words
from tutor.answers import Citation
from tutor.grader import Grader, PointMatch, asked_stems, is_blank, is_keyword_list, log_odds, windows_of
from tutor.injections import pleads_for_marks
from tutor.quantities import ResultVerdict, judge_result, other_number

VerdictName = Literal["made", "partial", "missing", "contradicted", "unjudged"]
CREDIT: Mapping[VerdictName, float] = {
    "made": 1.0,
    "partial": 0.5,
    "missing": 0.0,
    "contradicted": 0.0,
    "unjudged": 0.0,
}
MADE, PARTIAL = 0.6, 0.5
"""Degrees from which a point counts; `docs/grader.md` says how often model answers and answers to other questions reach them."""
DENIED = 0.85
"""How far words must say a point, but for their denial or an opposite, to contradict it. From here on half a percent of the points of the
bank's model answers are called contradicted (4 % at 0.7), and as many of those that were denied outright as at any lower degree."""
MISTAKEN = 0.6
"""Degree from which a sentence is so near to a misconception that it makes no point that it says less."""
MISCONCEPTION, RATHER = 0.65, 0.5
"""Degree from which a sentence states a misconception, and the log odds by which it must do so more than it says any point. So 5 % of the
bank's model answers are said to hold one, and 92 % of the misconceptions are found with a quarter of their words gone (15 % and 96 % at 0.6
and without a margin)."""
WRONG, CLEARLY = 0.7, 1.25
"""Degree from which a sentence says what is known to contradict a point, and the log odds by which it must say that more than any
point of the question: what is wrong shares most words with what is right. `docs/grader.md` says how often that errs."""
KNOWN, CLOSE = 0.9, 0.3
"""Degree from which it says so nearly word for word that it need only be the nearer of the two; where the log odds are as close as this, the
one is nearer of whose neighbouring words the sentence has more: "A is faster than B" has all words of "B is faster than A"."""
MISCONCEPTION_PENALTY = 0.1
LEAST = 0.2
"""Beside a reference answer: how much of a point must be found to earn anything."""
_IN_LINE_FORMULA = re.compile(r"\$[^$\n]+\$")
_LEAST_SPOKEN = 3
_LEAST_ECHO = 5
"""Words from which an attempt may be a repetition of the question, and not a number that the question has too."""
RESULTS: Mapping[ResultVerdict, VerdictName] = {
    "right": "made",
    "near": "partial",
    "wrong unit": "partial",
    "power of ten": "partial",
    "wrong": "contradicted",
    "contradicted": "contradicted",
    "none": "missing",
}
"""What the result of a calculation earns."""
MAX_ATTEMPT_CHARACTERS = 50_000


class GradingError(ValueError):
    """An attempt that cannot be graded; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """What became of one key point."""

    key_point: KeyPoint
    verdict: VerdictName
    evidence: str = ""
    """The learner's words that the verdict rests on; empty where the point is missing."""
    degree: float = 0.0
    """How much of the point was found, 0 to 1."""
    citation: Citation | None = None
    """The guide section that supports the point."""
    doubt: str = ""
    """Why the verdict is uncertain: two graders do not agree on it; empty where it is certain."""
    dispute: Dispute | None = None
    """What the learner said against the verdict before this one."""
    share: float | None = None
    """Share of the point's weight that is earned, 0 to 1, where it is measured; else the verdict's name says it."""

    @property
    def credit(self) -> float:
        """Share of the point's weight that is earned, 0 to 1."""
        return CREDIT[self.verdict] if self.share is None else self.share


@dataclass(frozen=True)
class Dispute:
    """An argument against a verdict, and what came of it."""

    argument: str
    before: Verdict
    """The verdict that was disputed."""
    reason: str
    """Why the verdict is now what it is."""


@dataclass(frozen=True)
class FoundMisconception:
    """A wrong belief that the attempt states."""

    misconception: Misconception
    evidence: str
    citation: Citation | None = None


@dataclass(frozen=True)
class Grade:
    """How well an attempt covers a question's key points."""

    question: Question
    attempt: str
    verdicts: tuple[Verdict, ...]
    misconceptions: tuple[FoundMisconception, ...] = ()
    feedback: str = ""
    follow_up: str = ""
    grader: str = "offline"
    remarks: tuple[str, ...] = field(default=())
    """What the grader noticed about the attempt as a whole: a list of keywords, another language."""

    @property
    def is_judged(self) -> bool:
        """Whether there is a score at all; an attempt in a language the grader does not know has none."""
        return not any(verdict.verdict == "unjudged" for verdict in self.verdicts)

    @property
    def score(self) -> float | None:
        """Share of the key points' weight that was made, partly made points counting half, less a tenth for each misconception.

        Beside a reference answer each point counts by how much of it was found. 0 to 1; None where the attempt could not be judged.
        """
        if not self.is_judged:
            return None
        weights = sum(verdict.key_point.weight for verdict in self.verdicts)
        credit = sum(verdict.key_point.weight * verdict.credit for verdict in self.verdicts)
        share = credit / weights if weights else 0.0
        return round(max(0.0, share - MISCONCEPTION_PENALTY * len(self.misconceptions)), 4)

    @property
    def missed(self) -> tuple[KeyPoint, ...]:
        """Key points that earned nothing or half, weightiest first."""
        open_points = [verdict.key_point for verdict in self.verdicts if verdict.verdict != "made"]
        return tuple(sorted(open_points, key=lambda point: -point.weight))


def grade_attempt(
    question: Question,
    attempt: str,
    *,
    grader: Grader,
    cite: Callable[[str, str], Citation | None],
) -> Grade:
    """Judge each key point of the question against the attempt.

    `cite(section, text)` gives the passage of a guide section that supports a text. The order of the attempt's sentences does not
    matter; a made key point more never lowers the score. Raises GradingError for an attempt that is empty, too long or not text.
    """
    attempt = checked_attempt(attempt)
    points = (*_result_point(question), *question.key_points)
    if language_of(attempt) != language_of(question.prompt) and not question.quantity:
        return _unjudged(question, attempt, points, cite)
    reading = _Reading(question, attempt, grader)
    judged = reading.measured(grader) if question.is_own else [(*reading.judge(point), None) for point in points]
    verdicts = tuple(
        Verdict(point, name, evidence, round(degree, 4), cite(point.section, point.text), share=share)
        for point, (name, evidence, degree, share) in zip(points, judged, strict=True)
    )
    misconceptions = tuple(
        FoundMisconception(item, evidence, cite(item.section, item.text)) for item, evidence in reading.misconceptions
    )
    remarks = reading.remarks
    grade = Grade(question, attempt, verdicts, misconceptions, remarks=remarks)
    return completed(grade)


def completed(grade: Grade) -> Grade:
    """The grade with the feedback and the follow-up that its verdicts and remarks call for."""
    if not grade.is_judged:
        return replace(grade, feedback=" ".join(grade.remarks))
    return replace(grade, feedback=_feedback(grade), follow_up=_follow_up(grade))


def checked_attempt(attempt: str) -> str:
    """The attempt, stripped. Raises GradingError where it is empty, too long or not text."""
    if len(attempt) > MAX_ATTEMPT_CHARACTERS:
        raise GradingError(
            f"The answer has {len(attempt):,} characters. Expected at most {MAX_ATTEMPT_CHARACTERS:,}: answer as you would in an interview."
        )
    # What the terminal could not decode arrives as lone surrogates, which no file or database takes.
    if re.search(r"[\0\ud800-\udfff]", attempt):
        raise GradingError("The answer is binary, not text. Type the answer, or give a text file.")
    if not attempt.strip():
        raise GradingError("The answer is empty. Write what you would say, or say that you don't know.")
    return attempt.strip()


def _unjudged(
    question: Question, attempt: str, points: Sequence[KeyPoint], cite: Callable[[str, str], Citation | None]
) -> Grade:
    verdicts = tuple(Verdict(point, "unjudged", citation=cite(point.section, point.text)) for point in points)
    remark = "The answer is in another language than the question. The offline grader cannot judge it: answer in the question's language."
    return Grade(question, attempt, verdicts, feedback=remark, remarks=(remark,))


def _result_point(question: Question) -> tuple[KeyPoint, ...]:
    """The number a compute question asks for, as the first and weightiest key point."""
    if question.quantity is None:
        return ()
    unit = "" if question.quantity.unit == "1" else f" {question.quantity.unit}"
    section = question.key_points[0].section if question.key_points else ""
    return (KeyPoint(f"The result is {question.quantity.value:,.10g}{unit}.", 3.0, section),)


class _Reading:
    """What an attempt says of a question's key points and misconceptions."""

    def __init__(self, question: Question, attempt: str, grader: Grader) -> None:
        self._question = question
        # What speaks of its own grade says nothing of the subject, and its numbers are no result.
        about = " ".join((question.prompt, question.answer, *(point.text for point in question.key_points)))
        for sentence in windows_of(attempt):
            if pleads_for_marks(sentence, about):
                attempt = attempt.replace(sentence, " ")
        self.windows = windows_of(attempt)
        self._matches: dict[KeyPoint, PointMatch] = {}
        self._contradicted: dict[KeyPoint, tuple[str, float]] = {}
        self.misconceptions: tuple[tuple[Misconception, str], ...] = ()
        self._is_keyword_list = is_keyword_list(attempt)
        quantity = question.quantity
        said = words(attempt)
        # Who repeats the question repeats its numbers, and gives none.
        is_echo = len(said) >= _LEAST_ECHO and set(said) <= asked_stems(question.wordings)
        self._result = judge_result(quantity, attempt, question.prompt) if quantity and not is_echo else None
        if is_blank(attempt, asked_stems(question.wordings)):
            return
        phrasings = [point.ways_to_say for point in question.key_points]
        beliefs = [(item.text,) for item in question.misconceptions]
        contradictions = [
            (row, point.ways_to_err) for row, point in enumerate(question.key_points) if point.ways_to_err
        ]
        board = grader.read(
            question.prompt,
            question.wordings,
            [*phrasings, *beliefs, *(wrong for _, wrong in contradictions)],
            self.windows,
        )
        says, believes, contradicts = np.split(board.nearness, np.cumsum([len(phrasings), len(beliefs)]))
        ahead = log_odds(contradicts) - log_odds(says.max(axis=0, initial=0))
        right_order, _, wrong_order = np.split(board.order, np.cumsum([len(phrasings), len(beliefs)]))
        in_order = wrong_order > right_order.max(axis=0, initial=0)
        nearer = (contradicts >= KNOWN) & np.where(in_order, ahead > -CLOSE, ahead > CLOSE)
        wrong = np.where((contradicts >= WRONG) & ((ahead > CLEARLY) | nearer), contradicts, 0)
        # The right statement often shares most words with the wrong one: the one that is nearer counts, for each sentence alone.
        mistaken = np.where(believes >= MISTAKEN, believes, 0).max(axis=0, initial=0)
        differs = self._other_numbers(says)
        barred = (mistaken > says) | (wrong.max(axis=0, initial=0) > 0) | differs
        for (row, _), degrees in zip(contradictions, wrong, strict=True):
            window = int(degrees.argmax())
            if degrees[window]:
                self._contradicted[question.key_points[row]] = self.windows[window], float(degrees[window])
        if beliefs:
            nearest = believes.argmax(axis=0)
            ahead = log_odds(believes.max(axis=0)) - log_odds(says.max(axis=0, initial=0))
            held = (believes.max(axis=0) >= MISCONCEPTION) & (ahead >= RATHER)
            found = {int(nearest[window]): self.windows[window] for window in reversed(np.flatnonzero(held))}
            self.misconceptions = tuple(
                (item, found[row]) for row, item in enumerate(question.misconceptions) if row in found
            )
        wrong = np.full(len(phrasings), -1)
        wrong[[row for row, _ in contradictions]] = len(phrasings) + len(beliefs) + np.arange(len(contradictions))
        matches = board.matches(barred, makes=MADE, weighed=board.weighed(wrong))
        self._matches = dict(zip(question.key_points, matches, strict=True))
        idle = np.where(barred, 0, says).max(axis=0, initial=0) < MADE
        for point, match, degrees in zip(question.key_points, matches, np.where(differs & idle, says, 0), strict=True):
            window = int(degrees.argmax())
            if match.degree < MADE <= degrees[window]:
                self._contradicted.setdefault(point, (self.windows[window], float(degrees[window])))

    def _other_numbers(self, says: Vectors) -> NDArray[np.bool_]:
        """Where a sentence that may say a point gives another value than the point, shape (points, windows)."""
        differs = np.zeros(says.shape, dtype=np.bool_)
        for row, window in np.argwhere(says >= PARTIAL):
            point, text = self._question.key_points[row], self.windows[window]
            differs[row, window] = (
                other_number(point.text, text, given=self._question.prompt, phrasings=point.ways_to_say[1:]) is not None
            )
        return differs

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about the attempt as a whole."""
        keywords = "This is a list of keywords. Say in sentences how they hang together: keywords alone earn half."
        result = self._result.message if self._result and self._result.verdict != "right" else ""
        return tuple(filter(None, (keywords if self._is_keyword_list else "", result)))

    def judge(self, point: KeyPoint) -> tuple[VerdictName, str, float]:
        """The verdict on one point, the learner's words for it, and how far they say it."""
        if self._result and point not in self._question.key_points:
            name = RESULTS[self._result.verdict]
            return name, self._result.evidence, CREDIT[name]
        match = self._matches.get(point)
        if match is None:
            return "missing", "", 0.0
        if point in self._contradicted:
            return "contradicted", *self._contradicted[point]
        if match.denied_degree >= DENIED:
            return "contradicted", self.windows[match.denied_by], match.denied_degree
        if match.degree < PARTIAL:
            return "missing", "", match.degree
        return ("made" if match.degree >= MADE else "partial"), self._said(match), match.degree

    def measured(self, grader: Grader) -> list[tuple[VerdictName, str, float, float | None]]:
        """The same beside a reference answer, whose points have one phrasing each: how much of each point the whole answer says."""
        question = self._question
        parts = [_spoken(point.text) for point in question.key_points]
        references = [_spoken(text) for text in (question.answer, *question.references)]
        degrees = grader.judge_answer(question.prompt, " ".join(self.windows), references, parts)
        found: list[tuple[VerdictName, str, float, float | None]] = []
        for point, degree in zip(question.key_points, degrees, strict=True):
            name, evidence, denied = self.judge(point)
            if name == "contradicted":
                found.append((name, evidence, denied, 0.0))
            elif degree < LEAST or point not in self._matches:
                found.append(("missing", "", degree, 0.0))
            else:
                name = "made" if degree >= MADE else "partial"
                found.append((name, self._said(self._matches[point]), degree, round(degree, 4)))
        return found

    def _said(self, match: PointMatch) -> str:
        """The learner's words for a point."""
        return " ".join(self.windows[window] for window in match.evidence)


def _spoken(text: str) -> str:
    """A text without the formulas in it, which an answer in words does not have; as it is where little else is left."""
    spoken = _IN_LINE_FORMULA.sub(" ", text)
    return spoken if len(set(words(spoken))) >= _LEAST_SPOKEN else text


def _feedback(grade: Grade) -> str:
    by_name: dict[VerdictName, list[KeyPoint]] = {}
    for verdict in grade.verdicts:
        # Of the number of a calculation and of the tests of code the remarks say more.
        if verdict.key_point in grade.question.key_points:
            by_name.setdefault(verdict.verdict, []).append(verdict.key_point)
    made, total = sum(verdict.verdict == "made" for verdict in grade.verdicts), len(grade.verdicts)
    parts = [f"You made {made} of {total} key points."]
    if by_name.get("contradicted"):
        parts.append(f"Your answer contradicts this: {by_name['contradicted'][0].text}")
    if grade.misconceptions:
        parts.append(f"This is a common mistake: {grade.misconceptions[0].misconception.text}")
    if by_name.get("partial"):
        parts.append(f"Say this in full: {by_name['partial'][0].text}")
    if by_name.get("missing"):
        weightiest = max(by_name["missing"], key=lambda point: point.weight)
        parts.append(f"What is missing most: {weightiest.text}")
    if made == total and not grade.misconceptions:
        parts.append("That is a complete answer.")
    return " ".join((*parts, *grade.remarks))


def _follow_up(grade: Grade) -> str:
    """A question aimed at the weightiest open point, which does not give the point away; a step deeper when all is made."""
    question = grade.question
    if not grade.missed:
        return question.follow_ups[-1] if question.follow_ups else ""
    missed = grade.missed[0]
    verdict = next(verdict for verdict in grade.verdicts if verdict.key_point is missed)
    if verdict.verdict in {"partial", "contradicted"}:
        return f"You said: “{verdict.evidence}” Can you go through that again, step by step?"
    if verdict.citation is not None and "#" in missed.section:
        return f"What can you add about “{verdict.citation.chunk.heading.rstrip('?？')}”?"
    if question.is_own:
        return "What else belongs to a full answer?"
    return question.follow_ups[0] if question.follow_ups else ""

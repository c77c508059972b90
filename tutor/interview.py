"""An interview as the record of its turns: the plan, what was said, where it stands, and the score. Pure.

Everything follows from the turns, so that an interview that was kept can be taken up exactly where it stood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

from corpus.questions import LEVELS, Level, Question
from tutor.grading import CREDIT, Grade, Verdict, VerdictName

Style = Literal["screening", "deep-dive", "behavioural", "systems-gpu", "mixed"]
Language = Literal["en", "zh"]
TurnKind = Literal["question", "answer", "follow-up", "clarification", "hint", "skip", "dont-know", "dispute", "end"]
Phase = Literal["question", "follow-up", "between", "over"]
"""What the learner is expected to do: answer the question, answer a follow-up, go on to the next question, nothing."""
STYLES: tuple[Style, ...] = get_args(Style)
LANGUAGES: tuple[Language, ...] = get_args(Language)

HINT_COST = 0.05
"""What a hint takes from the score of its question, of 1."""
FOLLOW_UP_SHARE = 0.5
"""What a point is worth that is made only when it is asked for, beside one that was made unasked."""
MAX_FOLLOW_UPS: Mapping[Style, int] = {
    "screening": 1,
    "deep-dive": 2,
    "behavioural": 2,
    "systems-gpu": 2,
    "mixed": 2,
}
MAX_QUESTIONS, MAX_MINUTES = 50, 240
LONGEST_TURN_SECONDS = 20 * 60
"""A longer time between two turns was a break, or a clock that jumped: no more than this is counted of it."""


class InterviewError(ValueError):
    """A plan that cannot be carried out, or a turn that does not fit; the message says why and what to do."""


@dataclass(frozen=True)
class InterviewPlan:
    """What an interview is to be. Raises InterviewError for one that cannot be carried out."""

    topics: tuple[str, ...] = ()
    """None: all that the style has."""
    only: tuple[str, ...] = ()
    """Ids of the questions to choose from, whatever their topics and kinds; none: all that suit."""
    level: Level | None = None
    """Where it starts; the questions then follow the scores. None: in the middle."""
    style: Style = "mixed"
    questions: int = 5
    """0: as many as there are, until the learner ends it or the time is up."""
    minutes: int = 0
    """After so many no further question is put; 0: no limit."""
    language: Language = "en"
    shows_timer: bool = True
    seed: int = 0
    """Of the dice that choose among questions that suit alike."""

    def __post_init__(self) -> None:
        if self.level is not None and self.level not in LEVELS:
            raise InterviewError(f"There is no level {self.level!r}. Expected one of {', '.join(LEVELS)}.")
        if self.style not in STYLES:
            raise InterviewError(f"There is no style {self.style!r}. Expected one of {', '.join(STYLES)}.")
        if self.language not in LANGUAGES:
            raise InterviewError(f"There is no language {self.language!r}. Expected one of {', '.join(LANGUAGES)}.")
        if not 0 <= self.questions <= MAX_QUESTIONS:
            raise InterviewError(f"{self.questions} questions cannot be asked. Expected 0 to {MAX_QUESTIONS}.")
        if not 0 <= self.minutes <= MAX_MINUTES:
            raise InterviewError(f"An interview cannot take {self.minutes} minutes. Expected 0 to {MAX_MINUTES}.")

    @property
    def max_follow_ups(self) -> int:
        """Follow-ups after one question at most."""
        return MAX_FOLLOW_UPS[self.style]


@dataclass(frozen=True)
class FollowUp:
    """A question after an answer."""

    text: str
    point: int = 0
    """Number of the key point that it is aimed at, from 1; 0 where it goes a step deeper than the key points."""


@dataclass(frozen=True)
class Turn:
    """What one of the two did: the interviewer put a question, or the learner said something and got a reply."""

    kind: TurnKind
    at: datetime
    text: str = ""
    """The learner's words."""
    reply: str = ""
    """What was said to them in words: a hint, a clarification, what the guides say. Markdown."""
    question: Question | None = None
    """That was put, whole: an interview outlives changes of the bank."""
    grade: Grade | None = None
    """Of an answer; after a dispute the grade with both verdicts; of "I don't know" the key points, none of them made."""
    verdict: Verdict | None = None
    """Of a follow-up: what its answer alone says of the point that was asked for."""
    follow_up: FollowUp | None = None
    """What is asked next."""
    point: int = 0
    """Number of the disputed key point."""


@dataclass(frozen=True)
class Round:
    """One question with all that was said to it."""

    turns: tuple[Turn, ...]
    """The first one puts the question."""

    @property
    def question(self) -> Question:
        """The question that was put."""
        question = self.turns[0].question
        if question is None:
            raise InterviewError("A round of the interview begins without a question. It cannot be taken up again.")
        return question

    @cached_property
    def grade(self) -> Grade | None:
        """Of the answer, disputes included; None where there was none."""
        grades = [turn.grade for turn in self.turns if turn.kind in {"answer", "dispute"} and turn.grade]
        return grades[-1] if grades else None

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer that could be judged; one in another language may be given again."""
        return self.grade is not None and self.grade.is_judged

    @property
    def hints(self) -> tuple[str, ...]:
        """The hints that were taken."""
        return tuple(turn.reply for turn in self.turns if turn.kind == "hint")

    @property
    def is_unknown(self) -> bool:
        """Whether the learner said that they do not know the answer, in place of one."""
        return not self.is_answered and any(turn.kind == "dont-know" for turn in self.turns)

    @property
    def is_skipped(self) -> bool:
        """Whether the learner passed over the question."""
        return not self.is_answered and any(turn.kind == "skip" for turn in self.turns)

    @property
    def lesson(self) -> Turn | None:
        """Where "I don't know" was answered: the turn whose grade lists what a good answer says."""
        return next((turn for turn in self.turns if turn.kind == "dont-know" and turn.grade), None)

    @cached_property
    def follow_ups(self) -> tuple[tuple[FollowUp, Turn | None], ...]:
        """The follow-ups that were asked, each with the turn that dealt with it, as far as one did."""
        asked: list[tuple[FollowUp, Turn | None]] = []
        for turn in self.turns:
            if asked and asked[-1][1] is None and turn.kind in {"follow-up", "skip", "dont-know"}:
                asked[-1] = (asked[-1][0], turn)
            if turn.follow_up:
                asked.append((turn.follow_up, None))
        return tuple(asked)

    @property
    def follow_up(self) -> FollowUp | None:
        """The follow-up that waits for an answer."""
        return self.follow_ups[-1][0] if self.follow_ups and self.follow_ups[-1][1] is None else None

    @property
    def phase(self) -> Phase:
        """What the learner is expected to do."""
        if not self.is_answered:
            return "between" if self.is_skipped or self.is_unknown else "question"
        return "follow-up" if self.follow_up else "between"

    def verdict_after(self, number: int) -> VerdictName:
        """The better verdict on key point `number` (from 1): of the answer, or of a follow-up to the point."""
        if self.grade is None or not self.grade.is_judged:
            return "missing"
        names = [self.grade.verdicts[number - 1].verdict]
        names += [
            turn.verdict.verdict for asked, turn in self.follow_ups if asked.point == number and turn and turn.verdict
        ]
        return max(names, key=lambda name: CREDIT[name])

    @property
    def follow_up_credit(self) -> float:
        """What the answers to follow-ups add to the score: half of what the points would have earned unasked."""
        if self.grade is None or not self.grade.is_judged:
            return 0.0
        weights = sum(verdict.key_point.weight for verdict in self.grade.verdicts)
        gained = sum(
            verdict.key_point.weight * (CREDIT[self.verdict_after(number)] - CREDIT[verdict.verdict])
            for number, verdict in enumerate(self.grade.verdicts, start=1)
        )
        return FOLLOW_UP_SHARE * gained / weights if weights else 0.0

    @property
    def score(self) -> float | None:
        """The grade's score, plus what follow-ups earned, less the cost of the hints, 0 to 1; 0 for "I don't know".

        None where the question was skipped, waits for an answer, or the answer could not be judged.
        """
        if self.is_unknown:
            return 0.0
        if self.grade is None or self.grade.score is None:
            return None
        score = self.grade.score + self.follow_up_credit - HINT_COST * len(self.hints)
        return round(min(1.0, max(0.0, score)), 4)

    @property
    def seconds(self) -> float:
        """The time from the question to the last word on it."""
        return _seconds(self.turns)


@dataclass(frozen=True)
class Interview:
    """A run of questions; each turn makes a new value, so that any state can be kept and taken up again."""

    id: str
    plan: InterviewPlan
    started_at: datetime
    turns: tuple[Turn, ...] = ()

    @cached_property
    def rounds(self) -> tuple[Round, ...]:
        """The questions so far, each with its turns."""
        rounds: list[list[Turn]] = []
        for turn in self.turns:
            if turn.kind == "question":
                rounds.append([turn])
            elif rounds and turn.kind != "end":
                rounds[-1].append(turn)
        return tuple(Round(tuple(turns)) for turns in rounds)

    @property
    def current(self) -> Round | None:
        """The question that is dealt with now; None before the first and after the end."""
        return self.rounds[-1] if self.rounds and not self.is_over else None

    @property
    def phase(self) -> Phase:
        """What the learner is expected to do."""
        if self.is_over:
            return "over"
        return self.rounds[-1].phase if self.rounds else "between"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return any(turn.kind == "end" for turn in self.turns)

    @property
    def score(self) -> float | None:
        """Mean of the questions' scores, 0 to 1: "I don't know" counts 0, a skipped question does not count; None where none has one."""
        return mean([round_.score for round_ in self.rounds])

    @property
    def seconds(self) -> float:
        """The time from the first question to the last word, without breaks."""
        return _seconds(self.turns)

    @property
    def last_at(self) -> datetime:
        """When something was said last."""
        return self.turns[-1].at if self.turns else self.started_at

    def is_used_up(self, now: datetime) -> bool:
        """Whether no further question is to be put: all were, or the time is up."""
        return bool(
            (self.plan.questions and len(self.rounds) >= self.plan.questions)
            or (self.plan.minutes and self.seconds_at(now) >= 60 * self.plan.minutes)
        )

    def seconds_at(self, now: datetime) -> float:
        """The time used until now."""
        waiting = (now - self.last_at).total_seconds() if self.turns else 0.0
        return self.seconds + min(max(waiting, 0.0), LONGEST_TURN_SECONDS)

    def after(self, turn: Turn) -> Interview:
        """The interview with one turn more."""
        return replace(self, turns=(*self.turns, turn))


def mean(scores: Sequence[float | None]) -> float | None:
    """Mean of the scores that there are; None where there is none."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _seconds(turns: Sequence[Turn]) -> float:
    return sum(_gaps(turns))


def _gaps(turns: Sequence[Turn]) -> Iterator[float]:
    for before, after in pairwise(turns):
        # A clock that was set back took no time.
        yield min(max((after.at - before.at).total_seconds(), 0.0), LONGEST_TURN_SECONDS)

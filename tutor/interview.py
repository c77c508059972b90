"""Which question comes next, and a run of several. Pure: the caller brings history and random numbers."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from corpus.questions import Question
from tutor.grading import Grade
from tutor.progress import Review


def choose_question(
    bank: Sequence[Question],
    reviews: Sequence[Review],
    *,
    topic: str = "",
    level: str = "",
    exclude: Collection[str] = (),
    dice: random.Random,
) -> Question | None:
    """A question of the topic and level that the learner has not had, else the one they did worst; None where none is left.

    `exclude` holds the ids that must not come again.
    """
    candidates = [
        question
        for question in bank
        if (not topic or question.topic == topic)
        and (not level or question.level == level)
        and question.id not in exclude
    ]
    latest = {review.question_id: review.score for review in reviews if review.score is not None}
    new = [question for question in candidates if question.id not in latest]
    if new:
        return dice.choice(new)
    return min(candidates, key=lambda question: (latest[question.id], question.id), default=None)


@dataclass(frozen=True)
class Interview:
    """A run of questions; the values are new with each turn, so that any turn can be kept and resumed."""

    questions: tuple[Question, ...]
    grades: tuple[Grade | None, ...] = ()
    """One for each question that was dealt with; None where it was skipped."""

    @property
    def current(self) -> Question | None:
        """The question to be answered now."""
        return None if self.is_over else self.questions[len(self.grades)]

    @property
    def is_over(self) -> bool:
        """Whether all questions were dealt with."""
        return len(self.grades) >= len(self.questions)

    @property
    def score(self) -> float | None:
        """Mean score of the judged answers, 0 to 1; None where there is none."""
        scores = [grade.score for grade in self.grades if grade is not None and grade.score is not None]
        return sum(scores) / len(scores) if scores else None

    def after(self, grade: Grade | None) -> Interview:
        """The interview once the current question was answered, or skipped (None)."""
        return replace(self, grades=(*self.grades, grade))


def start_interview(
    bank: Sequence[Question],
    reviews: Sequence[Review],
    *,
    topic: str = "",
    level: str = "",
    count: int,
    dice: random.Random,
) -> Interview:
    """An interview of up to `count` different questions, chosen as `choose_question` does."""
    questions: list[Question] = []
    while len(questions) < count:
        taken = {question.id for question in questions}
        question = choose_question(bank, reviews, topic=topic, level=level, exclude=taken, dice=dice)
        if question is None:
            break
        questions.append(question)
    return Interview(tuple(questions))

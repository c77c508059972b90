"""A conversation of the chat, made of its turns: `Conversation`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Literal

from index.scope import EVERYWHERE, Scope
from tutor.answers import Answer
from tutor.grading import Grade

TITLE_CHARACTERS = 80

Thumb = Literal["up", "down"]


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Turn:
    """A message of the learner and what became of it."""

    question: str
    answer: Answer | None = None
    grade: Grade | None = None
    """Of a message that answers a question of the bank, or disputes a grade."""
    failure: str = ""
    """Why there is no answer; shown in its place."""
    scope: Scope = EVERYWHERE
    """Where the answer was searched."""
    thumb: Thumb | None = None
    """What the learner thinks of the answer."""
    id: str = field(default_factory=_new_id, compare=False)
    """Tells two browser tabs which turns are the other one's."""

    @property
    def is_pending(self) -> bool:
        """Whether the answer is still to come."""
        return self.answer is None and self.grade is None and not self.failure


@dataclass(frozen=True)
class Conversation:
    """What was said, oldest first."""

    turns: tuple[Turn, ...] = ()
    id: str = ""
    """Empty until something is said."""
    title: str = ""
    known: frozenset[str] = frozenset()
    """Ids of all turns that this page has had, also of those that it took out: others are from another tab."""

    @property
    def is_pending(self) -> bool:
        """Whether the last question waits for its answer."""
        return bool(self.turns) and self.turns[-1].is_pending

    @property
    def history(self) -> list[Answer]:
        """The answers before the last question; of one that failed, the question alone."""
        return [turn.answer or Answer(turn.question, turn.question) for turn in self.turns[:-1] if turn.grade is None]

    @property
    def last_grade(self) -> Grade | None:
        """The grade that a dispute is about."""
        return next((turn.grade for turn in reversed(self.turns) if turn.grade is not None), None)

    @property
    def scope(self) -> Scope:
        """Where the last question was searched, and the next one will be."""
        return self.turns[-1].scope if self.turns else EVERYWHERE

    def asking(self, question: str, *, instead_of: int | None = None, scope: Scope = EVERYWHERE) -> Conversation:
        """The conversation with a new question at its end, or in place of a turn and all that followed it."""
        kept = self.turns if instead_of is None else self.turns[:instead_of]
        turn = Turn(question, scope=scope)
        return replace(
            self,
            turns=(*kept, turn),
            id=self.id or _new_id(),
            title=self.title or title_of(question),
            known=self.known | {turn.id},
        )

    def answered(self, answer: Answer) -> Conversation:
        """The conversation with the last question's answer, as far as it is known."""
        return self._with_last(replace(self.turns[-1], answer=answer))

    def graded(self, grade: Grade) -> Conversation:
        """The conversation with the grade of what the learner answered last."""
        return self._with_last(replace(self.turns[-1], grade=grade))

    def failed(self, reason: str) -> Conversation:
        """The conversation with the reason why the last question has no answer."""
        return self._with_last(replace(self.turns[-1], failure=reason))

    def judged(self, number: int, thumb: Thumb | None) -> Conversation:
        """The conversation with a thumb for the answer of a turn, or without the one that it had."""
        turns = list(self.turns)
        turns[number] = replace(turns[number], thumb=thumb)
        return replace(self, turns=tuple(turns))

    def _with_last(self, turn: Turn) -> Conversation:
        return replace(self, turns=(*self.turns[:-1], turn))


def title_of(question: str) -> str:
    """What a conversation is called that begins with a question."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1].rstrip()}…"

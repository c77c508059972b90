"""What a stronger judge says of an answer's sentences, and how it may move what the offline grounding check says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tutor.grounding import SUPPORTED, AnswerCheck, SentenceCheck, verdict_of


class JudgeError(RuntimeError):
    """A judge that cannot be used; the message says why, and what else to name."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one sentence."""

    probability: float
    """That the passages bear it out, 0 to 1."""
    contradicts: bool = False
    """Whether a passage says the opposite."""
    problem: str = ""
    """Why the judgement cannot be used; empty where it can."""

    @classmethod
    def unreadable(cls, problem: str) -> Judgement:
        """A judgement that is none."""
        return cls(0.0, problem=problem)

    @classmethod
    def of(cls, probability: float, *, contradicts: bool = False) -> Judgement:
        """A judgement with a probability as a judge gave it: what is none (NaN, above 1) makes it unreadable."""
        if math.isnan(probability) or not -1e-6 <= probability <= 1 + 1e-6:
            return cls.unreadable(f"{probability} is no probability")
        return cls(round(min(1.0, max(0.0, probability)), 6), contradicts)


class GroundingJudge(Protocol):
    """Says of each sentence of an answer whether passages bear it out."""

    @property
    def name(self) -> str:
        """The model, with all that its judgements depend on."""
        ...

    def judge(
        self, question: str, passages: Sequence[str], answer: str, sentences: Sequence[tuple[int, int]]
    ) -> list[Judgement]:
        """One judgement for each sentence, given by its start and end. What cannot be judged is unreadable, never left out."""
        ...


def blended(check: AnswerCheck, judgements: Sequence[Judgement], weight: float) -> AnswerCheck:
    """The offline check with a judge's share of `weight`, 0 to 1, in the probability of each sentence; at 0 the check itself.

    Where a judgement is unreadable the offline one stands. Sentences that claim nothing are left as they are.
    """
    if not weight:
        return check
    return AnswerCheck(
        tuple(
            item if said.problem or not item.is_checkable else _moved(item, said, weight)
            for item, said in zip(check.sentences, judgements, strict=True)
        )
    )


def _moved(item: SentenceCheck, said: Judgement, weight: float) -> SentenceCheck:
    chance = round((1 - weight) * item.probability + weight * said.probability, 4)
    is_denied = said.contradicts or item.verdict == "contradicted"
    verdict = "contradicted" if is_denied and chance < SUPPORTED else verdict_of(chance)
    return replace(item, probability=chance, verdict=verdict)

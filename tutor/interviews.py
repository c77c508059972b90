"""A learner's interviews: begun, carried on turn by turn, taken up again. Every turn is kept before anything follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from corpus.questions import Question
from tutor.interview import Interview, InterviewError, InterviewPlan, Turn
from tutor.interview_choice import choose_question, suitable_questions
from tutor.interview_messages import Message
from tutor.interview_records import plan_record, read_interview, turn_record
from tutor.interviewer import Interviewer
from tutor.progress import ProgressStore, Review, TurnTakenError
from tutor.records import grade_record
from tutor.schedule import cards, due


class InterviewMovedOnError(InterviewError):
    """Somebody else, another tab or window, has taken the turn; `interview` is as it stands now."""

    def __init__(self, interview: Interview) -> None:
        super().__init__(
            "This interview went on in another tab or window. This is where it stands now; what you typed was not taken."
        )
        self.interview = interview


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Interviews:
    """The interviews of one learner."""

    learner: str
    store: ProgressStore
    bank: Sequence[Question]
    interviewer: Interviewer
    is_bilingual: bool
    """Whether an answer in another language than the question's own can be judged."""
    now: Callable[[], datetime] = _now

    def start(self, plan: InterviewPlan) -> Interview:
        """A new interview with its first question, of no more questions than suit the plan. Raises InterviewError where none does."""
        suitable = suitable_questions(self.bank, plan, is_bilingual=self.is_bilingual)
        plan = replace(plan, questions=min(plan.questions, len(suitable)))
        interview = Interview(uuid4().hex[:12], plan, self.now())
        self.store.start_interview(self.learner, interview.id, plan_record(plan), interview.started_at)
        return self._go_on(interview)

    def take_turn(self, interview: Interview, message: Message) -> Interview:
        """The interview after what the learner said, and after the next question where they passed one over.

        Raises InterviewMovedOnError where the interview has gone on elsewhere, InterviewError for a turn that does not fit,
        GradingError for an answer that cannot be graded; the interview then stands where it stood.
        """
        if message.move in {"next", "skip"} and interview.phase == "between":
            return self._go_on(interview)
        interview = self._keep(interview, self.interviewer.reply(interview, message, self._at(interview)))
        return self._go_on(interview) if message.move == "skip" and interview.phase == "between" else interview

    def resume(self, interview_id: str) -> Interview:
        """An interview as it was left. Raises ProgressError where there is none, InterviewError where it cannot be read."""
        return read_interview(self.store.stored_interview(self.learner, interview_id), self.interviewer.cite)

    def open(self) -> list[Interview]:
        """The interviews that have not ended, the last one first. Those that cannot be read are left out."""
        found = []
        for stored in self.store.interviews(self.learner):
            # Most have ended: only the others are worth reading whole.
            if stored.turns and stored.turns[-1].get("kind") == "end":
                continue
            try:
                found.append(read_interview(stored, self.interviewer.cite))
            except InterviewError:
                continue
        return sorted(found, key=lambda one: one.last_at, reverse=True)

    def begun(self, count: int) -> list[Interview]:
        """The interviews that were begun last, over or not, the last one first; without the passages that their grades cite.

        Those that cannot be read are left out.
        """
        found = []
        for one in self.store.interviews(self.learner)[-count:][::-1]:
            with suppress(InterviewError):
                found.append(read_interview(one, lambda _section, _text: None))
        return found

    def _go_on(self, interview: Interview) -> Interview:
        """The next question, or the end."""
        at = self._at(interview)
        question = None
        if not interview.is_used_up(at):
            reviews = self.store.reviews(self.learner)
            question = choose_question(
                self.bank,
                interview,
                reviews=reviews,
                due={card.question_id for card in due(cards(reviews), at.astimezone())},
                is_bilingual=self.is_bilingual,
            )
        return self._keep(interview, Turn("question", at, question=question) if question else Turn("end", at))

    def _at(self, interview: Interview) -> datetime:
        # A clock that was set back must not bring turns before those that they follow.
        return max(self.now(), interview.last_at)

    def _keep(self, interview: Interview, turn: Turn) -> Interview:
        after = interview.after(turn)
        try:
            self.store.append_turn(
                self.learner, interview.id, len(after.turns), turn_record(turn), turn.at, review=_review(after, turn)
            )
        except TurnTakenError as error:
            raise InterviewMovedOnError(self.resume(interview.id)) from error
        return after


def _review(interview: Interview, turn: Turn) -> Review | None:
    """What the history keeps of a turn: the first answer with its hints, what a dispute made of it, and that one did not know."""
    if turn.grade is None:
        return None
    return Review(
        question_id=turn.grade.question.id,
        topic=turn.grade.question.topic,
        attempt=turn.grade.attempt,
        score=turn.grade.score,
        grade=grade_record(turn.grade),
        reviewed_at=turn.at,
        hints=len(interview.rounds[-1].hints),
    )

"""The interviewer's side: what is said to each turn of the learner. Hints, clarifications, follow-ups, lessons, grades.

Decides from the interview alone, and keeps nothing: `Tutor` joins it with guides, grader and history.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from corpus.documents import language_of
from corpus.questions import KeyPoint, Question
from tutor.answers import Citation
from tutor.code_sandbox import has_code
from tutor.grading import CREDIT, Grade, GradingError, Verdict
from tutor.interview import FOLLOW_UP_SHARE, HINT_COST, FollowUp, Interview, InterviewError, InterviewPlan, Round, Turn
from tutor.interview_messages import Message, asked_term
from tutor.interview_phrases import PHRASES, STORY_CUES, Phrases
from tutor.star import read_story

_FIRST_WORDS, _FIRST_CHARACTERS = 6, 8
"""How much of a key point the strongest hint shows at most, of English and Chinese text."""
_QUOTED_CHARACTERS = 200
"""How much of the learner's own words a follow-up repeats."""


@dataclass(frozen=True)
class Interviewer:
    """Answers the learner's turns with the abilities of a tutor."""

    judge: Callable[[Question, str], Grade]
    """Raises GradingError for an answer that cannot be graded."""
    judge_offline: Callable[[Question, str], Grade]
    """The same, at once and without a language model."""
    judge_dispute: Callable[[Grade, int, str], Grade]
    """The grade with the point judged again. Raises GradingError for a dispute that is none."""
    cite: Callable[[str, str], Citation | None]
    explain: Callable[[str], list[Citation]]
    """What the guides say to a question, best first, each with the words that answer it; nothing where they do not."""

    def reply(self, interview: Interview, message: Message, at: datetime) -> Turn:
        """The turn that a message makes. Raises InterviewError where it does not fit, GradingError where it cannot be graded."""
        now = interview.current
        if interview.is_over:
            raise InterviewError("This interview is over. Start a new one.")
        if message.move == "end":
            return Turn("end", at)
        if now is None or message.move == "next":
            raise InterviewError("There is no question to say that to. Go on to the next question.")
        if message.move == "dispute":
            return self._dispute(now, message, at)
        if now.phase == "between":
            raise InterviewError("This question is done. Dispute its grade, or go on to the next question.")
        say = PHRASES[interview.plan.language]
        match message.move:
            case "skip":
                return Turn("skip", at, message.text)
            case "hint":
                return Turn("hint", at, message.text, reply=self._hint(now, say))
            case "clarification":
                return Turn("clarification", at, message.text, reply=self._clarify(now, message.text, say))
            case "dont-know":
                return self._teach(now, message, at, say)
        return (
            self._answer(interview, now, message, at)
            if now.phase == "question"
            else self._follow_up(interview, now, message, at)
        )

    # Answers

    def _answer(self, interview: Interview, now: Round, message: Message, at: datetime) -> Turn:
        turn = Turn("answer", at, message.text, grade=self.judge(now.question, message.text))
        after = Round((*now.turns, turn))
        return replace(turn, follow_up=next_follow_up(after, interview.plan))

    def _follow_up(self, interview: Interview, now: Round, message: Message, at: datetime) -> Turn:
        """An answer to a follow-up: judged for the point that was asked for, and for nothing else."""
        asked, say = now.follow_up, PHRASES[interview.plan.language]
        if asked is None or now.grade is None:
            raise InterviewError("There is no follow-up to answer. Go on to the next question.")
        # Refuses what is no answer, also where nothing is judged.
        grade = self.judge(now.question, message.text)
        if asked.point:
            point = now.grade.verdicts[asked.point - 1].key_point
            verdict = next((one for one in grade.verdicts if one.key_point == point), Verdict(point, "missing"))
            said = _on_point(now, asked.point, verdict, say, remarks=grade.remarks)
            turn = Turn("follow-up", at, message.text, reply=said, verdict=verdict)
        else:
            turn = Turn("follow-up", at, message.text, reply=self._guides_say(asked.text, say))
        after = Round((*now.turns, turn))
        return replace(turn, follow_up=next_follow_up(after, interview.plan))

    def _guides_say(self, question: str, say: Phrases) -> str:
        said = self.explain(question)[:2]
        if not said:
            return f"{say.beyond} {say.compare}"
        lines = [f"> {_one_line(one.quote)} ({place(one)})" for one in said]
        return "\n\n".join((f"{say.beyond} {say.guides_say}", *lines))

    def _teach(self, now: Round, message: Message, at: datetime, say: Phrases) -> Turn:
        if now.follow_up:
            return Turn("dont-know", at, message.text, reply=f"{say.fine} {_reveal(now, now.follow_up.point, say)}")
        verdicts = tuple(
            Verdict(point, "missing", citation=self.cite(point.section, point.text))
            for point in now.question.key_points
        )
        lesson = Grade(now.question, message.text or "I don't know.", verdicts)
        return Turn("dont-know", at, message.text, reply=say.lesson, grade=lesson)

    def _dispute(self, now: Round, message: Message, at: datetime) -> Turn:
        if now.grade is None:
            raise InterviewError("There is no grade to dispute yet. Answer the question first.")
        if not message.point:
            raise GradingError("Say which point you dispute, by its number.")
        grade = self.judge_dispute(now.grade, message.point, message.text)
        dispute = grade.verdicts[message.point - 1].dispute
        # A follow-up that waits for its answer goes on waiting.
        return Turn(
            "dispute", at, message.text, reply=dispute.reason if dispute else "", grade=grade, point=message.point
        )

    # Help

    def _hint(self, now: Round, say: Phrases) -> str:
        since = max(index for index, turn in enumerate(now.turns) if turn.question or turn.follow_up)
        taken = sum(turn.kind == "hint" for turn in now.turns[since:])
        hints = list(self._hints(now, say))
        if taken >= len(hints):
            raise InterviewError("There are no more hints. Say what you know, or that you don't know.")
        return hints[taken]

    def _hints(self, now: Round, say: Phrases) -> Iterator[str]:
        """From a nudge to the first words of the weightiest point."""
        asked = now.follow_up
        if asked and not asked.point:
            return
        if asked is None or now.grade is None:
            yield from now.question.hints
            point = max(now.question.key_points, key=lambda one: one.weight)
        else:
            point = now.grade.verdicts[asked.point - 1].key_point
        citation = self.cite(point.section, point.text)
        if citation and not (asked and citation.chunk.heading in asked.text):
            yield say.hint_section.format(heading=citation.chunk.heading)
        yield say.hint_words.format(words=_first_words(point))

    def _clarify(self, now: Round, text: str, say: Phrases) -> str:
        """What the question means and what is expected, or what a term means; never what would be a point of the answer."""
        question = now.question
        if term := asked_term(text):
            return self._define(question, term, say)
        asked = now.follow_up
        if asked and asked.point:
            return say.only_that.format(question=asked.text)
        language = language_of(text or question.prompt)
        other = [one for one in (*question.aliases, question.translation) if one and language_of(one) == language]
        expected = say.expected[question.kind]
        if question.quantity and question.quantity.unit != "1":
            expected = say.number_in.format(unit=question.quantity.unit)
        return " ".join(
            (
                say.another_way.format(question=other[0])
                if other
                else say.the_question.format(question=question.prompt),
                say.i_expect.format(expected=expected, level=question.level, count=len(question.key_points)),
                say.assume,
            )
        )

    def _define(self, question: Question, term: str, say: Phrases) -> str:
        found = next((one for one in self.explain(f"What is {term}?") if term.lower() in one.quote.lower()), None)
        if found is None:
            return say.undefined.format(term=term)
        if any(CREDIT[verdict.verdict] for verdict in self.judge_offline(question, found.quote).verdicts):
            return say.is_answer.format(term=term)
        return f"> {_one_line(found.quote)} ({place(found)})"


# Follow-ups


def next_follow_up(now: Round, plan: InterviewPlan) -> FollowUp | None:
    """A question aimed at the weightiest point that is still open; where all is made, a step deeper; None where enough was asked."""
    grade = now.grade
    if grade is None or not grade.is_judged or len(now.follow_ups) >= plan.max_follow_ups:
        return None
    probed = {asked.point for asked, _ in now.follow_ups}
    left = [number for number in range(1, len(grade.verdicts) + 1) if now.verdict_after(number) != "made"]
    open_points = sorted(set(left) - probed, key=lambda number: (-grade.verdicts[number - 1].key_point.weight, number))
    if open_points:
        return FollowUp(_wording(now, grade, open_points[0], PHRASES[plan.language]), open_points[0])
    if left or not grade.question.follow_ups:
        return None
    put = {asked.text for asked, _ in now.follow_ups}
    deeper = [text for text in reversed(grade.question.follow_ups) if text not in put]
    return FollowUp(deeper[0]) if deeper else None


def _wording(now: Round, grade: Grade, number: int, say: Phrases) -> str:
    """A question after key point `number` that does not give it away."""
    verdict = grade.verdicts[number - 1]
    point, put = verdict.key_point, [asked.text for asked, _ in now.follow_ups]
    if point not in grade.question.key_points:
        return _mend(grade, say)
    said = say.said_before.format(words=_one_line(verdict.evidence, most=_QUOTED_CHARACTERS))
    if verdict.verdict in {"partial", "contradicted"} and verdict.evidence and said not in put:
        return said
    if grade.question.kind == "behavioural":
        story = read_story(grade.attempt)
        for cue, part in STORY_CUES:
            if cue.search(point.text) and not getattr(story, part):
                return say.story[part]
    # What the guides say of stories stands below headings that say nothing of the point.
    told = None if grade.question.kind == "behavioural" else verdict.citation
    heading = told.chunk.heading if told else ""
    if heading and not any(heading in text for text in put):
        return say.add_about.format(heading=heading.rstrip("?？"))
    return say.complete.format(words=_first_words(point))


def _mend(grade: Grade, say: Phrases) -> str:
    """To be asked where the code does not pass its tests, or the number is not the one asked for."""
    if grade.question.kind == "code":
        return say.mend_code if has_code(grade.attempt) else say.show_code
    has_unit = grade.question.quantity is not None and grade.question.quantity.unit != "1"
    return say.mend_number if has_unit else say.mend_plain_number


def _on_point(now: Round, number: int, verdict: Verdict, say: Phrases, *, remarks: Sequence[str]) -> str:
    grade = now.grade
    assert grade is not None  # noqa: S101 - who answers a follow-up has a grade
    before = grade.verdicts[number - 1]
    gained = CREDIT[verdict.verdict] - CREDIT[before.verdict]
    if gained <= 0 and grade.question.kind == "code" and before.key_point not in grade.question.key_points:
        # What the tests say helps; that they are not passed is known.
        return " ".join((say.not_made, *remarks))
    if gained <= 0:
        short = say.still_in_part if verdict.verdict == "partial" else say.not_made
        is_result = before.key_point not in grade.question.key_points
        return " ".join((short, *(remarks if is_result else ()), _reveal(now, number, say)))
    weights = sum(one.key_point.weight for one in grade.verdicts)
    gain = f"{FOLLOW_UP_SHARE * gained * before.key_point.weight / weights:+.0%}"
    said = say.made if verdict.verdict == "made" else say.made_in_part
    return said.format(gain=gain, point=point_text(before))


def _reveal(now: Round, number: int, say: Phrases) -> str:
    if not number or now.grade is None:
        return say.nothing_lost
    return say.full_answer.format(point=point_text(now.grade.verdicts[number - 1]))


def point_text(verdict: Verdict) -> str:
    """The key point, and where to read about it."""
    return f"{verdict.key_point.text} ({place(verdict.citation)})" if verdict.citation else verdict.key_point.text


def place(citation: Citation) -> str:
    """Where a passage stands: `Regularization > Dropout`."""
    return f"{citation.chunk.title} > {citation.chunk.path}"


def hint_cost() -> str:
    """What a hint costs, as the learner reads it."""
    return f"a hint: -{HINT_COST:.0%}"


def wants_questions(question: Question) -> bool:
    """Whether questions of the learner are what is asked for."""
    return question.kind == "behavioural" and bool(
        re.search(r"\bwhat questions\b|想问", question.prompt, re.IGNORECASE)
    )


def withheld_points(now: Round) -> frozenset[int]:
    """Numbers of the key points, from 1, that are not told while a follow-up asks for one: that one, and those that give its number away."""
    if now.grade is None or now.follow_up is None or not now.follow_up.point:
        return frozenset()
    points, asked = [verdict.key_point for verdict in now.grade.verdicts], now.follow_up.point
    quantity = now.question.quantity
    if quantity is None or points[asked - 1] in now.question.key_points:
        return frozenset({asked})
    result = re.compile(rf"(?<![\d.,]){re.escape(f'{quantity.value:,.10g}')}(?![\d]|[.,]\d)")
    return frozenset({asked, *(number for number, point in enumerate(points, start=1) if result.search(point.text))})


def shown_grade(now: Round) -> Grade | None:
    """The grade as it is shown during the interview: follow-ups are asked apart, and the summary does not give their answers away."""
    if now.grade is None:
        return None
    if now.follow_up is None:
        return replace(now.grade, follow_up="")
    made = sum(verdict.verdict == "made" for verdict in now.grade.verdicts)
    feedback = f"You made {made} of {len(now.grade.verdicts)} key points. {' '.join(now.grade.remarks)}".strip()
    return replace(now.grade, feedback=feedback, follow_up="")


def _first_words(point: KeyPoint) -> str:
    if language_of(point.text) == "zh":
        return point.text[: min(_FIRST_CHARACTERS, len(point.text) // 3)]
    said = point.text.split()
    return " ".join(said[: max(2, min(_FIRST_WORDS, len(said) // 3))])


def _one_line(text: str, *, most: int = 10_000) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most].rstrip()} …"

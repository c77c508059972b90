"""When a question is due again: FSRS over the history, rated by the score and the hints, and a plan to the day of the interview.

No card is kept: cards are replayed from the reviews, so that a dispute or an import changes them as if it had always been so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Literal

import fsrs

from tutor.progress import Review

Rating = Literal["again", "hard", "good", "easy"]
HARD, GOOD, EASY = 0.4, 0.65, 0.9
"""Scores from which an answer counts as hard, good, easy; below the first it was not known."""
RETENTION = 0.9
"""Probability of still knowing an answer at which it is asked again."""
LONGEST_INTERVAL_DAYS = 365
LONGEST_PLAN_DAYS = 730


class PlanError(ValueError):
    """A date that nothing can be planned to; the message says why."""


@dataclass(frozen=True)
class Card:
    """How well the answer to one question is remembered."""

    question_id: str
    topic: str
    attempts: int
    last_review: datetime
    due: datetime
    """When it is to be asked again: the probability that it is known has fallen to RETENTION then."""
    stability_days: float
    """Days in which that probability falls from 1 to 0.9."""
    difficulty: float
    """1 to 10."""

    def recall(self, now: datetime) -> float:
        """Probability that the answer is known now, 0 to 1."""
        return _scheduler().get_card_retrievability(_as_fsrs(self), now.astimezone(UTC))


def rating(score: float, hints: int) -> Rating:
    """What a score from 0 to 1 says about memory; who took a hint did not find it easy, who took more found it hard."""
    if score < HARD:
        return "again"
    if score < GOOD or hints > 1:
        return "hard"
    return "good" if score < EASY or hints else "easy"


def cards(reviews: Sequence[Review]) -> dict[str, Card]:
    """A card for each question of the bank that was judged, replayed from the history (oldest first).

    A dispute changes the rating of the attempt that it was about. What was not judged, and questions of the learner's own, which have
    no topic, are left out.
    """
    replayed: dict[str, Card] = {}
    judged = _without_disputes([review for review in reviews if review.score is not None and review.topic])
    for review, at in zip(judged, _steady([review.reviewed_at for review in judged]), strict=True):
        rated = rating(review.score or 0.0, review.hints)
        card = replayed.get(review.question_id)
        replayed[review.question_id] = (
            _reviewed(card, rated, at) if card else _begun(review.question_id, review.topic, rated, at)
        )
    return replayed


def due(cards: Mapping[str, Card], now: datetime) -> list[Card]:
    """The cards to be asked by the end of the day of `now`, in its time zone; the least remembered first."""
    wanted = [card for card in cards.values() if _is_due(card, now)]
    return sorted(wanted, key=lambda card: (card.recall(now), card.due, card.question_id))


@dataclass(frozen=True)
class StudyDay:
    """What a day of a plan asks for."""

    day: date
    again: int
    """Questions that are due again."""
    new: int
    """Questions that were never asked."""


@dataclass(frozen=True)
class StudyPlan:
    """How many questions a day until the interview."""

    until: date
    """The day of the interview; the last day of study is the one before."""
    a_day: int
    """Questions a day at most, new ones and those due again."""
    days: tuple[StudyDay, ...]
    never_asked: int
    """New questions for which there is no time."""
    overdue: int
    """Questions that are due again by the interview and for which there is no time."""

    @property
    def is_met(self) -> bool:
        """Whether everything is asked that should be."""
        return not self.never_asked and not self.overdue


def plan(
    cards: Mapping[str, Card],
    questions: Collection[str],
    *,
    now: datetime,
    until: date,
    most_a_day: int,
) -> StudyPlan:
    """The fewest questions a day with which every one of `questions` (ids) was asked, and again when it was due, before `until`.

    With at most `most_a_day`, and days in the time zone of `now`, which is the first day. Reckoned as if every answer to come were a
    good one: who does worse is asked more, so the plan is made anew each day. Raises PlanError for a day that is not in the future.
    """
    ahead = (until - now.date()).days
    if ahead < 1:
        raise PlanError(
            f"{until:%Y-%m-%d} is not in the future: today is {now:%Y-%m-%d}. Give the day of the interview."
        )
    if ahead > LONGEST_PLAN_DAYS:
        raise PlanError(f"{until:%Y-%m-%d} is more than {LONGEST_PLAN_DAYS} days away. Plan to a nearer day.")
    begun = [card for name, card in cards.items() if name in questions]
    new = len(set(questions) - cards.keys())

    def with_capacity(a_day: int) -> StudyPlan:
        return _simulated(begun, new, now=now, until=until, a_day=a_day)

    fewest, most = 0, most_a_day
    while fewest < most:
        middle = (fewest + most) // 2
        fewest, most = (fewest, middle) if with_capacity(middle).is_met else (middle + 1, most)
    return with_capacity(fewest)


def fewest_a_day(cards: Mapping[str, Card], questions: Collection[str], *, now: datetime, until: date) -> int:
    """The questions a day with which `plan` is met, were there no bound to them."""
    # All of them on one day, and again on the next, always is enough.
    return plan(cards, questions, now=now, until=until, most_a_day=2 * len(questions)).a_day


def _simulated(cards: Sequence[Card], new: int, *, now: datetime, until: date, a_day: int) -> StudyPlan:
    """What comes of `a_day` questions a day: first those due again, the longest due first, then new ones."""
    days: list[StudyDay] = []
    tie = count()
    waiting = [
        (min(card.due, now) if _is_due(card, now) else card.due, next(tie), card.last_review, card.stability_days, card.difficulty)
        for card in cards
    ]  # fmt: skip
    heapify(waiting)
    first = _begun("", "", "good", now)
    for number in range((until - now.date()).days):
        moment = now + timedelta(days=number)

        def put(stability: float, difficulty: float, days_later: int, moment: datetime = moment) -> None:
            heappush(waiting, (moment + timedelta(days=days_later), next(tie), moment, stability, difficulty))

        again = 0
        while again < a_day and waiting and _day(waiting[0][0], now) <= moment.date():
            _, _, last, stability, difficulty = heappop(waiting)
            put(*_after_good(stability, difficulty, max(0, (moment - last).days)))
            again += 1
        fresh = min(new, a_day - again)
        for _ in range(fresh):
            put(first.stability_days, first.difficulty, (first.due - first.last_review).days)
        days.append(StudyDay(moment.date(), again, fresh))
        new -= fresh
    overdue = sum(_day(entry[0], now) < until for entry in waiting)
    return StudyPlan(until, a_day, tuple(days), never_asked=new, overdue=overdue)


@lru_cache(maxsize=2**14)
def _after_good(stability_days: float, difficulty: float, days_since: int) -> tuple[float, float, int]:
    """Stability, difficulty and the interval in days after a good answer, so many days after the one before.

    A plan asks for the same again and again: nothing else counts, so it need not be reckoned anew.
    """
    before = datetime(2000, 1, 1, tzinfo=UTC)
    now = before + timedelta(days=days_since)
    card = _reviewed(Card("", "", 1, before, now, stability_days, difficulty), "good", now)
    return card.stability_days, card.difficulty, (card.due - now).days


def _day(moment: datetime, now: datetime) -> date:
    return moment.astimezone(now.tzinfo).date()


def _is_due(card: Card, now: datetime) -> bool:
    # One that was reviewed in the future was kept while the clock was wrong: nothing is known about when it is due.
    is_of_the_future = card.last_review > now + timedelta(days=1)
    return is_of_the_future or _day(card.due, now) <= now.date()


def _begun(question_id: str, topic: str, rated: Rating, at: datetime) -> Card:
    # With an id of its own FSRS' card would cost a millisecond; ours are told apart by their questions.
    return _after(Card(question_id, topic, 0, at, at, 0.0, 0.0), fsrs.Card(card_id=0, due=at), rated, at)


def _reviewed(card: Card, rated: Rating, at: datetime) -> Card:
    return _after(card, _as_fsrs(card), rated, at)


def _after(card: Card, memory: fsrs.Card, rated: Rating, at: datetime) -> Card:
    memory, _ = _scheduler().review_card(memory, fsrs.Rating[rated.capitalize()], at.astimezone(UTC))
    return replace(
        card,
        attempts=card.attempts + 1,
        last_review=at,
        due=memory.due,
        stability_days=memory.stability or 0.0,
        difficulty=memory.difficulty or 0.0,
    )


def _as_fsrs(card: Card) -> fsrs.Card:
    return fsrs.Card(
        card_id=0,
        state=fsrs.State.Review,
        stability=card.stability_days,
        difficulty=card.difficulty,
        due=card.due,
        last_review=card.last_review.astimezone(UTC),
    )


@cache
def _scheduler() -> fsrs.Scheduler:
    # No steps of minutes: a question that was missed is read up on, and comes again the next day. No chance: the same history gives
    # the same plan.
    return fsrs.Scheduler(
        desired_retention=RETENTION,
        learning_steps=(),
        relearning_steps=(),
        maximum_interval=LONGEST_INTERVAL_DAYS,
        enable_fuzzing=False,
    )


def _without_disputes(reviews: Sequence[Review]) -> list[Review]:
    """The attempts, each with the score that it had in the end."""
    attempts: list[Review] = []
    places: dict[tuple[str, str], int] = {}
    for review in reviews:
        key = (review.question_id, review.attempt)
        if review.is_dispute and key in places:
            attempts[places[key]] = replace(attempts[places[key]], score=review.score)
        else:
            places[key] = len(attempts)
            attempts.append(review)
    return attempts


def _steady(moments: Sequence[datetime]) -> list[datetime]:
    """The moments as they would be if the clock had never jumped: what lies off gets the time of the one before it.

    Believed is the longest series that never goes back: a jump, forward or backward, is the exception.
    """
    tails: list[datetime] = []
    places: list[int] = []
    before: list[int] = []
    for number, moment in enumerate(moments):
        length = bisect_right(tails, moment)
        before.append(places[length - 1] if length else -1)
        tails[length : length + 1], places[length : length + 1] = [moment], [number]
    believed: set[int] = set()
    number = places[-1] if places else -1
    while number >= 0:
        believed.add(number)
        number = before[number]
    steady: list[datetime] = []
    current = moments[min(believed)] if believed else None
    for number, moment in enumerate(moments):
        if number in believed or current is None:
            current = moment
        steady.append(current)
    return steady

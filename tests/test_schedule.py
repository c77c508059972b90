"""When a question is due again, and the plan to the day of the interview."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import fsrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.progress import Review
from tutor.schedule import Card, PlanError, Rating, cards, due, fewest_a_day, plan, rating

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def review(question_id: str = "dropout", score: float | None = 0.8, at: datetime = NOON, *, hints: int = 0) -> Review:
    return Review(question_id, "regularization", f"attempt at {at}", score, {}, at, hints=hints)


def dispute(of: Review, score: float, at: datetime) -> Review:
    return Review(of.question_id, of.topic, of.attempt, score, {"verdicts": [{"dispute": {"argument": "…"}}]}, at)


@pytest.mark.parametrize(
    ("score", "hints", "expected"),
    [
        (0.0, 0, "again"), (0.39, 0, "again"), (0.4, 0, "hard"), (0.64, 0, "hard"), (0.65, 0, "good"), (0.89, 0, "good"),
        (0.9, 0, "easy"), (1.0, 0, "easy"), (1.0, 1, "good"), (0.7, 1, "good"), (1.0, 2, "hard"), (0.7, 5, "hard"),
        (0.5, 1, "hard"), (0.1, 3, "again"),
    ],
)  # fmt: skip
def test_rating_follows_from_the_score_and_the_hints(score: float, hints: int, expected: Rating):
    assert rating(score, hints) == expected


def test_card_is_what_fsrs_makes_of_the_same_ratings():
    [card] = cards(
        [review(score=0.8), review(score=0.95, at=NOON + 2 * DAY), review(score=0.1, at=NOON + 20 * DAY)]
    ).values()

    scheduler = fsrs.Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
    memory = fsrs.Card(card_id=1, due=NOON)
    for rated, day in ((fsrs.Rating.Good, 0), (fsrs.Rating.Easy, 2), (fsrs.Rating.Again, 20)):
        memory, _ = scheduler.review_card(memory, rated, NOON + day * DAY)
    assert (card.due, card.stability_days, card.difficulty) == (memory.due, memory.stability, memory.difficulty)
    assert (card.attempts, card.last_review, card.topic) == (3, NOON + 20 * DAY, "regularization")
    assert card.recall(NOON + 25 * DAY) == scheduler.get_card_retrievability(memory, NOON + 25 * DAY)


def test_missed_question_comes_the_next_day_and_a_known_one_later():
    replayed = cards([review("missed", 0.1), review("hard", 0.5), review("good", 0.8), review("easy", 1.0)])

    days = [(replayed[name].due - NOON).days for name in ("missed", "hard", "good", "easy")]
    assert days[0] == 1
    assert days == sorted(days)
    assert len(set(days)) >= 3


def test_interval_grows_when_the_answer_is_known_each_time():
    history, at, intervals = [], NOON, []
    for _ in range(5):
        history.append(review(at=at))
        due_at = cards(history)["dropout"].due
        intervals.append((due_at - at).days)
        at = due_at

    assert intervals == sorted(set(intervals))
    assert intervals[-1] <= 365


def test_same_history_gives_the_same_cards():
    history = [review(f"question {number % 7}", number % 10 / 10, NOON + number * DAY) for number in range(60)]

    assert cards(history) == cards(history)


def test_what_was_not_judged_and_questions_of_ones_own_have_no_card():
    own = Review("own", "", "…", 0.5, {}, NOON)

    assert cards([review(score=None), own]) == {}


# Disputes


def test_dispute_changes_the_rating_of_its_attempt_and_is_no_review_of_its_own():
    attempt = review(score=0.1)

    disputed = cards([attempt, dispute(attempt, 0.8, NOON + timedelta(minutes=5))])

    assert disputed == {"dropout": cards([review(score=0.8)])["dropout"]}


def test_dispute_of_an_earlier_attempt_changes_what_came_after_it():
    first, second = review(score=0.1), review("dropout", 0.8, NOON + 3 * DAY)
    won = [first, second, dispute(first, 0.95, NOON + 4 * DAY)]

    assert cards(won) == cards([review(score=0.95), second])


def test_dispute_keeps_the_hints_that_were_taken():
    attempt = review(score=0.5, hints=2)

    assert cards([attempt, dispute(attempt, 1.0, NOON)]) == cards([review(score=1.0, hints=2)])


def test_dispute_without_its_attempt_counts_as_the_attempt():
    assert cards([dispute(review(), 0.8, NOON)])["dropout"].attempts == 1


# The clock


@pytest.mark.parametrize("jump", [timedelta(days=-20000), timedelta(days=20000)])
def test_one_jump_of_the_clock_moves_one_card_and_no_other(jump: timedelta):
    history = [review(f"question {number}", 0.8, NOON + number * DAY) for number in range(6)]
    jumped = [*history[:3], review("question 3", 0.8, NOON + 3 * DAY + jump), *history[4:]]

    right, odd = cards(history), cards(jumped)

    assert [odd[name] for name in right if name != "question 3"] == [
        right[name] for name in right if name != "question 3"
    ]
    # It gets the time of the one before.
    assert odd["question 3"].last_review == NOON + 2 * DAY


def test_card_that_was_kept_in_the_future_is_due_now():
    replayed = cards([review(at=NOON + 9000 * DAY)])

    assert [card.question_id for card in due(replayed, NOON)] == ["dropout"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.integers(-10_000, 10_000)), max_size=30))
def test_any_clock_gives_cards_that_never_go_back(events: list[tuple[str, float, int]]):
    history = [review(name, score, NOON + days * DAY) for name, score, days in events]

    replayed = cards(history)

    assert replayed.keys() == {name for name, _, _ in events}
    for card in replayed.values():
        assert card.due > card.last_review
        assert card.stability_days > 0
        assert sum(name == card.question_id for name, _, _ in events) == card.attempts


# What is due


def test_least_remembered_comes_first_and_what_is_not_due_does_not_come():
    replayed = cards([review("faint", 0.1), review("fading", 0.8), review("fresh", 1.0, NOON + 9 * DAY)])

    assert [card.question_id for card in due(replayed, NOON + 10 * DAY)] == ["faint", "fading"]
    assert due(cards([review()]), NOON) == []


def test_question_is_due_all_through_its_day_where_the_learner_is():
    shanghai = timezone(timedelta(hours=8))
    # 23:30 in Shanghai; due a day later at the same time.
    replayed = cards([review(score=0.1, at=datetime(2026, 3, 1, 15, 30, tzinfo=UTC))])

    assert due(replayed, datetime(2026, 3, 2, 0, 10, tzinfo=shanghai))
    assert not due(replayed, datetime(2026, 3, 1, 23, 50, tzinfo=shanghai))
    assert not due(replayed, datetime(2026, 3, 1, 23, 50, tzinfo=UTC))


# The plan


def ids(count: int) -> list[str]:
    return [f"question {number}" for number in range(count)]


def test_plan_asks_every_new_question_before_the_interview():
    planned = plan({}, ids(100), now=NOON, until=date(2026, 3, 21), most_a_day=50)

    assert planned.is_met
    assert len(planned.days) == 20
    assert [planned.days[0].day, planned.days[-1].day] == [date(2026, 3, 1), date(2026, 3, 20)]
    assert sum(day.new for day in planned.days) == 100
    assert sum(day.again for day in planned.days) > 0
    assert max(day.new + day.again for day in planned.days) == planned.a_day


def test_no_smaller_number_a_day_would_do():
    questions, until = ids(100), date(2026, 3, 21)
    planned = plan({}, questions, now=NOON, until=until, most_a_day=50)

    less = plan({}, questions, now=NOON, until=until, most_a_day=planned.a_day - 1)

    assert not less.is_met
    assert less.a_day == planned.a_day - 1
    assert less.never_asked + less.overdue > 0


def test_plan_that_cannot_be_met_says_what_is_left():
    planned = plan({}, ids(372), now=NOON, until=date(2026, 3, 3), most_a_day=30)

    assert not planned.is_met
    assert planned.a_day == 30
    assert planned.never_asked == 372 - 60
    assert fewest_a_day({}, ids(372), now=NOON, until=date(2026, 3, 3)) == 186


@pytest.mark.parametrize("score", [0.1, 0.5, 0.8, 1.0])
def test_plan_is_what_comes_of_following_it_with_good_answers(score: float):
    history = [review("question 0", score, NOON - 30 * DAY), review("question 0", score, NOON - 3 * DAY)]
    planned = plan(cards(history), ids(1), now=NOON, until=NOON.date() + 600 * DAY, most_a_day=30)

    for number, day in enumerate(planned.days):
        again = due(cards(history), NOON + number * DAY)
        assert day.again == len(again), day
        history += [review(card.question_id, 0.8, NOON + number * DAY) for card in again]

    assert planned.is_met
    assert len(history) > 3


def test_more_days_ask_for_less_a_day():
    numbers = [
        plan({}, ids(100), now=NOON, until=NOON.date() + timedelta(days=days), most_a_day=200).a_day
        for days in (1, 5, 20, 60)
    ]

    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] == 100


def test_what_was_asked_already_is_planned_for_when_it_is_due_and_other_questions_not_at_all():
    replayed = cards([review("question 0", 0.1), review("gone from the bank", 0.1)])

    planned = plan(replayed, ids(1), now=NOON, until=date(2026, 3, 4), most_a_day=30)

    assert [(day.again, day.new) for day in planned.days] == [(0, 0), (1, 0), (0, 0)]
    assert planned.a_day == 1


def test_nothing_to_learn_asks_for_nothing():
    assert plan({}, [], now=NOON, until=date(2026, 4, 1), most_a_day=30).a_day == 0


@pytest.mark.parametrize(
    ("until", "why"),
    [
        (date(2026, 3, 1), "is not in the future: today is 2026-03-01"),
        (date(2025, 1, 12), "is not in the future"),
        (date(2036, 1, 12), "more than 730 days away"),
    ],
)
def test_day_that_cannot_be_planned_to_is_refused(until: date, why: str):
    with pytest.raises(PlanError, match=why):
        plan({}, ids(3), now=NOON, until=until, most_a_day=30)


def test_card_says_when_it_is_due():
    card = cards([review(score=0.1)])["dropout"]

    assert isinstance(card, Card)
    assert card.due == NOON + DAY

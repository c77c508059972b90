"""Which question comes next, and a run of several."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from corpus.questions import KeyPoint, Level, Question
from tutor.grading import Grade, Verdict, VerdictName
from tutor.interview import Interview, choose_question, start_interview
from tutor.progress import Review

POINT = KeyPoint("Dropout is off at inference.", 1, "regularization#dropout")


def question(name: str, topic: str = "regularization", level: Level = "junior") -> Question:
    return Question(name, topic, f"What is {name}?", level, "concept", "An answer.", (POINT,))


def review(name: str, score: float | None) -> Review:
    return Review(name, "regularization", "…", score, {}, datetime(2026, 3, 1, tzinfo=UTC))


def grade(verdict: VerdictName) -> Grade:
    return Grade(BANK[0], "An attempt.", (Verdict(POINT, verdict),))


BANK = [
    question("dropout"),
    question("weight-decay", level="mid"),
    question("early-stopping"),
    question("bptt", topic="sequence-models", level="senior"),
]


@pytest.fixture
def dice() -> random.Random:
    return random.Random(7)


def test_new_question_comes_before_one_that_was_answered(dice: random.Random):
    reviews = [review("dropout", 0.0), review("weight-decay", 0.1), review("bptt", 0.2)]

    chosen = choose_question(BANK, reviews, dice=dice)

    assert chosen is not None
    assert chosen.id == "early-stopping"


def test_worst_question_comes_again_when_none_is_new(dice: random.Random):
    reviews = [review("dropout", 0.9), review("weight-decay", 0.3), review("early-stopping", 0.5), review("bptt", 0.4)]

    chosen = choose_question(BANK, reviews, dice=dice)

    assert chosen is not None
    assert chosen.id == "weight-decay"


def test_latest_attempt_counts(dice: random.Random):
    reviews = [review(item.id, 0.5) for item in BANK]
    reviews += [review("dropout", 1.0), review("bptt", 0.1), review("bptt", 0.9)]

    chosen = choose_question(BANK, reviews, dice=dice)

    assert chosen is not None
    assert chosen.id == "early-stopping"


def test_attempt_that_was_not_judged_leaves_the_question_new(dice: random.Random):
    reviews = [review(item.id, 0.0) for item in BANK[1:]] + [review("dropout", None)]

    chosen = choose_question(BANK, reviews, dice=dice)

    assert chosen is not None
    assert chosen.id == "dropout"


def test_topic_level_and_exclusion_narrow_the_choice(dice: random.Random):
    for _ in range(10):
        chosen = choose_question(BANK, [], topic="regularization", level="junior", exclude={"dropout"}, dice=dice)
        assert chosen is not None
        assert chosen.id == "early-stopping"


@pytest.mark.parametrize(
    "narrowing", [{"topic": "biology"}, {"level": "staff"}, {"exclude": {item.id for item in BANK}}]
)
def test_nothing_is_chosen_where_nothing_fits(dice: random.Random, narrowing: dict[str, Any]):
    assert choose_question(BANK, [], **narrowing, dice=dice) is None


def test_same_dice_choose_the_same_questions():
    first = start_interview(BANK, [], count=3, dice=random.Random(1))
    second = start_interview(BANK, [], count=3, dice=random.Random(1))

    assert first == second
    assert len({start_interview(BANK, [], count=3, dice=random.Random(seed)).questions for seed in range(20)}) > 1


def test_no_question_comes_twice_in_an_interview(dice: random.Random):
    interview = start_interview(BANK, [review("dropout", 0.1)], count=4, dice=dice)

    assert {item.id for item in interview.questions} == {item.id for item in BANK}
    assert interview.questions[-1].id == "dropout"


def test_interview_is_as_long_as_the_bank_allows(dice: random.Random):
    assert len(start_interview(BANK, [], topic="regularization", count=10, dice=dice).questions) == 3
    assert start_interview(BANK, [], topic="biology", count=10, dice=dice).questions == ()


def test_each_answer_or_skip_leads_to_the_next_question():
    interview = Interview(tuple(BANK[:2]))
    assert interview.current == BANK[0]

    skipped = interview.after(None)
    done = skipped.after(grade("made"))

    assert skipped.current == BANK[1]
    assert done.current is None
    assert done.is_over
    assert interview.current == BANK[0], "the earlier turn is kept as it was"


def test_score_is_the_mean_of_the_judged_answers():
    interview = Interview(tuple(BANK), (grade("made"), None, grade("unjudged"), grade("partial")))

    assert interview.score == 0.75


def test_interview_without_a_judged_answer_has_no_score():
    assert Interview(tuple(BANK)).score is None
    assert Interview(tuple(BANK), (None, grade("unjudged"))).score is None


def test_interview_without_questions_is_over():
    assert Interview(()).is_over
    assert Interview(()).current is None

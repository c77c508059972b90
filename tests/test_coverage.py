"""The numbers behind the pictures: days of practice, topics, sections of the guides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from tutor.coverage import DayOfPractice, TopicStanding, coverage, days_of_practice, topic_standings
from tutor.progress import Review
from tutor.tutor import Tutor

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))


def review(question_id: str, score: float | None, at: datetime = NOON, **grade: object) -> Review:
    return Review(question_id, "regularization", f"attempt at {at}", score, grade, at)


def disputed(attempt: Review, score: float) -> Review:
    verdicts = [{"key_point": "It is off.", "verdict": "made", "dispute": {"argument": "…"}}]
    return replace(
        attempt, score=score, grade={"verdicts": verdicts}, reviewed_at=attempt.reviewed_at + timedelta(days=1)
    )


def test_day_has_its_attempts_and_their_mean_score():
    days = days_of_practice([review("a", 0.2), review("b", 0.6), review("a", 1.0, NOON + timedelta(days=3))], UTC)

    assert days == [
        DayOfPractice(date(2026, 3, 1), 2, pytest.approx(0.4)),
        DayOfPractice(date(2026, 3, 4), 1, 1.0),
    ]


def test_day_is_that_of_the_learner():
    evening = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)

    assert [day.day for day in days_of_practice([review("a", 0.2, evening)], SHANGHAI)] == [date(2026, 3, 2)]
    assert [day.day for day in days_of_practice([review("a", 0.2, evening)], UTC)] == [date(2026, 3, 1)]


def test_dispute_changes_its_attempts_day_and_is_no_practice_of_its_own():
    attempt = review("a", 0.2)

    assert days_of_practice([attempt, disputed(attempt, 0.8)], UTC) == [DayOfPractice(date(2026, 3, 1), 1, 0.8)]


def test_days_are_in_their_order_whatever_was_written_first():
    later, earlier = review("a", 0.2), review("b", 0.2, NOON - timedelta(days=400))

    assert [day.day for day in days_of_practice([later, earlier], UTC)] == [date(2025, 1, 25), date(2026, 3, 1)]


def test_what_was_not_judged_is_on_no_day():
    assert days_of_practice([review("a", None)], UTC) == []


def test_radar_has_every_topic_of_the_bank(tutor: Tutor):
    dropout, other = tutor.questions
    score = 0.25

    standings = topic_standings([review(dropout.id, score)], [dropout, replace(other, topic="normalization")])

    assert standings == [
        TopicStanding("normalization", None, 0, 1),
        TopicStanding("regularization", score, 1, 1),
    ]


def verdicts(tutor: Tutor, question_id: str, *names: str) -> dict[str, Any]:
    points = tutor.find_question(question_id).key_points
    return {"verdicts": [{"key_point": point.text, "verdict": name} for point, name in zip(points, names, strict=True)]}


def test_section_nobody_asked_about_is_said_to_be_so(tutor: Tutor):
    sections = {item.section: item for item in coverage(tutor.index.by_section, tutor.questions, [])}

    assert {item.state for item in sections.values()} == {"never asked"}
    dropout = sections["regularization#dropout"]
    assert (dropout.document_id, dropout.heading, dropout.score) == ("regularization.md", "Dropout", None)
    assert dropout.questions == ("dropout-train-inference",)
    assert sections["regularization#early-stopping"].questions == ()


def test_every_section_of_the_guides_is_on_the_map(tutor: Tutor):
    on_the_map = {item.section for item in coverage(tutor.index.by_section, tutor.questions, [])}

    assert on_the_map == set(tutor.index.by_section)
    assert {point.section for question in tutor.questions for point in question.key_points} <= on_the_map


def test_section_is_as_strong_as_its_key_points_were_made_last_time(tutor: Tutor):
    question = tutor.find_question("dropout-train-inference")
    count = len(question.key_points)
    missed = review(question.id, 0.0, **verdicts(tutor, question.id, *["missing"] * count))
    made = review(question.id, 1.0, **verdicts(tutor, question.id, *["made"] * count))

    def state(*reviews: Review) -> tuple[str, float | None]:
        found = coverage(tutor.index.by_section, tutor.questions, reviews)
        return next((item.state, item.score) for item in found if item.section == "regularization#dropout")

    assert state(missed) == ("weak", 0.0)
    assert state(missed, made) == ("strong", 1.0)
    assert state(made, missed) == ("weak", 0.0)


def test_key_points_count_by_their_weight_and_unjudged_ones_not(tutor: Tutor):
    question = tutor.find_question("dropout-train-inference")
    first, *others = question.key_points
    heavy = replace(question, key_points=(replace(first, weight=9.0), *others))
    names = ["made", *["missing"] * len(others)]

    def score(*names: str) -> float | None:
        history = [review(question.id, 0.5, **verdicts(tutor, question.id, *names))]
        found = coverage(tutor.index.by_section, [heavy], history)
        return next(item.score for item in found if item.section == first.section)

    here = [point for point in heavy.key_points if point.section == first.section]
    assert score(*names) == pytest.approx(9.0 / sum(point.weight for point in here))
    assert score(*["made", *["unjudged"] * len(others)]) == 1.0
    assert score(*["unjudged"] * len(names)) is None


def test_graded_attempt_is_seen_on_the_map(tutor: Tutor):
    tutor.grade(tutor.find_question("dropout-train-inference"), "I would rather talk about early stopping here.")

    found = coverage(tutor.index.by_section, tutor.questions, tutor.progress.reviews(tutor.settings.learner))
    [dropout] = [item for item in found if item.section == "regularization#dropout"]

    assert dropout.state == "weak"
    assert [card.question_id for card in tutor.cards().values()] == ["dropout-train-inference"]
    assert tutor.due(datetime.now(UTC)) == []
    assert [card.topic for card in tutor.due(datetime.now(UTC) + timedelta(days=1))] == ["regularization"]

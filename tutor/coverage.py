"""The numbers behind the pictures of a learner's progress: by day, by topic, by section of the guides. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Literal

from corpus.chunks import Chunk, anchor
from corpus.questions import Question
from tutor.grading import CREDIT
from tutor.progress import Review, progress_by_topic

STRONG = 0.7
"""Share of a section's key points, by weight, that a learner must have made last time."""
SectionState = Literal["never asked", "weak", "strong"]


@dataclass(frozen=True)
class DayOfPractice:
    """What was practised on one day, where the learner is."""

    day: date
    attempts: int
    score: float
    """Mean of the attempts' scores, 0 to 1."""


def days_of_practice(reviews: Sequence[Review], zone: tzinfo | None) -> list[DayOfPractice]:
    """The days on which something was judged, the earliest first. A dispute changes the score of its attempt's day.

    `zone` is the learner's; None is that of this machine.
    """
    scores: dict[date, list[float]] = {}
    places: dict[tuple[str, str], tuple[date, int]] = {}
    for review in reviews:
        if review.score is None:
            continue
        key = (review.question_id, review.attempt)
        if review.is_dispute and key in places:
            day, number = places[key]
            scores[day][number] = review.score
            continue
        day = review.reviewed_at.astimezone(zone).date()
        places[key] = (day, len(scores.setdefault(day, [])))
        scores[day].append(review.score)
    return [DayOfPractice(day, len(of_day), sum(of_day) / len(of_day)) for day, of_day in sorted(scores.items())]


@dataclass(frozen=True)
class TopicStanding:
    """One spoke of the radar."""

    topic: str
    score: float | None
    """Mean of the latest score of each question, 0 to 1; None where nothing was judged yet."""
    attempted: int
    questions: int
    """In the bank."""


def topic_standings(reviews: Sequence[Review], questions: Iterable[Question]) -> list[TopicStanding]:
    """How the learner stands in each topic of the bank, in the order of their names."""
    counts: dict[str, int] = {}
    for question in questions:
        counts[question.topic] = counts.get(question.topic, 0) + 1
    standing = {item.topic: item for item in progress_by_topic(reviews)}
    return [
        TopicStanding(topic, standing[topic].score, standing[topic].attempted, count)
        if topic in standing
        else TopicStanding(topic, None, 0, count)
        for topic, count in sorted(counts.items())
    ]


@dataclass(frozen=True)
class SectionCoverage:
    """How the learner stands in one section of a guide."""

    section: str
    """The link that leads to it, `guide#anchor`."""
    document_id: str
    heading: str
    state: SectionState
    score: float | None
    """Share of the key points judged, by weight, that were made last time, 0 to 1; None where none was judged."""
    questions: tuple[str, ...]
    """Ids of the questions with a key point that rests on it; none where the bank does not ask about it."""


def coverage(
    sections: Mapping[str, Sequence[Chunk]], questions: Sequence[Question], reviews: Sequence[Review]
) -> list[SectionCoverage]:
    """The sections of the guides that say something or are asked about, in the order of `sections` (chunks by link, as the index has them).

    A section is judged by the key points that rest on it, each by its latest verdict; not by those of the sections below it.
    """
    verdicts = _latest_verdicts(reviews)
    asking: dict[str, list[str]] = {}
    credit: dict[str, float] = {}
    weights: dict[str, float] = {}
    for question in questions:
        for point in question.key_points:
            asking.setdefault(point.section, []).append(question.id)
            verdict = verdicts.get((question.id, point.text))
            if verdict is not None:
                weights[point.section] = weights.get(point.section, 0.0) + point.weight
                credit[point.section] = credit.get(point.section, 0.0) + point.weight * verdict
    covered = []
    for section, chunks in sections.items():
        name = section.partition("#")[2]
        # A heading right above another one holds nothing of its own.
        has_text = any(anchor(chunk.heading) == name for chunk in chunks)
        if has_text or section in asking:
            score = credit[section] / weights[section] if weights.get(section) else None
            state: SectionState = "never asked" if score is None else "strong" if score >= STRONG else "weak"
            ids = tuple(dict.fromkeys(asking.get(section, ())))
            path = chunks[0].heading_path
            depth = next(number for number, heading in enumerate(path, start=1) if anchor(heading) == name)
            heading = " > ".join(path[:depth])
            covered.append(SectionCoverage(section, chunks[0].document_id, heading, state, score, ids))
    return covered


def _latest_verdicts(reviews: Sequence[Review]) -> dict[tuple[str, str], float]:
    """What each key point, by question and text, earned when it was last judged, 0 to 1."""
    credit: Mapping[str, float] = {str(name): earned for name, earned in CREDIT.items()}
    latest: dict[tuple[str, str], float] = {}
    for review in reviews:
        for verdict in review.grade.get("verdicts", ()):
            if verdict["verdict"] in credit and verdict["verdict"] != "unjudged":
                latest[review.question_id, str(verdict["key_point"])] = credit[verdict["verdict"]]
    return latest

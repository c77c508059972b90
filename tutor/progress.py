"""What a learner asked and attempted, kept for good: an append-only history in SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

SCHEMA_VERSION = 1
MISSED_COUNT = 8
"""Points to study that are shown: more is a list nobody starts on."""
_metadata = sa.MetaData()
_exchanges = sa.Table(
    "exchanges",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String, nullable=False, index=True),
    sa.Column("asked_at", sa.String, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("answer", sa.JSON, nullable=False),
)
_reviews = sa.Table(
    "reviews",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("learner", sa.String, nullable=False, index=True),
    sa.Column("reviewed_at", sa.String, nullable=False),
    sa.Column("question_id", sa.String, nullable=False, index=True),
    sa.Column("topic", sa.String, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("attempt", sa.Text, nullable=False),
    sa.Column("hints", sa.Integer, nullable=False),
    sa.Column("grade", sa.JSON, nullable=False),
)


class ProgressError(RuntimeError):
    """The history cannot be read or written; the message says why and what to do."""


@dataclass(frozen=True)
class Review:
    """One graded attempt."""

    question_id: str
    topic: str
    attempt: str
    score: float | None
    """0 to 1; None where the attempt could not be judged."""
    grade: Mapping[str, Any]
    """The grade as `tutor grade --json` prints it."""
    reviewed_at: datetime
    hints: int = 0

    @property
    def is_dispute(self) -> bool:
        """Whether it is an earlier grade after a dispute; the attempt was counted then."""
        return any(verdict.get("dispute") for verdict in self.grade.get("verdicts", ()))


@dataclass(frozen=True)
class Exchange:
    """One question asked of the tutor, and its answer as `tutor ask --json` prints it."""

    question: str
    answer: Mapping[str, Any]
    asked_at: datetime


@dataclass(frozen=True)
class TopicProgress:
    """How a learner stands in a topic."""

    topic: str
    attempted: int
    """Different questions."""
    attempts: int
    score: float
    """Mean of the latest score of each question, 0 to 1."""
    last: datetime


@dataclass(frozen=True)
class MissedPoint:
    """A key point that the learner left open, and where to read about it."""

    text: str
    topic: str
    times: int
    document_id: str = ""
    heading_path: str = ""


class ProgressStore:
    """The history in one SQLite file. A connection is opened for each call, so that threads and processes may share the file."""

    def __init__(self, database: Path, *, wait_seconds: float = 30) -> None:
        """`wait_seconds` is the longest wait for another process that is writing."""
        self._database = database
        self._wait_seconds = wait_seconds

    @cached_property
    def _engine(self) -> sa.Engine:
        self._database.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            f"sqlite:///{self._database}", poolclass=sa.NullPool, connect_args={"timeout": self._wait_seconds}
        )
        with engine.begin() as connection:
            version = connection.execute(sa.text("PRAGMA user_version")).scalar_one()
            if version > SCHEMA_VERSION:
                raise ProgressError(
                    f"{str(self._database)!r} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION}). "
                    "Update interview-tutor."
                )
            if version < SCHEMA_VERSION:
                # The lock is taken before anybody looks: two processes may make the same file at once.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                _metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return engine

    def record_exchange(self, learner: str, exchange: Exchange) -> None:
        """Append a question and its answer."""
        self._insert(
            _exchanges,
            learner=learner,
            asked_at=_stamp(exchange.asked_at),
            question=exchange.question,
            answer=dict(exchange.answer),
        )

    def record_review(self, learner: str, review: Review) -> None:
        """Append a graded attempt."""
        self._insert(
            _reviews,
            learner=learner,
            reviewed_at=_stamp(review.reviewed_at),
            question_id=review.question_id,
            topic=review.topic,
            score=review.score,
            attempt=review.attempt,
            hints=review.hints,
            grade=dict(review.grade),
        )

    def reviews(self, learner: str) -> list[Review]:
        """All graded attempts, oldest first."""
        return [
            Review(
                question_id=row.question_id,
                topic=row.topic,
                attempt=row.attempt,
                score=row.score,
                grade=row.grade,
                reviewed_at=datetime.fromisoformat(row.reviewed_at),
                hints=row.hints,
            )
            for row in self._select(_reviews, learner)
        ]

    def exchanges(self, learner: str) -> list[Exchange]:
        """All questions asked of the tutor, oldest first."""
        return [
            Exchange(row.question, row.answer, datetime.fromisoformat(row.asked_at))
            for row in self._select(_exchanges, learner)
        ]

    def _insert(self, table: sa.Table, **values: Any) -> None:  # noqa: ANN401 - a value for any column
        try:
            with self._engine.begin() as connection:
                connection.execute(table.insert().values(**values))
        except (SQLAlchemyError, OSError) as error:
            raise self._unusable(error) from error

    def _select(self, table: sa.Table, learner: str) -> Sequence[sa.Row[Any]]:
        if not self._database.exists():
            return []
        try:
            with self._engine.connect() as connection:
                return connection.execute(table.select().where(table.c.learner == learner).order_by(table.c.id)).all()
        except (SQLAlchemyError, OSError, json.JSONDecodeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> ProgressError:
        cause = getattr(error, "orig", None) or error
        return ProgressError(
            f"The history in {str(self._database)!r} cannot be used ({cause}). "
            "Make the file writable, close what else uses it, or set TUTOR_HOME to another folder."
        )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def progress_by_topic(reviews: Sequence[Review]) -> list[TopicProgress]:
    """How the learner stands in each topic they practised, weakest first.

    Attempts without a score are left out, and so are questions of the learner's own, which have no topic.
    """
    latest: dict[str, dict[str, Review]] = {}
    attempts: dict[str, int] = {}
    for review in reviews:
        if review.score is not None and review.topic:
            latest.setdefault(review.topic, {})[review.question_id] = review
            attempts[review.topic] = attempts.get(review.topic, 0) + (not review.is_dispute)
    progress = [
        TopicProgress(
            topic=topic,
            attempted=len(by_question),
            attempts=attempts[topic],
            score=sum(review.score or 0.0 for review in by_question.values()) / len(by_question),
            last=max(review.reviewed_at for review in by_question.values()),
        )
        for topic, by_question in latest.items()
    ]
    return sorted(progress, key=lambda item: (item.score, item.topic))


def most_missed(reviews: Sequence[Review]) -> list[MissedPoint]:
    """The key points that the learner left open most often and still does, most often missed first."""
    times: dict[tuple[str, str], int] = {}
    latest: dict[tuple[str, str], MissedPoint | None] = {}
    for review in reviews:
        if not review.topic:
            continue
        for verdict in review.grade.get("verdicts", ()):
            key = (review.question_id, str(verdict["key_point"]))
            if verdict["verdict"] not in {"missing", "partial", "contradicted"}:
                latest[key] = None
                continue
            times[key] = times.get(key, 0) + (not review.is_dispute)
            citation = verdict.get("citation") or {}
            latest[key] = MissedPoint(
                key[1], review.topic, times[key], citation.get("document", ""), citation.get("heading", "")
            )
    points = [point for point in latest.values() if point is not None]
    return sorted(points, key=lambda point: -point.times)[:MISSED_COUNT]

"""What a learner asked and attempted, kept for good, and how they stand by it."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tutor import database
from tutor.database import TABLES, Database, DuplicateError, ProgressError, open_database, storable

if TYPE_CHECKING:
    import sqlalchemy as sa

POINT_COUNT = 8
"""Points to study that are shown: more is a list nobody starts on."""


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


class TurnTakenError(ProgressError):
    """The turn was taken already: the interview goes on somewhere else, in another tab or window."""


@dataclass(frozen=True)
class StoredInterview:
    """An interview as it was kept, turn by turn."""

    id: str
    plan: Mapping[str, Any]
    turns: tuple[Mapping[str, Any], ...]
    """In the order of their numbers."""
    started_at: datetime
    last_at: datetime
    """Of the last turn, or the start."""


Merge = Callable[[Sequence[Mapping[str, Any]] | None, Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]] | None]
"""What to keep of the turns that are kept already (None: no such conversation) and those to be saved; None keeps nothing new."""


@dataclass(frozen=True)
class ConversationTitle:
    """What stands of a conversation in a list."""

    id: str
    title: str
    updated_at: datetime


@dataclass(frozen=True)
class StoredConversation:
    """A conversation of the chat as it was last saved."""

    id: str
    title: str
    turns: tuple[Mapping[str, Any], ...]
    updated_at: datetime


@dataclass(frozen=True)
class Feedback:
    """A thumb for an answer, with the reason."""

    kind: Literal["up", "down"]
    reason: str
    question: str
    answer: Mapping[str, Any]
    """As `tutor ask --json` prints it."""
    at: datetime
    learner: str = ""
    """Who gave it; filled in by the store."""


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
class PointStanding:
    """A key point that the learner left open, or made, when it was last judged, and where to read about it."""

    text: str
    topic: str
    times: int
    """How often it was missed, or made, so far."""
    document_id: str = ""
    heading_path: str = ""


class ProgressStore:
    """The learners' histories. A learner sees their own alone; threads and processes may share the store.

    Reviews, exchanges, interviews, turns and feedback are only ever appended, and come in the order in which they were written,
    whatever the clock did. Every method raises ProgressError where the database cannot be used.
    """

    def __init__(self, place: Path | str, *, wait_seconds: float = 30) -> None:
        """`place` is a SQLite file or a database URL; `wait_seconds` the longest wait for another process that is writing."""
        self.place = place
        self._wait_seconds = wait_seconds

    @cached_property
    def _database(self) -> Database:
        return open_database(self.place, wait_seconds=self._wait_seconds)

    def close(self) -> None:
        """Let go of the connections that are kept open. The store can still be used, and opens new ones."""
        self._database.close()

    # Questions asked, attempts graded

    def record_exchange(self, learner: str, exchange: Exchange) -> None:
        """Append a question and its answer."""
        with self.appending(learner) as appending:
            appending.exchange(exchange)

    def record_review(self, learner: str, review: Review) -> None:
        """Append a graded attempt."""
        with self.appending(learner) as appending:
            appending.review(review)

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
            for row in self._rows(database.reviews, learner)
        ]

    def exchanges(self, learner: str) -> list[Exchange]:
        """All questions asked of the tutor, oldest first."""
        return [
            Exchange(row.question, row.answer, datetime.fromisoformat(row.asked_at))
            for row in self._rows(database.exchanges, learner)
        ]

    # Interviews

    def start_interview(self, learner: str, interview_id: str, plan: Mapping[str, Any], at: datetime) -> None:
        """Keep the plan of a new interview. Raises ProgressError where the learner has one of that id."""
        with self.appending(learner) as appending:
            appending.interview(interview_id, plan, at)

    def append_turn(
        self,
        learner: str,
        interview_id: str,
        number: int,
        turn: Mapping[str, Any],
        at: datetime,
        *,
        review: Review | None = None,
    ) -> None:
        """Append a turn, and the graded attempt that it is, both or neither.

        Raises TurnTakenError where a turn of that number is there, ProgressError without such an interview.
        """
        try:
            with self.appending(learner) as appending:
                appending.turn(interview_id, number, turn, at)
                if review is not None:
                    appending.review(review)
        except DuplicateError as error:
            raise TurnTakenError(
                f"Turn {number} of this interview was taken already, in another tab or window. Reload to go on from there."
            ) from error

    def interviews(self, learner: str) -> list[StoredInterview]:
        """All interviews with their turns, oldest first."""
        turns: dict[str, list[sa.Row[Any]]] = {}
        for row in self._rows(database.turns, learner):
            turns.setdefault(row.interview_id, []).append(row)
        return [
            _stored_interview(row, turns.get(row.interview_id, ())) for row in self._rows(database.interviews, learner)
        ]

    def stored_interview(self, learner: str, interview_id: str) -> StoredInterview:
        """One interview with its turns. Raises ProgressError where the learner has none of that id."""
        row = next(self._rows(database.interviews, learner, interview_id=interview_id), None)
        if row is None:
            raise _no_interview(learner, interview_id)
        return _stored_interview(row, list(self._rows(database.turns, learner, interview_id=interview_id)))

    # Conversations of the chat

    def save_conversation(
        self,
        learner: str,
        conversation_id: str,
        title: str,
        turns: Sequence[Mapping[str, Any]],
        at: datetime,
        *,
        merge: Merge = lambda _kept, turns: turns,
    ) -> None:
        """Keep a conversation as it stands now. `title` names a new one; one that was kept before keeps its name.

        `merge` sees what is kept in the transaction that writes: nobody else writes in between.
        """
        with self.appending(learner) as appending:
            appending.conversation(conversation_id, title, turns, at, merge=merge)

    def conversations(self, learner: str) -> list[StoredConversation]:
        """All conversations, the last saved first."""
        rows = sorted(self._rows(database.conversations, learner), key=lambda row: (-row.saved, -row.id))
        return list(map(_stored_conversation, rows))

    def conversation_titles(self, learner: str) -> list[ConversationTitle]:
        """The conversations without their turns, the last saved first."""
        if not self._database.is_begun:
            return []
        table = database.conversations
        columns = table.select().with_only_columns(table.c.conversation_id, table.c.title, table.c.updated_at)
        with self._database.reading() as connection:
            rows = connection.execute(
                columns.where(table.c.learner == learner).order_by(table.c.saved.desc(), table.c.id.desc())
            ).all()
        return [
            ConversationTitle(row.conversation_id, row.title, datetime.fromisoformat(row.updated_at)) for row in rows
        ]

    def stored_conversation(self, learner: str, conversation_id: str) -> StoredConversation:
        """One conversation with its turns. Raises ProgressError where the learner has none of that id."""
        row = next(self._rows(database.conversations, learner, conversation_id=conversation_id), None)
        if row is None:
            raise _no_conversation(learner, conversation_id)
        return _stored_conversation(row)

    def rename_conversation(self, learner: str, conversation_id: str, title: str) -> None:
        """Give a conversation another name. Raises ProgressError where the learner has none of that id."""
        table = database.conversations
        with self._database.writing() as connection:
            done = connection.execute(table.update().where(*_is(table, learner, conversation_id)).values(title=title))
            if not done.rowcount:
                raise _no_conversation(learner, conversation_id)

    def delete_conversation(self, learner: str, conversation_id: str) -> None:
        """Take a conversation out. Raises ProgressError where the learner has none of that id."""
        table = database.conversations
        with self._database.writing() as connection:
            if not connection.execute(table.delete().where(*_is(table, learner, conversation_id))).rowcount:
                raise _no_conversation(learner, conversation_id)

    # Feedback

    def record_feedback(self, learner: str, feedback: Feedback) -> None:
        """Append a thumb."""
        with self.appending(learner) as appending:
            appending.feedback(feedback)

    def feedback(self, learner: str | None = None) -> list[Feedback]:
        """The thumbs of a learner, or of everybody, oldest first; of several for the same answer the last one."""
        thumbs: dict[tuple[str, str, str], Feedback] = {}
        for row in self._rows(database.feedback, learner):
            at = datetime.fromisoformat(row.given_at)
            key = (row.learner, row.question, json.dumps(row.answer, sort_keys=True))
            thumbs.pop(key, None)
            thumbs[key] = Feedback(row.kind, row.reason, row.question, row.answer, at, row.learner)
        return list(thumbs.values())

    # All of a learner

    @contextmanager
    def appending(self, learner: str) -> Iterator[Appending]:
        """Several records in one transaction: all are kept once the block ends, or none."""
        with self._database.writing() as connection:
            yield Appending(connection, learner)

    def history(self, learner: str) -> dict[str, list[dict[str, Any]]]:
        """Everything of a learner: the rows of each table, in the order in which they were written."""
        return {table.name: [_bare(row) for row in self._rows(table, learner)] for table in TABLES}

    def merge_history(self, learner: str, history: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
        """Add what is not there yet of a history that `history` gave, here or elsewhere; the number of rows added by table.

        What is there stays as it is. What is added takes its place by time: it may have been written before what is there.
        """
        with self._database.writing(rewriting=True) as connection:
            return {table.name: _merge(connection, table, learner, history.get(table.name, ())) for table in TABLES}

    def delete_learner(self, learner: str) -> Mapping[str, int]:
        """Take everything of a learner out, for good; the number of rows removed by table."""
        if not self._database.is_begun:
            return {table.name: 0 for table in TABLES}
        with self._database.writing(rewriting=True) as connection:
            return {
                table.name: connection.execute(table.delete().where(table.c.learner == learner)).rowcount
                for table in TABLES
            }

    def _rows(self, table: sa.Table, learner: str | None, **values: str) -> Iterator[sa.Row[Any]]:
        if not self._database.is_begun:
            return
        conditions = [
            table.c[name] == value for name, value in {"learner": learner, **values}.items() if value is not None
        ]
        with self._database.reading() as connection:
            rows = connection.execute(table.select().where(*conditions).order_by(table.c.id)).all()
        yield from rows


class Appending:
    """One transaction in which a learner's records are appended."""

    def __init__(self, connection: sa.Connection, learner: str) -> None:
        self._connection = connection
        self._learner = learner

    def exchange(self, exchange: Exchange) -> None:
        """A question and its answer."""
        self._insert(
            database.exchanges,
            asked_at=stamp(exchange.asked_at),
            question=exchange.question,
            answer=dict(exchange.answer),
        )

    def review(self, review: Review) -> None:
        """A graded attempt."""
        self._insert(
            database.reviews,
            reviewed_at=stamp(review.reviewed_at),
            question_id=review.question_id,
            topic=review.topic,
            score=review.score,
            attempt=review.attempt,
            hints=review.hints,
            grade=dict(review.grade),
        )

    def interview(self, interview_id: str, plan: Mapping[str, Any], at: datetime) -> None:
        """The plan of a new interview."""
        self._insert(database.interviews, interview_id=interview_id, plan=dict(plan), started_at=stamp(at))

    def turn(self, interview_id: str, number: int, turn: Mapping[str, Any], at: datetime) -> None:
        """A turn of an interview. Raises ProgressError where the learner has no such interview."""
        table = database.interviews
        condition = (table.c.learner == self._learner, table.c.interview_id == interview_id)
        if self._connection.execute(table.select().where(*condition)).first() is None:
            raise _no_interview(self._learner, interview_id)
        self._insert(database.turns, interview_id=interview_id, number=number, turn=dict(turn), taken_at=stamp(at))

    def conversation(
        self, conversation_id: str, title: str, turns: Sequence[Mapping[str, Any]], at: datetime, *, merge: Merge
    ) -> None:
        """A conversation as it stands now, in place of what was kept of it."""
        table = database.conversations
        is_it = _is(table, self._learner, conversation_id)
        there = self._connection.execute(
            table.select().with_only_columns(table.c.turns).where(*is_it).with_for_update()
        )
        merged = merge(there.scalar(), turns)
        if merged is None:
            return
        # What was saved last is known by a number: the clock may jump.
        last = table.select().with_only_columns(table.c.saved).where(table.c.learner == self._learner)
        saved = 1 + (self._connection.execute(last.order_by(table.c.saved.desc()).limit(1)).scalar() or 0)
        values = {"turns": [dict(turn) for turn in merged], "updated_at": stamp(at), "saved": saved}
        if not self._connection.execute(table.update().where(*is_it).values(**values)).rowcount:
            self._insert(table, conversation_id=conversation_id, title=title, **values)

    def feedback(self, feedback: Feedback) -> None:
        """A thumb."""
        self._insert(
            database.feedback,
            given_at=stamp(feedback.at),
            kind=feedback.kind,
            reason=feedback.reason,
            question=feedback.question,
            answer=dict(feedback.answer),
        )

    def _insert(self, table: sa.Table, **values: Any) -> None:  # noqa: ANN401 - a value for any column
        self._connection.execute(table.insert().values(learner=self._learner, **values))


def _is(table: sa.Table, learner: str, conversation_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.learner == learner, table.c.conversation_id == conversation_id


def _bare(row: sa.Row[Any]) -> dict[str, Any]:
    """A row without what belongs to this database and learner alone."""
    return {name: value for name, value in row._mapping.items() if name not in {"id", "learner", "saved"}}


def _merge(connection: sa.Connection, table: sa.Table, learner: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add the rows that are not there, each where its time puts it; how many they were."""
    keys = {"interviews": ("interview_id",), "turns": ("interview_id", "number"), "conversations": ("conversation_id",)}
    key = keys.get(table.name)
    is_theirs = table.c.learner == learner
    order = (table.c.saved, table.c.id) if "saved" in table.c else (table.c.id,)
    there = [_bare(row) for row in connection.execute(table.select().where(is_theirs).order_by(*order))]

    def identity(row: Mapping[str, Any]) -> str:
        # Without a key a record is what it says, and the same may have been said twice.
        return json.dumps([row[name] for name in key or sorted(row)], sort_keys=True)

    known = Counter(map(identity, there))
    missing: list[Mapping[str, Any]] = []
    for row in map(storable, rows):
        if not known[identity(row)]:
            missing.append(row)
            known[identity(row)] += 1 if key else 0
        elif not key:
            known[identity(row)] -= 1
    if missing:
        time = next(column.name for column in table.c if column.name.endswith("_at"))
        merged = list(heapq.merge(there, missing, key=lambda row: row[time]))
        saved = [{"saved": number} if "saved" in table.c else {} for number in range(1, len(merged) + 1)]
        connection.execute(table.delete().where(is_theirs))
        connection.execute(
            table.insert(), [{"learner": learner, **row, **number} for row, number in zip(merged, saved, strict=True)]
        )
    return len(missing)


def _stored_interview(row: sa.Row[Any], turns: Sequence[sa.Row[Any]]) -> StoredInterview:
    last = turns[-1].taken_at if turns else row.started_at
    return StoredInterview(
        id=row.interview_id,
        plan=row.plan,
        turns=tuple(turn.turn for turn in sorted(turns, key=lambda turn: turn.number)),
        started_at=datetime.fromisoformat(row.started_at),
        last_at=datetime.fromisoformat(last),
    )


def _stored_conversation(row: sa.Row[Any]) -> StoredConversation:
    return StoredConversation(row.conversation_id, row.title, tuple(row.turns), datetime.fromisoformat(row.updated_at))


def _no_interview(learner: str, interview_id: str) -> ProgressError:
    return ProgressError(
        f"{learner!r} has no interview {interview_id!r}: it was never begun, or deleted. Start a new one."
    )


def _no_conversation(learner: str, conversation_id: str) -> ProgressError:
    return ProgressError(f"{learner!r} has no conversation {conversation_id!r}: it was deleted. Reload the list.")


def stamp(moment: datetime) -> str:
    """A moment as it is kept: UTC, in seconds."""
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


def most_missed(reviews: Sequence[Review]) -> list[PointStanding]:
    """The key points that the learner left open most often and still does, most often missed first."""
    return _most_often(reviews, {"missing", "partial", "contradicted"})


def most_made(reviews: Sequence[Review]) -> list[PointStanding]:
    """The key points that the learner made when they were last judged, most often made first."""
    return _most_often(reviews, {"made"})


def _most_often(reviews: Sequence[Review], verdicts: Collection[str]) -> list[PointStanding]:
    """The key points whose last verdict is one of these, those that got one most often first."""
    times: dict[tuple[str, str], int] = {}
    latest: dict[tuple[str, str], PointStanding | None] = {}
    for review in reviews:
        if not review.topic:
            continue
        for verdict in review.grade.get("verdicts", ()):
            key = (review.question_id, str(verdict["key_point"]))
            if verdict["verdict"] not in verdicts:
                latest[key] = None
                continue
            # The attempt that a dispute is about was counted, unless the dispute changed what is counted.
            times[key] = max(times.get(key, 0) + (not review.is_dispute), 1)
            citation = verdict.get("citation") or {}
            latest[key] = PointStanding(
                key[1], review.topic, times[key], citation.get("document", ""), citation.get("heading", "")
            )
    points = [point for point in latest.values() if point is not None]
    return sorted(points, key=lambda point: -point.times)[:POINT_COUNT]

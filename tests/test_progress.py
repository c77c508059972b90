"""The history of what learners asked and attempted."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tutor.database import SCHEMA_VERSION, ProgressError
from tutor.progress import Exchange, ProgressStore, Review, most_made, most_missed, progress_by_topic
from tutor.tutor import Tutor

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REVIEW = Review("dropout-at-inference", "regularization", "It is off.", 0.5, {"score": 0.5, "verdicts": ["中文"]}, NOON)
EXCHANGE = Exchange("What is dropout?", {"answer": "Dropout zeroes activations. [1]", "answered": True}, NOON)
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tutor.progress import ProgressStore, Review

store = ProgressStore(Path(sys.argv[1]))
for number in range(25):
    store.record_review("ann", Review(f"{sys.argv[2]}-{number}", "cnn", "…", 1.0, {}, datetime.now(UTC)))
"""


@pytest.fixture
def store(tmp_path: Path) -> ProgressStore:
    return ProgressStore(tmp_path / "home" / "progress.db")


def test_what_was_recorded_comes_back_as_it_was_oldest_first(store: ProgressStore):
    second = replace(REVIEW, score=None, hints=2, reviewed_at=NOON + timedelta(days=1))
    store.record_review("ann", REVIEW)
    store.record_review("ann", second)
    store.record_exchange("ann", EXCHANGE)

    assert store.reviews("ann") == [REVIEW, second]
    assert store.exchanges("ann") == [EXCHANGE]


def test_history_outlives_the_store(tmp_path: Path):
    ProgressStore(tmp_path / "progress.db").record_review("ann", REVIEW)

    assert ProgressStore(tmp_path / "progress.db").reviews("ann") == [REVIEW]


def test_repeated_attempt_is_appended_not_replaced(store: ProgressStore):
    for _ in range(3):
        store.record_review("ann", REVIEW)

    assert store.reviews("ann") == [REVIEW] * 3


def test_learners_are_kept_apart(store: ProgressStore):
    store.record_review("ann", REVIEW)
    store.record_exchange("böb 学生'; --", EXCHANGE)

    assert store.reviews("böb 学生'; --") == []
    assert store.exchanges("böb 学生'; --") == [EXCHANGE]
    assert store.exchanges("ann") == []


def test_reading_a_history_that_never_began_creates_nothing(tmp_path: Path):
    store = ProgressStore(tmp_path / "home" / "progress.db")

    assert store.reviews("ann") == []
    assert not (tmp_path / "home").exists()


def test_moment_in_another_time_zone_is_the_same_moment(store: ProgressStore):
    shanghai = NOON.astimezone(timezone(timedelta(hours=8)))
    store.record_review("ann", replace(REVIEW, reviewed_at=shanghai))

    [review] = store.reviews("ann")
    assert review.reviewed_at == NOON
    assert review.reviewed_at.tzinfo == UTC


def test_threads_write_at_once(store: ProgressStore):
    def write(name: str) -> None:
        for _ in range(10):
            store.record_review(name, REVIEW)

    threads = [threading.Thread(target=write, args=(f"learner {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(store.reviews(f"learner {number}")) for number in range(4)] == [10] * 4


def test_processes_write_a_new_file_at_once(tmp_path: Path):
    file = tmp_path / "progress.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), name], stderr=subprocess.PIPE, text=True)
        for name in ("first", "second", "third")
    ]

    assert [writer.communicate(timeout=60)[1] for writer in writers] == [""] * 3
    assert len({review.question_id for review in ProgressStore(file).reviews("ann")}) == 75


def test_file_that_somebody_else_is_making_right_now_is_waited_for(tmp_path: Path) -> None:
    ProgressStore(tmp_path / "other.db").record_review("bob", REVIEW)
    with closing(sqlite3.connect(tmp_path / "other.db")) as made:
        # Begins and ends with a transaction, which is ours here.
        _, *statements, _ = made.iterdump()
    store = ProgressStore(tmp_path / "progress.db")
    other = sqlite3.connect(tmp_path / "progress.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for sql in (*statements, f"PRAGMA user_version = {SCHEMA_VERSION}"):
        other.execute(sql)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(store.record_review, "ann", REVIEW)
        time.sleep(0.3)

        other.execute("COMMIT")
        other.close()

        writing.result(timeout=10)
    assert store.reviews("ann") == store.reviews("bob") == [REVIEW]


def test_file_of_a_newer_version_is_left_alone(tmp_path: Path):
    file = tmp_path / "progress.db"
    ProgressStore(file).record_review("ann", REVIEW)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
    before = file.read_bytes()

    with pytest.raises(ProgressError, match=r"progress\.db' was written by a newer version \(schema 7, .*knows 2"):
        ProgressStore(file).reviews("ann")
    with pytest.raises(ProgressError, match="newer version"):
        ProgressStore(file).record_review("ann", REVIEW)
    assert file.read_bytes() == before


def test_locked_file_is_named_after_the_wait(tmp_path: Path):
    file = tmp_path / "progress.db"
    store = ProgressStore(file, wait_seconds=0.1)
    store.record_review("ann", REVIEW)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(ProgressError, match=r"progress\.db' cannot be used \(database is locked\)"):
        store.record_review("ann", REVIEW)

    other.execute("ROLLBACK")
    other.close()
    store.record_review("ann", REVIEW)
    assert len(store.reviews("ann")) == 2


@pytest.mark.parametrize(
    "damage",
    [b"this is no database, but long enough to look like a file of one" * 40, b"SQLite format 3\0" + b"\xff" * 4000],
)
def test_damaged_file_is_named(tmp_path: Path, damage: bytes):
    file = tmp_path / "progress.db"
    file.write_bytes(damage)

    with pytest.raises(ProgressError, match=r"progress\.db' cannot be used .*TUTOR_HOME"):
        ProgressStore(file).reviews("ann")
    with pytest.raises(ProgressError, match=r"progress\.db' cannot be used"):
        ProgressStore(file).record_review("ann", REVIEW)
    assert file.read_bytes() == damage


def test_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "home").write_text("a file where the folder should be")

    with pytest.raises(ProgressError, match=r"home/progress\.db' cannot be used"):
        ProgressStore(tmp_path / "home" / "progress.db").record_review("ann", REVIEW)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write to read-only files")
def test_read_only_history_can_be_read_but_not_added_to(tmp_path: Path):
    file = tmp_path / "progress.db"
    ProgressStore(file).record_review("ann", REVIEW)
    file.chmod(0o444)

    assert ProgressStore(file).reviews("ann") == [REVIEW]
    with pytest.raises(ProgressError, match=r"progress\.db' cannot be used .*Make the file writable"):
        ProgressStore(file).record_review("ann", REVIEW)


# How a learner stands


def review(question_id: str, topic: str, score: float | None, *, day: int = 0) -> Review:
    return Review(question_id, topic, "…", score, {}, NOON + timedelta(days=day))


def test_topic_stands_at_the_mean_of_the_latest_scores():
    [topic] = progress_by_topic(
        [
            review("dropout", "regularization", 0.2, day=0),
            review("weight-decay", "regularization", 0.5, day=1),
            review("dropout", "regularization", 0.8, day=2),
        ]
    )

    assert topic.topic == "regularization"
    assert topic.score == pytest.approx((0.8 + 0.5) / 2)
    assert (topic.attempted, topic.attempts) == (2, 3)
    assert topic.last == NOON + timedelta(days=2)


def test_weakest_topic_comes_first():
    reviews = [review("a", "vision", 0.9), review("b", "cuda", 0.1), review("c", "attention", 0.1)]

    assert [topic.topic for topic in progress_by_topic(reviews)] == ["attention", "cuda", "vision"]


def test_attempt_that_was_not_judged_changes_nothing():
    judged = [review("dropout", "regularization", 0.8)]

    assert progress_by_topic([*judged, review("dropout", "regularization", None, day=3)]) == progress_by_topic(judged)
    assert progress_by_topic([review("dropout", "regularization", None)]) == []


def test_nobody_has_no_progress():
    assert progress_by_topic([]) == []


def missed(question_id: str, **verdicts: str) -> Review:
    """A review in which these key points got these verdicts."""
    rows = [{"key_point": point, "verdict": verdict, "citation": None} for point, verdict in verdicts.items()]
    return Review(question_id, "regularization", "…", 0.5, {"verdicts": rows}, NOON)


def test_key_point_that_was_missed_most_often_comes_first() -> None:
    points = most_missed(
        [
            missed("dropout", zeroes="missing", off="partial", rescale="contradicted"),
            missed("dropout", zeroes="missing", off="missing", rescale="made"),
            missed("dropout", zeroes="missing"),
        ]
    )

    assert [(point.text, point.times) for point in points] == [("zeroes", 3), ("off", 2)]


def test_key_point_that_was_made_at_last_is_missed_no_more() -> None:
    assert most_missed([missed("dropout", off="missing"), missed("dropout", off="made")]) == []
    assert most_missed([missed("dropout", off="made", zeroes="unjudged")]) == []


def test_key_point_that_was_made_at_last_and_most_often_is_the_strongest() -> None:
    points = most_made(
        [
            missed("dropout", zeroes="made", off="made", rescale="made"),
            missed("dropout", zeroes="made", off="missing", rescale="missing"),
            missed("dropout", rescale="made"),
            missed("dropout", zeroes="made"),
        ]
    )

    assert [(point.text, point.times) for point in points] == [("zeroes", 3), ("rescale", 2)]


def test_key_point_that_only_a_dispute_made_was_made_once() -> None:
    disputed = {"key_point": "off", "verdict": "made", "citation": None, "dispute": {"argument": "…"}}
    after = Review("dropout", "regularization", "…", 1.0, {"verdicts": [disputed]}, NOON)

    assert [(point.text, point.times) for point in most_made([missed("dropout", off="missing"), after])] == [("off", 1)]
    assert [point.times for point in most_made([missed("dropout", off="made"), after])] == [1]


def test_missed_point_says_where_to_read_about_it(tutor: Tutor) -> None:
    tutor.grade(tutor.find_question("dropout-train-inference"), "I would rather talk about early stopping here.")

    point = tutor.most_missed()[0]

    assert point.text.startswith("Dropout")
    assert (point.document_id, point.heading_path, point.times) == ("regularization.md", "Dropout", 1)

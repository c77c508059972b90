"""Where histories are kept: SQLite and a real PostgreSQL alike, upgrades, and what is said when a database cannot be used."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from postgres_server import PASSWORD, PostgresServer, postgres_server

from tutor.database import SCHEMA_VERSION, TABLES, ProgressError, open_database
from tutor.progress import (
    Exchange,
    Feedback,
    ProgressStore,
    Review,
    StoredConversation,
    StoredInterview,
    TurnTakenError,
)
from tutor.settings import Settings, SettingsError, read_settings

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REVIEW = Review("dropout-at-inference", "regularization", "It is off.", 0.5, {"score": 0.5, "verdicts": ["中文"]}, NOON)
EXCHANGE = Exchange("What is dropout?", {"answer": "Dropout zeroes activations. [1]", "answered": True}, NOON)
THUMB = Feedback("down", "wrong section", "What is dropout?", {"answer": "Early stopping."}, NOON)
BEFORE_MIGRATIONS = """
CREATE TABLE exchanges (
    id INTEGER NOT NULL, learner VARCHAR NOT NULL, asked_at VARCHAR NOT NULL, question TEXT NOT NULL, answer JSON NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE reviews (
    id INTEGER NOT NULL, learner VARCHAR NOT NULL, reviewed_at VARCHAR NOT NULL, question_id VARCHAR NOT NULL,
    topic VARCHAR NOT NULL, score FLOAT, attempt TEXT NOT NULL, hints INTEGER NOT NULL, grade JSON NOT NULL,
    PRIMARY KEY (id)
);
INSERT INTO reviews VALUES
    (1,'ann','2026-03-01T12:00:00+00:00','dropout-at-inference','regularization',0.5,'It is off.',0,
    '{"score": 0.5, "verdicts": ["\\u4e2d\\u6587"]}'),
    (2,'böb','2026-03-02T12:00:00+00:00','dropout-at-inference','regularization',NULL,'…',1,'{}');
INSERT INTO exchanges VALUES
    (1,'ann','2026-03-01T12:00:00+00:00','What is dropout?','{"answer": "Dropout zeroes activations. [1]", "answered": true}');
CREATE INDEX ix_exchanges_learner ON exchanges (learner);
CREATE INDEX ix_reviews_question_id ON reviews (question_id);
CREATE INDEX ix_reviews_learner ON reviews (learner);
PRAGMA user_version = 1;
"""
"""What the first version, without migrations, wrote."""
KILLED = """
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tutor.progress import ProgressStore

store = ProgressStore(Path(sys.argv[1]))
store.start_interview("ann", "first", {}, datetime.now(UTC))
for number in count():
    store.append_turn("ann", "first", number, {"attempt": "running statistics " * 200}, datetime.now(UTC))
    print(number, flush=True)
"""
names = count()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProgressStore]:
    if request.param == "sqlite":
        yield ProgressStore(tmp_path / "home" / "progress.db", wait_seconds=5)
        return
    running: PostgresServer = request.getfixturevalue("server")
    store = ProgressStore(running.new_database(f"class {next(names)}"), wait_seconds=5)
    yield store
    store.close()


# The same in both databases


def test_everything_that_is_kept_comes_back_as_it_was(store: ProgressStore):
    store.record_review("ann", REVIEW)
    store.record_exchange("ann", EXCHANGE)
    store.record_feedback("ann", THUMB)

    assert store.reviews("ann") == [REVIEW]
    assert store.exchanges("ann") == [EXCHANGE]
    assert store.feedback("ann") == [replace(THUMB, learner="ann")]


def test_interview_comes_back_turn_by_turn(store: ProgressStore):
    store.start_interview("ann", "first", {"style": "deep dive"}, NOON)
    store.start_interview("ann", "second", {}, NOON)
    store.append_turn("ann", "first", 0, {"kind": "hint"}, NOON + timedelta(minutes=1))
    store.append_turn("ann", "second", 0, {"kind": "skip"}, NOON + timedelta(minutes=2))
    store.append_turn("ann", "first", 1, {"kind": "answer", "attempt": "中文"}, NOON + timedelta(minutes=3))

    first = StoredInterview(
        "first",
        {"style": "deep dive"},
        ({"kind": "hint"}, {"kind": "answer", "attempt": "中文"}),
        started_at=NOON,
        last_at=NOON + timedelta(minutes=3),
    )
    assert store.stored_interview("ann", "first") == first
    assert [interview.id for interview in store.interviews("ann")] == ["first", "second"]
    assert store.interviews("ann")[0] == first
    assert store.interviews("bob") == []


def test_second_tab_cannot_take_the_same_turn(store: ProgressStore):
    store.start_interview("ann", "first", {}, NOON)
    store.append_turn("ann", "first", 0, {"tab": 1}, NOON, review=REVIEW)

    with pytest.raises(TurnTakenError, match=r"Turn 0 of this interview was taken already.*Reload"):
        store.append_turn("ann", "first", 0, {"tab": 2}, NOON, review=replace(REVIEW, attempt="of the other tab"))

    assert store.stored_interview("ann", "first").turns == ({"tab": 1},)
    assert store.reviews("ann") == [REVIEW]


def test_of_many_tabs_at_once_exactly_one_takes_the_turn(store: ProgressStore):
    store.start_interview("ann", "first", {}, NOON)

    def take(tab: int) -> bool:
        try:
            store.append_turn("ann", "first", 0, {"tab": tab}, NOON)
        except TurnTakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(8)))

    assert sum(taken) == 1
    assert store.stored_interview("ann", "first").turns == ({"tab": taken.index(True)},)


def test_turn_of_an_interview_that_was_never_begun_is_refused(store: ProgressStore):
    store.start_interview("ann", "first", {}, NOON)

    with pytest.raises(ProgressError, match=r"'bob' has no interview 'first'.*Start a new one"):
        store.append_turn("bob", "first", 0, {}, NOON)
    with pytest.raises(ProgressError, match=r"'ann' has no interview 'second'"):
        store.stored_interview("ann", "second")
    with pytest.raises(ProgressError, match="has that already"):
        store.start_interview("ann", "first", {"another": "plan"}, NOON)
    assert store.interviews("bob") == []
    assert store.stored_interview("ann", "first").plan == {}


def test_order_is_that_of_writing_whatever_the_clock_did(store: ProgressStore):
    store.record_review("ann", REVIEW)
    store.record_review("ann", replace(REVIEW, reviewed_at=NOON - timedelta(days=400)))
    store.save_conversation("ann", "earlier", "Dropout", [], NOON)
    store.save_conversation("ann", "later", "BatchNorm", [], NOON - timedelta(days=400))
    store.start_interview("ann", "first", {}, NOON)
    store.append_turn("ann", "first", 0, {"n": 0}, NOON)
    store.append_turn("ann", "first", 1, {"n": 1}, NOON - timedelta(days=400))

    assert [review.reviewed_at for review in store.reviews("ann")] == [NOON, NOON - timedelta(days=400)]
    assert [conversation.id for conversation in store.conversations("ann")] == ["later", "earlier"]
    assert store.stored_interview("ann", "first").turns == ({"n": 0}, {"n": 1})


def test_conversation_is_saved_anew_renamed_and_deleted(store: ProgressStore):
    store.save_conversation("ann", "a", "What is dropout?", [{"question": "What is dropout?"}], NOON)
    store.save_conversation("ann", "b", "BatchNorm", [], NOON)
    store.rename_conversation("ann", "a", "Before the interview")
    turns = ({"question": "What is dropout?"}, {"question": "and BatchNorm?"})
    store.save_conversation("ann", "a", "What is dropout?", turns, NOON + timedelta(minutes=5))

    newest = StoredConversation("a", "Before the interview", turns, NOON + timedelta(minutes=5))
    assert store.conversations("ann")[0] == newest
    assert [conversation.id for conversation in store.conversations("ann")] == ["a", "b"]

    store.delete_conversation("ann", "a")
    assert [conversation.id for conversation in store.conversations("ann")] == ["b"]
    for touch in (lambda: store.delete_conversation("ann", "a"), lambda: store.rename_conversation("bob", "b", "mine")):
        with pytest.raises(ProgressError, match=r"has no conversation.*Reload"):
            touch()
    assert store.conversations("ann")[0].title == "BatchNorm"


def test_teacher_sees_everybodys_thumbs(store: ProgressStore):
    store.record_feedback("ann", THUMB)
    store.record_feedback("bob", replace(THUMB, kind="up", reason=""))

    assert [(thumb.learner, thumb.kind) for thumb in store.feedback()] == [("ann", "down"), ("bob", "up")]
    assert [thumb.learner for thumb in store.feedback("bob")] == ["bob"]


def test_deleting_a_learner_takes_everything_of_theirs_and_nothing_else(store: ProgressStore):
    for name in ("ann", "bob"):
        store.record_review(name, REVIEW)
        store.record_review(name, REVIEW)
        store.record_exchange(name, EXCHANGE)
        store.record_feedback(name, THUMB)
        store.start_interview(name, "first", {}, NOON)
        store.append_turn(name, "first", 0, {}, NOON)
        store.save_conversation(name, "a", "Dropout", [], NOON)

    removed = store.delete_learner("ann")

    assert removed == {
        "reviews": 2,
        "exchanges": 1,
        "feedback": 1,
        "interviews": 1,
        "turns": 1,
        "conversations": 1,
    }
    assert not any((store.reviews("ann"), store.exchanges("ann"), store.interviews("ann"), store.conversations("ann")))
    assert [thumb.learner for thumb in store.feedback()] == ["bob"]
    assert store.stored_interview("bob", "first").turns == ({},)
    assert len(store.reviews("bob")) == 2
    assert set(store.delete_learner("ann").values()) == {0}


def test_history_of_one_learner_is_merged_into_that_of_another(store: ProgressStore):
    store.record_review("ann", REVIEW)
    store.start_interview("ann", "first", {}, NOON)
    store.append_turn("ann", "first", 0, {"kind": "hint"}, NOON)
    store.save_conversation("ann", "a", "Dropout", [], NOON)
    store.record_review("bob", replace(REVIEW, reviewed_at=NOON + timedelta(days=1)))

    added = store.merge_history("bob", store.history("ann"))

    assert added == {
        "reviews": 1, "exchanges": 0, "feedback": 0, "interviews": 1, "turns": 1, "conversations": 1,
    }  # fmt: skip
    assert [review.reviewed_at for review in store.reviews("bob")] == [NOON, NOON + timedelta(days=1)]
    assert store.interviews("bob") == store.interviews("ann")
    assert store.conversations("bob") == store.conversations("ann")
    assert not any(store.merge_history("bob", store.history("ann")).values())


def test_several_records_are_kept_together_or_not_at_all(store: ProgressStore):
    store.record_review("ann", REVIEW)

    def append_three() -> None:
        with store.appending("ann") as appending:
            appending.review(REVIEW)
            appending.interview("first", {}, NOON)
            appending.turn("second", 0, {}, NOON)

    with pytest.raises(ProgressError, match="no interview 'second'"):
        append_three()

    assert store.reviews("ann") == [REVIEW]
    assert store.interviews("ann") == []


def test_binary_answer_is_kept_with_what_cannot_be_stored_marked(store: ProgressStore):
    odd = replace(REVIEW, attempt="a\x00b\ud800c", grade={"evidence\x00": ["\udfff", 1, None, "\\u0000"]})

    store.record_review("ann\x00", odd)

    [kept] = store.reviews("ann\x00")
    assert kept.attempt == "a\ufffdb\ufffdc"
    assert kept.grade == {"evidence\ufffd": ["\ufffd", 1, None, "\\u0000"]}


def test_threads_append_at_once_and_nothing_is_lost(store: ProgressStore):
    store.start_interview("ann", "first", {}, NOON)

    def append(number: int) -> None:
        store.append_turn("ann", "first", number, {"number": number}, NOON)
        store.record_review("ann", replace(REVIEW, question_id=str(number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(64)))

    assert store.stored_interview("ann", "first").turns == tuple({"number": number} for number in range(64))
    assert {review.question_id for review in store.reviews("ann")} == set(map(str, range(64)))


def test_many_begin_a_new_database_at_once(store: ProgressStore):
    stores = [ProgressStore(store.place, wait_seconds=20) for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: one.record_review("ann", REVIEW), stores))

    assert store.reviews("ann") == [REVIEW] * 6
    for one in stores:
        one.close()


def test_migrations_make_the_tables_that_the_code_writes_to(store: ProgressStore):
    store.record_review("ann", REVIEW)

    with closing(open_database(store.place)) as database, database.reading() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, TABLES[0].metadata)
        version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()

    assert differences == []
    assert set(TABLES) == set(TABLES[0].metadata.tables.values())
    assert int(version) == SCHEMA_VERSION


# Killed, upgraded


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_process_that_is_killed_in_the_middle_loses_no_turn(tmp_path: Path):
    file = tmp_path / "progress.db"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(20)]
        writer.send_signal(signal.SIGKILL)

    store = ProgressStore(file)
    turns = store.stored_interview("ann", "first").turns
    assert len(turns) >= len(said) == 20
    store.append_turn("ann", "first", len(turns), {"attempt": "goes on"}, NOON)
    assert len(store.stored_interview("ann", "first").turns) == len(turns) + 1


def make_old_file(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(BEFORE_MIGRATIONS)


def test_history_of_the_first_version_is_upgraded_and_nothing_is_lost(tmp_path: Path):
    file = tmp_path / "progress.db"
    make_old_file(file)
    store = ProgressStore(file)

    assert store.reviews("ann") == [REVIEW]
    assert store.exchanges("ann") == [EXCHANGE]
    [unjudged] = store.reviews("böb")
    assert (unjudged.score, unjudged.hints) == (None, 1)

    store.start_interview("ann", "first", {}, NOON)
    store.record_review("ann", REVIEW)
    assert ProgressStore(file).reviews("ann") == [REVIEW, REVIEW]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_upgrade_that_cannot_be_finished_leaves_the_old_history_as_it_was(tmp_path: Path):
    file = tmp_path / "progress.db"
    make_old_file(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE feedback (somebody_elses TEXT)")
        before = list(connection.iterdump())

    with pytest.raises(ProgressError, match=r"progress\.db' cannot be used \(table feedback already exists\)"):
        ProgressStore(file).reviews("ann")

    with closing(sqlite3.connect(file)) as connection:
        assert list(connection.iterdump()) == before
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_version_of_a_newer_program_is_left_alone(store: ProgressStore):
    store.record_review("ann", REVIEW)
    with closing(open_database(store.place)) as database, database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0009'"))

    newer = ProgressStore(store.place)
    with pytest.raises(ProgressError, match=r"written by a newer version \(schema 9, this one knows \d+\)\. Update"):
        newer.reviews("ann")
    with pytest.raises(ProgressError, match="newer version"):
        newer.record_review("ann", REVIEW)


def test_every_step_has_the_next_number():
    steps = sorted((Path(__file__).parent.parent / "tutor" / "migrations").glob("[0-9]*.py"))

    assert [int(step.name[:4]) for step in steps] == list(range(1, SCHEMA_VERSION + 1))


# What cannot be used


def test_deleted_history_is_overwritten_in_the_file(tmp_path: Path):
    file = tmp_path / "progress.db"
    store = ProgressStore(file)
    store.record_review("ann", replace(REVIEW, attempt="a secret that ann typed"))
    assert b"a secret that ann typed" in file.read_bytes()

    store.delete_learner("ann")

    assert b"a secret that ann typed" not in file.read_bytes()


def test_history_that_never_began_has_nothing_to_delete(tmp_path: Path):
    assert set(ProgressStore(tmp_path / "home" / "progress.db").delete_learner("ann").values()) == {0}
    assert not (tmp_path / "home").exists()


def test_sqlite_file_can_be_named_by_a_url(tmp_path: Path):
    ProgressStore(f"sqlite:///{tmp_path / 'elsewhere.db'}").record_review("ann", REVIEW)

    assert ProgressStore(tmp_path / "elsewhere.db").reviews("ann") == [REVIEW]


def test_many_threads_do_not_wait_for_a_locked_file_one_after_the_other(tmp_path: Path):
    store = ProgressStore(tmp_path / "progress.db", wait_seconds=0.3)
    store.record_review("ann", REVIEW)
    other = sqlite3.connect(tmp_path / "progress.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    def refused(_: int) -> str:
        with pytest.raises(ProgressError) as failure:
            store.record_review("ann", REVIEW)
        return str(failure.value)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(refused, range(8)))

    other.execute("ROLLBACK")
    other.close()
    assert all("cannot be used (database is locked). Make the file writable" in message for message in said)
    assert store.reviews("ann") == [REVIEW]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://tutor:s3cret@host/db",
        "postgresql+psycopg2://tutor:s3cret@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "s3cret",
        "postgresql://tutor:s3cret@host:port/db",
    ],
)
def test_url_of_no_database_that_we_know_is_refused_without_its_password(url: str):
    with pytest.raises(ProgressError, match=r"TUTOR_DATABASE_URL .*Expected postgresql://") as failure:
        ProgressStore(url).reviews("ann")

    assert "s3cret" not in "".join(traceback.format_exception(failure.value))


def test_server_that_cannot_be_reached_is_named_without_the_password():
    store = ProgressStore("postgresql://tutor:s3cret@127.0.0.1:1/class", wait_seconds=2)

    with pytest.raises(
        ProgressError, match=r"'127\.0\.0\.1:1/class' cannot be used .*Check that the server runs"
    ) as failure:
        store.record_review("ann", REVIEW)
    assert "s3cret" not in "".join(traceback.format_exception(failure.value))


def test_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ProgressError, match=r"needs psycopg.*pip install 'interview-tutor\[postgres\]'"):
        ProgressStore("postgresql://tutor@127.0.0.1:1/class").reviews("ann")


@pytest.mark.postgres
def test_wrong_password_and_missing_database_are_told_without_the_password(server: PostgresServer):
    for url in (server.url(password="s3cret"), server.url("nowhere"), f"{server.url()}?password=s3cret"):
        with pytest.raises(ProgressError, match=r"cannot be used .*TUTOR_DATABASE_URL") as failure:
            ProgressStore(url).reviews("ann")
        said = "".join(traceback.format_exception(failure.value))
        assert "s3cret" not in said
        assert PASSWORD not in said
        assert "c%40rrot" not in said


@pytest.mark.postgres
def test_server_that_was_started_anew_is_found_again(server: PostgresServer):
    store = ProgressStore(server.new_database("restarted"), wait_seconds=5)
    store.record_review("ann", REVIEW)
    server.stop()
    with pytest.raises(ProgressError, match="cannot be used"):
        store.record_review("ann", REVIEW)
    server.start()

    store.record_review("ann", REVIEW)

    assert store.reviews("ann") == [REVIEW, REVIEW]
    store.close()


@pytest.mark.postgres
def test_table_that_somebody_has_locked_is_named_after_the_wait(server: PostgresServer):
    import psycopg

    url = server.new_database("locked")
    store = ProgressStore(url, wait_seconds=0.2)
    store.record_review("ann", REVIEW)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE reviews IN EXCLUSIVE MODE")
        with pytest.raises(ProgressError, match=r"/locked' cannot be used \(.*lock timeout"):
            store.record_review("ann", REVIEW)

    store.record_review("ann", REVIEW)
    assert len(store.reviews("ann")) == 2
    store.close()


@pytest.mark.postgres
def test_read_only_server_can_be_read_but_not_written_to(server: PostgresServer):
    import psycopg

    url = server.new_database("reading")
    with closing(ProgressStore(url)) as first:
        first.record_review("ann", REVIEW)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("ALTER DATABASE reading SET default_transaction_read_only = on")

    store = ProgressStore(url)
    assert store.reviews("ann") == [REVIEW]
    with pytest.raises(ProgressError, match="read-only transaction"):
        store.record_review("ann", REVIEW)
    store.close()


# The setting


def test_history_is_in_the_home_folder_unless_a_url_is_set(home: Path, monkeypatch: pytest.MonkeyPatch):
    assert read_settings().database == home / "progress.db"
    monkeypatch.setenv("TUTOR_DATABASE_URL", "postgresql://tutor:s3cret@host/class")

    settings = read_settings()

    assert settings.database == "postgresql://tutor:s3cret@host/class"
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.model_dump())


def test_password_is_not_told_when_the_setting_is_wrong(home: Path):
    home.mkdir()
    (home / "settings.toml").write_text("database_url = 31337\n")

    with pytest.raises(SettingsError, match="database_url") as failure:
        read_settings()
    assert "31337" not in str(failure.value)
    assert "database_url" in Settings.model_fields

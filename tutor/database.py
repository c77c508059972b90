"""Where histories are kept: tables, connections, migrations, clear errors. SQLite by default, PostgreSQL for a class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

SCHEMA_VERSION = 2
"""Number of the newest file in tutor/migrations."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 7_240_621
"""Key of the PostgreSQL lock that one process holds while it makes the tables; any number that nobody else uses."""
_ONE_MIGRATION = Lock()
"""Alembic's operations belong to the whole process."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What PostgreSQL or UTF-8 has no place for: NUL, and halves of a surrogate pair."""


class ProgressError(RuntimeError):
    """The history cannot be read or written; the message says why and what to do."""


class DuplicateError(ProgressError):
    """What is to be appended is there already."""


class _Name(sa.TypeDecorator[str]):
    """Text that any database takes: what cannot be stored is replaced by U+FFFD."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ANN401, ARG002 - as SQLAlchemy has it
        return storable(value)


class _Text(sa.TypeDecorator[str]):
    """The same at length."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ANN401, ARG002 - as SQLAlchemy has it
        return storable(value)


class _Json(sa.TypeDecorator[Any]):
    """JSON of such text."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ANN401, ARG002 - as SQLAlchemy has it
        return storable(value)


_metadata = sa.MetaData()


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    """A table of a learner's records; the ids say in which order they were written, whatever the clock did."""
    learner = sa.Column("learner", _Name, nullable=False, index=True)
    return sa.Table(name, _metadata, sa.Column("id", sa.Integer, primary_key=True), learner, *columns)


exchanges = _table(
    "exchanges",
    sa.Column("asked_at", sa.String, nullable=False),
    sa.Column("question", _Text, nullable=False),
    sa.Column("answer", _Json, nullable=False),
)
reviews = _table(
    "reviews",
    sa.Column("reviewed_at", sa.String, nullable=False),
    sa.Column("question_id", _Name, nullable=False, index=True),
    sa.Column("topic", _Name, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("attempt", _Text, nullable=False),
    sa.Column("hints", sa.Integer, nullable=False),
    sa.Column("grade", _Json, nullable=False),
)
interviews = _table(
    "interviews",
    sa.Column("interview_id", _Name, nullable=False),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("plan", _Json, nullable=False),
    sa.UniqueConstraint("learner", "interview_id", name="one_interview"),
)
turns = _table(
    "turns",
    sa.Column("interview_id", _Name, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("taken_at", sa.String, nullable=False),
    sa.Column("turn", _Json, nullable=False),
    sa.UniqueConstraint("learner", "interview_id", "number", name="one_turn"),
)
conversations = _table(
    "conversations",
    sa.Column("conversation_id", _Name, nullable=False),
    sa.Column("title", _Text, nullable=False),
    sa.Column("turns", _Json, nullable=False),
    sa.Column("updated_at", sa.String, nullable=False),
    # Counts the learner's saves, so that the newest is known whatever the clock did.
    sa.Column("saved", sa.Integer, nullable=False),
    sa.UniqueConstraint("learner", "conversation_id", name="one_conversation"),
)
feedback = _table(
    "feedback",
    sa.Column("given_at", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("reason", _Text, nullable=False),
    sa.Column("question", _Text, nullable=False),
    sa.Column("answer", _Json, nullable=False),
)
TABLES = (reviews, exchanges, turns, interviews, conversations, feedback)
"""In the order in which they are read: turns before interviews, so that none is without its interview."""


class Database:
    """One SQLite file, or one database of a PostgreSQL server. Threads and processes may share it.

    Nothing is opened before the first use. Raises ProgressError where it cannot be used.
    """

    def __init__(self, url: sa.URL, *, wait_seconds: float) -> None:
        """`wait_seconds` is the longest wait for others who are writing, or for the server."""
        self._url = url
        self._wait_seconds = wait_seconds
        self._writing = Lock()

    @property
    def is_begun(self) -> bool:
        """Whether there may be something to read. Reading a history that never began shall create no file."""
        return self._file is None or self._file.exists()

    @contextmanager
    def writing(self, *, rewriting: bool = False) -> Iterator[sa.Connection]:
        """A transaction: all of it is kept once the block ends, or nothing.

        `rewriting` what was written: nobody else writes meanwhile, and what is deleted is overwritten in the file. Raises DuplicateError
        where a row exists that must be the only one.
        """
        with self._clear_errors(), self._in_turn(), self._engine.begin() as connection:
            if rewriting and self._file is not None:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            self._take_turns(connection)
            if rewriting and self._file is None:
                names = ", ".join(table.name for table in TABLES)
                connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with."""
        with self._clear_errors(), self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the connections that are kept open."""
        if "_engine" in vars(self):
            self._engine.dispose()

    @property
    def _file(self) -> Path | None:
        return Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None

    @cached_property
    def _engine(self) -> sa.Engine:
        settings: dict[str, Any]
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # SQLite's own journal, not its write-ahead log: the history stays one file that can be copied or be read-only.
            settings = {"poolclass": sa.NullPool, "connect_args": {"timeout": self._wait_seconds}}
        else:
            # A server may have been started anew since the last connection.
            settings = {"pool_pre_ping": True, "connect_args": {"connect_timeout": max(2, round(self._wait_seconds))}}
        try:
            engine = sa.create_engine(self._url, json_serializer=_as_json, **settings)
        except ModuleNotFoundError as error:
            raise ProgressError(
                "A history in PostgreSQL needs psycopg. Install it: pip install 'interview-tutor[postgres]'"
            ) from error
        try:
            with engine.connect() as connection:
                self._check_version(connection)
                is_current = _version(connection) == SCHEMA_VERSION
            if not is_current:
                with engine.begin() as connection:
                    self._migrate(connection)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _check_version(self, connection: sa.Connection) -> None:
        version = _version(connection)
        if version > SCHEMA_VERSION:
            raise ProgressError(
                f"{self._name} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION}). "
                "Update interview-tutor."
            )

    def _migrate(self, connection: sa.Connection) -> None:
        """Bring the tables up to date, in one transaction: an upgrade that is cut off has not begun."""
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        # The lock is taken before anybody looks: two processes may make the same tables at once.
        self._take_turns(connection)
        if self._file is None:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        self._check_version(connection)
        scripts = ScriptDirectory(_MIGRATIONS, version_locations=[_MIGRATIONS])
        context = MigrationContext.configure(
            connection, opts={"fn": lambda heads, _context: scripts._upgrade_revs("head", heads)}
        )
        if _version(connection) == 1 and not context.get_current_heads():
            # Made before there were migrations: its tables are those of the first.
            context.stamp(scripts, "0001")
        with _ONE_MIGRATION, Operations.context(context):
            context.run_migrations()
        if self._file is not None:
            # Versions that knew no migrations look here, and leave a newer file alone.
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _take_turns(self, connection: sa.Connection) -> None:
        """Wait for the others who are writing, for as long as was said."""
        if self._file is not None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(self._wait_seconds * 1000)}")

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the threads of this process write one after the other.

        SQLite lets in whoever asks at the right moment, so that of many one would wait for ever. A server keeps order itself.
        """
        if self._file is None:
            yield
            return
        if not self._writing.acquire(timeout=self._wait_seconds):
            raise self._unusable("database is locked")
        try:
            yield
        finally:
            self._writing.release()

    @property
    def _name(self) -> str:
        """What messages call it; without name and password."""
        if self._file is not None:
            return repr(str(self._file))
        return repr(
            f"{self._url.host or ''}{f':{self._url.port}' if self._url.port else ''}/{self._url.database or ''}"
        )

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise DuplicateError(f"The history in {self._name} has that already ({self._cause(error)}).") from None
        except (SQLAlchemyError, OSError, json.JSONDecodeError) as error:
            # The original could hold the password.
            raise self._unusable(self._cause(error)) from None

    def _unusable(self, cause: str) -> ProgressError:
        hint = (
            "Check that the server runs, and the address, name and password in TUTOR_DATABASE_URL."
            if self._file is None
            else "Make the file writable, close what else uses it, or set TUTOR_HOME to another folder."
        )
        return ProgressError(f"The history in {self._name} cannot be used ({cause}). {hint}")

    def _cause(self, error: Exception) -> str:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in (self._url.password, *self._url.normalized_query.get("password", ())):
            said = said.replace(secret, "***") if secret else said
        return said


def open_database(place: Path | str, *, wait_seconds: float = 30) -> Database:
    """The database in a file or at a URL. Raises ProgressError for a URL that is none of SQLite or PostgreSQL."""
    expected = "Expected postgresql://name:password@host/database (signs such as @ or / in a password as %40, %2F), or sqlite:///file"
    if isinstance(place, Path):
        return Database(sa.URL.create("sqlite", database=str(place)), wait_seconds=wait_seconds)
    try:
        url = sa.make_url(place)
    except (ArgumentError, ValueError):
        # The original could hold the password.
        raise ProgressError(f"TUTOR_DATABASE_URL is not the URL of a database. {expected}.") from None
    match url.drivername:
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return Database(url.set(drivername="postgresql+psycopg"), wait_seconds=wait_seconds)
        case "sqlite" if url.database and url.database != ":memory:":
            return Database(url, wait_seconds=wait_seconds)
        case scheme:
            raise ProgressError(f"TUTOR_DATABASE_URL names no database that can be used: {scheme!r}. {expected}.")


def storable(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The value as every database can keep it: the characters that some cannot are replaced by U+FFFD."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {storable(name): storable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _version(connection: sa.Connection) -> int:
    """The number of the last migration that was run; 0 for a database without our tables."""
    versions = [0]
    if connection.dialect.name == "sqlite":
        versions.append(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if sa.inspect(connection).has_table("alembic_version"):
        versions += map(int, connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
    return max(versions)

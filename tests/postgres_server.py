"""A real PostgreSQL server for the tests that need one: made for the run, on a free port of the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "c@rrot/cake"
"""With signs that a URL must write otherwise."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server with one account that may do everything."""

    port: int
    programs: Path
    folder: Path

    def url(self, database: str = "postgres", *, password: str = "c%40rrot%2Fcake") -> str:
        return f"postgresql://tutor:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        """An empty database of that name, and its URL."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def stop(self) -> None:
        _run(self.programs / "pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        log = str(self.folder / "log")
        _run(self.programs / "pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "start")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Skips the test, with the reason, where there is no server or it may not be run."""
    pytest.importorskip("psycopg")
    initdb = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if initdb is None or os.name != "posix":
        pytest.skip("there is no PostgreSQL server (initdb) on the path")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not pytest's own folder: that is closed to the account that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="tutor-postgres-"))
    server = PostgresServer(port, Path(initdb).parent, folder)
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "nobody")
        options = (
            "-U",
            "tutor",
            "-A",
            "scram-sha-256",
            f"--pwfile={folder / 'password'}",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        )
        _run(Path(initdb), "-D", str(folder / "data"), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: Path, *arguments: str) -> None:
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    done = subprocess.run(
        [program, *arguments], user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{program.name} does not run here: {done.stderr.strip() or done.returncode}")

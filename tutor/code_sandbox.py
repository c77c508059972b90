"""A learner's code run against a question's tests, in another process and with limits; never in ours."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

Status = Literal["passed", "failed", "error", "timeout", "not run"]
_PROGRAM = Path(__file__).with_name("sandboxed.py")
_START_SECONDS = 120.0
"""For loading NumPy or PyTorch, which is not the learner's time."""
_MAX_REPLY_BYTES = 1_000_000
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_FIRST_LINE = re.compile(
    r"^(?:(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(|class[ \t]+\w+[ \t]*[:(]|import[ \t]+\w+|from[ \t]+[\w.]+[ \t]+import|@\w)",
    re.M,
)


@dataclass(frozen=True)
class TestOutcome:
    """What became of one test."""

    __test__ = False

    source: str
    status: Status
    message: str = ""
    line: int | None = None
    """Line of the learner's code at which it stopped."""


@dataclass(frozen=True)
class CodeReport:
    """What became of a learner's code."""

    outcomes: tuple[TestOutcome, ...] = ()
    problem: str = ""
    """Why the tests did not run, or not to the end."""
    refused: tuple[str, ...] = ()
    """What the code tried to do and may not, such as "use the network"."""
    printed: str = ""
    is_run: bool = True
    """Whether the code was run at all."""
    is_limited_away: bool = False
    """Whether it was not run because of this system, not because of the code; then it cannot be judged."""

    @property
    def passed(self) -> int:
        """How many tests hold."""
        return sum(outcome.status == "passed" for outcome in self.outcomes)

    @property
    def is_right(self) -> bool:
        """Whether the code did all that the tests ask for, and nothing that it may not."""
        return bool(self.outcomes) and self.passed == len(self.outcomes) and not self.refused and not self.problem

    @property
    def summary(self) -> str:
        """What the learner reads."""
        parts = [f"{self.passed} of {len(self.outcomes)} tests pass."] if self.is_run and self.outcomes else []
        parts += [self.problem] if self.problem else []
        parts += [f"The code tried to {what}, which is refused." for what in self.refused]
        bad = next((outcome for outcome in self.outcomes if outcome.status in {"failed", "error", "timeout"}), None)
        if bad is not None and not self.problem:
            where = f" (line {bad.line} of your code)" if bad.line else ""
            verb = {"failed": "This does not hold", "error": "This stops with an error", "timeout": "This never ends"}
            parts.append(f"{verb[bad.status]}{where}: {bad.source} {bad.message}".strip())
        return " ".join(parts)


@dataclass(frozen=True)
class _Code:
    text: str
    first: int | None = None
    """Where the code begins, in text without fences; what stands before and after may be prose."""


def has_code(attempt: str) -> bool:
    """Whether an attempt holds Python at all."""
    return _code_in(attempt) is not None


def run_code(attempt: str, tests: str, *, seconds: float, memory_bytes: int, allow_weaker: bool = False) -> CodeReport:
    """Run the code of an attempt, fenced or bare, and then each statement of the tests.

    `seconds` is for answer and tests together, loading NumPy or PyTorch apart; `memory_bytes` comes on top of what they take. On a
    system that cannot enforce the limits (anything but Linux on x86-64 or ARM) nothing is run unless `allow_weaker`.
    """
    code = _code_in(attempt)
    if code is None:
        return CodeReport(
            problem="There is no code in the answer. Write the function, best as a block of code.", is_run=False
        )
    names = _tests_of(tests)
    secret = secrets.token_hex(16)
    job = {
        "secret": secret,
        "answer": code.text,
        "first": code.first,
        "tests": tests,
        "seconds": seconds,
        "memory_bytes": memory_bytes,
        "allow_weaker": allow_weaker,
    }
    with (
        tempfile.TemporaryDirectory(prefix="tutor-code-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as file,
    ):
        file.write(json.dumps(job).encode("utf-8", "replace"))
        file.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-I", "-X", "utf8", str(_PROGRAM)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
        try:
            events, ended = _listen(process, secret, seconds)
        finally:
            _end(process)
    return _report(events, names, ended, seconds)


def _code_in(attempt: str) -> _Code | None:
    fences = [match[3] for match in _FENCE.finditer(attempt) if match[2].lower() in {"", "python", "py", "python3"}]
    if fences:
        return _Code("\n".join(fences))
    first = _FIRST_LINE.search(attempt)
    return _Code(attempt, first.start()) if first else None


@dataclass(frozen=True)
class _Test:
    source: str
    is_check: bool


def _tests_of(tests: str) -> list[_Test]:
    """The statements of the tests, which our own authors wrote; those that assert nothing prepare the others."""
    return [
        _Test(
            ast.unparse(statement),
            any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(statement))
            and not isinstance(statement, ast.FunctionDef),
        )
        for statement in ast.parse(tests).body
    ]


def called_by_tests(model_answer: str, tests: str) -> str:
    """The functions and classes that the tests call, as the model answer heads them, without their bodies; empty where there are none.

    Who does not know these names cannot pass the tests, however right the code is.
    """
    code = _code_in(model_answer)
    if code is None or not tests.strip():
        return ""
    used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Attribute)}
    called = [
        node
        for node in ast.parse(code.text).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in used
    ]
    return "\n\n".join(ast.unparse(_headed(node, attributes)) for node in called)


def _headed(node: ast.FunctionDef | ast.ClassDef, attributes: Collection[str]) -> ast.FunctionDef | ast.ClassDef:
    """A definition without its body; of a class the methods and fields that are asked for, and how it is made and called."""
    body: list[ast.stmt] = [ast.Expr(ast.Constant(...))]
    if isinstance(node, ast.FunctionDef):
        return ast.FunctionDef(node.name, node.args, body, [], node.returns, lineno=1)
    members: list[ast.stmt] = []
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name in {"__init__", "__call__", "forward", *attributes}:
            properties = [one for one in member.decorator_list if ast.unparse(one) in {"property", "staticmethod"}]
            members.append(ast.FunctionDef(member.name, member.args, body, properties, member.returns, lineno=1))
        elif isinstance(member, ast.AnnAssign) and ast.unparse(member.target) in attributes:
            members.append(member)
    return ast.ClassDef(node.name, node.bases, node.keywords, members or body, [])


def _environment(folder: str) -> dict[str, str]:
    # One thread each: the limits leave no room for a pool. Windows cannot start Python without its own folder.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    system = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return {"HOME": folder, "TMPDIR": folder, "CUDA_VISIBLE_DEVICES": "", **threads, **system}


_End = Literal["whole", "timeout", "flood", "died"]


def _listen(process: subprocess.Popen[bytes], secret: str, seconds: float) -> tuple[list[dict[str, Any]], _End]:
    """The lines of the process until it ends or its time is up."""
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    events: list[dict[str, Any]] = []
    deadline, size = time.monotonic() + _START_SECONDS, 0
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return events, "timeout"
        if line is None:
            return events, "died"
        size += len(line)
        if size > _MAX_REPLY_BYTES:
            return events, "flood"
        event = _event(line, secret)
        if event is None:
            continue
        events.append(event)
        if event["event"] == "ready":
            deadline = time.monotonic() + seconds
        elif event["event"] in {"done", "unlimited"}:
            return events, "whole"


def _read(stream: IO[bytes] | None, lines: queue.Queue[bytes | None]) -> None:
    size = 0
    # A closed pipe is the end as well.
    with contextlib.suppress(OSError, ValueError):
        while stream and size <= _MAX_REPLY_BYTES and (line := stream.readline(_MAX_REPLY_BYTES)):
            size += len(line)
            lines.put(line)
    lines.put(None)


def _event(line: bytes, secret: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.get("secret") == secret else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of the process behind, whatever it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _report(events: Sequence[dict[str, Any]], tests: Sequence[_Test], ended: _End, seconds: float) -> CodeReport:
    by_name = {event["event"]: event for event in events}
    done = by_name.get("done", {})
    refused, printed = tuple(done.get("refused", ())), str(done.get("printed", ""))
    checks = [index for index, test in enumerate(tests) if test.is_check]
    unrun = tuple(TestOutcome(tests[index].source, "not run") for index in checks)
    if "unlimited" in by_name:
        what = ", ".join(by_name["unlimited"]["missing"])
        problem = f"This system cannot limit {what} for the code, so it was not run. TUTOR_RUN_CODE=anywhere runs it all the same."
        return CodeReport(problem=problem, is_run=False, is_limited_away=True)
    if "ready" not in by_name:
        problem = (
            "The process that runs code did not start, so the code was not judged. TUTOR_RUN_CODE=never leaves it out."
        )
        return CodeReport(problem=problem, is_run=False, is_limited_away=True)
    if "unreadable" in by_name:
        event = by_name["unreadable"]
        where = f" in line {event['line']}" if event["line"] else ""
        return CodeReport(unrun, f"The code is not valid Python: {event['message']}{where}.", refused, printed)
    if "broken" in by_name:
        event = by_name["broken"]
        where = f" in line {event['line']}" if event["line"] else ""
        return CodeReport(unrun, f"The code stops{where} before any test: {event['message']}", refused, printed)
    ends = {event["test"]: event for event in events if event["event"] == "ends"}
    started = max((event["test"] for event in events if event["event"] == "starts"), default=-1)
    stopped = {
        "whole": "",
        "timeout": f"The code was stopped after {seconds:g} seconds: it does not end, or is far too slow.",
        "flood": "The code was stopped because it wrote too much.",
        "died": "The code ended or crashed the process that runs it.",
    }[ended]
    prepared = next(
        (
            index
            for index, test in enumerate(tests)
            if not test.is_check and ends.get(index, {}).get("status", "passed") != "passed"
        ),
        None,
    )
    outcomes = []
    for index in checks:
        if prepared is not None and index > prepared:
            outcomes.append(TestOutcome(tests[index].source, "not run"))
        elif index in ends:
            end = ends[index]
            outcomes.append(TestOutcome(tests[index].source, end["status"], end.get("message", ""), end.get("line")))
        elif index == started and stopped:
            outcomes.append(TestOutcome(tests[index].source, "timeout" if ended == "timeout" else "error", stopped))
        else:
            outcomes.append(TestOutcome(tests[index].source, "not run"))
    if prepared is not None and not stopped:
        event = ends[prepared]
        where = f" (line {event['line']} of your code)" if event.get("line") else ""
        stopped = f"The tests stop at `{tests[prepared].source}`{where}: {event['message']}"
    return CodeReport(tuple(outcomes), stopped, refused, printed)

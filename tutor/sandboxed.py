"""The program that runs a learner's code and a question's tests in a process of its own; `code_sandbox` starts it as a file.

It imports nothing of ours. A job comes in on standard input as JSON, what happens goes out line by line as JSON, each line with the
job's secret, so that what the learner's code prints is never taken for a result.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import ctypes
import errno
import importlib
import io
import json
import os
import platform
import re
import struct
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any

ANSWER, TESTS = "<answer>", "<tests>"
LIBRARIES = {"numpy": ("np", "numpy"), "torch": ("torch", "nn", "F")}
"""What is loaded before the limits take hold, and the names in answer or tests that ask for it."""
CUSTOMARY = {"np": "numpy", "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "math": "math"}
"""What a name means in the tests, whatever the answer makes of it; and in the answer, where it forgets the import."""
_MAX_PRINTED = 4_000
_MAX_SHOWN = 200
_SIDES = ("__left", "__right")

_ADVICE = {
    "open": "open a file for writing or outside Python's own folders",
    "socket": "use the network",
    "process": "start another process, or to end or signal one",
    "files": "change files or folders",
    "memory": "reach into the memory of the process",
    "limits": "change the limits",
}
_EVENTS = {
    "socket.": "socket",
    "urllib.": "socket",
    "http.": "socket",
    "ftplib.": "socket",
    "smtplib.": "socket",
    "subprocess.": "process",
    "os.system": "process",
    "os.exec": "process",
    "os.fork": "process",
    "os.forkpty": "process",
    "os.posix_spawn": "process",
    "os.spawn": "process",
    "os.startfile": "process",
    "os.kill": "process",
    "signal.pthread_kill": "process",
    "pty.": "process",
    "webbrowser.": "process",
    "os.remove": "files",
    "os.rename": "files",
    "os.rmdir": "files",
    "os.mkdir": "files",
    "os.link": "files",
    "os.symlink": "files",
    "os.truncate": "files",
    "os.chmod": "files",
    "os.chown": "files",
    "os.utime": "files",
    "os.setxattr": "files",
    "os.removexattr": "files",
    "shutil.": "files",
    "tempfile.": "files",
    "sqlite3.": "files",
    "ctypes.": "memory",
    "resource.": "limits",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Numbers of the system calls that are refused, from asm/unistd_64.h and asm-generic/unistd.h of Linux: processes and signals, network,
# changes to files, other processes' memory, namespaces, and the ways around a filter (io_uring).
_SHARED = "424-425 428-430 434 438 452"
_X86_64 = "29 41 53 57-59 62 64 68 76-77 82-88 90-94 101 109 112 129 132-133 160-161 165 167 169 188-190 197-200 234-235 240 248 250 258-261 263-266 268 272 280 297-298 302-304 308 310-311 316 319 321-323"
_AARCH64 = "5-7 14-16 33-38 40 45-46 51-55 88 97 117 129-131 138 154 157 164 180 186 190 194 198-199 217 219 221 240-241 261 264-265 268 270-271 276 279-282"
# Machine: audit architecture, clone, openat, open (0: there is none), seccomp, what is refused.
_MACHINES = {
    "x86_64": (0xC000003E, 56, 257, 2, 317, f"{_X86_64} {_SHARED}"),
    "aarch64": (0xC00000B7, 220, 56, 0, 277, f"{_AARCH64} {_SHARED}"),
}
_CLONE3, _OPENAT2 = 435, 437
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3


def main() -> None:
    """Run the job on standard input."""
    job = json.loads(sys.stdin.buffer.read())
    sys.stdin.close()
    report = _Report(job["secret"])
    sys.dont_write_bytecode = True
    answer, tests = str(job["answer"]), str(job["tests"])
    _load_libraries(answer + "\n" + tests)
    missing = _limit(job["memory_bytes"], job["seconds"])
    if missing and not job["allow_weaker"]:
        report.say("unlimited", missing=missing)
        return
    # Compiled before the watch: the compiler looks for the source of a mistake on disk.
    try:
        answer, code = _compiled(answer, job["first"])
        checks = [_parts_of(statement) for statement in ast.parse(tests).body]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        report.say("ready")
        report.say("unreadable", message=getattr(error, "msg", None) or str(error), line=getattr(error, "lineno", None))
        report.say("done")
        return
    watch = _Watch()
    report.say("ready")
    printed = _Printed()
    sys.stdout = sys.stderr = printed
    try:
        _run(code, checks, answer, report)
    finally:
        report.say("done", refused=watch.refused, printed=printed.text)


class _Report:
    """The lines that go out. Standard output and error of the process lead nowhere from here on."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._file = os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)

    def say(self, event: str, **values: object) -> None:
        line = json.dumps({"secret": self._secret, "event": event, **values})
        os.write(self._file, line.encode() + b"\n")


class _Printed(io.TextIOBase):
    """What the code prints, up to a length."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        if len(self.text) < _MAX_PRINTED:
            self.text += text[: _MAX_PRINTED - len(self.text)]
        return len(text)


class _Watch:
    """An audit hook: what the interpreter is about to do outside the computation is refused, and remembered."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        roots, refused = tuple(_readable()), self.refused
        is_below, real, advice = str.startswith, os.path.realpath, dict(_ADVICE)

        def watch(event: str, values: tuple[Any, ...]) -> None:
            kind = ""
            if event == "open":
                path, mode, flags = values
                writes = any(letter in (mode or "") for letter in "wax+") or bool((flags or 0) & _WRITING)
                outside = not isinstance(path, int) and not is_below(real(os.fsdecode(path)) + os.sep, roots)
                kind = "open" if writes or outside else ""
            elif event in {"os.listdir", "os.scandir"}:
                path = values[0]
                kind = "open" if not isinstance(path, str) or not is_below(real(path) + os.sep, roots) else ""
            else:
                kind = next((kind for start, kind in events if is_below(event, start)), "")
            if kind:
                if advice[kind] not in refused:
                    refused.append(advice[kind])
                raise PermissionError(f"Not allowed here: to {advice[kind]}.")

        events = tuple(_EVENTS.items())
        sys.addaudithook(watch)


def _readable() -> Iterator[str]:
    """Folders that an import may read, with a separator at the end."""
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield os.path.realpath(sysconfig.get_paths()[name]) + os.sep
    for path in ("/usr/lib", "/lib", "/lib64", "/usr/local/lib", "/sys/devices/system/cpu", "/dev/urandom"):
        yield os.path.realpath(path) + os.sep


def _load_libraries(text: str) -> None:
    words = set(re.findall(r"\w+", text))
    for library, names in LIBRARIES.items():
        if words & {library, *names}:
            try:
                importlib.import_module(library)
            except ImportError:
                continue
    torch = sys.modules.get("torch")
    if torch is not None:
        importlib.import_module("torch.nn.functional")
        torch.set_num_threads(1)
        if "optim" in words:
            # The first optimizer loads the compiler, which wants a folder for temporary files.
            torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def _limit(memory_bytes: int, seconds: float) -> list[str]:
    """Take away what the code does not need. Returns what this system could not take away."""
    if sys.platform == "win32":
        return ["memory", "processes", "files", "network"]
    import resource

    missing = []
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        used = 0
    if sys.platform == "linux":
        # Old kernels have no Landlock; there the audit hook alone watches what is read.
        _close_files()
    limits = {
        resource.RLIMIT_CPU: int(seconds) + 2,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes, used + memory_bytes))
    else:
        missing.append("memory")
    if not _close_system():
        missing += ["processes", "files", "network"]
    return missing


def _close_files() -> None:
    """Landlock: nothing but Python's own folders can be read, whatever the code does to the interpreter."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    rights = ctypes.c_uint64(_READ_FILE | _READ_DIR)
    rules = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(rights), ctypes.c_size_t(8), 0)
    if rules < 0:
        return
    for path in _readable():
        folder = path.rstrip(os.sep)
        if not os.path.exists(folder):
            continue
        place = os.open(folder, os.O_PATH)
        allowed = _READ_FILE | _READ_DIR if os.path.isdir(folder) else _READ_FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, place))
        libc.syscall(_LANDLOCK_ADD, rules, 1, rule, 0)
        os.close(place)
    libc.prctl(38, 1, 0, 0, 0)
    libc.syscall(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def _close_system() -> bool:
    """A seccomp filter for every thread: no new process, no signal, no socket, no change to a file."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 2**32:
        return False
    architecture, clone, openat, plain_open, seccomp, refused = _MACHINES[platform.machine()]
    allow, kill = 0x7FFF0000, 0x80000000
    deny, unknown = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

    def load(offset: int) -> tuple[int, int, int, int]:
        return 0x20, 0, 0, offset

    def answer(value: int) -> tuple[int, int, int, int]:
        return 0x06, 0, 0, value

    def unless(code: int, value: int, then: int) -> list[tuple[int, int, int, int]]:
        return [(code, 0, 1, value), answer(then)]

    equal, some_bits, at_least = 0x15, 0x45, 0x35
    program = [load(4), (equal, 1, 0, architecture), answer(kill), load(0)]
    if architecture == _MACHINES["x86_64"][0]:
        # The x32 calls are the same under other numbers.
        program += unless(at_least, 0x40000000, deny)
    for numbers in refused.split():
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            program += unless(equal, number, deny)
    # The C library goes back to clone and openat, whose arguments a filter can see.
    program += unless(equal, _CLONE3, unknown) + unless(equal, _OPENAT2, unknown)
    threads = 0x10000
    program += [(equal, 0, 4, clone), load(16), (some_bits, 0, 1, threads), answer(allow), answer(deny)]
    flags = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    program += [(equal, 0, 4, openat), load(32), (some_bits, 0, 1, flags), answer(deny), answer(allow)]
    if plain_open:
        program += [(equal, 0, 4, plain_open), load(24), (some_bits, 0, 1, flags), answer(deny), answer(allow)]
    program.append(answer(allow))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    whole = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)
    set_filter, every_thread = 1, 1
    libc.syscall.restype = ctypes.c_long
    return bool(libc.syscall(seccomp, set_filter, every_thread, whole) == 0)


def _compiled(text: str, first: int | None) -> tuple[str, CodeType]:
    """The answer's code. Where it stands in prose without a fence, from its first line as far as it can be read as Python."""
    lines = text[first or 0 :].split("\n")
    candidates = ("\n".join(lines[:end]) for end in range(len(lines), max(0, len(lines) - 200), -1))
    for candidate in (text, *(candidates if first is not None else ())):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            return candidate, compile(candidate, ANSWER, "exec")
    return text, compile("\n".join(lines), ANSWER, "exec")


def _run(code: CodeType, checks: Sequence[Sequence[CodeType]], answer: str, report: _Report) -> None:
    space = _namespace()
    guard = _Guard()
    failure = _attempt(code, space, answer)
    guard.restore()
    if failure:
        report.say("broken", **failure)
        return
    written = {name: value for name, value in space.items() if name not in CUSTOMARY and not hasattr(builtins, name)}
    test_space = {**written, **_namespace()}
    for index, parts in enumerate(checks):
        report.say("starts", test=index)
        for side in _SIDES:
            test_space.pop(side, None)
        failure = next(filter(None, (_attempt(part, test_space, answer) for part in parts)), {})
        changed = guard.restore()
        if changed:
            failure = {"status": "error", "message": f"The answer changed {changed}, which the tests use."}
        report.say("ends", test=index, **(failure or {"status": "passed"}))


def _namespace() -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    for name, module in CUSTOMARY.items():
        if module == "math" or module in sys.modules:
            space[name] = importlib.import_module(module)
    return space


class _Guard:
    """Knows what the tools of the tests were before the answer ran, and puts them back."""

    def __init__(self) -> None:
        names = "builtins math random copy numpy numpy.linalg numpy.random torch torch.nn torch.nn.functional torch.autograd"
        self._known: list[tuple[ModuleType, Mapping[str, object]]] = [
            (module, {name: value for name, value in vars(module).items() if callable(value) and name[0] != "_"})
            for name in names.split()
            for module in [sys.modules.get(name)]
            if module is not None
        ]

    def restore(self) -> str:
        """The first tool that was exchanged; empty where none was."""
        changed = ""
        for module, known in self._known:
            now = vars(module)
            for name, value in known.items():
                if now.get(name) is not value:
                    setattr(module, name, value)
                    changed = changed or f"{module.__name__}.{name}"
        return changed


def _parts_of(statement: ast.stmt) -> list[CodeType]:
    """A statement of the tests; a comparison in three steps, so that its two sides can be told."""
    parts: Sequence[ast.stmt] = (statement,)
    if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Compare) and len(statement.test.ops) == 1:
        test = statement.test
        values = [
            ast.Assign([ast.Name(name, ast.Store())], side)
            for name, side in zip(_SIDES, (test.left, test.comparators[0]), strict=True)
        ]
        left, right = (ast.Name(name, ast.Load()) for name in _SIDES)
        parts = (*values, ast.Assert(ast.Compare(left, test.ops, [right]), statement.msg))
    return [
        compile(ast.Module([ast.fix_missing_locations(ast.copy_location(part, statement))], []), TESTS, "exec")
        for part in parts
    ]


def _attempt(code: CodeType, space: dict[str, Any], answer: str) -> dict[str, Any]:
    """Run the code. Returns nothing where it went well, else status, message, and the line of the answer at which it stopped."""
    try:
        exec(code, space)  # noqa: S102 - this process is there for it
    except AssertionError as error:
        line = _line_of(error.__traceback__)
        if line is not None:
            return _failure("error", error, line, answer)
        sides = ""
        if all(side in space for side in _SIDES):
            left, right = (_shown(space[side]) for side in _SIDES)
            sides = f" The left side is {left}, the right side {right}."
        return {"status": "failed", "message": f"{error}{'.' if str(error) else ''}{sides}".strip(), "line": None}
    except SystemExit as error:
        return {
            "status": "error",
            "message": "The code ends the program (sys.exit).",
            "line": _line_of(error.__traceback__),
        }
    except BaseException as error:
        return _failure("error", error, _line_of(error.__traceback__), answer)
    return {}


def _failure(status: str, error: BaseException, line: int | None, answer: str) -> dict[str, Any]:
    lines = answer.split("\n")
    if isinstance(error, MemoryError):
        message = "The code needs more memory than it may have."
    else:
        message = "".join(traceback.format_exception_only(error)).strip()[:_MAX_SHOWN]
    at = f" At: {lines[line - 1].strip()}" if line and line <= len(lines) else ""
    return {"status": status, "message": message + at, "line": line}


def _line_of(trace: TracebackType | None) -> int | None:
    """The innermost line of the answer in a traceback."""
    # Not extract_tb, which looks for the source on disk.
    found = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == ANSWER]
    return found[-1] if found else None


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"a {type(value).__name__} whose repr fails with {type(error).__name__}"
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


if __name__ == "__main__":
    main()

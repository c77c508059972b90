from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.questions import read_questions
from tutor.code_sandbox import CodeReport, called_by_tests, has_code, run_code
from tutor.settings import CORPUS_FOLDER

TESTS = """
assert mean([1, 2, 3]) == 2
assert mean([4]) == 4
"""
RIGHT = "def mean(values):\n    return sum(values) / len(values)\n"
MEGABYTE = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are the Linux kernel's")


def run(answer: str, tests: str = TESTS, *, seconds: float = 5.0, memory_bytes: int = 256 * MEGABYTE) -> CodeReport:
    return run_code(answer, tests, seconds=seconds, memory_bytes=memory_bytes, allow_weaker=sys.platform != "linux")


def in_mean(*lines: str) -> str:
    """A right answer that does something else first."""
    body = "".join(f"    {line}\n" for line in lines)
    return f"def mean(values):\n{body}    return sum(values) / len(values)\n"


def test_right_code_passes_every_test():
    report = run(RIGHT)

    assert report.is_right
    assert report.summary == "2 of 2 tests pass."


@pytest.mark.parametrize(
    "attempt",
    [
        f"I would write it like this:\n\n```python\n{RIGHT}```\n\nIt takes linear time.",
        f"~~~\n{RIGHT}~~~",
        f"{RIGHT}\nIt takes linear time, since each value is read once.",
        f"This is my function.\n{RIGHT}",
        f"```python\n{RIGHT}",
        f"```py\n{RIGHT}```\n```bash\nrm -rf build\n```",
    ],
)
def test_code_is_found_in_prose_fenced_or_bare(attempt: str):
    assert has_code(attempt)
    assert run(attempt).is_right


def test_prose_alone_is_not_run():
    report = run("I would add the values up and divide by their number. The definition: total over count.")

    assert not report.is_run
    assert "no code" in report.summary


def test_wrong_result_shows_both_sides_of_the_comparison():
    report = run("def mean(values):\n    return sum(values) // 2\n")

    assert [outcome.status for outcome in report.outcomes] == ["failed", "failed"]
    assert "The left side is 3, the right side 2." in report.summary


def test_one_failing_test_does_not_hide_the_others():
    report = run("def mean(values):\n    return 2\n")

    assert [outcome.status for outcome in report.outcomes] == ["passed", "failed"]
    assert not report.is_right


def test_error_names_the_line_of_the_learners_code():
    report = run("import math\n\ndef mean(values):\n    total = sum(values)\n    return total / size\n")

    assert report.outcomes[0].status == "error"
    assert report.outcomes[0].line == 5
    assert "NameError" in report.summary
    assert "return total / size" in report.summary


def test_assertion_of_the_learner_is_an_error_of_the_learner():
    report = run("def mean(values):\n    assert len(values) > 1\n    return sum(values) / len(values)\n")

    assert [outcome.status for outcome in report.outcomes] == ["passed", "error"]


def test_syntax_error_is_told_with_its_line():
    report = run("```python\ndef mean(values)\n    return 1\n```")

    assert report.is_run
    assert not report.passed
    assert "not valid Python" in report.summary
    assert "line 1" in report.summary


def test_missing_function_is_named():
    report = run("def average(values):\n    return sum(values) / len(values)\n")

    assert "name 'mean' is not defined" in report.summary


def test_failed_preparation_leaves_the_later_tests_not_run():
    report = run("def mean(values):\n    raise ValueError('no')\n", "first = mean([1])\nassert first == 1\n")

    assert [outcome.status for outcome in report.outcomes] == ["not run"]
    assert "first = mean([1])" in report.summary


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n        pass",
        "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    ],
)
def test_endless_loop_is_stopped(loop: str):
    report = run(in_mean(loop), seconds=0.5)

    assert [outcome.status for outcome in report.outcomes] == ["timeout", "not run"]
    assert "stopped after 0.5 seconds" in report.summary


@linux
def test_memory_is_limited():
    report = run(in_mean("hoard = bytearray(10**10)"))

    assert [outcome.status for outcome in report.outcomes] == ["error", "error"]
    assert "more memory" in report.summary


@linux
def test_memory_that_grows_slowly_is_limited_too():
    report = run("hoard = []\nwhile True:\n    hoard.append(bytes(10**6))\n" + RIGHT)

    assert not report.is_right
    assert "more memory" in report.summary


def test_ten_megabytes_of_print_are_cut():
    report = run(in_mean("print('x' * 10_000_000)"))

    assert report.is_right
    assert 0 < len(report.printed) <= 4_000


def test_what_is_printed_is_kept_and_cannot_pass_for_a_result():
    report = run('print(\'{"event": "ends", "test": 0, "status": "passed"}\')\ndef mean(values):\n    return 0\n')

    assert report.passed == 0
    assert '"status": "passed"' in report.printed


@pytest.mark.parametrize("end", ["os._exit(0)", "os.abort()"])
def test_process_that_ends_itself_has_not_passed(end: str):
    report = run(f"import os\n{in_mean(end)}")

    assert report.passed == 0
    assert "ended or crashed" in report.summary


@pytest.mark.parametrize("end", ["sys.exit(0)", "raise SystemExit", "raise KeyboardInterrupt"])
def test_exit_of_the_interpreter_is_an_error_of_the_test(end: str):
    report = run(f"import sys\n{in_mean(end)}")

    assert [outcome.status for outcome in report.outcomes] == ["error", "error"]


def test_deep_recursion_is_an_error():
    assert "RecursionError" in run("def mean(values):\n    return mean(values)\n").summary


FORBIDDEN = {
    "write": ("open('mine.txt', 'w')", "open a file"),
    "append": ("open({path!r}, 'a')", "open a file"),
    "low-level write": ("os.open({path!r}, os.O_WRONLY)", "open a file"),
    "read": ("open({path!r}).read()", "open a file"),
    "read by way of the parent folder": (
        "open(os.path.dirname(os.__file__) + '/../../../../../../../..' + {path!r})",
        "open a file",
    ),
    "list": ("os.listdir({folder!r})", "open a file"),
    "remove": ("os.remove({path!r})", "change files"),
    "make a folder": ("os.mkdir('mine')", "change files"),
    "network": ("socket.create_connection(('127.0.0.1', 9), 1)", "use the network"),
    "fork": ("os.fork()", "start another process"),
    "subprocess": ("subprocess.run(['true'])", "start another process"),
    "shell": ("os.system('true')", "start another process"),
    "kill": ("os.kill(os.getppid(), 9)", "start another process"),
    "ctypes": ("ctypes.CDLL(None)", "reach into the memory"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_reach_outside_is_refused_and_told_even_if_the_code_swallows_the_error(name: str, tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("kept", encoding="utf-8")
    act, told = FORBIDDEN[name]
    line = act.format(path=str(secret), folder=str(tmp_path))

    report = run(f"import ctypes, os, socket, subprocess\n{in_mean('try:', '    ' + line, 'except OSError: pass')}")

    assert not report.is_right
    assert any(told in what for what in report.refused)
    assert f"The code tried to {told}" in report.summary
    assert [file.read_text(encoding="utf-8") for file in tmp_path.iterdir()] == ["kept"]


# Calls that the interpreter makes no audit event of: the kernel must refuse them.
PAST_THE_INTERPRETER = {
    "process": (
        "import _posixsubprocess, os",
        "_posixsubprocess.fork_exec([b'/bin/true'], [b'/bin/true'], True, (), None, None, -1, -1, -1, -1, -1, -1, *os.pipe(),"
        " True, False, 0, None, None, None, -1, None, False)",
    ),
    "file made": ("import os", "os.mkfifo({path!r})"),
    "signal": ("import os", "os.killpg(os.getpgid(os.getppid()), 0)"),
    "session": ("import os", "os.setsid()"),
}


@linux
@pytest.mark.parametrize("name", PAST_THE_INTERPRETER)
def test_kernel_refuses_what_the_interpreter_does_not_see(name: str, tmp_path: Path):
    start, act = PAST_THE_INTERPRETER[name]

    report = run(f"{start}\n{act.format(path=str(tmp_path / 'made'))}\n{RIGHT}")

    assert not report.is_right
    assert "PermissionError" in report.summary or "BlockingIOError" in report.summary
    assert list(tmp_path.iterdir()) == []


@linux
def test_fork_bomb_starts_nothing():
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"

    report = run(bomb, seconds=0.5)

    assert "start another process, or to end or signal one" in report.refused or report.problem
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sandboxed.py" not in listed


@linux
def test_threads_beyond_the_limit_do_no_harm():
    report = run(
        in_mean("import threading", "for _ in range(10_000): threading.Thread(target=values.copy).start()"), seconds=3
    )

    assert report.is_run


CHEATS = [
    "import builtins\nbuiltins.abs = lambda value: 0\ndef mean(values):\n    return 0\n",
    "def abs(value):\n    return 0\ndef mean(values):\n    return 0\n",
    "import math\ndef mean(values):\n    math.isclose = lambda *values, **more: True\n    return 0\n",
    "class math:\n    isclose = staticmethod(lambda *values, **more: True)\ndef mean(values):\n    return 0\n",
    "import builtins\nclass Fine(Exception): pass\nbuiltins.AssertionError = Fine\ndef mean(values):\n    return 0\n",
]


@pytest.mark.parametrize("cheat", CHEATS)
def test_exchanged_tools_do_not_pass_the_tests(cheat: str):
    report = run(cheat, "assert abs(mean([1, 2, 3]) - 2) < 1e-9\nassert math.isclose(mean([4]), 4)\n")

    assert not report.is_right
    assert report.passed == 0


def test_own_helper_of_the_name_of_a_builtin_still_serves_the_answer():
    report = run(
        "def sum(values):\n    return 6\ndef mean(values):\n    return sum(values) / 3\n", "assert mean([1, 2, 3]) == 2"
    )

    assert report.is_right


def test_environment_of_the_tutor_is_not_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUTOR_API_KEY", "a-key")
    report = run(in_mean("import os", "print(sorted(os.environ), os.getcwd(), os.environ.get('TUTOR_API_KEY'))"))

    assert report.is_right
    assert "TUTOR_API_KEY" not in report.printed.split("]")[0]
    assert os.getcwd() not in report.printed


def test_numpy_is_at_hand_under_its_customary_name():
    report = run("def mean(values):\n    return np.mean(values)\n", "assert np.isclose(mean(np.array([1.0, 3.0])), 2)")

    assert report.is_right


@linux
def test_kernel_refuses_files_that_a_library_opens_by_itself(tmp_path: Path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"12345678")

    report = run(
        f"import torch\nstolen = torch.from_file({str(secret)!r}, size=8, dtype=torch.uint8)\n{RIGHT}", seconds=20
    )

    assert not report.is_right
    assert "RuntimeError" in report.summary


def test_model_answer_with_torch_passes_its_tests():
    questions, _ = read_questions([CORPUS_FOLDER / "questions"])
    question = next(question for question in questions if question.id == "frameworks-accumulation-code")

    report = run(question.answer, question.tests, seconds=30, memory_bytes=1024 * MEGABYTE)

    assert report.is_right, report.summary


def test_nothing_is_run_where_the_limits_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program = tmp_path / "sandboxed.py"
    real = Path(__file__).parent.parent / "tutor" / "sandboxed.py"
    text = real.read_text(encoding="utf-8")
    # The program as it would find itself on another processor.
    program.write_text(
        text.replace('"x86_64": (', '"another": (')
        .replace('"aarch64": (', '"yet another": (')
        .replace('_MACHINES["x86_64"]', '_MACHINES["another"]'),
        encoding="utf-8",
    )
    monkeypatch.setattr("tutor.code_sandbox._PROGRAM", program)

    report = run_code(RIGHT, TESTS, seconds=5, memory_bytes=256 * MEGABYTE)

    assert not report.is_run
    assert "cannot limit" in report.summary
    assert run_code(RIGHT, TESTS, seconds=5, memory_bytes=256 * MEGABYTE, allow_weaker=True).is_right


def test_what_the_tests_call_is_told_without_its_body():
    answer = """Keep a sum.

```python
@dataclass
class Mean:
    total: float = 0.0
    count: int = 0

    def __init__(self, start=0.0):
        self.total = start

    @property
    def value(self) -> float:
        return self.total / self.count

    def merge(self, other):
        return self


def helper(x):
    return x


def mean(values: list[float], start: float = 0.0) -> Mean:
    return Mean(start)
```
"""
    tests = "assert mean([1.0, 3.0]).value == 2.0\nassert Mean().count == 0"

    told = called_by_tests(answer, tests)

    assert "def mean(values: list[float], start: float=0.0) -> Mean:\n    ..." in told
    assert "count: int = 0\n" in told
    assert "@property\n    def value(self) -> float:" in told
    assert not {"total", "merge", "helper", "return"} & set(told.replace("(", " ").split())
    assert called_by_tests(answer, "") == ""
    assert called_by_tests("No code here.", tests) == ""


def test_every_code_question_with_tests_tells_the_names_that_they_call():
    questions, _ = read_questions([CORPUS_FOLDER / "questions"])

    assert all(called_by_tests(one.answer, one.tests) for one in questions if one.tests)

"""`tutor interview`: from a pipe, left and taken up again, with a report."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ui.cli import main

HALF = "Dropout zeroes random activations during training."
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(small_corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tutor interview` in this process on the question about dropout; `typed` is what comes on standard input."""
    monkeypatch.setenv("TUTOR_GUIDES", json.dumps([str(small_corpus / "guides")]))
    monkeypatch.setenv("TUTOR_QUESTIONS", json.dumps([str(small_corpus / "questions")]))

    def run(*options: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8"))
        with pytest.raises(SystemExit) as end:
            main(["interview", "--level", "junior", "--count", "1", *options])
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_a_whole_interview_comes_from_a_pipe(run: Run):
    typed = (
        f"could you rephrase?\n/hint\n{HALF}\nIt is a regularizer.\n\nDropout is switched off at inference.\n\n/skip\n"
    )

    status, out, _ = run(typed=typed)

    assert status == 0
    assert "Put another way: Explain dropout." in out
    assert "Hint: Think of what happens to single units.  (a hint: -5%)" in out
    assert "Follow-up: What can you add about “Dropout”?" in out
    assert "(asked for below)" in out
    assert "That makes the point: +17%" in out
    assert "1 of 1 answered, score 62%" in out
    assert "read Regularization > Dropout (regularization.md:11)" in out


def test_what_is_asked_for_is_not_printed_before_it_is_answered(run: Run):
    _, out, _ = run(typed=f"{HALF}\n")

    assert "Dropout is switched off at inference." not in out


def test_i_dont_know_teaches_with_the_model_answer(run: Run):
    _, out, _ = run(typed="I don't know\n")

    assert "It counts as 0 for the schedule" in out
    assert "Model answer:\nDropout zeroes random activations in training" in out
    assert "0 of 1 answered, score 0%" in out


def test_a_dispute_is_typed_after_the_grade(run: Run):
    typed = "Some activations are knocked out while we are learning.\n\n/dispute 1 By knocked out I mean zeroed.\n"

    _, out, _ = run(typed=typed)

    assert "disputed (it was missing): Judged again" in out


def test_an_interview_that_was_left_is_offered_and_taken_up(run: Run):
    run(typed=f"hint\n{HALF}\n\n")

    _, _, offered = run(typed="/end\n")
    status, out, _ = run("--resume", typed="Dropout is switched off at inference.\n\nskip\n")

    assert "was left at question 1. Take it up: tutor interview --resume" in offered
    assert status == 0
    assert out.index("What does dropout do") < out.index("Think of what happens") < out.index("Score: ")
    assert "That makes the point" in out
    assert "1 of 1 answered" in out


def test_resuming_nothing_is_misuse_that_says_what_to_do(run: Run):
    status, _, error = run("--resume")

    assert status == 2
    assert "No interview was left open. Start one: tutor interview" in error


def test_what_is_left_says_how_to_take_it_up_and_what_is_ended_does_not(run: Run):
    assert "--resume" in run()[2]
    assert "--resume" in run(typed="hint\n")[2]
    assert "kept where it stands" not in run(typed="/end\n")[2]


@pytest.mark.parametrize("ending", ["md", "html", "json"])
def test_the_report_is_written_in_the_form_of_its_name(run: Run, tmp_path: Path, ending: str):
    file = tmp_path / f"report.{ending}"

    _, out, _ = run("--report", str(file), typed=f"{HALF}\n\nskip\n")

    text = file.read_text(encoding="utf-8")
    assert f"Report: {file}" in out
    assert HALF in text
    if ending == "json":
        assert json.loads(text)["questions"][0]["question_id"] == "dropout-train-inference"
    else:
        assert "Regularization" in text, "topics stand with the titles of their guides"


def test_a_report_in_another_form_is_refused_before_the_interview(run: Run):
    status, out, error = run("--report", "report.pdf", typed=f"{HALF}\n")

    assert status == 2
    assert ".md, .html or .json" in error
    assert "1 of 1" not in out


@pytest.mark.parametrize(
    "typed", ["/hnit\n/end\n", "/dispute 1 I said so\n/end\n", "x" * 50_001 + "\n\n/end\n", "a\0b\n\n/end\n"]
)
def test_a_turn_that_cannot_be_taken_is_said_and_the_interview_goes_on(run: Run, typed: str):
    status, out, error = run(typed=typed)

    assert status == 0
    assert "tutor: " in error
    assert "0 of 1 answered" in out


def test_the_timer_and_the_limit_stand_beside_the_question_or_not_at_all(run: Run):
    assert "(regularization, junior)  0 s of 20 min" in run("--minutes", "20")[1]
    assert "(regularization, junior)\n" in run("--no-timer")[1]


def test_styles_and_languages_without_questions_say_what_to_change(run: Run):
    assert "style 'behavioural'" in run("--style", "behavioural")[2]
    assert "in Chinese" in run("--language", "zh")[2]
    assert run("--style", "chat")[0] == 2

"""Interviews are kept turn by turn, taken up again, and survive a killed process."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tutor.database import ProgressError
from tutor.interview import Interview, InterviewError, InterviewPlan
from tutor.interview_messages import Message, Move
from tutor.interview_records import plan_record, turn_record
from tutor.interviews import InterviewMovedOnError
from tutor.settings import Settings
from tutor.tutor import Tutor

ROOT = Path(__file__).parent.parent
HALF = "Dropout zeroes random activations during training. Dropout stays active when the model makes predictions."
PLAN = InterviewPlan(topics=("regularization",), level="junior", style="deep-dive", questions=2)


def say(tutor: Tutor, run: Interview, move: Move, text: str = "", point: int = 0) -> Interview:
    return tutor.interviews.take_turn(run, Message(move, text, point))


def played(tutor: Tutor) -> list[Interview]:
    """The states of an interview with a turn of each kind."""
    states = [tutor.interviews.start(PLAN)]
    for move, text, point in (
        ("clarification", "What do you mean by patience?", 0),
        ("hint", "", 0),
        ("answer", HALF, 0),
        ("dispute", "By “zeroes” I mean switched off at inference.", 2),
        ("answer", "At inference dropout is switched off.", 0),
        ("skip", "", 0),
        ("dont-know", "I don't know", 0),
        ("next", "", 0),
    ):
        states.append(say(tutor, states[-1], move, text, point))  # type: ignore[arg-type]
    return states


def test_interviews_are_listed_over_or_not_the_last_one_first(tutor: Tutor):
    first = say(tutor, tutor.interviews.start(PLAN), "end")
    second = tutor.interviews.start(replace(PLAN, only=("dropout-train-inference",)))
    tutor.progress.start_interview("me", "odd", {"version": 99}, second.started_at + timedelta(minutes=1))
    tutor.progress.start_interview("ann", "hers", plan_record(PLAN), second.started_at)

    assert [one.id for one in tutor.interviews.begun(10)] == [second.id, first.id], "what cannot be read is left out"
    assert [one.id for one in tutor.interviews.begun(2)] == [second.id]


def test_an_interview_is_taken_up_exactly_where_it_was_left_after_any_turn(tutor: Tutor):
    interviews = tutor.interviews
    run = interviews.start(PLAN)
    assert interviews.resume(run.id) == run
    seen = [kind for state in played(tutor) for kind in [state.turns[-1].kind]]
    assert {"clarification", "hint", "answer", "dispute", "follow-up", "dont-know", "end"} <= set(seen)

    for state in played(tutor):
        stored = interviews.store.stored_interview("me", state.id)
        kept = interviews.resume(state.id)
        assert kept.turns[: len(state.turns)] == state.turns
        assert kept.turns[: len(state.turns)][-1].grade == state.turns[-1].grade
        assert len(stored.turns) >= len(state.turns)
    assert kept == state


def test_what_is_kept_is_json_without_the_guides(tutor: Tutor):
    run = played(tutor)[-1]

    text = json.dumps([plan_record(run.plan), *map(turn_record, run.turns)])

    assert "so that no unit can rely on another one" not in text
    assert len(text) < 40_000


def test_an_interview_outlives_a_change_of_the_bank(tutor: Tutor, small_corpus: Path):
    run = say(tutor, tutor.interviews.start(PLAN), "answer", HALF)
    (small_corpus / "questions" / "regularization.md").unlink()

    later = Tutor(tutor.settings)

    assert later.questions == []
    assert later.interviews.resume(run.id) == run


def test_open_interviews_are_offered_the_last_one_first(tutor: Tutor):
    interviews = tutor.interviews
    first = interviews.start(PLAN)
    second = replace(interviews, now=lambda: datetime.now(UTC) + timedelta(hours=1)).start(PLAN)
    ended = say(tutor, interviews.start(PLAN), "end")

    assert [one.id for one in interviews.open()] == [second.id, first.id]
    assert ended.is_over


def test_learners_do_not_see_each_others_interviews(tutor: Tutor):
    run = tutor.interviews.start(PLAN)
    other = tutor.for_learner("bo").interviews

    assert other.open() == []
    with pytest.raises(ProgressError):
        other.resume(run.id)


def test_the_second_tab_is_told_and_gets_the_present_state(tutor: Tutor):
    run = tutor.interviews.start(PLAN)
    ahead = say(tutor, run, "answer", HALF)

    with pytest.raises(InterviewMovedOnError, match="another tab") as raised:
        say(tutor, run, "answer", "Something else.")

    assert raised.value.interview == ahead
    assert tutor.interviews.resume(run.id) == ahead
    assert [review.attempt for review in tutor.progress.reviews("me")] == [HALF], "only one of them was graded"


def test_the_history_keeps_the_answer_the_hints_and_the_dispute(tutor: Tutor):
    played(tutor)

    reviews = tutor.progress.reviews("me")

    assert [(review.hints, review.is_dispute) for review in reviews] == [(1, False), (1, True), (0, False)]
    assert reviews[0].attempt == HALF
    assert reviews[2].score == 0.0
    assert {review.question_id for review in reviews} == {"dropout-train-inference"} | {reviews[2].question_id}


def test_a_plan_for_more_questions_than_there_are_is_cut(tutor: Tutor):
    assert tutor.interviews.start(InterviewPlan(questions=50)).plan.questions == 2


def test_a_plan_that_nothing_suits_starts_nothing(tutor: Tutor):
    with pytest.raises(InterviewError, match="no topic 'biology'"):
        tutor.interviews.start(InterviewPlan(topics=("biology",)))

    assert tutor.progress.interviews("me") == []


def test_no_question_is_put_after_the_time_is_up(tutor: Tutor):
    run = tutor.interviews.start(InterviewPlan(questions=0, minutes=5))
    late = replace(tutor.interviews, now=lambda: run.started_at + timedelta(minutes=6))

    assert late.take_turn(run, Message("skip", "")).is_over
    assert not tutor.interviews.take_turn(
        tutor.interviews.start(InterviewPlan(questions=0, minutes=5)), Message("skip", "")
    ).is_over


def test_a_clock_that_is_set_back_neither_breaks_nor_shortens_an_interview(tutor: Tutor):
    run = tutor.interviews.start(PLAN)
    earlier = replace(tutor.interviews, now=lambda: run.started_at - timedelta(days=2))

    run = earlier.take_turn(run, Message("hint", ""))

    assert run.turns[-1].at >= run.turns[-2].at
    assert run.seconds == 0
    assert tutor.interviews.resume(run.id) == run


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda record: record.update(version=99), "newer version"),
        (lambda record: record.update(kind="dance"), "cannot be read"),
        (lambda record: record.update(grade={"verdicts": 3}), "cannot be read"),
        (lambda record: record.pop("version"), "cannot be read"),
    ],
)
def test_an_interview_of_another_version_is_said_to_be_one_and_left_out_of_the_list(
    tutor: Tutor, spoil: Callable[[dict[str, Any]], None], message: str
):
    run = say(tutor, tutor.interviews.start(PLAN), "hint")
    record = turn_record(run.turns[-1])
    spoil(record)
    tutor.progress.append_turn("me", run.id, len(run.turns) + 1, record, run.last_at)

    with pytest.raises(InterviewError, match=message):
        tutor.interviews.resume(run.id)
    assert tutor.interviews.open() == []


# A killed process


def start_in_the_terminal(settings: Settings) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "TUTOR_GUIDES": json.dumps([str(path) for path in settings.guides]),
        "TUTOR_QUESTIONS": json.dumps([str(path) for path in settings.questions]),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        "-c",
        "from ui.cli import main; main()",
        "interview",
        "--level",
        "junior",
        "--count",
        "2",
    ]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(process: subprocess.Popen[bytes], text: str) -> None:
    """Read what the process prints until the text has come."""
    assert process.stdout is not None
    read, deadline = b"", time.monotonic() + 60
    while text.encode() not in read:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert piece, f"{text!r} did not come; what came was {read.decode()!r}"
        read += piece


def type_in(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.flush()


@pytest.mark.parametrize("waits_for_the_grade", [True, False])
def test_a_killed_process_loses_at_most_what_was_being_typed(tutor: Tutor, *, waits_for_the_grade: bool):
    process = start_in_the_terminal(tutor.settings)
    try:
        wait_for(process, "1 of 2")
        type_in(process, "hint please\n")
        wait_for(process, "Hint: ")
        type_in(process, f"{HALF}\n\n")
        if waits_for_the_grade:
            wait_for(process, "Score: ")
            type_in(process, "an answer that was nev")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL

    (run,) = tutor.interviews.open()

    reviews = tutor.progress.reviews("me")
    kinds = [turn.kind for turn in run.turns]
    assert kinds[:2] == ["question", "hint"]
    assert kinds[2:] in ([["answer"]] if waits_for_the_grade else [["answer"], []])
    assert len(reviews) == len(kinds[2:]), "turn and review are kept together or not at all"
    if waits_for_the_grade:
        assert run.rounds[0].grade is not None
        assert run.phase == "follow-up"
        assert say(tutor, run, "answer", "Dropout is switched off at inference.").turns[-1].kind == "follow-up"

"""`tutor interview`: an interview in the terminal, or from a pipe."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.terminal import (
    Model,
    check_choices,
    complain,
    console,
    effective_settings,
    open_tutor,
    print_grade,
    typed_lines,
)

if TYPE_CHECKING:
    from tutor.interview import Interview, Round
    from tutor.interview_messages import Message
    from tutor.tutor import Tutor

_COMMANDS = "/hint /clarify /skip /idk /dispute N why /end; an empty line ends an answer"


class StyleName(StrEnum):
    """The styles of an interview, as an option takes them."""

    SCREENING = "screening"
    DEEP_DIVE = "deep-dive"
    BEHAVIOURAL = "behavioural"
    SYSTEMS_GPU = "systems-gpu"
    MIXED = "mixed"


class LanguageName(StrEnum):
    """The languages of an interview, as an option takes them."""

    ENGLISH = "en"
    CHINESE = "zh"


def interview(
    topic: Annotated[
        list[str] | None, typer.Option(help="Only this topic, e.g. optimization; may be repeated.")
    ] = None,
    level: Annotated[
        str, typer.Option(help="Level to start at: junior, mid, senior or staff; it follows your scores.")
    ] = "",
    count: Annotated[int, typer.Option(help="How many questions; 0: until /end.", min=0, max=50)] = 3,
    minutes: Annotated[
        int, typer.Option(help="No further question after so many minutes; 0: no limit.", min=0, max=240)
    ] = 0,
    style: Annotated[
        StyleName, typer.Option(help="systems-gpu: like an NVIDIA round, on systems, GPUs, performance and numerics.")
    ] = StyleName.MIXED,
    language: Annotated[
        LanguageName, typer.Option(help="Language of the questions and of your answers.")
    ] = LanguageName.ENGLISH,
    timer: Annotated[bool, typer.Option(help="Show the time used.")] = True,
    seed: Annotated[int | None, typer.Option(help="Of the choice among questions that suit alike.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Take up the interview that was left last.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report here: FILE.md, FILE.html or FILE.json.")] = None,
    model: Model = "",
) -> None:
    """Be interviewed: answer, ask back, take hints, and dispute the grade; every turn is kept at once.

    Type your answer and an empty line, or /hint, /clarify, /skip, /idk (teaches), /dispute N why, /end. Plain words do as well:
    "hint please", "what do you mean by …?", "I don't know".

    Example: yes skip | tutor interview --topic optimization --count 2
    """
    from tutor.interview import InterviewPlan

    if report is not None and report.suffix not in _WRITERS:
        raise typer.BadParameter(f"the report cannot be {report.name!r}. Expected a name in .md, .html or .json.")
    tutor = open_tutor(effective_settings(language_model=model))
    for name in topic or [""]:
        check_choices(tutor, name, level)
    # The questions are made with typer, which hands over text: the plan checks what it is given.
    plan = InterviewPlan(
        topics=tuple(topic or ()),
        level=level or None,  # type: ignore[arg-type]
        style=style.value,
        questions=count,
        minutes=minutes,
        language=language.value,
        shows_timer=timer,
        seed=random.randrange(2**31) if seed is None else seed,  # noqa: S311 - which question comes next is no secret
    )
    lines = _Lines()
    run = _left_open(tutor, lines, wanted=resume) or tutor.interviews.start(plan)
    try:
        run = _carry_on(tutor, run, lines)
    except KeyboardInterrupt:
        complain("Everything that you sent is kept.")
        run = tutor.interviews.resume(run.id)
    _print_end(run)
    if report is not None:
        report.write_text(_WRITERS[report.suffix](tutor, run), encoding="utf-8")
        console().print(f"Report: {report}")


class _Lines:
    """Lines of standard input, of which one can be put back."""

    def __init__(self) -> None:
        self._typed = typed_lines("> ", keep_empty=True)
        self._back: list[str] = []

    def next(self) -> str | None:
        """The next line; None at the end."""
        return self._back.pop() if self._back else next(self._typed, None)

    def put_back(self, line: str) -> None:
        self._back.append(line)


def _left_open(tutor: Tutor, lines: _Lines, *, wanted: bool) -> Interview | None:
    """The interview to be taken up: the last one that was left, where that is wished."""
    from tutor.interview import InterviewError

    left = tutor.interviews.open()
    if not left:
        if wanted:
            raise InterviewError("No interview was left open. Start one: tutor interview")
        return None
    last = left[0]
    where = f"An interview of {last.started_at.astimezone():%Y-%m-%d %H:%M} was left at question {len(last.rounds)}"
    if wanted:
        return last
    if not sys.stdin.isatty():
        complain(f"{where}. Take it up: tutor interview --resume")
        return None
    console().print(f"{where}. Take it up? [Y/n]")
    return last if (lines.next() or "y").strip().lower() in {"", "y", "yes"} else None


def _carry_on(tutor: Tutor, run: Interview, lines: _Lines) -> Interview:
    """The interview after what was typed, to its end or the end of the input."""
    from tutor.grading import GradingError
    from tutor.interview import InterviewError
    from tutor.interviews import InterviewMovedOnError

    _print_state(run)
    while not run.is_over:
        try:
            message = _next_message(run, lines)
            if message is None:
                break
            before, run = run, tutor.interviews.take_turn(run, message)
        except InterviewMovedOnError as moved:
            complain(moved)
            run = moved.interview
            _print_state(run)
        except (GradingError, InterviewError) as error:
            complain(error)
        else:
            _print_turn(before, run)
    return run


def _next_message(run: Interview, lines: _Lines) -> Message | None:
    """What the learner says next; None at the end of the input."""
    from tutor.interview_messages import Message, read_turn
    from tutor.interviewer import wants_questions

    if run.phase == "between":
        return _between(run, lines)
    typed: list[str] = []
    now = run.current
    while (line := lines.next()) is not None:
        if not typed and line.strip():
            message = read_turn(
                line,
                can_dispute=now is not None and now.grade is not None,
                wants_questions=now is not None and wants_questions(now.question),
            )
            if message.move != "answer" or line.startswith("/answer "):
                return message
        if line.strip():
            typed.append(line)
        elif typed:
            break
    return Message("answer", "\n".join(typed)) if typed else None


def _between(run: Interview, lines: _Lines) -> Message | None:
    """After a question: whoever types may dispute its grade; a pipe goes on at once with what else comes."""
    from tutor.interview_messages import Message, read_turn

    if sys.stdin.isatty():
        console().print("Enter: go on.  /dispute N why: have a point judged again.", style="dim")
    line = lines.next()
    if line is None:
        # Where the input ends with the last answer, the interview ends with it too.
        return Message("next", "") if run.is_used_up(datetime.now(UTC)) else None
    if not line.strip():
        return Message("next", "")
    message = read_turn(line, can_dispute=run.rounds[-1].grade is not None if run.rounds else False)
    if message.move in {"dispute", "end", "next", "skip"}:
        return message
    lines.put_back(line)
    return Message("next", "")


# What is printed


def _print_state(run: Interview) -> None:
    """Where an interview stands, for who takes it up."""
    console().print(_COMMANDS, style="dim")
    now = run.current
    if now is None:
        return
    _print_question(run)
    for turn in now.turns[1:]:
        if turn.reply:
            console().print(turn.reply)
    _print_result(now)


def _print_question(run: Interview) -> None:
    now = run.rounds[-1]
    number = f"{len(run.rounds)} of {run.plan.questions}" if run.plan.questions else f"Question {len(run.rounds)}"
    console().print(f"\n{number}  ({now.question.topic}, {now.question.level}){_timer(run)}", style="bold")
    console().print(_asked(run, now))


def _asked(run: Interview, now: Round) -> str:
    from corpus.documents import language_of
    from tutor.code_sandbox import called_by_tests

    question = now.question
    is_other = language_of(question.prompt) != run.plan.language and question.translation
    prompt = f"{question.translation}\n{question.prompt}" if is_other else question.prompt
    called = called_by_tests(question.answer, question.tests)
    return f"{prompt}\nThe tests know your code by these names:\n{called}" if called else prompt


def _timer(run: Interview) -> str:
    from tutor.interview_report import duration

    if not run.plan.shows_timer:
        return ""
    limit = f" of {run.plan.minutes} min" if run.plan.minutes else ""
    return f"  {duration(run.seconds)}{limit}"


def _print_turn(before: Interview, run: Interview) -> None:
    """What came of the turns since `before`."""
    from tutor.interviewer import hint_cost

    for turn in run.turns[len(before.turns) :]:
        if turn.kind == "question":
            _print_question(run)
        elif turn.kind == "hint":
            console().print(f"Hint: {turn.reply}  ({hint_cost()})")
        elif turn.kind == "dont-know" and turn.grade:
            console().print(turn.reply)
            print_grade(turn.grade)
            console().print(f"\nModel answer:\n{turn.grade.question.answer}\n")
        elif turn.kind in {"answer", "dispute"}:
            _print_result(run.rounds[-1])
        elif turn.reply:
            console().print(turn.reply)
            if run.phase == "follow-up" and turn.kind == "follow-up":
                _print_follow_up(run.rounds[-1])


def _print_result(now: Round) -> None:
    from tutor.interviewer import shown_grade, withheld_points

    grade = shown_grade(now)
    if grade is None:
        return
    if not now.is_answered:
        # The answer may be given again: its points are not told.
        console().print(grade.feedback)
        return
    print_grade(grade, withheld=withheld_points(now))
    if now.score != grade.score and now.score is not None:
        console().print(f"With hints and follow-ups this question stands at {now.score:.0%}.")
    _print_follow_up(now)


def _print_follow_up(now: Round) -> None:
    if now.follow_up:
        console().print(f"\nFollow-up: {now.follow_up.text}", style="bold")


def _print_end(run: Interview) -> None:
    from tutor.interview_report import InterviewReport, duration
    from tutor.interviewer import place

    report = InterviewReport(run)
    score = "no score" if run.score is None else f"score {run.score:.0%}"
    total = run.plan.questions or len(run.rounds)
    used = f", {duration(run.seconds)}" if run.plan.shows_timer else ""
    console().print(
        f"\n{report.count('answered')} of {total} answered, {score}{used}. What to study next: tutor progress"
    )
    for reading in report.readings[:5]:
        console().print(f"  read {place(reading.citation)} ({reading.citation.chunk.place})")
    if not run.is_over:
        complain("The interview is kept where it stands. Take it up: tutor interview --resume")


# The report as a file


def _titles(tutor: Tutor) -> dict[str, str]:
    return {entry.topic: entry.title for entry in tutor.index.manifest.documents.values()}


def _as_markdown(tutor: Tutor, run: Interview) -> str:
    from tutor.interview_report import report_markdown

    return report_markdown(run, _titles(tutor))


def _as_html(tutor: Tutor, run: Interview) -> str:
    from tutor.interview_report import report_html

    return report_html(run, _titles(tutor))


def _as_json(tutor: Tutor, run: Interview) -> str:
    import json

    from tutor.interview_report import report_record

    del tutor
    return json.dumps(report_record(run), ensure_ascii=False, indent=1) + "\n"


_WRITERS: dict[str, Callable[[Tutor, Interview], str]] = {".md": _as_markdown, ".html": _as_html, ".json": _as_json}

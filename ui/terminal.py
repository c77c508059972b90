"""What all commands of the terminal share: settings with options put over them, a bar, tables, JSON, and complaints."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from index.build import Progress
    from tutor.grading import Grade
    from tutor.settings import Settings
    from tutor.tutor import Tutor

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Model = Annotated[
    str, typer.Option("--model", help="Language model in place of TUTOR_LANGUAGE_MODEL; see: tutor models.")
]


class RankingName(StrEnum):
    """The rankings of a search, as an option takes them."""

    KEYWORD = "keyword"
    DENSE = "dense"
    FUSED = "fused"


def effective_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - a value for any setting
    """The effective settings; an option that was left out overrides nothing."""
    from tutor.settings import read_settings

    return read_settings(**{name: value for name, value in overrides.items() if value})


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on standard error while something goes on; nothing where nobody watches. Who breaks it is told how far it came."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    # Where nobody watches, even a bar that goes away leaves an empty line.
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        try:
            yield show
        except KeyboardInterrupt:
            now = bar.tasks[task]
            complain(f"{now.description}: {now.completed:g} of {now.total or 0:g} done")
            raise


def console() -> Console:
    """Standard output for tables and long text."""
    from rich.console import Console

    # A pipe gets the text as it is: wrapping is for eyes. Brackets in a question are tensors and lists, not styles.
    width = None if sys.stdout.isatty() else 10_000
    return Console(soft_wrap=width is not None, width=width, markup=False, emoji=False, highlight=False)


def print_json(value: object) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def complain(message: object) -> None:
    """One line on standard error."""
    typer.echo(f"tutor: {message}", err=True)


def make_tutor(settings: Settings) -> Tutor:
    """A tutor, whether or not there is an index."""
    from tutor.tutor import Tutor

    return Tutor(settings)


def open_tutor(settings: Settings | None = None, *, refresh: bool = False) -> Tutor:
    """A tutor with an index: made now where there is none yet, brought up to date on `refresh`."""
    from index.passage_index import IndexStaleError

    tutor = make_tutor(settings or effective_settings())
    if refresh or not tutor.has_index:
        try:
            with progress_bar() as bar:
                report = tutor.update_index(progress=bar)
        except IndexStaleError as error:
            if not (sys.stdin.isatty() and typer.confirm(f"{error} Rebuild now?")):
                raise
            with progress_bar() as bar:
                report = tutor.update_index(rebuild=True, progress=bar)
        for problem in report.problems:
            complain(f"left out {problem}")
    for problem in tutor.question_problems:
        complain(f"left out {problem}")
    if tutor.model_problem:
        complain(f"{tutor.model_problem} Answers are the guides' own words.")
    return tutor


def check_choices(tutor: Tutor, topic: str, level: str) -> None:
    """Misuse, naming the choices, for a topic or level that there is not."""
    from corpus.questions import LEVELS

    topics = sorted({question.topic for question in tutor.questions})
    if topic and topic not in topics:
        raise typer.BadParameter(f"there is no topic {topic!r}. Expected one of {', '.join(topics)}.")
    if level and level not in LEVELS:
        raise typer.BadParameter(f"there is no level {level!r}. Expected one of {', '.join(LEVELS)}.")


def typed_lines(prompt: str, *, keep_empty: bool = False) -> Iterator[str]:
    """Lines of standard input until its end, with a prompt where a person types."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write(prompt)
            sys.stderr.flush()
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            raise ValueError("Standard input is not UTF-8 text. Convert it first, e.g. with iconv.") from error
        if not line:
            return
        if keep_empty or line.strip():
            yield line.rstrip("\n")


def print_grade(grade: Grade, *, as_json: bool = False, withheld: Collection[int] = ()) -> None:
    """A grade, point by point; `withheld` has the numbers of those whose words are not to be shown yet."""
    if as_json:
        from tutor.records import grade_record

        print_json(grade_record(grade))
        return
    typer.echo(f"Score: {'not judged' if grade.score is None else f'{grade.score:.0%}'}  ({grade.question.id})")
    for number, verdict in enumerate(grade.verdicts, start=1):
        text = "(asked for below)" if number in withheld else verdict.key_point.text
        name = f"{verdict.verdict} {verdict.share:.0%}" if verdict.share else verdict.verdict
        typer.echo(f"{number:>2}. {name:<12} [{verdict.key_point.weight:g}] {text}")
        if verdict.doubt:
            typer.echo(f"               uncertain: {verdict.doubt}")
        if verdict.dispute:
            typer.echo(f"               disputed (it was {verdict.dispute.before.verdict}): {verdict.dispute.reason}")
        if verdict.evidence:
            typer.echo(f"               you: {verdict.evidence}")
        if verdict.verdict != "made" and verdict.citation and number not in withheld:
            chunk = verdict.citation.chunk
            typer.echo(f"               read: {chunk.title} > {chunk.path} ({chunk.place})")
    for found in grade.misconceptions:
        typer.echo(f"  misconception: {found.misconception.text}")
    typer.echo(grade.feedback)
    if grade.follow_up:
        typer.echo(f"Follow-up: {grade.follow_up}")

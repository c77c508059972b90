"""`tutor questions`: the bank, own banks added and removed, drafts from a guide."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.terminal import (
    Json,
    Model,
    check_choices,
    complain,
    console,
    effective_settings,
    open_tutor,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from corpus.documents import Problem

questions_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@questions_app.callback()
def show_questions(
    context: typer.Context,
    topic: Annotated[str, typer.Option(help="Only this topic, e.g. optimization.")] = "",
    level: Annotated[str, typer.Option(help="Only this level: junior, mid, senior or staff.")] = "",
    search: Annotated[str, typer.Option(help="Words to look for.")] = "",
    as_json: Json = False,
) -> None:
    """List the questions of the bank; add and remove banks of your own, draft questions from a guide.

    Example: tutor questions --topic optimization --search "learning rate"
    """
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    tutor = open_tutor()
    check_choices(tutor, topic, level)
    found = tutor.search_questions(topic=topic, level=level, search=search)
    if as_json:
        rows = [
            {"id": item.id, "topic": item.topic, "level": item.level, "kind": item.kind, "question": item.prompt}
            for item in found
        ]
        print_json(rows)
        return
    table = Table("id", "topic", "level", "kind", "question", box=None, pad_edge=False)
    for item in found:
        table.add_row(item.id, item.topic, item.level, item.kind, item.prompt)
    console().print(table if found else "No question matches. Leave out an option.")


@questions_app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="A question bank (.md), or what candidates say of one (.said.txt); one of the same name is replaced."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Check a bank of your own and keep it in the home folder: its sound questions are asked from now on.

    Example: tutor questions add my-questions.md
    """
    from corpus.sayings import SAID_SUFFIX
    from tutor.question_banks import BankError, QuestionBanks

    if file.name.endswith(SAID_SUFFIX):
        kept = QuestionBanks(open_tutor()).add_sayings(file)
        _complain_of(kept.problems)
        if as_json:
            print_json({"key_points": kept.key_points, "left_out": _records(kept.problems)})
        else:
            points = "1 key point" if kept.key_points == 1 else f"{kept.key_points} key points"
            typer.echo(f"The grader knows more ways to say {points} now.")
        return
    try:
        check = QuestionBanks(open_tutor()).add(file)
    except BankError as error:
        if error.check is not None:
            _complain_of(error.check.left_out)
        raise
    if as_json:
        print_json(
            {
                "questions": [question.id for question in check.questions],
                "left_out": _records(check.left_out),
                "advice": _records(check.advice),
            }
        )
        return
    _complain_of((*check.left_out, *check.advice))
    count = len(check.questions)
    typer.echo(
        f"{count} {'question' if count == 1 else 'questions'} of {file.name} {'counts' if count == 1 else 'count'} from now on."
    )


@questions_app.command()
def remove(name: Annotated[str, typer.Argument(help="File name of a bank that was added.")]) -> None:
    """Delete a bank of your own; grades of its questions stay in the history.

    Example: tutor questions remove my-questions.md
    """
    from tutor.question_banks import QuestionBanks

    QuestionBanks(open_tutor()).remove(name)
    typer.echo(f"{name} was removed.")


@questions_app.command()
def draft(
    guide: Annotated[str, typer.Argument(help="Id of a guide of the library, e.g. optimization.md.")],
    count: Annotated[int, typer.Option(help="How many questions at most.", min=1, max=50)] = 5,
    model: Model = "",
) -> None:
    """Print draft questions from a guide as a bank for you to edit; they count once you have added it.

    Example: tutor questions draft optimization.md --count 3
    """
    from tutor.question_banks import QuestionBanks

    banks = QuestionBanks(open_tutor(effective_settings(language_model=model)))
    with progress_bar() as bar:
        found = banks.draft(guide, count=count, progress=bar)
    for note in found.notes:
        complain(note)
    typer.echo(found.markdown, nl=False)


def _records(problems: Iterable[Problem]) -> list[dict[str, object]]:
    return [{"line": item.line, "message": item.message} for item in problems]


def _complain_of(problems: Iterable[Problem]) -> None:
    for problem in problems:
        complain(problem)

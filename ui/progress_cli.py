"""`tutor progress` and `tutor feedback`: where one stands, what is due, a plan to the interview, and the history as files."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.terminal import Json, check_choices, console, effective_settings, make_tutor, open_tutor, print_json

if TYPE_CHECKING:
    from corpus.questions import Question
    from tutor.schedule import Card, StudyPlan
    from tutor.tutor import Tutor

progress_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
Learner = Annotated[str, typer.Option(help="Whose history, in place of TUTOR_LEARNER.")]
Topic = Annotated[str, typer.Option(help="Only this topic, e.g. optimization.")]
Level = Annotated[str, typer.Option(help="Only this level: junior, mid, senior or staff.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_DUE_SHOWN, _DAYS_SHOWN = 5, 7


@progress_app.callback()
def show_progress(context: typer.Context, learner: Learner = "", as_json: Json = False) -> None:
    """How you stand in each topic, what is due, what to study next; plan to a date, export, import, delete.

    Example: tutor progress --json
    """
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    tutor = _tutor(learner)
    topics = tutor.topic_progress()
    if as_json:
        print_json(
            [
                {
                    "topic": item.topic,
                    "attempted": item.attempted,
                    "attempts": item.attempts,
                    "score": round(item.score, 4),
                    "last": item.last.isoformat(),
                }
                for item in topics
            ]
        )
        return
    if not topics:
        console().print("No graded answers yet. Start with: tutor interview")
        return
    table = Table("topic", "questions", "attempts", "score", "last", box=None, pad_edge=False)
    for item in topics:
        table.add_row(item.topic, str(item.attempted), str(item.attempts), f"{item.score:.0%}", f"{item.last:%Y-%m-%d}")
    console().print(table)
    for point in tutor.most_missed():
        typer.echo(f"  missed {point.times}x: {point.text}  (read {point.document_id} > {point.heading_path})")
    is_due = tutor.due(_now())
    if is_due:
        named = ", ".join(card.question_id for card in is_due[:_DUE_SHOWN])
        console().print(f"Due today: {len(is_due)}  ({named}{' …' if len(is_due) > _DUE_SHOWN else ''})")
    console().print(f"Study next: {topics[0].topic}  (tutor interview --topic {topics[0].topic})")


@progress_app.command("due")
def show_due(learner: Learner = "", as_json: Json = False) -> None:
    """List the questions that are due today, the least remembered first.

    Example: tutor progress due --json
    """
    from rich.table import Table

    tutor, now = _tutor(learner), _now()
    is_due = tutor.due(now)
    if as_json:
        print_json([_due_record(card, now) for card in is_due])
        return
    if not is_due:
        later = min((card.due for card in tutor.cards().values()), default=None)
        next_time = f" The next one is on {later.astimezone(now.tzinfo):%Y-%m-%d}." if later else ""
        console().print(f"Nothing is due today.{next_time} New questions: tutor interview")
        return
    table = Table("id", "topic", "known with", "last", "question", box=None, pad_edge=False)
    prompts = {question.id: question.prompt for question in tutor.questions}
    for card in is_due:
        last = f"{card.last_review.astimezone(now.tzinfo):%Y-%m-%d}"
        table.add_row(card.question_id, card.topic, f"{card.recall(now):.0%}", last, prompts[card.question_id])
    console().print(table)


@progress_app.command("plan")
def show_plan(
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the interview, e.g. 2027-01-12.")],
    at_most: Annotated[
        int,
        typer.Option(help="Questions a day, in place of TUTOR_QUESTIONS_A_DAY.", min=0, max=1000, show_default=False),
    ] = 0,
    topic: Topic = "",
    level: Level = "",
    learner: Learner = "",
    as_json: Json = False,
) -> None:
    """Plan how many questions a day until the interview, so that each was asked and those that are due again too.

    Example: tutor progress plan --date 2027-01-12 --level senior
    """
    from rich.table import Table

    from tutor.schedule import fewest_a_day, plan

    tutor, now = _tutor(learner, questions_a_day=at_most), _now()
    cards, ids = tutor.cards(), {question.id for question in _questions(tutor, topic, level)}
    most = tutor.settings.questions_a_day
    planned = plan(cards, ids, now=now, until=date.date(), most_a_day=most)
    # What cannot be met is told with what would do.
    needed = planned.a_day if planned.is_met else fewest_a_day(cards, ids, now=now, until=date.date())
    if as_json:
        print_json(_plan_record(planned, needed=needed))
        return
    days = len(planned.days)
    console().print(
        f"Interview on {planned.until}, in {days} day{'s' * (days > 1)}: {planned.a_day} a day, "
        f"{len(ids - cards.keys())} questions are new to you."
    )
    if not planned.is_met:
        console().print(
            f"That is not enough: {planned.never_asked} would never be asked, {planned.overdue} not again in time. "
            f"{needed} a day would do; or take fewer: --topic, --level."
        )
    table = Table("day", "again", "new", box=None, pad_edge=False)
    for day in planned.days[:_DAYS_SHOWN]:
        table.add_row(day.day.isoformat(), str(day.again), str(day.new))
    console().print(table)


@progress_app.command("export")
def export(
    anki: Annotated[Path | None, typer.Option(help="Write the questions here as an Anki deck (.apkg).")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the graded attempts here, for a spreadsheet.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything here, to be imported again.")] = None,
    topic: Topic = "",
    level: Level = "",
    learner: Learner = "",
) -> None:
    """Write the history as JSON or CSV, or the questions as an Anki deck.

    --topic and --level choose the questions of the deck. Importing a newer deck into Anki updates the notes that are there.

    Example: tutor progress export --json history.json --csv history.csv
    """
    from tutor.exports import counted, write_anki_deck, write_attempts, write_history

    if anki is None and csv is None and json is None:
        raise typer.BadParameter("say what to write: --anki FILE, --csv FILE or --json FILE.")
    # The sources of a deck are cited from the index.
    settings = effective_settings(learner=learner)
    tutor, now = open_tutor(settings) if anki is not None else make_tutor(settings), _now()
    name, wanted = settings.learner, _questions(tutor, topic, level)
    if json is not None:
        history = tutor.progress.history(name)
        write_history(json, name, history, now=now)
        console().print(f"{json}: {counted({table: len(rows) for table, rows in history.items()})} of {name!r}")
    if csv is not None:
        reviews = tutor.progress.reviews(name)
        write_attempts(csv, reviews, {question.id: question for question in tutor.questions})
        console().print(f"{csv}: {len(reviews)} graded attempts of {name!r}")
    if anki is not None:
        latest = {
            review.question_id: review.score for review in tutor.progress.reviews(name) if review.score is not None
        }
        write_anki_deck(anki, wanted, scores=latest, cite=tutor.cite_section, now=now)
        console().print(f"{anki}: {len(wanted)} notes")


@progress_app.command("import")
def import_history(
    file: Annotated[Path, typer.Argument(help="A file that `tutor progress export --json` wrote.")],
    learner: Learner = "",
) -> None:
    """Add a history that was exported; what is there already is not added again.

    Example: tutor progress import history.json
    """
    from tutor.exports import counted, read_history

    tutor = _tutor(learner)
    added = tutor.progress.merge_history(tutor.settings.learner, read_history(file))
    console().print(f"{counted(added)} added to the history of {tutor.settings.learner!r}.")


@progress_app.command("delete")
def delete(
    learner: Annotated[str, typer.Option(help="Whose history.")],
    yes: Yes = False,
) -> None:
    """Delete everything of a learner, for good.

    Example: tutor progress delete --learner ann --yes
    """
    from tutor.exports import counted

    tutor = _tutor(learner)
    there = {table: len(rows) for table, rows in tutor.progress.history(learner).items()}
    if not any(there.values()):
        console().print(f"There is nothing of {learner!r}.")
        return
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete {counted(there)} of {learner!r} for good?")):
        raise typer.BadParameter(f"this deletes {counted(there)} of {learner!r} for good. Say --yes to do it.")
    console().print(f"{counted(tutor.progress.delete_learner(learner))} of {learner!r} deleted.")


def feedback(
    learner: Annotated[str, typer.Option(help="Only of this learner; everybody if left out.")] = "",
    as_json: Json = False,
) -> None:
    """List the thumbs that answers got, with the reasons.

    Example: tutor feedback --json
    """
    thumbs = _tutor("").progress.feedback(learner or None)
    if as_json:
        print_json(
            [
                {
                    "learner": thumb.learner,
                    "at": thumb.at.isoformat(),
                    "kind": thumb.kind,
                    "reason": thumb.reason,
                    "question": thumb.question,
                    "answer": thumb.answer,
                }
                for thumb in thumbs
            ]
        )
        return
    if not thumbs:
        console().print("No thumbs yet. They are given below an answer on the page: tutor serve")
    for thumb in thumbs:
        reason = f": {thumb.reason}" if thumb.reason else ""
        console().print(f"{thumb.at:%Y-%m-%d}  {thumb.learner}  {thumb.kind:<4}  {thumb.question}{reason}")


# What the commands share


def _tutor(learner: str, **overrides: Any) -> Tutor:  # noqa: ANN401 - a value for any setting
    return make_tutor(effective_settings(learner=learner, **overrides))


def _questions(tutor: Tutor, topic: str, level: str) -> list[Question]:
    check_choices(tutor, topic, level)
    found = tutor.search_questions(topic=topic, level=level)
    if not found:
        raise typer.BadParameter(f"there is no question on {topic!r} of the level {level!r}. See: tutor questions")
    return found


def _now() -> datetime:
    """The moment, in the time zone of this machine: days begin at its midnight."""
    return datetime.now().astimezone()


def _due_record(card: Card, now: datetime) -> dict[str, Any]:
    return {
        "question_id": card.question_id,
        "topic": card.topic,
        "due": card.due.isoformat(),
        "recall": round(card.recall(now), 4),
        "stability_days": round(card.stability_days, 2),
        "attempts": card.attempts,
        "last_review": card.last_review.isoformat(),
    }


def _plan_record(planned: StudyPlan, *, needed: int) -> dict[str, Any]:
    return {
        "until": planned.until.isoformat(),
        "a_day": planned.a_day,
        "is_met": planned.is_met,
        "never_asked": planned.never_asked,
        "overdue": planned.overdue,
        "needed_a_day": needed,
        "days": [{"day": day.day.isoformat(), "again": day.again, "new": day.new} for day in planned.days],
    }

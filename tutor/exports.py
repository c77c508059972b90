"""A learner's history and the question bank as files: JSON that can be read in again, CSV for a spreadsheet, a deck for Anki."""

from __future__ import annotations

import csv
import html
import itertools
import json
import os
import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from markdown_it import MarkdownIt
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from corpus.questions import Question
from tutor.answers import Citation
from tutor.batch_grading import safe_cell
from tutor.progress import Review, stamp
from tutor.schedule import GOOD, rating

HISTORY_VERSION = 1
MAX_HISTORY_BYTES = 512 * 2**20
_ANKI_MODEL = 1_763_203_117
"""Anki knows the form of our notes by it, so it stays for good."""
_CSV_COLUMNS = (
    "reviewed_at", "question_id", "topic", "question", "score", "hints", "rating", "attempt", "missed", "feedback",
)  # fmt: skip


class HistoryFileError(ValueError):
    """A file that is no history of ours; the message says what is wrong with it."""


# The history as JSON

Moment = Annotated[AwareDatetime, PlainSerializer(stamp)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Open(BaseModel):
    """What may hold more than we look at."""

    model_config = ConfigDict(extra="allow")


class _Verdict(_Open):
    key_point: str
    verdict: str
    citation: dict[str, Any] | None = None


class _Grade(_Open):
    verdicts: list[_Verdict] = []


class _Review(_Record):
    reviewed_at: Moment
    question_id: str
    topic: str
    score: float | None = Field(ge=0, le=1)
    attempt: str
    hints: int = Field(ge=0)
    grade: _Grade


class _Exchange(_Record):
    asked_at: Moment
    question: str
    answer: dict[str, Any]


class _Interview(_Record):
    interview_id: str
    started_at: Moment
    plan: dict[str, Any]


class _Turn(_Record):
    interview_id: str
    number: int
    taken_at: Moment
    turn: dict[str, Any]


class _Conversation(_Record):
    conversation_id: str
    title: str
    turns: list[dict[str, Any]]
    updated_at: Moment


class _Feedback(_Record):
    given_at: Moment
    kind: Literal["up", "down"]
    reason: str
    question: str
    answer: dict[str, Any]


class _History(_Record):
    version: Literal[1]
    learner: str
    exported_at: Moment
    reviews: list[_Review] = []
    exchanges: list[_Exchange] = []
    interviews: list[_Interview] = []
    turns: list[_Turn] = []
    conversations: list[_Conversation] = []
    feedback: list[_Feedback] = []


History = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each table, as `ProgressStore.history` gives them and `ProgressStore.merge_history` takes them."""


def write_history(file: Path, learner: str, history: History, *, now: datetime) -> None:
    """Write everything of a learner as JSON."""
    record = {"version": HISTORY_VERSION, "learner": learner, "exported_at": stamp(now), **history}
    with _replaced(file) as part:
        part.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_history(file: Path) -> History:
    """What `write_history` wrote. Raises HistoryFileError where any of it is not as expected, and then none of it is to be used."""
    if file.stat().st_size > MAX_HISTORY_BYTES:
        raise HistoryFileError(f"{file.name} has more than {MAX_HISTORY_BYTES // 2**20} MiB: no history is that long.")
    try:
        history = _History.model_validate_json(file.read_bytes())
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        more = f"; and {len(mistakes) - 3} more" if len(mistakes) > 3 else ""
        raise HistoryFileError(
            f"{file.name} is no history that can be read ({'; '.join(mistakes[:3])}{more}). Nothing was imported. "
            "Expected a file that `tutor progress export --json` wrote."
        ) from error
    begun = {interview.interview_id for interview in history.interviews}
    strays = sorted({turn.interview_id for turn in history.turns} - begun)
    if strays:
        raise HistoryFileError(
            f"{file.name} has turns of the interview {strays[0]!r}, but not the interview. Nothing was imported."
        )
    # Only what the file says: defaults would make other records of them.
    record = history.model_dump(exclude_unset=True)
    return {name: rows for name, rows in record.items() if isinstance(rows, list)}


def counted(rows: Mapping[str, int]) -> str:
    """How many rows of each table, in words: `12 reviews, 3 interviews`."""
    return ", ".join(f"{count} {table}" for table, count in rows.items() if count) or "nothing"


# Attempts as CSV


def write_attempts(file: Path, reviews: Sequence[Review], questions: Mapping[str, Question]) -> None:
    """Write each graded attempt as a line for a spreadsheet; `questions` by id, for their wording."""
    with _replaced(file) as part, part.open("w", encoding="utf-8-sig", newline="") as output:
        # With the mark at its head Excel reads the file as UTF-8.
        writer = csv.writer(output)
        writer.writerow(_CSV_COLUMNS)
        for review in reviews:
            prompt = questions[review.question_id].prompt if review.question_id in questions else ""
            missed = [
                str(verdict["key_point"])
                for verdict in review.grade.get("verdicts", ())
                if verdict["verdict"] in {"missing", "partial", "contradicted"}
            ]
            cells = (
                stamp(review.reviewed_at),
                review.question_id,
                review.topic,
                prompt or str(review.grade.get("question", "")),
                "" if review.score is None else f"{review.score:.4f}",
                str(review.hints),
                "" if review.score is None else rating(review.score, review.hints),
                review.attempt,
                "\n".join(missed),
                str(review.grade.get("feedback", "")),
            )
            writer.writerow(map(safe_cell, cells))


# Questions as an Anki deck


def write_anki_deck(
    file: Path,
    questions: Sequence[Question],
    *,
    scores: Mapping[str, float],
    cite: Callable[[str, str], Citation | None],
    now: datetime,
) -> None:
    """Write an Anki package: a deck for each topic, a note for each question with key points, model answer and sources.

    `scores` are the learner's latest, by question; `cite` finds the passage of a guide section (`topic#anchor`) that supports a text. Notes
    keep their ids: importing a later package updates those that are there, and leaves their intervals as they are.
    """
    import genanki

    model = genanki.Model(
        _ANKI_MODEL,
        "Interview Tutor",
        fields=[{"name": name} for name in ("Question", "Key points", "Model answer", "Sources", "About")],
        templates=[
            {
                "name": "Question",
                "qfmt": '<div class="about">{{About}}</div>{{Question}}',
                "afmt": "{{FrontSide}}<hr id=answer>{{Key points}}{{Model answer}}{{Sources}}",
            }
        ],
        css=".card { font-family: sans-serif; font-size: 18px; text-align: left; max-width: 45em; margin: 1em auto; }\n"
        ".about { font-size: 14px; opacity: .7; }\npre { overflow-x: auto; }",
    )
    decks: dict[str, Any] = {}
    for question in questions:
        topic = question.topic.replace("-", " ").capitalize()
        deck = decks.setdefault(question.topic, genanki.Deck(_stable(question.topic), f"Interview Tutor::{topic}"))
        fields = [
            _html(question.prompt),
            _html("**Key points**\n\n" + "\n".join(f"- {_one_line(point.text)}" for point in question.key_points)),
            _html(f"**Model answer**\n\n{question.answer}"),
            _html(_sources(question, cite)),
            html.escape(f"{topic}, {question.level}, {question.kind}"),
        ]
        tags = [
            f"interview-tutor::{tag}" for tag in (question.level, question.kind, _standing(scores.get(question.id)))
        ]
        guid = genanki.guid_for("interview-tutor", question.id)
        deck.add_note(genanki.Note(model=model, fields=fields, tags=tags, guid=guid))
    # The package's own writer leaves a copy of the database among the temporary files each time.
    with _replaced(file) as part, TemporaryDirectory() as folder:
        collection = Path(folder) / "collection.anki2"
        with closing(sqlite3.connect(collection)) as connection:
            numbers = itertools.count(int(now.timestamp() * 1000))
            genanki.Package(list(decks.values())).write_to_db(connection.cursor(), now.timestamp(), numbers)
            connection.commit()
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as package:
            package.write(collection, "collection.anki2")
            package.writestr("media", "{}")


def _stable(topic: str) -> int:
    """An id of a deck, between 2^30 and 2^31 as Anki makes them, the same for the same topic."""
    return 2**30 + int.from_bytes(sha256(topic.encode()).digest()[:4]) % 2**30


def _standing(score: float | None) -> str:
    return "new" if score is None else "strong" if score >= GOOD else "weak"


def _sources(question: Question, cite: Callable[[str, str], Citation | None]) -> str:
    """The sections that the key points rest on, each with the sentences that support them best."""
    lines: list[str] = []
    for section in dict.fromkeys(point.section for point in question.key_points):
        cited = [cite(point.section, point.text) for point in question.key_points if point.section == section]
        found = [citation for citation in cited if citation is not None]
        if found:
            lines.append(f"- {_one_line(found[0].chunk.title)} > {_one_line(found[0].chunk.path)} ({section})")
            lines += [f"\n  > {quote}" for quote in dict.fromkeys(_one_line(citation.quote) for citation in found)]
    return "**Read**\n\n" + "\n".join(lines) if lines else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _html(text: str) -> str:
    """Markdown as Anki shows it: HTML, with formulas in the brackets that its MathJax knows."""
    return str(_markdown().render(text)).strip()


@cache
def _markdown() -> MarkdownIt:
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(content: str, options: Mapping[str, Any]) -> str:
        opening, closing_ = (r"\[", r"\]") if options.get("display_mode") else (r"\(", r"\)")
        return f"{opening}{html.escape(content.strip())}{closing_}"

    # HTML in a question is shown, not obeyed.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return markdown.use(dollarmath_plugin, double_inline=True, renderer=formula)


@contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    """A file beside it to write to, which takes its place once all is written."""
    part = file.with_name(f".{file.name}.part")
    try:
        yield part
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)

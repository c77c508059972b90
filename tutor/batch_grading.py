"""Answers of a class graded from a CSV file into another: a row for each answer, a column for each key point."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from corpus.documents import UnreadableFileError, decode
from corpus.questions import Question
from tutor.grading import Grade, GradingError

if TYPE_CHECKING:
    from tutor.tutor import Tutor

QUESTION, ANSWER, LEARNER, REFERENCE = "question", "answer", "learner", "reference"
REQUIRED = (QUESTION, ANSWER)
RESULT_COLUMNS = ("score", "evidence", "remark", "error")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so; what a learner wrote must not run."""


@dataclass(frozen=True)
class BatchRow:
    """One answer of the file, with the question it is graded by or the reason why it cannot be."""

    line: int
    """1-based; where the row ends in the file."""
    cells: tuple[str, ...]
    answer: str = ""
    learner: str = ""
    question: Question | None = None
    error: str = ""


@dataclass(frozen=True)
class Batch:
    """A file of answers: its columns and rows."""

    columns: tuple[str, ...]
    rows: tuple[BatchRow, ...]

    @property
    def points(self) -> dict[tuple[str, int], str]:
        """A column for each key point of each question, by question id and number, in the order of the rows."""
        return {
            (question.id, number): f"{question.id} {number}: {point.text}"
            for row in self.rows
            for question in [row.question]
            if question is not None
            for number, point in enumerate(question.key_points, start=1)
        }


def read_batch(file: Path, find_question: Callable[[str, str], Question]) -> Batch:
    """Read a CSV file with the columns `question` (id or wording) and `answer`, and, if wanted, `learner` and `reference`.

    `find_question(id_or_text, reference)` raises ValueError for one that cannot be had: the row then carries the reason. Raises
    GradingError where the file is no such CSV, FileNotFoundError where there is none.
    """
    try:
        text = decode(file.read_bytes())
    except UnreadableFileError as error:
        raise GradingError(f"{str(file)!r} cannot be read: {error}") from error
    lines = _lines(text)
    columns = next(lines, (0, (), ""))[1]
    names = [column.strip().lower() for column in columns]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise GradingError(
            f"{str(file)!r} has no column {' and no column '.join(map(repr, missing))}. Found: {', '.join(columns) or 'nothing'}. Expected a "
            "first line with question and answer; learner and reference may stand beside them."
        )
    # A class answers one question: it is looked up once.
    find = cache(find_question)
    rows = tuple(_row(line, cells, error, names, find) for line, cells, error in lines if error or any(cells))
    if not rows:
        raise GradingError(f"{str(file)!r} has no answers: there is nothing below its first line.")
    return Batch(tuple(columns), rows)


def _lines(text: str) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """The rows, each with the line where it ends; one that cannot be parsed has the reason."""
    # Excel writes semicolons where the comma is the decimal sign.
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, (), f"The row cannot be read: {error}."
        else:
            yield reader.line_num, tuple(cells), ""


def _row(
    line: int, cells: tuple[str, ...], error: str, names: Sequence[str], find_question: Callable[[str, str], Question]
) -> BatchRow:
    if not error and len(cells) != len(names):
        error = f"The row has {len(cells)} cells. Expected {len(names)}: put cells that hold the separator in quotes."
    if error:
        return BatchRow(line, (*cells, *[""] * len(names))[: len(names)], error=error)
    values = dict(zip(names, cells, strict=True))
    row = BatchRow(line, cells, values[ANSWER], values.get(LEARNER, "").strip())
    try:
        question = find_question(values[QUESTION], values.get(REFERENCE, ""))
    except ValueError as problem:
        return BatchRow(line, cells, row.answer, row.learner, error=str(problem))
    return BatchRow(line, cells, row.answer, row.learner, question)


def grade_batch(
    tutor: Tutor, batch: Batch, output: TextIO, *, progress: Callable[[str, int, int], None]
) -> list[tuple[int, str]]:
    """Grade every row and write it at once; returns the lines that failed, with the reasons.

    `output` is opened with `newline=""`. A grade is kept in the history of the learner that the row names, if it names one.
    """
    points = batch.points
    writer = csv.writer(output)
    writer.writerow(map(safe_cell, (*batch.columns, "score", *points.values(), *RESULT_COLUMNS[1:])))
    failures: list[tuple[int, str]] = []
    for done, row in enumerate(batch.rows):
        progress("grading", done, len(batch.rows))
        grade, error = None, row.error
        if row.question is not None:
            try:
                if row.learner:
                    grade = tutor.grade(row.question, row.answer, learner=row.learner)
                else:
                    grade = tutor.judge(row.question, row.answer)
            except GradingError as problem:
                error = str(problem)
        if error:
            failures.append((row.line, error))
        writer.writerow(map(safe_cell, (*row.cells, *_results(grade, list(points)), error)))
    return failures


def _results(grade: Grade | None, points: Sequence[tuple[str, int]]) -> list[str]:
    """Score, a verdict for each key point, evidence and remark."""
    if grade is None:
        return [""] * (len(points) + 3)
    # What is computed (the result of a calculation) is no key point of the bank; the evidence column names it.
    numbers = {point: number for number, point in enumerate(grade.question.key_points, start=1)}
    verdicts = {
        (grade.question.id, numbers[verdict.key_point]): verdict.verdict + (" (uncertain)" if verdict.doubt else "")
        for verdict in grade.verdicts
        if verdict.key_point in numbers
    }
    evidence = [
        f"{numbers.get(verdict.key_point, verdict.key_point.text)}: {verdict.evidence}"
        for verdict in grade.verdicts
        if verdict.evidence
    ]
    doubts = [verdict.doubt for verdict in grade.verdicts if verdict.doubt]
    wrong = [f"Misconception: {found.misconception.text}" for found in grade.misconceptions]
    return [
        "" if grade.score is None else str(grade.score),
        *(verdicts.get(point, "") for point in points),
        "\n".join(evidence),
        "\n".join((*grade.remarks, *wrong, *doubts)),
    ]


def safe_cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text

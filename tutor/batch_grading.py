"""Answers of a class graded from a CSV file into another: a row for each answer, a column for each key point."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from corpus.documents import UnreadableFileError, decode
from corpus.questions import Question
from tutor.calibration import Calibration, GradedAnswer, keep_graded, read_calibrations
from tutor.grader import shipped_grader
from tutor.grading import Grade, GradingError

if TYPE_CHECKING:
    from tutor.tutor import Tutor

QUESTION, ANSWER, LEARNER, REFERENCE, HUMAN = "question", "answer", "learner", "reference", "human_score"
REQUIRED = (QUESTION, ANSWER)
RESULT_COLUMNS = ("score", "calibrated_score", "evidence", "remark", "error")
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
    human_score: float | None = None
    """What a person gave, 0 to 1; None where nobody did."""
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


def read_batch(file: Path, find_question: Callable[..., Question]) -> Batch:
    """Read a CSV file with the columns `question` (id or wording) and `answer`, and, if wanted, `learner`, `reference` and `human_score`.

    Columns `reference 2`, `reference_b` and the like hold answers that are as good as the first. `find_question(id_or_text, *references)` raises ValueError for one that cannot be had: the row then carries the reason. Raises
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
            "first line with question and answer; learner, reference and human_score may stand beside them."
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
    line: int, cells: tuple[str, ...], error: str, names: Sequence[str], find_question: Callable[..., Question]
) -> BatchRow:
    if not error and len(cells) != len(names):
        error = f"The row has {len(cells)} cells. Expected {len(names)}: put cells that hold the separator in quotes."
    if error:
        return BatchRow(line, (*cells, *[""] * len(names))[: len(names)], error=error)
    values = dict(zip(names, cells, strict=True))
    row = BatchRow(line, cells, values[ANSWER], values.get(LEARNER, "").strip())
    references = [values[name] for name in names if re.fullmatch(rf"{REFERENCE}s?[ _-]*\w{{0,3}}", name)]
    try:
        question, human = (
            find_question(values[QUESTION], *filter(str.strip, references)),
            _human_score(values.get(HUMAN, "")),
        )
    except ValueError as problem:
        return replace(row, error=str(problem))
    return replace(row, question=question, human_score=human)


def _human_score(text: str) -> float | None:
    """The score of a cell, such as 0.8, 80 % or 4/5; None for an empty one."""
    match = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*(?:(%)|/\s*(\d+(?:[.,]\d+)?))?\s*", text)
    if not match:
        if text.strip():
            raise GradingError(f"The human_score is {text!r}. Expected a number from 0 to 1, such as 0.8, 80 % or 4/5.")
        return None
    given, percent, full = match.groups()
    share = float(given.replace(",", ".")) / (100 if percent else float((full or "1").replace(",", ".")) or 1)
    if share > 1:
        raise GradingError(
            f"The human_score {text!r} is more than full marks. Expected a number from 0 to 1, 80 % or 4/5."
        )
    return share


def grade_batch(
    tutor: Tutor, batch: Batch, output: TextIO, *, progress: Callable[[str, int, int], None]
) -> list[tuple[int, str]]:
    """Grade every row and write it at once; returns the lines that failed, with the reasons.

    `output` is opened with `newline=""`. A grade is kept in the history of the learner that the row names, if it names one. Rows with a
    human score calibrate their questions for the answers that are graded after this file; the file graded again, each row by the others.
    """
    calibrations = read_calibrations(tutor.settings.home, shipped_grader().lexicon)
    graded: dict[str, list[GradedAnswer]] = {}
    points = batch.points
    writer = csv.writer(output)
    writer.writerow(map(safe_cell, (*batch.columns, *RESULT_COLUMNS[:2], *points.values(), *RESULT_COLUMNS[2:])))
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
        if row.human_score is not None and grade is not None and grade.score is not None:
            kept = GradedAnswer(row.answer, grade.score, row.human_score)
            graded.setdefault(grade.question.id, []).append(kept)
        writer.writerow(map(safe_cell, (*row.cells, *_results(row, grade, list(points), calibrations), error)))
    if graded:
        keep_graded(tutor.settings.home, graded)
    return failures


def _results(
    row: BatchRow,
    grade: Grade | None,
    points: Sequence[tuple[str, int]],
    calibrations: Mapping[str, Calibration],
) -> list[str]:
    """Score, what people would give, a verdict for each key point, evidence and remark."""
    if grade is None:
        return [""] * (len(points) + 4)
    # What is computed (the result of a calculation) is no key point of the bank; the evidence column names it.
    numbers = {point: number for number, point in enumerate(grade.question.key_points, start=1)}
    verdicts = {
        (grade.question.id, numbers[verdict.key_point]): verdict.verdict
        + (f" {verdict.share:.0%}" if verdict.share else "")
        + (" (uncertain)" if verdict.doubt else "")
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
        _calibrated(row, grade, calibrations.get(grade.question.id)),
        *(verdicts.get(point, "") for point in points),
        "\n".join(evidence),
        "\n".join((*grade.remarks, *wrong, *doubts)),
    ]


def _calibrated(row: BatchRow, grade: Grade, learned: Calibration | None) -> str:
    """What people would give; empty where nothing was learned, or the answer got no score."""
    if learned is None or grade.score is None:
        return ""
    own = learned.own_of(row.answer, row.human_score)
    return str(learned.calibrated(grade.question.prompt, row.answer, grade.score, own=own))


def safe_cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text

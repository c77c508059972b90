"""What the grader's score of a question is worth in marks: learned from answers that people graded, kept in the home folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tutor.grading import GradingError

LEAST_GRADED = 8
"""Graded answers from which a question is calibrated."""
_PRIOR = 1.0
"""Squared error, in graded answers, that a unit of shift or slope away from the score as it is must save."""
_FILE = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """A line from the grader's scores to people's that never falls: more is never worth less."""

    graded: int
    """Answers that it was learned from."""
    shift: float
    slope: float

    def __call__(self, score: float) -> float:
        """What people would give, 0 to 1; what earned nothing earns nothing."""
        return round(min(1.0, max(0.0, self.shift + self.slope * score)), 4) if score > 0 else 0.0


def calibration(pairs: Sequence[tuple[float, float]]) -> Calibration | None:
    """Learn from pairs of the grader's score and people's; None where there are too few.

    Ridge regression towards the score as it is: a class gives too few answers for a curve.
    """
    if len(pairs) < LEAST_GRADED:
        return None
    given, human = np.array(pairs, dtype=np.float64).T
    inputs = np.column_stack([np.ones(len(given)), given])
    shift, more = np.linalg.solve(inputs.T @ inputs + _PRIOR * np.eye(2), inputs.T @ (human - given))
    if more < -1:
        # Scores that run against people's tell nothing but their mean.
        return Calibration(len(pairs), float(human.mean()), 0.0)
    return Calibration(len(pairs), round(float(shift), 6), round(1 + float(more), 6))


def read_calibrations(home: Path) -> dict[str, Calibration]:
    """The calibration of each question, by id. Raises GradingError for a file that was changed by hand and cannot be read."""
    learned = {question: calibration(pairs) for question, pairs in _read(home).items()}
    return {question: found for question, found in learned.items() if found}


def keep_graded(home: Path, graded: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Keep pairs of the grader's score and people's, by question id; those of a question replace what was kept of it."""
    file, known = home / _FILE, _read(home)
    known.update({question: list(pairs) for question, pairs in graded.items()})
    home.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(file)


def _read(home: Path) -> dict[str, list[tuple[float, float]]]:
    file = home / _FILE
    if not file.is_file():
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(question): [(float(given), float(human)) for given, human in pairs] for question, pairs in data.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise GradingError(
            f"{str(file)!r} holds no pairs of scores by question ({error}). Delete it, and grade the answers again that have a human score."
        ) from error

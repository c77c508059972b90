"""How well the grader agrees with people: judged answers as JSON lines in, scores and agreement out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tutor.grader import Grader

Numbers = NDArray[np.float64]

RESAMPLES = 1000
_GRIDS = (1, 2, 4, 5, 8, 10, 20)


@dataclass(frozen=True)
class GradingCase:
    """An answer to score, and what people gave it where that is known."""

    id: str
    question: str
    references: tuple[str, ...]
    key_points: tuple[str, ...]
    answer: str
    question_id: str = ""
    score: float | None = None
    """0 to 1."""
    in_marks: bool = False
    """Whether people gave marks, of more than one, and not just right or wrong."""


@dataclass(frozen=True)
class Agreement:
    """A figure over all cases, and the middle 95 % of it over questions drawn anew."""

    value: float
    low: float
    high: float


def read_grading_cases(file: Path) -> list[GradingCase]:
    """Cases of a JSON-lines file.

    A line has `id` and `answer`, one of `reference`, `references`, `key_point` and `key_points`, and may have `question`,
    `question_id`, `max_score` (above 1: people gave marks), and `score` or `label`. Raises ValueError that names every broken line.
    """
    cases: list[GradingCase] = []
    mistakes = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            cases.append(_case(json.loads(line)))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            mistakes.append(f"line {number}: {error}")
    if mistakes:
        raise ValueError(
            f"{file.name} has {len(mistakes)} broken lines ({'; '.join(mistakes[:3])}). Expected objects with id, answer and a "
            "reference, references, key_point or key_points."
        )
    if not cases:
        raise ValueError(f"{file.name} has no cases. Expected an object {{id, question, reference, answer}} a line.")
    return cases


def _case(row: Mapping[str, object]) -> GradingCase:
    references, points = (
        [*_texts(row, many), *([str(row[one])] if row.get(one) else [])]
        for one, many in (("reference", "references"), ("key_point", "key_points"))
    )
    if not (references or points):
        raise ValueError("nothing to judge the answer by")
    label = row.get("score", row.get("label"))
    return GradingCase(
        str(row["id"]),
        str(row.get("question") or ""),
        tuple(dict.fromkeys(references)),
        tuple(points),
        str(row["answer"] or ""),
        str(row.get("group") or row.get("question_id") or row["id"]),
        None if label is None else float(str(label)),
        float(str(row.get("max_score") or 1)) > 1,
    )


def _texts(row: Mapping[str, object], name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list):
        raise TypeError(f"{name} is no list")
    return [str(text) for text in value if str(text).strip()]


def score_cases(cases: Sequence[GradingCase], grader: Grader) -> list[float]:
    """The grader's score of each case, 0 to 1."""
    return [
        grader.score_answer(
            case.question,
            case.answer,
            references=case.references,
            key_points=case.key_points,
            in_marks=case.in_marks,
        )
        for case in cases
    ]


def write_predictions(file: Path, cases: Sequence[GradingCase], scores: Sequence[float]) -> None:
    """One `{id, score}` a line."""
    lines = [json.dumps({"id": case.id, "score": round(score, 6)}) for case, score in zip(cases, scores, strict=True)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def agreement(cases: Sequence[GradingCase], scores: Sequence[float], *, seed: int = 0) -> dict[str, Agreement]:
    """Agreement with people, each figure with an interval by question; empty where no case has a label.

    Right-or-wrong labels: Pearson, AUC and macro-F1 at 0.5. Marks: Pearson, RMSE and quadratic weighted kappa (Cohen 1968) on the
    coarsest grid that holds the marks.
    """
    known = [(case, score) for case, score in zip(cases, scores, strict=True) if case.score is not None]
    if not known:
        return {}
    gold = np.array([case.score for case, _ in known], dtype=np.float64)
    given = np.array([score for _, score in known], dtype=np.float64)
    _, question = np.unique([case.question_id for case, _ in known], return_inverse=True)
    rows = [np.flatnonzero(question == number) for number in range(int(question.max()) + 1)]
    is_binary, grid = set(gold) <= {0.0, 1.0}, _grid(gold)
    dice = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([rows[number] for number in dice.integers(len(rows), size=len(rows))])
        drawn.append(_figures(gold[chosen], given[chosen], grid, is_binary=is_binary))
    return {
        name: Agreement(value, *np.nanpercentile([figures[name] for figures in drawn], [2.5, 97.5]).tolist())
        for name, value in _figures(gold, given, grid, is_binary=is_binary).items()
    }


def _figures(gold: Numbers, given: Numbers, grid: int, *, is_binary: bool) -> dict[str, float]:
    figures = {"pearson": _pearson(gold, given)}
    if is_binary:
        return figures | {"auc": _auc(gold, given), "macro_f1": _macro_f1(gold == 1, given >= 0.5)}
    return figures | {"rmse": float(np.sqrt(np.mean((gold - given) ** 2))), "qwk": _kappa(gold, given, grid)}


def _grid(gold: Numbers) -> int:
    """The fewest equal steps of 0 to 1 that at least 95 % of the marks stand on."""
    fitting = (steps for steps in _GRIDS if np.mean(np.abs(gold * steps - np.rint(gold * steps)) < 1e-6) >= 0.95)
    return next(fitting, 10)


def _pearson(gold: Numbers, given: Numbers) -> float:
    gold, given = gold - gold.mean(), given - given.mean()
    norm = float(np.sqrt((gold @ gold) * (given @ given)))
    return float(gold @ given) / norm if norm > 1e-12 else 0.0


def _auc(gold: Numbers, given: Numbers) -> float:
    """Chance that a right answer is above a wrong one, ties half."""
    from scipy.stats import rankdata

    right = int(gold.sum())
    wrong = len(gold) - right
    if not right or not wrong:
        return float("nan")
    return float((rankdata(given)[gold == 1].sum() - right * (right + 1) / 2) / (right * wrong))


def _macro_f1(gold: NDArray[np.bool_], given: NDArray[np.bool_]) -> float:
    shares = []
    for side in (True, False):
        hits, sizes = np.sum((gold == side) & (given == side)), np.sum(gold == side) + np.sum(given == side)
        shares.append(2 * hits / sizes if sizes else 0.0)
    return float(np.mean(shares))


def _kappa(gold: Numbers, given: Numbers, grid: int) -> float:
    gold, given = np.rint(gold * grid), np.rint(np.clip(given, 0, 1) * grid)
    by_chance = (gold**2).mean() + (given**2).mean() - 2 * gold.mean() * given.mean()
    return float(1 - ((gold - given) ** 2).mean() / by_chance) if by_chance > 0 else 0.0

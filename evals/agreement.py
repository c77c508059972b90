"""How far verdicts and chances agree with people's: figures over rows that both judged, and how far a chance can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.report import Confusion, Curve
from evals.statistics import Numbers

Flags = NDArray[np.bool_]
Names = NDArray[np.str_]
_GRIDS = (1, 2, 4, 5, 8, 10, 20)
_BINS = 10


def flag_figures(gold: Flags, score: Numbers, flagged: Flags) -> dict[str, float]:
    """How well what people flagged is found: AUC of the score, and at the threshold F1, its mean over both classes, and recall's.

    NaN where people flagged all or nothing.
    """
    if gold.all() or not gold.any():
        return dict.fromkeys(("auc", "f1", "macro_f1", "balanced_accuracy"), float("nan"))
    return {
        "auc": auc(gold, score),
        "f1": f1(gold, flagged),
        "macro_f1": (f1(gold, flagged) + f1(~gold, ~flagged)) / 2,
        "balanced_accuracy": (float(flagged[gold].mean()) + float((~flagged)[~gold].mean())) / 2,
    }


def f1(gold: Flags, flagged: Flags) -> float:
    """Harmonic mean of precision and recall; 0 where nothing was flagged by either."""
    size = int(gold.sum()) + int(flagged.sum())
    return 2 * int((gold & flagged).sum()) / size if size else 0.0


def auc(gold: Flags, score: Numbers) -> float:
    """Chance that one of the flagged scores above one of the others, ties half (Mann and Whitney 1947); NaN without both."""
    from scipy.stats import rankdata

    inside = int(gold.sum())
    outside = len(gold) - inside
    if not inside or not outside:
        return float("nan")
    return float((rankdata(score)[gold].sum() - inside * (inside + 1) / 2) / (inside * outside))


def verdict_figures(gold: Names, given: Names, names: Sequence[str]) -> dict[str, float]:
    """F1 of each verdict, their mean, the share of equal verdicts, and Cohen's kappa (1960): what of it is not chance."""
    figures = {f"f1_{name}": f1(gold == name, given == name) for name in names}
    equal = float((gold == given).mean())
    by_chance = sum(float((gold == name).mean() * (given == name).mean()) for name in names)
    return {
        **figures,
        "macro_f1": sum(figures.values()) / len(names),
        "agreement": equal,
        "kappa": (equal - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0,
    }


def score_figures(gold: Numbers, given: Numbers, grid: int) -> dict[str, float]:
    """Pearson's correlation, root of the mean squared difference, and quadratic weighted kappa (Cohen 1968) of scores 0 to 1."""
    return {
        "pearson": pearson(gold, given),
        "rmse": float(np.sqrt(np.mean((gold - given) ** 2))),
        "qwk": _quadratic_kappa(gold, given, grid),
    }


def pearson(gold: Numbers, given: Numbers) -> float:
    """Correlation, -1 to 1; 0 where one side does not vary."""
    gold, given = gold - gold.mean(), given - given.mean()
    norm = float(np.sqrt((gold @ gold) * (given @ given)))
    return float(gold @ given) / norm if norm > 1e-12 else 0.0


def grid_of(gold: Numbers) -> int:
    """The fewest equal steps of 0 to 1 that at least 95 % of the marks stand on."""
    fitting = (steps for steps in _GRIDS if np.mean(np.abs(gold * steps - np.rint(gold * steps)) < 1e-6) >= 0.95)
    return next(fitting, 10)


def confusion(title: str, gold: Sequence[str], given: Sequence[str], names: Sequence[str]) -> Confusion:
    """How often people's verdict (a row) got each verdict (a column)."""
    columns = [*names, *sorted(set(given) - set(names))]
    counts: Mapping[str, Sequence[int]] = {
        name: [
            sum(wanted == name and found == column for wanted, found in zip(gold, given, strict=True))
            for column in columns
        ]
        for name in names
    }
    return Confusion(title, columns, counts)


def reliability(title: str, axis: str, chances: Numbers, outcomes: Numbers) -> Curve:
    """What came of the cases that were given about the same chance: ten groups of one size, the mean of each.

    On the dotted line a chance is as often right as it says (DeGroot and Fienberg 1983).
    """
    order = np.argsort(chances, kind="stable")
    groups = [group for group in np.array_split(order, _BINS) if len(group)]
    points = [(float(chances[group].mean()), float(outcomes[group].mean())) for group in groups]
    return Curve(title, axis, {"measured": points, "ideal": [(0.0, 0.0), (1.0, 1.0)]})


def _quadratic_kappa(gold: Numbers, given: Numbers, grid: int) -> float:
    gold, given = np.rint(gold * grid), np.rint(np.clip(given, 0, 1) * grid)
    by_chance = (gold**2).mean() + (given**2).mean() - 2 * gold.mean() * given.mean()
    return float(1 - ((gold - given) ** 2).mean() / by_chance) if by_chance > 0 else 0.0

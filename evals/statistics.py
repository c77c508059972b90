"""Is a figure sure, and is a difference more than chance? Bootstrap intervals and paired tests over questions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Places = NDArray[np.intp]
Outcome = Literal["better", "worse", "no difference that could not be chance"]

RESAMPLES = 2_000
SIGNIFICANCE = 0.05
_MIDDLE = (2.5, 97.5)
_MOST_EXACT = 12
"""Differences up to which every way to set their signs is tried; more are drawn."""
_SAME = 1e-12
"""Sums that differ by less are equal: floating point adds in another order."""


@dataclass(frozen=True)
class Interval:
    """A figure, and the middle 95 % of it over questions drawn anew."""

    value: float
    low: float
    high: float
    cases: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class PairedComparison:
    """How much a second run differs from a first on the same questions."""

    before: float
    after: float
    difference: Interval
    """Of the means, second less first."""
    p_value: float
    """Chance of a difference as large where the two runs are alike."""

    @property
    def chance(self) -> str:
        """The p-value for a reader."""
        return "p < 0.001" if self.p_value < 0.001 else f"p {self.p_value:.3f}"

    @property
    def outcome(self) -> Outcome:
        """What may be said of it at a significance of 0.05, for a metric of which more is better."""
        if self.p_value >= SIGNIFICANCE:
            return "no difference that could not be chance"
        return "better" if self.difference.value > 0 else "worse"


def bootstrap_means(rows: Sequence[Mapping[str, float]], *, seed: int) -> dict[str, Interval]:
    """The mean of each metric over questions, with a percentile interval (Efron 1979); empty without a question.

    All metrics are taken of the same draws. Raises ValueError where a question lacks one of the first one's metrics.
    """
    if not rows:
        return {}
    metrics = list(rows[0])
    lacking = sorted({name for row in rows for name in metrics if name not in row})
    if lacking:
        raise ValueError(f"Not every case has a value of {', '.join(lacking)}. Expected the same metrics in all.")
    values = np.array([[row[name] for name in metrics] for row in rows], dtype=np.float64)
    dice = np.random.default_rng(seed)
    means = np.array([values[dice.integers(len(rows), size=len(rows))].mean(axis=0) for _ in range(RESAMPLES)])
    low, high = np.percentile(means, _MIDDLE, axis=0)
    whole = values.mean(axis=0)
    return {
        name: Interval(float(whole[place]), float(low[place]), float(high[place]), len(rows))
        for place, name in enumerate(metrics)
    }


def bootstrap_figures(
    clusters: Sequence[Hashable], figures: Callable[[Places], Mapping[str, float]], *, seed: int
) -> dict[str, Interval]:
    """Figures that are no means over rows, such as F1 or AUC, with percentile intervals.

    `figures` computes them of the rows whose places it is given; `clusters` names the question of each row, and the rows of
    one are drawn together. A draw without a value of a figure (NaN: one class alone) does not count for it; a figure that has
    none over all rows is left out. Empty without rows.
    """
    if not clusters:
        return {}
    members: dict[Hashable, list[int]] = {}
    for place, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(place)
    rows = [np.array(places) for places in members.values()]
    dice = np.random.default_rng(seed)
    drawn = [
        figures(np.concatenate([rows[number] for number in dice.integers(len(rows), size=len(rows))]))
        for _ in range(RESAMPLES // 2)
    ]
    found = {}
    for name, value in figures(np.arange(len(clusters))).items():
        if np.isnan(value):
            continue
        low, high = np.percentile([draw[name] for draw in drawn if not np.isnan(draw[name])] or [value], _MIDDLE)
        found[name] = Interval(float(value), float(low), float(high), len(rows))
    return found


def auc_interval(above: Sequence[float], below: Sequence[float], *, seed: int) -> Interval:
    """Chance that one of `above` is larger than one of `below`, ties half (Mann and Whitney 1947); both drawn anew.

    Raises ValueError where one side is empty.
    """
    if not above or not below:
        raise ValueError("AUC needs cases of both kinds: some that the guides answer and some that they do not.")
    larger = np.subtract.outer(np.array(above), np.array(below))
    wins = (np.sign(larger) + 1) / 2
    dice = np.random.default_rng(seed)
    drawn = [
        wins[np.ix_(dice.integers(len(above), size=len(above)), dice.integers(len(below), size=len(below)))].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, _MIDDLE)
    return Interval(float(wins.mean()), float(low), float(high), len(above) + len(below))


def compare_paired(before: Sequence[float], after: Sequence[float], *, seed: int) -> PairedComparison:
    """Two runs over the same questions in the same order: paired bootstrap, and a randomization test of the signs.

    The test is Fisher's (1935), recommended for search by Smucker, Allan and Carterette (2007). Raises ValueError for
    no question, or for a different number of them.
    """
    if not before or len(before) != len(after):
        raise ValueError(
            f"Expected values of the same questions in both runs, got {len(before)} and {len(after)}. Join them by id."
        )
    first, second = np.array(before, dtype=np.float64), np.array(after, dtype=np.float64)
    change = second - first
    difference = bootstrap_means([{"": float(value)} for value in change], seed=seed)[""]
    return PairedComparison(float(first.mean()), float(second.mean()), difference, _sign_test(change, seed))


def _sign_test(change: Numbers, seed: int) -> float:
    """Two-sided: the share of ways to set the signs whose sum is as far from nought."""
    moved = change[change != 0]
    if not len(moved):
        return 1.0
    seen = abs(float(moved.sum())) - _SAME
    if len(moved) <= _MOST_EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(moved))))
        return float(np.mean(np.abs(signs @ moved) >= seen))
    dice = np.random.default_rng(seed)
    draws = 10_000
    # A thousand at a time, so that a large set of cases stays small in memory.
    as_far = sum(
        int(np.sum(np.abs(dice.choice((-1.0, 1.0), size=(1_000, len(moved))) @ moved) >= seen))
        for _ in range(draws // 1_000)
    )
    # What was seen counts as one of the draws, so that no chance is given as nought.
    return (as_far + 1) / (draws + 1)

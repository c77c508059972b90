"""What every eval reports alike: figures of each case by group, their means with intervals, limits, JSON and a table."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evals.statistics import Interval, bootstrap_means

if TYPE_CHECKING:
    from rich.table import Table

CaseFigures = Mapping[str, Mapping[str, float]]
"""`{case id: {metric: value}}`."""


@dataclass(frozen=True)
class CaseDetail:
    """One case as a reader judges it for himself."""

    question: str
    passages: tuple[str, ...]
    answer: str
    reason: str
    """What was expected, and what went wrong."""


@dataclass(frozen=True)
class Curve:
    """Lines over one axis, for a plot."""

    title: str
    axis: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class EvalReport:
    """What one run of an eval found. More is better in every metric."""

    name: str
    groups: Mapping[str, CaseFigures]
    """Rankings, kinds or whatever the cases are told apart by; the last one is what the limits look at first."""
    seed: int
    figures: Mapping[str, Interval] = field(default_factory=dict)
    """What is no mean over cases, such as AUC."""
    details: Mapping[str, CaseDetail] = field(default_factory=dict)
    """By case id."""
    curves: Sequence[Curve] = ()
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def intervals(self) -> Mapping[str, Mapping[str, Interval]]:
        """The mean of each metric of each group."""
        return {
            group: bootstrap_means([rows[case] for case in sorted(rows)], seed=self.seed)
            for group, rows in self.groups.items()
        }

    @property
    def values(self) -> dict[str, float]:
        """Each metric once, of the last group that has it."""
        means = {name: found.value for group in self.intervals.values() for name, found in group.items()}
        return means | {name: found.value for name, found in self.figures.items()}

    def worst(self, metric: str) -> list[str]:
        """Ids of the cases by a metric, the worst first; empty where it is no mean over cases."""
        rows: CaseFigures = {}
        for cases in self.groups.values():
            if all(metric in row for row in cases.values()):
                rows = cases
        return sorted(rows, key=lambda case: rows[case][metric])

    @property
    def worst_cases(self) -> list[tuple[str, Mapping[str, float]]]:
        """Cases with a figure below 1, by the mean of their figures in the last group that has them, the worst first."""
        last = {case: row for rows in self.groups.values() for case, row in rows.items()}
        below = [(case, row) for case, row in last.items() if min(row.values()) < 1]
        return sorted(below, key=lambda item: sum(item[1].values()) / len(item[1]))

    def failures(self, limits: Sequence[str]) -> list[str]:
        """One line for each `METRIC=VALUE` that was missed. Raises ValueError for a limit that is none."""
        values, failures = self.values, []
        for limit in limits:
            metric, least = read_limit("--fail-under", limit, values)
            if values[metric] < least:
                worst = ", ".join(self.worst(metric)[:3])
                failures.append(
                    f"{metric} is {values[metric]:.3f}, under {least:.3f}" + (f" (worst: {worst})" if worst else "")
                )
        return failures

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "eval": self.name,
            "settings": dict(self.settings),
            "means": {
                group: {name: _rounded(found) for name, found in intervals.items()}
                for group, intervals in self.intervals.items()
            },
            "figures": {name: _rounded(found) for name, found in self.figures.items()},
            "notes": list(self.notes),
            "by_case": {
                group: {case: {name: round(value, 4) for name, value in row.items()} for case, row in rows.items()}
                for group, rows in self.groups.items()
            },
        }

    @property
    def table(self) -> Table:
        """The report for a terminal."""
        from rich.table import Table

        table = Table("", "cases", "metric", "mean", "95 %", box=None, pad_edge=False)
        for group, intervals in self.intervals.items():
            for name, found in intervals.items():
                table.add_row(
                    group, str(found.cases), name, f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}"
                )
        for name, found in self.figures.items():
            table.add_row("", str(found.cases), name, f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}")
        return table


def read_limit(option: str, limit: str, metrics: Collection[str]) -> tuple[str, float]:
    """`METRIC=VALUE` of a known metric. Raises ValueError that names the option and the metrics."""
    metric, _, wanted = limit.partition("=")
    try:
        value = float(wanted)
    except ValueError:
        value = math.nan
    if metric not in metrics or math.isnan(value):
        raise ValueError(f"{option} {limit!r} is not METRIC=VALUE. Metrics: {', '.join(metrics)}.")
    return metric, value


def _rounded(found: Interval) -> dict[str, float]:
    return {
        "value": round(found.value, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "cases": found.cases,
    }

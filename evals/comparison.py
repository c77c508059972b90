"""Two runs of an eval on the same cases: what changed, whether it is noise, and which cases got worse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.report import LESS_IS_BETTER, CaseFigures, groups_of, read_limit
from evals.statistics import PairedComparison, compare_paired

if TYPE_CHECKING:
    from rich.table import Table

_NAMED = 3
"""Cases that a failure names."""
_SAME = 1e-9
"""Differences below it are floating point's."""


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of one group in both runs."""

    group: str
    metric: str
    cases: int
    result: PairedComparison


@dataclass(frozen=True)
class RunComparison:
    """A first run and a second, over the cases that both have."""

    metrics: Sequence[ComparedMetric]
    only_before: int
    """Cases that the first run alone has; they are left out, as are those of the second alone."""
    only_after: int
    worse: Sequence[str]
    """Cases whose figures fell, summed over the metrics of the last group that has them, the most fallen first."""

    @property
    def table(self) -> Table:
        """The comparison for a terminal."""
        from rich.table import Table

        heads = ("", "cases", "metric", "first", "second", "difference", "95 %", "", "")
        table = Table(*heads, box=None, pad_edge=False, caption_justify="left")
        for row in self.metrics:
            found, change = row.result, row.result.difference
            table.add_row(
                row.group,
                str(row.cases),
                row.metric,
                f"{found.before:.3f}",
                f"{found.after:.3f}",
                f"{change.value:+.3f}",
                f"{change.low:+.3f} to {change.high:+.3f}",
                found.chance,
                found.outcome,
            )
        left_out = f"left out: {self.only_before} cases of the first run alone, {self.only_after} of the second alone"
        worse = f"got worse: {', '.join(self.worse[:10])}" if self.worse else ""
        table.caption = "\n".join(
            line for line in (left_out if self.only_before + self.only_after else "", worse) if line
        )
        return table

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return {
            "metrics": [
                {
                    "group": row.group,
                    "metric": row.metric,
                    "cases": row.cases,
                    **asdict(row.result),
                    "outcome": row.result.outcome,
                }
                for row in self.metrics
            ],
            "only_before": self.only_before,
            "only_after": self.only_after,
            "worse": list(self.worse),
        }


def read_groups(file: Path, name: str = "") -> dict[str, CaseFigures]:
    """Figures by group and case of a report that an eval wrote with `--json`.

    Of a report of all evals, those of the eval `name`; without a name all, the groups called `eval: group`. Raises ValueError
    where there are none.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if "evals" not in data:
            return groups_of(data["by_case"])
        if name:
            return groups_of(data["evals"][name]["by_case"])
        return {
            f"{one}: {group}": rows
            for one, report in data["evals"].items()
            for group, rows in groups_of(report.get("by_case", {})).items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file.name} has no figures by case{f' of {name}' if name else ''}. Expected what tutor eval … --json wrote."
        ) from error


def compare_runs(before: Mapping[str, CaseFigures], after: Mapping[str, CaseFigures], *, seed: int) -> RunComparison:
    """Every metric that both runs have, over the cases that both have, joined by id. Raises ValueError where that is none."""
    compared = []
    last: dict[str, float] = {}
    for group in (name for name in after if name in before):
        shared = sorted(before[group].keys() & after[group].keys())
        if not shared:
            continue
        metrics = [
            name
            for name in after[group][shared[0]]
            if all(name in rows[group][case] for rows in (before, after) for case in shared)
        ]
        for metric in metrics:
            first, second = ([rows[group][case][metric] for case in shared] for rows in (before, after))
            compared.append(ComparedMetric(group, metric, len(shared), compare_paired(first, second, seed=seed)))
        last |= {case: sum(after[group][case][name] - before[group][case][name] for name in metrics) for case in shared}
    if not compared:
        raise ValueError("The two runs share no case and metric. Compare reports of the same eval on the same cases.")
    first_ids, second_ids = ({case for rows in run.values() for case in rows} for run in (before, after))
    worse = sorted((case for case in last if last[case] < 0), key=last.__getitem__)
    return RunComparison(compared, len(first_ids - second_ids), len(second_ids - first_ids), worse)


def read_figures(file: Path, name: str = "") -> dict[str, float]:
    """What is no mean over cases in a report that an eval wrote with `--json`; of a report of all evals, that of the eval `name`."""
    data = json.loads(file.read_text(encoding="utf-8"))
    report = data.get("evals", {}).get(name, {}) if "evals" in data else data
    return {str(metric): float(found["value"]) for metric, found in report.get("figures", {}).items()}


def drops(
    before: Mapping[str, CaseFigures],
    after: Mapping[str, CaseFigures],
    limits: Sequence[str],
    *,
    seed: int,
    figures: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {}),
) -> list[str]:
    """One line for each `METRIC=VALUE` where a metric got worse by more than the value, naming the cases that fell most.

    A metric is looked up in the last group that has it, then among the `figures` of both runs. Raises ValueError for a limit
    that is none, and where the runs share no case.
    """
    compared = compare_runs(before, after, seed=seed)
    found = {row.metric: row for row in compared.metrics}
    shared = [metric for metric in figures[1] if metric in figures[0]]
    failures = []
    for limit in limits:
        metric, most = read_limit("--max-drop", limit, [*found, *shared])
        if metric not in found:
            first, second = figures[0][metric], figures[1][metric]
            if (second - first if metric in LESS_IS_BETTER else first - second) > most + _SAME:
                worse = f" (cases that got worse: {', '.join(compared.worse[:_NAMED])})" if compared.worse else ""
                failures.append(f"{metric} went from {first:.3f} to {second:.3f}, by more than {most:.3f}{worse}")
            continue
        row = found[metric]
        result = row.result
        if -result.difference.value <= most + _SAME:
            continue
        rows_before, rows_after = before[row.group], after[row.group]
        change = {
            case: rows_after[case][metric] - rows_before[case][metric] for case in rows_before.keys() & rows_after
        }
        fallen = sorted((case for case in change if change[case] < 0), key=lambda case: (change[case], case))[:_NAMED]
        named = ", ".join(
            f"{case} {rows_before[case][metric]:.2f} -> {rows_after[case][metric]:.2f}" for case in fallen
        )
        failures.append(
            f"{metric} fell from {result.before:.3f} to {result.after:.3f} on {row.cases} cases, by more than {most:.3f} "
            f"({result.outcome}, {result.chance}; worse: {named})"
        )
    return failures

"""What every eval reports alike: figures of each case by group, their means with intervals, limits, JSON and a table."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.statistics import Interval, bootstrap_means

if TYPE_CHECKING:
    from rich.table import Table

CaseFigures = Mapping[str, Mapping[str, float]]
"""`{case id: {metric: value}}`."""
LESS_IS_BETTER = frozenset({"contradiction_rate", "rmse", "shown_rmse", "uncalibrated_rmse"})
WORST_CASES = 10
EXCERPT_CHARACTERS = 500


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
class Confusion:
    """How often each label of people got each verdict."""

    title: str
    verdicts: Sequence[str]
    """The columns."""
    counts: Mapping[str, Sequence[int]]
    """For each label a row, a count for each column."""

    @property
    def table(self) -> Table:
        """The counts for a terminal."""
        from rich.table import Table

        table = Table(self.title, *self.verdicts, box=None, pad_edge=False)
        for label, row in self.counts.items():
            table.add_row(label, *map(str, row))
        return table


@dataclass(frozen=True)
class EvalReport:
    """What one run of an eval found. More is better in every metric but those of LESS_IS_BETTER."""

    name: str
    groups: Mapping[str, CaseFigures]
    """Rankings, kinds or whatever the cases are told apart by; the last one is what the limits look at first."""
    seed: int
    figures: Mapping[str, Interval] = field(default_factory=dict)
    """What is no mean over cases, such as AUC."""
    details: Mapping[str, CaseDetail] = field(default_factory=dict)
    """By case id."""
    curves: Sequence[Curve] = ()
    confusions: Sequence[Confusion] = ()
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    predictions: Sequence[Mapping[str, Any]] = ()
    """What was said of each case, for a file of them."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EvalReport:
        """A report as `as_dict` gives it, without its predictions. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            name=str(data["eval"]),
            groups=groups_of(data["by_case"]),
            seed=int(data["seed"]),
            figures={
                str(name): Interval(
                    float(found["value"]), float(found["low"]), float(found["high"]), int(found["cases"])
                )
                for name, found in data["figures"].items()
            },
            details={
                str(row["case"]): CaseDetail(
                    str(row["question"]), tuple(map(str, row["passages"])), str(row["answer"]), str(row["reason"])
                )
                for row in data["worst"]
            },
            curves=[
                Curve(
                    str(row["title"]),
                    str(row["axis"]),
                    {str(name): [(float(x), float(y)) for x, y in line] for name, line in row["lines"].items()},
                )
                for row in data["curves"]
            ],
            confusions=[
                Confusion(
                    str(row["title"]),
                    list(map(str, row["verdicts"])),
                    {str(label): list(map(int, counts)) for label, counts in row["counts"].items()},
                )
                for row in data["confusions"]
            ],
            notes=list(map(str, data["notes"])),
            settings=dict(data["settings"]),
        )

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
            metric, wanted = read_limit("--fail-under", limit, values)
            value = values[metric]
            if (value > wanted) if metric in LESS_IS_BETTER else (value < wanted):
                worst = self.worst(metric) or [case for case, _ in self.worst_cases]
                failures.append(
                    f"{metric} is {value:.3f}, {'over' if metric in LESS_IS_BETTER else 'under'} {wanted:.3f}"
                    + (f" (worst: {', '.join(worst[:3])})" if worst else "")
                )
        return failures

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON; of the details those of the worst cases."""
        return {
            "eval": self.name,
            "seed": self.seed,
            "settings": dict(self.settings),
            "means": {
                group: {name: _rounded(found) for name, found in intervals.items()}
                for group, intervals in self.intervals.items()
            },
            "figures": {name: _rounded(found) for name, found in self.figures.items()},
            "notes": list(self.notes),
            "confusions": [asdict(item) for item in self.confusions],
            "curves": [
                {
                    "title": curve.title,
                    "axis": curve.axis,
                    "lines": {
                        name: [[round(x, 4), round(y, 4)] for x, y in points] for name, points in curve.lines.items()
                    },
                }
                for curve in self.curves
            ],
            "worst": [{"case": case, **asdict(self.details[case])} for case in self.shown_cases],
            "by_case": {
                group: {case: {name: round(value, 4) for name, value in row.items()} for case, row in rows.items()}
                for group, rows in self.groups.items()
            },
        }

    @property
    def shown_cases(self) -> list[str]:
        """Ids of the worst cases that have details, as many as a reader looks at."""
        return [case for case, _ in self.worst_cases if case in self.details][:WORST_CASES]

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


@dataclass(frozen=True)
class SuiteReport:
    """What all evals found."""

    reports: Sequence[EvalReport]
    left_out: Sequence[str]
    """Evals that the cases are not enough for, and why."""
    day: date
    machine: str

    @classmethod
    def read(cls, file: Path) -> SuiteReport:
        """What `save` wrote. Raises ValueError where it is not that, and OSError where it cannot be read."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                [EvalReport.from_dict(report) for report in data["evals"].values()],
                list(map(str, data["left_out"])),
                date.fromisoformat(data["date"]),
                str(data["machine"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{str(file)!r} is no report of all evals ({error}). Make one: tutor eval all") from error

    def save(self, file: Path) -> None:
        """As JSON, an eval a line, so that a change of one shows as one. The file is replaced as a whole."""
        evals = ",\n".join(
            f"{json.dumps(report.name)}: {json.dumps(report.as_dict(), ensure_ascii=False)}" for report in self.reports
        )
        head = (
            f'"date": {json.dumps(self.day.isoformat())},\n"machine": {json.dumps(self.machine)},\n'
            f'"left_out": {json.dumps(list(self.left_out), ensure_ascii=False)}'
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.new")
        new.write_text(f'{{\n{head},\n"evals": {{\n{evals}\n}}\n}}\n', encoding="utf-8")
        new.replace(file)

    def failures(self, limits: Sequence[str]) -> list[str]:
        """One line for each `EVAL.METRIC=VALUE` that was missed. Raises ValueError for a limit that is none."""
        failures = []
        for report, own in split_limits("--fail-under", limits, self.reports):
            failures += [f"{report.name}: {failure}" for failure in report.failures(own)]
        return failures


def split_limits(
    option: str, limits: Sequence[str], reports: Sequence[EvalReport]
) -> list[tuple[EvalReport, list[str]]]:
    """The limits of each eval, given as `EVAL.METRIC=VALUE`. Raises ValueError where the eval is not known."""
    own: dict[str, list[str]] = {report.name: [] for report in reports}
    for limit in limits:
        name, _, rest = limit.partition(".")
        if name not in own or not rest:
            raise ValueError(f"{option} {limit!r} is not EVAL.METRIC=VALUE. Evals: {', '.join(own)}.")
        own[name].append(rest)
    return [(report, own[report.name]) for report in reports]


def groups_of(by_case: Mapping[str, Any]) -> dict[str, CaseFigures]:
    """Figures by group and case as they stand in JSON. Raises AttributeError, TypeError or ValueError for anything else."""
    return {
        str(group): {str(case): {str(name): float(value) for name, value in row.items()} for case, row in rows.items()}
        for group, rows in by_case.items()
    }


def excerpt(place: str, text: str) -> str:
    """A passage as a reader of the report sees it: where it stands, and how it begins."""
    cut = text if len(text) <= EXCERPT_CHARACTERS else f"{text[:EXCERPT_CHARACTERS].rstrip()} …"
    return f"{place}\n{cut}" if place else cut


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

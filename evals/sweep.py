"""One eval over a grid of settings, as a table: which chunk length, embedder or weight is best, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from evals.retrieval import METRICS, RetrievalReport
from tutor.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class SweepRow:
    """The settings that were changed, and what was measured with them."""

    changed: Mapping[str, str]
    report: RetrievalReport

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON."""
        return {"changed": dict(self.changed), **self.report.as_dict()}


def read_grid(options: Sequence[str]) -> list[dict[str, str]]:
    """Every combination of `setting=value,value,…` options. Raises ValueError for one that is none."""
    axes: dict[str, list[str]] = {}
    for option in options:
        name, _, values = option.partition("=")
        found = [value.strip() for value in values.split(",") if value.strip()]
        if name not in Settings.model_fields or not found:
            raise ValueError(
                f"--sweep {option!r} is not SETTING=VALUE,VALUE. Settings: {', '.join(Settings.model_fields)}."
            )
        axes[name] = found
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def run_sweep(grid: Sequence[Mapping[str, str]], run: Callable[[Mapping[str, str]], RetrievalReport]) -> list[SweepRow]:
    """`run` measures with the given settings changed; one row a point of the grid, in its order."""
    return [SweepRow(changed, run(changed)) for changed in grid]


def sweep_table(rows: Sequence[SweepRow]) -> Table:
    """The rows for a terminal; the best value of each metric is marked."""
    from rich.table import Table

    names = list(rows[0].changed) if rows else []
    table = Table(*names, *METRICS, box=None, pad_edge=False)
    means = [row.report.scores[-1].means for row in rows]
    best = {metric: max(mean[metric] for mean in means) for metric in METRICS} if rows else {}
    for row, mean in zip(rows, means, strict=True):
        cells = [f"{mean[metric]:.3f}{'*' if mean[metric] == best[metric] else ' '}" for metric in METRICS]
        table.add_row(*row.changed.values(), *cells)
    return table

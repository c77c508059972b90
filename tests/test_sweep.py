"""An eval over a grid of settings."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from evals.retrieval import METRICS, RankingScores, RetrievalReport
from evals.sweep import SweepRow, read_grid, run_sweep, sweep_table


def report(recall: float) -> RetrievalReport:
    """A report of one case with the same value for every metric."""
    return RetrievalReport([RankingScores("fused", {"adam": dict.fromkeys(METRICS, recall)})], {}, None, cases=1)


def test_grid_is_every_combination_in_the_order_given():
    assert read_grid(["chunk_words=120,300", "dense_weight=0.5, 0.7"]) == [
        {"chunk_words": "120", "dense_weight": "0.5"},
        {"chunk_words": "120", "dense_weight": "0.7"},
        {"chunk_words": "300", "dense_weight": "0.5"},
        {"chunk_words": "300", "dense_weight": "0.7"},
    ]


def test_no_sweep_is_one_run_with_nothing_changed():
    assert read_grid([]) == [{}]


@pytest.mark.parametrize("option", ["chunk_words", "chunk_words=", "chunk_word=120", "=120"])
def test_what_is_no_setting_with_values_is_refused(option: str):
    with pytest.raises(ValueError, match=r"is not SETTING=VALUE,VALUE\. Settings: .*chunk_words"):
        read_grid([option])


def test_each_point_of_the_grid_is_measured_with_its_settings():
    rows = run_sweep(read_grid(["hit_count=5,10"]), lambda changed: report(float(changed["hit_count"]) / 10))

    assert [(row.changed, row.report.scores[-1].means["recall@5"]) for row in rows] == [
        ({"hit_count": "5"}, 0.5),
        ({"hit_count": "10"}, 1.0),
    ]


def test_table_marks_the_best_value():
    text = io.StringIO()
    rows = [SweepRow({"chunk_words": "120"}, report(0.25)), SweepRow({"chunk_words": "300"}, report(0.75))]

    Console(file=text, width=200).print(sweep_table(rows))

    first, second = text.getvalue().splitlines()[1:]
    assert ("*" in first, second.count("0.750*")) == (False, len(METRICS))


def test_row_says_in_json_what_was_changed(tmp_path: Path):
    (row,) = [SweepRow({"chunk_words": "120"}, report(0.25))]

    file = tmp_path / "row.json"
    file.write_text(json.dumps(row.as_dict()), encoding="utf-8")

    assert json.loads(file.read_text(encoding="utf-8"))["changed"] == {"chunk_words": "120"}

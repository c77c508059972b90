"""Two runs compared, on runs of a few cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.comparison import compare_runs, drops, read_groups
from evals.report import EvalReport


def run(*values: float, metric: str = "recall@5") -> dict[str, dict[str, dict[str, float]]]:
    """A run whose cases are called a, b, c …"""
    return {"fused": {chr(ord("a") + place): {metric: value} for place, value in enumerate(values)}}


def test_cases_are_joined_by_id_and_the_others_counted():
    first = {"fused": {"a": {"hit@1": 1.0}, "b": {"hit@1": 1.0}, "old": {"hit@1": 0.0}}}
    second = {"fused": {"new": {"hit@1": 0.0}, "b": {"hit@1": 0.0}, "a": {"hit@1": 1.0}}}

    found = compare_runs(first, second, seed=0)

    [row] = found.metrics
    assert (row.cases, row.result.before, row.result.after) == (2, 1.0, 0.5)
    assert (found.only_before, found.only_after, found.worse) == (1, 1, ["b"])
    assert "left out: 1 cases of the first run alone, 1 of the second alone" in str(found.table.caption)


def test_case_that_fell_is_named_whatever_group_it_is_of():
    first = {"answerable": {"a": {"answered": 1.0}}, "unanswerable": {"b": {"declined": 0.0}}}
    second = {"answerable": {"a": {"answered": 0.0}}, "unanswerable": {"b": {"declined": 1.0}}}

    assert compare_runs(first, second, seed=0).worse == ["a"]


def test_json_gives_difference_interval_and_outcome():
    [metric] = compare_runs(run(*[0.0] * 20), run(*[1.0] * 20), seed=0).as_dict()["metrics"]

    assert (metric["outcome"], metric["difference"]["value"], metric["cases"]) == ("better", 1.0, 20)


def test_runs_without_a_common_case_are_refused():
    with pytest.raises(ValueError, match="share no case"):
        compare_runs({"fused": {"a": {"hit@1": 1.0}}}, {"fused": {"b": {"hit@1": 1.0}}}, seed=0)


def test_drop_names_the_metric_the_values_and_the_cases_that_fell_most():
    [line] = drops(run(1, 1, 1, 0), run(1, 0, 0.5, 0), ["recall@5=0.1"], seed=0)

    assert line.startswith("recall@5 fell from 0.750 to 0.375 on 4 cases, by more than 0.100")
    assert line.endswith("worse: b 1.00 -> 0.00, c 1.00 -> 0.50)")


def test_drop_within_the_limit_and_a_gain_are_no_failure():
    assert drops(run(1, 1), run(1, 0.8), ["recall@5=0.1"], seed=0) == []
    assert drops(run(0, 0), run(1, 1), ["recall@5=0"], seed=0) == []


@pytest.mark.parametrize("limit", ["recall@7=0.1", "recall@5", "recall@5=much"])
def test_limit_that_is_none_is_refused(limit: str):
    with pytest.raises(ValueError, match=r"--max-drop .* is not METRIC=VALUE. Metrics: recall@5"):
        drops(run(1), run(1), [limit], seed=0)


def test_report_that_was_written_is_read_again(tmp_path: Path):
    report = EvalReport("abstention", run(1, 0, metric="answered"), seed=0)
    one, all_of_them = tmp_path / "one.json", tmp_path / "all.json"
    one.write_text(json.dumps(report.as_dict()), encoding="utf-8")
    all_of_them.write_text(json.dumps({"evals": {"abstention": report.as_dict()}}), encoding="utf-8")

    assert read_groups(one) == report.groups
    assert read_groups(all_of_them, "abstention") == report.groups
    assert read_groups(all_of_them) == {"abstention: fused": report.groups["fused"]}


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"evals": {}}', '{"by_case": {"fused": 3}}'])
def test_file_that_is_no_report_is_refused(tmp_path: Path, text: str):
    (tmp_path / "other.json").write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=r"other\.json has no figures by case of retrieval"):
        read_groups(tmp_path / "other.json", "retrieval")


def test_report_of_an_eval_fails_under_a_limit_and_names_the_worst():
    report = EvalReport("citations", run(1, 0, 0.5, metric="citation_recall"), seed=0)

    assert report.failures(["citation_recall=0.5"]) == []
    assert report.failures(["citation_recall=0.6"]) == [
        "citation_recall is 0.500, under 0.600 (worst: b, c, a)",
    ]
    assert report.intervals["fused"]["citation_recall"].cases == 3

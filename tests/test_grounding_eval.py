"""The grounding eval: files of cases, what is left out of them, figures and predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from evals.grounding import GroundingReport, read_grounding_cases, run_grounding_eval

PASSAGE = "At inference BatchNorm uses running averages of the mean and variance that were collected in training."
GOOD = {
    "id": "good",
    "passages": [PASSAGE],
    "answer": "BatchNorm uses running averages at inference.",
    "unsupported": 0,
}
BAD = {
    "id": "bad",
    "passages": [PASSAGE],
    "answer": "BatchNorm uses running averages. It was invented by Sergey Ioffe in 2015.",
    "sentences": [{"start": 0, "end": 32, "unsupported": 0}, {"start": 33, "end": 73, "unsupported": 1}],
    "spans": [{"start": 52, "end": 73}],
    "unsupported": 1,
}


def written(folder: Path, rows: Sequence[Mapping[str, object] | str]) -> Path:
    file = folder / "answers.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def run(file: Path, predictions: Path | None = None, limit: int = 0) -> GroundingReport:
    return run_grounding_eval(file, limit=limit, progress=lambda _stage, _done, _total: None, predictions=predictions)


def test_labelled_answers_are_scored_by_answer_sentence_and_character(tmp_path: Path):
    report = run(written(tmp_path, [GOOD, BAD]))

    assert report.figures["faithfulness"] == pytest.approx(2 / 3)
    assert report.figures["answer_macro_f1"] == report.figures["sentence_macro_f1"] == 1.0
    assert 0 < report.figures["span_f1"] <= 1
    assert sum(report.verdicts.values()) == 3


def test_answers_without_labels_have_shares_alone(tmp_path: Path):
    report = run(written(tmp_path, [{name: GOOD[name] for name in ("id", "passages", "answer")}]))

    assert report.figures == {"faithfulness": 1.0, "contradiction_rate": 0.0}


def test_predictions_have_a_probability_for_the_answer_and_for_each_given_sentence(tmp_path: Path):
    file = written(tmp_path, [GOOD, BAD])
    run(file, tmp_path / "first.jsonl")
    run(file, tmp_path / "second.jsonl")

    rows = [json.loads(line) for line in (tmp_path / "first.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["good", "bad"]
    assert len(rows[1]["sentence_probs"]) == 2
    assert rows[1]["grounded_probability"] == min(rows[1]["sentence_probs"])
    assert all(0 <= span["start"] < span["end"] <= 73 for span in rows[1]["spans"])
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "second.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "Expecting"),
        ("[]", "Expected an object"),
        (json.dumps({"id": "x", "passages": [PASSAGE]}), "no 'answer'"),
        (json.dumps({"id": "x", "passages": [PASSAGE], "answer": " "}), "the answer is empty"),
        (json.dumps({"id": "x", "passages": [], "answer": "Dropout."}), "there are no passages"),
        (json.dumps({**GOOD, "answer": "Twice."}), "comes twice"),
        (json.dumps({**BAD, "id": "y", "spans": [{"start": 3, "end": 900}]}), "not in the answer"),
        (json.dumps({**BAD, "id": "y", "sentences": 7}), "Expected an object"),
    ],
)
def test_line_that_holds_no_case_is_left_out_with_its_number_and_reason(tmp_path: Path, line: str, reason: str):
    report = run(written(tmp_path, [GOOD, line, BAD]))

    assert len(report.checks) == 2
    (problem,) = report.problems
    assert problem.line == 2
    assert reason in str(problem)
    assert report.as_dict()["left_out"] == [str(problem)]


def test_file_without_a_case_is_refused_with_the_first_reason(tmp_path: Path):
    with pytest.raises(ValueError, match=r"answers\.jsonl has no case.*the answer is empty"):
        read_grounding_cases(written(tmp_path, [{**GOOD, "answer": ""}]))


def test_very_long_answer_is_checked_like_any_other(tmp_path: Path):
    long = {"id": "long", "passages": [PASSAGE], "answer": "averages " * 11_200}

    report = run(written(tmp_path, [long, GOOD]))

    assert len(long["answer"]) > 100_000
    assert len(report.checks) == 2


def test_limit_takes_the_first_cases(tmp_path: Path):
    assert [case.id for case in run(written(tmp_path, [GOOD, BAD]), limit=1).cases] == ["good"]


def test_figure_below_its_limit_is_a_failure_and_an_unknown_one_an_error(tmp_path: Path):
    report = run(written(tmp_path, [GOOD, BAD]))

    assert report.failures(["faithfulness=0.5"]) == []
    assert report.failures(["faithfulness=0.9"]) == ["faithfulness is 0.667, under 0.900"]
    with pytest.raises(ValueError, match="Metrics: faithfulness"):
        report.failures(["beauty=1"])

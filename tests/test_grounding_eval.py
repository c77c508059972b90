"""The grounding eval: files of cases, what is left out of them, figures and predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from evals.case_cache import CaseCache
from evals.cases_format import CaseError
from evals.grounding import grounding_report, read_grounding_cases
from evals.report import EvalReport

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


def run(file: Path, guides: Path | None = None) -> EvalReport:
    cases, problems = read_grounding_cases(file, [guides] if guides else [], 300)
    return grounding_report(
        cases,
        problems,
        cache=CaseCache(file.parent / "cache", ()),
        seed=0,
        progress=lambda _stage, _done, _total: None,
    )


def test_labelled_answers_are_scored_by_answer_sentence_and_character(tmp_path: Path):
    report = run(written(tmp_path, [GOOD, BAD]))

    assert report.groups["answers"] == {"good": {"faithfulness": 1.0}, "bad": {"faithfulness": 0.5}}
    assert report.groups["labelled sentences"] == {"bad": {"sentences_right": 1.0}}
    assert report.values["answer_macro_f1"] == report.values["sentence_macro_f1"] == 1.0
    assert 0 < report.values["span_f1"] <= 1
    assert report.values["repeatable"] == 1.0
    assert report.notes[-1].startswith("2 answers checked, 0 left out; sentences: 2 supported")
    assert [curve.title for curve in report.curves] == ["Reliability of the grounding scores"]


def test_answers_without_labels_have_shares_alone(tmp_path: Path):
    report = run(written(tmp_path, [{name: GOOD[name] for name in ("id", "passages", "answer")}]))

    assert report.values == {"faithfulness": 1.0, "contradiction_rate": 0.0, "repeatable": 1.0}
    assert (report.curves, report.confusions) == ([], [])


def test_answer_of_nothing_to_check_has_no_faithfulness_and_breaks_no_figure(tmp_path: Path):
    report = run(written(tmp_path, [GOOD, {"id": "sorry", "passages": [PASSAGE], "answer": "I cannot answer that."}]))

    assert report.groups["answers"] == {"good": {"faithfulness": 1.0}}
    assert "1 not checkable" in report.notes[-1]


def test_predictions_have_a_probability_for_the_answer_and_for_each_given_sentence(tmp_path: Path):
    rows = run(written(tmp_path, [GOOD, BAD])).predictions

    assert [row["id"] for row in rows] == ["good", "bad"]
    assert len(rows[1]["sentence_probs"]) == 2
    assert rows[1]["grounded_probability"] == min(rows[1]["sentence_probs"])
    assert all(0 <= span["start"] < span["end"] <= 73 for span in rows[1]["spans"])


def test_second_run_reads_what_the_first_judged_and_says_the_same_to_the_byte(tmp_path: Path):
    file = written(tmp_path, [GOOD, BAD])

    first, kept = run(file), sorted((tmp_path / "cache").rglob("*.json"))
    second = run(file)

    assert len(kept) == 2
    assert json.dumps(first.as_dict()) == json.dumps(second.as_dict())
    assert first.predictions == second.predictions
    assert sorted((tmp_path / "cache").rglob("*.json")) == kept


def test_sections_are_looked_up_in_the_guides_and_each_label_has_its_row(tmp_path: Path, small_corpus: Path):
    answer = "Dropout zeroes activations with probability p during training. It was invented in 1850."
    row = {
        "id": "own",
        "question": "what is dropout",
        "sections": ["regularization#dropout"],
        "answer": answer,
        "sentences": [
            {"start": 0, "end": 62, "label": "supported"},
            {"start": 63, "end": 87, "label": "unsupported"},
        ],
    }
    lost = {**row, "id": "lost", "sections": ["regularization#dropuot"]}

    report = run(written(tmp_path, [row, lost]), small_corpus / "guides")

    [counts] = report.confusions
    assert counts.counts["supported"][0] == 1
    assert sum(counts.counts["unsupported"]) == 1
    assert report.groups["labelled answers"] == {"own": {"answer_right": 1.0}}
    assert (
        "answers.jsonl:2: there is no section 'regularization#dropuot'; near: regularization#dropout" in report.notes[0]
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "not JSON"),
        ("[]", "expected a JSON object, got list"),
        (json.dumps({"id": "x", "passages": [PASSAGE]}), "the field 'answer' is missing"),
        (json.dumps({"id": "x", "passages": [PASSAGE], "answer": " "}), "the answer is empty"),
        (json.dumps({"id": "x", "passages": [], "answer": "Dropout."}), "there are no passages"),
        (json.dumps({**GOOD, "answer": "Twice."}), "the id 'good' is taken"),
        (json.dumps({**BAD, "id": "y", "spans": [{"start": 3, "end": 900}]}), "not in the answer"),
        (json.dumps({**BAD, "id": "y", "sentences": 7}), "Expected id, answer and passages"),
        (json.dumps({**BAD, "id": "y", "sentences": ["all"]}), "Expected id, answer and passages"),
        (json.dumps({**GOOD, "id": "y", "answer": "half \ud83d"}), "half of a surrogate pair"),
    ],
)
def test_line_that_holds_no_case_is_left_out_with_its_number_and_reason(tmp_path: Path, line: str, reason: str):
    report = run(written(tmp_path, [GOOD, line, BAD]))

    assert set(report.groups["answers"]) == {"good", "bad"}
    left_out, counted = report.notes
    assert left_out.startswith("left out answers.jsonl:2: ")
    assert reason in left_out
    assert counted.startswith("2 answers checked, 1 left out")


def test_file_without_a_case_is_refused_with_the_first_reason(tmp_path: Path):
    with pytest.raises(CaseError, match=r"No usable case in .*answers\.jsonl:1: the answer is empty"):
        read_grounding_cases(written(tmp_path, [{**GOOD, "answer": ""}]), [], 300)


def test_very_long_answer_is_checked_like_any_other(tmp_path: Path):
    long = {"id": "long", "passages": [PASSAGE], "answer": "averages " * 11_200}

    report = run(written(tmp_path, [long, GOOD]))

    assert len(long["answer"]) > 100_000
    assert set(report.groups["answers"]) == {"long", "good"}


def test_figure_below_its_limit_is_a_failure_and_an_unknown_one_an_error(tmp_path: Path):
    report = run(written(tmp_path, [GOOD, BAD]))

    assert report.failures(["faithfulness=0.5"]) == []
    assert report.failures(["faithfulness=0.9"]) == ["faithfulness is 0.750, under 0.900 (worst: bad, good)"]
    with pytest.raises(ValueError, match="Metrics: faithfulness"):
        report.failures(["beauty=1"])

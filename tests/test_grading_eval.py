"""Agreement figures against values computed by hand, and the battery on small questions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from corpus.questions import parse_questions
from evals.grading import GradingCase, agreement, read_grading_cases, score_cases, write_predictions
from evals.grading_battery import Trial, pass_rates, run_battery
from tutor.grader import shipped_grader
from tutor.grading import grade_attempt
from ui.cli import main

ROW = {"id": "a", "question": "What is a queue?", "reference": "First in, first out.", "answer": "FIFO"}


def write(file: Path, *rows: object) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def cases(*scores: float) -> list[GradingCase]:
    return [GradingCase(str(number), "", ("x",), (), "y", str(number), score) for number, score in enumerate(scores)]


def test_cases_take_references_in_every_form(tmp_path: Path):
    read = read_grading_cases(
        write(
            tmp_path / "cases.jsonl",
            ROW,
            {"id": "b", "references": ["One.", "Two."], "reference": "One.", "answer": "x", "score": 0.5},
            {"id": "c", "key_point": "One.", "answer": "x", "label": 1},
            {"id": "d", "key_points": ["One.", "Two."], "question_id": "q", "answer": "x"},
        )
    )

    assert [case.references for case in read] == [("First in, first out.",), ("One.", "Two."), (), ()]
    assert [case.score for case in read] == [None, 0.5, 1.0, None]
    assert [case.key_points for case in read[2:]] == [("One.",), ("One.", "Two.")]
    assert read[3].question_id == "q"


def test_more_than_one_point_to_earn_means_marks(tmp_path: Path):
    file = write(tmp_path / "cases.jsonl", ROW, ROW | {"max_score": 1}, ROW | {"max_score": 2.5})

    assert [case.in_marks for case in read_grading_cases(file)] == [False, False, True]


def test_every_broken_line_is_named(tmp_path: Path):
    file = write(tmp_path / "cases.jsonl", ROW, {"id": "b", "answer": "x"}, {"reference": "One.", "answer": "x"})

    with pytest.raises(ValueError, match=r"2 broken lines \(line 2: nothing to judge .*line 3: 'id'"):
        read_grading_cases(file)


def test_file_without_cases_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no cases"):
        read_grading_cases(write(tmp_path / "cases.jsonl"))


def test_marks_are_compared_by_correlation_error_and_kappa():
    figures = agreement(cases(0.0, 0.5, 1.0, 1.0), [0.0, 0.5, 0.5, 1.0])

    assert figures["pearson"].value == pytest.approx(0.8528, abs=1e-4)
    assert figures["rmse"].value == pytest.approx(0.25)
    # On the grid of halves: one of four is off by a step; by chance it would be 4.25 + … = 1 - 0.25 / 1.25.
    assert figures["qwk"].value == pytest.approx(1 - 0.25 / (2.25 + 1.5 - 2 * 1.25 * 1.0))
    assert set(figures) == {"pearson", "rmse", "qwk"}


def test_labels_are_compared_by_area_and_f1():
    figures = agreement(cases(1, 1, 0, 0), [0.9, 0.4, 0.5, 0.1])

    assert figures["auc"].value == pytest.approx(0.75)
    assert figures["macro_f1"].value == pytest.approx(0.5)


def test_interval_holds_the_figure_and_is_the_same_again():
    given = [number / 20 for number in range(20)]
    rows = cases(*(round((number // 4) / 4, 2) for number in range(20)))
    figure = agreement(rows, given)["pearson"]

    assert figure.low <= figure.value <= figure.high
    assert agreement(rows, given)["pearson"] == figure


def test_without_a_label_there_is_nothing_to_compare():
    assert agreement([GradingCase("a", "", ("x",), (), "y")], [0.5]) == {}


def test_score_of_no_variance_has_no_correlation():
    assert agreement(cases(0.0, 0.5, 1.0), [0.5, 0.5, 0.5])["pearson"].value == 0
    assert math.isfinite(agreement(cases(0.0, 0.5, 1.0), [0.5, 0.5, 0.5])["qwk"].value)


def test_predictions_are_one_object_a_line(tmp_path: Path):
    read = read_grading_cases(write(tmp_path / "cases.jsonl", ROW))
    scores = score_cases(read, shipped_grader())

    write_predictions(tmp_path / "out.jsonl", read, scores)

    [line] = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"id": "a", "score": round(scores[0], 6)}


def test_command_scores_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = write(tmp_path / "cases.jsonl", ROW | {"score": 1.0}, ROW | {"id": "b", "answer": "no idea", "score": 0.0})

    with pytest.raises(SystemExit) as end:
        main(["eval", "grading", "--cases", str(file), "--predictions", str(tmp_path / "out.jsonl")])

    assert not end.value.code
    assert "pearson" in capsys.readouterr().out
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 2


BANK = """\
---
topic: optimization
---

## What does momentum do in gradient descent?

```yaml
id: momentum
level: junior
kind: concept
zh: 动量有什么作用？
```

### Answer

Momentum keeps a running average of past gradients and steps along it. Directions that keep their sign add up, so progress along a
flat valley is faster. Directions that change sign cancel, so oscillations across the valley are damped.

### Key points

- [3] Momentum keeps a running average of past gradients and steps along it. -> optimization#momentum
  - the update follows an exponentially decaying sum of earlier gradients
  - velocity accumulates from previous steps
- [2] Oscillations across a valley are damped because gradients of changing sign cancel. -> optimization#momentum
  - zigzagging shrinks since opposite signs average out
  - less bouncing between steep walls

### Misconceptions

- Momentum raises the learning rate of every parameter by the same factor. -> optimization#momentum
"""


def test_battery_finds_nothing_on_a_plain_question():
    bank, problems = parse_questions(BANK, "optimization.md")
    assert not problems

    trials = run_battery(
        bank,
        lambda question, attempt: grade_attempt(
            question, attempt, grader=shipped_grader(), cite=lambda _section, _text: None
        ),
    )

    assert [trial.kind for trial in trials if not trial.passed] == []
    assert len(trials) > 20


def test_pass_rates_count_by_kind():
    trials = [Trial("gibberish", "a", True), Trial("gibberish", "b", False), Trial("typos", "a", True)]

    assert pass_rates(trials) == {"gibberish": (1, 2), "typos": (1, 1)}

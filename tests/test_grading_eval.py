"""Agreement figures against values computed by hand, and the battery on small questions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from corpus.questions import parse_questions
from evals.case_cache import CaseCache
from evals.cases_format import CaseError
from evals.grading import (
    Battery,
    GradingCase,
    Sample,
    agreement,
    plain_grade,
    read_grading_cases,
    scores_report,
    verdicts_report,
    with_graded_answers,
)
from evals.grading_battery import run_battery
from tutor.grader import shipped_grader
from tutor.rubrics import question_from_reference
from ui.cli import main

ROW = {"id": "a", "question": "What is a queue?", "reference": "First in, first out.", "answer": "FIFO"}


def write(file: Path, *rows: object) -> Path:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def cases(*scores: float) -> list[GradingCase]:
    return [GradingCase(str(number), "", ("x",), (), "y", str(number), score) for number, score in enumerate(scores)]


def test_cases_take_references_in_every_form(tmp_path: Path):
    read, judged, problems = read_grading_cases(
        write(
            tmp_path / "cases.jsonl",
            ROW,
            {"id": "b", "references": ["One.", "Two."], "reference": "One.", "answer": "x", "score": 0.5},
            {"id": "c", "key_point": "One.", "answer": "x", "label": 1},
            {"id": "d", "key_points": ["One.", "Two."], "question_id": "q", "answer": "x"},
        ),
        [],
    )

    assert (judged, problems) == ([], [])
    assert [case.references for case in read] == [("First in, first out.",), ("One.", "Two."), (), ()]
    assert [case.score for case in read] == [None, 0.5, 1.0, None]
    assert [case.key_points for case in read[2:]] == [("One.",), ("One.", "Two.")]
    assert read[3].question_id == "q"


def test_more_than_one_point_to_earn_means_marks(tmp_path: Path):
    rows = [ROW, ROW | {"id": "b", "max_score": 1}, ROW | {"id": "c", "max_score": 2.5}]

    read, _, _ = read_grading_cases(write(tmp_path / "cases.jsonl", *rows), [])

    assert [case.in_marks for case in read] == [False, False, True]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{broken", "not JSON"),
        ({"id": "b", "answer": "x"}, "nothing to judge the answer by"),
        ({"reference": "One.", "answer": "x"}, "the field 'id' is missing"),
        (ROW | {"id": "b", "answer": " "}, "the answer is empty"),
        ('{"id": "b", "reference": "One.", "answer": "x", "score": NaN}', "NaN is no number"),
        (ROW | {"id": "b", "score": "nan"}, "the score 'nan' is not between 0 and 1"),
        (ROW | {"id": "b", "score": 3}, "the score 3 is not between 0 and 1"),
        (ROW | {"id": "b", "samples": "FIFO"}, "samples is no list"),
        (ROW | {"id": "b", "samples": ["FIFO"]}, "sample 1 is no answer with a score"),
        (ROW | {"id": "b", "samples": [{"answer": "FIFO"}]}, "sample 1 is no answer with a score: it has no 'score'"),
        (ROW | {"id": "b", "samples": [{"answer": "x", "score": 1.5}]}, "the score 1.5 is not between 0 and 1"),
        (ROW | {"id": "b", "samples": [{"answer": " ", "score": 1}]}, "the answer of sample 1 is empty"),
        (ROW, "the id 'a' is taken"),
        ({"id": "b", "question": "momentum", "answer": "x", "verdicts": ["made"]}, "there is no question 'momentum'"),
    ],
)
def test_broken_line_is_left_out_with_its_number_and_reason_and_the_others_scored(
    tmp_path: Path, row: object, reason: str
):
    file = tmp_path / "cases.jsonl"
    lines = [ROW, row, ROW | {"id": "z"}]
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))

    read, _, [problem] = read_grading_cases(file, [])

    assert [case.id for case in read] == ["a", "z"]
    assert problem.line == 2
    assert reason in problem.message


def test_file_without_cases_is_refused(tmp_path: Path):
    with pytest.raises(CaseError, match="the file is empty"):
        read_grading_cases(write(tmp_path / "cases.jsonl"), [])


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


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""


def test_report_has_a_score_for_each_case_and_the_reliability_of_the_scores(tmp_path: Path):
    rows = [ROW | {"score": 1.0}, ROW | {"id": "b", "answer": "no idea", "score": 0.0}, ROW | {"id": "c"}]
    read, _, problems = read_grading_cases(write(tmp_path / "cases.jsonl", *rows), [])

    report = scores_report(
        read, problems, shipped_grader(), cache=CaseCache(tmp_path, ()), seed=0, progress=no_progress
    )

    assert [row["id"] for row in report.predictions] == ["a", "b", "c"]
    assert set(report.groups["answers"]) == {"a", "b"}
    assert report.values["repeatable"] == 1
    assert report.curves[0].title == "Reliability of the scores"
    assert report.notes[-1] == "3 answers scored, 0 left out; 2 have a label to compare with"


def test_report_says_how_far_the_score_that_a_grade_shows_agrees_too(tmp_path: Path):
    rows = [
        ROW | {"score": 1.0},
        ROW | {"id": "b", "answer": "It sorts the list with a loop.", "score": 0.5},
        ROW | {"id": "c"},
    ]
    read, _, _ = read_grading_cases(write(tmp_path / "cases.jsonl", *rows), [])

    report = scores_report(read, [], shipped_grader(), cache=CaseCache(tmp_path, ()), seed=0, progress=no_progress)

    grades = [
        plain_grade(question_from_reference(case.question, *case.references), case.answer).score or 0.0
        for case in read[:2]
    ]
    off = [grades[0] - 1.0, grades[1] - 0.5]
    assert report.values["shown_rmse"] == pytest.approx(math.hypot(*off) / math.sqrt(2))


WRONG = ("Last in, first out.", "The last one goes out first.", "What came last is the first to go.")


def test_samples_move_the_score_towards_what_people_gave_answers_like_it(tmp_path: Path):
    samples = [{"answer": answer, "score": 0} for answer in WRONG]
    row = ROW | {"answer": "Last one in goes first out.", "score": 0.1}
    rows = [row, row | {"id": "b", "samples": samples}, row | {"id": "c", "samples": samples[:2]}]
    read, _, problems = read_grading_cases(write(tmp_path / "cases.jsonl", *rows), [])

    report = scores_report(
        read, problems, shipped_grader(), cache=CaseCache(tmp_path, ()), seed=0, progress=no_progress
    )

    plain, calibrated, few = report.predictions
    assert read[1].samples[0] == Sample(WRONG[0], 0.0)
    assert calibrated["score"] < calibrated["uncalibrated_score"] == plain["score"] == few["score"]
    assert set(plain) == set(few) == {"id", "score"}
    assert report.values["uncalibrated_rmse"] > report.values["rmse"]
    assert any(note.startswith("1 answers to 1 questions calibrated by 3 graded answers each") for note in report.notes)
    assert "1 answers have fewer than 3 samples: their scores stay as they are" in report.notes


def test_report_without_samples_has_one_figure_of_each_kind(tmp_path: Path):
    read, _, _ = read_grading_cases(write(tmp_path / "cases.jsonl", ROW | {"score": 1}), [])

    report = scores_report(read, [], shipped_grader(), cache=CaseCache(tmp_path, ()), seed=0, progress=no_progress)

    assert not any(name.startswith("uncalibrated") for name in report.values)


def answers_to(question: str, count: int, *, scored: int) -> list[GradingCase]:
    return [
        GradingCase(
            f"{question} {number}", question, ("x",), (), f"y {number}", question, 0.5 if number < scored else None
        )
        for number in range(count)
    ]


def test_graded_answers_are_drawn_from_scored_ones_of_the_same_question_and_not_scored_themselves():
    rows = [*answers_to("a", 8, scored=5), *answers_to("b", 5, scored=5)]

    kept, left_out = with_graded_answers(rows, 4, seed=0)

    assert left_out == []
    assert [len(case.samples) for case in kept] == [4] * 5
    assert {case.question for case in kept} == {"a", "b"}
    for case in kept:
        drawn = {sample.answer for sample in case.samples}
        scored = {row.answer for row in rows if row.question == case.question and row.score is not None}
        assert drawn <= scored
        assert case.answer not in drawn


def test_graded_answers_are_the_same_for_a_seed_and_more_of_them_hold_the_fewer():
    rows = answers_to("a", 20, scored=20)

    def drawn(count: int, seed: int) -> tuple[Sample, ...]:
        return with_graded_answers([*answers_to("b", 9, scored=9), *rows], count, seed=seed)[0][-1].samples

    assert drawn(5, 0) == drawn(8, 0)[:5] == with_graded_answers(rows, 5, seed=0)[0][0].samples
    assert drawn(5, 0) != drawn(5, 1)


def test_question_with_too_few_graded_answers_is_named_and_left_out():
    kept, [reason] = with_graded_answers([*answers_to("a", 9, scored=9), *answers_to("b", 4, scored=4)], 4, seed=0)

    assert {case.question for case in kept} == {"a"}
    assert reason == "the question 'b': 4 answers, 4 with a score. Expected 4 with a score, and another to judge."


@pytest.mark.parametrize(
    ("count", "said"), [(-1, "3 or more"), (2, "3 or more"), (9, "No question has more than 9 answers")]
)
def test_count_of_graded_answers_that_cannot_be_drawn_is_refused(count: int, said: str):
    with pytest.raises(CaseError, match=said):
        with_graded_answers(answers_to("a", 9, scored=9), count, seed=0)


def test_command_draws_graded_answers_and_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    answers = ("First in, first out.", "FIFO", "The oldest leaves first.", "In order of arrival.", *WRONG)
    rows = [ROW | {"id": str(number), "answer": text, "score": int(number < 4)} for number, text in enumerate(answers)]
    rows += [ROW | {"id": "other", "question": "What is a stack?", "score": 0}]
    file, out = write(tmp_path / "cases.jsonl", *rows), tmp_path / "out.jsonl"

    with pytest.raises(SystemExit) as end:
        main(["eval", "grading", "--cases", str(file), "--graded-answers", "4", "--predictions", str(out)])

    shown = capsys.readouterr().out
    assert not end.value.code
    assert "3 answers to 1 questions calibrated by 4 graded answers each" in shown
    assert "left out the question 'What is a stack?': 1 answers, 1 with a score" in shown
    assert "uncalibrated_pearson" in shown
    assert len(out.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--graded-answers", "-1"], "greater than or equal to 0"),
        (["--graded-answers", "5"], "Name a file of them"),
    ],
)
def test_command_says_what_graded_answers_it_needs(capsys: pytest.CaptureFixture[str], options: list[str], said: str):
    with pytest.raises(SystemExit) as end:
        main(["eval", "grading", *options])

    assert end.value.code
    assert said in " ".join(capsys.readouterr().err.split())


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

    trials = run_battery(bank, plain_grade)

    assert [trial.kind for trial in trials if not trial.passed] == []
    assert len(trials) > 20


def test_verdicts_of_people_and_of_the_grader_are_set_against_each_other(tmp_path: Path):
    bank, _ = parse_questions(BANK, "optimization.md")
    said = "Momentum keeps a running average of past gradients and steps along it."
    rows = [
        {"id": "one", "question": "momentum", "answer": said, "verdicts": ["made", "missing"]},
        {"id": "none", "question": "momentum", "answer": "I don't know.", "verdicts": ["missing", "partial"]},
        {"id": "long", "question": "momentum", "answer": "momentum " * 12_000, "verdicts": ["missing", "missing"]},
    ]
    _, judged, problems = read_grading_cases(write(tmp_path / "cases.jsonl", *rows), bank)

    report = verdicts_report(
        judged,
        problems,
        plain_grade,
        grader="offline",
        cache=CaseCache(tmp_path / "cache", ()),
        seed=0,
        progress=no_progress,
        battery=Battery(bank, plain_grade, "offline"),
    )

    assert report.groups["judged answers"] == {
        "one": {"verdicts_met": 1.0},
        "none": {"verdicts_met": 0.5},
        "long": {"verdicts_met": 0.0},
    }
    [counts] = report.confusions
    assert list(counts.verdicts) == ["made", "partial", "missing", "contradicted", "unjudged"]
    assert counts.counts["missing"] == [0, 0, 2, 0, 2]
    assert report.values["agreement"] == pytest.approx(3 / 6)
    assert report.values["f1_made"] == 1
    assert report.groups["every attempt"] == {"momentum": {"passed": 1.0}}
    assert any(note.startswith("refused long: The answer has 108,000 characters") for note in report.notes)
    assert "3 answers graded, 0 left out; without a score: long" in report.notes
    assert "“Oscillations" in report.details["none"].reason


def test_grade_that_a_model_failed_at_is_counted_and_tried_again(tmp_path: Path):
    bank, _ = parse_questions(BANK, "optimization.md")
    row = {"id": "one", "question": "momentum", "answer": "Momentum averages.", "verdicts": ["made", "missing"]}
    _, judged, _ = read_grading_cases(write(tmp_path / "cases.jsonl", row), bank)

    report = verdicts_report(
        judged, [], plain_grade, grader="a model", cache=CaseCache(tmp_path / "c", ()), seed=0, progress=no_progress
    )

    assert "1 answers were not graded by a model, but offline" in report.notes
    assert not (tmp_path / "c").exists()

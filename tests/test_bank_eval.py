"""What the grader makes of a bank's own texts, on a bank of two questions and with a grader that says what it saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_bank import OWN_BANK

from corpus.questions import Question
from evals.bank import bank_report, read_bank
from evals.case_cache import CaseCache
from evals.cases_format import CaseError
from evals.grading import Judge, plain_grade
from evals.report import EvalReport
from tutor.grading import Grade, GradingError, Verdict, VerdictName
from ui.cli import main

SAID = """\
# own-pruning
S: Magnitude pruning removes the smallest weights.
+: tiny weights get cut
+: whatever is closest to zero goes
-: The largest weights are removed.
=: big ones go
"""
OTHER_BANK = """\
---
topic: queues
---

## In which order does a queue give back what was put in?

```yaml
id: own-queue
level: junior
kind: concept
```

### Answer

It gives back first what came first.

### Key points

- [2] A queue gives back first what came first.
- [1] Adding takes constant time.
"""
ANSWER, OTHER = "It removes the weights that are smallest in magnitude.", "It gives back first what came first."
MISTAKE = ("The largest weights are removed.", "big ones go")


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two topics; of the first one's key point candidates' lines are known."""
    folder = tmp_path / "bank"
    folder.mkdir()
    (folder / "pruning.md").write_text(OWN_BANK, encoding="utf-8")
    (folder / "pruning.said.txt").write_text(SAID, encoding="utf-8")
    (folder / "queues.md").write_text(OTHER_BANK, encoding="utf-8")
    return folder


def report_of(folder: Path, judge: Judge, *, limit: int = 0, seed: int = 0) -> EvalReport:
    bank, problems = read_bank(folder)
    cache = CaseCache(folder.parent / "cache", ())
    return bank_report(bank, problems, judge, limit=limit, cache=cache, seed=seed, progress=no_progress)


def grade(question: Question, attempt: str, verdict: VerdictName) -> Grade:
    return Grade(question, attempt, tuple(Verdict(point, verdict) for point in question.key_points))


def test_lines_and_mistakes_are_left_out_of_their_point(folder: Path):
    seen: dict[str, list[tuple[str, ...]]] = {}

    def judge(question: Question, attempt: str) -> Grade:
        point = question.key_points[0]
        seen.setdefault(attempt, []).append((*point.said, *point.mistaken))
        return grade(question, attempt, "missing")

    report = report_of(folder, judge, limit=1)

    lines = ("tiny weights get cut", "whatever is closest to zero goes")
    [said] = seen.keys() & set(lines)
    mistaken = MISTAKE[0]
    assert seen[said] == [(*(line for line in lines if line != said), mistaken)]
    assert seen[mistaken] == [lines, (*lines, mistaken)]
    assert seen[ANSWER] == seen[OTHER] == [(*lines, mistaken)]
    assert report.notes == [
        "1 questions with 1 key points; one line of each point drawn: 1 of 2 that candidates said, 1 of 1 mistakes"
    ]


def test_each_kind_of_text_has_figures_of_its_own_and_the_table_counts_every_verdict(folder: Path):
    def judge(question: Question, attempt: str) -> Grade:
        if question.id == "own-queue":
            return grade(question, attempt, "partial" if attempt == OTHER else "missing")
        return grade(question, attempt, "made" if attempt != OTHER else "contradicted")

    report = report_of(folder, judge)

    assert report.values == {
        "model_made": 0.5,
        "model_found": 1,
        "model_uncontradicted": 1,
        "model_without_misconception": 1,
        "other_not_made": 1,
        "said_made": 1,
        "said_found": 1,
        "said_uncontradicted": 1,
        "mistake_contradicted": 0,
        "mistake_not_made": 0,
        "known_contradicted": 0,
    }
    [table] = report.confusions
    assert table.verdicts == ("made", "partial", "missing", "contradicted", "unjudged")
    assert table.counts == {
        "model answers": [1, 2, 0, 0, 0],
        "answers to another topic": [0, 0, 2, 1, 0],
        "phrasings left out": [1, 0, 0, 0, 0],
        "mistakes left out": [1, 0, 0, 0, 0],
        "known mistakes": [1, 0, 0, 0, 0],
    }
    assert report.shown_cases == [
        "own-pruning/mistakes-left-out",
        "own-pruning/known-mistakes",
        "own-queue/model-answers",
    ]
    worst = report.details["own-pruning/mistakes-left-out"]
    assert worst.answer in MISTAKE
    assert worst.reason == f"“{worst.answer}”: made: “Magnitude pruning removes the smallest weights.”"


def test_what_cannot_be_graded_counts_as_unjudged(folder: Path):
    def judge(_question: Question, _attempt: str) -> Grade:
        raise GradingError("too long")

    report = report_of(folder, judge, limit=1)

    assert [row[-1] for row in report.confusions[0].counts.values()] == [1] * 5
    assert (report.values["model_found"], report.values["mistake_not_made"]) == (0, 1)


def test_draws_depend_on_the_seed_and_not_on_the_limit(folder: Path):
    texts = [[row["text"] for row in report_of(folder, plain_grade, seed=seed).predictions] for seed in range(8)]

    assert texts[0] == [row["text"] for row in report_of(folder, plain_grade).predictions]
    assert [row["text"] for row in report_of(folder, plain_grade, limit=1).predictions] == texts[0][:5]
    assert len({tuple(row) for row in texts}) > 1


def test_bank_without_lines_or_another_topic_has_its_model_answers_alone(folder: Path):
    report = report_of(folder / "queues.md", plain_grade)

    assert set(report.groups) == {"model answers"}
    assert report.values["model_found"] >= 0.5
    assert "1 questions have no question of another topic in their language to take an answer from" in report.notes


def test_one_file_is_read_with_the_file_beside_it(folder: Path):
    bank, _ = read_bank(folder / "pruning.md")

    assert bank[0].key_points[0].mistaken == MISTAKE[:1]


def test_place_without_a_question_is_refused(tmp_path: Path):
    with pytest.raises(CaseError, match="holds no question: there is no Markdown file with questions"):
        read_bank(tmp_path)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["eval", "bank", *map(str, arguments)])
    return int(end.value.code or 0)


def test_command_reports_a_bank_of_ones_own_and_holds_its_limits(
    folder: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    del home
    own, report, page, said = ("--questions", folder), *(tmp_path / name for name in ("r.json", "r.html", "said.jsonl"))

    assert run(*own, "--json", report, "--html", page, "--predictions", said, "--fail-under", "model_found=0.5") == 0
    shown = capsys.readouterr().out
    assert run(*own, "--fail-under", "said_found=1.1") == 1
    assert run(*own, "--baseline", report, "--max-drop", "known_contradicted=-0.1") == 1
    failed = capsys.readouterr().err
    assert run("--questions", tmp_path / "nowhere") == 1

    assert "phrasings left out" in shown
    assert "2 questions with 3 key points" in shown
    assert json.loads(report.read_text(encoding="utf-8"))["eval"] == "bank"
    assert "mistake_not_made" in page.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    assert {row["kind"] for row in rows} >= {"model answers", "known mistakes"}
    assert "said_found is " in failed
    assert "known_contradicted fell from" in failed
    assert "nowhere" in capsys.readouterr().err

"""`tutor eval`: the options that all evals share, bad cases, breaks, and a judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_models import make_classifier, make_pair_tokenizer, save, teach_pairs

from evals.report import SuiteReport
from tutor.settings import read_settings
from ui.cli import main

PASSAGE = "Dropout zeroes random activations in training and is switched off at inference."
GOOD = {"id": "good", "passages": [PASSAGE], "answer": "Dropout zeroes random activations in training."}
BAD = {"id": "bad", "passages": [PASSAGE], "answer": "It was invented by Ada Lovelace in 1850."}
LABELLED = [GOOD | {"unsupported": 0}, BAD | {"unsupported": 1}]
SEARCH = [
    {
        "id": "dropout",
        "question": "What does dropout do in training?",
        "answerable": True,
        "relevant": [{"document": "regularization.md", "heading": "Dropout", "grade": 2}],
    },
    {
        "id": "patience",
        "question": "What is its patience?",
        "history": ["What is early stopping?"],
        "answerable": True,
        "relevant": [{"document": "regularization.md", "heading": "Early stopping", "grade": 2}],
    },
    {"id": "bread", "question": "How do I bake sourdough bread?", "answerable": False, "relevant": []},
]
GRADED = {
    "id": "a",
    "question": "What is a queue?",
    "reference": "First in, first out.",
    "answer": "First in first out.",
}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(home: Path, small_corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tutor eval …` on the small corpus."""
    del home
    monkeypatch.setenv("TUTOR_GUIDES", json.dumps([str(small_corpus / "guides")]))
    monkeypatch.setenv("TUTOR_QUESTIONS", json.dumps([str(small_corpus / "questions")]))

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(["eval", *map(str, arguments)])
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return run


def write(file: Path, rows: Sequence[object]) -> Path:
    """A file of JSON lines; text is written as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


CASES: dict[str, Sequence[object]] = {
    "retrieval": SEARCH,
    "abstention": SEARCH,
    "conversation": SEARCH,
    "citations": SEARCH,
    "grounding": LABELLED,
    "grading": [GRADED | {"score": 1}, GRADED | {"id": "b", "answer": "no idea", "score": 0}],
}
METRICS = {
    "retrieval": "hit@5",
    "abstention": "answered",
    "conversation": "hit@1",
    "citations": "judged_section",
    "grounding": "answer_right",
    "grading": "score_met",
}


@pytest.mark.parametrize("name", CASES)
def test_every_eval_takes_a_folder_writes_all_that_it_is_asked_for_and_holds_its_limits(
    run: Run, tmp_path: Path, name: str
):
    folder = tmp_path / "cases"
    folder.mkdir()
    write(folder / "cases.jsonl", CASES[name])
    report, page, said = tmp_path / "report.json", tmp_path / "report.html", tmp_path / "said.jsonl"
    files = ("--json", report, "--html", page, "--predictions", said)

    ended = run(name, "--cases", folder, "--seed", 1, *files, "--fail-under", f"{METRICS[name]}=0")
    failed = run(name, "--cases", folder, "--fail-under", f"{METRICS[name]}=1.01")
    fell = run(name, "--cases", folder, "--baseline", report, "--max-drop", f"{METRICS[name]}=-0.01")

    assert ended.status == 0, ended.err
    assert json.loads(report.read_text(encoding="utf-8"))["eval"] == name
    assert page.read_text(encoding="utf-8").count("<svg") >= 1
    assert all("id" in json.loads(line) for line in said.read_text(encoding="utf-8").splitlines())
    assert failed.status == 1
    assert f"{METRICS[name]} is " in failed.err
    assert "under 1.010 (worst: " in failed.err
    assert (fell.status, f"{METRICS[name]} fell from" in fell.err) == (1, True)


def test_a_figure_that_is_no_mean_may_not_drop_either(run: Run, tmp_path: Path):
    cases, report = write(tmp_path / "cases.jsonl", LABELLED), tmp_path / "report.json"
    run("grounding", "--cases", cases, "--json", report)
    before = json.loads(report.read_text(encoding="utf-8"))
    before["figures"]["answer_auc"]["value"] = 1.5
    before["by_case"]["labelled answers"]["bad"]["answer_right"] = 2.0
    report.write_text(json.dumps(before), encoding="utf-8")

    fell = run("grounding", "--cases", cases, "--baseline", report, "--max-drop", "answer_auc=0.1")
    unknown = run("grounding", "--cases", cases, "--baseline", report, "--max-drop", "beauty=0.1")

    assert fell.status == 1
    assert "answer_auc went from 1.500 to 1.000, by more than 0.100 (cases that got worse: bad)" in fell.err
    assert "--max-drop 'beauty=0.1' is not METRIC=VALUE. Metrics: faithfulness" in unknown.err


BROKEN = ["{broken", '{"id": "nan", "passages": ["a"], "answer": "a", "unsupported": NaN}', {"id": "x", "answer": "y"}]


def test_lines_that_hold_no_case_are_named_and_counted_and_the_others_run(run: Run, tmp_path: Path):
    cases = write(tmp_path / "cases.jsonl", [GOOD, *BROKEN, GOOD | {"id": "long", "answer": "dropout " * 12_600}])

    ended = run("grounding", "--cases", cases)

    assert ended.status == 0
    for line, reason in ((2, "not JSON"), (3, "NaN is no number"), (4, "the field 'passages' is missing")):
        assert f"left out cases.jsonl:{line}: {reason}" in ended.out
    assert "2 answers checked, 3 left out" in ended.out


def test_a_section_that_is_in_no_guide_is_named_with_file_and_line(run: Run, tmp_path: Path):
    lost = SEARCH[0] | {"id": "lost", "relevant": [{"document": "regularization.md", "heading": "Zoneout", "grade": 2}]}

    ended = run("retrieval", "--cases", write(tmp_path / "cases.jsonl", [SEARCH[0], lost]))

    assert ended.status == 0
    assert "left out cases.jsonl:2: lost names no section of the index: regularization.md > Zoneout." in ended.out


def test_an_eval_that_the_cases_are_not_enough_for_says_what_was_left_out(run: Run, tmp_path: Path):
    ended = run("abstention", "--cases", write(tmp_path / "cases.jsonl", [SEARCH[0], "{broken"]))

    assert ended.status == 1
    assert "needs answerable and unanswerable cases" in ended.err
    assert "1 cases were left out: cases.jsonl:2: not JSON" in ended.err


def test_answers_with_scores_and_answers_with_verdicts_are_not_mixed(run: Run, tmp_path: Path, small_corpus: Path):
    from corpus.questions import read_questions

    question = read_questions([small_corpus / "questions"])[0][0]
    verdicts = ["missing"] * len(question.key_points)
    judged = {"id": "v", "question": question.id, "answer": "I don't know.", "verdicts": verdicts}

    mixed = run("grading", "--cases", write(tmp_path / "mixed.jsonl", [GRADED, judged]))
    alone = run("grading", "--cases", write(tmp_path / "judged.jsonl", [judged]))

    assert (mixed.status, "Give the two one by one" in mixed.err) == (1, True)
    assert alone.status == 0
    assert "1 answers graded, 0 left out" in alone.out


@pytest.mark.parametrize("name", ["citations", "grading"])
def test_a_model_that_is_not_here_is_not_measured_by_what_takes_its_place(run: Run, tmp_path: Path, name: str):
    cases = ("--cases", write(tmp_path / "cases.jsonl", SEARCH)) if name == "citations" else ("--limit", "1")

    ended = run(name, *cases, "--model", "nobody/no-such-model")

    assert ended.status == 1
    assert "'nobody/no-such-model' names no language model" in ended.err


def test_a_break_says_how_far_it_came_and_the_next_run_goes_on_from_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from evals import grounding

    cases = write(tmp_path / "cases.jsonl", [GOOD, BAD])
    check, asked = grounding.check_answer, []

    def break_at_the_second(answer: str, *given: object, **options: object) -> object:
        asked.append(answer)
        if answer == BAD["answer"] and asked.count(answer) == 1:
            raise KeyboardInterrupt
        return check(answer, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(grounding, "check_answer", break_at_the_second)
    broken = run("grounding", "--cases", cases)
    so_far = len(asked)
    ended = run("grounding", "--cases", cases)

    assert broken.status == 130
    assert "checking: 1 of 2 done" in broken.err
    assert "What was judged so far is kept: the same command goes on from there." in broken.err
    assert ended.status == 0
    # Once more each, to see whether the same comes out; only the second was judged besides.
    assert sorted(asked[so_far:]) == sorted([GOOD["answer"], BAD["answer"], BAD["answer"]])


def test_a_judge_stands_beside_the_offline_check(run: Run, tmp_path: Path):
    tokenizer = make_pair_tokenizer(" ".join((PASSAGE, GOOD["answer"], BAD["answer"])))
    model = make_classifier(tokenizer, ["contradiction", "entailment", "neutral"])
    teach_pairs(model, tokenizer, [(PASSAGE, GOOD["answer"]), (PASSAGE, BAD["answer"])], [1, 2])
    judge = save(model, tokenizer, tmp_path / "judge")
    cases = write(tmp_path / "cases.jsonl", LABELLED)

    ended = run("grounding", "--cases", cases, "--judge", judge, "--calibrate", cases, "--json", tmp_path / "r.json")
    missing = run("grounding", "--cases", cases, "--judge", "nobody/no-such-model")
    alone = run("grounding", "--cases", cases, "--calibrate", cases)

    assert ended.status == 0, ended.err
    figures = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["figures"]
    assert figures["judge_answer_auc"]["value"] == figures["judge_readable"]["value"] == 1.0
    assert ", chosen on 2 other cases" in ended.out
    assert (missing.status, "neither a folder nor a model in the local cache" in missing.err) == (1, True)
    assert (alone.status, "Name one: --judge MODEL." in alone.err) == (2, True)


def test_a_whole_run_is_kept_for_the_page_and_its_limits_name_the_eval(run: Run, tmp_path: Path, small_corpus: Path):
    cases = write(tmp_path / "cases.jsonl", SEARCH)
    report, said = tmp_path / "report.json", tmp_path / "said.jsonl"
    measure = ("all", "--cases", cases, "--guides", small_corpus / "guides")

    ended = run(*measure, "--json", report, "--predictions", said, "--fail-under", "retrieval.hit@5=0.5")
    failed = run(
        *measure, "--fail-under", "retrieval.hit@5=1.5", "--baseline", report, "--max-drop", "retrieval.hit@1=-0.1"
    )
    wrong = run(*measure, "--limit", 1, "--fail-under", "hit@5=1")

    assert ended.status == 0, ended.err
    assert "left out grounding, grading and bank: our cases and questions rest on our guides" in ended.err
    kept = SuiteReport.read(read_settings().home / "evals" / "report.json")
    assert [item.name for item in kept.reports] == ["retrieval", "abstention", "conversation", "citations"]
    assert {json.loads(line)["eval"] for line in said.read_text(encoding="utf-8").splitlines()} == {
        item.name for item in kept.reports
    }
    assert failed.status == 1
    assert "retrieval: hit@5 is 1.000, under 1.500" in failed.err
    assert "retrieval: hit@1 fell from 1.000 to 1.000" in failed.err
    assert "is not EVAL.METRIC=VALUE. Evals: retrieval, abstention" in wrong.err

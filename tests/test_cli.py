from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from own_bank import OWN_BANK

from corpus.documents import MAX_BYTES
from tutor.settings import CORPUS_FOLDER
from tutor.tutor import QuestionError
from ui.cli import app, main

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-c", "from ui.cli import main; main()"]
GOOD_ANSWER = "Dropout zeroes random activations during training. Dropout is switched off at inference."


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - what JSON holds
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def environment(small_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that point the command line to the small corpus."""
    monkeypatch.setenv("TUTOR_GUIDES", json.dumps([str(small_corpus / "guides")]))
    monkeypatch.setenv("TUTOR_QUESTIONS", json.dumps([str(small_corpus / "questions")]))
    monkeypatch.setenv("TUTOR_DEBUG", "")


@pytest.fixture
def run(environment: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process; `typed` is what comes on standard input."""
    del environment

    def run(*arguments: str, typed: str = "") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8"))
        with pytest.raises(SystemExit) as end:
            main(arguments)
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return run


# What the commands do


def test_ask_answers_with_numbered_sources(run: Run):
    ended = run("ask", "What does dropout do in training?")

    assert ended.status == 0
    assert "Dropout zeroes each activation" in ended.out
    assert "[1] Regularization > Dropout (regularization.md:11)" in ended.out


def test_model_of_an_option_takes_the_place_of_the_setting(run: Run):
    ended = run("ask", "--model", "nobody/nothing-of-the-kind", "What does dropout do in training?")

    assert ended.status == 0
    assert "'nobody/nothing-of-the-kind' names no language model" in ended.err
    assert "Dropout zeroes each activation" in ended.out


def test_ask_declines_what_the_guides_do_not_cover_and_names_the_nearest(run: Run):
    ended = run("ask", "How do I deploy a kubernetes ingress with terraform during training?")

    assert ended.status == 0
    assert ended.out.startswith("The guides do not cover this.")


def test_ask_more_shows_the_whole_section(run: Run):
    short, whole = (run("ask", "What is weight decay?", *more) for more in ((), ("--more",)))

    assert r"\lVert w \rVert^2" in whole.out
    assert len(whole.out.splitlines()) >= len(short.out.splitlines())


ANSWER_KEYS = {
    "version", "question", "standalone_question", "answer", "answered", "citations", "sentences", "suggestions", "model",
    "timings", "notes", "mode", "from_memory", "quiz", "unknown_marks",
}  # fmt: skip
CITATION_KEYS = {
    "number", "document", "title", "heading", "quote", "score", "start_line", "page", "matched", "dense_score",
    "keyword_score",
}  # fmt: skip
PASSAGE_KEYS = {"id", "document", "title", "heading", "start_line", "page"}
HIT_KEYS = PASSAGE_KEYS | {
    "rank", "score", "dense_score", "keyword_score", "heading_score", "rerank_score", "matched", "text", "above", "before",
    "after", "also",
}  # fmt: skip
GRADE_KEYS = {
    "version", "question_id", "question", "score", "verdicts", "misconceptions", "feedback", "model_answer", "follow_up",
    "grader", "remarks",
}  # fmt: skip


def test_ask_prints_the_documented_json(run: Run):
    record = run("ask", "What does dropout do in training?", "--json").json

    assert set(record) == ANSWER_KEYS
    assert (record["version"], record["answered"], record["suggestions"]) == (1, True, [])
    assert [set(citation) for citation in record["citations"]] == [CITATION_KEYS] * len(record["citations"])
    assert {name for sentence in record["sentences"] for name in sentence} == {
        "text",
        "citations",
        "support",
        "supported",
    }
    assert record["citations"][0]["document"] == "regularization.md"
    assert record["citations"][0]["start_line"] == 11


def test_a_declined_question_has_suggestions_in_its_json(run: Run):
    record = run("ask", "Which kubernetes ingress terraform does BatchNorm helm?", "--json").json

    assert set(record) == ANSWER_KEYS
    assert (record["answered"], record["answer"], record["citations"]) == (False, "", [])
    assert {name for item in record["suggestions"] for name in item} == {"document", "heading", "start_line"}


def test_a_citation_says_in_the_words_of_the_question_why_it_was_found(run: Run):
    record = run("ask", "Why is early stopping's patience common?", "--json").json

    (citation, *_) = record["citations"]
    assert citation["matched"] == ["early", "stopping", "patience", "common"]
    assert -1 <= citation["dense_score"] <= 1
    assert 0 < citation["keyword_score"] <= 1
    assert record["notes"] == []


@pytest.mark.parametrize(
    ("options", "documents"),
    [
        (["--topic", "normalization"], {"normalization.md"}),
        (["--language", "zh"], {"zh-notes.md"}),
        (["--level", "junior", "--language", "en"], {"regularization.md"}),
        (["--guide", "zh-notes.md", "--guide", "normalization.md"], {"zh-notes.md", "normalization.md"}),
    ],
)
def test_what_is_asked_and_searched_can_be_narrowed(run: Run, options: list[str], documents: set[str]):
    question = "BatchNorm dropout 批归一化"

    hits = run("search", question, "--json", "--count", "20", *options).json["hits"]
    answer = run("ask", question, "--json", *options).json

    assert {hit["document"] for hit in hits} == documents
    assert {source["document"] for source in (*answer["citations"], *answer["suggestions"])} <= documents


def test_search_lists_passages_with_scores_reason_and_neighbours(run: Run):
    ended = run("search", "early stopping patience", "--count", "1")

    assert ended.status == 0
    first, scores, reason, text, before, after = ended.out.splitlines()
    assert first == "1. Regularization > Early stopping (regularization.md:19)"
    assert [word for word in scores.split() if word.isalpha()] == ["fused", "dense", "keyword", "heading"]
    assert reason.startswith("   matches: early, stopping, patience · likeness in meaning .")
    assert text.startswith("   Early stopping ends training")
    assert (before, after) == ("   before: Dropout", "   after: Weight decay")


def test_search_prints_the_documented_json(run: Run):
    record = run("search", "early stopping patience", "--json", "--count", "2", "--ranking", "keyword").json

    assert set(record) == {"version", "question", "ranking", "hits", "notes"}
    assert (record["version"], record["ranking"], record["notes"]) == (1, "keyword", [])
    assert [hit["rank"] for hit in record["hits"]] == list(range(1, len(record["hits"]) + 1))
    hit = record["hits"][0]
    assert set(hit) == HIT_KEYS
    assert hit["id"] == "regularization.md#early-stopping"
    assert hit["score"] == hit["keyword_score"]
    assert set(hit["before"]) == set(hit["after"]) == PASSAGE_KEYS
    assert (hit["above"], hit["after"]["heading"]) == ("Regularization", "Weight decay")


def test_search_merges_what_two_guides_say_alike(run: Run, small_corpus: Path):
    guide = small_corpus / "guides" / "regularization.md"
    (small_corpus / "guides" / "copy.md").write_text(guide.read_text(encoding="utf-8"), encoding="utf-8")

    record = run("search", "early stopping patience", "--json", "--count", "1").json

    (hit,) = record["hits"]
    assert len(hit["also"]) == 1
    assert set(hit["also"][0]) == PASSAGE_KEYS
    assert {hit["document"], hit["also"][0]["document"]} == {"copy.md", "regularization.md"}
    assert "says the same: " in run("search", "early stopping patience", "--count", "1").out


def test_a_search_without_a_known_word_says_so(run: Run):
    ended = run("search", "what is it")

    assert ended.status == 0
    assert ended.out.startswith("No passage has a word of it.")


@pytest.mark.parametrize("command", ["ask", "search"])
def test_of_a_language_that_the_encoder_does_not_know_the_reader_is_told(run: Run, command: str):
    ended = run(command, "Что такое dropout и регуляризация?")
    record = run(command, "Что такое dropout и регуляризация?", "--json").json

    assert ended.status == 0
    assert ended.err.startswith("tutor: The encoder does not know the language of this question")
    assert len(record["notes"]) == 1


def test_a_model_folder_that_is_none_leaves_the_index_as_it_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run("index")
    with monkeypatch.context() as patch:
        patch.setenv("TUTOR_EMBEDDER", str(tmp_path / "no-model"))
        failed = run("index", "--rebuild")

    assert (failed.status, failed.err.count("\n")) == (1, 1)
    assert "cannot be loaded" in failed.err
    assert run("ask", "What is dropout?").out.startswith("Dropout")


def test_chat_answers_a_line_at_a_time_and_understands_follow_ups(run: Run):
    ended = run("chat", "--json", typed="What is dropout?\n\nWhen should you avoid it?\n")

    first, second = map(json.loads, ended.out.splitlines())
    assert set(first) == set(second) == ANSWER_KEYS
    assert first["standalone_question"] == "What is dropout?"
    assert "dropout" in second["standalone_question"]


def test_chat_turns_the_last_answer_quizzes_and_grades(run: Run):
    typed = (
        "What does dropout do in training?\nshorter please\nquiz me on this\nmy answer: It zeroes random activations.\n"
    )
    ended = run("chat", "--json", typed=typed)

    plain, shorter, quiz, graded = map(json.loads, ended.out.splitlines())
    assert shorter["mode"] == "shorter"
    assert shorter["standalone_question"] == plain["standalone_question"]
    assert graded["question_id"] == quiz["quiz"] == "dropout-train-inference"


def test_an_answer_in_the_chat_to_nothing_is_complained_about(run: Run):
    ended = run("chat", typed="my answer: it depends\nshorter\n")

    assert ended.status == 0
    assert "quiz me" in ended.err
    assert "Ask a question first" in ended.err


def test_guides_first_without_a_model_declines_and_says_what_it_needs(run: Run):
    ended = run("ask", "How do I bake bread with sourdough in training?", "--guides-first")

    assert "The guides do not cover this." in ended.out
    assert "TUTOR_LANGUAGE_MODEL" in ended.err


def test_a_bad_line_does_not_end_a_chat(run: Run):
    ended = run("chat", "--json", typed=f"???\n{'x' * 5000}\nWhat is dropout?\n")

    assert ended.status == 0
    assert len(ended.out.splitlines()) == 1
    assert len(ended.err.splitlines()) == 2


def test_grade_prints_the_documented_json(run: Run):
    record = run("grade", "--question", "dropout-train-inference", "--answer", GOOD_ANSWER, "--json").json

    assert set(record) == GRADE_KEYS
    assert record["version"] == 1
    assert 0 < record["score"] <= 1
    verdict = record["verdicts"][0]
    assert set(verdict) == {"key_point", "weight", "verdict", "credit", "evidence", "citation", "doubt", "dispute"}
    assert set(verdict["citation"]) == CITATION_KEYS
    assert verdict["evidence"] in GOOD_ANSWER


def test_a_misconception_has_its_own_record(run: Run):
    wrong = "Dropout stays active when the model makes predictions."

    record = run("grade", "--question", "dropout-train-inference", "--answer", wrong, "--json").json

    assert [set(item) for item in record["misconceptions"]] == [{"misconception", "evidence", "citation"}]


def test_grade_reads_the_answer_from_standard_input_and_finds_a_question_by_its_wording(run: Run):
    ended = run("grade", "--question", "Explain dropout.", "--answer", "-", typed=GOOD_ANSWER)

    assert ended.status == 0
    assert ended.out.startswith("Score: ")
    assert "(dropout-train-inference)" in ended.out
    assert "you: Dropout" in ended.out


def test_a_question_of_ones_own_is_graded_by_the_reference(run: Run):
    reference = "Gradient clipping limits the norm of the gradient."

    record = run(
        "grade", "--question", "What does clipping do?", "--answer", reference, "--reference", reference, "--json"
    ).json

    assert [verdict["key_point"] for verdict in record["verdicts"]] == [reference]
    assert record["model_answer"] == reference
    assert record["remarks"] == [
        "The key points are the sentences of your reference; each counts by how much of it was found."
    ]
    assert record["verdicts"][0]["credit"] == record["score"] > 0.9


def test_several_references_may_be_given_and_the_share_of_each_point_is_shown(run: Run):
    references = [
        "--reference",
        "Gradient clipping limits the norm of the gradient.",
        "--reference",
        "It caps update size.",
    ]

    ended = run(
        "grade", "--question", "What does clipping do?", "--answer", "It caps the size of updates.", *references
    )

    assert re.search(r"made [6-9]\d%", ended.out)


def test_a_disputed_point_is_judged_again_and_shown_with_both_verdicts(run: Run):
    options = ["--question", "dropout-train-inference", "--answer", "Cats are nice.", "--dispute", "2"]

    record = run("grade", *options, "--argument", "I meant “nice”.", "--json").json
    shown = run("grade", *options, "--argument", "I meant “nice”.")

    assert record["verdicts"][0]["dispute"] is None
    assert record["verdicts"][1]["dispute"]["argument"] == "I meant “nice”."
    assert record["verdicts"][1]["dispute"]["before"]["verdict"] == "missing"
    assert "disputed (it was missing): " in shown.out


def test_a_file_of_answers_is_graded_into_another(run: Run, tmp_path: Path):
    answers, output = tmp_path / "answers.csv", tmp_path / "graded.csv"
    answers.write_text(f"question,answer\ndropout-train-inference,{GOOD_ANSWER}\n", encoding="utf-8")

    ended = run("grade", "--batch", str(answers), "--output", str(output))

    assert (ended.status, ended.err) == (0, "")
    assert "1 of 1 answers graded" in ended.out
    assert output.read_bytes().startswith(
        b"\xef\xbb\xbfquestion,answer,score,calibrated_score,dropout-train-inference 1: "
    )


def test_a_file_with_a_bad_row_is_graded_but_for_it_and_ends_with_1(run: Run, tmp_path: Path):
    answers, output = tmp_path / "answers.csv", tmp_path / "graded.csv"
    answers.write_text(
        f"question,answer\ndropout-train-infrence,x\ndropout-train-inference,{GOOD_ANSWER}\n", encoding="utf-8"
    )

    ended = run("grade", "--batch", str(answers), "--output", str(output))

    assert ended.status == 1
    assert f"{answers}:2: No question 'dropout-train-infrence' in the bank. Did you mean" in ended.err
    assert "1 of 2 answers graded" in ended.out
    bad, good = csv.DictReader(io.StringIO(output.read_text(encoding="utf-8-sig")))
    assert (bad["score"], good["error"]) == ("", "")


def test_questions_lists_and_filters(run: Run):
    rows = run("questions", "--topic", "regularization", "--level", "mid", "--json").json

    assert [row["id"] for row in rows] == ["batchnorm-count"]
    assert set(rows[0]) == {"id", "topic", "level", "kind", "question"}
    assert "dropout-train-inference" in run("questions", "--search", "dropout").out
    assert run("questions", "--search", "kubernetes").out.startswith("No question matches")


def test_brackets_of_a_question_are_printed_as_they_stand(run: Run, small_corpus: Path):
    bank = small_corpus / "questions" / "regularization.md"
    prompt = "What is the mean over axis 0 of a tensor [batch, channels] named x[/b]?"
    text = bank.read_text(encoding="utf-8")
    bank.write_text(text.replace("What does dropout do, and what changes at inference?", prompt), encoding="utf-8")

    assert prompt in run("questions").out
    assert prompt in run("interview", "--level", "junior", typed="skip\n").out


def test_an_interview_takes_hints_answers_and_skips(run: Run):
    typed = f"hint\n{GOOD_ANSWER}\n\nskip\n"

    ended = run("interview", "--level", "junior", "--count", "1", typed=typed)

    assert "1 of 1  (regularization, junior)" in ended.out
    assert "Hint: Think of what happens to single units." in ended.out
    assert "Score: " in ended.out
    assert "1 of 1 answered" in ended.out


def test_an_interview_that_is_skipped_or_left_has_no_score(run: Run):
    assert "0 of 2 answered, no score" in run("interview", "--count", "2", typed="skip\nskip\n").out
    assert "0 of 2 answered, no score" in run("interview", "--count", "2", typed="quit\n").out
    assert "0 of 2 answered, no score" in run("interview", "--count", "2").out


def test_progress_shows_the_graded_answers_by_topic(run: Run):
    assert run("progress").out.startswith("No graded answers yet. Start with: tutor interview")
    run("grade", "--question", "dropout-train-inference", "--answer", GOOD_ANSWER)

    (row,) = run("progress", "--json").json

    assert set(row) == {"topic", "attempted", "attempts", "score", "last"}
    assert (row["topic"], row["attempts"]) == ("regularization", 1)
    assert "Study next: regularization" in run("progress").out


def test_index_tells_what_changed_and_lists_its_documents(run: Run, tmp_path: Path):
    (tmp_path / "momentum.md").write_text("# Momentum\n\nMomentum averages gradients.\n", encoding="utf-8")

    assert "3 added, 0 changed, 0 removed, 0 unchanged." in run("index").out
    summary = run("index", str(tmp_path / "momentum.md"), "--json").json
    assert set(summary) == {"documents", "passages", "added", "changed", "removed", "embedded", "left_out"}
    assert (summary["added"], summary["embedded"]) == (["momentum.md"], 1)
    assert "Momentum" in run("index", "--list").out
    (*_, row) = run("index", "--list", "--json").json
    assert set(row) == {"document", "title", "topic", "language", "passages", "source"}
    assert "1 removed" in run("index", "--remove", "momentum.md").out


def test_settings_shows_each_value_and_where_it_comes_from(run: Run, home: Path):
    record = run("settings", "--json").json

    assert record["home"] == {"value": str(home), "from": "TUTOR_HOME"}
    assert record["port"]["from"] == "default"
    assert "Port the page is served at." in run("settings").out


def test_doctor_ends_with_1_where_something_is_wrong(run: Run, home: Path):
    assert run("doctor").status == 0
    home.mkdir()
    (home / "progress.db").write_text("no database", encoding="utf-8")

    ended = run("doctor", "--json")

    assert ended.status == 1
    assert {name for finding in ended.json for name in finding} == {"subject", "text", "health", "mend"}


def test_corpus_check_reports_each_mistake_with_file_and_line(run: Run, small_corpus: Path):
    (small_corpus / "guides" / "losses.md").write_text("# Losses\n\nSee [this](nowhere.md).\n", encoding="utf-8")

    ended = run("corpus", "check", str(small_corpus))

    assert ended.status == 1
    assert "guides/losses.md:3: the link 'nowhere.md' leads to no guide" in ended.out
    assert ended.out.endswith("problems\n")


def test_eval_retrieval_measures_cases_and_fails_under_a_limit(run: Run, tmp_path: Path):
    case = {
        "id": "dropout",
        "question": "What does dropout do in training?",
        "answerable": True,
        "relevant": [{"document": "regularization.md", "heading": "Dropout", "grade": 2}],
    }
    cases = tmp_path / "cases.jsonl"
    cases.write_text(json.dumps(case) + "\n", encoding="utf-8")
    report = tmp_path / "report.json"

    ended = run("eval", "retrieval", "--cases", str(cases), "--json", str(report), "--fail-under", "recall@5=0.9")

    assert ended.status == 0
    assert json.loads(report.read_text(encoding="utf-8"))["rankings"]["fused"]["recall@5"] == 1
    failed = run("eval", "retrieval", "--cases", str(cases), "--fail-under", "recall@1=1.5")
    assert (failed.status, "recall@1 is 1.000, under 1.500" in failed.err) == (1, True)
    swept = run("eval", "retrieval", "--cases", str(cases), "--sweep", "chunk_words=60,300", "--ranking", "fused")
    assert [line.split()[0] for line in swept.out.splitlines()] == ["chunk_words", "60", "300"]


def test_eval_names_what_dropped_since_the_baseline_and_compare_says_whether_it_is_chance(run: Run, tmp_path: Path):
    rows = [
        {"id": name, "question": question, "answerable": True, "relevant": [section]}
        for section in [{"document": "regularization.md", "heading": "Dropout", "grade": 2}]
        for name, question in (("dropout", "What does dropout do in training?"), ("lost", "Wie backt man Brot?"))
    ]
    cases, now, then = tmp_path / "cases.jsonl", tmp_path / "now.json", tmp_path / "then.json"
    cases.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    measure = ("eval", "retrieval", "--cases", str(cases), "--ranking", "fused", "--json", str(now))
    assert run(*measure).status == 0
    report = json.loads(now.read_text(encoding="utf-8"))
    report["by_case"]["fused"]["lost"]["hit@1"] = 1.0
    then.write_text(json.dumps(report), encoding="utf-8")

    kept = run(*measure, "--baseline", str(now), "--max-drop", "hit@1=0")
    fallen = run(*measure, "--baseline", str(then), "--max-drop", "hit@1=0.1")
    compared = run("eval", "compare", str(then), str(now), "--json")

    assert kept.status == 0
    assert fallen.status == 1
    assert "hit@1 fell from 1.000 to 0.500 on 2 cases" in fallen.err
    assert "worse: lost 1.00 -> 0.00" in fallen.err
    changes = {row["metric"]: row for row in json.loads(compared.out)["metrics"]}
    assert changes["hit@1"]["outcome"] == "no difference that could not be chance"
    assert changes["hit@1"]["difference"]["value"] == -0.5


def test_eval_grounding_checks_a_file_and_fails_under_a_limit(run: Run, tmp_path: Path):
    cases, checked, report = tmp_path / "answers.jsonl", tmp_path / "checked.jsonl", tmp_path / "report.json"
    passage = "Dropout zeroes random activations in training and is switched off at inference."
    rows = [
        {"id": "good", "passages": [passage], "answer": "Dropout zeroes random activations in training."},
        {"id": "bad", "passages": [passage], "answer": "Dropout was invented in 1967 by Ada Lovelace."},
        {"id": "empty", "passages": [passage], "answer": ""},
    ]
    cases.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ("eval", "grounding", "--cases", str(cases))

    ended = run(*arguments, "--predictions", str(checked), "--json", str(report), "--fail-under", "faithfulness=0.5")
    assert ended.status == 0, ended.err
    assert "answers.jsonl:3" in ended.out
    assert [json.loads(line)["id"] for line in checked.read_text(encoding="utf-8").splitlines()] == ["good", "bad"]
    assert json.loads(report.read_text(encoding="utf-8"))["means"]["answers"]["faithfulness"]["value"] == 0.5

    failed = run(*arguments, "--fail-under", "faithfulness=0.9")
    assert failed.status == 1
    assert "faithfulness is 0.500" in failed.err


def test_eval_of_follow_ups_writes_its_report_and_page_and_fails_under_a_limit(run: Run, tmp_path: Path):
    case = {
        "id": "patience",
        "question": "What is its patience?",
        "history": ["What is early stopping?"],
        "answerable": True,
        "relevant": [{"document": "regularization.md", "heading": "2. Early stopping", "grade": 2}],
    }
    cases, report, page = tmp_path / "cases.jsonl", tmp_path / "report.json", tmp_path / "report.html"
    cases.write_text(json.dumps(case) + "\n", encoding="utf-8")
    measure = ("eval", "conversation", "--cases", str(cases), "--json", str(report), "--html", str(page))

    passed = run(*measure, "--fail-under", "hit@1=1")
    failed = run(*measure, "--fail-under", "hit@1=1.1")

    assert passed.status == 0
    assert "rewritten against bare: nDCG@10" in passed.out
    assert list(json.loads(report.read_text(encoding="utf-8"))["by_case"]) == ["bare", "joined", "rewritten"]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (failed.status, "hit@1 is 1.000, under 1.100 (worst: patience)" in failed.err) == (1, True)


# What the help says is true


def examples() -> Iterator[str]:
    commands = [typer.main.get_command(app)]
    for command in commands:
        commands.extend(getattr(command, "commands", {}).values())
        for line in (command.help or "").splitlines():
            if line.strip().startswith("Example:"):
                yield line.strip().removeprefix("Example:").strip()


def test_nearly_every_command_has_an_example():
    assert len(list(examples())) >= 12


# What serves until it is interrupted, what needs a model that only a download can bring, and a day that passes.
NOT_RUN = ("tutor serve", "tutor models pull", "tutor models check", "tutor progress plan")


MOMENTUM = (
    "Momentum averages past gradients, so that steps along a ravine add up. "
    "A coefficient of 0.9 averages over about ten steps of the past.\n"
)
NEW_PASSWORD = "seven quiet otters read papers"


def test_a_bank_of_ones_own_is_added_asked_and_removed(run: Run, tmp_path: Path):
    bank = tmp_path / "pruning.md"
    bank.write_text(OWN_BANK, encoding="utf-8")

    added = run("questions", "add", str(bank))
    assert added.out == "1 question of pruning.md counts from now on.\n"
    assert "pruning.md:5: own-pruning: the answer has 9 words." in added.err
    assert "own-pruning" in run("questions", "--topic", "pruning").out
    said = tmp_path / "pruning.said.txt"
    said.write_text(
        "# own-pruning\nS: Magnitude pruning removes the smallest weights.\n+: small ones go\n?\n", encoding="utf-8"
    )
    heard = run("questions", "add", str(said))
    assert heard.out == "The grader knows more ways to say 1 key point now.\n"
    assert "pruning.said.txt:4: the line '?' has no place here" in heard.err
    assert run("questions", "add", str(said), "--json").json["key_points"] == 1

    assert run("questions", "remove", "pruning.md").out == "pruning.md was removed.\n"
    assert run("questions", "--topic", "pruning").status == 2
    assert "There are: none yet" in run("questions", "remove", "pruning.md").err


def test_a_bank_without_a_sound_question_is_refused_with_its_mistakes(run: Run, tmp_path: Path):
    bank = tmp_path / "pruning.md"
    bank.write_text(OWN_BANK.replace("level: junior", "level: expert"), encoding="utf-8")

    ended = run("questions", "add", str(bank))

    assert ended.status == 1
    assert "pruning.md:5: the level is 'expert'" in ended.err
    assert "no question that can join the bank" in ended.err


def test_a_draft_is_printed_as_a_bank_and_not_taken_before_it_is_edited(run: Run, tmp_path: Path):
    run("index")
    drafted = run("questions", "draft", "regularization.md", "--count", "1")
    draft = tmp_path / "draft.md"
    draft.write_text(drafted.out, encoding="utf-8")

    assert "## Explain in your own words: Dropout." in drafted.out
    assert "is a draft still" in run("questions", "add", str(draft)).err

    draft.write_text(drafted.out.replace("draft: true\n", ""), encoding="utf-8")
    assert "1 question of draft.md counts" in run("questions", "add", str(draft)).out


@pytest.mark.parametrize("example", [line for line in examples() if not line.startswith(NOT_RUN)])
def test_the_example_in_the_help_runs(example: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The questions are the shipped ones: an example must name some that a user has.
    monkeypatch.setenv("TUTOR_QUESTIONS", json.dumps([str(CORPUS_FOLDER / "questions")]))
    before, _, command = example.rpartition("|")
    typed = ""
    if before:
        typed = subprocess.run(
            ["bash", "-c", f"{before} | head -n 20"], capture_output=True, text=True, check=True
        ).stdout
    name, *arguments = shlex.split(command)
    if arguments == ["index", "--list"]:
        run("index")
    if arguments[0] == "progress":
        # What it writes is not for the project's folder.
        monkeypatch.chdir(tmp_path)
    if arguments[:2] == ["progress", "import"]:
        run("progress", "export", "--json", *arguments[2:])
    if arguments[0] == "questions" and "my-questions.md" in arguments:
        monkeypatch.chdir(tmp_path)
        Path("my-questions.md").write_text(OWN_BANK, encoding="utf-8")
        run("questions", *(["add", "my-questions.md"] if "remove" in arguments else []))
    if arguments[0] == "users" and arguments[1] != "add":
        run("users", "add", "ana", "--role", "instructor", "--generate")
    if arguments[:2] == ["users", "password"]:
        typed = f"{NEW_PASSWORD}\n"
    if arguments[:2] == ["questions", "draft"]:
        guide = tmp_path / arguments[2]
        guide.write_text("# Optimization\n\n## Momentum\n\n" + MOMENTUM, encoding="utf-8")
        run("index", str(guide))

    ended = run(*arguments, typed=typed)

    assert name == "tutor"
    assert ended.status == 0, ended.out + ended.err
    assert ended.out


# What is wrong is said in a line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", ""], "The question is empty"),
        (["ask", " ?! "], "The question is empty"),
        (["ask", "x" * 100_000], "The question has 100,000 characters. Expected at most 4,000"),
        (["ask", "dropout \udcff"], "not UTF-8 text"),
        (
            ["ask", "dropout", "--topic", "regularisation"],
            "No topic 'regularisation' in the guides. Did you mean regulari",
        ),
        (
            ["search", "dropout", "--guide", "dropout.md"],
            "There are: normalization.md, regularization.md, zh-notes.md.",
        ),
        (["search", ""], "The question is empty"),
        (["search", "😀"], "The question is empty"),
        (["search", "x" * 100_000], "The question has 100,000 characters"),
        (["grade", "--question", "dropout-train-infrence", "--answer", "x"], "Did you mean dropout-train-inference"),
        (["grade", "--question", "dropout-train-inference", "--answer", " "], "The answer is empty"),
        (["grade", "--question", "dropout-train-inference", "--answer", "a\0b"], "binary"),
        (["grade", "--question", "What?", "--answer", "x", "--reference", "Yes."], "nothing in the reference"),
        (
            ["grade", "--question", "dropout-train-inference", "--answer", "x", "--dispute", "9", "--argument", "x"],
            "no key point 9. Expected a number from 1 to 3",
        ),
        (["grade", "--batch", "nowhere.csv", "--output", "graded.csv"], "No such file or directory: 'nowhere.csv'"),
        (["index", "nowhere.md"], "No such file or folder: "),
        (["index", "--list"], "Build it: tutor index"),
        (["corpus", "check", "nowhere"], "neither a folder `guides` nor a folder `questions`"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_status_2(run: Run, arguments: list[str], said: str):
    ended = run(*arguments)

    assert ended.status == 2
    assert said in ended.err
    assert ended.err.startswith("tutor: ")
    assert ended.err.count("\n") == 1
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["ask"], "Missing argument"),
        (["ask", "--frob", "x"], "No such option"),
        (["questions", "--topic", "astronomy"], "no topic 'astronomy'. Expected one of regularization"),
        (["interview", "--level", "guru"], "no level 'guru'. Expected one of junior"),
        (["interview", "--count", "51"], "--count"),
        (["grade"], "expected --question and --answer, or --batch and --output"),
        (["grade", "--question", "x", "--answer", "x", "--dispute", "1"], "go together"),
        (["grade", "--batch", "a.csv", "--output", "a.csv"], "name another CSV file"),
        (["grade", "--batch", "a.csv"], "--output graded.csv"),
        (["grade", "--batch", "a.csv", "--output", "b.csv", "--answer", "x"], "Leave the other options out"),
        (["eval", "retrieval", "--ranking", "best"], "best"),
        (["eval", "retrieval", "--max-drop", "hit@1=0"], "--max-drop METRIC=VALUE go together"),
    ],
)
def test_a_command_line_that_is_wrong_is_status_2_and_shows_its_usage(run: Run, arguments: list[str], said: str):
    ended = run(*arguments)

    assert ended.status == 2
    assert said in " ".join(ended.err.split())
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", "--remove", "nowhere.md"], "No document 'nowhere.md' in the index"),
        (["eval", "retrieval", "--cases", "nowhere.jsonl"], "No cases at 'nowhere.jsonl'"),
    ],
)
def test_what_fails_is_one_line_and_status_1(run: Run, arguments: list[str], said: str):
    run("index")

    ended = run(*arguments)

    assert ended.status == 1
    assert said in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.md", b"", "the file is empty"),
        ("binary.md", b"\x00\x01\x02", "binary file"),
        ("latin.md", "Schönes Netz".encode("latin-1"), "line 1 is not UTF-8"),
        ("paper.pdf", b"%PDF-1.7 \x00", "the PDF is damaged"),
        ("dump.md", None, "20 MB is too large"),
        ("dates.md", b"---\ndate: 2024-02-30\n---\ntext", "the front matter is not YAML"),
    ],
)
def test_a_file_that_is_no_guide_is_named_and_the_others_are_indexed(
    run: Run, tmp_path: Path, name: str, content: bytes | None, said: str
):
    file = tmp_path / name
    file.write_bytes(content or b"")
    if content is None:
        os.truncate(file, MAX_BYTES + 1)

    ended = run("index", str(file))

    assert ended.status == 1
    assert ended.err.startswith(f"tutor: left out {name}: ")
    assert said in ended.err
    assert ended.out.startswith("3 documents")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_without_read_permission_is_named(run: Run, tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0)

    ended = run("index", str(tmp_path / "locked"))

    assert ended.status == 2
    assert "is not readable" in ended.err


def test_a_damaged_index_names_the_rebuild_and_the_rebuild_repairs_it(run: Run, home: Path):
    run("index")
    (home / "index" / "current.json").write_text("{", encoding="utf-8")

    ended = run("ask", "What is dropout?")

    assert ended.status == 1
    assert "Rebuild it: tutor index --rebuild" in ended.err
    assert ended.err.count("\n") == 1
    assert run("index", "--rebuild").status == 0
    assert run("ask", "What is dropout?").status == 0


def test_other_settings_than_those_of_the_index_name_the_rebuild(run: Run, monkeypatch: pytest.MonkeyPatch):
    run("index")
    monkeypatch.setenv("TUTOR_CHUNK_WORDS", "100")

    ended = run("ask", "What is dropout?")

    assert (ended.status, ended.err.count("\n")) == (1, 1)
    assert "chunk_words 300, now 100" in ended.err


@pytest.mark.parametrize("arguments", [["ask", "What is dropout?"], ["index"], ["questions"]])
def test_a_home_that_cannot_be_made_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path / "file" / "home"))

    ended = run(*arguments)

    assert ended.status == 1
    assert "Check the path and its permissions, or set TUTOR_HOME" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ("port 7861", {}, "settings.toml cannot be read"),
        ("prot = 7861", {}, "Known settings: "),
        ("port = 0", {}, "port: "),
        ("", {"TUTOR_PORT": "http"}, "Got 'http'. Set TUTOR_PORT"),
        ("", {"TUTOR_GUIDES": "/my/guides"}, "Expected JSON for a list"),
    ],
)
def test_a_bad_setting_is_one_line_and_status_2(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str], said: str
):
    home.mkdir()
    (home / "settings.toml").write_text(text, encoding="utf-8")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    ended = run("settings")

    assert ended.status == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_broken_question_is_left_out_and_named(run: Run, small_corpus: Path):
    bank = small_corpus / "questions" / "losses.md"
    bank.write_text("---\ntopic: losses\n---\n\n## What is a loss?\n", encoding="utf-8")

    ended = run("questions", "--json")

    assert len(ended.json) == 2
    assert "tutor: left out losses.md:5: " in ended.err


def test_debug_raises_what_went_wrong(run: Run):
    del run

    with pytest.raises(QuestionError):
        main(["--debug", "ask", ""])


def process(*arguments: str, typed: bytes = b"", **variables: str) -> Ended:
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=typed,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **variables},
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.usefixtures("environment")
def test_a_pipe_with_bytes_that_are_not_utf8_goes_on_with_the_next_line():
    typed = b"\xff\xfe dropout\nWhat is dropout?\n"

    ended = process("chat", "--json", typed=typed, LC_ALL="C.UTF-8")

    assert ended.status == 0
    assert ended.json["question"] == "What is dropout?"
    assert "not UTF-8" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.usefixtures("environment")
def test_a_process_ends_with_the_status_and_shows_the_traceback_on_request():
    plain, debug = (process(*options, "settings", TUTOR_PORT="http") for options in ((), ("--debug",)))

    assert (plain.status, plain.err.count("\n")) == (2, 1)
    assert debug.status == 1
    assert debug.err.startswith("Traceback")

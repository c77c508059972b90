"""`tutor progress …` and `tutor feedback`, as typed."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tutor.progress import Feedback, ProgressStore, Review
from tutor.tutor import Tutor
from ui.cli import main

Run = Callable[..., tuple[int, str, str]]
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def run(tutor: Tutor, small_corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command over the small corpus and gives its status and what it printed."""
    assert tutor.has_index
    monkeypatch.setenv("TUTOR_GUIDES", json.dumps([str(small_corpus / "guides")]))
    monkeypatch.setenv("TUTOR_QUESTIONS", json.dumps([str(small_corpus / "questions")]))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        return int(end.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def store(home: Path) -> ProgressStore:
    return ProgressStore(home / "progress.db")


def attempt(score: float, *, days_ago: int = 0, question_id: str = "dropout-train-inference") -> Review:
    return Review(question_id, "regularization", "It zeroes.", score, {}, NOW - timedelta(days=days_ago))


def test_progress_names_what_is_due(run: Run, store: ProgressStore):
    store.record_review("me", attempt(0.1, days_ago=3))

    status, out, _ = run("progress")

    assert status == 0
    assert "Due today: 1  (dropout-train-inference)" in out
    assert "Study next: regularization" in out


def test_due_lists_what_the_bank_still_has(run: Run, store: ProgressStore, tutor: Tutor):
    store.record_review("me", attempt(0.1, days_ago=3))
    store.record_review("me", attempt(0.1, days_ago=3, question_id="gone"))

    status, out, _ = run("progress", "due", "--json")

    [item] = json.loads(out)
    assert status == 0
    assert item["question_id"] == "dropout-train-inference"
    assert item["attempts"] == 1
    assert 0 < item["recall"] < 0.9
    assert item.keys() == {
        "question_id", "topic", "due", "recall", "stability_days", "attempts", "last_review",
    }  # fmt: skip
    assert tutor.find_question("dropout-train-inference").prompt in run("progress", "due")[1]


def test_nothing_due_says_when_the_next_is(run: Run, store: ProgressStore):
    assert run("progress", "due")[1].startswith("Nothing is due today. New questions")
    store.record_review("me", attempt(1.0))

    assert re.search(r"The next one is on \d{4}-\d\d-\d\d\.", run("progress", "due")[1])


def test_plan_says_how_many_a_day(run: Run):
    day = (datetime.now().astimezone() + timedelta(days=20)).date()

    status, out, _ = run("progress", "plan", "--date", day.isoformat())

    assert status == 0
    assert out.startswith(f"Interview on {day}, in 20 days: 1 a day, 2 questions are new to you.")
    assert "not enough" not in out


def test_plan_that_cannot_be_met_says_what_would_do(run: Run):
    tomorrow = (datetime.now().astimezone() + timedelta(days=1)).date().isoformat()

    out = run("progress", "plan", "--date", tomorrow, "--at-most", "1")[1]
    plan = json.loads(run("progress", "plan", "--date", tomorrow, "--at-most", "1", "--json")[1])

    assert "in 1 day: 1 a day" in out
    assert "That is not enough: 1 would never be asked, 0 not again in time. 2 a day would do" in out
    assert (plan["is_met"], plan["a_day"], plan["never_asked"], plan["needed_a_day"]) == (False, 1, 1, 2)
    assert [(day["again"], day["new"]) for day in plan["days"]] == [(0, 1)]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("plan", "--date", "2020-01-12"), 1, "2020-01-12 is not in the future: today is"),
        (("plan", "--date", "12 January"), 2, "does not match the format"),
        (("plan", "--date", "2099-01-12"), 1, "more than 730 days away"),
        (("plan", "--date", "2027-01-12", "--topic", "knitting"), 2, "there is no topic 'knitting'"),
        (("export",), 2, "say what to write: --anki FILE, --csv FILE or --json FILE"),
        (("export", "--json", "no/such/folder/ann.json"), 2, "No such file or directory"),
        (("import", "no/such/file.json"), 2, "No such file or directory"),
        (("delete",), 2, "Missing option '--learner'"),
    ],
)
def test_misuse_is_told_in_a_line(run: Run, arguments: tuple[str, ...], status: int, said: str):
    ended, _, complaint = run("progress", *arguments)

    assert ended == status
    assert said in complaint


def test_history_goes_out_and_comes_in_again(run: Run, store: ProgressStore, tmp_path: Path):
    store.record_review("ann", attempt(0.5))
    file = tmp_path / "ann.json"

    assert run("progress", "export", "--learner", "ann", "--json", str(file))[1] == f"{file}: 1 reviews of 'ann'\n"
    assert run("progress", "import", str(file), "--learner", "bob")[1] == "1 reviews added to the history of 'bob'.\n"
    assert run("progress", "import", str(file), "--learner", "bob")[1] == "nothing added to the history of 'bob'.\n"
    assert store.reviews("bob") == store.reviews("ann")


def test_broken_history_is_refused_and_nothing_is_added(run: Run, store: ProgressStore, tmp_path: Path):
    (tmp_path / "ann.json").write_text('{"version": 1')

    status, _, complaint = run("progress", "import", str(tmp_path / "ann.json"))

    assert status == 1
    assert "ann.json is no history that can be read" in complaint
    assert complaint.count("\n") == 1
    assert store.reviews("me") == []


def test_spreadsheet_and_deck_are_written_in_one_go(run: Run, store: ProgressStore, tmp_path: Path):
    store.record_review("me", attempt(0.5))

    status, out, _ = run("progress", "export", "--csv", str(tmp_path / "me.csv"), "--anki", str(tmp_path / "me.apkg"))

    assert status == 0
    assert "me.csv: 1 graded attempts of 'me'" in out
    assert "me.apkg: 2 notes" in out
    assert (tmp_path / "me.csv").read_text(encoding="utf-8-sig").startswith("reviewed_at,")
    with zipfile.ZipFile(tmp_path / "me.apkg") as package:
        assert package.testzip() is None
        assert set(package.namelist()) == {"collection.anki2", "media"}


def test_deleting_asks_first(run: Run, store: ProgressStore):
    store.record_review("ann", attempt(0.5))

    status, _, complaint = run("progress", "delete", "--learner", "ann")
    assert status == 2
    assert "deletes 1 reviews of 'ann' for good. Say --yes" in complaint
    assert len(store.reviews("ann")) == 1

    assert run("progress", "delete", "--learner", "ann", "--yes")[1] == "1 reviews of 'ann' deleted.\n"
    assert store.reviews("ann") == []
    assert run("progress", "delete", "--learner", "ann", "--yes")[1] == "There is nothing of 'ann'.\n"


def test_feedback_lists_the_thumbs_with_their_reasons(run: Run, store: ProgressStore):
    assert run("feedback")[1].startswith("No thumbs yet.")
    store.record_feedback("ann", Feedback("down", "wrong section", "What is dropout?", {"answer": "…"}, NOW))
    store.record_feedback("bob", Feedback("up", "", "And BatchNorm?", {}, NOW))

    first, second = run("feedback")[1].splitlines()
    assert first == f"{NOW:%Y-%m-%d}  ann  down  What is dropout?: wrong section"
    assert second == f"{NOW:%Y-%m-%d}  bob  up    And BatchNorm?"
    [thumb] = json.loads(run("feedback", "--learner", "ann", "--json")[1])
    assert thumb == {
        "learner": "ann",
        "at": NOW.isoformat(),
        "kind": "down",
        "reason": "wrong section",
        "question": "What is dropout?",
        "answer": {"answer": "…"},
    }


def test_unusable_database_is_one_line_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUTOR_DATABASE_URL", "postgresql://tutor:s3cret@127.0.0.1:1/class")

    status, _, complaint = run("progress")

    assert status == 1
    assert "'127.0.0.1:1/class' cannot be used" in complaint
    assert complaint.count("\n") == 1
    assert "s3cret" not in complaint
    assert "s3cret" not in run("settings")[1]

"""The history and the questions as files, and the history read in again."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.questions import Question
from tutor.database import ProgressError
from tutor.exports import HistoryFileError, read_history, write_anki_deck, write_attempts, write_history
from tutor.progress import Exchange, Feedback, ProgressStore, Review
from tutor.tutor import Tutor

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VERDICTS = [
    {"key_point": "Dropout zeroes activations.", "verdict": "made", "citation": None},
    {"key_point": "It is off at inference.", "verdict": "missing", "citation": {"document": "regularization.md"}},
]
GRADE = {"question": "What is dropout?", "feedback": "Half of it.", "verdicts": VERDICTS}
REVIEW = Review("dropout-train-inference", "regularization", "It zeroes. 中文", 0.5, GRADE, NOON, hints=1)


@pytest.fixture
def store(tmp_path: Path) -> ProgressStore:
    """Something of everything of ann's, and some of bob's."""
    store = ProgressStore(tmp_path / "progress.db")
    store.record_review("ann", REVIEW)
    store.record_review("bob", REVIEW)
    store.record_review("ann", replace(REVIEW, score=None, reviewed_at=NOON + timedelta(days=2)))
    store.record_exchange("ann", Exchange("What is dropout?", {"answer": "It zeroes. [1]"}, NOON))
    store.start_interview("ann", "first", {"style": "mixed"}, NOON)
    store.append_turn("ann", "first", 0, {"kind": "answer", "text": "…"}, NOON + timedelta(minutes=1))
    store.append_turn("ann", "first", 1, {"kind": "hint"}, NOON + timedelta(minutes=2))
    store.save_conversation("ann", "b", "BatchNorm", [{"question": "?"}], NOON)
    store.save_conversation("ann", "a", "Dropout", [], NOON + timedelta(minutes=1))
    store.record_feedback("ann", Feedback("down", "wrong", "What is dropout?", {"answer": "…"}, NOON))
    return store


def exported(store: ProgressStore, learner: str, file: Path) -> Path:
    write_history(file, learner, store.history(learner), now=NOON)
    return file


# JSON, there and back


def test_history_comes_back_whole_from_its_file(store: ProgressStore, tmp_path: Path):
    file = exported(store, "ann", tmp_path / "ann.json")
    other = ProgressStore(tmp_path / "other.db")

    added = other.merge_history("anna", read_history(file))

    assert added == {
        "reviews": 2,
        "exchanges": 1,
        "interviews": 1,
        "turns": 2,
        "conversations": 2,
        "feedback": 1,
    }
    assert other.history("anna") == store.history("ann")
    assert other.reviews("anna") == store.reviews("ann")
    assert other.interviews("anna") == store.interviews("ann")
    assert other.conversations("anna") == store.conversations("ann")
    assert other.reviews("bob") == []


def test_same_history_twice_adds_nothing(store: ProgressStore, tmp_path: Path):
    history = read_history(exported(store, "ann", tmp_path / "ann.json"))
    before = store.history("ann"), store.history("bob")

    assert not any(store.merge_history("ann", history).values())

    assert (store.history("ann"), store.history("bob")) == before


def test_what_was_said_twice_is_kept_twice_and_added_once(store: ProgressStore, tmp_path: Path):
    store.record_review("ann", REVIEW)
    history = read_history(exported(store, "ann", tmp_path / "ann.json"))
    other = ProgressStore(tmp_path / "other.db")
    other.record_review("ann", REVIEW)

    assert other.merge_history("ann", history)["reviews"] == 2
    assert other.merge_history("ann", history)["reviews"] == 0
    assert other.reviews("ann").count(REVIEW) == 2


def test_what_was_practised_elsewhere_takes_its_place_by_time(store: ProgressStore, tmp_path: Path):
    laptop = ProgressStore(tmp_path / "laptop.db")
    for day in (1, 3):
        laptop.record_review("ann", replace(REVIEW, attempt="on the laptop", reviewed_at=NOON + timedelta(days=day)))

    store.merge_history("ann", read_history(exported(laptop, "ann", tmp_path / "laptop.json")))

    assert [(review.reviewed_at - NOON).days for review in store.reviews("ann")] == [0, 1, 2, 3]
    assert store.reviews("bob") == [REVIEW]


def test_what_is_there_stays_as_it_is(store: ProgressStore, tmp_path: Path):
    history = read_history(exported(store, "ann", tmp_path / "ann.json"))
    store.rename_conversation("ann", "a", "Renamed since")
    store.append_turn("ann", "first", 2, {"kind": "skip"}, NOON + timedelta(minutes=3))

    assert not any(store.merge_history("ann", history).values())

    assert store.conversations("ann")[0].title == "Renamed since"
    assert len(store.stored_interview("ann", "first").turns) == 3


def change(record: dict[str, Any], path: str, value: object) -> None:
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = record
    for step in way:
        place = place[step]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("version", 2, "version: Input should be 1"),
        ("reviews.1.score", 1.5, r"reviews\.1\.score: .*less than or equal to 1"),
        ("reviews.0.reviewed_at", "2026-03-01T12:00:00", r"reviews\.0\.reviewed_at: .*timezone"),
        ("reviews.0.reviewed_at", "noon", r"reviews\.0\.reviewed_at"),
        ("reviews.0.grade", {"verdicts": [{"verdict": "made"}]}, r"verdicts\.0\.key_point: Field required"),
        ("reviews.0.hints", -1, r"reviews\.0\.hints"),
        ("reviews.0.id", 7, r"reviews\.0\.id: Extra inputs"),
        ("reviews", {}, "reviews: Input should be a valid"),
        ("feedback.0.kind", "sideways", r"feedback\.0\.kind"),
        ("interviews", [], "turns of the interview 'first', but not the interview"),
        ("learners", ["ann"], "learners: Extra inputs"),
    ],
)
def test_file_with_a_mistake_is_refused_as_a_whole(
    store: ProgressStore, tmp_path: Path, path: str, value: object, said: str
):
    file = exported(store, "ann", tmp_path / "ann.json")
    record = json.loads(file.read_text(encoding="utf-8"))
    change(record, path, value)
    file.write_text(json.dumps(record), encoding="utf-8")

    with pytest.raises(HistoryFileError, match=said) as failure:
        read_history(file)

    assert "ann.json" in str(failure.value)
    assert "Nothing was imported" in str(failure.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe\x00", b'{"version": 1', b"null", b'{"\\ud800": 1}'])
def test_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "history.json").write_bytes(content)

    with pytest.raises(HistoryFileError, match=r"history\.json is no history that can be read"):
        read_history(tmp_path / "history.json")


def test_file_that_was_cut_off_is_refused(store: ProgressStore, tmp_path: Path):
    file = exported(store, "ann", tmp_path / "ann.json")
    file.write_bytes(file.read_bytes()[:-200])

    with pytest.raises(HistoryFileError, match="Invalid JSON"):
        read_history(file)


def test_history_that_breaks_off_in_the_middle_leaves_nothing(store: ProgressStore, tmp_path: Path):
    history = {**store.history("ann"), "turns": [{"interview_id": "first", "number": 0, "turn": {}, "taken_at": None}]}
    other = ProgressStore(tmp_path / "other.db")
    other.record_review("anna", REVIEW)

    with pytest.raises(ProgressError):
        other.merge_history("anna", history)

    assert {name: len(rows) for name, rows in other.history("anna").items() if rows} == {"reviews": 1}


def test_many_mistakes_are_told_in_a_few_words(tmp_path: Path):
    record = {"version": 1, "learner": "ann", "exported_at": NOON.isoformat(), "reviews": [{}] * 50}
    (tmp_path / "history.json").write_text(json.dumps(record))

    with pytest.raises(HistoryFileError, match=r"and 347 more") as failure:
        read_history(tmp_path / "history.json")
    assert len(str(failure.value)) < 500


def test_export_that_fails_leaves_the_earlier_file(tmp_path: Path):
    file = tmp_path / "ann.json"
    file.write_text("the earlier one")

    with pytest.raises(TypeError):
        write_history(file, "ann", {"reviews": [{"score": object()}]}, now=NOON)

    assert file.read_text() == "the earlier one"
    assert list(tmp_path.iterdir()) == [file]


numbers = count()
reviews_of_any_kind = st.lists(
    st.builds(
        Review,
        question_id=st.text(max_size=5),
        topic=st.text(max_size=5),
        attempt=st.text(max_size=20),
        score=st.none() | st.floats(0, 1),
        grade=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2),
        reviewed_at=st.integers(0, 3).map(lambda days: NOON + timedelta(days=days)),
        hints=st.integers(0, 3),
    ),
    max_size=6,
)


@settings(max_examples=10)
@given(reviews_of_any_kind, reviews_of_any_kind)
def test_any_two_histories_merge_to_the_same_whichever_way_and_how_often(
    tmp_path_factory: pytest.TempPathFactory, here: list[Review], there: list[Review]
):
    # One file for all examples: making one takes longer than all that is done with it.
    folder = tmp_path_factory.getbasetemp()
    store, number = ProgressStore(folder / "merged.db"), next(numbers)
    names = [f"{name} {number}" for name in ("here", "there", "one", "other")]
    for learner, reviews in zip(names, (here, there), strict=False):
        with store.appending(learner) as appending:
            for review in reviews:
                appending.review(review)
    first, second = (read_history(exported(store, name, folder / "merged.json")) for name in names[:2])

    for learner, histories in zip(names[2:], ((first, second), (second, first, second, first)), strict=True):
        for history in histories:
            store.merge_history(learner, history)

    def told(learner: str) -> list[str]:
        return sorted(json.dumps(row, sort_keys=True) for row in store.history(learner)["reviews"])

    one = told(names[2])
    assert one == told(names[3])
    assert len(one) >= max(len(here), len(there))
    assert set(one) == {*told(names[0]), *told(names[1])}


# CSV


def test_spreadsheet_has_a_line_for_each_attempt(store: ProgressStore, tutor: Tutor, tmp_path: Path):
    questions = {question.id: question for question in tutor.questions}

    write_attempts(tmp_path / "ann.csv", store.reviews("ann"), questions)

    with (tmp_path / "ann.csv").open(encoding="utf-8-sig", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "reviewed_at": "2026-03-01T12:00:00+00:00",
        "question_id": "dropout-train-inference",
        "topic": "regularization",
        "question": questions["dropout-train-inference"].prompt,
        "score": "0.5000",
        "hints": "1",
        "rating": "hard",
        "attempt": "It zeroes. 中文",
        "missed": "It is off at inference.",
        "feedback": "Half of it.",
    }
    assert (second["score"], second["rating"]) == ("", "")


def test_attempt_that_looks_like_a_formula_is_no_formula_in_a_spreadsheet(tmp_path: Path):
    write_attempts(tmp_path / "ann.csv", [replace(REVIEW, attempt="=HYPERLINK(1)", question_id="own")], {})

    with (tmp_path / "ann.csv").open(encoding="utf-8-sig", newline="") as file:
        [row] = csv.DictReader(file)
    assert row["attempt"] == "'=HYPERLINK(1)"
    assert row["question"] == "What is dropout?"


# Anki


def notes(file: Path, folder: Path) -> dict[str, tuple[list[str], str]]:
    """Fields and tags by guid."""
    with zipfile.ZipFile(file) as package:
        package.extract("collection.anki2", folder)
    with closing(sqlite3.connect(folder / "collection.anki2")) as connection:
        return {guid: (fields.split("\x1f"), tags) for guid, fields, tags in connection.execute(
            "SELECT guid, flds, tags FROM notes ORDER BY guid"
        )}  # fmt: skip


def decks(file: Path, folder: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as package:
        package.extract("collection.anki2", folder)
    with closing(sqlite3.connect(folder / "collection.anki2")) as connection:
        [row] = connection.execute("SELECT decks FROM col")
    return {number: deck["name"] for number, deck in json.loads(row[0]).items()}


WriteDeck = Callable[..., Path]


@pytest.fixture
def write_deck(tutor: Tutor, tmp_path: Path) -> WriteDeck:
    def write(questions: list[Question], scores: dict[str, float] | None = None, *, day: int = 0) -> Path:
        file = tmp_path / f"deck {day}.apkg"
        now = NOON + timedelta(days=day)
        write_anki_deck(file, questions, scores=scores or {}, cite=tutor.cite_section, now=now)
        return file

    return write


def test_deck_has_key_points_model_answer_and_the_passages_they_rest_on(
    write_deck: WriteDeck, tutor: Tutor, tmp_path: Path
):
    question = tutor.find_question("dropout-train-inference")

    [(fields, tags)] = notes(write_deck([question], {question.id: 0.9}), tmp_path).values()

    prompt, points, answer, sources, about = (re.sub("<[^>]+>", "", field) for field in fields)
    assert prompt == question.prompt
    assert all(point.text in points for point in question.key_points)
    assert question.answer.split(".", 1)[0] in answer
    assert "regularization#dropout" in sources
    assert "Regularization > Dropout" in sources.replace("&gt;", ">")
    assert "At inference dropout is switched off" in sources.replace("\n", " ")
    assert about.startswith("Regularization, ")
    assert tags.split() == [f"interview-tutor::{tag}" for tag in (question.level, question.kind, "strong")]


def test_later_deck_updates_the_same_notes_in_the_same_decks(write_deck: WriteDeck, tutor: Tutor, tmp_path: Path):
    questions = list(tutor.questions)
    changed = [replace(questions[0], prompt="Asked in other words?"), *questions[1:]]

    first, second = write_deck(questions), write_deck(changed, day=1)

    before, after = notes(first, tmp_path), notes(second, tmp_path)
    assert before.keys() == after.keys()
    assert len(before) == len(questions)
    assert sum(before[guid] != after[guid] for guid in before) == 1
    assert decks(first, tmp_path) == decks(second, tmp_path)
    assert "Interview Tutor::Regularization" in decks(first, tmp_path).values()


def test_deck_says_how_the_learner_stands(write_deck: WriteDeck, tutor: Tutor, tmp_path: Path):
    first, second = tutor.questions[:2]

    told = {tags.split()[-1] for _, tags in notes(write_deck([first, second], {first.id: 0.2}), tmp_path).values()}

    assert told == {"interview-tutor::weak", "interview-tutor::new"}


def test_formula_is_one_in_anki_and_html_of_a_question_is_shown(write_deck: WriteDeck, tutor: Tutor, tmp_path: Path):
    question = replace(tutor.questions[0], prompt="Is $a < b$ <script>alert(1)</script> for\n\n$$\nx^2\n$$\n")

    [(fields, _)] = notes(write_deck([question]), tmp_path).values()

    assert r"\(a &lt; b\)" in fields[0]
    assert r"\[x^2\]" in fields[0]
    assert "<script>" not in fields[0]
    assert "&lt;script&gt;" in fields[0]

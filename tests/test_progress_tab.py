"""The Progress tab's handlers, and how practice begins from it, without a browser."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gradio as gr
import pytest

from tutor.database import ProgressError
from tutor.progress import Review
from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.app import build_app
from ui.interview_tab import InterviewHandlers, RoomView
from ui.progress_tab import ProgressHandlers, ProgressView

pytestmark = pytest.mark.usefixtures("closed_event_loops")
NOW = datetime.now(UTC).replace(microsecond=0)
HALF = "Dropout zeroes random activations during training."
DATES = {"me": f"{NOW + timedelta(days=10):%Y-%m-%d}"}


@pytest.fixture
def handlers(tutor: Tutor) -> ProgressHandlers:
    return ProgressHandlers(tutor)


@pytest.fixture
def practised(tutor: Tutor) -> Tutor:
    """A tutor with an attempt of today and one that is due again."""
    late = Review("batchnorm-count", "regularization", "50176", 0.2, {}, NOW - timedelta(days=5))
    tutor.progress.record_review("me", late)
    tutor.grade(tutor.find_question("dropout-train-inference"), HALF)
    return tutor


def link(**data: object) -> gr.EventData:
    """A link of the page that was clicked."""
    return gr.EventData(None, data)


def saved(parcel: str) -> tuple[str, bytes]:
    """The name and the content of a file that travels in the page."""
    [(name, content)] = re.findall('download="(.+?)" data-content="(.+?)"', parcel)
    return name, base64.b64decode(content)


def practise(tutor: Tutor, kind: str, name: str = "") -> RoomView:
    tabs, *view = InterviewHandlers(tutor).practise(link(kind=kind, name=name))
    assert tabs.selected == "interview"
    return RoomView(*view)


# What is shown


def test_without_attempts_it_says_what_to_do_and_shows_the_plan_and_the_map(handlers: ProgressHandlers):
    view = handlers.refresh()

    assert "Answer a first question" in view.head
    assert "2 questions" in view.head
    assert not view.due.visible
    assert not view.standing.visible
    assert not view.points.visible
    assert not view.interviews.visible
    assert view.map.visible
    assert view.topics.choices == [("Regularization", "regularization")]


def test_after_attempts_it_shows_how_the_learner_stands(practised: Tutor):
    view = ProgressHandlers(practised).refresh(DATES)

    assert "<dt>Due today</dt><dd>1</dd>" in view.head
    assert "<dd>2 <small>of 2</small></dd>" in view.head
    assert "<dt>Days in a row</dt><dd>1</dd>" in view.head
    assert "How many values does BatchNorm average" in view.due.value
    assert "Regularization" in view.standing.value
    assert "2 of 2" in view.standing.value
    assert "Dropout is switched off at inference." in view.points.value
    assert "#read-regularization.md--dropout" in view.points.value
    assert "Your strongest points" in view.points.value
    assert f'value="{DATES["me"]}"' in view.day


def test_an_answer_changes_the_map(practised: Tutor):
    tiles = re.findall(
        r"<i class='tile (\w+)' data-row=\S+ title='Dropout: (.+?)'", ProgressHandlers(practised).refresh().map.value
    )

    assert tiles == [("weak", "weak, 50%")]


def test_without_an_index_there_is_no_map_and_the_rest_stands(settings: Settings):
    tutor = Tutor(settings)
    tutor.progress.record_review("me", Review("dropout-train-inference", "regularization", "…", 0.5, {}, NOW))

    view = ProgressHandlers(tutor).refresh()

    assert not view.map.visible
    assert "Regularization" in view.standing.value


def test_a_question_that_left_the_bank_does_no_harm(handlers: ProgressHandlers):
    for name in ("gone", "batchnorm-count"):
        review = Review(name, "regularization", "…", 0.1, {}, NOW - timedelta(days=5))
        handlers.tutor.progress.record_review("me", review)

    view = handlers.refresh()

    assert "<dt>Due today</dt><dd>1</dd>" in view.head
    assert "gone" not in view.due.value


def test_a_history_that_cannot_be_read_is_told(handlers: ProgressHandlers, monkeypatch: pytest.MonkeyPatch):
    def locked(_learner: str) -> None:
        raise ProgressError("The history is locked.")

    monkeypatch.setattr(handlers.tutor.progress, "reviews", locked)

    with pytest.raises(gr.Error, match="The history is locked"):
        handlers.refresh()


def test_the_view_has_a_value_for_each_component(tutor: Tutor):
    sizes = {
        len(function.outputs)
        for function in build_app(tutor).fns.values()
        if getattr(getattr(function.fn, "__wrapped__", function.fn), "__qualname__", "") == "ProgressHandlers.refresh"
    }

    assert sizes == {len(ProgressView._fields)}


# The plan


def test_a_plan_says_how_many_a_day(handlers: ProgressHandlers):
    shown = handlers.plan(30, [], DATES)

    assert "in 10 days: <b>1 a day</b>" in shown
    assert "2 questions that are new" in shown


def test_a_plan_that_cannot_be_met_says_what_would_do(handlers: ProgressHandlers):
    shown = handlers.plan(1, ["regularization"], {"me": f"{handlers.now() + timedelta(days=1):%Y-%m-%d}"})

    assert "1 would never be asked" in shown
    assert "2 a day would do" in shown


def test_without_a_number_that_of_the_settings_counts(tutor: Tutor):
    two = tutor.settings.model_copy(update={"questions_a_day": 1})

    assert "1 would never be asked" in ProgressHandlers(Tutor(two)).plan(
        None, None, {"me": f"{datetime.now().astimezone() + timedelta(days=1):%Y-%m-%d}"}
    )


@pytest.mark.parametrize("kept", [None, {}, {"ann": "2027-01-12"}, {"me": "soon"}])
def test_without_a_day_the_plan_asks_for_one(handlers: ProgressHandlers, kept: dict[str, str] | None):
    assert "Give the day of your interview" in handlers.plan(30, [], kept)


@pytest.mark.parametrize("day", ["2020-01-12", "2099-01-12"])
def test_a_day_that_cannot_be_planned_to_is_told(handlers: ProgressHandlers, day: str):
    assert re.search("not in the future|days away", handlers.plan(30, [], {"me": day}))


def test_the_day_is_remembered_by_learner_and_forgotten_when_it_is_emptied(handlers: ProgressHandlers):
    dates = handlers.choose_day(link(day="2027-01-12"), {"ann": "2027-02-01"})

    assert dates == {"ann": "2027-02-01", "me": "2027-01-12"}
    assert handlers.choose_day(link(day=""), dates) == {"ann": "2027-02-01"}


# Practice


def test_a_question_that_is_due_is_practised_at_once(practised: Tutor):
    view = practise(practised, "question", "batchnorm-count")

    assert "How many values does BatchNorm average" in view.question
    assert "Question 1 of 1" in view.status
    assert view.room.visible


def test_all_that_is_due_is_practised_and_nothing_else(practised: Tutor):
    assert "Question 1 of 1" in practise(practised, "due").status
    assert "BatchNorm" in practise(practised, "due").question


def test_a_section_asks_a_question_that_rests_on_it(tutor: Tutor):
    view = practise(tutor, "section", "normalization#batchnorm-in-training")

    assert "How many values does BatchNorm average" in view.question


def test_practice_without_a_choice_is_a_short_interview(tutor: Tutor):
    assert "Question 1 of 2" in practise(tutor, "any").status


def test_an_interview_of_the_list_is_gone_on_with(tutor: Tutor):
    begun = practise(tutor, "any").interview
    assert begun is not None

    assert practise(tutor, "interview", begun.id).interview == begun


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("question", "gone", "No question 'gone'"),
        ("section", "regularization#early-stopping", "no question left"),
        ("due", "", "no question left"),
        ("interview", "gone", "no interview 'gone'"),
    ],
)
def test_what_cannot_be_practised_is_told(tutor: Tutor, kind: str, name: str, why: str):
    with pytest.raises(gr.Error, match=why):
        practise(tutor, kind, name)


# Files


def test_the_history_is_saved_and_imported_by_another_learner(practised: Tutor, tmp_path: Path):
    name, content = saved(ProgressHandlers(practised).save(link(kind="json", visit=1)))
    file = tmp_path / "uploaded.json"
    file.write_bytes(content)
    ann = practised.for_learner("ann")

    ProgressHandlers(ann).add(str(file))

    assert re.fullmatch(r"interview-tutor-\d{4}-\d\d-\d\d\.json", name)
    assert ann.progress.reviews("ann") == practised.progress.reviews("me")
    assert not file.exists(), "what was uploaded is not left behind"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe\x00", b'{"version": 2}'])
def test_a_file_that_is_no_history_is_refused_and_removed(handlers: ProgressHandlers, tmp_path: Path, content: bytes):
    file = tmp_path / "odd.json"
    file.write_bytes(content)

    with pytest.raises(gr.Error, match=r"odd\.json is no history"):
        handlers.add(str(file))
    assert not file.exists()


def test_nothing_uploaded_adds_nothing(handlers: ProgressHandlers):
    handlers.add(None)

    assert handlers.tutor.progress.reviews("me") == []


def test_attempts_are_saved_for_a_spreadsheet(practised: Tutor):
    name, content = saved(ProgressHandlers(practised).save(link(kind="csv", visit=1)))

    assert name.endswith(".csv")
    assert HALF in content.decode("utf-8-sig")


def test_questions_are_saved_as_an_anki_deck_that_knows_how_the_learner_stands(practised: Tutor, tmp_path: Path):
    name, content = saved(ProgressHandlers(practised).save(link(kind="anki", visit=1)))
    (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / name) as package:
        package.extract("collection.anki2", tmp_path)
    with sqlite3.connect(tmp_path / "collection.anki2") as collection:
        tags = [row[0] for row in collection.execute("SELECT tags FROM notes")]
    collection.close()

    assert name.endswith(".apkg")
    assert len(tags) == 2
    assert all("::weak" in tag for tag in tags)


@pytest.mark.parametrize(
    ("ending", "begins"), [("md", b"# Interview of"), ("html", b"<!doctype html>"), ("json", b"{")]
)
def test_the_report_of_an_interview_is_saved(tutor: Tutor, ending: str, begins: bytes):
    interviewing = InterviewHandlers(tutor)
    ended = interviewing.end(interviewing.send(HALF, practise(tutor, "any").interview).interview)
    assert ended.interview is not None
    handlers = ProgressHandlers(tutor)

    name, content = saved(handlers.save(link(kind="report", name=ended.interview.id, ending=ending, visit=1)))

    assert name.endswith(f"{ended.interview.id}.{ending}")
    assert content.startswith(begins)
    assert f"#practise-interview/{ended.interview.id}" in handlers.refresh().interviews.value
    if ending == "json":
        assert json.loads(content)["over"]


# Deletion


@pytest.mark.parametrize("word", ["", "yes", "delete it"])
def test_nothing_is_deleted_without_the_word(practised: Tutor, word: str):
    with pytest.raises(gr.Error, match="Nothing was deleted"):
        ProgressHandlers(practised).delete(word, {})
    assert len(practised.progress.reviews("me")) == 2


def test_everything_of_the_learner_is_deleted_and_of_nobody_else(practised: Tutor):
    ann = practised.for_learner("ann")
    ann.grade(ann.find_question("dropout-train-inference"), HALF)
    practise(practised, "any")

    view = ProgressHandlers(practised).delete(" Delete ", {"me": "2027-01-12", "ann": "2027-02-01"})

    assert "2 reviews" in view.message
    assert view.dates == {"ann": "2027-02-01"}
    assert view.word == ""
    assert not any(practised.progress.history("me").values())
    assert len(ann.progress.reviews("ann")) == 1


# Learners apart


def test_each_learner_sees_saves_and_deletes_their_own(handlers: ProgressHandlers):
    ana, ben = gr.Request(username="ana"), gr.Request(username="ben")
    of_ana = handlers.tutor.for_learner("ana")
    of_ana.grade(of_ana.find_question("dropout-train-inference"), HALF)

    assert "Questions answered" in handlers.refresh({}, ana).head
    assert "Nothing graded yet" in handlers.refresh({}, ben).head
    assert HALF not in saved(handlers.save(link(kind="json", visit=1), ben))[1].decode()
    assert "Deleted: nothing" in handlers.delete("delete", {}, ben).message
    assert HALF in saved(handlers.save(link(kind="json", visit=1), ana))[1].decode()
    assert handlers.choose_day(link(day="2027-01-12"), {}, ana) == {"ana": "2027-01-12"}

import socket

import gradio as gr
import pytest

from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.app import build_app, index_trouble, start
from ui.interview_tab import InterviewHandlers

pytestmark = pytest.mark.usefixtures("closed_event_loops")
DROPOUT_ATTEMPT = "Dropout zeroes random activations during training, and at inference it is switched off."


# The page


def test_the_page_builds_with_its_five_tabs(tutor: Tutor):
    tabs = [block.label for block in build_app(tutor).blocks.values() if isinstance(block, gr.Tab)]

    assert [label for label in tabs if label in {"Chat", "Interview", "Progress", "Library", "Quality"}] == [
        "Chat",
        "Interview",
        "Progress",
        "Library",
        "Quality",
    ]


def test_the_page_builds_without_an_index(settings: Settings):
    build_app(Tutor(settings))


def test_a_model_that_cannot_be_had_is_said_above_the_tabs(settings: Settings):
    nameless = settings.model_copy(update={"language_model": "openai:qwen3"})

    said = [block.value for block in build_app(Tutor(nameless)).blocks.values() if block.elem_id == "model-problem"]

    assert len(said) == 1
    assert "the guides' own words" in said[0]
    assert "openai:qwen3" in said[0]
    # Angle brackets would be taken for HTML and vanish.
    assert "<model>" not in said[0]


def test_a_page_with_its_model_has_no_such_line(tutor: Tutor):
    assert not [block for block in build_app(tutor).blocks.values() if block.elem_id == "model-problem"]


def test_no_handler_of_the_page_is_a_public_api(tutor: Tutor):
    config = build_app(tutor).get_config_file()

    assert {dependency["api_visibility"] for dependency in config["dependencies"] if dependency["backend_fn"]} == {
        "private"
    }


def test_a_missing_index_is_said_with_the_way_to_mend_it(settings: Settings):
    trouble = index_trouble(Tutor(settings))

    assert "not indexed" in trouble
    assert "tutor index" in trouble


def test_a_damaged_index_is_said_with_the_way_to_mend_it(tutor: Tutor):
    (tutor.settings.index_folder / "current.json").write_text("{", encoding="utf-8")

    assert "--rebuild" in index_trouble(Tutor(tutor.settings))


def test_a_sound_index_is_no_trouble(tutor: Tutor):
    assert index_trouble(tutor) == ""


def test_a_port_in_use_is_named_with_the_option_that_helps(tutor: Tutor):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(OSError, match=rf"port {port} \(Address already in use\).*--port {port + 1}"):
            start(tutor, host="127.0.0.1", port=port)


def test_what_nobody_foresaw_is_said_and_the_answer_stays_typed(tutor: Tutor, monkeypatch: pytest.MonkeyPatch):
    interviewing = InterviewHandlers(tutor)
    begun = interviewing.start([], "", "mixed", "1 question", "en", shows_timer=True)
    monkeypatch.setattr(tutor, "judge", lambda *_: {}["a bug"])

    with pytest.raises(gr.Error, match=r"Something went wrong \(KeyError\)\. What you typed is still here"):
        interviewing.send(DROPOUT_ATTEMPT, begun.interview)


def test_a_point_that_was_made_at_last_is_no_longer_missed(tutor: Tutor):
    question = tutor.find_question("dropout-train-inference")
    tutor.grade(question, "I don't know.")
    tutor.grade(question, "I don't know.")
    tutor.grade(question, DROPOUT_ATTEMPT)
    missed = tutor.most_missed()

    assert "Dropout is switched off at inference." not in [point.text for point in missed]
    assert all(point.times >= 2 for point in missed)

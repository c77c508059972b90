import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

import gradio as gr
import pytest

from tutor.language_model import Message, ModelUnavailableError
from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.app import build_app, index_trouble, start
from ui.ask_tab import AskHandlers, Conversation
from ui.library_tab import LibraryHandlers
from ui.practice_tab import Practice, PracticeHandlers
from ui.progress_tab import ProgressHandlers, score_table

NOTHING_SAID = Conversation()
DROPOUT_ATTEMPT = "Dropout zeroes random activations during training, and at inference it is switched off."


class EndlessModel:
    """A model that talks until it is stopped."""

    name = "endless"

    def stream(self, messages: Sequence[Message], *, stop: Event | None = None) -> Iterator[str]:
        del messages
        while not (stop and stop.is_set()):
            yield "Dropout zeroes each activation with probability $p$ during training [1]. "


class BrokenModel:
    """A model that cannot be loaded."""

    name = "broken"

    def stream(self, messages: Sequence[Message], *, stop: Event | None = None) -> Iterator[str]:
        del messages, stop
        raise ModelUnavailableError("The language model 'broken' cannot be loaded.")
        yield ""


@pytest.fixture(autouse=True)
def closed_event_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the event loops that Gradio makes for its locks and leaves open."""
    made: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: made.append(make()) or made[-1])
    yield
    asyncio.set_event_loop(None)
    for loop in made:
        if not loop.is_running():
            loop.close()


def ask(handlers: AskHandlers, question: str, conversation: Conversation = NOTHING_SAID) -> Conversation:
    """The conversation after a question was asked and answered."""
    started = handlers.ask(question, conversation)
    *_, view = handlers.answer(started.conversation, started.stop_event)
    return handlers.rest(view.conversation).conversation


def event(kind: type[gr.EventData], **data: object) -> gr.EventData:
    return kind(None, data)


@pytest.fixture
def asking(tutor: Tutor) -> AskHandlers:
    return AskHandlers(tutor)


@pytest.fixture
def practising(tutor: Tutor) -> PracticeHandlers:
    return PracticeHandlers(tutor)


# The page


def test_the_page_builds_with_its_four_tabs(tutor: Tutor):
    app = build_app(tutor)

    assert [block.label for block in app.blocks.values() if isinstance(block, gr.Tab)] == [
        "Chat",
        "Practice",
        "Progress",
        "Library",
    ]


def test_the_page_builds_without_an_index(settings: Settings):
    build_app(Tutor(settings))


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


# Chat


def test_an_answer_comes_with_chips_and_sources(asking: AskHandlers):
    started = asking.ask("What does dropout do at inference?", NOTHING_SAID)
    *_, view = asking.answer(started.conversation, started.stop_event)

    assert "[[1]](#source-0-1" in view.messages[1]["content"]
    assert "<mark>" in view.sources


def test_the_field_is_emptied_and_stop_shown_while_an_answer_comes(asking: AskHandlers):
    started = asking.ask("What is dropout?", NOTHING_SAID)

    assert started.question == ""
    assert started.stop.visible
    assert not started.ask.visible
    assert "Looking" in started.messages[1]["content"]


def test_a_follow_up_is_answered_from_what_was_asked_before(asking: AskHandlers):
    conversation = ask(asking, "When would you avoid it?", ask(asking, "What is dropout?"))

    answer = conversation.turns[1].answer
    assert answer is not None
    assert "dropout" in answer.standalone_question


def test_an_empty_question_is_an_error_and_changes_nothing(asking: AskHandlers):
    with pytest.raises(gr.Error, match="empty"):
        asking.ask("  ", NOTHING_SAID)


def test_a_second_question_waits_for_the_first_answer(asking: AskHandlers):
    started = asking.ask("What is dropout?", NOTHING_SAID)

    with pytest.raises(gr.Error, match="still answering"):
        asking.ask("What is BatchNorm?", started.conversation)


def test_a_missing_index_becomes_a_message_in_the_conversation(settings: Settings):
    # Outside of a page Gradio turns its warning into Python's.
    with pytest.warns(UserWarning, match="There is no index"):
        conversation = ask(AskHandlers(Tutor(settings)), "What is dropout?")

    assert "tutor index" in conversation.turns[0].failure


def test_a_model_that_cannot_be_loaded_becomes_a_message_in_the_conversation(tutor: Tutor):
    asking = AskHandlers(Tutor(tutor.settings, model=BrokenModel()))
    with pytest.warns(UserWarning, match="cannot be loaded"):
        conversation = ask(asking, "What does dropout do in training?")

    assert "cannot be loaded" in conversation.turns[0].failure


def test_retry_asks_again_and_drops_what_followed(asking: AskHandlers):
    conversation = ask(asking, "What is LayerNorm?", ask(asking, "What is dropout?"))
    started = asking.retry(conversation, gr.RetryData(None, {"index": 1, "value": ""}))

    assert [turn.question for turn in started.conversation.turns] == ["What is dropout?"]
    assert started.conversation.is_pending


def test_an_edited_question_takes_the_place_of_the_former_one(asking: AskHandlers):
    conversation = ask(asking, "What is dropout?")
    edited = gr.EditData(None, {"index": 0, "previous_value": "", "value": "What is LayerNorm?"})

    assert asking.edit(conversation, edited).conversation.turns[0].question == "What is LayerNorm?"


def test_an_example_is_asked_when_it_is_clicked(asking: AskHandlers):
    clicked = gr.SelectData(None, {"index": 0, "value": {"text": "What is dropout?"}})

    assert asking.ask_example(Conversation(), clicked).conversation.turns[0].question == "What is dropout?"


def test_more_shows_the_whole_section_and_then_the_short_answer_again(asking: AskHandlers):
    short = ask(asking, "What does dropout do in training?")
    started = asking.more(short)
    *_, view = asking.answer(started.conversation, started.stop_event)

    assert "Avoid it right before BatchNorm" in view.messages[1]["content"]
    assert not asking.more(view.conversation).conversation.turns[-1].is_detailed


def test_a_chip_of_an_older_answer_shows_the_sources_of_that_answer(asking: AskHandlers):
    conversation = ask(asking, "What is early stopping?", ask(asking, "What is LayerNorm?"))
    shown = asking.show_source(conversation, event(gr.EventData, target_id="source-0-1"))

    assert 'id="source-0-1"' in shown
    assert "LayerNorm" in shown


def test_stop_ends_the_model_and_keeps_what_was_said(tutor: Tutor):
    asking = AskHandlers(Tutor(tutor.settings, model=EndlessModel()))
    started = asking.ask("What does dropout do in training?", NOTHING_SAID)
    growing = asking.answer(started.conversation, started.stop_event)
    view = next(growing)

    rested = asking.stop(view.conversation, started.stop_event)
    *_, last = growing

    assert started.stop_event.is_set()
    assert "Dropout zeroes" in rested.messages[1]["content"]
    assert rested.ask.visible
    assert last.conversation.turns[0].answer is not None


def test_a_page_that_goes_away_ends_the_model(tutor: Tutor):
    asking = AskHandlers(Tutor(tutor.settings, model=EndlessModel()))
    started = asking.ask("What does dropout do in training?", NOTHING_SAID)
    growing = asking.answer(started.conversation, started.stop_event)
    next(growing)
    growing.close()

    assert started.stop_event.is_set()


def test_two_learners_do_not_mix(asking: AskHandlers):
    first, second = asking.ask("What is dropout?", NOTHING_SAID), asking.ask("What is LayerNorm?", NOTHING_SAID)
    *_, second_view = asking.answer(second.conversation, second.stop_event)
    *_, first_view = asking.answer(first.conversation, first.stop_event)

    assert "Dropout" in first_view.sources
    assert "Dropout" not in second_view.messages[1]["content"]


# Practice


def dropout_question(practising: PracticeHandlers) -> Practice:
    return practising.next_question("regularization", "junior", Practice()).practice


def test_a_question_is_chosen_by_topic_and_level(practising: PracticeHandlers):
    view = practising.next_question("regularization", "junior", Practice())

    assert "What does dropout do" in view.question
    assert "Regularization · junior" in view.question


def test_a_choice_without_questions_is_an_error(practising: PracticeHandlers):
    with pytest.raises(gr.Error, match="Choose another"):
        practising.next_question("regularization", "staff", Practice())


def test_skip_brings_another_question_until_all_were_seen(practising: PracticeHandlers):
    first = practising.next_question("", "", Practice())
    second = practising.next_question("", "", first.practice)

    assert first.practice.question != second.practice.question


def test_hints_come_one_at_a_time_and_end(practising: PracticeHandlers):
    one = practising.hint(dropout_question(practising))
    two = practising.hint(one.practice)
    three = practising.hint(two.practice)

    assert "Hint 2" not in one.hints
    assert "Hint 2 of 2" in two.hints
    assert three.practice.hints == 2
    assert not two.hint.interactive


def test_a_grade_is_shown_and_kept_with_the_hints_taken(practising: PracticeHandlers, tutor: Tutor):
    practice = practising.hint(dropout_question(practising)).practice
    view = practising.grade(DROPOUT_ATTEMPT, practice)

    assert "✓ Made" in str(view.grade.value)
    assert "You said:" in str(view.grade.value)
    assert [review.hints for review in tutor.progress.reviews("me")] == [1]


def test_an_empty_answer_is_an_error(practising: PracticeHandlers):
    with pytest.raises(gr.Error, match="empty"):
        practising.grade("   ", dropout_question(practising))


def test_grading_without_a_question_is_an_error(practising: PracticeHandlers):
    with pytest.raises(gr.Error, match="Get a question first"):
        practising.grade("Anything.", Practice())


# Progress


def test_progress_without_attempts_says_what_to_do(tutor: Tutor):
    view = ProgressHandlers(tutor).refresh()

    assert "No graded answers yet" in view.table
    assert not view.plot.visible


def test_a_graded_answer_shows_up_in_progress(practising: PracticeHandlers, tutor: Tutor):
    practising.grade("It zeroes random activations during training.", dropout_question(practising))
    view = ProgressHandlers(tutor).refresh()

    assert "Regularization" in view.table
    assert "Dropout is switched off at inference." in view.missed
    assert "#read-regularization.md--dropout" in view.missed


def test_a_point_that_was_made_at_last_is_no_longer_missed(practising: PracticeHandlers, tutor: Tutor):
    practice = dropout_question(practising)
    practising.grade("I don't know.", practice)
    practising.grade("I don't know.", practice)
    practising.grade(DROPOUT_ATTEMPT, practice)
    missed = tutor.most_missed()

    assert "Dropout is switched off at inference." not in [point.text for point in missed]
    assert all(point.times >= 2 for point in missed)


def test_scores_are_numbered_in_the_order_of_the_attempts(practising: PracticeHandlers, tutor: Tutor):
    practice = dropout_question(practising)
    practising.grade("I don't know.", practice)
    practising.grade(DROPOUT_ATTEMPT, practice)
    scores = score_table(tutor.progress.reviews("me"))

    assert list(scores["attempt"]) == ["1", "2"]
    assert scores["score"].is_monotonic_increasing


# Library


def test_the_library_lists_the_documents(tutor: Tutor):
    view = LibraryHandlers(tutor).refresh()

    assert "归一化笔记" in view.table
    assert ("Normalization", "normalization.md") in view.choice.choices


def test_the_library_of_a_tutor_without_index_is_empty(settings: Settings):
    assert "no documents" in LibraryHandlers(Tutor(settings)).refresh().table


def test_a_guide_is_read_with_its_formulas(tutor: Tutor):
    assert r"\lVert w \rVert^2" in LibraryHandlers(tutor).read("regularization.md")
    assert r"\[" in LibraryHandlers(tutor).read("regularization.md")


def test_an_uploaded_guide_can_be_read_and_asked_about(tutor: Tutor, tmp_path: Path):
    guide = tmp_path / "quantization.md"
    guide.write_text("# Quantization\n\n## INT8\n\nQuantization maps weights to 8-bit integers.\n", encoding="utf-8")
    library = LibraryHandlers(tutor)
    view = library.upload([str(guide)])

    assert "✓ Added **quantization.md**" in view.report
    assert "Quantization" in view.table
    assert "8-bit" in library.read("quantization.md")


def test_a_file_that_is_no_guide_is_left_out_with_the_reason(tutor: Tutor, tmp_path: Path):
    (tmp_path / "slides.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "empty.md").write_text("", encoding="utf-8")
    view = LibraryHandlers(tutor).upload([str(tmp_path / "slides.pdf"), str(tmp_path / "empty.md")])

    assert "✗ Left out **slides.pdf**" in view.report
    assert "✗ Left out **empty.md**: the file is empty" in view.report


def test_a_link_into_a_guide_opens_the_library_there(tutor: Tutor):
    view = LibraryHandlers(tutor).open_link(event(gr.EventData, document_id="regularization.md"))

    assert view.tabs.selected == "library"
    assert view.choice == "regularization.md"
    assert "Early stopping" in view.text


def test_a_guide_that_is_gone_is_an_error(tutor: Tutor):
    with pytest.raises(gr.Error, match=r"no guide 'gone\.md'"):
        LibraryHandlers(tutor).read("gone.md")

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import gradio as gr
import pytest
from scripted_models import ScriptedModel

from index.embedder import SentenceEmbedder
from tutor.language_model import Message, ModelUnavailableError
from tutor.modes import MODE_WORDS, AnswerMode
from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.app import build_app, index_trouble, start
from ui.ask_tab import AskHandlers, Conversation, chat_messages
from ui.library_tab import LibraryHandlers
from ui.practice_tab import Practice, PracticeHandlers
from ui.progress_tab import ProgressHandlers, score_table

pytestmark = pytest.mark.usefixtures("closed_event_loops")
NOTHING_SAID = Conversation()
DROPOUT_ATTEMPT = "Dropout zeroes random activations during training, and at inference it is switched off."


class EndlessModel:
    """A model that talks until it is stopped."""

    name = "endless"
    window_tokens = None

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        del messages, schema
        while not (stop and stop.is_set()):
            yield "Dropout zeroes each activation with probability $p$ during training [1]. "


class BrokenModel:
    """A model that cannot be loaded."""

    name = "broken"
    window_tokens = None

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        del messages, stop, schema
        raise ModelUnavailableError("The language model 'broken' cannot be loaded.")
        yield ""


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


def test_an_embedder_that_is_gone_becomes_a_message_in_the_conversation(tutor: Tutor, tmp_path: Path):
    missing = SentenceEmbedder(str(tmp_path / "nowhere"))
    lost = Tutor(tutor.settings, search=lambda own: replace(own, index=replace(own.index, embedder=missing)))
    with pytest.warns(UserWarning, match="cannot be loaded"):
        conversation = ask(AskHandlers(lost), "What is dropout?")

    assert "TUTOR_EMBEDDER" in conversation.turns[0].failure


def test_a_model_that_cannot_be_loaded_gives_way_to_the_guides_and_the_reader_is_told(tutor: Tutor):
    conversation = ask(AskHandlers(Tutor(tutor.settings, model=BrokenModel())), "What does dropout do in training?")

    shown = chat_messages(conversation)[1]["content"]
    assert "cannot be loaded" in shown
    assert "Dropout zeroes each activation" in shown


def test_what_nobody_foresaw_ends_the_turn_and_gives_the_buttons_back(tutor: Tutor):
    asking = AskHandlers(Tutor(tutor.settings, model=ScriptedModel([TypeError("a bug of the model")])))
    conversation = ask(asking, "What does dropout do in training?")

    assert "Something went wrong" in conversation.turns[0].failure
    assert asking.rest(conversation).ask.visible


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


@pytest.mark.parametrize("mode", MODE_WORDS)
def test_a_button_asks_for_the_last_answer_in_another_form(asking: AskHandlers, mode: AnswerMode):
    conversation = ask(asking, MODE_WORDS[mode], ask(asking, "What does dropout do in training?"))

    answer = conversation.turns[1].answer
    assert answer is not None
    assert answer.mode is mode
    assert answer.standalone_question == "What does dropout do in training?"


def test_deeper_shows_the_whole_section_in_its_paragraphs(asking: AskHandlers):
    conversation = ask(asking, "Deeper", ask(asking, "What does dropout do in training?"))

    assert "Avoid it right before BatchNorm" in chat_messages(conversation)[3]["content"]


def test_a_form_of_nothing_is_a_message_that_says_what_to_do(asking: AskHandlers):
    with pytest.warns(UserWarning, match="Ask a question first"):
        conversation = ask(asking, "shorter please")

    assert "Ask a question first" in conversation.turns[0].failure


def test_the_buttons_are_there_once_there_is_an_answer(asking: AskHandlers):
    started = asking.ask("What is dropout?", NOTHING_SAID)
    *_, view = asking.answer(started.conversation, started.stop_event)

    assert not started.forms.visible
    assert asking.rest(view.conversation).forms.visible
    assert not asking.rest(NOTHING_SAID).forms.visible


def test_an_answer_to_a_question_put_in_the_chat_is_graded_there_and_kept(asking: AskHandlers, tutor: Tutor):
    quizzed = ask(asking, "quiz me on dropout")
    conversation = ask(asking, f"my answer: {DROPOUT_ATTEMPT}", quizzed)

    assert "What does dropout do" in chat_messages(quizzed)[1]["content"]
    assert conversation.turns[1].grade is not None
    assert "You said:" in chat_messages(conversation)[3]["content"]
    assert len(tutor.progress.reviews("me")) == 1
    assert len(ask(asking, "What is LayerNorm?", conversation).history) == 1


def test_an_answer_to_nothing_is_a_message_that_says_what_to_do(asking: AskHandlers):
    with pytest.warns(UserWarning, match="No question was put"):
        conversation = ask(asking, "my answer: it depends")

    assert "quiz me" in conversation.turns[0].failure


def test_guides_first_is_a_switch_of_the_conversation(tutor: Tutor):
    asking = AskHandlers(Tutor(tutor.settings, model=ScriptedModel("Mix flour and water.")))
    started = asking.ask("How do I bake bread with sourdough in training?", NOTHING_SAID)
    *_, view = asking.answer(started.conversation, started.stop_event, guides_first=True)

    assert "not in the guides: from the memory of scripted" in view.messages[1]["content"]
    assert "Mix flour" in view.messages[1]["content"]


def test_the_switch_is_there_only_with_a_model_that_could_answer(tutor: Tutor):
    def switches(page: gr.Blocks) -> list[bool]:
        return [block.visible for block in page.blocks.values() if isinstance(block, gr.Checkbox)]

    assert switches(build_app(tutor)) == [False]
    assert switches(build_app(Tutor(tutor.settings, model=ScriptedModel()))) == [True]


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


def test_a_point_that_was_not_made_can_be_disputed_and_both_verdicts_are_shown(
    practising: PracticeHandlers, tutor: Tutor
):
    graded = practising.grade("Cats are nice animals.", dropout_question(practising))
    disputed = practising.dispute(2, "I meant “nice animals”.", graded.practice)

    assert graded.dispute.visible
    assert [number for _, number in graded.point.choices] == [1, 2, 3]
    assert "Disputed (it was ✗ Missing): “I meant “nice animals”.”" in str(disputed.grade.value)
    assert disputed.argument == ""
    assert len(tutor.progress.reviews("me")) == 2


def test_a_dispute_of_nothing_or_without_an_argument_is_an_error(practising: PracticeHandlers):
    graded = practising.grade("Cats are nice animals.", dropout_question(practising))

    with pytest.raises(gr.Error, match="Choose the point"):
        practising.dispute(None, "I said so.", graded.practice)
    with pytest.raises(gr.Error, match="There is no argument"):
        practising.dispute(1, " ", graded.practice)


def test_the_next_question_takes_the_dispute_away(practising: PracticeHandlers):
    graded = practising.grade("Cats are nice animals.", dropout_question(practising))
    view = practising.next_question("", "", graded.practice)

    assert not view.dispute.visible
    assert view.practice.grade is None


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


def test_what_nobody_foresaw_is_said_and_the_answer_stays_typed(
    practising: PracticeHandlers, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
):
    practice = dropout_question(practising)
    monkeypatch.setattr(tutor, "grade", lambda *_, **__: {}["a bug"])

    with pytest.raises(gr.Error, match=r"Something went wrong \(KeyError\)\. What you typed is still here"):
        practising.grade(DROPOUT_ATTEMPT, practice)


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

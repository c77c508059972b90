"""The Chat tab's handlers, without a browser."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import gradio as gr
import pytest
from scripted_models import ScriptedModel

from index.embedder import SentenceEmbedder
from tutor.conversation import Conversation
from tutor.language_model import Message, ModelUnavailableError
from tutor.modes import MODE_WORDS, AnswerMode
from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.app import build_app
from ui.ask_tab import AskHandlers
from ui.chat_views import OpenedView, chat_messages
from ui.conversation_list import ListHandlers

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


def shown(chat: gr.Chatbot) -> list[str]:
    """The messages that the page is given."""
    return [str(message["content"]) for message in chat.constructor_args["value"]]


def event(kind: type[gr.EventData], **data: object) -> gr.EventData:
    return kind(None, data)


@pytest.fixture
def asking(tutor: Tutor) -> AskHandlers:
    return AskHandlers(tutor)


# Asking


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
        return [block.visible for block in page.blocks.values() if block.elem_id == "guides-first"]

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
    assert "Dropout zeroes" in shown(rested.chat)[1]
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


def test_a_question_is_searched_only_where_the_learner_says_and_the_answer_says_so(asking: AskHandlers):
    started = asking.ask("What does dropout do in training?", NOTHING_SAID, None, ["normalization"], [], None, [])
    *_, view = asking.answer(started.conversation, started.stop_event)

    assert "Searched only in topic normalization." in view.messages[1]["content"]
    assert "Dropout zeroes" not in view.messages[1]["content"]
    assert view.conversation.scope.topics == ("normalization",)


def test_a_model_that_is_busy_says_how_many_come_first(tutor: Tutor):
    class BusyModel(ScriptedModel):
        waiting = 2

    model = BusyModel("Dropout zeroes each activation with probability p during training [1].")
    asking = AskHandlers(Tutor(tutor.settings, model=model))
    started = asking.ask("What does dropout do in training?", NOTHING_SAID)
    first, *_, last = asking.answer(started.conversation, started.stop_event)

    assert "2 requests are served before yours" in first.messages[1]["content"]
    assert "Dropout zeroes" in last.messages[1]["content"]


# Grades and disputes


def test_a_grade_in_the_chat_is_disputed_there_and_both_verdicts_are_kept(asking: AskHandlers, tutor: Tutor):
    conversation = ask(asking, "grade my answer: Dropout zeroes random activations.", ask(asking, "quiz me on dropout"))
    grade = conversation.turns[1].grade
    assert grade is not None
    number = next(n for n, verdict in enumerate(grade.verdicts, start=1) if verdict.verdict == "missing")
    assert f"I disagree with point {number}" in chat_messages(conversation)[3]["content"]

    conversation = ask(asking, f"I disagree with point {number}: see “random activations”.", conversation)

    disputed = conversation.turns[2].grade
    assert disputed is not None
    assert disputed.verdicts[number - 1].dispute is not None
    assert "Disputed (it was ✗ Missing)" in chat_messages(conversation)[5]["content"]
    assert len(tutor.progress.reviews("me")) == 2


def test_a_dispute_of_a_point_that_is_not_there_is_a_message(asking: AskHandlers):
    conversation = ask(asking, "my answer: Dropout zeroes random activations.", ask(asking, "quiz me on dropout"))
    with pytest.warns(UserWarning, match="no key point 9"):
        conversation = ask(asking, "I disagree with point 9: it is there.", conversation)

    assert "no key point 9" in conversation.turns[2].failure


def test_without_a_grade_a_disagreement_is_a_question(asking: AskHandlers):
    conversation = ask(asking, "I disagree with point 2: dropout is off at inference.")

    assert conversation.turns[0].answer is not None


# Bad input


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("word " * 10_000, "50,000|49,999"),
        ("😀 🤔", "no word in it"),
        ("\x00\x01PNG\x1a\x00", "binary"),
        ("PK\x03\x04\x14\x00\x06\x00", "binary"),
        (f"my answer: {'word ' * 11_000}", "at most 50,000"),
    ],
)
def test_what_cannot_be_asked_is_an_error_and_nothing_is_kept(
    asking: AskHandlers, tutor: Tutor, question: str, said: str
):
    with pytest.raises(gr.Error, match=said):
        asking.ask(question, NOTHING_SAID)

    assert tutor.conversations.titles() == []


@pytest.mark.parametrize(
    "question", ["Was ist die Hauptstadt von Frankreich?", "フランスの首都はどこですか", "ما هي عاصمة فرنسا؟"]
)
def test_a_question_in_another_language_gets_a_reply(asking: AskHandlers, question: str):
    conversation = ask(asking, question)

    assert conversation.turns[0].answer is not None
    assert chat_messages(conversation)[1]["content"]


# Kept conversations


def test_a_reload_brings_the_last_conversation_back_as_it_was_shown(asking: AskHandlers, tutor: Tutor):
    ask(asking, "What is LayerNorm?")
    conversation = ask(asking, "When would you avoid it?", ask(asking, "What is dropout?"))
    restored = ListHandlers(tutor).restore(NOTHING_SAID)

    assert isinstance(restored, OpenedView)
    assert chat_messages(restored.conversation) == chat_messages(conversation)
    assert "<mark>" in restored.sources
    assert restored.conversations.value == conversation.id
    assert [title for title, _ in restored.conversations.choices] == ["What is dropout?", "What is LayerNorm?"]
    further = ask(asking, "And at inference?", restored.conversation)
    assert further.turns[2].answer is not None
    assert "dropout" in further.turns[2].answer.standalone_question


def test_a_reload_leaves_alone_what_was_asked_meanwhile(asking: AskHandlers, tutor: Tutor):
    started = asking.ask("What is dropout?", NOTHING_SAID)

    for conversation in (started.conversation, NOTHING_SAID):
        if conversation is NOTHING_SAID:
            tutor.progress.delete_learner("me")
        assert not isinstance(ListHandlers(tutor).restore(conversation), OpenedView)


def test_a_question_whose_page_went_away_is_there_to_be_asked_again(asking: AskHandlers, tutor: Tutor):
    asking.ask("What is dropout?", NOTHING_SAID)
    restored = ListHandlers(tutor).restore(NOTHING_SAID)

    assert isinstance(restored, OpenedView)
    assert "Ask it again" in restored.conversation.turns[0].failure


def test_what_was_said_before_the_page_went_away_is_kept(tutor: Tutor):
    asking = AskHandlers(Tutor(tutor.settings, model=EndlessModel()))
    started = asking.ask("What does dropout do in training?", NOTHING_SAID)
    growing = asking.answer(started.conversation, started.stop_event)
    next(growing)
    growing.close()

    answer = tutor.conversations.last().turns[0].answer
    assert answer is not None
    assert "Dropout zeroes" in answer.text


def test_a_conversation_that_was_deleted_while_it_was_answered_stays_deleted(asking: AskHandlers, tutor: Tutor):
    started = asking.ask("What is dropout?", NOTHING_SAID)
    *_, view = asking.answer(started.conversation, started.stop_event)
    opened = ListHandlers(tutor).delete(started.conversation)
    asking.rest(view.conversation)

    assert opened.conversation == NOTHING_SAID
    assert tutor.conversations.titles() == []


def test_two_tabs_on_one_conversation_lose_no_turn(
    asking: AskHandlers, tutor: Tutor, capsys: pytest.CaptureFixture[str]
):
    first = ask(asking, "What is dropout?")
    second = tutor.conversations.find(first.id)
    ask(asking, "What is LayerNorm?", first)
    second = ask(asking, "What is early stopping?", second)
    assert "went on in another tab" in capsys.readouterr().out

    questions = ["What is dropout?", "What is LayerNorm?", "What is early stopping?"]
    assert [turn.question for turn in second.turns] == questions
    assert [turn.question for turn in tutor.conversations.last().turns] == questions
    assert all(turn.answer for turn in second.turns)


def test_conversations_are_searched_renamed_and_opened(asking: AskHandlers, tutor: Tutor):
    handlers = ListHandlers(tutor)
    dropout, norm = ask(asking, "What is dropout?"), ask(asking, "What is LayerNorm?")

    # The word stands in the answer alone.
    assert [name for _, name in handlers.search(norm, "FEATURES layernorm").choices] == [norm.id]
    assert handlers.search(norm, "perplexity").label == "Nothing found"
    renamed, choices, *_ = handlers.rename(dropout, "  Before the   interview ")
    assert renamed.title == "Before the interview"
    assert [title for title, _ in choices.choices] == ["What is LayerNorm?", "Before the interview"]
    with pytest.raises(gr.Error, match="0 characters"):
        handlers.rename(dropout, " ")
    opened = handlers.open(dropout.id)
    assert opened.conversation.title == "Before the interview"
    with pytest.raises(gr.Error, match="Reload the list"):
        handlers.open("gone")


def test_a_conversation_keeps_where_it_was_searched(asking: AskHandlers, tutor: Tutor):
    started = asking.ask("What is dropout?", NOTHING_SAID, None, ["regularization"], None, ["en"], [])
    opened = ListHandlers(tutor).open(started.conversation.id)

    assert opened.topics.value == ["regularization"]
    assert opened.languages.value == ["en"]
    assert opened.fold.label == "Search in: topic regularization, language en"
    assert ListHandlers(tutor).start_over().topics.value == []


def test_a_conversation_is_saved_as_markdown_and_json_with_its_citations(asking: AskHandlers, tutor: Tutor):
    conversation = ask(
        asking, f"my answer: {DROPOUT_ATTEMPT}", ask(asking, "quiz me on dropout", ask(asking, "What is dropout?"))
    )
    links = str(ListHandlers(tutor).export(conversation).value)
    markdown, record = (base64.b64decode(data).decode() for data in re.findall(r"base64,([^\"]+)", links))

    assert markdown.startswith("# What is dropout?")
    assert "(regularization.md:" in markdown
    assert "> Dropout zeroes each activation" in markdown
    turns = json.loads(record)["turns"]
    assert turns[0]["answer"]["citations"][0]["document"] == "regularization.md"
    assert turns[2]["grade"]["question_id"] == "dropout-train-inference"


# Thumbs


def liked(number: int, thumb: bool | str) -> gr.LikeData:
    return gr.LikeData(None, {"index": 2 * number + 1, "value": "", "liked": thumb})


def test_a_thumb_with_its_reason_is_kept_with_the_answer_and_shown_again(
    asking: AskHandlers, tutor: Tutor, capsys: pytest.CaptureFixture[str]
):
    conversation = ask(asking, "What is dropout?")
    view = asking.thumb(conversation, liked(0, thumb=False))
    assert view.reason_form.visible
    assert tutor.progress.feedback("me")[0].reason == ""
    asking.give_reason(view.conversation, view.turn, "Wrong", " the  rate ")
    # Outside of a page Gradio prints what it would show.
    assert "Thank you" in capsys.readouterr().out

    [feedback] = tutor.progress.feedback("me")
    assert (feedback.kind, feedback.reason, feedback.question) == ("down", "Wrong: the rate", "What is dropout?")
    assert feedback.answer["citations"][0]["document"] == "regularization.md"
    opened = ListHandlers(tutor).open(conversation.id)
    assert opened.chat.constructor_args["feedback_value"] == ["Dislike"]


def test_a_thumb_may_turn_and_be_taken_back(asking: AskHandlers, tutor: Tutor):
    conversation = asking.thumb(ask(asking, "What is dropout?"), liked(0, thumb=False)).conversation
    view = asking.thumb(conversation, liked(0, thumb=True))
    assert not view.reason_form.visible
    assert [feedback.kind for feedback in tutor.progress.feedback("me")] == ["up"]

    view = asking.thumb(view.conversation, liked(0, thumb=""))
    assert view.conversation.turns[0].thumb is None
    assert [feedback.reason for feedback in tutor.progress.feedback("me")] == ["taken back"]


def test_a_thumb_for_a_grade_keeps_the_grade(asking: AskHandlers, tutor: Tutor):
    conversation = ask(asking, f"my answer: {DROPOUT_ATTEMPT}", ask(asking, "quiz me on dropout"))
    asking.thumb(conversation, liked(1, thumb=True))

    assert tutor.progress.feedback("me")[0].answer["question_id"] == "dropout-train-inference"


def test_a_thumb_for_nothing_is_kept_nowhere(asking: AskHandlers, tutor: Tutor):
    started = asking.ask("What is dropout?", NOTHING_SAID)
    asking.thumb(started.conversation, liked(0, thumb=False), started.stop_event)
    with pytest.raises(gr.Error, match="Choose a reason"):
        asking.give_reason(started.conversation, 0, None, " ")

    assert tutor.progress.feedback("me") == []

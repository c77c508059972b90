"""The Chat tab: questions, answers as they come, the passages they rest on, thumbs; beside them the learner's conversations."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any, NamedTuple

import gradio as gr

from index.scope import Scope
from tutor.conversation import Conversation, Thumb
from tutor.grading import checked_attempt
from tutor.interview_messages import read_turn
from tutor.modes import MODE_WORDS, read_attempt
from tutor.progress import Feedback
from tutor.records import answer_record, grade_record
from tutor.settings import EXTRACTIVE, AnswerFrom
from tutor.tutor import Tutor, checked_question
from ui.chat_views import (
    ChatView,
    RestView,
    StartedView,
    ThumbView,
    at_rest,
    chat_view,
    chatbot,
    listed,
    name_scope,
    scope_of,
)
from ui.conversation_list import ListHandlers, back_to_actions, build_list
from ui.page import FORMULAS, KNOWN_ERRORS, known_errors_shown, learner_tutor
from ui.render import as_typed, sources_markdown
from ui.render_chat import scope_label, turn_sources

EXAMPLES = (
    "What does batch normalization do differently at inference?",
    "Explain self-attention. What are query, key and value?",
    "Why is Adam often used with weight decay decoupled?",
    "Write scaled dot-product attention in PyTorch.",
    "What is the formula of the binary cross-entropy loss?",
    "学习率如何设置？",
)
REASONS = ("Wrong", "Not in the guides", "Unclear", "Other")
TAKEN_BACK = "taken back"
"""Stands as the reason of a thumb that was taken back."""
_GREETING = "### What would you like to understand?\n\nAnswers quote the study guides and name their sources, in English or 中文."
SHOW_LAST_TURN = "() => window.showLastTurn()"
_FOCUS_QUESTION = "() => window.focusQuestion()"


@dataclass(frozen=True)
class AskHandlers:
    """What the tab does with a tutor. Each call gets the caller's own conversation, so that learners do not mix."""

    tutor: Tutor

    # Asking

    def ask(
        self,
        question: str,
        conversation: Conversation,
        request: gr.Request | None = None,
        *narrowed: Sequence[str] | None,
    ) -> StartedView:
        """Put a question at the end of the conversation."""
        return self._start(question, conversation, scope_of(*narrowed), request)

    def ask_example(
        self,
        conversation: Conversation,
        example: gr.SelectData,
        request: gr.Request | None = None,
        *narrowed: Sequence[str] | None,
    ) -> StartedView:
        """Ask the example that was clicked."""
        return self._start(str(example.value["text"]), conversation, scope_of(*narrowed), request)

    def retry(
        self,
        conversation: Conversation,
        message: gr.RetryData,
        request: gr.Request | None = None,
        *narrowed: Sequence[str] | None,
    ) -> StartedView:
        """Ask the question of a turn again; what followed it goes."""
        index = _turn_of(message.index)
        return self._start(
            conversation.turns[index].question, conversation, scope_of(*narrowed), request, instead_of=index
        )

    def edit(
        self,
        conversation: Conversation,
        message: gr.EditData,
        request: gr.Request | None = None,
        *narrowed: Sequence[str] | None,
    ) -> StartedView:
        """Ask an edited question in place of the former one; what followed it goes."""
        return self._start(
            as_typed(str(message.value)),
            conversation,
            scope_of(*narrowed),
            request,
            instead_of=_turn_of(message.index),
        )

    def _start(
        self,
        question: str,
        conversation: Conversation,
        scope: Scope,
        request: gr.Request | None,
        *,
        instead_of: int | None = None,
    ) -> StartedView:
        if conversation.is_pending:
            raise gr.Error("The tutor is still answering. Wait for it, or press Stop.", print_exception=False)
        with known_errors_shown():
            if attempt := read_attempt(question):
                checked_attempt(attempt)
                asked = question.strip()
            else:
                asked = checked_question(question)
            started = conversation.asking(asked, instead_of=instead_of, scope=scope)
            view = chat_view(self._keep(started, request, begins=True))
        return StartedView(
            *view,
            stop_event=Event(),
            question="",
            ask=gr.Button(visible=False),
            stop=gr.Button(visible=True),
            forms=gr.Row(visible=False),
            reason_form=gr.Column(visible=False),
            links=gr.HTML(visible=False),
        )

    def _keep(self, conversation: Conversation, request: gr.Request | None, *, begins: bool = False) -> Conversation:
        """Keep the conversation as it stands; say so where something was said in it elsewhere."""
        kept = learner_tutor(self.tutor, request).conversations.keep(conversation, datetime.now(UTC), begins=begins)
        if len(kept.turns) > len(conversation.turns):
            gr.Info("This conversation went on in another tab. What was said there is shown here as well.")
        return kept

    def answer(
        self,
        conversation: Conversation,
        stop_event: Event,
        guides_first: bool = False,
        request: gr.Request | None = None,
    ) -> Iterator[ChatView]:
        """The answer to the last question as it grows, or the grade of the learner's own answer.

        Ends when `stop_event` is set; sets it when the page goes away, and keeps what was said so far.
        """
        if not conversation.is_pending:
            return
        question, said = conversation.turns[-1].question, conversation
        try:
            tutor = learner_tutor(self.tutor, request)
            if waiting := tutor.waiting:
                yield chat_view(conversation, waiting=waiting)
            answer_from: AnswerFrom = "guides-first" if guides_first else "guides-only"
            for reply in _replies(tutor, conversation, answer_from, stop_event):
                said = reply
                yield chat_view(said)
        except KNOWN_ERRORS as error:
            gr.Warning(str(error), duration=12)
            said = conversation.failed(str(error))
            yield chat_view(said)
        except gr.Error as error:
            said = conversation.failed(error.message)
            yield chat_view(said)
        except Exception:
            # Gradio runs nothing after a handler that raised: the page would wait for ever.
            logging.getLogger(__name__).exception("The question %r could not be answered.", question)
            said = conversation.failed("Something went wrong. Try again.")
            yield chat_view(said)
        finally:
            stop_event.set()
            # Here, and not in `rest` alone, which nobody calls where the page went away or shows another conversation.
            self._keep_quietly(said, request)

    def _keep_quietly(self, conversation: Conversation, request: gr.Request | None) -> None:
        """Keep a conversation where nobody may be there to be told of a failure; `rest` tries again and tells."""
        try:
            learner_tutor(self.tutor, request).conversations.keep(conversation, datetime.now(UTC))
        except (*KNOWN_ERRORS, gr.Error) as error:
            logging.getLogger(__name__).warning("The end of a conversation could not be kept: %s", error)

    def stop(
        self, conversation: Conversation, stop_event: Event | None, search: str = "", request: gr.Request | None = None
    ) -> RestView:
        """End the running answer; what it has said so far stays."""
        if stop_event is not None:
            stop_event.set()
        return self.rest(conversation.failed("Stopped.") if conversation.is_pending else conversation, search, request)

    def rest(self, conversation: Conversation, search: str = "", request: gr.Request | None = None) -> RestView:
        """Keep what was said and give the buttons back after an answer, also where something unforeseen ended it."""
        if conversation.is_pending:
            conversation = conversation.failed("Something went wrong. Try again.")
        try:
            conversation = self._keep(conversation, request)
            choice = listed(learner_tutor(self.tutor, request), conversation, search)
        except (*KNOWN_ERRORS, gr.Error) as error:
            # An answer that cannot be kept is shown nevertheless.
            gr.Warning(str(error), duration=12)
            choice = gr.Radio()
        return at_rest(conversation, choice)

    def show_source(self, conversation: Conversation, link: gr.EventData) -> str:
        """The sources of the turn that a clicked chip belongs to. A link is `source-<turn>-<number>`."""
        turn = int(str(link.target_id).split("-")[1])
        return turn_sources(conversation, turn)

    # Thumbs

    def thumb(
        self,
        conversation: Conversation,
        message: gr.LikeData,
        stop_event: Event | None = None,
        request: gr.Request | None = None,
    ) -> ThumbView:
        """Keep a thumb for an answer; ask for the reason where it points down."""
        number = _turn_of(message.index)
        turn = conversation.turns[number]
        is_answering = stop_event is not None and not stop_event.is_set()
        if is_answering or (turn.answer is None and turn.grade is None):
            gr.Info("Wait for the answer to end." if is_answering else "There is no answer to judge here.")
            return _thumb_view(conversation, number, asks=False)
        # Gradio sends a text in place of a truth value where a thumb is taken back.
        given: Thumb | None = None if not isinstance(message.liked, bool) else "up" if message.liked else "down"
        judged = conversation.judged(number, given)
        with known_errors_shown():
            if given:
                self._give(judged, number, "", request)
            else:
                self._give(conversation, number, TAKEN_BACK, request)
            return _thumb_view(self._keep(judged, request), number, asks=given == "down")

    def give_reason(
        self,
        conversation: Conversation,
        number: int,
        reason: str | None,
        words: str,
        request: gr.Request | None = None,
    ) -> gr.Column:
        """Keep why a thumb points down."""
        said = ": ".join(filter(None, (reason, " ".join(words.split()))))
        if not said:
            raise gr.Error("Choose a reason, or say it in your words.", print_exception=False)
        if 0 <= number < len(conversation.turns):
            with known_errors_shown():
                self._give(conversation, number, said, request)
            gr.Info("Thank you. The reason is kept with the answer.")
        return gr.Column(visible=False)

    def _give(self, conversation: Conversation, number: int, reason: str, request: gr.Request | None) -> None:
        turn = conversation.turns[number]
        record = answer_record(turn.answer) if turn.answer else grade_record(turn.grade) if turn.grade else {}
        tutor = learner_tutor(self.tutor, request)
        feedback = Feedback(turn.thumb or "down", reason, turn.question, record, datetime.now(UTC))
        tutor.progress.record_feedback(tutor.settings.learner, feedback)


def _replies(tutor: Tutor, conversation: Conversation, answer_from: AnswerFrom, stop: Event) -> Iterator[Conversation]:
    """The conversation as the reply to its last message grows: an answer, a grade, or a grade after a dispute."""
    message, history, grade = conversation.turns[-1].question, conversation.history, conversation.last_grade
    if attempt := read_attempt(message):
        yield conversation.graded(tutor.grade(*tutor.answer_given(history, attempt)))
        return
    if grade is not None:
        said = read_turn(message, can_dispute=True)
        if said.move == "dispute":
            yield conversation.graded(tutor.dispute(grade, said.point, said.text))
            return
    for answer in tutor.stream_answer(message, history, answer_from=answer_from, within=conversation.scope, stop=stop):
        yield conversation.answered(answer)


def _turn_of(message_index: int | tuple[int, int]) -> int:
    """The turn of a message: a question and its answer are two messages."""
    return (message_index if isinstance(message_index, int) else message_index[0]) // 2


def _thumb_view(conversation: Conversation, number: int, *, asks: bool) -> ThumbView:
    return ThumbView(
        conversation,
        chatbot(conversation),
        number,
        gr.Column(visible=asks),
        gr.Radio(value=None),
        gr.Textbox(value=""),
    )


# The layout


@dataclass(frozen=True)
class AskTab:
    """The components that other parts of the page need, and the handlers that fill them."""

    handlers: AskHandlers
    list_handlers: ListHandlers
    conversation: gr.State
    sources: gr.Markdown
    opened: tuple[Any, ...]
    """What `ListHandlers.restore` fills."""


class _ReasonForm(NamedTuple):
    """The components that ask why a thumb points down."""

    column: gr.Column
    turn: gr.State
    reason: gr.Radio
    words: gr.Textbox
    send: gr.Button
    close: gr.Button


def _build_reason_form() -> _ReasonForm:
    turn = gr.State(-1)
    with gr.Column(visible=False, elem_id="reason-form") as column:
        reason = gr.Radio(list(REASONS), label="What is wrong with this answer?", elem_id="reason")
        with gr.Row(elem_id="reason-row"):
            words = gr.Textbox(
                label="In your words (optional)",
                lines=1,
                max_lines=3,
                min_width=160,
                elem_id="reason-words",
            )
            send = gr.Button("Send", variant="primary", size="sm", scale=0, min_width=80, elem_id="send-reason")
            close = gr.Button("No reason", size="sm", scale=0, min_width=80, elem_id="no-reason")
    return _ReasonForm(column, turn, reason, words, send, close)


def build_ask_tab(tutor: Tutor) -> AskTab:
    """Lay the tab out and wire it."""
    handlers, list_handlers = AskHandlers(tutor), ListHandlers(tutor)
    conversation = gr.State(Conversation())
    stop_event = gr.State(None)
    with gr.Row(elem_id="chat-row"):
        with gr.Column(scale=1, min_width=220, elem_id="conversations-column"):
            conversations = build_list()
        with gr.Column(scale=3, min_width=320, elem_id="chat-column"):
            chat = gr.Chatbot(
                label="Conversation",
                show_label=False,
                container=False,
                elem_id="chat",
                height="auto",
                latex_delimiters=FORMULAS,
                editable="user",
                buttons=["copy"],
                placeholder=_GREETING,
                autoscroll=False,
                examples=[{"text": example} for example in EXAMPLES],
                layout="bubble",
            )
            form = _build_reason_form()
            with gr.Row(elem_id="ask-row"):
                question = gr.Textbox(
                    label="Your question",
                    show_label=False,
                    placeholder="Ask a question …",
                    lines=1,
                    max_lines=6,
                    scale=1,
                    container=False,
                    autofocus=True,
                    elem_id="question",
                )
                ask = gr.Button("Ask", variant="primary", scale=0, min_width=88, elem_id="ask")
                stop = gr.Button("Stop", variant="stop", scale=0, min_width=88, visible=False, elem_id="stop")
            with gr.Row(elem_id="forms-row", visible=False) as forms:
                buttons = [gr.Button(words, size="sm", scale=0, min_width=60) for words in MODE_WORDS.values()]
            guides_first = gr.Checkbox(
                tutor.settings.answer_from == "guides-first",
                label="Guides first, then the model's memory (marked)",
                # Without a model nobody else could answer.
                visible=tutor.model_name != EXTRACTIVE,
                container=False,
                elem_id="guides-first",
            )
            with (
                gr.Accordion(scope_label(Scope()), open=False, elem_id="search-in") as fold,
                gr.Row(elem_id="search-in-row"),
            ):
                narrowed = [
                    gr.Dropdown([], label=label, multiselect=True, value=None, min_width=140)
                    for label in ("Topics", "Levels", "Languages", "Guides")
                ]
        with gr.Column(scale=2, min_width=320, elem_id="sources-column"):
            sources = gr.Markdown(sources_markdown(None, 0), latex_delimiters=FORMULAS, elem_id="sources")

    view = [conversation, chat, sources]
    started = [*view, stop_event, question, ask, stop, forms, form.column, conversations.links]
    rested = [conversation, chat, ask, stop, forms, conversations.choice, conversations.actions]
    opened = [
        *rested, sources, form.column, conversations.rename_form, conversations.delete_form, conversations.links, *narrowed, fold,
    ]  # fmt: skip
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    starts = [
        gr.on([question.submit, ask.click], handlers.ask, [question, conversation, *narrowed], started, **quiet),
        chat.example_select(handlers.ask_example, [conversation, *narrowed], started, **quiet),
        chat.retry(handlers.retry, [conversation, *narrowed], started, **quiet),
        chat.edit(handlers.edit, [conversation, *narrowed], started, **quiet),
        # A button says what the learner could have typed.
        *(button.click(handlers.ask, [button, conversation, *narrowed], started, **quiet) for button in buttons),
    ]
    answers = [
        start.success(handlers.answer, [conversation, stop_event, guides_first], view, **quiet) for start in starts
    ]
    for answer in answers:
        answer.then(handlers.rest, [conversation, conversations.search], rested, **quiet).then(None, js=_FOCUS_QUESTION)
    stopped = stop.click(
        handlers.stop, [conversation, stop_event, conversations.search], rested, cancels=answers, **quiet
    )
    for field in narrowed:
        field.input(name_scope, narrowed, fold, **quiet)

    thumbed = [conversation, chat, form.turn, form.column, form.reason, form.words]
    chat.like(handlers.thumb, [conversation, stop_event], thumbed, **quiet)
    gr.on(
        [form.send.click, form.words.submit],
        handlers.give_reason,
        [conversation, form.turn, form.reason, form.words],
        form.column,
        **quiet,
    )
    form.close.click(_close_form, None, form.column, **quiet)

    opens = conversations.choice.input(
        list_handlers.open, [conversations.choice, conversations.search], opened, cancels=answers, **quiet
    )
    opens.then(None, js=SHOW_LAST_TURN)
    begun = conversations.new.click(list_handlers.start_over, conversations.search, opened, cancels=answers, **quiet)
    for event in (begun, stopped):
        event.then(None, js=_FOCUS_QUESTION)
    conversations.search.change(
        list_handlers.search,
        [conversation, conversations.search],
        conversations.choice,
        trigger_mode="always_last",
        **quiet,
    )
    conversations.rename.click(
        list_handlers.ask_name,
        conversation,
        [conversations.actions, conversations.rename_form, conversations.name],
        **quiet,
    )
    gr.on(
        [conversations.save_name.click, conversations.name.submit],
        list_handlers.rename,
        [conversation, conversations.name, conversations.search],
        [conversation, conversations.choice, conversations.rename_form, conversations.actions],
        **quiet,
    )
    conversations.delete.click(
        list_handlers.ask_whether,
        conversation,
        [conversations.actions, conversations.delete_form, conversations.whether],
        **quiet,
    )
    conversations.yes.click(
        list_handlers.delete, [conversation, conversations.search], opened, cancels=answers, **quiet
    )
    conversations.keep_name.click(back_to_actions, None, [conversations.actions, conversations.rename_form], **quiet)
    conversations.no.click(back_to_actions, None, [conversations.actions, conversations.delete_form], **quiet)
    conversations.export.click(list_handlers.export, conversation, conversations.links, **quiet)
    return AskTab(handlers, list_handlers, conversation, sources, tuple(opened))


def _close_form() -> gr.Column:
    return gr.Column(visible=False)

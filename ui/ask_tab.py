"""The Chat tab: questions, answers as they come, and the passages they rest on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, NamedTuple

import gradio as gr

from tutor.answers import Answer
from tutor.grading import Grade
from tutor.modes import MODE_WORDS, read_attempt
from tutor.settings import EXTRACTIVE
from tutor.tutor import Tutor, checked_question
from ui.page import FORMULAS, KNOWN_ERRORS, known_errors_shown
from ui.render import answer_markdown, as_typed, grade_markdown, sources_markdown, typed

EXAMPLES = (
    "What does batch normalization do differently at inference?",
    "Explain self-attention. What are query, key and value?",
    "Why is Adam often used with weight decay decoupled?",
    "Write scaled dot-product attention in PyTorch.",
    "What is the formula of the binary cross-entropy loss?",
    "学习率如何设置？",
)
_GREETING = "### What would you like to understand?\n\nAnswers quote the study guides and name their sources, in English or 中文."


@dataclass(frozen=True)
class Turn:
    """A message and what became of it."""

    question: str
    answer: Answer | None = None
    grade: Grade | None = None
    """Of a message that answers a question of the bank."""
    failure: str = ""
    """Why there is no answer; shown in its place."""

    @property
    def is_pending(self) -> bool:
        """Whether the answer is still to come."""
        return self.answer is None and self.grade is None and not self.failure


@dataclass(frozen=True)
class Conversation:
    """What was said in one browser tab, oldest first."""

    turns: tuple[Turn, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether the last question waits for its answer."""
        return bool(self.turns) and self.turns[-1].is_pending

    @property
    def history(self) -> list[Answer]:
        """The answers before the last question; of one that failed, the question alone."""
        return [turn.answer or Answer(turn.question, turn.question) for turn in self.turns[:-1] if turn.grade is None]

    def asking(self, question: str, *, instead_of: int | None = None) -> Conversation:
        """The conversation with a new question at its end, or in place of a turn and all that followed it."""
        kept = self.turns if instead_of is None else self.turns[:instead_of]
        return Conversation((*kept, Turn(question)))

    def answered(self, answer: Answer) -> Conversation:
        """The conversation with the last question's answer, as far as it is known."""
        return self._with_last(replace(self.turns[-1], answer=answer))

    def graded(self, grade: Grade) -> Conversation:
        """The conversation with the grade of what the learner answered last."""
        return self._with_last(replace(self.turns[-1], grade=grade))

    def failed(self, reason: str) -> Conversation:
        """The conversation with the reason why the last question has no answer."""
        return self._with_last(replace(self.turns[-1], failure=reason))

    def _with_last(self, turn: Turn) -> Conversation:
        return Conversation((*self.turns[:-1], turn))


class ChatView(NamedTuple):
    """What the tab shows of a conversation, in the order of `AskTab.view`."""

    conversation: Conversation
    messages: list[dict[str, Any]]
    sources: str


class StartedView(NamedTuple):
    """What changes when a question is put, in the order of `AskTab.started`."""

    conversation: Conversation
    messages: list[dict[str, Any]]
    sources: str
    stop_event: Event
    question: str
    ask: gr.Button
    stop: gr.Button
    forms: gr.Row


class RestView(NamedTuple):
    """What changes when nothing is being answered any more, in the order of `AskTab.rested`."""

    conversation: Conversation
    messages: list[dict[str, Any]]
    ask: gr.Button
    stop: gr.Button
    forms: gr.Row


@dataclass(frozen=True)
class AskHandlers:
    """What the tab does with a tutor. Each call gets the caller's own conversation, so that learners do not mix."""

    tutor: Tutor

    def ask(self, question: str, conversation: Conversation) -> StartedView:
        """Put a question at the end of the conversation."""
        return self._start(question, conversation)

    def ask_example(self, conversation: Conversation, example: gr.SelectData) -> StartedView:
        """Ask the example that was clicked."""
        return self._start(str(example.value["text"]), conversation)

    def retry(self, conversation: Conversation, message: gr.RetryData) -> StartedView:
        """Ask the question of a turn again; what followed it goes."""
        index = _turn_of(message.index)
        return self._start(conversation.turns[index].question, conversation, instead_of=index)

    def edit(self, conversation: Conversation, message: gr.EditData) -> StartedView:
        """Ask an edited question in place of the former one; what followed it goes."""
        return self._start(as_typed(str(message.value)), conversation, instead_of=_turn_of(message.index))

    def _start(self, question: str, conversation: Conversation, *, instead_of: int | None = None) -> StartedView:
        if conversation.is_pending:
            raise gr.Error("The tutor is still answering. Wait for it, or press Stop.", print_exception=False)
        with known_errors_shown():
            asked = checked_question(question)
        view = chat_view(conversation.asking(asked, instead_of=instead_of))
        return StartedView(
            *view,
            stop_event=Event(),
            question="",
            ask=gr.Button(visible=False),
            stop=gr.Button(visible=True),
            forms=gr.Row(visible=False),
        )

    def answer(self, conversation: Conversation, stop_event: Event, guides_first: bool = False) -> Iterator[ChatView]:
        """The answer to the last question as it grows, or the grade of the learner's own answer.

        Ends when `stop_event` is set; sets it when the page goes away.
        """
        if not conversation.is_pending:
            return
        question, history = conversation.turns[-1].question, conversation.history
        try:
            if attempt := read_attempt(question):
                grade = self.tutor.grade(self.tutor.question_put(history), attempt)
                yield chat_view(conversation.graded(grade))
                return
            answers = self.tutor.stream_answer(
                question, history, answer_from="guides-first" if guides_first else "guides-only", stop=stop_event
            )
            for answer in answers:
                yield chat_view(conversation.answered(answer))
        except KNOWN_ERRORS as error:
            gr.Warning(str(error), duration=12)
            yield chat_view(conversation.failed(str(error)))
        except Exception:
            # Gradio runs nothing after a handler that raised: the page would wait for ever.
            logging.getLogger(__name__).exception("The question %r could not be answered.", question)
            yield chat_view(conversation.failed("Something went wrong. Try again."))
        finally:
            stop_event.set()

    def stop(self, conversation: Conversation, stop_event: Event | None) -> RestView:
        """End the running answer; what it has said so far stays."""
        if stop_event is not None:
            stop_event.set()
        return self.rest(conversation.failed("Stopped.") if conversation.is_pending else conversation)

    def rest(self, conversation: Conversation) -> RestView:
        """Give the buttons back after an answer, also where something unforeseen ended it."""
        if conversation.is_pending:
            conversation = conversation.failed("Something went wrong. Try again.")
        last = conversation.turns[-1] if conversation.turns else None
        has_answer = last is not None and last.answer is not None and last.answer.answered
        return RestView(
            conversation,
            chat_messages(conversation),
            ask=gr.Button(visible=True),
            stop=gr.Button(visible=False),
            forms=gr.Row(visible=has_answer),
        )

    def show_source(self, conversation: Conversation, link: gr.EventData) -> str:
        """The sources of the turn that a clicked chip belongs to. A link is `source-<turn>-<number>`."""
        turn = int(str(link.target_id).split("-")[1])
        return turn_sources(conversation, turn)

    def start_over(self) -> tuple[Conversation, list[dict[str, Any]], str, gr.Row]:
        """An empty conversation."""
        return *chat_view(Conversation()), gr.Row(visible=False)


def _turn_of(message_index: int | tuple[int, int]) -> int:
    """The turn of a message: a question and its answer are two messages."""
    return (message_index if isinstance(message_index, int) else message_index[0]) // 2


def chat_view(conversation: Conversation) -> ChatView:
    """The conversation with its messages, and the sources of its last turn."""
    return ChatView(conversation, chat_messages(conversation), turn_sources(conversation, len(conversation.turns) - 1))


def turn_sources(conversation: Conversation, turn: int) -> str:
    """The sources panel for a turn; the empty panel where there is no such turn or no answer yet."""
    if not 0 <= turn < len(conversation.turns):
        return sources_markdown(None, 0)
    return sources_markdown(conversation.turns[turn].answer, turn)


def chat_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """Two messages for each turn, so that the index of a message tells its turn."""
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(conversation.turns):
        messages.append({"role": "user", "content": typed(turn.question)})
        messages.append({"role": "assistant", "content": _reply(turn, number)})
    return messages


def _reply(turn: Turn, number: int) -> str:
    if turn.answer is not None:
        return answer_markdown(turn.answer, number)
    if turn.grade is not None:
        return grade_markdown(turn.grade)
    if turn.failure:
        return f'<span class="failure">{typed(turn.failure)}</span>'
    return '<span class="pending">Looking in the guides …</span>'


@dataclass(frozen=True)
class AskTab:
    """The components that other parts of the page need."""

    conversation: gr.State
    sources: gr.Markdown


def build_ask_tab(tutor: Tutor) -> AskTab:
    """Lay the tab out and wire it."""
    handlers = AskHandlers(tutor)
    conversation = gr.State(Conversation())
    stop_event = gr.State(None)
    with gr.Row(elem_id="chat-row"):
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
                feedback_options=None,
                placeholder=_GREETING,
                autoscroll=False,
                examples=[{"text": example} for example in EXAMPLES],
                layout="bubble",
            )
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
            with gr.Row(elem_id="after-row"):
                guides_first = gr.Checkbox(
                    tutor.settings.answer_from == "guides-first",
                    label="Guides first, then the model's memory (marked)",
                    # Without a model nobody else could answer.
                    visible=tutor.model_name != EXTRACTIVE,
                    container=False,
                    elem_id="guides-first",
                )
                new = gr.Button("New conversation", size="sm", scale=0, elem_id="new")
        with gr.Column(scale=2, min_width=320, elem_id="sources-column"):
            sources = gr.Markdown(sources_markdown(None, 0), latex_delimiters=FORMULAS, elem_id="sources")

    view = [conversation, chat, sources]
    started = [*view, stop_event, question, ask, stop, forms]
    rested = [conversation, chat, ask, stop, forms]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    starts = [
        gr.on([question.submit, ask.click], handlers.ask, [question, conversation], started, **quiet),
        chat.example_select(handlers.ask_example, conversation, started, **quiet),
        chat.retry(handlers.retry, conversation, started, **quiet),
        chat.edit(handlers.edit, conversation, started, **quiet),
        # A button says what the learner could have typed.
        *(button.click(handlers.ask, [button, conversation], started, **quiet) for button in buttons),
    ]
    answers = [
        start.success(handlers.answer, [conversation, stop_event, guides_first], view, **quiet) for start in starts
    ]
    for answer in answers:
        answer.then(handlers.rest, conversation, rested, **quiet)
    stop.click(handlers.stop, [conversation, stop_event], rested, cancels=answers, **quiet)
    new.click(handlers.start_over, None, [*view, forms], cancels=answers, **quiet)
    return AskTab(conversation, sources)

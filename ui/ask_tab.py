"""The Chat tab: questions, answers as they come, and the passages they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, NamedTuple

import gradio as gr

from tutor.answers import Answer
from tutor.tutor import Tutor, checked_question
from ui.page import FORMULAS, KNOWN_ERRORS, known_errors_shown
from ui.render import answer_markdown, as_typed, section_markdown, sources_markdown, typed

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
    """A question and what became of it."""

    question: str
    answer: Answer | None = None
    is_detailed: bool = False
    """Whether the whole section was asked for."""
    failure: str = ""
    """Why there is no answer; shown in its place."""

    @property
    def is_pending(self) -> bool:
        """Whether the answer is still to come."""
        return self.answer is None and not self.failure


@dataclass(frozen=True)
class Conversation:
    """What was said in one browser tab, oldest first."""

    turns: tuple[Turn, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether the last question waits for its answer."""
        return bool(self.turns) and self.turns[-1].is_pending

    @property
    def history(self) -> list[str]:
        """The questions before the last one."""
        return [turn.question for turn in self.turns[:-1]]

    def asking(self, question: str, *, instead_of: int | None = None, detailed: bool = False) -> Conversation:
        """The conversation with a new question at its end, or in place of a turn and all that followed it."""
        kept = self.turns if instead_of is None else self.turns[:instead_of]
        return Conversation((*kept, Turn(question, is_detailed=detailed)))

    def answered(self, answer: Answer) -> Conversation:
        """The conversation with the last question's answer, as far as it is known."""
        return self._with_last(replace(self.turns[-1], answer=answer))

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
    more: gr.Button


class RestView(NamedTuple):
    """What changes when nothing is being answered any more, in the order of `AskTab.rested`."""

    conversation: Conversation
    messages: list[dict[str, Any]]
    ask: gr.Button
    stop: gr.Button
    more: gr.Button


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

    def more(self, conversation: Conversation) -> StartedView:
        """Show the whole section for the last question, or the short answer again."""
        if not conversation.turns:
            raise gr.Error("Ask something first.", print_exception=False)
        last = conversation.turns[-1]
        return self._start(
            last.question, conversation, instead_of=len(conversation.turns) - 1, detailed=not last.is_detailed
        )

    def _start(
        self, question: str, conversation: Conversation, *, instead_of: int | None = None, detailed: bool = False
    ) -> StartedView:
        if conversation.is_pending:
            raise gr.Error("The tutor is still answering. Wait for it, or press Stop.", print_exception=False)
        with known_errors_shown():
            asked = checked_question(question)
        view = chat_view(conversation.asking(asked, instead_of=instead_of, detailed=detailed))
        return StartedView(
            *view,
            stop_event=Event(),
            question="",
            ask=gr.Button(visible=False),
            stop=gr.Button(visible=True),
            more=gr.Button(visible=False),
        )

    def answer(self, conversation: Conversation, stop_event: Event) -> Iterator[ChatView]:
        """The answer to the last question as it grows. Ends when `stop_event` is set; sets it when the page goes away."""
        if not conversation.is_pending:
            return
        turn = conversation.turns[-1]
        try:
            answers = self.tutor.stream_answer(
                turn.question, conversation.history, detailed=turn.is_detailed, stop=stop_event
            )
            for answer in answers:
                yield chat_view(conversation.answered(answer))
        except KNOWN_ERRORS as error:
            gr.Warning(str(error), duration=12)
            yield chat_view(conversation.failed(str(error)))
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
            more=gr.Button(
                "Shorter answer" if last and last.is_detailed else "More: the whole section", visible=has_answer
            ),
        )

    def show_source(self, conversation: Conversation, link: gr.EventData) -> str:
        """The sources of the turn that a clicked chip belongs to. A link is `source-<turn>-<number>`."""
        turn = int(str(link.target_id).split("-")[1])
        return turn_sources(conversation, turn)

    def start_over(self) -> tuple[Conversation, list[dict[str, Any]], str, gr.Button]:
        """An empty conversation."""
        return *chat_view(Conversation()), gr.Button(visible=False)


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
    shown = conversation.turns[turn]
    # Of a whole section everything is quoted: marking all of it would mark nothing.
    return sources_markdown(shown.answer, turn, highlight=not shown.is_detailed)


def chat_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """Two messages for each turn, so that the index of a message tells its turn."""
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(conversation.turns):
        messages.append({"role": "user", "content": typed(turn.question)})
        messages.append({"role": "assistant", "content": _reply(turn, number)})
    return messages


def _reply(turn: Turn, number: int) -> str:
    if turn.answer is not None:
        return section_markdown(turn.answer, number) if turn.is_detailed else answer_markdown(turn.answer, number)
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
            with gr.Row(elem_id="after-row"):
                more = gr.Button("More: the whole section", size="sm", visible=False, scale=0, elem_id="more")
                new = gr.Button("New conversation", size="sm", scale=0, elem_id="new")
        with gr.Column(scale=2, min_width=320, elem_id="sources-column"):
            sources = gr.Markdown(sources_markdown(None, 0), latex_delimiters=FORMULAS, elem_id="sources")

    view = [conversation, chat, sources]
    started = [*view, stop_event, question, ask, stop, more]
    rested = [conversation, chat, ask, stop, more]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    starts = [
        gr.on([question.submit, ask.click], handlers.ask, [question, conversation], started, **quiet),
        chat.example_select(handlers.ask_example, conversation, started, **quiet),
        chat.retry(handlers.retry, conversation, started, **quiet),
        chat.edit(handlers.edit, conversation, started, **quiet),
        more.click(handlers.more, conversation, started, **quiet),
    ]
    answers = [start.success(handlers.answer, [conversation, stop_event], view, **quiet) for start in starts]
    for answer in answers:
        answer.then(handlers.rest, conversation, rested, **quiet)
    stop.click(handlers.stop, [conversation, stop_event], rested, cancels=answers, **quiet)
    new.click(handlers.start_over, None, [*view, more], cancels=answers, **quiet)
    return AskTab(conversation, sources)

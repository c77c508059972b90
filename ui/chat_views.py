"""What the Chat tab shows of a conversation, as the values of its components."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any, NamedTuple

import gradio as gr

from corpus.questions import LEVELS
from index.scope import Scope
from tutor.conversation import Conversation
from tutor.tutor import Tutor
from ui.page import INDEX_ERRORS
from ui.render import typed
from ui.render_chat import reply_markdown, scope_label, turn_sources
from ui.render_library import language_label

_LISTED = 100
"""Conversations that are listed; older ones are found by searching."""


class ChatView(NamedTuple):
    """What the tab shows of a conversation, in the order of the tab's `view`."""

    conversation: Conversation
    messages: list[dict[str, Any]]
    sources: str


class StartedView(NamedTuple):
    """What changes when a question is put, in the order of the tab's `started`."""

    conversation: Conversation
    messages: list[dict[str, Any]]
    sources: str
    stop_event: Event
    question: str
    ask: gr.Button
    stop: gr.Button
    forms: gr.Row
    reason_form: gr.Column
    links: gr.HTML
    """To save the conversation as it was before."""


class RestView(NamedTuple):
    """What changes when nothing is being answered any more, in the order of the tab's `rested`."""

    conversation: Conversation
    chat: gr.Chatbot
    ask: gr.Button
    stop: gr.Button
    forms: gr.Row
    conversations: gr.Radio
    actions: gr.Row


class OpenedView(NamedTuple):
    """What changes when another conversation is shown, in the order of the tab's `opened`."""

    conversation: Conversation
    chat: gr.Chatbot
    ask: gr.Button
    stop: gr.Button
    forms: gr.Row
    conversations: gr.Radio
    actions: gr.Row
    sources: str
    reason_form: gr.Column
    rename_form: gr.Column
    delete_form: gr.Column
    links: gr.HTML
    topics: gr.Dropdown
    levels: gr.Dropdown
    languages: gr.Dropdown
    guides: gr.Dropdown
    fold: gr.Accordion


class ThumbView(NamedTuple):
    """What a thumb changes, in the order of the tab's `thumbed`."""

    conversation: Conversation
    chat: gr.Chatbot
    turn: int
    reason_form: gr.Column
    reason: gr.Radio
    words: gr.Textbox


def chat_view(conversation: Conversation, *, waiting: int = 0) -> ChatView:
    """The conversation with its messages, and the sources of its last turn."""
    return ChatView(
        conversation,
        chat_messages(conversation, waiting=waiting),
        turn_sources(conversation, len(conversation.turns) - 1),
    )


def chat_messages(conversation: Conversation, *, waiting: int = 0) -> list[dict[str, Any]]:
    """Two messages for each turn, so that the index of a message tells its turn."""
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(conversation.turns):
        messages.append({"role": "user", "content": typed(turn.question)})
        messages.append({"role": "assistant", "content": reply_markdown(turn, number, waiting=waiting)})
    return messages


def chatbot(conversation: Conversation) -> gr.Chatbot:
    """The messages with the thumbs that were given."""
    thumbs = [{"up": "Like", "down": "Dislike"}.get(turn.thumb or "") for turn in conversation.turns]
    messages: list[Any] = chat_messages(conversation)
    return gr.Chatbot(value=messages, feedback_value=thumbs)


def at_rest(conversation: Conversation, listed: gr.Radio) -> RestView:
    """The conversation with nothing being answered, and the list as it is now."""
    last = conversation.turns[-1] if conversation.turns else None
    has_answer = last is not None and last.answer is not None and last.answer.answered
    return RestView(
        conversation,
        chatbot(conversation),
        ask=gr.Button(visible=True),
        stop=gr.Button(visible=False),
        forms=gr.Row(visible=has_answer),
        conversations=listed,
        actions=gr.Row(visible=bool(conversation.id)),
    )


def listed(tutor: Tutor, conversation: Conversation, search: str) -> gr.Radio:
    """The learner's conversations that hold all words of a search; the one that is shown is marked."""
    titles = tutor.conversations.titles(search)[:_LISTED]
    shown = conversation.id if any(one.id == conversation.id for one in titles) else None
    label = "Conversations" if titles else "Nothing found" if search.strip() else "No conversations yet"
    return gr.Radio(choices=[(one.title, one.id) for one in titles], value=shown, label=label)


# Where is searched


def narrowed(tutor: Tutor, scope: Scope) -> tuple[gr.Dropdown, gr.Dropdown, gr.Dropdown, gr.Dropdown, gr.Accordion]:
    """The choices that there are in the guides now, and those of a scope that are still there."""
    try:
        documents = tutor.index.documents
    except INDEX_ERRORS:
        documents = []
    topics = sorted({document.topic for document in documents if document.topic})
    levels = {document.level for document in documents}
    languages = sorted({document.language for document in documents})
    kinds: tuple[tuple[tuple[str, ...], list[tuple[str, str]]], ...] = (
        (scope.topics, [(topic, topic) for topic in topics]),
        (scope.levels, [(level.capitalize(), level) for level in LEVELS if level in levels]),
        (scope.languages, [(language_label(code), code) for code in languages]),
        (scope.documents, [(document.title, document.id) for document in documents]),
    )
    there = [[value for value in values if any(value == name for _, name in choices)] for values, choices in kinds]
    fields = [
        gr.Dropdown(choices=choices, value=kept, multiselect=True)
        for (_, choices), kept in zip(kinds, there, strict=True)
    ]
    return fields[0], fields[1], fields[2], fields[3], name_scope(*there)


def name_scope(*values: Sequence[str] | None) -> gr.Accordion:
    """The fold says what is chosen in it."""
    return gr.Accordion(label=scope_label(scope_of(*values)))


def scope_of(
    topics: Sequence[str] | None = None,
    levels: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
    guides: Sequence[str] | None = None,
) -> Scope:
    """Where the fold says that is to be searched."""
    return Scope(
        documents=tuple(guides or ()),
        topics=tuple(topics or ()),
        languages=tuple(languages or ()),
        levels=tuple(levels or ()),
    )

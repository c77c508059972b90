"""The list of the learner's conversations, beside the chat: search, open, rename, export, delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from tutor.conversation import Conversation
from tutor.tutor import Tutor
from ui.chat_views import OpenedView, at_rest, listed, narrowed
from ui.page import FORMULAS, KNOWN_ERRORS, known_errors_shown, learner_tutor
from ui.render import typed
from ui.render_chat import conversation_links, turn_sources


@dataclass(frozen=True)
class ListHandlers:
    """What the list does with a tutor."""

    tutor: Tutor

    def restore(self, conversation: Conversation, request: gr.Request | None = None) -> OpenedView | tuple[Any, ...]:
        """The conversation that something was said in last, where nothing was said on this page yet."""
        try:
            last = conversation if conversation.id else learner_tutor(self.tutor, request).conversations.last()
            if last is conversation or not last.id:
                # What is there stays as it is: a question may have been asked meanwhile.
                kept: list[Any] = [gr.skip()] * len(OpenedView._fields)
                kept[OpenedView._fields.index("conversations")] = listed(
                    learner_tutor(self.tutor, request), conversation, ""
                )
                scope = narrowed(self.tutor, conversation.scope)
                kept[-len(scope) :] = scope
                return tuple(kept)
            return self._opened(last, "", request)
        except (*KNOWN_ERRORS, gr.Error) as error:
            gr.Warning(f"The last conversation cannot be shown. {error}", duration=12)
            return self._opened(Conversation(), None, request)

    def open(self, conversation_id: str | None, search: str = "", request: gr.Request | None = None) -> OpenedView:
        """A conversation of the list."""
        with known_errors_shown():
            conversations = learner_tutor(self.tutor, request).conversations
            return self._opened(conversations.find(conversation_id or ""), search, request)

    def start_over(self, search: str = "", request: gr.Request | None = None) -> OpenedView:
        """An empty conversation; the one before stays in the list."""
        return self._opened(Conversation(), search, request)

    def search(self, conversation: Conversation, search: str, request: gr.Request | None = None) -> gr.Radio:
        """The conversations that hold all words of a search."""
        with known_errors_shown():
            return listed(learner_tutor(self.tutor, request), conversation, search)

    def rename(
        self, conversation: Conversation, title: str, search: str = "", request: gr.Request | None = None
    ) -> tuple[Conversation, gr.Radio, gr.Column, gr.Row]:
        """The conversation under another name."""
        with known_errors_shown():
            tutor = learner_tutor(self.tutor, request)
            renamed = tutor.conversations.rename(conversation, title)
            return renamed, listed(tutor, renamed, search), gr.Column(visible=False), gr.Row(visible=True)

    def delete(self, conversation: Conversation, search: str = "", request: gr.Request | None = None) -> OpenedView:
        """Without the conversation that was shown."""
        with known_errors_shown():
            learner_tutor(self.tutor, request).conversations.delete(conversation)
            return self._opened(Conversation(), search, request)

    def ask_name(self, conversation: Conversation) -> tuple[gr.Row, gr.Column, gr.Textbox]:
        """The field for another name, with the present one in it."""
        return gr.Row(visible=False), gr.Column(visible=True), gr.Textbox(value=conversation.title)

    def ask_whether(self, conversation: Conversation) -> tuple[gr.Row, gr.Column, gr.Markdown]:
        """Whether the conversation is really to be deleted."""
        question = f"Delete “{typed(conversation.title)}”?"
        return gr.Row(visible=False), gr.Column(visible=True), gr.Markdown(question)

    def export(self, conversation: Conversation) -> gr.HTML:
        """Links that save the conversation."""
        return gr.HTML(conversation_links(conversation), visible=True)

    def _opened(self, conversation: Conversation, search: str | None, request: gr.Request | None) -> OpenedView:
        """The page as it shows a conversation; `search` None leaves the list as it is."""
        choice = gr.Radio() if search is None else listed(learner_tutor(self.tutor, request), conversation, search)
        return OpenedView(
            *at_rest(conversation, choice),
            turn_sources(conversation, len(conversation.turns) - 1),
            gr.Column(visible=False),
            gr.Column(visible=False),
            gr.Column(visible=False),
            gr.HTML(visible=False),
            *narrowed(self.tutor, conversation.scope),
        )


class ConversationList(NamedTuple):
    """The components of the list of conversations."""

    new: gr.Button
    search: gr.Textbox
    choice: gr.Radio
    actions: gr.Row
    rename: gr.Button
    export: gr.Button
    delete: gr.Button
    rename_form: gr.Column
    name: gr.Textbox
    save_name: gr.Button
    keep_name: gr.Button
    delete_form: gr.Column
    whether: gr.Markdown
    yes: gr.Button
    no: gr.Button
    links: gr.HTML


def build_list() -> ConversationList:
    """Lay the list out."""
    with gr.Accordion("Conversations", open=False, elem_id="conversations"):
        new = gr.Button("New conversation", size="sm", elem_id="new")
        search = gr.Textbox(
            label="Search conversations",
            show_label=False,
            placeholder="Search …",
            container=False,
            elem_id="search-conversations",
        )
        choice = gr.Radio([], label="No conversations yet", elem_id="conversation-list")
        with gr.Row(visible=False, elem_id="conversation-actions") as actions:
            rename = gr.Button("Rename", size="sm", min_width=60)
            export = gr.Button("Export", size="sm", min_width=60)
            delete = gr.Button("Delete", size="sm", min_width=60)
        with gr.Column(visible=False, elem_id="rename-form") as rename_form:
            name = gr.Textbox(label="Name of this conversation", elem_id="conversation-name")
            with gr.Row():
                save_name = gr.Button("Save", variant="primary", size="sm", min_width=60)
                keep_name = gr.Button("Leave it", size="sm", min_width=60)
        with gr.Column(visible=False, elem_id="delete-form") as delete_form:
            whether = gr.Markdown(latex_delimiters=FORMULAS)
            with gr.Row():
                yes = gr.Button("Yes, delete it", variant="stop", size="sm", min_width=60)
                no = gr.Button("No, keep it", size="sm", min_width=60)
        links = gr.HTML(visible=False, elem_id="conversation-links")
    return ConversationList(
        new, search, choice, actions, rename, export, delete, rename_form, name, save_name, keep_name,
        delete_form, whether, yes, no, links,
    )  # fmt: skip


def back_to_actions() -> tuple[gr.Row, gr.Column]:
    """The buttons in place of a form."""
    return gr.Row(visible=True), gr.Column(visible=False)

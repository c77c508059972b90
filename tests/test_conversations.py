"""A learner's conversations, kept turn by turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tutor.answers import Answer
from tutor.conversation import Conversation
from tutor.conversations import Conversations
from tutor.database import ProgressError
from tutor.progress import ProgressStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def conversations(tmp_path: Path) -> Conversations:
    return Conversations("ann", ProgressStore(tmp_path / "progress.db"))


def asked(conversations: Conversations, conversation: Conversation, question: str) -> Conversation:
    """The conversation after a question was put."""
    return conversations.keep(conversation.asking(question), NOON, begins=True)


def answered(conversations: Conversations, conversation: Conversation) -> Conversation:
    """The conversation after its last question was answered."""
    question = conversation.turns[-1].question
    return conversations.keep(conversation.answered(Answer(question, question)), NOON)


def questions(conversation: Conversation) -> list[str]:
    return [turn.question for turn in conversation.turns]


def test_history_that_never_began_has_no_conversation_and_makes_no_file(conversations: Conversations, tmp_path: Path):
    assert conversations.titles() == []
    assert conversations.last() == Conversation()
    assert conversations.keep(Conversation(), NOON) == Conversation()
    assert not (tmp_path / "progress.db").exists()


def test_conversation_is_called_by_its_first_question_in_a_line(conversations: Conversations):
    asked(conversations, asked(conversations, Conversation(), f"What is\n{'dropout ' * 20}?"), "And BatchNorm?")
    [title] = [one.title for one in conversations.titles()]

    assert title.startswith("What is dropout dropout")
    assert title.endswith("…")
    assert len(title) <= 80


def test_conversation_that_something_was_said_in_last_comes_first_and_looking_changes_nothing(
    conversations: Conversations,
):
    first = asked(conversations, Conversation(), "What is dropout?")
    second = answered(conversations, asked(conversations, Conversation(), "What is LayerNorm?"))
    answered(conversations, first)
    conversations.keep(conversations.find(second.id), NOON)

    assert [one.id for one in conversations.titles()] == [first.id, second.id]


def test_turns_of_two_tabs_are_all_kept(conversations: Conversations):
    here = answered(conversations, asked(conversations, Conversation(), "1"))
    there = conversations.find(here.id)
    here = asked(conversations, here, "2 here")
    there = asked(conversations, there, "2 there")
    here = answered(conversations, here)
    there = answered(conversations, there)
    here = answered(conversations, asked(conversations, here, "3 here"))

    assert questions(here) == ["1", "2 there", "2 here", "3 here"]
    assert all(turn.answer for turn in conversations.find(here.id).turns)
    assert all(turn.answer for turn in here.turns)
    assert set(questions(conversations.find(here.id))) == {"1", "2 there", "2 here", "3 here"}


def test_question_that_is_asked_anew_takes_the_place_of_what_followed_but_not_of_another_tabs(
    conversations: Conversations,
):
    here = asked(conversations, asked(conversations, Conversation(), "1"), "2")
    there = asked(conversations, conversations.find(here.id), "3 there")
    here = conversations.keep(here.asking("2 anew", instead_of=1), NOON, begins=True)

    assert questions(here) == ["1", "3 there", "2 anew"]
    assert questions(conversations.find(there.id)) == ["1", "3 there", "2 anew"]


def test_conversation_that_was_deleted_comes_back_only_with_a_new_question(conversations: Conversations):
    conversation = asked(conversations, Conversation(), "1")
    conversations.delete(conversation)
    answered(conversations, conversation)
    assert conversations.titles() == []

    asked(conversations, conversation, "2")
    assert questions(conversations.last()) == ["1", "2"]


def test_renaming_keeps_the_name_when_more_is_said(conversations: Conversations):
    conversation = asked(conversations, Conversation(), "What is dropout?")
    renamed = conversations.rename(conversation, "Mine")
    asked(conversations, conversation, "And BatchNorm?")

    assert renamed == replace(conversation, title="Mine")
    assert [one.title for one in conversations.titles()] == ["Mine"]
    with pytest.raises(ProgressError, match="81 characters"):
        conversations.rename(conversation, "x" * 81)


def test_search_wants_all_words_in_title_or_text(conversations: Conversations):
    first = asked(conversations, asked(conversations, Conversation(), "What is dropout?"), "And 批归一化?")
    second = asked(conversations, Conversation(), "Why dropout?")

    def found(search: str) -> list[str]:
        return [one.id for one in conversations.titles(search)]

    assert found("DROPOUT") == [second.id, first.id]
    assert found("dropout 归一") == [first.id]
    assert found("dropout LayerNorm") == []
    assert found("  ") == [second.id, first.id]


def test_learners_see_their_own_conversations_alone(conversations: Conversations):
    conversation = asked(conversations, Conversation(), "What is dropout?")
    others = replace(conversations, learner="bob")

    assert others.titles() == []
    with pytest.raises(ProgressError, match="has no conversation"):
        others.find(conversation.id)
    with pytest.raises(ProgressError, match="has no conversation"):
        others.delete(conversation)

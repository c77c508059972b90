"""A learner's conversations: kept turn by turn, found again, renamed, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tutor.conversation import TITLE_CHARACTERS, Conversation
from tutor.conversation_records import is_answered, read_turn, searched_text, turn_record
from tutor.database import ProgressError
from tutor.progress import ConversationTitle, ProgressStore, StoredConversation

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Conversations:
    """The conversations of one learner. Every method raises ProgressError where the history cannot be used."""

    learner: str
    store: ProgressStore

    def titles(self, search: str = "") -> list[ConversationTitle]:
        """The conversations, the last first; with `search`, those whose title and text hold all of its words."""
        wanted = search.casefold().split()
        if not wanted:
            return self.store.conversation_titles(self.learner)
        found = []
        for stored in self.store.conversations(self.learner):
            text = "\n".join((stored.title, *map(searched_text, stored.turns))).casefold()
            if all(word in text for word in wanted):
                found.append(ConversationTitle(stored.id, stored.title, stored.updated_at))
        return found

    def find(self, conversation_id: str) -> Conversation:
        """A conversation as it was kept. Raises ProgressError where there is none, or it cannot be read."""
        return _read(self.store.stored_conversation(self.learner, conversation_id))

    def last(self) -> Conversation:
        """The one that something was said in last; an empty one where there is none."""
        titles = self.titles()
        return self.find(titles[0].id) if titles else Conversation()

    def keep(self, conversation: Conversation, at: datetime, *, begins: bool = False) -> Conversation:
        """Keep the conversation as it stands; the conversation with what was said in it elsewhere.

        Two tabs may go on with one conversation: turns of the other one stay, before the last of this one. What was deleted
        stays deleted, unless a question `begins` a turn.
        """
        if not conversation.id:
            return conversation
        own = {turn.id: turn for turn in conversation.turns}
        kept: Records = ()

        def merge(there: Records | None, records: Records) -> Records | None:
            nonlocal kept
            if there is None and not begins:
                return None
            before = {record["id"]: record for record in there or ()}
            others = [record for name, record in before.items() if name not in conversation.known]
            # An answer that came elsewhere since is not given up for a question that was seen waiting for it.
            mine = [
                before[record["id"]]
                if not is_answered(record) and is_answered(before.get(record["id"], {}))
                else record
                for record in records
            ]
            kept = [*mine[:-1], *others, *mine[-1:]]
            # What is only looked at does not come to the head of the list.
            return None if kept == there else kept

        records = [turn_record(turn) for turn in conversation.turns]
        self.store.save_conversation(self.learner, conversation.id, conversation.title, records, at, merge=merge)
        if not kept or all(record in records for record in kept):
            return conversation
        turns = tuple(own[record["id"]] if record in records else read_turn(record) for record in kept)
        return replace(conversation, turns=turns, known=conversation.known | {turn.id for turn in turns})

    def rename(self, conversation: Conversation, title: str) -> Conversation:
        """The conversation under another name. Raises ProgressError for a name that is none."""
        name = " ".join(title.split())
        if not name or len(name) > TITLE_CHARACTERS:
            raise ProgressError(
                f"The name has {len(name)} characters. Expected 1 to {TITLE_CHARACTERS}, e.g. Before the interview."
            )
        self.store.rename_conversation(self.learner, conversation.id, name)
        return replace(conversation, title=name)

    def delete(self, conversation: Conversation) -> None:
        """Take the conversation out, for good. The questions asked stay in the history, and grades in the progress."""
        self.store.delete_conversation(self.learner, conversation.id)


def _read(stored: StoredConversation) -> Conversation:
    turns = tuple(map(read_turn, stored.turns))
    return Conversation(turns, stored.id, stored.title, frozenset(turn.id for turn in turns))

"""Language models that say what a test wrote: real enough for everything but the thinking."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from threading import Event

from tutor.language_model import Message

Script = str | Sequence[str | Exception]


class ScriptedModel:
    """Says one reply after the other and keeps the prompts it saw.

    A reply is a text, said word by word, or pieces, where an exception among them is raised. A word counts as a token.
    """

    def __init__(self, *replies: Script, window_tokens: int | None = None, name: str = "scripted") -> None:
        self.name = name
        self.window_tokens = window_tokens
        self._replies = list(replies)
        self.prompts: list[Sequence[Message]] = []
        self.pieces = 0

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        del schema
        self.prompts.append(messages)
        reply = self._replies.pop(0)
        for piece in re.findall(r"\s*\S+|\s+", reply) if isinstance(reply, str) else reply:
            if stop is not None and stop.is_set():
                return
            if isinstance(piece, Exception):
                raise piece
            self.pieces += 1
            yield piece

"""Text from a language model: the protocol that every backend fits. Knows no library and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModel(Protocol):
    """Continues a conversation."""

    @property
    def name(self) -> str:
        """What answers are signed with."""

    @property
    def window_tokens(self) -> int | None:
        """What prompt and reply may take together; None where nobody knows."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that these messages make, the model's own marks between turns included."""

    def stream(
        self,
        messages: Sequence[Message],
        *,
        stop: Event | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> Iterator[str]:
        """The reply in pieces, as it is made. Setting `stop`, or closing the iterator, ends the computation.

        `schema` is the JSON Schema that the reply must follow; a backend that cannot hold the model to it takes it as a
        hint or passes over it (`tutor.structured` checks every reply). Raises ModelUnavailableError.
        """


@runtime_checkable
class InTurn(Protocol):
    """A model that serves one request after the other."""

    @property
    def waiting(self) -> int:
        """Requests that are served before one that comes now."""


class ModelUnavailableError(RuntimeError):
    """The model cannot be loaded or cannot answer; the message says why and what to do."""

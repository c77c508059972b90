"""Where a search looks: `Scope`, the documents, topics, languages and levels that it is narrowed to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches

from corpus.chunks import Chunk
from corpus.documents import Document

_LISTED = 30
"""Values that a message names; a library may have thousands of documents."""


class ScopeError(ValueError):
    """A search was narrowed to something that is not there; the message names what is."""


@dataclass(frozen=True)
class Scope:
    """What a passage must be of: one of the values in each field; an empty field leaves it open."""

    documents: tuple[str, ...] = ()
    """Ids: `zh/interview-notes.md`."""
    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str):
                raise TypeError(f"{field.name} takes several values, got {value!r}. Write {field.name}=({value!r},).")

    @property
    def words(self) -> str:
        """What it is narrowed to, to be read: `topic optimization or regularization, language zh`; empty where nothing is."""
        parts = (
            ("guide", self.documents),
            ("topic", self.topics),
            ("language", self.languages),
            ("level", self.levels),
        )
        return ", ".join(f"{name} {' or '.join(values)}" for name, values in parts if values)

    def admits(self, one: Chunk | Document) -> bool:
        """Whether a passage, or a guide and so all of its passages, is within."""
        document_id = one.document_id if isinstance(one, Chunk) else one.id
        wanted = (self.documents, self.topics, self.languages, self.levels)
        found = (document_id, one.topic, one.language, one.level)
        return all(not values or value in values for values, value in zip(wanted, found, strict=True))

    def check(self, documents: Sequence[Document]) -> None:
        """Raise ScopeError for all values that no document has, with the near ones and those that there are."""
        problems: list[str] = []
        for kind, values in (
            ("id", self.documents),
            ("topic", self.topics),
            ("language", self.languages),
            ("level", self.levels),
        ):
            known = {getattr(document, kind) for document in documents} if values else set()
            problems.extend(_unknown(kind, value, known) for value in values if value not in known)
        if problems:
            raise ScopeError(" ".join(problems))


EVERYWHERE = Scope()


def _unknown(kind: str, value: str, known: Collection[str]) -> str:
    names = {name.casefold(): name for name in sorted(filter(None, known))}
    near = [names[name] for name in get_close_matches(value.casefold(), names, n=3)]
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    listed = ", ".join(list(names.values())[:_LISTED]) or "none"
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"No {'document' if kind == 'id' else kind} {value!r} in the guides.{hint} There are: {listed}{more}."

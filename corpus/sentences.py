"""Markdown to sentences that can be quoted one by one; code, formulas and tables are sentences of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import sentencex

from corpus.documents import language_of

SentenceKind = Literal["prose", "item", "code", "formula", "table"]

_MARK = "\u0001{}\u0001"
_SHIELDED = re.compile(
    r"`[^`\n]+`|\$[^$\n]+\$|!?\[[^\]\n]*\]\([^)\s]*\)|https?://\S+|\b(?:vs|approx|Eq|Fig|cf|resp|w\.r\.t)\."
)


@dataclass(frozen=True)
class Sentence:
    """A quotable piece of a passage."""

    text: str
    """As in the passage, but for line breaks inside prose."""
    kind: SentenceKind = "prose"


def split_sentences(markdown: str) -> list[Sentence]:
    """The sentences of a passage, in order. Headings and rules are left out; code, formulas and tables stay whole."""
    sentences: list[Sentence] = []
    for kind, text in _blocks(markdown):
        if kind in {"code", "formula", "table"}:
            sentences.append(Sentence(text, kind))
        else:
            sentences.extend(Sentence(part, kind) for part in split_prose(text))
    return sentences


def split_prose(text: str) -> list[str]:
    """The sentences of plain text, each stripped. Formulas, code spans and links are never cut."""
    kept: list[str] = []

    def shield(match: re.Match[str]) -> str:
        kept.append(match[0])
        return _MARK.format(len(kept) - 1)

    shielded = _SHIELDED.sub(shield, " ".join(text.split()))
    parts = [part.strip() for part in sentencex.segment(language_of(text), shielded)]
    restored = [re.sub("\u0001(\\d+)\u0001", lambda match: kept[int(match[1])], part) for part in parts]
    return [part for part in restored if re.search(r"\w", part)]


def _blocks(markdown: str) -> list[tuple[SentenceKind, str]]:
    blocks: list[tuple[SentenceKind, str]] = []
    kind: SentenceKind | None = None
    lines: list[str] = []
    closing = ""

    def flush() -> None:
        nonlocal kind, lines
        if kind and any(line.strip() for line in lines):
            blocks.append((kind, "\n".join(lines)))
        kind, lines = None, []

    for line in markdown.split("\n"):
        text = line.strip()
        if closing:
            lines.append(line)
            if text.endswith(closing) if closing == "$$" else text.startswith(closing):
                closing = ""
                flush()
            continue
        fence = re.match(r"```+|~~~+", text)
        item = re.match(r"(?:[-*+]|\d+[.)])\s+(.*)", text)
        if fence or text.startswith("$$"):
            flush()
            kind, lines = ("code" if fence else "formula"), [line]
            closing = fence[0] if fence else "$$"
            if closing == "$$" and len(text) > 4 and text.endswith("$$"):
                closing = ""
                flush()
        elif not text or re.match(r"#{1,6} |[-*_]{3,}$", text):
            flush()
        elif text.startswith("|"):
            if kind != "table":
                flush()
                kind = "table"
            lines.append(line)
        elif item:
            flush()
            kind, lines = "item", [item[1]]
        else:
            if kind == "table":
                flush()
            kind = kind or "prose"
            lines.append(text.removeprefix(">").strip())
    flush()
    return blocks

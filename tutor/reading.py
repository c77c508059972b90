"""A guide as it is read: its headings, the part of a long one that is open, and the passage that a link names."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from corpus.chunks import Chunk, anchor, strip_markup, strip_ordinal
from corpus.documents import Document, question_lines
from corpus.sentences import split_sentences
from index.embedder import Embedder
from index.hits import Hit
from index.words import words

PART_CHARACTERS = 60_000
"""A longer guide is shown in parts of about this size: a browser sets a part in a moment, a book not."""
_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*$")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_OPENING = 0.3
"""What it is worth that a sentence opens its section, beside a likeness and a share of words of at most 1 each."""
_QUOTED_KINDS = frozenset({"prose", "item"})


@dataclass(frozen=True)
class Heading:
    """A heading of a guide."""

    line: int
    """1-based."""
    level: int
    """1 to 6."""
    text: str
    """Without ordinal and markup, as passages carry it."""

    @property
    def anchor(self) -> str:
        """What links to it end in."""
        return anchor(self.text)


@dataclass(frozen=True)
class Place:
    """What a link into a guide names: a section, a line, and words that stand there. What is empty is left open."""

    section: str = ""
    """The anchor of a heading."""
    line: int = 0
    """1-based; of two sections with one anchor it says which."""
    quote: str = ""


@dataclass(frozen=True)
class OpenGuide:
    """A guide opened at a place."""

    document: Document
    headings: tuple[Heading, ...]
    starts: tuple[int, ...]
    """The line at which each part begins."""
    line: int
    """Of the heading or the passage that was asked for; 1 where nothing was."""
    end: int
    """The last line of that passage."""
    quote: str
    is_lost: bool
    """Whether the guide has no such section any more."""

    @property
    def part(self) -> int:
        """The number of the open part, from 0."""
        return bisect_right(self.starts, self.line) - 1

    @property
    def lines(self) -> range:
        """The lines of the open part, 1-based."""
        after = [*self.starts, self.document.text.count("\n") + 2]
        return range(after[self.part], after[self.part + 1])


def open_guide(document: Document, chunks: Sequence[Chunk], place: Place) -> OpenGuide:
    """Find a place in a guide; `chunks` are its passages. A section that is gone opens the guide at its top and says so."""
    headings = guide_headings(document)
    found = _line_of(place, headings, chunks)
    line = found or 1
    # The passage that begins there: a place may be its heading or stand within it.
    around = next((chunk for chunk in chunks if chunk.start_line <= line <= chunk.end_line), None)
    below = next((heading.line - 1 for heading in headings if heading.line > line), document.text.count("\n") + 1)
    return OpenGuide(
        document,
        headings,
        part_starts(document.text, headings),
        line,
        max(below, around.end_line if around else 0),
        place.quote,
        is_lost=bool(place.section or place.line) and found is None,
    )


def _line_of(place: Place, headings: Sequence[Heading], chunks: Sequence[Chunk]) -> int | None:
    named = [heading.line for heading in headings if heading.anchor == place.section]
    # Entries of long lists are sections that have no heading.
    named += [chunk.start_line for chunk in chunks if place.section and anchor(chunk.heading) == place.section]
    if not place.section:
        last = chunks[-1].end_line if chunks else 0
        return place.line if 0 < place.line <= last else None
    if place.line and named:
        within = [chunk for chunk in chunks if chunk.start_line <= place.line <= chunk.end_line]
        if any(anchor(heading) == place.section for chunk in within for heading in chunk.heading_path):
            return place.line
        return min(named, key=lambda line: abs(line - place.line))
    return named[0] if named else None


def guide_headings(document: Document) -> tuple[Heading, ...]:
    """The headings of a guide in order, those of a plain text that has lost its marks among them."""
    lost = question_lines(document.text)
    headings, fence = [], ""
    for number, line in enumerate(document.text.split("\n"), start=1):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif number in lost:
            headings.append(Heading(number, 2, strip_markup(strip_ordinal(lost[number]))))
        elif not fence and not lost and (match := _HEADING.match(line)):
            headings.append(Heading(number, len(match[1]), strip_markup(strip_ordinal(match[2]))))
    return tuple(heading for heading in headings if heading.text)


def part_starts(text: str, headings: Sequence[Heading]) -> tuple[int, ...]:
    """The lines at which the parts of a guide begin: at headings; at a blank line where there is none for long."""
    if len(text) <= PART_CHARACTERS:
        return (1,)
    at_heading = {heading.line for heading in headings}
    starts, size, fence = [1], 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        is_long = size > PART_CHARACTERS / 2 and number in at_heading
        if is_long or (size > PART_CHARACTERS and not line.strip() and not fence):
            starts.append(number)
            size = 0
        size += len(line) + 1
    return tuple(starts)


def best_sentences(question: str, hits: Sequence[Hit], embedder: Embedder, idf: Callable[[str], float]) -> list[str]:
    """For each hit the sentence of its passage that says most about the question; empty where it holds none."""
    sentences = [[item.text for item in split_sentences(hit.chunk.text) if item.kind in _QUOTED_KINDS] for hit in hits]
    flat = [text for found in sentences for text in found]
    if not flat:
        return [""] * len(hits)
    terms = set(words(question))
    total = sum(map(idf, terms)) or 1.0
    likeness = embedder.embed_passages(flat) @ embedder.embed_queries([question])[0]
    named = np.array([sum(map(idf, terms & set(words(text)))) / total for text in flat])
    # Guides open a section with its answer.
    opens = np.array([place == 0 for found in sentences for place in range(len(found))])
    worth = iter((named + likeness + _OPENING * opens).tolist())
    return [max(((next(worth), text) for text in found), default=(0.0, ""))[1] for found in sentences]

"""What a reader of a file format hands on: `Reading`, or `ConversionError` where there is nothing to hand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Reading:
    """A file of some format as Markdown."""

    pages: tuple[str, ...]
    """Markdown of each page or slide in order; the whole text as the only one where the format has no pages."""
    title: str = ""
    """As the file itself gives it; may be empty."""
    is_paged: bool = False
    has_html: bool = False
    """Whether it was typed as Markdown, so that tags in it are markup and not words."""

    @property
    def text(self) -> str:
        """The pages one below the other."""
        return "\n".join(self.pages)

    @property
    def page_starts(self) -> tuple[int, ...]:
        """1-based line of `text` on which each page begins; empty where the format has no pages."""
        heights = (page.count("\n") + 1 for page in self.pages[:-1])
        return tuple(accumulate(heights, initial=1)) if self.is_paged else ()


class ConversionError(ValueError):
    """A file that cannot be turned into text; the message says why and what to do."""


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table with its first row as the head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join((lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:])) if rows else ""

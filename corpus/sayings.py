"""Statements and what learners say of them: right in other words, by half, wrong, beside the point. A plain text format.

Beside a bank `NAME.md` a file `NAME.said.txt` holds what candidates say of its key points: further phrasings and known mistakes for the
grader. The grader's words are learned from such files too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from corpus.documents import Problem, UnreadableFileError, decode, read_bytes, reason

SAID_SUFFIX = ".said.txt"
_LINE = re.compile(r"(Q|S|[+*~=0-]):\s*(.*)")
_EXPECTED = "`# question id`, `Q:`, `S:`, and below an S lines with `+:`, `*:`, `~:`, `-:`, `=:` or `0:`"


@dataclass(frozen=True)
class Sayings:
    """A statement and what was said of it."""

    statement: str
    question: str = ""
    """The question that it belongs to, in words."""
    question_id: str = ""
    said: tuple[str, ...] = ()
    """What says all of it in a learner's words (`+`)."""
    stated: tuple[str, ...] = ()
    """What says all of it in whole neat sentences (`*`)."""
    half: tuple[str, ...] = ()
    """What says half of it, or says it vaguely (`~`)."""
    mistakes: tuple[tuple[str, ...], ...] = ()
    """What contradicts it (`-`); each with the same mistake in other words (`=`), where somebody wrote them down."""
    beside: tuple[str, ...] = ()
    """What is true and near, and does not say it (`0`)."""
    path: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def right(self) -> tuple[str, ...]:
        """The statement and everything that says all of it."""
        return (self.statement, *self.said, *self.stated)

    @property
    def wrong(self) -> tuple[str, ...]:
        """Everything that contradicts it."""
        return tuple(text for mistake in self.mistakes for text in mistake)


def parse_sayings(text: str, path: str) -> tuple[list[Sayings], list[Problem]]:
    """Read lines of the format; one that cannot be read is reported and left out."""
    found: list[Sayings] = []
    problems: list[Problem] = []
    question = question_id = ""
    is_open = False
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        match = _LINE.fullmatch(line)
        if line.startswith("# "):
            question, question_id, is_open = "", line[2:].strip(), False
        elif match and match[1] == "Q" and match[2]:
            question, is_open = match[2], False
        elif match and match[1] == "S" and match[2]:
            found.append(Sayings(match[2], question, question_id, path=path, line=number))
            is_open = True
        elif match and match[2] and is_open and (match[1] != "=" or found[-1].mistakes):
            found[-1] = _with_line(found[-1], match[1], match[2])
        elif line:
            problems.append(Problem(path, number, f"the line {line[:40]!r} has no place here. Expected {_EXPECTED}."))
    return found, problems


def _with_line(item: Sayings, kind: str, text: str) -> Sayings:
    match kind:
        case "+":
            return replace(item, said=(*item.said, text))
        case "*":
            return replace(item, stated=(*item.stated, text))
        case "~":
            return replace(item, half=(*item.half, text))
        case "-":
            return replace(item, mistakes=(*item.mistakes, (text,)))
        case "=":
            return replace(item, mistakes=(*item.mistakes[:-1], (*item.mistakes[-1], text)))
        case _:
            return replace(item, beside=(*item.beside, text))


def read_sayings(files: Iterable[Path]) -> tuple[list[Sayings], list[Problem]]:
    """Read the files, in their order. One that cannot be read is reported."""
    found: list[Sayings] = []
    problems: list[Problem] = []
    for file in files:
        try:
            items, mistakes = parse_sayings(decode(read_bytes(file, suffixes=(".txt",))), file.name)
        except (UnreadableFileError, OSError) as error:
            problems.append(Problem(file.name, 0, reason(error)))
            continue
        found += items
        problems += mistakes
    return found, problems


def sayings_of(bank: Path) -> Path:
    """The file beside a bank that holds what candidates say of its key points."""
    return bank.with_name(bank.stem + SAID_SUFFIX)


def by_point(sayings: Sequence[Sayings]) -> dict[tuple[str, str], Sayings]:
    """The sayings of each key point, by question id and the point's text."""
    return {(item.question_id, item.statement): item for item in sayings}

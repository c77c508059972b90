"""What says the same in other words, and what says the opposite: two lists written by hand, read into stems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from index.words import words

PARAPHRASES = Path(__file__).parent / "paraphrases.txt"
OPPOSITES = Path(__file__).parent / "opposites.txt"
_SILENT = frozenset(words("a an the to of be is are it its your you", stop_words=True))
"""Words that an expression may have or leave out."""

Group = int
"""The number of a group of expressions that say the same."""
Expression = tuple[str, ...]
"""The stems of a word or of several."""


@dataclass(frozen=True)
class Paraphrases:
    """Groups of expressions; the groups are numbered, and an opposite pair has two."""

    groups: Mapping[Expression, frozenset[Group]]
    """The groups that an expression stands in."""
    opposites: Mapping[Group, frozenset[Group]]
    """The groups that say the opposite of one."""

    @cached_property
    def longest(self) -> int:
        """Stems of the longest expression."""
        return max(map(len, self.groups), default=0)

    def found(self, stems: Sequence[str]) -> dict[Group, frozenset[int]]:
        """The groups that a text speaks of, and the places of the stems that do; `stems` are all of its words, in order."""
        kept = [(place, stem) for place, stem in enumerate(stems) if stem not in _SILENT]
        places: dict[Group, set[int]] = {}
        for start in range(len(kept)):
            for end in range(start + 1, min(start + self.longest, len(kept)) + 1):
                for group in self.groups.get(tuple(stem for _, stem in kept[start:end]), ()):
                    places.setdefault(group, set()).update(place for place, _ in kept[start:end])
        return {group: frozenset(where) for group, where in places.items()}


def read_paraphrases(same: Iterable[str], opposite: Iterable[str]) -> Paraphrases:
    """Read lines `one | another | a third`, and lines `one | another <> opposite | another opposite`; `#` begins a comment."""
    groups: dict[Expression, set[int]] = {}
    opposites: dict[int, frozenset[int]] = {}
    count = 0

    def add(expressions: str) -> int:
        nonlocal count
        for text in expressions.split("|"):
            if stems := _expression(text):
                groups.setdefault(stems, set()).add(count)
        count += 1
        return count - 1

    for line in _lines(same):
        add(line)
    for line in _lines(opposite):
        one, other = (add(side) for side in line.split("<>"))
        opposites[one], opposites[other] = frozenset({other}), frozenset({one})
    return Paraphrases({stems: frozenset(numbers) for stems, numbers in groups.items()}, opposites)


@cache
def shipped_paraphrases() -> Paraphrases:
    """The lists that come with the tutor; read once."""
    return read_paraphrases(
        PARAPHRASES.read_text(encoding="utf-8").splitlines(), OPPOSITES.read_text(encoding="utf-8").splitlines()
    )


def expression_groups() -> list[list[str]]:
    """The expressions of each line of the shipped paraphrases, as they are written."""
    return [
        [text.strip() for text in line.split("|") if text.strip()]
        for line in _lines(PARAPHRASES.read_text(encoding="utf-8").splitlines())
    ]


def _lines(lines: Iterable[str]) -> Iterable[str]:
    return (line for line in map(str.strip, lines) if line and not line.startswith("#"))


def _expression(text: str) -> Expression:
    return tuple(stem for stem in words(text, stop_words=True) if stem not in _SILENT)

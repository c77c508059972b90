"""Quotes found in the text that they are said to come from, verbatim."""

from __future__ import annotations

import re

from index.words import words

_PLAIN = str.maketrans("’‘“”", "''\"\"")
"""Each sign for one, so that places in the plain text are places in the text."""
_AROUND = " \t\n\"'“”‘’「」`.,;:…"
_QUOTED = re.compile(r"“([^”]+)”|\"([^\"]+)\"|「([^」]+)」|`([^`]+)`|‘([^’]+)’|(?<!\w)'([^']+)'(?!\w)")


def find_quote(quote: str, text: str) -> str:
    """The words of the text that a quote means, as they stand there; empty where they do not.

    Case, white space, and the form of quotation marks do not matter. A quote without a word of content means nothing.
    """
    parts = quote.translate(_PLAIN).strip(_AROUND).split()
    if not parts or not words(quote):
        return ""
    start, end = (r"(?<!\w)" if parts[0][0].isascii() else ""), (r"(?!\w)" if parts[-1][-1].isascii() else "")
    found = re.search(start + r"\s+".join(map(re.escape, parts)) + end, text.translate(_PLAIN), re.IGNORECASE)
    return text[found.start() : found.end()] if found else ""


def quoted_parts(text: str) -> list[str]:
    """What stands between quotation marks."""
    return [next(filter(None, groups)).strip() for groups in _QUOTED.findall(text)]

"""Formulas of Word and PowerPoint (OMML, ECMA-376 part 1, 22.1) to LaTeX. Libraries for it are unkept or ship far more than this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

_ACCENTS = {
    "\u0302": "hat",
    "\u0303": "tilde",
    "\u0304": "bar",
    "\u0305": "overline",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u20d7": "vec",
}
_OPERATORS = {"∑": r"\sum", "∏": r"\prod", "∫": r"\int", "∮": r"\oint", "∬": r"\iint", "⋃": r"\bigcup", "⋂": r"\bigcap"}
_FUNCTIONS = frozenset(
    "arg cos cosh cot deg det dim exp gcd inf ker lim ln log max min Pr sec sin sinh sup tan tanh".split()
)
_BRACES = {
    "{": r"\{",
    "}": r"\}",
    "|": "|",
    "‖": r"\|",
    "⌊": r"\lfloor",
    "⌋": r"\rfloor",
    "⌈": r"\lceil",
    "⌉": r"\rceil",
}
_PROPERTIES = "Pr"


def latex(element: _Element) -> str:
    """LaTeX of an `m:oMath` or of any part of one. What is not known is written as its parts, one after the other."""
    name = _name(element)
    write = _WRITERS.get(name)
    if write is not None:
        return write(element)
    if name.endswith(_PROPERTIES):
        return ""
    return "".join(latex(child) for child in element)


def _name(element: _Element) -> str:
    # Comments and processing instructions have no name.
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def _part(element: _Element, name: str) -> str:
    part = element.find(MATH + name)
    return "" if part is None else latex(part)


def _property(element: _Element, properties: str, name: str, default: str) -> str:
    """The value of a property; `default` where it is not given. Given without a value it is the empty string."""
    found = element.find(f"{MATH}{properties}/{MATH}{name}")
    return default if found is None else str(found.get(f"{MATH}val", ""))


def _run(element: _Element) -> str:
    text = "".join(part.text or "" for part in element.iter(f"{MATH}t"))
    is_plain = _property(element, "rPr", "sty", "") == "p" or element.find(f"{MATH}rPr/{MATH}nor") is not None
    if text.strip() in _FUNCTIONS:
        return f"\\{text.strip()} "
    if is_plain and len(text.strip()) > 1 and text.strip().isalpha():
        return f"\\mathrm{{{text.strip()}}}"
    for sign in "%#&":
        text = text.replace(sign, f"\\{sign}")
    return text


def _base(text: str) -> str:
    return text if len(text) == 1 or (text.startswith("\\") and text[1:].isalpha()) else f"{{{text}}}"


def _scripts(element: _Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    return f"{_base(_part(element, 'e'))}{f'_{{{below}}}' if below else ''}{f'^{{{above}}}' if above else ''}"


def _prescripts(element: _Element) -> str:
    return f"{{}}_{{{_part(element, 'sub')}}}^{{{_part(element, 'sup')}}}{_part(element, 'e')}"


def _fraction(element: _Element) -> str:
    command = r"\binom" if _property(element, "fPr", "type", "bar") == "noBar" else r"\frac"
    return f"{command}{{{_part(element, 'num')}}}{{{_part(element, 'den')}}}"


def _radical(element: _Element) -> str:
    degree = _part(element, "deg")
    return f"\\sqrt{f'[{degree}]' if degree else ''}{{{_part(element, 'e')}}}"


def _sum(element: _Element) -> str:
    # The standard's default sign is the integral.
    sign = _property(element, "naryPr", "chr", "∫")
    below, above = _part(element, "sub"), _part(element, "sup")
    limits = f"{f'_{{{below}}}' if below else ''}{f'^{{{above}}}' if above else ''}"
    return f"{_OPERATORS.get(sign, sign)}{limits} {_part(element, 'e')}"


def _delimited(element: _Element) -> str:
    opening = _property(element, "dPr", "begChr", "(")
    closing = _property(element, "dPr", "endChr", ")")
    separator = _property(element, "dPr", "sepChr", "|")
    inner = separator.join(latex(part) for part in element.findall(f"{MATH}e"))
    # A side may be empty; LaTeX writes that as a dot.
    return f"\\left{_BRACES.get(opening, opening) or '.'} {inner} \\right{_BRACES.get(closing, closing) or '.'}"


def _accent(element: _Element) -> str:
    sign = _property(element, "accPr", "chr", "\u0302")
    return f"\\{_ACCENTS.get(sign, 'hat')}{{{_part(element, 'e')}}}"


def _bar(element: _Element) -> str:
    command = "overline" if _property(element, "barPr", "pos", "bot") == "top" else "underline"
    return f"\\{command}{{{_part(element, 'e')}}}"


def _limit(command: str) -> Callable[[_Element], str]:
    def write(element: _Element) -> str:
        base = _part(element, "e")
        if command == "_" and base.strip().removeprefix("\\") in _FUNCTIONS:
            return f"{base.strip()}_{{{_part(element, 'lim')}}} "
        return f"\\{'underset' if command == '_' else 'overset'}{{{_part(element, 'lim')}}}{{{base}}}"

    return write


def _function(element: _Element) -> str:
    return f"{_part(element, 'fName')}{_part(element, 'e')}"


def _rows(environment: str, row: str) -> Callable[[_Element], str]:
    def write(element: _Element) -> str:
        rows = [" & ".join(latex(cell) for cell in line.findall(f"{MATH}e")) for line in element.findall(MATH + row)]
        inner = r" \\ ".join(rows)
        return f"\\begin{{{environment}}} {inner} \\end{{{environment}}}"

    return write


def _equations(element: _Element) -> str:
    lines = r" \\ ".join(latex(line) for line in element.findall(f"{MATH}e"))
    return f"\\begin{{aligned}} {lines} \\end{{aligned}}"


_WRITERS: dict[str, Callable[[_Element], str]] = {
    "r": _run,
    "sSub": _scripts,
    "sSup": _scripts,
    "sSubSup": _scripts,
    "sPre": _prescripts,
    "f": _fraction,
    "rad": _radical,
    "nary": _sum,
    "d": _delimited,
    "acc": _accent,
    "bar": _bar,
    "limLow": _limit("_"),
    "limUpp": _limit("^"),
    "func": _function,
    "m": _rows("matrix", "mr"),
    "eqArr": _equations,
}

"""Formulas in a text, in LaTeX or as typed, read without ever running the text, and compared up to rewriting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from corpus.questions import KeyPoint

if TYPE_CHECKING:
    from sympy import Expr

FormulaVerdict = Literal["right", "sign", "factor"]
_MAX_CHARACTERS, _MAX_DEPTH, _MAX_FORMULAS, _MAX_SYMBOLS = 240, 24, 60, 10
_MAX_EXPONENT, _MAX_BASE = 64, 10**9
"""Of plain numbers: 9^9^9 would take all memory."""

_FORGOTTEN = {"2", "0.5", "3", "0.3333", "4", "0.25", "6", "0.1667", "8", "0.125", "-2", "-0.5"}
"""Factors that one forgets. Another one means that the formula is about something else."""

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi",
    "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_SAME = {"varepsilon": "epsilon", "eps": "epsilon", "varphi": "phi", "lr": "eta", "std": "sigma"}
_FUNCTIONS = {"sqrt", "log", "ln", "exp", "min", "max", "log2"}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_REWRITES = (
    (re.compile(r"\\(?:left|right|big|Big|bigl|bigr|,|;|!|:)(?![A-Za-z])"), " "),
    (re.compile(r"\\(?:text|mathrm|operatorname|mathbf|mathit|hat|bar|tilde|vec)\s*\{\s*([A-Za-z]+)\s*\}"), r" \1 "),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\(?:cdot|times|ast)(?![A-Za-z])|[·×⋅∙]|\*(?!\*)"), "*"),
    (re.compile(r"(?<=\d)\s*x\s*(?=\d)"), "*"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"÷"), "/"),
    (re.compile(r"√"), " sqrt "),
    (re.compile(r"½"), " (1/2) "),
    (re.compile(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)"), r"^\1 "),
    (re.compile(r"\\(?:approx|propto)|≈|≡"), "="),
)
_TOKEN = re.compile(
    r"(?P<number>\d+(?:,\d{3})+(?!\d)|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,2}(?!\w))?)|(?P<name>\\?[A-Za-z]+\d*(?:_(?:\{[A-Za-z0-9+\-,]+\}|[A-Za-z0-9]+))*'?|[α-ωϵϕ](?:_(?:\{[A-Za-z0-9]+\}|[A-Za-z0-9]+))?)"
    r"|(?P<sign>[-+*/^=()\[\]{}|])|(?P<space>[\s$]+)|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class WrittenFormula:
    """A formula, and the learner's or author's way of writing it."""

    text: str
    expression: Expr


@dataclass(frozen=True)
class JudgedFormula:
    """What became of the formula that a key point holds."""

    verdict: FormulaVerdict
    evidence: str
    message: str


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _UnreadableError(ValueError):
    pass


def judge_formulas(points: Sequence[KeyPoint], attempt: str) -> tuple[JudgedFormula | None, ...]:
    """For each key point what became of its formula; None where it has none, or the attempt has nothing to compare with it.

    Equal means equal up to rewriting, with the variables named as in the key point. A formula that two points share judges neither.
    """
    wanted = [[written_formulas(text) for text in (point.text, *point.phrasings)] for point in points]
    stated = written_formulas(attempt)
    judged: list[JudgedFormula | None] = []
    for index, wordings in enumerate(wanted):
        rest = [one for other, more in enumerate(wanted) if other != index for wording in more for one in wording]
        own = [wording for wording in wordings if wording and not any(_is_among(one, rest) for one in wording)]
        judged.append(_judge(own, [one for one in stated if not _is_among(one, rest)]))
    return tuple(judged)


def written_formulas(text: str) -> tuple[WrittenFormula, ...]:
    """The formulas of a text that can be read: with a variable and something calculated; each side of an equation by itself."""
    plain = text
    for pattern, replacement in _REWRITES:
        plain = pattern.sub(replacement, plain)
    plain = plain.translate(_SUPERSCRIPTS)
    found: dict[str, WrittenFormula] = {}
    for run in _runs(_tokens(plain)):
        for side in _sides(run):
            if len(found) >= _MAX_FORMULAS or not side or side[-1].end - side[0].start > _MAX_CHARACTERS:
                continue
            expression = _read(tuple((token.kind, token.text) for token in side))
            if expression is not None and expression.free_symbols and expression.count_ops() >= 2:
                written = " ".join(plain[side[0].start : side[-1].end].split())
                found.setdefault(written, WrittenFormula(written, expression))
    return tuple(found.values())


def _is_among(formula: WrittenFormula, others: Sequence[WrittenFormula]) -> bool:
    return any(_ratio(formula.expression, other.expression) == "1" for other in others)


def _judge(wordings: Sequence[Sequence[WrittenFormula]], stated: Sequence[WrittenFormula]) -> JudgedFormula | None:
    for wording in wordings:
        # Every formula of one wording: half of a comparison is not the comparison.
        if all(_is_among(formula, stated) for formula in wording):
            evidence = next(one.text for one in stated if _is_among(one, wording))
            return JudgedFormula("right", evidence, "The formula is right.")
    for formula in (formula for wording in wordings for formula in wording):
        for one in stated:
            ratio = _ratio(one.expression, formula.expression)
            if ratio == "-1" or (ratio is None and _one_sign_differs(one.expression, formula.expression)):
                return JudgedFormula("sign", one.text, f"A sign is wrong in {one.text}.")
            if ratio in _FORGOTTEN and len(formula.expression.free_symbols) >= 2:
                return JudgedFormula("factor", one.text, f"{one.text} is off by a constant factor of {ratio}.")
    return None


def _tokens(text: str) -> list[_Token]:
    return [_Token(match.lastgroup or "", match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]


def _runs(tokens: Sequence[_Token]) -> list[list[_Token]]:
    """Stretches of a text that may be formulas: prose and punctuation part them."""
    runs: list[list[_Token]] = [[]]
    solid = [token for token in tokens if token.kind != "space"]
    for index, token in enumerate(solid):
        before = solid[index - 1] if index else None
        behind = solid[index + 1] if index + 1 < len(solid) else None
        if token.kind == "other" or (token.kind == "name" and not _is_variable(token, before, behind)):
            runs.append([])
        else:
            runs[-1].append(token)
    return [_trimmed(run) for run in runs if len(run) >= 3]


def _is_variable(token: _Token, before: _Token | None, behind: _Token | None) -> bool:
    name = token.text.lstrip("\\")
    if token.text.startswith("\\") or name in _GREEK or name.lower() in {*_GREEK.values(), *_SAME, *_FUNCTIONS}:
        return True
    # Between long words a slash means "or", or a unit.
    joining = "+-*/^=" if len(name) == 1 else "+-*^="
    joined = (before is not None and before.kind == "sign" and before.text in joining + "([{") or (
        behind is not None and behind.kind == "sign" and behind.text in joining + ")]}"
    )
    # A hyphen without spaces joins words: "fan-in" is no difference.
    hyphen = any(
        side is not None and side.text == "-" and (side.end == token.start or side.start == token.end) and len(name) > 2
        for side in (before, behind)
    )
    if "_" in name or any(letter.isdigit() for letter in name):
        return True
    if len(name) == 1:
        return joined or name not in "aIA"
    if before is not None and before.kind == "number" and before.end == token.start:
        return len(name) <= 3
    return joined and not hyphen


def _trimmed(run: list[_Token]) -> list[_Token]:
    """Without operators at its ends, and without brackets that belong to the sentence."""
    while run and run[-1].text in set("+-*/^=([{"):
        run = run[:-1]
    while run and run[0].text in set("+*/^=)]}"):
        run = run[1:]
    opened = sum(token.text in set("([{") for token in run) - sum(token.text in set(")]}") for token in run)
    if opened > 0 and run[0].text in set("([{"):
        return _trimmed(run[1:])
    if opened < 0 and run[-1].text in set(")]}"):
        return _trimmed(run[:-1])
    return run


def _sides(run: Sequence[_Token]) -> list[list[_Token]]:
    sides: list[list[_Token]] = [[]]
    for token in run:
        if token.text == "=":
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


@lru_cache(maxsize=2048)
def _read(tokens: tuple[tuple[str, str], ...]) -> Expr | None:
    try:
        return _Parser(tokens).whole()
    except (_UnreadableError, ArithmeticError, TypeError, ValueError, RecursionError):
        return None


class _Parser:
    """Recursive descent over sums, products, powers, roots, logarithms and brackets; what it does not know it refuses."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Expr:
        expression = self._sum()
        if self._at != len(self._tokens):
            raise _UnreadableError
        if len(expression.free_symbols) > _MAX_SYMBOLS or expression.is_finite is False:
            raise _UnreadableError
        return expression

    def _next(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, *texts: str) -> bool:
        if self._next() in texts and self._next():
            self._at += 1
            return True
        return False

    def _sum(self) -> Expr:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _UnreadableError
        total = self._product()
        while self._next() in {"+", "-"}:
            is_plus = self._take("+")
            if not is_plus:
                self._take("-")
            part = self._product()
            total = total + part if is_plus else total - part
        self._depth -= 1
        return total

    def _product(self) -> Expr:
        result = self._signed()
        while self._at < len(self._tokens):
            if self._take("*"):
                result = result * self._signed()
            elif self._take("/"):
                result = result / self._signed()
            elif self._next() in {"(", "[", "{"} or self._tokens[self._at][0] in {"name", "number"}:
                # Written side by side.
                result = result * self._power()
            else:
                break
        return result

    def _signed(self) -> Expr:
        is_negative = False
        while self._next() in {"+", "-"}:
            is_negative ^= self._next() == "-"
            self._at += 1
        value = self._power()
        return -value if is_negative else value

    def _power(self) -> Expr:
        base = self._atom()
        if not self._take("^"):
            return base
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _UnreadableError
        exponent = self._signed()
        self._depth -= 1
        if base.is_number and exponent.is_number and (abs(exponent) > _MAX_EXPONENT or abs(base) > _MAX_BASE):
            raise _UnreadableError
        if exponent.is_number and abs(exponent) > _MAX_EXPONENT:
            raise _UnreadableError
        return base**exponent

    def _atom(self) -> Expr:
        import sympy

        if self._at >= len(self._tokens):
            raise _UnreadableError
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return sympy.Rational(text.replace(",", ""))
        if text in {"(", "[", "{"}:
            inner = self._sum()
            if not self._take({"(": ")", "[": "]", "{": "}"}[text]):
                raise _UnreadableError
            return inner
        if kind != "name":
            raise _UnreadableError
        name = text.lstrip("\\")
        if name == "frac":
            return self._argument() / self._argument()
        if name in _FUNCTIONS:
            return self._function(name)
        return sympy.Symbol(_variable(name), positive=True)

    def _argument(self) -> Expr:
        if self._next() not in {"(", "[", "{"}:
            raise _UnreadableError
        return self._atom()

    def _function(self, name: str) -> Expr:
        import sympy

        if name in {"min", "max"}:
            raise _UnreadableError
        exponent = self._power() if self._take("^") else None
        argument = self._argument() if self._next() in {"(", "[", "{"} else self._power()
        known = {"sqrt": sympy.sqrt, "log": sympy.log, "ln": sympy.log, "exp": sympy.exp}
        value: Expr = sympy.log(argument, 2) if name == "log2" else known[name](argument)
        return value if exponent is None else value**exponent


def _variable(name: str) -> str:
    name = _GREEK.get(name[0], name[0]) + name[1:]
    name = re.sub(r"[_{}]", "", name)
    return _SAME.get(name, name)


@lru_cache(maxsize=4096)
def _ratio(one: Expr, other: Expr) -> str | None:
    """The constant that `one` is of `other`: "1" where they are equal; None where there is none.

    Both are worked out at fixed points, exactly where they are rational and to 40 digits elsewhere. Two formulas of this size that agree there are
    the same; simplifying them could take for ever.
    """
    import sympy

    if one.free_symbols != other.free_symbols:
        return None
    symbols = sorted(one.free_symbols, key=str)
    ratios = []
    for start in (3, 7, 13):
        point = {symbol: sympy.Rational(start + 2 * index, 5 + 3 * index) for index, symbol in enumerate(symbols)}
        try:
            top, bottom = (sympy.N(expression.subs(point), 40) for expression in (one, other))
        except (ArithmeticError, TypeError, ValueError):
            return None
        if not (top.is_finite and bottom.is_finite and top.is_real and bottom.is_real) or not bottom:
            return None
        ratios.append(top / bottom)
    if any(abs(ratio - ratios[0]) > 1e-25 * abs(ratios[0]) for ratio in ratios):
        return None
    return f"{float(ratios[0]):.4g}" if ratios[0] else None


def _one_sign_differs(one: Expr, other: Expr) -> bool:
    """Whether turning the sign of one term of a sum, wherever it stands in the formula, makes them equal."""
    sums = [part for part in _parts(other) if part.is_Add]
    return any(
        _ratio(one, other.xreplace({total: total - 2 * term})) == "1" for total in sums[:8] for term in total.args[:8]
    )


def _parts(expression: Expr) -> list[Expr]:
    from sympy import preorder_traversal

    return list(preorder_traversal(expression))

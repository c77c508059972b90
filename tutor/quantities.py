"""The result of a calculation: numbers with units found in a learner's text and judged against the one that a question asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from corpus.questions import Quantity

if TYPE_CHECKING:
    from pint import Quantity as Measure
    from pint import UnitRegistry

ResultVerdict = Literal["right", "near", "wrong unit", "power of ten", "wrong", "contradicted", "none"]
MAX_CHARACTERS = 20_000
"""Of an attempt that are searched for numbers, from its end: the result comes last."""

# Decimal and binary prefixes apart: 1 GB is 1e9 bytes, 1 GiB is 2^30. Counted things have no dimension of their own, since learners
# call them by many names; a FLOP has, so that it is not taken for a FLOP/s.
_DEFINITIONS = """
nano- = 1e-9 = n-
micro- = 1e-6 = µ- = u-
milli- = 1e-3 = m-
kilo- = 1e3 = k- = K-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
peta- = 1e15 = P-
exa- = 1e18 = E-
kibi- = 1024 = Ki-
mebi- = 1048576 = Mi-
gibi- = 1073741824 = Gi-
tebi- = 1099511627776 = Ti-
bit = [data] = b
byte = 8 * bit = B
second = [time] = s = sec
minute = 60 * second = min
hour = 3600 * second = h = hr
day = 86400 * second
week = 604800 * second
year = 31536000 * second
FLOP = [operation] = flop
MAC = 2 * FLOP
FLOPS = FLOP / second = flops
hertz = 1 / second = Hz
dollar = [money] = USD
cent = 0.01 * dollar
meter = [length] = _ = metre
joule = [energy] = J
watt = joule / second = W
watt_hour = 3600 * joule = Wh
percent = 0.01
permille = 0.001
"""
_WORDS = {
    "%": "percent",
    "％": "percent",
    "percents": "percent",
    "pct": "percent",
    "‰": "permille",
    "FLOPs": "FLOP",
    "flops": "FLOP",
    "operations": "FLOP",
    "MACs": "MAC",
    "字节": "byte",
    "比特": "bit",
    "位": "bit",
    "秒": "second",
    "毫秒": "millisecond",
    "分钟": "minute",
    "小时": "hour",
    "天": "day",
    "美元": "dollar",
    "secs": "second",
    "mins": "minute",
    "hrs": "hour",
    "bucks": "dollar",
    "USD": "dollar",
}
_RATES = {"FLOPS", "flops/s", "flop/s"}
_SCALES = {
    "k": 1e3, "K": 1e3, "thousand": 1e3, "千": 1e3, "万": 1e4, "百万": 1e6, "million": 1e6, "mn": 1e6, "M": 1e6,
    "billion": 1e9, "bn": 1e9, "B": 1e9, "G": 1e9, "亿": 1e8, "trillion": 1e12, "T": 1e12, "万亿": 1e12,
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")

_LATEX = (
    (re.compile(r"\\(?:text|mathrm|textrm|operatorname|mathbf)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1/\2"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "×"),
    (re.compile(r"\\(?:approx|simeq)(?![A-Za-z])"), "≈"),
    (re.compile(r"\\(?:to|rightarrow|Rightarrow)(?![A-Za-z])"), "→"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\\[,;:! ]"), " "),
    (re.compile(r"(?:(?<=\s)|^)\*{2}(?=\d)|(?<=[\w%])\*{2}(?=[\s.,;:!?)]|$)|[$`]|(?<!\w)_|_(?!\w)"), " "),
)
_NUMBER = re.compile(
    r"""(?<![\w.^])(?P<sign>(?:(?<=[\s=≈(:→])|^)[-−+])?
    (?P<digits>\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    (?:(?P<exponent>[eE][-+]?\d+)(?!\w|\.\d))?
    (?:\s*(?:\^|\*\*)\s*[{(]?(?P<power>[-−+]?\d+)[)}]?|(?P<raised>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))?
    (?:\s*[x×·⋅*]\s*10(?:\s*(?:\^|\*\*)\s*[{(]?(?P<ten>[-−+]?\d+)[)}]?|(?P<raised_ten>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)))?
    (?:\s?(?P<scale>thousand|million|billion|trillion|mn|bn|万亿|百万|[万亿千]|[kKMBGT](?![A-Za-z]))(?![A-Za-z]))?
    (?:\s*[-–]?\s?(?P<unit>%|％|‰|percent\b|[A-Za-zµμ]+(?:-hours?\b|\s?/\s?[A-Za-z]+\b|\s+per\s+(?:second|byte|hour|day)\b)?|字节|比特|毫秒|小时|分钟|美元|[秒天位]))?
    """,
    re.VERBOSE,
)
_OPERATOR_AFTER = re.compile(r"\s*\)?\s*(?:[x×·⋅*/÷+^]|[-−]\s*[\d(]|\*\*)\s*[\d(√a-zA-Z]")
_OPERATOR_BEFORE = re.compile(r"(?:[x×·⋅*/÷+^(√]|\d\s*[-−])\s*$")
_RESULT_SIGN = re.compile(r"[=≈→≃~:：]\s*(?:about|roughly|approximately|约)?\s*$", re.IGNORECASE)
_RESULT_WORDS = re.compile(
    r"\b(?:so|thus|hence|therefore|total|totals|answer|result|altogether|gives?|giving|makes?|yields?|comes? to|i\.e\.|that is|equals?|need|needs|takes?|get)\b"
    r"[^.;!?]{0,45}$|(?:所以|因此|总共|一共|答案|结果|等于|约为|合计|大约|也就是)[^。；]{0,20}$",
    re.IGNORECASE,
)
_FINAL_WORDS = re.compile(
    r"\b(?:in total|total is|totals|the (?:final )?(?:answer|result)|altogether|finally|final(?: answer)?|actually|correction|wait|no,)[^.;!?]{0,45}$"
    r"|(?:总共|一共|答案|最终|结果是)[^。；]{0,20}$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|n't|never|rather than|instead of|unlike|without|compared (?:to|with)|versus|vs\.?)\s+(?:\w+\s+){0,2}$|(?:不是|而非|而不是)\s*$",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(r"\b(?:would|could|might|if)\b|如果|假如", re.IGNORECASE)
_ALTERNATIVE = re.compile(r"\s*(?:or|或者?|还是)\s*(?:maybe |perhaps |about )?$", re.IGNORECASE)
# What stands behind a number and is no unit of it.
_NO_UNIT = frozenset(
    "a an and as at about approximately are because but by each for from gives if in is it more of on or per roughly so than that the then this "
    "times to under when where which while with x".split()
)


@dataclass(frozen=True)
class StatedNumber:
    """A number in a text, with what stands around it."""

    text: str
    """The words, as the learner wrote them."""
    value: float
    digits: int
    """How many significant digits are given."""
    scale: float
    """What the digits are multiplied by, e.g. 1e6 in "4.2 million"."""
    unit: str
    """As pint knows it; empty where there is none or where a thing is counted."""
    noun: str
    """What is counted: the word behind a number that is no unit."""
    start: int
    is_operand: bool
    """Whether it is a part of a calculation, not what comes out."""
    is_result: bool
    """Whether it stands behind "=" or words such as "so" and "takes"."""
    is_final: bool
    """Whether it is called the total, the answer, or a correction."""
    is_denied: bool
    sentence: str


@dataclass(frozen=True)
class JudgedResult:
    """What became of the number that a question asks for."""

    verdict: ResultVerdict
    message: str
    """For the learner; does not give the result away."""
    stated: StatedNumber | None = None

    @property
    def evidence(self) -> str:
        """The learner's sentence that the verdict rests on."""
        return self.stated.sentence if self.stated else ""


def judge_result(asked: Quantity, attempt: str, prompt: str = "") -> JudgedResult:
    """Whether the attempt states the asked number, in whatever unit of its kind.

    Right is what lies within the tolerance or is the value rounded to the digits given: two or more, or all of a whole number below
    1,000. A number of the prompt counts only where it is stated as a result. An operand never counts.
    """
    numbers = [number for number in stated_numbers(attempt) if not number.is_operand]
    given = {number.value for number in stated_numbers(prompt)}
    claims = [number for number in numbers if not number.is_denied and _may_answer(number, asked)]
    named = [number for number in claims if number.unit or _counts(number, asked)]
    right = [
        number
        for number in claims
        if _deviation(number, asked) == "right"
        and (number in named or number.is_result or (number.value not in given and (not named or asked.unit == "1")))
    ]
    if not right:
        return _wrong(asked, claims, named, numbers)
    last = right[-1]
    others = [number for number in claims if number.start != last.start and _deviation(number, asked) == "wrong"]
    for other in others:
        later = other.start > last.start
        if later and other.is_final and _same_kind(other, last):
            return JudgedResult(
                "contradicted", f"You give {last.text} and later {other.text}. Say which one holds.", other
            )
        between = attempt[
            min(other.start, last.start) + len((last if later else other).text) : max(other.start, last.start)
        ]
        if _ALTERNATIVE.fullmatch(between) and _same_kind(other, last):
            return JudgedResult(
                "contradicted", f"You leave it open between {last.text} and {other.text}. Say which one holds.", other
            )
    return JudgedResult("right", "The result is right.", last)


def stated_numbers(text: str) -> list[StatedNumber]:
    """Every number of a text, in order."""
    text = text[-MAX_CHARACTERS:]
    plain, origins = _plain(text)
    numbers: list[StatedNumber] = []
    for match in _NUMBER.finditer(plain):
        if numbers and origins[match.start()] < numbers[-1].start + len(numbers[-1].text):
            # The lower half of a fraction.
            continue
        number = _number(match, plain, text, origins)
        if number is not None:
            numbers.append(number)
    return numbers


def _number(match: re.Match[str], plain: str, text: str, origins: list[int]) -> StatedNumber | None:
    digits = match["digits"].replace(",", "").replace("\u202f", "").replace("\u00a0", "")
    value = float(digits + (match["exponent"] or ""))
    exponent = _whole(match["power"] or match["raised"])
    ten = _whole(match["ten"] or match["raised_ten"])
    if max(abs(exponent or 0), abs(ten or 0)) > 400:
        return None
    scale = 10.0 ** (ten or 0) * float("1" + (match["exponent"] or ""))
    try:
        value = (value**exponent if exponent is not None else value) * 10.0 ** (ten or 0)
    except (OverflowError, ZeroDivisionError):
        return None
    word, counted = match["unit"] or "", match["scale"] or ""
    end = match.end()
    if counted:
        value, scale = value * _SCALES[counted], scale * _SCALES[counted]
    if word.lower() in _NO_UNIT:
        end, word = match.start("unit"), ""
    # A simple fraction is one number: 1/3.
    fraction = re.compile(r"\s*/\s*(\d+(?:\.\d+)?)(?!\s*[x×·*/^\d.])").match(plain, end)
    before = plain[max(0, match.start() - 60) : match.start()]
    is_operand = bool(_OPERATOR_BEFORE.search(before))
    significant = len(re.sub(r"\D", "", digits).lstrip("0")) or 1
    if fraction and not word and not is_operand and float(fraction[1]):
        value, end, significant = value / float(fraction[1]), fraction.end(), 15
    elif exponent is not None:
        significant = 15
    else:
        is_operand = is_operand or bool(_OPERATOR_AFTER.match(plain, match.start("unit") if word in {"x"} else end))
    if re.compile(r"\s*(?:[-–—]|to\b)\s*\d").match(plain, end) and not is_operand:
        # A range is no result.
        is_operand = True
    if not math.isfinite(value):
        return None
    if match["sign"] in {"-", "−"}:
        value = -value
    unit = _unit(word)
    if (
        not unit
        and counted == "B"
        and not match["scale"].islower()
        and word == ""
        and " " in plain[match.end("digits") : match.start("scale")]
    ):
        unit, value, scale = "byte", value / 1e9, scale / 1e9
    # Sentences end at a full stop that is no decimal point.
    first = max((found.end() for found in re.finditer(r"[.!?]\s|[。！？\n]", plain[: match.start()])), default=0)
    behind = re.compile(r"[.!?](?:\s|$)|[。！？\n]").search(plain, end)
    last = behind.end() if behind else len(plain)
    start, lead = origins[match.start()], plain[first : match.start()]
    return StatedNumber(
        text=text[start : origins[end - 1] + 1].strip(" $"),
        value=value,
        digits=significant,
        scale=scale,
        unit=unit,
        noun="" if unit else word.lower(),
        start=start,
        is_operand=is_operand,
        is_result=bool(_RESULT_SIGN.search(before) or _RESULT_WORDS.search(lead)),
        is_final=bool(_FINAL_WORDS.search(lead) and not _SUPPOSED.search(lead)),
        is_denied=bool(_DENIED.search(before)),
        sentence=" ".join(text[origins[first] : origins[last - 1] + 1].split()),
    )


def _whole(text: str | None) -> int | None:
    return int(text.translate(_SUPERSCRIPTS).replace("−", "-")) if text else None


def _plain(text: str) -> tuple[str, list[int]]:
    """The text without LaTeX, and for each of its characters where it stood."""
    plain, origins = text, list(range(len(text)))
    for pattern, replacement in _LATEX:
        pieces: list[str] = []
        places: list[int] = []
        at = 0
        for match in pattern.finditer(plain):
            new = match.expand(replacement)
            pieces += [plain[at : match.start()], new]
            places += origins[at : match.start()]
            inner = plain.find(new, match.start(), match.end())
            places += [origins[inner + step if inner >= 0 else match.start()] for step in range(len(new))]
            at = match.end()
        plain, origins = "".join((*pieces, plain[at:])), places + origins[at:]
    return plain, origins


@cache
def _registry() -> UnitRegistry[float]:
    """The units of the field. Not pint's own thousand: among them are "in", "a" and "as", which are words of a sentence."""
    from pint import UnitRegistry

    registry: UnitRegistry[float] = UnitRegistry(None)
    for line in _DEFINITIONS.strip().split("\n"):
        registry.define(line)
    return registry


def _unit(word: str) -> str:
    """The word's unit in pint's spelling; empty where it is none."""
    if not word:
        return ""
    if re.fullmatch(r"GPU[- ]?hours?", word, re.IGNORECASE):
        return "hour"
    numerator, _, denominator = re.sub(r"\s+per\s+", "/", word).replace(" ", "").partition("/")
    parts = [_simple_unit(part) for part in filter(None, (numerator, denominator))]
    if not all(parts):
        return parts[0] if parts and parts[0] and denominator and parts[0] not in {"FLOP"} else ""
    if denominator and parts[0].endswith("FLOPS"):
        parts[0] = parts[0].removesuffix("S")
    return "/".join(parts)


@cache
def _simple_unit(word: str) -> str:
    from pint.errors import PintError

    registry = _registry()
    if word in _RATES:
        return "FLOPS"
    for name in (word, _WORDS.get(word, ""), word.lower(), word.lower().rstrip("s"), word.removesuffix("s")):
        if name in _WORDS:
            return _WORDS[name]
        # A prefix and FLOPs: how many, not how many a second, unless all is written large.
        if name.endswith("FLOPs"):
            name = name.removesuffix("s")  # noqa: PLW2901
        if not name or not re.fullmatch(r"[A-Za-zµ_]+", name):
            continue
        try:
            return str(registry.get_name(name))
        except (PintError, ValueError):
            continue
    return ""


def _measure(value: float, unit: str) -> Measure[float]:
    registry = _registry()
    return registry.Quantity(value, registry.parse_units(unit) if unit else registry.parse_units("dimensionless"))


def _asked_unit(asked: Quantity) -> str:
    return "" if asked.unit == "1" else _unit(asked.unit)


def _target(asked: Quantity, unit: str) -> float | None:
    """The asked value in a unit; None where the unit measures something else."""
    measure, of_unit = _measure(asked.value, _asked_unit(asked)), _measure(1.0, unit)
    return float(measure.to(of_unit.units).magnitude) if measure.check(of_unit.dimensionality) else None


def _may_answer(number: StatedNumber, asked: Quantity) -> bool:
    """Whether the number measures what is asked for, or has no unit at all."""
    if number.unit:
        return _target(asked, number.unit) is not None
    return not number.noun or not _asked_unit(asked) or _counts(number, asked)


def _counts(number: StatedNumber, asked: Quantity) -> bool:
    """Whether the word behind the number is the one of the question."""
    same = {
        "weights": "parameter",
        "params": "parameter",
        "dollars": "dollar",
        "bucks": "dollar",
        "cards": "gpu",
        "px": "pixel",
    }

    def stem(word: str) -> str:
        return same.get(word.lower(), word.lower().rstrip("s"))

    return bool(number.noun) and stem(number.noun) == stem(asked.unit)


def _same_kind(one: StatedNumber, other: StatedNumber) -> bool:
    return bool(one.unit) == bool(other.unit) and (
        bool(one.unit) or one.noun == other.noun or not one.noun or not other.noun
    )


def _deviation(number: StatedNumber, asked: Quantity) -> Literal["right", "near", "wrong"]:
    targets = [_target(asked, number.unit)]
    if not number.unit:
        # A bare number is meant in the asked unit; of a percentage it may also be the share.
        targets = [asked.value, *([asked.value / 100] if _asked_unit(asked) == "percent" else [])]
    findings = [_fits(number, target, asked) for target in targets if target is not None]
    return "right" if "right" in findings else "near" if "near" in findings else "wrong"


def _fits(number: StatedNumber, target: float, asked: Quantity) -> Literal["right", "near", "wrong"]:
    difference = abs(number.value - target)
    # A small slack over the tolerance: 0.1 + 0.2 is not 0.3 in binary.
    if difference <= max(asked.tolerance * abs(target), 1e-9 * abs(target)):
        return "right"
    is_close = difference <= 0.05 * abs(target)
    is_whole = float(asked.value).is_integer() and not asked.tolerance
    last_digit = _last_digit(number)
    if is_whole and target == asked.value and (abs(target) < 1000 or last_digit <= 1):
        # Whole numbers that are given in full are exact.
        return "near" if is_close else "wrong"
    rounded = difference <= last_digit / 2 * (1 + 1e-9)
    if rounded and number.digits >= 2:
        return "right"
    # A calculation by hand: 1 % off is what an interviewer lets pass.
    if not is_whole and difference <= 0.01 * abs(target):
        return "right"
    return "near" if rounded or is_close else "wrong"


def _last_digit(number: StatedNumber) -> float:
    """What the last given digit is worth."""
    shown = re.match(r"[-−+]?[\d,.\u202f\u00a0]+", number.text)
    decimals = len(shown[0].rstrip(".,").partition(".")[2]) if shown else 0
    if number.digits >= 15:
        return 0.0
    return 10.0**-decimals * number.scale


def _wrong(
    asked: Quantity, claims: list[StatedNumber], named: list[StatedNumber], numbers: list[StatedNumber]
) -> JudgedResult:
    other_unit = next(
        (
            number
            for number in reversed(numbers)
            if not number.is_denied
            and number.unit
            and number.unit != _asked_unit(asked)
            and (number.is_result or len(numbers) == 1)
            and _fits(number, asked.value, asked) == "right"
        ),
        None,
    )
    if other_unit is not None:
        return JudgedResult(
            "wrong unit",
            f"The number of {other_unit.text} is right, its unit is not. The question asks for {_called(asked)}.",
            other_unit,
        )
    ordered = sorted(named or claims, key=lambda number: (number.is_final, number.is_result, number.start))
    if not ordered or not (named or ordered[-1].is_result or len(claims) == 1):
        return JudgedResult("none", f"Your answer states no result. Work it out to a number, in {_called(asked)}.")
    stated = ordered[-1]
    if _deviation(stated, asked) == "near":
        return JudgedResult(
            "near",
            f"{stated.text} is close, but not exact enough. Carry more digits, or look for what was left out.",
            stated,
        )
    target = _target(asked, stated.unit) if stated.unit else asked.value
    if not target or not stated.value:
        return JudgedResult("wrong", f"{stated.text} is not the result. Go through the calculation again.", stated)
    ratio = stated.value / target
    if ratio < 0:
        same = abs(abs(ratio) - 1) <= max(asked.tolerance, 0.01)
        why = "Its sign is wrong." if same else "Its sign and its size are wrong."
        return JudgedResult("wrong", f"{stated.text} is not the result. {why}", stated)
    return _by_ratio(asked, stated, ratio)


def _by_ratio(asked: Quantity, stated: StatedNumber, ratio: float) -> JudgedResult:
    slack = max(asked.tolerance, 0.01)
    is_data = _registry().parse_units(_asked_unit(asked) or "dimensionless").dimensionality == {"[data]": 1.0}
    if is_data:
        for power in (1, 2, 3, 4):
            if any(abs(ratio / 1.024 ** (sign * power) - 1) <= 0.005 for sign in (1, -1)):
                return JudgedResult(
                    "wrong unit", f"{stated.text} mixes units of 1000 with units of 1024, such as GB and GiB.", stated
                )
        if any(abs(ratio / factor - 1) <= slack for factor in (8, 1 / 8)):
            return JudgedResult(
                "wrong unit", f"{stated.text} is off by a factor of 8. Were bits taken for bytes?", stated
            )
    power = round(math.log10(ratio))
    if power and abs(ratio / 10.0**power - 1) <= max(slack, 0.02):
        size = f"{10 ** abs(power):,}" if abs(power) <= 6 else f"10^{abs(power)}"
        where = "large" if power > 0 else "small"
        return JudgedResult(
            "power of ten",
            f"The digits of {stated.text} are right, but it is too {where} by a factor of {size}.",
            stated,
        )
    factor, where = (ratio, "large") if ratio > 1 else (1 / ratio, "small")
    if factor < 20 and abs(factor - round(factor)) <= 0.02 * factor and round(factor) > 1:
        return JudgedResult(
            "wrong",
            f"{stated.text} is too {where} by a factor of {round(factor)}. Which part is counted wrongly?",
            stated,
        )
    how = f" It is too {where}" + (", by orders of magnitude." if factor >= 20 else ".")
    return JudgedResult("wrong", f"{stated.text} is not the result.{how} Go through the calculation again.", stated)


def _called(asked: Quantity) -> str:
    return "plain numbers" if asked.unit == "1" else asked.unit


@lru_cache(maxsize=4096)
def _results(text: str) -> tuple[StatedNumber, ...]:
    return tuple(stated_numbers(text))


def other_number(wanted: str, said: str, *, given: str = "", phrasings: Sequence[str] = ()) -> StatedNumber | None:
    """What `said` states as the value of something that `wanted` gives another value; None where there is nothing.

    Numbers stand for the same thing where they have a unit of one dimension, count the same noun, or have neither. Parts of a
    calculation, ranges, numbers of the question, `given`, and of other phrasings of what is wanted say nothing.
    """
    stated = _results(said)
    if not stated:
        return None
    known = [number for text in (wanted, *phrasings) for number in _results(text)]
    asked = {number.value for number in _results(given)}
    for result in _results(wanted):
        if result.is_operand or result.is_denied or any(_equal(result, number) for number in stated):
            continue
        for claim in stated:
            if claim.is_operand or claim.is_denied or claim.value in asked or not _comparable(claim, result):
                continue
            if not any(_equal(claim, number) for number in known):
                return claim
    return None


def _comparable(one: StatedNumber, other: StatedNumber) -> bool:
    if one.unit and other.unit:
        return _measure(1.0, one.unit).check(_measure(1.0, other.unit).dimensionality)
    return not one.unit and not other.unit and one.noun.rstrip("s") == other.noun.rstrip("s")


def _equal(one: StatedNumber, other: StatedNumber) -> bool:
    """Whether two numbers are the same but for rounding, units and percent."""
    first, second = one.value, other.value
    if one.unit and other.unit:
        if not _comparable(one, other):
            return False
        first, second = (
            float(_measure(number.value, number.unit).to_base_units().magnitude) for number in (one, other)
        )
    near = max(abs(first), abs(second)) * 0.03
    slack = [max(near, (_last_digit(number) if not number.unit else 0.0) / 2 * (1 + 1e-9)) for number in (one, other)]
    return any(abs(first * factor - second) <= max(slack) * max(factor, 1) for factor in (1, 100, 0.01))

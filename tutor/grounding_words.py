"""The words of a text as the grounding check sees them, and which word says the opposite of which."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import permutations, product

from index.words import words
from tutor.paraphrases import shipped_paraphrases

_MARK = re.compile(r"\[\d{1,3}(?:\s*,\s*\d{1,3})*\]")
WORD = re.compile(r"[\u3400-\u9fff]+|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?|[^\W_]+")
THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60"}
_MONTHS = "january february march april may june july august september october november december".split()
_SHORT_MONTHS = {month[:3]: month for month in _MONTHS} | {"sept": "september"}
_GROUPS = (
    _MONTHS,
    "monday tuesday wednesday thursday friday saturday sunday".split(),
    "thousand million billion trillion".split(),
)
"""With one of a group for another it is another claim."""
OPPOSITES = tuple(
    (
        "increase/decrease increase/reduce raise/lower raise/reduce grow/shrink rise/fall open/close high/low higher/lower more/less "
        "more/fewer large/small larger/smaller big/small bigger/smaller greater/smaller fast/slow faster/slower always/never all/none "
        "before/after first/last positive/negative above/below up/down hot/cold warm/cool light/heavy lighter/heavier hard/soft "
        "long/short longer/shorter wide/narrow strong/weak stronger/weaker strengthen/weaken same/different with/without begin/end "
        "start/end start/stop true/false left/right early/late earlier/later easy/difficult easy/hard deep/shallow internal/external "
        "inside/outside maximum/minimum max/min maximize/minimize best/worst better/worse improve/worsen improve/degrade add/remove "
        "gain/lose gain/loss growth/decline encoder/decoder upper/lower supervised/unsupervised dynamic/static convex/concave "
        "dense/sparse underfitting/overfitting on/off top/bottom ascending/descending explicit/implicit local/global "
        "constant/variable training/inference precision/recall include/exclude allow/prevent enable/disable cause/prevent "
        "cause/avoid win/lose won/lost success/failure succeed/fail accept/reject approve/reject buy/sell bought/sold agree/disagree "
        "agree/refuse confirm/deny support/oppose north/south east/west northern/southern eastern/western male/female man/woman "
        "men/women husband/wife son/daughter brother/sister father/mother old/young older/younger old/new public/private major/minor "
        "most/least many/few majority/minority future/past present/absent profit/loss expand/contract accelerate/slow "
        "advantage/disadvantage possible/impossible likely/unlikely able/unable known/unknown optimistic/pessimistic full/empty "
        "direct/indirect effective/ineffective efficient/inefficient significant/insignificant active/inactive complete/incomplete "
        "linear/nonlinear linear/quadratic linear/exponential online/offline synchronous/asynchronous forward/backward row/column "
        "horizontal/vertical bias/variance generative/discriminative numerator/denominator import/export arrive/leave enter/leave "
        "remember/forget single/multiple cheap/expensive rich/poor free/paid safe/dangerous legal/illegal dead/alive born/died "
        "temporary/permanent initial/final natural/artificial"
    ).split()
)


_RIVALS = (
    "upstream/downstream before/beyond increase/lower rose/fell grew/shrank gain/lost oldest/youngest largest/smallest "
    "longest/shortest highest/lowest heaviest/lightest fastest/slowest front/back summer/winter spring/autumn morning/evening "
    "half/double halve/double double/triple quarter/third quarter/fifth quarter/half third/half first/second second/third first/third "
    "mandatory/optional require/optional forbid/allow dismiss/uphold guilty/innocent"
).split()


@dataclass(frozen=True)
class Word:
    """A term of a text and where it stands."""

    term: str
    spelt: str
    start: int
    end: int
    has_content: bool
    is_number: bool
    is_name: bool
    """Whether it has a capital and does not begin the text."""


def without_marks(text: str) -> str:
    """The text with blanks in the place of citations such as [2] and [1, 3]: they are no numbers that anybody claims."""
    return _MARK.sub(lambda match: " " * len(match[0]), text)


@lru_cache(maxsize=512)
def read_words(text: str) -> tuple[Word, ...]:
    """The words of a text in order; numbers without the comma of thousands, written out or not, and months are one word each."""
    found: list[Word] = []
    for match in WORD.finditer(text):
        spelt = match[0]
        is_number, terms = _read_word(spelt)
        is_name = bool(found) and spelt[0].isupper()
        found += [
            Word(term, spelt.lower(), match.start(), match.end(), has_content, is_number, is_name)
            for term, has_content in terms
        ]
    return tuple(found)


@lru_cache(maxsize=50_000)
def _read_word(spelt: str) -> tuple[bool, tuple[tuple[str, bool], ...]]:
    """Whether it is a number, and its terms, each with whether it has content."""
    small = spelt.lower()
    if spelt[0].isdigit():
        number = spelt.replace(",", "") if THOUSANDS.fullmatch(spelt) else spelt
        return True, ((re.sub(r"\.0+$", "", number).lower(), True),)
    if small in _NUMBER_WORDS:
        # "One" is rarely counted with.
        is_number = small != "one"
        return is_number, ((_NUMBER_WORDS[small], is_number),)
    name = _SHORT_MONTHS.get(small, spelt) if spelt[0].isupper() else spelt
    content = set(words(name))
    return False, tuple((term, term in content) for term in words(name, stop_words=True))


@cache
def opposite_terms() -> dict[str, frozenset[str]]:
    """For each term what says the opposite of it, wherever it stands."""
    groups = [pair for group in _GROUPS for pair in permutations(_terms(group), 2)]
    return _both_ways([*_term_pairs(OPPOSITES), *groups])


@cache
def rival_terms() -> dict[str, frozenset[str]]:
    """The same with looser pairs and the words of a longer list: opposites in the same place of the same statement."""
    listed = shipped_paraphrases()
    single: dict[int, list[str]] = {}
    for expression, groups in listed.groups.items():
        for group in groups:
            if len(expression) == 1:
                single.setdefault(group, []).append(expression[0])
    pairs = [
        pair
        for group, sides in listed.opposites.items()
        for side in sides
        for pair in product(single.get(group, ()), single.get(side, ()))
    ]
    pairs += [(term, other) for term, others in opposite_terms().items() for other in others]
    return _both_ways([*_term_pairs(_RIVALS), *pairs])


def _terms(spelt: Iterable[str]) -> list[str]:
    return [term for word in spelt for term in words(word, stop_words=True)[:1]]


def _term_pairs(pairs: Iterable[str]) -> list[tuple[str, ...]]:
    return [tuple(_terms(pair.split("/"))) for pair in pairs]


def _both_ways(pairs: Iterable[tuple[str, ...]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        if one != other:
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
    return {term: frozenset(others) for term, others in found.items()}

"""Is a sentence supported by passages? Deterministic, no model: rare words, numbers with their units, and what is denied."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from corpus.sentences import split_sentences
from index.words import words

SUPPORTED = 0.6
"""Share of a sentence's rare words that must stand in the passages for it to count as supported."""
_SAME_CLAIM = 0.5
"""Share of a clause's words from which a clause of the passage speaks of the same thing, so that the two can disagree."""
_CONTRADICTED = 0.4
"""What is left of the support of a sentence that says the opposite."""
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
"""The comma of 50,176, which others write 50176."""
_UNITS = {
    unit: group[0]
    for group in (
        ("%", "percent"),
        ("ms", "millisecond", "milliseconds"),
        ("s", "second", "seconds"),
        ("minute", "minutes"),
        ("hour", "hours"),
        ("day", "days"),
        ("kb", "kib"),
        ("mb", "mib"),
        ("gb", "gib"),
        ("tb", "tib"),
        ("bit", "bits"),
        ("byte", "bytes"),
        ("token", "tokens"),
        ("epoch", "epochs"),
        ("step", "steps", "iteration", "iterations"),
        ("layer", "layers"),
        ("head", "heads"),
        ("dimension", "dimensions"),
        ("million", "m"),
        ("billion", "b"),
        ("flop", "flops"),
        ("image", "images"),
    )
    for unit in group
}
_QUANTITY = re.compile(
    rf"(?<![\w.])(?P<number>\d+(?:\.\d+)?)[ -]?(?P<unit>%|(?:{'|'.join(sorted(filter(str.isalpha, _UNITS), key=len, reverse=True))})\b)?",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|without|nor|neither)\b|n't\b|n’t\b|不|没有|无法|并非|无需", re.IGNORECASE
)
# What a claim turns on: with one for the other it is another claim in the same words.
_OPPOSITES = tuple(
    (re.compile(one, re.IGNORECASE), re.compile(other, re.IGNORECASE))
    for one, other in (
        (
            r"\b(?:increas|rais|grow|enlarg|amplif)\w*|增(?:加|大)|提高",
            r"\b(?:decreas|reduc|lower|shrink|diminish)\w*|减(?:少|小)|降低",
        ),
        (r"\b(?:faster|speeds? up|accelerat\w*)\b|更快|加快", r"\b(?:slower|slows? down)\b|更慢|减慢"),
        (r"\b(?:larger|bigger|greater|higher|more)\b|更[大高多]", r"\b(?:smaller|lower|fewer|less)\b|更[小低少]"),
        (r"\bbefore\b|之前", r"\bafter\b|之后"),
        (r"\b(?:first|begins?|start)\b|首先|最初", r"\b(?:last|ends?|finally)\b|最后"),
        (r"\b(?:always|all|every)\b|总是|所有", r"\b(?:never|none|seldom|rarely)\b|从不"),
        (r"\b(?:enabl|switched on|turned on|activ)\w*|开启", r"\b(?:disabl|switched off|turned off|inactiv)\w*|关闭"),
        (r"\b(?:prevent|avoid|mitigat)\w*|防止|避免|缓解", r"\b(?:caus|worsen|introduc)\w*|导致|引起|加剧"),
        (r"\b(?:linear)\b", r"\b(?:quadratic|exponential)\b"),
        (r"\bmaximi[sz]\w*|最大化", r"\bminimi[sz]\w*|最小化"),
        (r"\b(?:positive)\b|为正", r"\b(?:negative)\b|为负"),
        (r"\b(?:better|improv\w*)\b|更好|改善", r"\b(?:worse|degrad\w*|hurts?)\b|更差|变差"),
    )
)
_CLAUSE = re.compile(
    r"[;:；：，]|,(?!\d)|\b(?:and|but|because|so|while|whereas|since|which|although|unless)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class _Clause:
    """A piece of a sentence that affirms or denies one thing."""

    text: str
    terms: frozenset[str]

    @property
    def is_negated(self) -> bool:
        """Two negations cancel."""
        return len(_NEGATION.findall(self.text)) % 2 == 1


@dataclass(frozen=True)
class _Passage:
    """What a passage says, taken apart once for all the sentences that are held against it."""

    terms: frozenset[str]
    numbers: frozenset[str]
    units: dict[str, frozenset[str]]
    """For each number the units that it stands with; "" where it stands alone."""
    is_negated: bool
    clauses: tuple[_Clause, ...]
    text: str
    """With its white space made single."""


def support(sentence: str, passages: Sequence[str], idf: Callable[[str], float]) -> float:
    """How far the best of the passages supports the sentence, 0 to 1; 0 without passages.

    The share of the sentence's words, weighted by rarity, that the passage contains. Such a sentence may still say something
    else with the same words: a number that the passage does not have, or has in another unit, and a negation that the
    passage does not have halve it; so does each clause that denies what the nearest clause of the passage affirms, or puts
    an opposite (raises, lowers) in its place.
    """
    sentence = _THOUSANDS.sub("", sentence)
    terms = {term: idf(term) for term in dict.fromkeys(words(sentence))}
    if not sum(terms.values()):
        return 0.0
    return max((_containment(sentence, terms, _read(passage), idf) for passage in passages), default=0.0)


def _containment(sentence: str, terms: dict[str, float], passage: _Passage, idf: Callable[[str], float]) -> float:
    if " ".join(sentence.split()) in passage.text:
        return 1.0
    score = sum(weight for term, weight in terms.items() if term in passage.terms) / sum(terms.values())
    if score < SUPPORTED:
        return round(score, 4)
    if set(_NUMBER.findall(sentence)) - passage.numbers or _has_other_units(sentence, passage):
        score /= 2
    if _NEGATION.search(sentence) and not passage.is_negated:
        score /= 2
    elif any(_is_contradicted(clause, passage, idf) for clause in _clauses(sentence)):
        score *= _CONTRADICTED
    return round(score, 4)


@lru_cache(maxsize=512)
def _read(passage: str) -> _Passage:
    passage = _THOUSANDS.sub("", passage)
    units: dict[str, set[str]] = {}
    for number, unit in _quantities(passage):
        units.setdefault(number, set()).add(unit)
    sentences = [item.text for item in split_sentences(passage) if item.kind in {"prose", "item"}]
    return _Passage(
        frozenset(words(passage)),
        frozenset(_NUMBER.findall(passage)),
        {number: frozenset(found) for number, found in units.items()},
        bool(_NEGATION.search(passage)),
        tuple(clause for text in sentences for clause in _clauses(text)),
        " ".join(passage.split()),
    )


def _quantities(text: str) -> list[tuple[str, str]]:
    return [(match["number"], _UNITS.get((match["unit"] or "").lower(), "")) for match in _QUANTITY.finditer(text)]


def _has_other_units(sentence: str, passage: _Passage) -> bool:
    """Whether a number of the sentence stands with a unit there, and always with others in the passage."""
    return any(
        unit and known and "" not in known and unit not in known
        for number, unit in _quantities(sentence)
        for known in [passage.units.get(number, frozenset())]
    )


@lru_cache(maxsize=512)
def _clauses(sentence: str) -> tuple[_Clause, ...]:
    """The clauses of a sentence with content; a single word is no claim, and goes with the clause before it."""
    texts: list[str] = []
    for part in _CLAUSE.split(sentence):
        if texts and len(words(part)) < 2:
            texts[-1] += " " + part
        else:
            texts.append(part)
    return tuple(_Clause(text, frozenset(words(text))) for text in texts if words(text))


def _is_contradicted(clause: _Clause, passage: _Passage, idf: Callable[[str], float]) -> bool:
    """Whether all clauses of the passage that speak of the same thing say the opposite of it."""
    subject = {term: idf(term) for term in clause.terms}
    total = sum(subject.values())
    if len(subject) < 2 or not total:
        return False
    rated = [(sum(subject[term] for term in clause.terms & other.terms) / total, other) for other in passage.clauses]
    nearest = max((share for share, _ in rated), default=0.0)
    if nearest < _SAME_CLAIM:
        return False
    # A passage often says both: what is off in one phase is on in the other. One that agrees is enough.
    same = [other for share, other in rated if share >= max(_SAME_CLAIM, nearest - 0.15)]
    return all(_disagree(clause, other) for other in same)


def _disagree(one: _Clause, other: _Clause) -> bool:
    if one.is_negated != other.is_negated:
        return True
    for left, right in _OPPOSITES:
        for here, there in ((left, right), (right, left)):
            if (
                here.search(one.text)
                and not there.search(one.text)
                and there.search(other.text)
                and not here.search(other.text)
            ):
                return True
    return False

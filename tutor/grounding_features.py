"""How far a passage bears out a sentence, as features that a small model weighs. No weights here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from index.embedder import SHIPPED_EMBEDDER, Embedder, make_embedder
from index.static_encoder import Vectors
from index.words import words
from tutor.grounding_alignment import DIFFERENCES, AlignedSentence, clauses, differences
from tutor.grounding_words import THOUSANDS, WORD, Word, opposite_terms, read_words

FEATURES = (
    "near",  # share of the words, by rarity, near ones counting in part, in the best three sentences of the passage
    "wide",  # share of the words themselves in the best six sentences
    "whole",  # the same, anywhere in the passage
    "kindred",  # the same, near ones counting in part
    "dense",  # share of the words in the best stretch of the passage four times as long as the sentence
    "phrases",  # share of the pairs of neighbouring words
    "neighbours",  # share of the pairs of words with content that stand near each other there too
    "meaning",  # cosine with the best three sentences, by the shipped encoder
    "missing_rarest",  # how rare the rarest missing word is
    "missing_words",  # how many are missing (logarithm)
    "missing_run",  # how many one after another (logarithm)
    "missing_names",  # how many names stand nowhere in the passage (logarithm)
    "missing_numbers",  # share of the numbers that are not in the best three sentences
    "new_number",  # a number stands nowhere in the passage
    "new_negation",  # the sentence denies, the best three sentences do not
    "opposites",  # how many words stand there as their opposites only (logarithm)
    "contradiction",  # each clause of the passage on the same matter says the opposite
    "other_unit",  # a number stands with another unit than ever in the passage
    "half_said",  # how much less the best three sentences for a clause say of it than the best three say of the whole sentence
    *DIFFERENCES,
)
NEVER_GROWING = frozenset(FEATURES[FEATURES.index("missing_rarest") :])
WORD_FEATURES = (
    "missing",  # nowhere in the passage
    "missing_near",  # not in the best three sentences
    "missing_beside",  # not in the sentence that has most
    "number",  # a number that is missing
    "name",  # a name that is missing
    "function",  # a word without content
    "unlinked",  # beside neither of its neighbours in the passage
    "before",  # how far the word with content before is missing
    "after",  # how far the word with content after is missing
    "between",  # a word without content between two that are missing
    "two_before",  # how far the two words with content before are missing
    "two_after",  # how far the two words with content after are missing
    "clause",  # how far the words of its clause are missing
    "late",  # where it stands in the sentence, from 0 to 1
)

_SAME_CLAIM = 0.5
"""Share of a clause's words from which a clause of the passage speaks of the same thing, so that the two can disagree."""
_LEAST_COSINE = 0.25
"""Below it words of the encoder are not near at all."""
_SENTENCE_END = re.compile(r"(?<=[.!?])[\s\"”’)\]]+(?=\S)|(?<=[a-z)][.!?])(?=[A-Z][a-z])|\n+|(?<=[。！？])")
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
    r"(?<![\w.])(?P<number>\d+(?:\.\d+)?)[ -]?"
    rf"(?P<unit>%|(?:{'|'.join(sorted(filter(str.isalpha, _UNITS), key=len, reverse=True))})\b)?",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|without|nor|neither)\b|n't\b|n’t\b|不|没有|无法|并非|无需", re.IGNORECASE
)
_OPPOSITE_CLAIMS = tuple(
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
        (r"\bprecision\b|精确率|查准率", r"\brecall\b|召回率"),
    )
)
_CLAUSE = re.compile(
    r"[;:；：，]|,(?!\d)|\b(?:and|but|because|so|while|whereas|since|which|although|unless)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Comparison:
    """A sentence beside one passage."""

    features: Vectors
    """By FEATURES."""
    evidence: str
    """The best three sentences of the passage."""
    words: tuple[Word, ...]
    word_features: Vectors
    """By WORD_FEATURES, a row a word of the sentence."""


@dataclass(frozen=True)
class _Clause:
    """A piece of a sentence that affirms or denies one thing."""

    text: str
    terms: frozenset[str]

    @property
    def is_negated(self) -> bool:
        return bool(_NEGATION.search(self.text))


@dataclass(frozen=True)
class _Passage:
    """What a passage says, taken apart once for all the sentences that are held against it."""

    sentences: tuple[str, ...]
    words: tuple[Word, ...]
    owners: NDArray[np.int64]
    """The sentence of each word."""
    places: dict[str, list[int]]
    """Where each term stands among the words."""
    pairs: frozenset[tuple[str, str]]
    near_pairs: frozenset[tuple[str, str]]
    clauses: tuple[_Clause, ...]
    aligned: tuple[AlignedSentence, ...]
    names: frozenset[str]
    """What it writes with a capital within a sentence."""
    units: dict[str, frozenset[str]]
    """For each number the units that it stands with; "" where it stands alone."""


def compare(
    sentence: str, passage: str, idf: Callable[[str], float], *, question_terms: frozenset[str] = frozenset()
) -> Comparison | None:
    """The features of a sentence beside a passage; None where one of them has no word.

    Names and numbers of the question are given: an answer may repeat them though the passage does not.
    """
    said = read_words(sentence)
    read = _read(passage)
    content = [place for place, word in enumerate(said) if word.has_content]
    if not content or not read.words:
        return None
    terms = [word.term for word in said]
    # Rarity beside that of a word that the collection does not have: collections of all sizes have one scale.
    rarity = np.array([max(idf(terms[place]), 1e-3) for place in content]) / max(idf("\0"), 1e-3)
    share = rarity / rarity.sum()
    stands = np.zeros((len(content), len(read.words)), dtype=np.bool_)
    for row, place in enumerate(content):
        stands[row, read.places.get(terms[place], [])] = True
    exact = _by_sentence(stands.astype(np.float32), read)
    near = np.maximum(exact, _nearness([said[place] for place in content], read))
    windows = [_windows(table, 3) for table in (exact, near)]
    best = int((share @ windows[0] + share @ windows[1]).argmax())
    in_window, near_window = windows[0][:, best], windows[1][:, best]
    anywhere, near_anywhere = exact.max(axis=1), near.max(axis=1)
    beside = exact[:, int((share @ near).argmax())]
    evidence = " ".join(read.sentences[best : best + 3])
    around = frozenset[str]().union(*(other.known for other in read.aligned[best : best + 3]))
    given = [said[place].term in question_terms for place in content]
    numbers = [row for row, place in enumerate(content) if said[place].is_number and not given[row]]
    names = [row for row, place in enumerate(content) if said[place].is_name and not given[row]]
    pairs = list(pairwise(terms))
    kept = [terms[place] for place in content]
    kept_pairs = list(pairwise(kept))
    whole = float(share @ anywhere)
    parts = clauses(sentence, said)
    weakest = min(float((share[part] @ windows[1][part]).max() / share[part].sum()) for part in parts)
    values = differences(
        AlignedSentence.read(sentence, said), content, share, near, parts, read.aligned, read.names
    ) | {
        "near": (share @ windows[1]).max(),
        "wide": (share @ _windows(exact, 6)).max(),
        "whole": whole,
        "kindred": share @ near_anywhere,
        "dense": _best_stretch(stands, share, 4 * len(said) + 16),
        "phrases": np.mean([pair in read.pairs for pair in pairs]) if pairs else whole,
        "neighbours": np.mean([pair in read.near_pairs for pair in kept_pairs]) if kept_pairs else whole,
        "meaning": _cosine(sentence, evidence),
        "missing_rarest": ((1 - near_window) * rarity).max(),
        "missing_words": math.log1p(int((near_window < 0.5).sum())),
        "missing_run": math.log1p(_longest_run(in_window < 0.5)),
        "missing_names": math.log1p(float((1 - near_anywhere[names]).sum())),
        "missing_numbers": float((1 - in_window[numbers]).mean()) if numbers else 0.0,
        "new_number": float((1 - anywhere[numbers]).max()) if numbers else 0.0,
        "new_negation": float(bool(_NEGATION.search(sentence)) and not _NEGATION.search(evidence)),
        "opposites": math.log1p(_opposites_in(frozenset(terms), around)),
        "contradiction": float(any(_is_denied(clause, read.clauses, idf) for clause in _clauses(sentence))),
        "other_unit": float(_has_other_unit(sentence, read)),
        "half_said": max(0.0, float((share @ windows[1]).max()) - weakest),
    }
    missing = np.zeros((len(said), 3))
    missing[content] = 1 - np.stack([anywhere, near_window, beside], axis=1)
    return Comparison(
        np.array([values[name] for name in FEATURES], dtype=np.float32),
        evidence,
        said,
        _word_features(said, missing, read.pairs, parts),
    )


def _word_features(
    said: Sequence[Word],
    missing: NDArray[np.float64],
    pairs: frozenset[tuple[str, str]],
    parts: Sequence[Sequence[int]],
) -> Vectors:
    content = [place for place, word in enumerate(said) if word.has_content]
    near = missing[content, 1]
    clause_of = {content[row]: float(near[part].mean()) for part in parts for row in part}
    of_clause = clause_of[content[0]]
    rows, passed = [], 0
    for place, word in enumerate(said):
        of_clause = clause_of.get(place, of_clause)
        following = passed + word.has_content
        before = near[passed - 1] if passed else 0.5
        after = near[following] if following < len(near) else 0.5
        linked = (place > 0 and (said[place - 1].term, word.term) in pairs) or (
            place + 1 < len(said) and (word.term, said[place + 1].term) in pairs
        )
        rows.append(
            [
                *missing[place],
                word.is_number * missing[place, 1],
                word.is_name * missing[place, 1],
                not word.has_content,
                not linked,
                before,
                after,
                (not word.has_content) * min(before, after),
                near[max(0, passed - 2) : passed].mean() if passed else 0.5,
                near[following : following + 2].mean() if following < len(near) else 0.5,
                of_clause,
                place / len(said),
            ]
        )
        passed = following
    return np.array(rows, dtype=np.float32)


@lru_cache(maxsize=512)
def _read(passage: str) -> _Passage:
    sentences = [part for part in _SENTENCE_END.split(passage) if part and WORD.search(part)]
    taken = [read_words(sentence) for sentence in sentences]
    flat = tuple(word for said in taken for word in said)
    terms = [word.term for word in flat]
    kept = [word.term for word in flat if word.has_content]
    places: dict[str, list[int]] = {}
    for place, term in enumerate(terms):
        places.setdefault(term, []).append(place)
    units: dict[str, set[str]] = {}
    for number, unit in _quantities(passage):
        units.setdefault(number, set()).add(unit)
    return _Passage(
        tuple(" ".join(sentence.split()) for sentence in sentences),
        flat,
        np.repeat(np.arange(len(taken)), [len(said) for said in taken]),
        places,
        frozenset(pairwise(terms)),
        frozenset(pair for apart in (1, 2, 3) for pair in zip(kept, kept[apart:], strict=False)),
        tuple(clause for sentence in sentences for clause in _clauses(sentence)),
        tuple(AlignedSentence.read(sentence, said) for sentence, said in zip(sentences, taken, strict=True)),
        frozenset(word.term for word in flat if word.is_name and word.has_content),
        {number: frozenset(found) for number, found in units.items()},
    )


def _by_sentence(table: Vectors, read: _Passage) -> Vectors:
    """The best of each sentence's columns."""
    result = np.zeros((len(table), len(read.sentences)), dtype=np.float32)
    starts = np.flatnonzero(np.r_[True, read.owners[1:] != read.owners[:-1]])
    result[:, read.owners[starts]] = np.maximum.reduceat(table, starts, axis=1)
    return result


def _windows(table: Vectors, size: int) -> Vectors:
    """The best of each run of so many columns."""
    count = max(1, table.shape[1] - size + 1)
    return np.asarray(
        np.max([table[:, shift : shift + count] for shift in range(min(size, table.shape[1]))], axis=0),
        dtype=np.float32,
    )


def _best_stretch(stands: NDArray[np.bool_], share: NDArray[np.float64], size: int) -> float:
    counts = np.cumsum(np.pad(stands, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    size = min(size, stands.shape[1])
    return float((share @ (counts[:, size:] > counts[:, :-size])).max())


def _longest_run(missing: NDArray[np.bool_]) -> int:
    longest = run = 0
    for is_missing in missing:
        run = run + 1 if is_missing else 0
        longest = max(longest, run)
    return longest


def _nearness(said: Sequence[Word], read: _Passage) -> Vectors:
    """How near the nearest word of each sentence of the passage is to each word, 0 to 1; numbers are near themselves alone."""
    spelt = sorted({word.spelt for word in read.words if word.has_content and not word.is_number})
    if not spelt:
        return np.zeros((len(said), len(read.sentences)), dtype=np.float32)
    place = {word: number for number, word in enumerate(spelt)}
    columns = np.array([place.get(word.spelt, len(spelt)) for word in read.words])
    cosines = _vectors([word.spelt for word in said]) @ _vectors(spelt).T
    near = np.clip((np.pad(cosines, ((0, 0), (0, 1))) - _LEAST_COSINE) / (1 - _LEAST_COSINE), 0, 1)
    near[[word.is_number for word in said]] = 0
    return _by_sentence(near[:, columns].astype(np.float32), read)


@cache
def _encoder() -> Embedder:
    return make_embedder(SHIPPED_EMBEDDER)


_known: dict[str, Vectors] = {}
_MOST_KNOWN = 50_000


def _vectors(spelt: Sequence[str]) -> Vectors:
    if len(_known) > _MOST_KNOWN:
        _known.clear()
    new = [word for word in dict.fromkeys(spelt) if word not in _known]
    if new:
        _known.update(zip(new, _encoder().embed_queries(new), strict=True))
    return np.stack([_known[word] for word in spelt])


def _cosine(sentence: str, evidence: str) -> float:
    left, right = _encoder().embed_queries([sentence, evidence])
    return float(left @ right)


def _opposites_in(own: frozenset[str], there: frozenset[str]) -> int:
    table = opposite_terms()
    return sum(bool((table[term] & there) - own) for term in own & table.keys() if term not in there)


def _quantities(text: str) -> list[tuple[str, str]]:
    text = THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    return [(match["number"], _UNITS.get((match["unit"] or "").lower(), "")) for match in _QUANTITY.finditer(text)]


@lru_cache(maxsize=4096)
def _clauses(sentence: str) -> tuple[_Clause, ...]:
    """The clauses of a sentence with content; a single word is no claim, and goes with the clause before it."""
    texts: list[str] = []
    for part in _CLAUSE.split(sentence):
        if texts and len(words(part)) < 2:
            texts[-1] += " " + part
        else:
            texts.append(part)
    return tuple(_Clause(text, frozenset(words(text))) for text in texts if words(text))


def _has_other_unit(sentence: str, read: _Passage) -> bool:
    return any(
        unit and known and "" not in known and unit not in known
        for number, unit in _quantities(sentence)
        for known in [read.units.get(number, frozenset())]
    )


def _is_denied(clause: _Clause, others: Sequence[_Clause], idf: Callable[[str], float]) -> bool:
    """Whether all clauses that speak of the same thing say the opposite of it."""
    subject = {term: idf(term) for term in clause.terms}
    total = sum(subject.values())
    if len(subject) < 2 or not total:
        return False
    rated = [(sum(subject[term] for term in clause.terms & other.terms) / total, other) for other in others]
    nearest = max((share for share, _ in rated), default=0.0)
    if nearest < _SAME_CLAIM:
        return False
    # A passage often says both: what is off in one phase is on in the other. One that agrees is enough.
    same = [other for share, other in rated if share >= max(_SAME_CLAIM, nearest - 0.15)]
    return all(_disagree(clause, other) for other in same)


def _disagree(one: _Clause, other: _Clause) -> bool:
    if one.is_negated != other.is_negated:
        return True
    return any(
        here.search(one.text)
        and not there.search(one.text)
        and there.search(other.text)
        and not here.search(other.text)
        for left, right in _OPPOSITE_CLAIMS
        for here, there in ((left, right), (right, left))
    )

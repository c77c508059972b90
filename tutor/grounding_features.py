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
)

_SAME_CLAIM = 0.5
"""Share of a clause's words from which a clause of the passage speaks of the same thing, so that the two can disagree."""
_LEAST_COSINE = 0.25
"""Below it words of the encoder are not near at all."""
_MARK = re.compile(r"\[\d{1,3}(?:\s*,\s*\d{1,3})*\]")
_WORD = re.compile(r"[\u3400-\u9fff]+|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?|[^\W_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\s\"”’)\]]+(?=\S)|(?<=[a-z)][.!?])(?=[A-Z][a-z])|\n+|(?<=[。！？])")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
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
    units: dict[str, frozenset[str]]
    """For each number the units that it stands with; "" where it stands alone."""


def without_marks(text: str) -> str:
    """The text with blanks in the place of citations such as [2] and [1, 3]: they are no numbers that anybody claims."""
    return _MARK.sub(lambda match: " " * len(match[0]), text)


def read_words(text: str) -> tuple[Word, ...]:
    """The words of a text in order; numbers without the comma of thousands, written out or not, and months are one word each."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        spelt = match[0]
        small = spelt.lower()
        is_number = spelt[0].isdigit() or (small in _NUMBER_WORDS and small != "one")
        if spelt[0].isdigit():
            number = spelt.replace(",", "") if _THOUSANDS.fullmatch(spelt) else spelt
            terms, content = [re.sub(r"\.0+$", "", number).lower()], {spelt}
            content = set(terms)
        elif small in _NUMBER_WORDS:
            terms = [_NUMBER_WORDS[small]]
            content = set(terms) if is_number else set()
        else:
            name = _SHORT_MONTHS.get(small, spelt) if spelt[0].isupper() else spelt
            terms, content = words(name, stop_words=True), set(words(name))
        found += [
            Word(
                term, small, match.start(), match.end(), term in content, is_number, bool(found) and spelt[0].isupper()
            )
            for term in terms
        ]
    return tuple(found)


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
    around = frozenset(
        word.term for word, owner in zip(read.words, read.owners, strict=True) if best <= owner < best + 3
    )
    given = [said[place].term in question_terms for place in content]
    numbers = [row for row, place in enumerate(content) if said[place].is_number and not given[row]]
    names = [row for row, place in enumerate(content) if said[place].is_name and not given[row]]
    pairs = list(pairwise(terms))
    kept = [terms[place] for place in content]
    kept_pairs = list(pairwise(kept))
    whole = float(share @ anywhere)
    values = {
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
    }
    missing = np.zeros((len(said), 3))
    missing[content] = 1 - np.stack([anywhere, near_window, beside], axis=1)
    return Comparison(
        np.array([values[name] for name in FEATURES], dtype=np.float32),
        evidence,
        said,
        _word_features(said, missing, read.pairs),
    )


def _word_features(said: Sequence[Word], missing: NDArray[np.float64], pairs: frozenset[tuple[str, str]]) -> Vectors:
    content = [place for place, word in enumerate(said) if word.has_content]
    rows = []
    for place, word in enumerate(said):
        earlier = [other for other in content if other < place]
        later = [other for other in content if other > place]
        before = missing[earlier[-1], 1] if earlier else 0.5
        after = missing[later[0], 1] if later else 0.5
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
            ]
        )
    return np.array(rows, dtype=np.float32)


@lru_cache(maxsize=512)
def _read(passage: str) -> _Passage:
    sentences = [part for part in _SENTENCE_END.split(passage) if part and _WORD.search(part)]
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


@cache
def _opposite_terms() -> dict[str, frozenset[str]]:
    opposites: dict[str, set[str]] = {}
    pairs = [tuple(pair.split("/")) for pair in OPPOSITES]
    pairs += [(one, other) for group in _GROUPS for one in group for other in group]
    for one, other in pairs:
        left, right = words(one, stop_words=True), words(other, stop_words=True)
        if len(left) == len(right) == 1 and left != right:
            opposites.setdefault(left[0], set()).add(right[0])
            opposites.setdefault(right[0], set()).add(left[0])
    return {term: frozenset(others) for term, others in opposites.items()}


def _opposites_in(own: frozenset[str], there: frozenset[str]) -> int:
    table = _opposite_terms()
    return sum(bool((table[term] & there) - own) for term in own & table.keys() if term not in there)


def _quantities(text: str) -> list[tuple[str, str]]:
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
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

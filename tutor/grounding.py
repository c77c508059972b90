"""Is what an answer says borne out by its passages? Deterministic and offline: features of both, weighed by a small model."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from corpus.sentences import split_prose
from index.static_encoder import Vectors
from index.words import words
from tutor.grounding_features import FEATURES, WORD_FEATURES, Comparison, compare
from tutor.grounding_words import read_words, without_marks

Verdict = Literal["supported", "partially supported", "unsupported", "contradicted", "not checkable"]
Idf = Callable[[str], float]

SUPPORTED = 0.5
"""Chance from which a sentence counts as supported."""
SHIPPED_WEIGHTS = Path(__file__).parent / "grounding.json"
_PARTIAL = 0.25
_BEYOND_DOUBT = 0.85
"""Chance from which nothing in a sentence is marked as missing."""
_MISSING = 0.3
"""Chance from which a word counts as one that the passages do not bear out."""
_MOST_LETTERS = 1_500
"""Of a sentence that is looked at as one; a longer one is as supported as its least supported piece."""
_OTHERWISE = tuple(
    "contradiction other_unit new_negation opposites exchanged other_opposite other_name other_number".split()
)
"""Features any of which says that a passage tells it otherwise."""
_ASKS = re.compile(r"[?？]\s*$")
_SAYS_NOTHING = re.compile(
    r"^\W*(?:(?:hello|hi|hey|thanks|thank you|sure|of course|certainly|great question|good luck|i hope)\b"
    r"|(?:sorry|i['’]m sorry|i am sorry|i apologi[sz]e|unfortunately, i|i (?:do not|don['’]t|cannot|can['’]t|could not|couldn['’]t))\b"
    r"|(?:the )?(?:passages|guides|documents|sources|context) (?:do|does) not (?:answer|cover|say|contain|mention)\b"
    r"|你好|您好|谢谢|抱歉|对不起|当然)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SentenceCheck:
    """What the passages bear out of one sentence."""

    start: int
    end: int
    verdict: Verdict
    probability: float
    """That the passages bear it out, 0 to 1."""
    evidence: str = ""
    """The sentences of the passages that come nearest."""
    missing: tuple[tuple[int, int], ...] = ()
    """Start and end of what in it they do not bear out, in the answer's characters."""

    @property
    def is_checkable(self) -> bool:
        """Whether it claims anything."""
        return self.verdict != "not checkable"


@dataclass(frozen=True)
class AnswerCheck:
    """An answer checked sentence by sentence."""

    sentences: tuple[SentenceCheck, ...]

    @property
    def checkable(self) -> tuple[SentenceCheck, ...]:
        """The sentences that claim something."""
        return tuple(sentence for sentence in self.sentences if sentence.is_checkable)

    @property
    def probability(self) -> float:
        """That all it says is borne out: that of its least supported sentence; 1 where it claims nothing."""
        return min((sentence.probability for sentence in self.checkable), default=1.0)

    @property
    def faithfulness(self) -> float | None:
        """Share of the claims that are supported; None where it claims nothing."""
        return self._share("supported")

    @property
    def contradiction_rate(self) -> float | None:
        """Share of the claims that a passage contradicts; None where it claims nothing."""
        return self._share("contradicted")

    def _share(self, verdict: Verdict) -> float | None:
        claims = self.checkable
        return sum(sentence.verdict == verdict for sentence in claims) / len(claims) if claims else None


@dataclass(frozen=True)
class GroundingWeights:
    """Coefficients of two logistic models: of a sentence, and of each of its words."""

    sentence: Vectors
    """By FEATURES."""
    intercept: float
    word: Vectors
    """By WORD_FEATURES."""
    word_intercept: float

    @classmethod
    def load(cls, file: Path) -> GroundingWeights:
        """Read what `save` wrote. Raises ValueError where it is not that."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                np.array([data["sentence"][name] for name in FEATURES], dtype=np.float32),
                float(data["intercept"]),
                np.array([data["word"][name] for name in WORD_FEATURES], dtype=np.float32),
                float(data["word_intercept"]),
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{str(file)!r} holds no grounding weights ({error}). Make them: tutor train grounding."
            ) from error

    def save(self, file: Path) -> None:
        """Write as JSON, by the features' names."""
        data = {
            "sentence": {name: round(float(value), 4) for name, value in zip(FEATURES, self.sentence, strict=True)},
            "intercept": round(self.intercept, 4),
            "word": {name: round(float(value), 4) for name, value in zip(WORD_FEATURES, self.word, strict=True)},
            "word_intercept": round(self.word_intercept, 4),
        }
        file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


@cache
def shipped_weights() -> GroundingWeights:
    """The coefficients that come with the tutor."""
    return GroundingWeights.load(SHIPPED_WEIGHTS)


def support(sentence: str, passages: Sequence[str], idf: Idf) -> float:
    """The chance, 0 to 1, that one of the passages bears the sentence out; 0 without passages, and without a word of content."""
    return check_sentence(sentence, passages, idf).probability


def check_sentence(
    sentence: str, passages: Sequence[str], idf: Idf, *, question: str = "", weights: GroundingWeights | None = None
) -> SentenceCheck:
    """Hold a sentence against each passage; the one that bears it out best counts, never a mixture.

    Names and numbers of the question may be repeated freely. Raises nothing for text of any kind.
    """
    weights = weights or shipped_weights()
    given = frozenset(word.term for word in read_words(question))
    pieces = [
        _check_piece(start, text, passages, idf, given, weights)
        for start, text in _pieces(without_marks(sentence))
        if words(text)
    ]
    if not pieces:
        return SentenceCheck(0, len(sentence), "not checkable", 0.0)
    worst = min(pieces, key=lambda piece: piece.probability)
    missing = tuple(span for piece in pieces for span in piece.missing)
    verdict = worst.verdict if is_claim(sentence) else "not checkable"
    return SentenceCheck(0, len(sentence), verdict, worst.probability, worst.evidence, missing)


def check_answer(
    answer: str,
    passages: Sequence[str],
    idf: Idf,
    *,
    question: str = "",
    sentences: Sequence[tuple[int, int]] | None = None,
    weights: GroundingWeights | None = None,
) -> AnswerCheck:
    """Check each sentence of an answer; `sentences` are their starts and ends where somebody has cut it already."""
    checks = []
    for start, end in sentences if sentences is not None else sentence_places(answer):
        found = check_sentence(answer[start:end], passages, idf, question=question, weights=weights)
        missing = tuple((start + first, start + last) for first, last in found.missing)
        checks.append(replace(found, start=start, end=end, missing=missing))
    return AnswerCheck(tuple(checks))


def is_claim(sentence: str) -> bool:
    """Whether a sentence says anything that passages could bear out: no question, no greeting, no refusal."""
    return bool(words(sentence)) and not _ASKS.search(sentence) and not _SAYS_NOTHING.search(sentence)


def sentence_places(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence."""
    places, start = [], 0
    for part in split_prose(text):
        # The parts have their white space made single.
        match = re.compile(r"\s+".join(map(re.escape, part.split()))).search(text, start)
        if match:
            places.append(match.span())
            start = match.end()
    return places


def collection_idf(passages: Sequence[str]) -> Idf:
    """How rare a word is among the sentences of a collection that has no index."""
    counts: Counter[str] = Counter()
    total = 0
    for passage in dict.fromkeys(passages):
        for sentence in re.split(r"(?<=[.!?。！？])\s*|\n+", passage):
            terms = {word.term for word in read_words(sentence)}
            total += bool(terms)
            counts.update(terms)
    return lambda word: math.log(1 + (total - counts[word] + 0.5) / (counts[word] + 0.5))


def _check_piece(
    start: int,
    text: str,
    passages: Sequence[str],
    idf: Idf,
    given: frozenset[str],
    weights: GroundingWeights,
) -> SentenceCheck:
    best: tuple[float, Comparison] | None = None
    whole = " ".join(text.split())
    for passage in passages:
        if whole in _single_spaced(passage):
            return SentenceCheck(0, len(text), "supported", 1.0, whole)
        compared = compare(text, passage, idf, question_terms=given)
        if compared is None:
            continue
        chance = _chance(float(compared.features @ weights.sentence) + weights.intercept)
        if best is None or chance > best[0]:
            best = chance, compared
    if best is None:
        return SentenceCheck(0, len(text), "unsupported", 0.0, missing=((start, start + len(text)),))
    chance, compared = best
    verdict = _verdict(chance, compared)
    missing = () if chance >= _BEYOND_DOUBT else _missing(start, compared, weights)
    return SentenceCheck(0, len(text), verdict, round(chance, 4), compared.evidence, missing)


def verdict_of(chance: float) -> Verdict:
    """What a chance says, of a sentence that no passage contradicts."""
    if chance >= SUPPORTED:
        return "supported"
    return "partially supported" if chance >= _PARTIAL else "unsupported"


def _verdict(chance: float, compared: Comparison) -> Verdict:
    values = dict(zip(FEATURES, compared.features.tolist(), strict=True))
    # Who speaks of the same thing in other words, or not at all, contradicts nothing.
    if chance < SUPPORTED and values["near"] >= SUPPORTED and any(values[name] for name in _OTHERWISE):
        return "contradicted"
    return verdict_of(chance)


def _missing(start: int, compared: Comparison, weights: GroundingWeights) -> tuple[tuple[int, int], ...]:
    """Runs of words that the passage does not bear out."""
    spans: list[tuple[int, int]] = []
    is_open = False
    for word, logit in zip(compared.words, compared.word_features @ weights.word + weights.word_intercept, strict=True):
        is_missing = _chance(float(logit)) >= _MISSING
        if is_missing and is_open:
            spans[-1] = spans[-1][0], start + word.end
        elif is_missing:
            spans.append((start + word.start, start + word.end))
        is_open = is_missing
    return tuple(spans)


def _pieces(sentence: str) -> Iterator[tuple[int, str]]:
    start = 0
    while len(sentence) - start > _MOST_LETTERS:
        cut = sentence.rfind(" ", start, start + _MOST_LETTERS)
        end = cut if cut > start else start + _MOST_LETTERS
        yield start, sentence[start:end]
        start = end
    yield start, sentence[start:]


@lru_cache(maxsize=512)
def _single_spaced(passage: str) -> str:
    return " ".join(passage.split())


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))

"""An attempt judged key point by key point, with the learner's own words as evidence. Deterministic, no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from operator import itemgetter
from typing import Literal

import numpy as np

from corpus.documents import language_of
from corpus.questions import KeyPoint, Misconception, Question
from corpus.sentences import split_sentences
from index.static_encoder import Vectors
from index.words import STOP_WORDS, words
from tutor.answers import Citation

VerdictName = Literal["made", "partial", "missing", "contradicted", "unjudged"]
CREDIT: Mapping[VerdictName, float] = {
    "made": 1.0,
    "partial": 0.5,
    "missing": 0.0,
    "contradicted": 0.0,
    "unjudged": 0.0,
}
WORD_SHARE = 0.6
"""Weight of the words that point and attempt share; their nearness in meaning has the rest. From a logistic regression on
four sets of human judgements, balanced by set and label (ArgKP, REALSumm, Beetle, SciEntsBank): 1.94 to 1.27."""
MADE, PARTIAL = 0.42, 0.3
"""Degrees from which a point counts; the regression's even chance is at 0.41."""
MISCONCEPTION = 0.6
MISCONCEPTION_PENALTY = 0.1
MAX_ATTEMPT_CHARACTERS = 50_000
_QUESTION_WORD_WEIGHT = 0.3
_WINDOW_SENTENCES = 2
_SIMILAR = 0.86
_MIN_FUZZY_LENGTH = 6
_MIN_FUNCTION_WORDS = 0.1
_MIN_LIST_WORDS = 9

_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|without|nor|neither|isn|doesn|don|won|can|aren)(?:'t|’t)?\b|n't\b|n’t\b|不|没有|无法|并非",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:，；：]|\b(?:and|but|because|so|while|whereas|since|which)\b")
_CAN = re.compile(r"\bcan\b(?!'t|’t| ?not)", re.IGNORECASE)
_DOES_NOT_KNOW = re.compile(
    r"\b(?:i )?(?:really )?(?:don'?t|don’t|do not) (?:know|remember|recall)\b|\bno idea\b|\bnot sure\b|\bno clue\b|\bi give up\b|不知道|不清楚|不会|忘了",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class GradingError(ValueError):
    """An attempt that cannot be graded; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """What became of one key point."""

    key_point: KeyPoint
    verdict: VerdictName
    evidence: str = ""
    """The learner's words that the verdict rests on; empty where the point is missing."""
    degree: float = 0.0
    """How much of the point was found, 0 to 1."""
    citation: Citation | None = None
    """The guide section that supports the point."""


@dataclass(frozen=True)
class FoundMisconception:
    """A wrong belief that the attempt states."""

    misconception: Misconception
    evidence: str
    citation: Citation | None = None


@dataclass(frozen=True)
class Grade:
    """How well an attempt covers a question's key points."""

    question: Question
    attempt: str
    verdicts: tuple[Verdict, ...]
    misconceptions: tuple[FoundMisconception, ...] = ()
    feedback: str = ""
    follow_up: str = ""
    grader: str = "offline"
    remarks: tuple[str, ...] = field(default=())
    """What the grader noticed about the attempt as a whole: a list of keywords, another language."""

    @property
    def is_judged(self) -> bool:
        """Whether there is a score at all; an attempt in a language the grader does not know has none."""
        return not any(verdict.verdict == "unjudged" for verdict in self.verdicts)

    @property
    def score(self) -> float | None:
        """Share of the key points' weight that was made, partly made points counting half, less a tenth for each misconception.

        0 to 1; None where the attempt could not be judged.
        """
        if not self.is_judged:
            return None
        weights = sum(verdict.key_point.weight for verdict in self.verdicts)
        credit = sum(verdict.key_point.weight * CREDIT[verdict.verdict] for verdict in self.verdicts)
        share = credit / weights if weights else 0.0
        return round(max(0.0, share - MISCONCEPTION_PENALTY * len(self.misconceptions)), 4)

    @property
    def missed(self) -> tuple[KeyPoint, ...]:
        """Key points that earned nothing or half, weightiest first."""
        open_points = [verdict.key_point for verdict in self.verdicts if verdict.verdict != "made"]
        return tuple(sorted(open_points, key=lambda point: -point.weight))


def grade_attempt(
    question: Question,
    attempt: str,
    *,
    idf: Callable[[str], float],
    embed: Callable[[Sequence[str]], Vectors],
    cite: Callable[[str, str], Citation | None],
) -> Grade:
    """Judge each key point of the question against the attempt.

    `idf` weighs words by rarity, `embed` gives texts unit vectors. `cite(section, text)` gives the passage of a guide section that supports a text. Raises
    GradingError for an attempt that is empty, too long or not text.
    """
    attempt = _checked(attempt)
    points = (*_result_point(question), *question.key_points)
    if language_of(attempt) != language_of(question.prompt) and not question.quantity:
        return _unjudged(question, attempt, points, cite)
    matcher = _Matcher(question, attempt, idf, embed)
    verdicts = []
    for point in points:
        name, evidence, degree = _judge(point, question, matcher)
        verdicts.append(Verdict(point, name, evidence, round(degree, 4), cite(point.section, point.text)))
    misconceptions = tuple(
        FoundMisconception(item, evidence, cite(item.section, item.text))
        for item in question.misconceptions
        for evidence in [matcher.states(item, verdicts)]
        if evidence
    )
    grade = Grade(question, attempt, tuple(verdicts), misconceptions, remarks=matcher.remarks)
    return Grade(
        question, attempt, grade.verdicts, misconceptions, _feedback(grade), _follow_up(grade), remarks=matcher.remarks
    )


def _checked(attempt: str) -> str:
    if len(attempt) > MAX_ATTEMPT_CHARACTERS:
        raise GradingError(
            f"The answer has {len(attempt):,} characters. Expected at most {MAX_ATTEMPT_CHARACTERS:,}: answer as you would in an interview."
        )
    # What the terminal could not decode arrives as lone surrogates, which no file or database takes.
    if re.search(r"[\0\ud800-\udfff]", attempt):
        raise GradingError("The answer is binary, not text. Type the answer, or give a text file.")
    if not attempt.strip():
        raise GradingError("The answer is empty. Write what you would say, or say that you don't know.")
    return attempt.strip()


def _unjudged(
    question: Question, attempt: str, points: Sequence[KeyPoint], cite: Callable[[str, str], Citation | None]
) -> Grade:
    verdicts = tuple(Verdict(point, "unjudged", citation=cite(point.section, point.text)) for point in points)
    remark = "The answer is in another language than the question. The offline grader cannot judge it: answer in the question's language."
    return Grade(question, attempt, verdicts, feedback=remark, remarks=(remark,))


def _result_point(question: Question) -> tuple[KeyPoint, ...]:
    """The number a compute question asks for, as the first and weightiest key point."""
    if question.quantity is None:
        return ()
    unit = "" if question.quantity.unit == "1" else f" {question.quantity.unit}"
    section = question.key_points[0].section if question.key_points else ""
    return (KeyPoint(f"The result is {question.quantity.value:,.10g}{unit}.", 3.0, section),)


class _Matcher:
    """Finds what a key point says in the words of an attempt."""

    def __init__(
        self,
        question: Question,
        attempt: str,
        idf: Callable[[str], float],
        embed: Callable[[Sequence[str]], Vectors],
    ) -> None:
        self._idf = idf
        self._embed = embed
        self._asked = {word for wording in question.wordings for word in words(wording)}
        self.sentences = [sentence.text for sentence in split_sentences(attempt)] or [attempt]
        self.is_blank = bool(_DOES_NOT_KNOW.search(attempt)) and len(set(words(attempt)) - self._asked) <= 4
        self.is_keyword_list = _is_keyword_list(attempt)
        self.attempt = attempt
        spans = [
            (start, size) for size in range(1, _WINDOW_SENTENCES + 1) for start in range(len(self.sentences) - size + 1)
        ]
        # Windows are told apart, not sentences: a repeated sentence must not part two that stood side by side.
        sizes = {" ".join(self.sentences[start : start + size]): size for start, size in reversed(spans)}
        self.windows, self._sizes = list(sizes)[::-1], list(sizes.values())[::-1]
        self._words = [frozenset(words(window)) for window in self.windows]
        # What the question says is taken out of every vector: an echo of it must not be near to anything.
        self._subject = embed([question.prompt])[0]
        self._vectors = self._beside_subject(self.windows)

    def _beside_subject(self, texts: Sequence[str]) -> Vectors:
        vectors = self._embed(texts)
        vectors = vectors - np.outer(vectors @ self._subject, self._subject)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), dtype=np.float32)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about the attempt as a whole."""
        remark = "This is a list of keywords. Say in sentences how they hang together: keywords alone earn half."
        return (remark,) if self.is_keyword_list else ()

    def best(self, text: str, *, agreeing: bool = False) -> tuple[float, str]:
        """How much of a text the attempt holds, 0 to 1, and the attempt's sentences that hold it.

        With `agreeing` only sentences count that affirm what the text affirms and deny what it denies.
        """
        weights = {
            word: self._idf(word) * (_QUESTION_WORD_WEIGHT if word in self._asked else 1.0)
            for word in dict.fromkeys(words(text))
        }
        total = sum(weights.values())
        new = {word for word in weights if word not in self._asked}
        nearness = self._vectors @ self._beside_subject([text])[0]
        best, evidence = 0.0, ""
        for window, size, present, near in zip(self.windows, self._sizes, self._words, nearness, strict=True):
            # Without a word of its own a window only repeats the question.
            if not present - self._asked:
                continue
            found = {word: _likeness(word, present) for word in weights}
            if new and not any(found[word] for word in new):
                found = dict.fromkeys(found, 0.0)
            shared = sum(weights[word] * found[word] for word in weights) / total if total else 0.0
            degree = WORD_SHARE * shared + (1 - WORD_SHARE) * max(0.0, float(near))
            # A longer window must pay for its length, so that the evidence stays the words that matter.
            degree -= 0.03 * (size - 1)
            if degree > best and (not agreeing or _agree(window, text)):
                best, evidence = degree, window
        return best, evidence

    def states(self, misconception: Misconception, verdicts: Sequence[Verdict]) -> str:
        """The words in which the attempt states a wrong belief; empty where it does not."""
        degree, evidence = self.best(misconception.text)
        if self.is_blank or degree < MISCONCEPTION or not _agree(evidence, misconception.text):
            return ""
        # The right statement often shares most words with the wrong one: the one that is nearer counts.
        nearer = any(verdict.evidence == evidence and verdict.degree >= degree for verdict in verdicts)
        return "" if nearer else evidence


def _judge(point: KeyPoint, question: Question, matcher: _Matcher) -> tuple[VerdictName, str, float]:
    if question.quantity and point.text.startswith("The result is "):
        return _judge_result(question.quantity.value, question.quantity.tolerance, matcher)
    if matcher.is_blank:
        return "missing", "", 0.0
    phrasings = (point.text, *point.phrasings)
    # Each phrasing's best agreeing words, so that a sentence more can only add to what was there.
    agreed, agreed_evidence = max((matcher.best(phrasing, agreeing=True) for phrasing in phrasings), key=itemgetter(0))
    if agreed < PARTIAL:
        degree, evidence = max((matcher.best(phrasing) for phrasing in phrasings), key=itemgetter(0))
        if degree >= MADE:
            return "contradicted", evidence, degree
    degree, evidence = agreed, agreed_evidence
    if degree >= MADE and not matcher.is_keyword_list:
        return "made", evidence, degree
    if degree >= PARTIAL:
        return "partial", evidence, degree
    return "missing", "", degree


def _judge_result(value: float, tolerance: float, matcher: _Matcher) -> tuple[VerdictName, str, float]:
    for sentence in matcher.sentences:
        for match in _NUMBER.finditer(sentence):
            number = float(match[0].replace(",", ""))
            # A hand calculation may round: 1 % is what an interviewer lets pass.
            if abs(number - value) <= max(tolerance, 0.01 if value != int(value) else 0.0) * abs(value):
                return "made", sentence, 1.0
    return "missing", "", 0.0


def _likeness(word: str, present: frozenset[str]) -> float:
    """1 where the word is there, a little less where a misspelt one is."""
    if word in present:
        return 1.0
    if len(word) < _MIN_FUZZY_LENGTH or not word.isascii():
        return 0.0
    close = any(
        abs(len(other) - len(word)) <= 2
        and other[0] == word[0]
        and SequenceMatcher(None, word, other).ratio() >= _SIMILAR
        for other in present
    )
    return 0.9 if close else 0.0


def _agree(evidence: str, text: str) -> bool:
    """Whether a text and the words that seem to say it are both affirmed or both denied.

    Clause against clause: "everything is active, and we don't scale" does not deny that everything is active.
    """
    said = _closest(_clauses(evidence), text)
    return _negated(said) == _negated(_closest(_clauses(text), said))


def _clauses(text: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(text) if clause.strip()] or [text]


def _closest(clauses: Sequence[str], text: str) -> str:
    wanted = set(words(text))
    return max(clauses, key=lambda clause: len(wanted & set(words(clause))))


def _negated(text: str) -> bool:
    """Whether a text denies what its words say; two negations cancel."""
    found = [match for match in _NEGATION.finditer(text) if not _CAN.fullmatch(match[0])]
    return len(found) % 2 == 1


def _is_keyword_list(attempt: str) -> bool:
    tokens = re.findall(r"[A-Za-z']+", attempt.lower())
    if len(tokens) < _MIN_LIST_WORDS or language_of(attempt) != "en":
        return False
    return sum(token in STOP_WORDS for token in tokens) / len(tokens) < _MIN_FUNCTION_WORDS


def _feedback(grade: Grade) -> str:
    by_name: dict[VerdictName, list[str]] = {}
    for verdict in grade.verdicts:
        by_name.setdefault(verdict.verdict, []).append(verdict.key_point.text)
    made, total = len(by_name.get("made", [])), len(grade.verdicts)
    parts = [f"You made {made} of {total} key points."]
    if by_name.get("contradicted"):
        parts.append(f"Your answer says the opposite of this: {by_name['contradicted'][0]}")
    if grade.misconceptions:
        parts.append(f"This is a common mistake: {grade.misconceptions[0].misconception.text}")
    if by_name.get("partial"):
        parts.append(f"Say this in full: {by_name['partial'][0]}")
    if by_name.get("missing"):
        weightiest = max(
            (verdict.key_point for verdict in grade.verdicts if verdict.verdict == "missing"),
            key=lambda point: point.weight,
        )
        parts.append(f"What is missing most: {weightiest.text}")
    if made == total and not grade.misconceptions:
        parts.append("That is a complete answer.")
    return " ".join((*parts, *grade.remarks))


def _follow_up(grade: Grade) -> str:
    """A question aimed at the weightiest open point, which does not give the point away; a step deeper when all is made."""
    question = grade.question
    if not grade.missed:
        return question.follow_ups[-1] if question.follow_ups else ""
    missed = grade.missed[0]
    verdict = next(verdict for verdict in grade.verdicts if verdict.key_point is missed)
    if verdict.verdict in {"partial", "contradicted"}:
        return f"You said: “{verdict.evidence}” Can you go through that again, step by step?"
    if verdict.citation is not None:
        return f"What can you add about “{verdict.citation.chunk.heading}”?"
    return question.follow_ups[0] if question.follow_ups else ""

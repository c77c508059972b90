"""The shipped grader: how far an attempt says what a key point or a reference says. Weights beside it, NumPy alone.

A logistic regression over the features of `similarity`, each weight held to the sign that its feature must have, so that no
habit of one training set can make a better answer count less. `docs/grader.md` says what it was trained on and how good it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.documents import language_of
from corpus.sentences import split_sentences
from index.static_encoder import Vectors
from index.words import STOP_WORDS, words
from tutor.similarity import (
    FEATURES,
    GROWING,
    POSITION,
    SIGNS,
    Comparison,
    Lexicon,
    Wording,
    compare,
    fragments_kept,
    order_kept,
    wording,
)

SHIPPED_GRADER = Path(__file__).parent / "grader"
MAX_WINDOWS = 600
_MIN_LIST_WORDS = 9
_MIN_LIST_ITEMS = 3
_MAX_ITEM_WORDS = 1.5
_FUNCTION_SHARE = 0.1
_LIST_DEGREE = 0.55
"""What keywords or words without order can reach: half."""
_NOTES = (2.5, 8.0)
"""Words a line of notes, which lack small words too; keywords stand one by one, or all in a row."""
_KNOWN_ORDER, _KNOWN_FLOW = 0.5, -0.05
_LEAST_SHUFFLED, _COPIED, _REUSED = 5, 0.95, 0.9
"""Words that an order can be told of; the share of a text's words that must be a reference's, whatever their flow and where it is broken."""
_FEW = 2
"""Content words of a reference that is itself no more than keywords."""
_OPPOSED = 0.6
"""Log odds by which a window must deny a point more than it says it: of nine phrasings one or another has a negation that the window lacks."""
_PHRASINGS, _RAISE, _ALONE = 3, 0.15, 0.2
"""Phrasings of a point that count, the nearest third and no more than these; the log odds that each beyond the first makes up for, since
three are harder to meet than one; and what the nearest loses where it counts alone: it may be near by chance, but who says it word for word
has made the point."""
_BY_PART, _BY_WHOLE, _BY_LENGTH, _MILD = 1.5, 0.4, 0.8, 1.6
"""How much of a reference's part is said: what its own log odds count, those of the whole answer, and its length; and how much milder than
these are people. Of sixty such quadruples the one with which the degrees agree best with people's verdicts on our learners' answers beside
model answers, and their mean with marks in three sets."""
_BY_NUMBER = 0.3
"""Log odds for each unit of the logarithm of the number of references: one among many is the more easily met."""
_MISTAKES, _AHEAD, _AGAINST, _USUAL = 2, 0.5, 0.5, 0.1
"""Known mistakes that count, the nearest; by how much a point must lead them, in log odds, and what each unit costs by which it does not; and
what that costs a point that is made, on average. A mistake that nobody wrote down is nearer to the others than a right line is."""
_HARDLY = 0.2
"""Degree below which a sentence does not count among those that say a point together."""
_IN_PARTS, _MILDER = 0.3, 0.5
"""How much of a mark goes by the parts, and by how many log odds people who give marks are milder there. On Mohler correlation rises by .01
with it, with one reference and with six; on DigiKlausur and SAF it stays, or falls by .005."""
_FAR, _HALVINGS = 30.0, 50
"""Log odds beyond which a degree is 0 or 1, and steps to find how far degrees must be shifted."""
_RELEVANT = -1.2
"""Log odds with which a sentence must say some part of a reference to be looked at."""
_MAX_BLANK_WORDS = 4
_OTHER_STOP_WORDS = frozenset(
    (
        "der die das den dem des ein eine einer einem eines und oder ist sind wird werden zu zum zur mit von vom auf aus im am bei nach nicht als wenn "
        "le la les un une des du et ou est sont dans avec pour par sur que qui ne pas el los las una y o es son en con para por se al lo no"
    ).split()
)
"""Small words of German, French and Spanish, which the grader cannot judge well but must not take for keywords."""
_FORMULA = re.compile(r"[=<>{}]")
"""Formulas and code have no small words either."""
_DOES_NOT_KNOW = re.compile(
    r"\b(?:i )?(?:really )?(?:don'?t|don’t|do not) (?:know|remember|recall)\b|\bno idea\b|\bnot sure\b|\bno clue\b|\bi give up\b|不知道|不清楚|不会|忘了",
    re.IGNORECASE,
)
_SHARPNESS = 2.0
"""Of right and wrong; steeper than the judgements ask for: an answer off the subject must earn next to nothing, a full one nearly all."""
_WORD_DEGREE = 0.4
"""What a single word can reach, where the point is no single word."""
RATIO_RANGE = (-1.5, 0.7)
_EVERYWHERE = 1 / 3
"""What the mean over all references counts, beside the nearest."""
_SHORT_REFERENCE, _LONG_REFERENCE = 8, 32
"""Content words: up to the first a long answer says nothing for itself, from the second its length counts in full."""
ANSWER_INPUTS = (
    *(f"whole {name}" for name in FEATURES),  # the whole answer beside the whole reference
    *(f"parts {name}" for name in FEATURES),  # mean over the reference's parts of the best that any sentence has
    "fragments",  # share of the four-letter fragments of the reference's words that the answer has
    "fresh",  # logarithm of 1 + the number of words that the question does not have
)
ANSWER_SIGNS = (*SIGNS, *SIGNS, 1, 1)


@dataclass(frozen=True)
class PointMatch:
    """How far an attempt says one key point."""

    degree: float
    """0 to 1; 0.5 where the point is as likely made as not."""
    evidence: tuple[int, ...]
    """The windows that say it."""
    denied_degree: float
    """How far a window would say it, were it not for a denial."""
    denied_by: int
    """That window; -1 where none denies."""


@dataclass(frozen=True)
class Board:
    """Every point beside every window."""

    says: Vectors
    """Degrees to which a window says a point, by its nearest phrasing, shape (points, windows); 0 where it denies it."""
    phrasings: Vectors
    """Degrees to which a window says each phrasing, shape (phrasings of all points, windows); 0 where it denies it."""
    denies: Vectors
    """Degrees to which a window would say a point that it denies or has the opposite of; 0 where it has neither."""
    nearness: Vectors
    """Degrees to which a window says a point before anything is held down: keywords for a wrong statement are wrong too."""
    order: Vectors
    """Shares of the neighbouring words of a point's nearest phrasing that a window has, in order."""
    opposed: NDArray[np.bool_]
    """Where a window denies a point, or says the opposite of it, more than it says it."""
    caps: Vectors
    """The most that each window may reach: half for keywords and shuffled words, nothing for an echo of the question."""
    comparison: Comparison
    starts: NDArray[np.int64]
    """Where each point's phrasings start among the references."""
    weights: GraderWeights

    def weighed(self, wrong: NDArray[np.int64]) -> Vectors:
        """By how many log odds more each window counts for a point, less than 0 where it is near to what is wrong; shape (len(wrong), windows).

        `wrong` names for each point the point of the board whose phrasings are what contradicts it; -1 where nothing is known. By
        the two nearest: mistakes about one point are like each other, also one that nobody has made yet.
        """
        weighed = np.zeros((len(wrong), self.phrasings.shape[1]), dtype=np.float32)
        for point, other in enumerate(wrong):
            if other >= 0:
                weighed[point] = _USUAL - _AGAINST * np.maximum(self.lead(other, point) + _AHEAD, 0)
        return weighed

    def lead(self, wrong: int, point: int) -> Vectors:
        """By how many log odds each window is nearer to what contradicts a point than to the point, shape (windows,)."""
        known, right = (
            log_odds(np.sort(self.of_point(place), axis=0)[-count:]).mean(axis=0)
            for place, count in ((wrong, _MISTAKES), (point, _PHRASINGS))
        )
        return np.asarray(known - right, dtype=np.float32)

    def of_point(self, point: int) -> Vectors:
        """Degrees to which each window says each phrasing of a point, shape (phrasings, windows)."""
        ends = np.append(self.starts, len(self.phrasings))
        return self.phrasings[ends[point] : ends[point + 1]]

    def matches(self, barred: NDArray[np.bool_], *, makes: float, weighed: Vectors | None = None) -> list[PointMatch]:
        """The first points of the board: each window alone, and all that agree together, so that one more never lowers a degree.

        `barred`, shape (points, windows), says which windows count nothing for a point, and `weighed` by how many log odds they count
        more. A window that makes any point contradicts none: neighbouring points share words.
        """
        points = range(len(barred))
        moved = np.zeros(self.says.shape, dtype=np.float32)
        if weighed is not None:
            moved[points] = weighed
        open_to = np.zeros(self.says.shape, dtype=np.bool_)
        open_to[points] = ~(barred | self.opposed[points])
        counts = np.diff(np.append(self.starts, len(self.phrasings)))
        of_phrasings = np.repeat(open_to, counts, axis=0)
        taken = open_to & (self.says > 0)
        most = np.where(taken, self.caps, 0).max(axis=1)
        alone = np.where(of_phrasings, self._moved(self.phrasings, np.repeat(moved, counts, axis=0)), 0).max(axis=1)
        # A sentence that hardly says a point must not lift what others say of it.
        saying = taken & (self.says >= _HARDLY)
        least = np.where(saying.any(axis=1), np.where(saying, moved, -np.inf).max(axis=1), moved.min(axis=1))
        logits = self.weights.together_logits(self.comparison.together(of_phrasings)) + np.repeat(least, counts)
        together = np.maximum(alone, np.minimum(_degree(logits), np.repeat(most, counts)))
        says = np.where(open_to, self._moved(self.says, moved), 0)
        denies = np.where(open_to | self.opposed, self.denies, 0)
        idle = says[points].max(axis=0, initial=0) < makes
        result = []
        for point in points:
            own = slice(self.starts[point], self.starts[point] + counts[point])
            singly, denied = says[point], np.where(idle, denies[point], 0)
            best, denier = int(singly.argmax()), int(denied.argmax())
            degree, by_one = _of_phrasings(together[own], most[point]), _of_phrasings(alone[own], most[point])
            evidence: tuple[int, ...] = (best,)
            if degree > by_one:
                evidence = tuple(sorted(np.argsort(-singly, kind="stable")[:2].tolist()))
            result.append(PointMatch(degree, evidence, float(denied[denier]), denier if denied[denier] > 0 else -1))
        return result

    def _moved(self, degrees: Vectors, by: Vectors) -> Vectors:
        """Degrees moved by log odds, and still within what their windows may reach."""
        return np.where(degrees > 0, np.minimum(_degree(log_odds(degrees) + by), self.caps), 0)


@dataclass(frozen=True)
class AnswerComparison:
    """A whole answer beside one reference."""

    features: Vectors
    """Of the reference and its parts beside the answer and its sentences; shape (units, windows, features)."""
    fragments: float
    fresh: float
    ratio: float
    """Logarithm of the answer's length by the reference's, in content words."""
    reference_words: int

    @cached_property
    def inputs(self) -> Vectors:
        """The values of `ANSWER_INPUTS`."""
        signs = np.array(SIGNS, dtype=np.float32)
        best = (self.features * signs).max(axis=1) * signs
        parts = best[1:].mean(axis=0) if len(best) > 1 else best[0]
        return np.concatenate([self.features[0, 0], parts, [self.fragments, self.fresh]]).astype(np.float32)

    @property
    def nearness(self) -> float:
        """How near answer and reference are, before any weights: of several references the nearest is the one meant."""
        whole = self.features[0, 0]
        meaning, tfidf, company, denial = (whole[POSITION[name]] for name in ("meaning", "tfidf", "company", "denial"))
        return float(meaning + 0.7 * tfidf + 0.7 * company - 0.5 * denial)

    @property
    def length(self) -> float:
        """The clipped log ratio of lengths, as far as the reference is long enough for a length to tell anything."""
        low, high = math.log(_SHORT_REFERENCE), math.log(_LONG_REFERENCE)
        share = np.clip((math.log(self.reference_words) - low) / (high - low), 0, 1)
        return float(share * np.clip(self.ratio, *RATIO_RANGE))


@dataclass(frozen=True)
class AnswerWeights:
    """What training learned of whole answers. Inputs are first centred and scaled."""

    centre: Vectors
    scale: Vectors
    weights: Vectors
    bias: float
    slope: float
    length: float
    several: float
    """Logit for each unit of the logarithm of the number of references: one among many is the more easily met."""
    shift: float
    lenience: float
    """Logit by which people who give marks are milder than those who say right or wrong."""

    def nearness_logit(self, comparison: AnswerComparison) -> float:
        """Log odds that the answer says the reference, all sets alike."""
        scaled = np.clip((comparison.inputs - self.centre) / self.scale, -4, 4)
        return float(scaled @ self.weights) + self.bias

    def logit(self, comparisons: Sequence[AnswerComparison]) -> float:
        """Log odds that an answer is right, by the nearest of its references and a little by all."""
        return (
            self.slope * of_references(comparisons, self.nearness_logit)
            + self.length * of_references(comparisons, lambda comparison: comparison.length)
            + self.several * math.log(len(comparisons))
            + self.shift
        )

    def as_dict(self) -> dict[str, object]:
        """As JSON, the weights by name."""
        columns = zip(self.centre, self.scale, self.weights, strict=True)
        scalars = {name: round(getattr(self, name), 6) for name in _ANSWER_SCALARS}
        rounded = [[round(float(value), 6) for value in column] for column in columns]
        return {"inputs": dict(zip(ANSWER_INPUTS, rounded, strict=True)), **scalars}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AnswerWeights:
        """Read what `as_dict` gave. Raises ValueError where it does not fit the inputs of this version."""
        if tuple(data["inputs"]) != ANSWER_INPUTS:
            raise ValueError("its inputs differ")
        centre, scale, weights = np.array(list(data["inputs"].values()), dtype=np.float32).T
        return cls(centre, scale, weights, **{name: float(data[name]) for name in _ANSWER_SCALARS})


def of_references(comparisons: Sequence[AnswerComparison], value: Callable[[AnswerComparison], float]) -> float:
    """A value of the answer beside several references: of the nearest, and by a third the mean of all.

    Which reference is nearest is a guess. On a half of Mohler with five and ten further references, and on a sixth of Beetle, the mean beside
    it raised the correlation by .01 (nearest alone .68, .69 and .58; mean alone .67, .67 and .53).
    """
    nearest = max(comparisons, key=lambda comparison: comparison.nearness)
    everywhere = sum(map(value, comparisons)) / len(comparisons)
    return (1 - _EVERYWHERE) * value(nearest) + _EVERYWHERE * everywhere


_ANSWER_SCALARS = ("bias", "slope", "length", "several", "shift", "lenience")


@dataclass(frozen=True)
class GraderWeights:
    """What training learned. Features are first centred and scaled."""

    centre: Vectors
    scale: Vectors
    weights: Vectors
    bias: float
    together_bias: float
    """Logit added where a point is spread over several sentences, for the features that cannot be looked at there."""
    answer: AnswerWeights

    def logits(self, features: Vectors) -> Vectors:
        """Log odds that the reference is said; features in the last axis."""
        scaled = np.clip((features - self.centre) / self.scale, -4, 4)
        return np.asarray(scaled @ self.weights + self.bias, dtype=np.float32)

    def together_logits(self, features: Vectors) -> Vectors:
        """The same for several sentences at once, by the features that another sentence can only better."""
        growing = np.array([name in GROWING for name in FEATURES])
        scaled = np.clip((features - self.centre) / self.scale, -4, 4)
        return np.asarray(scaled[..., growing] @ self.weights[growing] + self.together_bias, dtype=np.float32)

    def point_logit(self, comparison: AnswerComparison) -> float:
        """Log odds that the answer says a key point: mean of the whole answer's, and of the best of it and its sentences."""
        return (self.answer.nearness_logit(comparison) + float(self.logits(comparison.features[0]).max())) / 2

    def save(self, file: Path) -> None:
        """Write as JSON, the weights by name."""
        data = {
            "features": {
                name: [round(float(value), 6) for value in values]
                for name, values in zip(FEATURES, zip(self.centre, self.scale, self.weights, strict=True), strict=True)
            },
            "bias": round(self.bias, 6),
            "together_bias": round(self.together_bias, 6),
            "answer": self.answer.as_dict(),
        }
        file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> GraderWeights:
        """Read what `save` wrote. Raises ValueError where it does not fit the features of this version."""
        data = json.loads(file.read_text(encoding="utf-8"))
        try:
            if tuple(data["features"]) != FEATURES:
                raise ValueError("its features differ")
            answer = AnswerWeights.from_dict(data["answer"])
        except ValueError as error:
            raise ValueError(
                f"{str(file)!r} is of another version: {error}. Train it anew: tutor train grader"
            ) from error
        centre, scale, weights = np.array(list(data["features"].values()), dtype=np.float32).T
        return cls(centre, scale, weights, data["bias"], data["together_bias"], answer)


class Grader:
    """Judges attempts with a lexicon and weights."""

    def __init__(self, lexicon: Lexicon, weights: GraderWeights) -> None:
        self.lexicon = lexicon
        self.weights = weights

    @classmethod
    def load(cls, folder: Path) -> Grader:
        """Read a folder that training wrote."""
        return cls(Lexicon.load(folder / "lexicon.npz"), GraderWeights.load(folder / "weights.json"))

    def read(
        self, question: str, wordings: Sequence[str], points: Sequence[Sequence[str]], windows: Sequence[str]
    ) -> Board:
        """How far each window of an attempt (its sentences) says each point; a point is given by all its phrasings.

        Deterministic, and of each window alone. `wordings` are all ways in which the question is asked: its words count little.
        """
        asked = asked_stems(wordings)
        taken = tuple(wording(window) for window in windows)
        references = [wording(text) for phrasings in points for text in phrasings]
        starts = np.cumsum([0, *(len(phrasings) for phrasings in points[:-1])])
        comparison = compare(references, taken, asked, question, self.lexicon)
        # Without a word of its own a window only repeats the question.
        fresh = np.array([bool(set(window.stems) - asked) for window in taken])
        caps = np.array([self._cap(window, references) for window in taken], dtype=np.float32) * fresh
        nearness, affirmed = self._degrees(comparison)
        says, denies = np.minimum(nearness, caps), np.minimum(affirmed, caps)
        plain, turned = (
            np.maximum.reduceat(np.where(comparison.opposed == side, says, 0), starts, axis=0) for side in (False, True)
        )
        against = np.maximum(np.maximum.reduceat(denies, starts, axis=0), turned)
        opposed = log_odds(against) > log_odds(plain) + _OPPOSED
        return Board(
            np.where(opposed, 0, plain),
            np.where(comparison.opposed, 0, says),
            against,
            np.maximum.reduceat(nearness, starts, axis=0),
            np.maximum.reduceat(comparison.features[:, :, POSITION["phrases"]], starts, axis=0),
            opposed,
            caps,
            comparison,
            starts,
            self.weights,
        )

    def _degrees(self, comparison: Comparison) -> tuple[Vectors, Vectors]:
        """Degrees of windows that agree with the reference, and of those that deny it as if they did not."""
        denial = comparison.features[:, :, POSITION["denial"]] > 0
        affirmed = comparison.features.copy()
        affirmed[:, :, POSITION["denial"]] = affirmed[:, :, POSITION["denies"]] = 0
        degrees = _degree(self.weights.logits(comparison.features))
        return np.where(denial, 0, degrees), np.where(denial, _degree(self.weights.logits(affirmed)), 0)

    def _cap(self, window: Wording, references: Sequence[Wording]) -> float:
        # Some notes of candidates are a word or two long, for points that are not.
        if (
            len(set(window.stems)) == 1
            and sum(len(reference.stems) > 2 for reference in references) > len(references) / 2
        ):
            return _WORD_DEGREE
        return self._order_cap(window, references)

    def _order_cap(self, window: Wording, references: Sequence[Wording]) -> float:
        if is_keyword_list(window.text):
            return _LIST_DEGREE
        return _LIST_DEGREE if self.is_shuffled(window, references) else 1.0

    def is_shuffled(self, window: Wording, references: Sequence[Wording]) -> bool:
        """Whether a window is the words of a reference, of the one that it shares most with, without their order.

        Words that do not follow each other as in sentences, or nearly none but the reference's own.
        """
        if len(window.all_stems) < _LEAST_SHUFFLED or _FORMULA.search(window.text):
            return False
        nearest = max(references, key=lambda reference: len(reference.wanted & window.wanted))
        anywhere = frozenset[str]().union(*(reference.wanted for reference in references))
        own, reused = (
            sum(stem in words for stem in window.all_stems) / len(window.all_stems)
            for words in (nearest.wanted, anywhere)
        )
        is_copied = own >= _COPIED and len(window.all_stems) > _LEAST_SHUFFLED
        is_stammered = reused >= _REUSED and self.lexicon.flow(window.text) <= _KNOWN_FLOW
        return (is_copied or is_stammered) and order_kept(nearest, window) < _KNOWN_ORDER

    def score_answer(
        self,
        question: str,
        answer: str,
        *,
        references: Sequence[str] = (),
        key_points: Sequence[str] = (),
        in_marks: bool = False,
    ) -> float:
        """How right people would find the answer, 0 to 1: the chance of "right", or with `in_marks` the share of full marks.

        By the nearest of the references, as a whole and part by part: its key points where given, else its sentences. Marks are given
        by a third for what `judge_answer` finds of the parts. Without a reference the mean over the key points. Raises ValueError where
        there is neither.
        """
        if not references and not key_points:
            raise ValueError(f"Nothing to judge {answer[:40]!r} by. Expected a reference or key points.")
        asked = asked_stems([question])
        if not answer.strip() or is_blank(answer, asked):
            return 0.0
        weights = self.weights.answer
        parts = key_points if references else ()
        comparisons = [self.compare_answer(question, answer, text, parts) for text in references or key_points]
        if references:
            logit = weights.logit(comparisons)
            if in_marks:
                by_parts = self._earned(
                    [self._part_logits(question, answer, text, windows_of(text)) for text in references]
                )
                logit = (1 - _IN_PARTS) * (logit + weights.lenience) + _IN_PARTS * (by_parts + _MILDER)
            score = _chance(logit if in_marks else _SHARPNESS * logit)
        else:
            score = float(np.mean([_chance(self.weights.point_logit(comparison)) for comparison in comparisons]))
        return self._held(score, wording(answer), [wording(text) for text in references or key_points], asked)

    def judge_answer(
        self, question: str, answer: str, references: Sequence[str], parts: Sequence[str]
    ) -> tuple[float, ...]:
        """How much of each part of the first reference an answer says, 0 to 1.

        By the sentence that says most of the part, and a little by the whole answer beside the whole reference. Of several references all
        count, the nearest most: the degrees are shifted until their mean is what the answer earns by all.
        """
        # The same sentences in another order, or twice, are the same answer.
        answer = " ".join(sorted(windows_of(answer)))
        asked = asked_stems([question])
        if not answer.strip() or is_blank(answer, asked):
            return (0.0,) * len(parts)
        logits, *others = (
            self._part_logits(
                question, answer, reference, parts if reference == references[0] else windows_of(reference)
            )
            for reference in references
        )
        if others:
            wanted = _chance(self._earned([logits, *others]))
            low, high = -_FAR - float(logits.max()), _FAR - float(logits.min())
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                low, high = (middle, high) if _degree(logits + middle).mean() < wanted else (low, middle)
            logits = logits + low
        taken = [wording(text) for text in references]
        whole = wording(answer)
        return tuple(self._held(float(degree), whole, taken, asked) for degree in _degree(logits))

    def _earned(self, of_references: Sequence[Vectors]) -> float:
        """Log odds of what an answer earns beside several references, from those of each one's parts."""
        earned = log_odds(np.array([_degree(logits).mean() for logits in of_references]))
        return float(earned.max() + earned.mean()) / 2 - _BY_NUMBER * math.log(len(earned))

    def _part_logits(self, question: str, answer: str, reference: str, parts: Sequence[str]) -> Vectors:
        # What says nothing of the reference must neither hide what does, nor count as a longer answer.
        relevant = " ".join(self._relevant(question, windows_of(answer), parts)) or answer
        said = [
            float(self.weights.logits(self.compare_answer(question, relevant, part).features[0]).max())
            for part in parts
        ]
        whole = self.compare_answer(question, relevant, reference)
        rest = _BY_WHOLE * self.weights.answer.logit([whole]) + _BY_LENGTH * whole.length
        return np.asarray(_BY_PART * np.array(said) + rest + _MILD, dtype=np.float32)

    def _relevant(self, question: str, sentences: Sequence[str], parts: Sequence[str]) -> list[str]:
        """The sentences that may say some part."""
        if len(sentences) == 1:
            return list(sentences)
        comparison = compare(
            [wording(part) for part in parts],
            tuple(wording(text) for text in sentences),
            asked_stems([question]),
            question,
            self.lexicon,
        )
        near = self.weights.logits(comparison.features).max(axis=0) >= _RELEVANT
        return [text for text, counts in zip(sentences, near, strict=True) if counts]

    def _held(self, score: float, whole: Wording, references: Sequence[Wording], asked: frozenset[str]) -> float:
        """A score held to what an echo of the question, words without order, and a denial of all that follows may reach."""
        if not set(whole.stems) - asked and not any(set(reference.stems) <= asked for reference in references):
            return 0.0
        if whole.is_denied and not any(reference.is_denied for reference in references):
            # "It is not true that …" turns all around that follows.
            return min(score, 1 - score)
        # A question with a reference may ask for one word or two: those are no less than they say.
        nearest = max(references, key=lambda reference: len(reference.wanted & whole.wanted))
        is_list = is_keyword_list(whole.text) and len(nearest.stems) > _FEW
        return min(score, _LIST_DEGREE) if is_list or self.is_shuffled(whole, [nearest]) else score

    def compare_answer(
        self, question: str, answer: str, reference: str, key_points: Sequence[str] = ()
    ) -> AnswerComparison:
        """The reference and its parts (key points, else sentences) beside the answer and its sentences."""
        windows = [wording(text) for text in dict.fromkeys([answer, *windows_of(answer)])]
        units = [wording(text) for text in dict.fromkeys([reference, *(key_points or windows_of(reference))])]
        asked = asked_stems([question])
        whole, wanted = windows[0], units[0]
        return AnswerComparison(
            compare(units, windows, asked, question, self.lexicon).features,
            fragments_kept(wanted, whole, asked),
            math.log1p(len(set(whole.stems) - asked)),
            math.log(len(whole.stems) / len(wanted.stems)),
            len(wanted.stems),
        )


@cache
def shipped_grader() -> Grader:
    """The grader of this package; read once."""
    return Grader.load(SHIPPED_GRADER)


def asked_stems(wordings: Sequence[str]) -> frozenset[str]:
    """Stems of every way in which a question is asked."""
    return frozenset(stem for text in wordings for stem in words(text))


def windows_of(text: str) -> list[str]:
    """The sentences of an attempt, each once."""
    return list(dict.fromkeys(sentence.text for sentence in split_sentences(text)))[:MAX_WINDOWS] or [text]


def is_blank(text: str, asked: frozenset[str]) -> bool:
    """Whether a text only says that its author does not know."""
    return bool(_DOES_NOT_KNOW.search(text)) and len(set(words(text)) - asked) <= _MAX_BLANK_WORDS


def is_keyword_list(text: str) -> bool:
    """Whether a text is words without the small ones that make them a sentence: many in a row, or few between commas."""
    tokens = re.findall(r"[A-Za-z']+", text.lower())
    if len(tokens) < _MIN_LIST_ITEMS or language_of(text) != "en" or _FORMULA.search(text):
        return False
    items = sum(1 for item in re.split(r"[,;\n]", text) if re.search(r"[A-Za-z]", item))
    if items > _MIN_LIST_ITEMS and len(tokens) < _MAX_ITEM_WORDS * items:
        return True
    lines = sum(1 for line in text.splitlines() if re.search(r"[A-Za-z]", line))
    if len(tokens) < _MIN_LIST_WORDS or (lines > 1 and _NOTES[0] <= len(tokens) / lines <= _NOTES[1]):
        return False
    return sum(token in STOP_WORDS or token in _OTHER_STOP_WORDS for token in tokens) < _FUNCTION_SHARE * len(tokens)


def _of_phrasings(degrees: Vectors, most: float) -> float:
    """How far a point is said, by the mean of its nearest phrasings or by the nearest; never beyond `most`."""
    counted = min(_PHRASINGS, max(1, round(len(degrees) / _PHRASINGS)))
    nearest = np.sort(degrees)[-counted:]
    if not nearest[-1]:
        return 0.0
    logits = log_odds(nearest)
    logit = max(float(logits.mean()) + _RAISE * (len(logits) - 1), float(logits[-1]) - _ALONE * (len(logits) > 1))
    return min(_chance(logit), float(most))


def log_odds(degrees: Vectors) -> Vectors:
    """The log odds of degrees, 0 and 1 taken for a ten-thousandth and its opposite."""
    clipped = np.clip(degrees, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float32)


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _degree(logits: Vectors) -> Vectors:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)

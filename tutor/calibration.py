"""What people would give an answer: the grader's score, moved by how far it was off on the answers that people graded nearby.

Gaussian process regression (Rasmussen and Williams 2006, algorithm 2.1) of people's score less the grader's, question by question. The
graded answers are kept in the home folder with their texts, and without names. They are what learners wrote: only the file's owner can
read it, and to delete it takes nothing but the calibration away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.words import words
from tutor.grader import asked_stems, is_blank
from tutor.grading import GradingError
from tutor.similarity import POSITION, Lexicon, Wording, compare, wording

Numbers = NDArray[np.float64]

LEAST_GRADED = 3
"""Graded answers from which a question is calibrated."""
MOST_GRADED = 200
"""Graded answers that are kept of a question, the newest: more would cost time and tell little."""
_SHIFT, _NEARNESS, _REACH, _NOISE = 0.3, 6.0, 0.8, 1.5
"""Variances of what the grader misses of all answers, of like answers, and of each answer alone; and how fast likeness tells less.

Only their ratios count. Chosen on Beetle, SciEntsBank and SAF with 3, 5, 10 and 15 graded answers a question, among some 120, for
correlation with people's scores, and so that an answer with nothing in common with ten graded ones is moved by about a quarter of what
the grader missed of each of them.
"""
_LIKE = ("meaning", "subject", "tfidf", "company", "sense", "bigrams")
_UNLIKE = ("denial", "opposite")
_MOST_CHARACTERS = 2_000
"""What is compared of an answer."""
_BLOCK_STEMS = 1_200
"""Words compared with as many others at once: a pass takes memory by their product."""
_FILE = "calibration.json"


@dataclass(frozen=True)
class GradedAnswer:
    """An answer with the grader's score and people's, both 0 to 1."""

    answer: str
    """Empty where an earlier version kept the scores alone: such an answer tells how mild people are, and nothing of its like."""
    score: float
    human: float

    @property
    def missed(self) -> float:
        """What people gave more than the grader."""
        return self.human - self.score


@dataclass(frozen=True)
class Calibration:
    """A question's graded answers, by which scores of other answers to it are moved."""

    graded: tuple[GradedAnswer, ...]
    lexicon: Lexicon

    def calibrated(self, question: str, answer: str, score: float, *, own: GradedAnswer | None = None) -> float:
        """What people would give, 0 to 1; what earned nothing and says nothing earns nothing.

        `question` is its wording, `score` the grader's. `own`, one of the graded answers, has no part in it: see `own_of`.
        """
        asked = asked_stems([question])
        if score == 0 and (is_blank(answer, asked) or not set(words(answer)) - asked):
            return 0.0
        covariance = _covariance(question, tuple(item.answer for item in self.graded), self.lexicon)
        kept = [place for place, item in enumerate(self.graded) if item is not own]
        beside = np.full(len(self.graded), _SHIFT)
        with_text = [place for place, item in enumerate(self.graded) if item.answer]
        if with_text:
            texts = [self.graded[place].answer for place in with_text]
            beside[with_text] += _likeness(question, texts, [answer], self.lexicon)[:, 0]
        missed = np.array([item.missed for item in self.graded])
        # A likeness of words need not be a covariance: what is none of it, below 0, is left out.
        values, vectors = np.linalg.eigh(covariance[np.ix_(kept, kept)])
        weights = vectors @ ((vectors.T @ missed[kept]) / (np.maximum(values, 0) + _NOISE))
        return round(min(1.0, max(0.0, score + float(beside[kept] @ weights))), 4)

    def own_of(self, answer: str, human: float | None = None) -> GradedAnswer | None:
        """The graded answer that most likely is this answer itself: of the same words, and of the same human score where one is given.

        A score that people gave this very answer is no measurement of it. That others wrote the same and were graded is one.
        """
        same = [item for item in self.graded if item.answer and item.answer.split() == answer.split()]
        return next((item for item in reversed(same) if item.human == human), same[-1] if same else None)


def calibration(graded: Sequence[GradedAnswer], lexicon: Lexicon) -> Calibration | None:
    """Learn from a question's graded answers; None where there are too few."""
    return Calibration(tuple(graded), lexicon) if len(graded) >= LEAST_GRADED else None


@lru_cache(maxsize=64)
def _covariance(question: str, texts: tuple[str, ...], lexicon: Lexicon) -> Numbers:
    """Of what the grader misses of each two graded answers, people's noise apart; shape (texts, texts)."""
    result = np.full((len(texts), len(texts)), _SHIFT)
    places = [place for place, text in enumerate(texts) if text]
    if places:
        known = [texts[place] for place in places]
        result[np.ix_(places, places)] += _likeness(question, known, known, lexicon)
    np.fill_diagonal(result, _SHIFT + _NEARNESS)
    return result


def _likeness(question: str, texts: Sequence[str], others: Sequence[str], lexicon: Lexicon) -> Numbers:
    """Covariance of what the grader misses of both, beyond the shift; 0 for texts that have nothing in common; shape (texts, others)."""
    left, right = ([wording(text[:_MOST_CHARACTERS]) for text in side] for side in (texts, others))
    one_way = _similarities(question, left, right, lexicon)
    other_way = one_way if texts is others else _similarities(question, right, left, lexicon)
    alike = np.clip((one_way + other_way.T) / 2, 0, 1)
    return np.asarray(_NEARNESS * np.expm1(alike / _REACH) / np.expm1(1 / _REACH), dtype=np.float64)


def _similarities(question: str, texts: Sequence[Wording], others: Sequence[Wording], lexicon: Lexicon) -> Numbers:
    """How far each of the others says what each text says, at most 1; shape (texts, others)."""
    asked = asked_stems([question])
    rows = []
    for block in _blocks(texts):
        row = []
        for other in _blocks(others):
            features = compare(block, other, asked, question, lexicon).features.astype(np.float64)
            like = sum(np.maximum(features[:, :, POSITION[name]], 0) for name in _LIKE)
            unlike = sum(features[:, :, POSITION[name]] for name in _UNLIKE)
            row.append((like - unlike / 2) / len(_LIKE))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def _blocks(texts: Sequence[Wording]) -> list[list[Wording]]:
    """The texts in their order, some at a time."""
    blocks: list[list[Wording]] = [[]]
    for text in texts:
        if blocks[-1] and sum(len(other.stems) for other in blocks[-1]) + len(text.stems) > _BLOCK_STEMS:
            blocks.append([])
        blocks[-1].append(text)
    return blocks


def read_calibrations(home: Path, lexicon: Lexicon) -> dict[str, Calibration]:
    """The calibration of each question, by id. Raises GradingError for a file that was changed by hand and cannot be read."""
    learned = {question: calibration(graded, lexicon) for question, graded in _read(home).items()}
    return {question: found for question, found in learned.items() if found}


def keep_graded(home: Path, graded: Mapping[str, Sequence[GradedAnswer]]) -> None:
    """Keep graded answers by question id, for their owner's eyes alone.

    They take the place of what was kept of the same words; and, from three of a question on, of scores that were kept without a text,
    which may be of the same answers.
    """
    known = _read(home)
    for question, answers in graded.items():
        again = {" ".join(item.answer.split()) for item in answers}
        merged = [item for item in known.get(question, []) if " ".join(item.answer.split()) not in again] + [*answers]
        with_text = [item for item in merged if item.answer]
        known[question] = (with_text if len(with_text) >= LEAST_GRADED else merged)[-MOST_GRADED:]
    rows = {question: [asdict(item) for item in answers] for question, answers in known.items()}
    home.mkdir(parents=True, exist_ok=True)
    # A temporary file is made with mode 600.
    with NamedTemporaryFile("w", dir=home, prefix=_FILE, encoding="utf-8", delete=False) as file:
        try:
            file.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(home / _FILE)


def _read(home: Path) -> dict[str, list[GradedAnswer]]:
    file = home / _FILE
    if not file.is_file():
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {str(question): [_graded_answer(row) for row in rows] for question, rows in data.items()}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise GradingError(
            f"{str(file)!r} holds no graded answers by question ({error}). Delete it, and grade the answers again that have a human score."
        ) from error


def _graded_answer(row: Any) -> GradedAnswer:  # noqa: ANN401 - what a file of JSON holds
    """An answer of the file. Earlier versions kept pairs of the grader's score and people's."""
    if isinstance(row, dict):
        found = GradedAnswer(str(row["answer"]), float(row["score"]), float(row["human"]))
    else:
        score, human = row
        found = GradedAnswer("", float(score), float(human))
    if not (0 <= found.score <= 1 and 0 <= found.human <= 1):
        raise ValueError(f"a score is not between 0 and 1: {row!r}")
    return found

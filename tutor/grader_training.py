"""Trains the shipped grader: a lexicon from open text, then weights from people's judgements.

The recipe behind `tutor train grader`. Everything random is seeded: the same data give the same grader.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from corpus.documents import read_guides
from corpus.questions import Question, read_questions
from corpus.sayings import SAID_SUFFIX, Sayings, read_sayings
from index.embedder import SHIPPED_EMBEDDER, make_embedder
from index.static_encoder import Vectors
from index.training_pairs import read_pairs
from index.words import words
from tutor.grader import (
    ANSWER_INPUTS,
    ANSWER_SIGNS,
    AnswerComparison,
    AnswerWeights,
    Grader,
    GraderWeights,
    of_references,
)
from tutor.paraphrases import OPPOSITES, PARAPHRASES, expression_groups
from tutor.similarity import (
    CLASSES,
    FEATURES,
    GROWING,
    POSITION,
    SIGNS,
    Lexicon,
    word_classes,
)
from tutor.word_training import pairs_of, taught_vectors

Progress = Callable[[str, int, int], None]

TRAINING_SETS: Mapping[str, str] = {
    "beetle": "CC BY-SA 3.0",
    "scientsbank": "CC BY-SA 3.0",
    "saf": "MIT",
    "argkp": "CDLA-Sharing 1.0",
    "realsumm_scu": "CC BY 4.0",
}
"""Sets of human judgements whose licence allows a shipped model, and that licence. Others are measured, never learned from."""
OURS, OURS_LICENCE = "ours", "Apache-2.0"
"""Our own answers, written to mislead: wrong ones reuse the words of the reference, right ones avoid them."""
OUR_ANSWERS = Path(__file__).parent / "grader" / "answers"
STATEMENTS = Path(__file__).parent / "grader" / "statements"
"""Statements and what learners say of them, of several fields; those of the bank stand beside it."""
VERDICT_SCORES: Mapping[str, float] = {"made": 1.0, "partial": 0.5, "missing": 0.0, "contradicted": 0.0}
ROWS_A_SET = 4_000
ANSWERS_A_QUESTION = 8
"""Answers of a question that go into the lexicon: one question of a set must not shape what a word means."""
MIN_COUNT = 4
DIMENSION = 128
WINDOW = 6
POINT_PENALTY, ANSWER_PENALTY, QUESTION_PENALTY = 0.01, 0.02, 0.005
"""Of the squared weights, and of the squared intercept of each question: some questions are simply answered better."""
SEVERAL_PENALTY = 0.02
"""Only one set gives several references: what they are worth there must not count in full elsewhere."""
FOLDS = 5
LENGTH_WEIGHT = 0.8
"""Logit for each unit of a long answer's log ratio of lengths. Not learned with the levels, where it would make up for what sets differ
in: on the three sets of whole answers correlation is best from here on."""
_ROUNDS = 3
_WHOLE_ANSWER_SHARE: Mapping[MadeUp, float] = {"": 1.0, "echo": 1.0, "off topic": 4.0, "denied": 0.0}
"""How much rows count for whole answers. A weighted sum cannot hold that a reference with one "not" is wrong: it would learn that the
reference's own words are. A long answer off the subject shares more words than most wrong ones."""
_KINDS: tuple[MadeUp, ...] = ("echo", "off topic", "denied")


MadeUp = Literal["", "echo", "off topic", "denied"]


@dataclass(frozen=True)
class Judgement:
    """What people said of one answer."""

    id: str
    source: str
    question_id: str
    group: str
    """Near-identical questions share one; cross-validation never parts them."""
    question: str
    references: tuple[str, ...]
    key_points: tuple[str, ...]
    answer: str
    score: float
    """0 to 1."""
    is_point: bool = False
    """Whether the reference is one key point, to be found anywhere in the answer."""
    made_up: MadeUp = ""
    """How the answer was made from another text, as one that is surely wrong; empty where somebody gave it."""


def train_grader(
    data: Path,
    texts: Path,
    output: Path,
    *,
    guides: Path,
    bank: Path,
    answers: Path = OUR_ANSWERS,
    statements: Path = STATEMENTS,
    seed: int = 0,
    progress: Progress,
) -> dict[str, object]:
    """Train on the sets in `data` and the open texts in `texts` (`{q, d}` a line) and our own `answers`, and write the grader to `output`.

    Returns what the report says: rows and licences, the weights' cross-validation by question, and each set judged by the others alone.
    """
    judgements = [*read_judgements(data, list(TRAINING_SETS)), *read_our_answers(answers)]
    licences = {**TRAINING_SETS, OURS: OURS_LICENCE}
    questions, _ = read_questions([bank])
    sayings = read_all_sayings(statements, bank)
    documents, definitions = open_texts(texts, guides, questions, judgements, sayings)
    lexicon = make_lexicon(documents, definitions, sayings, seed=seed, progress=progress)
    output.mkdir(parents=True, exist_ok=True)
    lexicon.save(output / "lexicon.npz")
    # What is stored is a little coarser than what was made: the weights must fit what will be read.
    lexicon = Lexicon.load(output / "lexicon.npz")
    rows = _rows(with_negatives(_sample(judgements, seed), seed=seed), lexicon, progress)
    _fit(rows).save(output / "weights.json")
    report: dict[str, object] = {
        "seed": seed,
        "texts": len(documents),
        "stems": lexicon.size,
        "sets": {
            name: {"licence": licence, "rows": sum(row.judgement.source == name for row in rows)}
            for name, licence in licences.items()
        },
        "cross_validation_by_question": _cross_validate(rows, lambda row: row.judgement.group, FOLDS, progress, seed),
        "each_set_by_the_others_alone": _cross_validate(
            rows, lambda row: row.judgement.source, len(licences), progress, seed
        ),
    }
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def read_all_sayings(statements: Path, bank: Path) -> list[Sayings]:
    """What is said of the statements in a folder, and of the bank's key points. Raises ValueError, naming file and line, for a broken line."""
    sayings, problems = read_sayings([*sorted(statements.glob("*.txt")), *sorted(bank.rglob(f"*{SAID_SUFFIX}"))])
    if problems:
        raise ValueError(str(problems[0]))
    return sayings


def _sample(judgements: Sequence[Judgement], seed: int) -> list[Judgement]:
    dice = np.random.default_rng(seed)
    kept: list[Judgement] = []
    for name in (*TRAINING_SETS, OURS):
        own = [judgement for judgement in judgements if judgement.source == name]
        places = dice.choice(len(own), min(ROWS_A_SET, len(own)), replace=False)
        kept += [own[place] for place in sorted(places.tolist())]
    return kept


def _cross_validate(
    rows: Sequence[_Row], part: Callable[[_Row], str], folds: int, progress: Progress, seed: int
) -> dict[str, dict[str, float]]:
    """Correlation and, for sets of right and wrong, AUC and macro-F1 at 0.5, on parts that the weights were not learned from."""
    parts = sorted({part(row) for row in rows})
    order = np.random.default_rng(seed).permutation(len(parts))
    fold = {name: int(place) % folds for name, place in zip(parts, order, strict=True)}
    judged: dict[str, list[tuple[float, float]]] = {}
    for number in range(folds):
        progress("cross-validation", number, folds)
        weights = _fit([row for row in rows if fold[part(row)] != number])
        for row in rows:
            if fold[part(row)] == number and not row.judgement.made_up:
                judged.setdefault(row.judgement.source, []).append((row.judgement.score, _judge(row, weights)))
    return {name: _agreement(np.array(pairs)) for name, pairs in sorted(judged.items())}


def _judge(row: _Row, weights: GraderWeights) -> float:
    point = row.judgement.is_point
    logit = weights.point_logit(row.comparisons[0]) if point else weights.answer.logit(row.comparisons)
    return 1 / (1 + math.exp(-logit))


def _agreement(pairs: NDArray[np.float64]) -> dict[str, float]:
    from sklearn.metrics import f1_score, roc_auc_score

    scores, judged = pairs.T
    figures = {"pearson": round(float(np.corrcoef(scores, judged)[0, 1]), 4)}
    if set(scores) <= {0.0, 1.0}:
        figures["auc"] = round(float(roc_auc_score(scores, judged)), 4)
        figures["macro_f1"] = round(float(f1_score(scores, judged >= 0.5, average="macro")), 4)
    return figures


def read_judgements(folder: Path, names: Sequence[str]) -> list[Judgement]:
    """Judgements of the named sets, `NAME.jsonl` each.

    A line has `id, question_id, question`, one of `reference`, `references` and `key_point`, then `answer` and `score` or `label`.
    Raises FileNotFoundError for a missing set and ValueError, naming file and line, for a broken one.
    """
    judgements = []
    for name in names:
        file = folder / f"{name}.jsonl"
        if not file.is_file():
            raise FileNotFoundError(f"No {file.name} in {str(folder)!r}. Expected the sets {', '.join(names)}.")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                point = row.get("key_point")
                single = [row["reference"]] if row.get("reference") else []
                references = [point] if point else [*(row.get("references") or ()), *single]
                judgements.append(
                    Judgement(
                        str(row["id"]),
                        name,
                        f"{name}/{row['question_id']}",
                        f"{name}/{row.get('group') or row['question_id']}",
                        str(row.get("question") or ""),
                        tuple(dict.fromkeys(map(str, references))),
                        tuple(map(str, row.get("key_points") or ())),
                        str(row["answer"]),
                        float(row["score"] if "score" in row else row["label"]),
                        bool(point),
                    )
                )
            except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{file.name}:{number}: expected id, question_id, answer and score ({error})."
                ) from error
    return judgements


def read_our_answers(folder: Path) -> list[Judgement]:
    """A judgement for each answer and key point of `*.jsonl` in the folder.

    A line has `id, question, reference, alternatives, key_points` and `answers`, each with `text, marks` and `verdicts`, one a key
    point. Raises ValueError, naming file and line, for a broken one.
    """
    judgements = []
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                judgements += [
                    Judgement(
                        f"{row['id']}/{turn}/{place}",
                        OURS,
                        f"{OURS}/{row['id']}/{place}",
                        f"{OURS}/{row['id']}",
                        row["question"],
                        (point,),
                        (),
                        answer["text"],
                        VERDICT_SCORES[verdict],
                        is_point=True,
                    )
                    for turn, answer in enumerate(row["answers"])
                    for place, (point, verdict) in enumerate(zip(row["key_points"], answer["verdicts"], strict=True))
                ]
            except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{file.name}:{number}: expected id, question, key_points, and answers with text and verdicts ({error})."
                ) from error
    return judgements


def with_negatives(judgements: Sequence[Judgement], *, seed: int = 0) -> list[Judgement]:
    """The judgements, and for one in ten questions' answers an echo of the question, an answer off topic and a denied reference."""
    dice = np.random.default_rng(seed)
    made = []
    by_source: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_source.setdefault(judgement.source, []).append(judgement)
    for judgement in judgements:
        if not judgement.question or dice.random() > 0.1:
            continue
        kind = _KINDS[int(dice.integers(len(_KINDS)))]
        others = by_source[judgement.source]
        other = others[int(dice.integers(len(others)))]
        if kind == "off topic" and other.group == judgement.group:
            continue
        text = {
            "echo": judgement.question,
            "off topic": other.answer,
            "denied": _denied(judgement.references[0]),
        }[kind]
        if text:
            made.append(replace(judgement, id=f"{judgement.id}/{kind}", answer=text, score=0.0, made_up=kind))
    return [*judgements, *made]


def _denied(text: str) -> str:
    """The text with its first plain verb denied; empty where there is none."""
    denied, count = re.subn(r"\b(is|are|was|were|can|will|has|should|must)\b(?! not)", r"\1 not", text, count=1)
    return denied if count else ""


def make_lexicon(
    texts: Sequence[str],
    definitions: Sequence[tuple[str, str]],
    sayings: Sequence[Sayings] = (),
    *,
    seed: int = 0,
    progress: Progress,
) -> Lexicon:
    """Rarity, company, sense and order of words.

    Company: positive pointwise mutual information of words up to six apart, contexts smoothed by 0.75 (Levy et al. 2015), then a
    truncated SVD; a defined word keeps the company of its definition. Sense: the encoder's vectors beside those of company, taught by what
    is said of statements, where there is any.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    progress("counting words", 0, 3)
    taken = [words(text) for text in texts]
    counts = Counter(stem for stems in taken for stem in stems)
    frequency = Counter(stem for stems in taken for stem in set(stems))
    stems = [stem for stem, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= MIN_COUNT]
    if len(stems) < 10:
        raise ValueError("Too little text to learn words from. Expected at least 10 words that come four times.")
    place = {stem: number for number, stem in enumerate(stems)}
    ids = np.array([place[stem] for item in taken for stem in item if stem in place], dtype=np.int64)
    owner = np.repeat(np.arange(len(taken)), [sum(stem in place for stem in item) for item in taken])
    size = len(stems)
    near = sparse.csr_matrix((size, size), dtype=np.float64)
    for apart in range(1, WINDOW + 1):
        same = owner[:-apart] == owner[apart:]
        weight = np.full(int(same.sum()), 1 / (1 + 0.25 * (apart - 1)))
        near += sparse.coo_matrix((weight, (ids[:-apart][same], ids[apart:][same])), shape=(size, size)).tocsr()
    defined = [
        (place[head[0]], place[stem])
        for term, gloss in definitions
        for head in [words(term)]
        if len(head) == 1 and head[0] in place
        for stem in sorted(set(words(gloss)))
        if stem in place
    ]
    if defined:
        rows, columns = np.array(defined).T
        near += sparse.coo_matrix((np.full(len(rows), 2.0), (rows, columns)), shape=(size, size)).tocsr()
    near = (near + near.T).tocoo()
    progress("vectors of company", 1, 3)
    sums = np.asarray(near.tocsr().sum(axis=1)).ravel()
    context = sums**0.75 / (sums**0.75).sum()
    value = np.log(near.data / (sums[near.row] * context[near.col]))
    kept = value > 0
    matrix = sparse.csr_matrix((value[kept], (near.row[kept], near.col[kept])), shape=(size, size))
    left, strength, _ = randomized_svd(matrix, min(DIMENSION, size - 1), n_iter=4, random_state=seed)
    company = _centred(left * np.sqrt(strength))
    progress("vectors of the encoder", 2, 3)
    sense = _sense_vectors(stems, texts)
    idf = np.array([math.log(1 + len(texts) / (frequency[stem] + 0.5)) for stem in stems])
    lexicon = Lexicon(stems, idf, company, sense, _fluency(texts), math.log(1 + len(texts) / 2))
    if pairs := pairs_of(sayings, expression_groups() if sayings else (), seed=seed):
        taught = taught_vectors(lexicon, pairs, dimension=DIMENSION, seed=seed, progress=progress)
        lexicon = Lexicon(stems, idf, company, taught, lexicon.fluency, float(lexicon.idf[-1]))
    return lexicon


def _sense_vectors(stems: Sequence[str], texts: Sequence[str]) -> Vectors:
    """The shipped encoder's vector of each stem, by the words it stands for, in as many dimensions as the others."""
    spelt = Counter(word for text in texts for word in re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]+", text.lower()))
    surfaces: dict[str, list[tuple[int, str]]] = {}
    for word, count in spelt.items():
        if len(stem := words(word, stop_words=True)) == 1:
            surfaces.setdefault(stem[0], []).append((-count, word))
    forms = [[word for _, word in sorted(surfaces.get(stem, [(0, stem)]))[:4]] for stem in stems]
    vectors = make_embedder(SHIPPED_EMBEDDER).embed_queries([word for words_of in forms for word in words_of])
    shares = np.array([math.sqrt(max(1, spelt[word])) for words_of in forms for word in words_of])
    starts = np.cumsum([0, *(len(words_of) for words_of in forms[:-1])])
    mean = np.add.reduceat(shares[:, None] * vectors, starts, axis=0)
    _, _, right = np.linalg.svd(mean.T @ mean)
    reduced = mean @ right[:DIMENSION].T
    return np.asarray(reduced / np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _centred(vectors: NDArray[np.float64]) -> Vectors:
    """Unit vectors without the mean and the two directions that all words share (Mu and Viswanath 2018)."""
    vectors = vectors - vectors.mean(axis=0)
    _, _, right = np.linalg.svd(vectors.T @ vectors)
    vectors = vectors - (vectors @ right[:2].T) @ right[:2]
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _fluency(texts: Sequence[str]) -> Vectors:
    """Log odds, clipped to 3, that a word class follows another more often than by chance."""
    follows = np.zeros((CLASSES, CLASSES))
    for text in texts:
        for sentence in re.split(r"(?<=[.!?])\s", text):
            classes = np.array(word_classes(sentence), dtype=np.int64)
            if len(classes) > 4 and np.mean(classes == 0) < 0.8:
                np.add.at(follows, (classes[:-1], classes[1:]), 1)
    total = follows.sum() + 1.0
    chance = np.outer(follows.sum(axis=1), follows.sum(axis=0)) / total**2
    smoothing = 10 * CLASSES
    odds = (follows + smoothing * chance + 1e-9) / ((total + smoothing) * chance + 1e-9)
    return np.asarray(np.clip(np.log(odds), -3, 3), dtype=np.float32)


@dataclass(frozen=True)
class _Row:
    judgement: Judgement
    comparisons: tuple[AnswerComparison, ...]
    """The answer beside each reference."""

    @cached_property
    def pairs(self) -> Vectors:
        """What the regression may take as meant: any sentence for a key point, else any reference beside the whole answer."""
        if self.judgement.is_point:
            return np.asarray(self.comparisons[0].features[0], dtype=np.float32)
        return np.stack([comparison.features[0, 0] for comparison in self.comparisons])

    @cached_property
    def nearest(self) -> AnswerComparison:
        """The answer beside the reference that is meant."""
        return max(self.comparisons, key=lambda comparison: comparison.nearness)


def _rows(judgements: Sequence[Judgement], lexicon: Lexicon, progress: Progress) -> list[_Row]:
    grader = Grader(lexicon, _untrained())
    rows = []
    for done, judgement in enumerate(judgements):
        if done % 100 == 0:
            progress("features", done, len(judgements))
        answer = judgement.answer.strip() or " "
        comparisons = tuple(
            grader.compare_answer(judgement.question, answer, reference, judgement.key_points)
            for reference in judgement.references
        )
        rows.append(_Row(judgement, comparisons))
    return rows


def _fit(rows: Sequence[_Row]) -> GraderWeights:
    """Sign-constrained logistic regressions with an intercept a question: for key points, and for whole answers.

    Which reference and window a key point's judgement means is learned on the way. Every set weighs the same, and in it low and high
    scores do: sets differ in how many answers are right, not in what is right.
    """
    scores = np.array([row.judgement.score for row in rows])
    _, question = np.unique([row.judgement.question_id for row in rows], return_inverse=True)
    share = _balance(rows, scores)
    weights = _untrained()
    choice = [int(row.pairs[:, POSITION["meaning"]].argmax()) for row in rows]
    for _ in range(_ROUNDS):
        features = np.stack([row.pairs[place] for row, place in zip(rows, choice, strict=True)])
        found = _regress(features, scores, share, question, SIGNS, POINT_PENALTY)
        weights = replace(weights, **vars(found), together_bias=_together_bias(found, features, share * scores))
        choice = [int(weights.logits(row.pairs).argmax()) for row in rows]
    share *= [_WHOLE_ANSWER_SHARE[row.judgement.made_up] * (row.judgement.source != OURS) for row in rows]
    inputs = np.stack([row.nearest.inputs for row in rows])
    whole = _regress(inputs, scores, share / share.sum(), question, ANSWER_SIGNS, ANSWER_PENALTY)
    return replace(weights, answer=_fit_levels(rows, replace(_untrained().answer, **vars(whole))))


def _together_bias(found: _Regression, features: Vectors, share: NDArray[np.float64]) -> float:
    """What cannot be looked at over several sentences is taken as in an answer that is right on average."""
    growing = np.array([name in GROWING for name in FEATURES])
    right = np.average(found.scaled(features), axis=0, weights=share)
    return float(found.bias + right[~growing] @ found.weights[~growing])


def _fit_levels(rows: Sequence[_Row], weights: AnswerWeights) -> AnswerWeights:
    """Where right begins: logistic regression on the log odds and the number of references, without the questions.

    Then how much milder marks are, from the sets that have them, answers off the subject among them.
    """
    from scipy.optimize import minimize

    whole = [row for row in rows if not row.judgement.is_point]
    real = [row for row in whole if not row.judgement.made_up]
    if not real:
        return weights
    graded = {row.judgement.source for row in real if row.judgement.score not in {0.0, 1.0}}

    # A set of marks is more lenient than one of right and wrong: that is no property of an answer.
    features = np.array(
        [
            [
                of_references(row.comparisons, weights.nearness_logit),
                math.log(len(row.comparisons)),
                1.0,
                row.judgement.source in graded,
            ]
            for row in real
        ]
    )
    lengths = LENGTH_WEIGHT * np.array(
        [of_references(row.comparisons, lambda comparison: comparison.length) for row in real]
    )
    scores = np.array([row.judgement.score for row in real])
    share = _balance(real, scores)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = features @ values + lengths
        error = share * (1 / (1 + np.exp(-logits)) - scores)
        gradient = features.T @ error
        gradient[1] += 2 * SEVERAL_PENALTY * values[1]
        cost = float((share * (np.logaddexp(0, logits) - scores * logits)).sum() + SEVERAL_PENALTY * values[1] ** 2)
        return cost, gradient

    bounds = [(0, None), (None, 0), (None, None), (None, None)]
    slope, several, shift, _ = minimize(loss, np.zeros(4), jac=True, bounds=bounds, method="L-BFGS-B").x
    levelled = replace(weights, slope=slope, length=LENGTH_WEIGHT, several=several, shift=shift)
    marked = [row for row in whole if row.judgement.source in graded]
    if not marked:
        return levelled
    logits = np.array([levelled.logit(row.comparisons) for row in marked])
    given = np.array([row.judgement.score for row in marked])
    lenience = minimize(lambda mild: float((np.logaddexp(0, logits + mild) - given * (logits + mild)).mean()), [0.0])
    return replace(levelled, lenience=float(lenience.x[0]))


def _untrained() -> GraderWeights:
    features, inputs = len(FEATURES), len(ANSWER_INPUTS)

    def vectors(size: int) -> tuple[Vectors, Vectors, Vectors]:
        nothing = np.zeros(size, dtype=np.float32)
        return nothing, np.ones(size, dtype=np.float32), nothing

    return GraderWeights(*vectors(features), 0.0, 0.0, AnswerWeights(*vectors(inputs), 0.0, 1.0, 0.0, 0.0, 0.0, 0.0))


def _balance(rows: Sequence[_Row], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.zeros(len(rows))
    sources = np.array([row.judgement.source for row in rows])
    for source in np.unique(sources):
        here = sources == source
        high = np.clip(scores[here].mean(), 0.05, 0.95)
        share[here] = (scores[here] / high + (1 - scores[here]) / (1 - high)) / here.sum()
    return np.asarray(share / share.sum(), dtype=np.float64)


@dataclass(frozen=True)
class _Regression:
    centre: Vectors
    scale: Vectors
    weights: Vectors
    bias: float

    def scaled(self, features: Vectors) -> NDArray[np.float64]:
        return np.asarray(np.clip((features - self.centre) / self.scale, -4, 4), dtype=np.float64)


def _regress(
    features: Vectors,
    scores: NDArray[np.float64],
    share: NDArray[np.float64],
    question: NDArray[np.int64],
    signs: Sequence[int],
    penalty: float,
) -> _Regression:
    from scipy.optimize import minimize

    size, questions = len(signs), int(question.max()) + 1
    found = _Regression(
        np.asarray(features.mean(axis=0), dtype=np.float32),
        np.asarray(features.std(axis=0) + 1e-6, dtype=np.float32),
        np.zeros(size, dtype=np.float32),
        0.0,
    )
    scaled = found.scaled(features)
    weight = np.bincount(question, share, questions)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slopes, bias, intercepts = values[:size], values[size], values[size + 1 :]
        logits = scaled @ slopes + bias + intercepts[question]
        error = share * (1 / (1 + np.exp(-logits)) - scores)
        cost = (share * (np.logaddexp(0, logits) - scores * logits)).sum()
        cost += penalty * slopes @ slopes + QUESTION_PENALTY * weight @ intercepts**2
        gradient = np.concatenate(
            [
                scaled.T @ error + 2 * penalty * slopes,
                [error.sum()],
                np.bincount(question, error, questions) + 2 * QUESTION_PENALTY * weight * intercepts,
            ]
        )
        return float(cost), gradient

    bounds = [(0, None) if sign > 0 else (None, 0) for sign in signs] + [(None, None)] * (questions + 1)
    values = minimize(
        loss, np.zeros(size + 1 + questions), jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 150}
    ).x
    slopes = np.asarray(values[:size], dtype=np.float32)
    # Without the questions' own intercepts, so that 0 is an even chance for a question never seen.
    fixed = scaled @ slopes
    bias = minimize(
        lambda bias: float((share * (np.logaddexp(0, fixed + bias) - scores * (fixed + bias))).sum()), [values[size]]
    )
    return replace(found, weights=slopes, bias=float(bias.x[0]))


_FRAME = re.compile(
    r"^(?:define|what is|what does|explain|meaning of)\s+|\s*(?:meaning|definition)?\??$", re.IGNORECASE
)


def open_texts(
    folder: Path,
    guides: Path,
    bank: Sequence[Question],
    judgements: Sequence[Judgement],
    sayings: Sequence[Sayings] = (),
) -> tuple[list[str], list[tuple[str, str]]]:
    """Texts for the lexicon, and terms with their definitions: pairs of the encoder's training, our corpus, and the sets' own words."""
    texts: list[str] = []
    definitions = []
    for source in read_pairs(folder):
        for asked, text in source.pairs:
            term = _FRAME.sub("", asked)
            definitions.append((term, text))
            # A term stands before its definition once; what else asks for a text is made up, and would count as common.
            texts.append(f"{term} {text}" if len(term.split()) == 1 else text)
    documents, _ = read_guides([guides])
    texts += [part for document in documents for part in re.split(r"\n#+ ", document.text)]
    texts += [text for question in bank for text in (*question.wordings, question.answer)]
    texts += [text for question in bank for point in question.key_points for text in (point.text, *point.phrasings)]
    lists = (*PARAPHRASES.read_text(encoding="utf-8").splitlines(), *OPPOSITES.read_text(encoding="utf-8").splitlines())
    texts += [side.replace(" | ", " ") for line in lists if not line.startswith("#") for side in line.split(" <> ")]
    texts += [text for item in sayings for text in (item.question, *item.right, *item.half, *item.wrong, *item.beside)]
    seen: Counter[str] = Counter()
    for judgement in judgements:
        seen[judgement.question_id] += 1
        texts += [judgement.question, *judgement.references]
        if seen[judgement.question_id] <= ANSWERS_A_QUESTION:
            texts.append(judgement.answer)
    return [text for text in dict.fromkeys(texts) if text], definitions

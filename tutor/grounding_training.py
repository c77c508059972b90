"""Trains the grounding check: claims that people judged, and our own question bank. The same data give the same coefficients."""

from __future__ import annotations

import json
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpus.chunks import anchor, split_document
from corpus.documents import read_guides
from corpus.questions import read_questions
from tutor.grounding import GroundingWeights, Idf, collection_idf, sentence_places
from tutor.grounding_alignment import DIFFERENCES
from tutor.grounding_features import FEATURES, NEVER_GROWING, compare
from tutor.grounding_words import OPPOSITES, read_words, without_marks

Progress = Callable[[str, int, int], None]
Numbers = NDArray[np.float64]

TRAINING_SETS: Mapping[str, str] = {
    "wice": "annotations ODC-BY, text CC BY-SA",
    "summedits": "Apache-2.0",
    "bank": "Apache-2.0 (our questions and guides)",
    "sentences": "Apache-2.0 (written and labelled for this project by its authors)",
}
"""What the coefficients are learned from, and its licence. Other sets of the folder are measured, never learned from."""
OURS, OURS_COUNT = ("bank", "sentences"), 2
"""Where 0.5 lies is settled by all sets, most of all by those of the field that the check is used in."""
SENTENCES = Path(__file__).parent / "grounding_sentences"
"""Sentences that we wrote for and against passages that we wrote: supported, partly, not at all, or contradicted by one edit."""
SENTENCES_COUNT = 0.3
"""In what words bear out: they were written to be hard, with the words of the passage where they are wrong and others where right."""
AGAINST = ("new_number", "new_negation", "opposites", "contradiction", "other_unit", *DIFFERENCES)
"""Features that say that a passage contradicts a sentence; learned last, with the contradicted sentences, which have all its words."""
WORD_SET = "wice_tokens"
PENALTY, GROUP_PENALTY = 0.02, 0.01
"""Of the squared weights, and of the squared intercept of each document whose summaries were edited."""
SLOPE_PENALTY = 0.001
LEAST = {"new_number": 1.75, "contradiction": 1.75, "other_unit": 1.75, "exchanged": 2.5, "other_opposite": 2.5}
"""What these take off at least: one alone makes another claim of the same words, and the sets show few of them."""
LABELS = ("supported", "partial", "unsupported", "contradicted")
FOLDS = 5
CHUNK_WORDS = 180
_ROUNDS = 4
_DENIABLE = re.compile(r"\b(?:is|are|was|were|can|will|has|should|must|does|do)\b(?! not)")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Claim:
    """A text, its passages, and what people said of it."""

    source: str
    group: str
    """Claims over the same document share one; cross-validation never parts them."""
    question: str
    passages: tuple[str, ...]
    text: str
    is_supported: bool
    is_contradicted: bool = False
    """Whether a passage says otherwise, where people told that from what is merely not said."""
    sentences: tuple[tuple[int, int], ...] = ()
    unsupported: tuple[bool, ...] = ()
    """By sentence, where people judged them."""
    missing: tuple[tuple[int, int], ...] = ()
    """What is not borne out, where people marked it."""


@dataclass(frozen=True)
class _Row:
    claim: Claim
    sentences: tuple[Numbers, ...]
    """For each sentence its features beside each passage."""


def train_grounding(
    data: Path,
    output: Path,
    *,
    guides: Path,
    bank: Path,
    sentences: Path = SENTENCES,
    seed: int = 0,
    progress: Progress,
) -> dict[str, object]:
    """Train on the sets in `data` (`NAME.jsonl`), on the bank and on our sentences, write `grounding.json` to `output`, and return the report.

    The report holds cross-validation by document, each set judged by the others alone, and the sets that are only measured.
    """
    sets = {file.stem: read_claims(file) for file in sorted(data.glob("*.jsonl"))}
    if absent := [name for name in (*TRAINING_SETS, WORD_SET) if name not in sets and name not in OURS]:
        raise FileNotFoundError(f"{', '.join(absent)} not in {str(data)!r}. Expected NAME.jsonl for each.")
    sets["bank"] = bank_claims(guides, bank, seed=seed)
    sets["sentences"] = [claim for file in sorted(sentences.glob("*.jsonl")) for claim in read_sentences(file)]
    word_claims = sets.pop(WORD_SET)
    rows = {name: _rows(claims, progress) for name, claims in sets.items()}
    training = {name: rows[name] for name in TRAINING_SETS}
    weights, intercept = _fit(training)
    word, word_intercept = _fit_words(word_claims, progress)
    output.mkdir(parents=True, exist_ok=True)
    GroundingWeights(weights.astype(np.float32), intercept, word.astype(np.float32), word_intercept).save(
        output / "grounding.json"
    )
    report: dict[str, object] = {
        "seed": seed,
        "sets": {name: {"licence": TRAINING_SETS[name], "claims": len(found)} for name, found in training.items()},
        "cross_validation_by_document": _cross_validate(training, progress),
        "each_set_by_the_others_alone": {
            name: _figures(training[name], *_fit({other: training[other] for other in training if other != name}))
            for name in training
        },
        "only_measured": {
            name: _figures(found, weights, intercept) for name, found in rows.items() if name not in training
        },
    }
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def read_claims(file: Path) -> list[Claim]:
    """Claims of a JSON-lines file. Raises ValueError, naming file and line, for a broken one."""
    claims = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            claims.append(
                Claim(
                    file.stem,
                    f"{file.stem}/{row['group']}",
                    str(row.get("question") or ""),
                    tuple(map(str, row["passages"])),
                    str(row["answer"]),
                    not row["unsupported"],
                    False,
                    tuple((int(item["start"]), int(item["end"])) for item in row.get("sentences") or ()),
                    tuple(bool(item["unsupported"]) for item in row.get("sentences") or ()),
                    tuple((int(item["start"]), int(item["end"])) for item in row.get("spans") or ()),
                )
            )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{file.name}:{number}: expected group, passages, answer and unsupported ({error!r})."
            ) from error
    return claims


def read_sentences(file: Path) -> list[Claim]:
    """Our sentences: items of a question, passages, and sentences with labels. Raises ValueError, naming file and line."""
    claims = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            item = json.loads(line)
            for sentence in item["sentences"]:
                if sentence["label"] not in LABELS:
                    raise ValueError(f"label {sentence['label']!r}")
                claims.append(
                    Claim(
                        "sentences",
                        f"sentences/{item['id']}",
                        str(item["question"]),
                        tuple(map(str, item["passages"])),
                        str(sentence["text"]),
                        sentence["label"] == "supported",
                        sentence["label"] == "contradicted",
                    )
                )
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{file.name}:{number}: expected id, question, passages, and sentences with text and one of the labels "
                f"{', '.join(LABELS)} ({error!r})."
            ) from error
    return claims


def bank_claims(guides: Path, bank: Path, *, seed: int = 0) -> list[Claim]:
    """What our bank holds for and against its guides: key points beside the section that they cite, and misconceptions.

    Key points beside another section of the guide, edited, or joined to the point of another question, are not supported.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    documents, _ = read_guides([guides])
    sections: dict[str, list[str]] = {}
    for document in documents:
        for chunk in split_document(document, max_words=CHUNK_WORDS):
            section = f"{Path(document.id).stem}#{anchor(chunk.path.split('>')[-1].strip())}"
            sections.setdefault(section, []).append(chunk.search_text)
    questions, _ = read_questions([bank])
    claims = []

    def add(section: str, text: str, *, is_supported: bool) -> None:
        group = f"bank/{section.partition('#')[0]}"
        claims.append(Claim("bank", group, "", tuple(sections[section]), text, is_supported))

    for question in questions:
        for point in question.key_points:
            if point.section not in sections:
                continue
            add(point.section, point.text, is_supported=True)
            own = point.section.partition("#")[0]
            others = [name for name in sections if name.startswith(f"{own}#") and name != point.section]
            if others and dice.random() < 0.5:
                add(dice.choice(others), point.text, is_supported=False)
            if others and dice.random() < 0.3:
                stranger = dice.choice(dice.choice(questions).key_points)
                if stranger.section != point.section:
                    add(
                        point.section,
                        f"{point.text.rstrip('.')}, and {stranger.text[0].lower()}{stranger.text[1:]}",
                        is_supported=False,
                    )
            if dice.random() < 0.6 and (edits := list(_edits(point.text, dice))):
                add(point.section, dice.choice(edits), is_supported=False)
        for misconception in question.misconceptions:
            if misconception.section in sections:
                add(misconception.section, misconception.text, is_supported=False)
    return claims


def _edits(text: str, dice: random.Random) -> Iterator[str]:
    """The text denied, with another number, and with a word's opposite."""
    if verb := _DENIABLE.search(text):
        yield f"{text[: verb.end()]} not{text[verb.end() :]}"
    if numbers := list(_NUMBER.finditer(text)):
        number = dice.choice(numbers)
        changed = dice.choice([2 * float(number[0]), 10 * float(number[0]), float(number[0]) + 1])
        yield f"{text[: number.start()]}{changed:g}{text[number.end() :]}"
    table = {word: other for pair in OPPOSITES for word, other in permutations(pair.split("/"))}
    if swapped := [word for word in re.finditer(r"[a-z]+", text) if word[0] in table]:
        word = dice.choice(swapped)
        yield f"{text[: word.start()]}{table[word[0]]}{text[word.end() :]}"


def _rows(claims: Sequence[Claim], progress: Progress) -> list[_Row]:
    idf = collection_idf([passage for claim in claims for passage in claim.passages])
    rows = []
    for done, claim in enumerate(claims):
        progress(f"comparing {claim.source}", done, len(claims))
        places = claim.sentences or sentence_places(claim.text)
        compared = [_features(claim, without_marks(claim.text[start:end]), idf) for start, end in places]
        rows.append(_Row(claim, tuple(compared)))
    return rows


def _features(claim: Claim, text: str, idf: Idf) -> Numbers:
    given = frozenset(word.term for word in read_words(claim.question))
    found = [compare(text, passage, idf, question_terms=given) for passage in claim.passages]
    return np.array([item.features for item in found if item is not None], dtype=np.float64).reshape(-1, len(FEATURES))


def _fit(training: Mapping[str, Sequence[_Row]]) -> tuple[Numbers, float]:
    """Logistic regression, each coefficient with the sign that makes sense; each set counts the same, and its classes too.

    First what words bear out, without the sentences that are contradicted: they have more of a passage's words than a true
    paraphrase. Then what speaks against them. The intercept is the mean of the sets' own, with more of ours.
    """
    start = np.zeros(len(FEATURES))
    start[FEATURES.index("near")] = 1.0
    differences = [FEATURES.index(name) for name in DIFFERENCES]
    bearing = {name: [row for row in rows if not row.claim.is_contradicted] for name, rows in training.items()}
    weights = _weights(
        bearing,
        start,
        [place for place in range(len(FEATURES)) if place not in differences],
        {"sentences": SENTENCES_COUNT},
    )
    against = {
        name: [row for row in rows if row.claim.is_supported or row.claim.is_contradicted or name != "sentences"]
        for name, rows in training.items()
    }
    weights = _weights(against, weights, [FEATURES.index(name) for name in AGAINST])
    own = [_own_intercept(rows, weights) for rows in training.values()]
    return weights, float(np.average(own, weights=[OURS_COUNT if name in OURS else 1 for name in training]))


def _weights(
    training: Mapping[str, Sequence[_Row]],
    start: Numbers,
    learned: Sequence[int],
    counted: Mapping[str, float] | None = None,
) -> Numbers:
    """The coefficients with some of them learned anew; what the others make of a claim counts as much as it helps each set.

    A claim is as supported as its least supported sentence beside its best passage, so fitting and choosing take turns.
    """
    from scipy.optimize import minimize

    rows = [row for found in training.values() for row in found if any(map(len, row.sentences))]
    names = list(training)
    owner = np.array([names.index(row.claim.source) for row in rows])
    # What was edited is compared with other versions of the same text: some documents are simply told in other words.
    groups: dict[str, int] = {}
    group = np.array(
        [
            groups.setdefault(row.claim.group if row.claim.source == "summedits" else row.claim.source, len(groups))
            for row in rows
        ]
    )
    target = np.array([row.claim.is_supported for row in rows], dtype=np.float64)
    counts = np.array([(counted or {}).get(name, 1.0) for name in names])[owner]
    share = counts * _balanced(owner, target)
    share /= share.sum()
    kept = [place for place in range(len(FEATURES)) if place not in learned]
    sizes = np.cumsum([len(learned), len(groups), len(names)])
    weights = start
    for _ in range(_ROUNDS):
        chosen = np.array([_weakest(row, weights) for row in rows])
        offset = chosen[:, kept] @ start[kept]
        inputs = chosen[:, learned]
        mean = share @ inputs
        spread = np.sqrt(share @ (inputs - mean) ** 2) + 1e-6
        inputs = (inputs - mean) / spread

        def loss(values: Numbers, inputs: Numbers = inputs, offset: Numbers = offset) -> tuple[float, Numbers]:
            own, of_group, of_set, slope = np.split(values, sizes)
            logits = inputs @ own + of_group[group] + of_set[owner] + slope[owner] * offset
            error = share * (1 / (1 + np.exp(-logits)) - target)
            penalty = GROUP_PENALTY * len(names) / len(groups)
            value = share @ (np.logaddexp(0, logits) - target * logits)
            value += PENALTY * own @ own + penalty * of_group @ of_group + SLOPE_PENALTY * (slope - 1) @ (slope - 1)
            return float(value), np.concatenate(
                [
                    inputs.T @ error + 2 * PENALTY * own,
                    np.bincount(group, error, len(groups)) + 2 * penalty * of_group,
                    np.bincount(owner, error, len(names)),
                    np.bincount(owner, error * offset, len(names)) + 2 * SLOPE_PENALTY * (slope - 1),
                ]
            )

        bounds = [_bounds(FEATURES[place], float(spread[at])) for at, place in enumerate(learned)]
        bounds += [(None, None)] * (len(groups) + len(names)) + [(0.0, None)] * len(names)
        first = np.array([high or 0.0 for _, high in bounds[: len(learned)]])
        first = np.concatenate([first, np.zeros(len(groups) + len(names)), np.ones(len(names))])
        found = minimize(loss, first, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 500}).x
        weights = start.copy()
        weights[learned] = found[: len(learned)] / spread
    return weights


def _balanced(owner: NDArray[np.int64], target: Numbers) -> Numbers:
    """Weights by which each set, and in it each class, counts the same."""
    pairs = list(zip(owner.tolist(), target.tolist(), strict=True))
    counts = Counter(pairs)
    return np.array([1 / counts[pair] for pair in pairs])


def _own_intercept(rows: Sequence[_Row], weights: Numbers) -> float:
    """Where the chance of .5 lies for one set, both of its classes counting the same."""
    from scipy.optimize import brentq

    found = [row for row in rows if any(map(len, row.sentences))]
    logits = np.array([float(_weakest(row, weights) @ weights) for row in found])
    target = np.array([row.claim.is_supported for row in found], dtype=np.float64)
    share = _balanced(np.zeros(len(found), dtype=np.int64), target)
    return float(brentq(lambda shift: share @ (1 / (1 + np.exp(-logits - shift)) - target), -30.0, 30.0))


def _bounds(name: str, spread: float) -> tuple[float | None, float | None]:
    """Of a coefficient, in units of the feature's spread."""
    return (None, -LEAST.get(name, 0.0) * spread) if name in NEVER_GROWING else (0.0, None)


def _weakest(row: _Row, weights: Numbers) -> Numbers:
    """The features that decide: of the least supported sentence, beside its best passage."""
    best = [found[int((found @ weights).argmax())] for found in row.sentences if len(found)]
    return min(best, key=lambda features: float(features @ weights))


def _fit_words(claims: Sequence[Claim], progress: Progress) -> tuple[Numbers, float]:
    """Logistic regression of whether people marked a word."""
    from sklearn.linear_model import LogisticRegression

    idf = collection_idf([passage for claim in claims for passage in claim.passages])
    inputs, target = [], []
    for done, claim in enumerate(claims):
        progress("comparing words", done, len(claims))
        compared = compare(claim.text, claim.passages[0], idf)
        if compared is None:
            continue
        inputs.append(compared.word_features)
        target += [
            any(start < word.end and word.start < end for start, end in claim.missing) for word in compared.words
        ]
    model = LogisticRegression(C=1.0, max_iter=1000).fit(np.vstack(inputs).astype(np.float64), np.array(target))
    return model.coef_[0], float(model.intercept_[0])


def _cross_validate(training: Mapping[str, Sequence[_Row]], progress: Progress) -> dict[str, dict[str, float]]:
    judged: dict[str, list[tuple[bool, float]]] = {}
    for fold in range(FOLDS):
        progress("cross-validation", fold, FOLDS)
        kept = {
            name: [row for row in rows if zlib.crc32(row.claim.group.encode()) % FOLDS != fold]
            for name, rows in training.items()
        }
        weights, intercept = _fit(kept)
        for name, rows in training.items():
            held = [row for row in rows if zlib.crc32(row.claim.group.encode()) % FOLDS == fold]
            judged.setdefault(name, []).extend(_judged(held, weights, intercept))
    return {name: _agreement(pairs) for name, pairs in judged.items()}


def _figures(rows: Sequence[_Row], weights: Numbers, intercept: float) -> dict[str, float]:
    return _agreement(_judged(rows, weights, intercept))


def _judged(rows: Sequence[_Row], weights: Numbers, intercept: float) -> list[tuple[bool, float]]:
    """Whether each claim, or each sentence where people judged those, is unsupported, and its logit of being supported."""
    pairs: list[tuple[bool, float]] = []
    for row in rows:
        logits = [float((found @ weights).max()) + intercept if len(found) else -30.0 for found in row.sentences]
        if row.claim.unsupported:
            pairs += zip(row.claim.unsupported, logits, strict=True)
        else:
            pairs.append((not row.claim.is_supported, min(logits, default=-30.0)))
    return pairs


def _agreement(pairs: Sequence[tuple[bool, float]]) -> dict[str, float]:
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

    target = np.array([is_unsupported for is_unsupported, _ in pairs])
    logits = np.array([logit for _, logit in pairs])
    flagged = logits < 0
    return {
        "claims": len(pairs),
        "auc": round(float(roc_auc_score(target, -logits)), 4),
        "macro_f1": round(float(f1_score(target, flagged, average="macro")), 4),
        "balanced_accuracy": round(float(balanced_accuracy_score(target, flagged)), 4),
    }

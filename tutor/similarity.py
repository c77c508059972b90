"""How far one text says what another says: a lexicon made from open text, and the features that a grader weighs. NumPy alone."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import Stemmer
from numpy.typing import NDArray

from index.static_encoder import Vectors
from index.words import words
from tutor.paraphrases import Group, shipped_paraphrases

FEATURES = (
    "words",  # share of the reference's words that the text has, by rarity
    "spelling",  # the same, misspelt and inflected words counting too
    "neighbours",  # the same, words counting that stand in like company (PPMI)
    "senses",  # the same, words counting that learners put for each other (taught vectors)
    "meaning",  # the same, by the mean of both
    "paraphrases",  # as spelling, words counting that stand in an expression of which the text has a paraphrase
    "said",  # the same, each word by the most of meaning and paraphrases
    "count",  # the same, every word counting alike
    "unmatched",  # how much of the weightiest word is not there
    "precision",  # share of the text's words that the reference has
    "subject",  # the same, by the most of meaning and paraphrases
    "company",  # cosine of the mean PPMI vectors, the question's direction taken out
    "sense",  # cosine of the mean taught vectors, the question's direction taken out
    "tfidf",
    "bigrams",  # share of the reference's pairs of neighbouring words
    "skips",  # the same, of words up to two apart
    "phrases",  # the same, of neighbouring words with function words
    "denial",  # one of the two denies what the other affirms, clause beside clause
    "denies",  # one of the two has a negation, the other has none
    "opposite",  # the text has a word's opposite and not the word
    "numbers",  # share of the reference's numbers
)
POSITION = {name: place for place, name in enumerate(FEATURES)}
SIGNS = tuple(-1 if name in {"unmatched", "denial", "denies", "opposite"} else 1 for name in FEATURES)
"""What more of a feature may do to a degree: 1 raise it, -1 lower it."""
GROWING = (
    "words",
    "spelling",
    "neighbours",
    "senses",
    "meaning",
    "paraphrases",
    "said",
    "count",
    "unmatched",
    "bigrams",
    "skips",
    "phrases",
    "numbers",
)
"""Features that another sentence can only better; of several sentences together these alone are looked at."""

QUESTION_WORD_WEIGHT = 0.3
_QUESTION_SHARE = 0.8
"""How much of the question's direction is taken out of a vector."""
_LETTERS = 512
_PARAPHRASE = 0.9
"""What a word counts that is said in other words."""
_NEAR = 4
"""Words between which an opposite is taken to speak of the same thing."""
_MIN_USEFUL = 0.2
_SAME_SPELLING = 0.8
_MIN_SPELLING, _MIN_NEIGHBOUR, _MIN_SENSE, _MIN_MEANING = 0.55, 0.3, 0.2, 0.15

NEGATION = re.compile(
    # "Without" denies nothing: who leaves "without an activation" out has left out a condition.
    r"\b(?:not|no|never|cannot|cant|nor|neither|none|nothing|isnt|doesnt|dont|wont|didnt|arent"
    r"|(?:is|does|do|wo|did|are|was|were|could|would|should|has|have|had|ca)n['’]t)\b|不|没有|无法|并非",
    re.IGNORECASE,
)
DENIAL = re.compile(
    r"\b(?:it(?:['’]s| is)? (?:is )?(?:not true|not the case|not correct|not right|false|wrong|untrue|incorrect)"
    r"|it isn['’]?t (?:true|the case|right|correct))(?: to (?:say|claim))? that\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:，；：]|\b(?:and|but|because|so|while|whereas|since|which)\b")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_PIECE = re.compile(r"[^\W_]+(?:['’][a-z]+)?|[.,;:!?]", re.IGNORECASE)
FUNCTION_WORDS = tuple(
    sorted(
        set(
            "the a an of to in and is are it that for on as with be by at or this from which was not can will has have they its if "
            "their when so then than but because there you we each one into all no do does more other also only used these such i "
            "he she would could should may must what where how who between while been being were had his her my your our them us "
            "some any most same up out about over".split()
        )
    )
)
_CLASS = {word: number for number, word in enumerate(FUNCTION_WORDS, start=1)}
BREAK = len(FUNCTION_WORDS) + 1
CLASSES = BREAK + 1
"""Word classes of the fluency table: 0 any other word, then the function words, then punctuation."""
_OPPOSITES = (
    "increase/decrease open/closed open/close series/parallel high/low higher/lower more/less more/fewer large/small larger/smaller "
    "big/small bigger/smaller fast/slow faster/slower always/never all/none before/after first/last positive/negative above/below "
    "up/down hot/cold light/heavy lighter/heavier hard/soft long/short longer/shorter wide/narrow strong/weak stronger/weaker "
    "same/different with/without begin/end start/end start/stop true/false left/right early/late easy/difficult easy/hard "
    "deep/shallow internal/external inside/outside maximum/minimum max/min maximize/minimize best/worst better/worse add/remove "
    "gain/lose rise/fall grow/shrink encoder/decoder sender/receiver upper/lower supervised/unsupervised dynamic/static "
    "convex/concave dense/sparse underfitting/overfitting on/off top/bottom ascending/descending explicit/implicit "
    "local/global constant/variable raise/lower raises/lowers training/inference"
).split()
_stem = Stemmer.Stemmer("english").stemWord


class Lexicon:
    """What the grader knows of words: how rare they are, what company they keep, and in which order function words stand."""

    def __init__(
        self, stems: Sequence[str], idf: Vectors, company: Vectors, sense: Vectors, fluency: Vectors, unknown_idf: float
    ) -> None:
        """`company` and `sense` hold a unit vector a stem; `fluency` the log odds that one word class follows another."""
        self._ids = {stem: number for number, stem in enumerate(stems)}
        self.idf = np.append(idf, unknown_idf).astype(np.float32)
        self.company, self.sense = (
            np.vstack([vectors, np.zeros((1, vectors.shape[1]))]).astype(np.float32) for vectors in (company, sense)
        )
        self.fluency = fluency

    @property
    def size(self) -> int:
        """Number of stems."""
        return len(self._ids)

    def ids(self, stems: Sequence[str]) -> NDArray[np.int64]:
        """Rows of the stems; one row, of zeros, stands for all unknown ones."""
        unknown = len(self._ids)
        return np.array([self._ids.get(stem, unknown) for stem in stems], dtype=np.int64)

    def save(self, file: Path) -> None:
        """Write as npz, vectors as int8."""
        np.savez_compressed(
            file,
            stems=np.array(list(self._ids)),
            idf=self.idf.astype(np.float16),
            company=np.rint(self.company[:-1] * 127).astype(np.int8),
            sense=np.rint(self.sense[:-1] * 127).astype(np.int8),
            fluency=self.fluency.astype(np.float16),
        )

    @classmethod
    def load(cls, file: Path) -> Lexicon:
        """Read what `save` wrote. Raises FileNotFoundError or ValueError where it is missing or damaged."""
        with np.load(file, allow_pickle=False) as data:
            idf = data["idf"].astype(np.float32)
            company, sense = (_unit(data[name].astype(np.float32)) for name in ("company", "sense"))
            return cls(
                data["stems"].tolist(), idf[:-1], company, sense, data["fluency"].astype(np.float32), float(idf[-1])
            )

    def flow(self, text: str) -> float:
        """Mean log odds with which the text's words follow each other; sentences lie above 0, shuffled words below."""
        classes = word_classes(text)
        if len(classes) < 2:
            return 0.0
        return float(np.mean(self.fluency[classes[:-1], classes[1:]]))


@dataclass(frozen=True)
class Wording:
    """A text as the features see it."""

    text: str
    stems: tuple[str, ...] = field(compare=False)
    """Of its content words, in order; of all words where there are none of content."""
    all_stems: tuple[str, ...] = field(compare=False)
    numbers: frozenset[str] = field(compare=False)
    clauses: tuple[tuple[frozenset[str], bool], ...] = field(compare=False)
    """Stems of each clause, and whether it denies."""
    is_denied: bool = field(compare=False)
    """Whether it says outright that something is not true."""
    places: tuple[int, ...] = field(compare=False)
    """Where among all words the content words stand."""
    groups: Mapping[Group, frozenset[int]] = field(compare=False)
    """The groups of paraphrases that it speaks of, and the places among all words of those that do."""

    @cached_property
    def has_negation(self) -> bool:
        """Whether any clause denies."""
        return any(denies for _, denies in self.clauses)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The stems of its words, each once."""
        return frozenset(self.all_stems)

    @cached_property
    def contrary(self) -> Mapping[Group, Group]:
        """Groups that say the opposite of one of its own, and of which."""
        opposites = shipped_paraphrases().opposites
        return {
            opposite: group
            for group in sorted(self.groups)
            for opposite in sorted(opposites.get(group, ()))
            if opposite not in self.groups
        }

    def around(self, places: frozenset[int]) -> frozenset[str]:
        """The content words that stand near some of its words."""
        content = frozenset(self.places)
        reach = {near for place in places for near in range(place - _NEAR, place + _NEAR + 1)}
        return frozenset(self.all_stems[place] for place in (reach & content) - places)


@lru_cache(maxsize=20_000)
def wording(text: str) -> Wording:
    """Take a text apart."""
    every = tuple(words(text, stop_words=True)) or ("",)
    clauses = tuple(
        (frozenset(words(clause)), len(NEGATION.findall(clause)) % 2 == 1)
        for clause in _CLAUSE.split(text)
        if clause.strip()
    )
    content = tuple(words(text)) or every
    numbered = iter(enumerate(every))
    return Wording(
        text,
        content,
        every,
        frozenset(_NUMBER.findall(text)),
        clauses or ((frozenset(), False),),
        bool(DENIAL.search(text)),
        tuple(next(place for place, other in numbered if other == stem) for stem in content),
        shipped_paraphrases().found(every),
    )


def word_classes(text: str) -> list[int]:
    """Classes of the words and breaks of a text, in order; several breaks in a row are one."""
    classes: list[int] = []
    for piece in _PIECE.findall(text.lower()):
        if piece[0] in ".,;:!?":
            if classes and classes[-1] != BREAK:
                classes.append(BREAK)
        else:
            classes.append(_CLASS.get(piece, 0))
    return classes


@dataclass(frozen=True)
class Comparison:
    """Every reference beside every window."""

    features: Vectors
    """Shape (references, windows, features)."""
    opposed: NDArray[np.bool_]
    """Where a window has the opposite of what a reference says."""
    _left: _Side
    _found: dict[str, Vectors]
    """How far each word of the references is in each window."""
    _pairs: dict[str, tuple[NDArray[np.bool_], NDArray[np.int64]]]
    """Which of the references' word pairs are in which window, and where each reference's pairs start."""

    def together(self, open_to: NDArray[np.bool_]) -> Vectors:
        """The growing features of the windows that are open to each reference, taken together; shape (references, features), 0 elsewhere.

        Only windows count that agree with a reference and hold a fifth of it. A window more can only better them.
        """
        features = self.features
        useful = (features[:, :, POSITION["spelling"]] >= _MIN_USEFUL) & (features[:, :, POSITION["denial"]] == 0)
        useful &= open_to
        result = np.zeros((len(features), len(FEATURES)), dtype=np.float32)
        rows = self._left.rows
        for name, matrix in self._found.items():
            best = np.where(useful[rows], matrix, 0).max(axis=1, keepdims=True)
            result[:, POSITION[name]] = self._left.share(best)[:, 0]
            if name == "meaning":
                result[:, POSITION["unmatched"]] = self._left.worst(best)[:, 0]
        for name, (there, starts) in self._pairs.items():
            counts = np.diff(np.append(starts, len(there)))
            seen = (there & np.repeat(useful, counts, axis=0)).any(axis=1)
            result[:, POSITION[name]] = np.add.reduceat(seen.astype(np.float32), starts) / counts
        result[:, POSITION["numbers"]] = np.where(useful, features[:, :, POSITION["numbers"]], 0).max(axis=1)
        return result


def compare(
    references: Sequence[Wording], windows: Sequence[Wording], asked: frozenset[str], question: str, lexicon: Lexicon
) -> Comparison:
    """Features of the references beside the windows.

    `asked` are stems of the question: they count less, since an echo of the question says nothing.
    """
    left, right = _side(tuple(references), asked, lexicon), _Side(windows, asked, lexicon)
    exact = (left.codes(left.numbers)[:, None] == right.codes(left.numbers)[None, :]).astype(np.float32)
    letters = left.letters @ right.letters.T
    # A slip of the pen costs little: half the letter triples of a short word are gone with one of its letters.
    close = np.interp(letters, [_MIN_SPELLING, _SAME_SPELLING], [0.75, 0.95])
    spelling = np.maximum(exact, np.where(letters > _MIN_SPELLING, close, 0)).astype(np.float32)
    company = left.company @ right.company.T
    sense = left.sense @ right.sense.T
    soft = {
        "words": exact,
        "spelling": spelling,
        "neighbours": np.maximum(spelling, 0.9 * _above(company, _MIN_NEIGHBOUR)),
        "senses": np.maximum(spelling, 0.9 * _above(sense, _MIN_SENSE)),
        "meaning": np.maximum(spelling, 0.95 * _above(0.5 * (company + sense), _MIN_MEANING)),
    }
    features = np.zeros((len(references), len(windows), len(FEATURES)), dtype=np.float32)
    found = {name: np.maximum.reduceat(matrix, right.starts, axis=1) for name, matrix in soft.items()}
    rephrased = _PARAPHRASE * left.rephrased(right.spoken)
    found["paraphrases"] = np.maximum(found["spelling"], rephrased)
    found["said"] = np.maximum(found["meaning"], rephrased)
    for name, matrix in found.items():
        features[:, :, POSITION[name]] = left.share(matrix)
    features[:, :, POSITION["unmatched"]] = left.worst(found["meaning"])
    sizes = np.array([len(reference.stems) for reference in references])
    features[:, :, POSITION["count"]] = np.add.reduceat(found["said"], left.starts, axis=0) / sizes[:, None]
    features[:, :, POSITION["precision"]] = right.share(np.maximum.reduceat(spelling, left.starts, axis=0).T).T
    back = np.maximum.reduceat(soft["meaning"], left.starts, axis=0).T
    back = np.maximum(back, _PARAPHRASE * right.rephrased(left.spoken))
    features[:, :, POSITION["subject"]] = right.share(back).T
    subject = _side((wording(question),), frozenset(), lexicon)
    for name in ("company", "sense"):
        direction = subject.mean(name)[0]
        features[:, :, POSITION[name]] = _beside(left.mean(name), direction) @ _beside(right.mean(name), direction).T
    weighted = left.weights[:, None] * exact * right.weights[None, :]
    dots = np.add.reduceat(np.add.reduceat(weighted, left.starts, axis=0), right.starts, axis=1)
    features[:, :, POSITION["tfidf"]] = dots / np.outer(left.norms, right.norms)
    pairs: dict[str, tuple[NDArray[np.bool_], NDArray[np.int64]]] = {}
    for name, reach, other_reach, every in (("bigrams", 1, 1, False), ("skips", 2, 3, False), ("phrases", 1, 1, True)):
        mine, starts = left.pairs(left.numbers, reach, every=every)
        theirs, other_starts = right.pairs(left.numbers, other_reach, every=every)
        there = np.maximum.reduceat(mine[:, None] == theirs[None, :], other_starts, axis=1)
        pairs[name] = there, starts
        counts = np.diff(np.append(starts, len(mine)))[:, None]
        features[:, :, POSITION[name]] = np.add.reduceat(there.astype(np.float32), starts, axis=0) / counts
    features[:, :, POSITION["denial"]] = _disagreements(left, right)
    features[:, :, POSITION["denies"]] = left.negates[:, None] != right.negates[None, :]
    features[:, :, POSITION["opposite"]] = _opposites_there(left, windows)
    features[:, :, POSITION["numbers"]] = 1.0
    for row, reference in enumerate(references):
        if wanted := reference.numbers:
            features[row, :, POSITION["numbers"]] = [len(wanted & window.numbers) / len(wanted) for window in windows]
    opposed = np.zeros((len(references), len(windows)), dtype=np.bool_)
    for column, window in enumerate(windows):
        for row in {row for group in window.groups for row in left.contraries.get(group, ())}:
            opposed[row, column] = opposes(references[row], window)
    return Comparison(features, opposed, left, found, pairs)


def _disagreements(left: _Side, right: _Side) -> NDArray[np.bool_]:
    """Where one of two texts denies what the other affirms; only where a text has a negation can that be."""
    result = np.zeros((len(left.texts), len(right.texts)), dtype=np.bool_)
    may_deny = (left.negates | left.denies)[:, None] | (right.negates | right.denies)[None, :]
    for row, column in np.argwhere(may_deny).tolist():
        result[row, column] = not agree(left.texts[row], right.texts[column])
    return result


def _opposites_there(left: _Side, windows: Sequence[Wording]) -> NDArray[np.bool_]:
    """Where a window has a word's opposite and not the word, of a text that has the word and not its opposite."""
    result = np.zeros((len(left.texts), len(windows)), dtype=np.bool_)
    for column, window in enumerate(windows):
        for opposite in window.wanted & left.against.keys():
            for stem in left.against[opposite] - window.wanted:
                rows = [row for row in left.rows_with[stem] if opposite not in left.texts[row].wanted]
                result[rows, column] = True
    return result


def agree(reference: Wording, window: Wording) -> bool:
    """Whether two texts both affirm or both deny.

    Clause beside clause: "everything is active, and we don't scale" does not deny that everything is active.
    """
    if window.is_denied != reference.is_denied:
        return False
    if not (window.has_negation or reference.has_negation):
        return True
    wanted = frozenset(reference.stems)
    said, denies = max(window.clauses, key=lambda clause: len(wanted & clause[0]))
    _, denied = max(reference.clauses, key=lambda clause: len(said & clause[0]))
    return denies == denied


def opposes(reference: Wording, window: Wording) -> bool:
    """Whether the window has the opposite of an expression of the reference, beside a word that stands beside that too."""
    return any(
        reference.contrary[opposite] not in window.groups
        and not reference.around(reference.groups[reference.contrary[opposite]]).isdisjoint(
            window.around(window.groups[opposite])
        )
        for opposite in reference.contrary.keys() & window.groups.keys()
    )


@lru_cache(maxsize=64)
def _side(texts: tuple[Wording, ...], asked: frozenset[str], lexicon: Lexicon) -> _Side:
    """The side of the references, made once for all attempts at a question."""
    return _Side(texts, asked, lexicon)


class _Side:
    """The words of several texts in one row, with weights and the places where texts start."""

    def __init__(self, texts: Sequence[Wording], asked: frozenset[str], lexicon: Lexicon) -> None:
        self.texts = texts
        self.stems = [stem for text in texts for stem in text.stems]
        sizes = [len(text.stems) for text in texts]
        self.starts = np.cumsum([0, *sizes[:-1]])
        self.rows = np.repeat(np.arange(len(texts)), sizes)
        self.ids = lexicon.ids(self.stems)
        self.idf = lexicon.idf[self.ids]
        share = np.array([QUESTION_WORD_WEIGHT if stem in asked else 1.0 for stem in self.stems], dtype=np.float32)
        self.weights = self.idf * share
        self.totals = np.add.reduceat(self.weights, self.starts)
        self.numbers: dict[str, int] = {}
        """A number for each stem."""
        for stem in (stem for text in texts for stem in text.all_stems):
            self.numbers.setdefault(stem, len(self.numbers))
        self.company, self.sense = lexicon.company[self.ids], lexicon.sense[self.ids]

    @cached_property
    def negates(self) -> NDArray[np.bool_]:
        """Which texts have a negation."""
        return np.array([text.has_negation for text in self.texts], dtype=np.bool_)

    @cached_property
    def denies(self) -> NDArray[np.bool_]:
        """Which texts say outright that something is not true."""
        return np.array([text.is_denied for text in self.texts], dtype=np.bool_)

    @cached_property
    def rows_with(self) -> Mapping[str, Sequence[int]]:
        """The texts that have a stem."""
        result: dict[str, list[int]] = {}
        for row, text in enumerate(self.texts):
            for stem in text.wanted:
                result.setdefault(stem, []).append(row)
        return result

    @cached_property
    def against(self) -> Mapping[str, set[str]]:
        """Words that are the opposite of some that the texts have, and of which."""
        table: dict[str, set[str]] = {}
        for stem in self.rows_with:
            for opposite in _opposites_of(stem):
                table.setdefault(opposite, set()).add(stem)
        return table

    @cached_property
    def contraries(self) -> Mapping[Group, Sequence[int]]:
        """The texts that a group of expressions says the opposite of."""
        result: dict[Group, list[int]] = {}
        for row, text in enumerate(self.texts):
            for group in text.contrary:
                result.setdefault(group, []).append(row)
        return result

    @cached_property
    def letters(self) -> Vectors:
        """Unit vectors of the words' letter pairs and triples."""
        return np.stack([_letters(stem) for stem in self.stems])

    @cached_property
    def norms(self) -> Vectors:
        """Lengths of the texts' TF-IDF vectors."""
        result = np.zeros(len(self.texts), dtype=np.float32)
        for row, start in enumerate(self.starts):
            by_stem: dict[str, float] = {}
            for place in range(start, start + len(self.texts[row].stems)):
                by_stem[self.stems[place]] = by_stem.get(self.stems[place], 0.0) + float(self.weights[place])
            result[row] = math.sqrt(sum(value * value for value in by_stem.values()))
        return result

    @cached_property
    def spoken(self) -> Mapping[Group, NDArray[np.bool_]]:
        """Which of the texts speak of each group of paraphrases."""
        result: dict[Group, NDArray[np.bool_]] = {}
        for column, text in enumerate(self.texts):
            for group in text.groups:
                result.setdefault(group, np.zeros(len(self.texts), dtype=np.bool_))[column] = True
        return result

    def mean(self, name: str) -> Vectors:
        """Unit mean vector of each text, rare words counting more."""
        return self._means[name]

    @cached_property
    def _means(self) -> Mapping[str, Vectors]:
        return {
            name: _unit(np.add.reduceat(self.idf[:, None] * vectors, self.starts, axis=0))
            for name, vectors in (("company", self.company), ("sense", self.sense))
        }

    def codes(self, numbers: Mapping[str, int]) -> NDArray[np.int64]:
        """The numbers of the words; -1 for what has none."""
        return np.array([numbers.get(stem, -1) for stem in self.stems], dtype=np.int64)

    def rephrased(self, spoken: Mapping[Group, NDArray[np.bool_]]) -> Vectors:
        """1 where a word stands in an expression that a text of the other side has a paraphrase of; shape (words, texts)."""
        texts = len(next(iter(spoken.values()), ()))
        result = np.zeros((len(self.stems), max(texts, 1)), dtype=np.bool_)
        for group in self.words_of.keys() & spoken.keys():
            result[self.words_of[group]] |= spoken[group]
        return result.astype(np.float32)

    @cached_property
    def words_of(self) -> Mapping[Group, NDArray[np.int64]]:
        """The words, of all texts, that speak of each group."""
        rows: dict[Group, list[int]] = {}
        for start, text in zip(self.starts, self.texts, strict=True):
            at = {place: int(start) + number for number, place in enumerate(text.places)}
            for group, places in text.groups.items():
                rows.setdefault(group, []).extend(at[place] for place in sorted(places) if place in at)
        return {group: np.array(words, dtype=np.int64) for group, words in rows.items() if words}

    def share(self, found: Vectors) -> Vectors:
        """Weighted share of each text's words that were found; `found` has a row a word."""
        sums = np.add.reduceat(self.weights[:, None] * found, self.starts, axis=0)
        return np.asarray(sums / self.totals[:, None], dtype=np.float32)

    def worst(self, found: Vectors) -> Vectors:
        """The largest weight that was not found, as a share of the text's largest weight."""
        missing = np.maximum.reduceat(self.weights[:, None] * (1 - found), self.starts, axis=0)
        largest = np.maximum.reduceat(self.weights, self.starts)[:, None]
        return np.asarray(missing / largest, dtype=np.float32)

    def pairs(
        self, codes: Mapping[str, int], reach: int, *, every: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ordered pairs of words up to `reach` apart, as numbers, and where each text's pairs start."""
        numbers: list[int] = []
        starts = []
        for text in self.texts:
            starts.append(len(numbers))
            stems = text.all_stems if every else text.stems
            own = [codes.get(stem, -1) for stem in stems]
            # A text of one word is its own pair: reduceat knows no empty part.
            numbers += [
                (first << 32) + second
                for apart in range(1, reach + 1)
                for first, second in zip(own, own[apart:], strict=False)
            ] or [(own[0] << 32) + own[0]]
        return np.array(numbers, dtype=np.int64), np.array(starts, dtype=np.int64)


def _beside(vectors: Vectors, direction: Vectors) -> Vectors:
    return _unit(vectors - _QUESTION_SHARE * np.outer(vectors @ direction, direction))


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _above(cosines: NDArray[np.floating], least: float) -> Vectors:
    return np.asarray(np.clip((cosines - least) / (1 - least), 0, 1), dtype=np.float32)


@lru_cache(maxsize=50_000)
def _letters(stem: str) -> Vectors:
    vector = np.zeros(_LETTERS, dtype=np.float32)
    framed = f"<{stem}>"
    for size in (2, 3):
        for start in range(len(framed) - size + 1):
            vector[zlib.crc32(framed[start : start + size].encode()) % _LETTERS] = 1
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


@cache
def _opposites() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    for pair in _OPPOSITES:
        first, second = (_stem(word) for word in pair.split("/"))
        table.setdefault(first, set()).add(second)
        table.setdefault(second, set()).add(first)
    return {stem: frozenset(others) for stem, others in table.items()}


@lru_cache(maxsize=20_000)
def _opposites_of(stem: str) -> frozenset[str]:
    made = {prefix + stem for prefix in ("un", "in", "dis", "non")}
    made |= {
        stem.removeprefix(prefix)
        for prefix in ("un", "dis", "non")
        if stem.startswith(prefix) and len(stem) > len(prefix) + 3
    }
    return _opposites().get(stem, frozenset()) | made


def order_kept(reference: Wording, window: Wording) -> float:
    """Share, 0 to 1, of the reference's neighbouring words found in the window that stand there in the same order."""
    places = {stem: place for place, stem in reversed(list(enumerate(window.all_stems)))}
    pairs = [(first, second) for first, second in pairwise(reference.all_stems) if first in places and second in places]
    if len(pairs) < 3:
        return 1.0
    following = set(pairwise(window.all_stems))
    return sum(pair in following for pair in pairs) / len(pairs)


def fragments_kept(reference: Wording, window: Wording, asked: frozenset[str]) -> float:
    """Share, 0 to 1, of the four-letter fragments of the reference's words that the window's words have.

    Words of the question are left out, unless the reference has no others: "photosynthesis" is near "photosynthetic".
    """
    wanted = _fragments(set(reference.stems) - asked) or _fragments(set(reference.stems))
    return len(wanted & _fragments(set(window.stems))) / len(wanted)


def _fragments(stems: set[str]) -> set[str]:
    framed = [f"_{stem}_" for stem in stems]
    return {word[start : start + 4] for word in framed for start in range(max(1, len(word) - 3))}

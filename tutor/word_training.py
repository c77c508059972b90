"""Teaches word vectors which words stand for each other, by contrast over statements and what learners say of them. Needs PyTorch.

Only vectors of words are learned, no weights that see a whole text: a text's style, which tells written right and wrong answers apart, can
teach them nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from corpus.sayings import Sayings
from index.build import Progress
from index.static_encoder import Vectors
from index.words import words
from tutor.similarity import QUESTION_WORD_WEIGHT, Lexicon

if TYPE_CHECKING:
    import torch

EPOCHS = 4
BATCH = 192
CANDIDATES = 16
"""Texts of a batch, the nearest among them, that a text is matched with word by word."""
LEARNING_RATE = 1e-3
_TEMPERATURE, _MATCH_TEMPERATURE = 20.0, 12.0
_FIRST_THRESHOLD = 0.15
_PAIRS_A_STATEMENT = 4
"""Pairs drawn among all that says a statement, beside the statement with each."""
_PAIRS_A_GROUP = 2
_NEIGHBOURS = 8
"""Batches that are drawn at once and sorted by question, so that what is near by subject meets in one."""
_STAY = 1.0
"""Of the mean squared step away from where a word's vector was."""
_STAY_TURNED = 0.01
_BACK = 0.5
_MOST_WORDS = 20
"""Of a text; most have less than half as many, and a batch is as wide as its longest."""
_FULL = 0.95
"""As for two words of equal vectors in `similarity.compare`."""


@dataclass(frozen=True)
class Pair:
    """Two texts that say the same, and what is near to them and does not."""

    text: str
    other: str
    question: str
    subject: str
    """Pairs of one subject are put side by side."""
    beside: tuple[str, ...] = ()


def pairs_of(sayings: Iterable[Sayings], groups: Iterable[Sequence[str]], *, seed: int = 0) -> list[Pair]:
    """Pairs of what says the same: a statement and its lines, a mistake and the same mistake, expressions of a group of paraphrases."""
    dice = np.random.default_rng(seed)
    pairs: list[Pair] = []
    for item in sayings:
        alike = [(item.statement, text) for text in item.right[1:]]
        if alike:
            alike += [_two_of(item.right, dice) for _ in range(_PAIRS_A_STATEMENT)]
        for first, *same in item.mistakes:
            alike += [pair for text in same for pair in ((first, text), (text, first))]
        subject = item.question_id or item.question or item.statement
        pairs += [Pair(text, other, item.question, subject, item.beside) for text, other in alike]
    for group in groups:
        if len(group) > 1:
            drawn = [_two_of(group, dice) for _ in range(_PAIRS_A_GROUP)]
            pairs += [Pair(text, other, "", group[0]) for text, other in drawn]
    return pairs


def _two_of(texts: Sequence[str], dice: np.random.Generator) -> tuple[str, str]:
    first, second = dice.choice(len(texts), 2, replace=False)
    return texts[first], texts[second]


def taught_vectors(
    lexicon: Lexicon, pairs: Sequence[Pair], *, dimension: int, seed: int = 0, epochs: int = EPOCHS, progress: Progress
) -> Vectors:
    """Unit vectors of the lexicon's stems, shape (stems, dimension), after learning from the pairs; deterministic.

    They begin as the lexicon's two kinds of vectors side by side. The loss is InfoNCE (van den Oord et al. 2018) twice: over cosines
    of mean vectors against all texts of the batch, and over the soft recall of words (the maximum over the other text's words, as in
    ColBERT, Khattab and Zaharia 2020) against the nearest. Words that no pair has move with the map that all share.
    """
    import torch
    from torch.nn import functional

    start = np.concatenate([lexicon.company, lexicon.sense], axis=1) / np.sqrt(2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        reader = _Reader(lexicon, pairs)
        before = torch.from_numpy(start[reader.used].astype(np.float32))
        step = torch.nn.Parameter(torch.zeros_like(before))
        turn = torch.nn.Parameter(torch.eye(before.shape[1]))
        scalars = torch.nn.Parameter(torch.tensor([_TEMPERATURE, _MATCH_TEMPERATURE, _FIRST_THRESHOLD]))
        optimizer = torch.optim.Adam([step, turn, scalars], lr=LEARNING_RATE)
        dice = np.random.default_rng(seed)
        total = epochs * (len(pairs) // BATCH + 1)
        done = 0
        for _ in range(epochs):
            for batch in _batches(pairs, dice):
                progress("teaching words", min(done, total), total)
                texts = reader.texts([pair.text for pair in batch], [pair.question for pair in batch])
                more = [pair.beside[int(dice.integers(len(pair.beside)))] for pair in batch if pair.beside][
                    : BATCH // 2
                ]
                others = reader.texts(
                    [*(pair.other for pair in batch), *more], [*(pair.question for pair in batch), *[""] * len(more)]
                )
                # Only what the batch has is turned: a lexicon has ten times as many words.
                moved, places = torch.unique(
                    torch.cat([texts.places.flatten(), others.places.flatten()]), return_inverse=True
                )
                vectors = functional.normalize((before[moved] + step[moved]) @ turn, dim=-1)
                left, right = places.split([texts.places.numel(), others.places.numel()])
                loss = _loss(
                    vectors[left].view(*texts.places.shape, -1),
                    vectors[right].view(*others.places.shape, -1),
                    texts,
                    others,
                    scalars,
                )
                loss = loss + _STAY * (step[moved] ** 2).sum(-1).mean()
                loss = loss + _STAY_TURNED * ((turn - torch.eye(len(turn))) ** 2).sum()
                for group in optimizer.param_groups:
                    group["lr"] = LEARNING_RATE * max(0.05, 1 - done / total)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                done += 1
        moved_start = start.astype(np.float32)
        moved_start[reader.used] += step.detach().numpy()
        found = moved_start @ turn.detach().numpy()
    finally:
        torch.set_num_threads(threads)
    return _reduced(found[:-1], dimension)


def _reduced(vectors: NDArray[np.floating], dimension: int) -> Vectors:
    """Unit vectors in the directions that hold most."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    _, _, right = np.linalg.svd(unit.T @ unit)
    reduced = unit @ right[:dimension].T
    return np.asarray(reduced / np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _batches(pairs: Sequence[Pair], dice: np.random.Generator) -> Iterator[list[Pair]]:
    order = [pairs[place] for place in dice.permutation(len(pairs))]
    batches: list[list[Pair]] = []
    for begin in range(0, len(order), BATCH * _NEIGHBOURS):
        near = sorted(order[begin : begin + BATCH * _NEIGHBOURS], key=lambda pair: pair.subject)
        batches += [near[at : at + BATCH] for at in range(0, len(near), BATCH)]
    yield from (batches[place] for place in dice.permutation(len(batches)) if len(batches[place]) > 1)


@dataclass(frozen=True)
class _Texts:
    """Texts of a batch; each tensor but the last has the shape (texts, words of the longest)."""

    places: torch.Tensor
    """Of the words among the vectors that are learned."""
    codes: torch.Tensor
    """A number for each word, -1 beyond a text's end."""
    weights: torch.Tensor
    """Rarity, less for words of the question; 0 beyond the end."""
    keys: torch.Tensor
    """A number for each text."""


class _Reader:
    """Texts as numbers."""

    def __init__(self, lexicon: Lexicon, pairs: Sequence[Pair]) -> None:
        self._lexicon = lexicon
        self._known: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        texts = (text for pair in pairs for text in (pair.text, pair.other, *pair.beside))
        self.used = np.unique(np.concatenate([self._words(text)[0] for text in texts]))
        """Rows of the lexicon that come in the texts."""
        self._place = np.zeros(lexicon.size + 1, dtype=np.int64)
        self._place[self.used] = np.arange(len(self.used))

    def _words(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if text not in self._known:
            stems = (words(text) or words(text, stop_words=True) or [""])[:_MOST_WORDS]
            self._known[text] = self._lexicon.ids(stems), np.array([zlib.crc32(stem.encode()) for stem in stems])
        return self._known[text]

    def texts(self, texts: Sequence[str], questions: Sequence[str]) -> _Texts:
        """The texts, padded; of each the words of its question count less."""
        import torch

        taken = [self._words(text) for text in texts]
        shape = len(taken), max(len(ids) for ids, _ in taken)
        places, codes = np.zeros(shape, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
        weights = np.zeros(shape, dtype=np.float32)
        for row, ((ids, numbers), question) in enumerate(zip(taken, questions, strict=True)):
            asked = np.isin(numbers, self._words(question)[1]) if question else np.zeros(len(ids), dtype=np.bool_)
            places[row, : len(ids)], codes[row, : len(ids)] = self._place[ids], numbers
            weights[row, : len(ids)] = self._lexicon.idf[ids] * np.where(asked, QUESTION_WORD_WEIGHT, 1.0)
        keys = np.array([zlib.crc32(text.encode()) for text in texts])
        return _Texts(*map(torch.from_numpy, (places, codes, weights, keys)))


def _loss(
    left: torch.Tensor, right: torch.Tensor, texts: _Texts, others: _Texts, scalars: torch.Tensor
) -> torch.Tensor:
    """InfoNCE over cosines and over soft recall; the n-th text says the same as the n-th of the others.

    `left` and `right` are the vectors of their words, shape (texts, words, dimensions).
    """
    import torch
    from torch.nn import functional

    temperature, match_temperature, threshold = scalars
    size = len(texts.keys)
    row = torch.arange(size)
    means = [
        functional.normalize((part * side.weights[..., None]).sum(1), dim=-1)
        for part, side in ((left, texts), (right, others))
    ]
    # What says the same as the text, or is the same text once more, is no counterexample.
    same = texts.keys[:, None] == others.keys[None, :]
    same[:, :size] |= (texts.keys[:, None] == texts.keys[None, :]) | (
        others.keys[:size, None] == others.keys[None, :size]
    )
    same[row, row] = False
    logits = (means[0] @ means[1].T * temperature).masked_fill(same, -1e4)
    loss = functional.cross_entropy(logits, row) + functional.cross_entropy(logits[:, :size].T, row)
    with torch.no_grad():
        ranked = logits.clone()
        ranked[row, row] = 1e4
        chosen = ranked.topk(min(CANDIDATES, logits.shape[1]), dim=1).indices
    near = torch.einsum("bnd,bcmd->bcnm", left, right[chosen])
    near = ((near - threshold) / (1 - threshold)).clamp(0) * _FULL
    equal = texts.codes[:, None, :, None] == others.codes[chosen][:, :, None, :]
    near = torch.where(equal, torch.ones(()), near)
    near = near.masked_fill((others.codes[chosen] < 0)[:, :, None, :], 0)
    near = near.masked_fill((texts.codes < 0)[:, None, :, None], 0)
    weights, other_weights = texts.weights[:, None, :], others.weights[chosen]
    recall = (near.amax(-1) * weights).sum(-1) / weights.sum(-1)
    precision = (near.amax(2) * other_weights).sum(-1) / other_weights.sum(-1)
    matches = ((recall + _BACK * precision) * match_temperature).masked_fill(same[row[:, None], chosen], -1e4)
    return loss + functional.cross_entropy(matches, torch.zeros(size, dtype=torch.int64))

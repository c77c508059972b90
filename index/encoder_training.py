"""Trains the encoder that the project ships: one vector a token, from pairs of texts that belong together.

The recipe behind `tutor train encoder`. Everything random is seeded: the same pairs give the same model on the same machine.
The model knows no order of words (a text is the mean of its tokens' vectors), which is what lets it run at once on any laptop.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from index.static_encoder import save_encoder
from index.training_pairs import Source

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

Progress = Callable[[str, int, int], None]

VOCABULARY = 26_000
DIMENSION = 512
MATRYOSHKA = (512, 256, 128)
"""Prefixes of the vector that are trained to work alone (Kusupati et al. 2022)."""
BATCH = 768
STEPS = 2_500
SCALE = 20.0
"""Inverse temperature of the softmax over the batch."""
LEARNING_RATE = 0.02
MAX_TOKENS = 256
TYPO_SHARE = 0.15
"""Share of the questions in which one word is misspelt."""

# Text of the field counts most; definitions of everyday words and docstrings only widen the vocabulary.
WEIGHTS: Mapping[str, float] = {
    "qa_mit": 2.0,
    "d2l_zh": 2.5,
    "parallel_zh_en": 2.5,
    "wordnet": 0.4,
    "docstrings": 0.6,
    "corpus questions": 3.0,
    "corpus points": 2.0,
    "corpus phrasings": 2.0,
    "corpus translations": 1.0,
    "corpus headings": 1.0,
    "corpus clozes": 1.0,
    "made clozes": 3.0,
    "made clozes zh": 1.0,
    "made across languages": 1.5,
}
FIELD_WEIGHT = 4.0
"""Weight of all other sources together; each has its share by size, so that none is seen a hundred times over."""


def train_encoder(
    sources: Sequence[Source], folder: Path, *, steps: int = STEPS, seed: int = 0, progress: Progress
) -> dict[str, object]:
    """Train on the sources and write the encoder to `folder`. Returns what the report says of the run.

    Symmetric cross-entropy over in-batch negatives (van den Oord et al. 2018; Gao et al. 2021), at three prefixes of the
    vector at once. Raises ValueError where there is too little text to learn a vocabulary from.
    """
    import torch

    torch.manual_seed(seed)
    dice = np.random.default_rng(seed)
    sources = [source for source in sources if len(source.pairs) >= 8]
    if not sources:
        raise ValueError("Too few pairs to train on. Expected sources of at least 8 pairs.")
    progress("learning the vocabulary", 0, 1)
    tokenizer = _train_tokenizer(sources)
    tokenized = []
    for done, source in enumerate(sources):
        progress("tokenizing", done, len(sources))
        tokenized.append(tuple(_tokenize(tokenizer, [pair[side] for pair in source.pairs]) for side in (0, 1)))
    weights = _initial_vectors(tokenizer, tokenized, dice)
    bag = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(weights), freeze=False, mode="mean")
    optimizer = torch.optim.Adam(bag.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, steps))
    share = _shares(sources)
    loss_sum = 0.0
    for step in range(steps):
        progress("training", step, steps)
        number = int(dice.choice(len(sources), p=share))
        questions, passages = tokenized[number]
        rows = dice.choice(len(questions), size=min(BATCH, len(questions)), replace=False)
        asked = [
            questions[row] if dice.random() > TYPO_SHARE else _misspelt(sources[number].pairs[row][0], tokenizer, dice)
            for row in rows
        ]
        left, right = (_embed_bag(bag, side) for side in (asked, [passages[row] for row in rows]))
        loss = torch.stack(
            [_contrastive(left[:, :size], right[:, :size]) for size in MATRYOSHKA if size <= DIMENSION]
        ).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        loss_sum += loss.item()
    vectors = bag.weight.detach().numpy()
    save_encoder(folder, tokenizer, vectors)
    return {
        "steps": steps,
        "seed": seed,
        "mean_loss": round(loss_sum / steps, 4),
        "vocabulary": tokenizer.get_vocab_size(),
        "dimension": DIMENSION,
        "pairs": {source.name: len(source.pairs) for source in sources},
    }


def _shares(sources: Sequence[Source]) -> NDArray[np.float64]:
    field = sum(len(source.pairs) for source in sources if source.name not in WEIGHTS)
    weights = [WEIGHTS.get(source.name) or FIELD_WEIGHT * len(source.pairs) / field for source in sources]
    return np.array(weights) / sum(weights)


def _train_tokenizer(sources: Sequence[Source]) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, min_frequency=3, special_tokens=["[UNK]"], show_progress=False, limit_alphabet=5_000
    )
    # Glosses of everyday words would fill a third of the vocabulary.
    texts = (text for source in sources if source.name != "wordnet" for pair in source.pairs for text in pair)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[NDArray[np.int32]]:
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [np.array(item.ids or [0], dtype=np.int32) for item in encoded]


def _initial_vectors(
    tokenizer: Tokenizer, tokenized: Sequence[Sequence[Sequence[NDArray[np.int32]]]], dice: np.random.Generator
) -> NDArray[np.float32]:
    """Random directions, as long as the token is rare: at the start a text is its rare words, as in TF-IDF."""
    size = tokenizer.get_vocab_size()
    frequency = np.zeros(size)
    texts = 0
    for _, passages in tokenized:
        for ids in passages:
            frequency[np.unique(ids)] += 1
        texts += len(passages)
    idf = np.log(1 + texts / (1 + frequency))
    vectors = dice.standard_normal((size, DIMENSION)) / math.sqrt(DIMENSION) * (idf / idf.max())[:, None]
    return np.asarray(vectors, dtype=np.float32)


def _misspelt(text: str, tokenizer: Tokenizer, dice: np.random.Generator) -> NDArray[np.int32]:
    """The tokens of a text with two letters of one word swapped, or one of them dropped."""
    spelt = list(re.finditer(r"[A-Za-z]{5,}", text[:300]))
    if not spelt:
        return _tokenize(tokenizer, [text])[0]
    word = spelt[int(dice.integers(len(spelt)))]
    place = int(dice.integers(1, len(word[0]) - 2))
    letters = list(word[0])
    if dice.random() < 0.5:
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    else:
        del letters[place]
    return _tokenize(tokenizer, [text[: word.start()] + "".join(letters) + text[word.end() :]])[0]


def _embed_bag(bag: torch.nn.EmbeddingBag, ids: Sequence[NDArray[np.int32]]) -> torch.Tensor:
    import torch

    offsets = np.cumsum([0, *(len(item) for item in ids[:-1])])
    result: torch.Tensor = bag(torch.from_numpy(np.concatenate(ids).astype(np.int64)), torch.from_numpy(offsets))
    return result


def _contrastive(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn.functional import cross_entropy, normalize

    scores = SCALE * normalize(left, dim=1) @ normalize(right, dim=1).T
    target = torch.arange(len(scores))
    return (cross_entropy(scores, target) + cross_entropy(scores.T, target)) / 2


def _learning_rate(step: int, steps: int) -> float:
    warm_up = max(1, steps // 20)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

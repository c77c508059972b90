from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.encoder_training import train_encoder
from index.static_encoder import StaticEncoder
from index.training_pairs import Source

SUBJECTS = [
    "dropout",
    "momentum",
    "attention",
    "pooling",
    "quantization",
    "pruning",
    "sharding",
    "sampling",
    "padding",
    "caching",
]


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairs_of(prefix: str) -> Source:
    """Questions whose words differ from those of their passages, but for what training can learn."""
    return Source(
        prefix, [(f"{prefix} {subject}", f"the passage about {subject[::-1]} stands here") for subject in SUBJECTS] * 3
    )


def quiet(_stage: str, _done: int, _total: int) -> None:
    """No progress to show."""


def test_training_brings_questions_near_to_their_passages(tmp_path: Path):
    report = train_encoder([pairs_of("explain")], tmp_path, steps=60, progress=quiet)
    encoder = StaticEncoder(tmp_path)

    asked = encoder.encode([f"explain {subject}" for subject in SUBJECTS])
    passages = encoder.encode([f"the passage about {subject[::-1]} stands here" for subject in SUBJECTS])

    assert (asked @ passages.T).argmax(axis=1).tolist() == list(range(len(SUBJECTS)))
    assert report["pairs"] == {"explain": 30}


def test_same_pairs_and_seed_give_the_same_encoder(tmp_path: Path):
    for name in ("first", "again"):
        train_encoder([pairs_of("explain")], tmp_path / name, steps=5, progress=quiet)

    first, again = (np.load(tmp_path / name / "vectors.npz")["vectors"] for name in ("first", "again"))
    assert np.array_equal(first, again)


def test_too_few_pairs_are_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="Too few pairs"):
        train_encoder([Source("tiny", [("a", "b")])], tmp_path, steps=1, progress=quiet)

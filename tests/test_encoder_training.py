from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from index.encoder_training import Source, corpus_pairs, read_pairs, train_encoder
from index.static_encoder import StaticEncoder

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


def test_broken_pair_is_named_with_file_and_line(tmp_path: Path):
    (tmp_path / "field.jsonl").write_text(json.dumps({"q": "a", "d": "b"}) + "\n{\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"field\.jsonl:2: expected an object with q and d"):
        read_pairs(tmp_path)


def test_folder_without_pairs_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="No pairs in"):
        read_pairs(tmp_path)


def test_our_own_corpus_gives_pairs_of_every_kind(small_corpus: Path):
    sources = {
        source.name: source.pairs for source in corpus_pairs(small_corpus / "guides", small_corpus / "questions")
    }

    assert ("Explain dropout.", "Dropout") in [
        (question, passage.split("\n")[0]) for question, passage in sources["corpus questions"]
    ]
    assert (
        "neurons are randomly turned off while learning",
        "Dropout zeroes random activations during training.",
    ) in sources["corpus phrasings"]
    assert all(sentence not in rest for sentence, rest in sources["corpus clozes"])

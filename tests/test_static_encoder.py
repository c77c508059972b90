from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.embedder import SHIPPED_FOLDER, ShippedEmbedder
from index.static_encoder import StaticEncoder, save_encoder

MAX_SHIPPED_BYTES = 16_000_000


@pytest.fixture(scope="module")
def shipped() -> StaticEncoder:
    return StaticEncoder(SHIPPED_FOLDER)


def test_vectors_have_length_one_and_are_the_same_each_time(shipped: StaticEncoder):
    first, again = (shipped.encode(["What is dropout?", "学习率如何设置？"]) for _ in range(2))

    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert np.array_equal(first, again)


@pytest.mark.parametrize("text", ["", "   ", "\u0001"])
def test_text_without_a_known_token_is_the_zero_vector(shipped: StaticEncoder, text: str):
    assert not shipped.encode([text]).any()


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (
            "sqrt(d) in attention",
            "scores are divided by the square root of the key width",
            "the learning rate is warmed up",
        ),
        ("批归一化", "batch normalization standardizes each channel", "beam search keeps the best hypotheses"),
        ("waht is batch normalizaton", "batch normalization", "gradient clipping"),
        (
            "my loss goes nan",
            "diagnosing unstable training and exploding gradients",
            "cloud, edge and on-premises deployment",
        ),
    ],
)
def test_shipped_encoder_is_near_in_meaning(shipped: StaticEncoder, question: str, right: str, wrong: str):
    asked, near, far = shipped.encode([question, right, wrong])

    assert asked @ near > asked @ far + 0.1


def test_shipped_encoder_is_small_enough_to_ship():
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.iterdir()) <= MAX_SHIPPED_BYTES


def test_text_of_the_field_is_more_familiar_than_text_of_another():
    embedder = ShippedEmbedder()

    field = embedder.familiarity(
        ["Batch normalization standardizes each channel with the statistics of the mini-batch."]
    )
    other = embedder.familiarity(["The Norman dukes besieged Byzantine fortresses along the Apulian coastline."])

    assert field > 0.9 > other


def test_letters_without_a_token_are_unfamiliar():
    assert ShippedEmbedder().familiarity(["드롭아웃이란 무엇인가"]) == 0


def test_missing_encoder_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"No encoder in .*Expected tokenizer\.json"):
        StaticEncoder(tmp_path)


def test_saved_vectors_come_back_within_rounding(tmp_path: Path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "dropout": 1, "adam": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.array([[0, 0], [3, 4], [-1, 0.5]], dtype=np.float32)

    save_encoder(tmp_path / "encoder", tokenizer, vectors)
    loaded = StaticEncoder(tmp_path / "encoder")

    assert loaded.dimension == 2
    assert np.allclose(loaded.encode(["dropout"]), [[0.6, 0.8]], atol=0.01)


def test_a_text_among_others_has_the_vector_it_has_alone(shipped: StaticEncoder):
    texts = [
        "Dropout\nzeroes activations.",
        "Layer  normalization (LayerNorm), per example",
        "什么是 dropout?",
        "[UNK] ẞ",
    ]
    afresh = StaticEncoder(SHIPPED_FOLDER)

    assert np.array_equal(shipped.encode(texts), np.concatenate([afresh.encode([text]) for text in texts]))


def test_a_text_is_read_as_far_as_the_tokenizer_cuts_it(shipped: StaticEncoder):
    limited = "batch norm " * 128

    assert np.array_equal(shipped.encode([limited]), shipped.encode([limited + "dropout"]))

"""How far passages support a sentence."""

from __future__ import annotations

import pytest

from tutor.grounding import SUPPORTED, support

INFERENCE = "At inference BatchNorm uses running averages of the mean and variance that were collected in training."
STATISTICS = "With 64 images of 28 x 28 pixels each channel's statistics come from 50,176 values."
CHINESE = "推理时批归一化使用训练中累积的滑动平均。"


def even(_word: str) -> float:
    return 1.0


@pytest.mark.parametrize(
    "sentence",
    [
        INFERENCE,
        "BatchNorm uses running averages at inference.",
        "At inference, running averages of mean and variance are used by BatchNorm.",
        "Running averages, collected in training, are what **BatchNorm** uses.",
    ],
)
def test_sentence_in_the_words_of_a_passage_is_supported(sentence: str):
    assert support(sentence, [STATISTICS, INFERENCE], even) >= SUPPORTED


@pytest.mark.parametrize(
    "sentence",
    [
        "LoRA freezes the weights and learns a low-rank update.",
        "BatchNorm was invented for reinforcement learning agents.",
        "BatchNorm does not use running averages at inference.",
        "Never use running averages at inference.",
        "At inference BatchNorm uses running averages of the last 128 batches.",
        "推理时使用当前批次的统计量。",
    ],
)
def test_other_claims_are_not_supported(sentence: str):
    assert support(sentence, [INFERENCE], even) < SUPPORTED


def test_number_that_the_passage_does_not_have_halves_the_support():
    right = "Each channel's statistics come from 50,176 values."
    wrong = "Each channel's statistics come from 64 values of 49 images."

    assert support(right, [STATISTICS], even) == 1.0
    assert support(wrong, [STATISTICS], even) <= 0.5


def test_number_counts_with_or_without_the_comma_of_thousands():
    assert support("Statistics come from 50176 values.", [STATISTICS], even) == 1.0


def test_negation_that_the_passage_has_too_costs_nothing():
    passage = "An L2 penalty in Adam is not weight decay."

    assert support("In Adam an L2 penalty is not weight decay.", [passage], even) == 1.0


PHASES = (
    "Dropout is active in training, and at inference it is switched off, so the activations need no scaling. "
    "It increases gradient noise and usually lengthens training. Warmup takes 500 steps, and training takes 10 epochs."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "Dropout is not active in training.",
        "At inference dropout is switched on.",
        "Dropout decreases gradient noise.",
        "Training takes 10 steps.",
        "Warmup takes 500 epochs.",
    ],
)
def test_the_opposite_in_the_same_words_and_another_unit_are_not_supported(sentence: str):
    assert support(sentence, [PHASES], even) < SUPPORTED


@pytest.mark.parametrize(
    "sentence",
    [
        "Dropout is active in training.",
        "At inference dropout is switched off.",
        "At inference the activations need no scaling.",
        "Dropout increases gradient noise and lengthens training.",
        "Training takes 10 epochs and warmup 500 steps.",
    ],
)
def test_a_clause_is_held_against_the_clause_that_speaks_of_the_same(sentence: str):
    assert support(sentence, [PHASES], even) >= SUPPORTED


def test_sentence_that_stands_in_the_passage_is_supported_whatever_its_clauses_look_like():
    sentence = "Snippets often build a decoder but never add the divergence to the loss."

    assert support(sentence, [f"Beware. {sentence} Check it."], even) == 1.0


def test_best_passage_counts_not_their_mixture():
    half, other = "Dropout zeroes activations.", "LayerNorm normalizes features."
    sentence = "Dropout zeroes activations and LayerNorm normalizes features."

    assert support(sentence, [half, other], even) == max(support(sentence, [part], even) for part in (half, other))
    assert support(sentence, [half, other], even) < SUPPORTED


def test_rare_words_weigh_more_than_common_ones():
    def idf(word: str) -> float:
        return 5.0 if word == "quantil" else 1.0

    assert support("The quantile of a network", ["A network is trained."], idf) < 0.2
    assert support("The quantile of a network", ["Each quantile is learned."], idf) > 0.8


def test_chinese_sentence_is_compared_by_its_words():
    assert support("批归一化在推理时使用滑动平均。", [CHINESE], even) >= SUPPORTED
    assert support("批归一化在推理时不使用滑动平均。", [CHINESE], even) < SUPPORTED


@pytest.mark.parametrize("sentence", ["", "And so it is.", "…", "的"])
def test_sentence_without_content_is_not_supported(sentence: str):
    assert support(sentence, [INFERENCE], even) == 0.0


def test_without_passages_nothing_is_supported():
    assert support(INFERENCE, [], even) == 0.0

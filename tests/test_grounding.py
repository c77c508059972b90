"""How far passages support a sentence."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.grounding import (
    SHIPPED_WEIGHTS,
    SUPPORTED,
    GroundingWeights,
    check_answer,
    check_sentence,
    collection_idf,
    sentence_places,
    shipped_weights,
    support,
)
from tutor.grounding_features import FEATURES, NEVER_GROWING, compare
from tutor.grounding_words import read_words

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


def test_number_that_the_passage_does_not_have_ends_the_support():
    right = "Each channel's statistics come from 50,176 values."
    wrong = "Each channel's statistics come from 64 values of 49 images."

    assert support(right, [STATISTICS], even) >= SUPPORTED
    assert support(wrong, [STATISTICS], even) < SUPPORTED
    assert support(right.replace("50,176", "50,276"), [STATISTICS], even) < SUPPORTED


def test_number_counts_with_or_without_the_comma_of_thousands():
    assert support("Statistics come from 50176 values.", [STATISTICS], even) >= SUPPORTED


def test_negation_that_the_passage_has_too_costs_nothing():
    passage = "An L2 penalty in Adam is not weight decay."

    assert support("In Adam an L2 penalty is not weight decay.", [passage], even) >= SUPPORTED


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
    assert support(sentence, [half, other], even) < support(sentence, [f"{half} {other}"], even)


def test_rare_words_weigh_more_than_common_ones():
    def idf(word: str) -> float:
        return 5.0 if word == "quantil" else 1.0

    sentence = "The quantile of a network"

    assert support(sentence, ["Each quantile is learned."], idf) > support(sentence, ["A network is trained."], idf)
    assert support(sentence, ["A network is trained."], even) > support(sentence, ["A network is trained."], idf)


def test_chinese_sentence_is_compared_by_its_words():
    assert support("批归一化在推理时使用滑动平均。", [CHINESE], even) >= SUPPORTED
    assert support("批归一化在推理时不使用滑动平均。", [CHINESE], even) < SUPPORTED


@pytest.mark.parametrize("sentence", ["", "And so it is.", "…", "的"])
def test_sentence_without_content_is_not_supported(sentence: str):
    assert support(sentence, [INFERENCE], even) == 0.0


def test_without_passages_nothing_is_supported():
    assert support(INFERENCE, [], even) == 0.0


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("At inference, BatchNorm uses running averages.", "supported"),
        ("BatchNorm does not use running averages at inference.", "contradicted"),
        ("LoRA freezes the weights and learns a low-rank update.", "unsupported"),
        ("Shall we look at an example?", "not checkable"),
        ("I cannot answer that from the guides.", "not checkable"),
        ("Great question, let us look at it.", "not checkable"),
    ],
)
def test_each_sentence_gets_a_verdict(sentence: str, verdict: str):
    assert check_sentence(sentence, [INFERENCE], even).verdict == verdict


def test_evidence_is_the_sentences_that_come_nearest():
    passage = f"Dropout is off. It is simple. That is all. {INFERENCE} The affine parameters stay. They are learned. Nothing else is."

    assert "running averages" in check_sentence("BatchNorm uses running averages.", [passage], even).evidence
    assert "Dropout" not in check_sentence("BatchNorm uses running averages.", [passage], even).evidence


def test_what_is_missing_is_marked_in_the_characters_of_the_answer():
    answer = "BatchNorm uses running averages at inference. It was proposed in 2015 by Sergey Ioffe."
    check = check_answer(answer, [INFERENCE], even)

    marked = [answer[start:end] for sentence in check.sentences for start, end in sentence.missing]
    assert [sentence.verdict for sentence in check.sentences] == ["supported", "unsupported"]
    assert any("2015" in text for text in marked)
    assert any("Sergey" in text for text in marked)
    assert not any("BatchNorm" in text for text in marked)


def test_answer_is_as_grounded_as_its_least_supported_claim_and_questions_are_no_claims():
    check = check_answer(f"{INFERENCE} LoRA learns a low-rank update. Shall I go on?", [INFERENCE], even)

    assert check.probability == min(sentence.probability for sentence in check.checkable) < SUPPORTED
    assert check.faithfulness == 0.5
    assert check.contradiction_rate == 0.0
    assert len(check.checkable) == 2


def test_answer_without_a_claim_has_no_faithfulness():
    check = check_answer("Shall I go on?", [INFERENCE], even)

    assert check.probability == 1.0
    assert check.faithfulness is None
    assert check.contradiction_rate is None


def test_names_and_numbers_of_the_question_may_be_repeated():
    passage = "He proposed it with a colleague at a company in 2015."
    answer = "It was proposed by Ioffe in 2015."

    asked = check_sentence(answer, [passage], even, question="Did Ioffe propose it?").probability
    assert asked > check_sentence(answer, [passage], even).probability


def test_citation_marks_are_no_numbers():
    bare, marked = "BatchNorm uses running averages.", "BatchNorm uses running averages [12]."

    assert support(marked, [INFERENCE], even) == support(bare, [INFERENCE], even)


def test_sentences_are_found_where_they_stand():
    text = "First one.\n\n  Second   one is\nlonger! 第三句。"

    assert [" ".join(text[start:end].split()) for start, end in sentence_places(text)] == [
        "First one.",
        "Second one is longer!",
        "第三句。",
    ]


def test_very_long_sentence_is_checked_in_pieces_and_the_worst_counts():
    supported = INFERENCE.rstrip(".")
    long, filler = ", ".join([supported] * 40), " ".join(["Quantized adapters drift."] * 80)

    assert support(long, [long], even) == 1.0
    assert support(f"{long} {filler}", [long], even) < SUPPORTED


def test_coefficients_have_the_sign_that_makes_sense():
    weights = dict(zip(FEATURES, shipped_weights().sentence.tolist(), strict=True))

    assert all(weights[name] <= 0 for name in NEVER_GROWING)
    assert all(weights[name] >= 0 for name in FEATURES if name not in NEVER_GROWING)
    assert all(weights[name] <= -1 for name in ("new_number", "contradiction", "other_unit"))


def test_weights_are_read_as_they_were_written_and_a_damaged_file_is_named(tmp_path: Path):
    shipped_weights().save(tmp_path / "same.json")
    assert (tmp_path / "same.json").read_bytes() == SHIPPED_WEIGHTS.read_bytes()

    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.json.*tutor train grounding"):
        GroundingWeights.load(tmp_path / "bad.json")


@given(st.text(max_size=200), st.text(max_size=300))
def test_support_of_any_text_is_a_chance_and_the_same_each_time(sentence: str, passage: str):
    first = support(sentence, [passage], even)

    assert math.isfinite(first)
    assert 0 <= first <= 1
    assert support(sentence, [passage], even) == first


def test_rarity_is_counted_over_sentences_of_the_collection():
    idf = collection_idf([INFERENCE, "BatchNorm has two phases. BatchNorm is common."])

    assert idf("unseen") > idf("phase") > idf("batch")


def test_numbers_and_months_have_one_spelling():
    terms = [word.term for word in read_words("Twelve of 50,176 in Sept.")]

    assert (terms[0], terms[2], terms[4]) == ("12", "50176", read_words("September")[0].term)


def test_text_without_a_word_compares_with_nothing():
    assert compare("…", INFERENCE, even) is None
    assert compare("Dropout", "…", even) is None

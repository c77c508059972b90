"""The share of a judge in what the offline check says."""

from __future__ import annotations

import pytest

from tutor.grounding import AnswerCheck, SentenceCheck
from tutor.judgements import Judgement, blended

CHECK = AnswerCheck(
    (
        SentenceCheck(0, 5, "supported", 0.6, "evidence"),
        SentenceCheck(6, 9, "contradicted", 0.2),
        SentenceCheck(10, 12, "not checkable", 0.0),
    )
)


def test_a_weight_of_nought_leaves_the_offline_check_as_it_is():
    assert blended(CHECK, [Judgement(0.0)] * 3, 0) is CHECK


def test_a_judge_moves_the_chance_by_its_weight_and_the_verdict_follows():
    said = blended(CHECK, [Judgement(0.1), Judgement(0.9), Judgement(1.0)], 0.5).sentences

    assert [(item.probability, item.verdict) for item in said] == [
        (0.35, "partially supported"),
        (0.55, "supported"),
        (0.0, "not checkable"),
    ]
    assert said[0].evidence == "evidence"


def test_what_either_finds_contradicted_is_so_while_it_is_not_supported():
    said = blended(CHECK, [Judgement(0.1, contradicts=True), Judgement(0.1), Judgement(0)], 0.5).sentences

    assert [item.verdict for item in said[:2]] == ["contradicted", "contradicted"]


def test_where_a_judgement_is_unreadable_the_offline_check_stands():
    assert blended(CHECK, [Judgement.unreadable("NaN")] * 3, 1.0) == CHECK


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, 1.5])
def test_a_number_that_is_no_probability_is_unreadable(value: float):
    assert Judgement.of(value).problem == f"{value} is no probability"


def test_rounding_may_leave_a_probability_a_hair_above_one():
    assert Judgement.of(1 + 1e-7) == Judgement(1.0)

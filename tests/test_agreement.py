"""Figures of agreement against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, roc_auc_score

from evals.agreement import auc, confusion, flag_figures, reliability, score_figures, verdict_figures

ROWS = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=40)


@given(ROWS)
def test_figures_of_flags_are_those_of_scikit_learn(rows: list[tuple[bool, float]]):
    gold, score = np.array([label for label, _ in rows]), np.array([chance for _, chance in rows])
    flagged = score >= 0.5
    found = flag_figures(gold, score, flagged)

    if gold.all() or not gold.any():
        assert all(math.isnan(value) for value in found.values())
        return
    assert found["auc"] == pytest.approx(roc_auc_score(gold, score))
    assert found["f1"] == pytest.approx(f1_score(gold, flagged, zero_division=0))
    assert found["macro_f1"] == pytest.approx(f1_score(gold, flagged, average="macro", labels=[0, 1], zero_division=0))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(gold, flagged))


def test_ties_count_half():
    assert auc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5


def test_verdicts_have_an_f1_each_and_kappa_takes_chance_away():
    gold = np.array(["made", "made", "missing", "missing"])
    given = np.array(["made", "missing", "missing", "missing"])

    found = verdict_figures(gold, given, ["made", "missing"])

    assert found["f1_made"] == pytest.approx(2 / 3)
    assert found["f1_missing"] == pytest.approx(4 / 5)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["agreement"] == 0.75
    assert found["kappa"] == pytest.approx(cohen_kappa_score(gold, given)) == pytest.approx(0.5)


def test_scores_that_are_the_marks_agree_in_full():
    marks = np.array([0.0, 0.5, 1.0])

    assert score_figures(marks, marks, 2) == {"pearson": pytest.approx(1), "rmse": 0.0, "qwk": 1.0}


def test_confusion_counts_each_pair_and_shows_a_verdict_that_nobody_expected():
    found = confusion("t", ["made", "made", "missing"], ["made", "unjudged", "missing"], ["made", "missing"])

    assert list(found.verdicts) == ["made", "missing", "unjudged"]
    assert found.counts == {"made": [1, 0, 1], "missing": [0, 1, 0]}


def test_reliability_is_the_share_that_came_true_of_groups_of_one_size():
    chances = np.array([0.9] * 10 + [0.1] * 10)
    outcomes = np.array([1.0] * 9 + [0.0] + [0.0] * 10)

    curve = reliability("t", "chance", chances, outcomes)

    measured = curve.lines["measured"]
    assert len(measured) == 10
    assert [x for x, _ in measured] == pytest.approx([0.1] * 5 + [0.9] * 5)
    assert sum(y for _, y in measured) * 2 == 9
    assert curve.lines["ideal"] == [(0.0, 0.0), (1.0, 1.0)]

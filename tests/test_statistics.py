"""Intervals and paired tests, against values that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evals.statistics import auc_interval, bootstrap_means, compare_paired


def test_interval_holds_the_mean_and_is_as_wide_as_the_normal_one():
    values = np.random.default_rng(3).normal(0.6, 0.2, size=400)

    found = bootstrap_means([{"recall@5": float(value)} for value in values], seed=0)["recall@5"]

    half = 1.96 * values.std() / math.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.cases == 400
    assert (found.low, found.high) == (
        pytest.approx(values.mean() - half, abs=0.004),
        pytest.approx(values.mean() + half, abs=0.004),
    )


def test_interval_is_the_same_for_the_same_seed_alone():
    rows = [{"hit@1": float(number % 3 == 0)} for number in range(50)]

    assert bootstrap_means(rows, seed=1) == bootstrap_means(rows, seed=1)
    assert bootstrap_means(rows, seed=1) != bootstrap_means(rows, seed=2)


def test_value_that_never_varies_has_no_width():
    found = bootstrap_means([{"hit@1": 1.0}] * 9, seed=0)["hit@1"]

    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_no_question_has_no_interval():
    assert bootstrap_means([], seed=0) == {}


def test_case_without_a_metric_is_refused():
    with pytest.raises(ValueError, match="value of MRR@10"):
        bootstrap_means([{"hit@1": 1.0, "MRR@10": 1.0}, {"hit@1": 1.0}], seed=0)


def test_auc_counts_pairs_in_order_and_ties_half():
    assert auc_interval([0.9, 0.2], [0.9, 0.2], seed=0).value == (1 + 0.5 + 0.5 + 0) / 4
    assert auc_interval([0.8, 0.9], [0.1], seed=0).low == 1.0
    with pytest.raises(ValueError, match="both kinds"):
        auc_interval([0.8], [], seed=0)


def test_few_differences_are_tested_exactly():
    # All five questions got better: of the 32 ways to set the signs, two are as far from nought.
    found = compare_paired([0.0] * 5, [0.2] * 5, seed=0)

    assert found.p_value == 2 / 32
    assert found.outcome == "no difference that could not be chance"
    assert compare_paired([0.0] * 6, [0.2] * 6, seed=0).p_value == 2 / 64


def test_steady_gain_over_many_questions_is_better_and_its_reverse_worse():
    low, high = [0.5] * 100, [0.5] * 70 + [1.0] * 30

    gain, loss = compare_paired(low, high, seed=0), compare_paired(high, low, seed=0)

    assert (gain.outcome, loss.outcome) == ("better", "worse")
    assert gain.difference.value == pytest.approx(0.15)
    assert gain.difference.low > 0 > loss.difference.high


def test_gains_and_losses_that_cancel_are_chance():
    found = compare_paired([0.0, 1.0] * 40, [1.0, 0.0] * 40, seed=0)

    assert found.outcome == "no difference that could not be chance"
    assert found.p_value == pytest.approx(1.0)


def test_runs_that_are_alike_have_nothing_to_test():
    assert compare_paired([0.3, 0.7], [0.3, 0.7], seed=0).p_value == 1.0


@pytest.mark.parametrize(("before", "after"), [([], []), ([1.0], [1.0, 0.0])])
def test_runs_that_were_not_joined_are_refused(before: list[float], after: list[float]):
    with pytest.raises(ValueError, match="Join them by id"):
        compare_paired(before, after, seed=0)

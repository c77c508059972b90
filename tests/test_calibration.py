"""Scores mapped to people's, question by question."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.calibration import LEAST_GRADED, calibration, keep_graded, read_calibrations
from tutor.grading import GradingError

shares = st.floats(0, 1)


def test_few_graded_answers_calibrate_nothing():
    assert calibration([(0.5, 1.0)] * (LEAST_GRADED - 1)) is None


def test_milder_people_raise_the_score_and_nothing_stays_nothing():
    learned = calibration([(step / 20, 0.4 + 0.6 * step / 20) for step in range(20)])

    assert learned is not None
    assert learned(0.5) == pytest.approx(0.7, abs=0.05)
    assert learned(0) == 0


@given(st.lists(st.tuples(shares, shares), min_size=LEAST_GRADED, max_size=30), shares, shares)
def test_more_is_never_worth_less(pairs: list[tuple[float, float]], one: float, other: float):
    learned = calibration(pairs)

    assert learned is not None
    low, high = sorted([one, other])
    assert 0 <= learned(low) <= learned(high) <= 1


def test_what_was_kept_is_read_back_and_replaced(tmp_path: Path):
    keep_graded(tmp_path, {"a": [(0.5, 1.0)] * 10, "b": [(0.5, 0.5)] * 10})
    keep_graded(tmp_path, {"a": [(0.5, 0.0)] * 12})

    learned = read_calibrations(tmp_path)

    assert learned["a"].graded == 12
    assert learned["a"](0.5) < 0.5
    assert learned["b"](0.5) == 0.5


def test_damaged_file_is_named(tmp_path: Path):
    (tmp_path / "calibration.json").write_text("[1]", encoding="utf-8")

    with pytest.raises(GradingError, match=r"calibration\.json"):
        read_calibrations(tmp_path)

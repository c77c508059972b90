"""Scores moved towards people's, question by question, by the answers that they graded."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.calibration import (
    LEAST_GRADED,
    MOST_GRADED,
    Calibration,
    GradedAnswer,
    calibration,
    keep_graded,
    read_calibrations,
)
from tutor.grader import shipped_grader
from tutor.grading import GradingError

QUESTION = "What does dropout do during training?"
ZEROES = (
    "Dropout sets random activations to zero.",
    "It sets some random activations to zero.",
    "Random activations are zeroed.",
)
SPEEDS = ("It makes the forward pass faster.", "The forward pass gets faster with it.", "A faster forward pass.")
UNLIKE = "My grandmother bakes bread on Sundays."

shares = st.floats(0, 1)
texts = st.sampled_from([*ZEROES, *SPEEDS, UNLIKE, "", "不知道", "x" * 5_000, "𝒙 = 0", "not"])


def graded(answers: Sequence[str], score: float, human: float) -> list[GradedAnswer]:
    return [GradedAnswer(answer, score, human) for answer in answers]


def learned(*answers: GradedAnswer) -> Calibration:
    found = calibration(answers, shipped_grader().lexicon)
    assert found is not None
    return found


def moved(found: Calibration, answer: str) -> float:
    """How far a score of one half is moved."""
    return found.calibrated(QUESTION, answer, 0.5) - 0.5


def test_few_graded_answers_calibrate_nothing():
    assert calibration(graded(ZEROES[: LEAST_GRADED - 1], 0.5, 1.0), shipped_grader().lexicon) is None


def test_milder_people_raise_the_score_by_less_than_they_were_milder():
    found = learned(*graded((*ZEROES, *SPEEDS), 0.4, 0.8))

    assert 0.1 < moved(found, "Dropout zeroes activations at random.") < 0.4


def test_people_who_agree_with_the_grader_move_nothing():
    assert moved(learned(*graded(ZEROES, 0.7, 0.7)), ZEROES[0]) == 0


def test_answer_is_moved_by_those_that_are_like_it():
    found = learned(*graded(ZEROES, 0.4, 0.9), *graded(SPEEDS, 0.6, 0.1))

    assert moved(found, "It zeroes activations at random.") > 0.1
    assert moved(found, "The forward pass is faster.") < -0.1


def test_denied_answer_is_less_like_what_it_denies():
    found = learned(*graded(ZEROES, 0.4, 0.9))

    assert moved(found, "It is not true that random activations are zeroed.") < moved(found, ZEROES[2])


def test_answer_off_the_subject_is_moved_by_the_shift_alone_and_little():
    found = learned(*graded((*ZEROES, *SPEEDS), 0.4, 0.8))

    assert 0 < moved(found, UNLIKE) < moved(found, "Dropout zeroes activations at random.") / 2


@pytest.mark.parametrize("answer", ["I don't know.", "", "  ", "不知道", "What does dropout do during training?"])
def test_what_earned_nothing_and_says_nothing_earns_nothing(answer: str):
    assert learned(*graded(ZEROES, 0.0, 1.0)).calibrated(QUESTION, answer, 0.0) == 0


def test_answer_that_earned_nothing_but_is_like_graded_ones_may_earn_something():
    assert learned(*graded(ZEROES, 0.0, 1.0)).calibrated(QUESTION, "Activations become zero at random.", 0.0) > 0.3


@given(st.lists(st.builds(GradedAnswer, texts, shares, shares), min_size=LEAST_GRADED, max_size=12), texts, shares)
def test_any_graded_answers_give_a_score_and_the_same_again(answers: list[GradedAnswer], answer: str, score: float):
    found = learned(*answers)

    given_score = found.calibrated(QUESTION, answer, score)

    assert 0 <= given_score <= 1
    assert given_score == round(given_score, 4) == found.calibrated(QUESTION, answer, score)


def test_own_score_of_an_answer_is_left_out_and_that_of_another_learner_with_the_same_words_is_not():
    others = graded(SPEEDS, 0.5, 0.5)
    mine, theirs = GradedAnswer(ZEROES[0], 0.5, 0.0), GradedAnswer(f" {ZEROES[0]} ", 0.5, 1.0)
    found = learned(mine, theirs, *others)

    by_theirs = found.calibrated(QUESTION, ZEROES[0], 0.5, own=found.own_of(ZEROES[0], 0.0))
    by_mine = found.calibrated(QUESTION, ZEROES[0], 0.5, own=found.own_of(ZEROES[0], 1.0))

    assert by_mine < 0.5 < by_theirs
    assert found.own_of(ZEROES[1]) is None
    assert found.own_of(ZEROES[0]) is found.own_of(ZEROES[0], 0.3) is theirs


def test_scores_kept_without_their_texts_count_for_the_shift_alone(tmp_path: Path):
    pairs = {"dropout": [[0.4, 0.8]] * 8, "pooling": [[0.4, 0.8]] * 2}
    (tmp_path / "calibration.json").write_text(json.dumps(pairs), encoding="utf-8")

    read = read_calibrations(tmp_path, shipped_grader().lexicon)

    assert list(read) == ["dropout"]
    assert moved(read["dropout"], ZEROES[0]) == moved(read["dropout"], UNLIKE) > 0.05
    assert moved(read["dropout"], ZEROES[0]) < moved(learned(*graded(ZEROES, 0.4, 0.8)), ZEROES[0])


def test_scores_without_texts_give_way_to_three_answers_with_texts(tmp_path: Path):
    (tmp_path / "calibration.json").write_text(json.dumps({"a": [[0.5, 1.0]] * 9}), encoding="utf-8")

    keep_graded(tmp_path, {"a": graded(ZEROES[:1], 0.5, 1.0)})
    with_one = read_calibrations(tmp_path, shipped_grader().lexicon)["a"].graded
    keep_graded(tmp_path, {"a": graded(ZEROES[1:], 0.5, 1.0)})
    with_three = read_calibrations(tmp_path, shipped_grader().lexicon)["a"].graded

    assert [len(with_one), len(with_three)] == [10, 3]
    assert [item.answer for item in with_three] == [*ZEROES]


def test_answer_graded_again_takes_the_place_of_what_was_kept_of_it_and_of_no_other(tmp_path: Path):
    keep_graded(tmp_path, {"a": graded(ZEROES, 0.5, 1.0), "b": graded(SPEEDS, 0.5, 0.2)})
    keep_graded(tmp_path, {"a": [GradedAnswer(f"{ZEROES[1]}\n", 0.5, 0.0)] * 2})

    read = read_calibrations(tmp_path, shipped_grader().lexicon)

    assert [item.human for item in read["a"].graded] == [1.0, 1.0, 0.0, 0.0]
    assert read["b"].graded == tuple(graded(SPEEDS, 0.5, 0.2))


def test_the_newest_are_kept(tmp_path: Path):
    keep_graded(tmp_path, {"a": graded([f"old {number}" for number in range(MOST_GRADED)], 0.5, 1.0)})
    keep_graded(tmp_path, {"a": graded(["new"], 0.5, 1.0)})

    kept = read_calibrations(tmp_path, shipped_grader().lexicon)["a"].graded

    assert len(kept) == MOST_GRADED
    assert [kept[0].answer, kept[-1].answer] == ["old 1", "new"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_answers_are_for_the_eyes_of_their_owner_alone_and_nothing_else_is_left(tmp_path: Path):
    (tmp_path / "calibration.json").write_text("{}", encoding="utf-8")

    keep_graded(tmp_path, {"a": graded(ZEROES, 0.5, 1.0)})

    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "{",
        '{"a": [[0.5]]}',
        '{"a": [[0.5, 7]]}',
        '{"a": [[0.5, NaN]]}',
        '{"a": [{"answer": "x", "score": 0.5}]}',
        '{"a": 1}',
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: str):
    (tmp_path / "calibration.json").write_text(content, encoding="utf-8")

    with pytest.raises(GradingError, match=r"calibration\.json.*Delete it"):
        read_calibrations(tmp_path, shipped_grader().lexicon)

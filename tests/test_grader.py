"""The shipped grader on answers with references and key points."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tutor.grader import (
    ANSWER_INPUTS,
    ANSWER_SIGNS,
    SHIPPED_GRADER,
    Grader,
    GraderWeights,
    asked_stems,
    is_blank,
    is_keyword_list,
    shipped_grader,
)
from tutor.similarity import FEATURES, SIGNS, wording

QUESTION = "How does merge sort work?"
REFERENCE = "It splits the array into two halves, sorts each of them recursively, and merges the sorted halves."


def score(answer: str, **given: list[str]) -> float:
    return shipped_grader().score_answer(QUESTION, answer, **(given or {"references": [REFERENCE]}))


def test_reference_itself_earns_nearly_all():
    assert score(REFERENCE) >= 0.9


def test_paraphrase_earns_more_than_an_answer_to_another_question():
    paraphrase = score(
        "The list is divided in half, both halves get sorted, then the two sorted lists are joined again."
    )

    assert paraphrase > score("A stack hands out the element that was put in last.") + 0.2


@pytest.mark.parametrize("answer", ["", "  ", "I don't know.", "no idea, sorry", QUESTION])
def test_answer_that_says_nothing_earns_nothing(answer: str):
    assert score(answer) == 0


def test_denied_reference_earns_little():
    assert score(f"It is not true that {REFERENCE.lower()}") <= 0.2


def test_keywords_and_shuffled_words_earn_about_half_at_most():
    assert score("splits, array, halves, sorts, recursively, merges, sorted") <= 0.6
    assert (
        score("halves and splits each the merges into recursively array two of sorted sorts It the them halves") <= 0.6
    )


def test_best_of_several_references_counts():
    other = "Divide and conquer."

    assert score(other, references=[REFERENCE, other]) > score(other)


def test_several_references_that_are_met_count_more_than_one_beside_others_that_are_not():
    alike, unlike = "Halves are sorted recursively and merged.", "A queue hands out what waited longest."

    met, odd = (score(REFERENCE, references=[REFERENCE, *[other] * 3]) for other in (alike, unlike))

    assert met > odd


def test_pseudocode_is_not_taken_for_shuffled_words():
    code = "while size > 1:\n  left, right = halves(array)\n  sort(left); sort(right)\n  array = merge(left, right)"

    assert not shipped_grader().is_shuffled(wording(code), [wording(REFERENCE)])


def test_marks_are_milder_on_a_weak_answer_and_keep_the_order():
    half, other = "It splits the array into two halves.", "A stack hands out the element that was put in last."
    marks = [
        shipped_grader().score_answer(QUESTION, answer, references=[REFERENCE], in_marks=True)
        for answer in (half, other)
    ]

    assert marks[1] > score(other)
    assert marks[0] > marks[1]


def test_key_points_stand_in_for_a_reference():
    points = ["The array is split into halves.", "Each half is sorted recursively.", "The sorted halves are merged."]

    assert score(" ".join(points), key_points=points) > score(points[0], key_points=points)


def test_a_reference_of_two_words_may_be_met_by_them():
    grader = shipped_grader()

    assert (
        grader.score_answer(
            "Name the functions of a queue.", "enqueue, dequeue, peek", references=["enqueue and dequeue"]
        )
        > 0.8
    )
    assert score("array, halves, sorted, merges, splits") <= 0.6


def test_a_negation_in_one_phrasing_hides_no_point_that_another_phrasing_says():
    points = [("All units are active at inference.", "At inference nothing is dropped, so no units are missing.")]

    board = shipped_grader().read(
        "What does dropout do?", ["What does dropout do?"], points, ["At inference all units are active."]
    )

    assert not board.opposed.any()
    assert board.says.max() > 0.8


def test_a_point_is_said_by_its_nearest_phrasings_together():
    near = [
        "It zeroes activations at random.",
        "Random activations are zeroed.",
        "Activations are randomly set to zero.",
    ]
    far = ["Parts of the input layer vanish.", "Noise is added that way.", "Some of the signal is lost by chance."]

    def degree(phrasings: list[str]) -> float:
        board = shipped_grader().read("What does dropout do?", [], [phrasings], ["Activations get zeroed randomly."])
        return board.matches(np.zeros((1, 1), dtype=np.bool_), makes=0.6)[0].degree

    # Nine phrasings of which three are near say more than nine of which one is.
    assert degree([*near, *far, *far[::-1]]) > degree([near[0], *far, *far, *far[:2]]) > 0.5


def test_answer_without_anything_to_judge_it_by_is_refused():
    with pytest.raises(ValueError, match="Expected a reference or key points"):
        shipped_grader().score_answer(QUESTION, "An answer.")


def test_no_weight_has_the_wrong_sign():
    weights = shipped_grader().weights

    assert all(sign * weight >= 0 for sign, weight in zip(SIGNS, weights.weights, strict=True))
    assert all(sign * weight >= 0 for sign, weight in zip(ANSWER_SIGNS, weights.answer.weights, strict=True))


@pytest.mark.parametrize(
    ("part", "name"),
    [(lambda data: data["features"], FEATURES[0]), (lambda data: data["answer"]["inputs"], ANSWER_INPUTS[0])],
)
def test_weights_of_other_features_are_refused(tmp_path: Path, part: Callable[[dict[str, Any]], Any], name: str):
    data = json.loads((SHIPPED_GRADER / "weights.json").read_text(encoding="utf-8"))
    part(data).pop(name)
    (tmp_path / "weights.json").write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(ValueError, match="tutor train grader"):
        GraderWeights.load(tmp_path / "weights.json")


def test_folder_without_a_grader_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Grader.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gradient, momentum, variance, bias", True),
        ("The gradient has a momentum.", False),
        ("momentum", False),
        ("训练 推理 激活", False),
        ("1. Unsupervised learning\n2. Clusters natural groups\n3. Competitive learning rule\n4. Three phases", False),
        ("dropout zeroes random activations training switched inference reduces adaptation units", True),
        ("Die Gewichte werden mit der Lernrate und dem Gradienten angepasst, bis der Fehler klein ist.", False),
        ("an array such as int a[5] or a[1, 2, 3, 4, 5]", False),
    ],
)
def test_keyword_list_is_told_from_a_sentence(text: str, expected: bool):
    assert is_keyword_list(text) is expected


def test_not_knowing_is_told_from_an_answer_that_hedges():
    asked = asked_stems([QUESTION])

    assert is_blank("I don't know how merge sort works.", asked)
    assert not is_blank(f"I am not sure, but I think that {REFERENCE}", asked)

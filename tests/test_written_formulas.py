from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.questions import KeyPoint, read_questions
from tutor.settings import CORPUS_FOLDER
from tutor.written_formulas import JudgedFormula, judge_formulas, written_formulas


def judge(reference: str, attempt: str) -> JudgedFormula | None:
    (judged,) = judge_formulas([KeyPoint(reference, 3.0, "")], attempt)
    return judged


EQUAL = [
    ("The ratio is 1/C_out + 1/k².", r"$\frac{1}{k^2}+\frac{1}{C_{out}}$"),
    ("The ratio is 1/C_out + 1/k².", "the cost ratio is (k^2 + C_out) / (k^2 * C_out)"),
    ("The number is (1 − α^(γ+1))/(1 − α).", r"so we get $\frac{1-\alpha^{\gamma+1}}{1-\alpha}$ tokens"),
    ("The number is (1 − α^(γ+1))/(1 − α).", "(alpha**(gamma+1) - 1) / (alpha - 1)"),
    (
        "The KL is ½(μ² + σ² − 1 − log σ²).",
        r"$\frac12(\mu^2+\sigma^2-1-\log\sigma^2)$".replace(r"\frac12", r"\frac{1}{2}"),
    ),
    ("The KL is ½(μ² + σ² − 1 − log σ²).", "KL = 0.5 * (sigma^2 + mu^2 - 2 ln(sigma) - 1)"),
    ("The bias is beta + (b - mean) * gamma / sqrt(var + eps).", "b' = gamma (b - mean) / sqrt(var + eps) + beta"),
    ("The traffic falls to 2n³/T.", "that is 2 n^3 / T values"),
]


@pytest.mark.parametrize(("reference", "attempt"), EQUAL)
def test_rewritten_formula_is_the_same(reference: str, attempt: str):
    judged = judge(reference, attempt)

    assert judged is not None
    assert judged.verdict == "right"


@pytest.mark.parametrize(
    ("reference", "attempt", "verdict"),
    [
        ("The ratio is 1/C_out + 1/k².", "1/C_out - 1/k²", "sign"),
        ("The ratio is 1/C_out + 1/k².", "2/C_out + 2/k²", "factor"),
        ("The KL is ½(μ² + σ² − 1 − log σ²).", "μ² + σ² − 1 − log σ²", "factor"),
        ("The KL is ½(μ² + σ² − 1 − log σ²).", "½(μ² + σ² − 1 + log σ²)", "sign"),
        ("The number is (1 − α^(γ+1))/(1 − α).", "(1 + α^(γ+1))/(1 − α)", "sign"),
    ],
)
def test_sign_and_factor_errors_are_named(reference: str, attempt: str, verdict: str):
    judged = judge(reference, attempt)

    assert judged is not None
    assert judged.verdict == verdict
    assert {"sign": "sign", "factor": "factor"}[verdict] in judged.message


@pytest.mark.parametrize(
    "attempt",
    [
        "1/C_in + 1/k^2",
        "1/C_out + 1/k^3",
        "It is a sum of two inverses.",
        r"\sum_i x_i",
        "__import__('os').system('true') + 1/k",
        "",
    ],
)
def test_other_formula_or_none_is_not_judged(attempt: str):
    assert judge("The ratio is 1/C_out + 1/k².", attempt) is None


def test_point_without_a_formula_is_not_judged():
    assert judge("Dropout zeroes random activations, so units cannot co-adapt.", "1/C_out + 1/k^2") is None


def test_formula_that_two_points_share_judges_neither():
    points = [KeyPoint("The mean is scaled by 1 - beta^t.", 3.0, ""), KeyPoint("Divide by 1 - beta^t.", 2.0, "")]

    assert judge_formulas(points, "The factor is 1 - beta^t.") == (None, None)


def test_prose_is_no_formula():
    text = "State-of-the-art fan-in and fan-out (a well-known trade-off) - see the paper / the code = fine."

    assert written_formulas(text) == ()


@pytest.mark.parametrize(
    "attack",
    [
        "x + 9^9^9^9^9",
        "x + (((9^60)^60)^60)",
        "(" * 5000 + "x" + ")" * 5000,
        "x^" * 100 + "x + 1",
        "x + " * 10_000 + "1",
        "x + 10^999999999",
        "x^999999999 + (1+x)^99999999",
    ],
)
def test_formula_that_would_take_for_ever_is_left_alone(attack: str):
    judge("The ratio is 1/C_out + 1/k².", attack)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.text(alphabet="xyαβ0123456789+-*/^=()[]{}_ \\frac sqrtlog$²½·.", max_size=50))
def test_no_text_makes_it_fail(text: str):
    judge("The ratio is x/y + 1/α² - β.", text)


def test_model_answers_contradict_no_key_point_by_a_formula():
    questions, _ = read_questions([CORPUS_FOLDER / "questions"])
    wrong = [
        (question.id, judged)
        for question in questions
        if question.kind in {"derive", "compute"}
        for judged in judge_formulas(question.key_points, question.answer)
        if judged and judged.verdict != "right"
    ]

    assert wrong == []

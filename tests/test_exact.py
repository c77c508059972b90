from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from corpus.questions import Question, read_questions
from tutor.code_sandbox import CodeReport, TestOutcome, run_code
from tutor.exact import RunCode, judged_exactly
from tutor.grader import shipped_grader
from tutor.grading import Grade, completed, grade_attempt
from tutor.settings import CORPUS_FOLDER

linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are the Linux kernel's")


@pytest.fixture(scope="module")
def bank() -> dict[str, Question]:
    return {question.id: question for question in read_questions([CORPUS_FOLDER / "questions"])[0]}


def run(attempt: str, tests: str) -> CodeReport:
    return run_code(attempt, tests, seconds=10, memory_bytes=2**29)


def grade(question: Question, attempt: str, runner: RunCode | None = run) -> Grade:
    offline = grade_attempt(question, attempt, grader=shipped_grader(), cite=lambda _section, _text: None)
    return completed(judged_exactly(offline, runner))


@linux
def test_code_that_passes_its_tests_makes_the_first_point(bank: dict[str, Question]):
    question = bank["rag-code-rrf"]

    graded = grade(question, question.answer)

    assert graded.verdicts[0].key_point.text == "The code passes the question's tests."
    assert graded.verdicts[0].verdict == "made"
    assert "6 of 6 tests pass." in graded.feedback


@linux
def test_code_with_a_mistake_is_told_what_does_not_hold(bank: dict[str, Question]):
    question = bank["cuda-bank-conflict-code"]

    graded = grade(question, "```python\ndef bank_conflict_degree(addresses):\n    return 1\n```")

    assert graded.verdicts[0].verdict == "partial"
    assert graded.verdicts[0].degree == 0.5
    assert "3 of 6 tests pass." in graded.feedback
    assert "the right side 32" in graded.feedback


@linux
def test_code_question_answered_without_code_lacks_the_point(bank: dict[str, Question]):
    graded = grade(
        bank["rag-code-rrf"], "Each document gets the sum of 1 / (k + rank) over the lists, and the best come first."
    )

    assert graded.verdicts[0].verdict == "missing"
    assert "no code" in graded.feedback


def test_code_that_cannot_be_limited_is_no_key_point(bank: dict[str, Question]):
    question = bank["rag-code-rrf"]
    unlimited = CodeReport(problem="This system cannot limit memory.", is_run=False, is_limited_away=True)

    graded = grade(question, question.answer, lambda _attempt, _tests: unlimited)

    assert len(graded.verdicts) == len(question.key_points)
    assert "cannot limit memory" in graded.feedback


def test_half_of_the_tests_is_half_of_the_point_and_a_refusal_is_none(bank: dict[str, Question]):
    outcomes = (TestOutcome("assert f(1) == 1", "passed"), TestOutcome("assert f(2) == 2", "failed"))
    half = CodeReport(outcomes)
    refused = replace(half, refused=("use the network",))
    question = bank["rag-code-rrf"]

    assert grade(question, question.answer, lambda _attempt, _tests: half).verdicts[0].verdict == "partial"
    assert grade(question, question.answer, lambda _attempt, _tests: refused).verdicts[0].verdict == "missing"


def test_no_runner_leaves_a_code_question_as_it_is(bank: dict[str, Question]):
    question = bank["rag-code-rrf"]

    assert len(grade(question, question.answer, None).verdicts) == len(question.key_points)


def test_formula_makes_its_point_and_a_wrong_sign_halves_it(bank: dict[str, Question]):
    question = bank["vision-depthwise-separable"]

    right = grade(question, r"The ratio of the two is $\frac{1}{k^2} + \frac{1}{C_{out}}$.")
    wrong = grade(question, r"The cost ratio of separable to standard is $\frac{1}{C_{out}} - \frac{1}{k^2}$.")

    assert right.verdicts[0].verdict == "made"
    assert right.verdicts[0].evidence
    assert wrong.verdicts[0].verdict == "partial"
    assert "A sign is wrong" in wrong.feedback


def test_result_in_the_wrong_unit_earns_half_and_says_so(bank: dict[str, Question]):
    graded = grade(bank["deploy-kv-cache-compute"], "Altogether the cache takes 40 GB.")

    assert graded.verdicts[0].verdict == "partial"
    assert "its unit is not" in graded.feedback


def test_wrong_result_shows_the_learners_number(bank: dict[str, Question]):
    graded = grade(bank["deploy-kv-cache-compute"], "Altogether the cache takes 20 GiB.")

    assert graded.verdicts[0].verdict == "contradicted"
    assert graded.verdicts[0].evidence == "Altogether the cache takes 20 GiB."
    assert "too small by a factor of 2" in graded.feedback


def test_story_without_a_measured_result_is_remarked(bank: dict[str, Question]):
    graded = grade(
        bank["behavioral-own-failure"],
        "Last year my model leaked test data. I found the leak and told the team. In the end everybody was fine with it.",
    )

    assert any("not measured" in remark for remark in graded.remarks)


def test_unjudged_grade_stays_unjudged(bank: dict[str, Question]):
    graded = grade(bank["rag-code-rrf"], "把每个列表的倒数排名相加，然后排序。这样分数不在同一尺度上也没有关系。")

    assert graded.score is None
    assert len(graded.verdicts) == len(bank["rag-code-rrf"].key_points)

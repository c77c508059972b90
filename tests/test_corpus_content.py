"""What the shipped corpus promises: it holds together, its code runs and its arithmetic is right."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
import yaml

from corpus.check import check_corpus, evaluate, guide_sections
from corpus.chunks import count_words
from corpus.documents import Document, read_guides
from corpus.questions import KINDS, LEVELS, Question, read_questions

CORPUS = Path(__file__).parents[1] / "corpus"
SOURCES = {
    "A Comprehensive Study Guide for Deep Learning Engineer Interviews at NVIDIA": 90,
    "Top 39 Deep Learning Interview Questions in 2024": 45,
    "Common job interview questions for Deep Learning Engineers": 58,
    "2021秋招-NVIDIA-AI工程师-面试总结": 10,
}
"""The source documents, and how many entries of each the coverage names at least."""
UNASKED = {"zh/topic-summaries"}
"""Guides that sum up others, so that no question needs them."""


@cache
def guides() -> tuple[Document, ...]:
    return tuple(read_guides([CORPUS / "guides"])[0])


@cache
def questions() -> tuple[Question, ...]:
    return tuple(read_questions([CORPUS / "questions"])[0])


def guide_code() -> list[object]:
    """Every block that a guide promises to be runnable, with its guide and line as the test's id."""
    blocks = []
    for guide in guides():
        for block in re.finditer(r"^```python run\n(?P<code>.*?)^```", guide.text, re.DOTALL | re.MULTILINE):
            line = guide.text.count("\n", 0, block.start()) + 1
            blocks.append(pytest.param(block["code"], id=f"{guide.id}:{line}"))
    return blocks


def asked(kind: str) -> list[object]:
    return [pytest.param(question, id=question.id) for question in questions() if question.kind == kind]


def python_blocks(markdown: str) -> str:
    return "\n".join(re.findall(r"^```python[^\n]*\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE))


def run(code: str) -> None:
    """Run the code alone, as if it were a script of its own."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    exec(compile(code, "<corpus>", "exec"), {"__name__": "__main__"})


def test_linter_finds_no_problem():
    assert [str(problem) for problem in check_corpus(CORPUS)] == []


@pytest.mark.parametrize("code", guide_code())
def test_code_of_a_guide_runs_and_its_assertions_hold(code: str):
    assert "assert" in code
    run(code)


@pytest.mark.parametrize("question", asked("code"))
def test_answer_of_a_code_question_passes_its_tests(question: Question):
    assert "assert" in question.tests
    run(python_blocks(question.answer) + "\n" + question.tests)


@pytest.mark.parametrize("question", asked("code"))
def test_tests_of_a_code_question_fail_without_an_answer(question: Question):
    with pytest.raises(NameError):
        run(question.tests)


@pytest.mark.parametrize("question", asked("compute"))
def test_check_of_a_compute_question_gives_its_value(question: Question):
    assert question.quantity is not None
    computed = evaluate(question.quantity.check)
    assert computed == pytest.approx(question.quantity.value, rel=max(question.quantity.tolerance, 1e-9))


def test_there_are_at_least_thirty_compute_questions():
    assert len(asked("compute")) >= 30


def test_bank_has_at_least_three_hundred_questions_of_every_level_and_kind():
    assert len(questions()) >= 300
    assert {question.level for question in questions()} == set(LEVELS)
    assert {question.kind for question in questions()} == set(KINDS)


def test_every_topic_guide_is_asked_about_by_at_least_eight_questions():
    asking = defaultdict(set)
    for question in questions():
        for point in question.key_points:
            asking[point.section.partition("#")[0]].add(question.id)
    rarely = {name: len(asking[name]) for name in guide_sections(guides()) if len(asking[name]) < 8}
    assert set(rarely) <= UNASKED


def test_every_question_is_worded_in_english_and_in_chinese():
    for question in questions():
        chinese = [bool(re.search(r"[\u4e00-\u9fff]", text)) for text in (question.prompt, question.translation)]
        assert sorted(chinese) == [False, True], question.id


def test_no_wording_is_shared_by_two_questions():
    owners = defaultdict(set)
    for question in questions():
        for wording in question.wordings:
            owners[wording.casefold()].add(question.id)
    assert [ids for ids in owners.values() if len(ids) > 1] == []


def test_every_question_has_a_key_point_at_its_heart():
    without = [question.id for question in questions() if max(point.weight for point in question.key_points) < 3]
    assert without == []


def test_every_entry_of_the_sources_is_answered_by_a_question_or_a_section():
    coverage = yaml.safe_load((CORPUS / "coverage.yaml").read_text(encoding="utf-8"))
    ids = {question.id for question in questions()}
    anchors = {f"{name}#{anchor}" for name, found in guide_sections(guides()).items() for anchor in found}
    for source, least in SOURCES.items():
        assert len(coverage[source]) >= least, source
        for entry, answers in coverage[source].items():
            assert answers, f"{source}, {entry}: nothing answers it"
            assert set(answers) <= ids | anchors, f"{source}, {entry}"


def test_every_numbered_question_of_the_sources_is_covered():
    coverage = yaml.safe_load((CORPUS / "coverage.yaml").read_text(encoding="utf-8"))

    def numbers(source: str) -> set[int]:
        return {int(match[1]) for entry in coverage[source] if (match := re.match(r"Q(\d+) ", entry))}

    # The list of 39 skips question 31.
    assert numbers("Top 39 Deep Learning Interview Questions in 2024") == set(range(1, 40)) - {31}
    assert numbers("Common job interview questions for Deep Learning Engineers") == set(range(1, 47))


def test_guides_hold_at_least_sixty_thousand_words():
    assert sum(count_words(guide.text) for guide in guides()) >= 60_000


def test_guides_are_written_in_english_and_in_chinese():
    assert {guide.language for guide in guides()} == {"en", "zh"}

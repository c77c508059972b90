"""Answers with labelled sentences and learners' answers with verdicts, as they are read and as they ship."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from corpus.chunks import Chunk, split_document
from corpus.documents import Problem, read_guides
from corpus.questions import KeyPoint, Question
from corpus.sentences import split_prose
from evals.answer_cases import (
    JUDGEMENTS,
    LABELS,
    OUR_LABELLED_ANSWERS,
    JudgedAnswer,
    LabelledAnswer,
    LabelledSentence,
    labelled_answer,
    sections_of,
)
from evals.cases_format import CaseError, read_lines
from evals.grading import read_grading_cases, read_ours
from tutor.settings import CORPUS_FOLDER, Settings

DROPOUT = Chunk("reg.md#dropout", "reg.md", "Regularization", ("Dropout",), "Dropout zeroes activations.", 1, 3)
SCALING = Chunk("reg.md#scaling", "reg.md", "Regularization", ("Dropout", "Scaling"), "Survivors are scaled up.", 4, 6)
ANSWER = "It zeroes units. It needs no tuning."
LABELLED = {
    "id": "g1",
    "question": "what is dropout",
    "sections": ["reg#dropout"],
    "answer": ANSWER,
    "sentences": [
        {"start": 0, "end": 16, "label": "supported"},
        {"start": 17, "end": 36, "label": "not_checkable"},
    ],
}
QUESTION = Question(
    "reg-dropout",
    "reg",
    "What does dropout do?",
    "junior",
    "concept",
    "It zeroes activations.",
    (KeyPoint("It zeroes activations.", 3, "reg#dropout"), KeyPoint("It is off at inference.", 1, "reg#dropout")),
)
JUDGED = {"id": "a1", "question": "reg-dropout", "answer": "kills neurons", "verdicts": ["made", "missing"]}


def write(file: Path, *rows: object) -> Path:
    """A file of JSON lines; text is written as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def read_labelled_answers(file: Path, chunks: Sequence[Chunk]) -> tuple[list[LabelledAnswer], list[Problem]]:
    sections = sections_of(chunks)
    return read_lines(file, lambda row: labelled_answer(row, sections), "id, question, sections, answer, sentences")


def test_labelled_answer_gets_the_text_of_its_sections_and_of_what_stands_below_them(tmp_path: Path) -> None:
    cases, problems = read_labelled_answers(write(tmp_path / "cases.jsonl", LABELLED), [DROPOUT, SCALING])

    assert problems == []
    assert cases == [
        LabelledAnswer(
            "g1",
            "what is dropout",
            ("reg#dropout",),
            (DROPOUT.text, SCALING.text),
            ANSWER,
            (LabelledSentence(0, 16, "supported"), LabelledSentence(17, 36, "not checkable")),
        )
    ]


def sentences(*rows: tuple[int, int, str]) -> dict[str, object]:
    return {**LABELLED, "id": "g2", "sentences": [{"start": a, "end": b, "label": label} for a, b, label in rows]}


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object, got list"),
        ({**LABELLED, "id": "g2", "sections": ["reg#dropuot"]}, "no section 'reg#dropuot'; near: reg#dropout"),
        ({**LABELLED, "id": "g2", "sections": [7]}, "there is no section 7"),
        ({**LABELLED, "id": "g2", "sections": []}, "sections is no list, or empty"),
        ({**LABELLED, "id": "g2", "answer": " "}, "answer is no text, or empty"),
        ({key: value for key, value in LABELLED.items() if key != "question"}, "the field 'question' is missing"),
        (LABELLED, "the id 'g1' is taken by another case"),
        (sentences((0, 16, "true"), (17, 36, "supported")), "'true' is no label. Known: supported, partial"),
        (sentences((0, 16, "supported")), "'It needs no tuning.' belongs to no sentence"),
        (sentences((17, 36, "supported")), "'It zeroes units.' belongs to no sentence"),
        (sentences((0, 17, "supported"), (17, 36, "supported")), "begins or ends with a blank"),
        (sentences((0, 16, "supported"), (15, 36, "supported")), "characters 15 to 36 are no sentence"),
        (sentences((0, 37, "supported")), "characters 0 to 37 are no sentence"),
    ],
)
def test_broken_labelled_answer_is_reported_with_its_line_and_the_others_used(
    tmp_path: Path, row: object, mistake: str
) -> None:
    cases, problems = read_labelled_answers(
        write(tmp_path / "cases.jsonl", LABELLED, row, {**LABELLED, "id": "g3"}), [DROPOUT]
    )

    assert [case.id for case in cases] == ["g1", "g3"]
    [problem] = problems
    assert (problem.path, problem.line) == ("cases.jsonl", 2)
    assert mistake in problem.message


def test_judged_answer_scores_the_weight_of_the_points_it_makes(tmp_path: Path) -> None:
    half = {**JUDGED, "id": "a2", "verdicts": ["partial", "contradicted"]}

    _, cases, problems = read_grading_cases(write(tmp_path / "cases.jsonl", JUDGED, half), [QUESTION])

    assert problems == []
    assert cases[0] == JudgedAnswer("a1", QUESTION, "kills neurons", ("made", "missing"))
    assert [case.score for case in cases] == [0.75, 0.375]


@pytest.mark.parametrize(
    ("changed", "mistake"),
    [
        ({"question": "reg-dropuot"}, "there is no question 'reg-dropuot'; near: reg-dropout"),
        ({"verdicts": ["made"]}, "1 verdicts for the 2 key points of 'reg-dropout'"),
        ({"verdicts": ["made", "unjudged"]}, "'unjudged' is no verdict. Known: made, partial, missing, contradicted"),
        ({"verdicts": "made"}, "verdicts is no list"),
        ({"answer": 3}, "answer is no text"),
    ],
)
def test_broken_judged_answer_is_reported_with_its_line_and_the_others_used(
    tmp_path: Path, changed: dict[str, object], mistake: str
) -> None:
    _, cases, problems = read_grading_cases(
        write(tmp_path / "cases.jsonl", {**JUDGED, "id": "a2", **changed}, JUDGED), [QUESTION]
    )

    assert [case.id for case in cases] == ["a1"]
    assert problems[0].line == 1
    assert mistake in problems[0].message


def test_file_without_a_usable_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="No cases at"):
        read_grading_cases(tmp_path / "missing.jsonl", [QUESTION])
    with pytest.raises(CaseError, match=r"No usable case in .* there is no question"):
        read_grading_cases(write(tmp_path / "cases.jsonl", JUDGED), [])
    with pytest.raises(CaseError, match="the file is empty"):
        read_labelled_answers(write(tmp_path / "empty.jsonl"), [DROPOUT])


# What ships


@pytest.fixture(scope="module")
def labelled() -> list[LabelledAnswer]:
    """Our labelled answers, without a problem."""
    documents, _ = read_guides([CORPUS_FOLDER / "guides"])
    chunk_words = Settings.model_fields["chunk_words"].default
    chunks = [chunk for document in documents for chunk in split_document(document, max_words=chunk_words)]
    cases, problems = read_labelled_answers(OUR_LABELLED_ANSWERS, chunks)
    assert problems == []
    return cases


@pytest.fixture(scope="module")
def judged() -> list[JudgedAnswer]:
    """Our judged answers, without a problem."""
    cases, problems = read_ours()
    assert problems == []
    return cases


def test_shipped_labelled_answers_come_from_all_guides_and_have_all_labels(labelled: list[LabelledAnswer]) -> None:
    assert len(labelled) >= 150
    assert len({section.split("#")[0] for case in labelled for section in case.sections}) >= 18
    assert {sentence.verdict for case in labelled for sentence in case.sentences} == set(LABELS.values())
    assert sum(bool(re.search("[\u3400-\u9fff]", case.answer)) for case in labelled) >= 15


def test_shipped_labels_stand_on_whole_sentences(labelled: list[LabelledAnswer]) -> None:
    for case in labelled:
        cut = [case.answer[sentence.start : sentence.end] for sentence in case.sentences]
        assert cut == split_prose(case.answer), case.id


def test_shipped_answers_do_not_copy_their_passages(labelled: list[LabelledAnswer]) -> None:
    for case in labelled:
        for sentence in case.sentences:
            assert not any(case.answer[sentence.start : sentence.end] in passage for passage in case.passages), case.id


def test_shipped_judged_answers_cover_the_bank_and_all_verdicts(judged: list[JudgedAnswer]) -> None:
    assert len(judged) >= 120
    assert len({case.question.id for case in judged}) >= 60
    assert len({case.question.topic for case in judged}) >= 20
    assert {case.question.kind for case in judged} >= {"concept", "compare", "derive", "compute", "debug", "design"}
    verdicts = Counter(name for case in judged for name in case.verdicts)
    assert set(verdicts) == set(JUDGEMENTS)
    assert sum(case.score == 0 for case in judged) >= 10
    assert sum(bool(re.search("[\u3400-\u9fff]", case.answer)) for case in judged) >= 12

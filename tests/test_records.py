"""The JSON that programs read: a change of these shapes is a new version."""

from __future__ import annotations

import json

from tutor.records import answer_record, grade_record
from tutor.tutor import Tutor


def test_answer_has_this_shape(tutor: Tutor) -> None:
    record = answer_record(tutor.ask("And what is its patience?", [tutor.ask("What is early stopping?")]))

    timings = record.pop("timings")
    [citation] = record["citations"]
    assert record == {
        "version": 1,
        "question": "And what is its patience?",
        "standalone_question": "What is early stopping's patience?",
        "answer": "Early stopping ends training when the validation loss has not improved for a number of epochs called the "
        "patience. [1] A patience of 5 to 10 epochs is common. [1]",
        "answered": True,
        "citations": [
            {
                "number": 1,
                "document": "regularization.md",
                "title": "Regularization",
                "heading": "Early stopping",
                "quote": "Early stopping ends training when the validation loss has not improved for a number of epochs "
                "called the patience.\nA patience of 5 to 10 epochs is common.",
                "score": citation["score"],
                "start_line": 19,
                "page": None,
                "matched": ["early", "stopping", "patience"],
                "dense_score": citation["dense_score"],
                "keyword_score": citation["keyword_score"],
            }
        ],
        "sentences": [
            {
                "text": "Early stopping ends training when the validation loss has not improved for a number of epochs called "
                "the patience.",
                "citations": [1],
                "support": 1.0,
                "supported": True,
            },
            {
                "text": "A patience of 5 to 10 epochs is common.",
                "citations": [1],
                "support": 1.0,
                "supported": True,
            },
        ],
        "suggestions": [],
        "model": "extractive",
        "notes": [],
        "mode": "plain",
        "from_memory": False,
        "quiz": None,
        "unknown_marks": 0,
    }
    assert 0 < citation["score"] <= 1
    assert set(timings) == {"retrieve", "answer"}


def test_declined_answer_has_the_same_fields_and_suggestions(tutor: Tutor) -> None:
    answered = answer_record(tutor.ask("What is early stopping?"))
    declined = answer_record(tutor.ask("How do I bake bread with sourdough in training?"))

    assert set(declined) == set(answered)
    assert (declined["answered"], declined["answer"], declined["citations"], declined["sentences"]) == (
        False,
        "",
        [],
        [],
    )
    assert set(declined["suggestions"][0]) == {"document", "heading", "start_line"}


def test_grade_has_this_shape(tutor: Tutor) -> None:
    question = tutor.find_question("dropout-train-inference")
    attempt = (
        "Dropout zeroes random activations during training. Dropout stays active when the model makes predictions."
    )

    record = grade_record(tutor.grade(question, attempt))

    verdict, found = record["verdicts"][0], record["misconceptions"][0]
    assert list(record) == [
        "version",
        "question_id",
        "question",
        "score",
        "verdicts",
        "misconceptions",
        "feedback",
        "model_answer",
        "follow_up",
        "grader",
        "remarks",
    ]
    assert record["version"] == 1
    assert record["question_id"] == "dropout-train-inference"
    assert record["question"] == "What does dropout do, and what changes at inference?"
    assert record["model_answer"] == question.answer
    assert record["grader"] == "offline"
    assert {**verdict, "citation": None} == {
        "key_point": "Dropout zeroes random activations during training.",
        "weight": 3.0,
        "verdict": "made",
        "credit": 1.0,
        "evidence": "Dropout zeroes random activations during training.",
        "citation": None,
        "doubt": "",
        "dispute": None,
    }
    assert list(verdict["citation"]) == [
        "number",
        "document",
        "title",
        "heading",
        "quote",
        "score",
        "start_line",
        "page",
        "matched",
        "dense_score",
        "keyword_score",
    ]
    assert (verdict["citation"]["matched"], verdict["citation"]["dense_score"]) == ([], None)
    assert found["misconception"] == "Dropout stays active when the model makes predictions."
    assert found["evidence"] in attempt
    assert found["citation"]["document"] == "regularization.md"


def test_grade_without_a_judgement_has_no_score(tutor: Tutor) -> None:
    record = grade_record(tutor.grade(tutor.find_question("dropout-train-inference"), "训练时随机置零。"))

    assert record["score"] is None
    assert {verdict["verdict"] for verdict in record["verdicts"]} == {"unjudged"}


def test_point_without_an_indexed_section_has_no_citation(tutor: Tutor) -> None:
    question = tutor.find_question("dropout-train-inference")
    tutor.update_index(remove=["regularization.md"])

    record = grade_record(tutor.grade(question, "Dropout is switched off at inference."))

    assert [verdict["citation"] for verdict in record["verdicts"]] == [None] * 3


def test_records_are_json_as_they_are(tutor: Tutor) -> None:
    answer = answer_record(tutor.ask("批归一化怎么计算？"))
    grade = grade_record(tutor.grade(tutor.find_question("batchnorm-count"), "It is 50,176."))

    for record in (answer, grade):
        assert json.loads(json.dumps(record)) == record

"""A class graded from a CSV file."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from tutor.batch_grading import grade_batch, read_batch, safe_cell
from tutor.grading import GradingError
from tutor.tutor import Tutor

MADE = "Dropout zeroes random activations during training."


def graded(tutor: Tutor, tmp_path: Path, text: str) -> tuple[list[dict[str, str]], list[tuple[int, str]]]:
    """The rows of the result and the failures."""
    file = tmp_path / "answers.csv"
    file.write_bytes(text.encode("utf-8"))
    output = io.StringIO(newline="")
    failures = grade_batch(
        tutor, read_batch(file, tutor.question_to_grade), output, progress=lambda _stage, _done, _total: None
    )
    return list(csv.DictReader(io.StringIO(output.getvalue(), newline=""))), failures


def test_each_answer_gets_its_score_and_a_verdict_in_a_column_for_each_point(tutor: Tutor, tmp_path: Path):
    text = f"name,Question,Answer\r\nAda,dropout-train-inference,{MADE}\r\nBob,Explain dropout.,Cats are nice.\r\n"

    (ada, bob), failures = graded(tutor, tmp_path, text)

    grade = tutor.judge(tutor.find_question("dropout-train-inference"), MADE)
    columns = [name for name in ada if name.startswith("dropout-train-inference ")]
    assert failures == []
    assert list(ada) == [
        *("name", "Question", "Answer", "score", "calibrated_score"),
        *columns,
        *("evidence", "remark", "error"),
    ]
    assert columns[0] == "dropout-train-inference 1: Dropout zeroes random activations during training."
    assert [ada[column] for column in columns] == [verdict.verdict for verdict in grade.verdicts]
    assert ada["score"] == str(grade.score)
    assert ada["evidence"] == f"1: {MADE}"
    assert (ada["name"], bob["name"], bob["score"]) == ("Ada", "Bob", "0.0")


def test_a_bad_row_is_reported_with_its_line_and_the_others_are_graded(tutor: Tutor, tmp_path: Path):
    text = (
        "question,answer\n"
        'dropout-train-inference,"Cats\nare nice."\n'
        "dropout-train-inferense,Cats\n"
        "dropout-train-inference,\n"
        "dropout-train-inference,one,two\n"
        f"dropout-train-inference,{'x' * 200_000}\n"
        f"dropout-train-inference,{'x ' * 30_000}\n"
        f"dropout-train-inference,{MADE}\n"
    )

    rows, failures = graded(tutor, tmp_path, text)

    assert [line for line, _ in failures] == [4, 5, 6, 7, 8]
    reasons = ["Did you mean dropout-train-inference", "is empty", "3 cells. Expected 2", "cannot be read", "60,000"]
    assert all(said in reason for said, (_, reason) in zip(reasons, failures, strict=True))
    assert [bool(row["error"]) for row in rows] == [False, *[True] * 5, False]
    assert [row["score"] for row in rows[1:6]] == [""] * 5


def test_columns_of_several_questions_stand_side_by_side(tutor: Tutor, tmp_path: Path):
    text = (
        "question,answer,reference\n"
        'batchnorm-count,"It is 64 * 28 * 28 = 50,176 values.",\n'
        "What is gradient clipping for?,It limits the norm.,Clipping limits the norm of the gradient.\n"
    )

    (count, clipping), failures = graded(tutor, tmp_path, text)

    assert failures == []
    assert len([column for column in count if ": " in column]) == 4
    [own] = [column for column in count if column.startswith("own-")]
    assert count[own] == ""
    assert clipping[own]
    assert "50,176" in count["evidence"]
    assert "your reference" in clipping["remark"]


def test_further_columns_of_references_are_answers_that_are_as_good(tutor: Tutor, tmp_path: Path):
    question, answer = "What is gradient clipping for?", "Updates get no larger than a cap."
    first, second = "Clipping limits the norm of the gradient.", "It caps how large an update gets."
    text = (
        "question,answer,reference,Reference 2,reference_3\n"
        f"{question},{answer},{first},,\n{question},{answer},{first},{second},\n{question},{answer},{first},,{second}\n"
    )

    (alone, beside, again), failures = graded(tutor, tmp_path, text)

    assert failures == []
    assert float(alone["score"]) < float(beside["score"]) == float(again["score"])
    [cell] = [beside[column] for column in beside if column.startswith("own-") and beside[column]]
    assert re.fullmatch(r"(made|partial) \d+%", cell)


def test_a_file_of_excel_with_semicolons_and_a_mark_at_its_head_is_read(tutor: Tutor, tmp_path: Path):
    (row,), failures = graded(tutor, tmp_path, f"\ufeffquestion;answer\r\ndropout-train-inference;{MADE}\r\n")

    assert failures == []
    assert row["score"] not in {"", "0.0"}


def test_a_grade_is_kept_for_the_learner_that_the_row_names_and_for_nobody_else(tutor: Tutor, tmp_path: Path):
    text = f"learner,question,answer\nada,dropout-train-inference,{MADE}\n,dropout-train-inference,{MADE}\n"

    graded(tutor, tmp_path, text)

    assert [review.attempt for review in tutor.progress.reviews("ada")] == [MADE]
    assert tutor.progress.reviews("me") == []


def test_what_a_learner_wrote_is_no_formula_of_the_spreadsheet(tutor: Tutor, tmp_path: Path):
    text = 'name,question,answer\n@SUM(A1),dropout-train-inference,"=HYPERLINK(""http://example.org"")"\n'

    (row,), _ = graded(tutor, tmp_path, text)

    assert row["name"] == "'@SUM(A1)"
    assert row["answer"].startswith("'=HYPERLINK")
    assert [safe_cell(text) for text in ("-1", "+1", "\t=1", "a=1", "")] == ["'-1", "'+1", "'\t=1", "a=1", ""]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"question,reply\na,b\n", "has no column 'answer'. Found: question, reply. Expected"),
        (b"", "has no column 'question' and no column 'answer'. Found: nothing"),
        (b"question,answer\n\n", "has no answers"),
        (b"question,answer\n\xff\xfe,b\n", "line 2 is not UTF-8"),
        (b"PK\x03\x04\0\0", "binary file"),
    ],
)
def test_a_file_that_is_no_such_csv_says_what_was_expected(tutor: Tutor, tmp_path: Path, content: bytes, said: str):
    file = tmp_path / "answers.csv"
    file.write_bytes(content)

    with pytest.raises(GradingError) as caught:
        read_batch(file, tutor.question_to_grade)

    assert said in str(caught.value)


def test_human_scores_calibrate_the_question_for_the_next_file(tutor: Tutor, tmp_path: Path):
    answers = (
        "Random activations are zeroed in training.",
        "Dropout sets activations to zero.",
        MADE,
        "It zeroes units.",
    )
    scores = ("0.9", "90 %", "9/10", '"4,5/5"')
    rows = [f"dropout-train-inference,{answer},{score}" for answer, score in zip(answers, scores, strict=True)]

    first, failures = graded(tutor, tmp_path, "\n".join(["question,answer,human_score", *rows]))
    [again], _ = graded(
        tutor, tmp_path, "question,answer\ndropout-train-inference,Dropout zeroes activations in training.\n"
    )

    assert failures == []
    assert {row["calibrated_score"] for row in first} == {""}
    assert float(again["score"]) < float(again["calibrated_score"]) <= 0.9


def test_file_graded_again_gives_each_row_what_the_others_tell_and_not_its_own_human_score(
    tutor: Tutor, tmp_path: Path
):
    others = [
        f"dropout-train-inference,Dropout zeroes activations {when}.,0.9" for when in ("at first", "often", "now")
    ]
    text = "\n".join(["question,answer,human_score", *others, f"dropout-train-inference,{MADE},"])

    graded(tutor, tmp_path, f"{text}0\n")
    _, _, _, mistaken = graded(tutor, tmp_path, f"{text}0\n")[0]
    _, _, _, mended = graded(tutor, tmp_path, f"{text}1\n")[0]

    assert mistaken["calibrated_score"] == mended["calibrated_score"] > mended["score"]


def test_blank_answer_stays_without_a_score_however_mild_people_are(tutor: Tutor, tmp_path: Path):
    rows = [f"dropout-train-inference,Dropout zeroes activations {when}.,1" for when in ("at first", "often", "now")]
    graded(tutor, tmp_path, "\n".join(["question,answer,human_score", *rows]))

    [row], _ = graded(tutor, tmp_path, "question,answer\ndropout-train-inference,I don't know.\n")

    assert row["calibrated_score"] == "0.0"


def test_human_score_that_is_none_is_reported_with_its_line(tutor: Tutor, tmp_path: Path):
    text = f"question,answer,human_score\ndropout-train-inference,{MADE},good\ndropout-train-inference,{MADE},6/5\n"

    _, failures = graded(tutor, tmp_path, text)

    assert [line for line, _ in failures] == [2, 3]
    assert "Expected a number from 0 to 1" in failures[0][1]
    assert "more than full marks" in failures[1][1]

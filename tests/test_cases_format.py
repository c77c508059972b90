"""Cases of the evals as they are read from disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.cases_format import CaseError, Relevant, RetrievalCase, is_beir, read_beir, read_cases

DROPOUT = {
    "id": "dropout",
    "question": "What does dropout do?",
    "answerable": True,
    "relevant": [{"document": "regularization.md", "heading": "Dropout", "grade": 2}],
}
FOLLOW_UP = {
    **DROPOUT,
    "id": "follow-up",
    "question": "And at inference?",
    "history": ["What is dropout?"],
    "kind": "followup",
}
BREAD = {"id": "bread", "question": "How do I bake bread?", "answerable": False, "relevant": []}


def write(file: Path, *rows: object) -> Path:
    """A file of JSON lines; text is written as it is."""
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def test_cases_are_read_with_what_they_leave_out_filled_in(tmp_path: Path) -> None:
    cases, problems = read_cases(write(tmp_path / "cases.jsonl", DROPOUT, "", FOLLOW_UP, BREAD))

    assert problems == []
    assert cases == [
        RetrievalCase(
            "dropout", "What does dropout do?", relevant=(Relevant("regularization.md", "Dropout", 2),), kind="single"
        ),
        RetrievalCase(
            "follow-up",
            "And at inference?",
            history=("What is dropout?",),
            relevant=(Relevant("regularization.md", "Dropout", 2),),
            kind="followup",
        ),
        RetrievalCase("bread", "How do I bake bread?", answerable=False, kind="unanswerable"),
    ]


def test_folder_gives_the_cases_of_all_its_files(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", BREAD)
    write(tmp_path / "a.jsonl", DROPOUT)
    (tmp_path / "README.md").write_text("How to write cases.")

    cases, _ = read_cases(tmp_path)

    assert [case.id for case in cases] == ["dropout", "bread"]


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ('{"id": "dropout",', "not JSON (Expecting property name"),
        ("# a comment", "not JSON"),
        ("[1, 2]", "expected a JSON object, got list"),
        ({**DROPOUT, "question": "  "}, "the question is empty"),
        ({**DROPOUT, "relevant": []}, "an answerable case names no relevant section"),
        ({**DROPOUT, "answerable": "false"}, "answerable is not true or false"),
        ({**DROPOUT, "history": "What is dropout?"}, "history is not a list"),
        ({**DROPOUT, "relevant": None}, "Expected id, question, answerable, relevant"),
        ({**DROPOUT, "relevant": [{"document": "a.md", "heading": "A"}]}, "the field 'grade' is missing"),
        ({**DROPOUT, "relevant": [{"document": "a.md", "heading": "A", "grade": "high"}]}, "invalid literal"),
        ({key: value for key, value in DROPOUT.items() if key != "id"}, "the field 'id' is missing"),
        (BREAD, "the id 'bread' is taken by another case"),
    ],
)
def test_broken_line_is_reported_with_its_number_and_the_rest_used(tmp_path: Path, row: object, mistake: str) -> None:
    cases, problems = read_cases(write(tmp_path / "cases.jsonl", BREAD, row, FOLLOW_UP))

    assert [case.id for case in cases] == ["bread", "follow-up"]
    [problem] = problems
    assert (problem.path, problem.line) == ("cases.jsonl", 2)
    assert mistake in problem.message


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    _, problems = read_cases(write(tmp_path / "cases.jsonl", "{", "[]", DROPOUT, "x"))

    assert [problem.line for problem in problems] == [1, 2, 4]


def test_unusual_line_separators_and_a_byte_order_mark_belong_to_the_text(tmp_path: Path) -> None:
    file = write(tmp_path / "cases.jsonl", {**BREAD, "question": "What is\u2028a\x85warp?"}, "{")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))

    cases, problems = read_cases(file)

    assert [case.question for case in cases] == ["What is\u2028a\x85warp?"]
    assert [problem.line for problem in problems] == [2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "No usable case in .* the file is empty"),
        (b"{\n", "No usable case in .*cases.jsonl:1: not JSON"),
        ("批归一化".encode("gb18030"), "cases.jsonl:1: not UTF-8 text"),
    ],
)
def test_file_without_a_usable_case_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "cases.jsonl").write_bytes(content)

    with pytest.raises(CaseError, match=message):
        read_cases(tmp_path / "cases.jsonl")


def test_missing_file_and_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"No cases at .*missing\.jsonl"):
        read_cases(tmp_path / "missing.jsonl")
    with pytest.raises(CaseError, match="No cases at"):
        read_cases(tmp_path)


# BEIR


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A collection of two documents and three queries, one of which nobody judged."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    write(
        folder / "corpus.jsonl",
        {"_id": "d1", "title": "Dropout", "text": "Dropout zeroes activations.\u2028It regularizes."},
        {"_id": "d2", "title": "", "text": "AdamW decouples weight decay."},
    )
    write(
        folder / "queries.jsonl",
        {"_id": "q1", "text": "what is dropout"},
        {"_id": "q2", "text": "adamw vs adam"},
        {"_id": "q3", "text": "nobody judged this"},
    )
    write(folder / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t1", "q1\td2\t0", "q2\td2\t2")
    return folder


def test_beir_folder_gives_its_documents_and_judged_queries(beir: Path) -> None:
    documents, cases = read_beir(beir)

    assert is_beir(beir)
    assert [(item.id, item.title) for item in documents] == [("d1", "Dropout"), ("d2", "d2")]
    assert "It regularizes." in documents[0].text
    assert [(case.id, case.relevant, case.answerable) for case in cases] == [
        ("q1", (Relevant("d1", "", 2),), True),
        ("q2", (Relevant("d2", "", 3),), True),
    ]


def test_language_of_a_beir_document_is_that_of_its_text(beir: Path) -> None:
    with (beir / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"_id": "zh", "title": "", "text": "批归一化用小批量的均值和方差做标准化。"}\n')

    documents, _ = read_beir(beir)

    assert documents[-1].language == "zh"
    assert {document.language for document in documents[:-1]} == {"en"}


def test_other_places_are_not_beir(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", {"_id": "d1", "text": "…"})

    assert not is_beir(tmp_path)
    assert not is_beir(tmp_path / "corpus.jsonl")


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("corpus.jsonl", "{", r"corpus\.jsonl:3: not JSON"),
        ("corpus.jsonl", '{"_id": "d3"}', r"corpus\.jsonl:3: expected an object with _id and text"),
        ("corpus.jsonl", "7", r"corpus\.jsonl:3: expected an object"),
        ("queries.jsonl", "{", r"queries\.jsonl:4: not JSON"),
        ("queries.jsonl", '{"text": "no id"}', r"queries\.jsonl:4: expected an object"),
        ("qrels/test.tsv", "q1 d1 1", r"test\.tsv:5: expected query-id, corpus-id and a whole score, got 'q1 d1 1'"),
        ("qrels/test.tsv", "q1\td1\tyes", r"test\.tsv:5: expected"),
    ],
)
def test_broken_line_of_a_beir_folder_is_named(beir: Path, file: str, line: str, message: str) -> None:
    with (beir / file).open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")

    with pytest.raises(CaseError, match=message):
        read_beir(beir)


def test_beir_folder_without_judgements_is_refused(beir: Path) -> None:
    (beir / "qrels" / "test.tsv").unlink()

    with pytest.raises(CaseError, match=r"No .*test\.tsv'. Expected lines of query-id"):
        read_beir(beir)

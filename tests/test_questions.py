from pathlib import Path

import pytest

from corpus.documents import UnreadableFileError
from corpus.questions import parse_questions, read_questions

DROPOUT = """\
## What does dropout do?

```yaml
id: dropout-purpose
level: junior
kind: concept
zh: dropout 有什么作用？
aliases:
  - Why do we use dropout?
```

### Answer

Dropout sets activations to zero at random during training.

It is switched off at inference.

### Key points

- [3] Dropout sets activations to zero at random. -> regularization#dropout
  - units are dropped by chance
  - random masking of neurons
- [1] Dropout is switched off at inference. -> regularization#dropout-at-inference

### Misconceptions

- Dropout is active at inference. -> regularization#dropout-at-inference

### Follow-ups

- Where would you put it?
- Why does it clash with BatchNorm?

### Hints

1. Think of an ensemble.
"""
POOLING = DROPOUT.replace("dropout-purpose", "pooling-purpose").replace(
    "What does dropout do?", "What does pooling do?"
)
OUTPUT_SIZE = """\
## How wide is the output?

```yaml
id: output-size
level: mid
kind: compute
zh: 输出多宽？
value: 112
unit: pixels
check: (224 + 2 * 3 - 7) // 2 + 1
```

### Answer

It is 112 pixels wide.

### Key points

- [3] The output is 112 pixels wide. -> vision#output-size
"""


def bank(*questions: str, topic: str = "regularization") -> str:
    return "\n".join((f"---\ntopic: {topic}\n---\n", *questions))


def messages(text: str) -> list[str]:
    return [str(problem) for problem in parse_questions(text, "bank.md")[1]]


def test_question_is_read_with_all_its_parts():
    (question,), problems = parse_questions(bank(DROPOUT), "bank.md")
    assert problems == []
    assert (question.id, question.topic, question.level, question.kind) == (
        "dropout-purpose",
        "regularization",
        "junior",
        "concept",
    )
    assert question.prompt == "What does dropout do?"
    assert question.wordings == ("What does dropout do?", "dropout 有什么作用？", "Why do we use dropout?")
    assert question.answer.endswith("training.\n\nIt is switched off at inference.")
    assert question.follow_ups == ("Where would you put it?", "Why does it clash with BatchNorm?")
    assert question.hints == ("Think of an ensemble.",)
    assert (question.path, question.line) == ("bank.md", 5)


def test_key_point_has_weight_section_and_phrasings():
    (question,), _ = parse_questions(bank(DROPOUT), "bank.md")
    heart, bonus = question.key_points
    assert (heart.text, heart.weight, heart.section) == (
        "Dropout sets activations to zero at random.",
        3.0,
        "regularization#dropout",
    )
    assert heart.phrasings == ("units are dropped by chance", "random masking of neurons")
    assert bonus.phrasings == ()


def test_lines_that_begin_with_wrong_contradict_the_key_point():
    text = bank(DROPOUT).replace(
        "  - random masking of neurons\n", "  - random masking of neurons\n  - wrong: it is on at inference\n"
    )
    (question,), problems = parse_questions(text, "bank.md")

    assert problems == []
    assert question.key_points[0].phrasings == ("units are dropped by chance", "random masking of neurons")
    assert question.key_points[0].wrong == ("it is on at inference",)


def test_empty_wrong_line_is_a_mistake():
    text = bank(DROPOUT).replace("  - random masking of neurons\n", "  - random masking of neurons\n  - wrong:\n")

    assert "a `wrong:` line is empty" in messages(text)[0]


def test_misconception_names_the_section_that_corrects_it():
    (question,), _ = parse_questions(bank(DROPOUT), "bank.md")
    (belief,) = question.misconceptions
    assert belief.text == "Dropout is active at inference."
    assert belief.section == "regularization#dropout-at-inference"


def test_compute_question_carries_the_number_and_its_check():
    (question,), problems = parse_questions(bank(OUTPUT_SIZE), "bank.md")
    assert problems == []
    assert question.quantity is not None
    assert (question.quantity.value, question.quantity.unit, question.quantity.tolerance) == (112, "pixels", 0)


def test_numbers_in_scientific_notation_are_numbers():
    text = OUTPUT_SIZE.replace("value: 112", "value: 1.12e2\ntolerance: 1e-3")
    (question,), problems = parse_questions(bank(text), "bank.md")
    assert problems == []
    assert question.quantity is not None
    assert (question.quantity.value, question.quantity.tolerance) == (112, 0.001)


def test_tolerance_that_is_no_number_is_reported_as_such():
    (problem,) = messages(bank(OUTPUT_SIZE.replace("value: 112", "value: 112\ntolerance: one percent")))
    assert "the tolerance is 'one percent'" in problem


@pytest.mark.parametrize("missing", ["value: 112\n", "unit: pixels\n", "check: (224 + 2 * 3 - 7) // 2 + 1\n"])
def test_compute_question_without_its_number_is_reported(missing: str):
    (problem,) = messages(bank(OUTPUT_SIZE.replace(missing, "")))
    assert "needs the fields value (a number), unit and check" in problem


def test_code_question_keeps_its_tests():
    code = DROPOUT.replace("kind: concept", "kind: code") + "\n### Tests\n\n```python\nassert True\n```\n"
    (question,), problems = parse_questions(bank(code), "bank.md")
    assert problems == []
    assert question.tests == "assert True\n"


def test_heading_inside_a_code_block_is_no_question():
    answer = "It is switched off at inference.\n\n```markdown\n## Not a question\n\n### Nor a section\n```"
    text = DROPOUT.replace("It is switched off at inference.", answer, 1)
    (question,), problems = parse_questions(bank(text), "bank.md")
    assert problems == []
    assert question.answer.endswith("### Nor a section\n```")


def test_question_without_key_points_is_reported():
    text = DROPOUT[: DROPOUT.index("### Key points")] + DROPOUT[DROPOUT.index("### Misconceptions") :]
    (problem,) = messages(bank(text))
    assert problem.startswith("bank.md:5: 'What does dropout do?' has no key points.")


def test_question_without_an_answer_is_reported():
    text = DROPOUT[: DROPOUT.index("### Answer")] + DROPOUT[DROPOUT.index("### Key points") :]
    (problem,) = messages(bank(text))
    assert "has no answer" in problem


def test_unknown_field_is_reported_with_the_known_ones():
    (problem,) = messages(bank(DROPOUT.replace("level: junior", "level: junior\ndifficulty: 3")))
    assert "unknown field 'difficulty'. Expected id, level, kind" in problem


def test_unknown_section_is_reported_at_its_line():
    (problem,) = messages(bank(DROPOUT.replace("### Hints", "### Clues")))
    assert "unknown section 'Clues'" in problem
    assert problem.startswith("bank.md:38:")


@pytest.mark.parametrize("mark", ["", "[0] ", "[-1] ", "[high] "])
def test_weight_that_is_not_positive_is_reported_at_its_line(mark: str):
    (problem,) = messages(bank(DROPOUT.replace("[1] ", mark)))
    assert problem.startswith("bank.md:27: a key point has no positive weight")


def test_weight_may_be_a_fraction():
    (question,), problems = parse_questions(bank(DROPOUT.replace("[1] ", "[0.5] ")), "bank.md")
    assert problems == []
    assert question.key_points[1].weight == 0.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("id: Dropout Purpose", "the id is 'Dropout Purpose'"),
        ("level: expert", "the level is 'expert'. Expected one of junior, mid, senior, staff."),
        ("kind: puzzle", "the kind is 'puzzle'"),
        ("id: dropout: purpose", "the yaml block cannot be parsed"),
        ("id: 2024-13-01", "the yaml block cannot be parsed"),
    ],
)
def test_field_with_a_value_that_cannot_be_is_reported(wrong: str, said: str):
    field = wrong.partition(":")[0]
    text = "\n".join(wrong if line.startswith(f"{field}: ") else line for line in DROPOUT.split("\n"))
    assert any(said in problem for problem in messages(bank(text)))


def test_question_without_a_yaml_block_is_reported():
    start, end = DROPOUT.index("```yaml"), DROPOUT.index("### Answer")
    assert any("no ```yaml block" in problem for problem in messages(bank(DROPOUT[:start] + DROPOUT[end:])))


def test_mistakes_of_a_file_are_reported_together_with_their_lines():
    text = bank(DROPOUT.replace("level: junior", "level: easy").replace("[3] ", "[0] "), OUTPUT_SIZE, topic="")
    assert [problem.split(": ", 1)[0] for problem in messages(text)] == ["bank.md:1", "bank.md:5", "bank.md:24"]


def test_sound_questions_of_a_bank_load_beside_broken_ones():
    questions, problems = parse_questions(bank(DROPOUT.replace("[3] ", ""), OUTPUT_SIZE), "bank.md")
    assert [question.id for question in questions] == ["output-size"]
    assert len(problems) == 1


def test_bank_without_questions_is_reported():
    (problem,) = messages("---\ntopic: vision\n---\n\nNothing yet.\n")
    assert "there is no question in this file" in problem


def test_front_matter_that_is_not_yaml_cannot_be_read():
    with pytest.raises(UnreadableFileError, match="line 2: the front matter is not YAML"):
        parse_questions("---\ntopic: a: b\n---\n", "bank.md")


def test_second_question_with_an_id_is_left_out_and_reported_with_the_first(tmp_path: Path):
    (tmp_path / "a.md").write_text(bank(DROPOUT), encoding="utf-8")
    (tmp_path / "b.md").write_text(bank(DROPOUT, POOLING), encoding="utf-8")
    questions, problems = read_questions([tmp_path])
    assert [(question.id, question.path) for question in questions] == [
        ("dropout-purpose", "a.md"),
        ("pooling-purpose", "b.md"),
    ]
    assert [str(problem) for problem in problems] == [
        "b.md:5: the id 'dropout-purpose' is taken by a.md:5. Give this question another one."
    ]


def test_file_that_is_not_utf8_is_reported_and_the_rest_of_the_bank_loads(tmp_path: Path):
    (tmp_path / "old.md").write_bytes("---\ntopic: 视觉\n---\n".encode("gb18030"))
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "new.md").write_text(bank(DROPOUT), encoding="utf-8")
    questions, problems = read_questions([tmp_path])
    assert [(question.id, question.path) for question in questions] == [("dropout-purpose", "zh/new.md")]
    assert [problem.path for problem in problems] == ["old.md"]
    assert "line 2 is not UTF-8" in problems[0].message


def test_missing_file_is_reported(tmp_path: Path):
    questions, (problem,) = read_questions([tmp_path / "gone.md"])
    assert questions == []
    assert problem.message == "No such file or directory."


def test_windows_line_ends_make_no_difference(tmp_path: Path):
    (tmp_path / "a.md").write_bytes(bank(DROPOUT).replace("\n", "\r\n").encode())
    (question,), problems = read_questions([tmp_path])
    assert problems == []
    assert question.line == 5

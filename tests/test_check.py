import math
from pathlib import Path

import pytest

from corpus.check import check_corpus, evaluate, guide_sections
from corpus.documents import Document, parse_document

DROPOUT = """\
---
title: Regularization
topic: regularization
level: junior
summary: How to keep a network from memorizing its training set.
---

# Regularization

## Dropout

Dropout sets activations to zero with probability $p$ during training.

### Dropout at inference

Dropout is switched off; see [above](#dropout) and [the other guide](vision.md#pooling).
"""
POOLING = """\
---
title: Vision
topic: vision
level: mid
summary: Convolutional networks.
---

## Pooling

Pooling shrinks a map, and [dropout](regularization.md#dropout) is rarely used beside it.
"""
ANSWER = " ".join(["Dropout zeroes random activations in training and is switched off at inference."] * 6)
QUESTION = f"""\
---
topic: regularization
---

## What does dropout do?

```yaml
id: dropout-purpose
level: junior
kind: concept
zh: dropout 有什么作用？
```

### Answer

{ANSWER}

### Key points

- [3] Dropout sets activations to zero at random. -> regularization#dropout
  - units are dropped by chance
  - random masking of neurons
- [2] Dropout is active only in training. -> regularization#dropout-at-inference
  - it is off when predicting
  - eval mode disables it
- [1] Pooling is another layer. -> vision#pooling
  - subsampling is separate
  - shrinking maps is something else

### Misconceptions

- Dropout is active at inference. -> regularization#dropout-at-inference

### Follow-ups

- Where would you put it?
- Why does it clash with BatchNorm?
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A small corpus without a mistake."""
    (tmp_path / "guides").mkdir()
    (tmp_path / "guides" / "regularization.md").write_text(DROPOUT, encoding="utf-8")
    (tmp_path / "guides" / "vision.md").write_text(POOLING, encoding="utf-8")
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "regularization.md").write_text(QUESTION, encoding="utf-8")
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def messages(folder: Path) -> list[str]:
    return [str(problem) for problem in check_corpus(folder)]


def test_sound_corpus_has_no_problem(corpus: Path):
    assert messages(corpus) == []


def test_folder_without_guides_and_questions_cannot_be_checked(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="neither a folder `guides` nor a folder `questions`"):
        check_corpus(tmp_path)


def test_guides_can_be_checked_without_questions(corpus: Path):
    (corpus / "questions" / "regularization.md").unlink()
    (corpus / "questions").rmdir()
    assert messages(corpus) == []


@pytest.mark.parametrize("field", ["level", "summary"])
def test_guide_without_a_field_of_its_front_matter_is_reported(corpus: Path, field: str):
    guide = corpus / "guides" / "vision.md"
    lines = guide.read_text(encoding="utf-8").split("\n")
    guide.write_text("\n".join(line for line in lines if not line.startswith(f"{field}:")), encoding="utf-8")
    (problem,) = messages(corpus)
    assert problem.startswith(f"guides/vision.md:1: the front matter has no {field}.")


def test_guide_whose_topic_is_not_its_file_name_is_reported(corpus: Path):
    change(corpus / "guides" / "vision.md", "topic: vision", "topic: images")
    (problem,) = messages(corpus)
    assert "the topic is 'images' but the file is called 'vision'" in problem


def test_heading_that_stands_twice_is_reported_at_its_second_line(corpus: Path):
    with (corpus / "guides" / "vision.md").open("a", encoding="utf-8") as file:
        file.write("\n## Pooling\n\nAgain.\n")
    (problem,) = messages(corpus)
    assert problem.startswith("guides/vision.md:12: the heading 'Pooling' stands at line 8 too.")


def test_heading_inside_code_is_no_section():
    text = "## Real\n\n```python\n# Not a heading\n```\n\n~~~\n## Nor this\n```\n## Still code\n~~~\n\n## End\n"
    guide: Document = parse_document(text, "zh/code.md", sha256="")
    assert guide_sections([guide]) == {"zh/code": {"real": 1, "end": 13}}


def test_link_to_a_section_that_does_not_exist_is_reported_with_the_nearest(corpus: Path):
    change(corpus / "guides" / "vision.md", "regularization.md#dropout", "regularization.md#dropuot")
    (problem,) = messages(corpus)
    assert problem.startswith("guides/vision.md:10: the link 'regularization.md#dropuot' leads to no section.")
    assert problem.endswith("Did you mean 'dropout'?")


def test_link_to_a_guide_that_does_not_exist_is_reported_with_the_known_ones(corpus: Path):
    change(corpus / "guides" / "vision.md", "regularization.md#dropout", "regularisation.md#dropout")
    (problem,) = messages(corpus)
    assert "leads to no guide. Known: regularization, vision." in problem


def test_link_from_a_guide_in_a_folder_is_resolved_from_there(corpus: Path):
    (corpus / "guides" / "zh").mkdir()
    text = POOLING.replace("topic: vision", "topic: zh/notes").replace("regularization.md", "../regularization.md")
    (corpus / "guides" / "zh" / "notes.md").write_text(text, encoding="utf-8")
    assert messages(corpus) == []


def test_links_in_code_and_to_the_web_are_left_alone(corpus: Path):
    with (corpus / "guides" / "vision.md").open("a", encoding="utf-8") as file:
        file.write("\nA [paper](https://example.org/a#b), `[x](nowhere.md)`.\n\n```\n[x](nowhere.md)\n```\n")
    assert messages(corpus) == []


@pytest.mark.parametrize("formula", ["$\\frac{1}{2$", "$$\n\\frac{1}{2\n$$"])
def test_unbalanced_formula_is_reported_at_its_line(corpus: Path, formula: str):
    change(corpus / "guides" / "regularization.md", "$p$", formula)
    (problem,) = messages(corpus)
    assert problem.startswith("guides/regularization.md:12: the formula")
    assert problem.endswith("Balance its braces.")


def test_dollars_of_money_are_no_formula(corpus: Path):
    change(corpus / "guides" / "vision.md", "Pooling shrinks a map", "Between $5 {and $10 a map shrinks")
    assert messages(corpus) == []


def test_guide_that_is_not_utf8_is_reported_and_the_others_are_checked(corpus: Path):
    (corpus / "guides" / "vision.md").write_bytes(POOLING.replace("Vision", "视觉").encode("gb18030"))
    problems = messages(corpus)
    assert any(problem.startswith("guides/vision.md: line 2 is not UTF-8") for problem in problems)
    assert any("the link 'vision.md#pooling' leads to no guide" in problem for problem in problems)


def test_mistakes_of_one_question_are_reported_together(corpus: Path):
    file = corpus / "questions" / "regularization.md"
    change(file, ANSWER, "Too short.")
    change(file, "zh: dropout 有什么作用？\n", "")
    change(file, "  - units are dropped by chance\n", "")
    change(file, "- Where would you put it?\n", "")
    change(file, "vision#pooling", "vision#poolings")
    problems = messages(corpus)
    assert all(problem.startswith("questions/regularization.md:5: dropout-purpose: ") for problem in problems)
    for said in (
        "the answer has 2 words. Expected 50 to 300.",
        "no wording in the other language",
        "has 1 alternative phrasings. Expected 2 to 8.",
        "it has 1 follow-ups. Expected 2",
        "links 'vision#poolings', which is no section. Did you mean 'pooling'?",
    ):
        assert sum(said in problem for problem in problems) == 1, said
    assert len(problems) == 5


def test_key_point_without_a_section_is_reported(corpus: Path):
    change(corpus / "questions" / "regularization.md", " -> vision#pooling", "")
    (problem,) = messages(corpus)
    assert "'Pooling is another layer.' links no guide section." in problem


def test_misconception_that_links_an_unknown_guide_is_reported(corpus: Path):
    file = corpus / "questions" / "regularization.md"
    change(file, "at inference. -> regularization#", "at inference. -> layers#")
    (problem,) = messages(corpus)
    assert "links the guide 'layers', which does not exist. Known: regularization, vision." in problem


def test_code_question_needs_code_and_tests(corpus: Path):
    change(corpus / "questions" / "regularization.md", "kind: concept", "kind: code")
    (problem,) = messages(corpus)
    assert "a code question needs a ```python block in its answer and one under `### Tests`" in problem


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ("value: 6\nunit: GB\ncheck: 2 * 3", ""),
        ("value: 6.1\nunit: GB\ncheck: 2 * 3\ntolerance: 0.02", ""),
        ("value: 7\nunit: GB\ncheck: 2 * 3", "the check '2 * 3' gives 6, but the value is 7 (tolerance 0)."),
        ("value: 6\nunit: GB\ncheck: 2 * x", "the check '2 * x' cannot be evaluated ('x' is not known)."),
        ("value: 6\nunit: GB\ncheck: 2 *", "cannot be evaluated"),
        ("value: 6\nunit: GB\ncheck: 1 / 0", "cannot be evaluated (division by zero)"),
        ("value: 6\nunit: GB\ncheck: sqrt(-1)", "cannot be evaluated"),
    ],
)
def test_value_of_a_compute_question_is_recomputed(corpus: Path, quantity: str, said: str):
    change(corpus / "questions" / "regularization.md", "kind: concept", f"kind: compute\n{quantity}")
    problems = messages(corpus)
    assert len(problems) == bool(said)
    assert all(said in problem for problem in problems)


def test_question_with_nearly_the_same_prompt_is_reported(corpus: Path):
    twin = QUESTION.replace("What does dropout do?", "What does the dropout do?").replace(
        "dropout-purpose", "dropout-two"
    )
    (corpus / "questions" / "twin.md").write_text(twin, encoding="utf-8")
    (problem,) = messages(corpus)
    assert problem.startswith("questions/twin.md:5: dropout-two: nearly the same prompt as dropout-purpose")


def test_questions_on_the_same_subject_are_no_duplicates(corpus: Path):
    other = QUESTION.replace("What does dropout do?", "Why does dropout clash with BatchNorm?")
    (corpus / "questions" / "other.md").write_text(other.replace("dropout-purpose", "dropout-norm"), encoding="utf-8")
    assert messages(corpus) == []


def test_problems_come_in_the_order_of_files_and_lines(corpus: Path):
    change(corpus / "guides" / "vision.md", "level: mid\n", "")
    change(corpus / "guides" / "regularization.md", "(#dropout)", "(#droput)")
    change(corpus / "questions" / "regularization.md", "- Where would you put it?\n", "")
    places = [(problem.path, problem.line) for problem in check_corpus(corpus)]
    assert places == sorted(places)
    assert len(places) == 3


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        ("Study guide:\n  Q1: [dropout-purpose, vision#pooling]\n", ""),
        ("Study guide:\n  Q1: []\n", "Study guide, 'Q1': nothing answers it."),
        ("Study guide:\n  Q1: dropout-purpose\n", "Study guide, 'Q1': nothing answers it."),
        ("Study guide:\n  Q1: [dropout-why]\n", "'dropout-why' is neither a question id nor a guide section."),
        ("Study guide:\n  Q1: [vision#layers]\n", "'vision#layers' is neither a question id nor a guide section."),
        ("Study guide:\n  Q1: [7]\n", "'7' is neither a question id nor a guide section."),
        ("Study guide:\n", "'Study guide' lists nothing."),
        ("", "'coverage.yaml' lists nothing."),
        ("Study guide: [\n", "it is not YAML"),
    ],
)
def test_coverage_names_what_answers_each_entry(corpus: Path, coverage: str, said: str):
    (corpus / "coverage.yaml").write_text(coverage, encoding="utf-8")
    problems = messages(corpus)
    assert len(problems) == bool(said)
    assert all(problem.startswith("coverage.yaml: ") and said in problem for problem in problems)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(224 + 2 * 3 - 7) // 2 + 1", 112),
        ("-2 ** 2", -4),
        ("7 % 4 + +1", 4),
        ("math.sqrt(16) + log2(8)", 7),
        ("max(1, 2, 3) - min(4, 5) + abs(-2) + round(2.4)", 3),
        ("cos(pi) * e", -math.e),
        ("ceil(1121 / 141)", 8),
        ("comb(10, 5)", 252),
        ("0.98 ** 20", 0.98**20),
    ],
)
def test_arithmetic_is_evaluated(expression: str, value: float):
    assert evaluate(expression) == pytest.approx(value)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "__import__('os').system('true')",
        "math.__loader__",
        "().__class__",
        "open('/etc/passwd')",
        "[1 for _ in range(3)]",
        "(lambda: 1)()",
        "'text'",
        "1 if True else 2",
        "1 < 2",
        "log(8, base=2)",
        "os.path.join(1)",
        "x",
        "sqrt",
    ],
)
def test_whatever_is_not_arithmetic_is_refused(expression: str):
    with pytest.raises(ValueError, match=r"is not arithmetic|is not known"):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression", ["2 ** 5000", "(9 ** 999) ** 999", "factorial(10 ** 6)", "comb(10 ** 7, 10 ** 6)"]
)
def test_number_that_would_not_end_is_refused(expression: str):
    with pytest.raises(ValueError, match="is too large"):
        evaluate(expression)


def test_root_of_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="is not a real number"):
        evaluate("(-1) ** 0.5")

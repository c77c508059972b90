"""What learners say of statements: the format, and how it reaches the key points of a bank."""

from __future__ import annotations

from pathlib import Path

from corpus.questions import read_questions
from corpus.sayings import Sayings, parse_sayings, read_sayings
from tutor.settings import CORPUS_FOLDER

TEXT = """\
Q: What is a stack?
S: A stack returns the last item that was added first.
+: lifo, you get back what you put in last
*: The element that was pushed most recently is the one that is removed next.
~: it keeps things in an order
-: A stack returns the oldest item first.
=: the thing that waited longest comes out
-: A stack returns items at random.
0: A stack can be made with an array.

S: Push and pop take constant time.
+: O(1) for both
"""

BANK = """\
---
topic: optimization
---

## What does momentum do?

```yaml
id: momentum
level: junior
kind: concept
zh: 动量有什么作用？
```

### Answer

It averages past gradients.

### Key points

- [3] Momentum averages past gradients. -> optimization#momentum
  - it keeps a running mean of the gradients
  - wrong: it looks at the newest gradient alone
- [1] It damps oscillations. -> optimization#momentum
  - less zigzag

### Misconceptions

- Momentum raises the learning rate. -> optimization#momentum

### Follow-ups

- How large is it?
- What does Nesterov change?
"""

SAID = """\
# momentum
S: Momentum averages past gradients.
+: it remembers where it was going
-: it forgets everything before the last step
=: older steps play no part
"""


def test_a_statement_keeps_what_was_said_of_it_by_kind() -> None:
    """Right, neat, half, wrong with the same mistake again, beside the point."""
    found, problems = parse_sayings(TEXT, "stack.txt")

    assert problems == []
    assert found[0] == Sayings(
        "A stack returns the last item that was added first.",
        "What is a stack?",
        "",
        ("lifo, you get back what you put in last",),
        ("The element that was pushed most recently is the one that is removed next.",),
        ("it keeps things in an order",),
        (
            ("A stack returns the oldest item first.", "the thing that waited longest comes out"),
            ("A stack returns items at random.",),
        ),
        ("A stack can be made with an array.",),
    )
    assert found[0].right == (found[0].statement, *found[0].said, *found[0].stated)
    assert found[0].wrong[1] == "the thing that waited longest comes out"


def test_a_further_statement_belongs_to_the_same_question() -> None:
    """`Q:` counts until the next one."""
    found, _ = parse_sayings(TEXT, "stack.txt")

    assert found[1].question == "What is a stack?"


def test_a_line_without_a_place_is_reported_and_the_others_are_read() -> None:
    """A line before any statement, an unknown kind, a mistake said again that nobody made, an empty one."""
    text = "+: too early\nS: It is so.\n=: again\n?: what\n+:\n+: right\n"

    found, problems = parse_sayings(text, "odd.txt")

    assert [problem.line for problem in problems] == [1, 3, 4, 5]
    assert "Expected" in str(problems[0])
    assert found[0].said == ("right",)


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """As a problem, beside what the others hold."""
    (tmp_path / "good.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "bad.txt").write_bytes(b"S: \xff\xfe")

    found, problems = read_sayings(sorted(tmp_path.glob("*.txt")))

    assert len(found) == 2
    assert [problem.path for problem in problems] == ["bad.txt"]


def test_the_file_beside_a_bank_gives_its_key_points_more_phrasings_and_known_mistakes(tmp_path: Path) -> None:
    """A key point is found by its text."""
    (tmp_path / "bank.md").write_text(BANK, encoding="utf-8")
    (tmp_path / "bank.said.txt").write_text(SAID, encoding="utf-8")

    (question,), problems = read_questions([tmp_path])

    assert problems == []
    point, other = question.key_points
    assert point.ways_to_say == (
        "Momentum averages past gradients.",
        "it keeps a running mean of the gradients",
        "it remembers where it was going",
    )
    assert point.ways_to_err == (
        "it looks at the newest gradient alone",
        "it forgets everything before the last step",
    )
    assert other.ways_to_say == ("It damps oscillations.", "less zigzag")


def test_sayings_of_a_key_point_that_is_not_there_are_reported(tmp_path: Path) -> None:
    """After an edit of the bank its author learns what no longer fits, with file and line."""
    (tmp_path / "bank.md").write_text(BANK, encoding="utf-8")
    (tmp_path / "bank.said.txt").write_text(SAID.replace("averages past", "sums up old"), encoding="utf-8")

    (question,), problems = read_questions([tmp_path])

    assert [(problem.path, problem.line) for problem in problems] == [("bank.said.txt", 2)]
    assert "no key point 'Momentum sums up old gradients.'" in problems[0].message
    assert question.key_points[0].said == ()


def test_every_key_point_of_the_shipped_bank_has_words_of_candidates() -> None:
    """Three that make it and three that contradict it, save for a few repetitions."""
    questions, problems = read_questions([CORPUS_FOLDER / "questions"])

    assert problems == []
    points = [point for question in questions for point in question.key_points]
    assert all(len(point.said) >= 2 and len(point.mistaken) >= 2 for point in points)

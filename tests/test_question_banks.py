"""The instructor's own question banks: what is kept, what counts, what the linter says."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_bank import OWN_BANK

from tutor.question_banks import BankError, QuestionBanks, bank_name, without_draft_mark
from tutor.question_drafts import DraftError
from tutor.settings import Settings
from tutor.tutor import Tutor

BANK = f"{OWN_BANK.rstrip()} -> regularization#weight-decay\n"
SECOND = """
## How does structured pruning differ?

```yaml
id: own-structured
level: expert
kind: concept
```

### Answer

It removes whole channels.

### Key points

- [3] Structured pruning removes whole channels.
"""


@pytest.fixture
def banks(tutor: Tutor) -> QuestionBanks:
    return QuestionBanks(tutor)


def test_a_saved_bank_is_asked_at_once_and_after_a_restart(banks: QuestionBanks, settings: Settings):
    check = banks.save(BANK, "pruning")

    assert [question.id for question in check.questions] == ["own-pruning"]
    assert banks.tutor.find_question("own-pruning").topic == "pruning"
    assert Tutor(settings).find_question("own-pruning").prompt == "What does magnitude pruning remove?"
    assert [(bank.name, bank.questions, bank.mistakes) for bank in banks.all()] == [("pruning.md", 1, 0)]


def test_learners_of_the_same_tutor_are_asked_it_too(banks: QuestionBanks):
    learner = banks.tutor.for_learner("ada")
    banks.save(BANK, "pruning.md")

    assert "own-pruning" in [question.id for question in learner.questions]


def test_a_question_with_a_mistake_is_left_out_with_its_line_and_the_others_join(banks: QuestionBanks):
    check = banks.save(BANK + SECOND, "pruning.md")

    assert [question.id for question in check.questions] == ["own-pruning"]
    assert [(problem.line, problem.message) for problem in check.left_out] == [
        (21, "the level is 'expert'. Expected one of junior, mid, senior, staff.")
    ]
    assert {problem.line for problem in check.advice} == {5}
    assert [(bank.questions, bank.mistakes) for bank in banks.all()] == [(1, 1)]


def test_a_bank_without_a_sound_question_is_not_kept(banks: QuestionBanks):
    with pytest.raises(BankError, match="no question that can join") as caught:
        banks.save(BANK.replace("junior", "expert"), "pruning.md")

    assert caught.value.check is not None
    assert caught.value.check.left_out[0].line == 5
    assert banks.all() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no question that can join"),
        ("---\ntopic: [\n---\n", "front matter is not YAML"),
        (BANK.replace("topic: pruning", "topic: pruning\ndraft: true"), "is a draft still"),
    ],
)
def test_what_cannot_be_a_bank_is_refused_with_the_reason(banks: QuestionBanks, text: str, said: str):
    with pytest.raises(BankError, match=said):
        banks.save(text, "pruning.md")
    assert banks.all() == []


def test_a_binary_file_is_refused(banks: QuestionBanks, tmp_path: Path):
    (tmp_path / "bank.md").write_bytes(b"\x89PNG\0")

    with pytest.raises(BankError, match=r"bank\.md: this is a binary file"):
        banks.add(tmp_path / "bank.md")


def test_an_id_of_the_shipped_bank_is_not_taken_over(banks: QuestionBanks):
    with pytest.raises(BankError) as caught:
        banks.save(BANK.replace("own-pruning", "dropout-train-inference"), "pruning.md")

    assert caught.value.check is not None
    assert "is taken by regularization.md" in caught.value.check.left_out[0].message


def test_a_bank_is_replaced_and_does_not_compete_with_itself(banks: QuestionBanks):
    banks.save(BANK, "pruning.md")
    check = banks.save(BANK.replace("smallest in magnitude", "nearest to zero"), "pruning.md")

    assert check.left_out == ()
    assert "nearest to zero" in banks.tutor.find_question("own-pruning").answer


def test_a_section_that_is_not_there_is_advice(banks: QuestionBanks):
    said = [problem.message for problem in banks.check(BANK.replace("#weight-decay", "#weight-decays"), "p.md").advice]

    assert any("Did you mean 'weight-decay'" in message for message in said)
    assert not any("weight-decay'" in problem.message for problem in banks.check(BANK, "p.md").advice)


def test_nearly_the_same_prompt_as_one_of_the_bank_is_said(banks: QuestionBanks):
    text = BANK.replace("What does magnitude pruning remove?", "What does dropout do, and what changes at inference")

    assert any(
        "nearly the same prompt as dropout-train-inference" in p.message for p in banks.check(text, "p.md").advice
    )


SAYINGS = """# own-pruning
S: Magnitude pruning removes the smallest weights.
+: you throw out whatever is close to zero
-: it cuts the largest weights

S: This is no key point of it.
+: nor is this
"""


def test_what_candidates_say_joins_the_bank_and_goes_with_it(banks: QuestionBanks, tmp_path: Path):
    file = tmp_path / "pruning.said.txt"
    file.write_text(SAYINGS, encoding="utf-8")
    banks.save(BANK, "pruning.md")

    kept = banks.add_sayings(file)

    [point] = banks.tutor.find_question("own-pruning").key_points
    assert (point.said, point.mistaken) == (
        ("you throw out whatever is close to zero",),
        ("it cuts the largest weights",),
    )
    assert kept.key_points == 1
    assert [problem.line for problem in kept.problems] == [6]
    # It is the same bank still: listed, and no competitor of itself.
    assert [(bank.questions, bank.mistakes) for bank in banks.all()] == [(1, 0)]
    assert not any("is taken" in problem.message for problem in banks.check(BANK, "pruning.md").left_out)
    banks.remove("pruning.md")
    assert list(banks.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("other.said.txt", SAYINGS, "no own question bank 'other'"),
        ("pruning.said.txt", "", "the file is empty"),
        ("pruning.said.txt", "# own-pruning\nS: Another point.\n+: x\n", "has no key point 'Another point.'"),
    ],
)
def test_what_candidates_say_of_no_point_is_refused(
    banks: QuestionBanks, tmp_path: Path, name: str, text: str, said: str
):
    banks.save(BANK, "pruning.md")
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(BankError, match=said):
        banks.add_sayings(tmp_path / name)


def test_a_removed_bank_counts_no_more(banks: QuestionBanks):
    banks.save(BANK, "pruning.md")
    banks.remove("pruning.md")

    assert "own-pruning" not in [question.id for question in banks.tutor.questions]
    with pytest.raises(BankError, match="There are: none yet"):
        banks.remove("pruning.md")


def test_a_bank_that_became_unreadable_is_listed_and_can_be_removed(banks: QuestionBanks):
    banks.save(BANK, "pruning.md")
    (banks.folder / "pruning.md").write_bytes(b"\xff\xff")

    assert [(bank.questions, bank.mistakes) for bank in banks.all()] == [(0, 1)]
    banks.remove("pruning.md")
    assert banks.all() == []


@pytest.mark.parametrize(
    "name", ["", " ", ".md", "../x.md", "a/b.md", "a\\b.md", "x\0.md", ".hidden", "x" * 300, "a\nb"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str):
    with pytest.raises(BankError, match="cannot be the name of a bank"):
        bank_name(name)


def test_names_are_given_their_suffix():
    assert [bank_name(name) for name in ("x", "x.md", "x.markdown", " 题库.md")] == ["x.md", "x.md", "x.md", "题库.md"]


def test_the_draft_mark_goes_from_the_front_matter_alone():
    draft = "---\ntopic: x\ndraft: true\norigin: y\n---\n\n## A\n\ndraft: true\n"

    assert without_draft_mark(draft) == "---\ntopic: x\norigin: y\n---\n\n## A\n\ndraft: true\n"
    assert without_draft_mark(BANK) == BANK


def test_a_draft_of_a_guide_that_is_not_there_names_the_near_ones(banks: QuestionBanks):
    with pytest.raises(DraftError, match=r"Did you mean regularization\.md"):
        banks.draft("regularisation.md", count=1)


def test_a_draft_is_sound_but_counts_only_once_it_is_saved(banks: QuestionBanks):
    draft = banks.draft("regularization.md", count=2)

    assert banks.check(draft.markdown, "draft.md").left_out == ()
    assert len(banks.tutor.questions) == 2
    banks.save(without_draft_mark(draft.markdown), "draft.md")
    assert len(banks.tutor.questions) == 2 + len(draft.questions)


def test_a_draft_put_into_the_folder_by_hand_does_not_count(banks: QuestionBanks):
    draft = banks.draft("regularization.md", count=1)
    banks.folder.mkdir()
    (banks.folder / "draft.md").write_text(draft.markdown, encoding="utf-8")
    bank = banks.tutor.read_bank()

    assert len(bank.questions) == 2
    assert "it is a draft" in str(bank.problems[-1])

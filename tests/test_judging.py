"""A judge beside the offline check: its weight, what it makes better, and what becomes of a bad one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from evals.case_cache import CaseCache
from evals.cases_format import CaseError
from evals.grounding import CheckedCases, GroundingCase
from evals.judging import JudgedCases, choose_weight, judged_report
from evals.report import EvalReport
from tutor.grounding import AnswerCheck, SentenceCheck, Verdict
from tutor.judgements import Judgement

PASSAGE = "Dropout zeroes random units in training and is switched off at inference."


@dataclass
class Judge:
    """Says of a case what it was told to, and keeps what it was asked."""

    says: dict[str, Judgement]
    name: str = "judge"
    asked: list[str] = field(default_factory=list)

    def judge(
        self, question: str, passages: Sequence[str], answer: str, sentences: Sequence[tuple[int, int]]
    ) -> list[Judgement]:
        del passages, answer
        self.asked.append(question)
        return [self.says[question] for _ in sentences]


def case(name: str, *, unsupported: bool | None) -> GroundingCase:
    """A case of its own passage: half of the answers say what it says."""
    said = "Dropout zeroes random units in training." if int(name) % 2 else "Warmup raises the rate of learning slowly."
    return GroundingCase(name, name, (f"{PASSAGE} {name}",), said, ((0, len(said)),), (unsupported,), (), unsupported)


def cases(count: int) -> list[GroundingCase]:
    """Cases whose labels have nothing to do with what the offline check sees in them."""
    dice = random.Random(1)
    return [case(str(number), unsupported=dice.random() < 0.5) for number in range(count)]


def report(
    judge: Judge, given: Sequence[GroundingCase], folder: Path, calibration: Sequence[GroundingCase] = ()
) -> EvalReport:
    return judged_report(
        given,
        [],
        judge,
        calibration,
        cache=lambda name: CaseCache(folder, (name,)),
        seed=0,
        progress=lambda _stage, _done, _total: None,
    )


def knowing(given: Sequence[GroundingCase]) -> Judge:
    """A judge that knows people's labels."""
    return Judge({item.id: Judgement(0.05 if item.unsupported else 0.95) for item in given})


def mistaken(given: Sequence[GroundingCase]) -> Judge:
    """A judge that takes each label for its opposite."""
    return Judge({item.id: Judgement(0.95 if item.unsupported else 0.05) for item in given})


def test_a_judge_that_knows_more_makes_the_figures_better(tmp_path: Path):
    given = cases(40)

    found = report(knowing(given), given, tmp_path)

    assert found.values["sentence_auc"] > 0.95 > found.values["offline_sentence_auc"]
    assert found.values["judge_sentence_auc"] == 1
    assert any(note.endswith("better") for note in found.notes if note.startswith("with the judge against offline"))
    assert [name for name in found.groups if name.startswith("offline: ")] != []
    assert [curve.title.rsplit(", ", 1)[1] for curve in found.curves] == ["offline", "with the judge"]


def test_a_judge_that_is_always_wrong_gets_no_weight_and_changes_nothing(tmp_path: Path):
    # Labels that the offline check meets.
    given = [case(str(number), unsupported=number % 2 == 0) for number in range(40)]

    found = report(mistaken(given), given, tmp_path)

    assert found.groups["labelled sentences"] == found.groups["offline: labelled sentences"]
    assert found.values["sentence_auc"] == found.values["offline_sentence_auc"]
    assert any("weight 0, chosen for each of 5 parts" in note for note in found.notes)


def test_a_weight_may_be_chosen_on_other_cases_and_what_gets_worse_is_said(tmp_path: Path):
    given = [case(str(number), unsupported=number % 2 == 0) for number in range(40)]
    others = cases(60)[40:]
    judge = Judge(mistaken(given).says | knowing(others).says)

    found = report(judge, given, tmp_path, others)

    assert any(", chosen on 20 other cases" in note for note in found.notes)
    assert any(note.startswith("WORSE with the judge here: sentence_auc") for note in found.notes)


def test_without_a_label_the_offline_check_stands(tmp_path: Path):
    given = [case(str(number), unsupported=None) for number in range(4)]

    found = report(Judge({item.id: Judgement(0.0) for item in given}), given, tmp_path)

    assert found.groups["answers"] == found.groups["offline: answers"]
    assert any(
        "no case has a label to choose it by: name labelled ones with --calibrate" in note for note in found.notes
    )


def test_calibration_without_a_label_is_refused(tmp_path: Path):
    given = cases(2)
    unlabelled = [case("2", unsupported=None)]

    with pytest.raises(CaseError, match="to calibrate the judge on have no label"):
        report(knowing([*given, *unlabelled]), given, tmp_path, unlabelled)


def test_unreadable_judgements_are_counted_and_shown_and_judged_again_next_time(tmp_path: Path):
    given = cases(10)
    judge = knowing(given)
    judge.says["3"] = Judgement.unreadable("nan is no probability")

    first = report(judge, given, tmp_path)
    judge.asked.clear()
    report(judge, given, tmp_path)

    assert first.values["judge_readable"] == 0.9
    assert "1 of 10 judgements unreadable; there the offline check stands" in first.notes
    assert "unreadable 3: nan is no probability" in first.notes
    # The first few are asked twice, to see whether the same comes out.
    assert sorted(judge.asked) == ["0", "1", "2", "3", "3", "4"]


def test_judgements_of_another_judge_are_not_taken_for_its_own(tmp_path: Path):
    given = cases(10)
    report(knowing(given), given, tmp_path)
    other = mistaken(given)
    other.name = "other"

    report(other, given, tmp_path)

    assert set(other.asked) == {item.id for item in given}


def checked(name: str, chance: float, *, unsupported: bool) -> tuple[GroundingCase, AnswerCheck]:
    verdict: Verdict = "supported" if chance >= 0.5 else "unsupported"
    return case(name, unsupported=unsupported), AnswerCheck((SentenceCheck(0, 5, verdict, chance),))


@pytest.mark.parametrize("seed", range(20))
def test_on_the_cases_that_a_weight_is_chosen_on_the_combination_is_never_worse(seed: int):
    dice = random.Random(seed)
    rows = [checked(str(number), dice.random(), unsupported=dice.random() < 0.5) for number in range(30)]
    judged = JudgedCases(
        CheckedCases([case for case, _ in rows], [check for _, check in rows]),
        [[Judgement(dice.random())] for _ in rows],
    )

    before = judged.checked.figures(0)
    after = judged.alone(choose_weight(judged)).figures(0)

    for name in ("sentence_auc", "sentence_macro_f1"):
        assert after[name].value >= before[name].value


def test_a_progress_of_both_steps_is_told(tmp_path: Path):
    given, told = cases(3), []

    judged_report(
        given,
        [],
        knowing(given),
        [],
        cache=partial(lambda folder, name: CaseCache(folder, (name,)), tmp_path),
        seed=0,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )

    assert ("checking", 2, 3) in told
    assert ("judging", 2, 3) in told

"""What of a grade is decided exactly: the tests of a code question, the formulas of key points, the parts of a story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from corpus.questions import KeyPoint, Question
from tutor.code_sandbox import CodeReport
from tutor.grading import Grade, Verdict, VerdictName
from tutor.star import asks_for_story, read_story
from tutor.written_formulas import JudgedFormula, judge_formulas

RunCode = Callable[[str, str], CodeReport]
"""Runs the code of an attempt against tests."""


def judged_exactly(grade: Grade, run: RunCode | None) -> Grade:
    """The grade with what can be decided exactly put in place of what was estimated, and a remark for each thing found.

    A code question gets a first key point: the code passes the tests; not where `run` is None or this system cannot limit the code. Call
    `completed` for the feedback.
    """
    if not grade.is_judged:
        return grade
    question, verdicts, remarks = grade.question, list(grade.verdicts), list(grade.remarks)
    if question.kind in {"derive", "compute"}:
        formulas = judge_formulas([verdict.key_point for verdict in verdicts], grade.attempt)
        for index, formula in enumerate(formulas):
            if formula is not None:
                verdicts[index] = _with_formula(verdicts[index], formula)
                remarks += [formula.message] if formula.verdict != "right" else []
    if question.kind == "behavioural" and asks_for_story(question.prompt):
        remarks += read_story(grade.attempt).remarks
    if question.kind == "code" and question.tests and run is not None:
        report = run(grade.attempt, question.tests)
        remarks.append(report.summary)
        if report.is_run or not report.is_limited_away:
            verdicts.insert(0, _of_code(question, report))
    return replace(grade, verdicts=tuple(verdicts), remarks=tuple(filter(None, remarks)))


def _with_formula(verdict: Verdict, formula: JudgedFormula) -> Verdict:
    if formula.verdict == "right":
        return replace(verdict, verdict="made", evidence=formula.evidence, degree=1.0, share=None)
    # With a slip in its formula a point is made by half, however well its words are chosen.
    return replace(verdict, verdict="partial", evidence=formula.evidence, degree=min(verdict.degree, 0.5), share=None)


def _of_code(question: Question, report: CodeReport) -> Verdict:
    section = question.key_points[0].section if question.key_points else ""
    point = KeyPoint("The code passes the question's tests.", 3.0, section)
    share = report.passed / len(report.outcomes) if report.outcomes else 0.0
    name: VerdictName = "made" if report.is_right else "partial" if share >= 0.5 and not report.refused else "missing"
    return Verdict(point, name, degree=round(share, 4))

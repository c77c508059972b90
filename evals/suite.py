"""Every eval that needs no language model, in one run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from corpus.questions import read_questions
from evals.abstention import abstention_report
from evals.cases_format import CaseError, first_of_each_kind
from evals.citations import citations_report
from evals.conversation import conversation_report
from evals.grading_battery import by_case, run_battery
from evals.report import EvalReport
from evals.retrieval import measure, tutor_of_cases
from index.build import Progress
from index.retriever import RANKINGS
from tutor.grader import shipped_grader
from tutor.grading import grade_attempt
from tutor.settings import CORPUS_FOLDER, Settings

BATTERY_STEP = 6
"""The battery of attempts on grading tries each sixth question of the bank; `tutor eval grading` tries all."""
EVALS = {"abstention": abstention_report, "conversation": conversation_report, "citations": citations_report}
"""Those that look at the tutor's answers to cases of retrieval."""


@dataclass(frozen=True)
class SuiteReport:
    """What all evals found."""

    reports: Sequence[EvalReport]
    left_out: Sequence[str]
    """Evals that the cases are not enough for, and why."""
    day: date
    machine: str

    def save(self, file: Path) -> None:
        """As JSON, an eval a line, so that a change of one shows as one."""
        evals = ",\n".join(
            f"{json.dumps(report.name)}: {json.dumps(report.as_dict(), ensure_ascii=False)}" for report in self.reports
        )
        head = f'"date": {json.dumps(self.day.isoformat())},\n"machine": {json.dumps(self.machine)}'
        file.write_text(f'{{\n{head},\n"evals": {{\n{evals}\n}}\n}}\n', encoding="utf-8")


def this_machine() -> str:
    """System, processor and cores, for a reader of the report."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def run_suite(
    settings: Settings, *, cases: Path | None, guides: Path | None, limit: int, seed: int, day: date, progress: Progress
) -> SuiteReport:
    """Retrieval, abstention, conversation and citations on the cases, and the grading battery on the shipped questions.

    Answers are the guides' own words whatever model the settings name. `limit` takes the first so many cases of each kind, and
    as many questions. Raises CaseError for cases that cannot be read.
    """
    plain = settings.model_copy(update={"language_model": ""})
    with tutor_of_cases(plain, cases, guides, progress=progress) as (tutor, found, problems):
        kept = first_of_each_kind(found, limit)
        retrieval = measure(
            tutor.retriever,
            kept,
            rankings=RANKINGS,
            threshold=plain.answer_threshold,
            problems=problems,
            progress=progress,
            seed=seed,
            settings={"embedder": plain.embedder, "chunk_words": plain.chunk_words},
        )
        reports, left_out = [retrieval.as_report], []
        for name, run in EVALS.items():
            try:
                reports.append(run(tutor, kept, problems=problems, seed=seed, progress=progress))
            except CaseError as error:
                left_out.append(f"{name}: {error}")
    bank, _ = read_questions([CORPUS_FOLDER / "questions"])
    progress("grading", 0, 1)
    trials = run_battery(
        bank[::BATTERY_STEP][: limit or None],
        lambda question, attempt: grade_attempt(
            question, attempt, grader=shipped_grader(), cite=lambda _section, _text: None
        ),
        seed=seed,
    )
    grading = EvalReport("grading", by_case(trials), seed, notes=[f"each {BATTERY_STEP}th question of the bank"])
    return SuiteReport([*reports, grading], left_out, day, this_machine())

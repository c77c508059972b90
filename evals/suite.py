"""Every eval in one run, on our cases or on somebody's."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from corpus.documents import Problem
from evals.abstention import abstention_report
from evals.answer_cases import JudgedAnswer
from evals.bank import bank_report, read_bank
from evals.case_cache import CaseCache, code_version
from evals.cases_format import CaseError, RetrievalCase, first_of_each_kind
from evals.citations import citations_report
from evals.conversation import conversation_report
from evals.grading import Battery, our_questions, plain_grade, read_ours, verdicts_report
from evals.grounding import grounding_report, read_grounding_cases
from evals.report import EvalReport, SuiteReport
from evals.retrieval import measure, tutor_of_cases
from index.build import Progress
from index.retriever import RANKINGS
from tutor.settings import Settings
from tutor.tutor import Tutor

BATTERY_STEP = 6
"""The battery of attempts on grading tries each sixth question of the bank; `tutor eval grading` tries all."""
EVALS = ("abstention", "conversation", "citations")
"""Those that look at the tutor's answers to cases of retrieval."""


def this_machine() -> str:
    """System, processor and cores, for a reader of the report."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def last_report(settings: Settings) -> Path:
    """Where the report of the last whole run is kept."""
    return settings.home / "evals" / "report.json"


def cache_of(settings: Settings, judge: str, *, fresh: bool) -> CaseCache:
    """What a judge said of cases so far; a change of code or weights makes all of it old."""
    return CaseCache(settings.home / "evals" / "judged", (judge, code_version()), fresh)


def grader_name(tutor: Tutor) -> str:
    """Who grades: the language model, or the offline grader."""
    return tutor.model_name if tutor.model and tutor.settings.grader == "auto" else "offline"


def grader_state(settings: Settings) -> str:
    """Which grader the settings mean, with all that its grades depend on."""
    names = (
        "language_model",
        "grader",
        "max_new_tokens",
        "precision",
        "quantization",
        "endpoint_window_tokens",
        "run_code",
    )
    return " ".join(str(getattr(settings, name)) for name in names)


def run_suite(
    settings: Settings,
    *,
    cases: Path | None,
    guides: Path | None,
    limit: int,
    seed: int,
    day: date,
    progress: Progress,
    fresh: bool = False,
) -> SuiteReport:
    """Retrieval, abstention, conversation and citations on the cases; grounding, grading and the bank on ours.

    `limit` takes the first so many cases of each kind, and as many questions, answers and learners' answers. Where the cases are
    somebody's own, those that rest on our guides and questions are left out. Raises CaseError for cases that
    cannot be read.
    """
    reports: list[EvalReport] = []
    left_out: list[str] = []
    with tutor_of_cases(settings, cases, guides, progress=progress) as (tutor, found, problems):
        kept = first_of_each_kind(found, limit)
        retrieval = measure(
            tutor.retriever,
            kept,
            rankings=RANKINGS,
            threshold=settings.answer_threshold,
            problems=problems,
            progress=progress,
            seed=seed,
            settings={"embedder": settings.embedder, "chunk_words": settings.chunk_words},
        )
        reports.append(retrieval.as_report)
        cache = cache_of(settings, "offline", fresh=fresh)
        for name in EVALS:
            try:
                reports.append(run_eval(name, tutor, kept, problems, cache=cache, seed=seed, progress=progress))
            except CaseError as error:
                left_out.append(f"{name}: {error}")
        if cases or guides:
            left_out.append(
                "grounding, grading and bank: our cases and questions rest on our guides. Give your own: tutor eval grounding --cases"
            )
        else:
            answers, mistakes = read_grounding_cases(None, settings.guides, settings.chunk_words)
            reports.append(
                grounding_report(answers[: limit or None], mistakes, cache=cache, seed=seed, progress=progress)
            )
            # A language model would take hours over all attempts: here the offline grader is tried.
            battery = Battery(our_questions()[::BATTERY_STEP][: limit or None], plain_grade, "offline")
            reports.append(
                grading_of_ours(tutor, settings, battery, limit=limit, seed=seed, progress=progress, fresh=fresh)
            )
            bank, odd = read_bank(None)
            reports.append(bank_report(bank, odd, plain_grade, limit=limit, cache=cache, seed=seed, progress=progress))
    return SuiteReport(reports, left_out, day, this_machine())


def run_eval(
    name: str,
    tutor: Tutor,
    cases: Sequence[RetrievalCase],
    problems: Sequence[Problem],
    *,
    cache: CaseCache,
    seed: int,
    progress: Progress,
) -> EvalReport:
    """One of EVALS. Raises CaseError where the cases are not enough for it."""
    try:
        if name == "citations":
            return citations_report(tutor, cases, problems=problems, seed=seed, progress=progress, cache=cache)
        run = abstention_report if name == "abstention" else conversation_report
        return run(tutor, cases, problems=problems, seed=seed, progress=progress)
    except CaseError as error:
        left_out = "; ".join(map(str, problems[:3]))
        raise CaseError(
            f"{error} {len(problems)} cases were left out: {left_out}" if problems else str(error)
        ) from error


def grading_of_ours(
    tutor: Tutor, settings: Settings, battery: Battery, *, limit: int, seed: int, progress: Progress, fresh: bool
) -> EvalReport:
    """Our learners' answers with people's verdicts, and a battery of attempts."""
    judged, problems = read_ours()
    return verdicts_of(
        tutor,
        settings,
        judged[: limit or None],
        problems,
        seed=seed,
        progress=progress,
        fresh=fresh,
        battery=battery,
    )


def verdicts_of(
    tutor: Tutor,
    settings: Settings,
    judged: Sequence[JudgedAnswer],
    problems: Sequence[Problem],
    *,
    seed: int,
    progress: Progress,
    fresh: bool,
    battery: Battery | None = None,
) -> EvalReport:
    """Learners' answers with people's verdicts, graded as the tutor grades.

    Raises CaseError where the language model that the settings name cannot be had: the offline grader's figures are not its.
    """
    if tutor.model_problem:
        raise CaseError(tutor.model_problem)
    return verdicts_report(
        judged,
        problems,
        tutor.judge,
        grader=grader_name(tutor),
        cache=cache_of(settings, grader_state(settings), fresh=fresh),
        seed=seed,
        progress=progress,
        battery=battery,
    )

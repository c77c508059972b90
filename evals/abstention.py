"""Whether the tutor answers what the guides cover and declines what they do not, by kind and by threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from corpus.documents import Problem
from evals.cases_format import CaseError, RetrievalCase
from evals.report import CaseDetail, Curve, EvalReport
from evals.retrieval import excerpts
from evals.statistics import auc_interval
from index.build import Progress
from tutor.follow_ups import standalone_question
from tutor.tutor import Tutor

THRESHOLDS = tuple(round(step / 50, 2) for step in range(51))


def abstention_report(
    tutor: Tutor, cases: Sequence[RetrievalCase], *, problems: Sequence[Problem], seed: int, progress: Progress
) -> EvalReport:
    """The tutor's own decision on each case, and what other thresholds would decide.

    `answered` is of the answerable cases: the others were declined wrongly. `declined` is of those that the guides do not
    answer: the others were answered wrongly. Raises CaseError where there are not both.
    """
    if len({case.answerable for case in cases}) < 2:
        raise CaseError("Abstention needs answerable and unanswerable cases. Add some with answerable false.")
    threshold = tutor.settings.answer_threshold
    groups: dict[str, dict[str, dict[str, float]]] = {}
    confidence: dict[str, float] = {}
    details = {}
    for done, case in enumerate(cases):
        progress("searching", done, len(cases))
        question = standalone_question(case.question, case.history)
        hits = tutor.retrieve(question, count=tutor.settings.hit_count, merged=True, before=case.before)
        confidence[case.id] = sure = tutor.retriever.confidence(question, hits)
        is_right = float((sure >= threshold) == case.answerable)
        groups.setdefault(case.kind, {})[case.id] = {"answered" if case.answerable else "declined": is_right}
        details[case.id] = CaseDetail(
            case.question,
            excerpts(hits),
            f"{'answered' if sure >= threshold else 'declined'}: confidence {sure:.3f}, threshold {threshold:.3f}",
            "the guides answer it" if case.answerable else "the guides do not answer it",
        )
    for name, is_answerable in (("answerable", True), ("unanswerable", False)):
        whole = {case.id: groups[case.kind][case.id] for case in cases if case.answerable == is_answerable}
        groups[name] = whole
    can = [confidence[case.id] for case in cases if case.answerable]
    cannot = [confidence[case.id] for case in cases if not case.answerable]
    by_threshold = Curve(
        "What each threshold would decide",
        "threshold of confidence",
        {
            "answered rightly": [(step, float(np.mean([sure >= step for sure in can]))) for step in THRESHOLDS],
            "declined rightly": [(step, float(np.mean([sure < step for sure in cannot]))) for step in THRESHOLDS],
        },
    )
    wrong_answers = sum(sure >= threshold for sure in cannot)
    wrong_refusals = sum(sure < threshold for sure in can)
    return EvalReport(
        "abstention",
        groups,
        seed,
        figures={"AUC": auc_interval(can, cannot, seed=seed)},
        details=details,
        curves=[by_threshold],
        notes=[
            *(f"left out {problem}" for problem in problems),
            f"declined rightly {len(cannot) - wrong_answers}, answered wrongly {wrong_answers}; "
            f"answered rightly {len(can) - wrong_refusals}, declined wrongly {wrong_refusals}",
        ],
        settings={"answer_threshold": threshold, "embedder": tutor.settings.embedder},
        predictions=[
            {"id": case.id, "confidence": round(confidence[case.id], 4), "answered": confidence[case.id] >= threshold}
            for case in cases
        ],
    )

"""Follow-ups: whether search with the rewritten question finds what the full question finds."""

from __future__ import annotations

from collections.abc import Sequence

from corpus.documents import Problem
from evals.cases_format import CaseError, RetrievalCase
from evals.report import CaseDetail, CaseFigures, EvalReport
from evals.retrieval import DEPTH, excerpts, score_case
from evals.statistics import compare_paired
from index.build import Progress
from tutor.follow_ups import standalone_question
from tutor.tutor import Tutor

METRICS = ("hit@1", "recall@5", "nDCG@10")


def conversation_report(
    tutor: Tutor, cases: Sequence[RetrievalCase], *, problems: Sequence[Problem], seed: int, progress: Progress
) -> EvalReport:
    """Search each answerable follow-up as it stands, joined to what was asked before, in full, and as the tutor rewrites it.

    `full` holds the cases that give their question in full. Raises CaseError where no case is a follow-up.
    """
    follow_ups = [case for case in cases if case.history and case.answerable]
    if not follow_ups:
        raise CaseError("No case is an answerable follow-up. Expected some with a history: its earlier questions.")
    groups: dict[str, dict[str, dict[str, float]]] = {"bare": {}, "joined": {}, "full": {}, "rewritten": {}}
    details, predictions = {}, []
    for done, case in enumerate(follow_ups):
        progress("searching", done, len(follow_ups))
        asked = {
            "bare": case.question,
            "joined": " ".join((*case.history, case.question)),
            "full": case.standalone,
            "rewritten": standalone_question(case.question, case.history),
        }
        hits = {
            # The tutor searches what it rewrote with an eye on the question before.
            form: tutor.retriever.retrieve_in_context(text, case.before if form == "rewritten" else "", count=DEPTH * 3)
            for form, text in asked.items()
            if text
        }
        for form, found in hits.items():
            scores = score_case(case, found)
            groups[form][case.id] = {metric: scores[metric] for metric in METRICS}
        details[case.id] = CaseDetail(
            " / ".join((*case.history, case.question)),
            excerpts(hits["rewritten"]),
            f"searched for: {asked['rewritten']}",
            case.expected,
        )
        predictions.append(
            {
                "id": case.id,
                "rewritten": asked["rewritten"],
                "hits": [f"{hit.chunk.document_id} > {hit.chunk.path}" for hit in hits["rewritten"][:DEPTH]],
            }
        )
    if not groups["full"]:
        del groups["full"]
    return EvalReport(
        "conversation",
        groups,
        seed,
        details=details,
        notes=[*(f"left out {problem}" for problem in problems), *_against_rewritten(groups, seed)],
        predictions=predictions,
    )


def _against_rewritten(groups: dict[str, dict[str, dict[str, float]]], seed: int) -> list[str]:
    lines = []
    for form in (name for name in groups if name != "rewritten"):
        rows: CaseFigures = groups[form]
        before, after = ([found[case]["nDCG@10"] for case in sorted(rows)] for found in (rows, groups["rewritten"]))
        result = compare_paired(before, after, seed=seed)
        lines.append(
            f"rewritten against {form}: nDCG@10 {result.difference.value:+.3f} "
            f"({result.difference.low:+.3f} to {result.difference.high:+.3f}), {result.chance}: {result.outcome}"
        )
    return lines

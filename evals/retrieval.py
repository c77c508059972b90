"""Retrieval quality: recall@k, MRR@10, nDCG@10 and the decision to answer, on our cases or anybody's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.chunks import Chunk, anchor, strip_ordinal
from corpus.documents import Problem
from evals.cases_format import CaseError, RetrievalCase, is_beir, read_beir, read_cases
from evals.report import CaseDetail, Curve, EvalReport, excerpt, read_limit
from evals.statistics import Interval, bootstrap_means
from index.build import Progress, index_documents
from index.hits import Hit
from index.reranker import Reranker
from index.retriever import RANKINGS, Ranking, Retriever
from tutor.follow_ups import standalone_question
from tutor.settings import Settings
from tutor.shared_parts import make_retriever
from tutor.tutor import Tutor

if TYPE_CHECKING:
    from rich.table import Table

OUR_CASES = Path(__file__).parent / "cases" / "retrieval.jsonl"
DEPTH = 10
METRICS = ("recall@1", "recall@5", "recall@10", "hit@1", "hit@5", "MRR@10", "nDCG@10")
SHOWN_HITS = 3
ANSWERS = 2
"""The grade from which a section answers a question; 1 only helps."""


@dataclass(frozen=True)
class RankingScores:
    """Figures of one ranking over the answerable cases, each between 0 and 1."""

    ranking: str
    by_case: Mapping[str, Mapping[str, float]]
    """`{case id: {metric: value}}`."""
    seed: int = 0

    @cached_property
    def intervals(self) -> Mapping[str, Interval]:
        """Mean of each metric with its interval by question; empty where no case is answerable."""
        return bootstrap_means([self.by_case[case] for case in sorted(self.by_case)], seed=self.seed)

    @cached_property
    def means(self) -> dict[str, float]:
        """Mean of each metric over the cases."""
        return {metric: _mean([values[metric] for values in self.by_case.values()]) for metric in METRICS}


@dataclass(frozen=True)
class Abstention:
    """How well the tutor tells questions that the guides answer from those that they do not."""

    answered_rightly: float
    """Share of the answerable cases that the tutor would answer."""
    declined_rightly: float
    """Share of the unanswerable cases that it would decline."""
    auc: float | None
    """Chance that an answerable case has more confidence than an unanswerable one; None where no case is answerable."""
    wrongly_declined: Sequence[str]
    """Ids of the answerable cases below the threshold, the least confident first."""
    wrongly_answered: Sequence[str]
    """Ids of the unanswerable cases above it, the most confident first."""


@dataclass(frozen=True)
class RetrievalReport:
    """What one run of the eval found."""

    scores: Sequence[RankingScores]
    """The last one is what the limits look at."""
    kinds: Mapping[str, Sequence[str]]
    """Ids of the answerable cases by kind."""
    abstention: Abstention | None
    cases: int
    problems: Sequence[Problem] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, CaseDetail] = field(default_factory=dict)
    """Of the answerable cases, what the last ranking found."""
    predictions: Sequence[Mapping[str, Any]] = ()
    """Of all cases, what the last ranking found, for a file of them."""

    @property
    def as_report(self) -> EvalReport:
        """The figures by case in the form of the other evals, with recall by k."""
        ks = (1, 5, 10)
        lines = {scores.ranking: [(float(k), scores.means[f"recall@{k}"]) for k in ks] for scores in self.scores}
        return EvalReport(
            "retrieval",
            {scores.ranking: scores.by_case for scores in self.scores},
            self.scores[-1].seed,
            details=self.details,
            curves=[Curve("Recall by k", "k, the hits that are looked at", lines)],
            notes=[f"left out {problem}" for problem in self.problems],
            settings=self.settings,
            predictions=self.predictions,
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "eval": "retrieval",
            "cases": self.cases,
            "settings": dict(self.settings),
            "rankings": {
                scores.ranking: {name: round(value, 4) for name, value in scores.means.items()}
                for scores in self.scores
            },
            "intervals": {
                scores.ranking: {
                    name: [round(found.low, 4), round(found.high, 4)] for name, found in scores.intervals.items()
                }
                for scores in self.scores
            },
            "by_kind": {
                kind: {
                    scores.ranking: {
                        metric: round(_mean([scores.by_case[case][metric] for case in ids]), 4) for metric in METRICS
                    }
                    for scores in self.scores
                }
                for kind, ids in self.kinds.items()
            },
            "abstention": None if self.abstention is None else vars(self.abstention),
            "left_out": [str(problem) for problem in self.problems],
            "by_case": {
                scores.ranking: {case: dict(values) for case, values in scores.by_case.items()}
                for scores in self.scores
            },
        }

    @property
    def table(self) -> Table:
        """The report for a terminal."""
        from rich.table import Table

        table = Table("", "cases", *METRICS, box=None, pad_edge=False, caption_justify="left", caption=self._caption)
        for scores in self.scores:
            table.add_row(
                scores.ranking, str(len(scores.by_case)), *(f"{value:.3f}" for value in scores.means.values())
            )
        last = self.scores[-1]
        ranges = [f"{found.low:.3f}-{found.high:.3f}" for found in last.intervals.values()]
        table.add_row("  95 % by question", "", *ranges)
        for kind, ids in sorted(self.kinds.items()) if len(self.kinds) > 1 else ():
            values = [_mean([last.by_case[case][metric] for case in ids]) for metric in METRICS]
            table.add_row(f"  {last.ranking}, {kind}", str(len(ids)), *(f"{value:.3f}" for value in values))
        return table

    @property
    def _caption(self) -> str:
        lines = [f"left out {problem}" for problem in self.problems]
        if self.abstention:
            auc = "" if self.abstention.auc is None else f", AUC {self.abstention.auc:.3f}"
            lines.append(
                f"answered {self.abstention.answered_rightly:.1%} of the answerable questions, "
                f"declined {self.abstention.declined_rightly:.1%} of the others{auc}"
            )
        return "\n".join(lines)

    def failures(self, limits: Sequence[str]) -> list[str]:
        """One line for each `METRIC=VALUE` that the last ranking misses. Raises ValueError for a limit that is not one."""
        values = dict(self.scores[-1].means)
        if self.abstention:
            values |= {"answered": self.abstention.answered_rightly, "declined": self.abstention.declined_rightly}
            if self.abstention.auc is not None:
                values["AUC"] = self.abstention.auc
        failures = []
        for limit in limits:
            metric, least = read_limit("--fail-under", limit, values)
            if values[metric] < least:
                worst = ", ".join(self._worst(metric)[:3])
                failures.append(f"{metric} is {values[metric]:.3f}, under {least:.3f} (worst: {worst})")
        return failures

    def _worst(self, metric: str) -> list[str]:
        by_case = self.scores[-1].by_case
        if metric in METRICS:
            return sorted(by_case, key=lambda case: by_case[case][metric])
        declined = list(self.abstention.wrongly_declined) if self.abstention and metric != "declined" else []
        answered = list(self.abstention.wrongly_answered) if self.abstention and metric != "answered" else []
        return declined + answered


def run_retrieval_eval(
    settings: Settings,
    *,
    cases: Path | None,
    guides: Path | None,
    rankings: Sequence[Ranking],
    limit: int,
    progress: Progress,
    seed: int = 0,
) -> RetrievalReport:
    """Measure retrieval on our cases, on a file of cases, or on a BEIR folder.

    `guides` indexes a folder alone in a temporary home; without it the shipped corpus is. The user's own index is left
    alone either way. Raises CaseError for cases that cannot be read.
    """
    path = cases or OUR_CASES
    with ExitStack() as stack:
        if is_beir(path):
            documents, found = read_beir(path)
            problems: list[Problem] = []
            index = index_documents(
                documents,
                embedder=settings.embedder,
                dimension=settings.embedding_dimension,
                chunk_words=settings.chunk_words,
                progress=progress,
            )
            retriever = make_retriever(index, settings, Reranker(settings.reranker) if settings.reranker else None)
        else:
            tutor, found, problems = stack.enter_context(tutor_of_cases(settings, path, guides, progress=progress))
            retriever = tutor.retriever
        return measure(
            retriever,
            found[:limit] if limit else found,
            rankings=rankings or RANKINGS,
            threshold=settings.answer_threshold,
            problems=problems,
            progress=progress,
            seed=seed,
            settings={
                "embedder": settings.embedder,
                "chunk_words": settings.chunk_words,
                "dense_weight": settings.dense_weight,
                "far_dense_weight": settings.far_dense_weight,
                "heading_weight": settings.heading_weight,
                "answer_threshold": settings.answer_threshold,
            },
        )


@contextmanager
def tutor_of_cases(
    settings: Settings, cases: Path | None, guides: Path | None, *, progress: Progress
) -> Iterator[tuple[Tutor, list[RetrievalCase], list[Problem]]]:
    """A tutor with an index in a temporary home, the cases whose sections it has, and what is wrong with the others.

    Raises CaseError for cases that cannot be read, and for a folder in BEIR's format, which has no guides to answer from.
    """
    path = cases or OUR_CASES
    if is_beir(path):
        raise CaseError(
            f"{str(path)!r} is in BEIR's format, which only tutor eval retrieval reads. Expected JSON lines."
        )
    found, problems = read_cases(path)
    with tutor_of_guides(settings, guides, progress=progress) as tutor:
        known, unknown_sections = _known_cases(found, tutor.index.chunks)
        yield tutor, known, [*problems, *unknown_sections]


@contextmanager
def tutor_of_guides(settings: Settings, guides: Path | None, *, progress: Progress) -> Iterator[Tutor]:
    """A tutor with an index in a temporary home, of a folder of guides alone or of those of the settings."""
    with tempfile.TemporaryDirectory(prefix="tutor-eval-") as home:
        changed = {"home": Path(home), "guides": (guides,) if guides else settings.guides}
        tutor = Tutor(settings.model_copy(update=changed))
        tutor.update_index(progress=progress)
        yield tutor


def measure(
    retriever: Retriever,
    cases: Sequence[RetrievalCase],
    *,
    rankings: Sequence[Ranking],
    threshold: float,
    problems: Sequence[Problem] = (),
    progress: Progress = lambda _stage, _done, _total: None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> RetrievalReport:
    """Search for each case with each ranking, score the answerable ones, and see which the tutor would answer."""
    by_ranking: dict[str, dict[str, Mapping[str, float]]] = {ranking: {} for ranking in rankings}
    confidence: dict[str, float] = {}
    rows: list[Mapping[str, Any]] = []
    details: dict[str, CaseDetail] = {}
    for done, case in enumerate(cases):
        progress("searching", done, len(cases))
        question = standalone_question(case.question, case.history)
        for ranking in rankings:
            hits = retriever.retrieve_in_context(question, case.before, count=DEPTH * 3, ranking=ranking)
            if case.answerable:
                by_ranking[ranking][case.id] = score_case(case, hits)
                details[case.id] = CaseDetail(
                    " / ".join((*case.history, case.question)),
                    excerpts(hits),
                    "" if question == case.question else f"searched for: {question}",
                    case.expected,
                )
            if ranking == rankings[-1]:
                best = retriever.retrieve_in_context(question, case.before, count=DEPTH)
                confidence[case.id] = retriever.confidence(question, best)
                rows.append(_prediction(case, question, hits[:DEPTH], confidence[case.id] >= threshold))
    kinds: dict[str, list[str]] = {}
    for case in cases:
        if case.answerable:
            kinds.setdefault(case.kind, []).append(case.id)
    return RetrievalReport(
        scores=[RankingScores(ranking, by_case, seed) for ranking, by_case in by_ranking.items()],
        kinds=kinds,
        abstention=_abstention(cases, confidence, threshold),
        cases=len(cases),
        problems=problems,
        settings=settings or {},
        details=details,
        predictions=rows,
    )


def score_case(case: RetrievalCase, hits: Sequence[Hit]) -> dict[str, float]:
    """The metrics of one answerable case over its hits, best first.

    A section counts once, at its first passage; further passages of it are taken out of the ranking. Through ir_measures,
    with gain 2^grade - 1 in nDCG.
    """
    import ir_measures
    from ir_measures import RR, Qrel, R, ScoredDoc, Success, nDCG

    judged = {f"{item.document}#{item.heading}": item.grade for item in case.relevant}
    gains = {grade: 2**grade - 1 for grade in range(max(judged.values()) + 1)}
    ranked: list[str] = []
    for hit in hits:
        matching = [item for item in case.relevant if matches(item.document, item.heading, hit.chunk)]
        if matching:
            best = max(matching, key=lambda item: item.grade)
            name = f"{best.document}#{best.heading}"
        else:
            name = f"{hit.chunk.document_id}/{hit.chunk.path}"
        if name not in ranked:
            ranked.append(name)
    needed = min(ANSWERS, max(judged.values()))
    measures = {
        **{f"recall@{k}": R(rel=needed) @ k for k in (1, 5, 10)},
        **{f"hit@{k}": Success(rel=needed) @ k for k in (1, 5)},
        "MRR@10": RR(rel=needed) @ 10,
        "nDCG@10": nDCG(gains=gains) @ 10,
    }
    qrels = [Qrel(case.id, name, grade) for name, grade in judged.items()]
    run = [ScoredDoc(case.id, name, float(-place)) for place, name in enumerate(ranked[:DEPTH])]
    if not run:
        return dict.fromkeys(METRICS, 0.0)
    values = {
        str(metric.measure): float(metric.value) for metric in ir_measures.iter_calc(measures.values(), qrels, run)
    }
    return {name: values[str(measure)] for name, measure in measures.items()}


def excerpts(hits: Sequence[Hit]) -> tuple[str, ...]:
    """The first hits as a reader of the report sees them."""
    return tuple(excerpt(f"{hit.chunk.title} > {hit.chunk.path}", hit.chunk.text) for hit in hits[:SHOWN_HITS])


def matches(document: str, heading: str, chunk: Chunk) -> bool:
    """Whether a passage belongs to a section, named by a guide (id or file name) and any heading on the passage's path."""
    if document not in (chunk.document_id, chunk.document_id.rsplit("/", 1)[-1]):
        return False
    if not heading:
        return True
    wanted = anchor(strip_ordinal(heading))
    return any(anchor(name) == wanted for name in (*chunk.heading_path, chunk.title))


def _known_cases(cases: Sequence[RetrievalCase], chunks: Sequence[Chunk]) -> tuple[list[RetrievalCase], list[Problem]]:
    """The cases whose sections exist; the others are reported, for a wrong name would count against the search."""
    known: list[RetrievalCase] = []
    problems: list[Problem] = []
    for case in cases:
        missing = [
            item for item in case.relevant if not any(matches(item.document, item.heading, chunk) for chunk in chunks)
        ]
        if missing:
            names = ", ".join(f"{item.document} > {item.heading}" for item in missing)
            reason = f"{case.id} names no section of the index: {names}. Name a heading of the guide."
            problems.append(Problem(case.file or case.id, case.line, reason))
        found = tuple(item for item in case.relevant if item not in missing)
        if found or not case.answerable:
            known.append(replace(case, relevant=found))
    return known, problems


def _prediction(case: RetrievalCase, question: str, hits: Sequence[Hit], would_answer: bool) -> Mapping[str, Any]:
    return {
        "id": case.id,
        "standalone_question": question,
        "answered": would_answer,
        "hits": [
            {
                "document": hit.chunk.document_id,
                "heading": hit.chunk.path,
                "start_line": hit.chunk.start_line,
                "end_line": hit.chunk.end_line,
                "score": hit.score,
            }
            for hit in hits
        ],
    }


def _abstention(cases: Sequence[RetrievalCase], confidence: Mapping[str, float], threshold: float) -> Abstention | None:
    can = {case.id: confidence[case.id] for case in cases if case.answerable}
    cannot = {case.id: confidence[case.id] for case in cases if not case.answerable}
    if not cannot:
        return None
    pairs = [(a > b) + 0.5 * (a == b) for a in can.values() for b in cannot.values()]
    return Abstention(
        answered_rightly=_mean([float(value >= threshold) for value in can.values()]),
        declined_rightly=_mean([float(value < threshold) for value in cannot.values()]),
        auc=_mean(pairs) if can else None,
        wrongly_declined=[case for case in sorted(can, key=can.__getitem__) if can[case] < threshold],
        wrongly_answered=[case for case in sorted(cannot, key=lambda case: -cannot[case]) if cannot[case] >= threshold],
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0

"""Whether the citations of an answer bear it out, whether all are needed, and whether they point at the sections that answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from corpus.documents import Problem
from evals.case_cache import CaseCache
from evals.cases_format import CaseError, RetrievalCase
from evals.report import CaseDetail, EvalReport, excerpt
from evals.retrieval import matches
from index.build import Progress
from tutor.answers import Answer
from tutor.follow_ups import standalone_question
from tutor.grounding import SUPPORTED, Idf, is_claim, support
from tutor.tutor import Tutor

Entails = Callable[[Sequence[str], str], bool]
"""Whether passages, taken together, bear a sentence out."""


def citations_report(
    tutor: Tutor,
    cases: Sequence[RetrievalCase],
    *,
    problems: Sequence[Problem],
    seed: int,
    progress: Progress,
    cache: CaseCache,
) -> EvalReport:
    """Ask every answerable case, and judge the answers' citations with the tutor's own grounding check.

    Questions that the tutor declines have no citations and are left out; their number is a note. Raises CaseError where none
    is answered, and where the language model that the settings name cannot be had.
    """
    if tutor.model_problem:
        raise CaseError(tutor.model_problem)
    asked = [case for case in cases if case.answerable]
    texts = sha256("\0".join(chunk.text for chunk in tutor.index.chunks).encode()).hexdigest()
    settings = tutor.settings.model_dump(mode="json", exclude={"home", "learner", "host", "port", "api_key", "guides"})
    rows, details, predictions = {}, {}, []
    for done, case in enumerate(asked):
        progress("asking", done, len(asked))

        def answered(case: RetrievalCase = case) -> Mapping[str, Any]:
            return _answered(tutor, case)

        found = cache.judged(["citations", texts, settings, asdict(case)], answered)
        predictions.append({"id": case.id, **found})
        if not found["passages"]:
            continue
        rows[case.id] = found["scores"]
        details[case.id] = CaseDetail(case.question, tuple(found["passages"]), found["answer"], case.expected)
    if not rows:
        raise CaseError("The tutor answered no case. Expected answerable cases on guides that are in the index.")
    quoted = sum(not row["is_final"] for row in predictions)
    return EvalReport(
        "citations",
        {tutor.model_name: rows},
        seed,
        details=details,
        notes=[
            *(f"left out {problem}" for problem in problems),
            f"{len(asked) - len(rows)} of {len(asked)} answerable questions were declined and are not counted",
            *([f"{quoted} answers are the guides' own words, not the model's"] if quoted else []),
        ],
        settings={"model": tutor.model_name, "answer_threshold": tutor.settings.answer_threshold},
        predictions=predictions,
    )


def _answered(tutor: Tutor, case: RetrievalCase) -> Mapping[str, Any]:
    answer = tutor.ask(standalone_question(case.question, case.history))
    # Where the model failed, or said nothing that the guides bear out, the answer is the guides' own words.
    is_final = answer.model == tutor.model_name
    if not answer.citations:
        return {"answer": answer.text, "passages": [], "scores": {}, "is_final": is_final}
    return {
        "answer": answer.text,
        "is_final": is_final,
        "passages": [
            excerpt(f"[{item.number}] {item.chunk.title} > {item.chunk.path}", item.chunk.text)
            for item in answer.citations
        ],
        "scores": score_citations(answer, case, judge(tutor.index.keywords.idf)),
    }


def judge(idf: Idf) -> Entails:
    """The tutor's grounding check as a judge; passages are joined, as ALCE joins them."""
    return lambda passages, sentence: support(sentence, ["\n\n".join(passages)], idf) >= SUPPORTED


def score_citations(answer: Answer, case: RetrievalCase, entails: Entails) -> dict[str, float]:
    """Citation recall and precision (ALCE, Gao et al. 2023), and the share of citations at a judged section.

    Recall: of the sentences that claim something, those whose citations together bear them out. Precision: of the citations
    of those sentences, those that count; one does not where its sentence is not borne out, or where it does not bear it out
    alone and the others do without it.
    """
    passages = {item.number: item.chunk.text for item in answer.citations}
    supported, counted = [], []
    for sentence in answer.sentences:
        if not is_claim(sentence.text):
            continue
        cited = [number for number in sentence.citations if number in passages]
        is_supported = bool(cited) and entails([passages[number] for number in cited], sentence.text)
        supported.append(is_supported)
        counted += [is_supported and _is_needed(number, cited, passages, sentence.text, entails) for number in cited]
    judged = [
        any(matches(item.document, item.heading, citation.chunk) for item in case.relevant)
        for citation in answer.citations
    ]
    return {
        "citation_recall": _share(supported),
        "citation_precision": _share(counted),
        "judged_section": _share(judged),
    }


def _is_needed(number: int, cited: Sequence[int], passages: Mapping[int, str], sentence: str, entails: Entails) -> bool:
    others = [passages[other] for other in cited if other != number]
    return not others or entails([passages[number]], sentence) or not entails(others, sentence)


def _share(claims: Sequence[bool]) -> float:
    return sum(claims) / len(claims) if claims else 0.0

"""How well the grounding check tells what passages bear out: answers as JSON lines in, verdicts and agreement with people out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from corpus.chunks import split_document
from corpus.documents import Problem, read_guides
from evals.agreement import confusion, flag_figures, reliability
from evals.answer_cases import LABELS, OUR_LABELLED_ANSWERS, labelled_answer, sections_of
from evals.case_cache import CaseCache
from evals.cases_format import read_lines
from evals.report import CaseDetail, CaseFigures, Confusion, Curve, EvalReport, excerpt
from evals.statistics import Interval, bootstrap_figures, bootstrap_means
from index.build import Progress
from tutor.grounding import SUPPORTED, AnswerCheck, SentenceCheck, Verdict, check_answer, collection_idf
from tutor.settings import CORPUS_FOLDER

Span = tuple[int, int]
REPEATED = 10
"""Cases that are judged a second time, to see whether the same comes out."""
_SHOWN_PASSAGES = 3


@dataclass(frozen=True)
class GroundingCase:
    """An answer with its passages, and what people said of it where that is known."""

    id: str
    question: str
    passages: tuple[str, ...]
    answer: str
    sentences: tuple[Span, ...] | None = None
    unsupported_sentences: tuple[bool | None, ...] = ()
    """For each sentence; None where nobody said, or where there is nothing to check."""
    spans: tuple[Span, ...] = ()
    """What people marked as borne out by nothing."""
    unsupported: bool | None = None
    """The whole answer: whether any of it is."""
    verdicts: tuple[Verdict, ...] = ()
    """For each sentence, where people gave more than yes or no."""


@dataclass(frozen=True)
class CheckedCases:
    """Cases and what a check says of each, in one order."""

    cases: Sequence[GroundingCase]
    checks: Sequence[AnswerCheck]

    def __iter__(self) -> Iterator[tuple[GroundingCase, AnswerCheck]]:
        return zip(self.cases, self.checks, strict=True)

    @property
    def answer_rows(self) -> list[tuple[str, bool, float]]:
        """Case, whether people found something unsupported, and the chance that all is borne out."""
        return [(case.id, case.unsupported, check.probability) for case, check in self if case.unsupported is not None]

    @property
    def sentence_rows(self) -> list[tuple[str, bool, float]]:
        """Case, whether people found it unsupported, and the chance that it is borne out, of each labelled sentence."""
        return [
            (case.id, label, item.probability)
            for case, check in self
            if case.unsupported_sentences
            for label, item in zip(case.unsupported_sentences, check.sentences, strict=True)
            if label is not None
        ]

    @property
    def groups(self) -> dict[str, CaseFigures]:
        """Faithfulness of each answer that claims anything, and whether people's labels were met."""
        faithful = {
            case.id: {"faithfulness": check.faithfulness} for case, check in self if check.faithfulness is not None
        }
        right = _right(self.sentence_rows)
        groups: dict[str, CaseFigures] = {
            "answers": faithful,
            "labelled answers": {case: {"answer_right": share} for case, share in _right(self.answer_rows).items()},
            "labelled sentences": {case: {"sentences_right": share} for case, share in right.items()},
        }
        return {name: rows for name, rows in groups.items() if rows}

    def figures(self, seed: int) -> dict[str, Interval]:
        """What is no mean over answers; agreement is of *unsupported* as what is to be found."""
        rates = [
            {"contradiction_rate": check.contradiction_rate}
            for check in self.checks
            if check.contradiction_rate is not None
        ]
        figures = bootstrap_means(rates, seed=seed)
        for name, rows in (("answer", self.answer_rows), ("sentence", self.sentence_rows)):
            labels = np.array([label for _, label, _ in rows], dtype=np.bool_)
            chances = np.array([chance for _, _, chance in rows], dtype=np.float64)
            found = bootstrap_figures(
                [case for case, _, _ in rows],
                lambda places, labels=labels, chances=chances: flag_figures(  # type: ignore[misc]
                    labels[places], 1 - chances[places], chances[places] < SUPPORTED
                ),
                seed=seed,
            )
            figures |= {f"{name}_{metric}": figure for metric, figure in found.items()}
        if any(case.spans for case in self.cases):
            counts = np.array([_span_counts(case, check) for case, check in self], dtype=np.float64)
            figures |= bootstrap_figures(
                [case.id for case in self.cases],
                lambda places: {"span_f1": _span_f1(*counts[places].sum(axis=0))},
                seed=seed,
            )
        return figures

    @property
    def curves(self) -> list[Curve]:
        """Whether the chances can be believed, where people said what is borne out."""
        rows = self.sentence_rows or self.answer_rows
        if not rows:
            return []
        return [
            reliability(
                "Reliability of the grounding scores",
                "chance that the passages bear it out",
                np.array([chance for _, _, chance in rows]),
                np.array([float(not label) for _, label, _ in rows]),
            )
        ]

    @property
    def confusions(self) -> list[Confusion]:
        """People's labels and the check's verdicts, where people gave more than yes or no."""
        pairs = [
            (label, item.verdict)
            for case, check in self
            if case.verdicts
            for label, item in zip(case.verdicts, check.sentences, strict=True)
        ]
        if not pairs:
            return []
        labels, verdicts = zip(*pairs, strict=True)
        return [confusion("people's label \\ verdict", labels, verdicts, list(LABELS.values()))]

    @property
    def predictions(self) -> list[Mapping[str, Any]]:
        """What is said of each case, for a file of predictions."""
        return [
            {
                "id": case.id,
                "grounded_probability": check.probability,
                "sentence_probs": [item.probability for item in check.sentences],
                "spans": [{"start": start, "end": end} for item in check.sentences for start, end in item.missing],
            }
            for case, check in self
        ]

    @property
    def details(self) -> dict[str, CaseDetail]:
        """Each case for a reader."""
        return {
            case.id: CaseDetail(
                case.question,
                tuple(excerpt("", text) for text in case.passages[:_SHOWN_PASSAGES]),
                case.answer,
                "\n".join(_reasons(case, check)) or "every sentence is supported, as people say",
            )
            for case, check in self
        }

    @property
    def verdict_counts(self) -> str:
        """How many sentences got each verdict, for a reader."""
        counts = Counter(item.verdict for check in self.checks for item in check.sentences)
        return ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) or "none"


def grounding_report(
    cases: Sequence[GroundingCase], problems: Sequence[Problem], *, cache: CaseCache, seed: int, progress: Progress
) -> EvalReport:
    """Check each answer against its passages; words are as rare as they are among the passages of all cases.

    A sample is checked twice: `repeatable` is the share of it that came out the same to the byte.
    """
    checked, repeated = check_cases(cases, cache=cache, progress=progress)
    return EvalReport(
        "grounding",
        checked.groups,
        seed,
        figures=checked.figures(seed) | bootstrap_means(repeated, seed=seed),
        details=checked.details,
        curves=checked.curves,
        confusions=checked.confusions,
        notes=[
            *(f"left out {problem}" for problem in problems),
            f"{len(cases)} answers checked, {len(problems)} left out; sentences: {checked.verdict_counts}",
        ],
        predictions=checked.predictions,
    )


def check_cases(
    cases: Sequence[GroundingCase], *, cache: CaseCache, progress: Progress
) -> tuple[CheckedCases, list[dict[str, float]]]:
    """The offline check of each case, and of a sample whether it comes out the same again."""
    passages = [passage for case in cases for passage in case.passages]
    idf = collection_idf(passages)
    collection = sha256("\0".join(passages).encode()).hexdigest()
    again = set(range(0, len(cases), -(-len(cases) // REPEATED) or 1))
    checks, repeated = [], []
    for done, case in enumerate(cases):
        progress("checking", done, len(cases))

        def judge(case: GroundingCase = case) -> Mapping[str, Any]:
            return asdict(
                check_answer(case.answer, case.passages, idf, question=case.question, sentences=case.sentences)
            )

        content = ["offline", collection, case.question, case.passages, case.answer, case.sentences]
        found = cache.judged(content, judge)
        checks.append(_as_check(found))
        if done in again:
            repeated.append({"repeatable": float(_as_check(judge()) == checks[-1])})
    return CheckedCases(cases, checks), repeated


def read_grounding_cases(
    path: Path | None, guides: Sequence[Path], chunk_words: int
) -> tuple[list[GroundingCase], list[Problem]]:
    """Cases of a file or a folder of JSON lines, and what is wrong with the lines that hold none; ours, on our guides, for None.

    A line has `id`, `answer`, and `passages`, or `sections` (`topic#anchor` of the guides); it may have `question`, `spans`
    ({start, end}), `unsupported`, and `sentences` ({start, end} with `unsupported`, or with a `label` of LABELS). Raises
    CaseError where no line holds a case.
    """

    @cache
    def sections() -> Mapping[str, Sequence[str]]:
        documents, _ = read_guides([CORPUS_FOLDER / "guides"] if path is None else list(guides))
        return sections_of([chunk for item in documents for chunk in split_document(item, max_words=chunk_words)])

    return read_lines(
        path or OUR_LABELLED_ANSWERS,
        lambda row: _case(row, sections),
        "id, answer and passages (or sections); question, sentences, spans, unsupported where known",
    )


def _case(row: Mapping[str, Any], sections: Callable[[], Mapping[str, Sequence[str]]]) -> GroundingCase:
    if "sections" in row:
        labelled = labelled_answer(row, sections())
        verdicts = tuple(sentence.verdict for sentence in labelled.sentences)
        return _labelled(
            GroundingCase(
                labelled.id,
                labelled.question,
                labelled.passages,
                labelled.answer,
                tuple((sentence.start, sentence.end) for sentence in labelled.sentences),
            ),
            verdicts,
        )
    answer, passages = row["answer"], row["passages"]
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError("the answer is empty")
    if not isinstance(passages, list) or not any(isinstance(text, str) and text.strip() for text in passages):
        raise ValueError("there are no passages")
    sentences = row.get("sentences") or ()
    unsupported = row.get("unsupported")
    case = GroundingCase(
        str(row["id"]),
        str(row.get("question") or ""),
        tuple(str(text) for text in passages),
        answer,
        tuple(_span(item, answer) for item in sentences) or None,
        tuple(None if item.get("unsupported") is None else bool(item["unsupported"]) for item in sentences),
        tuple(_span(item, answer) for item in row.get("spans") or ()),
        None if unsupported is None else bool(unsupported),
    )
    labels = [item["label"] for item in sentences if "label" in item]
    if unknown := [label for label in labels if label not in LABELS]:
        raise ValueError(f"{unknown[0]!r} is no label. Known: {', '.join(LABELS)}")
    return _labelled(case, tuple(LABELS[label] for label in labels)) if labels else case


def _labelled(case: GroundingCase, verdicts: tuple[Verdict, ...]) -> GroundingCase:
    if case.sentences is None or len(verdicts) != len(case.sentences):
        raise ValueError("some sentences have a label and some have none")
    flags = tuple(None if verdict == "not checkable" else verdict != "supported" for verdict in verdicts)
    return replace(case, unsupported_sentences=flags, unsupported=any(flags), verdicts=verdicts)


def _span(item: Mapping[str, Any], answer: str) -> Span:
    start, end = int(item["start"]), int(item["end"])
    if not 0 <= start <= end <= len(answer):
        raise ValueError(f"characters {start} to {end} are not in the answer")
    return start, end


def _as_check(found: Mapping[str, Any]) -> AnswerCheck:
    return AnswerCheck(
        tuple(
            SentenceCheck(**{**row, "missing": tuple((start, end) for start, end in row["missing"])})
            for row in found["sentences"]
        )
    )


def _right(rows: Sequence[tuple[str, bool, float]]) -> dict[str, float]:
    """Of each case, the share of labels that the threshold meets."""
    met: dict[str, list[bool]] = {}
    for case, label, chance in rows:
        met.setdefault(case, []).append((chance < SUPPORTED) == label)
    return {case: sum(found) / len(found) for case, found in met.items()}


def _reasons(case: GroundingCase, check: AnswerCheck) -> Iterator[str]:
    said: Sequence[str | None] = case.verdicts or [
        None if flag is None else "unsupported" if flag else "supported" for flag in case.unsupported_sentences
    ]
    for place, item in enumerate(check.sentences):
        label = said[place] if place < len(said) else None
        is_met = label is not None and (label == "supported") == (item.verdict == "supported")
        if label == item.verdict or is_met or (label is None and item.verdict in {"supported", "not checkable"}):
            continue
        people = f"; people: {label}" if label else ""
        nearest = f" Nearest: “{item.evidence}”" if item.evidence else ""
        yield f"“{case.answer[item.start : item.end]}” {item.verdict} ({item.probability:.2f}){people}.{nearest}"


def _span_counts(case: GroundingCase, check: AnswerCheck) -> tuple[int, int, int]:
    """Characters that people and the check marked both, that the check marked, and that people marked."""
    wanted = {place for start, end in case.spans for place in range(start, end)}
    found = {place for item in check.sentences for start, end in item.missing for place in range(start, end)}
    return len(wanted & found), len(found), len(wanted)


def _span_f1(both: float, marked: float, gold: float) -> float:
    return float(2 * both / (marked + gold)) if marked + gold else 0.0

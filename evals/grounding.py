"""How well the grounding check tells what passages bear out: labelled answers as JSON lines in, verdicts and figures out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.documents import Problem
from tutor.grounding import SUPPORTED, AnswerCheck, check_answer, collection_idf

if TYPE_CHECKING:
    from rich.table import Table

Progress = Callable[[str, int, int], None]
Span = tuple[int, int]


@dataclass(frozen=True)
class GroundingCase:
    """An answer with its passages, and what people said of it where that is known."""

    id: str
    question: str
    passages: tuple[str, ...]
    answer: str
    sentences: tuple[Span, ...] | None = None
    unsupported_sentences: tuple[bool, ...] = ()
    spans: tuple[Span, ...] = ()
    unsupported: bool | None = None


@dataclass(frozen=True)
class GroundingReport:
    """What one run of the eval found."""

    cases: tuple[GroundingCase, ...]
    checks: tuple[AnswerCheck, ...]
    problems: tuple[Problem, ...]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many sentences got each verdict."""
        return dict(sorted(Counter(item.verdict for check in self.checks for item in check.sentences).items()))

    @property
    def figures(self) -> dict[str, float]:
        """Shares of the claims, and agreement with the labels where there are any; all between 0 and 1."""
        claims = [item for check in self.checks for item in check.checkable]
        figures = {}
        if claims:
            figures["faithfulness"] = sum(item.verdict == "supported" for item in claims) / len(claims)
            figures["contradiction_rate"] = sum(item.verdict == "contradicted" for item in claims) / len(claims)
        answers = [
            (case.unsupported, check.probability)
            for case, check in zip(self.cases, self.checks, strict=True)
            if case.unsupported is not None
        ]
        sentences = [
            (label, item.probability)
            for case, check in zip(self.cases, self.checks, strict=True)
            if case.unsupported_sentences
            for label, item in zip(case.unsupported_sentences, check.sentences, strict=True)
        ]
        figures |= {f"answer_{name}": value for name, value in _agreement(answers).items()}
        figures |= {f"sentence_{name}": value for name, value in _agreement(sentences).items()}
        if any(case.spans for case in self.cases):
            figures["span_f1"] = self._span_f1
        return figures

    @property
    def _span_f1(self) -> float:
        """Of the characters that people marked and those that the check marks, over all answers."""
        both = marked = gold = 0
        for case, check in zip(self.cases, self.checks, strict=True):
            wanted = {place for start, end in case.spans for place in range(start, end)}
            found = {place for item in check.sentences for start, end in item.missing for place in range(start, end)}
            both, marked, gold = both + len(wanted & found), marked + len(found), gold + len(wanted)
        return 2 * both / (marked + gold) if marked + gold else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "eval": "grounding",
            "cases": len(self.cases),
            "verdicts": self.verdicts,
            "figures": {name: round(value, 4) for name, value in self.figures.items()},
            "left_out": [str(problem) for problem in self.problems],
        }

    @property
    def table(self) -> Table:
        """The report for a terminal."""
        from rich.table import Table

        lines = [f"left out {problem}" for problem in self.problems]
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.items())
        lines.append(
            f"{len(self.cases)} answers checked, {len(self.problems)} left out; sentences: {verdicts or 'none'}"
        )
        table = Table("", "value", box=None, pad_edge=False, caption_justify="left", caption="\n".join(lines))
        for name, value in self.figures.items():
            table.add_row(name, f"{value:.3f}")
        return table

    def failures(self, limits: Sequence[str]) -> list[str]:
        """One line for each `METRIC=VALUE` that is missed. Raises ValueError for a limit that is not one."""
        figures = self.figures
        failures = []
        for limit in limits:
            metric, _, wanted = limit.partition("=")
            try:
                least = float(wanted)
            except ValueError:
                least = math.nan
            if metric not in figures or math.isnan(least):
                raise ValueError(f"--fail-under {limit!r} is not METRIC=VALUE. Metrics: {', '.join(figures)}.")
            if figures[metric] < least:
                failures.append(f"{metric} is {figures[metric]:.3f}, under {least:.3f}")
        return failures


def run_grounding_eval(
    file: Path, *, limit: int, progress: Progress, predictions: Path | None = None
) -> GroundingReport:
    """Check each answer of a file against its passages; words are as rare as they are among the file's passages.

    Writes `{id, grounded_probability, sentence_probs, spans}` a line to `predictions`. Raises ValueError for a file without a
    case that can be checked.
    """
    cases, problems = read_grounding_cases(file)
    cases = cases[: limit or None]
    idf = collection_idf([passage for case in cases for passage in case.passages])
    checks = []
    for done, case in enumerate(cases):
        progress("checking", done, len(cases))
        checks.append(check_answer(case.answer, case.passages, idf, question=case.question, sentences=case.sentences))
    if predictions:
        rows = [_prediction(case, check) for case, check in zip(cases, checks, strict=True)]
        predictions.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return GroundingReport(tuple(cases), tuple(checks), tuple(problems))


def read_grounding_cases(file: Path) -> tuple[list[GroundingCase], list[Problem]]:
    """Cases of a JSON-lines file, and what is wrong with the lines that hold none.

    A line has `id`, `passages` and `answer`, and may have `question`, `sentences` ({start, end, unsupported}), `spans`
    ({start, end}) and `unsupported`. Raises ValueError where no line holds a case.
    """
    cases: list[GroundingCase] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            case = _case(json.loads(line.decode("utf-8-sig")))
            if case.id in seen:
                raise ValueError(f"id {case.id!r} comes twice")
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(file.name, number, f"{reason}. Expected an object with id, passages and answer."))
            continue
        seen.add(case.id)
        cases.append(case)
    if not cases:
        first = f" First: {problems[0]}" if problems else ""
        raise ValueError(f"{file.name} has no case that can be checked.{first}")
    return cases, problems


def _case(row: Any) -> GroundingCase:  # noqa: ANN401 - whatever the line holds
    answer, passages = row["answer"], row["passages"]
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError("the answer is empty")
    if not isinstance(passages, list) or not any(isinstance(text, str) and text.strip() for text in passages):
        raise ValueError("there are no passages")
    sentences = [_span(item, answer) for item in row.get("sentences") or ()]
    labels = [item.get("unsupported") for item in row.get("sentences") or ()]
    unsupported = row.get("unsupported")
    return GroundingCase(
        str(row["id"]),
        str(row.get("question") or ""),
        tuple(str(text) for text in passages),
        answer,
        tuple(sentences) or None,
        tuple(map(bool, labels)) if None not in labels else (),
        tuple(_span(item, answer) for item in row.get("spans") or ()),
        None if unsupported is None else bool(unsupported),
    )


def _span(item: dict[str, Any], answer: str) -> Span:
    start, end = int(item["start"]), int(item["end"])
    if not 0 <= start <= end <= len(answer):
        raise ValueError(f"characters {start} to {end} are not in the answer")
    return start, end


def _prediction(case: GroundingCase, check: AnswerCheck) -> str:
    spans = [{"start": start, "end": end} for item in check.sentences for start, end in item.missing]
    return json.dumps(
        {
            "id": case.id,
            "grounded_probability": check.probability,
            "sentence_probs": [item.probability for item in check.sentences],
            "spans": spans,
        }
    )


def _agreement(pairs: Sequence[tuple[bool, float]]) -> dict[str, float]:
    """How well what is unsupported is found; empty where all are of one kind."""
    if len({label for label, _ in pairs}) < 2:
        return {}
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

    labels = [label for label, _ in pairs]
    flagged = [chance < SUPPORTED for _, chance in pairs]
    return {
        "auc": float(roc_auc_score(labels, [1 - chance for _, chance in pairs])),
        "f1": float(f1_score(labels, flagged)),
        "macro_f1": float(f1_score(labels, flagged, average="macro")),
        "balanced_accuracy": float(balanced_accuracy_score(labels, flagged)),
    }

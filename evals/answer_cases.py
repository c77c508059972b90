"""Our own answers with people's labels: sentences against guide sections, and learners' answers against key points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

from corpus.chunks import Chunk, anchor
from corpus.documents import Problem
from corpus.questions import Question
from evals.cases_format import CaseError, read_rows
from tutor.grading import CREDIT, VerdictName
from tutor.grounding import Verdict

_CASES = Path(__file__).parent / "cases"
OUR_LABELLED_ANSWERS = _CASES / "grounding.jsonl"
OUR_JUDGED_ANSWERS = _CASES / "grading.jsonl"
LABELS: Mapping[str, Verdict] = {
    "supported": "supported",
    "partial": "partially supported",
    "unsupported": "unsupported",
    "contradicted": "contradicted",
    "not_checkable": "not checkable",
}
"""The labels of a file of cases, and the verdict of the grounding check that each one wants."""
JUDGEMENTS: tuple[VerdictName, ...] = tuple(name for name in get_args(VerdictName) if name != "unjudged")


@dataclass(frozen=True)
class LabelledSentence:
    """A sentence of an answer, and what its passages say of it."""

    start: int
    """In characters of the answer."""
    end: int
    """Exclusive."""
    verdict: Verdict


@dataclass(frozen=True)
class LabelledAnswer:
    """An answer whose sentences were labelled against the guide sections that it rests on."""

    id: str
    question: str
    sections: tuple[str, ...]
    """As `topic#anchor`."""
    passages: tuple[str, ...]
    """The text of these sections in the guides as they are now."""
    answer: str
    sentences: tuple[LabelledSentence, ...]


@dataclass(frozen=True)
class JudgedAnswer:
    """A learner's answer to a question of the bank, with a verdict for each of its key points, in their order."""

    id: str
    question: Question
    answer: str
    verdicts: tuple[VerdictName, ...]

    @property
    def score(self) -> float:
        """The share of the key points' weight that the verdicts earn, 0 to 1."""
        points = self.question.key_points
        earned = sum(point.weight * CREDIT[name] for point, name in zip(points, self.verdicts, strict=True))
        return earned / sum(point.weight for point in points)


class _Case(Protocol):
    @property
    def id(self) -> str: ...


_AnyCase = TypeVar("_AnyCase", bound=_Case)


def read_labelled_answers(file: Path, chunks: Sequence[Chunk]) -> tuple[list[LabelledAnswer], list[Problem]]:
    """Answers with labelled sentences, their sections looked up in the chunks. A line with a mistake is reported and left out.

    Raises CaseError where no line can be used.
    """
    passages: dict[str, list[str]] = {}
    for chunk in chunks:
        guide = chunk.document_id.rsplit(".", 1)[0]
        for heading in chunk.heading_path:
            passages.setdefault(f"{guide}#{anchor(heading)}", []).append(chunk.text)

    def case(row: dict[str, Any]) -> LabelledAnswer:
        sections, answer = _list(row, "sections"), _text(row, "answer")
        return LabelledAnswer(
            id=_text(row, "id"),
            question=_text(row, "question"),
            sections=tuple(sections),
            passages=tuple(text for name in sections for text in _known(name, passages, "section")),
            answer=answer,
            sentences=_sentences(_list(row, "sentences"), answer),
        )

    return _read(file, case, "id, question, sections, answer, sentences")


def read_judged_answers(file: Path, questions: Sequence[Question]) -> tuple[list[JudgedAnswer], list[Problem]]:
    """Learners' answers with their verdicts, the questions looked up by id. A line with a mistake is reported and left out.

    Raises CaseError where no line can be used.
    """
    by_id = {question.id: question for question in questions}

    def case(row: dict[str, Any]) -> JudgedAnswer:
        question = _known(_text(row, "question"), by_id, "question")
        verdicts = _list(row, "verdicts")
        for name in verdicts:
            if name not in JUDGEMENTS:
                raise ValueError(f"{name!r} is no verdict. Known: {', '.join(JUDGEMENTS)}")
        if len(verdicts) != len(question.key_points):
            raise ValueError(
                f"{len(verdicts)} verdicts for the {len(question.key_points)} key points of {question.id!r}"
            )
        return JudgedAnswer(_text(row, "id"), question, _text(row, "answer"), tuple(verdicts))

    return _read(file, case, "id, question, answer, verdicts")


def _read(file: Path, case: Callable[[dict[str, Any]], _AnyCase], fields: str) -> tuple[list[_AnyCase], list[Problem]]:
    if not file.is_file():
        raise CaseError(f"No cases at {str(file)!r}. Expected a file of JSON lines.")
    cases: dict[str, _AnyCase] = {}
    problems: list[Problem] = []
    for number, row, mistake in read_rows(file):
        try:
            if mistake:
                raise ValueError(mistake)
            if not isinstance(row, dict):
                raise TypeError(f"expected a JSON object, got {type(row).__name__}")
            found = case(row)
            if cases.setdefault(found.id, found) is not found:
                raise ValueError(f"the id {found.id!r} is taken by another case")
        except KeyError as error:
            problems.append(Problem(file.name, number, f"the field {error} is missing. Expected {fields}."))
        except (TypeError, ValueError) as error:
            problems.append(Problem(file.name, number, f"{error}. Expected {fields}."))
    if not cases:
        reasons = "; ".join(map(str, problems[:3])) or "the file is empty"
        raise CaseError(f"No usable case in {str(file)!r}: {reasons}")
    return list(cases.values()), problems


def _text(row: Mapping[str, Any], field: str) -> str:
    value = row[field]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field} is no text, or empty")
    return value


def _list(row: Mapping[str, Any], field: str) -> list[Any]:
    value = row[field]
    if not isinstance(value, list) or not value:
        raise ValueError(f"{field} is no list, or empty")
    return value


_Found = TypeVar("_Found")


def _known(name: object, known: Mapping[str, _Found], what: str) -> _Found:
    if not isinstance(name, str) or name not in known:
        near = get_close_matches(str(name), known, n=3)
        raise ValueError(f"there is no {what} {name!r}" + (f"; near: {', '.join(near)}" if near else ""))
    return known[name]


def _sentences(rows: Sequence[Mapping[str, Any]], answer: str) -> tuple[LabelledSentence, ...]:
    """The labelled sentences; nothing of the answer but blanks may lie between them."""
    sentences = []
    reached = 0
    for row in rows:
        start, end, label = row["start"], row["end"], row["label"]
        if not isinstance(start, int) or not isinstance(end, int) or not reached <= start < end <= len(answer):
            raise ValueError(f"characters {start} to {end} are no sentence after the first {reached} of {len(answer)}")
        if label not in LABELS:
            raise ValueError(f"{label!r} is no label. Known: {', '.join(LABELS)}")
        if answer[reached:start].strip():
            raise ValueError(f"{answer[reached:start].strip()!r} belongs to no sentence")
        if answer[start].isspace() or answer[end - 1].isspace():
            raise ValueError(f"the sentence {answer[start:end]!r} begins or ends with a blank")
        sentences.append(LabelledSentence(start, end, LABELS[label]))
        reached = end
    if answer[reached:].strip():
        raise ValueError(f"{answer[reached:].strip()!r} belongs to no sentence")
    return tuple(sentences)

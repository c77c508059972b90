"""Our own answers with people's labels: sentences against guide sections, and learners' answers against key points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from corpus.chunks import Chunk, anchor
from corpus.questions import Question
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


def sections_of(chunks: Sequence[Chunk]) -> Mapping[str, Sequence[str]]:
    """The passages of each section, those of its subsections among them, by `topic#anchor`."""
    passages: dict[str, list[str]] = {}
    for chunk in chunks:
        guide = chunk.document_id.rsplit(".", 1)[0]
        for heading in chunk.heading_path:
            passages.setdefault(f"{guide}#{anchor(heading)}", []).append(chunk.text)
    return passages


def labelled_answer(row: Mapping[str, Any], sections: Mapping[str, Sequence[str]]) -> LabelledAnswer:
    """The case of a line. Raises KeyError for a field that is missing and ValueError for one that cannot be used."""
    names, answer = _list(row, "sections"), _text(row, "answer")
    return LabelledAnswer(
        id=_text(row, "id"),
        question=_text(row, "question"),
        sections=tuple(names),
        passages=tuple(text for name in names for text in _known(name, sections, "section")),
        answer=answer,
        sentences=_sentences(_list(row, "sentences"), answer),
    )


def judged_answer(row: Mapping[str, Any], questions: Mapping[str, Question]) -> JudgedAnswer:
    """The case of a line. Raises KeyError for a field that is missing and ValueError for one that cannot be used."""
    question = _known(_text(row, "question"), questions, "question")
    verdicts = _list(row, "verdicts")
    for name in verdicts:
        if name not in JUDGEMENTS:
            raise ValueError(f"{name!r} is no verdict. Known: {', '.join(JUDGEMENTS)}")
    if len(verdicts) != len(question.key_points):
        raise ValueError(f"{len(verdicts)} verdicts for the {len(question.key_points)} key points of {question.id!r}")
    return JudgedAnswer(_text(row, "id"), question, _text(row, "answer"), tuple(verdicts))


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

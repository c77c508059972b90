"""Turns of the chat as the JSON that the history keeps, and back; a conversation as Markdown and JSON for the learner.

What is kept is read by later versions: the version says how. Passages are kept with the answer, so that it is shown as it was
given, whatever became of the guides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from corpus.chunks import Chunk
from index.hits import Hit, Neighbours
from tutor.answers import Answer, Citation
from tutor.conversation import Conversation, Turn
from tutor.database import ProgressError
from tutor.grading import Grade
from tutor.records import answer_record, grade_record

CONVERSATION_VERSION = 1
EXPORT_VERSION = 1
_LEFT = "This question was left without an answer. Ask it again."


@cache
def _turns() -> TypeAdapter[Turn]:
    return TypeAdapter(Turn)


def turn_record(turn: Turn) -> dict[str, Any]:
    """The turn as JSON values."""
    kept = replace(turn, answer=_lighter(turn.answer)) if turn.answer else turn
    record = _turns().dump_python(kept, mode="json", exclude_defaults=True)
    return {"version": CONVERSATION_VERSION, **record}


def read_turn(record: Mapping[str, Any]) -> Turn:
    """The turn that was kept, with all that is shown of it. Raises ProgressError where it cannot be read."""
    version = record.get("version")
    if version != CONVERSATION_VERSION:
        raise ProgressError(
            f"This conversation was kept by another version (format {version}, this one knows {CONVERSATION_VERSION}). "
            "Update interview-tutor, or start a new conversation."
        )
    try:
        turn = _turns().validate_python({name: value for name, value in record.items() if name != "version"})
    except ValidationError as error:
        raise ProgressError(
            f"This conversation cannot be read ({error.error_count()} mistakes in a turn): it is damaged. The others can; start a new one."
        ) from error
    return replace(turn, failure=_LEFT) if turn.is_pending else turn


def is_answered(record: Mapping[str, Any]) -> bool:
    """Whether a turn that was kept has its answer or grade."""
    return "answer" in record or "grade" in record


def searched_text(record: Mapping[str, Any]) -> str:
    """The words of a turn that was kept, in which a learner may look for it."""
    answer, grade = record.get("answer") or {}, record.get("grade") or {}
    sentences = [sentence.get("text", "") for sentence in answer.get("sentences", ())]
    asked = [item.get("prompt", "") for item in (answer.get("quiz") or {}, grade.get("question") or {})]
    return "\n".join((record.get("question", ""), *sentences, *asked, grade.get("feedback", "")))


def _lighter(answer: Answer) -> Answer:
    """Without what is never shown of an answer: the text around its passages, and passages that say the same."""
    return replace(
        answer,
        citations=tuple(
            replace(citation, hit=_lighter_hit(citation.hit)) if citation.hit else citation
            for citation in answer.citations
        ),
        suggestions=tuple(map(_lighter_hit, answer.suggestions)),
    )


def _lighter_hit(hit: Hit) -> Hit:
    around = Neighbours(_named(hit.around.before), _named(hit.around.after))
    return replace(hit, also=(), around=around)


def _named(chunk: Chunk | None) -> Chunk | None:
    return replace(chunk, text="") if chunk else None


# For the learner


def conversation_record(conversation: Conversation) -> dict[str, Any]:
    """The conversation as JSON with its citations: documented in docs/json.md."""
    return {
        "version": EXPORT_VERSION,
        "title": conversation.title,
        "turns": [
            {
                "question": turn.question,
                "answer": answer_record(turn.answer) if turn.answer else None,
                "grade": grade_record(turn.grade) if turn.grade else None,
                "failure": turn.failure,
                "thumb": turn.thumb,
            }
            for turn in conversation.turns
        ],
    }


def conversation_markdown(conversation: Conversation) -> str:
    """The conversation as Markdown, each answer with the passages that it rests on."""
    return (
        "\n\n".join((f"# {conversation.title}", *(part for turn in conversation.turns for part in _turn(turn)))) + "\n"
    )


def _turn(turn: Turn) -> Iterator[str]:
    yield f"## {' '.join(turn.question.split())}"
    if turn.answer is not None:
        yield from _answer(turn.answer)
    elif turn.grade is not None:
        yield from _grade(turn.grade)
    else:
        yield turn.failure or _LEFT


def _answer(answer: Answer) -> Iterator[str]:
    yield from (f"*{note}*" for note in answer.notes)
    yield answer.text or "The guides do not cover this."
    yield from map(_source, answer.citations)
    if answer.suggestions:
        yield "The nearest sections:"
        yield "\n".join(f"* {hit.chunk.path} ({hit.chunk.place})" for hit in answer.suggestions)


def _source(citation: Citation) -> str:
    quote = "\n".join(f"> {line}" for line in citation.quote.strip().splitlines())
    return f"**[{citation.number}]** {citation.chunk.title}, {citation.chunk.path} ({citation.chunk.place})\n\n{quote}"


def _grade(grade: Grade) -> Iterator[str]:
    yield f"Question: {grade.question.prompt}"
    yield "Not judged." if grade.score is None else f"**{grade.score:.0%}**. {grade.feedback}"
    yield "\n".join(
        f"* {verdict.verdict}: {verdict.key_point.text}"
        + (f" (you said: “{verdict.evidence}”)" if verdict.evidence else "")
        for verdict in grade.verdicts
    )

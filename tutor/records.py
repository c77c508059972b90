"""Answers and grades as the JSON that programs read: documented in docs/json.md, changed only with the version."""

from __future__ import annotations

from typing import Any

from tutor.answers import Answer, Citation
from tutor.grading import Grade

RECORD_VERSION = 1


def answer_record(answer: Answer) -> dict[str, Any]:
    """What `tutor ask --json` prints."""
    return {
        "version": RECORD_VERSION,
        "question": answer.question,
        "standalone_question": answer.standalone_question,
        "answer": answer.text,
        "answered": answer.answered,
        "citations": [citation_record(citation) for citation in answer.citations],
        "sentences": [
            {"text": sentence.text, "citations": list(sentence.citations), "support": sentence.support}
            for sentence in answer.sentences
        ],
        "suggestions": [
            {"document": hit.chunk.document_id, "heading": hit.chunk.path, "start_line": hit.chunk.start_line}
            for hit in answer.suggestions
        ],
        "model": answer.model,
        "timings": {stage: round(seconds, 4) for stage, seconds in answer.timings.items()},
    }


def citation_record(citation: Citation) -> dict[str, Any]:
    """A source, as it stands in both records."""
    return {
        "number": citation.number,
        "document": citation.chunk.document_id,
        "title": citation.chunk.title,
        "heading": citation.chunk.path,
        "quote": citation.quote,
        "score": round(citation.score, 4),
        "start_line": citation.chunk.start_line,
        "page": citation.chunk.page or None,
    }


def grade_record(grade: Grade) -> dict[str, Any]:
    """What `tutor grade --json` prints."""
    return {
        "version": RECORD_VERSION,
        "question_id": grade.question.id,
        "question": grade.question.prompt,
        "score": grade.score,
        "verdicts": [
            {
                "key_point": verdict.key_point.text,
                "weight": verdict.key_point.weight,
                "verdict": verdict.verdict,
                "evidence": verdict.evidence,
                "citation": citation_record(verdict.citation) if verdict.citation else None,
            }
            for verdict in grade.verdicts
        ],
        "misconceptions": [
            {
                "misconception": found.misconception.text,
                "evidence": found.evidence,
                "citation": citation_record(found.citation) if found.citation else None,
            }
            for found in grade.misconceptions
        ],
        "feedback": grade.feedback,
        "model_answer": grade.question.answer,
        "follow_up": grade.follow_up,
        "grader": grade.grader,
    }

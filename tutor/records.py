"""Answers and grades as the JSON that programs read: documented in docs/json.md, changed only with the version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus.chunks import Chunk
from index.hits import Hit, typed_words
from index.retriever import Ranking
from tutor.answers import Answer, Citation
from tutor.grading import Grade, Verdict

RECORD_VERSION = 1


def answer_record(answer: Answer) -> dict[str, Any]:
    """What `tutor ask --json` prints."""
    return {
        "version": RECORD_VERSION,
        "question": answer.question,
        "standalone_question": answer.standalone_question,
        "answer": answer.text,
        "answered": answer.answered,
        "citations": [citation_record(citation, answer.standalone_question) for citation in answer.citations],
        "sentences": [
            {
                "text": sentence.text,
                "citations": list(sentence.citations),
                "support": sentence.support,
                "supported": sentence.is_supported,
            }
            for sentence in answer.sentences
        ],
        "suggestions": [
            {"document": hit.chunk.document_id, "heading": hit.chunk.path, "start_line": hit.chunk.start_line}
            for hit in answer.suggestions
        ],
        "model": answer.model,
        "timings": {stage: round(seconds, 4) for stage, seconds in answer.timings.items()},
        "notes": list(answer.notes),
        "mode": answer.mode.value,
        "from_memory": answer.is_from_memory,
        "quiz": answer.quiz.id if answer.quiz else None,
        "unknown_marks": answer.unknown_marks,
    }


def citation_record(citation: Citation, question: str = "") -> dict[str, Any]:
    """A source, as it stands in both records, with the reason why a search for the question found it."""
    hit = citation.hit
    return {
        "number": citation.number,
        "document": citation.chunk.document_id,
        "title": citation.chunk.title,
        "heading": citation.chunk.path,
        "quote": citation.quote,
        "score": round(citation.score, 4),
        "start_line": citation.chunk.start_line,
        "page": citation.chunk.page or None,
        "matched": typed_words(question, hit.matched) if hit else [],
        "dense_score": hit.dense_score if hit else None,
        "keyword_score": hit.keyword_score if hit else None,
    }


def search_record(question: str, hits: Sequence[Hit], *, ranking: Ranking, notes: Sequence[str]) -> dict[str, Any]:
    """What `tutor search --json` prints."""
    return {
        "version": RECORD_VERSION,
        "question": question,
        "ranking": ranking,
        "hits": [{"rank": rank, **_hit(hit, question)} for rank, hit in enumerate(hits, start=1)],
        "notes": list(notes),
    }


def _hit(hit: Hit, question: str) -> dict[str, Any]:
    before, after = hit.around.before, hit.around.after
    return {
        **_passage(hit.chunk),
        "score": hit.score,
        "dense_score": hit.dense_score,
        "keyword_score": hit.keyword_score,
        "heading_score": hit.heading_score,
        "rerank_score": hit.rerank_score,
        "matched": typed_words(question, hit.matched),
        "text": hit.chunk.text,
        "above": hit.chunk.above,
        "before": _passage(before) if before else None,
        "after": _passage(after) if after else None,
        "also": [_passage(chunk) for chunk in hit.also],
    }


def _passage(chunk: Chunk) -> dict[str, Any]:
    return {
        "id": chunk.id,
        "document": chunk.document_id,
        "title": chunk.title,
        "heading": chunk.path,
        "start_line": chunk.start_line,
        "page": chunk.page or None,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    dispute = verdict.dispute
    return {
        "key_point": verdict.key_point.text,
        "weight": verdict.key_point.weight,
        "verdict": verdict.verdict,
        "credit": verdict.credit,
        "evidence": verdict.evidence,
        "citation": citation_record(verdict.citation) if verdict.citation else None,
        "doubt": verdict.doubt,
        "dispute": {"argument": dispute.argument, "before": _verdict(dispute.before), "reason": dispute.reason}
        if dispute
        else None,
    }


def grade_record(grade: Grade) -> dict[str, Any]:
    """What `tutor grade --json` prints."""
    return {
        "version": RECORD_VERSION,
        "question_id": grade.question.id,
        "question": grade.question.prompt,
        "score": grade.score,
        "verdicts": [_verdict(verdict) for verdict in grade.verdicts],
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
        "remarks": list(grade.remarks),
    }

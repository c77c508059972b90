"""Key points for a question that is not in the bank: drawn from a reference answer, or from what the guides say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from corpus.chunks import Chunk, anchor
from corpus.questions import KeyPoint, Question
from corpus.sentences import split_sentences
from index.words import words
from tutor.answers import AnswerSentence, Citation
from tutor.grading import GradingError
from tutor.injections import addresses_assistant

REFERENCE_SECTION = "your reference"
"""Where the key points of a reference answer link to: every guide section has a `#` in its link."""
MAX_DRAWN_POINTS = 12
"""More than an interviewer would listen for; of a longer text the fullest sentences are taken."""
MAX_REFERENCE_CHARACTERS = 20_000
_LEAST_WORDS, _LEAST_CLAUSE_WORDS = 2, 3
"""Words with content that a sentence, and a clause cut from one, need to be a point."""
_CLAUSE = re.compile(r"(?<=[;；])\s*|(?<=,)\s+(?=(?:and|but|while|whereas|because|so that|which)\s)")
_BARE = frozenset(words("yes no true false maybe depends"))
_NOTHING = "There is nothing in the reference to grade by. Expected sentences that say what a good answer says."
_JOINT = re.compile(r"^(?:and|but|while|whereas|so that)\s+")


def question_from_reference(prompt: str, *references: str) -> Question:
    """A question whose key points are the sentences of the first reference answer, each of the same weight; long ones by clauses.

    Further references are other answers that are as good: who says one of them has answered too. Raises GradingError for a
    reference that is too long, not text, or says nothing.
    """
    first, *others = (_checked(reference) for reference in references)
    said = _prose(first) or _few_words(first)
    if any(not (_prose(other) or _few_words(other)) for other in others):
        raise GradingError(_NOTHING)
    return replace(
        _question(prompt, first, [(text, REFERENCE_SECTION) for text in said], others), references=tuple(others)
    )


def _checked(reference: str) -> str:
    if len(reference) > MAX_REFERENCE_CHARACTERS:
        raise GradingError(
            f"The reference has {len(reference):,} characters. Expected at most {MAX_REFERENCE_CHARACTERS:,}: a model answer, "
            "not a chapter."
        )
    if re.search(r"[\0\ud800-\udfff]", reference):
        raise GradingError("The reference is binary, not text. Give the model answer as UTF-8 text.")
    return reference.strip()


def question_from_guides(prompt: str, sentences: Sequence[AnswerSentence], citations: Sequence[Citation]) -> Question:
    """A question whose key points are the sentences with which the guides answer it. Raises GradingError where they hold none."""
    sections = {citation.number: _section(citation.chunk) for citation in citations}
    said = [
        (text, sections[sentence.citations[0]])
        for sentence in sentences
        if sentence.citations
        for text in _prose(sentence.text)
    ]
    return _question(prompt, "\n\n".join(sentence.text for sentence in sentences), said)


def rubric_remarks(question: Question) -> tuple[str, ...]:
    """Where the key points of a question come from, if not from the bank."""
    if not question.is_own or not question.key_points:
        return ()
    if question.key_points[0].section == REFERENCE_SECTION:
        return ("The key points are the sentences of your reference; each counts by how much of it was found.",)
    return (
        "The question is not in the bank: the key points are what the guides say to it, and each counts by how much of it was found.",
    )


def reference_citation(question: Question, text: str) -> Citation:
    """The reference answer as the source of one of its sentences."""
    heading, answer = REFERENCE_SECTION.capitalize(), question.answer
    chunk = Chunk(question.id, REFERENCE_SECTION, heading, (heading,), answer, 1, answer.count("\n") + 1)
    return Citation(1, chunk, text, 1.0)


def _prose(text: str) -> list[str]:
    """The sentences and clauses of a text that say something: no code, no formula alone, no question, nothing that is said to the grader."""
    found: list[str] = []
    for sentence in split_sentences(text):
        if (
            sentence.kind not in {"prose", "item"}
            or sentence.text.endswith(("?", "？"))
            or addresses_assistant(sentence.text)
        ):
            continue
        found.extend(_clauses(sentence.text))
    return [part for part in dict.fromkeys(found) if len(set(words(part))) >= _LEAST_WORDS]


def _clauses(sentence: str) -> list[str]:
    """A sentence cut where both sides say something: who says one half has made that point."""
    cut = [""]
    for clause in _CLAUSE.split(sentence):
        if min(len(set(words(part))) for part in (cut[-1], clause)) < _LEAST_CLAUSE_WORDS:
            cut[-1] = f"{cut[-1]} {clause}".strip()
        else:
            cut.append(clause)
    return [part.rstrip(",;；") for part in (cut[0], *(_JOINT.sub("", part, count=1) for part in cut[1:]))]


def _few_words(text: str) -> list[str]:
    """A reference of a word or two, such as "By reference", as a point; a bare yes or no is none."""
    if text.endswith(("?", "？")) or addresses_assistant(text) or "```" in text:
        return []
    return [text] if set(words(text)) - _BARE else []


def _question(prompt: str, answer: str, said: Sequence[tuple[str, str]], references: Sequence[str] = ()) -> Question:
    if not said:
        raise GradingError(_NOTHING)
    fullest = sorted(range(len(said)), key=lambda place: -len(set(words(said[place][0]))))[:MAX_DRAWN_POINTS]
    points = tuple(KeyPoint(said[place][0], 1.0, said[place][1]) for place in sorted(fullest))
    name = "own-" + sha256("\0".join((prompt, answer, *references)).encode()).hexdigest()[:10]
    return Question(name, "", prompt, "mid", "concept", answer, points)


def _section(chunk: Chunk) -> str:
    return f"{chunk.document_id.rsplit('.', 1)[0]}#{anchor(chunk.heading)}"

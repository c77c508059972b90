"""The forms of an answer that the guides' own sentences can take: a whole section, a worked example, an analogy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from corpus.chunks import Chunk, count_words
from corpus.sentences import split_sentences
from index.hits import Hit
from tutor.answers import SOURCE_COUNT, AnswerSentence, Citation, Quoted, Unit, cite_units, leans, units_of
from tutor.injections import without_instructions

EXAMPLE_WORDS, ANALOGY_WORDS = 150, 60
_LEAST_EXAMPLE, _GOES_ON = 1.0, 0.5
"""Worth from which sentences are an example, and from which the ones around it belong to it."""
_EXAMPLE = re.compile(
    r"\b(?:for example|for instance|e\.g\.|example|suppose|say,|let's say|consider)|例如|比如|假设|举例|设 ?\$", re.I
)
_EXAMPLE_HEADING = re.compile(r"\b(?:worked|example|by hand|in numbers|numeric\w*|in code)\b|例|手算|代码", re.I)
_NUMBER = re.compile(r"(?<![\w.^_{])\d+(?:[.,]\d+)*(?![\w}])")
_EQUALS = re.compile(r"=|≈|\\approx")
_ANALOGY = re.compile(
    r"\b(?:imagine|think of (?:it|this|a|an|the)|analog(?:y|ous)|as if|picture (?:an?|the)|metaphor)\b|好比|类比|想象|打个比方|就像",
    re.I,
)
ChunksOf = Callable[[str], Sequence[Chunk]]
"""The passages of a document in the order of its text; none of one that the index does not hold."""


def whole_section(hit: Hit, chunks_of: ChunksOf) -> Quoted:
    """All of the section that a hit stands in; a long one was cut into several passages, whose ends may overlap.

    Of a passage from another store, the passage itself.
    """
    path = hit.chunk.heading_path
    pieces = [chunk for chunk in chunks_of(hit.chunk.document_id) if chunk.heading_path == path] or [hit.chunk]
    sentences: list[AnswerSentence] = []
    citations: list[Citation] = []
    said: set[str] = set()
    for chunk in pieces:
        own = split_sentences(without_instructions(chunk.text))
        new = [sentence for sentence in own if sentence.text not in said]
        said.update(sentence.text for sentence in new)
        number = len(citations) + 1
        sentences.extend(AnswerSentence(sentence.text, (number,), 1.0, sentence.kind) for sentence in new)
        found = hit if chunk.id == hit.chunk.id else None
        citations.append(Citation(number, chunk, "\n".join(sentence.text for sentence in new), hit.score, found))
    return tuple(sentences), tuple(citations)


def worked_example(hits: Sequence[Hit], chunks_of: ChunksOf) -> Quoted:
    """The best example with numbers or code in the passages found, in their sections, or right beside them under such a heading."""
    rated = [(_example_worth(unit), unit) for unit in _near(hits, chunks_of)]
    worth, best = max(rated, key=lambda item: item[0] - 0.4 * item[1].rank, default=(0.0, None))
    if best is None or worth < _LEAST_EXAMPLE:
        return (), ()
    passage = [(worth, unit) for worth, unit in rated if unit.hit.chunk.id == best.hit.chunk.id]
    start = next(index for index, (_, unit) in enumerate(passage) if unit.position == best.position)
    while start and passage[start - 1][0] >= _GOES_ON:
        start -= 1
    # What the example is about stands before it.
    if start and (leans(passage[start][1]) or passage[start][1].sentences[0].kind in {"code", "formula", "table"}):
        start -= 1
    chosen: list[Unit] = []
    size = 0
    for worth, unit in passage[start:]:
        size += count_words(unit.text)
        if unit.position > best.position and (worth < _GOES_ON or size > EXAMPLE_WORDS):
            break
        chosen.append(unit)
    return _cited(chosen, hits)


def analogy(hits: Sequence[Hit], chunks_of: ChunksOf) -> Quoted:
    """The first passage near those found that likens its subject to something else; nothing where none does."""
    likened = [
        unit
        for unit in _near(hits, chunks_of)
        if _ANALOGY.search(unit.text) and not leans(unit) and count_words(unit.text) <= ANALOGY_WORDS
    ]
    return _cited([min(likened, key=lambda unit: unit.rank)], hits) if likened else ((), ())


def _near(hits: Sequence[Hit], chunks_of: ChunksOf) -> Iterator[Unit]:
    """The units of the passages found, and of those that stand in the same section or beside them; the found rank first."""
    seen: set[str] = set()
    for rank, hit in enumerate(hits[:SOURCE_COUNT]):
        own = hit.chunk
        document = chunks_of(own.document_id)
        place = next((index for index, chunk in enumerate(document) if chunk.id == own.id), -2)
        beside = [
            chunk
            for index, chunk in enumerate(document)
            if chunk.heading_path[: len(own.heading_path)] == own.heading_path
            # What stands next is about something else, unless it says to be an example.
            or (abs(index - place) == 1 and _EXAMPLE_HEADING.search(chunk.heading))
        ]
        for chunk in (own, *beside):
            if chunk.id not in seen:
                seen.add(chunk.id)
                distance = 2 * rank + (chunk.id != own.id)
                yield from units_of(replace(hit, chunk=chunk), distance, with_code=True)


def _example_worth(unit: Unit) -> float:
    kinds = {sentence.kind for sentence in unit.sentences}
    numbers = len(set(_NUMBER.findall(unit.text)))
    return (
        0.9 * ("code" in kinds)
        + 0.3 * min(numbers, 3)
        + 0.4 * bool(numbers and _EQUALS.search(unit.text))
        + 0.5 * bool(_EXAMPLE.search(unit.text))
        + 0.5 * bool(_EXAMPLE_HEADING.search(unit.hit.chunk.heading))
    )


def _cited(units: Sequence[Unit], hits: Sequence[Hit]) -> Quoted:
    sentences, citations = cite_units(units)
    found = {hit.chunk.id for hit in hits}
    # Beside a passage that was found is not found: it has no reason of its own to show.
    return sentences, tuple(item if item.chunk.id in found else replace(item, hit=None) for item in citations)

"""An answer with its citations; and how one is composed of the guides' own sentences, without a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from corpus.chunks import Chunk, count_words
from corpus.documents import language_of
from corpus.questions import Question
from corpus.sentences import Sentence, SentenceKind, split_sentences
from index.embedder import Embedder
from index.hits import Hit
from index.words import words
from tutor.grounding import SUPPORTED
from tutor.injections import without_instructions
from tutor.modes import AnswerMode

SHORT_ANSWER_WORDS, SHORTEST_ANSWER_WORDS = 90, 25
SUGGESTION_COUNT = 3
SOURCE_COUNT = 3
"""Passages that a short extractive answer quotes at most: a learner checks three sources, not six."""

NOT_IN_THE_GUIDES = "⚠ not in the guides"
"""What stands after a sentence that no guide bears out, wherever an answer is shown."""
_RUN_MARK = re.compile(r"\A(```\w+) run$", re.MULTILINE)
"""`run` tells the tests to execute a block; a highlighter takes it for part of the language's name."""


@dataclass(frozen=True)
class Citation:
    """A numbered source of an answer."""

    number: int
    chunk: Chunk
    quote: str
    """The words of the passage that the answer rests on, verbatim."""
    score: float
    hit: Hit | None = None
    """Why the passage was found; None where it was not searched for but looked up."""


@dataclass(frozen=True)
class AnswerSentence:
    """A sentence of an answer, the citations it rests on, and how far they support it."""

    text: str
    citations: tuple[int, ...]
    support: float
    """0 to 1; a quoted sentence has 1."""
    kind: SentenceKind = "prose"

    @property
    def is_supported(self) -> bool:
        """Whether its citations bear it out."""
        return bool(self.citations) and self.support >= SUPPORTED


@dataclass(frozen=True)
class Answer:
    """What the tutor says to a question."""

    question: str
    standalone_question: str
    """The question as it was searched, with what a follow-up left unsaid."""
    sentences: tuple[AnswerSentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    suggestions: tuple[Hit, ...] = ()
    """Where the guides do not cover the question: the nearest sections."""
    confidence: float = 0.0
    """0 to 1; below the threshold of the settings the tutor declines."""
    model: str = "extractive"
    mode: AnswerMode = AnswerMode.PLAIN
    """The form that was asked for; the notes say where it could not be had."""
    is_from_memory: bool = False
    """Whether the model wrote it from its own memory, because the guides do not cover the question. Nothing in it is checked."""
    quiz: Question | None = None
    """A question of the bank, put to the learner in place of an answer."""
    unknown_marks: int = 0
    """Citation marks of a model that named no passage; they were dropped."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    notes: tuple[str, ...] = ()
    """What the reader should know of how the question was searched and the answer came about, in sentences."""

    @property
    def answered(self) -> bool:
        """Whether there is an answer, or a question in return; false where the tutor declines."""
        return bool(self.sentences) or self.quiz is not None

    @property
    def text(self) -> str:
        """The answer as Markdown, each sentence followed by its marks, or by a warning where no guide bears it out.

        Empty where the tutor declines.
        """
        if self.quiz is not None:
            return self.quiz.prompt
        parts: list[str] = []
        previous: SentenceKind | None = None
        for sentence in self.sentences:
            marks = "".join(f"[{number}]" for number in sentence.citations)
            if not sentence.is_supported:
                marks = f"{marks} ({NOT_IN_THE_GUIDES})".lstrip()
            block = sentence.kind in {"code", "formula", "table"}
            if previous is not None:
                joined = previous == "prose" and sentence.kind == "prose"
                parts.append(" " if joined else "\n" if previous == sentence.kind == "item" else "\n\n")
            text = f"- {sentence.text}" if sentence.kind == "item" else _RUN_MARK.sub(r"\1", sentence.text)
            # A mark inside a fence or a formula would be part of the code.
            parts.append(f"{text}\n\n{marks}" if block else f"{text} {marks}".rstrip())
            previous = sentence.kind
        return "".join(parts)


Quoted = tuple[tuple[AnswerSentence, ...], tuple[Citation, ...]]
"""Sentences of the guides and where they come from; both empty where there is nothing to quote."""


@dataclass(frozen=True)
class Unit:
    """Sentences that only make sense together: "the loss is:" and the formula below it."""

    sentences: tuple[Sentence, ...]
    hit: Hit
    rank: int
    position: int

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)


def compose_answer(
    question: str,
    hits: Sequence[Hit],
    embedder: Embedder,
    idf: Callable[[str], float],
    *,
    max_words: int,
    shown: Collection[str] = (),
) -> Quoted:
    """Answer with the sentences of the hits that say most about the question, in the order of the guides.

    The best section opens: guides put the answer in a section's first sentence. Others follow by relevance, as long as
    they add something, until `max_words`. Sentences that the conversation has `shown` give way to new ones that say as much; where
    there are none, they are said again.
    """
    units = [
        unit
        for rank, hit in enumerate(_sources(question, hits))
        for unit in units_of(hit, rank, with_code=bool(_ASKS_FOR_CODE.search(question)))
    ]
    if not units:
        return (), ()
    chosen = _choose(question, units, embedder, idf, max_words, frozenset(shown))
    return cite_units(chosen)


def _sources(question: str, hits: Sequence[Hit]) -> list[Hit]:
    """The passages worth quoting: near the best, and in the question's language where there are some."""
    language = language_of(question)
    best = hits[0].score if hits else 0.0
    near = [hit for hit in hits if hit.score >= 0.55 * best]
    same = [hit for hit in near if hit.chunk.language == language]
    return (same or near)[:SOURCE_COUNT]


_ASKS_FOR_CODE = re.compile(
    r"\b(?:code|implement\w*|write a|snippet|numpy|pytorch|tensorflow|keras|python)\b|代码|实现", re.IGNORECASE
)
_ASKS_FOR_FORMULA = re.compile(
    r"\b(?:formulas?|equations?|derive|math\w*|compute[ds]?|calculat\w+)\b|公式|推导|计算", re.IGNORECASE
)
_COMPARES = re.compile(
    r"\bdifferen\w*|\bcompar\w*|\bversus\b|\bvs\b|\bbetween\b|\binstead\b|区别|比较|对比", re.IGNORECASE
)
# What a question asks about its subject, and the words of a sentence that says it. Search finds the subject; these the aspect.
_ASPECTS = (
    (
        re.compile(r"^(?:what(?:'s|’s| is| are| does)|define|explain|describe)\b|什么是|是什么|解释", re.I),
        re.compile(
            r"^[^,;]{1,80}?\b(?:is|are) (?:an?|the)\b|^[^,;]{1,60}?\b(?:means?|refers? to|denotes?|describes?|consists?)\b|^[^，。]{1,30}(?:是指|是一种|指的是|是)"
        ),
    ),
    (
        re.compile(
            r"\b(?:avoid|not use|disadvantages?|drawbacks?|limit\w*|fails?|cons|wrong|downsides?|bad)\b|缺点|不用|局限|坏处|问题",
            re.I,
        ),
        re.compile(
            r"\b(?:fails?|hurts?|avoid|not|never|cannot|limits?|unreliable|wrong|poor\w*|costs?|slow\w*|drawback|weak\w*|breaks?|worse)\b|不|缺点|失效|难以",
            re.I,
        ),
    ),
    (
        re.compile(
            r"\b(?:why|reason|purpose|point of|need(?:ed)?|benefits?|advantages?|help)\b|为什么|为何|作用|优点|好处",
            re.I,
        ),
        re.compile(
            r"\b(?:because|so that|since|reason|lets?|keeps?|prevents?|reduces?|allows?|makes?|avoids?|otherwise)\b|因为|从而|使得|可以|避免|优点",
            re.I,
        ),
    ),
    (
        re.compile(
            r"\bwhen (?:do|would|should|is|to|are|can)\b|\bwhich\b.*\b(?:use|choose|prefer)\b|什么时候|何时|场景", re.I
        ),
        re.compile(r"\b(?:use|uses|used|suits?|choose|prefer\w*|when|right|default|choice)\b|适合|适用|用于", re.I),
    ),
    (
        re.compile(r"\bhow (?:many|much|large|big|long|fast)\b|\bwhat (?:value|size|rate|number)|多少|多大", re.I),
        re.compile(r"\d"),
    ),
)
_LABEL_CHARACTERS = 20
_GOES_ON = re.compile(r"[a-z]|其中|这里")
_LEAST_GAIN = 0.12
_SHOWN = 0.3
"""What a sentence loses that the conversation has shown, to one that says as much and is new."""
_LEANS_ON_BEFORE = re.compile(
    r"(?:This|That|These|Those|It|They|Such|Its|Their|Here|Then|Both|Otherwise|But|So|However|Therefore|Hence)\b|这|它|因此|但|其中"
)
_ABOUT_MISTAKES = re.compile(r"mistake|misconception|myth|wrong|true that|误区|错误", re.IGNORECASE)
_ABOUT_THE_INTERVIEW = re.compile(r"follow-ups?\b|interviewers?\b|追问|面试官", re.IGNORECASE)


def units_of(hit: Hit, rank: int, *, with_code: bool) -> list[Unit]:
    """The quotable units of a passage; without its code where nobody asked for any."""
    units: list[list[Sentence]] = []
    for sentence in split_sentences(without_instructions(hit.chunk.text)):
        last = units[-1] if units else None
        introduced = last is not None and last[-1].text.rstrip().endswith((":", "："))
        continues = last is not None and (
            (sentence.kind == "item" and len(last) > 1 and last[-1].kind == "item")
            # "where $x$ is …" below a formula is the end of its sentence.
            or (last[-1].kind == "formula" and bool(_GOES_ON.match(sentence.text)))
        )
        if last is not None and (introduced or continues):
            last.append(sentence)
        else:
            units.append([sentence])
    return [
        Unit(tuple(unit), hit, rank, position)
        for position, unit in enumerate(units)
        if with_code or not any(sentence.kind == "code" for sentence in unit)
    ]


def _choose(
    question: str,
    units: Sequence[Unit],
    embedder: Embedder,
    idf: Callable[[str], float],
    max_words: int,
    shown: Collection[str],
) -> list[Unit]:
    terms = set(words(question))
    total = sum(map(idf, terms)) or 1.0
    vectors = embedder.embed_passages([unit.text for unit in units])
    asked = embedder.embed_queries([question])[0]
    best = max(unit.hit.score for unit in units)
    aspects = [cue for asks, cue in _ASPECTS if asks.search(question)]
    said = np.array([max((_says(cue, unit) for cue in aspects), default=0.0) for unit in units])
    relevance = said + np.array(
        [
            0.5 * sum(idf(term) for term in terms & set(words(unit.text))) / total
            + 0.5 * float(vector @ asked)
            + (unit.hit.score / best - 1)
            + 0.35 * (unit.position == 0)
            + _suits(question, unit)
            for unit, vector in zip(units, vectors, strict=True)
        ]
    )
    is_shown = np.array([all(sentence.text in shown for sentence in unit.sentences) for unit in units])
    # What speaks of the aspect that is asked now is worth saying again.
    preference = relevance - _SHOWN * (is_shown & (said == 0))
    opening = [index for index, unit in enumerate(units) if unit.rank == 0 and not leans(unit)]
    chosen = [max(opening, key=lambda index: preference[index])] if opening else [int(np.argmax(preference))]
    sizes = [_size(unit) for unit in units]
    size = sizes[chosen[0]]
    while size < max_words:
        likeness = vectors @ vectors[chosen].T
        # Maximal marginal relevance (Carbonell and Goldstein 1998): what was said already is worth nothing.
        gain = relevance - 0.5 * likeness.max(axis=1)
        for index, unit in enumerate(units):
            before = (unit.rank, unit.position - 1)
            hangs = leans(unit) and not any((units[other].rank, units[other].position) == before for other in chosen)
            if index in chosen or hangs or size + sizes[index] > max_words * 1.2:
                gain[index] = -np.inf
        # What was shown comes later, but no answer ends for it where another would go on.
        wanted = np.where(gain < _LEAST_GAIN, -np.inf, gain + preference - relevance)
        index = int(np.argmax(wanted))
        if wanted[index] == -np.inf:
            break
        chosen.append(index)
        size += sizes[index]
    # The section that says most about the question opens, whichever search put first; within one the guide's order holds.
    weight = {
        rank: max(relevance[index] for index in chosen if units[index].rank == rank)
        for rank in {units[i].rank for i in chosen}
    }
    return sorted((units[index] for index in chosen), key=lambda unit: (-weight[unit.rank], unit.position))


def _size(unit: Unit) -> int:
    """Words to read; code that was asked for is looked at, not read."""
    return sum(count_words(sentence.text) for sentence in unit.sentences if sentence.kind != "code")


def _says(cue: re.Pattern[str], unit: Unit) -> float:
    """What it is worth that a unit speaks of the aspect asked for; a label such as "**Cons:**" says that all of it does."""
    found = cue.search(unit.text)
    if not found:
        return 0.0
    return 0.6 if unit.text.startswith("**") and found.end() < _LABEL_CHARACTERS else 0.3


def leans(unit: Unit) -> bool:
    """Whether a unit needs the sentence before it: "This is why ..."."""
    return unit.position > 0 and bool(_LEANS_ON_BEFORE.match(unit.text))


def _suits(question: str, unit: Unit) -> float:
    bonus = 0.0
    kinds = {sentence.kind for sentence in unit.sentences}
    if "code" in kinds and _ASKS_FOR_CODE.search(question):
        bonus += 0.6
    if "table" in kinds and not _COMPARES.search(question):
        bonus -= 0.3
    if _ASKS_FOR_FORMULA.search(question) and ("formula" in kinds or "$" in unit.text):
        bonus += 0.3
    if unit.hit.chunk.heading.startswith(("Common mistake", "常见误区")) and not _ABOUT_MISTAKES.search(question):
        bonus -= 0.2
    if _ABOUT_THE_INTERVIEW.search(unit.text) and not _ABOUT_THE_INTERVIEW.search(question):
        bonus -= 0.4
    return bonus


def cite_units(units: Sequence[Unit]) -> Quoted:
    """The units as sentences of an answer, each with the number of its passage."""
    numbers: dict[str, int] = {}
    quotes: dict[str, list[str]] = {}
    sentences = []
    for unit in units:
        number = numbers.setdefault(unit.hit.chunk.id, len(numbers) + 1)
        for sentence in unit.sentences:
            quotes.setdefault(unit.hit.chunk.id, []).append(sentence.text)
            sentences.append(AnswerSentence(sentence.text, (number,), 1.0, sentence.kind))
    hits = {unit.hit.chunk.id: unit.hit for unit in units}
    citations = tuple(
        Citation(number, hits[chunk_id].chunk, "\n".join(quotes[chunk_id]), hits[chunk_id].score, hits[chunk_id])
        for chunk_id, number in numbers.items()
    )
    return tuple(sentences), citations


def renumber(answer: Answer) -> Answer:
    """The answer with its citations numbered 1, 2, 3 … in the order in which the text first uses them."""
    order: dict[int, int] = {}
    for sentence in answer.sentences:
        for number in sentence.citations:
            order.setdefault(number, len(order) + 1)
    sentences = tuple(
        replace(sentence, citations=tuple(order[number] for number in sentence.citations))
        for sentence in answer.sentences
    )
    citations = sorted(
        (replace(citation, number=order[citation.number]) for citation in answer.citations if citation.number in order),
        key=lambda citation: citation.number,
    )
    return replace(answer, sentences=sentences, citations=tuple(citations))

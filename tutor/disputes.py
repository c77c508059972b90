"""A verdict disputed: the point is judged again in the light of an argument, and both verdicts are kept.

The argument may point to words of the attempt and say what they mean. It cannot add what the attempt did not say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from corpus.questions import KeyPoint, Question
from index.words import words
from tutor.grader import windows_of
from tutor.grading import Dispute, Grade, GradingError, Verdict, VerdictName, completed
from tutor.injections import without_instructions
from tutor.quotes import find_quote, quoted_parts

MAX_ARGUMENT_CHARACTERS = 2_000
MAX_SYNONYM_WORDS = 3
"""An argument may put so many words for those of the attempt; more would be a new answer."""
ORDER: tuple[VerdictName, ...] = ("contradicted", "missing", "partial", "made")

_SAME = r"(?:means?|meant|is the same as|is another (?:word|name|term) for|is (?:a|the) synonym (?:of|for)|stands for|equals|refers to|=|是指|就是|指的是|意思是)"
_TERM = r"[\"“'‘「`]?(?P<{name}>[\w-]+(?: [\w-]+){{0,3}})[\"”'’」`]?"
_SYNONYMS = (
    re.compile(
        rf"\b(?:by|with) {_TERM.format(name='said')},? (?:i|we) (?:mean|meant) {_TERM.format(name='meant')}",
        re.IGNORECASE,
    ),
    re.compile(rf"{_TERM.format(name='said')},? {_SAME} {_TERM.format(name='meant')}", re.IGNORECASE),
)
_TURNED = re.compile(
    r"\b(?:not|never|no|none|without|neither|nor|cannot|wrong|false|incorrect|myth|mistake\w*|doubt\w*|deny|denies|think|believe|claim\w*|assume\w*|some say)\b|n['’]t\b|不|没|错",
    re.IGNORECASE,
)
"""What turns a sentence round: words cut from beside it do not say what they seem to."""


def check_dispute(grade: Grade, number: int, argument: str) -> None:
    """Raises GradingError for a point that cannot be disputed, or an argument that is none."""
    if not 1 <= number <= len(grade.verdicts):
        raise GradingError(f"There is no key point {number}. Expected a number from 1 to {len(grade.verdicts)}.")
    if grade.verdicts[number - 1].verdict in {"made", "unjudged"}:
        verdict = grade.verdicts[number - 1].verdict
        raise GradingError(
            f"Key point {number} is {verdict}: there is nothing to dispute. Dispute one that cost you points."
        )
    if not any(char.isalnum() for char in argument) or re.search(r"[\0\ud800-\udfff]", argument):
        raise GradingError(
            "There is no argument. Quote the words of your answer that make the point, and say what you mean by them."
        )
    if len(argument) > MAX_ARGUMENT_CHARACTERS:
        raise GradingError(
            f"The argument has {len(argument):,} characters. Expected at most {MAX_ARGUMENT_CHARACTERS:,}: quote the words that count."
        )


def judged_again(
    grade: Grade, number: int, argument: str, judge: Callable[[Question, str], Grade]
) -> tuple[Verdict, str]:
    """The verdict on a point by the words of the attempt that the argument points to, at most one step up; and the reason.

    `judge` is the offline grader. The words pointed to are looked at alone, and with the words that the argument says they mean; it
    may name another word, but the sentence must speak of the point without it.
    """
    before = grade.verdicts[number - 1]
    claim = without_instructions(argument)
    best = before
    for span, text in _readings(grade, before.key_point, claim):
        verdict = judge(grade.question, text).verdicts[number - 1]
        if ORDER.index(verdict.verdict) > ORDER.index(best.verdict):
            best = replace(verdict, citation=before.citation, evidence=span)
    step = min(ORDER.index(best.verdict), ORDER.index(before.verdict) + 1)
    if step == ORDER.index(before.verdict):
        return before, "The words of the answer that the argument points to do not say more of the point."
    share = best.share if best.verdict == ORDER[step] else None
    reason = "Judged again by the words that the argument points to; one step up at most."
    return replace(best, verdict=ORDER[step], share=share), reason


def with_dispute(grade: Grade, number: int, argument: str, again: Verdict, reason: str) -> Grade:
    """The grade with the point judged again beside the verdict that was disputed. A dispute never lowers a verdict."""
    before = grade.verdicts[number - 1]
    kept = again if ORDER.index(again.verdict) >= ORDER.index(before.verdict) else before
    disputed = replace(kept, dispute=Dispute(argument.strip(), before, reason))
    verdicts = (*grade.verdicts[: number - 1], disputed, *grade.verdicts[number:])
    return completed(replace(grade, verdicts=verdicts))


def _readings(grade: Grade, point: KeyPoint, claim: str) -> Iterator[tuple[str, str]]:
    """The learner's words that the argument points to, each with the text to be judged in their place."""
    sentences = windows_of(grade.attempt)
    spans = [span for part in quoted_parts(claim) for span in [find_quote(part, grade.attempt)] if span]
    held = [(span, sentence) for span in spans for sentence in sentences if find_quote(span, sentence)]
    for span, sentence in held:
        if not _TURNED.search(sentence.replace(span, " ")):
            yield span, span
    for said, meant in _synonyms(claim):
        for sentence in sentences:
            found = find_quote(said, sentence)
            if found and _speaks_of(point, grade.question, sentence.replace(found, " ")):
                yield sentence, sentence.replace(found, meant)


def _synonyms(claim: str) -> Iterator[tuple[str, str]]:
    """Words that the argument says to mean others: whole, and cut short from the far ends, where prose runs on."""
    for pattern in _SYNONYMS:
        for match in pattern.finditer(claim):
            said, meant = match["said"].split(), match["meant"].split()[:MAX_SYNONYM_WORDS]
            for skipped in range(len(said)):
                for end in range(len(meant), 0, -1):
                    yield " ".join(said[skipped:]), " ".join(meant[:end])


def _speaks_of(point: KeyPoint, question: Question, rest: str) -> bool:
    """Whether what is left of a sentence shares a word with the point that the question does not have."""
    asked = {word for wording in question.wordings for word in words(wording)}
    said = {word for text in point.ways_to_say for word in words(text)}
    return bool(set(words(rest)) & (said - asked))

"""The question bank: `Question`, its weighted `KeyPoint`s, and the reader of the Markdown that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from corpus.documents import Problem, UnreadableFileError, decode, read_bytes, reason, split_front_matter
from corpus.sayings import by_point, read_sayings, sayings_of

Level = Literal["junior", "mid", "senior", "staff"]
Kind = Literal["concept", "compare", "derive", "compute", "code", "debug", "design", "behavioural"]
LEVELS: tuple[Level, ...] = get_args(Level)
KINDS: tuple[Kind, ...] = get_args(Kind)

_SECTIONS = ("Answer", "Key points", "Misconceptions", "Follow-ups", "Hints", "Tests")
_FIELDS = ("id", "level", "kind", "zh", "en", "aliases", "value", "unit", "check", "tolerance")
_WEIGHT = re.compile(r"\[(\d+(?:\.\d+)?)\]\s+")
_WRONG = re.compile(r"wrong[:：]\s*", re.IGNORECASE)
_LINK = re.compile(r"\s+(?:->|→)\s+((?:(?!->|→)[^#\n])+#[\w-]+)\s*$")
"""A guide may have spaces in its name: `-> Lecture 3#dropout`."""


@dataclass(frozen=True)
class KeyPoint:
    """One idea that a good answer makes, with the words different candidates would use for it."""

    text: str
    weight: float
    section: str
    """The guide section that supports it, as `topic#anchor`."""
    phrasings: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    """Statements that contradict it, as learners make them."""
    said: tuple[str, ...] = ()
    """What candidates said who made it: further phrasings, from the file beside the bank."""
    mistaken: tuple[str, ...] = ()
    """What candidates said who contradicted it, from the same file."""

    @property
    def ways_to_say(self) -> tuple[str, ...]:
        """The point and all its phrasings."""
        return (self.text, *self.phrasings, *self.said)

    @property
    def ways_to_err(self) -> tuple[str, ...]:
        """All that is known to contradict it."""
        return (*self.wrong, *self.mistaken)


@dataclass(frozen=True)
class Misconception:
    """A wrong belief as a learner would state it, and the section that corrects it."""

    text: str
    section: str


@dataclass(frozen=True)
class Quantity:
    """The number that a compute question asks for."""

    value: float
    unit: str
    check: str
    """A Python expression over numbers and `math` that must give `value`."""
    tolerance: float = 0.0
    """Relative."""


@dataclass(frozen=True)
class Question:
    """What the interviewer asks, and the rubric they have in mind."""

    id: str
    topic: str
    prompt: str
    level: Level
    kind: Kind
    answer: str
    key_points: tuple[KeyPoint, ...]
    translation: str = ""
    """The prompt in the other language: Chinese for an English question and the reverse."""
    aliases: tuple[str, ...] = ()
    misconceptions: tuple[Misconception, ...] = ()
    follow_ups: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    quantity: Quantity | None = None
    tests: str = ""
    """Python asserts that run after a solution; of code questions."""
    path: str = ""
    line: int = 0
    references: tuple[str, ...] = ()
    """Further model answers, each as good as `answer`; of questions that are in no bank."""

    @property
    def is_own(self) -> bool:
        """Whether it is in no bank: its key points are the sentences of a reference answer, or of what the guides say."""
        return not self.topic

    @property
    def wordings(self) -> tuple[str, ...]:
        """Every way in which the question is asked."""
        return tuple(dict.fromkeys(filter(None, (self.prompt, self.translation, *self.aliases))))


class _Mistakes:
    """Collects the problems of one file, so that its author can mend them in one go."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []

    def add(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.path, line, message))


def read_questions(paths: Iterable[Path]) -> tuple[list[Question], list[Problem]]:
    """Read every question bank (`*.md`) below the paths. A question with a mistake is left out and reported."""
    questions: list[Question] = []
    problems: list[Problem] = []
    for root in paths:
        for file in sorted(root.rglob("*.md")) if root.is_dir() else [root]:
            name = file.relative_to(root).as_posix() if root.is_dir() else file.name
            try:
                text = decode(read_bytes(file, suffixes=(".md", ".markdown")))
                if is_draft(text):
                    raise UnreadableFileError("it is a draft. Edit it, then delete its line `draft: true`.")
                found, mistakes = parse_questions(text, name)
                found, odd = with_sayings(found, sayings_of(file))
            except (UnreadableFileError, OSError) as error:
                problems.append(Problem(name, 0, reason(error)))
                continue
            questions.extend(found)
            problems.extend((*mistakes, *odd))
    return _without_duplicates(questions, problems), problems


def with_sayings(questions: list[Question], file: Path) -> tuple[list[Question], list[Problem]]:
    """The questions with what candidates say of their key points, where the file is there; what fits no key point is reported."""
    if not file.is_file():
        return questions, []
    sayings, problems = read_sayings([file])
    of_point = by_point(sayings)
    result = []
    for question in questions:
        points = []
        for point in question.key_points:
            item = of_point.pop((question.id, point.text), None)
            mistakes = tuple(first for first, *_ in item.mistakes) if item else ()
            points.append(replace(point, said=item.said, mistaken=mistakes) if item else point)
        result.append(replace(question, key_points=tuple(points)))
    problems += [
        Problem(
            item.path,
            item.line,
            f"the question {item.question_id!r} has no key point {item.statement[:60]!r}. Copy the point's text after `S:`, or delete what stands below.",
        )
        for item in of_point.values()
    ]
    return result, problems


def _without_duplicates(questions: Sequence[Question], problems: list[Problem]) -> list[Question]:
    first: dict[str, Question] = {}
    for question in questions:
        known = first.setdefault(question.id, question)
        if known is not question:
            problems.append(taken_id(question, known))
    return list(first.values())


def taken_id(question: Question, known: Question) -> Problem:
    """The mistake of a question that has the id of a known one."""
    message = f"the id {question.id!r} is taken by {known.path}:{known.line}. Give this question another one."
    return Problem(question.path, question.line, message)


def is_draft(text: str) -> bool:
    """Whether the front matter of a bank says `draft: true`: nobody has looked at it yet, so its questions do not count.

    Raises UnreadableFileError where the front matter cannot be parsed.
    """
    return split_front_matter(text)[0].get("draft") is True


def parse_questions(text: str, path: str) -> tuple[list[Question], list[Problem]]:
    """Parse one bank. Returns the sound questions and the mistakes of the others.

    Raises UnreadableFileError where the front matter cannot be parsed.
    """
    front, body = split_front_matter(text)
    mistakes = _Mistakes(path)
    topic = front.get("topic")
    if not topic:
        mistakes.add(1, "the front matter names no topic. Add `topic: …` between two lines of `---` at the top.")
    tokens = MarkdownIt("commonmark", {"html": False}).parse(body)
    lines = body.split("\n")
    questions = []
    for block in _question_blocks(tokens):
        before = len(mistakes.problems)
        question = _question(block, lines, str(topic or ""), mistakes)
        if len(mistakes.problems) == before and question is not None:
            questions.append(question)
    if not any(token.type == "heading_open" and token.tag == "h2" for token in tokens):
        mistakes.add(1, "there is no question in this file. Start each one with `## ` and its prompt.")
    return questions, mistakes.problems


def _question_blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    starts = [index for index, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    for start, end in pairwise([*starts, len(tokens)]):
        yield list(tokens[start:end])


def _question(block: list[Token], lines: Sequence[str], topic: str, mistakes: _Mistakes) -> Question | None:
    prompt, line = block[1].content.strip(), _line(block[0])
    fields = _fields(block, line, mistakes)
    parts = _parts(block, mistakes)
    question_id, level, kind = (str(fields.get(name) or "") for name in ("id", "level", "kind"))
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", question_id):
        mistakes.add(
            line, f"the id is {question_id!r}. Expected lower-case words with hyphens, e.g. `id: dropout-at-inference`."
        )
    if level not in LEVELS:
        mistakes.add(line, f"the level is {level!r}. Expected one of {', '.join(LEVELS)}.")
    if kind not in KINDS:
        mistakes.add(line, f"the kind is {kind!r}. Expected one of {', '.join(KINDS)}.")
    answer = _source(parts.get("Answer", []), lines)
    if not answer:
        mistakes.add(line, f"{prompt!r} has no answer. Add `### Answer` and 80 to 250 words below it.")
    key_points = [_key_point(item, mistakes) for item in _items(parts.get("Key points", []))]
    if not key_points:
        mistakes.add(line, f"{prompt!r} has no key points. Add `### Key points` and at least one `- [weight] …` line.")
    misconceptions = [_misconception(item, mistakes) for item in _items(parts.get("Misconceptions", []))]
    tests = [token.content for token in parts.get("Tests", []) if token.type == "fence"]
    quantity = _quantity(fields, line, mistakes) if kind == "compute" else None
    if level not in LEVELS or kind not in KINDS:
        return None
    return Question(
        id=question_id,
        topic=topic,
        prompt=prompt,
        level=level,
        kind=kind,
        answer=answer,
        key_points=tuple(point for point in key_points if point),
        translation=str(fields.get("zh") or fields.get("en") or ""),
        aliases=tuple(str(alias) for alias in _list(fields.get("aliases"))),
        misconceptions=tuple(item for item in misconceptions if item),
        follow_ups=tuple(item.text for item in _items(parts.get("Follow-ups", []))),
        hints=tuple(item.text for item in _items(parts.get("Hints", []))),
        quantity=quantity,
        tests="\n".join(tests),
        path=mistakes.path,
        line=line,
    )


def _fields(block: Sequence[Token], line: int, mistakes: _Mistakes) -> dict[str, object]:
    fence = next((token for token in block if token.type == "fence" and token.info.strip() == "yaml"), None)
    if fence is None:
        mistakes.add(line, "no ```yaml block below the prompt. It holds id, level and kind.")
        return {}
    try:
        fields = yaml.safe_load(fence.content)
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: a date that is none, such as 2024-13-01.
        mistakes.add(
            _line(fence),
            f"the yaml block cannot be parsed ({getattr(error, 'problem', error)}). Put values that hold a colon in quotes.",
        )
        return {}
    if not isinstance(fields, dict):
        mistakes.add(_line(fence), "the yaml block holds no `name: value` lines.")
        return {}
    for name in fields:
        if name not in _FIELDS:
            mistakes.add(_line(fence), f"unknown field {name!r}. Expected {', '.join(_FIELDS)}.")
    return fields


def _quantity(fields: dict[str, object], line: int, mistakes: _Mistakes) -> Quantity | None:
    value, tolerance = _number(fields.get("value")), _number(fields.get("tolerance", 0))
    unit, check = fields.get("unit"), fields.get("check")
    if value is None or not unit or check is None:
        mistakes.add(
            line, "a compute question needs the fields value (a number), unit and check (an expression that gives it)."
        )
        return None
    if tolerance is None or tolerance < 0:
        mistakes.add(line, f"the tolerance is {fields['tolerance']!r}. Expected a number, 0 or more; it is relative.")
        return None
    return Quantity(value, str(unit), str(check), tolerance)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        # YAML 1.1 takes `1e9` for a string.
        try:
            return float(value.replace("_", ""))
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _parts(block: Sequence[Token], mistakes: _Mistakes) -> dict[str, list[Token]]:
    parts: dict[str, list[Token]] = {}
    current: list[Token] | None = None
    skip = 0
    for index, token in enumerate(block):
        if skip:
            skip -= 1
        elif token.type == "heading_open" and token.tag == "h3":
            name = block[index + 1].content.strip()
            if name not in _SECTIONS:
                mistakes.add(_line(token), f"unknown section {name!r}. Expected one of {', '.join(_SECTIONS)}.")
            current = parts.setdefault(name, [])
            skip = 2
        elif current is not None:
            current.append(token)
    return parts


@dataclass(frozen=True)
class _Item:
    text: str
    line: int
    children: tuple[str, ...]


def _items(tokens: Sequence[Token]) -> list[_Item]:
    """The entries of the top-level lists among the tokens, each with the entries nested in it."""
    items: list[_Item] = []
    depth = 0
    for token in tokens:
        if token.type == "list_item_open":
            depth += 1
        elif token.type == "list_item_close":
            depth -= 1
        elif token.type == "inline" and depth:
            text = " ".join(token.content.split())
            if depth == 1:
                items.append(_Item(text, _line(token), ()))
            elif items:
                last = items[-1]
                items[-1] = _Item(last.text, last.line, (*last.children, text))
    return items


def _key_point(item: _Item, mistakes: _Mistakes) -> KeyPoint | None:
    weight = _WEIGHT.match(item.text)
    if not weight or float(weight[1]) <= 0:
        mistakes.add(item.line, "a key point has no positive weight. Start it with `[3]`, `[2]` or `[1]`.")
        return None
    text, section = _cut_link(item.text[weight.end() :])
    right = tuple(child for child in item.children if not _WRONG.match(child))
    wrong = tuple(_WRONG.sub("", child) for child in item.children if _WRONG.match(child))
    if not all(wrong):
        mistakes.add(item.line, "a `wrong:` line is empty. Write a statement that contradicts the key point.")
        return None
    return KeyPoint(text, float(weight[1]), section, right, wrong)


def _misconception(item: _Item, mistakes: _Mistakes) -> Misconception | None:
    text, section = _cut_link(item.text)
    if not text:
        mistakes.add(item.line, "a misconception is empty. Write the wrong belief as a learner would state it.")
        return None
    return Misconception(text, section)


def _cut_link(text: str) -> tuple[str, str]:
    link = _LINK.search(text)
    return (text[: link.start()].strip(), link[1]) if link else (text.strip(), "")


def _source(tokens: Sequence[Token], lines: Sequence[str]) -> str:
    maps = [token.map for token in tokens if token.map]
    if not maps:
        return ""
    return "\n".join(lines[min(start for start, _ in maps) : max(end for _, end in maps)]).strip()


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value] if value else []

"""The authors' linter: does a corpus hold together? Every mistake of a folder, with file, line and what to do."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml
from pylatexenc.latexwalker import LatexWalker, LatexWalkerParseError

from corpus.chunks import anchor, count_words
from corpus.documents import TEXT_SUFFIXES, Document, Problem, UnreadableFileError, decode, read_guides
from corpus.questions import Question, parse_questions, read_questions, taken_id

NEAR_DUPLICATE = 0.8
"""Cosine of two prompts' TF-IDF vectors over words and character 4-grams from which they count as the same question."""
ANSWER_WORDS = (50, 300)
"""The authors aim for 80 to 250 words; outside of this range an answer is an outline or an essay."""

_FORMULA = re.compile(
    r"\$\$(?P<block>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?![\d\w])", re.DOTALL
)
_CODE = re.compile(r"^(```+|~~~+).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_MAX_EXPONENT = 1000
_MAX_BASE = 1e100
_MAX_COUNT = 10_000
"""Of what is counted by factorials: beyond it, and beyond the powers above, whole numbers grow until memory ends."""
_COUNTING = frozenset({"comb", "factorial", "perm"})
_FUNCTIONS: dict[str, Callable[..., float]] = {
    **{name: getattr(math, name) for name in dir(math) if callable(getattr(math, name)) and not name.startswith("_")},
    **{"abs": abs, "max": max, "min": min, "round": round, "sum": sum},
}


def check_corpus(folder: Path) -> list[Problem]:
    """Check the `guides` and `questions` below a folder, and its `coverage.yaml` where there is one.

    Raises FileNotFoundError where there is nothing to check.
    """
    guides, banks = folder / "guides", folder / "questions"
    if not guides.is_dir() and not banks.is_dir():
        raise FileNotFoundError(
            f"{str(folder)!r} has neither a folder `guides` nor a folder `questions`. Make one, or name another folder."
        )
    documents, problems = read_guides([guides]) if guides.is_dir() else ([], [])
    problems = [_below("guides", problem) for problem in problems]
    questions, mistakes = read_questions([banks]) if banks.is_dir() else ([], [])
    problems += [_below("questions", problem) for problem in mistakes]
    sections = guide_sections(documents)
    for document in documents:
        # The conventions are for what is written here; a PDF has no front matter to mend.
        if document.id.lower().endswith(TEXT_SUFFIXES):
            problems += [_below("guides", problem) for problem in _check_guide(document, sections)]
    for question in questions:
        problems += [_below("questions", problem) for problem in _check_question(question, sections)]
    problems += [_below("questions", problem) for problem in _near_duplicates(questions)]
    if (folder / "coverage.yaml").is_file():
        problems += _check_coverage(folder / "coverage.yaml", questions, sections)
    return sorted(problems, key=lambda problem: (problem.path, problem.line))


@dataclass(frozen=True)
class BankCheck:
    """What the linter says of one question bank."""

    questions: tuple[Question, ...]
    """Those that can join the others."""
    left_out: tuple[Problem, ...]
    """Mistakes for which a question cannot join, in the order of the file."""
    advice: tuple[Problem, ...]
    """What would make the others better, in the order of the file."""


def check_bank(
    text: str, name: str, *, sections: Mapping[str, Mapping[str, int]], others: Sequence[Question]
) -> BankCheck:
    """Check one bank that is to join others. `sections` are those that its key points may link, as `guide_sections` gives them.

    Raises UnreadableFileError where the front matter cannot be parsed.
    """
    found, mistakes = parse_questions(text, name)
    taken = {question.id: question for question in others}
    questions = []
    for question in found:
        known = taken.setdefault(question.id, question)
        if known is question:
            questions.append(question)
        else:
            mistakes.append(taken_id(question, known))
    advice = [problem for question in questions for problem in _check_question(question, sections)]
    # Among the others alone there is nothing that this author could mend.
    near = [problem for problem in _near_duplicates([*others, *questions]) if problem.path == name]
    lines = {question.line for question in questions}
    advice += [problem for problem in near if problem.line in lines]

    def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
        return tuple(sorted(problems, key=lambda problem: problem.line))

    return BankCheck(tuple(questions), ordered(mistakes), ordered(advice))


def _below(folder: str, problem: Problem) -> Problem:
    return Problem(f"{folder}/{problem.path}", problem.line, problem.message)


def guide_sections(documents: Iterable[Document]) -> dict[str, dict[str, int]]:
    """`{guide id without its suffix: {anchor of a heading: line}}`."""
    sections: dict[str, dict[str, int]] = {}
    for document in documents:
        name = document.id.rsplit(".", 1)[0]
        sections[name] = {}
        for line, heading in _headings(document.text):
            sections[name].setdefault(anchor(heading), line)
    return sections


def _headings(text: str) -> Iterator[tuple[int, str]]:
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        heading = re.match(r"#{1,6}\s+(.+?)\s*#*$", line)
        if heading and not fence:
            yield number, heading[1]


def _check_guide(document: Document, sections: Mapping[str, Mapping[str, int]]) -> Iterator[Problem]:
    name = document.id.rsplit(".", 1)[0]
    for value, field in ((document.level, "level"), (document.summary, "summary")):
        if not value:
            yield Problem(document.id, 1, f"the front matter has no {field}. Add a line `{field}: …`.")
    if document.topic != name:
        yield Problem(
            document.id, 1, f"the topic is {document.topic!r} but the file is called {name!r}. Make them the same."
        )
    seen: dict[str, int] = {}
    for line, heading in _headings(document.text):
        key = anchor(heading)
        if key in seen:
            yield Problem(
                document.id,
                line,
                f"the heading {heading!r} stands at line {seen[key]} too. Name one of them otherwise.",
            )
        seen.setdefault(key, line)
    yield from _check_formulas(document.text, document.id, 0)
    yield from _check_links(document, sections)


def _check_links(document: Document, sections: Mapping[str, Mapping[str, int]]) -> Iterator[Problem]:
    here = document.id.rsplit(".", 1)[0]
    text = _CODE.sub(_blank, document.text)
    for match in re.finditer(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)", text):
        target = match[1]
        if re.match(r"[a-z]+:", target):
            continue
        line = text.count("\n", 0, match.start()) + 1
        file, _, fragment = target.partition("#")
        guide = _resolve(here, file) if file else here
        if guide not in sections:
            yield Problem(
                document.id, line, f"the link {target!r} leads to no guide. Known: {', '.join(sorted(sections))}."
            )
        elif fragment and fragment not in sections[guide]:
            yield Problem(
                document.id, line, f"the link {target!r} leads to no section.{_nearest(fragment, sections[guide])}"
            )


def _resolve(here: str, file: str) -> str:
    parts = here.split("/")[:-1]
    for part in file.removesuffix(".md").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _check_question(question: Question, sections: Mapping[str, Mapping[str, int]]) -> Iterator[Problem]:
    def problem(message: str) -> Problem:
        return Problem(question.path, question.line, f"{question.id}: {message}")

    words = count_words(question.answer)
    if not ANSWER_WORDS[0] <= words <= ANSWER_WORDS[1]:
        yield problem(f"the answer has {words} words. Expected {ANSWER_WORDS[0]} to {ANSWER_WORDS[1]}.")
    if not 3 <= len(question.key_points) <= 7:
        yield problem(f"it has {len(question.key_points)} key points. Expected 3 to 7.")
    if not question.translation:
        yield problem("it has no wording in the other language. Add `zh: …` (or `en: …` to a Chinese question).")
    if not 1 <= len(question.misconceptions) <= 3:
        yield problem(f"it has {len(question.misconceptions)} misconceptions. Expected 1 to 3.")
    if len(question.follow_ups) != 2:
        yield problem(f"it has {len(question.follow_ups)} follow-ups. Expected 2, the second a step deeper.")
    if len(question.hints) > 3:
        yield problem(f"it has {len(question.hints)} hints. Expected at most 3.")
    for point in question.key_points:
        if not 2 <= len(point.phrasings) <= 8:
            yield problem(
                f"the key point {point.text[:60]!r} has {len(point.phrasings)} alternative phrasings. Expected 2 to 8."
            )
    claims = [(item.text, item.section) for item in question.key_points]
    for text, section in [*claims, *((item.text, item.section) for item in question.misconceptions)]:
        wrong = _wrong_section(section, sections)
        if wrong:
            yield problem(f"{text[:60]!r} {wrong}")
    if question.quantity:
        yield from map(problem, _wrong_quantity(question))
    if question.kind == "code" and not ("```python" in question.answer and question.tests):
        yield problem("a code question needs a ```python block in its answer and one under `### Tests`.")
    for text in (question.prompt, question.answer, *(point.text for point in question.key_points)):
        yield from _check_formulas(text, question.path, question.line)


def _wrong_section(link: str, sections: Mapping[str, Mapping[str, int]]) -> str:
    if not link:
        return "links no guide section. End the line with ` -> topic#anchor`."
    guide, _, fragment = link.partition("#")
    if guide not in sections:
        return f"links the guide {guide!r}, which does not exist. Known: {', '.join(sorted(sections))}."
    if fragment not in sections[guide]:
        return f"links {link!r}, which is no section.{_nearest(fragment, sections[guide])}"
    return ""


def _nearest(name: str, known: Mapping[str, int]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else " Its headings have other names."


def _wrong_quantity(question: Question) -> Iterator[str]:
    quantity = question.quantity
    if quantity is None:
        return
    try:
        value = evaluate(quantity.check)
    except (ValueError, ArithmeticError, SyntaxError, TypeError, RecursionError) as error:
        yield f"the check {quantity.check!r} cannot be evaluated ({error}). Use numbers, operators and functions of `math`."
        return
    if not math.isclose(value, quantity.value, rel_tol=max(quantity.tolerance, 1e-9)):
        yield f"the check {quantity.check!r} gives {value:g}, but the value is {quantity.value:g} (tolerance {quantity.tolerance:g})."


def evaluate(expression: str) -> float:
    """The value of an arithmetic expression over numbers and the functions of `math`.

    Only arithmetic is walked, so that a bank from elsewhere cannot run code. Raises ValueError for anything else.
    """

    def value(node: ast.AST) -> float:
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = value(node.left), value(node.right)
            if isinstance(node.op, ast.Pow) and (abs(right) > _MAX_EXPONENT or abs(left) > _MAX_BASE):
                raise ValueError(f"the power {ast.unparse(node)!r} is too large")
            result = _OPERATORS[type(node.op)](left, right)
            if isinstance(result, complex):
                raise ValueError(f"{ast.unparse(node)!r} is not a real number")
            return result
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.operand))
        name = node.func if isinstance(node, ast.Call) else node
        if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "math":
            word = name.attr
        elif isinstance(name, ast.Name):
            word = name.id
        else:
            raise ValueError(f"{ast.unparse(node)!r} is not arithmetic")
        if isinstance(node, ast.Call) and word in _FUNCTIONS and not node.keywords:
            arguments = [value(argument) for argument in node.args]
            if word in _COUNTING and any(abs(argument) > _MAX_COUNT for argument in arguments):
                raise ValueError(f"{ast.unparse(node)!r} is too large")
            return float(_FUNCTIONS[word](*arguments))
        if not isinstance(node, ast.Call) and word in {"pi", "e", "inf"}:
            return float(getattr(math, word))
        raise ValueError(f"{word!r} is not known")

    return value(ast.parse(expression.strip(), mode="eval"))


def _check_formulas(text: str, path: str, offset: int) -> Iterator[Problem]:
    text = _CODE.sub(_blank, text)
    for match in _FORMULA.finditer(text):
        formula = match["block"] or match["inline"]
        try:
            LatexWalker(formula, tolerant_parsing=False).get_latex_nodes()
        except LatexWalkerParseError as error:
            line = offset or text.count("\n", 0, match.start()) + 1
            yield Problem(
                path,
                line,
                f"the formula {formula.strip()[:60]!r} cannot be parsed ({str(error).splitlines()[0]}). Balance its braces.",
            )


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _near_duplicates(questions: Sequence[Question]) -> Iterator[Problem]:
    if len(questions) < 2:
        return
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    prompts = [question.prompt for question in questions]
    features = FeatureUnion(
        [
            ("words", TfidfVectorizer(sublinear_tf=True)),
            ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(4, 4), sublinear_tf=True)),
        ]
    )
    vectors = features.fit_transform(prompts)
    # Each half has unit length, so the sum of both is 2 for equal prompts.
    similarity = (vectors @ vectors.T).tocoo()
    for row, column, value in zip(similarity.row, similarity.col, similarity.data, strict=True):
        if row < column and value / 2 >= NEAR_DUPLICATE:
            first, second = questions[row], questions[column]
            yield Problem(
                second.path,
                second.line,
                f"{second.id}: nearly the same prompt as {first.id} ({first.path}:{first.line}, similarity {value / 2:.2f}). "
                "Make it an alias of that question.",
            )


def _check_coverage(
    file: Path, questions: Sequence[Question], sections: Mapping[str, Mapping[str, int]]
) -> Iterator[Problem]:
    try:
        coverage = yaml.safe_load(decode(file.read_bytes()))
    except (UnreadableFileError, yaml.YAMLError) as error:
        yield Problem(file.name, 0, f"it is not YAML ({getattr(error, 'problem', None) or error}).")
        return
    ids = {question.id for question in questions}
    for source, entries in coverage.items() if isinstance(coverage, dict) else [(file.name, coverage)]:
        if not isinstance(entries, dict):
            yield Problem(
                file.name, 0, f"{source!r} lists nothing. Write `entry: [question ids or topic#anchor]` below it."
            )
            continue
        for entry, answers in entries.items():
            if not isinstance(answers, list) or not answers:
                yield Problem(
                    file.name,
                    0,
                    f"{source}, {entry!r}: nothing answers it. Name question ids or guide sections in `[…]`.",
                )
                continue
            for answer in map(str, answers):
                known = _wrong_section(answer, sections) == "" if "#" in answer else answer in ids
                if not known:
                    yield Problem(
                        file.name, 0, f"{source}, {entry!r}: {answer!r} is neither a question id nor a guide section."
                    )

"""Cases as JSON lines, and folders in BEIR's format: read, checked, all mistakes reported together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from corpus.documents import Document, Problem, language_of


class CaseError(ValueError):
    """A file of cases that cannot be used at all."""


@dataclass(frozen=True)
class Relevant:
    """A section that answers a case (grade 2) or helps (grade 1)."""

    document: str
    """Id or file name of a guide."""
    heading: str
    """Any heading on the passage's path."""
    grade: int


@dataclass(frozen=True)
class RetrievalCase:
    """A question, and the sections in which a good search finds its answer."""

    id: str
    question: str
    history: tuple[str, ...] = ()
    """Earlier questions of the conversation, oldest first."""
    answerable: bool = True
    relevant: tuple[Relevant, ...] = ()
    kind: str = ""
    """What the case probes (`paraphrase`, `followup`, `chinese` …); figures are given for each."""
    standalone: str = ""
    """A follow-up as it would be asked without the conversation, to compare with; empty where the case does not give it."""
    file: str = field(default="", compare=False)
    """Where it was read."""
    line: int = field(default=0, compare=False)

    @property
    def before(self) -> str:
        """The question before this one; empty where it opens the conversation."""
        return self.history[-1] if self.history else ""

    @property
    def expected(self) -> str:
        """The sections that answer or help, for a reader."""
        return "expected: " + "; ".join(f"{item.document} > {item.heading}" for item in self.relevant)


class Case(Protocol):
    """Anything that a line of a file describes, under an id of its own."""

    @property
    def id(self) -> str: ...


AnyCase = TypeVar("AnyCase", bound=Case)


def read_cases(path: Path) -> tuple[list[RetrievalCase], list[Problem]]:
    """Cases from a file of JSON lines, or from all `*.jsonl` of a folder. A line with a mistake is reported and left out.

    Raises CaseError where nothing can be read.
    """
    cases, problems, places = _read(path, _case, "id, question, answerable, relevant")
    return [replace(case, file=places[case.id][0], line=places[case.id][1]) for case in cases], problems


def read_lines(
    path: Path, case: Callable[[dict[str, Any]], AnyCase], fields: str
) -> tuple[list[AnyCase], list[Problem]]:
    """What `case` makes of each line of a file, or of all `*.jsonl` of a folder, and what is wrong with the other lines.

    `case` raises KeyError for a field that is missing, TypeError or ValueError for one that cannot be used; `fields` tells what
    a line should have. Raises CaseError where no line can be used.
    """
    cases, problems, _ = _read(path, case, fields)
    return cases, problems


def _read(
    path: Path, case: Callable[[dict[str, Any]], AnyCase], fields: str
) -> tuple[list[AnyCase], list[Problem], dict[str, tuple[str, int]]]:
    """As `read_lines`, with the file and the line of each case by its id."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise CaseError(f"No cases at {str(path)!r}. Expected a .jsonl file, or a folder with some.")
    cases: dict[str, AnyCase] = {}
    places: dict[str, tuple[str, int]] = {}
    problems: list[Problem] = []
    for file in files:
        for number, row, mistake in read_rows(file):
            try:
                if mistake:
                    raise ValueError(mistake)
                if not isinstance(row, dict):
                    raise TypeError(f"expected a JSON object, got {type(row).__name__}")
                found = case(row)
                if cases.setdefault(found.id, found) is not found:
                    raise ValueError(f"the id {found.id!r} is taken by another case")
                places[found.id] = file.name, number
            except KeyError as error:
                problems.append(Problem(file.name, number, f"the field {error} is missing. Expected {fields}."))
            except (AttributeError, OverflowError, TypeError, ValueError) as error:
                problems.append(Problem(file.name, number, f"{error}. Expected {fields}."))
    if not cases:
        reasons = "; ".join(map(str, problems[:3])) or "the file is empty"
        raise CaseError(f"No usable case in {str(path)!r}: {reasons}")
    return list(cases.values()), problems, places


def first_of_each_kind(cases: Sequence[RetrievalCase], count: int) -> list[RetrievalCase]:
    """The first `count` cases of each kind, in their order; all for 0."""
    seen: Counter[str] = Counter()
    kept = []
    for case in cases:
        seen[case.kind] += 1
        if not count or seen[case.kind] <= count:
            kept.append(case)
    return kept


def read_rows(file: Path) -> Iterator[tuple[int, Any, str]]:
    """Number, value and mistake of each line that is not blank."""
    # Not splitlines(): U+2028 and its like may stand inside of a JSON string.
    for number, line in enumerate(file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            value, mistake = _read_row(line)
            yield number, value, mistake


def _read_row(line: bytes) -> tuple[Any, str]:
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        return None, f"not JSON ({error.msg} at column {error.colno})"
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 text ({error.reason})"
    except UnicodeEncodeError:
        return None, "half of a surrogate pair stands in it, which is JSON but no text"
    except RecursionError:
        return None, "not JSON that can be read: brackets within brackets without end"
    except ValueError as error:
        return None, str(error)
    return value, ""


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _case(row: dict[str, Any]) -> RetrievalCase:
    question = str(row["question"]).strip()
    if not question:
        raise ValueError("the question is empty")
    answerable, history = row["answerable"], row.get("history") or []
    if not isinstance(answerable, bool) or not isinstance(history, list):
        raise TypeError("answerable is not true or false, or history is not a list")
    relevant = tuple(
        Relevant(str(item["document"]), str(item["heading"]), int(item["grade"])) for item in row["relevant"]
    )
    if answerable and not relevant:
        raise ValueError("an answerable case names no relevant section")
    return RetrievalCase(
        id=str(row["id"]),
        question=question,
        history=tuple(map(str, history)),
        standalone=str(row.get("standalone") or "").strip(),
        answerable=answerable,
        relevant=relevant,
        kind=str(row.get("kind") or ("single" if answerable else "unanswerable")),
    )


def is_beir(path: Path) -> bool:
    """Whether a folder has BEIR's three parts (Thakur et al. 2021)."""
    return (path / "corpus.jsonl").is_file() and (path / "queries.jsonl").is_file()


def read_beir(folder: Path) -> tuple[list[Document], list[RetrievalCase]]:
    """The documents and cases of a BEIR folder: `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`.

    The cases' relevant sections have no heading: any passage of the document counts. Raises CaseError for a broken line.
    """
    documents = []
    for row in _beir_rows(folder / "corpus.jsonl"):
        name, title = str(row["_id"]), str(row.get("title") or "")
        text = str(row["text"])
        language = language_of(text)
        documents.append(Document(id=name, title=title or name, text=text, sha256=name, topic="", language=language))
    judged: dict[str, list[Relevant]] = {}
    qrels = folder / "qrels" / "test.tsv"
    if not qrels.is_file():
        raise CaseError(f"No {str(qrels)!r}. Expected lines of query-id, corpus-id and score, with tabs between them.")
    for number, line in enumerate(qrels.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != 3 or (number > 1 and not fields[2].strip().lstrip("-").isdigit()):
            raise CaseError(f"{qrels.name}:{number}: expected query-id, corpus-id and a whole score, got {line!r}.")
        if fields[2].strip().lstrip("-").isdigit() and int(fields[2]) > 0:
            # BEIR grades from 1; a relevant document answers the query.
            judged.setdefault(fields[0], []).append(Relevant(fields[1], "", int(fields[2]) + 1))
    cases = [
        RetrievalCase(
            id=str(row["_id"]), question=str(row["text"]), relevant=tuple(judged[str(row["_id"])]), kind="beir"
        )
        for row in _beir_rows(folder / "queries.jsonl")
        if str(row["_id"]) in judged
    ]
    return documents, cases


def _beir_rows(file: Path) -> Iterator[dict[str, Any]]:
    for number, row, mistake in read_rows(file):
        if mistake or not isinstance(row, dict) or "_id" not in row or "text" not in row:
            raise CaseError(f"{file.name}:{number}: {mistake or 'expected an object with _id and text'}.")
        yield row

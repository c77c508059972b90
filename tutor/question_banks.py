"""The instructor's own question banks, kept in the home folder: checked by the linter, and part of the bank at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from threading import Event

from corpus.check import BankCheck, check_bank, guide_sections
from corpus.documents import MAX_BYTES, Problem, UnreadableFileError, decode, read_bytes
from corpus.questions import Question, is_draft, parse_questions, with_sayings
from corpus.sayings import SAID_SUFFIX, sayings_of
from index.build import Progress
from index.passage_index import IndexMissingError, write_atomically
from tutor.question_drafts import Draft, DraftError, draft_questions
from tutor.tutor import Tutor

_DRAFT_LINE = re.compile(r"\A(---[ \t]*\n(?:.*\n)*?)draft:[ \t]*true[ \t]*\n", re.IGNORECASE)


class BankError(ValueError):
    """A question bank that cannot be kept; the message says why, and `check` what the linter found."""

    def __init__(self, message: str, check: BankCheck | None = None) -> None:
        super().__init__(message)
        self.check = check


@dataclass(frozen=True)
class OwnBank:
    """A bank of the home folder."""

    name: str
    questions: int
    """That count."""
    mistakes: int
    """For which a question was left out."""


@dataclass(frozen=True)
class KeptSayings:
    """What candidates say of the key points of an own bank, as it was kept."""

    key_points: int
    """How many have further phrasings or mistakes now."""
    problems: tuple[Problem, ...]
    """Lines that fit no key point, or cannot be read."""


@dataclass(frozen=True)
class QuestionBanks:
    """The own banks of a tutor."""

    tutor: Tutor

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self.tutor.settings.home / "questions"

    def all(self) -> list[OwnBank]:
        """The own banks, by name."""
        counted = set(map(_place, self.tutor.questions))
        banks = []
        for file in sorted(self.folder.glob("*.md")):
            try:
                found, mistakes = parse_questions(self.text(file.name), file.name)
            except UnreadableFileError:
                banks.append(OwnBank(file.name, 0, 1))
                continue
            joined = sum(_place(question) in counted for question in found)
            banks.append(OwnBank(file.name, joined, len(mistakes) + len(found) - joined))
        return banks

    def text(self, name: str) -> str:
        """The Markdown of an own bank. Raises BankError where there is none of this name, UnreadableFileError."""
        return decode(read_bytes(self._file(name), suffixes=(".md",)))

    def _file(self, name: str) -> Path:
        file = self.folder / bank_name(name)
        if not file.is_file():
            known = ", ".join(sorted(path.name for path in self.folder.glob("*.md"))) or "none yet"
            raise BankError(f"There is no own question bank {name!r}. There are: {known}.")
        return file

    def check(self, text: str, name: str) -> BankCheck:
        """What the linter says of a bank that is to be kept under this name, also of a draft.

        Raises UnreadableFileError where the front matter cannot be parsed.
        """
        file = self.folder / bank_name(name)
        # What it replaces is no competitor.
        former = set(map(_place, parse_questions(self.text(name), file.name)[0] if file.is_file() else []))
        others = [question for question in self.tutor.questions if _place(question) not in former]
        return check_bank(text, file.name, sections=self.sections(), others=others)

    def sections(self) -> Mapping[str, Mapping[str, int]]:
        """The sections of the guides that key points may link: by guide, then by anchor, each with its line."""
        try:
            index = self.tutor.index
        except IndexMissingError:
            return {}
        sections = guide_sections(index.documents)
        for link, chunks in index.by_section.items():
            guide, _, anchor = link.rpartition("#")
            # Entries of long lists are sections too, and headings count without their ordinals.
            sections.setdefault(guide, {}).setdefault(anchor, chunks[0].start_line)
        return sections

    def save(self, text: str, name: str) -> BankCheck:
        """Keep a bank, in place of one of the same name; its questions count at once. Returns what the linter says of it.

        Raises BankError where it is a draft still, is too long, or has no question that can join the others.
        """
        name = bank_name(name)
        if len(text.encode(errors="replace")) > MAX_BYTES:
            raise BankError(f"The bank has more than {MAX_BYTES / 1e6:.0f} MB. Split it.")
        try:
            if is_draft(text):
                raise BankError(f"{name} is a draft still. Read and edit it, then delete its line `draft: true`.")
            check = self.check(text, name)
        except UnreadableFileError as error:
            raise BankError(f"{name}: {error}") from error
        if not check.questions:
            raise BankError(f"{name} has no question that can join the bank.", check)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / name, text)
        self.tutor.read_bank()
        return check

    def draft(
        self,
        document_id: str,
        *,
        count: int,
        progress: Progress = lambda _stage, _done, _total: None,
        stop: Event | None = None,
    ) -> Draft:
        """Draft questions from a guide of the library; kept nowhere. Raises DraftError, and what `Tutor.index` raises."""
        tutor, index = self.tutor, self.tutor.index
        document = index.documents_by_id.get(document_id)
        if document is None:
            near = get_close_matches(document_id, index.documents_by_id, n=3, cutoff=0.4)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise DraftError(f"There is no guide {document_id!r} in the library.{hint} See: tutor index --list")
        return draft_questions(
            document,
            index.chunks_of(document_id),
            model=tutor.model,
            embedder=index.embedder,
            idf=index.keywords.idf,
            count=count,
            reply_tokens=tutor.settings.max_new_tokens,
            progress=progress,
            stop=stop,
        )

    def add(self, file: Path) -> BankCheck:
        """Keep a bank from a file, as `save` does."""
        try:
            text = decode(read_bytes(file, suffixes=(".md", ".markdown")))
        except UnreadableFileError as error:
            raise BankError(f"{file.name}: {error}") from error
        return self.save(text, file.name)

    def add_sayings(self, file: Path) -> KeptSayings:
        """Keep what candidates say of the key points of an own bank: `NAME.said.txt` beside `NAME.md`, in place of what was there.

        Raises BankError where there is no own bank of this name, or nothing in the file fits it.
        """
        bank = self._file(file.name.removesuffix(SAID_SUFFIX))
        try:
            text = decode(read_bytes(file, suffixes=(".txt",)))
            found, problems = with_sayings(parse_questions(self.text(bank.name), bank.name)[0], file)
        except UnreadableFileError as error:
            raise BankError(f"{file.name}: {error}") from error
        points = sum(bool(point.said or point.mistaken) for question in found for point in question.key_points)
        if not points:
            why = "; ".join(map(str, problems[:3])) or "it is empty"
            raise BankError(f"{file.name} says nothing of the key points of {bank.name}: {why}")
        write_atomically(sayings_of(bank), text)
        self.tutor.read_bank()
        return KeptSayings(points, tuple(problems))

    def remove(self, name: str) -> None:
        """Delete an own bank, with what candidates say of it; its questions no longer count. Raises BankError where there is none."""
        file = self._file(name)
        file.unlink()
        sayings_of(file).unlink(missing_ok=True)
        self.tutor.read_bank()


def _place(question: Question) -> tuple[str, str, int, str]:
    """What tells a question from others, whatever candidates say of it."""
    return question.id, question.path, question.line, question.prompt


def bank_name(name: str) -> str:
    """The file name under which a bank is kept. Raises BankError for one that leads elsewhere or is none."""
    stem = name.strip().removesuffix(".md").removesuffix(".markdown")
    if not stem or stem.startswith(".") or re.search(r"[/\\\0:*?\"<>|\n]", stem) or len(stem.encode()) > 200:
        raise BankError(f"{name!r} cannot be the name of a bank. Expected a file name, e.g. my-questions.md.")
    return f"{stem}.md"


def without_draft_mark(text: str) -> str:
    """The bank without the line that keeps a draft from counting."""
    return _DRAFT_LINE.sub(r"\1", text, count=1)

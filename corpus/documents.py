"""Guides as they are read from disk: `Document`, and the cleaning that keeps every line where it was."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ftfy
import yaml
from ftfy.badness import is_bad

from corpus.formats import READERS, convert
from corpus.readings import ConversionError, Reading

TEXT_SUFFIXES = (".md", ".markdown", ".txt")
GUIDE_SUFFIXES = (*TEXT_SUFFIXES, *READERS)
MAX_BYTES = 20_000_000
"""A larger text is a dump, not a guide; the longest study guides seen are under 2 MB."""
MAX_CONVERTED_BYTES = 100_000_000
"""For formats that hold pictures as well."""
_SAVE_AS = {
    ".doc": ".docx",
    ".rtf": ".docx",
    ".odt": ".docx",
    ".pages": ".docx",
    ".ppt": ".pptx",
    ".odp": ".pptx",
    ".key": ".pptx",
    ".mobi": ".epub",
    ".azw3": ".epub",
    ".djvu": ".pdf",
    ".ps": ".pdf",
}

# Text inside an HTML block shorter than this is a counter, a button or a caption, not something to learn from.
_MIN_HTML_TEXT = 40
_HTML_TAGS = (
    "a|abbr|address|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del|details|div|dl|dt|em|"
    "figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|"
    "nav|ol|p|path|picture|pre|q|s|samp|script|section|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|"
    "td|tfoot|th|thead|time|title|tr|tt|u|ul|var|video|wbr"
)
# Code and formulas come first in the alternation, so that a tag-like `a <b` inside them is left alone.
_TAG = rf"<!--.*?-->|</?(?:{_HTML_TAGS}|\w+[_-]\w+)(?:\s+[^<>]*)?/?>|</(?:{_HTML_TAGS})\s*$"
_CODE_MATH_OR_TAG = re.compile(
    rf"(?P<keep>(?P<ticks>`+).*?(?P=ticks)|\$\$.*?\$\$|\$[^$\s][^$]*\$)|{_TAG}", re.IGNORECASE
)
_BLOCK_TAG_LINE = re.compile(
    rf"\s*(?!</?(?:a|abbr|b|cite|code|del|em|i|ins|kbd|mark|q|s|small|span|strong|sub|sup|u|var)\b)(?:{_TAG})",
    re.IGNORECASE,
)
_UNREAD_ELEMENT = re.compile(r"\s*<(script|style|svg|iframe|nav|form|button)\b", re.IGNORECASE)
_LIQUID_LINE = re.compile(r"^\s*\{[%{].*[%}]\}\s*$")
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class Document:
    """A guide, cleaned for reading. `text` has as many lines as a text file, so line numbers still point into that."""

    id: str
    """Path below the folder it was read from, with forward slashes: `zh/interview-notes.md`."""
    title: str
    text: str
    sha256: str
    """Of the bytes of the file; what tells a changed guide from an unchanged one."""
    topic: str
    level: str = ""
    language: str = "en"
    """`zh` or `en`: the language most of it is written in."""
    summary: str = ""
    sources: tuple[str, ...] = ()
    page_starts: tuple[int, ...] = ()
    """1-based line of `text` on which each page or slide begins; empty where the format has none."""


@dataclass(frozen=True)
class Problem:
    """A mistake in a file, as its author wants to read it."""

    path: str
    line: int
    """1-based; 0 where the mistake is the file itself."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


class UnreadableFileError(ValueError):
    """A file that cannot be read as a guide or a question bank; the message says why and what to do."""


def guide_files(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Every guide below the paths as `(document id, file)`, in the order of their ids.

    A folder is searched for readable kinds of file and others in it are passed over; a file that is named itself is
    always given, so that reading it can say what is wrong with it. Raises FileNotFoundError for a path that is missing.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"No such file or folder: {str(path)!r}. Give a guide ({', '.join(GUIDE_SUFFIXES)}) or a folder."
            )
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                relative = file.relative_to(path)
                # An office program keeps `~$name.docx` beside a document that is open.
                hidden = any(part.startswith((".", "~$")) for part in relative.parts)
                if file.suffix.lower() in GUIDE_SUFFIXES and not hidden and file.is_file():
                    _add(found, relative.as_posix(), file)
        else:
            _add(found, path.name, path)
    yield from sorted(found.items())


def _add(found: dict[str, Path], document_id: str, file: Path) -> None:
    known = found.get(document_id)
    if known is not None and known.resolve() != file.resolve():
        raise ValueError(
            f"Two guides are called {document_id!r}: {str(known)!r} and {str(file)!r}. Rename one of them."
        )
    found[document_id] = file


def read_guides(paths: Iterable[Path]) -> tuple[list[Document], list[Problem]]:
    """Read every guide below the paths. What cannot be read is reported beside the documents, not raised."""
    documents, problems = [], []
    for document_id, file in guide_files(paths):
        try:
            documents.append(read_document(file, document_id))
        except (UnreadableFileError, OSError) as error:
            problems.append(Problem(document_id, 0, reason(error)))
    return documents, problems


def reason(error: Exception) -> str:
    """What went wrong in one line, without the number and the quoting of an operating-system error."""
    if isinstance(error, PermissionError):
        return "no permission to read it. Change its permissions, or run as a user who may read it."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return str(error)


def read_document(file: Path, document_id: str, known: Document | None = None) -> Document:
    """Read and clean one guide. Raises UnreadableFileError with the reason when there is no text to be had from it.

    A long PDF takes seconds: `known`, the guide as it was read before, is given back where the file has not changed.
    """
    raw = read_bytes(file, suffixes=GUIDE_SUFFIXES)
    sha256 = hashlib.sha256(raw).hexdigest()
    suffix = file.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return parse_document(decode(raw), document_id, sha256=sha256)
    if known is not None and (known.id, known.sha256) == (document_id, sha256):
        return known
    try:
        reading = convert(raw, suffix)
    except ConversionError as error:
        raise UnreadableFileError(str(error)) from error
    if reading.has_html:
        return parse_document(reading.text, document_id, sha256=sha256)
    return _document(reading, {}, "\n".join(map(_mend, reading.text.split("\n"))), document_id, sha256)


def read_bytes(file: Path, *, suffixes: Sequence[str]) -> bytes:
    """The bytes of a file of an expected kind and a bearable size. Raises UnreadableFileError otherwise."""
    suffix = file.suffix.lower()
    if suffix not in suffixes:
        kind = f"{file.suffix} files" if file.suffix else "files without a suffix"
        newer = _SAVE_AS.get(suffix)
        if newer in suffixes:
            raise UnreadableFileError(f"{kind} cannot be read. Save it as {newer} first.")
        raise UnreadableFileError(
            f"{kind} cannot be read yet. Expected {', '.join(suffixes)}: convert it to Markdown first."
        )
    size = file.stat().st_size
    limit = MAX_CONVERTED_BYTES if suffix in READERS else MAX_BYTES
    if size > limit:
        raise UnreadableFileError(
            f"{size / 1e6:.0f} MB is too large for a guide. Expected at most {limit / 1e6:.0f} MB: split it."
        )
    raw = file.read_bytes()
    if not raw.strip():
        raise UnreadableFileError(
            "the file is empty. Expected text to learn from: write a section, or remove the file."
        )
    return raw


def decode(raw: bytes) -> str:
    """UTF-8 text with Unix line ends. Raises UnreadableFileError, naming the line, where the bytes are not UTF-8."""
    if b"\0" in raw:
        raise UnreadableFileError("this is a binary file, not text. Expected Markdown or plain text in UTF-8.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(
            f"line {line} is not UTF-8 (byte {raw[error.start]:#04x}). Save the file as UTF-8, "
            "e.g. `iconv -f GB18030 -t UTF-8` for older Chinese files."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_document(text: str, document_id: str, *, sha256: str) -> Document:
    """Split off the front matter, clean the rest, and take what the front matter does not say from the text."""
    front, body = split_front_matter(text)
    body = clean(body)
    if not body.strip():
        raise UnreadableFileError(
            "nothing is left after front matter and HTML are taken away. Expected text to learn from."
        )
    return _document(Reading((body,)), front, body, document_id, sha256)


def _document(reading: Reading, front: Mapping[str, object], body: str, document_id: str, sha256: str) -> Document:
    stem = document_id.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    title = front.get("title") or reading.title or _first_heading(body) or stem.replace("-", " ").replace("_", " ")
    language = _declared_language(str(front.get("lang") or "")) or language_of(body)
    sources = front.get("sources") or []
    return Document(
        id=document_id,
        title=_tidy_title(str(title)),
        text=body,
        sha256=sha256,
        topic=str(front.get("topic") or stem),
        level=str(front.get("level") or ""),
        language=language,
        summary=str(front.get("summary") or ""),
        sources=tuple(str(source) for source in (sources if isinstance(sources, list) else [sources])),
        page_starts=reading.page_starts,
    )


def _declared_language(code: str) -> str:
    """`zh` of `zh-CN`, `en` of `en_US`; empty where the front matter says neither."""
    return next((language for language in ("zh", "en") if re.match(rf"{language}\b|{language}_", code.lower())), "")


def split_front_matter(text: str) -> tuple[dict[str, object], str]:
    """The YAML between two `---` lines at the top, and the text with those lines blanked.

    Raises UnreadableFileError where there is front matter that is not YAML of the form `name: value`.
    """
    match = re.match(r"---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", text, re.DOTALL)
    if not match:
        return {}, text
    try:
        front = yaml.safe_load(match[1] or "")
    except (yaml.YAMLError, ValueError) as error:
        # A date such as 2024-02-30 is a ValueError of its own.
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        raise UnreadableFileError(
            f"line {line}: the front matter is not YAML ({getattr(error, 'problem', error)}). "
            "Put values that hold a colon in quotes."
        ) from error
    if not isinstance(front, dict):
        # Two rulers around a paragraph look like front matter; they are text.
        return {}, text
    return {str(key): value for key, value in front.items()}, "\n" * match[0].count("\n") + text[match.end() :]


def clean(text: str) -> str:
    """Mend mojibake and take HTML and template rests out, leaving every line on its number. Code is left as it is."""
    cleaned: list[str] = []
    fence = ""
    unread = ""
    for line in map(_mend, text.split("\n")):
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark[1]
        if fence or mark:
            cleaned.append(line)
            continue
        element = _UNREAD_ELEMENT.match(line)
        unread = unread or (element[1].lower() if element else "")
        cleaned.append("" if unread else _clean_line(line))
        if unread and f"</{unread}" in line.lower():
            unread = ""
    return "\n".join(cleaned)


def _mend(line: str) -> str:
    # fix_encoding alone: the other repairs of ftfy straighten quotes and would rewrite what the author typed.
    mended = ftfy.fix_encoding(line) if is_bad(line) else line
    mended = mended.replace("\u00a0", " ").replace("\u200b", "").replace("\ufeff", "")
    return mended if "\n" not in mended else mended.replace("\n", " ")


def _clean_line(line: str) -> str:
    if _LIQUID_LINE.match(line):
        return ""
    text = _CODE_MATH_OR_TAG.sub(lambda match: match["keep"] or "", line)
    if _BLOCK_TAG_LINE.match(line) and len(text.strip()) + len(_CJK.findall(text)) < _MIN_HTML_TEXT:
        return ""
    text = re.sub(r"^(\s*)[•●▪◦‣]\s+", r"\1- ", text)
    if "&" in text and "`" not in text and "$" not in text:
        text = html.unescape(text)
    return text.rstrip()


def question_lines(text: str) -> dict[int, str]:
    """The headings of a plain text that has lost them, as `{line (1-based): heading}`; empty where Markdown divides it.

    Interview lists on the web lose their headings when they are copied: `7. What is dropout?` at the start of a line is
    all that is left of one. Numbers must run 1, 2, 3 … (a few may be lost), and be more than the Markdown headings.
    In such a text a short title above a longer sentence is a heading too.
    """
    lines = text.split("\n")
    questions: dict[int, str] = {}
    expected, headings, fence = 1, 0, False
    for number, line in enumerate(lines, start=1):
        fence ^= bool(_FENCE.match(line))
        headings += not fence and bool(re.match(r"#{1,6} ", line))
        match = re.match(r"(\d{1,3})[.)] +(\S.{5,300})$", line)
        if match and not fence and expected <= int(match[1]) <= expected + 2:
            questions[number] = match[2].strip()
            expected = int(match[1]) + 1
    if len(questions) < 5 or len(questions) <= headings:
        return {}
    for number, line in enumerate(lines, start=1):
        below = next((other for other in lines[number:] if other.strip()), "")
        if number not in questions and _is_bare_heading(line, below):
            questions[number] = line.strip()
    return dict(sorted(questions.items()))


def _is_bare_heading(line: str, below: str) -> bool:
    words = line.split()
    prose_below = len(below) > len(line) and below.rstrip().endswith((".", "!", "?", ":"))
    if not words or len(words) > 14 or not line[0].isupper() or not prose_below:
        return False
    capitalized = sum(word[0].isupper() for word in words)
    return line.rstrip().endswith("?") or (line[-1].isalnum() and capitalized / len(words) >= 0.6)


def language_of(text: str) -> str:
    """`zh` where at least a fifth of the letters are Chinese characters, else `en`.

    Statistical detectors fail on short technical text ("hash" is taken for Zulu), so the script decides.
    """
    cjk = len(_CJK.findall(text))
    letters = sum(char.isalpha() for char in text)
    return "zh" if letters and cjk / letters >= 0.2 else "en"


def _first_heading(body: str) -> str:
    first = next(line.strip() for line in body.split("\n") if line.strip())
    heading = re.search(r"^#{1,2}\s+(.+?)\s*#*$", body, re.MULTILINE)
    if heading and not question_lines(body):
        return heading[1]
    return first if len(first) <= 80 and not first.endswith((".", "。")) else ""


def _tidy_title(title: str) -> str:
    return re.sub(r"[*_`]{1,2}", "", title).strip()

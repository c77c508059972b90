"""Passages cut from a guide, each one whole answer that knows where it stands: `Chunk` and `split_document`."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from langchain_text_splitters import RecursiveCharacterTextSplitter
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from corpus.documents import Document, question_lines

OVERLAP_WORDS = 25
"""How much of a piece is repeated at the head of the next where a long section had to be cut."""
_MIN_ENTRY_WORDS = 15
_WHOLE = frozenset({"fence", "code_block", "table_open", "math_block", "math_block_label"})
"""Blocks that mean nothing in halves: code, tables, formulas."""
_BOLD_LEAD = re.compile(r"\*\*(?P<label>[^*\n]{2,80}?)(?:[:：]\*\*|\*\*\s*(?:[:：]|[—–-]\s))")
_ORDINAL = re.compile(
    r"^(?:\d+(?:\.\d+)*[.)、]|[A-Za-z][.)]|[（(][\w一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、)\s*(?=\S)"
)


@dataclass(frozen=True)
class Chunk:
    """A passage: what is searched, cited and graded against."""

    id: str
    """`document id#anchor`, stable while other sections change; a second piece of a section ends in `~2`."""
    document_id: str
    title: str
    """Of the document."""
    heading_path: tuple[str, ...]
    """Headings from the outermost in, without their ordinals and without the document's own title."""
    text: str
    """Markdown as in the cleaned document, without the heading line."""
    start_line: int
    """1-based; where the passage (its heading, if it has one) begins in the file. 0 where another store did not say."""
    end_line: int
    """1-based, inclusive."""
    topic: str = ""
    level: str = ""
    language: str = "en"
    page: int = 0
    """1-based page or slide on which the passage begins; 0 where the format has no pages."""

    @property
    def heading(self) -> str:
        """The innermost heading, or the document's title where the passage stands before any heading."""
        return self.heading_path[-1] if self.heading_path else self.title

    @property
    def path(self) -> str:
        """The heading path as one line: `Activation functions > Sigmoid`."""
        return " > ".join(self.heading_path) or self.title

    @property
    def above(self) -> str:
        """The headings around its own one as one line; the document's title where there are none."""
        return " > ".join(self.heading_path[:-1]) or self.title

    @property
    def place(self) -> str:
        """Where to find it: `paper.pdf, page 3`, or file and line as editors take them: `guide.md:12`."""
        return f"{self.document_id}, page {self.page}" if self.page else f"{self.document_id}:{self.start_line}"

    @cached_property
    def search_text(self) -> str:
        """What is embedded and tokenized: the headings say what the text is about, often better than the text."""
        return "\n".join(dict.fromkeys((self.title, *self.heading_path, self.text)))


@dataclass(frozen=True)
class _Block:
    start: int
    end: int
    """0-based lines, `end` exclusive."""
    whole: bool = False
    label: str = ""
    """What a list entry or paragraph is about, where it says so itself (`- **Sigmoid**: …`, or a question with a list)."""


@dataclass
class _Section:
    path: tuple[str, ...]
    start: int
    blocks: list[_Block]


def count_words(text: str) -> int:
    """Words of a text; Chinese has no spaces, so its characters count as 0.6 of a word each."""
    cjk = len(re.findall(r"[\u3400-\u9fff]", text))
    return len(re.findall(r"[^\W\u3400-\u9fff]+(?:['’-][^\W\u3400-\u9fff]+)*", text)) + round(cjk * 0.6)


def anchor(heading: str) -> str:
    """The anchor of a heading as GitHub writes it: lower case, punctuation dropped, spaces turned into hyphens."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def strip_ordinal(heading: str) -> str:
    """A heading without the number or letter before it: `b. Activation Functions` is `Activation Functions`."""
    return _ORDINAL.sub("", heading.strip(), count=1)


def split_document(document: Document, *, max_words: int) -> list[Chunk]:
    """Cut a guide at its headings; sections longer than `max_words` at their entries or paragraphs.

    Code, tables and formulas stay whole, even where that makes a passage longer. Chunks come in the order of the text.
    """
    lines = document.text.split("\n")
    chunks: list[Chunk] = []
    anchors: dict[str, int] = {}
    for section in _sections(document):
        first_of_section = section.start
        for path, blocks in _pieces(section, lines, max_words):
            start, end = blocks[0].start, blocks[-1].end
            text = "\n".join(lines[start:end]).strip("\n").rstrip()
            base = anchor(path[-1]) if path else "top"
            anchors[base] = anchors.get(base, 0) + 1
            suffix = f"~{anchors[base]}" if anchors[base] > 1 else ""
            first_line = min(start, first_of_section) + 1
            chunks.append(
                Chunk(
                    id=f"{document.id}#{base}{suffix}",
                    document_id=document.id,
                    title=document.title,
                    heading_path=path,
                    text=text,
                    start_line=first_line,
                    end_line=_last_line(lines, start, end),
                    topic=document.topic,
                    level=document.level,
                    language=document.language,
                    page=bisect_right(document.page_starts, first_line),
                )
            )
            first_of_section = len(lines)
    return chunks


def _sections(document: Document) -> Iterator[_Section]:
    lines = document.text.split("\n")
    section = _Section((), 0, [])
    stack: list[tuple[int, str]] = []
    tokens = _parse(document.text)
    for index, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        start, end = token.map
        if token.type == "heading_open":
            if section.blocks:
                yield section
            heading = strip_markup(strip_ordinal(tokens[index + 1].content))
            level = int(token.tag[1])
            stack = [(depth, text) for depth, text in stack if depth < level]
            if heading:
                stack.append((level, heading))
            path = tuple(text for _, text in stack)
            section = _Section(path[1:] if path[:1] == (document.title,) else path, start, [])
        elif token.type in {"bullet_list_open", "ordered_list_open"}:
            section.blocks.extend(_entries(tokens, index, lines))
        elif token.type != "hr":
            label = _label(tokens, index) if token.type == "paragraph_open" else ""
            section.blocks.append(_Block(start, end, token.type in _WHOLE, label))
    if section.blocks:
        yield section


def _parse(text: str) -> list[Token]:
    questions = question_lines(text)
    if questions:
        # The parser then sees the questions as headings, and a `# comment` in pasted code as the text it is.
        lines = [re.sub(r"^(\s*)#", r"\1\\#", line) for line in text.split("\n")]
        for number, question in questions.items():
            lines[number - 1] = f"## {question}"
        text = "\n".join(lines)
    return _markdown().parse(text)


def _markdown() -> MarkdownIt:
    # HTML is off: it was cleaned away, and what looks like it now is a comparison or a generic type.
    return MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin).disable("lheading")


def _entries(tokens: Sequence[Token], opening: int, lines: Sequence[str]) -> Iterator[_Block]:
    """The items of a top-level list as blocks of their own."""
    for index in range(opening + 1, len(tokens)):
        token = tokens[index]
        if token.level == 0:
            return
        if token.type == "list_item_open" and token.level == 1 and token.map:
            start, end = token.map
            yield _Block(start, _last_line(lines, start, end), label=_label(tokens, index + 1))


def _label(tokens: Sequence[Token], paragraph: int) -> str:
    """What an entry is about: its bold lead, or its first line where a nested list explains it."""
    if paragraph + 1 >= len(tokens) or tokens[paragraph].type != "paragraph_open":
        return ""
    content = tokens[paragraph + 1].content
    bold = _BOLD_LEAD.match(content)
    if bold:
        return strip_markup(bold["label"]).rstrip(":： ")
    following = tokens[paragraph + 3].type if paragraph + 3 < len(tokens) else ""
    nested = tokens[paragraph].level > 0 and following in {"bullet_list_open", "ordered_list_open"}
    return strip_markup(" ".join(content.split())).rstrip(":：") if nested and len(content) <= 200 else ""


def strip_markup(text: str) -> str:
    """Plain text of one line of Markdown: no emphasis, links as their text. Code spans and formulas keep their marks."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<![\w*])\*(?=[^\s*])([^*]+?)(?<=\S)\*(?![\w*])", r"\1", text)
    text = re.sub(r"(?<![\w_])_(?=[^\s_])([^_]+?)(?<=\S)_(?![\w_])", r"\1", text)
    return text.replace("\\#", "#").strip()


def _pieces(section: _Section, lines: Sequence[str], max_words: int) -> Iterator[tuple[tuple[str, ...], list[_Block]]]:
    def words(blocks: Sequence[_Block]) -> int:
        return sum(count_words("\n".join(lines[block.start : block.end])) for block in blocks)

    if words(section.blocks) <= max_words:
        yield section.path, section.blocks
        return
    piece: list[_Block] = []
    for block in section.blocks:
        size = words([block])
        if block.label and size >= _MIN_ENTRY_WORDS:
            if piece:
                yield section.path, piece
                piece = []
            for part in _parts(block, lines, max_words):
                yield (*section.path, block.label), [part]
            continue
        if piece and words(piece) + size > max_words:
            yield section.path, piece
            # A little of what came before opens the next piece, so that "it" and "this" keep their meaning.
            last = piece[-1]
            piece = [last] if words([last]) <= OVERLAP_WORDS and not last.whole and len(piece) > 1 else []
        parts = _parts(block, lines, max_words)
        for part in parts[:-1]:
            yield section.path, [*piece, part]
            piece = []
        piece.append(parts[-1])
    if piece:
        yield section.path, piece


def _parts(block: _Block, lines: Sequence[str], max_words: int) -> list[_Block]:
    """A block cut at its lines into parts of at most `max_words` where it is longer and may be cut."""
    text = "\n".join(lines[block.start : block.end])
    if block.whole or count_words(text) <= max_words or block.end - block.start < 2:
        return [block]
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=max_words,
        chunk_overlap=0,
        length_function=count_words,
        separators=["\n\n", "\n"],
        keep_separator="end",
    )
    parts, line = [], block.start
    for piece in splitter.split_text(text):
        height = piece.rstrip("\n").count("\n") + 1
        parts.append(replace(block, start=line, end=min(line + height, block.end)))
        line += piece.count("\n") + (not piece.endswith("\n"))
        while line < block.end and not lines[line].strip():
            line += 1
    parts[-1] = replace(parts[-1], end=block.end)
    return [part for part in parts if part.start < part.end]


def _last_line(lines: Sequence[str], start: int, end: int) -> int:
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return end

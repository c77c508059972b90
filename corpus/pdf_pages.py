"""PDF to Markdown, page by page. The only file that knows PDFium.

A PDF holds signs at places and no structure, so that is guessed: headings from the outline, the size and the weight of the
type, code from monospaced type and its indentation, tables from columns that line up, paragraphs from the gaps between lines.

pypdfium2 (Apache-2.0, a 3 MB wheel without dependencies) read 36 pages in 0.08 s where pypdf (BSD) took 1.0 s; it tells soft
hyphens from dashes and gives Chinese without stray spaces. PyMuPDF guesses more headings but is AGPL; docling and
unstructured weigh gigabytes.
"""

from __future__ import annotations

import ctypes
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from statistics import median
from typing import Any, Literal

from corpus.readings import ConversionError, Reading, markdown_table

MAX_PAGES = 3_000
"""Twice the longest textbook of the field."""
MIN_LETTERS = 20
"""Fewer in a whole file are a stamp on a scan, not its text."""
_HEADING_SIZE = 1.1
"""Times the size of the running text, from which a short line is a heading."""
_MAX_HEADING_CHARACTERS = 150
_MARGIN = 0.12
"""Share of a page's height at its top and bottom where running heads and page numbers stand."""
_CELL_GAP = 1.0
"""Times the size of the type: a wider gap between words divides columns. Justified lines stay below it."""
_MAX_BOLD_SHARE = 0.2
"""Where more of a file is bold, bold says nothing."""
_HYPHEN = "\u0002"
"""What PDFium gives for a hyphen at the end of a line."""

# PDFium is not made for threads, and pages are uploaded in several.
_PDFIUM = threading.Lock()
_MONOSPACE = re.compile(
    r"mono|courier|consola|menlo|monaco|typewriter|cmtt|nimbusmon|inconsolata|sourcecode|code", re.IGNORECASE
)
_BOLD = re.compile(r"bold|black|heavy|cmbx|-bd\b", re.IGNORECASE)
_BULLET = re.compile(r"[•●▪■◦‣∙·–—\uf0b7\uf0a7]\s*(?=\S)")
_NUMBER = re.compile(r"(?:\(?\d{1,3}[.)]|[a-z]\))\s+\S")
_MARK = re.compile(r"[•●▪■◦‣∙·–—\uf0b7\uf0a7-]|\(?\d{1,3}[.)]|[a-z]\)|[\d.]+\d")
_TABLE_OF_CONTENTS = re.compile(r"(?:\.\s?){4,}\s*[\dxiv]+\s*$")
_LONE_NUMBER = re.compile(r"(?:page |第\s?)?#(?:\s?(?:/|of|-)\s?#)?(?:\s?页)?|- # -")
_CJK = r"\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_BETWEEN_CJK = re.compile(rf"(?<=[{_CJK}])\n(?=[{_CJK}])")
_SENTENCE_END = re.compile(r"(?<!^\d\.)(?<!^\d\d\.)(?<=[.!?]) (?=[A-Z])|(?<=[。！？])(?=[\u3400-\u9fffA-Za-z])")
# Old Chinese PDFs draw 方 with the radical ⽅, and ligatures are one sign. NFKC on everything would turn x² into x2 and ， into a comma.
_LOOK_ALIKES = re.compile(r"[\u2e80-\u2fdf\uf900-\ufaff\ufb00-\ufb06]")

Kind = Literal["heading", "code", "table", "item", "prose"]


@dataclass(frozen=True)
class _Line:
    """A line of type; lengths in points, from the left and the bottom of the page."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    is_monospaced: bool
    is_bold: bool
    cells: tuple[tuple[float, str], ...]
    """Left edge and words of each part that stands apart from the next."""


@dataclass(frozen=True)
class _Page:
    lines: Sequence[_Line]
    height: float
    outline: Mapping[str, int]
    """Level of each entry of the file's outline that leads here, by its title."""


@dataclass(frozen=True)
class _Style:
    """How the file sets its text."""

    body: float
    """The size that most of it is set in."""
    levels: Mapping[float, int]
    """Level of the headings of each size."""
    bold_level: int
    """Level of a bold line in the size of the text; 0 where too much is bold."""

    def level(self, line: _Line, outline: Mapping[str, int]) -> int:
        """The level of a heading; 0 where a line is none."""
        if outline.get(_squashed(line.text)):
            return outline[_squashed(line.text)]
        if _is_large(line, self.body):
            return self.levels.get(line.size, 0)
        is_title = line.is_bold and len(line.cells) == 1 and 2 <= len(line.text) <= _MAX_HEADING_CHARACTERS / 2
        closed = line.text[-1:] in ".,;。，；" or _BULLET.match(line.text) or line.is_monospaced
        return self.bold_level if is_title and not closed and line.size >= 0.95 * self.body else 0


@dataclass(frozen=True)
class _Block:
    kind: Kind
    text: str


def read_pdf(raw: bytes) -> Reading:
    """The pages of a PDF. Raises ConversionError for one that is locked, damaged, enormous, or a scan without words."""
    with _PDFIUM:
        pages, title = _typed_pages(raw)
    if sum(char.isalnum() for page in pages for line in page.lines for char in line.text) < MIN_LETTERS:
        raise ConversionError(
            "it has no text, only pictures of pages. Recognize the text first, e.g. ocrmypdf in.pdf out.pdf."
        )
    body = _body_size(pages)
    pages = _without_running_heads(pages, body)
    style = _style(pages, body)
    known = {word.lower() for page in pages for line in page.lines for word in re.findall(r"[\w-]+", line.text)}
    blocks = [list(_blocks(page, style, known)) for page in pages]
    has_heading = any(block.kind == "heading" for block in blocks[0])
    is_name_of_file = re.search(r"\.\w{2,5}$|^untitled|^microsoft|^$", title.strip(), re.IGNORECASE)
    return Reading(_joined(blocks), "" if has_heading or is_name_of_file else title.strip(), is_paged=True)


# From signs to lines


def _typed_pages(raw: bytes) -> tuple[list[_Page], str]:
    """The lines of each page, and the title that the file gives itself."""
    import pypdfium2
    from pypdfium2 import raw as pdfium

    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
            raise ConversionError(
                "it is protected by a password. Save a copy without one, e.g. qpdf --decrypt."
            ) from error
        raise ConversionError("the PDF is damaged. Open it in a viewer and print it to a new PDF.") from error
    try:
        if len(document) > MAX_PAGES:
            raise ConversionError(f"it has {len(document):,} pages. Expected at most {MAX_PAGES:,}: split it.")
        outline: dict[int, dict[str, int]] = {}
        for entry in document.get_toc(max_depth=5):
            target = entry.get_dest()
            if target is not None and target.get_index() is not None:
                outline.setdefault(target.get_index(), {})[_squashed(entry.get_title())] = entry.level + 1
        pages = [_page(page, outline.get(number, {})) for number, page in enumerate(document)]
        return pages, document.get_metadata_value("Title")
    finally:
        document.close()


def _page(page: Any, outline: Mapping[str, int]) -> _Page:  # noqa: ANN401 - pypdfium2 is untyped
    from pypdfium2 import raw as pdfium

    text = page.get_textpage()
    lines: list[_Line] = []
    signs: list[int] = []
    for index in range(pdfium.FPDFText_CountChars(text)):
        sign = pdfium.FPDFText_GetUnicode(text, index)
        signs.append(index)
        if sign in {0x0A, 0x0D, 0x02}:
            lines.extend(_line(text, signs))
            signs = []
    lines.extend(_line(text, signs))
    height = page.get_height()
    text.close()
    page.close()
    return _Page(_merged(lines), height, outline)


def _line(text: Any, signs: Sequence[int]) -> Iterator[_Line]:  # noqa: ANN401 - pypdfium2 is untyped
    """The line of these signs, if there is a word in it and it runs from left to right."""
    from pypdfium2 import raw as pdfium

    box = pdfium.FS_RECTF()
    cells: list[tuple[float, str]] = []
    left = right = 0.0
    inked = [index for index in signs if pdfium.FPDFText_GetUnicode(text, index) not in {0, 2, 10, 13, 32, 0xA0}]
    if not inked or abs(pdfium.FPDFText_GetCharAngle(text, inked[0])) > 0.1:
        # Turned text is a stamp in the margin or a label of a figure.
        return
    size = _size(text, inked[len(inked) // 2])
    drawn = set(inked)
    words = ""
    for index in signs:
        sign = pdfium.FPDFText_GetUnicode(text, index)
        if index in drawn:
            pdfium.FPDFText_GetLooseCharBox(text, index, box)
            if words.strip() and box.left - right > _CELL_GAP * size:
                cells.append((left, words))
                words = ""
            if not words.strip():
                left = box.left
            right = box.right
        words += "" if sign in {0, 10, 13} else chr(sign)
    cells.append((left, words))
    cells = [(edge, _mended(part)) for edge, part in cells]
    if len(cells) > 1 and _MARK.fullmatch(cells[0][1]):
        # The sign before an entry of a list is no column.
        cells = [(cells[0][0], f"{cells[0][1]} {cells[1][1]}"), *cells[2:]]
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text, inked[0], x, y)
    # A Chinese remark in code is set in another type than the code.
    latin = [index for index in inked if pdfium.FPDFText_GetUnicode(text, index) < 0x80]
    sample = latin if inked[0] in latin[:1] else inked
    fonts = [_font(text, index) for index in sample[:: max(1, len(sample) // 8)]]
    yield _Line(
        text=" ".join(words for _, words in cells),
        left=cells[0][0],
        right=right,
        baseline=y.value,
        size=size,
        is_monospaced=all(is_monospaced for is_monospaced, _ in fonts),
        is_bold=all(is_bold for _, is_bold in fonts),
        cells=tuple(cells),
    )


def _size(text: Any, index: int) -> float:  # noqa: ANN401 - pypdfium2 is untyped
    """Size of the type as it is seen: some writers set all type in size 1 and scale the page."""
    from pypdfium2 import raw as pdfium

    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(text, index, matrix)
    scale = (matrix.c**2 + matrix.d**2) ** 0.5
    return round(2 * (pdfium.FPDFText_GetFontSize(text, index) * scale or 1.0)) / 2 or 0.5


def _font(text: Any, index: int) -> tuple[bool, bool]:  # noqa: ANN401 - pypdfium2 is untyped
    """Whether the type is monospaced, and whether it is bold."""
    from pypdfium2 import raw as pdfium

    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text, index, name, len(name), flags)
    called = name.value.decode("utf-8", "replace")
    return bool(flags.value & 1 or _MONOSPACE.search(called)), bool(_BOLD.search(called))


def _mended(words: str) -> str:
    words = _LOOK_ALIKES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), words)
    words = re.sub(r"[\x00\x01\x03-\x08\x0b-\x1f\x7f\u00ad\u200b\ufeff\ufffe\uffff]", "", words.replace("\u00a0", " "))
    return re.sub(r"\s+", " ", words).strip(" ")


def _merged(lines: Sequence[_Line]) -> list[_Line]:
    """Lines that PDFium broke where a raised or lowered sign stands, put together again."""
    merged: list[_Line] = []
    for line in lines:
        last = merged[-1] if merged else None
        same = last and abs(last.baseline - line.baseline) < 0.5 * line.size and line.left >= last.right - line.size
        if last is None or not same:
            merged.append(line)
            continue
        gap = line.left - last.right
        cells: tuple[tuple[float, str], ...] = (*last.cells, *line.cells)
        if gap < _CELL_GAP * line.size:
            (left, words), (_, more) = last.cells[-1], line.cells[0]
            space = " " if gap > 0.15 * line.size else ""
            cells = (*last.cells[:-1], (left, f"{words}{space}{more}"), *line.cells[1:])
        merged[-1] = replace(last, text=" ".join(words for _, words in cells), right=line.right, cells=cells)
    return merged


# What the lines are


def _body_size(pages: Sequence[_Page]) -> float:
    """The size that most of the text is set in."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[line.size] += 0 if line.is_monospaced else len(line.text)
    return sizes.most_common(1)[0][0]


def _without_running_heads(pages: Sequence[_Page], body: float) -> list[_Page]:
    """The pages without what stands in the same place of several pages, and without page numbers and tables of contents."""
    places = [{_place(line) for line in page.lines if _is_marginal(line, page)} for page in pages]
    seen = Counter(place for page in places for place in page)
    # Twice is enough beside a page number, and in a file of two pages.
    often = {
        place
        for place, count in seen.items()
        if count >= 3 or (count == 2 and (len(pages) == 2 or place[0].startswith("#") or place[0].endswith("#")))
    }

    def is_running(line: _Line, page: _Page) -> bool:
        if not _is_marginal(line, page):
            return False
        # A large line that repeats is the title of several slides.
        return bool(_LONE_NUMBER.fullmatch(_place(line)[0])) or (
            _place(line) in often and line.size < _HEADING_SIZE * body
        )

    return [
        replace(
            page,
            lines=[
                line for line in page.lines if not is_running(line, page) and not _TABLE_OF_CONTENTS.search(line.text)
            ],
        )
        for page in pages
    ]


def _is_marginal(line: _Line, page: _Page) -> bool:
    return not _MARGIN < line.baseline / page.height < 1 - _MARGIN


def _place(line: _Line) -> tuple[str, int]:
    """The words of a line without its numbers, and its height on the page."""
    return re.sub(r"\d+|\b[ivx]+\b", "#", line.text.lower()).strip(), round(line.baseline / 4)


def _style(pages: Sequence[_Page], body: float) -> _Style:
    lines = [line for page in pages for line in page.lines]
    levels: dict[float, int] = {}
    for size in sorted({line.size for line in lines if _is_large(line, body)}, reverse=True):
        above = min(levels, default=None)
        # Half a point is the same level: sizes are rounded.
        levels[size] = levels[above] if above and above - size <= 0.5 else min(max(levels.values(), default=0) + 1, 5)
    bold = sum(len(line.text) for line in lines if line.is_bold) / sum(len(line.text) for line in lines)
    return _Style(body, levels, max(levels.values(), default=0) + 1 if bold <= _MAX_BOLD_SHARE else 0)


def _is_large(line: _Line, body: float) -> bool:
    # Two letters at least: a large sign alone is a sum or a bracket.
    return (
        line.size >= _HEADING_SIZE * body
        and len(line.text) <= _MAX_HEADING_CHARACTERS
        and sum(char.isalpha() for char in line.text) >= 2
        and not line.is_monospaced
    )


def _blocks(page: _Page, style: _Style, known: Collection[str]) -> Iterator[_Block]:
    lines = page.lines
    pitch = _pitch(lines, style.body)
    edge = max((line.right for line in lines), default=0.0)
    kinds = [_kind(line, below, style, page.outline) for line, below in zip_longest(lines, lines[1:]) if line]
    for at in range(1, len(lines)):
        if (
            kinds[at] == "code"
            and kinds[at - 1] in {"prose", "item"}
            and _is_full(lines[at - 1], lines[at], edge, pitch)
        ):
            # Names that fill a line of a paragraph by chance.
            kinds[at] = "prose"
    start = 0
    while start < len(lines):
        kind = kinds[start]
        end = start + 1
        while end < len(lines) and _continues(kind, kinds[end], lines[start : end + 1], edge, pitch):
            end += 1
        block = lines[start:end]
        if kind == "heading":
            yield _Block(kind, f"{'#' * style.level(block[0], page.outline)} {_unwrapped(block, known)}")
        elif kind == "code":
            yield _Block(kind, _code(block, pitch))
        elif kind == "table":
            rows = [[words.replace(_HYPHEN, "-") for _, words in line.cells] for line in block]
            yield _Block(kind, markdown_table(rows))
        else:
            yield _Block(kind, _prose(block, kind, known))
        start = end


def _pitch(lines: Sequence[_Line], body: float) -> float:
    """The usual distance from one line to the next."""
    steps = [above.baseline - below.baseline for above, below in pairwise(lines)]
    # A page with little on it has more gaps than lines.
    return min(median([step for step in steps if 0 < step < 2.5 * body] or [1.2 * body]), 1.7 * body)


def _squashed(text: str) -> str:
    """Letters and digits alone, without a section number: outlines often leave that out."""
    return re.sub(r"\W+", "", re.sub(r"^[\d.]+\s", "", text.strip().lower()))


def _is_full(above: _Line, line: _Line, edge: float, pitch: float) -> bool:
    """Whether a line ran on into the next for want of room."""
    room = 0.1 * (edge - above.left)
    return (
        above.right > edge - room
        and above.baseline - line.baseline < 1.35 * pitch
        and above.text[-1:] not in ".!?:。！？："
    )


def _kind(line: _Line, below: _Line | None, style: _Style, outline: Mapping[str, int]) -> Kind:
    if style.level(line, outline):
        return "heading"
    if line.is_monospaced and not _BULLET.match(line.text):
        return "code"
    if below and _same_columns(line, below):
        return "table"
    return "item" if _BULLET.match(line.text) or _NUMBER.match(line.text) else "prose"


def _same_columns(one: _Line, other: _Line) -> bool:
    return len(one.cells) == len(other.cells) > 1 and all(
        abs(left - below) < 2 * one.size for (left, _), (below, _) in zip(one.cells, other.cells, strict=True)
    )


def _continues(kind: Kind, own: Kind, lines: Sequence[_Line], edge: float, pitch: float) -> bool:
    """Whether the last of the lines, of a kind of its own, belongs to the block that the others are."""
    first, above, line = lines[0], lines[-2], lines[-1]
    step = above.baseline - line.baseline
    if kind == "table":
        return _same_columns(first, line)
    if kind == "heading":
        return own == kind and line.size == first.size and 0 < step < 1.5 * line.size
    if kind == "code":
        return own == kind and 0 < step < 4 * pitch
    if above.text.endswith(_HYPHEN):
        return True
    if own != "prose" or step > 1.35 * pitch:
        return False
    if kind == "item":
        return step < 0 or line.left > first.left - 1
    is_indented = line.left - above.left > 0.8 * line.size and step > 0
    ends_short = above.right < edge - 0.2 * (edge - above.left) and above.text[-1:] in ".!?:。！？："
    # Upwards is the next column, or a text that was set out of order.
    return not is_indented and not ends_short


def _unwrapped(lines: Sequence[_Line], known: Collection[str]) -> str:
    """The lines as one: words that were broken put together, and no space between Chinese characters."""
    text = "\n".join(line.text for line in lines)

    def whole(match: re.Match[str]) -> str:
        head, tail = match[1], match[2]
        # Whichever way the document writes the word elsewhere.
        return (
            f"{head}-{tail}"
            if f"{head}-{tail}".lower() in known and (head + tail).lower() not in known
            else head + tail
        )

    text = (
        re.sub(rf"(\w+)(?:{_HYPHEN}\n?|-\n)([a-z]\w*)", whole, text).replace(f"{_HYPHEN}\n", "-").replace(_HYPHEN, "-")
    )
    return _BETWEEN_CJK.sub("", text).replace("\n", " ")


def _prose(lines: Sequence[_Line], kind: Kind, known: Collection[str]) -> str:
    text = _unwrapped(lines, known)
    if kind == "item":
        text = _BULLET.sub("- ", text, count=1) if _BULLET.match(text) else text
    elif re.match(r"#{1,6} |```|~~~", text):
        text = f"\\{text}"
    # A sentence a line: a long paragraph can be cut at them.
    return _SENTENCE_END.sub("\n", text)


def _code(lines: Sequence[_Line], pitch: float) -> str:
    left = min(line.left for line in lines)
    code: list[str] = []
    for number, line in enumerate(lines):
        gap = lines[number - 1].baseline - line.baseline if number else 0.0
        code.extend([""] * (round(gap / pitch) - 1 if gap > 1.5 * pitch else 0))
        width = (line.right - line.left) / max(len(line.text), 1)
        code.append(" " * round((line.left - left) / (width or 1)) + line.text.replace(_HYPHEN, "-"))
    return "\n".join(("```", *code, "```"))


def _joined(pages: Sequence[Sequence[_Block]]) -> tuple[str, ...]:
    """The text of each page; a paragraph that runs on over the page has no empty line in it."""
    texts: list[str] = []
    for number, blocks in enumerate(pages):
        text = ""
        for before, block in zip([None, *blocks], blocks, strict=False):
            gap = "" if before is None else "\n" if before.kind == block.kind == "item" else "\n\n"
            text += gap + block.text
        following = pages[number + 1] if number + 1 < len(pages) else ()
        runs_on = blocks and following and _runs_on(blocks[-1], following[0])
        texts.append(text if runs_on else f"{text}\n")
    return tuple(texts)


def _runs_on(last: _Block, first: _Block) -> bool:
    is_open = last.kind in {"prose", "item"} and not last.text.endswith((".", "!", "?", ":", "。", "！", "？", "："))
    return is_open and first.kind == "prose" and not first.text[:1].isupper()

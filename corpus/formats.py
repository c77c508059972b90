"""Files of other formats to Markdown, one function a format, each library imported inside of it.

| format | read with | why |
|---|---|---|
| HTML | beautifulsoup4, markdownify (MIT) | see html_pages.py |
| EPUB | zipfile and the HTML reader | ebooklib is AGPL; a book is a zip of pages |
| DOCX | mammoth (BSD) and the HTML reader | numbered and nested lists, merged cells, footnotes: python-docx leaves them to its caller |
| PPTX | python-pptx (MIT) | the one well-kept reader |
| notebook | json | a list of cells; nbformat brings a JSON schema for it |
| PDF | pypdfium2 (Apache-2.0) | see pdf_pages.py |
"""

from __future__ import annotations

import json
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from corpus.formulas import MATH, latex
from corpus.html_pages import page_markdown
from corpus.pdf_pages import read_pdf
from corpus.readings import ConversionError, Reading, markdown_table

if TYPE_CHECKING:
    from lxml.etree import _Element
    from pptx.shapes.base import BaseShape
    from pptx.slide import Slide

MAX_UNPACKED_BYTES = 300_000_000
"""What a zipped format may hold unpacked; a small file that unpacks to more is a bomb or no guide."""
MAX_OUTPUT_LINES = 20
"""Lines of a notebook cell's output that are kept: a result explains the code, a log does not."""
_OLE = b"\xd0\xcf\x11\xe0"
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MONOSPACE = re.compile(r"mono|courier|consolas|menlo|\bcode\b|terminal", re.IGNORECASE)


def convert(raw: bytes, suffix: str) -> Reading:
    """The text of a file of one of `READERS`. Raises ConversionError with the reason where it cannot be had."""
    try:
        reading = READERS[suffix](raw)
    except ConversionError:
        raise
    except RecursionError as error:
        raise ConversionError(
            "its parts are nested too deeply to be read. Simplify it, or convert it to Markdown."
        ) from error
    except MemoryError as error:
        raise ConversionError("it needs more memory than there is. Split it.") from error
    except Exception as error:  # parsers raise whatever a broken file makes them trip over
        raise ConversionError(
            f"the file is damaged or not really a {suffix} file ({type(error).__name__}: {_first_line(error)}). "
            "Open it and save it anew."
        ) from error
    if not any(char.isalnum() for char in reading.text):
        raise ConversionError("no text was found in the file. Expected words to learn from.")
    return reading


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:200]


def read_html(raw: bytes) -> Reading:
    """A page as it was saved, without what surrounds its text."""
    title, text = page_markdown(raw)
    return Reading((text,), title)


# Zipped formats


def _open_zip(raw: bytes) -> zipfile.ZipFile:
    if raw.startswith(_OLE):
        raise ConversionError(
            "it is protected by a password, or of an old format under a new name. Save it without a password, as .docx or .pptx."
        )
    archive = zipfile.ZipFile(BytesIO(raw))
    size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        raise ConversionError(
            f"it unpacks to {size / 1e6:.0f} MB. Expected at most {MAX_UNPACKED_BYTES / 1e6:.0f} MB: split it, or leave pictures out."
        )
    return archive


def read_epub(raw: bytes) -> Reading:
    """The chapters of a book in reading order, its table of contents left out."""
    from bs4 import BeautifulSoup

    archive = _open_zip(raw)
    names = set(archive.namelist())
    root = BeautifulSoup(archive.read("META-INF/container.xml"), "xml").find("rootfile")
    package = str(root["full-path"]) if root else ""
    book = BeautifulSoup(archive.read(package), "xml")
    items = {str(item["id"]): item for item in book.find_all("item")}
    encrypted = _encrypted(archive) if "META-INF/encryption.xml" in names else set()
    chapters: list[str] = []
    for reference in book.find_all("itemref"):
        item = items.get(str(reference.get("idref")))
        if item is None or "nav" in str(item.get("properties") or "").split():
            continue
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(str(item["href"]))))
        if name in encrypted:
            raise ConversionError("the book is protected by DRM and cannot be read. Ask its seller for a copy without.")
        if name in names:
            chapters.append(page_markdown(archive.read(name), whole=True)[1])
    title = book.find("title")
    return Reading(("\n\n".join(filter(None, chapters)),), title.get_text(strip=True) if title else "")


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    """The files of a book that are encrypted; scrambled fonts are common and harm nobody."""
    from bs4 import BeautifulSoup

    listed = BeautifulSoup(archive.read("META-INF/encryption.xml"), "xml")
    return {unquote(str(reference["URI"])) for reference in listed.find_all("CipherReference")}


def read_docx(raw: bytes) -> Reading:
    """A Word document. Paragraphs in a monospaced font, or in a style for code, are code."""
    import mammoth

    source = _with_formulas_as_text(_open_zip(raw))
    made = mammoth.convert_to_html(
        source,
        style_map="""
            p[style-name='Title'] => h1:fresh
            p[style-name='Subtitle'] => p:fresh
            p[style-name='List Bullet 2'] => ul|ol > li > ul > li:fresh
            p[style-name='List Number 2'] => ul|ol > li > ol > li:fresh
            p[style-name='tutor code'] => pre:separator('\\n')
        """,
        transform_document=mammoth.transforms.paragraph(_marked_code),
        # A picture has no words, and embedding it would make a line of megabytes.
        convert_image=mammoth.images.img_element(lambda _image: {"src": ""}),
    )
    title, text = page_markdown(made.value, whole=True)
    return Reading((text,), title)


def _marked_code(paragraph: Any) -> Any:  # noqa: ANN401 - mammoth is untyped
    import mammoth

    style = (paragraph.style_name or "").lower()
    runs = mammoth.transforms.get_descendants_of_type(paragraph, mammoth.documents.Run)
    fonts = [run.font or "" for run in runs if run.children]
    is_code = "code" in style or "preformatted" in style or (fonts and all(map(_MONOSPACE.search, fonts)))
    return paragraph.copy(style_id="TutorCode", style_name="tutor code") if is_code else paragraph


def _with_formulas_as_text(archive: zipfile.ZipFile) -> BytesIO:
    """The same document with every formula as a run of LaTeX, which mammoth would leave out otherwise."""
    from lxml import etree

    copy = BytesIO()
    with zipfile.ZipFile(copy, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "word/document.xml" and b"oMath" in content:
                body = etree.fromstring(content, _xml_parser())
                for formula in [*body.iter(f"{MATH}oMathPara"), *body.iter(f"{MATH}oMath")]:
                    _replace(formula, _text_run(_delimited(formula)))
                content = etree.tostring(body)
            changed.writestr(name, content)
    copy.seek(0)
    return copy


def _xml_parser() -> Any:  # noqa: ANN401 - lxml is untyped
    from lxml import etree

    return etree.XMLParser(resolve_entities=False, no_network=True)


def _delimited(formula: _Element) -> str:
    """A formula between `$`, or between `$$` where it stands on a line of its own."""
    mark = "$$" if formula.tag == f"{MATH}oMathPara" else "$"
    tex = " ".join(latex(formula).split())
    return f"{mark}{tex}{mark}" if tex else ""


def _text_run(text: str) -> _Element:
    from lxml import etree

    run = etree.Element(f"{_WORD}r")
    etree.SubElement(run, f"{_WORD}t").text = text
    return run


def _replace(old: _Element, new: _Element) -> None:
    parent = old.getparent()
    # A formula inside of one that has been replaced has no place any more.
    if parent is not None:
        new.tail = old.tail
        parent.replace(old, new)


# Slides


def read_pptx(raw: bytes) -> Reading:
    """A presentation, a page a slide: its title as a heading, its text as lists, its notes below."""
    import pptx

    _open_zip(raw)
    presentation = pptx.Presentation(BytesIO(raw))
    slides = tuple(_slide(slide) + "\n" for slide in presentation.slides)
    return Reading(slides, presentation.core_properties.title or "", is_paged=True)


def _slide(slide: Slide) -> str:
    for choice in list(slide.element.iter(f"{_COMPATIBILITY}AlternateContent")):
        _keep_choice(choice)
    title = slide.shapes.title
    parts = (
        [f"## {' '.join(title.text_frame.text.split())}"] if title is not None and title.text_frame.text.strip() else []
    )
    shapes = sorted(_shapes(slide.shapes), key=lambda shape: (shape.top or 0, shape.left or 0))
    parts.extend(_shape(shape) for shape in shapes if title is None or shape.shape_id != title.shape_id)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        parts.append(slide.notes_slide.notes_text_frame.text.strip())
    return "\n\n".join(filter(None, parts))


def _keep_choice(alternatives: _Element) -> None:
    """Where a slide has a formula, PowerPoint writes the shape twice: with it, and as a picture for older versions."""
    choice = alternatives.find(f"{_COMPATIBILITY}Choice")
    parent = alternatives.getparent()
    if choice is not None and parent is not None:
        for child in choice:
            alternatives.addprevious(child)
        parent.remove(alternatives)


def _shapes(shapes: Any) -> Iterator[BaseShape]:  # noqa: ANN401 - a slide's or a group's
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _shape(shape: Any) -> str:  # noqa: ANN401 - every kind of shape has other attributes
    if getattr(shape, "has_table", False):
        return markdown_table([[" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows])
    if not shape.has_text_frame:
        return ""
    paragraphs = [(paragraph.level, _paragraph(paragraph._p)) for paragraph in shape.text_frame.paragraphs]
    fonts = {
        run.font.name or "" for paragraph in shape.text_frame.paragraphs for run in paragraph.runs if run.text.strip()
    }
    if fonts and all(map(_MONOSPACE.search, fonts)):
        code = "\n".join(text for _, text in paragraphs).strip("\n")
        return f"```\n{code}\n```"
    paragraphs = [(level, " ".join(text.split())) for level, text in paragraphs if text.strip()]
    if shape.is_placeholder and len(paragraphs) > 1:
        return "\n".join(f"{'  ' * level}- {text}" for level, text in paragraphs)
    return "\n\n".join(text for _, text in paragraphs)


def _paragraph(paragraph: _Element) -> str:
    """The words of a paragraph, its formulas as LaTeX."""
    parts: list[str] = []
    formulas = {formula for kind in ("oMathPara", "oMath") for formula in paragraph.iter(MATH + kind)}
    for element in paragraph.iter(f"{_DRAWING}t", f"{_DRAWING}br", f"{MATH}oMathPara", f"{MATH}oMath"):
        inside = formulas.intersection(element.iterancestors())
        if element in formulas and not inside:
            parts.append(_delimited(element))
        elif element.tag == f"{_DRAWING}br":
            parts.append("\n")
        elif element not in formulas and not inside:
            parts.append(element.text or "")
    return "".join(parts)


# Notebooks


def read_notebook(raw: bytes) -> Reading:
    """The cells in order: Markdown as it is, code in fences with the short text that it printed."""
    notebook = json.loads(raw.decode("utf-8-sig"))
    # Format 3 and older have the cells in worksheets.
    sheets = [notebook] if "cells" in notebook else notebook["worksheets"]
    metadata = notebook.get("metadata", {})
    language = metadata.get("language_info", metadata.get("kernelspec", {})).get("name", "python")
    cells = [_cell(cell, re.sub(r"\d+$", "", language)) for sheet in sheets for cell in sheet["cells"]]
    return Reading(("\n\n".join(filter(None, cells)),), str(metadata.get("title") or ""), has_html=True)


def _cell(cell: dict[str, Any], language: str) -> str:
    source = _joined(cell.get("source", cell.get("input", ""))).strip("\n")
    if cell["cell_type"] == "heading":
        return f"{'#' * int(cell.get('level', 1))} {source}"
    if cell["cell_type"] != "code":
        return source if cell["cell_type"] == "markdown" else ""
    outputs = "\n".join(filter(None, map(_output, cell.get("outputs", ()))))
    parts = [_fenced(source, language)] if source.strip() else []
    if outputs.strip():
        parts.append(_fenced("\n".join(outputs.strip("\n").split("\n")[:MAX_OUTPUT_LINES]), "text"))
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> str:
    if output.get("output_type") == "stream":
        return _joined(output.get("text", "")) if output.get("name", "stdout") == "stdout" else ""
    data = output.get("data", {})
    # The text of a picture is `<Figure size 640x480>`.
    return "" if any(kind.startswith("image/") for kind in data) else _joined(data.get("text/plain", ""))


def _joined(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _fenced(text: str, language: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text}\n{fence}"


READERS: dict[str, Callable[[bytes], Reading]] = {
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".pptx": read_pptx,
    ".ipynb": read_notebook,
    ".epub": read_epub,
}
"""The reader of each suffix."""

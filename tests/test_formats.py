from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.util import Inches
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import ListFlowable, PageBreak, Paragraph, Preformatted, SimpleDocTemplate, Table

import corpus.formats
import corpus.pdf_pages
from corpus.check import check_corpus
from corpus.chunks import Chunk, split_document
from corpus.documents import Document, UnreadableFileError, guide_files, read_document, read_guides
from tutor.tutor import Tutor

PAGE = r"""<!DOCTYPE html>
<html><head><title>Dropout | A blog</title><style>p { color: red }</style></head>
<body class="has-sidebar">
<header><a href="/">A blog</a></header>
<nav><ul><li><a href="/">Home</a></li><li>Archive</li></ul></nav>
<div id="cookieBanner">We use cookies. Accept all?</div>
<main><article>
<h1>Dropout</h1>
<p>Dropout zeroes each unit with probability \(p_i\) &amp; scales by <code>1 / (1 - p)</code>.
See <a href="/other">the other page</a> or <a href="https://example.org/paper">the paper</a>; &lt;div&gt; is a tag.</p>
\[ y = \frac{m \odot x}{1 - p} \]
<p>Also <span class="katex"><span class="katex-mathml"><math><semantics><mi>E</mi><annotation
encoding="application/x-tex">E[y] = x</annotation></semantics></math></span><span class="katex-html"
aria-hidden="true">E[y]=x</span></span> holds.</p>
<h2>In PyTorch<a class="headerlink" href="#in-pytorch">¶</a></h2>
<div class="highlight-python"><pre><span>def</span> drop(x, p_keep):
    <span>return</span> x * mask  # a | b
</pre></div>
<h2>Rates</h2>
<table><tr><th>Layer</th><th>Rate</th></tr><tr><td>dense | wide</td><td>0.5</td></tr></table>
<ul><li>Vision<ul><li>ResNet: none</li></ul></li></ul>
<div class="share-buttons">Tweet this</div>
</article><aside>Related: pooling</aside></main>
<script>track("page")</script><footer>© 2024</footer>
</body></html>
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A folder for the files of a test."""
    folder = tmp_path / "guides"
    folder.mkdir()
    return folder


def read(folder: Path, name: str, content: bytes | str) -> Document:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(file, name)


def chunks_of(document: Document) -> dict[str, Chunk]:
    return {chunk.path: chunk for chunk in split_document(document, max_words=300)}


# HTML


def test_a_page_gives_its_text_without_what_surrounds_it(file: Path):
    text = read(file, "dropout.html", PAGE).text

    for left_out in ("blog", "Home", "cookies", "Tweet", "Related", "2024", "track", "color", "¶"):
        assert left_out not in text


def test_a_page_keeps_headings_code_tables_lists_and_formulas(file: Path):
    document = read(file, "dropout.html", PAGE)
    chunks = chunks_of(document)

    assert (document.title, document.topic, document.language) == ("Dropout", "dropout", "en")
    assert list(chunks) == ["Dropout", "In PyTorch", "Rates"]
    assert "probability $p_i$ & scales by `1 / (1 - p)`" in chunks["Dropout"].text
    assert "the other page or [the paper](https://example.org/paper); <div> is a tag." in chunks["Dropout"].text
    assert "$$\ny = \\frac{m \\odot x}{1 - p}\n$$" in chunks["Dropout"].text
    assert "Also $E[y] = x$ holds." in chunks["Dropout"].text
    assert "```python\ndef drop(x, p_keep):\n    return x * mask  # a | b\n```" in chunks["In PyTorch"].text
    assert "| Layer | Rate |\n| --- | --- |\n| dense \\| wide | 0.5 |" in chunks["Rates"].text
    assert "- Vision\n  - ResNet: none" in chunks["Rates"].text


@pytest.mark.parametrize(
    ("source", "markdown"),
    [
        ('<script type="math/tex">a_1</script>', "$a_1$"),
        ('<script type="math/tex; mode=display">a_1</script>', "$$\na_1\n$$"),
        ('<math alttext="x^{2}"><mi>x</mi></math>', "$x^{2}$"),
        (
            '<math><semantics><mi>x</mi><annotation encoding="application/x-tex">{\\displaystyle x}</annotation>'
            '</semantics></math><img class="mwe-math-fallback-image-inline" alt="x squared">',
            "$x$",
        ),
        ('<img class="latex" alt="$x_0$">', "$x_0$"),
        ("<p>So $$a*b*c$$ holds.</p>", "$$\na*b*c\n$$"),
    ],
)
def test_formulas_of_every_usual_writer_become_latex(file: Path, source: str, markdown: str):
    text = read(file, "page.html", f"<html><body><p>A formula:</p>{source}</body></html>").text

    assert markdown in text
    assert "squared" not in text


def test_a_page_that_declares_another_encoding_is_read_in_it(file: Path):
    page = '<html><head><meta charset="gb18030"></head><body><h1>批归一化</h1><p>标准化每个通道。</p></body></html>'

    document = read(file, "zh.html", page.encode("gb18030"))

    assert (document.title, document.language) == ("批归一化", "zh")


def test_words_that_look_like_a_surrounding_do_not_cost_the_text(file: Path):
    page = "<body><div class='with-sidebar'><p>Early stopping ends training when the loss stops to improve.</p></div></body>"

    assert "Early stopping" in read(file, "page.htm", page).text


# EPUB


def epub(chapters: Sequence[str], *, encryption: str = "") -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        )
        if encryption:
            book.writestr("META-INF/encryption.xml", encryption)
        items = "".join(f'<item id="c{number}" href="text/c%20{number}.xhtml"/>' for number in range(len(chapters)))
        order = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
        book.writestr(
            "OEBPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<metadata><dc:title>Deep learning</dc:title></metadata>"
            f'<manifest><item id="nav" href="nav.xhtml" properties="nav"/>{items}</manifest>'
            f'<spine><itemref idref="nav"/>{order}</spine></package>',
        )
        book.writestr("OEBPS/nav.xhtml", "<html><body><h1>Contents</h1></body></html>")
        for number, chapter in enumerate(chapters):
            book.writestr(f"OEBPS/text/c {number}.xhtml", f"<html><body>{chapter}</body></html>")
    return content.getvalue()


def test_a_book_gives_its_chapters_in_reading_order(file: Path):
    chapters = ["<h1>Losses</h1><p>Cross-entropy.</p>", "<h1>Optimizers</h1><h2>Adam</h2><p>Two moments.</p>"]

    document = read(file, "book.epub", epub(chapters))

    assert document.title == "Deep learning"
    assert list(chunks_of(document)) == ["Losses", "Optimizers > Adam"]
    assert "Contents" not in document.text


def test_a_protected_book_is_refused_and_one_with_scrambled_fonts_is_not(file: Path):
    def listed(name: str) -> str:
        return f'<encryption><EncryptedData><CipherData><CipherReference URI="{name}"/></CipherData></EncryptedData></encryption>'

    chapters = ["<h1>Losses</h1><p>Cross-entropy.</p>"]

    assert read(file, "fonts.epub", epub(chapters, encryption=listed("OEBPS/font.ttf"))).title == "Deep learning"
    with pytest.raises(UnreadableFileError, match="protected by DRM"):
        read(file, "drm.epub", epub(chapters, encryption=listed("OEBPS/text/c%200.xhtml")))


# Word

OMML = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def word_document() -> bytes:
    document = docx.Document()
    document.add_heading("Regularization", level=0)
    document.add_heading("Weight decay", level=1)
    paragraph = document.add_paragraph("The penalty is ")
    power = f"<m:sSup><m:e>{run('w')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    paragraph._p.append(parse_xml(f"<m:oMath {OMML}>{power}</m:oMath>"))
    paragraph.add_run(" times λ.")
    fraction = f"<m:f><m:num>{run('λ')}</m:num><m:den>{run('2')}</m:den></m:f>"
    display = document.add_paragraph()
    display._p.append(parse_xml(f"<m:oMathPara {OMML}><m:oMath>{fraction}</m:oMath></m:oMathPara>"))
    document.add_heading("In code", level=2)
    for line in ("for w in weights:", "    w *= 1 - lr * decay"):
        document.add_paragraph().add_run(line).font.name = "Consolas"
    document.add_heading("Where", level=1)
    document.add_paragraph("Matrices", style="List Bullet")
    document.add_paragraph("not biases", style="List Bullet 2")
    document.add_paragraph("Choose it", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("Optimizer", "Decay", "AdamW", "0.01"), strict=True):
        cell.text = text
    content = BytesIO()
    document.save(content)
    return content.getvalue()


def test_a_word_document_keeps_headings_code_tables_lists_and_formulas(file: Path):
    document = read(file, "regularization.docx", word_document())
    chunks = chunks_of(document)

    assert document.title == "Regularization"
    assert list(chunks) == ["Weight decay", "Weight decay > In code", "Where"]
    assert "The penalty is $w^{2}$ times λ." in chunks["Weight decay"].text
    assert "$$\n\\frac{λ}{2}\n$$" in chunks["Weight decay"].text
    assert "```\nfor w in weights:\n    w *= 1 - lr * decay\n```" in chunks["Weight decay > In code"].text
    assert "- Matrices\n  - not biases" in chunks["Where"].text
    assert "1. Choose it" in chunks["Where"].text
    assert "| Optimizer | Decay |\n| --- | --- |\n| AdamW | 0.01 |" in chunks["Where"].text


@pytest.mark.parametrize(
    ("omml", "tex"),
    [
        (f"<m:rad><m:deg/><m:e>{run('x')}</m:e></m:rad>", r"\sqrt{x}"),
        (
            f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{run("i=1")}</m:sub><m:sup>{run("n")}</m:sup>'
            f"<m:e>{run('x')}</m:e></m:nary>",
            r"\sum_{i=1}^{n} x",
        ),
        (f"<m:d><m:e>{run('a+b')}</m:e></m:d>", r"\left( a+b \right)"),
        (f"<m:func><m:fName>{run('log')}</m:fName><m:e>{run('p')}</m:e></m:func>", r"\log p"),
        (f'<m:acc><m:accPr><m:chr m:val="\u0304"/></m:accPr><m:e>{run("x")}</m:e></m:acc>', r"\bar{x}"),
        (
            f"<m:m><m:mr><m:e>{run('1')}</m:e><m:e>{run('0')}</m:e></m:mr><m:mr><m:e>{run('0')}</m:e>"
            f"<m:e>{run('1')}</m:e></m:mr></m:m>",
            r"\begin{matrix} 1 & 0 \\ 0 & 1 \end{matrix}",
        ),
        (f"<m:limLow><m:e>{run('max')}</m:e><m:lim>{run('w')}</m:lim></m:limLow>", r"\max_{w}"),
        (f"<m:sSub><m:e>{run('x')}</m:e><m:sub>{run('ij')}</m:sub></m:sSub>", "x_{ij}"),
        (f"<m:box><m:boxPr/><m:e>{run('50%')}</m:e></m:box>", r"50\%"),
    ],
)
def test_formulas_of_word_become_latex(omml: str, tex: str):
    from corpus.formulas import latex

    assert latex(parse_xml(f"<m:oMath {OMML}>{omml}</m:oMath>")).strip() == tex


# PowerPoint


def presentation() -> bytes:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Attention"
    body = first.placeholders[1].text_frame
    body.text = "Queries meet keys"
    nested = body.add_paragraph()
    nested.text, nested.level = "softmax of the scores", 1
    first.notes_slide.notes_text_frame.text = "Say why we scale by the root of d."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "In code"
    code = second.shapes.add_textbox(Inches(1), Inches(2), Inches(5), Inches(1)).text_frame
    code.text = "scores = q @ k.T"
    code.paragraphs[0].runs[0].font.name = "Courier New"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(5), Inches(1)).table
    for cell, text in zip(table.iter_cells(), ("Heads", "Width", "8", "64"), strict=True):
        cell.text = text
    content = BytesIO()
    deck.save(content)
    return content.getvalue()


def test_slides_are_pages_with_lists_notes_code_and_tables(file: Path):
    document = read(file, "attention.pptx", presentation())
    chunks = chunks_of(document)

    assert "- Queries meet keys\n  - softmax of the scores\n\nSay why we scale" in chunks["Attention"].text
    assert "```\nscores = q @ k.T\n```" in chunks["In code"].text
    assert "| Heads | Width |\n| --- | --- |\n| 8 | 64 |" in chunks["In code"].text
    assert [chunk.page for chunk in chunks.values()] == [1, 2]


def test_a_formula_on_a_slide_is_not_lost_with_the_shape_that_holds_it(file: Path):
    deck = pptx.Presentation(BytesIO(presentation()))
    shape = deck.slides[1].shapes.add_textbox(0, 0, 9, 9)
    shape.text_frame.text = "Scaled by "
    names = (
        f'{OMML} xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    )
    root = f"<m:rad><m:deg/><m:e>{run('d')}</m:e></m:rad>"
    math = parse_xml(f"<a14:m {names}><m:oMath>{root}</m:oMath></a14:m>")
    shape.text_frame.paragraphs[0]._p.append(math)
    alternatives = parse_xml(f'<mc:AlternateContent {names}><mc:Choice Requires="a14"/></mc:AlternateContent>')
    shape._element.addprevious(alternatives)
    alternatives[0].append(shape._element)
    content = BytesIO()
    deck.save(content)

    assert "Scaled by $\\sqrt{d}$" in read(file, "attention.pptx", content.getvalue()).text


# Notebooks


def notebook(**cells: object) -> str:
    return json.dumps({"nbformat": 4, "metadata": {"kernelspec": {"name": "python3"}}, **cells})


def test_a_notebook_gives_its_text_its_code_and_what_the_code_printed(file: Path):
    cells = [
        {"cell_type": "markdown", "source": ["# Gradient descent\n", "\n", "One step is $w - \\eta g$.<br>\n"]},
        {
            "cell_type": "code",
            "source": ["w = 1.0\n", "print(w)"],
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["1.0\n"]},
                {"output_type": "stream", "name": "stderr", "text": ["a warning\n"]},
                {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo", "text/plain": ["<Figure size>"]}},
            ],
        },
        {"cell_type": "raw", "source": "for a converter"},
        {"cell_type": "code", "source": "for i in range(99): print(i)", "outputs": [
            {"output_type": "stream", "name": "stdout", "text": "".join(f"{number}\n" for number in range(99))}]},
    ]  # fmt: skip

    document = read(file, "descent.ipynb", notebook(cells=cells))

    assert document.title == "Gradient descent"
    assert "One step is $w - \\eta g$.\n" in document.text
    assert "```python\nw = 1.0\nprint(w)\n```\n\n```text\n1.0\n```" in document.text
    for left_out in ("warning", "Figure", "iVBOR", "converter", "\n20\n"):
        assert left_out not in document.text


def test_a_notebook_of_the_old_format_is_read(file: Path):
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Momentum"},
        {"cell_type": "code", "input": "v = 0.9 * v", "language": "python", "outputs": []},
    ]

    assert read(file, "old.ipynb", notebook(worksheets=[{"cells": cells}])).text == (
        "## Momentum\n\n```python\nv = 0.9 * v\n```"
    )


# PDF

STYLES = getSampleStyleSheet()
LONG = (
    "Dropout zeroes random units during training, so that no unit can rely on another one, and it is switched off "
    "when the network is used for prediction. "
)


def pdf(story: Sequence[object], **options: object) -> bytes:
    content = BytesIO()

    def decorate(canvas: Canvas, _document: object) -> None:
        canvas.setFont("Helvetica", 9)
        canvas.drawString(72, 800, "Lecture notes of the course")
        canvas.drawString(300, 30, f"Page {canvas.getPageNumber()}")

    SimpleDocTemplate(content, **options).build(list(story), onFirstPage=decorate, onLaterPages=decorate)
    return content.getvalue()


def lecture() -> list[object]:
    def text(words: str, style: str = "BodyText") -> Paragraph:
        return Paragraph(words, STYLES[style])

    return [
        text("Lecture 3", "Title"),
        text("Dropout", "Heading1"),
        text(LONG),
        text("Its rate is 0.5 in dense layers."),
        ListFlowable([text("dense layers"), text("embeddings")], bulletType="bullet", start="•"),
        PageBreak(),
        text("Early stopping", "Heading1"),
        text("The patience is the number of epochs without improvement."),
        Preformatted("if epoch - best > patience:\n    break", STYLES["Code"]),
        Table([["Metric", "Patience"], ["loss", "5"], ["accuracy", "10"]]),
    ]


def test_a_pdf_gives_headings_lists_code_and_tables_and_knows_its_pages(file: Path):
    document = read(file, "lecture-3.pdf", pdf(lecture()))
    chunks = chunks_of(document)

    assert document.title == "Lecture 3"
    assert [(path, chunk.page) for path, chunk in chunks.items()] == [("Dropout", 1), ("Early stopping", 2)]
    # The lines of the paragraph are one again.
    assert LONG.strip() in chunks["Dropout"].text
    assert "- dense layers\n- embeddings" in chunks["Dropout"].text
    assert "```\nif epoch - best > patience:\n    break\n```" in chunks["Early stopping"].text
    assert "| Metric | Patience |\n| --- | --- |\n| loss | 5 |\n| accuracy | 10 |" in chunks["Early stopping"].text


def test_running_heads_and_page_numbers_are_no_text(file: Path):
    text = read(file, "lecture.pdf", pdf(lecture())).text

    assert "Lecture notes" not in text
    assert "Page" not in text


def test_the_pages_of_a_document_begin_at_lines_of_its_text(file: Path):
    document = read(file, "lecture.pdf", pdf(lecture()))

    first, second = document.page_starts
    assert (first, document.text.split("\n")[second - 1]) == (1, "# Early stopping")


def drawn(*pages: Sequence[tuple[float, str]], font: str = "Helvetica", outline: str = "") -> bytes:
    """A PDF with each line of a page at its height, in points from below."""
    content = BytesIO()
    canvas = Canvas(content)
    for page in pages:
        canvas.setFont(font, 11)
        if outline:
            canvas.bookmarkPage("here")
            canvas.addOutlineEntry(outline, "here", level=0)
        for height, line in page:
            canvas.drawString(72, height, line)
        canvas.showPage()
    canvas.save()
    return content.getvalue()


def test_words_that_a_line_end_broke_are_whole_again(file: Path):
    lines = ["Dropout regu-", "larizes the weights of mini-", "batches; such mini-batches are small."]

    text = read(file, "a.pdf", drawn([(700 - 14 * row, line) for row, line in enumerate(lines)])).text

    assert "Dropout regularizes the weights of mini-batches; such mini-batches are small." in text


def test_the_entries_of_a_numbered_list_stay_beside_their_numbers(file: Path):
    lines = ["1. Collect more data. It helps most.", "2. Augment it.", "10. Average models."]

    text = read(file, "a.pdf", drawn([(700 - 14 * row, line) for row, line in enumerate(lines)])).text

    assert text == "1. Collect more data.\nIt helps most.\n2. Augment it.\n10. Average models.\n"


def test_a_paragraph_runs_on_over_the_page(file: Path):
    document = read(
        file, "a.pdf", drawn([(700, "The patience counts the epochs that")], [(700, "bring no improvement.")])
    )

    assert document.text.strip() == "The patience counts the epochs that\nbring no improvement."
    assert document.page_starts == (1, 2)


def test_the_outline_names_headings_that_look_like_text(file: Path):
    pages = drawn([(700, "Batch size"), (660, "It sets the noise of the gradient.")], outline="Batch size")

    assert read(file, "a.pdf", pages).text.startswith("# Batch size\n\nIt sets")


def test_a_large_title_that_several_slides_share_is_kept(file: Path):
    def slide(words: str) -> list[object]:
        style = ParagraphStyle("large", fontSize=28, leading=34)
        return [Paragraph("Dropout", style), Paragraph(words * 3, STYLES["BodyText"]), PageBreak()]

    text = read(
        file, "slides.pdf", pdf([*slide("It zeroes units. "), *slide("It is off later. "), *slide("End. ")])
    ).text

    assert text.count("# Dropout") == 3


def test_a_chinese_pdf_is_read_without_spaces_inside_its_sentences(file: Path):
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    lines = [(700, "批归一化对每个通道做标"), (684, "准化，再乘以可学习的缩放系数。")]

    document = read(file, "zh.pdf", drawn(lines, font="STSong-Light"))

    assert "批归一化对每个通道做标准化，再乘以可学习的缩放系数。" in document.text
    assert document.language == "zh"


def test_radicals_and_ligatures_that_look_like_letters_become_them_and_signs_stay():
    assert corpus.pdf_pages._mended("⽅法 ﬁne x² ，½") == "方法 fine x² ，½"


def test_a_pdf_with_a_password_says_so(file: Path):
    locked = pdf(lecture(), encrypt=StandardEncryption("secret", ownerPassword="owner"))

    with pytest.raises(UnreadableFileError, match="protected by a password"):
        read(file, "locked.pdf", locked)


def test_a_pdf_that_may_be_read_and_not_printed_is_read(file: Path):
    open_to_all = pdf(lecture(), encrypt=StandardEncryption("", ownerPassword="owner", canPrint=0))

    assert "Early stopping" in read(file, "open.pdf", open_to_all).text


def test_a_scan_says_how_to_give_it_text(file: Path):
    content = BytesIO()
    canvas = Canvas(content)
    canvas.rect(72, 72, 300, 300, fill=1)
    canvas.showPage()
    canvas.save()

    with pytest.raises(UnreadableFileError, match=r"only pictures of pages.*ocrmypdf"):
        read(file, "scan.pdf", content.getvalue())


def test_a_pdf_of_too_many_pages_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus.pdf_pages, "MAX_PAGES", 1)

    with pytest.raises(UnreadableFileError, match=r"it has 2 pages\. Expected at most 1: split it"):
        read(file, "long.pdf", pdf(lecture()))


# Files that cannot be read


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"%PDF-1.7 broken", "the PDF is damaged"),
        ("a.docx", b"not a zip", r"damaged or not really a \.docx file"),
        ("a.pptx", b"PK\x03\x04 cut off", r"damaged or not really a \.pptx file"),
        ("a.epub", b"PK\x05\x06" + bytes(18), r"damaged or not really a \.epub file"),
        ("a.docx", b"\xd0\xcf\x11\xe0 an OLE file", "protected by a password, or of an old format"),
        ("a.ipynb", b"{", r"damaged or not really a \.ipynb file"),
        ("a.ipynb", b'{"cells": [], "metadata": {}}', "no text was found"),
        ("a.html", b"<html><script>x()</script></html>", "no text was found"),
        ("a.html", b"<div>" * 50_000 + b"deep", "nested more than 200 deep"),
        ("a.pdf", b"", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file: Path, name: str, content: bytes, reason: str):
    with pytest.raises(UnreadableFileError, match=reason):
        read(file, name, content)


@pytest.mark.parametrize("name", ["bomb.docx", "bomb.pptx", "bomb.epub"])
def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    file: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(corpus.formats, "MAX_UNPACKED_BYTES", 1_000_000)
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("word/document.xml", bytes(2_000_000))

    assert len(content.getvalue()) < 5_000
    with pytest.raises(UnreadableFileError, match=r"unpacks to 2 MB\. Expected at most 1 MB"):
        read(file, name, content.getvalue())


def test_the_other_files_of_a_folder_are_read_all_the_same(file: Path):
    (file / "page.html").write_text(PAGE, encoding="utf-8")
    (file / "locked.pdf").write_bytes(pdf(lecture(), encrypt="secret"))
    (file / "broken.docx").write_bytes(b"PK")
    (file / "~$open.docx").write_bytes(b"a lock of an office program")

    documents, problems = read_guides([file])

    assert [document.id for document in documents] == ["page.html"]
    assert [problem.path for problem in problems] == ["broken.docx", "locked.pdf"]
    assert "~$open.docx" not in dict(guide_files([file]))


def test_the_authors_linter_asks_no_front_matter_of_a_pdf(file: Path):
    (file / "lecture.pdf").write_bytes(pdf(lecture()))

    assert check_corpus(file.parent) == []


# To the end of the line


def test_an_answer_cites_the_page_of_a_pdf_and_the_slide_of_a_presentation(tutor: Tutor, tmp_path: Path):
    (tmp_path / "lecture-3.pdf").write_bytes(pdf(lecture()))
    (tmp_path / "attention.pptx").write_bytes(presentation())
    tutor.update_index([tmp_path / "lecture-3.pdf", tmp_path / "attention.pptx"])

    patience = tutor.ask("What is the patience in early stopping, as the number of epochs without improvement?")
    scores = tutor.retrieve("softmax of the scores of queries and keys", count=1)

    places = {citation.chunk.place for citation in patience.citations}
    assert "lecture-3.pdf, page 2" in places
    assert scores[0].chunk.place == "attention.pptx, page 1"


def test_an_unchanged_pdf_is_not_read_a_second_time(tutor: Tutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lecture_notes = tmp_path / "lecture-3.pdf"
    lecture_notes.write_bytes(pdf(lecture()))
    tutor.update_index([lecture_notes])
    before = tutor.index.documents_by_id["lecture-3.pdf"]

    def refuse(_raw: bytes) -> None:
        raise AssertionError("read again")

    monkeypatch.setitem(corpus.formats.READERS, ".pdf", refuse)
    report = tutor.update_index()

    assert report.problems == ()
    assert tutor.index.documents_by_id["lecture-3.pdf"] == before
    assert before.page_starts[0] == 1

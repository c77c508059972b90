"""HTML to Markdown: what surrounds the text is left out, code, tables, lists and formulas are kept.

beautifulsoup4 (MIT) over lxml (BSD) repairs the page and markdownify (MIT) writes it: 13 MB with lxml, which the readers of
PowerPoint files need anyway. trafilatura finds the text of an unknown page a little better, but brings 67 MB and drops
formulas and the language of code; what surrounds the text is therefore taken out here, by the page's own marks.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from corpus.readings import ConversionError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import NavigableString, PageElement, Tag
    from markdownify import MarkdownConverter

MAX_DEPTH = 200
"""Pages that people read stay below 60; writing Markdown takes a few calls a level."""
_UNREAD_TAGS = (
    "script style noscript template nav footer aside form button input select textarea dialog svg canvas iframe object embed "
    "video audio map link meta"
).split()
_UNREAD_ROLES = "navigation banner contentinfo search dialog alertdialog complementary menu menubar".split()
_UNREAD_WORDS = frozenset(
    "ad ads advert advertisement breadcrumb breadcrumbs comments consent cookie cookies disqus footer gdpr headerlink lineno "
    "linenos linenumber menu modal navbar newsletter pagination popup promo related share sharing sidebar social sponsor "
    "subscribe toolbar".split()
)
"""Words of class names and ids that name what is not the text. `anchor-link` of notebooks is matched as a whole."""
_UNREAD_NAMES = frozenset(
    {"anchor-link", "skip-link", "screen-reader-text", "sr-only", "visually-hidden", "mw-editsection"}
)
_MIN_MAIN_CHARACTERS = 200
"""A `<main>` or `<article>` with less is a teaser or a shell that scripts would fill."""
_DISPLAY = re.compile(r"\\\[(.+?)\\\]|\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\\\((.+?)\\\)", re.DOTALL)
_LANGUAGE = re.compile(r"(?:language|lang|highlight|brush|sourceCode)[-:]\s*([\w+#]+)|sourceCode (\w+)")


def page_markdown(source: bytes | str, *, whole: bool = False) -> tuple[str, str]:
    """Title and Markdown of a page; `whole` where nothing surrounds the text, as in a chapter of a book."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(source, "lxml", from_encoding=_encoding(source))
    _check_depth(soup)
    head = soup.title.get_text(" ", strip=True) if soup.title else ""
    _mark_formulas(soup)
    for tag in soup(_UNREAD_TAGS if not whole else ["script", "style", "svg", "link", "meta"]):
        tag.decompose()
    body = soup.body or soup
    if not whole:
        _drop_surroundings(body)
        body = _main(body)
    headings = body.find_all("h1")
    title = headings[0].get_text(" ", strip=True) if len(headings) == 1 else head
    _ready(body)
    text = _converter().convert_soup(body)
    text = text.replace("\u00a0", " ").replace("\u00ad", "").replace("\u200b", "")
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return title, re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _check_depth(soup: BeautifulSoup) -> None:
    """Raise ConversionError where elements are nested so deeply that work on them would take for ever."""
    depths: dict[int, int] = {}
    for tag in soup.find_all(True):
        depths[id(tag)] = depths.get(id(tag.parent), 0) + 1
        if depths[id(tag)] > MAX_DEPTH:
            raise ConversionError(
                f"its parts are nested more than {MAX_DEPTH} deep. Simplify it, or convert it to Markdown."
            )


def _encoding(source: bytes | str) -> str | None:
    """UTF-8 where the bytes are that; else None, and the page's own declaration or a guess decides."""
    if isinstance(source, str):
        return None
    try:
        source.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _mark_formulas(soup: BeautifulSoup) -> None:
    """Put `<tex>` with LaTeX in the place of everything that KaTeX, MathJax, Wikipedia or LaTeXML made of a formula."""
    for script in soup.find_all("script", type=re.compile("^math/tex")):
        _put(soup, script, script.get_text(), display="mode=display" in str(script["type"]))
    for image in soup.select("img.mwe-math-fallback-image-inline, img.mwe-math-fallback-image-display"):
        # Beside the MathML that says the same.
        image.decompose()
    for math in soup.find_all("math"):
        annotation = math.find("annotation", encoding=re.compile("tex", re.IGNORECASE))
        tex = annotation.get_text() if annotation else str(math.get("alttext") or "")
        display = math.get("display") == "block" or math.find_parent(class_="katex-display") is not None
        drawn = math.find_parent(class_="katex") or math
        if tex.strip():
            _put(soup, drawn, tex, display=display)
    for image in soup.find_all("img", alt=True):
        if {"math", "latex", "tex"} & set(image.get_attribute_list("class")):
            _put(soup, image, str(image["alt"]).strip("$"), display=False)
    for drawn in soup.select(".MathJax_Preview, .MathJax, .MathJax_Display"):
        drawn.decompose()
    for text in soup.find_all(string=re.compile(r"\\[(\[]|\$\$")):
        if not text.find_parent(["pre", "code", "script", "style", "tex"]):
            _mark_formulas_of_text(soup, text)


def _mark_formulas_of_text(soup: BeautifulSoup, text: NavigableString) -> None:
    r"""Formulas that a script would find in the words: `\(…\)`, `\[…\]`, `$$…$$`."""
    from bs4.element import NavigableString

    nodes: list[PageElement] = []
    for number, part in enumerate(_DISPLAY.split(str(text))):
        # Every split gives the words between, then the two groups, of which one is None.
        if number % 3 == 0:
            nodes.append(NavigableString(_INLINE.sub(lambda match: f"${match[1].strip()}$", part)))
        elif part:
            nodes.append(_tex(soup, part, display=True))
    text.replace_with(*nodes)


def _put(soup: BeautifulSoup, place: Tag, tex: str, *, display: bool) -> None:
    place.replace_with(_tex(soup, tex, display=display))


def _tex(soup: BeautifulSoup, tex: str, *, display: bool) -> Tag:
    # Wikipedia wraps every formula in {\displaystyle …}.
    plain = re.sub(r"^\{\\(?:displaystyle|textstyle) ?(.*)\}$", r"\1", " ".join(tex.split()))
    tag = soup.new_tag("tex", attrs={"display": "block"} if display else {})
    tag.string = plain.strip()
    return tag


def _drop_surroundings(body: Tag) -> None:
    total = len(body.get_text())
    for tag in body.find_all(True):
        if tag.decomposed or not _is_surrounding(tag):
            continue
        # A name such as "has-sidebar" may be that of the element around everything.
        if tag.find(["main", "article", "h1"]) is None and len(tag.get_text()) <= total / 2:
            tag.decompose()


def _is_surrounding(tag: Tag) -> bool:
    if tag.name in {"pre", "code", "tex", "table", "p", "article", "main"}:
        return False
    if tag.has_attr("hidden") or tag.get("aria-hidden") == "true" or tag.get("role") in _UNREAD_ROLES:
        return True
    if tag.name == "header" and tag.find_parent(["article", "main"]) is None:
        return True
    names = [*tag.get_attribute_list("class"), tag.get("id")]
    words = {word for name in names if name for word in re.split(r"[-_]+", _spaced(str(name)))}
    return bool(words & _UNREAD_WORDS or _UNREAD_NAMES.intersection(map(str, names)))


def _spaced(name: str) -> str:
    """`cookieBanner` as `cookie-banner`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _main(body: Tag) -> Tag:
    """The element that holds the text, where the page names one."""
    candidates = body.select("main, article, [role=main]")
    # An article inside of main is the text; several of them are parts of it.
    largest = max(candidates, key=lambda tag: len(tag.get_text()), default=body)
    inner = largest.find_all("article")
    best = inner[0] if len(inner) == 1 else largest
    return best if len(best.get_text(strip=True)) >= _MIN_MAIN_CHARACTERS else body


def _ready(body: Tag) -> None:
    """Change what would read badly as Markdown."""
    for link in body.find_all("a"):
        # A link to somewhere inside of the site leads nowhere from here.
        if urlsplit(str(link.get("href") or "")).scheme not in {"http", "https"}:
            link.unwrap()
    for image in body.find_all("img"):
        alt = " ".join(str(image.get("alt") or "").split())
        # One word is a file name or a decoration; a description is worth reading.
        image.replace_with(alt if " " in alt else "")
    for text in body.find_all(string=re.compile(r"\|")):
        if text.find_parent(["td", "th"]):
            text.replace_with(text.replace("|", "\\|"))


@cache
def _converter() -> MarkdownConverter:
    """The class is made here, so that the library is imported with the first page and not with this file."""
    from markdownify import ATX, MarkdownConverter

    class Converter(MarkdownConverter):
        def convert_tex(self, el: Tag, text: str, parent_tags: set[str]) -> str:
            del text
            tex = el.get_text()
            return f"\n\n$$\n{tex}\n$$\n\n" if el.get("display") and "_inline" not in parent_tags else f"${tex}$"

    # Nothing is escaped: passages are searched and quoted as words, and a formula must keep its underscores.
    return Converter(
        heading_style=ATX,
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        table_infer_header=True,
        code_language_callback=_code_language,
    )


def _code_language(pre: Tag) -> str:
    """The language of a code block as highlighters write it into class names of the block or of what is around it."""
    for tag in (pre, pre.find("code"), pre.parent, pre.parent and pre.parent.parent):
        names = " ".join(map(str, tag.get_attribute_list("class"))) if tag else ""
        match = _LANGUAGE.search(names)
        if match:
            return next(group for group in match.groups() if group).replace("default", "")
    return ""

"""What the Library tab shows, as functions."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from corpus.check import BankCheck
from corpus.chunks import split_document
from corpus.documents import Problem, parse_document
from index.passage_index import IndexedDocument
from tutor.library import FileState
from tutor.question_banks import OwnBank
from tutor.reading import OpenGuide, Place, open_guide
from ui.render import read_link
from ui.render_library import (
    bank_check_html,
    contents_html,
    documents_html,
    found_markdown,
    guide_markdown,
    own_banks_html,
    refused_html,
    upload_html,
)

GUIDE = """\
# Dropout & friends

Opening words.

## Dropout

Dropout zeroes each activation with probability $p$. At inference
it is **switched off**.

```python
y = dropout(x)
```

## `LayerNorm` in $O(n)$

LayerNorm normalizes features. ![curve](figures/a%20b.png) ![gone](gone.png) ![there](https://example.org/x.png)

## Dropout again

Dropout zeroes each activation with probability $p$.
"""


def opened(place: Place, text: str = GUIDE) -> OpenGuide:
    document = parse_document(text, "guide.md", sha256="")
    return open_guide(document, split_document(document, max_words=300), place)


def test_the_quoted_sentence_is_marked_and_carries_the_id_of_the_visit():
    shown = guide_markdown(opened(Place("dropout", 5, "At inference it is **switched off**.")), visit=7)

    assert '<mark id="visit-7">At inference\nit is **switched off**.</mark>' in shown
    assert shown.count("visit-7") == 1


def test_the_sentence_is_marked_in_the_section_that_was_named_not_in_an_earlier_one():
    shown = guide_markdown(opened(Place("dropout-again", quote="Dropout zeroes each activation with probability $p$.")))

    assert shown.count("<mark") == 1
    assert shown.index("<mark") > shown.index("## Dropout again")


def test_a_quote_that_moved_to_another_section_is_found_there():
    shown = guide_markdown(opened(Place("dropout", 5, "LayerNorm normalizes features.")), visit=1)

    assert '<mark id="visit-1">LayerNorm normalizes features.</mark>' in shown


def test_code_that_was_quoted_is_marked_as_a_block():
    shown = guide_markdown(opened(Place("dropout", quote="```python\ny = dropout(x)\n```")), visit=3)

    assert '<div class="quoted" id="visit-3">\n\n```python' in shown


def test_without_a_quote_the_heading_is_the_place():
    assert '## Dropout <span class="visit" id="visit-2"></span>' in guide_markdown(opened(Place("dropout")), visit=2)


def test_the_top_of_a_guide_is_a_place_too():
    assert guide_markdown(opened(Place()), visit=2).startswith('# Dropout & friends <span class="visit" id="visit-2">')


def test_a_section_that_is_gone_is_said():
    assert "has no such section any more" in guide_markdown(opened(Place("batchnorm")), visit=2)


def test_pictures_beside_the_guide_are_shown_missing_ones_named_and_others_not_fetched():
    shown = guide_markdown(
        opened(Place()), picture=lambda target: "gradio_api/file=/tmp/a.png" if "figures" in target else ""
    )

    assert "![curve](gradio_api/file=/tmp/a.png)" in shown
    assert '<span class="missing">Picture missing: gone (gone.png)</span>' in shown
    assert "[picture: there](https://example.org/x.png)" in shown


def test_what_a_guide_calls_its_pictures_cannot_bring_html_in():
    text = '# G\n\n## S\n\nSome text here. ![<b>x</b>]("onerror=alert(1)"x.png) ![<img/src=x>](no.png)\n'
    shown = guide_markdown(opened(Place(), text), picture=lambda _: "")

    assert "<b>" not in shown
    assert "<img" not in shown


def test_a_long_guide_shows_a_part_with_links_to_those_around_it():
    text = "# Long\n\n" + "\n\n".join(f"## Section {number}\n\n" + f"Words of {number}. " * 60 for number in range(300))
    shown = guide_markdown(opened(Place("section-150"), text))

    assert re.search(r"^Part \d of \d · \[← Before\]\(#read-guide\.md\?line=\d+\) · \[Next →\]", shown)
    assert "## Section 150 " in shown
    assert "## Section 1\n" not in shown


def test_the_contents_name_every_section_but_the_title_with_its_line():
    shown = contents_html(opened(Place()))

    assert "3 sections" in shown
    assert f'href="{read_link("guide.md", "dropout-again", line=18)}">Dropout again' in shown
    assert ">LayerNorm in O(n)</a>" in shown


def test_a_guide_without_headings_has_no_contents():
    assert contents_html(opened(Place(), "Just a few words of text without any heading.")) == ""


def test_headings_are_escaped_in_the_contents():
    assert "&lt;b&gt;" in contents_html(opened(Place(), "# G\n\n## The `<b>` tag\n\nSome text.\n"))


# Links


def test_a_link_carries_section_line_and_quote_and_can_be_read_back():
    link = read_link("my guides/a--b.md", "bias--variance", line=12, quote="Über 50 % (or so) & more?\nNext one.")

    path, _, query = link.removeprefix("#read-").partition("?")
    document_id, _, section = path.partition("--")
    assert unquote(document_id) == "my guides/a--b.md"
    assert unquote(section) == "bias--variance"
    assert query.startswith("line=12&quote=")
    assert unquote(query.split("quote=")[1]) == "Über 50 % (or so) & more?\nNext one."
    assert not re.search(r"[()\s\"'<>]", link)


def test_a_long_quote_is_cut_between_its_sentences():
    quote = "\n".join(f"Sentence number {number} says something." for number in range(100))
    carried = unquote(read_link("g.md", "s", quote=quote).split("quote=")[1])

    assert len(carried) <= 500
    assert carried.endswith("says something.")
    assert len(unquote(read_link("g.md", "s", quote="x" * 5000).split("quote=")[1])) == 500


# Lists


def test_titles_of_documents_are_escaped():
    entry = IndexedDocument("", "", "<b>Guide</b>", "topic", "zh", 3)
    shown = documents_html({"guide's.md": entry})

    assert "&lt;b&gt;Guide" in shown
    assert "Chinese" in shown
    assert "guide's" not in shown


def test_no_documents_says_what_to_do():
    assert "Add a guide" in documents_html({})


def test_nothing_found_says_what_to_do():
    assert "other words" in found_markdown("xyzzy", [], [])


def test_every_file_of_an_upload_is_shown_with_its_stage_count_and_reason():
    shown = upload_html(
        [
            FileState("a.md", "done", 3, 3, "added", "a.md"),
            FileState("b.pdf", "failed", message="the <file> is empty."),
            FileState("c.md", "embedding", 256, 1203),
            FileState("d.md", "splitting"),
            FileState("e.md", "cancelled"),
            FileState("f.md"),
        ]
    )

    assert "3 of 6 files finished" in shown
    assert "added, 3 passages." in shown
    assert "<a href='#read-a.md'>" in shown
    assert "left out: the &lt;file&gt; is empty." in shown
    assert "embedding 256 of 1,203 passages …" in shown
    assert "nothing of it was kept" in shown
    assert upload_html([]) == ""


def test_what_the_linter_says_comes_with_its_lines():
    check = BankCheck((), (Problem("q.md", 7, "the id is '<x>'."),), (Problem("q.md", 9, "it has 0 hints."),))
    shown = bank_check_html("q.md", check)

    assert "no question can join the bank" in shown
    assert "<b>line 7</b> the id is &#x27;&lt;x&gt;&#x27;." in shown
    assert "To make it better (1)" in shown


@pytest.mark.parametrize("name", ["<img src=x>.md"])
def test_names_of_banks_are_escaped(name: str):
    assert "<img" not in refused_html(name, "no.") + own_banks_html([OwnBank(name, 1, 0)])


def test_no_banks_says_what_to_do():
    assert "draft one from a guide" in own_banks_html([])

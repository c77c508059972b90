"""Guides as they are read: where a link leads, in long and in changed guides."""

from __future__ import annotations

from corpus.chunks import split_document
from corpus.documents import Document, parse_document
from tutor.reading import PART_CHARACTERS, OpenGuide, Place, best_sentences, guide_headings, open_guide
from tutor.tutor import Tutor

GUIDE = """\
# Guide

Opening words of the guide.

## 1. Bias – variance

Bias and variance add up.

```python
# no heading
```

### Common mistake

The first mistake.

## Dropout

Dropout zeroes activations.

### Common mistake

The second mistake.
"""


def document(text: str = GUIDE) -> Document:
    return parse_document(text, "guide.md", sha256="")


def opened(place: Place, text: str = GUIDE) -> OpenGuide:
    guide = document(text)
    return open_guide(guide, split_document(guide, max_words=300), place)


def long_guide(sections: int) -> str:
    text = "\n\n".join(f"## Section {number}\n\n" + f"Words of section {number}. " * 40 for number in range(sections))
    return f"# Long\n\n{text}\n"


def test_headings_are_listed_without_ordinals_and_without_comments_of_code():
    assert [(item.line, item.level, item.text) for item in guide_headings(document())] == [
        (1, 1, "Guide"),
        (5, 2, "Bias – variance"),
        (13, 3, "Common mistake"),
        (17, 2, "Dropout"),
        (21, 3, "Common mistake"),
    ]


def test_questions_of_a_text_that_lost_its_headings_are_its_headings():
    text = "\n".join(f"{number}. What is the thing number {number}?\nIt is a thing.\n" for number in range(1, 8))

    assert [item.text for item in guide_headings(document(text))][:2] == [
        "What is the thing number 1?",
        "What is the thing number 2?",
    ]


def test_a_link_to_a_section_opens_the_guide_at_its_heading():
    assert opened(Place("dropout")).line == 17
    assert opened(Place("bias--variance")).line == 5


def test_of_two_sections_with_one_name_the_line_decides():
    assert opened(Place("common-mistake")).line == 13
    assert opened(Place("common-mistake", line=21)).line == 21


def test_a_line_that_has_moved_leads_to_the_section_of_that_name_nearest_to_it():
    assert opened(Place("dropout", line=6)).line == 17
    assert opened(Place("common-mistake", line=500)).line == 21


def test_a_section_that_is_gone_opens_the_guide_at_its_top_and_says_so():
    gone = opened(Place("batchnorm", line=17))

    assert gone.is_lost
    assert gone.line == 1
    assert not opened(Place()).is_lost


def test_a_line_alone_is_a_place():
    assert opened(Place(line=17)).line == 17
    assert opened(Place(line=17_000)).is_lost


def test_an_entry_of_a_long_list_is_a_place():
    entries = "\n".join(f"- **Term {number}**: " + "explained in many words. " * 12 for number in range(12))

    assert opened(Place("term-7"), f"# Terms\n\n## All\n\n{entries}\n").line == 12


def test_a_guide_of_usual_length_is_shown_whole():
    guide = opened(Place("dropout"))

    assert guide.starts == (1,)
    assert guide.lines == range(1, 25)


def test_a_long_guide_is_shown_in_parts_that_begin_at_headings():
    text = long_guide(300)
    guide = opened(Place("section-200"), text)
    lines = text.split("\n")

    assert len(guide.starts) > 3
    assert all(lines[start - 1].startswith("#") for start in guide.starts)
    assert guide.line in guide.lines
    assert guide.part > 0
    assert (
        max(len("\n".join(lines[a - 1 : b])) for a, b in zip(guide.starts, guide.starts[1:], strict=False))
        <= PART_CHARACTERS
    )


def test_the_parts_of_a_guide_hold_every_line_once():
    text = long_guide(300)
    guide = opened(Place(), text)
    parts = [opened(Place(line=start), text).lines for start in guide.starts]

    assert [line for part in parts for line in part] == list(range(1, text.count("\n") + 2))


def test_a_long_text_without_headings_is_cut_at_blank_lines_outside_of_code():
    code = "```\n" + "x = 1\n\n" * 12_000 + "```\n\n"
    text = "# T\n\n" + code + "A paragraph of words.\n\n" * 6_000
    guide = opened(Place(), text)
    lines = text.split("\n")

    assert len(guide.starts) > 1
    assert all(not lines[start - 1].strip() for start in guide.starts[1:])
    assert guide.starts[1] > lines.index("```", 3)


def test_the_sentence_that_says_most_about_a_question_is_quoted(tutor: Tutor):
    hits = tutor.retrieve("how many epochs is the patience?", count=2)
    quotes = best_sentences("how many epochs is the patience?", hits, tutor.index.embedder, tutor.index.keywords.idf)

    assert hits[0].chunk.heading == "Early stopping"
    assert "patience" in quotes[0]
    assert quotes[0] in " ".join(hits[0].chunk.text.split())


def test_nothing_is_quoted_of_nothing(tutor: Tutor):
    assert best_sentences("dropout", [], tutor.index.embedder, tutor.index.keywords.idf) == []

from __future__ import annotations

import random
import re

import pytest

from corpus.chunks import Chunk, anchor, count_words, split_document, strip_markup, strip_ordinal
from corpus.documents import Document, UnreadableFileError, parse_document

LONG = "Dropout zeroes activations at random in training. " * 10


def document(text: str, **fields: str) -> Document:
    return parse_document(text, fields.get("name", "guide.md"), sha256="")


def split(text: str, max_words: int = 300) -> list[Chunk]:
    return split_document(document(text), max_words=max_words)


def test_each_section_is_a_passage_that_knows_its_headings_and_lines():
    chunks = split("# Losses\n\nIntro.\n\n## 1. Cross entropy\n\nText.\n\n### a) For labels\n\nMore.\n")

    assert [chunk.heading_path for chunk in chunks] == [(), ("Cross entropy",), ("Cross entropy", "For labels")]
    assert [(chunk.start_line, chunk.end_line) for chunk in chunks] == [(1, 3), (5, 7), (9, 11)]
    assert chunks[2].id == "guide.md#for-labels"
    assert chunks[2].path == "Cross entropy > For labels"
    assert chunks[0].heading == "Losses"


def test_search_text_says_each_heading_once():
    (chunk,) = split("# Losses\n\n## Cross entropy\n\nText.")

    assert chunk.search_text == "Losses\nCross entropy\nText."


def test_a_passage_carries_what_the_front_matter_says():
    (chunk,) = split("---\ntitle: Losses\ntopic: loss\nlevel: mid\nlang: zh\n---\n# Losses\n\n交叉熵。")

    assert (chunk.title, chunk.topic, chunk.level, chunk.language) == ("Losses", "loss", "mid", "zh")


def test_headings_alone_make_no_passage():
    assert split("# Losses\n\n## Cross entropy\n\n---\n") == []


def test_two_sections_of_one_name_get_different_ids():
    ids = [chunk.id for chunk in split("# RNN\n\n## Pros\n\nFast.\n\n## Pros\n\nSmall.")]

    assert ids == ["guide.md#pros", "guide.md#pros~2"]


def test_an_id_survives_a_change_of_another_section():
    before = split("## Dropout\n\nA.\n\n## BatchNorm\n\nB.")
    after = split("## Dropout\n\nA, and more.\n\n### Where not\n\nC.\n\n## BatchNorm\n\nB.")

    assert before[1].id == after[2].id


def test_a_comment_in_a_fence_is_no_heading():
    chunks = split("## Code\n\n```python\n# the loss\nloss.backward()\n```\n")

    assert len(chunks) == 1
    assert "# the loss" in chunks[0].text


def test_a_long_section_is_cut_between_paragraphs():
    text = "## Dropout\n\n" + "\n\n".join([LONG.strip()] * 4)

    chunks = split(text, max_words=100)

    assert len(chunks) > 1
    assert all(count_words(chunk.text) <= 100 for chunk in chunks)
    assert {chunk.heading for chunk in chunks} == {"Dropout"}


def test_code_tables_and_formulas_stay_whole_even_where_they_are_long():
    code = "```python\n" + "\n".join(f"layer_{n} = Linear(in_features, out_features)" for n in range(60)) + "\n```"
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| momentum {n} | value {n} |" for n in range(60))
    formula = "$$\n" + "\n".join(f"L_{n} = x + y \\\\" for n in range(60)) + "\n$$"

    for block in (code, table, formula):
        chunks = split(f"## Long\n\nBefore it.\n\n{block}\n\nAfter it.", max_words=40)
        assert any(block in chunk.text for chunk in chunks)


def test_a_short_last_sentence_opens_the_next_piece_of_a_cut_section():
    short = "It divides by the keep probability."
    chunks = split(f"## Dropout\n\n{LONG}\n\n{short}\n\n{LONG}", max_words=90)

    assert chunks[0].text.endswith(short)
    assert chunks[1].text.startswith(short)


def test_a_long_entry_with_a_bold_lead_is_a_passage_under_its_own_heading():
    entries = "\n".join(f"- **{name}**: {LONG}" for name in ("Sigmoid", "Tanh"))

    chunks = split(f"# Layers\n\n## Activations\n\n{entries}", max_words=100)

    assert [chunk.heading_path for chunk in chunks] == [("Activations", "Sigmoid"), ("Activations", "Tanh")]


def test_a_list_without_blank_lines_is_cut_at_its_items():
    items = "\n".join(f"- Item {n} says what momentum does to the step." for n in range(30))

    chunks = split(f"## List\n{items}", max_words=60)

    assert len(chunks) > 3
    assert all(line.startswith("- Item") for chunk in chunks for line in chunk.text.split("\n"))


def test_numbered_questions_are_the_headings_of_a_text_that_lost_its_own():
    text = "\n".join(
        f"{number}. What does the {word} gate of a cell do?\nIt guards the state."
        for number, word in enumerate(("input", "output", "forget", "update", "reset"), start=1)
    )

    chunks = split(text.replace("state.", "state.\n# state = input(x)", 1))

    assert [chunk.heading for chunk in chunks][:2] == [
        "What does the input gate of a cell do?",
        "What does the output gate of a cell do?",
    ]
    assert "# state = input(x)" in chunks[0].text


def test_the_words_limit_moves_the_cuts_and_not_the_text():
    text = "## Dropout\n\n" + "\n\n".join(f"Sentence {n} of the section on dropout." for n in range(40))

    small = "\n".join(chunk.text for chunk in split(text, max_words=40))

    assert {f"Sentence {n} of" for n in range(40)} == {match[0] for match in re.finditer(r"Sentence \d+ of", small)}


PIECES = (
    "# Title;## Heading;### 2.1 Sub heading;;;Dropout zeroes units. It has a rate.;- one;- **Sigmoid**: squashes to 0 and 1;"
    "  - nested;    continued;1. First;2. What is dropout and why?;```python;x = 1;# comment;```;~~~;$$;L = x^2;$$ y $$;"
    "| a | b |;|---|---|;| 1 | 2 |;---;> quote;    indented code;Title Case Words Here;批归一化用均值和方差。推理时不同。;"
    '<div class="x">;</div;{% include x %};• bullet;***;===;- [ ] todo;\\;![plot](x.png);1. What is momentum for?;'
    "2. What is Adam good for?;3. What is a warm-up?;4. What is weight decay?;5. What is a schedule?"
).split(";")


@pytest.mark.parametrize("max_words", [5, 40])
def test_no_line_of_any_text_is_lost_and_every_passage_stands_where_it_says(max_words: int):
    dice = random.Random(7)
    for _ in range(150):
        text = "\n".join(dice.choices(PIECES, k=dice.randint(1, 25)))
        try:
            guide = document(text)
        except UnreadableFileError:
            continue
        chunks = split_document(guide, max_words=max_words)
        lines = guide.text.split("\n")
        covered = {line for chunk in chunks for line in range(chunk.start_line - 1, chunk.end_line)}
        lost = {
            line
            for number, line in enumerate(lines)
            if line.strip() and number not in covered and not re.match(r"\s{0,3}#{1,6} |---|\*\*\*|\d\. What", line)
        }
        assert not lost
        assert all(chunk.text in "\n".join(lines[chunk.start_line - 1 : chunk.end_line]) for chunk in chunks)
        assert len({chunk.id for chunk in chunks}) == len(chunks)


def test_chinese_characters_count_as_parts_of_words():
    assert count_words("BatchNorm doesn't care") == 3
    assert count_words("批归一化的作用") == 4
    assert count_words("") == 0


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("BatchNorm at inference", "batchnorm-at-inference"),
        ("What is L1/L2?", "what-is-l1l2"),
        ("批归一化 (BN)", "批归一化-bn"),
    ],
)
def test_anchors_are_those_of_github(heading: str, expected: str):
    assert anchor(heading) == expected


@pytest.mark.parametrize(
    "heading", ["b. Dropout", "2.1. Dropout", "3) Dropout", "（一）Dropout", "二、Dropout", "Dropout"]
)
def test_ordinals_before_a_heading_are_dropped(heading: str):
    assert strip_ordinal(heading) == "Dropout"


def test_markup_of_a_heading_is_dropped_and_formulas_are_kept():
    assert (
        strip_markup("**Adam** and [SGD](x.md) with `lr` and $a_1 * b_1$") == "Adam and SGD with `lr` and $a_1 * b_1$"
    )
    assert strip_markup("snake_case_name and 2 * 3 * 4") == "snake_case_name and 2 * 3 * 4"

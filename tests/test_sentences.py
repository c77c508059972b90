from __future__ import annotations

import pytest

from corpus.sentences import split_prose, split_sentences


def texts(markdown: str) -> list[str]:
    return [sentence.text for sentence in split_sentences(markdown)]


def kinds(markdown: str) -> list[str]:
    return [sentence.kind for sentence in split_sentences(markdown)]


def test_prose_is_cut_at_its_sentences_and_line_breaks_are_mended():
    assert texts("Dropout zeroes units.\nIt is switched off\nat inference.") == [
        "Dropout zeroes units.",
        "It is switched off at inference.",
    ]


def test_headings_and_rulers_are_left_out():
    assert texts("# Dropout\n\nIt zeroes units.\n\n---\n\n## Rate\n") == ["It zeroes units."]


def test_list_items_are_sentences_of_their_own_kind():
    markdown = "Two gates:\n- Reset gate\n1. Update gate\n   that keeps the state"

    assert texts(markdown) == ["Two gates:", "Reset gate", "Update gate that keeps the state"]
    assert kinds(markdown) == ["prose", "item", "item"]


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("```python\n# train. Then test.\nx = 1\n```", "code"),
        ("~~~\na. b.\n~~~", "code"),
        ("$$\nL = a. b\n$$", "formula"),
        ("$$ L = x^2. y $$", "formula"),
        ("| gate | use |\n|---|---|\n| reset | a. b. |", "table"),
    ],
)
def test_code_formulas_and_tables_stay_whole(block: str, kind: str):
    markdown = f"Before it.\n\n{block}\n\nAfter it."

    assert texts(markdown) == ["Before it.", block, "After it."]
    assert kinds(markdown) == ["prose", kind, "prose"]


def test_a_fence_that_is_never_closed_keeps_its_code():
    assert texts("```python\nx = 1\ny = 2") == ["```python\nx = 1\ny = 2"]


def test_a_block_right_below_a_sentence_begins_a_new_one():
    assert texts("The loss is:\n$$\nx\n$$\nIt is convex.") == ["The loss is:", "$$\nx\n$$", "It is convex."]


def test_formulas_code_links_and_abbreviations_are_never_cut():
    text = "Use $p = 0. 5$ or `x. Y`, approx. Adam, see Eq. 3 in [Loss. Part 3](a.md). Then stop."

    assert split_prose(text) == [
        "Use $p = 0. 5$ or `x. Y`, approx. Adam, see Eq. 3 in [Loss. Part 3](a.md).",
        "Then stop.",
    ]


def test_numbers_with_a_point_are_not_cut():
    assert split_prose("The rate is 0.5 in the paper. It fell to 3.2e-4 later.") == [
        "The rate is 0.5 in the paper.",
        "It fell to 3.2e-4 later.",
    ]


def test_chinese_is_cut_at_its_own_full_stops():
    assert split_prose("批归一化用均值和方差。推理时用滑动平均。") == ["批归一化用均值和方差。", "推理时用滑动平均。"]


def test_what_holds_no_word_is_no_sentence():
    assert split_prose("... --- !") == []
    assert split_sentences("") == []


def test_quotes_lose_their_marks():
    assert texts("> Dropout is simple.\n> It works.") == ["Dropout is simple.", "It works."]

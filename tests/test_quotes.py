"""Quotes found in the text that they are said to come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.quotes import find_quote, quoted_parts

ATTEMPT = "Dropout’s mask zeroes\nrandom activations. BatchNorm uses 50% of “running” averages."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("zeroes random activations", "zeroes\nrandom activations"),
        ("DROPOUT'S  mask", "Dropout’s mask"),
        ("“random activations …”", "random activations"),
        ('uses 50% of "running" averages', "uses 50% of “running” averages"),
    ],
)
def test_a_quote_is_given_as_it_stands_in_the_text(quote: str, found: str):
    assert find_quote(quote, ATTEMPT) == found


@pytest.mark.parametrize("quote", ["", "...", "of", "zeroes all activations", "activation", "andom activations"])
def test_what_the_text_does_not_say_is_no_quote(quote: str):
    assert find_quote(quote, ATTEMPT) == ""


@given(text=st.text(), quote=st.text())
def test_what_is_found_stands_in_the_text(text: str, quote: str):
    assert find_quote(quote, text) in text
    assert find_quote(quote, quote) in quote


def test_a_chinese_quote_needs_no_word_boundary():
    assert find_quote("滑动平均", "推理时使用滑动平均。") == "滑动平均"


def test_quoted_parts_are_what_stands_between_the_marks_but_not_an_apostrophe():
    said = "I wrote “knocked out” and \"at random\" and 'p'; it's what I'd call dropout"
    assert quoted_parts(said) == ["knocked out", "at random", "p"]

from __future__ import annotations

import pytest

from index.words import words


def test_case_endings_and_spelling_variants_are_one_word():
    assert words("Normalisation") == words("normalization")
    assert words("optimises") == words("Optimizing")
    assert words("layers") == words("layer")


def test_compound_names_are_found_by_their_parts():
    assert words("BatchNorm") == words("batch norm")
    assert words("CrossEntropyLoss") == words("cross entropy loss")


def test_what_only_asks_is_dropped():
    assert words("Could you please explain what the dropout is?") == words("dropout")
    assert words("请解释一下什么是批归一化") == words("批归一化")
    assert words("What is it?") == []


@pytest.mark.parametrize("word", ["not", "without", "after", "more", "less"])
def test_words_that_carry_the_question_stay(word: str):
    assert words(f"{word} dropout") == [word, "dropout"]


def test_stop_words_are_kept_on_request():
    assert len(words("what is dropout", stop_words=True)) == 3


def test_chinese_is_segmented_between_english():
    terms = words("用BatchNorm做批归一化")

    assert {"batch", "norm"} <= set(terms)
    assert any("归一" in term for term in terms)


def test_numbers_and_language_names_are_words():
    assert words("GPT-4 with 3.5 bits in C++ or C#") == ["gpt", "4", "3.5", "bit", "c++", "c#"]


def test_full_width_letters_and_latex_are_plain_words():
    assert words("ＢＥＲＴ") == ["bert"]
    assert words(r"\frac{\lambda}{2}") == words("frac lambda 2")


def test_a_text_of_marks_has_no_words():
    assert words("?! ... ---") == []


def test_a_text_has_the_terms_of_its_lines_and_of_its_words():
    lines = ["The model's loss", "isn't the teacher’s", "OptimisedBatchNorm:\toptimisers", "学习率 warm-up"]

    assert words("\n".join(lines)) == [term for line in lines for term in words(line)]
    assert words(" ".join(lines)) == [term for line in lines for word in line.split(" ") for term in words(word)]


def test_a_word_that_comes_again_has_the_same_terms():
    assert words("warmup warmup") == 2 * words("warmup")
    assert words("warmup", stop_words=True) == words("warmup")

"""Pairs to train the encoder on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from index.training_pairs import Source, cloze_pairs, corpus_pairs, made_pairs, pairs_across_languages, read_pairs

ADAM = (
    "Adam keeps a moving average of the gradient and one of its square. "
    "Both start at zero, which makes early estimates too small. "
    "Bias correction divides them by one minus beta to the power of the step."
)
ADAM_ZH = "Adam 保存梯度及其平方的滑动平均值。两个平均值都从零开始，所以早期的估计偏小。偏差修正把它们除以一减去贝塔的步数次方。"


def test_broken_pair_is_named_with_file_and_line(tmp_path: Path):
    (tmp_path / "field.jsonl").write_text(json.dumps({"q": "a", "d": "b"}) + "\n{\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"field\.jsonl:2: expected an object with q and d"):
        read_pairs(tmp_path)


def test_folder_without_pairs_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="No pairs in"):
        read_pairs(tmp_path)


def test_our_own_corpus_gives_pairs_of_every_kind(small_corpus: Path):
    sources = {
        source.name: source.pairs for source in corpus_pairs(small_corpus / "guides", small_corpus / "questions")
    }

    assert ("Explain dropout.", "Dropout") in [
        (question, passage.split("\n")[0]) for question, passage in sources["corpus questions"]
    ]
    assert (
        "neurons are randomly turned off while learning",
        "Dropout zeroes random activations during training.",
    ) in sources["corpus phrasings"]
    assert all(sentence not in rest for sentence, rest in sources["corpus clozes"])


def test_cloze_asks_with_words_of_one_sentence_of_the_passage():
    pairs = cloze_pairs([ADAM], np.random.default_rng(0))

    assert len(pairs) == 3
    for asked, passage in pairs:
        tail = " ".join(asked.split()[-4:])
        assert tail in ADAM
        assert passage == ADAM or tail not in passage


def test_chinese_passage_gives_chinese_clozes():
    pairs = cloze_pairs([ADAM_ZH], np.random.default_rng(0))

    assert len(pairs) == 3
    assert all(len(asked) < len(ADAM_ZH) / 2 for asked, _ in pairs)


def test_passage_of_one_sentence_gives_no_cloze():
    assert (
        cloze_pairs(["Dropout zeroes activations at random during the whole training run."], np.random.default_rng(0))
        == []
    )


def test_same_seed_gives_the_same_pairs():
    sources = [Source("field", [("Adam", ADAM), ("Adam 优化器", ADAM_ZH)])]

    assert made_pairs(sources, seed=3) == made_pairs(sources, seed=3)


def test_sentence_is_paired_with_the_passage_of_its_translation():
    chinese, english = (
        "两个平均值都从零开始，所以早期的估计偏小。",
        "Both start at zero, which makes early estimates too small.",
    )

    for pair in ((chinese, english), (english, chinese)):
        assert pairs_across_languages([pair], [ADAM], [ADAM_ZH]) == sorted([(english, ADAM_ZH), (chinese, ADAM)])


def test_pair_in_one_language_or_of_no_passage_is_paired_with_nothing():
    strangers = [
        ("What is Adam?", "An optimizer."),
        ("完全无关的一句话，不在任何段落里出现。", "A sentence that stands nowhere else."),
    ]

    assert pairs_across_languages(strangers, [ADAM], [ADAM_ZH]) == []

"""Words as search sees them: Chinese segmented, English stemmed, spelling variants and stop words settled in one place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TypeVar

import rjieba
import Stemmer
from bm25s.stopwords import STOPWORDS_CHINESE, STOPWORDS_EN_PLUS

# What interviewers and candidates say around a subject. It never tells which passage answers.
_ASKING = (
    "explain describe discuss define tell give name list mention state say talk walk please question interview answer mean "
    "means meaning think know want need like just really actually basically usually example examples let also really "
    "could would should might must shall get got make makes made use used uses using work works doing done does"
).split()
_ASKING_ZH = "请 请问 什么 怎么 怎样 如何 为什么 为何 哪些 哪个 多少 吗 呢 吧 解释 解释一下 说明 介绍 一下 谈谈 谈一谈 说 说说 讲 讲讲 简述 描述 你 我 我们 它 它们 有 时候".split()
# Words of general lists that carry the question here: "before" and "after", "more" and "less", "why not".
_KEPT = {
    "no",
    "not",
    "without",
    "before",
    "after",
    "more",
    "less",
    "most",
    "least",
    "same",
    "computer",
    "system",
    "fire",
    "fill",
    "bottom",
    "top",
    "side",
    "mill",
    "cry",
}
STOP_WORDS = (
    frozenset(STOPWORDS_EN_PLUS) | frozenset(_ASKING) | frozenset(STOPWORDS_CHINESE) | frozenset(_ASKING_ZH)
) - _KEPT

_TOKEN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[a-z]\+\+|[a-z]#|[a-z0-9]+(?:\.[0-9]+)*|[^\W_a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
# "optimise" and "optimize", "normalisation" and "normalization" are one word. What this does to "noise" it does everywhere.
_BRITISH = re.compile(r"(?<=\w{3})is(?=(?:e|ed|es|er|ers|ing|ation|ations)\b)")
_stemmer = Stemmer.Stemmer("english")
T = TypeVar("T")


def words(text: str, *, stop_words: bool = False) -> list[str]:
    """The index terms of a text, in order: stems of English words, segmented Chinese words, numbers.

    Stop words are dropped unless `stop_words`. A text of nothing but stop words gives an empty list.
    """
    # No rule looks across a space, so that each piece between two is worked out once for all texts. A line break stays with its
    # piece: "'s" is cut off before a space alone.
    pieces = f"{text}\n".replace("\n", "\n ").split(" ")
    return list(chain.from_iterable(map((_all_terms if stop_words else _kept_terms).__getitem__, pieces)))


class PieceMemory(dict[str, T]):
    """What was worked out for a piece of text, by the piece; frequent ones come early, so nothing is learned once it is full."""

    _MAX_PIECES = 200_000
    _MAX_LETTERS = 32
    """Of a piece that is remembered: whole sentences, as in Chinese, hardly come again."""

    def __init__(self, work_out: Callable[[str], T]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, piece: str) -> T:
        result = self._work_out(piece)
        if len(piece) <= self._MAX_LETTERS and len(self) < self._MAX_PIECES:
            self[piece] = result
        return result


def _terms(piece: str, *, stop_words: bool) -> tuple[str, ...]:
    """Terms of what stands before a space."""
    text = unicodedata.normalize("NFKC", f"{piece} ")
    text = _CAMEL.sub(" ", text.replace("\\", " ")).lower().replace("’", "'").replace("'s ", " ")
    terms: list[str] = []
    for token in _TOKEN.findall(_BRITISH.sub("iz", text)):
        if "\u3400" <= token[0] <= "\ufaff":
            terms.extend(word for word in rjieba.cut_for_search(token) if stop_words or word not in STOP_WORDS)
        elif stop_words or token not in STOP_WORDS:
            terms.append(_stemmer.stemWord(token))
    return tuple(terms)


_all_terms = PieceMemory(partial(_terms, stop_words=True))
_kept_terms = PieceMemory(partial(_terms, stop_words=False))


ASPECT_WORDS = frozenset(
    words(
        "advantages disadvantages pros cons benefits drawbacks downsides strengths weaknesses limits limitations alternatives "
        "applications purpose role impact effect reason problem issue intuition formula equation types kinds steps key main "
        "common different difference compare comparison better worse best good bad important prefer choose avoid happen "
        "implement implementation code snippet write function detail summary idea concept basics 优点 缺点 优缺点 区别 公式 作用 原因 例子 应用 场景 步骤 改进 局限 计算 过程",
        stop_words=True,
    )
)
"""What is asked of a subject, never the subject itself: no passage is about "advantages"."""

"""How a learner wants an answer: shorter, deeper, in Chinese …; read from a button or from the words of a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class AnswerMode(StrEnum):
    """The forms that an answer can take."""

    PLAIN = "plain"
    SHORTER = "shorter"
    DEEPER = "deeper"
    ANALOGY = "analogy"
    IN_CHINESE = "in Chinese"
    WORKED_EXAMPLE = "worked example"
    QUIZ = "quiz"


MODE_WORDS: Mapping[AnswerMode, str] = {
    AnswerMode.SHORTER: "Shorter",
    AnswerMode.DEEPER: "Deeper",
    AnswerMode.WORKED_EXAMPLE: "A worked example",
    AnswerMode.ANALOGY: "An analogy",
    AnswerMode.IN_CHINESE: "In Chinese",
    AnswerMode.QUIZ: "Quiz me on this",
}
"""What a button for the mode says, which is what a learner may type as well."""


@dataclass(frozen=True)
class Request:
    """A message taken apart: what is asked, and in which form."""

    mode: AnswerMode
    question: str
    """Empty where the message only asks for another form of the last answer."""


_BEFORE = r"(?:(?:please|can you|could you|can i (?:get|have)|now|ok(?:ay)?|and|but|so|thanks|i want|i'd like|let's)[,!.]? +)*"
_AFTER = r"(?:,? +(?:please|then|now|of (?:it|this|that)|for (?:it|this|that)))*[ .!?。！？]*"
_IT = r"(?:it|this|that|this one)"
# The whole message asks for a form: "a bit shorter, please", "再短一点".
_BARE = {
    AnswerMode.SHORTER: (
        r"(?:make it |keep it |say it |give me |a bit |a little |much |even |once more |an? )*"
        r"(?:shorter|briefer|more briefly|briefly|in short|in brief|tl;?dr|(?:that's |that is )?too long|shorten it)(?: answer| version)?"
        rf"|(?:summari[sz]e|sum up)(?: {_IT})?(?: in (?:one|two|a) sentences?)?|in (?:one|two|a) sentences?"
        r"|(?:请|能不能)?(?:再|更)?(?:说|讲)?(?:得)?(?:简短|简洁|精简|短|简单)(?:一点|一些|点|些)(?:儿)?(?:吧)?|太长了?|(?:请)?(?:总结|概括)(?:一下)?"
    ),
    AnswerMode.DEEPER: (
        rf"(?:go |explain {_IT} |dig |a bit |a little |even )*deeper|(?:give me |with |in |explain {_IT} in )?(?:more|greater) (?:details?|depth)"
        rf"|in (?:depth|detail)|more detailed|(?:tell me |say )?more(?: about {_IT})?|elaborate(?: on {_IT})?|expand on {_IT}|(?:show me )?the whole section"
        r"|(?:请|能不能)?(?:再|更)?(?:说|讲|解释)?(?:得)?(?:深入|详细)(?:地?(?:讲|说|解释|介绍)(?:讲|说|一下)?)?(?:一点|一些|点|些)?(?:吧)?|展开(?:说|讲)(?:说|讲|一下)?|多(?:讲|说)一?点"
    ),
    AnswerMode.ANALOGY: (
        rf"(?:give |tell |show )?(?:me )?(?:(?:an?|another|some|one) )?(?:good |simple |everyday )?analog(?:y|ies)|(?:explain {_IT} )?(?:with|by|using|through) an analogy"
        rf"|what(?:'s| is) an? (?:good )?analogy|(?:explain {_IT} )?like i(?:'m| am) (?:five|5)|eli5"
        r"|(?:请)?(?:打|举|给|用)?(?:我)?(?:一)?个?(?:比方|类比)(?:来)?(?:解释|说明)?(?:一下)?(?:吧)?"
    ),
    AnswerMode.IN_CHINESE: (
        rf"(?:(?:say|explain|answer|repeat|write|give)(?: me)?(?: {_IT})? )?(?:again )?in (?:chinese|mandarin)|chinese|translate(?: {_IT})? (?:in)?to chinese"
        r"|(?:请)?(?:再)?用中文(?:再)?(?:说|讲|回答|解释|写)?(?:一下|一遍)?(?:吧)?|(?:请)?(?:翻译|译)(?:成|为)?中文|(?:请)?(?:说|讲)?中文(?:版)?"
    ),
    AnswerMode.WORKED_EXAMPLE: (
        r"(?:give |show )?(?:me )?(?:(?:an?|another|one|some|the) )?(?:(?:worked|concrete|numeric(?:al)?|real|simple) )?examples?(?: with numbers)?"
        rf"|(?:work {_IT} (?:through|out) )?with (?:real )?numbers|for example"
        r"|(?:请)?(?:再)?(?:举|给|来)(?:我)?(?:一)?个?(?:具体|数值|计算)?的?(?:例子|算例)|(?:请)?举例(?:说明)?(?:一下)?"
    ),
    AnswerMode.QUIZ: (
        rf"(?:quiz|test|examine) me(?: (?:on|about) {_IT})?|ask me (?:a|another|one more) question(?: (?:on|about) {_IT})?|another question"
        r"|(?:请)?(?:考考?|测试|测一?测)我?(?:一下|吧)?|(?:请)?出(?:一|个|一个|道|一道)?题(?:考考?我|给我)?"
    ),
}
# The message holds its own question as well. "How are words cut in Chinese?" asks about Chinese: only what is set off counts.
_WITH_QUESTION = {
    AnswerMode.QUIZ: (
        r"(?:quiz|test|examine) me (?:on|about) (?P<question>.+)",
        r"ask me (?:a|another) question (?:on|about) (?P<question>.+)",
        r"(?:考考?|测试)我(?:一下)?(?:关于)?(?P<question>.+)",
    ),
    AnswerMode.ANALOGY: (
        r"(?:give me |what(?:'s| is) |tell me )?an? (?:good |simple )?analogy (?:for|of) (?P<question>.+)",
        r"(?P<question>(?:explain|describe) .+?) (?:with|using|by|through) an analogy",
        r"用(?:一个)?类比(?:来)?(?:解释|说明)(?:一下)?(?P<question>.+)",
    ),
    AnswerMode.WORKED_EXAMPLE: (
        r"(?:give me |show me |show )?an? (?:worked|concrete|numeric(?:al)?) example (?:of|for) (?P<question>.+)",
        r"(?P<question>(?:explain|describe) .+?) with a (?:worked|concrete|numeric(?:al)?) example",
        r"举(?:一)?个?(?P<question>.+)的(?:例子|算例)",
    ),
    AnswerMode.IN_CHINESE: (
        r"(?P<question>.+?[^\s,;.?!(])(?:[,;.?!] *|  *\()(?:please )?(?:answer |explain )?in chinese\)?",
        r"(?P<question>(?:explain|describe|define) .+) in chinese",
        r"(?:请)?用中文(?:解释|回答|说明|讲解|介绍|讲讲)(?:一下)?[：:，, ]*(?P<question>.+)",
    ),
}
_BARE_PATTERNS = {mode: re.compile(f"{_BEFORE}(?:{words}){_AFTER}", re.IGNORECASE) for mode, words in _BARE.items()}
_QUESTION_PATTERNS = [
    (mode, re.compile(f"{_BEFORE}{form}{_AFTER}", re.IGNORECASE | re.DOTALL))
    for mode, forms in _WITH_QUESTION.items()
    for form in forms
]
_ATTEMPT = re.compile(
    r"\s*(?:(?:please )?grade my answer|my answer(?: is)?|(?:请)?(?:给我的回答)?(?:评分|打分)|我的(?:回答|答案)(?:是)?)\s*[:：]\s*(?P<attempt>.+)",
    re.IGNORECASE | re.DOTALL,
)


def read_request(message: str) -> Request:
    """What a message asks for, and in which form; a message that names no form is a plain question."""
    text = message.strip().replace("’", "'")
    for mode, pattern in _BARE_PATTERNS.items():
        if pattern.fullmatch(text):
            return Request(mode, "")
    for mode, pattern in _QUESTION_PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            return Request(mode, match["question"].strip(" ,.;"))
    return Request(AnswerMode.PLAIN, message.strip())


def read_attempt(message: str) -> str:
    """The learner's answer in a message that gives one to be graded ("my answer: …"); empty where it gives none."""
    match = _ATTEMPT.fullmatch(message)
    return match["attempt"].strip() if match else ""

"""What the interviewer says, in the languages of an interview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from corpus.questions import Kind
from tutor.interview import Language

StoryPart = Literal["measured_result", "action", "task"]


@dataclass(frozen=True)
class Phrases:
    """The interviewer's sentences; what stands in braces is filled in."""

    expected: Mapping[Kind, str]
    """What kind of answer a question wants."""
    another_way: str
    the_question: str
    i_expect: str
    number_in: str
    assume: str
    only_that: str
    """What counts as an answer to a follow-up."""
    is_answer: str
    undefined: str
    hint_section: str
    hint_words: str
    add_about: str
    complete: str
    said_before: str
    mend_code: str
    show_code: str
    mend_number: str
    mend_plain_number: str
    """Where the result has no unit."""
    story: Mapping[StoryPart, str]
    made: str
    made_in_part: str
    still_in_part: str
    not_made: str
    full_answer: str
    fine: str
    nothing_lost: str
    beyond: str
    guides_say: str
    compare: str
    lesson: str


PHRASES: Mapping[Language, Phrases] = {
    "en": Phrases(
        expected={
            "concept": "an explanation in your own words: what it is, how it works, and why it matters",
            "compare": "a comparison: what the two share, where they differ, and when you would take which",
            "derive": "a derivation, step by step, with the formula it ends in",
            "compute": "a number with its unit, and how you get there",
            "code": "code that runs, and a sentence on how it works",
            "debug": "the likely causes, and how you would tell them apart and mend them",
            "design": "a design with its trade-offs: requirements, parts, what limits it",
            "behavioural": "one episode of your own: situation, task, what you did, and what came of it",
        },
        another_way="Put another way: {question}",
        the_question="The question is: {question}",
        i_expect="I expect {expected}, at {level} level; I listen for {count} points.",
        number_in="a number in {unit}, and how you get there",
        assume="Where something is left open, say what you assume and go on.",
        only_that="I ask for one thing that your answer left open, and only that counts now: {question}",
        is_answer="What “{term}” is belongs to the answer that I ask for. Take a hint if you are stuck.",
        undefined="The guides do not define “{term}”. Take it as it is usually meant, and say how you understand it.",
        hint_section="Think of what belongs under “{heading}”.",
        hint_words="One point begins: “{words} …”",
        add_about="What can you add about “{heading}”?",
        complete="One more thing belongs to a full answer. Complete it: “{words} …”",
        said_before="You said: “{words}” Can you go through that again, and say exactly what you mean?",
        mend_code="Your code does not pass all tests. Show it again, mended.",
        show_code="Now write it as code that runs.",
        mend_number="Go through the calculation again: which number do you get, and in which unit?",
        mend_plain_number="Go through the calculation again: which number do you get?",
        story={
            "measured_result": "What came of it? Give a number if you have one: before and after.",
            "action": "What did you do yourself, step by step?",
            "task": "What was at stake, and what was your part in it?",
        },
        made="That makes the point: {gain}. {point}",
        made_in_part="That makes the point in part: {gain}. {point}",
        still_in_part="That is still a part of the point.",
        not_made="That does not make the point.",
        full_answer="A full answer says: {point}",
        fine="That is fine.",
        nothing_lost="It went beyond the key points: nothing is lost.",
        beyond="This went beyond the key points, so it is not graded.",
        guides_say="The guides say:",
        compare="Compare with the model answer.",
        lesson="That is fine. This is what a good answer says; read it, then say it once in your own words. "
        "It counts as 0 for the schedule, so the question comes back soon.",
    ),
    "zh": Phrases(
        expected={
            "concept": "用自己的话解释：它是什么、怎么起作用、为什么重要",
            "compare": "一个比较：两者的共同点、区别，以及各自适用的场合",
            "derive": "一步一步的推导，并写出最后的公式",
            "compute": "一个带单位的数，以及计算过程",
            "code": "能运行的代码，并用一句话说明思路",
            "debug": "可能的原因，以及如何区分和修复",
            "design": "一个设计及其取舍：需求、组成部分、瓶颈",
            "behavioural": "一段亲身经历：情境、任务、你的行动和结果",
        },
        another_way="换个说法：{question}",
        the_question="问题是：{question}",
        i_expect="我希望听到{expected}，难度为 {level}；我会留意 {count} 个要点。",
        number_in="一个以 {unit} 为单位的数，以及计算过程",
        assume="没有说明的地方，请说出你的假设，然后继续。",
        only_that="我只追问你的回答里没有讲到的一点，现在只看这一点：{question}",
        is_answer="“{term}”是什么，正是我要问的内容。卡住的话可以要一个提示。",
        undefined="指南里没有“{term}”的定义。请按通常的意思理解，并说明你的理解。",
        hint_section="想一想“{heading}”这一节讲了什么。",
        hint_words="有一个要点是这样开头的：“{words}……”",
        add_about="关于“{heading}”，你还能补充什么？",
        complete="完整的回答还应包含一点，请补全：“{words}……”",
        said_before="你说：“{words}” 能再讲一遍，准确地说出你的意思吗？",
        mend_code="你的代码没有通过全部测试。请给出改正后的代码。",
        show_code="现在请写成能运行的代码。",
        mend_number="请再算一遍：结果是多少？单位是什么？",
        mend_plain_number="请再算一遍：结果是多少？",
        story={
            "measured_result": "结果如何？有数字的话请给出前后对比。",
            "action": "你自己具体做了什么？请一步一步地说。",
            "task": "当时的要求和压力是什么？你负责哪一部分？",
        },
        made="这一点答到了：{gain}。{point}",
        made_in_part="这一点答到了一部分：{gain}。{point}",
        still_in_part="这一点仍然只答到了一部分。",
        not_made="这还没有答到这一点。",
        full_answer="完整的回答会说：{point}",
        fine="没关系。",
        nothing_lost="这一问超出了要点，不影响得分。",
        beyond="这一问超出了要点，因此不评分。",
        guides_say="指南里这样说：",
        compare="请与参考答案对照。",
        lesson="没关系。好的回答会这样说；请先读一遍，再用自己的话说一遍。在复习计划里这题记 0 分，所以很快会再次出现。",
    ),
}

STORY_CUES: tuple[tuple[re.Pattern[str], StoryPart], ...] = (
    (
        re.compile(r"\b(?:results?|outcomes?|effects?|gains?|quantified|before and after)\b|结果|量化", re.IGNORECASE),
        "measured_result",
    ),
    (
        re.compile(
            r"\b(?:own|candidate (?:did|talked|helped|corrected)|first steps|hands-on|by (?:involving|having))\b|自己",
            re.IGNORECASE,
        ),
        "action",
    ),
    (
        re.compile(r"\b(?:stake|pressure|problem|constraints?|requirement|change is real)\b|背景", re.IGNORECASE),
        "task",
    ),
)
"""Of a key point about the structure of a story: the part of the story that it speaks of."""

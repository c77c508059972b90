"""Which parts of a story an answer to a behavioural question has: situation, task, action, result, and whether the last two are concrete."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from corpus.documents import language_of

Part = Literal["situation", "task", "action", "result"]
PARTS: tuple[Part, ...] = ("situation", "task", "action", "result")
_CHINESE: dict[Part, str] = {"situation": "情境", "task": "任务", "action": "行动", "result": "结果"}

# What a person does, in the past: the verbs of engineers' stories. "was", "had", "thought" tell no action.
_DEEDS = (
    "added agreed aligned analy[sz]ed argued arranged asked automated benchmarked bisected built called changed checked cleaned closed "
    "collected compared computed contacted convinced converted corrected coordinated created cut debugged decided defined deleted demonstrated "
    "deployed designed developed dropped established estimated evaluated examined explained exported filtered finetuned fine-tuned fixed found "
    "froze gathered gave handed held implemented inspected instrumented interviewed introduced invited isolated kept labell?ed launched led "
    "listed loaded logged made measured merged met migrated modell?ed moved negotiated noticed offered opened optimi[sz]ed organi[sz]ed "
    "paired planned plotted prepared presented profiled prototyped proposed pruned published pushed quantified quantized ran raised read rebuilt "
    "reduced refactored rejected released removed replaced replayed reported reproduced reran researched restarted reverted reviewed rewrote "
    "rolled sampled scheduled scored sent set shared shipped shortened showed split started stopped studied suggested swapped switched synchronized "
    "talked taught tested told took traced tracked trained tried tuned turned used validated verified visited withdrew worked wrote"
)
_DEED = "(?:" + "|".join(_DEEDS.split()) + ")"
_ADVERB = (
    r"(?:(?:then|also|first|next|therefore|finally|personally|instead|simply|quickly|immediately|at once|\w+ly)\s+)?"
)
_I_DID = re.compile(rf"\bI\s+{_ADVERB}{_DEED}\b(?:[^.;!?]*?)|\band\s+{_ADVERB}{_DEED}\b", re.IGNORECASE)
_WE_DID = re.compile(rf"\b(?:we|they|the team|my team|one of us)\s+{_ADVERB}(?:{_DEED}|\w+ed)\b", re.IGNORECASE)
_WOULD = re.compile(
    r"\b(?:I|you|one|we)\s+(?:would|should|could|can|usually|generally|always|try to|will)\b|\b(?:one|you) (?:has|have) to\b",
    re.IGNORECASE,
)
_ZH_DEED = "发现|写了|做了|改|测|分析|定位|复现|修复|提出|设计|实现|搭建|训练|重写|推动|组织|联系|说服|对比|检查|排查|优化|部署|上线|清洗|标注|画|跑|用|把|将|去|找|向|先|主动|决定|负责"
_ZH_I_DID = re.compile(rf"我(?!们)[^，。；]{{0,8}}?(?:{_ZH_DEED})")
_ZH_WE_DID = re.compile(rf"(?:我们|团队|大家)[^，。；]{{0,8}}?(?:{_ZH_DEED})")
_ZH_WOULD = re.compile(r"(?:我会|我一般|我通常|应该|应当|可以)")

_SITUATION = re.compile(
    r"\b(?:last (?:year|month|spring|summer|autumn|winter|week)|in 20\d\d|(?:two|three|four|five|six|\d+) (?:days|weeks|months|years) (?:ago|before)|when I (?:was|worked|joined)|"
    r"(?:at|in) my (?:last|previous|current|first|former) (?:job|company|team|role|project|internship)|during my|while (?:working|I was)|"
    r"(?:my|our) (?:team|company|group|lab|client|customer|service|model|pipeline|detector|product|project|thesis)\b[^.;!?]{0,40}\b(?:was|were|had|ran|used|served|needed|kept|failed)|"
    r"there was|one day|at the time|back then|situation|context)\b|(?:去年|前年|上个月|当时|那时|之前|有一次|在[^，。]{0,12}(?:公司|团队|项目|实习|实验室)|背景)",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"\b(?:my (?:task|job|goal|role|responsibility|assignment|part|target|aim)\b|(?:I|we) (?:was|were) (?:asked|responsible|supposed|told|assigned|expected|in charge)|I (?:had|needed) to|I owned\b|"
    r"the (?:goal|task|aim|target|requirement|deadline|objective|challenge|problem) (?:was|were)|(?:had|needed|wanted|was|were) to|it (?:was up to|fell to) me|"
    r"(?:budget|limit|target|goal|deadline) (?:was|of)|nobody owned|no one could|could not|due on|within \w+ (?:hours|days|weeks|months)|(?:days|weeks|months) away)\b|"
    r"(?:我的任务|我负责|目标是|要求|任务是|需要在|必须在|职责)",
    re.IGNORECASE,
)
_PAST = re.compile(r"\b(?:was|were|had|did|took|ran|met|gave|made|left|came|went|said|kept|fell|\w{2,}ed)\b|[了过]")
_STORY = re.compile(
    r"\b(?:tell me about|describe|give (?:me )?an example|walk me through|a time (?:when|you)|have you (?:faced|had|led|made))\b"
    r"|(?:讲|说|描述|举|谈)[^，。？]{0,6}(?:一次|一个|经历|例子)",
    re.IGNORECASE,
)
_RESULT = re.compile(
    r"\b(?:as a result|in the end|the (?:result|outcome|effect|gain|impact)\b|result(?:ed|ing)? in|finally|afterwards?|since then|today|eventually|that (?:cut|saved|reduced|raised|brought|made)|"
    r"(?:fell|dropped|rose|went|grew|improved|decreased|increased|shrank|climbed|halved|doubled|tripled|reduced|cut|raised|sped|down|up) (?:it |them |\w+ \w+ |\w+ )?(?:from|to|by)\b|"
    r"(?:halved|doubled|tripled)\b|now (?:runs|takes|uses|is|are)|(?:is|are) still in use|no (?:such )?(?:incident|outage|complaint)s?|was (?:shipped|adopted|released|deployed|merged|renewed))\b|"
    r"(?:结果|最终|最后|于是[^，。]{0,10}(?:降|升|提)|从[^，。]{0,15}(?:降|升|提高|减少|增加)[^，。]{0,4}到|提升了|降低了|减少了|提高了|缩短)",
    re.IGNORECASE,
)
_NUMBER_WORD = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|fifty|hundred|half|a third|a quarter|two thirds)"
_VALUE = rf"(?:\d[\d,.]*|{_NUMBER_WORD})"
_MEASURE = re.compile(
    rf"{_VALUE}\s?(?:%|percent\b|percentage points?|points?\b|pp\b|x\b|×|times\b|fold\b|ms\b|milliseconds?\b|seconds?\b|s\b|minutes?\b|hours?\b|days?\b|weeks?\b|months?\b|"
    rf"[GMTK]i?B\b|gigabytes?\b|dollars?\b|euros?\b|USD\b|users?\b|customers?\b|teams?\b|engineers?\b|requests?\b|samples?\b|queries\b|tokens?\b|GPUs?\b|incidents?\b|bugs?\b|errors?\b)"
    rf"|\bfrom\s+{_VALUE}[^.;!?]{{0,25}}?\bto\s+{_VALUE}|\b(?:by|to)\s+(?:about\s+|roughly\s+)?(?:\d[\d,.]*|half|a third|a quarter)\b|\b(?:halved|doubled|tripled)\b|[$€]\s?\d"
    r"|\d[\d,.]*\s?(?:%|％|倍|毫秒|秒|分钟|小时|天|周|个月|万|亿|元|个百分点)|从\s?\d[^，。；]{0,15}到\s?\d",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?。！？\n]*(?:\.(?=\d)[^.!?。！？\n]*)*[.!?。！？\n]?")


@dataclass(frozen=True)
class Story:
    """Which parts an answer has, each with the learner's sentence for it; empty where the part is missing."""

    situation: str = ""
    task: str = ""
    action: str = ""
    """What the learner did, in the first person and concretely."""
    result: str = ""
    measured_result: str = ""
    """The result's number with its unit, a share, or a before and after."""
    is_about_others: bool = False
    """Whether actions are told of "we" more than of "I"."""
    is_supposed: bool = False
    """Whether it says what one would do, not what was done."""
    is_chinese: bool = False

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that are not there, in the order of a story."""
        return tuple(part for part in PARTS if not getattr(self, part))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the learner should mend, the most useful first."""
        said = _ZH_REMARKS if self.is_chinese else _REMARKS
        parts = "、".join(_CHINESE[part] for part in self.missing) if self.is_chinese else ", ".join(self.missing)
        wanted = {
            "supposed": self.is_supposed and not self.action,
            "others": self.is_about_others,
            "action": not self.action and not self.is_about_others and not self.is_supposed,
            "measure": bool(self.result) and not self.measured_result,
            "missing": bool(self.missing),
        }
        return tuple(said[name].format(parts=parts) for name, is_wanted in wanted.items() if is_wanted)


_REMARKS = {
    "supposed": "You say what one would do. Tell one real episode: what you did, and what came of it.",
    "others": "You tell what “we” did. Say what you did yourself: “I profiled …”, “I proposed …”.",
    "action": "There is no concrete action of yours. Say what you did, step by step, beginning with “I”.",
    "measure": "The result is not measured. Give a number: before and after, a share, a time, money saved.",
    "missing": "Of situation, task, action and result your story lacks: {parts}.",
}
_ZH_REMARKS = {
    "supposed": "你说的是“一般会怎么做”。请讲一件真实的事：你做了什么，结果如何。",
    "others": "你讲的是“我们”做了什么。请说清楚你自己做了什么。",
    "action": "没有你本人的具体行动。请用“我”开头，逐步说明你做了什么。",
    "measure": "结果没有量化。请给出数字：前后对比、比例、时间或成本。",
    "missing": "按“情境、任务、行动、结果”来看，还缺：{parts}。",
}


def asks_for_story(prompt: str) -> bool:
    """Whether a question wants an episode. "What questions do you have for us?" does not."""
    return bool(_STORY.search(prompt))


def read_story(attempt: str) -> Story:
    """The parts of a story that an attempt tells. Deterministic cues in English and Chinese; a sentence may serve two parts."""
    sentences = [found for match in _SENTENCE.finditer(attempt) if (found := " ".join(match[0].split()))]
    supposed = [bool(_WOULD.search(sentence) or _ZH_WOULD.search(sentence)) for sentence in sentences]
    told = [sentence for sentence, is_supposed in zip(sentences, supposed, strict=True) if not is_supposed]
    mine = [sentence for sentence in told if _is_my_deed(sentence)]
    ours = [
        sentence
        for sentence in told
        if (_WE_DID.search(sentence) or _ZH_WE_DID.search(sentence)) and sentence not in mine
    ]
    results = [sentence for sentence in told if _RESULT.search(sentence)]
    # What is told with a number in the second half came out of it, whatever the words; numbers of the situation measure nothing.
    results = results or [
        one for one in told[-(len(told) // 2) :] if len(told) > 1 and _MEASURE.search(one) and _PAST.search(one)
    ]
    measured = next((match[0] for sentence in reversed(results) if (match := _MEASURE.search(sentence))), "")
    # A story begins with what was there before anybody acted.
    opening = [one for one in told[:3] if _PAST.search(one) and one not in mine and len(told) > 1]
    return Story(
        situation=next((sentence for sentence in told if _SITUATION.search(sentence) or sentence in opening), ""),
        task=next((sentence for sentence in told if _TASK.search(sentence)), ""),
        action=mine[0] if mine else "",
        result=next(
            (sentence for sentence in reversed(results) if _MEASURE.search(sentence)), results[-1] if results else ""
        ),
        measured_result=measured,
        is_about_others=len(ours) > len(mine),
        is_supposed=sum(supposed) > len(sentences) / 2,
        is_chinese=language_of(attempt) == "zh",
    )


def _is_my_deed(sentence: str) -> bool:
    match = _I_DID.search(sentence)
    if match and (match[0].lower().startswith("i") or re.search(r"\bI\b", sentence[: match.start()])):
        return True
    return bool(_ZH_I_DID.search(sentence))

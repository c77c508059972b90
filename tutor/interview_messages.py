"""What a message of the learner in an interview is: an answer, or a word to the interviewer. English and Chinese.

Only whole messages that are nothing else are words to the interviewer: an answer that says "I don't know exactly, but …", or that
ends with a question, is an answer. What is written as a command ("/hint") is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tutor.interview import InterviewError

Move = Literal["answer", "clarification", "hint", "skip", "dont-know", "dispute", "next", "end"]
COMMANDS: dict[str, Move] = {
    "answer": "answer",
    "clarify": "clarification",
    "hint": "hint",
    "skip": "skip",
    "idk": "dont-know",
    "dispute": "dispute",
    "next": "next",
    "end": "end",
}


@dataclass(frozen=True)
class Message:
    """A message taken for what it is."""

    move: Move
    text: str
    """What was typed, without the command; of a dispute the argument."""
    point: int = 0
    """Number of the disputed key point; 0 where none was named."""


_PLEASE = r"(?:(?:please|pls|ok(?:ay)?|well|hm+|um+|uh|er|sorry|actually|so|oh|then|now|and|but|hey|hello|hi)[,!.… ]*)*"
_CAN = r"(?:(?:can|could|may|might) (?:i|we) (?:please )?(?:have|get|ask for|see)|(?:can|could|would|will) you (?:please )?(?:just )?(?:give|show|tell|offer)(?: me| us)?|give me|show me|i(?:'d| would) like|i (?:need|want|could use)|i'll take|maybe|how about|any|let me have|is there)"
_TAIL = r"(?:[,.…!?~ ]*(?:please|pls|thanks|thank you|thx|for (?:this|that|it|this one|this question|the question|now)|now|here|then|sorry|though|at all|yet|honestly|to be honest|tbh|i'm afraid|i am afraid|sir|ma'am|ok(?:ay)?))*[ ,.…!?~。！？]*"

_HINT = (
    rf"(?:{_CAN} )?(?:(?:an?|another|one|one more|some|the|the next|a (?:small|little|tiny|further|second|quick)|next|more|small|little) )*(?:hints?|clues?|tips?|nudge)(?: or (?:two|so))?"
    r"|(?:i'm|i am) (?:a bit |completely |really )?stuck[,.;:! ]*(?:(?:please|a|give me a|could i have a|can i have a|any) )*(?:hint|help|clue)?"
    r"|(?:please )?(?:help me|help)(?: out| a (?:bit|little))?|(?:point|push|steer) me in the right direction"
    r"|(?:请|能不能|可以|能|可不可以|麻烦)*(?:你|您)?(?:再)?(?:给|来|要|提供|看)?(?:我)?(?:一|点|些|个|一个|一点|一些|下一个|另一个)*(?:小)?(?:提示|线索)(?:一下|一点)?(?:吗|吧|呗|好吗|谢谢)?|我(?:有点)?卡住了"
)
_SKIP = (
    r"(?:(?:can|could|may) (?:we|i|you) |let's |let us |i(?:'d| would) (?:like|prefer|rather) (?:to )?|i(?:'ll| will) |i want to |we can )?(?:please )?"
    r"(?:just )?(?:skip|pass|(?:go |move |jump )(?:on|ahead|forward)|go to|move (?:on )?to|next)(?: (?:on|over|to|with))*(?: (?:this|that|it|the|one|a|another|next|question|topic|please))*"
    r"|(?:the )?next(?: (?:one|question))?|(?:give me |ask me )?(?:another|a different|the next) (?:question|one)"
    r"|(?:请)?(?:我)?(?:想|要)?(?:先)?(?:跳过|略过|过|换)(?:这|一|下)?(?:个|道|题|这道题|这个问题|一题|一道|一个问题|问题)*(?:吧|了)?|(?:请)?(?:下|下一)(?:个|题|道题|道|个问题)+(?:吧)?|继续下一[题个](?:吧)?"
)
_DONT_KNOW = (
    r"(?:(?:i'm afraid|i am afraid|sorry|honestly|to be honest|tbh|frankly|i guess|i think|i must admit|i have to admit)[,:]? ?(?:that )?)*"
    r"(?:i )?(?:(?:really|honestly|just|simply|actually|also) )*(?:don't|do not|dont|didn't|did not) (?:really |actually |even )?(?:know|remember|recall)(?: (?:it|this|that|this one|that one|the answer|the answer to (?:this|that|it)|how|why|what (?:it|this|that) (?:is|means)|at all|anything about (?:it|this|that|this topic)|much about (?:it|this|that)|about (?:it|this|that)|how to (?:answer|do|solve|explain) (?:it|this|that)|off the top of my head|any ?more|right now|for sure|yet))*"
    r"|idk|dunno|i dunno|(?:i )?(?:(?:have|got|have got|'ve got) )?(?:absolutely |really )?no (?:idea|clue)(?: (?:about|of|on|what) (?:it|this|that|this one|to say))?|i've no (?:idea|clue)|(?:i )?haven't (?:a clue|the faintest idea|got a clue|any idea)"
    r"|(?:i'm|i am) (?:really |honestly |just |quite )?not sure(?: (?:about (?:it|this|that|this one)|at all|how to answer(?: (?:it|this|that))?|what to say))*|not (?:really )?sure"
    r"|(?:i )?(?:can't|cannot|can not|couldn't) (?:really )?(?:answer(?: (?:it|this|that|this one|this question|that question))?|remember(?: (?:it|this|that))?|recall(?: (?:it|this|that))?|say|tell)|i (?:forgot|forget|have forgotten|give up|'ve forgotten)(?: (?:it|this|that|the answer))?|i've forgotten|give up"
    r"|(?:i've|i have) never (?:heard of|seen|learned|learnt|studied|used) (?:it|this|that|this one|this topic)(?: before)?|(?:it )?beats me|my mind (?:is|went) blank|(?:i )?draw(?:ing)? a blank"
    r"|(?:抱歉|对不起|不好意思|说实话|老实说|嗯|呃)*[,，、。 ]*(?:我)?(?:真的|也|还|确实|完全|实在|一点都|有点|暂时|不太|想|是)*(?:不知道|不会|不清楚|不太清楚|不了解|不懂|不记得|记不得|记不清|想不起来|没听说过|没学过|没印象|答不上来|答不出来|忘记|忘|不太会|没有头绪|没头绪|放弃)(?:了|这个|这题|这道题|答案|怎么答|怎么回答|该怎么说|怎么说|呢|啊|诶|哦|这个问题)*"
)
_END = (
    r"(?:(?:can|could) we |let's |let us |i(?:'d| would) like to |i want to |i have to |i need to |i(?:'ll| will) )?(?:please )?(?:just )?"
    r"(?:end|quit|stop|exit|finish|leave|terminate)(?: (?:here|now|it|this|the|our|interview|session|for|today))*"
    r"|(?:请)?(?:我)?(?:想|要)?(?:结束|退出|停止)(?:本次|这次|面试|一下|了|吧)*|(?:不面了|到此为止|先到这里|就到这里)(?:吧|了)?"
)
_TERM = r"[^?？!.。！;；]{1,60}?"
_CLARIFICATION = (
    r"(?:(?:can|could|would|will) you (?:please )?(?:just |maybe )?|please |i(?:'d| would) (?:like|need) (?:you to |a |some )?|i need (?:a |some )?|(?:can|could|may) i (?:ask for|have|get) (?:a |some )?)?"
    r"(?:clarif(?:y|ication)|rephrase|repeat|reword|restate|elaborate on|paraphrase|explain|say)(?: (?:it|this|that|what|the|your|you|mean|by|question|again|more|please|in|other|words|a|bit|of|on|differently|task|wording|is|asked|are|asking|last|part|first|second))*(?: (?:mean|means) (?:by|with) "
    + _TERM
    + r")?"
    r"|(?:pardon|come again|say (?:that|it) again|what was the question(?: again)?|what(?:'s| is) the question(?: again)?|sorry\?+|i beg your pardon)"
    r"|(?:i (?:don't|do not|didn't|did not) (?:quite |really |fully )?(?:understand|get|follow|catch)|i'm not sure i (?:understand|follow|get)|it(?:'s| is) not clear to me|i'm confused (?:by|about)) ?(?:the question|your question|what (?:you|is|the question)[^?.!]{0,60}|what (?:exactly )?you(?:'re| are) (?:asking|looking for)|the wording|the task|this question|that question|the term "
    + _TERM
    + r"|the word "
    + _TERM
    + r")"
    r"|what (?:exactly |precisely )?(?:do|did|would) you (?:exactly )?mean(?: (?:here )?(?:by|with) "
    + _TERM
    + r"| here| exactly)?|what (?:is|'s) (?:meant|being asked|asked)(?: (?:here )?by "
    + _TERM
    + r"| here)?|what(?:'s| is) the meaning of "
    + _TERM
    + r"|what does "
    + _TERM
    + r" (?:mean|stand for|refer to)(?: here| in this (?:question|context))?|what (?:kind|sort|level|type|form) of (?:answer|detail|depth|code|explanation)[^?]{0,60}|how (?:much|detailed|deep|long|many)[^?]{0,60}(?:should i|do you (?:want|expect|need)|would you like)[^?]{0,60}\?"
    r"|(?:do|did|would) you (?:mean|want|expect|need|prefer|care)[^?.!;。]{1,140}\?|are (?:you|we) (?:asking|looking|talking|assuming|interested|allowed|supposed|after|referring|considering)[^?.!;。]{1,140}\?"
    r"|(?:should|shall|can|may|could|must|do) (?:i|we) (?:assume|include|also|write|use|explain|cover|focus|give|have to|need to|start|derive|consider|take|talk|describe|answer|treat|suppose|show|limit|mention|go into|compare)[^?.!;。]{0,140}\?|(?:is|are) (?:this|that|it|these|the question|the model|we) (?:about|for|at|in|during|on|asking|meant|only|supposed)[^?.!;。]{1,120}\?"
    r"|in (?:which|what) (?:context|setting|sense|framework|case)[^?.!]{0,60}\?|which (?:one|of (?:them|the two|those)|framework|part|kind|variant|version|language) (?:do you mean|should i|are you|is meant)[^?.!]{0,60}\?"
    r"|(?:请|能不能|能否|能|可以|可不可以|麻烦)*(?:你|您)?(?:再)?(?:把)?(?:问题|题目|这个问题)?(?:解释|澄清|说明|重复|重述|说|讲|问)(?:清楚|明白|具体)?(?:一下|一遍|一次|下)(?:问题|题目|题意|这个问题|这道题)?(?:吗|吧|好吗)?|(?:我)?(?:没|不太|不)(?:听|看|理解|明白|听懂|看懂|懂)(?:懂|明白|清)?(?:题目|问题|题意|你的问题|这个问题|你的意思|这道题|题)(?:的意思|是什么意思|在问什么|想问什么)?"
    r"|(?:请问)?(?:你|您)(?:说|讲|问)?的?.{0,30}(?:是)?(?:什么意思|指什么|指的是什么|是指|是指什么|具体指什么).{0,30}|(?:请问)?.{1,30}(?:是)?(?:什么意思|指的是什么|指什么)|(?:请问)?(?:这里|题目里|题目中)(?:的)?.{1,30}(?:指|是).{1,40}[?？吗]|(?:你|您)(?:是|是不是)?(?:想问|在问|指|想知道).{1,60}[?？]|(?:我)?(?:需要|要|可以|能不能|是否需要|是不是要|应该)(?:写|给出|考虑|假设|推导|说|讲|解释|用)[^?？]{1,40}[?？吗]"
)
# "What is a warp?" alone asks for a term; so short a message is no answer, but to questions that want questions.
_ASKED_TERM = (
    r"(?:what(?:'s| is| are)|what do we call|who is|define|please define) (?:an? |the )?" + _TERM + r" ?\?"
    r"|(?:请问)?(?:什么(?:是|叫)[^?？。]{1,30}|[^?？。，]{1,20}是什么)[?？]"
)
_DISPUTE_NUMBER = (
    r"(?:key )?(?:point|verdict|number|no\.?|nr\.?|#|item)? ?#?(?P<point>\d{1,2}|one|two|three|four|five|six)"
)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6} | dict(
    zip("一二三四五六七八九", range(1, 10), strict=True)
)
_DISPUTES = (
    r"(?:i (?:(?:really|strongly|respectfully) )?(?:disagree|don't agree|do not agree|differ)(?: with| on| about)?|i (?:(?:want|would like|wish) to |'d like to )?(?:dispute|object to|contest|challenge|appeal)|dispute|objection(?: to)?|i'd (?:like to )?(?:dispute|contest)) "
    r"(?:(?:the |your )?(?:verdict|grade|judg(?:e)?ment|mark)s? (?:on|of|for) )?(?:the )?"
    + _DISPUTE_NUMBER
    + r"\b(?P<argument>.*)",
    r"(?:i (?:did|do|have|actually|already|clearly|think i)[^.:;]{0,40}?(?:say|said|made|make|mention(?:ed)?|cover(?:ed)?|state(?:d)?) )(?:key )?(?:point|number|no\.?|#) ?#?(?P<point>\d{1,2}|one|two|three|four|five|six)\b(?P<argument>.*)",
    r"(?:i think |in my opinion,? )?(?:key )?(?:point|verdict|number|#) ?#?(?P<point>\d{1,2}|one|two|three|four|five|six)\b (?:is (?:wrong(?:ly)?|unfair(?:ly)?|not right|incorrect(?:ly)?|judged wrong(?:ly)?)|was (?:made|said|covered|judged wrong(?:ly)?)|should (?:count|be|have been)|deserves)(?P<argument>.*)",
    r"(?:我)?(?:不同意|不认同|反对|有异议|要申诉|申诉|质疑)(?:对)?(?:第)?(?:要点)?(?P<point>\d{1,2}|[一二三四五六七八九])(?:个)?(?:点|条|要点)?(?:的评分|的判定|的评判)?(?P<argument>.*)",
    r"(?:我)?(?:对)(?:第)(?P<point>\d{1,2}|[一二三四五六七八九])(?:个)?(?:点|条|要点)(?:的评分|的判定|的评判)?(?:有异议|不同意|不认同|不服)(?P<argument>.*)",
    r"第(?P<point>\d{1,2}|[一二三四五六七八九])(?:个)?(?:点|条|要点)(?:我)?(?:已经|明明|其实)?(?:说了|说过|提到了|讲了|判错了|评错了|答到了)(?P<argument>.*)",
)


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"{_PLEASE}(?:{pattern}){_TAIL}", re.IGNORECASE)


_WHOLE: tuple[tuple[Move, re.Pattern[str]], ...] = (
    ("hint", _whole(_HINT)),
    ("skip", _whole(_SKIP)),
    ("dont-know", _whole(_DONT_KNOW)),
    ("end", _whole(_END)),
    ("clarification", _whole(_CLARIFICATION)),
)
_ASKED = _whole(_ASKED_TERM)
_DISPUTE = tuple(re.compile(_PLEASE + pattern, re.IGNORECASE | re.DOTALL) for pattern in _DISPUTES)
_COMMAND = re.compile(r"/(?P<name>[a-z]+)\b\s*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_TERM_OF = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"mean(?:t)?(?: here)? (?:by|with) (?P<term>.+)",
        r"(?:what does|what do(?! you)) (?P<term>.+?) (?:mean|stand for|refer to)",
        r"the meaning of (?P<term>.+)",
        r"(?:the term|the word) (?P<term>.+)",
        r"(?:what(?:'s| is| are)|define) (?:an? |the )?(?P<term>.+)",
        r"什么(?:是|叫)(?P<term>[^?？]+)",
        r"(?:请问|你说的|您说的|这里的|题目里的|题目中的)*(?P<term>[^，,?？]+?)(?:是)?(?:什么意思|指的是什么|是指什么|指什么|是什么)",
    )
)
_NO_TERM = re.compile(
    r"(?:being )?(?:expected|meant|asked|wanted|needed|required|unclear)(?: (?:of me|for|from me))?"
    r"|it|that|this|you(?: (?:asking|looking|expecting)(?: for)?)?|(?:(?:the|this|that|your) )?(?:question|task|problem|exercise)"
    r"|(?:这|那|你|您|这个|那个|(?:这|那)(?:道|个)?(?:题|题目|问题)|问题|题目|题)",
    re.IGNORECASE,
)
"""What "what is …?" asks of the question itself."""
_MAX_WORD_CHARACTERS = 220
"""A longer message is an answer, however it begins."""


def read_turn(text: str, *, can_dispute: bool = False, wants_questions: bool = False) -> Message:
    """What a typed message is. `can_dispute` says that there is a grade; `wants_questions` that questions may be the answer.

    Raises InterviewError for a command that is unknown or lacks the number of its point.
    """
    if command := _read_command(text):
        return command
    said = " ".join(text.replace("’", "'").split())
    if can_dispute:
        for pattern in _DISPUTE:
            if match := pattern.fullmatch(said):
                return Message("dispute", match["argument"].strip(" ,:;.-：，；。"), _number(match["point"]))
    if len(said) <= _MAX_WORD_CHARACTERS:
        for move, pattern in _WHOLE:
            if pattern.fullmatch(said) and not (wants_questions and move == "clarification" and "?" in said):
                return Message(move, text.strip())
        if not wants_questions and len(said.split()) <= 9 and _ASKED.fullmatch(said):
            return Message("clarification", text.strip())
    return Message("answer", text)


def _read_command(text: str) -> Message | None:
    match = _COMMAND.fullmatch(text.strip())
    if match is None:
        return None
    name, rest = match["name"].lower(), match["rest"].strip()
    if name not in COMMANDS:
        if rest:
            # A path or a comment may begin an answer.
            return None
        raise InterviewError(f"There is no command /{name}. Expected {', '.join(f'/{known}' for known in COMMANDS)}.")
    if name != "dispute":
        return Message(COMMANDS[name], rest)
    number = re.fullmatch(r"(?P<point>\d{1,2})\b[\s:,.]*(?P<argument>.*)", rest, re.DOTALL)
    if number is None:
        raise InterviewError("Which point? Write its number and why, e.g. /dispute 2 By “off” I mean zeroed.")
    return Message("dispute", number["argument"], int(number["point"]))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else _NUMBERS[text.lower()]


def asked_term(text: str) -> str:
    """The term that a clarification asks for; empty where it asks for none."""
    said = " ".join(text.replace("’", "'").split()).strip(" ?？.!。")
    for pattern in _TERM_OF:
        if match := pattern.search(said):
            term = re.sub(
                r"\s+(?:here|exactly|in this (?:question|context)|please)$", "", match["term"], flags=re.IGNORECASE
            )
            term = term.strip(" \"'“”‘’「」,.")
            return "" if len(term.split()) > 6 or _NO_TERM.fullmatch(term) else term
    return ""

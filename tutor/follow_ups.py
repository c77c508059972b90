"""A follow-up question made standalone, so that search finds what the learner means by "it": by rules, or by a model.

What a model writes is searched only where it passes `_is_faithful`; else the rules decide, as they do without a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from index.words import ASPECT_WORDS, words
from tutor.injections import defanged
from tutor.language_model import LanguageModel, Message, ModelUnavailableError

REWRITE_SYSTEM_PROMPT = """\
Rewrite the last question of a conversation so that it can be understood without the conversation. Put the thing that is meant in \
place of words like "it", "they", "that" and "what about". Add nothing else, answer nothing, keep the language. A question that \
can be understood already comes back unchanged. Reply with the question alone, on one line."""
REWRITE_EXAMPLES = (
    (("What is dropout?",), "When would you avoid it?", "When would you avoid dropout?"),
    (("What does BatchNorm do at inference?",), "And LayerNorm?", "What does LayerNorm do at inference?"),
    (("What is LSTM?", "What is GRU?"), "How do they differ?", "How do LSTM and GRU differ?"),
    (("What is dropout?",), "What is the KL divergence?", "What is the KL divergence?"),
    (("什么是批归一化？",), "它有什么缺点？", "批归一化有什么缺点？"),
)
REWRITE_PROMPT = """\
Earlier questions:
{earlier}

Last question: {question}"""
REWRITE_TURNS = 4
"""Questions that the model is shown: what "it" means stands in the last few."""
_LONGEST_REWRITE = 3
"""Times the length of the question, beyond what a subject takes."""
_SUBJECT_CHARACTERS = 80
_LEAST_KEPT = 0.5
"""Share of the question's words with content that a rewriting must keep."""

_PRONOUN = re.compile(
    r"\b(?:its?|they|them|theirs?|this one|that one|this|that|these|those|the former|the latter|such (?:a )?\w+)\b",
    re.IGNORECASE,
)
_POSSESSIVE = {"its", "their", "theirs"}
_PLURAL = {"they", "them", "their", "theirs", "these", "those", "它们", "它们的", "这两个", "两者", "二者"}
_PRONOUN_ZH = re.compile(r"它们?的?|他们|这些|那些|这两个|两者|二者|这个|那个|这种|那种|其(?=[优缺作原])|此")
_WH = r"(?:when|why|how|what|where|who|which|if|is|are|do|does|did|can|could|would|should)\b"
# "what about X", "and X?", "how about X": the old question, asked of a new subject.
_NEW_SUBJECT = re.compile(
    rf"^(?:(?:and |but |or |so )?(?:what|how) about |and (?!{_WH}))(?P<subject>[^?]{{2,60}})\??$", re.IGNORECASE
)
_NEW_SUBJECT_ZH = re.compile(r"^那?么?(?P<subject>[^，。？?]{1,20}?)呢[？?]?$")
_CIRCUMSTANCE = re.compile(
    rf"(?:at|in|on|with|without|for|during|after|before|under|using|{_WH})\b|在|[^，]*[时中后前]$", re.IGNORECASE
)
"""How a name begins that is no subject: "and at inference?" asks the same of other circumstances."""
_LEAD_IN = re.compile(r"^(?:and|but|so|ok(?:ay)?|then|also|now|well|thanks|great)[,.:;!]?\s+", re.IGNORECASE)
_SMALL_TALK = re.compile(
    r"(?:(?:thanks?(?: you)?|ok(?:ay)?|great|cool|got it|i see|hi|hello|yes|no|谢谢|好的?|明白了?|你好)[,.!，。！ ]*)+",
    re.IGNORECASE,
)
# The words around a subject in the questions of this field; what is left between them is what the question is about.
_BEFORE_SUBJECT = re.compile(
    r"^(?:(?:please|can you|could you|would you|let's|i want to|i'd like to)\s+)*"
    r"(?:what does it mean (?:that|when|if|to)|what(?:'s|’s| is| are| was| were| does| do| causes?)|explain(?: to me)?|describe|define|discuss|"
    r"introduce|compare|derive|implement|understand|learn about|know about|tell me(?: more)? about|tell about|talk about|walk me (?:through|from)|show that|"
    r"how (?:do|does|did|is|are|can|would|should) (?:you |we |i |one )?(?:use |implement |compute |choose |set |apply |handle |train |explain )?|"
    r"how to (?:use |implement |compute |choose |set |apply |handle |train |explain )?|why (?!(?:not|do|does|is|are|would|should|did|can)\b)|"
    r"why (?:do|does|is|are|would|should) (?:you |we |i |one )?(?:need |use |want )?|when (?:do|does|is|are|would|should) (?:you |we |i |one )?(?:need |use )?|"
    r"do you know(?: how| what)?(?: is| are)?|give (?:me )?(?:an? )?\w+ (?:of|for))\s*"
    r"(?:the )?(?:(?:purpose|role|idea|concept|point|goal|meaning|differences?|process|advantages?|disadvantages?|benefits?|pros and cons|intuition) (?:of|between|with|in|behind)\s+)?"
    r"(?:the |a |an )?",
    re.IGNORECASE,
)
_AFTER_SUBJECT = re.compile(
    # A comma ends a subject, but not inside of a list: "Compare PPO, DPO and GRPO."
    rf"(?:,\s(?!(?:[\w-]+ ){{0,2}}[\w-]+(?:,| and| or) )|;|\?|\.\s|\.$| — |,? (?:and|but) {_WH}| and explain\b|"
    r" in (?:deep learning|machine learning|neural networks?|pytorch|tensorflow|numpy|keras|simple terms|practice)\b| at inference\b|"
    r" (?:works?|needs?|requires?|used|means?|do|helps?|saves?|reduces?|improves?|prevents?|solves?|affects?|behaves?|important|needed|differ|differently)\b|"
    r" so (?:widely|popular)\b| with (?:their|its)\b| for (?:you|me)\b|$).*$",
    re.IGNORECASE | re.DOTALL,
)
_QUESTION_ZH = re.compile(
    r"请问?|什么是|什么叫|(?:是|有|解决了?)?(?:什么|哪些)(?:不同|区别|作用|影响|问题)?|解释一下|解释|介绍一下|介绍|说明|比较|推导|如何|怎么样|怎么|怎样|"
    r"为什么(?:需要|要)?(?:使用|用)?|为何|哪些|的?(?:区别|原理|作用|计算过程|优缺点|优点|缺点|过程|定义)|呢|吗|和它.*$|，.*$"
)
_FEW_WORDS = 2
# What is asked of a subject. A short question of such words alone has its subject in what was said before.
_ASPECTS = frozenset(
    words(
        "advantages disadvantages limits limitations drawbacks benefits alternatives applications formula equation intuition pros "
        "cons costs problem reason downside steps types kinds code math detail purpose role impact effect memory faster slower "
        "better worse best parameters train training inference test time expensive cheap large small bigger long short simple deeper "
        "propose invent compute implement python PyTorch pytorch NumPy number avoid prefer choose happen fail improve fix matter "
        "practice default value values difference different compare history year paper one two case cases further elaborate summary "
        "main key show more not trade-offs tradeoffs complexity computational space speed weaknesses strengths "
        "优点 缺点 优缺点 区别 公式 作用 原因 例子 举例 举个 给出 代码 实现 应用 场景 步骤 参数 改进 局限 推理 训练 时 更好 更快 好 快 选 选择",
        stop_words=True,
    )
)
# "It is important to …", "does it help to …": this "it" stands for what follows.
_EXPLETIVE = re.compile(
    r"(?:'s|’s| is)? (?:(?:often|so|more|always|not|sometimes) )?(?:true|important|possible|necessary|better|best|hard|harder|difficult|easy|easier|common|"
    r"safe|ok|okay|useful|helpful|enough|worth|sense|make sense|take|mean|like|that) ?(?:to|that|when|if|\w+ing)\b",
    re.IGNORECASE,
)
# "When it is too large, what does the learning rate do?": the sentence names what it means further on.
_NAMED_LATER = re.compile(r"(?:when|if|while|because|since|once|although|unless)\b[^,]*$", re.IGNORECASE)
_OWN_SUBJECT = re.compile(
    r"\b(?:do|does|did|can|could|would|should|will) (?!you\b|i\b|we\b|one\b|people\b)\w", re.IGNORECASE
)
_CLAUSE_BREAK = re.compile(
    r"[,;.?!]|\b(?:and|when|while|because|if|but|so|before|after|why|how|what|which|where)\b", re.IGNORECASE
)
_COMPARES = re.compile(
    r"\bdiffer|\bcompare|\bbetween\b|\bboth\b|\bversus\b|\bvs\b|\bbetter\b|\bfaster\b|\bwhich of\b|区别|不同|比较|对比|哪",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Turn:
    """A question of the conversation made standalone, and what it is about (empty where it names nothing)."""

    question: str
    subject: str


def standalone_question(question: str, history: Sequence[str]) -> str:
    """The question with what it leaves unsaid filled in from the earlier questions (oldest first).

    A question that names its own subject comes back as it is. "Why?" or "when would you avoid it?" carries the subject over;
    "what about GRU?" asks the last question of a new subject.
    """
    turns: list[_Turn] = []
    for earlier in map(str.strip, history):
        if words(earlier, stop_words=True) and not _SMALL_TALK.fullmatch(earlier):
            turns.append(_resolve(earlier, turns))
    return _resolve(question.strip(), turns).question


def rewrite_question(question: str, history: Sequence[str], model: LanguageModel, *, stop: Event | None = None) -> str:
    """The question made standalone by a model; by `standalone_question` where its reply is none, or cannot be had."""
    by_rules = standalone_question(question, history)
    if not history:
        return by_rules
    longest = _LONGEST_REWRITE * len(question) + _SUBJECT_CHARACTERS
    reply = ""
    try:
        for piece in model.stream(_rewrite_messages(question, history), stop=stop):
            reply += piece
            # Who writes more is answering, not rewriting.
            if "\n" in reply.strip() or len(reply) > longest:
                break
    except (ModelUnavailableError, OSError, ValueError):
        # The answer that follows meets the same failure, and tells the learner.
        return by_rules
    rewritten = re.sub(r"^(?:Rewritten|Standalone) question:\s*", "", reply.strip()).strip('"“” ')
    is_short = "\n" not in rewritten and len(rewritten) <= longest
    return rewritten if is_short and _is_faithful(rewritten, question, history) else by_rules


def _rewrite_messages(question: str, history: Sequence[str]) -> list[Message]:
    messages = [Message("system", REWRITE_SYSTEM_PROMPT)]
    for earlier, asked, rewritten in REWRITE_EXAMPLES:
        messages.append(Message("user", REWRITE_PROMPT.format(earlier=_listed(earlier), question=asked)))
        messages.append(Message("assistant", rewritten))
    shown = _listed(history[-REWRITE_TURNS:])
    messages.append(Message("user", defanged(REWRITE_PROMPT.format(earlier=shown, question=question))))
    return messages


def _listed(questions: Sequence[str]) -> str:
    return "\n".join(f"- {' '.join(question.split())}" for question in questions)


def _is_faithful(rewritten: str, question: str, history: Sequence[str]) -> bool:
    """Whether a rewriting keeps what the question asks, and has what it adds from the conversation alone."""
    new, asked = set(words(rewritten)), set(words(question))
    known = {word for earlier in history for word in words(earlier)} | asked | ASPECT_WORDS
    return bool(new) and not new - known and len(asked & new) >= _LEAST_KEPT * len(asked)


def _resolve(question: str, turns: Sequence[_Turn]) -> _Turn:
    as_it_is = _Turn(question, subject_of(question))
    if not turns or not turns[-1].subject or not question or _SMALL_TALK.fullmatch(question):
        return as_it_is
    last = turns[-1]
    new = _NEW_SUBJECT.match(question) or _NEW_SUBJECT_ZH.match(question)
    name = new["subject"].strip() if new else ""
    if name and last.subject in last.question and _is_subject(name):
        asked = last.question.replace(last.subject, name, 1)
        return _Turn(asked, subject_of(asked))
    bare = _LEAD_IN.sub("", question)
    pronoun = _PRONOUN.search(bare)
    chinese = _PRONOUN_ZH.search(bare)
    if chinese and not words(bare[: chinese.start()]):
        possessive = "的" if chinese[0].endswith("的") or chinese[0] == "其" else ""
        meant = _meant(chinese[0], bare, turns)
        return _Turn(bare[: chinese.start()] + meant + possessive + bare[chinese.end() :], meant)
    if pronoun and _points_back(bare, pronoun):
        meant = _meant(pronoun[0].lower(), bare, turns)
        possessive = "'s" if pronoun[0].lower() in _POSSESSIVE else ""
        return _Turn(_capitalized(bare[: pronoun.start()] + meant + possessive + bare[pronoun.end() :]), meant)
    asks_aspect = len(set(words(bare))) <= _FEW_WORDS and not set(words(bare)) - _ASPECTS
    if pronoun is None and (new or asks_aspect):
        return _Turn(f"{_capitalized(bare.rstrip('?？.。!！ '))} ({last.subject})?", last.subject)
    return as_it_is


def _is_subject(name: str) -> bool:
    """Whether what stands after "what about" can be asked about: neither a circumstance nor a side of the old subject."""
    return not (_CIRCUMSTANCE.match(name) or _PRONOUN.search(name) or not set(words(name)) - _ASPECTS)


def _meant(pronoun: str, question: str, turns: Sequence[_Turn]) -> str:
    """What a pronoun stands for: the last subject, or the last two where they are compared ("How do they differ?")."""
    subject = turns[-1].subject
    former = next((turn.subject for turn in reversed(turns) if turn.subject not in ("", subject)), "")
    if pronoun in _PLURAL and former and _COMPARES.search(question) and not re.search(r" and |和|与", subject):
        joint = "和" if re.search(r"[\u4e00-\u9fff]", question) else "and"
        return f"{former} {joint} {subject}"
    return subject


def _points_back(question: str, pronoun: re.Match[str]) -> bool:
    """Whether the pronoun means something outside of the question.

    "What is dropout and when is it used?" explains its own "it": a clause with content comes before. "How do you detect
    them?" has only a verb before the pronoun, and "why do language models need it?" cannot mean its own subject.
    """
    before, after = question[: pronoun.start()], question[pronoun.end() :]
    name = pronoun[0].lower()
    *clauses, clause = _CLAUSE_BREAK.split(before)
    if set(words(" ".join(clauses))) - _ASPECTS:
        return False
    if name == "it" and _EXPLETIVE.match(after):
        return False
    if _NAMED_LATER.match(before) and "," in after and set(words(after.partition(",")[2])) - _ASPECTS:
        return False
    if name == "that" and words(clause) and len(words(after)) >= 2:
        # A conjunction: "show that softmax is invariant to shifts".
        return False
    own = name in _POSSESSIVE and _OWN_SUBJECT.search(clause)
    return not own and (name not in _POSSESSIVE or len(set(words(clause)) - _ASPECTS) <= _FEW_WORDS)


def subject_of(question: str) -> str:
    """What a question is about, as its own words: "batch normalization" of "What is batch normalization and why use it?".

    Empty where it names nothing, as "Why?" does.
    """
    if not words(question):
        return ""
    if re.search(r"[\u4e00-\u9fff]", question):
        first = next((part for part in re.split(r"[？?。]", question) if part.strip()), "")
        return _QUESTION_ZH.sub("", first).strip(" 的，。、")
    rest = _BEFORE_SUBJECT.sub("", question.strip(), count=1)
    subject = _AFTER_SUBJECT.sub("", rest, count=1).strip(" ?.!,:;\"'")
    return subject or rest.strip(" ?.!")


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]

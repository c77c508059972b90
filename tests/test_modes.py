"""The form that a message asks for, in English and Chinese."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tutor.modes import MODE_WORDS, AnswerMode, Request, read_attempt, read_request

CASES = Path(__file__).parent.parent / "evals" / "cases"


@pytest.mark.parametrize(("mode", "label"), MODE_WORDS.items())
def test_what_a_button_says_is_read_as_its_form(mode: AnswerMode, label: str):
    assert read_request(label) == Request(mode, "")


def test_every_form_but_the_plain_one_has_a_button():
    assert set(MODE_WORDS) == set(AnswerMode) - {AnswerMode.PLAIN}


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (AnswerMode.SHORTER, "shorter please"),
        (AnswerMode.SHORTER, "Can you make it a bit shorter?"),
        (AnswerMode.SHORTER, "tl;dr"),
        (AnswerMode.SHORTER, "That's too long."),
        (AnswerMode.SHORTER, "Summarize this in one sentence"),
        (AnswerMode.SHORTER, "再短一点"),
        (AnswerMode.SHORTER, "请说得简洁一些"),
        (AnswerMode.SHORTER, "总结一下"),
        (AnswerMode.DEEPER, "go deeper"),
        (AnswerMode.DEEPER, "Tell me more about it."),
        (AnswerMode.DEEPER, "more details, please"),
        (AnswerMode.DEEPER, "Explain that in more depth"),
        (AnswerMode.DEEPER, "再详细一点"),
        (AnswerMode.DEEPER, "展开讲讲"),
        (AnswerMode.ANALOGY, "give me an analogy"),
        (AnswerMode.ANALOGY, "Explain it with an analogy, please."),
        (AnswerMode.ANALOGY, "Explain this like I'm five"),
        (AnswerMode.ANALOGY, "打个比方"),
        (AnswerMode.IN_CHINESE, "in Chinese"),
        (AnswerMode.IN_CHINESE, "Say that in Chinese please"),
        (AnswerMode.IN_CHINESE, "translate it into Chinese"),
        (AnswerMode.IN_CHINESE, "用中文说一遍"),
        (AnswerMode.IN_CHINESE, "请用中文解释一下"),
        (AnswerMode.WORKED_EXAMPLE, "Give me an example"),
        (AnswerMode.WORKED_EXAMPLE, "show me a worked example with numbers"),
        (AnswerMode.WORKED_EXAMPLE, "举个例子"),
        (AnswerMode.WORKED_EXAMPLE, "来个具体的例子"),
        (AnswerMode.QUIZ, "quiz me on this"),
        (AnswerMode.QUIZ, "Ask me another question about it"),
        (AnswerMode.QUIZ, "考考我"),
        (AnswerMode.QUIZ, "出一道题考我"),
    ],
)
def test_message_that_only_asks_for_a_form_has_no_question_of_its_own(mode: AnswerMode, message: str):
    assert read_request(message) == Request(mode, "")


@pytest.mark.parametrize(
    ("message", "mode", "question"),
    [
        ("quiz me on dropout", AnswerMode.QUIZ, "dropout"),
        ("考考我梯度消失", AnswerMode.QUIZ, "梯度消失"),
        ("Give me an analogy for attention", AnswerMode.ANALOGY, "attention"),
        ("Explain attention with an analogy", AnswerMode.ANALOGY, "Explain attention"),
        ("Show me a worked example of softmax", AnswerMode.WORKED_EXAMPLE, "softmax"),
        ("What is dropout? In Chinese, please", AnswerMode.IN_CHINESE, "What is dropout"),
        ("Explain weight decay in Chinese", AnswerMode.IN_CHINESE, "Explain weight decay"),
        ("用中文解释一下 dropout", AnswerMode.IN_CHINESE, "dropout"),
    ],
)
def test_message_may_hold_its_question_beside_the_form(message: str, mode: AnswerMode, question: str):
    assert read_request(message) == Request(mode, question)


@pytest.mark.parametrize(
    "message",
    [
        "What is dropout?",
        "Why are shorter sequences faster?",
        "How are words segmented in Chinese?",
        "What does a deeper network learn?",
        "Is an analogy task a good test of word vectors?",
        "What is an adversarial example?",
        "How many examples does few-shot prompting need?",
        "Tell me more about attention",
        "什么是中文分词？",
        "更深的网络为什么难训练？",
        "再讲讲注意力",
        "",
    ],
)
def test_plain_question_stays_one(message: str):
    assert read_request(message) == Request(AnswerMode.PLAIN, message)


def test_no_question_of_the_eval_is_taken_for_a_request():
    rows = [
        json.loads(line) for file in CASES.rglob("*.jsonl") for line in file.read_text("utf-8").splitlines() if line
    ]
    asked = [question for row in rows for question in (row["question"], *row.get("history", ()))]

    assert len(asked) > 300
    assert [question for question in asked if read_request(question).mode is not AnswerMode.PLAIN] == []


@pytest.mark.parametrize(
    ("message", "attempt"),
    [
        ("my answer: It zeroes activations.", "It zeroes activations."),
        ("My answer is: a\nb", "a\nb"),
        ("Grade my answer: x", "x"),
        ("我的回答：随机置零", "随机置零"),
        ("What is my answer worth?", ""),
        ("my answer:", ""),
    ],
)
def test_answer_to_be_graded_is_told_from_a_question(message: str, attempt: str):
    assert read_attempt(message) == attempt

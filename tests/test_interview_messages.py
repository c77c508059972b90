"""What a typed message is: an answer, or a word to the interviewer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.interview import InterviewError
from tutor.interview_messages import COMMANDS, Message, Move, asked_term, read_turn

WORDS: dict[Move, tuple[str, ...]] = {
    "hint": (
        "hint",
        "Hint please",
        "a hint",
        "Can I have a hint?",
        "could you give me a small hint?",
        "I need a hint",
        "another hint",
        "one more hint, please",
        "I'm stuck",
        "I'm stuck, give me a hint",
        "any hint?",
        "help",
        "Give me a clue",
        "提示",
        "给个提示",
        "请给我一点提示",
        "能给我一个提示吗？",
        "再给点提示吧",
        "I'd like a hint.",
        "hints?",
        "Could I get a hint for this one?",
        "可以给个提示吗",
        "point me in the right direction",
    ),
    "skip": (
        "skip",
        "Skip this question",
        "next",
        "next question please",
        "pass",
        "let's skip this one",
        "Can we move on?",
        "I'd like to skip",
        "move on",
        "Let's move on to the next question.",
        "跳过",
        "下一题",
        "跳过这道题",
        "换一题吧",
        "next one",
        "please skip",
        "I'll pass",
        "I'd rather skip this one",
        "skip it",
        "过",
        "another question please",
    ),
    "dont-know": (
        "I don't know",
        "I don't know.",
        "idk",
        "no idea",
        "I have no idea",
        "I do not know this one, sorry",
        "Sorry, I don't know the answer",
        "not sure",
        "I'm not sure",
        "don't know",
        "no clue",
        "I can't answer this",
        "I forgot",
        "I don't remember",
        "I give up",
        "I have never heard of it",
        "beats me",
        "I really don't know how to answer this",
        "我不知道",
        "不知道",
        "不会",
        "我不太清楚",
        "没听说过",
        "抱歉，我不会",
        "忘了",
        "Honestly, I don't know",
        "I’m not sure about this",
        "dunno",
        "I don't know, sorry",
        "Um, I don't know.",
    ),
    "clarification": (
        "can you clarify?",
        "Could you clarify the question?",
        "what do you mean by covariate shift?",
        "What do you mean?",
        "I don't understand the question",
        "could you repeat the question",
        "please rephrase",
        "Can you explain what you mean by warp divergence?",
        "do you mean during training or at inference?",
        "Are you asking about training or inference?",
        "Should I write code?",
        "Should I assume a batch size of one?",
        "Can I assume float16?",
        "what does FSDP stand for?",
        "What does ZeRO mean here?",
        "What is a warp?",
        "what kind of answer do you expect?",
        "how detailed should I be?",
        "Is this about PyTorch or TensorFlow?",
        "能解释一下问题吗？",
        "你说的归一化是什么意思？",
        "什么是warp？",
        "请再说一遍问题",
        "我没听懂题目",
        "需要写代码吗？",
        "I'm not sure I understand the question.",
        "Could you say that again?",
        "do you want me to derive it?",
        "In which context?",
        "What's the meaning of amortized here?",
        "这里的 p 是什么意思？",
        "Which framework do you mean?",
        "define arithmetic intensity?",
        "Sorry, what was the question again?",
        "Hmm, could you rephrase that?",
    ),
    "end": (
        "end",
        "quit",
        "stop",
        "end the interview",
        "I want to stop",
        "let's stop here",
        "结束",
        "结束面试",
        "退出",
        "exit",
        "let's end the interview now",
        "先到这里吧",
    ),
}
ANSWERS = (
    "I don't know exactly, but BatchNorm uses running averages at inference.",
    "I don't know the formula; the idea is that the loss is averaged.",
    "BatchNorm uses running statistics at inference, right?",
    "It divides by the standard deviation. Is that what you wanted?",
    "Next token prediction.",
    "Next we normalize each feature.",
    "Stop words are removed before indexing.",
    "Stop gradient keeps the target fixed.",
    "Skip connections let the gradient pass around a layer.",
    "Skip connections",
    "Early stopping",
    "stop when the validation loss rises",
    "Pass the gradient through the identity branch.",
    "pass by reference",
    "It passes the gradient.",
    "The next token is sampled from the softmax.",
    "What is normalized? Each channel over the batch and space.",
    "What does dropout do? It zeroes random activations.",
    "A hint of noise regularizes the model.",
    "Hints from a teacher network guide the student.",
    "The end of sequence token ends generation.",
    "end-to-end training",
    "End of sequence",
    "I disagree with the claim that BatchNorm reduces covariate shift.",
    "Not sure about the details, but warps have 32 threads.",
    "I'm not sure, maybe 32?",
    "I forgot the exact number, roughly 32 threads.",
    "No idea why it works so well, but empirically it smooths the loss surface.",
    "You can clarify the label with an annotator guide.",
    "I would first clarify the requirements with the customer.",
    "Do you mean BatchNorm? It uses running averages at inference.",
    "Should I use Adam or SGD? I would use AdamW with warmup.",
    "32",
    "yes",
    "no",
    "Adam",
    "It depends.",
    "fp16",
    "not a number",
    "the variance of the estimate",
    "Help the optimizer with warmup.",
    "repeat the experiment with three seeds",
    "Explain the model with SHAP values and a summary.",
    "I explain it as guessing and correcting.",
    "归一化在推理时使用滑动平均",
    "我不知道准确的公式，但是大意是除以标准差",
    "跳过连接让梯度直接传播",
    "下一个词的概率由softmax给出",
    "提示学习是指用自然语言引导模型",
    "结束符表示生成结束",
    "我不会直接上线，而是先做A/B测试",
    "不会过拟合",
    "过拟合",
    "不知道的类别归为其他",
    "停止词会被删掉",
    "x = torch.zeros(3)\nreturn x",
    "/usr/bin/nvidia-smi shows the memory",
    "// a comment\nint x = 0;",
    "I skip the first layer.",
    "I would stop training when the loss rises.",
    "Moving on to the second point, momentum averages gradients.",
    "I'd pass the mask to the attention.",
    "I don't know of any exact method, Monte Carlo sampling is used.",
    "I do not remember who proposed it but it is called LayerNorm",
    "Repeat the data",
    "rephrase the prompt",
    "What are warps? They are groups of 32 threads.",
    "the next one in the batch",
    "leave one out",
    "finish the epoch",
    "exit code 1",
    "I know: it is dropout",
    "Is that during training? Then units are zeroed at random.",
    "how much data do you need depends on the task",
)
DISPUTES = {
    "I disagree with point 2 because I said it zeroes them": (2, "because I said it zeroes them"),
    "I dispute point 1: “off” means disabled": (1, "“off” means disabled"),
    "I disagree on point two, I wrote that": (2, "I wrote that"),
    "Point 3 is wrong, I said it": (3, "I said it"),
    "I did say point 2: see “running averages”": (2, "see “running averages”"),
    "I don't agree with the verdict on point 4. I meant zeroed.": (4, "I meant zeroed"),
    "dispute 2 because I said it": (2, "because I said it"),
    "我不同意第2点，因为我说了滑动平均": (2, "因为我说了滑动平均"),
    "我对第三点有异议：我写了": (3, "我写了"),
    "第二点我说了滑动平均": (2, "滑动平均"),
}


@pytest.mark.parametrize(("text", "move"), [(text, move) for move, texts in WORDS.items() for text in texts])
def test_a_word_to_the_interviewer_is_taken_for_what_it_is(text: str, move: Move):
    assert read_turn(text) == Message(move, text)
    assert read_turn(f"  {text}\n", can_dispute=True).move == move


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_an_answer_whatever_words_it_begins_or_ends_with(text: str):
    assert read_turn(text, can_dispute=True) == Message("answer", text)


@pytest.mark.parametrize("text", DISPUTES)
def test_a_dispute_names_its_point_and_its_reason(text: str):
    point, argument = DISPUTES[text]

    assert read_turn(text, can_dispute=True) == Message("dispute", argument, point)
    assert read_turn(text).move == "answer", "there is nothing yet to dispute"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one_whatever_follows(command: str):
    if command == "dispute":
        assert read_turn("/dispute 2 I said so") == Message("dispute", "I said so", 2)
    else:
        assert read_turn(f" /{command.upper()} hint please ") == Message(COMMANDS[command], "hint please")


def test_an_answer_behind_the_command_may_be_any_words():
    assert read_turn("/answer I don't know") == Message("answer", "I don't know")


@pytest.mark.parametrize(
    ("text", "message"),
    [("/hnit", "no command /hnit. Expected /answer"), ("/dispute", "Which point"), ("/dispute it", "Which point")],
)
def test_a_command_that_is_none_names_those_that_are(text: str, message: str):
    with pytest.raises(InterviewError, match=message):
        read_turn(text)


def test_questions_are_the_answer_where_questions_were_asked_for():
    text = "What is the team working on?"

    assert read_turn(text).move == "clarification"
    assert read_turn(text, wants_questions=True).move == "answer"
    assert read_turn("Please rephrase.", wants_questions=True).move == "clarification"


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("What do you mean by covariate shift?", "covariate shift"),
        ("can you explain what you mean by “warp divergence”", "warp divergence"),
        ("what does FSDP stand for?", "FSDP"),
        ("What does ZeRO mean here?", "ZeRO"),
        ("What is a warp?", "warp"),
        ("你说的归一化是什么意思？", "归一化"),
        ("什么是warp？", "warp"),
        ("这里的 p 是什么意思？", "p"),
        ("What is expected?", ""),
        ("what are you asking for?", ""),
        ("What do you mean by this question?", ""),
        ("这道题是什么意思？", ""),
        ("What is expected calibration error?", "expected calibration error"),
        ("What do you mean?", ""),
        ("could you repeat the question", ""),
        ("Should I write code?", ""),
    ],
)
def test_a_clarification_names_the_term_it_asks_for(text: str, term: str):
    assert asked_term(text) == term


@given(st.text(max_size=400))
def test_any_text_is_read(text: str):
    try:
        message = read_turn(text, can_dispute=True)
    except InterviewError:
        assert text.strip().startswith("/")
    else:
        assert message.move in COMMANDS.values()


@pytest.mark.parametrize(
    "piece", ["so ", "please ", "I don't know ", "给我", "the the ", "what does a ", "不知道", "? ", "really "]
)
def test_a_message_of_one_piece_over_and_over_is_read_at_once(piece: str):
    # With a pattern that backtracks badly this would not end.
    assert read_turn(piece * (50_000 // len(piece)) + "x").move == "answer"
    read_turn((piece * 220)[:218] + "x", can_dispute=True)

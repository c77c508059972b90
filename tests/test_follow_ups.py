"""Follow-up questions made standalone."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tutor.follow_ups import standalone_question, subject_of

DROPOUT = ("What is dropout?",)
BATCHNORM = ("What does BatchNorm do at inference?",)
LSTM_GRU = ("What is LSTM?", "What is GRU?")
BATCHNORM_ZH = ("什么是批归一化？",)


@pytest.mark.parametrize(
    ("history", "question", "expected"),
    [
        # Pronouns
        (DROPOUT, "When would you avoid it?", "When would you avoid dropout?"),
        (DROPOUT, "why does it work", "Why does dropout work"),
        (DROPOUT, "Do transformers use it?", "Do transformers use dropout?"),
        (DROPOUT, "Why do large language models need it?", "Why do large language models need dropout?"),
        (DROPOUT, "How is it implemented in PyTorch?", "How is dropout implemented in PyTorch?"),
        (DROPOUT, "What happens to it at inference?", "What happens to dropout at inference?"),
        (DROPOUT, "Is it better than BatchNorm?", "Is dropout better than BatchNorm?"),
        (DROPOUT, "Why is it not used in CNNs?", "Why is dropout not used in CNNs?"),
        (DROPOUT, "Does it help to converge?", "Does dropout help to converge?"),
        (DROPOUT, "How is that different from weight decay?", "How is dropout different from weight decay?"),
        (("How do you choose the learning rate?",), "What if it is too large?", "What if learning rate is too large?"),
        (
            ("Why do we use residual connections?",),
            "What problem do they solve?",
            "What problem do residual connections solve?",
        ),
        (("How do you train a GAN?",), "Can you do this with one GPU?", "Can you do GAN with one GPU?"),
        (("Compare SGD and Adam.",), "Which of them generalizes better?", "Which of SGD and Adam generalizes better?"),
        (("Compare PPO, DPO and GRPO.",), "Which of these is newest?", "Which of PPO, DPO and GRPO is newest?"),
        (("What causes hallucinations?",), "How do you measure them?", "How do you measure hallucinations?"),
        # Possessives
        (DROPOUT, "What are its disadvantages?", "What are dropout's disadvantages?"),
        (DROPOUT, "And its drawbacks?", "Dropout's drawbacks?"),
        (DROPOUT, "What about its formula?", "What about dropout's formula?"),
        # A new subject, the old question
        (DROPOUT, "What about weight decay?", "What is weight decay?"),
        (DROPOUT, "And weight decay?", "What is weight decay?"),
        (BATCHNORM, "How about LayerNorm?", "What does LayerNorm do at inference?"),
        (("What are the advantages of Adam?",), "what about SGD", "What are the advantages of SGD?"),
        (("Can you explain batch norm to me?",), "What about layer norm?", "Can you explain layer norm?"),
        # The old subject, other circumstances
        (BATCHNORM, "And in training?", "In training (BatchNorm)?"),
        (DROPOUT, "And for RNNs?", "For RNNs (dropout)?"),
        (DROPOUT, "What about inference?", "What about inference (dropout)?"),
        (DROPOUT, "What about when the batch is small?", "What about when the batch is small (dropout)?"),
        # Nothing but the question
        (DROPOUT, "Why?", "Why (dropout)?"),
        (DROPOUT, "But why?", "Why (dropout)?"),
        (DROPOUT, "why not", "Why not (dropout)?"),
        (DROPOUT, "How so?", "How so (dropout)?"),
        (DROPOUT, "Give an example", "Give an example (dropout)?"),
        (DROPOUT, "Show me the code.", "Show me the code (dropout)?"),
        (DROPOUT, "Tell me more", "Tell me more (dropout)?"),
        (DROPOUT, "Pros and cons?", "Pros and cons (dropout)?"),
        (DROPOUT, "In PyTorch?", "In PyTorch (dropout)?"),
        (DROPOUT, "What are the trade-offs?", "What are the trade-offs (dropout)?"),
        (("What is the difference between L1 and L2?",), "Which is better?", "Which is better (L1 and L2)?"),
        # Two subjects compared
        (LSTM_GRU, "How do they differ?", "How do LSTM and GRU differ?"),
        (LSTM_GRU, "What is the difference between them?", "What is the difference between LSTM and GRU?"),
        (LSTM_GRU, "Why do transformers not use them?", "Why do transformers not use GRU?"),
        # Chinese
        (BATCHNORM_ZH, "它有什么缺点？", "批归一化有什么缺点？"),
        (BATCHNORM_ZH, "为什么需要它？", "为什么需要批归一化？"),
        (BATCHNORM_ZH, "它的公式是什么？", "批归一化的公式是什么？"),
        (BATCHNORM_ZH, "其优点是什么？", "批归一化的优点是什么？"),
        (BATCHNORM_ZH, "为什么？", "为什么 (批归一化)?"),
        (BATCHNORM_ZH, "举个例子", "举个例子 (批归一化)?"),
        (BATCHNORM_ZH, "那层归一化呢？", "什么是层归一化？"),
        (BATCHNORM_ZH, "推理时呢？", "推理时呢 (批归一化)?"),
        (("残差连接的作用是什么？",), "那 DenseNet 呢？", "DenseNet的作用是什么？"),
        (("注意力机制解决了什么问题？它是如何计算的？",), "它有什么缺点？", "注意力机制有什么缺点？"),
        (("什么是 LSTM？", "GRU 呢？"), "它们有什么区别？", "LSTM 和 GRU有什么区别？"),
        (("什么是 Dropout？",), "Why does it work?", "Why does Dropout work?"),
        (DROPOUT, "它有什么缺点？", "dropout有什么缺点？"),
    ],
)
def test_follow_up_gets_its_subject_from_before(history: Sequence[str], question: str, expected: str):
    assert standalone_question(question, history) == expected


@pytest.mark.parametrize(
    "question",
    [
        # Complete in themselves
        "What is LayerNorm?",
        "PagedAttention?",
        "GRU vs LSTM",
        "What is dropout?",
        "Show that softmax is invariant to shifts.",
        "Does a model that overfits need more data?",
        # They explain their own pronoun
        "What is BatchNorm and why is it useful?",
        "What happens if the learning rate is too high and how do you fix it?",
        "If you have a model that overfits, how do you fix it?",
        "When it's too large, what does the learning rate do?",
        "How does Adam scale its steps?",
        "Take a tensor and scale it",
        "Dropout 是什么，它有什么作用？",
        # "It" means nothing
        "Why is it important to normalize inputs?",
        "Is it possible to train without labels?",
        "Is it true that deeper networks need more data?",
        "How long does it take to train a 7B model?",
        # Nothing is asked
        "thanks",
        "谢谢！",
    ],
)
def test_question_with_a_subject_of_its_own_stays_as_it_is(question: str):
    assert standalone_question(question, ["What is a KV cache?"]) == question


def test_new_subject_replaces_the_old_one():
    history = ["What is dropout?", "Why does it work?", "What is LayerNorm?"]

    assert standalone_question("Why do transformers use it?", history) == "Why do transformers use LayerNorm?"


def test_subject_outlives_a_chain_of_follow_ups():
    history = ["What is dropout?", "Why?", "And at inference?", "How does it differ from BatchNorm?", "Give an example"]

    assert standalone_question("When would you avoid it?", history) == "When would you avoid dropout?"


def test_swapped_subject_is_the_one_that_later_questions_mean():
    history = ["What are the advantages of Adam?", "What about SGD?"]

    assert standalone_question("Why is it slower?", history) == "Why is SGD slower?"


def test_small_talk_between_questions_changes_nothing():
    history = ["hi", "What is dropout?", "OK, thanks!", "got it"]

    assert standalone_question("Why does it work?", history) == "Why does dropout work?"
    assert standalone_question("为什么？", ["什么是批归一化？", "好的，谢谢"]) == "为什么 (批归一化)?"


@pytest.mark.parametrize("history", [[], [""], ["  "], ["Why?"], ["???"], ["hello"]])
@pytest.mark.parametrize("question", ["Why?", "What about it?", "When would you avoid it?", "为什么？"])
def test_without_a_subject_before_the_question_stays_as_it_is(history: Sequence[str], question: str):
    assert standalone_question(question, history) == question


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("What is batch normalization and why use it?", "batch normalization"),
        ("What is batch normalization (BN)?", "batch normalization (BN)"),
        ("How to choose a learning rate?", "learning rate"),
        ("Why divide by the square root of the dimension?", "divide by the square root of the dimension"),
        ("Explain the difference between L1 and L2 regularization.", "L1 and L2 regularization"),
        ("Compare PPO, DPO and GRPO. When would you choose which?", "PPO, DPO and GRPO"),
        ("How does gradient checkpointing save memory?", "gradient checkpointing"),
        ("I want to understand LoRA", "LoRA"),
        ("什么是自监督学习？有哪些类型？", "自监督学习"),
        ("请介绍一下Transformer的原理", "Transformer"),
        ("Why?", ""),
        ("", ""),
    ],
)
def test_subject_is_what_a_question_is_about(question: str, subject: str):
    assert subject_of(question) == subject


def test_long_pasted_text_and_a_long_conversation_take_no_time():
    log = (
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied, and it says that its gradient, when it is NaN, " * 35
    )
    started = time.perf_counter()

    standalone_question(log + "why?", [log] * 100)

    assert time.perf_counter() - started < 5


def test_what_the_subject_needs_is_not_part_of_its_name():
    history = ["Why does Adam need bias correction?"]

    assert standalone_question("and when would you not use it?", history) == "When would you not use Adam?"

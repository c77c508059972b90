from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.language_model import Message, ModelUnavailableError
from tutor.streaming import estimated_tokens, stream_reply, without_thinking

ANSWER = "Dropout zeroes activations."


async def reply() -> AsyncIterator[str]:
    for piece in ("Dropout ", "zeroes ", "activations."):
        await asyncio.sleep(0)
        yield piece


async def silence() -> AsyncIterator[str]:
    await asyncio.sleep(60)
    yield "too late"


def readers() -> int:
    return sum(thread.name == "reply" for thread in threading.enumerate())


def test_pieces_come_in_their_order():
    assert list(stream_reply(reply)) == ["Dropout ", "zeroes ", "activations."]
    assert readers() == 0


def test_what_the_reply_raises_is_raised_after_what_it_said():
    async def failing() -> AsyncIterator[str]:
        yield "Dropout "
        raise KeyError("gone")

    pieces = stream_reply(failing)

    assert next(pieces) == "Dropout "
    with pytest.raises(KeyError, match="gone"):
        next(pieces)


def test_stop_ends_a_silent_reply():
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    started = time.perf_counter()

    assert list(stream_reply(silence, stop=stop)) == []

    assert time.perf_counter() - started < 30
    assert readers() == 0


def test_closing_a_reply_runs_its_own_end():
    ended = threading.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                await asyncio.sleep(0)
                yield "on and on "
        finally:
            ended.set()

    pieces = stream_reply(endless)
    next(pieces)
    pieces.close()

    assert ended.wait(timeout=5)


def test_a_stop_that_was_set_before_says_nothing():
    stop = threading.Event()
    stop.set()

    assert list(stream_reply(reply, stop=stop)) == []


def test_an_empty_reply_is_no_answer():
    async def nothing() -> AsyncIterator[str]:
        for piece in ():
            yield piece

    with pytest.raises(ModelUnavailableError, match="no answer"):
        list(stream_reply(nothing))


@given(st.data())
def test_thoughts_are_left_out_wherever_the_pieces_are_cut(data: st.DataObject):
    text = (
        data.draw(st.sampled_from(["<think>\nLet me see: < 3?\n</think>\n\n", "\n<think></think>", "", " "])) + ANSWER
    )
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    assert "".join(without_thinking(pieces)).lstrip() == ANSWER


@pytest.mark.parametrize(
    "text", ["<table> holds rows.", "<", "<thin", "A <think> in the middle </think> stays.", "  \n"]
)
def test_text_that_only_looks_like_thoughts_stays(text: str):
    assert "".join(without_thinking(text)) == text


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        # What the tokenizers of Qwen3 and Llama 3 make of such texts lies at the lower end or below.
        ("Dropout zeroes each activation with probability p during training.", 12, 32),
        ("批归一化用小批量的均值和方差对每个通道做标准化。", 14, 34),
        ("loss = F.cross_entropy(logits.view(-1, V), y)", 14, 26),
        ("", 1, 10),
    ],
)
def test_tokens_are_estimated_rather_too_many_than_too_few(text: str, least: int, most: int):
    assert least <= estimated_tokens([Message("user", text)]) <= most


def test_every_turn_counts():
    turn = Message("user", "What is dropout?")

    assert estimated_tokens([turn, turn]) > estimated_tokens([turn])
    assert estimated_tokens([]) == 0

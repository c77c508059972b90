"""Replies of asynchronous libraries, read in a thread that can be stopped at any moment; and what every such reply needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from queue import Empty, Queue
from threading import Event, Thread

from tutor.language_model import Message, ModelUnavailableError

_POLL_SECONDS = 0.1
_LEAVE_SECONDS = 1.0
_ASCII_CHARACTERS_PER_TOKEN = 3.0
_TURN_TOKENS = 8
_THINK, _THOUGHT = "<think>", "</think>"


def stream_reply(reply: Callable[[], AsyncIterator[str]], *, stop: Event | None = None) -> Iterator[str]:
    """The pieces of an asynchronous reply as they come, without the thoughts before it; what it raises is raised here.

    Setting `stop`, or closing the iterator, cancels the reply within a tenth of a second, also while it waits for its
    first piece: a blocked read of a socket could not be ended from outside, a cancelled task closes its connection.
    Raises ModelUnavailableError for a reply that is all thoughts.
    """
    with closing(_read_in_thread(reply, stop)) as pieces:
        said = False
        for piece in without_thinking(pieces):
            said = True
            yield piece
    if not said and not (stop is not None and stop.is_set()):
        raise ModelUnavailableError(
            "The language model came to no answer before its reply ended, as reasoning models do. Raise "
            "TUTOR_MAX_NEW_TOKENS, or turn reasoning off at the server."
        )


def _read_in_thread(reply: Callable[[], AsyncIterator[str]], stop: Event | None) -> Generator[str, None, None]:
    pieces: Queue[str | None] = Queue()
    failures: list[Exception] = []
    loop = asyncio.new_event_loop()
    halted = Event()

    async def read() -> None:
        async for piece in reply():
            pieces.put(piece)

    async def read_unless_halted() -> None:
        task = asyncio.create_task(read())
        if halted.is_set():
            task.cancel()
        tasks.append(task)
        await asyncio.wait([task])
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            failures.append(error)

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                runner.run(read_unless_halted())
            finally:
                pieces.put(None)

    tasks: list[asyncio.Task[None]] = []
    thread = Thread(target=work, name="reply", daemon=True)
    thread.start()
    try:
        while stop is None or not stop.is_set():
            try:
                piece = pieces.get(timeout=_POLL_SECONDS)
            except Empty:
                continue
            if piece is None:
                break
            yield piece
        else:
            return
    finally:
        halted.set()
        with suppress(RuntimeError):  # the loop is closed: the reply has ended
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        # A library that computes in a thread of its own cannot be cancelled: its end is not waited for.
        thread.join(timeout=_LEAVE_SECONDS)
    if failures:
        raise failures[0]


def without_thinking(pieces: Iterable[str]) -> Iterator[str]:
    """A reply without the `<think>` … `</think>` that reasoning models open with where the server leaves it in the text."""
    held = ""
    opened = decided = False
    for piece in pieces:
        if decided:
            yield piece
            continue
        held += piece
        start = held.lstrip()
        if not opened and _THINK.startswith(start[: len(_THINK)]):
            opened = start.startswith(_THINK)
            if not opened:
                continue
        if opened:
            _, mark, rest = held.partition(_THOUGHT)
            if not mark:
                continue
            opened, held = False, rest.lstrip()
        if held:
            decided = True
            yield held
    if held and not decided and not opened:
        yield held


def estimated_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a prompt for a model whose tokenizer is out of reach: an estimate, rather too many than too few.

    Three ASCII characters a token, where English prose has four and code and formulas three; one token for any other
    character, where present tokenizers need about 0.7 for a Chinese one; eight for the marks around a turn.
    """
    total = 0.0
    for message in messages:
        ascii_count = sum(char.isascii() for char in message.content)
        total += _TURN_TOKENS + ascii_count / _ASCII_CHARACTERS_PER_TOKEN + (len(message.content) - ascii_count)
    return round(total)

"""A reply of a language model as a value: JSON that follows a schema, or a clear failure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from threading import Event
from typing import TypeVar

from tutor.language_model import LanguageModel, Message

T = TypeVar("T")

REPAIR_PROMPT = """\
That reply cannot be read: {problem}

Reply again with JSON alone that follows this schema, no word before or after it:
{schema}"""
_MOST_STARTS = 100
"""Brackets in a reply at which a value is looked for; a model gone astray writes thousands."""
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)


class ReplyError(RuntimeError):
    """The model did not give the reply that was asked for, asked twice; the message says what was wrong with it."""


def complete_json(
    model: LanguageModel,
    messages: Sequence[Message],
    schema: Mapping[str, object],
    read: Callable[[object], T],
    *,
    stop: Event | None = None,
) -> T:
    """What `read` makes of the model's JSON; where it raises ValueError the model is asked once more, with the error named.

    `read` holds the reply to the schema: a backend may not. With pydantic `Shape.model_json_schema()` and
    `Shape.model_validate` fit each other. Raises ReplyError after two bad replies or a stopped one, and ModelUnavailableError.
    """
    turns = list(messages)
    for attempt in range(2):
        reply = "".join(model.stream(turns, stop=stop, schema=schema))
        if stop is not None and stop.is_set():
            raise ReplyError("The reply was stopped before it was complete.")
        try:
            return read(find_json(reply))
        except ValueError as error:
            problem = " ".join(str(error).split())
        if attempt == 0:
            repair = REPAIR_PROMPT.format(problem=problem, schema=json.dumps(schema, ensure_ascii=False))
            turns += [Message("assistant", reply), Message("user", repair)]
    raise ReplyError(
        f"{model.name!r} gave no usable reply, asked twice: {problem}. Choose a larger model, or raise TUTOR_MAX_NEW_TOKENS if "
        "its replies are cut."
    )


def find_json(reply: str) -> object:
    """The JSON value in a reply: all of it, what a code fence holds, or the longest object or list in the prose.

    Raises ValueError where there is none.
    """
    for candidate in (reply, *_FENCE.findall(reply)):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    found: list[tuple[int, object]] = []
    decoder, end = json.JSONDecoder(), 0
    for start in islice(re.finditer(r"[{\[]", reply), _MOST_STARTS):
        # What lies within a value that was found is part of it.
        if start.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(reply, start.start())
        except (ValueError, RecursionError):
            continue
        found.append((end - start.start(), value))
    if not found:
        raise ValueError(f"no JSON in {reply[:80]!r}")
    return max(found, key=lambda item: item[0])[1]

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event

import pytest
from pydantic import BaseModel, Field

from tutor.language_model import Message
from tutor.structured import ReplyError, complete_json, find_json

QUESTION = [Message("user", "Did the attempt say that dropout is off at inference?")]


class Verdict(BaseModel):
    made: bool
    score: int = Field(ge=0, le=5)


class WrittenModel:
    """A language model that says what the test wrote, in two pieces, and keeps what it was asked."""

    name = "written"
    window_tokens = None

    def __init__(self, *replies: str) -> None:
        self._replies = list(replies)
        self.asked: list[Sequence[Message]] = []
        self.schemas: list[Mapping[str, object] | None] = []

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        self.asked.append(list(messages))
        self.schemas.append(schema)
        reply = self._replies.pop(0)
        yield reply[: len(reply) // 2]
        if stop is None or not stop.is_set():
            yield reply[len(reply) // 2 :]


def verdict_of(model: WrittenModel, *, stop: Event | None = None) -> Verdict:
    return complete_json(model, QUESTION, Verdict.model_json_schema(), Verdict.model_validate, stop=stop)


@pytest.mark.parametrize(
    "reply",
    [
        '{"made": true, "score": 4}',
        'Here it is:\n\n```json\n{"made": true, "score": 4}\n```\nI hope it helps.',
        '```\n{"made": true,\n "score": 4}\n```',
        'As [1] and {2} say, the verdict is {"made": true, "score": 4}. See [3].',
    ],
)
def test_json_is_found_wherever_the_model_put_it(reply: str):
    model = WrittenModel(reply)

    assert verdict_of(model) == Verdict(made=True, score=4)
    assert model.asked == [QUESTION]
    assert model.schemas == [Verdict.model_json_schema()]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("Yes, it did.", "no JSON in 'Yes, it did.'"),
        ("", "no JSON in ''"),
        ('{"made": true, "score": 9}', "less than or equal to 5"),
        ('{"made": true', "no JSON in"),
        ('{"made": true, "sco', "no JSON in"),
        ('{"score": 3}', "made Field required"),
        ("[" * 100_000, "no JSON in"),
    ],
)
def test_a_bad_reply_is_repaired_with_the_error_named(bad: str, problem: str):
    model = WrittenModel(bad, '{"made": false, "score": 0}')

    assert verdict_of(model) == Verdict(made=False, score=0)
    first, reply, repair = model.asked[1]
    assert (first, reply) == (QUESTION[0], Message("assistant", bad))
    assert problem in repair.content
    assert '"maximum": 5' in repair.content


def test_two_bad_replies_are_a_clear_failure():
    with pytest.raises(ReplyError, match=r"'written' gave no usable reply, asked twice: no JSON in 'No\.'") as failure:
        verdict_of(WrittenModel("Yes.", "No."))

    assert "\n" not in str(failure.value)


def test_a_stopped_reply_is_not_repaired():
    model = WrittenModel('{"made": true, "score": 4}')
    stop = Event()
    stop.set()

    with pytest.raises(ReplyError, match="stopped"):
        verdict_of(model, stop=stop)

    assert len(model.asked) == 1


def test_the_longest_value_in_the_prose_counts():
    assert find_json('[1] says {"points": [{"made": true}, {"made": false}]} and [2, 3] agree') == {
        "points": [{"made": True}, {"made": False}]
    }

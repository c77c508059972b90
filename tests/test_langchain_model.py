from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from tutor.langchain_model import ChatModelAdapter, TutorChatModel
from tutor.language_model import Message, ModelUnavailableError
from tutor.settings import Settings
from tutor.tutor import Tutor

if TYPE_CHECKING:
    from tests.conftest import ScriptedEndpoint

REPLY = "Dropout zeroes each activation with probability p during training [1]."


@dataclass
class Recital:
    """A language model that says what it was given, word by word, and keeps what it was asked."""

    text: str = REPLY
    name: str = "recital"
    window_tokens: int | None = 1000
    asked: list[Sequence[Message]] = field(default_factory=list)
    schemas: list[Mapping[str, object] | None] = field(default_factory=list)
    said: int = 0

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        stop: threading.Event | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> Iterator[str]:
        self.asked.append(messages)
        self.schemas.append(schema)
        for word in self.text.split(" "):
            if stop is not None and stop.is_set():
                return
            self.said += 1
            yield word if self.said == 1 else f" {word}"


# Ours in LangChain


def test_a_model_of_ours_answers_in_a_chain():
    model = Recital()
    prompt = ChatPromptTemplate.from_messages([("system", "You are a tutor."), ("human", "What is {subject}?")])
    chain = prompt | TutorChatModel(model=model) | StrOutputParser()

    assert chain.invoke({"subject": "dropout"}) == REPLY
    assert model.asked == [[Message("system", "You are a tutor."), Message("user", "What is dropout?")]]


def test_a_chain_streams_the_pieces_as_they_come():
    chat = TutorChatModel(model=Recital())

    pieces = [chunk.text for chunk in chat.stream("What is dropout?")]

    assert "".join(pieces) == REPLY
    assert len([piece for piece in pieces if piece]) == len(REPLY.split())


def test_batches_and_awaited_calls_work():
    chat = TutorChatModel(model=Recital())

    assert [message.text for message in chat.batch(["one?"])] == [REPLY]
    assert asyncio.run(TutorChatModel(model=Recital()).ainvoke("two?")).text == REPLY


def test_earlier_turns_keep_their_roles():
    model = Recital()

    TutorChatModel(model=model).invoke(
        [SystemMessage("Be brief."), HumanMessage("Hello"), AIMessage("Hi"), HumanMessage("Why?")]
    )

    assert [message.role for message in model.asked[0]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("mark", ["during", "ring tr", "p d"])
def test_a_stop_sequence_ends_the_reply_and_the_computation(mark: str):
    model = Recital()

    message = TutorChatModel(model=model).invoke("What is dropout?", stop=["nowhere", mark])

    assert message.text == REPLY[: REPLY.index(mark)]
    assert model.said < len(REPLY.split())


def test_a_schema_is_passed_on():
    model = Recital()

    TutorChatModel(model=model).bind(schema={"type": "object"}).invoke("Grade it.")

    assert model.schemas == [{"type": "object"}]


def test_tokens_are_counted_by_the_model():
    assert TutorChatModel(model=Recital()).get_num_tokens_from_messages([HumanMessage("one two three")]) == 3


@pytest.mark.parametrize(
    "message",
    [
        ToolMessage("42", tool_call_id="1"),
        HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),
    ],
)
def test_what_is_not_text_is_refused(message: HumanMessage | ToolMessage):
    with pytest.raises(ValueError, match="Expected text from system, human or ai"):
        TutorChatModel(model=Recital()).invoke([message])


def test_text_in_blocks_is_read():
    model = Recital()

    TutorChatModel(model=model).invoke([HumanMessage([{"type": "text", "text": "What is dropout?"}])])

    assert model.asked[0][0].content == "What is dropout?"


# LangChain's in ours


def test_the_tutor_answers_with_a_chat_model_of_langchain(settings: Settings):
    chat = GenericFakeChatModel(messages=iter([AIMessage(REPLY)]))
    tutor = Tutor(settings, model=ChatModelAdapter(chat, name="somebody's"))
    tutor.update_index()

    answer = tutor.ask("What does dropout do during training?")

    assert answer.model == "somebody's"
    assert answer.text.startswith("Dropout zeroes each activation with probability p during training")
    assert answer.citations[0].chunk.id == "regularization.md#dropout"


def test_there_and_back_again_says_the_same():
    adapter = ChatModelAdapter(TutorChatModel(model=Recital()), name="both ways")

    assert "".join(adapter.stream([Message("user", "What is dropout?")])) == REPLY


def test_whatever_a_chat_model_raises_is_told_in_one_line():
    class Broken(GenericFakeChatModel):
        def _stream(self, *_: object, **__: object) -> Iterator[object]:
            raise ZeroDivisionError("no\nmodel here")

    adapter = ChatModelAdapter(Broken(messages=iter([])), name="broken")

    with pytest.raises(ModelUnavailableError, match=r"'broken' failed \(no model here\)"):
        list(adapter.stream([Message("user", "What is dropout?")]))


def test_stop_ends_a_chat_model_that_waits_for_its_server(endpoint: ScriptedEndpoint):
    from langchain_openai import ChatOpenAI

    endpoint.seconds_before = 30
    chat = ChatOpenAI(model="tiny", base_url=endpoint.url, api_key="none", max_retries=0)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()

    assert list(ChatModelAdapter(chat, name="tiny").stream([Message("user", "What is dropout?")], stop=stop)) == []
    assert endpoint.hung_up.wait(timeout=10)


def test_window_and_tokens_are_as_far_known_as_they_can_be():
    chat = GenericFakeChatModel(messages=iter([]))

    assert ChatModelAdapter(chat, name="m").window_tokens is None
    assert ChatModelAdapter(chat, name="m", window_tokens=8192).window_tokens == 8192
    assert ChatModelAdapter(chat, name="m").count_tokens([Message("user", "What is dropout?")]) > 0

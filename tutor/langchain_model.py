"""Our language models in LangChain's chains, and LangChain's chat models in the tutor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing
from threading import Event
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import SkipValidation

from tutor.language_model import LanguageModel, Message, ModelUnavailableError
from tutor.streaming import estimated_tokens, stream_reply

_ROLES: Mapping[str, Any] = {"system": "system", "human": "user", "ai": "assistant"}


class TutorChatModel(BaseChatModel):
    """A language model of ours as a LangChain chat model: `invoke`, `stream`, `batch`, and piped into a chain.

    It takes text alone: no tools, no images. `bind(schema=...)` asks for a reply by a JSON Schema. Raises what the model
    raises, ModelUnavailableError.
    """

    model: SkipValidation[LanguageModel]

    @property
    def _llm_type(self) -> str:
        return "interview-tutor"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model": self.model.name}

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Tokens of a prompt, as the model counts them; LangChain's own way would download a tokenizer."""
        del tools
        return self.model.count_tokens([_to_message(message) for message in messages])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401 - the signature is the library's
    ) -> ChatResult:
        text = "".join(chunk.text for chunk in self._stream(messages, stop, None, **kwargs))
        del run_manager
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401 - the signature is the library's
    ) -> Iterator[ChatGenerationChunk]:
        turns = [_to_message(message) for message in messages]
        reply = self.model.stream(turns, schema=kwargs.get("schema"))
        for piece in _until(reply, stop or ()):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
            if run_manager:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk


def _to_message(message: BaseMessage) -> Message:
    blocks = [] if isinstance(message.content, str) else message.content
    kinds = {block.get("type") for block in blocks if isinstance(block, dict)} - {"text"}
    if message.type not in _ROLES or kinds:
        raise ValueError(
            f"A {message.type} message{f' with {kinds}' if kinds else ''} cannot be read. Expected text from system, human or ai."
        )
    return Message(_ROLES[message.type], str(message.text))


def _until(pieces: Iterator[str], marks: Sequence[str]) -> Iterator[str]:
    """A reply up to the first of the marks, which ends the computation; it may come in pieces itself."""
    held = ""
    kept = max(map(len, marks), default=1) - 1
    with closing(pieces) as reply:  # type: ignore[type-var]  # every model of ours gives a generator
        for piece in reply:
            held += piece
            ends = [place for mark in marks if (place := held.find(mark)) >= 0]
            if ends:
                held = held[: min(ends)]
                break
            ready = len(held) - kept
            if ready > 0:
                yield held[:ready]
                held = held[ready:]
    if held:
        yield held


class ChatModelAdapter:
    """A LangChain chat model as a `LanguageModel`: `Tutor(settings, model=ChatModelAdapter(chat, name="…"))`.

    What it costs, and where the questions go, is the chat model's matter. A schema is passed over.
    """

    def __init__(self, chat: BaseChatModel, *, name: str, window_tokens: int | None = None) -> None:
        """`name` is what answers are signed with."""
        self.name = name
        self.window_tokens = window_tokens
        self._chat = chat

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt, estimated: LangChain's own way would download a tokenizer for most models."""
        return estimated_tokens(messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        """The reply as it comes. Raises ModelUnavailableError, whatever the chat model raises."""
        del schema
        try:
            yield from stream_reply(lambda: self._reply(messages), stop=stop)
        except ModelUnavailableError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelUnavailableError(
                f"The language model {self.name!r} failed ({said}). Look at how the chat model was made."
            ) from error

    async def _reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        async for chunk in self._chat.astream([(message.role, message.content) for message in messages]):
            if chunk.text:
                yield str(chunk.text)

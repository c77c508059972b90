"""Language models behind an OpenAI-compatible endpoint: vLLM, SGLang, TensorRT-LLM, llama.cpp, Ollama and others."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from tutor.language_model import Message, ModelUnavailableError
from tutor.streaming import estimated_tokens, stream_reply

if TYPE_CHECKING:
    import openai
    from langchain_openai import ChatOpenAI

ENDPOINT_PREFIX = "openai:"
CONNECT_SECONDS = 5.0
_NO_KEY = "none"
"""What goes out where no key is set: the protocol wants one, and a server on one's own machine takes any."""
_EXAMPLE = "openai:Qwen/Qwen3-8B@http://localhost:8000/v1"


@dataclass(frozen=True)
class EndpointAddress:
    """A model and the endpoint that serves it."""

    model: str
    url: str

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is on this machine, where no proxy is needed or of use."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def read_address(setting: str) -> EndpointAddress:
    """Take `openai:<model>@<base url>` apart. Raises ModelUnavailableError, saying what is wrong with it."""
    match = re.fullmatch(r"openai:(?P<model>[^\s@][^\s]*?)@(?P<url>https?://\S+)", setting.strip())
    wrong = "a model, an @, and an address that begins with http:// or https:// are needed"
    if match:
        try:
            parts = urlsplit(match["url"])
            if not parts.hostname or parts.port == 0:
                wrong = "the address has no host, or a port that cannot be"
            elif parts.username is not None:
                # It would show in messages and settings.
                raise ModelUnavailableError(
                    "TUTOR_LANGUAGE_MODEL holds a user or password in its address. Put the key in TUTOR_API_KEY, "
                    f"and write it like {_EXAMPLE}."
                )
            elif parts.query or parts.fragment:
                wrong = "the address ends in a query or fragment"
            else:
                return EndpointAddress(match["model"], match["url"].rstrip("/"))
        except ValueError as error:
            wrong = str(error)
    raise ModelUnavailableError(
        f"TUTOR_LANGUAGE_MODEL {setting!r} does not name an endpoint ({wrong}). Expected openai:<model>@<base url>, "
        f"e.g. {_EXAMPLE}."
    )


class EndpointModel:
    """A model behind the chat completions of an OpenAI-compatible endpoint, which alone is ever called.

    Replies are decoded greedily. No failed call is repeated but one that the server refuses as malformed: it goes out again
    without the fields beyond the protocol's core, one after the other, and what was refused is remembered.
    """

    def __init__(
        self,
        address: EndpointAddress,
        *,
        key: SecretStr,
        max_new_tokens: int,
        window_tokens: int,
        read_seconds: float,
    ) -> None:
        """`window_tokens` holds where the endpoint does not tell its own; `read_seconds` is the longest wait for a piece."""
        self.name = address.model
        self._address = address
        self._key = key if key.get_secret_value() else SecretStr(_NO_KEY)
        self._max_new_tokens = max_new_tokens
        self._assumed_window = window_tokens
        self._read_seconds = read_seconds
        self._window: int | None = None
        self._refused: set[str] = set()

    @property
    def window_tokens(self) -> int:
        """What prompt and reply may take together: `max_model_len`, as vLLM and SGLang tell it when first asked, else the setting's.

        Raises ModelUnavailableError where the endpoint is out of reach.
        """
        if self._window is None:
            told = [model.get("max_model_len") for model in self._served() if model.get("id") == self.name]
            self._window = next((size for size in told if isinstance(size, int) and size > 0), self._assumed_window)
        return self._window

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt, estimated: the endpoint's tokenizer is out of reach."""
        return estimated_tokens(messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        """The reply as it comes. `schema` is asked for as a response format, which some servers pass over.

        Raises ModelUnavailableError.
        """
        try:
            yield from stream_reply(lambda: self._reply(messages, schema), stop=stop)
        except ModelUnavailableError:
            raise
        except Exception as error:
            raise ModelUnavailableError(self._trouble(error)) from error

    async def _reply(self, messages: Sequence[Message], schema: Mapping[str, object] | None) -> AsyncIterator[str]:
        import openai
        from langchain_openai import ChatOpenAI
        from langsmith import tracing_context

        # The reply alone is wanted, and within the room there is for it: no thoughts first.
        extras: dict[str, object] = {"chat_template_kwargs": {"enable_thinking": False}}
        if schema is not None:
            form = {"name": "reply", "schema": dict(schema), "strict": True}
            extras["response_format"] = {"type": "json_schema", "json_schema": form}
        extras = {field: value for field, value in extras.items() if field not in self._refused}
        refused: list[str] = []
        # LangSmith's variables, set for other work, must not send conversations there.
        with tracing_context(enabled=False):
            async with openai.DefaultAsyncHttpxClient(**self._connection) as http:
                chat = ChatOpenAI(
                    model=self._address.model,
                    base_url=self._address.url,
                    api_key=self._key,
                    http_async_client=http,
                    openai_proxy=None,
                    timeout=openai.Timeout(self._read_seconds, connect=CONNECT_SECONDS),
                    max_retries=0,
                    temperature=0,
                    use_responses_api=False,
                    stream_chunk_timeout=self._read_seconds,
                )
                while True:
                    try:
                        async for piece in self._pieces(chat, messages, extras):
                            yield piece
                    except (openai.BadRequestError, openai.UnprocessableEntityError):
                        if not extras:
                            raise
                        refused.append(next(iter(extras)))
                        del extras[refused[-1]]
                    else:
                        self._refused.update(refused)
                        return

    async def _pieces(
        self, chat: ChatOpenAI, messages: Sequence[Message], extras: Mapping[str, object]
    ) -> AsyncIterator[str]:
        turns = [(message.role, message.content) for message in messages]
        # `max_tokens` is the older name, which every server knows.
        body = {**extras, "max_tokens": self._max_new_tokens}
        ending = ""
        is_empty = True
        async for chunk in chat.astream(turns, extra_body=body):
            ending = str(chunk.response_metadata.get("finish_reason") or ending)
            if chunk.text:
                is_empty = False
                yield str(chunk.text)
        if not ending:
            raise ModelUnavailableError(
                f"{self._subject} {'sent nothing that is' if is_empty else 'broke off in'} a chat completion. {self._look}"
            )

    def _served(self) -> list[dict[str, Any]]:
        """What the endpoint says it serves; nothing where it does not tell. Raises ModelUnavailableError where it is out of reach."""
        import openai

        with openai.DefaultHttpxClient(**self._connection) as http:
            client = openai.OpenAI(
                base_url=self._address.url,
                api_key=self._key.get_secret_value(),
                http_client=http,
                timeout=CONNECT_SECONDS,
                max_retries=0,
            )
            try:
                told = client.get("/models", cast_to=object)
            except (openai.APITimeoutError, openai.APIStatusError, openai.APIResponseValidationError, ValueError):
                return []
            except openai.APIConnectionError as error:
                raise ModelUnavailableError(self._trouble(error)) from error
        models = told.get("data") if isinstance(told, dict) else None
        return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []

    @property
    def _connection(self) -> dict[str, Any]:
        # Only the address that the user named is called, whatever it answers; on one's own machine without a proxy.
        return {"follow_redirects": False, "trust_env": not self._address.is_loopback}

    @property
    def _subject(self) -> str:
        return f"The endpoint {self._address.url} (model {self.name!r})"

    @property
    def _look(self) -> str:
        return "Look at the server's log, and at TUTOR_LANGUAGE_MODEL; TUTOR_LANGUAGE_MODEL=extractive goes on without one."

    def _trouble(self, error: Exception) -> str:
        """What went wrong, in a line, and what to do."""
        import openai

        if isinstance(error, openai.APITimeoutError | TimeoutError) or "Timeout" in type(error).__name__:
            return (
                f"{self._subject} did not answer in time (connecting {CONNECT_SECONDS:g} s, each piece {self._read_seconds:g} s). "
                "Is it still loading the model? Raise TUTOR_ENDPOINT_SECONDS, or serve a smaller model."
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return f"{self._subject} refused the key (HTTP {error.status_code}). Set TUTOR_API_KEY to the one that it expects."
        if isinstance(error, openai.NotFoundError):
            served = ", ".join(str(model.get("id")) for model in self._served())
            hint = f"It serves: {served}." if served else "Does the address end in /v1? Is the model loaded?"
            return f"{self._subject} knows no such model or path (HTTP 404). {hint} Mend TUTOR_LANGUAGE_MODEL."
        if isinstance(error, openai.APIStatusError):
            return f"{self._subject} answered HTTP {error.status_code}{_said(error)}. {self._look}"
        if isinstance(error, openai.APIConnectionError):
            return (
                f"{self._subject} cannot be reached ({_reason(error)}). Start the server, or mend the address in "
                "TUTOR_LANGUAGE_MODEL; TUTOR_LANGUAGE_MODEL=extractive goes on without one."
            )
        return f"{self._subject} gave no usable answer ({_reason(error)}). {self._look}"


def _said(error: openai.APIStatusError) -> str:
    """The server's own words, where it sent any in the protocol's form, or in FastAPI's."""
    said = (error.body.get("message") or error.body.get("detail")) if isinstance(error.body, dict) else None
    return f" ({' '.join(str(said).split())[:300]})" if said else ""


def _reason(error: BaseException) -> str:
    """The innermost reason: the libraries wrap "Connection refused" in several of their own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300] or type(error).__name__

"""Text from a model: the `LanguageModel` protocol, and transformers models in process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from queue import Empty
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

STREAM_TIMEOUT_SECONDS = 300.0
"""Longest wait for the next piece of text; a large model on a CPU takes minutes for a long prompt."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModel(Protocol):
    """Continues a conversation."""

    @property
    def name(self) -> str:
        """What answers are signed with."""

    def stream(self, messages: Sequence[Message], *, stop: Event | None = None) -> Iterator[str]:
        """The reply in pieces, as it is made. Setting `stop`, or closing the iterator, ends the computation."""


class ModelUnavailableError(RuntimeError):
    """The model cannot be loaded or cannot answer; the message says why and what to do."""


class TransformersModel:
    """A causal language model by hub id (from the local cache; nothing is downloaded) or folder, loaded at first use."""

    def __init__(self, name: str, *, max_new_tokens: int) -> None:
        self.name = name
        self._max_new_tokens = max_new_tokens
        # One generation at a time: two would each take twice as long, and share the memory of none.
        self._turn = Lock()

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        # Without it an unreachable hub is retried for half a minute before the same error.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.name, local_files_only=True)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            model = AutoModelForCausalLM.from_pretrained(self.name, local_files_only=True, dtype="auto")
            model.to(device).eval()  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelUnavailableError(
                f"The language model {self.name!r} cannot be loaded ({reason}). Expected the folder of a transformers model or "
                "the id of one in the local cache. Set TUTOR_LANGUAGE_MODEL=extractive to go on without one."
            ) from error
        if tokenizer.chat_template is None:
            raise ModelUnavailableError(
                f"The language model {self.name!r} has no chat template. Expected an instruction-tuned model."
            )
        return model, tokenizer

    def stream(self, messages: Sequence[Message], *, stop: Event | None = None) -> Iterator[str]:
        """The reply, decoded greedily: the same question gets the same answer. Raises ModelUnavailableError."""
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        with self._turn:
            model, tokenizer = self._loaded
        closed = Event()

        class Halted(StoppingCriteria):
            def __call__(self, *_: Any, **__: Any) -> bool:  # noqa: ANN401 - the signature is the library's
                return closed.is_set() or (stop is not None and stop.is_set())

        turns = [{"role": message.role, "content": message.content} for message in messages]
        prompt = str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
        # The template has written the special tokens already.
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).to(model.device)
        length = int(inputs["input_ids"].shape[1])
        window = getattr(model.config, "max_position_embeddings", None)
        if window and length >= window:
            raise ModelUnavailableError(
                f"The prompt has {length} tokens and {self.name!r} takes {window}. Ask a shorter question, or lower TUTOR_HIT_COUNT."
            )
        room = min(self._max_new_tokens, window - length) if window else self._max_new_tokens
        streamer = TextIteratorStreamer(
            tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=STREAM_TIMEOUT_SECONDS
        )
        failure: list[Exception] = []

        def generate() -> None:
            try:
                model.generate(  # type: ignore[operator]
                    **inputs,
                    streamer=streamer,
                    max_new_tokens=room,
                    do_sample=False,
                    stopping_criteria=StoppingCriteriaList([Halted()]),
                    pad_token_id=tokenizer.pad_token_id
                    if tokenizer.pad_token_id is not None
                    else tokenizer.eos_token_id,
                )
            except Exception as error:
                # Raised again in the consumer's thread, which would wait for ever otherwise.
                failure.append(error)
            finally:
                streamer.end()  # type: ignore[no-untyped-call]

        with self._turn:
            thread = Thread(target=generate, daemon=True)
            thread.start()
            try:
                yield from streamer
            except Empty as error:
                raise ModelUnavailableError(
                    f"The language model {self.name!r} wrote nothing for {STREAM_TIMEOUT_SECONDS:.0f} s. "
                    "Choose a smaller one, or set TUTOR_LANGUAGE_MODEL=extractive."
                ) from error
            finally:
                closed.set()
                thread.join()
        if failure:
            raise ModelUnavailableError(f"The language model {self.name!r} failed ({failure[0]}).") from failure[0]

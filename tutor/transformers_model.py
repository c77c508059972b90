"""Language models of transformers, in this process: any causal model with a chat template, by folder or by hub id from the cache."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Event, RLock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from tutor.decoding import KeptCaches, decode
from tutor.language_model import Message, ModelUnavailableError
from tutor.placement import CACHE_TOKENS, Placement, Precision, Quantization, choose_placement

if TYPE_CHECKING:
    import torch
    from llguidance import LLTokenizer
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

T = TypeVar("T")

_POLL_SECONDS = 0.05
"""How soon a wait notices that it was stopped."""
_JOIN_SECONDS = 1.0
_CHECKPOINT = "Expected the folder of a transformers model or the id of one in the local cache."
_WITHOUT = "Set TUTOR_LANGUAGE_MODEL=extractive to go on without one."


class _StoppedError(Exception):
    """Somebody stopped the reply; unwinds the computation from wherever it is."""


@dataclass(frozen=True)
class _Loaded:
    model: PreTrainedModel
    kept: KeptCaches
    ends: frozenset[int]


class TransformersModel:
    """A causal language model, loaded at first use; nothing is downloaded. One serves many threads, one at a time, in turn."""

    def __init__(
        self, name: str, *, max_new_tokens: int, precision: Precision, quantization: Quantization, draft_tokens: int
    ) -> None:
        self.name = name
        self._max_new_tokens = max_new_tokens
        self._precision = precision
        self._quantization = quantization
        self._draft_tokens = draft_tokens
        # One generation at a time: two would each take twice as long, and share the memory of none.
        self._turns = _Turns()
        self._reading = RLock()
        self._is_stopped: Callable[[], bool] = lambda: False

    @property
    def window_tokens(self) -> int | None:
        """What prompt and reply may take together."""
        return getattr(self._config.get_text_config(), "max_position_embeddings", None)

    @property
    def waiting(self) -> int:
        """Requests that are served before one that comes now."""
        return len(self._turns)

    @property
    def placement(self) -> Placement:
        """Where it runs and what it takes, as told before it was loaded. Raises ModelUnavailableError where it does not fit."""
        with self._reading:
            return self._placement

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt, by the model's own chat template. Raises ModelUnavailableError."""
        return len(self._prompt(messages))

    def stream(
        self,
        messages: Sequence[Message],
        *,
        stop: Event | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> Iterator[str]:
        """The likeliest reply: the same question gets the same answer. With a schema, JSON that follows it.

        Sampling settings that came with the model are not used. Requests are served in the order in which they came; one
        that waits can be stopped too. Raises ModelUnavailableError.
        """
        if not self._turns.wait(stop):
            return
        closed = Event()
        pieces: SimpleQueue[str | Exception | None] = SimpleQueue()

        def work() -> None:
            try:
                self._is_stopped = lambda: closed.is_set() or (stop is not None and stop.is_set())
                for piece in self._reply(messages, schema):
                    pieces.put(piece)
            except _StoppedError:
                pass
            except Exception as error:
                # Raised again in the thread that asked, which would wait for ever otherwise.
                pieces.put(error)
            finally:
                # Here, not where the pieces are read: a reader who went away without a word keeps nobody waiting.
                self._turns.leave()
                pieces.put(None)

        thread = Thread(target=work, name="generate", daemon=True)
        thread.start()
        try:
            while True:
                try:
                    piece = pieces.get(timeout=_POLL_SECONDS)
                except Empty:
                    if stop is not None and stop.is_set():
                        return  # A model that is being loaded is loaded to the end, for whoever asks next.
                    continue
                if piece is None:
                    return
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            closed.set()
            thread.join(_JOIN_SECONDS)

    def _reply(self, messages: Sequence[Message], schema: Mapping[str, object] | None) -> Iterator[str]:
        loaded = self._loaded
        prompt = self._prompt(messages)
        window = self.window_tokens
        if window and len(prompt) >= window:
            raise ModelUnavailableError(
                f"The prompt has {len(prompt)} tokens and {self.name!r} takes {window}. Ask a shorter question, or lower TUTOR_HIT_COUNT."
            )
        text = _Text(self._tokenizer)
        try:
            for tokens in decode(
                loaded.model,
                prompt,
                loaded.kept,
                max_new_tokens=min(self._max_new_tokens, window - len(prompt)) if window else self._max_new_tokens,
                ends=loaded.ends,
                draft_tokens=self._draft_tokens,
                grammar=None if schema is None else self._grammar(schema),
            ):
                if piece := "".join(map(text.add, tokens)):
                    yield piece
            if piece := text.rest():
                yield piece
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise self._failure(error) from error
            loaded.kept.clear()
            raise ModelUnavailableError(
                f"The language model {self.name!r} ran out of memory at a prompt of {len(prompt)} tokens. Lower TUTOR_HIT_COUNT, set "
                "TUTOR_QUANTIZATION=4bit, or choose a smaller model."
            ) from error
        except (TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ModelUnavailableError:
        return ModelUnavailableError(f"The language model {self.name!r} failed ({_first_line(error)}). {_WITHOUT}")

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text = self._apply_template(turns)
        except TemplateError:
            # Some templates know no system turn: what it says goes before the first question.
            first, second, *rest = turns if len(turns) > 1 else [*turns, turns[0]]
            try:
                if first["role"] != "system" or second["role"] != "user":
                    raise
                text = self._apply_template(
                    [{"role": "user", "content": f"{first['content']}\n\n{second['content']}"}, *rest]
                )
            except TemplateError as error:
                raise ModelUnavailableError(
                    f"The chat template of {self.name!r} cannot be used ({_first_line(error)}). {_WITHOUT}"
                ) from error
        # The template has written the special tokens already.
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _apply_template(self, turns: Sequence[Mapping[str, str]]) -> str:
        # A model that can think aloud first would keep the learner waiting; templates without the switch pass over it.
        return str(
            self._tokenizer.apply_chat_template(
                [dict(turn) for turn in turns], add_generation_prompt=True, tokenize=False, enable_thinking=False
            )
        )

    def _grammar(self, schema: Mapping[str, object]) -> _JsonGrammar | None:
        """What holds a reply to the schema; None for a tokenizer that does not tell its vocabulary."""
        return None if self._guide is None else _JsonGrammar(self._guide, schema)

    # Reading from disk, each part when it is first needed

    @property
    def _config(self) -> PretrainedConfig:
        with self._reading:
            return self._read_config

    @property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        with self._reading:
            return self._read_tokenizer

    @cached_property
    def _read_config(self) -> PretrainedConfig:
        # Without it an unreachable hub is retried for half a minute before the same error.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from transformers import AutoConfig

        config: PretrainedConfig = self._read(lambda: AutoConfig.from_pretrained(self.name, local_files_only=True))
        return config

    @cached_property
    def _read_tokenizer(self) -> PreTrainedTokenizerBase:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from transformers import AutoTokenizer

        tokenizer = self._read(lambda: AutoTokenizer.from_pretrained(self.name, local_files_only=True))
        if tokenizer.chat_template is None:
            raise ModelUnavailableError(
                f"The language model {self.name!r} has no chat template. Expected an instruction-tuned model. {_WITHOUT}"
            )
        return tokenizer

    @cached_property
    def _placement(self) -> Placement:
        from transformers.utils.hub import cached_file

        def place() -> Placement:
            file = cached_file(self.name, "config.json", local_files_only=True)
            return choose_placement(
                self.name,
                self._config,
                Path(str(file)).parent,
                precision=self._precision,
                quantization=self._quantization,
            )

        return self._read(place)

    @cached_property
    def _loaded(self) -> _Loaded:
        tokenizer = self._tokenizer
        del tokenizer  # A folder without one is refused before its weights are read.
        placement = self.placement
        import torch
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig, DynamicCache
        from transformers.utils.import_utils import is_flash_attn_2_available
        from transformers.utils.logging import disable_progress_bar

        options: dict[str, Any] = {}
        if placement.quantization != "none":
            self._need_bitsandbytes()
            options = {
                "device_map": {"": placement.device},
                "quantization_config": BitsAndBytesConfig(  # type: ignore[no-untyped-call]
                    load_in_8bit=placement.quantization == "8bit",
                    load_in_4bit=placement.quantization == "4bit",
                    bnb_4bit_quant_type="nf4",
                    bnb_4bit_compute_dtype=getattr(torch, placement.dtype),
                ),
            }
        # Otherwise transformers takes the fused attention of torch (SDPA) where the model has it.
        if placement.device == "cuda" and placement.dtype != "float32" and is_flash_attn_2_available():
            options["attn_implementation"] = "flash_attention_2"

        if not (sys.stderr and sys.stderr.isatty()):
            # In a log or a pipe the bar of the weights is one long line of noise.
            disable_progress_bar()  # type: ignore[no-untyped-call]

        def load() -> PreTrainedModel:
            model: PreTrainedModel
            report: dict[str, set[object]]
            model, report = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
                self.name,
                local_files_only=True,
                dtype=getattr(torch, placement.dtype),
                output_loading_info=True,
                **options,
            )
            if missing := report["missing_keys"] or report["mismatched_keys"]:
                raise ValueError(f"{len(missing)} of its weights are missing, {min(map(str, missing))} among them")
            if placement.quantization == "none":
                model.to(placement.device)  # type: ignore[arg-type]
            model.eval()  # type: ignore[no-untyped-call]
            return model

        model = self._read(load)
        for module in model.modules():
            # Every computation passes here often enough to end within a second, in the middle of a long prompt too.
            if isinstance(module, torch.nn.Linear):
                module.register_forward_pre_hook(self._go_on)
        ends = model.generation_config.eos_token_id if model.generation_config else None
        return _Loaded(
            model,
            KeptCaches(lambda: DynamicCache(config=model.config), max_tokens=CACHE_TOKENS),
            frozenset([ends] if isinstance(ends, int) else ends or []),
        )

    @cached_property
    def _guide(self) -> LLTokenizer | None:
        from llguidance.hf import from_tokenizer
        from transformers import PreTrainedTokenizerFast

        tokenizer = self._tokenizer
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            return None
        return from_tokenizer(tokenizer, n_vocab=self._config.get_text_config().vocab_size)

    def _go_on(self, *_: object) -> None:
        if self._is_stopped():
            raise _StoppedError

    def _need_bitsandbytes(self) -> None:
        try:
            import accelerate  # noqa: F401
            import bitsandbytes  # noqa: F401
        except ImportError as error:
            raise ModelUnavailableError(
                f"TUTOR_QUANTIZATION={self._quantization} needs bitsandbytes. Install it: pip install 'interview-tutor[quantized]'"
            ) from error

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except ModelUnavailableError:
            raise
        except Exception as error:
            # What a broken folder raises depends on where the library stumbles over it.
            raise ModelUnavailableError(
                f"The language model {self.name!r} cannot be loaded ({_first_line(error)}). {_CHECKPOINT} {_WITHOUT}"
            ) from error


class _Turns:
    """First come, first served, for what one can have at a time; who waits can give up."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._queue: deque[object] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def wait(self, stop: Event | None) -> bool:
        """Wait for one's turn; False where `stop` was set before it came."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            while self._queue[0] is not ticket:
                if stop is not None and stop.is_set():
                    self._queue.remove(ticket)
                    return False
                self._changed.wait(_POLL_SECONDS)
        return True

    def leave(self) -> None:
        """End the turn of whoever has it."""
        with self._changed:
            self._queue.popleft()
            self._changed.notify_all()


class _Text:
    """Tokens as text, in whole characters: bytes of one that is not complete wait for the rest."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._context = self._read = 0

    def add(self, token: int) -> str:
        self._tokens.append(token)
        return self._take(whole=True)

    def rest(self) -> str:
        """What is left when no token follows."""
        return self._take(whole=False)

    def _take(self, *, whole: bool) -> str:
        # A tokenizer may write a token otherwise at the start of a text, so the piece before is decoded along.
        before = self._decode(self._tokens[self._context : self._read])
        now = self._decode(self._tokens[self._context :])
        if len(now) <= len(before) or (whole and now.endswith("\ufffd")):
            return ""
        self._context, self._read = self._read, len(self._tokens)
        return now[len(before) :].replace("\ufffd", "")

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))


class _JsonGrammar:
    """Holds a reply to a JSON Schema, by llguidance."""

    def __init__(self, tokenizer: LLTokenizer, schema: Mapping[str, object]) -> None:
        from llguidance import LLMatcher

        # Free white space lets a small model write blanks for ever.
        rigid = {**schema, "x-guidance": {"whitespace_flexible": False}}
        self._matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(rigid)))
        if error := self._matcher.get_error():
            raise ValueError(f"The schema cannot be followed: {error}")

    def choose(self, logits: torch.Tensor) -> int:
        import numpy as np
        import torch

        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = torch.from_numpy(np.unpackbits(bits, bitorder="little")[: len(logits)].astype(bool))
        token = int(logits.masked_fill(~allowed.to(logits.device), float("-inf")).argmax())
        self._matcher.consume_token(token)
        return token

    @property
    def is_complete(self) -> bool:
        return bool(self._matcher.is_stopped())


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

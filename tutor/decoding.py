"""Greedy decoding that computes nothing twice: caches of earlier prompts, and drafts looked up in the prompt. Knows no text.

`generate()` of transformers would feed a prompt whole where prompt lookup meets a filled cache, so the loop is our own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache, PreTrainedModel

PREFILL_TOKENS = 512
"""Tokens of a prompt that are computed at once: enough to fill a processor, few enough to bound the memory for it."""
_REPEATS = 4
_REPEATED_TOKENS = 96
_LONGEST_PERIOD = 64
_LOOKUP_SIZES = (3, 2)


class Grammar(Protocol):
    """Holds a reply to a form."""

    def choose(self, logits: torch.Tensor) -> int:
        """The likeliest token that the form allows next; it counts as said."""

    @property
    def is_complete(self) -> bool:
        """Whether the form allows nothing more."""


def decode(
    model: PreTrainedModel,
    prompt: Sequence[int],
    kept: KeptCaches,
    *,
    max_new_tokens: int,
    ends: frozenset[int],
    draft_tokens: int,
    grammar: Grammar | None = None,
) -> Iterator[list[int]]:
    """The likeliest reply, a few tokens at a time; after an end token, or where the reply turns in a circle, no more.

    At most `draft_tokens` are guessed from what followed the same words before and checked all at once, which is no slower
    than computing one and changes nothing: only what the model would have said itself is kept. A reply under a `grammar`
    is not guessed.
    """
    import torch

    cache, held = kept.take(prompt)
    tokens, said = list(prompt), 0
    lookup = _Lookup()
    lookup.add(tokens)
    # Recurrent layers cannot go on from a state with several tokens at once, nor back.
    chunk = PREFILL_TOKENS if _is_attention(cache) else len(tokens)
    longest = draft_tokens if _can_crop(cache) and grammar is None else 0
    guessed = longest

    def logits_of(fed: Sequence[int], count: int) -> torch.Tensor:
        with torch.inference_mode():
            output = model(
                input_ids=torch.tensor([fed], device=model.device), past_key_values=cache, logits_to_keep=count
            )
            return torch.as_tensor(output.logits)[0, -count:]

    try:
        while len(tokens) - held > chunk:
            logits_of(tokens[held : held + chunk], 1)
            held += chunk
        while said < max_new_tokens:
            draft = lookup.continuation(min(guessed, max_new_tokens - said - 1))
            logits = logits_of(tokens[held:] + draft, len(draft) + 1)
            held = len(tokens)
            chosen = [grammar.choose(logits[0])] if grammar else logits.argmax(-1).tolist()
            right = next((i for i, token in enumerate(draft) if token != chosen[i]), len(draft))
            new = chosen[: right + 1]
            new = new[: next((i + 1 for i, token in enumerate(new) if token in ends), len(new))]
            if draft:
                held += min(right, len(new))
                cache.crop(min(right, len(new)) - len(draft))
                # Where guesses fail, fewer are made: on a processor without room to spare each costs time.
                guessed = min(longest, 2 * right + 2)
            tokens += new
            said += len(new)
            lookup.add(new)
            yield new
            if new[-1] in ends or (grammar and grammar.is_complete) or turns_in_a_circle(tokens[-said:]):
                return
    finally:
        kept.keep(tokens[:held], cache)


def turns_in_a_circle(tokens: Sequence[int]) -> bool:
    """Whether the end of a reply is the same few tokens again and again, from which greedy decoding never returns."""
    for period in range(1, _LONGEST_PERIOD + 1):
        length = max(_REPEATS * period, _REPEATED_TOKENS)
        tail = tokens[-length:]
        if len(tail) == length and tail[period:] == tail[:-period]:
            return True
    return False


class _Lookup:
    """What came after each few tokens the last time they stood in the text.

    Prompt lookup decoding: github.com/apoorvumang/prompt-lookup-decoding.
    """

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}

    def add(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            for size in _LOOKUP_SIZES:
                if len(self._tokens) >= size:
                    self._next[tuple(self._tokens[-size:])] = len(self._tokens)
            self._tokens.append(token)

    def continuation(self, count: int) -> list[int]:
        for size in _LOOKUP_SIZES:
            start = self._next.get(tuple(self._tokens[-size:]))
            if start is not None:
                return self._tokens[start : start + count]
        return []


@dataclass(frozen=True)
class _Kept:
    tokens: tuple[int, ...]
    cache: DynamicCache

    def shared(self, prompt: Sequence[int]) -> int:
        """How many tokens from the start are the same."""
        pairs = enumerate(zip(self.tokens, prompt, strict=False))
        return next((i for i, (ours, theirs) in pairs if ours != theirs), min(len(self.tokens), len(prompt)))


class KeptCaches:
    """Keys and values of the last conversations: what a prompt shares with one of them is not computed again."""

    def __init__(self, new: Callable[[], DynamicCache], *, max_tokens: int) -> None:
        """`max_tokens` are kept in all; the conversation that was used last is kept in any case."""
        self._new = new
        self._max_tokens = max_tokens
        self._kept: list[_Kept] = []

    def take(self, prompt: Sequence[int]) -> tuple[DynamicCache, int]:
        """A cache to continue, and how many tokens of the prompt it holds: at least one is left to compute."""
        best = max(self._kept, key=lambda kept: kept.shared(prompt), default=None)
        if best is None:
            return self._new(), 0
        shared = min(best.shared(prompt), len(prompt) - 1)
        if shared == len(best.tokens):
            self._kept.remove(best)
            return best.cache, shared
        if shared == 0 or not _can_crop(best.cache):
            return self._new(), 0
        if 2 * shared > len(best.tokens):
            self._kept.remove(best)  # The same conversation, which has moved on.
        # Tensors are shared, not copied: a layer that grows makes new ones.
        cache = copy.copy(best.cache)
        cache.layers = [copy.copy(layer) for layer in best.cache.layers]
        cache.crop(shared - len(best.tokens))
        return cache, shared

    def keep(self, tokens: Sequence[int], cache: DynamicCache) -> None:
        """Keep what was computed for these tokens; what the cache holds beyond them is dropped."""
        if not tokens or not _is_attention(cache):
            return
        from transformers.cache_utils import DynamicLayer

        for layer in (layer for layer in cache.layers if isinstance(layer, DynamicLayer)):
            # A computation that was stopped has reached some layers only.
            beyond = int(layer.get_seq_length()) - len(tokens)
            if beyond > 0 and _can_crop(cache):
                layer.crop(-beyond)
            elif beyond:
                return
        self._kept.append(_Kept(tuple(tokens), cache))
        while len(self._kept) > 1 and sum(len(kept.tokens) for kept in self._kept) > self._max_tokens:
            del self._kept[0]

    def clear(self) -> None:
        """Give all memory back."""
        self._kept.clear()


def _is_attention(cache: DynamicCache) -> bool:
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    return all(type(layer) in {DynamicLayer, DynamicSlidingWindowLayer} for layer in cache.layers)


def _can_crop(cache: DynamicCache) -> bool:
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in cache.layers)

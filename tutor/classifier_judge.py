"""A local classifier as a judge of grounding: an NLI cross-encoder, or a detector of hallucinated tokens. From disk alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tutor.judgements import JudgeError, Judgement

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_SUPPORTS = ("entail", "support", "consistent", "factual", "faithful", "grounded")
_CONTRADICTS = ("contradict", "refut")
_INVENTED = ("hallucinat", "unsupported", "inconsistent", "invented")
_BATCH = 16
_MOST_TOKENS = 4096
_SHARED = 64
"""Tokens that two windows of a long passage have in common."""


class _Loaded(NamedTuple):
    model: Any
    tokenizer: Any
    window: int
    """Tokens that it reads at once."""


class ClassifierJudge:
    """A transformers model by hub id (from the local cache; nothing is downloaded) or folder.

    A sequence classifier reads a passage and a sentence; the passage, or the part of a long one, that supports the sentence
    best counts. Which label means support is read from the names in its configuration (`entailment`, `supported` …); of two
    labels without a name the second does, as in MiniCheck (Tang et al. 2024). A token classifier reads the passages with the
    whole answer, as LettuceDetect (Kovács and Recski 2025); a sentence is as supported as its least supported token.
    """

    def __init__(self, model: str) -> None:
        self._model = model

    @staticmethod
    def can_be(model: str) -> bool:
        """Whether a model that is here is a classifier; False for any other, and for one that is not here."""
        try:
            architectures = _read_config(model).architectures or []
        except (OSError, ValueError):
            return False
        return any(name.endswith(("ForSequenceClassification", "ForTokenClassification")) for name in architectures)

    @property
    def name(self) -> str:
        """The model, and which state of it: the commit in the cache, or when its folder was last changed."""
        folder = Path(self._model)
        if folder.is_dir():
            state = str(max(file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()))
        else:
            state = str(getattr(self._config, "_commit_hash", ""))
        return f"{self._model} {state}".strip()

    def judge(
        self, question: str, passages: Sequence[str], answer: str, sentences: Sequence[tuple[int, int]]
    ) -> list[Judgement]:
        """As GroundingJudge. Raises JudgeError where the model cannot be loaded, or its labels not be told apart."""
        if self._reads_tokens:
            return self._by_token(question, passages, answer, sentences)
        return [self._by_pair(passages, answer[start:end]) for start, end in sentences]

    def _by_pair(self, passages: Sequence[str], sentence: str) -> Judgement:
        import torch

        model, tokenizer, window = self._loaded
        supports, contradicts = self._pair_labels
        length = len(tokenizer(sentence)["input_ids"])
        if length > window // 2:
            return Judgement.unreadable(f"the sentence has {length} tokens, and the model reads {window} of both")
        pieces = tokenizer(
            list(passages),
            [sentence] * len(passages),
            truncation="only_first",
            max_length=window,
            stride=min(_SHARED, window // 8),
            return_overflowing_tokens=True,
            padding=True,
            return_tensors="pt",
        )
        inputs = {name: pieces[name] for name in tokenizer.model_input_names if name in pieces}
        chances = []
        with torch.inference_mode():
            for start in range(0, len(pieces["input_ids"]), _BATCH):
                logits = model(**{name: rows[start : start + _BATCH] for name, rows in inputs.items()}).logits.float()
                chances.append(torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1))
        found = torch.cat(chances)
        best = found[int(torch.nan_to_num(found[:, supports], nan=-1.0).argmax())]
        is_denied = contradicts is not None and int(best.argmax()) == contradicts
        return Judgement.of(float(best[supports]), contradicts=is_denied)

    def _by_token(
        self, question: str, passages: Sequence[str], answer: str, sentences: Sequence[tuple[int, int]]
    ) -> list[Judgement]:
        import torch

        model, tokenizer, window = self._loaded
        length = len(tokenizer(answer)["input_ids"])
        if length > window // 2:
            reason = f"the answer has {length} tokens, and the model reads {window} of both"
            return [Judgement.unreadable(reason) for _ in sentences]
        given = "\n".join(f"passage {number}: {text}" for number, text in enumerate(passages, start=1))
        read = tokenizer(
            f"{question}\n{given}" if question else given,
            answer,
            truncation="only_first",
            max_length=window,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        inputs = {name: read[name] for name in tokenizer.model_input_names if name in read}
        with torch.inference_mode():
            invented = torch.softmax(model(**inputs).logits[0].float(), dim=1)[:, self._invented_label]
        places = [
            (int(start), int(end), float(chance))
            for (start, end), part, chance in zip(
                read["offset_mapping"][0].tolist(), read.sequence_ids(0), invented.tolist(), strict=True
            )
            if part == 1 and end > start
        ]
        judgements = []
        for first, last in sentences:
            inside = [chance for start, end, chance in places if start < last and end > first]
            # The largest of numbers of which one is none depends on their order.
            worst = next((chance for chance in inside if chance != chance), max(inside, default=float("nan")))  # noqa: PLR0124
            judgements.append(Judgement.of(1 - worst))
        return judgements

    @cached_property
    def _config(self) -> PretrainedConfig:
        try:
            return _read_config(self._model)
        except (OSError, ValueError) as error:
            raise self._failure(error) from error

    @property
    def _reads_tokens(self) -> bool:
        return any(name.endswith("ForTokenClassification") for name in self._config.architectures or [])

    @cached_property
    def _names(self) -> dict[int, str]:
        return {int(number): str(name).lower() for number, name in (self._config.id2label or {}).items()}

    @cached_property
    def _pair_labels(self) -> tuple[int, int | None]:
        """Which label means support, and which, if any, the opposite."""
        if len(self._names) == 1:
            return 0, None
        supports = [number for number, name in self._names.items() if name.startswith(_SUPPORTS)]
        contradicts = [number for number, name in self._names.items() if name.startswith(_CONTRADICTS)]
        if not supports and self._has_two_nameless:
            supports = [1]
        if len(supports) != 1:
            raise self._label_failure("one called entailment or supported")
        return supports[0], contradicts[0] if contradicts else None

    @cached_property
    def _invented_label(self) -> int:
        invented = [number for number, name in self._names.items() if name.startswith(_INVENTED)]
        if not invented and self._has_two_nameless:
            invented = [1]
        if len(invented) != 1:
            raise self._label_failure("one called hallucinated or unsupported")
        return invented[0]

    @property
    def _has_two_nameless(self) -> bool:
        return sorted(self._names.values()) == ["label_0", "label_1"]

    def _label_failure(self, expected: str) -> JudgeError:
        names = ", ".join(self._names.values())
        return JudgeError(
            f"The judge {self._model!r} has the labels {names}. Expected {expected}, or two without a name."
        )

    @cached_property
    def _loaded(self) -> _Loaded:
        from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        # The bar of the weights would run across the bar of the cases.
        disable_progress_bar()  # type: ignore[no-untyped-call]
        kind = AutoModelForTokenClassification if self._reads_tokens else AutoModelForSequenceClassification
        try:
            tokenizer = AutoTokenizer.from_pretrained(self._model, local_files_only=True)
            model = kind.from_pretrained(self._model, local_files_only=True).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise self._failure(error) from error
        # A tokenizer that knows no limit gives an enormous one; RoBERTa counts two positions that no token has.
        positions = int(getattr(self._config, "max_position_embeddings", 0) or _MOST_TOKENS)
        spare = 2 if self._config.model_type in {"roberta", "xlm-roberta", "camembert"} else 0
        return _Loaded(model, tokenizer, min(tokenizer.model_max_length, positions - spare, _MOST_TOKENS))

    def _failure(self, error: Exception) -> JudgeError:
        return JudgeError(
            f"The judge {self._model!r} cannot be loaded ({str(error).splitlines()[0]}). Expected the folder of a classifier or of a "
            "language model, the id of one in the local cache, or openai:<model>@<base url>."
        )


def _read_config(model: str) -> PretrainedConfig:
    # Without it an unreachable hub is retried for over a minute before the same error.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers import AutoConfig

    config: PretrainedConfig = AutoConfig.from_pretrained(model, local_files_only=True)
    return config

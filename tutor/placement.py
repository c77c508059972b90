"""Where and how precisely a language model runs, and whether it fits: told from its config before any weight is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tutor.language_model import ModelUnavailableError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Precision = Literal["auto", "float32", "float16", "bfloat16"]
Quantization = Literal["none", "8bit", "4bit"]
CACHE_TOKENS = 8_192
"""Tokens of conversations whose keys and values are kept; room for them is reserved."""
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# nf4 takes half a byte and a float32 scale for each 64 weights.
_QUANTIZED_BYTES = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}


@dataclass(frozen=True)
class Placement:
    """A device, a number format, and the memory that it takes; sizes in bytes."""

    device: Literal["cuda", "mps", "cpu"]
    dtype: str
    quantization: Quantization
    weight_bytes: int
    cache_bytes: int
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        """Of weights and cache together."""
        return self.weight_bytes + self.cache_bytes

    @property
    def fits(self) -> bool:
        """Whether there is room."""
        return self.needed_bytes <= self.free_bytes

    def __str__(self) -> str:
        form = self.dtype if self.quantization == "none" else f"{self.quantization} and {self.dtype}"
        memory = "memory" if self.device == "cpu" else "GPU memory"
        return (
            f"{self.device}, {form}, needs {_gigabytes(self.needed_bytes)} ({_gigabytes(self.weight_bytes)} of weights) "
            f"of {_gigabytes(self.free_bytes)} free {memory}"
        )


def choose_placement(
    name: str, config: PretrainedConfig, folder: Path, *, precision: Precision, quantization: Quantization
) -> Placement:
    """The fastest placement with room for the model. Raises ModelUnavailableError where there is none."""
    candidates = [
        Placement(
            device,
            dtype,
            quantization,
            weight_bytes=_weight_bytes(config, folder, dtype, quantization),
            cache_bytes=_cache_bytes(config, dtype),
            free_bytes=free_bytes(device),
        )
        for device, dtype in _choices(precision)
    ]
    for candidate in candidates:
        if candidate.fits:
            return candidate
    raise ModelUnavailableError(
        f"The language model {name!r} is too large: {'; '.join(map(str, candidates))}. Set TUTOR_QUANTIZATION=4bit if it is not, "
        "choose a smaller model, or one behind an endpoint."
    )


def _choices(precision: Precision) -> Iterator[tuple[Literal["cuda", "mps", "cpu"], str]]:
    """Devices and formats, the fastest first."""
    import torch

    if torch.cuda.is_available():
        half = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        yield "cuda", half if precision == "auto" else precision
    elif torch.backends.mps.is_available():
        yield "mps", "float16" if precision == "auto" else precision
    if precision != "auto":
        yield "cpu", precision
        return
    # Elsewhere a CPU computes bfloat16 by way of float32; it is slower, and the last resort.
    if not any(torch.cpu.get_capabilities().get(flag) for flag in ("avx512_bf16", "amx_bf16", "bf16")):
        yield "cpu", "float32"
    yield "cpu", "bfloat16"


def free_bytes(device: Literal["cuda", "mps", "cpu"]) -> int:
    """Memory that a model could take on the device now."""
    import psutil
    import torch

    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    # A container may have less than its machine (control groups, version 2).
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.stat")
    try:
        allowed = limit.read_text(encoding="ascii").strip()
        taken = next(line for line in used.read_text(encoding="ascii").splitlines() if line.startswith("anon "))
    except (OSError, StopIteration):
        return free
    return free if allowed == "max" else min(free, int(allowed) - int(taken.split()[1]))


def _weight_bytes(config: PretrainedConfig, folder: Path, dtype: str, quantization: Quantization) -> int:
    import torch
    from transformers import AutoModelForCausalLM

    if getattr(config, "quantization_config", None):
        return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    # The whole model without its weights: shapes alone.
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    parameters: int = sum(weight.numel() for weight in model.parameters())
    quantized: int = 0
    if quantization != "none":
        kept = model.get_output_embeddings()
        quantized = sum(
            module.weight.numel()
            for module in model.modules()
            if isinstance(module, torch.nn.Linear) and module is not kept
        )
    whole: int = (parameters - quantized) * _BYTES[dtype]
    return whole + math.ceil(quantized * _QUANTIZED_BYTES.get(quantization, 0))


def _cache_bytes(config: PretrainedConfig, dtype: str) -> int:
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    # A key and a value in every layer.
    return int(2 * text.num_hidden_layers * heads * width) * CACHE_TOKENS * _BYTES[dtype]


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"

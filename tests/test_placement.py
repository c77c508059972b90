"""Where a model runs and whether it fits, told before its weights are read; on a real small model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from small_models import make_model, make_tokenizer, save
from transformers import AutoConfig, DynamicCache, Qwen3ForCausalLM

from tutor import placement
from tutor.language_model import Message, ModelUnavailableError
from tutor.placement import CACHE_TOKENS, Placement, choose_placement
from tutor.transformers_model import TransformersModel


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    return make_model(make_tokenizer("Dropout zeroes activations."))


@pytest.fixture(scope="module")
def folder(model: Qwen3ForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model, make_tokenizer("Dropout zeroes activations."), tmp_path_factory.mktemp("models") / "small")


def placed(folder: Path, *, precision: str = "auto", quantization: str = "none") -> Placement:
    config = AutoConfig.from_pretrained(folder)
    return choose_placement("small", config, folder, precision=precision, quantization=quantization)


def flags(monkeypatch: pytest.MonkeyPatch, **has: bool) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: has)


def test_weights_and_cache_take_what_the_config_tells(folder: Path, model: Qwen3ForCausalLM):
    found = placed(folder, precision="float32")
    cache = DynamicCache(config=model.config)
    model(input_ids=torch.zeros((1, 16), dtype=torch.long), past_key_values=cache)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)

    assert found.weight_bytes == sum(weight.nbytes for weight in model.parameters())
    assert found.cache_bytes == held / 16 * CACHE_TOKENS
    assert found.needed_bytes == found.weight_bytes + found.cache_bytes


@pytest.mark.parametrize(
    ("has", "dtype"), [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({}, "float32")]
)
def test_a_cpu_computes_in_bfloat16_where_it_can(
    folder: Path, monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], dtype: str
):
    flags(monkeypatch, **has)

    assert (placed(folder).device, placed(folder).dtype) == ("cpu", dtype)


def test_half_the_memory_is_better_than_none(folder: Path, monkeypatch: pytest.MonkeyPatch):
    flags(monkeypatch)
    needed = placed(folder).needed_bytes
    monkeypatch.setattr(placement, "free_bytes", lambda _device: needed - 1)

    assert placed(folder).dtype == "bfloat16"


def test_the_gpu_is_taken_where_the_model_fits_and_the_cpu_where_it_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: True)
    free = {"cuda": 10**9, "cpu": 10**9}
    monkeypatch.setattr(placement, "free_bytes", free.__getitem__)
    assert (placed(folder).device, placed(folder).dtype) == ("cuda", "bfloat16")

    free["cuda"] = 1000
    assert placed(folder).device == "cpu"


def test_a_model_larger_than_memory_is_refused_before_it_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(placement, "free_bytes", lambda _device: 100_000)
    unread = shutil.copytree(folder, tmp_path / "unread")
    (unread / "model.safetensors").unlink()
    model = TransformersModel(str(unread), max_new_tokens=8, precision="float32", quantization="none", draft_tokens=0)

    with pytest.raises(
        ModelUnavailableError,
        match=r"too large: cpu, float32, needs [\d.]+ MB .* of 0\.1 MB free memory.*4bit.*endpoint",
    ):
        list(model.stream([Message("user", "What is dropout?")]))


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_quantized_weights_take_less(folder: Path, quantization: str):
    assert placed(folder, quantization=quantization).weight_bytes < placed(folder).weight_bytes


def test_a_checkpoint_that_is_quantized_already_is_counted_by_its_files(folder: Path, tmp_path: Path):
    quantized = shutil.copytree(folder, tmp_path / "quantized")
    config = json.loads((quantized / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    (quantized / "config.json").write_text(json.dumps(config))

    assert placed(quantized).weight_bytes == (quantized / "model.safetensors").stat().st_size


def test_free_memory_is_no_more_than_the_machine_has():
    import psutil

    assert 0 < placement.free_bytes("cpu") <= psutil.virtual_memory().total

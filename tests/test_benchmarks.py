from __future__ import annotations

import importlib.util
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from small_models import make_model, make_tokenizer

FOLDER = Path(__file__).parent.parent / "benchmarks"


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"{name}_benchmark", FOLDER / f"{name}.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load("retrieval")


def test_the_passages_are_the_same_every_time(benchmark: ModuleType):
    passages, again = benchmark.Synthetic(300).chunks(), benchmark.Synthetic(300).chunks()

    assert passages == again
    assert len({passage.id for passage in passages}) == 300
    assert all(len(passage.text.split()) == benchmark.PASSAGE_WORDS for passage in passages)
    assert benchmark.Synthetic(300).questions(passages) == benchmark.Synthetic(300).questions(again)


def test_our_search_is_measured_and_reported_without_the_other_libraries(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(benchmark, "QUERIES", 5)
    chunks = benchmark.Synthetic(100).chunks()
    result: dict[str, Any] = {"passages": 100, "load_before": 1.0, "load_after": 2.0, "stages": {}}

    benchmark._ours(result, chunks, benchmark.Synthetic(100).questions(chunks), tmp_path)
    page = benchmark.report([{**result, "langchain": {"passages_per_second": 50.0}, "times_langchain": 60.0}])

    assert result["search"] == "exact search: 100 passages, under 50,000"
    assert {"embedding passages", "indexing keywords", "saving"} <= set(result["stages"])
    assert all(figures["p50_ms"] >= 0 for figures in result["queries"].values())
    assert result["opened"]["seconds"] > 0
    assert "| 100 | 50 | 60 | – |" in page


def test_generation_is_measured_on_the_same_replies_and_reported():
    measured = load("generation")
    tokenizer = make_tokenizer("Dropout zeroes activations.")
    model = make_model(tokenizer).eval()
    turns = [[turn] for turn in ({"role": "user", "content": "What is dropout?"}, {"role": "user", "content": "Why?"})]

    found = measured.measure(model, tokenizer, turns, max_new_tokens=8, repeats=1, clock=time.perf_counter)
    page = measured.report(
        {
            "model": "small",
            "parameters": 1e6,
            "dtype": "float32",
            "device": "CPU",
            "max_new_tokens": 8,
            "repeats": 1,
            "seconds": "on the wall",
            "conversations": {"As the tutor asks": [asdict(turn) for turn in found]},
            "cost_of_drafts": measured.cost_of_drafts(model, time.perf_counter, context=8, repeats=2),
            "machine": "x86_64",
            "load_before": 1.0,
            "load_after": 1.0,
        }
    )

    assert [turn.same_tokens for turn in found] == [True, True]
    assert f"| 1 | {found[0].prompt_tokens} | 0 | " in page
    assert page.count("| yes |") == 2

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parent.parent / "benchmarks" / "retrieval.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    specification = importlib.util.spec_from_file_location("retrieval_benchmark", FILE)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


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

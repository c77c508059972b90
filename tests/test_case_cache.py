"""Judgements on disk: kept whole, told apart, and made again where they cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from evals import case_cache
from evals.case_cache import CaseCache, code_version


@pytest.fixture
def count() -> Callable[[], Mapping[str, int]]:
    """A judge that says how often it was asked."""
    asked = 0

    def judge() -> Mapping[str, int]:
        nonlocal asked
        asked += 1
        return {"asked": asked}

    return judge


def test_what_was_judged_is_not_judged_again(tmp_path: Path, count: Callable[[], Mapping[str, int]]):
    assert CaseCache(tmp_path, ("a",)).judged(["x", 1], count) == {"asked": 1}
    assert CaseCache(tmp_path, ("a",)).judged(["x", 1], count) == {"asked": 1}


def test_other_content_and_another_judge_are_others(tmp_path: Path, count: Callable[[], Mapping[str, int]]):
    CaseCache(tmp_path, ("a",)).judged(["x", 1], count)

    assert CaseCache(tmp_path, ("a",)).judged(["x", 2], count) == {"asked": 2}
    assert CaseCache(tmp_path, ("b",)).judged(["x", 1], count) == {"asked": 3}


def test_a_fresh_run_judges_anew_and_what_it_says_is_kept(tmp_path: Path, count: Callable[[], Mapping[str, int]]):
    CaseCache(tmp_path, ()).judged("x", count)

    assert CaseCache(tmp_path, (), fresh=True).judged("x", count) == {"asked": 2}
    assert CaseCache(tmp_path, ()).judged("x", count) == {"asked": 2}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_damaged_file_is_judged_and_written_anew(
    tmp_path: Path, count: Callable[[], Mapping[str, int]], damage: bytes
):
    CaseCache(tmp_path, ()).judged("x", count)
    [file] = tmp_path.rglob("*.json")
    file.write_bytes(damage)

    assert CaseCache(tmp_path, ()).judged("x", count) == {"asked": 2}
    assert CaseCache(tmp_path, ()).judged("x", count) == {"asked": 2}


def test_a_break_while_judging_leaves_what_was_judged_and_no_half_of_a_file(
    tmp_path: Path, count: Callable[[], Mapping[str, int]]
):
    def broken() -> Mapping[str, int]:
        raise KeyboardInterrupt

    cache = CaseCache(tmp_path, ())
    cache.judged("x", count)
    with pytest.raises(KeyboardInterrupt):
        cache.judged("y", broken)

    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 1
    assert cache.judged("x", count) == {"asked": 1}


def test_a_judgement_that_is_not_final_is_not_kept(tmp_path: Path):
    cache = CaseCache(tmp_path / "cache", ())

    assert cache.judged("x", lambda: {"is_final": False, "score": 1})["score"] == 1
    assert not (tmp_path / "cache").exists()


def test_a_change_of_code_or_weights_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    room = tmp_path / "room"
    (room / "guides").mkdir(parents=True)
    (room / "grader.py").write_text("x = 1")
    package = type(case_cache)("room")
    package.__path__ = [str(room)]
    monkeypatch.setattr(case_cache, "_ROOMS", (package,))

    def now() -> str:
        code_version.cache_clear()
        return code_version()

    first = now()
    (room / "guides" / "losses.md").write_text("a guide is no code")
    assert now() == first
    (room / "grader.py").write_text("x = 2")
    assert now() != first
    code_version.cache_clear()

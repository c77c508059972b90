from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub.constants
import pytest

from tutor.language_model import Message
from tutor.model_catalog import CATALOGUE
from ui.cli import main
from ui.models_cli import CHECK_QUESTIONS, TimedModel

if TYPE_CHECKING:
    from tests.conftest import ScriptedEndpoint

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command in this process, beside an empty cache of the hub, and gives its status and what it printed."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("TUTOR_DEBUG", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def add_to_cache(folder: Path, name: str) -> None:
    """Put a model's files where the hub's library would."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = folder / f"models--{name.replace('/', '--')}"
    (place / "snapshots" / commit).mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    for file in ("config.json", "model.safetensors"):
        (place / "snapshots" / commit / file).write_text("{}")


def test_list_shows_what_a_model_takes_and_whether_it_fits(run: Run):
    status, out, _ = run("models")

    assert status == 0
    line = next(line for line in out.splitlines() if line.startswith("Qwen/Qwen3-0.6B"))
    assert line.split() == [
        "Qwen/Qwen3-0.6B",
        "0.6",
        "B",
        "Apache-2.0",
        "32k",
        "1.4",
        "GB",
        "0.4",
        "GB",
        *line.split()[9:],
    ]
    assert "In use (TUTOR_LANGUAGE_MODEL): extractive" in out
    assert len([line for line in out.splitlines() if "/" in line.split(" ")[0]]) == len(CATALOGUE)


def test_list_marks_what_is_here_and_what_is_in_use(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    add_to_cache(tmp_path / "hub", "Qwen/Qwen3-1.7B")
    add_to_cache(tmp_path / "hub", "some-lab/tiny-instruct")
    monkeypatch.setenv("TUTOR_LANGUAGE_MODEL", "Qwen/Qwen3-1.7B")

    _, out, _ = run("models")

    marked = [line for line in out.splitlines() if line.rstrip().endswith(("here", "in use"))]
    assert [line.split()[0] for line in marked] == ["Qwen/Qwen3-1.7B"]
    assert marked[0].rstrip().endswith("in use, here")
    assert "Also in the cache: some-lab/tiny-instruct" in out


def test_list_as_json_is_for_programs(run: Run, tmp_path: Path):
    add_to_cache(tmp_path / "hub", "Qwen/Qwen3-1.7B")

    record = json.loads(run("models", "--json")[1])

    assert set(record) == {"version", "catalogue_date", "in_use", "machine", "models", "other_cached"}
    assert [row["id"] for row in record["models"]] == [model.id for model in CATALOGUE]
    assert [row["id"] for row in record["models"] if row["cached"]] == ["Qwen/Qwen3-1.7B"]
    assert all(row["fits"] in {"bf16", "4-bit", None} for row in record["models"])
    assert record["machine"]["ram_gb"] > 0


def test_pull_says_in_one_line_that_the_hub_must_not_be_called(run: Run):
    status, out, err = run("models", "pull", "qwen3-0.6b")

    assert (status, out) == (1, "")
    assert err.startswith("tutor: HF_HUB_OFFLINE")
    assert len(err.splitlines()) == 1


def test_pull_of_a_hub_out_of_reach_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")

    status, _, err = run("models", "pull", "Qwen/Qwen3-0.6B")

    assert status == 1
    assert "'Qwen/Qwen3-0.6B' cannot be fetched from http://127.0.0.1:9" in err
    assert len(err.splitlines()) == 1


def test_mistyped_model_names_the_nearest(run: Run):
    status, _, err = run("models", "pull", "qwen3-4b-instruct")

    assert status == 1
    assert "Did you mean Qwen/Qwen3-4B-Instruct-2507" in err


def test_check_has_the_model_answer_from_the_shipped_guides(run: Run, endpoint: ScriptedEndpoint, home: Path):
    endpoint.pieces = ("At inference batch normalization uses running averages ", "of mean and variance [1].")
    endpoint.models = ({"id": "tiny", "max_model_len": 32_768},)

    status, out, _ = run("models", "check", f"openai:tiny@{endpoint.url}", "--json")

    record = json.loads(out)
    assert status == 0
    assert record["model"] == "tiny"
    assert [row["question"] for row in record["questions"]] == list(CHECK_QUESTIONS)
    assert record["questions"][0]["by_the_model"]
    assert record["questions"][0]["supported"] == record["questions"][0]["sentences"] == 1
    assert all(row["first_token_seconds"] > 0 for row in record["questions"])
    # The learner's own history and index are left alone.
    assert not home.exists()


def test_check_of_a_model_that_is_not_here_says_how_to_get_it(run: Run):
    status, _, err = run("models", "check", "Qwen/Qwen3-0.6B")

    assert status == 1
    assert "tutor models pull NAME" in err


def test_check_of_an_endpoint_that_is_down_is_one_line(run: Run):
    status, _, err = run("models", "check", "openai:m@http://127.0.0.1:9/v1")

    assert status == 1
    assert "cannot be reached" in err
    assert len(err.splitlines()) == 1


def test_speed_is_that_of_the_pieces_after_the_first():
    class Steady:
        name = "steady"
        window_tokens = None

        def count_tokens(self, messages: list[Message]) -> int:
            return sum(8 + len(message.content) for message in messages)

        def stream(self, _messages: list[Message], **_: object) -> object:
            yield from ("a", "b", "c")

    timed = TimedModel(Steady())

    assert list(timed.stream([Message("user", "abc")])) == ["a", "b", "c"]

    (call,) = timed.calls
    assert call.tokens == 3
    assert 0 < call.first_seconds <= call.last_seconds
    assert timed.tokens_per_second == pytest.approx(3 / (call.last_seconds - call.first_seconds))


def test_a_model_that_cannot_be_had_is_told_beside_the_answer(
    run: Run, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUTOR_GUIDES", json.dumps([str(small_corpus / "guides")]))
    monkeypatch.setenv("TUTOR_QUESTIONS", json.dumps([str(small_corpus / "questions")]))
    monkeypatch.setenv("TUTOR_LANGUAGE_MODEL", "openai:m")

    status, out, err = run("ask", "What does dropout do in training?")

    assert status == 0
    assert "Dropout zeroes each activation" in out
    assert "'openai:m' does not name an endpoint" in err
    assert err.rstrip().endswith("Answers are the guides' own words.")

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import huggingface_hub.constants
import pytest
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from tutor.endpoint_model import EndpointModel
from tutor.language_model import ModelUnavailableError
from tutor.model_catalog import (
    CATALOGUE,
    Machine,
    ModelFetchError,
    cached_models,
    fetch_model,
    find_model,
    make_language_model,
    plan_fetch,
    this_machine,
)
from tutor.settings import Settings
from tutor.transformers_model import TransformersModel
from tutor.tutor import Tutor

NAME = "some-lab/tiny-instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = bytes(range(256)) * 1000
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "original/consolidated.00.pth": b"the same again",
    "original/model.safetensors": b"the same again",
    "consolidated.safetensors": b"the same again",
    "pytorch_model.bin": b"the same again",
    "README.md": b"# Tiny",
}
WANTED = {"config.json", "tokenizer.json", "model.safetensors"}


@dataclass
class Hub:
    """A hub on the loopback with one model."""

    files: Mapping[str, bytes] = field(default_factory=lambda: dict(FILES))
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_off: bool = False
    """Whether the weights end halfway."""
    fetched: list[tuple[str, str]] = field(default_factory=list)
    """Files whose bodies were sent, and from which byte on."""


class _HubHandler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        if self.hub.status != 200:
            self._send(self.hub.status, b"{}", self.hub.headers, with_body=with_body)
        elif path == f"/api/models/{NAME}/revision/main":
            siblings = [{"rfilename": name} for name in self.hub.files]
            self._send_json({"_id": "1", "id": NAME, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False})
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            self._send_json(
                [
                    {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                    for name, body in self.hub.files.items()
                ]
            )
        else:
            name = path.removeprefix(f"/{NAME}/resolve/{COMMIT}/")
            body = self.hub.files[name]
            start = (self.headers["Range"] or "").removeprefix("bytes=").rstrip("-") or "0"
            if with_body:
                self.hub.fetched.append((name, start))
            head = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if start != "0":
                head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            rest = body[int(start) :]
            cut = len(rest) // 2 if self.hub.breaks_off and name == "model.safetensors" and with_body else len(rest)
            self._send(
                206 if start != "0" else 200,
                rest[:cut],
                {**head, "Content-Length": str(len(rest))},
                with_body=with_body,
            )

    def _send_json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, with_body=True)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def point_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let the library take an address for the hub's."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub for this test alone, and a hub that is down: port 9 takes no connections."""
    folder = tmp_path / "hub"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    point_to(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on a free port of the loopback, which the library is pointed to."""
    del cache
    hub = Hub()
    handler = type("Handler", (_HubHandler,), {"hub": hub})
    disable_progress_bars()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        point_to(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield hub
        server.shutdown()
        thread.join()
    enable_progress_bars()


# The list


def test_catalogue_is_ordered_by_size_and_names_each_model_once():
    sizes = [model.billions for model in CATALOGUE]

    assert sizes == sorted(sizes)
    assert len({model.id for model in CATALOGUE}) == len(CATALOGUE)
    assert all(model.id.count("/") == 1 and model.licence and model.context_tokens >= 32_768 for model in CATALOGUE)


def test_memory_is_the_weights_and_a_fifth():
    eight = next(model for model in CATALOGUE if model.id == "Qwen/Qwen3-8B")

    assert eight.memory_gb("bf16") == pytest.approx(8.2 * 2 * 1.2)
    assert eight.memory_gb("4-bit") == pytest.approx(8.2 * 0.6 * 1.2)


@pytest.mark.parametrize(
    ("machine", "fits"),
    [
        (Machine(ram_gb=16, gpu_gb=80), "bf16"),
        (Machine(ram_gb=64, gpu_gb=8), "4-bit"),
        (Machine(ram_gb=64, gpu_gb=0), "bf16"),
        (Machine(ram_gb=4, gpu_gb=0), None),
    ],
)
def test_a_model_is_measured_against_the_gpu_and_without_one_against_the_ram(machine: Machine, fits: str | None):
    eight = next(model for model in CATALOGUE if model.id == "Qwen/Qwen3-8B")

    assert machine.fits(eight) == fits


def test_this_machine_has_memory():
    machine = this_machine()

    assert machine.ram_gb > 0
    assert machine.memory_gb == (machine.gpu_gb or machine.ram_gb)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "qwen3-8b", "QWEN/qwen3-8B", " Qwen3-8B "])
def test_a_model_of_the_catalogue_is_found_by_either_part_of_its_name(name: str):
    assert find_model(name) == "Qwen/Qwen3-8B"


def test_any_other_hub_id_is_taken_as_it_is():
    assert find_model(NAME) == NAME


def test_a_mistyped_name_is_told_with_the_nearest_ones():
    with pytest.raises(ModelFetchError, match=r"'qwen3-8'.*Did you mean Qwen/Qwen3-8B.*tutor models"):
        find_model("qwen3-8")


# The model of the settings


def named(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"language_model": name})


def test_extractive_needs_no_model(settings: Settings):
    assert make_language_model(settings) is None


def test_an_endpoint_is_named_and_not_called(settings: Settings):
    model = make_language_model(named(settings, "openai:m@http://127.0.0.1:9/v1"))

    assert isinstance(model, EndpointModel)
    assert model.name == "m"


def test_a_folder_is_a_transformers_model(settings: Settings, tmp_path: Path):
    assert isinstance(make_language_model(named(settings, str(tmp_path))), TransformersModel)


@pytest.mark.parametrize("name", ["extractiv", "/nowhere/model", "some-lab/some-model-7b", "gpt-4", ""])
def test_a_name_of_nothing_is_told_with_all_that_can_be_named(settings: Settings, cache: Path, name: str):
    del cache

    with pytest.raises(ModelUnavailableError, match="tutor models pull NAME") as failure:
        make_language_model(named(settings, name))

    assert all(
        part in str(failure.value) for part in (repr(name), "`extractive`", "openai:<model>@<base url>", "folder")
    )


@pytest.mark.parametrize("name", ["/nowhere/model", "openai:m"])
def test_the_tutor_goes_on_without_a_model_that_cannot_be_had(settings: Settings, cache: Path, name: str):
    del cache
    tutor = Tutor(named(settings, name))
    tutor.update_index()

    answer = tutor.ask("What does dropout do during training?")

    assert answer.answered
    assert answer.model == "extractive"
    assert repr(name) in tutor.model_problem
    assert tutor.model is None


def test_a_tutor_with_its_model_has_no_problem(tutor: Tutor):
    assert tutor.model_problem == ""


# Fetching


def test_only_the_files_that_are_needed_are_fetched(hub: Hub):
    plan = plan_fetch(NAME)
    folder = fetch_model(plan)

    assert plan.total_bytes == plan.missing_bytes == sum(len(FILES[name]) for name in WANTED)
    assert {path.name for path in folder.iterdir()} == WANTED
    assert {name for name, _ in hub.fetched} == WANTED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_fetched_model_is_in_the_cache_and_can_be_named_without_the_hub(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    fetch_model(plan_fetch(NAME))
    hub.status = 500
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    assert [model.id for model in cached_models()] == [NAME]
    assert isinstance(make_language_model(named(settings, NAME)), TransformersModel)


def test_what_is_there_already_is_not_fetched_again(hub: Hub):
    fetch_model(plan_fetch(NAME))
    hub.fetched.clear()

    plan = plan_fetch(NAME)
    fetch_model(plan)

    assert plan.missing_bytes == 0
    assert hub.fetched == []


def test_a_download_that_was_broken_off_is_no_model_yet_and_keeps_its_whole_files(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken_off(_seconds: float) -> None:
        raise ConnectionResetError("the learner pulled the plug")

    # Where the library would wait before it tries again by itself.
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", broken_off)
    hub.breaks_off = True
    with pytest.raises(ModelFetchError, match="pull again: whole files stay"):
        fetch_model(plan_fetch(NAME))
    assert cached_models() == []
    kept = {path.name for path in cache.glob("*/snapshots/*/*")}

    hub.breaks_off = False
    hub.fetched.clear()
    folder = fetch_model(plan_fetch(NAME))

    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert {name for name, _ in hub.fetched} == WANTED - kept


def test_a_hub_out_of_reach_is_told_at_once(cache: Path):
    del cache

    with pytest.raises(
        ModelFetchError, match=r"cannot be fetched from http://127\.0\.0\.1:9 \(.*Look at the network"
    ) as failure:
        plan_fetch(NAME)

    assert "\n" not in str(failure.value)


def test_offline_mode_is_respected(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(ModelFetchError, match="HF_HUB_OFFLINE"):
        plan_fetch(NAME)

    assert hub.fetched == []


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", r"is gated\. Accept its terms at http.*/some-lab/tiny-instruct.*hf auth login"),
        (401, "RepoNotFound", "has no model 'some-lab/tiny-instruct', or it is private"),
        (404, "RepoNotFound", "has no model 'some-lab/tiny-instruct', or it is private"),
        (503, "", r"answered HTTP 503|cannot be fetched"),
    ],
)
def test_a_refusal_of_the_hub_is_told_with_what_to_do(hub: Hub, status: int, code: str, said: str):
    hub.status, hub.headers = status, {"X-Error-Code": code}

    with pytest.raises(ModelFetchError, match=said) as failure:
        plan_fetch(NAME)

    assert "\n" not in str(failure.value)


def test_a_model_without_safetensors_is_refused_before_anything_is_fetched(hub: Hub):
    hub.files = {"config.json": b"{}", "model.gguf": b"weights"}

    with pytest.raises(ModelFetchError, match=r"no weights in the safetensors format.*llama\.cpp"):
        plan_fetch(NAME)

    assert hub.fetched == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    usage: Callable[[Path], Usage] = lambda _folder: Usage(10**9, 10**9, 10**6)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)

    with pytest.raises(ModelFetchError, match=r"GB of disk.*are free.*HF_HOME"):
        plan_fetch(NAME)

    assert hub.fetched == []


def test_a_name_that_is_no_hub_id_is_refused(hub: Hub):
    with pytest.raises(ModelFetchError, match="is no hub id"):
        plan_fetch("some lab/../model")

    assert hub.fetched == []

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from pydantic import SecretStr
from small_models import make_tokenizer, save, teach
from transformers import LlamaConfig, LlamaForCausalLM

from tutor.endpoint_model import EndpointAddress, EndpointModel, read_address
from tutor.language_model import Message, ModelUnavailableError

if TYPE_CHECKING:
    from tests.conftest import ScriptedEndpoint

QUESTION = [Message("system", "You are a tutor."), Message("user", "What does dropout do in training?")]
REPLY = "Dropout zeroes each activation with probability p during training [1]."
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


def model_at(url: str, *, name: str = "tiny", key: str = "", read_seconds: float = 30) -> EndpointModel:
    return EndpointModel(
        EndpointAddress(name, url),
        key=SecretStr(key),
        max_new_tokens=64,
        window_tokens=4096,
        read_seconds=read_seconds,
    )


def failure_of(model: EndpointModel) -> str:
    """The one line that a failed call is told with."""
    with pytest.raises(ModelUnavailableError) as failure:
        list(model.stream(QUESTION))
    said = str(failure.value)
    assert "\n" not in said
    assert model.name in said
    return said


# What the setting says


@pytest.mark.parametrize(
    ("setting", "model", "url"),
    [
        ("openai:Qwen/Qwen3-8B@http://localhost:8000/v1", "Qwen/Qwen3-8B", "http://localhost:8000/v1"),
        ("openai:qwen3:8b@http://localhost:11434/v1/", "qwen3:8b", "http://localhost:11434/v1"),
        ("openai:tuned@v2@https://models.example.org/v1", "tuned@v2", "https://models.example.org/v1"),
        (" openai:m@http://[::1]:8000/v1 ", "m", "http://[::1]:8000/v1"),
    ],
)
def test_model_and_address_are_read_from_the_setting(setting: str, model: str, url: str):
    assert read_address(setting) == EndpointAddress(model, url)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("openai:", "a model, an @, and an address"),
        ("openai:Qwen/Qwen3-8B", "a model, an @, and an address"),
        ("openai:@http://localhost:8000/v1", "a model, an @, and an address"),
        ("openai:m@localhost:8000/v1", "a model, an @, and an address"),
        ("openai:m@ftp://localhost/v1", "a model, an @, and an address"),
        ("openai:m@http://", "a model, an @, and an address"),
        ("openai:m@http:///v1", "no host"),
        ("openai:m@http://localhost:99999/v1", "[Pp]ort"),
        ("openai:m@http://localhost:8000/v1?x=1", "query"),
    ],
)
def test_malformed_setting_is_told_with_an_example(setting: str, said: str):
    with pytest.raises(ModelUnavailableError, match=said) as failure:
        read_address(setting)

    assert repr(setting) in str(failure.value)
    assert "e.g. openai:Qwen/Qwen3-8B@http://localhost:8000/v1" in str(failure.value)


def test_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(ModelUnavailableError, match="TUTOR_API_KEY") as failure:
        read_address("openai:m@http://ada:hunter2@localhost:8000/v1")

    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://192.168.1.7:8000/v1", False),
        ("https://models.example.org/v1", False),
    ],
)
def test_own_machine_is_told_from_others(url: str, is_loopback: bool):
    assert EndpointAddress("m", url).is_loopback is is_loopback


# What goes out, and what comes back


def test_pieces_make_up_the_reply(endpoint: ScriptedEndpoint):
    pieces = list(model_at(endpoint.url).stream(QUESTION))

    assert "".join(pieces) == REPLY
    assert len(pieces) == 3


def test_first_piece_is_read_before_the_last_is_written(endpoint: ScriptedEndpoint):
    endpoint.seconds_between = 30
    pieces = model_at(endpoint.url).stream(QUESTION)

    assert next(pieces) == "Dropout zeroes each activation "

    pieces.close()


def test_request_holds_the_conversation_and_decodes_greedily(endpoint: ScriptedEndpoint):
    list(model_at(endpoint.url, name="Qwen/Qwen3-8B").stream(QUESTION))

    (request,) = endpoint.requests
    assert request["model"] == "Qwen/Qwen3-8B"
    assert [(turn["role"], turn["content"]) for turn in request["messages"]] == [
        (message.role, message.content) for message in QUESTION
    ]
    assert (request["temperature"], request["max_tokens"], request["stream"]) == (0, 64, True)
    assert request["chat_template_kwargs"] == {"enable_thinking": False}
    assert "response_format" not in request
    assert endpoint.paths == ["/v1/chat/completions"]


def test_schema_is_asked_for_as_a_response_format(endpoint: ScriptedEndpoint):
    endpoint.pieces = ('{"score"', ": 3}")

    text = "".join(model_at(endpoint.url).stream(QUESTION, schema=SCHEMA))

    assert text == '{"score": 3}'
    assert endpoint.requests[0]["response_format"]["type"] == "json_schema"
    assert endpoint.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_fields_that_a_server_does_not_know_are_left_out_from_then_on(endpoint: ScriptedEndpoint):
    endpoint.refuses = ("chat_template_kwargs",)
    model = model_at(endpoint.url)

    first, second = ("".join(model.stream(QUESTION, schema=SCHEMA)) for _ in range(2))

    assert first == second == REPLY
    assert ["chat_template_kwargs" in request for request in endpoint.requests] == [True, False, False]
    assert all("response_format" in request for request in endpoint.requests)


def test_server_that_knows_no_response_format_still_answers(endpoint: ScriptedEndpoint):
    endpoint.refuses = ("response_format",)

    assert "".join(model_at(endpoint.url).stream(QUESTION, schema=SCHEMA)) == REPLY
    assert "response_format" not in endpoint.requests[-1]


def test_key_goes_into_the_header_and_a_placeholder_where_none_is_set(
    endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-meant-for-another")

    list(model_at(endpoint.url, key="s3cret").stream(QUESTION))
    list(model_at(endpoint.url).stream(QUESTION))

    assert [headers["authorization"] for headers in endpoint.headers] == ["Bearer s3cret", "Bearer none"]


@pytest.mark.parametrize("trouble", ["status", "down"])
def test_key_is_neither_logged_nor_told(trouble: str, endpoint: ScriptedEndpoint, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    endpoint.status = 500
    model = model_at(endpoint.url if trouble == "status" else "http://127.0.0.1:9/v1", key="s3cret")

    said = failure_of(model)

    assert "s3cret" not in said + caplog.text + repr(vars(model))


def test_variables_of_langsmith_and_openai_send_nothing_elsewhere(
    endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
):
    # Port 9 takes no connections: what went there would end in an error or a warning.
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "true")
    for name in ("LANGSMITH_ENDPOINT", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    before = set(threading.enumerate())

    text = "".join(model_at(endpoint.url).stream(QUESTION))

    assert text == REPLY
    assert endpoint.paths == ["/v1/chat/completions"]
    # LangSmith's client would send what was said in a thread of its own.
    assert set(threading.enumerate()) - before <= {
        thread for thread in threading.enumerate() if "process_request_thread" in thread.name
    }


def test_thoughts_before_the_answer_are_left_out(endpoint: ScriptedEndpoint):
    endpoint.pieces = ("<thi", "nk>\nThe learner asks about dropout.", "\n</th", "ink>\n\n", "Dropout ", "zeroes.")

    assert "".join(model_at(endpoint.url).stream(QUESTION)) == "Dropout zeroes."


# Stopping


def is_quiet(endpoint: ScriptedEndpoint) -> bool:
    """Whether the server saw the caller leave, and no thread still reads."""
    return endpoint.hung_up.wait(timeout=5) and not any(thread.name == "reply" for thread in threading.enumerate())


def test_stop_ends_the_wait_for_the_first_piece_and_hangs_up(endpoint: ScriptedEndpoint):
    endpoint.seconds_before = 30
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.perf_counter()

    assert list(model_at(endpoint.url).stream(QUESTION, stop=stop)) == []

    assert time.perf_counter() - started < 20
    assert is_quiet(endpoint)


def test_stop_ends_the_wait_for_the_next_piece_and_hangs_up(endpoint: ScriptedEndpoint):
    endpoint.seconds_between = 30
    stop = threading.Event()
    pieces = model_at(endpoint.url).stream(QUESTION, stop=stop)
    first = next(pieces)

    stop.set()

    assert [first, *pieces] == ["Dropout zeroes each activation "]
    assert is_quiet(endpoint)


def test_closing_the_iterator_hangs_up(endpoint: ScriptedEndpoint):
    endpoint.seconds_between = 30
    pieces = model_at(endpoint.url).stream(QUESTION)
    next(pieces)

    pieces.close()

    assert is_quiet(endpoint)


def test_two_learners_are_served_at_the_same_time(endpoint: ScriptedEndpoint):
    model = model_at(endpoint.url)
    first, second = model.stream(QUESTION), model.stream(QUESTION)

    assert next(first) == next(second)
    assert "".join(first) == "".join(second)


# The window


def test_window_is_what_the_endpoint_tells_of_the_model(endpoint: ScriptedEndpoint):
    endpoint.models = ({"id": "other", "max_model_len": 512}, {"id": "tiny", "max_model_len": 16_384})
    model = model_at(endpoint.url)

    assert [model.window_tokens, model.window_tokens] == [16_384, 16_384]
    assert endpoint.paths == ["/v1/models"]


@pytest.mark.parametrize("models", [(), ({"id": "tiny"},), ({"id": "tiny", "max_model_len": "much"},)])
def test_window_is_the_settings_where_the_endpoint_does_not_tell(endpoint: ScriptedEndpoint, models: tuple):
    endpoint.models = models

    assert model_at(endpoint.url).window_tokens == 4096


def test_endpoint_without_a_list_of_models_has_the_settings_window(endpoint: ScriptedEndpoint):
    assert model_at(endpoint.url.removesuffix("/v1")).window_tokens == 4096


def test_window_of_an_endpoint_that_is_down_cannot_be_had():
    with pytest.raises(ModelUnavailableError, match="cannot be reached"):
        _ = model_at("http://127.0.0.1:9/v1").window_tokens


# What may go wrong


def test_endpoint_that_is_down_is_told_at_once():
    said = failure_of(model_at("http://127.0.0.1:9/v1"))

    assert re.search(r"http://127\.0\.0\.1:9/v1.*cannot be reached \(.*Start the server", said)


def test_slow_endpoint_is_told_with_the_setting_to_raise(endpoint: ScriptedEndpoint):
    endpoint.seconds_before = 30

    said = failure_of(model_at(endpoint.url, read_seconds=0.3))

    assert re.search(r"did not answer in time.*each piece 0\.3 s.*TUTOR_ENDPOINT_SECONDS", said)


def test_endpoint_that_falls_silent_is_told(endpoint: ScriptedEndpoint):
    endpoint.seconds_between = 30

    assert "did not answer in time" in failure_of(model_at(endpoint.url, read_seconds=0.3))


def test_wrong_key_is_told_with_its_setting(endpoint: ScriptedEndpoint):
    endpoint.status = 401

    assert re.search(r"refused the key \(HTTP 401\)\. Set TUTOR_API_KEY", failure_of(model_at(endpoint.url)))


def test_unknown_model_is_told_with_those_that_are_served(endpoint: ScriptedEndpoint):
    endpoint.status = 404

    said = failure_of(model_at(endpoint.url, name="giant"))

    assert re.search(r"'giant'.*HTTP 404.*It serves: tiny\. Mend TUTOR_LANGUAGE_MODEL", said)


def test_failure_of_the_server_is_told_in_its_words_and_not_tried_again(endpoint: ScriptedEndpoint):
    endpoint.status = 503

    assert "HTTP 503 (the server's own words)" in failure_of(model_at(endpoint.url))
    assert len(endpoint.requests) == 1


def test_request_that_the_server_finds_wrong_is_told(endpoint: ScriptedEndpoint):
    endpoint.refuses = ("messages",)

    assert "HTTP 400 (unknown field messages)" in failure_of(model_at(endpoint.url))


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        ("text/html", b"<html><body>It works!</body></html>"),
        ("text/event-stream", b"data: {not json}\n\n"),
        ("text/event-stream", b"data: [DONE]\n\n"),
        ("text/event-stream", b'data: {"object": "something else"}\n\n'),
        ("text/event-stream", b"data: [1, 2]\n\n"),
        ("application/json", b'{"choices": [{"message": {"content": "not streamed"}}]}'),
        ("text/event-stream", b"\xff\xfe\x00"),
        ("text/event-stream", b""),
        ("text/event-stream", b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'),
    ],
)
def test_nonsense_is_told_and_not_taken_for_an_answer(endpoint: ScriptedEndpoint, content_type: str, raw: bytes):
    endpoint.content_type, endpoint.raw = content_type, raw

    said = failure_of(model_at(endpoint.url))

    assert "Look at the server's log" in said


def test_stream_that_breaks_off_is_told(endpoint: ScriptedEndpoint):
    endpoint.breaks_off = True
    pieces = model_at(endpoint.url).stream(QUESTION)
    got = [next(pieces) for _ in endpoint.pieces]

    with pytest.raises(ModelUnavailableError, match="broke off"):
        next(pieces)

    assert "".join(got) == REPLY


def test_reply_that_is_all_thoughts_is_told_with_the_setting_to_raise(endpoint: ScriptedEndpoint):
    endpoint.pieces = ("<think>", "The learner asks")

    with pytest.raises(ModelUnavailableError, match="TUTOR_MAX_NEW_TOKENS"):
        list(model_at(endpoint.url).stream(QUESTION))


def test_redirection_to_another_address_is_not_followed(endpoint: ScriptedEndpoint):
    endpoint.location = endpoint.url.replace("/v1", "/elsewhere")

    assert "HTTP 307" in failure_of(model_at(endpoint.url))
    assert endpoint.paths == ["/v1/chat/completions"]


# A real server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`transformers serve` on the loopback with a small model made on the spot: the model's name and the endpoint's URL."""
    tokenizer = make_tokenizer(REPLY)
    # Of a Qwen3 the server expects the marks of Qwen's own template.
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    teach(model, tokenizer, REPLY)
    folder = save(model, tokenizer, tmp_path_factory.mktemp("served") / "taught")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        Path(sys.executable).with_name("transformers"),
        "serve",
        folder,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(folder.parent)}
    log = folder.parent / "log"
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as server:
        try:
            wait_for(port, server, log)
            yield str(folder), f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until a server takes connections; fails with what it said where it never does."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail(log.read_text(encoding="utf-8", errors="replace")[-2000:])


@pytest.mark.server
def test_transformers_serve_is_understood(served: tuple[str, str]):
    name, url = served
    model = model_at(url, name=name, read_seconds=120)

    pieces = list(model.stream(QUESTION))

    assert "".join(pieces) == REPLY
    assert len(pieces) > 3
    # It tells no window, and answers a question for its models with an error where there is no hub.
    assert model.window_tokens == 4096

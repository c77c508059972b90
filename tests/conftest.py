"""What tests share: a home of their own, a small real corpus, and a tutor over it. No test reaches a hub or the user's home."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as hypothesis_settings
from page_server import chromium, event_loops_closed

from tutor.settings import Settings, read_settings
from tutor.tutor import Tutor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same examples on every run: a property that fails, fails for everybody. To search further, for a while:
# pytest --hypothesis-profile=default
hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis_settings.load_profile("repeatable")

DROPOUT_GUIDE = """\
---
title: Regularization
topic: regularization
level: junior
summary: How to keep a network from learning its training set by heart.
sources: []
---

# Regularization

## Dropout

Dropout zeroes each activation with probability $p$ during training, so that no unit can rely on another one. At inference
dropout is switched off, and the activations need no scaling when training divided them by $1 - p$ (inverted dropout).

Use dropout in fully connected layers that overfit. Avoid it right before BatchNorm, because the variance that BatchNorm
measures in training is then not the one it meets at inference.

## Early stopping

Early stopping ends training when the validation loss has not improved for a number of epochs called the patience. A patience
of 5 to 10 epochs is common. The weights of the best epoch are restored.

## Weight decay

Weight decay shrinks each weight a little at every step. With plain SGD it equals an L2 penalty:

$$
L' = L + \\frac{\\lambda}{2} \\lVert w \\rVert^2
$$

### Common mistake: L2 in Adam is weight decay

An L2 penalty in Adam is divided by the adaptive denominator, so it is not weight decay. AdamW decouples the two.
"""

BATCHNORM_GUIDE = """\
---
title: Normalization
topic: normalization
level: mid
summary: BatchNorm and its relatives.
sources: []
---

# Normalization

## BatchNorm in training

Batch normalization (BatchNorm) standardizes each channel with the mean and variance of the mini-batch, then applies a learned
scale $\\gamma$ and shift $\\beta$. With 64 images of 28 x 28 pixels each channel's statistics come from 50,176 values.

## BatchNorm at inference

At inference BatchNorm uses running averages of the mean and variance that were collected in training, so that a prediction does
not depend on the other examples of its batch.

```python run
import numpy as np

x = np.array([1.0, 3.0])
assert np.isclose(((x - x.mean()) / x.std()).mean(), 0)
```

## LayerNorm

LayerNorm normalizes over the features of one example. It works at any batch size, which is why transformers use it.
"""

CHINESE_GUIDE = """\
---
title: 归一化笔记
topic: zh-notes
level: junior
lang: zh
summary: 批归一化的要点。
---

# 归一化笔记

## 批归一化的计算过程

批归一化用小批量的均值和方差对每个通道做标准化，再乘以可学习的 $\\gamma$ 并加上 $\\beta$。推理时使用训练中累积的滑动平均。

## 非极大值抑制

非极大值抑制先按置信度对检测框排序，再删除与已保留的框重叠过大的框。
"""

QUESTION_BANK = """\
---
topic: regularization
---

## What does dropout do, and what changes at inference?

```yaml
id: dropout-train-inference
level: junior
kind: concept
zh: Dropout 的作用是什么？推理时有什么变化？
aliases:
  - Explain dropout.
```

### Answer

Dropout zeroes random activations in training, which keeps units from relying on each other and so reduces overfitting. At
inference it is switched off. With inverted dropout the surviving activations were divided by the keep probability in training,
so nothing needs scaling at inference. It acts like averaging many thinned networks that share weights.

### Key points

- [3] Dropout zeroes random activations during training. -> regularization#dropout
  - neurons are randomly turned off while learning
  - each unit gets deleted with some probability in the training phase
- [2] Dropout is switched off at inference. -> regularization#dropout
  - at test time every unit stays active
  - nothing is dropped when predicting
- [1] Dropout reduces co-adaptation of units. -> regularization#dropout
  - features cannot lean on one another
  - it stops hidden nodes from depending on specific partners

### Misconceptions

- Dropout stays active when the model makes predictions. -> regularization#dropout

### Follow-ups

- Where would you not use dropout?
- Why does inverted dropout divide by the keep probability?

### Hints

1. Think of what happens to single units.
2. What differs between training and prediction?

## How many values does BatchNorm average for one channel of 64 images of 28 by 28 pixels?

```yaml
id: batchnorm-count
level: mid
kind: compute
zh: 对 64 张 28×28 的图像，BatchNorm 每个通道对多少个值求平均？
value: 50176
unit: values
check: 64 * 28 * 28
```

### Answer

BatchNorm pools over the batch and both spatial axes, so one channel has 64 times 28 times 28, that is 50,176 values.

### Key points

- [2] BatchNorm statistics of a channel pool over the batch and the spatial axes. -> normalization#batchnorm-in-training
  - mean and variance are shared across all images and positions
  - one average per feature map, over batch, height and width
- [1] Each channel has its own mean and variance. -> normalization#batchnorm-in-training
  - statistics are kept per feature map
  - channels are not mixed
- [1] The learned scale and shift are per channel as well. -> normalization#batchnorm-in-training
  - gamma and beta have one entry for every channel
  - there are two trainable parameters for each feature map

### Misconceptions

- BatchNorm averages over the channels. -> normalization#batchnorm-in-training

### Follow-ups

- And for LayerNorm?
- What does a batch of one do to the estimate?
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for this test alone, that every `Settings` of the test uses."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TUTOR_HOME", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TUTOR_DEBUG", raising=False)
    # No test may write into a class's histories.
    monkeypatch.delenv("TUTOR_DATABASE_URL", raising=False)
    return folder


def write_small_corpus(folder: Path) -> Path:
    """Put three guides and a bank of two questions into a folder."""
    (folder / "guides").mkdir(parents=True)
    (folder / "questions").mkdir()
    for name, text in (
        ("regularization", DROPOUT_GUIDE),
        ("normalization", BATCHNORM_GUIDE),
        ("zh-notes", CHINESE_GUIDE),
    ):
        (folder / "guides" / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "questions" / "regularization.md").write_text(QUESTION_BANK, encoding="utf-8")
    return folder


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    """A folder with three guides and a bank of two questions."""
    return write_small_corpus(tmp_path / "corpus")


@pytest.fixture
def settings(small_corpus: Path) -> Settings:
    """Settings over the small corpus."""
    return read_settings(guides=(small_corpus / "guides",), questions=(small_corpus / "questions",))


@pytest.fixture
def tutor(settings: Settings) -> Tutor:
    """A tutor over the small corpus, indexed."""
    tutor = Tutor(settings)
    tutor.update_index()
    return tutor


@pytest.fixture(scope="module")
def shared_tutor(tmp_path_factory: pytest.TempPathFactory) -> Tutor:
    """A tutor over the small corpus, indexed, for those tests of a module that leave guides and histories as they are."""
    folder = tmp_path_factory.mktemp("shared")
    corpus = write_small_corpus(folder / "corpus")
    tutor = Tutor(read_settings(home=folder / "home", guides=(corpus / "guides",), questions=(corpus / "questions",)))
    tutor.update_index()
    return tutor


@pytest.fixture
def closed_event_loops() -> Iterator[None]:
    """Closes the event loops that Gradio leaves open."""
    with event_loops_closed():
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a module: one for all would leave Playwright's event loop running where other tests start their own."""
    with chromium() as browser:
        yield browser


@dataclass
class ScriptedEndpoint:
    """A real OpenAI-compatible server on the loopback that says what a test scripted."""

    url: str = ""
    pieces: Sequence[str] = ("Dropout zeroes each activation ", "with probability p ", "during training [1].")
    models: Sequence[Mapping[str, Any]] = ({"id": "tiny", "max_model_len": 2048},)
    status: int = 200
    """Of the chat completions; another than 200 is answered with an error of the protocol's form."""
    refuses: Collection[str] = ()
    """Fields of a request that are answered with HTTP 400."""
    raw: bytes | None = None
    """In place of a stream of completions."""
    content_type: str = "text/event-stream"
    seconds_before: float = 0
    """Before the first piece."""
    seconds_between: float = 0
    breaks_off: bool = False
    """Close the connection after the last piece, in the middle of the stream."""
    location: str = ""
    """Where every call is redirected to."""
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    """The bodies of the chat completions that were asked for."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hung_up: Event = field(default_factory=Event)
    """Set when the caller left before the end."""


class _EndpointHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ScriptedEndpoint

    def do_GET(self) -> None:
        self.script.paths.append(self.path)
        if self.path != "/v1/models":
            self._json(404, {"error": {"message": f"no {self.path} here"}})
        else:
            self._json(200, {"object": "list", "data": list(self.script.models)})

    def do_POST(self) -> None:
        script = self.script
        script.paths.append(self.path)
        script.headers.append({name.lower(): value for name, value in self.headers.items()})
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script.requests.append(body)
        unknown = [name for name in script.refuses if name in body]
        if script.location:
            self.send_response(307)
            self.send_header("Location", script.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif unknown:
            self._json(400, {"error": {"message": f"unknown field {unknown[0]}"}})
        elif script.status != 200:
            self._json(script.status, {"error": {"message": "the server's own words"}})
        else:
            self._stream()

    def _stream(self) -> None:
        script = self.script
        if self._waits(script.seconds_before):
            return
        self.send_response(200)
        self.send_header("Content-Type", script.content_type)
        self.send_header("Connection", "close")
        self.end_headers()
        if script.raw is not None:
            self.wfile.write(script.raw)
            return
        for number, piece in enumerate(script.pieces):
            if number and self._waits(script.seconds_between):
                return
            self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}}]})
        if script.breaks_off:
            return
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.wfile.write(b"data: [DONE]\n\n")

    def _waits(self, seconds: float) -> bool:
        """Wait; whether the caller left meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            self.script.hung_up.set()
            self.close_connection = True
            return True
        return False

    def _event(self, value: Mapping[str, Any]) -> None:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", **value}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def _json(self, status: int, value: Mapping[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    """An OpenAI-compatible server on a free port of the loopback."""
    script = ScriptedEndpoint()
    handler = type("Handler", (_EndpointHandler,), {"script": script})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield script
        server.shutdown()
        thread.join()

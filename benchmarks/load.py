"""How a class is served: many learners at once, over the loopback, in extractive mode.

    python benchmarks/load.py                  # 50 learners, as fast as they can click
    python benchmarks/load.py --pause 10       # each reads for 10 s on average before the next click

A server of its own (`tutor serve --auth`) with a home of its own is started, and each learner speaks to it as the page in a browser
does: log in, open the page, ask three questions of the bank, start an interview, have an answer graded. Then the histories are
read: each must hold exactly what its learner asked and answered, and no page may have shown another learner's words.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
MARKS = ("<!-- load -->", "<!-- load end -->")
QUESTIONS_EACH = 3
STEPS = ("log in", "open the page", "ask", "start an interview", "be graded")
ATTEMPT = (
    "I am {name}. Training adjusts the weights by gradient descent on the loss. The learning rate sets the step, the batch gives a "
    "noisy estimate of the gradient, and regularization such as dropout or weight decay keeps the network from overfitting. At "
    "inference the weights stay as they are and running statistics are used."
)
LONGEST_WAIT_SECONDS = 300
SECONDS_TO_GET_READY = 5


class PageError(RuntimeError):
    """What the page would have shown in red, or an answer of the server that it could not have shown."""


@dataclass
class PageClient:
    """One browser tab: it knows what stands in its components, fires their events, and follows what each brings about."""

    http: httpx.AsyncClient
    session: str = field(default_factory=lambda: secrets.token_hex(6))
    values: dict[int, Any] = field(default_factory=dict)
    """What stands in each component, by its number."""
    dependencies: Sequence[Mapping[str, Any]] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    """Of the components that have a name of ours (`elem_id`)."""
    _answers: dict[str, asyncio.Future[Mapping[str, Any]]] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None

    async def log_in(self, name: str, password: str) -> None:
        """Get the cookie. Raises PageError where the server lets nobody in."""
        reply = await self.http.post("/login", data={"username": name, "password": password})
        if reply.status_code != 200:
            raise PageError(f"login: {reply.status_code}")

    async def open(self) -> None:
        """Load the page, with what it asks for by itself."""
        reply = await self.http.get("/config")
        if reply.status_code != 200:
            raise PageError(f"config: {reply.status_code}")
        config = reply.json()
        self.dependencies = config["dependencies"]
        for component in config["components"]:
            # An empty field holds an empty text in the browser.
            empty = "" if component["type"] == "textbox" else None
            value = component["props"].get("value")
            self.values[component["id"]] = empty if value is None else value
            if name := component["props"].get("elem_id"):
                self.numbers[name] = component["id"]
        loads = [item for item in self.dependencies if any(event == "load" for _, event in item["targets"])]
        await asyncio.gather(*(self._fire(item) for item in loads))

    async def do(self, event: str, element: str, typed: str | None = None) -> None:
        """Have an event of a component happen, after typing into it: `do("submit", "question", "What is dropout?")`.

        Raises PageError for what goes wrong.
        """
        number = self.numbers[element]
        if typed is not None:
            self.values[number] = typed
        for item in [item for item in self.dependencies if [number, event] in item["targets"]]:
            await self._fire(item)

    def shown(self, name: str) -> Any:  # noqa: ANN401 - any component's value
        """What stands in a component named by its `elem_id`."""
        return self.values[self.numbers[name]]

    async def _fire(self, event: Mapping[str, Any]) -> None:
        if event["backend_fn"]:
            await self._call(event)
        for following in self.dependencies:
            if following["trigger_after"] == event["id"]:
                await self._fire(following)

    async def _call(self, event: Mapping[str, Any]) -> None:
        call = {
            # What the server keeps in the session is sent as nothing.
            "data": [self.values.get(number) for number in event["inputs"]],
            "fn_index": event["id"],
            "session_hash": self.session,
            "trigger_id": event["targets"][0][0] if event["targets"] else None,
            "event_data": None,
        }
        joined = await self.http.post("/gradio_api/queue/join", json=call)
        if joined.status_code != 200:
            raise PageError(f"{event['api_name']}: {joined.status_code} {joined.text[:200]}")
        message = await self._completed(joined.json()["event_id"])
        if not message["success"]:
            raise PageError(f"{event['api_name']}: {message['output'].get('error')}")
        for number, value in zip(event["outputs"], message["output"].get("data", ()), strict=False):
            is_update = isinstance(value, dict) and value.get("__type__") == "update"
            if not is_update:
                self.values[number] = value
            elif "value" in value:
                self.values[number] = value["value"]

    async def _completed(self, event_id: str) -> Mapping[str, Any]:
        """The message that ends an event. One stream brings those of all events that are under way."""
        answer = self._answers.setdefault(event_id, asyncio.get_running_loop().create_future())
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            return await answer
        finally:
            del self._answers[event_id]

    async def _read(self) -> None:
        while any(not answer.done() for answer in self._answers.values()):
            try:
                async with self.http.stream(
                    "GET", "/gradio_api/queue/data", params={"session_hash": self.session}
                ) as stream:
                    async for line in stream.aiter_lines():
                        if line.startswith("data: "):
                            self._take(json.loads(line.removeprefix("data: ")))
            except httpx.HTTPError as error:
                self._fail(f"{type(error).__name__} {error}")

    def _take(self, message: Mapping[str, Any]) -> None:
        if message["msg"] == "unexpected_error":
            self._fail(str(message.get("message")))
        elif message["msg"] == "process_completed":
            answer = self._answers.setdefault(message["event_id"], asyncio.get_running_loop().create_future())
            if not answer.done():
                answer.set_result(message)

    def _fail(self, reason: str) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PageError(f"the stream broke: {reason}"))


@asynccontextmanager
async def page(address: str) -> AsyncIterator[PageClient]:
    """A browser tab at a server."""
    # The server lets go of a connection after five idle seconds. A browser sends again what was on its way just then.
    limits = httpx.Limits(keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=address, timeout=LONGEST_WAIT_SECONDS, limits=limits) as http:
        yield PageClient(http)


@dataclass
class Learner:
    """What one learner did, how long each step took, and what went wrong."""

    name: str
    password: str
    questions: Sequence[str]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @cached_property
    def _dice(self) -> random.Random:
        return random.Random(self.name)  # noqa: S311 - how long somebody reads is no secret

    async def study(self, address: str, pause: float) -> None:
        """The whole visit. `pause` is the mean number of seconds before a click."""
        async with page(address) as tab:
            await self._timed("log in", tab.log_in(self.name, self.password))
            await self._timed("open the page", tab.open())
            for question in self.questions:
                await self._read(pause)
                await self._timed("ask", tab.do("submit", "question", question))
            asked = [message["content"] for message in tab.shown("chat") or () if message["role"] == "user"]
            if [_plain(text) for text in asked] != [_plain(question) for question in self.questions]:
                self.errors.append(f"the page shows {asked}")
            await self._read(pause)
            await self._timed("start an interview", tab.do("click", "start"))
            await self._read(pause)
            await self._timed("be graded", tab.do("submit", "attempt", ATTEMPT.format(name=self.name)))

    async def _read(self, seconds: float) -> None:
        """Read what is shown, for so long on average."""
        await asyncio.sleep(self._dice.expovariate(1 / seconds) if seconds else 0)

    async def _timed(self, step: str, doing: Any) -> None:  # noqa: ANN401 - any coroutine
        started = time.perf_counter()
        try:
            await doing
        except (PageError, httpx.HTTPError) as error:
            self.errors.append(f"{step}: {type(error).__name__} {error}")
        self.seconds.setdefault(step, []).append(time.perf_counter() - started)


def _plain(content: Any) -> str:  # noqa: ANN401 - text, or a list of pieces of it
    text = content if isinstance(content, str) else "".join(piece.get("text", "") for piece in content)
    return "".join(char for char in text.replace("&lt;", "<") if char.isalnum())


def mixed_up(database: Path, learners: Sequence[Learner]) -> list[str]:
    """What the histories hold that is not their learner's, or lack."""
    from tutor.progress import ProgressStore

    store = ProgressStore(database)
    wrong = []
    for learner in learners:
        asked = [exchange.question for exchange in store.exchanges(learner.name)]
        if asked != list(learner.questions):
            wrong.append(f"{learner.name} asked {list(learner.questions)}, and the history has {asked}")
        attempts = [review.attempt for review in store.reviews(learner.name)]
        if attempts != [ATTEMPT.format(name=learner.name)]:
            wrong.append(f"{learner.name} has the attempts {attempts}")
    return wrong


async def visit(address: str, learners: Sequence[Learner], pause: float) -> float:
    """Let all learners study at once; the seconds that it took."""
    started = time.perf_counter()
    await asyncio.gather(*(learner.study(address, pause) for learner in learners))
    return time.perf_counter() - started


def bank_prompts() -> list[str]:
    """Questions of the shipped bank, so many that no two learners ask the same."""
    from tutor.settings import read_settings
    from tutor.tutor import Tutor

    return [question.prompt for question in Tutor(read_settings()).questions]


def make_learners(count: int, prompts: Sequence[str], file: Path) -> list[Learner]:
    """Learners with their passwords, in a file of users."""
    from tutor.users import UserFile, made_password

    learners = []
    for number in range(count):
        questions = prompts[number * QUESTIONS_EACH : (number + 1) * QUESTIONS_EACH]
        learners.append(Learner(f"learner{number:03}", made_password(), questions))
        UserFile(file).add(learners[-1].name, learners[-1].password, role="learner")
    return learners


def start_server(home: Path, users: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server on a free port of the loopback, ready; and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "TUTOR_HOME": str(home)}
    command = [sys.executable, "-P", "-c", "from ui.cli import main; main()", "serve", "--port", str(port)]
    server = subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--auth", str(users)], cwd=ROOT, env=environment, stdout=sys.stderr
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(address, timeout=5)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return server, address
    server.kill()
    raise SystemExit("The server did not start.")


def summary(learners: Sequence[Learner], wall_seconds: float, wrong: Sequence[str]) -> dict[str, Any]:
    """The figures of a run."""
    steps = {step: sorted(second for learner in learners for second in learner.seconds.get(step, ())) for step in STEPS}
    errors = Counter(error for learner in learners for error in learner.errors)
    return {
        "learners": len(learners),
        "wall_seconds": round(wall_seconds, 1),
        "answers_and_grades_per_second": round((len(steps["ask"]) + len(steps["be graded"])) / wall_seconds, 1),
        "errors": dict(errors),
        "mixed_up": list(wrong),
        "steps": {
            step: {
                "count": len(seconds),
                "p50": round(statistics.median(seconds), 3),
                "p95": round(seconds[round(0.95 * (len(seconds) - 1))], 3),
                "longest": round(seconds[-1], 3),
            }
            for step, seconds in steps.items()
            if seconds
        },
    }


def report(results: Sequence[Mapping[str, Any]], machine: str) -> str:
    """The figures as a Markdown table."""
    lines = [
        f"{machine}. Seconds from the click to the last word, p50 / p95.",
        "",
        "| learners | reading between clicks | "
        f"{' | '.join(STEPS)} | answers and grades a second | server CPU s | errors | mixed-up sessions |",
        f"|{'---|' * (6 + len(STEPS))}",
    ]
    for result in results:
        steps = result["steps"]
        times = " | ".join(f"{steps[step]['p50']:.2f} / {steps[step]['p95']:.2f}" for step in STEPS)
        pause = f"{result['pause_seconds']:g} s" if result["pause_seconds"] else "none"
        lines.append(
            f"| {result['learners']} | {pause} | {times} | {result['answers_and_grades_per_second']} "
            f"| {result['server_cpu_seconds']} | {sum(result['errors'].values())} | {len(result['mixed_up'])} |"
        )
    return "\n".join(lines)


def run(count: int, pause: float) -> dict[str, Any]:
    """One class on a fresh server."""
    import psutil

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["TUTOR_HOME"] = str(home)
        learners = make_learners(count, bank_prompts(), home / "users.toml")
        server, address = start_server(home, home / "users.toml")
        try:
            # The server has still to load its models, whoever comes.
            time.sleep(SECONDS_TO_GET_READY)
            clock, load_before = psutil.Process(server.pid).cpu_times, os.getloadavg()[0]
            before = clock()
            wall_seconds = asyncio.run(visit(address, learners, pause))
            after = clock()
        finally:
            server.terminate()
            server.wait()
        result = summary(learners, wall_seconds, mixed_up(home / "progress.db", learners))
    cpu_seconds = after.user + after.system - before.user - before.system
    return {
        **result,
        "server_cpu_seconds": round(cpu_seconds, 1),
        "pause_seconds": pause,
        "load_before": round(load_before, 1),
    }


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--pause", type=float, nargs="+", default=[0.0], help="mean seconds before a click")
    parser.add_argument("--page", type=Path, help="Markdown file to write the table into, e.g. docs/serving.md")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    results = [run(count, pause) for pause in options.pause for count in options.learners]
    print(json.dumps(results, indent=1))
    if options.page:
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        before, _, rest = options.page.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        text = f"{before}{MARKS[0]}\n{report(results, machine)}\n{MARKS[1]}{after}"
        options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

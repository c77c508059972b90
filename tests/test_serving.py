"""A class's server on the loopback, spoken to as the page in a browser does."""

import asyncio
import importlib.util
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from types import ModuleType

import gradio as gr
import httpx
import pytest
from page_server import SERVER_MARKS, event_loops_closed, serving

from tutor.language_model import Message
from tutor.settings import Settings
from tutor.tutor import Tutor
from tutor.users import UserFile
from ui.app import IndexHandlers, build_app
from ui.page import editor_tutor, learner_tutor, may_edit

pytestmark = SERVER_MARKS
PASSWORDS = {name: f"{name} violet tractor hums" for name in ("ana", "ben", "prof")}


def load_benchmark() -> ModuleType:
    file = Path(__file__).parent.parent / "benchmarks" / "load.py"
    specification = importlib.util.spec_from_file_location("load_benchmark", file)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


load = load_benchmark()


class WaitingModel:
    """A model that says nothing until it is let go, or stopped."""

    name = "waiting"
    window_tokens = None

    def __init__(self) -> None:
        self.let_go = Event()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        del messages, schema
        while not (self.let_go.wait(0.01) or (stop and stop.is_set())):
            pass
        yield "Dropout zeroes each activation with probability $p$ during training [1]."


@pytest.fixture(scope="module")
def users_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two learners and an instructor."""
    users = UserFile(tmp_path_factory.mktemp("users") / "users.toml")
    for name, password in PASSWORDS.items():
        users.add(name, password, role="instructor" if name == "prof" else "learner")
    return users.path


@pytest.fixture
def class_settings(tutor: Tutor, users_file: Path) -> Settings:
    """Settings with an index and users of their own."""
    own = shutil.copy(users_file, tutor.settings.home / "users.toml")
    return tutor.settings.model_copy(update={"users_file": own})


@pytest.fixture
def address(class_settings: Settings) -> Iterator[str]:
    with serving(Tutor(class_settings)) as address:
        yield address


@pytest.fixture(scope="module")
def shared_settings(shared_tutor: Tutor, users_file: Path) -> Settings:
    return shared_tutor.settings.model_copy(update={"users_file": users_file})


@pytest.fixture(scope="module")
def shared_address(shared_settings: Settings) -> Iterator[str]:
    """A server for those tests that change neither guides nor users, and look at no history."""
    with event_loops_closed(), serving(Tutor(shared_settings)) as address:
        yield address


def with_pages(address: str, *names: str, do: Callable[..., Awaitable[None]]) -> None:
    """Open the page as each of the learners, and do something with these pages."""

    async def run() -> None:
        async with asyncio.timeout(60):
            pages = [load.page(address) for _ in names]
            tabs = [await page.__aenter__() for page in pages]
            for name, tab in zip(names, tabs, strict=True):
                await tab.log_in(name, PASSWORDS[name])
                await tab.open()
            await do(*tabs)
            for page in pages:
                await page.__aexit__(None, None, None)

    asyncio.run(run())


def log_in(address: str, name: str) -> httpx.Client:
    client = httpx.Client(base_url=address, timeout=30)
    assert client.post("/login", data={"username": name, "password": PASSWORDS[name]}).status_code == 200
    return client


def said(tab: "load.PageClient") -> str:
    """All that the chat of a page shows."""
    return json.dumps(tab.shown("chat"), ensure_ascii=False)


# Who may


def request(name: str | None) -> gr.Request:
    return gr.Request(username=name)


def test_each_learner_has_a_tutor_of_their_own_over_the_same_index(class_settings: Settings):
    tutor = Tutor(class_settings)
    ana, ben = (learner_tutor(tutor, request(name)) for name in ("ana", "ben"))

    ana.ask("What is dropout?")

    assert ana.index is ben.index
    assert [exchange.question for exchange in ana.progress.exchanges("ana")] == ["What is dropout?"]
    assert ben.progress.exchanges(ben.settings.learner) == []


def test_where_there_is_no_login_everybody_is_the_learner_of_the_settings(tutor: Tutor):
    assert learner_tutor(tutor, None) is tutor
    assert learner_tutor(tutor, request(None)) is tutor
    assert may_edit(tutor, None)


@pytest.mark.parametrize("name", [None, "", "nobody", "Ana"])
def test_who_is_not_in_the_file_gets_no_tutor(class_settings: Settings, name: str | None):
    with pytest.raises(gr.Error, match="not logged in any more"):
        learner_tutor(Tutor(class_settings), request(name))
    with pytest.raises(gr.Error, match="not logged in any more"):
        editor_tutor(Tutor(class_settings), request(name))


def test_a_broken_file_of_users_lets_nobody_on_and_tells_no_path(class_settings: Settings):
    assert class_settings.users_file
    class_settings.users_file.write_text("[users", encoding="utf-8")

    with pytest.raises(gr.Error, match="tell your instructor") as caught:
        learner_tutor(Tutor(class_settings), request("ana"))

    assert "users.toml" not in str(caught.value)


def test_only_instructors_change_the_guides(class_settings: Settings):
    tutor = Tutor(class_settings)

    assert editor_tutor(tutor, request("prof")).settings.learner == "prof"
    assert not may_edit(tutor, request("ana"))
    with pytest.raises(gr.Error, match="Only instructors"):
        editor_tutor(tutor, request("ana"))
    with pytest.raises(gr.Error, match="Only instructors"):
        IndexHandlers(tutor).mend(request("ana"))


def test_who_is_logged_in_is_told_with_the_way_out(class_settings: Settings, tutor: Tutor):
    greeting = IndexHandlers(Tutor(class_settings)).greet(request("ana"))

    assert "<b>ana</b>" in greeting.value
    assert "href='logout'" in greeting.value
    assert not IndexHandlers(tutor).greet(request(None)).visible


def test_every_handler_that_reads_or_writes_a_history_knows_who_asks(class_settings: Settings):
    """A handler that calls the tutor of all would put everybody's history into one."""
    without, seen = [], set()
    for event in build_app(Tutor(class_settings)).fns.values():
        handler = getattr(event.fn, "__wrapped__", event.fn)
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        names = code.co_names if code else ()
        writes = {"progress", "stream_answer", "grade", "dispute", "interviews", "most_missed", "topic_progress"}
        seen.add(getattr(code, "co_qualname", ""))
        if writes & set(names) and "request" not in code.co_varnames:
            without.append(f"{code.co_qualname} uses {sorted(writes & set(names))}")

    assert without == []
    assert {"AskHandlers.answer", "ProgressHandlers.refresh"} <= seen


# Over the loopback


def test_two_learners_at_once_see_and_keep_their_own(address: str, class_settings: Settings):
    questions = {
        "ana": ["What does dropout do during training?", "What is LayerNorm?"],
        "ben": ["What is early stopping?", "How does BatchNorm work at inference?"],
    }

    async def study(ana: "load.PageClient", ben: "load.PageClient") -> None:
        for turn in range(2):
            await asyncio.gather(
                ana.do("submit", "question", questions["ana"][turn]),
                ben.do("submit", "question", questions["ben"][turn]),
            )
        for tab, own, others in ((ana, "ana", "ben"), (ben, "ben", "ana")):
            assert all(question in said(tab) for question in questions[own])
            assert not any(question in said(tab) for question in questions[others])
            assert f"<b>{own}</b>" in tab.shown("account")

    with_pages(address, "ana", "ben", do=study)

    store = Tutor(class_settings).progress
    assert {name: [one.question for one in store.exchanges(name)] for name in questions} == questions
    assert store.exchanges(class_settings.learner) == []


def test_a_page_left_open_by_one_shows_nothing_to_the_next_who_logs_in(shared_address: str):
    async def take_over(ana: "load.PageClient", ben: "load.PageClient") -> None:
        await ana.do("submit", "question", "What does dropout do during training?")
        assert "dropout" in said(ana)
        assert "dropout" not in said(ben)
        ben.session = "a session of ben's own"
        await ben.do("submit", "question", "When would you avoid it?")
        assert "Searched for" not in said(ben)

    with_pages(shared_address, "ana", "ben", do=take_over)


def test_who_is_removed_is_told_at_the_next_click(address: str, class_settings: Settings):
    assert class_settings.users_file

    async def be_removed(ana: "load.PageClient") -> None:
        UserFile(class_settings.users_file).remove("ana")
        with pytest.raises(load.PageError, match="not logged in any more"):
            await ana.do("submit", "question", "What is dropout?")

    with_pages(address, "ana", do=be_removed)

    assert Tutor(class_settings).progress.exchanges("ana") == []


def test_nothing_is_had_without_a_login(shared_address: str):
    paths = ["/config", "/gradio_api/info", "/gradio_api/queue/data?session_hash=x", "/gradio_api/file=/etc/passwd"]
    with httpx.Client(base_url=shared_address) as client:
        assert {client.get(path).status_code for path in paths} == {401}
        body = {"data": [], "fn_index": 0, "session_hash": "x"}
        assert client.post("/gradio_api/queue/join", json=body).status_code == 401
        assert client.post("/gradio_api/run/predict", json=body).status_code == 401
        assert client.post("/gradio_api/upload", files={"files": ("a.md", b"# A")}).status_code == 401
        assert client.post("/login", data={"username": "ana", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "nobody", "password": "wrong"}).json() == (
            client.post("/login", data={"username": "ana", "password": "wrong"}).json()
        )


def test_who_logs_out_is_out(shared_address: str):
    client = log_in(shared_address, "ana")
    assert client.get("/config").status_code == 200

    client.get("/logout")

    assert client.get("/config").status_code == 401


def test_no_file_of_the_server_is_had_by_its_path(shared_address: str, shared_settings: Settings):
    client = log_in(shared_address, "ana")
    home = shared_settings.home
    wanted = [home / "users.toml", home / "progress.db", home / "index" / "current.json", Path("/etc/passwd")]
    paths = [
        *(f"/gradio_api/file={file}" for file in wanted),
        *(f"/gradio_api/file/{file}" for file in wanted),
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/assets/..%2f..%2froutes.py",
    ]

    assert {client.get(path).status_code for path in paths} <= {403, 404}


def test_an_uploaded_file_lands_in_no_other_folder_whatever_its_name(shared_address: str, shared_settings: Settings):
    client = log_in(shared_address, "prof")
    guides = shared_settings.home / "guides"
    for name in ("../../evil.md", "/etc/evil.md", "..\\..\\evil.md", "evil\x00.md"):
        reply = client.post("/gradio_api/upload", files={"files": (name, b"# Evil")})
        places = [Path(place) for place in reply.json()] if reply.status_code == 200 else []
        assert all(place.resolve().is_relative_to(Path(place).parents[1].resolve()) for place in places)
        assert all(".." not in place.parts and place.parts[:2] != ("/", "etc") for place in places)

    assert not guides.exists() or not list(guides.rglob("*evil*"))
    assert not list(shared_settings.home.parent.glob("evil*"))


def test_a_file_that_is_too_large_is_refused(class_settings: Settings):
    with serving(Tutor(class_settings.model_copy(update={"max_upload_mb": 1}))) as address:
        client = log_in(address, "prof")
        small = client.post("/gradio_api/upload", files={"files": ("a.md", b"x" * 1000)})
        large = client.post("/gradio_api/upload", files={"files": ("a.md", b"x" * 1_100_000)})

        assert small.status_code == 200
        assert large.status_code == 413


def test_a_fault_tells_the_browser_nothing_of_the_program(class_settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def fail(*_arguments: object, **_options: object) -> None:
        raise KeyError("secret of the program")

    tutor = Tutor(class_settings)
    with serving(tutor) as address:
        monkeypatch.setattr(Tutor, "_stream_answer", fail)

        async def ask(ana: "load.PageClient") -> None:
            await ana.do("submit", "question", "What is dropout?")
            assert "Something went wrong" in said(ana)
            assert "secret" not in said(ana)
            assert "Traceback" not in said(ana)
            with pytest.raises(load.PageError) as caught:
                await ana._call({**ana.dependencies[0], "inputs": [10**6]})
            assert ".py" not in str(caught.value)

        with_pages(address, "ana", do=ask)


def test_one_learners_ten_clicks_keep_nobody_else_waiting(class_settings: Settings):
    model = WaitingModel()
    with serving(Tutor(class_settings, model=model)) as address:

        async def click(*tabs: "load.PageClient") -> None:
            *greedy, ben = tabs
            clicks = [asyncio.create_task(tab.do("submit", "question", "What is dropout?")) for tab in greedy]
            while sum(click.done() for click in clicks) < len(clicks) - class_settings.requests_at_once:
                await asyncio.sleep(0.02)
            refused = [said(tab) for tab, click in zip(greedy, clicks, strict=True) if click.done()]
            assert all("The tutor is still busy with 3 requests of yours" in text for text in refused)
            asked = asyncio.create_task(ben.do("submit", "question", "What does dropout do during training?"))
            await asyncio.sleep(0.3)
            model.let_go.set()
            await asyncio.gather(asked, *clicks)
            assert "Dropout zeroes each activation" in said(ben)

        with_pages(address, *["ana"] * 10, "ben", do=click)


def test_a_small_class_at_once_meets_no_error_and_is_not_mixed_up(class_settings: Settings, tmp_path: Path):
    prompts = [
        f"What does {thing} do{when}?"
        for thing in ("dropout", "BatchNorm", "LayerNorm", "weight decay", "early stopping", "AdamW")
        for when in ("", " during training", " at inference")
    ]
    learners = load.make_learners(6, prompts, tmp_path / "class.toml")
    settings = class_settings.model_copy(update={"users_file": tmp_path / "class.toml"})
    with serving(Tutor(settings)) as address:
        seconds = asyncio.run(load.visit(address, learners, 0))

    assert [learner.errors for learner in learners] == [[]] * 6
    assert load.mixed_up(settings.home / "progress.db", learners) == []
    figures = load.summary(learners, seconds, [])
    assert figures["steps"]["ask"]["count"] == 18
    assert "| 6 | none |" in load.report([{**figures, "pause_seconds": 0, "server_cpu_seconds": 1.0}], "A machine")


def test_the_benchmark_notices_a_history_that_is_another_learners(class_settings: Settings, tmp_path: Path):
    learners = load.make_learners(2, ["What is dropout?"] * 6, tmp_path / "class.toml")
    Tutor(class_settings).for_learner(learners[0].name).ask("What is LayerNorm?")

    wrong = load.mixed_up(class_settings.home / "progress.db", learners)

    assert len(wrong) == 4
    assert "What is LayerNorm?" in wrong[0]

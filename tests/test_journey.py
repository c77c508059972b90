"""A learner's way through the page, in a real browser: ask, see the source, practise, be graded, see progress."""

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest
from scripted_models import ScriptedModel

from tutor.language_model import Message
from tutor.settings import Settings
from tutor.tutor import Tutor

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("closed_event_loops"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    # Gradio and its server leave sockets and loops to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    # Gradio's queue uses pandas in ways that pandas 3 gives up.
    pytest.mark.filterwarnings(
        "ignore:'future.no_silent_downcasting' is deprecated", "ignore:The copy keyword is deprecated"
    ),
]
playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright_api.expect
OpenPage = Callable[[str], "playwright_api.Page"]


class SlowModel:
    """A model that says a sentence every tenth of a second until it is stopped."""

    name = "slow"
    window_tokens = None

    def __init__(self) -> None:
        self.stopped = Event()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        del messages, schema
        try:
            for step in count():
                if stop and stop.is_set():
                    return
                # Who says the same over and over is stopped by the tutor.
                run = f" in run {step}" if step else ""
                yield f"Dropout zeroes each activation with probability $p$ during training{run} [1]. "
                time.sleep(0.1)
        finally:
            self.stopped.set()


def serve(tutor: Tutor) -> Iterator[str]:
    """The address of the page over a tutor."""
    from ui.app import start

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = start(tutor, host="127.0.0.1", port=port)
    yield f"http://127.0.0.1:{port}"
    app.close()


@pytest.fixture
def address(tutor: Tutor) -> Iterator[str]:
    yield from serve(tutor)


@pytest.fixture
def address_without_index(settings: Settings) -> Iterator[str]:
    yield from serve(Tutor(settings))


@pytest.fixture
def slow_model() -> SlowModel:
    return SlowModel()


@pytest.fixture
def slow_address(tutor: Tutor, slow_model: SlowModel) -> Iterator[str]:
    yield from serve(Tutor(tutor.settings, model=slow_model))


@pytest.fixture
def scripted_address(tutor: Tutor) -> Iterator[str]:
    said = "Dropout zeroes each activation with probability $p$ during training [1]."
    verdicts = [{"point": point, "verdict": "made", "quote": "zeroes random activations"} for point in (1, 2, 3)]
    graded = json.dumps({"verdicts": verdicts})
    bread = "How do I bake bread with sourdough in training?"
    model = ScriptedModel(f"{said} It was invented by Alan Turing [1].", said, graded, bread, "Mix flour and water.")
    yield from serve(Tutor(tutor.settings, model=model))


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright_api.Browser"]:
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: "playwright_api.Browser") -> Iterator[OpenPage]:
    """Opens a page that, when the test ends, must have met no error and asked no other machine for anything."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    hosts: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(15_000)

    def open_at(address: str) -> "playwright_api.Page":
        page.goto(address)
        return page

    yield open_at
    page.close()
    assert hosts <= {"127.0.0.1", ""}
    assert errors == []


def ask(page: "playwright_api.Page", question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_a_learner_asks_reads_the_source_practises_and_sees_progress(address: str, open_page: OpenPage):
    page = open_page(address)
    expect(page.get_by_role("heading", name="Interview Tutor")).to_be_visible()

    ask(page, "What does dropout do during training?")
    chip = page.locator("#chat a[href='#source-0-1']").first
    expect(chip).to_have_text("[1]")
    expect(page.locator("#chat .katex").first).to_be_visible()
    chip.click()
    source = page.locator("#source-0-1")
    expect(source).to_have_class("source chosen")
    expect(source.locator("mark").first).to_contain_text("Dropout zeroes each activation")

    page.get_by_role("tab", name="Practice").click()
    page.get_by_role("button", name="Get a question").click()
    answer = page.get_by_label("Your answer")
    expect(answer).to_be_focused()
    answer.fill("Dropout zeroes random activations during training. BatchNorm pools over the batch: 50176 values.")
    page.keyboard.press("Control+Enter")
    card = page.locator("#grade-card")
    expect(card.locator(".score .points")).to_contain_text("%")
    expect(card.locator(".badge").filter(has_text="Made").first).to_be_visible()
    expect(card).to_contain_text("You said:")

    page.get_by_role("tab", name="Progress").click()
    expect(page.locator("#progress-table tbody tr")).to_have_count(1)
    expect(page.locator("#missed")).to_contain_text("Most often missed")
    page.locator("#missed a").first.click()
    expect(page.locator("#reader h1")).to_be_visible()


def test_a_verdict_is_disputed_below_the_grade(address: str, open_page: OpenPage):
    page = open_page(address)
    page.get_by_role("tab", name="Practice").click()
    page.get_by_role("button", name="Get a question").click()
    page.get_by_label("Your answer").fill("Cats are nice animals.")
    page.get_by_role("button", name="Grade my answer").click()
    page.get_by_role("button", name="Dispute a point").click()
    page.get_by_label("Key point").click()
    page.get_by_role("option").first.click()
    page.get_by_label("Your argument").fill("See “nice animals”.")
    page.get_by_role("button", name="Judge it again").click()
    expect(page.locator("#grade-card")).to_contain_text("Disputed (it was ✗ Missing): “See “nice animals”.”")


def test_a_declined_question_leads_to_the_nearest_sections(address: str, open_page: OpenPage):
    page = open_page(address)
    ask(page, "Who won the football world cup with probability p in 1998?")
    expect(page.locator("#chat")).to_contain_text("The guides do not cover this.")
    expect(page.locator("#sources")).to_contain_text("Nearest sections")


def test_html_that_a_learner_types_is_shown_as_text(address: str, open_page: OpenPage):
    page = open_page(address)
    ask(page, "Is <img src=x onerror=alert(1)> dropout?")
    expect(page.locator("#chat .user-row")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#chat .user-row img")).to_have_count(0)


def test_stop_ends_an_answer_and_frees_the_model(slow_address: str, slow_model: SlowModel, open_page: OpenPage):
    page = open_page(slow_address)
    ask(page, "What does dropout do during training?")
    expect(page.locator("#chat .bot-row")).to_contain_text("Dropout zeroes")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()

    # Within a second on a quiet machine; the bound leaves room for a busy one.
    assert slow_model.stopped.wait(timeout=10)
    expect(page.locator("#chat .bot-row")).to_contain_text("Dropout zeroes")


def test_a_model_answers_is_checked_follows_up_in_other_forms_and_quizzes(scripted_address: str, open_page: OpenPage):
    page = open_page(scripted_address)
    ask(page, "What does dropout do during training?")
    unsupported = page.locator("#chat .unsupported")
    expect(unsupported).to_have_text("It was invented by Alan Turing.")
    expect(page.locator("#chat .unsupported-note")).to_contain_text("not in the guides")
    expect(page.locator("#chat .signature")).to_contain_text("Written by scripted")

    page.get_by_role("button", name="Shorter").click()
    answers = page.locator("#chat .bot-row")
    expect(answers.nth(1)).to_contain_text("Searched for: What does dropout do during training?")
    page.get_by_role("button", name="Quiz me on this").click()
    expect(answers.nth(2)).to_contain_text("my answer:")
    ask(page, "my answer: Dropout zeroes random activations during training; at inference it is switched off.")
    expect(answers.nth(3).locator(".score .points")).to_have_text("100%")
    expect(answers.nth(3).locator(".uncertain").first).to_be_visible()

    page.get_by_label("Guides first").check()
    ask(page, "How do I bake bread with sourdough in training?")
    expect(page.locator("#chat .memory")).to_contain_text("not in the guides: from the memory of scripted")
    expect(page.locator("#chat .memory")).to_contain_text("Mix flour and water.")


def test_an_uploaded_guide_stands_in_the_library(address: str, open_page: OpenPage, tmp_path: Path):
    guide = tmp_path / "quantization.md"
    guide.write_text("# Quantization\n\n## INT8\n\nQuantization maps $w$ to 8-bit integers.\n", encoding="utf-8")
    page = open_page(address)
    page.get_by_role("tab", name="Library").click()
    page.locator("#upload input[type=file]").set_input_files(guide)
    expect(page.locator("#upload-report")).to_contain_text("Added quantization.md")
    page.locator("#documents").get_by_role("link", name="Quantization").click()
    expect(page.locator("#reader .katex")).to_be_visible()


def test_a_page_without_an_index_builds_one_on_request(address_without_index: str, open_page: OpenPage):
    page = open_page(address_without_index)
    expect(page.locator("#trouble")).to_contain_text("not indexed yet")
    page.get_by_role("button", name="Build the index now").click()
    expect(page.locator("#trouble")).to_be_hidden()
    ask(page, "What is dropout?")
    expect(page.locator("#chat a[href='#source-0-1']").first).to_be_visible()


def test_every_control_has_a_name(address: str, open_page: OpenPage):
    page = open_page(address)
    ask(page, "What is dropout?")
    expect(page.locator("#chat a[href='#source-0-1']").first).to_be_visible()
    for tab in ("Chat", "Practice", "Progress", "Library"):
        page.get_by_role("tab", name=tab).click()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, input, textarea, select, [role=button]")]
                .filter((control) => control.checkVisibility() && control.type !== "file")
                .filter((control) => ![control.ariaLabel, control.title, control.innerText, ...[...(control.labels ?? [])]
                    .map((label) => label.textContent)].some((name) => name?.trim()))
                .map((control) => control.outerHTML.slice(0, 200))"""
        )
        assert nameless == [], tab

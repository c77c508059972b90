"""A learner's way through the page, in a real browser: ask, see the source, be interviewed, be graded, see progress."""

import base64
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest
from own_bank import OWN_BANK
from page_server import BROWSER_MARKS, serving
from scripted_models import ScriptedModel

from tutor.language_model import Message
from tutor.progress import Review
from tutor.settings import Settings
from tutor.tutor import Tutor

pytestmark = [
    *BROWSER_MARKS,
    # Gradio's queue uses pandas in ways that pandas 3 gives up.
    pytest.mark.filterwarnings(
        "ignore:'future.no_silent_downcasting' is deprecated", "ignore:The copy keyword is deprecated"
    ),
]
playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright_api.expect
OpenPage = Callable[[str], "playwright_api.Page"]


ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


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


@pytest.fixture
def address(tutor: Tutor) -> Iterator[str]:
    with serving(tutor) as address:
        yield address


@pytest.fixture
def address_without_index(settings: Settings) -> Iterator[str]:
    with serving(Tutor(settings)) as address:
        yield address


@pytest.fixture
def slow_model() -> SlowModel:
    return SlowModel()


@pytest.fixture
def slow_address(tutor: Tutor, slow_model: SlowModel) -> Iterator[str]:
    with serving(Tutor(tutor.settings, model=slow_model)) as address:
        yield address


@pytest.fixture
def scripted_address(tutor: Tutor) -> Iterator[str]:
    said = "Dropout zeroes each activation with probability $p$ during training [1]."
    verdicts = [{"point": point, "verdict": "made", "quote": "zeroes random activations"} for point in (1, 2, 3)]
    graded = json.dumps({"verdicts": verdicts})
    bread = "How do I bake bread with sourdough in training?"
    model = ScriptedModel(f"{said} It was invented by Alan Turing [1].", said, graded, bread, "Mix flour and water.")
    with serving(Tutor(tutor.settings, model=model)) as address:
        yield address


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

    page.get_by_role("tab", name="Interview").click()
    page.get_by_role("button", name="Start the interview").click()
    answer = page.get_by_label("Your answer")
    expect(answer).to_be_focused()
    answer.fill("Dropout zeroes random activations during training. BatchNorm pools over the batch: 50176 values.")
    page.keyboard.press("Control+Enter")
    card = page.locator("#transcript .card")
    expect(card.locator(".score .points")).to_contain_text("%")
    expect(card.locator(".badge").filter(has_text="Made").first).to_be_visible()
    expect(card).to_contain_text("You said:")

    page.get_by_role("tab", name="Progress").click()
    expect(page.locator("#standing .topics tbody tr")).to_have_count(1)
    expect(page.locator("#points")).to_contain_text("Most often missed")
    page.locator("#points a").first.click()
    expect(page.locator("#reader h1")).to_be_visible()


def test_progress_shows_what_is_due_plans_maps_the_guides_and_saves_files(
    address: str, tutor: Tutor, open_page: OpenPage, tmp_path: Path
):
    long_ago = datetime.now(UTC) - timedelta(days=9)
    tutor.progress.record_review("me", Review("batchnorm-count", "regularization", "50176", 0.2, {}, long_ago))
    page = open_page(address)
    page.get_by_role("tab", name="Progress").click()
    due = page.locator("#due")
    expect(due).to_contain_text("Due today: 1")
    due.get_by_role("link", name="Practise it now").click()
    expect(page.locator("#interview-question")).to_contain_text("How many values does BatchNorm average")
    answer = page.get_by_label("Your answer")
    expect(answer).to_be_focused()
    answer.fill(
        "BatchNorm pools over the batch and the spatial axes, 50176 values, with a mean and variance for each channel."
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator("#transcript .score .points")).to_contain_text("%")

    page.get_by_role("tab", name="Progress").click()
    expect(due).to_contain_text("Nothing is due today")
    page.get_by_label("Day of the interview").fill(f"{datetime.now() + timedelta(days=20):%Y-%m-%d}")
    expect(page.locator("#plan")).to_contain_text("in 20 days: 1 a day")
    expect(page.locator("#plan svg")).to_be_visible()
    page.locator("#map .tile[title^='Dropout: never asked']").click()
    chosen = page.locator("#map li.chosen")
    expect(chosen).to_be_focused()
    chosen.get_by_role("link", name="Ask me about Dropout").click()
    expect(page.locator("#interview-question")).to_contain_text("What does dropout do")
    page.get_by_label("Your answer").fill(
        "Dropout zeroes random activations during training; at inference it is switched off."
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator("#transcript .score .points")).to_contain_text("%")

    page.get_by_role("tab", name="Progress").click()
    expect(page.locator("#map .tile[title^='Dropout: strong']")).to_be_visible()
    expect(page.locator("#interviews tbody tr")).to_have_count(2)
    for name, ending in (("Anki deck", "apkg"), ("JSON", "json")):
        with page.expect_download() as saving:
            page.locator("#exports").get_by_role("link", name=name).click()
        saving.value.save_as(tmp_path / f"history.{ending}")
    assert zipfile.is_zipfile(tmp_path / "history.apkg")

    page.reload()
    page.get_by_role("tab", name="Progress").click()
    expect(page.locator("#plan")).to_contain_text("in 20 days")
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_label("Type delete to confirm").fill("delete")
    page.get_by_role("button", name="Delete everything of mine").click()
    expect(page.locator("#deleted")).to_contain_text("Deleted: 3 reviews")
    expect(page.get_by_role("tab", name="Chat")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Progress").click()
    expect(page.locator("#progress-head")).to_contain_text("Nothing graded yet")
    page.locator("input[type=file][accept='.json']").set_input_files(tmp_path / "history.json")
    expect(page.locator("#standing .topics tbody tr")).to_have_count(1)


def begin_interview(page: "playwright_api.Page") -> None:
    """An interview of two questions, the first of them about dropout."""
    page.get_by_role("tab", name="Interview").click()
    page.get_by_label("Level to start at").click()
    page.get_by_role("option", name="Junior").click()
    page.get_by_label("Style").click()
    page.get_by_role("option", name="Deep dive").click()
    page.get_by_role("button", name="Start the interview").click()
    expect(page.locator("#status")).to_contain_text("Question 1 of 2")
    expect(page.locator("#interview-question")).to_contain_text("What does dropout do")


def test_an_interview_helps_asks_on_and_outlives_a_refresh(address: str, open_page: OpenPage):
    page = open_page(address)
    begin_interview(page)
    page.get_by_role("button", name="Hint (-5%)").click()
    transcript = page.locator("#transcript")
    expect(transcript).to_contain_text("Think of what happens to single units.")
    answer = page.locator("#attempt textarea")
    answer.fill("What do you mean by patience?")
    page.keyboard.press("Control+Enter")
    expect(transcript).to_contain_text("a number of epochs called the patience")
    expect(answer).to_have_value("")
    answer.fill("Dropout zeroes random activations during training.")
    page.keyboard.press("Control+Enter")
    expect(transcript.locator(".score .points")).to_have_text("50%")
    expect(transcript).to_contain_text("What can you add about “Dropout”?")
    expect(transcript).not_to_contain_text("Dropout is switched off at inference.")

    page.reload()
    page.get_by_role("tab", name="Interview").click()
    page.get_by_role("button", name="Go on with it").click()
    expect(transcript).to_contain_text("Think of what happens to single units.")
    expect(transcript.locator(".score .points")).to_have_text("50%")
    page.get_by_label("Your answer to the follow-up").fill("It is switched off at inference.")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(transcript).to_contain_text("That makes the point: +17%")
    expect(transcript).to_contain_text("One more thing belongs to a full answer.")


def test_an_interview_takes_disputes_teaches_and_ends_with_a_report_to_save(address: str, open_page: OpenPage):
    page = open_page(address)
    begin_interview(page)
    transcript = page.locator("#transcript")
    page.locator("#attempt textarea").fill("Dropout zeroes random activations during training.")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Dispute a point").click()
    page.get_by_label("Key point").click()
    page.get_by_role("option").first.click()
    page.get_by_label("Your argument").fill("See “random activations”.")
    page.get_by_role("button", name="Judge it again").click()
    expect(transcript).to_contain_text("See “random activations”.")

    page.get_by_role("button", name="Next question").click()
    expect(page.locator("#status")).to_contain_text("Question 2 of 2")
    page.get_by_role("button", name="I don't know").click()
    expect(transcript).to_contain_text("What a good answer says")
    page.get_by_role("button", name="See the report").click()
    report = page.locator("#how-it-went")
    expect(report).to_contain_text("1 of 2 questions answered · 1 not known · 0 hints")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Markdown").click()
    text = saved.value.path().read_text(encoding="utf-8")
    assert text.startswith("# Interview of ")
    assert "> Dropout zeroes random activations during training." in text
    report.get_by_role("link", name="Dropout").first.click()
    expect(page.locator("#reader h1")).to_be_visible()

    page.get_by_role("tab", name="Interview").click()
    page.get_by_role("button", name="Another interview").click()
    expect(page.get_by_role("button", name="Start the interview")).to_be_visible()
    expect(page.get_by_role("button", name="Go on with it")).to_be_hidden()


def test_the_second_tab_of_an_interview_is_told_and_shows_where_it_stands(
    address: str, open_page: OpenPage, browser: "playwright_api.Browser"
):
    first = open_page(address)
    first.get_by_role("tab", name="Interview").click()
    first.get_by_role("button", name="Start the interview").click()
    expect(first.locator("#status")).to_contain_text("Question 1")
    second = browser.new_page()
    second.goto(address)
    second.get_by_role("tab", name="Interview").click()
    second.get_by_role("button", name="Go on with it").click()
    expect(second.locator("#status")).to_contain_text("Question 1")
    first.get_by_label("Your answer").fill("Cats are nice animals.")
    first.keyboard.press("Control+Enter")
    expect(first.locator("#transcript .score")).to_be_visible()

    second.get_by_label("Your answer").fill("Dogs are nice animals.")
    second.get_by_role("button", name="Answer", exact=True).click()

    expect(second.locator(".toast-body")).to_contain_text("went on in another tab")
    expect(second.locator("#transcript")).to_contain_text("Cats are nice animals.")
    expect(second.locator("#attempt textarea")).to_have_value("Dogs are nice animals.")
    second.close()


def test_a_conversation_is_brought_back_by_a_reload_and_judged(address: str, open_page: OpenPage, tutor: Tutor):
    page = open_page(address)
    box = page.get_by_label("Your question")
    box.fill("What does dropout do during training?")
    page.keyboard.press("Control+Enter")
    answers = page.locator("#chat .bot-row")
    expect(answers.first.locator("a[href='#source-0-1']").first).to_be_visible()
    page.get_by_role("button", name="Shorter").click()
    expect(answers).to_have_count(2)
    expect(box).to_be_focused()
    ask(page, "And when would you avoid it?")
    expect(answers.nth(2)).to_contain_text("Searched for: When would you avoid dropout")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()

    page.reload()
    expect(answers).to_have_count(3)
    expect(answers.nth(2)).to_contain_text("Searched for: When would you avoid dropout")
    page.locator("#chat a[href='#source-0-1']").first.click()
    expect(page.locator("#source-0-1 mark").first).to_contain_text("Dropout zeroes each activation")

    page.get_by_role("button", name="Dislike").first.click()
    page.get_by_label("Not in the guides").check()
    page.get_by_label("In your words").fill("no number is named")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#reason-form")).to_be_hidden()
    [thumb] = tutor.progress.feedback("me")
    assert (thumb.kind, thumb.reason) == ("down", "Not in the guides: no number is named")

    page.reload()
    expect(page.get_by_role("button", name="Disliked")).to_have_count(1)


def test_conversations_are_narrowed_found_renamed_saved_and_deleted(address: str, open_page: OpenPage):
    page = open_page(address)
    answers = page.locator("#chat .bot-row")
    ask(page, "What does dropout do during training?")
    expect(answers.first.locator("a[href='#source-0-1']").first).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    expect(answers).to_have_count(0)
    page.get_by_role("button", name="Search in: all guides").click()
    page.get_by_label("Topics", exact=True).last.click()
    page.get_by_role("option", name="normalization").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Search in: topic normalization")).to_be_visible()
    ask(page, "What is LayerNorm?")
    expect(answers.first).to_contain_text("Searched only in topic normalization.")
    titles = page.locator("#conversation-list label")
    expect(titles).to_have_text(["What is LayerNorm?", "What does dropout do during training?"])

    page.get_by_label("Search conversations").fill("dropout zeroes")
    expect(titles).to_have_text(["What does dropout do during training?"])
    titles.first.click()
    expect(answers.first).to_contain_text("Dropout zeroes each activation")
    expect(page.get_by_role("button", name="Search in: all guides")).to_be_visible()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name of this conversation").fill("About dropout")
    page.keyboard.press("Enter")
    page.get_by_label("Search conversations").fill("")
    expect(titles).to_have_text(["What is LayerNorm?", "About dropout"])

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as saved:
        page.locator("#conversation-links").get_by_role("link", name="Markdown").click()
    assert saved.value.suggested_filename == "about-dropout.md"
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, delete it").click()
    expect(titles).to_have_text(["What is LayerNorm?"])
    expect(answers).to_have_count(0)


def test_escape_stops_an_answer_which_is_kept_as_far_as_it_came(
    slow_address: str, slow_model: SlowModel, open_page: OpenPage, browser: "playwright_api.Browser"
):
    page = open_page(slow_address)
    ask(page, "What does dropout do during training?")
    answer = page.locator("#chat .bot-row")
    expect(answer).to_contain_text("in run 2")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    assert slow_model.stopped.wait(5)

    other_tab = browser.new_page()
    other_tab.goto(slow_address)
    expect(other_tab.locator("#chat .bot-row")).to_contain_text("in run 2")
    other_tab.close()


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


def test_guides_are_uploaded_read_searched_and_removed(address: str, open_page: OpenPage, tmp_path: Path):
    guide, broken, picture = tmp_path / "quantization.md", tmp_path / "broken.md", tmp_path / "range.png"
    sections = "\n\n".join(f"## Section {number}\n\nIt fills the page with words. " for number in range(40))
    guide.write_text(
        "# Quantization\n\n## INT8\n\nQuantization maps $w$ to 8-bit integers.\n\n![range](figures/range.png)\n\n"
        f"![gone](gone.png)\n\n{sections}\n\n## 离群值\n\n离群值会拉大张量的数值范围。按通道缩放可以限制它的影响。\n",
        encoding="utf-8",
    )
    broken.write_bytes(b"# Broken\n\xff")
    picture.write_bytes(ONE_PIXEL)
    page = open_page(address)
    page.get_by_role("tab", name="Library").click()
    page.get_by_role("tab", name="Your guides").click()
    page.locator("#upload input[type=file]").set_input_files([guide, broken, picture])
    report = page.locator("#upload-report")
    expect(report).to_contain_text("3 of 3 files finished")
    expect(report.locator("li").nth(0)).to_contain_text("quantization.md ✓ added, 42 passages.")
    expect(report.locator("li").nth(1)).to_contain_text("broken.md ✗ left out: line 2 is not UTF-8")
    expect(report.locator("li").nth(2)).to_contain_text("range.png ✓ shown in quantization.md")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()

    report.get_by_role("link", name="Read it").click()
    expect(page.locator("#reader .katex")).to_be_visible()
    expect(page.locator("#reader .missing")).to_have_text("Picture missing: gone (gone.png)")
    assert page.locator("#reader img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1

    page.locator("#contents summary").click()
    page.locator("#contents").get_by_role("link", name="Section 39").click()
    expect(page.locator("#reader h2", has_text="Section 39")).to_be_in_viewport()

    page.get_by_label("Search in the guides").fill("离群值")
    page.keyboard.press("Enter")
    link = page.locator("#found").get_by_role("link", name="离群值").first
    for _ in range(2):
        link.click()
        mark = page.locator("#reader mark")
        expect(mark).to_have_text("离群值会拉大张量的数值范围。")
        expect(mark).to_be_in_viewport()
        page.locator("#reader").evaluate("(reader) => reader.scrollTo(0, 0)")
        expect(mark).not_to_be_in_viewport()

    page.get_by_role("tab", name="Your guides").click()
    page.locator("#guide-to-remove").get_by_label("Guide").click()
    page.get_by_role("option", name="quantization.md").click()
    page.get_by_role("button", name="Remove this guide").click()
    page.get_by_role("button", name="Yes, remove it").click()
    expect(page.locator("#library-report")).to_contain_text("Removed: quantization.md.")
    page.get_by_role("tab", name="Read and search").click()
    page.get_by_role("button", name="Back to all guides").click()
    expect(page.locator("#documents tbody tr")).to_have_count(3)


def test_a_citation_in_the_chat_opens_the_guide_at_the_marked_sentence(address: str, open_page: OpenPage):
    page = open_page(address)
    for _ in range(2):
        ask(page, "What does dropout do during training?")
        page.locator("#chat a[href^='#source-']").last.click()
        page.locator("#sources details[open]").first.get_by_role("link", name="Open the guide here").click()
        mark = page.locator("#reader mark").first
        expect(mark).to_contain_text("Dropout zeroes each activation")
        expect(mark).to_be_in_viewport()
        page.get_by_role("tab", name="Chat").click()


def test_questions_are_drafted_checked_mended_and_saved(address: str, open_page: OpenPage):
    page = open_page(address)
    page.get_by_role("tab", name="Library").click()
    page.get_by_role("tab", name="Your questions").click()
    page.locator("#draft-from").get_by_label("Guide").click()
    page.get_by_role("option", name="Regularization").click()
    page.get_by_role("button", name="Draft questions").click()
    report = page.locator("#bank-report")
    expect(report).to_contain_text("It counts once you have read and saved it.")
    editor = page.locator("#bank-text .cm-content")
    expect(editor).to_contain_text("draft: true")

    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(OWN_BANK.replace("junior", "expert"))
    page.get_by_role("button", name="Check").click()
    expect(report).to_contain_text("line 5 the level is 'expert'")
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(OWN_BANK)
    page.get_by_role("button", name="Save to the bank").click()
    expect(report).to_contain_text("saved: 1 question can be asked now.")
    expect(page.locator("#own-banks")).to_contain_text("regularization-draft.md")


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
    for tab in ("Chat", "Interview", "Progress", "Library"):
        page.get_by_role("tab", name=tab).click()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, input, textarea, select, [role=button]")]
                .filter((control) => control.checkVisibility() && control.type !== "file")
                .filter((control) => ![control.ariaLabel, control.title, control.innerText, ...[...(control.labels ?? [])]
                    .map((label) => label.textContent)].some((name) => name?.trim()))
                .map((control) => control.outerHTML.slice(0, 200))"""
        )
        assert nameless == [], tab

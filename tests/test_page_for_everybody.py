"""The page as assistive technology, a keyboard, and the author of a hostile guide meet it, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_server import BROWSER_MARKS, event_loops_closed, serving

from tutor.settings import Settings
from tutor.tutor import Tutor
from tutor.users import UserFile

pytestmark = BROWSER_MARKS
playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
expect = playwright_api.expect
OpenPage = Callable[[str], "playwright_api.Page"]

KNOWN = {
    # The button of Gradio's date field has a picture and no name.
    ("button-name", ".calendar"),
    # Before the login the document has no title yet.
    ("document-title", "html"),
}
"""Violations that Gradio causes: the rule, and a part of where. One that is gone is to be taken out here."""
EVIL = "window.pwned = true"
HOSTILE_GUIDE = f"""\
---
title: "Sabotage <img src=x onerror='{EVIL}'>"
topic: sabotage
level: mid
summary: "<script>{EVIL}</script>"
---

# Sabotage <script>{EVIL}</script>

## Gradient sabotage <svg onload="{EVIL}">

Gradient sabotage flips the sign of each gradient <img src=x onerror="{EVIL}"> during training, so that the loss rises.
Read [more on gradient sabotage](javascript:{EVIL.replace(" ", "")}), <a href="javascript:{EVIL}">here</a>,
[there](data:text/html,<script>{EVIL}</script>) and <iframe srcdoc="<script>parent.{EVIL}</script>"></iframe>.
![a picture](https://evil.example/pixel.png) The sabotage is measured by $\\href{{javascript:{EVIL}}}{{x}}$ each epoch.

```html
<img src=x onerror="{EVIL}">
```

<form action="https://evil.example"><input name="password"></form><style>* {{ display: none }}</style>
"""
HOSTILE_BANK = f"""\
---
topic: sabotage
---

## What does gradient sabotage do? <img src=x onerror="{EVIL}">

```yaml
id: sabotage
level: mid
kind: concept
```

### Answer

It flips the sign of each gradient. <script>{EVIL}</script>

### Key points

- [2] It flips the sign of each gradient. <svg onload="{EVIL}"> -> sabotage#gradient-sabotage
  - the gradient's direction is turned around
  - the update goes uphill
- [1] The loss rises. <img src=x onerror="{EVIL}"> -> sabotage#gradient-sabotage
  - the training error becomes larger
  - the objective goes up

### Misconceptions

- It speeds up training. <script>{EVIL}</script> -> sabotage#gradient-sabotage

### Follow-ups

- How would you notice it? <img src=x onerror="{EVIL}">

### Hints

1. Think of the sign. <img src=x onerror="{EVIL}">
"""
WHAT_COULD_RUN = """() => [...document.querySelectorAll(
    "#root *, body *")].filter((element) =>
    [...element.attributes].some(({ name, value }) => name.startsWith("on") || /^\\s*(javascript|data:text)/i.test(value))
    || (element.matches("iframe, object, embed, form, script, style") && /pwned|evil/.test(element.outerHTML)))
    .map((element) => element.outerHTML.slice(0, 200))"""


@pytest.fixture
def address(tutor: Tutor) -> Iterator[str]:
    with serving(tutor) as address:
        yield address


@pytest.fixture(scope="module")
def login_address(shared_tutor: Tutor) -> Iterator[str]:
    users = UserFile(shared_tutor.settings.home / "users.toml")
    users.add("ana", "violet tractor hums", role="learner")
    settings = shared_tutor.settings.model_copy(update={"users_file": users.path})
    with event_loops_closed(), serving(Tutor(settings)) as address:
        yield address


@pytest.fixture
def hostile_address(settings: Settings, small_corpus: Path) -> Iterator[str]:
    (small_corpus / "guides" / "sabotage.md").write_text(HOSTILE_GUIDE, encoding="utf-8")
    (small_corpus / "questions" / "sabotage.md").write_text(HOSTILE_BANK, encoding="utf-8")
    tutor = Tutor(settings)
    tutor.update_index()
    with serving(tutor) as address:
        yield address


@pytest.fixture
def open_page(browser: "playwright_api.Browser") -> Iterator[OpenPage]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(15_000)

    def open_at(address: str) -> "playwright_api.Page":
        page.goto(address)
        return page

    yield open_at
    page.close()


def ask(page: "playwright_api.Page", question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator("#chat a[href='#source-0-1']").first).to_be_visible()


def begin_interview(page: "playwright_api.Page") -> None:
    page.get_by_role("tab", name="Interview").click()
    page.get_by_role("button", name="Start the interview").click()
    expect(page.get_by_label("Your answer")).to_be_visible()


def violations(page: "playwright_api.Page", place: str) -> set[tuple[str, str, str]]:
    """What axe-core finds serious or critical: place, rule, element."""
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return {
        (place, violation["id"], " ".join(map(str, node["target"])))
        for violation in found
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    }


def is_known(rule: str, target: str) -> bool:
    return any(rule == known and part in target for known, part in KNOWN)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_tab(address: str, open_page: OpenPage, theme: str):
    page = open_page(f"{address}/?__theme={theme}")
    ask(page, "What does dropout do during training?")
    found = violations(page, "Chat")
    begin_interview(page)
    found |= violations(page, "Interview, asked")
    page.get_by_label("Your answer").fill("Dropout zeroes random activations during training.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#transcript .score").first).to_be_visible()
    found |= violations(page, "Interview, graded")
    tabs = [tab.inner_text() for tab in page.get_by_role("tab").all() if tab.is_visible()]
    for name in tabs:
        if name in {"Chat", "Interview"}:
            continue
        tab = page.get_by_role("tab", name=name, exact=True)
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        page.wait_for_timeout(500)
        found |= violations(page, name)

    assert len(tabs) >= 4
    assert {one for one in found if not is_known(*one[1:])} == set()


def test_axe_finds_nothing_serious_in_the_login(login_address: str, open_page: OpenPage):
    page = open_page(login_address)
    expect(page.get_by_label("username")).to_be_visible()

    assert {one for one in violations(page, "login") if not is_known(*one[1:])} == set()


def test_a_learner_logs_in_and_out(login_address: str, open_page: OpenPage):
    page = open_page(login_address)
    page.get_by_label("username").fill("ana")
    page.get_by_label("password").fill("a guess")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Incorrect Credentials")).to_be_visible()
    page.get_by_label("username").fill("ana")
    page.get_by_label("password").fill("violet tractor hums")
    page.keyboard.press("Enter")
    expect(page.locator("#account")).to_contain_text("Logged in as ana")
    page.get_by_role("link", name="Log out").click()
    expect(page.get_by_label("username")).to_be_visible()


def test_the_keyboard_alone_asks_changes_the_tab_and_answers(address: str, open_page: OpenPage):
    page = open_page(address)
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("What does dropout do during training?")
    # Gradio mounts its buttons one after the other: one that is not there yet is passed over.
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#chat a[href='#source-0-1']").first).to_be_visible()

    page.get_by_role("tab", name="Interview").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Start the interview").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your answer")).to_be_focused()
    page.keyboard.type("Dropout zeroes random activations during training.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#transcript .score").first).to_be_visible()


def test_a_hostile_guide_is_shown_and_runs_nowhere(hostile_address: str, open_page: OpenPage):
    page = open_page(hostile_address)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def check(place: str) -> None:
        page.wait_for_timeout(300)
        assert page.evaluate("() => window.pwned") is None, place
        assert page.evaluate(WHAT_COULD_RUN) == [], place

    ask(page, f"What does gradient sabotage do? <img src=x onerror='{EVIL}'>")
    expect(page.locator("#chat")).to_contain_text("flips the sign")
    expect(page.locator("#chat")).to_contain_text("<img src=x")
    check("chat")
    page.locator("#sources details").first.evaluate("source => { source.open = true }")
    check("sources")
    page.get_by_role("link", name="Open the guide here").first.click()
    expect(page.locator("#reader")).to_contain_text("flips the sign")
    check("library")
    page.get_by_role("tab", name="Interview").click()
    page.get_by_label("Topics (none: all)").click()
    page.get_by_role("option", name="Sabotage").click()
    page.keyboard.press("Escape")
    begin_interview(page)
    expect(page.locator("#interview-question")).to_contain_text("What does gradient sabotage do?")
    page.get_by_label("Your answer").fill(
        f"It flips the sign of each gradient <img src=x onerror='{EVIL}'> [x](javascript:{EVIL}) and speeds up training."
    )
    page.keyboard.press("Control+Enter")
    expect(page.locator("#transcript .score").first).to_be_visible()
    for fold in page.locator("#transcript summary").all():
        fold.click()
    check("grade")

    assert not [url for url in asked if "evil.example" in url]

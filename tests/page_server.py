"""The page on the loopback, for the tests that speak to it or drive a browser over it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tutor.tutor import Tutor

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SERVER_MARKS = [
    pytest.mark.usefixtures("closed_event_loops"),
    # Gradio and its server leave sockets and loops to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
BROWSER_MARKS = [
    *SERVER_MARKS,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@contextmanager
def event_loops_closed() -> Iterator[None]:
    """Closes the event loops that Gradio makes for its locks meanwhile, and leaves open."""
    made: list[asyncio.AbstractEventLoop] = []
    with pytest.MonkeyPatch.context() as patch:
        make = asyncio.new_event_loop
        patch.setattr(asyncio, "new_event_loop", lambda: made.append(make()) or made[-1])
        yield
    asyncio.set_event_loop(None)
    for loop in made:
        if not loop.is_running():
            loop.close()


@contextmanager
def serving(tutor: Tutor) -> Iterator[str]:
    """The address of the page over a tutor, on a free port."""
    from ui.app import start

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = start(tutor, host="127.0.0.1", port=port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. While it runs, Playwright's own event loop runs in the thread that started it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()

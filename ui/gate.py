"""Who and what the page's server lets in: logins, requests from other sites, too many requests; and what browsers may do with it."""

from __future__ import annotations

import asyncio
import logging
import re
from contextvars import ContextVar
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tutor.users import UserFile, UsersError

FAILED_LOGIN_MINUTES = 15
NAMES_AT_AN_ADDRESS = 10
"""An address may have the failed logins of so many names: a class often shares one."""
UPLOADS_A_MINUTE = 10
_PASSWORDS_AT_ONCE = 2
"""Each takes a processor; more would hold up those who are in already."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Gradio writes scripts and styles into its page. What counts: nothing is fetched from another site, sent there, or shown in it.
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
}
# Gradio would fetch any public address for whoever asks, and serve it as its own.
_FETCHES_FOR_OTHERS = re.compile(r"/(?:file[=/]\s*https?:|proxy=)", re.IGNORECASE)
_caller: ContextVar[str] = ContextVar("caller", default="")
"""The address that the request at hand comes from: Gradio tells its `auth` the name and the password alone."""


class Logins:
    """Checks names and passwords, and soon checks no more for who guesses. What it says never tells which names there are."""

    def __init__(self, users: UserFile, *, failed_logins: int) -> None:
        """`failed_logins` is the number that a name has from one address, in a quarter of an hour."""
        self._users = users
        self._of_name = RateLimitItemPerMinute(failed_logins, FAILED_LOGIN_MINUTES)
        self._of_address = RateLimitItemPerMinute(failed_logins * NAMES_AT_AN_ADDRESS, FAILED_LOGIN_MINUTES)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._at_once = asyncio.Semaphore(_PASSWORDS_AT_ONCE)

    async def check(self, name: str, password: str) -> bool:
        """Whether this login is let in. Gradio's `auth`."""
        caller = _caller.get()
        by_name, by_address = (self._of_name, name.casefold()[:100], caller), (self._of_address, caller)
        async with self._at_once:
            if not (self._limiter.test(*by_name) and self._limiter.test(*by_address)):
                logging.getLogger(__name__).warning("Too many failed logins from %s.", caller or "somewhere")
                return False
            try:
                is_right = await asyncio.to_thread(self._users.verify, name, password)
            except UsersError as error:
                logging.getLogger(__name__).error("%s", error)
                return False
            if not is_right:
                self._limiter.hit(*by_name)
                self._limiter.hit(*by_address)
            return is_right


class Gate:
    """What stands before Gradio: turns away requests that other sites make a browser send, and those that are too many.

    Gradio itself answers any site with the learner's cookie as soon as it is not served at localhost.
    """

    def __init__(self, app: ASGIApp, *, requests_a_minute: int) -> None:
        """`requests_a_minute` is for each learner who logged in."""
        self._app = app
        self._requests = RateLimitItemPerMinute(requests_a_minute)
        self._uploads = RateLimitItemPerMinute(UPLOADS_A_MINUTE)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        _caller.set(scope["client"][0] if scope.get("client") else "")
        answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """The answer to what is not let in; None for what is."""
        if _FETCHES_FOR_OTHERS.search(scope["path"]):
            return _refused(403, "Nothing is fetched from other addresses here.")
        if not is_own_page(scope["method"], Headers(scope=scope)):
            return _refused(403, "This request comes from another site. Open the tutor's own page.")
        learner = _learner(scope) if scope["method"] == "POST" else ""
        if learner and scope["path"].endswith("/upload") and not self._limiter.hit(self._uploads, "upload", learner):
            return _refused(429, "Too many files at once. Wait a minute, then go on.")
        if learner and not self._limiter.hit(self._requests, learner):
            return _refused(429, "The tutor is busy: you asked for too much at once. Wait a minute, then go on.")
        return None


def is_own_page(method: str, headers: Headers) -> bool:
    """Whether a request comes from the page itself, from a typed address, from a link, or from a program that is no browser."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host")
    is_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return is_link or headers.get("sec-fetch-site", "none") in {"same-origin", "none"}


def _learner(scope: Scope) -> str:
    """Who sent a request, as Gradio knows them by their cookie; empty for who is not logged in."""
    gradio, cookies = scope["app"], HTTPConnection(scope).cookies
    tokens = (cookies.get(f"access-token-{kind}{gradio.cookie_id}", "") for kind in ("", "unsecure-"))
    return next((gradio.tokens[token] for token in tokens if token in gradio.tokens), "")


def _refused(status: int, reason: str) -> JSONResponse:
    # The page shows what stands under this name.
    return JSONResponse({"detail": reason}, status_code=status)

import asyncio
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tutor.users import UserFile
from ui.gate import NAMES_AT_AN_ADDRESS, UPLOADS_A_MINUTE, Gate, Logins, is_own_page

GOOD = "violet tractor hums"


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    file = UserFile(tmp_path / "users.toml")
    for name in ("ana", "ben"):
        file.add(name, GOOD, role="learner")
    return file


@pytest.fixture
def client() -> TestClient:
    """A server behind the gate that knows two learners by their cookies, as Gradio does."""

    async def answer(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("let in")

    app = Starlette(
        routes=[Route("/{path:path}", answer, methods=["GET", "HEAD", "POST"])],
        middleware=[Middleware(Gate, requests_a_minute=12)],
    )
    app.cookie_id = "here"  # type: ignore[attr-defined]
    app.tokens = {"token of ana": "ana", "other token of ana": "ana", "token of ben": "ben"}  # type: ignore[attr-defined]
    return TestClient(app, base_url="http://tutor.example")


def cookie(token: str, kind: str = "unsecure-") -> dict[str, str]:
    return {"cookie": f"access-token-{kind}here={token}"}


def tries(logins: Logins, *attempts: tuple[str, str]) -> list[bool]:
    """Whether each login was let in, one after the other."""

    async def run() -> list[bool]:
        return [await logins.check(name, password) for name, password in attempts]

    return asyncio.run(run())


# Logins


def test_a_name_with_its_password_is_let_in(users: UserFile):
    logins = Logins(users, failed_logins=3)

    assert tries(logins, ("ana", GOOD), ("ana", "wrong"), ("nobody", GOOD)) == [True, False, False]


def test_who_guesses_too_often_is_not_let_in_even_with_the_right_password_and_others_are(users: UserFile):
    logins = Logins(users, failed_logins=3)

    assert tries(logins, *[("ana", f"guess {number}") for number in range(3)]) == [False] * 3
    assert tries(logins, ("ana", GOOD), ("Ana", GOOD), ("ben", GOOD)) == [False, False, True]


def test_right_passwords_are_never_too_many(users: UserFile):
    assert all(tries(Logins(users, failed_logins=3), *[("ana", GOOD)] * 6))


def test_an_address_that_tries_many_names_is_stopped_too(users: UserFile):
    logins = Logins(users, failed_logins=1)
    tries(logins, *[(f"name{number}", "guess") for number in range(NAMES_AT_AN_ADDRESS)])

    assert tries(logins, ("ana", GOOD)) == [False]


def test_a_file_of_users_that_breaks_lets_nobody_in(users: UserFile):
    logins = Logins(users, failed_logins=3)
    users.path.write_text("[users", encoding="utf-8")

    assert tries(logins, ("ana", GOOD)) == [False]


def test_many_at_once_are_all_let_in(users: UserFile):
    logins = Logins(users, failed_logins=3)

    async def run() -> list[bool]:
        return await asyncio.gather(*(logins.check("ana", GOOD) for _ in range(12)))

    assert all(asyncio.run(run()))


# Requests


def test_the_page_itself_a_typed_address_and_a_program_are_let_in(client: TestClient):
    assert client.get("/").text == "let in"
    assert client.get("/config", headers={"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}).text == "let in"
    own = {"origin": "http://tutor.example", "sec-fetch-site": "same-origin"}
    assert client.post("/gradio_api/queue/join", headers=own).text == "let in"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://tutor.example:8000"},
        {"origin": "https://tutor.example.evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_another_site_makes_a_browser_send_is_turned_away(
    client: TestClient, headers: dict[str, str], method: str
):
    reply = client.request(method, "/gradio_api/token", headers={**headers, **cookie("token of ana")})

    assert reply.status_code == 403
    assert "another site" in reply.json()["detail"]


def test_a_link_from_another_site_opens_the_page_and_posts_nothing():
    link = Headers({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})

    assert is_own_page("GET", link)
    assert not is_own_page("POST", link)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://example.org/",
        "/gradio_api/file=HTTP://example.org/",
        "/gradio_api/file=%68ttps://example.org/",
        "/gradio_api/file/https://example.org/",
        "/gradio_api/proxy=https://example.org/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_is_fetched_from_elsewhere_for_anybody(client: TestClient, path: str, method: str):
    assert client.request(method, path).status_code == 403


def test_a_learner_may_ask_so_much_a_minute_whatever_the_login_and_others_go_on(client: TestClient):
    statuses = [
        client.post("/gradio_api/queue/join", headers=cookie(token, kind)).status_code
        for token, kind in [("token of ana", "unsecure-"), ("other token of ana", "")] * 7
    ]

    assert statuses == [200] * 12 + [429] * 2
    refused = client.post("/gradio_api/queue/join", headers=cookie("token of ana"))
    assert "Wait a minute" in refused.json()["detail"]
    assert client.post("/gradio_api/queue/join", headers=cookie("token of ben")).status_code == 200
    # Looking on is not asking.
    assert client.get("/config", headers=cookie("token of ana")).status_code == 200


def test_uploads_are_counted_by_themselves(client: TestClient):
    statuses = [
        client.post("/gradio_api/upload", headers=cookie("token of ana")).status_code for _ in range(UPLOADS_A_MINUTE)
    ]

    assert set(statuses) == {200}
    assert "files" in client.post("/gradio_api/upload", headers=cookie("token of ana")).json()["detail"]


def test_every_answer_tells_the_browser_what_it_may_do(client: TestClient):
    for reply in (client.get("/"), client.get("/gradio_api/proxy=https://example.org/")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert "frame-ancestors 'self'" in reply.headers["content-security-policy"]
        # Neither a script nor a picture of another site, nor a place to send to.
        assert "http" not in reply.headers["content-security-policy"]

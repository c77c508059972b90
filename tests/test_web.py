from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import corpus.web
from corpus.web import MAX_REDIRECTS, FetchError, fetch_guide, is_public, is_url
from tutor.tutor import Tutor
from ui.cli import main

PAGE = (
    b"<html><head><title>Dropout</title></head><body><h1>Dropout</h1><p>It zeroes units in training.</p></body></html>"
)


class Site(BaseHTTPRequestHandler):
    """A small site with the ways in which a page can be sent, or not."""

    def do_GET(self) -> None:
        path, _, rest = self.path.strip("/").partition("/")
        if path == "page":
            self._send(200, PAGE, type="text/html; charset=utf-8")
        elif path == "raw":
            self._send(200, b"# Dropout\n\nIt zeroes units.", type="text/plain")
        elif path == "nothing":
            self._send(200, b"", type="text/html")
        elif path == "picture":
            self._send(200, b"PNG", type="image/png")
        elif path == "hop":
            left = int(rest)
            self._send(302, location=f"/hop/{left - 1}" if left else "/page")
        elif path == "to":
            self._send(302, location=f"{rest.replace('::', '://')}")
        elif path == "large":
            self._send(200, b"x" * 5_000, type="text/html")
        elif path == "packed":
            self._send(200, b"\x1f\x8b", type="text/html", encoding="gzip")
        elif path == "host":
            self._send(200, self.headers["Host"].encode(), type="text/html")
        elif path == "slow":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n")
            self._drip()
        elif path == "slow-head":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Padding: ")
            self._drip()
        else:
            self._send(404, b"")

    def _drip(self) -> None:
        for _ in range(100):
            try:
                self.wfile.write(b"x")
            except OSError:
                return
            time.sleep(0.05)

    def _send(self, status: int, content: bytes = b"", **headers: str) -> None:
        names = {"type": "Content-Type", "location": "Location", "encoding": "Content-Encoding"}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(names[name], value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


Fetch = Callable[..., Path]


@pytest.fixture
def fetch(port: int, tmp_path: Path) -> Fetch:
    """Fetch a path of the site into `tmp_path / "guides"`; the site is allowed unless it is said otherwise."""

    def fetch(path: str, timeout_seconds: float = 5) -> Path:
        return fetch_guide(
            f"http://localhost:{port}/{path}",
            tmp_path / "guides",
            max_bytes=1_000,
            timeout_seconds=timeout_seconds,
            may_be_private=True,
        )

    return fetch


def test_a_page_is_saved_under_the_name_of_its_host_and_path(fetch: Fetch):
    file = fetch("page")

    assert file.name == "localhost-page.html"
    assert file.read_bytes() == PAGE


def test_pages_that_differ_in_their_query_alone_are_two_guides(fetch: Fetch):
    assert fetch("page/?id=1").name == "localhost-page-id-1.html"


def test_a_text_keeps_the_suffix_of_its_name_where_the_server_says_nothing_of_its_kind(fetch: Fetch):
    assert fetch("raw/notes/dropout.md").suffix == ".md"
    assert fetch("raw/notes/dropout").suffix == ".txt"


def test_a_kind_that_is_no_guide_is_refused(fetch: Fetch, tmp_path: Path):
    with pytest.raises(FetchError, match="is of type image/png, which is no guide"):
        fetch("picture/of/a.html")

    assert not (tmp_path / "guides").exists()


def test_redirects_are_followed_a_few_times(fetch: Fetch):
    assert fetch(f"hop/{MAX_REDIRECTS - 1}").read_bytes() == PAGE
    with pytest.raises(FetchError, match="redirected more than 5 times"):
        fetch(f"hop/{MAX_REDIRECTS}")


def test_a_missing_page_says_what_the_server_answered(fetch: Fetch):
    with pytest.raises(FetchError, match="localhost answered 404 Not Found"):
        fetch("nowhere")


def test_a_file_that_is_too_large_is_left_where_it_is(fetch: Fetch, tmp_path: Path):
    with pytest.raises(FetchError, match=r"more than 0\.001 MB"):
        fetch("large")

    assert not (tmp_path / "guides").exists()


def test_an_answer_that_is_compressed_although_it_was_not_asked_for_is_refused(fetch: Fetch):
    with pytest.raises(FetchError, match="compressed only"):
        fetch("packed")


@pytest.mark.parametrize("path", ["slow", "slow-head"])
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(fetch: Fetch, path: str):
    started = time.monotonic()

    with pytest.raises(FetchError, match=r"did not arrive within 0\.3 s"):
        fetch(path, timeout_seconds=0.3)

    assert time.monotonic() - started < 2


def test_the_server_is_asked_under_its_own_name(fetch: Fetch, port: int):
    assert fetch("host").read_text() == f"localhost:{port}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_a_server_on_this_machine_is_refused_before_anything_is_sent(port: int, tmp_path: Path, host: str):
    with pytest.raises(FetchError, match=r"is at .*, which is not a public address"):
        fetch_guide(f"http://{host}:{port}/page", tmp_path, max_bytes=1_000, timeout_seconds=5)


def resolve_to(*answers: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A resolver that gives the next of the answers each time it is asked."""
    left = iter(answers)

    def resolve(_host: object, port: int, **_options: object) -> list[tuple[Any, ...]]:
        return [(None, None, None, "", (number, port)) for number in next(left).split()]

    return resolve


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(corpus.web.socket, "getaddrinfo", resolve_to("93.184.215.14 10.0.0.1"))

    with pytest.raises(FetchError, match=r"two\.example is at 10\.0\.0\.1"):
        fetch_guide("http://two.example/", tmp_path, max_bytes=1_000, timeout_seconds=5)


def test_the_connection_goes_to_the_address_that_was_looked_at(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(corpus.web, "is_public", lambda number: number == "127.0.0.1")
    asked: list[str] = []
    answers = resolve_to("127.0.0.1", "127.0.0.1")

    def resolve(host: str | bytes, port: int, *_rest: int, **_options: object) -> list[tuple[Any, ...]]:
        asked.append(host if isinstance(host, str) else host.decode())
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, *entry[3:]) for entry in answers(host, port)]

    monkeypatch.setattr(corpus.web.socket, "getaddrinfo", resolve)
    file = fetch_guide(f"http://guides.example:{port}/host", tmp_path, max_bytes=1_000, timeout_seconds=5)

    assert file.read_text() == f"guides.example:{port}"
    # The connection asks for nothing but the number.
    assert asked == ["guides.example", "127.0.0.1"]


def test_where_a_redirect_leads_is_looked_at_too(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus.web, "is_public", lambda number: number == "127.0.0.1")

    with pytest.raises(FetchError, match=r"169\.254\.169\.254 is at 169\.254\.169\.254, which is not a public"):
        fetch_guide(
            f"http://127.0.0.1:{port}/to/http::169.254.169.254/latest", tmp_path, max_bytes=1_000, timeout_seconds=5
        )
    with pytest.raises(FetchError, match="Expected an address that begins with http"):
        fetch_guide(f"http://127.0.0.1:{port}/to/file::/etc/passwd", tmp_path, max_bytes=1_000, timeout_seconds=5)


@pytest.mark.parametrize(
    "number",
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 240.0.0.1 255.255.255.255 "
    "192.0.2.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fec0::1 ff02::1 2001:db8::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 "
    "64:ff9b::a00:1 64:ff9b:1::1 2002:a00:1:: ::7f00:1".split(),
)
def test_addresses_of_no_public_host_are_known(number: str):
    assert not is_public(number)


@pytest.mark.parametrize("number", "93.184.215.14 1.1.1.1 2606:4700:4700::1111 ::ffff:1.1.1.1 64:ff9b::101:101".split())
def test_public_addresses_are_known(number: str):
    assert is_public(number)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.org/a.md", "Expected an address that begins with http"),
        ("file:///etc/passwd", "Expected an address that begins with http"),
        ("http://", "Expected an address that begins with http"),
        ("http://[::1", "is no address"),
        ("https://me:secret@example.org/a.md", "carries a name or password"),
    ],
)
def test_what_is_no_fetchable_address_says_so(tmp_path: Path, url: str, said: str):
    with pytest.raises(FetchError, match=said) as caught:
        fetch_guide(url, tmp_path, max_bytes=1_000, timeout_seconds=5)

    assert "secret" not in str(caught.value)


def test_a_host_that_is_not_found_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def resolve(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(corpus.web.socket, "getaddrinfo", resolve)

    with pytest.raises(FetchError, match=r"There is no host 'nowhere\.example', or no network"):
        fetch_guide("http://nowhere.example/a.md", tmp_path, max_bytes=1_000, timeout_seconds=5)


def test_a_path_is_no_url():
    assert is_url("https://example.org/a")
    assert is_url("HTTP://example.org")
    assert not is_url("guides/http.md")
    assert not is_url("C:/guides")


# From the tutor


def test_a_page_that_was_fetched_is_cited_and_outlives_its_server(
    tutor: Tutor, port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(corpus.web, "is_public", lambda number: number == "127.0.0.1")

    file = tutor.fetch_guide(f"http://127.0.0.1:{port}/page")
    tutor.update_index([file])
    tutor.update_index()

    assert file == tutor.settings.home / "guides" / "127.0.0.1-page.html"
    assert "127.0.0.1-page.html" in tutor.index.documents_by_id


def test_a_page_without_text_is_not_kept(tutor: Tutor, port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus.web, "is_public", lambda number: number == "127.0.0.1")

    with pytest.raises(FetchError, match="was fetched, but the file is empty"):
        tutor.fetch_guide(f"http://127.0.0.1:{port}/nothing")

    assert not (tutor.settings.home / "guides").exists()


def test_the_command_line_takes_an_address_beside_paths_and_refuses_one_of_this_machine(
    small_corpus: Path,
    port: int,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("TUTOR_GUIDES", f'["{small_corpus / "guides"}"]')

    with pytest.raises(SystemExit) as ended:
        main(["index", f"http://localhost:{port}/page"])
    refused = capsys.readouterr()
    monkeypatch.setattr(corpus.web, "is_public", lambda number: number == "127.0.0.1")
    with pytest.raises(SystemExit):
        main(["index", f"http://127.0.0.1:{port}/page", str(small_corpus / "guides" / "zh-notes.md")])

    assert ended.value.code == 1
    assert refused.err.startswith("tutor: localhost is at ")
    assert refused.err.count("\n") == 1
    assert "4 documents" in capsys.readouterr().out
    assert (home / "guides" / "127.0.0.1-page.html").exists()

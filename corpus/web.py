"""A guide from the public web. The only file that opens a connection, and only when it is asked to.

Whoever can name a URL could name one inside the reader's own network. So a host is resolved here, every address it has must be
public, and the connection goes to the very address that was looked at: a second look-up could answer otherwise.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from corpus.documents import GUIDE_SUFFIXES

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
    "application/x-pdf": ".pdf",
    "application/epub+zip": ".epub",
    "application/x-ipynb+json": ".ipynb",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
}
_UNTELLING = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream", "application/json"})
"""Content types that servers give to files they know nothing of; the name tells more."""


class FetchError(ValueError):
    """A URL that cannot be fetched as a guide; the message says why and what to do."""


def is_url(text: str) -> bool:
    """Whether a text is the address of a web page and not a path."""
    return bool(re.match(r"https?://", text, re.IGNORECASE))


def fetch_guide(
    url: str, folder: Path, *, max_bytes: int, timeout_seconds: float, may_be_private: bool = False
) -> Path:
    """Fetch a page or a file into the folder and return where it lies; fetched again, it takes the place of the former.

    `timeout_seconds` holds for everything together. `may_be_private` lets tests reach a server of their own. Raises
    FetchError, and leaves the folder as it was, where there is no guide to be had.
    """
    import httpx

    # No proxy and no ~/.netrc of the environment: a proxy would resolve the name once more.
    with httpx.Client(trust_env=False, follow_redirects=False, timeout=timeout_seconds) as client:
        # The timeout of the client is that of a single read, which a server can meet with a byte at a time.
        alarm = threading.Timer(timeout_seconds, client.close)
        alarm.start()
        try:
            name, content = _fetched(client, _parsed(url), max_bytes, may_be_private=may_be_private)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            if client.is_closed or isinstance(error, httpx.TimeoutException):
                raise FetchError(
                    f"{url!r} did not arrive within {timeout_seconds:g} s. Download it and give the path."
                ) from error
            raise FetchError(
                f"{url!r} cannot be fetched ({str(error) or type(error).__name__}). Try again later."
            ) from error
        finally:
            alarm.cancel()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.part"
    partial.write_bytes(content)
    return partial.replace(folder / name)


def _fetched(client: httpx.Client, address: httpx.URL, max_bytes: int, *, may_be_private: bool) -> tuple[str, bytes]:
    """Name and content of what lies at the address, or where it leads."""
    start = address
    for _ in range(MAX_REDIRECTS + 1):
        with _response(client, address, may_be_private=may_be_private) as response:
            if response.has_redirect_location:
                address = _parsed(str(address.join(response.headers["location"])))
                continue
            if response.status_code != 200:
                raise FetchError(
                    f"{address.host} answered {response.status_code} {response.reason_phrase} to {str(address)!r}. "
                    "Check the address in a browser."
                )
            return _file_name(address, response.headers.get("content-type", "")), _body(response, max_bytes)
    raise FetchError(f"{str(start)!r} was redirected more than {MAX_REDIRECTS} times. Give the address where it ends.")


def _parsed(url: str) -> httpx.URL:
    import httpx

    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise FetchError(
            f"{url!r} is no address ({error}). Expected one such as https://example.org/guide.html."
        ) from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise FetchError(f"{url!r} cannot be fetched. Expected an address that begins with http:// or https://.")
    if address.userinfo:
        raise FetchError(f"The address of {address.host} carries a name or password. Save the file and give its path.")
    return address


@contextmanager
def _response(client: httpx.Client, address: httpx.URL, *, may_be_private: bool) -> Iterator[httpx.Response]:
    """The answer to a request that goes to an address of the host that was checked, under the host's own name."""
    number = _public_address(address, may_be_private=may_be_private)
    request = client.build_request(
        "GET",
        address.copy_with(host=number),
        headers={
            "Host": address.netloc.decode("ascii"),
            "User-Agent": "interview-tutor",
            "Accept": "text/html, text/markdown, application/pdf, */*;q=0.5",
            # A compressed answer could unpack to any size between two looks at it.
            "Accept-Encoding": "identity",
        },
        # The certificate is that of the name, which is also what the server is asked for.
        extensions={"sni_hostname": address.raw_host.decode("ascii")},
    )
    response = client.send(request, stream=True)
    try:
        yield response
    finally:
        response.close()


def _public_address(address: httpx.URL, *, may_be_private: bool) -> str:
    """One of the host's addresses. Raises FetchError where any of them is not public."""
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(address.raw_host.decode("ascii").strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"There is no host {address.host!r}, or no network. Check the address.") from error
    numbers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for number in numbers:
        if not may_be_private and not is_public(number):
            raise FetchError(
                f"{address.host} is at {number}, which is not a public address. Save the page and give its path instead."
            )
    # IPv4 first: many networks have no way out for IPv6, and only one address is tried.
    return min(numbers, key=lambda number: ":" in number)


def is_public(number: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it wraps another one."""
    # A zone such as fe80::1%eth0 is local by its nature.
    if "%" in number:
        return False
    address = ipaddress.ip_address(number)
    if isinstance(address, ipaddress.IPv6Address):
        # 6to4, Teredo, and NAT64's well-known prefix lead to an IPv4 address that they carry.
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in ipaddress.ip_network("64:ff9b::/96"):
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        carried = [part for part in inner if part is not None]
        if carried:
            return all(map(_is_global, carried))
        # Addresses of the old site-local and IPv4-compatible kinds are in use inside networks alone.
        if address.is_site_local or int(address) < 1 << 32 or address in ipaddress.ip_network("64:ff9b:1::/48"):
            return False
    return _is_global(address)


def _is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _body(response: httpx.Response, max_bytes: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchError("The server sends the file compressed only. Download it and give the path.")
    content = bytearray()
    for part in response.iter_raw():
        content += part
        # Counted here, because what the server says of the length is only what it says.
        if len(content) > max_bytes:
            raise FetchError(f"The file has more than {max_bytes / 1e6:g} MB. Download it, split it and give the path.")
    return bytes(content)


def _file_name(address: httpx.URL, content_type: str) -> str:
    """A name for the file: host and path, so that two pages called index.html are two guides."""
    kind = content_type.partition(";")[0].strip().lower()
    path = unquote(address.path).strip("/")
    named = next((suffix for suffix in GUIDE_SUFFIXES if path.lower().endswith(suffix)), "")
    suffix = (named or _SUFFIXES.get(kind, "")) if kind in _UNTELLING else _SUFFIXES.get(kind, "")
    if not suffix:
        raise FetchError(
            f"{str(address)!r} is of type {kind or 'unknown'}, which is no guide. Expected {', '.join(GUIDE_SUFFIXES)}."
        )
    stem = path[: -len(named)] if named else path
    query = f"-{address.query.decode()}" if address.query else ""
    # Letters of any script stay; what a file system or a link could stumble over does not.
    plain = re.sub(r"[^\w.-]+", "-", f"{address.host}/{stem}{query}").strip("-.")
    return f"{plain[:120]}{suffix}"

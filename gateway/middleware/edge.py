"""Refuses what no honest client sends, before anything else looks at it."""

import re
from collections.abc import Awaitable, Collection
from functools import lru_cache
from itertools import chain

from gateway.errors import BadRequest, HeadersTooLarge, UnsupportedEncoding, UriTooLong
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send, too_large
from gateway.proxy.exchange import Exchange

# Characters of a host name, an IPv4 or a bracketed IPv6 address, and a port. Source: RFC 3986, section 3.2.2.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
HOSTLESS = ("1.0", "1")
"""Versions of HTTP in which there may be no Host, as servers name them. Source: RFC 9112, section 3.2."""
MAX_DIGITS = 18
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class EdgeMiddleware:
    """Checks the size and form of a request's head.

    Args:
        max_body_bytes: a declared length over it is refused before the body is read.
        max_header_bytes: names and values together.
        hosts: names the gateway answers to, without port; empty means any.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        max_header_bytes: int = 16 * 1024,
        max_headers: int = 100,
        max_url_bytes: int = 8 * 1024,
        hosts: Collection[str] = (),
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.max_header_bytes = max_header_bytes
        self.max_headers = max_headers
        self.max_url_bytes = max_url_bytes
        self.hosts = frozenset(host.lower().encode() for host in hosts)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            self._check_size(scope)
            self._check_form(scope)
        return self.app(scope, receive, send)

    def _check_size(self, scope: Scope) -> None:
        headers = scope["headers"]
        if len(scope.get("raw_path") or scope["path"]) + len(scope.get("query_string", b"")) > self.max_url_bytes:
            raise UriTooLong(f"the URL is over {self.max_url_bytes} bytes")
        if len(headers) > self.max_headers:
            raise HeadersTooLarge(f"more than {self.max_headers} header lines")
        if sum(map(len, chain.from_iterable(headers))) > self.max_header_bytes:
            raise HeadersTooLarge(f"the headers are over {self.max_header_bytes} bytes")

    def _check_form(self, scope: Scope) -> None:
        headers = Exchange.of(scope).headers
        path = scope["path"]
        if not path.isprintable() and _UNPRINTABLE.search(path):
            raise BadRequest("the path holds a control character")
        host = headers.get(b"host", b"")
        if not _is_host(host) and (host or self.hosts or scope.get("http_version") not in HOSTLESS):
            raise BadRequest("the Host header is missing or not a host name")
        if self.hosts and _name_of(host) not in self.hosts:
            raise BadRequest("the Host header names another host")
        if len(headers) != len(scope["headers"]):
            _refuse_doubles(scope)
        length = headers.get(b"content-length")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise BadRequest("a request body may come in chunks, and in no other transfer coding")
        if length is not None:
            if coding is not None:
                raise BadRequest("Content-Length and Transfer-Encoding exclude each other")
            if not length.isdigit():
                raise BadRequest("Content-Length is not a number")
            if len(length) > MAX_DIGITS or int(length) > self.max_body_bytes:
                raise too_large(self.max_body_bytes)
        if b"content-encoding" in headers and not _codings(scope) <= {b"identity", b""}:
            raise UnsupportedEncoding("send the request body uncompressed")


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _name_of(host: bytes) -> bytes:
    return re.sub(rb":[0-9]*$", b"", host).lower()


_SINGLE = (
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"authorization",
    b"api-key",
    b"x-api-key",
    b"x-goog-api-key",
    b"x-tfy-api-key",
    b"xi-api-key",
)


def _codings(scope: Scope) -> set[bytes]:
    """Source: RFC 9110, sections 5.3 (lists, also over several lines) and 8.4.1 (letters of either case)."""
    lists = (value for name, value in scope["headers"] if name == b"content-encoding")
    return {coding.strip(b" \t").lower() for value in lists for coding in value.split(b",")}


def _refuse_doubles(scope: Scope) -> None:
    """Headers that decide who calls, or where a request ends, must not have two values."""
    names = [name for name, _ in scope["headers"]]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise BadRequest(f"the header {name.decode()} was sent twice")

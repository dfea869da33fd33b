"""What the first line of a request asks for, and of which host.

Source: RFC 9112, section 3.2; section 2.5 on versions, section 6.1 on Transfer-Encoding before HTTP/1.1.
"""

import re

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(.*)", re.IGNORECASE)


class BadTarget(ValueError):
    """Not what this method may ask for."""


def read_target(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """The path with its query, and the host if the target names one, as a request to a proxy does.

    What CONNECT asks for is no path of ours: it becomes "/", and whoever answers looks at the method.

    Raises:
        BadTarget: it has none of the four forms, or that of another method, or a fragment.
    """
    if b"#" in target:
        raise BadTarget("a fragment is the client's own")
    if method == b"CONNECT":
        return b"/", None
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target, None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadTarget("neither a path nor a URL")
    host, path = absolute.groups()
    return path if path.startswith(b"/") else b"/" + path, host


def with_host(headers: list[tuple[bytes, bytes]], host: bytes, version: str) -> list[tuple[bytes, bytes]]:
    """The headers with the host that the target named, which counts more than the one in `Host`.

    Only their values change, as how many `Host` there are is checked later; before HTTP/1.1 there may be none.
    """
    replaced = [(name, host if name == b"host" else value) for name, value in headers]
    if version == "1.0" and not any(name == b"host" for name, _ in headers):
        replaced.append((b"host", host))
    return replaced


def is_served(version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """False for versions of HTTP with other rules, and for a body in chunks before there were any."""
    if version == "1.0":
        return all(name != b"transfer-encoding" for name, _ in headers)
    return version[:2] == "1."


def is_handshake(method: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """True if a WebSocket is asked for, and rightly. All else that asks for an upgrade is a request like others.

    Source: RFC 6455, section 4.2.1. The libraries that answer it fail where one of its headers is not ASCII.
    """
    if method != b"GET" or version != "1.1":
        return False
    lines = dict(headers)
    return (
        lines.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in [token.strip() for token in lines.get(b"connection", b"").lower().split(b",")]
        and lines.get(b"sec-websocket-version") == b"13"
        and b"sec-websocket-key" in lines
        and lines.get(b"content-length", b"0") == b"0"
        and b"transfer-encoding" not in lines
        and all(value.isascii() for name, value in headers if name.startswith((b"connection", b"sec-websocket-")))
    )

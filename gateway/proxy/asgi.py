"""Small things about ASGI that several steps need."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote

from gateway.errors import TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

DEPLOYMENT = "deployment"
"""The place in the paths of Azure's clients where the name of the model stands, in an API that has it in the body."""


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the request body is over {max_bytes:,} bytes; send less, or raise the gateway's limit")


async def send_body(
    send: Send, status: int, body: bytes, content_type: bytes = b"application/json", headers: Headers = ()
) -> None:
    """A whole answer."""
    head = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def route_path(scope: Scope) -> str:
    """The path below the place where the app is mounted. Decisions are made on this and nothing else.

    It is as the client wrote it: what is percent-encoded stays so, and `decoded` is for the values in it. An encoded
    slash is none to a proxy in front, whose rules would be dodged if it were one here. Empty when the raw path tells of
    another path, and when there is nothing below the mount.

    Source: ASGI HTTP spec, `path`, `raw_path` and `root_path`.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    rest = path.removeprefix(root)
    if rest and not rest.startswith("/"):
        rest = path
    raw = scope.get("raw_path")  # servers may leave it out
    return rest if raw is None or b"%" not in raw else _as_written(raw, rest)


def decoded(scope: Scope, text: str) -> str:
    """A value that stands in `route_path`."""
    return unquote(text) if b"%" in (scope.get("raw_path") or b"") else text


def _as_written(raw: bytes, path: str) -> str:
    """The end of `raw` that is `path` when decoded: what is mounted may find the mount cut off `path`, never of `raw`.

    Empty if there is none that begins at a slash.
    """
    segments = raw.decode("latin-1").split("/")
    start, left = len(segments), len(path)
    while left > 0 and start > 1:
        start -= 1
        left -= 1 + len(unquote(segments[start]))
    written = "".join(f"/{segment}" for segment in segments[start:])
    return written if unquote(written) == path else ""

"""What went wrong, in the words of a provider: in error answers of any shape, and in answers that only look well.

Source: error bodies of OpenAI, Azure, Google, Cloudflare, FastAPI, AWS and Apigee in their API references, read
2026-11; RFC 9457 (`title`, `detail`, `status`).
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire.lenient import lenient_json

LONGEST_MESSAGE = 4_000
"""Characters of it that are passed on."""
LONGEST_TEXT = 500
"""Characters of a body that is no JSON. What is longer is no message."""

_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,200})<", re.IGNORECASE)
_WRAPPERS = ("error", "errors", "fault", "detail", "message")
_TEXTS = ("message", "detail", "error_description", "error_message", "msg", "faultstring", "title", "Message", "error")
_STATUSES = ("status", "code", "status_code", "statusCode", "http_status")
_BESIDE = frozenset(
    {*_TEXTS, *_STATUSES, "type", "param", "instance", "timestamp", "path", "success"}
    | {"request_id", "requestId", "trace_id", "traceId"}
)
"""All that stands in an error, and nothing that stands in an answer."""
_DEPTH = 4
"""As deep as servers wrap it."""


class Failure(msgspec.Struct, frozen=True):
    """`status`: the one that is named inside, if it is one of an error."""

    message: str | None = None
    status: int | None = None


def failure_of(body: bytes) -> Failure:
    """Of an answer that is known to be an error: JSON of any shape, short text, or a page."""
    try:
        return failure_as(lenient_json(body))
    except ValueError:
        return Failure(_plain(body[: 16 * 1024].decode(errors="replace")))


def failure_as(value: Any) -> Failure:
    """The same, decoded."""
    message = _message_in(value)
    if message is not None and len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}..."
    return Failure(message, _status_in(value))


def failure_in(value: Any) -> Failure | None:
    """Of an answer or event that has no content, and might say why; None when it does not look like a failure."""
    found = failure_as(value)
    if isinstance(value, Mapping) and not value.get("error") and not value.get("errors"):
        says_so = value.get("object") == "error" or value.get("status") == "error" or value.get("success") is False
        is_one = says_so or (found.message is not None and (found.status is not None or value.keys() <= _BESIDE))
        return found if is_one else None
    return found if found.message is not None else None


def _message_in(value: Any, depth: int = _DEPTH) -> str | None:
    """Searches where servers put it: `{"error": {...}}`, `[{"error": {...}}]`, `{"errors": [...]}`, or at the top."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        return _faults(value) or (_message_in(value[0], depth - 1) if value and depth else None)
    if not isinstance(value, Mapping) or not depth:
        return None
    wrapped = (value.get(name) for name in _WRAPPERS)
    for inner in wrapped:
        if isinstance(inner, Mapping | list) and (found := _message_in(inner, depth - 1)):
            return found
    texts = (value.get(name) for name in _TEXTS)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), None)


def _status_in(value: Any, depth: int = _DEPTH) -> int | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, Mapping) or not depth:
        return None
    own = (_status_of(value.get(name)) for name in _STATUSES)
    inside = (_status_in(value.get(name), depth - 1) for name in _WRAPPERS)
    return next((status for status in (*own, *inside) if status is not None), None)


def _status_of(stated: Any) -> int | None:
    if isinstance(stated, str) and len(stated) == 3 and stated.isascii() and stated.isdecimal():
        stated = int(stated)
    if isinstance(stated, float) and stated.is_integer():
        stated = int(stated)
    return stated if type(stated) is int and 400 <= stated <= 599 else None


def _faults(items: list[Any]) -> str | None:
    """FastAPI's list of what is wrong with which field, without the values it repeats."""
    faults = [item for item in items[:20] if isinstance(item, Mapping) and isinstance(item.get("msg"), str)]
    return "; ".join(f"{_place(item.get('loc'))}: {item['msg']}" for item in faults) or None


def _place(loc: Any) -> str:
    return ".".join(map(str, loc)) if isinstance(loc, list) and loc else "body"


def _plain(text: str) -> str | None:
    """Short text as it is; of a page its title; else nothing that a reader could use."""
    text = text.removeprefix("\ufeff").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        return f"a page with the title {title[1].strip()!r}" if title is not None else None
    # Several lines are a traceback, which may hold a prompt.
    return text if text.isprintable() and 0 < len(text) <= LONGEST_TEXT and "\ufffd" not in text else None

"""What replies of OpenAI's APIs say has gone wrong, under a status that says that all is well.

Source: platform.openai.com/docs/api-reference (chat, completions, embeddings), read 2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.errors import BrokeOff, Refused, UpstreamError
from gateway.logs import holds_secret, redact_text, redacted
from gateway.wire import sse
from gateway.wire.failure import Failure, failure_as, failure_in, failure_of
from gateway.wire.lenient import lenient_json

ERROR_EVENT = re.compile(rb"(?:\A|[\r\n])event:[ ]*+error[ ]*+[\r\n]", re.IGNORECASE)
OWN = re.compile(rb'"(?:choices|usage|error)"')
"""What stands in each event of a chat or completion: see `sse.is_foreign`."""
LAST_EVENTS = 2 * 1024
"""Bytes of the end in which they are looked at."""
USUAL_END = b"\n" + sse.LAST_EVENT
FAILED = frozenset({"error", "network_error", "insufficient_system_resource"})
"""Finish reasons that say that the provider has failed: of OpenRouter, Zhipu and DeepSeek."""
_ANSWERS = frozenset({"id", "created", "choices", "usage"})
"""An event that has none of them is no part of an answer."""
_NO_MESSAGE = "the provider answered with an error"


def told(said: Any, body: bytes | None) -> Refused:
    """An error that stands in an answer or event. `body` is passed on, without what looks like a key."""
    safe = redacted(said)
    # The second of two fields of one name hides the first.
    if body is not None and (safe != said or holds_secret(body)):
        body = msgspec.json.encode(safe)
    return refused(failure_as(safe), body)


def told_in(body: bytes) -> Refused:
    """The error of an answer that has one, with what is said beside it: a status, or what it means. `body` is passed
    on."""
    return told(json_or_none(body), body)


def failure_told(body: bytes) -> Refused | None:
    """What an answer says has gone wrong that is none of its API, in whatever shape; None: nothing. It has no body."""
    value = json_or_none(body)
    if isinstance(value, str):
        return None  # which is the answer of something else
    has_error = isinstance(value, dict) and value.get("error")
    return told(value, None) if has_error or failure_in(value) is not None else None


def refused(failure: Failure, body: bytes | None) -> Refused:
    return Refused(redact_text(failure.message or _NO_MESSAGE), status=failure.status or 502, body=body)


def error_in_event(event: bytes) -> UpstreamError | None:
    """What an event behind the first content says has gone wrong. It has been passed on by then."""
    if (data := data_to_judge(event)) is None:
        return None
    if ERROR_EVENT.search(event):
        return BrokeOff(refused(failure_of(data), None).message)
    value = json_or_none(data)
    if not isinstance(value, dict):
        return None
    if value.get("error"):
        return BrokeOff(told({"error": value["error"]}, None).message)
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (choice.get("error") or str(choice.get("finish_reason")).lower() in FAILED):
            message = failure_as({"error": redacted(choice.get("error"))}).message
            return BrokeOff(message or "the provider ended its answer with an error")
    return None


def error_at_end(tail: bytes, *, is_all: bool) -> UpstreamError | None:
    """What the last events say has gone wrong, in whatever shape, if they have nothing of an answer.

    Args:
        is_all: nothing will follow, so that the last event counts without its blank line.
    """
    if tail.endswith(USUAL_END):  # and the last event before it is part of an answer
        last = tail[tail.rfind(b"\n\n", 0, -len(USUAL_END)) :]
        if b'"choices"' in last and b"\r" not in last:
            return None
    splitter = sse.EventSplitter()
    events = splitter.feed(tail[-LAST_EVENTS:])
    for event in (*events[-2:], splitter.end() if is_all else b""):
        if b'"choices"' in event or not event.strip() or event == sse.LAST_EVENT:
            continue
        data = data_to_judge(event) or event.strip()
        value = json_or_none(data)
        if data.startswith(b"data:") or (isinstance(value, dict) and not value.keys().isdisjoint(_ANSWERS)):
            continue
        if _is_ignored(event) or sse.is_foreign(event, OWN):
            continue
        failure = failure_of(data)
        if failure.message is not None:
            return BrokeOff(refused(failure, None).message)
    return None


def _is_ignored(event: bytes) -> bool:
    """Comments, and what is the end or no data."""
    data = sse.data_of(event)
    if data:
        return data.strip() == sse.DONE
    return not event.lstrip().startswith((b"{", b"["))


def data_to_judge(event: bytes) -> bytes | None:
    data = sse.data_of(event)
    return data if data and data.strip() != sse.DONE else None


def json_or_none(body: bytes) -> Any:
    """None: it cannot be."""
    try:
        return lenient_json(body)
    except ValueError:
        return None

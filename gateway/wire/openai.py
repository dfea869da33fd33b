"""Replies of OpenAI's plain JSON APIs, read from bytes that pass by: usage, errors, their beginning and their end.

Source: platform.openai.com/docs/api-reference (chat, completions, embeddings), read 2026-11.
"""

import json
import re
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.wire import sse
from gateway.wire.failure import failure_in, failure_of
from gateway.wire.openai_failures import (
    ERROR_EVENT,
    OWN,
    USUAL_END,
    data_to_judge,
    error_at_end,
    error_in_event,
    failure_told,
    json_or_none,
    refused,
    told,
    told_in,
)
from gateway.wire.openai_usage import MAX_TORN, USAGE, UsageCut, find_usage, last_blank
from gateway.wire.sse import BOM, looks_like_events

HOLD = 256 * 1024
"""A reply that is not streamed is held back whole up to this size, so that a broken one becomes a clean error."""
TAIL = 4 * 1024
LONGEST_TAIL = 4 * TAIL
BEGINNING = 16 * 1024
LOOKED_AT = 8 * 1024
"""So much of the end of what has come is searched for `[DONE]` and errors: in a burst, each look at all of it would
cost as much as all else together, and what stands behind an error or the end is short."""
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_DONE = re.compile(rb"([\r\n])data: {0,2}\[DONE\]")
_DONE_TEXT = b"[DONE]"
_ONE_EVENT = (b"}\n\n", b"}\r\n\r\n")
_EVENT = b"\ndata:"
_SEAM = len(b"\r\ndata:  [DONE]")
_START = b"\n".rjust(_SEAM)  # a stream begins like a line
_UNSEEN = _SEAM + 1 - len(_EVENT)
_CONTENT = re.compile(rb'"(?:content|text|reasoning_content|arguments)"\s*:\s*"[^"]')
"""Finds an answer's first words, as most providers write them."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\]]', re.DOTALL)
_NAMED = re.compile(rb"\s*:\s*")
_SERVICE_TIER = re.compile(rb'"service_tier"\s*:\s*"(\w+)"')
_ERROR = re.compile(rb'"(?:network_)?error"(?!\s*+:\s*+null)|"insufficient_system_resource"|event: ?error')
_NOTHING = (b"", b"null", b"[]")
_NOT_JSON = "the provider's answer is not a JSON object"


class Choice(msgspec.Struct, gc=False):
    """What an event adds to one answer. `delta` is for chat, `text` for completions."""

    delta: dict[str, Any] | None = None
    text: str | None = None
    finish_reason: str | None = None


class Event(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    error: Any = None


class Body(msgspec.Struct, gc=False):
    """What all replies may hold. Their content is not looked at, only whether there is some."""

    error: Any = None
    usage: Any = None
    choices: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(Event)
_body = msgspec.json.Decoder(Body)
_scan = json.JSONDecoder().raw_decode


class Tail:
    """The last few KiB of what passed, and the usage that was told in all of it.

    What is found does not depend on where the pieces are cut. Text of a model cannot be taken for usage: inside a JSON
    string quotation marks are escaped.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._usage: Usage | None = None

    def usage(self) -> Usage | None:
        return find_usage(self._tail(), self._usage)

    def service_tier(self) -> str | None:
        found = _SERVICE_TIER.findall(self._tail())
        return found[-1].decode() if found else None

    def _tail(self) -> bytes:
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def _shorten(self, keep: int = TAIL) -> None:
        """Once there is more than `LONGEST_TAIL`: remembers what was found in the part that is let go."""
        self._usage = self.usage()
        self._parts = [self._tail()[-keep:]]
        self._size = len(self._parts[0])


class StreamReading(Tail):
    """A `Reading` of an event stream.

    Args:
        cuts_usage: takes out the usage which the gateway asked for and the client did not. Mostly that is a whole
            event, without choices, on which clients fail that index `choices[0]`. All other bytes stay as they are.
    """

    content_type: str | None = None
    is_stream = True
    own = OWN

    def __init__(self, *, cuts_usage: bool = False) -> None:
        super().__init__()
        self.events = 0
        self.has_begun = False
        self.is_over = False
        self._opening: sse.EventSplitter | None = None  # what came before there was any content
        self._most = LONGEST_TAIL
        self._seam = _START  # the end of the last chunk, where an event may have begun
        self._is_finished = False
        self._has_ended = False
        self._error: UpstreamError | None = None
        self._cut = UsageCut() if cuts_usage else None

    def feed(self, data: bytes) -> bytes:
        joined = self._seam + data
        events = joined.count(_EVENT, _UNSEEN)
        if not (events == 1 and data.endswith(_ONE_EVENT)) and (done := _done_in(joined)) is not None:
            data = self._last(joined, done, data)
            joined = self._seam + data
            events = joined.count(_EVENT, _UNSEEN)
        self.events += events
        self._seam = joined[-_SEAM:]
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._most:
            self._let_go()
        if not self.has_begun:
            self._begin(data)
        if self._cut is None:
            return data
        out = self._cut.feed(data)
        return out + self._cut.end() if self.is_over else out

    def end(self) -> bytes:
        self._has_ended = True
        if self._opening is not None and (rest := self._opening.end()):
            self._judge_first(rest)
        if not self.events and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        return b"" if self._cut is None else self._cut.end()

    def is_complete(self) -> bool:
        """Some providers leave out `[DONE]`; a finish reason is as good, and so is usage with no choices beside it."""
        tail = self._tail()
        return self.is_over or self._finishes(tail) or _ends_with_usage(tail)

    def told_error(self) -> UpstreamError | None:
        self._look_for_error()
        if self._error is None:
            self._error = error_at_end(self._tail(), is_all=self._has_ended)
        return self._error

    def _last(self, joined: bytes, done: "re.Match[bytes]", data: bytes) -> bytes:
        """What of `data` belongs to the answer when `[DONE]` has come: up to the blank line behind it, which is made up
        if it has not come yet."""
        self.is_over = True
        if data.endswith(USUAL_END) or data == sse.LAST_EVENT:
            return data
        behind = joined[done.end() :]
        line_end = b"\r\n" if joined[: done.start() + 1].endswith(b"\r\n") else done[1]
        line_end = next((other for other in (b"\r\n", b"\n") if behind.startswith(other)), line_end)
        wanted = 2 * line_end
        came = next(length for length in range(len(wanted), -1, -1) if behind.startswith(wanted[:length]))
        end = done.end() + came - len(self._seam)
        last = data if end == len(data) else data[:end]
        return last if came == len(wanted) else last + wanted[came:]

    def _let_go(self) -> None:
        tail = self._tail()
        self._is_finished = self._finishes(tail)
        self._look_for_error()
        torn = len(tail) - (last_blank(tail, 0) or 0)
        self._shorten(max(TAIL, torn if torn <= MAX_TORN else 0))
        self._most = self._size + LONGEST_TAIL - TAIL  # or each byte of a torn event would be looked at again and again

    def _finishes(self, tail: bytes) -> bool:
        """By the last event that says so, or says that it does not: of several answers one may end before another."""
        last = tail.rfind(b'"finish_reason"')
        return self._is_finished if last < 0 else _FINISH_REASON.match(tail, last) is not None

    def _look_for_error(self) -> None:
        tail = self._tail()
        end = tail if len(tail) <= MAX_TORN + LONGEST_TAIL else tail[-LOOKED_AT:]
        # To search backwards takes a third of the time.
        has_word = end.rfind(b"error") >= 0 or end.rfind(b"system_resource") >= 0
        if self._error is not None or not has_word or not _ERROR.search(end):
            return
        for event in sse.EventSplitter().feed(tail):
            if self._error is None and _ERROR.search(event):
                self._error = error_in_event(event)

    def _begin(self, data: bytes) -> None:
        """Nearly always the first words are seen without decoding anything."""
        opening = self._opening
        if self.events and not opening and b"error" not in data and _CONTENT.search(data):
            self.has_begun = True
            return
        if opening is None:
            opening = self._opening = sse.EventSplitter()
        for event in opening.feed(data):
            self._judge_first(event)
            if self.has_begun:
                break
        if self.has_begun or len(opening) > MAX_TORN:
            self.has_begun = True
            self._opening = None

    def _judge_first(self, event: bytes) -> None:
        """Raises UpstreamError: an error comes first."""
        event = event.removeprefix(BOM)
        if sse.is_foreign(event, self.own):
            return
        data = data_to_judge(event)
        if data is None:
            if event.lstrip().startswith(sse.BODY):
                # No event at all, but a body: some send their errors so, whatever the head says.
                read_body(event)
                raise BrokeOff("the provider did not answer with a stream")
            return
        if ERROR_EVENT.search(event):
            raise refused(failure_of(data), None)
        read_body(data)
        if has_content(data):
            self.has_begun = True


def _done_in(joined: bytes) -> "re.Match[bytes] | None":
    start = max(0, len(joined) - LOOKED_AT)
    return _DONE.search(joined, start) if joined.find(_DONE_TEXT, start) >= 0 else None


class BodyReading(Tail):
    """A `Reading` of one JSON value. It is held back until it is whole, or larger than `HOLD`."""

    content_type: str | None = None
    is_stream = False
    is_over = False

    def __init__(self) -> None:
        super().__init__()
        self.events = 0
        self.has_begun = False
        self._is_whole = False
        self._held: list[bytes] | None = []
        self._held_size = 0

    def feed(self, data: bytes) -> bytes:
        self.events = 1
        if self._held is not None:
            self._held.append(data)
            self._held_size += len(data)
            if self._held_size <= HOLD:
                return b""
            data = b"".join(self._held)
            judge_beginning(data)
            self.has_begun = True
            self._held = None
        self._parts.append(data)
        self._size += len(data)
        if self._size > LONGEST_TAIL:
            self._shorten()
        return data

    def end(self) -> bytes:
        if self._held is None:
            return b""
        body = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._usage = read_body(body)
        self._is_whole, self._held, self.has_begun = True, None, True
        self._parts = [body]
        return body

    def usage(self) -> Usage | None:
        return self._usage if self._is_whole else super().usage()

    def is_complete(self) -> bool:
        return self._tail().rstrip().endswith(b"}")

    def told_error(self) -> UpstreamError | None:
        return None


def read_body(body: bytes) -> Usage | None:
    """The usage in the body of a 200, or in an event, which may hold an error instead.

    It is JSON for the client to judge: only who can be read by no client at all is refused.

    Raises:
        Refused: the provider says what went wrong.
        BrokeOff: it is no JSON object.
    """
    try:
        read = _body.decode(body)
    except (msgspec.DecodeError, RecursionError):
        value = json_or_none(body)
        if not isinstance(value, dict):
            raise _no_object(value, body) from None
        read = Body(value.get("error"), value.get("usage"), *(_raw(name in value) for name in ("choices", "data")))
    if read.error:
        raise told_in(body)
    is_empty = bytes(read.choices) in _NOTHING and bytes(read.data) in _NOTHING
    if is_empty and (failed := failure_told(body)) is not None:
        raise failed
    return Usage.from_openai(read.usage)


def _raw(is_there: bool) -> msgspec.Raw:
    return msgspec.Raw(b"[]" if is_there else b"")


def _no_object(value: Any, body: bytes) -> UpstreamError:
    if isinstance(value, list) and (failure := failure_in(value)) is not None:
        return refused(failure, None)
    if looks_like_events(body):
        return BrokeOff("the provider answered with a stream, which was not asked for")
    return BrokeOff(_NOT_JSON)


def judge_beginning(body: bytes) -> None:
    """Of an answer that is too large to be held back whole.

    Raises:
        Refused: it is an error.
        BrokeOff: it is no JSON object.
    """
    start = body[:BEGINNING].removeprefix(BOM).lstrip()
    if not start.startswith(b"{"):
        raise BrokeOff(
            "the provider answered with a stream, which was not asked for" if looks_like_events(start) else _NOT_JSON
        )
    if b'"error"' in start and (at := _member(start, b'"error"')) is not None:
        try:
            error, _ = _scan(body.removeprefix(BOM).lstrip()[at:].decode(errors="replace"))
        except (ValueError, RecursionError):
            raise BrokeOff("the provider answered with an error that is too large to be passed on") from None
        if error:
            raise told({"error": error}, None)


def _member(text: bytes, name: bytes) -> int | None:
    """Where the value of a member of the outermost object begins."""
    depth = 0
    for token in _TOKEN.finditer(text):
        match token.group():
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case string if depth == 1 and string == name and (colon := _NAMED.match(text, token.end())):
                return colon.end()
    return None


def _ends_with_usage(tail: bytes) -> bool:
    """The last event has usage, and no choices."""
    splitter = sse.EventSplitter()
    events = [*splitter.feed(tail), splitter.end()]
    last = next((event for event in reversed(events) if sse.data_of(event)), b"")
    if not USAGE.search(last):
        return False
    value = json_or_none(sse.data_of(last))
    return isinstance(value, dict) and not value.get("choices") and Usage.from_openai(value.get("usage")) is not None


def has_content(data: bytes) -> bool:
    """Whether an event adds anything to an answer: more than who speaks, which filters ran, or nothing at all."""
    try:
        choices = _event.decode(data).choices
    except (msgspec.DecodeError, RecursionError):
        return True  # of a shape that is not known here, so better not held back
    return any(
        choice.text
        or choice.finish_reason
        or any(value for name, value in (choice.delta or {}).items() if name != "role")
        for choice in choices or ()
    )

"""Replies of OpenAI's plain JSON APIs, read from bytes that pass by: usage, errors, their beginning and their end.

Source: platform.openai.com/docs/api-reference (chat, completions, embeddings), read 2026-11.
"""

import json
import re
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused, UpstreamError
from gateway.logs import holds_secret, redact_text, redacted
from gateway.wire import sse
from gateway.wire.failure import Failure, failure_as, failure_in, failure_of
from gateway.wire.lenient import lenient_json
from gateway.wire.sse import BOM, looks_like_events

HOLD = 256 * 1024
"""A reply that is not streamed is held back whole up to this size, so that a broken one becomes a clean error."""

TAIL = 4 * 1024
LONGEST_TAIL = 4 * TAIL
MAX_TORN = 64 * 1024
"""What of an event that has not come whole is held back, or kept to be looked at."""
LAST_FIELDS, LAST_OBJECTS = 64, 8
"""So many of the last fields named `usage` are looked at, and of those that hold something. Who writes more, writes
them into every event."""
BEGINNING = 16 * 1024
LOOKED_AT = 8 * 1024
"""So much of the end of what has come is searched for `[DONE]` and errors: in a burst, each look at all of it would
cost as much as all else together, and what stands behind an error or the end is short."""

_NAME = b'"usage"'
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_DONE = re.compile(rb"([\r\n])data: {0,2}\[DONE\]")
_DONE_TEXT = b"[DONE]"
_ONE_EVENT = (b"}\n\n", b"}\r\n\r\n")
_USUAL_DONE = b"data: [DONE]\n\n"
_USUAL_END = b"\ndata: [DONE]\n\n"
_EVENT = b"\ndata:"
_SEAM = len(b"\r\ndata:  [DONE]")
_START = b"\n".rjust(_SEAM)  # a stream begins like a line
_UNSEEN = _SEAM + 1 - len(_EVENT)
_DATA_LINE = re.compile(rb"[\r\n]data:")
_CONTENT = re.compile(rb'"(?:content|text|reasoning_content|arguments)"\s*:\s*"[^"]')
"""Finds an answer's first words, as most providers write them."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\]]', re.DOTALL)
_NAMED = re.compile(rb"\s*:\s*")
_SERVICE_TIER = re.compile(rb'"service_tier"\s*:\s*"(\w+)"')
_ERROR = re.compile(rb'"(?:network_)?error"(?!\s*+:\s*+null)|"insufficient_system_resource"|event: ?error')
_ERROR_EVENT = re.compile(rb"(?:\A|[\r\n])event:[ ]*+error[ ]*+[\r\n]", re.IGNORECASE)
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
LONGEST_BLANK = 3
_ENVELOPE = frozenset(
    {"id", "object", "created", "model", "system_fingerprint", "service_tier", "provider", "obfuscation"}
    | {"choices", "usage"}
)
"""Fields of an event that say nothing by themselves."""
_ANSWERS = frozenset({"id", "created", "choices", "usage"})
"""An event that has none of them is no part of an answer."""
FAILED = frozenset({"error", "network_error", "insufficient_system_resource"})
"""Finish reasons that say that the provider has failed: of OpenRouter, Zhipu and DeepSeek."""
_NOTHING = (b"", b"null", b"[]")
_NOT_JSON = "the provider's answer is not a JSON object"
_NO_MESSAGE = "the provider answered with an error"
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode
_scan = json.JSONDecoder().raw_decode


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
        if data.endswith(_USUAL_END) or data == _USUAL_DONE:
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
        torn = len(tail) - (_last_blank(tail, 0) or 0)
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
        data = _data_to_judge(event)
        if data is None:
            if event.lstrip().startswith((b"{", b"[", b"<")):
                # No event at all, but a body: some send their errors so, whatever the head says.
                read_body(event)
                raise BrokeOff("the provider did not answer with a stream")
            return
        if _ERROR_EVENT.search(event):
            raise _refused(failure_of(data), None)
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


class UsageCut:
    """Takes usage out of a stream, from events that have no choices."""

    def __init__(self) -> None:
        self._torn = bytearray()
        self._is_long = False  # what is torn has grown too long to be usage and nothing else, and goes on as it comes

    def feed(self, data: bytes) -> bytes:
        if not self._torn and not self._is_long and sse.ends_event(data):
            return _without_usage(data)
        seen = max(0, len(self._torn) - LONGEST_BLANK + 1)  # a blank line may have begun in what is held
        self._torn += data
        long = b""
        if self._is_long:
            end = _first_blank(self._torn, seen)
            if end is None:
                return self._up_to(len(self._torn) - LONGEST_BLANK + 1)
            long, self._is_long, seen = self._up_to(end), False, 0
        end = _last_blank(self._torn, seen)
        if end is not None:
            return long + _without_usage(self._up_to(end))
        if len(self._torn) > MAX_TORN:
            self._is_long = True
            return long + self._up_to(len(self._torn) - LONGEST_BLANK + 1)
        return long

    def end(self) -> bytes:
        torn = self._up_to(len(self._torn))
        return torn if self._is_long else _without_usage(torn)

    def _up_to(self, end: int) -> bytes:
        whole = bytes(self._torn[: max(0, end)])
        del self._torn[: max(0, end)]
        return whole


def _first_blank(stream: bytearray, seen: int) -> int | None:
    """Where the first blank line ends."""
    ends = [at + len(blank) for blank in _BLANK_LINES if (at := stream.find(blank, seen)) >= 0]
    return min(ends, default=None)


def _last_blank(stream: bytes | bytearray, seen: int) -> int | None:
    """Where the last blank line ends. Of a kind that is found, mostly near the end, only what follows is searched."""
    end: int | None = None
    for blank in _BLANK_LINES:
        if (at := stream.rfind(blank, seen)) >= 0:
            end = seen = at + len(blank)
    return end


def _without_usage(stream: bytes) -> bytes:
    if not _USAGE.search(stream):
        return stream
    splitter = sse.EventSplitter()
    events = splitter.feed(stream)
    return b"".join([*(_event_without_usage(event) for event in events), _event_without_usage(splitter.end())])


def _event_without_usage(event: bytes) -> bytes:
    """Nothing, if there is nothing else in it. An error is left as it is, and so is a long event, which may have gone
    on in parts."""
    if len(event) > MAX_TORN or not _USAGE.search(event):
        return event
    if _ERROR_EVENT.search(event):
        return event
    try:
        fields = _fields.decode(sse.data_of(event))
    except (msgspec.DecodeError, RecursionError):
        return event
    choices = bytes(fields.get("choices", b"null"))
    if choices != b"null" and choices.translate(None, b" \t\r\n") != b"[]":
        return event
    if bytes(fields.get("error", b"null")) != b"null":
        return event
    if fields.keys() <= _ENVELOPE:
        return b""
    del fields["usage"]
    others = [line for line in event.splitlines(keepends=True) if line.strip() and not line.startswith(b"data:")]
    line_end = b"\r\n" if b"\r\n" in event else b"\r" if b"\r" in event else b"\n"
    return b"%bdata: %b%b" % (b"".join(others), _encode(fields), 2 * line_end)


def find_usage(data: bytes, earlier: Usage | None = None) -> Usage | None:
    """The last usage told in a piece of JSON or of an event stream, whole or not.

    Args:
        earlier: what was told before; a count of 0 does not replace it.
    """
    usage: Usage | None = None
    end, objects = len(data), 0
    for _ in range(LAST_FIELDS):
        end = data.rfind(_NAME, 0, end)
        if end < 0 or objects == LAST_OBJECTS:
            break
        found = _USAGE.match(data, end)
        if found is None:
            continue
        objects += 1
        if (told := _usage_at(data[found.end() - 1 : end + LONGEST_TAIL])) is None:
            continue
        around = data.rfind(_NAME, 0, end)
        if around >= 0 and b"\n" not in data[around:end] and (outer := _USAGE.match(data, around)):
            piece = data[outer.end() - 1 : around + LONGEST_TAIL]
            told = _usage_at(piece, beyond=end - outer.end()) or told  # this one is a part of it
        usage = told if usage is None else usage.over(told)
        if usage.input_tokens and usage.output_tokens:
            return usage
    return earlier if usage is None else usage.over(earlier)


def _usage_at(piece: bytes, beyond: int = 0) -> Usage | None:
    """None, too: it does not reach `beyond`."""
    try:
        said, end = _scan(piece.decode(errors="replace"))
    except (ValueError, RecursionError):
        if not _DATA_LINE.search(piece):
            return None
        return _usage_at(_DATA_LINE.sub(b" ", piece), beyond)  # it stands in several data lines
    return Usage.from_openai(said) if end > beyond else None


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
        value = _decoded(body)
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


def _decoded(body: bytes) -> Any:
    """None: it cannot be."""
    try:
        return lenient_json(body)
    except ValueError:
        return None


def _no_object(value: Any, body: bytes) -> UpstreamError:
    if isinstance(value, list) and (failure := failure_in(value)) is not None:
        return _refused(failure, None)
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


def told(said: Any, body: bytes | None) -> Refused:
    """An error that stands in an answer or event. `body` is passed on, without what looks like a key."""
    safe = redacted(said)
    if body is not None and (
        safe != said or holds_secret(body)
    ):  # the second of two fields of one name hides the first
        body = _encode(safe)
    return _refused(failure_as(safe), body)


def told_in(body: bytes) -> Refused:
    """The error of an answer that has one, with what is said beside it: a status, or what it means. `body` is passed
    on."""
    return told(_decoded(body), body)


def failure_told(body: bytes) -> Refused | None:
    """What an answer says has gone wrong that is none of its API, in whatever shape; None: nothing. It has no body."""
    value = _decoded(body)
    if isinstance(value, str):
        return None  # which is the answer of something else
    has_error = isinstance(value, dict) and value.get("error")
    return told(value, None) if has_error or failure_in(value) is not None else None


def _refused(failure: Failure, body: bytes | None) -> Refused:
    return Refused(redact_text(failure.message or _NO_MESSAGE), status=failure.status or 502, body=body)


def error_in_event(event: bytes) -> UpstreamError | None:
    """What an event behind the first content says has gone wrong. It has been passed on by then."""
    if (data := _data_to_judge(event)) is None:
        return None
    if _ERROR_EVENT.search(event):
        return BrokeOff(_refused(failure_of(data), None).message)
    value = _decoded(data)
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
    if tail.endswith(_USUAL_END):  # and the last event before it is part of an answer
        last = tail[tail.rfind(b"\n\n", 0, -len(_USUAL_END)) :]
        if b'"choices"' in last and b"\r" not in last:
            return None
    splitter = sse.EventSplitter()
    events = splitter.feed(tail[-TAIL // 2 :])
    for event in (*events[-2:], splitter.end() if is_all else b""):
        if b'"choices"' in event or not event.strip() or event == _USUAL_DONE:
            continue
        data = _data_to_judge(event) or event.strip()
        value = _decoded(data)
        if data.startswith(b"data:") or (isinstance(value, dict) and not value.keys().isdisjoint(_ANSWERS)):
            continue
        if _is_ignored(event):
            continue
        failure = failure_of(data)
        if failure.message is not None:
            return BrokeOff(_refused(failure, None).message)
    return None


def _is_ignored(event: bytes) -> bool:
    """Comments, and what is the end or no data."""
    data = sse.data_of(event)
    if data:
        return data.strip() == sse.DONE
    return not event.lstrip().startswith((b"{", b"["))


def _data_to_judge(event: bytes) -> bytes | None:
    data = sse.data_of(event)
    return data if data and data.strip() != sse.DONE else None


def _ends_with_usage(tail: bytes) -> bool:
    """The last event has usage, and no choices."""
    splitter = sse.EventSplitter()
    events = [*splitter.feed(tail), splitter.end()]
    last = next((event for event in reversed(events) if sse.data_of(event)), b"")
    if not _USAGE.search(last):
        return False
    value = _decoded(sse.data_of(last))
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

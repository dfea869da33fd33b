"""The usage that replies of OpenAI's APIs tell: found in bytes that pass by, and taken out of a stream.

Source: platform.openai.com/docs/api-reference (chat, completions, embeddings), read 2026-11.
"""

import json
import re

import msgspec

from gateway.contract.usage import Usage
from gateway.wire import sse
from gateway.wire.openai_failures import ERROR_EVENT

LONGEST_USAGE = 16 * 1024
"""Bytes from its name on in which it is looked for."""
LAST_FIELDS, LAST_OBJECTS = 64, 8
"""So many of the last fields named `usage` are looked at, and of those that hold something. Who writes more, writes
them into every event."""
MAX_TORN = 64 * 1024
"""What of an event that has not come whole is held back, or kept to be looked at."""
LONGEST_BLANK = 3
_NAME = b'"usage"'
USAGE = re.compile(rb'"usage"\s*:\s*\{')
_DATA_LINE = re.compile(rb"[\r\n]data:")
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
_ENVELOPE = frozenset(
    {"id", "object", "created", "model", "system_fingerprint", "service_tier", "provider", "obfuscation"}
    | {"choices", "usage"}
)
"""Fields of an event that say nothing by themselves."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scan = json.JSONDecoder().raw_decode


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
        found = USAGE.match(data, end)
        if found is None:
            continue
        objects += 1
        if (told := _usage_at(data[found.end() - 1 : end + LONGEST_USAGE])) is None:
            continue
        around = data.rfind(_NAME, 0, end)
        if around >= 0 and b"\n" not in data[around:end] and (outer := USAGE.match(data, around)):
            piece = data[outer.end() - 1 : around + LONGEST_USAGE]
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
        end = last_blank(self._torn, seen)
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


def last_blank(stream: bytes | bytearray, seen: int) -> int | None:
    """Where the last blank line ends. Of a kind that is found, mostly near the end, only what follows is searched."""
    end: int | None = None
    for blank in _BLANK_LINES:
        if (at := stream.rfind(blank, seen)) >= 0:
            end = seen = at + len(blank)
    return end


def _without_usage(stream: bytes) -> bytes:
    if not USAGE.search(stream):
        return stream
    splitter = sse.EventSplitter()
    events = splitter.feed(stream)
    return b"".join([*(_event_without_usage(event) for event in events), _event_without_usage(splitter.end())])


def _event_without_usage(event: bytes) -> bytes:
    """Nothing, if there is nothing else in it. An error is left as it is, and so is a long event, which may have gone
    on in parts."""
    if len(event) > MAX_TORN or not USAGE.search(event):
        return event
    if ERROR_EVENT.search(event):
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
    return b"%bdata: %b%b" % (b"".join(others), msgspec.json.encode(fields), 2 * line_end)

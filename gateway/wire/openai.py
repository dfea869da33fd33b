"""Usage, errors and the end of OpenAI's replies, read from bytes that pass by.

Source: platform.openai.com/docs/api-reference (chat, completions, embeddings), read 2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.usage import OpenAIUsage, Usage

TAIL = 4 * 1024
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_DONE = re.compile(rb"[\r\n]data: ?\[DONE\]")
_BRACE = re.compile(rb"[{}]")
_EVENT = b"\ndata:"
CONTENT = re.compile(rb'"(?:content|text|reasoning_content|arguments)"\s*:\s*"[^"]')
"""Finds an answer's first words, as most providers write them."""
_usage_decoder = msgspec.json.Decoder(OpenAIUsage)


class Choice(msgspec.Struct, gc=False):
    """What an event adds to one answer. `delta` is for chat, `text` for completions."""

    delta: dict[str, Any] | None = None
    text: str | None = None
    finish_reason: str | None = None


class Event(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None


_event_decoder = msgspec.json.Decoder(Event)


class StreamMeter:
    """A `Meter` for streams: counts events as they pass, and reads usage and the end from the last few KiB.

    What it finds does not depend on where the chunks are cut, as long as usage and end are in the last 4 KiB or nothing
    of their kind follows them. Text of a model cannot be taken for usage, an event or an end: inside a JSON string
    quotation marks are escaped, and there are no line breaks.
    """

    def __init__(self) -> None:
        self.events = 0
        self._seam = b"\n"  # the end of the last chunk, where an event may have begun; a stream begins like a line
        self._tail: list[bytes] = [self._seam]
        self._size = 0
        self._usage: bytes | None = None
        self._is_finished = False

    def chunk(self, data: bytes) -> None:
        joined = self._seam + data
        self.events += joined.count(_EVENT)
        self._seam = joined[1 - len(_EVENT) :]
        self._tail.append(data)
        self._size += len(data)
        if self._size > 4 * TAIL:
            self._shorten()

    def _shorten(self) -> None:
        """Keeps what was found in the part that is let go."""
        tail = self.tail()
        # Looks only at the last of each, since many providers write both into every event, mostly as null.
        if (usage := tail.rfind(b'"usage"')) >= 0:
            self._usage = _last_usage(tail[usage:]) or self._usage
        if (reason := tail.rfind(b'"finish_reason"')) >= 0 and _FINISH_REASON.match(tail, reason):
            self._is_finished = True
        self._tail = [tail[-TAIL:]]
        self._size = TAIL

    def is_complete(self) -> bool:
        """Some providers leave out `[DONE]`; a finish reason is as good."""
        return self._is_finished or _finishes(self.tail())

    def tail(self) -> bytes:
        return b"".join(self._tail)

    def usage(self) -> Usage | None:
        return find_usage(self.tail()) or (find_usage(self._usage) if self._usage else None)


class BodyMeter:
    """A `Meter` for replies that are one JSON value: `usage` stands at its end, or at its start."""

    def __init__(self) -> None:
        self.events = 0
        self._first = b""
        self._tail = b""

    def chunk(self, data: bytes) -> None:
        self.events = 1
        if len(self._first) < TAIL:
            self._first += data[: TAIL - len(self._first)]
        self._tail = data if len(data) >= TAIL else (self._tail + data)[-TAIL:]

    def is_complete(self) -> bool:
        return self._tail.rstrip().endswith(b"}")

    def tail(self) -> bytes:
        return self._tail

    def usage(self) -> Usage | None:
        return find_usage(self._tail) or find_usage(self._first)


def _finishes(data: bytes) -> bool:
    # Not one pattern with two branches: those have no common beginning to search for, which makes it ten times slower.
    return _FINISH_REASON.search(data) is not None or (b"[DONE]" in data and _DONE.search(data) is not None)


def has_content(data: bytes) -> bool:
    """Whether an event adds anything to an answer: more than who speaks, which filters ran, or nothing at all."""
    try:
        choices = _event_decoder.decode(data).choices
    except msgspec.DecodeError:
        return True  # of a shape that is not known here, so better not held back
    return any(
        choice.text
        or choice.finish_reason
        or any(value for name, value in (choice.delta or {}).items() if name != "role")
        for choice in choices or ()
    )


def find_usage(data: bytes) -> Usage | None:
    """The last `usage` object in a piece of JSON or of an event stream, whole or not."""
    found = _last_usage(data)
    if found is None:
        return None
    try:
        return Usage.from_openai(_usage_decoder.decode(found.partition(b":")[2]))
    except msgspec.DecodeError:
        return None


def _last_usage(data: bytes) -> bytes | None:
    """The last `"usage": {...}` that is whole, up to the brace that closes it. Its strings, if any, hold no braces."""
    for start in reversed([found.start() for found in _USAGE.finditer(data)]):
        depth = 0
        for brace in _BRACE.finditer(data, start):
            depth += 1 if brace.group() == b"{" else -1
            if depth == 0:
                return data[start : brace.end()]
    return None

"""Usage, errors and the end of OpenAI's replies, read from bytes that pass by.

Source: platform.openai.com/docs/api-reference (chat, completions, embeddings), read 2026-11.
"""

import re

import msgspec

from gateway.usage import OpenAIUsage, Usage

TAIL = 4 * 1024
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"|data: ?\[DONE\]')
_usage_decoder = msgspec.json.Decoder(OpenAIUsage)


class StreamMeter:
    """A `Meter` for streams: counts events as they pass, and reads usage and the end from the last few KiB.

    Text of a model cannot be taken for usage or an end: inside a JSON string its quotation marks are escaped.
    """

    def __init__(self) -> None:
        self.events = 0
        self._tail: list[bytes] = []
        self._size = 0

    def chunk(self, data: bytes) -> None:
        self.events += data.count(b"data:")
        if b'"usage"' in data:
            self._tail = [data]
            self._size = len(data)
        else:
            self._tail.append(data)
            self._size += len(data)
            if self._size > 2 * TAIL and len(self._tail) > 1:
                self._shorten()

    def _shorten(self) -> None:
        tail = self.tail()
        usage = _last_usage(tail)
        # Usage that was seen stays, and with it what follows: the end of the stream is in there too.
        kept = tail[-TAIL:] if usage is None else usage + tail[-TAIL:]
        self._tail = [kept]
        self._size = len(kept)

    def tail(self) -> bytes:
        return b"".join(self._tail)

    def is_complete(self) -> bool:
        """Some providers leave out `[DONE]`; a finish reason is as good."""
        return _FINISHED.search(self.tail()) is not None

    def usage(self) -> Usage | None:
        return find_usage(self.tail())


class BodyMeter:
    """A `Meter` for replies that are one JSON value: `usage` stands at its end, or at its start."""

    def __init__(self) -> None:
        self.events = 0
        self._first = b""
        self._tail = b""

    def chunk(self, data: bytes) -> None:
        self.events = 1
        self._first = self._first or data[:TAIL]
        self._tail = data if len(data) >= TAIL else (self._tail + data)[-TAIL:]

    def is_complete(self) -> bool:
        return self._tail.rstrip().endswith(b"}")

    def usage(self) -> Usage | None:
        return find_usage(self._tail) or find_usage(self._first)


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
    """`"usage": {...}` as it stands, up to the brace that closes it. Its strings, if any, hold no braces."""
    last = None
    for last in _USAGE.finditer(data):  # noqa: B007
        pass
    if last is None:
        return None
    depth = 0
    for brace in re.finditer(rb"[{}]", data[last.start() :]):
        depth += 1 if brace.group() == b"{" else -1
        if depth == 0:
            return data[last.start() : last.start() + brace.end()]
    return None

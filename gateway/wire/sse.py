"""Server-sent events, as far as a relay has to know them.

Source: html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6.
"""

import re

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"[DONE]"
"""The data of the event that ends OpenAI's streams."""
LAST_EVENT = b"data: [DONE]\n\n"
"""The whole of it, as most write it."""
MAX_EVENT = 4 * 1024 * 1024

# A blank line ends an event. Atomic groups, so that CR LF is never taken for two line ends. A CR at the very end of
# what has arrived is half of a CR LF, unless the lines before end with CR alone.
_BLANK_LINE = re.compile(rb"\r\r|(?>\r\n|\n|\r)(?>\r\n|\n|\r(?!\Z))")


BOM = b"\xef\xbb\xbf"
"""May stand at the start of a stream, and is no part of it."""
ENOUGH_TO_TELL = 9
"""Bytes that show how a stream begins, a byte order mark included."""
_EVENT_NAME = re.compile(rb"(?:\A|[\r\n])event:([^\r\n]*+)")
_FOR_ALL = re.compile(rb"\s*+(?:message\s*+|.*(?:error|fail|exception).*)?", re.IGNORECASE)
"""Names that events of any API may have."""
BODY = (b"{", b"[", b"<")
"""How that begins which is no event, but a body: some send their errors so."""
_FIRST_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


def looks_like_events(data: bytes) -> bool:
    """Whether it begins as an event stream does, whatever its label says."""
    return data[:64].removeprefix(BOM).lstrip().startswith(_FIRST_FIELDS)


def ends_event(data: bytes) -> bool:
    """True when nothing is open after `data`, so that a comment or another event may follow."""
    return data.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))


def data_of(event: bytes) -> bytes:
    """The data of one whole event: its `data:` lines, joined by line feeds."""
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return lines[0] if len(lines) == 1 else b"\n".join(lines)


def is_foreign(event: bytes, own: "re.Pattern[bytes]") -> bool:
    """Whether it has a name that is none of an API's: so vendors tell of progress, or keep a connection open. Clients
    that know nothing of it pass over it.

    Args:
        own: found in each event of the API, under whatever name some may send it.
    """
    if b"event:" not in event or own.search(event):
        return False
    name = _EVENT_NAME.search(event)
    return name is not None and _FOR_ALL.fullmatch(name[1]) is None


class EventSplitter:
    """Cuts a stream into whole events, whatever chunks it arrives in. Put together they are the stream, to the byte."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._has_cr = False

    def __len__(self) -> int:
        """Bytes held back, because their event is not whole yet."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes, each with its blank line."""
        held = self._held
        seen = max(0, len(held) - 3)  # a blank line may have begun in what is held
        held += data
        self._has_cr = self._has_cr or b"\r" in data
        if not self._has_cr:  # as nearly all streams are, and the pattern takes five times as long
            if held.find(b"\n\n", seen) < 0:
                return []
            *whole, self._held = held.split(b"\n\n")
            return [bytes(event) + b"\n\n" for event in whole]
        events = []
        start = 0
        for blank in _BLANK_LINE.finditer(held, seen):
            events.append(bytes(held[start : blank.end()]))
            start = blank.end()
        del held[:start]
        return events

    def end(self) -> bytes:
        """The rest, when the stream ends without a blank line."""
        held, self._held = bytes(self._held), bytearray()
        return held

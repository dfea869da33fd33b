"""Event streams that are relayed to the byte, and read only where they say something of themselves."""

import re

from gateway.errors import BrokeOff, UpstreamError
from gateway.wire import sse


class JudgedStream:
    """A `Reading` of an event stream. No byte of it is changed; what comes behind its last event is left out. Its own
    has `judge`.

    Args:
        mark: what stands in each event that is looked at once the answer has begun, besides those with `error`.
        max_event: bytes.
    """

    content_type: str | None = None
    is_stream = True
    own: "re.Pattern[bytes] | None" = None
    """As in `sse.is_foreign`: what is foreign is not judged. None: nothing is."""

    def __init__(self, mark: bytes, max_event: int = sse.MAX_EVENT) -> None:
        self.events = 0
        self.has_begun = False
        self.is_over = False
        self._mark = mark
        self._max_event = max_event
        self._splitter = sse.EventSplitter()
        self._last = b""
        """The end of what has passed, with the last event in it."""
        self._error: UpstreamError | None = None

    def judge(self, data: bytes) -> None:
        """Looks at the data of one event; sets `has_begun` and `is_over`, and calls `fail` for one that is an error."""
        raise NotImplementedError

    def trouble(self, body: bytes) -> UpstreamError:
        """What a body says that is no event stream."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bytes:
        if (
            self.has_begun
            and data.endswith(b"\n\n")
            and not self._splitter
            and self._mark not in data
            and b"error" not in data
        ):  # as nearly always
            self.events += data.count(b"\ndata:") + data.startswith(b"data:")
            self._last = data
            return data
        events = self._splitter.feed(data)
        if len(self._splitter) > self._max_event:
            raise BrokeOff(f"the provider sent an event of over {self._max_event:,} bytes")
        for number, event in enumerate(events):
            if b"data:" in event:  # else it is a comment
                self.events += 1
                self._last = event
            if not self.has_begun or self._mark in event or b"error" in event:
                self._look(event)
                if self.is_over:
                    behind = len(self._splitter) + sum(map(len, events[number + 1 :]))
                    return data[: len(data) - behind] if behind else data
        return data

    def end(self) -> bytes:
        if rest := self._splitter.end():
            self._look(rest)
        if not self.has_begun and self._error is None:
            raise BrokeOff("the provider ended its stream before it began")
        return b""

    def is_complete(self) -> bool:
        return self.is_over

    def told_error(self) -> UpstreamError | None:
        return self._error

    def fail(self, error: UpstreamError) -> None:
        """Raises it, where it comes first."""
        if not self.has_begun:
            raise error
        self._error = BrokeOff(error.message, code=error.code)

    def _look(self, event: bytes) -> None:
        data = sse.data_of(event.removeprefix(sse.BOM))
        if data and self.own is not None and sse.is_foreign(event, self.own):
            return
        if data:
            self.judge(data)
        elif event.lstrip().startswith((b"{", b"<")):  # no event at all, but a body
            raise self.trouble(event)

"""What readings of other formats have in common. A translator's own has one method: what one event, or one document,
is in the caller's API."""

import re
from collections.abc import Iterable

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.wire import sse
from gateway.wire.lenient import decoded
from gateway.wire.openai_failures import ERROR_EVENT
from gateway.wire.whole import WholeReading

MAX_EVENT = sse.MAX_EVENT

__all__ = ("DocumentReading", "EventReading", "decoded")


class DocumentReading(WholeReading):
    """A reply that can be put into the caller's API only when it has come whole; `document` sets `told_usage`."""

    content_type = "application/json"

    def __init__(self) -> None:
        super().__init__()
        self.told_usage: Usage | None = None

    def usage(self) -> Usage | None:
        return self.told_usage

    def service_tier(self) -> str | None:
        return None


class EventReading:
    """An event stream, put into the caller's API event by event.

    What came before an error is passed on first, and the error raised with the next piece, or at the end.
    """

    content_type: str | None = "text/event-stream; charset=utf-8"
    is_stream = True
    own: "re.Pattern[bytes] | None" = None
    """As in `sse.is_foreign`: what is foreign is passed over. None: nothing is."""

    def __init__(self) -> None:
        self.events = 0
        self.has_begun = False
        self.is_over = False
        self.told_usage: Usage | None = None
        self._held = bytearray()
        self._cr = b""  # half of a CR LF, perhaps
        self._is_fresh = True  # nothing has come to its end yet
        self._error: UpstreamError | None = None

    def event(self, data: bytes) -> bytes:
        """What one event is to the caller, `b""` for nothing; sets `has_begun` with the first content, `is_over` with
        the last event, and `told_usage`. Raises UpstreamError: it says that something has gone wrong."""
        raise NotImplementedError

    def split(self, data: bytes) -> Iterable[bytes]:
        """The data of the events that are whole now. Server-sent events, unless it is another framing.

        Raises BrokeOff: they end here. From a generator, that comes after the events before it.
        """
        if data.endswith(b"\n\n") and not self._held and not self._cr and b"\r" not in data:
            whole = data  # as nearly always
        else:
            whole = self._whole(data)
        if not whole:
            return []
        if self._is_fresh:
            self._is_fresh = False
            whole = whole.removeprefix(sse.BOM)
        if b"data:" not in whole and not any(mark in whole for mark in sse.BODY):
            return []
        events = [event for event in whole.split(b"\n\n") if b"data:" in event or event.lstrip().startswith(sse.BODY)]
        if self.own is None or b"event:" not in whole:
            return [_data_of(event) for event in events]
        return self._named(events, self.own)

    def named_error(self, data: bytes) -> UpstreamError | None:
        """What the data of an event says whose name is `error`; None: that is seen by what is in it."""
        return None

    def _named(self, events: Iterable[bytes], own: "re.Pattern[bytes]") -> Iterable[bytes]:
        for event in events:
            if sse.is_foreign(event, own):
                continue
            data = _data_of(event)
            if ERROR_EVENT.search(event) and (error := self.named_error(data)) is not None:
                raise error
            yield data

    def _whole(self, data: bytes) -> bytes:
        """What has come up to the last blank line, with line feeds alone."""
        data = self._cr + data
        self._cr = b"\r" if data.endswith(b"\r") else b""
        lines = data[: len(data) - len(self._cr)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        seen = max(0, len(self._held) - 1)  # a blank line may have begun in what is held
        self._held += lines
        end = self._held.rfind(b"\n\n", seen) + 2
        if end < 2:
            if len(self._held) > MAX_EVENT:
                raise BrokeOff("the provider sent an event that is too large to be translated")
            return b""
        # Not by the pattern that keeps each byte: of blank lines and comments alone, a MiB took it a second.
        whole = bytes(self._held[:end])
        del self._held[:end]
        return whole

    def feed(self, data: bytes) -> bytes:
        if self._error is not None:
            raise self._error
        out = []
        try:
            for event in self.split(data):
                if event and not self.is_over:
                    self.events += 1
                    out.append(self.event(event))
        except UpstreamError as error:
            if self.has_begun and not isinstance(error, BrokeOff):  # no other target can answer any more
                error = BrokeOff(error.message, code=error.code)
            passed = b"".join(out)
            if not passed:
                raise error from None
            self._error = error
            return passed
        return out[0] if len(out) == 1 else b"".join(out)

    def end(self) -> bytes:
        if self._error is not None:
            raise self._error
        out = self.feed(b"\n") if self._cr else b""
        if rest := bytes(self._held).strip():
            # The last event without its blank line, or no event at all, but a body: some send their errors so.
            self._held.clear()
            if self._is_fresh:
                rest = rest.removeprefix(sse.BOM)
            out += self.feed(b"%b\n\n" % rest) if b"data:" in rest else self.event(rest)
        if not self.events and not self.has_begun:
            raise BrokeOff("the provider ended its stream before it began")
        return out

    def is_complete(self) -> bool:
        return self.is_over

    def told_error(self) -> UpstreamError | None:
        return None

    def usage(self) -> Usage | None:
        return self.told_usage

    def service_tier(self) -> str | None:
        return None


def _data_of(event: bytes) -> bytes:
    """Or all of what is a body."""
    return sse.data_of(event) or (event.strip() if event.lstrip().startswith(sse.BODY) else b"")

"""Replies that are passed on to the byte, and looked at on the way for what was used."""

import msgspec

from gateway.contract.call import Head
from gateway.contract.usage import Usage
from gateway.wire import sse
from gateway.wire.plain import PlainReading

MAX_HELD = 16 * 1024 * 1024
"""What is larger goes on as well, and is not looked at."""


class PassingReading(PlainReading):
    """A `Reading` of one document, or of server-sent events.

    Args:
        is_free: nothing is used, whatever is said.
    """

    def __init__(self, head: Head, *, is_free: bool = False) -> None:
        super().__init__()
        self.told_usage: Usage | None = Usage() if is_free else None
        self._is_free = is_free
        self._events = sse.EventSplitter() if head.is_stream else None
        self._held: list[bytes] = []
        self._size = 0

    def look(self, data: bytes) -> None:
        """At a document, or the data of one event; sets `told_usage`. May raise what msgspec raises."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bytes:
        if not self._is_free and self._size <= MAX_HELD:
            self.keep(data)
        return super().feed(data)

    def keep(self, data: bytes) -> None:
        if self._events is None:
            self._held.append(data)
            self._size += len(data)
            if self._size > MAX_HELD:
                self._held.clear()
            return
        for event in self._events.feed(data):
            self.see(sse.data_of(event))
        if len(self._events) > MAX_HELD:
            self._size = MAX_HELD + 1
            self._events = None

    def end(self) -> bytes:
        if self._events is not None:
            self.see(sse.data_of(self._events.end()))
        elif self._held:
            self.see(b"".join(self._held))
        return super().end()

    def see(self, data: bytes) -> None:
        try:
            self.look(data)
        except (msgspec.DecodeError, RecursionError):
            return  # it is for the client to judge

    def usage(self) -> Usage | None:
        return self.told_usage

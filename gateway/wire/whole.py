"""Replies that are one JSON document, and are judged as a whole."""

from gateway.errors import BrokeOff, UpstreamError

MAX_DOCUMENT = 64 * 1024 * 1024


class WholeReading:
    """A `Reading` that holds a document back until all of it is there."""

    content_type: str | None = None
    is_stream = False
    is_over = False

    def __init__(self) -> None:
        self.events = 0
        self.has_begun = False
        self._parts: list[bytes] = []
        self._size = 0

    def document(self, body: bytes) -> bytes:
        """What the caller gets of it. Raises UpstreamError: it is no answer."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bytes:
        self.events = 1
        self._size += len(data)
        if self._size > MAX_DOCUMENT:
            raise BrokeOff(f"the provider's answer is over {MAX_DOCUMENT:,} bytes")
        self._parts.append(data)
        return b""

    def end(self) -> bytes:
        answer = self.document(b"".join(self._parts))
        self.has_begun = True
        return answer

    def is_complete(self) -> bool:
        return self.has_begun

    def told_error(self) -> UpstreamError | None:
        return None

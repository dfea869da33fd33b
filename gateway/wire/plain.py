"""Replies whose content is nobody's business here: audio, files, archives."""

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError


class PlainReading:
    """A `Reading` that passes bytes on as they come. That they are all, only the connection can tell."""

    content_type: str | None = None
    is_stream = False
    is_over = False

    def __init__(self) -> None:
        self.events = 0
        self.has_begun = False

    def feed(self, data: bytes) -> bytes:
        self.events += 1
        self.has_begun = True
        return data

    def end(self) -> bytes:
        return b""

    def is_complete(self) -> bool:
        return True

    def told_error(self) -> UpstreamError | None:
        return None

    def usage(self) -> Usage | None:
        return None

    def service_tier(self) -> str | None:
        return None


class HeldReading(PlainReading):
    """One document, which is given whole at its end.

    Args:
        max_bytes: a larger one is refused.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._left = max_bytes
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise BrokeOff("the provider's answer is larger than what it answers can be")
        self._parts.append(super().feed(data))
        return b""

    def end(self) -> bytes:
        return b"".join(self._parts)


class FreeObject(HeldReading):
    """The same of what is not billed."""

    def usage(self) -> Usage:
        return Usage()

"""Replies whose content is nobody's business here: audio, files, archives."""

from gateway.contract.usage import Usage
from gateway.errors import UpstreamError


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

"""Server-sent events that come in AWS's frames."""

from collections.abc import Iterable

from gateway.contract import Reading
from gateway.contract.usage import Usage
from gateway.errors import UpstreamError
from gateway.translators.reading import EventReading
from gateway_aws.failures import broken
from gateway_aws.frames import Frames, opened


class FramedReading(EventReading):
    """A stream of SageMaker's: a container's own, in pieces, each in a frame.

    Args:
        inside: reads what is in the frames.
    """

    def __init__(self, inside: Reading) -> None:
        super().__init__()
        self._frames = Frames()
        self._inside = inside

    def unwrapped(self, payload: bytes) -> bytes:
        """What of the stream is in a frame. Raises BrokeOff."""
        return payload

    def split(self, data: bytes) -> Iterable[bytes]:
        return self._frames.feed(data)

    def event(self, data: bytes) -> bytes:
        frame = opened(data)
        if frame.kind != "event":
            raise broken(frame, has_begun=self.has_begun)
        return self._read(self._inside.feed(self.unwrapped(frame.payload)))

    def end(self) -> bytes:
        return super().end() + self._read(self._inside.end())

    def is_complete(self) -> bool:
        return self._frames.is_empty and self._inside.is_complete()

    def told_error(self) -> UpstreamError | None:
        return self._inside.told_error()

    def usage(self) -> Usage | None:
        return self._inside.usage()

    def service_tier(self) -> str | None:
        return self._inside.service_tier()

    def _read(self, out: bytes) -> bytes:
        self.events = self._inside.events
        self.has_begun = self._inside.has_begun
        self.is_over = self._inside.is_over
        return out

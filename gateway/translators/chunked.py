"""What the other APIs have in common when a chat completion comes to them chunk by chunk."""

from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.reading import EventReading
from gateway.translators.said import Call, Completion, completion_of
from gateway.wire.failure import failure_of
from gateway.wire.openai_failures import OWN, refused
from gateway.wire.sse import DONE

MAX_CALLS = 1000
LONGEST_DONE = 16
"""Bytes, with the blanks that some put around it."""


class ChunkReading(EventReading):
    """Chunks of a chat completion, put into the caller's API. Its own has `chunk`, `last` and `has_finished`."""

    own = OWN

    def __init__(self) -> None:
        super().__init__()
        self.tier: str | None = None

    def chunk(self, chunk: Completion) -> bytes:
        """What it is to the caller; sets `has_begun` with the first content."""
        raise NotImplementedError

    def last(self) -> bytes:
        """What comes when the answer has come to its end."""
        raise NotImplementedError

    def has_finished(self) -> bool:
        """Whether a finish reason was told: some leave out `[DONE]`."""
        raise NotImplementedError

    def event(self, data: bytes) -> bytes:
        if data == DONE or (len(data) < LONGEST_DONE and data.strip() == DONE):
            return self._over()
        try:
            chunk = completion_of(data)
        except UpstreamError as error:
            if not self.has_begun:
                raise
            raise BrokeOff(error.message, code=error.code) from error
        if (usage := chunk.used) is not None:
            self.told_usage = usage.over(self.told_usage)
        self.tier = chunk.service_tier or self.tier
        return self.chunk(chunk)

    def named_error(self, data: bytes) -> UpstreamError | None:
        return refused(failure_of(data), None)

    def end(self) -> bytes:
        out = super().end()
        return out + self._over() if self.has_finished() and not self.is_over else out

    def service_tier(self) -> str | None:
        return self.tier

    def _over(self) -> bytes:
        if not self.has_begun and not self.has_finished():
            raise BrokeOff("the provider ended its stream before it began")
        self.is_over = True
        return self.last()


class CallPlaces:
    """Which call a piece belongs to. Providers tell by an index, by an id, or by nothing but their order; some give the
    same index to all, which are then told apart by their ids and names."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        """Of the calls, in their order."""
        self._numbers: dict[int, int] = {}
        """Index of a call with the provider -> the place among them of the last one that has it."""

    def of(self, call: Call) -> int | None:
        """The place of the call of which this is a piece. None: it begins a new one, or, without a name, is nothing
        that could be called."""
        id_ = str(call.id or "")
        known = self.ids.index(id_) if id_ in self.ids else None
        if call.index is not None:
            place = self._numbers.get(call.index)
            begins = bool(id_ and call.function.name)
            return known if place is not None and begins and self.ids[place] != id_ else place
        if known is not None:
            return known
        return None if call.function.name or not self.ids else len(self.ids) - 1

    def add(self, call: Call, id_: str) -> int:
        """The place of a new call. Raises BrokeOff: there are too many."""
        number = len(self.ids)
        if number >= MAX_CALLS:
            raise BrokeOff(f"the provider made more than {MAX_CALLS:,} calls")
        self.ids.append(id_)
        if call.index is not None:
            self._numbers[call.index] = number
        return number

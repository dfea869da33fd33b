"""One counter in memory: a sliding window, a calendar window, or what is open."""

from abc import ABC, abstractmethod
from math import inf

from gateway.holds import Hold, Level, Unit
from gateway.stores.refusal import BUCKETS, OPEN_RETRY_S
from gateway.windows import Window, span_of

PLACE = {Unit.REQUESTS: 0, Unit.TOKENS: 1, Unit.COST: 2, Unit.CONCURRENT: 3}
"""Of each unit in a tuple of amounts."""


class Counter(ABC):
    """What was used, by bucket: parts of a sliding window, the one calendar window of now, or all that is open.

    `until_ms`: so long `bucket` is the one of now. `free_ms`: what is used now counts until then.
    """

    __slots__ = ("amounts", "bucket", "free_ms", "unit", "until_ms", "used")

    def __init__(self, hold: Hold) -> None:
        self.unit = PLACE[hold.unit]
        self.bucket = 0
        self.until_ms = 0
        self.free_ms = 0
        self.amounts: dict[int, int] = {}
        """Oldest bucket first."""
        self.used = 0

    @abstractmethod
    def move(self, now_ms: int) -> None:
        """To the bucket of now; what no longer counts is forgotten."""

    def level(self, hold: Hold, now_ms: int) -> Level:
        return Level(hold, self.used, max(0, self.free_ms - now_ms) / 1000 if self.used else 0.0)

    def wait_s(self, amount: int, limit: int, now_ms: int) -> float:
        """Until there is room for so much; infinite: never."""
        if amount > limit:
            return inf
        return 0.0 if self.used + amount <= limit else (self.free_ms - now_ms) / 1000


class Sliding(Counter):
    __slots__ = ("width_ms",)

    def __init__(self, hold: Hold, window_s: int) -> None:
        super().__init__(hold)
        self.width_ms = window_s * 1000 // BUCKETS

    def move(self, now_ms: int) -> None:
        bucket = now_ms // self.width_ms
        if self.bucket - BUCKETS < bucket < self.bucket:
            return  # The clock was set back a little; it will be here again soon.
        if bucket < self.bucket:
            self.amounts = {bucket: self.used}
        else:
            while (oldest := next(iter(self.amounts), bucket)) < bucket - BUCKETS:
                self.used -= self.amounts.pop(oldest)
            self.amounts.setdefault(bucket, 0)
        self.bucket = bucket
        self.until_ms = (bucket + 1) * self.width_ms
        self.free_ms = self._free_ms(bucket)

    def level(self, hold: Hold, now_ms: int) -> Level:
        newest = next((bucket for bucket, amount in reversed(self.amounts.items()) if amount), None)
        return Level(hold, self.used, 0.0 if newest is None else (self._free_ms(newest) - now_ms) / 1000)

    def wait_s(self, amount: int, limit: int, now_ms: int) -> float:
        if amount > limit:
            return inf
        excess, room_ms = self.used + amount - limit, now_ms
        for bucket, given_back in self.amounts.items():
            if excess <= 0:
                break
            excess, room_ms = excess - given_back, self._free_ms(bucket)
        return (room_ms - now_ms) / 1000

    def _free_ms(self, bucket: int) -> int:
        return (bucket + 1 + BUCKETS) * self.width_ms


class Calendar(Counter):
    __slots__ = ("window",)

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold)
        self.window = hold.window

    def move(self, now_ms: int) -> None:
        span = span_of(self.window, now_ms / 1000)
        if span.begins_s > self.bucket:
            self.used = 0
        self.bucket = span.begins_s
        self.amounts = {self.bucket: self.used}
        self.until_ms = self.free_ms = span.ends_s * 1000


class Open(Counter):
    __slots__ = ()

    def move(self, now_ms: int) -> None:
        self.amounts.setdefault(0, 0)
        self.free_ms = now_ms + int(OPEN_RETRY_S * 1000)


def counter_of(hold: Hold, now_ms: int) -> Counter:
    counter: Counter
    if window_s := hold.window.sliding_s:
        counter = Sliding(hold, window_s)
    else:
        counter = Open(hold) if hold.window is Window.WHILE_OPEN else Calendar(hold)
    counter.move(now_ms)
    return counter

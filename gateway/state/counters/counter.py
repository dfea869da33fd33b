"""One counter in memory: a sliding window, a calendar window, or what is open."""

from abc import ABC, abstractmethod
from collections import deque
from math import inf

import msgspec

from gateway.contract.limits import Hold, Level
from gateway.contract.windows import Window, span_of
from gateway.rules.limits.verdict import BUCKETS, OPEN_RETRY_S


class PerUnit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What counters go up or down by. The fields are called as the values of `Unit`."""

    requests: int
    tokens: int
    cost: int
    concurrent_requests: int


class Bucket:
    """What was used in some part of time: a hundredth of a sliding window, one calendar window, or ever.

    `counter` is None once it no longer counts. So who has taken from a bucket can give back without looking for it.
    """

    __slots__ = ("amount", "counter", "number")

    def __init__(self, counter: "Counter", number: int, amount: int = 0) -> None:
        self.counter: Counter | None = counter
        self.number = number
        self.amount = amount


class Counter(ABC):
    """What was used, by bucket.

    `until_ms`: so long `bucket` is the one of now. `free_ms`: what is used now counts until then.
    """

    __slots__ = ("bucket", "free_ms", "unit", "until_ms", "used")

    def __init__(self, hold: Hold) -> None:
        self.unit = hold.unit.value
        self.until_ms = 0
        self.free_ms = 0
        self.bucket = Bucket(self, -1)
        self.used = 0

    @abstractmethod
    def move(self, now_ms: int) -> None:
        """To the bucket of now; what no longer counts is forgotten."""

    def add(self, amount: int) -> None:
        self.bucket.amount += amount
        self.used += amount

    def level(self, hold: Hold, now_ms: int) -> Level:
        return Level(hold, self.used, max(0, self.free_ms - now_ms) / 1000 if self.used else 0.0)

    def wait_s(self, amount: int, limit: int, now_ms: int) -> float:
        """Until there is room for so much, and for nothing there always is; infinite: never."""
        if not amount:
            return 0.0
        if amount > limit:
            return inf
        return 0.0 if self.used + amount <= limit else (self.free_ms - now_ms) / 1000

    def end(self) -> None:
        """Nothing of it counts any more."""
        self.bucket.counter = None


class Sliding(Counter):
    __slots__ = ("buckets", "width_ms")

    def __init__(self, hold: Hold, window_s: int) -> None:
        super().__init__(hold)
        self.width_ms = window_s * 1000 // BUCKETS
        self.buckets: deque[Bucket] = deque()
        """Those that count, oldest first."""

    def move(self, now_ms: int) -> None:
        number, latest = now_ms // self.width_ms, self.bucket.number
        if latest - BUCKETS < number < latest:
            return  # The clock was set back a little; it will be here again soon.
        if number < latest:
            self.end()
            self._begin(number, self.used)
        else:
            while self.buckets and self.buckets[0].number < number - BUCKETS:
                oldest = self.buckets.popleft()
                oldest.counter = None
                self.used -= oldest.amount
            if number > latest:
                self._begin(number, 0)
        self.until_ms = (number + 1) * self.width_ms
        self.free_ms = self._free_ms(number)

    def level(self, hold: Hold, now_ms: int) -> Level:
        newest = next((bucket for bucket in reversed(self.buckets) if bucket.amount), None)
        return Level(hold, self.used, 0.0 if newest is None else (self._free_ms(newest.number) - now_ms) / 1000)

    def wait_s(self, amount: int, limit: int, now_ms: int) -> float:
        if not amount:
            return 0.0
        if amount > limit:
            return inf
        excess, room_ms = self.used + amount - limit, now_ms
        for bucket in self.buckets:
            if excess <= 0:
                break
            excess, room_ms = excess - bucket.amount, self._free_ms(bucket.number)
        return (room_ms - now_ms) / 1000

    def end(self) -> None:
        for bucket in self.buckets:
            bucket.counter = None
        self.buckets.clear()

    def _begin(self, number: int, amount: int) -> None:
        self.bucket = Bucket(self, number, amount)
        self.buckets.append(self.bucket)

    def _free_ms(self, number: int) -> int:
        return (number + 1 + BUCKETS) * self.width_ms


class Calendar(Counter):
    __slots__ = ("window",)

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold)
        self.window = hold.window

    def move(self, now_ms: int) -> None:
        span = span_of(self.window, now_ms / 1000)
        if span.begins_s > self.bucket.number:
            self.end()
            self.bucket = Bucket(self, span.begins_s)
            self.used = 0
        self.bucket.number = span.begins_s  # in the clock's own time, if it was set back
        self.until_ms = self.free_ms = span.ends_s * 1000


class Open(Counter):
    __slots__ = ()

    def move(self, now_ms: int) -> None:
        self.free_ms = now_ms + int(OPEN_RETRY_S * 1000)


def counter_of(hold: Hold, now_ms: int) -> Counter:
    counter: Counter
    if window_s := hold.window.sliding_s:
        counter = Sliding(hold, window_s)
    else:
        counter = Open(hold) if hold.window is Window.WHILE_OPEN else Calendar(hold)
    counter.move(now_ms)
    return counter

"""Counters in the memory of one process: exact for it, unknown to others, empty when it starts."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from gateway.contract.limits import Amounts, Counters, Hold, Level, Ticket, Verdict
from gateway.contract.windows import span_of
from gateway.rules.limits.verdict import refusing, retry_after_s
from gateway.state.counters.counter import Bucket, Counter, PerUnit, counter_of

TIDY_MS = 100
BATCH = 100
"""Counters that are looked at each time it tidies up."""


class MemoryTicket(Ticket, kw_only=True):
    """One that is dropped before it was settled is put among `dropped`: by the collector perhaps, in another thread."""

    buckets: list[Bucket]
    """What each hold was taken from."""
    dropped: "deque[tuple[list[Bucket], Amounts]]"

    def __del__(self) -> None:
        if not self.is_settled:
            self.dropped.append((self.buckets, self.need))


class MemoryCounters(Counters):
    """Nothing in here waits, so each call is one atomic step on the event loop.

    Args:
        clock: seconds since 1970. When it is set back, what was used counts as from then.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._counters: dict[str, Counter] = {}
        self._keys: deque[str] = deque()
        """Of the counters, in the order in which they are looked at."""
        self._made = 0
        """Counters since that was done last: each pays for looking at two, so that those nobody uses do not pile up."""
        self._dropped: deque[tuple[list[Bucket], Amounts]] = deque()
        self._began_ms = 0
        self._tidy_ms = 0

    def __len__(self) -> int:
        """How many counters are kept."""
        return len(self._counters)

    # What follows runs for each request: it is one piece, with as few calls as possible.
    async def reserve(self, holds: Sequence[Hold], need: Amounts) -> Verdict:
        now_s = self._clock()
        now_ms = int(now_s * 1000)
        if not self._began_ms <= now_ms < self._tidy_ms:
            self._tidy(now_ms)
        if self._made:
            self._drop_idle(2 * self._made, now_ms)
            self._made = 0
        amounts = _taken(need)
        known = self._counters
        buckets = []
        levels = []
        all_fit = True
        for hold in holds:
            counter = known.get(hold.key) or self._new(hold, now_ms)
            if now_ms >= counter.until_ms:
                counter.move(now_ms)
            amount: int = getattr(amounts, counter.unit)
            bucket = counter.bucket
            bucket.amount += amount
            counter.used = used = counter.used + amount
            if used > hold.limit and amount:
                all_fit = False
            buckets.append(bucket)
            levels.append(
                Level(hold, used, (counter.free_ms - now_ms) / 1000) if amount else counter.level(hold, now_ms)
            )
        if not all_fit:
            fits = [level.used <= level.hold.limit or not getattr(amounts, level.hold.unit.value) for level in levels]
            place = refusing(holds, fits)
            if place is not None:
                _give_back(buckets, amounts)
                return self._refusal(holds, amounts, place, now_ms)
        ticket = MemoryTicket(now_s, tuple(holds), need, buckets=buckets, dropped=self._dropped)
        return Verdict(ticket, levels)

    def settle(self, ticket: Ticket, used: Amounts | None) -> None:
        assert isinstance(ticket, MemoryTicket)
        if ticket.is_settled:
            return
        ticket.is_settled = True
        need = ticket.need
        if used is None:
            _give_back(ticket.buckets, _taken(need))
            return
        changes = PerUnit(
            requests=0, tokens=used.tokens - need.tokens, cost=used.cost - need.cost, concurrent_requests=-1
        )
        for hold, bucket in zip(ticket.holds, ticket.buckets, strict=True):
            counter = bucket.counter
            change: int = getattr(changes, hold.unit.value if counter is None else counter.unit)
            if change > 0:
                self._add(hold, bucket.number, change)
            elif counter is not None:
                bucket.amount += change
                counter.used += change

    async def levels(self, holds: Sequence[Hold]) -> Sequence[Level]:
        now_ms = int(self._clock() * 1000)
        levels = []
        for hold in holds:
            if counter := self._counters.get(hold.key):
                counter.move(now_ms)
                levels.append(counter.level(hold, now_ms))
            else:
                levels.append(Level(hold, 0, 0.0))
        return levels

    async def restore(self, used: Sequence[tuple[Hold, float, int]]) -> None:
        self.restore_now(used)

    def restore_now(self, used: Sequence[tuple[Hold, float, int]]) -> None:
        """The same without a coroutine."""
        now_ms = int(self._clock() * 1000)
        for hold, at_s, amount in used:
            if not hold.window.is_calendar:
                continue
            counter = self._of(hold, now_ms)
            counter.move(now_ms)
            if counter.used < amount and counter.bucket.number == span_of(hold.window, at_s).begins_s:
                counter.used = counter.bucket.amount = amount

    def _of(self, hold: Hold, now_ms: int) -> Counter:
        return self._counters.get(hold.key) or self._new(hold, now_ms)

    def _new(self, hold: Hold, now_ms: int) -> Counter:
        counter = self._counters[hold.key] = counter_of(hold, now_ms)
        self._keys.append(hold.key)
        self._made += 1
        return counter

    def _refusal(self, holds: Sequence[Hold], amounts: PerUnit, place: int, now_ms: int) -> Verdict:
        pairs = [(hold, self._counters[hold.key]) for hold in holds]
        levels = [counter.level(hold, now_ms) for hold, counter in pairs]
        waits_s = [counter.wait_s(getattr(amounts, counter.unit), hold.limit, now_ms) for hold, counter in pairs]
        return Verdict(None, levels, levels[place], retry_after_s(holds, waits_s))

    def _add(self, hold: Hold, number: int, amount: int) -> None:
        """What comes on top counts from now. A calendar window that is over is of no interest; the ledger has it."""
        now_ms = int(self._clock() * 1000)
        counter = self._of(hold, now_ms)
        if now_ms >= counter.until_ms:
            counter.move(now_ms)
        if hold.window.sliding_s or counter.bucket.number == number:
            counter.add(amount)

    def _tidy(self, now_ms: int) -> None:
        """A little at a time: tickets that were dropped, and counters nobody uses."""
        if now_ms < self._began_ms:
            for counter in self._counters.values():
                counter.until_ms = 0
        self._began_ms, self._tidy_ms = now_ms, now_ms + TIDY_MS
        while self._dropped:
            buckets, need = self._dropped.popleft()
            _give_back(buckets, _taken(need, requests=0))  # that the request was made still counts
        self._drop_idle(BATCH, now_ms)

    def _drop_idle(self, looked_at: int, now_ms: int) -> None:
        for _ in range(min(looked_at, len(self._keys))):
            key = self._keys.popleft()
            counter = self._counters[key]
            counter.move(now_ms)
            if counter.used:
                self._keys.append(key)
            else:
                counter.end()
                del self._counters[key]


def _taken(need: Amounts, *, requests: int = 1) -> PerUnit:
    return PerUnit(requests=requests, tokens=need.tokens, cost=need.cost, concurrent_requests=1)


def _give_back(buckets: Sequence[Bucket], amounts: PerUnit) -> None:
    """To those that still count."""
    for bucket in buckets:
        if counter := bucket.counter:
            amount = getattr(amounts, counter.unit)
            bucket.amount -= amount
            counter.used -= amount

"""Counters in the memory of one process: exact for it, unknown to others, empty when it starts."""

import secrets
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count, islice

from gateway.holds import Amounts, Hold, Level, Ticket, Verdict
from gateway.stores.counter import PLACE, Counter, counter_of
from gateway.stores.refusal import refusing, retry_after_s
from gateway.windows import Window, span_of

LEASE_S = 30.0
MAX_AGE_S = 3600.0
TIDY_MS = 100
BATCH = 100
"""Tickets, and counters, that are looked at each time it tidies up."""

Record = tuple[int, int, "weakref.ref[Ticket]", tuple[Hold, ...], Amounts, list[int]]
"""A ticket that is open: when its lease ends, when it was taken (ms), and the bucket each hold was taken from."""


class MemoryCounters:
    """Nothing in here waits, so each call is one atomic step on the event loop.

    Args:
        clock: seconds since 1970. When it is set back, what was used counts as from then.
        lease_s: how long a ticket nobody holds any more keeps what it reserved.
        max_age_s: how long one does that somebody holds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, *, lease_s: float = LEASE_S, max_age_s: float = MAX_AGE_S
    ) -> None:
        self._clock = clock
        self._lease_ms = int(lease_s * 1000)
        self._max_age_ms = int(max_age_s * 1000)
        self._counters: dict[str, Counter] = {}
        self._keys: deque[str] = deque()
        """Of the counters, in the order in which they are looked at."""
        self._made = 0
        """Counters since that was done last: each pays for looking at two, so that those nobody uses do not pile up."""
        self._open: dict[str, Record] = {}
        """By ticket, those whose leases end first in front."""
        self._began_ms = 0
        self._tidy_ms = 0
        self._name = secrets.token_hex(8)
        self._numbers = count(1)

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
        amounts = (1, need.tokens, need.cost, 1)
        known = self._counters
        counters = []
        all_fit = True
        for hold in holds:
            counter = known.get(hold.key) or self._new(hold, now_ms)
            if now_ms >= counter.until_ms:
                counter.move(now_ms)
            if counter.used + amounts[counter.unit] > hold.limit:
                all_fit = False
            counters.append(counter)
        if not all_fit:
            fits = [
                counter.used + amounts[counter.unit] <= hold.limit
                for hold, counter in zip(holds, counters, strict=True)
            ]
            place = refusing(holds, fits)
            if place is not None:
                return self._refusal(holds, counters, amounts, place, now_ms)
        levels = []
        taken = []
        for hold, counter in zip(holds, counters, strict=True):
            bucket = counter.bucket
            taken.append(bucket)
            if amount := amounts[counter.unit]:
                counter.used += amount
                counter.amounts[bucket] += amount
                levels.append(Level(hold, counter.used, (counter.free_ms - now_ms) / 1000))
            else:
                levels.append(counter.level(hold, now_ms))
        ticket = Ticket(f"{self._name}-{next(self._numbers)}", now_s, tuple(holds), need)
        self._open[ticket.id] = (now_ms + self._lease_ms, now_ms, weakref.ref(ticket), ticket.holds, need, taken)
        return Verdict(ticket, tuple(levels))

    def settle(self, ticket: Ticket, used: Amounts | None) -> None:
        if ticket.is_settled:
            return
        ticket.is_settled = True
        record = self._open.pop(ticket.id, None)
        if record is None:
            self._settle_late(ticket, used)
            return
        need = ticket.need
        if used is None:
            changes = (-1, -need.tokens, -need.cost, -1)
        else:
            changes = (0, used.tokens - need.tokens, used.cost - need.cost, -1)
        self._change(ticket.holds, record[5], changes)

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
            counter = self._counters.get(hold.key) or self._new(hold, now_ms)
            counter.move(now_ms)
            if counter.used < amount and counter.bucket == span_of(hold.window, at_s).begins_s:
                counter.used = counter.amounts[counter.bucket] = amount

    async def close(self) -> None:
        return None

    def _new(self, hold: Hold, now_ms: int) -> Counter:
        counter = self._counters[hold.key] = counter_of(hold, now_ms)
        self._keys.append(hold.key)
        self._made += 1
        return counter

    def _refusal(
        self, holds: Sequence[Hold], counters: Sequence[Counter], amounts: tuple[int, ...], place: int, now_ms: int
    ) -> Verdict:
        pairs = list(zip(holds, counters, strict=True))
        levels = tuple(counter.level(hold, now_ms) for hold, counter in pairs)
        waits_s = [counter.wait_s(amounts[counter.unit], hold.limit, now_ms) for hold, counter in pairs]
        return Verdict(None, levels, levels[place], retry_after_s(holds, waits_s))

    def _change(self, holds: Sequence[Hold], buckets: Sequence[int], changes: tuple[int, ...]) -> None:
        """What is given back goes to the bucket it came from, if that still counts; what comes on top counts now."""
        for hold, bucket in zip(holds, buckets, strict=True):
            counter = self._counters.get(hold.key)
            change = changes[PLACE[hold.unit] if counter is None else counter.unit]
            if change < 0:
                if counter is not None and bucket in counter.amounts:
                    counter.amounts[bucket] += change
                    counter.used += change
            elif change:
                now_ms = int(self._clock() * 1000)
                counter = counter or self._new(hold, now_ms)
                if now_ms >= counter.until_ms:
                    counter.move(now_ms)
                # A calendar window that is over is of no interest here; the ledger has it.
                if hold.window.sliding_s or counter.bucket == bucket:
                    counter.amounts[counter.bucket] += change
                    counter.used += change

    def _settle_late(self, ticket: Ticket, used: Amounts | None) -> None:
        """The lease had ended: all but the request was given back, and what was used counts in full."""
        if used is None:
            return
        holds = [hold for hold in ticket.holds if hold.window is not Window.WHILE_OPEN]
        buckets = [0 if hold.window.sliding_s else span_of(hold.window, ticket.at_s).begins_s for hold in holds]
        self._change(holds, buckets, (0, used.tokens, used.cost, 0))

    def _tidy(self, now_ms: int) -> None:
        """A little at a time: leases are renewed, or end; counters nobody uses go."""
        if now_ms < self._began_ms:
            for counter in self._counters.values():
                counter.until_ms = 0
        self._began_ms, self._tidy_ms = now_ms, now_ms + TIDY_MS
        for ticket_id in tuple(islice(self._open, BATCH)):
            due_ms, at_ms, ticket, holds, need, buckets = self._open[ticket_id]
            if due_ms > now_ms:
                break
            del self._open[ticket_id]
            if ticket() is not None and now_ms < at_ms + self._max_age_ms:
                self._open[ticket_id] = (now_ms + self._lease_ms, at_ms, ticket, holds, need, buckets)
            else:
                self._change(holds, buckets, (0, -need.tokens, -need.cost, -1))
        self._drop_idle(BATCH, now_ms)

    def _drop_idle(self, looked_at: int, now_ms: int) -> None:
        for _ in range(min(looked_at, len(self._keys))):
            key = self._keys.popleft()
            counter = self._counters[key]
            counter.move(now_ms)
            if counter.used:
                self._keys.append(key)
            else:
                del self._counters[key]

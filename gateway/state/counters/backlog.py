"""What the shared counters have not been told yet: bounded, and told once."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import structlog

from gateway.contract.limits import Hold, Unit
from gateway.state.counters.batch import Charge, Settlement, width_at

MOST_AT_ONCE = 200
MOST_SETTLED = 10_000
"""Settlements that wait; what comes after them is added up by counter, and their tickets end with their leases."""
MOST_CHARGES = 50_000
"""Sums that wait; what comes after them is lost, and the log says so."""

log = structlog.get_logger(__name__)


class Backlog:
    """What is taken stays under way, under one number, until it has arrived: it may be sent twice and counts once."""

    def __init__(self) -> None:
        self.number = 0
        """Of what is under way."""
        self._under_way: Sequence[Settlement | Charge] = ()
        self._settled: deque[Settlement] = deque()
        self._charges: dict[tuple[str, int], Charge] = {}
        """By counter and the beginning of the bucket."""
        self._is_losing = False

    def __len__(self) -> int:
        return len(self._settled) + len(self._charges) + len(self._under_way)

    def settle(self, settlement: Settlement) -> None:
        if len(self._settled) < MOST_SETTLED:
            self._settled.append(settlement)
        elif settlement.used is not None:
            for hold in settlement.holds:
                if hold.unit is not Unit.REQUESTS:
                    self.charge(hold, settlement.at_s, settlement.used.of(hold.unit), settlement.at_s)

    def charge(self, hold: Hold, at_s: float, amount: int, now_s: float) -> None:
        """Adds what was used at a time, on the server's clock. What is open counts where it is."""
        width = width_at(hold.window, at_s)
        if amount <= 0 or width == 0:
            return
        at_ms = int(at_s * 1000) // width * width if isinstance(width, int) else width[0] * 1000
        waiting = self._charges.get((hold.key, at_ms))
        if waiting is None and len(self._charges) >= MOST_CHARGES and not self._make_room(now_s):
            return
        amount += waiting.amount if waiting else 0
        self._charges[hold.key, at_ms] = Charge(hold.key, hold.window, at_ms, amount)

    def take(self) -> Sequence[Settlement | Charge]:
        if not self._under_way and len(self):
            self.number += 1
            self._under_way = [*self._next()]
        return self._under_way

    def arrived(self) -> None:
        self._under_way = ()
        self._is_losing = False

    def _next(self) -> Iterator[Settlement | Charge]:
        for _ in range(min(MOST_AT_ONCE, len(self._settled))):
            yield self._settled.popleft()
        for place in list(islice(self._charges, MOST_AT_ONCE)):
            yield self._charges.pop(place)

    def _make_room(self, now_s: float) -> bool:
        """Sums of sliding windows that are over can be forgotten."""
        if self._is_losing:
            return False
        over = [
            place
            for place, charge in self._charges.items()
            if charge.window.sliding_s and charge.at_ms < (now_s - 1.01 * charge.window.sliding_s) * 1000
        ]
        for place in over:
            del self._charges[place]
        if not over:
            self._is_losing = True
            log.error("more was used without the shared counters than can be remembered", counters=len(self._charges))
        return bool(over)

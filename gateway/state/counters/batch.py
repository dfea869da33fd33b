"""What goes to counters.lua in one call, and what comes back."""

import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf

import msgspec

from gateway.contract.limits import Amounts, Hold, Level, Mode, Ticket, Unit, Verdict
from gateway.contract.windows import Window, span_of
from gateway.rules.limits.verdict import BUCKETS, OPEN_RETRY_S, is_budget, retry_after_s

MOST = 2**53 - 1
"""No single amount is larger, since Lua's numbers are doubles; totals and limits may be."""
MOST_IN_TOTAL = 2**62
MOST_IN_REDIS = 2**63 - 1

Width = int | tuple[int, ...]
"""How the script cuts the time of a counter; see there."""


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What a ticket used in the end; None: nothing was sent."""

    ticket_id: str
    at_s: float
    holds: tuple[Hold, ...]
    used: Amounts | None


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What was used elsewhere, and when."""

    key: str
    window: Window
    at_ms: int
    amount: int


class RedisTicket(Ticket, kw_only=True, weakref=True):
    """`id` is unique among all replicas."""

    id: str


class Answer(msgspec.Struct, array_like=True, gc=False):
    """To one request. `refused`: which hold, counted from 1; 0: none. Totals as text: they may be above 2^53."""

    refused: int
    now_ms: int
    used: list[str]
    free_ms: list[int]
    room_ms: list[int]
    """When each has room, if it was refused; -1: never."""

    def levels(self, holds: Sequence[Hold]) -> tuple[Level, ...]:
        return tuple(
            Level(hold, int(used), self._resets_s(hold, used, free_ms))
            for hold, used, free_ms in zip(holds, self.used, self.free_ms, strict=True)
        )

    def verdict(self, ticket_id: str, holds: tuple[Hold, ...], need: Amounts) -> Verdict:
        levels = self.levels(holds)
        if not self.refused:
            return Verdict(RedisTicket(self.now_ms / 1000, holds, need, id=ticket_id), levels)
        waits_s = [self._wait_s(hold, room_ms) for hold, room_ms in zip(holds, self.room_ms, strict=True)]
        return Verdict(None, levels, levels[self.refused - 1], retry_after_s(holds, waits_s))

    def _resets_s(self, hold: Hold, used: str, free_ms: int) -> float:
        if hold.window is Window.WHILE_OPEN:
            return 0.0 if used == "0" else OPEN_RETRY_S
        return max(0, free_ms - self.now_ms) / 1000

    def _wait_s(self, hold: Hold, room_ms: int) -> float:
        if room_ms < 0:
            return inf
        wait_s = (room_ms - self.now_ms) / 1000
        return min(wait_s, OPEN_RETRY_S) if hold.window is Window.WHILE_OPEN else wait_s


class Reply(msgspec.Struct, array_like=True, gc=False):
    """`epoch` is another than the one that was sent: the script has done nothing."""

    epoch: str
    now_ms: int
    replicas: int
    reserved: list[Answer]
    levels: list[Answer]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Reply)


class Batch:
    """Collects arguments of one call. All keys have one prefix, whose {tag} keeps them in one slot of a cluster.

    Args:
        now_s: about the time it is at the server, which decides between the calendar windows around it.
    """

    def __init__(self, prefix: str, replica: str, now_s: float) -> None:
        self._now_s = now_s
        self._counter = prefix + "counter:"
        fixed = ("epoch", "tickets", "leases", "replicas", f"batch:{replica}")
        self._places = {(prefix + name).encode(): place for place, name in enumerate(fixed, 1)}
        self._replica = replica
        self._renewed: Sequence[str] | None = None
        self._number = 0
        self._settled: list[object] = []
        self._reserved: list[object] = []
        self._levels: list[object] = []
        self._restored: list[object] = []

    def arguments(self, epoch: str, lease_s: float, max_age_s: float, now_ms: int | None) -> list[object]:
        """What follows the name of the script: how many keys, the keys, the batch, and for tests the time."""
        fresh_epoch = secrets.token_hex(8)
        terms = (epoch, fresh_epoch, self._replica, int(lease_s * 1000), int(max_age_s * 1000))
        told = (self._renewed, self._number, self._settled)
        batch = _encode((*terms, *told, self._reserved, self._levels, self._restored))
        return [len(self._places), *self._places, batch, *([] if now_ms is None else [now_ms])]

    def reserve(self, ticket_id: str, holds: Sequence[Hold], need: Amounts) -> None:
        rules: dict[str, int] = {}
        asked = []
        for hold in holds:
            budget = rules.setdefault(hold.rule, len(rules) + 1) if is_budget(hold) else 0
            asked.append((*self._hold(hold, need.of(hold.unit)), hold.mode, budget, hold.unit is Unit.REQUESTS))
        self._reserved.append((ticket_id, asked))

    def look(self, holds: Iterable[Hold]) -> None:
        self._levels.append([(*self._hold(hold, 0), Mode.COUNT, 0, False) for hold in holds])

    def restore(self, hold: Hold, at_s: float, amount: int) -> None:
        if hold.window.is_calendar:
            begins_s = span_of(hold.window, at_s).begins_s
            width = _widths(hold.window, self._now_s)
            self._restored.append((self._place(hold.key), width, begins_s, str(min(amount, MOST_IN_TOTAL))))

    def renew(self, ticket_ids: Sequence[str]) -> None:
        """Says that this replica is alive, and that somebody holds these tickets."""
        self._renewed = ticket_ids

    def settle(self, number: int, items: Iterable[Settlement | Charge], epoch_began_s: float) -> None:
        """All of them, or none if the server knows a batch of this replica with that number or a higher one."""
        self._number = number
        for item in items:
            if isinstance(item, Charge):
                width = width_at(item.window, item.at_ms / 1000)
                charge = (self._place(item.key), width, 0, min(item.amount, MOST))
                self._settled.append(("", item.at_ms, [charge]))
            else:
                is_from_before = item.at_s < epoch_began_s
                holds = [self._settled_hold(hold, item, is_from_before) for hold in item.holds]
                self._settled.append((item.ticket_id, 0, holds))

    def _settled_hold(self, hold: Hold, item: Settlement, is_from_before: bool) -> tuple[int, Width, int, int]:
        """With what was used, and how much of that counts if the ticket is no longer known.

        A lease that ended leaves the request counted; a server that lost all does not.
        """
        used = late = 0
        if item.used is not None and hold.unit is not Unit.CONCURRENT:
            used = late = min(item.used.of(hold.unit), MOST)
            if hold.unit is Unit.REQUESTS and not is_from_before:
                late = 0
        return self._place(hold.key), width_at(hold.window, item.at_s), used, late

    def _hold(self, hold: Hold, amount: int) -> tuple[int, Width, int, str]:
        """With how much may be used so that it fits; "": nothing would do. What takes nothing always fits."""
        room = hold.limit - amount if amount else MOST_IN_REDIS
        width = _widths(hold.window, self._now_s)
        return self._place(hold.key), width, min(amount, MOST), str(room) if room >= 0 else ""

    def _place(self, key: str) -> int:
        # Keys may hold what callers have sent, lone surrogates included.
        name = (self._counter + key).encode("utf-8", "surrogatepass")
        return self._places.setdefault(name, len(self._places) + 1)


def read(data: bytes) -> Reply:
    """Raises msgspec.MsgspecError: that is no reply."""
    return _decoder.decode(data)


def width_at(window: Window, at_s: float) -> Width:
    """With the one calendar window of a moment."""
    if window_s := window.sliding_s:
        return window_s * 1000 // BUCKETS
    if window is Window.WHILE_OPEN:
        return 0
    span = span_of(window, at_s)
    return span.begins_s, span.ends_s


def _widths(window: Window, at_s: float) -> Width:
    return _widths_of(window, int(at_s // 86400))


@lru_cache(maxsize=256)
def _widths_of(window: Window, day: int) -> Width:
    """With the calendar windows before and after as well, since the server's clock may be another."""
    width = width_at(window, day * 86400)
    if isinstance(width, int):
        return width
    begins_s, ends_s = width
    return span_of(window, begins_s - 1).begins_s, begins_s, ends_s, span_of(window, ends_s).ends_s

"""Shared counters, and what happens while they cannot be reached: no request fails, and none waits long."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
import structlog

from gateway.contract.limits import Amounts, Counters, Hold, Level, Mode, Ticket, Verdict, WhenLost
from gateway.contract.part import Figure, Status, ending_with, gauge
from gateway.contract.windows import span_of
from gateway.errors import Unavailable
from gateway.state.counters.memory import MemoryCounters, MemoryTicket
from gateway.state.counters.patience import Patience
from gateway.state.counters.redis import RedisCounters

DEADLINE_S = 0.05
PROBE_S = 1.0
JITTER = 0.3
"""Each pause is shortened by up to this part, so that replicas do not come back together."""
CATCH_UP_S = 1.0
"""The longest that one try may take, with all that is to be told."""
NEAR_END = 0.9
MOST_SEEN = 50_000
"""Calendar counters, twice: of so many the last that was seen is remembered."""
ABOUT = "Of limits, budgets and the ledger."
CLOSED = -1
OPEN = 2**63
"""Limits that let nothing, or everything, pass."""

log = structlog.get_logger(__name__)


class FailoverCounters(Counters):
    """The shared counters while they answer in time. When they do not, nobody waits for them any more, and each hold
    does what its `when_lost` says:

    - local: this replica counts by itself and keeps to its share, the limit divided by the replicas that were alive,
      rounded up; of a calendar limit, to its share of what was left when it last saw it. A budget that was 90 % used
      then, or that it has never seen, is closed, for others may have used all of it.
    - open: it passes. closed: it does not, and may ask again after the next try.

    A task tries once a second whether they are back. They are told first what was used meanwhile; then requests go
    there again. Shares begin empty, so a sliding limit may be passed up to twice in the window in which they were lost;
    and a request that was let in locally is not among the concurrent ones there.

    Args:
        deadline_s: how long one request waits for them.
        probe_s: the pause between two tries.
        random: from 0 to 1.
    """

    def __init__(
        self,
        shared: RedisCounters,
        *,
        deadline_s: float = DEADLINE_S,
        probe_s: float = PROBE_S,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.problem: str | None = None
        """Why they cannot be reached; None: they can."""
        self.times_lost = 0
        self.passed_locally = 0
        self.refused_locally = 0
        self._shared = shared
        self._patience = Patience(deadline_s)
        self._probe_s = probe_s
        self._random = random
        self._local = MemoryCounters(shared.now_s)
        self._seen: dict[str, tuple[int, int]] = {}
        """Of calendar counters: when the window began, and how much was used."""
        self._seen_before: dict[str, tuple[int, int]] = {}
        self._healing: asyncio.Task[None] | None = None

    async def reserve(self, holds: Sequence[Hold], need: Amounts) -> Verdict:
        if self.problem is None:
            try:
                verdict = await self._shared.reserve(holds, need, self._patience)
            except (TimeoutError, Unavailable) as error:
                self._lose(error)
            else:
                self._see(verdict.levels)
                return verdict
        return await self._reserve_locally(holds, need)

    def settle(self, ticket: Ticket, used: Amounts | None) -> None:
        if not isinstance(ticket, MemoryTicket):
            self._shared.settle(ticket, used)
        elif not ticket.is_settled:
            self._local.settle(ticket, used)
            if used is not None:
                for hold in ticket.holds:
                    self._shared.charge(hold, ticket.at_s, used.of(hold.unit))

    async def levels(self, holds: Sequence[Hold]) -> Sequence[Level]:
        if self.problem is not None:
            raise Unavailable("limits cannot be read just now", retry_after_s=self._probe_s)
        try:
            levels = await self._shared.levels(holds, self._patience)
        except (TimeoutError, Unavailable) as error:
            self._lose(error)
            raise Unavailable("limits cannot be read just now", retry_after_s=self._probe_s) from error
        self._see(levels)
        return levels

    async def restore(self, used: Sequence[tuple[Hold, float, int]]) -> None:
        """Never raises. What the shared counters did not get, they ask for when they are back (`on_new_epoch`)."""
        for hold, at_s, amount in used:
            if hold.window.is_calendar:
                self._remember(hold.key, span_of(hold.window, at_s).begins_s, amount)
        try:
            await self._shared.restore(used)
        except Unavailable as error:
            self._lose(error)

    @property
    def status(self) -> Status:
        return Status(self.problem)

    def figures(self) -> Iterable[Figure]:
        yield gauge("gateway_counters_times_lost", ABOUT, self.times_lost)
        yield gauge("gateway_counters_passed_locally", ABOUT, self.passed_locally)
        yield gauge("gateway_counters_refused_locally", ABOUT, self.refused_locally)

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self.close)

    async def close(self) -> None:
        if self._healing:
            self._healing.cancel()
            await asyncio.wait([self._healing])
        await self._shared.close()

    # --- alone ---

    async def _reserve_locally(self, holds: Sequence[Hold], need: Amounts) -> Verdict:
        shares = [self._share(hold) for hold in holds]
        verdict = await self._local.reserve(shares, need)
        levels = tuple(
            level if share.limit not in (CLOSED, OPEN) else msgspec.structs.replace(level, hold=hold)
            for level, share, hold in zip(verdict.levels, shares, holds, strict=True)
        )
        if ticket := verdict.ticket:
            self.passed_locally += 1
            ticket.holds = tuple(holds)
            return Verdict(ticket, levels, is_local=True)
        self.refused_locally += 1
        refused = next(level for level, asked in zip(levels, verdict.levels, strict=True) if asked is verdict.refused)
        retry_after_s = verdict.retry_after_s
        if retry_after_s is None and _may_fit(holds, need):
            retry_after_s = self._probe_s
        return Verdict(None, levels, refused, retry_after_s, is_local=True)

    def _share(self, hold: Hold) -> Hold:
        limit = hold.limit
        if hold.when_lost is WhenLost.OPEN:
            limit = OPEN
        elif hold.when_lost is WhenLost.CLOSED:
            limit = CLOSED
        elif hold.window.is_calendar:
            now_s = self._shared.now_s()
            used = self._last_seen(hold, now_s)
            if hold.is_budget and (used is None or used >= NEAR_END * limit):
                limit = CLOSED
            elif used is None:
                limit = self._part(limit)
            else:
                self._local.restore_now([(hold, now_s, used)])
                limit = used + self._part(max(0, limit - used))
        else:
            limit = self._part(limit)
        return msgspec.structs.replace(hold, limit=limit)

    def _part(self, amount: int) -> int:
        return -(-amount // self._shared.replicas)

    # --- what was seen last ---

    def _see(self, levels: Sequence[Level]) -> None:
        now_s = self._shared.now_s()
        for level in levels:
            if level.hold.window.is_calendar:
                self._remember(level.hold.key, span_of(level.hold.window, now_s).begins_s, level.used)

    def _remember(self, key: str, begins_s: int, used: int) -> None:
        if len(self._seen) >= MOST_SEEN:
            self._seen, self._seen_before = {}, self._seen
        self._seen[key] = (begins_s, used)

    def _last_seen(self, hold: Hold, now_s: float) -> int | None:
        """None: never. In a window that has begun since, nothing was used."""
        seen = self._seen.get(hold.key) or self._seen_before.get(hold.key)
        if seen is None:
            return None
        begins_s, used = seen
        return used if begins_s == span_of(hold.window, now_s).begins_s else 0

    # --- away and back ---

    def _lose(self, error: Exception) -> None:
        if self.problem is None:
            self.problem = _reason(error)
            self.times_lost += 1
            log.warning("counters degraded", reason=self.problem)
            self._healing = asyncio.create_task(self._heal())

    async def _heal(self) -> None:
        while self.problem is not None:
            await asyncio.sleep(self._probe_s * (1.0 - JITTER * self._random()))
            try:
                async with asyncio.timeout(CATCH_UP_S):
                    await self._shared.catch_up()
                await self._shared.levels((), self._patience)
            except (TimeoutError, Unavailable) as error:
                self.problem = _reason(error)
            else:
                self.problem = None
        log.info("counters are back", passed_locally=self.passed_locally, refused_locally=self.refused_locally)


def _may_fit(holds: Sequence[Hold], need: Amounts) -> bool:
    """Whether the limits themselves, and not only this replica's share of them, are large enough."""
    deciding = [hold for hold in holds if hold.mode in (Mode.ENFORCE, Mode.SOFT)]
    return all(need.of(hold.unit) <= hold.limit for hold in deciding)


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, Unavailable) else "redis does not answer in time"

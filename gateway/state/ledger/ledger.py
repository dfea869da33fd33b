"""The buffer between requests and the ledger in the database."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from gateway.contract.entry import Entry
from gateway.contract.limits import Hold
from gateway.contract.part import Figure, Part, Status, ending_with, gauge
from gateway.contract.windows import utc_now
from gateway.errors import BadRequest, Conflict, Unavailable, Unexpected
from gateway.logs import traceback_text
from gateway.state.database.ledger_rows import Total
from gateway.state.ledger.spool import Spool
from gateway.state.pump import BATCH, FLUSH_S, Pump
from gateway.state.spool import MAX_BYTES

FIRST_RETRY_S = 0.25
LAST_RETRY_S = 5.0
CLOSE_S = 10.0
ABOUT = "Of limits, budgets and the ledger."

log = structlog.get_logger(__name__)


class Store(Protocol):
    """What `gateway.state.database.ledger.LedgerStore` does for this."""

    async def write(self, entries: Sequence[Entry], *, at: datetime) -> int: ...

    async def totals(self, at: datetime) -> Sequence[Total]: ...


class Ledger(Part):
    """Writes entries in batches. What the database does not take goes to the spool at once, so that a process which is
    killed loses no more than the last `flush_s` and what was on its way; without a spool, or when that is full or
    broken, it waits in memory, and when `max_waiting` do, the newest are dropped. All of it is written when the
    database is back, and counts once, because the database knows the ids of requests.

    Args:
        spool: a directory, which processes may share; None: there is no spool.
        flush_s: an entry waits at most this long for its batch to fill.
        random: from 0 to 1, so that replicas do not come back all at once.
    """

    name = "ledger"

    def __init__(
        self,
        store: Store,
        *,
        spool: Path | None = None,
        max_waiting: int = 20_000,
        max_spool_bytes: int = MAX_BYTES,
        flush_s: float = FLUSH_S,
        clock: Callable[[], datetime] = utc_now,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.dropped = 0
        self._store = store
        self._spool = Spool(spool, max_bytes=max_spool_bytes) if spool is not None else None
        self._is_spooled = spool is not None  # as long as nobody has looked
        self._clock = clock
        self._random = random
        self._pump: Pump[Entry] = Pump(self._turn, self._drop_newest, max_waiting=max_waiting, flush_s=flush_s)
        self._waiting = self._pump.waiting
        self._spool_in_use = asyncio.Lock()
        self._database_problem: str | None = None
        self._spool_problem: str | None = None
        self._failures = 0
        self._retry_at_s = 0.0  # by the clock of the event loop

    @property
    def waiting(self) -> int:
        """Entries in memory."""
        return len(self._waiting)

    @property
    def problem(self) -> str | None:
        """Why the ledger is behind; None: it is not. Requests go on all the same."""
        return "; ".join(filter(None, (self._database_problem, self._spool_problem))) or None

    @property
    def status(self) -> Status:
        return Status(self.problem)

    def figures(self) -> Iterable[Figure]:
        yield gauge("gateway_ledger_waiting", ABOUT, self.waiting)
        yield gauge("gateway_ledger_dropped", ABOUT, self.dropped)

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self.close)

    def add(self, entry: Entry) -> None:
        """Never waits and never raises."""
        self._pump.add(entry)

    async def flush(self) -> bool:
        """Brings what waits to the database, else to the spool. False: some of it still waits in memory."""
        await self._pump.flush()
        return not self._waiting

    async def write(self, entries: Sequence[Entry]) -> None:
        """At once. An entry that cannot be stored is left out, because all others would wait for it.

        Raises:
            Unavailable: the database does not take them now.
        """
        try:
            await self._store.write(entries, at=self._clock())
        except (BadRequest, Conflict, ValueError):
            if len(entries) > 1:
                for entry in entries:
                    await self.write([entry])
                return
            log.error("ledger entry cannot be stored", traceback=traceback_text())
            self._drop(entries[0], "the database refuses it")

    async def used(self) -> list[tuple[Hold, float, int]]:
        """What counters are restored with: (hold, a moment in its window, amount), for all windows that are open now.

        Of the holds, key, unit and window are right. What a killed process has left in the spool is counted, too; what
        waits here, or in other replicas, is not.

        Raises:
            Unavailable: the database cannot be reached, or has no tables yet.
        """
        try:
            await self._replay()
            totals = await self._store.totals(self._clock())
        except (Unavailable, Unexpected):
            self._pump.start()
            raise
        return [(_hold_of(total), float(total.begins_s), total.amount) for total in totals]

    async def close(self, *, deadline_s: float = CLOSE_S) -> None:
        """After the last `add`. What is left by then goes to the spool, or is lost and counted."""
        await self._pump.close(deadline_s)
        await self._spill()
        for entry in self._waiting:
            self._drop(entry, "the gateway stops, and the database does not take them")
        self._waiting.clear()
        if self._spool is not None:
            self._spool.close()

    async def _turn(self) -> bool:
        problem = self._database_problem
        if asyncio.get_running_loop().time() >= self._retry_at_s or self._pump.is_closing:
            try:
                for batch in self._pump.batches(BATCH):
                    await self.write(batch)
                if self._database_problem is not None:
                    self._note_spool(None)
                if not self._pump.is_closing:
                    await self._replay(segments=1)
                problem = None
            except (Unavailable, Unexpected) as error:
                problem = error.message
            except Exception:
                problem = "the ledger is not written; the log has more"
                log.error("ledger not written", traceback=traceback_text())
            self._note(problem)
        if problem is not None:
            await self._spill()
        return self._is_spooled and not self._pump.is_closing

    async def _replay(self, segments: int | None = None) -> None:
        """Writes what is in the spool: so many of its files, or all."""
        if self._spool is None:
            return
        async with self._spool_in_use:
            while self._is_spooled and segments != 0:
                try:
                    oldest = await asyncio.to_thread(self._spool.oldest)
                    if oldest is None:
                        self._is_spooled = False
                        self._note_spool(None)
                        return
                    path, entries = oldest
                    for at in range(0, len(entries), BATCH):
                        await self.write(entries[at : at + BATCH])
                    await asyncio.to_thread(self._spool.remove, path)
                except OSError as error:
                    self._is_spooled = False  # until something is put into it again, or the gateway is started again
                    self._note_spool(f"the spool cannot be read: {error.strerror or error}")
                    return
                segments = None if segments is None else segments - 1

    async def _spill(self) -> None:
        """To the spool, as many as it takes."""
        if self._spool is None:
            return
        async with self._spool_in_use:
            while batch := self._waiting[: 10 * BATCH]:
                try:
                    count = await asyncio.to_thread(self._spool.append, batch)
                except (OSError, ValueError) as error:
                    self._note_spool(f"the spool cannot be written: {getattr(error, 'strerror', None) or error}")
                    return
                del self._waiting[:count]
                self._is_spooled = self._is_spooled or count > 0
                self._note_spool("the spool is full" if count < len(batch) else None)
                if count < len(batch):
                    return

    def _note(self, problem: str | None) -> None:
        before, self._database_problem = self._database_problem, problem
        if problem is None:
            self._failures = 0
            if before is not None:
                log.info("ledger is written again", waiting=len(self._waiting), dropped=self.dropped)
        else:
            self._failures += 1
            delay_s = retry_delay_s(self._failures, self._random())
            self._retry_at_s = asyncio.get_running_loop().time() + delay_s
            if problem != before:
                log.error("ledger not written", problem=problem, waiting=len(self._waiting))

    def _note_spool(self, problem: str | None) -> None:
        if problem is not None and problem != self._spool_problem:
            log.error("ledger not spooled", problem=problem)
        self._spool_problem = problem

    def _drop_newest(self, entry: Entry) -> None:
        self._drop(entry, "too many are waiting for the database")

    def _drop(self, entry: Entry, reason: str) -> None:
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:  # 1, 2, 4, 8, ...: it may be many
            log.error("ledger entries dropped", dropped=self.dropped, request_id=entry.request_id, reason=reason)


def retry_delay_s(failures: int, chance: float) -> float:
    """`failures`: in a row, from 1. `chance`: from 0 to 1; with 0 it is half as long as with 1."""
    return min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 10), LAST_RETRY_S) * (0.5 + chance / 2)


def _hold_of(total: Total) -> Hold:
    return Hold(
        key=total.key, rule=total.rule, unit=total.unit, window=total.window, limit=total.amount, scope=total.scope
    )

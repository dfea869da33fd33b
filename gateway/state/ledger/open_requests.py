"""What requests under way have used by now, kept for the case that their process does not live to write their bills."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Protocol

import structlog

from gateway.contract.entry import Entry
from gateway.contract.part import Part, Status
from gateway.errors import Unavailable, Unexpected
from gateway.logs import traceback_text
from gateway.state.background import background

EVERY_S = 1.0
SHARE = 1 / 20
"""Of the time, that is spent on this at most: with thousands of open streams it is done less often,"""
LATEST_S = 5.0
"""but not less often than this."""
LOOK_EVERY_S = 10.0
LOOKS = 3
"""A note that has not changed in so many looks in a row is of a process that is dead. Looks are counted, not seconds:
while the database was away, nobody could change it."""
AT_ONCE = 50
"""Entries between two turns of the event loop."""

log = structlog.get_logger(__name__)


class Store(Protocol):
    """What `gateway.state.database.ledger.LedgerStore` does for this."""

    async def note_open(self, replica: str, note: int, entries: Sequence[Entry]) -> None: ...

    async def open_notes(self) -> Mapping[str, int]: ...

    async def open_entries(self, replica: str, note: int) -> Sequence[Entry]: ...

    async def forget_open(self, replica: str, note: int) -> None: ...


class OpenRequests(Part):
    """Each process has one note in the database, with the bills that its open requests would get if they ended now. It
    is replaced each second, and gone when there are none; what a killed process leaves in the ledger is missing at most
    the last `EVERY_S`. Of a process that is dead, another one, or the next that is started here, writes the bills.

    A request counts once, because the database knows the ids of requests: the first bill of it stands. So a process
    that was taken for dead and goes on, as one that was frozen for half a minute, bills too little, and never twice.

    Args:
        bills: of the requests under way.
        write: into the ledger.
        adopted: called when bills of others were written.
        settled: writes the bills of all that have ended, and says whether they are safe.
    """

    name = "ledger"

    def __init__(
        self,
        store: Store,
        *,
        bills: Callable[[], Iterable[Entry]],
        write: Callable[[Sequence[Entry]], Awaitable[None]],
        adopted: Callable[[], Awaitable[None]],
        settled: Callable[[], Awaitable[bool]],
    ) -> None:
        self.problem: str | None = None
        """Why open requests are not noted; None: they are."""
        self._store = store
        self._bills = bills
        self._write = write
        self._adopted = adopted
        self._settled = settled
        self._name = secrets.token_hex(8)
        self._note = 0
        self._is_noted = False
        self._seen: dict[str, tuple[int, int]] = {}
        """Replica -> the number of its note, and how often it was that in a row."""

    @property
    def status(self) -> Status:
        return Status(self.problem)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """To be left after the last request, and before the ledger is closed."""
        try:
            async with background(self.run()):
                yield
        finally:
            if await self._settled():
                await self.close()

    async def run(self) -> None:
        """Until it is cancelled."""
        look_at_s = 0.0
        while True:
            began_s = perf_counter()
            try:
                await self.note()
                if began_s >= look_at_s:
                    look_at_s = began_s + LOOK_EVERY_S
                    await self.look()
                problem = None
            except (Unavailable, Unexpected) as error:
                problem = error.message
            except Exception:
                problem = "open requests are not noted; the log has more"
                log.error("open requests not noted", traceback=traceback_text())
            self.problem = problem
            took_s = perf_counter() - began_s
            await asyncio.sleep(min(max(EVERY_S - took_s, took_s / SHARE), LATEST_S))

    async def note(self) -> None:
        """Replaces the note of this process.

        Raises:
            Unavailable: the database does not take it.
        """
        entries = []
        for entry in self._bills():
            entries.append(entry.billed())
            if len(entries) % AT_ONCE == 0:
                await asyncio.sleep(0)
        if entries:
            self._note += 1
            self._is_noted = True  # if not now, it may have arrived all the same
            await self._store.note_open(self._name, self._note, entries)
        elif self._is_noted:
            await self._forget()

    async def look(self) -> None:
        """Writes the bills of processes that are dead.

        Raises:
            Unavailable: the database cannot be reached.
        """
        notes = await self._store.open_notes()
        seen = self._seen
        self._seen = {
            replica: (note, seen[replica][1] + 1 if seen.get(replica, (None,))[0] == note else 0)
            for replica, note in notes.items()
            if replica != self._name
        }
        for replica, (note, times) in self._seen.items():
            if times >= LOOKS:
                entries = await self._store.open_entries(replica, note)
                await self._write(entries)
                log.warning("bills of a dead process written", replica=replica, requests=len(entries))
                await self._adopted()
                await self._store.forget_open(replica, note)

    async def close(self) -> None:
        """After the bills of all requests were written."""
        if self._is_noted:
            try:
                await self._forget()
            except (Unavailable, Unexpected) as error:
                log.warning("note of open requests not deleted", reason=error.message)

    async def _forget(self) -> None:
        await self._store.forget_open(self._name, self._note)
        self._is_noted = False

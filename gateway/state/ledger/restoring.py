"""Counters begin where the ledger ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

import structlog

from gateway.contract.limits import Counters, Hold
from gateway.contract.part import Part, Status
from gateway.errors import Unavailable
from gateway.state.background import background

RETRY_S = 1.0

log = structlog.get_logger(__name__)


class Ledger(Protocol):
    async def used(self) -> Sequence[tuple[Hold, float, int]]:
        """Raises Unavailable: it cannot be read just now."""


async def restore(ledger: Ledger | None, counters: Counters) -> None:
    """Raises Unavailable: the ledger cannot be read, or the counters cannot be told, just now."""
    if ledger is not None:
        await counters.restore(await ledger.used())


class Restoring(Part):
    """Tells the counters what was used before, when the gateway starts: before it is open if that can be known, else as
    soon as it is."""

    name = "ledger"

    def __init__(self, ledger: Ledger, counters: Counters, *, retry_s: float = RETRY_S) -> None:
        self.is_restored = False
        self._ledger = ledger
        self._counters = counters
        self._retry_s = retry_s

    @property
    def status(self) -> Status:
        return Status(None if self.is_restored else "budgets are not restored yet")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if not self.is_restored:
                try:
                    await self.restore()
                except Unavailable as error:
                    log.warning("budgets not restored yet", reason=error.message)
                    await stack.enter_async_context(background(self._restore_soon()))
            yield

    async def restore(self) -> None:
        """Raises Unavailable, as `restore` does."""
        await restore(self._ledger, self._counters)
        self.is_restored = True

    async def _restore_soon(self) -> None:
        while not self.is_restored:
            await asyncio.sleep(self._retry_s)
            try:
                await self.restore()
            except Unavailable:
                continue
        log.info("budgets restored")

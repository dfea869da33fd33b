"""Tells the other replicas how targets are doing, and hears it from them. Approximate; no request waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from gateway.contract.part import Part
from gateway.rules.routing import Health
from gateway.state.background import background
from gateway.state.bus import Bus

EVERY_S = 1.0


class SharedHealth(Part):
    """Each replica works with what it has seen itself and what it has heard; without Redis, with the former alone.

    Args:
        clock: that of `health`.
    """

    name = "shared health"

    def __init__(
        self, health: Health, bus: Bus, *, every_s: float = EVERY_S, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.health = health
        self.bus = bus
        self._every_s = every_s
        self._clock = clock

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with background(self.bus.listen(self._hear), self._tell()):
                yield
        finally:
            await self.bus.close()

    def _hear(self, data: bytes) -> None:
        self.health.hear(data, self._clock())

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            if news := self.health.take_news(self._clock()):
                self.bus.announce(news)

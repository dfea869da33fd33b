"""Who is being served, and how that comes to an end."""

import asyncio
from collections.abc import Callable, Iterator

from gateway.errors import Stopping
from gateway.proxy.exchange import Exchange


class Drain:
    """The requests under way. They end in four steps: `announce` (it will stop, but goes on), `begin` (take no more),
    `idle` (wait), `cut` (tell the rest)."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_refusing = False
        self.told: list[Callable[[], None]] = []
        """Called once it begins: by those who wait for something else than a request to end."""
        self._open: set[Exchange] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Exchange]:
        """Over those that are open now."""
        return iter(tuple(self._open))

    def enter(self, exchange: Exchange) -> None:
        if not self._open:
            self._idle.clear()
        self._open.add(exchange)

    def leave(self, exchange: Exchange) -> None:
        self._open.discard(exchange)
        if not self._open:
            self._idle.set()

    def announce(self) -> None:
        """Whoever looks is told that others have to be asked from now on; who asks all the same is served."""
        self.is_stopping = True

    def begin(self) -> None:
        self.is_stopping = self.is_refusing = True
        for tell in self.told:
            tell()

    async def idle(self) -> None:
        """Returns when nobody is being served."""
        await self._idle.wait()

    def cut(self) -> None:
        """Ends every open request: a stream gets its dialect's error event, an unanswered one a 503."""
        for exchange in self._open:
            exchange.interrupt(Stopping("the gateway is shutting down; ask again", retry_after_s=1))

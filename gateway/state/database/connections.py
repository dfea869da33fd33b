"""Connections of one's own to the database, for who does not take the lock of those who change manifests and tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.state.database.async_engine import AsyncConnection
from gateway.state.database.engine import connected, engine_of
from gateway.state.database.errors import border
from gateway.state.database.transaction import end_when_idle


class Connections:
    """
    Args:
        url: see `gateway.state.database.engine.engine_of`.
        deadline_s: the longest that one of them is used for.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, *, deadline_s: float) -> None:
        self.engine = engine_of(url, timeout_s=deadline_s)
        self.deadline_s = deadline_s

    async def close(self) -> None:
        """After the last call has ended."""
        await self.engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Raises what `gateway.state.database.errors` does."""
        async with border(self.deadline_s), connected(self.engine) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Who writes commits; what was not committed is undone. Raises what `gateway.state.database.errors` does."""
        async with border(self.deadline_s), connected(self.engine, writes=True) as connection:
            await end_when_idle(connection)
            yield connection

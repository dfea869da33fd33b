"""One transaction that writes, for those who hold the lock of nobody but their own rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.state.database.engine import connected
from gateway.state.database.errors import border
from gateway.state.database.transaction import end_when_idle


@asynccontextmanager
async def writing(engine: AsyncEngine, deadline_s: float) -> AsyncIterator[AsyncConnection]:
    """Whoever writes commits; what was not committed is undone. Raises what `gateway.state.database.errors` does."""
    async with border(deadline_s), connected(engine, writes=True) as connection:
        await end_when_idle(connection)
        yield connection

"""Opens SQLite and PostgreSQL, each with the settings that the store relies on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.state.database.async_engine import AsyncConnection, AsyncEngine
from gateway.state.database.postgres import postgres_engine, wrong
from gateway.state.database.sqlite import Writer, sqlite_engine

POOL_SIZE = 2
MAX_OVERFLOW = 6
"""Connections beyond those that are kept open, for when several callers wait for the lock at once."""

CLOSING = 1 / 8
"""The part of a deadline that is kept for letting go of a connection that does not answer."""


def engine_of(url: str, *, timeout_s: float = 2.0) -> AsyncEngine:
    """An engine that has not connected yet.

    Args:
        url: `sqlite:///path`, or `postgresql://user:password@host/database` with the parameters of libpq.
        timeout_s: the longest wait for a connection, for an answer, and for SQLite's lock.

    Raises:
        ConfigError: the URL cannot be used, or its driver is not installed. It does not repeat the URL.
    """
    scheme, _, rest = url.partition("://")
    pool = {"pool_size": POOL_SIZE, "max_overflow": MAX_OVERFLOW, "pool_timeout": timeout_s}
    if scheme.lower() in ("sqlite", "sqlite+aiosqlite"):
        path = rest.removeprefix("/")
        if not path or "?" in path or path == ":memory:":
            raise wrong("for SQLite it is sqlite:/// and the path of a file, without parameters")
        return sqlite_engine(path, busy_s=_busy_s(timeout_s), **pool)
    if scheme.lower() in ("postgres", "postgresql", "postgresql+asyncpg"):
        return postgres_engine(url, timeout_s=timeout_s, closing_s=timeout_s * CLOSING, **pool)
    if scheme.lower().startswith(("postgres+", "postgresql+")):
        raise wrong("write postgresql:// alone; the gateway brings its driver")
    raise wrong("it starts with neither sqlite:/// nor postgresql://")


def writer_beside(engine: AsyncEngine, *, timeout_s: float) -> Writer | None:
    """For the file of an engine that was made with the same timeout; None: it is PostgreSQL's."""
    path = engine.url.database
    return Writer(path, busy_s=_busy_s(timeout_s)) if engine.dialect.name == "sqlite" and path else None


def _busy_s(timeout_s: float) -> float:
    """Ends before the deadline, so that SQLite itself says it is locked."""
    return timeout_s * (1 - 2 * CLOSING)


@asynccontextmanager
async def connected(engine: AsyncEngine, *, writes: bool = False) -> AsyncIterator[AsyncConnection]:
    """A connection and its transaction, which is undone at the end unless it was committed.

    `writes` locks the whole database when it is SQLite.
    """
    # The engine's own context manager would leave a task behind when it is cancelled while it closes.
    connection = engine.connect()
    await connection.start()
    try:
        await connection.execution_options(writes=writes)
        yield connection
    finally:
        await connection.close()

"""Opens SQLite and PostgreSQL, each with the settings that the store relies on."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from gateway.errors import ConfigError, Fault

POOL_SIZE = 2
MAX_OVERFLOW = 6
"""Connections beyond those that are kept open, for when several callers wait for the lock at once."""

CLOSING = 1 / 8
"""The part of a deadline that is kept for letting go of a connection that does not answer."""

WAL_ATTEMPTS = 50
WAL_PAUSE_S = 0.01

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
IGNORED = {
    "client_encoding",
    "connect_timeout",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
}
"""Parameters of libpq that asyncpg does not know and would send to the server, which would refuse them."""


def engine_of(url: str, *, timeout_s: float = 2.0) -> AsyncEngine:
    """An engine that has not connected yet.

    Args:
        url: `sqlite:///path`, or `postgresql://user:password@host/database` with the parameters of libpq.
        timeout_s: the longest wait for a connection, for an answer, and for SQLite's lock.

    Raises:
        ConfigError: the URL cannot be used, or its driver is not installed. It does not repeat the URL.
    """
    scheme = url.partition("://")[0].lower()
    if scheme in ("sqlite", "sqlite+aiosqlite"):
        return _sqlite(url, timeout_s)
    if scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        return _postgres(url, timeout_s)
    raise _wrong("it starts with neither sqlite:/// nor postgresql://")


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


def _sqlite(url: str, timeout_s: float) -> AsyncEngine:
    path = url.partition("://")[2].removeprefix("/")
    if not path or "?" in path or path == ":memory:":
        raise _wrong("for SQLite it is sqlite:/// and the path of a file, without parameters")
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=path),
        connect_args={
            "timeout": timeout_s * (1 - 2 * CLOSING),  # ends before the deadline, so SQLite itself says it is locked
            "isolation_level": None,  # `begin`, below, starts the transactions, not the driver
        },
        pool_size=POOL_SIZE,
        max_overflow=MAX_OVERFLOW,
        pool_timeout=timeout_s,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def make_file(*_: object) -> None:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, mode=0o600))  # SQLite's files beside it get its mode

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        _write_ahead(cursor)
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(cursor: Any) -> None:
    """Those who do this to a new file at the same time do not wait for each other, whatever their timeout."""
    for attempts_left in reversed(range(WAL_ATTEMPTS)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except OperationalError:
            if not attempts_left:
                raise
            await_only(asyncio.sleep(WAL_PAUSE_S))
        else:
            return


def _postgres(url: str, timeout_s: float) -> AsyncEngine:
    try:
        import asyncpg  # type: ignore[import-untyped]  # only now: it is an extra
    except ImportError as error:
        raise _wrong("PostgreSQL needs a driver: pip install 'llm-asgi-gateway[postgres]'") from error

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # it comes without types
        async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
            """Waits shortly for the server, then cuts the connection."""
            async with asyncio.timeout(timeout_s * CLOSING):
                await super().close(timeout=timeout_s * CLOSING)

    return create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "dsn": _dsn(url),
            "connection_class": Connection,
            "timeout": timeout_s,
            "command_timeout": timeout_s,
            # PgBouncer may give each transaction to another session, so no statement is prepared for longer than that.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,  # no name
        },
        isolation_level="READ COMMITTED",
        pool_size=POOL_SIZE,
        max_overflow=MAX_OVERFLOW,
        pool_timeout=timeout_s,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _dsn(url: str) -> str:
    """The URL as asyncpg reads it: what it does not know, it would send to the server as a setting."""
    try:
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        ports = [urlsplit(f"//{host}").port for host in hosts.split(",")]
        if 0 in ports or "@" in login + parts.path or parts.fragment:
            raise ValueError
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        # Not `from` it: its text may hold a part of the password.
        raise _wrong(
            "expected postgresql://user:password@host:port/database?parameter=value, "
            "with the characters @ / ? # : of user and password percent-encoded"
        ) from None
    if "ssl" in query:  # as SQLAlchemy calls it
        query["sslmode"] = query.pop("ssl")
    if query.get("sslmode", "prefer") not in SSL_MODES:
        raise _wrong(f"sslmode is one of {', '.join(SSL_MODES)}")
    if query.pop("channel_binding", "prefer") == "require":
        raise _wrong("the driver cannot do channel_binding=require; leave it out and set sslmode=verify-full")
    query = {"application_name": "llm-asgi-gateway"} | {k: v for k, v in query.items() if k not in IGNORED}
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), ""))


def _wrong(problem: str) -> ConfigError:
    return ConfigError([Fault("the database's URL", 0, "", problem)])

"""SQLite: its file, the settings that the store relies on, and what is wrong with the file when something is."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, ExceptionContext, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from gateway.errors import GatewayError, Unavailable
from gateway.state.database.async_engine import AsyncEngine, create_async_engine

WAL_ATTEMPTS = 50
WAL_PAUSE_S = 0.01

_PRIMARY = 0xFF
"""The part of an error code that all errors of a kind share."""

Result = TypeVar("Result")
Identity = tuple[int, int] | None
"""Device and inode of a file; None: there is none."""


def sqlite_engine(path: str, *, busy_s: float, **pool: Any) -> AsyncEngine:
    """What was committed is on the disk, whatever becomes of this process or the power.

    Args:
        busy_s: how long to wait for somebody else's lock.
    """
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=path),
        connect_args={
            "timeout": busy_s,
            "isolation_level": None,  # `begin`, below, starts the transactions, not the driver
        },
        hide_parameters=True,
        **pool,
    )
    file = _File(path)

    @event.listens_for(engine.sync_engine, "do_connect")
    def prepare(*_: object) -> None:
        file.prepare()

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, record: Any) -> None:
        try:
            cursor = connection.cursor()
            _set_up(cursor, pause=lambda seconds: await_only(asyncio.sleep(seconds)))
            cursor.close()
            record.info["log"] = file.opened()
        except BaseException:
            # The pool does not know it yet, and its thread would stay. Waited for: `terminate` leaves it behind, to
            # speak to an event loop that may have been closed meanwhile.
            connection.close()
            raise

    @event.listens_for(engine.sync_engine, "checkout")
    def check(_: object, record: Any, __: object) -> None:
        file.check(record.info["log"])

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine.sync_engine, "handle_error")
    def named(context: ExceptionContext) -> GatewayError | None:
        error = context.original_exception
        problem = problem_of(error, path) if isinstance(error, sqlite3.Error) else None
        return Unavailable(problem, retry_after_s=1) if problem is not None else None

    return engine


class Writer:
    """One more connection, in a thread of its own, for what is written so often that all between it and SQLite would
    cost more than SQLite does. What holds for those of `sqlite_engine` holds for it.

    Raises:
        Unavailable: of `run`: the file cannot be used.
        DBAPIError: a statement fails.
    """

    def __init__(self, path: str, *, busy_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._file = _File(path)
        self._log: Identity = None
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "sqlite-writer")

    async def run(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """In a transaction that has locked the database; undone when the job raises. It is over when this returns, even
        if it is cancelled."""
        doing = asyncio.get_running_loop().run_in_executor(self._thread, self._do, job)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise

    async def close(self) -> None:
        """After the last `run`."""
        await asyncio.to_thread(self._close)

    def _do(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            connection = self._opened()
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = job(connection)
                connection.execute("COMMIT")
            finally:
                connection.rollback()  # nothing, unless it failed
        except sqlite3.Error as error:
            if problem := problem_of(error, self._path):
                raise Unavailable(problem, retry_after_s=1) from error
            raise DBAPIError.instance(None, None, error, sqlite3.Error) from error
        return result

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.prepare()
            connection = sqlite3.connect(
                self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
            )
            try:
                _set_up(connection.cursor(), pause=time.sleep)
                self._log = self._file.opened()
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        self._file.check(self._log)
        return self._connection

    def _close(self) -> None:
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()


class _File:
    """The file of a database and, beside it, SQLite's write-ahead log. Neither is ever opened here: to close any
    descriptor of a file drops all locks that the process has on it, SQLite's among them, and then whoever else opens
    and closes the database deletes the log under this process.

    Source: sqlite.org/howtocorrupt.html, 2.2 and 4.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: Identity = None

    def prepare(self) -> None:
        """Before a connection is opened. The first makes the file, if there is none, for its owner alone; SQLite's
        files beside it get its mode."""
        if self._identity is not None:
            self._check_file()  # else SQLite would make an empty one
            return
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # nobody has a lock on what was not there
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600))
        except OSError as error:
            raise Unavailable(f"the database {self.path} cannot be made: {error.strerror}", retry_after_s=1) from error

    def opened(self) -> Identity:
        """After one was opened: which log it writes."""
        self._identity = self._identity or _identity(self.path)
        return _identity(f"{self.path}-wal")

    def check(self, log: Identity) -> None:
        """Before one is used. What is written into a deleted file would be lost.

        Raises:
            Unavailable: the file, or the log of this connection, has been deleted or replaced.
        """
        self._check_file()
        if _identity(f"{self.path}-wal") != log:
            problem = f"{self.path}-wal was deleted or replaced under the gateway, which needs it; restart the gateway"
            raise Unavailable(problem, retry_after_s=1)

    def _check_file(self) -> None:
        if _identity(self.path) != self._identity:
            problem = f"{self.path} was deleted or replaced under the gateway; put it back, or restart the gateway"
            raise Unavailable(problem, retry_after_s=1)


def _identity(path: str) -> Identity:
    try:
        status = os.stat(path)  # noqa: PTH116  before each use of the database, and Path takes twice as long
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _set_up(cursor: Any, pause: Callable[[float], object]) -> None:
    _write_ahead(cursor, pause)
    cursor.execute("PRAGMA synchronous = FULL")  # which is not the default everywhere
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # opens the log as well


def _write_ahead(cursor: Any, pause: Callable[[float], object]) -> None:
    """Those who do this to a new file at the same time do not wait for each other, whatever their timeout."""
    for attempts_left in reversed(range(WAL_ATTEMPTS)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not attempts_left or _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            pause(WAL_PAUSE_S)
        else:
            return


def problem_of(error: sqlite3.Error, path: str) -> str | None:
    """What is wrong with the file, and what to do; None: nothing, it is the statement.

    Source: sqlite.org/rescode.html.
    """
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"the database {path} is locked by another writer; try again in a moment"
        case sqlite3.SQLITE_NOTADB:
            return f"{path} is no SQLite database; name another file, or move this one away"
        case sqlite3.SQLITE_CORRUPT:
            return f"the database {path} is damaged: {error}; restore it from a backup"
        case sqlite3.SQLITE_FULL:
            return f"the database {path} cannot be written: the disk is full"
        case sqlite3.SQLITE_CANTOPEN:
            return f"the database {path} cannot be opened: {_hindrance(path)}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return f"the database {path} cannot be written: {_hindrance(path)}"
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_PROTOCOL | sqlite3.SQLITE_NOLFS:
            return f"the database {path} cannot be read or written: {error}"
    return None


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def _hindrance(path: str) -> str:
    """SQLite does not say. It needs to write the folder as well, where it puts files beside its own."""
    for place in map(Path, (path, f"{path}-wal", f"{path}-shm")):
        if place.is_dir():
            return f"{place} is a directory"
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            return f"no permission to read and write {place}"
    if not os.access(Path(path).parent, os.W_OK | os.X_OK):
        return "no permission to write its folder"
    return "the file system does not allow it"

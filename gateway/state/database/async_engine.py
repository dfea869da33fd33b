"""Engines and connections of SQLAlchemy's for the event loop: as much of `sqlalchemy.ext.asyncio` as is used here.

That one imports all of SQLAlchemy's ORM along, which nobody here uses: 6 MiB of a process at rest. What it does is to
run SQLAlchemy in a greenlet, which leaves when the driver waits. How it closes cursors is not documented, so setup.cfg
pins SQLAlchemy's minor version.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar, TypeVarTuple, overload

from sqlalchemy import URL, Connection, CursorResult, Dialect, Engine, Executable, Pool, ScalarResult, create_engine
from sqlalchemy.sql.selectable import TypedReturnsRows
from sqlalchemy.util import greenlet_spawn

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Given = TypeVarTuple("Given")
Result = TypeVar("Result")
Rows: TypeAlias = CursorResult[*tuple[Any, ...]]


class AsyncConnection:
    """Opened by `start`. `sync_connection`: None before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sync_connection: Connection | None = None

    async def start(self) -> None:
        self.sync_connection = await greenlet_spawn(self._engine.connect)

    async def close(self) -> None:
        """Undoes what was not committed."""
        await greenlet_spawn(self._started.close)

    async def commit(self) -> None:
        await greenlet_spawn(self._started.commit)

    async def execution_options(self, **options: Any) -> None:
        await greenlet_spawn(self._started.execution_options, **options)

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        return await _closed(await greenlet_spawn(self._started.execute, statement, parameters))

    async def exec_driver_sql(self, statement: str) -> Rows:
        return await _closed(await greenlet_spawn(self._started.exec_driver_sql, statement))

    @overload
    async def scalar(self, statement: TypedReturnsRows[Result]) -> Result | None: ...
    @overload
    async def scalar(self, statement: Executable) -> Any: ...
    async def scalar(self, statement: Executable) -> Any:
        return (await self.execute(statement)).scalar()

    async def scalars(self, statement: Executable, parameters: Parameters | None = None) -> ScalarResult[Any]:
        return (await self.execute(statement, parameters)).scalars()

    async def run_sync(self, job: Callable[[Connection, *Given], Result], *args: *Given) -> Result:
        """`job` may do all that a connection can: where it waits, the event loop goes on."""
        return await greenlet_spawn(job, self._started, *args)

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        """A savepoint, to which all goes back when something is raised."""
        savepoint = await greenlet_spawn(self._started.begin_nested)
        try:
            yield
        except BaseException as error:
            await greenlet_spawn(savepoint.__exit__, type(error), error, error.__traceback__)
            raise
        await greenlet_spawn(savepoint.__exit__, None, None, None)

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    @property
    def _started(self) -> Connection:
        assert self.sync_connection is not None
        return self.sync_connection


class AsyncEngine:
    """A pool of connections."""

    def __init__(self, sync_engine: Engine) -> None:
        self.sync_engine = sync_engine

    @property
    def url(self) -> URL:
        return self.sync_engine.url

    @property
    def dialect(self) -> Dialect:
        return self.sync_engine.dialect

    @property
    def pool(self) -> Pool:
        return self.sync_engine.pool

    def connect(self) -> AsyncConnection:
        return AsyncConnection(self.sync_engine)

    async def dispose(self) -> None:
        """Closes the connections that nobody uses."""
        await greenlet_spawn(self.sync_engine.dispose)


def create_async_engine(url: str | URL, **options: Any) -> AsyncEngine:
    return AsyncEngine(create_engine(url, _is_async=True, **options))


async def _closed(result: Rows) -> Rows:
    """Its rows are all there; what the driver holds for it is given back now, where it can be waited for."""
    if result.cursor is not None:
        await result.cursor._async_soft_close()
    return result

"""The door to the records of requests, in SQLite and PostgreSQL."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import structlog
from sqlalchemy import (
    RowMapping,
    Select,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.util import ClauseAdapter

from gateway.contract import Content, Record
from gateway.contract.windows import utc_now
from gateway.errors import Unavailable
from gateway.state.database.async_engine import AsyncConnection
from gateway.state.database.charging import Row
from gateway.state.database.engine import connected, engine_of, writer_beside
from gateway.state.database.errors import border
from gateway.state.database.inserting import STAYS
from gateway.state.database.transaction import IDLE
from gateway.state.requests.asked import Filter, Page, Query, Question, Sum, Tail
from gateway.state.requests.filters import Driver, condition_of, driver_of, seen_condition
from gateway.state.requests.folding import Folder, folded_within
from gateway.state.requests.folds import Spans
from gateway.state.requests.forgetting import Forgetting
from gateway.state.requests.guard_rows import guard_batch, insert_guards
from gateway.state.requests.making import MINUTES_KEPT, make_partition, make_tables
from gateway.state.requests.metrics import SumsQuery, fold_of, pieces, settled, span_of, summed
from gateway.state.requests.rows import Names, batch_of, shown
from gateway.state.requests.steps import after, between, bounds, fenced, id_of, order, records_along
from gateway.state.requests.tables import (
    CONTENTS,
    MAKING,
    REQUESTS,
    TEAMS,
    WRITING,
    time_of,
)
from gateway.state.requests.writing import PostgresRecords, SqliteRecords, insert_batch, known_of, new_of

AT_ONCE = 4000
"""Records of one transaction: more would keep readers' connections and other replicas waiting."""
FIRST_WINDOW, LEAST_WINDOW, LAST_WINDOW = 2_000, 500, 8_000
"""Records that are looked through in one step."""
BUDGET_S = 0.03
"""When a page has taken that long, it is what was found by then."""
log = structlog.get_logger(__name__)


class RecordStore:
    """Writes and reads records. Each method raises what `gateway.state.database.errors` does: above all Unavailable.

    Args:
        url: see `gateway.state.database.engine.engine_of`.
        metadata: the keys of metadata by whose values sums are kept.
        clock: gives aware datetimes.
        deadline_s: the longest wait of one question; `writing_s`: of one batch.
        pause: lets others in, between two transactions of what is done in the background.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        metadata: Sequence[str] = (),
        clock: Callable[[], datetime] = utc_now,
        deadline_s: float = 5.0,
        writing_s: float = 10.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self.metadata = tuple(metadata)
        self._engine = engine_of(url, timeout_s=deadline_s)
        self._writer = writer_beside(self._engine, timeout_s=writing_s)
        self._deadline_s = deadline_s
        self._writing_s = writing_s
        self._names = Names()
        self._is_open = False
        self._opening = asyncio.Lock()
        self._days: set[str] = set()
        """Those whose partitions are there, or cannot be made."""

    @property
    def is_sqlite(self) -> bool:
        return self._writer is not None

    async def open(self) -> None:
        """Makes the tables that are missing. Who writes or reads does it; several processes may do so at once."""
        if self._is_open:
            return
        async with self._opening:
            if not self._is_open:
                await self._make()
                self._is_open = True

    async def migrate(self, days: int) -> list[str]:
        """Makes all that is missing, and the partitions of so many days from today on, for those who may use tables and
        not make any.

        Returns:
            The names of the tables and partitions that were not there.
        """
        made = await self._make()
        self._is_open = True
        if not self.is_sqlite:
            async with self._writing() as connection:
                for day in range(days):
                    made += await make_partition(connection, f"{self._clock() + timedelta(days=day):%Y%m%d}")
                await connection.commit()
        return made

    async def _make(self) -> list[str]:
        async with border(self._writing_s), connected(self._engine, writes=True) as connection:
            if not self.is_sqlite:
                await connection.execute(select(func.pg_advisory_xact_lock(MAKING)))
            made = await connection.run_sync(make_tables, self._clock())
            await connection.commit()
        return made

    async def close(self) -> None:
        """After the last call has ended."""
        await self._engine.dispose()
        if self._writer is not None:
            await self._writer.close()

    @asynccontextmanager
    async def connection(self, *, writes: bool = False) -> AsyncIterator[AsyncConnection]:
        """For what has tables of its own beside these. Whoever writes commits, or nothing was written."""
        await self.open()
        deadline_s = self._writing_s if writes else self._deadline_s
        async with border(deadline_s), connected(self._engine, writes=writes) as connection:
            yield connection

    # --- writing ---

    async def write(self, records: Sequence[Record]) -> int:
        """One transaction for each `AT_ONCE`. One that was written before counts no more.

        Returns:
            How many were new.
        """
        await self.open()
        written = 0
        for at in range(0, len(records), AT_ONCE):
            by_id = {record.request_id: record for record in records[at : at + AT_ONCE]}
            async with border(self._writing_s):
                if self._writer is not None:
                    written += await self._writer.run(partial(self._write_file, by_id))
                else:
                    written += await self._write_server(by_id)
        return written

    async def write_contents(self, contents: Sequence[tuple[str, Content]]) -> None:
        """What requests asked and were answered, by their ids. The first that is written stays."""
        await self.open()
        rows: list[Row] = [(id_, msgspec.json.encode(content).decode()) for id_, content in sorted(contents)]
        names = tuple(CONTENTS.c.keys())
        async with border(self._writing_s):
            if self._writer is not None:
                await self._writer.run(lambda file: SqliteRecords(file).add(CONTENTS, names, rows, STAYS))
                return
            async with connected(self._engine, writes=True) as connection:
                await self._make_partitions(connection, [row[0] for row in rows])
                await connection.run_sync(lambda sync: PostgresRecords(sync).add(CONTENTS, names, rows, STAYS))
                await connection.commit()

    async def forget(self, before: datetime, *, now: datetime | None = None, batch: int = 500) -> int:
        """Deletes older records, and sums that are kept no longer: whole partitions, else a few at a time.

        Returns:
            How many records were deleted, besides those of partitions.
        """
        await self.open()
        return await Forgetting(self, now=now or self._clock(), batch=batch, pause=self._pause).forget(before)

    async def fold(self, *, now: datetime | None = None) -> int:
        """Folds the sums of what is over; returns of how many spans. Several may do it at once."""
        return await Folder(self, self._clock if now is None else lambda: now, pause=self._pause).fold()

    # --- reading ---

    async def record(self, request_id: str) -> Record | None:
        query = select(REQUESTS.c.record).where(REQUESTS.c.request_id == request_id)
        rows = await self._rows(query)
        return shown(rows[0]) if rows else None

    async def content(self, request_id: str) -> Content | None:
        rows = await self._rows(select(CONTENTS.c.content).where(CONTENTS.c.request_id == request_id))
        return msgspec.json.decode(rows[0]["content"], type=Content) if rows else None

    async def page(self, query: Query, *, budget_s: float = BUDGET_S) -> Page:
        """Looks no longer than `budget_s`, and a step.

        Raises:
            BadRequest: a filter cannot be understood.
        """
        driver = driver_of(query.filters, query.seen)
        if query.seen is not None and not query.seen:
            return Page(())
        await self.open()
        low, high = bounds(query)
        found: list[Record] = []
        size, began_s = FIRST_WINDOW, time.perf_counter()
        until_s = began_s + budget_s
        async with border(self._deadline_s), connected(self._engine) as connection:
            while True:
                end = None if driver.is_exact else await self._window_end(connection, driver, low, high, size, query)
                step = (low, high) if end is None else (low, after(end)) if query.oldest_first else (end, high)
                rows = self._reading(driver, step, query, query.limit - len(found) + 1)
                got = (await connection.execute(rows)).mappings().all()
                found += [shown(row) for row in got[: query.limit - len(found)]]
                if len(found) == query.limit:
                    is_last = end is None and len(got) <= query.limit
                    return Page(tuple(found), None if is_last else found[-1].request_id)
                if end is None:
                    return Page(tuple(found))
                now_s = time.perf_counter()
                if now_s >= until_s:
                    return Page(tuple(found), end)
                low, high = (after(end), high) if query.oldest_first else (low, end)
                # Not more than can be looked through in what is left, as far as one can tell from the step before.
                in_time = int(size * (until_s - now_s) / (now_s - began_s))
                size, began_s = min(size * 4, LAST_WINDOW, max(in_time, LEAST_WINDOW)), now_s

    async def tail(self, after: int | None, query: Query) -> Tail:
        """What was written after `after`, the oldest first, 500 at most; None: nothing yet, but where to go on."""
        await self.open()
        condition = self._condition(query)
        newest = select(REQUESTS.c.seq).order_by(REQUESTS.c.seq.desc()).limit(1)
        async with border(self._deadline_s), connected(self._engine) as connection:
            last = await connection.scalar(newest) or 0
            if after is None or last <= after:
                return Tail((), last)
            until = min(last, after + 5000)
            rows = select(REQUESTS.c.record, REQUESTS.c.seq).where(
                REQUESTS.c.seq > after, REQUESTS.c.seq <= until, condition
            )
            got = (await connection.execute(rows.order_by(REQUESTS.c.seq).limit(500))).mappings().all()
        return Tail(tuple(map(shown, got)), got[-1]["seq"] if len(got) == 500 else until)

    def settled(self, question: Question, now: datetime) -> Question:
        """With a step that can be answered with."""
        return settled(question, now)

    async def sums(self, question: Question, *, now: datetime | None = None) -> list[Sum]:
        """What requests came to, by group, of a question that is `settled`. Raises BadRequest: that is not kept."""
        await self.open()
        query = SumsQuery(question, is_sqlite=self.is_sqlite)
        gap = span_of(question, now or self._clock())
        known = folded_within(fold_of(question), gap, all_hours=question.step_s is not None)
        async with border(self._deadline_s), connected(self._engine) as connection:
            if not self.is_sqlite:  # where a late record might make a span incomplete between the two statements
                await connection.execution_options(isolation_level="REPEATABLE READ")
                await connection.exec_driver_sql(_SUMMING)
            folded = Spans(map(tuple, await connection.execute(known)))
            if not (found := pieces(question, gap, folded)):
                return []
            return summed(question, (await connection.execute(query.over(found))).all())

    # --- within ---

    def _write_file(self, by_id: Mapping[str, Record], file: sqlite3.Connection) -> int:
        database = SqliteRecords(file)
        try:
            return self._write_new(database, new_of(by_id, frozenset()))
        except sqlite3.IntegrityError:  # so seldom that nobody looks before
            database.begin_again()
            return self._write_new(database, new_of(by_id, database.known(sorted(by_id))))

    def _write_new(self, database: "SqliteRecords", new: Sequence[Record]) -> int:
        batch = batch_of(new, database.last_seq(), self._names, self.metadata, database.minutes_from_s())
        written = insert_batch(database, batch, self._clock())
        insert_guards(database, guard_batch(new, self._names, self._guards_from_s()))
        return written

    async def _write_server(self, by_id: Mapping[str, Record]) -> int:
        async with connected(self._engine, writes=True) as connection:
            await connection.execute(select(func.set_config("idle_in_transaction_session_timeout", IDLE, True)))
            await connection.execute(select(func.pg_advisory_xact_lock(WRITING)))
            await self._make_partitions(connection, by_id)
            known, seq, minutes_from_s = await connection.run_sync(known_of, sorted(by_id))
            if not (new := new_of(by_id, known)):
                return 0
            batch = await asyncio.to_thread(batch_of, new, seq, self._names, self.metadata, minutes_from_s)
            written = await connection.run_sync(lambda sync: insert_batch(PostgresRecords(sync), batch, self._clock()))
            if any(record.spans for record in new):
                guards = await asyncio.to_thread(guard_batch, new, self._names, self._guards_from_s())
                await connection.run_sync(lambda sync: insert_guards(PostgresRecords(sync), guards))
            await connection.commit()
        return written

    def _guards_from_s(self) -> int:
        return int((self._clock() - MINUTES_KEPT).timestamp())

    def _condition(self, query: Query, driver: Driver | None = None, step: tuple[str, str] = ("", "")) -> Any:
        along = driver.column if driver is not None else None
        filters = query.filters
        if driver is not None and along == "team":  # whose records alone are read
            filters = tuple(each for each in filters if each != Filter("team", driver.values))
        condition = condition_of(filters, along=along, step=step, is_sqlite=self.is_sqlite)
        if query.seen is None:
            return condition
        return condition & seen_condition(query.seen, along=along, step=step, is_sqlite=self.is_sqlite)

    def _reading(self, driver: Driver, step: tuple[str, str], query: Query, limit: int) -> Select[Any]:
        """The records of a step that fit, along the driver."""
        condition = self._condition(query, driver, step)
        if self.is_sqlite or driver.column is None or (driver.is_exact and driver.column != "team"):
            found = records_along(driver, step).where(condition)
            return found.order_by(order(id_of(driver), query)).limit(limit)
        some = fenced(driver, step, query)
        rows: Select[Any] = select(some.c.record, some.c.request_id).where(ClauseAdapter(some).traverse(condition))
        return rows.order_by(order(some.c.request_id, query)).limit(limit)

    async def _window_end(
        self, connection: AsyncConnection, driver: Driver, low: str, high: str, size: int, query: Query
    ) -> str | None:
        """The id at which so many records were looked through; None: there are fewer."""
        column = id_of(driver)
        where = TEAMS.c.team if driver.column == "team" else REQUESTS.c[driver.column] if driver.column else None
        ends: list[str] = []
        for value in driver.values or (None,):
            some = select(column).where(*between(low, high, column)).order_by(order(column, query))
            some = some if where is None else some.where(where == value)
            if end := await connection.scalar(some.limit(1).offset(size // max(1, len(driver.values)))):
                ends.append(end)
        return None if not ends else min(ends) if query.oldest_first else max(ends)

    async def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        await self.open()
        async with border(self._deadline_s), connected(self._engine) as connection:
            rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
            return rows

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        async with border(self._writing_s), connected(self._engine, writes=True) as connection:
            yield connection

    async def _make_partitions(self, connection: AsyncConnection, ids: Iterable[str]) -> None:
        """Of the days of these ids. Where one cannot be made, rows go to the partition that has all others."""
        times = filter(None, map(time_of, ids))
        now = self._clock()
        days = {f"{at:%Y%m%d}" for at in times if abs(at - now) < timedelta(days=2)}
        for day in sorted(days - self._days):
            try:
                async with connection.begin_nested():
                    await make_partition(connection, day)
            except (DBAPIError, Unavailable) as error:  # of the permission, too
                reason = error.message if isinstance(error, Unavailable) else str(error.orig)
                log.warning("partition not made", day=day, reason=reason[:200])
            self._days.add(day)


_SUMMING = "SELECT set_config('jit', 'off', true), set_config('work_mem', '32MB', true)"
"""To compile a sum of so many columns takes longer than to run it; groups of many are not to go to the disk."""

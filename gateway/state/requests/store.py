"""The door to the records of requests, in SQLite and PostgreSQL."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import chain
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Subquery,
    Table,
    and_,
    delete,
    func,
    inspect,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.util import ClauseAdapter

from gateway.contract import Content, Record
from gateway.contract.windows import utc_now
from gateway.errors import Unavailable
from gateway.state.database.charging import Row
from gateway.state.database.engine import connected, engine_of, writer_beside
from gateway.state.database.errors import border
from gateway.state.database.inserting import STAYS, PostgresInserting, SqliteInserting, growing
from gateway.state.database.transaction import IDLE
from gateway.state.requests.asked import Filter, Page, Query, Question, Sum, Tail
from gateway.state.requests.feedback_rows import FEEDBACK
from gateway.state.requests.filters import Driver, condition_of, driver_of, seen_condition
from gateway.state.requests.folding import UNFOLD, fold, folded_within, is_small
from gateway.state.requests.folds import FOLDS_OF, HOUR, due
from gateway.state.requests.guard_rows import GUARD_DAYS, GUARD_HOURS, GUARD_MINUTES, guard_batch, insert_guards
from gateway.state.requests.metrics import SumsQuery, fold_of, pieces, settled, span_of, summed
from gateway.state.requests.rows import LEVELS, Batch, Names, batch_of, shown, sum_columns
from gateway.state.requests.tables import (
    BINS,
    BY_DAY,
    CONTENTS,
    COUNTS,
    DAYS,
    FOLDED,
    FOLDS,
    HOURS,
    KEY,
    MINUTES,
    REQUESTS,
    TABLES,
    TEAMS,
    partitions,
    prefix_of,
    time_of,
)

AT_ONCE = 4000
"""Records of one transaction: more would keep readers' connections and other replicas waiting."""
FIRST_WINDOW, LEAST_WINDOW, LAST_WINDOW = 2_000, 500, 8_000
"""Records that are looked through in one step."""
BUDGET_S = 0.03
"""When a page has taken that long, it is what was found by then."""
WRITING, MAKING = 0x6777726571, 0x67777265717461
"""Numbers of PostgreSQL's advisory locks: of who writes records, and of who makes their tables."""
MINUTES_KEPT, HOURS_KEPT = timedelta(hours=48), timedelta(days=400)
LOCK_MS = 500
SOME = 200
"""Rows of one statement for PostgreSQL, which the event loop writes down."""

log = structlog.get_logger(__name__)


class _Database(Protocol):
    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None: ...

    def add_up(self, table: Table, rows: Sequence[Row]) -> None: ...

    def run(self, statement: str) -> None: ...

    def pause(self) -> None: ...


class RecordStore:
    """Writes and reads records. Each method raises what `gateway.state.database.errors` does: above all Unavailable.

    Args:
        url: see `gateway.state.database.engine.engine_of`.
        metadata: the keys of metadata by whose values sums are kept.
        clock: gives aware datetimes.
        deadline_s: the longest wait of one question; `writing_s`: of one batch.

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
    ) -> None:
        self._clock = clock
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
                    made += await _make_partition(connection, f"{self._clock() + timedelta(days=day):%Y%m%d}")
                await connection.commit()
        return made

    async def _make(self) -> list[str]:
        async with border(self._writing_s), connected(self._engine, writes=True) as connection:
            if not self.is_sqlite:
                await connection.execute(select(func.pg_advisory_xact_lock(MAKING)))
            made = await connection.run_sync(_make_tables)
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
                await self._writer.run(lambda file: _Sqlite(file).add(CONTENTS, names, rows, STAYS))
                return
            async with connected(self._engine, writes=True) as connection:
                await self._make_partitions(connection, [row[0] for row in rows])
                await connection.run_sync(lambda sync: _Postgres(sync).add(CONTENTS, names, rows, STAYS))
                await connection.commit()

    async def forget(self, before: datetime, *, now: datetime | None = None, batch: int = 500) -> int:
        """Deletes older records, and sums that are kept no longer: whole partitions, else a few at a time.

        Returns:
            How many records were deleted, besides those of partitions.
        """
        await self.open()
        now = now or self._clock()
        deleted = 0
        if not self.is_sqlite:
            await self._drop_partitions(before)
        for table in (TEAMS, CONTENTS, FEEDBACK, REQUESTS):
            count = await self._delete(table, table.c.request_id < prefix_of(before), batch)
            deleted += count if table is REQUESTS else 0
        minutes, hours = (MINUTES, GUARD_MINUTES), (HOURS, DAYS, GUARD_HOURS, GUARD_DAYS)
        for table, kept in (*((each, MINUTES_KEPT) for each in minutes), *((each, HOURS_KEPT) for each in hours)):
            async for kind in self._kinds(table):  # as its index begins with it
                old = and_(table.c.kind == kind, table.c.at < int((now - kept).timestamp()))
                await self._delete(table, old, batch)
        await self._forget_folds(now, batch)
        return deleted

    async def _forget_folds(self, now: datetime, batch: int) -> None:
        kinds = [kind async for kind in self._kinds(FOLDS)]
        for each in chain.from_iterable(FOLDS_OF.values()):
            before_s = int(now.timestamp()) - each.kept_s
            for table in (FOLDED, FOLDS):  # so that none is taken for complete when it is not
                c = table.c
                old = and_(c.fold == each.name, c.length_s == each.length_s, c.at < before_s)
                for condition in [old] if table is FOLDED else [and_(c.kind == kind, old) for kind in kinds]:
                    await self._delete(table, condition, batch)

    async def fold(self, *, now: datetime | None = None) -> int:
        """Folds the sums of what is over; returns of how many spans. Several may do it at once."""
        await self.open()
        kinds = [kind async for kind in self._kinds(DAYS)]
        async with border(self._deadline_s), connected(self._engine) as connection:
            first_s = await connection.scalar(select(func.min(DAYS.c.at)).where(DAYS.c.kind == "all"))
            folded = {tuple(row) for row in await connection.execute(select(FOLDED))}
        count = 0
        now_s = int((now or self._clock()).timestamp())
        for run in due(first_s, now_s, folded) if first_s is not None else ():
            async with border(self._deadline_s), connected(self._engine) as connection:
                if not await is_small(connection, run, kinds):
                    continue
            async with self._writing() as connection:
                if not self.is_sqlite:
                    await connection.execute(select(func.pg_advisory_xact_lock(WRITING)))
                if await fold(connection, run, kinds):
                    await connection.commit()
                    folded.update(run.keys)
                    count += len(run.keys)
            await asyncio.sleep(0.01)  # those who write are let in
        return count

    async def _kinds(self, table: Table) -> AsyncIterator[str]:
        """Those there are, each by a look at the index."""
        kind: str | None = ""
        while True:
            query = select(func.min(table.c.kind)).where(table.c.kind > kind)
            async with border(self._deadline_s), connected(self._engine) as connection:
                kind = await connection.scalar(query)
            if kind is None:
                return
            yield kind

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
        low, high = _bounds(query)
        found: list[Record] = []
        size, began_s = FIRST_WINDOW, time.perf_counter()
        until_s = began_s + budget_s
        async with border(self._deadline_s), connected(self._engine) as connection:
            while True:
                end = None if driver.is_exact else await self._window_end(connection, driver, low, high, size, query)
                step = (low, high) if end is None else (low, _after(end)) if query.oldest_first else (end, high)
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
                low, high = (_after(end), high) if query.oldest_first else (low, end)
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
            folded = {tuple(row) for row in await connection.execute(known)}
            if not (found := pieces(question, gap, folded)):
                return []
            return summed(question, (await connection.execute(query.over(found))).all())

    # --- within ---

    def _write_file(self, by_id: Mapping[str, Record], file: sqlite3.Connection) -> int:
        database = _Sqlite(file)
        try:
            return self._write_new(database, _new(by_id, frozenset()))
        except sqlite3.IntegrityError:  # so seldom that nobody looks before
            database.begin_again()
            return self._write_new(database, _new(by_id, database.known(sorted(by_id))))

    def _write_new(self, database: "_Sqlite", new: Sequence[Record]) -> int:
        minutes_from_s = self._minutes_from_s()
        batch = batch_of(new, database.last_seq(), self._names, self.metadata, minutes_from_s)
        written = _insert(database, batch, self._clock())
        insert_guards(database, guard_batch(new, self._names, minutes_from_s))
        return written

    async def _write_server(self, by_id: Mapping[str, Record]) -> int:
        async with connected(self._engine, writes=True) as connection:
            await connection.execute(select(func.set_config("idle_in_transaction_session_timeout", IDLE, True)))
            await connection.execute(select(func.pg_advisory_xact_lock(WRITING)))
            await self._make_partitions(connection, by_id)
            known, seq = await connection.run_sync(_known, sorted(by_id))
            if not (new := _new(by_id, known)):
                return 0
            minutes_from_s = self._minutes_from_s()
            batch = await asyncio.to_thread(batch_of, new, seq, self._names, self.metadata, minutes_from_s)
            written = await connection.run_sync(lambda sync: _insert(_Postgres(sync), batch, self._clock()))
            if any(record.spans for record in new):
                guards = await asyncio.to_thread(guard_batch, new, self._names, minutes_from_s)
                await connection.run_sync(lambda sync: insert_guards(_Postgres(sync), guards))
            await connection.commit()
        return written

    def _minutes_from_s(self) -> int:
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
            along = _along(driver, step).where(condition)
            return along.order_by(_order(_id_of(driver), query)).limit(limit)
        some = _fenced(driver, step, query)
        rows: Select[Any] = select(some.c.record, some.c.request_id).where(ClauseAdapter(some).traverse(condition))
        return rows.order_by(_order(some.c.request_id, query)).limit(limit)

    async def _window_end(
        self, connection: AsyncConnection, driver: Driver, low: str, high: str, size: int, query: Query
    ) -> str | None:
        """The id at which so many records were looked through; None: there are fewer."""
        column = _id_of(driver)
        where = TEAMS.c.team if driver.column == "team" else REQUESTS.c[driver.column] if driver.column else None
        ends: list[str] = []
        for value in driver.values or (None,):
            some = select(column).where(*_between(low, high, column)).order_by(_order(column, query))
            some = some if where is None else some.where(where == value)
            if end := await connection.scalar(some.limit(1).offset(size // max(1, len(driver.values)))):
                ends.append(end)
        return None if not ends else min(ends) if query.oldest_first else max(ends)

    async def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        await self.open()
        async with border(self._deadline_s), connected(self._engine) as connection:
            rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
            return rows

    async def _delete(self, table: Table, where: Any, batch: int) -> int:
        deleted = 0
        keys = table.primary_key.columns
        one = keys[0] if len(keys) == 1 else None
        while True:
            async with self._writing() as connection:
                some = select(*keys).where(where).limit(batch)
                if one is not None:
                    done = await connection.execute(delete(table).where(one.in_(some)))
                else:
                    done = await connection.execute(delete(table).where(_tuple(keys).in_(some)))
                await connection.commit()
            deleted += done.rowcount
            if done.rowcount < batch:
                return deleted
            await asyncio.sleep(0.01)  # those who write are let in

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
                    await _make_partition(connection, day)
            except (DBAPIError, Unavailable) as error:  # of the permission, too
                reason = error.message if isinstance(error, Unavailable) else str(error.orig)
                log.warning("partition not made", day=day, reason=reason[:200])
            self._days.add(day)

    async def _drop_partitions(self, before: datetime) -> None:
        """Of days that are over by then. Nobody waits for it longer than `LOCK_MS`; what is in use goes next time."""
        async with border(self._deadline_s), connected(self._engine) as connection:
            names = await connection.scalars(text(_PARTITIONS), {"tables": [table.name for table in BY_DAY]})
            old = [name for name in names if name[-8:].isdecimal() and name[-8:] < f"{before:%Y%m%d}"]
        for name in sorted(old):
            with suppress(Unavailable):
                async with self._writing() as connection:
                    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
                    await connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}"')
                    await connection.commit()


def _new(by_id: Mapping[str, Record], known: Collection[str]) -> list[Record]:
    return [by_id[id_] for id_ in sorted(by_id) if id_ not in known]


def _known(sync: Connection, ids: Sequence[str]) -> tuple[set[str], int]:
    database = _Postgres(sync)
    return database.known(ids), database.last_seq()


def _insert(database: _Database, batch: Batch, now: datetime) -> int:
    """All tables in the same order, whoever writes."""
    database.add(REQUESTS, tuple(REQUESTS.c.keys()), batch.requests, "")
    database.add(TEAMS, tuple(TEAMS.c.keys()), batch.teams, STAYS)
    for (table, _), rows in zip(LEVELS, batch.sums, strict=True):
        database.pause()
        database.add_up(table, rows)
        if table is HOURS:
            for at in _late(rows, int(now.timestamp())):
                database.run(UNFOLD.format(at=at))
    return len(batch.requests)


def _late(hours: Sequence[Row], now_s: int) -> set[int]:
    """Those that are over; as a rule, none. The first rows are of the kind `all`, which has all of them in order."""
    if not hours or hours[0][1] + HOUR > now_s:
        return set()
    return {row[1] for row in hours if row[0] == "all" and row[1] + HOUR <= now_s}


class _Sqlite(SqliteInserting):
    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._file = connection

    def known(self, ids: Sequence[str]) -> set[str]:
        query = "SELECT request_id FROM requests WHERE request_id IN (SELECT value FROM json_each(?))"
        return {id_ for (id_,) in self._file.execute(query, (msgspec.json.encode(ids).decode(),))}

    def last_seq(self) -> int:
        (seq,) = self._file.execute("SELECT coalesce(max(seq), 0) FROM requests").fetchone()
        return int(seq)

    def add_up(self, table: Table, rows: Sequence[Row]) -> None:
        self.add(table, sum_columns(), rows, growing(table, SUMMED))

    def run(self, statement: str) -> None:
        self._file.execute(statement)


class _Postgres(PostgresInserting):
    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._sync = connection

    def known(self, ids: Sequence[str]) -> set[str]:
        some = "request_id >= $2 AND request_id <= $3"  # so that only their partitions are looked at
        asked = "request_id IN (SELECT jsonb_array_elements_text($1::text::jsonb))"
        parameters = (msgspec.json.encode(ids).decode(), min(ids), max(ids))
        query = f"SELECT request_id FROM requests WHERE {asked} AND {some}"
        return set(self._sync.exec_driver_sql(query, parameters).scalars())

    def last_seq(self) -> int:
        newest = "SELECT seq FROM requests ORDER BY seq DESC LIMIT 1"
        return int(self._sync.exec_driver_sql(newest).scalar() or 0)

    def add_up(self, table: Table, rows: Sequence[Row]) -> None:
        """The counts of a row as one array: to take each from the JSON by itself would take three times as long."""
        width = len(KEY)
        for at in range(0, len(rows), SOME):
            data = [[*row[:width], f"{{{','.join(map(str, row[width:]))}}}"] for row in rows[at : at + SOME]]
            self._sync.exec_driver_sql(_adding_up(table), (msgspec.json.encode(data).decode(),))

    def run(self, statement: str) -> None:
        self._sync.exec_driver_sql(statement)

    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None:
        for at in range(0, len(rows), SOME):
            super().add(table, names, rows[at : at + SOME], end)


SUMMED = (*COUNTS, *BINS)


@lru_cache
def _adding_up(table: Table) -> str:
    keys = [f"(row ->> {number}){_KEY_TYPES.get(name, '')}" for number, name in enumerate(KEY)]
    counts = [f"counts[{number}]" for number in range(1, len(SUMMED) + 1)]
    rows = f"SELECT row, (row ->> {len(KEY)})::bigint[] AS counts FROM jsonb_array_elements($1::text::jsonb) AS row"
    columns = ", ".join(sum_columns())
    query = f"SELECT {', '.join([*keys, *counts])} FROM ({rows} OFFSET 0) AS rows"
    return f"INSERT INTO {table.name} ({columns}) {query} {growing(table, SUMMED)}"


_SUMMING = "SELECT set_config('jit', 'off', true), set_config('work_mem', '32MB', true)"
"""To compile a sum of so many columns takes longer than to run it; groups of many are not to go to the disk."""

_KEY_TYPES = {"at": "::bigint", "status": "::integer"}

_PARTITIONS = """
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
WHERE parent.oid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name)
"""


def _is_attached(name: str) -> Any:
    return text("SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)").bindparams(name=name)


def _make_tables(connection: Connection) -> list[str]:
    """Those that are missing; returns their names. Who may not make any can serve where there are all."""
    there = set(inspect(connection).get_table_names())
    missing = [table for table in TABLES.sorted_tables if table.name not in there]
    TABLES.create_all(connection, tables=missing, checkfirst=False)
    others = [] if connection.dialect.name == "sqlite" else [f"{table.name}_others" for table in BY_DAY]
    for name in (missing_others := [name for name in others if name not in there]):
        connection.exec_driver_sql(f"CREATE TABLE {name} PARTITION OF {name.removesuffix('_others')} DEFAULT")
    return [*(table.name for table in missing), *missing_others]


async def _make_partition(connection: AsyncConnection, day: str) -> list[str]:
    """Of each table, if it is not there; returns the names of those that were made."""
    made = []
    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    for create, attach in partitions(day):
        name = create.split()[5]
        if not await connection.scalar(_is_attached(name)):
            await connection.exec_driver_sql(create)
            await connection.exec_driver_sql(attach)
            made.append(name)
    return made


def _id_of(driver: Driver) -> Any:
    return TEAMS.c.request_id if driver.column == "team" else REQUESTS.c.request_id


def _along(driver: Driver, step: tuple[str, str]) -> Select[Any]:
    """The records of a step."""
    query = select(REQUESTS.c.record, REQUESTS.c.request_id).where(*_between(*step))
    if driver.column != "team":
        return query
    joined = TEAMS.join(REQUESTS, TEAMS.c.request_id == REQUESTS.c.request_id)
    return query.select_from(joined).where(TEAMS.c.team == driver.values[0], *_between(*step, TEAMS.c.request_id))


def _fenced(driver: Driver, step: tuple[str, str], query: Query) -> Subquery:
    """The same for PostgreSQL, which guesses how many records will fit and, where it guesses wrong, looks at those that
    are not along the driver, too. What has an offset it takes as it is."""
    if driver.column == "team":
        ids = select(TEAMS.c.request_id).where(TEAMS.c.team == driver.values[0], *_between(*step, TEAMS.c.request_id))
        few = ids.order_by(_order(TEAMS.c.request_id, query)).offset(0).subquery("few")
        one = (
            select(REQUESTS).where(REQUESTS.c.request_id == few.c.request_id, *_between(*step)).offset(0).lateral("one")
        )
        columns = [few.c.request_id, *(column for column in one.c if column.name != "request_id")]
        return select(*columns).select_from(few.join(one, true())).subquery("step")
    column = REQUESTS.c[str(driver.column)]
    in_order = select(REQUESTS).where(*_between(*step)).order_by(_order(REQUESTS.c.request_id, query)).offset(0)
    rows = [in_order.where(column == value) for value in driver.values]
    return union_all(*rows).subquery("step") if len(rows) > 1 else rows[0].subquery("step")


def _bounds(query: Query) -> tuple[str, str]:
    """The ids between which the page lies: from, and before; empty: open."""
    low = prefix_of(query.since) if query.since is not None else ""
    high = prefix_of(query.until) if query.until is not None else ""
    if query.before is not None and query.oldest_first:
        low = max(low, _after(query.before))
    elif query.before is not None:
        high = min(high or query.before, query.before)
    return low, high


def _after(id_: str) -> str:
    """Comes after the id, and before all others that do."""
    return f"{id_} "


def _between(low: str, high: str, column: Any = REQUESTS.c.request_id) -> list[Any]:
    return [*([column >= low] if low else []), *([column < high] if high else [])]


def _order(column: Any, query: Query) -> Any:
    return column if query.oldest_first else column.desc()


def _tuple(columns: Iterable[Any]) -> Any:
    from sqlalchemy import tuple_

    return tuple_(*columns)

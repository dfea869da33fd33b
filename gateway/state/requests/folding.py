"""Folds sums: one run of spans after the other, each in many short transactions, all of it within the database.

Whoever folds says so in a row that everybody sees, the claim. Then the sums are made, of a few thousand rows at a time,
and at last the spans are said to be complete, if no record came late meanwhile. Until then nobody reads them. Each part
is made anew from nothing, so whoever comes after one that was killed has only to wait until its claim has run out.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from gateway.state.database.async_engine import AsyncConnection
from gateway.state.requests.folds import BASE, DAY, FLOOR, HOUR, Fold, Gap, Run, Spans, down, due, up
from gateway.state.requests.tables import (
    BINS,
    COUNTS,
    DAYS,
    FOLDED,
    FOLDING,
    FOLDS,
    HOURS,
    KEY,
    MINUTES,
    WRITING,
    upsert,
)

AT_ONCE = 2000
"""Rows that are summed up in one transaction, unless one person or team has more. Those who write records wait as
long."""
CLAIM_S = 120
"""So long nobody else folds after whoever does was heard of last."""
PAUSE_S = 0.01
"""Between two transactions, so that those who write are let in."""
MODELS = ("model", "resolved_model")


class Records(Protocol):
    """Of `RecordStore`."""

    @property
    def is_sqlite(self) -> bool: ...

    def connection(self, *, writes: bool = False) -> AbstractAsyncContextManager[AsyncConnection]: ...


class _Taken(Exception):
    """Somebody else folds."""


class _Lost(Exception):
    """The claim has run out, or what is folded has changed."""


class _Part(NamedTuple):
    """Of one kind, and of all people or teams from `since` on and before `until`; None: all that follow."""

    kind: str
    since: str
    until: str | None


class Folder:
    """
    Args:
        clock: gives aware datetimes.
        pause: is called after each transaction.
    """

    def __init__(
        self,
        records: Records,
        clock: Callable[[], datetime],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        at_once: int = AT_ONCE,
    ) -> None:
        self._records = records
        self._clock = clock
        self._pause = pause
        self._at_once = at_once
        self._claim = uuid.uuid4().hex

    async def fold(self) -> int:
        """All that is over; returns how many spans. Only one does it at a time, whoever comes second leaves it."""
        async with self._records.connection() as connection:
            firsts = [await connection.scalar(_first(table)) for table in (MINUTES, HOURS, DAYS)]
            folded = Spans(map(tuple, await connection.execute(select(FOLDED))))
        first_s = min((at for at in firsts if at is not None), default=None)
        count = 0
        with suppress(_Taken):
            for run in due(first_s, self._now_s(), folded) if first_s is not None else ():
                if await self._fold(run):
                    folded.add(run.keys)
                    count += len(run.keys)
        return count

    async def _fold(self, run: Run) -> bool:
        if not await self._claimed(run):
            return False
        try:
            async for part in self._parts(run):
                await self._made(run, part)
                await self._pause(PAUSE_S)
            await self._confirmed(run)
        except _Lost:
            return False
        return True

    async def _claimed(self, run: Run) -> bool:
        """False: somebody else has folded it, or a late record has changed what it is made of."""
        now_s = self._now_s()
        row = {"claim": self._claim, "expires_s": now_s + CLAIM_S, "is_changed": 0}
        row |= {"since_s": run.since_s, "until_s": run.until_s}
        claiming = upsert(FOLDING, is_sqlite=self._records.is_sqlite).values(name="sums", **row)
        free = or_(FOLDING.c.expires_s <= now_s, FOLDING.c.claim == self._claim)
        async with self._records.connection(writes=True) as connection:
            await alone(connection)
            if not await _is_due(connection, run):
                return False
            done = await connection.execute(
                claiming.on_conflict_do_update(index_elements=["name"], set_=row, where=free)
            )
            if not done.rowcount:
                raise _Taken
            await connection.commit()
        return True

    async def _parts(self, run: Run) -> AsyncIterator[_Part]:
        """All rows of the run, each group in one of them."""
        table = _source(run)
        for kind in [kind async for kind in kinds_of(self._records, table)]:
            query = select(table.c.who, func.count()).where(*_made_of(run, kind)).group_by(table.c.who)
            async with self._records.connection() as connection:
                counts = [(who, many) for who, many in await connection.execute(query.order_by(table.c.who))]
            for part in _cut(kind, counts, self._at_once):
                yield part

    async def _made(self, run: Run, part: _Part) -> None:
        """In the place of what was there: it is of somebody who was killed, or of before a record came late."""
        table = run.fold.table
        names = (*(("fold", "length_s") if table is FOLDS else ()), *KEY, *COUNTS, *BINS)
        async with self._records.connection(writes=True) as connection:
            await self._goes_on(connection)
            await connection.execute(delete(table).where(*_of(run, part)))
            await connection.execute(insert(table).from_select(names, _folded(run, part)))
            await connection.commit()

    async def _confirmed(self, run: Run) -> None:
        rows = [dict(zip(FOLDED.c.keys(), key, strict=True)) for key in run.keys]
        async with self._records.connection(writes=True) as connection:
            await alone(connection)
            await self._goes_on(connection, until_s=0)
            await connection.execute(insert(FOLDED).values(rows))
            await connection.commit()

    async def _goes_on(self, connection: AsyncConnection, until_s: int | None = None) -> None:
        until_s = self._now_s() + CLAIM_S if until_s is None else until_s
        mine = and_(FOLDING.c.claim == self._claim, FOLDING.c.is_changed == 0)
        done = await connection.execute(update(FOLDING).where(mine).values(expires_s=until_s))
        if not done.rowcount:
            raise _Lost

    def _now_s(self) -> int:
        return int(self._clock().timestamp())


async def alone(connection: AsyncConnection) -> None:
    """Within a transaction that writes: nobody else writes records until its end, nor is in the midst of it."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(WRITING)))


async def kinds_of(records: Records, table: Table) -> AsyncIterator[str]:
    """Of which there are rows, each by a look at the index."""
    kind: str | None = ""
    while True:
        async with records.connection() as connection:
            kind = await connection.scalar(select(func.min(table.c.kind)).where(table.c.kind > kind))
        if kind is None:
            return
        yield kind


def _cut(kind: str, counts: Iterable[tuple[str, int]], most: int) -> Iterator[_Part]:
    """`counts`: of the rows of each person or team, in order."""
    since, size = "", 0
    for who, many in counts:
        if size and size + many > most:
            yield _Part(kind, since, who)
            since, size = who, 0
        size += many
    yield _Part(kind, since, None)


async def _is_due(connection: AsyncConnection, run: Run) -> bool:
    within = and_(FOLDED.c.at >= run.since_s, FOLDED.c.at < run.until_s)
    query = select(FOLDED).where(or_(FOLDED.c.fold == FLOOR, within))
    there = Spans(map(tuple, await connection.execute(query)))
    return not any(key in there for key in run.keys) and all(part in there for part in run.parts)


def _first(table: Table) -> Select[Any]:
    return select(func.min(table.c.at)).where(table.c.kind == "all")


def _source(run: Run) -> Table:
    return run.fold.source.table if run.fold.source is not None else MINUTES


def _made_of(run: Run, kind: str) -> list[ColumnElement[bool]]:
    """Each moment by its name: so the index leads from it to those who are asked for."""
    return [_source(run).c.kind == kind, *_is_of(run.fold.source), _source(run).c.at.in_(run.moments)]


def _is_of(fold: Fold | None) -> list[ColumnElement[bool]]:
    if fold is None or fold.table is not FOLDS:
        return []
    return [FOLDS.c.fold == fold.name, FOLDS.c.length_s == fold.length_s]


def _folded(run: Run, part: _Part) -> Select[Any]:
    name, length_s, _, target = run.fold
    table = _source(run)
    at = table.c.at - table.c.at % literal_column(str(length_s))
    told = {"at": at} | (dict.fromkeys(MODELS, literal("")) if name == "who" else {})
    key = [told.get(column, table.c[column]) for column in KEY]
    groups = [at, *(table.c[column] for column in KEY if column not in told)]
    # By name alone, as in `SumsQuery`: to build so many columns takes longer than to add them up.
    empty = "nullif" if target is FOLDS else "coalesce"
    sums: Any = literal_column(", ".join(f"{empty}(sum({column}), 0)" for column in (*COUNTS, *BINS)))
    of_fold: list[Any] = [literal(name), literal(length_s)] if target is FOLDS else []
    query: Select[Any] = select(*of_fold, *key, sums)
    return query.where(*_made_of(run, part.kind), *_whose(table, part)).group_by(*groups)


def _of(run: Run, part: _Part) -> list[ColumnElement[bool]]:
    c = run.fold.table.c
    return [c.kind == part.kind, *_is_of(run.fold), c.at.in_(run.spans), *_whose(run.fold.table, part)]


def _whose(table: Table, part: _Part) -> Sequence[ColumnElement[bool]]:
    return [table.c.who >= part.since, *([table.c.who < part.until] if part.until is not None else [])]


def folded_within(name: str, gap: Gap, *, all_hours: bool) -> Select[Any]:
    """The spans that are complete; of the many short ones, unless all are asked for, those of the first and the last
    day."""
    since_s, until_s = gap
    c = FOLDED.c
    within = and_(c.fold.in_([name, BASE]), c.at >= since_s, c.at < until_s)
    if not all_hours:
        at_ends = or_(c.at < up(since_s, DAY), c.at >= down(until_s - 1, DAY))
        within = and_(within, or_(c.length_s >= DAY, and_(c.fold == BASE, c.length_s == HOUR), at_ends))
    return select(FOLDED).where(or_(c.fold == FLOOR, within))


UNFOLD = (
    "DELETE FROM request_folded WHERE at <= {at} AND at + length_s > {at}",
    "UPDATE request_folding SET is_changed = 1 WHERE since_s <= {at} AND until_s > {at}",
)
"""Spans with a row at that moment count no more, and those that are just folded will not."""

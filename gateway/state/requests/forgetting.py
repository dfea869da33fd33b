"""Deletes what is kept no longer: whole partitions, else a few rows at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import Table, and_, delete, select, text, tuple_, update

from gateway.errors import Unavailable
from gateway.state.database.async_engine import AsyncConnection
from gateway.state.requests.feedback_rows import FEEDBACK
from gateway.state.requests.folding import Records, alone, kinds_of
from gateway.state.requests.folds import BASE, FLOOR, FOLDS_OF, HOUR, TENS, Spans, down
from gateway.state.requests.guard_rows import GUARD_DAYS, GUARD_HOURS, GUARD_MINUTES
from gateway.state.requests.making import LOCK_MS, MINUTES_KEPT
from gateway.state.requests.tables import (
    BY_DAY,
    CONTENTS,
    DAYS,
    FOLDED,
    FOLDS,
    HOURS,
    MINUTES,
    REQUESTS,
    TEAMS,
    prefix_of,
)

HOURS_KEPT = timedelta(days=400)
PAUSE_S = 0.01
"""Between two transactions, so that those who write are let in."""


class Forgetting:
    """
    Args:
        batch: rows that are deleted in one transaction.
        pause: is called after each transaction.
    """

    def __init__(
        self,
        records: Records,
        *,
        now: datetime,
        batch: int,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._records = records
        self._now = now
        self._batch = batch
        self._pause = pause

    async def forget(self, before: datetime) -> int:
        """Records, and of sums what has been kept long enough.

        Returns:
            How many records were deleted, besides those of partitions.
        """
        deleted = 0
        if not self._records.is_sqlite:
            await self._drop_partitions(before)
        for table in (TEAMS, CONTENTS, FEEDBACK, REQUESTS):
            count = await self._delete(table, table.c.request_id < prefix_of(before))
            deleted += count if table is REQUESTS else 0
        floor_s = await self._raise_floor()
        await self._forget_folded(floor_s)
        await self._forget_sums(MINUTES, floor_s)
        await self._forget_sums(GUARD_MINUTES, int((self._now - MINUTES_KEPT).timestamp()))
        for table in (HOURS, DAYS, GUARD_HOURS, GUARD_DAYS):
            await self._forget_sums(table, int((self._now - HOURS_KEPT).timestamp()))
        return deleted

    async def _raise_floor(self) -> int:
        """To the end of the last hour that minutes are not kept of; not over one that is not folded yet.

        Returns:
            From when on there are minutes; from now on, nobody writes or reads earlier ones.
        """
        wanted_s = down(int((self._now - MINUTES_KEPT).timestamp()), HOUR)
        async with self._records.connection(writes=True) as connection:
            await alone(connection)
            folded = await spans_of_hours(connection)
            floor_s = folded.minutes_from_s
            while floor_s < wanted_s and (BASE, HOUR, floor_s) in folded.keys:
                floor_s += HOUR
            c = FOLDED.c
            await connection.execute(update(FOLDED).where(c.fold == FLOOR).values(at=floor_s))
            await connection.execute(delete(FOLDED).where(c.fold == BASE, c.length_s == HOUR, c.at < floor_s))
            await connection.commit()
        return floor_s

    async def _forget_folded(self, floor_s: int) -> None:
        kinds = [kind async for kind in kinds_of(self._records, FOLDS)]
        for each in chain.from_iterable(FOLDS_OF.values()):
            before_s = floor_s if each is TENS else int(self._now.timestamp()) - each.kept_s
            # First of what is complete, so that nothing is taken for it when it is not.
            for table in (FOLDED, FOLDS) if each.table is FOLDS else (FOLDED,):
                c = table.c
                old = and_(c.fold == each.name, c.length_s == each.length_s, c.at < before_s)
                for condition in [old] if table is FOLDED else [and_(c.kind == kind, old) for kind in kinds]:
                    await self._delete(table, condition)

    async def _forget_sums(self, table: Table, before_s: int) -> None:
        async for kind in kinds_of(self._records, table):  # as its index begins with it
            await self._delete(table, and_(table.c.kind == kind, table.c.at < before_s))

    async def _delete(self, table: Table, where: Any) -> int:
        deleted = 0
        keys = table.primary_key.columns
        key: Any = keys[0] if len(keys) == 1 else tuple_(*keys)
        while True:
            async with self._records.connection(writes=True) as connection:
                some = select(*keys).where(where).limit(self._batch)
                done = await connection.execute(delete(table).where(key.in_(some)))
                await connection.commit()
            deleted += done.rowcount
            if done.rowcount < self._batch:
                return deleted
            await self._pause(PAUSE_S)

    async def _drop_partitions(self, before: datetime) -> None:
        """Of days that are over by then. Nobody waits for it longer than `LOCK_MS`; what is in use goes next time."""
        async with self._records.connection() as connection:
            names = await connection.scalars(text(_PARTITIONS), {"tables": [table.name for table in BY_DAY]})
            old = [name for name in names if name[-8:].isdecimal() and name[-8:] < f"{before:%Y%m%d}"]
        for name in sorted(old):
            with suppress(Unavailable):
                async with self._records.connection(writes=True) as connection:
                    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
                    await connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}"')
                    await connection.commit()


async def spans_of_hours(connection: AsyncConnection) -> Spans:
    query = select(FOLDED).where((FOLDED.c.fold == FLOOR) | ((FOLDED.c.fold == BASE) & (FOLDED.c.length_s == HOUR)))
    return Spans(map(tuple, await connection.execute(query)))


_PARTITIONS = """
SELECT child.relname FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
WHERE parent.oid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name)
"""

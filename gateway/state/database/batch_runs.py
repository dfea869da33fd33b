"""The door to the batches that the gateway runs itself."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, case, func, insert, select, update

from gateway.contract.batches import Batch, Held, Run
from gateway.state.database.connections import Connections
from gateway.state.database.schema import BATCH_RUNS


class StoredRuns:
    """`Runs`, by connections of its own. Raises what `gateway.state.database.errors` does.

    Args:
        url: see `gateway.state.database.engine.engine_of`.
        deadline_s: the longest wait of one call.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, *, deadline_s: float = 2.0) -> None:
        self.connections = Connections(url, deadline_s=deadline_s)

    async def close(self) -> None:
        await self.connections.close()

    async def add(self, run: Run) -> None:
        created_at = run.batch.created_at
        row = {"id": run.batch.id, "account": run.account, "owner": run.owner, "created_at": created_at}
        async with self.connections.writing() as connection:
            await connection.execute(insert(BATCH_RUNS).values(row | _columns(run.batch) | {"leased_until": 0.0}))
            await connection.commit()

    async def get(self, batch_id: str) -> Batch | None:
        query = select(BATCH_RUNS).where(BATCH_RUNS.c.id == batch_id)
        async with self.connections.reading() as connection:
            row = (await connection.execute(query)).first()
        return _batch(row) if row is not None else None

    async def cancel(self, batch_id: str, at: int) -> None:
        open_ = and_(BATCH_RUNS.c.id == batch_id, BATCH_RUNS.c.is_over.is_(False), BATCH_RUNS.c.cancelled_at.is_(None))
        async with self.connections.writing() as connection:
            nobodys = case((BATCH_RUNS.c.leased_by.is_(None), 0.0), else_=BATCH_RUNS.c.leased_until)
            await connection.execute(update(BATCH_RUNS).where(open_).values(cancelled_at=at, leased_until=nobodys))
            await connection.commit()

    async def claim(self, by: str, *, now_s: float, lease_s: float, without: Collection[str] = ()) -> Run | None:
        due = and_(_due(now_s), BATCH_RUNS.c.owner.not_in(without)) if without else _due(now_s)
        async with self.connections.reading() as connection:
            if not (await connection.execute(select(BATCH_RUNS.c.id).where(due).limit(1))).first():
                return None  # as nearly always, and nobody was locked out for it
            owner = await connection.scalar(_next_owner(due))
        own = and_(due, BATCH_RUNS.c.owner == owner)
        first = select(BATCH_RUNS).where(own).order_by(BATCH_RUNS.c.created_at, BATCH_RUNS.c.id).limit(1)
        async with self.connections.writing() as connection:
            row = (await connection.execute(first.with_for_update(skip_locked=True))).first()
            if row is None:
                return None
            lease = {"leased_by": by, "leased_until": now_s + lease_s}
            await connection.execute(update(BATCH_RUNS).where(BATCH_RUNS.c.id == row.id).values(lease))
            await connection.commit()
        return Run(_batch(row), row.account, row.owner)

    async def is_wanted(self, owner: str, *, now_s: float) -> bool:
        others = select(BATCH_RUNS.c.id).where(_due(now_s), BATCH_RUNS.c.owner != owner).limit(1)
        async with self.connections.reading() as connection:
            return (await connection.execute(others)).first() is not None

    async def keep(self, batch: Batch, by: str, *, until_s: float) -> Held:
        return await self._written(batch, by, {"leased_until": until_s})

    async def leave(self, batch: Batch, by: str, *, due_s: float) -> Held:
        return await self._written(batch, by, {"leased_until": due_s, "leased_by": None})

    async def _written(self, batch: Batch, by: str, lease: dict[str, Any]) -> Held:
        mine = and_(BATCH_RUNS.c.id == batch.id, BATCH_RUNS.c.leased_by == by, BATCH_RUNS.c.is_over.is_(False))
        changes = update(BATCH_RUNS).where(mine).values(_columns(batch) | lease)
        async with self.connections.writing() as connection:
            row = (await connection.execute(changes.returning(BATCH_RUNS.c.cancelled_at))).first()
            await connection.commit()
        if row is None:
            return "lost"
        return "cancelled" if row.cancelled_at is not None else "held"


def _due(now_s: float) -> ColumnElement[bool]:
    return and_(BATCH_RUNS.c.is_over.is_(False), BATCH_RUNS.c.leased_until <= now_s)


def _next_owner(due: ColumnElement[bool]) -> Select[tuple[str]]:
    """Whose last turn was over first; that of somebody who has one now is over last."""
    all_ = BATCH_RUNS.alias()
    waiting = select(BATCH_RUNS.c.owner).where(due).distinct().subquery()
    last = select(func.max(all_.c.leased_until)).where(all_.c.owner == waiting.c.owner).scalar_subquery()
    return select(waiting.c.owner).order_by(last, waiting.c.owner).limit(1)


def _columns(batch: Batch) -> dict[str, Any]:
    return {"batch": msgspec.to_builtins(batch), "is_over": batch.is_over}


def _batch(row: Any) -> Batch:
    return msgspec.convert(row.batch, Batch).cancelled_by(row.cancelled_at)

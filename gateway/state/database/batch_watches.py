"""The door to the batches at providers that are not billed yet."""

from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, insert, select, update

from gateway.contract.batches import Watch
from gateway.errors import Conflict
from gateway.state.database.connections import Connections
from gateway.state.database.schema import BATCH_WATCHES as WATCHES


class StoredWatches:
    """`Watches`, by connections of its own. Raises what `gateway.state.database.errors` does.

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

    async def add(self, watch: Watch, *, due_s: float) -> None:
        earlier = case((WATCHES.c.due_at < due_s, WATCHES.c.due_at), else_=due_s)
        if await self._run(update(WATCHES).where(_is(watch)).values(due_at=earlier)):
            return
        row = {"account": watch.account, "provider_id": watch.provider_id, "id": watch.id}
        times = {"created_at": watch.created_s, "due_at": due_s, "leased_until": 0.0}
        try:
            await self._run(insert(WATCHES).values(row | times))
        except Conflict:  # another process has just done the same
            await self._run(update(WATCHES).where(_is(watch)).values(due_at=earlier))

    async def claim(self, by: str, *, now_s: float, lease_s: float) -> Watch | None:
        due = and_(WATCHES.c.due_at <= now_s, WATCHES.c.leased_until <= now_s)
        first = select(WATCHES).where(due).order_by(WATCHES.c.due_at).limit(1)
        async with self.connections.reading() as connection:
            if not (await connection.execute(first)).first():
                return None  # as nearly always, and nobody was locked out for it
        async with self.connections.writing() as connection:
            row = (await connection.execute(first.with_for_update(skip_locked=True))).first()
            if row is None:
                return None
            watch = Watch(row.account, row.provider_id, row.id, row.created_at)
            lease = {"leased_by": by, "leased_until": now_s + lease_s}
            await connection.execute(update(WATCHES).where(_is(watch)).values(lease))
            await connection.commit()
        return watch

    async def keep(self, watch: Watch, by: str, *, until_s: float) -> bool:
        return await self._run(update(WATCHES).where(_is(watch), _has(by)).values(leased_until=until_s)) > 0

    async def later(self, watch: Watch, by: str, *, due_s: float) -> None:
        given_back = {"due_at": due_s, "leased_by": None, "leased_until": 0.0}
        await self._run(update(WATCHES).where(_is(watch), _has(by)).values(given_back))

    async def done(self, watch: Watch) -> None:
        await self._run(delete(WATCHES).where(_is(watch)))

    async def _run(self, statement: Any) -> int:
        """How many rows that was about."""
        async with self.connections.writing() as connection:
            done = await connection.execute(statement)
            await connection.commit()
            return int(done.rowcount)


def _is(watch: Watch) -> ColumnElement[bool]:
    return and_(WATCHES.c.account == watch.account, WATCHES.c.provider_id == watch.provider_id)


def _has(by: str) -> ColumnElement[bool]:
    return WATCHES.c.leased_by == by

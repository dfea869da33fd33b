"""The door to what callers have made at accounts: files, uploads, batches, responses."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, and_, delete, insert, or_, select, tuple_, update

from gateway.contract.objects import AccountObject, ObjectKind, check_size
from gateway.contract.windows import utc_now
from gateway.errors import Conflict
from gateway.state.database.async_engine import AsyncConnection
from gateway.state.database.connections import Connections
from gateway.state.database.schema import OBJECTS
from gateway.state.objects.memory import merged, other_id

ATTEMPTS = 4
"""Of those who make objects of one id at the same moment, all but one have to look again."""

_ROWS = select(*(OBJECTS.c[name] for name in AccountObject.__struct_fields__))


class ObjectStore:
    """Reads and writes them, by connections of its own. Raises what `gateway.state.database.errors` does.

    Args:
        url: see `gateway.state.database.engine.engine_of`.
        deadline_s: the longest wait of one call; of `forget_expired`, of one of its steps.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = utc_now, deadline_s: float = 2.0) -> None:
        self.connections = Connections(url, deadline_s=deadline_s)
        self._clock = clock

    async def close(self) -> None:
        """After the last call has ended."""
        await self.connections.close()

    async def remember(self, new: AccountObject) -> AccountObject:
        """As `Objects.remember`."""
        [kept] = await self.remember_all([new])
        return kept

    async def remember_all(self, new: Sequence[AccountObject]) -> Sequence[AccountObject]:
        """In one step."""
        for each in new:
            check_size(each)
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                async with self.connections.writing() as connection:
                    kept = [await self._remember(connection, each) for each in new]
                    await connection.commit()
                    return kept
            except Conflict:
                if not attempts_left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _remember(self, connection: AsyncConnection, new: AccountObject) -> AccountObject:
        place = (
            OBJECTS.c.kind == new.kind,
            OBJECTS.c.account == new.account,
            OBJECTS.c.provider_id == new.provider_id,
            OBJECTS.c.owner == new.owner,
        )
        if before := _one(await connection.execute(_ROWS.where(*place, OBJECTS.c.expires_at > self._clock()))):
            kept = merged(before, new)
            if kept != before:
                changes = update(OBJECTS).where(_is(kept)).values(target=kept.target, data=kept.data)
                await connection.execute(changes)
            return kept
        await connection.execute(delete(OBJECTS).where(_is(new), OBJECTS.c.expires_at <= self._clock()))
        if await connection.scalar(select(OBJECTS.c.id).where(_is(new))) is not None:
            new = msgspec.structs.replace(new, id=other_id(new))
        await connection.execute(insert(OBJECTS).values(msgspec.structs.asdict(new)))
        return new

    async def change(self, known: AccountObject) -> bool:
        """As `Objects.change`."""
        check_size(known)
        there = (OBJECTS.c.owner == known.owner, OBJECTS.c.account == known.account)
        same = and_(_is(known), *there, OBJECTS.c.expires_at > self._clock())
        async with self.connections.writing() as connection:
            done = await connection.execute(update(OBJECTS).where(same).values(data=known.data))
            await connection.commit()
        return done.rowcount > 0

    async def get(self, kind: ObjectKind, id: str) -> AccountObject | None:  # noqa: A002
        """Whosever it is."""
        query = _ROWS.where(OBJECTS.c.kind == kind, OBJECTS.c.id == id, OBJECTS.c.expires_at > self._clock())
        async with self.connections.reading() as connection:
            return _one(await connection.execute(query))

    async def page(
        self,
        kind: ObjectKind,
        *,
        owner: str | None,
        account: str | None,
        after: AccountObject | None,
        limit: int,
        oldest_first: bool,
    ) -> Sequence[AccountObject]:
        """As `Objects.list`; `owner` None: whosever they are."""
        query = _ROWS.where(OBJECTS.c.kind == kind, OBJECTS.c.expires_at > self._clock())
        if owner is not None:
            query = query.where(OBJECTS.c.owner == owner)
        if account is not None:
            query = query.where(OBJECTS.c.account == account)
        at, name = OBJECTS.c.created_at, OBJECTS.c.id
        if after is not None and oldest_first:
            query = query.where(or_(at > after.created_at, and_(at == after.created_at, name > after.id)))
        elif after is not None:
            query = query.where(or_(at < after.created_at, and_(at == after.created_at, name < after.id)))
        order = (at, name) if oldest_first else (at.desc(), name.desc())
        async with self.connections.reading() as connection:
            rows = await connection.execute(query.order_by(*order).limit(max(0, limit)))
            return [_object(row) for row in rows]

    async def forget(self, gone: AccountObject) -> None:
        async with self.connections.writing() as connection:
            await connection.execute(delete(OBJECTS).where(_is(gone)))
            await connection.commit()

    async def forget_expired(self, *, batch: int = 1000) -> int:
        """A batch at a time, so that nobody waits for it long. Returns how many there were."""
        expired = select(OBJECTS.c.kind, OBJECTS.c.id).where(OBJECTS.c.expires_at <= self._clock()).limit(batch)
        forgotten = 0
        while True:
            async with self.connections.writing() as connection:
                keys = [tuple(row) for row in await connection.execute(expired.with_for_update(skip_locked=True))]
                if keys:
                    await connection.execute(delete(OBJECTS).where(tuple_(*OBJECTS.primary_key).in_(keys)))
                await connection.commit()
            forgotten += len(keys)
            if len(keys) < batch:
                return forgotten


def _is(one: AccountObject) -> Any:
    return and_(OBJECTS.c.kind == one.kind, OBJECTS.c.id == one.id)


def _one(rows: Any) -> AccountObject | None:
    row = rows.first()
    return _object(row) if row is not None else None


def _object(row: Row[Any]) -> AccountObject:
    fields = dict(zip(AccountObject.__struct_fields__, row, strict=True))
    return AccountObject(**{**fields, "kind": ObjectKind(fields["kind"])})

"""The door to the database."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from sqlalchemy import bindparam, or_, select, update

from gateway.contract.windows import utc_now
from gateway.errors import Unavailable
from gateway.state.database.engine import connected, engine_of
from gateway.state.database.errors import border
from gateway.state.database.reading import TOKEN_ROWS, Reading
from gateway.state.database.rows import Change, SchemaState, StoredManifest, StoredSecret, StoredToken, User, Versions
from gateway.state.database.schema import HISTORY, LOCK, STATE, TOKENS, UtcDateTime
from gateway.state.database.transaction import Transaction

__all__ = ["Store", "Transaction"]


class Store:
    """Reads and changes what is stored. Connects when it is first used, and again after the database was away.

    Each method, and each one of a transaction, raises what `gateway.state.database.errors` does: above all Unavailable,
    after `deadline_s` at the latest. Lists are in order of their names, tokens and history by time.

    Args:
        url: see `gateway.state.database.engine.engine_of`.
        deadline_s: the longest wait of one call.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] = utc_now, deadline_s: float = 2.0) -> None:
        self._engine = engine_of(url, timeout_s=deadline_s)
        self._clock = clock
        self._deadline_s = deadline_s

    async def close(self) -> None:
        """After the last call has ended."""
        await self._engine.dispose()

    async def schema_state(self) -> SchemaState:
        """Whether the tables are those of this version. It works with `current`, and with `newer`: newer versions only
        add columns that may be left out, and tables."""
        async with self._reading() as reading:
            return await reading.schema_state()

    async def versions(self) -> Versions:
        async with self._reading() as reading:
            (versions,) = await reading.rows(Versions, select(STATE.c.manifests, STATE.c.tokens))
            return versions

    async def pepper_check(self) -> str | None:
        async with self._reading() as reading:
            return await reading.connection.scalar(select(STATE.c.pepper_check))

    async def manifests(self) -> list[StoredManifest]:
        async with self._reading() as reading:
            return await reading.manifests()

    async def users(self, *, is_active: bool | None = None) -> list[User]:
        """All of them, or those who are active, or those who are not."""
        async with self._reading() as reading:
            return await reading.users(is_active=is_active)

    async def secrets(self) -> list[StoredSecret]:
        async with self._reading() as reading:
            return await reading.secrets()

    async def tokens(self, *, only_live: bool = True) -> list[StoredToken]:
        """Those that are neither revoked nor expired by now, or all that there ever were."""
        async with self._reading() as reading:
            return await reading.tokens(self._clock() if only_live else None)

    async def tokens_since(self, counter: int) -> list[StoredToken]:
        """Those that were made, revoked or cut short since `Versions.tokens` had this value; dead ones too."""
        async with self._reading() as reading:
            return await reading.tokens_since(counter)

    async def token(self, token_id: str) -> StoredToken | None:
        async with self._reading() as reading:
            return await reading.row(StoredToken, TOKEN_ROWS.where(TOKENS.c.id == token_id))

    async def history(
        self, type_: str | None = None, name: str | None = None, *, limit: int = 100, before: int | None = None
    ) -> list[Change]:
        """The newest first. `before`: the number of a change; only older ones."""
        query = select(HISTORY).order_by(HISTORY.c.number.desc()).limit(max(limit, 0))
        if type_ is not None:
            query = query.where(HISTORY.c.type == type_)
        if name is not None:
            query = query.where(HISTORY.c.name == name)
        if before is not None:
            query = query.where(HISTORY.c.number < before)
        async with self._reading() as reading:
            return await reading.rows(Change, query)

    async def manifest_version(self, type_: str, name: str, version: int) -> Change | None:
        """The change that made this version of a manifest."""
        same = (HISTORY.c.type == type_, HISTORY.c.name == name, HISTORY.c.version == version)
        async with self._reading() as reading:
            return await reading.row(Change, select(HISTORY).where(*same))

    async def note_used(self, ids: Mapping[str, datetime]) -> None:
        """When tokens were last used, by id; only ever moves forward in time. No counter grows."""
        if not ids:
            return
        at = bindparam("used_at", type_=UtcDateTime)
        query = (
            update(TOKENS)
            .where(
                TOKENS.c.id == bindparam("used_id"), or_(TOKENS.c.last_used_at.is_(None), TOKENS.c.last_used_at < at)
            )
            .values(last_used_at=at)
        )
        async with border(self._deadline_s), connected(self._engine, writes=True) as connection:
            await connection.execute(LOCK)  # else this and a transaction could wait for each other's rows
            parameters = [{"used_id": token_id, "used_at": used_at} for token_id, used_at in sorted(ids.items())]
            await connection.execute(query, parameters)
            await connection.commit()

    @asynccontextmanager
    async def change(self, by: str) -> AsyncIterator[Transaction]:
        """Waits for the lock that all writers take; commits at the end, and undoes everything when something is raised.

        Args:
            by: who makes the change, for the history: `user:ana@example.com`.
        """
        connection = self._engine.connect()
        try:
            async with border(self._deadline_s):
                await connection.start()
                await connection.execution_options(writes=True)
                transaction = Transaction(connection, by, self._clock, self._deadline_s)
                await transaction.lock()
            yield transaction
            await transaction.commit()
        finally:
            if connection.sync_connection is not None:  # it was started
                with suppress(Unavailable):  # what went before says more
                    async with border(self._deadline_s):
                        await connection.close()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Reading]:
        async with border(self._deadline_s), connected(self._engine) as connection:
            yield Reading(connection)

"""Changes that are made together or not at all."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update

from gateway.errors import NotFound, Unavailable
from gateway.state.database.async_engine import AsyncConnection
from gateway.state.database.errors import border
from gateway.state.database.reading import Reading
from gateway.state.database.rows import StoredManifest, StoredSecret, StoredToken, User, Versions
from gateway.state.database.schema import HISTORY, LOCK, MANIFESTS, SECRETS, STATE, TOKENS, USERS

IDLE = "30s"
"""After this long without a word, PostgreSQL ends the transaction of a writer that hangs or is cut off."""


async def end_when_idle(connection: AsyncConnection) -> None:
    """Its transaction. SQLite has no such thing, and needs none: it is in this process."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.set_config("idle_in_transaction_session_timeout", IDLE, True)))


class Transaction:
    """Holds the write lock, so what it reads stays true until it ends. From `Store.change`; one call at a time.

    When a call fails in the database, every further one and the commit fail the same way. NotFound is no such failure.

    Args:
        by: who does it.
        clock: asked once, when it has the lock.
    """

    at: datetime
    """When all of it is done, for what is written."""
    versions: Versions
    """The counters as they were before; after the commit, as they are."""
    pepper_check: str | None
    """Tells whether a pepper is the one of this database; None when none was set yet."""

    def __init__(self, connection: AsyncConnection, by: str, clock: Callable[[], datetime], deadline_s: float) -> None:
        self.by = by
        self._clock = clock
        self._connection = connection
        self._deadline_s = deadline_s
        self._changes = 0
        self._grown: set[str] = set()
        self._is_discarded = False
        self._failure: BaseException | None = None

    # Called by `Store.change`.

    async def lock(self) -> None:
        await end_when_idle(self._connection)
        state = (await self._connection.execute(LOCK)).one()
        self.at = self._clock()  # not before: times are to be in the order of the history
        self.versions = Versions(state.manifests, state.tokens)
        self.pepper_check = state.pepper_check
        self._changes = state.changes

    async def commit(self) -> None:
        """Raises Unavailable when it cannot be told whether it was done, too."""
        if self._is_discarded:
            return
        manifests = self.versions.manifests + ("manifests" in self._grown)
        tokens = self.versions.tokens + ("tokens" in self._grown)
        async with self._call() as connection:
            await connection.execute(
                update(STATE).values(
                    manifests=manifests, tokens=tokens, changes=self._changes, pepper_check=self.pepper_check
                )
            )
        try:
            async with self._call() as connection:
                await connection.commit()
        except Unavailable as error:
            raise Unavailable(
                "the database cannot be reached; the change may have been made or not: look before you try again",
                retry_after_s=1,
            ) from error
        self.versions = Versions(manifests, tokens)

    # For those who write.

    def discard(self) -> None:
        """At the end, nothing is written: a dry run."""
        self._is_discarded = True

    async def manifests(self) -> list[StoredManifest]:
        async with self._call() as connection:
            return await Reading(connection).manifests()

    async def users(self) -> list[User]:
        async with self._call() as connection:
            return await Reading(connection).users()

    async def secrets(self) -> list[StoredSecret]:
        async with self._call() as connection:
            return await Reading(connection).secrets()

    async def tokens(self, *, only_live: bool = True) -> list[StoredToken]:
        async with self._call() as connection:
            return await Reading(connection).tokens(self.at if only_live else None)

    async def next_version(self, type_: str, name: str) -> int:
        """Which the manifest gets when it is put."""
        query = select(func.max(HISTORY.c.version)).where(HISTORY.c.type == type_, HISTORY.c.name == name)
        async with self._call() as connection:
            return (await connection.scalar(query) or 0) + 1

    async def put_manifest(
        self, type_: str, name: str, data: Mapping[str, Any], *, action: str, by_admin: bool = False
    ) -> StoredManifest:
        """`by_admin`: an admin answers for the addresses in it."""
        version = await self.next_version(type_, name)
        async with self._call() as connection:
            vouched = version if by_admin else None
            put = StoredManifest(type_, name, version, dict(data), self.at, self.by, self.at, self.by, vouched)
            created = await connection.execute(
                update(MANIFESTS)
                .where(MANIFESTS.c.type == type_, MANIFESTS.c.name == name)
                .values(version=version, data=data, updated_at=self.at, updated_by=self.by, admin_version=vouched)
                .returning(MANIFESTS.c.created_at, MANIFESTS.c.created_by)
            )
            if row := created.one_or_none():
                put = msgspec.structs.replace(put, created_at=row.created_at, created_by=row.created_by)
            else:
                await connection.execute(insert(MANIFESTS).values(msgspec.structs.asdict(put)))
            await self._record("manifests", action, type_, name, put.version, data)
        return put

    async def delete_manifest(self, type_: str, name: str, *, action: str) -> None:
        async with self._call() as connection:
            query = delete(MANIFESTS).where(MANIFESTS.c.type == type_, MANIFESTS.c.name == name)
            is_found = (await connection.execute(query)).rowcount
            if is_found:
                await self._record("manifests", action, type_, name)
        if not is_found:
            raise NotFound(f"no {type_} named {name[:200]!r}")

    async def put_user(self, email: str) -> User:
        """The user as it is, if there is one."""
        async with self._call() as connection:
            user = await Reading(connection).row(User, select(USERS).where(USERS.c.email == email))
            if user is None:
                user = User(email, True, self.at, self.by)
                await connection.execute(insert(USERS).values(msgspec.structs.asdict(user)))
                await self._record("tokens", "create", "user", email)
        return user

    async def set_user_active(self, email: str, is_active: bool) -> None:
        async with self._call() as connection:
            was_active = await connection.scalar(select(USERS.c.is_active).where(USERS.c.email == email))
            if was_active not in (None, is_active):
                await connection.execute(update(USERS).where(USERS.c.email == email).values(is_active=is_active))
                await self._record("tokens", "activate" if is_active else "deactivate", "user", email)
        if was_active is None:
            raise NotFound(f"no user {email[:200]!r}")

    async def delete_user(self, email: str) -> None:
        """The user's tokens are left as they are."""
        async with self._call() as connection:
            is_found = (await connection.execute(delete(USERS).where(USERS.c.email == email))).rowcount
            if is_found:
                await self._record("tokens", "delete", "user", email)
        if not is_found:
            raise NotFound(f"no user {email[:200]!r}")

    async def add_token(self, token: StoredToken) -> None:
        """Raises Conflict when there is one with its id or digest."""
        async with self._call() as connection:
            await connection.execute(
                insert(TOKENS).values(msgspec.structs.asdict(token) | {"changed": self._next_tokens})
            )
            await self._record("tokens", "create", "token", f"{token.subject}/{token.id}")

    async def revoke_tokens(self, ids: Iterable[str]) -> list[str]:
        """Those that are unknown or revoked already are passed over.

        Returns:
            The ids of those that were revoked now.
        """
        revoked = []
        async with self._call() as connection:
            for token_id in sorted(set(ids)):
                query = update(TOKENS).where(TOKENS.c.id == token_id, TOKENS.c.revoked_at.is_(None))
                subject = await connection.scalar(
                    query.values(revoked_at=self.at, changed=self._next_tokens).returning(TOKENS.c.subject)
                )
                if subject is not None:
                    await self._record("tokens", "revoke", "token", f"{subject}/{token_id}")
                    revoked.append(token_id)
        return revoked

    async def expire_token(self, token_id: str, at: datetime, replaced_by: str | None = None) -> None:
        """From `at` on the token does not work; if it was to stop before then, that stands."""
        async with self._call() as connection:
            query = select(TOKENS.c.subject, TOKENS.c.expires_at).where(TOKENS.c.id == token_id)
            token = (await connection.execute(query)).one_or_none()
            if token is not None:
                expires_at = at if token.expires_at is None else min(at, token.expires_at)
                change = {"expires_at": expires_at, "changed": self._next_tokens} | (
                    {"replaced_by": replaced_by} if replaced_by else {}
                )
                await connection.execute(update(TOKENS).where(TOKENS.c.id == token_id).values(change))
                await self._record("tokens", "expire", "token", f"{token.subject}/{token_id}")
        if token is None:
            raise NotFound(f"no token {token_id[:200]!r}")

    async def put_secret(self, group: str, key: str, value: str) -> None:
        """`value` has been sealed."""
        put = {"value": value, "updated_at": self.at, "updated_by": self.by}
        async with self._call() as connection:
            query = update(SECRETS).where(SECRETS.c.group == group, SECRETS.c.key == key).values(put)
            is_new = not (await connection.execute(query)).rowcount
            if is_new:
                await connection.execute(insert(SECRETS).values(group=group, key=key, **put))
            await self._record("manifests", "create" if is_new else "update", "secret", f"{group}/{key}")

    async def delete_secret(self, group: str, key: str) -> None:
        async with self._call() as connection:
            query = delete(SECRETS).where(SECRETS.c.group == group, SECRETS.c.key == key)
            is_found = (await connection.execute(query)).rowcount
            if is_found:
                await self._record("manifests", "delete", "secret", f"{group}/{key}")
        if not is_found:
            raise NotFound(f"no secret {group[:200]!r}, key {key[:200]!r}")

    async def note(self, action: str, type_: str, name: str) -> None:
        """A line in the history about what changes nothing here."""
        async with self._call():
            await self._record("", action, type_, name)

    @property
    def _next_tokens(self) -> int:
        """What the counter of tokens will be."""
        return self.versions.tokens + 1

    def set_pepper_check(self, text: str) -> None:
        self.pepper_check = text

    async def _record(
        self,
        grows: str,
        action: str,
        type_: str,
        name: str,
        version: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._grown.update(grows.split())
        self._changes += 1
        line = {"number": self._changes, "at": self.at, "subject": self.by, "action": action}
        await self._connection.execute(
            insert(HISTORY).values(line | {"type": type_, "name": name, "version": version, "data": data})
        )

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[AsyncConnection]:
        if self._failure is not None:
            # PostgreSQL would answer a commit with a rollback, and not say so.
            raise self._failure
        try:
            async with border(self._deadline_s):
                yield self._connection
        except BaseException as error:
            self._failure = error
            raise

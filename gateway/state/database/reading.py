"""What is read in the same way inside of a transaction and outside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Select, String, Table, inspect, or_, select

from gateway.errors import ConfigError, Fault
from gateway.state.database.async_engine import AsyncConnection
from gateway.state.database.rows import SchemaState, StoredManifest, StoredSecret, StoredToken, User
from gateway.state.database.schema import MANIFESTS, REVISIONS, SECRETS, TOKENS, USERS

Row = TypeVar("Row", bound=msgspec.Struct)

REVISION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic writes which revision the schema has."""

TOKEN_ROWS = select(*(TOKENS.c[field] for field in StoredToken.__struct_fields__))


class Reading:
    """Reads by one connection. What comes in lists is in order of its names, on both databases alike."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def rows(self, row_type: type[Row], query: Select[Any]) -> list[Row]:
        """The columns of the query are the fields of the type."""
        return [row_type(**row) for row in (await self.connection.execute(query)).mappings()]

    async def row(self, row_type: type[Row], query: Select[Any]) -> Row | None:
        """The same, of a query that finds one row or none."""
        return next(iter(await self.rows(row_type, query)), None)

    async def manifests(self) -> list[StoredManifest]:
        # Sorted here: in what order a database puts text depends on how it was set up.
        return sorted(await self.rows(StoredManifest, select(MANIFESTS)), key=lambda row: (row.type, row.name))

    async def users(self, *, is_active: bool | None = None) -> list[User]:
        query = select(USERS) if is_active is None else select(USERS).where(USERS.c.is_active.is_(is_active))
        return sorted(await self.rows(User, query), key=lambda row: row.email)

    async def secrets(self) -> list[StoredSecret]:
        return sorted(await self.rows(StoredSecret, select(SECRETS)), key=lambda row: (row.group, row.key))

    async def tokens(self, alive_at: datetime | None) -> list[StoredToken]:
        """Oldest first. `alive_at`: without those that are revoked, or have expired by then."""
        query = TOKEN_ROWS
        if alive_at is not None:
            query = query.where(
                TOKENS.c.revoked_at.is_(None),
                or_(TOKENS.c.expires_at.is_(None), TOKENS.c.expires_at > alive_at),
            )
        return sorted(await self.rows(StoredToken, query), key=lambda row: (row.created_at, row.id))

    async def tokens_since(self, counter: int) -> list[StoredToken]:
        return await self.rows(StoredToken, TOKEN_ROWS.where(TOKENS.c.changed > counter))

    async def schema_state(self) -> SchemaState:
        """Raises ConfigError: another program keeps its tables here."""
        # Asked first: a statement that fails would end a transaction of PostgreSQL.
        has_table = await self.connection.run_sync(lambda connection: inspect(connection).has_table(REVISION.name))
        revision = await self.connection.scalar(select(REVISION.c.version_num)) if has_table else None
        return state_of(revision)


def state_of(revision: str | None, known: Sequence[str] = REVISIONS) -> SchemaState:
    """`known`: oldest first. Raises ConfigError: it is a revision of another program."""
    if revision is None:
        return "missing"
    if not (revision.isdecimal() and len(revision) == len(known[-1])):
        problem = f"another program keeps its tables there: its revision is {revision[:40]!r}. Name another database"
        raise ConfigError([Fault("the database", 0, "", f"{problem}, or another schema of it")])
    if revision == known[-1]:
        return "current"
    return "older" if revision in known else "newer"

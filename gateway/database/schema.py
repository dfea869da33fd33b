"""The tables as this version of the gateway knows them; `migrations` makes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    select,
)

from gateway.errors import BadRequest

REVISIONS = ("0001",)
"""Those of `migrations`, oldest first."""

NAME_MAX_BYTES = 500
"""An entry of an index of PostgreSQL has to stay under 2.7 kB, and up to three names are in one."""


class PlainText(TypeDecorator[str]):
    """Text that both databases can hold: PostgreSQL has no NUL and no lone surrogates.

    Raises:
        BadRequest: it cannot be stored.
    """

    impl = Text
    cache_ok = True
    max_bytes: int | None = None

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise BadRequest("a name or text holds half of a surrogate pair; send valid Unicode") from error
        if "\0" in value:
            raise BadRequest("a name or text holds the character NUL; leave it out")
        if self.max_bytes is not None and size > self.max_bytes:
            raise BadRequest(f"a name may have {self.max_bytes} bytes; this one has {size}")
        return value


class Name(PlainText):
    """Text that is looked up."""

    cache_ok = True
    max_bytes = NAME_MAX_BYTES


class TwoNames(PlainText):
    """Two names and what is between them."""

    cache_ok = True
    max_bytes = 2 * NAME_MAX_BYTES + 1


class Number(TypeDecorator[int]):
    """An integer of 64 bits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        if value is not None and not -(2**63) <= value < 2**63:
            raise BadRequest("a number is out of range")
        return value


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes, in UTC on both databases: SQLite keeps them as text without a zone.

    Raises:
        ValueError: the datetime is naive.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


class JsonText(TypeDecorator[Mapping[str, Any]]):
    """A JSON object as text, its keys in order, so that equal objects are equal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return msgspec.json.encode(value, order="deterministic").decode()
        except UnicodeEncodeError as error:
            raise BadRequest("a text holds half of a surrogate pair; send valid Unicode") from error

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else msgspec.json.decode(value, type=dict[str, Any])


METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

STATE = Table(
    "state",
    METADATA,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("manifests", Number, nullable=False),
    Column("tokens", Number, nullable=False),
    Column("changes", Number, nullable=False),
    Column("pepper_check", PlainText),
    CheckConstraint("id = 1", name="one_row"),
)
"""One row."""

LOCK = select(STATE).with_for_update()
"""Whoever writes runs it first, so there is one writer at a time. SQLite has locked the whole database before that."""

MANIFESTS = Table(
    "manifests",
    METADATA,
    Column("type", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("version", Number, nullable=False),
    Column("data", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Name, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Name, nullable=False),
)

USERS = Table(
    "users",
    METADATA,
    Column("email", Name, primary_key=True),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Name, nullable=False),
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", Name, primary_key=True),
    Column("subject", Name, nullable=False, index=True),
    Column("name", PlainText, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("hint", PlainText, nullable=False),
    Column("token_type", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Name, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("replaced_by", Name),
    Column("changed", Number, nullable=False, index=True),
)
"""`changed`: the counter of tokens after the last change of a row, so that replicas read only what is new to them."""

SECRETS = Table(
    "secrets",
    METADATA,
    Column("group", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("value", PlainText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Name, nullable=False),
)

HISTORY = Table(
    "history",
    METADATA,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("subject", Name, nullable=False),
    Column("action", Name, nullable=False),
    Column("type", Name, nullable=False),
    Column("name", TwoNames, nullable=False),
    Column("version", Number),
    Column("data", JsonText),
    UniqueConstraint("type", "name", "version"),
    Index(None, "type", "name", "number"),
)

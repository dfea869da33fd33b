"""The tables as this version of the gateway knows them; `migrations` makes them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    select,
    text,
)

from gateway.contract.usage import AMOUNTS
from gateway.errors import BadRequest

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
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
        return None if value is None else _json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else msgspec.json.decode(value, type=dict[str, Any])


class JsonList(TypeDecorator[Sequence[Any]]):
    """A JSON array as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else _json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[Any] | None:
        return None if value is None else msgspec.json.decode(value, type=list[Any])


def _json_text(value: Any) -> str:
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except UnicodeEncodeError as error:
        raise BadRequest("a text holds half of a surrogate pair; send valid Unicode") from error


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
    Column("admin_version", Number),
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

LEDGER = Table(
    "ledger",
    METADATA,
    Column("request_id", Name, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("subject", Name, nullable=False),
    Column("teams", JsonList, nullable=False),
    Column("token_id", Name),
    Column("model", Name, nullable=False),
    Column("resolved_model", Name),
    Column("metadata", JsonText, nullable=False),
    Column("outcome", Name, nullable=False),
    Column("usage", JsonText),
    Column("cost", Number),
    Column("price_row", Name),
    Column("price_version", Name),
    Column("bill", JsonText),
)
"""One row for each request; never changed, and deleted only when it is old. `cost` in nano-dollars; null: unknown."""

TOTALS = Table(
    "totals",
    METADATA,
    Column("key", Name, primary_key=True),
    Column("begins", Number, primary_key=True, autoincrement=False),
    Column("ends", Number, nullable=False, index=True),
    Column("rule", Name, nullable=False),
    Column("scope", Name, nullable=False),
    Column("unit", Name, nullable=False),
    Column("window", Name, nullable=False),
    Column("amount", Number, nullable=False),
    Index(None, "rule", "begins"),
)
"""What each calendar counter came to in each of its windows, from `begins` until before `ends`, in seconds since 1970.
Kept up by whoever writes the ledger, so that nobody has to add it up."""

_LATER = ("images",)
"""Classes that came when there were days already."""

USAGE_DAYS = Table(
    "usage_days",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("who", Name, primary_key=True),
    Column("model", Name, primary_key=True),
    Column("resolved_model", Name, primary_key=True),
    Column("is_team", Boolean, nullable=False),
    Column("requests", Number, nullable=False),
    Column("unpriced", Number, nullable=False),
    Column("cost", Number, nullable=False),
    *(Column(name, Number, nullable=False, server_default="0" if name in _LATER else None) for name in AMOUNTS),
)
"""What was used on each day (UTC). A request is in the row of its subject, and in one for each team, `team:research`.
`resolved_model` is empty when none answered. `unpriced`: requests whose cost nobody knows, so it is not in `cost`."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("key", Name, primary_key=True),
    Column("begins", Number, primary_key=True, autoincrement=False),
    Column("threshold", Double, primary_key=True),
    Column("alert", JsonText, nullable=False),
    Column("targets", JsonList, nullable=False),
    Column("state", Name, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, index=True),
    Column("attempts", Number, nullable=False),
    Column("problem", PlainText),
)
"""Alerts, once for each window of a counter and threshold. `targets` have not got it; `due_at`: when to try again."""

OPEN_REQUESTS = Table(
    "open_requests",
    METADATA,
    Column("replica", Name, primary_key=True),
    Column("note", Number, nullable=False),
    Column("entries", LargeBinary, nullable=False),
)
"""One row for each process that has open requests: the bills they would get if they ended now, a JSON array. `note`
grows with each change."""

OBJECTS = Table(
    "objects",
    METADATA,
    Column("kind", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("owner", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("provider_id", Name, nullable=False),
    Column("target", Name),
    Column("data", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Index(None, "kind", "owner", "created_at"),
    Index(None, "kind", "created_at"),
    Index(None, "kind", "account", "provider_id"),
)
"""What callers have made at one account and can be found nowhere else: files, batches, responses."""

BATCH_RUNS = Table(
    "batch_runs",
    METADATA,
    Column("id", Name, primary_key=True),
    Column("account", Name, nullable=False),
    Column("batch", JsonText, nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("cancelled_at", Number),
    Column("leased_by", Name),
    Column("leased_until", Double, nullable=False),
    Column("owner", Name, nullable=False, server_default=text("''")),
    Index(None, "is_over", "leased_until"),
    Index(None, "owner", "leased_until"),
)
"""Batches that the gateway runs itself, and who works on them. Moments in seconds since 1970."""

BATCH_WATCHES = Table(
    "batch_watches",
    METADATA,
    Column("account", Name, primary_key=True),
    Column("provider_id", Name, primary_key=True),
    Column("id", Name, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("leased_by", Name),
    Column("leased_until", Double, nullable=False),
    Index(None, "due_at"),
)
"""Batches at their providers that are not billed yet, and when somebody looks at them. Moments as above."""

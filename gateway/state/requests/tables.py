"""The tables of request records. They make themselves, and only ever get more columns.

In PostgreSQL they lie beside the ledger's. In SQLite they have a file of their own: it has one writer at a time, and
whoever pays for a budget must not wait for the indexes of a log, nor for the deletion of an old one; the file can be
deleted, copied or lost without a cent being.

A record is found by its id, which begins with the moment when the request came in: lists are in the order of ids, a
span of time is a span of ids, and so are PostgreSQL's partitions, one for each day.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text

from gateway.contract.usage import AMOUNTS
from gateway.state.requests.histogram import SCALES

WRITING, MAKING = 0x6777726571, 0x67777265717461
"""Numbers of PostgreSQL's advisory locks: of who writes records, and of who makes their tables."""

TABLES = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

# In `info`, `make_tables` finds what is for PostgreSQL alone: to say it as SQLAlchemy would have it imports all that
# SQLAlchemy has for PostgreSQL, 2 MiB, also where there is none.
PER_DAY: dict[str, Any] = {"info": {"postgresql_partition_by": "RANGE (request_id)"}}
ID = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte: partitions and pages go by it."""

REQUESTS = Table(
    "requests",
    TABLES,
    Column("request_id", ID, primary_key=True),
    Column("seq", BigInteger, nullable=False, index=True),
    Column("subject", Text),
    Column("token_id", Text),
    Column("model", Text),
    Column("resolved_model", Text),
    Column("request_type", Text),
    Column("status", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_code", Text),
    Column("is_stream", Boolean, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("first_token_ms", Double),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost", BigInteger),
    Column("record", Text, nullable=False),
    *(Index(None, name, "request_id") for name in ("subject", "model", "resolved_model", "status")),
    **PER_DAY,
)
"""`seq` grows in the order in which records were written. `record`: all of it, as JSON; the columns before that are for
finding it. `cost` in nano-dollars."""

TEAMS = Table(
    "request_teams",
    TABLES,
    Column("team", Text, primary_key=True),
    Column("request_id", ID, primary_key=True),
    Index(None, "request_id"),
    sqlite_with_rowid=False,
    **PER_DAY,
)
"""Of whoever asked."""

CONTENTS = Table(
    "request_contents",
    TABLES,
    Column("request_id", ID, primary_key=True),
    Column("content", Text, nullable=False),
    **PER_DAY,
)
"""What was asked and answered, of the few requests where that is kept."""

BY_DAY = (REQUESTS, TEAMS, CONTENTS)

KEY = ("kind", "at", "who", "token_id", "model", "resolved_model", "request_type", "status")
COUNTS = (
    "requests",
    "failures",
    "unpriced",
    "cost",
    *AMOUNTS,
    "latency_us",
    "first_token_us",
    "per_token_us",
)
BINS = tuple(column for scale in SCALES for column in scale.columns)


def _sums(name: str, **options: Any) -> Table:
    return Table(
        name,
        TABLES,
        Column("kind", Text, primary_key=True),
        Column("at", BigInteger, primary_key=True, autoincrement=False),
        *(Column(column, Text, primary_key=True) for column in KEY[2:-1]),
        Column("status", Integer, primary_key=True, autoincrement=False),
        *(Column(column, BigInteger, nullable=False) for column in COUNTS),
        *(Column(column, Integer, nullable=False) for column in BINS),
        Index(None, "kind", "who", "at"),
        sqlite_with_rowid=False,
        **options,
    )


# Each row of a minute is changed many times, on the page where it is if that has room. Others are written once.
MINUTES = _sums("request_minutes", info={"postgresql_with": {"fillfactor": 50}})
HOURS, DAYS = _sums("request_hours"), _sums("request_days")
"""What requests came to, from `at` on, in seconds since 1970. A request is in one row of the kind `all`, in one of
`subject`, in one of `team` for each team, and in one of `metadata.<key>` for each key that is chosen; `who` is the
subject, the team, or the value. Empty text: there is none. Times are in microseconds."""

FOLDS = Table(
    "request_folds",
    TABLES,
    Column("kind", Text, primary_key=True),
    Column("fold", Text, primary_key=True),
    Column("length_s", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    *(Column(column, Text, primary_key=True) for column in KEY[2:-1]),
    Column("status", Integer, primary_key=True, autoincrement=False),
    *(Column(column, BigInteger) for column in COUNTS),
    *(Column(column, Integer) for column in BINS),
    sqlite_with_rowid=False,
)
"""The same sums in fewer rows: of `length_s` from `at` on, or without the models. Null is 0: it takes no room."""

FOLDED = Table(
    "request_folded",
    TABLES,
    Column("fold", Text, primary_key=True),
    Column("length_s", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The spans whose rows in `FOLDS` are complete."""

FOLDING = Table(
    "request_folding",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("claim", Text, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Column("since_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("is_changed", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""One row: who folds, until when nobody else does, of which time, and whether a late record changed that meanwhile."""


def prefix_of(at: datetime) -> str:
    """What the ids of all requests of that moment, in milliseconds, begin with. Later ones are greater."""
    return f"{max(0, min(int(at.timestamp() * 1000), (1 << 48) - 1)):012x}"


def time_of(request_id: str) -> datetime | None:
    """When the request came in, to the millisecond; None: it is an id of somebody else."""
    try:
        return datetime.fromtimestamp(int(request_id[:12], 16) / 1000, UTC) if len(request_id) == 32 else None
    except (ValueError, OverflowError):
        return None


def upsert(table: Table, *, is_sqlite: bool) -> Any:
    """An `insert` that knows `on_conflict_do_update`, which each of the two says by itself."""
    if is_sqlite:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # only where it is used anyhow: it takes 2 MiB

    return postgresql.insert(table)


def partitions(day: str) -> list[tuple[str, ...]]:
    """The statements, for each table, that make PostgreSQL's partition of a day, as in `20260131`."""
    begin = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    low, high = prefix_of(begin), prefix_of(begin + timedelta(days=1))
    return [
        (
            f"CREATE TABLE IF NOT EXISTS {table.name}_{day} (LIKE {table.name} INCLUDING ALL)",
            # Attached, and not made as one, because that would lock out those who read.
            f"ALTER TABLE {table.name} ATTACH PARTITION {table.name}_{day} FOR VALUES FROM ('{low}') TO ('{high}')",
        )
        for table in BY_DAY
    ]

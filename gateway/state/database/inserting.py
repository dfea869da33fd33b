"""Puts many rows into tables by few statements of plain text. To build and bind each by SQLAlchemy takes several times
as long as the database needs for it."""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Integer,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.util import await_only

from gateway.state.database.charging import Row
from gateway.state.database.schema import LEDGER

SIZES = (200, 50, 10, 1)
"""Of SQLite's statements, in rows. While one runs, the event loop does, and to be let in again afterwards takes longer
than to write a row. Few sizes, so that all of them stay prepared."""

PAUSE_S = 1e-5
"""With less, the thread of the event loop does not wake up in time."""

STAYS = "ON CONFLICT DO NOTHING"
"""The end of a statement: a row that is there already stays as it is. With `growing` it does not."""

_TYPES = {
    BigInteger: "bigint",
    Boolean: "boolean",
    Date: "date",
    Double: "double precision",
    Integer: "integer",
    Text: "text",
}


class Inserting(Protocol):
    """Into a database, within one transaction. All writers go through the tables and their rows in the same order, so
    none waits for another in a circle."""

    def add_new(self, rows: Sequence[Row]) -> Sequence[Row]:
        """To the ledger; returns those that were not there before."""

    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None:
        """`names`: the columns that the rows have; the others are 0. `end`: `STAYS` or `growing`."""

    def totals(self, keys: Sequence[tuple[str, int]]) -> Iterable[Row]:
        """(key, begin of the window, amount)."""

    def pause(self) -> None:
        """Lets the event loop do something else."""


class SqliteInserting:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_new(self, rows: Sequence[Row]) -> Sequence[Row]:
        names = tuple(LEDGER.c.keys())
        try:
            self.add(LEDGER, names, rows)
        except sqlite3.IntegrityError:  # so seldom that nobody looks before
            self.begin_again()
            query = "SELECT request_id FROM ledger WHERE request_id IN (SELECT value FROM json_each(?))"
            known = {id_ for (id_,) in self._connection.execute(query, (_json([row[0] for row in rows]),))}
            rows = [row for row in rows if row[0] not in known]
            self.add(LEDGER, names, rows)
        return rows

    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str = "") -> None:
        at = 0
        for size in SIZES:
            while len(rows) - at >= size:
                text = _sqlite_text(table, names, end, size)
                self._connection.execute(text, [*chain.from_iterable(rows[at : at + size])])
                at += size

    def totals(self, keys: Sequence[tuple[str, int]]) -> Iterable[Row]:
        asked = "key = json_extract(value, '$[0]') AND begins = json_extract(value, '$[1]')"
        query = f"SELECT totals.key, begins, amount FROM json_each(?) AS each JOIN totals ON totals.{asked}"
        return self._connection.execute(query, (_json(keys),)).fetchall()

    def begin_again(self) -> None:
        """Undoes what was done in this transaction."""
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")

    def pause(self) -> None:
        time.sleep(PAUSE_S)


class PostgresInserting:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_new(self, rows: Sequence[Row]) -> Sequence[Row]:
        text = _postgres_text(LEDGER, tuple(LEDGER.c.keys()), f"{STAYS} RETURNING request_id")
        new = set(self._connection.exec_driver_sql(text, (_json(rows),)).scalars())
        return [row for row in rows if row[0] in new]

    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None:
        self._connection.exec_driver_sql(_postgres_text(table, names, end), (_json(rows),))

    def totals(self, keys: Sequence[tuple[str, int]]) -> Iterable[Row]:
        asked = "key = row ->> 0 AND begins = (row ->> 1)::bigint"
        query = f"SELECT key, begins, amount FROM jsonb_array_elements($1::text::jsonb) AS row JOIN totals ON {asked}"
        return [tuple(row) for row in self._connection.exec_driver_sql(query, (_json(keys),))]

    def pause(self) -> None:
        await_only(asyncio.sleep(0))


@lru_cache
def growing(table: Table, names: tuple[str, ...]) -> str:
    """A row that is there already grows in these columns by the new one."""
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in names)
    return f"ON CONFLICT ({_listed(table.primary_key.columns.keys())}) DO UPDATE SET {sums}"


@lru_cache(maxsize=256)
def _sqlite_text(table: Table, names: tuple[str, ...], end: str, size: int) -> str:
    others = _others(table, names)
    row = f"({', '.join(['?'] * len(names) + ['0'] * len(others))})"
    return f"INSERT INTO {table.name} ({_listed([*names, *others])}) VALUES {', '.join([row] * size)} {end}"


@lru_cache(maxsize=256)
def _postgres_text(table: Table, names: tuple[str, ...], end: str) -> str:
    """With one parameter, a list of lists in JSON: for arrays, the driver looks at each value several times."""
    others = _others(table, names)
    values = [*[_value(table.c[name], number) for number, name in enumerate(names)], *["0"] * len(others)]
    query = f"SELECT {', '.join(values)} FROM jsonb_array_elements($1::text::jsonb) AS row"
    return f"INSERT INTO {table.name} ({_listed([*names, *others])}) {query} {end}"


def _value(column: Column[Any], number: int) -> str:
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(kind, DateTime):
        return f"(row ->> {number})::timestamp AT TIME ZONE 'UTC'"
    return f"(row ->> {number})::{_TYPES[type(kind)]}"


def _others(table: Table, names: Iterable[str]) -> list[str]:
    return [name for name in list(table.c.keys()) if name not in names]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

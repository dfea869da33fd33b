"""How the rows of records get into SQLite and PostgreSQL, within one transaction."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Protocol

import msgspec
from sqlalchemy import Connection, Table

from gateway.contract import Record
from gateway.state.database.charging import Row
from gateway.state.database.inserting import STAYS, PostgresInserting, SqliteInserting, growing
from gateway.state.requests.folding import UNFOLD
from gateway.state.requests.folds import FLOOR, TEN_MINUTES, down
from gateway.state.requests.rows import Batch, sum_columns
from gateway.state.requests.tables import BINS, COUNTS, HOURS, KEY, MINUTES, REQUESTS, TEAMS

SOME = 200
"""Rows of one statement for PostgreSQL, which the event loop writes down."""


class _Database(Protocol):
    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None: ...

    def add_up(self, table: Table, rows: Sequence[Row]) -> None: ...

    def run(self, statement: str) -> None: ...

    def pause(self) -> None: ...


def new_of(by_id: Mapping[str, Record], known: Collection[str]) -> list[Record]:
    return [by_id[id_] for id_ in sorted(by_id) if id_ not in known]


def known_of(sync: Connection, ids: Sequence[str]) -> tuple[set[str], int, int]:
    database = PostgresRecords(sync)
    return database.known(ids), database.last_seq(), database.minutes_from_s()


def insert_batch(database: _Database, batch: Batch, now: datetime) -> int:
    """All tables in the same order, whoever writes."""
    database.add(REQUESTS, tuple(REQUESTS.c.keys()), batch.requests, "")
    database.add(TEAMS, tuple(TEAMS.c.keys()), batch.teams, STAYS)
    for table, rows in ((MINUTES, batch.minutes), (HOURS, batch.hours)):
        database.pause()
        database.add_up(table, rows)
    for at in _late(batch, int(now.timestamp())):
        for statement in UNFOLD:
            database.run(statement.format(at=at))
    return len(batch.requests)


def _late(batch: Batch, now_s: int) -> set[int]:
    """The begins of spans that are over; as a rule, none. The first rows are of the kind `all`, which has all times in
    order."""
    late = {row[1] for row in batch.hours if row[0] == "all"}
    if batch.minutes and down(batch.minutes[0][1], TEN_MINUTES) + TEN_MINUTES <= now_s:
        spans = {down(row[1], TEN_MINUTES) for row in batch.minutes if row[0] == "all"}
        late |= {at for at in spans if at + TEN_MINUTES <= now_s}
    return late


class SqliteRecords(SqliteInserting):
    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._file = connection

    def known(self, ids: Sequence[str]) -> set[str]:
        query = "SELECT request_id FROM requests WHERE request_id IN (SELECT value FROM json_each(?))"
        return {id_ for (id_,) in self._file.execute(query, (msgspec.json.encode(ids).decode(),))}

    def last_seq(self) -> int:
        (seq,) = self._file.execute("SELECT coalesce(max(seq), 0) FROM requests").fetchone()
        return int(seq)

    def minutes_from_s(self) -> int:
        (at,) = self._file.execute(_MINUTES_FROM).fetchone()
        return int(at)

    def add_up(self, table: Table, rows: Sequence[Row]) -> None:
        self.add(table, sum_columns(), rows, growing(table, SUMMED))

    def run(self, statement: str) -> None:
        self._file.execute(statement)


class PostgresRecords(PostgresInserting):
    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._sync = connection

    def known(self, ids: Sequence[str]) -> set[str]:
        some = "request_id >= $2 AND request_id <= $3"  # so that only their partitions are looked at
        asked = "request_id IN (SELECT jsonb_array_elements_text($1::text::jsonb))"
        parameters = (msgspec.json.encode(ids).decode(), min(ids), max(ids))
        query = f"SELECT request_id FROM requests WHERE {asked} AND {some}"
        return set(self._sync.exec_driver_sql(query, parameters).scalars())

    def last_seq(self) -> int:
        newest = "SELECT seq FROM requests ORDER BY seq DESC LIMIT 1"
        return int(self._sync.exec_driver_sql(newest).scalar() or 0)

    def minutes_from_s(self) -> int:
        return int(self._sync.exec_driver_sql(_MINUTES_FROM).scalar_one())

    def add_up(self, table: Table, rows: Sequence[Row]) -> None:
        """The counts of a row as one array: to take each from the JSON by itself would take three times as long."""
        width = len(KEY)
        for at in range(0, len(rows), SOME):
            data = [[*row[:width], f"{{{','.join(map(str, row[width:]))}}}"] for row in rows[at : at + SOME]]
            self._sync.exec_driver_sql(_adding_up(table), (msgspec.json.encode(data).decode(),))

    def run(self, statement: str) -> None:
        self._sync.exec_driver_sql(statement)

    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None:
        for at in range(0, len(rows), SOME):
            super().add(table, names, rows[at : at + SOME], end)


_MINUTES_FROM = f"SELECT at FROM request_folded WHERE fold = '{FLOOR}'"

SUMMED = (*COUNTS, *BINS)


@lru_cache
def _adding_up(table: Table) -> str:
    keys = [f"(row ->> {number}){_KEY_TYPES.get(name, '')}" for number, name in enumerate(KEY)]
    counts = [f"counts[{number}]" for number in range(1, len(SUMMED) + 1)]
    rows = f"SELECT row, (row ->> {len(KEY)})::bigint[] AS counts FROM jsonb_array_elements($1::text::jsonb) AS row"
    columns = ", ".join(sum_columns())
    query = f"SELECT {', '.join([*keys, *counts])} FROM ({rows} OFFSET 0) AS rows"
    return f"INSERT INTO {table.name} ({columns}) {query} {growing(table, SUMMED)}"


_KEY_TYPES = {"at": "::bigint", "status": "::integer"}

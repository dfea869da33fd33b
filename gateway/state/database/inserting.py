"""Puts many rows into a table by one statement and one parameter, a JSON list: a parameter for each value would take
ten times the time, all of it on the event loop."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from gateway.state.database.charging import Row
from gateway.state.database.schema import UtcDateTime

ROWS = "rows"


def given(rows: Sequence[Row] | Sequence[str]) -> dict[str, str]:
    """The parameter; all rows have the columns that the statement was made for."""
    return {ROWS: msgspec.json.encode(rows).decode()}


def each() -> Any:
    """The items of the parameter in SQLite, one a row, as `value`."""
    return func.json_each(bindparam(ROWS, type_=Text)).table_valued("value")


def inserting(table: Table, names: Iterable[str], dialect: str) -> Any:
    """`INSERT INTO table (names) SELECT ...`, which takes the rows in their order. What to do about rows that are there
    already is to be added."""
    columns = [table.c[name] for name in names]
    is_sqlite = dialect == "sqlite"
    rows: FromClause
    values: Sequence[ColumnElement[Any]]
    if is_sqlite:
        rows = each()
        values = [_extracted(rows.c.value, col) for col in columns]
    else:
        typed = [column(col.name, _plain(col.type)) for col in columns]
        function = func.jsonb_to_recordset(cast(bindparam(ROWS, type_=Text), JSONB))
        rows = function.table_valued(*typed).render_derived(with_types=True)
        values = list(rows.c)
    # Without a condition, SQLite takes what follows for one of a join.
    query = select(*values).select_from(rows).where(true())
    return (insert_sqlite if is_sqlite else insert_postgresql)(table).from_select(columns, query)


def _extracted(row: ColumnElement[Any], col: Any) -> ColumnElement[Any]:
    value: ColumnElement[Any] = func.json_extract(row, f"$.{col.name}")
    # There, moments are kept without their zone, which is UTC.
    return func.substr(value, 1, len("2026-01-31 23:59:59.999999")) if isinstance(col.type, UtcDateTime) else value


def _plain(kind: Any) -> Any:
    return kind.impl if isinstance(kind, TypeDecorator) else kind

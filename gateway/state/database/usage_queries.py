"""The questions about usage, in the words of either database."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, ColumnElement, RowMapping, Select, cast, func, select

from gateway.contract.usage import AMOUNTS, Usage
from gateway.errors import BadRequest
from gateway.state.database.charging import COUNTED
from gateway.state.database.ledger_rows import UsageRow
from gateway.state.database.schema import LEDGER, USAGE_DAYS

_GROUPS = {
    "subject": USAGE_DAYS.c.who,
    "team": USAGE_DAYS.c.who,
    "model": USAGE_DAYS.c.model,
    "resolved_model": USAGE_DAYS.c.resolved_model,
    "day": USAGE_DAYS.c.day,
}
_METADATA = "metadata."


def usage_query(by: str, since: date, until: date, who: str | None, dialect: str) -> Select[Any]:
    """Answers with `group` and the columns of `COUNTED`. Arguments as in `LedgerStore.usage`.

    Raises:
        BadRequest: there are no such groups.
    """
    if by.startswith(_METADATA):
        return _by_metadata(by.removeprefix(_METADATA), since, until, who, dialect)
    if by not in _GROUPS:
        raise BadRequest(f"usage is grouped by one of: {', '.join(_GROUPS)}, {_METADATA}<key>")
    days = USAGE_DAYS.c
    whose = days.who == who if who is not None else days.is_team.is_(by == "team")
    sums = (func.sum(days[name]).label(name) for name in COUNTED)
    query = select(_GROUPS[by].label("group"), *sums).group_by(_GROUPS[by])
    return query.where(days.day >= since, days.day < until, whose)


def usage_row(row: RowMapping) -> UsageRow:
    """From a row of the answer; sums come as integers, decimals or null."""
    used = msgspec.convert({name: int(row[name] or 0) for name in AMOUNTS}, Usage)
    return UsageRow(str(row["group"]), int(row["requests"]), int(row["unpriced"]), int(row["cost"] or 0), used)


def _by_metadata(key: str, since: date, until: date, who: str | None, dialect: str) -> Select[Any]:
    """Looks through the ledger: what keys there are is up to the callers, and could be too many to keep up sums."""
    row = LEDGER.c
    is_sqlite = dialect == "sqlite"
    each = func.json_each(row.metadata) if is_sqlite else func.json_each_text(cast(row.metadata, JSON))
    pair = each.table_valued("key", "value")
    counts: dict[str, ColumnElement[Any]] = {
        "requests": func.count(),
        "unpriced": func.count() - func.count(row.cost),
        "cost": func.sum(row.cost),
        **{name: func.sum(_amount(name, is_sqlite)) for name in AMOUNTS},
    }
    query = select(pair.c.value.label("group"), *(count.label(name) for name, count in counts.items()))
    query = query.select_from(LEDGER.join(pair, pair.c.key == key)).group_by(pair.c.value)
    query = query.where(row.at >= _begin(since), row.at < _begin(until))
    return query if who is None else query.where(row.subject == who)


def _amount(name: str, is_sqlite: bool) -> ColumnElement[Any]:
    """Of one class, in one row of the ledger; null when there are none."""
    if is_sqlite:
        return func.json_extract(LEDGER.c.usage, f"$.{name}")
    return cast(func.json_extract_path_text(cast(LEDGER.c.usage, JSON), name), BigInteger)


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

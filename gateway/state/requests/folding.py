"""Folds sums: one span in one transaction, all of it within the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.state.requests.folds import DAY, HOUR, Gap, Run, down, up
from gateway.state.requests.tables import BINS, COUNTS, FOLDED, FOLDS, KEY

MODELS = ("model", "resolved_model")


async def fold(connection: AsyncConnection, run: Run, kinds: Sequence[str]) -> bool:
    """Within a transaction in which nobody else writes records. False: another replica was faster, or a late record has
    changed what it is made of."""
    if not await _is_due(connection, run):
        return False
    await connection.execute(delete(FOLDS).where(_of(run, kinds)))  # of before a record came late
    names = ("fold", "length_s", *KEY, *COUNTS, *BINS)
    await connection.execute(insert(FOLDS).from_select(names, _folded(run, kinds)))
    rows = [dict(zip(FOLDED.c.keys(), key, strict=True)) for key in run.keys]
    await connection.execute(insert(FOLDED).values(rows))
    return True


async def _is_due(connection: AsyncConnection, run: Run) -> bool:
    there = {tuple(row) for row in await connection.execute(select(FOLDED).where(FOLDED.c.fold == run.fold.name))}
    return there.isdisjoint(run.keys) and there.issuperset(run.halves)


def _folded(run: Run, kinds: Sequence[str]) -> Select[Any]:
    name, length_s, source = run.fold
    table = source if source is not None else FOLDS
    at = table.c.at - table.c.at % literal_column(str(length_s))
    told = {"at": at} | (dict.fromkeys(MODELS, literal("")) if name == "who" else {})
    key = [told.get(column, table.c[column]) for column in KEY]
    groups = [at, *(table.c[column] for column in KEY if column not in told)]
    sums = [func.nullif(func.sum(table.c[column]), 0) for column in (*COUNTS, *BINS)]
    query = select(literal(name), literal(length_s), *key, *sums).group_by(*groups)
    query = query.where(table.c.kind.in_(kinds), table.c.at >= run.since_s, table.c.at < run.until_s)
    return query if source is not None else query.where(FOLDS.c.fold == name, FOLDS.c.length_s == length_s // 2)


def _of(run: Run, kinds: Sequence[str]) -> ColumnElement[bool]:
    c, (name, length_s, _) = FOLDS.c, run.fold
    same = (c.fold == name, c.length_s == length_s)
    return and_(c.kind.in_(kinds), *same, c.at >= run.since_s, c.at < run.until_s)


def folded_within(name: str, gap: Gap, *, all_hours: bool) -> Select[Any]:
    """The spans that are complete; of hours, unless all are asked for, those of the first and the last day."""
    since_s, until_s = gap
    c = FOLDED.c
    query = select(FOLDED).where(c.fold == name, c.at >= since_s, c.at < until_s)
    if all_hours:
        return query
    return query.where((c.length_s > HOUR) | (c.at < up(since_s, DAY)) | (c.at >= down(until_s, DAY)))


UNFOLD = "DELETE FROM request_folded WHERE at <= {at} AND at + length_s > {at}"
"""Spans with a row at that moment count no more."""

"""Folds sums: one span in one transaction, all of it within the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.state.requests.folds import DAY, HOUR, Gap, Run, down, up
from gateway.state.requests.tables import BINS, COUNTS, FOLDED, FOLDS, KEY

MOST_ROWS = {"sqlite": 60_000, "postgresql": 250_000}
"""That are folded at once: those who write records wait as long. Sums of more are read as they were written."""
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


async def is_small(connection: AsyncConnection, run: Run, kinds: Sequence[str]) -> bool:
    most = MOST_ROWS[connection.dialect.name]
    some = select(literal(1)).where(*_made_of(run, kinds)).limit(most + 1).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0) <= most


def _made_of(run: Run, kinds: Sequence[str]) -> list[ColumnElement[bool]]:
    name, length_s, source = run.fold
    c = (source if source is not None else FOLDS).c
    half = [] if source is not None else [FOLDS.c.fold == name, FOLDS.c.length_s == length_s // 2]
    return [c.kind.in_(kinds), *half, c.at >= run.since_s, c.at < run.until_s]


def _folded(run: Run, kinds: Sequence[str]) -> Select[Any]:
    name, length_s, source = run.fold
    table = source if source is not None else FOLDS
    at = table.c.at - table.c.at % literal_column(str(length_s))
    told = {"at": at} | (dict.fromkeys(MODELS, literal("")) if name == "who" else {})
    key = [told.get(column, table.c[column]) for column in KEY]
    groups = [at, *(table.c[column] for column in KEY if column not in told)]
    sums = [func.nullif(func.sum(table.c[column]), 0) for column in (*COUNTS, *BINS)]
    return select(literal(name), literal(length_s), *key, *sums).where(*_made_of(run, kinds)).group_by(*groups)


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

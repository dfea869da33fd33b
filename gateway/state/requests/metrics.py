"""What requests came to: questions, and their answers from the sums of minutes, hours and days."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, Table, func, literal_column, or_, select

from gateway.contract.usage import AMOUNTS, Usage
from gateway.errors import BadRequest
from gateway.state.requests.asked import METADATA, Only, Question, Sum
from gateway.state.requests.tables import COUNTS, DAYS, HOURS, MINUTES

MINUTES_KEPT = timedelta(hours=47)
"""One less than they are: what is asked for now must not go while it is looked for."""
MOST_STEPS = 1500

DIMENSIONS = {
    "subject": "who",
    "team": "who",
    "token": "token_id",
    "model": "model",
    "resolved_model": "resolved_model",
    "account": "resolved_model",
    "type": "request_type",
    "status": "status",
}
"""What sums can be grouped and filtered by, besides `metadata.<key>` -> the column."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
LEVELS = ((DAYS, _DAY), (HOURS, _HOUR), (MINUTES, _MINUTE))
"""The tables of sums, and how many seconds a row of each is about."""


class Piece(NamedTuple):
    """A part of the time asked about, and the table that has its sums. Seconds since 1970."""

    table: Table
    since_s: int
    until_s: int


def kind_of(question: Question) -> str:
    """Which rows answer it. Raises BadRequest: none do."""
    asked = {*question.by, *(only.dimension for only in question.only)}
    kinds = {each if each == "team" or each.startswith(METADATA) else "subject" for each in asked if _is_who(each)}
    if question.subjects is not None:
        kinds.add("subject")
    if len(kinds) > 1:
        whose = " for what is not everybody's" if question.subjects is not None else ""
        raise BadRequest(f"sums by {' and '.join(sorted(kinds))} are not kept together{whose}; ask for one of them")
    return kinds.pop() if kinds else "all"


def settled(question: Question, now: datetime) -> Question:
    """With a step that can be answered with: a whole number of minutes, hours or days, and not too many of them."""
    if question.step_s is None:
        return question
    span_s = (question.until - question.since).total_seconds()
    step_s = max(question.step_s, int(span_s / MOST_STEPS), _MINUTE)
    if question.since < now - MINUTES_KEPT:
        step_s = max(step_s, _HOUR)
    length_s = next(length for _, length in LEVELS if step_s >= length)
    return msgspec.structs.replace(question, step_s=_up(step_s, length_s))


def pieces(question: Question, now: datetime, levels: Sequence[tuple[Table, int]] = LEVELS) -> list[Piece]:
    """Whole days from the table of days, the rest from those of hours and of minutes; each moment is in one of them.

    Where minutes are no longer kept, it is whole hours. With a step, one that is `settled`, all is from one table.
    """
    since_s, until_s = int(question.since.timestamp()), -int(-question.until.timestamp() // 1)
    until_s = max(since_s, min(until_s, int(now.timestamp()) + _DAY))
    if question.step_s is not None:
        table, length_s = next(level for level in levels if question.step_s % level[1] == 0)
        return [Piece(table, _down(since_s, question.step_s), _up(until_s, length_s))]
    minutes_from_s = int((now - MINUTES_KEPT).timestamp())
    since_s = _down(since_s, _MINUTE if since_s >= minutes_from_s else _HOUR)
    until_s = _up(until_s, _MINUTE if until_s >= minutes_from_s else _HOUR)
    return _cover(since_s, until_s, levels)


def _cover(since_s: int, until_s: int, levels: Sequence[tuple[Table, int]]) -> list[Piece]:
    if since_s >= until_s or not levels:
        return []
    (table, length_s), *rest = levels
    begin, end = _up(since_s, length_s), _down(until_s, length_s)
    if begin >= end:
        return _cover(since_s, until_s, rest)
    return [*_cover(since_s, begin, rest), Piece(table, begin, end), *_cover(end, until_s, rest)]


def sums_query(question: Question, piece: Piece) -> Select[Any]:
    """Answers with the groups, the step, and sums of `COUNTS` and of the bins asked for."""
    kind = kind_of(question)
    table = piece.table
    columns = [_column(table, each) for each in question.by]
    step = None
    if question.step_s is not None:
        # Not a parameter: PostgreSQL would take it for another one where it is grouped by.
        step = table.c.at - table.c.at % literal_column(str(question.step_s))
    bins = [name for scale in question.scales for name in scale.columns]
    sums = [func.sum(table.c[name]) for name in (*_counts(question), *bins)]
    query = select(*columns, literal_column("0") if step is None else step, *sums)
    query = query.where(table.c.kind == kind, table.c.at >= piece.since_s, table.c.at < piece.until_s)
    if question.subjects is not None:
        query = query.where(table.c.who.in_(sorted(question.subjects)))
    for only in question.only:
        fits = _fits(_column(table, only.dimension), only)
        query = query.where(~fits if only.is_not else fits)
    groups = [*columns, *([step] if step is not None else [])]
    return query.group_by(*groups) if groups else query


def summed(question: Question, rows: Iterable[Sequence[Any]]) -> list[Sum]:
    """The rows of all pieces, each group once; in the order of time, then of cost."""
    width = len(question.by)
    sums: dict[tuple[tuple[str, ...], int], list[int]] = {}
    for row in rows:
        group = tuple(_shown(name, value) for name, value in zip(question.by, row[:width], strict=True))
        counts = [int(value or 0) for value in row[width + 1 :]]
        key = group, int(row[width])
        before = sums.get(key)
        sums[key] = counts if before is None else [*map(sum, zip(before, counts, strict=True))]
    found = [_sum(question, group, at, counts) for (group, at), counts in sums.items()]
    return sorted(found, key=lambda each: (each.at or 0, -each.cost, -each.requests, each.group))


def _sum(question: Question, group: tuple[str, ...], at: int, counts: Sequence[int]) -> Sum:
    names = _counts(question)
    named = dict.fromkeys(COUNTS, 0) | dict(zip(names, counts, strict=False))
    usage = msgspec.convert({name: named.pop(name) for name in AMOUNTS}, Usage)
    bins, begin = {}, len(names)
    for scale in question.scales:
        bins[scale.name] = tuple(counts[begin : begin + scale.bins])
        begin += scale.bins
    return Sum(group, at if question.step_s is not None else None, usage=usage, bins=bins, **named)


def _counts(question: Question) -> tuple[str, ...]:
    """Always with those that groups are sorted by."""
    return tuple(name for name in COUNTS if not question.counts or name in (*question.counts, "requests", "cost"))


def _is_who(dimension: str) -> bool:
    return dimension in ("subject", "team", "token") or dimension.startswith(METADATA)


def _column(table: Table, dimension: str) -> Any:
    """Raises BadRequest: there is no such dimension."""
    if dimension.startswith(METADATA):
        return table.c.who
    if dimension not in DIMENSIONS:
        known = ", ".join((*DIMENSIONS, f"{METADATA}<key>"))
        raise BadRequest(f"requests are not summed up by {dimension[:100]!r}, but by: {known}")
    return table.c[DIMENSIONS[dimension]]


def _fits(column: Any, only: Only) -> Any:
    if only.dimension == "account":
        return or_(*(func.substr(column, 1, len(value) + 1) == f"{value}/" for value in only.values))
    begins = [value[:-1] for value in only.values if value.endswith("*")]
    values = [_value(only.dimension, value) for value in only.values if not value.endswith("*")]
    return or_(column.in_(values), *(func.substr(column, 1, len(text)) == text for text in begins))


def _value(dimension: str, value: str) -> str | int:
    """As the column has it. Raises BadRequest: it cannot be one of it."""
    if dimension == "status":
        if not value.isdecimal() or len(value) > 4:
            raise BadRequest("a status is a number")
        return int(value)
    if "\0" in value:
        raise BadRequest(f"{dimension[:100]}: a value holds the character NUL")
    return value.removeprefix("team:") if dimension == "team" else value


def _shown(dimension: str, value: Any) -> str:
    """Models of one account are in rows of their own."""
    return str(value).partition("/")[0] if dimension == "account" else str(value)


def _down(at_s: int, length_s: int) -> int:
    return at_s - at_s % length_s


def _up(at_s: int, length_s: int) -> int:
    return at_s + -at_s % length_s

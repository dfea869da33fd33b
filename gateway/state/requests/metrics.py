"""What requests came to: questions, and their answers from the sums of minutes, hours and days."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Select, Table, column, desc, func, literal_column, or_, select, tuple_, union_all

from gateway.contract.usage import AMOUNTS, Usage
from gateway.errors import BadRequest
from gateway.state.requests.asked import METADATA, Only, Question, Sum
from gateway.state.requests.folds import DAY, FOLDS_OF, HOUR, MINUTE, Fold, Gap, Piece, Spans, cover, down, up
from gateway.state.requests.tables import COUNTS, MINUTES

MINUTES_KEPT = timedelta(hours=47)
"""One less than they are: what is asked for now must not go while it is looked for."""
MOST_STEPS = 1500
LENGTHS_S = (DAY, HOUR, MINUTE)
"""A step is a whole number of the longest of them that it is not shorter than."""

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

FEW = 32
"""So many moments are named one by one: then, what is asked of one person is looked up for each."""
FEW_SUMS = 8
"""So many columns are added up for all groups, though few of those are asked for."""
SORTED_BY = ("cost", "requests")
OF_MODELS = frozenset({"model", "resolved_model", "account"})


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
    step_s = max(question.step_s, int(span_s / MOST_STEPS), MINUTE)
    if question.since < now - MINUTES_KEPT:
        step_s = max(step_s, HOUR)
    length_s = next(length_s for length_s in LENGTHS_S if step_s >= length_s)
    return msgspec.structs.replace(question, step_s=up(step_s, length_s))


def span_of(question: Question, now: datetime) -> Gap:
    """The time that is answered for: whole minutes, or hours where minutes are no longer kept, or whole steps. What is
    asked until now is answered until the end of the day: there is nothing after now, and the day has its sum."""
    since_s, until_s = int(question.since.timestamp()), -int(-question.until.timestamp() // 1)
    now_s = int(now.timestamp())
    until_s = max(since_s, min(until_s, now_s + DAY))
    if question.step_s is not None:
        return down(since_s, question.step_s), up(
            until_s, next(length_s for length_s in LENGTHS_S if question.step_s % length_s == 0)
        )
    minutes_from_s = int((now - MINUTES_KEPT).timestamp())
    since_s = down(since_s, MINUTE if since_s >= minutes_from_s else HOUR)
    until_s = up(until_s, MINUTE if until_s >= minutes_from_s else HOUR)
    return since_s, up(until_s, DAY) if until_s > now_s else until_s


def pieces(question: Question, gap: Gap, folded: Spans) -> list[Piece]:
    """Of the time as from `span_of`."""
    folds: Iterable[Fold] = FOLDS_OF[fold_of(question)]
    if question.step_s is not None:
        folds = [fold for fold in folds if question.step_s % fold.length_s == 0]
    return cover(gap, folds, [(MINUTES, MINUTE)], folded)


def fold_of(question: Question) -> str:
    """The name of the fold that has the fewest rows that answer it."""
    dimensions = {*question.by, *(only.dimension for only in question.only)}
    return "full" if OF_MODELS & dimensions else "who"


class SumsQuery:
    """The SQL of one question. Of the many columns that are added up, only the names are put together: to build each of
    them, for each piece, would take longer than to answer.

    Raises:
        BadRequest: that is not kept.
    """

    def __init__(self, question: Question, *, is_sqlite: bool) -> None:
        self.question = question
        self.kind = kind_of(question)
        self.is_sqlite = is_sqlite
        self.counts = _counts(question)
        self.bins = tuple(name for scale in question.scales for name in scale.columns)
        self.groups = tuple(f"by_{number}" for number in range(len(question.by)))

    def over(self, pieces: Sequence[Piece]) -> Select[Any]:
        """Answers with the groups, the step, and sums of `counts` and `bins`."""
        names = (*self.counts, *self.bins)
        if self.question.most is None or not self.groups or len(names) <= FEW_SUMS:
            return self._grouped(pieces, names)
        # Which groups cost most is found by two columns, and the many others are added up for those alone.
        top = self._grouped(pieces, SORTED_BY).cte("top")
        return self._grouped(pieces, names, select(*(top.c[name] for name in self.groups)))

    def _grouped(self, pieces: Sequence[Piece], names: Sequence[str], some: Select[Any] | None = None) -> Select[Any]:
        """Each group once, and `some` alone if they are known: of others, rows are passed over before they are read."""
        groups: list[Any] = [column(name) for name in self.groups]
        keys = [*groups, *([column("step")] if self.question.step_s is not None else [])]
        step: Any = column("step") if self.question.step_s is not None else literal_column("0").label("step")
        query = select(*groups, step, *_sums_of(names)).select_from(self._rows(pieces, names, some))
        query = query.group_by(*keys) if keys else query
        if self.question.most is None or not groups:
            return query
        return query.order_by(*map(desc, SORTED_BY), *groups).limit(self.question.most)

    def _rows(self, pieces: Sequence[Piece], names: Sequence[str], some: Select[Any] | None) -> Any:
        """Those of all pieces."""
        return union_all(*(self._rows_of(piece, names, some) for piece in pieces)).subquery("found")

    def _rows_of(self, piece: Piece, names: Sequence[str], some: Select[Any] | None) -> Select[Any]:
        question, table = self.question, piece.table
        groups = [_grouped_by(table, each, self.is_sqlite) for each in question.by]
        at = "0" if question.step_s is None else f"at - at % {question.step_s}"
        labelled = [each.label(name) for each, name in zip(groups, self.groups, strict=True)]
        query = select(*labelled, literal_column(at).label("step"), literal_column(", ".join(names)))
        query = query.select_from(table).where(table.c.kind == self.kind, *_at(piece))
        if some is not None:
            query = query.where(tuple_(*groups).in_(some))
        if question.subjects is not None:
            query = query.where(table.c.who.in_(sorted(question.subjects)))
        for only in question.only:
            fits = _fits(_column(table, only.dimension), only)
            query = query.where(~fits if only.is_not else fits)
        return query


def _at(piece: Piece) -> Iterator[Any]:
    c = piece.table.c
    if piece.fold is not None:
        yield c.fold == piece.fold
        yield c.length_s == piece.length_s
    moments = range(piece.since_s, piece.until_s, piece.length_s)
    if len(moments) <= FEW:
        yield c.at.in_(moments)
    else:
        yield c.at >= piece.since_s
        yield c.at < piece.until_s


def _sums_of(names: Iterable[str]) -> list[Any]:
    """As the integers that they are: PostgreSQL's sums of integers are of any size, and Python reads those slowly."""
    return [literal_column(f"CAST(sum({name}) AS BIGINT)").label(name) for name in names]


def _grouped_by(table: Table, dimension: str, is_sqlite: bool) -> Any:
    column = _column(table, dimension)
    if dimension != "account":
        return column
    return func.substr(column, 1, func.instr(column + "/", "/") - 1) if is_sqlite else func.split_part(column, "/", 1)


def summed(question: Question, rows: Iterable[Sequence[Any]]) -> list[Sum]:
    """The rows of `SumsQuery`, in the order of time, then of cost. One without groups has nulls if there is nothing."""
    width = len(question.by)
    found = [
        _sum(question, tuple(map(str, row[:width])), int(row[width]), [value or 0 for value in row[width + 1 :]])
        for row in rows
    ]
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
    return tuple(name for name in COUNTS if not question.counts or name in (*question.counts, *SORTED_BY))


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

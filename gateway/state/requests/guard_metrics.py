"""What guardrails said: questions, and their answers from the sums of minutes, hours and days."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Select, func, literal_column, or_, select

from gateway.errors import BadRequest
from gateway.state.requests.asked import Only, Question
from gateway.state.requests.folds import Piece, Spans, cover
from gateway.state.requests.guard_rows import GUARD_DAYS, GUARD_HOURS, GUARD_MINUTES
from gateway.state.requests.histogram import LATENCY
from gateway.state.requests.metrics import span_of

if TYPE_CHECKING:
    from gateway.state.requests.store import RecordStore

LEVELS = ((GUARD_DAYS, 86400), (GUARD_HOURS, 3600), (GUARD_MINUTES, 60))
DIMENSIONS: Mapping[str, str] = {
    "guardrail": "guardrail",
    "rule": "rule",
    "hook": "hook",
    "result": "result",
    "model": "model",
    "subject": "who",
    "team": "who",
}
"""What sums can be grouped and filtered by -> the column."""


class GuardSum(msgspec.Struct, frozen=True):
    """What a group came to. `bins`: the counts of `LATENCY`, if they were asked for. `at`: begin of the step."""

    group: tuple[str, ...]
    at: int | None
    checks: int
    latency_us: int
    bins: tuple[int, ...] = ()


async def guard_sums(records: "RecordStore", question: Question, now: datetime) -> list[GuardSum]:
    """By group, of a question that is `settled`. Raises BadRequest: that is not kept."""
    found: list[Sequence[Any]] = []
    levels = [level for level in LEVELS if question.step_s is None or question.step_s % level[1] == 0]
    async with records.connection() as connection:
        for piece in cover(span_of(question, now), (), levels, Spans()):
            found += (await connection.execute(_query(question, piece))).all()
    return _summed(question, found)


def _query(question: Question, piece: Piece) -> Select[Any]:
    table = piece.table
    columns = [table.c[DIMENSIONS[each]] for each in question.by]
    step = None
    if question.step_s is not None:
        # Not a parameter: PostgreSQL would take it for another one where it is grouped by.
        step = table.c.at - table.c.at % literal_column(str(question.step_s))
    names = ("checks", "latency_us", *(LATENCY.columns if question.scales else ()))
    query = select(
        *columns, literal_column("0") if step is None else step, *(func.sum(table.c[name]) for name in names)
    )
    kind = kind_of(question)
    query = query.where(table.c.kind == kind, table.c.at >= piece.since_s, table.c.at < piece.until_s)
    if question.subjects is not None:
        query = query.where(table.c.who.in_(sorted(question.subjects)))
    for only in question.only:
        fits = _fits(table.c[DIMENSIONS[only.dimension]], only)
        query = query.where(~fits if only.is_not else fits)
    groups = [*columns, *([step] if step is not None else [])]
    return query.group_by(*groups) if groups else query


def kind_of(question: Question) -> str:
    """Which rows answer it. Raises BadRequest: none do."""
    kinds = {each for each in (*question.by, *(only.dimension for only in question.only)) if DIMENSIONS[each] == "who"}
    if question.subjects is not None:
        kinds.add("subject")
    if len(kinds) > 1:
        raise BadRequest("sums by subject and team are not kept together; ask for one of them")
    return kinds.pop() if kinds else "all"


def _fits(column: Any, only: Only) -> Any:
    begins = [value[:-1] for value in only.values if value.endswith("*")]
    values = [value for value in only.values if not value.endswith("*")]
    if any("\0" in value for value in only.values):
        raise BadRequest(f"{only.dimension}: a value holds the character NUL")
    return or_(column.in_(values), *(func.substr(column, 1, len(text)) == text for text in begins))


def _summed(question: Question, rows: Iterable[Sequence[Any]]) -> list[GuardSum]:
    """The rows of all pieces, each group once; in the order of time, then of how many they are."""
    width = len(question.by)
    sums: dict[tuple[tuple[str, ...], int], list[int]] = {}
    for row in rows:
        counts = [int(value or 0) for value in row[width + 1 :]]
        key = tuple(row[:width]), int(row[width])
        before = sums.get(key)
        sums[key] = counts if before is None else [*map(sum, zip(before, counts, strict=True))]
    found = [
        GuardSum(group, at if question.step_s is not None else None, counts[0], counts[1], tuple(counts[2:]))
        for (group, at), counts in sums.items()
    ]
    return sorted(found, key=lambda each: (each.at or 0, -each.checks, each.group))

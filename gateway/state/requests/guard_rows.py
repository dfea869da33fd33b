"""What guardrails said of requests, as rows: sums of minutes, hours and days, as there are of requests.

A request that no guardrail looked at has no part in it, and is passed over with one look.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from sqlalchemy import BigInteger, Column, Index, Table, Text

from gateway.contract import Record, Span
from gateway.state.database.charging import Row, fitting
from gateway.state.database.inserting import growing
from gateway.state.requests.histogram import LATENCY
from gateway.state.requests.rows import Names
from gateway.state.requests.tables import TABLES

KEY = ("kind", "at", "who", "guardrail", "rule", "hook", "result", "model")
SUMMED = ("checks", "latency_us", *LATENCY.columns)
VERDICTS = {"passed": "pass", "flagged": "flag", "mutated": "mutate", "failed": "block"}
"""What a guardrail said, and what that counts as; whatever else it was, it could not tell."""
ERROR = "error"


def _sums(name: str) -> Table:
    texts = ("who", "guardrail", "rule", "hook", "result", "model")
    return Table(
        name,
        TABLES,
        Column("kind", Text, primary_key=True),
        Column("at", BigInteger, primary_key=True, autoincrement=False),
        *(Column(column, Text, primary_key=True) for column in texts),
        *(Column(column, BigInteger, nullable=False) for column in SUMMED),
        Index(None, "kind", "who", "at"),
        sqlite_with_rowid=False,
        info={"postgresql_with": {"fillfactor": 50}},
    )


GUARD_MINUTES, GUARD_HOURS, GUARD_DAYS = (_sums(f"guardrail_{each}") for each in ("minutes", "hours", "days"))
"""Of the kinds `all`, `subject` and `team`, as the sums of requests are. `rule` is empty where the caller chose the
guardrail, `model` is the one that answered, or else the one that was asked for."""
GUARD_LEVELS = ((GUARD_MINUTES, 60), (GUARD_HOURS, 3600), (GUARD_DAYS, 86400))


class Adds(Protocol):
    """A database, within the transaction that writes the records."""

    def add(self, table: Table, names: tuple[str, ...], rows: Sequence[Row], end: str) -> None: ...

    def pause(self) -> None: ...


Batch = Sequence[tuple[Table, list[Row]]]


def guard_batch(records: Sequence[Record], names: Names, minutes_from_s: int) -> Batch:
    """For a thread, if there are many.

    Args:
        records: those that are new.
        minutes_from_s: sums of earlier minutes are not kept; in seconds since 1970.
    """
    guarded = [record for record in records if record.spans]
    minutes = _minutes(guarded, names) if guarded else {}
    found: list[tuple[Table, list[Row]]] = []
    for table, length_s in GUARD_LEVELS if minutes else ():
        sums: dict[Row, list[int]] = {}
        for (kind, at, *rest), counts in minutes.items():
            if length_s > 60 or at >= minutes_from_s:
                _add(sums.setdefault((kind, at - at % length_s, *rest), [0] * len(SUMMED)), counts)
        found.append((table, [(*key, *counts) for key, counts in sorted(sums.items())]))
    return found


def insert_guards(database: Adds, batch: Batch) -> None:
    for table, rows in batch:
        if rows:
            database.pause()
            database.add(table, (*KEY, *SUMMED), rows, growing(table, SUMMED))


def _minutes(records: Iterable[Record], names: Names) -> dict[Row, list[int]]:
    sums: dict[Row, list[int]] = {}
    for record in records:
        at_s = int(record.timestamp.timestamp())
        day = at_s // 86400
        model = names.bounded("resolved_model", record.resolved_model or record.model, day)
        groups = [("all", ""), ("subject", fitting(record.subject or "")), *_teams(record)]
        for span in record.spans:
            if span.kind == "guardrail":
                key = _key(span, names, day)
                for kind, who in groups:
                    counts = sums.setdefault((kind, at_s - at_s % 60, who, *key, model), [0] * len(SUMMED))
                    counts[0] += 1
                    counts[1] += int(span.duration_ms * 1000)
                    counts[2 + LATENCY.bin_of(span.duration_ms)] += 1
    return sums


def _key(span: Span, names: Names, day: int) -> tuple[str, ...]:
    result = VERDICTS.get(span.result or "", ERROR)
    guardrail, rule = names.bounded("guardrail", span.name, day), names.bounded("rule", span.rule, day)
    return guardrail, rule, span.hook or "", result


def _teams(record: Record) -> Iterator[tuple[str, str]]:
    return (("team", fitting(team)) for team in record.teams)


def _add(sums: list[int], counts: Sequence[int]) -> None:
    for column, amount in enumerate(counts):
        sums[column] += amount

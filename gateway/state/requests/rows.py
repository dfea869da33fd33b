"""Records as rows: each by itself, and what many of them come to."""

import time
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import RowMapping

from gateway.contract import Outcome, Record, SideCall
from gateway.contract.usage import AMOUNTS, Usage
from gateway.logs import traceback_text
from gateway.state.database.charging import Row, fitting
from gateway.state.database.inserting import PAUSE_S
from gateway.state.requests.histogram import FIRST_TOKEN, LATENCY, PER_TOKEN, SCALES
from gateway.state.requests.tables import BINS, COUNTS, DAYS, HOURS, KEY, MINUTES

MAX_NAMES = 1000
OTHERS = "(others)"
AT_ONCE = 50
"""Records between two pauses."""

LEVELS = ((MINUTES, 60), (HOURS, 3600), (DAYS, 86400))
"""Each table of sums, and how many seconds a row of it is about."""

Key = tuple[Any, ...]
"""The columns of `KEY`, without `at`."""

log = structlog.get_logger(__name__)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)
_amounts = attrgetter(*AMOUNTS)
_AMOUNT_AT = COUNTS.index(AMOUNTS[0])
_REQUESTS, _FAILURES, _UNPRICED, _COST = range(4)
_TIMES_AT = _AMOUNT_AT + len(AMOUNTS)
_BINS_AT = {
    scale.name: len(COUNTS) + sum(other.bins for other in SCALES[:number]) for number, scale in enumerate(SCALES)
}
_WIDTH = len(COUNTS) + len(BINS)
_GOOD = (Outcome.COMPLETE, Outcome.CLIENT_LEFT)


class Batch(NamedTuple):
    """All rows of some records; `sums`: for each of `LEVELS`."""

    requests: list[Row]
    teams: list[Row]
    sums: list[list[Row]]


def batch_of(
    records: Sequence[Record], seq: int, names: "Names", metadata: Sequence[str], minutes_from_s: int
) -> Batch:
    """For a thread: now and then it lets the event loop do something else.

    Args:
        seq: of the record that was written last.
        metadata: the keys by whose values sums are kept.
        minutes_from_s: sums of earlier minutes are not kept; in seconds since 1970.
    """
    rows, teams, sums = list[Row](), list[Row](), Sums(names, metadata)
    for number, record in enumerate(records, 1):
        try:
            rows.append(request_row(record, seq + len(rows) + 1))
        except ValueError:  # half of a surrogate pair, which no JSON has
            log.error("record cannot be stored", request_id=record.request_id, traceback=traceback_text())
            continue
        teams += [(fitting(team), record.request_id) for team in record.teams]
        sums.add(record)
        if number % AT_ONCE == 0:
            time.sleep(PAUSE_S)
    begins = {MINUTES: minutes_from_s}
    return Batch(rows, sorted(teams), [sums.rows(length_s, begins.get(table, 0)) for table, length_s in LEVELS])


def request_row(record: Record, seq: int) -> Row:
    """In the order of the table's columns. Raises ValueError: it cannot be written as JSON."""
    usage = record.usage
    return (
        record.request_id,
        seq,
        _fit(record.subject),
        _fit(record.token_id),
        _fit(record.model),
        _fit(record.resolved_model),
        record.request_type,
        record.status,
        record.outcome,
        record.error_code,
        record.stream,
        record.duration_ms,
        record.time_to_first_token_ms,
        usage.input_tokens if usage is not None else None,
        usage.output_tokens if usage is not None else None,
        record.cost_nanousd,
        _encoder.encode(record).decode(),
    )


class Names:
    """Callers choose some of what sums are kept by. Of each such thing, so many different ones count by themselves in a
    day, and all others together: else somebody who makes up names would fill the disk."""

    def __init__(self, max_names: int = MAX_NAMES) -> None:
        self.max_names = max_names
        self._day = 0
        self._known: dict[str, set[str]] = {}

    def bounded(self, what: str, name: str | None, day: int) -> str:
        if not name:
            return ""
        if day > self._day:
            self._day = day
            self._known.clear()
        known = self._known.setdefault(what, set())
        if name not in known:
            if len(known) >= self.max_names:
                return OTHERS
            known.add(name)
        return fitting(name)


class Sums:
    """What a batch of records comes to.

    Args:
        metadata: the keys by whose values sums are kept.
    """

    def __init__(self, names: Names, metadata: Sequence[str] = ()) -> None:
        self._names = names
        self._metadata = tuple(metadata)
        self._minutes: dict[tuple[int, Key], list[int]] = {}

    def add(self, record: Record) -> None:
        at_s = int(record.timestamp.timestamp())
        minute, day = at_s - at_s % 60, at_s // 86400
        names = self._names
        model = names.bounded("model", record.model, day)
        resolved = names.bounded("resolved_model", record.resolved_model, day)
        kind, status = record.request_type or "", record.status
        counted = _counted(record)
        sides = [(names.bounded("resolved_model", side.resolved_model, day), side) for side in record.side_calls]
        for group, who, token_id in self._groups(record, day):
            key = (group, who, token_id, model, resolved, kind, status)
            _add(self._minutes.setdefault((minute, key), [0] * _WIDTH), counted)
            for judge, side in sides:
                key = (group, who, token_id, model, judge, kind, 200)
                _add(self._minutes.setdefault((minute, key), [0] * _WIDTH), _used(side))

    def rows(self, length_s: int, since_s: int = 0) -> list[Row]:
        """In the order of the columns of a table, for spans of that length: a minute, or several of them. Sorted, so
        that all who write lock rows in the same order."""
        sums: dict[tuple[int, Key], list[int]] = {}
        for (minute, key), counts in self._minutes.items():
            if minute < since_s:
                continue
            at = minute - minute % length_s
            before = sums.get((at, key))
            sums[at, key] = counts if before is None else [*map(sum, zip(before, counts, strict=True))]
        return sorted((key[0], at, *key[1:], *counts) for (at, key), counts in sums.items())

    def _groups(self, record: Record, day: int) -> Iterator[tuple[str, str, str]]:
        """Kind, who, and the token."""
        yield "all", "", ""
        yield "subject", _fit(record.subject) or "", _fit(record.token_id) or ""
        for team in record.teams:
            yield "team", fitting(team), ""
        for name in self._metadata:
            if name in record.metadata:
                what = f"metadata.{name}"
                yield what, self._names.bounded(what, record.metadata[name], day), ""


def _counted(record: Record) -> list[tuple[int, int]]:
    """(column, amount) of one request, without those that are 0."""
    is_failure = record.outcome not in _GOOD or (record.status >= 400 and record.outcome is Outcome.COMPLETE)
    found = [(_REQUESTS, 1)]
    if is_failure:
        found.append((_FAILURES, 1))
    _add_usage(found, record.usage, record.cost_nanousd)
    times = (
        (LATENCY, record.duration_ms),
        (FIRST_TOKEN, record.time_to_first_token_ms if record.stream else None),
        (PER_TOKEN, record.time_per_output_token_ms),
    )
    for number, (scale, ms) in enumerate(times):
        if ms is not None:
            found += ((_TIMES_AT + number, int(ms * 1000)), (_BINS_AT[scale.name] + scale.bin_of(ms), 1))
    return found


def _used(side: SideCall) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    _add_usage(found, side.usage, side.cost_nanousd)
    return found


def _add_usage(found: list[tuple[int, int]], usage: Usage | None, cost: int | None) -> None:
    if usage is None:
        return
    if cost is None:
        found.append((_UNPRICED, 1))
    elif cost:
        found.append((_COST, cost))
    found += [(_AMOUNT_AT + number, amount) for number, amount in enumerate(_amounts(usage)) if amount]


def _add(sums: list[int], counted: Iterable[tuple[int, int]]) -> None:
    for column, amount in counted:
        sums[column] += amount


def _fit(text: str | None) -> str | None:
    return fitting(text) if text is not None else None


def sum_columns() -> tuple[str, ...]:
    """Of a table of sums, in the order of the rows of `Sums.rows`."""
    return (*KEY, *COUNTS, *BINS)


def shown(row: RowMapping) -> Record:
    return _decoder.decode(row["record"])

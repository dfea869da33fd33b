"""Records as rows: each by itself, and what many of them come to."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add, attrgetter
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import RowMapping

from gateway.contract import Outcome, Record
from gateway.contract.usage import AMOUNTS, Usage
from gateway.logs import traceback_text
from gateway.state.database.charging import Row, fitting
from gateway.state.database.inserting import PAUSE_S
from gateway.state.requests.histogram import FIRST_TOKEN, LATENCY, PER_TOKEN, SCALES
from gateway.state.requests.tables import BINS, COUNTS, KEY

MAX_NAMES = 1000
OTHERS = "(others)"
AT_ONCE = 100
"""Records between two pauses."""

Key = tuple[Any, ...]
"""The columns of `KEY`, without `at`."""
Minutes = dict[tuple[int, Key], list[int]]
"""(begin of a minute in seconds since 1970, key) -> the columns of `COUNTS` and `BINS`."""

log = structlog.get_logger(__name__)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)
_amounts = attrgetter(*AMOUNTS)
_AMOUNT_AT = COUNTS.index(AMOUNTS[0])
_REQUESTS, _FAILURES, _UNPRICED, _COST = range(4)
_TIMES_AT = _AMOUNT_AT + len(AMOUNTS)
_SCALES = [
    (
        _TIMES_AT + number,
        len(COUNTS) + sum(other.bins for other in SCALES[:number]),
        scale.ends_ms,
        attrgetter(field),
    )
    for number, (scale, field) in enumerate(
        ((LATENCY, "duration_ms"), (FIRST_TOKEN, "time_to_first_token_ms"), (PER_TOKEN, "time_per_output_token_ms"))
    )
]
_UNSTREAMED = [_SCALES[0], _SCALES[2]]
"""Column of the times, of the first bin, where bins end, and what is counted; the first token is one of streams."""
_WIDTH = len(COUNTS) + len(BINS)
_COMPLETE, _CLIENT_LEFT = Outcome.COMPLETE, Outcome.CLIENT_LEFT
_in_common = attrgetter("subject", "token_id", "teams", "model", "resolved_model", "request_type", "status", "stream")


class Batch(NamedTuple):
    """All rows of some records; `hours`: the sums of those for which there are no minutes any more."""

    requests: list[Row]
    teams: list[Row]
    minutes: list[Row]
    hours: list[Row]


def batch_of(
    records: Sequence[Record], seq: int, names: "Names", metadata: Sequence[str], minutes_from_s: int
) -> Batch:
    """For a thread: now and then it lets the event loop do something else.

    Args:
        seq: of the record that was written last.
        metadata: the keys by whose values sums are kept.
        minutes_from_s: of earlier requests there are sums of hours alone; a whole hour, in seconds since 1970.
    """
    rows, teams, stored = list[Row](), list[Row](), list[Record]()
    for number, record in enumerate(records, 1):
        try:
            rows.append(request_row(record, seq + len(rows) + 1))
        except ValueError:  # half of a surrogate pair, which no JSON has
            log.error("record cannot be stored", request_id=record.request_id, traceback=traceback_text())
            continue
        teams += [(fitting(team), record.request_id) for team in record.teams]
        stored.append(record)
        if number % AT_ONCE == 0:
            time.sleep(PAUSE_S)
    minutes = minutes_of(stored, names, metadata)
    recent = sum_rows(minutes, 60, since_s=minutes_from_s)
    return Batch(rows, sorted(teams), recent, sum_rows(minutes, 3600, until_s=minutes_from_s))


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


def minutes_of(records: Iterable[Record], names: Names, metadata: Sequence[str]) -> Minutes:
    """What they come to, by minute. Many of a batch have all in common by which sums are kept, so those are counted
    together, and only then for each of the rows that they are in.

    Args:
        metadata: the keys by whose values sums are kept.
    """
    minutes: Minutes = {}
    for number, alike in enumerate(_alike(records, metadata).values(), 1):
        if number % AT_ONCE == 0:
            time.sleep(PAUSE_S)
        first = alike[0]
        at_s = int(first.timestamp.timestamp())
        minute, day = at_s - at_s % 60, at_s // 86400
        model = names.bounded("model", first.model, day)
        resolved = names.bounded("resolved_model", first.resolved_model, day)
        kind = first.request_type or ""
        added = [((model, resolved, kind, first.status), _counted(alike))]
        for side in [side for record in alike for side in record.side_calls]:
            judge = names.bounded("resolved_model", side.resolved_model, day)
            added.append(((model, judge, kind, 200), _used([(side.usage, side.cost_nanousd)])))
        for who in _groups(first, names, metadata, day):
            for what, counted in added:
                key = (minute, (*who, *what))
                if (sums := minutes.get(key)) is None:
                    sums = minutes[key] = [0] * _WIDTH
                for column, amount in counted:
                    sums[column] += amount
    return minutes


def sum_rows(minutes: Minutes, length_s: int, *, since_s: int = 0, until_s: int | None = None) -> list[Row]:
    """In the order of the columns of a table, for spans of that length: a minute, or several of them. Sorted, so that
    all who write lock rows in the same order."""
    sums: Minutes = {}
    for (minute, key), counts in minutes.items():
        if minute < since_s or (until_s is not None and minute >= until_s):
            continue
        at = minute - minute % length_s
        before = sums.get((at, key))
        sums[at, key] = counts if before is None else [*map(add, before, counts)]
    return sorted((key[0], at, *key[1:], *counts) for (at, key), counts in sums.items())


def _alike(records: Iterable[Record], metadata: Sequence[str]) -> Mapping[Any, list[Record]]:
    alike: dict[Any, list[Record]] = {}
    for record in records:
        minute = int(record.timestamp.timestamp()) // 60
        key = (minute, _in_common(record), *map(record.metadata.get, metadata))
        if (those := alike.get(key)) is None:
            alike[key] = [record]
        else:
            those.append(record)
    return alike


def _groups(record: Record, names: Names, metadata: Sequence[str], day: int) -> Iterator[tuple[str, str, str]]:
    """Kind, who, and the token."""
    yield "all", "", ""
    yield "subject", _fit(record.subject) or "", _fit(record.token_id) or ""
    for team in record.teams:
        yield "team", fitting(team), ""
    for name in metadata:
        if name in record.metadata:
            what = f"metadata.{name}"
            yield what, names.bounded(what, record.metadata[name], day), ""


def _counted(alike: Sequence[Record]) -> list[tuple[int, int]]:
    """(column, amount) of requests that are alike, without those that are 0; a column may be there twice."""
    first, many, failures = alike[0], len(alike), 0
    is_error = first.status >= 400
    for record in alike:
        if (outcome := record.outcome) is not _CLIENT_LEFT and (is_error or outcome is not _COMPLETE):
            failures += 1
    found = [(_REQUESTS, many)]
    if failures:
        found.append((_FAILURES, failures))
    found += _used([(record.usage, record.cost_nanousd) for record in alike if record.usage is not None])
    for column, bins, ends_ms, ms_of in _SCALES if first.stream else _UNSTREAMED:
        if known := [ms for ms in map(ms_of, alike) if ms is not None]:
            found.append((column, round(sum(known) * 1000)))
            found += [(bins + bisect_left(ends_ms, ms), 1) for ms in known]
    return found


def _used(used: Sequence[tuple[Usage, int | None]]) -> list[tuple[int, int]]:
    """Of usages, each with what it cost; None: nobody knows."""
    if not used:
        return []
    costs = [cost for _, cost in used if cost is not None]
    each = [_amounts(usage) for usage, _ in used]
    amounts = each[0] if len(each) == 1 else [*map(sum, zip(*each, strict=True))]
    found = [(column, amount) for column, amount in enumerate(amounts, _AMOUNT_AT) if amount]
    if len(costs) < len(used):
        found.append((_UNPRICED, len(used) - len(costs)))
    if cost := sum(costs):
        found.append((_COST, cost))
    return found


def _fit(text: str | None) -> str | None:
    return fitting(text) if text is not None else None


def sum_columns() -> tuple[str, ...]:
    """Of a table of sums, in the order of the rows of `sum_rows`."""
    return (*KEY, *COUNTS, *BINS)


def shown(row: RowMapping) -> Record:
    return _decoder.decode(row["record"])

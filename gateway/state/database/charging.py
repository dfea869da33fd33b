"""What a batch of entries adds to which rows. No I/O."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from itertools import compress
from operator import add, attrgetter
from typing import Any

import msgspec

from gateway.contract.entry import Entry
from gateway.contract.limits import Hold
from gateway.contract.usage import AMOUNTS, Usage
from gateway.contract.windows import Span, span_of
from gateway.logs import redact_text
from gateway.state.database.ledger_rows import Alert, Alerting
from gateway.state.database.schema import LEDGER, NAME_MAX_BYTES

Row = tuple[Any, ...]
"""Of a table. Days and moments in it are text, in UTC and without a zone."""

DAY_KEY = ("day", "who", "model", "resolved_model", "is_team")
COUNTED = ("requests", "unpriced", "cost", *AMOUNTS)

_DIGEST_BYTES = 16
_AT, _SUBJECT, _MODEL, _RESOLVED_MODEL, _COST = map(
    LEDGER.c.keys().index, ("at", "subject", "model", "resolved_model", "cost")
)
_DAY_CHARS = len("2026-01-31")
_amounts: Callable[[Usage], tuple[int, ...]] = attrgetter(*AMOUNTS)
_NOTHING = Usage()
_encoder = msgspec.json.Encoder()


class Sum(msgspec.Struct):
    """What one counter gets in one of its windows."""

    hold: Hold
    span: Span
    amount: int = 0


@lru_cache(maxsize=4096)
def fitting(text: str) -> str:
    """The text, if both databases can hold and index it; else its beginning and a digest of it.

    Callers choose some of these texts, and none of them may keep a request out of the ledger.
    """
    exact = text.encode(errors="surrogatepass")
    data = text.encode(errors="replace").replace(b"\0", b"?")
    if len(data) <= NAME_MAX_BYTES and data == exact:
        return text
    digest = blake2b(exact, digest_size=_DIGEST_BYTES).hexdigest()
    return data[: NAME_MAX_BYTES - 2 * _DIGEST_BYTES - 1].decode(errors="ignore") + "#" + digest


@lru_cache(maxsize=4096)
def _told(text: str) -> str:
    """Of metadata, which may hold a key by mistake."""
    return fitting(redact_text(text))


@lru_cache(maxsize=4096)
def _teams(teams: frozenset[str]) -> str:
    return _json(sorted(map(fitting, teams)))


def moment(at: datetime) -> str:
    """As in `2026-01-31 23:59:59.000000`, in a fifth of the time that `isoformat` takes."""
    text = _encoder.encode(at.astimezone(UTC)).decode()  # "2026-01-31T23:59:59Z", in quotes, and with digits if need be
    return f"{text[1:11]} {text[12:20]}.{text[21:27] if at.microsecond else '000000'}"


def ledger_row(entry: Entry) -> Row:
    """In the order of the table's columns. The bill is made now, if there is a price."""
    bill = entry.bill
    if entry.price is not None and entry.usage is not None:
        bill = entry.price.bill(entry.usage, entry.at)
    return (
        entry.request_id,
        moment(entry.at),
        fitting(entry.subject),
        _teams(entry.teams),
        entry.token_id and fitting(entry.token_id),
        fitting(entry.model),
        entry.resolved_model and fitting(entry.resolved_model),
        _json({_told(name): _told(entry.metadata[name]) for name in entry.metadata}) if entry.metadata else "{}",
        entry.outcome,
        _json(entry.usage) if entry.usage else None,
        bill.cost if bill else None,
        fitting(bill.row) if bill else None,
        fitting(bill.version) if bill else None,
        _json(bill) if bill else None,
    )


def day_rows(counted: Sequence[tuple[Entry, Row]]) -> tuple[tuple[str, ...], list[Row]]:
    """Usage by day: columns, without those of `COUNTED` that nothing is in, and rows, in the order in which all writers
    lock them.

    Args:
        counted: entries, each with its row of the ledger.
    """
    alike: dict[Row, list[tuple[int, ...]]] = {}
    for entry, row in counted:
        key = (row[_AT][:_DAY_CHARS], row[_SUBJECT], entry.teams, row[_MODEL], row[_RESOLVED_MODEL] or "")
        cost = row[_COST]
        used = (1, int(cost is None), cost or 0, *_amounts(entry.usage or _NOTHING))
        if (those := alike.get(key)) is None:
            alike[key] = [used]
        else:
            those.append(used)
    sums: dict[Row, tuple[int, ...]] = {}
    for (day, subject, teams, *models), those in alike.items():
        counts = tuple(map(sum, zip(*those, strict=True)))
        _add(sums, (day, subject, *models, False), counts)
        for team in teams:
            _add(sums, (day, fitting(f"team:{team}"), *models, True), counts)
    is_used = [*map(any, zip(*sums.values(), strict=True))]
    rows = [(*key, *compress(counts, is_used)) for key, counts in sorted(sums.items())]
    return (*DAY_KEY, *compress(COUNTED, is_used)), rows


def _add(sums: dict[Row, tuple[int, ...]], key: Row, counts: tuple[int, ...]) -> None:
    before = sums.get(key)
    sums[key] = counts if before is None else tuple(map(add, before, counts))


def sums_of(entries: Iterable[Entry]) -> dict[tuple[str, int], Sum]:
    """(key, begin of the window) -> what is added; in the order in which all writers lock the rows.

    Raises:
        ValueError: a charge is for a window that is none of the calendar.
    """
    sums: dict[tuple[str, int], Sum] = {}
    by_minute: dict[tuple[str, int], Sum] = {}
    """The same by minutes, in which no window begins or ends, so that spans are not looked up for each request."""
    for entry in entries:
        at_s = entry.at.timestamp()
        minute = int(at_s) // 60
        for charge in entry.charges:
            hold = charge.hold
            if (total := by_minute.get((hold.key, minute))) is None:
                span = span_of(hold.window, at_s)
                total = sums.setdefault((fitting(hold.key), span.begins_s), Sum(hold, span))
                by_minute[hold.key, minute] = total
            total.hold = hold  # the last one: its limit is the newest
            total.amount += charge.amount
    return dict(sorted(sums.items()))


def total_rows(sums: Mapping[tuple[str, int], Sum]) -> list[Row]:
    """In the order of the table's columns."""
    return [
        (
            key,
            begins_s,
            total.span.ends_s,
            fitting(hold.rule),
            fitting(hold.scope),
            hold.unit,
            hold.window,
            total.amount,
        )
        for (key, begins_s), total in sums.items()
        for hold in [total.hold]
    ]


def alerts_due(
    totals: Iterable[tuple[str, int, int]],
    sums: Mapping[tuple[str, int], Sum],
    alerts_of: Callable[[Hold], Alerting | None],
) -> list[tuple[Alert, tuple[Any, ...]]]:
    """An alert, and whom to send it to, for each threshold that a total has reached by now, in the order of locks.

    A total that has reached several is told by the highest; the others have no targets.

    Args:
        totals: (key, begin of the window, amount), now that `sums` were added.
    """
    due = []
    for key, begins_s, used in sorted(totals):
        hold, span = sums[key, begins_s].hold, sums[key, begins_s].span
        alerts = alerts_of(hold) if hold.limit > 0 else None  # of nothing, there are no percentages
        reached = sorted({step for step in alerts.thresholds if used * 100 >= step * hold.limit}) if alerts else []
        for threshold in reached:
            alert = Alert(
                key=key,
                rule=fitting(hold.rule),
                scope=fitting(hold.scope),
                unit=hold.unit,
                window=hold.window,
                begins_s=begins_s,
                ends_s=span.ends_s,
                used=used,
                limit=hold.limit,
                threshold=threshold,
                mode=hold.mode,
            )
            due.append((alert, tuple(alerts.targets) if alerts and threshold == reached[-1] else ()))
    return due


def outbox_row(alert: Alert, targets: tuple[Any, ...], at: datetime) -> Row:
    """In the order of the table's columns. An alert without targets is only noted."""
    state, due_at = ("due", moment(at)) if targets else ("noted", None)
    key = (alert.key, alert.begins_s, alert.threshold)
    return (*key, _json(alert), _json(targets), state, moment(at), due_at, 0, None)


def _json(value: Any) -> str:
    return _encoder.encode(value).decode()

"""What a batch of entries adds to which rows. No I/O."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from operator import add, attrgetter
from typing import Any

import msgspec

from gateway.contract.entry import Entry
from gateway.contract.limits import Hold
from gateway.contract.usage import Usage
from gateway.contract.windows import Span, span_of
from gateway.state.database.ledger_rows import Alert, Alerting
from gateway.state.database.schema import AMOUNTS, NAME_MAX_BYTES

Row = dict[str, Any]
"""Ready to be put into JSON."""

COUNTED = ("requests", "unpriced", "cost", *AMOUNTS)

_DIGEST_BYTES = 16
_amounts: Callable[[Usage], tuple[int, ...]] = attrgetter(*AMOUNTS)
_NOTHING = Usage()


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


def ledger_row(entry: Entry) -> Row:
    """In the order of the table's columns."""
    bill = entry.bill
    return {
        "request_id": entry.request_id,
        "at": entry.at.astimezone(UTC).isoformat(" ", timespec="microseconds"),
        "subject": fitting(entry.subject),
        "teams": _json(sorted(map(fitting, entry.teams))) if entry.teams else "[]",
        "token_id": entry.token_id and fitting(entry.token_id),
        "model": fitting(entry.model),
        "resolved_model": entry.resolved_model and fitting(entry.resolved_model),
        "metadata": _json({fitting(name): fitting(entry.metadata[name]) for name in entry.metadata})
        if entry.metadata
        else "{}",
        "outcome": entry.outcome,
        "usage": _json(entry.usage) if entry.usage else None,
        "cost": bill.cost if bill else None,
        "price_row": fitting(bill.row) if bill else None,
        "price_version": fitting(bill.version) if bill else None,
        "bill": _json(bill) if bill else None,
    }


def day_rows(entries: Iterable[Entry]) -> list[Row]:
    """Usage by day, in the order in which all writers lock the rows."""
    sums: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for entry in entries:
        key = (entry.at.astimezone(UTC).date(), entry.subject, entry.teams, entry.model, entry.resolved_model or "")
        used = (1, int(entry.bill is None), entry.bill.cost if entry.bill else 0, *_amounts(entry.usage or _NOTHING))
        sums[key] = tuple(map(add, sums[key], used)) if key in sums else used
    rows: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for (day, subject, teams, *models), used in sums.items():
        for who in (subject, *(f"team:{team}" for team in teams)):
            key = (day.isoformat(), fitting(who), *map(fitting, models), who is not subject)
            rows[key] = tuple(map(add, rows[key], used)) if key in rows else used
    names = ("day", "who", "model", "resolved_model", "is_team", *COUNTED)
    return [dict(zip(names, key + used, strict=True)) for key, used in sorted(rows.items())]


def sums_of(entries: Iterable[Entry]) -> dict[tuple[str, int], Sum]:
    """(key, begin of the window) -> what is added; in the order in which all writers lock the rows.

    Raises:
        ValueError: a charge is for a window that is none of the calendar.
    """
    sums: dict[tuple[str, int], Sum] = {}
    for entry in entries:
        at_s = entry.at.timestamp()
        for charge in entry.charges:
            hold = charge.hold
            span = span_of(hold.window, at_s)
            key = (fitting(hold.key), span.begins_s)
            total = sums.get(key) or sums.setdefault(key, Sum(hold, span))
            total.hold = hold  # the last one: its limit is the newest
            total.amount += charge.amount
    return dict(sorted(sums.items()))


def total_rows(sums: Mapping[tuple[str, int], Sum]) -> list[Row]:
    return [
        {
            "key": key,
            "begins": begins_s,
            "ends": total.span.ends_s,
            "rule": fitting(total.hold.rule),
            "scope": fitting(total.hold.scope),
            "unit": total.hold.unit,
            "window": total.hold.window,
            "amount": total.amount,
        }
        for (key, begins_s), total in sums.items()
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
    """An alert without targets is only noted."""
    at_text = at.astimezone(UTC).isoformat(" ", timespec="microseconds")
    return {
        "key": alert.key,
        "begins": alert.begins_s,
        "threshold": alert.threshold,
        "alert": _json(alert),
        "targets": _json(targets),
        "state": "due" if targets else "noted",
        "created_at": at_text,
        "due_at": at_text if targets else None,
        "attempts": 0,
        "problem": None,
    }


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

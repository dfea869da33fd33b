"""What was used, by whom and for how much, and how the bill of one request comes about. From the ledger."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from gateway.contract import Caller
from gateway.contract.entry import Entry
from gateway.contract.price import Bill, BillLine
from gateway.contract.usage import Usage
from gateway.control.control import Ask, Control
from gateway.control.standing import dollars
from gateway.errors import BadRequest, Forbidden, NotFound
from gateway.rules.access import canonical
from gateway.rules.access.roles import LIST_CONTROLS, TEAM, VIRTUAL_ACCOUNT
from gateway.rules.prices import explained
from gateway.state.database.ledger_rows import UsageRow

MAX_DAYS = 366
_METADATA = "metadata."


class Used(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a group of requests used. The cost is without the `unpriced` ones, which cost nobody knows what."""

    group: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost: msgspec.Raw
    cost_nano_usd: int
    unpriced: int
    usage: Usage


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Groups by cost, the highest first; days in their order.

    Args:
        since, until: the first day and the last.
        who: None: everybody the caller may see.
        total: None for teams, because who is in two of them counts in both.
    """

    data: Sequence[Used]
    total: Used | None
    by: str
    since: date
    until: date
    who: str | None


# --- the handlers ------------------------------------------------------------


async def usage(control: Control, ask: Ask) -> Report:
    by = ask.query.get("by", "model")
    today = control.now().astimezone(UTC).date()
    since, until = _day(ask.query, "since", today.replace(day=1)), _day(ask.query, "until", today)
    if not 0 <= (until - since).days < MAX_DAYS:
        raise BadRequest(f"since and until are the first day and the last, of at most {MAX_DAYS} days", param="since")
    who = _whose(control, ask.caller, by, ask.query.get("who"))
    rows = await control.ledger.usage(by, since, until + timedelta(days=1), who=who)
    if by == "team":
        rows = [row for row in rows if _may_see(control, ask.caller, row.group)]
    if by != "day":
        rows.sort(key=lambda row: (-row.cost, -row.requests, row.group))
    total = _used(_sum(rows)) if by != "team" else None
    return Report(data=[_used(row) for row in rows], total=total, by=by, since=since, until=until, who=who)


async def request(control: Control, ask: Ask) -> dict[str, Any]:
    """One request and its bill, which is null when nobody knows what it costs. Somebody else's is as unknown as one
    that never was."""
    id_ = ask.path["request_id"]
    entry = await control.ledger.entry(id_)
    if entry is None or not _may_see_request(control, ask.caller, entry):
        raise NotFound(f"there is no request {id_[:200]!r} in the ledger, or it is not there yet")
    return {"data": _shown(entry)}


# --- who may see what --------------------------------------------------------


def _whose(control: Control, caller: Caller, by: str, who: str | None) -> str | None:
    """Whose usage is shown: who is not asked about and may not see all sees himself, or the teams he manages.

    Raises:
        BadRequest: it is nobody, or what is kept cannot tell.
        Forbidden: the caller may not see that.
    """
    if who is None:
        return None if by == "team" or control.access.holds(caller, LIST_CONTROLS) else caller.subject
    subject = canonical(who)
    if subject is None:
        raise BadRequest("who has to be user:<email>, team:<name> or virtualaccount:<name>", param="who")
    if not _may_see(control, caller, subject):
        raise Forbidden(f"{caller.subject} may not see what {subject} used; it takes the permission {LIST_CONTROLS}")
    is_team = subject.startswith("team:")
    if is_team and (by == "subject" or by.startswith(_METADATA)):
        raise BadRequest(f"of a team, usage by {by} is not kept; ask by model or by day", param="by")
    if by == "team" and not is_team:
        raise BadRequest(f"usage by team is that of all, or of a team; {subject} is none", param="who")
    return subject


def _may_see(control: Control, caller: Caller, subject: str) -> bool:
    """One's own, that of teams and virtual accounts one manages; all with the permission to list controls."""
    kind, _, name = subject.partition(":")
    access = control.access
    if subject == caller.subject or access.holds(caller, LIST_CONTROLS):
        return True
    if kind == "team":
        return access.holds(caller, TEAM.manage, TEAM.of(name))
    return kind == "virtualaccount" and access.holds(caller, VIRTUAL_ACCOUNT.manage, VIRTUAL_ACCOUNT.of(name))


def _may_see_request(control: Control, caller: Caller, entry: Entry) -> bool:
    return any(_may_see(control, caller, each) for each in (entry.subject, *(f"team:{team}" for team in entry.teams)))


# --- details -----------------------------------------------------------------


def _day(query: Mapping[str, str], name: str, default: date) -> date:
    text = query.get(name)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date() if text is not None else default
        day + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} has to be a day, yyyy-mm-dd", param=name) from None
    return day


def _sum(rows: Sequence[UsageRow]) -> UsageRow:
    names = [name for name in Usage.__struct_fields__ if name != "estimated"]
    return UsageRow(
        group="",
        requests=sum(row.requests for row in rows),
        unpriced=sum(row.unpriced for row in rows),
        cost=sum(row.cost for row in rows),
        usage=Usage(**{name: sum(getattr(row.usage, name) for row in rows) for name in names}),
    )


def _used(row: UsageRow) -> Used:
    return Used(
        group=row.group,
        requests=row.requests,
        input_tokens=row.usage.input_tokens,
        output_tokens=row.usage.output_tokens,
        cost=dollars(row.cost),
        cost_nano_usd=row.cost,
        unpriced=row.unpriced,
        usage=row.usage,
    )


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "requestId": entry.request_id,
        "at": entry.at,
        "subject": entry.subject,
        "teams": sorted(entry.teams),
        "tokenId": entry.token_id,
        "model": entry.model,
        "resolvedModel": entry.resolved_model,
        "metadata": entry.metadata,
        "outcome": entry.outcome,
        "usage": entry.usage,
        "bill": _bill(entry.bill) if entry.bill is not None else None,
    }


def _bill(bill: Bill) -> dict[str, Any]:
    why = explained(bill)
    return {
        "cost": dollars(bill.cost),
        "costNanoUsd": bill.cost,
        "priceRow": why.row,
        "priceVersion": why.version,
        "tariff": why.tariff,
        "discountPercent": why.discount_percent,
        "lines": [_line(line, text.sum) for line, text in zip(bill.lines, why.lines, strict=True)],
        "unpriced": why.unpriced,
    }


def _line(line: BillLine, text: str) -> dict[str, Any]:
    """`rate` US dollars are for `per` of it. The discount is in `cost`."""
    return {
        "name": line.name,
        "amount": line.amount,
        "rate": dollars(line.rate),
        "per": line.per,
        "cost": dollars(line.cost),
        "costNanoUsd": line.cost,
        "sum": text,
    }

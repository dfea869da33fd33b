"""What was used, by whom and for how much, and how the bill of one request comes about. From the ledger."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from gateway.contract import Caller, price
from gateway.contract.entry import Entry
from gateway.contract.usage import AMOUNTS, Usage
from gateway.control.control import Ask, Control
from gateway.control.schema import Bill, BillLine, Request, Shown, UsageReport, Used
from gateway.control.standing import dollars
from gateway.errors import BadRequest, Forbidden, NotFound
from gateway.rules.access import canonical
from gateway.rules.access.roles import LIST_CONTROLS, TEAM, VIRTUAL_ACCOUNT
from gateway.rules.prices.explain import sum_text
from gateway.state.database.ledger_rows import UsageRow

MAX_DAYS = 366
_METADATA = "metadata."


# --- the handlers ------------------------------------------------------------


async def usage(control: Control, ask: Ask) -> UsageReport:
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
    return UsageReport(data=tuple(map(_used, rows)), total=total, by=by, since=since, until=until, who=who)


async def request(control: Control, ask: Ask) -> Shown[Request]:
    """One request and its bill, which is null when nobody knows what it costs. Somebody else's is as unknown as one
    that never was."""
    id_ = ask.path["request_id"]
    entry = await control.ledger.entry(id_)
    if entry is None or not _may_see_request(control, ask.caller, entry):
        raise NotFound(f"there is no request {id_[:200]!r} in the ledger, or not yet; one that was refused has no bill")
    return Shown(_shown(entry))


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
    return UsageRow(
        group="",
        requests=sum(row.requests for row in rows),
        unpriced=sum(row.unpriced for row in rows),
        cost=sum(row.cost for row in rows),
        usage=Usage(**{name: sum(getattr(row.usage, name) for row in rows) for name in AMOUNTS}),
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


def _shown(entry: Entry) -> Request:
    return Request(
        request_id=entry.request_id,
        at=entry.at,
        subject=entry.subject,
        teams=tuple(sorted(entry.teams)),
        token_id=entry.token_id,
        model=entry.model,
        resolved_model=entry.resolved_model,
        metadata=entry.metadata,
        outcome=entry.outcome,
        usage=entry.usage,
        bill=bill_shown(entry.bill) if entry.bill is not None else None,
    )


def bill_shown(bill: price.Bill) -> Bill:
    return Bill(
        cost=dollars(bill.cost),
        cost_nano_usd=bill.cost,
        price_row=bill.row,
        price_version=bill.version,
        tariff=bill.tariff,
        discount_percent=bill.discount_percent,
        lines=tuple(_line(line, bill.discount_percent) for line in bill.lines),
        unpriced=bill.unpriced,
    )


def _line(line: price.BillLine, discount_percent: float) -> BillLine:
    return BillLine(
        name=line.name,
        amount=line.amount,
        rate=dollars(line.rate),
        per=line.per,
        cost=dollars(line.cost),
        cost_nano_usd=line.cost,
        sum=sum_text(line, discount_percent),
    )

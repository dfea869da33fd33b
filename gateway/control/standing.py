"""How much of limits and budgets is used, and how that is shown."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from gateway.config.compile.amounts import BUDGETS, RATES
from gateway.contract.limits import Hold, Unit
from gateway.contract.money import exact_dollars
from gateway.contract.windows import Window, span_of
from gateway.control.control import Control
from gateway.control.schema import Standing
from gateway.errors import Unavailable
from gateway.rules.limits import policy_of

BATCH = 100
"""Counters that are asked for at once: the shared ones have little time for an answer."""

_UNITS = {pair: name for units in (RATES, BUDGETS) for name, pair in units.items()}


class Source(StrEnum):
    """Who knows what is used. The ledger has no sliding windows, and nothing of requests that have not ended."""

    COUNTERS = "counters"
    LEDGER = "ledger"


async def used_of(control: Control, holds: Sequence[Hold]) -> tuple[Mapping[str, int | None], Source]:
    """Key -> how much is used; None: nobody knows. Takes nothing.

    Raises:
        Unavailable: neither the counters nor the ledger can be reached.
    """
    by_key = {hold.key: hold for hold in holds}
    once = [*by_key.values()]
    used: dict[str, int | None] = {}
    try:
        for first in range(0, len(once), BATCH):
            levels = await control.counters.levels(once[first : first + BATCH])
            used |= {level.hold.key: level.used for level in levels}
    except Unavailable:
        return await _used_by_ledger(control, once), Source.LEDGER
    return used, Source.COUNTERS


async def _used_by_ledger(control: Control, holds: Iterable[Hold]) -> Mapping[str, int | None]:
    from gateway.state.database.charging import fitting  # with SQLAlchemy, which is there already

    now = control.now()
    totals = await control.ledger.totals(now)
    known = {total.key: total.amount for total in totals if total.begins_s <= now.timestamp()}
    return {hold.key: known.get(fitting(hold.key), 0) if hold.window.is_calendar else None for hold in holds}


def standing(hold: Hold, used: int | None, now_s: float, *, target: str | None = None) -> Standing:
    """`now_s` in seconds since 1970."""
    start, end = _bounds(hold.window, now_s)
    is_cost = hold.unit is Unit.COST
    return Standing(
        rule=hold.rule,
        policy=policy_of(hold.key),
        is_budget=hold.is_budget,
        mode=hold.mode,
        scope=hold.scope,
        unit=_UNITS[hold.unit, hold.window],
        limit=dollars(hold.limit) if is_cost else hold.limit,
        used=dollars(used) if is_cost and used is not None else used,
        percentage=_percentage(used, hold.limit),
        start=start,
        end=end,
        limit_nano_usd=hold.limit if is_cost else None,
        used_nano_usd=used if is_cost else None,
        target=target,
    )


def dollars(nano: int) -> msgspec.Raw:
    """As a JSON number."""
    return msgspec.Raw(exact_dollars(nano))


def _percentage(used: int | None, limit: int) -> float | None:
    if used is None:
        return None
    return min(100.0, round(used * 100 / limit, 2)) if limit else 100.0


def _bounds(window: Window, now_s: float) -> tuple[int | None, int | None]:
    if window is Window.WHILE_OPEN:
        return None, None
    if window.sliding_s is not None:
        return int(now_s) - window.sliding_s, int(now_s)
    span = span_of(window, now_s)
    return span.begins_s, span.ends_s

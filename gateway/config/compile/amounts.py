"""What limits of manifests come to: units, windows, and integers."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.contract.limits import Unit
from gateway.contract.money import nano_dollars
from gateway.contract.windows import Window
from gateway.rules.limits.rule import Limit

Units = Mapping[str, tuple[Unit, Window]]

RATES: Units = MappingProxyType(
    {
        "requests_per_minute": (Unit.REQUESTS, Window.MINUTE),
        "requests_per_hour": (Unit.REQUESTS, Window.HOUR),
        "requests_per_day": (Unit.REQUESTS, Window.DAY),
        "tokens_per_minute": (Unit.TOKENS, Window.MINUTE),
        "tokens_per_hour": (Unit.TOKENS, Window.HOUR),
        "tokens_per_day": (Unit.TOKENS, Window.DAY),
        "concurrent_requests": (Unit.CONCURRENT, Window.WHILE_OPEN),
    }
)
BUDGETS: Units = MappingProxyType(
    {
        "cost_per_day": (Unit.COST, Window.CALENDAR_DAY),
        "cost_per_week": (Unit.COST, Window.WEEK),
        "cost_per_month": (Unit.COST, Window.MONTH),
        "cost_per_quarter": (Unit.COST, Window.QUARTER),
        "cost_per_lifetime": (Unit.COST, Window.LIFETIME),
        "tokens_per_day": (Unit.TOKENS, Window.CALENDAR_DAY),
        "tokens_per_month": (Unit.TOKENS, Window.MONTH),
    }
)


def limits_of(given: Mapping[str, float], units: Units) -> tuple[Limit, ...]:
    """In the order of `units`. Money is given in US dollars, all else in whole numbers."""
    return tuple(
        Limit(unit, window, nano_dollars(given[name]) if unit is Unit.COST else int(given[name]))
        for name, (unit, window) in units.items()
        if name in given
    )

"""Money and counts of manifests, as integers."""

import pytest

from gateway.config.compile.amounts import BUDGETS, RATES, limits_of
from gateway.contract.limits import Unit
from gateway.contract.windows import Window
from gateway.rules.limits.rule import Limit


def test_rate_limits_look_back_and_budgets_begin_with_the_day():
    rates = limits_of({"tokens_per_day": 7, "requests_per_minute": 5, "concurrent_requests": 2}, RATES)
    budgets = limits_of({"tokens_per_day": 7.0, "cost_per_day": 0.5, "cost_per_lifetime": 3}, BUDGETS)

    assert rates == (
        Limit(Unit.REQUESTS, Window.MINUTE, 5),
        Limit(Unit.TOKENS, Window.DAY, 7),
        Limit(Unit.CONCURRENT, Window.WHILE_OPEN, 2),
    )
    assert budgets == (
        Limit(Unit.COST, Window.CALENDAR_DAY, 500_000_000),
        Limit(Unit.COST, Window.LIFETIME, 3_000_000_000),
        Limit(Unit.TOKENS, Window.CALENDAR_DAY, 7),
    )


@pytest.mark.parametrize(
    ("name", "units", "unit", "window"),
    [
        ("requests_per_minute", RATES, Unit.REQUESTS, Window.MINUTE),
        ("requests_per_hour", RATES, Unit.REQUESTS, Window.HOUR),
        ("requests_per_day", RATES, Unit.REQUESTS, Window.DAY),
        ("tokens_per_minute", RATES, Unit.TOKENS, Window.MINUTE),
        ("tokens_per_hour", RATES, Unit.TOKENS, Window.HOUR),
        ("tokens_per_day", RATES, Unit.TOKENS, Window.DAY),
        ("cost_per_week", BUDGETS, Unit.COST, Window.WEEK),
        ("cost_per_month", BUDGETS, Unit.COST, Window.MONTH),
        ("cost_per_quarter", BUDGETS, Unit.COST, Window.QUARTER),
        ("tokens_per_month", BUDGETS, Unit.TOKENS, Window.MONTH),
    ],
)
def test_units(name, units, unit, window):
    [limit] = limits_of({name: 1}, units)

    assert (limit.unit, limit.window) == (unit, window)

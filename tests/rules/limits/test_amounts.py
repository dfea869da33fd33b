"""Money and counts of manifests, as integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.compile.amounts import BUDGETS, RATES, limits_of, nano_dollars
from gateway.contract.limits import Unit
from gateway.contract.windows import Window
from gateway.rules.limits.rule import Limit


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [
        (0, 0),
        (0.1, 100_000_000),
        (0.3, 300_000_000),
        (1.1, 1_100_000_000),
        (4999.99, 4_999_990_000_000),
        (1e-9, 1),
        (5e-10, 1),
        (4e-10, 0),
        (123456.123456789, 123_456_123_456_789),
        (9e9, 9_000_000_000_000_000_000),
    ],
)
def test_dollars_are_what_is_written(dollars, nano):
    """0.1 has no exact float, and nobody should lose a nano-dollar by that."""
    assert nano_dollars(dollars) == nano


@given(st.integers(0, 10**8), st.integers(0, 10**6 - 1))
def test_micro_dollars_are_exact(dollars, micro):
    assert nano_dollars(float(f"{dollars}.{micro:06}")) == dollars * 10**9 + micro * 1000


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

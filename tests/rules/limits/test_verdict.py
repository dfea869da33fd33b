"""Which hold refuses, and for how long, where several have a say."""

from math import inf

import pytest

from gateway.contract.limits import Mode, Unit
from gateway.rules.limits.verdict import refusing, retry_after_s


@pytest.fixture
def holds(hold):
    """A limit, and budgets of the rules a, a and b, of which the first is soft."""
    return [
        hold(1),
        hold(1, Unit.COST, rule="a", mode=Mode.SOFT, is_budget=True),
        hold(1, Unit.COST, rule="a", mode=Mode.AUDIT, is_budget=True),
        hold(1, Unit.COST, rule="b", mode=Mode.AUDIT, is_budget=True),
    ]


@pytest.mark.parametrize(
    ("fits", "place"),
    [
        ("++++", None),
        ("-+++", 0),
        ("--++", 0),
        ("+-++", None),
        ("+--+", None),
        ("+-+-", 1),
        ("+---", 1),
        ("++--", None),
    ],
)
def test_the_hold_that_refuses(holds, fits, place):
    assert refusing(holds, [fit == "+" for fit in fits]) == place


@pytest.mark.parametrize(
    ("waits_s", "after_s"),
    [
        ([5.0, 0.0, 0.0, 0.0], 5.0),
        ([inf, 0.0, 0.0, 0.0], None),
        ([0.0, 7.0, 0.0, 9.0], 7.0),
        ([0.0, 7.0, 8.0, 9.0], 8.0),
        ([0.0, inf, 0.0, 9.0], 9.0),
        ([0.0, inf, 0.0, inf], None),
        ([8.0, 7.0, 0.0, 9.0], 8.0),
    ],
)
def test_when_it_passes(holds, waits_s, after_s):
    """Every limit must have room, and one budget at least."""
    assert retry_after_s(holds, waits_s) == after_s

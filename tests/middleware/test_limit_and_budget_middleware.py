"""LimitMiddleware and BudgetMiddleware: together, alone around a foreign app."""

import asyncio

import pytest

from gateway.contract.limits import Amounts, Hold, Level, Ticket, Unit, Verdict
from gateway.contract.windows import Window
from gateway.dialects import CHAT
from gateway.errors import RateLimited
from gateway.middleware import BudgetMiddleware, ErrorsMiddleware, LimitMiddleware
from gateway.proxy.admission import Admission
from gateway.proxy.exchange import Exchange
from gateway.testing import get

LIMIT = Hold(key="per-user", rule="per-user", unit=Unit.REQUESTS, window=Window.MINUTE, limit=10)
BUDGET = Hold(key="per-day", rule="per-day", unit=Unit.COST, window=Window.CALENDAR_DAY, limit=10_000, is_budget=True)
REFUSED = Verdict(None, refused=Level(LIMIT, 10, 60.0), retry_after_s=2.5)


class ListCounters:
    """Counters that write down what they are asked."""

    def __init__(self, verdict=None):
        self.verdict = verdict
        self.asked = []

    async def reserve(self, holds, need):
        self.asked.append(("reserve", *holds))
        return self.verdict or Verdict(Ticket(0.0, tuple(holds), need))

    def settle(self, ticket, used):
        self.asked.append(("settle", used))


def around(app, counters, *, limits=(LIMIT,), budgets=(BUDGET,)):
    app = BudgetMiddleware(app, admission=Admission(counters=counters))
    app = LimitMiddleware(app, rules=lambda _: budgets)
    return LimitMiddleware(app, rules=lambda _: limits)


def ending(error=None):
    """A foreign app that answers or raises."""

    async def app(scope, receive, send):
        if error is not None:
            raise error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    return app


async def test_one_reservation_for_both():
    """A limit that was taken before a budget refused would be lost."""
    counters = ListCounters()

    answer = await get(around(ending(), counters), "/")

    assert answer.body == b"hello"
    assert counters.asked == [("reserve", LIMIT, BUDGET), ("settle", None)]


@pytest.mark.parametrize(("limits", "budgets"), [((LIMIT,), ()), ((), (BUDGET,))])
async def test_either_is_enough(limits, budgets):
    counters = ListCounters()

    await get(around(ending(), counters, limits=limits, budgets=budgets), "/")

    assert counters.asked == [("reserve", *limits, *budgets), ("settle", None)]


async def test_without_rules_nothing_is_asked():
    counters = ListCounters()

    await get(around(ending(), counters, limits=(), budgets=()), "/")

    assert counters.asked == []


async def test_requests_do_not_share_their_holds():
    counters = ListCounters()
    app = around(ending(), counters)

    await get(app, "/")
    await get(app, "/")

    assert [entry for entry in counters.asked if entry[0] == "reserve"] == [("reserve", LIMIT, BUDGET)] * 2


async def test_a_refusal_goes_no_further_and_takes_nothing():
    counters = ListCounters(REFUSED)
    reached = []

    async def app(scope, receive, send):
        reached.append(scope)

    answer = await get(ErrorsMiddleware(around(app, counters), dialect=CHAT), "/")

    assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    assert counters.asked == [("reserve", LIMIT, BUDGET)]
    assert reached == []


@pytest.mark.parametrize("error", [ValueError("a fault"), asyncio.CancelledError(), RateLimited("of the provider")])
async def test_however_it_ends_it_is_settled_once(error):
    counters = ListCounters()

    with pytest.raises(type(error)):
        await get(around(ending(error), counters), "/")

    assert counters.asked[1:] == [("settle", None)]


async def test_nothing_was_used_when_nothing_was_sent():
    """None, so that even the request is given back."""
    counters = ListCounters()

    async def app(scope, receive, send):
        assert Exchange.of(scope).ticket.need == Amounts()

    await get(around(app, counters), "/")

    assert counters.asked[1:] == [("settle", None)]

"""LimitMiddleware and BudgetMiddleware: together, alone around a foreign app, and in the gateway's pipeline."""

import asyncio

import pytest

from gateway.contract import Hold, Outcome, Verdict
from gateway.dialects import CHAT
from gateway.errors import RateLimited
from gateway.exchange import Exchange
from gateway.middleware import BudgetMiddleware, ErrorsMiddleware, LimitMiddleware
from gateway.testing import FakeUpstream, get, post
from gateway.usage import Usage
from gateway.watch import Timing

LIMIT = Hold(key="user:ana", unit="requests", amount=1, limit=10, window_s=60, rule="per-user")
BUDGET = Hold(key="user:ana", unit="nano-dollars", amount=500, limit=10_000, window_s=86400, rule="per-day")
USED = Usage(input=7, output=3)


class ListCounters:
    """Counters that write down what they are asked."""

    def __init__(self, verdict=None, settling=None):
        self.verdict = verdict or Verdict(ticket="t1")
        self.settling = settling
        self.asked = []

    async def reserve(self, holds):
        self.asked.append(("reserve", *holds))
        return self.verdict

    async def settle(self, ticket, actual):
        if self.settling:
            await self.settling.wait()
        self.asked.append(("settle", ticket, actual))


def around(app, counters, *, limits=(LIMIT,), budgets=(BUDGET,)):
    app = BudgetMiddleware(app, counters=counters, rules=lambda _: budgets)
    return LimitMiddleware(app, rules=lambda _: limits)


def ending(error=None):
    """A foreign app that uses something, and answers or raises."""

    async def app(scope, receive, send):
        Exchange.of(scope).usage = USED
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
    assert counters.asked == [("reserve", LIMIT, BUDGET), ("settle", "t1", USED)]


@pytest.mark.parametrize(("limits", "budgets"), [((LIMIT,), ()), ((), (BUDGET,))])
async def test_either_is_enough(limits, budgets):
    counters = ListCounters()

    await get(around(ending(), counters, limits=limits, budgets=budgets), "/")

    assert counters.asked == [("reserve", *limits, *budgets), ("settle", "t1", USED)]


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


async def test_a_refusal_takes_nothing_and_says_when_to_come_back():
    counters = ListCounters(Verdict(ticket=None, refused=LIMIT, retry_after_s=2.5))
    app = ErrorsMiddleware(around(ending(), counters), dialect=CHAT)

    answer = await get(app, "/")

    assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["message"] == "over the limit of 10 requests in 60 s (rule per-user)"
    assert counters.asked == [("reserve", LIMIT, BUDGET)]


@pytest.mark.parametrize("error", [ValueError("a fault"), asyncio.CancelledError(), RateLimited("of the provider")])
async def test_however_it_ends_it_is_settled_once(error):
    counters = ListCounters()

    with pytest.raises(type(error)):
        await get(around(ending(error), counters), "/")

    assert counters.asked[1:] == [("settle", "t1", USED)]


async def test_settling_outlives_a_cancel(until):
    """The client leaves while the store is slow: what was used is still written down."""
    settling = asyncio.Event()
    counters = ListCounters(settling=settling)
    task = asyncio.create_task(get(around(ending(), counters), "/"))
    await until(lambda: counters.asked)
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])
    settling.set()

    await until(lambda: counters.asked[1:] == [("settle", "t1", USED)])


# --- in the pipeline ---------------------------------------------------------

ROLE = b'data: {"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
ASK = {"model": "mock/m", "messages": [], "stream": True}


@pytest.mark.parametrize(
    ("reply", "outcome", "used"),
    [
        ((200, [ROLE, STOP, USAGE, DONE]), Outcome.COMPLETE, Usage(input=7, output=3)),
        ((200, [ROLE, ROLE, ROLE]), Outcome.UPSTREAM_BROKE, Usage(output=2, estimated=True)),
        ((200, [ROLE, USAGE]), Outcome.UPSTREAM_BROKE, Usage(input=7, output=3)),
        ((200, [b"<html>"]), Outcome.UPSTREAM_BROKE, None),
        ((429, [b"{}"]), Outcome.REFUSED, None),
        (ValueError("a fault"), Outcome.REFUSED, None),
    ],
    ids=["complete", "broke off", "broke off after usage", "no answer", "refused", "fault"],
)
async def test_settles_with_the_true_usage(app_with, auth, sink, reply, outcome, used):
    counters = ListCounters()
    app = app_with(
        FakeUpstream(reply),
        counters=counters,
        middlewares=[lambda app: LimitMiddleware(app, rules=lambda _: [LIMIT])],
    )

    await post(app, "/v1/chat/completions", ASK, headers=auth)
    await app.close()

    assert counters.asked == [("reserve", LIMIT), ("settle", "t1", used)]
    assert [record.outcome for record in sink.records] == [outcome]


async def test_settles_when_the_client_leaves(app_with, auth, sink, until):
    counters, leaves = ListCounters(), asyncio.Event()
    upstream = FakeUpstream((200, [ROLE, ROLE, asyncio.Event()]))
    app = app_with(
        upstream,
        counters=counters,
        middlewares=[lambda app: LimitMiddleware(app, rules=lambda _: [LIMIT])],
        timing=Timing(watch_after_s=0.0),
    )

    asking = asyncio.create_task(post(app, "/v1/chat/completions", ASK, headers=auth, leaves=leaves))
    await until(lambda: upstream.replies)
    leaves.set()
    await asking
    await app.close()

    assert [entry[:2] for entry in counters.asked] == [("reserve", LIMIT), ("settle", "t1")]
    assert [record.outcome for record in sink.records] == [Outcome.CLIENT_LEFT]

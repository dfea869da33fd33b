"""Random histories: all counters agree with a model that keeps every event and counts them anew each time."""

import asyncio
import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from gateway.contract.limits import Amounts, Hold, Mode, Unit
from gateway.contract.windows import Window
from gateway.state.counters.memory import MemoryCounters
from gateway.state.counters.redis import RedisCounters

BEGIN_MS = 4102444800000
LONG_S = 10**9
"""Leases do not end in here."""
HOLDS = [
    Hold(key="rpm", rule="a", unit=Unit.REQUESTS, window=Window.MINUTE, limit=4),
    Hold(key="tpm", rule="a", unit=Unit.TOKENS, window=Window.MINUTE, limit=100),
    Hold(key="tph", rule="b", unit=Unit.TOKENS, window=Window.HOUR, limit=150),
    Hold(key="audit", rule="c", unit=Unit.TOKENS, window=Window.DAY, limit=50, mode=Mode.AUDIT),
    Hold(key="cpd", rule="d", unit=Unit.COST, window=Window.CALENDAR_DAY, limit=100, is_budget=True),
    Hold(key="cpm", rule="e", unit=Unit.COST, window=Window.MONTH, limit=250, mode=Mode.SOFT, is_budget=True),
    Hold(key="cpl", rule="f", unit=Unit.COST, window=Window.LIFETIME, limit=400, mode=Mode.SOFT, is_budget=True),
    Hold(key="counted", rule="f", unit=Unit.REQUESTS, window=Window.WEEK, limit=3, mode=Mode.COUNT, is_budget=True),
    Hold(key="open", rule="g", unit=Unit.CONCURRENT, window=Window.WHILE_OPEN, limit=3),
]
BUCKET_MS = {Window.MINUTE: 600, Window.HOUR: 36000, Window.DAY: 864000}
AMOUNTS = st.builds(Amounts, tokens=st.integers(0, 60), cost=st.integers(0, 60))


def calendar_ends_ms(window, at_ms):
    """By walking from midnight to midnight."""
    day_ms = 86400000
    begins = {
        Window.CALENDAR_DAY: lambda day: True,
        Window.WEEK: lambda day: day.weekday() == 0,
        Window.MONTH: lambda day: day.day == 1,
    }[window]
    end_ms = at_ms // day_ms * day_ms + day_ms
    while not begins(datetime.fromtimestamp(end_ms / 1000, UTC)):
        end_ms += day_ms
    return end_ms


class Event:
    """Something that counts until it ends by itself or its request does."""

    def __init__(self, hold, at_ms, amount):
        self.key = hold.key
        self.amount = amount
        if hold.window in BUCKET_MS:
            bucket_ms = BUCKET_MS[hold.window]
            self.until_ms = at_ms // bucket_ms * bucket_ms + 101 * bucket_ms
        elif hold.window in (Window.LIFETIME, Window.WHILE_OPEN):
            self.until_ms = 10**15
        else:
            self.until_ms = calendar_ends_ms(hold.window, at_ms)


class Model:
    def __init__(self):
        self.events = []
        self.taken = {}

    def used(self, hold, now_ms):
        return sum(event.amount for event in self.events if event.key == hold.key and event.until_ms > now_ms)

    def refusing(self, holds, need, now_ms):
        wanted = [hold for hold in holds if need.of(hold.unit)]
        over = [hold for hold in wanted if self.used(hold, now_ms) + need.of(hold.unit) > hold.limit]
        enforced = [hold for hold in over if hold.mode is Mode.ENFORCE]
        soft = [hold for hold in over if hold.mode is Mode.SOFT]
        budgets = {hold.rule for hold in holds if hold.is_budget}
        over_budgets = {hold.rule for hold in over if hold.is_budget}
        if enforced:
            return enforced[0]
        return soft[0] if soft and budgets == over_budgets else None

    def ends_ms(self, now_ms):
        return sorted({event.until_ms for event in self.events if now_ms < event.until_ms < 10**15})

    def passes_after_ms(self, holds, need, now_ms):
        """By trying every moment at which something ends."""
        for ends_ms in self.ends_ms(now_ms):
            if self.refusing(holds, need, ends_ms) is None:
                return ends_ms - now_ms
        return None

    def reserve(self, ticket, holds, need, now_ms):
        self.taken[id(ticket)] = [Event(hold, now_ms, need.of(hold.unit)) for hold in holds]
        self.events += self.taken[id(ticket)]

    def settle(self, ticket, used, now_ms):
        for hold, event in zip(ticket.holds, self.taken[id(ticket)], strict=True):
            if used is None or hold.unit is Unit.CONCURRENT:
                event.amount = 0
                continue
            more = used.of(hold.unit) - event.amount
            event.amount = min(event.amount, used.of(hold.unit))
            if more > 0:
                at_ms = now_ms if hold.window in BUCKET_MS else event.until_ms - 1
                self.events.append(Event(hold, at_ms, more))


async def ended(part):
    async with part.running():
        pass


class Histories(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now_ms = BEGIN_MS
        self.loop = asyncio.Runner()
        self.counters = self.make(lambda: (self.now_ms + 0.25) / 1000)  # as a float, it is never a little less
        self.model = Model()
        self.tickets = []

    def teardown(self):
        self.loop.run(ended(self.counters))
        self.loop.close()

    @rule(ms=st.one_of(st.integers(1, 5000), st.integers(1, 90_000), st.integers(1, 30 * 3600_000)))
    def time_goes_by(self, ms):
        self.now_ms += ms

    @precondition(lambda self: self.model.ends_ms(self.now_ms))
    @rule(place=st.integers(0, 10**6), before_ms=st.integers(0, 1))
    def something_ends(self, place, before_ms):
        """Or is just about to."""
        ends_ms = self.model.ends_ms(self.now_ms)
        self.now_ms = max(self.now_ms, ends_ms[place % len(ends_ms)] - before_ms)

    @rule(holds=st.lists(st.sampled_from(HOLDS), min_size=1, unique=True), need=AMOUNTS)
    def somebody_asks(self, holds, need):
        refusing = self.model.refusing(holds, need, self.now_ms)

        verdict = self.loop.run(self.counters.reserve(holds, need))

        assert (verdict.refused and verdict.refused.hold.key) == (refusing and refusing.key)
        assert (verdict.ticket is None) == (refusing is not None)
        if verdict.ticket:
            self.model.reserve(verdict.ticket, holds, need, self.now_ms)
            self.tickets.append(verdict.ticket)
        elif not any(hold.unit is Unit.CONCURRENT for hold in holds):
            after_ms = self.model.passes_after_ms(holds, need, self.now_ms)
            # What ends with a window that lasts to the year 3000 never fits, as far as the model can see.
            if after_ms is not None:
                assert round(verdict.retry_after_s * 1000) == after_ms
        assert [level.used for level in verdict.levels] == [self.model.used(hold, self.now_ms) for hold in holds]

    @precondition(lambda self: self.tickets)
    @rule(place=st.integers(0, 10**6), used=st.none() | AMOUNTS)
    def somebody_is_done(self, place, used):
        ticket = self.tickets.pop(place % len(self.tickets))

        self.loop.run(self.settle(ticket, used))

        self.model.settle(ticket, used, self.now_ms)

    async def settle(self, ticket, used):
        self.counters.settle(ticket, used)
        self.counters.settle(ticket, Amounts(tokens=999))

    @invariant()
    def all_that_is_used_is_known(self):
        levels = self.loop.run(self.counters.levels(HOLDS))

        assert [level.used for level in levels] == [self.model.used(hold, self.now_ms) for hold in HOLDS]
        for level in levels:
            if level.hold.window in BUCKET_MS:
                ends_ms = [
                    event.until_ms
                    for event in self.model.events
                    if event.key == level.hold.key and event.amount and event.until_ms > self.now_ms
                ]
                assert round(level.resets_s * 1000) == max(ends_ms, default=self.now_ms) - self.now_ms


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_all_histories_end_as_the_model_says(kind, request):
    numbers = itertools.count(1)
    url = request.getfixturevalue("redis_url") if kind == "redis" else None

    class OfKind(Histories):
        @staticmethod
        def make(clock):
            if kind == "memory":
                return MemoryCounters(clock)
            options = {"lease_s": LONG_S, "max_age_s": LONG_S, "server_now_s": clock}
            return RedisCounters(url, prefix=f"{{model-{next(numbers)}}}:", **options)

    run_state_machine_as_test(
        OfKind,
        settings=settings(
            max_examples=100 if kind == "memory" else 30,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""What counters in memory do besides: leases, counters nobody uses, a clock that is set."""

import pytest

from gateway.holds import Amounts, Unit
from gateway.stores.memory import MemoryCounters
from gateway.windows import Window

NEED = Amounts(tokens=10, cost=10)


@pytest.fixture
def counters(clock):
    return MemoryCounters(clock)


@pytest.fixture
def holds(hold):
    """One of each unit."""
    return [
        hold(5, window=Window.DAY),
        hold(100, Unit.TOKENS, Window.DAY),
        hold(100, Unit.COST, Window.MONTH),
        hold(5, Unit.CONCURRENT, Window.WHILE_OPEN),
    ]


async def used(counters, holds):
    await counters.reserve([], Amounts())  # whoever comes next tidies up
    return [level.used for level in await counters.levels(holds)]


async def test_a_ticket_that_nobody_holds(counters, holds, clock):
    """A request that was lost must not keep its place for ever; that it was made still counts."""
    await counters.reserve(holds, NEED)

    clock.move(29.9)
    before = await used(counters, holds)
    clock.move(0.1)
    after = await used(counters, holds)

    assert (before, after) == ([1, 10, 10, 1], [1, 0, 0, 0])


async def test_a_ticket_that_somebody_holds(counters, holds, clock):
    """A stream may last; but a ticket that was forgotten in a list ends too."""
    verdict = await counters.reserve(holds, NEED)

    seen = []
    for _ in range(123):
        clock.move(30)
        seen.append(await used(counters, holds))

    assert seen[:119] == [[1, 10, 10, 1]] * 119
    assert seen[-1] == [1, 0, 0, 0]
    assert not verdict.ticket.is_settled


async def test_settled_after_its_lease(counters, holds, clock):
    """What was given back comes back, and in full."""
    verdict = await counters.reserve(holds, NEED)
    clock.move(3601)
    await used(counters, holds)
    clock.move(31)
    assert await used(counters, holds) == [1, 0, 0, 0]

    counters.settle(verdict.ticket, Amounts(tokens=8, cost=30))

    assert await used(counters, holds) == [1, 8, 30, 0]


async def test_nothing_used_after_its_lease(counters, holds, clock):
    verdict = await counters.reserve(holds, NEED)
    for _ in range(2):
        clock.move(3601)
        await used(counters, holds)

    counters.settle(verdict.ticket, None)

    assert await used(counters, holds) == [1, 0, 0, 0]


async def test_counters_that_nobody_uses_are_dropped(counters, hold, clock):
    """Keys hold user names and metadata, so there is no end of them."""
    most = 0
    for number in range(6_000):
        verdict = await counters.reserve([hold(5, key=f"user-{number}")], NEED)
        counters.settle(verdict.ticket, None if number % 2 else NEED)
        clock.move(0.1)
        most = max(most, len(counters))

    assert most < 2_000
    clock.move(61)
    for _ in range(20):
        await used(counters, [])
        clock.move(0.1)
    assert len(counters) == 0


async def test_a_counter_in_use_is_kept(counters, hold, clock):
    month = hold(5, window=Window.MONTH, key="kept")
    await counters.reserve([month], NEED)
    for number in range(100):
        counters.settle((await counters.reserve([hold(5, key=f"user-{number}")], NEED)).ticket, None)
        clock.move(60)

    assert await used(counters, [month]) == [1]


@pytest.mark.parametrize("back_s", [0.7, 3600])
async def test_the_clock_is_set_back(counters, hold, clock, back_s):
    """It neither forgets what was used nor stays closed for longer than a window."""
    limit, month = hold(1), hold(9, window=Window.MONTH)
    clock.move(86400)
    await counters.reserve([limit, month], NEED)

    clock.move(-back_s)
    refused = await counters.reserve([limit], NEED)
    clock.move(61.3)
    passed = await counters.reserve([limit, month], NEED)

    assert refused.ticket is None
    assert [level.used for level in passed.levels] == [1, 2]

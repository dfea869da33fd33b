"""What counters in memory do besides: tickets that are lost, counters nobody uses, a clock that is set."""

import asyncio
import gc

import pytest

from gateway.contract.limits import Amounts, Unit
from gateway.contract.windows import Window
from gateway.state.counters.memory import MemoryCounters

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
    """A request that was lost must not keep its place; that it was made still counts."""
    verdict = await counters.reserve(holds, NEED)
    before = await used(counters, holds)

    del verdict
    clock.move(0.1)

    assert (before, await used(counters, holds)) == ([1, 10, 10, 1], [1, 0, 0, 0])


async def test_a_ticket_that_only_a_ring_of_references_holds(counters, holds, clock):
    """As an exception and its frames are: the collector finds them, at any time and in any thread."""
    ring = [await counters.reserve(holds, NEED)]
    ring.append(ring)
    del ring

    await asyncio.to_thread(gc.collect)
    clock.move(0.1)

    assert await used(counters, holds) == [1, 0, 0, 0]


async def test_a_ticket_that_was_settled_is_not_given_back_again(counters, holds, clock):
    verdict = await counters.reserve(holds, NEED)
    counters.settle(verdict.ticket, Amounts(tokens=8, cost=30))

    del verdict
    clock.move(0.1)

    assert await used(counters, holds) == [1, 8, 30, 0]


async def test_a_ticket_that_somebody_holds(counters, holds, clock):
    """A stream may last: what it uses counts when it ends, and its place is its own until then."""
    verdict = await counters.reserve(holds, NEED)

    seen = []
    for _ in range(120):
        clock.move(30)
        seen.append(await used(counters, holds))
    counters.settle(verdict.ticket, Amounts(tokens=8, cost=30))

    assert seen == [[1, 10, 10, 1]] * 120
    assert await used(counters, holds) == [1, 8, 30, 0]


async def test_what_was_reserved_has_left_the_window_when_it_is_settled(counters, holds, clock):
    """Nothing comes back, and what was used beyond it counts from now; last month is over."""
    verdict = await counters.reserve(holds, NEED)
    clock.move(40 * 86400)
    assert await used(counters, holds) == [0, 0, 0, 1]

    counters.settle(verdict.ticket, Amounts(tokens=18, cost=30))

    assert await used(counters, holds) == [0, 8, 0, 0]


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

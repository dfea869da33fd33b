"""Redis slow, frozen, gone or useless: nobody fails, nobody waits long, limits hold as their policy says."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
import structlog
from redis import asyncio as aioredis

from gateway.contract.limits import Amounts, Mode, Unit, WhenLost
from gateway.contract.windows import Window
from gateway.errors import Unavailable
from gateway.state.counters.failover import FailoverCounters

NEED = Amounts(tokens=10, cost=10)
NOWHERE = "redis://:canary@127.0.0.1:1/0"


@pytest.fixture
async def failing_over(shared):
    """`failing_over(url, ...)`: counters that try again soon, so that tests need not wait."""
    made = []

    def make(url, probe_s=0.05, deadline_s=0.05, **options):
        made.append(
            FailoverCounters(shared(url, **options), probe_s=probe_s, deadline_s=deadline_s, random=lambda: 0.0)
        )
        return made[-1]

    yield make
    for counters in made:
        await counters.close()


@pytest.fixture
async def lost(failing_over, hold):
    """`await lost(...)`: counters whose Redis was never there, and who know it."""

    async def make(**options):
        counters = failing_over(NOWHERE, **options)
        await counters.reserve([hold(1, key="first", when_lost=WhenLost.OPEN)], NEED)
        return counters

    return make


async def times(count, counters, *holds, need=NEED):
    """How many of so many requests passed."""
    verdicts = [await counters.reserve(holds, need) for _ in range(count)]
    return sum(verdict.ticket is not None for verdict in verdicts)


@asynccontextmanager
async def frozen(redis, _):
    with redis.frozen():
        yield


@asynccontextmanager
async def killed(redis, _):
    redis.stop()
    yield
    redis.start()


@asynccontextmanager
async def read_only(redis, _):
    async with aioredis.Redis.from_url(redis.url) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        await client.execute_command("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def out_of_memory(redis, _):
    async with aioredis.Redis.from_url(redis.url) as client:
        await client.config_set("maxmemory", 1)
        yield
        await client.config_set("maxmemory", 0)


@asynccontextmanager
async def slow(_, proxy):
    proxy.slow_s = 0.2
    yield
    proxy.slow_s = 0.0


@asynccontextmanager
async def without_scripts(redis, _):
    async with aioredis.Redis.from_url(redis.url) as client:
        await client.execute_command("ACL", "SETUSER", "default", "-@scripting")
        yield
        await client.execute_command("ACL", "SETUSER", "default", "+@all")


async def test_while_all_is_well(failing_over, redis_url, hold):
    # Far from what a busy machine takes, for this test is about what is asked and not about time.
    counters = failing_over(redis_url, deadline_s=5)

    verdict = await counters.reserve([hold(9)], NEED)
    counters.settle(verdict.ticket, None)
    [level] = await counters.levels([hold(9)])

    assert (verdict.is_local, verdict.levels[0].used, level.used) == (False, 1, 0)
    assert (counters.problem, counters.times_lost) == (None, 0)


@pytest.mark.parametrize(
    ("trouble", "problem"),
    [
        (frozen, "redis does not answer in time"),
        (killed, "redis cannot be reached: ConnectionError"),
        (read_only, "redis refuses: "),
        (out_of_memory, "redis refuses: "),
        (slow, "redis does not answer in time"),
        (without_scripts, "redis refuses: "),
    ],
)
async def test_trouble_comes_and_goes(failing_over, proxy, own_redis, hold, until, trouble, problem):
    """Requests pass all the while, and what they used is charged once in the end, whoever counted them."""
    between = await proxy(own_redis.url)
    counters = failing_over(between.url)
    tokens = hold(1000, Unit.TOKENS, Window.DAY)
    async with asyncio.timeout(10):
        while (before := await counters.reserve([tokens], NEED)).is_local:  # the machine may be slow, too
            counters.settle(before.ticket, None)
            await asyncio.sleep(0.01)

    with structlog.testing.capture_logs() as logs:
        async with trouble(own_redis, between):
            began = time.perf_counter()
            verdicts = [await counters.reserve([tokens], NEED) for _ in range(50)]
            took_s = time.perf_counter() - began
            seen = counters.problem
            counters.settle(before.ticket, Amounts(tokens=7))
            for verdict in verdicts[1:]:
                counters.settle(verdict.ticket, Amounts(tokens=2))
        await until(lambda: counters.problem is None)
    counters.settle(verdicts[0].ticket, Amounts(tokens=3))

    assert all(verdict.ticket and verdict.is_local for verdict in verdicts)
    assert seen.startswith(problem)
    assert took_s < 1, "if each had waited, it would be 2.5 s"
    assert [entry["event"] for entry in logs] == [
        "counters degraded",
        *(["redis has lost its counters"] if trouble is killed else []),
        "counters are back",
    ]
    [level] = await asyncio.wait_for(settled(counters, tokens), 30)
    assert level.used == 7 + 49 * 2 + 3


async def settled(counters, hold):
    """Asks until Redis answers in time, which a busy machine may prevent."""
    while True:
        try:
            return await counters.levels([hold])
        except Unavailable:
            await asyncio.sleep(0.01)


async def test_frozen_under_load(failing_over, own_redis, hold, until):
    """As it is set in production: those who are there when it freezes wait once, and it is back within 2 s."""
    counters = failing_over(own_redis.url, probe_s=1.0)
    limit = hold(10_000)
    await settled(counters, limit)

    with own_redis.frozen():
        began = time.perf_counter()
        verdicts = await asyncio.gather(*(counters.reserve([limit], NEED) for _ in range(200)))
        took_s = time.perf_counter() - began
        await counters.reserve([limit], NEED)
    await until(lambda: counters.problem is None, within_s=3)

    assert all(verdict.ticket and verdict.is_local for verdict in verdicts)
    assert (counters.times_lost, counters.passed_locally) == (1, 201)
    assert took_s < 2, "one after another, they would take 10 s"


async def test_it_is_not_there_at_the_start(lost, hold):
    """The gateway starts all the same, and the log and /readyz do not tell its password."""
    with structlog.testing.capture_logs() as logs:
        counters = await lost()

    assert await times(5, counters, hold(3)) == 3
    assert (counters.passed_locally, counters.refused_locally) == (4, 2)
    assert logs == [
        {"event": "counters degraded", "log_level": "warning", "reason": "redis cannot be reached: ConnectionError"}
    ]


async def test_each_replica_keeps_to_its_share(failing_over, own_redis, hold, clock):
    one, two = [failing_over(own_redis.url, deadline_s=5, server_now_s=clock) for _ in range(2)]
    for counters in (one, two, one):
        await counters.levels([])

    own_redis.stop()
    passed = [await times(9, counters, hold(5)) for counters in (one, two)]
    own_redis.start()

    assert passed == [3, 3]


@pytest.mark.parametrize("when_lost", list(WhenLost))
async def test_what_takes_nothing_of_a_budget_is_not_refused_by_it(lost, hold, when_lost):
    """Whatever others may have used of it meanwhile."""
    counters = await lost()
    closed = hold(5, Unit.COST, Window.MONTH, when_lost=when_lost, is_budget=True)

    assert (await counters.reserve([closed], Amounts(tokens=7))).ticket is not None


@pytest.mark.parametrize(("when_lost", "passed"), [(WhenLost.LOCAL, 2), (WhenLost.OPEN, 9), (WhenLost.CLOSED, 0)])
async def test_each_limit_has_its_policy(lost, hold, when_lost, passed):
    assert await times(9, await lost(), hold(2, when_lost=when_lost)) == passed


async def test_a_refusal_says_when_to_come_again(lost, hold):
    """Not "never": the limit itself is large enough, and may be there again soon."""
    counters = await lost(probe_s=1.0)
    closed = hold(5, when_lost=WhenLost.CLOSED)

    refused = await counters.reserve([closed], NEED)
    never = await counters.reserve([closed, hold(5, Unit.TOKENS)], NEED)

    assert (refused.is_local, refused.refused.hold, refused.retry_after_s) == (True, closed, 1.0)
    assert never.retry_after_s is None


@pytest.mark.parametrize(
    ("used", "passed"),
    [(None, 0), (0, 10), (79, 2), (89, 1), (90, 0), (100, 0)],
    ids=["never seen", "unused", "79 %", "89 %", "90 %", "used up"],
)
async def test_budgets_near_their_end_are_closed(lost, hold, clock, used, passed):
    """Others may be spending the rest just now. What the ledger told is as good as seen."""
    budget = hold(100, Unit.COST, Window.MONTH, is_budget=True)
    counters = await lost(server_now_s=clock)

    if used is not None:
        await counters.restore([(budget, clock(), used)])

    assert await times(12, counters, budget) == passed


async def test_a_budget_of_a_new_month(lost, hold, clock):
    """It was seen, and nobody had used anything when the month began."""
    budget = hold(100, Unit.COST, Window.MONTH, is_budget=True)
    counters = await lost(server_now_s=clock)
    await counters.restore([(budget, clock(), 100)])

    clock.move(31 * 86400)

    assert await times(12, counters, budget) == 10


async def test_a_share_of_what_was_left(failing_over, own_redis, hold, clock):
    """Of 100, 40 were used: two replicas may spend 30 more each."""
    one, two = [failing_over(own_redis.url, deadline_s=5, server_now_s=clock) for _ in range(2)]
    budget = hold(100, Unit.COST, Window.MONTH, is_budget=True)
    assert await times(4, one, budget) == 4
    for counters in (two, one):
        await counters.levels([budget])

    own_redis.stop()
    passed = [await times(9, counters, budget) for counters in (one, two)]
    own_redis.start()

    assert passed == [3, 3]


async def test_an_audit_passes_even_when_closed(lost, hold):
    counters = await lost()

    verdict = await counters.reserve([hold(5, mode=Mode.AUDIT, when_lost=WhenLost.CLOSED)], NEED)

    assert verdict.ticket is not None


async def test_a_ticket_has_the_limits_themselves(lost, hold):
    """Who reads them from it, to write a bill or an alert, must not take a share for the limit."""
    counters = await lost()
    holds = (hold(7), hold(9, Unit.TOKENS, when_lost=WhenLost.OPEN))

    verdict = await counters.reserve(holds, NEED)

    assert verdict.ticket.holds == holds
    assert [level.hold.limit for level in verdict.levels] == [7, 9]


async def test_levels_cannot_be_read(lost, hold):
    with pytest.raises(Unavailable, match="limits cannot be read just now"):
        await (await lost()).levels([hold(1)])


async def test_restarted_empty(failing_over, own_redis, hold, until):
    """It is filled from the ledger first, so that nobody has two allowances."""
    budget = hold(100, Unit.COST, Window.LIFETIME, is_budget=True)

    async def fill():
        await counters.restore([(budget, time.time(), 60)])

    counters = failing_over(own_redis.url, on_new_epoch=fill)
    await fill()
    await until(lambda: counters.problem is None)

    own_redis.stop()
    own_redis.start()
    await counters.reserve([hold(1)], NEED)
    await until(lambda: counters.problem is None)

    [level] = await asyncio.wait_for(settled(counters, budget), 30)
    assert level.used == 60


async def test_a_busy_process_does_not_take_redis_for_lost(failing_over, redis_url, hold):
    """It was busy for longer than the deadline, and had not looked whether the answer was there. Limits became shares,
    and budgets nobody had seen yet were closed."""
    counters = failing_over(redis_url)
    await counters.reserve([hold(100)], NEED)

    asking = asyncio.create_task(counters.reserve([hold(100)], NEED))
    for _ in range(3):
        await asyncio.sleep(0)
    time.sleep(0.1)
    verdict = await asking

    assert (verdict.is_local, counters.problem) == (False, None)

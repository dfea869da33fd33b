"""Counters in Redis: what replicas see of each other, and what is exact whatever gets lost on the way."""

import asyncio
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from redis import asyncio as aioredis

from gateway.contract.limits import Amounts, Unit
from gateway.contract.windows import Window
from gateway.errors import Unavailable
from gateway.state.counters.redis import RedisCounters

NEED = Amounts(tokens=10, cost=10)

CLIENTS = """
import asyncio, sys
from gateway.contract.limits import Amounts, Hold, Unit
from gateway.state.counters.redis import RedisCounters
from gateway.contract.windows import Window

async def main(url, prefix, unit, limit, rounds):
    counters = RedisCounters(url, prefix=prefix)
    async def client(hold):
        verdict = await counters.reserve([hold], Amounts(tokens=7, cost=70_000_000))
        return verdict.ticket
    for number in range(rounds):
        hold = Hold(key=f"round-{number}", rule="r", unit=Unit(unit), window=Window.DAY, limit=limit)
        tickets = await asyncio.gather(*(client(hold) for _ in range(200)))
        print(sum(ticket is not None for ticket in tickets), flush=True)
    await counters.close()

url, prefix, unit, limit, rounds = sys.argv[1:]
asyncio.run(main(url, prefix, unit, int(limit), int(rounds)))
"""

KILLED = """
import asyncio, sys
from gateway.contract.limits import Amounts, Hold, Unit
from gateway.state.counters.redis import RedisCounters
from gateway.contract.windows import Window

async def main(url, prefix):
    counters = RedisCounters(url, prefix=prefix, server_now_s=lambda: 4102444800.0)
    holds = [
        Hold(key="requests", rule="r", unit=Unit.REQUESTS, window=Window.DAY, limit=100),
        Hold(key="cost", rule="r", unit=Unit.COST, window=Window.MONTH, limit=1000),
        Hold(key="open", rule="r", unit=Unit.CONCURRENT, window=Window.WHILE_OPEN, limit=50),
    ]
    kept = [await counters.reserve(holds, Amounts(cost=10)) for _ in range(50)]
    print(sum(verdict.ticket is not None for verdict in kept), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def used(counters, *holds):
    return [level.used for level in await counters.levels(holds)]


async def as_soon_as_filled(counters, *holds):
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                return await used(counters, *holds)
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("unit", "limit"),
    [("requests", 100), ("tokens", 700), ("cost", 7_000_000_000)],
    ids=["requests", "tokens", "money"],
)
def test_three_processes_admit_exactly_the_limit(redis_url, prefix, unit, limit):
    """200 clients at once in each, ten times: the limit is the limit, however many replicas there are."""
    command = [sys.executable, "-c", CLIENTS, redis_url, prefix, unit, str(limit), "10"]

    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [list(map(int, process.communicate(timeout=60)[0].split())) for process in processes]

    assert [sum(admitted) for admitted in zip(*counts, strict=True)] == [100] * 10


async def test_what_a_killed_process_had_reserved_is_given_back(shared, redis_url, prefix, hold, clock):
    """By whoever comes next after its lease, a few at a time; that the requests were made still counts."""
    counters = shared(redis_url, server_now_s=clock)
    holds = [
        hold(100, window=Window.DAY, key="requests"),
        hold(1000, Unit.COST, Window.MONTH, key="cost"),
        hold(50, Unit.CONCURRENT, Window.WHILE_OPEN, key="open"),
    ]
    process = subprocess.Popen([sys.executable, "-c", KILLED, redis_url, prefix], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "50\n"
    process.kill()
    process.communicate()

    clock.move(29.9)
    before = await used(counters, *holds)
    clock.move(0.1)
    after = [await used(counters, *holds) for _ in range(3)]

    assert before == [50, 500, 50]
    assert after == [[50, 300, 30], [50, 100, 10], [50, 0, 0]]


async def test_a_ticket_is_renewed_while_somebody_holds_it(shared, redis_url, hold, clock):
    one, two = [shared(redis_url, server_now_s=clock) for _ in range(2)]
    slots = hold(5, Unit.CONCURRENT, Window.WHILE_OPEN)
    _held = await one.reserve([slots], NEED)
    await one.reserve([slots], NEED)
    await one.levels([])  # until the loop has let go of it

    clock.move(20)
    await one.catch_up()
    clock.move(20)

    assert await used(two, slots) == [1]


async def test_tickets_are_renewed_without_being_told(shared, redis_url, hold, prefix, clock, until):
    counters = shared(redis_url, server_now_s=clock, lease_s=0.15)
    verdict = await counters.reserve([hold(5)], NEED)
    async with aioredis.Redis.from_url(redis_url) as redis:
        first = await redis.zscore(f"{prefix}leases", verdict.ticket.id)
        clock.move(0.1)

        async with asyncio.timeout(30):
            while await redis.zscore(f"{prefix}leases", verdict.ticket.id) == first:
                await asyncio.sleep(0.01)


async def test_no_ticket_is_renewed_for_ever(shared, redis_url, hold, clock):
    counters = shared(redis_url, server_now_s=clock, max_age_s=50)
    slots = hold(5, Unit.CONCURRENT, Window.WHILE_OPEN)
    verdict = await counters.reserve([slots], NEED)

    for _ in range(5):
        clock.move(20)
        await counters.catch_up()

    assert (await used(counters, slots), verdict.ticket.is_settled) == ([0], False)


async def test_settled_after_its_lease(shared, redis_url, hold, clock):
    """All but the request had been given back, so it counts again, in full and now."""
    counters = shared(redis_url, server_now_s=clock)
    holds = [hold(9, window=Window.DAY), hold(100, Unit.TOKENS), hold(100, Unit.COST, Window.MONTH)]
    verdict = await counters.reserve(holds, NEED)
    clock.move(31)
    assert await used(counters, *holds) == [1, 0, 0]

    counters.settle(verdict.ticket, Amounts(tokens=8, cost=30))

    assert await used(counters, *holds) == [1, 8, 30]


async def test_a_flushed_script_is_loaded_again(shared, redis_url, hold):
    """As after a failover; what is under way then counts once."""
    counters = shared(redis_url)
    limit = hold(9)
    await counters.reserve([limit], NEED)

    async with aioredis.Redis.from_url(redis_url) as redis:
        await redis.script_flush()
    verdict = await counters.reserve([limit], NEED)

    assert verdict.levels[0].used == 2


async def test_an_answer_that_got_lost(shared, proxy, redis_url, hold):
    """Redis has done it; asking again must not do it twice."""
    between = await proxy(redis_url)
    counters = shared(between.url)
    holds = [hold(9), hold(100, Unit.TOKENS)]
    await counters.reserve(holds, NEED)

    between.answers_lost = 1
    verdict = await counters.reserve(holds, NEED)
    after_reserving = await used(counters, *holds)
    between.answers_lost = 1
    counters.settle(verdict.ticket, Amounts(tokens=3))
    await counters.catch_up()

    assert (after_reserving, await used(counters, *holds)) == ([2, 20], [2, 13])
    assert between.answers_lost == 0


async def test_settlements_are_kept_until_redis_answers(shared, proxy, redis_url, hold):
    """Two answers in a row are lost, so the call fails; what it told is told again, and counts once."""
    between = await proxy(redis_url)
    counters = shared(between.url)
    tokens = hold(100, Unit.TOKENS)
    verdict = await counters.reserve([tokens], NEED)

    counters.settle(verdict.ticket, Amounts(tokens=25))
    between.answers_lost = 2
    with pytest.raises(Unavailable):
        await counters.catch_up()

    assert await used(counters, tokens) == [25]


async def test_what_failed_is_given_back(shared, proxy, redis_url, hold):
    """The caller was told that it was not decided, so it must not count, even though Redis had taken it."""
    between = await proxy(redis_url)
    counters = shared(between.url)
    limit = hold(9)
    await counters.reserve([limit], NEED)

    between.answers_lost = 2
    with pytest.raises(Unavailable):
        await counters.reserve([limit], NEED)

    assert await used(counters, limit) == [1]


async def test_a_caller_that_does_not_wait(shared, redis_url, hold):
    """Whenever it goes, what Redis took for it is given back."""
    counters = shared(redis_url)
    limit = hold(9)
    await counters.reserve([limit], NEED)

    for turns in range(6):
        task = asyncio.create_task(counters.reserve([limit], NEED))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            counters.settle(task.result().ticket, None)

    assert await used(counters, limit) == [1]


async def test_many_requests_go_in_one_call(shared, proxy, redis_url, hold):
    between = await proxy(redis_url)
    counters = shared(between.url)
    tokens = hold(10_000, Unit.TOKENS)
    await counters.levels([])
    before = between.requests

    verdicts = await asyncio.gather(*(counters.reserve([tokens], NEED) for _ in range(50)))
    for verdict in verdicts:
        counters.settle(verdict.ticket, Amounts(tokens=1))
    levels = await used(counters, tokens)

    assert [verdict.levels[0].used for verdict in verdicts] == list(range(10, 510, 10))
    assert (levels, between.requests - before) == ([50], 2)


async def test_a_settlement_goes_without_company(shared, redis_url, hold):
    """Soon, even if nobody asks for anything."""
    one, two = shared(redis_url), shared(redis_url)
    tokens = hold(100, Unit.TOKENS)
    verdict = await one.reserve([tokens], NEED)

    one.settle(verdict.ticket, Amounts(tokens=3))

    async with asyncio.timeout(30):
        while await used(two, tokens) != [3]:
            await asyncio.sleep(0.001)


async def test_closing_tells_what_is_left(shared, redis_url, prefix, hold):
    counters = RedisCounters(redis_url, prefix=prefix)
    tokens = hold(100, Unit.TOKENS)
    verdict = await counters.reserve([tokens], NEED)

    counters.settle(verdict.ticket, Amounts(tokens=3))
    await counters.close()

    assert await used(shared(redis_url), tokens) == [3]


@pytest.mark.parametrize("ahead_s", [-300, 300, 20 * 86400])
async def test_a_clock_that_is_wrong(shared, redis_url, hold, ahead_s):
    """Redis's clock decides, at the edge of a month too, so that nobody gets a second allowance."""
    wrong = shared(redis_url, clock=lambda: time.time() + ahead_s)
    right = shared(redis_url)
    holds = [hold(1), hold(1, window=Window.CALENDAR_DAY), hold(1, window=Window.MONTH)]

    first = await (wrong if ahead_s % 86400 else right).reserve(holds, NEED)
    second = await (right if ahead_s % 86400 else wrong).reserve(holds[2:], NEED)

    assert (first.ticket is not None, second.ticket) == (True, None)
    assert second.levels[0].resets_s == pytest.approx(first.levels[2].resets_s, abs=60)


async def test_replicas_know_how_many_they_are(shared, redis_url, clock):
    one, two = [shared(redis_url, server_now_s=clock) for _ in range(2)]
    await one.levels([])
    alone = one.replicas
    await two.levels([])
    await one.levels([])
    together = (one.replicas, two.replicas)

    clock.move(31)
    await one.catch_up()

    assert (alone, together, one.replicas) == (1, (2, 2), 1)


async def test_all_keys_have_the_prefix_and_an_end(shared, own_redis, hold):
    """One slot in a cluster, and nothing stays in a Redis that no gateway uses any more."""
    counters = shared(own_redis.url, prefix="{gateway}:")
    units = [hold(9), hold(9, window=Window.MONTH), hold(9, Unit.CONCURRENT, Window.WHILE_OPEN)]
    verdict = await counters.reserve(units, NEED)
    counters.settle((await counters.reserve(units, NEED)).ticket, NEED)
    await counters.catch_up()

    async with aioredis.Redis.from_url(own_redis.url) as redis:
        ends = {key: await redis.ttl(key) for key in await redis.keys()}

    assert len(ends) == 8
    assert all(key.startswith(b"{gateway}:") and ttl > 0 for key, ttl in ends.items())
    assert verdict.ticket is not None


async def test_redis_was_emptied(shared, redis_url, prefix, hold, clock):
    """It is filled from the ledger before anything is decided; who is under way pays in full, request included."""
    month, day = hold(100, Unit.COST, Window.MONTH), hold(9, window=Window.DAY)
    filled = []

    async def fill():
        filled.append(await asyncio.gather(counters.reserve([month], NEED), return_exceptions=True))
        await counters.restore([(month, clock(), 70)])

    counters = shared(redis_url, on_new_epoch=fill, server_now_s=clock)
    await counters.restore([])
    verdict = await counters.reserve([month, day], NEED)
    async with aioredis.Redis.from_url(redis_url) as redis:
        await redis.delete(*await redis.keys(f"{prefix}*"))

    clock.move(1)
    with pytest.raises(Unavailable, match="redis was empty"):
        await counters.reserve([month], NEED)
    counters.settle(verdict.ticket, Amounts(cost=5))

    assert await as_soon_as_filled(counters, month, day) == [75, 1]
    assert [type(error) for [error] in filled] == [Unavailable]


async def test_redis_is_filled_when_it_is_met(shared, redis_url, hold):
    """Unless that was done before: the gateway restores its counters when it starts, if it can."""
    calls = []

    async def fill():
        calls.append("filled")

    one, two = [shared(redis_url, on_new_epoch=fill) for _ in range(2)]
    await one.restore([])
    await one.levels([])
    assert calls == []
    with pytest.raises(Unavailable):
        await two.levels([])

    assert (await as_soon_as_filled(two, hold(9)), calls) == ([0], ["filled"])


async def test_filling_it_fails(shared, redis_url, hold):
    """It is tried again with the next request."""
    calls = []

    async def fill():
        calls.append("tried")
        if len(calls) == 1:
            raise ConnectionError("no database")

    counters = shared(redis_url, on_new_epoch=fill)
    with pytest.raises(Unavailable):
        await counters.levels([])

    assert (await as_soon_as_filled(counters, hold(9)), calls) == ([0], ["tried", "tried"])


async def test_a_redis_without_scripts(shared, own_redis):
    """Some proxies and permissions forbid them. That is said, and not taken for an empty counter."""
    async with aioredis.Redis.from_url(own_redis.url) as redis:
        await redis.acl_setuser(
            "plain", enabled=True, passwords="+canary", categories=["+@all", "-@scripting"], keys="*"
        )
    counters = shared(own_redis.url.replace("redis://", "redis://plain:canary@"))

    with pytest.raises(Unavailable, match=r"redis refuses: .*evalsha") as error:
        await counters.levels([])

    assert "canary" not in str(error.value)


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://localhost:port"])
def test_what_is_no_url(url):
    with pytest.raises(ValueError, match=r"(?i)url|port|scheme"):
        RedisCounters(url)

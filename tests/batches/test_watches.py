"""Batches at providers are looked at by one process at a time, until they are billed; one suite for all stores."""

import asyncio

import pytest

from gateway.batches.watches import MemoryWatches
from gateway.batches.watching import Watching
from gateway.contract.batches import Watch
from gateway.errors import Unreachable
from gateway.state.database.batch_watches import StoredWatches

ONE, OTHER = Watch("a", "batch-1", "batch-1", 100.0), Watch("b", "batch-1", "batch-1-x", 101.0)


@pytest.fixture
async def watches(url):
    watches = StoredWatches(url, deadline_s=20.0) if url is not None else MemoryWatches()
    yield watches
    await watches.close()


async def test_one_looks_at_a_time(watches):
    await watches.add(ONE, due_s=130)
    await watches.add(OTHER, due_s=120)
    assert await watches.claim("me", now_s=119, lease_s=5) is None

    assert await watches.claim("me", now_s=130, lease_s=5) == OTHER
    assert await watches.claim("other", now_s=130, lease_s=5) == ONE
    assert await watches.claim("third", now_s=134, lease_s=5) is None
    # The first is held for longer, and the second given back.
    assert await watches.keep(OTHER, "me", until_s=150)
    await watches.later(ONE, "other", due_s=140)
    assert await watches.claim("third", now_s=139, lease_s=5) is None
    assert await watches.claim("third", now_s=149, lease_s=5) == ONE
    # Whoever was not heard of for too long has it no more.
    assert await watches.claim("third", now_s=150, lease_s=50) == OTHER
    assert not await watches.keep(OTHER, "me", until_s=300)
    await watches.later(OTHER, "me", due_s=0)
    assert await watches.claim("me", now_s=160, lease_s=5) == ONE

    await watches.done(ONE)
    await watches.done(OTHER)
    await watches.done(OTHER)
    assert await watches.claim("me", now_s=999, lease_s=5) is None


async def test_who_sees_that_it_has_ended_brings_it_forward(watches):
    """And nobody puts it off, nor takes it from whoever looks at it."""
    await watches.add(ONE, due_s=900)
    await watches.add(ONE, due_s=110)
    await watches.add(ONE, due_s=500)

    assert await watches.claim("me", now_s=110, lease_s=50) == ONE
    await watches.add(ONE, due_s=111)
    assert await watches.claim("other", now_s=120, lease_s=5) is None


async def test_several_claim_at_once(watches):
    await watches.add(ONE, due_s=0)

    claimed = await asyncio.gather(*[watches.claim(f"process-{number}", now_s=10, lease_s=5) for number in range(4)])

    assert [each for each in claimed if each is not None] == [ONE]


async def test_several_add_at_once(watches):
    await asyncio.gather(*[watches.add(ONE, due_s=number) for number in range(4)])

    assert await watches.claim("me", now_s=0, lease_s=5) == ONE


async def test_memory_is_bounded():
    watches = MemoryWatches(max_watches=1)
    await watches.add(ONE, due_s=0)
    await watches.add(OTHER, due_s=0)

    assert await watches.claim("me", now_s=1, lease_s=9) == OTHER
    assert await watches.claim("me", now_s=1, lease_s=9) is None


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("age_s", "wait_s"), [(10, 30), (3000, 300), (86400, 900)])
async def test_looks_become_rarer(until, noted, age_s, wait_s):
    """Whatever goes wrong: a batch that cannot be asked for is not asked for all the time."""
    clock, looks = Clock(), []
    clock.now = 100.0 + age_s

    async def look(watch):
        looks.append(clock.now)
        raise Unreachable("no provider")

    async def give_up(watch):
        raise AssertionError

    await noted.add(ONE, due_s=0)
    async with Watching(noted, look=look, give_up=give_up, clock=clock, poll_s=0.001).running():
        await until(lambda: noted.given_back == [ONE])
        clock.now += wait_s - 1
        await asyncio.sleep(0.01)
        assert len(looks) == 1
        clock.now += 1
        await until(lambda: len(looks) == 2)


async def test_nobody_looks_for_ever(until, noted):
    """What could not be asked for is told as having an unknown price."""
    clock, given_up = Clock(), []
    clock.now = 100.0 + 41 * 86400

    async def look(watch):
        raise RuntimeError("a fault of our own")

    async def give_up(watch):
        given_up.append(watch)

    await noted.add(ONE, due_s=0)
    async with Watching(noted, look=look, give_up=give_up, clock=clock, poll_s=0.001).running():
        await until(lambda: not noted.open)

    assert given_up == [ONE]


async def test_who_is_stopped_gives_it_back(until):
    watches, looks = MemoryWatches(), []

    async def look(watch):
        looks.append(watch)
        await asyncio.Event().wait()

    async with Watching(watches, look=look, give_up=look, clock=lambda: 500.0, poll_s=0.001).running():
        await watches.add(ONE, due_s=0)
        await until(lambda: looks)

    assert await watches.claim("other", now_s=500.0, lease_s=5) == ONE

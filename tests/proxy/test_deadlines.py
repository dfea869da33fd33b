"""Deadlines: most are met, and then they cost nothing."""

import asyncio

from gateway.proxy.deadlines import Deadlines


async def test_what_stays_in_is_told_once():
    told = asyncio.Queue()
    overdue = Deadlines(0.01, told.put_nowait)
    loop = asyncio.get_running_loop()
    added = loop.time()

    overdue.add("late", loop)

    assert await told.get() == "late"
    assert loop.time() - added >= 0.0099
    overdue.add("later", loop)
    assert await told.get() == "later"
    assert told.empty()


async def test_what_was_taken_out_in_time_is_not_told():
    told = asyncio.Queue()
    overdue = Deadlines(0.01, told.put_nowait)
    loop = asyncio.get_running_loop()

    overdue.add("in time", loop)
    overdue.add("late", loop)
    overdue.discard("in time")
    overdue.discard("never there")

    assert await told.get() == "late"
    assert told.empty()


async def test_all_that_are_due_are_told_in_their_order():
    told = asyncio.Queue()
    overdue = Deadlines(0.01, told.put_nowait)
    loop = asyncio.get_running_loop()

    for item in range(3):
        overdue.add(item, loop)

    assert [await told.get() for _ in range(3)] == [0, 1, 2]


def test_a_loop_that_ended_takes_nothing_with_it():
    """A gateway may be closed and opened again in another event loop."""
    told = []
    overdue = Deadlines(0.001, told.append)

    async def add(item):
        overdue.add(item, asyncio.get_running_loop())

    async def add_and_wait(item):
        await add(item)
        while item not in told:
            await asyncio.sleep(0.001)

    asyncio.run(add("before"))
    asyncio.run(add_and_wait("after"))

    assert "after" in told

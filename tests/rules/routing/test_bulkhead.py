"""So many at once, so many in the queue, and everybody's turn comes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.provider import Concurrency
from gateway.errors import Overloaded
from gateway.rules.routing import AsyncBulkhead, Bulkhead, Stage


def stages(tickets):
    return [str(ticket.stage) for ticket in tickets]


def test_admits_queues_and_refuses():
    bulkhead = Bulkhead(max_concurrent=2, max_queued=1)

    tickets = [bulkhead.enter(0.0) for _ in range(4)]

    assert stages(tickets) == ["admitted", "admitted", "queued", "refused"]
    assert bulkhead.running == 2


def test_who_leaves_admits_the_next():
    bulkhead = Bulkhead(1, 2)
    first, second, third = (bulkhead.enter(0.0) for _ in range(3))

    assert bulkhead.leave(first, 1.0) == [second]
    assert bulkhead.leave(first, 1.0) == []
    assert bulkhead.leave(second, 2.0) == [third]
    assert bulkhead.leave(third, 3.0) == []
    assert bulkhead.running == 0


def test_who_gives_up_leaves_too():
    """In the queue it makes room there; admitted without knowing it, its place goes to the next."""
    bulkhead = Bulkhead(1, 2)
    running, tired, late = (bulkhead.enter(0.0) for _ in range(3))

    assert bulkhead.leave(tired, 0.5) == []
    assert stages([tired, bulkhead.enter(0.5)]) == ["gone", "queued"]
    assert bulkhead.leave(running, 1.0) == [late]
    assert stages(bulkhead.leave(late, 1.0)) == ["admitted"]


def test_leaving_refused_takes_nothing():
    bulkhead = Bulkhead(1, 0)
    bulkhead.enter(0.0)

    assert bulkhead.leave(bulkhead.enter(0.0), 0.0) == []
    assert bulkhead.running == 1


def test_higher_priority_first_and_in_the_order_of_arrival_among_equals():
    bulkhead = Bulkhead(1, 10)
    running = bulkhead.enter(0.0)
    queued = {name: bulkhead.enter(0.0, priority=len(name) - 1) for name in ("a", "bb", "c", "dd", "eee")}
    names = {ticket: name for name, ticket in queued.items()}

    turns = []
    while admitted := bulkhead.leave(running, 1.0):
        (running,) = admitted
        turns.append(names[running])

    assert turns == ["eee", "bb", "dd", "a", "c"]


def test_nobody_starves():
    """A step of priority is worth ten seconds: those who come later than that stand behind."""
    bulkhead = Bulkhead(1, 100)
    running = bulkhead.enter(0.0)
    humble = bulkhead.enter(0.0, priority=0)

    now_s = 0.0
    while running is not humble:
        now_s += 1.0
        bulkhead.enter(now_s, priority=1)
        (running,) = bulkhead.leave(running, now_s)

    assert now_s == 10.0


def test_who_waited_too_long_is_never_admitted():
    bulkhead = Bulkhead(1, 10)
    running = bulkhead.enter(0.0)
    short, long = bulkhead.enter(0.0, deadline_s=5.0), bulkhead.enter(0.0, deadline_s=9.0)

    assert bulkhead.leave(running, 5.0) == [long]
    assert bulkhead.leave(short, 5.0) == []
    assert stages([short, long]) == ["gone", "admitted"]


def test_who_may_not_wait_is_admitted_or_refused():
    bulkhead = Bulkhead(1, 10)

    assert stages(bulkhead.enter(5.0, deadline_s=5.0) for _ in range(2)) == ["admitted", "refused"]


def test_expired_ones_do_not_keep_others_out():
    """Where there is room, nobody is queued, even behind somebody who has not left yet."""
    bulkhead = Bulkhead(1, 10)
    running = bulkhead.enter(0.0)
    expired = bulkhead.enter(0.0, deadline_s=1.0)

    assert bulkhead.leave(running, 2.0) == []
    assert bulkhead.enter(2.0).stage is Stage.ADMITTED
    assert bulkhead.leave(expired, 2.0) == []


def test_limits_may_change():
    bulkhead = Bulkhead(1, 10)
    tickets = [bulkhead.enter(0.0) for _ in range(5)]

    assert bulkhead.resize(3, 10, 1.0) == tickets[1:3]
    assert bulkhead.resize(1, 0, 2.0) == []
    assert bulkhead.running == 3
    assert bulkhead.leave(tickets[0], 3.0) == []
    assert bulkhead.leave(tickets[1], 3.0) == []
    assert bulkhead.leave(tickets[2], 3.0) == [tickets[3]]
    assert bulkhead.enter(3.0).stage is Stage.REFUSED


STEPS = st.one_of(
    st.tuples(st.just("enter"), st.integers(-2, 2), st.none() | st.floats(0, 5)),
    st.tuples(st.just("leave"), st.integers(0, 50)),
    st.tuples(st.just("wait"), st.floats(0, 3)),
    st.tuples(st.just("resize"), st.integers(0, 4), st.integers(0, 4)),
)


@given(st.integers(1, 4), st.integers(0, 4), st.lists(STEPS, max_size=80))
def test_never_too_many_and_nobody_is_lost(most, queued, steps):
    bulkhead, tickets, told, now_s = Bulkhead(most, queued), [], set(), 0.0

    def tell(admitted):
        assert not told & set(admitted)
        assert not admitted or bulkhead.running <= bulkhead.max_concurrent
        told.update(admitted)

    for kind, *values in steps:
        if kind == "enter":
            priority, wait_s = values
            deadline_s = float("inf") if wait_s is None else now_s + wait_s
            waiting = [ticket for ticket in tickets if ticket.stage is Stage.QUEUED]
            ticket = bulkhead.enter(now_s, priority=priority, deadline_s=deadline_s)
            tickets.append(ticket)
            if ticket.stage is Stage.REFUSED:
                assert len(waiting) >= bulkhead.max_queued or deadline_s <= now_s
            if ticket.stage is Stage.ADMITTED:
                tell([ticket])
        elif kind == "leave" and tickets:
            tell(bulkhead.leave(tickets[values[0] % len(tickets)], now_s))
        elif kind == "wait":
            now_s += values[0]
        elif kind == "resize":
            before = bulkhead.running
            admitted = bulkhead.resize(*values, now_s)
            assert bulkhead.running == before + len(admitted)
            tell(admitted)
        waiting = [ticket for ticket in tickets if ticket.stage is Stage.QUEUED]
        assert bulkhead.running == sum(ticket.stage is Stage.ADMITTED for ticket in tickets)
        assert all(ticket in told for ticket in tickets if ticket.stage is Stage.ADMITTED)
        if bulkhead.running < bulkhead.max_concurrent:
            assert all(ticket.deadline_s <= now_s for ticket in waiting)

    bulkhead.resize(1, 1, now_s)
    for ticket in tickets * 2:
        bulkhead.leave(ticket, now_s)
    assert {ticket.stage for ticket in tickets} <= {Stage.GONE, Stage.REFUSED}
    assert stages(bulkhead.enter(now_s) for _ in range(3)) == ["admitted", "queued", "refused"]


async def test_tasks_wait_for_each_other():
    bulkhead = AsyncBulkhead(Concurrency(2, 100, wait_s=60))
    running, most, done = 0, 0, []

    async def call(number):
        nonlocal running, most
        ticket = await bulkhead.enter()
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        bulkhead.leave(ticket)
        done.append(number)

    await asyncio.gather(*map(call, range(50)))

    assert most == 2
    assert done == list(range(50))
    assert bulkhead.bulkhead.running == 0


async def test_a_full_queue_and_a_long_wait_are_refused():
    bulkhead = AsyncBulkhead(Concurrency(1, 1, wait_s=0.001))
    running = await bulkhead.enter()
    waiting = asyncio.create_task(bulkhead.enter())
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match="too many requests are waiting"):
        await bulkhead.enter()
    with pytest.raises(Overloaded, match="nobody left in time"):
        await waiting

    bulkhead.leave(running)
    assert stages([await bulkhead.enter()]) == ["admitted"]


async def test_a_task_cancelled_while_it_waits_or_just_admitted_passes_its_place_on():
    bulkhead = AsyncBulkhead(Concurrency(1, 10, wait_s=60))
    running = await bulkhead.enter()
    tired, unlucky, lucky = (asyncio.create_task(bulkhead.enter()) for _ in range(3))
    await asyncio.sleep(0)

    tired.cancel()
    await asyncio.sleep(0)
    bulkhead.leave(running)  # admits the next, which does not run before it is cancelled
    unlucky.cancel()

    ticket = await lucky
    assert (tired.cancelled(), unlucky.cancelled()) == (True, True)
    assert bulkhead.bulkhead.running == 1
    bulkhead.leave(ticket)
    assert bulkhead.bulkhead.running == 0


async def test_more_room_wakes_those_who_wait():
    bulkhead = AsyncBulkhead(Concurrency(1, 10, wait_s=60))
    await bulkhead.enter()
    waiting = [asyncio.create_task(bulkhead.enter()) for _ in range(2)]
    await asyncio.sleep(0)

    bulkhead.resize(Concurrency(3, 10))

    assert stages(await asyncio.gather(*waiting)) == ["admitted", "admitted"]

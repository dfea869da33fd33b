"""Sums are folded in many steps, and whatever happens between two of them, they are right."""

import asyncio
from datetime import timedelta

import pytest

from gateway.state.requests.asked import Question
from gateway.state.requests.folding import CLAIM_S, Folder
from gateway.state.requests.store import RecordStore

from .conftest import NOON, NOW

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LATER = NOW + timedelta(seconds=CLAIM_S)


class Killed(BaseException):
    """As by SIGKILL: nothing is tidied up."""


@pytest.fixture
def records(record_of):
    """Of 12 people and 2 teams, in hours of four days."""
    return [
        record_of(
            number,
            at=NOON - DAY * (number % 4) - HOUR * (number % 5),
            subject=f"user:u{number % 12}@example.com",
            token_id=f"t{number % 12}",
            teams=(f"team{number % 2}",),
            cost_nanousd=number,
        )
        for number in range(120)
    ]


@pytest.fixture
async def other(store, records_url):
    other = RecordStore(records_url, metadata=["app"], clock=lambda: NOW, deadline_s=20.0, writing_s=20.0)
    yield other
    await other.close()


async def assert_right(store, records):
    """By person, of all four days and of whole hours."""
    expected = {}
    for record in records:
        requests, cost = expected.get((record.subject,), (0, 0))
        expected[record.subject,] = requests + 1, cost + record.cost_nanousd
    for step_s in (None, 3600):
        asked = Question(since=NOON - DAY * 5, until=NOW, by=("subject",), step_s=step_s)
        found = {}
        for each in await store.sums(asked, now=NOW):
            requests, cost = found.get(each.group, (0, 0))
            found[each.group] = requests + each.requests, cost + each.cost
        assert found == expected


def at(now):
    return lambda: now


def stops_after(steps):
    """A pause at which the process is killed."""
    left = [steps]

    async def pause(_):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return pause


def in_the_middle(what):
    """A pause in which something happens, once."""
    waiting = [what]

    async def pause(_):
        if waiting:
            await waiting.pop()()

    return pause


async def test_who_is_killed_leaves_nothing_wrong(store, other, records):
    """The next one waits until it is sure, and then makes anew what was not complete."""
    await store.write(records)
    for steps in (0, 1, 5, 17):
        with pytest.raises(Killed):
            await Folder(store, at(LATER + HOUR * steps), pause=stops_after(steps), at_once=7).fold()
        await assert_right(store, records)

    assert await Folder(other, at(LATER + HOUR * 17)).fold() == 0
    assert await Folder(other, at(LATER + HOUR * 18)).fold() > 0
    await assert_right(store, records)


async def test_a_record_that_comes_late_in_the_middle(store, other, records, record_of):
    """What is being made does not have it, and does not count; it is made anew, with the record."""
    late = [record_of(500 + number, at=NOON - DAY * number, cost_nanousd=7) for number in range(4)]
    await store.write(records)

    await Folder(store, at(NOW), pause=in_the_middle(lambda: other.write(late)), at_once=7).fold()
    await assert_right(store, [*records, *late])
    await store.fold()
    await assert_right(store, [*records, *late])
    assert await store.fold() == 0


async def test_two_fold_at_once(store, other, records):
    """Each span is folded once, by one of them."""
    await store.write(records)

    both = sum(await asyncio.gather(store.fold(), other.fold()))

    assert both > 0
    assert await store.fold(now=LATER) + both > 0
    assert await other.fold(now=LATER) == 0
    await assert_right(other, records)


async def test_replayed_records_count_once(store, records):
    """A batch whose answer was lost is written again, after its sums were folded."""
    await store.write(records)
    await store.fold()

    assert await store.write(records) == 0

    await assert_right(store, records)

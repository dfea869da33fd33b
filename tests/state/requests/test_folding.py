"""Sums are folded in many steps, and whatever happens between two of them, they are right."""

import asyncio
from datetime import timedelta

import pytest

from gateway.state.requests.asked import Question
from gateway.state.requests.folding import CLAIM_S, Folder
from gateway.state.requests.forgetting import Forgetting
from gateway.state.requests.store import RecordStore
from gateway.state.requests.tables import BINS, COUNTS

from .conftest import NOON, NOW, no_pause

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
    other = RecordStore(
        records_url, metadata=["app"], clock=lambda: NOW, deadline_s=20.0, writing_s=20.0, pause=no_pause
    )
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


async def test_a_record_that_comes_late_within_its_hour(store, record_of):
    """Its ten minutes are folded, its hour is not over: it is in both."""
    early = [record_of(number, subject="user:u0@example.com") for number in range(3)]
    late = record_of(9, subject="user:u0@example.com")
    await store.write(early)
    assert await store.fold(now=NOON + timedelta(minutes=20)) > 0

    await store.write([late])

    await assert_right(store, [*early, late])
    await store.fold()
    await assert_right(store, [*early, late])
    await store.fold(now=NOON + DAY)
    await assert_right(store, [*early, late])


async def rows_in(store, table):
    async with store.connection() as connection:
        return (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar()


async def test_who_writes_adds_to_minutes_alone(store, record_of):
    """Hours and days come of them, when they are over."""
    await store.write([record_of(1), record_of(2, at=NOON - HOUR), record_of(3, at=NOON + timedelta(minutes=59))])

    assert (await rows_in(store, "request_hours"), await rows_in(store, "request_days")) == (0, 0)
    await store.fold(now=NOW + timedelta(minutes=5))
    assert (await rows_in(store, "request_hours"), await rows_in(store, "request_days")) == (6, 0)
    await store.fold(now=NOON + DAY)
    assert (await rows_in(store, "request_hours"), await rows_in(store, "request_days")) == (6, 3)


async def test_minutes_stay_until_they_are_folded(store, records):
    """However long nobody did it: else they would be lost."""
    await store.write(records)
    minutes = await rows_in(store, "request_minutes")

    await store.forget(NOON - DAY * 30, now=NOW + DAY * 5)
    await assert_right(store, records)
    assert await rows_in(store, "request_minutes") == minutes

    await store.fold(now=NOW + DAY * 5)
    await store.forget(NOON - DAY * 30, now=NOW + DAY * 5)
    await assert_right(store, records)
    assert await rows_in(store, "request_minutes") == 0


async def test_a_record_that_is_older_than_all_minutes(store, records, record_of):
    """It is in the sums of its hour at once, and so in those of its day."""
    late = [record_of(500 + number, at=NOON - DAY * number, cost_nanousd=7) for number in range(4)]
    await store.write(records)
    await store.fold(now=NOW + DAY * 5)
    await store.forget(NOON - DAY * 30, now=NOW + DAY * 5)

    await store.write(late)

    await assert_right(store, [*records, *late])
    assert await store.fold(now=NOW + DAY * 5) > 0
    await assert_right(store, [*records, *late])
    assert await rows_in(store, "request_minutes") == 0


async def test_an_hour_without_minutes_is_not_made_anew(store, other, records):
    """Who began to fold long ago finds that another did it since, and that the minutes have gone."""

    async def overtaken():
        await other.fold(now=NOW + DAY * 4)
        await Forgetting(other, now=NOW + DAY * 5, batch=500).forget(NOON - DAY * 30)

    await store.write(records)

    with pytest.raises(Killed):
        await Folder(store, at(NOW), pause=stops_after(0), at_once=7).fold()
    await Folder(store, at(NOW + DAY), pause=in_the_middle(overtaken), at_once=7).fold()

    await assert_right(store, records)


async def as_before(store, *, forgets=True):
    """What the version before writes for each record beside the minutes. `forgets`: nobody has been here since."""
    sums = "sum({})"
    async with store.connection(writes=True) as connection:
        for table, length_s in (("request_hours", 3600), ("request_days", 86400)):
            await connection.exec_driver_sql(f"DELETE FROM {table}")
            at_ = f"at - at % {length_s}"
            key = "who, token_id, model, resolved_model, request_type, status"
            added = ", ".join(sums.format(name) for name in (*COUNTS, *BINS))
            names = f"kind, at, {key}, {', '.join((*COUNTS, *BINS))}"
            rows = f"SELECT kind, {at_}, {key}, {added} FROM request_minutes GROUP BY kind, {at_}, {key}"
            await connection.exec_driver_sql(f"INSERT INTO {table} ({names}) {rows}")
        if forgets:
            await connection.exec_driver_sql("DELETE FROM request_folded")
        await connection.exec_driver_sql(f"DELETE FROM request_minutes WHERE at < {(NOW - DAY * 2).timestamp():.0f}")
        await connection.commit()


@pytest.fixture
async def upgraded(records_url, records):
    """A database in which each record was written into minutes, hours and days."""
    long_ago = RecordStore(records_url, clock=lambda: NOW - DAY * 20, deadline_s=20.0, writing_s=20.0, pause=no_pause)
    await long_ago.write(records)
    await as_before(long_ago)
    await long_ago.close()
    store = RecordStore(records_url, clock=lambda: NOW, deadline_s=20.0, writing_s=20.0, pause=no_pause)
    yield store
    await store.close()


async def test_sums_of_the_version_before_stay(upgraded, records, record_of):
    """Nothing of them is counted twice, and what comes after is added."""
    late = [record_of(500 + number, at=NOON - HOUR * 13 * number, cost_nanousd=7) for number in range(8)]

    await assert_right(upgraded, records)
    await upgraded.fold()
    await assert_right(upgraded, records)
    await upgraded.write(late)
    await assert_right(upgraded, [*records, *late])
    await upgraded.fold(now=NOW + DAY * 5)
    await upgraded.forget(NOON - DAY * 30, now=NOW + DAY * 5)
    await assert_right(upgraded, [*records, *late])


async def test_the_days_of_the_version_before_are_not_made_anew(upgraded):
    """There may be a year of them."""
    await upgraded.open()

    async with upgraded.connection() as connection:
        query = "SELECT fold, length_s, count(*) FROM request_folded GROUP BY fold, length_s ORDER BY length_s"
        found = [tuple(row) for row in await connection.exec_driver_sql(query)]

    assert found == [("minutes", 0, 1), ("base", 3600, 48), ("base", 86400, 3)]


async def test_back_to_the_version_before_and_here_again(records_url, records):
    """It has deleted minutes that nobody had folded, but it wrote their hours, and those stay."""
    before = RecordStore(records_url, clock=lambda: NOW - DAY * 20, deadline_s=20.0, writing_s=20.0, pause=no_pause)
    await before.write(records)
    await as_before(before, forgets=False)
    await before.close()
    again = RecordStore(records_url, clock=lambda: NOW, deadline_s=20.0, writing_s=20.0, pause=no_pause)
    try:
        await assert_right(again, records)
        assert await again.fold() > 0
        await assert_right(again, records)
        await again.forget(NOON - DAY * 30, now=NOW + DAY * 5)
        await assert_right(again, records)
    finally:
        await again.close()

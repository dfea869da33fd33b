"""A process that is killed leaves bills for what was under way."""

import asyncio

import pytest
import structlog

from gateway.errors import Unavailable
from gateway.state.ledger import OpenRequests


class FakeNotes:
    """Keeps the note of each process. `problem` is raised instead."""

    def __init__(self):
        self.notes = {}
        self.problem = None

    async def note_open(self, replica, note, entries):
        self._check()
        self.notes[replica] = (note, list(entries))

    async def open_notes(self):
        self._check()
        return {replica: note for replica, (note, _) in self.notes.items()}

    async def open_entries(self, replica, note):
        self._check()
        found, entries = self.notes[replica]
        return entries if found == note else []

    async def forget_open(self, replica, note):
        self._check()
        if self.notes.get(replica, (None,))[0] == note:
            del self.notes[replica]

    def _check(self):
        if self.problem is not None:
            raise self.problem


class Process:
    """One with open requests, `open`, and what it wrote for others."""

    def __init__(self, store):
        self.open = []
        self.store = store
        self.is_settled = True
        self.written = []
        self.times_adopted = 0
        self.notes = OpenRequests(
            store, bills=lambda: self.open, write=self._write, adopted=self._adopted, settled=self._settled
        )

    async def _write(self, entries):
        self.written += [entry.request_id for entry in entries]

    async def _adopted(self):
        self.times_adopted += 1

    async def _settled(self):
        self.noted_when_settled = noted(self.store)
        return self.is_settled


@pytest.fixture
def store():
    return FakeNotes()


@pytest.fixture
def processes(store):
    return Process(store), Process(store)


def noted(store):
    return sorted(entry.request_id for _, entries in store.notes.values() for entry in entries)


async def test_what_is_open_is_noted_and_what_has_ended_is_not(processes, store, entry_of):
    process, _ = processes
    seen = []

    for now_open in ([], ["a"], ["a", "b"], ["b"], [], []):
        process.open = [entry_of(name) for name in now_open]
        await process.notes.note()
        seen.append(noted(store))

    assert seen == [[], ["a"], ["a", "b"], ["b"], [], []]
    assert store.notes == {}, "who has nothing open leaves nothing behind"


async def test_the_bills_of_a_dead_process_are_written_once(processes, store, entry_of):
    dead, alive = processes
    dead.open, alive.open = [entry_of("a"), entry_of("b")], [entry_of("c")]
    await dead.notes.note()

    with structlog.testing.capture_logs() as logs:
        for _ in range(6):
            await alive.notes.note()
            await alive.notes.look()

    assert (alive.written, alive.times_adopted) == (["a", "b"], 1)
    assert noted(store) == ["c"]
    assert [(line["event"], line["requests"]) for line in logs] == [("bills of a dead process written", 2)]


async def test_a_process_that_is_slow_is_not_dead(processes, store, entry_of):
    """Three looks go by, as in half a minute, and then it notes what is open again."""
    slow, other = processes
    slow.open = [entry_of("a")]

    for _ in range(5):
        await slow.notes.note()
        for _ in range(3):
            await other.notes.look()

    assert other.written == []
    assert noted(store) == ["a"]


async def test_nobody_is_dead_because_the_database_was_away(processes, store, away, entry_of):
    """Looks that saw nothing do not count, however long that took."""
    one, other = processes
    one.open = [entry_of("a")]
    await one.notes.note()
    await other.notes.look()
    store.problem = away
    for _ in range(10):
        with pytest.raises(Unavailable):
            await other.notes.look()
    store.problem = None
    await other.notes.look()
    await one.notes.note()
    await other.notes.look()

    assert other.written == []


async def test_bills_are_tried_again_until_they_are_written(processes, store, away, entry_of):
    dead, alive = processes
    dead.open = [entry_of("a")]
    await dead.notes.note()
    for _ in range(3):
        await alive.notes.look()

    forget, store.forget_open = store.forget_open, away_with(away)
    with pytest.raises(Unavailable):
        await alive.notes.look()
    store.forget_open = forget
    await alive.notes.look()

    assert alive.written == ["a", "a"], "the ledger knows the ids, so the second counts nothing"
    assert store.notes == {}


def away_with(problem):
    async def raises(*_):
        raise problem

    return raises


async def test_an_orderly_end_leaves_nothing(processes, store, entry_of):
    process, _ = processes
    process.open = [entry_of("a")]
    await process.notes.note()

    await process.notes.close()

    assert store.notes == {}


@pytest.mark.parametrize(("is_settled", "left"), [(True, []), (False, ["a"])])
async def test_a_note_stays_until_the_bills_are_safe(processes, store, entry_of, until, is_settled, left):
    """Killed in between, the process would leave neither the note nor the bills."""
    process, _ = processes
    process.open, process.is_settled = [entry_of("a")], is_settled

    async with process.notes.running():
        await until(lambda: noted(store))

    assert (process.noted_when_settled, noted(store)) == (["a"], left)


async def test_says_when_nothing_can_be_noted(processes, store, away, entry_of, until):
    """A disk that is full shows while requests are under way, and not only when they have ended."""
    process, _ = processes
    process.open = [entry_of("a")]
    store.problem = away
    running = asyncio.create_task(process.notes.run())
    await until(lambda: process.notes.problem is not None)
    during = process.notes.problem
    running.cancel()
    await asyncio.wait([running])

    assert during == "the database cannot be reached; try again in a moment"

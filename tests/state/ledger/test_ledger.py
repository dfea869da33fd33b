"""No request waits for the ledger, and each is in it once, whatever happens to database, disk and process."""

import asyncio

import pytest

from gateway.contract.limits import Hold, Unit
from gateway.contract.windows import Window
from gateway.errors import BadRequest, Unavailable
from gateway.state.database.ledger import LedgerStore
from gateway.state.database.migrate import migrate
from gateway.state.ledger import Ledger
from gateway.state.ledger.ledger import retry_delay_s


@pytest.fixture
async def ledger_of(store):
    """Makes ledgers that are closed at the end."""
    made = []

    def make(into=store, *, flush_s=0.001, **options):
        made.append(Ledger(into, flush_s=flush_s, random=lambda: 0.0, **options))
        return made[-1]

    yield make
    for ledger in made:
        await ledger.close(deadline_s=5)


def add(ledger, entry_of, numbers):
    for number in numbers:
        ledger.add(entry_of(number))


def names(numbers):
    return [str(number) for number in numbers]


async def test_writes_in_order_and_in_batches(ledger_of, store, entry_of, until):
    ledger = ledger_of()

    add(ledger, entry_of, range(450))
    assert ledger.waiting == 450
    await until(lambda: ledger.waiting == 0)

    assert [len(batch) for batch in store.batches] == [200, 200, 50]
    assert store.ids == names(range(450))
    assert (ledger.problem, ledger.dropped) == (None, 0)


async def test_a_full_batch_does_not_wait(ledger_of, store, entry_of, until):
    ledger = ledger_of(flush_s=60)

    add(ledger, entry_of, range(200))
    await until(lambda: ledger.waiting == 0)

    assert store.ids == names(range(200))


async def test_closing_writes_the_rest(ledger_of, store, entry_of):
    ledger = ledger_of(flush_s=60)
    add(ledger, entry_of, range(3))

    await ledger.close()
    await ledger.close()

    assert store.ids == ["0", "1", "2"]


# --- a database that is away -------------------------------------------------


async def test_keeps_what_the_database_does_not_take(ledger_of, store, entry_of, away, until):
    """It says so meanwhile, and writes all of it in order when the database is back."""
    store.problem = away
    ledger = ledger_of()

    add(ledger, entry_of, range(300))
    await until(lambda: ledger.problem)
    during = ledger.problem
    add(ledger, entry_of, range(300, 310))
    store.problem = None
    await until(lambda: ledger.waiting == 0 and ledger.problem is None)

    assert during == "the database cannot be reached; try again in a moment"
    assert store.ids == names(range(310))
    assert ledger.dropped == 0


@pytest.mark.parametrize(("failures", "shortest_s", "longest_s"), [(1, 0.125, 0.25), (3, 0.5, 1), (99, 2.5, 5)])
def test_does_not_storm_a_database_that_is_away(failures, shortest_s, longest_s):
    """It waits longer and longer between two tries, and not as long as the other replicas."""
    assert (retry_delay_s(failures, 0.0), retry_delay_s(failures, 1.0)) == (shortest_s, longest_s)


async def test_drops_the_newest_when_too_many_wait(ledger_of, store, entry_of, away, until, capsys):
    """Memory is not filled. It is counted, and said in the log without a line for each."""
    store.problem = away
    ledger = ledger_of(max_waiting=5)

    add(ledger, entry_of, range(105))
    store.problem = None
    await until(lambda: ledger.waiting == 0)

    assert store.ids == names(range(5))
    assert ledger.dropped == 100
    assert capsys.readouterr().out.count("ledger entries dropped") == 7  # at 1, 2, 4 ... 64


async def test_what_cannot_be_stored_does_not_hold_up_the_rest(ledger_of, store, entry_of, until):
    class Picky(type(store)):
        async def write(self, entries, *, at):
            if any(entry.request_id == "1" for entry in entries):
                raise BadRequest("the database cannot store a value")
            return await super().write(entries, at=at)

    picky = Picky()
    ledger = ledger_of(picky)

    add(ledger, entry_of, range(3))
    await until(lambda: ledger.waiting == 0)

    assert picky.ids == ["0", "2"]
    assert (ledger.dropped, ledger.problem) == (1, None)


async def test_a_fault_of_ours_loses_nothing(ledger_of, store, entry_of, until, capsys):
    """Only what the database refuses is left out."""
    store.problem = KeyError("oh")
    ledger = ledger_of()

    add(ledger, entry_of, range(3))
    await until(lambda: ledger.problem)
    during, store.problem = ledger.problem, None
    await until(lambda: ledger.waiting == 0)

    assert during == "the ledger is not written; the log has more"
    assert (store.ids, ledger.dropped) == (["0", "1", "2"], 0)
    assert "KeyError" in capsys.readouterr().out


async def test_closing_ends_in_time(ledger_of, store, entry_of):
    """A database that hangs does not keep the process from stopping; what is lost is counted."""
    store.may.clear()
    ledger = ledger_of()
    add(ledger, entry_of, range(3))

    async with asyncio.timeout(5):
        await ledger.close(deadline_s=0.05)

    assert (ledger.waiting, ledger.dropped) == (0, 3)


async def test_closing_tries_once_more(ledger_of, store, entry_of, away, until):
    """The database may have come back since the last try."""
    store.problem = away
    ledger = ledger_of(flush_s=0.01)
    add(ledger, entry_of, range(3))
    await until(lambda: store.asked == 1)

    store.problem = None
    await ledger.close()

    assert (store.ids, ledger.dropped) == (["0", "1", "2"], 0)


# --- the spool ---------------------------------------------------------------


async def test_spools_what_the_database_does_not_take(ledger_of, store, entry_of, away, until, tmp_path):
    """Memory stays free, and a kill loses nothing that was spooled."""
    store.problem = away
    ledger = ledger_of(spool=tmp_path / "spool", max_waiting=50)

    for first in range(0, 500, 50):
        add(ledger, entry_of, range(first, first + 50))
        await until(lambda: ledger.waiting == 0)
    during = ledger.problem
    store.problem = None
    await until(lambda: len(store.ids) == 500)
    await until(lambda: ledger.problem is None)

    assert "cannot be reached" in during
    assert sorted(store.ids, key=int) == names(range(500))
    assert ledger.dropped == 0
    await until(lambda: list((tmp_path / "spool").iterdir()) == [])


async def test_spools_what_closing_cannot_write(ledger_of, store, entry_of, tmp_path):
    """The next process writes it, and counts it before it lets anybody spend."""
    store.may.clear()
    first = ledger_of(spool=tmp_path)
    add(first, entry_of, range(3))
    await first.close(deadline_s=0.05)
    store.may.set()

    second = ledger_of(spool=tmp_path)
    await second.used()

    assert (store.ids, first.dropped) == (["0", "1", "2"], 0)


async def test_a_spool_that_is_full_is_told(ledger_of, store, entry_of, away, until, tmp_path):
    store.problem = away
    ledger = ledger_of(spool=tmp_path, max_spool_bytes=2000, max_waiting=10)

    add(ledger, entry_of, range(10))
    await until(lambda: "the spool is full" in (ledger.problem or ""))
    spooled = 10 - ledger.waiting
    add(ledger, entry_of, range(10, 30))
    store.problem = None
    await until(lambda: ledger.problem is None and ledger.waiting == 0)

    assert 0 < spooled < 10
    assert ledger.dropped == 20 - spooled
    assert sorted(store.ids, key=int) == names(range(10 + spooled))


async def test_a_spool_that_cannot_be_written_is_told(ledger_of, store, entry_of, away, until, tmp_path):
    """As on a disk that is full or read-only: entries wait in memory, as if there were none."""
    (tmp_path / "file").touch()
    store.problem = away
    ledger = ledger_of(spool=tmp_path / "file" / "spool")

    add(ledger, entry_of, range(3))
    await until(lambda: "spool" in (ledger.problem or ""))
    during, waiting = ledger.problem, ledger.waiting
    store.problem = None
    await until(lambda: ledger.problem is None)

    assert during.endswith("; the spool cannot be written: Not a directory")
    assert waiting == 3
    assert store.ids == ["0", "1", "2"]


async def test_a_spool_that_cannot_be_read_is_told(ledger_of, store, entry_of, until, tmp_path):
    """What comes after goes on being written."""
    (tmp_path / "0.spool").mkdir()
    ledger = ledger_of(spool=tmp_path)

    add(ledger, entry_of, range(3))
    await until(lambda: ledger.waiting == 0 and ledger.problem)

    assert ledger.problem == "the spool cannot be read: Is a directory"
    assert store.ids == ["0", "1", "2"]


async def test_the_spool_is_written_when_the_database_comes_late(ledger_of, store, entry_of, away, until, tmp_path):
    """A gateway may start before its database. Nobody has to send a request for what is old to be written."""
    store.problem = away
    first = ledger_of(spool=tmp_path)
    add(first, entry_of, range(3))
    await until(lambda: first.waiting == 0)
    await first.close()

    second = ledger_of(spool=tmp_path)
    with pytest.raises(Unavailable):
        await second.used()
    store.problem = None
    await until(lambda: len(store.ids) == 3)

    assert second.problem is None


# --- with a real database ----------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/gateway.db"
        await migrate(url)
        database = LedgerStore(url, deadline_s=20)
        yield database
        await database.close()
    else:
        with request.getfixturevalue("postgres").database() as url:
            await migrate(url)
            database = LedgerStore(url, deadline_s=20)
            yield database
            await database.close()


async def test_counters_are_rebuilt_from_it(ledger_of, database, entry_of):
    hold = Hold(key="org|cost|month", rule="org-cap", unit=Unit.COST, window=Window.MONTH, limit=3)
    ledger = ledger_of(database, clock=lambda: entry_of(0).at)
    add(ledger, entry_of, range(3))
    await ledger.close()

    assert await ledger_of(database, clock=lambda: entry_of(0).at).used() == [(hold, 1772323200.0, 3)]


class DiesAfter:
    """A store whose process is killed after it has written so many batches, and before it hears of it."""

    def __init__(self, store, batches):
        self.store = store
        self.left = batches

    async def write(self, entries, *, at):
        written = await self.store.write(entries, at=at)
        self.left -= 1
        if self.left == 0:
            raise asyncio.CancelledError
        return written


@pytest.mark.parametrize("batches", [1, 2, 3])
async def test_a_crash_between_spool_and_database_counts_nothing_twice(
    ledger_of, store, database, entry_of, away, until, tmp_path, batches
):
    """What was written is still in the spool, because the process died before it was taken out."""
    store.problem = away
    first = ledger_of(spool=tmp_path / "spool")
    add(first, entry_of, range(500))
    await until(lambda: first.waiting == 0)
    await first.close()
    dying = ledger_of(DiesAfter(database, batches), spool=tmp_path / "spool")
    with pytest.raises(asyncio.CancelledError):
        await dying.used()
    await dying.close()

    ((_, _, amount),) = await ledger_of(database, spool=tmp_path / "spool", clock=lambda: entry_of(0).at).used()

    assert amount == 500


async def test_an_outage_of_the_database_loses_nothing(ledger_of, entry_of, postgres, until, tmp_path):
    with postgres.database() as url:
        await migrate(url)
        database = LedgerStore(url)
        ledger = ledger_of(database, spool=tmp_path, clock=lambda: entry_of(0).at)
        add(ledger, entry_of, range(10))
        await until(lambda: ledger.waiting == 0)
        with postgres.stopped():
            add(ledger, entry_of, range(10, 310))
            await until(lambda: ledger.problem and ledger.waiting == 0)

        await until(lambda: ledger.problem is None)
        ((_, _, amount),) = await ledger.used()
        await ledger.close()
        await database.close()

    assert amount == 310

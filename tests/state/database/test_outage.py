"""A database that is away costs its caller a short wait and an error, and nothing that lasts."""

import asyncio
import sqlite3
from datetime import UTC, datetime

import pytest

from gateway.errors import Unavailable
from gateway.state.database.rows import Versions
from gateway.state.database.store import Store

ANA = "user:ana@example.com"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def put_user(store, email="bo@example.com"):
    async with store.change(ANA) as transaction:
        await transaction.put_user(email)


CALLS = {
    "versions": lambda store: store.versions(),
    "schema_state": lambda store: store.schema_state(),
    "history": lambda store: store.history(),
    "change": put_user,
    "note_used": lambda store: store.note_used({"t": NOW}),
}


@pytest.fixture
async def impatient(store, database_url, clock, in_the_end):
    """Gives up soon, and has a connection open already, however long the server took to let it in."""
    impatient = Store(database_url, clock=clock, deadline_s=0.4)
    await in_the_end(impatient.versions)
    yield impatient
    assert impatient._engine.pool.checkedout() == 0
    await impatient.close()


on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@on_postgres
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_frozen_server_is_given_up(impatient, postgres, in_the_end, call):
    """It keeps the connection and says nothing, as it is when its disk hangs or a firewall drops what is sent."""
    async with asyncio.timeout(60):
        with postgres.frozen(), pytest.raises(Unavailable, match="cannot be reached") as raised:
            await call(impatient)
        await in_the_end(lambda: call(impatient))

    assert raised.value.retry_after_s == 1


@on_postgres
async def test_a_server_that_was_frozen_at_the_start_is_found_later(store, database_url, postgres, in_the_end):
    fresh = Store(database_url, deadline_s=0.4)

    async with asyncio.timeout(60):
        with postgres.frozen(), pytest.raises(Unavailable, match="cannot be reached"):
            await fresh.versions()

    assert await in_the_end(fresh.versions) == Versions(0, 0)
    await fresh.close()


@on_postgres
@pytest.mark.parametrize("frozen_at", ["write", "end", "raise"])
async def test_a_server_that_freezes_within_a_change(impatient, store, postgres, in_the_end, frozen_at):
    """Nobody waits for the lock of a writer that was given up."""
    expected = KeyError if frozen_at == "raise" else Unavailable
    async with asyncio.timeout(60):
        with pytest.raises(expected):  # noqa: PT012
            async with impatient.change(ANA) as transaction:
                await transaction.put_user("a")
                with postgres.frozen():
                    if frozen_at == "raise":
                        raise KeyError
                    if frozen_at == "write":
                        await transaction.put_user("b")
                    await transaction.commit()  # as the end of the block does, but while it is frozen
        await put_user(store, "c")
        await in_the_end(lambda: put_user(impatient, "d"))

    assert [user.email for user in await store.users()] == ["c", "d"]


@on_postgres
async def test_many_callers_of_a_frozen_server(impatient, postgres, in_the_end):
    """More than there may be connections. Afterwards there are as many as before."""
    async with asyncio.timeout(60):
        with postgres.frozen():
            errors = await asyncio.gather(*[impatient.versions() for _ in range(30)], return_exceptions=True)
        answers = await asyncio.gather(*[in_the_end(impatient.versions) for _ in range(30)])

    assert {type(error) for error in errors} == {Unavailable}
    assert answers == [Versions(0, 0)] * 30


@on_postgres
async def test_a_server_that_freezes_does_not_hold_up_the_end(store, database_url, postgres, in_the_end):
    other = Store(database_url, deadline_s=0.4)
    await asyncio.gather(*[in_the_end(other.versions) for _ in range(8)])

    async with asyncio.timeout(60):
        with postgres.frozen():
            await other.close()

    assert other._engine.pool.checkedin() == other._engine.pool.checkedout() == 0


@on_postgres
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_server_that_was_started_again_is_found(store, postgres, call):
    """The connections from before are dead; the first to use one does not get to feel it."""
    await store.versions()
    with postgres.stopped(), pytest.raises(Unavailable, match="cannot be reached"):
        await call(store)

    await call(store)


@on_postgres
async def test_a_connection_that_the_server_ends_is_replaced(store, postgres):
    """As a server that is restarted between two calls does, or one who cleans up."""
    await asyncio.gather(*[store.versions() for _ in range(4)])
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")

    assert await store.versions() == Versions(0, 0)


@on_postgres
async def test_a_writer_whose_connection_ends_has_written_nothing(store, postgres):
    with pytest.raises(Unavailable):  # noqa: PT012
        async with store.change(ANA) as transaction:
            await transaction.put_user("a")
            postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
            await transaction.put_user("b")

    assert await store.users() == []


@on_postgres
async def test_says_when_it_cannot_tell_whether_the_change_was_made(store, sql):
    """The connection ends in the midst of the commit."""
    await sql(
        "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
    )
    await sql(
        "CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION leave()"
    )

    with pytest.raises(Unavailable, match="may have been made or not"):
        await put_user(store)


@on_sqlite
async def test_a_locked_file_is_given_up(impatient, database_url, in_the_end):
    """Reading goes on meanwhile."""
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async with asyncio.timeout(60):
        for write in (CALLS["change"], CALLS["note_used"]):
            with pytest.raises(Unavailable, match="locked by another writer"):
                await write(impatient)
        assert await in_the_end(impatient.versions) == Versions(0, 0)
    other.close()

    await in_the_end(lambda: put_user(impatient))
    assert await in_the_end(impatient.versions) == Versions(0, 1)


async def test_a_writer_who_waits_too_long_gives_up(impatient, store):
    """The one who has the lock is not disturbed."""
    async with store.change(ANA) as transaction:
        await transaction.put_user("a")
        with pytest.raises(Unavailable, match=r"locked by another writer|cannot be reached"):
            await put_user(impatient)
        await transaction.put_user("b")

    assert [user.email for user in await store.users()] == ["a", "b"]


class CancelledAt:
    """Awaits a coroutine and has its task cancelled when it waits for the `step`th time, from 0."""

    def __init__(self, coroutine, step):
        self.coroutine = coroutine
        self.step = step
        self.is_reached = False

    def __await__(self):
        waiting = self.coroutine.__await__()
        resume, value = waiting.send, None
        waits = 0
        while True:
            try:
                waited_for = resume(value)
            except StopIteration as stop:
                return stop.value
            if waits == self.step:
                self.is_reached = True
                asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
            waits += 1
            try:
                resume, value = waiting.send, (yield waited_for)
            except BaseException as error:
                resume, value = waiting.throw, error


@pytest.mark.parametrize("call", ["versions", "change", "note_used"])
async def test_can_be_cancelled_whenever_it_waits(store, database_url, clock, call):
    """No connection is lost, no lock stays taken, and a change was made as a whole or not at all."""
    steps = 0
    is_reached = True
    while is_reached:
        before = await store.versions()
        fresh = Store(database_url, clock=clock)  # so that connecting is cancelled, too
        cancelled = CancelledAt(CALLS[call](fresh), steps)

        (outcome,) = await asyncio.gather(cancelled, return_exceptions=True)

        is_reached = cancelled.is_reached
        assert isinstance(outcome, asyncio.CancelledError) is is_reached
        assert fresh._engine.pool.checkedout() == 0
        await fresh.close()
        if await store.users():
            assert await store.versions() == Versions(before.manifests, before.tokens + 1)
            async with store.change(ANA) as transaction:
                await transaction.delete_user("bo@example.com")
        else:
            assert await store.versions() == before
        steps += 1

    assert steps > 15

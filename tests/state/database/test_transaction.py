"""All of a change or nothing, one after the other, and nobody misses it."""

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.errors import Conflict
from gateway.state.database.rows import Versions
from gateway.state.database.store import Store

ANA = "user:ana@example.com"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def filled(store, token_of):
    """A store with one of everything; its counters are at 1."""
    async with store.change(ANA) as transaction:
        await transaction.put_manifest("team", "a", {"n": 0}, action="created")
        await transaction.put_user("bo@example.com")
        await transaction.add_token(token_of("t1"))
        await transaction.put_secret("openai", "key", "sealed")
    return store


@pytest.mark.parametrize(
    ("change", "versions"),
    [
        (lambda transaction: transaction.put_manifest("team", "a", {}, action="updated"), Versions(2, 1)),
        (lambda transaction: transaction.delete_manifest("team", "a", action="deleted"), Versions(2, 1)),
        (lambda transaction: transaction.put_secret("openai", "key", "other"), Versions(2, 1)),
        (lambda transaction: transaction.delete_secret("openai", "key"), Versions(2, 1)),
        (lambda transaction: transaction.put_user("cy@example.com"), Versions(1, 2)),
        (lambda transaction: transaction.put_user("bo@example.com"), Versions(1, 1)),
        (lambda transaction: transaction.set_user_active("bo@example.com", False), Versions(1, 2)),
        (lambda transaction: transaction.set_user_active("bo@example.com", True), Versions(1, 1)),
        (lambda transaction: transaction.delete_user("bo@example.com"), Versions(1, 2)),
        (lambda transaction: transaction.revoke_tokens(["t1"]), Versions(1, 2)),
        (lambda transaction: transaction.revoke_tokens(["unknown"]), Versions(1, 1)),
        (lambda transaction: transaction.expire_token("t1", START), Versions(1, 2)),
        (lambda transaction: transaction.note("looked", "team", "a"), Versions(1, 1)),
    ],
)
async def test_counts_what_others_have_to_read_again(filled, change, versions):
    async with filled.change(ANA) as transaction:
        assert transaction.versions == Versions(1, 1)
        await change(transaction)

    assert transaction.versions == versions
    assert await filled.versions() == versions


async def test_counts_once_for_a_transaction(filled, token_of):
    async with filled.change(ANA) as transaction:
        for name in ("a", "b", "c"):
            await transaction.put_manifest("team", name, {}, action="put")
            await transaction.put_user(name)
            await transaction.add_token(token_of(name))

    assert await filled.versions() == Versions(manifests=2, tokens=2)


async def everything(store):
    return (
        await store.versions(),
        await store.manifests(),
        await store.users(),
        await store.tokens(only_live=False),
        await store.secrets(),
        await store.history(),
        await store.pepper_check(),
    )


async def change_everything(transaction, token_of):
    await transaction.put_manifest("team", "a", {"n": 1}, action="updated")
    await transaction.put_manifest("team", "b", {"n": 1}, action="created")
    await transaction.set_user_active("bo@example.com", False)
    await transaction.revoke_tokens(["t1"])
    await transaction.add_token(token_of("t2"))
    await transaction.delete_secret("openai", "key")
    transaction.set_pepper_check("abc")


async def test_nothing_is_left_when_something_is_raised(filled, token_of):
    """An error of the caller's own passes as it is, even one that looks like the database's."""
    before = await everything(filled)

    with pytest.raises(TimeoutError, match="of the caller"):  # noqa: PT012
        async with filled.change(ANA) as transaction:
            await change_everything(transaction, token_of)
            raise TimeoutError("of the caller")

    assert await everything(filled) == before


async def test_nothing_is_left_of_a_dry_run(filled, token_of):
    """Inside, it reads what it wrote, so that one can see what would be."""
    before = await everything(filled)

    async with filled.change(ANA) as transaction:
        await change_everything(transaction, token_of)
        transaction.discard()
        assert [manifest.data for manifest in await transaction.manifests()] == [{"n": 1}, {"n": 1}]
        assert [user.is_active for user in await transaction.users()] == [False]
        assert [token.id for token in await transaction.tokens()] == ["t2"]
        assert await transaction.secrets() == []

    assert await everything(filled) == before


async def test_an_error_of_the_database_cannot_be_passed_over(filled, token_of):
    """PostgreSQL has forgotten the whole transaction by then, and takes a commit as if nothing had been."""
    before = await everything(filled)

    with pytest.raises(Conflict):  # noqa: PT012
        async with filled.change(ANA) as transaction:
            await transaction.put_manifest("team", "b", {}, action="created")
            with pytest.raises(Conflict):
                await transaction.add_token(token_of("t1"))

    assert await everything(filled) == before


async def test_no_update_is_lost(filled, database_url, clock):
    """Each reads a number and writes the next one; what it read is still true when it writes."""
    other = Store(database_url, clock=clock)

    async def increment(store):
        async with store.change(ANA) as transaction:
            (manifest,) = await transaction.manifests()
            await transaction.put_manifest("team", "a", {"n": manifest.data["n"] + 1}, action="updated")

    await asyncio.gather(*[increment(store) for store in (filled, other) * 4])
    await other.close()

    (manifest,) = await filled.manifests()
    assert (manifest.data, manifest.version) == ({"n": 8}, 9)
    assert await filled.versions() == Versions(manifests=9, tokens=1)
    assert [change.number for change in await filled.history("team", "a")] == [12, 11, 10, 9, 8, 7, 6, 5, 1]


async def test_a_second_writer_waits_for_the_first(filled):
    """It does not read before the first has written, so it cannot decide on what is no longer true."""
    told = []

    async def write(told_before):
        async with filled.change(ANA) as transaction:
            told.append([user.email for user in await transaction.users()])

    async with filled.change(ANA) as transaction:
        second = asyncio.create_task(write(told))
        for name in ("c", "d", "e"):
            await transaction.put_user(name)
            assert len(await filled.users()) == 1  # readers do not wait, and see nothing that may be undone
        assert told == []
    await second

    assert told == [["bo@example.com", "c", "d", "e"]]

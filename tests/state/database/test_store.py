"""What is written comes back as it was, on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from gateway.errors import Conflict, NotFound
from gateway.state.database.rows import Change, StoredManifest, StoredSecret, StoredToken, User, Versions

ANA = "user:ana@example.com"
BO = "user:bo@example.com"
START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
DATA = {"type": "team", "members": ["ä@example.com"], "deep": {"nul": "\0", "n": [1, -2.5, None, True]}}


async def test_a_new_database_is_empty(store):
    assert await store.versions() == Versions(manifests=0, tokens=0)
    assert await store.manifests() == []
    assert await store.users() == []
    assert await store.tokens() == []
    assert await store.secrets() == []
    assert await store.history() == []
    assert await store.token("t") is None
    assert await store.pepper_check() is None


async def test_manifests_come_back_as_they_were(store, clock):
    """Who created one and when stays, also when somebody else changes it."""
    async with store.change(ANA) as transaction:
        first = await transaction.put_manifest("team", "b", {"n": 1}, action="created")
        await transaction.put_manifest("team", "B", DATA, action="created")
    clock.move(60)
    async with store.change(BO) as transaction:
        second = await transaction.put_manifest("team", "b", {"n": 2}, action="updated")

    assert first == StoredManifest("team", "b", 1, {"n": 1}, START, ANA, START, ANA)
    assert second == StoredManifest("team", "b", 2, {"n": 2}, START, ANA, LATER, BO)
    assert await store.manifests() == [StoredManifest("team", "B", 1, DATA, START, ANA, START, ANA), second]


async def test_equal_manifests_are_equal_text(store, sql):
    """The order of keys says nothing, so it must not make a difference."""
    async with store.change(ANA) as transaction:
        await transaction.put_manifest("team", "a", {"y": 1, "x": {"b": 1, "a": 2}}, action="created")

    assert await sql("SELECT data FROM manifests") == [('{"x":{"a":2,"b":1},"y":1}',)]


async def test_users_come_back_as_they_were(store, clock):
    async with store.change(ANA) as transaction:
        await transaction.put_user("cy@example.com")
        await transaction.put_user("bo@example.com")
        await transaction.set_user_active("bo@example.com", False)
        clock.move(60)
        again = await transaction.put_user("bo@example.com")

    assert again == User("bo@example.com", False, START, ANA)
    assert await store.users() == [again, User("cy@example.com", True, START, ANA)]


async def test_tokens_come_back_as_they_were(store):
    """Times keep their microseconds, and are told in UTC whatever zone they came in."""
    zone = timezone(timedelta(hours=5, minutes=30))
    token = StoredToken(
        id="t1",
        subject="virtualaccount:ci",
        name="ci",
        digest=bytes(range(256)),
        hint="gw-...abcd",
        token_type="opaque",
        created_at=datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        created_by=ANA,
        expires_at=datetime(2027, 1, 1, 5, 30, tzinfo=zone),
        revoked_at=None,
        last_used_at=datetime(2026, 6, 1, tzinfo=UTC),
        replaced_by="t2",
    )

    async with store.change(ANA) as transaction:
        await transaction.add_token(token)

    read = await store.token("t1")
    assert read == token
    assert read.expires_at.isoformat() == "2027-01-01T00:00:00+00:00"


async def test_secrets_come_back_as_they_were(store, clock):
    async with store.change(ANA) as transaction:
        await transaction.put_secret("openai", "key", "sealed-1")
        await transaction.put_secret("azure", "key", "sealed-2")
    clock.move(60)
    async with store.change(BO) as transaction:
        await transaction.put_secret("openai", "key", "sealed-3")

    assert await store.secrets() == [
        StoredSecret("azure", "key", "sealed-2", START, ANA),
        StoredSecret("openai", "key", "sealed-3", LATER, BO),
    ]


async def test_keeps_what_tells_the_pepper(store):
    async with store.change(ANA) as transaction:
        assert transaction.pepper_check is None
        transaction.set_pepper_check("abc")

    assert await store.pepper_check() == "abc"
    async with store.change(ANA) as transaction:
        assert transaction.pepper_check == "abc"


async def test_the_history_tells_every_change(store, clock, token_of):
    """Of secrets and tokens, it has the names and never a value."""
    async with store.change(ANA) as transaction:
        await transaction.put_manifest("team", "a", {"n": 1}, action="created")
        await transaction.delete_manifest("team", "a", action="deleted")
        await transaction.put_user("bo@example.com")
        await transaction.set_user_active("bo@example.com", False)
        await transaction.set_user_active("bo@example.com", True)
        await transaction.delete_user("bo@example.com")
    clock.move(60)
    async with store.change(BO) as transaction:
        await transaction.add_token(token_of("t1"))
        await transaction.expire_token("t1", LATER)
        await transaction.revoke_tokens(["t1"])
        await transaction.put_secret("openai", "key", "sealed-1")
        await transaction.put_secret("openai", "key", "sealed-2")
        await transaction.delete_secret("openai", "key")
        await transaction.note("signed in", "user", "bo@example.com")

    assert await store.history() == [
        Change(13, LATER, BO, "signed in", "user", "bo@example.com"),
        Change(12, LATER, BO, "delete", "secret", "openai/key"),
        Change(11, LATER, BO, "update", "secret", "openai/key"),
        Change(10, LATER, BO, "create", "secret", "openai/key"),
        Change(9, LATER, BO, "revoke", "token", "user:bo@example.com/t1"),
        Change(8, LATER, BO, "expire", "token", "user:bo@example.com/t1"),
        Change(7, LATER, BO, "create", "token", "user:bo@example.com/t1"),
        Change(6, START, ANA, "delete", "user", "bo@example.com"),
        Change(5, START, ANA, "activate", "user", "bo@example.com"),
        Change(4, START, ANA, "deactivate", "user", "bo@example.com"),
        Change(3, START, ANA, "create", "user", "bo@example.com"),
        Change(2, START, ANA, "deleted", "team", "a"),
        Change(1, START, ANA, "created", "team", "a", 1, {"n": 1}),
    ]


async def test_the_history_is_read_in_pages(store):
    async with store.change(ANA) as transaction:
        for name in ("a", "b", "a", "a"):
            await transaction.put_manifest("team", name, {}, action="put")
        await transaction.note("looked", "role", "a")

    async def numbers(*what, **page):
        return [change.number for change in await store.history(*what, **page)]

    assert await numbers() == [5, 4, 3, 2, 1]
    assert await numbers(limit=2) == [5, 4]
    assert await numbers(limit=2, before=4) == [3, 2]
    assert await numbers("team", "a") == [4, 3, 1]
    assert await numbers("team", "a", limit=1, before=4) == [3]
    assert await numbers("role") == [5]
    assert await numbers(before=10**18) == [5, 4, 3, 2, 1]


async def test_version_numbers_go_on_after_a_deletion(store):
    """A version names one state of a manifest for ever, so that one can return to it."""
    async with store.change(ANA) as transaction:
        await transaction.put_manifest("team", "a", {"n": 1}, action="created")
        await transaction.put_manifest("team", "a", {"n": 2}, action="updated")
        await transaction.delete_manifest("team", "a", action="deleted")
    async with store.change(ANA) as transaction:
        again = await transaction.put_manifest("team", "a", {"n": 3}, action="created")
        other = await transaction.put_manifest("team", "b", {"n": 1}, action="created")

    assert (again.version, other.version) == (3, 1)
    assert await store.manifest_version("team", "a", 2) == Change(2, START, ANA, "updated", "team", "a", 2, {"n": 2})
    assert await store.manifest_version("team", "a", 3) == Change(4, START, ANA, "created", "team", "a", 3, {"n": 3})
    assert await store.manifest_version("team", "a", 4) is None
    assert await store.manifest_version("role", "a", 1) is None


async def test_tokens_that_are_dead_are_left_out(store, clock, token_of):
    async with store.change(ANA) as transaction:
        await transaction.add_token(token_of("lasting"))
        await transaction.add_token(token_of("ending", expires_at=LATER))
        await transaction.add_token(token_of("revoked"))
        await transaction.revoke_tokens(["revoked"])
        assert [token.id for token in await transaction.tokens()] == ["ending", "lasting"]
        assert [token.id for token in await transaction.tokens(only_live=False)] == ["ending", "lasting", "revoked"]

    clock.move(59)
    assert [token.id for token in await store.tokens()] == ["ending", "lasting"]
    clock.move(1)
    assert [token.id for token in await store.tokens()] == ["lasting"]
    assert [token.id for token in await store.tokens(only_live=False)] == ["ending", "lasting", "revoked"]


async def test_reads_only_the_tokens_that_changed_since(store, token_of):
    """A replica with 20,000 tokens must not read them all for each new one."""
    async with store.change(ANA) as transaction:
        for name in ("t1", "t2", "t3", "t4"):
            await transaction.add_token(token_of(name))
    async with store.change(ANA) as transaction:
        await transaction.revoke_tokens(["t2"])
    async with store.change(ANA) as transaction:
        await transaction.expire_token("t3", START)
        await transaction.add_token(token_of("t5"))

    assert await store.versions() == Versions(0, 3)
    assert {token.id for token in await store.tokens_since(0)} == {"t1", "t2", "t3", "t4", "t5"}
    assert {token.id for token in await store.tokens_since(1)} == {"t2", "t3", "t5"}
    assert {token.id for token in await store.tokens_since(2)} == {"t3", "t5"}
    assert await store.tokens_since(3) == []


async def test_users_can_be_asked_for_by_their_state(store):
    async with store.change(ANA) as transaction:
        await transaction.put_user("bo@example.com")
        await transaction.put_user("cy@example.com")
        await transaction.set_user_active("cy@example.com", False)

    assert [user.email for user in await store.users(is_active=False)] == ["cy@example.com"]
    assert [user.email for user in await store.users(is_active=True)] == ["bo@example.com"]


async def test_tells_which_tokens_were_revoked_now(store, clock, token_of):
    """A token stays revoked since when it was, whoever asks again."""
    async with store.change(ANA) as transaction:
        for token_id in ("a", "b", "c"):
            await transaction.add_token(token_of(token_id))
        assert await transaction.revoke_tokens(["b"]) == ["b"]
    clock.move(60)
    async with store.change(ANA) as transaction:
        assert await transaction.revoke_tokens(["c", "unknown", "b", "c"]) == ["c"]

    revoked = {token.id: token.revoked_at for token in await store.tokens(only_live=False)}
    assert revoked == {"a": None, "b": START, "c": LATER}


async def test_a_token_can_only_end_earlier(store, token_of):
    """A rotation must not give a token more time than it had."""
    async with store.change(ANA) as transaction:
        await transaction.add_token(token_of("lasting"))
        await transaction.add_token(token_of("ending", expires_at=START))
        await transaction.expire_token("lasting", LATER, "next")
        await transaction.expire_token("ending", LATER)
        await transaction.expire_token("lasting", datetime(2030, 1, 1, tzinfo=UTC))

    lasting, ending = await store.token("lasting"), await store.token("ending")
    assert (lasting.expires_at, lasting.replaced_by) == (LATER, "next")
    assert (ending.expires_at, ending.replaced_by) == (START, None)


async def test_the_last_use_only_moves_forward(store, token_of):
    """Several processes tell it, each when it finds the time. It is no change that others have to hear of."""
    async with store.change(ANA) as transaction:
        for token_id in ("a", "b", "c"):
            await transaction.add_token(token_of(token_id))
    before = await store.versions()

    await store.note_used({"b": LATER, "a": START, "unknown": LATER})
    await store.note_used({"b": START, "a": LATER})
    await store.note_used({})

    assert {token.id: token.last_used_at for token in await store.tokens()} == {"a": LATER, "b": LATER, "c": None}
    assert await store.versions() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda transaction: transaction.delete_manifest("team", "a", action="deleted"),
        lambda transaction: transaction.delete_user("a"),
        lambda transaction: transaction.set_user_active("a", True),
        lambda transaction: transaction.expire_token("a", LATER),
        lambda transaction: transaction.delete_secret("a", "b"),
    ],
    ids=["manifest", "user", "activity", "token", "secret"],
)
async def test_what_is_not_there_is_not_found(store, change):
    """It may be caught: nothing was broken by it."""
    async with store.change(ANA) as transaction:
        with pytest.raises(NotFound):
            await change(transaction)
        await transaction.put_user("bo@example.com")

    assert await store.users() == [User("bo@example.com", True, START, ANA)]


@pytest.mark.parametrize("same", [{"id": "t1"}, {"digest": b"digest of t1"}], ids=["id", "digest"])
async def test_a_token_is_there_once(store, token_of, same):
    async with store.change(ANA) as transaction:
        await transaction.add_token(token_of("t1"))

    with pytest.raises(Conflict):
        async with store.change(ANA) as transaction:
            await transaction.add_token(msgspec.structs.replace(token_of("t2"), **same))

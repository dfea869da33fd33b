"""Names are data. Whatever stands in them, it is stored and found as it is, or refused."""

from datetime import UTC, datetime

import pytest

from gateway.errors import BadRequest, Unexpected

ANA = "user:ana@example.com"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

INERT = [
    "'; DROP TABLE tokens; --",
    '"; DROP TABLE tokens; --',
    "' OR '1'='1",
    "\\'; DROP TABLE tokens; --",
    "$1",
    ":name",
    ":name)s %s %(name)s {name}",
    "?",
    "%",
    "_",
    "a\nb\r\tc",
    "\x01\x1b[31m",
    "\u202eevil",
    "😀" * 125,
    "x" * 500,
    "",
]
REFUSED = ["a\0b", "\ud800", "\udfff\ud800", "x" * 501, "ä" * 251]


@pytest.mark.parametrize("text", INERT, ids=range(len(INERT)))
async def test_text_is_only_text(store, token_of, text):
    async with store.change(text) as transaction:
        await transaction.put_manifest(text, text, {text: text}, action=text)
        await transaction.put_manifest("team", "other", {}, action="created")
        await transaction.put_user(text)
        await transaction.put_user("other")
        await transaction.add_token(token_of(text, subject=text))
        await transaction.add_token(token_of("other"))
        await transaction.put_secret(text, text, text)
        await transaction.note(text, text, text)
    await store.note_used({text: transaction.at})

    assert {row.type: row.data for row in await store.manifests()} == {text: {text: text}, "team": {}}
    assert {row.email for row in await store.users()} == {text, "other"}
    assert {row.id: row.last_used_at for row in await store.tokens()} == {text: transaction.at, "other": None}
    assert (await store.token(text)).subject == text
    assert [(row.group, row.key, row.value) for row in await store.secrets()] == [(text, text, text)]
    assert [change.number for change in await store.history(text, text)] == [8, 1]
    assert (await store.manifest_version(text, text, 1)).data == {text: text}

    async with store.change(text) as transaction:
        await transaction.delete_manifest(text, text, action=text)
        await transaction.set_user_active(text, False)
        await transaction.delete_user(text)
        assert await transaction.revoke_tokens([text]) == [text]
        await transaction.delete_secret(text, text)

    assert [row.name for row in await store.manifests()] == ["other"]
    assert [row.email for row in await store.users()] == ["other"]
    assert [row.id for row in await store.tokens()] == ["other"]
    assert await store.secrets() == []


WRITES = {
    "type": lambda transaction, text: transaction.put_manifest(text, "a", {}, action="put"),
    "name": lambda transaction, text: transaction.put_manifest("team", text, {}, action="put"),
    "action": lambda transaction, text: transaction.put_manifest("team", "a", {}, action=text),
    "deleted": lambda transaction, text: transaction.delete_manifest("team", text, action="deleted"),
    "email": lambda transaction, text: transaction.put_user(text),
    "active": lambda transaction, text: transaction.set_user_active(text, True),
    "revoked": lambda transaction, text: transaction.revoke_tokens([text]),
    "group": lambda transaction, text: transaction.put_secret(text, "k", "v"),
    "key": lambda transaction, text: transaction.put_secret("g", text, "v"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_what_cannot_be_stored_is_refused(store, write):
    for text in REFUSED:
        with pytest.raises(BadRequest):
            async with store.change(ANA) as transaction:
                await write(transaction, text)

    assert await store.history() == []


READS = {
    "token": lambda store, text: store.token(text),
    "type": lambda store, text: store.history(text),
    "name": lambda store, text: store.history("team", text),
    "version": lambda store, text: store.manifest_version(text, text, 1),
    "used": lambda store, text: store.note_used({text: NOW}),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_what_cannot_be_stored_cannot_be_asked_for(store, read):
    for text in ("a\0b", "\ud800", "x" * 1002):
        with pytest.raises(BadRequest):
            await read(store, text)


async def test_who_does_it_has_to_be_text_too(store):
    for text in REFUSED:
        with pytest.raises(BadRequest):
            async with store.change(text) as transaction:
                await transaction.put_user("bo")

    assert await store.users() == []


async def test_text_that_is_not_looked_up_may_be_long(store, token_of):
    """A sealed certificate chain has a hundred kilobytes."""
    async with store.change(ANA) as transaction:
        await transaction.put_secret("tls", "chain", "x" * 1_000_000)
        await transaction.put_manifest("team", "a", {"x": "y" * 1_000_000}, action="created")

    assert [len(secret.value) for secret in await store.secrets()] == [1_000_000]
    assert [len(manifest.data["x"]) for manifest in await store.manifests()] == [1_000_000]


async def test_half_a_surrogate_pair_in_a_manifest_is_refused(store):
    with pytest.raises(BadRequest):
        async with store.change(ANA) as transaction:
            await transaction.put_manifest("team", "a", {"x": "\ud800"}, action="created")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**100])
async def test_numbers_beyond_64_bits_are_refused(store, number):
    with pytest.raises(BadRequest):
        await store.manifest_version("team", "a", number)
    with pytest.raises(BadRequest):
        await store.history(before=number)


async def test_a_time_without_a_zone_is_a_fault_of_ours(store):
    with pytest.raises(Unexpected):
        await store.note_used({"t": NOW.replace(tzinfo=None)})

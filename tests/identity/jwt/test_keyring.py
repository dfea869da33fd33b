"""When keys are fetched, and what happens when they cannot be."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from gateway.errors import BrokeOff, TimedOut, Unavailable
from gateway.identity.jwt.keyring import Keyring

JWKS = "https://idp.example.com/keys"
DISCOVERY = "https://idp.example.com/.well-known/openid-configuration"


def value(identity):
    return identity and identity.value


# --- when --------------------------------------------------------------------


async def test_the_first_request_fetches_the_keys(identities, idp):
    assert idp.requests == []

    assert value(await identities.verify(idp.token())) == "ana@example.com"
    assert value(await identities.verify(idp.token(sub="2"))) == "ana@example.com"

    assert idp.requests == [JWKS]


@pytest.mark.parametrize("change", [{"exp": 1}, {"aud": "x"}, {"iss": "x"}, {"email": None}])
async def test_tokens_that_are_bad_anyway_fetch_nothing(identities, idp, change):
    assert await identities.verify(idp.token(**change)) is None
    assert idp.requests == []


async def test_requests_at_once_cause_one_fetch(identities, idp):
    tokens = [idp.token(email=f"u{number}@example.com") for number in range(20)]

    found = await asyncio.gather(*map(identities.verify, tokens))

    assert [value(identity) for identity in found] == [f"u{number}@example.com" for number in range(20)]
    assert idp.requests == [JWKS]


@pytest.mark.parametrize("are_keys_held", [False, True])
async def test_a_flood_of_unknown_kids_causes_one_fetch(identities, idp, clock, are_keys_held):
    if are_keys_held:
        await identities.verify(idp.token())
        idp.requests.clear()
        clock.move(31)
    tokens = [idp.token(key="ed25519", alg="EdDSA", header={"kid": f"x{number}"}) for number in range(1000)]

    assert await asyncio.gather(*map(identities.verify, tokens)) == [None] * 1000
    assert await asyncio.gather(*map(identities.verify, tokens)) == [None] * 1000

    assert idp.requests == [JWKS]


async def test_an_unknown_kid_is_refused_at_once_between_two_fetches(identities, idp, clock):
    await identities.verify(idp.token())
    unknown = idp.token(header={"kid": "x"})

    requests = []
    for _ in range(6):
        clock.move(14)
        assert await identities.verify(unknown) is None
        requests.append(len(idp.requests))

    assert requests == [1, 1, 2, 2, 2, 3]  # after 14, 28, 42, 56, 70 and 84 s


async def test_a_new_key_works_at_the_first_request(identities, idp, clock):
    await identities.verify(idp.token())
    clock.move(31)
    idp.published = ["new", "rsa"]

    assert value(await identities.verify(idp.token(key="new"))) == "ana@example.com"
    assert idp.requests == [JWKS, JWKS]


async def test_a_token_refused_for_its_unknown_key_is_taken_as_soon_as_the_key_is_there(identities, idp, clock):
    """The refusal is not remembered: the key was at fault, not the token."""
    await identities.verify(idp.token())
    idp.published = ["new"]
    token = idp.token(key="new")
    clock.move(29)
    assert await identities.verify(token) is None

    clock.move(1)

    assert value(await identities.verify(token)) == "ana@example.com"


async def test_old_keys_are_used_while_new_ones_are_fetched(identities, idp, clock, until):
    await identities.verify(idp.token())
    idp.gate.clear()
    clock.move(599)
    assert value(await identities.verify(idp.token(sub="2"))) == "ana@example.com"
    assert len(idp.requests) == 1

    clock.move(1)
    for number in range(5):
        assert value(await identities.verify(idp.token(sub=str(number)))) == "ana@example.com"

    await until(lambda: len(idp.requests) == 2)
    assert idp.requests == [JWKS, JWKS]
    idp.gate.set()


# --- when they cannot be -----------------------------------------------------


async def test_unavailable_when_no_key_was_ever_fetched(identities, idp, clock):
    idp.is_down = True

    with pytest.raises(Unavailable) as caught:
        await identities.verify(idp.token())

    assert (caught.value.status, caught.value.retry_after_s) == (503, 5.0)
    assert caught.value.message == "the keys of the identity provider cannot be had just now"


async def test_a_provider_that_is_down_is_asked_every_five_seconds(identities, idp, clock):
    idp.is_down = True
    outcomes = []
    for _ in range(4):
        with pytest.raises(Unavailable) as caught:
            await identities.verify(idp.token())
        outcomes.append((len(idp.requests), caught.value.retry_after_s))
        clock.move(2.5)

    assert outcomes == [(1, 5.0), (1, 2.5), (2, 5.0), (2, 2.5)]

    idp.is_down = False
    assert value(await identities.verify(idp.token())) == "ana@example.com"


async def test_old_keys_are_used_while_the_provider_is_down(identities, idp, clock, until):
    await identities.verify(idp.token())
    idp.is_down = True

    clock.move(3000)
    assert value(await identities.verify(idp.token(sub="2"))) == "ana@example.com"
    await until(lambda: len(idp.requests) == 2)
    assert await identities.verify(idp.token(header={"kid": "x"})) is None
    assert value(await identities.verify(idp.token(sub="3"))) == "ana@example.com"

    assert len(idp.requests) == 2


@pytest.mark.parametrize("document", [b"<html>", b"{}", b"[" * 100_000, b'{"keys":' + b"[" * 100_000, b"\xff"])
async def test_old_keys_are_used_when_the_new_ones_cannot_be_read(identities, idp, clock, until, document):
    await identities.verify(idp.token())
    idp.documents = {JWKS: document}
    clock.move(600)

    with capture_logs() as logs:
        await identities.verify(idp.token(sub="2"))
        await until(lambda: logs)

    assert value(await identities.verify(idp.token(sub="3"))) == "ana@example.com"


async def test_a_weak_key_is_as_good_as_none(identities, idp):
    idp.published = ["weak"]

    assert await identities.verify(idp.token(key="weak")) is None


async def test_a_fetch_that_hangs_is_given_up(provider, idp, clock):
    idp.gate.clear()
    keyring = Keyring(
        provider(), fetch=idp.fetch, monotonic=clock.monotonic, start=asyncio.create_task, timeout_s=0.001
    )

    with capture_logs() as logs, pytest.raises(Unavailable):
        await keyring.find("rsa", "RS256")

    assert logs == [
        {"event": "jwks not refreshed", "provider": "okta", "reason": "TimeoutError", "log_level": "warning"}
    ]


# --- who waits ---------------------------------------------------------------


async def test_a_request_that_is_cancelled_does_not_cancel_the_fetch_of_the_others(identities, idp, until):
    idp.gate.clear()
    leaves, stays = (asyncio.create_task(identities.verify(idp.token(sub=sub))) for sub in ("1", "2"))
    await until(lambda: idp.requests)

    leaves.cancel()
    await asyncio.wait([leaves])
    idp.gate.set()

    assert leaves.cancelled()
    assert value(await stays) == "ana@example.com"
    assert idp.requests == [JWKS]


async def test_a_fetch_nobody_waits_for_any_more_still_brings_the_keys(identities, idp, until):
    idp.gate.clear()
    leaves = asyncio.create_task(identities.verify(idp.token()))
    await until(lambda: idp.requests)
    leaves.cancel()
    await asyncio.wait([leaves])
    idp.gate.set()

    assert value(await identities.verify(idp.token())) == "ana@example.com"
    assert idp.requests == [JWKS]


async def test_closing_ends_a_fetch(identities_of, provider, idp, until):
    """And waits until it has ended: it may have a connection to give back."""
    steps = []

    async def fetch(url):
        steps.append("begins")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("has ended")

    identities = identities_of(provider(), fetch=fetch)
    waits = asyncio.create_task(identities.verify(idp.token()))
    await until(lambda: steps)

    async with asyncio.timeout(4):
        await identities.close()
        steps.append("is closed")
        with pytest.raises(Unavailable):
            await waits

    assert steps == ["begins", "has ended", "is closed"]


async def test_a_provider_that_is_removed_is_not_fetched_any_longer(identities, idp, until):
    idp.gate.clear()
    waits = asyncio.create_task(identities.verify(idp.token()))
    await until(lambda: idp.requests)

    identities.replace([])

    async with asyncio.timeout(4):
        with pytest.raises(Unavailable):
            await waits
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- discovery ---------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
async def test_asks_the_issuer_where_its_keys_are(identities_of, provider, idp, slash):
    issuer = "https://idp.example.com" + slash
    idp.documents = {DISCOVERY: json.dumps({"issuer": issuer, "jwks_uri": JWKS, "x": [1]}).encode()}
    identities = identities_of(provider(issuer=issuer, jwks_uri=None))

    assert value(await identities.verify(idp.token(iss=issuer))) == "ana@example.com"
    assert idp.requests == [DISCOVERY, JWKS]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example", "jwks_uri": JWKS},
        {"issuer": "https://idp.example.com/", "jwks_uri": JWKS},
        {"issuer": ["https://idp.example.com"], "jwks_uri": JWKS},
        {"jwks_uri": JWKS},
        {"issuer": "https://idp.example.com"},
        {"issuer": "https://idp.example.com", "jwks_uri": "http://idp.example.com/keys"},
        {"issuer": "https://idp.example.com", "jwks_uri": "http://127.0.0.1/keys"},
        {"issuer": "https://idp.example.com", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://idp.example.com", "jwks_uri": "https://user:pw@idp.example.com/keys"},
        {"issuer": "https://idp.example.com", "jwks_uri": "//idp.example.com/keys"},
        {"issuer": "https://idp.example.com", "jwks_uri": "https://[::1/keys"},
        {"issuer": "https://idp.example.com", "jwks_uri": ""},
        {"issuer": "https://idp.example.com", "jwks_uri": None},
        [],
    ],
)
async def test_a_discovery_document_that_cannot_be_right(identities_of, provider, idp, document):
    """It is asked for no keys: whoever answers for another issuer may have any."""
    idp.documents = {DISCOVERY: json.dumps(document).encode()}
    identities = identities_of(provider(jwks_uri=None))

    with pytest.raises(Unavailable):
        await identities.verify(idp.token())
    assert idp.requests == [DISCOVERY]


# --- the log -----------------------------------------------------------------


async def test_logs_that_keys_were_fetched(identities, idp):
    with capture_logs() as logs:
        await identities.verify(idp.token())

    assert logs == [{"event": "jwks refreshed", "provider": "okta", "keys": 10, "log_level": "info"}]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(TimedOut("10.0.0.1 is slow"), "TimedOut"), (BrokeOff("status 500"), "BrokeOff"), (ValueError("x"), "ValueError")],
)
async def test_logs_why_not_without_saying_more_than_the_kind(identities_of, provider, idp, error, reason):
    async def fetch(url):
        raise error

    identities = identities_of(provider(), fetch=fetch)
    with capture_logs() as logs, pytest.raises(Unavailable):
        await identities.verify(idp.token())

    assert logs == [{"event": "jwks not refreshed", "provider": "okta", "reason": reason, "log_level": "warning"}]


async def test_nothing_of_a_token_is_logged(identities, idp, clock):
    with capture_logs() as logs:
        for change in ({}, {"exp": 1}, {"email": "mallory"}, {"header": {"kid": "mallory"}}, {"key": "stranger"}):
            await identities.verify(idp.token(**change))
            clock.move(31)

    text = repr(logs)
    assert [word for word in ("eyJ", "ana@", "mallory", "u-1", "stranger") if word in text] == []

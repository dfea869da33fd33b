"""Good tokens, and what is remembered of good and bad ones."""

import asyncio
import subprocess
import sys

import jwt
import pytest

from gateway.errors import Unreachable
from gateway.identity.jwt import Identities, Identity

ANA = Identity("okta", "user", "ana@example.com", frozenset({"eng", "ml"}), 1_800_003_600.0)


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        ("rsa", "RS256"),
        ("rsa", "RS384"),
        ("rsa", "RS512"),
        ("rsa", "PS256"),
        ("rsa", "PS384"),
        ("rsa", "PS512"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed25519", "EdDSA"),
    ],
)
async def test_takes_what_pyjwt_signs(identities_of, provider, idp, keys, key, alg):
    identities = identities_of(provider(algorithms=(alg,)))
    token = jwt.encode(idp.claims(), keys[key], algorithm=alg, headers={"kid": key}).encode()

    assert await identities.verify(token) == ANA
    assert identities.find(token) == ANA


async def test_finds_only_what_was_verified(identities, idp):
    assert identities.find(idp.token()) is None
    assert identities.find(b"gw-0123456789abcdef") is None


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_takes_access_tokens_by_their_type(identities, idp, typ):
    assert await identities.verify(idp.token(header={"typ": typ})) == ANA


async def test_takes_a_token_without_a_type(identities, idp, keys):
    """Okta's have none."""
    token = idp.signed({"alg": "RS256", "kid": "rsa"}, idp.claims(), keys["rsa"], "RS256")

    assert await identities.verify(token) == ANA


async def test_a_virtual_account_is_named_by_its_claim(identities_of, provider, idp):
    identities = identities_of(provider(resolve_to="virtual-account", virtual_account_claim="azp"))

    found = await identities.verify(idp.token(azp="CI-Job", groups=None))

    assert found == Identity("okta", "virtual-account", "CI-Job", frozenset(), 1_800_003_600.0)


async def test_the_audience_tells_two_providers_of_one_issuer_apart(identities_of, provider, idp):
    """A tenant signs for people and for machines with the same keys."""
    people = provider()
    machines = provider(name="machines", audiences=("batch",), resolve_to="virtual-account")
    identities = identities_of(people, machines)

    found = [await identities.verify(idp.token(aud=aud)) for aud in ("gateway", ["x", "batch"], "x")]

    assert [identity and identity.value for identity in found] == ["ana@example.com", "u-1", None]


async def test_a_good_token_is_known_until_it_ends(identities, idp, clock):
    token = idp.token(exp=1_800_000_060)
    await identities.verify(token)

    clock.move(59)
    assert identities.find(token) is not None
    clock.move(1)
    assert identities.find(token) is None
    assert await identities.verify(token) is None


async def test_a_good_token_is_verified_anew_after_ten_minutes(identities, idp, clock, until):
    """Who has stolen a key writes what they like into `exp`; it must end when the provider withdraws the key."""
    token = idp.token(exp=1_900_000_000)
    await identities.verify(token)

    clock.move(599)
    assert identities.find(token) is not None
    clock.move(1)
    assert identities.find(token) is None
    assert (await identities.verify(token)).expires_at == 1_900_000_000.0
    await until(lambda: len(idp.requests) == 2)


async def test_a_token_signed_by_a_withdrawn_key_ends(identities, idp, clock, until):
    token = idp.token(exp=1_900_000_000)
    await identities.verify(token)
    idp.published = ["p256"]
    clock.move(600)
    await identities.verify(idp.token(key="p256", alg="ES256"))  # has the keys fetched

    await until(lambda: len(idp.requests) == 2)
    clock.move(600)

    assert identities.find(token) is None
    assert await identities.verify(token) is None


async def test_a_flood_of_bad_tokens_does_not_push_out_good_ones(identities_of, provider, idp):
    identities = identities_of(provider(), max_known=3)
    token = idp.token()
    await identities.verify(token)

    for number in range(50):
        assert await identities.verify(idp.token(key="stranger", header={"kid": "rsa"}, sub=str(number))) is None

    assert identities.find(token) == ANA


async def test_a_bad_token_is_refused_unseen_for_ten_seconds(identities, idp, clock):
    """Asking again does not have its signature checked again: shown by a token that became good meanwhile."""
    token = idp.token(nbf=1_800_000_031)

    assert await identities.verify(token) is None
    clock.move(9)
    assert await identities.verify(token) is None
    clock.move(1)
    assert await identities.verify(token) == ANA


async def test_cve_2026_35030_tokens_with_the_same_beginning_are_different(identities, idp, keys):
    """Another gateway kept identities by the first 20 characters of the token, which all tokens of a provider share."""
    ana, ben = idp.token(), idp.token(email="ben@example.com")
    forged = idp.token(key="stranger", header={"kid": "rsa"})
    assert ana[:50] == ben[:50] == forged[:50]

    found = [await identities.verify(token) for token in (ana, ben, forged)]

    assert [identity and identity.value for identity in found] == ["ana@example.com", "ben@example.com", None]
    assert identities.find(ana).value == "ana@example.com"
    assert identities.find(ben).value == "ben@example.com"
    assert identities.find(forged) is None
    assert identities.find(ana[:-1]) is None


async def test_replacing_providers_keeps_the_keys_of_those_that_stay(identities, provider, idp):
    await identities.verify(idp.token())

    identities.replace(
        [provider(audiences=("gateway", "more")), provider(name="other", issuer="https://other.example")]
    )

    assert await identities.verify(idp.token(aud="more")) == ANA
    assert len(idp.requests) == 1


async def test_replacing_a_provider_forgets_its_tokens(identities, provider, idp):
    token, other = idp.token(), idp.token(aud="other")
    assert await identities.verify(token) == ANA
    assert await identities.verify(other) is None

    identities.replace([provider(audiences=("other",))])

    assert identities.find(token) is None
    assert await identities.verify(token) is None
    assert await identities.verify(other) == ANA


async def test_replacing_providers_by_the_same_forgets_nothing(identities, provider, idp):
    token = idp.token()
    await identities.verify(token)

    identities.replace([provider()])

    assert identities.find(token) == ANA


async def test_a_provider_removed_while_a_token_waits_for_its_keys_is_not_believed(identities, provider, idp, until):
    """Keys of a provider that was taken out of the configuration may still arrive."""
    idp.gate.clear()
    stays = provider(name="other", issuer="https://other.example")
    identities.replace([provider(), stays])
    waiting = asyncio.create_task(identities.verify(idp.token()))
    await until(lambda: idp.requests)

    identities.replace([provider(audiences=("other",)), stays])
    idp.gate.set()

    assert await waiting is None
    assert identities.find(idp.token()) is None


async def test_refuses_everything_once_closed(identities, idp):
    token = idp.token()
    await identities.verify(token)

    await identities.close()

    assert identities.find(token) is None
    assert await identities.verify(token) is None


async def test_without_providers_nothing_is_known(identities_of, idp):
    identities = identities_of()

    assert identities.find(idp.token()) is None
    assert await identities.verify(idp.token()) is None
    assert idp.requests == []


def test_without_providers_no_cryptography_is_imported():
    """It takes longer than all else at start-up."""
    code = """
import sys
from gateway.identity.jwt import Identities
Identities(fetch=None).replace([])
print([name for name in ("jwt", "cryptography", "aiohttp") if name in sys.modules])
"""

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


async def test_the_clocks_are_real_by_default(provider, idp):
    async def fetch(url):
        raise Unreachable("down")

    identities = Identities([provider()], fetch=fetch)

    assert await identities.verify(idp.token(exp=1_500_000_000, iat=None)) is None  # expired in 2017
    await identities.close()

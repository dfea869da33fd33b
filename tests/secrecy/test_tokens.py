"""How tokens look, and what is kept of them."""

import re

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.secrecy.tokens import ADMIN, PERSONAL, VIRTUAL_ACCOUNT, Minted, Pepper, is_well_formed, mint, mint_jwt

DOCUMENTED = re.compile(r"gw[apv]_[0-9A-Za-z]{38}")
TOKEN = "gwp_0123456789abcdefghijABCDEFGHIJKL2PjWZK"
"""Written down, so that a change of the checksum does not go unnoticed: scanners out there know it."""
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("prefix", [PERSONAL, VIRTUAL_ACCOUNT, ADMIN])
def test_a_token_has_the_documented_form(prefix):
    minted = mint(prefix)

    assert DOCUMENTED.fullmatch(minted.text)
    assert minted.text.startswith(prefix)
    assert is_well_formed(minted.text)
    assert minted.hint == f"{prefix}...{minted.text[-4:]}"
    assert re.fullmatch(r"tok_[0-9a-f]{16}", minted.id)


def test_the_checksum_is_the_one_that_is_documented():
    """CRC-32 of all before it, in base 62 with digits first, then small letters, then capitals."""
    assert is_well_formed(TOKEN)


def test_no_two_are_alike():
    minted = [mint(PERSONAL) for _ in range(10_000)]

    assert len({each.text for each in minted}) == 10_000
    assert len({each.id for each in minted}) == 10_000


@given(st.sampled_from([PERSONAL, VIRTUAL_ACCOUNT, ADMIN]), st.integers(0, 41), st.characters())
def test_the_checksum_catches_every_change_of_one_character(prefix, at, character):
    token = mint(prefix).text
    changed = token[:at] + character + token[at + 1 :]

    assert is_well_formed(changed) is (changed == token)


@given(st.sampled_from([PERSONAL, VIRTUAL_ACCOUNT, ADMIN]), st.integers(0, 40))
def test_the_checksum_catches_every_swap_of_neighbours(prefix, at):
    token = mint(prefix).text
    swapped = token[:at] + token[at + 1] + token[at] + token[at + 2 :]

    assert is_well_formed(swapped) is (swapped == token)


def test_the_checksum_catches_each_change_of_one_token():
    wrong = [TOKEN[:at] + other + TOKEN[at + 1 :] for at in range(42) for other in ALPHABET if other != TOKEN[at]]

    assert [token for token in wrong if is_well_formed(token)] == []


@pytest.mark.parametrize(
    "token",
    [
        "",
        "gwp_",
        TOKEN[:-1],
        TOKEN + "0",
        f" {TOKEN}",
        f"{TOKEN}\n",
        TOKEN.upper(),
        "gwx_" + TOKEN[4:],
        "sk-0123456789",
    ],
)
def test_other_text_is_no_token(token):
    assert not is_well_formed(token)


@pytest.mark.parametrize(
    "token",
    [
        "gwp_03gu76",
        "gwp_01yjtK2",
        "gwp_0000000000000000000000000000000002UO4zi",
        "gwp_0000000000000000000000000000000é0L6lnI",
    ],
    ids=["short", "one character", "long", "other letters"],
)
def test_a_checksum_alone_makes_no_token(token):
    """It is right in all of these, and was enough once, at any length and with any characters."""
    assert not is_well_formed(token)


def test_a_new_token_does_not_show_itself():
    minted = mint(PERSONAL)

    assert [minted.text in text for text in (repr(minted), str(minted), f"{minted}", f"{[minted]}")] == 4 * [False]
    assert repr(Minted("tok_1", "canary", "gwp_...nary")) == "Minted(tok_1)"


# --- the pepper --------------------------------------------------------------


def test_the_same_pepper_gives_the_same_hashes():
    """On all replicas, and after each restart."""
    assert (
        Pepper(b"pepper").digest(b"token").hex() == "a59fa78686c5c1fbb232b502495535304580ae31cbb6f583a3fecb105e84a3d8"
    )
    assert len({Pepper(pepper).digest(b"token") for pepper in (b"", b"a", b"b", 64 * b"a", 1000 * b"a")}) == 5


@pytest.mark.parametrize("token", [b"", b"x", b"\x00\xff", 16_384 * b"x"])
def test_a_hash_of_any_token(token):
    pepper = Pepper(b"pepper")

    assert len(pepper.digest(token)) == 32
    assert pepper.digest(token) != pepper.digest(token + b"\x00")


def test_a_pepper_is_told_from_another():
    checks = [Pepper(pepper).check() for pepper in (b"a", b"a", b"b")]

    assert checks[0] == checks[1] != checks[2]
    assert re.fullmatch(r"[0-9a-f]{32}", checks[0])


def test_the_check_of_a_pepper_is_no_hash_of_a_token():
    """It lies in the database, where it must not be the hash of anything that could be sent."""
    pepper = Pepper(b"pepper")

    assert pepper.check() not in pepper.digest(b"check").hex()


def test_a_pepper_does_not_show_itself():
    pepper = Pepper(b"canary-pepper")

    assert "canary" not in f"{pepper!r} {vars(pepper)}"


# --- JWTs --------------------------------------------------------------------


@pytest.mark.parametrize(("expires_at", "expiry"), [(None, 253_402_300_799), (1_900_000_000, 1_900_000_000)])
def test_a_jwt_says_whose_it_is(expires_at, expiry):
    """To TrueFoundry's CLI, which takes none without the name of a tenant and the end of its time."""
    minted = mint_jwt(
        Pepper(b"pepper"), "virtualaccount:ci", tenant="acme", issued_at=1_800_000_000, expires_at=expires_at
    )

    assert jwt.decode(minted.text, options={"verify_signature": False}) == {
        "iss": "gateway",
        "sub": "virtualaccount:ci",
        "jti": minted.id,
        "iat": 1_800_000_000,
        "exp": expiry,
        "tenantName": "acme",
        "subjectType": "serviceaccount",
        "username": "ci",
    }
    assert jwt.get_unverified_header(minted.text) == {"alg": "HS256", "typ": "JWT"}
    assert minted.text.endswith(minted.hint)
    assert len(minted.hint) == 4


def test_two_jwts_of_one_second_differ():
    """They are known by their hashes, so a second one that looked the same would be the same."""
    minted = [
        mint_jwt(Pepper(b"p"), "virtualaccount:ci", tenant="acme", issued_at=1, expires_at=None) for _ in range(2)
    ]

    assert minted[0].text != minted[1].text


def test_a_jwt_cannot_be_made_without_the_pepper():
    texts = [Pepper(pepper).sign({"jti": "tok_1"}) for pepper in (b"a", b"a", b"b")]

    assert texts[0] == texts[1] != texts[2]

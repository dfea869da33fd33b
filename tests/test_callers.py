"""Tokens from the environment."""

import pickle

import pytest

from gateway.contract import Caller
from gateway.errors import ConfigError
from gateway.stores.tokens import HashedTokens, tokens_from

LONG = "0123456789abcdef"
ADMIN = Caller("user:admin", is_admin=True)


def test_the_admins_token():
    assert tokens_from({"GATEWAY_ADMIN_TOKEN": LONG}).find(LONG.encode()) == ADMIN


def test_other_tokens():
    text = f"user:ana@example.com=ana-{LONG}, virtualaccount:ci=ci={LONG},,"
    tokens = tokens_from({"GATEWAY_TOKENS": text})

    assert tokens.find(f"ana-{LONG}".encode()) == Caller("user:ana@example.com")
    assert tokens.find(f"ci={LONG}".encode()) == Caller("virtualaccount:ci")


@pytest.mark.parametrize("environ", [{}, {"GATEWAY_ADMIN_TOKEN": "", "GATEWAY_TOKENS": ""}])
def test_without_tokens_nobody_is_known(environ):
    assert tokens_from(environ).find(b"") is None


@pytest.mark.parametrize("token", ["", "x", LONG[:-1], LONG + "0", LONG.upper(), f" {LONG}", f"{LONG} "])
def test_an_unknown_token(token):
    assert tokens_from({"GATEWAY_ADMIN_TOKEN": LONG}).find(token.encode()) is None


@pytest.mark.parametrize(
    ("environ", "faults"),
    [
        (
            {"GATEWAY_TOKENS": f"ana={LONG}"},
            ["the environment: GATEWAY_TOKENS: entry 1 is not of the form user:name@example.com=token"],
        ),
        (
            {"GATEWAY_TOKENS": f"user:ana={LONG},{LONG}"},
            ["the environment: GATEWAY_TOKENS: entry 2 is not of the form user:name@example.com=token"],
        ),
        (
            {"GATEWAY_TOKENS": "user:ana="},
            ["the environment: GATEWAY_TOKENS: entry 1 is not of the form user:name@example.com=token"],
        ),
        (
            {"GATEWAY_ADMIN_TOKEN": LONG[:-1], "GATEWAY_TOKENS": "user:ana=short,user"},
            [
                "the environment: GATEWAY_TOKENS: entry 2 is not of the form user:name@example.com=token",
                "the environment: the token of user:admin has fewer than 16 characters",
                "the environment: the token of user:ana has fewer than 16 characters",
            ],
        ),
    ],
)
def test_what_is_wrong_is_said_without_the_token(environ, faults):
    with pytest.raises(ConfigError) as raised:
        tokens_from(environ)

    assert [str(fault) for fault in raised.value.faults] == faults


def everything_in(value, seen=None):
    """All that can be reached from an object, as one text."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return ""
    seen.add(id(value))
    inner = [vars(value)] if hasattr(value, "__dict__") else []
    if isinstance(value, dict):
        inner += [*value, *value.values()]
    return repr(value) + "".join(everything_in(each, seen) for each in inner)


def test_only_hashes_are_kept():
    """A dump of the memory of this object, or a traceback with its values, gives no token away; nor the pepper."""
    tokens = tokens_from({"GATEWAY_ADMIN_TOKEN": LONG, "GATEWAY_PEPPER": "a-pepper-of-some-length"})

    text = everything_in(tokens)

    assert "user:admin" in text
    assert LONG not in text
    assert "a-pepper" not in text


def test_the_same_pepper_gives_the_same_hashes():
    hashes = [set(vars_of(HashedTokens([(LONG, ADMIN)], pepper=pepper))) for pepper in (b"a", b"a", b"b", None, None)]

    assert hashes[0] == hashes[1]
    assert len({frozenset(found) for found in hashes}) == 4


def vars_of(tokens):
    """The digests, wherever they are kept: bytes that are keys of a dictionary."""
    return [key for value in vars(tokens).values() if isinstance(value, dict) for key in value]


@pytest.mark.parametrize("pepper", [b"x", 1000 * b"x"])
def test_a_pepper_of_any_length(pepper):
    assert HashedTokens([(LONG, ADMIN)], pepper=pepper).find(LONG.encode()) == ADMIN


def test_hashes_can_be_kept_elsewhere():
    """Nothing in it is tied to the process when the pepper is given."""
    tokens = HashedTokens([(LONG, ADMIN)], pepper=b"x")

    assert pickle.loads(pickle.dumps(tokens)).find(LONG.encode()) == ADMIN

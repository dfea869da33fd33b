import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.jwt import looks_like_jwt
from gateway.identity.jwt.claims import identity_of
from gateway.identity.jwt.unverified import read, read_object
from gateway.manifests.identity import IdentityProvider

PROVIDER = IdentityProvider(type="identity-provider", name="okta", issuer="https://x", audiences=("gateway",))
TEXT = st.text("aB1@.:/ \u212a\u0130\ud800\x00", max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("token", "does"),
    [
        (b"eyJhbGciOiJub25lIn0.e30.c2ln", True),
        (b"eyJhbGciOiJub25lIn0.e30.", True),
        (b"eyJhbGciOiJub25lIn0.e30", False),
        (b"eyJhbGciOiJub25lIn0.e30.c2ln.x", False),
        (b"eyJhbGciOiJub25lIn0.e30.c2ln=", False),
        (b"eyJhbGciOiJub25lIn0.e3 0.c2ln", False),
        (b"eyJhbGciOiJub25lIn0.e3\xff0.c2ln", False),
        (b"eyIhbGciOiJub25lIn0.e30.c2ln", False),
        (b"gw-0123456789.a.b", False),
        (b"", False),
        (b"eyJ." + b"a" * 8187 + b".", True),
        (b"eyJ." + b"a" * 8188 + b".", False),
    ],
)
def test_tells_jwts_from_other_tokens(token, does):
    assert looks_like_jwt(token) is does


def test_reads_a_token():
    jwt = read(b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJ1In0.c2ln")

    assert (jwt.algorithm, jwt.kid, jwt.claims) == ("RS256", "k1", {"sub": "u"})
    assert (jwt.signed, jwt.signature) == (b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJ1In0", b"sig")


def test_reads_escapes():
    assert read_object(b'{"name":"Ana\\u00ef \\ud83d\\ude00"}') == {"name": "Ana\u00ef \U0001f600"}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    for token in (
        data,
        b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0." + data,
        b"eyJ" + data + b"..",
        b"eyJ." + data + b".e30",
    ):
        with pytest.raises(ValueError, match=r"."):
            read(token)


@given(st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "email", "email_verified", "groups", "cnf"]), JSON))
def test_any_claims_are_read_or_refused(claims):
    """Nothing but ValueError is caught where tokens are verified."""
    try:
        found = read_object(json.dumps(claims).encode())
        identity = identity_of({"exp": 2e9, "email": "Ana@example.com", **found}, PROVIDER, now_s=1.8e9, leeway_s=30.0)
    except ValueError:
        return
    assert identity.value == identity.value.lower()
    assert "@" in identity.value

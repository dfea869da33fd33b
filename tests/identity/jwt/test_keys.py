import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from gateway.identity.jwt.keys import read_jwks

RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]


def jwks(*keys):
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("name", "algorithms"),
    [("rsa", RSA), ("p256", ["ES256"]), ("p384", ["ES384"]), ("p521", ["ES512"]), ("ed25519", ["EdDSA"])],
)
def test_a_key_is_for_the_algorithms_of_its_kind(keys, jwk, name, algorithms):
    assert list(read_jwks(jwks(jwk(keys[name], "k")))) == [("k", algorithm) for algorithm in algorithms]


@pytest.mark.parametrize(
    ("fields", "algorithms"),
    [
        ({"alg": "RS256"}, ["RS256"]),
        ({"alg": "PS512"}, ["PS512"]),
        ({"alg": "ES256"}, []),
        ({"alg": "HS256"}, []),
        ({"alg": "RSA-OAEP"}, []),
        ({"use": "sig"}, RSA),
        ({"use": "enc"}, []),
        ({"use": None, "alg": None, "crv": None, "x": None}, RSA),
        ({"key_ops": ["verify"]}, RSA),
        ({"key_ops": ["encrypt"]}, []),
        ({"kid": None}, []),
        ({"kid": 1}, []),
        ({"kty": "oct", "k": "AAAA"}, []),
        ({"kty": "EC", "crv": "P-256"}, []),
        ({"n": "AQAB"}, []),
        ({"n": "!"}, []),
        ({"n": "_" * 1368}, []),  # 8208 bits
        ({"n": None}, []),
        ({"e": ""}, []),
        ({"x5c": ["MIIB"], "x5t": "x", "issuer": "https://x"}, RSA),
    ],
)
def test_a_key_is_for_what_it_says(keys, jwk, fields, algorithms):
    assert list(read_jwks(jwks(jwk(keys["rsa"], "k", **fields)))) == [
        (fields.get("kid", "k"), algorithm) for algorithm in algorithms
    ]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("p256", {"crv": "P-384"}),
        ("p256", {"crv": "secp256k1"}),
        ("p256", {"x": "A" * 43}),
        ("p256", {"y": "AAAA"}),
        ("ed25519", {"crv": "Ed448"}),
        ("ed25519", {"crv": "X25519"}),
        ("ed25519", {"x": "AAAA"}),
    ],
)
def test_keys_that_are_no_points_on_their_curve_are_left_out(keys, jwk, name, fields):
    assert read_jwks(jwks(jwk(keys[name], "k", **fields))) == {}


def test_weak_rsa_keys_are_left_out(keys, jwk):
    assert read_jwks(jwks(jwk(keys["weak"], "k"))) == {}


def test_a_bad_key_does_not_spoil_the_others(keys, jwk):
    found = read_jwks(jwks(None, 1, {}, {"kty": "EC"}, jwk(keys["weak"], "w"), jwk(keys["p256"], "k")))

    assert list(found) == [("k", "ES256")]


def test_the_first_of_two_keys_with_one_name_counts(keys, jwk):
    found = read_jwks(jwks(jwk(keys["rsa"], "k"), jwk(keys["stranger"], "k"), jwk(keys["p256"], "k")))

    assert list(found) == [("k", algorithm) for algorithm in [*RSA, "ES256"]]
    assert found["k", "RS256"].has_signed(b"data", RSAAlgorithm(RSAAlgorithm.SHA256).sign(b"data", keys["rsa"]))


def test_a_private_key_that_was_published_is_read_as_a_public_one(keys):
    private = {**RSAAlgorithm.to_jwk(keys["rsa"], as_dict=True), "kid": "k"}
    del private["key_ops"]

    assert list(read_jwks(jwks(private))) == [("k", algorithm) for algorithm in RSA]


def test_no_more_than_a_hundred_keys_are_read(keys, jwk):
    assert len(read_jwks(jwks(*(jwk(keys["p256"], str(number)) for number in range(200))))) == 100


@pytest.mark.parametrize("document", [b"", b"null", b"[]", b"{}", b'{"keys":null}', b'{"keys":{}}', b"<html>", b"\xff"])
def test_what_is_not_a_jwks(document):
    with pytest.raises(ValueError, match=r"."):
        read_jwks(document)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text("AQ-_=!\u00e9", max_size=50)
    | st.just("AQAB")
    | st.just("A" * 43)
)


@given(
    st.fixed_dictionaries(
        {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct"]), "kid": st.just("k")},
        optional=dict.fromkeys(("alg", "use", "key_ops", "n", "e", "d", "x", "y"), VALUES)
        | {"crv": st.sampled_from(["P-256", "P-521", "Ed25519", "x"])},
    )
)
def test_any_key_is_read_or_left_out(fields):
    """Nothing that is published may end the task that fetches keys."""
    assert {kid for kid, _ in read_jwks(json.dumps({"keys": [fields]}).encode())} <= {"k"}

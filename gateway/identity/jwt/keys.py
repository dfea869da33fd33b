"""The public keys in a JWKS document.

Importing this takes 50 ms and more, so it is left to those who have identity providers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import get_default_algorithms

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192  # a signature of that size takes 0.25 ms to check
MAX_KEYS = 100  # providers have two to ten; a hundred take 1.5 ms to read

ALGORITHMS: Mapping[tuple[str, str | None], tuple[str, ...]] = MappingProxyType(
    {
        ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        ("EC", "P-256"): ("ES256",),
        ("EC", "P-384"): ("ES384",),
        ("EC", "P-521"): ("ES512",),
        ("OKP", "Ed25519"): ("EdDSA",),
    }
)
"""Kind of key and curve -> what it signs with. No kind is a shared secret, so no key is ever used as one."""

_IMPLEMENTATIONS = get_default_algorithms()


class Jwk(msgspec.Struct, frozen=True):
    """What we look at of a key; private parts are not among it.

    Source: RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2.
    """

    kty: str
    kid: str
    use: str | None = None
    key_ops: tuple[str, ...] | None = None
    alg: str | None = None
    crv: str | None = None
    n: str | None = None
    e: str | None = None
    x: str | None = None
    y: str | None = None


class Jwks(msgspec.Struct, frozen=True):
    keys: list[msgspec.Raw]


class PublicKey:
    """A key, and the one algorithm it is used with."""

    def __init__(self, algorithm: str, key: Any) -> None:
        self._implementation = _IMPLEMENTATIONS[algorithm]
        self._key = self._implementation.prepare_key(key)

    def has_signed(self, data: bytes, signature: bytes) -> bool:
        return self._implementation.verify(data, self._key, signature)


def read_jwks(data: bytes) -> dict[tuple[str, str], PublicKey]:
    """`kid` and algorithm -> key. Keys that are of no use to us are left out, as RFC 7517, section 5, has it.

    Raises:
        ValueError: this is no JWKS.
        RecursionError: it is nested too deep.
    """
    found: dict[tuple[str, str], PublicKey] = {}
    for raw in msgspec.json.decode(data, type=Jwks).keys[:MAX_KEYS]:
        try:
            jwk = msgspec.json.decode(raw, type=Jwk)
            key = _key(jwk)
        except (ValueError, PyJWTError, UnsupportedAlgorithm):
            continue
        for algorithm in ALGORITHMS[jwk.kty, jwk.crv]:
            if jwk.alg in (None, algorithm):
                found.setdefault((jwk.kid, algorithm), PublicKey(algorithm, key))
    return found


def _key(jwk: Jwk) -> Any:
    algorithms = ALGORITHMS.get((jwk.kty, jwk.crv))
    if algorithms is None or jwk.use not in (None, "sig") or (jwk.key_ops is not None and "verify" not in jwk.key_ops):
        raise ValueError("not for signatures")
    fields = {name: value for name, value in msgspec.structs.asdict(jwk).items() if value is not None}
    key = _IMPLEMENTATIONS[algorithms[0]].from_jwk(fields)
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ValueError("too small to be safe, or too large to be quick")
    return key

"""An identity provider made of real keys, and identities with clocks that are moved by hand."""

import asyncio
import json
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from gateway.errors import Unreachable
from gateway.identity.jwt import Identities
from gateway.manifests.identity import IdentityProvider

NOW = 1_800_000_000.0
ALGORITHMS = get_default_algorithms()


@pytest.fixture(scope="session")
def keys():
    """Private keys by name; `stranger` is somebody else's."""
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "new": rsa.generate_private_key(65537, 2048),
        "stranger": rsa.generate_private_key(65537, 2048),
        "weak": rsa.generate_private_key(65537, 1024),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


def jwk_of(key, kid, /, **fields):
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    kind = next((kinds[base] for base in kinds if isinstance(key, base)), OKPAlgorithm)
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, **fields}


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=")


def compact(part):
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()


class Idp:
    """Publishes the keys named in `published`, and signs whatever it is asked to, well-formed or not."""

    ISSUER = "https://idp.example.com"
    JWKS_URI = "https://idp.example.com/keys"

    def __init__(self, keys):
        self.keys = keys
        self.published = ["rsa", "p256", "p384", "p521", "ed25519"]
        self.requests = []
        self.is_down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.documents = {}

    async def fetch(self, url):
        self.requests.append(url)
        await self.gate.wait()
        if self.is_down:
            raise Unreachable("the identity provider cannot be reached")
        return self.documents[url] if url in self.documents else self.jwks()

    def jwks(self):
        return json.dumps({"keys": [jwk_of(self.keys[name], name) for name in self.published]}).encode()

    def claims(self, **changes):
        """Those of Ana's token; None leaves one out."""
        claims = {
            "iss": self.ISSUER,
            "aud": "gateway",
            "sub": "u-1",
            "email": "Ana@Example.com",
            "groups": ["eng", "ml"],
            "iat": 1_800_000_000,
            "exp": 1_800_003_600,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, payload=None, *, key="rsa", alg="RS256", header=None, **changes):
        """`payload` as bytes or as an object; else Ana's claims with `changes`. `header` adds to alg, kid and typ."""
        head = {"alg": alg, "kid": key, "typ": "JWT", **(header or {})}
        return self.signed(head, self.claims(**changes) if payload is None else payload, self.keys[key], alg)

    @staticmethod
    def signed(header, payload, key, alg):
        data = b64(compact(header)) + b"." + b64(compact(payload))
        return data + b"." + b64(ALGORITHMS[alg].sign(data, key))


@pytest.fixture
def idp(keys):
    return Idp(keys)


class Clock:
    """Both clocks of `Identities`, which move together. They differ, so that taking one for the other shows."""

    def __init__(self):
        self.passed_s = 0.0

    def wall(self):
        return NOW + self.passed_s

    def monotonic(self):
        return 50.0 + self.passed_s

    def move(self, seconds):
        self.passed_s += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def provider():
    """`provider(**changes)`: the configuration of `idp`."""

    def make(**changes):
        fields = {
            "type": "identity-provider",
            "name": "okta",
            "issuer": Idp.ISSUER,
            "audiences": ("gateway",),
            "jwks_uri": Idp.JWKS_URI,
            "algorithms": ("RS256", "ES256", "EdDSA"),
        }
        return IdentityProvider(**(fields | changes))

    return make


@pytest.fixture
async def identities_of(idp, clock):
    """`identities_of(*providers, ...)`; they are closed when the test ends, and no task may be left then."""
    made = []

    def make(*providers, **options):
        options = {"fetch": idp.fetch, "clock": clock.wall, "monotonic": clock.monotonic, **options}
        made.append(Identities(providers, **options))
        return made[-1]

    yield make
    for identities in made:
        await identities.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def identities(identities_of, provider):
    return identities_of(provider())


@pytest.fixture(scope="session")
def jwk():
    return jwk_of


@pytest.fixture(scope="session")
def base64url():
    return b64

"""Tokens for workloads, which the API of CDP gives for a signed request.

Source: cdpcli/auth.py, cdpcli/client.py and data/iam/iam.yaml of cdpcli 0.9.164; docs.cloudera.com/machine-learning/
cloud/ai-inference, "Preparing to interact with the Cloudera AI Inference service API"; read 2026-11.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from time import time
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.contract import Endpoint, Upstream, UpstreamRequest
from gateway.errors import BrokeOff, Refused
from gateway.providers.credentials import Lent, read_answer
from gateway.secrecy.secret import Secret
from gateway.wire.address import below
from gateway.wire.headers import wrong_value

PATH = "/iam/generateWorkloadAuthToken"
JSON = "application/json"
USUAL_LIFE_S = 300.0
"""Of a token that comes without an end."""
SEED_CHARS = 44
"""Of an Ed25519 key, as CDP hands it out: base64 of its 32 bytes."""

Sign = Callable[[bytes], bytes]


class Answer(msgspec.Struct):
    token: str = ""
    expire_at: datetime | None = msgspec.field(default=None, name="expireAt")


class WorkloadTokens:
    """A `Fetch`.

    Args:
        wall: seconds since 1970.

    Raises:
        ValueError: the key, or the address, cannot be used; worded for the operator.
    """

    def __init__(
        self,
        base_url: str,
        access_key_id: Secret,
        private_key: Secret,
        workload: str,
        *,
        wall: Callable[[], float] = time,
    ) -> None:
        self._endpoint = Endpoint(below(base_url, PATH), {"content-type": JSON, "accept": JSON})
        self._path = urlsplit(self._endpoint.url).path
        self._key_id = access_key_id
        self._method, self._sign = signer(private_key.reveal())
        self._body = msgspec.json.encode({"workloadName": workload})
        self._wall = wall

    async def __call__(self, network: Upstream) -> Lent[Secret]:
        """Raises UpstreamError: there is none, in words of our own."""
        now_s = self._wall()
        reply = await network.call(UpstreamRequest(self._signed(now_s), self._body))
        body = await read_answer(reply)
        if reply.status in (400, 401, 403):
            raise Refused(
                "the provider gives no token for the account's access key; tell whoever runs the gateway",
                status=401,
                code="upstream_authentication_error",
            )
        if reply.status >= 300:
            status = reply.status if reply.status == 429 or reply.status >= 500 else 502
            raise Refused(f"the provider was asked for a token and answered with status {reply.status}", status=status)
        try:
            answer = msgspec.json.decode(body, type=Answer)
        except (msgspec.DecodeError, RecursionError):
            answer = Answer()
        if not answer.token or wrong_value(answer.token):
            raise BrokeOff("the provider was asked for a token and answered with something else")
        ends = answer.expire_at
        return Lent(Secret(answer.token), max(0.0, ends.timestamp() - now_s) if ends is not None else USUAL_LIFE_S)

    def _signed(self, now_s: float) -> Endpoint:
        date = formatdate(now_s, usegmt=True)
        signature = self._sign(f"POST\n{JSON}\n{date}\n{self._path}\n{self._method}".encode())
        about = msgspec.json.encode({"access_key_id": self._key_id.reveal(), "auth_method": self._method})
        value = f"{urlsafe_b64encode(about).decode()}.{urlsafe_b64encode(signature).decode()}"
        return self._endpoint.with_headers({"x-altus-date": date, "x-altus-auth": value})


def signer(key: str) -> tuple[str, Sign]:
    """CDP's name of the method, and how it signs. Raises ValueError: it is no key of a kind that CDP hands out."""
    try:
        if len(key) == SEED_CHARS:
            return "ed25519v1", Ed25519PrivateKey.from_private_bytes(b64decode(key)).sign
        loaded = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        loaded = None
    if isinstance(loaded, EllipticCurvePrivateKey):
        elliptic = loaded
        return "ecdsav1", lambda data: elliptic.sign(data, ECDSA(SHA512()))
    if isinstance(loaded, RSAPrivateKey):
        rsa = loaded
        return "rsav1", lambda data: rsa.sign(data, PKCS1v15(), SHA256())
    raise ValueError("private_key must be the private key that CDP has given with the access key, all of it")

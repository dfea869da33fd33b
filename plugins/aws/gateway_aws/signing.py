"""Signatures of AWS, version 4, over the bytes that are sent.

Importing this takes an eighth of a second, for botocore: it is done when an account is compiled that needs it.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html, read 2026-11.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from gateway.contract import Upstream, UpstreamRequest
from gateway.providers.credentials import Fresh
from gateway.secrecy.secret import Secret
from gateway_aws.key_signer import KeySigner

_SIGNED = frozenset({"content-type", "host"})
"""Besides what begins with `x-amz`."""


LARGE_BYTES = 1024 * 1024
"""Bodies with pictures take milliseconds to sign, in which nobody else would be served."""


class Keys(NamedTuple):
    """What requests are signed with. `token`: of keys that are for a while."""

    id: Secret
    secret: Secret
    token: Secret | None = None


class SigV4(KeySigner):
    """
    Args:
        service: the name in the signature, which is not always that in the address.
    """

    def __init__(self, keys: Fresh[Keys], *, service: str, region: str, is_renewed: bool = True) -> None:
        self.is_renewed = is_renewed
        self._keys = keys
        self._service = service
        self._region = region

    async def sign(self, request: UpstreamRequest, network: Upstream) -> UpstreamRequest:
        keys = await self._keys.get(network)
        if not isinstance(request.body, bytes):  # what is signed is all of it
            whole = b"".join([piece async for piece in request.body])
            request = msgspec.structs.replace(request, body=whole, length=None)
        assert isinstance(request.body, bytes)
        if len(request.body) > LARGE_BYTES:
            return await asyncio.to_thread(signed, request, keys, service=self._service, region=self._region)
        return signed(request, keys, service=self._service, region=self._region)

    def drop(self) -> None:
        self._keys.drop()


def signed(request: UpstreamRequest, keys: Keys, *, service: str, region: str) -> UpstreamRequest:
    """The same with the headers of a signature."""
    endpoint, body = request.endpoint, request.body
    assert isinstance(body, bytes)
    credentials = ReadOnlyCredentials(
        keys.id.reveal(), keys.secret.reveal(), keys.token.reveal() if keys.token is not None else None
    )
    line, *lines = endpoint.head.decode().split("\r\n")[:-1]
    given = dict(_headers_in(lines))
    url = f"{'https' if endpoint.is_tls else 'http'}://{given['host']}{line.split(' ')[1]}"
    unsigned = AWSRequest("POST", url, headers=given, data=body)
    SigV4Auth(credentials, service, region).add_auth(unsigned)
    added = {name.lower(): value for name, value in unsigned.headers.items() if name.lower() not in given}
    return msgspec.structs.replace(request, endpoint=endpoint.with_headers(added))


def _headers_in(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those that are signed, as they are sent: not what proxies on the way may change."""
    for line in lines:
        name, _, value = line.partition(": ")
        if name in _SIGNED or name.startswith("x-amz"):
            yield name, value

"""Fetches what identity providers publish: JWKS and discovery documents."""

import ssl
from ipaddress import ip_address
from typing import Protocol

from aiohttp import ClientError
from yarl import URL

from gateway.errors import BrokeOff, TimedOut, Unreachable
from gateway.upstream.outgoing import Ways


class Fetch(Protocol):
    async def __call__(self, url: str) -> bytes:
        """Reads the document at a URL.

        Raises:
            UpstreamError: there is none to be had.
        """


class HttpFetch:
    """Over HTTP, with a fresh session each time: once in ten minutes is not worth a pool, and so no cookie is kept.

    Redirects are not followed, so that a document comes from where the configuration says. Compressed bodies, which
    nobody asked for, are not unpacked.

    Identity providers are an admin's or the operator's own, and may be in a private network.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 5.0,
        max_body_bytes: int = 1024 * 1024,
        tls: ssl.SSLContext | None = None,
        ways: Ways | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._tls = tls
        self._ways = ways or Ways()

    async def __call__(self, url: str) -> bytes:
        try:
            target = safe_url(url)
        except ValueError as error:
            raise Unreachable("keys are only fetched by https, or from this machine") from error
        try:
            async with (
                self._ways.session(
                    str(target), is_trusted=True, timeout_s=self._timeout_s, tls=self._tls, auto_decompress=False
                ) as session,
                session.get(target, allow_redirects=False, headers=_HEADERS) as response,
            ):
                if response.status != 200:
                    raise BrokeOff(f"the identity provider answered with status {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > self._max_body_bytes:
                        raise BrokeOff(f"the identity provider sent more than {self._max_body_bytes} bytes")
                return bytes(body)
        except TimeoutError as error:
            raise TimedOut("the identity provider did not answer in time") from error
        except (ClientError, OSError, ValueError) as error:
            raise Unreachable("the identity provider cannot be reached") from error


_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


def safe_url(text: str) -> URL:
    """A URL from which nobody on the way can answer: https, or http on a loopback address.

    Raises:
        ValueError: it is another one, or none.
    """
    url = URL(text)
    if not url.host or url.user is not None or url.password is not None:
        raise ValueError("not the URL of a document")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise ValueError("neither https nor on a loopback address")
    return url


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ip_address(host).is_loopback  # raises ValueError for other names

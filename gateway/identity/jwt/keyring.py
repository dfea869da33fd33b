"""The keys of one identity provider: fetched when first needed, and again before they are old."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import msgspec
import structlog

from gateway.errors import Unavailable, UpstreamError
from gateway.identity.jwt.jwks import Fetch, safe_url
from gateway.identity.jwt.keys import PublicKey, read_jwks
from gateway.manifests.identity import IdentityProvider
from gateway.wire.address import below

log = structlog.get_logger(__name__)

STALE_AFTER_S = 600.0
PAUSE_S = 30.0
"""Between two fetches, whatever strangers send us."""
PAUSE_WITHOUT_KEYS_S = 5.0

Start: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Discovery(msgspec.Struct, frozen=True):
    """Source: OpenID Connect Discovery 1.0, section 3."""

    issuer: str
    jwks_uri: str


class Keyring:
    """Any number of requests that wait cause one fetch, and it goes on when one of them is cancelled.

    Args:
        start: makes a task, and keeps it until it is done.
        timeout_s: for discovery and keys together.
    """

    def __init__(
        self,
        provider: IdentityProvider,
        *,
        fetch: Fetch,
        monotonic: Callable[[], float],
        start: Start,
        timeout_s: float = 5.0,
    ) -> None:
        self.provider = provider
        self.timeout_s = timeout_s
        self._fetch = fetch
        self._monotonic = monotonic
        self._start = start
        self._keys: Mapping[tuple[str, str], PublicKey] | None = None  # None: never fetched
        self._stale_at = 0.0
        self._not_before = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        """None when the provider has no such key, as far as can be known now.

        Raises:
            Unavailable: it could not yet be asked for any.
        """
        key = self._keys.get((kid, algorithm)) if self._keys is not None else None
        if key is not None:
            if self._monotonic() >= self._stale_at:
                self._refresh()  # in the background: the old key will do
            return key
        if refreshing := self._refresh():
            # It may be a new key. `wait`, unlike `await`, leaves the task alone when this request is cancelled.
            await asyncio.wait([refreshing])
        if self._keys is None:
            retry_after_s = max(1.0, self._not_before - self._monotonic())
            raise Unavailable("the keys of the identity provider cannot be had just now", retry_after_s=retry_after_s)
        return self._keys.get((kid, algorithm))

    def cancel(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()

    def _refresh(self) -> asyncio.Task[None] | None:
        """The refresh under way, or a new one; None when the last was a moment ago."""
        if self._refreshing is None or self._refreshing.done():
            if self._monotonic() < self._not_before:
                return None
            self._not_before = self._monotonic() + PAUSE_S
            self._refreshing = self._start(self._replace_keys())
        return self._refreshing

    async def _replace_keys(self) -> None:
        try:
            async with asyncio.timeout(self.timeout_s):
                document = await self._fetch(await self._jwks_uri())
            self._keys = read_jwks(document)
        except (UpstreamError, TimeoutError, ValueError, RecursionError) as error:
            if self._keys is None:
                self._not_before = self._monotonic() + PAUSE_WITHOUT_KEYS_S
            log.warning("jwks not refreshed", provider=self.provider.name, reason=type(error).__name__)
        else:
            self._stale_at = self._monotonic() + STALE_AFTER_S
            log.info("jwks refreshed", provider=self.provider.name, keys=len(self._keys))

    async def _jwks_uri(self) -> str:
        """Read anew each time: it may change, and is needed once in ten minutes."""
        issuer = self.provider.issuer
        if self.provider.jwks_uri is not None:
            return self.provider.jwks_uri
        document = await self._fetch(below(issuer, "/.well-known/openid-configuration"))
        found = msgspec.json.decode(document, type=Discovery)
        if found.issuer != issuer:
            raise ValueError("the discovery document is for another issuer")
        if safe_url(found.jwks_uri).scheme == "http" and issuer.startswith("https:"):
            raise ValueError("the discovery document leads from https to http")
        return found.jwks_uri

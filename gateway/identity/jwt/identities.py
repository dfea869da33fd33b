"""Whom the JWTs of identity providers stand for."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from gateway.contract.part import Part, ending_with
from gateway.identity.jwt.cache import Known, Refused, digest_of
from gateway.identity.jwt.claims import Identity, identity_of, texts
from gateway.identity.jwt.unverified import Unverified, looks_like_jwt, read
from gateway.manifests.identity import IdentityProvider

if TYPE_CHECKING:
    from gateway.identity.jwt.jwks import Fetch
    from gateway.identity.jwt.keyring import Keyring

KNOWN_FOR_S = 600.0
"""Then a token is verified anew, though it be valid for longer: the provider may have withdrawn the key."""
REFUSED_FOR_S = 10.0


class Identities(Part):
    """Takes a token for what its provider says, and remembers it.

    Args:
        clock: seconds since 1970.
        leeway_s: how far a provider's clock may be ahead of ours.
        max_known: how many good tokens to remember, and as many bad ones. Bad ones never push out good ones.
    """

    name = "identities"

    def __init__(
        self,
        providers: Sequence[IdentityProvider] = (),
        *,
        fetch: "Fetch",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        leeway_s: float = 30.0,
        max_known: int = 10_000,
    ) -> None:
        self.leeway_s = leeway_s
        self.max_known = max_known
        self._fetch = fetch
        self._clock = clock
        self._monotonic = monotonic
        self._tasks: set[asyncio.Task[None]] = set()
        self._providers: tuple[IdentityProvider, ...] = ()
        self._keyrings: dict[tuple[str, str, str | None], Keyring] = {}
        self._known = Known(max_known)
        self._refused = Refused(max_known, REFUSED_FOR_S)
        self.replace(providers)

    def replace(self, providers: Sequence[IdentityProvider]) -> None:
        """Puts another configuration into force. The keys of a provider stay while its name and addresses do."""
        if tuple(providers) == self._providers:
            return
        from gateway.identity.jwt.keyring import Keyring  # it takes 50 ms, which nobody without a provider should pay

        before = self._keyrings
        self._keyrings = {
            source: before.get(source)
            or Keyring(provider, fetch=self._fetch, monotonic=self._monotonic, start=self._start)
            for source, provider in {_source(provider): provider for provider in providers}.items()
        }
        for source in before.keys() - self._keyrings.keys():
            before[source].cancel()
        self._providers = tuple(providers)
        self._known = Known(self.max_known)
        self._refused = Refused(self.max_known, REFUSED_FOR_S)

    def find(self, token: bytes) -> Identity | None:
        """Whom a token stands for that was verified before. None says nothing: ask `verify`."""
        if not self._known or not looks_like_jwt(token):
            return None
        return self._known.find(digest_of(token), self._clock())

    async def verify(self, token: bytes) -> Identity | None:
        """Whom a token stands for; None when it is refused, for whatever reason.

        Raises:
            Unavailable: it may be good, but no key of its provider was ever fetched, nor can be now.
        """
        if not self._providers or not looks_like_jwt(token):
            return None
        digest = digest_of(token)
        if known := self._known.find(digest, self._clock()):
            return known
        if self._refused.holds(digest, self._monotonic()):
            return None
        providers = self._providers
        try:
            jwt = read(token)
            provider = self._provider_of(jwt)
            identity = identity_of(jwt.claims, provider, now_s=self._clock(), leeway_s=self.leeway_s)
        except ValueError:
            self._refused.add(digest, self._monotonic())
            return None
        key = await self._keyrings[_source(provider)].find(jwt.kid, jwt.algorithm)
        if self._providers is not providers:
            return await self.verify(token)  # they were replaced meanwhile
        if key is None:
            return None  # and not remembered as bad: the next refresh may bring the key
        if not key.has_signed(jwt.signed, jwt.signature):
            self._refused.add(digest, self._monotonic())
            return None
        self._known.add(digest, identity, min(identity.expires_at, self._clock() + KNOWN_FOR_S))
        return identity

    def running(self) -> AbstractAsyncContextManager[object]:
        return ending_with(self.close)

    async def close(self) -> None:
        """Ends what is under way. All tokens are refused from now on."""
        self.replace(())
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _provider_of(self, jwt: Unverified) -> IdentityProvider:
        """The first that fits: one issuer may sign for users and for applications, which differ in the audience.

        Raises:
            ValueError: there is none.
        """
        issuer, audiences = jwt.claims.get("iss"), texts(jwt.claims.get("aud"))
        for provider in self._providers:
            is_for_us = provider.issuer == issuer and not audiences.isdisjoint(provider.audiences)
            if is_for_us and jwt.algorithm in provider.algorithms:
                return provider
        raise ValueError("nobody we know")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _source(provider: IdentityProvider) -> tuple[str, str, str | None]:
    return provider.name, provider.issuer, provider.jwks_uri

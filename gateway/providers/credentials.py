"""What ends and has to be fetched before a provider can be asked: access tokens, and keys for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Generic, TypeVar

import msgspec
import structlog

from gateway.contract import Endpoint, Reply, Upstream, UpstreamRequest
from gateway.errors import TimedOut, UpstreamError
from gateway.logs import traceback_text
from gateway.secrecy.secret import Secret

EARLY_S = 60.0
"""So long before its end a value is not used any more; Azure Databricks refuses tokens that have 30 s left.

Source: databricks/sdk/oauth.py of databricks-sdk-py, read 2026-11.
"""
RENEW_S = 300.0
"""So long before that its successor is fetched. A quarter of its life, if that is less."""
FETCH_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
RETRY_S = 10.0
"""From a renewal that failed to the next one, for as long as there is something to go on with."""
DROP_EVERY_S = 10.0
"""Requests that went out with a refused value are refused one after the other; its successor is not to blame."""

MAX_SIGNED = 256
"""Endpoints whose heads are kept with the token in them: most accounts have few, but a route may make one for each
request."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Lent(msgspec.Struct, Generic[T], frozen=True):
    """`lasts_s` counts from when it was asked for: since then, at the latest, it exists."""

    value: T
    lasts_s: float


Fetch = Callable[[Upstream], Awaitable[Lent[T]]]
"""Raises UpstreamError: there is none to be had, as if the provider itself had not answered. Its message is for the
caller, and holds nothing that was sent."""


async def read_answer(reply: Reply) -> bytes:
    """Of who gives out such values, and closes it. What is over `MAX_ANSWER_BYTES` is none of theirs, and not read."""
    body = b""
    try:
        while len(body) < MAX_ANSWER_BYTES and (more := await reply.read()):
            body += more
    finally:
        reply.close()
    return body


class Fresh(Generic[T]):
    """Keeps one value for all requests of an account: fetched when it is first needed, and renewed before it ends.

    However many ask at once, it is fetched once. The fetch goes on when they leave, for no longer than `FETCH_S`: else
    callers in a hurry would never get a slow one. Shortly before its end it is renewed beside the requests, which go on
    with what there is; if that fails, until the end. Only then, and at the beginning, does anybody wait, and is told of
    a failure; the next to come tries again.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, fetch: Fetch[T], *, clock: Callable[[], float] = perf_counter) -> None:
        self._fetch = fetch
        self._clock = clock
        self._value: T | None = None
        self._renew_at_s = self._ends_at_s = 0.0
        self._next_drop_at_s = clock()
        self._fetching: asyncio.Task[T] | None = None

    async def get(self, network: Upstream) -> T:
        """
        Args:
            network: by which it is fetched, if it has to be.

        Raises:
            UpstreamError: there is none, and none can be fetched.
        """
        value, now_s = self._value, self._clock()
        if value is None or now_s >= self._ends_at_s:
            fetching = self._start(network)
            await asyncio.wait([fetching])  # which, unlike `await fetching`, leaves it alone when it is cancelled
            return fetching.result()
        if now_s >= self._renew_at_s:
            self._start(network)
        return value

    def drop(self) -> None:
        """It was refused. The next to come has another fetched, unless one was dropped just before."""
        now_s = self._clock()
        if now_s >= self._next_drop_at_s:
            self._next_drop_at_s = now_s + DROP_EVERY_S
            self._value = None

    def _start(self, network: Upstream) -> "asyncio.Task[T]":
        if self._fetching is None:
            self._renew_at_s = self._clock() + RETRY_S
            self._fetching = asyncio.create_task(self._fetched(network))
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    async def _fetched(self, network: Upstream) -> T:
        asked_at_s = self._clock()
        try:
            async with asyncio.timeout(FETCH_S):
                lent = await self._fetch(network)
        except TimeoutError as error:
            log.warning("credentials not fetched", reason=f"no answer within {FETCH_S:g} s")
            raise TimedOut(f"the provider gave no access token within {FETCH_S:g} s") from error
        except UpstreamError as error:
            log.warning("credentials not fetched", reason=error.message)
            raise
        except Exception:
            log.error("credentials not fetched", traceback=traceback_text())
            raise
        kept_s = max(lent.lasts_s - EARLY_S, lent.lasts_s / 2)
        self._ends_at_s = asked_at_s + kept_s
        self._renew_at_s = self._ends_at_s - min(RENEW_S, kept_s / 4)
        self._value = lent.value
        return lent.value

    def _ended(self, fetching: "asyncio.Task[T]") -> None:
        self._fetching = None
        if not fetching.cancelled():
            fetching.exception()  # those who would have had it may all have left


class BearerTokens:
    """A `Signer`: what it fetches goes out as `Authorization: Bearer ...`."""

    def __init__(self, fetch: Fetch[Secret], *, clock: Callable[[], float] = perf_counter) -> None:
        self._fresh = Fresh(fetch, clock=clock)
        self._token: Secret | None = None
        self._signed: dict[Endpoint, Endpoint] = {}

    async def sign(self, request: UpstreamRequest, network: Upstream) -> UpstreamRequest:
        token = await self._fresh.get(network)
        if token is not self._token or len(self._signed) >= MAX_SIGNED:
            self._token, self._signed = token, {}
        endpoint = self._signed.get(request.endpoint)
        if endpoint is None:
            endpoint = request.endpoint.with_headers({"authorization": f"Bearer {token.reveal()}"})
            self._signed[request.endpoint] = endpoint
        return msgspec.structs.replace(request, endpoint=endpoint)

    def drop(self) -> None:
        """The provider has refused the token. The next request fetches another, unless one was dropped just before."""
        self._fresh.drop()

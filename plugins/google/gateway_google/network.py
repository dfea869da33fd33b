"""The gateway's network, as google-auth asks things of it: from a thread, and waiting for the answer."""

import asyncio
from collections.abc import Mapping

import msgspec
from google.auth import transport

from gateway.contract import Endpoint, Upstream, UpstreamRequest
from gateway.errors import BrokeOff, TimedOut

MAX_ANSWER_BYTES = 256 * 1024
WAIT_S = 10.0
"""As long as anybody waits for a token; no thread waits for ever."""


class Answer(msgspec.Struct, frozen=True):
    """A `google.auth.transport.Response`."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Bridge(transport.Request):
    """A `google.auth.transport.Request`. `loop`: where the network lives."""

    def __init__(self, network: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._network = network
        self._loop = loop

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: object,
    ) -> Answer:
        """Raises UpstreamError, as the network does."""
        endpoint = Endpoint(url, dict(headers or {}), method=method)
        data = body.encode() if isinstance(body, str) else body or b""
        asking = asyncio.run_coroutine_threadsafe(self._ask(UpstreamRequest(endpoint, data)), self._loop)
        try:
            return asking.result(WAIT_S)
        except TimeoutError as error:
            asking.cancel()
            raise TimedOut("the provider gave no access token in time") from error

    async def _ask(self, request: UpstreamRequest) -> Answer:
        reply = await self._network.call(request)
        try:
            data = b""
            while piece := await reply.read():
                data += piece
                if len(data) > MAX_ANSWER_BYTES:
                    raise BrokeOff("the provider's answer to the request for an access token is too large")
        finally:
            reply.close()
        return Answer(reply.status, reply.headers, data)

"""A request body that is passed on while it comes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

from gateway.errors import BodyTooSlow, BrokeOff, ClientLeft
from gateway.proxy.asgi import Message, Receive, too_large
from gateway.proxy.exchange import Exchange


class Incoming:
    """The pieces of a body: each is read when the provider has taken the one before. They can be had once.

    Args:
        piece_s: how long the client may take for each.
    """

    def __init__(self, exchange: Exchange, receive: Receive, *, max_bytes: int, piece_s: float) -> None:
        self._exchange = exchange
        self._receive = receive
        self._max_bytes = max_bytes
        self._piece_s = piece_s
        self._over = asyncio.Event()
        self.is_taken = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """
        Raises:
            BrokeOff: they were had before.
            BodyTooSlow, TooLarge, ClientLeft: the rest will not come.
        """
        if self.is_taken:
            raise BrokeOff("the body of the request has been sent, and cannot be sent again")
        self.is_taken = True
        size = 0
        try:
            while True:
                message = await self._next()
                data = message.get("body", b"")
                size += len(data)
                if not message.get("more_body", False):
                    self._exchange.body_is_read = True
                    self._over.set()
                if size > self._max_bytes:
                    raise too_large(self._max_bytes)
                if data:
                    yield data
                if self._over.is_set():
                    return
        finally:
            self._over.set()

    def receive(self) -> Awaitable[Message]:
        """What else the client has to say, which comes behind the body."""
        return self._receive() if self._over.is_set() else self._receive_later()

    async def _receive_later(self) -> Message:
        await self._over.wait()
        return await self._receive()

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(self._piece_s):
                message = await self._receive()
        except TimeoutError as error:
            raise BodyTooSlow(f"nothing of the request body arrived for {self._piece_s:g} s") from error
        if message["type"] == "http.disconnect":
            raise ClientLeft("the client closed the connection before its request was complete")
        return message

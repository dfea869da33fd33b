"""Reads what clients send, and for no longer than it may take."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.errors import BodyTooSlow, ClientLeft
from gateway.proxy.asgi import Receive, too_large
from gateway.proxy.deadlines import Deadlines
from gateway.proxy.exchange import Exchange

PORTION = 1024 * 1024
"""Bytes of an upload that have as much time to arrive as a whole body of another kind."""
PIECE = 64 * 1024

LARGE = 256 * 1024
"""Bytes. A smaller body is read, and written for a provider, in one go, which takes a few milliseconds at most,
whatever is in it."""


class Bodies:
    """Reads request bodies, whoever needs one: all have the same time to arrive."""

    def __init__(self, timeout_s: float = 30.0) -> None:
        self.timeout_s = timeout_s
        self._slow = Deadlines(timeout_s, self._give_up)

    async def read(self, exchange: Exchange, receive: Receive, *, max_bytes: int) -> list[bytes]:
        """The whole body, in the pieces in which it arrived: to join 20 MB is work that not everybody wants to do at
        once.

        Raises:
            BodyTooSlow: it did not arrive in time.
            TooLarge: more than `max_bytes`; the rest is not read.
            ClientLeft: the client went away before the end.
        """
        self._slow.add(exchange, exchange.loop)
        try:
            message = await receive()
            pieces: list[bytes] = [message.get("body", b"")]
            size = len(pieces[0])
            while message.get("more_body", False) and size <= max_bytes:
                message = await receive()
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
        except asyncio.CancelledError:
            exchange.raise_interrupt()
            raise
        finally:
            self._slow.discard(exchange)
        if message["type"] == "http.disconnect":
            raise ClientLeft("the client closed the connection before its request was complete")
        exchange.body_is_read = not message.get("more_body", False)
        if size > max_bytes:
            raise too_large(max_bytes)
        return pieces

    async def upload(
        self, exchange: Exchange, receive: Receive, take: Callable[[bytes], Awaitable[None]], *, max_bytes: int
    ) -> None:
        """Hands a body on in pieces of at most 64 KiB, as they come, so that it may be larger than memory. No more is
        read from the client until a piece has been taken.

        Raises:
            BodyTooSlow: a MiB of it did not arrive in time.
            TooLarge, ClientLeft: as above.
        """
        self._slow.add(exchange, exchange.loop)
        size, due = 0, PORTION
        try:
            with exchange.interruptible():
                is_over = False
                while not is_over:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientLeft("the client closed the connection before its request was complete")
                    data = message.get("body", b"")
                    # Before anybody raises: who answers waits for what is still to come, as much as nothing is.
                    exchange.body_is_read = is_over = not message.get("more_body", False)
                    size += len(data)
                    if size > max_bytes:
                        raise too_large(max_bytes)
                    if size >= due:
                        due = size + PORTION
                        self._slow.discard(exchange)
                        self._slow.add(exchange, exchange.loop)
                    for begin in range(0, len(data), PIECE):
                        await take(data[begin : begin + PIECE])
        finally:
            self._slow.discard(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        exchange.interrupt(BodyTooSlow(f"the request body did not arrive within {self._slow.after_s:g} s"))

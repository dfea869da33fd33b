"""Reads what clients send, and for no longer than it may take."""

from gateway.errors import BodyTooSlow
from gateway.proxy.asgi import Receive, read_pieces
from gateway.proxy.deadlines import Deadlines
from gateway.proxy.exchange import Exchange


class Bodies:
    """Reads request bodies, whoever needs one: all have the same time to arrive."""

    def __init__(self, timeout_s: float = 30.0) -> None:
        self._slow = Deadlines(timeout_s, self._give_up)

    async def read(self, exchange: Exchange, receive: Receive, *, max_bytes: int) -> list[bytes]:
        """The whole body, in the pieces in which it arrived.

        Raises:
            BodyTooSlow: it did not arrive in time.
            TooLarge, ClientLeft: as `read_pieces`.
        """
        self._slow.add(exchange, exchange.loop)
        try:
            with exchange.interruptible():
                pieces = await read_pieces(receive, max_bytes=max_bytes)
        finally:
            self._slow.discard(exchange)
        exchange.body_is_read = True
        return pieces

    def _give_up(self, exchange: Exchange) -> None:
        exchange.interrupt(BodyTooSlow(f"the request body did not arrive within {self._slow.after_s:g} s"))

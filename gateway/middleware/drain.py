"""Knows the open requests, so that none is cut off when the gateway stops."""

from gateway.errors import Overloaded, Stopping
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.drain import Drain
from gateway.proxy.exchange import Exchange

RETRY_AFTER_S = 1


class DrainMiddleware:
    """Refuses new requests once the gateway takes no more, or while `max_open` are being served."""

    def __init__(self, app: ASGIApp, *, drain: Drain, max_open: int) -> None:
        self.app = app
        self.drain = drain
        self.max_open = max_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        drain = self.drain
        if drain.is_refusing:
            raise Stopping("the gateway is shutting down; ask again", retry_after_s=RETRY_AFTER_S)
        if len(drain) >= self.max_open:
            raise Overloaded(f"{self.max_open} requests are being served; ask again", retry_after_s=RETRY_AFTER_S)
        exchange = Exchange.of(scope)
        drain.enter(exchange)
        try:
            await self.app(scope, receive, send)
        finally:
            drain.leave(exchange)

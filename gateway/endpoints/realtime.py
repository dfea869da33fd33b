"""The realtime API: a WebSocket to the client, and one to the provider."""

import msgspec

from gateway.errors import ClientLeft, UpgradeRequired
from gateway.proxy.asgi import Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.proxy.responder import Responder
from gateway.proxy.session import Check, Count, SessionTiming, SocketWriter
from gateway.proxy.session_keys import with_key

SUBPROTOCOL = "realtime"


class RealtimeEndpoint:
    """Has a session relayed. It is accepted once a provider has opened it; until then, what is wrong is a status.

    Args:
        count: counts what a session has used while it goes on.
        check: whether it may go on.
    """

    def __init__(self, *, responder: Responder, timing: SessionTiming, count: Count, check: Check) -> None:
        self.responder = responder
        self.timing = timing
        self.count = count
        self.check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        assert exchange.choice is not None, "ModelMiddleware has to come before this endpoint"
        if (key := exchange.session_key) is not None and exchange.call is not None:
            exchange.choice = with_key(exchange.choice, key)
            # Where it is not accepted, that is no fault of the account's.
            exchange.call = msgspec.structs.replace(exchange.call, provider_key=key.authorization)
        await receive()  # says that there is a client
        # Pages send their token as one of several, and are given up by their browser unless another one is chosen.
        chosen = SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None
        writer = SocketWriter(
            *(receive, send, exchange), subprotocol=chosen, timing=self.timing, count=self.count, check=self.check
        )
        try:
            with exchange.interruptible():
                await self.responder.respond(exchange, writer)
        except OSError as error:  # some servers raise from `send` when the client has gone
            raise ClientLeft("the client closed the connection") from error


class UpgradeEndpoint:
    """Refuses a request where a WebSocket is meant."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise UpgradeRequired("this path takes a WebSocket")

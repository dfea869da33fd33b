"""Asks the guardrails, late, because they may be slow or cost money."""

from collections.abc import Sequence

from gateway.contract import Guard
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange


class GuardMiddleware:
    """Lets each guard look at the call; one that wants to see the reply adds an observer."""

    def __init__(self, app: ASGIApp, *, guards: Sequence[Guard] = ()) -> None:
        self.app = app
        self.guards = guards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        if exchange.call is not None:
            for guard in self.guards:
                exchange.observers += await guard.check(exchange.call)
        await self.app(scope, receive, send)

"""Names the rate limits a request draws on."""

from collections.abc import Callable, Sequence

from gateway.asgi import ASGIApp, Receive, Scope, Send
from gateway.contract import Hold
from gateway.exchange import Exchange

Rules = Callable[[Exchange], Sequence[Hold]]
"""What a request has to reserve: nothing when no rule is about it."""


class LimitMiddleware:
    """Adds its holds; `BudgetMiddleware`, further in, reserves all of them in one step."""

    def __init__(self, app: ASGIApp, *, rules: Rules | None = None) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.rules is not None:
            exchange = Exchange.of(scope)
            exchange.holds += self.rules(exchange)
        await self.app(scope, receive, send)

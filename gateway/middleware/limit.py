"""Names the limits and budgets a request draws on."""

from collections.abc import Callable, Sequence

from gateway.asgi import ASGIApp, Receive, Scope, Send
from gateway.exchange import Exchange
from gateway.holds import Hold

Rules = Callable[[Exchange], Sequence[Hold]]
"""What a request has to reserve: nothing when no rule is about it."""


class LimitMiddleware:
    """Adds holds; `BudgetMiddleware`, further in, takes all of them in one step. There may be several of these."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        exchange.holds += self.rules(exchange)
        await self.app(scope, receive, send)

"""Names the limits and budgets a request draws on."""

from collections.abc import Awaitable, Callable, Sequence

from gateway.contract.limits import Hold
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange

Rules = Callable[[Exchange], Sequence[Hold]]
"""What a request has to reserve: nothing when no rule is about it."""


class LimitMiddleware:
    """Adds holds; `BudgetMiddleware`, further in, takes all of them in one step. There may be several of these."""

    def __init__(self, app: ASGIApp, *, rules: Rules) -> None:
        self.app = app
        self.rules = rules

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        exchange.holds += self.rules(exchange)
        return self.app(scope, receive, send)

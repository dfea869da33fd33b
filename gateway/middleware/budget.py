"""Reserves what a request may use before it is sent, and settles with what it did use, however it ended."""

from gateway.proxy.admission import Admission
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange


class BudgetMiddleware:
    """Takes all holds in one atomic step, so that a refusal takes nothing. Requests without any are billed as well."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self.app = app
        self.admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        if exchange.holds:
            await self.admission.enter(exchange)
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            self.admission.leave(exchange, error)
            raise
        self.admission.leave(exchange, None)

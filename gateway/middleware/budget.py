"""Reserves what a request may use before it is sent, and settles with what it did use, however it ended."""

import asyncio

from gateway.asgi import ASGIApp, Receive, Scope, Send
from gateway.contract import Counters
from gateway.errors import RateLimited
from gateway.exchange import Exchange
from gateway.middleware.limit import Rules


class BudgetMiddleware:
    """Adds the budgets' holds to the limits' and takes all in one atomic step, so that a refusal takes nothing."""

    def __init__(self, app: ASGIApp, *, counters: Counters, rules: Rules | None = None) -> None:
        self.app = app
        self.counters = counters
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        if self.rules is not None:
            exchange.holds += self.rules(exchange)
        if not exchange.holds:
            await self.app(scope, receive, send)
            return
        verdict = await self.counters.reserve(exchange.holds)
        if verdict.ticket is None:
            hold = verdict.refused
            what = f"{hold.limit} {hold.unit} in {hold.window_s} s (rule {hold.rule})" if hold else "a limit"
            raise RateLimited(f"over the limit of {what}", retry_after_s=verdict.retry_after_s)
        try:
            await self.app(scope, receive, send)
        finally:
            await asyncio.shield(self.counters.settle(verdict.ticket, exchange.usage))

"""Finds the model that is asked for, so that whatever comes after knows where the request goes."""

from collections.abc import Awaitable, Callable

from gateway.contract import JsonBody, Models
from gateway.errors import BadRequest
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.rules.metadata import MetadataRules

NO_RULES = MetadataRules()


class ModelMiddleware:
    """Fills `Exchange.choice` of requests that have a call, once it is known what their metadata are; others pass.

    Args:
        by_account: takes those that are about something of an account, as files are, and goes on to the same app.
        metadata: gives the rules in force about those.
        storing: what those go through that say whether their answer is to be stored; None: what all do.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        models: Models,
        by_account: ASGIApp | None = None,
        metadata: Callable[[], MetadataRules] = lambda: NO_RULES,
        storing: ASGIApp | None = None,
    ) -> None:
        self.app = app
        self.models = models
        self.by_account = by_account
        self.metadata = metadata
        self.storing = storing

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        call = exchange.call
        if call is not None:
            if not (rules := self.metadata()).is_empty:
                exchange.metadata = rules.resolved(exchange.metadata, exchange.caller)
            kind = call.dialect.model_type
            model, account = call.ask.model, call.ask.account
            if model is not None:
                choice = self.models.find(model, exchange.caller, exchange.metadata, kind or None)
            elif call.ask.object is not None and self.by_account is not None:
                return self.by_account(scope, receive, send)
            else:
                choice = self.models.find_account(account or "", exchange.caller, kind)
            if kind and kind not in choice.target.model_types:
                raise BadRequest(f"{call.ask.name} is not declared as {kind} (model_types)", param="model")
            exchange.choice = choice
            body = call.request.body
            if self.storing is not None and isinstance(body, JsonBody) and "store" in body.fields:
                return self.storing(scope, receive, send)
        return self.app(scope, receive, send)

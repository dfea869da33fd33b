"""Lets realtime sessions in by the keys that were made for them."""

from collections.abc import Awaitable
from urllib.parse import urlencode

import msgspec

from gateway.contract import Tokens
from gateway.contract.caller import KnowsStill
from gateway.errors import BadRequest, Unauthorized
from gateway.middleware.auth import keys_of, token_among
from gateway.middleware.failures import Failures
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.proxy.session_keys import PREFIX, SessionKey, SessionKeys
from gateway.wire.realtime import named_in

METADATA = b"x-tfy-metadata"


class SessionKeyMiddleware:
    """Fills `Exchange.session_key`, and with it the caller; in the query stands the key's model then. Without such a
    key, `other` is asked.

    Args:
        tokens: know whether who has made the key may still use what it was made with.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        other: ASGIApp,
        keys: SessionKeys,
        tokens: Tokens,
        failures: Failures | None = None,
    ) -> None:
        self.app = app
        self.other = other
        self.keys = keys
        self.tokens = tokens
        self.failures = failures

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        token = keys_of(exchange.headers)[0] or token_among(scope.get("subprotocols", ()))
        if not token.startswith(PREFIX):
            return self.other(scope, receive, send)
        key = self.keys.open(token)
        caller = key.caller if key is not None else None
        if caller is not None and isinstance(self.tokens, KnowsStill):
            caller = self.tokens.still(caller)
        if key is None or caller is None:
            if self.failures is not None:
                self.failures.add(scope)
            raise Unauthorized("the key for sessions is not known here, or its time is over; make another one")
        exchange.session_key, exchange.caller = key, caller
        exchange.headers = {**exchange.headers, METADATA: msgspec.json.encode(key.metadata)}  # and not what a page says
        return self.app({**scope, "query_string": _query(scope, key)}, receive, send)


def _query(scope: Scope, key: SessionKey) -> bytes:
    """Raises BadRequest: it asks for another model."""
    try:
        named = named_in(scope.get("query_string", b""))
    except ValueError as error:
        raise BadRequest("the query cannot be read: it has too many fields") from error
    own = {key.asked, key.model, key.asked.partition("/")[2]}
    if any(name == "model" and value not in own for name, value in named):
        raise BadRequest(
            f"this key opens sessions with {key.asked}; leave out the model, or ask for that", param="model"
        )
    rest = [(name, value) for name, value in named if name not in ("model", "intent")]
    intent = [("intent", "transcription")] if key.transcribes else []
    return urlencode([("model", key.asked), *intent, *rest]).encode()

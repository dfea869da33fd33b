"""Finds out who is calling, before the body is read: strangers must not make us buffer."""

from collections.abc import Mapping

from gateway.asgi import ASGIApp, Receive, Scope, Send
from gateway.contract import Tokens
from gateway.errors import Unauthorized
from gateway.exchange import Exchange


class AuthMiddleware:
    """Lets a request pass when it carries a token that `tokens` knows."""

    def __init__(self, app: ASGIApp, *, tokens: Tokens) -> None:
        self.app = app
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        token = token_of(exchange.headers)
        if not token:
            raise Unauthorized("no token; send it as 'Authorization: Bearer <token>', or as x-api-key")
        exchange.caller = self.tokens.find(token)
        if exchange.caller is None:
            raise Unauthorized("the token is not known here, or no longer valid; ask the operator for a new one")
        await self.app(scope, receive, send)


def token_of(headers: Mapping[bytes, bytes]) -> bytes:
    """`x-tfy-api-key` comes first: a client sends it when Authorization belongs to somebody else."""
    if token := headers.get(b"x-tfy-api-key"):
        return token
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token:
        return token.strip()
    return headers.get(b"x-api-key", b"")

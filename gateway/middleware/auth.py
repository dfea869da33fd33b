"""Finds out who is calling, before the body is read: strangers must not make us buffer."""

from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from gateway.contract import Tokens
from gateway.errors import Unauthorized, Unavailable
from gateway.middleware.failures import Failures
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.exchange import Exchange
from gateway.secrecy.secret import Secret
from gateway.secrecy.tokens import is_well_formed

SUBPROTOCOL = "openai-insecure-api-key."
"""How pages in browsers send a token to a WebSocket, as they can set no headers. Who accepts it chooses another one of
the subprotocols: what is chosen is sent back. Source: platform.openai.com/docs/guides/realtime-websocket."""


_OF_SDKS = (b"x-api-key", b"api-key", b"x-goog-api-key", b"xi-api-key")


class AuthMiddleware:
    """Lets a request pass when it carries a token that `tokens` knows.

    Args:
        failures: keeps those who try tokens one after the other from going on; None lets them.
    """

    def __init__(self, app: ASGIApp, *, tokens: Tokens, failures: Failures | None = None) -> None:
        self.app = app
        self.tokens = tokens
        self.failures = failures

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        token, provider_key = keys_of(exchange.headers)
        token = token or token_among(scope.get("subprotocols", ())) or token_in_query(exchange, scope)
        if not token:
            raise Unauthorized("no token; send it in the Authorization header, after the word Bearer, or in x-api-key")
        exchange.caller = self.tokens.find(token)
        if exchange.caller is not None and provider_key is None:
            return self.app(scope, receive, send)
        return self._verify(exchange, token, provider_key, scope, receive, send)

    async def _verify(
        self,
        exchange: Exchange,
        token: bytes,
        provider_key: Secret | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """What has to be waited for."""
        caller = exchange.caller or await self.tokens.verify(token)
        if caller is None:
            if self.failures is not None:
                self.failures.add(scope)
            raise Unauthorized("the token is not known here, or no longer valid; ask the operator for a new one")
        exchange.caller = caller
        if provider_key is not None and not await self._is_ours(provider_key, token):
            exchange.provider_key = provider_key
        await self.app(scope, receive, send)

    async def _is_ours(self, key: Secret, token: bytes) -> bool:
        """Clients that send one token everywhere, or another of the gateway's, did not mean it for the provider."""
        for word in key.reveal().encode("latin-1").split():
            if word == token or is_well_formed(word.decode("latin-1")) or self.tokens.find(word) is not None:
                return True
            with suppress(Unavailable):
                if await self.tokens.verify(word) is not None:
                    return True
        return False


def keys_of(headers: Mapping[bytes, bytes]) -> tuple[bytes, Secret | None]:
    """The token for the gateway, and the caller's own key for the provider.

    The SDKs of Anthropic, Azure, Google and ElevenLabs have headers of their own for the token, and that of Deepgram
    has another word in front of it. A client whose Authorization is for the provider sends the gateway's token as
    `x-tfy-api-key`. Only then is there a key for the provider.
    """
    authorization = headers.get(b"authorization", b"")
    if token := headers.get(b"x-tfy-api-key"):
        return token, Secret(authorization.decode("latin-1")) if authorization else None
    scheme, _, token = authorization.partition(b" ")
    if token and (scheme.lower() == b"bearer" or scheme.lower() == b"token"):
        return token.strip(), None
    return next((token for name in _OF_SDKS if (token := headers.get(name))), b""), None


def token_among(subprotocols: Iterable[str]) -> bytes:
    """Empty if there is none."""
    tokens = (name.removeprefix(SUBPROTOCOL) for name in subprotocols if name.startswith(SUBPROTOCOL))
    return next(tokens, "").encode()


def token_in_query(exchange: Exchange, scope: Scope) -> bytes:
    """As `key`, where clients of the API send it so: Google's. Empty if there is none."""
    if not getattr(exchange.dialect, "takes_key_in_query", False):
        return b""
    pieces = scope.get("query_string", b"").split(b"&")
    return next((unquote_to_bytes(piece[4:]) for piece in pieces if piece.startswith(b"key=")), b"")

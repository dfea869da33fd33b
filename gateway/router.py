"""Which path leads where. One router decides the handler, and with it whether a token is needed."""

from collections.abc import Awaitable, Iterable

from gateway.asgi import ASGIApp, Receive, Scope, Send, route_path
from gateway.contract import Dialect
from gateway.errors import MethodNotAllowed
from gateway.exchange import Exchange

BASES = ("", "/v1", "/api/llm", "/api/llm/v1", "/api/llm/api/inference/openai")
"""Every inference route is below each of them. Source: section 2.1 of the compatibility notes."""


class Router:
    """Inference routes by dictionary: walking along patterns costs more than all steps here. The rest: `other`."""

    def __init__(self, dialects: Iterable[Dialect], *, inference: ASGIApp, other: ASGIApp) -> None:
        self.dialects = {base + dialect.path: dialect for dialect in dialects for base in BASES}
        self.inference = inference
        self.other = other

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        dialect = self.dialects.get(route_path(scope))
        if dialect is None:
            return self.other(scope, receive, send)
        Exchange.of(scope).dialect = dialect
        if scope["method"] != "POST":
            raise MethodNotAllowed("use POST")
        return self.inference(scope, receive, send)

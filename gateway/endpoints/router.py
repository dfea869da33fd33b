"""Which path leads where. One router decides the handler, and with it whether a token is needed."""

import re
from collections.abc import Awaitable, Collection, Iterable, Mapping
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from starlette.convertors import Convertor, PathConvertor
from starlette.routing import compile_path

from gateway.contract import Dialect
from gateway.errors import MethodNotAllowed, NotFound
from gateway.proxy.asgi import DEPLOYMENT, ASGIApp, Receive, Scope, Send, decoded, route_path
from gateway.proxy.exchange import Exchange

_MOUNTS = ("", "/api/llm")
_PREFIXES = (
    *_MOUNTS,
    "/anthropic",
    *(mount + prefix for prefix in ("/api/inference/openai", "/openai") for mount in _MOUNTS),
)
BASES = (*(prefix + version for prefix in _PREFIXES for version in ("", "/v1")), "/v1beta/openai")
"""Every inference route is below each of them. Source: section 2.1 of the compatibility notes. `/anthropic` is what
people give clients of Anthropic's API; `/openai` is what Azure's clients and Groq's SDK put behind the address, and
`/v1beta/openai` where Google has OpenAI's API. Those behind `/api/llm` are of a gateway that is mounted there."""

DEPLOYMENTS = tuple(f"{mount}/openai/deployments/{{{DEPLOYMENT}:path}}" for mount in _MOUNTS)
DEPLOYED = frozenset(
    {
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
        "/images/generations",
        "/images/edits",
        "/batches",
    }
)
"""What Azure's clients put behind the name of a model. Source: lib/azure.py of openai-python 3.57, azure.ts of
openai-node 6.49."""


_OLLAMAS = ("/api/chat", "/api/embed", "/api/generate", "/api/ps", "/api/show", "/api/tags", "/api/version")
_STRAY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(_OLLAMAS, "Ollama's own"),
        **dict.fromkeys(("/v2/chat", "/v2/embed"), "Cohere's own"),
        **dict.fromkeys(("/v1/complete", "/v1/engines"), "that old"),
    }
)
"""How paths begin that clients of other APIs ask for -> whose API that is."""


class Router:
    """Inference routes without places in them by dictionary: walking along patterns costs more than all steps here.
    Then those with places, then the rest: `other`. Of two dialects with one route, the later has it.

    Args:
        apart: name of a dialect -> what its requests go through in place of `inference`.
    """

    def __init__(
        self,
        dialects: Iterable[Dialect],
        *,
        inference: ASGIApp,
        websockets: ASGIApp,
        other: ASGIApp,
        apart: Mapping[str, ASGIApp] = {},
    ) -> None:
        self.fixed: dict[str, dict[str, tuple[Dialect, str, ASGIApp]]] = {}
        self.websockets = websockets
        templates: list[UrlPath] = []
        for dialect in dialects:
            methods: dict[str, list[str]] = {}
            app = apart.get(dialect.name, inference)
            for method, route in dialect.routes:
                if "{" in route:
                    methods.setdefault(route, []).append(method)
                else:
                    if route in DEPLOYED and method == "POST":
                        infer = partial(self._infer, dialect, route, app)
                        templates += [UrlPath([method], base + route, infer) for base in DEPLOYMENTS]
                    for base in BASES:
                        found = self.fixed.setdefault(base + route, {})
                        found |= dict.fromkeys(
                            (method, "HEAD") if method == "GET" else (method,), (dialect, route, app)
                        )
            for route, allowed in methods.items():
                infer = partial(self._infer, dialect, route, app)
                templates[:0] = [UrlPath(allowed, base + route, infer) for base in BASES]
        self.other = Paths(templates, other=other) if templates else other

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket":
            return self.websockets(scope, receive, send)
        methods = self.fixed.get(route_path(scope))
        if methods is None:
            return self.other(scope, receive, send)
        exchange = Exchange.of(scope)
        found = methods.get(scope["method"])
        if found is None:
            exchange.dialect = next(iter(methods.values()))[0]
            raise MethodNotAllowed(methods)
        exchange.dialect, exchange.route, app = found
        return app(scope, receive, send)

    @staticmethod
    def _infer(
        dialect: Dialect, route: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        exchange.dialect = dialect
        exchange.route = route
        return app(scope, receive, send)


class ByDialect:
    """For requests whose dialect is known: what the router would send them through.

    Args:
        apart: name of a dialect -> that, in place of `app`.
    """

    def __init__(self, app: ASGIApp, *, apart: Mapping[str, ASGIApp]) -> None:
        self.app = app
        self.apart = apart

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        dialect = Exchange.of(scope).dialect
        app = self.apart.get(dialect.name, self.app) if dialect is not None else self.app
        return app(scope, receive, send)


def websocket_paths(dialect: Dialect) -> list[str]:
    """Of an API that is spoken over WebSockets: those of others, and `/live/{account}`, which the vendors' own clients
    are given. Source: section 2.3 of the compatibility notes."""
    routes = [route for _, route in dialect.routes]
    live = ("/live/{account}", *(f"/live/{{account}}{version}{route}" for route in routes for version in ("", "/v1")))
    return [*(base + route for base in BASES for route in routes), *live]


def speaking(dialect: Dialect, app: ASGIApp) -> ASGIApp:
    """`app`, told that its requests are in this dialect."""

    def speak(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        exchange.dialect, exchange.route = dialect, dialect.routes[0][1]
        return app(scope, receive, send)

    return speak


class UrlPath:
    """A pattern, the methods it answers, and the app behind it. Where there is GET, there is HEAD.

    Args:
        path: `{name}` stands for one segment, `{name:path}` for any number. Source: Starlette's routes.
    """

    def __init__(self, methods: Collection[str], path: str, app: ASGIApp) -> None:
        if not methods:
            raise ValueError(f"{path} has no methods")
        self.methods = frozenset(methods) | ({"HEAD"} if "GET" in methods else set())
        self.path = path
        self.app = app
        self.begins = path.partition("{")[0]
        segment = _first_segment(path)
        self.first_segment = segment if "{" not in segment else None
        """None: any."""

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], Mapping[str, Convertor[Any]]]:
        """Only now: there are hundreds, and nobody ever asks for most of them."""
        pattern, _, convertors = compile_path(self.path)
        return pattern, convertors

    def match(self, scope: Scope, path: str) -> dict[str, str] | None:
        """The values in the path, or None when it is another. Only `{name:path}` may hold slashes, encoded or not."""
        pattern, convertors = self._compiled
        found = pattern.match(path)
        if found is None:
            return None
        values = {name: decoded(scope, text) for name, text in found.groupdict().items()}
        for name, value in values.items():
            if ("/" in value or "\\" in value) and not isinstance(convertors[name], PathConvertor):
                return None
        return values


class Paths:
    """Calls the app of the first path that matches, with what stands in the path as `path_params`.

    Args:
        other: for what matches none; without it, that is not found.
    """

    def __init__(self, paths: Iterable[UrlPath], *, other: ASGIApp | None = None) -> None:
        self.paths = tuple(paths)
        self.other = other
        self._anywhere = tuple(path for path in self.paths if path.first_segment is None)
        self._below = {
            segment: tuple(path for path in self.paths if path.first_segment in (segment, None))
            for segment in {path.first_segment for path in self.paths} - {None}
        }
        """First segment -> the paths that may fit, in their order: there are hundreds."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        written, method = route_path(scope), scope.get("method", "GET")  # the handshake of a WebSocket is one
        allowed: set[str] = set()
        for path in self._below.get(_first_segment(written), self._anywhere):
            # To see by the pattern that one does not fit takes five times as long.
            values = path.match(scope, written) if written.startswith(path.begins) else None
            if values is None:
                continue
            if method in path.methods:
                await path.app({**scope, "path_params": values}, receive, send)
                return
            allowed |= path.methods
        if allowed:
            raise MethodNotAllowed(allowed)
        if self.other is not None:
            await self.other(scope, receive, send)
            return
        raise NotFound(f"nothing is at {scope['path'][:200]}; {_where(written)}")


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _where(path: str) -> str:
    """What to do about a path that is none."""
    if "/v1/v1/" in path:
        return "this client adds /v1 by itself: leave it out of the base URL"
    if path.endswith("/"):
        return "leave out the slash at its end"
    if path.endswith("/chat/completions/chat/completions"):
        return "this client adds /chat/completions by itself: leave it out of the base URL"
    if (api := next((api for begin, api in _STRAY.items() if path.startswith(begin)), None)) is not None:
        return f"{api} API is not served: take a client of OpenAI's API, with the base URL of this gateway and /v1"
    return "chat is at /v1/chat/completions, models are at /v1/models, and all else is in /openapi.json"

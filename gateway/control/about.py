"""What the gateway says of itself: to who finds it, and to programs that read OpenAPI."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from gateway._version import __version__
from gateway.contract import Dialect, FormBody, JsonBody
from gateway.control.routes import BASE, Needs, Permission, Route
from gateway.middleware.parse import WITH_BODY
from gateway.proxy.asgi import Receive, Scope, Send, send_body

ABOUT = "An AI gateway: one API for the models of many providers, with tokens, limits and budgets."
BEARER = {"token": {"type": "http", "scheme": "bearer"}}

_VENDORS = {"rerank": "Cohere", "messages": "Anthropic", "count_tokens": "Anthropic"}

Operation = dict[str, Any]
_KINDS: Mapping[type, str] = {JsonBody: "application/json", FormBody: "multipart/form-data"}


class RootEndpoint:
    """At `/`. Probes look there, too, so it is as alive as `/healthz`, and says so in the same field."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        links = {"chat": "/v1/chat/completions", "models": "/v1/models", "health": "/healthz", "api": "/openapi.json"}
        about = {"status": "ok", "version": __version__, "about": ABOUT}
        body = {**about, "links": {name: root + path for name, path in links.items()}}
        await send_body(send, 200, msgspec.json.encode(body))


class OpenApiEndpoint:
    """At `/openapi.json`: what the tables of routes say, made when it is first asked for.

    Args:
        control: the routes of the control API; none without a database, where they lead nowhere.
    """

    def __init__(self, *, dialects: Sequence[Dialect], control: Sequence[Route]) -> None:
        self.dialects = dialects
        self.control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 200, self._document)

    @cached_property
    def _document(self) -> bytes:
        """OpenAPI 3.1. Answers have no schemas: those of models are the providers'."""
        bodies = list(dict.fromkeys(route.body for route in self.control if route.body is not None))
        refs, schemas = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
        ref_of = dict(zip(bodies, refs, strict=True))
        paths: dict[str, dict[str, Operation]] = {}
        for path, method, operation in [*self._inference(), *_probes(), *self._control(ref_of)]:
            paths.setdefault(path, {})[method.lower()] = operation
        document = {
            "openapi": "3.1.0",
            "info": {"title": "AI gateway", "version": __version__, "description": ABOUT},
            "servers": [{"url": ".", "description": "Wherever this document was found."}],
            "paths": paths,
            "components": {"securitySchemes": BEARER, "schemas": schemas},
        }
        return msgspec.json.encode(document)

    def _inference(self) -> Iterable[tuple[str, str, Operation]]:
        anything: dict[str, Any] = {"type": "object"}
        model = {**anything, "required": ["model"], "properties": {"model": {"type": "string"}}}
        for dialect in self.dialects:
            for method, route in dialect.routes:
                vendor = _VENDORS.get(dialect.name, "OpenAI")
                about = _operation(f"As {vendor}'s {route}", "inference", names=_names_in(route))
                if dialect.accepts is not None and (kind := _KINDS.get(dialect.accepts)) and method in WITH_BODY:
                    about["requestBody"] = {
                        "required": True,
                        "content": {kind: {"schema": model if dialect.model_type else anything}},
                    }
                yield route if route.startswith("/v2/") else f"/v1{route}", method, about
        yield "/v1/models", "GET", _operation("The models the caller may use", "inference")
        yield "/v1/models/{id}", "GET", _operation("One of them; its name may hold slashes", "inference", names=["id"])

    def _control(self, ref_of: dict[type[msgspec.Struct], Any]) -> Iterable[tuple[str, str, Operation]]:
        for route in self.control:
            needs = route.needs
            needed = f"{needs.permission} on {needs.resource}" if isinstance(needs, Permission) else needs.value
            operation = _operation(
                route.handler.__name__.replace("_", " ").capitalize(),
                "control",
                names=_names_in(route.path),
                body=ref_of[route.body] if route.body is not None else None,
            )
            if needs is Needs.NOTHING:
                operation["security"] = []
            yield BASE + route.path, route.method, {**operation, "description": f"Needs {needed}."}


def _names_in(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _probes() -> Iterable[tuple[str, str, Operation]]:
    yield "/healthz", "GET", {**_operation("Whether it is alive", "operation"), "security": []}
    yield "/readyz", "GET", {**_operation("Whether it can serve, and what is degraded", "operation"), "security": []}
    yield "/metrics", "GET", {**_operation("Numbers, for Prometheus", "operation"), "security": []}


def _operation(summary: str, tag: str, *, names: Iterable[str] = (), body: Any = None) -> Operation:
    operation: Operation = {
        "summary": summary,
        "tags": [tag],
        "security": [{name: []} for name in BEARER],
        "responses": {"200": {"description": "Done."}, "default": {"description": "An error."}},
    }
    if names:
        text = {"type": "string"}
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation

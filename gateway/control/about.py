"""What the gateway says of itself: to who finds it, and to programs that read OpenAPI."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, get_origin, get_type_hints

import msgspec

from gateway._version import __version__
from gateway.contract import Dialect, FormBody, JsonBody, RawBody
from gateway.control.routes import BASE, Needs, Permission, Route
from gateway.dialects.gemini import OF_NAMES_WITH_SLASHES
from gateway.endpoints.models import Model
from gateway.endpoints.router import DEPLOYED, DEPLOYMENTS
from gateway.middleware.parse import WITH_BODY
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.wire.native import ANTHROPIC, BEDROCK, GEMINI, SAGEMAKER
from gateway.wire.native_speech import STT, TTS
from gateway.wire.session_config import CALL, KEYS

ABOUT = "An AI gateway: one API for the models of many providers, with tokens, limits and budgets."
BEARER = {"token": {"type": "http", "scheme": "bearer"}}

_VENDORS = {"rerank": "Cohere", "ocr": "Mistral", "messages": "Anthropic", "count_tokens": "Anthropic"} | dict.fromkeys(
    ("gemini", "gemini_count_tokens", "gemini_embeddings"), "Google"
)

Operation = dict[str, Any]
_Refs = Mapping[Any, Any]
"""Struct -> where its schema stands in the document."""
_ANY = "*/*"
_KINDS: Mapping[type, str] = {JsonBody: "application/json", FormBody: "multipart/form-data", RawBody: _ANY}
_DEEPER = frozenset({KEYS, CALL})
"""Dialects whose bodies have the model somewhere inside."""
_ERROR = {"$ref": "#/components/schemas/ErrorBody"}


class ErrorDetails(msgspec.Struct):
    """`code` is stable, and for programs; `message` says what happened, and what to do."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(msgspec.Struct):
    """An error, as OpenAI's API has it, with what clients of the TrueFoundry gateway read beside it. APIs of other
    vendors have errors in the words of those."""

    error: ErrorDetails
    message: str
    status: str = "failure"
    status_code: int = msgspec.field(default=500, name="statusCode")


class AnthropicDetails(msgspec.Struct):
    type: str
    message: str


class AnthropicError(msgspec.Struct):
    """An error, as Anthropic's API has it."""

    type: str
    error: AnthropicDetails


class GoogleDetails(msgspec.Struct):
    code: int
    message: str
    status: str


class GoogleError(msgspec.Struct):
    """An error, as Google's APIs have it."""

    error: GoogleDetails


class AwsError(msgspec.Struct):
    """An error, as AWS's APIs have it."""

    message: str
    type: str = msgspec.field(name="__type")


class SpeechError(msgspec.Struct):
    """An error in the words of all vendors of speech at once: each client finds its own."""

    message: str
    error: str


class ModelList(msgspec.Struct):
    data: list[Model]
    object: str = "list"


_ERRORS: Mapping[str, type] = {
    **dict.fromkeys(("messages", "count_tokens", ANTHROPIC), AnthropicError),
    **dict.fromkeys(("gemini", "gemini_count_tokens", "gemini_embeddings", GEMINI), GoogleError),
    **dict.fromkeys((BEDROCK, SAGEMAKER), AwsError),
    **dict.fromkeys((TTS, STT), SpeechError),
}
"""Name of a dialect -> its errors, where they are not an `ErrorBody`."""


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
        passed: APIs that are passed on as they are.
        sessions: those that are spoken over WebSockets.
        control: the routes of the control API; none without a database, where they lead nowhere.
    """

    def __init__(
        self,
        *,
        dialects: Sequence[Dialect],
        passed: Sequence[Dialect] = (),
        sessions: Sequence[Dialect] = (),
        control: Sequence[Route],
    ) -> None:
        self.dialects = dialects
        self.passed = passed
        self.sessions = sessions
        self.control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 200, self._document)

    @cached_property
    def _document(self) -> bytes:
        """OpenAPI 3.1. Answers of models have no schemas: they are the providers'."""
        kinds = [ErrorBody, ModelList, *_ERRORS.values()]
        for route in self.control:
            kinds += [kind for kind in (route.body, _answer_of(route)) if kind is not None]
        kinds = [*dict.fromkeys(kinds)]
        refs, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        ref_of = dict(zip(kinds, refs, strict=True))
        paths: dict[str, dict[str, Operation]] = {}
        found = (*self._inference(ref_of), *self._sessions(), *self._passed(ref_of), *_probes(), *self._control(ref_of))
        for path, method, operation in found:
            paths.setdefault(path, {})[method.lower()] = operation
        document = {
            "openapi": "3.1.0",
            "info": {"title": "AI gateway", "version": __version__, "description": ABOUT},
            "servers": [{"url": ".", "description": "Wherever this document was found."}],
            "paths": paths,
            "components": {"securitySchemes": BEARER, "schemas": schemas},
        }
        return msgspec.json.encode(document)

    def _inference(self, ref_of: _Refs) -> Iterable[tuple[str, str, Operation]]:
        anything: dict[str, Any] = {"type": "object"}
        model = {**anything, "required": ["model"], "properties": {"model": {"type": "string"}}}
        for dialect in self.dialects:
            for method, route in dialect.routes:
                if route.startswith(("/gemini/", f"{OF_NAMES_WITH_SLASHES}/")):
                    continue  # the same once more
                vendor = _VENDORS.get(dialect.name, "OpenAI")
                names, error = _names_in(_plain(route)), _error_of(dialect, ref_of)
                about = _operation(f"As {vendor}'s {route}", "inference", names=names, error=error)
                if dialect.accepts is not None and (kind := _KINDS.get(dialect.accepts)) and method in WITH_BODY:
                    has_model = dialect.model_type and "{" not in route and dialect.name not in _DEEPER
                    about["requestBody"] = {
                        "required": True,
                        "content": {kind: {"schema": {} if kind == _ANY else model if has_model else anything}},
                    }
                yield _plain(route) if route.startswith(("/v2/", "/{version}/")) else f"/v1{route}", method, about
                if route in DEPLOYED and method == "POST":
                    yield _deployed(route, about)
        listed, one = ref_of[ModelList], {"$ref": "#/components/schemas/Model"}
        yield "/v1/models", "GET", _operation("The models the caller may use", "inference", answer=listed)
        told = "One of them; its name may hold slashes"
        yield "/v1/models/{id}", "GET", _operation(told, "inference", names=["id"], answer=one)

    def _sessions(self) -> Iterable[tuple[str, str, Operation]]:
        for dialect in self.sessions:
            for method, route in dialect.routes:
                about = _operation(f"As OpenAI's {route}: a WebSocket, `?model=account/model`", "inference")
                about["responses"] = {"101": {"description": "A WebSocket."}, **about["responses"]}
                del about["responses"]["200"]
                yield f"/v1{route}", method, about

    def _passed(self, ref_of: _Refs) -> Iterable[tuple[str, str, Operation]]:
        """What stands behind their prefixes is the vendors' to describe."""
        for dialect in self.passed:
            for method, route in dialect.routes:
                path = route.replace(":path}", "}")
                names, error = _names_in(path), _error_of(dialect, ref_of)
                about = _operation("Passed on as it is", "passed on", names=names, error=error)
                about["responses"]["501"] = {
                    **about["responses"]["default"],
                    "description": "A call of the vendor's API that is not passed on.",
                }
                if method in ("POST", "PUT", "PATCH"):
                    about["requestBody"] = {"content": {_ANY: {}}}
                yield path, method, about

    def _control(self, ref_of: _Refs) -> Iterable[tuple[str, str, Operation]]:
        for route in self.control:
            needs = route.needs
            needed = f"{needs.permission} on {needs.resource}" if isinstance(needs, Permission) else needs.value
            operation = _operation(
                route.handler.__name__.replace("_", " ").capitalize(),
                "control",
                names=_names_in(route.path),
                body=ref_of[route.body] if route.body is not None else None,
                answer=ref_of.get(_answer_of(route)),
            )
            if needs is Needs.NOTHING:
                operation["security"] = []
            yield BASE + route.path, route.method, {**operation, "description": f"Needs {needed}."}


def _deployed(route: str, about: Operation) -> tuple[str, str, Operation]:
    """The same, where Azure's clients look for it: with the model in the path."""
    path = _plain(f"{DEPLOYMENTS[0]}{route}")
    content = {kind: {"schema": {"type": "object"}} for kind in about["requestBody"]["content"]}
    operation = _operation(f"As Azure's {route}", "inference", names=_names_in(path))
    return path, "POST", {**operation, "requestBody": {"required": True, "content": content}}


def _error_of(dialect: Dialect, ref_of: _Refs) -> Any:
    """What is refused before it is known whose API it is, such as a path with control characters, is in OpenAI's."""
    kind = _ERRORS.get(dialect.name)
    return _ERROR if kind is None else {"anyOf": [ref_of[kind], _ERROR]}


def _plain(path: str) -> str:
    return path.replace(":path}", "}")


def _answer_of(route: Route) -> Any:
    """The struct that its handler says it answers with; None: it does not say more than that it is JSON."""
    try:
        kind = get_type_hints(route.handler).get("return")
    except NameError:  # a type that only type checkers import
        return None
    origin = get_origin(kind) or kind
    return kind if isinstance(origin, type) and issubclass(origin, msgspec.Struct) else None


def _names_in(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _probes() -> Iterable[tuple[str, str, Operation]]:
    yield "/healthz", "GET", {**_operation("Whether it is alive", "operation"), "security": []}
    yield "/readyz", "GET", {**_operation("Whether it can serve, and what is degraded", "operation"), "security": []}
    yield "/metrics", "GET", {**_operation("Numbers, for Prometheus", "operation"), "security": []}


def _operation(
    summary: str, tag: str, *, names: Iterable[str] = (), body: Any = None, answer: Any = None, error: Any = _ERROR
) -> Operation:
    done = {"description": "Done."} | ({"content": {"application/json": {"schema": answer}}} if answer else {})
    error = {"application/json": {"schema": error}}
    operation: Operation = {
        "summary": summary,
        "tags": [tag],
        "security": [{name: []} for name in BEARER],
        "responses": {"200": done, "default": {"description": "An error.", "content": error}},
    }
    if names:
        text = {"type": "string"}
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation

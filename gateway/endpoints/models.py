"""`GET /models`: what the caller may use."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from gateway.contract import Caller, Dialect, Models
from gateway.errors import UnknownModel
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send, send_body
from gateway.proxy.exchange import Exchange

VERSION = b"anthropic-version"
GOOGLES = frozenset({b"x-goog-api-key", b"x-goog-api-client"})
GEMINI_PATHS = tuple(
    f"{version}/models{rest}"
    for version in ("/v1beta", "/v1alpha", "/gemini/v1beta", "/gemini/v1alpha", "/gemini/v1")
    for rest in ("", "/{id:path}")
)

_Shape = tuple[Callable[[str], Any], Callable[[Sequence[str]], Any]]
"""Of one model, and of a list."""


class Model(msgspec.Struct, frozen=True):
    """In OpenAI's shape. Source: platform.openai.com/docs/api-reference/models/object."""

    id: str
    owned_by: str
    object: str = "model"
    created: int = 0


class AnthropicModel(msgspec.Struct, frozen=True):
    """In Anthropic's shape; its release is not known. Source: platform.claude.com/docs/en/api/models-list."""

    id: str
    display_name: str
    type: str = "model"
    created_at: str = "1970-01-01T00:00:00Z"


class GeminiModel(msgspec.Struct, frozen=True, rename="camel"):
    """In Google's shape; its limits are not known. Source: ai.google.dev/api/models."""

    name: str
    display_name: str
    version: str = ""
    supported_generation_methods: tuple[str, ...] = ("generateContent", "countTokens")


class SpeakingGemini:
    """Notes who asks as Google's clients do, so that errors are in Google's words, and a list in its shape.

    Args:
        dialect: of Google's.
        is_known: by the path; else by headers: Google's SDK asks at `/v1/models`, as others do.
    """

    def __init__(self, app: ASGIApp, *, dialect: Dialect, is_known: bool) -> None:
        self.app = app
        self.dialect = dialect
        self.is_known = is_known

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        exchange = Exchange.of(scope)
        if self.is_known or not GOOGLES.isdisjoint(exchange.headers):
            exchange.dialect = self.dialect
        return self.app(scope, receive, send)


class ModelsEndpoint:
    """The list, or one of it: `id` in the path parameters may hold slashes. Who says which version of Anthropic's API
    they speak gets Anthropic's shape, and who asks as Google's clients do, Google's.

    The list also stands under `models`, where Codex looks for it.

    Args:
        listed: of `account/*`: what its vendor has, as far as that is known.
    """

    def __init__(self, *, models: Models, listed: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        self.models = models
        self.listed = listed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        names = self._names(exchange.caller)
        shape = _OPENAI
        if exchange.dialect is not None:
            shape = _GEMINI
        elif VERSION in exchange.headers:
            shape = _ANTHROPIC
        wanted = scope.get("path_params", {}).get("id")
        if wanted is None:
            listed = [name for name in names if not name.endswith("/*")]
            body = msgspec.json.encode(shape[1](listed))
        elif wanted in names:
            body = msgspec.json.encode(shape[0](wanted))
        else:
            raise UnknownModel(wanted, names)
        await send_body(send, 200, body)

    def _names(self, caller: Caller | None) -> Sequence[str]:
        names = self.models.names(caller)
        offered = [name for any_model in names if any_model.endswith("/*") for name in self.listed(any_model)]
        if not offered:
            return names
        declared = frozenset(self.models.names(None))  # who may use those, is said of each of them
        return [*names, *(name for name in offered if name not in declared)]


def _list(names: Sequence[str]) -> dict[str, Any]:
    listed = [_model(name) for name in names]
    return {"object": "list", "data": listed, "models": listed}


def _anthropic_list(names: Sequence[str]) -> dict[str, Any]:
    """All of it on one page, whatever limit was given."""
    first, last = (names[0], names[-1]) if names else (None, None)
    listed = [AnthropicModel(name, name) for name in names]
    return {"data": listed, "has_more": False, "first_id": first, "last_id": last}


def _model(name: str) -> Model:
    return Model(id=name, owned_by=name.partition("/")[0])


def _anthropic_model(name: str) -> AnthropicModel:
    return AnthropicModel(name, name)


def _gemini_list(names: Sequence[str]) -> dict[str, Any]:
    """All of it on one page, whatever size was given."""
    return {"models": [_gemini_model(name) for name in names]}


def _gemini_model(name: str) -> GeminiModel:
    return GeminiModel(f"models/{name}", name)


_OPENAI: _Shape = (_model, _list)
_ANTHROPIC: _Shape = (_anthropic_model, _anthropic_list)
_GEMINI: _Shape = (_gemini_model, _gemini_list)

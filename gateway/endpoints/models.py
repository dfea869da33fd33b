"""`GET /models`: what the caller may use."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.contract import Caller, Models
from gateway.errors import UnknownModel
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.exchange import Exchange

VERSION = b"anthropic-version"


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


class ModelsEndpoint:
    """The list, or one of it: `id` in the path parameters may hold slashes. Who says which version of Anthropic's API
    they speak gets Anthropic's shape.

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
        is_anthropic = VERSION in exchange.headers
        wanted = scope.get("path_params", {}).get("id")
        if wanted is None:
            listed = [name for name in names if not name.endswith("/*")]
            body = msgspec.json.encode(_anthropic_list(listed) if is_anthropic else _list(listed))
        elif wanted in names:
            body = msgspec.json.encode(AnthropicModel(wanted, wanted) if is_anthropic else _model(wanted))
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

"""`GET /models`: what the caller may use."""

from collections.abc import Callable, Sequence

import msgspec

from gateway.contract import Caller, Models
from gateway.errors import UnknownModel
from gateway.proxy.asgi import Receive, Scope, Send, send_body
from gateway.proxy.exchange import Exchange


class Model(msgspec.Struct, frozen=True):
    """In OpenAI's shape. Source: platform.openai.com/docs/api-reference/models/object."""

    id: str
    owned_by: str
    object: str = "model"
    created: int = 0


class ModelsEndpoint:
    """The list, or one of it: `id` in the path parameters may hold slashes.

    The list also stands under `models`, where Codex looks for it.

    Args:
        listed: of `account/*`: what its vendor has, as far as that is known.
    """

    def __init__(self, *, models: Models, listed: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        self.models = models
        self.listed = listed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = self._names(Exchange.of(scope).caller)
        wanted = scope.get("path_params", {}).get("id")
        if wanted is None:
            listed = [_model(name) for name in names if not name.endswith("/*")]
            body = msgspec.json.encode({"object": "list", "data": listed, "models": listed})
        elif wanted in names:
            body = msgspec.json.encode(_model(wanted))
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


def _model(name: str) -> Model:
    return Model(id=name, owned_by=name.partition("/")[0])

"""`GET /models`: what the caller may use."""

import msgspec

from gateway.contract import Models
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
    """

    def __init__(self, *, models: Models) -> None:
        self.models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = self.models.names(Exchange.of(scope).caller)
        wanted = scope.get("path_params", {}).get("id")
        if wanted is None:
            listed = [_model(name) for name in names if not name.endswith("/*")]
            body = msgspec.json.encode({"object": "list", "data": listed, "models": listed})
        elif wanted in names:
            body = msgspec.json.encode(_model(wanted))
        else:
            raise UnknownModel(wanted, names)
        await send_body(send, 200, body)


def _model(name: str) -> Model:
    return Model(id=name, owned_by=name.partition("/")[0])

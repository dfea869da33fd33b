"""What the caller may use."""

import msgspec
import pytest

from gateway.contract import Caller
from gateway.endpoints.models import ModelsEndpoint
from gateway.endpoints.router import BASES
from gateway.errors import UnknownModel
from gateway.proxy.exchange import Exchange
from gateway.testing import FakeUpstream, get

REPLY = (200, [b'{"choices":[]}'])


@pytest.mark.parametrize("base", BASES)
async def test_the_list(app_with, auth, base):
    """Codex looks under `models`, everybody else under `data`."""
    answer = await get(app_with(FakeUpstream(REPLY)), f"{base}/models", headers=auth)

    listed = [
        {"id": name, "owned_by": "mock", "object": "model", "created": 0}
        for name in ("mock/m", "mock/old", "mock/vectors")
    ]
    assert (answer.status, answer.json()) == (200, {"object": "list", "data": listed, "models": listed})


@pytest.mark.parametrize("base", BASES)
async def test_one_of_it(app_with, auth, base):
    """Names hold slashes."""
    answer = await get(app_with(FakeUpstream(REPLY)), f"{base}/models/mock/m", headers=auth)

    assert (answer.status, answer.json()["id"]) == (200, "mock/m")


@pytest.mark.parametrize("name", ["mock/x", "mock", "m", "mock/m/", "MOCK/M"])
async def test_an_unknown_one(app_with, auth, name):
    answer = await get(app_with(FakeUpstream(REPLY)), f"/v1/models/{name}", headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/mock/m"])
async def test_strangers_are_told_nothing(app_with, path):
    answer = await get(app_with(FakeUpstream(REPLY)), path)

    assert answer.status == 401
    assert b"mock" not in answer.body


async def test_accounts_for_any_model_are_not_models(app_with, auth, token):
    """`openai/*` is not a name anybody could ask for."""
    environ = {"GATEWAY_ADMIN_TOKEN": token, "OPENAI_API_KEY": "key"}

    answer = await get(app_with(FakeUpstream(REPLY), None, environ=environ), "/models", headers=auth)

    assert [model["id"] for model in answer.json()["data"]] == ["demo/echo"]


async def test_in_anthropics_shape(app_with, auth):
    """For clients that say which version of its API they speak; Claude Code asks for a thousand at once."""
    app, headers = app_with(FakeUpstream(REPLY)), {**auth, "anthropic-version": "2023-06-01"}

    answer = await get(app, "/anthropic/v1/models", headers=headers)
    one = await get(app, "/v1/models/mock/m", headers=headers)

    listed = [
        {"id": name, "display_name": name, "type": "model", "created_at": "1970-01-01T00:00:00Z"}
        for name in ("mock/m", "mock/old", "mock/vectors")
    ]
    assert answer.json() == {"data": listed, "has_more": False, "first_id": "mock/m", "last_id": "mock/vectors"}
    assert one.json() == listed[0]


class Models:
    """`alice` may use any model of the account and `declared`; nobody else may use anything."""

    def names(self, caller):
        if caller is None:
            return ("main/*", "main/declared", "main/for-bob")
        return ("main/*", "main/declared") if caller.subject == "alice" else ()


@pytest.fixture
def listed(call):
    async def ask(subject, **params):
        endpoint = ModelsEndpoint(models=Models(), listed={"main/*": ["main/declared", "main/for-bob", "main/o/x"]}.get)

        async def app(scope, receive, send):
            Exchange.of(scope).caller = Caller(subject=subject)
            await endpoint(scope, receive, send)

        sent = await call(app, method="GET", path="/models", path_params=params)
        return msgspec.json.decode(sent[1]["body"])

    return ask


async def test_what_the_vendor_lists_is_for_who_may_use_any_model(listed):
    """What the manifest says of a model of its own still holds: `for-bob` is not for alice."""
    assert [model["id"] for model in (await listed("alice"))["data"]] == ["main/declared", "main/o/x"]
    assert (await listed("alice", id="main/o/x"))["id"] == "main/o/x"
    assert (await listed("carol"))["data"] == []
    with pytest.raises(UnknownModel):
        await listed("carol", id="main/o/x")


async def test_lists_of_the_vendor_come_in_the_background(app_with, auth, tmp_path):
    """They are asked for with the account's key, and no request waits for them."""
    path = tmp_path / "any.yaml"
    path.write_text(ANY)
    upstream = FakeUpstream((200, [b'{"object":"list","data":[{"id":"gpt-4o","owned_by":"openai"},{"id":"gpt-5"}]}']))
    app = app_with(upstream, path)

    early = await get(app, "/models", headers=auth)
    [lists] = [part for part in app.parts if part.name == "model lists"]
    await lists.refresh()
    late = await get(app, "/models", headers=auth)

    assert [model["id"] for model in early.json()["data"]] == []
    assert [model["id"] for model in late.json()["data"]] == ["main/gpt-4o", "main/gpt-5"]
    assert upstream.requests[0].endpoint.url == "https://api.openai.com/v1/models"
    assert b"authorization: Bearer key-of-main\r\n" in upstream.requests[0].endpoint.head


ANY = """\
type: provider-account/openai
name: main
auth_data: {type: api-key, api_key: key-of-main}
integrations:
  - {type: integration/model/openai, name: "*", model_id: "*", model_types: [chat]}
"""

"""What the caller may use."""

import pytest

from gateway.endpoints.router import BASES
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

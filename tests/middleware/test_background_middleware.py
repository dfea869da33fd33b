"""What is left of a response in the background: nothing, where it was refused or deleted."""

import asyncio
import json
import shutil

import pytest

from gateway.state.database.migrate import migrate
from gateway.testing import FakeUpstream, get, post, request

ANA = {"authorization": "Bearer gw-ana-0123456789abcdef"}
ANSWER = b'{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
ASK = {"model": "mock/m", "input": "hi", "background": True}
MODEL = {
    "type": "integration/model/self-hosted-model",
    "name": "m",
    "hosted_model_name": "real-m",
    "url": "http://mock.example/v1",
    "model_server": "vllm-openai",
    "model_types": ["chat"],
}
ACCOUNT = {
    "type": "provider-account/self-hosted-model",
    "name": "mock",
    "integrations": [MODEL],
    "collaborators": [{"subject": "team:everyone", "role_id": "provider-account-access"}],
}


def limits(calls):
    rule = {"id": "few", "when": {}, "limit_to": calls, "unit": "requests_per_day"}
    return {"type": "gateway-rate-limiting-config", "name": "limits", "rules": [rule]}


@pytest.fixture
def start(app_with, tmp_path):
    """`start(upstream, *manifests, **environ)`"""

    def start(upstream, *manifests, **environ):
        path = tmp_path / "responses.yaml"
        path.write_text(json.dumps([ACCOUNT, *manifests]))
        environ["GATEWAY_TOKENS"] = "user:ana@example.com=gw-ana-0123456789abcdef"
        return app_with(upstream, path, environ=environ)

    return start


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """What replicas share."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            asyncio.run(migrate(url))
            yield {"GATEWAY_DATABASE_URL": url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}
    else:
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'gateway.db')}"
        yield {"GATEWAY_DATABASE_URL": url, "GATEWAY_PEPPER": "pepper-0123456789abcdef"}


def held(gate):
    return FakeUpstream((200, [gate, ANSWER], {"content-type": "application/json"}))


def running(app):
    [figure] = next(part for part in app.parts if part.name == "background responses").figures()
    return figure.values[()]


async def kept(app):
    """How many responses the caller has."""
    shelf = next(part for part in app.parts if part.name == "background responses").shelf
    return len(await shelf.objects.list("response", None))


async def test_what_a_limit_refuses_is_told_so_and_leaves_nothing(start):
    """It was stored before anybody had asked a limit, and told as queued."""
    app = start(FakeUpstream((200, [ANSWER])), limits(1))
    await post(app, "/v1/responses", ASK, headers=ANA)

    refused = await post(app, "/v1/responses", ASK, headers=ANA)

    assert (refused.status, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert "retry-after" in refused.headers
    assert (await kept(app), running(app)) == (1, 0)


async def test_what_cannot_be_written_down_is_not_sent(start):
    """Nobody could find it later, and somebody would pay for it."""
    upstream = FakeUpstream((200, [ANSWER]))
    app = start(upstream)
    large = {**ASK, "input": "".join(map(str, range(2_000_000)))}

    refused = await post(app, "/v1/responses", large, headers=ANA)

    assert (refused.status, refused.json()["error"]["param"]) == (400, "background")
    assert (upstream.requests, await kept(app), running(app)) == ([], 0, 0)


async def test_a_client_that_leaves_before_it_has_an_id_leaves_nothing(start, until):
    """The one before him holds the only place at the provider."""
    gate = asyncio.Event()
    app = start(held(gate), {**ACCOUNT, "name": "busy", "concurrency": {"max_requests": 1, "queue_timeout_ms": 60_000}})
    ask = {**ASK, "model": "busy/m"}
    await post(app, "/v1/responses", ask, headers=ANA)
    task = asyncio.create_task(post(app, "/v1/responses", ask, headers=ANA))
    await until(lambda: running(app) == 2)

    task.cancel()
    await asyncio.wait([task])
    await until(lambda: running(app) == 1)

    assert await kept(app) == 1
    gate.set()


async def test_deleted_at_another_replica_it_does_not_come_back(start, database, until):
    """Whoever made it wrote down how it ended, and so it was there again."""
    gate = asyncio.Event()
    one, other = start(held(gate), **database), start(FakeUpstream(), **database)
    queued = (await post(one, "/v1/responses", ASK, headers=ANA)).json()
    path = f"/v1/responses/{queued['id']}"
    seen = await get(other, path, headers=ANA)

    deleted = await request(other, "DELETE", path, headers=ANA)
    gate.set()
    await until(lambda: running(one) == 0)

    assert (seen.status, deleted.status) == (200, 200)
    assert [(await get(app, path, headers=ANA)).status for app in (one, other)] == [404, 404]
    assert await kept(one) == 0


async def test_another_replica_sees_at_once_that_it_is_done(start, database, until):
    """It told for half a minute what it had seen before."""
    gate = asyncio.Event()
    one, other = start(held(gate), **database), start(FakeUpstream(), **database)
    queued = (await post(one, "/v1/responses", ASK, headers=ANA)).json()
    path = f"/v1/responses/{queued['id']}"

    before = (await get(other, path, headers=ANA)).json()["status"]
    gate.set()
    await until(lambda: running(one) == 0)
    after = (await get(other, path, headers=ANA)).json()["status"]

    assert (before, after) == ("in_progress", "completed")

"""What a WebSocket is told, on the whole gateway."""

import msgspec
import pytest

from gateway.endpoints.router import BASES
from gateway.testing import FakeUpstream, get, request

REPLY = (200, [b'{"choices":[]}'])
DENIAL = {"websocket.http.response": {}}
NOT_SERVED = "the realtime API is not served yet; use /v1/chat/completions, with `stream`"


@pytest.fixture
def app(app_with):
    return app_with(FakeUpstream(REPLY))


async def opened(call, app, path, headers, **scope):
    """Status, code and message of the answer to a handshake."""
    start, body = await call(app, type="websocket", path=path, headers=headers, extensions=DENIAL, **scope)
    answer = msgspec.json.decode(body["body"])
    return start["status"], answer["error"]["code"], answer["message"]


@pytest.mark.parametrize("base", BASES)
async def test_says_that_it_is_not_served_yet(app, auth, call, base):
    assert await opened(call, app, f"{base}/realtime", auth) == (501, "not_served", NOT_SERVED)


async def test_says_so_below_a_mount(app, auth, call):
    answer = await opened(call, app, "/llm/v1/realtime", auth, root_path="/llm", query_string=b"model=mock/m")

    assert answer == (501, "not_served", NOT_SERVED)


async def test_says_so_where_the_server_can_only_close(app, auth, call):
    sent = await call(app, type="websocket", path="/v1/realtime", headers=auth)

    assert sent == [{"type": "websocket.close", "code": 1011, "reason": NOT_SERVED}]


async def test_takes_a_token_from_a_page(app, token, call):
    subprotocols = ["realtime", f"openai-insecure-api-key.{token}", "openai-beta.realtime-v1"]

    status, _, _ = await opened(call, app, "/v1/realtime", {}, subprotocols=subprotocols)

    assert status == 501


async def test_strangers_are_told_nothing(app, call):
    status, code, _ = await opened(call, app, "/v1/realtime", {})

    assert (status, code) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", ["/", "/realtime/", "/v2/realtime", "/v1/chat/completions", "/v1/models", "/healthz"])
async def test_no_other_path_takes_a_websocket(app, auth, call, path):
    status, code, message = await opened(call, app, path, auth)

    assert (status, code) == (404, "not_found")
    assert message.startswith(f"nothing is at {path}; ")


async def test_it_is_in_the_records(app, auth, sink, call, until):
    """The path, and no token."""
    await opened(call, app, "/v1/realtime", auth)
    await until(lambda: sink.records)

    [record] = sink.records
    assert (record.method, record.path, record.status, record.error_code) == ("GET", "/v1/realtime", 501, "not_served")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_is_told_that_a_websocket_is_meant(app, auth, method):
    answer = await request(app, method, "/v1/realtime", headers=auth)

    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_a_request_without_a_token(app):
    answer = await get(app, "/v1/realtime")

    assert answer.status == 401

"""Handshakes of WebSockets down to the bytes, against each of the servers."""

import pytest

NOT_SERVED = "the realtime API is not served yet; use /v1/chat/completions, with `stream`"
HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    "content_length": None,
}


async def opened(connect, gateway, path, **headers):
    client = await connect(gateway)
    client.ask(b"", path, method="GET", **HANDSHAKE | headers)
    return await client.answer()


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/realtime?model=gpt-realtime", {}, 501, "not_served"),
        ("/v1/realtime", {"authorization": None}, 401, "invalid_api_key"),
        ("/v1/chat/completions", {}, 404, "not_found"),
        ("/v1/realtime", {"x_large": "x" * 17_000}, 431, "headers_too_large"),
    ],
    ids=["not served", "no token", "elsewhere", "too large"],
)
async def test_a_handshake_is_answered_as_a_request_is(gateway, connect, path, headers, status, code):
    """With a status, and a body that says why; and it is in the log."""
    answer = await opened(connect, gateway, path, **headers)

    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    [record] = await gateway.records_of(answer.id)
    about = ["GET", path.partition("?")[0], status, code]
    assert [record[name] for name in ("method", "path", "status", "error_code")] == about


async def test_the_token_of_a_page(gateway, connect, token):
    """Among the subprotocols, where no log looks for one."""
    protocols = f"realtime, openai-insecure-api-key.{token}, openai-beta.realtime-v1"

    answer = await opened(connect, gateway, "/v1/realtime", authorization=None, sec_websocket_protocol=protocols)

    assert (answer.status, answer.json["message"]) == (501, NOT_SERVED)
    await gateway.records_of(answer.id)
    assert token not in gateway.out + gateway.err


async def test_a_request_where_a_websocket_is_meant(gateway, connect):
    answer = await (await connect(gateway)).get("/v1/realtime")

    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")

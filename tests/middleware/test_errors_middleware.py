"""ErrorsMiddleware, alone around a foreign app."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from gateway import errors
from gateway.dialects import CHAT
from gateway.middleware import ErrorsMiddleware
from gateway.proxy.exchange import Exchange
from gateway.testing import get, post

MESSAGE = "what happened and what to do"
NOT = {"x-should-retry": "false"}


def raising(error):
    async def app(scope, receive, send):
        raise error

    return ErrorsMiddleware(app, dialect=CHAT)


@pytest.mark.parametrize(
    ("error", "status", "type_", "code", "headers"),
    [
        (errors.BadRequest(MESSAGE), 400, "invalid_request_error", None, {}),
        (errors.Blocked(MESSAGE), 400, "guardrail_checks_failed", "guardrail_checks_failed", {}),
        (errors.Unauthorized(MESSAGE), 401, "authentication_error", "invalid_api_key", {"www-authenticate": "Bearer"}),
        (errors.Forbidden(MESSAGE), 403, "permission_error", "permission_denied", {}),
        (errors.NotFound(MESSAGE), 404, "invalid_request_error", "not_found", {}),
        (errors.BodyTooSlow(MESSAGE), 408, "timeout_error", "request_timeout", {}),
        (errors.TimedOut(MESSAGE), 408, "timeout_error", "upstream_timeout", {}),
        (errors.TooLarge(MESSAGE), 413, "invalid_request_error", "request_too_large", {}),
        (errors.UriTooLong(MESSAGE), 414, "invalid_request_error", "uri_too_long", {}),
        (errors.UnsupportedEncoding(MESSAGE), 415, "invalid_request_error", "unsupported_encoding", {}),
        (errors.RateLimited(MESSAGE), 429, "rate_limit_error", "rate_limit_exceeded", {}),
        (errors.RateLimited(MESSAGE, code="x", retry_after_s=2.1), 429, "rate_limit_error", "x", {"retry-after": "3"}),
        (errors.RateLimited(MESSAGE, code="x", retry_after_s=0), 429, "rate_limit_error", "x", {"retry-after": "0"}),
        (errors.HeadersTooLarge(MESSAGE), 431, "invalid_request_error", "headers_too_large", {}),
        (errors.Unexpected(MESSAGE), 500, "api_error", "internal_error", NOT),
        (errors.UpstreamError(MESSAGE), 502, "upstream_error", "upstream_error", NOT),
        (errors.Unreachable(MESSAGE), 502, "upstream_error", "upstream_unreachable", {}),
        (errors.BrokeOff(MESSAGE), 502, "upstream_error", "stream_interrupted", {}),
        (errors.Overloaded(MESSAGE, retry_after_s=1), 503, "overloaded_error", "overloaded", {"retry-after": "1"}),
        (errors.Stopping(MESSAGE, retry_after_s=1), 503, "overloaded_error", "server_shutdown", {"retry-after": "1"}),
        (errors.Refused(MESSAGE, status=409), 409, "upstream_error", "upstream_error", {}),
        (errors.Refused(MESSAGE, status=422, code="x"), 422, "upstream_error", "x", {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_each_error_has_its_answer(error, status, type_, code, headers):
    """SDKs choose the exception by the status and obey x-should-retry; people read the message."""
    answer = await get(raising(error), "/x")

    assert answer.status == status
    assert answer.json() == {
        "error": {"message": MESSAGE, "type": type_, "param": None, "code": code},
        "status": "failure",
        "statusCode": status,
        "message": MESSAGE,
    }
    length = {"content-type": "application/json", "content-length": str(len(answer.body))}
    assert answer.headers == length | headers


async def test_says_which_methods_there_are():
    """Source: RFC 9110, section 15.5.6."""
    answer = await get(raising(errors.MethodNotAllowed({"PUT", "GET"})), "/x")

    assert (answer.status, answer.headers["allow"], answer.json()["message"]) == (405, "GET, PUT", "use GET or PUT")


async def test_says_what_to_upgrade_to():
    """Source: RFC 9110, section 15.5.22, and RFC 6455, section 4.4."""
    answer = await get(raising(errors.UpgradeRequired("this path takes a WebSocket")), "/x")

    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    assert (answer.status, answer.headers.items() & upgrade.items()) == (426, upgrade.items())


async def test_names_the_parameter():
    answer = await get(raising(errors.UnknownModel("gpt", ["a", "b"])), "/x")

    assert answer.json()["error"] == {
        "message": "no model named 'gpt'; you may use: a, b",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_a_refusal_keeps_its_body_and_headers():
    refused = errors.Refused(MESSAGE, status=429, body=b'{"error": {"own": "shape"}}', headers={"Retry-After": "7"})

    answer = await get(raising(refused), "/x")

    assert (answer.status, answer.body) == (429, b'{"error": {"own": "shape"}}')
    assert answer.headers["retry-after"] == "7"


async def test_a_retry_after_of_the_provider_is_not_contradicted():
    """A 429 of the provider tells to wait and ask again; saying `false` beside it would end the SDK's retries."""
    refused = errors.Refused(MESSAGE, status=429, headers={"retry-after": "1"})

    answer = await get(raising(refused), "/x")

    assert answer.headers.get("x-should-retry") != "false"


async def test_nothing_is_sent_to_a_client_that_has_gone(call):
    assert await call(raising(errors.ClientLeft("gone"))) == []


async def test_foreign_exceptions_tell_nothing(capsys):
    """A message of some library may hold a key or an address; the log has it."""
    answer = await get(raising(ValueError("postgres://user:pass@10.0.0.1")), "/x")

    assert answer.status == 500
    assert answer.json()["error"] == {
        "message": "the gateway failed; its log has the reason under request id ",
        "type": "api_error",
        "param": None,
        "code": "internal_error",
    }
    assert "ValueError" in capsys.readouterr().out


@pytest.mark.parametrize(("raised", "status"), [(HTTPException(405, "no"), 405), (HTTPException(404, "no"), 404)])
async def test_exceptions_of_starlettes_keep_their_status(raised, status):
    answer = await get(raising(raised), "/x")

    assert (answer.status, answer.json()["message"]) == (status, "no")


@pytest.mark.parametrize("error", [errors.BrokeOff("it broke"), ValueError("a fault")], ids=["ours", "foreign"])
async def test_an_answer_that_has_begun_is_cut(error):
    """The server then closes the connection without a proper end, and nobody takes the part for the whole."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise error

    with pytest.raises(errors.GatewayError):
        await get(ErrorsMiddleware(app, dialect=CHAT), "/x")


async def test_an_answer_that_is_whole_passes(call):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    assert [message["type"] for message in await call(ErrorsMiddleware(app, dialect=CHAT))] == [
        "http.response.start",
        "http.response.body",
    ]


async def test_a_cancelled_request_stays_cancelled():
    with pytest.raises(asyncio.CancelledError):
        await get(raising(asyncio.CancelledError()), "/x")


async def test_an_interrupted_request_is_told_why():
    async def app(scope, receive, send):
        Exchange.of(scope).interrupt(errors.Stopping("bye", retry_after_s=1))
        await asyncio.Event().wait()

    answer = await get(ErrorsMiddleware(app, dialect=CHAT), "/x")

    assert (answer.status, answer.json()["message"]) == (503, "bye")
    assert asyncio.current_task().cancelling() == 0


async def test_an_unread_body_is_read_before_the_end():
    """A server that closes on unread bytes resets the connection, and the client never sees why it was refused."""
    order = []
    body = [{"type": "http.request", "body": b"x", "more_body": True}] * 3 + [{"type": "http.request", "body": b"x"}]

    async def receive():
        order.append("read")
        return body.pop(0)

    async def send(message):
        order.append((message["type"].rpartition(".")[2], message.get("more_body")))

    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"4")]}
    await raising(errors.Unauthorized("who?"))(scope, receive, send)

    assert order == [("start", None), ("body", True), "read", "read", "read", "read", ("body", False)]


@pytest.mark.parametrize(
    "headers",
    [[], [(b"content-length", b"0")], [(b"content-length", b"4"), (b"expect", b"100-continue")]],
    ids=["none", "empty", "waits to be asked"],
)
async def test_no_body_is_waited_for_where_there_is_none(headers):
    """With Expect: 100-continue, to read would be to ask for the body."""
    sent = []

    async def receive():
        raise AssertionError("read")

    async def send(message):
        sent.append(message)

    await raising(errors.Unauthorized("who?"))({"type": "http", "path": "/", "headers": headers}, receive, send)

    assert sent[-1]["more_body"] is False


async def test_a_body_without_end_is_not_read_forever():
    """64 MiB are enough to be polite."""
    reads = 0

    async def receive():
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": bytes(1024 * 1024), "more_body": True}

    async def send(message): ...

    scope = {"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}
    await raising(errors.Unauthorized("who?"))(scope, receive, send)

    assert reads == 65


async def test_a_client_that_leaves_while_it_is_refused():
    async def receive():
        return {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"4")]}
    await raising(errors.Unauthorized("who?"))(scope, receive, send)

    assert sent == ["http.response.start", "http.response.body", "http.response.body"]


async def test_a_body_that_was_read_is_not_waited_for():
    async def app(scope, receive, send):
        await receive()
        Exchange.of(scope).body_is_read = True
        raise errors.BadRequest("no")

    answer = await post(ErrorsMiddleware(app, dialect=CHAT), "/x", b"body")

    assert len(answer.chunks) == 1


# --- WebSockets --------------------------------------------------------------

DENIAL = {"websocket.http.response": {}}


def socket_raising(error, *before):
    """An app that sends what comes before, and then fails."""

    async def app(scope, receive, send):
        for message in before:
            await send(message)
        raise error

    return ErrorsMiddleware(app, dialect=CHAT)


async def test_a_handshake_is_answered_as_a_request_is(call):
    """Where the server can: it is one, and the client sees why it was refused."""
    refused = raising(errors.Unauthorized(MESSAGE))
    answer = await get(refused, "/x")

    start, body = await call(refused, type="websocket", extensions=DENIAL)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert {name.decode(): value.decode() for name, value in start["headers"]} == answer.headers
    assert body == {"type": "websocket.http.response.body", "body": answer.body, "more_body": False}


@pytest.mark.parametrize("extensions", [{}, {"extensions": None}, {"extensions": {"tls": {}}}])
async def test_a_handshake_is_closed_where_the_server_can_do_no_more(call, extensions):
    sent = await call(raising(errors.Unauthorized(MESSAGE)), type="websocket", **extensions)

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": MESSAGE}]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.BadRequest(MESSAGE), 1008, MESSAGE),
        (errors.RateLimited(MESSAGE), 1008, MESSAGE),
        (errors.BrokeOff(MESSAGE), 1011, MESSAGE),
        (errors.Stopping(MESSAGE), 1012, MESSAGE),
        (ValueError("a fault"), 1011, "the gateway failed; its log has the reason under request id "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_once_accepted_it_is_closed_with_a_reason(call, error, code, reason):
    """The code says whose fault it was; the server's own would be 1011 or 1006, and no reason."""
    accept = {"type": "websocket.accept"}

    sent = await call(socket_raising(error, accept), type="websocket", extensions=DENIAL)

    assert sent == [accept, {"type": "websocket.close", "code": code, "reason": reason}]


@pytest.mark.parametrize(("message", "reason"), [("x" * 200, "x" * 123), ("é" * 100, "é" * 61), ("€" * 41, "€" * 41)])
async def test_a_reason_has_room_for_123_bytes(call, message, reason):
    """Servers raise at a longer one, and none may end within a character."""
    [close] = await call(raising(errors.BadRequest(message)), type="websocket")

    assert close["reason"] == reason


async def test_an_interrupted_socket_is_told_why(call):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        Exchange.of(scope).interrupt(errors.Stopping("bye"))
        await asyncio.Event().wait()

    sent = await call(ErrorsMiddleware(app, dialect=CHAT), type="websocket")

    assert sent[1:] == [{"type": "websocket.close", "code": 1012, "reason": "bye"}]


async def test_a_socket_whose_client_has_gone(call):
    """Some servers raise from `send` then; the reason why it ended is in the record already."""

    async def send(message):
        if message["type"] == "websocket.close":
            raise OSError("gone")

    await call(socket_raising(errors.BrokeOff("it broke"), {"type": "websocket.accept"}), type="websocket", send=send)


async def test_a_denial_that_has_begun_is_cut(call):
    """As with any answer."""
    start = {"type": "websocket.http.response.start", "status": 404, "headers": []}

    with pytest.raises(errors.BrokeOff):
        await call(socket_raising(errors.BrokeOff("it broke"), start), type="websocket", extensions=DENIAL)

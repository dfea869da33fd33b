"""WebSockets against each of the servers: handshakes down to the bytes, and realtime sessions by real clients."""

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from websockets import ConnectionClosed
from websockets.asyncio.client import connect as websocket
from websockets.asyncio.server import serve

IN_TIME_S = 30
SOCKETS = 100
PIECE = b"x" * 65_536
BUFFERED_BYTES = 24 * 1024 * 1024
"""Far more than kernels and programs keep on the way, and far less than a flood."""
HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    "content_length": None,
}
USAGE = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}


def event(type_, **fields):
    return json.dumps({"event_id": "event_1", "type": type_, **fields})


class Speaker:
    """A provider of sessions, which does as it is asked: each message of a client is an order."""

    def __init__(self):
        self.asked = []
        self.sent_bytes = 0
        self.codes = []

    async def __call__(self, session):
        self.asked.append((session.request.path, session.request.headers["authorization"]))
        await session.send(event("session.created", session={"type": "realtime"}))
        try:
            async for message in session:
                await self._do(session, message)
        except ConnectionClosed:
            pass
        self.codes.append(session.close_code)

    async def _do(self, session, message):
        if isinstance(message, bytes):
            await session.send(message)
            return
        match json.loads(message):
            case {"type": "response.create"}:
                await session.send(event("response.created", response={"id": "resp_1", "status": "in_progress"}))
                text = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
                await session.send(event("response.output_text.delta", delta="Hello", **text))
                await session.send(event("response.done", response={"id": "resp_1", "usage": USAGE}))
            case {"type": "close", "code": code, "reason": reason}:
                await session.close(code, reason)
            case {"type": "drop"}:
                session.transport.abort()
            case {"type": "flood"}:
                while True:
                    await session.send(PIECE)
                    self.sent_bytes += len(PIECE)
            case {"type": "sleep"}:
                await session.wait_closed()


@pytest.fixture
async def provider(speaker_socket):
    speaker = Speaker()
    async with serve(speaker, sock=speaker_socket.dup(), compression=None, max_queue=1, close_timeout=1):
        yield speaker


@pytest.fixture
def opened(token):
    """`async with opened(gateway) as session:`, once the provider has said hello."""

    @asynccontextmanager
    async def opened(gateway, **options):
        options = {"additional_headers": {"authorization": f"Bearer {token}"}, "compression": None, **options}
        url = f"{gateway.url.replace('http', 'ws')}/realtime?model=voice/talk"
        async with asyncio.timeout(IN_TIME_S), websocket(url, close_timeout=1, **options) as session:
            assert json.loads(await session.recv())["type"] == "session.created"
            yield session

    return opened


async def answered(connect, gateway, path, **headers):
    client = await connect(gateway)
    client.ask(b"", path, method="GET", **HANDSHAKE | headers)
    return await client.answer()


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/realtime?model=voice/none", {}, 404, "model_not_found"),
        ("/v1/realtime", {"authorization": None}, 401, "invalid_api_key"),
        ("/v1/chat/completions", {}, 404, "not_found"),
        ("/v1/realtime", {"x_large": "x" * 17_000}, 431, "headers_too_large"),
    ],
    ids=["no model", "no token", "elsewhere", "too large"],
)
async def test_a_handshake_is_answered_as_a_request_is(gateway, connect, path, headers, status, code):
    """With a status, and a body that says why; and it is in the log."""
    answer = await answered(connect, gateway, path, **headers)

    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    [record] = await gateway.records_of(answer.id)
    about = ["GET", path.partition("?")[0], status, code]
    assert [record[name] for name in ("method", "path", "status", "error_code")] == about


async def test_a_request_where_a_websocket_is_meant(gateway, connect):
    answer = await (await connect(gateway)).get("/v1/realtime")

    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_the_token_of_a_page(gateway, opened, provider, token):
    """Among the subprotocols, where no log looks for one, and no provider finds it."""
    offered = ["realtime", f"openai-insecure-api-key.{token}", "openai-beta.realtime-v1"]

    async with opened(gateway, additional_headers={}, subprotocols=offered) as session:
        assert session.subprotocol == "realtime"

    assert provider.asked == [("/v1/realtime?model=real-talk", "Bearer provider-key-of-mock")]
    assert token not in gateway.out + gateway.err


async def test_the_sdk_of_openai(gateway, provider, token):
    client = AsyncOpenAI(base_url=gateway.url, api_key=token)
    types, text, usage = [], "", None

    async with client, client.realtime.connect(model="voice/talk") as session:
        await session.session.update(session={"type": "realtime", "instructions": "Be brief."})
        await session.response.create()
        async for said in session:
            types.append(said.type)
            text += said.delta if said.type == "response.output_text.delta" else ""
            if said.type == "response.done":
                usage = said.response.usage
                break

    assert types == ["session.created", "response.created", "response.output_text.delta", "response.done"]
    assert (text, usage.total_tokens) == ("Hello", 30)


async def test_azures_client_in_the_sdk_of_openai(one_gateway, provider, token):
    """It has a path, a header and a word for the model of its own; and takes TLS for granted, unless it is told."""
    endpoint = one_gateway.url.removesuffix("/v1")
    sockets = f"{endpoint.replace('http', 'ws')}/openai"
    how = {"api_key": token, "api_version": "2024-10-01-preview"}
    client = AsyncAzureOpenAI(azure_endpoint=endpoint, websocket_base_url=sockets, **how)

    async with client, client.realtime.connect(model="voice/talk") as session:
        said = await session.recv()

    assert said.type == "session.created"
    assert provider.asked == [("/v1/realtime?model=real-talk", "Bearer provider-key-of-mock")]


async def test_a_session_is_one_line_in_the_log(gateway, opened, provider):
    async with opened(gateway) as session:
        for _ in range(2):
            await session.send(event("response.create"))
            while json.loads(await session.recv())["type"] != "response.done":
                pass

    async with asyncio.timeout(IN_TIME_S):
        while not (records := [each for each in gateway.log if each.get("usage") == {"input": 40, "output": 20}]):
            await asyncio.sleep(0.01)
    [record] = records
    assert (record["status"], record["outcome"], record["request_type"]) == (101, "complete", "realtime")


@pytest.mark.parametrize(
    ("order", "code", "reason"),
    [
        (event("close", code=4001, reason="session expired"), 4001, "session expired"),
        (event("drop"), 1011, "the provider dropped the connection in the middle of the session"),
    ],
    ids=["close", "drop"],
)
async def test_how_a_provider_ends_a_session(gateway, opened, provider, order, code, reason):
    async with opened(gateway) as session:
        await session.send(order)
        with suppress(ConnectionClosed):
            while True:
                await session.recv()

    assert (session.close_code, session.close_reason) == (code, reason)


async def test_a_hundred_sessions_at_once(gateway, opened, provider, measured):
    """Each hears what it said itself, and none waits for another."""
    began = time.perf_counter()
    all_open = asyncio.Barrier(SOCKETS)

    async def talk(number):
        async with opened(gateway) as session:
            await all_open.wait()
            for turn in range(10):
                await session.send(b"%d of %d" % (turn, number))
                assert await session.recv() == b"%d of %d" % (turn, number)

    await asyncio.gather(*(talk(number) for number in range(SOCKETS)))

    measured("100 sessions of 10 messages", time.perf_counter() - began, "s")
    assert len(provider.asked) == SOCKETS


async def test_a_client_that_does_not_read(gateway, opened, provider, settled):
    """The provider waits; nothing piles up in between."""
    async with opened(gateway, max_queue=1) as session:
        await session.send(event("flood"))

        assert 0 < await settled(lambda: provider.sent_bytes) < BUFFERED_BYTES
        session.transport.abort()


async def test_a_provider_that_does_not_read(gateway, opened, provider, settled):
    sent_bytes = 0

    async def flood(session):
        nonlocal sent_bytes
        while True:
            await session.send(PIECE)
            sent_bytes += len(PIECE)

    async with opened(gateway) as session:
        await session.send(event("sleep"))
        flooding = asyncio.create_task(flood(session))

        assert 0 < await settled(lambda: sent_bytes) < BUFFERED_BYTES
        flooding.cancel()
        session.transport.abort()


async def test_a_session_is_told_when_the_gateway_stops(
    server, gateway_process, manifests, opened, provider, terminate
):
    """Once its time is over; 1012 means that another one will be there."""
    gateway = gateway_process(server=server, config=manifests, options=["--drain-seconds", "0"])

    async with opened(gateway) as session:
        terminate(gateway)
        said = json.loads(await session.recv())
        with pytest.raises(ConnectionClosed):
            await session.recv()

    assert (said["type"], said["error"]["code"]) == ("error", "server_shutdown")
    assert session.close_code == 1012
    assert await gateway.exit_code() == 0
    assert [record["outcome"] for record in gateway.log if record["event"] == "request"] == ["stopped"]
    assert gateway.err.count("Traceback") == 0


async def test_responses_by_the_sdk_of_openai(gateway, token):
    """Two turns on one connection, of which the second continues what is stored nowhere."""
    client = AsyncOpenAI(base_url=gateway.url, api_key=token)
    texts = []

    async with client, client.responses.connect() as connection:
        previous = {}
        for text in ("Hello", "And you?"):
            await connection.response.create(model="demo/echo", input=text, store=False, **previous)
            async for event in connection:
                if event.type == "response.completed":
                    texts.append(event.response.output_text)
                    previous = {"previous_response_id": event.response.id}
                    break

    assert texts == ["Hello", "And you?"]
    about = {"request_type": "responses", "model": "demo/echo", "status": 200}
    async with asyncio.timeout(IN_TIME_S):
        while sum(about.items() <= {**each, "usage": None}.items() for each in gateway.log) < 2:
            await asyncio.sleep(0.01)


async def test_an_idle_connection_does_not_hold_up_a_gateway_that_stops(gateway_process, manifests, server, token):
    gateway = gateway_process(server=server, config=manifests)
    headers = {"authorization": f"Bearer {token}"}
    url = f"{gateway.url.replace('http', 'ws')}/responses"
    async with asyncio.timeout(IN_TIME_S), websocket(url, additional_headers=headers, close_timeout=1) as session:
        gateway.process.terminate()
        with pytest.raises(ConnectionClosed):
            await session.recv()
        code = await gateway.exit_code()

    assert (session.close_code, code) == (1012, 0)

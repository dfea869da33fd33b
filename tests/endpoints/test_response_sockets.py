"""Responses over a WebSocket, on the whole gateway."""

import asyncio
import json

import msgspec
import pytest

from gateway.dialects import MAKE_RESPONSE
from gateway.endpoints.response_sockets import MAX_WAITING, ResponseSocketsEndpoint
from gateway.endpoints.router import BASES
from gateway.errors import BrokeOff
from gateway.proxy.drain import Drain
from gateway.proxy.turns import Room
from gateway.proxy.watch import Timing
from gateway.testing import FakeUpstream, ResponseGrammar, http_scope

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1000}
NATIVE = """\
type: provider-account/self-hosted-model
name: native
integrations:
  - type: integration/model/self-hosted-model
    name: m
    hosted_model_name: real
    url: http://native.example/v1
    model_server: openai-compatible
    model_types: [responses]
"""
LIMITS = """\
---
type: gateway-rate-limiting-config
name: limits
rules:
  - {id: calls, when: {}, limit_to: 1, unit: requests_per_day}
"""
LASTS = ("response.completed", "response.failed", "response.incomplete", "error")


def chat(text):
    chunks = [{"delta": {"content": text}, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
    events = [{"choices": [{"index": 0, **chunk}]} for chunk in chunks]
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    return (200, [*(b"data: %b\n\n" % msgspec.json.encode(event) for event in [*events, usage]), b"data: [DONE]\n\n"])


def native(id_, output, **fields):
    response = {"id": id_, "object": "response", "status": "completed", "output": output, "error": None, **fields}
    events = [
        {"type": "response.created", "sequence_number": 0, "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "sequence_number": 1, "item": {"id": "msg_1"}},
        {"type": "response.completed", "sequence_number": 2, "response": response},
    ]
    return (200, [b"data: %b\n\n" % msgspec.json.encode(event) for event in events])


class Client:
    """One end of a WebSocket, whose other end is an app."""

    def __init__(self, app, auth, path, headers):
        self.codes = []
        self.app = app
        self.holds = 1_000
        self._sent = 0
        self._in, self._out = asyncio.Queue(), asyncio.Queue()
        scope = http_scope("GET", path, {**auth, **headers}, 0)
        del scope["method"]
        self._scope = {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}

    async def __aenter__(self):
        self._in.put_nowait(CONNECT)
        self.task = asyncio.create_task(self.app(self._scope, self._in.get, self._take))
        self.opened = await self._out.get()
        return self

    async def __aexit__(self, *_):
        self._in.put_nowait(LEAVE)
        async with asyncio.timeout(30):
            await self.task

    async def _take(self, message):
        self._sent += 1
        if self._sent > self.holds:
            await asyncio.Event().wait()
        self._out.put_nowait(message)

    def send(self, text):
        kind = "text" if isinstance(text, str) else "bytes"
        self._in.put_nowait({"type": "websocket.receive", kind: text})

    def create(self, **fields):
        self.send(json.dumps({"type": "response.create", **fields}))

    async def event(self):
        message = await self._out.get()
        return json.loads(message["text"]) if message["type"] == "websocket.send" else message

    async def turn(self, **fields):
        """All events of one response."""
        self.create(**fields)
        return await self.rest()

    async def rest(self):
        events = [await self.event()]
        while events[-1]["type"] not in LASTS:
            events.append(await self.event())
        return events


@pytest.fixture
def opened(app_with, manifest, auth):
    """`async with opened(reply, ...) as (client, upstream):`"""

    def make(*replies, more="", path="/v1/responses", headers=None, **options):
        if NATIVE not in manifest.read_text():
            manifest.write_text(f"{manifest.read_text()}---\n{NATIVE}{more}")
        upstream = FakeUpstream(*replies)
        client = Client(app_with(upstream, **options), auth, path, headers or {})
        client.upstream = upstream
        return client

    return make


async def test_a_response_is_told_event_by_event(opened):
    """The same events as in a stream."""
    async with opened(chat("hello")) as client:
        events = await client.turn(model="mock/m", input="hi")

    assert client.opened["type"] == "websocket.accept"
    stream = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)
    assert ResponseGrammar.of(stream).response["output"][0]["content"][0]["text"] == "hello"


async def test_one_record_for_each_response(opened, sink):
    """And one for the connection, which is no request of a model, and takes as long as its client likes."""
    async with opened(chat("one"), chat("two")) as client:
        await client.turn(model="mock/m", input="hi")
        await client.turn(model="mock/m", input="hi")
    await client.app.close()

    told = [
        (record.method, record.status, record.model, record.usage and record.usage.input) for record in sink.records
    ]
    assert told == [("POST", 200, "mock/m", 7), ("POST", 200, "mock/m", 7), ("GET", 101, None, None)]
    assert [record.overhead_ms is None for record in sink.records] == [False, False, True]


async def test_is_below_each_base(opened):
    for base in BASES:
        async with opened(chat("a"), path=f"{base}/responses") as client:
            assert client.opened["type"] == "websocket.accept"


async def test_goes_on_from_what_is_stored_nowhere(opened):
    """By the id of a response with `store` false, for as long as the connection lasts."""
    async with opened(chat("one"), chat("two"), chat("three")) as client:
        first = (await client.turn(model="mock/m", input="a", store=False))[-1]["response"]
        second = (await client.turn(model="mock/m", input="b", store=False, previous_response_id=first["id"]))[-1]
        third = await client.turn(model="mock/m", input="c", store=False, previous_response_id=second["response"]["id"])

    said = ["a", "one", "b", "two", "c"]
    assert [message["content"] for message in client.upstream.asked()["messages"]] == said
    assert third[0]["response"]["previous_response_id"] == second["response"]["id"]


async def test_a_provider_of_the_api_is_sent_what_it_has_not_stored(opened):
    """Without the id of the response, and without ids of items: it knows neither."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "1"}

    async with opened(native("resp_1", [thought, call]), native("resp_2", [])) as client:
        await client.turn(model="native/m", input="a", store=False)
        told = await client.turn(model="native/m", input=[result], store=False, previous_response_id="resp_1")

    asked = client.upstream.asked()
    del call["id"]
    assert asked["input"] == [{"type": "message", "role": "user", "content": "a"}, thought, call, result]
    assert "previous_response_id" not in asked
    assert told[-1]["type"] == "response.completed"


async def test_another_connection_does_not_know_it(opened):
    async with opened(chat("one")) as client:
        first = (await client.turn(model="mock/m", input="a", store=False))[-1]["response"]
    async with opened(chat("two")) as client:
        [refused] = await client.turn(model="mock/m", input="b", store=False, previous_response_id=first["id"])

    assert (refused["status"], refused["error"]["code"]) == (400, "previous_response_not_found")
    assert client.upstream.requests == []


async def test_what_a_turn_failed_to_go_on_from_is_forgotten(opened):
    """Open Responses demands it: what is kept may be what made it fail."""
    orphan = [{"type": "function_call_output", "call_id": "none", "output": "1"}]
    async with opened(chat("one")) as client:
        first = (await client.turn(model="mock/m", input="a", store=False))[-1]["response"]["id"]
        [failed] = await client.turn(model="mock/m", input=orphan, store=False, previous_response_id=first)
        [again] = await client.turn(model="mock/m", input="b", store=False, previous_response_id=first)

    assert (failed["status"], again["error"]["code"]) == (400, "previous_response_not_found")


async def test_what_is_stored_is_found_as_it_is_by_requests(opened):
    async with opened(chat("one"), chat("two")) as client:
        first = (await client.turn(model="mock/m", input="a"))[-1]["response"]["id"]
        await client.turn(model="mock/m", input="b", previous_response_id=first)

    assert [message["content"] for message in client.upstream.asked()["messages"]] == ["a", "one", "b"]


async def test_nothing_is_asked_for_what_is_sent_ahead(opened):
    """`generate: false`, as Codex begins: its id is what the first turn continues."""
    async with opened(chat("one")) as client:
        ahead = await client.turn(model="mock/m", input=[{"role": "user", "content": "a"}], generate=False)
        assert client.upstream.requests == []
        id_ = ahead[-1]["response"]["id"]
        events = await client.turn(model="mock/m", input="b", store=False, previous_response_id=id_)

    assert [event["type"] for event in ahead] == ["response.created", "response.in_progress", "response.completed"]
    assert ahead[-1]["response"]["usage"]["total_tokens"] == 0
    assert [message["content"] for message in client.upstream.asked()["messages"]] == ["a", "b"]
    assert events[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "no/model", "input": "a"}, 404, "model_not_found"),
        ({"model": "no/model", "input": "a", "generate": False}, 404, "model_not_found"),
        ({"input": "a"}, 400, "invalid_request_error"),
        ({"model": "mock/m", "input": "a", "background": True}, 400, "invalid_request_error"),
        ({"model": "mock/m", "input": 7, "store": False}, 400, "invalid_request_error"),
    ],
)
async def test_what_is_refused_is_an_event(opened, fields, status, code):
    """And the connection goes on."""
    async with opened(chat("one")) as client:
        [refused] = await client.turn(**fields, stream_id="s1")
        events = await client.turn(model="mock/m", input="a")

    assert (refused["status"], refused["error"]["code"], refused["stream_id"]) == (status, code, "s1")
    assert events[-1]["type"] == "response.completed"


@pytest.mark.parametrize("message", ["{", "[]", '"text"', b"\xff", "{}", '{"type":"response.cancel"}'])
async def test_what_is_no_event_is_refused(opened, message):
    async with opened(chat("one")) as client:
        client.send(message)
        refused = await client.event()

    assert (refused["type"], refused["status"]) == ("error", 400)


async def test_a_limit_is_told_with_when_to_come_back(opened):
    async with opened(chat("one"), more=LIMITS) as client:
        await client.turn(model="mock/m", input="a")
        [refused] = await client.turn(model="mock/m", input="b")

    assert (refused["status"], refused["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(refused["error"]["headers"]["retry-after"]) > 0
    assert len(client.upstream.requests) == 1


async def test_a_response_that_breaks_off_fails_and_the_connection_goes_on(opened):
    status, chunks = chat("one")
    async with opened((status, [chunks[0], BrokeOff("cut")]), chat("two")) as client:
        broken = await client.turn(model="mock/m", input="a")
        events = await client.turn(model="mock/m", input="b")

    assert (broken[-1]["type"], broken[-1]["response"]["error"]["message"]) == ("response.failed", "cut")
    assert events[-1]["type"] == "response.completed"


async def test_they_are_made_one_after_the_other(opened):
    """In the order they were asked for, each in the stream that its client has named."""
    async with opened(chat("one"), chat("two")) as client:
        client.create(model="mock/m", input="a", stream_id="x")
        client.create(model="mock/m", input="b", stream_id="y")
        first, second = await client.rest(), await client.rest()

    assert ({event["stream_id"] for event in first}, {event["stream_id"] for event in second}) == ({"x"}, {"y"})


async def test_more_than_can_wait_is_refused(opened):
    held = asyncio.Event()
    async with opened((200, [held])) as client:
        for _ in range(MAX_WAITING + 2):
            client.create(model="mock/m", input="a")
        refused = await client.event()

    assert (refused["status"], refused["error"]["code"]) == (413, "request_too_large")


class Silent:
    """A foreign app that takes requests, and does not answer before it is let."""

    def __init__(self):
        self.asked = 0
        self.goes_on = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.asked += 1
        await self.goes_on.wait()
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def test_one_caller_has_no_more_waiting_on_all_connections_than_on_some(until):
    """Gigabytes, of 20 MiB on each of as many connections as one may open."""
    app, waits = Silent(), Room(max_bytes=400)
    options = {"models": None, "prepare": None, "drain": Drain(), "max_open": 100, "waits": waits}
    endpoint = ResponseSocketsEndpoint(app, dialect=MAKE_RESPONSE, **options)
    async with Client(endpoint, {}, "/v1/responses", {}) as one, Client(endpoint, {}, "/v1/responses", {}) as other:
        for client in (one, other):
            client.create(model="m", input="first")
        await until(lambda: app.asked == 2)
        one.create(model="m", input="x" * 200)
        await until(lambda: waits.taken == 254)
        other.create(model="m", input="x")
        refused = await other.event()
        app.goes_on.set()
        events = [await one.event(), await one.event()]

    assert refused["error"]["code"] == "request_too_large"
    assert ([event["status"] for event in events], waits.taken) == ([503, 503], 0)


async def test_who_leaves_ends_the_response(opened, sink, until):
    """And is not billed for what was never made."""
    status, chunks = chat("one")
    async with opened((status, [chunks[0], asyncio.Event()])) as client:
        client.create(model="mock/m", input="a")
        while (await client.event())["type"] != "response.output_text.delta":
            pass
    await client.app.close()

    [left, connection] = sink.records
    assert (left.outcome, connection.outcome) == ("client_left", "complete")


async def test_who_does_not_read_is_given_up(opened, sink):
    """No event could tell it, and the connection must not be kept for that."""
    timing = Timing(watch_after_s=0.001, keep_alive_s=0.01, write_stall_s=0.02)
    client = opened(chat("one"), timing=timing)
    client.holds = 3  # the handshake, and the first two events
    async with client, asyncio.timeout(30):
        client.create(model="mock/m", input="a")
        await client.task
    await client.app.close()

    assert [record.outcome for record in sink.records] == ["client_left", "complete"]


async def test_a_gateway_that_stops_tells_those_that_wait(opened):
    """An idle connection would hold it up for as long as its client likes."""
    async with opened(chat("one")) as client:
        await client.turn(model="mock/m", input="a")
        client.app.drain.begin()
        closed = await client.event()
        async with asyncio.timeout(30):
            await client.app.drain.idle()

    assert (closed["type"], closed["code"]) == ("websocket.close", 1012)


async def test_nobody_keeps_all_others_out(opened, auth):
    """By connections on which nothing is said."""
    async with opened(chat("one"), max_open=8) as client:
        async with Client(client.app, auth, "/v1/responses", {}) as second:
            third = Client(client.app, auth, "/v1/responses", {})
            async with third:
                pass
        async with Client(client.app, auth, "/v1/responses", {}) as fourth:
            pass

    assert [each.opened["type"] for each in (second, third, fourth)] == [
        "websocket.accept",
        "websocket.close",
        "websocket.accept",
    ]
    assert third.opened["reason"] == "2 connections of yours are open; close one of them"


async def test_who_has_no_token_is_told_so_before(opened, auth):
    client = opened(chat("one"), headers={"authorization": "Bearer wrong"})
    async with client:
        assert (client.opened["type"], client.opened["code"]) == ("websocket.close", 1008)

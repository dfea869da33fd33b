"""Realtime sessions, on the whole gateway."""

import asyncio
import json

import msgspec
import pytest

from gateway.contract import Caller
from gateway.endpoints.router import BASES
from gateway.errors import BrokeOff, Unreachable
from gateway.proxy.session import SessionTiming
from gateway.testing import FakeSocket, FakeUpstream, get, http_scope, request

DENIAL = {"websocket.http.response": {}}
CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1000}
MANIFEST = """\
type: provider-account/openai
name: oa
base_url: https://provider.test/v1
auth_data: {type: api-key, api_key: key-of-the-provider}
integrations:
  - type: integration/model/openai
    name: talk
    model_id: gpt-realtime
    model_types: [realtime]
    cost: {metric: per_1000_tokens, value: {input: 1, output: 2}}
  - type: integration/model/openai
    name: chat
    model_id: gpt-4o
    model_types: [chat]
"""
LIMITS = """\
---
type: gateway-rate-limiting-config
name: limits
rules:
  - {id: tokens, when: {}, limit_to: 700, unit: tokens_per_day}
"""
PRICED = """\
---
type: provider-account/openai
name: dear
base_url: https://provider.test/v1
auth_data: {type: api-key, api_key: key-of-the-provider}
integrations:
  - type: integration/model/openai
    name: chat
    model_id: gpt-4o
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.0001, output: 1000}}
"""
CREATED = '{"type":"response.created","response":{}}'


def done(**usage):
    return json.dumps({"type": "response.done", "response": {"usage": usage}})


DONE = done(input_tokens=100, output_tokens=20)


def says(text):
    return {"type": "websocket.receive", "text": text}


@pytest.fixture
def gateway(app_with, manifest):
    """`gateway(reply, ...)`: an app, and how it asks providers as its `network`."""

    def make(*replies, more="", **options):
        manifest.write_text(MANIFEST + more)
        app = app_with(network := FakeUpstream(*replies), **options)
        app.network = network
        return app

    return make


@pytest.fixture
def talk(call, auth):
    """Opens a session, says what is given and waits for its end; returns what the client was sent."""

    async def run(app, *messages, path="/v1/realtime", query=b"model=oa/talk", headers=auth, **scope):
        messages = [CONNECT, *messages]
        return await call(
            app, *messages, type="websocket", path=path, headers=headers, query_string=query, extensions=DENIAL, **scope
        )

    return run


def denied(sent):
    """Status, code and message of the answer to a handshake."""
    start, body = sent
    error = msgspec.json.decode(body["body"])["error"]
    return start["status"], error["code"], error["message"]


def texts(sent):
    return [message.get("text") or message.get("bytes") for message in sent if message["type"] == "websocket.send"]


def closing(sent):
    return {name: sent[-1][name] for name in ("type", "code", "reason")}


async def test_passes_messages_on_in_both_directions(gateway, talk):
    socket = FakeSocket("hello", b"sound", asyncio.Event())
    app = gateway(socket)

    sent = await talk(app, says('{"type":"x"}'), {"type": "websocket.receive", "bytes": b"\0\1"}, LEAVE)

    assert socket.heard == ['{"type":"x"}', b"\0\1"]
    assert sent[0]["type"] == "websocket.accept"
    assert socket.ended == 1000


async def test_what_the_provider_said_arrives_before_its_end(gateway, talk):
    sent = await talk(gateway(FakeSocket("one", b"two", closes=(1000, "bye"))))

    assert texts(sent) == ["one", b"two"]
    assert closing(sent) == {"type": "websocket.close", "code": 1000, "reason": "bye"}


async def test_is_below_each_base(gateway, talk):
    app = gateway(FakeSocket(closes=(1000, "")))

    opened = [(await talk(app, path=f"{base}/realtime"))[0]["type"] for base in BASES]

    assert opened == ["websocket.accept"] * len(BASES)


async def test_azures_clients_call_the_model_a_deployment(gateway, talk):
    """AzureOpenAI asks for `deployment`, and for a version of Azure's API, which no other provider knows."""
    app = gateway(FakeSocket(closes=(1000, "")))

    sent = await talk(app, path="/openai/realtime", query=b"api-version=2024-10-01-preview&deployment=oa%2Ftalk")

    assert sent[0]["type"] == "websocket.accept"
    assert app.network.requests[0].endpoint.url == "https://provider.test/v1/realtime?model=gpt-realtime"


@pytest.mark.parametrize("model", [b"talk", b"oa/talk"])
async def test_clients_of_a_vendor_name_the_account_in_the_path(gateway, talk, model):
    app = gateway(FakeSocket(closes=(1000, "")))

    paths = ["/live/oa", "/live/oa/realtime", "/live/oa/v1/realtime"]
    opened = [(await talk(app, path=path, query=b"model=" + model))[0] for path in paths]

    assert [dict(accepted["headers"])[b"x-tfy-resolved-model"] for accepted in opened] == [b"oa/talk"] * 3


async def test_asks_for_the_providers_model_with_the_providers_key(gateway, talk, auth):
    """No other part of the query goes on, as it may name another model or somebody else's call."""
    app = gateway(FakeSocket(closes=(1000, "")))

    query = b"model=oa%2Ftalk&intent=transcription&call_id=rtc_1&api-version=9&api_key=mine"
    await talk(app, query=query, headers={**auth, "openai-beta": "realtime=v1", "cookie": "a=b"})

    [asked] = app.network.requests
    assert asked.endpoint.head == (
        b"GET /v1/realtime?model=gpt-realtime&intent=transcription HTTP/1.1\r\n"
        b"host: provider.test\r\naccept-encoding: identity\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer key-of-the-provider\r\nopenai-beta: realtime=v1\r\n"
    )
    assert (asked.body, asked.opens_socket) == (b"", True)


async def test_the_handshake_has_the_request_id(gateway, talk, sink, until):
    sent = await talk(gateway(FakeSocket(closes=(1000, ""))))
    await until(lambda: sink.records)

    assert dict(sent[0]["headers"])[b"x-request-id"].decode() == sink.records[0].request_id


async def test_never_chooses_what_holds_a_token(gateway, talk):
    """A browser gives up a socket that answers with none of what it offered, or with something else."""
    app = gateway(FakeSocket(closes=(1000, "")))

    offers = [[], ["realtime"], ["openai-insecure-api-key.x", "realtime"], ["openai-insecure-api-key.x"], ["other"]]
    chosen = [(await talk(app, subprotocols=offered))[0]["subprotocol"] for offered in offers]

    assert chosen == [None, "realtime", "realtime", None, None]


async def test_takes_a_token_from_a_page(gateway, talk, token):
    offered = ["realtime", f"openai-insecure-api-key.{token}", "openai-beta.realtime-v1"]

    sent = await talk(gateway(FakeSocket(closes=(1000, ""))), headers={}, subprotocols=offered)

    assert (sent[0]["type"], sent[0]["subprotocol"]) == ("websocket.accept", "realtime")


# --- what is refused before it begins --------------------------------------------------------------------------------


async def test_what_cannot_be_asked_for_is_a_status(gateway, talk):
    app = gateway(FakeSocket())

    answers = [
        (b"", (400, None, "the query names no model: open /v1/realtime?model=account/model")),
        (b"model=", (400, None, "the query names no model: open /v1/realtime?model=account/model")),
        (
            b"model=oa/talk&model=oa/chat",
            (400, None, "the query has more than one model: open /v1/realtime?model=account/model"),
        ),
        (b"model=oa/chat", (400, None, "oa/chat is not declared as realtime (model_types)")),
        (b"&a=b" * 200, (400, None, "the query cannot be read: it has too many fields")),
        (b"model=" + b"m" * 600, (400, None, "the name of a model has at most 512 characters")),
        (b"model=oa/none", (404, "model_not_found", "no model named 'oa/none'; you may use: oa/talk, oa/chat")),
    ]

    assert [(query, denied(await talk(app, query=query))) for query, _ in answers] == answers
    assert app.network.requests == []


async def test_strangers_are_told_nothing(gateway, talk):
    status, code, _ = denied(await talk(gateway(FakeSocket()), headers={}))

    assert (status, code) == (401, "invalid_api_key")


async def test_no_other_path_takes_a_websocket(gateway, talk):
    app = gateway(FakeSocket())

    for path in ("/", "/realtime/", "/v2/realtime", "/v1/chat/completions", "/live", "/healthz"):
        status, code, message = denied(await talk(app, path=path))

        assert (status, code) == (404, "not_found")
        assert message.startswith(f"nothing is at {path}; ")


async def test_what_the_provider_refuses_is_a_status(gateway, talk):
    """And in its own words; a session that never was costs nothing."""
    app = gateway((403, [b'{"error":{"message":"no access to this model","code":"denied"}}']))

    assert denied(await talk(app)) == (403, "denied", "no access to this model")


async def test_a_provider_that_answers_something_else(gateway, talk):
    answer = denied(await talk(gateway((200, [b"{}"]))))

    assert answer == (
        502,
        "stream_interrupted",
        "the provider answered the handshake with status 200, and opened no WebSocket",
    )


async def test_a_provider_that_cannot_be_reached(gateway, talk, sink, until):
    app = gateway(Unreachable("no connection to provider.test"))

    answer = denied(await talk(app))
    await until(lambda: sink.records)

    assert answer == (502, "upstream_unreachable", "oa/talk: no connection to provider.test")
    [record] = sink.records
    assert (record.status, record.outcome, record.cost_nanousd) == (502, "upstream_broke", None)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_is_told_that_a_websocket_is_meant(gateway, auth, method):
    answer = await request(gateway(FakeSocket()), method, "/v1/realtime", headers=auth)

    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_a_request_without_a_token(gateway):
    answer = await get(gateway(FakeSocket()), "/v1/realtime")

    assert answer.status == 401


# --- how it ends -----------------------------------------------------------------------------------------------------


async def test_a_provider_that_drops_is_told_of(gateway, talk, sink, until):
    """By an event, as clients show those, and by the code."""
    sent = await talk(gateway(FakeSocket("hello", BrokeOff("the provider dropped the connection"))))
    await until(lambda: sink.records)

    hello, event = texts(sent)
    assert hello == "hello"
    assert json.loads(event) == {
        "type": "error",
        "error": {
            "type": "upstream_error",
            "code": "stream_interrupted",
            "message": "the provider dropped the connection",
            "param": None,
        },
    }
    assert closing(sent) == {"type": "websocket.close", "code": 1011, "reason": "the provider dropped the connection"}
    [record] = sink.records
    assert (record.status, record.outcome, record.error_code) == (101, "upstream_broke", "stream_interrupted")


@pytest.mark.parametrize(
    ("said", "told", "outcome"),
    [
        ((1000, "done"), (1000, "done"), "complete"),
        ((1001, "session expired"), (1001, "session expired"), "complete"),
        ((1005, ""), (1000, ""), "complete"),
        ((4001, "session expired"), (4001, "session expired"), "upstream_broke"),
        ((1011, ""), (1011, "the provider ended the session with code 1011"), "upstream_broke"),
        ((1006, ""), (1011, "the provider ended the session with code 1006"), "upstream_broke"),
    ],
)
async def test_the_providers_code_is_passed_on(gateway, talk, sink, until, said, told, outcome):
    """Unless it is one that nobody may send."""
    socket = FakeSocket(closes=said)

    sent = await talk(gateway(socket))
    await until(lambda: sink.records)

    assert closing(sent) == {"type": "websocket.close", "code": told[0], "reason": told[1]}
    assert (sink.records[0].outcome, socket.ended) == (outcome, 1000)


@pytest.mark.parametrize(
    ("said", "outcome"), [([], "complete"), ([CREATED], "client_left"), ([CREATED, DONE], "complete")]
)
async def test_a_client_ends_a_session_by_leaving(gateway, auth, call, sink, until, said, outcome):
    """In the middle of a response, there is somebody missing to whom the rest could be told."""
    said_all = asyncio.Event()
    socket = FakeSocket(*said, asyncio.Event())
    sent = []

    async def send(message):
        sent.append(message)
        if len(sent) == 1 + len(said):
            said_all.set()

    async def receive():
        if not sent:
            return CONNECT
        await said_all.wait()
        return LEAVE

    scope = http_scope("GET", "/v1/realtime", auth, 0) | {"type": "websocket", "query_string": b"model=oa/talk"}
    await gateway(socket)(scope, receive, send)
    await until(lambda: sink.records)

    assert sink.records[0].outcome == outcome
    assert socket.ended is not None


async def test_a_message_that_is_too_large(gateway, talk):
    socket = FakeSocket(asyncio.Event())

    sent = await talk(gateway(socket), {"type": "websocket.receive", "bytes": bytes(16 * 1024 * 1024 + 1)})

    assert (closing(sent)["code"], socket.heard, socket.ended) == (1009, [], 1001)


async def test_a_gateway_that_stops_says_so(gateway, talk, until, sink):
    """Once the time for what is under way is over; 1012 stands for a restart, after which clients come again."""
    socket = FakeSocket("hello", asyncio.Event())
    app = gateway(socket)
    talking = asyncio.create_task(talk(app, says("x")))
    await socket.has_heard.wait()

    app.drain.begin()
    app.drain.cut()

    sent = await talking
    assert closing(sent) == {
        "type": "websocket.close",
        "code": 1012,
        "reason": "the gateway is shutting down; ask again",
    }
    await until(lambda: sink.records)
    assert (sink.records[0].outcome, socket.ended) == ("stopped", 1001)


@pytest.mark.parametrize(
    ("timing", "blocks", "code", "outcome"),
    [
        (SessionTiming(look_s=0.01, idle_s=0.02), "nobody", 1001, "refused"),
        (SessionTiming(look_s=0.01, stall_s=0.02), "client", None, "client_left"),
        (SessionTiming(look_s=0.01, stall_s=0.02), "provider", 1008, "upstream_broke"),
    ],
)
async def test_who_says_nothing_or_takes_nothing(gateway, auth, sink, until, timing, blocks, code, outcome):
    """Nobody holds a connection for ever."""
    socket = FakeSocket("hello", asyncio.Event())
    sent = []

    async def never(*_):
        await asyncio.Event().wait()

    if blocks == "provider":
        socket.send = never
    messages = [CONNECT, says("x")]

    async def receive():
        return messages.pop(0) if messages else await never()

    async def send(message):
        if blocks == "client" and message["type"] == "websocket.send":
            await never()
        sent.append(message)

    scope = http_scope("GET", "/v1/realtime", auth, 0) | {"type": "websocket", "query_string": b"model=oa/talk"}
    await gateway(socket, session_timing=timing)(scope, receive, send)
    await until(lambda: sink.records)

    assert sink.records[0].outcome == outcome
    assert sent[-1].get("code") == code


class OneToken:
    """`Tokens` that know one, until it is taken away."""

    def __init__(self, token):
        self.token = token.encode()
        self.caller = Caller("user:ana@example.com", is_admin=True)

    def find(self, token):
        return self.caller if token == self.token else None

    async def verify(self, token):
        return None

    def still(self, caller):
        return self.caller


QUICK = SessionTiming(check_s=0.01)
BUDGET = """\
---
type: tenant-budget-config
name: money
limits: {cost_per_month: 3}
applies_to: {type: per-user}
mode: enforce
"""


def its_end(sent):
    [event] = texts(sent)
    return json.loads(event)["error"]["code"], closing(sent)["code"], closing(sent)["reason"]


async def test_ends_when_its_token_is_revoked(gateway, talk, token, sink, until):
    """A session outlasts what let it in, and would have gone on for hours without it."""
    tokens = OneToken(token)
    socket = FakeSocket(asyncio.Event())
    app = gateway(socket, tokens=tokens, session_timing=QUICK)
    talking = asyncio.create_task(talk(app, says("x")))
    await socket.has_heard.wait()

    tokens.caller = None

    sent = await talking
    await until(lambda: sink.records)
    why = "the token with which this session was opened is no longer valid"
    assert its_end(sent) == ("invalid_api_key", 1008, why)
    [record] = sink.records
    assert (record.status, record.outcome, record.error_code, socket.ended) == (101, "refused", "invalid_api_key", 1001)


async def test_ends_when_its_model_is_taken_away(gateway, talk, token, sink, until):
    tokens = OneToken(token)
    socket = FakeSocket(asyncio.Event())
    app = gateway(socket, tokens=tokens, session_timing=QUICK)
    talking = asyncio.create_task(talk(app, says("x")))
    await socket.has_heard.wait()

    tokens.caller = Caller("user:ana@example.com")

    code, closed, _ = its_end(await talking)
    await until(lambda: sink.records)
    assert (code, closed, sink.records[0].error_code) == ("model_not_found", 1008, "model_not_found")


async def test_ends_when_others_have_used_its_budget_up(gateway, talk, auth, sink, until):
    """What it has reserved itself is its own, and does not count as used."""
    answer = b'{"choices":[{"message":{}}],"usage":{"prompt_tokens":1,"completion_tokens":9}}'
    socket = FakeSocket(asyncio.Event())
    app = gateway(socket, (200, [answer]), more=BUDGET + PRICED, session_timing=QUICK)
    talking = asyncio.create_task(talk(app, says("x")))
    await socket.has_heard.wait()
    await asyncio.sleep(0.05)
    assert not talking.done()

    asked = {"model": "dear/chat", "messages": [], "max_tokens": 1}
    assert (await request(app, "POST", "/v1/chat/completions", asked, headers=auth)).status == 200

    code, closed, reason = its_end(await talking)
    assert (code, closed) == ("budget_exceeded", 1008)
    assert reason.startswith("Budget exceeded for model: oa/talk with rule: money. It allows $3")
    await until(lambda: len(sink.records) == 2)


# --- what it uses ----------------------------------------------------------------------------------------------------


async def test_adds_up_what_the_responses_used(gateway, talk, sink, until):
    """One record and one bill: 200 tokens in at $1, 40 out at $2 a thousand."""
    await talk(gateway(FakeSocket(DONE, "between", DONE, closes=(1000, ""))))
    await until(lambda: sink.records)

    [record] = sink.records
    assert (record.usage.input, record.usage.output, record.cost_nanousd) == (200, 40, 280_000_000)
    assert (record.model, record.resolved_model, record.request_type) == ("oa/talk", "oa/talk", "realtime")


async def test_a_session_without_a_response_costs_nothing(gateway, talk, sink, until):
    await talk(gateway(FakeSocket('{"type":"session.created"}', closes=(1000, ""))))
    await until(lambda: sink.records)

    assert (sink.records[0].usage.input_tokens, sink.records[0].cost_nanousd) == (0, 0)


async def test_ends_when_a_limit_is_used_up(gateway, talk, sink, until):
    """Of 700 tokens, 500 are kept for the response to come; the second one is one too many, and still counts."""
    socket = FakeSocket(DONE, DONE, DONE, asyncio.Event())
    app = gateway(socket, more=LIMITS)

    first = await talk(app)
    await until(lambda: sink.records)
    socket.__init__(closes=(1000, ""))
    second = denied(await talk(app))

    assert [json.loads(text)["type"] for text in texts(first)] == ["response.done", "response.done", "error"]
    assert closing(first)["code"] == 1008
    assert (sink.records[0].usage.input_tokens, sink.records[0].usage.output_tokens) == (200, 40)
    assert sink.records[0].error_code == "rate_limit_exceeded"
    assert second[:2] == (429, "rate_limit_exceeded")


async def test_what_was_counted_is_not_counted_twice(gateway, talk):
    """Three sessions of 120 tokens each fit into 700 with room for one more response; the reservation is given back."""
    app = gateway(*(FakeSocket(DONE, closes=(1000, "")) for _ in range(3)), more=LIMITS)

    heads = [(await talk(app))[0] for _ in range(2)]

    remaining = [dict(head["headers"]).get(b"x-ratelimit-remaining-tokens") for head in heads]
    assert remaining == [b"199", b"79"]

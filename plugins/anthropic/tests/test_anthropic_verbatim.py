"""Callers of the Messages API in front of Anthropic: what they send and what they get is the same, to the byte, as
without a gateway."""

import threading
from contextlib import asynccontextmanager, contextmanager

import anthropic
import httpx2
import msgspec
import pytest
import uvicorn
from aiohttp import web
from anthropic import Anthropic, AsyncAnthropic
from gateway_anthropic.provider import Anthropic as Provider
from gateway_anthropic.translator import ToMessages, Verbatim
from hypothesis import given
from hypothesis import strategies as st

from gateway import build_app
from gateway.contract import Call, Head, JsonBody, Outcome, Request
from gateway.contract.usage import Usage
from gateway.dialects import MESSAGES
from gateway.testing import FakeUpstream, ListSink, post
from gateway.translators.joined import Joined
from gateway.translators.messages import ToHub
from gateway.translators.messages.sealed import UNSIGNED, sealed

TOKEN = "gw-test-0123456789abcdef"
KEY = "sk-ant-api03-0123456789abcdef"
HELLO = [{"role": "user", "content": "Say hello"}]
MANIFEST = """\
type: provider-account/anthropic
name: claude
{more}
integrations:
  - {{type: integration/model/anthropic, name: sonnet, model_id: claude-sonnet-4-5, model_types: [chat]}}
"""
WITH_KEY = f"auth_data: {{type: api-key, api_key: {KEY}}}"
USAGE = {"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 3, "service_tier": "standard"}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
BLOCK = {"type": "thinking", "thinking": "", "signature": ""}
STREAM = (
    {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": BLOCK},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm é"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 20},
    },
    {"type": "message_stop"},
)
AUTH = {"authorization": f"Bearer {TOKEN}"}


class Scripted:
    """Anthropic on loopback: gives its replies in order, and keeps what it was asked."""

    def __init__(self):
        self.replies = []
        self.asked = []

    async def answer(self, request):
        self.asked.append((request.path, request.headers.copy(), await request.read()))
        status, body, headers = self.replies.pop(0)
        return web.Response(status=status, body=body, headers=headers)

    def whole(self, message, status=200, **headers):
        body = message if isinstance(message, bytes) else msgspec.json.encode(message)
        self.replies.append((status, body, {"content-type": "application/json", **headers}))

    def stream(self, body):
        self.replies.append((200, body, {"content-type": "text/event-stream; charset=utf-8"}))


@pytest.fixture
async def scripted():
    provider = Scripted()
    app = web.Application(client_max_size=2**25)
    app.router.add_post("/v1/{path:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield provider
    await runner.cleanup()


def manifest(folder, more=WITH_KEY):
    path = folder / "anthropic.yaml"
    path.write_text(MANIFEST.format(more=more))
    return path


@asynccontextmanager
async def app_of(path, sink=None, **options):
    sinks = [sink] if sink is not None else []
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Provider()], sinks=sinks, **options)
    try:
        yield app
    finally:
        await app.close()


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def gateway(scripted, tmp_path, sink):
    async with app_of(manifest(tmp_path, f"base_url: {scripted.base_url}\n{WITH_KEY}"), sink) as app:
        yield app


@pytest.fixture
async def http(gateway):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=gateway), base_url="http://gateway.test") as http:
        yield http


@pytest.fixture
async def sdk(http):
    async with AsyncAnthropic(base_url="http://gateway.test", api_key=TOKEN, http_client=http, max_retries=0) as client:
        yield client


async def recorded(gateway, sink):
    """Records are written when nobody waits, and all of them before it is closed."""
    await gateway.close()
    return sink.records[-1]


# --- to the byte -----------------------------------------------------------------------------------------------------


async def test_a_body_goes_out_as_it_came(http, scripted):
    """Spaces, escapes and the order of fields inside are what caches go by; unknown fields are for Anthropic."""
    scripted.whole(MESSAGE)
    billing = b'{"type":"text", "text":"x-anthropic-billing-header: cc_version=2.1.0;"}'
    system = b'[ %b, {"text":"\\u00e9","type":"text"} ]' % billing
    thinking = b'{"type":"thinking","thinking":"hm","signature":"c2ln"}'
    turns = b'[{"content":[%b],"role":"assistant"}, {"role":"user"}]' % thinking
    rest = b'"system":%b,"messages":%b,"context_management":{"edits": [ ]}}' % (system, turns)

    await http.post(
        "/v1/messages?beta=true", content=b'{"model": "claude/sonnet",' + rest, headers={"x-api-key": TOKEN}
    )

    [(path, _, came)] = scripted.asked
    assert path == "/v1/messages"
    assert came == b'{"model":"claude-sonnet-4-5",' + rest


async def test_an_answer_comes_back_as_it_was(http, scripted, gateway, sink):
    body = b'{ "type": "message", "new":1.0, "content": [ ], "usage" : {"input_tokens":7,"output_tokens":3} }\n'
    scripted.whole(body)

    answer = await http.post("/v1/messages", json={"model": "claude/sonnet", "messages": HELLO}, headers=AUTH)

    assert (answer.content, answer.headers["content-type"]) == (body, "application/json")
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, Usage(input=7, output=3))


async def test_a_stream_comes_back_as_it_was(http, scripted, gateway, sink, events):
    stream = events(*STREAM)
    scripted.stream(stream)

    answer = await http.post(
        "/anthropic/v1/messages", json={"model": "claude/sonnet", "messages": HELLO, "stream": True}, headers=AUTH
    )

    assert (answer.content, answer.headers["content-type"]) == (stream, "text/event-stream; charset=utf-8")
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, Usage(input=7, cache_read=5, output=20))


async def test_an_error_comes_back_as_it_was(http, scripted):
    """Its details decide which exception the SDK raises."""
    error = {"type": "invalid_request_error", "message": "no", "details": {"error_code": "request_body_timeout"}}
    body = msgspec.json.encode({"type": "error", "error": error, "request_id": "req_1"})
    scripted.whole(body, status=400)

    answer = await http.post("/v1/messages", json={"model": "claude/sonnet", "messages": HELLO}, headers=AUTH)

    assert (answer.status_code, answer.content) == (400, body)


async def test_an_error_in_the_middle_of_a_stream_comes_back_as_it_was(http, scripted, gateway, sink, events):
    stream = events(*STREAM[:8], {"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}})
    scripted.stream(stream)

    answer = await http.post(
        "/v1/messages", json={"model": "claude/sonnet", "messages": HELLO, "stream": True}, headers=AUTH
    )

    assert answer.content == stream
    record = await recorded(gateway, sink)
    assert (record.outcome, record.error_message) == (Outcome.UPSTREAM_BROKE, "too busy")


# --- headers ---------------------------------------------------------------------------------------------------------


async def test_the_callers_version_and_features_go_on(http, scripted):
    scripted.whole(MESSAGE)
    headers = [
        *AUTH.items(),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "claude-code-20250219,context-management-2025-06-27"),
        ("anthropic-beta", "fine-grained-tool-streaming-2025-05-14"),
        ("x-app", "cli"),
    ]

    await http.post("/v1/messages", json={"model": "claude/sonnet", "messages": HELLO}, headers=headers)

    [(_, came, _)] = scripted.asked
    assert came.getall("anthropic-version") == ["2026-10-21"]
    assert came.getall("anthropic-beta") == [
        "claude-code-20250219,context-management-2025-06-27,fine-grained-tool-streaming-2025-05-14"
    ]
    assert came.getall("x-api-key") == [KEY]
    assert {"authorization", "x-app"}.isdisjoint(name.lower() for name in came)


async def test_what_a_provider_refuses_is_left_out(tmp_path):
    """Those who speak the API for Anthropic lag behind it, and refuse what they do not know."""
    upstream = FakeUpstream((200, [msgspec.json.encode(MESSAGE)]))
    refused = "refused_betas: [context-management-*]\nrefused_fields: [context_management]"
    more = f"{WITH_KEY}\nanthropic_beta: [own-1]\n{refused}"
    ask = {"model": "claude/sonnet", "messages": HELLO, "context_management": {"edits": []}}

    async with app_of(manifest(tmp_path, more), network=upstream) as app:
        headers = {**AUTH, "anthropic-beta": "context-management-2025-06-27,other-2"}
        answer = await post(app, "/v1/messages", ask, headers=headers)

    assert upstream.asked() == {"model": "claude-sonnet-4-5", "messages": HELLO}
    assert answer.headers["x-gateway-dropped-params"] == "context_management"
    head = upstream.requests[0].endpoint.head
    assert b"anthropic-beta: own-1,other-2\r\n" in head
    assert b"anthropic-version: 2023-06-01\r\n" in head


async def test_a_header_that_cannot_be_one_is_refused(tmp_path):
    upstream = FakeUpstream((200, [msgspec.json.encode(MESSAGE)]))

    async with app_of(manifest(tmp_path), network=upstream) as app:
        headers = {**AUTH, "anthropic-version": "a\x01b"}
        answer = await post(app, "/v1/messages", {"model": "claude/sonnet", "messages": HELLO}, headers=headers)

    assert (answer.status, answer.json()["error"]["type"], upstream.requests) == (400, "invalid_request_error", [])


async def test_a_subscription_of_the_callers_own(tmp_path):
    """Claude Code sends its login in Authorization, and the gateway's token beside it."""
    upstream = FakeUpstream((200, [msgspec.json.encode(MESSAGE)]))
    headers = {"authorization": "Bearer sk-ant-oat01-of-the-caller", "x-tfy-api-key": TOKEN}

    async with app_of(manifest(tmp_path, ""), network=upstream) as app:
        await post(app, "/v1/messages", {"model": "claude/sonnet", "messages": HELLO}, headers=headers)

    assert b"authorization: Bearer sk-ant-oat01-of-the-caller\r\n" in upstream.requests[0].endpoint.head


# --- turns of other models -------------------------------------------------------------------------------------------


async def test_thinking_of_other_models_is_not_shown_to_anthropic(http, scripted):
    """It would refuse the conversation for thinking that it has not signed. All else stays as it is."""
    scripted.whole(MESSAGE)
    ours = b'{"type":"thinking","thinking":"hm","signature":"%b"}' % UNSIGNED.encode()
    extra = b'{"type":"redacted_thinking","data":"%b"}' % sealed("call_1", {"google": {}}).encode()
    kept = b'{"type":"text", "text":"so"}'
    turns = b'[{"role":"user","content":"hi"}, {"role":"assistant","content":[%b]},{"role":"user","content":"and?"}]'

    body = b'{"model":"claude/sonnet","messages":%b}' % (turns % b",".join([ours, extra, kept]))
    await http.post("/v1/messages", content=body, headers=AUTH)

    wanted = turns.replace(b"}, {", b"},{") % kept
    assert scripted.asked[0][2] == b'{"model":"claude-sonnet-4-5","messages":%b}' % wanted


# --- the official SDK ------------------------------------------------------------------------------------------------


async def test_the_sdk_reads_a_stream(sdk, scripted, events):
    scripted.stream(events(*STREAM))

    async with sdk.messages.stream(model="claude/sonnet", max_tokens=99, messages=HELLO) as stream:
        final = await stream.get_final_message()

    thinking, text = final.content
    assert (thinking.thinking, thinking.signature, text.text) == ("hm é", "c2ln", "hello")
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (7, 20, "end_turn")


async def test_the_sdk_counts_tokens(gateway, sdk, scripted, sink):
    """Anthropic counts, and the gateway bills nothing."""
    scripted.whole({"input_tokens": 14})

    count = await sdk.messages.count_tokens(model="claude/sonnet", messages=HELLO, system="Be brief.")

    assert count.input_tokens == 14
    [(path, _, body)] = scripted.asked
    assert path == "/v1/messages/count_tokens"
    assert msgspec.json.decode(body) == {"model": "claude-sonnet-4-5", "messages": HELLO, "system": "Be brief."}
    record = await recorded(gateway, sink)
    assert (record.request_type, record.usage) == ("count_tokens", Usage())


async def test_who_cannot_count_is_counted_for(sdk, scripted):
    """Others who speak the API often have no such route."""
    scripted.whole({"detail": "Not Found"}, status=404)

    count = await sdk.messages.count_tokens(model="claude/sonnet", messages=HELLO)

    assert count.input_tokens == 9


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
async def test_errors_by_class(sdk, scripted, status, kind, raised):
    """As Anthropic words them, but for keys."""
    error = {"type": kind, "message": f"no: {KEY}"}
    scripted.whole({"type": "error", "error": error, "request_id": "req_1"}, status=status, **{"retry-after": "7"})

    with pytest.raises(raised) as refused:
        await sdk.messages.create(model="claude/sonnet", max_tokens=9, messages=HELLO)

    error = refused.value
    assert (error.status_code, error.type, error.response.headers["retry-after"]) == (status, kind, "7")
    assert KEY not in error.response.text


@contextmanager
def serving(app):
    """On a port of loopback, as long as it is needed."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_the_synchronous_sdk_over_a_socket(tmp_path, events):
    upstream = FakeUpstream((200, [events(*STREAM)]))
    app = build_app(
        manifest(tmp_path),
        environ={"GATEWAY_ADMIN_TOKEN": TOKEN},
        providers=[Provider()],
        sinks=[],
        network=upstream,
    )

    with (
        serving(app) as url,
        Anthropic(base_url=url, api_key=TOKEN) as client,
        client.messages.stream(model="claude/sonnet", max_tokens=99, messages=HELLO) as stream,
    ):
        assert "".join(stream.text_stream) == "hello"


# --- there and back --------------------------------------------------------------------------------------------------

names = st.text("abc_", min_size=1, max_size=8)
words = st.text('ab é\n"\\', min_size=1, max_size=9).filter(str.strip)
texts = st.builds(lambda text: {"type": "text", "text": text}, words)
marks = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}])
marked = st.builds(lambda text, mark: {**text, **mark}, texts, marks)
pictures = st.sampled_from(
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "some é"},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
        },
    ]
)
thoughts = st.sampled_from(
    [
        [],
        [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}],
        [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "b3A="}],
    ]
)
inputs = st.dictionaries(names, st.one_of(st.integers(-9, 9), words, st.booleans(), st.none()), max_size=2)

results_of_tools = st.one_of(words, st.lists(pictures, min_size=1))


@st.composite
def conversations(draw):
    """Of turns, each with its calls and their results."""
    turns = [{"role": "user", "content": draw(st.lists(st.one_of(marked, pictures), min_size=1, max_size=3))}]
    for number in range(draw(st.integers(0, 2))):
        ids = [f"toolu_{number}_{each}" for each in range(draw(st.integers(1, 2)))]
        calls = [{"type": "tool_use", "id": id_, "name": draw(names), "input": draw(inputs)} for id_ in ids]
        said = draw(st.lists(texts, max_size=1))
        turns.append({"role": "assistant", "content": [*draw(thoughts), *said, *calls]})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": id_,
                "content": draw(st.one_of(words, st.lists(pictures, min_size=1))),
            }
            | draw(st.sampled_from([{}, {"is_error": True}]))
            | draw(marks)
            for id_ in ids
        ]
        turns.append({"role": "user", "content": [*results, *draw(st.lists(texts, max_size=1))]})
    return turns


@given(conversations(), st.lists(marked, max_size=2))
def test_there_and_back_nothing_is_lost(turns, system):
    """By way of the hub, as to a provider whose format is another: what Anthropic would be sent is what was said."""
    fields = {"model": "m", "max_tokens": 99, "messages": turns, "system": system, "temperature": 0.5, "top_k": 3}
    fields |= {"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}}
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(each)) for name, each in fields.items()}))
    call = Call(MESSAGES, MESSAGES.parse(request), request)

    chat = ToHub().request(call, "m")
    back = ToMessages().request(call.with_fields(chat.fields), "claude-3-opus")

    said = msgspec.json.decode(msgspec.json.encode(back.fields))
    if not system:
        del fields["system"]
    assert said == fields | {"model": "claude-3-opus"}
    assert (chat.dropped_params, back.dropped_params) == ((), ())


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_by_way_of_the_hub(events, size):
    """As from a provider whose format is another: thinking keeps its signature, calls their input."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": '{"a":1}'}
    stream = events(
        *STREAM[:9],
        {"type": "content_block_start", "index": 2, "content_block": use},
        {"type": "content_block_delta", "index": 2, "delta": piece},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}},
        STREAM[-1],
    )
    request = Request(body=JsonBody({"model": msgspec.Raw(b'"m"'), "stream": msgspec.Raw(b"true")}))
    call = Call(MESSAGES, MESSAGES.parse(request), request)
    reading = Joined(ToHub(), ToMessages()).reading(call, Head(200, {}, is_stream=True))

    out = b"".join(reading.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + reading.end()

    said = [msgspec.json.decode(event.split(b"data: ")[1]) for event in out.split(b"\n\n")[:-1]]
    assert [each["delta"] for each in said if each["type"] == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "hm é"},
        {"type": "signature_delta", "signature": "c2ln"},
        {"type": "text_delta", "text": "hello"},
        piece,
    ]
    assert said[-2]["delta"]["stop_reason"] == "tool_use"
    assert said[-2]["usage"] == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 5,
        "output_tokens": 20,
    }
    assert (reading.is_complete(), reading.usage()) == (True, Usage(input=7, cache_read=5, output=20))


def test_a_platform_gets_the_fields_it_knows():
    """Coding agents send `context_management` with every request, and Vertex refused them all."""
    fields = {
        "model": "m",
        "max_tokens": 9,
        "messages": HELLO,
        "stream": True,
        "context_management": {"edits": []},
        "speed": "fast",
    }
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(each)) for name, each in fields.items()}))

    body = Verbatim("anthropic-vertex").request(Call(MESSAGES, MESSAGES.parse(request), request), "claude-sonnet-4-5")

    assert msgspec.json.decode(msgspec.json.encode(body.fields)) == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 9,
        "messages": HELLO,
        "stream": True,
    }
    assert body.dropped_params == ("context_management", "speed")

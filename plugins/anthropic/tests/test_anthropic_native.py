"""Anthropic's own SDK, through the gateway, at a provider on loopback: typed answers, and one bill for each."""

from contextlib import asynccontextmanager

import anthropic
import httpx2
import msgspec
import pytest
from aiohttp import web
from gateway_anthropic.native import NativeReading
from gateway_anthropic.provider import Anthropic

from gateway import build_app
from gateway.contract import Head, Outcome
from gateway.contract.usage import Usage
from gateway.testing import ListSink

TOKEN = "gw-test-0123456789abcdef"
KEY = "sk-ant-api03-0123456789abcdef"
HELLO = {"max_tokens": 9, "messages": [{"role": "user", "content": "Say hello"}]}
USAGE = {"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 3}
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
EVENTS = (
    {"type": "message_start", "message": {**MESSAGE, "content": [], "usage": {**USAGE, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 3},
    },
    {"type": "message_stop"},
)
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), msgspec.json.encode(each)) for each in EVENTS)
MANIFEST = """\
type: provider-account/anthropic
name: claude
base_url: {url}/v1
{more}
integrations:
  - type: integration/model/anthropic
    name: sonnet
    model_id: claude-sonnet-4-5
    model_types: [chat]
    cost: {{metric: per_1000_tokens, value: {{input: 0.003, output: 0.015, cache_read: 0.0003}}}}
"""


class Provider:
    """Gives its replies in order, and keeps what it was asked."""

    def __init__(self):
        self.replies = []
        self.asked = []

    async def answer(self, request):
        self.asked.append((request.raw_path, request.headers.copy(), await request.read()))
        status, kind, body = self.replies.pop(0)
        return web.Response(status=status, body=body, headers={"content-type": kind})

    def says(self, value, status=200):
        self.replies.append((status, "application/json", msgspec.json.encode(value)))


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def provider():
    provider = Provider()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield provider
    await runner.cleanup()


@pytest.fixture
def sdk(provider, sink, tmp_path):
    """`async with sdk() as client`; the log is whole after it."""

    @asynccontextmanager
    async def make(more=f"auth_data: {{type: api-key, api_key: {KEY}}}", **options):
        path = tmp_path / "anthropic.yaml"
        path.write_text(MANIFEST.format(url=provider.url, more=more))
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Anthropic()], sinks=[sink])
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        options = {
            "base_url": "http://gateway.test/anthropic/claude/proxy",
            "api_key": TOKEN,
            "max_retries": 0,
        } | options
        async with anthropic.AsyncAnthropic(**options, http_client=http) as client:
            yield client
        await app.close()

    return make


async def test_a_message(sdk, provider, sink):
    """What the SDK wrote goes on, but for the name of the model and the key."""
    provider.says(MESSAGE)

    async with sdk() as client:
        message = await client.messages.create(
            model="sonnet",
            **HELLO,
            extra_headers={"anthropic-beta": "context-1m-2025-08-07"},
            extra_query={"beta": "true"},
        )

    assert (message.content[0].text, message.usage.input_tokens) == ("hello", 7)
    [(path, headers, body)] = provider.asked
    assert (path, msgspec.json.decode(body)) == ("/v1/messages?beta=true", {"model": "claude-sonnet-4-5", **HELLO})
    assert (headers["x-api-key"], headers["anthropic-version"], headers["anthropic-beta"]) == (
        KEY, "2026-10-21", "context-1m-2025-08-07"
    )  # fmt: skip
    assert TOKEN not in str(headers)
    [record] = sink.records
    assert (record.model, record.resolved_model, record.usage) == (
        "claude/sonnet", "claude/sonnet", Usage(input=7, cache_read=5, output=3)
    )  # fmt: skip
    assert record.cost_nanousd == 7 * 3000 + 5 * 300 + 3 * 15000


async def test_a_stream(sdk, provider, sink):
    provider.replies.append((200, "text/event-stream; charset=utf-8", STREAM))

    async with sdk() as client, client.messages.stream(model="sonnet", **HELLO) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()

    assert (text, message.stop_reason, message.usage.output_tokens) == ("hello", "end_turn", 3)
    assert sink.records[0].usage == Usage(input=7, cache_read=5, output=3)
    assert sink.records[0].outcome == Outcome.COMPLETE


async def test_counting_tokens_costs_nothing(sdk, provider, sink):
    provider.says({"input_tokens": 99})

    async with sdk() as client:
        counted = await client.messages.count_tokens(model="sonnet", messages=HELLO["messages"])

    assert (counted.input_tokens, provider.asked[0][0]) == (99, "/v1/messages/count_tokens")
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (Usage(), 0)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
async def test_the_vendors_errors_come_in_its_own_words(sdk, provider, status, kind, error):
    provider.says({"type": "error", "error": {"type": kind, "message": "why"}}, status)

    async with sdk() as client:
        with pytest.raises(error) as raised:
            await client.messages.create(model="sonnet", **HELLO)

    assert raised.value.body["error"] == {"type": kind, "message": "why"}


async def test_the_gateways_errors_come_in_the_vendors_words(sdk, provider):
    async with sdk() as client:
        with pytest.raises(anthropic.NotFoundError) as unknown:
            await client.messages.create(model="opus", **HELLO)
        with pytest.raises(anthropic.APIStatusError, match=r"is not passed on") as other:
            await client.models.list()

    assert unknown.value.body["error"]["type"] == "not_found_error"
    assert other.value.status_code == 501
    assert provider.asked == []


async def test_an_account_without_a_key_passes_on_the_callers(sdk, provider):
    """Claude Code with a subscription."""
    provider.says(MESSAGE)

    async with sdk(more="", api_key=None, auth_token="sub-123", default_headers={"x-tfy-api-key": TOKEN}) as client:
        await client.messages.create(model="sonnet", **HELLO)

    headers = provider.asked[0][1]
    assert (headers["authorization"], "x-api-key" in headers) == ("Bearer sub-123", False)


async def test_of_two_models_in_a_body_the_vendor_reads_the_one_that_was_let_in(sdk, provider):
    """JSON says nothing of two fields of one name."""
    provider.says(MESSAGE)
    body = b'{"model":"claude-opus-5-5","max_tokens":9,"messages":[],"model":"sonnet"}'

    async with sdk() as client:
        await client._client.post(
            "http://gateway.test/anthropic/claude/proxy/v1/messages", content=body, headers={"x-api-key": TOKEN}
        )

    assert provider.asked[0][2] == b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}'


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_counts_what_passes_however_it_is_cut(size):
    reading = NativeReading(Head(200, {}, is_stream=True), is_free=False)

    out = b"".join(reading.feed(STREAM[at : at + size]) for at in range(0, len(STREAM), size)) + reading.end()

    assert out == STREAM
    assert reading.usage() == Usage(input=7, cache_read=5, output=3)


def test_what_came_of_a_stream_that_broke_off_is_counted():
    """At its beginning it says what was read, and not yet what is written."""
    reading = NativeReading(Head(200, {}, is_stream=True), is_free=False)
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word " * 80}}

    reading.feed(STREAM[: STREAM.index(b"event: content_block_start")])
    reading.feed(b"event: content_block_delta\ndata: %b\n\n" % msgspec.json.encode(delta))

    assert reading.usage() == Usage(input=7, cache_read=5, output=100)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"usage":"none"}', b'{"usage":' + b"[" * 100_000])
def test_what_cannot_be_read_goes_on(body):
    reading = NativeReading(Head(200, {}), is_free=False)

    assert reading.feed(body) + reading.end() == body
    assert reading.usage() is None

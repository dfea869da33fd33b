"""Accounts at Anthropic, through the whole app: what OpenAI's SDK asks, what a provider on loopback is sent, what it
answers, and what is billed."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
import openai
import pytest
from aiohttp import web
from gateway_anthropic.provider import Anthropic
from openai import AsyncOpenAI

from gateway import build_app
from gateway.contract import Outcome
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, post

TOKEN = "gw-test-0123456789abcdef"
KEY = "sk-ant-api03-0123456789abcdef"
HELLO = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
MANIFEST = """\
type: provider-account/anthropic
name: claude
{more}
integrations:
  - {{type: integration/model/anthropic, name: sonnet, model_id: claude-sonnet-4-5, model_types: [chat]}}
  - {{type: integration/model/anthropic, name: opus, model_id: claude-opus-5-5, model_types: [chat]}}
"""
WITH_KEY = f"auth_data: {{type: api-key, api_key: {KEY}}}"

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 3},
}


def manifest(folder, more=WITH_KEY):
    path = Path(folder) / "anthropic.yaml"
    path.write_text(MANIFEST.format(more=more))
    return path


@asynccontextmanager
async def app_of(path, sink=None, **options):
    sinks = [sink] if sink is not None else []
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Anthropic()], sinks=sinks, **options)
    try:
        yield app
    finally:
        await app.close()


@asynccontextmanager
async def sdk_of(app):
    transport = httpx2.ASGITransport(app=app)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        AsyncOpenAI(base_url="http://gateway.test/v1", api_key=TOKEN, http_client=http, max_retries=0) as client,
    ):
        yield client


class Scripted:
    """A provider on loopback that gives its replies in order, and keeps what it was asked."""

    def __init__(self):
        self.replies = []
        self.asked = []

    async def answer(self, request):
        self.asked.append((request.path, request.headers.copy(), await request.json()))
        status, body, headers = self.replies.pop(0)
        return web.Response(status=status, body=body, headers=headers)

    def whole(self, message, status=200, **headers):
        self.replies.append((status, msgspec.json.encode(message), {"content-type": "application/json", **headers}))

    def stream(self, body):
        self.replies.append((200, body, {"content-type": "text/event-stream"}))


@pytest.fixture
async def scripted():
    """With its `base_url`."""
    provider = Scripted()
    app = web.Application()
    app.router.add_post("/v1/messages", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield provider
    await runner.cleanup()


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def gateway(scripted, tmp_path, sink):
    path = manifest(tmp_path, f"base_url: {scripted.base_url}\n{WITH_KEY}")
    async with app_of(path, sink) as app:
        yield app


@pytest.fixture
async def sdk(gateway):
    async with sdk_of(gateway) as client:
        yield client


async def recorded(gateway, sink):
    """Records are written when nobody waits, and all of them before it is closed."""
    await gateway.close()
    return sink.records[-1]


async def words_of(stream, came):
    async for chunk in stream:
        came += [choice.delta.content for choice in chunk.choices if choice.delta.content]


async def test_a_whole_answer(gateway, sdk, scripted, sink):
    scripted.whole(MESSAGE)

    raw = await sdk.chat.completions.with_raw_response.create(
        model="claude/sonnet", messages=HELLO, seed=7, temperature=0.5, max_tokens=99
    )

    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == ("hello", 10)
    assert raw.headers["x-gateway-dropped-params"] == "seed"
    [(path, headers, body)] = scripted.asked
    assert (path, headers["x-api-key"], headers["anthropic-version"]) == ("/v1/messages", KEY, "2023-06-01")
    assert "authorization" not in headers
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello"}]}],
        "temperature": 0.5,
    }
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, Usage(input=7, output=3))


async def test_a_stream_with_a_call(gateway, sdk, scripted, sink, events):
    scripted.stream(
        events(
            {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
            {"type": "ping"},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": '{"city":"Rome"}'},
            },
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                "usage": {"output_tokens": 20},
            },
            {"type": "message_stop"},
        )
    )

    async with sdk.chat.completions.stream(
        model="claude/sonnet", messages=HELLO, tools=[WEATHER], stream_options={"include_usage": True}
    ) as stream:
        answer = await stream.get_final_completion()

    [call] = answer.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("toolu_1", "get_weather", '{"city":"Rome"}')
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("tool_calls", 20)
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, Usage(input=7, output=20))


async def test_an_answer_by_a_schema(sdk, scripted):
    scripted.whole(MESSAGE | {"content": [{"type": "text", "text": '{"name":"Rome"}'}]})
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }

    answer = await sdk.chat.completions.create(
        model="claude/sonnet",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}},
    )

    assert json.loads(answer.choices[0].message.content) == {"name": "Rome"}
    assert scripted.asked[0][2]["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


async def test_a_picture(sdk, scripted):
    scripted.whole(MESSAGE)
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

    await sdk.chat.completions.create(model="claude/sonnet", messages=[{"role": "user", "content": [part]}])

    assert scripted.asked[0][2]["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    ]


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", openai.BadRequestError),
        (401, "authentication_error", openai.AuthenticationError),
        (403, "permission_error", openai.PermissionDeniedError),
        (404, "not_found_error", openai.NotFoundError),
        (413, "request_too_large", openai.APIStatusError),
        (429, "rate_limit_error", openai.RateLimitError),
        (500, "api_error", openai.InternalServerError),
        (529, "overloaded_error", openai.InternalServerError),
    ],
)
async def test_errors_by_class(sdk, scripted, status, kind, raised):
    """In the caller's words, with the status and the message of Anthropic; the key is never among them."""
    error = {"type": kind, "message": f"no: {KEY}"}
    scripted.whole({"type": "error", "error": error, "request_id": "req_1"}, status=status, **{"retry-after": "7"})

    with pytest.raises(raised) as refused:
        await sdk.chat.completions.create(model="claude/sonnet", messages=HELLO)

    error = refused.value
    assert (error.status_code, error.response.headers["retry-after"]) == (status, "7")
    assert KEY not in error.response.text
    if status == 401:  # whose key it was, the caller is not told
        assert error.code == "upstream_authentication_error"
    else:
        assert error.body["message"].startswith("no: ")
        assert error.code == kind


async def test_an_error_in_the_middle_of_a_stream(gateway, sdk, scripted, sink, events):
    scripted.stream(
        events(
            {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
            {"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}},
        )
    )
    stream = await sdk.chat.completions.create(model="claude/sonnet", messages=HELLO, stream=True)
    came = []

    with pytest.raises(openai.APIError, match="too busy"):
        await words_of(stream, came)

    assert came == ["hel"]
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage.input) == (Outcome.UPSTREAM_BROKE, 7)


async def test_what_is_refused_here_is_not_asked(sdk, scripted):
    with pytest.raises(openai.BadRequestError, match="leave out n"):
        await sdk.chat.completions.create(model="claude/sonnet", messages=HELLO, n=2)

    assert scripted.asked == []


async def test_an_account_without_a_key(tmp_path):
    """Each caller brings one of their own."""
    upstream = FakeUpstream((200, [msgspec.json.encode(MESSAGE)]))
    async with app_of(manifest(tmp_path, ""), network=upstream) as app:
        headers = {"authorization": "Bearer sk-ant-of-the-caller", "x-tfy-api-key": TOKEN}
        answer = await post(app, "/v1/chat/completions", {"model": "claude/sonnet", "messages": HELLO}, headers=headers)
        without = await post(
            app, "/v1/chat/completions", {"model": "claude/sonnet", "messages": HELLO}, headers={"x-tfy-api-key": TOKEN}
        )

    assert answer.status == 200
    head = upstream.requests[0].endpoint.head
    assert b"authorization: Bearer sk-ant-of-the-caller\r\n" in head
    assert b"x-api-key" not in head
    assert (without.status, without.json()["error"]["code"]) == (401, "provider_key_missing")


async def test_versions_and_betas_are_data(tmp_path):
    """The newer version takes no temperature; of that the caller is told."""
    upstream = FakeUpstream((200, [msgspec.json.encode(MESSAGE)]))
    more = f'{WITH_KEY}\nanthropic_version: 2026-10-21\nanthropic_beta: [context-1m-2025-08-07, "fast-mode-2026-02-01"]'
    async with app_of(manifest(tmp_path, more), network=upstream) as app:
        ask = {"model": "claude/sonnet", "messages": HELLO, "temperature": 0.3}
        answer = await post(app, "/v1/chat/completions", ask, headers={"authorization": f"Bearer {TOKEN}"})

    request = upstream.requests[0]
    assert request.endpoint.url == "https://api.anthropic.com/v1/messages"
    assert b"anthropic-version: 2026-10-21\r\n" in request.endpoint.head
    assert b"anthropic-beta: context-1m-2025-08-07,fast-mode-2026-02-01\r\n" in request.endpoint.head
    assert "temperature" not in upstream.asked()
    assert answer.headers["x-gateway-dropped-params"] == "temperature"


@pytest.fixture
async def llmock_sdk(llmock, tmp_path):
    """OpenAI's SDK, the gateway, and llmock's Anthropic behind it: somebody else's idea of the API."""
    path = manifest(tmp_path, f"base_url: {llmock.base_url('anthropic')}/v1\n{WITH_KEY}")
    async with app_of(path) as app, sdk_of(app) as client:
        yield client


async def test_llmock_whole_and_streamed(llmock_sdk, llmock):
    llmock.reply("Hello there", times=None)

    answer = await llmock_sdk.chat.completions.create(model="claude/sonnet", messages=HELLO)
    stream = await llmock_sdk.chat.completions.create(
        model="claude/sonnet", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello there", "stop")
    assert answer.usage.prompt_tokens > 0
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == "Hello there"
    assert choices[-1].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens > 0


async def test_llmock_calls_a_tool_and_hears_of_it(llmock_sdk, llmock):
    """A conversation of an agent, streamed: the call, its result, the answer."""
    llmock.call_tool("get_weather", {"city": "Rome"})
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]

    async with llmock_sdk.chat.completions.stream(model="claude/sonnet", messages=messages, tools=[WEATHER]) as stream:
        asked = (await stream.get_final_completion()).choices[0]
    [call] = asked.message.tool_calls
    messages += [
        asked.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answer = await llmock_sdk.chat.completions.create(model="claude/sonnet", messages=messages, tools=[WEATHER])

    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Rome"})
    assert asked.finish_reason == "tool_calls"
    assert (bool(answer.choices[0].message.content), answer.choices[0].finish_reason) == (True, "stop")
    assert [turn["role"] for turn in llmock.last_request.body["messages"]] == ["user", "assistant", "user"]


async def test_the_list_of_models_is_asked_for_with_the_accounts_key(tmp_path):
    upstream = FakeUpstream((200, [b'{"data":[{"type":"model","id":"claude-opus-5-5"}],"has_more":false}']))
    path = manifest(tmp_path)
    path.write_text(path.read_text().replace("name: opus, model_id: claude-opus-5-5", 'name: "*", model_id: "*"'))

    async with app_of(path, network=upstream) as app:
        [lists] = [part for part in app.parts if part.name == "model lists"]
        await lists.refresh()

    assert lists.names("claude/*") == ["claude/claude-opus-5-5"]
    asked = upstream.requests[0].endpoint
    assert asked.url == "https://api.anthropic.com/v1/models?limit=1000"
    assert f"x-api-key: {KEY}\r\n".encode() in asked.head

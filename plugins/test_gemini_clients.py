"""Google's SDK in front of Claude: its thinking, which only Anthropic can read, goes round by way of the SDK."""

import json

import httpx2
import msgspec
import pytest
from gateway_anthropic.provider import Anthropic
from google import genai
from google.genai import errors, types

from gateway import build_app
from gateway.testing import FakeUpstream

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/anthropic
name: claude
auth_data: {type: api-key, api_key: sk-ant-api03-0123456789abcdef}
integrations:
  - {type: integration/model/anthropic, name: sonnet, model_id: claude-sonnet-4-5, model_types: [chat]}
"""
THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}


def message(*content, stop="end_turn"):
    usage = {"input_tokens": 7, "output_tokens": 3}
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
    return msgspec.json.encode({**about, "content": content, "stop_reason": stop, "usage": usage})


def event(kind, **fields):
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


def block(index, head, *deltas):
    yield event("content_block_start", index=index, content_block=head)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def streamed():
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    yield event(
        "message_start", message={**about, "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    )
    yield from block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "h"},
        {"type": "thinking_delta", "thinking": "m"},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    yield from block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Let me see."})
    pieces = ['{"city":', '"Rome"}']
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield from block(2, {**USE, "input": {}}, *deltas)
    yield event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 3})
    yield event("message_stop")


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.fixture
async def sdk(tmp_path):
    opened = []

    def make(*replies):
        path = tmp_path / "claude.yaml"
        path.write_text(MANIFEST)
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        app = build_app(path, environ=environ, providers=[Anthropic()], sinks=[], network=upstream)
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        opened.append((app, http))
        there = types.HttpOptions(base_url="http://gateway.test", httpx_async_client=http)
        return genai.Client(api_key=TOKEN, http_options=there).aio, upstream

    yield make
    for app, http in opened:
        await http.aclose()
        await app.close()


def thinking(budget, *, shown=True):
    return types.GenerateContentConfig(
        tools=[get_weather],
        max_output_tokens=4096,
        thinking_config=types.ThinkingConfig(thinking_budget=budget, include_thoughts=shown),
    )


@pytest.mark.parametrize("shown", [True, False])
async def test_a_whole_turn_with_a_tool(sdk, shown):
    """Anthropic refuses the turn behind a call without the thinking that led to it."""
    aio, upstream = sdk(
        (200, [message(THINKING, USE, stop="tool_use")]), (200, [message({"type": "text", "text": "Sun."})])
    )

    answer = await aio.models.generate_content(
        model="claude/sonnet", contents="Weather?", config=thinking(2048, shown=shown)
    )

    assert answer.text == "Sun."
    assert upstream.asked(0)["thinking"]["budget_tokens"] == 2048
    _, said, result = upstream.asked()["messages"]
    assert [each for each in said["content"] if each["type"] != "text"] == [THINKING, USE]
    [told] = result["content"]
    assert (told["type"], told["tool_use_id"]) == ("tool_result", "toolu_1")
    assert "sunny in Rome" in json.dumps(told)


async def test_a_stream_in_a_conversation(sdk):
    aio, upstream = sdk((200, list(streamed())), (200, [message({"type": "text", "text": "Sun."})]))
    config = thinking(2048)
    config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
    chat = aio.chats.create(model="claude/sonnet", config=config)

    chunks = [chunk async for chunk in await chat.send_message_stream("Weather?")]
    [call] = [call for chunk in chunks for call in chunk.function_calls or ()]
    result = types.Part.from_function_response(name=call.name, response={"result": "sunny"})
    result.function_response.id = call.id
    answer = await chat.send_message(result)

    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.thought) == "hm"
    assert "".join(part.text or "" for part in parts if not part.thought) == "Let me see."
    assert (call.name, call.args, call.id) == ("get_weather", {"city": "Rome"}, "toolu_1")
    assert chunks[-1].usage_metadata.total_token_count == 10
    assert answer.text == "Sun."
    said = upstream.asked()["messages"][1]["content"]
    assert said == [THINKING, {"type": "text", "text": "Let me see."}, USE]


async def test_an_answer_by_a_schema(sdk):
    """Sonnet 4.5 is held to it by Anthropic."""
    aio, upstream = sdk((200, [message({"type": "text", "text": '{"city":"Rome"}'})]))
    schema = types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"])

    answer = await aio.models.generate_content(
        model="claude/sonnet",
        contents="Where?",
        config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema),
    )

    assert answer.parsed == {"city": "Rome"}
    sent = json.dumps(upstream.asked())
    assert '"properties": {"city": {"type": "string"}}' in sent


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [(400, "invalid_request_error", errors.ClientError), (529, "overloaded_error", errors.ServerError)],
)
async def test_errors_are_in_googles_shape(sdk, status, kind, raised):
    body = msgspec.json.encode({"type": "error", "error": {"type": kind, "message": "no"}})
    aio, _ = sdk((status, [body]))

    with pytest.raises(raised) as refused:
        await aio.models.generate_content(model="claude/sonnet", contents="hi")

    assert (refused.value.code, refused.value.message) == (status, "no")


async def test_a_stream_that_is_cut(sdk):
    aio, _ = sdk((200, list(streamed())[:8]))

    async def read():
        async for _ in await aio.models.generate_content_stream(model="claude/sonnet", contents="hi"):
            pass

    with pytest.raises(errors.ServerError) as broken:
        await read()

    assert broken.value.code == 502

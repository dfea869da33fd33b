"""Callers of OpenAI's Responses API in front of Claude: two translators joined, with what Claude wants back."""

import msgspec
import pytest

from gateway import build_app
from gateway.testing import FakeUpstream, ResponseGrammar, post

TOKEN = "gw-test-0123456789abcdef"
AUTH = {"authorization": f"Bearer {TOKEN}"}
MANIFEST = """\
type: provider-account/anthropic
name: a
auth_data: {type: api-key, api_key: sk-ant-0123456789}
integrations: [{type: integration/model/anthropic, name: m, model_id: claude-sonnet-4-5, model_types: [chat]}]
"""
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}]
THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
EVENTS = [
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 7, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in EVENTS)
WHOLE = {
    "id": "msg_2",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "done"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 2},
}
RESULT = {"type": "function_call_output", "call_id": "t1", "output": "21"}


@pytest.fixture
async def app_with_claude(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(MANIFEST)
    upstream = FakeUpstream((200, [STREAM]), (200, [msgspec.json.encode(WHOLE)]))
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, network=upstream, sinks=[])
    yield app, upstream
    await app.close()


def asked(**fields):
    return {"model": "a/m", "tools": TOOLS, "max_output_tokens": 4000, "reasoning": {"effort": "low"}, **fields}


@pytest.mark.parametrize("keeps", ["gateway", "client"])
async def test_thinking_comes_back_to_claude_as_it_was_signed(app_with_claude, keeps):
    """Whether the client sends all of it again, or an id: else Claude refuses the second turn."""
    app, upstream = app_with_claude

    first = await post(app, "/v1/responses", asked(input="go", stream=True), headers=AUTH)
    response = ResponseGrammar.of(first.body).response
    if keeps == "gateway":
        follow = asked(input=[RESULT], previous_response_id=response["id"])
    else:
        follow = asked(input=[{"role": "user", "content": "go"}, *response["output"], RESULT], store=False)
    second = await post(app, "/v1/responses", follow, headers=AUTH)

    assert [item["type"] for item in response["output"]] == ["reasoning", "function_call"]
    assert response["usage"]["output_tokens"] == 5
    assert second.json()["output"][0]["content"][0]["text"] == "done"
    _, assistant, result = upstream.asked()["messages"]
    assert assistant["content"] == [THINKING, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]
    assert result["content"][0]["tool_use_id"] == "t1"


@pytest.mark.parametrize("cut", range(20, len(STREAM), 61))
async def test_a_stream_that_breaks_keeps_to_the_grammar(tmp_path, cut):
    path = tmp_path / "gateway.yaml"
    path.write_text(MANIFEST)
    upstream = FakeUpstream((200, [STREAM[:cut]], {"content-type": "text/event-stream"}))
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, network=upstream, sinks=[])

    answer = await post(app, "/v1/responses", asked(input="go", stream=True), headers=AUTH)
    await app.close()

    if answer.status == 200:
        assert ResponseGrammar.of(answer.body).events[-1]["type"] in ("response.failed", "response.completed")
    else:
        assert answer.status == 502

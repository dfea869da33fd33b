"""A server that does not stream, though it was asked to."""

import json

import msgspec
import pytest

from gateway.contract import Call, Head, Request
from gateway.contract.usage import Usage
from gateway.dialects import GEMINI, MAKE_RESPONSE, MESSAGES
from gateway.errors import BrokeOff, Refused
from gateway.middleware.parse import json_body
from gateway.testing import ResponseGrammar
from gateway.translators import gemini, messages, responses

TOOL = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": '{"a":1}'}}
MESSAGE = {"role": "assistant", "content": "hi", "reasoning_content": "hm", "tool_calls": [TOOL, {**TOOL, "id": "c2"}]}
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "tool_calls"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def call(dialect, query=b"", **fields):
    route = "/{version}/models/{model:path}:streamGenerateContent"
    places = {"version": "v1beta", "model": "a/m"}
    body = json_body(json.dumps({"model": "a/m", "max_tokens": 9, "stream": True, "input": "x", **fields}).encode())
    request = Request(route=route, path_params=places, query=query, body=body)
    return Call(dialect, dialect.parse(request), request)


CALLS = {
    "messages": (messages.ToHub(), call(MESSAGES)),
    "responses": (responses.ToHub(), call(MAKE_RESPONSE, tools=[{"type": "function", "name": "read"}])),
    "gemini": (gemini.ToHub(), call(GEMINI, b"alt=sse")),
}


def reading_for(name):
    translator, asked = CALLS[name]
    return translator.reading(asked, Head(200, {"content-type": "application/json"}))


def told(name, document):
    """The data of the events that come out, and the reading."""
    reading = reading_for(name)
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    assert b"".join(reading.feed(bytes([byte])) for byte in body) == b""
    out = reading.end()
    assert (reading.end(), reading.is_stream) == (b"", True)
    return out, reading


def events(out):
    blocks = out.removesuffix(b"\n\n").replace(b"\r\n", b"\n").split(b"\n\n")
    return [msgspec.json.decode(block.partition(b"data: ")[2]) for block in blocks]


def test_messages():
    """langwatch/langwatch#6184: Claude Code saw 200 and no event, and hung."""
    out, reading = told("messages", WHOLE)

    kinds = [event["content_block"]["type"] for event in events(out) if event["type"] == "content_block_start"]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    assert [event["type"] for event in events(out)][-2:] == ["message_delta", "message_stop"]
    assert (reading.usage(), reading.is_complete()) == (Usage(input=3, output=2), True)


def test_responses():
    out, reading = told("responses", WHOLE)

    output = ResponseGrammar.of(out).response["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert reading.response["status"] == "completed"


def test_gemini():
    out, _ = told("gemini", WHOLE)

    parts = [part for event in events(out) for part in event["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["id"] for part in parts if "functionCall" in part] == ["call_1", "c2"]
    assert events(out)[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"", BrokeOff),
        (b"<html>", BrokeOff),
        (b"[]", BrokeOff),
        ({"error": {"message": "no", "code": 429}}, Refused),
        ({"choices": []}, BrokeOff),
        ({"choices": [3]}, BrokeOff),
    ],
)
def test_what_is_no_answer_is_an_error(name, document, error):
    """And another target may still be asked."""
    reading = reading_for(name)

    reading.feed(document if isinstance(document, bytes) else json.dumps(document).encode())
    with pytest.raises(error):
        reading.end()
    assert not reading.has_begun

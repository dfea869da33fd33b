"""Callers of Anthropic's Messages API in front of Gemini, by way of the hub."""

import msgspec
from gateway_google.translator import ToGemini

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import MESSAGES
from gateway.translators.joined import Joined
from gateway.translators.messages import ToHub

HI = {"role": "user", "content": "hi"}
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
PARTS = [
    {"text": "I think.", "thought": True},
    {"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2lnbmF0dXJl"},
]
SAID = {
    "candidates": [{"content": {"role": "model", "parts": PARTS}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
    "modelVersion": "gemini-3-pro",
    "responseId": "r1",
}


def asked(*turns, **more):
    fields = {"model": "m", "max_tokens": 99, "messages": [HI, *turns], "tools": [TOOL], **more}
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(each)) for name, each in fields.items()}))
    return Call(MESSAGES, MESSAGES.parse(request), request)


def blocks_of(stream):
    blocks = []
    for event in stream.split(b"\n\n")[:-1]:
        said = msgspec.json.decode(event.split(b"data: ")[1])
        if said["type"] == "content_block_start":
            blocks.append(said["content_block"])
        elif said["type"] == "content_block_delta" and said["delta"]["type"] == "input_json_delta":
            blocks[-1]["input"] = msgspec.json.decode(said["delta"]["partial_json"])
        elif said["type"] == "content_block_delta":
            name = said["delta"]["type"].removesuffix("_delta")
            blocks[-1][name] += said["delta"][name]
    return blocks


def test_thought_signatures_go_round():
    """Without them Gemini refuses the turn behind a call; callers of Messages know no place for them."""
    through = Joined(ToHub(), ToGemini())
    reading = through.reading(asked(stream=True), Head(200, {"content-type": "text/event-stream"}, is_stream=True))
    stream = reading.feed(b"data: %b\n\n" % msgspec.json.encode(SAID)) + reading.end()

    blocks = blocks_of(stream)
    [use] = [block for block in blocks if block["type"] == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": use["id"], "content": "sunny"}
    turns = ({"role": "assistant", "content": blocks}, {"role": "user", "content": [result]})
    body = msgspec.json.decode(msgspec.json.encode(through.request(asked(*turns), "gemini-3-pro").fields))

    assert (use["name"], use["input"]) == ("get_weather", {"city": "Rome"})
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "tool_use"]
    [call] = [part for part in body["contents"][1]["parts"] if "functionCall" in part]
    assert call["thoughtSignature"] == "c2lnbmF0dXJl"
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == "get_weather"

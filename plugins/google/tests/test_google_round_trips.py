"""Whatever a model says comes out of the stream as it comes out of the whole answer, and goes back as it came."""

import json

import msgspec
from gateway_google.translator import ToGemini
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import CHAT

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SIGNATURE = st.text("abcXYZ019+/=", min_size=1, max_size=8)
VALUE = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | TEXT, lambda inner: st.lists(inner, max_size=2))
THOUGHT = st.fixed_dictionaries({"text": TEXT, "thought": st.just(True)})
SAID = st.fixed_dictionaries({"text": TEXT})
CALLED = st.fixed_dictionaries(
    {"functionCall": st.fixed_dictionaries({"name": st.just("f"), "args": st.dictionaries(TEXT, VALUE, max_size=2)})},
    optional={"thoughtSignature": SIGNATURE},
)
PARTS = st.tuples(st.lists(THOUGHT, max_size=2), st.lists(SAID, max_size=4), st.lists(CALLED, max_size=3)).map(
    lambda groups: [part for group in groups for part in group]
)


def call(**fields):
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    request = Request(body=JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}))
    return Call(CHAT, CHAT.parse(request), request)


def numbered():
    number = 0

    def new_id():
        nonlocal number
        number += 1
        return f"call_{number}"

    return ToGemini(clock=lambda: 0, new_id=new_id)


def candidate(parts, finish=None):
    said = {"index": 0, "content": {"role": "model", "parts": parts}}
    return {"responseId": "r", "candidates": [said | ({"finishReason": finish} if finish else {})]}


def whole(parts):
    reading = numbered().reading(call(), Head(200, {}))
    reading.feed(json.dumps(candidate(parts, "STOP")).encode())
    choice = json.loads(reading.end())["choices"][0]
    return choice["message"], choice["finish_reason"]


def streamed(parts, size):
    reading = numbered().reading(call(stream=True), Head(200, {}, True))
    events = [candidate([part]) for part in parts] + [candidate([], "STOP")]
    data = b"".join(b"data: %b\r\n\r\n" % json.dumps(event).encode() for event in events)
    out = b"".join(reading.feed(data[start : start + size]) for start in range(0, len(data), size)) + reading.end()
    message, finish = {"tool_calls": []}, None
    for line in out.split(b"\n\n")[:-2]:
        (choice,) = json.loads(line[6:])["choices"]
        finish = choice["finish_reason"] or finish
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                assert [each.pop("index") for each in value] == [len(message[name])]
            message[name] = message[name] + value if name in message else value
    return message, finish


@given(PARTS, st.integers(1, 200))
def test_a_stream_comes_to_what_the_whole_answer_is(parts, size):
    message, finish = whole(parts)

    said, reason = streamed(parts, size)

    assert reason == finish
    assert said["content"] == (message["content"] or "")
    assert said.get("reasoning_content", "") == message.get("reasoning_content", "")
    assert said["tool_calls"] == message.get("tool_calls", [])


@given(PARTS)
def test_what_a_model_said_goes_back_as_it_came(parts):
    message, _ = whole(parts)
    results = [{"role": "tool", "tool_call_id": each["id"], "content": "x"} for each in message.get("tool_calls", [])]

    asked = call(messages=[{"role": "user", "content": "hi"}, message, *results])
    contents = msgspec.json.decode(ToGemini().request(asked, "gemini-2.5-pro").fields["contents"])

    back = contents[1]["parts"] if len(contents) > 1 else []
    calls = [part for part in back if "functionCall" in part]
    for part in calls:
        del part["functionCall"]["id"]
    assert calls == [part for part in parts if "functionCall" in part]
    text = "".join(part["text"] for part in parts if "functionCall" not in part and "thought" not in part)
    assert "".join(part.get("text", "") for part in back) == text

"""Calls of the Messages API as they come in; OpenAI's types say what they become, and Anthropic's what comes back."""

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import MESSAGES
from gateway.translators.messages import ToExtended, ToHub, ToOpenAI

HI = [{"role": "user", "content": "hi"}]
TO = {"hub": ToHub(), "openai": ToOpenAI(), "extended": ToExtended()}


@pytest.fixture(scope="session")
def call():
    def make(**fields):
        fields = {"model": "m", "max_tokens": 99, "messages": HI} | fields
        body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
        request = Request(body=body)
        return Call(MESSAGES, MESSAGES.parse(request), request)

    return make


@pytest.fixture(scope="session")
def sent(call):
    """`sent("hub", **fields)`: the chat request that goes out, without what every one has, and what was dropped."""

    def make(to, model="m", **fields):
        body = TO[to].request(call(**fields), model)
        said = {name: msgspec.json.decode(raw) for name, raw in body.fields.items()}
        assert said.pop("model") == model
        for name, value in (("max_tokens", 99), ("messages", HI)):
            if said.get(name) == value:
                del said[name]
        return said, body.dropped_params

    return make


@pytest.fixture(scope="session")
def turned(sent):
    """`turned("hub", *turns)`: the messages that they become, and what was dropped."""

    def make(to, *turns, **fields):
        said, dropped = sent(to, messages=list(turns), **fields)
        return said["messages"], dropped

    return make


@pytest.fixture(scope="session")
def reading(call):
    def make(*, is_stream=False, **fields):
        translator = ToHub(new_id=lambda: "new")
        return translator.reading(call(stream=is_stream, **fields), Head(200, {}, is_stream=is_stream))

    return make


@pytest.fixture(scope="session")
def answered(reading):
    """`answered(completion, **fields)`: the message that a whole chat completion is."""

    def make(completion, **fields):
        one = reading(**fields)
        assert one.feed(msgspec.json.encode(completion)) == b""
        message = msgspec.json.decode(one.end())
        Message.model_validate(message)
        return message, one

    return make


@pytest.fixture(scope="session")
def events_of():
    """The decoded events of a stream, each of which Anthropic's types take, and which keep to the order of things."""
    adapter = TypeAdapter(RawMessageStreamEvent)

    def decode(stream):
        events = []
        for block in stream.split(b"\n\n")[:-1]:
            name, data = block.split(b"\n")
            event = msgspec.json.decode(data.removeprefix(b"data: "))
            assert name == b"event: %b" % event["type"].encode()
            if event["type"] != "ping":
                adapter.validate_python(event)
            events.append(event)
        check_order(events)
        return events

    return decode


def check_order(events):
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert [kinds.count(kind) for kind in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]
    opened, started = None, 0
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert opened is None
                opened = event["index"]
                assert opened == started
                started += 1
            case "content_block_delta":
                assert event["index"] == opened
            case "content_block_stop":
                assert event["index"] == opened
                opened = None
    assert opened is None

"""Calls of the Responses API as they come in; OpenAI's types say what comes back, and the grammar in which order."""

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import MAKE_RESPONSE
from gateway.testing import ResponseGrammar
from gateway.translators.responses import ToExtended, ToHub, ToOpenAI

HEX = "0123456789abcdef" * 2
TO = {"hub": ToHub(), "openai": ToOpenAI(), "extended": ToExtended()}


@pytest.fixture(scope="session")
def call():
    def make(**fields):
        fields = {"model": "a/m", "input": "hi"} | fields
        data = msgspec.json.encode(fields)
        request = Request(body=JsonBody(msgspec.json.decode(data, type=dict[str, msgspec.Raw]), data))
        return Call(MAKE_RESPONSE, MAKE_RESPONSE.parse(request), request)

    return make


@pytest.fixture(scope="session")
def sent(call):
    """`sent("hub", **fields)`: the chat request that goes out, without model and the usual message, and what was
    dropped."""

    def make(to, model="m", **fields):
        body = TO[to].request(call(**fields), model)
        said = {name: msgspec.json.decode(raw) for name, raw in body.fields.items()}
        assert said.pop("model") == model
        if said["messages"] == [{"role": "user", "content": "hi"}]:
            del said["messages"]
        return said, body.dropped_params

    return make


@pytest.fixture(scope="session")
def turned(sent):
    """`turned("hub", *items)`: the messages that they become, and what was dropped."""

    def make(to, *items, **fields):
        said, dropped = sent(to, input=list(items), **fields)
        return said.get("messages", [{"role": "user", "content": "hi"}]), dropped

    return make


@pytest.fixture(scope="session")
def reading(call):
    def make(*, is_stream=False, **fields):
        translator = ToHub(new_id=lambda: HEX, clock=lambda: 1700000000.5)
        return translator.reading(call(stream=is_stream, **fields), Head(200, {}, is_stream=is_stream))

    return make


@pytest.fixture(scope="session")
def answered(reading):
    """`answered(message, **fields)`: the response that a whole chat completion with it is."""

    def make(message, finish="stop", usage=None, **fields):
        one = reading(**fields)
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        assert one.feed(msgspec.json.encode({"id": "c1", "choices": [choice], "usage": usage})) == b""
        response = msgspec.json.decode(one.end())
        Response.model_validate(response)
        return response

    return make


@pytest.fixture(scope="session")
def events_of():
    """The decoded events of a stream, each of which OpenAI's types take, and which keep to the order of things."""
    adapter = TypeAdapter(ResponseStreamEvent)

    def decode(stream):
        grammar = ResponseGrammar.of(stream)
        for event in grammar.events:
            adapter.validate_python(event)
        return grammar.events

    return decode

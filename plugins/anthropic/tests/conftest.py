"""Chat calls, and what the Messages API of Anthropic's own SDK says of the bodies that they become."""

from collections.abc import Iterator, Mapping

import msgspec
import pytest
from anthropic.types import Message, MessageCreateParams, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsBase
from gateway_anthropic.translator import ToMessages
from pydantic import TypeAdapter

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import CHAT

HI = [{"role": "user", "content": "hi"}]
OLD_SAMPLERS = {"temperature", "top_p", "top_k"}
"""Of version 2023-06-01; the SDK of the newer one has dropped them."""
CLOCK_S = 5.5

params = TypeAdapter(MessageCreateParams)


@pytest.fixture(scope="session")
def chat():
    """`chat(temperature=1)`: a call with a model and a message, unless they are given."""

    def make(**fields):
        fields = {"model": "m", "messages": HI} | fields
        body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
        request = Request(body=body)
        return Call(CHAT, CHAT.parse(request), request)

    return make


@pytest.fixture(scope="session")
def sent(chat):
    """`sent("claude-opus-4-5", **fields)`: the body that goes out, which the SDK's types take, and what was dropped."""

    def make(model="claude-sonnet-4-5", flavour=None, **fields):
        body = ToMessages(flavour).request(chat(**fields), model)
        said = msgspec.json.decode(msgspec.json.encode(body.fields))
        known = MessageCreateParamsBase.__annotations__.keys() | {"stream"}
        assert said.keys() - known - OLD_SAMPLERS == set()
        consume(params.validate_python(said))
        return said, body.dropped_params

    return make


@pytest.fixture(scope="session")
def read(chat):
    """`read(reply, **fields)`: what a whole reply is to the caller, decoded, and its reading."""

    def make(reply, **fields):
        Message.model_validate(reply)
        reading = ToMessages(clock=lambda: CLOCK_S).reading(chat(**fields), Head(200, {}))
        assert reading.feed(msgspec.json.encode(reply)) == b""
        return msgspec.json.decode(reading.end()), reading

    return make


@pytest.fixture(scope="session")
def streaming(chat):
    """`streaming(**fields)`: the reading of a streamed reply."""

    def make(**fields):
        fields = {"stream": True, "stream_options": {"include_usage": True}} | fields
        return ToMessages(clock=lambda: CLOCK_S).reading(chat(**fields), Head(200, {}, is_stream=True))

    return make


@pytest.fixture(scope="session")
def events():
    """`events({"type": "ping"}, ...)`: as they come over the wire; the SDK's types take them."""
    adapter = TypeAdapter(RawMessageStreamEvent)

    def make(*said):
        for event in said:
            if event["type"] not in ("ping", "error"):
                adapter.validate_python(event)
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in said
        )

    return make


def consume(value):
    """The SDK's types are lazy where they say Iterable."""
    if isinstance(value, Mapping):
        for inner in value.values():
            consume(inner)
    elif isinstance(value, Iterator | list | tuple) or type(value).__name__ == "ValidatorIterator":
        for inner in value:
            consume(inner)

"""Calls, and what the types of Cohere's own SDK say of the bodies that they become, and of the answers."""

from typing import get_type_hints

import msgspec
import pytest
from cohere import EmbedByTypeResponse, V2ChatResponse, V2ChatStreamResponse
from cohere.v2.raw_client import RawV2Client
from gateway_cohere.embeddings import ToEmbed
from gateway_cohere.translator import ToChat
from pydantic import BaseModel, TypeAdapter

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import CHAT, EMBEDDINGS

HI = [{"role": "user", "content": "hi"}]
CLOCK_S = 5.5

chat_fields = get_type_hints(RawV2Client.chat)
embed_fields = get_type_hints(RawV2Client.embed)
stream_event = TypeAdapter(V2ChatStreamResponse)


def call_of(dialect, **fields):
    body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    request = Request(body=body)
    return Call(dialect, dialect.parse(request), request)


def checked(body, known):
    """The decoded body, whose fields the SDK knows, and whose values its types take."""
    said = msgspec.json.decode(msgspec.json.encode(body.fields))
    assert said.keys() - known - {"stream"} == set()
    for name, value in said.items():
        if name in known:
            assert_known(TypeAdapter(known[name]).validate_python(value))
    return said


def assert_known(value):
    """The SDK's models take any field: what they do not know is not theirs."""
    if isinstance(value, BaseModel):
        assert not value.model_extra
        for _, inner in value:
            assert_known(inner)
    elif isinstance(value, list):
        for inner in value:
            assert_known(inner)


@pytest.fixture(scope="session")
def chat():
    """`chat(temperature=1)`: a call with a model and a message, unless they are given."""
    return lambda **fields: call_of(CHAT, **{"model": "m", "messages": HI} | fields)


@pytest.fixture(scope="session")
def embed():
    """`embed(input="a")`: a call."""
    return lambda **fields: call_of(EMBEDDINGS, **{"model": "m"} | fields)


@pytest.fixture(scope="session")
def sent(chat):
    """`sent("command-a-03-2025", **fields)`: the body that goes out, and what was dropped."""

    def make(model="command-a-plus-05-2026", **fields):
        body = ToChat().request(chat(**fields), model)
        return checked(body, chat_fields), body.dropped_params

    return make


@pytest.fixture(scope="session")
def embedded(embed):
    """The same, of embeddings."""

    def make(**fields):
        body = ToEmbed().request(embed(**fields), "embed-v4.0")
        return checked(body, embed_fields), body.dropped_params

    return make


@pytest.fixture(scope="session")
def read(chat):
    """`read(reply, **fields)`: what a whole reply is to the caller, decoded, and its reading."""

    def make(reply, **fields):
        V2ChatResponse.model_validate(reply)
        reading = ToChat(clock=lambda: CLOCK_S).reading(chat(**fields), Head(200, {}))
        assert reading.feed(msgspec.json.encode(reply)) == b""
        return msgspec.json.decode(reading.end()), reading

    return make


@pytest.fixture(scope="session")
def read_vectors(embed):
    """The same, of embeddings."""

    def make(reply, **fields):
        EmbedByTypeResponse.model_validate(reply)
        reading = ToEmbed().reading(embed(**fields), Head(200, {}))
        assert reading.feed(msgspec.json.encode(reply)) == b""
        return msgspec.json.decode(reading.end()), reading

    return make


@pytest.fixture(scope="session")
def streaming(chat):
    """`streaming(**fields)`: the reading of a streamed reply."""

    def make(**fields):
        fields = {"stream": True, "stream_options": {"include_usage": True}} | fields
        return ToChat(clock=lambda: CLOCK_S).reading(chat(**fields), Head(200, {}, is_stream=True))

    return make


@pytest.fixture(scope="session")
def events():
    """`events({"type": "message-start", ...}, ...)`: as they come over the wire."""

    def make(*said):
        for event in said:
            stream_event.validate_python(event)
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in said
        )

    return make

"""Calls of the Gemini API as they come in; Google's types say what comes back."""

import msgspec
import pytest

from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import GEMINI
from gateway.translators.gemini import ToExtended, ToHub, ToOpenAI

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
SAID = [{"role": "user", "content": "hi"}]
TO = {"hub": ToHub(), "openai": ToOpenAI(), "extended": ToExtended()}


@pytest.fixture(scope="session")
def call():
    """`action`: what is asked of the model; `query`: as in the address."""

    def make(action="generateContent", query=b"", **fields):
        fields = {"contents": HI} | fields
        body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
        places = {"version": "v1beta", "model": "m"}
        request = Request(
            route=f"/{{version}}/models/{{model:path}}:{action}", path_params=places, query=query, body=body
        )
        return Call(GEMINI, GEMINI.parse(request), request)

    return make


@pytest.fixture(scope="session")
def sent(call):
    """`sent("hub", **fields)`: the chat request that goes out, without what every one has, and what was dropped."""

    def make(to, model="m", **fields):
        body = TO[to].request(call(**fields), model)
        said = {name: msgspec.json.decode(raw) for name, raw in body.fields.items()}
        assert said.pop("model") == model
        if said.get("messages") == SAID:
            del said["messages"]
        return said, body.dropped_params

    return make


@pytest.fixture(scope="session")
def turned(sent):
    """`turned("hub", *contents)`: the messages that they become, and what was dropped."""

    def make(to, *contents, **fields):
        said, dropped = sent(to, contents=list(contents), **fields)
        return said["messages"], dropped

    return make


@pytest.fixture(scope="session")
def reading(call):
    def make(*, is_stream=False, **fields):
        asked = call("streamGenerateContent", b"alt=sse", **fields) if is_stream else call(**fields)
        return ToHub(new_id=lambda: "new").reading(asked, Head(200, {}, is_stream=is_stream))

    return make

"""Calls as they come in, and Google's own types as a referee for what goes out."""

import msgspec
import pytest
from gateway_google.translator import ToGemini
from google.genai import types

from gateway.contract import Call, FormBody, FormPart, Head, JsonBody, Request
from gateway.dialects import CHAT, EMBEDDINGS, IMAGE_EDITS, IMAGE_VARIATIONS, IMAGES

HI = [{"role": "user", "content": "hi"}]


def counter():
    number = 0

    def new_id():
        nonlocal number
        number += 1
        return f"call_{number}"

    return new_id


@pytest.fixture
def chat():
    """`chat(temperature=1)`: a call with a model and a message, unless they are given."""

    def make(**fields):
        fields = {"model": "m", "messages": HI} | fields
        body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
        request = Request(body=body)
        return Call(CHAT, CHAT.parse(request), request)

    return make


@pytest.fixture
def embedding():
    def make(**fields):
        fields = {"model": "v/m", "input": "a"} | fields
        body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
        request = Request(body=body)
        return Call(EMBEDDINGS, EMBEDDINGS.parse(request), request)

    return make


@pytest.fixture
def picture():
    """`picture(n=2)`: a call for pictures of a prompt; with `files`, to edit or vary those."""

    def make(*, files=(), varies=False, **fields):
        fields = {"model": "v/m", "prompt": "a cat"} | fields
        if files:
            dialect = IMAGE_VARIATIONS if varies else IMAGE_EDITS
            texts = [FormPart(name, str(value).encode()) for name, value in fields.items()]
            request = Request(body=FormBody((*texts, *files)))
        else:
            dialect = IMAGES
            body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
            request = Request(body=body)
        return Call(dialect, dialect.parse(request), request)

    return make


@pytest.fixture
def translator():
    return ToGemini(clock=lambda: 5.5, new_id=counter())


@pytest.fixture
def sent(chat, translator):
    """`sent(model, **fields)`: the body that goes out, and what was left out. google-genai's types have to know all of
    it."""

    def make(model="gemini-2.5-flash", /, **fields):
        body = translator.request(chat(**fields), model)
        said = msgspec.json.decode(msgspec.json.encode(body.fields))
        judged(said)
        return said, body.dropped_params

    return make


@pytest.fixture
def head():
    return Head(200, {"content-type": "application/json"})


@pytest.fixture
def stream_head():
    return Head(200, {"content-type": "text/event-stream"}, True)


def judged(body):
    """Raises ValidationError: Google's own client knows no such field, or no such value."""
    for content in body["contents"]:
        types.Content.model_validate(content)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    if "systemInstruction" in body:
        types.Content.model_validate(body["systemInstruction"])
    for tool in body.get("tools", []):
        types.Tool.model_validate(tool)
    if "toolConfig" in body:
        types.ToolConfig.model_validate(body["toolConfig"])
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
    more = {"safetySettings", "cachedContent", "labels", "serviceTier"}
    types.GenerateContentConfig.model_validate({name: body[name] for name in body.keys() & more})
    assert body.keys() <= known | more

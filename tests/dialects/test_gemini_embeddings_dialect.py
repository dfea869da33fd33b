"""Embeddings of the Gemini API as clients ask for them, and Google's own answers."""

import pytest

from gateway.contract import Ask, Call, Head, Request
from gateway.contract.usage import Usage
from gateway.dialects import GEMINI_EMBEDDINGS
from gateway.errors import BadRequest, BrokeOff, NotFound, UpstreamError
from gateway.middleware.parse import json_body

VECTOR = b'{"values":[0.1,-2e-3]}'
ONE = b'{"embedding":%b,"usageMetadata":{"promptTokenCount":4}}' % VECTOR
TWO = b'{"embeddings":[%b, %b]}' % (VECTOR, VECTOR)


def asked(body, action="embedContent", model="a/m", version="v1beta"):
    places = {"version": version, "model": model}
    return Request(route=f"/{{version}}/models/{{model:path}}:{action}", path_params=places, body=json_body(body))


def read(body, pieces):
    made = asked(b"{}")
    reading = GEMINI_EMBEDDINGS.reading(Call(GEMINI_EMBEDDINGS, GEMINI_EMBEDDINGS.parse(made), made), Head(200, {}))
    return b"".join(map(reading.feed, pieces)) + reading.end(), reading


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("embedContent", b'{"content":{"parts":[{"text":"%b"}]}}' % (b"word " * 80)),
        ("batchEmbedContents", b'{"requests":[{"content":{"parts":[{"text":"%b"}]}}]}' % (b"word " * 75)),
    ],
)
def test_what_is_asked(action, body):
    ask = GEMINI_EMBEDDINGS.parse(asked(body, action))

    assert ask == Ask("a/m", input_tokens=len(body) // 4 - 3, has_output=False)
    assert GEMINI_EMBEDDINGS.model_type == "embedding"


@pytest.mark.parametrize(
    ("places", "error"),
    [({"model": ""}, BadRequest), ({"model": "m" * 513}, BadRequest), ({"version": "v9"}, NotFound)],
)
def test_what_cannot_be_asked(places, error):
    with pytest.raises(error):
        GEMINI_EMBEDDINGS.parse(asked(b"{}", **places))


@pytest.mark.parametrize(("body", "usage"), [(ONE, Usage(input=4)), (TWO, None)])
def test_answers_are_not_changed_wherever_they_are_cut(body, usage):
    for place in range(len(body) + 1):
        out, reading = read(body, [body[:place], body[place:]])
        assert (out, reading.usage(), reading.is_complete()) == (body, usage, True)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":{"code":429,"message":"busy","status":"RESOURCE_EXHAUSTED"}}', UpstreamError),
        (b'{"candidates":[]}', BrokeOff),
        (b"{}", BrokeOff),
        (b"<html>", BrokeOff),
    ],
)
def test_what_is_no_answer(body, error):
    with pytest.raises(error):
        read(body, [body])

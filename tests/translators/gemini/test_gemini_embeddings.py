"""Embeddings of the Gemini API as OpenAI's, and back."""

import json

import msgspec
import pytest

from gateway.contract import Call, Head, Request
from gateway.contract.usage import Usage
from gateway.dialects import GEMINI_EMBEDDINGS
from gateway.errors import BadRequest, BrokeOff
from gateway.middleware.parse import json_body
from gateway.translators.gemini.embeddings import ToEmbeddings

TEXT = {"parts": [{"text": "hi"}]}


def call(body, action="embedContent"):
    route = f"/{{version}}/models/{{model:path}}:{action}"
    places = {"version": "v1beta", "model": "a/m"}
    request = Request(route=route, path_params=places, body=json_body(json.dumps(body).encode()))
    return Call(GEMINI_EMBEDDINGS, GEMINI_EMBEDDINGS.parse(request), request)


def sent(made, **how):
    body = ToEmbeddings(**how).request(made, "real")
    return {name: msgspec.json.decode(raw) for name, raw in body.fields.items()}, body.dropped_params


def answered(body, action="embedContent"):
    reading = ToEmbeddings().reading(call({"content": TEXT}, action), Head(200, {}))
    out = b"".join(reading.feed(bytes([byte])) for byte in body)
    return json.loads(out + reading.end()), reading.usage()


def test_one_content():
    assert sent(call({"content": TEXT})) == ({"model": "real", "input": "hi"}, ())


def test_the_texts_of_a_content_are_one():
    body = {"content": {"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]}, "model": "models/a/m"}

    assert sent(call(body))[0]["input"] == "hi\nthere"


def test_a_batch():
    """Under both spellings of its names."""
    body = {
        "requests": [
            {"model": "models/a/m", "content": TEXT, "outputDimensionality": 8},
            {"model": "models/a/m", "content": {"parts": [{"text": "ho"}]}, "output_dimensionality": 8},
        ]
    }

    assert sent(call(body, "batchEmbedContents")) == ({"model": "real", "input": ["hi", "ho"], "dimensions": 8}, ())


@pytest.mark.parametrize(
    "about",
    [
        {"taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 8},
        {"embedContentConfig": {"taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 8}},
        {"embed_content_config": {"task_type": "RETRIEVAL_QUERY", "title": "t", "output_dimensionality": 8}},
    ],
)
def test_what_it_is_for_goes_to_those_who_know_it(about):
    """Others refuse fields that they do not know."""
    made = call({"content": TEXT, **about})
    usual = {"model": "real", "input": "hi", "dimensions": 8}

    assert sent(made) == (usual, ("taskType", "title"))
    assert sent(made, keeps_task=True) == ({**usual, "task_type": "RETRIEVAL_QUERY", "title": "t"}, ())


def test_what_a_route_sets_counts_for_more():
    made = call({"content": TEXT, "outputDimensionality": 8, "somethingNew": 1})
    made = made.with_fields({**made.fields, "dimensions": msgspec.Raw(b"4")})

    assert sent(made) == ({"model": "real", "input": "hi", "dimensions": 4}, ("somethingNew",))


@pytest.mark.parametrize(
    ("body", "action"),
    [
        ({}, "embedContent"),
        ({"content": {"parts": []}}, "embedContent"),
        ({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}}, "embedContent"),
        ({"content": "hi"}, "embedContent"),
        ({"requests": []}, "batchEmbedContents"),
        ({"requests": [{"content": TEXT}, {"content": TEXT, "outputDimensionality": 8}]}, "batchEmbedContents"),
        ({"requests": {"content": TEXT}}, "batchEmbedContents"),
    ],
)
def test_what_cannot_be_said_is_refused(body, action):
    with pytest.raises(BadRequest):
        sent(call(body, action))


def test_answers_keep_each_digit_and_the_order_of_what_was_asked():
    second, first = b'{"index":1,"embedding":[2]}', b'{"index":0,"embedding":[0.10000000149011612]}'
    body = b'{"data":[%b,%b],"usage":{"prompt_tokens":3,"total_tokens":3}}' % (second, first)

    assert answered(body, "batchEmbedContents") == (
        {
            "embeddings": [{"values": [0.10000000149011612]}, {"values": [2]}],
            "usageMetadata": {"promptTokenCount": 3},
        },
        Usage(input=3),
    )


def test_an_answer_to_one_content():
    assert answered(b'{"data":[{"embedding":[1]}]}') == ({"embedding": {"values": [1]}}, None)


@pytest.mark.parametrize("body", [b"{}", b'{"data":[]}', b'{"data":[{"embedding":"AACAPw=="}]}', b"no"])
def test_what_is_no_answer(body):
    with pytest.raises(BrokeOff):
        answered(body)

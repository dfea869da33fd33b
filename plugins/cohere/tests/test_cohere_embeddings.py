"""Embeddings: what OpenAI's clients ask for, and how they read what comes."""

import msgspec
import pytest
from gateway_cohere.embeddings import ToEmbed
from openai.types import CreateEmbeddingResponse

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff

QUERY = {"input_type": "search_query"}
META = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5}}


def reply(meta=META, **embeddings):
    return {"id": "e1", "response_type": "embeddings_by_type", "embeddings": embeddings, "texts": ["a"], "meta": meta}


@pytest.mark.parametrize(
    ("given", "body", "dropped"),
    [
        ({"input": "a"}, {"texts": ["a"]}, ()),
        ({"input": ["a", "b"]}, {"texts": ["a", "b"]}, ()),
        ({"input": "a", "encoding_format": None, "user": None}, {"texts": ["a"]}, ()),
        ({"input": "a", "encoding_format": "float"}, {"texts": ["a"]}, ()),
        ({"input": "a", "encoding_format": "base64"}, {"texts": ["a"]}, ()),
        ({"input": "a", "encoding_format": "int8"}, {"texts": ["a"], "embedding_types": ["int8"]}, ()),
        ({"input": "a", "dimensions": 256}, {"texts": ["a"], "output_dimension": 256}, ()),
        (
            {"input": "a", "truncate": "NONE", "max_tokens": 9},
            {"texts": ["a"], "truncate": "NONE", "max_tokens": 9},
            (),
        ),
        ({"input": "a", "user": "u", "task_type": "x"}, {"texts": ["a"]}, ("user", "task_type")),
        ({"images": ["data:image/png;base64,AA=="]},) * 2 + ((),),
        ({"inputs": [{"content": [{"type": "text", "text": "a"}]}]},) * 2 + ((),),
    ],
)
def test_a_field_becomes_its_own(embedded, given, body, dropped):
    said, lost = embedded(**QUERY, **given)

    assert said == {"model": "embed-v4.0", "input_type": "search_query", "embedding_types": ["float"], **body}
    assert lost == dropped


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input": "a"}, "needs an input_type: one of search_document, search_query, classification, clustering"),
        ({"input": "a", "input_type": "RETRIEVAL_QUERY"}, "needs an input_type"),
        ({"input": [1, 2], **QUERY}, "and no tokens"),
        ({"input": [[1, 2]], **QUERY}, "and no tokens"),
        (QUERY, 'the field "input" is missing'),
        ({"input": "a", "encoding_format": "hex", **QUERY}, "encoding_format must be one of float, base64"),
    ],
)
def test_what_cannot_be_asked(embedded, given, message):
    with pytest.raises(BadRequest, match=message):
        embedded(**given)


def test_floats(read_vectors):
    said, reading = read_vectors(reply(float=[[0.5, -2.0], [1.0, 0.25]]), input=["a", "b"])

    assert said == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -2.0]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 0.25]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    CreateEmbeddingResponse.model_validate(said, strict=True)
    assert (reading.usage(), reading.is_complete()) == (Usage(input=5), True)


def test_base64(read_vectors):
    """Little-endian floats of four bytes, which OpenAI's clients ask for by default."""
    said, _ = read_vectors(reply(float=[[0.5, -2]]), encoding_format="base64")

    assert said["data"][0]["embedding"] == "AAAAPwAAAMA="


def test_other_kinds(read_vectors):
    said, _ = read_vectors(reply(int8=[[1, -2]]), encoding_format="int8")

    assert said["data"][0]["embedding"] == [1, -2]


@pytest.mark.parametrize(
    ("meta", "usage"),
    [
        (META, Usage(input=5)),
        ({"billed_units": {"image_tokens": 9}}, Usage(image_input=9)),
        ({"billed_units": {"text_tokens": 5, "image_tokens": 9, "input_tokens": 14}}, Usage(input=5, image_input=9)),
        ({"billed_units": {"images": 1}}, Usage()),
    ],
)
def test_usage(read_vectors, meta, usage):
    _, reading = read_vectors(reply(meta, float=[[1.0]]))

    assert reading.usage() == usage


@pytest.mark.parametrize(
    "body", [b"{}", b'{"embeddings":{}}', b'{"embeddings":{"float":null}}', b'{"embeddings":{"float":[[1.', b"no"]
)
def test_what_is_no_embedding(embed, body):
    reading = ToEmbed().reading(embed(), Head(200, {}))
    reading.feed(body)

    with pytest.raises(BrokeOff, match="asked for embeddings"):
        reading.end()


def test_vectors_that_are_none(embed):
    reading = ToEmbed().reading(embed(encoding_format="base64"), Head(200, {}))
    reading.feed(msgspec.json.encode(reply(float=[["a"]])))

    with pytest.raises(BrokeOff, match="asked for embeddings"):
        reading.end()


def test_an_answer_may_come_in_pieces(embed):
    body = msgspec.json.encode(reply(float=[[0.5]]))
    for at in range(1, len(body)):
        reading = ToEmbed().reading(embed(), Head(200, {}))
        assert reading.feed(body[:at]) + reading.feed(body[at:]) == b""
        assert msgspec.json.decode(reading.end())["data"][0]["embedding"] == [0.5]

"""OpenAI's embeddings in Google's three APIs."""

import json
import struct
from base64 import b64decode

import msgspec
import pytest
from gateway_google.embeddings import ToEmbeddings
from google.genai import types
from openai.types import CreateEmbeddingResponse

from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff


@pytest.fixture
def sent(embedding):
    def make(api, model="gemini-embedding-001", **fields):
        body = ToEmbeddings(api).request(embedding(**fields), model)
        return msgspec.json.decode(msgspec.json.encode(body.fields)), body.dropped_params

    return make


@pytest.fixture
def read(embedding, head):
    def make(said, **fields):
        reading = ToEmbeddings("gemini").reading(embedding(**fields), head)
        reading.feed(json.dumps(said).encode())
        answer = json.loads(reading.end())
        if "encoding_format" not in fields:
            CreateEmbeddingResponse.model_validate(answer)
        return answer, reading.usage()

    return make


def text(content):
    return {"parts": [{"text": content}]}


@pytest.mark.parametrize(
    ("api", "fields", "body"),
    [
        ("gemini", {}, {"requests": [{"model": "models/gemini-embedding-001", "content": text("a")}]}),
        (
            "gemini",
            {"input": ["a", "b"], "dimensions": 8, "task_type": "CLUSTERING"},
            {
                "requests": [
                    {
                        "model": "models/gemini-embedding-001",
                        "content": text(each),
                        "taskType": "CLUSTERING",
                        "outputDimensionality": 8,
                    }
                    for each in ("a", "b")
                ]
            },
        ),
        ("vertex", {}, {"content": text("a"), "embedContentConfig": {"autoTruncate": False}}),
        (
            "vertex",
            {"input": ["a", "b"], "input_type": "query", "title": "t"},
            {
                "requests": [
                    {
                        "content": text(each),
                        "embedContentConfig": {"taskType": "RETRIEVAL_QUERY", "title": "t", "autoTruncate": False},
                    }
                    for each in ("a", "b")
                ]
            },
        ),
        (
            "predict",
            {"input": ["a", "b"], "dimensions": 8, "input_type": "search_document"},
            {
                "instances": [{"content": each, "task_type": "RETRIEVAL_DOCUMENT"} for each in ("a", "b")],
                "parameters": {"outputDimensionality": 8, "autoTruncate": False},
            },
        ),
        (
            "predict",
            {"auto_truncate": True},
            {"instances": [{"content": "a"}], "parameters": {"autoTruncate": True}},
        ),
    ],
)
def test_requests(sent, api, fields, body):
    """Nothing is cut off unless the caller wants it: a part of a text would be taken for the whole."""
    assert sent(api, **fields) == (body, ())
    for each in body.get("requests", [body] if "content" in body else []):
        types.Content.model_validate(each["content"])
        types.EmbedContentConfig.model_validate(each.get("embedContentConfig", {}))


def test_what_it_does_not_have_is_told(sent):
    assert sent("gemini", user="u", encoding_format="base64")[1] == ("user",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [["a"]]}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"task_type": "NONE_SUCH"}, "task_type"),
    ],
)
def test_refused(sent, fields, param):
    with pytest.raises(BadRequest) as refused:
        sent("gemini", **fields)

    assert refused.value.param == param


COUNTED = {"values": [0.5, -1.0], "statistics": {"token_count": 3, "truncated": False}}


@pytest.mark.parametrize(
    ("said", "count", "tokens"),
    [
        ({"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.5, -1.0]}]}, 2, 0),
        ({"embeddings": [{"values": [0.5, -1.0]}], "usageMetadata": {"promptTokenCount": 4}}, 1, 4),
        ({"embedding": {"values": [0.5, -1.0]}, "usageMetadata": {"promptTokenCount": 4}}, 1, 4),
        ({"predictions": [{"embeddings": COUNTED}, {"embeddings": COUNTED}]}, 2, 6),
    ],
)
def test_answers(read, said, count, tokens):
    """Where no tokens are told there is no usage, and the gateway estimates it."""
    answer, usage = read(said)

    assert [each["embedding"] for each in answer["data"]] == count * [[0.5, -1.0]]
    assert [each["index"] for each in answer["data"]] == list(range(count))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert usage == (Usage(input=tokens) if tokens else None)


def test_base64_is_what_openais_clients_decode(read):
    answer, _ = read({"embedding": {"values": [0.5, -1.0]}}, encoding_format="base64")

    assert struct.unpack("<2f", b64decode(answer["data"][0]["embedding"])) == (0.5, -1.0)


@pytest.mark.parametrize("said", [{}, {"embeddings": []}, {"embeddings": 7}, []])
def test_what_holds_no_embeddings(read, said):
    with pytest.raises(BrokeOff):
        read(said)

"""Embeddings by InvokeModel: Titan's and Cohere's bodies."""

import msgspec
import pytest
from gateway_aws.embeddings import ToEmbeddings

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff

TITAN = "amazon.titan-embed-text-v2:0"
OLD_TITAN = "amazon.titan-embed-text-v1"
COHERE = "cohere.embed-english-v3"
COHERE_4 = "us.cohere.embed-v4:0"
MULTIMODAL_TITAN = "amazon.titan-embed-image-v1"
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"


@pytest.mark.parametrize(
    ("model", "fields", "body", "dropped"),
    [
        (TITAN, {"input": "a"}, {"inputText": "a"}, ()),
        (TITAN, {"input": ["a"], "dimensions": 256}, {"inputText": "a", "dimensions": 256}, ()),
        (OLD_TITAN, {"input": "a", "dimensions": 256, "user": "u"}, {"inputText": "a"}, ("dimensions", "user")),
        (COHERE, {"input": ["a", "b"], "dimensions": 256},
         {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]}, ("dimensions",)),
        (COHERE_4, {"input": "a", "dimensions": 256, "input_type": "search_query", "truncate": "END"},
         {"texts": ["a"], "input_type": "search_query", "truncate": "END", "embedding_types": ["float"],
          "output_dimension": 256}, ()),
        (MULTIMODAL_TITAN, {"input": "a"}, {"inputText": "a"}, ()),
        (MULTIMODAL_TITAN, {"input": "a", "dimensions": 256},
         {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 256}}, ()),
        (NOVA, {"input": "a"}, {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "NONE", "value": "a"}}}, ()),
        (NOVA, {"input": ["a"], "dimensions": 256, "input_type": "search_query", "truncate": "END", "user": "u"},
         {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
             "embeddingPurpose": "GENERIC_RETRIEVAL", "embeddingDimension": 256,
             "text": {"truncationMode": "END", "value": "a"}}}, ("user",)),
        (NOVA, {"input": "a", "input_type": "TEXT_RETRIEVAL"},
         {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
             "embeddingPurpose": "TEXT_RETRIEVAL", "text": {"truncationMode": "NONE", "value": "a"}}}, ()),
    ],
)  # fmt: skip
def test_requests(embed, referee, model, fields, body, dropped):
    asked = ToEmbeddings().request(embed(**fields), model)

    assert msgspec.json.decode(msgspec.json.encode(asked.fields)) == body
    assert asked.dropped_params == dropped


@pytest.mark.parametrize(
    ("model", "given", "why"),
    [
        (TITAN, ["a", "b"], "one text at a time"),
        (COHERE, [[1, 2]], "takes no tokens"),
        (COHERE, [], "a text or a list"),
        (NOVA, ["a", "b"], "one text at a time"),
        ("amazon.nova-pro-v1:0", "a", "only Titan's, Nova's and Cohere's"),
    ],
)
def test_what_cannot_be_embedded_is_refused(embed, model, given, why):
    with pytest.raises(BadRequest, match=why):
        ToEmbeddings().request(embed(input=given), model)


@pytest.mark.parametrize(
    ("said", "headers", "vectors", "tokens"),
    [
        ({"embedding": [0.5, 1], "inputTextTokenCount": 3}, {}, [[0.5, 1.0]], 3),
        ({"embeddings": {"float": [[0.5], [1]]}, "response_type": "embeddings_by_type"},
         {"x-amzn-bedrock-input-token-count": "4"}, [[0.5], [1.0]], 4),
        ({"embeddings": [[0.5]]}, {"x-amzn-bedrock-input-token-count": "4"}, [[0.5]], 4),
        ({"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, 1]}]}, {"x-amzn-bedrock-input-token-count": "4"},
         [[0.5, 1.0]], 4),
    ],
)  # fmt: skip
def test_replies(embed, said, headers, vectors, tokens):
    reading = ToEmbeddings().reading(embed(input="a"), Head(200, headers))
    reading.feed(msgspec.json.encode(said))

    assert msgspec.json.decode(reading.end()) == {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(vectors)],
        "model": "bedrock/e",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    assert reading.usage() == Usage(input=tokens)


def test_base64_is_what_openais_client_asks_for(embed):
    reading = ToEmbeddings().reading(embed(input="a", encoding_format="base64"), Head(200, {}))
    reading.feed(b'{"embedding":[0.5,-1],"inputTextTokenCount":1}')

    assert msgspec.json.decode(reading.end())["data"][0]["embedding"] == "AAAAPwAAgL8="


@pytest.mark.parametrize("body", [b"{}", b"x", b'{"embeddings":{"int8":[[1]]}}', b'{"embedding":"x"}'])
def test_what_holds_no_embeddings_is_an_error(embed, body):
    reading = ToEmbeddings().reading(embed(input="a"), Head(200, {}))
    reading.feed(body)

    with pytest.raises(BrokeOff, match="no embeddings"):
        reading.end()

"""Reranking by InvokeModel."""

import json

import msgspec
import pytest
from gateway_aws.reranking import ToRerank

from gateway.contract import Head
from gateway.errors import BadRequest, BrokeOff

COHERE, AMAZON = "cohere.rerank-v3-5:0", "arn:aws:bedrock:us-west-2::foundation-model/amazon.rerank-v1:0"


@pytest.mark.parametrize(
    ("model", "fields", "body", "dropped"),
    [
        (COHERE, {}, {"query": "q", "documents": ["a", "b"], "api_version": 2}, ()),
        (AMAZON, {"top_n": 1, "documents": [{"text": "a"}]}, {"query": "q", "documents": ["a"], "top_n": 1}, ()),
        (AMAZON, {"top_n": 9}, {"query": "q", "documents": ["a", "b"], "top_n": 2}, ()),
        (
            COHERE,
            {"max_tokens_per_doc": 9, "return_documents": True},
            {"query": "q", "documents": ["a", "b"], "api_version": 2},
            ("max_tokens_per_doc",),
        ),
    ],
)
def test_requests(rerank, model, fields, body, dropped):
    asked = ToRerank().request(rerank(**fields), model)

    assert (json.loads(msgspec.json.encode(asked.fields)), asked.dropped_params) == (body, dropped)


def test_other_models_are_refused(rerank):
    with pytest.raises(BadRequest, match="only Cohere's and Amazon's"):
        ToRerank().request(rerank(), "amazon.nova-pro-v1:0")


def test_replies(rerank):
    """They tell of no use: it is estimated, in searches or tokens, as the model has a price."""
    reading = ToRerank().reading(rerank(return_documents=True), Head(200, {}))
    reading.feed(b'{"results":[{"index":0,"relevance_score":0.1},{"index":1,"relevance_score":0.9}]}')
    answer = json.loads(reading.end())

    assert answer["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.1, "document": {"text": "a"}},
    ]
    assert reading.usage() is None


def test_what_holds_no_ranks(rerank):
    reading = ToRerank().reading(rerank(), Head(200, {}))
    reading.feed(b"{}")

    with pytest.raises(BrokeOff, match="no ranks"):
        reading.end()

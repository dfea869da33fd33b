"""Reranking, as Cohere and Jina have it."""

import json

import pytest

from gateway.contract.usage import Usage
from gateway.dialects import RERANK

RESULTS = [{"index": 1, "relevance_score": 0.9}]


def test_documents_are_reserved_in_tokens_or_searches(asked):
    """A hundred documents are one search."""
    ask = asked(RERANK, model="a/m", query="q", documents=101 * ["four"])

    assert ask.expected == (Usage(input=178), Usage(searches=2))
    assert (ask.model, ask.has_output) == ("a/m", False)
    assert asked(RERANK, model="a/m", query="q").expected[1] == Usage(searches=1)


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}}, Usage(searches=2)),
        ({"meta": {"billed_units": {"search_units": 1.0, "input_tokens": 30}}}, Usage(input=30, searches=1)),
        ({"meta": {"billed_units": None}}, None),
        ({"meta": {"billed_units": {"search_units": -1}}}, None),
        ({"meta": "?"}, None),
        ({"usage": {"total_tokens": 815}}, Usage(input=815)),
        ({"usage": {"prompt_tokens": 20, "total_tokens": 20}}, Usage(input=20)),
        ({}, None),
    ],
)
def test_what_was_used(used, more, usage):
    """Cohere's words, Jina's, Together's, and none."""
    assert used(RERANK, json.dumps({"results": RESULTS, **more}).encode(), documents=["a"]) == usage


def test_a_document_does_not_say_what_was_used(used):
    document = {"meta": {"billed_units": {"search_units": 0}}, "text": '"search_units": 7'}
    answer = {"results": [{**RESULTS[0], "document": document}], "meta": {"billed_units": {"search_units": 1}}}

    assert used(RERANK, json.dumps(answer).encode(), documents=["a"]) == Usage(searches=1)

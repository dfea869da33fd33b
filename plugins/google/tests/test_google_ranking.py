"""Reranking by the ranking API, whose records have names instead of places."""

import json

import msgspec
import pytest
from gateway_google.provider import Google
from gateway_google.ranking import ToRanking

from gateway import build_app
from gateway.contract import Call, Head, JsonBody, Request
from gateway.dialects import RERANK
from gateway.errors import BrokeOff
from gateway.testing import FakeUpstream, ListSink, post

TOKEN = "gw-test-0123456789abcdef"
AUTH = {"authorization": f"Bearer {TOKEN}"}
MANIFEST = """\
type: provider-account/google-vertex
name: v
project_id: acme
region: europe-west4
integrations:
  - {type: integration/model/vertex, name: rank, model_id: semantic-ranker-default@latest, model_types: [rerank, chat]}
"""


def call_of(**fields):
    fields = {"model": "v/rank", "query": "q", "documents": ["a", {"text": "b"}]} | fields
    body = JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})
    request = Request(body=body)
    return Call(RERANK, RERANK.parse(request), request)


@pytest.mark.parametrize(
    ("fields", "more", "dropped"),
    [({}, {}, ()), ({"top_n": 1, "max_tokens_per_doc": 9}, {"topN": 1}, ("max_tokens_per_doc",))],
)
def test_requests(fields, more, dropped):
    asked = ToRanking().request(call_of(**fields), "semantic-ranker-default@latest")

    assert json.loads(msgspec.json.encode(asked.fields)) == {
        "model": "semantic-ranker-default@latest",
        "query": "q",
        "records": [{"id": "0", "content": "a"}, {"id": "1", "content": "b"}],
        "ignoreRecordDetailsInResponse": True,
        **more,
    }
    assert asked.dropped_params == dropped


def test_replies():
    reading = ToRanking().reading(call_of(return_documents=True), Head(200, {}))
    reading.feed(b'{"records":[{"id":"0"},{"id":"1","score":0.9}]}')

    assert json.loads(reading.end())["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.0, "document": {"text": "a"}},
    ]
    assert reading.usage() is None


@pytest.mark.parametrize("body", [b"{}", b'{"records":[{"id":"x"}]}', b'{"records":[{"id":"2"}]}', b'{"records":[{}]}'])
def test_what_holds_no_ranks(body):
    reading = ToRanking().reading(call_of(), Head(200, {}))
    reading.feed(body)

    with pytest.raises(BrokeOff):
        reading.end()


class NoTokens:
    def __init__(self, url, auth):
        pass

    async def sign(self, request, network):
        return request


async def test_it_is_asked_where_it_ranks_and_does_nothing_else(tmp_path):
    path, sink = tmp_path / "vertex.yaml", ListSink()
    path.write_text(MANIFEST)
    upstream = FakeUpstream((200, [b'{"records":[{"id":"1","score":0.9}]}']))
    google, environ = Google(tokens=NoTokens), {"GATEWAY_ADMIN_TOKEN": TOKEN}
    app = build_app(path, environ=environ, providers=[google], network=upstream, sinks=[sink])
    chat = {"model": "v/rank", "messages": [{"role": "user", "content": "hi"}]}

    ranked = await post(app, "/v2/rerank", {"model": "v/rank", "query": "q", "documents": ["a", "b"]}, headers=AUTH)
    refused = await post(app, "/v1/chat/completions", chat, headers=AUTH)
    await app.close()

    assert ranked.json()["results"] == [{"index": 1, "relevance_score": 0.9}]
    assert [sent.endpoint.url for sent in upstream.requests] == [
        "https://discoveryengine.googleapis.com/v1/projects/acme/locations/global/rankingConfigs/"
        "default_ranking_config:rank"
    ]
    assert (refused.status, refused.json()["error"]["param"]) == (400, "model")
    assert sink.records[0].usage.estimated

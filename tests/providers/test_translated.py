"""Callers of an API that a provider does not have, in front of one that has another."""

import json

import pytest

from gateway import build_app
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, post

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/self-hosted-model
name: own
integrations:
  - type: integration/model/self-hosted-model
    name: vectors
    hosted_model_name: bge
    url: http://127.0.0.1:9/v1
    model_server: vllm-openai
    model_types: [embedding]
  - type: integration/model/self-hosted-model
    name: others
    hosted_model_name: e5
    url: http://127.0.0.1:9/v1
    model_server: vllm-openai
    model_types: [embedding]
  - type: integration/model/self-hosted-model
    name: chat
    hosted_model_name: qwen
    url: http://127.0.0.1:9/v1
    model_server: vllm-openai
    model_types: [chat]
---
type: provider-account/virtual-model
name: virtual
collaborators: [{subject: "team:everyone", role_id: provider-account-access}]
integrations:
  - type: integration/model/virtual
    name: any
    model_types: [embedding]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - {target: own/vectors, priority: 0, override_params: {dimensions: 4}}
        - {target: own/others, priority: 1}
"""
AUTH = {"x-goog-api-key": TOKEN}
BODY = {"content": {"parts": [{"text": "hi"}]}, "taskType": "RETRIEVAL_QUERY"}
VECTORS = b'{"object":"list","data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":3,"total_tokens":3}}'


@pytest.fixture
async def gateway_for(tmp_path):
    apps = []

    def make(*replies):
        (tmp_path / "gateway.yaml").write_text(MANIFEST)
        upstream, sink = FakeUpstream(*replies), ListSink()
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        apps.append(build_app(tmp_path / "gateway.yaml", environ=environ, network=upstream, sinks=[sink]))
        return apps[-1], upstream, sink

    yield make
    for app in apps:
        await app.close()


async def test_it_is_asked_in_its_own_words_and_answers_in_the_callers(gateway_for):
    app, upstream, sink = gateway_for((200, [VECTORS]))

    answer = await post(app, "/v1beta/models/own/vectors:embedContent", BODY, headers=AUTH)

    assert (answer.status, answer.json()) == (
        200,
        {"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 3}},
    )
    [asked] = upstream.requests
    assert (asked.endpoint.url, json.loads(asked.body)) == (
        "http://127.0.0.1:9/v1/embeddings",
        {"model": "bge", "input": "hi"},
    )
    assert answer.headers["x-gateway-dropped-params"] == "taskType"
    await app.close()
    [record] = sink.records
    assert (record.request_type, record.usage) == ("gemini_embeddings", Usage(input=3))


async def test_a_refusal_is_in_the_callers_words(gateway_for):
    """OpenAI's body would be none that Google's clients can read."""
    app, _, _ = gateway_for((400, [b'{"error":{"message":"too long","type":"x","param":null,"code":null}}']))

    answer = await post(app, "/v1beta/models/own/vectors:embedContent", BODY, headers=AUTH)

    error = answer.json()["error"]
    assert (answer.status, error["code"], error["message"], error["status"]) == (
        400,
        400,
        "too long",
        "INVALID_ARGUMENT",
    )


async def test_the_next_target_of_a_route_is_asked(gateway_for):
    """Each with its own parameters."""
    app, upstream, _ = gateway_for((503, [b"{}"]), (503, [b"{}"]), (200, [VECTORS]))

    answer = await post(app, "/v1beta/models/virtual/any:embedContent", BODY, headers=AUTH)

    assert answer.status == 200
    assert [json.loads(asked.body) for asked in upstream.requests] == [
        {"model": "bge", "input": "hi", "dimensions": 4},
        {"model": "bge", "input": "hi", "dimensions": 4},
        {"model": "e5", "input": "hi"},
    ]


async def test_models_that_only_chat_are_no_use_here(gateway_for):
    app, upstream, _ = gateway_for()

    answer = await post(app, "/v1beta/models/own/chat:embedContent", BODY, headers=AUTH)

    assert (answer.status, upstream.requests) == (400, [])
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"

"""Callers of the Gemini API who want embeddings, in front of Google: all that they send but the name of the model, and
the very answer; Vertex AI has the same in other words."""

import msgspec
import pytest
from gateway_google.provider import Google

from gateway import build_app
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, request

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/google-gemini
name: google
auth_data: {type: api-key, apiKey: AIza-canary-0123456789}
integrations:
  - {type: integration/model/gemini, name: vectors, model_id: gemini-embedding-001, model_types: [embedding]}
  - {type: integration/model/gemini, name: "*", model_id: "*", model_types: [embedding]}
---
type: provider-account/google-vertex
name: vertex
project_id: p
region: europe-west4
integrations:
  - {type: integration/model/vertex, name: vectors, model_id: text-embedding-005, model_types: [embedding]}
"""
AT = "https://generativelanguage.googleapis.com/v1beta/models"
CONTENT = b'{"parts":[{"text":"h\\u00ef"}]}'
VECTOR = b'{"values": [0.10, -2e-3]}'


class NoTokens:
    def __init__(self, *_):
        pass

    async def sign(self, request, network):
        return request


@pytest.fixture
async def asked(tmp_path):
    """`await asked("google/vectors:embedContent", body, *replies)`: the answer, what was sent, and the record."""

    async def ask(path, body, *replies):
        (tmp_path / "google.yaml").write_text(MANIFEST)
        upstream, sink = FakeUpstream(*replies), ListSink()
        app = build_app(
            tmp_path / "google.yaml",
            environ={"GATEWAY_ADMIN_TOKEN": TOKEN},
            providers=[Google(tokens=NoTokens)],
            sinks=[sink],
            network=upstream,
        )
        answer = await request(app, "POST", f"/v1beta/models/{path}", body, headers={"x-goog-api-key": TOKEN})
        await app.close()
        return answer, upstream.requests[0], sink.records[0]

    return ask


@pytest.mark.parametrize("model", ["vectors", "gemini-embedding-001"])
async def test_several_contents(asked, model):
    body = b'{"requests":[{"content":%b,"model":"models/google/x","taskType":"CLUSTERING"},{"content":%b}]}'
    reply = b'{\n"embeddings": [%b, %b],\n"usageMetadata": {"promptTokenCount": 4}}' % (VECTOR, VECTOR)

    answer, sent, record = await asked(
        f"google/{model}:batchEmbedContents", body % (CONTENT, CONTENT), (200, [reply[:30], reply[30:]])
    )

    named = b'"model":"models/gemini-embedding-001"'
    assert (sent.endpoint.url, sent.body) == (
        f"{AT}/gemini-embedding-001:batchEmbedContents",
        b'{"requests":[{"content":%b,%b,"taskType":"CLUSTERING"},{"content":%b,%b}]}'
        % (CONTENT, named, CONTENT, named),
    )
    assert (answer.status, answer.body, record.usage) == (200, reply, Usage(input=4))


async def test_one_content(asked):
    reply = b'{"embedding": %b}' % VECTOR

    answer, sent, record = await asked(
        "google/vectors:embedContent", b'{"content":%b,"outputDimensionality":8}' % CONTENT, (200, [reply])
    )

    assert (sent.endpoint.url, sent.body) == (
        f"{AT}/gemini-embedding-001:embedContent",
        b'{"content":%b,"outputDimensionality":8,"model":"models/gemini-embedding-001"}' % CONTENT,
    )
    assert (answer.body, record.usage.estimated) == (reply, True)


async def test_a_refusal_stays_googles(asked):
    error = b'{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}'

    answer, _, _ = await asked("google/vectors:embedContent", b'{"content":%b}' % CONTENT, (429, [error]))

    assert (answer.status, answer.body) == (429, error)


async def test_vertex_is_asked_in_its_own_words(asked):
    """And told what they are for, which others are not."""
    reply = b'{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":2}}}]}'

    answer, sent, record = await asked(
        "vertex/vectors:embedContent", b'{"content":%b,"taskType":"RETRIEVAL_QUERY"}' % CONTENT, (200, [reply])
    )

    assert sent.endpoint.url.endswith("/publishers/google/models/text-embedding-005:predict")
    assert msgspec.json.decode(sent.body)["instances"] == [{"content": "hï", "task_type": "RETRIEVAL_QUERY"}]
    assert answer.json() == {"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 2}}
    assert record.usage == Usage(input=2)

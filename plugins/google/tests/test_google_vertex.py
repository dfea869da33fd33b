"""A model on Vertex AI through the whole gateway: its token is fetched, used, and renewed when it is refused."""

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gateway_google.provider import Google

from gateway import build_app
from gateway.testing import FakeUpstream, ListSink, post

ADMIN = "gw-test-0123456789abcdef"
AUTH = {"authorization": f"Bearer {ADMIN}"}
ASK = {"model": "vertex/pro", "messages": [{"role": "user", "content": "hi"}]}
MANIFEST = """\
type: provider-account/google-vertex
name: vertex
project_id: acme-ai
region: global
auth_data:
  type: key-file
  key_file_content:
    type: service_account
    client_email: gateway@acme-ai.iam.gserviceaccount.com
    token_uri: https://oauth2.googleapis.com/token
    private_key: "${KEY}"
    quota_project_id: payer
integrations:
  - type: integration/model/vertex
    name: pro
    model_id: gemini-2.5-pro
    model_types: [chat]
    cost: {metric: public_cost}
"""
REPLY = {
    "candidates": [{"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 100, "trafficType": "ON_DEMAND"},
}
ANSWER = (200, [msgspec.json.encode(REPLY)])
EXPIRED = (401, [b'{"error":{"code":401,"message":"canary-token","status":"UNAUTHENTICATED"}}'])


def token(value):
    return 200, [b'{"access_token":"%b","expires_in":3599,"token_type":"Bearer"}' % value]


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def app_for(tmp_path, sink):
    key = rsa.generate_private_key(65537, 2048)
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(kind, form, serialization.NoEncryption()).decode()
    path = tmp_path / "vertex.yaml"
    path.write_text(MANIFEST)
    apps = []

    def make(upstream):
        environ = {"GATEWAY_ADMIN_TOKEN": ADMIN, "KEY": pem}
        apps.append(build_app(path, environ=environ, providers=[Google()], sinks=[sink], network=upstream))
        return apps[-1]

    yield make
    for app in apps:
        await app.close()


async def test_an_answer_with_a_token(app_for, sink):
    upstream = FakeUpstream(token(b"t-1"), ANSWER, ANSWER)
    app = app_for(upstream)

    answers = [await post(app, "/v1/chat/completions", ASK, headers=AUTH) for _ in range(2)]
    await app.close()

    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["hello", "hello"]
    at = "https://aiplatform.googleapis.com/v1beta1/projects/acme-ai/locations/global/publishers/google/models/"
    assert [request.endpoint.url for request in upstream.requests] == [
        "https://oauth2.googleapis.com/token",
        f"{at}gemini-2.5-pro:generateContent",
        f"{at}gemini-2.5-pro:generateContent",
    ]
    head = upstream.requests[1].endpoint.head
    assert b"\r\nx-goog-user-project: payer\r\n" in head
    assert head.endswith(b"\r\nauthorization: Bearer t-1\r\n")
    # A million tokens of gemini-2.5-pro: $1.25 in, $10 out.
    assert [record.cost_nanousd for record in sink.records] == 2 * [1000 * 1250 + 100 * 10_000]


async def test_a_token_that_is_refused_is_renewed_once(app_for):
    upstream = FakeUpstream(token(b"t-1"), EXPIRED, token(b"t-2"), ANSWER)

    answer = await post(app_for(upstream), "/v1/chat/completions", ASK, headers=AUTH)

    assert answer.status == 200
    assert upstream.requests[3].endpoint.head.endswith(b"\r\nauthorization: Bearer t-2\r\n")


async def test_without_a_token_the_caller_is_told_who_can_help(app_for):
    refused = (400, [b'{"error":"invalid_grant","error_description":"canary"}'])

    answer = await post(app_for(FakeUpstream(refused)), "/v1/chat/completions", ASK, headers=AUTH)

    assert (answer.status, answer.json()["error"]["code"]) == (401, "upstream_authentication_error")
    assert b"canary" not in answer.body


class NoTokens:
    def __init__(self, url, auth):
        pass

    async def sign(self, request, network):
        return request


async def test_claude_is_asked_for_the_features_that_the_caller_names(tmp_path):
    """Also for those that the account says Vertex AI has come to know."""
    path = tmp_path / "vertex.yaml"
    path.write_text(
        "type: provider-account/google-vertex\nname: v\nproject_id: acme\nregion: global\n"
        "anthropic_betas: [new-*]\nintegrations:\n"
        "  - {type: integration/model/vertex, name: opus, model_id: anthropic/claude-opus-4-5, model_types: [chat]}\n"
    )
    message = {"type": "message", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
    upstream = FakeUpstream((200, [msgspec.json.encode(message)]))
    google, environ = Google(tokens=NoTokens), {"GATEWAY_ADMIN_TOKEN": ADMIN}
    app = build_app(path, environ=environ, providers=[google], network=upstream, sinks=[])
    ask = {"model": "v/opus", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    betas = {"anthropic-beta": "context-1m-2025-08-07, new-1, other-1", "anthropic-version": "2023-06-01"}

    answer = await post(app, "/v1/messages", ask, headers={**AUTH, **betas})
    await app.close()

    assert (answer.status, answer.headers["x-gateway-dropped-params"]) == (200, "anthropic-beta")
    sent = msgspec.json.decode(upstream.requests[0].body)
    assert (sent["anthropic_beta"], sent["anthropic_version"]) == (
        ["new-1", "context-1m-2025-08-07"],
        "vertex-2023-10-16",
    )

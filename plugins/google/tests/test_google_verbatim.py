"""Callers of the Gemini API in front of Google: what they send and what they get is the same, to the byte, as without a
gateway; and one bill for each."""

import httpx2
import msgspec
import pytest
from gateway_google.provider import Google
from google import genai
from google.genai import errors, types

from gateway import build_app
from gateway.contract import Outcome
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, request
from gateway.translators.gemini.sealed import Kept, sealed

TOKEN = "gw-test-0123456789abcdef"
KEY = "AIza-canary-0123456789"
HOST = "https://generativelanguage.googleapis.com"
BODY = b'{ "contents":[{"parts":[{"text":"h\\u00ef"}]}], "generationConfig":{"temperature":0.50} }'
DOCUMENT = b"""{
  "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}],
  "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 17}
}
"""
FIRST = b'data: {"candidates": [{"content": {"parts": [{"text": "hel"}],"role": "model"},"index": 0}]}\r\n\r\n'
LAST = (
    b'data: {"candidates": [{"content": {"parts": [{"text": "lo"}]},"finishReason": "STOP"}],'
    b'"usageMetadata": {"promptTokenCount": 10,"candidatesTokenCount": 5,"totalTokenCount": 15}}\r\n\r\n'
)
ERROR = b'{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}'
MANIFEST = f"""\
type: provider-account/google-gemini
name: google
auth_data: {{type: api-key, apiKey: {KEY}}}
integrations:
  - type: integration/model/gemini
    name: flash
    model_id: gemini-2.5-flash
    model_types: [chat]
    cost: {{metric: per_1000_tokens, value: {{input: 0.001, output: 0.01}}}}
---
type: provider-account/virtual-model
name: routes
collaborators: [{{subject: "team:everyone", role_id: provider-account-access}}]
integrations:
  - type: integration/model/virtual
    name: cool
    model_types: [chat]
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - {{target: google/flash, override_params: {{temperature: 0.1, max_tokens: 7, user: u}}}}
"""


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def app_of(sink, tmp_path):
    apps = []

    def make(upstream):
        path = tmp_path / "google.yaml"
        path.write_text(MANIFEST)
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        apps.append(build_app(path, environ=environ, providers=[Google()], sinks=[sink], network=upstream))
        return apps[-1]

    yield make
    for app in apps:
        await app.close()


async def ask(app, action, body=BODY, model="google/flash"):
    return await request(app, "POST", f"/v1beta/models/{model}:{action}", body, headers={"x-goog-api-key": TOKEN})


@pytest.mark.parametrize(
    ("action", "sent_to", "reply"),
    [
        ("generateContent", "generateContent", [DOCUMENT[:30], DOCUMENT[30:]]),
        ("streamGenerateContent?alt=sse&key=x", "streamGenerateContent?alt=sse", [FIRST, LAST]),
        ("streamGenerateContent", "streamGenerateContent", [b"[", DOCUMENT, b"]"]),
    ],
)
async def test_each_byte_stays(app_of, sink, action, sent_to, reply):
    upstream = FakeUpstream((200, reply))
    app = app_of(upstream)

    answer = await ask(app, action)
    await app.close()

    [sent] = upstream.requests
    assert (sent.endpoint.url, sent.body) == (f"{HOST}/v1beta/models/gemini-2.5-flash:{sent_to}", BODY)
    assert (KEY.encode() in sent.endpoint.head, TOKEN.encode() in sent.endpoint.head) == (True, False)
    assert (answer.status, answer.body) == (200, b"".join(reply))
    [record] = sink.records
    thoughts = 0 if "sse" in action else 2
    assert (record.outcome, record.resolved_model) == (Outcome.COMPLETE, "google/flash")
    assert record.usage == Usage(input=10, output=5, reasoning=thoughts)
    assert record.cost_nanousd == 10 * 1000 + (5 + thoughts) * 10000


async def test_tokens_are_counted_by_google(app_of, sink):
    """For nothing. The model that is named inside is Google's own."""
    upstream = FakeUpstream((200, [b'{"totalTokens": 3}']))
    app = app_of(upstream)
    inner = {"model": "models/google/flash", "contents": [{"parts": [{"text": "hi"}]}]}

    answer = await ask(app, "countTokens", msgspec.json.encode({"generateContentRequest": inner}))
    await app.close()

    assert answer.json() == {"totalTokens": 3}
    assert upstream.requests[0].endpoint.url.endswith("/gemini-2.5-flash:countTokens")
    assert upstream.asked()["generateContentRequest"]["model"] == "models/gemini-2.5-flash"
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (Usage(), 0)


async def test_what_a_route_sets_is_said_in_googles_words(app_of):
    upstream = FakeUpstream((200, [DOCUMENT]))

    answer = await ask(app_of(upstream), "generateContent", model="routes/cool")

    assert answer.headers["x-gateway-dropped-params"] == "user"
    assert upstream.asked() == {
        "contents": [{"parts": [{"text": "hï"}]}],
        "generationConfig": {"temperature": 0.1, "maxOutputTokens": 7},
    }


async def test_thoughts_of_other_vendors_are_kept_from_google(app_of):
    """A conversation may go from one model to another."""
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": sealed(Kept(reasoning="hm"))}
    upstream = FakeUpstream((200, [DOCUMENT]))

    await ask(app_of(upstream), "generateContent", {"contents": [{"role": "model", "parts": [call]}]})

    [part] = upstream.asked()["contents"][0]["parts"]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"


@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent?alt=sse"])
async def test_errors_are_googles_own(app_of, action):
    answer = await ask(app_of(FakeUpstream((429, [ERROR]))), action)

    assert (answer.status, answer.body) == (429, ERROR)


@pytest.fixture
async def sdk(app_of):
    """`sdk(upstream)`: Google's own, asynchronous, at the gateway."""
    clients = []

    def make(upstream):
        clients.append(httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app_of(upstream))))
        there = types.HttpOptions(base_url="http://gateway.test/gemini", httpx_async_client=clients[-1])
        return genai.Client(api_key=TOKEN, http_options=there).aio.models

    yield make
    for client in clients:
        await client.aclose()


async def test_a_stream_by_googles_sdk(sdk):
    stream = await sdk(FakeUpstream((200, [FIRST, LAST]))).generate_content_stream(model="google/flash", contents="hi")

    assert [chunk.text async for chunk in stream] == ["hel", "lo"]


@pytest.mark.parametrize("chunks", [[FIRST], [FIRST, b"data: %b\r\n\r\n" % ERROR]])
async def test_a_stream_that_breaks(sdk, sink, chunks):
    """It ends without a reason, or with an error of Google's, which is passed on as it came."""
    came = []

    async def read():
        models = sdk(FakeUpstream((200, chunks)))
        async for chunk in await models.generate_content_stream(model="google/flash", contents="hi"):
            came.extend([chunk.text])

    with pytest.raises(errors.APIError) as broken:
        await read()

    assert (came, broken.value.code) == (["hel"], 502 if len(chunks) == 1 else 429)

"""Google's own SDK, through the gateway, at a provider on loopback: typed answers, and one bill for each."""

from contextlib import asynccontextmanager

import httpx2
import msgspec
import pytest
from aiohttp import web
from gateway_google.native import NativeReading
from gateway_google.provider import Google
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from gateway import build_app
from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, request

TOKEN = "gw-test-0123456789abcdef"
KEY = "AIza-canary-0123456789"
USED = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 17}
SAID = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": USED,
    "modelVersion": "gemini-2.5-flash",
}
FIRST = {**SAID, "usageMetadata": {"promptTokenCount": 10, "totalTokenCount": 10}}
STREAM = b"data: %b\r\n\r\ndata: %b\r\n\r\n" % (msgspec.json.encode(FIRST), msgspec.json.encode(SAID))
MANIFEST = """\
type: provider-account/google-gemini
name: google
auth_data: {{type: api-key, apiKey: {key}}}
base_url: {url}/v1beta
integrations:
  - type: integration/model/gemini
    name: flash
    model_id: gemini-2.5-flash
    model_types: [chat, embedding]
    cost: {{metric: per_1000_tokens, value: {{input: 0.001, output: 0.01}}}}
"""


class Provider:
    """Gives its replies in order, and keeps what it was asked."""

    def __init__(self):
        self.replies = []
        self.asked = []

    async def answer(self, request):
        self.asked.append((request.raw_path, request.headers.copy(), await request.json()))
        status, kind, body = self.replies.pop(0)
        return web.Response(status=status, body=body, headers={"content-type": kind})

    def says(self, value, status=200):
        self.replies.append((status, "application/json; charset=UTF-8", msgspec.json.encode(value)))


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def provider():
    provider = Provider()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield provider
    await runner.cleanup()


@pytest.fixture
def sdk(provider, sink, tmp_path):
    """`async with sdk() as models`; the log is whole after it."""

    @asynccontextmanager
    async def make(**options):
        path = tmp_path / "google.yaml"
        path.write_text(MANIFEST.format(url=provider.url, key=KEY))
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Google()], sinks=[sink])
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
            there = types.HttpOptions(
                base_url="http://gateway.test/gemini/google/proxy", httpx_async_client=http, **options
            )
            yield genai.Client(api_key=TOKEN, http_options=there).aio.models
        await app.close()

    return make


async def test_an_answer(sdk, provider, sink):
    provider.says(SAID)

    async with sdk() as models:
        answer = await models.generate_content(
            model="flash", contents="hi", config=types.GenerateContentConfig(max_output_tokens=9)
        )

    assert (answer.text, answer.usage_metadata.thoughts_token_count) == ("hello", 2)
    [(path, headers, body)] = provider.asked
    assert path == "/v1/models/gemini-2.5-flash:generateContent"
    assert body["generationConfig"] == {"maxOutputTokens": 9}
    assert (headers["x-goog-api-key"], TOKEN in str(headers)) == (KEY, False)
    [record] = sink.records
    assert (record.resolved_model, record.usage) == ("google/flash", Usage(input=10, output=5, reasoning=2))
    assert record.cost_nanousd == 10 * 1000 + 7 * 10000


async def test_a_stream(sdk, provider, sink):
    provider.replies.append((200, "text/event-stream", STREAM))

    async with sdk() as models:
        stream = await models.generate_content_stream(model="flash", contents="hi")
        texts = [chunk.text async for chunk in stream]

    assert texts == ["hello", "hello"]
    assert provider.asked[0][0] == "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert sink.records[0].usage == Usage(input=10, output=5, reasoning=2)


async def test_the_caller_chooses_the_version(sdk, provider):
    provider.says(SAID)

    async with sdk(api_version="v1alpha") as models:
        await models.generate_content(model="flash", contents="hi")

    assert provider.asked[0][0] == "/v1alpha/models/gemini-2.5-flash:generateContent"


async def test_tokens_are_counted_for_nothing_and_texts_embedded(sdk, provider, sink):
    provider.says({"totalTokens": 3})
    provider.says({"embeddings": [{"values": [0.5]}]})

    async with sdk() as models:
        counted = await models.count_tokens(model="flash", contents="hi")
        embedded = await models.embed_content(model="flash", contents="hi")

    assert (counted.total_tokens, embedded.embeddings[0].values) == (3, [0.5])
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (Usage(), 0)
    assert sink.records[1].usage.estimated  # nobody says how many they were


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (503, "UNAVAILABLE", errors.ServerError),
    ],
)
async def test_the_vendors_errors_come_in_its_own_words(sdk, provider, status, name, kind):
    provider.says({"error": {"code": status, "message": "why", "status": name, "details": []}}, status)

    async with sdk() as models:
        with pytest.raises(kind) as raised:
            await models.generate_content(model="flash", contents="hi")

    assert (raised.value.code, raised.value.status, raised.value.message) == (status, name, "why")


async def test_the_gateways_errors_come_in_the_vendors_words(sdk, provider):
    async with sdk() as models:
        with pytest.raises(errors.ClientError) as unknown:
            await models.generate_content(model="pro", contents="hi")
        with pytest.raises(errors.ServerError) as other:
            await models.list()

    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    assert (other.value.code, other.value.status) == (501, "UNIMPLEMENTED")
    assert provider.asked == []


async def test_a_bad_key_of_the_account_is_not_told_as_the_callers(sdk, provider):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    bad = {"code": 400, "message": f"API key not valid: {KEY}", "status": "INVALID_ARGUMENT", "details": details}
    provider.says({"error": bad}, 400)

    async with sdk() as models:
        with pytest.raises(errors.ClientError) as raised:
            await models.generate_content(model="flash", contents="hi")

    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_counts_what_passes_however_it_is_cut(size):
    reading = NativeReading(Head(200, {}, is_stream=True), is_free=False)

    out = b"".join(reading.feed(STREAM[at : at + size]) for at in range(0, len(STREAM), size)) + reading.end()

    assert (out, reading.usage()) == (STREAM, Usage(input=10, output=5, reasoning=2))


def test_a_stream_may_be_one_list():
    """As the REST API sends it without `alt=sse`."""
    body = msgspec.json.encode([FIRST, SAID])
    reading = NativeReading(Head(200, {}), is_free=False)

    assert reading.feed(body) + reading.end() == body
    assert reading.usage() == Usage(input=10, output=5, reasoning=2)


async def test_on_vertex_ai_project_and_region_are_the_accounts(tmp_path):
    """Whatever the caller writes there."""

    class NoTokens:
        def __init__(self, url, auth):
            pass

        async def sign(self, request, network):
            return request

    path = tmp_path / "vertex.yaml"
    path.write_text(
        "type: provider-account/google-vertex\nname: v\nproject_id: acme\nregion: europe-west4\nintegrations:\n"
        "  - {type: integration/model/vertex, name: flash, model_id: gemini-2.5-flash, model_types: [chat]}\n"
        '  - {type: integration/model/vertex, name: opus, model_id: "anthropic/claude-opus", model_types: [chat]}\n'
    )
    upstream = FakeUpstream((200, [msgspec.json.encode(SAID)]))
    environ, google = {"GATEWAY_ADMIN_TOKEN": TOKEN}, Google(tokens=NoTokens)
    app = build_app(path, environ=environ, providers=[google], network=upstream, sinks=[])
    there = "/gemini/v/proxy/v1beta1/projects/other/locations/us/publishers/google/models"

    answers = [
        await request(app, "POST", f"{there}/{model}:generateContent", b"{}", headers={"x-goog-api-key": TOKEN})
        for model in ("flash", "opus")
    ]
    await app.close()

    assert [answer.status for answer in answers] == [200, 400]
    assert [sent.endpoint.url for sent in upstream.requests] == [
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/acme/locations/europe-west4/publishers/google/"
        "models/gemini-2.5-flash:generateContent"
    ]


# --- Google's SDK, set to Vertex AI ------------------------------------------

VERTEX = """\
type: provider-account/google-vertex
name: v
project_id: acme
region: europe-west4
base_url: {url}
integrations:
  - type: integration/model/vertex
    name: flash
    model_id: gemini-2.5-flash
    model_types: [chat]
    cost: {{metric: per_1000_tokens, value: {{input: 0.001, output: 0.01}}}}
  - {{type: integration/model/vertex, name: vectors, model_id: text-embedding-005, model_types: [embedding]}}
  - {{type: integration/model/vertex, name: imagen, model_id: imagen-4.0-generate-001, model_types: [image]}}
"""
AT = "/projects/acme/locations/europe-west4/publishers/google/models"


OLD = pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
"""It is told once for each process."""


class OwnToken:
    """A signer of the account's: what the caller sends goes nowhere."""

    def __init__(self, url, auth):
        pass

    async def sign(self, request, network):
        return msgspec.structs.replace(
            request, endpoint=request.endpoint.with_headers({"authorization": "Bearer of-the-account"})
        )


@pytest.fixture(params=["key", "credentials"])
def vertex(request, provider, sink, tmp_path):
    """`async with vertex() as models`: with the token as a key, and as an access token of somebody's project."""
    who = {
        "key": {"api_key": TOKEN},
        "credentials": {"credentials": Credentials(TOKEN), "project": "other", "location": "us-central1"},
    }[request.param]

    @asynccontextmanager
    async def make():
        path = tmp_path / "vertex.yaml"
        path.write_text(VERTEX.format(url=provider.url))
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        app = build_app(path, environ=environ, providers=[Google(tokens=OwnToken)], sinks=[sink])
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
            there = types.HttpOptions(base_url="http://gateway.test/gemini/v/proxy", httpx_async_client=http)
            yield genai.Client(vertexai=True, http_options=there, **who).aio.models
        await app.close()

    return make


async def test_vertex_ai_answers(vertex, provider, sink):
    provider.says(SAID)
    provider.replies.append((200, "text/event-stream", STREAM))

    async with vertex() as models:
        answer = await models.generate_content(model="flash", contents="hi")
        stream = await models.generate_content_stream(model="flash", contents="hi")
        texts = [chunk.text async for chunk in stream]

    assert (answer.text, texts) == ("hello", ["hello", "hello"])
    assert [path for path, _, _ in provider.asked] == [
        f"/v1beta1{AT}/gemini-2.5-flash:generateContent",
        f"/v1beta1{AT}/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ]
    for _, headers, _ in provider.asked:
        assert headers["authorization"] == "Bearer of-the-account"
        assert TOKEN not in str(headers)
    assert [record.cost_nanousd for record in sink.records] == 2 * [10 * 1000 + 7 * 10000]


@OLD
async def test_vertex_ai_counts_embeds_and_draws(vertex, provider, sink):
    """By `predict`, whose embeddings tell what they have read, and whose pictures are counted."""
    provider.says({"totalTokens": 3})
    provider.says({"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 4}}}]})
    provider.says({"predictions": [{"bytesBase64Encoded": "iVBORw==", "mimeType": "image/png"}]})

    async with vertex() as models:
        counted = await models.count_tokens(model="flash", contents="hi")
        embedded = await models.embed_content(model="vectors", contents="hi")
        drawn = await models.generate_images(
            model="imagen", prompt="a cat", config=types.GenerateImagesConfig(number_of_images=1)
        )

    assert (counted.total_tokens, embedded.embeddings[0].values) == (3, [0.5])
    assert drawn.generated_images[0].image.image_bytes == b"\x89PNG"
    assert [path for path, _, _ in provider.asked] == [
        f"/v1beta1{AT}/gemini-2.5-flash:countTokens",
        f"/v1beta1{AT}/text-embedding-005:predict",
        f"/v1beta1{AT}/imagen-4.0-generate-001:predict",
    ]
    assert [record.usage for record in sink.records] == [
        Usage(),
        Usage(input=4),
        Usage(images=1),
    ]


@OLD
async def test_nothing_is_written_into_somebodys_storage(vertex, provider):
    """The account may write where the caller may not."""
    async with vertex() as models:
        with pytest.raises(errors.ClientError, match="storageUri is not passed on"):
            await models.generate_images(
                model="imagen", prompt="a cat", config=types.GenerateImagesConfig(output_gcs_uri="gs://theirs/x")
            )

    assert provider.asked == []


@pytest.mark.parametrize("name", [b"storageUri", b"storage\\u0055ri", b"storage_uri"])
async def test_nor_by_another_spelling(provider, tmp_path, name):
    path = tmp_path / "vertex.yaml"
    path.write_text(VERTEX.format(url=provider.url))
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Google(tokens=OwnToken)], sinks=[])
    body = b'{"instances":[{"prompt":"a"}],"parameters":{"%b":"gs://theirs/x"}}' % name

    answer = await request(
        app, "POST", f"/gemini/v/proxy/v1beta1{AT}/imagen:predict", body, headers={"x-goog-api-key": TOKEN}
    )
    await app.close()

    assert (answer.status, answer.json()["error"]["status"], provider.asked) == (400, "INVALID_ARGUMENT", [])

"""What is no matter of text: reserved in the unit that has a price, and settled with what the answer says."""

import json

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.testing import FakeSocket, FakeUpstream, post

MANIFEST = {
    "type": "provider-account/self-hosted-model",
    "name": "a",
    "integrations": [
        {
            "type": "integration/model/self-hosted-model",
            "name": "m",
            "hosted_model_name": "real",
            "url": "https://a.test/v1",
            "model_server": "openai-compatible",
            "model_types": ["text_to_speech", "audio_transcription", "rerank", "image", "realtime"],
        }
    ],
}
CHARACTERS = {"metric": "per_million_characters", "value": {"input": 15}}
MINUTES = {"metric": "per_minute_of_audio", "value": {"input": 0.006}}
SEARCHES = {"metric": "per_1000_searches", "value": {"input": 2}}
TOKENS = {
    "metric": "per_1000_tokens",
    "value": {
        "input": 0.004,
        "output": 0.016,
        "cache_read": 0.0004,
        "audio_input": 0.032,
        "audio_output": 0.064,
        "image_input": 0.005,
        "image_output": 0.04,
    },
}
PICTURES = {
    "metric": "per_image",
    "value": {"image": 0.04, "variants": [{"size": "1024x1024", "quality": "high", "cost": 0.17}]},
}
SOUND = (200, [b"\xff\xfbsound"], {"content-type": "audio/mpeg"})
SPOKEN = {"model": "a/m", "input": "hello world", "voice": "alloy"}
PICTURE = {"model": "a/m", "prompt": "a cat", "n": 2, "size": "1024x1024", "quality": "high"}
RANKED = {"model": "a/m", "query": "q", "documents": ["d"] * 150}
WAVE = (
    b"RIFF\0\0\0\0WAVEfmt " + (16).to_bytes(4, "little") + bytes(8) + (8000).to_bytes(4, "little") + bytes(4) + b"data"
) + bytes(4 + 8000 * 30)


def form(data):
    body = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\na/m\r\n'
    body += b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%b\r\n--x--\r\n' % data
    return body


def said(**fields):
    return (200, [json.dumps(fields).encode()])


@pytest.fixture
def asked(app_with, manifest, auth, sink, until):
    """Asks once; gives the status, and the record."""

    async def ask(path, body, reply, cost, *budgets):
        account = msgspec.json.decode(msgspec.json.encode(MANIFEST))
        account["integrations"][0]["cost"] = cost
        manifest.write_text(json.dumps([account, *budgets]))
        headers = {**auth, "content-type": "multipart/form-data; boundary=x"} if isinstance(body, bytes) else auth
        app = app_with(network := FakeUpstream(reply))
        answer = await post(app, path, body, headers=headers)
        await until(lambda: sink.records)
        return answer, sink.records[0], network

    return ask


@pytest.mark.parametrize(
    ("path", "body", "reply", "cost", "usage", "nanousd"),
    [
        ("/v1/audio/speech", SPOKEN, SOUND, CHARACTERS, Usage(characters=11, estimated=True), 165_000),
        (
            "/v1/audio/transcriptions",
            form(WAVE),
            said(text="hi", usage={"type": "duration", "seconds": 90}),
            MINUTES,
            Usage(audio_seconds=90),
            9_000_000,
        ),
        (
            "/v1/audio/transcriptions",
            form(WAVE),
            said(text="hi"),
            MINUTES,
            Usage(audio_seconds=30, estimated=True),
            3_000_000,
        ),
        (
            "/v1/audio/transcriptions",
            form(WAVE),
            said(text="hi", usage={"type": "tokens", "input_tokens": 300, "output_tokens": 9}),
            MINUTES,
            Usage(input=300, output=9, audio_seconds=30, estimated=True),
            3_000_000,
        ),
        (
            "/v1/rerank",
            RANKED,
            said(results=[], meta={"billed_units": {"search_units": 3}}),
            SEARCHES,
            Usage(searches=3),
            6_000_000,
        ),
        ("/v1/rerank", RANKED, said(results=[]), SEARCHES, Usage(searches=2, estimated=True), 4_000_000),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=[], usage={"input_tokens": 10, "output_tokens": 8000}),
            TOKENS,
            Usage(input=10, image_output=8000),
            10 * 4_000 + 8000 * 40_000,
        ),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=[]),
            TOKENS,
            Usage(input=2, image_output=8320, estimated=True),
            2 * 4_000 + 8320 * 40_000,
        ),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=[{"url": "https://x"}]),
            TOKENS,
            Usage(
                input=2,
                image_output=8320,
                images=1,
                estimated=True,
                image_size="1024x1024",
                image_quality="high",
            ),
            2 * 4_000 + 8320 * 40_000,
        ),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=[{"url": "https://x"}]),
            PICTURES,
            Usage(images=1, image_size="1024x1024", image_quality="high"),
            170_000_000,
        ),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=2 * [{"b64_json": "AA=="}], quality="low", usage={"input_tokens": 10, "output_tokens": 800}),
            PICTURES,
            Usage(input=10, image_output=800, images=2, image_size="1024x1024", image_quality="low"),
            80_000_000,
        ),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=[]),
            PICTURES,
            Usage(images=2, estimated=True, image_size="1024x1024", image_quality="high"),
            340_000_000,
        ),
        (
            "/v1/images/generations",
            PICTURE,
            said(data=[], usage={"input_tokens": 10, "output_tokens": 800}),
            PICTURES,
            Usage(
                input=10,
                image_output=800,
                images=2,
                estimated=True,
                image_size="1024x1024",
                image_quality="high",
            ),
            340_000_000,
        ),
        (
            "/v1/images/edits",
            form(b"a").replace(b'name="file"', b'name="image"'),
            said(data=3 * [{"b64_json": "AA=="}]),
            PICTURES,
            Usage(images=3),
            120_000_000,
        ),
    ],
    ids=[
        *("characters", "seconds", "no seconds", "other unit", "searches", "no searches", "tokens", "no tokens"),
        *("pictures for tokens", "pictures", "other pictures", "no pictures", "tokens for pictures", "edited"),
    ],
)
async def test_what_it_costs(asked, path, body, reply, cost, usage, nanousd):
    """To the nano-dollar."""
    answer, record, _ = await asked(path, body, reply, cost)

    assert answer.status == 200
    assert (record.usage, record.cost_nanousd) == (usage, nanousd)


@pytest.mark.parametrize(
    ("path", "body", "reply", "cost", "nanousd"),
    [
        ("/v1/audio/speech", SPOKEN, SOUND, CHARACTERS, 165_000),
        ("/v1/audio/transcriptions", form(WAVE), said(text="hi"), MINUTES, 3_000_000),
        ("/v1/rerank", RANKED, said(results=[]), SEARCHES, 4_000_000),
        ("/v1/images/generations", PICTURE, said(data=[]), TOKENS, 2 * 4_000 + 8320 * 40_000),
        ("/v1/images/generations", PICTURE, said(data=[]), PICTURES, 340_000_000),
    ],
    ids=["characters", "seconds", "searches", "tokens", "pictures"],
)
@pytest.mark.parametrize(("more", "status"), [(0, 200), (-1000, 429)])
async def test_is_reserved_before_it_is_asked(asked, path, body, reply, cost, nanousd, more, status):
    """A budget that has just enough for it lets it pass; one with a microdollar less sends nothing to the provider."""
    limits = {"cost_per_month": (nanousd + more) / 10**9}
    budget = {"type": "tenant-budget-config", "name": "all", "limits": limits, "applies_to": {"type": "aggregate"}}

    answer, _, network = await asked(path, body, reply, cost, {**budget, "mode": "enforce"})

    assert (answer.status, len(network.requests)) == (status, 1 if status == 200 else 0)


async def test_a_session_pays_for_sound_and_text_apart(app_with, manifest, auth, call, sink, until):
    account = msgspec.json.decode(msgspec.json.encode(MANIFEST))
    account["integrations"][0]["cost"] = TOKENS
    manifest.write_text(json.dumps(account))
    usage = {
        "input_tokens": 100,
        "output_tokens": 50,
        "input_token_details": {
            "text_tokens": 40,
            "audio_tokens": 60,
            "cached_tokens": 30,
            "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 20},
        },
        "output_token_details": {"text_tokens": 20, "audio_tokens": 30},
    }
    done = json.dumps({"type": "response.done", "response": {"usage": usage}})
    app = app_with(FakeUpstream(FakeSocket(done, closes=(1000, ""))))

    path = {"path": "/v1/realtime", "query_string": b"model=a/m"}
    await call(app, {"type": "websocket.connect"}, type="websocket", headers=auth, **path)
    await until(lambda: sink.records)

    [record] = sink.records
    assert record.usage == Usage(input=30, cache_read=30, audio_input=40, output=20, audio_output=30)
    assert record.cost_nanousd == 30 * 4_000 + 30 * 400 + 40 * 32_000 + 20 * 16_000 + 30 * 64_000


@pytest.mark.parametrize(
    ("annotated", "line"),
    [(None, ("pages", 3, 12_000_000)), ({"type": "json_object"}, ("annotated_pages", 3, 15_000_000))],
)
async def test_a_document_is_paid_for_by_the_page(app_with, manifest, auth, sink, until, annotated, line):
    """Of Mistral, whose prices are public: $4 for a thousand pages, $5 with annotations."""
    model = {"type": "integration/model/mistral-ai", "name": "ocr", "model_id": "mistral-ocr-4-0"}
    account = {
        "type": "provider-account/mistral-ai",
        "name": "mistral",
        "auth_data": {"type": "api-key", "api_key": "provider-key"},
        "integrations": [{**model, "model_types": ["ocr"], "cost": {"metric": "public_cost"}}],
    }
    manifest.write_text(json.dumps(account))
    app = app_with(network := FakeUpstream(said(pages=[], usage_info={"pages_processed": 3})))
    document = {"type": "document_url", "document_url": "https://x.test/a.pdf"}
    asked = {"model": "mistral/ocr", "document": document, "pages": [0], "document_annotation_format": annotated}

    answer = await post(app, "/v1/ocr", asked, headers=auth)
    await until(lambda: sink.records)

    name, pages, nanousd = line
    assert answer.status == 200
    assert (sink.records[0].usage, sink.records[0].cost_nanousd) == (Usage(**{name: pages}), nanousd)
    assert network.requests[0].endpoint.url == "https://api.mistral.ai/v1/ocr"
    assert network.asked(0) == {**asked, "model": "mistral-ocr-4-0"}

"""OpenAI's own client on one side, a server that behaves like Google on the other, and the gateway between."""

from base64 import b64decode, b64encode

import httpx2
import msgspec
import openai
import pytest
from gateway_google.provider import Google
from google.genai import types
from pydantic import BaseModel

from gateway import build_app
from gateway.contract import Outcome
from gateway.contract.usage import Usage
from gateway.testing import ListSink

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/google-gemini
name: google
auth_data: {{type: api-key, apiKey: canary-key}}
base_url: {url}/v1beta
integrations:
  - type: integration/model/gemini
    name: flash
    model_id: gemini-2.5-flash
    model_types: [chat, embedding]
    cost: {{metric: public_cost}}
  - {{type: integration/model/gemini, name: three, model_id: gemini-3-pro-preview, model_types: [chat]}}
  - type: integration/model/gemini
    name: painter
    model_id: gemini-2.5-flash-image
    model_types: [image]
    cost: {{metric: public_cost}}
  - {{type: integration/model/gemini, name: imagen, model_id: imagen-4.0-generate-001, model_types: [image]}}
"""
ASK = {"model": "google/flash", "messages": [{"role": "user", "content": "hi"}]}
USED = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 100,
    "thoughtsTokenCount": 50,
    "totalTokenCount": 1150,
}
HEAD = {"responseId": "r1", "modelVersion": "gemini-2.5-flash", "usageMetadata": USED}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
PATH = "/v1beta/models/gemini-2.5-flash:"


def said(*parts, finish="STOP"):
    candidate = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    return {**HEAD, "candidates": [{**candidate, "finishReason": finish} if finish else candidate]}


def events(*each):
    return b"".join(b"data: %b\r\n\r\n" % msgspec.json.encode(one) for one in each)


def error(code, status, message="why", details=()):
    return msgspec.json.encode(
        {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    )


CALL = {"functionCall": {"name": "look", "args": {"at": "x"}}, "thoughtSignature": "c2ln"}
STREAM = events(
    said({"text": "th", "thought": True}, finish=None), said({"text": "hel"}, finish=None), said({"text": "lo"})
)


class Server:
    """Answers each request with the next of `script`: (status, body), or (status, body, length) for one that breaks off
    after so many bytes. Streams go out in pieces of 7 bytes."""

    def __init__(self):
        self.script = []
        self.asked = []

    async def talk(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = msgspec.json.decode(await reader.readexactly(length))
            self.asked.append((head.split(" ")[1], "\r\nx-goog-api-key: canary-key\r\n" in head, body))
            status, answer, *cut = self.script.pop(0)
            kind = "text/event-stream" if answer.startswith(b"data:") else "application/json; charset=UTF-8"
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
            sent = answer[: cut[0]] if cut else answer
            for start in range(0, len(sent), 7):
                piece = sent[start : start + 7]
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            if cut:
                break
            writer.write(b"0\r\n\r\n")


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def client(server, tcp_server, sink, tmp_path):
    path = tmp_path / "google.yaml"
    async with tcp_server(server.talk) as port:
        path.write_text(MANIFEST.format(url=f"http://127.0.0.1:{port}"))
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Google()], sinks=[sink])
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        options = {"base_url": "http://gateway.test/v1", "api_key": TOKEN, "max_retries": 0}
        async with openai.AsyncOpenAI(**options, http_client=http) as made:
            made.app = app
            yield made
        await app.close()


async def test_a_stream(client, server, sink):
    """Google's ends without `[DONE]`, and its counts are billed by class."""
    server.script = [(200, STREAM)]

    chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
    await client.app.close()

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert [
        chunk.choices[0].delta.reasoning_content
        for chunk in chunks
        if "reasoning_content" in chunk.choices[0].delta.model_extra
    ] == ["th"]
    assert server.asked == [
        (f"{PATH}streamGenerateContent?alt=sse", True, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    ]
    (record,) = sink.records
    used = record.usage
    assert (record.outcome, used.input, used.cache_read, used.output, used.reasoning) == (
        Outcome.COMPLETE,
        600,
        400,
        100,
        50,
    )
    # A million tokens of gemini-2.5-flash: $0.30 in, $0.03 from the cache, $2.50 out.
    assert record.cost_nanousd == 600 * 300 + 400 * 30 + 150 * 2500


async def test_usage_that_the_caller_asks_for_comes(client, server):
    server.script = [(200, STREAM)]

    stream = await client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    (last,) = [chunk async for chunk in stream if chunk.usage]

    assert (last.choices, last.usage.total_tokens) == ([], 1150)
    assert last.usage.prompt_tokens_details.cached_tokens == 400
    assert last.usage.completion_tokens_details.reasoning_tokens == 50


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_goes_back_with_the_signature(client, server, stream):
    """The SDK keeps fields that it does not know, so the second turn is accepted."""
    first = events(said(CALL)) if stream else msgspec.json.encode(said(CALL))
    server.script = [(200, first), (200, msgspec.json.encode(said({"text": "done"})))]
    ask = {**ASK, "model": "google/three", "tools": [LOOK]}

    if stream:
        async with client.chat.completions.stream(**ask) as events_:
            message = (await events_.get_final_completion()).choices[0].message
    else:
        message = (await client.chat.completions.create(**ask)).choices[0].message
    (call,) = message.tool_calls
    history = [
        *ASK["messages"],
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "y"},
    ]
    answer = await client.chat.completions.create(**{**ask, "messages": history})

    assert (call.function.name, call.function.arguments, answer.choices[0].message.content) == (
        "look",
        '{"at":"x"}',
        "done",
    )
    contents = server.asked[1][2]["contents"]
    given = {"id": call.id, "name": "look"}
    assert contents[1]["parts"] == [{"functionCall": {**given, "args": {"at": "x"}}, "thoughtSignature": "c2ln"}]
    assert contents[2]["parts"] == [{"functionResponse": {**given, "response": {"output": "y"}}}]
    for content in contents:
        types.Content.model_validate(content)


class Place(BaseModel):
    name: str
    height_m: int | None = None


async def test_a_schema_and_an_image(client, server):
    server.script = [(200, msgspec.json.encode(said({"text": '{"name":"a","height_m":1}'})))]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}]

    answer = await client.chat.completions.parse(model="google/flash", messages=messages, response_format=Place)

    assert answer.choices[0].message.parsed == Place(name="a", height_m=1)
    body = server.asked[0][2]
    assert body["contents"][0]["parts"] == [
        {"text": "what?"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]
    assert body["generationConfig"]["responseJsonSchema"]["required"] == ["name", "height_m"]
    assert body["generationConfig"]["mediaResolution"] == "MEDIA_RESOLUTION_LOW"


async def test_what_is_left_out_is_told(client, server):
    server.script = [(200, msgspec.json.encode(said({"text": "a"})))]

    raw = await client.chat.completions.with_raw_response.create(**ASK, user="u", logit_bias={"1": 2})

    assert raw.headers["x-gateway-dropped-params"] == "logit_bias,user"


@pytest.mark.parametrize("form", ["float", None])
async def test_embeddings(client, server, form):
    """OpenAI's client asks for base64 unless it is told otherwise."""
    server.script = [
        (200, b'{"embeddings":[{"values":[0.5]},{"values":[0.25]}],"usageMetadata":{"promptTokenCount":4}}')
    ]
    more = {"encoding_format": form} if form else {}

    answer = await client.embeddings.create(model="google/flash", input=["a", "b"], **more)

    assert [each.embedding for each in answer.data] == [[0.5], [0.25]]
    assert (server.asked[0][0], answer.usage.prompt_tokens) == (f"{PATH}batchEmbedContents", 4)


PNG = b"\x89PNG\r\n\x1a\n"
DRAWN = {"inlineData": {"mimeType": "image/png", "data": b64encode(PNG).decode()}}
PAINTED = {
    "promptTokenCount": 260,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "IMAGE", "tokenCount": 258}],
    "candidatesTokenCount": 1290,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    "totalTokenCount": 1550,
}


async def test_a_picture_of_a_prompt(client, server, sink):
    server.script = [(200, msgspec.json.encode({**said({"text": "Here."}, DRAWN), "usageMetadata": PAINTED}))]

    answer = await client.images.generate(model="google/painter", prompt="a cat", size="1536x1024", n=1)
    await client.app.close()

    assert b64decode(answer.data[0].b64_json) == PNG
    assert (answer.output_format, answer.usage.output_tokens_details.image_tokens) == ("png", 1290)
    path, _, body = server.asked[0]
    assert path == "/v1beta/models/gemini-2.5-flash-image:generateContent"
    assert body["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:2"}}
    # A million tokens of gemini-2.5-flash-image: $0.30 in, $30 for pictures.
    assert sink.records[0].cost_nanousd == 260 * 300 + 1290 * 30_000


@pytest.mark.parametrize("size", [8, 3 * 1024 * 1024 + 1], ids=["small", "larger than memory should be"])
async def test_a_picture_is_edited(client, server, size):
    server.script = [(200, msgspec.json.encode({**said(DRAWN), "usageMetadata": PAINTED}))]
    picture = PNG.ljust(size, b"x")

    answer = await client.images.edit(model="google/painter", prompt="a hat", image=[("a.png", picture)] * 2)

    assert b64decode(answer.data[0].b64_json) == PNG
    first, second, prompt = server.asked[0][2]["contents"][0]["parts"]
    assert first == second == {"inlineData": {"mimeType": "image/png", "data": b64encode(picture).decode()}}
    assert prompt == {"text": "a hat"}


async def test_pictures_of_imagen(client, server, sink):
    """Nobody says what they used: they are counted."""
    drawn = {"bytesBase64Encoded": b64encode(PNG).decode(), "mimeType": "image/jpeg", "prompt": "a big cat"}
    server.script = [(200, msgspec.json.encode({"predictions": [drawn, drawn]}))]

    raw = await client.images.with_raw_response.generate(
        model="google/imagen", prompt="a cat", n=2, size="1024x1024", quality="high", output_format="jpeg"
    )
    answer = raw.parse()
    await client.app.close()

    assert [(b64decode(each.b64_json), each.revised_prompt) for each in answer.data] == 2 * [(PNG, "a big cat")]
    assert (answer.output_format, answer.usage) == ("jpeg", None)
    assert server.asked[0][0] == "/v1beta/models/imagen-4.0-generate-001:predict"
    assert raw.headers["x-gateway-dropped-params"] == "quality"
    assert sink.records[0].usage == Usage(images=2, image_size="1024x1024", image_quality="high")


async def test_pictures_that_are_held_back_are_a_refusal(client, server):
    server.script = [(200, b'{"predictions":[{"raiFilteredReason":"Not this prompt. Support codes: 1"}]}')] * 2

    with pytest.raises(openai.BadRequestError, match="Not this prompt") as raised:
        await client.images.generate(model="google/imagen", prompt="a cat")

    assert raised.value.code == "moderation_blocked"


async def test_there_is_no_url_of_a_picture(client, server):
    with pytest.raises(openai.BadRequestError, match="set response_format to b64_json"):
        await client.images.generate(model="google/painter", prompt="a cat", response_format="url")

    assert server.asked == []


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31s"}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "wait"),
    [
        (400, error(400, "INVALID_ARGUMENT"), openai.BadRequestError, "INVALID_ARGUMENT", None),
        (
            400,
            error(400, "INVALID_ARGUMENT", "canary-key", [BAD_KEY]),
            openai.AuthenticationError,
            "upstream_authentication_error",
            None,
        ),
        (403, error(403, "PERMISSION_DENIED"), openai.PermissionDeniedError, "PERMISSION_DENIED", None),
        (404, error(404, "NOT_FOUND"), openai.NotFoundError, "NOT_FOUND", None),
        (429, error(429, "RESOURCE_EXHAUSTED", details=[RETRY]), openai.RateLimitError, "RESOURCE_EXHAUSTED", "31"),
        (503, error(503, "UNAVAILABLE"), openai.InternalServerError, "UNAVAILABLE", None),
    ],
)
async def test_refusals_are_the_clients_own_classes(client, server, sink, status, body, kind, code, wait):
    server.script = [(status, body)] * 2

    with pytest.raises(kind) as raised:
        await client.chat.completions.create(**ASK, stream=True)
    await client.app.close()

    assert (raised.value.code, raised.value.response.headers.get("retry-after")) == (code, wait)
    assert b"canary" not in raised.value.response.content + msgspec.json.encode(sink.records)


async def test_a_stream_that_breaks_off_is_told(client, server, sink):
    server.script = [(200, STREAM, len(STREAM) - 40)]

    with pytest.raises(openai.APIError):
        async for _ in await client.chat.completions.create(**ASK, stream=True):
            pass
    await client.app.close()

    assert sink.records[0].outcome is Outcome.UPSTREAM_BROKE


async def test_an_error_in_place_of_a_stream_is_a_status(client, server):
    server.script = [(200, events({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}))]

    with pytest.raises(openai.InternalServerError, match="busy"):
        await client.chat.completions.create(**ASK, stream=True)

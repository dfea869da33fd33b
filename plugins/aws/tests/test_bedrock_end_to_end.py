"""OpenAI's own client on one side, a server that behaves like Bedrock on the other, and the gateway between."""

import hashlib
from base64 import b64decode, b64encode

import httpx2
import msgspec
import openai
import pytest
from botocore.session import Session
from gateway_aws.bedrock import Bedrock
from gateway_aws.identity import OwnIdentity
from gateway_aws.signers import Signers

from gateway import build_app
from gateway.contract.usage import Usage
from gateway.testing import ListSink

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/aws-bedrock
name: bedrock
region: us-east-1
base_url: {url}
integrations:
  - type: integration/model/bedrock
    name: sonnet
    model_id: us.anthropic.claude-sonnet-4-5-20250929-v1:0
    model_types: [chat]
    cost: {{metric: per_1000_tokens, value: {{input: 0.003, output: 0.015, cache_read: 0.0003, cache_write: 0.00375}}}}
  - {{type: integration/model/bedrock, name: embed, model_id: "amazon.titan-embed-text-v2:0", model_types: [embedding]}}
  - {{type: integration/model/bedrock, name: canvas, model_id: "amazon.nova-canvas-v1:0", model_types: [image]}}
  - {{type: integration/model/bedrock, name: rank, model_id: "cohere.rerank-v3-5:0", model_types: [rerank]}}
"""
USER = {"role": "user", "content": "hi"}
ASK = {"model": "bedrock/sonnet", "messages": [USER]}
USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 1015, "cacheReadInputTokens": 1000}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def whole(*blocks, reason="end_turn"):
    output = {"message": {"role": "assistant", "content": blocks}}
    return msgspec.json.encode({"output": output, "stopReason": reason, "usage": USAGE, "metrics": {"latencyMs": 1}})


class Server:
    """Answers each request with the next of `script`: (status, body) or (status, body, headers). Bodies go out in
    pieces of `size` bytes."""

    def __init__(self):
        self.script = []
        self.asked = []
        self.heads = []
        self.size = 7

    async def talk(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
            self.heads.append((head, body))
            self.asked.append((head.split(" ")[1], msgspec.json.decode(body)))
            status, answer, *more = self.script.pop(0)
            is_json = not answer or answer.startswith(b"{")
            kind = "application/json" if is_json else "application/vnd.amazon.eventstream"
            lines = "".join(f"{name}: {value}\r\n" for name, value in (more[0] if more else {}).items())
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nx-amzn-RequestId: r-1\r\n{lines}".encode())
            writer.write(b"content-length: %d\r\n\r\n" % len(answer))
            for start in range(0, len(answer), self.size):
                writer.write(answer[start : start + self.size])
                await writer.drain()


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def client(server, tcp_server, sink, tmp_path):
    def session():
        made = Session()
        made.set_credentials("AKIDEXAMPLE", "canary-secret", "canary-token")
        return made

    path = tmp_path / "bedrock.yaml"
    async with tcp_server(server.talk) as port:
        path.write_text(MANIFEST.format(url=f"http://127.0.0.1:{port}"))
        provider = Bedrock(signers=Signers(OwnIdentity(session)))
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[provider], sinks=[sink])
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        options = {"base_url": "http://gateway.test/v1", "api_key": TOKEN, "max_retries": 0}
        async with openai.AsyncOpenAI(**options, http_client=http) as made:
            made.app = app
            yield made
        await app.close()


@pytest.fixture
def stream(frame):
    """`stream({"text": "a"})`: the frames of an answer with these deltas, in one block each."""

    def make(*deltas, reason="end_turn"):
        out = frame("messageStart", {"role": "assistant"})
        for index, delta in enumerate(deltas):
            start = delta.pop("start", None)
            if start is not None:
                out += frame("contentBlockStart", {"start": {"toolUse": start}, "contentBlockIndex": index})
            for piece in delta.pop("pieces", [delta]):
                out += frame("contentBlockDelta", {"delta": piece, "contentBlockIndex": index})
            out += frame("contentBlockStop", {"contentBlockIndex": index})
        metadata = {"usage": USAGE, "metrics": {"latencyMs": 1}}
        return out + frame("messageStop", {"stopReason": reason}) + frame("metadata", metadata)

    return make


async def test_a_stream_reads_like_openais(client, server, sink, stream):
    server.script = [(200, stream({"pieces": [{"text": "hel"}, {"text": "lo"}]}))]

    chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
    await client.app.close()

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert server.asked == [
        (
            "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
            {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        )
    ]
    # 10 x $3 and 1000 x $0.3 and 5 x $15 for a million tokens.
    (record,) = sink.records
    assert (record.usage.input_tokens, record.usage.output_tokens, record.cost_nanousd) == (1010, 5, 405_000)


async def test_what_is_signed_is_what_arrives(client, server):
    """Host, date and token of the keys, over the body as it came here."""
    server.script = [(200, whole({"text": "é"}))]

    await client.chat.completions.create(model="bedrock/sonnet", messages=[{"role": "user", "content": "é"}])

    [(head, body)] = server.heads
    assert "x-amz-security-token: canary-token\r\n" in head
    assert "/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in head
    assert (
        hashlib.sha256(body).hexdigest()
        == hashlib.sha256('{"messages":[{"role":"user","content":[{"text":"é"}]}]}'.encode()).hexdigest()
    )


async def test_usage_that_the_caller_asks_for_comes(client, server, stream):
    server.script = [(200, stream({"text": "a"}))]

    answer = await client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in answer]

    [usage] = [chunk.usage for chunk in chunks if chunk.usage]
    assert (usage.total_tokens, usage.prompt_tokens_details.cached_tokens) == (1015, 1000)


async def test_a_conversation_with_a_tool(client, server, stream):
    """The call streams in pieces, its result goes back, and both fit together."""
    look = {
        "start": {"toolUseId": "t-1", "name": "look"},
        "pieces": [{"toolUse": {"input": '{"at"'}}, {"toolUse": {"input": ':"x"}'}}],
    }
    server.script = [(200, stream({"text": "so"}, look, reason="tool_use")), (200, whole({"text": "done"}))]

    async with client.chat.completions.stream(**ASK, tools=TOOLS) as streamed:
        message = (await streamed.get_final_completion()).choices[0].message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "a door"}
    messages = [
        USER,
        {
            "role": "assistant",
            "content": message.content,
            "tool_calls": [call.model_dump(mode="json", exclude={"function": {"parsed_arguments"}})],
        },
        result,
    ]
    answer = await client.chat.completions.create(model="bedrock/sonnet", messages=messages, tools=TOOLS)

    assert (call.function.name, call.function.arguments, answer.choices[0].message.content) == (
        "look",
        '{"at":"x"}',
        "done",
    )
    assert server.asked[1][1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": [{"text": "so"}, {"toolUse": {"toolUseId": "t-1", "name": "look", "input": {"at": "x"}}}],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t-1", "content": [{"text": "a door"}]}}]},
    ]


async def test_a_schema_and_an_image(client, server):
    server.script = [(200, whole({"text": '{"a":1}'}))]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

    answer = await client.chat.completions.create(
        model="bedrock/sonnet",
        messages=[{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}],
        response_format={"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}},
    )

    assert answer.choices[0].message.content == '{"a":1}'
    path, body = server.asked[0]
    assert path.endswith("/converse")
    assert body["messages"][0]["content"][1] == {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    assert body["outputConfig"]["textFormat"]["type"] == "json_schema"


async def test_what_is_left_out_is_told(client, server):
    server.script = [(200, whole({"text": "a"}))]

    raw = await client.chat.completions.with_raw_response.create(**ASK, seed=7, logprobs=True)

    assert raw.headers["x-gateway-dropped-params"] == "logprobs,seed"


async def test_embeddings(client, server, sink):
    """OpenAI's client asks for base64 unless it is told otherwise."""
    server.script = [(200, b'{"embedding":[0.5,-1.0],"inputTextTokenCount":2}')]

    answer = await client.embeddings.create(model="bedrock/embed", input="x")
    await client.app.close()

    assert (answer.data[0].embedding, answer.usage.prompt_tokens) == ([0.5, -1.0], 2)
    assert server.asked[0] == ("/model/amazon.titan-embed-text-v2%3A0/invoke", {"inputText": "x"})
    assert sink.records[0].usage.input == 2


PNG = b"\x89PNG\r\n\x1a\n"


async def test_a_picture_of_a_prompt(client, server, sink):
    server.script = [(200, msgspec.json.encode({"images": [b64encode(PNG).decode()] * 2, "error": None}))]

    answer = await client.images.generate(model="bedrock/canvas", prompt="a cat", n=2, size="1024x1024", quality="hd")
    await client.app.close()

    assert [b64decode(each.b64_json) for each in answer.data] == [PNG, PNG]
    config = {"numberOfImages": 2, "width": 1024, "height": 1024, "quality": "premium"}
    body = {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a cat"}, "imageGenerationConfig": config}
    assert server.asked == [("/model/amazon.nova-canvas-v1%3A0/invoke", body)]
    assert sink.records[0].usage == Usage(images=2, image_size="1024x1024", image_quality="hd")


@pytest.mark.parametrize("size", [8, 3 * 1024 * 1024 + 1], ids=["small", "larger than memory should be"])
async def test_a_picture_is_edited(client, server, size):
    """What is signed is all of it, also where it comes in pieces."""
    server.script = [(200, msgspec.json.encode({"images": [b64encode(PNG).decode()]}))]
    picture = PNG.ljust(size, b"x")

    answer = await client.images.edit(model="bedrock/canvas", prompt="a hat", image=("a.png", picture), mask=PNG)

    assert b64decode(answer.data[0].b64_json) == PNG
    (path, body), (head, _) = server.asked[0], server.heads[0]
    assert path.endswith("/invoke")
    assert b64decode(body["inPaintingParams"]["image"]) == picture
    assert body["inPaintingParams"]["maskImage"] == b64encode(PNG).decode()
    assert "authorization: AWS4-HMAC-SHA256" in head
    assert "transfer-encoding" not in head


async def test_pictures_that_are_too_large_are_refused_here(client, server):
    with pytest.raises(openai.APIStatusError, match="too large for Bedrock") as raised:
        await client.images.edit(model="bedrock/canvas", prompt="a hat", image=("a.png", bytes(20_000_000)))

    assert (raised.value.status_code, server.asked) == (413, [])


async def test_reranking(client, server, sink):
    server.script = [(200, b'{"results":[{"index":1,"relevance_score":0.9}]}')]
    body = {"model": "bedrock/rank", "query": "q", "documents": ["a", "b"], "top_n": 1}

    ranked = await client.post("/rerank", body=body, cast_to=object)
    await client.app.close()

    assert ranked["results"] == [{"index": 1, "relevance_score": 0.9}]
    asked = {"query": "q", "documents": ["a", "b"], "top_n": 1, "api_version": 2}
    assert server.asked == [("/model/cohere.rerank-v3-5%3A0/invoke", asked)]
    assert sink.records[0].usage.estimated


@pytest.mark.parametrize(
    ("status", "kind", "error", "told"),
    [
        (400, "ValidationException", openai.BadRequestError, 400),
        (403, "AccessDeniedException", openai.PermissionDeniedError, 403),
        (404, "ResourceNotFoundException", openai.NotFoundError, 404),
        (408, "ModelTimeoutException", openai.APIStatusError, 408),
        (424, "ModelErrorException", openai.APIStatusError, 424),
        (429, "ThrottlingException", openai.RateLimitError, 429),
        (503, "ServiceUnavailableException", openai.InternalServerError, 503),
    ],
)
async def test_refusals_are_the_clients_own_classes(client, server, sink, status, kind, error, told):
    body = b'{"message":"no: canary-token"}'
    server.script = [(status, body, {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/", "retry-after": "3"})]

    with pytest.raises(error) as raised:
        await client.chat.completions.create(**ASK, stream=True)
    await client.app.close()

    assert (raised.value.status_code, raised.value.code) == (told, kind)
    assert raised.value.response.headers["retry-after"] == "3"
    assert b"canary" not in raised.value.response.content + msgspec.json.encode(sink.records)


async def test_keys_that_are_over_are_renewed_without_the_callers_noticing(client, server):
    over = (
        403,
        b'{"message":"The security token included in the request is expired"}',
        {"x-amzn-ErrorType": "ExpiredTokenException"},
    )
    server.script = [over, (200, whole({"text": "a"}))]

    answer = await client.chat.completions.create(**ASK)

    assert answer.choices[0].message.content == "a"
    assert len(server.asked) == 2


async def test_a_throttled_stream_is_a_status(client, server, frame):
    """An exception before the first content is one frame of a stream with the status 200."""
    said = frame("messageStart", {"role": "assistant"}) + frame(
        "throttlingException", {"message": "slow down"}, kind="exception"
    )
    server.script = [(200, said)]

    with pytest.raises(openai.RateLimitError, match="slow down"):
        await client.chat.completions.create(**ASK, stream=True)


async def test_a_stream_that_breaks_is_told(client, server, frame, sink):
    said = frame("contentBlockDelta", {"delta": {"text": "hel"}, "contentBlockIndex": 0})
    server.script = [(200, said + frame("modelStreamErrorException", {"message": "it broke"}, kind="exception"))]
    got = []

    async def take():
        async for chunk in await client.chat.completions.create(**ASK, stream=True):
            got.append(chunk.choices[0].delta.content)  # noqa: PERF401  what came before the error is kept

    with pytest.raises(openai.APIError, match="it broke"):
        await take()
    await client.app.close()

    assert got == ["", "hel"]
    assert sink.records[0].usage.estimated


async def test_a_stream_that_ends_too_early_is_told(client, server, stream):
    data = stream({"text": "hello"})
    server.script = [(200, data[: data.index(b"messageStop") - 60])]

    with pytest.raises(openai.APIError, match="before the answer was complete"):
        _ = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]

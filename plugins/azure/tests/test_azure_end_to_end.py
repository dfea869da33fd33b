"""OpenAI's own client on one side, a server that behaves like Azure on the other, and the gateway between."""

import httpx2
import msgspec
import openai
import pytest
from gateway_azure.provider import Azure

from gateway import build_app
from gateway.testing import ListSink

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/azure-openai
name: azure
azure_endpoint: {url}
auth_data: {{type: api-key, api_key: canary-key}}
integrations:
  - type: integration/model/azure-openai
    name: gpt
    model_id: prod
    api_version: 2024-10-21
    foundation_model: gpt-4o-2024-11-20
    model_types: [chat, embedding]
    cost: {{metric: public_cost}}
"""
ASK = {"model": "azure/gpt", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
JUDGEMENT = [{"prompt_index": 0, "content_filter_results": SAFE}]
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-11-20"}
TOOL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}


def events(*parts):
    return b"".join(
        b"data: %b\n\n" % (part if isinstance(part, bytes) else msgspec.json.encode(part)) for part in parts
    )


def delta(finish=None, **fields):
    return {**HEAD, "choices": [{"index": 0, "delta": fields, "finish_reason": finish, "content_filter_results": SAFE}]}


STREAM = events(
    {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": JUDGEMENT},
    delta(role="assistant", content=""),
    delta(content="hel"),
    delta(content="lo"),
    delta(finish="stop"),
    {**HEAD, "choices": [], "usage": USAGE},
    b"[DONE]",
)
TOOLS = events(
    {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": JUDGEMENT},
    delta(role="assistant", tool_calls=[TOOL]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": '{"at":'}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": '"x"}'}}]),
    delta(finish="tool_calls"),
    {**HEAD, "choices": [], "usage": USAGE},
    b"[DONE]",
)
WHOLE = msgspec.json.encode(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": '{"a":1}'}, "finish_reason": "stop"}],
        "usage": USAGE,
        "prompt_filter_results": JUDGEMENT,
    }
)
FILTERED = b'{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400}}'
VECTOR = msgspec.json.encode(
    {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": "m",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
)


class Server:
    """Answers each request with the next of `script`: (status, body) or (status, body, headers). Streams go out in
    pieces of `size` bytes."""

    def __init__(self):
        self.script = []
        self.asked = []
        self.size = 7

    async def talk(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = msgspec.json.decode(await reader.readexactly(length))
            key = head.partition("\r\napi-key: ")[2].partition("\r\n")[0]
            self.asked.append((head.split(" ")[1], key, body))
            status, answer, *more = self.script.pop(0)
            kind = "text/event-stream" if answer.startswith(b"data:") else "application/json"
            lines = "".join(f"{name}: {value}\r\n" for name, value in (more[0] if more else {}).items())
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{lines}".encode())
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
    path = tmp_path / "azure.yaml"
    async with tcp_server(server.talk) as port:
        path.write_text(MANIFEST.format(url=f"http://127.0.0.1:{port}"))
        app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Azure(environ={})], sinks=[sink])
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        options = {"base_url": "http://gateway.test/v1", "api_key": TOKEN, "max_retries": 0}
        async with openai.AsyncOpenAI(**options, http_client=http) as made:
            made.app = app
            yield made
        await app.close()


async def test_a_stream_reads_like_openais(client, server, sink):
    """Also for who indexes `choices[0]` of each chunk. Usage was asked for by the gateway, and is cut out again."""
    server.script = [(200, STREAM)]

    chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
    await client.app.close()

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert chunks[0].prompt_filter_results == JUDGEMENT
    assert server.asked == [
        (
            "/openai/deployments/prod/chat/completions?api-version=2024-10-21",
            "canary-key",
            {**ASK, "model": "prod", "stream": True, "stream_options": {"include_usage": True}},
        )
    ]
    # 1000 x $2.5 and 100 x $10 for a million tokens of gpt-4o, the model behind the deployment.
    (record,) = sink.records
    assert (record.usage.input_tokens, record.usage.output_tokens, record.cost_nanousd) == (1000, 100, 3_500_000)


async def test_usage_that_the_caller_asks_for_comes(client, server):
    server.script = [(200, STREAM)]

    stream = await client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]

    assert [(chunk.choices, chunk.usage.total_tokens) for chunk in chunks if chunk.usage] == [([], 1100)]


async def test_tool_calls_come_in_their_pieces(client, server):
    server.script = [(200, TOOLS)]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]

    async with client.chat.completions.stream(**ASK, tools=tools) as stream:
        completion = await stream.get_final_completion()

    (tool,) = completion.choices[0].message.tool_calls
    assert (tool.id, tool.function.name, tool.function.arguments) == ("call_1", "look", '{"at":"x"}')
    assert server.asked[0][2]["tools"] == tools


async def test_a_schema_and_an_image_arrive_as_they_were_sent(client, server):
    server.script = [(200, WHOLE)]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}]
    schema = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {"type": "object"}}}

    answer = await client.chat.completions.create(model="azure/gpt", messages=messages, response_format=schema)

    assert (answer.choices[0].message.content, answer.prompt_filter_results) == ('{"a":1}', JUDGEMENT)
    assert server.asked[0][2] == {"model": "prod", "messages": messages, "response_format": schema}


async def test_embeddings(client, server):
    server.script = [(200, VECTOR)]

    answer = await client.embeddings.create(model="azure/gpt", input="x", encoding_format="float")

    assert answer.data[0].embedding == [0.5]
    assert server.asked[0][0] == "/openai/deployments/prod/embeddings?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "code"),
    [
        (400, FILTERED, {}, openai.BadRequestError, "content_filter"),
        (401, b'{"error":{"code":"401","message":"Access denied due to invalid key canary-key"}}', {},
         openai.AuthenticationError, "upstream_authentication_error"),
        (404, b'{"error":{"code":"DeploymentNotFound","message":"no"}}', {}, openai.NotFoundError,
         "DeploymentNotFound"),
        (429, b'{"error":{"code":"429","message":"busy"}}', {"retry-after-ms": "1550"}, openai.RateLimitError, "429"),
        (500, b'{"error":{"code":"InternalServerError","message":"no"}}', {}, openai.InternalServerError,
         "InternalServerError"),
    ],
)  # fmt: skip
async def test_refusals_are_the_clients_own_classes(client, server, sink, status, body, headers, error, code):
    server.script = [(status, body, headers)] * 2

    with pytest.raises(error) as raised:
        await client.chat.completions.create(**ASK, stream=True)
    await client.app.close()

    assert raised.value.code == code
    assert raised.value.response.headers.get("retry-after-ms") == headers.get("retry-after-ms")
    assert b"canary" not in raised.value.response.content + msgspec.json.encode(sink.records)

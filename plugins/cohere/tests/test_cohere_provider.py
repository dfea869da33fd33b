"""Accounts at Cohere, through the whole app: what OpenAI's SDK asks, what a provider on loopback is sent, what it
answers, and what is billed."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import msgspec
import openai
import pytest
from aiohttp import web
from gateway_cohere.provider import Cohere
from llmock.testing import LLMockServer
from openai import AsyncOpenAI

from gateway import build_app
from gateway.contract import Ask, Call, JsonBody, Outcome, Request
from gateway.contract.usage import Usage
from gateway.errors import ConfigError
from gateway.testing import FakeUpstream, ListSink, post
from gateway.wire.openai import BodyReading

TOKEN = "gw-test-0123456789abcdef"
KEY = "co-0123456789abcdefghijklmnop"
HELLO = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
MANIFEST = """\
type: provider-account/cohere
name: co
{more}
auth_data: {{type: api-key, api_key: {key}}}
integrations:
  - {{type: integration/model/cohere, name: plus, model_id: command-a-plus-05-2026, model_types: [chat]}}
  - type: integration/model/cohere
    name: a
    model_id: command-a-03-2025
    model_types: [chat]
    cost: {{metric: public_cost}}
  - type: integration/model/cohere
    name: embed
    model_id: embed-v4.0
    model_types: [embedding]
    cost: {{metric: public_cost}}
  - type: integration/model/cohere
    name: queries
    model_id: embed-v4.0
    model_types: [embedding]
    input_type: search_query
  - {{type: integration/model/cohere, name: rerank, model_id: rerank-v4.0-pro, model_types: [rerank]}}
"""
USED = {"billed_units": {"input_tokens": 7, "output_tokens": 3}, "tokens": {"input_tokens": 70, "output_tokens": 9}}
REPLY = {
    "id": "r1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
    "usage": USED,
}
START = {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant", "content": []}}}
VECTORS = {"id": "e1", "embeddings": {"float": [[0.5, -2.0]]}, "meta": {"billed_units": {"input_tokens": 5}}}


def text(piece, kind="delta", **more):
    return {"type": f"content-{kind}", "index": 0, "delta": {"message": {"content": {"text": piece, **more}}}}


def end(reason="COMPLETE"):
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USED}}


def manifest(folder, more=""):
    path = Path(folder) / "cohere.yaml"
    path.write_text(MANIFEST.format(more=more, key=KEY))
    return path


@asynccontextmanager
async def app_of(path, sink=None, **options):
    sinks = [sink] if sink is not None else []
    app = build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Cohere()], sinks=sinks, **options)
    try:
        yield app
    finally:
        await app.close()


@asynccontextmanager
async def sdk_of(app):
    transport = httpx2.ASGITransport(app=app)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        AsyncOpenAI(base_url="http://gateway.test/v1", api_key=TOKEN, http_client=http, max_retries=0) as client,
    ):
        yield client


class Scripted:
    """A provider on loopback that gives its replies in order, and keeps what it was asked."""

    def __init__(self):
        self.replies = []
        self.asked = []

    async def answer(self, request):
        self.asked.append((request.path, request.headers.copy(), await request.json()))
        status, body, headers = self.replies.pop(0)
        return web.Response(status=status, body=body, headers=headers)

    def whole(self, message, status=200, **headers):
        self.replies.append((status, msgspec.json.encode(message), {"content-type": "application/json", **headers}))

    def stream(self, body):
        self.replies.append((200, body, {"content-type": "text/event-stream"}))


@pytest.fixture
async def scripted():
    """With its `base_url`."""
    provider = Scripted()
    app = web.Application()
    app.router.add_post("/{path:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield provider
    await runner.cleanup()


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def gateway(scripted, tmp_path, sink):
    async with app_of(manifest(tmp_path, f"base_url: {scripted.base_url}"), sink) as app:
        yield app


@pytest.fixture
async def sdk(gateway):
    async with sdk_of(gateway) as client:
        yield client


async def recorded(gateway, sink):
    """Records are written when nobody waits, and all of them before it is closed."""
    await gateway.close()
    return sink.records[-1]


async def words_of(stream, came):
    async for chunk in stream:
        came += [choice.delta.content for choice in chunk.choices if choice.delta.content]


async def test_a_whole_answer(gateway, sdk, scripted, sink):
    """`command-a-03-2025` has a public price: 2.50 and 10 dollars for a million tokens, of those that are billed."""
    scripted.whole(REPLY)

    raw = await sdk.chat.completions.with_raw_response.create(
        model="co/a", messages=HELLO, user="ann", temperature=0.5, max_tokens=99
    )

    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.usage.total_tokens, answer.model) == ("hello", 10, "co/a")
    assert raw.headers["x-gateway-dropped-params"] == "user"
    [(path, headers, body)] = scripted.asked
    assert (path, headers["authorization"]) == ("/v2/chat", f"Bearer {KEY}")
    assert body == {
        "model": "command-a-03-2025",
        "messages": [{"role": "user", "content": "Say hello"}],
        "max_tokens": 99,
        "temperature": 0.5,
    }
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, Usage(input=7, output=3))
    assert record.cost_nanousd == 47_500


async def test_a_stream_with_a_call(gateway, sdk, scripted, sink, events):
    def call(kind, **fields):
        return {"type": f"tool-call-{kind}", "index": 0, "delta": {"message": {"tool_calls": fields}}}

    scripted.stream(
        events(
            START,
            {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look."}}},
            call("start", id="c1", type="function", function={"name": "get_weather", "arguments": ""}),
            call("delta", function={"arguments": '{"city":"Rome"}'}),
            {"type": "tool-call-end", "index": 0},
            end("TOOL_CALL"),
        )
    )

    async with sdk.chat.completions.stream(
        model="co/plus", messages=HELLO, tools=[WEATHER], stream_options={"include_usage": True}
    ) as stream:
        answer = await stream.get_final_completion()

    [called] = answer.choices[0].message.tool_calls
    assert (called.id, called.function.name, called.function.arguments) == ("c1", "get_weather", '{"city":"Rome"}')
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("tool_calls", 3)
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, Usage(input=7, output=3))


async def test_an_answer_by_a_schema(sdk, scripted):
    scripted.whole(REPLY | {"message": {"role": "assistant", "content": [{"type": "text", "text": '{"name":"Rome"}'}]}})
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }

    answer = await sdk.chat.completions.create(
        model="co/plus",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}},
    )

    assert json.loads(answer.choices[0].message.content) == {"name": "Rome"}
    assert scripted.asked[0][2]["response_format"] == {"type": "json_object", "json_schema": schema}


async def test_a_picture(sdk, scripted):
    scripted.whole(REPLY)
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

    await sdk.chat.completions.create(model="co/plus", messages=[{"role": "user", "content": [part]}])

    assert scripted.asked[0][2]["messages"][0]["content"] == [part]


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (402, openai.APIStatusError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (498, openai.APIStatusError),
        (500, openai.InternalServerError),
        (501, openai.InternalServerError),
        (503, openai.InternalServerError),
        (504, openai.InternalServerError),
    ],
)
async def test_errors_by_class(sdk, scripted, status, raised):
    """In the caller's words, with the status and the message of Cohere; the key is never among them."""
    scripted.whole({"message": f"no: {KEY}"}, status=status, **{"retry-after": "7"})

    with pytest.raises(raised) as refused:
        await sdk.chat.completions.create(model="co/plus", messages=HELLO)

    error = refused.value
    assert (error.status_code, error.response.headers["retry-after"]) == (status, "7")
    assert KEY not in error.response.text
    if status == 401:  # whose key it was, the caller is not told
        assert error.code == "upstream_authentication_error"
    else:
        assert error.body["message"].startswith("no: ")


async def test_an_error_in_the_middle_of_a_stream(gateway, sdk, scripted, sink, events):
    broken = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "out of memory", "usage": USED}}
    scripted.stream(events(START, text("", "start", type="text"), text("hel"), broken))
    stream = await sdk.chat.completions.create(model="co/plus", messages=HELLO, stream=True)
    came = []

    with pytest.raises(openai.APIError, match="out of memory"):
        await words_of(stream, came)

    assert came == ["hel"]
    record = await recorded(gateway, sink)
    assert (record.outcome, record.usage) == (Outcome.UPSTREAM_BROKE, Usage(input=7, output=3))


async def test_what_is_refused_here_is_not_asked(sdk, scripted):
    with pytest.raises(openai.BadRequestError, match="leave out n"):
        await sdk.chat.completions.create(model="co/plus", messages=HELLO, n=2)

    assert scripted.asked == []


async def test_embeddings(gateway, sdk, scripted, sink):
    """OpenAI's SDK asks for base64 by itself. A million tokens of `embed-v4.0` cost 0.12 dollars."""
    scripted.whole(VECTORS)

    answer = await sdk.embeddings.create(
        model="co/embed", input="a", dimensions=256, extra_body={"input_type": "search_document"}
    )

    assert (answer.data[0].embedding, answer.usage.prompt_tokens) == ([0.5, -2.0], 5)
    [(path, _, body)] = scripted.asked
    assert path == "/v2/embed"
    assert body == {
        "model": "embed-v4.0",
        "texts": ["a"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    record = await recorded(gateway, sink)
    assert (record.usage, record.cost_nanousd) == (Usage(input=5), 600)


async def test_what_texts_are_embedded_for(sdk, scripted):
    """Who cannot say so asks for a model whose manifest does."""
    scripted.whole(VECTORS)
    scripted.whole(VECTORS)

    await sdk.embeddings.create(model="co/queries", input="a")
    await sdk.embeddings.create(model="co/queries", input="a", extra_body={"input_type": "clustering"})
    with pytest.raises(openai.BadRequestError, match="needs an input_type"):
        await sdk.embeddings.create(model="co/embed", input="a")

    assert [body["input_type"] for _, _, body in scripted.asked] == ["search_query", "clustering"]


class Rerank:
    """Cohere's own API, as a dialect."""

    name = "rerank"
    routes = (("POST", "/rerank"),)
    model_type = "rerank"
    accepts = JsonBody
    max_body_bytes = None

    def parse(self, request: Request) -> Ask:
        return Ask(msgspec.json.decode(request.body.fields["model"]), has_output=False)

    def reading(self, call: Call, head):
        return BodyReading()

    def error(self, error):
        return msgspec.json.encode({"message": error.message})

    stream_error = error


async def test_rerank_is_spoken_as_it_is(tmp_path):
    ranked = b'{"id":"k1","results":[{"index":1,"relevance_score":0.9}]}'
    upstream = FakeUpstream((200, [ranked]), (400, [b'{"message":"no documents"}']))
    ask = {"model": "co/rerank", "query": "q", "documents": ["a", "b"], "top_n": 1}
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with app_of(manifest(tmp_path), dialects=[Rerank()], network=upstream) as app:
        answer = await post(app, "/v1/rerank", ask, headers=headers)
        refused = await post(app, "/v1/rerank", ask, headers=headers)

    assert (answer.status, answer.body) == (200, ranked)
    assert upstream.requests[0].endpoint.url == "https://api.cohere.com/v2/rerank"
    assert upstream.asked(0) == ask | {"model": "rerank-v4.0-pro"}
    assert (refused.status, refused.json()) == (400, {"message": "no documents"})


async def test_an_account_needs_a_key(tmp_path):
    path = tmp_path / "cohere.yaml"
    path.write_text("type: provider-account/cohere\nname: co\nintegrations: []\n")

    with pytest.raises(ConfigError, match="auth_data"):
        build_app(path, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, providers=[Cohere()])


@pytest.fixture
async def llmock_sdk(tmp_path):
    """OpenAI's SDK, the gateway, and llmock's Cohere behind it."""
    with LLMockServer() as server:
        path = manifest(tmp_path, f"base_url: {server.base_url('cohere')}")
        async with app_of(path) as app, sdk_of(app) as client:
            yield client


async def test_llmock_whole_and_streamed(llmock_sdk):
    """Somebody else's idea of the API."""
    answer = await llmock_sdk.chat.completions.create(model="co/plus", messages=HELLO)
    stream = await llmock_sdk.chat.completions.create(
        model="co/plus", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 0
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 0


async def test_llmock_calls_tools(llmock_sdk):
    ask = {"model": "co/plus", "messages": HELLO, "tools": [WEATHER], "tool_choice": "required"}
    whole = await llmock_sdk.chat.completions.create(**ask)
    async with llmock_sdk.chat.completions.stream(**ask) as stream:
        streamed = await stream.get_final_completion()

    for answer in (whole, streamed):
        [called] = answer.choices[0].message.tool_calls
        assert (called.function.name, answer.choices[0].finish_reason) == ("get_weather", "tool_calls")
        assert isinstance(json.loads(called.function.arguments), dict)

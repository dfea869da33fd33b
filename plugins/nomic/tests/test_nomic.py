"""Embeddings of Nomic in the shape of OpenAI's."""

import httpx2
import openai
import pytest
from gateway_nomic.provider import Nomic

from gateway import build_app
from gateway.testing import FakeUpstream, ListSink, post

TOKEN = "gw-test-0123456789abcdef"
AUTH = {"authorization": f"Bearer {TOKEN}"}
PATH = "/v1/embeddings"
MANIFEST = """\
type: provider-account/nomic
name: nomic
auth_data: {type: api-key, api_key: canary-key}
integrations:
  - type: integration/model/nomic
    name: text
    model_id: nomic-embed-text-v1.5
    model_types: [embedding, chat]
    cost: {metric: per_1000_embedding_tokens, value: 0.0001}
"""
ANSWER = (
    b'{"embeddings":[[0.5,-2.0],[1.0,0.25]],"usage":{"prompt_tokens":10,"total_tokens":10},'
    b'"model":"nomic-embed-text-v1.5"}'
)


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def app_with(sink, tmp_path):
    apps = []

    def make(*replies):
        path = tmp_path / "nomic.yaml"
        path.write_text(MANIFEST)
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        apps.append(build_app(path, environ=environ, providers=[Nomic()], network=upstream, sinks=[sink]))
        return apps[-1], upstream

    yield make
    for app in apps:
        await app.close()


async def test_texts_are_embedded(app_with, sink):
    app, upstream = app_with((200, [ANSWER]))

    answer = await post(app, PATH, {"model": "nomic/text", "input": ["a", "b"]}, headers=AUTH)
    await app.close()

    assert answer.json() == {
        "object": "list",
        "data": [
            {"embedding": [0.5, -2.0], "index": 0, "object": "embedding"},
            {"embedding": [1.0, 0.25], "index": 1, "object": "embedding"},
        ],
        "model": "nomic-embed-text-v1.5",
        "usage": {"prompt_tokens": 10, "total_tokens": 10},
    }
    assert upstream.asked() == {"model": "nomic-embed-text-v1.5", "texts": ["a", "b"]}
    assert upstream.requests[0].endpoint.url == "https://api-atlas.nomic.ai/v1/embedding/text"
    assert b"authorization: Bearer canary-key\r\n" in upstream.requests[0].endpoint.head
    assert (sink.records[0].usage.input_tokens, sink.records[0].cost_nanousd) == (10, 1000)


async def test_openais_client_gets_the_base64_it_asks_for(app_with):
    """By default it does, and its JavaScript sister reads nothing else."""
    app, _ = app_with((200, [ANSWER]))
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    async with openai.AsyncOpenAI(base_url="http://gateway.test/v1", api_key=TOKEN, http_client=http) as client:
        read = await client.embeddings.create(model="nomic/text", input="a")
    raw = await post(app, PATH, {"model": "nomic/text", "input": "a", "encoding_format": "base64"}, headers=AUTH)

    assert [each.embedding for each in read.data] == [[0.5, -2.0], [1.0, 0.25]]
    assert [each["embedding"] for each in raw.json()["data"]] == ["AAAAPwAAAMA=", "AACAPwAAgD4="]


async def test_fields_get_its_names_and_the_rest_is_told(app_with):
    app, upstream = app_with((200, [ANSWER]))
    more = {"dimensions": 64, "encoding_format": None, "task_type": "search_query", "user": "u"}

    answer = await post(app, PATH, {"model": "nomic/text", "input": "a", **more}, headers=AUTH)

    assert upstream.asked() == {
        "model": "nomic-embed-text-v1.5",
        "texts": ["a"],
        "task_type": "search_query",
        "dimensionality": 64,
    }
    assert answer.headers["x-gateway-dropped-params"] == "user"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (PATH, {"input": [1, 2]}, "this model takes a text, or a list of texts, and no tokens"),
        (PATH, {}, 'the field "input" is missing'),
        ("/v1/chat/completions", {"messages": []}, "the provider of nomic/text has no API for chat"),
    ],
)
async def test_what_it_cannot_do_is_refused(app_with, path, body, message):
    app, upstream = app_with((200, [ANSWER]))

    answer = await post(app, path, {"model": "nomic/text", **body}, headers=AUTH)

    assert (answer.status, answer.json()["error"]["message"], upstream.requests) == (400, message, [])


@pytest.mark.parametrize("at", range(1, len(ANSWER), 7))
async def test_an_answer_may_come_in_pieces(app_with, at):
    app, _ = app_with((200, [ANSWER[:at], ANSWER[at:]]))

    answer = await post(app, PATH, {"model": "nomic/text", "input": "a"}, headers=AUTH)

    assert len(answer.json()["data"]) == 2


@pytest.mark.parametrize(
    ("reply", "status", "message"),
    [
        ((400, [b'{"detail":"no such model"}']), 400, "no such model"),
        ((429, [b'{"detail":"slow down"}'], {"retry-after": "3"}), 429, "slow down"),
        ((200, [b'{"detail":"x"}']), 502, "the provider was asked for embeddings and answered with something else"),
        ((200, [ANSWER[:-9]]), 502, "the provider was asked for embeddings and answered with something else"),
    ],
)
async def test_a_failure_is_told_in_openais_shape(app_with, reply, status, message):
    app, _ = app_with(reply)

    answer = await post(app, PATH, {"model": "nomic/text", "input": "a"}, headers=AUTH)

    assert (answer.status, answer.json()["error"]["message"]) == (status, message)
    assert answer.headers.get("retry-after") == (reply[2]["retry-after"] if len(reply) > 2 else None)

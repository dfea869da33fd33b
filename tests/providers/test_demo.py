"""The model that needs no key: it has to behave like a real one, since first steps and tests are made with it."""

import json

import pytest

from gateway.app import build_app
from gateway.contract.usage import Usage
from gateway.testing import ListSink, post
from gateway.wire.sse import EventSplitter, data_of

TOKEN = "gw-test-0123456789abcdef"
AUTH = {"authorization": f"Bearer {TOKEN}"}
ASK = {"model": "demo/echo", "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture
async def ask(tmp_path):
    """`await ask(path, body)`: the answer of the demo model, and the usage in the log."""
    manifest = tmp_path / "demo.yaml"
    manifest.write_text("{type: provider-account/demo, name: demo, delay_s: 0}")
    sink = ListSink()
    app = build_app(manifest, environ={"GATEWAY_ADMIN_TOKEN": TOKEN}, sinks=[sink])

    records = next(part for part in app.parts if part.name == "log")

    async def make(path, body):
        answer = await post(app, path, body, headers=AUTH)
        await records.flush()
        return answer, sink.records[-1].usage

    yield make
    await app.close()


def events_of(answer):
    return [data_of(event) for event in EventSplitter().feed(answer.body)]


async def test_says_what_it_was_told(ask):
    answer, usage = await ask("/v1/chat/completions", ASK)

    assert answer.status == 200
    assert answer.json()["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}
    ]
    assert usage == Usage(input=2, output=2)


async def test_streams_word_by_word(ask):
    answer, usage = await ask("/v1/chat/completions", {**ASK, "stream": True})

    *events, done = events_of(answer)
    choices = [json.loads(event)["choices"][0] for event in events]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"content": "one"},
        {"content": " two"},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    assert done == b"[DONE]"
    assert usage == Usage(input=2, output=2)


async def test_reports_usage_to_those_who_ask(ask):
    answer, _ = await ask("/v1/chat/completions", {**ASK, "stream": True, "stream_options": {"include_usage": True}})

    last = json.loads(events_of(answer)[-2])
    assert (last["choices"], last["usage"]) == (
        [],
        {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    )


async def test_takes_content_in_parts(ask):
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "two"}]

    answer, _ = await ask("/v1/chat/completions", {**ASK, "messages": [{"role": "user", "content": parts}]})

    assert answer.json()["choices"][0]["message"]["content"].split() == ["one", "two"]


async def test_completes_a_prompt(ask):
    answer, usage = await ask("/v1/completions", {"model": "demo/echo", "prompt": "one two"})

    assert answer.json()["choices"][0]["text"] == "one two"
    assert usage == Usage(input=2, output=2)


async def test_streams_a_completion(ask):
    answer, _ = await ask("/v1/completions", {"model": "demo/echo", "prompt": "one two", "stream": True})

    *events, done = events_of(answer)
    assert [json.loads(event)["choices"][0]["text"] for event in events] == ["one", " two", ""]
    assert done == b"[DONE]"


async def test_gives_the_same_vector_for_the_same_text(ask):
    answer, usage = await ask("/v1/embeddings", {"model": "demo/echo", "input": ["one", "two", "one"]})

    vectors = [item["embedding"] for item in answer.json()["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert [len(vector) for vector in vectors] == [16, 16, 16]
    assert [sum(x * x for x in vector) for vector in vectors] == pytest.approx([1.0, 1.0, 1.0])
    assert usage == Usage(input=3)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("hi", "Expected `array`, got `str` - at `$.messages`"),
        (["hi"], "Expected `object`, got `str` - at `$.messages[0]`"),
        ([], "messages must not be empty"),
        (None, "Expected `array`, got `null` - at `$.messages`"),
    ],
)
async def test_refuses_bad_messages_as_a_provider_would(ask, messages, message):
    answer, _ = await ask("/v1/chat/completions", {**ASK, "messages": messages})

    assert answer.status == 400
    assert answer.json() == {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    }

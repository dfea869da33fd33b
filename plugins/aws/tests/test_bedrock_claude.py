"""Anthropic's own SDK on one side, a server that behaves like InvokeModel on the other: nothing is translated."""

from base64 import b64encode

import anthropic
import httpx2
import msgspec
import pytest
from gateway_aws.bedrock import Bedrock
from gateway_aws.claude import reading_of, verbatim_for
from gateway_aws.frames import CONTENT_TYPE

from gateway import build_app
from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff
from gateway.testing import FakeUpstream, ListSink
from gateway.translators import translator

TOKEN = "gw-test-0123456789abcdef"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
MANIFEST = """\
type: provider-account/aws-bedrock
name: bedrock
region: us-east-1
auth_data: {type: access-key-based, access_key_id: AKIDEXAMPLE, secret_access_key: canary-secret}
integrations:
  - type: integration/model/bedrock
    name: sonnet
    model_id: us.anthropic.claude-sonnet-4-5-20250929-v1:0
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.003, output: 0.015, cache_read: 0.0003, cache_write: 0.00375}}
"""
USAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 0}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
MESSAGE = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [THOUGHT, {"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
METRICS = {"inputTokenCount": 10, "outputTokenCount": 5, "invocationLatency": 9, "firstByteLatency": 3}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "usage": {**USAGE, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]
ASK = {"max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
RICH = {
    **ASK,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "max_tokens": 2048,
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "stop_sequences": ["x"],
    "metadata": {"user_id": "u"},
}


@pytest.fixture
def chunks(frame):
    """`chunks(event, ...)`: AWS's frames around them."""
    return lambda *events: [
        frame("chunk", {"bytes": b64encode(msgspec.json.encode(event)).decode(), "p": "abcdef"}) for event in events
    ]


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def sdk(tmp_path, sink):
    """`sdk(replies)`: Anthropic's client, and what the server was asked."""
    apps = []

    def make(*replies, more=""):
        (tmp_path / "bedrock.yaml").write_text(MANIFEST + more)
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        app = build_app(
            tmp_path / "bedrock.yaml", environ=environ, providers=[Bedrock()], network=upstream, sinks=[sink]
        )
        apps.append(app)
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        client = anthropic.AsyncAnthropic(
            api_key=TOKEN, base_url="http://gateway.test", max_retries=0, http_client=http
        )
        client.app = app
        return client, upstream.requests

    yield make
    for app in apps:
        await app.close()


def sent_by_the_sdk_itself(**fields):
    """What Anthropic's client for Bedrock sends there."""
    seen = []

    def answer(request):
        seen.append((request.url.raw_path.decode(), msgspec.json.decode(request.content)))
        return httpx2.Response(200, json=MESSAGE)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = anthropic.AnthropicBedrock(api_key="x", aws_region="us-east-1", http_client=http)
    client.messages.create(model=MODEL, **fields)
    return seen[0]


async def test_a_message_goes_there_as_anthropics_own_client_would_send_it(sdk, sink):
    client, asked = sdk((200, [msgspec.json.encode(MESSAGE)]))
    betas = {"anthropic-beta": "interleaved-thinking-2025-05-14"}

    answer = await client.messages.create(model="bedrock/sonnet", **RICH, extra_headers=betas)
    await client.app.close()

    assert answer.content[0].signature == "c2ln"
    assert answer.id == "msg_bdrk_1"
    assert asked[0].endpoint.url == f"{URL}/invoke"
    assert b"/us-east-1/bedrock/aws4_request" in asked[0].endpoint.head
    assert TOKEN.encode() not in asked[0].endpoint.head
    path, body = sent_by_the_sdk_itself(**RICH, extra_headers=betas)
    assert path == f"/model/{MODEL}/invoke"
    assert msgspec.json.decode(asked[0].body) == body
    (record,) = sink.records
    assert record.usage == Usage(input=10, cache_read=1000, output=5)
    # 10 x $3 and 1000 x $0.3 and 5 x $15 for a million tokens.
    assert record.cost_nanousd == 405_000


async def test_the_account_may_name_betas_that_bedrock_has_come_to_know(sdk):
    client, asked = sdk((200, [msgspec.json.encode(MESSAGE)]), more='anthropic_betas: ["new-*", newest-2027-01-01]\n')
    betas = "context-1m-2025-08-07,new-1-2026-12-01,newest-2027-01-01,claude-code-20250219"

    raw = await client.messages.with_raw_response.create(
        model="bedrock/sonnet", **ASK, extra_headers={"anthropic-beta": betas}
    )

    assert msgspec.json.decode(asked[0].body)["anthropic_beta"] == [
        "new-1-2026-12-01",
        "newest-2027-01-01",
        "context-1m-2025-08-07",
    ]
    assert raw.headers["x-gateway-dropped-params"] == "anthropic-beta"


@pytest.mark.parametrize("size", [1, 50, 100_000])
async def test_a_stream_is_anthropics_own(sdk, sink, chunks, size):
    data = b"".join(chunks(*EVENTS))
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    client, asked = sdk((200, pieces, {"content-type": CONTENT_TYPE}))

    async with client.messages.stream(model="bedrock/sonnet", **ASK) as stream:
        texts = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    await client.app.close()

    assert (texts, final.usage.output_tokens, final.usage.cache_read_input_tokens) == (["hel", "lo"], 5, 1000)
    assert asked[0].endpoint.url == f"{URL}/invoke-with-response-stream"
    assert msgspec.json.decode(asked[0].body) == {"anthropic_version": "2026-10-21", **ASK}
    assert sink.records[0].usage == Usage(input=10, cache_read=1000, output=5)
    assert sink.records[0].outcome == "complete"


async def test_what_is_thrown_before_an_answer_is_a_status(sdk, frame):
    thrown = frame("throttlingException", {"message": "slow down"}, kind="exception")
    client, _ = sdk((200, [thrown], {"content-type": CONTENT_TYPE}))

    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        await client.messages.create(model="bedrock/sonnet", **ASK, stream=True)


async def test_what_breaks_in_the_middle_is_told(sdk, chunks, frame, sink):
    broken = frame("modelStreamErrorException", {"message": "it broke"}, kind="exception")
    client, _ = sdk((200, [*chunks(*EVENTS[:4]), broken], {"content-type": CONTENT_TYPE}))

    with pytest.raises(anthropic.APIStatusError, match="it broke"):
        async for _ in await client.messages.create(model="bedrock/sonnet", **ASK, stream=True):
            pass
    await client.app.close()

    assert (sink.records[0].outcome, sink.records[0].usage.estimated) == ("upstream_broke", True)


async def test_a_refusal_is_in_anthropics_words(sdk):
    body = b'{"message":"messages: too long"}'
    client, _ = sdk((400, [body], {"x-amzn-errortype": "ValidationException"}))

    with pytest.raises(anthropic.BadRequestError, match="messages: too long"):
        await client.messages.create(model="bedrock/sonnet", **ASK)


@pytest.mark.parametrize(
    ("headers", "fields", "betas", "dropped"),
    [
        ({}, {}, None, ()),
        (
            {"anthropic-beta": "context-1m-2025-08-07, effort-2025-11-24"},
            {},
            ["context-1m-2025-08-07", "effort-2025-11-24"],
            (),
        ),
        ({"anthropic-beta": "claude-code-20250219"}, {}, None, ("anthropic-beta",)),
        ({}, {"anthropic_beta": ["claude-code-20250219"]}, ["claude-code-20250219"], ()),
        ({}, {"anthropic_beta": None}, None, ()),
        (
            {"anthropic-beta": "claude-code-20250219,context-1m-2025-08-07"},
            {"anthropic_beta": ["context-1m-2025-08-07"]},
            ["context-1m-2025-08-07"],
            ("anthropic-beta",),
        ),
        (
            {"anthropic-beta": "context-management-2025-06-27"},
            {"context_management": {"edits": []}},
            ["context-management-2025-06-27"],
            (),
        ),
        (
            {},
            {"context_management": {"edits": []}, "service_tier": "auto"},
            None,
            ("context_management", "service_tier"),
        ),
    ],
)
def test_betas_are_a_field_and_only_those_that_bedrock_knows(message, headers, fields, betas, dropped):
    """LL#20021, envoyproxy/ai-gateway#2148: with one that it does not know, it refuses all of the request. Who writes
    the field means Bedrock."""
    call = message(headers, **fields)

    body = verbatim_for(call, MODEL, translator).request(call, MODEL)

    said = msgspec.json.decode(msgspec.json.encode(body.fields))
    assert (said.get("anthropic_beta"), body.dropped_params) == (betas, dropped)
    assert said.keys() & {"model", "stream", "service_tier"} == set()


@pytest.mark.parametrize(
    ("headers", "fields", "version"),
    [
        ({}, {}, "bedrock-2023-05-31"),
        ({"anthropic-version": "2023-06-01"}, {}, "bedrock-2023-05-31"),
        ({"anthropic-version": "2026-10-21"}, {}, "2026-10-21"),
        ({"anthropic-version": "2026-10-21"}, {"anthropic_version": "bedrock-2023-05-31"}, "bedrock-2023-05-31"),
    ],
)
def test_the_version_is_the_callers(message, headers, fields, version):
    """Who speaks a later one could not read the answers of the first."""
    call = message(headers, **fields)

    body = verbatim_for(call, MODEL, translator).request(call, MODEL)

    assert msgspec.json.decode(body.fields["anthropic_version"]) == version


def test_betas_that_are_no_list_are_refused(message):
    call = message(anthropic_beta="context-1m-2025-08-07")

    with pytest.raises(BadRequest, match="a list of names"):
        verbatim_for(call, MODEL, translator).request(call, MODEL)


def test_others_are_translated(message, chat):
    """Other models, other APIs, and Claude as long as nobody knows how to put it."""
    assert verbatim_for(message(), "amazon.nova-pro-v1:0", translator) is None
    assert verbatim_for(chat(), MODEL, translator) is None
    assert verbatim_for(message(), MODEL, lambda dialect, format_: None) is None


@pytest.mark.parametrize("payload", [b"{}", b'{"bytes":"!"}', b'{"bytes":"e30"}', b'{"bytes":"W10="}'])
def test_what_is_no_event(message, frame, payload):
    reading = reading_of(message(stream=True), Head(200, {"content-type": CONTENT_TYPE}))

    with pytest.raises(BrokeOff):
        reading.feed(frame("chunk", payload))

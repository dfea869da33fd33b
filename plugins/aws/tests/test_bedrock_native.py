"""Bedrock's runtime as AWS's own SDK calls it, through the gateway: what goes on, how it is signed, what is billed."""

import asyncio
import io
from base64 import b64encode

import botocore.session
import msgspec
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from gateway_aws.bedrock import Bedrock
from gateway_aws.frames import CONTENT_TYPE
from gateway_aws.native import NativeReading

from gateway import build_app
from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, request

TOKEN = "gw-test-0123456789abcdef"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MANIFEST = """\
type: provider-account/aws-bedrock
name: bedrock
region: eu-central-1
auth_data: {type: access-key-based, access_key_id: AKIDEXAMPLE, secret_access_key: canary-secret}
integrations:
  - type: integration/model/bedrock
    name: sonnet
    model_id: us.anthropic.claude-sonnet-4-5-20250929-v1:0
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.003, output: 0.015}}
"""
USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
ANSWER = msgspec.json.encode(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
        "stopReason": "end_turn",
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
    }
)
METRICS = {"inputTokenCount": 10, "outputTokenCount": 5, "invocationLatency": 1}
CONVERSE = "/bedrock/proxy/model/bedrock%2Fsonnet/converse"


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def app_of(tmp_path, sink):
    made = []

    def make(*replies):
        path = tmp_path / "bedrock.yaml"
        path.write_text(MANIFEST)
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        app = build_app(path, environ=environ, providers=[Bedrock()], network=upstream, sinks=[sink])
        made.append(app)
        return app, upstream

    yield make
    for app in made:
        await app.close()


class Raw(io.BytesIO):
    """As urllib3 has it."""

    def stream(self, **_):
        yield self.read()


@pytest.fixture
def sdk(monkeypatch):
    """`await sdk(app, "converse", modelId=...)`: a call of botocore's client, whose requests go to the app."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", TOKEN)

    async def ask(app, operation, **params):
        loop = asyncio.get_running_loop()

        def send(request, **_):
            path = request.url.removeprefix("https://gateway.test")
            headers = {
                name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()
            }
            sent = asyncio.run_coroutine_threadsafe(_posted(app, path, request.body, headers), loop).result(10)
            return AWSResponse(request.url, sent.status, sent.headers, Raw(sent.body))

        def call():
            client = botocore.session.Session().create_client(
                "bedrock-runtime",
                region_name="us-east-1",
                endpoint_url="https://gateway.test/bedrock/proxy",
                config=Config(retries={"total_max_attempts": 1}),
            )
            client.meta.events.register("before-send.bedrock-runtime", send)
            return getattr(client, operation)(**params)

        return await asyncio.to_thread(call)

    return ask


async def _posted(app, path, body, headers):
    return await request(app, "POST", path, body or b"", headers={k.lower(): v for k, v in headers.items()})


async def test_an_answer(app_of, sdk, sink):
    app, upstream = app_of((200, [ANSWER]))

    answer = await sdk(
        app,
        "converse",
        modelId="bedrock/sonnet",
        messages=[{"role": "user", "content": [{"text": "hi"}]}],
        inferenceConfig={"maxTokens": 9},
    )
    await app.close()

    assert answer["output"]["message"]["content"] == [{"text": "hello"}]
    [sent] = upstream.requests
    assert sent.endpoint.url == (
        "https://bedrock-runtime.eu-central-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    )
    assert msgspec.json.decode(sent.body)["inferenceConfig"] == {"maxTokens": 9}
    assert b"authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" in sent.endpoint.head
    assert b"/eu-central-1/bedrock/aws4_request" in sent.endpoint.head
    assert TOKEN.encode() not in sent.endpoint.head
    [record] = sink.records
    assert (record.model, record.usage) == ("bedrock/sonnet", Usage(input=10, output=5))
    assert record.cost_nanousd == 10 * 3000 + 5 * 15000


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("bedrock/other", 404, "ResourceNotFoundException"), ("bedrock/sonnet", 424, "ModelErrorException")],
)
async def test_errors_are_the_sdks_own(app_of, sdk, model, status, code):
    """The gateway's, and those of AWS."""
    app, _ = app_of((424, [b'{"message":"why"}'], {"x-amzn-errortype": "ModelErrorException"}))

    with pytest.raises(ClientError) as raised:
        await sdk(app, "converse", modelId=model, messages=[{"role": "user", "content": [{"text": "hi"}]}])

    answer = raised.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code)


async def test_a_stream_goes_on_to_the_byte(app_of, frame, sink):
    stream = frame("contentBlockDelta", {"delta": {"text": "a"}}) + frame("metadata", {"usage": USAGE})
    app, _ = app_of((200, [stream[:9], stream[9:]], {"content-type": CONTENT_TYPE}))

    answer = await request(app, "POST", f"{CONVERSE}-stream", b"{}", headers={"authorization": f"Bearer {TOKEN}"})
    await app.close()

    assert (answer.headers["content-type"], answer.body) == (CONTENT_TYPE, stream)
    assert sink.records[0].usage == Usage(input=10, output=5)


async def test_headers_of_the_api_are_signed_as_well(app_of):
    app, upstream = app_of((200, [b"{}"]))
    headers = {"authorization": f"Bearer {TOKEN}", "x-amzn-bedrock-trace": "ENABLED", "x-amz-date": "1"}

    await request(app, "POST", CONVERSE.replace("converse", "invoke"), b'{"a":1}', headers=headers)

    head = upstream.requests[0].endpoint.head
    assert b"x-amzn-bedrock-trace: ENABLED\r\n" in head
    assert b"SignedHeaders=content-type;host;x-amz-date;x-amzn-bedrock-trace," in head
    assert b"x-amz-date: 1\r\n" not in head


def reading_of(head, body):
    reading = NativeReading(head, is_free=False)
    for at in range(len(body)):
        assert reading.feed(body[at : at + 1]) == body[at : at + 1]
    reading.end()
    return reading.usage()


def test_what_invoke_used_stands_in_headers():
    """Whatever the body of the model looks like."""
    counts = {"x-amzn-bedrock-input-token-count": "10", "x-amzn-bedrock-output-token-count": "5"}

    assert reading_of(Head(200, counts), b'{"usage":{"input_tokens":1}}') == Usage(input=10, output=5)
    assert reading_of(Head(200, {}), b'{"usage":{"input_tokens":1}}') is None
    assert reading_of(Head(200, {}), ANSWER) == Usage(input=10, output=5)


def test_what_a_stream_of_invoke_used_stands_in_its_last_piece(frame):
    last = {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}
    pieces = [frame("chunk", {"bytes": b64encode(msgspec.json.encode(each)).decode()}) for each in ({"a": 1}, last)]

    assert reading_of(Head(200, {"content-type": CONTENT_TYPE}), b"".join(pieces)) == Usage(input=10, output=5)


def test_a_damaged_stream_goes_on(frame):
    """It is for the client to judge."""
    body = frame("metadata", {"usage": USAGE}) + b"\0" * 40

    assert reading_of(Head(200, {"content-type": CONTENT_TYPE}), body) == Usage(input=10, output=5)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (b'{"images":["AAAA","AAAA"],"error":null}', Usage(images=2)),
        (b'{"seeds":[1],"finish_reasons":[null],"images":["AAAA"]}', Usage(images=1)),
        (b'{"images":[],"error":"held back"}', None),
        (b'{"completion":"the field \\"images\\" : []"}', None),
    ],
)
def test_pictures_of_invoke_are_counted(said, usage):
    assert reading_of(Head(200, {}), said) == usage

"""SageMaker's runtime as AWS's own SDK calls it, through the gateway: whatever JSON a container speaks."""

import asyncio
import io
import json

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from gateway_aws.frames import CONTENT_TYPE
from gateway_aws.native import ContainerReading
from gateway_aws.sagemaker import SageMaker

from gateway import build_app
from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.testing import FakeUpstream, ListSink, request

TOKEN = "gw-test-0123456789abcdef"
MANIFEST = """\
type: provider-account/aws-sagemaker
name: sm
region: us-east-1
auth_data: {type: access-key-based, access_key_id: AKIDEXAMPLE, secret_access_key: canary-secret}
integrations:
  - type: integration/model/sagemaker
    name: llama
    model_id: my-endpoint
    region: eu-west-1
    model_types: [chat]
    cost: {metric: per_1000_tokens, value: {input: 0.003, output: 0.015}}
"""
AT = "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/my-endpoint"
USED = b'"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}'
ANSWER = b'{"generated_text": "hello", %b}' % USED
EVENTS = b'data: {"token": "hel"}\n\ndata: {"token": "lo", %b}\n\n' % USED


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
async def app_of(tmp_path, sink):
    made = []

    def make(*replies):
        (tmp_path / "sm.yaml").write_text(MANIFEST)
        upstream = FakeUpstream(*replies)
        environ = {"GATEWAY_ADMIN_TOKEN": TOKEN}
        path = tmp_path / "sm.yaml"
        app = build_app(path, environ=environ, providers=[SageMaker()], network=upstream, sinks=[sink])
        made.append(app)
        return app, upstream.requests

    yield make
    for app in made:
        await app.close()


class Raw(io.BytesIO):
    """As urllib3 has it."""

    def stream(self, **_):
        yield self.read()


async def sdk(app, operation, **params):
    """A call of botocore's client, which signs nothing, whose requests go to the app with a token."""
    loop = asyncio.get_running_loop()

    def send(request, **_):
        path = request.url.removeprefix("https://gateway.test")
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        asked = _posted(app, path, request.body, headers | {"x-tfy-api-key": TOKEN})
        sent = asyncio.run_coroutine_threadsafe(asked, loop).result(10)
        return AWSResponse(request.url, sent.status, sent.headers, Raw(sent.body))

    def call():
        client = botocore.session.Session().create_client(
            "sagemaker-runtime",
            region_name="us-east-1",
            endpoint_url="https://gateway.test/sagemaker/proxy",
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.sagemaker-runtime", send)
        return getattr(client, operation)(EndpointName="sm/llama", ContentType="application/json", **params)

    return await asyncio.to_thread(call)


def _text(value):
    return value if isinstance(value, str) else value.decode()


async def _posted(app, path, body, headers):
    return await request(app, "POST", path, body or b"", headers=headers)


async def test_an_answer(app_of, sink):
    app, asked = app_of((200, [ANSWER]))

    answer = await sdk(app, "invoke_endpoint", Body=b'{"inputs": "hi"}', CustomAttributes="c=1", TargetModel="other")
    await app.close()

    assert answer["Body"].read() == ANSWER
    [sent] = asked
    assert (sent.endpoint.url, sent.body) == (f"{AT}/invocations", b'{"inputs": "hi"}')
    assert b"/eu-west-1/sagemaker/aws4_request" in sent.endpoint.head
    assert b"\r\nx-amzn-sagemaker-custom-attributes: c=1\r\n" in sent.endpoint.head
    assert b"target-model" not in sent.endpoint.head
    assert TOKEN.encode() not in sent.endpoint.head
    [record] = sink.records
    assert (record.resolved_model, record.usage) == ("sm/llama", Usage(input=10, output=5))
    assert record.cost_nanousd == 10 * 3000 + 5 * 15000


async def test_a_stream_goes_on_to_the_byte(app_of, frame, sink):
    stream = frame("PayloadPart", EVENTS[:30]) + frame("PayloadPart", EVENTS[30:])
    app, asked = app_of((200, [stream[:9], stream[9:]], {"content-type": CONTENT_TYPE}))

    answer = await sdk(app, "invoke_endpoint_with_response_stream", Body=b"{}")
    await app.close()

    # botocore reads a stream in pieces, which `Raw` has not: here it is whole
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert asked[0].endpoint.url == f"{AT}/invocations-response-stream"
    assert sink.records[0].usage == Usage(input=10, output=5)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_was_used_is_found_however_it_is_cut(frame, size):
    stream = b"".join(frame("PayloadPart", EVENTS[at : at + 9]) for at in range(0, len(EVENTS), 9))
    for head, body in ((Head(200, {"content-type": CONTENT_TYPE}), stream), (Head(200, {}), ANSWER)):
        reading = ContainerReading(head)

        out = b"".join(reading.feed(body[at : at + size]) for at in range(0, len(body), size)) + reading.end()

        assert (out, reading.usage()) == (body, Usage(input=10, output=5))


def test_a_container_that_says_nothing_of_it_is_estimated(frame):
    reading = ContainerReading(Head(200, {"content-type": CONTENT_TYPE}))
    reading.feed(frame("PayloadPart", b"abc") + b"\0" * 40)
    reading.end()

    assert reading.usage() is None


@pytest.mark.parametrize(
    ("status", "kind"), [(424, "ModelError"), (400, "ValidationError"), (429, "ThrottlingException")]
)
async def test_errors_are_the_sdks_own(app_of, status, kind):
    told = {"Message": "why", "OriginalStatusCode": 500, "OriginalMessage": "x"}
    app, _ = app_of((status, [json.dumps(told).encode()], {"x-amzn-errortype": kind}))

    with pytest.raises(ClientError) as raised:
        await sdk(app, "invoke_endpoint", Body=b"{}")

    answer = raised.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer["Error"]["Message"] == "why"


async def test_a_model_that_is_not_there(app_of):
    app, asked = app_of()

    answer = await request(
        app, "POST", "/sagemaker/proxy/endpoints/sm%2Fother/invocations", b"{}", headers={"x-tfy-api-key": TOKEN}
    )

    assert (answer.status, answer.json()["__type"], asked) == (404, "ResourceNotFoundException", [])

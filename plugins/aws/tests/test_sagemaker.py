"""SageMaker's endpoints, whose containers speak OpenAI's API, through the whole app."""

import msgspec
import pytest
from botocore.session import Session
from gateway_aws.identity import OwnIdentity
from gateway_aws.sagemaker import SageMaker
from gateway_aws.signers import Signers

from gateway import build_app
from gateway.testing import FakeUpstream, ListSink, post

TOKEN = {"authorization": "Bearer gw-test-0123456789abcdef"}
MANIFEST = """\
type: provider-account/aws-sagemaker
name: sm
region: us-east-1
integrations:
  - {type: integration/model/sagemaker, name: llama, model_id: my-endpoint, region: eu-west-1, model_types: [chat]}
"""
CHAT = "/v1/chat/completions"
ASK = {"model": "sm/llama", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}
WHOLE = b'{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],\
"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'
FRAMED = {"content-type": "application/vnd.amazon.eventstream"}
EVENTS = b"""\
data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"hel"},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}

data: [DONE]

"""


def session():
    made = Session()
    made.set_credentials("AKIDEXAMPLE", "canary-secret")
    return made


@pytest.fixture
async def app_with(tmp_path):
    path = tmp_path / "sm.yaml"
    path.write_text(MANIFEST)
    sink, opened = ListSink(), []

    def make(upstream):
        providers = [SageMaker(signers=Signers(OwnIdentity(session)))]
        environ = {"GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef"}
        app = build_app(path, environ=environ, network=upstream, providers=providers, sinks=[sink])
        app.sink = sink
        opened.append(app)
        return app

    yield make
    for app in opened:
        await app.close()


async def test_a_whole_answer_is_the_containers_own(app_with):
    upstream = FakeUpstream((200, [WHOLE]))

    answer = await post(app_with(upstream), CHAT, ASK, headers=TOKEN)

    [request] = upstream.requests
    assert answer.body == WHOLE
    assert request.endpoint.url == "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/my-endpoint/invocations"
    assert msgspec.json.decode(request.body) == {**ASK, "model": "my-endpoint"}
    assert b"/eu-west-1/sagemaker/aws4_request" in request.endpoint.head


async def test_a_stream_is_taken_out_of_its_frames(app_with, frame):
    """Wherever the frames are cut, which has nothing to do with where the events end; usage is cut out again."""
    for size in (1, 7, 50, 1000):
        pieces = [EVENTS[at : at + size] for at in range(0, len(EVENTS), size)]
        upstream = FakeUpstream((200, [frame("PayloadPart", piece) for piece in pieces], FRAMED))

        app = app_with(upstream)
        answer = await post(app, CHAT, STREAM, headers=TOKEN)
        await app.close()

        events = answer.body.split(b"\n\n")
        assert [msgspec.json.decode(event[6:])["choices"][0]["delta"].get("content") for event in events[:2]] == [
            "hel",
            "lo",
        ]
        assert events[2:] == [b"data: [DONE]", b""]
        assert upstream.requests[0].endpoint.url.endswith("/endpoints/my-endpoint/invocations-response-stream")
        record = app.sink.records[-1]
        assert (record.usage.input_tokens, record.usage.output_tokens, record.outcome) == (3, 2, "complete")


async def test_what_goes_wrong_in_the_middle_is_told(app_with, frame):
    first = frame("PayloadPart", EVENTS[:100])
    broken = frame("ModelStreamError", {"Message": "the container died", "ErrorCode": "x"}, kind="exception")
    upstream = FakeUpstream((200, [first, broken], FRAMED))

    answer = await post(app_with(upstream), CHAT, STREAM, headers=TOKEN)

    assert b'"message":"the container died"' in answer.chunks[-2] + answer.chunks[-1]
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize(
    ("status", "body", "told", "message"),
    [
        (424, {"Message": "Received client error (400)", "OriginalStatusCode": 400,
               "OriginalMessage": '{"error":{"message":"too long"}}'}, 400, "too long"),
        (424, {"Message": "Received server error (500)", "OriginalStatusCode": 500, "OriginalMessage": ""}, 500,
         "the provider answered with status 500"),
        (400, {"Message": "Endpoint my-endpoint not found"}, 400, "Endpoint my-endpoint not found"),
        (424, {"message": "no more said"}, 424, "no more said"),
        (429, {"Message": "Rate exceeded"}, 429, "Rate exceeded"),
    ],
)  # fmt: skip
async def test_errors_of_the_container_have_its_own_status(app_with, status, body, told, message):
    """A request that is wrong is no fault of the endpoint's, and not to be asked again."""
    upstream = FakeUpstream((status, [msgspec.json.encode(body)]))

    answer = await post(app_with(upstream), CHAT, ASK, headers=TOKEN)

    assert (answer.status, answer.json()["error"]["message"]) == (told, message)


async def test_a_container_that_does_not_know_stream_options_is_asked_without(app_with, frame):
    body = {"OriginalStatusCode": 422, "OriginalMessage": '{"error":"unknown field stream_options"}', "Message": "x"}
    upstream = FakeUpstream((424, [msgspec.json.encode(body)]), (200, [frame("PayloadPart", EVENTS)], FRAMED))

    answer = await post(app_with(upstream), CHAT, STREAM, headers=TOKEN)

    assert answer.status == 200
    assert ["stream_options" in msgspec.json.decode(request.body) for request in upstream.requests] == [True, False]

"""The Gemini API as clients ask it: which model is meant, how errors are worded, how Google's own answers are read."""

import json

import pytest

from gateway.contract import Ask, Call, Head, Request
from gateway.contract.usage import Usage
from gateway.dialects import GEMINI, GEMINI_COUNT
from gateway.errors import BadRequest, NotFound, RateLimited, UpstreamError
from gateway.middleware.parse import json_body
from gateway.testing import FakeUpstream, request

BODY = {"contents": [{"parts": [{"text": "hi"}]}]}
USED = b'"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}'
DOCUMENT = b'{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],%b}' % USED
FIRST = b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\r\n\r\n'
LAST = b'data: {"candidates":[{"finishReason":"STOP"}],%b}\r\n\r\n' % USED
REPLY = (
    200,
    [b'{"id":"r","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}'],
)


def asked(body=b"{}", action="generateContent", query=b"", model="a/m", version="v1beta"):
    places = {"version": version, "model": model}
    route = f"/{{version}}/models/{{model:path}}:{action}"
    return Request(route=route, path_params=places, query=query, body=json_body(body))


def reading_of(action="generateContent", query=b"", dialect=GEMINI, *, is_stream=False):
    made = asked(action=action, query=query)
    return dialect.reading(Call(dialect, dialect.parse(made), made), Head(200, {}, is_stream=is_stream))


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "ask"),
    [
        (asked(), Ask("a/m")),
        (
            asked(b'{"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}'),
            Ask("a/m", max_output_tokens=9, choices=2),
        ),
        (
            asked(b'{"generation_config":{"max_output_tokens":"9","candidate_count":2.0}}'),
            Ask("a/m", max_output_tokens=9, choices=2),
        ),
        (asked(b'{"generationConfig":{"maxOutputTokens":"x"}}'), Ask("a/m")),
        (asked(b'{"generationConfig":null}', version="v1alpha"), Ask("a/m")),
        (asked(action="streamGenerateContent"), Ask("a/m")),
        (asked(action="streamGenerateContent", query=b"alt=sse&a=b"), Ask("a/m", stream=True, wants_usage=True)),
    ],
)
def test_what_is_asked(made, ask):
    answer = GEMINI.parse(made)

    assert (answer.model, answer.stream, answer.wants_usage) == (ask.model, ask.stream, ask.wants_usage)
    assert (answer.max_output_tokens, answer.choices) == (ask.max_output_tokens, ask.choices)


def test_counting_is_free():
    assert GEMINI_COUNT.parse(asked(action="countTokens")) == Ask("a/m", has_output=False)


@pytest.mark.parametrize(
    ("made", "error"),
    [(asked(model=""), BadRequest), (asked(model="m" * 513), BadRequest), (asked(version="v9"), NotFound)],
)
def test_what_cannot_be_asked(made, error):
    with pytest.raises(error):
        GEMINI.parse(made)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_error():
    error = RateLimited("too much", retry_after_s=1.5)
    error.request_id = "r1"
    prefix = "type.googleapis.com/google.rpc."

    assert json.loads(GEMINI.error(error)) == {
        "error": {
            "code": 429,
            "message": "too much",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": f"{prefix}ErrorInfo", "reason": "rate_limit_exceeded", "domain": "gateway"},
                {"@type": f"{prefix}RetryInfo", "retryDelay": "2s"},
                {"@type": f"{prefix}RequestInfo", "requestId": "r1"},
            ],
        }
    }
    assert GEMINI.stream_error(error) == b"data: %b\n\n" % GEMINI.error(error)


# --- Google's own answers --------------------------------------------------------------------------------------------


def test_a_document_is_not_changed():
    reading = reading_of()

    out = b"".join(reading.feed(bytes([byte])) for byte in DOCUMENT) + reading.end()

    assert (out, reading.is_complete(), reading.usage()) == (DOCUMENT, True, Usage(input=10, output=5))


def test_a_stream_is_not_changed_wherever_it_is_cut():
    stream = FIRST + LAST
    for place in range(len(stream) + 1):
        reading = reading_of("streamGenerateContent", b"alt=sse", is_stream=True)
        out = reading.feed(stream[:place]) + reading.feed(stream[place:]) + reading.end()
        assert (out, reading.is_complete(), reading.usage()) == (stream, True, Usage(input=10, output=5))


@pytest.mark.parametrize(
    ("stream", "is_complete"),
    [
        (FIRST, False),
        (FIRST + LAST[:-20], False),
        (FIRST + LAST, True),
        (b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n', True),
        (b'data: {"candidates":[{"finishReason":"STOP"},{"index":1,"content":{"parts":[{"text":"a"}]}}]}\n\n', False),
    ],
)
def test_when_a_stream_is_whole(stream, is_complete):
    reading = reading_of("streamGenerateContent", b"alt=sse", is_stream=True)

    reading.feed(stream)
    reading.end()

    assert reading.is_complete() == is_complete


ERROR = b'{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}'


@pytest.mark.parametrize("data", [b"data: %b\n\n" % ERROR, ERROR, b"[%b]" % ERROR, b"", b": hi\n\n"])
def test_a_stream_that_does_not_begin(data):
    """It may still be answered by another model."""
    reading = reading_of("streamGenerateContent", b"alt=sse", is_stream=True)

    def read():
        reading.feed(data)
        reading.end()

    with pytest.raises(UpstreamError) as raised:
        read()

    if data.strip(b": hi\n"):
        assert (raised.value.status, raised.value.code) == (429, "RESOURCE_EXHAUSTED")


def test_an_error_behind_content_is_passed_on():
    reading = reading_of("streamGenerateContent", b"alt=sse", is_stream=True)

    out = reading.feed(FIRST + b"data: %b\n\n" % ERROR)

    assert out.endswith(b"data: %b\n\n" % ERROR)
    assert (reading.told_error().message, reading.is_complete()) == ("slow down", False)


@pytest.mark.parametrize("body", [ERROR, b"[%b]" % ERROR, b"<html>", b"{}", b'{"candidates":[{"index":"x"}]}'])
def test_what_is_no_answer(body):
    reading = reading_of()
    reading.feed(body)

    with pytest.raises(UpstreamError):
        reading.end()


def test_a_list_goes_on_as_it_comes():
    reading = reading_of("streamGenerateContent")
    body = b"[%b\n,\r\n%b]" % (b'{"candidates":[]}', DOCUMENT)

    assert reading.feed(body) is body
    assert (reading.end(), reading.usage()) == (b"", Usage(input=10, output=5))


def test_a_count():
    reading = reading_of("countTokens", dialect=GEMINI_COUNT)
    reading.feed(b'{"totalTokens":7}')

    assert (reading.end(), reading.usage()) == (b'{"totalTokens":7}', Usage())


# --- through the app -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/demo/echo",
        "/v1/models/demo%2Fecho",
        "/gemini/v1beta/models/demo/echo",
        "/v1beta/demo/echo",  # of Vercel's AI SDK, which was a 404
        "/v1beta/demo%2Fecho",
    ],
)
@pytest.mark.parametrize("how", ["header", "bearer", "query"])
async def test_ways_in(app_with, token, path, how):
    app = app_with(FakeUpstream(REPLY), config=None)
    headers = {"header": {"x-goog-api-key": token}, "bearer": {"authorization": f"Bearer {token}"}, "query": {}}[how]
    query = f"?alt=json&key={token}" if how == "query" else ""

    answer = await request(app, "POST", f"{path}:generateContent{query}", BODY, headers=headers)

    assert (answer.status, answer.json()["candidates"][0]["content"]["parts"]) == (200, [{"text": "hi"}])


async def test_without_a_token(app_with):
    app = app_with(FakeUpstream(REPLY), config=None)

    answers = [
        await request(app, "POST", "/v1beta/models/demo/echo:generateContent?key=", BODY),
        await request(app, "GET", "/v1beta/models"),
        await request(app, "GET", "/v1/models", headers={"x-goog-api-key": "nobody"}),
    ]

    assert [(each.status, each.json()["error"]["status"]) for each in answers] == [(401, "UNAUTHENTICATED")] * 3


async def test_a_key_in_the_query_is_in_no_record(app_with, token, sink):
    app = app_with(FakeUpstream(REPLY), config=None)

    await request(app, "POST", f"/v1beta/models/demo/echo:generateContent?key={token}", BODY)
    await app.close()

    assert token not in repr(sink.records)


async def test_the_list_of_models(app_with, token):
    app = app_with(FakeUpstream(REPLY), config=None)

    answer = await request(app, "GET", f"/v1beta/models?pageSize=50&key={token}")
    one = await request(app, "GET", "/v1/models/demo/echo", headers={"x-goog-api-key": token})
    openai = await request(app, "GET", "/v1/models", headers={"authorization": f"Bearer {token}"})

    echo = {
        "name": "models/demo/echo",
        "displayName": "demo/echo",
        "version": "",
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    assert (answer.json(), one.json()) == ({"models": [echo]}, echo)
    assert openai.json()["object"] == "list"


async def test_tokens_are_estimated_where_nobody_counts(app_with, token):
    app = app_with(FakeUpstream(REPLY), config=None)
    path = "/v1beta/models/demo/echo:countTokens"

    answer = await request(app, "POST", path, BODY, headers={"x-goog-api-key": token})

    assert answer.json() == {"totalTokens": 6}

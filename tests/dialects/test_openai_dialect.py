"""OpenAI's APIs, as their clients speak them."""

import json

import msgspec
import pytest

from gateway.contract import Ask
from gateway.dialects import CHAT, COMPLETIONS, EMBEDDINGS
from gateway.errors import BadRequest, BrokeOff, RateLimited, Refused, UpstreamError
from gateway.usage import Usage

fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@pytest.mark.parametrize(
    ("body", "ask"),
    [
        (b'{"model":"a/m"}', Ask("a/m")),
        (b'{"model":"a/m","stream":null,"stream_options":null,"max_tokens":null}', Ask("a/m")),
        (b'{"model":"a/m","stream":true}', Ask("a/m", stream=True)),
        (b'{"model":"a/m","stream":true,"stream_options":{"include_usage":true}}', Ask("a/m", True, wants_usage=True)),
        (b'{"model":"a/m","stream":true,"stream_options":{"include_usage":null,"x":1}}', Ask("a/m", stream=True)),
        (b'{"model":"a/m","max_tokens":5}', Ask("a/m", max_output_tokens=5)),
        (b'{"model":"a/m","max_tokens":5,"max_completion_tokens":7}', Ask("a/m", max_output_tokens=7)),
        (b'{"model":"a/m","max_completion_tokens":null,"max_tokens":5}', Ask("a/m", max_output_tokens=5)),
        (b'{"model":"a/m","messages":[{"role":"user","content":"0123456789"}]}', Ask("a/m", input_tokens=10)),
        (b'{"model":"\\u00e9/m","unknown":[1,2]}', Ask("é/m")),
    ],
)
def test_reads_what_a_chat_request_asks(body, ask):
    assert CHAT.parse(fields(body)) == ask


def event(**fields):
    return b"data: %b\n\n" % json.dumps(fields).encode()


def delta(**fields):
    return event(id="1", choices=[{"index": 0, "delta": fields, "finish_reason": None}])


PREPARING = [
    delta(role="assistant", content="", refusal=None),
    delta(role="assistant", content=None),
    delta(),
    event(id="", choices=[], prompt_filter_results=[{"prompt_index": 0}]),
    event(id="1", choices=None),
    event(id="1", choices=[{"index": 0, "text": "", "finish_reason": None}]),
    b": ping\n\n",
    b"event: message\n\n",
    b"data: [DONE]\n\n",
]
BEGINNING = [
    delta(content="h"),
    delta(content=[{"type": "text", "text": "h"}]),
    delta(reasoning_content="h"),
    delta(reasoning="h"),
    delta(thinking="h"),
    delta(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]),
    event(id="1", error=None, choices=[{"index": 0, "delta": {"content": "h"}}]),
    event(id="1", choices=[{"index": 0, "text": "h"}]),
    event(id="1", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    event(id="1", choices="of another shape"),
]


def begun(stream):
    reading = CHAT.reading(streamed=True)
    reading.feed(stream)
    return reading.has_begun


def read(body):
    """The usage of an answer that is not streamed."""
    reading = CHAT.reading(streamed=False)
    reading.feed(body)
    assert reading.end() is body
    return reading.usage()


def refusal_of(body):
    with pytest.raises(UpstreamError) as refused:
        read(body)
    return refused.value


@pytest.mark.parametrize("first", BEGINNING)
def test_an_answer_begins_with_its_first_content(first):
    """Until then another provider may answer instead, so an event that says nothing must not count."""
    reading = CHAT.reading(streamed=True)

    assert [(reading.feed(each), reading.has_begun) for each in PREPARING] == [(each, False) for each in PREPARING]
    assert (reading.feed(first), reading.has_begun) == (first, True)


@pytest.mark.parametrize("first", BEGINNING)
def test_an_answer_never_begins_too_early(first):
    """Wherever the stream is cut, what has arrived has no content before its first text, or its event is whole."""
    cuts = [cut for cut in range(len(first)) if begun(first[:cut])]

    assert all(b'"h' in first[:cut] or first[:cut].endswith(b"}\n\n") for cut in cuts)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b'data: {"error":{"message":"overloaded"}}\n\n', "overloaded"),
        (PREPARING[0] + b'data: {"error":{"message":"overloaded"}}\n\n', "overloaded"),
        (b'data: {"error":{"message":"overloaded"}}\n\n' + BEGINNING[0], "overloaded"),
        (b"data: <html>\n\n", "the provider's answer is not a JSON object"),
    ],
)
def test_an_error_before_the_first_content_is_raised(stream, message):
    with pytest.raises((BrokeOff, Refused), match=message):
        begun(stream)


def test_an_error_after_the_first_content_is_not():
    assert begun(BEGINNING[0] + b'data: {"error":{"message":"overloaded"}}\n\n')


def test_the_last_event_counts_without_its_blank_line():
    error = b'data: {"error":{"message":"overloaded"}}'

    reading = CHAT.reading(streamed=True)

    assert (reading.feed(error), reading.has_begun) == (error, False)
    with pytest.raises(Refused, match="overloaded"):
        reading.end()


def test_completions_and_embeddings_estimate_by_their_own_field():
    assert COMPLETIONS.parse(fields(b'{"model":"m","prompt":"0123456789","max_tokens":3}')) == Ask(
        "m", max_output_tokens=3, input_tokens=3
    )
    assert EMBEDDINGS.parse(fields(b'{"model":"m","input":"0123456789"}')) == Ask("m", input_tokens=3, has_output=False)


def test_embeddings_take_lists_of_token_ids():
    """LangChain sends what it has tokenised itself."""
    assert EMBEDDINGS.parse(fields(b'{"model":"m","input":[[100257,198],[9906]]}')).input_tokens == 5


def test_usage_is_not_asked_for_without_a_stream():
    """OpenAI refuses `stream_options` then; that is for the provider to say."""
    assert CHAT.parse(fields(b'{"model":"m","stream_options":{"include_usage":true}}')) == Ask("m")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"model":null}', "model"),
        (b'{"model":7}', "model"),
        (b'{"model":["a/m"]}', "model"),
        (b'{"model":"m","stream":"true"}', "stream"),
        (b'{"model":"m","stream":1}', "stream"),
        (b'{"model":"m","stream":true,"stream_options":true}', "stream_options"),
        (b'{"model":"m","stream":true,"stream_options":{"include_usage":"yes"}}', "stream_options"),
        (b'{"model":"m","max_tokens":"5"}', "max_tokens"),
        (b'{"model":"m","max_tokens":5.5}', "max_tokens"),
        (b'{"model":"m","max_completion_tokens":[]}', "max_completion_tokens"),
    ],
)
def test_refuses_wrong_types_and_names_the_field(body, param):
    with pytest.raises(BadRequest) as refused:
        CHAT.parse(fields(body))

    assert refused.value.param == param
    assert f'"{param}"' in refused.value.message


def test_an_error_has_the_shape_of_openai_and_of_truefoundry():
    """OpenAI's clients read `error.message`, those of the TrueFoundry gateway `status` and `message`."""
    error = RateLimited("slow down", param="model", code="tokens_per_day")

    assert json.loads(CHAT.error(error)) == {
        "error": {"message": "slow down", "type": "rate_limit_error", "param": "model", "code": "tokens_per_day"},
        "status": "failure",
        "message": "slow down",
    }


def test_an_error_in_a_stream_is_one_event():
    """OpenAI's clients raise on `data: {"error": ...}`, and need no other end."""
    assert CHAT.stream_error(BrokeOff('cut at "é"\n')) == (
        b'data: {"error":{"message":"cut at \\"\xc3\xa9\\"\\n","type":"upstream_error","param":null,'
        b'"code":"stream_interrupted"}}\n\n'
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"1","choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":1}}',
        b'{"error":null,"choices":[]}',
        b'{"error":{},"choices":[]}',
        b'{"error":"","choices":[]}',
        b'{"choices":[{"message":{"content":"{\\"error\\":{\\"message\\":\\"x\\"}}"}}]}',
        b'{"usage":{"prompt_tokens":"many"}}',
        b"{}",
    ],
)
def test_sees_nothing_wrong_with_an_answer(body):
    read(body)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}', Usage(input=9, output=2)),
        (b'{"usage":{"prompt_tokens":9},"choices":[]}', Usage(input=9)),
        (b'{"choices":[],"usage":null}', None),
        (b'{"choices":[],"usage":{"prompt_tokens":"many"}}', None),
        (b'{"choices":[],"usage":[]}', None),
        (b"{}", None),
    ],
)
def test_reads_the_usage_of_a_body(body, usage):
    """Usage in a shape nobody knows does not turn a good answer into an error."""
    assert read(body) == usage


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"id":', b"[]", b'"error"', b"[" * 100_000, b"\xff{}"])
def test_a_200_that_is_no_json_object_is_a_broken_answer(body):
    """A proxy in between says 200 to its own error page; and deep nesting must not take the process down."""
    error = refusal_of(body)

    assert isinstance(error, BrokeOff)
    assert error.message == "the provider's answer is not a JSON object"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"error":{"message":"busy","code":503}}', 503, "busy"),
        (b'{"error":{"message":"busy","status":429,"code":"rate_limited"}}', 429, "busy"),
        (b'{"error":{"message":"busy","status":"UNAVAILABLE","code":503}}', 503, "busy"),
        (b'{"error":{"message":"busy","code":"server_error"}}', 502, "busy"),
        (b'{"error":{"message":"busy","code":200}}', 502, "busy"),
        (b'{"error":{"message":"busy","code":true}}', 502, "busy"),
        (b'{"error":{"code":500}}', 500, "the provider answered with an error"),
        (b'{"error":"busy","choices":[]}', 502, "busy"),
        (b'{"error":["busy"]}', 502, "busy"),
        (b'{"error":{"message":"busy","code":"429"}}', 429, "busy"),
    ],
)
def test_an_error_inside_a_200_becomes_one(body, status, message):
    """OpenRouter and others answer 200 first and fail later."""
    error = refusal_of(body)

    assert isinstance(error, Refused)
    assert (error.status, error.message, error.body) == (status, message, body)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"code":429,"message":"slow down"}', 429, "slow down"),
        (b'[{"error":{"code":503,"message":"busy"}}]', 503, "busy"),
        (b'{"errors":[{"code":7003,"message":"no route"}]}', 502, "no route"),
        (b'{"object":"error","message":"too long","code":400}', 400, "too long"),
        (b'{"status":404,"title":"Not Found","detail":"no such model"}', 404, "no such model"),
    ],
)
def test_an_error_of_another_shape_inside_a_200_becomes_one_too(body, status, message):
    """`body` is None: the dialect writes the error, with this message."""
    error = refusal_of(body)

    assert (error.status, error.message, error.body) == (status, message, None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":9}}',
        b'{"choices":[{"message":{"content":"a"},"logprobs":[-Infinity,NaN]}],"usage":{"prompt_tokens":9}}',
        b'\xef\xbb\xbf{"choices":[],"usage":{"prompt_tokens":9}}',
        b'{"choices":[{"message":{"content":"\xff"}}],"usage":{"prompt_tokens":9}}',
        b'{"data":[{"embedding":[NaN]}],"usage":{"prompt_tokens":9}}',
    ],
    ids=["half a pair", "NaN", "BOM", "not UTF-8", "embedding"],
)
def test_json_is_not_judged(body):
    """Clients read all this; the gateway answered 502, and asked the next provider."""
    assert read(body) == Usage(input=9)


def test_a_stream_instead_of_a_document_is_said_to_be_one():
    assert refusal_of(b'data: {"choices":[]}\n\n').message == (
        "the provider answered with a stream, which was not asked for"
    )


def test_a_key_in_an_error_inside_a_200_is_masked():
    error = refusal_of(b'{"error":{"message":"bad key \\"sk-abcdefghijklmno\\"","code":401}}')

    assert error.message == 'bad key "***"'
    assert json.loads(error.body) == {"error": {"message": 'bad key "***"', "code": 401}}


def test_has_the_paths_clients_call():
    assert [(d.name, d.path, d.model_type) for d in (CHAT, COMPLETIONS, EMBEDDINGS)] == [
        ("chat", "/chat/completions", "chat"),
        ("completions", "/completions", "completion"),
        ("embeddings", "/embeddings", "embedding"),
    ]

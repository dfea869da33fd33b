"""What is asked by OpenAI's Responses API, and how its errors are worded."""

import msgspec
import pytest

from gateway.contract import Ask, Call, Head, Request
from gateway.dialects import KEPT_COMPLETIONS, KEPT_RESPONSES, MAKE_RESPONSE, RESPONSE_TOKENS
from gateway.errors import BadRequest, RateLimited
from gateway.middleware.parse import json_body


def asked(text, dialect=MAKE_RESPONSE):
    return dialect.parse(Request(body=json_body(text.encode())))


@pytest.mark.parametrize(
    ("fields", "ask"),
    [
        ("", Ask("m", input_tokens=1)),
        (',"max_output_tokens":5', Ask("m", max_output_tokens=5, input_tokens=1)),
        (',"stream":true', Ask("m", True, True, None, 1)),
        (',"stream":null', Ask("m", input_tokens=1)),
    ],
)
def test_reads_what_every_dialect_can_say(fields, ask):
    """Usage always comes with a stream."""
    assert asked(f'{{"model":"m","input":"hello"{fields}}}') == ask


@pytest.mark.parametrize(
    "fields", ['"model":7', '"stream":"yes","model":"m"', '"max_output_tokens":{},"model":"m"', '"a":1']
)
def test_refuses_what_it_cannot_read(fields):
    with pytest.raises(BadRequest):
        asked(f"{{{fields}}}")


def test_counting_is_free_and_estimated_where_nobody_counts():
    body = json_body(b'{"model":"m","input":"%b"}' % (b"x" * 400))
    call = Call(RESPONSE_TOKENS, Ask("m"), Request(body=body))

    assert asked('{"model":"m","input":"hi"}', RESPONSE_TOKENS) == Ask("m", has_output=False)
    assert RESPONSE_TOKENS.estimate(call) == b'{"object":"response.input_tokens","input_tokens":100}'


@pytest.mark.parametrize(
    ("query", "is_stream"), [(b"", False), (b"stream=true&starting_after=3", True), (b"a=stream=true", False)]
)
def test_what_is_asked_about_a_response_names_no_model(query, is_stream):
    ask = KEPT_RESPONSES.parse(Request(method="GET", query=query))

    assert (ask.model, ask.stream, ask.has_output) == (None, is_stream, False)
    assert KEPT_COMPLETIONS.parse(Request(method="GET")).model is None


@pytest.mark.parametrize("background", [b"true", b"false"])
def test_a_stream_made_in_the_background_begins_with_its_id(background):
    body = json_body(b'{"model":"m","input":"hi","stream":true,"background":%b}' % background)
    reading = MAKE_RESPONSE.reading(
        Call(MAKE_RESPONSE, Ask("m", True), Request(body=body)), Head(200, {}, is_stream=True)
    )

    reading.feed(b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1"}}\n\n')

    assert reading.has_begun == (background == b"true")


def test_the_end_of_a_stream_without_a_response():
    error = RateLimited("used up: sk-0123456789abcdefgh", param="model")

    name, data = MAKE_RESPONSE.stream_error(error).removesuffix(b"\n\n").split(b"\n")

    assert name == b"event: error"
    assert msgspec.json.decode(data.removeprefix(b"data: ")) == {
        "type": "error",
        "sequence_number": 0,
        "code": "rate_limit_exceeded",
        "message": "used up: ***",
        "param": "model",
    }

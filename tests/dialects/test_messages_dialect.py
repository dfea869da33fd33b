"""What is asked by Anthropic's Messages API, and how its errors are worded."""

import msgspec
import pytest

from gateway.contract import Ask, Call, JsonBody, Request
from gateway.dialects import COUNT_TOKENS, MESSAGES
from gateway.errors import BadRequest, BrokeOff, Forbidden, Overloaded, RateLimited, Refused, TooLarge, UnknownModel
from gateway.middleware.parse import json_body

HI = '{"model":"m","messages":[{"role":"user","content":"hi"}]'


def asked(text, dialect=MESSAGES):
    return dialect.parse(Request(body=json_body(text.encode())))


@pytest.mark.parametrize(
    ("fields", "ask"),
    [
        ('"max_tokens":5', Ask("m", max_output_tokens=5, input_tokens=8)),
        ('"max_tokens":5,"stream":true', Ask("m", True, True, 5, 8)),
        ('"stream":null', Ask("m", input_tokens=8)),
    ],
)
def test_reads_what_every_dialect_can_say(fields, ask):
    """Usage always comes with a stream."""
    assert asked(f"{HI},{fields}}}") == ask


def test_counting_takes_nothing_from_limits_on_tokens():
    assert asked(f"{HI}}}", COUNT_TOKENS) == Ask("m", has_output=False)


@pytest.mark.parametrize("fields", ['"model":7', '"stream":"yes","model":"m"', '"max_tokens":{},"model":"m"', '"a":1'])
def test_refuses_what_it_cannot_read(fields):
    with pytest.raises(BadRequest):
        asked(f"{{{fields}}}")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("no"), "invalid_request_error"),
        (Forbidden("no"), "permission_error"),
        (UnknownModel("m", []), "not_found_error"),
        (TooLarge("no"), "request_too_large"),
        (RateLimited("no"), "rate_limit_error"),
        (Overloaded("no"), "overloaded_error"),
        (BrokeOff("no"), "api_error"),
        (Refused("no", status=529), "overloaded_error"),
        (Refused("no", status=402), "billing_error"),
        (Refused("no", status=418), "invalid_request_error"),
        (Refused("no", status=400, code="overloaded_error"), "overloaded_error"),
    ],
)
def test_kinds_of_errors(error, kind):
    assert msgspec.json.decode(MESSAGES.error(error))["error"]["type"] == kind


def test_an_error_and_the_end_of_a_stream():
    error = RateLimited("used up: sk-0123456789abcdefgh")
    error.request_id = "0a1b"

    body = MESSAGES.error(error)

    said = {"type": "rate_limit_error", "message": "used up: ***", "details": {"error_code": "rate_limit_exceeded"}}
    assert msgspec.json.decode(body) == {"type": "error", "error": said, "request_id": "0a1b"}
    assert MESSAGES.stream_error(error) == b"event: error\ndata: %b\n\n" % body


def test_an_estimate_of_tokens():
    fields = {"messages": msgspec.Raw(b'[{"role":"user","content":"%b"}]' % (b"x" * 400))}
    call = Call(COUNT_TOKENS, Ask("m"), Request(body=JsonBody(fields)))

    assert COUNT_TOKENS.estimate(call) == b'{"input_tokens":107}'

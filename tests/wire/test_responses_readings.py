"""Replies of OpenAI's Responses API, which pass by unchanged."""

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, RateLimited, Refused, UpstreamError
from gateway.testing import ResponseGrammar
from gateway.wire.responses import ResponseReading, ResponseStreamReading

HEX = "0123456789abcdef" * 2
USAGE = {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3, "total_tokens": 10}
RESPONSE = {"id": "resp_1", "object": "response", "status": "in_progress", "output": [], "error": None}
ITEM = {"id": "msg_1", "type": "message", "status": "in_progress", "content": []}
DONE = {**ITEM, "status": "completed"}


def stream(*events):
    numbered = ({"sequence_number": number, **event} for number, event in enumerate(events))
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in numbered)


BEGUN = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.in_progress", "response": RESPONSE},
    {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
]
LAST = {
    **RESPONSE,
    "status": "completed",
    "output": [DONE],
    "usage": USAGE,
    "service_tier": "flex",
    "incomplete_details": None,
}
HELLO = stream(
    *BEGUN,
    {"type": "response.output_item.done", "output_index": 0, "item": DONE},
    {"type": "response.completed", "response": LAST},
)


def test_a_stream_passes_unchanged():
    one = ResponseStreamReading()

    assert one.feed(HELLO) is HELLO
    assert (one.is_over, one.is_complete(), one.told_error()) == (True, True, None)
    assert (one.response_id, one.usage(), one.service_tier()) == (
        "resp_1",
        Usage(input=5, cache_read=2, output=3),
        "flex",
    )
    ResponseGrammar.of(HELLO)


def test_a_stream_cut_anywhere():
    for cut in range(1, len(HELLO)):
        one = ResponseStreamReading()
        assert one.feed(HELLO[:cut]) + one.feed(HELLO[cut:]) + one.end() == HELLO
        assert (one.is_complete(), one.events, one.usage().output) == (True, 5, 3)


def test_what_comes_behind_the_end_is_left_out():
    one = ResponseStreamReading()

    assert one.feed(HELLO + b"data: more\n\n") == HELLO


def test_it_begins_with_the_first_item():
    """Until then another target may answer. In the background the id is what is waited for."""
    one, background = ResponseStreamReading(), ResponseStreamReading(begins_at_once=True)

    for each in (one, background):
        each.feed(stream(*BEGUN[:2]))
    assert (one.has_begun, background.has_begun) == (False, True)
    one.feed(stream(*BEGUN)[len(stream(*BEGUN[:2])) :])
    assert one.has_begun


@pytest.mark.parametrize(
    "event",
    [
        b'event: keepalive\ndata: {"type":"keepalive","sequence_number":2}\n\n',
        b"event: keepalive\ndata: {}\n\n",
        b'event: status\ndata: {"message":"loading"}\n\n',
        b"event: ping\ndata: ping\n\n",
        b'event: codex.rate_limits\ndata: {"type":"codex.rate_limits","response":"x"}\n\n',
    ],
)
def test_events_that_are_none_of_the_api_pass_and_begin_nothing(event):
    """They were errors, or content, behind which no other target is asked."""
    one = ResponseStreamReading()

    assert one.feed(stream(*BEGUN[:2]) + event) == stream(*BEGUN[:2]) + event
    assert (one.has_begun, one.told_error()) == (False, None)


@pytest.mark.parametrize(
    "event",
    [
        {
            "type": "response.failed",
            "response": {**RESPONSE, "status": "failed", "error": {"code": "x", "message": "no"}},
        },
        {"type": "error", "code": "x", "message": "no", "param": None},
        {"type": "error", "error": {"message": "no"}},
    ],
)
def test_errors(event):
    """Before there is content they are an answer of their own; behind it they pass, and the target is blamed."""
    early, late = ResponseStreamReading(), ResponseStreamReading()

    with pytest.raises(Refused, match="no"):
        early.feed(stream(*BEGUN[:2], event))
    whole = stream(*BEGUN, event)
    assert late.feed(whole) + late.end() == whole
    assert late.told_error().message == "no"


@pytest.mark.parametrize(
    "data", [b"", b'{"error":{"message":"no"}}', b"<html>", b"data: [DONE]\n\n", b"data: <html>\n\n"]
)
def test_what_is_no_stream_is_an_error(data):
    one = ResponseStreamReading()

    with pytest.raises(UpstreamError):
        read(one, data)


def test_the_last_event_alone_is_an_answer_if_it_holds_one():
    """It has all of the response in it, so the API says; without, nothing was said at all."""
    one = ResponseStreamReading()
    one.feed(stream({"type": "response.completed", "response": {**RESPONSE, "status": "completed"}}))

    assert (one.is_over, one.has_begun) == (True, True)
    with pytest.raises(BrokeOff, match="before it began"):
        ResponseStreamReading().feed(stream({"type": "response.completed"}))


@pytest.mark.parametrize("cut", [len(stream(*BEGUN[:2])), len(stream(*BEGUN))])
def test_a_stream_that_breaks_ends_with_its_response(cut):
    one = ResponseStreamReading()
    out = one.feed(HELLO[:cut])

    grammar = ResponseGrammar.of(out + one.failure(RateLimited("used up")))

    assert grammar.response["id"] == "resp_1"
    assert grammar.response["error"] == {"code": "rate_limit_exceeded", "message": "used up"}


def test_nothing_is_told_of_a_response_that_never_began():
    assert ResponseStreamReading().failure(BrokeOff("cut")) == b""


def test_a_whole_response():
    one = ResponseReading()
    body = msgspec.json.encode(LAST)

    assert (one.feed(body[:9]), one.feed(body[9:]), one.end()) == (b"", b"", body)
    assert (one.is_complete(), one.response_id, one.usage().output, one.service_tier()) == (True, "resp_1", 3, "flex")


def test_a_response_that_has_failed_is_one():
    one = ResponseReading()
    one.feed(msgspec.json.encode({**RESPONSE, "status": "failed", "error": {"code": "x", "message": "no"}}))

    assert b'"failed"' in one.end()


def test_what_is_asked_later_is_free():
    """It was billed when it was made."""
    one = ResponseReading(is_free=True)
    one.feed(msgspec.json.encode(LAST))
    one.end()

    assert one.usage() == Usage()


@pytest.mark.parametrize(
    "body", [b'{"error":{"message":"no"}}', b"[]", b"data: x\n\n", b"<html>", b'{"object":"chat.completion"}', b"null"]
)
def test_what_is_no_response_is_an_error(body):
    one = ResponseReading()

    with pytest.raises(UpstreamError):
        read(one, body)


def read(one, data):
    return one.feed(data) + one.end()

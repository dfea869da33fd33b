"""Replies of Anthropic's Messages API, passed on as they are."""

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.wire.anthropic import headers_for
from gateway.wire.messages import MessageReading, MessageStreamReading
from gateway.wire.sse import MAX_EVENT

USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 11,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
    "output_tokens": 1,
    "service_tier": "standard",
}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": USAGE}
HELLO = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "message_stop, error: é"}}
EVENTS = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    HELLO,
    HELLO,
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]
USED = Usage(input=7, cache_read=11, cache_write=3, cache_write_1h=2, output=9)
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}


def wire(*events, end=b"\n"):
    lines = (
        b"event: %b%bdata: %b%b%b" % (each["type"].encode(), end, msgspec.json.encode(each), end, end)
        for each in events
    )
    return b"".join(lines)


def read(*pieces):
    reading = MessageStreamReading()
    out = b"".join([*(reading.feed(piece) for piece in pieces), reading.end()])
    return out, reading


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_stream_cut_anywhere(end):
    """Not a byte is changed; usage is counted from the beginning each time it is told."""
    stream = wire(*EVENTS, end=end)

    for cut in range(1, len(stream)):
        out, reading = read(stream[:cut], stream[cut:])
        assert out == stream
        assert (reading.is_over, reading.is_complete(), reading.told_error()) == (True, True, None)
        assert (reading.usage(), reading.service_tier(), reading.has_begun) == (USED, "default", True)


def test_the_very_bytes_are_given_back():
    reading, data = MessageStreamReading(), wire(*EVENTS[:5])

    assert reading.feed(data) is data


def test_nothing_follows_the_end():
    """Proxies have been seen to append an error to a stream that was complete."""
    stream = wire(*EVENTS)

    out, reading = read(stream + wire(OVERLOADED) + b"event: x")

    assert (out, reading.told_error()) == (stream, None)


def test_before_the_first_content_an_error_is_a_status():
    with pytest.raises(Refused) as refused:
        read(wire(EVENTS[0], OVERLOADED))

    error = refused.value
    assert (error.status, error.code, error.message) == (529, "overloaded_error", "too busy")
    assert msgspec.json.decode(error.body) == OVERLOADED


def test_later_it_is_passed_on_and_told():
    stream = wire(*EVENTS[:5], OVERLOADED)

    out, reading = read(stream)

    assert out == stream
    assert (reading.told_error().message, reading.is_complete()) == ("too busy", False)
    assert reading.usage() == Usage(input=7, cache_read=11, cache_write=3, cache_write_1h=2, output=6, estimated=True)


@pytest.mark.parametrize(
    "pieces", [[], [b": comment\n\n"], [b'{"type":"error","error":{"message":"no"}}\n\n'], [b"<html>no</html>"]]
)
def test_what_is_no_stream(pieces):
    with pytest.raises((BrokeOff, Refused)):
        read(*pieces)


def test_a_stream_that_stops_in_the_middle_is_not_complete():
    _, reading = read(wire(*EVENTS[:-2]))

    assert not reading.is_complete()


def test_an_event_without_end_is_not_kept_for_ever():
    reading = MessageStreamReading()
    reading.feed(b"x" * MAX_EVENT)

    with pytest.raises(BrokeOff, match="an event of over"):
        reading.feed(b"x")


def whole(body, **how):
    reading = MessageReading(**how)
    assert reading.feed(body[:9]) + reading.feed(body[9:]) == b""
    return reading.end(), reading


def test_a_whole_message():
    body = msgspec.json.encode(MESSAGE)

    out, reading = whole(body)

    assert (out, reading.is_complete(), reading.service_tier()) == (body, True, "default")
    assert reading.usage() == Usage(input=7, cache_read=11, cache_write=3, cache_write_1h=2, output=1)


def test_counting_is_free():
    out, reading = whole(b'{"input_tokens": 14}', is_free=True)

    assert (out, reading.usage()) == (b'{"input_tokens": 14}', Usage())


@pytest.mark.parametrize(
    ("body", "raised", "message"),
    [
        (msgspec.json.encode(OVERLOADED), Refused, "too busy"),
        (b'{"error": {"message": "no key sk-ant-api03-0123456789abcdef"}}', Refused, r"no key \*\*\*"),
        (b'{"choices": []}', BrokeOff, "not a message"),
        (b'{"input_tokens": 3}', BrokeOff, "not a message"),
        (b"<html></html>", BrokeOff, "not a message"),
        (wire(*EVENTS), BrokeOff, "stream"),
        (b"[1,2,3,4,5]", BrokeOff, "not a message"),
    ],
)
def test_what_is_no_message(body, raised, message):
    with pytest.raises(raised, match=message):
        whole(body)


def test_a_broken_count_costs_only_the_counts():
    out, reading = whole(b'{"type":"message","usage":{"input_tokens":"many"}}')

    assert (out, reading.usage()) == (b'{"type":"message","usage":{"input_tokens":"many"}}', None)


@pytest.mark.parametrize(
    ("asked", "how", "headers"),
    [
        ({}, {}, {}),
        ({"anthropic-version": "2026-10-21"}, {}, {"anthropic-version": "2026-10-21"}),
        ({"anthropic-beta": "a-1, b-2,a-1,"}, {"betas": ["c-3", "a-1"]}, {"anthropic-beta": "c-3,a-1,b-2"}),
        ({"anthropic-beta": "a-1,b-2,b-3"}, {"refused": ["b-*"]}, {"anthropic-beta": "a-1"}),
        ({"anthropic-beta": "b-2"}, {"refused": ["b-2"]}, {}),
    ],
)
def test_versions_and_features(asked, how, headers):
    """Coding agents ask for features that only Anthropic itself has, and others refuse the request."""
    assert headers_for(asked, **how) == headers


ODD = [
    ({"input_tokens": 100.0, "output_tokens": "20"}, Usage(input=100, output=20)),
    (
        {"input_tokens": 100, "output_tokens": 20, "cache_creation": [], "server_tool_use": ""},
        Usage(input=100, output=20),
    ),
    ({"input_tokens": 10**30, "output_tokens": 20}, Usage(input=10**9, output=20)),
    ({"input_tokens": 100, "output_tokens": None}, Usage(input=100, untold="output")),
    ({"input_tokens": [], "output_tokens": 20}, Usage(output=20, untold="input")),
    ({}, None),
    ({"input_tokens": None, "output_tokens": None}, None),
    ([], None),
    ("none", None),
]


@pytest.mark.parametrize(("usage", "counted"), ODD)
def test_odd_usage_costs_only_itself(usage, counted):
    """Imitations of the API write it so: all of it was lost, or was billed as 0 tokens."""
    _, reading = whole(msgspec.json.encode({**MESSAGE, "usage": usage}))

    assert reading.usage() == counted


def test_zero_replaces_no_count_that_came_before():
    """Some tell the input at the beginning, and 0 of it at the end."""
    last = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 0, "output_tokens": 9},
    }

    _, reading = read(wire(*EVENTS[:-2], last, EVENTS[-1]))

    assert reading.usage() == USED


@pytest.mark.parametrize("events", [[EVENTS[0], {"type": "ping"}], [EVENTS[-1]], [EVENTS[0], EVENTS[-1]]])
def test_a_stream_that_ends_before_its_first_content_is_a_status(events):
    """It was a stream with an error in it, or, with its last event, an answer: so no other target was asked."""
    with pytest.raises(BrokeOff, match="before it began"):
        read(wire(*events))


def test_a_stream_that_tells_all_of_it_at_once():
    """Of imitations that do not stream: SDKs take it from there."""
    whole = {"type": "message_start", "message": {**MESSAGE, "content": [{"type": "text", "text": "hi"}]}}

    out, reading = read(wire(whole, EVENTS[-1]))

    assert (out, reading.has_begun, reading.is_complete()) == (wire(whole, EVENTS[-1]), True, True)


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_a_stream_without_its_last_event_is_complete_once_the_reason_for_its_end_is_told(end):
    """Imitations of the API: a whole answer was logged as one that broke off, and counted against the provider."""
    stream = wire(*EVENTS[:-1]) + end

    for cut in range(1, len(stream)):
        out, reading = read(stream[:cut], stream[cut:])
        assert (out, reading.is_complete(), reading.usage()) == (stream, True, USED)

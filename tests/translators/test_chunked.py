"""Chunks of chat completions, as odd servers send them, for callers of the other APIs."""

import json

import pytest

from gateway.contract import Call, Head, Request
from gateway.dialects import GEMINI, MAKE_RESPONSE, MESSAGES
from gateway.errors import BrokeOff, Refused
from gateway.middleware.parse import json_body
from gateway.translators import gemini, messages, responses

PLACES = {"version": "v1beta", "model": "a/m"}
ROUTE = "/{version}/models/{model:path}:streamGenerateContent"


def call(dialect):
    body = json_body(json.dumps({"model": "a/m", "max_tokens": 9, "stream": True, "input": "x"}).encode())
    request = Request(route=ROUTE, path_params=PLACES, query=b"alt=sse", body=body)
    return Call(dialect, dialect.parse(request), request)


TRANSLATORS = {
    "messages": (messages.ToHub(new_id=lambda: "0" * 32), call(MESSAGES)),
    "responses": (responses.ToHub(new_id=lambda: "0" * 32, clock=lambda: 7.0), call(MAKE_RESPONSE)),
    "gemini": (gemini.ToHub(new_id=lambda: "0" * 32), call(GEMINI)),
}
HEAD = Head(200, {"content-type": "text/event-stream"}, is_stream=True)


def delta(text=None, finish=None, **more):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "choices": [choice], **more}).encode()


CHUNKS = [delta("hel"), delta("lo"), delta(finish="stop"), b"data: [DONE]\n\n"]


def told(name, stream, cut=0):
    translator, asked = TRANSLATORS[name]
    reading = translator.reading(asked, HEAD)
    stream = stream if isinstance(stream, bytes) else b"".join(stream)
    out = b"".join(reading.feed(piece) for piece in (stream[:cut], stream[cut:]) if piece) + reading.end()
    assert reading.is_complete()
    return out


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize(
    "event",
    [
        b'event: status\ndata: {"message":"loading the model","code":503}\n\n',
        b"event: ping\ndata: ping\n\n",
        b"event:keepalive\r\ndata: {}\r\n\r\n",
    ],
)
def test_events_with_names_of_others_are_passed_over(name, event):
    """Progress and heartbeats of vendors: each was taken for an error."""
    plain = told(name, CHUNKS)

    for place in range(len(CHUNKS)):
        assert told(name, [*CHUNKS[:place], event, *CHUNKS[place:]]) == plain
    assert all(told(name, event + b"".join(CHUNKS), cut) == plain for cut in range(1, len(event)))


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("label", [b"message", b"chunk", b"add"])
def test_chunks_may_have_any_name(name, label):
    named = [b"event: %b\n%b" % (label, each) for each in CHUNKS[:-1]]

    assert told(name, [*named, CHUNKS[-1]]) == told(name, CHUNKS)


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize(
    ("event", "message", "status"),
    [
        (b"event: error\ndata: overloaded\n\n", "overloaded", 502),
        (b'event: Error\ndata: {"reason":"no memory"}\n\n', "the provider answered with an error", 502),
        (b'event: error\ndata: {"message":"busy","code":429}\n\n', "busy", 429),
        (b'{"error":{"message":"busy","code":429}}\n\n', "busy", 429),
        (b'\n[{"error":{"message":"busy","code":429}}]\r\n\r\n', "busy", 429),
        (b'{"error":{"message":"busy","code":429}}', "busy", 429),
        (b'{"error":{"message":"busy","code":429}}\n\ndata: [DONE]\n\n', "busy", 429),
    ],
)
def test_errors_in_whatever_shape(name, event, message, status):
    """Before the first words their status or what they say was lost; behind them some were no error at all."""
    translator, asked = TRANSLATORS[name]
    early, late = translator.reading(asked, HEAD), translator.reading(asked, HEAD)
    late.feed(CHUNKS[0])

    with pytest.raises(Refused, match=message) as refused:
        _ = early.feed(event) + early.end()
    with pytest.raises(BrokeOff, match=message):
        _ = late.feed(event) + late.end()
    assert refused.value.status == status


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("end", [b"data:[DONE]\n\n", b"data:  [DONE] \n\n", b"data: [DONE]\t\r\n\r\n"])
def test_blanks_around_the_end_are_none_of_it(name, end):
    """Relayed it was the end, translated an error."""
    assert told(name, [*CHUNKS[:-1], end]) == told(name, CHUNKS)


def calling(*fragments):
    first, *more = [{"index": 0, "function": {"arguments": each}} for each in fragments]
    first["id"], first["function"]["name"] = "call_1", "f"
    return [said(tool_calls=[each]) for each in (first, *more)]


def said(**delta):
    return b"data: %b\n\n" % json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta}]}).encode()


END = [delta(finish="tool_calls"), b"data: [DONE]\n\n"]


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("nothing", ["{}", "null", " {}\n"])
def test_no_arguments_may_come_before_the_arguments(name, nothing):
    """Servers in front of Anthropic's begin each call with `{}`: in front of what came then, it was broken JSON."""
    assert told(name, [*calling(nothing, '{"a":', "null}"), *END]) == told(name, [*calling("", '{"a":', "null}"), *END])


@pytest.mark.parametrize("name", ["messages", "responses"])
def test_what_follows_a_call_without_arguments_goes_on_as_it_comes(name):
    translator, asked = TRANSLATORS[name]
    reading = translator.reading(asked, HEAD)
    reading.feed(b"".join(calling("", "{}")))

    assert b"the next thing" in reading.feed(delta("the next thing"))


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("nothing", [["{}"], ["null"], ["", "null"], []])
def test_no_arguments_may_be_said_in_many_ways(name, nothing):
    """`null` was an input that is no object, or lost the call."""
    assert told(name, [*calling("", *nothing), *END]) == told(name, [*calling(""), *END])

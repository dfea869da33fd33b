"""Chunks of chat completions, as odd servers send them, for callers of the other APIs."""

import json

import pytest

from gateway.contract import Call, Head, Request
from gateway.dialects import GEMINI, MAKE_RESPONSE, MESSAGES
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
    plain = told(name, b"".join(CHUNKS))

    for place in range(len(CHUNKS)):
        stream = b"".join([*CHUNKS[:place], event, *CHUNKS[place:]])
        assert told(name, stream) == plain
    assert all(told(name, event + b"".join(CHUNKS), cut) == plain for cut in range(1, len(event)))


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("label", [b"message", b"chunk", b"add"])
def test_chunks_may_have_any_name(name, label):
    plain = told(name, b"".join(CHUNKS))

    assert told(name, b"".join(b"event: %b\n%b" % (label, each) for each in CHUNKS[:-1]) + CHUNKS[-1]) == plain

"""What a session used, from what passes by."""

import json

import pytest

from gateway.contract.usage import Usage
from gateway.wire.realtime import MAX_LOOKED_AT, SessionMeter, query_for


def event(type_, **fields):
    return json.dumps({"event_id": "e", "type": type_, **fields})


def done(usage):
    return event("response.done", response={"id": "r", "output": [], "usage": usage})


# As in "Managing costs" of OpenAI's guide, with pictures besides.
SPOKEN = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 62,
        "audio_tokens": 50,
        "image_tokens": 20,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 40, "audio_tokens": 20, "image_tokens": 4},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def test_no_token_is_in_two_classes():
    """What is told of sound includes what was cached of it."""
    meter = SessionMeter()

    assert meter.look(done(SPOKEN))

    assert meter.total == Usage(input=22, cache_read=64, audio_input=30, image_input=16, output=30, audio_output=91)
    assert (meter.total.input_tokens, meter.total.output_tokens) == (132, 121)


def test_responses_add_up():
    meter = SessionMeter()

    for _ in range(3):
        meter.look(done({"input_tokens": 5, "output_tokens": 7}))

    assert meter.end() == Usage(input=15, output=21)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"type": 1}',
        '{"type":"response.done"}',
        '{"type":"response.done","response":null}',
        '{"type":"response.done","response":{"usage":null}}',
        '{"type":"response.done","response":{"usage":[1]}}',
        '{"type":"response.output_audio.delta","delta":5}',
        '{"type":"response.done","response":' + "[" * 100_000,
        event("response.done", response={"usage": {"input_tokens": 5}}, padding="x" * MAX_LOOKED_AT),
        event("session.updated", response={"usage": {"input_tokens": 5}}),
    ],
    ids=range(13),
)
def test_what_says_nothing_adds_nothing(message):
    """Clients judge what is wrong; a session is not ended for it."""
    meter = SessionMeter()

    assert not meter.look(message)
    assert meter.end() == Usage()


def test_what_had_passed_by_of_a_response_is_an_estimate():
    """A second of speech is 20 tokens of 3,200 characters."""
    meter = SessionMeter()
    meter.look(done({"input_tokens": 5, "output_tokens": 7}))
    meter.look(event("response.created", response={"id": "r"}))
    for _ in range(20):
        meter.look(event("response.output_audio.delta", delta="A" * 3200))
    for _ in range(4):
        meter.look(event("response.output_audio_transcript.delta", delta="word "))

    assert meter.is_answering
    assert meter.end() == Usage(input=5, output=11, audio_output=20, estimated=True)


def test_a_response_that_has_ended_is_no_estimate():
    meter = SessionMeter()
    for message in (event("response.created"), event("response.text.delta", delta="a"), done({"output_tokens": 9})):
        meter.look(message)

    assert not meter.is_answering
    assert meter.end() == Usage(output=9)


@pytest.mark.parametrize(("counts", "seconds"), [(True, 12), (False, 0)])
def test_transcripts_count_where_nothing_else_is_asked_for(counts, seconds):
    """Elsewhere they are the work of another model, at another price."""
    meter = SessionMeter(counts_transcripts=counts)

    assert meter.look(event(TRANSCRIBED, usage={"type": "duration", "seconds": 11.2})) is counts
    assert meter.total == Usage(audio_seconds=seconds)


def test_what_goes_on_of_a_query():
    query = b"model=a/b&intent=transcription&model=c&api_key=k&x=%zz&intent=two%20words&=&&"

    assert query_for("gpt realtime/1", query) == "model=gpt+realtime%2F1&intent=transcription&intent=two+words"

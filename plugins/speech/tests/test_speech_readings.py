"""Answers as they come over the wire: cut anywhere, and in each state that the relay asks about."""

import json
from base64 import b64decode

import pytest
from gateway_speech.asked import Heard
from gateway_speech.cartesia import Cartesia
from gateway_speech.reading import SoundEvents, SoundReading, TranscriptEvents, TranscriptReading

from gateway.contract import FormPart, Head
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff

SOUND = bytes(range(0, 256, 9))
HEARD = '{"text": "Grüße.", "duration": 1.5, "words": [{"word": "Grüße.", "start": 0, "end": 1.5}]}'.encode()
ASKED = Heard(FormPart("file", b""), "vtt", None, None, (), "prompt", frozenset({"segment"}))
AUDIO = Head(200, {"content-type": "audio/mpeg"})


def cut(data):
    """In two, at every byte."""
    return [(data[:at], data[at:]) for at in range(1, len(data))]


@pytest.mark.parametrize("pieces", cut(SOUND))
def test_sound_is_passed_on_as_it_comes(pieces):
    reading = SoundReading(AUDIO, label="audio/wav", usage=Usage(characters=3))

    assert (reading.has_begun, reading.usage()) == (False, None)
    assert [reading.feed(piece) for piece in pieces] == [*pieces]
    assert reading.end() == b""
    assert (reading.has_begun, reading.content_type, reading.usage()) == (True, None, Usage(characters=3))


@pytest.mark.parametrize("pieces", cut(SOUND))
def test_events_hold_all_of_the_sound(pieces):
    reading = SoundEvents(AUDIO, label="audio/wav", usage=Usage(characters=3))

    said = [reading.feed(piece) for piece in pieces]
    assert not reading.is_complete()
    last = reading.end()

    deltas = [json.loads(event.removeprefix(b"data: ")) for event in said]
    assert b"".join(b64decode(delta["audio"]) for delta in deltas) == SOUND
    assert (last, reading.is_complete()) == (b'data: {"type":"speech.audio.done"}\n\n', True)


@pytest.mark.parametrize(
    ("kind", "label"),
    [("audio/mpeg", None), ("application/octet-stream", "audio/wav"), ("", "audio/wav")],
)
def test_sound_has_a_label(kind, label):
    """The vendor's, if it has one: it knows best what it sends."""
    assert SoundReading(Head(200, {"content-type": kind}), label="audio/wav", usage=Usage()).content_type == label


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain; charset=utf-8"])
def test_what_is_no_sound_is_an_error(kind):
    reading = SoundReading(Head(200, {"content-type": kind}), label="audio/wav", usage=Usage(characters=3))

    with pytest.raises(BrokeOff, match="the provider sent no sound, but: No credits"):
        reading.feed(b'{"message": "No credits"}')
    assert (reading.has_begun, reading.usage()) == (False, None)


@pytest.mark.parametrize("pieces", cut(HEARD))
def test_a_transcript_is_read_when_it_is_whole(pieces):
    reading = TranscriptReading(Cartesia(), ASKED)

    assert [reading.feed(piece) for piece in pieces] == [b"", b""]
    assert reading.end().decode() == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nGrüße.\n\n"
    assert (reading.usage(), reading.is_complete(), reading.is_over) == (Usage(audio_seconds=2), True, False)


@pytest.mark.parametrize("pieces", cut(HEARD))
def test_one_that_breaks_off_is_none(pieces):
    reading = TranscriptReading(Cartesia(), ASKED)

    reading.feed(pieces[0])

    with pytest.raises(BrokeOff, match="answered with something else"):
        reading.end()
    assert (reading.has_begun, reading.usage()) == (False, None)


def test_a_stream_ends_with_its_last_event():
    """The relay asks for nothing more then, whatever the connection does."""
    reading = TranscriptEvents(Cartesia(), ASKED)

    assert (reading.feed(HEARD), reading.is_over) == (b"", False)
    events = [json.loads(event.removeprefix("data: ")) for event in reading.end().decode().split("\n\n")[:-1]]

    assert events == [
        {"type": "transcript.text.delta", "delta": "Grüße."},
        {"type": "transcript.text.done", "text": "Grüße."},
    ]
    assert (reading.is_over, reading.is_complete(), reading.has_begun) == (True, True, True)


@pytest.mark.parametrize(
    ("duration", "usage"),
    [("0", Usage()), ("0.01", Usage(audio_seconds=1)), ("60", Usage(audio_seconds=60)), ("-1", None), ("1e12", None)],
)
def test_a_begun_second_counts(duration, usage):
    """A duration that cannot be is as none at all."""
    reading = TranscriptReading(Cartesia(), ASKED)

    reading.feed(b'{"text": "", "duration": %b}' % duration.encode())
    reading.end()

    assert reading.usage() == usage

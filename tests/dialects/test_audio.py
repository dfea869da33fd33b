"""The APIs for sound."""

import json

import pytest

from gateway.contract import FormBody, FormPart, Request
from gateway.contract.usage import Usage
from gateway.dialects import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from gateway.errors import BadRequest, BrokeOff, Refused

MINUTE = 480_000 * b"\0"
"""Of MP3."""


def test_a_recording_is_reserved_by_its_length(asked):
    """By the second, or in tokens: as the model has a price."""
    ask = asked(TRANSCRIPTIONS, files=[MINUTE], model="a/m", prompt="names: Ana", stream="1")

    assert ask.expected == (Usage(audio_seconds=60), Usage(input=2, audio_input=600, output=240))
    assert (ask.model, ask.stream, ask.has_output) == ("a/m", True, False)
    assert asked(TRANSLATIONS, files=[MINUTE], model="a/m", stream="false").stream is False


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"text": "hi", "usage": {"type": "duration", "seconds": 9}}, Usage(audio_seconds=9)),
        ({"text": "hi", "usage": {"type": "duration", "seconds": 8.2}}, Usage(audio_seconds=9)),
        ({"text": "hi", "usage": {"type": "duration", "seconds": -1}}, None),
        ({"text": "hi", "usage": {"type": "duration", "seconds": "9"}}, None),
        ({"duration": 8.47, "text": "hi", "segments": []}, Usage(audio_seconds=9)),
        ({"duration": "8.470000267028809", "text": "hi"}, Usage(audio_seconds=9)),
        ({"text": '"duration": 5'}, None),
        ({"text": "hi", "usage": {"input_tokens": 14, "output_tokens": 3}}, Usage(input=14, output=3)),
        (
            {
                "text": "hi",
                "usage": {"prompt_audio_seconds": 7, "prompt_tokens": 4, "total_tokens": 400, "completion_tokens": 3},
            },
            Usage(input=4, output=3, audio_seconds=7),
        ),
    ],
)
def test_what_was_used(used, answer, usage):
    """OpenAI's two kinds, what verbose transcripts have had for longer, Mistral's, and none."""
    assert used(TRANSCRIPTIONS, json.dumps(answer).encode(), files=[b"a"]) == usage


def test_a_long_transcript_tells_at_its_beginning(used):
    """It is passed on before all of it is there."""
    answer = {"task": "transcribe", "duration": 3600.5, "text": "", "words": 20_000 * [{"word": "hi", "start": 0.1}]}

    assert used(TRANSCRIPTIONS, json.dumps(answer).encode(), files=[b"a"]) == Usage(audio_seconds=3601)


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_plain_text_tells_nothing(used, response_format):
    text = b'WEBVTT\n\n00:00.000 --> 00:02.000\n{"error": 1}\n'

    usage = used(TRANSCRIPTIONS, text, content_type="text/vtt", files=[b"a"], response_format=response_format)

    assert usage is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((FormPart("model", b"a/m"), FormPart("model", b"b/m")), "sent twice"),
        ((FormPart("model", b"a/m"), FormPart("model", b"b/m", "f")), "sent twice"),
        ((FormPart("model", b"a/m", "f"),), "is a file"),
    ],
)
def test_there_is_one_model(parts, message):
    """A provider that reads the last would be asked for a model that the caller may not use."""
    with pytest.raises(BadRequest, match=message):
        TRANSCRIPTIONS.parse(Request(body=FormBody(parts)))


def test_speech_is_reserved_by_its_text(asked):
    """Characters, of however many bytes; or tokens."""
    ask = asked(SPEECH, model="a/m", input=150 * "ü", voice="alloy")

    assert ask.expected == (Usage(characters=150), Usage(input=38, audio_output=210))
    assert (ask.stream, asked(SPEECH, model="a/m", input="hi", stream_format="sse").stream) == (False, True)
    assert asked(SPEECH, model="a/m", input=["?"]).expected[0] == Usage()


def test_sound_is_nobodys_business(used):
    assert used(SPEECH, b'\xff{"error"', input="hi", content_type="audio/mpeg") is None


def test_speech_that_is_an_error(used):
    """Though its status says that all is well."""
    with pytest.raises(Refused, match="no such voice"):
        used(SPEECH, b'{"error": {"message": "no such voice"}}', input="hi")


def test_sound_in_events(used):
    data = (
        b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
        b'data: {"type":"speech.audio.done","usage":{"input_tokens":2,"output_tokens":40,"total_tokens":42}}\n\n'
    )

    usage = used(SPEECH, data, content_type="text/event-stream", is_stream=True, input="hi", stream_format="sse")

    assert usage == Usage(input=2, output=40)


def test_a_page_is_no_sound(used):
    """It was passed on as sound, and billed."""
    with pytest.raises(BrokeOff, match="a page"):
        used(SPEECH, b"\n<html></html>", input="hi", content_type="Text/HTML")

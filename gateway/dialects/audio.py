"""OpenAI's audio API: recordings into text, and text into speech.

Source: openai-python 3.54 (resources/audio, types/audio); the prices of gpt-4o-transcribe and gpt-4o-mini-tts by minute
beside those by token at developers.openai.com/api/docs/pricing; read 2026-11.
"""

import re
from collections.abc import Sequence
from math import ceil

from gateway.contract import Ask, Call, FormBody, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.contract.usage import Usage
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import form_flag, form_model, model_of, text_of
from gateway.dialects.forms import MAX_FORM_BYTES
from gateway.dialects.openai import BYTES_PER_TOKEN
from gateway.errors import BrokeOff
from gateway.wire.openai import BodyReading
from gateway.wire.plain import PlainReading
from gateway.wire.sound import duration_s
from gateway.wire.typed_events import TypedStreamReading

HEARD_PER_S = 10
"""Tokens of a second of sound, as input."""
WRITTEN_PER_S = 4
"""Tokens of what is said in a second."""
SPOKEN_PER_S = 21
"""Tokens of a second of speech, as output."""
CHARACTERS_PER_S = 15
LOOKED_AT = 4096
"""Bytes at the beginning of a transcript that is too long to be held."""
TEXT_FORMATS = frozenset({"text", "srt", "vtt"})
_DURATION = re.compile(rb'"duration"\s*:\s*"?([0-9]{1,8}(?:\.[0-9]{1,20})?)')


class Transcriptions(OpenAIErrors):
    """A `Dialect`: a recording into text, of its own language or in English."""

    accepts: type[Body] | None = FormBody
    max_body_bytes: int | None = MAX_FORM_BYTES

    def __init__(self, name: str, path: str, model_type: str) -> None:
        self.name = name
        self.routes: Sequence[tuple[str, str]] = (("POST", path),)
        self.model_type = model_type

    def parse(self, request: Request) -> Ask:
        form = request.body
        assert isinstance(form, FormBody)
        files = [part for part in form.parts if part.filename is not None]
        seconds = sum(duration_s(part.beginning, len(part.data)) for part in files)
        text = len((form.text("prompt") or "").encode()) // BYTES_PER_TOKEN
        by_token = Usage(input=text, audio_input=seconds * HEARD_PER_S, output=seconds * WRITTEN_PER_S)
        return Ask(
            form_model(form),
            stream=form_flag(form, "stream"),
            wants_usage=True,
            has_output=False,
            expected=(Usage(audio_seconds=seconds), by_token),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        if head.is_stream:
            return TypedStreamReading(("transcript.text.done",))
        form = call.request.body
        if isinstance(form, FormBody) and form.text("response_format") in TEXT_FORMATS:
            return PlainReading()
        return TranscriptReading()


class TranscriptReading(BodyReading):
    """One of a verbose transcript tells how long the recording was, even where it has no usage."""

    def __init__(self) -> None:
        super().__init__()
        self._beginning = b""

    def feed(self, data: bytes) -> bytes:
        if len(self._beginning) < LOOKED_AT:
            self._beginning += data[:LOOKED_AT]
        return super().feed(data)

    def usage(self) -> Usage | None:
        if (usage := super().usage()) is not None:
            return usage
        duration = _DURATION.search(self._tail() if self._is_whole else self._beginning)
        return Usage(audio_seconds=ceil(float(duration[1]))) if duration else None


class Speech(OpenAIErrors):
    """A `Dialect`: text into speech, as sound that is passed on as it comes, or as events."""

    name = "speech"
    routes: Sequence[tuple[str, str]] = (("POST", "/audio/speech"),)
    model_type = "text_to_speech"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        fields = body.fields
        characters = len(text_of(fields, "input") or "")
        by_token = Usage(
            input=characters // BYTES_PER_TOKEN + 1,
            audio_output=ceil(characters / CHARACTERS_PER_S) * SPOKEN_PER_S,
        )
        return Ask(
            model_of(fields),
            stream=text_of(fields, "stream_format") == "sse",
            wants_usage=True,
            input_tokens=by_token.input,
            has_output=False,
            expected=(Usage(characters=characters), by_token),
        )

    def reading(self, call: Call, head: Head) -> Reading:
        if head.is_stream:
            return TypedStreamReading(("speech.audio.done",))
        content_type = head.headers.get("content-type", "").lower()
        if "json" in content_type:  # no sound, so probably an error
            return BodyReading()
        return SoundReading() if "html" in content_type else PlainReading()


class SoundReading(PlainReading):
    """Labelled as a page, as some frameworks label everything; a page is no sound."""

    def feed(self, data: bytes) -> bytes:
        if not self.events and data.lstrip().startswith(b"<"):
            raise BrokeOff("the provider answered with a page, not with sound")
        return super().feed(data)


TRANSCRIPTIONS = Transcriptions("transcriptions", "/audio/transcriptions", "audio_transcription")
TRANSLATIONS = Transcriptions("translations", "/audio/translations", "audio_translation")
SPEECH = Speech()

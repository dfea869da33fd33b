"""ElevenLabs.

Source: elevenlabs.io/docs/api-reference (text-to-speech/convert and /stream, speech-to-text/convert, models/list) as in
the types of elevenlabs 2.78; docs/eleven-api/guides/how-to/speech-to-text/batch/keyterm-prompting; the range of `speed`
from errors of the API (`invalid_voice_settings`) that are quoted in public code; read 2026-11.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.contract import Head
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway_speech.accounts import SpeechAccount
from gateway_speech.asked import Heard, Spoken, unsaid, within
from gateway_speech.transcript import Transcript, Word
from gateway_speech.vendor import Sent, form_sent, json_sent

FORMATS: Mapping[str, str] = {
    "mp3": "mp3_44100_128",
    "opus": "opus_48000_128",
    "wav": "wav_24000",
    "pcm": "pcm_24000",  # which is what OpenAI calls pcm
}
NOT_STREAMED = frozenset({"wav"})
"""Whose beginning tells how long it is."""
SLOWEST, FASTEST = 0.7, 1.2
SPOKEN_FIELDS = (
    "apply_language_text_normalization",
    "apply_text_normalization",
    "next_text",
    "previous_text",
    "pronunciation_dictionary_locators",
    "seed",
)
HEARD_FIELDS = ("diarization_threshold", "file_format", "no_verbatim", "num_speakers", "numbers_format", "seed")
"""Of its own, which callers may send as well."""

_WITHOUT_TERMS = "scribe_v1"


class Spelled(msgspec.Struct):
    """`type`: `word`, `spacing`, or `audio_event`, which is a sound such as laughter."""

    text: str
    type: str = "word"
    start: float | None = None
    end: float | None = None
    speaker_id: str | None = None


class Channel(msgspec.Struct):
    text: str = ""


class Answer(msgspec.Struct):
    """`transcripts`: one for each channel, in the place of all else, if that was asked for."""

    text: str | None = None
    transcripts: list[Channel] = []
    language_code: str | None = None
    audio_duration_secs: float | None = None


class AnswerWithWords(Answer):
    words: list[Spelled] = []


class Model(msgspec.Struct):
    model_id: str


_answer = msgspec.json.Decoder(Answer)
_with_words = msgspec.json.Decoder(AnswerWithWords)
_models = msgspec.json.Decoder(list[Model])


class ElevenLabs:
    """A `SpeechVendor`."""

    name = "elevenlabs"
    base_url = "https://api.elevenlabs.io"
    suffixes: Sequence[str] = ("/v1",)
    key_variable = "ELEVENLABS_API_KEY"
    formats: Sequence[str] = tuple(FORMATS)
    models_path: str | None = "/v1/models"

    def headers(self, account: SpeechAccount) -> Mapping[str, str]:
        return {"xi-api-key": account.auth_data.api_key.reveal()}

    def speak(self, asked: Spoken, fields: ChatRequest, model: str) -> Sent:
        if not asked.voice:
            raise BadRequest('the field "voice" is missing: the id of one of the voices at ElevenLabs', param="voice")
        speed = within(fields, "speed", asked.speed, SLOWEST, FASTEST)
        settings: dict[str, Any] = fields.take("voice_settings", dict[str, Any]) or {}
        if speed is not None:
            settings = {"speed": speed, **settings}
        end = "" if asked.format in NOT_STREAMED else "/stream"
        return json_sent(
            f"/v1/text-to-speech/{quote(asked.voice, safe='')}{end}?output_format={FORMATS[asked.format]}",
            {
                "text": asked.text,
                "model_id": model,
                "language_code": fields.take("language_code", str) or asked.language,
                "voice_settings": settings or None,
                **{name: fields.raw(name) for name in SPOKEN_FIELDS},
            },
        )

    def listen(self, asked: Heard, fields: ChatRequest, model: str) -> Sent:
        diarizes = fields.take("diarize", bool) or asked.needs_speakers
        pairs = [
            ("model_id", model),
            ("timestamps_granularity", "word" if asked.needs_words else "none"),
            # Whisper writes down no laughter, and who reads a transcript of OpenAI's expects none.
            ("tag_audio_events", "true" if fields.take("tag_audio_events", bool) else "false"),
            ("diarize", "true" if diarizes else "false"),
        ]
        if model.startswith(_WITHOUT_TERMS):
            unsaid(fields, asked.terms_from, asked.terms)
        else:
            pairs += [("keyterms", term) for term in asked.terms]
        if asked.language is not None:
            pairs.append(("language_code", asked.language))
        if asked.temperature is not None:
            pairs.append(("temperature", f"{within(fields, 'temperature', asked.temperature, 0, 2):g}"))
        pairs += [(name, value) for name in HEARD_FIELDS if (value := fields.take(name, str)) is not None]
        return form_sent("/v1/speech-to-text", pairs, asked.file)

    def characters(self, head: Head) -> int | None:
        return None

    def transcript(self, body: bytes, *, with_words: bool) -> Transcript:
        answer = (_with_words if with_words else _answer).decode(body)
        if answer.text is None and not answer.transcripts:
            raise msgspec.ValidationError("neither a text nor transcripts of channels")
        words = answer.words if isinstance(answer, AnswerWithWords) else []
        return Transcript(
            answer.text or "",
            answer.language_code,
            answer.audio_duration_secs,
            tuple(
                Word(word.text, word.start, word.end, word.speaker_id)
                for word in words
                if word.type != "spacing" and word.start is not None and word.end is not None
            ),
            channels=len(answer.transcripts) or 1,
        )

    def listed(self, body: bytes) -> Iterable[str]:
        """Those that speak; of those that hear there is no list."""
        return [model.model_id for model in _models.decode(body)]

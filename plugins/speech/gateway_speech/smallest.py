"""Smallest, which calls its API Waves.

Source: docs.smallest.ai/waves (text-to-speech/synthesize-speech, speech-to-text) as in the client of smallestai 5.14,
which the SDK's own comments explain; read 2026-11.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.contract import Head
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway_speech.accounts import SpeechAccount
from gateway_speech.asked import Heard, Spoken, unsaid, within
from gateway_speech.transcript import Transcript, Word
from gateway_speech.vendor import Sent, json_sent, raw_sent, with_query

SAMPLE_RATE = 24000
SLOWEST, FASTEST = 0.5, 2.0
SPOKEN_FIELDS = ("number_pronunciation_language", "pronunciation_dicts", "sample_rate")
HEARD_FIELDS = ("emotion_detection", "gender_detection", "redact_pci", "redact_pii")
"""Of its own, which callers may send as well."""
ENGLISH_ONLY = "pulse-pro"
ANY_LANGUAGE = "multi-eu"
"""English and 21 others of Europe: the API needs a language, and this is the widest that it finds out by itself."""


class Spelled(msgspec.Struct):
    word: str = ""
    start: float = 0
    end: float = 0
    speaker: str | int | None = None


class Metadata(msgspec.Struct):
    duration: float | None = None


class Answer(msgspec.Struct):
    transcription: str
    language: str | None = None
    metadata: Metadata | None = None


class AnswerWithWords(Answer):
    words: list[Spelled] | None = None


_answer = msgspec.json.Decoder(Answer)
_with_words = msgspec.json.Decoder(AnswerWithWords)


class Smallest:
    """A `SpeechVendor`."""

    name = "smallest-ai"
    base_url = "https://api.smallest.ai"
    suffixes: Sequence[str] = ("/waves/v1", "/waves")
    key_variable = "SMALLEST_API_KEY"
    formats: Sequence[str] = ("mp3", "wav", "pcm")
    models_path: str | None = None

    def headers(self, account: SpeechAccount) -> Mapping[str, str]:
        return {"authorization": f"Bearer {account.auth_data.api_key.reveal()}"}

    def speak(self, asked: Spoken, fields: ChatRequest, model: str) -> Sent:
        if not asked.voice:
            raise BadRequest('the field "voice" is missing: the id of one of the voices at Smallest', param="voice")
        return json_sent(
            "/waves/v1/tts",
            {
                "text": asked.text,
                "voice_id": asked.voice,
                "model": model,
                "output_format": asked.format,
                "speed": within(fields, "speed", asked.speed, SLOWEST, FASTEST),
                "language": asked.language,
                **{"sample_rate": SAMPLE_RATE}
                | {name: value for name in SPOKEN_FIELDS if (value := fields.raw(name)) is not None},
            },
        )

    def listen(self, asked: Heard, fields: ChatRequest, model: str) -> Sent:
        usual = "en" if model == ENGLISH_ONLY else ANY_LANGUAGE
        pairs = [("model", model), ("language", asked.language or usual)]
        if asked.needs_words:
            pairs.append(("word_timestamps", "true"))
        if fields.take("diarize", bool) or asked.needs_speakers:
            pairs.append(("diarize", "true"))
        unsaid(fields, asked.terms_from, asked.terms)
        unsaid(fields, "temperature", asked.temperature)
        pairs += [(name, value) for name in HEARD_FIELDS if (value := fields.take(name, str)) is not None]
        return raw_sent(with_query("/waves/v1/stt/", pairs), asked.file)

    def characters(self, head: Head) -> int | None:
        return None

    def transcript(self, body: bytes, *, with_words: bool) -> Transcript:
        answer = (_with_words if with_words else _answer).decode(body)
        words = (answer.words or []) if isinstance(answer, AnswerWithWords) else []
        return Transcript(
            answer.transcription,
            answer.language,
            answer.metadata.duration if answer.metadata is not None else None,
            tuple(
                Word(each.word, each.start, each.end, None if each.speaker is None else str(each.speaker))
                for each in words
            ),
        )

    def listed(self, body: bytes) -> Iterable[str]:
        return ()

"""Cartesia.

Source: docs.cartesia.ai (api-reference/tts/bytes and api-reference/stt/transcribe of the versions 2024-06-10 to
2026-03-01, build-with-cartesia/sonic-3/volume-speed-emotion, use-the-api/api-conventions and /api-errors), types of
cartesia 4.2; read 2026-11.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract import Head
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway_speech.accounts import CartesiaAccount, SpeechAccount
from gateway_speech.asked import Heard, Spoken, unsaid, within
from gateway_speech.transcript import Transcript, Word
from gateway_speech.vendor import Sent, form_sent, json_sent

FORMATS: Mapping[str, Mapping[str, object]] = {
    "mp3": {"container": "mp3", "sample_rate": 44100, "bit_rate": 128000},
    "wav": {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 24000},
    "pcm": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
}
SLOWEST, FASTEST = 0.6, 1.5
BEARER_SINCE = "2026"
"""The pages of versions before it have the key in `X-API-Key`, and those of 2026-03-01 behind `Bearer`."""
SPOKEN_FIELDS = ("duration", "pronunciation_dict_id")
"""Of its own, which callers may send as well."""
_WITHOUT_SPEED = re.compile(r"sonic(?:-2.*|-turbo.*|-english.*|-multilingual.*|-preview.*)?")
"""Models before Sonic 3, which have no speed, or one in words that is deprecated."""


class Answer(msgspec.Struct):
    text: str
    language: str | None = None
    duration: float | None = None


class Spelled(msgspec.Struct):
    word: str
    start: float
    end: float


class AnswerWithWords(Answer):
    words: list[Spelled] | None = None


_answer = msgspec.json.Decoder(Answer)
_with_words = msgspec.json.Decoder(AnswerWithWords)


class Cartesia:
    """A `SpeechVendor`."""

    name = "cartesia"
    base_url = "https://api.cartesia.ai"
    suffixes: Sequence[str] = ()
    key_variable = "CARTESIA_API_KEY"
    formats: Sequence[str] = tuple(FORMATS)
    models_path: str | None = None

    def headers(self, account: SpeechAccount) -> Mapping[str, str]:
        assert isinstance(account, CartesiaAccount)
        key, version = account.auth_data.api_key.reveal(), account.cartesia_version
        named = {"authorization": f"Bearer {key}"} if version >= BEARER_SINCE else {"x-api-key": key}
        return {**named, "cartesia-version": version}

    def speak(self, asked: Spoken, fields: ChatRequest, model: str) -> Sent:
        if not asked.voice:
            raise BadRequest('the field "voice" is missing: the id of one of the voices at Cartesia', param="voice")
        given: dict[str, Any] = fields.take("generation_config", dict[str, Any]) or {}
        if _WITHOUT_SPEED.fullmatch(model) is not None:
            unsaid(fields, "speed", asked.speed not in (None, 1))
        elif (speed := within(fields, "speed", asked.speed, SLOWEST, FASTEST)) not in (None, 1):
            given = {"speed": speed, **given}
        return json_sent(
            "/tts/bytes",
            {
                "model_id": model,
                "transcript": asked.text,
                "voice": {"mode": "id", "id": asked.voice},
                "output_format": FORMATS[asked.format],
                "language": asked.language,
                "generation_config": given or None,
                **{name: fields.raw(name) for name in SPOKEN_FIELDS},
            },
        )

    def listen(self, asked: Heard, fields: ChatRequest, model: str) -> Sent:
        if asked.needs_speakers:
            raise BadRequest("this model does not tell who speaks: ask for verbose_json", param="response_format")
        pairs = [("model", model)]
        if asked.language is not None:
            pairs.append(("language", asked.language))
        if asked.needs_words:
            pairs.append(("timestamp_granularities[]", "word"))
        unsaid(fields, asked.terms_from, asked.terms)
        unsaid(fields, "temperature", asked.temperature)
        return form_sent("/stt", pairs, asked.file)

    def characters(self, head: Head) -> int | None:
        return None

    def transcript(self, body: bytes, *, with_words: bool) -> Transcript:
        answer = (_with_words if with_words else _answer).decode(body)
        words = (answer.words or []) if isinstance(answer, AnswerWithWords) else []
        said = tuple(Word(each.word, each.start, each.end) for each in words)
        return Transcript(answer.text, answer.language, answer.duration, said)

    def listed(self, body: bytes) -> Iterable[str]:
        return ()

"""Deepgram.

Source: developers.deepgram.com (reference/text-to-speech/speak-request, reference/speech-to-text/listen-pre-recorded,
docs/tts-media-output-settings, docs/tts-voice-controls, docs/keyterm, docs/language-detection) and the types of
deepgram-sdk 7.17; the header `dg-char-count` from src/speak/response.rs of deepgram 0.14 (Rust); read 2026-11.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.contract import Head
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest
from gateway_speech.accounts import SpeechAccount
from gateway_speech.asked import Heard, Spoken, unsaid, within
from gateway_speech.transcript import Transcript, Word
from gateway_speech.vendor import Pairs, Sent, json_sent, raw_sent, with_query

FORMATS: Mapping[str, Pairs] = {
    "mp3": [("encoding", "mp3")],
    "opus": [("encoding", "opus"), ("container", "ogg")],
    "aac": [("encoding", "aac")],
    "flac": [("encoding", "flac"), ("sample_rate", "48000")],
    "wav": [("encoding", "linear16"), ("container", "wav"), ("sample_rate", "24000")],
    "pcm": [("encoding", "linear16"), ("container", "none"), ("sample_rate", "24000")],
}
SLOWEST, FASTEST = 0.7, 1.5
HEARD_FIELDS = (
    "dictation",
    "filler_words",
    "measurements",
    "numerals",
    "paragraphs",
    "profanity_filter",
    "punctuate",
    "redact",
    "replace",
    "search",
    "utt_split",
    "version",
)
"""Of its own, which callers may send as well."""

_VOICE = re.compile(r"(aura(?:-[0-9]+)?)-([a-z0-9]+)-([a-z]{2}(?:-[a-z]{2})?)", re.IGNORECASE)
_NAMED = re.compile(r"[a-z0-9-]{1,64}", re.IGNORECASE)
_TERMS = ("nova-3", "flux")
"""Models with key terms; those before had other ones, with weights."""


class Spelled(msgspec.Struct):
    word: str
    start: float
    end: float
    punctuated_word: str | None = None
    speaker: int | None = None


class Alternative(msgspec.Struct):
    transcript: str = ""
    languages: list[str] = []


class AlternativeWithWords(Alternative):
    words: list[Spelled] = []


class Channel(msgspec.Struct):
    alternatives: list[Alternative] = []
    detected_language: str | None = None


class ChannelWithWords(msgspec.Struct):
    alternatives: list[AlternativeWithWords] = []
    detected_language: str | None = None


class Results(msgspec.Struct):
    channels: list[Channel]


class ResultsWithWords(msgspec.Struct):
    channels: list[ChannelWithWords]


class Metadata(msgspec.Struct, frozen=True):
    duration: float | None = None
    channels: int = 1


class Answer(msgspec.Struct):
    results: Results
    metadata: Metadata = Metadata()


class AnswerWithWords(msgspec.Struct):
    results: ResultsWithWords
    metadata: Metadata = Metadata()


class Model(msgspec.Struct):
    canonical_name: str


class Models(msgspec.Struct):
    stt: list[Model] = []
    tts: list[Model] = []


_answer = msgspec.json.Decoder(Answer)
_with_words = msgspec.json.Decoder(AnswerWithWords)
_models = msgspec.json.Decoder(Models)


class Deepgram:
    """A `SpeechVendor`."""

    name = "deepgram"
    base_url = "https://api.deepgram.com"
    suffixes: Sequence[str] = ("/v1",)
    key_variable = "DEEPGRAM_API_KEY"
    formats: Sequence[str] = tuple(FORMATS)
    models_path: str | None = "/v1/models"

    def headers(self, account: SpeechAccount) -> Mapping[str, str]:
        return {"authorization": f"Token {account.auth_data.api_key.reveal()}"}

    def speak(self, asked: Spoken, fields: ChatRequest, model: str) -> Sent:
        pairs = [("model", voiced(model, asked, fields)), *FORMATS[asked.format]]
        if (speed := within(fields, "speed", asked.speed, SLOWEST, FASTEST)) not in (None, 1):
            pairs.append(("speed", f"{speed:g}"))
        return json_sent(with_query("/v1/speak", pairs), {"text": asked.text})

    def listen(self, asked: Heard, fields: ChatRequest, model: str) -> Sent:
        pairs = [("model", model), ("smart_format", fields.take("smart_format", str) or "true")]
        pairs.append(("language", asked.language) if asked.language is not None else ("detect_language", "true"))
        if fields.take("diarize", bool) or asked.needs_speakers:
            pairs.append(("diarize", "true"))
        if model.startswith(_TERMS):
            pairs += [("keyterm", term) for term in asked.terms]
        else:
            unsaid(fields, asked.terms_from, asked.terms)
        unsaid(fields, "temperature", asked.temperature)
        pairs += [(name, value) for name in HEARD_FIELDS if (value := fields.take(name, str)) is not None]
        return raw_sent(with_query("/v1/listen", pairs), asked.file)

    def characters(self, head: Head) -> int | None:
        told = head.headers.get("dg-char-count", "")
        return int(told) if len(told) < 9 and told.isascii() and told.isdecimal() else None

    def transcript(self, body: bytes, *, with_words: bool) -> Transcript:
        answer = (_with_words if with_words else _answer).decode(body)
        channels = answer.results.channels
        channel = channels[0] if channels else Channel()
        heard = channel.alternatives[0] if channel.alternatives else Alternative()
        words = heard.words if isinstance(heard, AlternativeWithWords) else []
        language = channel.detected_language or next(iter(heard.languages), None)
        return Transcript(
            heard.transcript,
            language,
            answer.metadata.duration,
            tuple(Word(each.punctuated_word or each.word, each.start, each.end, _name(each.speaker)) for each in words),
            channels=answer.metadata.channels,
        )

    def listed(self, body: bytes) -> Iterable[str]:
        models = _models.decode(body)
        return sorted({model.canonical_name for model in (*models.tts, *models.stt)})


def _name(speaker: int | None) -> str | None:
    return None if speaker is None else str(speaker)


def voiced(model: str, asked: Spoken, fields: ChatRequest) -> str:
    """A voice is a part of a model's name: `aura-2` and `thalia` are `aura-2-thalia-en`. A model that has one already
    keeps it, as it was granted; another that the caller names is told as dropped."""
    voice = asked.voice.lower()
    if (whole := _VOICE.fullmatch(model)) is not None:
        if voice not in ("", model.lower(), whole[2].lower(), f"{whole[2]}-{whole[3]}".lower()):
            fields.drop("voice")
        unsaid(fields, "language", asked.language not in (None, whole[3].lower()))
        return model
    voice = voice.removeprefix(f"{model.lower()}-")
    if _NAMED.fullmatch(voice) is None or voice.startswith("aura-"):
        raise BadRequest(f"{model} needs a voice of its own, such as thalia, or thalia-en", param="voice")
    return f"{model}-{voice}" if "-" in voice else f"{model}-{voice}-{asked.language or 'en'}"

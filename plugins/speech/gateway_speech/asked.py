"""What clients of OpenAI's audio API ask for, whoever is to do it.

Source: openai-python 3.54 (types/audio); read 2026-11.
"""

import re
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import msgspec

from gateway.contract import Call, FormBody, FormPart, JsonBody, Request
from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest

SUBTITLES = frozenset({"srt", "vtt"})
FORMATS = ("json", "text", *sorted(SUBTITLES), "verbose_json", "diarized_json")
GRANULARITIES = ("segment", "word")
MAX_TERMS = 100
MAX_TERM_CHARS = 50
MAX_TERM_WORDS = 5
"""Of a prompt that is a list of terms, as all who take such lists have them at least. Source: as in `elevenlabs`."""

_encode = msgspec.json.encode
_SEPARATORS = re.compile(r"[,;\n]")
_UNFIT = re.compile(r"[<>{}\[\]\\]")
_SENTENCE = re.compile(r"[.?!…](?:\s|\Z)|[。？！]")
"""The end of one: a list has none."""


class Spoken(msgspec.Struct, frozen=True):
    """
    Args:
        text: to be said.
        voice: the vendor's own id; empty: none was named.
        format: as in OpenAI's `response_format`.
        speed: 1 is usual; None: it was not asked for.
        language: as the caller wrote it.
    """

    text: str
    voice: str
    format: str
    speed: float | None
    language: str | None


class Heard(msgspec.Struct, frozen=True):
    """
    Args:
        file: the recording.
        format: of the transcript, one of `FORMATS`.
        language: as the caller wrote it; None: to be found out.
        terms: what is likely to be said; `terms_from`: the field that says so.
        granularities: of a verbose transcript.
    """

    file: FormPart
    format: str
    language: str | None
    temperature: float | None
    terms: tuple[str, ...]
    terms_from: str
    granularities: frozenset[str]

    @property
    def needs_words(self) -> bool:
        """Each with its time: segments and subtitles are made of them."""
        return self.format in SUBTITLES or self.format.endswith("_json")

    @property
    def needs_speakers(self) -> bool:
        return self.format == "diarized_json"


def fields_of(call: Call) -> ChatRequest:
    """The fields of a JSON body, or of a form, each to be taken once. A field of a form that was sent several times, or
    whose name ends in `[]`, is a list."""
    form = call.request.body
    if not isinstance(form, FormBody):
        return ChatRequest(call)
    values: dict[str, Any] = {}
    for part in form.parts:
        if part.filename is None:
            values.setdefault(part.name, []).append(part.beginning.decode(errors="replace"))
    values = {name: texts[0] if len(texts) == 1 and name[-2:] != "[]" else texts for name, texts in values.items()}
    body = JsonBody({name: msgspec.Raw(_encode(value)) for name, value in values.items()})
    return ChatRequest(msgspec.structs.replace(call, request=Request(body=body)))


def spoken(fields: ChatRequest, voices: Mapping[str, str], formats: Collection[str]) -> Spoken:
    """
    Args:
        voices: names -> the vendor's ids.
        formats: those that the vendor has.

    Raises:
        BadRequest: it cannot be said in this way.
    """
    text = fields.take("input", str)
    if text is None:
        raise BadRequest('the field "input" is missing', param="input")
    asked = fields.take("response_format", str) or "mp3"
    if asked not in formats:
        raise BadRequest(f"this model speaks {', '.join(formats)}, and no {asked[:20]}", param="response_format")
    given: Any = fields.take("voice", Any)
    voice = given.get("id") if isinstance(given, dict) else given
    if not isinstance(voice, str | None):
        raise BadRequest('the field "voice" must be a name, or an object with an id', param="voice")
    stream_format = fields.take("stream_format", str)
    if stream_format not in (None, "audio", "sse"):
        raise BadRequest("stream_format must be audio or sse", param="stream_format")
    return Spoken(text, voices.get(voice or "", voice or ""), asked, number(fields, "speed"), language(fields))


def heard(call: Call, fields: ChatRequest) -> Heard:
    """Raises BadRequest: there is no recording, or no such transcript."""
    form = call.request.body
    assert isinstance(form, FormBody)
    files = [part for part in form.parts if part.filename is not None]
    if len(files) != 1 or files[0].name != "file":
        raise BadRequest('the form must have one file, called "file"', param="file")
    asked = fields.take("response_format", str) or "json"
    if asked not in FORMATS:
        raise BadRequest(f"response_format must be one of {', '.join(FORMATS)}", param="response_format")
    granularities = listed(fields, "timestamp_granularities[]") or listed(fields, "timestamp_granularities")
    if unknown := [name for name in granularities if name not in GRANULARITIES]:
        raise BadRequest(
            f"timestamp_granularities may be {' and '.join(GRANULARITIES)}, and not {unknown[0][:20]}",
            param="timestamp_granularities",
        )
    terms, terms_from = _terms(fields)
    return Heard(
        file=files[0],
        format=asked,
        language=language(fields),
        temperature=number(fields, "temperature"),
        terms=terms,
        terms_from=terms_from,
        granularities=frozenset(granularities) or frozenset({"segment"}),
    )


def language(fields: ChatRequest) -> str | None:
    return fields.take("language", str) or None


def number(fields: ChatRequest, name: str) -> float | None:
    value = fields.take(name, float)
    if value is not None and not isfinite(value):
        raise BadRequest(f'the field "{name}" must be a number', param=name)
    return value


def listed(fields: ChatRequest, name: str) -> list[str]:
    given = fields.take(name, list[str] | str)  # type: ignore[arg-type]
    return [given] if isinstance(given, str) else given or []


def within(fields: ChatRequest, name: str, value: float | None, lowest: float, highest: float) -> float | None:
    """What the vendor has that is next to it; the caller is told where that is something else."""
    if value is None:
        return None
    if not lowest <= value <= highest:
        fields.drop(name)
    return min(max(value, lowest), highest)


def unsaid(fields: ChatRequest, name: str, value: object) -> None:
    """A field that was read, and that this vendor has nothing for."""
    if value:
        fields.drop(name)


def _terms(fields: ChatRequest) -> tuple[tuple[str, ...], str]:
    """Of `keyterms`, this plugin's own; else of a prompt that is nothing but a list of terms. One that is a text would
    not work as terms: nobody takes it."""
    given = listed(fields, "keyterms[]") or listed(fields, "keyterms")
    prompt = fields.take("prompt", str) or ""
    terms = [term for part in _SEPARATORS.split(prompt) if (term := part.strip())]
    if given or len(terms) > MAX_TERMS or _SENTENCE.search(prompt) or not all(map(_is_term, terms)):
        unsaid(fields, "prompt", prompt)
        return tuple(given), "keyterms"
    return tuple(terms), "prompt"


def _is_term(text: str) -> bool:
    return len(text) <= MAX_TERM_CHARS and len(text.split()) <= MAX_TERM_WORDS and _UNFIT.search(text) is None

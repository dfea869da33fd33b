"""The dialects of vendors of speech: what is reserved, refused, and said."""

import json

import msgspec
import pytest

from gateway.contract import FormBody, FormPart, JsonBody, RawBody, Request
from gateway.contract.usage import Usage
from gateway.dialects import NATIVE_SPEECH
from gateway.errors import BadRequest, NotServed, RateLimited

TTS, STT = NATIVE_SPEECH
MINUTE = 480_000 * b"\0"
"""Of MP3."""


class Stored:
    """On a disk somewhere."""

    beginning = MINUTE[:4096]

    def __len__(self):
        return len(MINUTE)


def json_body(**fields):
    return JsonBody({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})


def form(**fields):
    parts = [FormPart(name, value.encode()) for name, value in fields.items()]
    return FormBody((*parts, FormPart("file", MINUTE, "a.mp3")))


def asked(dialect, path, body, query=b""):
    return dialect.parse(Request(path=f"/{dialect.name[:3]}{path}", body=body, query=query))


@pytest.mark.parametrize(
    ("path", "body", "query", "model", "expected"),
    [
        ("/a/v1/text-to-speech/v", json_body(model_id="m", text="Grüße"), b"", "a/m", Usage(characters=5)),
        ("/a/v1/text-to-speech/v", json_body(model_id="a/m", text=5), b"", "a/m", Usage()),
        ("/a/v1/speak", json_body(text="Hi"), b"model=m%2Fn", "a/m/n", Usage(characters=2)),
        ("/a/tts/sse", json_body(model_id="m", transcript="Hi"), b"", "a/m", Usage(characters=2)),
        ("/a/v1/listen", RawBody(MINUTE), b"model=m", "a/m", Usage(audio_seconds=60)),
        ("/a/v1/listen", RawBody(Stored()), b"model=m", "a/m", Usage(audio_seconds=60)),
        ("/a/v1/listen", json_body(url="https://x"), b"model=m", "a/m", Usage()),
        ("/a/stt", form(model="m"), b"", "a/m", Usage(audio_seconds=60)),
        ("/a/waves/v1/stt/", RawBody(MINUTE), b"model=pulse&language=en", "a/pulse", Usage(audio_seconds=60)),
    ],
)
@pytest.mark.parametrize("dialect", NATIVE_SPEECH, ids=["tts", "stt"])
def test_what_is_asked_and_reserved(dialect, path, body, query, model, expected):
    """By what is there: of an address, nothing is known."""
    ask = asked(dialect, path, body, query)

    assert (ask.model, ask.expected, ask.has_output, ask.stream) == (model, (expected,), False, False)


@pytest.mark.parametrize(
    ("path", "body", "query", "message"),
    [
        ("/a/v1/text-to-speech/v", json_body(text="Hi"), b"", '"model_id" is missing in the body'),
        ("/a/v1/text-to-speech/v", json_body(model_id="", text="Hi"), b"", "is missing"),
        ("/a/v1/text-to-speech/v", RawBody(b"model_id=m"), b"", "is missing"),
        ("/a/v1/speak", RawBody(b"Hi"), b"model=m", 'the field "text" of a JSON body'),
        ("/a/v1/listen", RawBody(b""), b"", '"model" is missing in the query'),
        ("/a/v1/listen", RawBody(b""), b"model=m&model=m", "sent twice"),
        ("/a/v1/listen", RawBody(b""), b"model=" + 600 * b"m", "at most 512 characters"),
        ("/a/v1/listen", RawBody(b""), b"model=m&callback=https://x", '"callback" is not passed on'),
        ("/a/v1/listen", RawBody(b""), b"model=m&c%61llback=https://x", '"callback" is not passed on'),
        ("/a/v1/speech-to-text", form(model_id="m", webhook="true"), b"", '"webhook" is not passed on'),
        ("/a/v1/speech-to-text", json_body(model_id="m", webhook=True), b"", '"webhook" is not passed on'),
    ],
)
def test_what_is_refused(path, body, query, message):
    with pytest.raises(BadRequest, match=message):
        asked(STT, path, body, query)


@pytest.mark.parametrize("body", [form(model_id="m", webhook="false"), json_body(model_id="m", webhook=None)])
def test_what_only_looks_so_is_not(body):
    """SDKs write down what they leave alone."""
    assert asked(STT, "/a/v1/speech-to-text", body).model == "a/m"


def test_all_else_is_not_served():
    with pytest.raises(NotServed):
        asked(TTS, "/a/v1/voices", None)


def test_an_error_is_in_the_words_of_all():
    """Of each, what it reads; without what looks like a key."""
    said = json.loads(TTS.error(RateLimited("no sk-proj-abcdefghijklmnopqrstuvwx")))

    assert said["detail"] == {"status": "rate_limit_exceeded", "message": said["message"]}
    assert {said[name] for name in ("err_code", "error_code", "title")} == {"rate_limit_exceeded"}
    assert said["err_msg"] == said["error"] == said["message"]
    assert "abcdefghijkl" not in said["message"]

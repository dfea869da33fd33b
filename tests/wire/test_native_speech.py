"""Which calls of the vendors of speech are known, and where they name a model."""

import pytest

from gateway.contract import FormBody, FormPart, JsonBody, Request
from gateway.errors import BadRequest
from gateway.wire.native_speech import STT, TTS, is_set, path_in, values_in, with_query


def found(path, name=TTS, method="POST"):
    there = path_in(name, Request(method, path=path))
    return there and (there.account, there.path, there.operation.vendor, bool(there.operation.text))


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/tts/a/v1/text-to-speech/x", ("a", "/v1/text-to-speech/x", "elevenlabs", True)),
        ("/tts/a/v1/text-to-speech/x/stream", ("a", "/v1/text-to-speech/x/stream", "elevenlabs", True)),
        (
            "/tts/a/v1/text-to-speech/x/stream/with-timestamps",
            ("a", "/v1/text-to-speech/x/stream/with-timestamps", "elevenlabs", True),
        ),
        ("/api/llm/v1/tts/a%20b/v1/speech-to-text", ("a b", "/v1/speech-to-text", "elevenlabs", False)),
        ("/tts/a/v1/speak", ("a", "/v1/speak", "deepgram", True)),
        ("/tts/a/v2/speak", ("a", "/v2/speak", "deepgram", True)),
        ("/tts/a/v1/listen", ("a", "/v1/listen", "deepgram", False)),
        ("/tts/tts/tts/bytes", ("tts", "/tts/bytes", "cartesia", True)),
        ("/tts/a/tts/sse", ("a", "/tts/sse", "cartesia", True)),
        ("/tts/a/stt", ("a", "/stt", "cartesia", False)),
        ("/tts/a/waves/v1/tts", ("a", "/waves/v1/tts", "smallest-ai", True)),
        ("/tts/a/waves/v1/tts/live", ("a", "/waves/v1/tts/live", "smallest-ai", True)),
        ("/tts/a/waves/v1/stt/", ("a", "/waves/v1/stt/", "smallest-ai", False)),
        ("/tts/a/v1/text-to-speech/x/y", None),
        ("/tts/a/v1/text-to-speech//stream", None),
        ("/tts/a/v1/voices", None),
        ("/tts/a", None),
        ("/tts/", None),
        ("/tts/a/v1/listen/", None),
        ("/tts/a/v1/%6Cisten", None),
    ],
)
def test_what_is_known(path, there):
    assert found(path) == there


def test_both_routes_know_all_of_them():
    assert found("/stt/a/stt", STT) == ("a", "/stt", "cartesia", False)
    assert found("/stt/a/tts/bytes", STT) == ("a", "/tts/bytes", "cartesia", True)
    assert found("/stt/a/stt", STT, "GET") is None


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        (b"", "/v1/listen?model=real"),
        (b"model=m", "/v1/listen?model=real"),
        (b"a=1&model=m&b=%20+x&&c", "/v1/listen?a=1&b=%20+x&c&model=real"),
        (b"api_key=x&key=y&access_token=z&tok%65n=t&a=1", "/v1/listen?a=1&model=real"),
        (b"a=\xff \r\n", "/v1/listen?a=%C3%BF%20%0D%0A&model=real"),
    ],
)
def test_the_query_goes_on_without_keys(query, sent):
    """And with one model, however often the caller names one."""
    path = path_in(TTS, Request(path="/tts/a/v1/listen"))

    assert with_query(path.path, Request(query=query), "real", path.operation) == sent


def test_a_model_cannot_add_to_the_query():
    path = path_in(TTS, Request(path="/tts/a/v1/listen"))

    assert with_query(path.path, Request(), "a&callback=x#", path.operation) == ("/v1/listen?model=a%26callback%3Dx%23")


@pytest.mark.parametrize(
    ("request_", "place", "values"),
    [
        (Request(query=b"model=a%20b&model=c&mod%65l=d"), "query", ["a b", "c", "d"]),
        (Request(query=b"model"), "query", [""]),
        (Request(body=FormBody((FormPart("model", b"a"), FormPart("model", b"b", "f")))), "body", ["a", "b"]),
        (Request(body=JsonBody({"model": b'"a"'})), "body", ["a"]),
        (Request(body=JsonBody({})), "body", []),
        (Request(), "body", []),
    ],
)
def test_all_that_a_field_says(request_, place, values):
    assert values_in(request_, "model", place) == values


def test_a_model_is_a_text():
    with pytest.raises(BadRequest, match='the field "model" is not valid'):
        values_in(Request(body=JsonBody({"model": b"5"})), "model", "body")


@pytest.mark.parametrize(
    ("request_", "is_there"),
    [
        (Request(query=b"a=true"), True),
        (Request(query=b"a=https://x"), True),
        (Request(query=b"a=False&a=true"), True),
        (Request(query=b"a=FALSE&a&a=0&b=1"), False),
        (Request(body=FormBody((FormPart("a", b"true"),))), True),
        (Request(body=FormBody((FormPart("a", b"null"),))), False),
        (Request(body=JsonBody({"a": b"true"})), True),
        (Request(body=JsonBody({"a": b'"https://x"'})), True),
        (Request(body=JsonBody({"a": b"{}"})), True),
        (Request(body=JsonBody({"a": b"false"})), False),
        (Request(body=JsonBody({"a": b'""'})), False),
        (Request(body=JsonBody({})), False),
        (Request(), False),
    ],
)
def test_what_is_set(request_, is_there):
    assert is_set(request_, "a") == is_there

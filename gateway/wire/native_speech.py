"""The APIs of vendors of speech, as their own SDKs call them through the gateway: which model is meant, and where that
stands. The same account is below both routes, since an SDK has one address for speaking and hearing.

Only calls that name one model are known here, as in `gateway.wire.native`, and none whose answer goes elsewhere: what
they cost would never be known.

Source: elevenlabs.io/docs/api-reference; developers.deepgram.com/reference; docs.cartesia.ai/api-reference;
docs.smallest.ai/waves; the clients of elevenlabs 2.78, deepgram-sdk 7.17, cartesia 4.2 and smallestai 5.14; read
2026-11.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import quote, unquote, unquote_plus

import msgspec

from gateway.contract.call import Call
from gateway.contract.request import FormBody, JsonBody, Request
from gateway.errors import BadRequest

TTS, STT = "tts-native", "stt-native"
"""Names of their dialects."""
ROUTES: Mapping[str, str] = {TTS: "/tts/{account}", STT: "/stt/{account}"}
"""Below these are the paths of the vendor."""
_QUERY = "%=+,:;/?@!$'()*~-._[]"
"""What stands in a query as it is."""
_KEYS = frozenset({"access_token", "api_key", "key", "token", "xi-api-key"})
"""Of the caller's own, in a query; what is the gateway's own is in a header."""

_NO = frozenset({"", "0", "false", "null"})
"""SDKs write down what they leave alone."""


class Operation(msgspec.Struct, frozen=True):
    """
    Args:
        vendor: as in `provider-account/NAME`.
        path: below the vendor's address.
        place: where the model is named, in the field `model`; a body is JSON or a form.
        text: the field with what is to be said; empty: there is a recording.
        elsewhere: the field that has the answer sent to another address.
    """

    vendor: str
    path: re.Pattern[str]
    place: Literal["body", "query"]
    model: str
    text: str = ""
    elsewhere: str = ""


_OPERATIONS = (
    Operation(
        "elevenlabs",
        re.compile(r"/v1/text-to-speech/[^/]+(?:/stream)?(?:/with-timestamps)?"),
        "body",
        "model_id",
        text="text",
    ),
    Operation("elevenlabs", re.compile(r"/v1/speech-to-text"), "body", "model_id", elsewhere="webhook"),
    Operation("deepgram", re.compile(r"/v[12]/speak"), "query", "model", text="text", elsewhere="callback"),
    Operation("deepgram", re.compile(r"/v1/listen"), "query", "model", elsewhere="callback"),
    Operation("cartesia", re.compile(r"/tts/(?:bytes|sse)"), "body", "model_id", text="transcript"),
    Operation("cartesia", re.compile(r"/stt"), "body", "model"),
    Operation("smallest-ai", re.compile(r"/waves/v1/tts(?:/live)?"), "body", "model", text="text"),
    Operation("smallest-ai", re.compile(r"/waves/v1/stt/?"), "query", "model", elsewhere="webhook_url"),
)


class SpeechPath(msgspec.Struct, frozen=True):
    """`account`, decoded; `path`: the vendor's, as it was written."""

    account: str
    path: str
    operation: Operation


def path_in(name: str, request: Request) -> SpeechPath | None:
    """Of a request of the dialect of that name; None: it is none of those that are known here."""
    _, _, rest = request.path.partition(ROUTES[name].removesuffix("{account}"))
    account, slash, rest = rest.partition("/")
    path = slash + rest
    found = next((each for each in _OPERATIONS if each.path.fullmatch(path)), None)
    if found is None or request.method != "POST":
        return None
    return SpeechPath(unquote(account), path, found)


def speech_path(call: Call) -> SpeechPath:
    """Of a call that has been let in."""
    found = path_in(call.dialect.name, call.request)
    assert found is not None
    return found


def values_in(request: Request, name: str, place: Literal["body", "query"]) -> list[str]:
    """All that a field says: more than one may each be read by somebody else.

    Raises:
        BadRequest: it is no text.
    """
    if place == "query":
        return [value for key, value, _ in _query(request) if key == name]
    match request.body:
        case FormBody(parts=parts):
            return [part.beginning.decode(errors="replace") for part in parts if part.name == name]
        case JsonBody(fields=fields) if name in fields:
            return [_text(fields[name], name)]
    return []


def is_set(request: Request, name: str) -> bool:
    """Whether anything but no is said there, in the query or in the body."""
    values = values_in(request, name, "query")
    if isinstance(request.body, JsonBody):
        values.append(bytes(request.body.fields.get(name, b"null")).decode().strip('"'))
    else:
        values += values_in(request, name, "body")
    return any(value.lower() not in _NO for value in values)


def with_query(path: str, request: Request, model: str, operation: Operation) -> str:
    """With the query of the caller, but for keys in it, and with that model if it is named there."""
    is_there = operation.place == "query"
    kept = [piece for key, _, piece in _query(request) if not (is_there and key == operation.model)]
    if is_there:
        kept.append(f"{operation.model}={quote(model, safe='')}")
    return f"{path}?{'&'.join(kept)}" if kept else path


def _query(request: Request) -> Iterator[tuple[str, str, str]]:
    """Name, value, and both as they are sent on."""
    for piece in request.query.decode("latin-1").split("&"):
        name, _, value = piece.partition("=")
        if piece and (key := unquote_plus(name)) not in _KEYS:
            yield key, unquote_plus(value), quote(piece, safe=_QUERY)


def _text(raw: msgspec.Raw, name: str) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "{name}" is not valid: {error}', param=name) from error

"""Configurations of realtime sessions, in the bodies with which OpenAI's API prepares them: where the model stands.

Source: openai-python 3.57 (types/realtime/client_secret_create_params.py, realtime_session_create_request_param.py,
realtime_transcription_session_create_request_param.py; types/beta/realtime of 1.109); read 2026-11.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from gateway.contract.call import Call
from gateway.contract.objects import ObjectKind, ObjectType
from gateway.contract.request import FormBody, JsonBody, Request
from gateway.errors import BadRequest
from gateway.wire.realtime import named_in

KEYS = "realtime_keys"
"""Name of the dialect, and of the endpoint in the settings of a target."""
CLIENT_SECRETS = "/realtime/client_secrets"
SESSIONS = "/realtime/sessions"
TRANSCRIPTION_SESSIONS = "/realtime/transcription_sessions"

CALL = "realtime_calls"
"""The same of calls that are begun, and of what is done with one that goes on."""
ACTIONS = "realtime_call_actions"
CALLS = "/realtime/calls"
ACCEPT, REJECT, REFER, HANGUP = (f"{CALLS}/{{id}}/{each}" for each in ("accept", "reject", "refer", "hangup"))
ANY_CALL = ObjectType(kind=ObjectKind.CALL)
CALL_ID = "call_id"
"""Of a call that a session is beside; a place in no path, so that no client can set it."""

Place = tuple[str, ...]
Fields = Mapping[str, msgspec.Raw]
SPOKEN, HEARD = ("model",), ("audio", "input", "transcription", "model")
"""In a configuration: of sessions that answer, and of those that only write down what they hear."""
_HEARD_EARLIER = ("input_audio_transcription", "model")

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)


class TellsKey(msgspec.Struct):
    """A key for sessions, as answers hold it. `expires_at`: seconds since 1970."""

    USUAL_S: ClassVar[float] = 60.0

    value: str = ""
    expires_at: float | None = None


class _Answer(TellsKey):
    client_secret: TellsKey | None = None


_answer = msgspec.json.Decoder(_Answer)


def key_in(body: bytes) -> TellsKey | None:
    """None: there is none, or it is none that can be found again in the bytes."""
    try:
        told = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    key = told if told.value else told.client_secret
    return key if key is not None and key.value.isascii() and key.value.encode() in body else None


def model_place(route: str, fields: Fields) -> Place:
    """Where in a body the model stands that is asked. Raises BadRequest: it is no configuration."""
    if route == SESSIONS:
        return SPOKEN
    if route == TRANSCRIPTION_SESSIONS:
        return _HEARD_EARLIER
    return ("session", *place_in(_object(fields, "session")))


def place_in(session: Fields) -> Place:
    """The same in a configuration."""
    return HEARD if _string(session, "type") == "transcription" else SPOKEN


def transcribes(request: Request) -> bool:
    fields = request.body.fields if isinstance(request.body, JsonBody) else {}
    return model_place(request.route, fields)[-2:] == HEARD[-2:] or request.route == TRANSCRIPTION_SESSIONS


def config_of(request: Request) -> Fields | None:
    """Of a call that is begun; None: it has none, but what is in its query.

    Raises:
        BadRequest: it is no object, or there are two.
    """
    match request.body:
        case JsonBody(fields=fields) if request.route == CALLS:
            return _object(fields, "session") if "session" in fields else None
        case JsonBody(fields=fields):
            return fields
        case FormBody(parts=parts):
            given = [part for part in parts if part.name == "session"]
            if len(given) != 1 or not isinstance(given[0].data, bytes):
                raise BadRequest('a call has one field "session", with its model', param="session")
            return _object({"session": msgspec.Raw(given[0].data)}, "session")
    return None


def hears_only(call: Call) -> bool:
    """A call in which nobody answers."""
    config = config_of(call.request)
    if config is None:
        return ("intent", "transcription") in named_in(call.request.query)
    return place_in(config) == HEARD


def model_at(fields: Fields, place: Place) -> str:
    """Raises BadRequest: none stands there."""
    for name in place[:-1]:
        fields = _object(fields, name)
    model = _string(fields, place[-1])
    if not model:
        where = ".".join(place)
        raise BadRequest(f'the field "{where}" is missing: account/model of the session', param=where)
    return model


def with_model(fields: Fields, place: Place, model: str) -> dict[str, msgspec.Raw]:
    """Another one in its place; all else stays as it was written."""
    name, rest = place[0], place[1:]
    inner = with_model(_object(fields, name), rest, model) if rest else model
    return {**fields, name: msgspec.Raw(msgspec.json.encode(inner))}


def _object(fields: Fields, name: str) -> Fields:
    try:
        return _fields.decode(fields.get(name, b"{}"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f'the field "{name}" is no object', param=name) from error


def _string(fields: Fields, name: str) -> str:
    try:
        return _text.decode(fields.get(name, b'""'))
    except msgspec.DecodeError as error:
        raise BadRequest(f'the field "{name}" is no text', param=name) from error

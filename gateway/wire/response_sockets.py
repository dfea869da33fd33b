"""Responses over a WebSocket: what a client may say, and how events are written there.

Source: developers.openai.com/api/docs/guides/websocket-mode; types/responses/responses_client_event.py and
responses_server_event.py of openai-python 3.57; openresponses.org/specification, "WebSocket transport"; read 2026-11.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.wire.items import MAX_ITEMS, has_more_items
from gateway.wire.response_items import is_own
from gateway.wire.sse import data_of

CREATE = "response.create"
_OF_THE_SOCKET = frozenset({"type", "stream_id", "generate", "stream", "background"})
"""Fields that a request has not, or that say there what is plain here."""
_LASTS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
MAX_STREAM_ID = 200
_TRUE = msgspec.Raw(b"true")
_encode = msgspec.json.encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


class Create(msgspec.Struct):
    """What is looked at of a `response.create`.

    Args:
        stream_id: comes back with each event.
        generate: False: what is said is kept, for a response that continues it, and no model is asked.
        previous_response_id, store: as in a request.
    """

    type: str | None = None
    stream_id: str | None = None
    generate: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    store: bool | None = None


class _Response(msgspec.Struct):
    id: str = ""
    output: list[msgspec.Raw] = []


class _Event(msgspec.Struct):
    type: str = ""
    response: _Response | None = None


class Last(msgspec.Struct, frozen=True):
    """The last event of a response. `is_good`: something can follow it."""

    id: str
    output: Sequence[msgspec.Raw]
    is_good: bool


_create = msgspec.json.Decoder(Create)
_event = msgspec.json.Decoder(_Event)


def create_of(fields: Mapping[str, msgspec.Raw]) -> Create:
    """Raises BadRequest: it is something else, or cannot be read."""
    looked_at = {name: fields[name] for name in Create.__struct_fields__ if name in fields}
    try:
        said = _create.decode(_encode(looked_at))
    except msgspec.DecodeError as error:
        raise BadRequest(f"the event cannot be read: {error}") from error
    if said.type != CREATE:
        shown = "no type" if said.type is None else f"the type {said.type[:60]!r}"
        raise BadRequest(f"an event with {shown} is not known here: send {CREATE}", param="type", code="unknown_event")
    if said.stream_id is not None and len(said.stream_id) > MAX_STREAM_ID:
        raise BadRequest(f"a stream_id has at most {MAX_STREAM_ID} characters", param="stream_id")
    return said


def body_of(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Of a request that asks for the same, as a stream."""
    return {**{name: raw for name, raw in fields.items() if name not in _OF_THE_SOCKET}, "stream": _TRUE}


def items_in(given: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Of the field `input`, each in memory of its own. Raises BadRequest."""
    data = bytes(given or b"null").strip()
    if has_more_items(msgspec.Raw(data)):
        raise BadRequest(f"input has more than {MAX_ITEMS:,} items; send fewer, larger ones", param="input")
    if data == b"null":
        return []
    if data.startswith(b'"'):
        return [msgspec.Raw(b'{"type":"message","role":"user","content":%b}' % data)]
    try:
        return [msgspec.Raw(bytes(raw)) for raw in _items.decode(data)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f'the field "input" is not valid: {error}', param="input") from error


def replayed(output: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """What a response has said, as input for the next: a provider that has not stored it knows none of its ids, and
    reasoning that is not encrypted can be of no use to it."""
    return [item for raw in output if (item := _replayed(raw)) is not None]


def _replayed(raw: msgspec.Raw) -> msgspec.Raw | None:
    try:
        fields = _object.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(bytes(raw))
    id_ = bytes(fields.get("id", b"")).decode(errors="replace").strip('"')
    if is_own(id_):
        return msgspec.Raw(bytes(raw))
    if bytes(fields.get("type", b"")) == b'"reasoning"':
        is_encrypted = bytes(fields.get("encrypted_content", b"null")) != b"null"
        return msgspec.Raw(bytes(raw)) if is_encrypted else None
    return msgspec.Raw(_encode({name: value for name, value in fields.items() if name != "id"}))


def last_in(data: bytes) -> Last | None:
    """What the data of an event says, if it is the last of a response."""
    if b'"response"' not in data:
        return None
    try:
        event = _event.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    if event.type not in _LASTS or event.response is None:
        return None
    is_good = event.type in ("response.completed", "response.incomplete")
    return Last(event.response.id, event.response.output, is_good)


def message_of(event: bytes) -> bytes:
    """The data of an event of a stream, as it is sent here; empty: it is a comment. Errors have another shape."""
    data = data_of(event)
    if b'"error"' not in data[:64]:
        return data
    try:
        fields = _object.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return data
    if bytes(fields.get("type", b"")) != b'"error"' or "error" in fields:
        return data
    error = {name: fields[name] for name in ("code", "message", "param") if name in fields}
    number = {"sequence_number": fields["sequence_number"]} if "sequence_number" in fields else {}
    return _encode({"type": "error", **number, "status": 500, "error": {"type": "server_error", **error}})


def error_message(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    """What a request is refused with, as an event.

    Args:
        body: in OpenAI's shape.
        headers: that say something of the error.
    """
    try:
        said: dict[str, Any] = msgspec.json.decode(body)["error"]
        message, type_ = str(said["message"]), str(said.get("type") or "api_error")
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError, AttributeError):
        said, message, type_ = {}, f"the request was refused with the status {status}", "api_error"
    code, param = str(said.get("code") or type_), said.get("param")
    error = {"type": type_, "code": code, "message": message, "param": param, "headers": dict(headers)}
    return _encode({"type": "error", "status": status, "error": error})


def in_stream(message: bytes, stream_id: str | None) -> bytes:
    """An event of the stream that its client has named."""
    if stream_id is None or not message.startswith(b"{"):
        return message
    return b'{"stream_id":%b,%b' % (_encode(stream_id), message[1:])

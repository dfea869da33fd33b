"""OpenAI's Responses API: which ids are the gateway's own, and replies that are read while they pass by.

Source: platform.openai.com/docs/api-reference/responses and /responses-streaming; read 2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, GatewayError, UpstreamError
from gateway.logs import redact_text
from gateway.wire import sse
from gateway.wire.failure import failure_as, failure_in, lenient_json
from gateway.wire.judged import JudgedStream
from gateway.wire.openai import told
from gateway.wire.whole import WholeReading

RESPONSES, TOKENS, RESPONSE, COMPLETION = "responses", "response_tokens", "response", "stored_completion"
"""Names of dialects: to make one, to count what goes into it, what one has made, and the same of chat completions."""
COMPACTION = "compaction"
"""And to make a long conversation short."""
REASONING = "gateway:reasoning:"
"""How `encrypted_content` begins that the gateway has written."""

MAX_EVENT = 16 * 1024 * 1024
"""Of an event; the last one holds the whole response."""

_OWN_ID = re.compile(r"[a-z]{2,4}_gw[0-9a-f]{32}(?:_[0-9]{1,6})?\Z")
_MAY_BE_OWN = re.compile(rb'_gw[0-9a-f]{32}_|"gateway:reasoning:')
_NOT_ONE = "the provider's answer is not a response of OpenAI's API"
_encode = msgspec.json.encode
_items = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Response(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw(b"null")
    sequence_number: int = 0


_response = msgspec.json.Decoder(_Response | None)
_event = msgspec.json.Decoder(_Event)


def response_id(hexadecimal: str) -> str:
    """Of a response that the gateway makes."""
    return f"resp_gw{hexadecimal}"


def is_own(id_: str) -> bool:
    """Whether the gateway has made a response, or an item in one, and not a provider."""
    return _OWN_ID.match(id_) is not None


def response_of(item_id: str) -> str:
    """Of an item that is `is_own`, the response in which it was."""
    return response_id(item_id.partition("_gw")[2].partition("_")[0])


def for_provider(fields: dict[str, Any]) -> None:
    """Of a body for a provider of this API, in place: without what is the gateway's own."""
    if (items := fields.get("input")) is not None:
        fields["input"] = without_own(items)
    previous = fields.get("previous_response_id")
    if previous is not None and is_own(_text(previous)):
        del fields["previous_response_id"]  # what came before stands in the input


def without_own(items: msgspec.Raw) -> msgspec.Raw:
    """For providers of this API, who know no items but their own: the ids of ours are left out, and so is reasoning
    that only we can read. What holds nothing of ours stays as it is, to the byte.
    """
    if not _MAY_BE_OWN.search(items) or not bytes(items).lstrip().startswith(b"["):
        return items
    return msgspec.Raw(_encode([each for raw in _items.decode(items) if (each := _for_others(raw)) is not None]))


def _for_others(raw: msgspec.Raw) -> Any:
    if not _MAY_BE_OWN.search(raw) or not bytes(raw).lstrip().startswith(b"{"):
        return raw
    fields = _object.decode(raw)
    if bytes(fields.get("encrypted_content", b"")).startswith(b'"' + REASONING.encode()):
        return None
    if not is_own(_text(fields.get("id", b""))):
        return raw
    if bytes(fields.get("type", b"")) == b'"reasoning"':
        return None
    return {name: value for name, value in fields.items() if name != "id"}


def _text(raw: msgspec.Raw | bytes) -> str:
    """Of a JSON string without escapes, as ids are."""
    return bytes(raw).decode(errors="replace").strip('"')


class ResponseReading(WholeReading):
    """A `Reading` of one JSON object: a response, or what is said of one. It is held back until it is whole.

    Args:
        object_type: what it calls itself.
        is_free: no model has answered, or it was billed when it did.
        may_be_empty: nothing is told of what was deleted: OpenAI's specification has no answer there, and some servers
            give none.
    """

    def __init__(self, object_type: str = "response", *, is_free: bool = False, may_be_empty: bool = False) -> None:
        super().__init__()
        self.response_id: str | None = None
        self._object_type = object_type
        self._is_free = is_free
        self._may_be_empty = may_be_empty
        self._said = _Response()

    def document(self, body: bytes) -> bytes:
        """What has failed is a response as well, and its `error` a part of it."""
        if not body and self._may_be_empty:
            return b""
        self._said = _said(body)
        if self._said.error and self._said.object != self._object_type:
            raise told({"error": self._said.error}, body)
        if not self._is_free and self._said.object != self._object_type:
            raise told({"error": lenient_json(body)}, None) if failure_in(lenient_json(body)) else BrokeOff(_NOT_ONE)
        self.response_id = self._said.id
        return body

    def usage(self) -> Usage | None:
        return Usage() if self._is_free else Usage.from_openai(self._said.usage)

    def service_tier(self) -> str | None:
        return _tier_of(self._said)


class ResponseStreamReading(JudgedStream):
    """A `Reading` of an event stream.

    Args:
        is_free: as in `ResponseReading`.
        begins_at_once: with the first event, and not with the first that adds to the answer: it is made in the
            background, where its id is what the caller waits for.
    """

    def __init__(self, *, is_free: bool = False, begins_at_once: bool = False) -> None:
        super().__init__(b'"response":', MAX_EVENT)
        self.response_id: str | None = None
        self._is_free = is_free
        self._begins_at_once = begins_at_once
        self._response = msgspec.Raw(b"null")
        """As it was told last."""
        self._said = _Response()

    def usage(self) -> Usage | None:
        return Usage() if self._is_free else Usage.from_openai(self._said.usage)

    def service_tier(self) -> str | None:
        return _tier_of(self._said)

    def failure(self, error: GatewayError) -> bytes:
        """The last event, when the answer does not come to its end. Empty: it has not begun."""
        if bytes(self._response) == b"null":
            return b""
        response = {**_object.decode(self._response), "status": "failed", "error": error_fields(error)}
        number = max((int(each) for each in _NUMBER.findall(self._last)), default=0) + 1
        return failed_event(number, response)

    def trouble(self, body: bytes) -> UpstreamError:
        return _trouble(body)

    def judge(self, data: bytes) -> None:
        try:
            said = _event.decode(data)
            response = _response.decode(said.response)
        except (msgspec.DecodeError, RecursionError):
            self.has_begun = self.has_begun or b'"type"' in data  # of a shape that is not known here
            if not self.has_begun:
                raise _trouble(data) from None
            return
        if response is not None:
            self._response, self._said = said.response, response
            self.response_id = response.id
        match said.type:
            case "response.created" | "response.in_progress" | "response.queued":
                self.has_begun = self.has_begun or self._begins_at_once
            case "response.completed" | "response.incomplete" | "response.cancelled":
                self.has_begun = self.is_over = True
            case "response.failed":
                self._told(response.error if response is not None else None)
                self.is_over = True
            case "error" | "":
                value = lenient_json(data)
                self._told(value.get("error") or value if isinstance(value, dict) else value)
            case _:
                self.has_begun = True

    def _told(self, error: Any) -> None:
        self.fail(told({"error": error or {"message": "the provider failed"}}, None))


_NUMBER = re.compile(rb'"sequence_number"\s*:\s*([0-9]{1,9})')


def error_fields(error: GatewayError) -> dict[str, str]:
    """As it stands in a response that has failed. The codes are OpenAI's: clients decide by them whether to ask
    again."""
    return {
        "code": "rate_limit_exceeded" if error.status == 429 else "server_error",
        "message": redact_text(error.message),
    }


def failed_event(number: int, response: dict[str, Any]) -> bytes:
    """The last event of a response that has failed."""
    event = _encode({"type": "response.failed", "sequence_number": number, "response": response})
    return b"event: response.failed\ndata: %b\n\n" % event


def _said(body: bytes) -> _Response:
    try:
        return _response.decode(body) or _Response()
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        value = lenient_json(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        stream = "the provider answered with a stream, which was not asked for"
        raise BrokeOff(stream if sse.looks_like_events(body) else _NOT_ONE)
    id_ = value.get("id")
    said = _Response(id_ if isinstance(id_, str) else None, str(value.get("object")), value.get("usage"))
    said.error = value.get("error")
    return said


def _trouble(body: bytes) -> UpstreamError:
    try:
        value = lenient_json(body)
    except ValueError:
        return BrokeOff(_NOT_ONE)
    if failure_as(value).message is None:
        return BrokeOff(_NOT_ONE)
    return told(value if isinstance(value, dict) and value.get("error") else {"error": value}, None)


def _tier_of(said: _Response) -> str | None:
    return said.service_tier if isinstance(said.service_tier, str) else None

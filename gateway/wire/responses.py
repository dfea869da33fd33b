"""OpenAI's Responses API: replies that are read while they pass by.

Source: platform.openai.com/docs/api-reference/responses and /responses-streaming; read 2026-11.
"""

import re
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, GatewayError, UpstreamError
from gateway.logs import redact_text
from gateway.wire import sse
from gateway.wire.failure import failure_as
from gateway.wire.judged import JudgedStream
from gateway.wire.lenient import decoded, lenient_json
from gateway.wire.openai_failures import failure_told, told, told_in
from gateway.wire.response_items import marked
from gateway.wire.whole import WholeReading

RESPONSES, TOKENS, RESPONSE, COMPLETION = "responses", "response_tokens", "response", "stored_completion"
"""Names of dialects: to make one, to count what goes into it, what one has made, and the same of chat completions."""
COMPACTION = "compaction"
"""And to make a long conversation short."""

MAX_EVENT = 16 * 1024 * 1024
"""Of an event; the last one holds the whole response."""

_NUMBER = re.compile(rb'"sequence_number"\s*:\s*([0-9]{1,9})')
_NOT_ONE = "the provider's answer is not a response of OpenAI's API"
_encode = msgspec.json.encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Response(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None
    output: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    """Of a list of items."""


class _Item(msgspec.Struct):
    id: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw(b"null")
    sequence_number: int = 0


_response = msgspec.json.Decoder(_Response | None)
_told_items = msgspec.json.Decoder(list[_Item])
_event = msgspec.json.Decoder(_Event)


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
            raise told_in(body)
        if not self._is_free and self._said.object != self._object_type:
            raise failure_told(body) or BrokeOff(_NOT_ONE)
        self.response_id = self._said.id
        return body

    @property
    def item_ids(self) -> list[str]:
        """Of the items that were told of, once all of it has passed."""
        return _item_ids(self._said)

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

    own = re.compile(rb'"(?:type|error)"')

    def __init__(self, *, is_free: bool = False, begins_at_once: bool = False) -> None:
        super().__init__(b'"response":', MAX_EVENT)
        self.response_id: str | None = None
        self._is_free = is_free
        self._begins_at_once = begins_at_once
        self._response = msgspec.Raw(b"null")
        """As it was told last."""
        self._said = _Response()

    @property
    def item_ids(self) -> list[str]:
        """Of the items that were told of, once all of it has passed."""
        return _item_ids(self._said)

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
            said = decoded(data, _event)
            response = decoded(bytes(said.response), _response)
        except (ValueError, RecursionError):
            self.has_begun = self.has_begun or b'"response.' in data  # of a shape that is not known here
            if not self.has_begun and b'"type"' not in data:
                raise _trouble(data) from None
            return
        if response is not None:
            self._response, self._said = said.response, response
            self.response_id = response.id
        match said.type:
            case "response.created" | "response.in_progress" | "response.queued":
                self.has_begun = self.has_begun or self._begins_at_once
            case "response.completed" | "response.incomplete" | "response.cancelled":
                if response is None and not self.has_begun:
                    raise BrokeOff("the provider ended its stream before it began")
                self.has_begun = self.is_over = True
            case "response.failed":
                self._told(response.error if response is not None else None)
                self.is_over = True
            case "error" | "":
                value = lenient_json(data)
                self._told(value.get("error") or value if isinstance(value, dict) else value)
            case _:  # `keepalive` is no part of an answer
                self.has_begun = self.has_begun or said.type.startswith("response.")

    def _told(self, error: Any) -> None:
        self.fail(told({"error": error or {"message": "the provider failed"}}, None))


class MarkedStreamReading(ResponseStreamReading):
    """The same, in which what only `account` can read is marked, so that the next turn finds it. Events go on whole."""

    def __init__(self, account: str, *, begins_at_once: bool = False) -> None:
        super().__init__(begins_at_once=begins_at_once)
        self._account = account
        self._whole = sse.EventSplitter()

    def feed(self, data: bytes) -> bytes:
        events = self._whole.feed(data)
        if len(self._whole) > MAX_EVENT:
            raise BrokeOff(f"the provider sent an event of over {MAX_EVENT:,} bytes")
        return super().feed(marked(b"".join(events), self._account)) if events else b""

    def end(self) -> bytes:
        rest = self._whole.end()
        return (super().feed(marked(rest, self._account)) if rest else b"") + super().end()


class MarkedReading(ResponseReading):
    """The same for a whole answer."""

    def __init__(self, account: str, object_type: str = "response") -> None:
        super().__init__(object_type)
        self._account = account

    def document(self, body: bytes) -> bytes:
        return marked(super().document(body), self._account)


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
        raise failure_told(body) or BrokeOff(stream if sse.looks_like_events(body) else _NOT_ONE)
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


def _item_ids(said: _Response) -> list[str]:
    told = said.output or said.data
    try:
        return [each.id for each in _told_items.decode(told) if each.id] if told else []
    except (msgspec.DecodeError, RecursionError):
        return []  # of a shape that is not known here


def _tier_of(said: _Response) -> str | None:
    return said.service_tier if isinstance(said.service_tier, str) else None

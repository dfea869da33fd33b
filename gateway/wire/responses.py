"""OpenAI's Responses API: which ids are the gateway's own, and replies that are read while they pass by.

Source: platform.openai.com/docs/api-reference/responses and /responses-streaming; read 2026-11.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import blake2s
from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BadRequest, BrokeOff, GatewayError, UpstreamError
from gateway.logs import redact_text
from gateway.wire import sse
from gateway.wire.failure import decoded, failure_as, failure_in, lenient_json
from gateway.wire.judged import JudgedStream
from gateway.wire.openai import told
from gateway.wire.whole import WholeReading

RESPONSES, TOKENS, RESPONSE, COMPLETION = "responses", "response_tokens", "response", "stored_completion"
"""Names of dialects: to make one, to count what goes into it, what one has made, and the same of chat completions."""
COMPACTION = "compaction"
"""And to make a long conversation short."""
REASONING = "gateway:reasoning:"
SUMMARY = "gateway:summary:"
"""How `encrypted_content` begins that the gateway has written: in base64."""
ACCOUNT = "gateway:account:"
"""How it begins where a provider has encrypted it, and several could be asked for the next turn: the mark of the
account follows, a colon, and what the provider wrote."""

MAX_EVENT = 16 * 1024 * 1024
"""Of an event; the last one holds the whole response."""

_OWN_ID = re.compile(r"[a-z]{2,4}_gw[0-9a-f]{32}(?:_[0-9]{1,6})?\Z")
_MAY_BE_OWN = re.compile(rb'_gw[0-9a-f]{32}_|"gateway:(?:reasoning|summary|account):')
_MARK = re.compile(rb'"gateway:account:([0-9a-f]{12}):')
_ENCRYPTED = re.compile(rb'("encrypted_content"\s*+:\s*+")(?=[^"])')
"""Where its text begins: inside of a string, a quotation mark is escaped."""
SUMMARY_HEAD = "Summary of the conversation up to here:"
_NEED_IDS = (msgspec.Raw(b'"item_reference"'), msgspec.Raw(b'"reasoning"'))
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


def response_id(hexadecimal: str) -> str:
    """Of a response that the gateway makes."""
    return f"resp_gw{hexadecimal}"


def is_own(id_: str) -> bool:
    """Whether the gateway has made a response, or an item in one, and not a provider."""
    return _OWN_ID.match(id_) is not None


def response_of(item_id: str) -> str:
    """Of an item that is `is_own`, the response in which it was."""
    return response_id(item_id.partition("_gw")[2].partition("_")[0])


def mark_of(account: str) -> str:
    """What tells an account from others, and not its name: callers see it."""
    return blake2s(account.encode(), digest_size=6).hexdigest()


def accounts_in(items: msgspec.Raw | None, accounts: Iterable[str]) -> tuple[str | None, bool]:
    """Which of them wrote the last that none of the others can read, and whether it cannot go on without that; None:
    there is no such thing, or it is of another account."""
    if items is None or not (marks := _MARK.findall(items)):
        return None, False
    by_mark = {mark_of(account): account for account in accounts}
    needed = [_mark_in(fields) for fields in _objects(items) if bytes(fields.get("type", b"")) == b'"compaction"']
    account = by_mark.get(needed[-1] or "" if needed else marks[-1].decode())
    return account, bool(needed) and account is not None


def marked(data: bytes, account: str) -> bytes:
    """Whole events, or a document: what only this account can read bears its mark."""
    return _ENCRYPTED.sub(b"\\1%b%b:" % (ACCOUNT.encode(), mark_of(account).encode()), data)


def for_provider(fields: dict[str, Any], account: str) -> tuple[str, ...]:
    """Of a body for a provider of this API, in place: without what is the gateway's own, or another account's.

    Returns:
        What was left out that the caller has sent.

    Raises:
        BadRequest: it cannot go on without that.
    """
    dropped: tuple[str, ...] = ()
    if (items := fields.get("input")) is not None:
        fields["input"], dropped = without_own(items, account)
    previous = fields.get("previous_response_id")
    if previous is not None and is_own(_text(previous)):
        del fields["previous_response_id"]  # what came before stands in the input
    return dropped


def without_own(items: msgspec.Raw, account: str) -> tuple[msgspec.Raw, tuple[str, ...]]:
    """For providers of this API, who know no items but their own: the ids of ours are left out, and so is reasoning
    that only we can read, or another account. What holds nothing of the kind stays as it is, to the byte.
    """
    if not _MAY_BE_OWN.search(items) or not bytes(items).lstrip().startswith(b"["):
        return items, ()
    kept: list[Any] = []
    is_foreign = False
    for raw in _items.decode(items):
        try:
            if (item := _for_others(raw, mark_of(account))) is not None:
                kept.append(item)
        except _AnotherAccounts:
            is_foreign = True
    if is_foreign:  # it would look for reasoning that belonged to the items that are left
        kept = [_without_id(item) for item in kept]
    return msgspec.Raw(_encode(kept)), ("input.reasoning.encrypted_content",) if is_foreign else ()


class _AnotherAccounts(Exception):
    """An item that can be left out."""


def _for_others(raw: msgspec.Raw, mark: str) -> Any:
    """None: it is nothing to a provider."""
    if not _MAY_BE_OWN.search(raw) or not bytes(raw).lstrip().startswith(b"{"):
        return raw
    fields = _object.decode(raw)
    encrypted, kind = _text(fields.get("encrypted_content", b"")), bytes(fields.get("type", b""))
    if encrypted.startswith(REASONING):
        return None
    if encrypted.startswith(SUMMARY):
        return {"type": "message", "role": "user", "content": f"{SUMMARY_HEAD}\n\n{summary_in(encrypted)}"}
    if encrypted.startswith(ACCOUNT):
        if _mark_in(fields) == mark:
            original = bytes(fields["encrypted_content"])[len(ACCOUNT) + len(mark) + 2 :]
            return {**fields, "encrypted_content": msgspec.Raw(b'"' + original)}
        if kind == b'"reasoning"':
            raise _AnotherAccounts
        raise BadRequest(
            "what stands in the place of the conversation can be read by the account alone that made it, which cannot "
            "be asked here: send the conversation itself",
            code="invalid_encrypted_content",
            param="input",
        )
    if not is_own(_text(fields.get("id", b""))):
        return raw
    if kind == b'"reasoning"':
        return None
    return {name: value for name, value in fields.items() if name != "id"}


def _without_id(item: Any) -> Any:
    if not isinstance(item, dict):
        if not bytes(item).lstrip().startswith(b"{"):
            return item
        item = _object.decode(item)
    if item.get("type") in _NEED_IDS:
        return item
    return {name: value for name, value in item.items() if name != "id"}


def _objects(items: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    try:
        raws = _items.decode(items)
        return [_object.decode(raw) for raw in raws if _MARK.search(raw) and bytes(raw).lstrip().startswith(b"{")]
    except (msgspec.DecodeError, RecursionError):
        return []


def _mark_in(fields: dict[str, msgspec.Raw]) -> str | None:
    found = _MARK.match(bytes(fields.get("encrypted_content", b"")))
    return found[1].decode() if found is not None else None


def closed(summary: str) -> str:
    """A summary as an item has it: opaque to callers, as OpenAI's are, and no secret to who wrote the conversation."""
    return SUMMARY + urlsafe_b64encode(summary.encode()).decode()


def summary_in(encrypted_content: str) -> str | None:
    """None: a provider has written it, and can read it, not we."""
    if not encrypted_content.startswith(SUMMARY):
        return None
    try:
        return urlsafe_b64decode(encrypted_content.removeprefix(SUMMARY)).decode()
    except ValueError:
        return ""


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


def _item_ids(said: _Response) -> list[str]:
    told = said.output or said.data
    try:
        return [each.id for each in _told_items.decode(told) if each.id] if told else []
    except (msgspec.DecodeError, RecursionError):
        return []  # of a shape that is not known here


def _tier_of(said: _Response) -> str | None:
    return said.service_tier if isinstance(said.service_tier, str) else None

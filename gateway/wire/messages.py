"""Replies of Anthropic's Messages API, read from bytes that pass by: usage, errors, their beginning and their end.

Source: platform.claude.com/docs/en/api/messages and /build-with-claude/streaming; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.logs import holds_secret, redacted
from gateway.wire import sse
from gateway.wire.anthropic import TokenUsage, error_of, tier_of
from gateway.wire.judged import JudgedStream
from gateway.wire.lenient import lenient_json
from gateway.wire.openai_failures import failure_told
from gateway.wire.whole import WholeReading

_NOT_A_MESSAGE = "the provider's answer is not a message of Anthropic's API"


class _Told(msgspec.Struct):
    """A whole message, or `message` of the event that begins one."""

    type: str = ""
    usage: Any = None
    error: Any = None
    content: msgspec.Raw = msgspec.Raw()
    input_tokens: int | None = None
    """Of an answer of `count_tokens`."""


class _Delta(msgspec.Struct):
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Told | None = None
    delta: _Delta | None = None
    usage: Any = None
    error: Any = None


_told = msgspec.json.Decoder(_Told)
_event = msgspec.json.Decoder(_Event)
_encode = msgspec.json.encode
_NOTHING = (b"", b"null", b"[]")


class MessageReading(WholeReading):
    """A `Reading` of one JSON object, a message or a count of tokens. It is held back until it is whole.

    Args:
        is_free: it was not answered by a model, and uses nothing.
    """

    def __init__(self, *, is_free: bool = False) -> None:
        super().__init__()
        self._is_free = is_free
        self._counts: TokenUsage | None = None

    def document(self, body: bytes) -> bytes:
        try:
            said = _told.decode(body)
        except (msgspec.DecodeError, RecursionError):
            said = _leniently(body)
        if said.error:
            raise _with_body(body)
        if said.type != "message" and not (self._is_free and said.input_tokens is not None):
            raise failure_told(body) or BrokeOff(_NOT_A_MESSAGE)
        self._counts = TokenUsage.of(said.usage)
        return body

    def usage(self) -> Usage | None:
        if self._is_free and self.has_begun:
            return Usage()
        return self._counts.usage if self._counts is not None else None

    def service_tier(self) -> str | None:
        return tier_of(self._counts)


class MessageStreamReading(JudgedStream):
    """A `Reading` of an event stream."""

    def __init__(self) -> None:
        super().__init__(b"message_")
        self._counts: TokenUsage | None = None
        self._is_counted = False
        self._is_finished = False

    def is_complete(self) -> bool:
        """Imitations of the API leave out the last event: the reason for the end is as good."""
        return self.is_over or self._is_finished

    def usage(self) -> Usage | None:
        if self._counts is None:
            return None
        usage = self._counts.usage
        if self._is_counted or usage is None:
            return usage
        if usage.untold == "input":
            return None
        # How many there are is told at the end; until then each event is about one.
        output = max(usage.output_tokens, self.events)
        return msgspec.structs.replace(usage, output=output, reasoning=0, estimated=True, untold=None)

    def service_tier(self) -> str | None:
        return tier_of(self._counts)

    def trouble(self, body: bytes) -> UpstreamError:
        return _with_body(body)

    def judge(self, data: bytes) -> None:
        try:
            said = _event.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return  # of a shape that is not known here
        match said.type:
            case "message_start" if said.message is not None:
                self._counts = TokenUsage.of(said.message.usage)
                self.has_begun = bytes(said.message.content) not in _NOTHING  # imitations tell all of it at once
            case "message_delta":
                self.has_begun = True
                self._is_finished = self._is_finished or (said.delta is not None and said.delta.stop_reason is not None)
                if (counts := TokenUsage.of(said.usage)) is not None:
                    self._counts = counts.over(self._counts)
                    self._is_counted = counts.tells_output
            case "message_stop" if not self.has_begun:
                raise BrokeOff("the provider ended its stream before it began")
            case "message_stop":
                self.is_over = True
            case "error":
                self.fail(_with_body(data))
            case "content_block_start" | "content_block_delta":
                self.has_begun = True
            case "" if said.error:
                self.fail(_with_body(data))


def _leniently(body: bytes) -> _Told:
    """Also where one of the counts is broken: that costs only the counts."""
    try:
        value = lenient_json(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        is_stream = sse.looks_like_events(body)
        stream = "the provider answered with a stream, which was not asked for"
        raise failure_told(body) or BrokeOff(stream if is_stream else _NOT_A_MESSAGE) from None
    count = value.get("input_tokens")
    told = _Told(str(value.get("type")), error=value.get("error"))
    told.input_tokens = count if isinstance(count, int) else None
    return told


def _with_body(body: bytes) -> UpstreamError:
    """An error in the API's own words, which are passed on, without what looks like a key."""
    try:
        said = lenient_json(body)
    except ValueError:
        return BrokeOff(_NOT_A_MESSAGE)
    error = error_of(said)
    safe = redacted(said)
    if isinstance(safe, dict) and safe.get("type") == "error":
        error.body = body if safe == said and not holds_secret(body) else _encode(safe)
    return error

"""The Messages API as Anthropic's own SDK speaks it: passed on to the byte, with the account's key.

Source: platform.claude.com/docs/en/api/messages, /messages-count-tokens and /beta-headers; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.contract import Call, Endpoint, Head, Target, UpstreamRequest
from gateway.contract.usage import Usage
from gateway.errors import BadRequest
from gateway.wire.address import path_of
from gateway.wire.anthropic import TokenUsage, tier_of
from gateway.wire.native import body_for, native_path, with_query
from gateway.wire.passing import PassingReading

BYTES_PER_TOKEN = 4
EVENT_BYTES = 80
"""Of a delta, around its text."""


def request(call: Call, target: Target, endpoint: Endpoint) -> UpstreamRequest:
    """
    Args:
        endpoint: of messages.
    """
    path = native_path(call).after.removeprefix("/v1/messages")
    try:
        endpoint = endpoint.at(with_query(path_of(endpoint.url) + path, call.request))
        headers = dict(call.request.headers)
        if "anthropic-beta" in headers and (own := _betas(endpoint)):
            headers["anthropic-beta"] = f"{own},{headers['anthropic-beta']}"
        endpoint = endpoint.with_headers(headers)
    except ValueError as error:
        raise BadRequest(f"this cannot be passed on: {error}") from error
    return UpstreamRequest(endpoint, body_for(call, target.model))


def _betas(endpoint: Endpoint) -> str:
    """Those of the account."""
    _, _, rest = endpoint.head.partition(b"\r\nanthropic-beta: ")
    return rest.partition(b"\r\n")[0].decode()


class Message(msgspec.Struct):
    usage: Any = None


class Document(msgspec.Struct):
    """A message, or an event."""

    usage: Any = None
    message: Message | None = None
    type: str = ""


_document = msgspec.json.Decoder(Document)


class NativeReading(PassingReading):
    """A stream tells its input first and its output last; what came of one that broke off is counted."""

    def __init__(self, head: Head, *, is_free: bool) -> None:
        super().__init__(head, is_free=is_free)
        self._counts: TokenUsage | None = None
        self._passed = 0

    def look(self, data: bytes) -> None:
        if b'"content_block_delta"' in data:
            self._passed += max(1, (len(data) - EVENT_BYTES) // BYTES_PER_TOKEN)
        if b'"usage"' not in data:
            return
        said = _document.decode(data)
        counts = TokenUsage.of(said.usage or (said.message.usage if said.message is not None else None))
        if counts is not None:
            self._counts = counts.over(self._counts)
            self.told_usage = self._counts.usage
            if said.type == "message_delta":
                self._passed = 0

    def usage(self) -> Usage | None:
        told = self.told_usage
        if told is None or self._passed <= told.output_tokens:
            return told
        return msgspec.structs.replace(told, output=self._passed - told.reasoning)

    def service_tier(self) -> str | None:
        return tier_of(self._counts) if self._counts is not None else None

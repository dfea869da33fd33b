"""Anthropic's Messages API, and its counting of tokens.

Source: platform.claude.com/docs/en/api/messages, /api/messages-count-tokens and /api/errors; `ErrorType` of anthropic
2.14; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.dialects.openai import OpenAIDialect, estimated_tokens
from gateway.errors import Blocked, GatewayError
from gateway.logs import redact_text, redacted
from gateway.wire.anthropic import STATUSES
from gateway.wire.messages import MessageReading, MessageStreamReading

TYPES: Mapping[int, str] = {status: name for name, status in STATUSES.items()} | {
    408: "timeout_error",
    503: "overloaded_error",
}
"""Status -> type of an error. Others are an `invalid_request_error` below 500, and an `api_error` above."""

_encode = msgspec.json.encode


class MessagesDialect(OpenAIDialect):
    """A `Dialect`, of the two routes that take the same body.

    Args:
        is_count: tokens are counted, and no answer is made: it is free, as at Anthropic, and counts as a request alone.
    """

    headers = ("anthropic-version", "anthropic-beta")

    def __init__(self, name: str, path: str, *, is_count: bool = False) -> None:
        super().__init__(name, path, "chat", prompt="messages", limits=() if is_count else ("max_tokens",))
        self._is_count = is_count

    def parse(self, request: Request) -> Ask:
        ask = super().parse(request)
        if self._is_count:
            return Ask(ask.model, has_output=False)
        return msgspec.structs.replace(ask, wants_usage=ask.stream)

    def reading(self, call: Call, head: Head) -> Reading:
        return MessageStreamReading() if head.is_stream else MessageReading(is_free=self._is_count)

    def error(self, error: GatewayError) -> bytes:
        # A message may name what the caller asked for, and people paste keys in the wrong place.
        details: dict[str, Any] = {"type": _type_of(error), "message": redact_text(error.message)}
        if error.code is not None:
            details["details"] = {"error_code": error.code}
        body: dict[str, Any] = {"type": "error", "error": details}
        if isinstance(error, Blocked) and error.checks is not None:
            body["guardrail_checks"] = redacted(error.checks)
        return _encode(body if error.request_id is None else {**body, "request_id": error.request_id})

    def stream_error(self, error: GatewayError) -> bytes:
        return b"event: error\ndata: %b\n\n" % self.error(error)

    def estimate(self, call: Call) -> bytes:
        """How many tokens there are, by the size of the body: for providers that do not count."""
        body = call.request.body
        assert isinstance(body, JsonBody)
        return _encode({"input_tokens": max(1, estimated_tokens(body.fields.get("messages"), body.data))})


def _type_of(error: GatewayError) -> str:
    for said in (error.code, error.type):
        if said is not None and said in STATUSES and (said != "invalid_request_error" or error.status == 400):
            return said
    return TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")


MESSAGES = MessagesDialect("messages", "/messages")
COUNT_TOKENS = MessagesDialect("count_tokens", "/messages/count_tokens", is_count=True)

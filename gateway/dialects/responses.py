"""OpenAI's Responses API, and chat completions that are kept.

Source: platform.openai.com/docs/api-reference/responses, /chat/list and what stands beside them; read 2026-11.
"""

from collections.abc import Sequence

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.dialects.errors import OpenAIErrors
from gateway.dialects.fields import FLAG, model_of, read
from gateway.dialects.openai import OpenAIDialect, estimated_tokens
from gateway.errors import GatewayError
from gateway.logs import redact_text
from gateway.wire.responses import (
    COMPACTION,
    COMPLETION,
    RESPONSE,
    RESPONSES,
    TOKENS,
    MarkedReading,
    MarkedStreamReading,
    ResponseReading,
    ResponseStreamReading,
)

_encode = msgspec.json.encode


class ResponseErrors(OpenAIErrors):
    def stream_error(self, error: GatewayError) -> bytes:
        """For a stream in which there is no response yet that could fail."""
        said = {"code": error.code, "message": redact_text(error.message), "param": error.param}
        return b"event: error\ndata: %b\n\n" % _encode({"type": "error", "sequence_number": 0, **said})


class ResponsesDialect(ResponseErrors, OpenAIDialect):
    """A `Dialect`: a response is made. Models that are declared for chat have a translation."""

    def __init__(self) -> None:
        super().__init__(RESPONSES, "/responses", "chat", prompt="input", limits=("max_output_tokens",))

    def parse(self, request: Request) -> Ask:
        ask = super().parse(request)
        return msgspec.structs.replace(ask, wants_usage=ask.stream)

    def reading(self, call: Call, head: Head) -> Reading:
        account = call.account
        if not head.is_stream:
            return ResponseReading() if account is None else MarkedReading(account)
        background = "background" in call.fields and bool(read(call.fields, "background", FLAG))
        if account is None:
            return ResponseStreamReading(begins_at_once=background)
        return MarkedStreamReading(account, begins_at_once=background)


class CompactionDialect(ResponsesDialect):
    """A `Dialect`: a conversation is made shorter, for the next response. Only who makes one can read it, so that there
    is no translation. Nothing is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.name = COMPACTION
        self.routes = (("POST", "/responses/compact"),)

    def parse(self, request: Request) -> Ask:
        """It has no stream, whatever its body says."""
        return msgspec.structs.replace(super().parse(request), stream=False, wants_usage=False)

    def reading(self, call: Call, head: Head) -> Reading:
        name = "response.compaction"
        return ResponseReading(name) if call.account is None else MarkedReading(call.account, name)


class ResponseTokens(ResponseErrors):
    """A `Dialect`: what goes into a response is counted, and none is made. It is free."""

    name = TOKENS
    routes: Sequence[tuple[str, str]] = (("POST", "/responses/input_tokens"),)
    model_type = "chat"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        body = request.body
        assert isinstance(body, JsonBody)
        return Ask(model_of(body.fields), has_output=False)

    def reading(self, call: Call, head: Head) -> Reading:
        return ResponseReading(is_free=True)

    def estimate(self, call: Call) -> bytes:
        """How many tokens there are, by the size of the body: for providers that do not count."""
        body = call.request.body
        assert isinstance(body, JsonBody)
        count = max(1, estimated_tokens(body.fields.get("input"), body.data))
        return _encode({"object": "response.input_tokens", "input_tokens": count})


class KeptResponses(ResponseErrors):
    """A `Dialect`: responses that were made. All of it is free, as each was billed when it was made.

    Which account has one is found by its id: `Ask.model` and `Ask.account` are empty.
    """

    name = RESPONSE
    routes: Sequence[tuple[str, str]] = (
        ("GET", "/responses/{id}"),
        ("DELETE", "/responses/{id}"),
        ("POST", "/responses/{id}/cancel"),
        ("GET", "/responses/{id}/input_items"),
    )
    model_type = "chat"
    accepts: type[Body] | None = None
    max_body_bytes: int | None = None

    def parse(self, request: Request) -> Ask:
        is_stream = b"stream=true" in request.query.lower().split(b"&")
        return Ask(None, stream=is_stream, wants_usage=is_stream, has_output=False)

    def reading(self, call: Call, head: Head) -> Reading:
        if head.is_stream:
            return ResponseStreamReading(is_free=True, begins_at_once=True)
        return ResponseReading(is_free=True, may_be_empty=call.request.method == "DELETE")


class KeptCompletions(OpenAIErrors):
    """A `Dialect`: chat completions that were made with `store`. As with responses."""

    name = COMPLETION
    routes: Sequence[tuple[str, str]] = (
        ("GET", "/chat/completions"),
        ("GET", "/chat/completions/{id}"),
        ("POST", "/chat/completions/{id}"),
        ("DELETE", "/chat/completions/{id}"),
        ("GET", "/chat/completions/{id}/messages"),
    )
    model_type = "chat"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = 64 * 1024

    def parse(self, request: Request) -> Ask:
        return Ask(None, has_output=False)

    def reading(self, call: Call, head: Head) -> Reading:
        return ResponseReading(is_free=True, may_be_empty=call.request.method == "DELETE")


MAKE_RESPONSE = ResponsesDialect()
COMPACT = CompactionDialect()
RESPONSE_TOKENS = ResponseTokens()
KEPT_RESPONSES = KeptResponses()
KEPT_COMPLETIONS = KeptCompletions()

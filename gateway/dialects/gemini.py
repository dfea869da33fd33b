"""Google's Gemini API: answers, whole or streamed, and counting of tokens.

Source: ai.google.dev/api/generate-content, /tokens and /gemini-api/docs/troubleshooting; google/rpc/code.proto and
error_details.proto of googleapis; read 2026-11.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

import msgspec

from gateway.contract import Ask, Call, Head, JsonBody, Reading, Request
from gateway.contract.request import Body
from gateway.dialects.fields import MAX_COUNT, MAX_MODEL_CHARS
from gateway.dialects.openai import estimated_tokens
from gateway.errors import BadRequest, GatewayError, NotFound
from gateway.logs import redact_text
from gateway.wire.gemini import (
    STREAM,
    GenerateListReading,
    GenerateReading,
    GenerateStreamReading,
    action_of,
    wants_list,
)

PREFIXES = ("", "/gemini")
"""Clients get the address with or without it."""
VERSIONS = ("v1beta", "v1", "v1alpha")
OF_NAMES_WITH_SLASHES = f"/{VERSIONS[0]}"
"""Where Vercel's AI SDK asks for a model whose name has one: it takes such a name for the path, `models/` and all.
Source: @ai-sdk/google 3.0.141, read 2026-11."""
STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Status -> its name. Others are an `INVALID_ARGUMENT` below 500, and `UNAVAILABLE` above."""

_DETAILS = "type.googleapis.com/google.rpc."
_encode = msgspec.json.encode


class _Config(msgspec.Struct):
    """Numbers may be written as text, and names in two ways."""

    max_camel: float | None = msgspec.field(name="maxOutputTokens", default=None)
    max_snake: float | None = msgspec.field(name="max_output_tokens", default=None)
    count_camel: float | None = msgspec.field(name="candidateCount", default=None)
    count_snake: float | None = msgspec.field(name="candidate_count", default=None)

    @property
    def output(self) -> int | None:
        return _largest(self.max_camel, self.max_snake)

    @property
    def choices(self) -> int:
        return _largest(self.count_camel, self.count_snake) or 1


_config = msgspec.json.Decoder(_Config | None, strict=False)


class GeminiDialect:
    """A `Dialect`. The model stands in the path, where its name may hold slashes, encoded or not.

    Args:
        is_count: tokens are counted, and no answer is made: it is free, as at Google, and counts as a request alone.
    """

    model_type = "chat"
    accepts: type[Body] | None = JsonBody
    max_body_bytes: int | None = None
    takes_key_in_query = True
    keep_alive = b"\n\n"
    """In place of a comment, which google-genai takes for an answer that it cannot read."""

    def __init__(self, name: str, actions: Sequence[str], *, is_count: bool = False) -> None:
        self.name = name
        self.routes: Sequence[tuple[str, str]] = [
            ("POST", f"{path}/{{model:path}}:{action}")
            for path in (OF_NAMES_WITH_SLASHES, *(f"{prefix}/{{version}}/models" for prefix in PREFIXES))
            for action in actions
        ]
        self._is_count = is_count

    def parse(self, request: Request) -> Ask:
        """Raises NotFound, besides: it is another version of the API."""
        body, model = request.body, model_in(request)
        assert isinstance(body, JsonBody)
        if self._is_count:
            return Ask(model, has_output=False)
        stream = action_of(request) == STREAM and not wants_list(request)
        limits = _limits(body)
        return Ask(
            model,
            stream=stream,
            wants_usage=stream,
            max_output_tokens=limits.output,
            input_tokens=estimated_tokens(body.fields.get("contents"), body.data),
            choices=limits.choices,
        )

    def reading(self, call: Call, head: Head) -> Reading:
        if head.is_stream:
            return GenerateStreamReading()
        if wants_list(call.request):
            return GenerateListReading()
        return GenerateReading(is_free=self._is_count)

    def error(self, error: GatewayError) -> bytes:
        # A message may name what the caller asked for, and people paste keys in the wrong place.
        said = as_google(error, redact_text(error.message))
        details: list[dict[str, Any]] = []
        if error.code is not None:
            details.append({"@type": f"{_DETAILS}ErrorInfo", "reason": error.code, "domain": "gateway"})
        if error.retry_after_s is not None:
            details.append({"@type": f"{_DETAILS}RetryInfo", "retryDelay": f"{ceil(error.retry_after_s)}s"})
        if error.request_id is not None:
            details.append({"@type": f"{_DETAILS}RequestInfo", "requestId": error.request_id})
        return _encode({"error": {**said["error"], "details": details}} if details else said)

    def stream_error(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % self.error(error)

    def estimate(self, call: Call) -> bytes:
        """How many tokens there are, by the size of the body: for providers that do not count."""
        body = call.request.body
        assert isinstance(body, JsonBody)
        return _encode({"totalTokens": max(1, estimated_tokens(body.fields.get("contents"), body.data))})


def model_in(request: Request) -> str:
    """Whose name stands in the path. Raises BadRequest, or NotFound: it is another version of the API."""
    version, model = request.path_params.get("version", VERSIONS[0]), request.path_params["model"]
    if version not in VERSIONS:
        raise NotFound(f"the Gemini API has no version {version[:40]!r} here; use {VERSIONS[0]}")
    if not model or len(model) > MAX_MODEL_CHARS:
        raise BadRequest(f"the name of a model has 1 to {MAX_MODEL_CHARS} characters", param="model")
    return model


def as_google(error: GatewayError, message: str) -> dict[str, Any]:
    usual = "UNAVAILABLE" if error.status >= 500 else "INVALID_ARGUMENT"
    return {"error": {"code": error.status, "message": message, "status": STATUSES.get(error.status, usual)}}


def _limits(body: JsonBody) -> _Config:
    """What cannot be read limits nothing: whoever answers will refuse it."""
    raw = body.fields.get("generationConfig") or body.fields.get("generation_config")
    if raw is not None:
        with suppress(msgspec.DecodeError, RecursionError):
            return _config.decode(raw) or _Config()
    return _Config()


def _largest(*counts: float | None) -> int | None:
    return max((ceil(min(count, MAX_COUNT)) for count in counts if count is not None and count >= 1), default=None)


GEMINI = GeminiDialect("gemini", ("generateContent", STREAM))
GEMINI_COUNT = GeminiDialect("gemini_count_tokens", ("countTokens",), is_count=True)
GEMINI_MODELS = GeminiDialect("gemini_models", ())
"""Words the errors of its list of models."""

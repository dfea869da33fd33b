"""Errors in OpenAI's shape, with what clients of the TrueFoundry gateway and its SDK read beside it."""

import msgspec

from gateway.errors import Blocked, GatewayError
from gateway.logs import redact_text, redacted


class OpenAIErrors:
    """How all of OpenAI's APIs write them."""

    def error(self, error: GatewayError) -> bytes:
        details = details_of(error)
        more = {"status": "failure", "statusCode": error.status, "message": details["message"]}
        if isinstance(error, Blocked) and error.checks is not None:
            return msgspec.json.encode({"error": details, **more, "guardrail_checks": redacted(error.checks)})
        return msgspec.json.encode({"error": details, **more})

    def stream_error(self, error: GatewayError) -> bytes:
        return b"data: %b\n\n" % msgspec.json.encode({"error": details_of(error)})


def details_of(error: GatewayError) -> dict[str, str | None]:
    # A message may name what the caller asked for, and people paste keys in the wrong place.
    code = str(error.status) if isinstance(error, Blocked) and error.checks is not None else error.code
    return {"message": redact_text(error.message), "type": error.type, "param": error.param, "code": code}

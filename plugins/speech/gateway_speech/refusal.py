"""What the four say when they refuse, in the words of OpenAI's clients.

Source: developers.deepgram.com/docs/errors; help.elevenlabs.io "API - Error Code 400 or 401" and elevenlabs.io/docs/
developers/resources/error-messages; docs.cartesia.ai/use-the-api/api-errors; the error types of smallestai 5.14;
platform.openai.com/docs/guides/error-codes; read 2026-11.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire.failure import failure_as, failure_of
from gateway.wire.lenient import lenient_json

NOTHING_LEFT = "insufficient_quota"
"""As OpenAI calls it, with status 429: so clients tell it from a key that is wrong, and routes ask somebody else."""
_NOTHING_LEFT = frozenset({"quota_exceeded", "insufficient_credits", "ASR_PAYMENT_REQUIRED", "quota_exceeded_error"})
_MAX_CODE_CHARS = 64


class Said(msgspec.Struct, frozen=True):
    """`code`: stable, for programs."""

    status: int
    message: str | None = None
    code: str | None = None

    @property
    def as_openai(self) -> bytes:
        """Without a message there is nothing to tell but the status."""
        return msgspec.json.encode({"error": {"message": self.message}}) if self.message is not None else b""


def said_in(status: int, body: bytes) -> Said:
    """An answer with that status. Their shapes have no field in common, so one function reads them all."""
    try:
        value = lenient_json(body)
    except ValueError:
        return _as_openai(Said(status, failure_of(body).message))
    if not isinstance(value, dict):
        return _as_openai(Said(status, failure_as(value).message))
    inner = next((value[name] for name in ("detail", "error") if isinstance(value.get(name), dict)), value)
    code = _text(inner, "status", "code", "err_code", "error_code", "category")
    if inner is value and isinstance(value.get("error"), str) and _text(value, "message"):
        code = _text(value, "error")  # Smallest: its name, and what it means
    message = _text(inner, "err_msg", "message", "title") or failure_as(value).message
    if message is not None and (details := _text(value, "details")) is not None:
        message = f"{message.rstrip('.')}: {details}"
    return _as_openai(Said(status, message, code))


def _as_openai(said: Said) -> Said:
    if said.status == 402 or (said.status in (400, 401, 403) and said.code in _NOTHING_LEFT):
        message = said.message or "the account of the gateway at the provider has nothing left"
        return Said(429, message, NOTHING_LEFT)
    return said


def _text(value: Mapping[str, Any], *names: str) -> str | None:
    found = (value.get(name) for name in names)
    return next((text[: 20 * _MAX_CODE_CHARS] for text in found if isinstance(text, str) and text.strip()), None)

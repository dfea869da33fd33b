"""What other vendors want back of their thinking, in a `thoughtSignature`: the place where callers of the Gemini API
keep what they do not understand, and give it back.

Google's SDK reads it as base64, and writes it with another alphabet.
"""

import re
from base64 import b64encode, urlsafe_b64decode
from typing import Any

import msgspec

UNKNOWN = "skip_thought_signature_validator"
"""What Google takes in place of a signature that it did not make. Source: ai.google.dev/gemini-api/docs/
thought-signatures, read 2026-11."""
MOST_CHARS = 1024 * 1024
"""Of reasoning that is kept in this way."""

_MARK = b"gateway-sealed:"  # of a length that makes its base64 the same whatever follows
_PREFIX = b64encode(_MARK)
_OURS = re.compile(rb'("thought_?[sS]ignature"\s*+:\s*+)"' + _PREFIX + rb'[^"\\]*+"')


class Kept(msgspec.Struct, omit_defaults=True):
    """
    Args:
        blocks: `thinking_blocks` of the hub.
        reasoning: without a signature.
        extra: `extra_content` of the call that it stands beside.
    """

    blocks: list[dict[str, Any]] = []
    reasoning: str = ""
    extra: dict[str, Any] | None = None


_kept = msgspec.json.Decoder(Kept)


def sealed(kept: Kept) -> str:
    return b64encode(_MARK + msgspec.json.encode(kept)).decode()


def unsealed(signature: str) -> Kept | None:
    """None: it is Google's own."""
    if not signature.startswith(_PREFIX.decode()):
        return None
    try:
        text = signature.replace("+", "-").replace("/", "_").rstrip("=")
        return _kept.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)).removeprefix(_MARK))
    except (ValueError, RecursionError):
        return Kept()


def without_foreign(body: bytes) -> bytes:
    """For Google, which refuses signatures that it has not made. All else stays as it is, to the byte."""
    if _PREFIX not in body:
        return body
    return _OURS.sub(rb'\1"' + UNKNOWN.encode() + b'"', body)

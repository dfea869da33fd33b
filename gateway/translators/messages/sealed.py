"""What other vendors want back with a call, such as Gemini's thought signatures: callers of the Messages API give back
thinking as it came, so it travels in a block of thinking that nobody is to read."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

UNSIGNED = "gateway:unsigned"
"""The signature of thinking that came without one."""
_PREFIX = "gateway:extra:"
_OTHERS = re.compile(rb'"(?:signature|data)"\s*+:\s*+"[a-z]++:')
"""Signatures of other vendors than Anthropic have a name and a colon in front."""
_decoder = msgspec.json.Decoder(dict[str, dict[str, Any]])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


def sealed(call_id: str, extra_content: dict[str, Any]) -> str:
    return _PREFIX + urlsafe_b64encode(msgspec.json.encode({call_id: extra_content})).decode()


def unsealed(data: str) -> dict[str, dict[str, Any]] | None:
    """Id of a call -> what goes with it; None: it is a provider's own thinking."""
    if not data.startswith(_PREFIX):
        return None
    try:
        return _decoder.decode(urlsafe_b64decode(data.removeprefix(_PREFIX)))
    except (ValueError, RecursionError):
        return {}


def without_foreign(messages: msgspec.Raw) -> msgspec.Raw:
    """For Anthropic, which refuses thinking that it has not signed: turns that other models have taken, without theirs.
    All else stays as it is, to the byte. Raises DecodeError: they are no turns."""
    if not _OTHERS.search(messages):
        return messages
    turns = []
    for turn in _raws.decode(messages):
        if _OTHERS.search(turn):
            fields = _object.decode(turn)
            content = fields.get("content", msgspec.Raw())
            blocks = _raws.decode(content) if bytes(content).startswith(b"[") else []
            kept = [block for block in blocks if not _is_foreign(block)]
            if len(kept) < len(blocks):
                if kept:
                    turns.append(msgspec.Raw(_encode({**fields, "content": kept})))
                continue
        turns.append(turn)
    return msgspec.Raw(_encode(turns))


def _is_foreign(raw: msgspec.Raw) -> bool:
    if not _OTHERS.search(raw):
        return False
    block = _object.decode(raw)
    kind = bytes(block.get("type", b""))
    told = block.get("signature" if kind == b'"thinking"' else "data", msgspec.Raw())
    return kind in (b'"thinking"', b'"redacted_thinking"') and b":" in bytes(told)

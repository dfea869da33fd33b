"""What a model wants back with its reasoning or its calls.

Callers return items of reasoning as they came, and look into `encrypted_content` no more than OpenAI lets them. So
that is where signatures of Anthropic's and Google's travel.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire.response_items import REASONING

_encode = msgspec.json.encode


class Sealed(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Args:
        blocks: `thinking_blocks` of the hub, with their signatures.
        extras: id of a call -> its `extra_content`.
    """

    blocks: list[dict[str, Any]] = []
    extras: dict[str, dict[str, Any]] = {}


_sealed = msgspec.json.Decoder(Sealed)


def seal(blocks: list[dict[str, Any]], extras: Mapping[str, dict[str, Any]]) -> str:
    return REASONING + urlsafe_b64encode(_encode(Sealed(blocks, dict(extras)))).decode()


def unseal(encrypted_content: str) -> Sealed | None:
    """None: a provider has encrypted it, and can read it, not we."""
    if not encrypted_content.startswith(REASONING):
        return None
    try:
        return _sealed.decode(urlsafe_b64decode(encrypted_content.removeprefix(REASONING)))
    except (ValueError, RecursionError):
        return Sealed()

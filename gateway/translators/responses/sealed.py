"""What a model wants back with its reasoning or its calls, and what is ours in what callers give back.

Callers return items of reasoning as they came, and look into `encrypted_content` no more than OpenAI lets them. So
that is where signatures of Anthropic's and Google's travel.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

_PREFIX = "gateway:reasoning:"
_OWN_ID = re.compile(r"[a-z]{2,4}_gw[0-9a-f]{32}(?:_[0-9]{1,6})?\Z")
_MAY_BE_OWN = re.compile(rb'_gw[0-9a-f]{32}_|"gateway:reasoning:')
_items = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
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
    return _PREFIX + urlsafe_b64encode(_encode(Sealed(blocks, dict(extras)))).decode()


def unseal(encrypted_content: str) -> Sealed | None:
    """None: a provider has encrypted it, and can read it, not we."""
    if not encrypted_content.startswith(_PREFIX):
        return None
    try:
        return _sealed.decode(urlsafe_b64decode(encrypted_content.removeprefix(_PREFIX)))
    except (ValueError, RecursionError):
        return Sealed()


def response_id(hexadecimal: str) -> str:
    return f"resp_gw{hexadecimal}"


def is_own(id_: str) -> bool:
    """Whether the gateway has made a response, or an item, and not a provider."""
    return _OWN_ID.match(id_) is not None


def response_of(item_id: str) -> str:
    """Of an item that is `is_own`, the response in which it was."""
    return response_id(item_id.partition("_gw")[2].partition("_")[0])


def without_own(items: msgspec.Raw) -> msgspec.Raw:
    """For providers of the Responses API, who know no items but their own: the ids of ours are left out, and so is
    reasoning that only we can read. What holds nothing of ours stays as it is, to the byte.

    Raises DecodeError: they are no items.
    """
    if not _MAY_BE_OWN.search(items) or not bytes(items).lstrip().startswith(b"["):
        return items
    return msgspec.Raw(_encode([each for raw in _items.decode(items) if (each := _for_others(raw)) is not None]))


def _for_others(raw: msgspec.Raw) -> Any:
    if not _MAY_BE_OWN.search(raw) or not bytes(raw).lstrip().startswith(b"{"):
        return raw
    fields = _object.decode(raw)
    if bytes(fields.get("encrypted_content", b"")).startswith(b'"' + _PREFIX.encode()):
        return None
    id_ = fields.get("id")
    if id_ is None or not is_own(bytes(id_).decode(errors="replace").strip('"')):
        return raw
    if bytes(fields.get("type", b"")) == b'"reasoning"':
        return None
    return {name: value for name, value in fields.items() if name != "id"}

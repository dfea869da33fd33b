"""Words within `encrypted_content` that the gateway has written there itself: in base64, so that anybody can.

A model is told them as it is told the rest, and so they are looked at, and changed, as the rest.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from gateway.wire.response_items import REASONING, closed, summary_in

SEALED = "encrypted_content"
_decode = msgspec.json.decode
_encode = msgspec.json.encode


class Opened(NamedTuple):
    """
    Args:
        value: what the words stand in; they may be changed.
        seal: writes it back where it was found.
    """

    value: Any
    seal: Callable[[], None]


class Place:
    """One within: what is put there is sealed again."""

    def __init__(self, holder: Any, seal: Callable[[], None]) -> None:
        self._holder = holder
        self._seal = seal

    def __getitem__(self, key: Any) -> Any:
        return self._holder[key]

    def __setitem__(self, key: Any, text: str) -> None:
        self._holder[key] = text
        self._seal()


def opened(item: dict[str, Any]) -> Opened | None:
    """Of an item with such a field. None: a provider has encrypted it, or nobody can read it."""
    sealed: str = item[SEALED]
    if (summary := summary_in(sealed)) is not None:
        words = [summary]
        return Opened(words, lambda: item.__setitem__(SEALED, closed(words[0]))) if summary else None
    if not sealed.startswith(REASONING):
        return None
    try:
        said = _decode(urlsafe_b64decode(sealed.removeprefix(REASONING)), type=dict[str, Any])
    except (ValueError, RecursionError):
        return None

    def seal() -> None:
        item[SEALED] = REASONING + urlsafe_b64encode(_encode(said)).decode()

    return Opened(said.get("blocks"), seal)

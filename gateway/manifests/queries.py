"""Secrets in the query of an address, where some servers want their keys. Which of its values is one, nobody says."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from gateway.manifests.builder import Steps
from gateway.manifests.references import PREFIX

MASK = "***"
OPEN = frozenset({"alt", "api-version", "api_version", "location", "region", "version"})
"""Names of what is no secret, and worth seeing."""
_ADDRESS = re.compile(r"(https?://[^\s?#]+\?)([^\s#]+)(#\S*)?", re.IGNORECASE)
_OPEN_VALUE = re.compile(rf"{PREFIX}[^&]+|\$\{{[A-Za-z_][A-Za-z0-9_]*\}}|")
"""A reference, which says where a secret is and not what it is; or nothing."""


def without_values(text: str) -> str:
    """An address as it may be shown; any other text as it is."""
    address = _ADDRESS.fullmatch(text)
    if address is None:
        return text
    return address[1] + "&".join(map(_shown, address[2].split("&"))) + (address[3] or "")


def has_mask(text: str) -> bool:
    address = _ADDRESS.fullmatch(text)
    return address is not None and any(MASK in (each, each.partition("=")[2]) for each in address[2].split("&"))


def change_texts(value: Any, change: Callable[[str, Steps], str], path: Steps = ()) -> Any:
    """A copy in which `change` was applied to every text that stands as a value."""
    if isinstance(value, str):
        return change(value, path)
    if isinstance(value, dict):
        return {key: change_texts(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [change_texts(item, change, (*path, index)) for index, item in enumerate(value)]
    return value


def _shown(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        return MASK if name else ""  # a key alone may be all there is
    is_open = unquote_plus(name).lower() in OPEN or _OPEN_VALUE.fullmatch(unquote_plus(value)) is not None
    return parameter if is_open else f"{name}={MASK}"

"""Ids of files that stand in a JSON body, wherever: in a part of a message, in an input item, in a tool."""

import re
from typing import Any

import msgspec

from gateway.errors import BadRequest

MAX_FILES = 100
"""Of one body; each is looked up."""
_NAME, _NAMES = "file_id", "file_ids"
_ESCAPED = re.compile(rb"\\u00[2-7]")
"""A letter that nobody has to escape, as somebody would who hides a name."""
_decode = msgspec.json.Decoder().decode


def may_refer(data: bytes) -> bool:
    """Whether there is anything to look for. It says no to nearly all bodies, about a microsecond for each kB of
    them."""
    if b"file_id" in data:
        return True
    return b"\\" in data and b"\\u00" in data and _ESCAPED.search(data) is not None


def files_in(data: bytes) -> list[str]:
    """The ids, each once, in the order of their first places.

    Raises:
        BadRequest: it names too many, or cannot be read.
    """
    found: dict[str, None] = {}
    try:
        left: list[Any] = [_decode(data)]
    except RecursionError as error:
        raise BadRequest("the request body is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"the request body is not JSON: {error}") from error
    while left:
        value = left.pop()
        if isinstance(value, dict):
            named = [value.get(_NAME), *(many if isinstance(many := value.get(_NAMES), list) else ())]
            found |= dict.fromkeys(each for each in named if isinstance(each, str))
            left += reversed(value.values())
        elif isinstance(value, list):
            left += reversed(value)
        if len(found) > MAX_FILES:
            raise BadRequest(f"the request names more than {MAX_FILES} files")
    return [*found]

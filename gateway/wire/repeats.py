"""Objects in JSON that have two members of one name. Parsers disagree on them: most take the last, some the first.

What was looked at is then perhaps not what is believed. Source: RFC 8259, section 4.
"""

import json
from typing import Any

import msgspec

_QUOTE = b'"'
_QUOTE_BY_NUMBER = rb"\u0022"


def may_repeat(data: bytes, value: object) -> bool:
    """False: no object has. It takes as long as to write the value.

    A name that was dropped takes two quotes along. One that stands within a text is told by a sign or its number, and
    is written as the sign, so that there are never fewer of them in what came than are written.

    Args:
        value: what was read from it.
    """
    return data.count(_QUOTE) + data.count(_QUOTE_BY_NUMBER) != msgspec.json.encode(value).count(_QUOTE)


def repeats(data: bytes | str) -> bool:
    """Whether an object has; also if it is too hard to read to tell. Takes some ten times as long as to read it."""
    has_two = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_two
        found = dict(pairs)
        has_two = has_two or len(found) < len(pairs)
        return found

    try:
        json.loads(data, object_pairs_hook=members)
    except (ValueError, RecursionError):
        return True
    return has_two


def has_repeats(data: bytes, value: object) -> bool:
    return may_repeat(data, value) and repeats(data)

"""What an unquoted word of YAML means: close to version 1.2, and text whenever there is a doubt.

`on`, `yes`, `2024-10-21`, `1:30`, `0x1F`, `007`, `.nan` are text. `1_000` is a number, and `1e-6` one as in JSON.
"""

import re

_PLAIN = re.compile(
    r"(?P<null>|~|null|Null|NULL)|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    # Digits are few enough for every number to be finite and every int to fit into 64 bits.
    r"|(?P<int>[-+]?(?:0|[1-9](?:_?[0-9]){0,17}))"
    r"|(?P<float>[-+]?(?:[0-9]{1,30}\.[0-9]{0,30}|\.[0-9]{1,30}|[0-9]{1,30}(?=[eE]))(?:[eE][-+]?[0-9]{1,2})?)"
)


_FIRST = frozenset("~nNtTfF+-.0123456789")
"""What anything but text begins with."""


def plain(text: str) -> str | int | float | bool | None:
    if text and text[0] not in _FIRST:
        return text
    match = _PLAIN.fullmatch(text)
    kind = match and match.lastgroup
    if kind is None:
        return text
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    return None if kind == "null" else kind == "true"

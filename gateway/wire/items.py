"""How long a list of JSON is, found without keeping what stands in it."""

import re

import msgspec

MAX_ITEMS = 10_000
"""Of the input of a response. Six million empty ones fit into 19 MB; to decode them takes a second, and 1 GB."""

_value = msgspec.json.Decoder(msgspec.Raw)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_VALUE_ENDS = re.compile(r"trailing characters \(byte ([0-9]+)\)")
"""How msgspec says where a value ends that something follows: it has no other way."""


def has_more_items(raw: msgspec.Raw, most: int = MAX_ITEMS) -> bool:
    """Whether it is a list of more than `most` items. No list, or a broken one, is for others to refuse."""
    data = bytes(raw)
    at = _SPACE.match(data, 0).end()  # type: ignore[union-attr]  # it matches everywhere
    if data[at : at + 1] != b"[" or data.count(b",", at) < most:
        return False
    view = memoryview(data)
    for _ in range(most):
        try:
            _value.decode(view[at + 1 :])
        except (msgspec.DecodeError, RecursionError) as error:
            ends = _VALUE_ENDS.search(str(error))
        else:
            return False
        if ends is None:
            return False
        at += int(ends[1])  # it has read what follows
        if data[at : at + 1] != b",":
            return False
    return True

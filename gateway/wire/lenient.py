"""JSON of servers that write it nearly as they should, read as their own clients read it."""

import json
import re
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from gateway.wire.sse import BOM

_HALF_OF_A_PAIR = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""Or, as its group, what only looks like one: a whole pair, and a backslash that begins nothing."""
_decode = msgspec.json.decode

T = TypeVar("T")


def lenient_json(data: bytes) -> Any:
    """JSON as clients read it: also with NaN, a byte order mark, or half of a surrogate pair (it becomes U+FFFD).

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError):
        text = data.removeprefix(BOM).decode(errors="replace")
    try:
        return json.loads(_HALF_OF_A_PAIR.sub(lambda found: found[1] or r"\ufffd", text))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decoded(data: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Also with null where a field would be left out, NaN, or half of a surrogate pair. Raises ValueError,
    RecursionError."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        value = _without_nulls(lenient_json(data), inspect.type_info(decoder.type))
    return decoder.decode(msgspec.json.encode(value))


def _without_nulls(value: Any, as_: inspect.Type) -> Any:
    """Those that the type has no place for. What it leaves open, as the arguments of a function, stays as it is."""
    kinds = as_.types if isinstance(as_, inspect.UnionType) else (as_,)
    if isinstance(value, dict):
        for kind in kinds:
            if isinstance(kind, inspect.StructType):
                types = {field.encode_name: field.type for field in kind.fields}
                return {
                    name: _without_nulls(said, types[name])
                    for name, said in value.items()
                    if name in types and (said is not None or _takes_null(types[name]))
                }
    if isinstance(value, list):
        for kind in kinds:
            if isinstance(kind, inspect.ListType):
                said = value if _takes_null(kind.item_type) else [each for each in value if each is not None]
                return [_without_nulls(each, kind.item_type) for each in said]
    return value


def _takes_null(as_: inspect.Type) -> bool:
    kinds = as_.types if isinstance(as_, inspect.UnionType) else (as_,)
    return any(isinstance(kind, inspect.NoneType | inspect.AnyType | inspect.RawType) for kind in kinds)

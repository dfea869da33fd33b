"""What is wrong with a body of JSON, in words that tell which values a field may have."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import inspect as types

_IS_NONE_OF_SOME, _AT = "Invalid enum value ", " - at `$"
"""How msgspec begins to say so, and the place, which ends with another backtick."""
_STEP = re.compile(r"\.([^.\[]+)|\[[^\[\]]*\]")


def why_not(error: Exception, body: Any) -> str:
    """
    Args:
        error: of decoding one.
        body: the type that it was to be.
    """
    said = str(error)
    what, at, place = said.rpartition(_AT)
    if not at or not what.startswith(_IS_NONE_OF_SOME):
        return said
    kinds = [types.type_info(body)]
    for step in _STEP.finditer(place.removesuffix("`")):
        kinds = [inner for kind in kinds for inner in _within(kind, step[1])]
    values = ", ".join(str(value) for kind in kinds for value in _values_of(kind))
    return f"{said}; it has to be one of: {values}" if values else said


def _within(kind: types.Type, field: str | None) -> Iterable[types.Type]:
    """What stands in a field, or, of None, in each item of a list or mapping."""
    match kind:
        case types.UnionType(types=members):
            return [inner for member in members for inner in _within(member, field)]
        case types.StructType(fields=fields):
            return [each.type for each in fields if each.encode_name == field]
        case types.DictType(value_type=item) | types.VarTupleType(item_type=item) | types.ListType(item_type=item):
            return [item] if field is None else []
    return []


def _values_of(kind: types.Type) -> Iterator[Any]:
    match kind:
        case types.UnionType(types=members):
            for member in members:
                yield from _values_of(member)
        case types.LiteralType(values=values):
            yield from values
        case types.EnumType(cls=members):
            yield from (member.value for member in members)

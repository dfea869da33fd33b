"""What an annotation says of the value which stands beside it."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, TypeGuard, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

UNIONS = (Union, UnionType)
MAPPINGS = (dict, Mapping, Any)
LISTS = (list, tuple, set, frozenset, Sequence, Any)


class Shape(NamedTuple):
    """For `Annotated[list[int], ...] | None` and a list: `Annotated[list[int], ...]`, `list[int]`, `list`, `(int,)`."""

    kind: Any
    base: Any
    origin: Any
    inner: tuple[Any, ...]


_SHAPES: dict[tuple[int, type], tuple[Any, Shape]] = {}
"""(id of an annotation, type of a value) -> the annotation, and what it says. Annotations are slow to hash."""


def shape(kind: Any, value_type: type) -> Shape:
    """Of a union, that member which a value of this type is meant to be; where that is not plain, the union."""
    key = (id(kind), value_type)
    known = _SHAPES.get(key)
    if known is None:
        known = _SHAPES[key] = kind, _shape(kind, value_type)  # which keeps it alive, and so its id its own
    return known[1]


@cache
def _shape(kind: Any, value_type: type) -> Shape:
    kind = _member(kind, value_type)
    base = bare(kind)
    return Shape(kind, base, get_origin(base) or base, get_args(base))


def bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def is_struct(kind: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def struct_at(place: Shape, value: Mapping[str, Any]) -> type[msgspec.Struct] | None:
    """The struct that a value is meant to be: of several, the one its tag names. None: it is a plain mapping."""
    if is_struct(place.origin):
        return place.origin
    for kind in filter(is_struct, place.inner if place.origin in UNIONS else ()):
        config = kind.__struct_config__
        if value.get(config.tag_field or "type") == config.tag:
            return kind  # type: ignore[no-any-return]
    return None


@cache
def fields_of(struct: type[msgspec.Struct]) -> Mapping[str, FieldInfo]:
    """By the names they have in manifests."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


@cache
def required_of(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """What must not be left out, by the names in manifests."""
    return tuple(name for name, field in fields_of(struct).items() if field.required)


def holds(kind: Any, wanted: type) -> bool:
    """Whether a value of this kind may have a `wanted` somewhere inside."""
    return wanted in _inside(kind)


@cache
def _inside(kind: Any) -> frozenset[Any]:
    found: set[Any] = set()
    ahead = [kind]
    while ahead:
        kind = bare(ahead.pop())
        if kind not in found:
            found.add(kind)
            ahead += [field.type for field in msgspec.structs.fields(kind)] if is_struct(kind) else get_args(kind)
    return frozenset(found)


def _member(kind: Any, value_type: type) -> Any:
    base = bare(kind)
    if get_origin(base) not in UNIONS or value_type is NoneType:
        return kind
    members = [member for member in get_args(base) if member is not NoneType]
    if len(members) > 1 and value_type in (dict, list):
        wanted = LISTS if value_type is list else MAPPINGS
        members = [m for m in members if get_origin(m) in wanted or (value_type is dict and is_struct(m))]
    return members[0] if len(members) == 1 else kind

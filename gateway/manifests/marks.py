"""What a field is about, where more than its type is to be known: models, addresses and headers that manifests name."""

from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from gateway.manifests.builder import Steps
from gateway.manifests.shapes import UNIONS, bare, is_struct


class Mark(Enum):
    """Stands among the notes of an annotation: `Annotated[str, Meta(...), Mark.URL]`."""

    MODEL = "model"
    """`account/model`, which is asked on somebody's behalf. A name that only says of what a rule is about is none."""
    URL = "url"
    """Where the gateway sends requests to; text, or a secret."""
    HOST = "host"
    """The same, without scheme and port."""
    PORT = "port"
    HEADERS = "headers"
    """Name -> value, as they are sent along."""
    OPEN = "open"
    """What somebody else understands, who may find an address in it."""


class Marked(NamedTuple):
    """A value, and the way to it: `("integrations", 0, "url")`."""

    path: Steps
    mark: Mark
    value: Any


def marked(document: msgspec.Struct) -> Iterator[Marked]:
    """All that is marked in a document, at any depth, and is there. Plugins mark fields in the same way."""
    yield from _walk(type(document), document, ())


def _walk(kind: Any, value: Any, path: Steps) -> Iterator[Marked]:
    if value is None:
        return
    if mark := _mark_of(kind):
        yield Marked(path, mark, value)
    elif isinstance(value, msgspec.Struct):
        for name, encoded, inner in _fields(type(value)):
            yield from _walk(inner, getattr(value, name), (*path, encoded))
    elif isinstance(value, list | tuple):
        inner = _inner(kind)
        for index, item in enumerate(value):
            yield from _walk(inner, item, (*path, index))
    elif isinstance(value, dict):
        inner = _inner(kind)
        for key, item in value.items():
            yield from _walk(inner, item, (*path, key))


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """Name, name in manifests and type, of those fields in which something marked may stand."""
    return tuple(
        (field.name, field.encode_name, field.type)
        for field in msgspec.structs.fields(kind)
        if any(_mark_of(part) or is_struct(part) for part in parts_of(field.type))
    )


def parts_of(kind: Any) -> Iterator[Any]:
    """An annotation and those that it is made of, down to structs, marked fields and plain types."""
    yield kind
    if _mark_of(kind) is None:
        for part in get_args(kind):
            yield from parts_of(part)


@cache
def _mark_of(kind: Any) -> Mark | None:
    notes = (note for member in _members(kind) for note in getattr(member, "__metadata__", ()))
    return next((note for note in notes if isinstance(note, Mark)), None)


@cache
def _inner(kind: Any) -> Any:
    """Of what a list, tuple or mapping is; Any when that is not plain."""
    for member in _members(kind):
        if args := [arg for arg in get_args(bare(member)) if arg is not ...]:
            return args[-1]
    return Any


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in UNIONS else (kind,)

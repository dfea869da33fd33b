"""The secrets inside a manifest: walks data and type side by side, as the reader does, and changes secrets only."""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import msgspec

from gateway.manifests.references import PREFIX as REFERENCE
from gateway.manifests.scalars import plain
from gateway.manifests.shapes import LISTS, MAPPINGS, UNIONS, bare, fields_of, shape, struct_at
from gateway.secrecy.secret import Secret

Change = Callable[[str, tuple[str | int, ...]], str]
"""A secret's text and the way to it -> what shall stand there."""

# A reference, alone or behind the name of a scheme, says where a secret is and not what it is.
_REFERENCE_ONLY = re.compile(r"(?:[A-Za-z]{1,12} )?(?:" + REFERENCE + r"[^\s\"',;]+|\$\{[A-Za-z_][A-Za-z0-9_]*\})")


def is_reference(text: str) -> bool:
    return _REFERENCE_ONLY.fullmatch(text) is not None


def change_secrets(kind: type[msgspec.Struct] | None, data: dict[str, Any], change: Change) -> dict[str, Any]:
    """A copy in which `change` was applied to every secret.

    Text that `kind` does not expect, or below a field it does not know, counts as secret too, because nobody can say
    that it is none: a key whose field was misspelled must not lie open. Numbers do. None as a kind knows no field but
    `type` and `name`.
    """
    if kind is None:
        open_ = ("type", "name")
        return {key: value if key in open_ else _hidden(value, change, (key,)) for key, value in data.items()}
    found: dict[str, Any] = _walk(kind, data, change, ())
    return found


def _walk(kind: Any, value: Any, change: Change, path: tuple[str | int, ...]) -> Any:
    expected = shape(kind, value.__class__)
    kind, _, origin, inner = expected
    if isinstance(value, str):
        return value if _is_open(kind) or _is_number(kind, value) else change(value, path)
    if isinstance(value, dict):
        struct = struct_at(expected, value)
        if struct is not None:
            return _walk_struct(struct, value, change, path)
        if origin in MAPPINGS:
            kind = inner[1] if inner else Any
            return {key: _walk(kind, item, change, (*path, key)) for key, item in value.items()}
        return _hidden(value, change, path)
    if isinstance(value, list):
        if origin not in LISTS:
            return _hidden(value, change, path)
        kinds = _kinds_of_items(origin, inner, len(value))
        return [
            _walk(kind, item, change, (*path, index))
            for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
        ]
    return value


def _is_open(kind: Any) -> bool:
    """Whether text is what stands there, and no secret."""
    base = bare(kind)
    if get_origin(base) in UNIONS:
        members = [bare(member) for member in get_args(base)]
        return Secret not in members and any(map(_is_open, members))
    return base in (str, Any) or get_origin(base) is Literal or (isinstance(base, type) and issubclass(base, Enum))


def _is_number(kind: Any, text: str) -> bool:
    """A number in quotes, where one is expected."""
    return bare(kind) in (int, float) and type(plain(text)) in (int, float)


def _kinds_of_items(origin: Any, inner: tuple[Any, ...], count: int) -> list[Any]:
    if origin is tuple and inner and inner[1:] != (...,):
        return [*inner, *count * [Secret]][:count]
    return count * [inner[0] if inner else Any]


def _walk_struct(
    struct: type[msgspec.Struct], value: dict[str, Any], change: Change, path: tuple[str | int, ...]
) -> dict[str, Any]:
    kinds = {name: field.type for name, field in fields_of(struct).items()}
    if tag := struct.__struct_config__.tag_field:
        kinds[tag] = str
    return {
        key: _walk(kinds[key], item, change, (*path, key)) if key in kinds else _hidden(item, change, (*path, key))
        for key, item in value.items()
    }


def _hidden(value: Any, change: Change, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, str):
        return change(value, path)
    if isinstance(value, dict):
        return {key: _hidden(item, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, change, (*path, index)) for index, item in enumerate(value)]
    return value

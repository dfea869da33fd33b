"""Fields of the Gemini API, which may be written in two ways: `inlineData`, as in its reference, and `inline_data`, as
in many of its examples.

Source: protobuf.dev/programming-guides/json: parsers accept both; ai.google.dev/api/generate-content; read 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.errors import BadRequest

_SNAKE = re.compile(rb'"[a-z]++(?:_[a-z0-9]++)++"\s*+:')
_SHOWS = re.compile(rb'"include(?:_t|T)houghts"\s*+:\s*+true')
_FREE = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "responseSchema", "labels"}
)
"""What is inside of these has names of the caller's own."""
_MOST_DEEP = 200


class ThinkingConfig(msgspec.Struct, rename="camel"):
    """`thinking_budget`: tokens; 0: off, -1: as much as the model thinks right."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


def in_camel_case(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """The fields of a body with all names in camel case. Raises BadRequest: they are nested too deeply."""
    return {camel(name): _renamed(raw, camel(name)) for name, raw in fields.items()}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def shows_thoughts(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether a body asks for them to be shown."""
    raw = fields.get("generationConfig") or fields.get("generation_config")
    return raw is not None and _SHOWS.search(raw) is not None


def _renamed(raw: msgspec.Raw, name: str) -> msgspec.Raw:
    if name in _FREE or not _SNAKE.search(raw):
        return raw
    try:
        return msgspec.Raw(msgspec.json.encode(_in_camel(msgspec.json.decode(raw), _MOST_DEEP)))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{name} cannot be read: {error}", param=name) from error


def _in_camel(value: Any, depth: int) -> Any:
    if not depth:
        raise RecursionError("it is nested too deeply")
    if isinstance(value, list):
        return [_in_camel(each, depth - 1) for each in value]
    if isinstance(value, dict):
        named = ((camel(name), inner) for name, inner in value.items())
        return {name: inner if name in _FREE else _in_camel(inner, depth - 1) for name, inner in named}
    return value

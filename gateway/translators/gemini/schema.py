"""Google's subset of OpenAPI 3.0 as JSON Schema.

Source: ai.google.dev/api/caching#Schema; `Schema` in types.py of google-genai 3.6.1; read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translators.gemini.names import camel

_DEEPEST = 64
_MANY = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_ONE = frozenset({"items", "additionalProperties", "not"})
_MAPS = frozenset({"properties", "defs", "$defs", "definitions", "patternProperties"})
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""Of 64 bits, which protocol buffers write as texts."""
_LEFT_OUT = frozenset({"propertyOrdering", "nullable", "type"})


def json_schema(given: msgspec.Raw, param: str) -> dict[str, Any]:
    """Raises BadRequest: it is no schema."""
    try:
        schema = msgspec.json.decode(given, type=dict[str, Any])
        said: dict[str, Any] = _json(schema, param, _DEEPEST)
        return said
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the schema in {param} cannot be read: {error}", param=param) from error


def _json(schema: Any, param: str, depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or not depth:
        raise BadRequest(f"the schema in {param} has something that is no schema, or is too deep", param=param)
    said: dict[str, Any] = {}
    kind = _type(schema)
    if kind:
        said["type"] = kind
    for given, value in schema.items():
        name = given if given.startswith("$") else camel(given)
        if value is None or name in _LEFT_OUT:
            continue
        if name in _MANY and isinstance(value, list):
            said[name] = [_json(each, param, depth - 1) for each in value]
        elif name in _ONE:
            said[name] = _json(value, param, depth - 1)
        elif name in _MAPS and isinstance(value, dict):
            key = "$defs" if name == "defs" else name
            said[key] = {inner: _json(each, param, depth - 1) for inner, each in value.items()}
        elif name == "example":
            said["examples"] = [value]
        elif name in _COUNTS and isinstance(value, str) and value.isdecimal() and len(value) < 20:
            said[name] = int(value)
        else:
            said[name] = value
    if schema.get("nullable") is True and "enum" in said and None not in said["enum"]:
        said["enum"] = [*said["enum"], None]
    return said


def _type(schema: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        return [each.lower() if isinstance(each, str) else each for each in kind]
    if not isinstance(kind, str) or kind == "TYPE_UNSPECIFIED":
        return None
    return [kind.lower(), "null"] if schema.get("nullable") is True else kind.lower()

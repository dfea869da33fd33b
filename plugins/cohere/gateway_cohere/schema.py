"""JSON schemas as Cohere takes them where it holds the model to them.

Source: docs.cohere.com/docs/structured-outputs, "Supported" and "Unsupported schema features", read 2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest

_MAX_DEPTH = 64
_MAPS = ("properties", "$defs", "definitions")
_LISTS = (("anyOf", "anyOf"), ("oneOf", "anyOf"))
_SCHEMAS = ("items", "additionalProperties")
_FORMATS = frozenset({"date-time", "uuid", "date", "time"})
_NOT_IN_PATTERNS = ("^", "$", "?=", "?!")
_NOT_HELD = frozenset(
    {
        "allOf",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "multipleOf",
        "not",
        "uniqueItems",
    }
)


def adapted(schema: msgspec.Raw, param: str) -> dict[str, Any]:
    """The same schema, of an object, without the constraints that Cohere does not support. They are told to the model
    in the description, so that it still tries to keep to them.

    Raises:
        BadRequest: it is no schema.
    """
    try:
        decoded = msgspec.json.decode(schema, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the JSON schema in {param} cannot be read", param=param) from error
    return {"type": "object", **_adapted(decoded, param, _MAX_DEPTH)}


def has_required(schema: dict[str, Any]) -> bool:
    """Without any required field, tools cannot be strict."""
    return bool(schema.get("required"))


def _adapted(schema: Any, param: str, depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or not depth:
        raise BadRequest(f"the JSON schema in {param} has something that is no schema, or is too deep", param=param)
    out = {name: value for name, value in schema.items() if not _is_left_out(name, value)}
    for name in _MAPS:
        if isinstance(inner := out.get(name), dict):
            out[name] = {key: _adapted(each, param, depth - 1) for key, each in inner.items()}
    for name, own_name in _LISTS:
        if isinstance(inner := out.pop(name, None), list):
            out[own_name] = out.get(own_name, []) + [_adapted(each, param, depth - 1) for each in inner]
    for name in _SCHEMAS:
        if isinstance(inner := out.get(name), dict):
            out[name] = _adapted(inner, param, depth - 1)
    left = [name for name in schema if _is_left_out(name, schema[name]) and name != "$schema"]
    if left:
        told = ", ".join(f"{name}: {msgspec.json.encode(schema[name]).decode()}" for name in left)
        out["description"] = "\n\n".join(filter(None, (schema.get("description"), f"{{{told}}}")))
    return out


def _is_left_out(name: str, value: Any) -> bool:
    if name == "format":
        return not isinstance(value, str) or value not in _FORMATS
    if name == "pattern":
        return any(each in str(value) for each in _NOT_IN_PATTERNS)
    return name in _NOT_HELD or name == "$schema"

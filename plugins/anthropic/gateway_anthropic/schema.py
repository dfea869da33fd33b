"""JSON schemas as Anthropic takes them where it holds the model to them.

Source: platform.claude.com/docs/en/build-with-claude/structured-outputs, and `transform_schema` of anthropic 2.14; read
2026-11.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_LITERALS = (str, int, float, bool, type(None))
_MAX_DEPTH = 64


def adapted(schema: msgspec.Raw, param: str) -> dict[str, Any]:
    """The same schema without the constraints that would be refused. They are told to the model in the description, so
    that it still tries to keep to them.

    Raises:
        BadRequest: it is no schema.
    """
    try:
        return _adapted(msgspec.json.decode(schema, type=dict[str, Any]), param)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the JSON schema in {param} cannot be read", param=param) from error


def _adapted(schema: Any, param: str, depth: int = _MAX_DEPTH) -> dict[str, Any]:
    if not isinstance(schema, dict) or not depth:
        raise BadRequest(f"the JSON schema in {param} has something that is no schema, or is too deep", param=param)
    left = dict(schema)
    out: dict[str, Any] = {}
    for name in ("$defs", "definitions"):
        if isinstance(definitions := left.pop(name, None), dict):
            out[name] = {key: _adapted(each, param, depth - 1) for key, each in definitions.items()}
    for name in ("type", "title", "description", "$ref"):
        if name in left:
            out[name] = left.pop(name)
    if "$ref" in out:
        return {name: out[name] for name in ("$defs", "definitions", "$ref") if name in out}
    for name, own_name in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if isinstance(variants := left.pop(name, None), list):
            out[own_name] = [_adapted(each, param, depth - 1) for each in variants]
    if isinstance(left.get("enum"), list) and all(isinstance(value, _LITERALS) for value in left["enum"]):
        out["enum"] = left.pop("enum")
    if "const" in left and isinstance(left["const"], _LITERALS):
        out["const"] = left.pop("const")
    if out.get("type") == "object" or "properties" in left:
        properties = left.pop("properties", None) or {}
        out["properties"] = {key: _adapted(each, param, depth - 1) for key, each in properties.items()}
        out["additionalProperties"] = False
        left.pop("additionalProperties", None)
        if "required" in left:
            out["required"] = left.pop("required")
    if "items" in left:
        out["items"] = _adapted(left.pop("items"), param, depth - 1)
    if left.get("minItems") in (0, 1):
        out["minItems"] = left.pop("minItems")
    if left.get("format") in _FORMATS:
        out["format"] = left.pop("format")
    left.pop("$schema", None)
    if left:
        told = ", ".join(f"{name}: {msgspec.json.encode(value).decode()}" for name, value in left.items())
        out["description"] = "\n\n".join(filter(None, (out.get("description"), f"{{{told}}}")))
    return out

"""JSON schemas as Bedrock takes them where it holds a model to them.

Source: docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, read 2026-11: a part of draft 2020-12,
without limits on numbers, texts and lists, and with `additionalProperties: false`.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest

_KEPT = ("type", "title", "description", "$ref", "enum", "const", "required", "format", "default")
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_VARIANTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_MAX_DEPTH = 64


class _Open(Exception):
    """Of an object with names that the schema does not know."""


def adapted(schema: msgspec.Raw, param: str) -> dict[str, Any] | None:
    """The same schema without what would be refused. That is told to the model in the description, so that it still
    tries to keep to it. None: there is an object in it whose names are open, and which would always be empty then.

    Raises:
        BadRequest: it is no schema.
    """
    try:
        out: dict[str, Any] = _adapted(msgspec.json.decode(schema, type=dict[str, Any]), param, _MAX_DEPTH)
        return out
    except _Open:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the JSON schema in {param} cannot be read", param=param) from error


def _adapted(schema: Any, param: str, depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or not depth:
        raise BadRequest(f"the JSON schema in {param} has something that is no schema, or is too deep", param=param)
    left = {name: value for name, value in schema.items() if name != "$schema"}
    out = {name: left.pop(name) for name in _KEPT if name in left}
    if out.get("format", "date") not in _FORMATS:
        left["format"] = out.pop("format")
    for name in ("$defs", "definitions", "properties"):
        if isinstance(inner := left.pop(name, None), dict):
            out[name] = {key: _adapted(each, param, depth - 1) for key, each in inner.items()}
    for name, own_name in _VARIANTS.items():
        if isinstance(variants := left.pop(name, None), list):
            out[own_name] = [*out.get(own_name, ()), *(_adapted(each, param, depth - 1) for each in variants)]
    if "items" in left:
        out["items"] = _adapted(left.pop("items"), param, depth - 1)
    if left.get("minItems") in (0, 1):
        out["minItems"] = left.pop("minItems")
    if out.get("type") == "object" or "properties" in out:
        if not out.get("properties") or left.pop("additionalProperties", False) or "patternProperties" in left:
            raise _Open
        out["additionalProperties"] = False
    if left:
        told = ", ".join(f"{name}: {msgspec.json.encode(value).decode()}" for name, value in left.items())
        out["description"] = "\n\n".join(filter(None, (out.get("description"), f"{{{told}}}")))
    return out

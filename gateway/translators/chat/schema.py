"""JSON schemas for those who hold a model to them, and take only a part of what a schema may say.

Source: platform.claude.com/docs/en/build-with-claude/structured-outputs, `transform_schema` of anthropic 2.14, and
docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, read 2026-11: a part of draft 2020-12, without
limits on numbers, texts and lists, and with `additionalProperties: false`.
"""

from typing import Any

import msgspec

from gateway.errors import BadRequest

_KEPT = ("type", "title", "description", "required", "default")
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_VARIANTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_LITERALS = (str, int, float, bool, type(None))
_MAX_DEPTH = 64


class _Open(Exception):
    """Of an object with names that the schema does not know."""


def closed_schema(schema: msgspec.Raw, param: str) -> dict[str, Any] | None:
    """The same schema without what would be refused. That is told to the model in the description, so that it still
    tries to keep to it. None: there is an object in it whose names are open, and which would always be empty then.

    Raises:
        BadRequest: it is no schema.
    """
    try:
        closed: dict[str, Any] = _closed(msgspec.json.decode(schema, type=dict[str, Any]), param, _MAX_DEPTH)
        return closed
    except _Open:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the JSON schema in {param} cannot be read", param=param) from error


def _closed(schema: Any, param: str, depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or not depth:
        raise BadRequest(f"the JSON schema in {param} has something that is no schema, or is too deep", param=param)
    left = {name: value for name, value in schema.items() if name != "$schema"}
    out: dict[str, Any] = {}
    for name in ("$defs", "definitions"):
        if isinstance(inner := left.pop(name, None), dict):
            out[name] = {key: _closed(each, param, depth - 1) for key, each in inner.items()}
    if "$ref" in left:
        return {**out, "$ref": left["$ref"]}  # nothing may stand beside it
    out |= {name: left.pop(name) for name in _KEPT if name in left}
    for name, own_name in _VARIANTS.items():
        if isinstance(variants := left.pop(name, None), list):
            out[own_name] = [*out.get(own_name, ()), *(_closed(each, param, depth - 1) for each in variants)]
    if isinstance(left.get("enum"), list) and all(isinstance(value, _LITERALS) for value in left["enum"]):
        out["enum"] = left.pop("enum")
    if "const" in left and isinstance(left["const"], _LITERALS):
        out["const"] = left.pop("const")
    if left.get("format") in _FORMATS:
        out["format"] = left.pop("format")
    if out.get("type") == "object" or "properties" in left:
        named = _named(left)
        out["properties"] = {key: _closed(each, param, depth - 1) for key, each in named.items()}
        out["additionalProperties"] = False
    if "items" in left:
        out["items"] = _closed(left.pop("items"), param, depth - 1)
    if left.get("minItems") in (0, 1):
        out["minItems"] = left.pop("minItems")
    if left:
        told = ", ".join(f"{name}: {msgspec.json.encode(value).decode()}" for name, value in left.items())
        out["description"] = "\n\n".join(filter(None, (out.get("description"), f"{{{told}}}")))
    return out


def _named(left: dict[str, Any]) -> dict[str, Any]:
    """The properties of an object; takes what is said of others. Raises _Open: it lives by names that are not known."""
    named, others = left.pop("properties", None), left.pop("additionalProperties", False)
    says_of_others = isinstance(others, dict) and bool(others)
    if not isinstance(named, dict) or not named or says_of_others or "patternProperties" in left:
        raise _Open
    return named

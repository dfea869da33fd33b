"""JSON schemas, as far as Gemini reads them.

Since 2.5 it takes JSON Schema and passes over keywords that it does not know; before, a subset of OpenAPI 3.0, in which
most of those are an error. What says the same in other words is put into them, and what cannot be said is noted.

Source: `GenerateContentConfig.response_json_schema` and `Schema` in types.py of google-genai 3.6.1; ai.google.dev/
gemini-api/docs/structured-output; read 2026-11.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.errors import BadRequest

Node = dict[str, Any]
Note = Callable[[str], None]
"""Told the name of what is lost."""

_KNOWN = frozenset({
    "$id", "$defs", "$ref", "$anchor", "$schema", "type", "format", "title", "description", "enum", "items",
    "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties",
    "additionalProperties", "required", "propertyOrdering", "default",
})  # fmt: skip
_UNKNOWN = (
    "allOf", "const", "contains", "definitions", "dependentRequired", "dependentSchemas", "else",
    "exclusiveMaximum", "exclusiveMinimum", "if", "maxLength", "maxProperties", "minLength", "minProperties",
    "multipleOf", "not", "pattern", "patternProperties", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties", "uniqueItems",
)  # fmt: skip
_SUSPECTS = tuple(f'"{word}"'.encode() for word in ("$ref", *_UNKNOWN))
"""Where none of these is, all is known."""
_MAPS = ("properties", "$defs", "definitions")
_MANY = ("anyOf", "oneOf", "prefixItems")
_ONE = ("items", "additionalProperties")
_HARMLESS = frozenset({"$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly"})
"""They say nothing of which values are right."""
_COPIED = (
    "title", "description", "default", "minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength",
    "minProperties", "maxProperties", "pattern", "required",
)  # fmt: skip
_FORMATS: Mapping[str, frozenset[str]] = {
    "STRING": frozenset({"date-time", "enum"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_DEEPEST = 64


def json_schema(given: msgspec.Raw, param: str, note: Note) -> Any:
    """For `responseJsonSchema` and `parametersJsonSchema`. Raises BadRequest: it is no schema."""
    data = bytes(given)
    if not any(word in data for word in _SUSPECTS):
        return given
    return _json(_decoded(given, param), param, note, _DEEPEST)


def open_api(given: msgspec.Raw, param: str, note: Note) -> Node:
    """For `responseSchema` and `parameters`. Raises BadRequest: it is no schema, or it is about itself."""
    root = _decoded(given, param)
    return _OpenApi(root, param, note).node(root, _DEEPEST)


def _decoded(given: msgspec.Raw, param: str) -> Node:
    try:
        return msgspec.json.decode(given, type=Node)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{param} holds no JSON schema", param=param) from error


def _too_deep(param: str) -> BadRequest:
    return BadRequest(f"a JSON schema in {param} is nested too deeply for this model, or refers to itself", param=param)


def _json(node: Any, param: str, note: Note, depth: int) -> Any:
    if not isinstance(node, dict):
        return node
    if not depth:
        raise _too_deep(param)
    out: Node = {}
    node = _merged(node)
    if "$ref" in node and any(not name.startswith("$") for name in node):  # which must stand alone
        node = {"anyOf": [{"$ref": node["$ref"]}], **{name: node[name] for name in node if name != "$ref"}}
    for name, value in node.items():
        if name in _MAPS and isinstance(value, dict):
            inner = {key: _json(item, param, note, depth - 1) for key, item in value.items()}
            out["$defs" if name == "definitions" else name] = inner
        elif name in _MANY and isinstance(value, list):
            out[name] = [_json(item, param, note, depth - 1) for item in value]
        elif name in _ONE:
            out[name] = _json(value, param, note, depth - 1)
        elif name == "$ref":
            out[name] = value.replace("#/definitions/", "#/$defs/") if isinstance(value, str) else value
        elif name == "const" and isinstance(value, str | int | float) and not isinstance(value, bool):
            out["enum"] = [value]
        elif name in _KNOWN:
            out[name] = value
        elif name not in _HARMLESS:
            note(f"{param}.{name}")
    return out


def _merged(node: Node) -> Node:
    """`allOf` of a single schema, which many generators write around a reference, is that schema."""
    match node.get("allOf"):
        case [dict(only)] if not only.keys() & node.keys():
            return {**only, **{name: value for name, value in node.items() if name != "allOf"}}
    return node


class _OpenApi:
    def __init__(self, root: Node, param: str, note: Note) -> None:
        self._root = root
        self._param = param
        self._note = note

    def node(self, given: Any, depth: int) -> Node:
        if not isinstance(given, dict):  # true: anything
            return {}
        if not depth:
            raise _too_deep(self._param)
        node = _merged(self._resolved(_merged(given), depth))
        out: Node = {name: node[name] for name in _COPIED if name in node}
        self._type(node, out, depth)
        self._values(node, out)
        if isinstance(properties := node.get("properties"), dict) and properties:
            out["properties"] = {name: self.node(value, depth - 1) for name, value in properties.items()}
            out["propertyOrdering"] = node.get("propertyOrdering", list(properties))
        if "items" in node:
            out["items"] = self.node(node["items"], depth - 1)
        self._any_of(node, out, depth)
        self._lost(node)
        return out

    def _resolved(self, node: Node, depth: int) -> Node:
        while isinstance(ref := node.get("$ref"), str):
            found: Any = self._root
            for step in ref.removeprefix("#").split("/")[1:]:
                found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
            if not ref.startswith("#") or not isinstance(found, dict):
                raise BadRequest(f"{self._param} refers to {ref[:100]}, which is not there", param=self._param)
            if not (depth := depth - 1):
                raise _too_deep(self._param)
            node = {**found, **{name: value for name, value in node.items() if name != "$ref"}}
        return node

    def _type(self, node: Node, out: Node, depth: int) -> None:
        given = node.get("type")
        types = [given] if isinstance(given, str) else [kind for kind in given or () if isinstance(kind, str)]
        if "null" in types or node.get("nullable") is True:
            out["nullable"] = True
        known = [kind.upper() for kind in types if kind.lower() in _TYPES]
        if len(known) == 1:
            out["type"] = known[0]
        elif known:
            out["anyOf"] = [{"type": kind} for kind in known]
        elif "properties" in node:
            out["type"] = "OBJECT"
        form = node.get("format")
        if form is not None and form in _FORMATS.get(out.get("type", ""), ()):
            out["format"] = form
        elif form is not None:
            self._note(f"{self._param}.format")

    def _values(self, node: Node, out: Node) -> None:
        values = [node["const"]] if "const" in node else node.get("enum")
        if not isinstance(values, list):
            return
        texts = [value for value in values if isinstance(value, str)]
        if None in values:
            out["nullable"] = True
        if len(texts) + values.count(None) < len(values):  # there are only enums of text
            self._note(f"{self._param}.enum")
        elif texts:
            out["enum"], out["type"] = texts, "STRING"

    def _any_of(self, node: Node, out: Node, depth: int) -> None:
        given = node.get("anyOf") or node.get("oneOf")
        if not isinstance(given, list):
            return
        kinds = [each for each in given if not (isinstance(each, dict) and each.get("type") == "null")]
        if len(kinds) < len(given):
            out["nullable"] = True
        inner = [self.node(each, depth - 1) for each in kinds]
        if len(inner) == 1:
            out |= {name: value for name, value in inner[0].items() if name not in out}
        elif inner:
            out["anyOf"] = inner

    def _lost(self, node: Node) -> None:
        said = {*_COPIED, *_HARMLESS, "type", "format", "enum", "const", "properties", "propertyOrdering", "items"}
        for name, value in node.items():
            if name in said or name in ("anyOf", "oneOf", "$defs", "definitions", "nullable"):
                continue
            if name == "additionalProperties" and value is False:  # it fills in those that are named, and no others
                continue
            self._note(f"{self._param}.{name}")

"""JSON schemas: what says the same is put into other words, and what is lost is told."""

import msgspec
import pytest
from gateway_google.schema import json_schema, open_api
from google.genai import types

from gateway.errors import BadRequest


def raw(value):
    return msgspec.Raw(msgspec.json.encode(value))


def adapted(how, schema):
    lost = []
    found = how(raw(schema), "tools", lost.append)
    return (msgspec.json.decode(found) if isinstance(found, msgspec.Raw) else found), lost


def of_object(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "told", "lost"),
    [
        (of_object(a={"type": ["string", "null"]}), of_object(a={"type": ["string", "null"]}), []),
        (of_object(a={"const": "x"}), of_object(a={"enum": ["x"]}), []),
        (of_object(a={"const": True}), of_object(a={}), ["tools.const"]),
        (
            of_object(a={"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}),
            of_object(a={"anyOf": [{"$ref": "#/$defs/A"}], "description": "d"}),
            [],
        ),
        ({"$defs": {"A": {}}, "$ref": "#/$defs/A"}, {"$defs": {"A": {}}, "$ref": "#/$defs/A"}, []),
        (
            {"definitions": {"A": {"const": 1}}, "items": {"$ref": "#/definitions/A"}},
            {"$defs": {"A": {"enum": [1]}}, "items": {"$ref": "#/$defs/A"}},
            [],
        ),
        (
            of_object(a={"type": "string", "pattern": "^a", "minLength": 2}),
            of_object(a={"type": "string"}),
            ["tools.pattern", "tools.minLength"],
        ),
        ({"anyOf": [{"not": {}}, {"const": "x"}]}, {"anyOf": [{}, {"enum": ["x"]}]}, ["tools.not"]),
        (of_object(pattern={"type": "string"}), of_object(pattern={"type": "string"}), []),
        ({"type": "array", "items": {"uniqueItems": True}}, {"type": "array", "items": {}}, ["tools.uniqueItems"]),
        (
            of_object(a={"type": "object", "additionalProperties": {"const": "x"}}),
            of_object(a={"type": "object", "additionalProperties": {"enum": ["x"]}}),
            [],
        ),
    ],
)
def test_of_json_schema(schema, told, lost):
    assert adapted(json_schema, schema) == (told, lost)


def test_a_schema_in_which_all_is_known_goes_on_as_it_came():
    given = raw(of_object(a={"type": "integer", "minimum": 1}, b={"type": ["string", "null"]}))

    assert json_schema(given, "tools", [].append) is given


@pytest.mark.parametrize(
    ("schema", "told", "lost"),
    [
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}, []),
        ({"type": "string", "format": "email"}, {"type": "STRING"}, ["tools.format"]),
        ({"type": ["integer", "null"]}, {"type": "INTEGER", "nullable": True}, []),
        ({"type": ["integer", "string"]}, {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]}, []),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "t"},
            {"title": "t", "nullable": True, "type": "STRING"},
            [],
        ),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}, []),
        ({"const": "x"}, {"type": "STRING", "enum": ["x"]}, []),
        ({"enum": ["a", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}, []),
        ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER"}, ["tools.enum"]),
        (
            {
                "type": "object",
                "properties": {"b": {"type": "boolean"}, "a": {}},
                "required": ["b"],
                "additionalProperties": False,
            },
            {
                "type": "OBJECT",
                "properties": {"b": {"type": "BOOLEAN"}, "a": {}},
                "required": ["b"],
                "propertyOrdering": ["b", "a"],
            },
            [],
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "OBJECT"},
            ["tools.additionalProperties"],
        ),
        (
            {"$defs": {"A": {"type": "string", "pattern": "a"}}, "type": "array", "items": {"$ref": "#/$defs/A"}},
            {"type": "ARRAY", "items": {"type": "STRING", "pattern": "a"}},
            [],
        ),
        ({"$schema": "s", "type": "number", "exclusiveMinimum": 0}, {"type": "NUMBER"}, ["tools.exclusiveMinimum"]),
    ],
)
def test_of_openapi(schema, told, lost):
    """For models before 2.5."""
    assert adapted(open_api, schema) == (told, lost)
    types.Schema.model_validate(told)


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}, "$ref": "#/$defs/A"},
        {"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"},
        {"$ref": "#/$defs/Nothing"},
        {"$ref": "https://example.com/schema"},
    ],
)
def test_what_refers_to_itself_or_elsewhere_is_refused(schema):
    with pytest.raises(BadRequest, match="refers to"):
        adapted(open_api, schema)


@pytest.mark.parametrize("how", [json_schema, open_api])
def test_what_is_no_schema_is_refused(how):
    with pytest.raises(BadRequest, match="holds no JSON schema"):
        how(raw(["const"]), "tools", [].append)


def test_old_models_are_told_in_openapi(sent):
    schema = of_object(a={"const": "x"})
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    empty = {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    said = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "enum": ["x"]}}, "propertyOrdering": ["a"]}

    tools, _ = sent("gemini-2.0-flash", tools=[tool, empty])
    answer, _ = sent("gemini-2.0-flash", response_format=wanted)

    assert tools["tools"] == [{"functionDeclarations": [{"name": "f", "parameters": said}, {"name": "g"}]}]
    assert answer["generationConfig"] == {"responseMimeType": "application/json", "responseSchema": said}

"""Schemas for those who hold a model to them; Anthropic's own SDK adapts them in the same way."""

import msgspec
import pytest
from anthropic import transform_schema

from gateway.errors import BadRequest
from gateway.translators.chat import closed_schema

CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SHUT = {**CITY, "additionalProperties": False}


def raw(schema):
    return msgspec.Raw(msgspec.json.encode(schema))


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (CITY, SHUT),
        ({**CITY, "additionalProperties": True, "$schema": "x"}, SHUT),
        (
            {"type": "integer", "minimum": 1, "maximum": 9},
            {"type": "integer", "description": "{minimum: 1, maximum: 9}"},
        ),
        (
            {"type": "string", "description": "A code.", "pattern": "^a"},
            {"type": "string", "description": 'A code.\n\n{pattern: "^a"}'},
        ),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "color"}, {"type": "string", "description": '{format: "color"}'}),
        ({"type": "array", "items": CITY, "minItems": 1}, {"type": "array", "items": SHUT, "minItems": 1}),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2},
            {"type": "array", "items": {"type": "string"}, "description": "{minItems: 2}"},
        ),
        ({"anyOf": [CITY, {"type": "null"}]}, {"anyOf": [SHUT, {"type": "null"}]}),
        ({"oneOf": [CITY, {"type": "null"}]}, {"anyOf": [SHUT, {"type": "null"}]}),
        ({"allOf": [CITY]}, {"allOf": [SHUT]}),
        ({"enum": ["a", 1, None]}, {"enum": ["a", 1, None]}),
        ({"const": "a"}, {"const": "a"}),
        ({"enum": [{"a": 1}]}, {"description": '{enum: [{"a":1}]}'}),
        ({"type": "string", "default": "a"}, {"type": "string", "default": "a"}),
        ({"type": "array", "items": True}, {"type": "array", "items": True}),
        ({"anyOf": [{"type": "null"}], "oneOf": [CITY]}, {"anyOf": [{"type": "null"}, SHUT]}),
        ({"$ref": "#/$defs/c", "$defs": {"c": CITY}}, {"$ref": "#/$defs/c", "$defs": {"c": SHUT}}),
        (
            {"type": "object", "properties": {"c": {"$ref": "#/definitions/c"}}, "definitions": {"c": CITY}},
            {
                "type": "object",
                "properties": {"c": {"$ref": "#/definitions/c"}},
                "additionalProperties": False,
                "definitions": {"c": SHUT},
            },
        ),
    ],
)
def test_what_is_refused_is_told_to_the_model(schema, wanted):
    assert closed_schema(raw(schema), "response_format") == wanted


def without_descriptions(schema):
    """The SDK words what it has left out in another way."""
    if isinstance(schema, dict):
        return {key: without_descriptions(each) for key, each in schema.items() if key != "description"}
    return [without_descriptions(each) for each in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    "schema",
    [
        CITY,
        {"type": "object", "properties": {"a": {"type": "array", "items": CITY, "maxItems": 3}}, "minProperties": 1},
        {"anyOf": [{"type": "number", "multipleOf": 2}, {"type": "string", "format": "uuid", "maxLength": 3}]},
        {"$defs": {"c": CITY}, "type": "object", "properties": {"c": {"$ref": "#/$defs/c"}}},
    ],
)
def test_the_sdk_makes_the_same_of_it(schema):
    assert without_descriptions(closed_schema(raw(schema), "tools")) == without_descriptions(transform_schema(schema))


@pytest.mark.parametrize("schema", [[], "x", {"type": "object", "properties": {"a": 7}}, {"items": []}])
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(BadRequest) as refused:
        closed_schema(raw(schema), "tools")

    assert refused.value.param == "tools"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {**CITY, "additionalProperties": {"type": "integer"}},
        {**CITY, "patternProperties": {"^x": {}}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
    ],
)
def test_an_object_of_any_names_cannot_be_closed(schema):
    """Held to it, the model could only answer with an empty one."""
    assert closed_schema(raw(schema), "response_format") is None


def test_a_schema_without_end_is_refused():
    schema = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}

    with pytest.raises(BadRequest, match="too deep"):
        closed_schema(raw(schema), "tools")

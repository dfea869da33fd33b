"""JSON schemas that Anthropic takes; its own SDK adapts them in the same way."""

import msgspec
import pytest
from anthropic import transform_schema
from gateway_anthropic.schema import adapted

from gateway.errors import BadRequest

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
    assert adapted(raw(schema), "response_format") == wanted


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
    assert without_descriptions(adapted(raw(schema), "tools")) == without_descriptions(transform_schema(schema))


@pytest.mark.parametrize("schema", [[], "x", {"type": "object", "properties": {"a": 7}}, {"items": []}])
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(BadRequest) as refused:
        adapted(raw(schema), "tools")

    assert refused.value.param == "tools"


def test_a_schema_without_end_is_refused():
    schema = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}

    with pytest.raises(BadRequest, match="too deep"):
        adapted(raw(schema), "tools")

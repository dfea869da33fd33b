"""Golden bodies: what each field of a chat request is to Cohere."""

import pytest

from gateway.errors import BadRequest
from gateway.translators.chat import ANSWER_TOOL

THINKER = "command-a-plus-05-2026"
PLAIN = "command-a-03-2025"
PNG = "data:image/png;base64,iVBORw0KGgo="
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NOTHING = {"type": "object", "properties": {}}
HELLO = [{"role": "user", "content": "hi"}]


def function(name, schema=CITY, **more):
    return {"type": "function", "function": {"name": name, "parameters": schema, **more}}


def called(id_, name, arguments='{"city":"Rome"}'):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def as_json(schema, **more):
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}


WEATHER, CLOCK = function("weather"), function("clock", NOTHING)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({}, {}),
        ({"stream": True}, {"stream": True}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 9, "max_completion_tokens": "10"}, {"max_tokens": 10}),
        ({"temperature": 0, "top_p": 0.5, "seed": 7}, {"temperature": 0.0, "p": 0.5, "seed": 7}),
        ({"top_p": 1}, {"p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"top_k": 5}, {"k": 5}),
        ({"top_k": -1}, {"k": 0}),
        ({"k": 5, "p": 0.5}, {"k": 5, "p": 0.5}),
        ({"frequency_penalty": 0.5, "presence_penalty": 0}, {"frequency_penalty": 0.5}),
        ({"presence_penalty": 1}, {"presence_penalty": 1.0}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": None, "seed": None, "tools": None, "response_format": None}, {}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": False, "top_logprobs": 0, "n": 1, "parallel_tool_calls": True}, {}),
        ({"safety_mode": "STRICT", "priority": 3}, {"safety_mode": "STRICT", "priority": 3}),
        ({"documents": ["a", {"id": "d1", "data": {"text": "b"}}]},) * 2,
        ({"citation_options": {"mode": "FAST"}},) * 2,
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}},) * 2,
        (
            {"response_format": as_json(CITY, strict=True)},
            {"response_format": {"type": "json_object", "json_schema": CITY}},
        ),
    ],
)
def test_a_field_becomes_its_own(sent, given, body):
    said, dropped = sent(**given)

    assert said == {"model": THINKER, "messages": HELLO, **body}
    assert dropped == ()


@pytest.mark.parametrize(
    ("given", "body", "dropped"),
    [
        ({"temperature": 1.5}, {"temperature": 1.0}, ("temperature",)),
        ({"frequency_penalty": -1}, {}, ("frequency_penalty",)),
        ({"presence_penalty": 2}, {"presence_penalty": 1.0}, ("presence_penalty",)),
        ({"seed": -1}, {}, ("seed",)),
        ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True}, ("top_logprobs",)),
        ({"parallel_tool_calls": False}, {}, ("parallel_tool_calls",)),
        ({"logit_bias": {"1": 5}, "user": "u", "service_tier": "flex"}, {}, ("logit_bias", "user", "service_tier")),
        ({"web_search_options": {}, "prediction": {"a": 1}}, {}, ("web_search_options", "prediction")),
        ({"cache_control": {"type": "ephemeral"}, "new_field": 1}, {}, ("cache_control", "new_field")),
    ],
)
def test_what_cohere_lacks_is_told(sent, given, body, dropped):
    """Portkey#1615: what is in no table must not be lost in silence."""
    assert sent(**given) == ({"model": THINKER, "messages": HELLO, **body}, dropped)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 2}, "leave out n"),
        ({"modalities": ["text", "audio"]}, "leave out modalities"),
        ({"functions": [{"name": "f"}]}, 'use "tools"'),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "no tools of the type custom"),
        ({"tools": [{"type": "web_search"}]}, "no tools of the type web_search"),
        ({"tool_choice": "required"}, "not among the tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "not among the tools"),
        ({"reasoning_effort": "huge"}, "reasoning_effort must be none or one of"),
        ({"documents": ["a"], "response_format": {"type": "json_object"}}, "put them into the messages"),
        ({"tools": [function(ANSWER_TOOL)], "response_format": {"type": "json_object"}}, "no tool can have the name"),
        ({"response_format": as_json({"type": "object", "properties": {"a": 1}})}, "something that is no schema"),
        ({"messages": [{"role": "system", "content": "be brief"}]}, "not the system's"),
        ({"messages": [{"role": "user", "content": ""}]}, "not empty"),
    ],
)
def test_what_would_be_another_answer_is_refused(sent, given, message):
    """envoyproxy/ai-gateway#2467: unknown tools were dropped, and the model answered without them."""
    with pytest.raises(BadRequest, match=message):
        sent(**given)


def test_what_is_said_to_the_system_comes_first(sent):
    """Refused: "system turn must be the first in the list"."""
    said, dropped = sent(
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [{"type": "text", "text": "be kind"}, {"type": "text", "text": ""}]},
            {"role": "user", "content": "well?", "name": "ann"},
        ]
    )

    assert said["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "be kind"}]},
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "well?"},
    ]
    assert dropped == ("messages.name",)


def test_pictures(sent):
    said, dropped = sent(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is it?", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "image_url", "image_url": "https://example.com/a.png"},
                    {"type": "file", "file": {"file_data": PNG, "filename": "a.png"}},
                ],
            }
        ]
    )

    assert said["messages"][0]["content"] == [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": PNG}},
    ]
    assert dropped == ("messages.cache_control",)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}},
        {"type": "file", "file": {"file_id": "f1", "filename": "a.png"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "thing"},
    ],
)
def test_other_files_are_refused(sent, part):
    with pytest.raises(BadRequest):
        sent(messages=[{"role": "user", "content": [part]}])


def test_tools_and_their_results(sent):
    """Texts beside calls are a plan: "text content is not allowed when tool_calls are provided"."""
    said, dropped = sent(
        PLAIN,
        tools=[function("weather", description="Of a city."), CLOCK],
        messages=[
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": "Let me see.",
                "tool_calls": [called("c1", "weather"), called("c2", "clock", "")],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny", "is_error": False},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "no"}], "is_error": True},
            {"role": "assistant", "content": "It is sunny."},
        ],
    )

    assert said["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "tool_plan": "Let me see.",
            "tool_calls": [called("c1", "weather"), called("c2", "clock", "{}")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "no"},
        {"role": "assistant", "content": "It is sunny."},
    ]
    assert said["tools"] == [
        {"type": "function", "function": {"name": "weather", "parameters": CITY, "description": "Of a city."}},
        {"type": "function", "function": {"name": "clock", "parameters": NOTHING}},
    ]
    assert "tool_choice" not in said
    assert dropped == ("messages.is_error",)


def test_arguments_that_are_no_json(sent):
    """apache/apisix#13674: a model that was cut off in the middle of them hung the next turn."""
    message = {"role": "assistant", "tool_calls": [called("c1", "weather", '{"city":"Ro')]}
    said, _ = sent(messages=[*HELLO, message, {"role": "tool", "tool_call_id": "c1", "content": "?"}])

    arguments = said["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert arguments == '{"INVALID_JSON":"{\\"city\\":\\"Ro"}'


def test_a_thought_signature_that_is_googles_is_told(sent):
    """LL#16893: lost in silence, the next turn at Gemini is refused."""
    call = called("c1", "weather") | {"extra_content": {"google": {"thought_signature": "s"}}}
    _, dropped = sent(messages=[*HELLO, {"role": "assistant", "tool_calls": [call]}])

    assert dropped == ("messages.tool_calls.extra_content",)


@pytest.mark.parametrize(
    ("choice", "names", "said"),
    [
        (None, ["weather", "clock"], None),
        ("auto", ["weather", "clock"], None),
        ("none", ["weather", "clock"], "NONE"),
        ("required", ["weather", "clock"], "REQUIRED"),
        ({"type": "function", "function": {"name": "clock"}}, ["clock"], "REQUIRED"),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "weather"}}],
                },
            },
            ["weather"],
            "REQUIRED",
        ),
    ],
)
def test_which_tool_is_to_be_called(sent, choice, names, said):
    """One of many cannot be demanded, but one of one."""
    body, dropped = sent(tools=[WEATHER, CLOCK], tool_choice=choice)

    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert (body.get("tool_choice"), dropped) == (said, ())


def test_a_choice_without_tools_is_left_out(sent):
    """LL#25477: a coding agent sends it, and it was refused."""
    said, dropped = sent(tool_choice="auto", tools=[])

    assert (said, dropped) == ({"model": THINKER, "messages": HELLO}, ())


@pytest.mark.parametrize(
    ("tools", "more", "said", "dropped"),
    [
        ([WEATHER], {}, None, ()),
        ([function("a", strict=True), function("b", strict=True)], {}, True, ()),
        ([function("a", strict=True), WEATHER], {}, None, ("tools.strict",)),
        ([function("a", NOTHING, strict=True)], {}, None, ("tools.strict",)),  # "at least one required parameter"
        ([function("a", strict=True)], {"response_format": as_json(CITY)}, True, ()),
        ([function("a", strict=True)], {"response_format": {"type": "json_object"}}, None, ("tools.strict",)),
        ([WEATHER], {"strict_tools": True}, True, ()),
        ([function("a", strict=True)], {"strict_tools": False}, None, ()),
    ],
)
def test_strict_tools(sent, tools, more, said, dropped):
    """Cohere has one word for all of them."""
    body, lost = sent(tools=tools, **more)

    assert (body.get("strict_tools"), lost) == (said, dropped)


def test_json_beside_tools_is_one_more_tool(sent):
    """ "The parameter is not supported when used in combinations with the documents or tools parameters"."""
    said, dropped = sent(tools=[WEATHER], response_format=as_json(CITY))

    assert [tool["function"]["name"] for tool in said["tools"]] == ["weather", ANSWER_TOOL]
    assert said["tools"][1]["function"]["parameters"] == CITY
    assert (said["tool_choice"], "response_format" in said, dropped) == ("REQUIRED", False, ())


def test_json_when_no_tool_may_be_called(sent):
    said, _ = sent(tools=[WEATHER], tool_choice="none", response_format={"type": "json_object"})

    assert said == {"model": THINKER, "messages": HELLO, "response_format": {"type": "json_object"}}


def test_json_after_the_tool_that_has_to_be_called(sent):
    choice = {"type": "function", "function": {"name": "weather"}}
    said, _ = sent(tools=[WEATHER], tool_choice=choice, response_format={"type": "json_object"})

    assert [tool["function"]["name"] for tool in said["tools"]] == ["weather"]
    assert "response_format" not in said


def test_what_schemas_cannot_say_is_told_to_the_model(sent):
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            "age": {"type": "integer", "description": "In years.", "minimum": 0},
            "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "email"}]},
            "code": {"type": "string", "pattern": "^a"},
            "kind": {"oneOf": [{"const": "a"}, {"$ref": "#/$defs/b"}]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1},
            "minimum": {"type": "string", "pattern": "[a-z]+"},
        },
        "required": ["age"],
        "additionalProperties": False,
        "$defs": {"b": {"enum": ["b"]}},
    }

    said, _ = sent(response_format=as_json(schema))

    assert said["response_format"]["json_schema"] == {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "description": "In years.\n\n{minimum: 0}"},
            "when": {
                "anyOf": [
                    {"type": "string", "format": "date"},
                    {"type": "string", "description": '{format: "email"}'},
                ]
            },
            "code": {"type": "string", "description": '{pattern: "^a"}'},
            "kind": {"anyOf": [{"const": "a"}, {"$ref": "#/$defs/b"}]},
            "tags": {
                "type": "array",
                "items": {"type": "string", "description": "{maxLength: 3}"},
                "description": "{minItems: 1}",
            },
            "minimum": {"type": "string", "pattern": "[a-z]+"},
        },
        "required": ["age"],
        "additionalProperties": False,
        "$defs": {"b": {"enum": ["b"]}},
    }


@pytest.mark.parametrize(
    ("given", "thinking"),
    [
        ({}, None),
        ({"reasoning_effort": "none"}, {"type": "disabled"}),
        ({"thinking": {"type": "disabled"}}, {"type": "disabled"}),
        ({"reasoning_effort": "high"}, {"type": "enabled"}),
        ({"reasoning_effort": "max"}, {"type": "enabled"}),
        ({"reasoning_effort": "low"}, {"type": "enabled", "token_budget": 1024}),
        ({"reasoning_effort": "medium"}, {"type": "enabled", "token_budget": 8192}),
        ({"reasoning_effort": "medium", "max_tokens": 1000}, {"type": "enabled", "token_budget": 800}),
        ({"thinking": {"type": "enabled", "budget_tokens": 500}}, {"type": "enabled", "token_budget": 500}),
        ({"thinking": {"token_budget": 500}}, {"type": "enabled", "token_budget": 500}),
        ({"reasoning": {"max_tokens": 500}}, {"type": "enabled", "token_budget": 500}),
        ({"thinking": {"type": "adaptive"}}, {"type": "enabled"}),
    ],
)
def test_how_much_it_thinks(sent, given, thinking):
    said, dropped = sent(**given)

    assert (said.get("thinking"), dropped) == (thinking, ())


@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        ("command-a-reasoning-08-2025", False),
        ("command-of-the-future", False),
        ("command-a-03-2025", True),
        ("command-r7b-12-2024", True),
        ("command-r-plus-08-2024", True),
        ("c4ai-aya-expanse-32b", True),
    ],
)
def test_models_that_do_not_think(sent, model, is_told):
    said, dropped = sent(model, reasoning_effort="high")
    off, nothing = sent(model, reasoning_effort="none")

    assert ("thinking" in said, dropped) == (not is_told, ("reasoning_effort",) if is_told else ())
    assert ("thinking" in off, nothing) == (not is_told, ())


OWN = {"type": "thinking", "thinking": "hm", "signature": ""}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "claude's"}
HIDDEN = {"type": "redacted_thinking", "data": "d"}
SHOWN = {"type": "thinking", "thinking": "hm"}
SAID = {"type": "text", "text": "so"}


@pytest.mark.parametrize(
    ("model", "thought", "content", "dropped"),
    [
        (THINKER, {"thinking_blocks": [OWN], "reasoning_content": "hm"}, [SHOWN, SAID], ()),
        (THINKER, {"reasoning_content": "hm"}, [SHOWN, SAID], ()),
        (THINKER, {"thinking_blocks": [SIGNED, HIDDEN]}, "so", ("messages.thinking_blocks",)),
        (PLAIN, {"thinking_blocks": [OWN]}, "so", ("messages.thinking_blocks",)),
        (PLAIN, {"reasoning": "hm"}, "so", ("messages.reasoning_content",)),
    ],
)
def test_thoughts_of_earlier_answers(sent, model, thought, content, dropped):
    """What another vendor has signed is not shown to this one."""
    said, lost = sent(model, messages=[*HELLO, {"role": "assistant", "content": "so", **thought}, *HELLO])

    assert (said["messages"][1], lost) == ({"role": "assistant", "content": content}, dropped)


@pytest.mark.parametrize(
    ("model", "more", "turn"),
    [
        (THINKER, {}, {"content": [SHOWN, {"type": "thinking", "thinking": "so"}]}),
        (THINKER, {"reasoning_effort": "none"}, {"tool_plan": "hm\nso"}),
        (PLAIN, {}, {"tool_plan": "hm\nso"}),
    ],
)
def test_thoughts_before_earlier_calls(sent, model, more, turn):
    """ "If you wish to pass a tool plan, either pass thinking content (with thinking enabled) or use tool_plan"."""
    calls = [called("c1", "f")]
    message = {"role": "assistant", "content": "so", "thinking_blocks": [OWN], "tool_calls": calls}
    said, lost = sent(model, messages=[*HELLO, message], **more)

    assert (said["messages"][1], lost) == ({"role": "assistant", **turn, "tool_calls": calls}, ())


def test_refusals_of_earlier_turns_are_text(sent):
    said, _ = sent(messages=[*HELLO, {"role": "assistant", "content": None, "refusal": "no"}, *HELLO])

    assert said["messages"][1] == {"role": "assistant", "content": "no"}

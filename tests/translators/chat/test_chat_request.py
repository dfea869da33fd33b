"""What a chat request asks for, and what of it nobody took."""

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translators.chat import ChatRequest, Reasoning, ToolChoice, only_one_answer, only_text_out

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


def test_what_nobody_takes_is_told(chat):
    """Portkey-AI/gateway#1615, #1559: a field that was not in the table got lost, and nobody was told."""
    request = ChatRequest(chat(temperature=0.5, seed=7, user=None, n=1, logit_bias={}, store=False, stream=True))

    assert request.take("temperature", float) == 0.5
    assert request.dropped_params == ("seed",)


def test_what_is_left_out_inside_of_a_field_is_told_once(chat):
    request = ChatRequest(chat())
    request.drop("messages.name")
    request.drop("messages.name")

    assert request.dropped_params == ("messages.name",)


def test_names_of_fields_cannot_write_headers(chat):
    request = ChatRequest(chat(**{"a\r\nset-cookie: b": 1, "é" * 80: 2}))

    assert request.dropped_params == ("a%0D%0Aset-cookie%3A%20b", "%C3%A9" * 64)


def test_many_names_are_cut(chat):
    assert ChatRequest(chat(**{f"x{number}": 1 for number in range(50)})).dropped_params[18:] == ("x18", "x19", "...")


@pytest.mark.parametrize(("written", "read"), [(0.5, 0.5), ("0.5", 0.5), (1, 1.0), (None, None)])
def test_numbers_are_read_as_providers_do(chat, written, read):
    assert ChatRequest(chat(temperature=written)).take("temperature", float) == read


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "custom"}]}]}, "messages"),
        ({"messages": "hi"}, "messages"),
    ],
)
def test_refuses_messages_it_could_not_say(chat, fields, param):
    with pytest.raises(BadRequest) as refused:
        _ = ChatRequest(chat(**fields)).messages

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a", ["a"]),
        ("", []),
        (None, []),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": ""}, "b"], ["a", "b"]),
        ({"type": "text", "text": "a"}, ["a"]),
    ],
)
def test_content_in_any_form(chat, content, parts):
    """Portkey-AI/gateway#447: one part without a list around it was refused."""
    [message] = ChatRequest(chat(messages=[{"role": "user", "content": content}])).messages

    assert [part.text for part in message.parts] == parts
    assert message.text == "".join(parts)


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"a":1}', b'{"a":1}'),
        ("", b"{}"),
        (None, b"{}"),
        ("null", b"{}"),
        ({"a": 1}, b'{"a":1}'),
        ('{"a":', None),
        ("[1]", None),
    ],
)
def test_arguments_of_earlier_calls(chat, arguments, read):
    """agentgateway#3002: none at all; apache/apisix#13599: broken JSON, where a model had been cut off."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    [message] = ChatRequest(chat(messages=[{"role": "assistant", "tool_calls": [call]}])).messages

    given = message.tool_calls[0].function.input
    assert (bytes(given) if given is not None else None) == read


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        (None, ToolChoice()),
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ({"type": "none"}, ToolChoice("none")),
        ({"type": "function", "function": {"name": "clock"}}, ToolChoice("function", "clock")),
        ({"type": "tool", "name": "clock"}, ToolChoice("function", "clock")),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK]}},
            ToolChoice("required", allowed=frozenset({"clock"})),
        ),
    ],
)
def test_tool_choice(chat, given, choice):
    assert ChatRequest(chat(tool_choice=given)).tool_choice == choice


def test_of_allowed_tools_only_these_are_offered(chat):
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}
    request = ChatRequest(chat(tools=[WEATHER, CLOCK], tool_choice=allowed))

    assert [tool.name for tool in request.tools] == ["clock"]


def test_tools_of_a_vendors_own_are_kept_as_they_came(chat):
    """envoyproxy/ai-gateway#2467: they were dropped in silence."""
    weather, search = ChatRequest(chat(tools=[WEATHER, SEARCH])).tools

    assert (weather.name, bytes(weather.function.schema)) == ("weather", b'{"type":"object"}')
    assert (search.name, search.function, msgspec.json.decode(search.raw)) == ("web_search", None, SEARCH)


def test_a_tool_without_parameters_has_an_empty_schema(chat):
    [clock] = ChatRequest(chat(tools=[CLOCK])).tools

    assert bytes(clock.function.schema) == b'{"type":"object","properties":{}}'


@pytest.mark.parametrize(
    "fields",
    [
        {"functions": []},
        {"function_call": "auto"},
        {"tools": [{"type": "function"}]},
        {"tools": [7]},
        {"tool_choice": "sometimes"},
        {"tool_choice": 7},
    ],
)
def test_refuses_tools_it_could_not_say(chat, fields):
    with pytest.raises(BadRequest):
        _ = ChatRequest(chat(**fields)).tools


def test_json_of_a_given_form_as_a_tool(chat):
    """For models that know tools, but no schema for their answers."""
    schema = {"name": "city", "description": "A city.", "schema": {"type": "object"}, "strict": True}
    request = ChatRequest(chat(response_format={"type": "json_schema", "json_schema": schema}))

    tool = request.response_format.as_tool()

    assert (tool.name, bytes(tool.schema)) == ("answer_in_json", b'{"type":"object"}')
    assert tool.description.endswith("A city.")


@pytest.mark.parametrize(
    ("given", "is_text"), [(None, True), ({"type": "text"}, True), ({"type": "json_object"}, False)]
)
def test_other_formats(chat, given, is_text):
    assert (ChatRequest(chat(response_format=given)).response_format is None) is is_text


@pytest.mark.parametrize("given", [{"type": "xml"}, {"type": "json_schema"}, "json"])
def test_refuses_formats_it_does_not_know(chat, given):
    with pytest.raises(BadRequest) as refused:
        _ = ChatRequest(chat(response_format=given)).response_format

    assert refused.value.param == "response_format"


@pytest.mark.parametrize(
    ("fields", "limit"),
    [({}, None), ({"max_tokens": 5}, 5), ({"max_tokens": 5, "max_completion_tokens": 9}, 9), ({"max_tokens": 5.0}, 5)],
)
def test_the_limit_on_the_answer(chat, fields, limit):
    request = ChatRequest(chat(**fields))

    assert (request.max_tokens, request.dropped_params) == (limit, ())


@pytest.mark.parametrize(("given", "stop"), [(None, []), ("a", ["a"]), (["a", "b"], ["a", "b"])])
def test_stop(chat, given, stop):
    assert ChatRequest(chat(stop=given)).stop == stop


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, Reasoning()),
        ({"reasoning_effort": "HIGH"}, Reasoning("high")),
        ({"reasoning_effort": "none"}, Reasoning(is_off=True)),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, Reasoning(is_off=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget_tokens=2000)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(is_adaptive=True, display="omitted")),
        ({"reasoning": {"effort": "low"}}, Reasoning("low")),
        ({"reasoning": {"max_tokens": 3000}}, Reasoning(budget_tokens=3000)),
        ({"reasoning": {"enabled": True}}, Reasoning("medium")),
    ],
)
def test_reasoning_in_the_words_of_three_vendors(chat, fields, reasoning):
    request = ChatRequest(chat(**fields))

    assert (request.reasoning, request.dropped_params) == (reasoning, ())


@pytest.mark.parametrize(
    ("reasoning", "max_tokens", "budget"),
    [
        (Reasoning(), None, None),
        (Reasoning(is_off=True), None, None),
        (Reasoning("low"), None, 1024),
        (Reasoning("medium"), None, 8192),
        (Reasoning("high"), None, 24576),
        (Reasoning("high"), 5000, 4000),
        (Reasoning("high"), 1000, None),
        (Reasoning(budget_tokens=6000), 5000, 6000),
        (Reasoning(is_adaptive=True), None, 8192),
    ],
)
def test_effort_as_a_budget(reasoning, max_tokens, budget):
    """Some room is left for the answer, but the caller's own number is the caller's."""
    assert reasoning.budget(max_tokens) == budget


def test_refuses_what_would_be_another_answer(chat):
    with pytest.raises(BadRequest, match="one answer"):
        only_one_answer(ChatRequest(chat(n=2)))
    with pytest.raises(BadRequest, match="text only"):
        only_text_out(ChatRequest(chat(modalities=["text", "audio"])))


def test_a_field_that_is_nested_too_deeply_is_refused(chat):
    """Further inside, less is too deep than where the body was parsed."""
    call = chat()
    deep = {**call.fields, "tools": msgspec.Raw(b"[" * 100_000 + b"]" * 100_000)}

    with pytest.raises(BadRequest):
        _ = ChatRequest(call.with_fields(deep)).tools


def test_thoughts_of_earlier_turns_are_told_from_what_was_said(chat):
    """Clients send them back beside the content, or in it."""
    beside, inside = {"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}
    message = {"role": "assistant", "content": [inside, {"type": "text", "text": "hi"}], "thinking_blocks": [beside]}

    [message] = ChatRequest(chat(messages=[message | {"refusal": "no"}])).messages

    assert [(part.type, part.signature, part.data) for part in message.thoughts] == [
        ("thinking", "s", None),
        ("redacted_thinking", None, "d"),
    ]
    assert [(part.type, part.text or part.refusal) for part in message.said] == [("text", "hi"), ("refusal", "no")]


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"name": "f"}, b'{"type":"object","properties":{}}'),
        ({"name": "f", "parameters": {"type": "object", "x": 1}}, b'{"type":"object","x":1}'),
        ({"name": "f", "parameters": {"properties": {}}}, b'{"type":"object","properties":{}}'),
    ],
)
def test_parameters_are_an_object(chat, given, schema):
    [tool] = ChatRequest(chat(tools=[{"type": "function", "function": given}])).tools

    assert msgspec.json.encode(tool.function.object_schema) == schema


def test_parameters_that_are_no_schema_are_refused(chat):
    [tool] = ChatRequest(chat(tools=[{"type": "function", "function": {"name": "f", "parameters": [1]}}])).tools

    with pytest.raises(BadRequest, match="the parameters of f are no JSON schema"):
        _ = tool.function.object_schema


def test_json_of_a_given_form_in_words(chat):
    """For models that can neither be held to it, nor be made to call a tool."""
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}

    assert ChatRequest(chat(response_format={"type": "json_object"})).response_format.in_words == (
        "Answer with one JSON object, and with nothing before or after it."
    )
    assert ChatRequest(chat(response_format=wanted)).response_format.in_words == (
        "Answer with one JSON object, and with nothing before or after it. "
        'It must fit this JSON schema: {"type":"object"}'
    )


@pytest.mark.parametrize(
    ("reasoning", "worth"),
    [
        (Reasoning(), None),
        (Reasoning("xhigh", 1024), "xhigh"),
        (Reasoning(budget_tokens=1024), "low"),
        (Reasoning(budget_tokens=8191), "low"),
        (Reasoning(budget_tokens=8192), "medium"),
        (Reasoning(budget_tokens=24576), "high"),
    ],
)
def test_a_budget_as_an_effort(reasoning, worth):
    assert reasoning.worth == worth


def test_an_effort_that_nobody_knows_is_refused():
    Reasoning("max").check()

    with pytest.raises(BadRequest, match="reasoning_effort must be none or one of minimal, low, medium, high"):
        Reasoning("very").check()

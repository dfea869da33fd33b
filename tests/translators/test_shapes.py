"""Chat completions in the shapes in which Cursor asks for them."""

import msgspec
import pytest

from gateway.contract import JsonBody
from gateway.dialects import MAKE_RESPONSE
from gateway.errors import BadRequest
from gateway.translators.shapes import ChatShapes

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
READ = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
PATCH = {
    "type": "custom",
    "custom": {
        "name": "ApplyPatch",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}},
    },
}


def body_of(**fields):
    data = msgspec.json.encode({"model": "gpt-4o", **fields})
    return JsonBody(msgspec.json.decode(data, type=dict[str, msgspec.Raw]), data)


def chat(**fields):
    body = ChatShapes(MAKE_RESPONSE)(body_of(**fields))
    assert msgspec.json.decode(body.data) == {name: msgspec.json.decode(raw) for name, raw in body.fields.items()}
    return msgspec.json.decode(body.data)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "hi"}], "tools": [READ], "tool_choice": "auto"},
        {"messages": [{"role": "user", "content": "hi"}], "tools": []},
        {"messages": "no list", "tools": "no list"},
        {"messages": [7], "tools": [READ], "x": '"tool_use"'},
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        {"prompt": "hi"},
    ],
)
def test_what_is_chat_or_nothing_stays_as_it_is(fields):
    given = body_of(**fields)

    assert ChatShapes(MAKE_RESPONSE)(given) is given


def test_a_body_of_responses():
    """Its agent sends one to the path of chat, and reads a chat completion."""
    items = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "change a"}]},
        {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "A"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "ApplyPatch", "input": "*** Begin Patch"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
    ]
    tools = [
        {"type": "function", "name": "read", "parameters": {"type": "object"}},
        {"type": "custom", "name": "ApplyPatch", "format": GRAMMAR},
    ]
    options = {"include_usage": True}

    said = chat(input=items, tools=tools, stream=True, stream_options=options, max_output_tokens=9, tool_choice="auto")

    assert said == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "change a"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "A"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c2", "type": "custom", "custom": {"name": "ApplyPatch", "input": "*** Begin Patch"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c2", "content": "done"},
        ],
        "max_tokens": 9,
        "tools": [READ, PATCH],
        "tool_choice": "auto",
        "stream": True,
        "stream_options": options,
    }


def test_a_body_of_responses_that_cannot_be_read_is_refused():
    with pytest.raises(BadRequest):
        chat(input=[{"type": "function_call_output", "call_id": "none", "output": "x"}])


@pytest.mark.parametrize(
    ("tool", "nested"),
    [
        ({"type": "custom", "name": "ApplyPatch", "format": GRAMMAR}, PATCH),
        ({"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": None}, READ),
        ({"name": "read", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}, READ),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)
def test_tools_of_other_apis(tool, nested):
    """In one list with those of chat, as its Ask mode sends them."""
    hint = {"type": "custom", "name": "x"}

    said = chat(messages=[], tools=[READ, tool, hint])

    assert said["tools"] == [READ, nested, {"type": "custom", "custom": {"name": "x"}}]


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ("auto", "auto"),
        ({"type": "any"}, "required"),
        ({"type": "tool", "name": "read"}, {"type": "function", "function": {"name": "read"}}),
        ({"type": "custom", "name": "p"}, {"type": "custom", "custom": {"name": "p"}}),
    ],
)
def test_the_choice_of_one(choice, chosen):
    tools = [{"name": "read", "input_schema": {}}]

    assert chat(messages=[], tools=tools, tool_choice=choice)["tool_choice"] == chosen


def test_blocks_of_anthropic():
    """For models with `claude` in their names it writes calls and results as Anthropic does, also on this path."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    messages = [
        {"role": "user", "content": "read a"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "Yes."},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and now?"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "A"}, picture]},
            ],
        },
    ]

    call = {"id": "t1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a"}'}}
    assert chat(messages=messages)["messages"] == [
        {"role": "user", "content": "read a"},
        {"role": "assistant", "content": "Yes.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "A"}, shown]},
        {"role": "user", "content": [{"type": "text", "text": "and now?"}]},
    ]


@pytest.mark.parametrize("arguments", ["*** Begin Patch", "[1]", "{}", "5"])
def test_a_call_of_a_function_that_is_a_custom_tool_by_now(arguments):
    """A body that is answered with 500: arguments which no custom tool has were read as if one had made them."""
    call = {"type": "function_call", "call_id": "c", "name": "ApplyPatch", "arguments": arguments}
    custom = {"type": "custom", "name": "ApplyPatch", "format": GRAMMAR}

    sent = chat(input=[{"role": "user", "content": "hi"}, call], tools=[custom])

    function = {"name": "ApplyPatch", "arguments": arguments}
    assert sent["messages"][1]["tool_calls"] == [{"id": "c", "type": "function", "function": function}]
    assert sent["tools"] == [PATCH]


def test_no_tools_may_be_said_with_null():
    assert chat(input="hi", tools=None) == {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input": [{}] * 10_001}, "input"),
        ({"input": "hi", "tools": [{}] * 10_001}, "tools"),
        ({"messages": [], "tools": [{"input_schema": {}}] * 10_001}, "tools"),
        ({"messages": [{"content": [{"type": "tool_use"}]}] * 10_001}, "messages"),
    ],
)
def test_lists_without_end_are_not_decoded(fields, named):
    """A million small values in a body take seconds, and a gigabyte; where Responses has a limit, another shape has the
    same."""
    with pytest.raises(BadRequest, match=f"{named} has more than 10,000 items"):
        chat(**fields)

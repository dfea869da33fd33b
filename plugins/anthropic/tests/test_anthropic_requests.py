"""Bodies that go out, row by row of the table in the README; the types of Anthropic's own SDK take each of them."""

from itertools import pairwise

import pytest
from gateway_anthropic.flavour import Flavour
from gateway_anthropic.translator import ToMessages
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.testing import growth
from gateway.translators.chat import ANSWER_TOOL

PNG = "iVBORw0KGgo="
PDF = "JVBERg=="
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a city.", "parameters": {"type": "object", "properties": {}}},
}
SENT_WEATHER = {"name": "weather", "description": "Of a city.", "input_schema": {"type": "object", "properties": {}}}
MARK = {"type": "ephemeral", "ttl": "1h"}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def text(value, **more):
    return {"type": "text", "text": value, **more}


def call(id_="toolu_1", name="weather", arguments='{"city":"Rome"}'):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*given, content=None):
    return {"role": "assistant", "content": content, "tool_calls": list(given)}


def result(id_="toolu_1", content="sunny", **more):
    return {"role": "tool", "tool_call_id": id_, "content": content, **more}


def test_the_least(sent):
    """Without a limit of the caller's, the answer may be as long as the model can: the API wants a number."""
    body, dropped = sent("claude-sonnet-4-5")

    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64_000,
        "messages": [{"role": "user", "content": [text("hi")]}],
    }
    assert dropped == ()


# --- messages --------------------------------------------------------------------------------------------------------


def test_system_and_developer_go_to_the_front_in_their_order(sent):
    messages = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [text("two", cache_control=MARK)]},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "three"},
        {"role": "user", "content": "and"},
    ]

    body, _ = sent(messages=messages)

    assert body["system"] == [text("one"), text("two", cache_control=MARK), text("three")]
    assert body["messages"] == [{"role": "user", "content": [text("hi"), text("and")]}]


@pytest.mark.parametrize(
    ("model", "roles"), [("claude-opus-4-8", ["user", "system", "assistant", "user"]), ("claude-opus-4-7", None)]
)
def test_a_later_system_message_stays_where_the_model_allows_it(sent, model, roles):
    """What stands before it is in the cache; it is behind a user's, and an answer follows it."""
    messages = [*[user(text("hi")), {"role": "system", "content": "be brief"}]]
    messages += [{"role": "assistant", "content": "ok"}, user(text("go"))]

    body, _ = sent(model, messages=messages)

    assert [each["role"] for each in body["messages"]] == (roles or ["user", "assistant", "user"])
    assert body.get("system") == (None if roles else [text("be brief")])


def test_turns_of_the_same_role_are_one(sent):
    body, _ = sent(messages=[user(text("a")), user(text("b")), {"role": "assistant", "content": "c"}, user(text("d"))])

    assert body["messages"] == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c")]},
        {"role": "user", "content": [text("d")]},
    ]


@pytest.mark.parametrize("blank", ["", " \n", None, []])
def test_empty_content_is_left_out(sent, blank):
    """LL#25848 and envoyproxy/ai-gateway#2191: empty text is refused."""
    body, _ = sent(
        messages=[{"role": "system", "content": blank}, {"role": "assistant", "content": blank}, user(text("a"))]
    )

    assert body["messages"] == [{"role": "user", "content": [text("a")]}]
    assert "system" not in body


def test_nothing_to_say_is_refused(sent):
    with pytest.raises(BadRequest, match="not empty"):
        sent(messages=[{"role": "system", "content": "be brief"}, user(text(" "))])


def test_the_last_word_of_the_model_has_no_space_behind_it(sent):
    body, _ = sent(messages=[user(text("a")), {"role": "assistant", "content": "The answer is \n"}])

    assert body["messages"][1]["content"] == [text("The answer is")]


def test_names_of_speakers_are_told_as_dropped(sent):
    _, dropped = sent(messages=[{"role": "user", "name": "ana", "content": "hi"}])

    assert dropped == ("messages.name",)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{PDF}"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        ),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_url": "https://a.example/b.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1", "format": "image/png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,aMOp"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hé"}},
        ),
    ],
)
def test_pictures_and_documents(sent, part, block):
    body, dropped = sent(messages=[user({**part, "cache_control": MARK}, text("what is it?"))])

    assert body["messages"][0]["content"] == [{**block, "cache_control": MARK}, text("what is it?")]
    assert dropped == ()


def test_a_document_to_be_cited(sent):
    file = {"type": "file", "file": {"file_url": "https://a.example/b.pdf"}}

    body, _ = sent(messages=[user({**file, "citations": {"enabled": True}, "context": "Of 2026."}, text("what?"))])

    assert body["messages"][0]["content"][0] == {
        "type": "document",
        "source": {"type": "url", "url": "https://a.example/b.pdf"},
        "citations": {"enabled": True},
        "context": "Of 2026.",
    }


def test_how_closely_to_look_cannot_be_said(sent):
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}

    assert sent(messages=[user(image)])[1] == ("image_url.detail",)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
        {"type": "something"},
    ],
)
def test_content_that_cannot_be_sent_is_refused(sent, part):
    """Without it the question would be another."""
    with pytest.raises(BadRequest) as refused:
        sent(messages=[user(part, text("what is it?"))])

    assert refused.value.param == "messages"


# --- tools -----------------------------------------------------------------------------------------------------------


def test_calls_and_their_results(sent):
    """Parallel ones (maximhq/bifrost#3512): all results are in one turn, before what the user says."""
    messages = [
        user(text("weather?")),
        calls(call("toolu_1"), call("toolu_2", arguments=""), content="Let me see."),
        result("toolu_1"),
        result("toolu_2", [text("rain"), {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]),
        user(text("so?")),
    ]

    body, dropped = sent(messages=messages, tools=[WEATHER])

    assert body["tools"] == [SENT_WEATHER]
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                text("Let me see."),
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [
                        text("rain"),
                        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
                    ],
                },
                text("so?"),
            ],
        },
    ]
    assert dropped == ()


def test_a_result_that_comes_late_still_stands_first(sent):
    """What the user said in between is refused in front of it."""
    body, _ = sent(messages=[user(text("a")), calls(call()), user(text("wait")), result()], tools=[WEATHER])

    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]


def test_a_result_that_failed_or_is_empty_or_marked(sent):
    marked = result("toolu_3", [text("x", cache_control=MARK)])
    messages = [user(text("a")), calls(*(call(f"toolu_{n}") for n in (1, 2, 3)))]
    messages += [result("toolu_1", "no", is_error=True), result("toolu_2", ""), marked]

    body, _ = sent(messages=messages, tools=[WEATHER])

    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", "is_error": True},
        {"type": "tool_result", "tool_use_id": "toolu_2"},
        {"type": "tool_result", "tool_use_id": "toolu_3", "content": "x", "cache_control": MARK},
    ]


def test_ids_of_other_vendors(sent):
    """A conversation that another model began: its ids are refused here."""
    body, _ = sent(messages=[user(text("a")), calls(call("call:1.a/b")), result("call:1.a/b")], tools=[WEATHER])

    assert body["messages"][1]["content"][0]["id"] == "call_1_a_b"
    assert body["messages"][2]["content"][0]["tool_use_id"] == "call_1_a_b"


def test_arguments_that_are_no_json(sent):
    """apache/apisix#13599, #13674: a model was cut off in the middle of them, and the conversation goes on."""
    body, _ = sent(messages=[user(text("a")), calls(call(arguments='{"city":')), result()], tools=[WEATHER])

    assert body["messages"][1]["content"][0]["input"] == {"INVALID_JSON": '{"city":'}


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": {"type": "function", "function": {"name": "weather"}}}, {"type": "tool", "name": "weather"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
)
def test_tool_choice(sent, fields, choice):
    body, dropped = sent(tools=[WEATHER], **fields)

    assert (body.get("tool_choice"), dropped) == (choice, ())


def test_without_tools_there_is_no_choice(sent):
    body, dropped = sent(tools=[], tool_choice="auto", parallel_tool_calls=False)

    assert ("tools" in body, "tool_choice" in body, dropped) == (False, False, ())


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_choice_of_a_tool_that_is_not_there_is_refused(sent, choice):
    with pytest.raises(BadRequest):
        sent(tool_choice=choice)


def test_tools_are_marked_and_strict(sent):
    """maximhq/bifrost#3512: tools were rejected; constraints that are refused are told in the description."""
    schema = {"type": "object", "properties": {"days": {"type": "integer", "minimum": 1}}, "required": ["days"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}, "cache_control": MARK}

    body, _ = sent(tools=[tool])

    assert body["tools"] == [
        {
            "name": "f",
            "strict": True,
            "cache_control": MARK,
            "input_schema": {
                "type": "object",
                "properties": {"days": {"type": "integer", "description": "{minimum: 1}"}},
                "additionalProperties": False,
                "required": ["days"],
            },
        }
    ]


def test_a_model_without_strict_tools(sent):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {}}, "strict": True}}

    body, dropped = sent("claude-3-7-sonnet-latest", tools=[tool])

    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert dropped == ("tools.strict",)


def test_tools_of_anthropics_own(sent):
    """envoyproxy/ai-gateway#2467 dropped them in silence."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}

    assert sent(tools=[search])[0]["tools"] == [search]
    with pytest.raises(BadRequest):
        sent(tools=[{"type": "custom", "custom": {"name": "f"}}])


def test_web_search(sent):
    place = {"type": "approximate", "approximate": {"city": "Rome", "country": "IT"}}

    body, dropped = sent(web_search_options={"user_location": place, "search_context_size": "low"})

    assert body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "user_location": {"type": "approximate", "city": "Rome", "country": "IT"},
        }
    ]
    assert dropped == ("web_search_options.search_context_size",)


# --- answers in JSON -------------------------------------------------------------------------------------------------

CITY = {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}, "required": ["name"]}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
ANY_JSON = {"type": "json_object"}


def test_a_schema_where_the_model_has_it(sent):
    body, _ = sent("claude-sonnet-4-5", response_format=BY_SCHEMA)

    assert body["output_config"] == {
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"name": {"type": "string", "description": "{minLength: 1}"}},
                "additionalProperties": False,
                "required": ["name"],
            },
        }
    }


def test_a_schema_as_a_tool_where_it_does_not(sent):
    body, _ = sent("claude-3-7-sonnet-latest", response_format=BY_SCHEMA)

    [tool] = body["tools"]
    assert (tool["name"], tool["input_schema"]) == (ANSWER_TOOL, CITY)
    assert body["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}


def test_beside_other_tools_any_of_them_may_be_called(sent):
    """They may be needed to know the answer."""
    body, _ = sent("claude-3-7-sonnet-latest", response_format=BY_SCHEMA, tools=[WEATHER], parallel_tool_calls=False)

    assert [tool["name"] for tool in body["tools"]] == ["weather", ANSWER_TOOL]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_any_json(sent):
    body, _ = sent("claude-sonnet-4-5", response_format=ANY_JSON)
    assert body["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}

    body, _ = sent("claude-opus-5-5", response_format=ANY_JSON)
    assert body["system"] == [text("Answer with one JSON object, and with nothing before or after it.")]


def test_an_object_of_any_names_goes_by_a_tool(sent):
    """Held to a schema without such names, the model could only answer with an empty one."""
    numbers = {"type": "object", "additionalProperties": {"type": "integer"}}
    wanted = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": numbers}}

    body, _ = sent("claude-sonnet-4-5", response_format=wanted)
    assert ([tool["input_schema"] for tool in body["tools"]], "output_config" in body) == ([numbers], False)

    body, _ = sent("claude-opus-5-5", response_format=wanted)
    assert body["system"] == [
        text(
            "Answer with one JSON object, and with nothing before or after it. It must fit this JSON schema: "
            '{"type":"object","additionalProperties":{"type":"integer"}}'
        )
    ]


def test_a_strict_tool_with_arguments_of_any_names_is_not_strict(sent):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}

    body, dropped = sent("claude-sonnet-4-5", tools=[tool])

    assert (body["tools"], dropped) == ([{"name": "f", "input_schema": {"type": "object"}}], ("tools.strict",))


def test_the_name_of_the_answer_is_taken(sent):
    tool = {"type": "function", "function": {"name": ANSWER_TOOL}}

    with pytest.raises(BadRequest, match=ANSWER_TOOL):
        sent("claude-3-7-sonnet-latest", response_format=ANY_JSON, tools=[tool])


# --- thinking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "effort", "dropped"),
    [
        ("claude-haiku-4-5", {"reasoning_effort": "low"}, {"type": "enabled", "budget_tokens": 1024}, None, ()),
        (
            "claude-haiku-4-5",
            {"reasoning_effort": "high", "max_tokens": 10_000},
            {"type": "enabled", "budget_tokens": 8000},
            None,
            (),
        ),
        ("claude-haiku-4-5", {"reasoning_effort": "high", "max_tokens": 100}, None, None, ("reasoning_effort",)),
        (
            "claude-haiku-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"type": "enabled", "budget_tokens": 2000},
            None,
            (),
        ),
        ("claude-haiku-4-5", {"reasoning_effort": "none"}, None, None, ()),
        ("claude-3-5-haiku-latest", {"reasoning_effort": "low"}, None, None, ("reasoning_effort",)),
        ("claude-sonnet-4-6", {"reasoning_effort": "high"}, {"type": "adaptive"}, "high", ()),
        ("claude-sonnet-4-6", {"reasoning_effort": "xhigh"}, {"type": "adaptive"}, "high", ("reasoning_effort",)),
        (
            "claude-sonnet-4-6",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"type": "enabled", "budget_tokens": 2000},
            None,
            (),
        ),
        ("claude-opus-4-7", {"reasoning_effort": "max"}, {"type": "adaptive", "display": "summarized"}, "max", ()),
        ("claude-opus-4-7", {"reasoning_effort": "minimal"}, {"type": "adaptive", "display": "summarized"}, "low", ()),
        (
            "claude-opus-4-7",
            {"thinking": {"type": "enabled", "budget_tokens": 9000}},
            {"type": "adaptive", "display": "summarized"},
            "medium",
            ("thinking.budget_tokens",),
        ),
        (
            "claude-opus-5-5",
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            {"type": "adaptive", "display": "omitted"},
            None,
            (),
        ),
        ("claude-sonnet-5", {"reasoning_effort": "none"}, {"type": "disabled"}, None, ()),
        ("claude-sonnet-5-5", {"reasoning_effort": "none"}, {"type": "between_tools"}, None, ()),
        ("claude-sonnet-5-5", {"thinking": {"type": "between_tools"}}, {"type": "between_tools"}, None, ()),
        ("claude-opus-5-5", {"thinking": {"type": "disabled"}}, None, "low", ("thinking",)),
        ("claude-opus-5-5", {}, None, None, ()),
    ],
)
def test_thinking(sent, model, fields, thinking, effort, dropped):
    body, told = sent(model, **fields)

    assert (body.get("thinking"), body.get("output_config")) == (thinking, {"effort": effort} if effort else None)
    assert told == dropped


def test_a_demanded_call_goes_before_thinking(sent):
    """Both together are refused."""
    body, dropped = sent(tools=[WEATHER], tool_choice="required", reasoning_effort="low")

    assert ("thinking" in body, dropped) == (False, ("reasoning_effort",))


def test_a_budget_that_leaves_no_room_is_refused(sent):
    with pytest.raises(BadRequest, match="must be more than the 5000 tokens"):
        sent(thinking={"type": "enabled", "budget_tokens": 5000}, max_tokens=4000)


def test_an_effort_nobody_knows_is_refused(sent):
    with pytest.raises(BadRequest, match="reasoning_effort must be none or one of minimal, low"):
        sent(reasoning_effort="enormous")


def test_thinking_of_an_earlier_turn_goes_back_as_it_came(sent):
    """Changed, or without its signature, it is refused; without it the model forgets why it called the tool."""
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d1"},
    ]
    messages = [user(text("a")), {**calls(call(), content="b"), "thinking_blocks": blocks}, result()]

    body, dropped = sent(messages=messages, tools=[WEATHER])

    assert body["messages"][1]["content"][:3] == [*blocks, text("b")]
    assert dropped == ()


def test_thinking_inside_the_content(sent):
    """As gateways gave it before there was a field for it."""
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s1"}, text("b")]
    messages = [user(text("a")), {"role": "assistant", "content": blocks}, user(text("c"))]

    assert sent(messages=messages)[0]["messages"][1]["content"] == blocks


@pytest.mark.parametrize(
    ("more", "dropped"),
    [
        ({"reasoning_content": "hm"}, ("messages.reasoning_content",)),
        ({"audio": {"id": "audio_1"}}, ("messages.audio",)),
        ({"images": [{"type": "image_url", "image_url": {"url": "https://a"}}]}, ("messages.images",)),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, ("messages.thinking_blocks",)),
        (
            {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "gemini:c2ln"}]},
            ("messages.thinking_blocks",),
        ),
    ],
)
def test_what_cannot_go_back_is_told(sent, more, dropped):
    messages = [user(text("a")), {"role": "assistant", "content": "b", **more}, user(text("c"))]

    body, told = sent(messages=messages)

    assert body["messages"][1]["content"] == [text("b")]
    assert told == dropped


# --- the other fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "kept", "dropped"),
    [
        ("claude-opus-4-0", {"temperature": 0.3, "top_p": 0.8, "top_k": 5}, None, ()),
        ("claude-sonnet-4-5", {"temperature": 0.3, "top_p": 0.8}, {"temperature": 0.3}, ("top_p",)),
        ("claude-sonnet-4-5", {"top_p": 0.8}, None, ()),
        ("claude-sonnet-4-5", {"temperature": 1.5}, {"temperature": 1.0}, ("temperature",)),
        ("claude-sonnet-4-5", {"temperature": 0}, None, ()),
        ("claude-opus-5-5", {"temperature": 0.3, "top_k": 5}, {}, ("temperature", "top_k")),
        ("claude-opus-5-5", {"temperature": 1, "top_p": 1}, {}, ()),
        ("claude-haiku-4-5", {"temperature": 0.3, "reasoning_effort": "low"}, {}, ("temperature",)),
    ],
)
def test_sampling(sent, model, given, kept, dropped):
    """The newer models refuse it; 1 is what they do anyway."""
    body, told = sent(model, **given)

    samplers = {name: value for name, value in given.items() if name in ("temperature", "top_p", "top_k")}
    assert {name: body[name] for name in samplers if name in body} == (samplers if kept is None else kept)
    assert told == dropped


def test_the_newer_version_takes_no_sampling_of_any_model(sent):
    body, dropped = sent("claude-opus-4-0", Flavour(samples=False), temperature=0.3)

    assert ("temperature" in body, dropped) == (False, ("temperature",))


@pytest.mark.parametrize(
    ("fields", "name", "value", "dropped"),
    [
        ({"max_completion_tokens": 7}, "max_tokens", 7, ()),
        ({"stop": "END"}, "stop_sequences", ["END"], ()),
        ({"stop": ["END", "\n"]}, "stop_sequences", ["END"], ("stop",)),
        ({"user": "u1"}, "metadata", {"user_id": "u1"}, ()),
        ({"user": "u1", "safety_identifier": "s1"}, "metadata", {"user_id": "s1"}, ()),
        ({"metadata": {"user_id": "u2", "team": "x"}}, "metadata", {"user_id": "u2"}, ("metadata",)),
        ({"service_tier": "auto"}, "service_tier", None, ()),
        ({"service_tier": "default"}, "service_tier", "standard_only", ()),
        ({"service_tier": "priority"}, "service_tier", "auto", ()),
        ({"service_tier": "flex"}, "service_tier", None, ("service_tier",)),
        ({"stream": True}, "stream", True, ()),
        ({"stream": False}, "stream", None, ()),
        ({"output_config": {"effort": "low"}}, "output_config", {"effort": "low"}, ()),
        ({"cache_control": MARK}, "cache_control", MARK, ()),
        ({"inference_geo": "eu"}, "inference_geo", "eu", ()),
        ({"seed": 7, "logprobs": True, "top_logprobs": 2}, "seed", None, ("seed", "logprobs", "top_logprobs")),
        ({"frequency_penalty": 0.5, "presence_penalty": 0}, "frequency_penalty", None, ("frequency_penalty",)),
        ({"encoding_format": None, "my_own": 1}, "my_own", None, ("my_own",)),
    ],
)
def test_other_fields(sent, fields, name, value, dropped):
    """Portkey-AI/gateway#1281: what is not in the table is told, not lost. LL: null is as if it were not there."""
    body, told = sent(**fields)

    assert (body.get(name), told) == (value, dropped)


@pytest.mark.parametrize("fields", [{"n": 2}, {"modalities": ["audio"]}, {"functions": [{"name": "f"}]}])
def test_what_would_be_another_answer_is_refused(sent, fields):
    with pytest.raises(BadRequest):
        sent(**fields)


def test_flavours_of_others(sent):
    """Bedrock fetches nothing, and keeps no files."""
    bedrock = Flavour(takes_urls=False, takes_file_ids=False, own_fields=frozenset())
    for part in (
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ):
        with pytest.raises(BadRequest):
            sent(flavour=bedrock, messages=[user(part)])

    assert sent(flavour=bedrock, inference_geo="eu")[1] == ("inference_geo",)


# --- whatever comes --------------------------------------------------------------------------------------------------

words = st.one_of(st.just(""), st.just(" "), st.text(max_size=5))
parts = st.one_of(
    st.builds(text, words),
    st.just({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
    st.builds(lambda value: text(value, cache_control=MARK), words),
)
contents = st.one_of(words, st.none(), st.lists(parts, max_size=3))
texts = st.one_of(words, st.none(), st.lists(st.builds(text, words), max_size=3))
ids = st.sampled_from(["toolu_1", "call:2", "3"])
conversations = st.lists(
    st.one_of(
        st.builds(lambda content: {"role": "user", "content": content}, contents),
        st.builds(
            lambda content, role: {"role": role, "content": content}, texts, st.sampled_from(["system", "developer"])
        ),
        st.builds(lambda content: {"role": "assistant", "content": content}, texts),
        st.builds(lambda content, given: calls(*map(call, given), content=content), texts, st.lists(ids, max_size=2)),
        st.builds(result, ids, contents),
    ),
    max_size=8,
)


@settings(max_examples=200)
@given(messages=conversations, model=st.sampled_from(["claude-opus-5-5", "claude-sonnet-4-5"]))
def test_any_conversation_is_one_that_the_api_takes(sent, messages, model):
    """Turns alternate, none is empty, results come first; or it is refused here, with a reason."""
    try:
        body, _ = sent(model, messages=messages, tools=[WEATHER])
    except BadRequest:
        assert not any(message["role"] == "tool" for message in messages)
        return

    roles = [turn["role"] for turn in body["messages"]]
    assert all(one != other for one, other in pairwise(roles))
    for before, turn in pairwise([{"role": "assistant"}, *body["messages"]]):
        kinds = [block["type"] for block in turn["content"]]
        assert kinds
        assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result")
        assert turn["role"] != "system" or before["role"] == "user"
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")


# --- what takes time -------------------------------------------------------------------------------------------------

SYSTEM = {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(lambda n: [user(text("a")), calls(call()), *n * [result()]], id="results of one call"),
        pytest.param(
            lambda n: [
                user(text("a")),
                calls(*(call(f"t{i}") for i in range(n))),
                *(result(f"t{i}") for i in range(n)),
            ],
            id="calls and their results",
        ),
        pytest.param(lambda n: [user(text("a")), calls(call()), *n * [result(), user(text("a"))]], id="between texts"),
        pytest.param(lambda n: [user(text("a")), *n * [SYSTEM]], id="the system at the end"),
        pytest.param(lambda n: [*n * [SYSTEM, user(text("a"))]], id="the system between"),
    ],
)
def test_time_grows_with_the_number_of_messages_and_no_faster(chat, messages):
    """300,000 results of tools, in one body of 18 MB, held all large requests up for minutes."""

    def work(size):
        asked = chat(messages=messages(size))
        return lambda: ToMessages().request(asked, "claude-opus-4-8")

    assert growth(work) < 24

"""What calls of the Responses API become in chat."""

import pytest

from gateway.errors import BadRequest
from gateway.testing import growth
from gateway.translators.responses import ToOpenAI
from gateway.translators.responses.sealed import seal

PICTURE = "data:image/png;base64,aGk="
FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
CHAT_FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}


def user(*parts):
    return {"type": "message", "role": "user", "content": list(parts)}


def call(id_, name="f", arguments="{}", **more):
    return {"type": "function_call", "call_id": id_, "name": name, "arguments": arguments, **more}


def output(id_, said="done"):
    return {"type": "function_call_output", "call_id": id_, "output": said}


def chat_call(id_, name="f", arguments="{}", **more):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_a_text_and_instructions(sent):
    said, dropped = sent("openai", input="hi", instructions="Be short.")

    assert said == {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hi"}]}
    assert dropped == ()


def test_what_has_a_field_of_its_own(sent):
    """And what says nothing is not sent: some refuse null."""
    said, dropped = sent(
        "openai",
        max_output_tokens=9,
        temperature=0.5,
        top_p=None,
        user="u",
        prompt_cache_key="k",
        parallel_tool_calls=True,
        metadata={"a": "b"},
        store=True,
        truncation="disabled",
        include=["reasoning.encrypted_content"],
    )

    assert said == {"max_tokens": 9, "temperature": 0.5, "user": "u", "prompt_cache_key": "k"}
    assert dropped == ()


def test_what_is_left_out_is_told(sent):
    _, dropped = sent(
        "openai",
        reasoning={"effort": "high", "summary": "auto"},
        text={"verbosity": "low"},
        truncation="auto",
        include=["message.output_text.logprobs"],
        max_tool_calls=3,
        client_metadata={"a": "b"},
    )

    assert set(dropped) == {
        "reasoning.effort",
        "text.verbosity",
        "truncation",
        "include.message.output_text.logprobs",
        "max_tool_calls",
        "client_metadata",
    }


@pytest.mark.parametrize(
    ("to", "model", "expected"),
    [
        ("openai", "gpt-5-mini", {"reasoning_effort": "low", "verbosity": "low", "max_completion_tokens": 9}),
        ("openai", "openai/gpt-oss-120b", {"reasoning_effort": "low", "verbosity": "low", "max_tokens": 9}),
        ("hub", "claude", {"reasoning_effort": "low", "max_tokens": 9}),
    ],
)
def test_how_much_a_model_is_to_think(sent, to, model, expected):
    said, _ = sent(to, model, reasoning={"effort": "low"}, text={"verbosity": "low"}, max_output_tokens=9)

    assert said == expected


@pytest.mark.parametrize("role", ["system", "developer"])
def test_what_the_developer_says_becomes_one_text_at_the_beginning(turned, role):
    """Codex sends several; chat templates of open models take one."""
    messages, _ = turned(
        "openai", {"role": role, "content": "two"}, {"role": role, "content": "three"}, user(), instructions="one"
    )

    assert messages == [{"role": "system", "content": "one\n\ntwo\n\nthree"}]


def test_all_kinds_of_content(turned):
    messages, dropped = turned(
        "openai",
        user(
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": PICTURE, "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        ),
    )

    assert messages[0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    ]
    assert dropped == ()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://a.example/b.pdf"},
        {"type": "input_video", "url": "x"},
        {"type": "input_image"},
    ],
)
def test_content_that_the_model_cannot_have_is_refused(turned, part):
    with pytest.raises(BadRequest):
        turned("openai", user(part))


def test_a_turn_with_calls(turned):
    """What was said, thought and called is one message; each result stands behind it."""
    messages, dropped = turned(
        "openai",
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        call("c1"),
        call("c2", "g", '{"a":1}'),
        output("c2", "two"),
        output("c1", [{"type": "input_text", "text": "one"}]),
        {"role": "user", "content": "thanks"},
    )

    assert messages == [
        {"role": "assistant", "content": "I look.", "tool_calls": [chat_call("c1"), chat_call("c2", "g", '{"a":1}')]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "user", "content": "thanks"},
    ]
    assert dropped == ("input.reasoning",)


def test_calls_in_several_turns(turned):
    messages, _ = turned("openai", call("c1"), output("c1"), call("c2"), output("c2"))

    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant", "tool"]


def test_a_result_that_comes_late_stands_behind_its_call(turned):
    """A chat refuses anything between them; Codex puts notices there."""
    messages, _ = turned("openai", call("c1"), {"role": "developer", "content": "note"}, output("c1"))

    assert [message["role"] for message in messages] == ["assistant", "tool", "user"]


def test_pictures_in_results_are_shown_by_the_user(turned):
    shown = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": PICTURE}]
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}

    plain, _ = turned("openai", call("c1"), output("c1", shown))
    hub, _ = turned("hub", call("c1"), output("c1", shown))

    assert plain[1]["content"] == "a"
    assert plain[2] == {"role": "user", "content": [{"type": "text", "text": "Of the result of c1:"}, picture]}
    assert hub[1]["content"] == [{"type": "text", "text": "a"}, picture]


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([output("c1")], "there is no call with the call_id 'c1'"),
        ([{"type": "item_reference", "id": "msg_1"}], "no item with the id 'msg_1'"),
        ([{"type": "compaction", "encrypted_content": "x"}], "can be read by OpenAI alone"),
        ([{"role": "tool", "content": "x"}], "the role of a message"),
        ([{"type": "function_call", "name": "f"}], "a call needs its call_id"),
        ([], "input must not be empty"),
        ([7], "is not valid"),
    ],
)
def test_items_that_cannot_be_said_are_refused(turned, items, says):
    with pytest.raises(BadRequest) as refused:
        turned("hub", *items)

    assert says in refused.value.message
    assert refused.value.param == "input"


def test_items_of_tools_that_openai_runs_are_left_out(turned):
    messages, dropped = turned("openai", {"type": "web_search_call", "id": "ws_1"}, {"role": "user", "content": "hi"})

    assert (messages, dropped) == ([{"role": "user", "content": "hi"}], ("input.web_search_call",))


def test_reasoning_goes_back_to_those_who_want_it(turned):
    """Signatures to whom they are of; what OpenAI has encrypted to nobody."""
    block = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    own = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    extra = {"google": {"thought_signature": "abc"}}
    items = [
        {**own, "encrypted_content": seal([block], {})},
        {"type": "reasoning", "summary": [], "encrypted_content": seal([], {"c1": extra})},
        call("c1"),
        output("c1"),
    ]

    hub, hub_dropped = turned("hub", *items)
    extended, extended_dropped = turned("extended", *items)
    _, foreign = turned("hub", {**own, "encrypted_content": "gAAAAA"}, {"role": "user", "content": "hi"})

    assert hub[0] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "thinking_blocks": [block],
        "tool_calls": [chat_call("c1", extra_content=extra)],
    }
    assert extended[0]["reasoning_content"] == "hm"
    assert "thinking_blocks" not in extended[0]
    assert (hub_dropped, extended_dropped) == ((), ("input.reasoning.encrypted_content",))
    assert foreign == ("input.reasoning.encrypted_content",)


def test_functions(sent):
    said, dropped = sent(
        "openai", tools=[FUNCTION], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False
    )

    assert said == {
        "tools": [{"type": "function", "function": CHAT_FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
    }
    assert dropped == ()


def test_custom_tools_are_functions_with_one_text(sent, turned):
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    said, dropped = sent("openai", tools=[{"type": "custom", "name": "patch", "description": "d", "format": grammar}])
    messages, _ = turned(
        "openai",
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": 'a "b"'},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    )

    function = said["tools"][0]["function"]
    assert function["name"] == "patch"
    assert function["description"] == "d\n\nThe input has to keep to this lark grammar:\nstart: x"
    assert (function["parameters"]["required"], list(function["parameters"]["properties"])) == (["input"], ["input"])
    assert messages[0]["tool_calls"] == [chat_call("c1", "patch", '{"input":"a \\"b\\""}')]
    assert dropped == ("tools.format",)


def test_tools_in_namespaces_are_called_by_both_names(sent, turned):
    """As Codex sends those of MCP servers; other gateways lose them."""
    namespace = {"type": "namespace", "name": "mcp__files", "description": "d", "tools": [FUNCTION]}
    said, _ = sent("openai", tools=[namespace])
    messages, _ = turned("openai", call("c1", namespace="mcp__files"), output("c1"))

    assert said["tools"] == [{"type": "function", "function": {**CHAT_FUNCTION, "name": "mcp__files__f"}}]
    assert messages[0]["tool_calls"] == [chat_call("c1", "mcp__files__f")]


def test_long_names_are_cut_and_stay_different(sent):
    tools = [{**FUNCTION, "name": "x" * 60 + end} for end in "ab"]

    said, _ = sent("openai", tools=[{"type": "namespace", "name": "n" * 20, "tools": tools}])

    names = {tool["function"]["name"] for tool in said["tools"]}
    assert (len(names), max(map(len, names))) == (2, 64)


def test_some_tools_may_be_called_now(sent):
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}

    said, _ = sent("openai", tools=[FUNCTION, {**FUNCTION, "name": "g"}], tool_choice=allowed)

    assert (len(said["tools"]), said["tool_choice"]) == (1, "required")


def test_a_search_on_the_web_is_for_models_that_can(sent):
    """Agents offer it always; a model that cannot answers without."""
    search = {"type": "web_search", "user_location": {"type": "approximate", "country": "DE", "city": None}}

    said, _ = sent("hub", tools=[search])
    openai, dropped = sent("openai", tools=[search])
    _, offline = sent("hub", tools=[{**search, "external_web_access": False}])

    location = {"user_location": {"type": "approximate", "approximate": {"country": "DE"}}}
    assert said == {"web_search_options": location}
    assert (openai, dropped, offline) == ({}, ("tools.web_search",), ("tools.web_search",))


def test_what_is_not_known_of_a_tool_is_told(sent):
    _, dropped = sent(
        "hub", tools=[{**FUNCTION, "defer_loading": True, "x": None}, {"type": "web_search", "filters": {"a": 1}}]
    )

    assert set(dropped) == {"tools.defer_loading", "tools.filters"}


@pytest.mark.parametrize("kind", ["file_search", "code_interpreter", "mcp", "image_generation", "local_shell"])
def test_other_tools_of_openai_are_refused_by_name(sent, kind):
    with pytest.raises(BadRequest) as refused:
        sent("hub", tools=[FUNCTION, {"type": kind}])

    assert refused.value.message.startswith(f"tools[1]: this model does not know '{kind}'")


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},  # LL#25477
        {"tool_choice": {"type": "function", "name": "g"}, "tools": [FUNCTION]},
        {"tool_choice": {"type": "web_search"}, "tools": [FUNCTION]},
        {"tools": [{"type": "function"}]},
        {"text": {"format": {"type": "json_schema"}}},
        {"text": {"format": {"type": "xml"}}},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"reasoning": "high"},
    ],
)
def test_what_cannot_be_done_is_refused(sent, fields):
    with pytest.raises(BadRequest):
        sent("hub", **fields)


def test_answers_of_a_given_form(sent):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}

    said, _ = sent("openai", text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}})
    any_object, _ = sent("openai", text={"format": {"type": "json_object"}})

    assert said == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    }
    assert any_object == {"response_format": {"type": "json_object"}}


def test_what_the_system_says_in_many_items_takes_time_for_what_it_says_alone(call):
    """A long text was copied for each item behind it: 18 MB of both took half a minute."""

    def work(size):
        items = [{"role": "system", "content": text} for text in ("x" * 1000 * size, *size * ["y"])]
        asked = call(input=[*items, user({"type": "input_text", "text": "hi"})])
        return lambda: ToOpenAI().request(asked, "m")

    assert growth(work) < 24

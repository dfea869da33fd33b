"""What callers of the Messages API ask, as a chat: for the hub, for OpenAI, and for servers of open models."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.translators.messages.sealed import UNSIGNED, sealed

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "get_weather", "description": "Of a city", "input_schema": SCHEMA}
FUNCTION = {"name": "get_weather", "description": "Of a city", "parameters": SCHEMA}
USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}


def text(words, **more):
    return {"type": "text", "text": words, **more}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def result(content, **more):
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


# --- fields ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["hub", "openai", "extended"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stream": True}, {"stream": True}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"tools": [WEATHER]}, {"tools": [{"type": "function", "function": FUNCTION}]}),
        (
            {"tools": [{**WEATHER, "type": "custom", "strict": True}]},
            {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"service_tier": "auto", "temperature": None}, {}),
    ],
)
def test_fields_that_everybody_has(sent, to, fields, said):
    found, dropped = sent(to, **fields)

    if to == "hub":
        found.pop("service_tier", None)
    assert (found, dropped) == (said, ())


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_which_tool_is_to_be_called(sent, choice, said):
    found, _ = sent("openai", tools=[WEATHER], tool_choice=choice)

    assert {name: value for name, value in found.items() if name != "tools"} == said


def test_a_choice_without_tools(sent):
    """LL#25477: coding agents send one, and OpenAI refuses it."""
    assert sent("openai", tool_choice={"type": "auto"}) == ({}, ())
    with pytest.raises(BadRequest, match="there are no tools"):
        sent("openai", tool_choice={"type": "any"})


@pytest.mark.parametrize("name", ["o3", "gpt-5.1-mini", "openai/gpt-5"])
def test_openais_models_that_think_have_other_fields(sent, name):
    found, dropped = sent(
        "openai", name, temperature=0.3, top_p=1, thinking={"type": "enabled", "budget_tokens": 10_000}
    )

    assert found == {"max_completion_tokens": 99, "reasoning_effort": "medium"}
    assert dropped == ("temperature",)


@pytest.mark.parametrize(
    ("fields", "effort", "dropped"),
    [
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low", ()),
        ({"output_config": {"effort": "max"}}, "high", ("output_config.effort",)),
        ({"thinking": {"type": "adaptive"}}, None, ()),
        ({"thinking": {"type": "disabled"}}, None, ("thinking",)),
    ],
)
def test_how_much_it_is_to_think(sent, fields, effort, dropped):
    found, left_out = sent("openai", "o4-mini", **fields)

    assert (found.get("reasoning_effort"), left_out) == (effort, dropped)


def test_others_are_not_asked_to_think(sent):
    """They refuse the field; Claude Code asks with every request."""
    found, dropped = sent("openai", "gpt-4o", thinking={"type": "adaptive"}, output_config={"effort": "high"})

    assert (found, dropped) == ({}, ("thinking", "output_config.effort"))


def test_the_hub_is_told_all_of_it(sent):
    """Its translators know what their vendors take, and say what they leave out."""
    own = {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "top_k": 5,
        "context_management": {"edits": []},
        "container": "c",
    }

    found, dropped = sent("hub", **own, output_config={"effort": "low"})

    assert (found, dropped) == ({**own, "reasoning_effort": "low"}, ())


def test_openai_is_not_sent_what_it_does_not_know(sent):
    """What is left out is told: some gateways pass it on, and each request is refused."""
    found, dropped = sent("openai", top_k=5, context_management={"edits": []}, inference_geo="us", speed="fast")

    assert (found, dropped) == ({}, ("top_k", "context_management", "inference_geo", "speed"))


def test_servers_of_open_models_sample_from_the_best(sent):
    assert sent("extended", top_k=5) == ({"top_k": 5}, ())


def test_a_long_name_of_the_user_is_not_passed_on(sent):
    """OpenAI takes 64 characters, and refuses what is longer."""
    assert sent("openai", metadata={"user_id": "u" * 65}) == ({}, ("metadata.user_id",))


# --- tools -----------------------------------------------------------------------------------------------------------


def test_what_tools_have_besides(sent):
    tool = {**WEATHER, "cache_control": MARK, "defer_loading": True, "input_examples": [{}], "strict": None}

    hub, _ = sent("hub", tools=[tool])
    openai, dropped = sent("openai", tools=[tool])

    assert hub["tools"][0]["cache_control"] == MARK
    assert openai["tools"] == [{"type": "function", "function": {**FUNCTION, "strict": None}}]
    assert dropped == ("cache_control", "tools.defer_loading", "tools.input_examples")


@pytest.mark.parametrize("kind", ["web_search_20250305", "code_execution_20250825", "bash_20250124", "mcp_toolset"])
def test_tools_of_anthropics_own_are_refused(sent, kind):
    """Without them the answer would be another one."""
    with pytest.raises(BadRequest, match=kind):
        sent("openai", tools=[{"type": kind, "name": "x"}])


def test_the_hub_can_search_the_web(sent):
    place = {"type": "approximate", "city": "Rome"}

    found, _ = sent("hub", tools=[{"type": "web_search_20250305", "name": "web_search", "user_location": place}])

    assert found == {"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "Rome"}}}}


def test_a_search_among_tools_is_not_needed(sent):
    """All of them are shown at once."""
    found, dropped = sent("openai", tools=[{"type": "tool_search_tool_regex_20251119", "name": "s"}, WEATHER])

    assert (len(found["tools"]), dropped) == (1, ("tools.tool_search",))


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": "hi"},
        {"messages": [user({"type": "container_upload", "file_id": "f"})]},
        {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
        {"messages": [user({"type": "image"})]},
        {"system": [{"type": "image", "source": PNG}]},
        {"tools": [{"input_schema": {}}]},
        {"tools": [WEATHER], "tool_choice": {"type": "some"}},
        {"tools": [{"name": 5}]},
        {"mcp_servers": [{"type": "url", "url": "https://a.example", "name": "a"}]},
        {"output_config": {"format": {"type": "xml"}}},
    ],
)
def test_what_cannot_be_said_is_refused(sent, fields):
    with pytest.raises(BadRequest):
        sent("openai", **fields)


# --- turns -----------------------------------------------------------------------------------------------------------


def test_the_system(turned):
    blocks = [text("Be brief.", cache_control=MARK), text("Be kind.")]

    hub, _ = turned("hub", user(text("hi")), system=blocks)
    openai, dropped = turned("openai", user(text("hi")), system=blocks)

    assert hub == [{"role": "system", "content": blocks}, {"role": "user", "content": "hi"}]
    assert openai == [{"role": "system", "content": "Be brief.\n\nBe kind."}, {"role": "user", "content": "hi"}]
    assert dropped == ("cache_control",)


def test_the_system_in_the_middle(turned):
    """ollama/ollama#17774: Claude Code puts its list of agents there, and some models refuse the whole request."""
    agents = {"role": "system", "content": [text("Agents:", cache_control=MARK), text("one")]}

    hub, _ = turned("hub", user(text("hi")), {"role": "system", "content": "Agents: one"}, system="Be brief.")
    extended, _ = turned("extended", user(text("hi")), agents, system="Be brief.")

    assert hub[1:] == [{"role": "user", "content": "hi"}, {"role": "system", "content": "Agents: one"}]
    assert extended == [
        {"role": "system", "content": "Be brief.\n\nAgents:\n\none"},
        {"role": "user", "content": "hi"},
    ]


def test_what_claude_code_says_to_anthropic_alone(turned):
    """It differs from request to request, and other providers' caches would miss."""
    billing = text("x-anthropic-billing-header: cc_version=2.1.332.abc; cc_entrypoint=cli;")

    said, dropped = turned("openai", user(text("hi")), system=[billing, text("You are Claude Code.")])

    assert said[0] == {"role": "system", "content": "You are Claude Code."}
    assert dropped == ("system.x-anthropic-billing-header",)


@pytest.mark.parametrize("to", ["hub", "openai"])
def test_pictures_and_documents(turned, to):
    link = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    blocks = [
        text("look"),
        {"type": "image", "source": PNG},
        link,
        {"type": "document", "source": PDF, "title": "a.pdf"},
        {"type": "document", "source": {"type": "content", "content": [text("inside")]}, "title": "T", "context": "C"},
        {"type": "search_result", "source": "https://a.example", "title": "A", "content": [text("found")]},
    ]

    said, dropped = turned(to, user(*blocks))

    assert said == [
        user(
            text("look"),
            PNG_PART,
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
            text("T\nC"),
            text("inside"),
            text("A\nhttps://a.example"),
            text("found"),
        )
    ]
    assert dropped == ()


def test_a_document_of_text(turned):
    source = {"type": "text", "media_type": "text/plain", "data": "some text"}
    document = {"type": "document", "source": source, "title": "T", "citations": {"enabled": True}, "context": "C"}

    hub, none = turned("hub", user(document))
    openai, dropped = turned("openai", user(document))

    file = {"filename": "T", "file_data": "data:text/plain;base64,c29tZSB0ZXh0"}
    assert hub == [user({"type": "file", "file": file, "citations": {"enabled": True}, "context": "C"})]
    assert openai == [user(text("T\nC"), text("some text"))]
    assert (none, dropped) == ((), ("messages.citations",))


def test_a_call_whose_input_is_null_has_no_arguments(turned):
    """Servers that put the arguments into a template read them, and failed at what is no object."""
    messages, _ = turned("openai", assistant({**USE, "input": None}), user(result("sunny")))

    assert messages[0]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": "{}"}


def test_calls_and_their_results(turned):
    """Results come right behind the calls, whatever stands beside them."""
    second = {**USE, "id": "toolu_2", "input": {}}
    turns = [
        user(text("hi")),
        assistant(text("I look."), USE, second),
        user(result("sunny"), {**result([text("a"), text("b")]), "tool_use_id": "toolu_2"}, text("go on")),
    ]

    said, _ = turned("openai", *turns)

    assert said[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                CALL,
                {"id": "toolu_2", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "a\nb"},
        {"role": "user", "content": "go on"},
    ]


def test_a_result_that_is_an_error_with_a_picture(turned):
    failed = result([text("broken"), {"type": "image", "source": PNG}], is_error=True, cache_control=MARK)

    hub, _ = turned("hub", assistant(USE), user(failed))
    openai, dropped = turned("openai", assistant(USE), user(failed))

    shown = {"role": "tool", "tool_call_id": "toolu_1", "content": [text("broken"), PNG_PART], "is_error": True}
    assert hub[1:] == [{**shown, "cache_control": MARK}]
    assert openai[1:] == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "Error:\nbroken"},
        user(text("Of the result of toolu_1:"), PNG_PART),
    ]
    assert dropped == ("cache_control",)


@pytest.mark.parametrize("content", [None, "", []])
def test_an_empty_result(turned, content):
    said, _ = turned("openai", assistant(USE), user(result(content)))

    assert said[1:] == [{"role": "tool", "tool_call_id": "toolu_1", "content": ""}]


def test_thinking(turned):
    """With signatures in the hub, without them for servers of open models, not at all for OpenAI."""
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    turns = (assistant(signed, hidden, text("so"), USE), user(result("sunny")))

    hub, _ = turned("hub", *turns)
    extended, lost = turned("extended", *turns)
    openai, dropped = turned("openai", *turns)

    said = {"role": "assistant", "content": "so", "tool_calls": [CALL]}
    assert hub[0] == {**said, "reasoning_content": "hm", "thinking_blocks": [signed, hidden]}
    assert extended[0] == {**said, "reasoning_content": "hm"}
    assert openai[0] == said
    assert (lost, dropped) == (
        ("messages.redacted_thinking",),
        ("messages.thinking", "messages.redacted_thinking"),
    )


def test_what_was_made_up_is_taken_back(turned):
    """Thought signatures of Gemini, and thinking that nobody has signed."""
    extra = {"google": {"thought_signature": "c2ln"}}
    turn = assistant(
        {"type": "thinking", "thinking": "hm", "signature": UNSIGNED},
        {"type": "redacted_thinking", "data": sealed("toolu_1", extra)},
        USE,
    )

    [said] = turned("hub", turn)[0]

    assert said == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [{**CALL, "extra_content": extra}],
    }


def test_what_anthropic_did_by_itself_is_left_out(turned):
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": {"error_code": "unavailable"}}

    said, dropped = turned("hub", assistant(search, found, text("so")))

    assert said == [{"role": "assistant", "content": "so"}]
    assert dropped == ("messages.server_tool_use", "messages.web_search_tool_result")


def test_empty_turns_and_texts(turned):
    said, _ = turned("openai", user(text("")), assistant(), {"role": "user", "content": "hello"})

    assert said == [{"role": "user", "content": "hello"}]


OTHERS = ["tools", "tool_choice", "thinking", "output_config", "metadata", "top_k"]
KINDS = ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result", "x"]
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "a", "base64", "url", *KINDS]))
names = st.sampled_from(
    ["type", "text", "source", "data", "content", "citations", "name", "id", "input", "thinking", "signature", "title"]
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4))
)
blocks = st.builds(lambda kind, more: {**more, "type": kind}, st.sampled_from(KINDS), st.dictionaries(names, values))
some_turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": st.lists(blocks)})
)


@given(
    to=st.sampled_from(["hub", "openai", "extended"]),
    fields=st.one_of(
        st.fixed_dictionaries({"messages": some_turns}),
        st.fixed_dictionaries({"system": st.lists(blocks)}),
        st.dictionaries(
            st.sampled_from(["tools", "tool_choice", "thinking", "output_config", "metadata", "top_k"]), values
        ),
    ),
)
def test_whatever_comes_is_translated_or_refused(sent, to, fields):
    """And never a fault of the gateway's own."""
    with suppress(BadRequest):
        sent(to, **fields)

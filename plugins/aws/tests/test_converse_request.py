"""Chat requests as bodies of Converse, each looked at by botocore's description of the API."""

import msgspec
import pytest
from gateway_aws.converse import ToConverse
from gateway_aws.turns import id_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.testing import growth
from gateway.translators.chat import ANSWER_TOOL

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD_CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
NEW_CLAUDE = "global.anthropic.claude-opus-4-8"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
OPAQUE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"

PNG = "data:image/png;base64,iVBORw0KGgo="
USER = {"role": "user", "content": "hi"}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "now", "parameters": {"type": "object", "properties": {}}},
}
WEATHER_SPEC = {
    "toolSpec": {
        "name": "weather",
        "description": "now",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    }
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"at":"x"}'}}
CALLED = [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
USED = {"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"at": "x"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
WANTED = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}}


@pytest.fixture
def asked(chat, referee):
    """`asked(CLAUDE, temperature=1)`: the body, and what was dropped."""

    def ask(model, **fields):
        body = ToConverse().request(chat(**fields), model)
        decoded = msgspec.json.decode(msgspec.json.encode(body.fields))
        assert referee.faults(decoded) == ""
        assert referee.faults(decoded, "ConverseStream") == ""
        return decoded, body.dropped_params

    return ask


def content(asked, message, model=CLAUDE):
    return asked(model, messages=[message])[0]["messages"][0]["content"]


# --- turns ---------------------------------------------------------------------------------------


def test_a_plain_question(asked):
    assert asked(CLAUDE) == ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, ())


def test_system_and_developer_come_first_as_blocks(asked):
    """envoyproxy/ai-gateway#2189: the role of the system was refused by Bedrock."""
    messages = [
        {"role": "system", "content": "a"},
        USER,
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
    ]

    assert asked(CLAUDE, messages=messages)[0] == {
        "system": [{"text": "a"}, {"text": "b"}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
    }


def test_turns_take_turns(asked):
    """Two messages of one role are one turn, and a user begins."""
    messages = [{"role": "assistant", "content": "a"}, USER, USER, {"role": "assistant", "content": "so "}]

    assert asked(CLAUDE, messages=messages)[0]["messages"] == [
        {"role": "user", "content": [{"text": "(empty)"}]},
        {"role": "assistant", "content": [{"text": "a"}]},
        {"role": "user", "content": [{"text": "hi"}, {"text": "hi"}]},
        {"role": "assistant", "content": [{"text": "so"}]},
    ]


def test_blank_text_is_left_out(asked):
    """envoyproxy/ai-gateway#2191: Bedrock refuses a request with one blank block anywhere in its history."""
    messages = [
        USER,
        {"role": "assistant", "content": " \n"},
        {"role": "user", "content": [{"type": "text", "text": ""}, "b"]},
    ]

    assert asked(CLAUDE, messages=messages)[0]["messages"] == [
        {"role": "user", "content": [{"text": "hi"}, {"text": "b"}]}
    ]


def test_nothing_to_say_is_refused(asked):
    with pytest.raises(BadRequest, match="not the system's"):
        asked(CLAUDE, messages=[{"role": "system", "content": "a"}])


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}},
         {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}),
        ({"type": "image_url", "image_url": PNG.replace("png", "jpg")},
         {"image": {"format": "jpeg", "source": {"bytes": "iVBORw0KGgo="}}}),
        ({"type": "image_url", "image_url": "s3://pictures/a.webp"},
         {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://pictures/a.webp"}}}}),
        ({"type": "file", "file": {"filename": "q3_report.v2.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
         {"document": {"format": "pdf", "name": "q3 report v2", "source": {"bytes": "JVBE"}}}),
        ({"type": "file", "file": {"filename": "a.py", "file_data": "data:text/x-python;base64,JVBE"}},
         {"document": {"format": "txt", "name": "a", "source": {"bytes": "JVBE"}}}),
        ({"type": "file", "file": {"file_data": "data:text/csv;base64,JVBE"}},
         {"document": {"format": "csv", "name": "document", "source": {"bytes": "JVBE"}}}),
        ({"type": "video_url", "video_url": {"url": "data:video/quicktime;base64,JVBE"}},
         {"video": {"format": "mov", "source": {"bytes": "JVBE"}}}),
        ({"type": "input_audio", "input_audio": {"data": "JVBE", "format": "mp3"}},
         {"audio": {"format": "mp3", "source": {"bytes": "JVBE"}}}),
    ],
)  # fmt: skip
def test_files(asked, part, block):
    assert content(asked, {"role": "user", "content": ["look", part]}) == [{"text": "look"}, block]


def test_names_of_documents_are_clean_and_tell_them_apart(asked):
    """Bedrock takes letters, digits, single spaces, hyphens and brackets, and no name twice."""
    files = [
        {"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,JVBE"}}
        for name in ("a/b/résumé__final?.pdf", "r sum final.pdf", "!!.pdf", "x" * 300 + ".pdf")
    ]

    blocks = content(asked, {"role": "user", "content": files})

    assert [block["document"]["name"] for block in blocks] == ["r sum final", "r sum final (2)", "document", "x" * 180]


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "fetches nothing from the web"),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,JVBE"}}, "image/tiff cannot be sent"),
        ({"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}, "keeps no files"),
        ({"type": "file", "file": {"filename": "a.zip", "file_data": "JVBE"}}, "cannot be sent"),
        ({"type": "hologram"}, "'hologram' cannot be sent"),
    ],
)
def test_what_cannot_be_shown_is_refused(asked, part, why):
    """Rather than answered without having been seen."""
    with pytest.raises(BadRequest, match=why):
        content(asked, {"role": "user", "content": ["look", part]})


def test_documents_may_be_cited(asked):
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}
    part = {"type": "file", "file": file, "citations": {"enabled": True}, "context": "the contract"}

    [block] = content(asked, {"role": "user", "content": [part]})

    assert block["document"] == {
        "format": "pdf",
        "name": "a",
        "source": {"bytes": "JVBE"},
        "citations": {"enabled": True},
        "context": "the contract",
    }


def test_what_a_turn_has_besides_is_told_to_be_left_out(asked):
    messages = [{**USER, "name": "ana"}, {"role": "assistant", "content": "a", "audio": {"id": "audio_1"}}, USER]

    assert asked(CLAUDE, messages=messages)[1] == ("messages.name", "messages.audio")


def test_detail_is_told_to_be_left_out(asked):
    part = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}

    assert asked(CLAUDE, messages=[{"role": "user", "content": [part]}])[1] == ("image_url.detail",)


# --- tools ---------------------------------------------------------------------------------------


def test_calls_and_results(asked):
    """All results of one turn stand in one turn, before what else the user says; a failed one says so."""
    other = {**CALL, "id": "call_2", "function": {"name": "weather", "arguments": ""}}
    shot = {"type": "image_url", "image_url": PNG}
    messages = [
        USER,
        {"role": "assistant", "content": "look", "tool_calls": [CALL, other]},
        {"role": "tool", "tool_call_id": "call_1", "content": ['{"t":1}', shot]},
        USER,
        {"role": "tool", "tool_call_id": "call_2", "content": "", "is_error": True},
    ]

    body, dropped = asked(CLAUDE, messages=messages, tools=[WEATHER])

    assert dropped == ()
    assert body["toolConfig"] == {"tools": [WEATHER_SPEC]}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [
            {"text": "look"}, USED, {"toolUse": {"toolUseId": "call_2", "name": "weather", "input": {}}}]},
        {"role": "user", "content": [
            {"toolResult": {"toolUseId": "call_1", "content": [
                {"text": '{"t":1}'}, {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}]}},
            {"toolResult": {"toolUseId": "call_2", "content": [{"text": "(empty)"}], "status": "error"}},
            {"text": "hi"},
        ]},
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "no"])
def test_arguments_that_are_no_object_are_kept(asked, arguments):
    """A model that was cut off in the middle of a call has such a history, and it must go on."""
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]

    [block] = asked(CLAUDE, messages=messages, tools=[WEATHER])[0]["messages"][1]["content"]

    assert block["toolUse"]["input"] == {"INVALID_JSON": arguments}


@given(st.text(max_size=200), st.text(max_size=200))
def test_ids_of_any_vendor_fit_and_stay_apart_where_they_are_long(one, other):
    """Gemini's hold a signature, and are longer than Bedrock takes."""
    for given_id in (one, other):
        assert 1 <= len(id_of(given_id)) <= 64
        assert all(each.isascii() and (each.isalnum() or each in "_.:-") for each in id_of(given_id))
    if max(len(one), len(other)) > 64 and one != other:
        assert id_of(one) != id_of(other)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "weather"}}, {"tool": {"name": "weather"}}),
    ],
)
def test_which_tool_is_called(asked, choice, said):
    config = {"tools": [WEATHER_SPEC]} | ({"toolChoice": said} if said else {})

    assert asked(CLAUDE, tools=[WEATHER], tool_choice=choice) == (
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "toolConfig": config},
        (),
    )


def test_no_tool_means_that_none_is_offered(asked):
    assert "toolConfig" not in asked(CLAUDE, tools=[WEATHER], tool_choice="none")[0]


def test_no_tool_cannot_be_said_behind_calls(asked):
    """Bedrock refuses calls in the history without the tools; the caller is told that they are still offered."""
    body, dropped = asked(CLAUDE, messages=CALLED, tools=[WEATHER], tool_choice="none")

    assert (body["toolConfig"], dropped) == ({"tools": [WEATHER_SPEC]}, ("tool_choice",))


def test_calls_in_the_history_bring_their_tools_along(asked):
    """Who sums a conversation up sends it without tools, and Bedrock refuses that: "toolConfig must be defined"."""
    spec = {"name": "weather", "inputSchema": {"json": {"type": "object", "additionalProperties": True}}}

    assert asked(CLAUDE, messages=CALLED)[0]["toolConfig"] == {"tools": [{"toolSpec": spec}]}


def test_tool_choice_without_tools(asked):
    """BerriAI/litellm#25477."""
    assert "toolConfig" not in asked(CLAUDE, tool_choice="auto")[0]
    with pytest.raises(BadRequest, match="no tools"):
        asked(CLAUDE, tool_choice={"type": "function", "function": {"name": "weather"}})


def test_strict_tools_where_the_model_is_held_to_them(asked):
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": SCHEMA}}

    assert asked(CLAUDE, tools=[tool])[0]["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert asked(OLD_CLAUDE, tools=[tool])[1] == ("tools.strict",)


def test_tools_of_vendors_own(asked):
    """envoyproxy/ai-gateway#2467: what is not known is refused, and not left out."""
    bash = {"type": "bash_20250124", "name": "bash"}

    assert asked(CLAUDE, tools=[bash], anthropic_beta=["x"])[0]["additionalModelRequestFields"] == {
        "tools": [bash],
        "anthropic_beta": ["x"],
    }
    assert asked(NOVA, tools=[{"type": "nova_grounding"}])[0]["toolConfig"] == {
        "tools": [{"systemTool": {"name": "nova_grounding"}}]
    }
    with pytest.raises(BadRequest, match="bash_20250124"):
        asked(LLAMA, tools=[bash])


def test_one_call_at_a_time_cannot_be_said(asked):
    assert asked(CLAUDE, tools=[WEATHER], parallel_tool_calls=False)[1] == ("parallel_tool_calls",)


# --- answers in JSON -----------------------------------------------------------------------------


def test_a_schema_where_the_model_is_held_to_it(asked):
    body, dropped = asked(CLAUDE, response_format=WANTED, tools=[WEATHER])

    json_schema = {"schema": msgspec.json.encode({**SCHEMA}).decode(), "name": "s"}
    said = body["outputConfig"]["textFormat"]
    assert said["type"] == "json_schema"
    assert msgspec.json.decode(said["structure"]["jsonSchema"].pop("schema")) == msgspec.json.decode(
        json_schema.pop("schema")
    )
    assert said["structure"]["jsonSchema"] == json_schema
    assert (body["toolConfig"], dropped) == ({"tools": [WEATHER_SPEC]}, ())


def test_limits_that_are_refused_are_told_in_words(asked):
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}

    said = asked(CLAUDE, response_format=wanted)[0]["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]

    assert msgspec.json.decode(said) == {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "{minimum: 3}"}},
        "additionalProperties": False,
    }


def test_schemas_of_all_kinds_are_kept(asked):
    inner = {"type": "object", "properties": {"b": {"type": "string", "format": "email", "minLength": 3}}}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"b": inner},
        "type": "object",
        "properties": {
            "one": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/b"}]},
            "many": {"type": "array", "items": {"type": "string", "format": "color"}, "minItems": 1, "maxItems": 2},
            "any": True,
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "description": "d", "schema": schema}}

    said = asked(CLAUDE, response_format=wanted)[0]["outputConfig"]["textFormat"]["structure"]["jsonSchema"]

    assert said["description"] == "d"
    assert msgspec.json.decode(said["schema"]) == {
        "$defs": {
            "b": {
                "type": "object",
                "properties": {"b": {"type": "string", "format": "email", "description": "{minLength: 3}"}},
                "additionalProperties": False,
            }
        },
        "type": "object",
        "properties": {
            "one": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/b"}]},
            "many": {
                "type": "array",
                "items": {"type": "string", "description": '{format: "color"}'},
                "minItems": 1,
                "description": "{maxItems: 2}",
            },
            "any": True,
        },
        "additionalProperties": False,
    }


@pytest.mark.parametrize("schema", [{"type": "array", "items": 3}, {"type": "object", "properties": {"a": []}}])
def test_what_is_no_schema_is_refused(asked, schema):
    with pytest.raises(BadRequest, match="no schema"):
        asked(CLAUDE, response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}})


def test_the_name_of_the_answers_tool_is_taken(asked):
    tool = {"type": "function", "function": {"name": ANSWER_TOOL}}

    with pytest.raises(BadRequest, match=ANSWER_TOOL):
        asked(OLD_CLAUDE, response_format=WANTED, tools=[tool])


def test_a_call_that_is_demanded_comes_before_the_answer(asked):
    choice = {"type": "function", "function": {"name": "weather"}}

    body, _ = asked(OLD_CLAUDE, response_format=WANTED, tools=[WEATHER], tool_choice=choice)

    assert body["toolConfig"] == {"tools": [WEATHER_SPEC], "toolChoice": {"tool": {"name": "weather"}}}


@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "object"},
     {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}],
)  # fmt: skip
def test_an_object_of_any_names_goes_by_a_tool(asked, schema):
    """Held to a schema without such names, the model could only answer with an empty one."""
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}

    body, _ = asked(CLAUDE, response_format=wanted)

    assert body["toolConfig"]["toolChoice"] == {"any": {}}
    assert "outputConfig" not in body


def test_a_schema_by_a_tool_for_other_models(asked):
    body, dropped = asked(OLD_CLAUDE, response_format=WANTED)

    [tool] = body["toolConfig"]["tools"]
    assert (tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]) == (ANSWER_TOOL, {"json": SCHEMA})
    assert (body["toolConfig"]["toolChoice"], dropped) == ({"any": {}}, ())


def test_with_other_tools_any_of_them_may_be_called(asked):
    body, _ = asked(OLD_CLAUDE, response_format=WANTED, tools=[WEATHER])

    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["weather", ANSWER_TOOL]
    assert body["toolConfig"]["toolChoice"] == {"any": {}}


def test_where_no_other_tool_may_be_called_that_one_is_named(asked):
    """Those that were called before have to stay."""
    body, _ = asked(OLD_CLAUDE, messages=CALLED, response_format=WANTED, tools=[WEATHER], tool_choice="none")

    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["weather", ANSWER_TOOL]
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": ANSWER_TOOL}}


def test_a_schema_in_words_for_models_that_cannot_be_forced(asked):
    body, _ = asked(LLAMA, response_format=WANTED)

    assert "It must fit this JSON schema" in body["system"][0]["text"]
    assert "toolConfig" not in body


def test_any_json_object(asked):
    body, _ = asked(CLAUDE, response_format={"type": "json_object"})

    [tool] = body["toolConfig"]["tools"]
    assert tool["toolSpec"]["inputSchema"] == {"json": {"type": "object", "additionalProperties": True}}


# --- reasoning -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fields", "additional", "effort"),
    [
        (CLAUDE, {"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None),
        (CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2000}},
         {"thinking": {"type": "enabled", "budget_tokens": 2000}}, None),
        (NEW_CLAUDE, {"reasoning_effort": "xhigh"},
         {"thinking": {"type": "adaptive", "display": "summarized"}}, "xhigh"),
        (NEW_CLAUDE, {"thinking": {"type": "adaptive"}},
         {"thinking": {"type": "adaptive", "display": "summarized"}}, None),
        (NEW_CLAUDE, {"reasoning_effort": "none"}, None, None),
        (NOVA_2, {"reasoning_effort": "minimal"},
         {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        ("anthropic.claude-sonnet-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, None),
        ("anthropic.claude-opus-4-6-v1", {"reasoning_effort": "minimal"}, {"thinking": {"type": "adaptive"}}, "low"),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}, None),
    ],
)  # fmt: skip
def test_how_much_it_is_to_think(asked, model, fields, additional, effort):
    body, dropped = asked(model, **fields)

    assert (body.get("additionalModelRequestFields"), dropped) == (additional, ())
    assert body.get("outputConfig") == ({"effort": effort} if effort else None)


@pytest.mark.parametrize(
    ("fields", "effort", "inference", "dropped"),
    [
        ({"max_tokens": 9, "temperature": 0.5}, "medium", {"maxTokens": 9, "temperature": 0.5}, ("reasoning_effort",)),
        ({"temperature": 0.5, "top_p": 0.99}, "high", None, ("temperature", "top_p")),
    ],
)
def test_novas_highest_effort_takes_no_limit(asked, fields, effort, inference, dropped):
    """UKGovernmentBEIS/inspect_ai#3767: it is refused. A caller's limit is not given up for it."""
    body, told = asked(NOVA_2, reasoning_effort="high", **fields)

    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == effort
    assert (body.get("inferenceConfig"), told) == (inference, dropped)


@pytest.mark.parametrize(
    ("model", "fields", "dropped"),
    [
        (OLD_CLAUDE, {"reasoning_effort": "high"}, ("reasoning_effort",)),
        (LLAMA, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, ("thinking",)),
        (OPAQUE, {"reasoning": {"effort": "low"}}, ("reasoning",)),
        (CLAUDE, {"reasoning_effort": "high", "max_tokens": 1000}, ("reasoning_effort",)),
        (CLAUDE, {"reasoning_effort": "high", "tools": [WEATHER], "tool_choice": "required"}, ("reasoning_effort",)),
    ],
)
def test_thinking_that_cannot_be_asked_for_is_told(asked, model, fields, dropped):
    body, told = asked(model, **fields)

    assert (body.get("additionalModelRequestFields"), told) == (None, dropped)


@pytest.mark.parametrize(
    ("model", "fields", "effort", "dropped"),
    [
        (NEW_CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 9000}}, "medium", ("thinking.budget_tokens",)),
        ("anthropic.claude-opus-4-6-v1", {"reasoning_effort": "xhigh"}, "high", ("reasoning_effort",)),
        ("anthropic.claude-opus-5-5", {"reasoning_effort": "none"}, "low", ("reasoning_effort",)),
    ],
)
def test_the_nearest_that_the_model_has_is_told(asked, model, fields, effort, dropped):
    body, told = asked(model, **fields)

    assert (body["outputConfig"], told) == ({"effort": effort}, dropped)


def test_adaptive_thinking_gives_way_to_a_call_that_is_demanded(asked):
    body, told = asked(NEW_CLAUDE, reasoning_effort="high", tools=[WEATHER], tool_choice="required")

    assert ("additionalModelRequestFields" in body, told) == (False, ("reasoning_effort",))


def test_thinking_needs_room(asked):
    with pytest.raises(BadRequest, match="must be more than the 4000"):
        asked(CLAUDE, thinking={"type": "enabled", "budget_tokens": 4000}, max_tokens=2000)


def test_thoughts_come_back_as_they_were_given(asked):
    """Stripe and others lost the signatures, and the second turn was refused (BerriAI/litellm#16893)."""
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        {"type": "thinking", "thinking": "unsigned"},
    ]
    messages = [USER, {"role": "assistant", "content": "a", "thinking_blocks": blocks}, USER]

    body, dropped = asked(CLAUDE, messages=messages)

    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "a"},
    ]
    assert dropped == ("messages.thinking_blocks",)
    body, dropped = asked(NOVA, messages=messages)
    assert (body["messages"][1]["content"], dropped) == ([{"text": "a"}], ("messages.thinking_blocks",))


def test_thoughts_of_other_vendors_are_told_to_be_left_out(asked):
    """They put their name and a colon in front of what seals a thought; Claude would refuse it."""
    block = {"type": "thinking", "thinking": "hm", "signature": "gemini:c2ln"}
    messages = [USER, {"role": "assistant", "content": "a", "thinking_blocks": [block]}, USER]

    body, dropped = asked(CLAUDE, messages=messages)

    assert (body["messages"][1]["content"], dropped) == ([{"text": "a"}], ("messages.thinking_blocks",))


def test_pictures_that_a_model_made_are_told_to_be_left_out(asked):
    image = {"type": "image_url", "image_url": {"url": PNG}}
    messages = [USER, {"role": "assistant", "content": "a", "images": [image]}, USER]

    body, dropped = asked(CLAUDE, messages=messages)

    assert (body["messages"][1]["content"], dropped) == ([{"text": "a"}], ("messages.images",))


def test_thoughts_without_a_signature_are_told_to_be_left_out(asked):
    messages = [USER, {"role": "assistant", "content": "a", "reasoning_content": "hm"}, USER]

    assert asked(CLAUDE, messages=messages)[1] == ("messages.reasoning_content",)


# --- caching -------------------------------------------------------------------------------------


def test_cache_points_stand_behind_what_is_cached(asked):
    """envoyproxy/ai-gateway#2476: the markers got lost, and each turn was paid for in full."""
    marker, hour = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
    point, for_an_hour = {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": hour}]},
        {"role": "user", "content": [{"type": "text", "text": "b", "cache_control": marker}, "c"]},
        {"role": "assistant", "tool_calls": [CALL], "cache_control": marker},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "d", "cache_control": marker}]},
    ]

    body, dropped = asked(CLAUDE, messages=messages, tools=[{**WEATHER, "cache_control": marker}])

    assert body["system"] == [{"text": "a"}, for_an_hour]
    assert body["toolConfig"]["tools"] == [WEATHER_SPEC, point]
    assert [message["content"] for message in body["messages"]] == [
        [{"text": "b"}, point, {"text": "c"}],
        [USED, point],
        [{"toolResult": {"toolUseId": "call_1", "content": [{"text": "d"}]}}, point],
    ]
    assert dropped == ()


def test_models_without_a_cache_refuse_its_points(asked):
    messages = [{"role": "user", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]}]

    body, dropped = asked(LLAMA, messages=messages)

    assert (body["messages"][0]["content"], dropped) == ([{"text": "b"}], ("cache_control",))


# --- the other fields ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fields", "said", "dropped"),
    [
        (NOVA, {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": "x"},
         {"inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]}}, ()),
        (NOVA, {"max_completion_tokens": 9, "stop": ["x", "\n"]},
         {"inferenceConfig": {"maxTokens": 9, "stopSequences": ["x"]}}, ("stop",)),
        (NOVA, {"temperature": 1.5}, {"inferenceConfig": {"temperature": 1.0}}, ("temperature",)),
        (CLAUDE, {"temperature": 0.5, "top_p": 0.9}, {"inferenceConfig": {"temperature": 0.5}}, ("top_p",)),
        (CLAUDE, {"temperature": 0.5, "reasoning_effort": "low"},
         {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}, ("temperature",)),
        (NEW_CLAUDE, {"temperature": 0.5, "top_k": 3}, {}, ("top_k", "temperature")),
        (OLD_CLAUDE, {"top_k": 3}, {"additionalModelRequestFields": {"top_k": 3}}, ()),
        (NOVA, {"top_k": 3}, {"additionalModelRequestFields": {"inferenceConfig": {"topK": 3}}}, ()),
        (LLAMA, {"top_k": 3}, {}, ("top_k",)),
        ("cohere.command-r-plus-v1:0", {"seed": 3, "top_k": 2, "presence_penalty": 0.5},
         {"additionalModelRequestFields": {"presence_penalty": 0.5, "seed": 3, "k": 2}}, ()),
        (CLAUDE, {"seed": 3, "logprobs": True, "user": "u", "frequency_penalty": 0, "n": 1}, {},
         ("seed", "logprobs", "user")),
        (CLAUDE, {"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}, ()),
        (CLAUDE, {"service_tier": "auto"}, {}, ()),
        (CLAUDE, {"service_tier": "scale"}, {}, ("service_tier",)),
        (CLAUDE, {"serviceTier": {"type": "reserved"}}, {"serviceTier": {"type": "reserved"}}, ()),
        (CLAUDE, {"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"}},
         {"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"}}, ()),
        (CLAUDE, {"performanceConfig": {"latency": "optimized"}, "requestMetadata": {"team": "a"}},
         {"performanceConfig": {"latency": "optimized"}, "requestMetadata": {"team": "a"}}, ()),
        (OPAQUE, {"additionalModelRequestFields": {"x": 1}}, {"additionalModelRequestFields": {"x": 1}}, ()),
    ],
)  # fmt: skip
def test_fields(asked, model, fields, said, dropped):
    body, told = asked(model, **fields)

    del body["messages"]
    assert body == said
    assert sorted(told) == sorted(dropped)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_what_would_change_the_answer_is_refused(asked, fields, param):
    with pytest.raises(BadRequest) as refused:
        asked(CLAUDE, **fields)

    assert refused.value.param == param


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PARTS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    st.builds(lambda text: {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "1h"}}, TEXTS),
    st.just({"type": "image_url", "image_url": PNG}),
    st.builds(
        lambda name: {"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,JVBE"}},
        TEXTS,
    ),
)
CONTENT = st.one_of(TEXTS, st.lists(PARTS, max_size=3))
IDS = st.text(min_size=1, max_size=80)
CALLS = st.builds(
    lambda id_, arguments: {"id": id_, "type": "function", "function": {"name": "weather", "arguments": arguments}},
    IDS,
    st.sampled_from(["", "{}", '{"a":1}', '{"a"', "[]"]),
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(lambda content: {"role": "user", "content": content}, CONTENT),
        st.builds(lambda content: {"role": "system", "content": content}, TEXTS),
        st.builds(
            lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
            TEXTS, st.lists(CALLS, max_size=2),
        ),
        st.builds(lambda id_, content: {"role": "tool", "tool_call_id": id_, "content": content}, IDS, CONTENT),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    model=st.sampled_from([CLAUDE, OLD_CLAUDE, NEW_CLAUDE, NOVA, NOVA_2, LLAMA, OPAQUE]),
    messages=MESSAGES,
    fields=st.fixed_dictionaries(
        {},
        optional={
            "tools": st.just([WEATHER]),
            "tool_choice": st.sampled_from(["auto", "none", "required"]),
            "response_format": st.sampled_from([WANTED, {"type": "json_object"}]),
            "reasoning_effort": st.sampled_from(["none", "low", "max"]),
            "temperature": st.floats(0, 2),
            "top_p": st.floats(0, 1),
            "max_tokens": st.integers(1, 9000),
            "stop": st.lists(st.text(max_size=2), max_size=2),
        },
    ),
)
def test_whatever_is_asked_is_a_body_of_converse_or_refused(asked, model, messages, fields):
    """Roles take turns and a user begins, no text is blank, and results stand before all else."""
    try:
        body, _ = asked(model, messages=messages, **fields)
    except BadRequest:
        return
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    for message in body["messages"]:
        kinds = [next(iter(block)) for block in message["content"] if "cachePoint" not in block]
        assert kinds
        assert sorted(kinds, key=lambda kind: kind != "toolResult") == kinds
        assert all(block["text"].strip() for block in message["content"] if "text" in block)
    if any("toolUse" in block for message in body["messages"] for block in message["content"]):
        assert body["toolConfig"]["tools"]


# --- what takes time -----------------------------------------------------------------------------

FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "x"}


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(lambda n: [*CALLED, *n * [RESULT]], id="results"),
        pytest.param(lambda n: [*CALLED, *n * [RESULT, USER]], id="results between texts"),
        pytest.param(lambda n: [{"role": "user", "content": n * [FILE]}], id="documents of one name"),
    ],
)
def test_time_grows_with_the_number_of_messages_and_no_faster(chat, messages):
    """300,000 results of tools, in one body of 18 MB, held all large requests up for minutes."""

    def work(size):
        asked = chat(messages=messages(size))
        return lambda: ToConverse().request(asked, CLAUDE)

    assert growth(work) < 24


def test_documents_of_one_name_are_told_apart_from_those_that_are_called_so(asked):
    files = [{"type": "file", "file": {**FILE["file"], "filename": name}} for name in ("a (2)", "a", "a", "a (2)", "a")]

    blocks = content(asked, {"role": "user", "content": [{"type": "text", "text": "read"}, *files]})

    names = [block["document"]["name"] for block in blocks if "document" in block]
    assert names == ["a (2)", "a", "a (3)", "a (2) (2)", "a (4)"]

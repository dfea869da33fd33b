"""What callers of the Gemini API ask, as a chat: for the hub, for OpenAI, and for servers of open models."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.translators.gemini.sealed import Kept, sealed, unsealed, without_foreign

EVERY = ["hub", "openai", "extended"]
SCHEMA = {"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": True}}, "required": ["city"]}
JSON_SCHEMA = {"type": "object", "properties": {"city": {"type": ["string", "null"]}}, "required": ["city"]}
DECLARED = {"name": "get_weather", "description": "Of a city", "parameters": SCHEMA}
FUNCTION = {"name": "get_weather", "description": "Of a city", "parameters": JSON_SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
OTHER = {"type": "function", "function": {"name": "other"}}
CALLED = {"functionCall": {"id": "c1", "name": "get_weather", "args": {"city": "Rome"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}
PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
BLOCK = {"type": "thinking", "thinking": "hm", "signature": "s1"}


def user(*parts):
    return {"role": "user", "parts": list(parts)}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def result(response, **more):
    return {"functionResponse": {"id": "c1", "name": "get_weather", "response": response, **more}}


def config(**fields):
    return {"generationConfig": fields}


# --- fields ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", EVERY)
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (config(temperature=0.5, topP=0.9, seed=7), {"temperature": 0.5, "top_p": 0.9, "seed": 7}),
        (config(presencePenalty=0.5, frequencyPenalty=1), {"presence_penalty": 0.5, "frequency_penalty": 1.0}),
        (config(maxOutputTokens=9, stopSequences=["a"]), {"max_tokens": 9, "stop": ["a"]}),
        (config(maxOutputTokens="9", candidateCount=2), {"max_tokens": 9, "n": 2}),
        (config(candidateCount=1, responseMimeType="text/plain", stopSequences=[]), {}),
        ({"generation_config": {"max_output_tokens": 9, "top_p": 0.5}}, {"max_tokens": 9, "top_p": 0.5}),
        (config(responseModalities=["TEXT"]), {}),
        (config(responseModalities=["TEXT", "IMAGE"]), {"modalities": ["text", "image"]}),
        (config(responseMimeType="application/json"), {"response_format": {"type": "json_object"}}),
        ({"serviceTier": "flex"}, {"service_tier": "flex"}),
        ({"model": "models/m", "tools": [], "safetySettings": None}, {}),
        ({"tools": [{"functionDeclarations": [DECLARED]}]}, {"tools": [TOOL]}),
        ({"tools": [{"function_declarations": [DECLARED]}]}, {"tools": [TOOL]}),
    ],
)
def test_fields_of_every_chat(sent, to, fields, said):
    assert sent(to, **fields) == (said, ())


@pytest.mark.parametrize("name", ["responseSchema", "responseJsonSchema", "_responseJsonSchema"])
def test_answers_by_a_schema(sent, name):
    """Google's own subset of OpenAPI, or JSON Schema as it is."""
    schema = SCHEMA if name == "responseSchema" else JSON_SCHEMA

    said, dropped = sent("openai", generationConfig={"responseMimeType": "application/json", name: schema})

    assert dropped == ()
    assert said == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": JSON_SCHEMA}}
    }


def test_schemas_in_google_s_words(sent):
    """Counts are texts there, and names may have underscores; those of the caller's own properties stay."""
    declared = {
        "name": "f",
        "parameters": {
            "type": "OBJECT",
            "propertyOrdering": ["my_list"],
            "properties": {
                "my_list": {"type": "ARRAY", "min_items": "1", "items": {"type": "INTEGER", "format": "int32"}},
                "either": {"any_of": [{"type": "STRING", "enum": ["a"], "nullable": True}, {"type": "NUMBER"}]},
            },
        },
    }

    said, _ = sent("hub", tools=[{"functionDeclarations": [declared]}])

    assert said["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "my_list": {"type": "array", "minItems": 1, "items": {"type": "integer", "format": "int32"}},
            "either": {"anyOf": [{"type": ["string", "null"], "enum": ["a", None]}, {"type": "number"}]},
        },
    }


@pytest.mark.parametrize(
    ("calling", "said"),
    [
        ({}, {"tools": [TOOL, OTHER]}),
        ({"mode": "AUTO"}, {"tools": [TOOL, OTHER]}),
        ({"mode": "VALIDATED"}, {"tools": [TOOL, OTHER]}),
        ({"mode": "NONE"}, {"tools": [TOOL, OTHER], "tool_choice": "none"}),
        ({"mode": "ANY"}, {"tools": [TOOL, OTHER], "tool_choice": "required"}),
        (
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        ),
        (
            {"mode": "any", "allowed_function_names": ["get_weather", "other"]},
            {"tools": [TOOL, OTHER], "tool_choice": "required"},
        ),
    ],
)
def test_which_function_is_called(sent, calling, said):
    tools = [{"functionDeclarations": [DECLARED, {"name": "other"}]}]

    assert sent("openai", tools=tools, toolConfig={"functionCallingConfig": calling}) == (said, ())


@pytest.mark.parametrize(
    ("to", "model_name", "thinking", "said", "dropped"),
    [
        ("hub", "m", {"thinkingBudget": 2048}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ()),
        ("hub", "m", {"thinkingBudget": 0}, {"thinking": {"type": "disabled"}}, ()),
        ("hub", "m", {"thinkingBudget": -1}, {"thinking": {"type": "adaptive"}}, ()),
        ("hub", "m", {"thinkingLevel": "HIGH"}, {"reasoning_effort": "high"}, ()),
        ("hub", "m", {"includeThoughts": True}, {}, ()),
        ("openai", "gpt-5", {"thinkingLevel": "low"}, {"reasoning_effort": "low"}, ()),
        ("openai", "o3", {"thinkingBudget": 10_000}, {"reasoning_effort": "medium"}, ()),
        ("openai", "o3", {"thinkingBudget": 0}, {}, ("generationConfig.thinkingConfig",)),
        ("openai", "gpt-4o", {"thinkingBudget": 0}, {}, ()),
        ("extended", "qwen", {"thinkingLevel": "HIGH"}, {}, ("generationConfig.thinkingConfig",)),
    ],
)
def test_how_much_is_thought(sent, to, model_name, thinking, said, dropped):
    assert sent(to, model_name, **config(thinkingConfig=thinking)) == (said, dropped)


def test_openais_models_that_think(sent):
    """They have another name for the limit, and take no sampling."""
    said = sent("openai", "gpt-5", **config(maxOutputTokens=9, temperature=0.5, topP=1))

    assert said == ({"max_completion_tokens": 9}, ("generationConfig.temperature",))


@pytest.mark.parametrize(
    ("to", "fields", "said", "dropped"),
    [
        ("hub", config(topK=40), {"top_k": 40}, ()),
        ("openai", config(topK=40), {}, ("generationConfig.topK",)),
        ("hub", config(speechConfig={"a": 1}), {}, ("generationConfig.speechConfig",)),
        ("hub", config(responseLogprobs=True), {}, ("generationConfig.responseLogprobs",)),
        ("hub", {"safetySettings": [{"category": "x"}], "labels": {"a": "b"}}, {}, ("safetySettings", "labels")),
        ("hub", {"safety_settings": [{"category": "x"}]}, {}, ("safetySettings",)),
        ("hub", {"messages": [{"role": "system", "content": "x"}], "stream": True}, {}, ()),
        ("hub", {"tools": [{"googleSearch": {}}]}, {"web_search_options": {}}, ()),
    ],
)
def test_what_is_known_only_to_some(sent, to, fields, said, dropped):
    assert sent(to, **fields) == (said, dropped)


def test_what_a_route_has_set_counts_for_more(sent):
    """Routes set fields of chat, whatever the API of the caller."""
    said = sent("openai", temperature=0, max_tokens=5, **config(temperature=1, maxOutputTokens=99))

    assert said == ({"temperature": 0, "max_tokens": 5}, ())
    assert sent("openai", "o3", max_tokens=5, **config(maxOutputTokens=99)) == ({"max_completion_tokens": 5}, ())


@pytest.mark.parametrize(
    ("to", "fields", "words"),
    [
        ("hub", {"contents": []}, "must not be empty"),
        ("hub", {"contents": "hi"}, "contents"),
        ("hub", {"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "user or model"),
        ("hub", {"contents": [user(CALLED)]}, "said by the model"),
        ("hub", {"contents": [user(result({}))]}, "no functionCall"),
        ("hub", {"contents": [user({"inlineData": {"mimeType": "image/png"}})]}, "inlineData needs"),
        ("hub", {"contents": [user({"fileData": {"fileUri": "gs://a/b", "mimeType": "image/png"}})]}, "inlineData"),
        ("openai", {"contents": [user({"inlineData": {"mimeType": "video/mp4", "data": "AA"}})]}, "video"),
        ("openai", {"contents": [user({"inlineData": {"mimeType": "application/zip", "data": "AA"}})]}, "zip"),
        ("openai", {"contents": [user({"fileData": {"fileUri": "https://a/b.pdf"}})]}, "fetches no files"),
        ("hub", {"systemInstruction": {"parts": [PNG]}}, "only text"),
        ("hub", {"cachedContent": "cachedContents/1"}, "cached at Google"),
        ("hub", {"tools": [{"codeExecution": {}}]}, "codeExecution"),
        ("openai", {"tools": [{"googleSearch": {}}]}, "googleSearch"),
        ("hub", {"tools": [{"functionDeclarations": [{}]}]}, "no name"),
        ("hub", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "no functions"),
        ("hub", {"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "AUTO, ANY"),
        ("hub", {"toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["x"]}}}, "'x'"),
        ("hub", config(responseMimeType="text/x.enum"), "responseMimeType"),
        ("hub", config(responseMimeType="application/json", responseSchema="x"), "responseSchema"),
        ("hub", config(temperature="warm"), "generationConfig"),
    ],
)
def test_what_cannot_be_asked(sent, to, fields, words):
    with pytest.raises(BadRequest, match=words):
        sent(to, **fields)


# --- contents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", EVERY)
@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ([{"text": "a"}], "a"),
        ([{"text": "a"}, {"text": "b"}], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ([PNG], [PNG_PART]),
        ([{"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}}], [PNG_PART]),
        (
            [{"inlineData": {"mimeType": "image/png", "data": "-_8="}}],
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}}],
        ),
        (
            [{"inlineData": {"mimeType": "audio/mpeg", "data": "AA"}}],
            [{"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}],
        ),
        (
            [{"inlineData": {"mimeType": "application/pdf", "data": "AA", "displayName": "a.pdf"}}],
            [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}}],
        ),
        (
            [{"fileData": {"fileUri": "https://a/b.png", "mimeType": "image/png"}}],
            [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}],
        ),
    ],
)
def test_what_a_user_shows(turned, to, parts, content):
    assert turned(to, user(*parts)) == ([{"role": "user", "content": content}], ())


def test_lists_of_one_may_lack_the_list(sent):
    """As in Google's own examples: the request was refused."""
    said, _ = sent(
        "hub",
        contents={"role": "user", "parts": {"text": "Hello there"}},
        system_instruction={"parts": {"text": "You are a cat."}},
        generation_config={"response_modalities": "TEXT", "stop_sequences": "END"},
    )

    assert (said.get("modalities"), said["stop"]) == (None, ["END"])
    assert said["messages"] == [
        {"role": "system", "content": "You are a cat."},
        {"role": "user", "content": "Hello there"},
    ]


def test_a_text_as_a_file(turned):
    part = {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}}

    assert turned("openai", user(part))[0] == [{"role": "user", "content": "a,b"}]
    assert turned("hub", user(part))[0][0]["content"] == [
        {"type": "file", "file": {"file_data": "data:text/csv;base64,YSxi"}}
    ]


def test_how_closely_pictures_are_looked_at(turned):
    messages, _ = turned("openai", user(PNG), **config(mediaResolution="MEDIA_RESOLUTION_LOW"))

    assert messages[0]["content"][0]["image_url"]["detail"] == "low"


@pytest.mark.parametrize("given", [{"parts": [{"text": "Be"}, {"text": "brief."}]}, "Be\n\nbrief."])
def test_the_system(turned, given):
    messages, _ = turned("openai", user({"text": "a"}), systemInstruction=given)

    assert messages[0] == {"role": "system", "content": "Be\n\nbrief."}


@pytest.mark.parametrize(
    ("response", "content", "is_error"),
    [
        ({"result": "sunny"}, "sunny", False),
        ({"output": "sunny"}, "sunny", False),
        ({"temperature": 21.0, "big": 12345678901234567890}, '{"temperature":21.0,"big":12345678901234567890}', False),
        ({"error": "no city"}, "no city", True),
        ({}, "{}", False),
    ],
)
def test_a_call_and_its_result(turned, response, content, is_error):
    contents = [user({"text": "a"}), model(CALLED), user(result(response), {"text": "and?"})]

    hub, _ = turned("hub", *contents)
    openai, _ = turned("openai", *contents)

    assert openai == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": f"Error:\n{content}" if is_error else content},
        {"role": "user", "content": "and?"},
    ]
    failed = {"is_error": True} if is_error else {}
    assert hub[2] == {"role": "tool", "tool_call_id": "c1", "content": content, **failed}


def test_calls_without_ids(turned):
    """They are told apart by the functions and their order, and are the same each time."""
    calls = [{"functionCall": {"name": name, "args": {"n": n}}} for n, name in enumerate(["f", "g", "f"])]
    results = [{"functionResponse": {"name": name, "response": {"result": name + n}}} for name, n in ("g0", "f1", "f2")]

    messages, _ = turned("openai", user({"text": "a"}), model(*calls), *({"parts": [each]} for each in results))

    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call_1", "call_2", "call_3"]
    assert [(each["tool_call_id"], each["content"]) for each in messages[2:]] == [
        ("call_2", "g0"),
        ("call_1", "f1"),
        ("call_3", "f2"),
    ]


def test_a_picture_in_a_result(turned):
    contents = [user({"text": "a"}), model(CALLED), user(result({"result": "see"}, parts=[PNG]))]

    assert turned("hub", *contents)[0][2]["content"] == [{"type": "text", "text": "see"}, PNG_PART]
    assert turned("openai", *contents)[0][2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "user", "content": [{"type": "text", "text": "Of the result of get_weather:"}, PNG_PART]},
    ]


def test_what_was_streamed_is_one_turn(turned):
    """SDKs keep each event as a content of its own."""
    contents = [user({"text": "a"}), model({"text": "b"}), model(CALLED), model({"text": ""}), user(result({}))]

    messages, _ = turned("openai", *contents)

    assert messages[1:] == [
        {"role": "assistant", "content": "b", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "{}"},
    ]


def test_code_that_a_model_ran(turned):
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
    ]

    messages, _ = turned("openai", user({"text": "a"}), model(*parts))

    assert messages[1]["content"] == "\n```python\nprint(1)\n```\n\n```\n1\n\n```\n"


# --- thoughts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alphabet", ["+/", "-_"])
def test_what_was_sealed_comes_back(turned, alphabet):
    """Google's SDK writes it with another alphabet than it read."""
    kept = Kept([{**BLOCK, "thinking": "hm ÿþ~~~???"}])
    signature = sealed(kept).replace("+", alphabet[0]).replace("/", alphabet[1]).rstrip("=")
    turn = model({"text": "hm", "thought": True}, {**CALLED, "thoughtSignature": signature})

    messages, dropped = turned("hub", user({"text": "a"}), turn, user(result({})))

    assert dropped == ()
    assert messages[1]["thinking_blocks"] == kept.blocks
    assert messages[1]["tool_calls"] == [CALL]


@pytest.mark.parametrize(
    ("to", "more", "dropped"),
    [
        ("hub", {"reasoning_content": "hm"}, ()),
        ("extended", {"reasoning_content": "hm"}, ()),
        ("openai", {}, ("contents.thought",)),
    ],
)
@pytest.mark.parametrize("is_sealed", [True, False])
def test_thoughts_that_nobody_signed(turned, to, more, dropped, is_sealed):
    thought = {"text": "hm", "thought": True}
    parts = [{**CALLED, "thoughtSignature": sealed(Kept(reasoning="hm"))}] if is_sealed else [thought, CALLED]

    messages, left = turned(to, user({"text": "a"}), model(*parts))

    assert (messages[1], left) == ({"role": "assistant", "content": None, "tool_calls": [CALL], **more}, dropped)


def test_googles_own_signatures(turned):
    """With a call they go on, as at Google's OpenAI-compatible API."""
    contents = [
        user({"text": "a"}),
        model({"text": "b", "thoughtSignature": "AA=="}, CALLED | {"thoughtSignature": "BB=="}),
    ]

    messages, dropped = turned("hub", *contents)

    assert messages[1]["tool_calls"] == [{**CALL, "extra_content": {"google": {"thought_signature": "BB=="}}}]
    assert dropped == ("contents.thoughtSignature",)
    assert turned("openai", *contents)[0][1]["tool_calls"] == [CALL]


def test_a_seal_that_was_broken(turned):
    signature = sealed(Kept([BLOCK]))[:-8] + "AAAAAAAA"

    messages, _ = turned("hub", user({"text": "a"}), model({"text": "b", "thoughtSignature": signature}))

    assert messages[1] == {"role": "assistant", "content": "b"}
    assert unsealed("AA==") is None


def test_to_google_only_foreign_signatures_are_changed():
    """It refuses them; each other byte stays."""
    ours = sealed(Kept([BLOCK])).encode()
    body = b'{ "a":[{"thoughtSignature" : "%b"},{"thought_signature":"%b"},{"thoughtSignature":"AA=="}] }' % (
        ours,
        ours,
    )

    assert without_foreign(body) == (
        b'{ "a":[{"thoughtSignature" : "skip_thought_signature_validator"},'
        b'{"thought_signature":"skip_thought_signature_validator"},{"thoughtSignature":"AA=="}] }'
    )
    untouched = b'{"contents":[]}'
    assert without_foreign(untouched) is untouched


# --- whatever comes --------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "name", "a_b"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PART = st.fixed_dictionaries(
    {},
    optional={
        "text": JSON,
        "thought": st.booleans(),
        "thoughtSignature": st.text(max_size=9),
        "inlineData": st.fixed_dictionaries({"mimeType": st.text(max_size=9), "data": st.text(max_size=9)}) | JSON,
        "fileData": JSON,
        "functionCall": st.fixed_dictionaries({"name": st.text(max_size=3), "args": JSON}),
        "functionResponse": st.fixed_dictionaries({"name": st.text(max_size=3), "response": JSON}),
    },
)
CONTENT = st.fixed_dictionaries({"role": st.sampled_from(["user", "model", ""]), "parts": st.lists(PART, max_size=3)})


@given(
    contents=st.lists(CONTENT, max_size=4) | JSON,
    tools=st.lists(st.fixed_dictionaries({"functionDeclarations": st.lists(JSON, max_size=2)}), max_size=2) | JSON,
    settings=JSON,
)
def test_whatever_comes_is_said_or_refused(sent, contents, tools, settings):
    with suppress(BadRequest):
        sent("hub", contents=contents, tools=tools, toolConfig=settings, generationConfig=settings)

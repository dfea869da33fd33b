"""Chat requests as bodies of generateContent, judged by the types of google-genai."""

import pytest
from gateway_google.translator import ToGemini

from gateway.errors import BadRequest
from gateway.testing import growth

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
PNG = "data:image/png;base64,AAAA"
LOOK = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


def image(url=PNG, **more):
    return {"type": "image_url", "image_url": {"url": url, **more}}


def called(id_="c1", name="look", arguments='{"at":"x"}', **more):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def contents(sent, *messages, model="gemini-2.5-flash"):
    return sent(model, messages=list(messages))[0]["contents"]


def test_a_request_holds_what_was_asked_for_and_nothing_else(sent):
    """`model` and `stream` are in the URL. null is as if it were not there (LL's embedding incident)."""
    assert sent(temperature=None, stop=None, stream=True, stream_options={"include_usage": True}) == (
        {"contents": HI},
        (),
    )


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"temperature": 0.0, "topP": 0.5, "topK": 3}),
        ({"max_tokens": 9}, {"maxOutputTokens": 9}),
        ({"max_completion_tokens": 8, "max_tokens": 9}, {"maxOutputTokens": 8}),
        ({"stop": "a"}, {"stopSequences": ["a"]}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"n": 2}, {"candidateCount": 2}),
        ({"seed": 7}, {"seed": 7}),
        ({"presence_penalty": 0.5, "frequency_penalty": -1}, {"presencePenalty": 0.5, "frequencyPenalty": -1.0}),
        ({"presence_penalty": 0, "frequency_penalty": 0, "n": 1}, None),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_fields_of_the_configuration(sent, fields, config):
    body, dropped = sent(**fields)

    assert (body.get("generationConfig"), dropped) == (config, ())


@pytest.mark.parametrize(
    ("fields", "place", "value"),
    [
        ({"service_tier": "default"}, "serviceTier", "standard"),
        ({"service_tier": "flex"}, "serviceTier", "flex"),
        (
            {"safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]},
            "safetySettings",
            [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        ),
        ({"cached_content": "cachedContents/1"}, "cachedContent", "cachedContents/1"),
        ({"extra_body": {"google": {"cached_content": "cachedContents/1"}}}, "cachedContent", "cachedContents/1"),
        ({"labels": {"team": "a"}}, "labels", {"team": "a"}),
    ],
)
def test_fields_beside_it(sent, fields, place, value):
    body, dropped = sent(**fields)

    assert (body[place], dropped) == (value, ())


def test_googles_own_thinking_config_goes_first(sent):
    body, dropped = sent(
        extra_body={"google": {"thinking_config": {"thinking_budget": 5}, "x": 1}, "y": 1}, reasoning_effort="low"
    )

    assert body["generationConfig"] == {"thinkingConfig": {"thinking_budget": 5}}
    assert dropped == ("reasoning_effort", "extra_body.y", "extra_body.google.x")


def test_what_it_does_not_have_is_told(sent):
    """Portkey lost fields that were in no table."""
    _, dropped = sent(user="u", logit_bias={"1": 2}, prediction={"type": "content"}, service_tier="scale", store=True)

    assert dropped == ("user", "logit_bias", "prediction", "store", "service_tier")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"messages": [{"role": "system", "content": "s"}]}, "messages"),
        ({"messages": [{"role": "tool", "tool_call_id": "c1", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "system", "content": [image()]}]}, "messages"),
        ({"messages": user({"type": "file", "file": {"file_data": "AAAA"}})}, "messages"),
        ({"messages": user({"type": "file", "file": {"file_id": "file-abc"}})}, "messages"),
        ({"messages": user({"type": "strange"})}, "messages"),
        ({"tools": [{"type": "custom", "name": "x"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "no"}}}, "tool_choice"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
    ],
)
def test_what_would_change_the_meaning_is_refused(sent, fields, param):
    with pytest.raises(BadRequest) as refused:
        sent(**fields)

    assert refused.value.param == param


# --- messages ----------------------------------------------------------------


def test_all_that_is_said_to_the_system_is_its_instruction(sent):
    body, dropped = sent(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        ]
    )

    assert (body["systemInstruction"], body["contents"], dropped) == (
        {"parts": [{"text": "a"}, {"text": "b"}]},
        HI,
        (),
    )


@pytest.mark.parametrize(
    ("part", "piece"),
    [
        ({"type": "text", "text": "a"}, {"text": "a"}),
        (image(), {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        (
            image("https://h.example/a.jpg"),
            {"fileData": {"fileUri": "https://h.example/a.jpg", "mimeType": "image/jpeg"}},
        ),
        (image("gs://b/a", format="image/webp"), {"fileData": {"fileUri": "gs://b/a", "mimeType": "image/webp"}}),
        (image("https://www.youtube.com/watch?v=1"), {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}}),
        (image("data:video/mp4;base64,AAAA"), {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
        (image("data:application/pdf;base64,AAAA"), {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_id": "files/abc"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
    ],
)
def test_parts_of_what_a_user_says(sent, part, piece):
    assert contents(sent, {"role": "user", "content": [part]}) == [{"role": "user", "parts": [piece]}]


@pytest.mark.parametrize(
    ("details", "resolution", "dropped"),
    [
        (["low"], "MEDIA_RESOLUTION_LOW", ()),
        (["high", "high"], "MEDIA_RESOLUTION_HIGH", ()),
        (["low", "high"], "MEDIA_RESOLUTION_HIGH", ("image_url.detail",)),
        (["auto"], None, ()),
    ],
)
def test_how_closely_to_look_holds_for_all_pictures(sent, details, resolution, dropped):
    body, told = sent(messages=user(*[image(detail=detail) for detail in details]))

    assert (body.get("generationConfig", {}).get("mediaResolution"), told) == (resolution, dropped)


def test_since_gemini_3_for_each_picture(sent):
    parts = contents(sent, {"role": "user", "content": [image(detail="low"), image()]}, model="gemini-3-pro")[0][
        "parts"
    ]

    data = {"mimeType": "image/png", "data": "AAAA"}
    assert parts == [
        {"inlineData": data, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
        {"inlineData": data},
    ]


def test_what_is_marked_for_the_cache_is_told(sent):
    """There is nothing like it: Gemini caches by itself, or by cached_content. (envoy#2476 lost it in silence.)"""
    marker = {"type": "ephemeral"}
    body, dropped = sent(
        messages=user({"type": "text", "text": "hi", "cache_control": marker}),
        tools=[{**LOOK, "cache_control": marker}],
    )

    assert (body["contents"], dropped) == (HI, ("messages.cache_control", "tools.cache_control"))


# --- tools -------------------------------------------------------------------


def test_calls_made_at_once_and_their_results_in_any_order(sent):
    """The results have to be one turn, in the order of the calls."""
    said = contents(
        sent,
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [called("c1"), called("c2", arguments="")]},
        {"role": "tool", "tool_call_id": "c2", "content": '{"n": 12345678901234567890}'},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "no"}], "is_error": True},
        {"role": "user", "content": "so?"},
    )

    assert said[1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c1", "name": "look", "args": {"at": "x"}}},
                {"functionCall": {"id": "c2", "name": "look", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "look", "response": {"error": "no"}}},
                {
                    "functionResponse": {
                        "id": "c2",
                        "name": "look",
                        "response": {"output": '{"n": 12345678901234567890}'},
                    }
                },
            ],
        },
        {"role": "user", "parts": [{"text": "so?"}]},
    ]


def test_results_of_calls_with_the_same_id_are_all_kept(sent):
    """Some clients number them by the name of the function."""
    said = contents(
        sent,
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [called("look"), called("look")]},
        {"role": "tool", "tool_call_id": "look", "content": "1"},
        {"role": "tool", "tool_call_id": "look", "content": "2"},
    )

    told = [part["functionResponse"]["response"] for part in said[2]["parts"]]
    assert told == [{"output": "1"}, {"output": "2"}]


def test_arguments_that_are_no_json_are_not_lost(sent):
    said = contents(
        sent,
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [called(arguments='{"at":')]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    )

    assert said[1]["parts"][0]["functionCall"]["args"] == {"INVALID_JSON": '{"at":'}
    assert said[2]["parts"][0]["functionResponse"]["response"] == {"output": ""}


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (
            "gemini-3-flash",
            [
                {
                    "functionResponse": {
                        "id": "c1",
                        "name": "look",
                        "response": {"output": "a"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
                    }
                }
            ],
        ),
        (
            "gemini-2.5-flash",
            [
                {"functionResponse": {"id": "c1", "name": "look", "response": {"output": "a"}}},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            ],
        ),
    ],
)
def test_a_tool_may_answer_with_a_picture(sent, model, parts):
    said = contents(
        sent,
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [called()]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "a"}, image()]},
        model=model,
    )

    assert said[2]["parts"] == parts


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "look"}}, {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_which_function_is_to_be_called(sent, choice, config):
    body, dropped = sent(tools=[LOOK], tool_choice=choice)

    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "look",
                    "parametersJsonSchema": {"type": "object", "properties": {"at": {"type": "string"}}},
                }
            ]
        }
    ]
    assert (body.get("toolConfig"), dropped) == ({"functionCallingConfig": config} if config else None, ())


def test_only_what_is_allowed_is_offered(sent):
    other = {"type": "function", "function": {"name": "other"}}
    choice = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]},
    }

    body, _ = sent(tools=[LOOK, other], tool_choice=choice)

    assert body["tools"] == [{"functionDeclarations": [{"name": "other"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}


def test_what_cannot_be_said_of_tools_is_told(sent):
    strict = {"type": "function", "function": {**LOOK["function"], "strict": True}}

    assert sent(tools=[strict], parallel_tool_calls=False)[1] == ("tools.strict", "parallel_tool_calls")


def test_a_choice_without_tools_says_nothing(sent):
    """LL#25477: agents send it so."""
    assert sent(tool_choice="auto") == ({"contents": HI}, ())


@pytest.mark.parametrize(
    ("tool", "own"),
    [
        ({"type": "google_search"}, {"googleSearch": {}}),
        (
            {"type": "google_search", "google_search": {"exclude_domains": ["a"]}},
            {"googleSearch": {"exclude_domains": ["a"]}},
        ),
        ({"type": "url_context"}, {"urlContext": {}}),
        ({"type": "code_execution"}, {"codeExecution": {}}),
        ({"type": "file_search", "file_search_store_names": ["s"]}, {"fileSearch": {"file_search_store_names": ["s"]}}),
    ],
)
def test_googles_own_tools(sent, tool, own):
    assert sent(tools=[tool])[0]["tools"] == [own]


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"web_search_options": {}}, ()),
        ({"web_search_options": {"search_context_size": "low"}}, ("web_search_options.search_context_size",)),
        ({"tools": [{"type": "web_search", "search_context_size": "low"}]}, ("tools.search_context_size",)),
    ],
)
def test_openais_search_is_googles(sent, fields, dropped):
    body, told = sent(**fields)

    assert (body["tools"], told) == ([{"googleSearch": {}}], dropped)


def test_json_beside_functions_is_one_more_function(sent):
    """Together both are refused: "Function calling with a response mime type is unsupported"."""
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}

    body, dropped = sent(tools=[LOOK], response_format=schema)

    names = [each["name"] for each in body["tools"][0]["functionDeclarations"]]
    assert (names, body["toolConfig"]) == (["look", "answer_in_json"], {"functionCallingConfig": {"mode": "ANY"}})
    assert ("generationConfig" in body, dropped) == (False, ())


@pytest.mark.parametrize(
    ("choice", "names", "mode", "is_json"),
    [
        ("none", ["look"], "NONE", True),
        ({"type": "function", "function": {"name": "look"}}, ["look"], "ANY", False),
    ],
)
def test_json_where_the_choice_leaves_no_other(sent, choice, names, mode, is_json):
    body, _ = sent(tools=[LOOK], tool_choice=choice, response_format={"type": "json_object"})

    assert [each["name"] for each in body["tools"][0]["functionDeclarations"]] == names
    assert body["toolConfig"]["functionCallingConfig"]["mode"] == mode
    assert ("generationConfig" in body) is is_json


# --- thinking ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "dropped"),
    [
        ("gemini-2.5-flash", {}, None, ()),
        ("gemini-2.5-flash", {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingBudget": 1024}, ()),
        ("gemini-2.5-flash", {"reasoning_effort": "high"}, {"includeThoughts": True, "thinkingBudget": 24576}, ()),
        (
            "gemini-2.5-flash",
            {"reasoning_effort": "high", "max_tokens": 5000},
            {"includeThoughts": True, "thinkingBudget": 4000},
            (),
        ),
        (
            "gemini-2.5-flash",
            {"reasoning_effort": "high", "max_tokens": 500},
            {"includeThoughts": True, "thinkingBudget": 1},
            (),
        ),
        (
            "gemini-2.5-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 300}},
            {"includeThoughts": True, "thinkingBudget": 300},
            (),
        ),
        (
            "gemini-2.5-flash",
            {"thinking": {"type": "enabled", "budget_tokens": 99999}},
            {"includeThoughts": True, "thinkingBudget": 24576},
            ("thinking.budget_tokens",),
        ),
        ("gemini-2.5-flash", {"thinking": {"type": "adaptive"}}, {"includeThoughts": True, "thinkingBudget": -1}, ()),
        ("gemini-2.5-flash", {"thinking": {"type": "adaptive", "display": "omitted"}}, {"thinkingBudget": -1}, ()),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0}, ()),
        ("gemini-2.5-pro", {"thinking": {"type": "disabled"}}, {"thinkingBudget": 128}, ("thinking",)),
        (
            "gemini-2.5-flash-lite",
            {"thinking": {"type": "enabled", "budget_tokens": 64}},
            {"includeThoughts": True, "thinkingBudget": 512},
            ("thinking.budget_tokens",),
        ),
        ("gemini-2.0-flash", {"reasoning_effort": "low"}, None, ("reasoning_effort",)),
        ("gemini-2.0-flash", {"reasoning_effort": "none"}, None, ()),
        ("gemini-3-pro-preview", {"reasoning_effort": "low"}, {"includeThoughts": True, "thinkingLevel": "LOW"}, ()),
        (
            "gemini-3-pro-preview",
            {"reasoning_effort": "medium"},
            {"includeThoughts": True, "thinkingLevel": "LOW"},
            ("reasoning_effort",),
        ),
        (
            "gemini-3.1-pro-preview",
            {"reasoning_effort": "medium"},
            {"includeThoughts": True, "thinkingLevel": "MEDIUM"},
            (),
        ),
        ("gemini-3-flash", {"reasoning_effort": "minimal"}, {"includeThoughts": True, "thinkingLevel": "MINIMAL"}, ()),
        ("gemini-3-flash", {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL"}, ()),
        (
            "gemini-3.8-flash",
            {"reasoning_effort": "minimal"},
            {"includeThoughts": True, "thinkingLevel": "LOW"},
            ("reasoning_effort",),
        ),
        (
            "gemini-3.8-flash",
            {"reasoning": {"effort": "max"}},
            {"includeThoughts": True, "thinkingLevel": "HIGH"},
            ("reasoning",),
        ),
        ("gemini-flash-latest", {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}, ()),
        (
            "gemini-3-pro",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"includeThoughts": True, "thinkingBudget": 2000},
            (),
        ),
    ],
)
def test_how_much_it_is_to_think(sent, model, fields, thinking, dropped):
    body, told = sent(model, **fields)

    assert (body.get("generationConfig", {}).get("thinkingConfig"), told) == (thinking, dropped)


# --- thought signatures ------------------------------------------------------


def turn(**message):
    return [
        {"role": "user", "content": "hi"},
        {"role": "assistant", **message},
        *[{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in message.get("tool_calls", [])],
    ]


def test_a_calls_signature_comes_back_where_it_was(sent):
    """LL#16893: lost, the next turn was a 400."""
    extra = {"google": {"thought_signature": "c2ln"}}
    messages = turn(tool_calls=[called("c1", extra_content=extra), called("c2")])

    parts = sent("gemini-3-pro", messages=messages)[0]["contents"][1]["parts"]

    assert [part.get("thoughtSignature") for part in parts] == ["c2ln", None]


@pytest.mark.parametrize(
    ("model", "signatures"),
    [("gemini-3-pro", ["skip_thought_signature_validator", None]), ("gemini-2.5-pro", [None, None])],
)
def test_turns_of_other_models_have_none(sent, model, signatures):
    """And clients that drop fields they do not know lose it. Gemini 3 refuses calls without any."""
    messages = turn(tool_calls=[called("c1"), called("c2")])

    parts = sent(model, messages=messages)[0]["contents"][1]["parts"]

    assert [part.get("thoughtSignature") for part in parts] == signatures


@pytest.mark.parametrize(
    ("content", "blocks", "parts", "dropped"),
    [
        (
            "a",
            [{"type": "thinking", "thinking": "t", "signature": "gemini:c2ln"}],
            [{"text": "a", "thoughtSignature": "c2ln"}],
            (),
        ),
        (
            None,
            [{"type": "thinking", "thinking": "", "signature": "gemini:c2ln"}],
            [{"text": "", "thoughtSignature": "c2ln"}],
            (),
        ),
        (
            "a",
            [{"type": "thinking", "thinking": "t", "signature": "gemini-thought:c2ln"}],
            [{"text": "t", "thought": True, "thoughtSignature": "c2ln"}, {"text": "a"}],
            (),
        ),
        (
            "a",
            [{"type": "thinking", "thinking": "t", "signature": "EqMDCkYI"}],
            [{"text": "a"}],
            ("messages.thinking_blocks",),
        ),
        ("a", [{"type": "redacted_thinking", "data": "x"}], [{"text": "a"}], ("messages.thinking_blocks",)),
    ],
)
def test_other_signatures_are_in_thinking_blocks(sent, content, blocks, parts, dropped):
    """Those of Claude are not sent on: Gemini could not open them, and would refuse the request."""
    body, told = sent(messages=turn(content=content, thinking_blocks=blocks))

    assert (body["contents"][1]["parts"], told) == (parts, dropped)


def test_pictures_that_it_made_go_back(sent):
    """To be changed in the next turn."""
    body, dropped = sent("gemini-3-pro-image", messages=turn(content="a", images=[image()], audio={"id": "x"}))

    assert body["contents"][1]["parts"] == [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    assert dropped == ("messages.audio",)


def test_a_summary_of_thoughts_is_not_read(sent):
    body, dropped = sent(messages=turn(content="a", reasoning_content="t"))

    assert (body["contents"][1]["parts"], dropped) == ([{"text": "a"}], ("messages.reasoning_content",))


def test_time_grows_with_the_number_of_results_and_no_faster(chat):
    """Where each one's place was looked for among all calls, 18 MB of them held all large requests up for minutes."""

    def work(size):
        results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "x"} for n in range(size)]
        calls = {"role": "assistant", "tool_calls": [called(f"c{n}") for n in range(size)]}
        asked = chat(messages=[*user({"type": "text", "text": "hi"}), calls, *results])
        return lambda: ToGemini().request(asked, "gemini-2.5-flash")

    assert growth(work) < 24


def test_results_of_calls_with_one_id_stand_before_those_of_no_call(sent):
    """Of calls with one id, the first decides where their results stand."""
    earlier = {"role": "assistant", "tool_calls": [called("old")]}
    calls = {"role": "assistant", "tool_calls": [called("a"), called("a"), called("b")]}
    results = [{"role": "tool", "tool_call_id": id_, "content": id_} for id_ in ("old", "b", "a")]

    turns = contents(sent, *user({"type": "text", "text": "hi"}), earlier, calls, *results)

    told = [part["functionResponse"]["response"]["output"] for part in turns[-1]["parts"]]
    assert told == ["a", "b", "old"]

"""Chat completions, whole and in chunks, as the official SDK reads them."""

import json

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.contract.usage import Usage
from gateway.translators.chat import ANSWER_TOOL, Answer, ChatChunks, completion, usage_fields

USED = Usage(input=7, cache_read=2, cache_write=1, output=3, reasoning=4, searches=1)


@pytest.fixture
def chunks():
    return ChatChunks(id="c1", model="m", created_s=5.5, wants_usage=True)


def read(stream):
    """Each chunk as the SDK's type has it; the stream must end with `[DONE]`."""
    events = stream.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    said = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    for chunk in said:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        assert (chunk["id"], chunk["model"], chunk["created"]) == ("c1", "m", 5)
    return said


def deltas(stream):
    return [(choice["delta"], choice["finish_reason"]) for chunk in read(stream) for choice in chunk["choices"]]


START = ({"role": "assistant", "content": ""}, None)


def test_a_stream_of_text(chunks):
    stream = chunks.text("he") + chunks.text("") + chunks.text('l"lo') + chunks.finish("stop") + chunks.end(USED)

    assert deltas(stream) == [START, ({"content": "he"}, None), ({"content": 'l"lo'}, None), ({}, "stop")]
    assert Usage.from_openai(read(stream)[-1]["usage"]) == USED
    assert read(stream)[-1]["choices"] == []


def test_usage_is_for_those_who_asked():
    """Many clients index `choices[0]`."""
    chunks = ChatChunks(id="c1", model="m", created_s=5, wants_usage=False)

    assert b"usage" not in chunks.text("a") + chunks.finish("stop") + chunks.end(USED)


def test_calls_of_tools_come_in_pieces(chunks):
    """LL#25321: arguments were lost where one call followed the other."""
    stream = (
        chunks.tool_call("1", "f")
        + chunks.arguments('{"a"')
        + chunks.arguments("")
        + chunks.arguments(":1}")
        + chunks.tool_call("2", "g", "{}", extra_content={"x": 1})
        + chunks.finish("tool_calls")
        + chunks.end(None)
    )

    calls = [delta["tool_calls"][0] for delta, _ in deltas(stream) if "tool_calls" in delta]
    assert calls == [
        {"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ":1}"}},
        {
            "index": 1,
            "id": "2",
            "type": "function",
            "function": {"name": "g", "arguments": "{}"},
            "extra_content": {"x": 1},
        },
    ]


def test_one_finish_and_one_end(chunks):
    """Whatever a provider sends behind it."""
    stream = chunks.text("a") + chunks.finish("stop") + chunks.finish("length") + chunks.text("b")
    stream += chunks.tool_call("1", "f") + chunks.reasoning("c") + chunks.end(None) + chunks.end(None)

    assert deltas(stream) == [START, ({"content": "a"}, None), ({}, "stop")]


def test_a_choice_without_end_is_ended(chunks):
    assert deltas(chunks.text("a") + chunks.end(None))[-1] == ({}, "stop")
    assert deltas(ChatChunks(id="c1", model="m", created_s=5, wants_usage=False).end(None)) == [START, ({}, "stop")]


def test_several_choices(chunks):
    """litellm #3276: all had the index 0."""
    stream = chunks.text("a", 0) + chunks.text("b", 1) + chunks.finish("stop", 1) + chunks.finish("length", 0)
    said = [choice for chunk in read(stream + chunks.end(None)) for choice in chunk["choices"]]

    assert [(each["index"], each["delta"].get("content"), each["finish_reason"]) for each in said] == [
        (0, "", None),
        (0, "a", None),
        (1, "", None),
        (1, "b", None),
        (1, None, "stop"),
        (0, None, "length"),
    ]


def test_reasoning_refusal_and_annotations(chunks):
    block = {"type": "thinking", "thinking": "", "signature": "s"}
    stream = (
        chunks.reasoning("hm") + chunks.thinking_block(block) + chunks.refusal("no") + chunks.annotation({"type": "x"})
    )

    assert [delta for delta, _ in deltas(stream + chunks.end(None))][1:5] == [
        {"reasoning_content": "hm"},
        {"thinking_blocks": [block]},
        {"refusal": "no"},
        {"annotations": [{"type": "x"}]},
    ]


def test_the_answer_tool_is_the_answer():
    """Whoever asked for JSON gets JSON, and knows of no tool."""
    chunks = ChatChunks(id="c1", model="m", created_s=5, wants_usage=False, answer_tool=True)
    stream = chunks.tool_call("1", ANSWER_TOOL) + chunks.arguments('{"a":') + chunks.arguments("1}") + chunks.text("!")
    stream += chunks.finish("tool_calls") + chunks.end(None)

    assert deltas(stream) == [START, ({"content": '{"a":'}, None), ({"content": "1}"}, None), ({}, "stop")]


def test_the_service_tier_is_told(chunks):
    chunks.service_tier = "priority"

    assert [chunk.get("service_tier") for chunk in read(chunks.finish("stop") + chunks.end(USED))] == [
        None,
        "priority",
        "priority",
    ]


def whole(*answers, **more):
    body = completion(answers, id="c1", model="m", created_s=5.5, usage=USED, **more)
    ChatCompletion.model_validate_json(body, strict=True)
    return json.loads(body)


def test_a_whole_answer():
    answer = Answer()
    answer.reasoning("hm")
    answer.thinking_block({"type": "thinking", "thinking": "hm", "signature": "s"})
    answer.text("he")
    answer.text("llo")
    answer.tool_call("1", "f", "")
    answer.finish_reason = "tool_calls"

    said = whole(answer, service_tier="default")

    assert said.pop("usage") == usage_fields(USED)
    assert said == {
        "id": "c1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": "hello",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
            }
        ],
    }


@pytest.mark.parametrize(("has_call", "content"), [(False, ""), (True, None)])
def test_an_answer_without_text(has_call, content):
    """It is never without a choice, and null only beside calls of tools."""
    answer = Answer()
    if has_call:
        answer.tool_call("1", "f", "{}")

    assert whole(answer)["choices"][0]["message"]["content"] == content


def test_the_answer_tool_is_the_whole_answer():
    answer = Answer(answer_tool=True)
    answer.text("Here it is:")
    answer.tool_call("1", ANSWER_TOOL, '{"a":1}')
    answer.text("Done.")
    answer.finish_reason = "tool_calls"

    [choice] = whole(answer)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"a":1}', "stop")
    assert "tool_calls" not in choice["message"]


def test_usage_says_the_same_when_it_is_read_back():
    assert Usage.from_openai(usage_fields(USED)) == USED
    assert Usage.from_openai(usage_fields(Usage(cache_write=1, cache_write_1h=2))) == Usage(cache_write=3)
    pictures = Usage(input=1, image_input=2, audio_input=3, output=4, image_output=5, audio_output=6)
    assert Usage.from_openai(usage_fields(pictures)) == pictures


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
TOKENS = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]


def test_pictures_that_a_model_made_stand_where_openrouter_has_them(chunks):
    stream = chunks.image("data:image/png;base64,AA==") + chunks.finish("stop") + chunks.end(None)
    answer = Answer()
    answer.image("data:image/png;base64,AA==")

    assert deltas(stream) == [START, ({"images": [PICTURE]}, None), ({}, "stop")]
    said = json.loads(completion([answer], id="c1", model="m", created_s=5, usage=None))
    assert said["choices"][0]["message"]["images"] == [PICTURE]
    ChatCompletion.model_validate(said, strict=True)


def test_logprobs(chunks):
    stream = chunks.text("a") + chunks.logprobs(TOKENS) + chunks.finish("stop") + chunks.end(None)
    answer = Answer()
    answer.text("a")
    answer.logprobs = TOKENS

    told = [choice["logprobs"] for chunk in read(stream) for choice in chunk["choices"]]
    assert told == [None, None, {"content": TOKENS, "refusal": None}, None]
    said = json.loads(completion([answer], id="c1", model="m", created_s=5, usage=None))
    assert said["choices"][0]["logprobs"] == {"content": TOKENS, "refusal": None}
    ChatCompletion.model_validate(said, strict=True)

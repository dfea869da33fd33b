"""What whole chat completions are to callers of the Responses API."""

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.responses.sealed import unseal

HEX = "0123456789abcdef" * 2
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def call(id_, name, arguments):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_response(answered):
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}

    response = answered({"content": "hello"}, usage=usage, instructions="Be short.", metadata={"a": "b"})

    assert response == {
        "id": f"resp_gw{HEX}",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "completed_at": 1700000000,
        "error": None,
        "incomplete_details": None,
        "model": "a/m",
        "output": [
            {
                "id": f"msg_gw{HEX}_0",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}],
            }
        ],
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 10,
        },
        "background": False,
        "frequency_penalty": 0.0,
        "instructions": "Be short.",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def test_what_was_left_out_inside_of_fields_is_said(answered):
    """Clients of Open Responses check the types of what they get, and a field that is not there is a fault to them."""
    tools = [{"type": "function", "name": "f"}, {"type": "custom", "name": "patch"}]

    response = answered({"content": "a"}, tools=tools, reasoning={"effort": "low"}, text={"verbosity": "low"})

    assert response["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None},
        {"type": "custom", "name": "patch"},
    ]
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}


def test_of_a_schema_all_is_said(answered):
    response = answered({"content": "{}"}, text={"format": {"type": "json_schema", "name": "n", "schema": {}}})

    assert response["text"]["format"] == {
        "type": "json_schema",
        "name": "n",
        "schema": {},
        "description": None,
        "strict": False,
    }


@pytest.mark.parametrize("same", [{"id": "c"}, {"id": "c", "index": 0}, {"id": None, "index": 0}])
def test_calls_of_a_whole_answer_are_as_many_whatever_they_share(answered, same):
    """The second was lost in the arguments of the first."""
    calls = [{**call("", name, '{"a":1}'), **same} for name in ("f", "f", "g")]

    response = answered({"content": None, "tool_calls": calls}, "tool_calls")

    assert [(item["name"], item["arguments"]) for item in response["output"]] == [
        ("f", '{"a":1}'),
        ("f", '{"a":1}'),
        ("g", '{"a":1}'),
    ]


def test_calls_are_told_as_the_caller_knows_the_tools(answered):
    namespace = {"type": "namespace", "name": "mcp__files", "description": "d", "tools": [{**FUNCTION, "name": "read"}]}
    calls = [call("c1", "f", ""), call("c2", "mcp__files__read", '{"p":1}'), call("c3", "patch", '{"input":"a\\nb"}')]

    response = answered(
        {"content": None, "tool_calls": calls},
        "tool_calls",
        tools=[FUNCTION, namespace, {"type": "custom", "name": "patch"}],
    )

    assert response["output"] == [
        {
            "id": f"fc_gw{HEX}_0",
            "type": "function_call",
            "call_id": "c1",
            "name": "f",
            "arguments": "{}",
            "status": "completed",
        },
        {
            "id": f"fc_gw{HEX}_1",
            "type": "function_call",
            "call_id": "c2",
            "name": "read",
            "namespace": "mcp__files",
            "arguments": '{"p":1}',
            "status": "completed",
        },
        {
            "id": f"ctc_gw{HEX}_2",
            "type": "custom_tool_call",
            "call_id": "c3",
            "name": "patch",
            "input": "a\nb",
            "status": "completed",
        },
    ]


def test_reasoning_with_what_seals_it(answered):
    block = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}

    response = answered({"content": "so", "reasoning_content": "hm", "thinking_blocks": [block]})

    reasoning, message = response["output"]
    assert (reasoning["type"], reasoning["summary"]) == ("reasoning", [{"type": "summary_text", "text": "hm"}])
    assert unseal(reasoning["encrypted_content"]).blocks == [block]
    assert message["content"][0]["text"] == "so"


def test_what_belongs_to_a_call_is_sealed_before_it(answered):
    extra = {"google": {"thought_signature": "abc"}}

    response = answered(
        {"content": None, "tool_calls": [{**call("c1", "f", "{}"), "extra_content": extra}]}, "tool_calls"
    )

    reasoning, made = response["output"]
    assert (reasoning["summary"], unseal(reasoning["encrypted_content"]).extras) == ([], {"c1": extra})
    assert made["call_id"] == "c1"


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_answers_that_were_cut(answered, finish, reason):
    response = answered({"content": "hel"}, finish)

    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert (response["output"][0]["status"], response["completed_at"]) == ("incomplete", None)


def test_a_refusal_is_a_part_of_its_own(answered):
    response = answered({"content": "well", "refusal": "no"})

    assert [part["type"] for part in response["output"][0]["content"]] == ["output_text", "refusal"]
    assert response["output"][0]["content"][1]["refusal"] == "no"


def test_sources_and_pictures(answered):
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}

    response = answered(
        {"content": "hello", "annotations": [{"type": "url_citation", "url_citation": citation}], "images": [picture]}
    )

    assert response["output"][0]["content"][0]["annotations"] == []
    assert response["output"][1]["result"] == "aGk="


def test_sources_behind_their_text(answered):
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 5}

    response = answered({"content": "hello", "annotations": [{"type": "url_citation", "url_citation": citation}]})

    assert response["output"][0]["content"][0]["annotations"] == [{"type": "url_citation", **citation}]


def test_an_answer_of_nothing_is_still_one(answered):
    assert answered({"content": ""})["output"] == []


@pytest.mark.parametrize(
    "body",
    [b'{"error":{"message":"no"}}', b"[]", b'{"choices":[]}', b"<html>", b'{"choices":[{"finish_reason":"stop"}]}'],
)
def test_what_is_no_completion_is_an_error(reading, body):
    one = reading()
    one.feed(body)

    with pytest.raises(UpstreamError):
        one.end()


def test_an_answer_that_ends_with_an_error(reading):
    one = reading()
    choice = {"message": {"content": "x"}, "finish_reason": "error"}
    one.feed(msgspec.json.encode({"choices": [choice]}))

    with pytest.raises(BrokeOff):
        one.end()


def test_usage_is_billed(reading):
    one = reading()
    body = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    one.feed(msgspec.json.encode({**body, "service_tier": "flex"}))

    response = msgspec.json.decode(one.end())

    assert (one.usage(), one.service_tier(), response["service_tier"]) == (Usage(input=7, output=3), "flex", "flex")

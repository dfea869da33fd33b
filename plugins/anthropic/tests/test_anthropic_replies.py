"""Whole replies as OpenAI's SDK reads them."""

import msgspec
import pytest
from gateway_anthropic.translator import ToMessages
from openai.types.chat import ChatCompletion

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.translators.chat import ANSWER_TOOL

USED = {"input_tokens": 7, "output_tokens": 3}


def message(*content, stop_reason="end_turn", usage=USED, **more):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    } | more


def text(value, **more):
    return {"type": "text", "text": value, "citations": None, **more}


def test_text(read):
    said, reading = read(message(text("hel"), text("lo")))

    assert said == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 5,
        "model": "claude-sonnet-4-5-20250929",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
    ChatCompletion.model_validate(said, strict=True)
    assert (reading.usage(), reading.is_complete()) == (Usage(input=7, output=3), True)


def test_thinking_text_and_calls(read):
    said, _ = read(
        message(
            {"type": "thinking", "thinking": "hm", "signature": "s1"},
            {"type": "redacted_thinking", "data": "d1"},
            text("Let me see."),
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
            {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
            stop_reason="tool_use",
        )
    )

    [choice] = said["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Let me see.",
        "refusal": None,
        "reasoning_content": "hm",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "hm", "signature": "s1"},
            {"type": "redacted_thinking", "data": "d1"},
        ],
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
            {"id": "toolu_2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
        ],
    }


def test_what_comes_goes_back(read, sent):
    """The next turn of a conversation: blocks, their signatures and ids are the same to the letter."""
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d1"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome", "n": [1, 2.5, None]}},
    ]
    said, _ = read(message(*blocks, stop_reason="tool_use"))
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"}
    tool = {"type": "function", "function": {"name": "weather"}}

    again = [{"role": "user", "content": "hi"}, said["choices"][0]["message"], result]
    body, dropped = sent(messages=again, tools=[tool])

    assert (body["messages"][1]["content"], dropped) == (blocks, ())


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(read, stop_reason, finish_reason):
    """One that says that tools were called needs calls."""
    said, _ = read(message(text("a"), stop_reason=stop_reason))

    assert said["choices"][0]["finish_reason"] == finish_reason


def test_a_refusal_says_why(read):
    details = {"type": "refusal", "category": "bio", "explanation": "I cannot help with that."}

    said, _ = read(message(stop_reason="refusal", stop_details=details))

    message_ = said["choices"][0]["message"]
    assert (message_["content"], message_["refusal"]) == (None, "I cannot help with that.")


def test_no_content_is_still_an_answer(read):
    """litellm PR#40252: without a choice, clients fail."""
    said, _ = read(message())

    assert said["choices"][0]["message"] == {"role": "assistant", "content": "", "refusal": None}


def test_citations(read):
    web = {
        "type": "web_search_result_location",
        "url": "https://a.example/b",
        "title": "B",
        "cited_text": "b is b",
        "encrypted_index": "e",
    }
    page = {
        "type": "page_location",
        "cited_text": "c",
        "document_index": 0,
        "document_title": "a.pdf",
        "start_page_number": 1,
        "end_page_number": 2,
    }

    said, _ = read(message(text("See: "), text("b", citations=[web]), text(" and c", citations=[page])))

    assert said["choices"][0]["message"]["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example/b", "title": "B", "start_index": 5, "end_index": 6},
        },
        {"type": "file_citation", "file_citation": {**page, "start_index": 6, "end_index": 12}},
    ]


def test_the_answer_tool_is_the_answer(read):
    block = {"type": "tool_use", "id": "toolu_1", "name": ANSWER_TOOL, "input": {"name": "Rome"}}

    said, _ = read(message(text("Here:"), block, stop_reason="tool_use"), response_format={"type": "json_object"})

    [choice] = said["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"name":"Rome"}', "stop")
    assert "tool_calls" not in choice["message"]


def test_a_tool_of_the_callers_with_that_name_is_a_tool(read):
    block = {"type": "tool_use", "id": "toolu_1", "name": ANSWER_TOOL, "input": {}}
    tool = {"type": "function", "function": {"name": ANSWER_TOOL}}

    said, _ = read(message(block, stop_reason="tool_use"), tools=[tool])

    assert said["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == ANSWER_TOOL


def test_what_anthropic_did_itself_is_no_call_of_the_callers(read):
    """A search: the caller knows of no such tool."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "b"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    usage = {**USED, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}}

    said, reading = read(message(search, found, text("b"), usage=usage))

    assert said["choices"][0]["message"] == {"role": "assistant", "content": "b", "refusal": None}
    assert reading.usage() == Usage(input=7, output=3, searches=2)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({}, Usage(input=7, output=3)),
        ({"cache_creation_input_tokens": None, "cache_read_input_tokens": None}, Usage(input=7, output=3)),
        ({"cache_read_input_tokens": 100}, Usage(input=7, cache_read=100, output=3)),
        ({"cache_creation_input_tokens": 50}, Usage(input=7, cache_write=50, output=3)),
        (
            {
                "cache_creation_input_tokens": 50,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            },
            Usage(input=7, cache_write=20, cache_write_1h=30, output=3),
        ),
        ({"output_tokens_details": {"thinking_tokens": 2}}, Usage(input=7, output=1, reasoning=2)),
    ],
)
def test_usage_in_classes_that_do_not_overlap(read, told, usage):
    """What comes from the cache is not in `input_tokens`; what was thought is in `output_tokens`."""
    said, reading = read(message(text("a"), usage=USED | told))

    assert reading.usage() == usage
    assert said["usage"]["total_tokens"] == usage.input_tokens + usage.output_tokens


@pytest.mark.parametrize(
    ("asked", "told", "tier"),
    [("auto", "standard", "default"), ("auto", "priority", "priority"), (None, "standard", None)],
)
def test_the_tier(read, asked, told, tier):
    """Who asks for one may get another, and pays for what it got."""
    fields = {"service_tier": asked} if asked else {}

    said, reading = read(message(text("a"), usage={**USED, "service_tier": told}), **fields)

    assert said.get("service_tier") == tier
    assert reading.service_tier() == {"standard": "default", "priority": "priority"}[told]


@pytest.mark.parametrize(
    ("kind", "status"), [("overloaded_error", 529), ("rate_limit_error", 429), ("something_new", 502)]
)
def test_an_error_with_the_status_of_a_reply(streaming, chat, kind, status):
    reading = ToMessages().reading(chat(), Head(200, {}))
    reading.feed(msgspec.json.encode({"type": "error", "error": {"type": kind, "message": "too busy"}}))

    with pytest.raises(Refused) as refused:
        reading.end()

    assert (refused.value.status, refused.value.message, refused.value.code) == (status, "too busy", kind)


@pytest.mark.parametrize(
    "body", [b'{"message":"slow down","status":429}', b'[{"error":{"message":"slow down","code":429}}]']
)
def test_an_error_of_who_stands_in_front_of_it(chat, body):
    """It was no message, and 502."""
    reading = ToMessages().reading(chat(), Head(200, {}))
    reading.feed(body)

    with pytest.raises(Refused) as refused:
        reading.end()

    assert (refused.value.status, refused.value.message) == (429, "slow down")


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"content": 7}', b'{"type":"completion"}'])
def test_what_is_no_message_is_told(chat, body):
    reading = ToMessages().reading(chat(), Head(200, {}))
    reading.feed(body)

    with pytest.raises(BrokeOff):
        reading.end()

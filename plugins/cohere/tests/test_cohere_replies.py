"""Whole replies as OpenAI's SDK reads them."""

import msgspec
import pytest
from gateway_cohere.translator import ToChat
from openai.types.chat import ChatCompletion

from gateway.contract import Head
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.translators.chat import ANSWER_TOOL

USED = {"billed_units": {"input_tokens": 7.0, "output_tokens": 3.0}, "tokens": {"input_tokens": 70, "output_tokens": 9}}


def reply(finish_reason="COMPLETE", usage=USED, logprobs=None, **message):
    more = {"usage": usage, "logprobs": logprobs}
    told = {name: value for name, value in more.items() if value is not None}
    return {"id": "r1", "finish_reason": finish_reason, "message": {"role": "assistant", **message}, **told}


def text(value):
    return {"type": "text", "text": value}


def thinking(value):
    return {"type": "thinking", "thinking": value}


def called(id_, name, arguments):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_text(read):
    said, reading = read(reply(content=[text("hel"), text("lo")]))

    assert said == {
        "id": "r1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
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


def test_thinking_and_text(read):
    said, _ = read(reply(content=[thinking("hm"), text("so")]))

    assert said["choices"][0]["message"] == {
        "role": "assistant",
        "content": "so",
        "refusal": None,
        "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": ""}],
    }


def test_a_plan_and_calls(read):
    calls = [called("c1", "weather", '{"city":"Rome"}'), called("c2", "clock", "")]
    said, _ = read(reply("TOOL_CALL", tool_plan="I will look.", tool_calls=calls))

    assert said["choices"][0]["finish_reason"] == "tool_calls"
    assert said["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "I will look.",
        "tool_calls": [called("c1", "weather", '{"city":"Rome"}'), called("c2", "clock", "{}")],
    }
    ChatCompletion.model_validate(said, strict=True)


def test_the_answer_tool_is_the_answer(read):
    answer = reply("TOOL_CALL", tool_plan="I will answer.", tool_calls=[called("c1", ANSWER_TOOL, '{"a":1}')])
    said, _ = read(answer)
    own, _ = read(answer, tools=[{"type": "function", "function": {"name": ANSWER_TOOL}}])

    assert (said["choices"][0]["message"]["content"], said["choices"][0]["finish_reason"]) == ('{"a":1}', "stop")
    assert own["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TIMEOUT", "length"),
        ("TOOL_CALL", "stop"),  # without any
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(read, told, reason):
    said, _ = read(reply(told, content=[text("a")]))

    assert said["choices"][0]["finish_reason"] == reason


def test_an_empty_answer_is_one_choice(read):
    """xaibo#36: never a 200 without choices."""
    said, _ = read(reply(content=None))

    assert said["choices"][0]["message"]["content"] == ""


DOCUMENT = {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "title": "Penguins", "snippet": "Tall."}}
PAGE = {"type": "document", "id": "doc:1", "document": {"url": "https://example.com/p", "title": "Page"}}
OUTPUT = {"type": "tool", "id": "weather:0", "tool_output": {"temperature": "24"}}


def test_citations(read):
    """Places are counted in one block of content by Cohere, and in the whole answer here."""
    said, _ = read(
        reply(
            content=[thinking("hm"), text("Tall. "), text("24 there.")],
            citations=[
                {"start": 0, "end": 4, "text": "Tall", "sources": [DOCUMENT, PAGE], "content_index": 1},
                {"start": 0, "end": 2, "text": "24", "sources": [OUTPUT], "content_index": 2, "type": "TEXT_CONTENT"},
                {"start": 0, "end": 2, "text": "hm", "sources": [PAGE], "content_index": 0, "type": "THINKING_CONTENT"},
                {"start": 0, "end": 2, "text": "no", "sources": [PAGE], "type": "PLAN"},
            ],
        )
    )

    assert said["choices"][0]["message"]["annotations"] == [
        {
            "type": "file_citation",
            "file_citation": {**DOCUMENT, "cited_text": "Tall", "start_index": 0, "end_index": 4},
        },
        {
            "type": "url_citation",
            "url_citation": {"url": "https://example.com/p", "title": "Page", "start_index": 0, "end_index": 4},
        },
        {"type": "file_citation", "file_citation": {**OUTPUT, "cited_text": "24", "start_index": 6, "end_index": 8}},
    ]


def test_logprobs(read):
    pieces = [{"text": "hé", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}, {"text": "y", "token_ids": [3]}]
    said, _ = read(reply(content=[text("héy")], logprobs=pieces))

    assert said["choices"][0]["logprobs"] == {
        "content": [
            {"token": "hé", "logprob": -0.75, "bytes": [104, 195, 169], "top_logprobs": []},
            {"token": "y", "logprob": 0, "bytes": [121], "top_logprobs": []},
        ],
        "refusal": None,
    }
    ChatCompletion.model_validate(said, strict=True)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (USED, Usage(input=7, output=3)),
        ({"tokens": {"input_tokens": 70, "output_tokens": 9}}, Usage(input=70, output=9)),
        ({"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 7}}, Usage(input=7)),
        ({**USED, "cached_tokens": 60}, Usage(input=7, output=3)),  # all of it Cohere's own, which nobody pays for
        ({**USED, "cached_tokens": 65}, Usage(input=5, cache_read=2, output=3)),
        ({**USED, "cached_tokens": 1000}, Usage(cache_read=7, output=3)),
        ({"tokens": {"input_tokens": 70}, "cached_tokens": 60}, Usage(input=10, cache_read=60)),
        ({"billed_units": {"input_tokens": -1, "output_tokens": 1e300}}, Usage(output=10**9)),
        ({}, Usage()),
    ],
)
def test_usage_is_what_is_paid_for(read, told, usage):
    """Cohere tells twice as much as it takes money for; the classes never overlap."""
    _, reading = read(reply(content=[text("a")], usage=told))

    assert reading.usage() == usage


def test_nothing_told_of_usage(read):
    said, reading = read(reply(content=[text("a")], usage=None))

    assert ("usage" in said, reading.usage()) == (False, None)


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b'{"message":"too busy"}', Refused, 502, "too busy"),
        (b'{"error":{"message":"too busy","code":429}}', Refused, 429, "too busy"),
        (b'[{"error":"too busy","status":429}]', Refused, 429, "too busy"),
        (b'{"id":"1","message":"try again","status":503}', Refused, 503, "try again"),
        (msgspec.json.encode(reply("ERROR", content=[])), Refused, 502, "the provider says that the model has failed"),
        (b'{"id":"1"}', BrokeOff, 502, "the provider's answer is not a reply of Cohere's chat"),
        (b"<html>", BrokeOff, 502, "the provider's answer is not a reply of Cohere's chat"),
        (
            b'{"message":{"content":[{"type":"text","te',
            BrokeOff,
            502,
            "the provider's answer is not a reply of Cohere's",
        ),
        (b"[" * 100_000, BrokeOff, 502, "the provider's answer is not a reply of Cohere's chat"),
    ],
)
def test_a_200_that_is_no_answer(chat, body, kind, status, message):
    """Another provider may still answer."""
    reading = ToChat().reading(chat(), Head(200, {}))
    reading.feed(body)

    with pytest.raises(kind, match=message) as raised:
        reading.end()

    assert (raised.value.status, reading.has_begun) == (status, False)


def test_what_a_failure_used_is_counted(chat):
    reading = ToChat().reading(chat(), Head(200, {}))
    reading.feed(msgspec.json.encode(reply("ERROR")))

    with pytest.raises(Refused):
        reading.end()

    assert reading.usage() == Usage(input=7, output=3)


def test_half_of_a_pair_is_read_as_clients_do(chat):
    reading = ToChat(clock=lambda: 5.5).reading(chat(), Head(200, {}))
    reading.feed(b'{"message":{"content":[{"type":"text","text":"\\ud83d"}]}}')

    assert msgspec.json.decode(reading.end())["choices"][0]["message"]["content"] == "\ufffd"


def test_thoughts_survive_the_round_trip(read, sent):
    said, _ = read(
        reply("TOOL_CALL", content=[thinking("hm")], tool_calls=[called("c1", "weather", '{"city":"Rome"}')])
    )
    message = said["choices"][0]["message"]
    again, dropped = sent(messages=[{"role": "user", "content": "hi"}, message])

    assert again["messages"][1] == {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}],
        "tool_calls": [called("c1", "weather", '{"city":"Rome"}')],
    }
    assert dropped == ()

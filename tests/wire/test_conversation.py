"""Requests and answers as messages, in the form of OpenTelemetry's conventions for generative AI."""

import json

import pytest

from gateway.wire.conversation import answered, asked, texts_changed


def text(content):
    return {"type": "text", "content": content}


def call(id_, name, arguments):
    return {"type": "tool_call", "id": id_, "name": name, "arguments": arguments}


def events(*documents):
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in documents) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (
            {
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {}}],
                    },
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": '{"a": 1}'}}],
                    },
                    {"role": "tool", "tool_call_id": "c1", "content": "2"},
                ]
            },
            [
                {"role": "system", "parts": [text("be brief")]},
                {"role": "user", "parts": [text("look"), {"type": "image_url"}]},
                {"role": "assistant", "parts": [call("c1", "add", {"a": 1})]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "2"}]},
            ],
        ),
        (
            {
                "system": [{"type": "text", "text": "be brief"}],
                "messages": [
                    {"role": "user", "content": "hi"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "hm", "signature": "s"},
                            {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
                        ],
                    },
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "2"}]}
                        ],
                    },
                ],
            },
            [
                {"role": "system", "parts": [text("be brief")]},
                {"role": "user", "parts": [text("hi")]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, call("t1", "add", {"a": 1})]},
                {"role": "user", "parts": [{"type": "tool_call_response", "id": "t1", "response": "2"}]},
            ],
        ),
        (
            {
                "instructions": "be brief",
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                    {"type": "function_call", "call_id": "f1", "name": "add", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "f1", "output": "2"},
                ],
            },
            [
                {"role": "system", "parts": [text("be brief")]},
                {"role": "user", "parts": [text("hi")]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]},
                {"role": "assistant", "parts": [call("f1", "add", "{}")]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "f1", "response": "2"}]},
            ],
        ),
        ({"input": "hi"}, [{"role": "user", "parts": [text("hi")]}]),
        ({"prompt": "once"}, [{"role": "user", "parts": [text("once")]}]),
        ({"input": ["a", "b"]}, [{"role": "user", "parts": [text("a"), text("b")]}]),
        (
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "ho"}]}]},
            [{"role": "user", "parts": [text("hi")]}, {"role": "assistant", "parts": [text("ho")]}],
        ),
        ({"model": "m"}, None),
        ([], None),
    ],
)
def test_what_was_asked(body, messages):
    assert asked(json.dumps(body).encode()) == messages


@pytest.mark.parametrize("body", [b"", b'{"messages": [{"role": "us', b"\xff", b"[" * 5000, b'{"messages": 3}'])
def test_what_cannot_be_read(body):
    assert asked(body) is None
    assert answered(body) is None


CHAT = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hel"}}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}}, {"index": 1, "delta": {"content": "hi"}}]},
    {
        "choices": [
            {
                "index": 0,
                "delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": '{"a"'}}]},
            }
        ]
    },
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 1}},
]
CLAUDE = [
    {"type": "message_start", "message": {"role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t", "name": "add", "input": {}},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a": '}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    {"type": "message_stop"},
]
RESPONSES = [
    {"type": "response.created", "response": {"id": "r", "output": []}},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hel"},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "lo"},
    {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "hello"},
]
WHOLE = {
    "type": "response.completed",
    "response": {
        "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}],
    },
}


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (
            json.dumps({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}).encode(),
            [{"role": "assistant", "parts": [text("hello")], "finish_reason": "stop"}],
        ),
        (
            json.dumps({"choices": [{"text": "hello", "finish_reason": "length"}]}).encode(),
            [{"role": "assistant", "parts": [text("hello")], "finish_reason": "length"}],
        ),
        (
            json.dumps(
                {"role": "assistant", "content": [{"type": "text", "text": "hello"}], "stop_reason": "max_tokens"}
            ).encode(),
            [{"role": "assistant", "parts": [text("hello")], "finish_reason": "length"}],
        ),
        (
            json.dumps(WHOLE["response"]).encode(),
            [{"role": "assistant", "parts": [text("hello")], "finish_reason": "stop"}],
        ),
        (
            events(*CHAT),
            [
                {
                    "role": "assistant",
                    "parts": [text("hello"), call("c1", "add", {"a": 1})],
                    "finish_reason": "tool_call",
                },
                {"role": "assistant", "parts": [text("hi")], "finish_reason": "error"},
            ],
        ),
        (
            events(*CLAUDE),
            [{"role": "assistant", "parts": [text("hello"), call("t", "add", {"a": 1})], "finish_reason": "tool_call"}],
        ),
        (events(*RESPONSES, WHOLE), [{"role": "assistant", "parts": [text("hello")], "finish_reason": "stop"}]),
        (events(*RESPONSES), [{"role": "assistant", "parts": [text("hello")], "finish_reason": "error"}]),
        (
            events(
                {"candidates": [{"content": {"parts": [{"text": "hel"}]}}]},
                {"candidates": [{"content": {"parts": [{"text": "lo"}]}}]},
            ),
            [{"role": "assistant", "parts": [text("hello")], "finish_reason": "error"}],
        ),
        (events(), None),
    ],
)
def test_what_was_answered(body, messages):
    assert answered(body) == messages


@pytest.mark.parametrize("stream", [CHAT, CLAUDE, [*RESPONSES, WHOLE]], ids=["chat", "claude", "responses"])
def test_a_stream_may_be_cut_anywhere(stream):
    """What is kept of one is its beginning."""
    whole = events(*stream)

    for end in range(len(whole)):
        found = answered(whole[:end])
        assert found is None or all(message.keys() == {"role", "parts", "finish_reason"} for message in found)


@pytest.mark.parametrize(
    "odd",
    [None, 3, "x", [], {}, [None], [{"type": 3}], {"role": 3, "content": 3}, [[["x"]]], {"index": [], "delta": 3}],
)
def test_odd_values_break_nothing(odd):
    names = ("messages", "input", "system", "prompt", "contents", "choices", "output", "content", "candidates")
    for name in names:
        for body in ({name: odd}, {name: [odd]}, {name: [{"role": "user", "content": odd, "tool_calls": odd}]}):
            asked(json.dumps(body).encode())
            answered(json.dumps(body | {"role": "assistant"}).encode())
            answered(
                events(body, {"type": "content_block_delta", "index": 0, "delta": odd}, {"choices": [{"delta": odd}]})
            )


def test_texts_are_changed_wherever_they_stand():
    messages = [
        {"role": "tool", "parts": [{"type": "tool_call", "id": "x", "name": "f", "arguments": {"k": ["key", 3]}}]}
    ]

    [message] = texts_changed(messages, lambda text: text.replace("key", "***"))

    assert message["parts"] == [{"type": "tool_call", "id": "x", "name": "f", "arguments": {"k": ["***", 3]}}]

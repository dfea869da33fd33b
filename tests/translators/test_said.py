"""Answers of servers that speak OpenAI's API nearly. Relayed as they are, they reach their callers; translated, each of
these was a 502 or lost something."""

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.translators.said import Choice, completion_of

SAID = {"content": "Hi"}


def completion(**fields):
    return completion_of(msgspec.json.encode(fields))


def choice(**fields):
    return completion(choices=[fields]).choices[0]


def message(**fields):
    return choice(message={**SAID, **fields}).message


# --- fields of odd types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 1.5},
        {"id": {}},
        {"service_tier": 1},
        {"service_tier": {"name": "default"}},
        {"x_groq": "x"},
        {"choices": {"message": SAID}},
        {"choices": [None, {"message": SAID}]},
        {"choices": [{"message": "Hi"}]},
        {"choices": [{"message": SAID, "index": None}]},
        {"choices": [{"message": SAID, "index": "0"}]},
        {"choices": [{"message": SAID, "index": 0.0}]},
        {"choices": [{"message": SAID, "delta": []}]},
    ],
)
def test_an_odd_field_costs_only_itself(odd):
    said = completion(**{"choices": [{"message": SAID}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **odd})

    assert [(each.index, each.message.text) for each in said.choices] == [(0, "Hi")]
    assert said.used == Usage(input=3, output=2)


@pytest.mark.parametrize(
    "odd",
    [
        {"reasoning": 1},
        {"thinking_blocks": "x"},
        {"thinking_blocks": [None]},
        {"tool_calls": "x"},
        {"tool_calls": [None]},
        {"function_call": ""},
        {"refusal": False},
        {"annotations": {}},
        {"annotations": ["http://a"]},
        {"images": {"url": 1}},
    ],
)
def test_an_odd_field_of_a_message_costs_only_itself(odd):
    said = message(**odd)

    assert (said.text, said.thought, said.calls, said.refusal) == ("Hi", "", [], None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (42, "42"),
        (4.5, "4.5"),
        (False, ""),
        ({"type": "text", "text": "Hi"}, "Hi"),
        (["Hi", " there"], "Hi there"),
        ([{"type": "output_text", "text": "Hi"}], "Hi"),
        ([None, {"type": "text", "text": 1}, {"type": "text", "text": "Hi"}], "Hi"),
    ],
)
def test_text_wherever_it_stands(content, text):
    assert message(content=content).text == text


@pytest.mark.parametrize(
    "reasoning",
    [
        {"content": "hm"},
        {"text": "hm"},
        {"summary": [{"type": "summary_text", "text": "hm"}]},
        [{"type": "text", "text": "h"}, "m"],
    ],
)
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_that_are_no_text(name, reasoning):
    said = message(**{name: reasoning})

    assert (said.thought, said.text) == ("hm", "Hi")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"id": "a", "function": None}, ("a", "", "")),
        ({"id": "a", "function": {"name": None, "arguments": "{}"}}, ("a", "", "{}")),
        ({"id": 1.5, "function": {"name": "f", "arguments": [1]}}, (None, "f", "[1]")),
        ({"id": "a", "index": "x", "function": {"name": "f", "arguments": "{}"}}, ("a", "f", "{}")),
        ({"id": "a", "extra_content": "x", "function": {"name": "f", "arguments": 10**30}}, ("a", "f", f"1{30 * '0'}")),
    ],
)
@pytest.mark.parametrize("has_list", [True, False])
def test_calls(call, told, has_list):
    (said,) = message(tool_calls=[call] if has_list else call, refusal=False).calls

    assert (said.id, said.function.name, said.fragment) == told


def test_the_one_call_of_old_servers():
    (call,) = message(function_call={"name": "f", "arguments": "{}"}).calls

    assert (call.id, call.function.name, call.fragment) == (None, "f", "{}")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"{", b'{"choices": 1}', b"[[[["])
def test_what_is_no_completion(body):
    with pytest.raises(BrokeOff, match="not a chat completion"):
        completion_of(body)


def test_an_error_beside_an_odd_field():
    with pytest.raises(Refused, match="too many") as raised:
        completion(id=1.5, error={"message": "too many", "code": 429})

    assert raised.value.status == 429


# --- why it has ended ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("eos", "stop"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("tool_use", "tool_calls"),
        ("sensitive", "content_filter"),
        ("SAFETY", "content_filter"),
        ("abort", "abort"),
        ({"type": "length"}, "length"),
        (1, "stop"),
        ("", None),
        (None, None),
        (False, None),
    ],
)
def test_finish_reasons(told, reason):
    """Of an answer that was cut off, Claude Code has to know that it was."""
    assert choice(finish_reason=told).reason == reason


@pytest.mark.parametrize("reason", ["error", "ERROR", "network_error", "insufficient_system_resource"])
def test_reasons_that_are_errors(reason):
    with pytest.raises(BrokeOff, match="with an error"):
        _ = Choice(finish_reason=reason).reason


# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        lambda usage: {"choices": [{}], "usage": usage},
        lambda usage: {"choices": [{"delta": {}, "finish_reason": "stop", "usage": usage}]},
        lambda usage: {"choices": [{}], "usage": {}, "x_groq": {"id": "req", "usage": usage}},
    ],
)
def test_usage_wherever_it_stands(place):
    """Moonshot tells it in a choice, Groq in a field of its own: translated streams were billed by estimates."""
    said = completion(**place({"prompt_tokens": 3, "completion_tokens": 2}))

    assert said.used == Usage(input=3, output=2)


def test_no_usage():
    assert completion(choices=[{}], x_groq={"id": "req"}).used is None

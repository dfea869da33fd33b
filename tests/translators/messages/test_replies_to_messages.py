"""What chat completions are to callers of the Messages API, whole."""

import msgspec
import pytest

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.translators.messages.sealed import UNSIGNED, sealed

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
SO = {"type": "text", "text": "so"}
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}

PLACE = {
    "type": "char_location",
    "cited_text": "c",
    "document_index": 0,
    "document_title": None,
    "file_id": None,
    "start_char_index": 0,
    "end_char_index": 1,
}


def completion(message, finish="stop", **more):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **more}
    return {"id": "chatcmpl-1", "model": "real-m", "choices": [choice], "usage": USAGE}


def content(answered, message, finish="stop", **more):
    said, _ = answered(completion(message, finish, **more))
    return said["content"]


def test_a_whole_answer(answered):
    """The classes of usage do not overlap: what was cached is no part of the input."""
    said, reading = answered(completion({"content": "hello"}))

    assert said == {
        "id": "msg_new",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 4,
            "cache_read_input_tokens": 20,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 3},
        },
    }
    assert reading.usage() == Usage(input=6, cache_read=20, cache_write=4, output=6, reasoning=3)


@pytest.mark.parametrize(
    ("finish", "message", "stop"),
    [
        ("stop", {"content": "a"}, "end_turn"),
        (None, {"content": "a"}, "end_turn"),
        ("length", {"content": "a"}, "max_tokens"),
        ("tool_calls", {"tool_calls": [CALL]}, "tool_use"),
        ("stop", {"tool_calls": [CALL]}, "tool_use"),
        ("content_filter", {"content": ""}, "refusal"),
        ("stop", {"refusal": "no"}, "refusal"),
        ("something_new", {"content": "a"}, "end_turn"),
    ],
)
def test_why_it_stopped(answered, finish, message, stop):
    """Some servers say `stop` of calls: then agents would not answer them."""
    said, _ = answered(completion(message, finish))

    assert said["stop_reason"] == stop


def test_which_text_stopped_it(answered):
    """vLLM tells."""
    said, _ = answered(completion({"content": "a"}, stop_reason="END"))

    assert (said["stop_reason"], said["stop_sequence"]) == ("stop_sequence", "END")


def test_thinking_that_is_signed(answered):
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
    ]

    found = content(answered, {"content": "so", "reasoning_content": "hm", "thinking_blocks": blocks})

    assert found == [*blocks, {"type": "text", "text": "so"}]


@pytest.mark.parametrize(
    "message",
    [
        {"content": "so", "reasoning_content": "hm"},
        {"content": "so", "reasoning": "hm"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, SO]},
    ],
)
def test_thinking_that_is_not(answered, message):
    assert content(answered, message) == [
        {"type": "thinking", "thinking": "hm", "signature": UNSIGNED},
        {"type": "text", "text": "so"},
    ]


def test_who_wants_no_thinking_gets_none(answered):
    said, _ = answered(completion({"content": "so", "reasoning": "hm"}), thinking={"type": "disabled"})

    assert said["content"] == [{"type": "text", "text": "so"}]


def test_calls(answered):
    """Arguments that are none, and such as are no JSON."""
    calls = [CALL, {**CALL, "id": "call_2", "function": {"name": "g", "arguments": ""}}]
    calls.append({**CALL, "id": "call_3", "function": {"name": "h", "arguments": '{"a":'}})

    found = content(answered, {"content": None, "tool_calls": calls}, "tool_calls")

    assert found == [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
        {"type": "tool_use", "id": "call_3", "name": "h", "input": {"INVALID_JSON": '{"a":'}},
    ]


@pytest.mark.parametrize("calls", [[], [{"id": "call_1", "function": {"arguments": "{}"}}]])
def test_a_call_that_was_announced_and_not_made(answered, calls):
    """Of a tool without a name, or none: agents waited for what they could call."""
    said, _ = answered(completion({"content": "hi", "tool_calls": calls}, "tool_calls"))

    assert (said["content"], said["stop_reason"]) == ([{"type": "text", "text": "hi"}], "end_turn")


def test_what_a_vendor_wants_back_with_a_call(answered):
    """Without its thought signature, Gemini refuses the next turn."""
    extra = {"google": {"thought_signature": "c2ln"}}

    found = content(answered, {"tool_calls": [{**CALL, "extra_content": extra}]}, "tool_calls")

    assert found == [
        {"type": "redacted_thinking", "data": sealed("call_1", extra)},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
    ]


def test_where_it_is_from(answered):
    notes = [
        {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0}},
        {"type": "file_citation", "file_citation": {**PLACE, "start_index": 0, "end_index": 2}},
        {"type": "other"},
    ]

    [block] = content(answered, {"content": "so", "annotations": notes})

    assert block["citations"][0]["url"] == "https://a.example"
    assert block["citations"][1] == PLACE


def test_pictures_are_shown_as_text(answered):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}

    assert content(answered, {"content": "so ", "images": [image]}) == [
        {"type": "text", "text": "so ![image](data:image/png;base64,AA==)"}
    ]


def test_an_empty_answer_has_no_blocks(answered):
    """Blocks of empty text are refused when they come back."""
    assert content(answered, {"content": ""}) == []


@pytest.mark.parametrize("id_", ["", "chatcmpl-7", "msg_1", 7])
def test_messages_have_an_id_of_their_own(answered, id_):
    """InternLM/lmdeploy#4707, ollama/ollama#15089: providers use some again, and Claude Code took two turns for one."""
    said, _ = answered({**completion({"content": "a"}), "id": id_})

    assert said["id"] == "msg_new"


@pytest.mark.parametrize(
    ("body", "raised", "message"),
    [
        ({"error": {"message": "no", "code": 429}}, Refused, "no"),
        ({"object": "error", "message": "no", "code": 400}, Refused, "no"),
        ({"choices": []}, BrokeOff, "no message"),
        ({"choices": 5}, BrokeOff, "not a chat completion"),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}, BrokeOff, "with an error"),
        ([], BrokeOff, "not a chat completion"),
    ],
)
def test_what_is_no_answer(reading, body, raised, message):
    one = reading()
    one.feed(msgspec.json.encode(body))

    with pytest.raises(raised, match=message) as error:
        one.end()

    assert getattr(error.value, "body", None) is None  # it would not be in the caller's words


def test_ids_that_are_numbers_or_are_not_there(answered):
    """Relayed as they are, such answers reach their callers; translated, they were a 502."""
    calls = [{**CALL, "id": 7}, {**CALL, "id": None}]

    said, _ = answered({**completion({"tool_calls": calls}, "tool_calls"), "id": 1})

    first, second = (block["id"] for block in said["content"])
    assert first == "7"
    assert second.startswith("call_")

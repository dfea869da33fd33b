"""Where texts are found in documents, and that others are put where they stood."""

import base64
import json

import pytest

from gateway.wire.wording import MAX_TEXTS, TooManyTexts, Wording, answer_spots, aside_spots, request_spots
from gateway.wire.wording_events import event_wording


def texts(fields, **how):
    return [(spot.role, spot.text) for spot in Wording(request_spots(fields, **how)).spots]


REQUESTS = {
    "chat": (
        {
            "messages": [
                {"role": "developer", "content": "be nice"},
                {"role": "user", "name": "ana", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}]},
                {"role": "tool", "tool_call_id": "t", "content": "42"},
            ]
        },
        [("system", "be nice"), ("user", "hi"), ("tool", "42")],
    ),
    "responses": (
        {
            "instructions": "be nice",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call_output", "call_id": "c", "output": "42"},
            ],
        },
        [("system", "be nice"), ("user", "hi"), ("tool", "42")],
    ),
    "messages": (
        {
            "system": [{"type": "text", "text": "be nice", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "aaaa"}}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"id": "x"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]},
            ],
        },
        [("system", "be nice"), ("assistant", "x"), ("tool", "42")],
    ),
    "gemini": (
        {
            "systemInstruction": {"parts": [{"text": "be nice"}]},
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"url": "x"}}}]},
                {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}]},
            ],
        },
        [("system", "be nice"), ("assistant", "x"), ("user", "hi")],
    ),
    "rerank": ({"query": "q", "documents": ["a", {"text": "b"}]}, [("user", "q"), ("user", "a"), ("user", "b")]),
    "prompts": ({"prompt": ["a", "b"], "model": "m"}, [("user", "a"), ("user", "b")]),
}


@pytest.mark.parametrize(("fields", "found"), REQUESTS.values(), ids=REQUESTS)
def test_what_is_said(fields, found):
    """In the order of `ASKED`; systems first."""
    assert sorted(texts(fields)) == sorted(found)


def test_a_list_of_answers_is_looked_into():
    """Whatever is found in a store, and the prompt that a picture was made of in the end."""
    found = {"data": [{"b64_json": "aaaa", "revised_prompt": "a"}, {"content": [{"type": "text", "text": "b"}]}, "c"]}
    embedded = {"data": [{"embedding": [0.1], "index": 0}], "object": "list"}

    assert [spot.text for spot in answer_spots(found)] == ["a", "b", "c"]
    assert [*answer_spots(embedded)] == []


SUMMARY = "gateway:summary:bWFpbCBhbmE="
THOUGHTS = (
    "gateway:reasoning:"
    + base64.urlsafe_b64encode(
        b'{"blocks":[{"type":"thinking","thinking":"mail ana","signature":"s"}],"extras":{"c":{"google":"t"}}}'
    ).decode()
)


def test_words_that_anybody_can_seal_are_said():
    """A guardrail that is walked around: what stands in base64 where the gateway writes summaries and reasoning, of
    which a model is told as of the rest."""
    given = [
        {"type": "compaction", "encrypted_content": SUMMARY},
        {"type": "reasoning", "encrypted_content": THOUGHTS},
        {"type": "reasoning", "encrypted_content": "of a provider"},
        {"type": "compaction", "encrypted_content": "gateway:summary:/w=="},
        {"type": "reasoning", "encrypted_content": "gateway:reasoning:e30="},
        {"type": "reasoning", "encrypted_content": "gateway:reasoning:W10="},
    ]
    wording = Wording(request_spots({"input": given}))
    assert [spot.text for spot in wording.spots] == ["mail ana", "mail ana"]

    changes = wording.changes(["mail [NAME]", "mail ana"])
    wording.put(changes)

    assert changes == {0: "mail [NAME]"}
    assert [each["encrypted_content"] for each in given[:2]] == ["gateway:summary:bWFpbCBbTkFNRV0=", THOUGHTS]


def test_sealed_thoughts_are_sealed_again():
    answer = {"output": [{"type": "reasoning", "encrypted_content": THOUGHTS}]}
    wording = Wording(answer_spots(answer))

    wording.put(wording.changes(["mail [NAME]"]))

    sealed = answer["output"][0]["encrypted_content"]
    assert json.loads(base64.urlsafe_b64decode(sealed.removeprefix("gateway:reasoning:"))) == {
        "blocks": [{"type": "thinking", "thinking": "mail [NAME]", "signature": "s"}],
        "extras": {"c": {"google": "t"}},
    }


def test_the_last_message_alone():
    fields = {"system": "s", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}

    assert texts(fields, last_only=True) == [("user", "b")]
    assert texts({"prompt": "p"}, last_only=True) == [("user", "p")]


def test_texts_within_json_are_put_back_as_json():
    arguments = '{"a": ["x", 4111111111111111, true, 5], "b": {"url": "y"}}'
    answer = {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}}]}
    wording = Wording(answer_spots(answer))

    assert [spot.text for spot in wording.spots] == ["x", "4111111111111111", "y"]
    wording.put({1: "[CARD]"})

    written = answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(written) == {"a": ["x", "[CARD]", True, 5], "b": {"url": "y"}}


@pytest.mark.parametrize("arguments", ['{"a": "x', "5", '"x"', "", "[" * 10_000])
def test_what_is_no_json_after_all_is_one_text(arguments):
    answer = {"arguments": arguments}
    wording = Wording(answer_spots(answer))

    assert [spot.text for spot in wording.spots] == ([arguments] if arguments else [])


def test_there_is_a_limit():
    with pytest.raises(TooManyTexts):
        Wording(answer_spots(["a"] * (MAX_TEXTS + 1)))


@pytest.mark.parametrize("place", [lambda deep: deep, lambda deep: {"input": {"a": deep}}])
def test_nobody_hides_by_depth(place):
    """A secret 130 lists down was passed over, and went out."""
    deep = "a"
    for _ in range(200):
        deep = [deep]

    with pytest.raises(TooManyTexts, match="nested deeper than 128"):
        Wording(answer_spots(place(deep)))
    with pytest.raises(TooManyTexts, match="nested deeper than 128"):
        event_wording({"choices": [{"delta": {"content": deep}}]})


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ({"tools": [{"function": {"name": "f", "description": "d", "parameters": {"url": {"enum": ["e"]}}}}]}, "fde"),
        ({"user": "u"}, "u"),
        ({"stop": ["a", "b"]}, "ab"),
        ({"seed": 4111111111111111, "temperature": 1.5, "store": True, "metadata": None}, ""),
    ],
)
def test_what_stands_aside_counts_whatever_it_is_called(field, found):
    spots = [spot for name in field for spot in aside_spots(name, field)]

    assert "".join(spot.text for spot in spots) == found
    assert {spot.role for spot in spots} <= {"system"}


def test_names_are_texts_where_any_may_stand():
    """Tools are called with objects by mail address, which went out."""
    arguments = {"to": {"ana@example.com": "hi", "bo@example.com": {"x": "y"}}, "an_ordinary_name": 1}
    answer = {"tool_calls": [{"name": "f", "arguments": json.dumps(arguments)}, {"name": "g", "input": arguments}]}
    wording = Wording(answer_spots(answer))
    found = [spot.text for spot in wording.spots]

    assert found == ["ana@example.com", "hi", "bo@example.com", "y", "an_ordinary_name"] * 2
    wording.put(dict.fromkeys((0, 1, 2, 5, 6, 7), "[EMAIL]"))
    wording.put({3: "z", 8: "z"})

    expected = {"to": {"[EMAIL]": "[EMAIL]", "[EMAIL] 2": {"x": "z"}}, "an_ordinary_name": 1}
    assert json.loads(answer["tool_calls"][0]["arguments"]) == expected
    assert answer["tool_calls"][1]["input"] == expected
    assert [spot.holder[spot.key] for spot in wording.spots[:4]] == ["[EMAIL]", "[EMAIL]", "[EMAIL] 2", "z"]


def test_a_number_is_one_however_it_is_written():
    fields = {"input": {"a": 4111111111111111.0, "b": 1e-9, "c": 1234567.5, "d": 1e300}}

    assert [spot.text for spot in Wording(answer_spots(fields)).spots][:1] == ["4111111111111111"]
    assert len(Wording(answer_spots(fields)).spots) == 2


@pytest.mark.parametrize(
    ("event", "pieces", "closed"),
    [
        (
            {"choices": [{"index": 1, "delta": {"role": "assistant", "content": "a"}}]},
            [((1, "delta", "content"), "a")],
            (),
        ),
        ({"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": "stop"}]}, [], (0,)),
        ({"choices": [{"index": 0, "text": "a"}]}, [((0, "text"), "a")], ()),
        ({"choices": [], "usage": {"prompt_tokens": 1}}, [], ()),
        ({"type": "content_block_stop", "index": 2}, [], (2,)),
        ({"type": "message_start", "message": {"id": "m", "model": "x", "content": []}}, [], ()),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "a"}},
            [((1, "thinking"), "a")],
            (),
        ),
        (
            {"type": "content_block_delta", "index": 1, "delta": {"type": "signature_delta", "signature": "a"}},
            [],
            (),
        ),
        (
            {"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{"},
            [((3, "response.function_call_arguments.delta", None, None), "{")],
            (),
        ),
        ({"type": "response.output_text.done", "output_index": 3, "text": "a"}, [(None, "a")], (3,)),
        ({"error": {"message": "a", "code": None}}, [(None, "a")], ()),
        ([1, "a"], [(None, "a")], ()),
        (5, [], ()),
    ],
)
def test_what_an_event_adds(event, pieces, closed):
    wording = event_wording(event)

    assert [(slot, spot.text) for slot, spot in wording.pieces] == pieces
    assert wording.closed == closed


@pytest.mark.parametrize("number", [[0], {"a": 1}, 1.5, True])
@pytest.mark.parametrize(
    "event",
    [
        lambda number: {"choices": [{"index": number, "delta": {"content": "a"}, "finish_reason": "stop"}]},
        lambda number: {"choices": [{"delta": {"tool_calls": [{"index": number, "function": {"arguments": "a"}}]}}]},
        lambda number: {"type": "content_block_delta", "index": number, "delta": {"text": "a"}},
        lambda number: {"type": "response.output_text.delta", "output_index": number, "delta": "a"},
        lambda number: {"type": "response.output_text.done", "output_index": number, "text": "a"},
    ],
)
def test_numbers_that_are_none(event, number):
    """A list in the place of an index broke a stream under guardrails: nothing is looked up by one."""
    wording = event_wording(event(number))

    assert [spot.text for _, spot in wording.pieces] == ["a"]
    assert hash((tuple(slot for slot, _ in wording.pieces), wording.closed))

"""What models answer, whole and in chunks, as the Gemini API says it."""

import json

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, UpstreamError
from gateway.translators.gemini.sealed import Kept, unsealed

TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.0}'}}
CALL = {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1.0}}}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
USED = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 3,
    "totalTokenCount": 14,
    "cachedContentTokenCount": 4,
    "thoughtsTokenCount": 2,
}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s1"}
REDACTED = {"type": "redacted_thinking", "data": "d1"}
SHOWN = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}


def choice(finish="stop", index=0, **message):
    return {"index": index, "message": {"role": "assistant", **message}, "finish_reason": finish}


def whole(reading, *choices, **fields):
    """The answer, which Google's own types have to know all of."""
    made = reading(**fields)
    made.feed(msgspec.json.encode({"id": "r1", "choices": list(choices), "usage": USAGE}))
    body = json.loads(made.end())
    types.GenerateContentResponse.model_validate(body)
    return body, made


def kept_in(part):
    return unsealed(part["thoughtSignature"])


# --- whole -----------------------------------------------------------------------------------------------------------


def test_an_answer(reading):
    body, made = whole(reading, choice(content="hello"))

    assert body == {
        "candidates": [
            {"content": {"parts": [{"text": "hello"}], "role": "model"}, "finishReason": "STOP", "index": 0},
        ],
        "usageMetadata": USED,
        "modelVersion": "m",
        "responseId": "r1",
    }
    assert made.usage() == Usage(input=5, cache_read=4, output=3, reasoning=2)


@pytest.mark.parametrize(
    ("message", "finish", "parts", "reason"),
    [
        ({"content": "a"}, "length", [{"text": "a"}], "MAX_TOKENS"),
        ({"content": "a"}, "content_filter", [{"text": "a"}], "SAFETY"),
        ({"content": None, "refusal": "no"}, "stop", [{"text": "no"}], "SAFETY"),
        ({"content": "a"}, "something", [{"text": "a"}], "OTHER"),
        ({"content": None}, "stop", [{"text": ""}], "STOP"),
        ({"content": [{"type": "text", "text": "a"}]}, "stop", [{"text": "a"}], "STOP"),
        ({"content": "a", "tool_calls": [TOOL_CALL]}, "tool_calls", [{"text": "a"}, CALL], "STOP"),
        (
            {"tool_calls": [{**TOOL_CALL, "function": {"name": "f", "arguments": '{"a": '}}]},
            "tool_calls",
            [{"text": ""}],
            "MALFORMED_FUNCTION_CALL",
        ),
        (
            {"tool_calls": [{**TOOL_CALL, "function": {"name": "f", "arguments": '{"a": '}}]},
            "length",
            [{"text": ""}],
            "MAX_TOKENS",
        ),
        (
            {"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": ""}}]},
            "stop",
            [{"functionCall": {"id": "call_new", "name": "f", "args": {}}}],
            "STOP",
        ),
        (
            {"content": None, "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            "stop",
            [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
            "STOP",
        ),
        (
            {"tool_calls": [{**TOOL_CALL, "extra_content": {"google": {"thought_signature": "AA=="}}}]},
            "tool_calls",
            [{**CALL, "thoughtSignature": "AA=="}],
            "STOP",
        ),
        ({"content": "a", "reasoning_content": "hm"}, "stop", [{"text": "a"}], "STOP"),
    ],
)
def test_what_is_said_and_why_it_ended(reading, message, finish, parts, reason):
    body, _ = whole(reading, choice(finish, **message))

    [candidate] = body["candidates"]
    assert (candidate["content"]["parts"], candidate["finishReason"]) == (parts, reason)


def test_several_answers(reading):
    body, _ = whole(reading, choice(content="a"), choice("length", 1, content="b"))

    assert [(each["index"], each["finishReason"]) for each in body["candidates"]] == [(0, "STOP"), (1, "MAX_TOKENS")]


def test_where_it_is_from(reading):
    cited = {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A", "start_index": 0}}

    body, _ = whole(reading, choice(content="a", annotations=[cited]))

    assert body["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}]
    }


def test_thoughts_are_shown_to_who_asks_for_them(reading):
    body, _ = whole(reading, choice(content="a", reasoning_content="hm"), **SHOWN)

    assert body["candidates"][0]["content"]["parts"] == [{"text": "hm", "thought": True}, {"text": "a"}]


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ({"content": "a", "reasoning_content": "hm", "thinking_blocks": [SIGNED]}, Kept([SIGNED])),
        ({"content": "a", "thinking_blocks": [SIGNED, REDACTED]}, Kept([SIGNED, REDACTED])),
        ({"content": None, "thinking_blocks": [REDACTED]}, Kept([REDACTED])),
        ({"tool_calls": [TOOL_CALL], "thinking_blocks": [SIGNED]}, Kept([SIGNED])),
        ({"tool_calls": [TOOL_CALL], "reasoning_content": "hm"}, Kept(reasoning="hm")),
        ({"tool_calls": [{**TOOL_CALL, "extra_content": {"x": 1}}]}, Kept(extra={"x": 1})),
    ],
)
def test_what_others_want_back_is_in_a_signature(reading, message, kept):
    """Whether the thoughts themselves are shown or not."""
    body, _ = whole(reading, choice(**message))

    [part] = body["candidates"][0]["content"]["parts"]
    assert kept_in(part) == kept
    assert "thought" not in part


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"choices":[]}', "no message"),
        (b'{"error":{"message":"out of memory"}}', "out of memory"),
        (b"<html>", "not a chat completion"),
        (b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}', "with an error"),
    ],
)
def test_what_is_no_answer(reading, body, words):
    made = reading()
    made.feed(body)

    with pytest.raises(UpstreamError, match=words):
        made.end()


# --- streams ---------------------------------------------------------------------------------------------------------


def delta(finish=None, index=0, **said):
    return {"id": "r1", "choices": [{"index": index, "delta": said, "finish_reason": finish}]}


def stream_of(*chunks, done=True, usage=True):
    events = [*chunks, *([{"id": "r1", "choices": [], "usage": USAGE}] if usage else ())]
    data = b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events)
    return data + b"data: [DONE]\n\n" if done else data


def checked(out):
    """The events, if they keep to the grammar of such a stream.

    Each is known to Google's types, of one answer and one model. A candidate ends once, in the last event, in which
    alone is what was used; calls come whole.
    """
    pieces = out.split(b"\n\n")
    assert pieces.pop() == b""
    events = [json.loads(piece.removeprefix(b"data: ")) for piece in pieces]
    for number, event in enumerate(events):
        types.GenerateContentResponse.model_validate(event)
        assert (event["responseId"], event["modelVersion"]) == ("r1", "m")
        is_last = number == len(events) - 1
        assert ("usageMetadata" in event) <= is_last
        for candidate in event["candidates"]:
            assert candidate["content"]["role"] == "model"
            assert candidate["content"]["parts"]
            assert ("finishReason" in candidate) == is_last
            for part in candidate["content"]["parts"]:
                assert len(part.keys() & {"text", "functionCall", "inlineData", "fileData"}) == 1
    return events


def read(reading, data, **fields):
    made = reading(is_stream=True, **fields)
    out = made.feed(data)
    out += made.end()
    assert made.is_complete()
    return out


def parts_of(events, index=0):
    return [
        part
        for event in events
        for candidate in event["candidates"]
        for part in candidate["content"]["parts"]
        if candidate["index"] == index
    ]


def piece(index, arguments, **more):
    return {"index": index, "function": {"arguments": arguments, **more}}


ALL = stream_of(
    delta(role="assistant", content=""),
    delta(reasoning_content="h"),
    delta(reasoning_content="m"),
    delta(thinking_blocks=[SIGNED]),
    delta(content="hé"),
    delta(content="llo"),
    delta(tool_calls=[{**piece(0, "", name="f"), "id": "c1", "type": "function"}]),
    delta(tool_calls=[piece(0, '{"a": ')]),
    delta(tool_calls=[{**piece(1, '{"b":', name="g"), "id": "c2", "type": "function"}]),
    delta(tool_calls=[piece(0, "1.0}"), piece(1, "2}")]),
    delta("tool_calls"),
)


def test_a_stream(reading):
    events = checked(read(reading, ALL, **SHOWN))

    parts = parts_of(events)
    assert kept_in(parts[2]) == Kept([SIGNED])
    del parts[2]["thoughtSignature"]
    assert parts == [
        {"text": "h", "thought": True},
        {"text": "m", "thought": True},
        {"text": "hé"},
        {"text": "llo"},
        CALL,
        {"functionCall": {"id": "c2", "name": "g", "args": {"b": 2}}},
    ]
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    assert events[-1]["usageMetadata"] == USED


def test_cut_at_every_byte(reading):
    expected = read(reading, ALL)
    for place in range(1, len(ALL)):
        made = reading(is_stream=True)
        assert made.feed(ALL[:place]) + made.feed(ALL[place:]) + made.end() == expected


def test_byte_by_byte(reading):
    made = reading(is_stream=True)

    out = b"".join(made.feed(bytes([byte])) for byte in ALL) + made.end()

    assert out == read(reading, ALL)


def test_each_place_where_it_may_break_off(reading):
    """Before there is an end, nothing looks like one."""
    end = ALL.index(b'"finish_reason":"tool_calls"')
    for place in range(len(stream_of(delta(role="assistant"), usage=False, done=False)) + 40, end):
        made = reading(is_stream=True)
        out = made.feed(ALL[:place])
        try:
            out += made.end()
        except BrokeOff:
            continue
        assert not made.is_complete()
        assert b"finishReason" not in out


@pytest.mark.parametrize(
    ("chunks", "parts", "reason"),
    [
        ([delta(content="a"), delta("length")], [{"text": "a"}, {"text": ""}], "MAX_TOKENS"),
        ([delta(refusal="no"), delta("stop")], [{"text": "no"}, {"text": ""}], "SAFETY"),
        ([delta("content_filter")], [{"text": ""}], "SAFETY"),
        ([delta("stop", content="a")], [{"text": "a"}, {"text": ""}], "STOP"),
        ([delta("tool_calls", tool_calls=[{**TOOL_CALL, "index": 0}])], [CALL], "STOP"),
        ([delta("tool_calls", tool_calls=[TOOL_CALL])], [CALL], "STOP"),
        ([delta("length", tool_calls=[piece(0, '{"a', name="f")])], [{"text": ""}], "MAX_TOKENS"),
        ([delta("stop", tool_calls=[piece(0, '{"a', name="f")])], [{"text": ""}], "MALFORMED_FUNCTION_CALL"),
        ([delta(tool_calls=[piece(0, "{}")]), delta("stop")], [{"text": ""}], "STOP"),
    ],
)
def test_how_streams_end(reading, chunks, parts, reason):
    events = checked(read(reading, stream_of(*chunks)))

    assert (parts_of(events), events[-1]["candidates"][0]["finishReason"]) == (parts, reason)


def test_thoughts_without_an_answer_behind_them(reading):
    events = checked(read(reading, stream_of(delta(thinking_blocks=[REDACTED]), delta("stop"))))

    [part] = parts_of(events)
    assert (part["text"], kept_in(part)) == ("", Kept([REDACTED]))


def test_thoughts_in_pieces_that_are_told_nowhere_else(reading):
    pieces = [{"type": "thinking", "thinking": text} for text in ("h", "m")]
    signed = {"type": "thinking", "thinking": "", "signature": "s1"}
    chunks = [delta(thinking_blocks=[each]) for each in (*pieces, signed)]

    parts = parts_of(checked(read(reading, stream_of(*chunks, delta("stop", content="a")), **SHOWN)))

    assert parts[:2] == [{"text": "h", "thought": True}, {"text": "m", "thought": True}]
    assert kept_in(parts[2]) == Kept([SIGNED])


def test_several_answers_in_a_stream(reading):
    chunks = [delta(content="a"), delta(index=1, content="b"), delta("stop"), delta("length", 1)]

    events = checked(read(reading, stream_of(*chunks)))

    assert [parts_of(events, index) for index in (0, 1)] == [
        [{"text": "a"}, {"text": ""}],
        [{"text": "b"}, {"text": ""}],
    ]
    assert [each["finishReason"] for each in events[-1]["candidates"]] == ["STOP", "MAX_TOKENS"]


def test_a_finish_reason_is_an_end(reading):
    """Some leave out `[DONE]`."""
    out = read(reading, stream_of(delta(content="a"), delta("stop"), done=False))

    assert checked(out)[-1]["usageMetadata"] == USED


@pytest.mark.parametrize("data", [b"", b"data: [DONE]\n\n", b": nothing\n\n", b'data: {"error":{"message":"x"}}\n\n'])
def test_what_ends_before_it_begins(reading, data):
    with pytest.raises(UpstreamError):
        read(reading, data)


def test_an_error_behind_content(reading):
    """What came before is passed on first."""
    made = reading(is_stream=True)

    out = made.feed(stream_of(delta(content="a"), {"error": {"message": "out of memory"}}, done=False))

    assert b'"text":"a"' in out
    with pytest.raises(BrokeOff, match="out of memory"):
        made.end()


@given(
    texts=st.lists(st.text(max_size=9), max_size=4),
    calls=st.lists(st.text(max_size=9) | st.just("{}"), max_size=3),
    finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    thoughts=st.lists(st.sampled_from([SIGNED, REDACTED, {"type": "thinking", "thinking": "x"}]), max_size=3),
)
def test_whatever_is_said_keeps_to_the_grammar(reading, texts, calls, finish, thoughts):
    chunks = [delta(thinking_blocks=[block]) for block in thoughts]
    chunks += [delta(content=text) for text in texts]
    chunks += [delta(tool_calls=[{**piece(n, text, name="f"), "id": f"c{n}"}]) for n, text in enumerate(calls)]

    events = checked(read(reading, stream_of(*chunks, delta(finish)), **SHOWN))

    said = "".join(part["text"] for part in parts_of(events) if "text" in part and not part.get("thought"))
    assert said == "".join(texts)

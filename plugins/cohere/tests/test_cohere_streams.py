"""Streamed replies: a state machine whose events come in any pieces."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.translators.chat import ANSWER_TOOL

START = {
    "type": "message-start",
    "id": "r1",
    "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}},
}
USED = {"billed_units": {"input_tokens": 7, "output_tokens": 9}, "tokens": {"input_tokens": 70, "output_tokens": 20}}
SOURCE = {"type": "document", "id": "doc:0", "document": {"title": "Penguins"}}


def content(index, kind, *pieces):
    def event(name, **fields):
        return {"type": f"content-{name}", "index": index, "delta": {"message": {"content": fields}}}

    begin = event("start", type=kind, **{kind: ""})
    return [begin, *(event("delta", **{kind: piece}) for piece in pieces), {"type": "content-end", "index": index}]


def plan(text):
    return {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": text}}}


def tool(index, id_, name, *pieces, first=""):
    def event(kind, calls):
        return {"type": f"tool-call-{kind}", "index": index, "delta": {"message": {"tool_calls": calls}}}

    begin = event("start", {"id": id_, "type": "function", "function": {"name": name, "arguments": first}})
    more = [event("delta", {"function": {"arguments": piece}}) for piece in pieces]
    return [begin, *more, {"type": "tool-call-end", "index": index}]


def cited(index, start, end, text, **more):
    citation = {"start": start, "end": end, "text": text, "sources": [SOURCE], **more}
    begin = {"type": "citation-start", "index": index, "delta": {"message": {"citations": citation}}}
    return [begin, {"type": "citation-end", "index": index}]


def finish(reason="COMPLETE", usage=USED, **more):
    return {"type": "message-end", "id": "r1", "delta": {"finish_reason": reason, "usage": usage, **more}}


THOUGHTFUL = content(0, "thinking", "h", "m")
ANSWER = content(1, "text", "It ", "is ", 'séé "it"')
WHOLE = [
    START,
    {"type": "debug", "prompt": "..."},
    *THOUGHTFUL,
    plan("I will"),
    plan(" look."),
    *ANSWER,
    *cited(0, 0, 5, "It is", content_index=1, type="TEXT_CONTENT"),
    *tool(0, "c1", "weather", '{"city"', ':"Rome"}'),
    *tool(1, "c2", "clock"),
    finish("TOOL_CALL"),
]


def chunks_in(stream):
    """Each chunk as the SDK's type has it; the stream ends with `[DONE]`, once."""
    lines = stream.decode().split("\n\n")
    assert (lines[-2:], lines.count("data: [DONE]")) == (["data: [DONE]", ""], 1)
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {("r1", 5, "m")}
    return chunks


def deltas(stream):
    return [choice["delta"] for chunk in chunks_in(stream) for choice in chunk["choices"] if choice["delta"]]


def gathered(stream):
    """The message that a client puts together."""
    message = {"content": "", "reasoning": "", "blocks": [], "calls": [], "annotations": 0, "finish": None}
    for chunk in chunks_in(stream):
        for choice in chunk["choices"]:
            assert message["finish"] is None
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning"] += delta.get("reasoning_content") or ""
            message["blocks"] += [block["thinking"] for block in delta.get("thinking_blocks") or []]
            message["annotations"] += len(delta.get("annotations") or [])
            message["finish"] = choice["finish_reason"]
            for call in delta.get("tool_calls") or []:
                if "id" in call:
                    assert call["index"] == len(message["calls"])
                    message["calls"].append([call["id"], call["function"]["name"], ""])
                message["calls"][call["index"]][2] += call["function"]["arguments"]
    return message


def test_each_event_goes_on_as_it_comes(streaming, events):
    reading = streaming()

    stream = b"".join([reading.feed(events(event)) for event in WHOLE])

    assert reading.is_over
    assert deltas(stream) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "h"},
        {"reasoning_content": "m"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": ""}]},
        {"reasoning_content": "I will"},
        {"reasoning_content": " look."},
        {"content": "It "},
        {"content": "is "},
        {"content": 'séé "it"'},
        {
            "annotations": [
                {
                    "type": "file_citation",
                    "file_citation": {**SOURCE, "cited_text": "It is", "start_index": 0, "end_index": 5},
                }
            ]
        },
        {
            "tool_calls": [
                {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ':"Rome"}'}}]},
        {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "clock", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]
    last, used = chunks_in(stream)[-2:]
    assert (last["choices"][0]["finish_reason"], used["choices"]) == ("tool_calls", [])
    assert (used["usage"]["prompt_tokens"], used["usage"]["completion_tokens"]) == (7, 9)
    assert (reading.usage(), reading.is_complete()) == (Usage(input=7, output=9), True)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_cut_at_every_byte(streaming, events, line_end):
    """What comes out does not depend on how it came in."""
    body = events(*WHOLE).replace(b"\n", line_end)
    whole = streaming()
    expected = gathered(whole.feed(body) + whole.end())

    for at in range(1, len(body)):
        reading = streaming()
        assert gathered(reading.feed(body[:at]) + reading.feed(body[at:]) + reading.end()) == expected

    assert expected == {
        "content": 'It is séé "it"',
        "reasoning": "hmI will look.",
        "blocks": ["hm"],
        "calls": [["c1", "weather", '{"city":"Rome"}'], ["c2", "clock", "{}"]],
        "annotations": 1,
        "finish": "tool_calls",
    }


blocks = st.one_of(
    st.tuples(st.just("text"), st.lists(st.text(), max_size=3)),
    st.tuples(st.just("thinking"), st.lists(st.text(), max_size=3)),
)
calls = st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=3), max_size=3)


@settings(max_examples=100)
@given(st.lists(blocks, max_size=4), calls, st.integers(1, 50))
def test_nothing_is_lost(streaming, events, said, arguments, size):
    """Whatever it says, in whatever pieces: indexes rise, and each text is there, once."""
    told = [START]
    for index, (kind, pieces) in enumerate(said):
        told += content(index, kind, *pieces)
    written = [json.dumps(each) for each in arguments]
    for index, each in enumerate(written):
        told += tool(index, f"c{index}", "f", each[:3], each[3:])
    body = events(*told, finish("TOOL_CALL" if written else "COMPLETE"))
    reading = streaming()

    stream = b"".join(reading.feed(body[at : at + size]) for at in range(0, len(body), size))

    message = gathered(stream)
    assert message["content"] == "".join("".join(pieces) for kind, pieces in said if kind == "text")
    assert message["reasoning"] == "".join("".join(pieces) for kind, pieces in said if kind == "thinking")
    assert [each for _, _, each in message["calls"]] == written
    assert message["finish"] == ("tool_calls" if written else "stop")


def test_the_answer_tool_is_the_answer(streaming, events):
    reading = streaming()

    stream = reading.feed(events(START, *tool(0, "c1", ANSWER_TOOL, '{"a"', ":1}"), finish("TOOL_CALL")))

    message = gathered(stream)
    assert (message["content"], message["calls"], message["finish"]) == ('{"a":1}', [], "stop")


def test_arguments_that_come_with_the_call(streaming, events):
    """LL#25321: they were lost, and a coding agent called its tools with nothing, again and again."""
    stream = streaming().feed(events(START, *tool(0, "c1", "f", first='{"a":1}'), finish("TOOL_CALL")))

    assert gathered(stream)["calls"] == [["c1", "f", '{"a":1}']]


def test_citations_are_placed_in_the_whole_answer(streaming, events):
    told = [*content(0, "text", "abc"), *content(1, "text", "def"), *cited(0, 1, 2, "e", content_index=1)]
    stream = streaming().feed(events(START, *told, *cited(1, 0, 1, "p", type="PLAN"), finish()))

    [annotation] = [annotation for delta in deltas(stream) for annotation in delta.get("annotations", [])]
    assert (annotation["file_citation"]["start_index"], annotation["file_citation"]["end_index"]) == (4, 5)


def test_logprobs(streaming, events):
    begin, more, end = content(0, "text", "a")
    more["logprobs"] = {"text": "a", "token_ids": [1], "logprobs": [-0.5]}
    stream = streaming(logprobs=True).feed(events(START, begin, more, end, finish()))

    told = [choice["logprobs"] for chunk in chunks_in(stream) for choice in chunk["choices"]]
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    assert told == [None, None, {"content": [token], "refusal": None}, None]


def test_usage_only_where_it_is_asked_for(streaming, events):
    reading = streaming(stream_options=None)
    stream = reading.feed(events(START, *content(0, "text", "a"), finish()))

    assert [chunk["choices"] == [] for chunk in chunks_in(stream)] == [False, False, False]
    assert reading.usage() == Usage(input=7, output=9)


def test_a_stream_that_does_not_say_that_it_starts(streaming, events):
    """Portkey-AI/gateway#1399: no role came first, and clients left out all that followed."""
    stream = streaming().feed(events(*content(0, "text", "a"), finish()))

    assert stream.startswith(b'data: {"id":""')
    assert stream.index(b'{"role":"assistant","content":""}') < stream.index(b'{"content":"a"}')


def test_nothing_follows_the_end(streaming, events):
    """LL#40345: a stream had two ends."""
    reading = streaming()
    stream = reading.feed(events(START, finish(), finish(), *content(0, "text", "late")) + b"data: [DONE]\n\n")

    assert gathered(stream + reading.end())["content"] == ""


def test_a_stream_that_breaks_off_is_not_complete(streaming, events):
    reading = streaming()
    reading.feed(events(START, *content(0, "text", "a")) + b"data: [DONE]\n\n")
    reading.end()

    assert (reading.is_complete(), reading.is_over, reading.usage()) == (False, False, None)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (finish("ERROR"), "the provider says that the model has failed"),
        (finish("ERROR", error="out of memory"), "out of memory"),
        ({"message": "out of memory"}, "out of memory"),
        ({"type": "error", "message": "out of memory"}, "out of memory"),
    ],
)
def test_errors(streaming, events, event, message):
    """Before there is an answer another provider may give one; later the stream breaks."""
    data = b"data: %b\n\n" % msgspec.json.encode(event)
    first, later = streaming(), streaming()

    with pytest.raises(Refused, match=message):
        first.feed(events(START) + data) + first.end()
    out = later.feed(events(START, *content(0, "text", "a")) + data)
    with pytest.raises(BrokeOff, match=message):
        later.end()

    assert b'"content":"a"' in out
    assert (first.has_begun, later.is_complete()) == (False, False)


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"type":7}', b'{"type":"content-delta","delta":{"message":7}}'])
def test_what_is_no_event(streaming, data):
    with pytest.raises(BrokeOff, match="none of Cohere's chat"):
        streaming().feed(b"data: %b\n\n" % data)


def test_arguments_of_no_call(streaming, events):
    with pytest.raises(BrokeOff, match="did not begin"):
        streaming().feed(events(tool(0, "c1", "f", "{}")[1]))

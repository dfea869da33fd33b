"""Streamed replies: a state machine whose events come in any pieces."""

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.testing import growth
from gateway.translators.chat import ANSWER_TOOL

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 1},
    },
}
STOP = {"type": "message_stop"}
PING = {"type": "ping"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}


def begin(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index, type_, **delta):
    return {"type": "content_block_delta", "index": index, "delta": {"type": type_, **delta}}


def stop(index):
    return {"type": "content_block_stop", "index": index}


def finish(reason="end_turn", output_tokens=9, **usage):
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens, **usage}}


def text(index, *pieces):
    return [begin(index, type="text", text=""), *(more(index, "text_delta", text=each) for each in pieces), stop(index)]


def tool(index, id_, name, *pieces):
    block = begin(index, type="tool_use", id=id_, name=name, input={})
    return [block, *(more(index, "input_json_delta", partial_json=each) for each in pieces), stop(index)]


WHOLE = [
    START,
    PING,
    begin(0, type="thinking", thinking="", signature=""),
    more(0, "thinking_delta", thinking="h"),
    more(0, "thinking_delta", thinking="m"),
    more(0, "signature_delta", signature="s1"),
    stop(0),
    begin(1, type="redacted_thinking", data="d1"),
    stop(1),
    *text(2, "Let ", "me ", 'séé "it"'),
    *tool(3, "toolu_1", "weather", "", '{"city"', ':"Rome"}'),
    *tool(4, "toolu_2", "clock"),
    finish("tool_use"),
    STOP,
]


def chunks_in(stream):
    """Each chunk as the SDK's type has it; the stream ends with `[DONE]`, once."""
    lines = stream.decode().split("\n\n")
    assert (lines[-2:], lines.count("data: [DONE]")) == (["data: [DONE]", ""], 1)
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert {(chunk["id"], chunk["created"]) for chunk in chunks} == {("msg_1", 5)}
    return chunks


def deltas(stream):
    return [choice["delta"] for chunk in chunks_in(stream) for choice in chunk["choices"] if choice["delta"]]


def gathered(stream):
    """The message that a client puts together."""
    message = {"content": "", "reasoning": "", "blocks": [], "calls": [], "annotations": [], "finish": None}
    for chunk in chunks_in(stream):
        for choice in chunk["choices"]:
            assert message["finish"] is None
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning"] += delta.get("reasoning_content") or ""
            message["blocks"] += delta.get("thinking_blocks") or []
            message["annotations"] += delta.get("annotations") or []
            message["finish"] = choice["finish_reason"]
            for call in delta.get("tool_calls") or []:
                if "id" in call:
                    assert call["index"] == len(message["calls"])
                    message["calls"].append([call["id"], call["function"]["name"], ""])
                message["calls"][call["index"]][2] += call["function"]["arguments"]
    return message


def test_each_event_goes_on_as_it_comes(streaming, events):
    reading = streaming()

    out = [reading.feed(events(event)) for event in WHOLE]

    assert reading.is_over
    assert deltas(b"".join(out)) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "h"},
        {"reasoning_content": "m"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s1"}]},
        {"thinking_blocks": [{"type": "redacted_thinking", "data": "d1"}]},
        {"content": "Let "},
        {"content": "me "},
        {"content": 'séé "it"'},
        {
            "tool_calls": [
                {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ':"Rome"}'}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "clock", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]
    last = chunks_in(b"".join(out))[-1]
    assert last["choices"] == []
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (9, 9)
    assert reading.usage() == Usage(input=7, cache_read=2, output=9)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_cut_anywhere(streaming, events, line_end):
    stream = events(*WHOLE).replace(b"\n", line_end)
    wanted = streaming().feed(stream)

    for cut in range(len(stream) + 1):
        reading = streaming()
        assert reading.feed(stream[:cut]) + reading.feed(stream[cut:]) + reading.end() == wanted
        assert reading.is_complete()


def test_byte_by_byte(streaming, events):
    stream, reading = events(*WHOLE), streaming()

    out = b"".join(reading.feed(stream[at : at + 1]) for at in range(len(stream)))

    assert out == streaming().feed(stream)


words = st.text(min_size=1, max_size=8)
blocks = st.one_of(
    st.builds(lambda pieces: ("text", pieces), st.lists(words, max_size=4)),
    st.builds(lambda pieces, signature: ("thinking", pieces, signature), st.lists(words, max_size=4), words),
    st.builds(lambda data: ("redacted_thinking", data), words),
    st.builds(
        lambda given, cuts: ("tool_use", json.dumps(given), cuts),
        st.dictionaries(words, st.one_of(words, st.integers(), st.none()), max_size=3),
        st.lists(st.integers(0, 60), max_size=3),
    ),
    st.just(("server_tool_use",)),
)


@settings(max_examples=150)
@given(content=st.lists(blocks, max_size=6), cut=st.integers(0, 4000), pings=st.booleans())
def test_a_stream_says_what_the_whole_reply_says(streaming, events, read, content, cut, pings):
    """And so whatever the blocks are, and in whatever pieces they come."""
    whole, said = [], [START]
    for index, (kind, *rest) in enumerate(content):
        match kind:
            case "text":
                whole.append({"type": "text", "text": "".join(rest[0]), "citations": None})
                said += text(index, *rest[0])
            case "thinking":
                whole.append({"type": "thinking", "thinking": "".join(rest[0]), "signature": rest[1]})
                said.append(begin(index, type="thinking", thinking="", signature=""))
                said += [more(index, "thinking_delta", thinking=piece) for piece in rest[0]]
                said += [more(index, "signature_delta", signature=rest[1]), stop(index)]
            case "redacted_thinking":
                whole.append({"type": "redacted_thinking", "data": rest[0]})
                said += [begin(index, type="redacted_thinking", data=rest[0]), stop(index)]
            case "tool_use":
                at = [0, *sorted(min(each, len(rest[0])) for each in rest[1]), len(rest[0])]
                pieces = [rest[0][start:end] for start, end in pairwise(at)]
                whole.append({"type": "tool_use", "id": f"toolu_{index}", "name": "f", "input": json.loads(rest[0])})
                said += tool(index, f"toolu_{index}", "f", *pieces)
            case _:
                search = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
                whole.append(search)
                said += [begin(index, **search), more(index, "input_json_delta", partial_json='{"q":1}'), stop(index)]
        said += [PING] if pings else []
    reason = "tool_use" if any(block["type"] == "tool_use" for block in whole) else "end_turn"
    stream, reading = events(*said, finish(reason), STOP), streaming()

    streamed = gathered(reading.feed(stream[:cut]) + reading.feed(stream[cut:]) + reading.end())

    reply = {**START["message"], "content": whole, "stop_reason": reason}
    [choice] = read(reply)[0]["choices"]
    message = choice["message"]
    assert streamed["content"] == (message["content"] or "")
    assert streamed["reasoning"] == message.get("reasoning_content", "")
    assert streamed["blocks"] == message.get("thinking_blocks", [])
    assert [(id_, name, json.loads(arguments)) for id_, name, arguments in streamed["calls"]] == [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", [])
    ]
    assert streamed["finish"] == choice["finish_reason"]


def test_arguments_of_a_server_tool_are_no_ones_else(streaming, events):
    """They came behind a call of the caller's, and would have been added to its arguments."""
    said = [
        START,
        *tool(0, "toolu_1", "f", "{}"),
        begin(1, type="server_tool_use", id="s", name="web_search", input={}),
    ]
    said += [more(1, "input_json_delta", partial_json='{"query":"b"}'), stop(1), finish("tool_use"), STOP]

    assert gathered(streaming().feed(events(*said)))["calls"] == [["toolu_1", "f", "{}"]]


def test_arguments_that_come_with_the_start(streaming, events):
    """As imitations of the API send them."""
    said = [START, begin(0, type="tool_use", id="t", name="f", input={"a": 1}), stop(0), finish("tool_use"), STOP]

    assert gathered(streaming().feed(events(*said)))["calls"] == [["t", "f", '{"a":1}']]


@pytest.mark.parametrize(
    ("given", "arguments"), [(None, "{}"), ("", "{}"), ('{"a":1}', '{"a":1}'), ({"a": 1}, '{"a":1}')]
)
def test_arguments_of_imitations(streaming, given, arguments):
    """None as null, and all of them as a text: that was no object to callers."""
    said = [START, begin(0, type="tool_use", id="c1", name="f", input=given), stop(0), finish("tool_use"), STOP]
    stream = b"".join(b"data: %b\n\n" % json.dumps(each, separators=(",", ":")).encode() for each in said)

    assert gathered(streaming().feed(stream))["calls"] == [["c1", "f", arguments]]


def test_arguments_of_calls_that_are_mixed_are_no_ones(streaming, events):
    """Imitations of the API open a block before the last one is stopped: its call got the arguments of both."""
    reading = streaming()
    calls = [begin(n, type="tool_use", id=f"c{n}", name="f", input={}) for n in (0, 1)]
    reading.feed(events(START, *calls, more(1, "input_json_delta", partial_json="{}")))

    with pytest.raises(BrokeOff, match="mixed the arguments of two calls"):
        reading.feed(events(more(0, "input_json_delta", partial_json="{}")))


def test_a_stream_that_does_not_say_that_it_starts(streaming, events):
    """Imitations of the API forget it: the role did not come, and what was used, if nothing else came, got lost."""
    reading, empty = streaming(), streaming()

    stream = reading.feed(events(*text(0, "a"), finish(), STOP))
    empty.feed(events(finish(), STOP))

    assert stream.index(b'{"role":"assistant","content":""}') < stream.index(b'{"content":"a"}')
    assert (reading.usage(), empty.usage()) == (Usage(output=9, untold="input"), Usage(output=9, untold="input"))


def test_a_block_that_is_not_stopped(streaming, events):
    """LL#25321, LL#13373: what belongs to it is not lost where the next begins, or the message ends."""
    said = [START, begin(0, type="thinking", thinking="hm", signature="s1")]
    said += [begin(1, type="tool_use", id="t", name="f", input={}), finish("tool_use"), STOP]

    message = gathered(streaming().feed(events(*said)))

    assert message["blocks"] == [{"type": "thinking", "thinking": "hm", "signature": "s1"}]
    assert message["calls"] == [["t", "f", "{}"]]


def test_citations(streaming, events):
    web = {
        "type": "web_search_result_location",
        "url": "https://a.example/b",
        "title": "B",
        "cited_text": "b",
        "encrypted_index": "e",
    }
    said = [START, *text(0, "See: "), begin(1, type="text", text=""), more(1, "text_delta", text="b")]
    said += [more(1, "citations_delta", citation=web), more(1, "text_delta", text="c"), stop(1), finish(), STOP]

    assert gathered(streaming().feed(events(*said)))["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example/b", "title": "B", "start_index": 5, "end_index": 7},
        }
    ]


def test_the_answer_tool_is_the_answer(streaming, events):
    stream = events(START, *tool(0, "t", ANSWER_TOOL, '{"a"', ":1}"), finish("tool_use"), STOP)

    message = gathered(streaming(response_format={"type": "json_object"}).feed(stream))

    assert (message["content"], message["calls"], message["finish"]) == ('{"a":1}', [], "stop")


def test_a_refusal(streaming, events):
    end = finish("refusal")
    end["delta"]["stop_details"] = {"type": "refusal", "category": None, "explanation": "No."}

    stream = streaming().feed(events(START, end, STOP))

    assert deltas(stream)[1] == {"refusal": "No."}
    assert gathered(stream)["finish"] == "content_filter"


def test_usage_counts_from_the_beginning_each_time(streaming, events):
    """It is not added up; the kinds of cache writes are told at the start only."""
    start = {
        **START,
        "message": {
            **START["message"],
            "usage": {
                "input_tokens": 7,
                "cache_creation_input_tokens": 50,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
                "output_tokens": 1,
                "service_tier": "priority",
            },
        },
    }
    end = finish(
        input_tokens=11,
        cache_creation_input_tokens=60,
        output_tokens_details={"thinking_tokens": 4},
        server_tool_use={"web_search_requests": 1, "web_fetch_requests": 0},
    )
    reading = streaming(service_tier="auto")

    stream = reading.feed(events(start, *text(0, "a"), end, STOP))

    assert reading.usage() == Usage(input=11, cache_write=30, cache_write_1h=30, output=5, reasoning=4, searches=1)
    assert (reading.service_tier(), chunks_in(stream)[-1]["service_tier"]) == ("priority", "priority")


def test_usage_is_for_those_who_asked(streaming, events):
    reading = streaming(stream_options=None)

    assert b"usage" not in reading.feed(events(*WHOLE))
    assert reading.usage() == Usage(input=7, cache_read=2, output=9)


def test_what_broke_off_is_counted_by_what_came(streaming, events):
    """Its input is known, and is paid for."""
    reading = streaming()
    assert reading.usage() is None

    reading.feed(events(START, *text(0, "x" * 40)))

    assert reading.usage() == Usage(input=7, cache_read=2, output=10, estimated=True)
    assert not reading.is_complete()


def test_an_error_before_the_first_content_is_a_status(streaming, events):
    reading = streaming()
    reading.feed(events(START, PING, begin(0, type="text", text="")))
    assert not reading.has_begun

    with pytest.raises(Refused) as refused:
        reading.feed(events(OVERLOADED))

    assert (refused.value.status, refused.value.message, refused.value.code) == (529, "too busy", "overloaded_error")


@pytest.mark.parametrize("said", [[STOP], [START, STOP], [START, PING, STOP]])
def test_an_end_before_the_first_content_is_no_answer(streaming, events, said):
    """It was one without a word in it, and no other target was asked."""
    reading = streaming()

    with pytest.raises(BrokeOff, match="before it began"):
        _ = reading.feed(events(*said)) + reading.end()


def test_an_error_behind_it_breaks_the_stream(streaming, events):
    reading = streaming()
    out = reading.feed(events(START, *text(0, "hel"), OVERLOADED))

    assert b'"content":"hel"' in out
    with pytest.raises(BrokeOff, match="too busy"):
        reading.end()


def test_no_key_is_passed_on_in_an_error(streaming, events):
    """Some servers repeat what they were sent."""
    said = {"type": "error", "error": {"type": "api_error", "message": "bad key sk-ant-api03-abcdefghijklmnopqrstuvwx"}}

    with pytest.raises(Refused) as refused:
        streaming().feed(events(said))

    assert "abcdefghijklmnop" not in refused.value.message


def test_half_of_a_character(streaming, events):
    """Cut in two by a server; clients of OpenAI's API read on."""
    stream = events(START, begin(0, type="text", text=""), more(0, "text_delta", text="a@b"), stop(0), finish(), STOP)

    assert gathered(streaming().feed(stream.replace(b"@", rb"\ud83d")))["content"] == "a\ufffdb"


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"type":"content_block_delta","delta":{"text":7}}'])
def test_what_is_no_event_is_told(streaming, data):
    with pytest.raises(BrokeOff):
        streaming().feed(b"data: %b\n\n" % data)


def test_events_nobody_knows_are_passed_over(streaming, events):
    """New ones may come at any time; so the API says."""
    new = {"type": "something_new", "content_block": {"type": "new"}}
    block = [
        begin(1, type="new_block"),
        {"type": "content_block_delta", "index": 1, "delta": {"type": "new_delta"}},
        stop(1),
    ]
    stream = events(START, *text(0, "a"))
    stream += b"".join(b"data: %b\n\n" % msgspec.json.encode(each) for each in (new, *block))

    assert gathered(streaming().feed(stream + events(finish(), STOP)))["content"] == "a"


@pytest.mark.parametrize(
    "event",
    [
        b'event: status\ndata: {"message":"loading"}\n\n',
        b'event: status\ndata: {"type":"status","message":"loading"}\n\n',
        b"event: ping\ndata: ping\n\n",
        b'data: {"type":"status","message":"loading"}\n\n',
    ],
)
def test_events_of_others_are_passed_over(streaming, events, event):
    """Progress and heartbeats of vendors: the answer broke off at them."""
    said = events(START, *text(0, "a")), events(finish(), STOP)

    for place in range(3):
        pieces = [*said[:place], event, *said[place:]]
        reading = streaming()
        assert gathered(reading.feed(b"".join(pieces)) + reading.end())["content"] == "a"


def test_an_error_without_a_type(streaming, events):
    """Imitations of the API, and proxies in front of it: the message was lost."""
    reading = streaming()
    reading.feed(events(START, *text(0, "a")))

    with pytest.raises(BrokeOff, match="out of memory"):
        reading.feed(b'data: {"error":"out of memory"}\n\n')


def test_odd_usage_costs_only_itself(streaming, events):
    """The event with it was refused, and with it the answer."""
    reading = streaming()

    reading.feed(
        events(START, *text(0, "a"), {**finish(), "usage": {"output_tokens": "9", "cache_creation": []}}, STOP)
    )

    assert (reading.is_complete(), reading.usage().output_tokens) == (True, 9)


def test_a_signature_in_many_pieces_takes_time_for_what_is_in_it_and_no_more(streaming, events):
    """All of it was copied for each piece."""
    started = events(START, begin(0, type="thinking", thinking="", signature=""))
    piece = events(more(0, "signature_delta", signature=999 * "x"))
    stop = events({"type": "content_block_stop", "index": 0})

    def work(size):
        reading = streaming()
        return lambda: [reading.feed(each) for each in (started, *size * [piece], stop)]

    assert growth(work) < 24


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_a_stream_without_its_last_event_is_whole_once_the_reason_for_its_end_is_told(streaming, events, end):
    """Imitations of the API: a whole answer became one that broke off."""
    stream = events(*WHOLE[:-1]) + end

    for cut in range(1, len(stream)):
        reading = streaming()
        told = reading.feed(stream[:cut]) + reading.feed(stream[cut:])
        assert reading.is_over == bool(end)
        told += reading.end()
        assert gathered(told)["finish"] == "tool_calls"
        assert reading.is_complete()


def test_another_apis_last_event_ends_nothing_by_itself(streaming, events):
    reading = streaming()
    reading.feed(events(START, *text(0, "a")) + b"data: [DONE]\n\n")
    reading.end()

    assert not reading.is_complete()


def test_null_says_nothing(streaming, events):
    """The stream broke off at the first field that was null where the API leaves it out."""
    odd = [
        {"type": "message_start", "message": {**START["message"], "content": None, "model": None}},
        begin(0, type="text", text=None, id=None, input=None),
        more(0, "text_delta", text="a", partial_json=None, signature=None),
        more(0, "text_delta", text=None),
        {**stop(0), "delta": None},
    ]
    stream = b"".join(b"data: %b\n\n" % msgspec.json.encode(each) for each in odd)

    assert (
        gathered(streaming().feed(stream + events(finish(), STOP)).replace(b'"id":""', b'"id":"msg_1"'))["content"]
        == "a"
    )

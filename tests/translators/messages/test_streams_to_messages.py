"""What chunks of chat completions are to callers of the Messages API."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused, UpstreamError
from gateway.testing import growth
from gateway.translators.messages.sealed import UNSIGNED, sealed

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
COUNTED = {"choices": [], "usage": USAGE}


def chunk(delta=None, finish=None, **more):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish, **more}]
    return {"id": "c1", "model": "real-m", "object": "chat.completion.chunk", "choices": choices}


def call(index=0, arguments="", **more):
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]}


def begun(index, id_, name, arguments=""):
    return {"tool_calls": [{"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}]}


def wire(*chunks):
    return b"".join(b"data: %b\n\n" % msgspec.json.encode(each) for each in chunks)


def read(one, stream):
    return one.feed(stream) + one.end()


ROLE = chunk({"role": "assistant", "content": ""})
HELLO = wire(ROLE, chunk({"content": "hel"}), chunk({"content": "lo é"}), chunk(finish="stop"), COUNTED) + DONE


@pytest.fixture
def streamed(reading, events_of):
    """`streamed(*chunks)`: what comes out of them, and `[DONE]`."""

    def make(*chunks, **fields):
        one = reading(is_stream=True, **fields)
        out = one.feed(wire(*chunks) + DONE) + one.end()
        assert one.is_complete()
        return events_of(out)

    return make


def blocks_of(events):
    """What a client puts together: for each block, its head with all deltas of it."""
    blocks = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"]})
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[-1]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] += delta["signature"]
                case "citations_delta":
                    block.setdefault("citations", []).append(delta["citation"])
                case "input_json_delta":
                    block["json"] = block.get("json", "") + delta["partial_json"]
    return blocks


def test_a_stream_event_by_event(reading, events_of):
    one = reading(is_stream=True)

    events = events_of(one.feed(HELLO))

    assert events[0]["message"] == {
        "id": "msg_new",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    assert events[1:] == [
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo é"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 5,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 2,
                "output_tokens": 3,
            },
        },
        {"type": "message_stop"},
    ]
    assert (one.is_over, one.usage()) == (True, Usage(input=5, cache_read=2, output=3))


def test_a_stream_cut_anywhere(reading):
    whole = reading(is_stream=True).feed(HELLO)

    for cut in range(1, len(HELLO)):
        one = reading(is_stream=True)
        assert one.feed(HELLO[:cut]) + one.feed(HELLO[cut:]) + one.end() == whole


def test_text_goes_on_as_it_comes(reading):
    one = reading(is_stream=True)
    one.feed(wire(ROLE, chunk({"content": "a"})))

    assert b'"text":"b"' in one.feed(wire(chunk({"content": "b"})))


def test_thinking_then_text(streamed):
    events = streamed(
        chunk({"reasoning_content": "h"}), chunk({"reasoning": "m"}), chunk({"content": "so"}), chunk(finish="stop")
    )

    assert blocks_of(events) == [
        {"type": "thinking", "thinking": "hm", "signature": UNSIGNED},
        {"type": "text", "text": "so"},
    ]


def test_thinking_keeps_its_signature(streamed):
    """As the hub gives it: the words as they come, the block when it is whole."""
    whole = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "b3BhcXVl"}

    events = streamed(
        chunk({"reasoning_content": "hm"}),
        chunk({"thinking_blocks": [whole]}),
        chunk({"thinking_blocks": [hidden]}),
        chunk({"reasoning_content": "again"}),
        chunk({"thinking_blocks": [{**whole, "thinking": "again"}]}),
        chunk({"content": "so"}, finish="stop"),
    )

    assert blocks_of(events) == [whole, hidden, {**whole, "thinking": "again"}, {"type": "text", "text": "so"}]


def test_a_signature_that_comes_behind_the_text(streamed):
    """Gemini's is one of the text: what had been thought was told twice."""
    whole = {"type": "thinking", "thinking": "hm", "signature": "gemini:c2ln"}

    events = streamed(
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "so"}),
        chunk({"thinking_blocks": [whole]}),
        chunk(finish="stop"),
    )

    assert blocks_of(events) == [
        {"type": "thinking", "thinking": "hm", "signature": UNSIGNED},
        {"type": "text", "text": "so"},
        {"type": "thinking", "thinking": "", "signature": "gemini:c2ln"},
    ]


def test_thinking_in_pieces_of_blocks(streamed):
    """As LiteLLM gives it; with the words beside it, and without."""
    pieces = [{"type": "thinking", "thinking": "h"}, {"type": "thinking", "thinking": "m"}]
    last = {"type": "thinking", "thinking": "", "signature": "c2ln"}

    beside = streamed(
        *(chunk({"reasoning_content": p["thinking"], "thinking_blocks": [p]}) for p in pieces),
        chunk({"thinking_blocks": [last]}),
        chunk(finish="stop"),
    )
    alone = streamed(*(chunk({"thinking_blocks": [p]}) for p in [*pieces, last]), chunk(finish="stop"))

    assert blocks_of(beside) == blocks_of(alone) == [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]


def test_calls_one_after_the_other(streamed):
    events = streamed(
        chunk({"content": "I look."}),
        chunk(begun(0, "call_1", "f")),
        chunk(call(0, '{"a":')),
        chunk(call(0, "1}")),
        chunk(begun(1, "call_2", "g", "{}")),
        chunk(finish="tool_calls"),
        COUNTED,
    )

    assert blocks_of(events) == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}, "json": '{"a":1}'},
        {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_arguments_go_on_as_they_come(reading):
    one = reading(is_stream=True)
    one.feed(wire(ROLE, chunk(begun(0, "call_1", "f"))))

    assert b'"partial_json":"{\\"a\\":"' in one.feed(wire(chunk(call(0, '{"a":'))))


def test_calls_that_are_made_at_once(streamed):
    """LL#25321, LL#29491: their arguments come in turns. Other gateways lose what comes behind the start of the next
    block, and agents call tools with nothing."""
    events = streamed(
        chunk(begun(0, "call_1", "f")),
        chunk(begun(1, "call_2", "g")),
        chunk(call(1, '{"b":')),
        chunk(call(0, '{"a":')),
        chunk(call(1, "2}")),
        chunk(call(0, "1}")),
        chunk({"content": "and"}),
        chunk(finish="tool_calls"),
    )

    assert blocks_of(events) == [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}, "json": '{"a":1}'},
        {"type": "tool_use", "id": "call_2", "name": "g", "input": {}, "json": '{"b":2}'},
        {"type": "text", "text": "and"},
    ]


@pytest.mark.parametrize("arguments", ["", None, {}, "{}", "null"])
def test_a_call_without_arguments(streamed, arguments):
    """agentgateway#3002: with no arguments at all, agents made the call again and again."""
    delta = {"tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": arguments}}]}

    assert blocks_of(streamed(chunk(delta), chunk(finish="stop"))) == [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
    ]


def test_calls_without_an_index(streamed):
    """As some servers send them, whole."""
    calls = [{"id": f"call_{n}", "function": {"name": "f", "arguments": {"n": n}}} for n in (1, 2)]

    events = streamed(chunk({"tool_calls": calls}), chunk(finish="stop"))

    assert [(block["id"], block["json"]) for block in blocks_of(events)] == [
        ("call_1", '{"n":1}'),
        ("call_2", '{"n":2}'),
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_calls_that_share_an_index(streamed):
    """As some servers send several: the second was lost in the arguments of the first. Pieces without an id go on with
    the one that came last, and an id that is told again begins nothing."""
    deltas = [
        begun(0, "call_1", "f", '{"n":'),
        call(0, "1}"),
        begun(0, "call_2", "g", '{"n":'),
        begun(0, "call_2", "g", "2"),
        call(0, "}"),
    ]

    events = streamed(*map(chunk, deltas), chunk(finish="tool_calls"))

    assert [(block["id"], block["name"], block["json"]) for block in blocks_of(events)] == [
        ("call_1", "f", '{"n":1}'),
        ("call_2", "g", '{"n":2}'),
    ]


def test_what_a_vendor_wants_back_with_a_call(streamed):
    extra = {"google": {"thought_signature": "c2ln"}}
    delta = begun(0, "call_1", "f", "{}")
    delta["tool_calls"][0]["extra_content"] = extra

    hidden, use = blocks_of(streamed(chunk(delta), chunk(finish="stop")))

    assert hidden == {"type": "redacted_thinking", "data": sealed("call_1", extra)}
    assert use["id"] == "call_1"


def test_citations_and_refusals(streamed):
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}

    events = streamed(chunk({"content": "so"}), chunk({"annotations": [note]}), chunk({"refusal": "no"}, finish="stop"))

    [block] = blocks_of(events)
    assert (block["text"], block["citations"][0]["url"]) == ("sono", "https://a.example")
    assert events[-2]["delta"]["stop_reason"] == "refusal"


def test_an_empty_answer(streamed):
    """There are no empty blocks, and it has an end."""
    assert [event["type"] for event in streamed(ROLE, chunk(finish="stop"))] == [
        "message_start",
        "ping",
        "message_delta",
        "message_stop",
    ]


def test_a_stream_without_done(reading, events_of):
    one = reading(is_stream=True)

    events = events_of(one.feed(wire(ROLE, chunk({"content": "a"}), chunk(finish="length"))) + one.end())

    assert (events[-2]["delta"]["stop_reason"], one.is_complete()) == ("max_tokens", True)


def test_the_last_event_may_lack_its_blank_line(reading, events_of):
    one = reading(is_stream=True)

    events = events_of(
        one.feed(wire(ROLE, chunk({"content": "a"}), chunk(finish="stop")) + b"data: [DONE]") + one.end()
    )

    assert events[-1] == {"type": "message_stop"}


def test_a_stream_that_breaks_off_has_no_end(reading):
    one = reading(is_stream=True)

    out = one.feed(wire(ROLE, chunk({"content": "a"}))) + one.end()

    assert (one.is_complete(), b"message_stop" in out) == (False, False)


def test_only_the_first_answer_is_told(streamed):
    second = {"id": "c1", "choices": [{"index": 1, "delta": {"content": "other"}}]}

    assert blocks_of(streamed(chunk({"content": "a"}), second, chunk(finish="stop"))) == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize(
    "said", [{"error": {"message": "no", "code": 503}}, {"object": "error", "message": "no", "code": 503}]
)
def test_an_error_before_the_first_content_is_a_status(reading, said):
    one = reading(is_stream=True)

    with pytest.raises(Refused) as refused:
        read(one, wire(ROLE, said))

    assert (refused.value.message, refused.value.status, refused.value.body) == ("no", 503, None)


def test_an_error_behind_it_breaks_the_stream(reading):
    """What came before it is passed on."""
    one = reading(is_stream=True)

    out = one.feed(wire(ROLE, chunk({"content": "a"}), {"error": {"message": "no"}}))

    assert b'"text":"a"' in out
    with pytest.raises(BrokeOff, match="no"):
        one.feed(b"data: x\n\n")


@pytest.mark.parametrize("stream", [b"", DONE, b"data: 5\n\n", b": x\n\n", b"<html></html>"])
def test_what_is_no_stream(reading, stream):
    with pytest.raises((BrokeOff, Refused)):
        read(reading(is_stream=True), stream)


pieces = st.one_of(
    st.builds(lambda text: {"content": text}, st.text(max_size=5)),
    st.builds(lambda text: {"reasoning_content": text}, st.text(max_size=5)),
    st.builds(call, st.integers(0, 2), st.sampled_from(["{", '"a":1', "}", ""])),
    st.builds(lambda index: begun(index, f"call_{index}", "f"), st.integers(0, 2)),
    st.just({"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}),
    st.just({"refusal": "no"}),
)


@given(st.lists(pieces, min_size=1, max_size=12))
def test_the_order_of_things_is_kept(reading, events_of, deltas):
    """LL#13373, LL#14315: blocks do not overlap, indexes rise, there is one end, and no text and no argument is lost,
    whatever comes."""
    one = reading(is_stream=True)

    events = events_of(one.feed(wire(ROLE, *map(chunk, deltas), chunk(finish="stop")) + DONE))

    blocks = blocks_of(events)
    texts = "".join(delta.get("content", "") + delta.get("refusal", "") for delta in deltas)
    assert "".join(block["text"] for block in blocks if block["type"] == "text") == texts
    started, arguments = set(), dict.fromkeys(range(3), "")
    for delta in deltas:
        for each in delta.get("tool_calls", ()):
            if "id" in each:
                started.add(each["index"])
            if each["index"] in started:
                arguments[each["index"]] += each["function"]["arguments"]
    assert {block["id"]: block.get("json", "") for block in blocks if block["type"] == "tool_use"} == {
        f"call_{index}": arguments[index] for index in started
    }


FIELDS = """choices delta content tool_calls function name arguments index error usage message finish_reason reasoning
thinking_blocks annotations images refusal"""
said = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "a", "stop", "error", "text"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(FIELDS.split()),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(st.lists(said, max_size=3))
def test_whatever_a_provider_says(reading, events):
    """It is an answer, or the provider's error; never a fault of the gateway's own."""
    chunks = [{"choices": [{"delta": each}]} if number % 2 else each for number, each in enumerate(events)]

    with suppress(UpstreamError):
        read(reading(is_stream=True), wire(*chunks) + DONE)
    for each in events:
        with suppress(UpstreamError):
            read(reading(), msgspec.json.encode({"choices": [{"message": each}]}))


def test_an_event_takes_time_for_what_is_in_it_and_no_more(reading):
    """All that had been written before was copied for each choice, and the event loop waited."""

    def work(size):
        event = wire({"id": "c1", "choices": size * [{"index": 0, "delta": {"content": "x"}}]})
        one = reading(is_stream=True)
        return lambda: one.feed(event)

    assert growth(work, small=1500) < 24

"""Replies of Converse and ConverseStream as chat completions."""

import msgspec
import pytest
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser
from gateway_aws.converse import ToConverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contract.usage import Usage
from gateway.errors import BrokeOff, Refused
from gateway.testing import growth
from gateway.translators.chat import ANSWER_TOOL

USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
HOUR_AND_LESS = [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 20}]
CITATION = {"title": "t", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 1}}}
WEB = {"title": "t", "location": {"web": {"url": "https://a.example/", "domain": "a.example"}}}


@pytest.fixture
def answered(chat, whole):
    """`answered([{"text": "a"}])`: the message, and the reading."""

    def read(blocks, *, reason="end_turn", usage=USAGE, more=None, **fields):
        reading = ToConverse(clock=lambda: 7).reading(chat(**fields), whole)
        output = {"message": {"role": "assistant", "content": blocks}}
        said = {"output": output, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 1}, **(more or {})}
        assert reading.feed(msgspec.json.encode(said)) == b""
        return msgspec.json.decode(reading.end()), reading

    return read


def message(answered, blocks, **options):
    return answered(blocks, **options)[0]["choices"][0]["message"]


# --- whole ---------------------------------------------------------------------------------------


def test_a_whole_answer(answered):
    body, reading = answered([{"text": "hel"}, {"text": "lo"}])

    assert body == {
        "id": "chatcmpl-r-1",
        "object": "chat.completion",
        "created": 7,
        "model": "bedrock/m",
        "choices": [
            {
                "index": 0,
                "message": {"content": "hello", "refusal": None, "role": "assistant"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }
    assert reading.usage() == Usage(input=10, output=5)
    assert reading.is_complete()


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "stop"),
        ("what_comes_one_day", "stop"),
    ],
)
def test_why_it_ended(answered, reason, finish):
    assert answered([{"text": "a"}], reason=reason)[0]["choices"][0]["finish_reason"] == finish


def test_calls(answered):
    """What the provider has called itself is no call for the caller to make."""
    own = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    call = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}

    body, _ = answered(
        [own, {"text": "so"}, call, {"toolUse": {"toolUseId": "t2", "name": "g", "input": {}}}], reason="tool_use"
    )

    [choice] = body["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "so")
    assert choice["message"]["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_thoughts(answered):
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "a"},
    ]

    said = message(answered, blocks)

    assert said["reasoning_content"] == "hm"
    assert said["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
    ]


def test_what_it_cites(answered):
    blocks = [{"text": "So: "}, {"citationsContent": {"content": [{"text": "it is."}], "citations": [CITATION, WEB]}}]

    said = message(answered, blocks)

    assert said["content"] == "So: it is."
    assert said["annotations"] == [
        {"type": "file_citation", "file_citation": {**CITATION, "start_index": 4, "end_index": 10}},
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example/", "title": "t", "start_index": 4, "end_index": 10},
        },
    ]


def test_the_answer_tool_is_the_answer(answered):
    call = {"toolUse": {"toolUseId": "t", "name": ANSWER_TOOL, "input": {"a": 1}}}

    body, _ = answered([{"text": "Here:"}, call], reason="tool_use", response_format={"type": "json_object"})

    assert body["choices"][0]["message"]["content"] == '{"a":1}'
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({**USAGE, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 50},
         Usage(input=10, cache_read=100, cache_write=50, output=5)),
        ({**USAGE, "cacheWriteInputTokens": 50, "cacheDetails": HOUR_AND_LESS},
         Usage(input=10, cache_write=20, cache_write_1h=30, output=5)),
        ({**USAGE, "cacheWriteInputTokens": 50, "cacheDetails": [{"ttl": "1h", "inputTokens": 90}]},
         Usage(input=10, cache_write_1h=50, output=5)),
    ],
)  # fmt: skip
def test_what_was_cached_is_counted_once(answered, told, usage):
    """BerriAI/litellm#6215 and four later: cached tokens were billed twice. Bedrock's parts do not overlap."""
    body, reading = answered([{"text": "a"}], usage=told)

    assert reading.usage() == usage
    assert body["usage"]["total_tokens"] == usage.input_tokens + usage.output_tokens


def test_the_tier_is_told_to_who_asked_for_one(answered):
    more = {"serviceTier": {"type": "flex"}}

    body, reading = answered([{"text": "a"}], more=more, service_tier="flex")

    assert (body["service_tier"], reading.service_tier()) == ("flex", "flex")
    assert "service_tier" not in answered([{"text": "a"}], more=more)[0]


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"output":{"message":{}}}', b"[" * 5000])
def test_what_is_no_answer_is_an_error(chat, whole, body):
    reading = ToConverse().reading(chat(), whole)
    reading.feed(body or b" ")

    with pytest.raises(BrokeOff, match="Converse"):
        reading.end()


# --- streamed ------------------------------------------------------------------------------------


@pytest.fixture
def events(frame):
    """`events(("messageStop", {...}), ...)`: a stream of frames."""
    return lambda *each: b"".join(frame(*one) for one in each)


def text(value, index=0):
    return "contentBlockDelta", {"delta": {"text": value}, "contentBlockIndex": index, "p": "abcdefgh"}


def tool(id_, name, index):
    return "contentBlockStart", {"start": {"toolUse": {"toolUseId": id_, "name": name}}, "contentBlockIndex": index}


def given_input(fragment, index):
    return "contentBlockDelta", {"delta": {"toolUse": {"input": fragment}}, "contentBlockIndex": index}


def thought(index=0, **delta):
    return "contentBlockDelta", {"delta": {"reasoningContent": delta}, "contentBlockIndex": index}


def stop(index=0):
    return "contentBlockStop", {"contentBlockIndex": index}


BEGIN = ("messageStart", {"role": "assistant"})
METADATA = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}, "serviceTier": {"type": "flex"}})


def ended(reason="end_turn"):
    return "messageStop", {"stopReason": reason}


@pytest.fixture
def reading(chat, streamed):
    def make(**fields):
        return ToConverse(clock=lambda: 7).reading(chat(stream=True, **fields), streamed)

    return make


def chunks(out):
    events = [event.removeprefix(b"data: ") for event in out.split(b"\n\n") if event]
    assert events.count(b"[DONE]") == 1
    assert events[-1] == b"[DONE]"
    return [msgspec.json.decode(event) for event in events[:-1]]


def deltas(out):
    return [choice["delta"] for chunk in chunks(out) for choice in chunk["choices"] if choice["delta"]]


def run(reading, data):
    return reading.feed(data) + reading.end()


def test_a_streamed_answer(reading, events):
    at = reading(stream_options={"include_usage": True})

    out = chunks(run(at, events(BEGIN, text("hel"), text("lo"), stop(), ended(), METADATA)))

    assert [(chunk["choices"][0]["delta"], chunk["choices"][0]["finish_reason"]) for chunk in out[:-1]] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "hel"}, None),
        ({"content": "lo"}, None),
        ({}, "stop"),
    ]
    assert {(chunk["id"], chunk["model"], chunk["created"]) for chunk in out} == {("chatcmpl-r-1", "bedrock/m", 7)}
    assert (out[-1]["choices"], out[-1]["usage"]["total_tokens"]) == ([], 15)
    assert (at.usage(), at.service_tier(), at.is_over, at.is_complete()) == (
        Usage(input=10, output=5),
        "flex",
        True,
        True,
    )


def test_arguments_stream_as_they_come(reading, events):
    """maximhq and others gave one lump, or `{}`; a call without arguments has `{}` and nothing else."""
    data = events(
        BEGIN, text("so"), stop(0), tool("t1", "f", 1), given_input('{"a":', 1), given_input("1}", 1), stop(1),
        tool("t2", "g", 2), given_input("", 2), stop(2), ended("tool_use"), METADATA,
    )  # fmt: skip

    out = run(reading(), data)

    assert [delta["tool_calls"][0] for delta in deltas(out) if "tool_calls" in delta] == [
        {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert chunks(out)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_what_the_provider_calls_itself_is_left_out(reading, events):
    use = {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}
    own = ("contentBlockStart", {"start": {"toolUse": use}, "contentBlockIndex": 0})
    result = ("contentBlockDelta", {"delta": {"toolResult": [{"text": "x"}]}, "contentBlockIndex": 1})
    data = events(BEGIN, own, given_input("{}", 0), stop(0), result, stop(1), text("a", 2), stop(2), ended(), METADATA)

    assert deltas(run(reading(), data))[1:] == [{"content": "a"}]


def test_arguments_of_two_calls_at_once_are_not_mixed(reading, events):
    at = reading()
    at.feed(events(BEGIN, tool("t1", "f", 0)))

    with pytest.raises(BrokeOff, match="mixed"):
        at.feed(events(given_input("{", 1)))


def test_thoughts_come_as_text_and_at_the_end_with_their_signature(reading, events):
    data = events(
        BEGIN, thought(text="h"), thought(text="m"), thought(signature="c2ln"), stop(0),
        thought(1, redactedContent="YQ=="), thought(1, redactedContent="Yg=="), stop(1), text("a", 2), stop(2),
        ended(), METADATA,
    )  # fmt: skip

    assert deltas(run(reading(), data))[1:] == [
        {"reasoning_content": "h"},
        {"reasoning_content": "m"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]},
        {"thinking_blocks": [{"type": "redacted_thinking", "data": "YWI="}]},
        {"content": "a"},
    ]


def test_thoughts_survive_the_round_trip(reading, events, chat, referee):
    data = events(
        BEGIN, thought(text="hm"), thought(signature="c2ln"), stop(0), text("a", 1), stop(1), ended(), METADATA
    )
    [blocks] = [delta["thinking_blocks"] for delta in deltas(run(reading(), data)) if "thinking_blocks" in delta]
    user = {"role": "user", "content": "hi"}
    messages = [user, {"role": "assistant", "content": "a", "thinking_blocks": blocks}, user]

    fields = ToConverse().request(chat(messages=messages), "anthropic.claude-sonnet-4-5-20250929-v1:0").fields

    assert msgspec.json.decode(fields["messages"])[1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}
    }


def test_what_it_cites_stands_behind_its_text(reading, events):
    cited = ("contentBlockDelta", {"delta": {"citation": CITATION}, "contentBlockIndex": 1})
    data = events(BEGIN, text("So: "), stop(0), text("it is.", 1), cited, stop(1), ended(), METADATA)

    [annotations] = [delta["annotations"] for delta in deltas(run(reading(), data)) if "annotations" in delta]

    assert annotations == [{"type": "file_citation", "file_citation": {**CITATION, "start_index": 4, "end_index": 10}}]


def test_the_answer_tool_streams_as_content(reading, events):
    data = events(
        BEGIN, tool("t", ANSWER_TOOL, 0), given_input('{"a":', 0), given_input("1}", 0), stop(0),
        ended("tool_use"), METADATA,
    )  # fmt: skip

    out = run(reading(response_format={"type": "json_object"}), data)

    assert [delta["content"] for delta in deltas(out)] == ["", '{"a":', "1}"]
    assert chunks(out)[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_tier_comes_with_the_usage(reading, events):
    at = reading(service_tier="flex", stream_options={"include_usage": True})

    assert chunks(run(at, events(BEGIN, text("a"), stop(), ended(), METADATA)))[-1]["service_tier"] == "flex"


ALL = (
    BEGIN, thought(text="hm"), thought(signature="c2ln"), stop(0), text("so", 1), stop(1),
    tool("t1", "f", 2), given_input('{"a":', 2), given_input("1}", 2), stop(2), ended("tool_use"), METADATA,
)  # fmt: skip

NO_PADDING = [(name, {key: value for key, value in payload.items() if key != "p"}) for name, payload in ALL]


def test_cut_at_every_byte(reading, events):
    data = events(*ALL)
    expected = run(reading(), data)

    for at in range(len(data) + 1):
        cut = reading()
        assert cut.feed(data[:at]) + cut.feed(data[at:]) + cut.end() == expected
    slow = reading()
    assert b"".join(slow.feed(data[at : at + 1]) for at in range(len(data))) + slow.end() == expected


class Raw:
    def __init__(self, data):
        self.data = data

    def stream(self):
        yield self.data

    def close(self):
        pass


def test_botocore_reads_the_same_events(events, referee):
    """So that what is tested here is what AWS sends."""
    shape = referee.service.operation_model("ConverseStream").output_shape.members["stream"]

    read = EventStream(Raw(events(*ALL)), shape, EventStreamJSONParser(), "ConverseStream")

    assert list(read) == [{name: payload} for name, payload in NO_PADDING]


def test_a_stream_that_ends_early_is_not_complete(reading, events):
    """At whatever byte; but with its stop it is complete, though its usage was not told. Before the first event it has
    not begun."""
    data = events(*ALL)
    first, stopped = len(events(ALL[0])), len(events(*ALL[:-1]))

    for at in range(first):
        with pytest.raises(BrokeOff):
            run(reading(), data[:at])
    for at in range(first, len(data)):
        cut = reading()
        run(cut, data[:at])
        assert cut.is_complete() == (at == stopped)


BLOCKS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3)),
        st.tuples(st.just("thought"), st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3)),
        st.tuples(st.just("tool"), st.lists(st.sampled_from(['{"a"', ":1", "}", ""]), max_size=3)),
    ),
    max_size=5,
)


@given(
    blocks=BLOCKS,
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    reason=st.sampled_from(["end_turn", "tool_use"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_blocks_in_any_pieces(reading, events, blocks, sizes, reason):
    """Indexes of calls rise, arguments are those that came, one reason ends it, and nothing is lost or twice."""
    said = []
    for index, (kind, pieces) in enumerate(blocks):
        if kind == "tool":
            said.append(tool(f"t{index}", "f", index))
        for piece in pieces:
            match kind:
                case "text":
                    said.append(text(piece, index))
                case "thought":
                    said.append(thought(index, text=piece))
                case "tool":
                    said.append(given_input(piece, index))
        said.append(stop(index))
    data = events(BEGIN, *said, ended(reason), METADATA)
    at, out, position = reading(), b"", 0
    for turn in range(len(data)):
        size = sizes[turn % len(sizes)]
        out += at.feed(data[position : position + size])
        position += size
        if position >= len(data):
            break
    out += at.end()

    told = deltas(out)
    calls: list[str] = []
    for delta in told:
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                calls.append("")
            assert call["index"] == len(calls) - 1
            calls[-1] += call["function"]["arguments"]
    assert "".join(delta.get("content", "") for delta in told) == "".join("".join(p) for k, p in blocks if k == "text")
    assert "".join(delta.get("reasoning_content", "") for delta in told) == "".join(
        "".join(p) for k, p in blocks if k == "thought"
    )
    assert calls == ["".join(pieces) or "{}" for kind, pieces in blocks if kind == "tool"]
    finishes = [
        choice["finish_reason"] for chunk in chunks(out) for choice in chunk["choices"] if choice["finish_reason"]
    ]
    assert finishes == ["tool_calls" if calls and reason == "tool_use" else "stop"]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("throttlingException", 429),
        ("modelStreamErrorException", 424),
        ("validationException", 400),
        ("internalServerException", 500),
        ("serviceUnavailableException", 503),
        ("modelTimeoutException", 408),
        ("somethingNewException", 502),
    ],
)
def test_an_exception_before_anything_else_is_a_status(reading, frame, name, status):
    """So that another target can answer instead."""
    at = reading()
    at.feed(frame(*BEGIN))

    with pytest.raises(Refused, match="slow down") as refused:
        at.feed(frame(name, {"message": "slow down"}, kind="exception"))

    assert refused.value.status == status


def test_an_exception_behind_something_breaks_off(reading, events, frame):
    """BerriAI/litellm#29223: errors in the middle were swallowed. What came before goes out first."""
    at = reading()

    out = at.feed(
        events(BEGIN, text("a")) + frame("modelStreamErrorException", {"message": "it broke"}, kind="exception")
    )

    assert b'"content":"a"' in out
    with pytest.raises(BrokeOff, match="it broke") as broken:
        at.feed(b"x")
    assert broken.value.code == "ModelStreamErrorException"
    assert not at.is_complete()


@pytest.mark.parametrize(
    "payload", [b"", b"[1]", b'{"delta":3}', b"\xff", b'{"delta":{"reasoningContent":{"redactedContent":"!"}}}']
)
def test_an_event_that_cannot_be_read_breaks_off(reading, events, frame, payload):
    at = reading()
    at.feed(events(BEGIN, text("a")))

    with pytest.raises(BrokeOff, match="none of Bedrock's Converse API"):
        at.feed(frame("contentBlockDelta", payload))


def test_events_and_fields_that_come_one_day_are_left_out(reading, events):
    other = ("contentBlockDelta", {"delta": {"hologram": 1}, "contentBlockIndex": 1})

    out = run(reading(), events(BEGIN, ("heartbeat", {"a": 1}), text("a"), other, stop(), ended(), METADATA))

    assert [delta["content"] for delta in deltas(out)] == ["", "a"]


def test_damage_on_the_way_is_found(reading, events):
    good, bad = events(BEGIN, text("a")), bytearray(events(text("b")))
    bad[-10] ^= 1
    at = reading()

    out = at.feed(good + bytes(bad))

    assert b'"content":"a"' in out
    with pytest.raises(BrokeOff, match="damaged"):
        at.end()


@pytest.mark.parametrize(
    "delta",
    [
        pytest.param({"citation": CITATION}, id="citations"),
        pytest.param({"reasoningContent": {"signature": 100 * "x"}}, id="a signature"),
        pytest.param({"reasoningContent": {"redactedContent": 100 * "QUJD"}}, id="what is hidden"),
    ],
)
def test_a_block_in_many_pieces_takes_time_for_what_is_in_it_and_no_more(chat, streamed, frame, delta):
    """All that had been written before was copied for each piece, and the event loop waited."""
    asked, event = chat(stream=True), frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta})
    begin, stop = frame("messageStart", {"role": "assistant"}), frame("contentBlockStop", {"contentBlockIndex": 0})

    def work(size):
        reading = ToConverse().reading(asked, streamed)
        return lambda: (reading.feed(begin + size * event), reading.feed(stop))

    assert growth(work, small=2000) < 24

"""What chunks of chat completions are to callers of the Responses API. All streams keep to the grammar."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Call, Head, JsonBody, Request
from gateway.contract.usage import Usage
from gateway.dialects import MAKE_RESPONSE
from gateway.errors import BrokeOff, RateLimited, Refused, TimedOut, UpstreamError
from gateway.testing import ResponseGrammar, growth
from gateway.translators.responses import ToHub
from gateway.translators.responses.output import OutputItem
from gateway.translators.responses.sealed import unseal

HEX = "0123456789abcdef" * 2
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
COUNTED = {"choices": [], "usage": USAGE}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def chunk(delta=None, finish=None, **more):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish, **more}]
    return {"id": "c1", "model": "real-m", "object": "chat.completion.chunk", "choices": choices}


def begun(index, id_, name, arguments=""):
    return {"tool_calls": [{"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}]}


def more(index, arguments):
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def wire(*chunks):
    return b"".join(b"data: %b\n\n" % msgspec.json.encode(each) for each in chunks)


ROLE = chunk({"role": "assistant", "content": ""})
HELLO = wire(ROLE, chunk({"content": "hel"}), chunk({"content": "lo é"}), chunk(finish="stop"), COUNTED) + DONE
ALL_KINDS = (
    wire(
        ROLE,
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m"}),
        chunk({"content": "I "}),
        chunk({"content": "look."}),
        chunk(begun(0, "c1", "f")),
        chunk(begun(1, "c2", "patch")),
        chunk(more(1, '{"input":"a')),
        chunk(more(0, '{"a":')),
        chunk(more(1, 'b"}')),
        chunk(more(0, "1}")),
        chunk(finish="tool_calls"),
        COUNTED,
    )
    + DONE
)
TOOLS = [FUNCTION, {"type": "custom", "name": "patch"}]


@pytest.fixture
def streamed(reading, events_of):
    """`streamed(*chunks)`: the events that come out of them, and `[DONE]`."""

    def make(*chunks, **fields):
        one = reading(is_stream=True, **fields)
        out = one.feed(wire(*chunks) + DONE) + one.end()
        assert one.is_complete()
        return events_of(out)

    return make


def read(one, stream):
    return one.feed(stream) + one.end()


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


def test_a_stream_event_by_event(reading, events_of):
    one = reading(is_stream=True)

    events = events_of(one.feed(HELLO))

    item = {"id": f"msg_gw{HEX}_0", "type": "message", "role": "assistant"}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "hello é", "annotations": [], "logprobs": []}
    done = {**item, "content": [part], "status": "completed"}
    assert (events[0]["type"], events[0]["response"]["status"]) == ("response.created", "in_progress")
    assert (events[1]["type"], events[1]["response"]["id"]) == ("response.in_progress", f"resp_gw{HEX}")
    assert [{name: value for name, value in event.items() if name != "sequence_number"} for event in events[2:-1]] == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": "hel", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": "lo é", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "hello é", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
    ]
    last = events[-1]["response"]
    assert (events[-1]["type"], last["status"], last["output"]) == ("response.completed", "completed", [done])
    assert last["usage"]["total_tokens"] == 10
    assert (one.is_over, one.usage()) == (True, Usage(input=5, cache_read=2, output=3))


@pytest.mark.parametrize("stream", [HELLO, ALL_KINDS], ids=["text", "all kinds"])
def test_a_stream_cut_anywhere(reading, stream):
    whole = reading(is_stream=True, tools=TOOLS).feed(stream)

    for cut in range(1, len(stream)):
        one = reading(is_stream=True, tools=TOOLS)
        assert one.feed(stream[:cut]) + one.feed(stream[cut:]) + one.end() == whole


def test_all_kinds_of_items(reading, events_of):
    """LL#18201, LL#20246: two calls at once, whose arguments come in turns, are each told as if made alone; and
    there is reasoning before them."""
    events = events_of(reading(is_stream=True, tools=TOOLS).feed(ALL_KINDS))

    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    reasoning, message, function, custom = events[-1]["response"]["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert message["content"][0]["text"] == "I look."
    assert (function["call_id"], function["arguments"]) == ("c1", '{"a":1}')
    assert (custom["type"], custom["call_id"], custom["input"]) == ("custom_tool_call", "c2", "ab")


def test_text_and_arguments_go_on_as_they_come(reading):
    one = reading(is_stream=True)
    one.feed(wire(ROLE, chunk({"content": "a"})))

    assert b'"delta":"b"' in one.feed(wire(chunk({"content": "b"})))
    one.feed(wire(chunk(begun(0, "c1", "f"))))
    assert b'"delta":"{\\"a\\":"' in one.feed(wire(chunk(more(0, '{"a":'))))


def test_signatures_come_with_the_reasoning_that_they_seal(streamed):
    first = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    hidden = {"type": "redacted_thinking", "data": "b3BhcXVl"}

    events = streamed(
        chunk({"reasoning_content": "hm"}),
        chunk({"thinking_blocks": [first]}),
        chunk({"thinking_blocks": [hidden]}),
        chunk({"reasoning_content": "again"}),
        chunk({"content": "so"}, finish="stop"),
    )

    sealed, again, message = events[-1]["response"]["output"]
    assert (sealed["summary"][0]["text"], unseal(sealed["encrypted_content"]).blocks) == ("hm", [first, hidden])
    assert (again["summary"][0]["text"], again.get("encrypted_content")) == ("again", None)
    assert message["type"] == "message"


def test_what_comes_behind_calls_waits_until_they_are_whole(streamed):
    events = streamed(
        chunk(begun(0, "c1", "f", '{"a":')), chunk({"content": "and"}), chunk(more(0, "1}")), chunk(finish="tool_calls")
    )

    assert [item["type"] for item in events[-1]["response"]["output"]] == ["function_call", "message"]


def test_calls_without_an_index_or_an_id(streamed):
    """As some servers make them, whole."""
    call = {"function": {"name": "f", "arguments": {"a": 1}}}

    events = streamed(chunk({"tool_calls": [call]}), chunk({"tool_calls": [call]}), chunk(finish="stop"))

    output = events[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [
        (f"call_{HEX}_0", '{"a":1}'),
        (f"call_{HEX}_1", '{"a":1}'),
    ]


def test_a_refusal_and_sources(streamed):
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}

    events = streamed(
        chunk({"content": "so"}),
        chunk({"annotations": [{"type": "url_citation", "url_citation": citation}]}),
        chunk({"refusal": "no"}),
        chunk(finish="stop"),
    )

    text, refusal = events[-1]["response"]["output"][0]["content"]
    assert text["annotations"] == [{"type": "url_citation", **citation}]
    assert refusal == {"type": "refusal", "refusal": "no"}


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_answers_that_were_cut(streamed, finish, reason):
    events = streamed(chunk(begun(0, "c1", "f", '{"a":')), chunk(finish=finish), COUNTED)

    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": reason}
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"


def test_a_stream_without_done_and_without_usage(reading, events_of):
    one = reading(is_stream=True)

    events = events_of(one.feed(wire(ROLE, chunk({"content": "a"}), chunk(finish="stop"))) + one.end())

    assert (events[-1]["type"], one.is_complete(), one.usage()) == ("response.completed", True, None)


def test_other_choices_are_none_of_it(streamed):
    other = {"id": "c1", "choices": [{"index": 1, "delta": {"content": "other"}}]}

    events = streamed(chunk({"content": "a"}), other, chunk(finish="stop"))

    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "a"


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b'data: {"error":{"message":"no","code":429}}\n\n', Refused),
        (b"data: <html>\n\n", BrokeOff),
        (DONE, BrokeOff),
        (b"", BrokeOff),
        (wire(ROLE) + b'data: {"error":{"message":"no"}}\n\n', Refused),
    ],
)
def test_errors_before_there_is_content_are_errors(reading, stream, error):
    """Another target may still be asked."""
    one = reading(is_stream=True)

    with pytest.raises(error):
        read(one, stream)
    assert not one.has_begun


@pytest.mark.parametrize(
    ("error", "code"),
    [(BrokeOff("cut"), "server_error"), (TimedOut("slow"), "server_error"), (RateLimited("no"), "rate_limit_exceeded")],
)
@pytest.mark.parametrize("cut", range(0, len(ALL_KINDS), 97))
def test_a_broken_stream_ends_with_a_response_that_failed(reading, error, code, cut):
    """Wherever it breaks: what has come is kept to the grammar, and there is one last event."""
    one = reading(is_stream=True, tools=TOOLS)
    out = one.feed(ALL_KINDS[:cut])

    grammar = ResponseGrammar.of(out + one.failure(error))

    assert grammar.events[-1]["type"] == "response.failed"
    assert grammar.response["error"] == {"code": code, "message": error.message}
    assert one.failure(error) == b""


def test_an_error_of_the_provider_in_the_middle(reading):
    one = reading(is_stream=True)
    out = one.feed(wire(ROLE, chunk({"content": "a"})) + b'data: {"error":{"message":"no"}}\n\n')

    with pytest.raises(BrokeOff, match="no"):
        one.feed(b"")
    assert ResponseGrammar.of(out + one.failure(BrokeOff("no"))).events[-1]["type"] == "response.failed"


def test_keys_in_errors_are_masked(reading):
    one = reading(is_stream=True)

    assert b"sk-0123456789abcdefgh" not in one.failure(BrokeOff("bad key sk-0123456789abcdefgh"))


def test_an_answer_without_end_is_cut_off(reading):
    one = reading(is_stream=True)
    large = wire(chunk({"content": "x" * 1_000_000}))

    with pytest.raises(BrokeOff, match="too many to be translated"):
        read(one, large * 20)


class Counted(OutputItem):
    """How often all of its arguments were looked at."""

    looks = 0

    @property
    def arguments(self):
        self.looks += 1
        return super().arguments


def test_many_small_pieces_are_not_looked_at_each_time():
    """Each might be the last of a call that others wait for; a hundred thousand of them took minutes."""
    item = Counted({"type": "function_call"})
    whole = []

    for _ in range(100_000):
        item.argue("}")
        whole.append(item.is_whole)

    assert not any(whole)
    assert item.looks < 5_000


DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, st.text(max_size=3)),
    st.builds(lambda text: {"reasoning_content": text}, st.text(max_size=3)),
    st.builds(lambda text: {"refusal": text}, st.text(max_size=3)),
    st.builds(
        begun, st.integers(0, 2), st.just("c"), st.sampled_from(["f", "patch", ""]), st.sampled_from(["", "{}", '{"i'])
    ),
    st.builds(more, st.integers(0, 3), st.sampled_from(["", "{", "}", '"a"', "x"])),
    st.just({"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}),
    st.just({"images": [{"image_url": {"url": "data:image/png;base64,aGk="}}]}),
    st.just({"annotations": [{"url_citation": {"url": "u"}}]}),
)


@given(deltas=st.lists(DELTAS, max_size=8), finish=st.sampled_from(["stop", "length", "tool_calls", None]))
def test_whatever_comes_keeps_to_the_grammar(deltas, finish):
    """LL#29254, LL#25848, agentgateway#1455: also what no provider should send. Codex drops a stream out of order."""
    data = msgspec.json.encode({"model": "m", "input": "hi", "stream": True, "tools": TOOLS})
    request = Request(body=JsonBody(msgspec.json.decode(data, type=dict[str, msgspec.Raw]), data))
    one = ToHub().reading(Call(MAKE_RESPONSE, MAKE_RESPONSE.parse(request), request), Head(200, {}, is_stream=True))
    out = b""
    with suppress(UpstreamError):
        out += one.feed(wire(*map(chunk, deltas), *([chunk(finish=finish)] if finish else ())) + DONE)
        out += one.end()

    if one.is_complete():
        ResponseGrammar.of(out)
    else:
        ResponseGrammar.of(out + one.failure(BrokeOff("cut")))


def test_an_event_takes_time_for_what_is_in_it_and_no_more(reading):
    """All that had been written before was copied for each choice, and the event loop waited."""

    def work(size):
        event = b"data: %b\n\n" % msgspec.json.encode({"choices": size * [{"index": 0, "delta": {"content": "x"}}]})
        one = reading(is_stream=True)
        return lambda: one.feed(event)

    assert growth(work, small=1500) < 24

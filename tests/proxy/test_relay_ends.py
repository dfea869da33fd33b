"""How answers begin and end in real life: labels that are wrong, `[DONE]`, errors in between, usage at odd places."""

import asyncio

import msgspec
import pytest

from gateway.contract import Outcome
from gateway.contract.usage import Usage
from gateway.errors import BrokeOff
from gateway.proxy.watch import Timing
from gateway.testing import Answer, FakeUpstream, http_scope, post

CHAT = "/v1/chat/completions"
ASK = {"model": "mock/m", "messages": [{"role": "user", "content": "say hello"}]}
STREAM = {**ASK, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}

HELLO = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
ROLE = b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"the model crashed, key sk-abcdefghijklmnop","code":500}}\n\n'
COUNTED = Usage(input=7, output=3)
SSE = {"content-type": "text/event-stream"}
REPLY = b'{"id":"1","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}'


@pytest.fixture
def ended(app_with, auth, sink):
    """`await ended(chunks, ask)`: the answer of a provider that sends these, and the record of it."""

    async def ask_for(chunks, ask=STREAM, headers=SSE, status=200):
        upstream = FakeUpstream((status, chunks, headers))
        app = app_with(upstream)
        answer = await asyncio.wait_for(post(app, CHAT, ask, headers=auth), 5)
        await app.close()
        assert all(reply.is_closed for reply in upstream.replies)
        return answer, sink.records[-1]

    return ask_for


# --- [DONE] ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "then",
    [[], [BrokeOff("reset")], [asyncio.Event()], [b": bye\n\n"], [ERROR], [HELLO]],
    ids=["end", "reset", "left open", "comment", "error", "more"],
)
@pytest.mark.parametrize("ask", [STREAM, WITH_USAGE], ids=["usage cut out", "verbatim"])
async def test_done_ends_an_answer_whatever_the_connection_does_then(ended, ask, then):
    """An error event stood behind `[DONE]`, the target was blamed, and clients waited for two minutes."""
    answer, record = await ended([HELLO, STOP, DONE, *then], ask)

    assert answer.body == HELLO + STOP + DONE
    assert answer.is_complete
    assert (record.outcome, record.error_message) == (Outcome.COMPLETE, None)


async def test_text_that_says_done_ends_nothing(ended):
    text = HELLO.replace(b"hello", b"data: [DONE]\\n\\ndata: [DONE]")

    answer, record = await ended([text, HELLO, STOP, DONE])

    assert answer.body == text + HELLO + STOP + DONE
    assert record.outcome == Outcome.COMPLETE


async def test_a_client_that_closes_after_done_has_not_left(app_with, auth, sink, until):
    """SDKs close the connection as soon as they read `[DONE]`; all of them were logged as gone."""
    app = app_with(FakeUpstream((200, [HELLO, STOP, DONE, asyncio.Event()], SSE)), timing=Timing(watch_after_s=0.0))
    has_read, answer = asyncio.Event(), Answer()
    messages = [{"type": "http.request", "body": msgspec.json.encode(STREAM), "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await has_read.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        await answer.take(message)
        if DONE in message.get("body", b""):
            has_read.set()
            for _ in range(10):
                await asyncio.sleep(0)

    await app(http_scope("POST", CHAT, auth, 100), receive, send)
    await app.close()

    assert answer.body == HELLO + STOP + DONE
    assert [record.outcome for record in sink.records] == [Outcome.COMPLETE]


async def test_a_client_that_leaves_a_complete_answer_is_billed_once(ended):
    _, record = await ended([HELLO, STOP, USAGE + DONE])

    assert (record.outcome, record.usage) == (Outcome.COMPLETE, COUNTED)


# --- other ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", [b"\n\n", b"\n", b""], ids=["blank line", "line feed", "nothing"])
async def test_usage_behind_all_content_is_an_end_too(ended, blank):
    """Without `[DONE]` and without a finish reason. What the client did not ask for does not reach it."""
    answer, record = await ended([HELLO, USAGE.removesuffix(b"\n\n") + blank])

    assert (answer.body, record.outcome, record.usage) == (HELLO, Outcome.COMPLETE, COUNTED)


async def test_usage_in_the_middle_is_no_end(ended):
    _, record = await ended([USAGE, HELLO])

    assert (record.outcome, record.usage) == (Outcome.UPSTREAM_BROKE, COUNTED)


@pytest.mark.parametrize("ask", [STREAM, WITH_USAGE], ids=["usage cut out", "verbatim"])
async def test_an_error_behind_content_is_an_error_in_the_log(ended, ask):
    """The client saw it, and the log said `complete`."""
    answer, record = await ended([HELLO, ERROR, DONE], ask)

    assert answer.body == HELLO + ERROR + DONE
    assert (record.outcome, record.error_message) == (Outcome.UPSTREAM_BROKE, "the model crashed, key ***")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b'data: {"error":"overloaded"}\n\n', "overloaded"),
        (b'event: error\ndata: {"message":"overloaded"}\n\n', "overloaded"),
        (b'event:error\r\ndata: {"detail":"overloaded"}\r\n\r\n', "overloaded"),
        (b'data: {\ndata:  "error": {\ndata:   "message": "overloaded"}}\n\n', "overloaded"),
        (
            b'data: {"error":{"message":"overloaded"},"choices":[{"delta":{},"finish_reason":"error"}]}\n\n',
            "overloaded",
        ),
        (
            b'data: {"choices":[{"delta":{},"finish_reason":"error"}]}\n\n',
            "the provider ended its answer with an error",
        ),
        (
            b'data: {"choices":[{"delta":{},"finish_reason":"network_error"}]}\n\n',
            "the provider ended its answer with an error",
        ),
        (
            b'data: {"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}\n\n',
            "the provider ended its answer with an error",
        ),
        (b'data: {"choices":[],"usage":{"prompt_tokens":7},"error":{"message":"overloaded"}}\n\n', "overloaded"),
        (b'data: {"error":{"message":"overloaded"},"padding":"' + 20_000 * b"x" + b'"}\n\n', "overloaded"),
    ],
    ids=[
        "text", "event name", "CR LF", "several lines", "finish reason", "finish reason alone", "Zhipu", "DeepSeek",
        "with usage", "long",
    ],
)  # fmt: skip
async def test_errors_behind_content_in_any_shape(ended, event, message):
    """Also in one event with the usage that the gateway asked for, which was dropped as a whole."""
    for chunks in ([HELLO + event + DONE], [HELLO, event[:30], event[30:], DONE], [HELLO, event]):
        answer, record = await ended(chunks)

        assert answer.body.startswith(HELLO + event)
        assert (record.outcome, record.error_message) == (Outcome.UPSTREAM_BROKE, message)


@pytest.mark.parametrize("word", [b"error", b'\\"error\\"', b"event: error", b'{\\"error\\":{\\"message\\":\\"x\\"}}'])
async def test_words_about_errors_are_no_error(ended, word):
    """Much of what models write is about errors."""
    text = HELLO.replace(b"hello", word)
    call = b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"error"}}],"error":null}}]}\n\n'

    answer, record = await ended([text, call, *(200 * [text]), STOP, DONE])

    assert answer.body == text + call + 200 * text + STOP + DONE
    assert record.outcome == Outcome.COMPLETE


async def test_an_error_far_from_the_end_is_found(ended):
    """Some go on as if nothing had been."""
    answer, record = await ended([HELLO, ERROR, *(500 * [HELLO]), STOP, DONE])

    assert answer.body == HELLO + ERROR + 500 * HELLO + STOP + DONE
    assert (record.outcome, record.error_message) == (Outcome.UPSTREAM_BROKE, "the model crashed, key ***")


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"object":"error","message":"boom","code":500}\n\n',
        b'data: {"errors":[{"message":"boom"}]}\n\n',
        b'data: {"code":500,"message":"boom"}\n\n',
        b'data: {"detail":"boom"}\n\n',
        b'data: [{"error":{"message":"boom"}}]\n\n',
        b"data: boom\n\n",
        b'event: Error\ndata: {"message":"boom"}\n\n',
        b'event: error\ndata: {"message":"boom","usage":{"prompt_tokens":7}}\n\n',
        b'data: {"choices":[{"delta":{},"error":{"message":"boom"}}]}\n\n',
        b'{"error":{"message":"boom"}}\n\n',
    ],
)
async def test_errors_behind_content_are_found_by_what_they_lack(ended, event):
    """Before the first content all of these were errors, and behind it none."""
    answer, record = await ended([HELLO, event, DONE])

    assert answer.body == HELLO + event + DONE
    assert (record.outcome, record.error_message) == (Outcome.UPSTREAM_BROKE, "boom")


FOREIGN = [
    b'event: status\ndata: {"message":"loading the model","code":503}\n\n',
    b"event: ping\ndata: ping\n\n",
    b"event:keepalive\r\ndata: {}\r\n\r\n",
]


@pytest.mark.parametrize("event", FOREIGN)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_events_with_names_of_others_are_relayed_and_say_nothing(ended, event, place):
    """Progress and heartbeats of vendors: they were errors, or an answer that had begun."""
    chunks = [ROLE, HELLO, STOP]
    chunks.insert(place, event)

    answer, record = await ended([*chunks, DONE])

    assert answer.body == b"".join([*chunks, DONE])
    assert (record.outcome, record.error_message) == (Outcome.COMPLETE, None)


async def test_an_answer_among_several_that_has_not_ended_is_broken(ended):
    second = HELLO.replace(b'"index":0', b'"index":1')

    _, record = await ended([HELLO, STOP, second], WITH_USAGE)

    assert record.outcome == Outcome.UPSTREAM_BROKE


async def test_the_end_goes_out_though_blank_lines_are_of_two_kinds(ended):
    """`[DONE]` was held back for the rest of its event, and nobody let it go."""
    answer, _ = await ended([HELLO + STOP + USAGE + b"data: [DONE]\r\n\r\n"])

    assert answer.body == HELLO + STOP + b"data: [DONE]\r\n\r\n"


# --- errors before the first content ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "status", "message"),
    [
        ([b'{"error":{"code":429,"message":"slow down"}}'], 429, "slow down"),
        ([b'{"code":429,"message":"slow down"}'], 429, "slow down"),
        ([b'{"error":', b'{"code":"503","message":"busy"}}\n'], 503, "busy"),
        ([b'[{"error":{"code":400,"message":"bad key"}}]'], 400, "bad key"),
        ([b'\xef\xbb\xbf{"error":{"code":429,"message":"slow down"}}'], 429, "slow down"),
        ([b'\xef\xbb\xbfdata: {"error":{"code":429,"message":"slow down"}}\n\n'], 429, "slow down"),
        ([b"\xef", b"\xbb", b'\xbfdata: {"error":{"code":429,"message":"slow down"}}\n\n'], 429, "slow down"),
        ([b'data: {\ndata: "error": {"code": 429, "message": "slow down"}\ndata: }\n\n'], 429, "slow down"),
        ([b'event: error\ndata: {"code":429,"message":"slow down"}\n\n'], 429, "slow down"),
        ([b"event: error\ndata: overloaded\n\n"], 502, "overloaded"),
        ([b'data: {"code":429,"message":"slow down"}\n\n'], 429, "slow down"),
        ([REPLY], 502, "the provider did not answer with a stream"),
        ([b"<html>busy</html>"], 502, "the provider's answer is not a JSON object"),
    ],
)
async def test_an_error_under_a_streams_label_gets_its_status(ended, chunks, status, message):
    """It was a 502 that said that the stream had ended before it began."""
    answer, record = await ended(chunks)

    error = answer.json()["error"]
    assert (answer.status, error["message"], record.error_message) == (status, message, message)


@pytest.mark.parametrize(
    "chunks",
    [
        [DONE],
        [b": hello\n\n", b": hello\n\ndata: [DO", b"NE]\n\n"],
        [b"\xef\xbb\xbfdata: [DONE]"],
        [ROLE, DONE],
        [ROLE, b"event: status\ndata: {}\n\n"],
        [b'data: {"choices":[]}\r\n\r\ndata: [DONE]\r\n\r\n'],
    ],
    ids=["end", "comments", "no blank line", "role", "role and no end", "no choices"],
)
@pytest.mark.parametrize("ask", [STREAM, WITH_USAGE], ids=["usage cut out", "verbatim"])
async def test_a_stream_in_which_nothing_is_said_is_a_status(ended, ask, chunks):
    """It was a complete answer without a word in it, and no other target was asked."""
    answer, record = await ended(chunks, ask)

    message = "the provider ended its stream before it began"
    assert (answer.status, answer.json()["error"]["message"]) == (502, message)
    assert (record.outcome, record.error_message) == (Outcome.UPSTREAM_BROKE, message)


@pytest.mark.parametrize("chunks", [[ROLE, STOP, DONE], [STOP, DONE], [ROLE + STOP + DONE]])
@pytest.mark.parametrize("ask", [STREAM, WITH_USAGE], ids=["usage cut out", "verbatim"])
async def test_an_answer_of_no_words_that_says_why_it_ends_is_one(ended, ask, chunks):
    answer, record = await ended(chunks, ask)

    assert (answer.body, record.outcome) == (b"".join(chunks), Outcome.COMPLETE)


async def test_an_answer_of_no_words_that_was_counted_is_one(ended):
    answer, record = await ended([ROLE, USAGE, DONE], WITH_USAGE)

    assert (answer.body, record.outcome, record.usage) == (ROLE + USAGE + DONE, Outcome.COMPLETE, COUNTED)


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["text/plain", "application/json", "application/octet-stream", "", "Text/Event-Stream; charset=UTF-8"]
)
@pytest.mark.parametrize("first", [HELLO, b": ping\n\n" + HELLO, b"event: x\n" + HELLO, b"\xef\xbb\xbf" + HELLO])
async def test_a_stream_is_known_by_what_it_begins_with(ended, label, first):
    """It was held back to its end, called broken, and asked for again."""
    answer, record = await ended([first[:3], first[3:], STOP, USAGE, DONE], headers={"content-type": label})

    assert answer.headers["content-type"].lower().startswith("text/event-stream")
    assert answer.body == first + STOP + DONE
    assert (record.outcome, record.usage) == (Outcome.COMPLETE, COUNTED)


@pytest.mark.parametrize("label", ["application/json", "text/event-stream", "text/plain"])
async def test_a_document_is_known_by_what_it_begins_with(ended, label):
    answer, record = await ended([REPLY[:5], REPLY[5:]], ASK, {"content-type": label})

    assert (answer.status, answer.body, record.usage) == (200, REPLY, COUNTED)


@pytest.mark.parametrize("label", ["application/json", "text/event-stream"])
async def test_a_stream_nobody_asked_for_is_refused(ended, label):
    answer, _ = await ended([HELLO, STOP, DONE], ASK, {"content-type": label})

    assert answer.status == 502
    assert answer.json()["error"]["message"] == "the provider answered with a stream, which was not asked for"


# --- large answers ---------------------------------------------------------------------------------------------------

VECTOR = b"[" + 60_000 * b"0.12," + b"0.5]"
COUNTS = b'"usage":{"prompt_tokens":7,"completion_tokens":3}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":' + VECTOR + b"," + COUNTS + b',"more":' + VECTOR + b"}",
        b"{" + COUNTS + b',"data":' + VECTOR + b',"more":' + VECTOR + b"}",
        b'{"data":' + VECTOR + b',"more":' + VECTOR + b"," + COUNTS + b"}",
        b'{"data":' + VECTOR + b',"error":null,"more":' + VECTOR + b"," + COUNTS + b"}",
    ],
    ids=["middle", "start", "end", "with a null error"],
)
async def test_usage_is_found_wherever_it_stands_in_a_large_answer(ended, body):
    for size in (1400, 65_536):
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        answer, record = await ended(chunks, ASK, {"content-type": "application/json"})

        assert (answer.body, record.usage, record.outcome) == (body, COUNTED, Outcome.COMPLETE)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"<html>" + 300_000 * b"x" + b"</html>", 502, "the provider's answer is not a JSON object"),
        (300_000 * b"x", 502, "the provider's answer is not a JSON object"),
        (b'{"error":{"message":"busy","code":503},"p":"' + 300_000 * b"x" + b'"}', 503, "busy"),
        (b'\n {"id":"1", "error": {"message":"busy"},"p":"' + 300_000 * b"x" + b'"}', 502, "busy"),
        (
            b'{"error":{"message":"' + 600_000 * b"x" + b'"}}',
            502,
            "the provider answered with an error that is too large to be passed on",
        ),
        (b"data: {}\n\n" * 30_000, 502, "the provider answered with a stream, which was not asked for"),
    ],
    ids=["page", "text", "error", "error behind an id", "huge error", "stream"],
)
async def test_a_large_answer_that_is_none_is_an_error(ended, body, status, message):
    """It was relayed as 200, and billed."""
    chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]

    answer, record = await ended(chunks, ASK, {"content-type": "application/json"})

    error = answer.json()["error"]
    assert (answer.status, error["message"], record.usage) == (status, message, None)


async def test_a_large_answer_that_is_cut_short_is_no_answer(ended):
    """It ended as if nothing had been, where one of less than 256 KiB was a 502."""
    body = b'{"id":"1","choices":[{"message":{"content":"' + 300_000 * b"x" + b'"}}]'

    with pytest.raises(BrokeOff):
        await ended([body], ASK, {"content-type": "application/json"})


async def test_an_error_inside_a_large_answers_content_is_none(ended):
    body = b'{"choices":[{"message":{"error":{"message":"x"},"content":"\\"error\\":{}' + 300_000 * b"x" + b'"}}]}'

    answer, _ = await ended([body[:200_000], body[200_000:]], ASK, {"content-type": "application/json"})

    assert (answer.status, answer.body) == (200, body)


PRETTY = b"""data: {
data:  "choices": [],
data:  "usage": {
data:   "prompt_tokens": 7,
data:   "completion_tokens": 3
data:  }
data: }

"""

# --- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([USAGE, USAGE.replace(b":7,", b":0,").replace(b":3,", b":0,").replace(b":10}", b":0}")], COUNTED),
        ([USAGE, b'data: {"choices":[],"usage":{}}\n\n'], COUNTED),
        ([USAGE, *(6 * [b'data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n'])], COUNTED),
        ([USAGE, *(20 * [b'data: {"choices":[],"usage":null}\n\n'])], COUNTED),
        ([USAGE.replace(b"}}", b',"x":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}}')], COUNTED),
        ([USAGE, b'data: {"choices":[],"usage":null}\n\n'], COUNTED),
        ([b'data: {"choices":[],"usage":{"input_tokens":7,"output_tokens":3}}\n\n'], COUNTED),
        ([PRETTY], COUNTED),
        ([b'data: {"choices":[],"usage":{}}\n\n'], Usage(input=9, output=3, estimated=True)),
        ([b'data: {"choices":[],"usage":{"tokens":7}}\n\n'], Usage(input=9, output=3, estimated=True)),
        ([USAGE.replace(b"7", b'"7"').replace(b"3", b"3.0")], COUNTED),
    ],
    ids=[
        "zeros", "empty", "many zeros", "many nulls", "usage in usage", "null", "other names", "several lines",
        "only empty", "unknown names", "odd numbers",
    ],
)  # fmt: skip
async def test_usage_of_a_stream(ended, events, usage):
    """A stream whose usage could not be read cost nothing, or as much as a long one."""
    answer, record = await ended([HELLO, STOP, *events, DONE])

    assert record.usage == usage
    assert b"prompt_tokens" not in answer.body


@pytest.mark.parametrize(
    "more", [b'"timings":{"predicted_ms":7}', b'"citations":["https://x.example"]', b'"x_vendor":{"id":1}']
)
async def test_only_what_the_gateway_asked_for_is_cut_out(ended, more):
    """Who sends something else beside usage had it dropped with it."""
    answer, record = await ended([HELLO, STOP, USAGE.replace(b'"usage"', more + b',"usage"'), DONE])

    assert answer.body == HELLO + STOP + b'data: {"id":"1","choices":[],' + more + b"}\n\n" + DONE
    assert record.usage == COUNTED


async def test_usage_that_was_not_asked_for_by_the_gateway_stays(ended):
    answer, _ = await ended([HELLO, STOP, USAGE, DONE], WITH_USAGE)

    assert answer.body == HELLO + STOP + USAGE + DONE


async def test_the_bill_is_not_written_by_the_model(ended):
    """Some servers give the arguments of a call as an object; a model, and so a caller, chooses what is in it."""
    call = b'{"function":{"arguments":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}}'

    _, record = await ended([b'{"choices":[{"message":{"tool_calls":[' + call + b"]}}]}"], ASK, {})

    assert record.usage.estimated


# --- secrets in errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b'{"error":{"message":"you sent provider-key-of-mock"}}',
        b"bad token provider-key-of-mock",
        b'{"error":{"message":"sk-abcdefghijklmnop"},"error":{"message":"ok"}}',
        b'{"error":{"message":"ok","x":"sk-abcdefghijklmnop","x":"fine"}}',
        b'{"error":{"message":"ok","sk-abcdefghijklmnop":"fine"}}',
    ],
)
@pytest.mark.parametrize("status", [403, 200])
async def test_an_error_shows_no_key(ended, said, status):
    """Neither the one that was sent, whatever it looks like, nor one behind a second field of its name."""
    answer, record = await ended([said], ASK, {}, status)

    shown = answer.body.decode() + str(record.error_message)
    assert "provider-key-of-mock" not in shown
    assert "sk-abcdefghijklmnop" not in shown


# --- servers that do not know how to be asked for usage --------------------------------------------------------------


async def test_who_refuses_to_be_asked_for_usage_is_asked_without(app_with, auth, sink):
    """Every stream was a 400 for a field that the caller had not sent. It is remembered, so it costs once."""
    no = (400, [b'{"error":{"message":"unknown field: stream_options"}}'])
    upstream = FakeUpstream(no, (200, [HELLO, STOP, DONE], SSE))
    app = app_with(upstream)

    answers = [await post(app, CHAT, STREAM, headers=auth) for _ in range(2)]
    await app.close()

    assert [(answer.status, answer.body) for answer in answers] == [(200, HELLO + STOP + DONE)] * 2
    assert ["stream_options" in upstream.asked(index) for index in range(len(upstream.requests))] == [
        True,
        False,
        False,
    ]
    assert [record.outcome for record in sink.records] == [Outcome.COMPLETE] * 2


@pytest.mark.parametrize("place", ["before a good end", "at the end", "alone in its chunk"])
async def test_a_key_in_an_error_event_is_not_passed_on(app_with, auth, place):
    """Some providers repeat what they were sent, in a shape that no pattern knows."""
    error = b'data: {"error":{"message":"no access for provider-key-of-mock"}}\n\n'
    pieces = {
        "before a good end": [HELLO + error, STOP + DONE],
        "at the end": [HELLO, STOP + error + DONE],
        "alone in its chunk": [HELLO, error],
    }[place]

    answer = await post(app_with(FakeUpstream((200, pieces))), CHAT, STREAM, headers=auth)

    assert b"provider-key-of-mock" not in answer.body
    assert b"no access for ***" in answer.body

"""From the provider's bytes to the client's, through the whole app."""

import asyncio
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contract import Outcome
from gateway.contract.usage import Usage
from gateway.errors import Blocked, BrokeOff, Unreachable
from gateway.proxy.watch import Timing
from gateway.testing import Answer, FakeReply, FakeUpstream, get, http_scope, post

CHAT = "/v1/chat/completions"
ASK = {"model": "mock/m", "messages": [{"role": "user", "content": "say hello"}]}
STREAM = {**ASK, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}

FIRST = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":"Oh, "},"finish_reason":null}]}\n\n'
)
HELLO = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"h\xc3\xa9llo"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
WHOLE_STREAM = PING + FIRST + HELLO + PING + HELLO + STOP + USAGE + DONE
RECORDED = [
    WHOLE_STREAM,
    WHOLE_STREAM.replace(b"\n", b"\r\n"),
    WHOLE_STREAM.replace(b"data: ", b"data:"),
    b"event: chunk\nid: 4\n" + WHOLE_STREAM,
]

REPLY = (
    b'{"id":"1","choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3}}'
)
ERROR = b'data: {"error":{"message":"the model crashed","type":"server_error","code":500}}\n\n'
KEEP_ALIVE = b": keep-alive\n\n"
QUICK = Timing(watch_after_s=0.0, keep_alive_s=0.02)


def interrupted(message, code="stream_interrupted", type_="upstream_error"):
    return f'data: {{"error":{{"message":"{message}","type":"{type_}","param":null,"code":"{code}"}}}}\n\n'.encode()


CUT_SHORT = interrupted("the provider ended its stream before the answer was complete")


class Scripted:
    """An upstream whose next reply is a stream of `chunks`."""

    chunks = ()

    async def call(self, request):
        return FakeReply(200, self.chunks, {"content-type": "text/event-stream"})


@pytest.fixture
def scripted():
    return Scripted()


@pytest.fixture
def scripted_app(app_with, scripted):
    return app_with(scripted)


class Client:
    """Asks an app in a task of its own, to be looked at meanwhile. `accepts`: whether `send` goes on."""

    def __init__(self, app, body, headers, path=CHAT):
        self.app, self.body, self.headers, self.path = app, body, headers, path
        self.messages = []
        self.leaves = asyncio.Event()
        self.accepts = asyncio.Event()
        self.accepts.set()

    async def __aenter__(self):
        self.answer = Answer()
        self.task = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_):
        self.leaves.set()
        self.accepts.set()
        await asyncio.wait([self.task], timeout=5)

    async def _ask(self):
        messages = [{"type": "http.request", "body": msgspec.json.encode(self.body), "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            self.messages.append(message)
            await self.accepts.wait()
            await self.answer.take(message)

        await self.app(http_scope("POST", self.path, self.headers, 100), receive, send)


# --- verbatim ----------------------------------------------------------------


async def test_passes_on_the_very_bytes_objects(app_with, auth):
    """Each chunk costs no copy when the client asked for usage itself, so that nothing has to be taken out."""
    chunks = [FIRST, HELLO, HELLO + STOP, USAGE + DONE]

    answer = await post(app_with(FakeUpstream((200, chunks))), CHAT, WITH_USAGE, headers=auth)

    assert [id(chunk) for chunk in answer.chunks] == [id(chunk) for chunk in chunks]
    assert answer.is_complete


async def test_sends_the_headers_that_keep_proxies_from_buffering(app_with, auth):
    answer = await post(app_with(FakeUpstream((200, [FIRST, STOP, DONE]))), CHAT, WITH_USAGE, headers=auth)

    assert answer.status == 200
    assert {k: v for k, v in answer.headers.items() if "request-id" not in k} == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-tfy-resolved-model": "mock/m",
    }


@pytest.mark.parametrize("recorded", RECORDED, ids=["lf", "crlf", "no-space", "event-and-id"])
@given(data=st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_chunking_comes_out_the_same(scripted, scripted_app, auth, recorded, data):
    """A provider's chunks end where the network wants: inside a character, a line end, or a field name."""
    cuts = data.draw(st.lists(st.integers(0, len(recorded)), max_size=12))
    scripted.chunks = pieces(recorded, cuts)

    answer = await post(scripted_app, CHAT, WITH_USAGE, headers=auth)

    assert answer.body == recorded
    assert answer.is_complete


@pytest.mark.parametrize("recorded", RECORDED, ids=["lf", "crlf", "no-space", "event-and-id"])
async def test_a_cut_at_every_byte_comes_out_the_same(app_with, auth, recorded):
    upstream = Scripted()
    app = app_with(upstream)
    wrong = []

    for cut in range(1, len(recorded)):
        upstream.chunks = [recorded[:cut], recorded[cut:]]
        if (await post(app, CHAT, WITH_USAGE, headers=auth)).body != recorded:
            wrong.append(cut)

    assert wrong == []


@pytest.mark.parametrize("recorded", RECORDED, ids=["lf", "crlf", "no-space", "event-and-id"])
async def test_cuts_out_the_usage_nobody_asked_for(app_with, auth, recorded, sink):
    """The gateway asks for it on its own account; clients that index `choices[0]` fail on it."""
    usage_event = RECORDED_USAGE[RECORDED.index(recorded)]
    upstream = Scripted()
    app = app_with(upstream)
    wrong = []

    for cut in range(1, len(recorded)):
        upstream.chunks = [recorded[:cut], recorded[cut:]]
        if (await post(app, CHAT, STREAM, headers=auth)).body != recorded.replace(usage_event, b""):
            wrong.append(cut)
    await app.close()

    assert wrong == []
    assert {record.usage for record in sink.records} == {Usage(input=7, output=3)}


RECORDED_USAGE = [USAGE, USAGE.replace(b"\n", b"\r\n"), USAGE.replace(b"data: ", b"data:"), USAGE]


def pieces(data, cuts):
    edges = sorted({0, *cuts, len(data)})
    return [data[start:end] for start, end in pairwise(edges)]


async def test_asks_for_usage_on_its_own_account(app_with, auth):
    upstream = FakeUpstream((200, [FIRST, STOP, USAGE, DONE]))

    await post(app_with(upstream), CHAT, {**STREAM, "stream_options": {"x": 1}}, headers=auth)

    assert upstream.asked() == {**STREAM, "model": "real-m", "stream_options": {"x": 1, "include_usage": True}}


async def test_a_reply_that_is_not_streamed_is_passed_on_whole(app_with, auth):
    answer = await post(app_with(FakeUpstream((200, [REPLY[:20], REPLY[20:]]))), CHAT, ASK, headers=auth)

    assert (answer.status, answer.chunks, answer.headers["content-length"]) == (200, [REPLY], str(len(REPLY)))
    assert answer.headers["content-type"] == "application/json"


async def test_keeps_every_byte_of_the_request_but_the_model(app_with, auth):
    """Long numbers, unknown fields, escapes and the order of keys are the caller's own business."""
    upstream = FakeUpstream((200, [REPLY]))
    body = b'{"seed":12345678901234567890123, "model":"mock/m","x":1.0e0,"messages":[ {"content":"\\ud83d\\ude00"}]}'

    await post(app_with(upstream), CHAT, body, headers=auth)

    assert upstream.requests[0].body == (
        b'{"seed":12345678901234567890123,"model":"real-m","x":1.0e0,"messages":[ {"content":"\\ud83d\\ude00"}]}'
    )


# --- broken streams ----------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([FIRST, HELLO], [FIRST, HELLO, CUT_SHORT]),
        ([FIRST, HELLO[:-30]], [FIRST, HELLO[:-30], b"\n\n" + CUT_SHORT]),
        ([FIRST, HELLO[:-1]], [FIRST, HELLO[:-1], b"\n\n" + CUT_SHORT]),
        ([FIRST, BrokeOff("it broke")], [FIRST, interrupted("it broke")]),
        ([FIRST, HELLO[:9], BrokeOff("it broke")], [FIRST, HELLO[:9], b"\n\n" + interrupted("it broke")]),
        ([FIRST, HELLO, ERROR], [FIRST, HELLO, ERROR, b""]),
        ([FIRST, HELLO, ERROR, BrokeOff("and broke")], [FIRST, HELLO, ERROR, b""]),
        ([FIRST, HELLO + ERROR], [FIRST, HELLO + ERROR, b""]),
    ],
    ids=[
        "no finish reason, no [DONE]",
        "partial event",
        "all but its last line feed",
        "broke off between events",
        "broke off inside an event",
        "the provider said so",
        "the provider said so and broke off",
        "in one chunk",
    ],
)
async def test_a_broken_stream_ends_with_one_error_event(app_with, auth, sink, chunks, expected):
    """A stream that just ends is a success to the SDKs, so it is never left at that, and [DONE] never follows."""
    app = app_with(FakeUpstream((200, chunks)))

    answer = await post(app, CHAT, WITH_USAGE, headers=auth)
    await app.close()

    assert answer.status == 200
    assert answer.chunks == expected
    assert answer.is_complete
    assert [record.outcome for record in sink.records] == [Outcome.UPSTREAM_BROKE]


@pytest.mark.parametrize("ask", [STREAM, WITH_USAGE], ids=["usage cut out", "verbatim"])
async def test_an_error_event_that_comes_in_pieces_is_not_doubled(app_with, auth, ask):
    upstream = Scripted()
    app = app_with(upstream)
    wrong = []

    for cut in range(1, len(ERROR)):
        upstream.chunks = [FIRST, ERROR[:cut], ERROR[cut:]]
        if (await post(app, CHAT, ask, headers=auth)).body != FIRST + ERROR:
            wrong.append(cut)

    assert wrong == []


@pytest.mark.parametrize(
    ("chunks", "status", "message"),
    [
        ([BrokeOff("it broke")], 502, "it broke"),
        ([HELLO[:20], BrokeOff("it broke")], 502, "it broke"),
        ([b""], 502, "the provider ended its stream before it began"),
        ([PING], 502, "the provider ended its stream before it began"),
        ([ERROR], 500, "the model crashed"),
        ([PING, ERROR], 500, "the model crashed"),
        ([PING + ERROR[:30], ERROR[30:]], 500, "the model crashed"),
        ([b"event: error\n" + ERROR], 500, "the model crashed"),
        ([b'data: {"error":"overloaded"}\n\n'], 502, "overloaded"),
        ([b'data: {"error":{"message":"slow down","status":429}}\n\n'], 429, "slow down"),
        ([b"data: <html>\n\n"], 502, "the provider's answer is not a JSON object"),
    ],
)
async def test_before_the_first_event_a_failure_is_a_status(app_with, auth, chunks, status, message):
    """SDKs retry by status; an error event in a stream they have begun is final."""
    upstream = FakeUpstream((200, chunks, {"content-type": "text/event-stream"}))

    answer = await post(app_with(upstream), CHAT, STREAM, headers=auth)

    assert answer.status == status
    error = answer.json()["error"]
    assert (error if isinstance(error, str) else error["message"]) == message
    assert upstream.replies[0].is_closed


@pytest.mark.parametrize(
    ("chunks", "headers", "status", "message"),
    [
        ([b'{"error":{"message":"no capacity","code":503}}'], {}, 503, "no capacity"),
        ([b'{"error":{"message":"no idea"}}'], {}, 502, "no idea"),
        ([b"<html>busy</html>"], {"content-type": "text/html"}, 502, "the provider's answer is not a JSON object"),
        ([b"[]"], {}, 502, "the provider's answer is not a JSON object"),
        ([], {}, 502, "the provider's answer is not a JSON object"),
        ([REPLY[:-9]], {}, 502, "the provider's answer is not a JSON object"),
        ([REPLY[:-9], BrokeOff("it broke")], {}, 502, "it broke"),
    ],
    ids=["error with a status", "error without", "html", "not an object", "empty", "truncated", "broke off"],
)
@pytest.mark.parametrize("ask", [ASK, STREAM], ids=["asked whole", "asked as a stream"])
async def test_a_200_that_is_none_gets_its_status(app_with, auth, ask, chunks, headers, status, message):
    upstream = FakeUpstream((200, chunks, headers))

    answer = await post(app_with(upstream), CHAT, ask, headers=auth)

    assert (answer.status, answer.json()["error"]["message"]) == (status, message)
    assert upstream.replies[0].is_closed


async def test_an_end_without_a_last_line_feed_is_an_end(app_with, auth, sink):
    app = app_with(FakeUpstream((200, [FIRST, b"data: [DONE]"]), (200, [FIRST, b"data: [DONE]"])))

    answers = [await post(app, CHAT, ask, headers=auth) for ask in (STREAM, WITH_USAGE)]
    await app.close()

    assert [answer.chunks for answer in answers] == [[FIRST, DONE]] * 2
    assert [record.outcome for record in sink.records] == [Outcome.COMPLETE] * 2


async def test_a_finish_reason_is_an_end_too(app_with, auth):
    """Some providers leave out [DONE]."""
    answer = await post(app_with(FakeUpstream((200, [FIRST, STOP]))), CHAT, WITH_USAGE, headers=auth)

    assert answer.chunks == [FIRST, STOP, b""]


async def test_a_failed_call_is_a_status(app_with, auth, sink):
    app = app_with(FakeUpstream(Unreachable("no connection to the provider")))

    answer = await post(app, CHAT, STREAM, headers=auth)
    await app.close()

    assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert "x-should-retry" not in answer.headers
    assert sink.records[0].outcome == Outcome.UPSTREAM_BROKE


# --- large replies -----------------------------------------------------------


def large_reply():
    return b'{"usage":{"prompt_tokens":7,"completion_tokens":3},"x":"' + 400_000 * b"x" + b'"}'


async def test_a_large_reply_is_passed_on_in_pieces(app_with, auth, sink):
    body = large_reply()
    chunks = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    app = app_with(FakeUpstream((200, chunks, {"content-length": str(len(body))})))

    answer = await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert answer.body == body
    assert answer.headers["content-length"] == str(len(body))
    assert max(map(len, answer.chunks)) < len(body)
    assert [(r.outcome, r.usage) for r in sink.records] == [(Outcome.COMPLETE, Usage(input=7, output=3))]


async def test_a_large_reply_that_was_unpacked_has_no_length(app_with, auth):
    """The length a provider declares is that of the packed body; the client would wait for more, or get too much."""
    body = large_reply()
    headers = {"content-length": "500", "content-encoding": "gzip"}

    answer = await post(app_with(FakeUpstream((200, [body], headers))), CHAT, ASK, headers=auth)

    assert answer.body == body
    assert "content-length" not in answer.headers


async def test_a_large_reply_that_breaks_is_cut(app_with, auth, sink):
    """Part of it has gone out: the connection must not end as if that were all."""
    body = large_reply()
    app = app_with(FakeUpstream((200, [body[:300_000], BrokeOff("it broke")])))

    with pytest.raises(BrokeOff):
        await post(app, CHAT, ASK, headers=auth)
    await app.close()

    assert [(r.outcome, r.status) for r in sink.records] == [(Outcome.UPSTREAM_BROKE, 200)]


# --- silence -----------------------------------------------------------------


async def test_a_comment_goes_out_while_the_provider_thinks(app_with, auth, until):
    """Proxies and agents give up on a silent connection; once the head is out, a refusal can only be an event."""
    thinks = asyncio.Event()
    upstream = FakeUpstream((429, [thinks, b'{"error":{"message":"slow down","code":"x"}}']))

    async with Client(app_with(upstream, timing=QUICK), STREAM, auth) as client:
        await until(lambda: KEEP_ALIVE in client.answer.chunks)
        thinks.set()
        await client.task

    assert client.answer.status == 200
    assert client.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [chunk for chunk in client.answer.chunks if chunk != KEEP_ALIVE] == [
        interrupted("slow down", code="upstream_error")
    ]
    assert client.answer.is_complete


async def test_after_a_comment_the_stream_goes_on_as_it_comes(app_with, auth, until):
    thinks = asyncio.Event()

    async with Client(
        app_with(FakeUpstream((200, [thinks, FIRST, STOP, DONE], {"content-type": "text/event-stream"})), timing=QUICK),
        STREAM,
        auth,
    ) as client:
        await until(lambda: KEEP_ALIVE in client.answer.chunks)
        thinks.set()
        await client.task

    assert [chunk for chunk in client.answer.chunks if chunk != KEEP_ALIVE] == [FIRST, STOP, DONE]
    assert [message["type"] for message in client.messages].count("http.response.start") == 1


async def test_no_comment_for_a_reply_that_is_not_a_stream(app_with, auth):
    thinks = asyncio.Event()
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.005, first_byte_s=0.1)

    answer = await post(app_with(FakeUpstream((200, [thinks, REPLY])), timing=timing), CHAT, ASK, headers=auth)

    assert answer.status == 408
    assert answer.json()["error"] == {
        "message": "the provider sent nothing for 0.1 s",
        "type": "timeout_error",
        "param": None,
        "code": "upstream_timeout",
    }


@pytest.mark.parametrize("late", ["head", "body"])
async def test_after_a_comment_a_whole_reply_is_an_error(app_with, auth, until, late):
    """The client has been promised a stream, and its head can be sent only once."""
    thinks = asyncio.Event()
    upstream = FakeUpstream((200, [thinks, REPLY] if late == "body" else [REPLY]))
    app = app_with(Late(upstream, thinks) if late == "head" else upstream, timing=QUICK)

    async with Client(app, STREAM, auth) as client:
        await until(lambda: KEEP_ALIVE in client.answer.chunks)
        thinks.set()
        await client.task

    assert client.answer.chunks[-1] == interrupted("the provider did not answer with a stream")
    assert [message["type"] for message in client.messages].count("http.response.start") == 1


class Late:
    """An upstream whose head comes when the event is set."""

    def __init__(self, upstream, event):
        self.upstream, self.event = upstream, event

    async def call(self, request):
        await self.event.wait()
        return await self.upstream.call(request)


async def test_comments_go_between_events_and_never_inside(app_with, auth, until):
    """A comment in the middle of a line would become part of the provider's JSON."""
    thinks, stalls = asyncio.Event(), asyncio.Event()
    upstream = FakeUpstream((200, [FIRST, thinks, HELLO[:30], stalls, HELLO[30:], STOP]))

    async with Client(app_with(upstream, timing=QUICK), WITH_USAGE, auth) as client:
        await until(lambda: client.answer.chunks.count(KEEP_ALIVE) == 2)
        thinks.set()
        await until(lambda: HELLO[:30] in client.answer.chunks)
        inside = len(client.answer.chunks)
        await asyncio.sleep(5 * QUICK.keep_alive_s)  # nothing may happen; the test holds however long this is
        assert len(client.answer.chunks) == inside
        stalls.set()
        await client.task

    assert client.answer.body.replace(KEEP_ALIVE, b"") == FIRST + HELLO + STOP


@pytest.mark.parametrize("silence", [[], [PING] * 1000], ids=["nothing", "only pings"])
async def test_a_provider_that_falls_silent_is_given_up(app_with, auth, sink, silence):
    """Its own keep-alive comments count as silence: a provider that only pings is stuck."""
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.01, idle_s=0.05)
    reply = Slow([FIRST, *silence, asyncio.Event()])
    app = app_with(Only(reply), timing=timing)

    answer = await post(app, CHAT, STREAM, headers=auth)
    await app.close()

    assert answer.body.replace(KEEP_ALIVE, b"").startswith(FIRST)
    assert answer.chunks[-1] == interrupted("the provider sent nothing for 0.05 s", "upstream_timeout", "timeout_error")
    assert reply.is_closed
    assert [(r.outcome, r.error_code) for r in sink.records] == [(Outcome.UPSTREAM_BROKE, "upstream_timeout")]


class Slow(FakeReply):
    """A stream whose chunks come now and then."""

    def __init__(self, chunks):
        super().__init__(200, chunks, {"content-type": "text/event-stream"})

    async def read(self):
        await asyncio.sleep(0.002)
        return await super().read()


class Only:
    """An upstream with one reply."""

    def __init__(self, reply):
        self.reply = reply

    async def call(self, request):
        return self.reply


async def test_no_first_byte_in_time_is_a_408(app_with, auth, sink):
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.02, first_byte_s=0.02)
    upstream = FakeUpstream((200, [asyncio.Event()]))
    app = app_with(upstream, timing=timing)

    answer = await post(app, CHAT, STREAM, headers=auth)
    await app.close()

    assert (answer.status, answer.json()["error"]["code"]) == (408, "upstream_timeout")
    assert "x-should-retry" not in answer.headers
    assert upstream.replies[0].is_closed
    assert sink.records[0].outcome == Outcome.UPSTREAM_BROKE


async def test_a_client_that_does_not_read_is_given_up(app_with, auth, sink, until):
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.01, write_stall_s=0.05)
    upstream = FakeUpstream((200, [FIRST, HELLO, STOP, DONE]))
    app = app_with(upstream, timing=timing)

    async with Client(app, WITH_USAGE, auth) as client:
        client.accepts.clear()
        await until(lambda: client.task.done())
    await app.close()

    assert upstream.replies[0].is_closed
    assert [(r.outcome, r.error_message) for r in sink.records] == [(Outcome.CLIENT_LEFT, "the client stopped reading")]


async def test_an_error_is_told_though_a_comment_is_on_its_way(app_with, auth, until, sink):
    """The comment waited for the client when the provider broke off; the error event has to come after it."""
    breaks = asyncio.Event()
    app = app_with(FakeUpstream((200, [FIRST, breaks, BrokeOff("it broke")])), timing=QUICK)

    async with Client(app, WITH_USAGE, auth) as client:
        await until(lambda: client.answer.chunks == [FIRST])
        client.accepts.clear()
        await until(lambda: client.messages[-1].get("body") == KEEP_ALIVE)
        breaks.set()
        for _ in range(10):
            await asyncio.sleep(0)
        client.accepts.set()
        await client.task
    await app.close()

    assert client.answer.chunks[-1] == interrupted("it broke")
    assert client.answer.is_complete
    assert [record.outcome for record in sink.records] == [Outcome.UPSTREAM_BROKE]


async def test_a_refusal_that_meets_the_first_comment_is_told_once(app_with, auth, until, sink):
    """The head of the comment was on its way to a slow client when the refusal came: no second head may follow."""
    thinks = asyncio.Event()
    app = app_with(FakeUpstream((429, [thinks, b'{"error":{"message":"slow down"}}'])), timing=QUICK)

    async with Client(app, STREAM, auth) as client:
        client.accepts.clear()
        await until(lambda: client.messages)
        thinks.set()
        for _ in range(10):
            await asyncio.sleep(0)
        client.accepts.set()
        await client.task
    await app.close()

    assert [message["type"] for message in client.messages].count("http.response.start") == 1
    assert client.answer.chunks[-1] == interrupted("slow down", code="upstream_error")
    assert client.answer.is_complete


# --- a client that leaves ----------------------------------------------------


async def test_a_client_that_leaves_before_the_first_byte(app_with, auth, sink, until):
    upstream = FakeUpstream((200, [asyncio.Event()]))
    app = app_with(upstream, timing=Timing(watch_after_s=0.0))

    async with Client(app, STREAM, auth) as client:
        await until(lambda: upstream.replies)
        client.leaves.set()
        await client.task
    await app.close()

    assert client.messages == []
    assert upstream.replies[0].is_closed
    billed = Usage(input=10, estimated=True)  # the provider has read it, whoever waits for the answer
    assert [(r.outcome, r.status, r.usage) for r in sink.records] == [(Outcome.CLIENT_LEFT, 499, billed)]


async def test_a_client_that_leaves_mid_stream_is_billed_for_what_it_saw(app_with, auth, sink, until):
    """The provider is told at once; nobody says what was used, so it is counted from what passed by."""
    upstream = FakeUpstream((200, [FIRST, HELLO, HELLO, asyncio.Event()]))
    app = app_with(upstream, timing=Timing(watch_after_s=0.0))
    ask = {**STREAM, "messages": [{"role": "user", "content": 370 * "x"}]}

    async with Client(app, ask, auth) as client:
        await until(lambda: len(client.answer.chunks) == 3)
        client.leaves.set()
        await client.task
    await app.close()

    assert client.answer.chunks == [FIRST, HELLO, HELLO]
    assert upstream.replies[0].is_closed
    assert [(r.outcome, r.status, r.usage) for r in sink.records] == [
        (Outcome.CLIENT_LEFT, 200, Usage(input=100, output=2, estimated=True))
    ]


async def test_a_client_that_leaves_a_reply_that_is_not_streamed(app_with, auth, sink, until):
    upstream = FakeUpstream((200, [REPLY[:10], asyncio.Event(), REPLY[10:]]))
    app = app_with(upstream, timing=Timing(watch_after_s=0.0))

    async with Client(app, ASK, auth) as client:
        await until(lambda: upstream.replies)
        client.leaves.set()
        await client.task
    await app.close()

    assert client.messages == []
    assert upstream.replies[0].is_closed
    assert [r.outcome for r in sink.records] == [Outcome.CLIENT_LEFT]


async def test_a_server_that_raises_from_send_has_lost_its_client(app_with, auth, sink, call):
    """Hypercorn does not; others do."""
    upstream = FakeUpstream((200, [FIRST, STOP, DONE]))
    app = app_with(upstream)

    async def send(message):
        raise OSError("the client has gone")

    body = b'{"model":"mock/m","stream":true,"messages":[]}'
    await call(app, {"type": "http.request", "body": body}, path=CHAT, headers=auth, send=send)
    await app.close()

    assert upstream.replies[0].is_closed
    assert [r.outcome for r in sink.records] == [Outcome.CLIENT_LEFT]


# --- observers ---------------------------------------------------------------


class Watcher:
    """An observer that keeps what it sees, and blocks at a word."""

    def __init__(self, forbidden=b"\0"):
        self.seen = []
        self.ends = []
        self.forbidden = forbidden

    async def check(self, call):
        return [self]

    def chunk(self, data):
        if self.forbidden in data:
            raise Blocked("the reply says what it must not")
        self.seen.append(data)

    def end(self, outcome):
        self.ends.append(outcome)


@pytest.mark.parametrize("ask", [STREAM, WITH_USAGE], ids=["usage cut out", "verbatim"])
@pytest.mark.parametrize("last", [DONE, b"data: [DONE]", HELLO[:40]], ids=["whole", "no line feed", "partial"])
async def test_observers_see_what_the_client_gets(app_with, auth, ask, last):
    watcher = Watcher()
    app = app_with(FakeUpstream((200, [FIRST, HELLO[:30], HELLO[30:], STOP + USAGE, last])), guards=[watcher])

    answer = await post(app, CHAT, ask, headers=auth)

    assert b"".join(watcher.seen) == answer.body
    assert watcher.ends == [Outcome.COMPLETE]


async def test_observers_see_the_very_objects(app_with, auth):
    watcher = Watcher()
    app = app_with(FakeUpstream((200, [FIRST, HELLO, STOP, DONE])), guards=[watcher])

    answer = await post(app, CHAT, WITH_USAGE, headers=auth)

    assert [id(chunk) for chunk in watcher.seen] == [id(chunk) for chunk in answer.chunks]


async def test_an_observer_stops_a_stream(app_with, auth, sink):
    watcher = Watcher(b"h\xc3\xa9llo")
    upstream = FakeUpstream((200, [FIRST, HELLO, STOP, DONE]))
    app = app_with(upstream, guards=[watcher])

    answer = await post(app, CHAT, WITH_USAGE, headers=auth)
    await app.close()

    failed = "guardrail_checks_failed"
    assert answer.chunks == [FIRST, interrupted("the reply says what it must not", failed, failed)]
    assert watcher.ends == [Outcome.BLOCKED]
    assert upstream.replies[0].is_closed
    assert [record.outcome for record in sink.records] == [Outcome.BLOCKED]


async def test_an_observer_stops_a_reply_before_it_began(app_with, auth):
    app = app_with(FakeUpstream((200, [REPLY])), guards=[Watcher(b"hello")])

    answer = await post(app, CHAT, ASK, headers=auth)

    assert (answer.status, answer.json()["error"]["code"]) == (400, "guardrail_checks_failed")


# --- the gateway stops -------------------------------------------------------


async def test_a_stream_is_told_that_the_gateway_stops(app_with, auth, sink, until):
    upstream = FakeUpstream((200, [FIRST, asyncio.Event()]))
    app = app_with(upstream)

    async with Client(app, WITH_USAGE, auth) as client:
        await until(lambda: client.answer.chunks == [FIRST])
        app.drain.begin()
        app.drain.cut()
        await client.task
    await app.close()

    stopping = interrupted("the gateway is shutting down; ask again", "server_shutdown", "overloaded_error")
    assert client.answer.chunks == [FIRST, stopping]
    assert upstream.replies[0].is_closed
    assert [record.outcome for record in sink.records] == [Outcome.STOPPED]


async def test_an_unanswered_request_gets_503_when_the_gateway_stops(app_with, auth, sink, until):
    upstream = FakeUpstream((200, [asyncio.Event()]))
    app = app_with(upstream)

    async with Client(app, ASK, auth) as client:
        await until(lambda: upstream.replies)
        app.drain.begin()
        app.drain.cut()
        await client.task
        await app.drain.idle()
    await app.close()

    assert (client.answer.status, client.answer.json()["error"]["code"]) == (503, "server_shutdown")
    assert client.answer.headers["retry-after"] == "1"
    assert "x-should-retry" not in client.answer.headers
    assert [(r.outcome, r.status) for r in sink.records] == [(Outcome.STOPPED, 503)]


# --- what is written down ----------------------------------------------------


async def test_the_record_of_a_stream(app_with, auth, sink):
    app = app_with(FakeUpstream((200, [FIRST, HELLO, HELLO, STOP, USAGE, DONE])))

    answer = await post(app, CHAT, STREAM, headers={**auth, "user-agent": "tests/1"})
    await app.close()

    [record] = sink.records
    assert {name: getattr(record, name) for name in record.__struct_fields__ if not name.endswith("_ms")} == {
        "timestamp": record.timestamp,
        "level": "info",
        "request_id": answer.headers["x-request-id"],
        "method": "POST",
        "path": CHAT,
        "status": 200,
        "outcome": Outcome.COMPLETE,
        "request_type": "chat",
        "subject": "user:admin",
        "model": "mock/m",
        "resolved_model": "mock/m",
        "stream": True,
        "usage": Usage(input=7, output=3),
        "cost_nanousd": None,
        "over_limits": (),
        "upstream_status": 200,
        "dropped_params": (),
        "error_type": None,
        "error_code": None,
        "error_message": None,
        "client": "127.0.0.1",
        "user_agent": "tests/1",
        "token_id": None,
        "spans": (),
        "gave_up": None,
        "metadata": {},
        "applied": None,
        "destination": None,
        "traceparent": None,
        "teams": (),
        "limit_rules": (),
        "budget_rules": (),
        "side_calls": (),
    }
    assert 0 < record.time_to_first_token_ms <= record.duration_ms
    assert 0 <= record.time_per_output_token_ms <= record.duration_ms
    assert 0 < record.overhead_ms <= record.duration_ms


async def test_waiting_for_the_provider_is_not_overhead(app_with, auth, sink):
    app = app_with(Only(Slow([PING] * 20 + [FIRST, STOP, DONE])))

    await post(app, CHAT, WITH_USAGE, headers=auth, leaves=asyncio.Event())
    await app.close()

    [record] = sink.records
    assert record.time_to_first_token_ms > 40
    assert record.overhead_ms < record.duration_ms - 40


async def test_the_record_of_a_refusal(app_with, auth, sink):
    app = app_with(FakeUpstream((422, [b'{"error":{"message":"no such parameter","type":"x"}}'])))

    await post(app, CHAT, ASK, headers=auth)
    await app.close()

    [record] = sink.records
    assert (record.outcome, record.status, record.upstream_status) == (Outcome.REFUSED, 422, 422)
    assert (record.error_type, record.error_message) == ("upstream_error", "no such parameter")
    assert (record.usage, record.time_per_output_token_ms) == (None, None)


# --- models ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model", "kind"),
    [
        ("/chat/completions", "mock/vectors", "chat"),
        ("/chat/completions", "mock/old", "chat"),
        ("/completions", "mock/m", "completion"),
        ("/embeddings", "mock/m", "embedding"),
    ],
)
async def test_a_model_of_another_type_is_refused(app_with, auth, path, model, kind):
    """The provider would answer with something harder to understand, or bill for nothing."""
    upstream = FakeUpstream((200, [REPLY]))

    answer = await post(app_with(upstream), path, {"model": model, "messages": []}, headers=auth)

    assert answer.status == 400
    assert answer.json()["message"] == f"{model} is not declared as {kind} (model_types)"
    assert answer.json()["error"]["param"] == "model"
    assert upstream.requests == []


async def test_an_unknown_model_names_the_known_ones(app_with, auth):
    answer = await post(app_with(FakeUpstream((200, [REPLY]))), CHAT, {**ASK, "model": "gpt"}, headers=auth)

    assert answer.status == 404
    assert answer.json()["error"] == {
        "message": "no model named 'gpt'; you may use: mock/m, mock/old, mock/vectors",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_says_which_parameters_were_left_out(app_with, auth, sink):
    """Mistral refuses `user`, which some clients always send."""
    upstream = FakeUpstream((200, [REPLY]))
    environ = {"GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef", "MISTRAL_API_KEY": "key"}
    app = app_with(upstream, None, environ=environ)

    answer = await post(app, CHAT, {**ASK, "model": "mistral-ai/large", "user": "ana"}, headers=auth)
    await app.close()

    assert upstream.asked() == {**ASK, "model": "large"}
    assert answer.headers["x-gateway-dropped-params"] == "user"
    assert answer.headers["x-tfy-resolved-model"] == "mistral-ai/large"
    assert sink.records[0].dropped_params == ("user",)


@pytest.mark.parametrize("name", ["a\r\nset-cookie: x=1", "a\nb", "a\0", "a b", "\x7f", "\u2028"])
async def test_a_model_name_cannot_add_headers_to_the_answer(app_with, auth, name):
    """An account with `*` takes any name from the caller, and the name comes back in x-tfy-resolved-model."""
    environ = {"GATEWAY_ADMIN_TOKEN": "gw-test-0123456789abcdef", "OPENAI_API_KEY": "key"}
    upstream = FakeUpstream((200, [REPLY]))
    app = app_with(upstream, None, environ=environ)

    answer = await post(app, CHAT, {**ASK, "model": f"openai/{name}"}, headers=auth)

    assert answer.status == 404
    assert upstream.requests == []


async def test_headers_of_a_refusal_that_are_for_the_caller(app_with, auth):
    headers = {"retry-after": "7", "x-ratelimit-remaining-requests": "0", "set-cookie": "a=b", "server": "x"}
    app = app_with(FakeUpstream((429, [b'{"error":{"message":"slow down"}}'], headers)))

    answer = await post(app, CHAT, ASK, headers=auth)

    assert answer.status == 429
    assert answer.body == b'{"error":{"message":"slow down"}}'
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert not {"set-cookie", "server"} & answer.headers.keys()


async def test_a_header_that_is_no_text_does_not_hide_a_refusal(app_with, auth):
    """Bytes that are not UTF-8 arrive as lone surrogates, which no header can be written with."""
    headers = {"retry-after": "\udcff\u2603", "content-type": "application/json"}
    app = app_with(FakeUpstream((429, [b'{"error":{"message":"slow down"}}'], headers)))

    answer = await post(app, CHAT, ASK, headers=auth)

    assert (answer.status, answer.body) == (429, b'{"error":{"message":"slow down"}}')


async def test_lists_models(app_with, auth):
    answer = await get(app_with(FakeUpstream((200, [REPLY]))), "/v1/models", headers=auth)

    assert [model["id"] for model in answer.json()["data"]] == ["mock/m", "mock/old", "mock/vectors"]

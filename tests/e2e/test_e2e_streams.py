"""Streams over the real wire: to the byte when all is well, and never a silent end when it is not."""

import asyncio
import json
import random
import socket
import ssl

import pytest
import trustme

TEXT = 'Grüße, 世界! 🚀 A "quoted" line\nand another.'


def recorded(say):
    """A stream with all that can be cut in a bad place: text beyond ASCII, comments, CR LF, tool calls, usage."""
    call = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": '{"city": "Zürich'}}
    delta = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    return b"".join(
        [
            b": connected\n\n",
            *(say.event(word) for word in TEXT.split(" ")),
            b"data: " + json.dumps({**say.head(), "choices": [delta]}, ensure_ascii=False).encode() + b"\r\n\r\n",
            b"event: message\nid: 7\nretry: 10\n" + say.event("x"),
            b": ping\n\n",
            say.event("", "stop"),
            say.usage(),
            say.DONE,
        ]
    )


async def told(client, answer):
    """The error that is the last event of a stream which came to a proper end on the wire."""
    await client.rest(answer)
    assert answer.is_whole
    return json.loads(answer.events[-1])["error"]


@pytest.mark.parametrize("seed", range(3))
async def test_a_stream_arrives_as_it_was_sent(gateway, provider, connect, ask, say, cut, seed):
    """D.5 row 23: wherever it is cut, in the middle of characters, line ends and words, and with pauses."""
    data = recorded(say)
    pieces = cut(data, random.Random(seed).sample(range(1, len(data)), 80))
    go_on = [asyncio.Event() for _ in pieces]
    script = [say.STREAM]
    for event, piece in zip(go_on, pieces, strict=True):
        script += [event, say.chunk(piece)]
    provider.on("real-chat", [*script, say.END])
    client = await connect(gateway)

    client.ask(ask())
    answer, released = None, 0
    for event, piece in zip(go_on, pieces, strict=True):
        event.set()
        released += len(piece)
        if released < data.index(b"}\n\n") + 3:  # the gateway waits for the first event
            continue
        answer = answer or await client.head()
        while len(answer.body) < released:
            await client.piece(answer)
    await client.rest(answer)

    assert answer.body == data
    assert answer.is_whole


async def test_events_go_out_as_they_come_in(gateway, provider, connect, ask, say):
    """A relay that waits for more before it writes turns a stream into a lump."""
    go_on = [asyncio.Event() for _ in range(3)]
    script = [say.STREAM]
    for number, event in enumerate(go_on):
        script += [event, say.chunk(say.event(f"word {number}"))]
    provider.on("real-chat", [*script, provider.STALL])
    client = await connect(gateway)
    client.ask(ask())

    go_on[0].set()
    answer = await client.head()
    await client.event(answer)
    for event in go_on[1:]:
        event.set()
        await client.event(answer)

    assert [json.loads(event)["choices"][0]["delta"]["content"] for event in answer.events] == [
        "word 0",
        "word 1",
        "word 2",
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_takes_its_time_is_complete(gateway, provider, connect, ask, say, stream):
    """It was recorded as left by its client: to a server, an answer that has ended is a client that is done."""
    began = asyncio.Event()
    first, rest = (say.stream("one")[:2], say.stream("one")[2:]) if stream else ([], [say.completion()])
    provider.on("real-chat", [*first, began, *rest])
    client = await connect(gateway)

    client.ask(ask(stream=stream))
    await provider.asked()
    asyncio.get_running_loop().call_later(0.2, began.set)  # only from 0.05 s on, clients are watched
    answer = await client.answer()

    assert answer.status == 200
    [record] = await gateway.records_of(answer.id)
    assert (record["outcome"], record["duration_ms"] > 100) == ("complete", True)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_answer_that_breaks_is_cut(gateway, provider, connect, ask, say, chunked):
    """It is not a stream, and too large to be held back: that its end is missing is all that can be told."""
    read = asyncio.Event()
    whole = say.completion("x" * 2**20)
    if chunked:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        half = head + say.chunk(whole.partition(b"\r\n\r\n")[2][: 2**19])
    else:
        half = whole[: 2**19]
    provider.on("real-chat", [half, read, provider.CLOSE])
    client = await connect(gateway)

    client.ask(ask(stream=False))
    answer = await client.head()
    body = b""
    while len(body) < 2**18:
        body += await client.reader.read(2**16)
    read.set()
    body += await client.ended()

    assert ("content-length" in answer.headers) != chunked
    assert not body.endswith(b"\r\n0\r\n\r\n")
    assert len(body) < 2**20
    [record] = await gateway.records_of(answer.id)
    assert (record["outcome"], record["error_code"]) == ("upstream_broke", "stream_interrupted")


@pytest.mark.parametrize("options", [None, {"include_usage": False}])
async def test_usage_nobody_asked_for_is_cut_out(gateway, provider, connect, ask, say, options):
    """The gateway wants it for its log; clients that index `choices[0]` would fail on it. All else stays as it is."""
    provider.on("real-chat", say.stream("one", "two"))
    client = await connect(gateway)

    client.ask(ask(stream_options=options))
    answer = await client.answer()

    assert answer.body == say.event("one") + say.event("two") + say.event("", "stop") + say.DONE
    assert provider.requests[0].fields["stream_options"] == {"include_usage": True}
    [record] = await gateway.records_of(answer.id)
    assert record["usage"] == {"input": 3, "output": 2}


@pytest.mark.parametrize(
    ("ending", "code"),
    [("truncated", "stream_interrupted"), ("closed", "stream_interrupted"), ("reset", "stream_interrupted")],
)
async def test_a_stream_that_breaks_ends_with_an_error(gateway, provider, connect, ask, say, ending, code):
    """D.5 rows 24 and 25: an SDK takes a stream that just ends for a whole one."""
    endings = {"truncated": [say.END], "closed": [provider.CLOSE], "reset": [provider.RESET]}
    read = asyncio.Event()
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("half an")), read, *endings[ending]])
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.head()
    await client.event(answer)
    read.set()
    error = await told(client, answer)

    assert answer.body.startswith(say.event("half an"))
    assert answer.body.count(b"[DONE]") == 0
    assert error["code"] == code
    [record] = await gateway.records_of(answer.id)
    assert (record["outcome"], record["error_code"], record["status"]) == ("upstream_broke", code, 200)


async def test_a_stream_cut_within_an_event_still_tells_its_error(gateway, provider, connect, ask, say):
    """D.5 row 25: the half event must not swallow the error that follows it."""
    read = asyncio.Event()
    script = [say.STREAM, say.chunk(say.event("whole")), say.chunk(b'data: {"id": "chatc'), read, provider.CLOSE]
    provider.on("real-chat", script)
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.head()
    await client.event(answer)
    read.set()

    assert (await told(client, answer))["code"] == "stream_interrupted"


@pytest.mark.parametrize("bad", [b"zz\r\nnot a chunk\r\n", b"5\r\nhello too long\r\n"])
async def test_a_chunk_that_is_not_one_ends_with_an_error(gateway, provider, connect, ask, say, bad):
    """D.5 row 25"""
    read = asyncio.Event()
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("good")), read, bad, provider.STALL])
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.head()
    await client.event(answer)
    read.set()

    assert (await told(client, answer))["code"] == "stream_interrupted"
    await provider.requests[0].seconds_until_closed(0)


async def test_a_line_that_is_not_json_is_passed_on(gateway, provider, connect, ask, say):
    """D.5 row 25: a relay that is verbatim does not judge; the stream itself is whole."""
    events = [say.event("one"), b"data: {not json\n\n", say.event("", "stop"), say.DONE]
    provider.on("real-chat", [say.STREAM, *map(say.chunk, events), say.END])
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.answer()

    assert answer.body == b"".join(events)


async def test_an_end_without_a_line_break_is_an_end(gateway, provider, connect, ask, say):
    """D.5 row 25: `data: [DONE]` as the very last bytes."""
    data = say.event("one") + say.event("", "stop") + say.DONE.rstrip()
    provider.on("real-chat", [say.STREAM, say.chunk(data), say.END])
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.answer()

    assert answer.body == data + b"\n\n"  # without a blank line, the event would be none for many clients
    assert answer.is_whole


async def test_a_line_of_20_mb_passes_without_being_kept(gateway, provider, connect, ask, say, measured):
    """D.5 row 25: an image in one event, say."""
    warm_up = await connect(gateway)
    provider.on("real-chat", say.stream("warm"))
    warm_up.ask(ask())
    await warm_up.answer()
    part = b"x" * 64 * 1024
    line = [say.chunk(say.event("first")), say.chunk(b'data: {"x": "'), *[say.chunk(part)] * 320]
    provider.on("real-chat", [say.STREAM, *line, say.chunk(b'"}\n\n'), say.chunk(say.event("", "stop")), say.END])
    client = await connect(gateway)

    before = gateway.rss_kib
    client.ask(ask())
    answer = await client.head()
    size = 0
    while data := await client.piece(answer):
        size += len(data)
        answer.body = b""
    grown_mib = (gateway.rss_kib - before) / 1024

    measured("RSS growth", grown_mib, "MiB")
    assert size > 320 * len(part)
    assert grown_mib < 5


async def test_a_long_line_passes_when_events_must_be_looked_at(gateway, provider, connect, ask, say):
    """D.5 row 25: to cut usage out an event has to be whole; one so long holds more, and goes on as it comes."""
    data = say.event("first") + b"data: " + b"x" * 2**21 + b"\n\n" + say.event("", "stop") + say.DONE
    provider.on("real-chat", [say.STREAM, say.chunk(data), say.END])
    client = await connect(gateway)

    client.ask(ask(stream_options=None))
    answer = await client.answer()

    assert answer.body == data
    assert answer.is_whole


async def test_a_provider_that_never_begins_is_given_up(hasty_gateway, provider, connect, ask, say):
    """D.5 row 26: meanwhile comments tell the client that it is not forgotten."""
    provider.on("real-chat", [provider.STALL])
    client = await connect(hasty_gateway)

    client.ask(ask())
    answer = await client.head()
    error = await told(client, answer)

    assert answer.body.startswith(b": keep-alive\n\n")
    assert error["code"] == "upstream_timeout"
    await provider.requests[0].seconds_until_closed(0)


async def test_a_provider_that_never_answers_is_a_timeout(hasty_gateway, provider, connect, ask):
    """D.5 row 26: nothing was sent yet, so it can be a status."""
    provider.on("real-chat", [provider.STALL])
    client = await connect(hasty_gateway)

    client.ask(ask(stream=False))
    answer = await client.answer()

    assert (answer.status, answer.json["error"]["code"]) == (408, "upstream_timeout")
    await provider.requests[0].seconds_until_closed(0)


async def test_a_stream_that_stalls_is_given_up(hasty_gateway, provider, connect, ask, say):
    """D.5 row 26"""
    provider.on("real-chat", [say.STREAM, say.chunk(say.event("one")), provider.STALL])
    client = await connect(hasty_gateway)

    client.ask(ask())
    answer = await client.head()
    error = await told(client, answer)

    assert b": keep-alive\n\n" in answer.body
    assert error["code"] == "upstream_timeout"
    await provider.requests[0].seconds_until_closed(0)


async def test_pings_do_not_keep_a_stream_alive(hasty_gateway, provider, connect, ask, say):
    """D.5 row 27: the provider's connection works, its model does not."""
    ping = [say.chunk(b": ping\n\n")]

    def script():
        yield say.STREAM
        yield say.chunk(say.event("one"))
        while True:
            yield ping[0]
            yield heartbeat()

    def heartbeat():
        beat = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, beat.set)
        return beat

    provider.on("real-chat", script())
    client = await connect(hasty_gateway)

    client.ask(ask())
    answer = await client.head()

    assert (await told(client, answer))["code"] == "upstream_timeout"
    await provider.requests[0].seconds_until_closed(0)


@pytest.mark.parametrize(
    ("stated", "status"),
    [
        ({"message": "overloaded", "type": "server_error", "code": None}, 502),
        ({"message": "slow down", "code": 429}, 429),
    ],
)
@pytest.mark.parametrize("as_event", [False, True])
async def test_an_error_inside_a_200_is_a_status(gateway, provider, connect, ask, say, stated, status, as_event):
    """D.5 row 28: as JSON, or as the first event. SDKs retry by status, and never look into a 200."""
    script = (
        [say.STREAM, say.chunk(say.data({"error": stated})), say.END] if as_event else [say.whole({"error": stated})]
    )
    provider.on("real-chat", script)
    client = await connect(gateway)

    client.ask(ask())
    answer = await client.answer()

    assert (answer.status, answer.json["error"]["message"]) == (status, stated["message"])


async def test_an_idle_connection_closed_by_the_provider_is_not_the_callers_problem(
    gateway, provider, connect, ask, say
):
    """D.5 row 30: it closes just as the next request is sent on it. Nothing was answered, so it is sent once more."""
    provider.on("real-chat", [say.completion()], [provider.CLOSE], [say.completion("again")])
    client = await connect(gateway)
    client.ask(ask(stream=False))
    await client.answer()

    client.ask(ask(stream=False))
    answer = await client.answer()

    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "again")
    first, refused, retried = provider.requests
    assert first.connection is refused.connection is not retried.connection


async def test_a_call_that_was_closed_unanswered_is_not_repeated(gateway, provider, connect, ask):
    """D.5 row 30: on a new connection the provider may have begun to work, and to bill."""
    provider.on("real-chat", [provider.CLOSE])
    client = await connect(gateway)

    client.ask(ask(stream=False))
    answer = await client.answer()

    assert (answer.status, answer.json["error"]["code"]) == (502, "stream_interrupted")
    assert len(provider.requests) == 1


async def test_a_connection_the_provider_will_close_is_not_used_again(gateway, provider, connect, ask, say):
    """D.5 row 30"""
    body = say.completion().partition(b"\r\n\r\n")[2]
    provider.on("real-chat", [say.whole(body, headers={"connection": "close"}), provider.CLOSE], [say.completion()])
    client = await connect(gateway)

    for _ in range(2):
        client.ask(ask(stream=False))
        assert (await client.answer()).status == 200

    first, second = provider.requests
    assert first.connection is not second.connection


async def test_tls_to_the_provider(gateway_process, account, provider, connect, ask, say):
    """D.5 row 25: with the certificates of an authority of one's own; without them, the error says what is wrong."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    sock = socket.create_server(("127.0.0.1", 0))
    await provider.listen(sock, context)
    url = f"https://127.0.0.1:{sock.getsockname()[1]}/v1"
    trusted, strange = account("trusted", url), account("strange", url)
    for model in trusted["integrations"]:
        model["tls_settings"] = {"reject_unauthorized": True, "ca_cert": authority.cert_pem.bytes().decode()}
    read = asyncio.Event()
    provider.on("real-chat", say.stream("one"), [say.STREAM, say.chunk(say.event("one")), read, provider.RESET])
    gateway = gateway_process(config=json.dumps([trusted, strange]))
    client = await connect(gateway)

    client.ask(ask("trusted/chat"))
    answer = await client.answer()
    client.ask(ask("strange/chat"))
    refused = await client.answer()
    client.ask(ask("trusted/chat"))
    half = await client.head()
    await client.event(half)
    read.set()
    broken = await told(client, half)

    assert (answer.status, answer.events[-1]) == (200, b"[DONE]")
    assert (refused.status, refused.json["error"]["code"]) == (502, "upstream_unreachable")
    assert "certificate is not valid" in refused.json["error"]["message"]
    assert broken["code"] == "stream_interrupted"
    gateway.assert_sound()


async def test_a_head_that_cannot_be_passed_on_is_a_bad_gateway(gateway, provider, connect, ask, say):
    """Statuses that are none were passed on by one server, and were a traceback and a cut connection on another."""
    whole = say.completion().partition(b"\r\n\r\n")[2]
    length = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(whole)
    answers = {
        b"099 Odd\r\n" + length: "the provider answered with status 099, which HTTP does not have",
        b"600 Odd\r\n" + length: "the provider answered with status 600, which HTTP does not have",
        b"999 Odd\r\n" + length: "the provider answered with status 999, which HTTP does not have",
        b"101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n": "the provider answered with status 101: ",
        b"204 No Content\r\n": "the provider's answer is not ",
        b"304 Not Modified\r\n": "the provider redirects to another address",
        b"200 OK\r\ntransfer-encoding: chunked\r\n" + length: "the provider's answer is not HTTP as it should be: ",
    }
    client = await connect(gateway)
    for head, message in answers.items():
        provider.on("real-chat", [b"HTTP/1.1 " + head + b"\r\n" + whole, provider.CLOSE])
        client.ask(ask())
        answer = await client.answer()

        assert (answer.status, answer.json["error"]["message"][: len(message)]) == (502, message)


async def test_a_refusal_counts_however_it_is_packed(one_gateway, provider, connect, ask, say):
    """It became a 502 that the SDK does not wait for, and the target was taken for broken."""
    headers = {"content-encoding": "zstd", "retry-after": "7"}
    provider.on("real-chat", [say.whole(b"(\xb5/\xfd", status=429, headers=headers)])
    client = await connect(one_gateway)

    client.ask(ask())
    answer = await client.answer()

    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert answer.json["error"]["message"] == "the provider answered with status 429"

"""Holds `HttpUpstream`, and with it the parts of aiohttp that are not documented, to its contract.

The providers are scripts on loopback sockets: what they send, and when they close.
"""

import asyncio
import gzip
import socket
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from aiohttp.abc import AbstractResolver

from gateway.contract import Endpoint, Tls, UpstreamRequest
from gateway.contract.egress import Egress, network
from gateway.errors import BrokeOff, TimedOut, Unreachable
from gateway.upstream.client import HttpUpstream
from gateway.upstream.outgoing import Ways
from gateway.upstream.proxies import proxies_from

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Connection:
    """One connection as the provider sees it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.is_gone = asyncio.Event()

    async def request(self):
        """The head and the body of the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, await self.reader.readexactly(length)

    async def send(self, *parts):
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def gone(self):
        """Returns when the gateway has closed its end."""
        while await self.reader.read(65536):
            pass
        self.is_gone.set()

    def reset(self):
        linger = b"\1\0\0\0\0\0\0\0"  # on, 0 s: the kernel sends RST instead of FIN
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


class Provider:
    """Runs `script(connection)` for each connection. `connections` has them in order."""

    def __init__(self, script):
        self.script = script
        self.connections = []
        self.tasks = []

    @asynccontextmanager
    async def serve(self, tls=None):
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=tls, limit=2**26)
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1/chat/completions"
        try:
            yield self
        finally:
            server.close()
            await arrived()
            for connection, task in zip(self.connections, self.tasks, strict=True):
                task.cancel()
                connection.writer.transport.abort()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await server.wait_closed()

    def _connected(self, reader, writer):
        self.connections.append(Connection(reader, writer))
        self.tasks.append(asyncio.create_task(self._run(self.connections[-1])))

    async def _run(self, connection):
        try:
            await self.script(connection)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            connection.writer.close()


async def arrived():
    """What was sent over loopback has been read by the other end, which runs in this very loop."""
    for _ in range(10):
        await asyncio.sleep(0)


def answers(*parts, close=True):
    """A script: reads one request, sends the parts, and closes or waits."""

    async def script(connection):
        await connection.request()
        await connection.send(*parts)
        if not close:
            await connection.gone()

    return script


@pytest.fixture
async def upstream():
    upstream = HttpUpstream(connect_timeout_s=5)
    yield upstream
    await upstream.close()


def ask(url, body=b"{}", **options):
    return UpstreamRequest(Endpoint(url, {"authorization": "Bearer key"}, **options), body)


async def read_all(reply):
    data = b""
    while part := await reply.read():
        data += part
    return data


async def call(upstream, request):
    """Status and body, with the reply closed."""
    reply = await upstream.call(request)
    try:
        return reply.status, await read_all(reply)
    finally:
        reply.close()


# --- answers -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, (200, b"hello")),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", (200, b"until the end")),
        (b"HTTP/1.0 200 OK\r\n\r\nold", (200, b"old")),
        (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", (200, b"hello")),
        (CHUNKED + b"5;name=value\r\nhello\r\n0\r\n\r\n", (200, b"hello")),
        (CHUNKED + b"5\r\nhello\r\n0\r\nx-checksum: 1\r\nx-cost: 2\r\n\r\n", (200, b"hello")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"hello")),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK, (200, b"hello")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, (200, b"hello")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n", (404, b"")),
        (b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}", (429, b"{}")),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", (302, b"")),
    ],
    ids=[
        "length",
        "until close",
        "HTTP/1.0",
        "chunked",
        "chunk extension",
        "trailers",
        "100",
        "103",
        "100 and 102",
        "no content",
        "no reason",
        "refusal",
        "redirects are not followed",
    ],
)
@pytest.mark.parametrize("step", [10_000, 1], ids=["at once", "byte by byte"])
async def test_reads_answers(upstream, answer, expected, step):
    parts = [answer[at : at + step] for at in range(0, len(answer), step)]

    async with Provider(answers(*parts)).serve() as provider:
        assert await call(upstream, ask(provider.url)) == expected


async def test_sends_what_it_was_given(upstream):
    """One head, prepared once; nothing that a library adds by itself, such as its name or accepted encodings."""
    seen = []

    async def script(connection):
        seen.append(await connection.request())
        await connection.send(OK)

    async with Provider(script).serve() as provider:
        await call(upstream, ask(provider.url + "?a=b", b'{"x":1}'))

        assert seen == [
            (
                b"POST /v1/chat/completions?a=b HTTP/1.1\r\n"
                b"host: 127.0.0.1:%d\r\n"
                b"accept-encoding: identity\r\n"
                b"authorization: Bearer key\r\n"
                b"content-length: 7\r\n\r\n" % provider.port,
                b'{"x":1}',
            )
        ]


async def test_headers_are_found_in_any_case(upstream):
    async with Provider(answers(OK.replace(b"content-type", b"Content-TYPE"))).serve() as provider:
        reply = await upstream.call(ask(provider.url))

        assert reply.headers.get("content-type") == reply.headers.get("Content-Type") == "text/plain"
        reply.close()


async def test_unpacks_what_was_packed_though_nobody_asked(upstream):
    body = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)

    async with Provider(answers(head + body)).serve() as provider:
        assert await call(upstream, ask(provider.url)) == (200, b"hello")


async def test_what_arrives_is_given_at_once(upstream):
    """Waiting for more would delay each token by one."""
    go_on = asyncio.Event()

    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, b"5\r\nfirst\r\n")
        await go_on.wait()
        await connection.send(b"6\r\nsecond\r\n0\r\n\r\n")

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        assert await reply.read() == b"first"
        go_on.set()
        assert await reply.read() == b"second"
        assert await reply.read() == b""
        assert await reply.read() == b""
        reply.close()


# --- broken answers ----------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-many: 1\r\n" * 1000 + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-long: " + 100_000 * b"x" + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=[
        "nothing",
        "part of a status line",
        "part of a header",
        "another protocol",
        "TLS",
        "length is no number",
        "two lengths",
        "header name with a space",
        "too many headers",
        "a header too long",
        "100 and no more",
    ],
)
async def test_what_is_no_answer_broke_off(upstream, answer):
    async with Provider(answers(answer)).serve() as provider:
        with pytest.raises(BrokeOff):
            await upstream.call(ask(provider.url))

        assert len(provider.connections) == 1


@pytest.mark.parametrize(
    "end",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n", b"hello"),
        (CHUNKED, b"5\r\nhello\r\n"),
        (CHUNKED, b"50\r\nhello"),
        (CHUNKED, b"5\r\nhello\r\n0\r\n"),
        (CHUNKED, b"5\r\nhello\r\nxyz\r\n"),
        (CHUNKED, b"5\r\nhelloXX3\r\n"),
    ],
    ids=["shorter than its length", "no last chunk", "inside a chunk", "no last line", "size is no number", "no CRLF"],
)
async def test_a_reply_that_breaks_gives_what_came_and_then_says_so(upstream, end):
    """What had arrived is the client's; it has been paid for."""
    head, rest = end
    is_read = asyncio.Event()

    async def script(connection):
        await connection.request()
        await connection.send(head)
        await is_read.wait()
        await connection.send(rest)

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        is_read.set()
        got = await reply.read()
        for _ in range(2):
            with pytest.raises(BrokeOff):
                await reply.read()
        reply.close()

    assert got == b"hello"


async def test_a_reset_mid_reply_broke_off(upstream):
    """After a reset the kernel throws away what was not read yet, so only what was read before it is given."""
    was_read = asyncio.Event()

    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, b"5\r\nhello\r\n")
        await was_read.wait()
        connection.reset()

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        assert await reply.read() == b"hello"
        was_read.set()
        with pytest.raises(BrokeOff, match="in the middle of its answer"):
            await reply.read()
        reply.close()


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, br", "gzip"])
async def test_a_status_counts_however_the_body_is_packed(upstream, packing):
    """A 429 packed by a proxy became a 502, and its Retry-After was lost."""
    head = f"HTTP/1.1 429 Busy\r\ncontent-encoding: {packing}\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\n"

    async with Provider(answers(head.encode(), b"not that!")).serve() as provider:
        reply = await upstream.call(ask(provider.url))

        assert (reply.status, reply.headers["retry-after"]) == (429, "7")
        with pytest.raises(BrokeOff):
            await reply.read()
        reply.close()


async def test_unpacking_much_lets_others_work(upstream):
    """Pieces that come out of what is there already do not wait for the network, and so for nobody."""
    body = gzip.compress(bytes(8 * 1024 * 1024))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    turns = []

    async def others():
        while True:
            turns.append(size)
            await asyncio.sleep(0)

    async with Provider(answers(head + body)).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        size = 0
        working = asyncio.create_task(others())
        while piece := await reply.read():
            size += len(piece)
        working.cancel()
        reply.close()

    assert size == 8 * 1024 * 1024
    assert len(set(turns)) > 30


async def test_packed_garbage_broke_off(upstream):
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n"

    async with Provider(answers(head, b"not gzip!")).serve() as provider:
        with pytest.raises(BrokeOff):
            await call(upstream, ask(provider.url))


# --- connections -------------------------------------------------------------


async def serve_many(connection):
    """A script: answers request after request."""
    while True:
        await connection.request()
        await connection.send(OK)


async def test_a_connection_is_used_again(upstream):
    async with Provider(serve_many).serve() as provider:
        for _ in range(5):
            assert await call(upstream, ask(provider.url)) == (200, b"hello")

        assert len(provider.connections) == 1


async def test_calls_at_once_have_a_connection_each(upstream):
    async with Provider(serve_many).serve() as provider:
        await asyncio.gather(*(call(upstream, ask(provider.url)) for _ in range(20)))

        assert len(provider.connections) == 20


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother",
        OK + b" and more than its length",
    ],
    ids=["the provider says close", "HTTP/1.0", "an answer nobody asked for", "more than its length"],
)
async def test_a_connection_is_not_used_again(upstream, answer):
    """The bytes behind an answer would be taken for the next caller's."""

    async def script(connection):
        while True:
            await connection.request()
            await connection.send(answer)

    async with Provider(script).serve() as provider:
        for _ in range(2):
            assert await call(upstream, ask(provider.url)) == (200, b"hello")

        assert len(provider.connections) == 2


async def test_late_bytes_are_not_the_next_answer(upstream):
    """What comes on an idle connection was not asked for: the connection is of no more use."""

    async def script(connection):
        await connection.request()
        await connection.send(OK)
        await late.wait()
        await connection.send(OK.replace(b"hello", b"wrong"))
        connection.is_gone.set()
        await connection.request()
        await connection.send(OK)

    late = asyncio.Event()
    async with Provider(script).serve() as provider:
        await call(upstream, ask(provider.url))
        late.set()
        await provider.connections[0].is_gone.wait()
        await arrived()
        assert await call(upstream, ask(provider.url)) == (200, b"hello")


async def test_a_connection_closed_while_idle_is_not_used(upstream):
    async with Provider(answers(OK)).serve() as provider:
        for _ in range(3):
            assert await call(upstream, ask(provider.url)) == (200, b"hello")
            await asyncio.gather(*provider.tasks)

        assert len(provider.connections) == 3


@pytest.mark.parametrize("with_reset", [False, True], ids=["closed", "reset"])
async def test_a_connection_closed_as_we_send_is_replaced_once(upstream, with_reset):
    """The keep-alive race: the provider closed an idle connection while the next request was on its way."""

    async def script(connection):
        await connection.request()
        await connection.send(OK)
        if len(provider.connections) == 1:
            await connection.request()
            if with_reset:
                connection.reset()

    async with Provider(script).serve() as provider:
        for _ in range(2):
            assert await call(upstream, ask(provider.url)) == (200, b"hello")

        assert len(provider.connections) == 2


async def test_a_provider_that_always_closes_is_asked_twice_at_most(upstream):
    """Perhaps it is the request that kills the provider; each idle connection would make it one more victim."""
    requests = 0

    async def script(connection):
        nonlocal requests
        await connection.request()
        await connection.send(OK)
        await connection.request()
        requests += 1

    async with Provider(script).serve() as provider:
        await asyncio.gather(*(call(upstream, ask(provider.url)) for _ in range(5)))
        assert len(provider.connections) == 5

        assert await call(upstream, ask(provider.url)) == (200, b"hello")

    assert requests == 1


@pytest.mark.parametrize(
    "began",
    [b"H", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["one byte", "part of a head", "103", "100"],
)
@pytest.mark.parametrize("with_reset", [False, True], ids=["closed", "reset"])
async def test_once_an_answer_has_begun_nothing_is_sent_again(upstream, began, with_reset):
    """The provider has begun to work on it, and would bill twice."""

    async def script(connection):
        await connection.request()
        await connection.send(OK)
        await connection.request()
        await connection.send(began)
        if with_reset:
            await arrived()  # the reset would take the bytes away
            connection.reset()

    async with Provider(script).serve() as provider:
        assert await call(upstream, ask(provider.url)) == (200, b"hello")
        with pytest.raises(BrokeOff):
            await call(upstream, ask(provider.url))

        assert len(provider.connections) == 1


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
async def timed():
    """An upstream, and the clock it looks at."""
    clock = Clock()
    upstream = HttpUpstream(connect_timeout_s=5, clock=clock)
    yield upstream, clock
    await upstream.close()


@pytest.mark.parametrize("with_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("after_s", "is_repeated"), [(0.0, True), (0.09, True), (0.11, False), (4.0, False)])
async def test_nothing_is_sent_again_that_may_have_been_worked_on(timed, after_s, is_repeated, with_reset):
    """A provider broke off after 4 s of work, and was asked, and paid, for the same again."""
    upstream, clock = timed
    asked = 0

    async def script(connection):
        nonlocal asked
        await connection.request()
        await connection.send(OK)
        if len(provider.connections) == 1:
            await connection.request()
            asked += 1
            clock.now_s += after_s
            if with_reset:
                connection.reset()

    async with Provider(script).serve() as provider:
        await call(upstream, ask(provider.url))
        if is_repeated:
            assert await call(upstream, ask(provider.url)) == (200, b"hello")
        else:
            with pytest.raises(BrokeOff, match=r"^the provider closed the connection without an answer$"):
                await call(upstream, ask(provider.url))

        assert len(provider.connections) == 1 + is_repeated
        assert asked == 1


@pytest.mark.parametrize("with_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("reads_all", "is_repeated"), [(False, True), (True, False)], ids=["in part", "whole"])
async def test_a_request_that_was_not_written_whole_is_sent_again(timed, reads_all, is_repeated, with_reset):
    """However long it took: nobody works on half a request. The time counts from when the last of it was written."""
    upstream, clock = timed
    body = bytes(20 * 1024 * 1024)

    async def script(connection):
        await connection.request()
        await connection.send(OK)
        if len(provider.connections) == 1:
            await connection.reader.readuntil(b"\r\n\r\n")
            if reads_all:
                await connection.reader.readexactly(len(body))
            else:
                connection.writer.transport.pause_reading()
            clock.now_s += 4.0
            if with_reset:
                connection.reset()

    async with Provider(script).serve() as provider:
        await call(upstream, ask(provider.url))
        if is_repeated:
            assert await call(upstream, ask(provider.url, body)) == (200, b"hello")
        else:
            with pytest.raises(BrokeOff):
                await call(upstream, ask(provider.url, body))

        assert len(provider.connections) == 1 + is_repeated


async def test_giving_up_cuts_a_request_that_is_not_out(upstream):
    """The rest went out first, and the provider worked on a request that nobody waits for."""
    body = bytes(20 * 1024 * 1024)
    received = asyncio.get_running_loop().create_future()

    async def script(connection):
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.writer.transport.pause_reading()
        calling.cancel()
        await asyncio.wait([calling])
        connection.writer.transport.resume_reading()
        received.set_result(await connection.reader.read(-1))

    async with Provider(script).serve() as provider:
        calling = asyncio.create_task(upstream.call(ask(provider.url, body)))
        async with asyncio.timeout(30):
            assert len(await received) < len(body)


# --- the end of a stream -------------------------------------------------------

LAST = b"e\r\ndata: [DONE]\n\n\r\n"
END = b"0\r\n\r\n"


async def read_to_done(upstream, provider):
    """Reads until the content says that it is over, as a stream's reader does."""
    reply = await upstream.call(ask(provider.url))
    data = b""
    while not data.endswith(b"[DONE]\n\n"):
        data += await reply.read()
    reply.close()
    reply.close()


@pytest.mark.parametrize(
    "parts",
    [(LAST + END,), (LAST, END), (LAST, b"0", b"\r\n\r\n"), (LAST, b"0\r\nx-checksum: 1\r\n\r\n")],
    ids=["with the last chunk", "behind it", "in pieces", "with a trailer"],
)
async def test_a_connection_whose_stream_is_over_is_used_again(upstream, until, parts):
    """Who stops at `[DONE]` does not see the end of the body, which mostly is a packet of its own."""

    async def script(connection):
        while True:
            await connection.request()
            await connection.send(CHUNKED)
            for part in parts:
                await connection.send(part)
                await arrived()
            ended.set()

    async with Provider(script).serve() as provider:
        for _ in range(3):
            ended = asyncio.Event()
            await read_to_done(upstream, provider)
            async with asyncio.timeout(30):
                await ended.wait()
            await arrived()

        assert len(provider.connections) == 1


@pytest.mark.parametrize(
    "more", [b"", b"5\r\nhello\r\n", b"xyz\r\n", b"0\r\nx"], ids=["", "more", "garbage", "half an end"]
)
async def test_a_connection_whose_stream_does_not_end_is_closed(upstream, more):
    """Soon: a provider may leave it open for good, or be asked to say no more."""

    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, LAST)
        await arrived()
        if more:
            await connection.send(more)
        await connection.gone()

    async with Provider(script).serve() as provider:
        await read_to_done(upstream, provider)
        async with asyncio.timeout(30):
            await provider.connections[0].is_gone.wait()


async def test_giving_up_does_not_wait_for_the_end_of_a_stream(upstream):
    """A provider that generates for a client who has left costs money."""

    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, LAST)
        await connection.gone()

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        await reply.read()
        reading = asyncio.create_task(reply.read())
        await arrived()
        reading.cancel()
        await asyncio.wait([reading])
        reply.close()
        await arrived()

        assert provider.connections[0].is_gone.is_set()


async def test_what_is_open_at_the_end_of_a_stream_is_closed_with_the_rest(upstream):
    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, LAST)
        await connection.gone()

    async with Provider(script).serve() as provider:
        await read_to_done(upstream, provider)
        await upstream.close()
        await arrived()

        assert provider.connections[0].is_gone.is_set()


async def test_a_reply_that_was_not_read_closes_its_connection(upstream):
    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, b"5\r\nhello\r\n")
        await connection.gone()

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        await reply.read()
        reply.close()
        reply.close()

        async with asyncio.timeout(30):
            await provider.connections[0].is_gone.wait()


async def test_giving_up_while_waiting_closes_the_connection(upstream, until):
    """A provider that generates for a client who has left costs money."""
    async with Provider(answers(close=False)).serve() as provider:
        calling = asyncio.create_task(upstream.call(ask(provider.url)))
        await until(lambda: provider.connections)
        started = asyncio.get_running_loop().time()
        calling.cancel()
        await asyncio.wait([calling])

        async with asyncio.timeout(30):
            await provider.connections[0].is_gone.wait()
        assert calling.cancelled()
        assert asyncio.get_running_loop().time() - started < 0.1


async def test_giving_up_while_reading_closes_the_connection(upstream):
    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED, b"5\r\nhello\r\n")
        await connection.gone()

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        assert await reply.read() == b"hello"
        reading = asyncio.create_task(reply.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        reply.close()

        async with asyncio.timeout(30):
            await provider.connections[0].is_gone.wait()


async def test_can_be_closed_and_opened_again(upstream):
    async with Provider(serve_many).serve() as provider:
        await call(upstream, ask(provider.url))
        await upstream.close()
        await upstream.close()
        assert await call(upstream, ask(provider.url)) == (200, b"hello")

        assert len(provider.connections) == 2


# --- sizes -------------------------------------------------------------------


async def test_sends_twenty_megabytes(upstream):
    body = bytes(range(256)) * 80 * 1024
    seen = []

    async def script(connection):
        seen.append(await connection.request())
        await connection.send(OK)

    async with Provider(script).serve() as provider:
        assert await call(upstream, ask(provider.url, body)) == (200, b"hello")

    assert seen[0][1] == body


async def test_an_answer_that_comes_before_the_request_is_out(upstream):
    """A provider refuses 20 MB by their head alone."""

    async def script(connection):
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.writer.transport.pause_reading()
        await connection.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await connection.gone()

    async with Provider(script).serve() as provider:
        for _ in range(2):  # what is left of the first must not go out in front of the second
            assert await call(upstream, ask(provider.url, bytes(20 * 1024 * 1024))) == (413, b"")

        assert len(provider.connections) == 2


async def test_a_slow_reader_slows_the_provider(upstream, until):
    """Without this a fast provider fills the memory with what a slow client has not read."""
    sent = 0

    async def script(connection):
        nonlocal sent
        connection.writer.transport.set_write_buffer_limits(0)
        connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n")
        for _ in range(1024):
            await connection.send(65536 * b"x")
            sent += 65536

    async with Provider(script).serve() as provider:
        reply = await upstream.call(ask(provider.url))
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 16 * 1024 * 1024

        pieces = [await reply.read()]
        assert 0 < len(pieces[0]) <= 512 * 1024
        while piece := await reply.read():
            pieces.append(piece)
        reply.close()

    assert sum(map(len, pieces)) == 67108864


# --- no connection -----------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


async def test_nobody_listens(upstream):
    port = free_port()

    with pytest.raises(Unreachable, match=rf"^no connection to 127\.0\.0\.1:{port}: .*") as raised:
        await upstream.call(ask(f"http://127.0.0.1:{port}/"))

    assert "[" not in raised.value.message


async def test_a_name_that_cannot_be_resolved(upstream):
    """One that no resolver asks a network about."""
    with pytest.raises(Unreachable):
        await upstream.call(ask("http://a.invalid/"))


async def test_a_connection_that_takes_too_long():
    """A listener whose queue is full does not answer at all."""
    upstream = HttpUpstream(connect_timeout_s=0.1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        try:
            with pytest.raises(TimedOut, match=r"^127\.0\.0\.1 took too long to accept a connection$"):
                await upstream.call(ask(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
        finally:
            for sock in waiting:
                sock.close()
            await upstream.close()


# --- names -------------------------------------------------------------------


class Names(AbstractResolver):
    """Knows one name, `provider.test`. It answers when it is `awake`, and not at all without addresses."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.questions = 0
        self.awake = asyncio.Event()
        self.awake.set()

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        assert host == "provider.test"
        self.questions += 1
        await self.awake.wait()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        about = {"hostname": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": flags}
        return [{**about, "host": address} for address in self.addresses]

    async def close(self):
        pass


@pytest.fixture
async def upstream_with():
    upstreams = []

    def make(names, **options):
        upstreams.append(HttpUpstream(resolver=names, **options))
        return upstreams[-1]

    yield make
    for upstream in upstreams:
        await upstream.close()


def named(provider):
    return ask(provider.url.replace("127.0.0.1", "provider.test"))


async def test_the_system_finds_names(upstream):
    async with Provider(serve_many).serve() as provider:
        assert await call(upstream, ask(provider.url.replace("127.0.0.1", "localhost"))) == (200, b"hello")


async def test_a_name_that_does_not_exist_is_asked_for_again(upstream_with):
    """It may exist by then; that it did not is not remembered."""
    names = Names()
    upstream = upstream_with(names)
    async with Provider(serve_many).serve() as provider:
        with pytest.raises(Unreachable, match=r"^no connection to provider\.test:\d+: its name cannot be resolved$"):
            await upstream.call(named(provider))
        names.addresses = ["127.0.0.1"]

        assert await call(upstream, named(provider)) == (200, b"hello")


async def test_a_name_server_that_is_silent_is_asked_once(upstream_with):
    """Its time is part of that for a connection. Those who come later wait with the first, each for its own time."""
    names = Names("127.0.0.1")
    names.awake.clear()
    upstream = upstream_with(names, connect_timeout_s=0.1)
    async with Provider(serve_many).serve() as provider:
        for _ in range(2):
            with pytest.raises(TimedOut, match=r"^provider\.test took too long to accept a connection$"):
                await upstream.call(named(provider))
        names.awake.set()
        await arrived()

        assert await call(upstream, named(provider)) == (200, b"hello")
    assert names.questions == 1


async def test_many_calls_at_once_ask_for_a_name_once(upstream_with):
    names = Names("127.0.0.1")
    upstream = upstream_with(names)
    async with Provider(serve_many).serve() as provider:
        answers = await asyncio.gather(*(call(upstream, named(provider)) for _ in range(200)))

        assert answers == [(200, b"hello")] * 200
        assert len(provider.connections) == 200
    assert names.questions == 1


@pytest.mark.parametrize(("ttl_s", "questions"), [(30, 1), (0, 3)], ids=["it holds", "it is over"])
async def test_an_address_is_used_again_until_its_time_is_over(upstream_with, ttl_s, questions):
    names = Names("127.0.0.1")
    upstream = upstream_with(names, names_ttl_s=ttl_s)
    async with Provider(answers(OK)).serve() as provider:
        for _ in range(3):
            assert await call(upstream, named(provider)) == (200, b"hello")
            await asyncio.gather(*provider.tasks)

    assert names.questions == questions


async def test_an_address_that_changes_is_followed(upstream_with):
    """The old one refuses, and the new one is not known before the old one's time is over."""
    names = Names("127.0.0.2")
    patient, hasty = upstream_with(names, names_ttl_s=30), upstream_with(names, names_ttl_s=0)
    async with Provider(serve_many).serve() as provider:
        for upstream in (patient, hasty):
            with pytest.raises(Unreachable, match="connection refused"):
                await upstream.call(named(provider))
        names.addresses = ["127.0.0.1"]

        assert await call(hasty, named(provider)) == (200, b"hello")
        with pytest.raises(Unreachable, match="connection refused"):
            await patient.call(named(provider))


async def test_of_two_addresses_one_has_to_answer(upstream_with):
    upstream = upstream_with(Names("127.0.0.2", "127.0.0.1"))
    async with Provider(answers(OK)).serve() as provider:
        for _ in range(4):
            assert await call(upstream, named(provider)) == (200, b"hello")
            await asyncio.gather(*provider.tasks)


# --- TLS ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_pem(authority):
    return authority.cert_pem.bytes().decode()


def context(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_trusts_the_authority_it_was_told_of(upstream, authority, ca_pem):
    async with Provider(serve_many).serve(context(authority, "127.0.0.1")) as provider:
        request = ask(provider.url, tls=Tls(ca_cert=ca_pem))

        assert [await call(upstream, request) for _ in range(2)] == [(200, b"hello")] * 2
        assert len(provider.connections) == 1


async def test_an_unknown_authority_is_not_trusted(upstream, authority):
    async with Provider(serve_many).serve(context(authority, "127.0.0.1")) as provider:
        with pytest.raises(Unreachable, match="its certificate is not valid"):
            await upstream.call(ask(provider.url))


async def test_a_certificate_for_another_host_is_not_trusted(upstream, authority, ca_pem):
    async with Provider(serve_many).serve(context(authority, "other.test")) as provider:
        with pytest.raises(Unreachable, match="its certificate is not valid"):
            await upstream.call(ask(provider.url, tls=Tls(ca_cert=ca_pem)))


async def test_checking_can_be_switched_off(upstream, authority):
    async with Provider(serve_many).serve(context(authority, "other.test")) as provider:
        assert await call(upstream, ask(provider.url, tls=Tls(verify=False))) == (200, b"hello")


async def test_over_tls_nothing_is_sent_again_that_may_have_been_worked_on(timed, authority, ca_pem):
    """TLS has buffers of its own, and says of its own when they are empty."""
    upstream, clock = timed

    async def script(connection):
        await connection.request()
        await connection.send(OK)
        await connection.request()
        clock.now_s += 4.0

    async with Provider(script).serve(context(authority, "127.0.0.1")) as provider:
        request = ask(provider.url, b" " * 100_000, tls=Tls(ca_cert=ca_pem))
        await call(upstream, request)
        with pytest.raises(BrokeOff):
            await call(upstream, request)

        assert len(provider.connections) == 1


async def test_a_connection_over_tls_whose_stream_is_over_is_used_again(upstream, authority, ca_pem):
    async def script(connection):
        while True:
            await connection.request()
            await connection.send(CHUNKED, LAST)
            await arrived()
            await connection.send(END)
            ended.set()

    async with Provider(script).serve(context(authority, "127.0.0.1")) as provider:
        for _ in range(3):
            ended = asyncio.Event()
            reply = await upstream.call(ask(provider.url, tls=Tls(ca_cert=ca_pem)))
            await reply.read()
            reply.close()
            await ended.wait()
            await arrived()

        assert len(provider.connections) == 1


async def test_a_connection_that_was_not_checked_serves_nobody_else(upstream, authority, ca_pem):
    """Two accounts name the same server; one of them insists on its certificate."""
    async with Provider(serve_many).serve(context(authority, "other.test")) as provider:
        await call(upstream, ask(provider.url, tls=Tls(verify=False)))

        with pytest.raises(Unreachable):
            await upstream.call(ask(provider.url, tls=Tls(ca_cert=ca_pem)))


async def test_plain_http_where_tls_was_expected(upstream):
    async def script(connection):
        await connection.reader.read(10)
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with Provider(script).serve() as provider:
        with pytest.raises(Unreachable):
            await upstream.call(ask(provider.url.replace("http:", "https:")))


TOO_OLD = b"\x15\x03\x01\x00\x02\x02\x46"
"""A fatal alert: protocol_version. Source: RFC 5246, section 7.2."""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TOO_OLD, r"it does not speak TLS as it should \(TLSV1_ALERT_PROTOCOL_VERSION\)"),
        (b"", "it closed the connection instead of agreeing on TLS"),
    ],
    ids=["only TLS 1.0", "no TLS"],
)
async def test_no_agreement_on_tls(upstream, answer, reason):
    async def script(connection):
        await connection.reader.read(10)
        await connection.send(answer)
        connection.writer.write_eof()
        await connection.gone()

    async with Provider(script).serve() as provider:
        with pytest.raises(Unreachable, match=f"^no connection to 127.0.0.1:{provider.port}: {reason}$"):
            await upstream.call(ask(provider.url.replace("http:", "https:")))


async def test_tls_that_never_comes_about():
    """Somebody accepts connections, and says nothing."""
    upstream = HttpUpstream(connect_timeout_s=0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(TimedOut):
            await upstream.call(ask(f"https://127.0.0.1:{silent.getsockname()[1]}/"))
        await upstream.close()


async def test_an_authority_that_is_no_certificate(upstream):
    """Told as an unreachable provider: the rest of the configuration is still of use."""
    with pytest.raises(Unreachable):
        await upstream.call(ask("https://127.0.0.1:1/", tls=Tls(ca_cert="not a certificate")))


# --- where it may go -------------------------------------------------------------------------------------------------

PRIVATE = "it is on this machine or in a private network"
NEVER = "which the gateway never calls"


async def refusal_of(upstream, url):
    try:
        with pytest.raises(Unreachable) as refused:
            await upstream.call(ask(url))
        return refused.value.message
    finally:
        await upstream.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "provider.test", "0x7f.1", "localhost"]
)
async def test_an_address_of_this_machine_is_for_those_who_are_trusted(host):
    """Looked at is the address that is about to be connected to, whatever it was written as or its name stands for."""
    async with Provider(answers(OK)).serve() as provider:
        names = Names("127.0.0.1") if host == "provider.test" else None
        guarded = HttpUpstream(is_trusted=False, resolver=names)

        message = await refusal_of(guarded, f"http://{host}:{provider.port}/")

    assert PRIVATE in message
    assert provider.connections == []


@pytest.mark.parametrize(
    ("address", "is_trusted"), [("169.254.169.254", True), ("fe80::1", True), ("100.100.100.200", False)]
)
async def test_a_metadata_service_is_for_nobody(address, is_trusted):
    upstream = HttpUpstream(is_trusted=is_trusted, resolver=Names(address))

    message = await refusal_of(upstream, "http://provider.test/latest/meta-data")

    assert NEVER in message
    assert address not in message


async def test_a_name_that_changes_its_mind_is_looked_at_each_time():
    """A name of the attacker's own may be public when it is applied, and this machine when it is called."""
    async with Provider(answers(OK)).serve() as provider:
        names = Names("127.0.0.1")
        guarded = HttpUpstream(is_trusted=False, resolver=names, names_ttl_s=0)

        assert PRIVATE in await refusal_of(guarded, f"http://provider.test:{provider.port}/")
        assert PRIVATE in await refusal_of(guarded, f"http://provider.test:{provider.port}/")


async def test_of_several_addresses_those_are_tried_that_may_be():
    async with Provider(answers(OK)).serve() as provider:
        ways = Ways(Egress((network("127.0.0.1/32"),)))
        names = Names("169.254.169.254", "127.0.0.2", "10.0.0.1", "127.0.0.1")
        guarded = HttpUpstream(is_trusted=False, resolver=names, ways=ways)

        assert await call(guarded, ask(f"http://provider.test:{provider.port}/")) == (200, b"hello")
        await guarded.close()

    assert len(provider.connections) == 1


# --- through a proxy -------------------------------------------------------------------------------------------------


async def tunnel(connection, provider, seen, status=b"200 Connection established"):
    """A proxy that does what CONNECT asks for, with `provider` in the place of all others."""
    seen.append(await connection.reader.readuntil(b"\r\n\r\n"))
    await connection.send(b"HTTP/1.1 %b\r\n\r\n" % status)
    if not status.startswith(b"200"):
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)

    async def pass_on(source, sink):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    await asyncio.gather(pass_on(connection.reader, writer), pass_on(reader, connection.writer))


async def test_https_goes_through_a_tunnel(authority):
    """The proxy sees where to, and its own credentials; all else is for the provider. The connection is used again."""

    async def script(connection):
        for _ in range(2):
            await connection.request()
            await connection.send(OK)
        await connection.gone()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.vendor.example").configure_cert(context)
    seen = []
    async with (
        Provider(script).serve(context) as provider,
        Provider(lambda connection: tunnel(connection, provider, seen)).serve() as proxy,
    ):
        environ = {"HTTPS_PROXY": f"http://ana:pa%40ss@127.0.0.1:{proxy.port}"}
        upstream = HttpUpstream(ways=Ways(proxies=proxies_from(environ)), is_trusted=False)
        request = ask("https://api.vendor.example:8443/v1", tls=Tls(ca_cert=authority.cert_pem.bytes().decode()))

        assert [await call(upstream, request) for _ in range(2)] == [(200, b"hello")] * 2
        await upstream.close()

    assert seen == [
        b"CONNECT api.vendor.example:8443 HTTP/1.1\r\nhost: api.vendor.example:8443\r\n"
        b"proxy-authorization: Basic YW5hOnBhQHNz\r\n\r\n"
    ]


async def test_http_goes_to_the_proxy_with_all_of_the_url():
    heads = []

    async def script(connection):
        for _ in range(2):
            heads.append((await connection.request())[0])
            await connection.send(OK)
        await connection.gone()

    async with Provider(script).serve() as proxy:
        ways = Ways(proxies=proxies_from({"http_proxy": f"u:p@127.0.0.1:{proxy.port}"}))
        upstream = HttpUpstream(ways=ways, is_trusted=False)

        for path in ("/v1/a?b=1", "/v1/c"):
            assert await call(upstream, ask(f"http://api.vendor.example:81{path}")) == (200, b"hello")
        await upstream.close()

    rest = (
        b"host: api.vendor.example:81\r\naccept-encoding: identity\r\nauthorization: Bearer key\r\n"
        b"proxy-authorization: Basic dTpw\r\ncontent-length: 2\r\n\r\n"
    )
    assert heads == [
        b"POST http://api.vendor.example:81/v1/a?b=1 HTTP/1.1\r\n" + rest,
        b"POST http://api.vendor.example:81/v1/c HTTP/1.1\r\n" + rest,
    ]


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (b"407 Proxy Authentication Required", "the proxy answered with status 407"),
        (b"502 Bad Gateway", "the proxy answered with status 502"),
        (b"nonsense", "the proxy closed the connection"),
    ],
)
async def test_a_proxy_that_refuses(status, problem):
    async with Provider(lambda connection: tunnel(connection, None, [], status)).serve() as proxy:
        upstream = HttpUpstream(
            ways=Ways(proxies=proxies_from({"ALL_PROXY": f"http://u:canary@127.0.0.1:{proxy.port}"}))
        )

        assert await refusal_of(upstream, "https://api.vendor.example/v1") == (
            f"no connection to api.vendor.example:443: {problem}"
        )


async def test_a_proxy_that_is_not_there():
    for url, port in (("https://api.vendor.example/v1", 443), ("http://api.vendor.example/v1", 80)):
        upstream = HttpUpstream(ways=Ways(proxies=proxies_from({"ALL_PROXY": f"http://127.0.0.1:{free_port()}"})))

        problem = f"no connection to api.vendor.example:{port}: the proxy cannot be reached"
        assert await refusal_of(upstream, url) == problem


async def test_a_proxy_is_not_asked_for_what_may_not_be_called():
    async with Provider(answers(OK)).serve() as proxy:
        environ = {"ALL_PROXY": f"http://127.0.0.1:{proxy.port}"}
        for url, is_trusted in (
            ("http://10.0.0.1/", False),
            ("https://169.254.169.254/", True),
            ("http://0xa.1/", False),
        ):
            upstream = HttpUpstream(ways=Ways(proxies=proxies_from(environ)), is_trusted=is_trusted)

            assert "no connection to" in await refusal_of(upstream, url)
    assert proxy.connections == []


async def test_this_machine_is_called_without_a_proxy():
    async with Provider(answers(OK)).serve() as provider:
        upstream = HttpUpstream(ways=Ways(proxies=proxies_from({"ALL_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""})))

        assert await call(upstream, ask(provider.url)) == (200, b"hello")
        await upstream.close()


# --- bodies in pieces --------------------------------------------------------


class Body:
    """Gives its parts, waits for events, raises errors. Tells how many were taken, and whether it was closed."""

    def __init__(self, *parts):
        self.parts = parts
        self.taken = 0
        self.is_closed = False

    async def pieces(self):
        try:
            for part in self.parts:
                self.taken += 1
                if isinstance(part, asyncio.Event):
                    await part.wait()
                elif isinstance(part, Exception):
                    raise part
                else:
                    yield part
        finally:
            self.is_closed = True


def upload(url, body, length=None):
    pieces = body.pieces() if isinstance(body, Body) else body
    return UpstreamRequest(Endpoint(url), pieces, length=length)


async def read_upload(connection):
    """The head of the next request, and its body, taken out of its chunks."""
    head = await connection.reader.readuntil(b"\r\n\r\n")
    if b"\r\ncontent-length: " in head:
        length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        return head, await connection.reader.readexactly(length)
    body = bytearray()
    while size := int(await connection.reader.readuntil(b"\r\n"), 16):
        body += (await connection.reader.readexactly(size + 2))[:-2]
    assert await connection.reader.readexactly(2) == b"\r\n"
    return head, bytes(body)


LETTERS = bytes(range(256))
CUT = {
    "none": (),
    "whole": (LETTERS,),
    "empty ones": (b"", LETTERS[:1], b"", LETTERS[1:], b""),
    "byte by byte": tuple(LETTERS[at : at + 1] for at in range(256)),
    "odd": (LETTERS[:3], LETTERS[3:17], LETTERS[17:251], LETTERS[251:]),
    "large": tuple(LETTERS * 1024 for _ in range(4)),
}


@pytest.mark.parametrize("parts", CUT.values(), ids=CUT)
@pytest.mark.parametrize("has_length", [True, False], ids=["with its length", "in chunks"])
async def test_sends_a_body_in_pieces(upstream, parts, has_length):
    whole = b"".join(parts)
    seen = []

    async def script(connection):
        while True:
            seen.append(await read_upload(connection))
            await connection.send(OK)

    async with Provider(script).serve() as provider:
        for _ in range(2):
            request = upload(provider.url, Body(*parts), len(whole) if has_length else None)
            assert await call(upstream, request) == (200, b"hello")
        assert await call(upstream, ask(provider.url, b"{}")) == (200, b"hello")

        assert len(provider.connections) == 1
    frame = b"content-length: %d" % len(whole) if has_length else b"transfer-encoding: chunked"
    assert [body for _, body in seen] == [whole, whole, b"{}"]
    assert seen[0][0] == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n%b\r\n\r\n"
        % (provider.port, frame)
    )


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_a_slow_provider_slows_the_body(upstream, until, authority, ca_pem, is_tls):
    """What it does not take stays where it comes from, and not in our memory."""
    body = Body(*(bytes(256 * 1024) for _ in range(128)))
    reads_on = asyncio.Event()
    seen = []

    async def script(connection):
        connection.writer.transport.pause_reading()
        await reads_on.wait()
        connection.writer.transport.resume_reading()
        seen.append(len((await read_upload(connection))[1]))
        await connection.send(OK)

    async with Provider(script).serve(context(authority, "127.0.0.1") if is_tls else None) as provider:
        request = UpstreamRequest(Endpoint(provider.url, tls=Tls(ca_cert=ca_pem) if is_tls else None), body.pieces())
        calling = asyncio.create_task(call(upstream, request))
        await until(lambda: body.taken)
        before = -1
        while body.taken != before:
            before = body.taken
            await asyncio.sleep(0.05)
        assert 0 < body.taken < 64
        reads_on.set()

        assert await calling == (200, b"hello")
    assert seen == [128 * 256 * 1024]


@pytest.mark.parametrize("length", [None, 2**30], ids=["in chunks", "with its length"])
@pytest.mark.parametrize("is_stuck", [False, True], ids=["the body is slow", "the provider takes no more"])
async def test_an_answer_before_the_body_is_out_ends_it(upstream, length, is_stuck):
    """A file that the provider does not want need not be sent, nor even be there."""
    body = Body(*(bytes(1024 * 1024) for _ in range(100))) if is_stuck else Body(b"begin", asyncio.Event())
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}"

    async def script(connection):
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.writer.transport.pause_reading()
        await connection.send(refusal)
        await refused.wait()
        connection.writer.transport.resume_reading()
        received.append(await connection.reader.read(-1))

    refused, received = asyncio.Event(), []
    async with Provider(script).serve() as provider:
        assert await call(upstream, upload(provider.url, body, length)) == (413, b"{}")
        assert body.is_closed
        refused.set()
        with suppress(ConnectionError):
            await asyncio.gather(*provider.tasks)
        assert await call(upstream, upload(provider.url, Body(asyncio.Event()))) == (413, b"{}")

        assert len(provider.connections) == 2
    assert body.taken < 50
    assert not any(data.endswith(b"0\r\n\r\n") for data in received)


class Unusual(Exception):
    """Of whoever gives the pieces."""


@pytest.mark.parametrize("length", [None, 10], ids=["in chunks", "with its length"])
@pytest.mark.parametrize("parts", [(), (b"begin",), (b"b", b"egi", b"n")], ids=["at once", "after one", "after more"])
async def test_a_body_that_fails_is_no_request(upstream, length, parts):
    """The provider must not take the first half for all of it."""
    received = asyncio.get_running_loop().create_future()

    async def script(connection):
        try:
            await read_upload(connection)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            received.set_exception(error)
        else:
            received.set_result("whole")

    async with Provider(script).serve() as provider:
        with pytest.raises(Unusual, match="no more of it"):
            await upstream.call(upload(provider.url, Body(*parts, Unusual("no more of it")), length))
        async with asyncio.timeout(30):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await received

        assert len(provider.connections) == 1


@pytest.mark.parametrize("parts", [(b"hell",), (b"hello", b"!"), (b"hello!",)], ids=["shorter", "longer", "at once"])
async def test_a_body_of_another_length_is_no_request(upstream, parts):
    """Too long, it would be followed by what the provider takes for the next request."""
    received = asyncio.get_running_loop().create_future()

    async def script(connection):
        await connection.reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            received.set_result(await connection.reader.read(-1))

    async with Provider(script).serve() as provider:
        with pytest.raises(ValueError, match="that it should have"):
            await upstream.call(upload(provider.url, Body(*parts), 5))
        await asyncio.wait([received, *provider.tasks], timeout=5, return_when=asyncio.FIRST_COMPLETED)

        assert not received.done() or len(received.result()) < 5


async def test_a_body_in_pieces_is_sent_once(upstream):
    """The keep-alive race again: the pieces are gone, so it is for others to begin anew."""
    body = Body(b"once")

    async def script(connection):
        await connection.request()
        await connection.send(OK)
        await read_upload(connection)

    async with Provider(script).serve() as provider:
        await call(upstream, ask(provider.url))
        with pytest.raises(BrokeOff, match=r"^the provider closed the connection without an answer$"):
            await upstream.call(upload(provider.url, body))

        assert len(provider.connections) == 1
    assert (body.taken, body.is_closed) == (1, True)


async def test_a_provider_that_leaves_ends_the_body(upstream):
    body = Body(b"begin", asyncio.Event())

    async def script(connection):
        await connection.reader.readuntil(b"begin\r\n")

    async with Provider(script).serve() as provider:
        with pytest.raises(BrokeOff):
            await upstream.call(upload(provider.url, body))

    assert body.is_closed


async def test_giving_up_ends_the_body(upstream):
    body = Body(b"begin", asyncio.Event())

    async def script(connection):
        await connection.reader.readuntil(b"begin\r\n")
        calling.cancel()
        await connection.gone()

    async with Provider(script).serve() as provider:
        calling = asyncio.create_task(upstream.call(upload(provider.url, body)))
        await asyncio.wait([calling])
        async with asyncio.timeout(30):
            await provider.connections[0].is_gone.wait()

    assert calling.cancelled()
    assert body.is_closed


async def test_an_answer_that_comes_with_the_last_piece_keeps_the_connection(upstream):
    """Or while it is on its way: all that was to be sent is sent."""

    async def script(connection):
        while True:
            await read_upload(connection)
            await connection.send(CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n")

    async with Provider(script).serve() as provider:
        for _ in range(20):
            assert await call(upstream, upload(provider.url, Body(b"a", b"b"), 2)) == (200, b"hello")

        assert len(provider.connections) == 1

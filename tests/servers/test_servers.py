"""What the servers bear with and what not, in this process; granian needs one of its own."""

import asyncio
import gc
import json
import re
import socket
import struct
import time
import tracemalloc
from contextlib import contextmanager, suppress

import pytest

from gateway import build_app, servers
from gateway.errors import BrokeOff
from gateway.proxy.watch import Timing
from gateway.servers import Limits
from gateway.testing import FakeUpstream

GET = b"GET / HTTP/1.1\r\nHost: gateway\r\n"
IN_TIME_S = 10


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"pong"})


@pytest.fixture(params=["hypercorn", "uvicorn"])
def serving(request):
    return servers.find(request.param)


class Client:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def answer(self):
        return await self.reader.readuntil(b"pong")

    def reset(self):
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def rest(self):
        """What comes before the end. Who still sends when the other side has closed sees a reset."""
        try:
            async with asyncio.timeout(IN_TIME_S):
                return await self.reader.read()
        except ConnectionResetError:
            return b""


class Running:
    """A server, while inside, and clients of it."""

    def __init__(self, serving, app=app, **limits):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self._clients = []
        self._serving = serving(app, self.sock, {"made": "at start"}, Limits(end_s=1, **limits))

    async def __aenter__(self):
        await self._serving.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self._serving.__aexit__(*error)
        for client in self._clients:
            client.writer.transport.abort()
        await asyncio.sleep(0)  # connections end a turn of the loop after they were closed

    async def client(self):
        self._clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self._clients[-1]


@pytest.mark.parametrize("before", [b"", GET + b"\r\n"])
async def test_closes_when_headers_do_not_end(serving, before):
    """A byte a second would hold a connection for ever, whether it is new or has served before."""
    async with Running(serving, head_s=0.05, keep_alive_s=600) as running:
        client = await running.client()
        if before:
            client.send(before)
            await client.answer()
        client.send(GET)

        assert await client.rest() == b""


async def test_headers_have_no_longer_when_they_keep_coming(serving):
    async with Running(serving, head_s=0.2, keep_alive_s=600) as running:
        client = await running.client()
        client.send(GET + b"X: ")

        async def drip():
            while True:
                client.send(b"y")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await client.rest() == b""
        dripping.cancel()


async def test_closes_a_connection_nobody_uses(serving):
    async with Running(serving, keep_alive_s=0.05) as running:
        client = await running.client()

        assert await client.rest() == b""


async def test_headers_in_time_are_served(serving):
    """The deadline ends with the headers: the next request on the connection has its own."""
    async with Running(serving, head_s=IN_TIME_S) as running:
        client = await running.client()
        for _ in range(3):
            client.send(GET)
            client.send(b"\r\n")
            assert (await client.answer()).startswith(b"HTTP/1.1 200")


async def test_headers_that_are_too_large(serving):
    async with Running(serving, max_head_bytes=4096) as running:
        client = await running.client()
        client.send(GET + b"X: " + b"y" * 4096)

        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")


async def test_does_not_turn_to_http_2(serving):
    """A proxy in front that looks at paths would no longer see them."""
    async with Running(serving) as running:
        client = await running.client()
        client.send(GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")

        assert (await client.answer()).startswith(b"HTTP/1.1 200")


async def test_one_connection_too_many(serving):
    """Those that are there do not notice."""
    async with Running(serving, max_connections=1) as running:
        first = await running.client()
        first.send(GET + b"\r\n")
        await first.answer()
        second = await running.client()
        second.send(GET + b"Connection: close\r\n\r\n")

        assert b"pong" not in await second.rest()
        first.send(GET + b"\r\n")
        assert (await first.answer()).startswith(b"HTTP/1.1 200")


async def test_the_app_finds_the_state_of_its_lifespan(serving):
    seen = []

    async def looks(scope, receive, send):
        seen.append(scope["state"])
        await app(scope, receive, send)

    async with Running(serving, looks) as running:
        client = await running.client()
        client.send(GET + b"\r\n")
        await client.answer()

    assert seen == [{"made": "at start"}]


async def test_a_client_that_does_not_read_does_not_hold_the_end(serving):
    has_begun = asyncio.Event()

    async def floods(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        has_begun.set()
        while not is_over:
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            await asyncio.sleep(0)

    is_over = False
    async with Running(serving, floods) as running:
        client = await running.client()
        client.send(GET + b"\r\n")
        await has_begun.wait()
        is_over = True

    with pytest.raises(ConnectionRefusedError):
        await running.client()


async def test_hypercorn_answers_before_it_has_the_body():
    """It was seen to wait for ever for the app to read what it had refused, and the app with it."""
    has_ended = asyncio.Event()

    async def refuses(scope, receive, send):
        await asyncio.sleep(0)
        await app(scope, receive, send)
        has_ended.set()

    async with Running(servers.find("hypercorn"), refuses) as running:
        client = await running.client()
        client.send(b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 8000000\r\n\r\n" + bytes(4_000_000))

        assert (await client.answer()).startswith(b"HTTP/1.1 200")
        await asyncio.wait_for(has_ended.wait(), IN_TIME_S)


async def test_hypercorn_lets_go_of_an_app_that_fails_with_a_request_waiting():
    """The request behind it was never read on, and its connection never ended."""

    async def fails(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"po", "more_body": True})
        raise RuntimeError("as planned")

    async with Running(servers.find("hypercorn"), fails) as running:
        client = await running.client()
        client.send((GET + b"\r\n") * 2)

        assert (await client.rest()).endswith(b"po\r\n")


def saying(*headers, body=b"pong"):
    async def says(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return says


def parts_of(answer):
    """The status line, the headers but for the date, sorted, their names in lower case, and the rest."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = [b": ".join((line.partition(b": ")[0].lower(), line.partition(b": ")[2])) for line in lines]
    return status.strip(), sorted(header for header in headers if not header.startswith(b"date: ")), rest


async def test_headers_go_out_as_the_app_gives_them(serving):
    headers = [(b"content-length", b"4"), (b"x-one", b"a, b"), (b"x-one", b"c"), (b"x-two", "é".encode())]
    async with Running(serving, saying(*headers)) as running:
        client = await running.client()
        client.send(GET + b"Connection: close\r\n\r\n")
        answer = await client.rest()

    status, lines, rest = parts_of(answer)
    assert status.startswith(b"HTTP/1.1 200")
    assert lines == [
        b"connection: close",
        b"content-length: 4",
        b"x-one: a, b",
        b"x-one: c",
        "x-two: é".encode(),
    ]
    assert rest == b"pong"
    assert re.search(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", answer)


async def test_an_answer_of_unknown_length_comes_in_chunks(serving):
    async with Running(serving, saying((b"x-one", b"a"))) as running:
        client = await running.client()
        client.send((GET + b"\r\n") * 2)
        answers = [await client.reader.readuntil(b"0\r\n\r\n") for _ in range(2)]

    assert [parts_of(answer)[1:] for answer in answers] == [
        ([b"transfer-encoding: chunked", b"x-one: a"], b"4\r\npong\r\n0\r\n\r\n")
    ] * 2


async def test_names_of_headers_in_any_case(serving):
    async with Running(serving, saying((b"Content-Length", b"4"), (b"Connection", b"Close"))) as running:
        client = await running.client()
        client.send(GET + b"\r\n")
        answer = await client.rest()

    assert parts_of(answer)[2] == b"pong"
    assert answer.lower().count(b"content-length") == answer.lower().count(b"connection: close") == 1


async def test_head_is_answered_without_a_body(serving):
    async with Running(serving) as running:
        client = await running.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")

        assert parts_of(await client.rest())[1:] == ([b"connection: close", b"content-length: 4"], b"")


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: evil=1", b"a\nset-cookie: evil=1", b"a\rset-cookie: evil=1"])
async def test_no_header_breaks_out_of_its_line(serving, value):
    async with Running(serving, saying((b"content-length", b"4"), (b"x-one", value))) as running:
        client = await running.client()
        client.send(GET + b"Connection: close\r\n\r\n")
        answer = await client.rest()

    assert b"set-cookie" not in answer
    assert b" 200" not in answer


async def test_hypercorn_closes_a_connection_after_so_many_requests():
    async with Running(servers.find("hypercorn"), keep_alive_requests=2) as running:
        client = await running.client()
        client.send((GET + b"\r\n") * 2)
        answers = await client.rest()

    assert answers.count(b"pong") == 2
    assert answers.count(b"connection: close") == 1
    assert answers.index(b"connection: close") > answers.index(b"pong")


# --- what comes behind a request --------------------------------------------------------------------------------------

BEHIND = {
    "nothing": b"",
    "a byte": b"G",
    "an empty line": b"\r\n",
    "no HTTP": b"\x00",
    "half a head": GET,
    "a request": GET + b"\r\n",
    "two requests": (GET + b"\r\n") * 2,
    "a request with half a body": b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100000\r\n\r\n" + bytes(60_000),
}


class Waiting:
    """An app that answers once it is told to, unless the client leaves before."""

    def __init__(self):
        self.paths = []
        self.has_begun = asyncio.Event()
        self.has_left = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.paths.append(scope["path"])
        while (await receive())["more_body"]:
            pass
        self.has_begun.set()
        answering = asyncio.create_task(self.may_answer.wait())
        leaving = asyncio.create_task(receive())
        done, pending = await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if leaving in done:
            self.has_left.set()
        else:
            await app(scope, receive, send)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("comes", ["at once", "later"])
async def test_a_client_that_leaves_is_seen_whatever_it_sent_before(serving, behind, comes, how):
    """With one byte behind its request, the provider worked, and was paid, for nobody."""
    waits = Waiting()
    async with Running(serving, waits) as running:
        client = await running.client()
        if comes == "at once":
            client.send(GET + b"\r\n" + BEHIND[behind])
            await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
        else:
            client.send(GET + b"\r\n")
            await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
            client.send(BEHIND[behind])
        if how == "close":
            client.writer.close()
        else:
            client.reset()

        await asyncio.wait_for(waits.has_left.wait(), IN_TIME_S)
        await client.rest()

    assert waits.paths == ["/"]  # what is behind is not begun for nobody


async def test_a_client_that_asks_for_an_upgrade_is_seen_to_leave(serving):
    """What is behind such a request may be another protocol, so parsers stop there."""
    waits = Waiting()
    async with Running(serving, waits) as running:
        client = await running.client()
        client.send(GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
        client.writer.close()

        await asyncio.wait_for(waits.has_left.wait(), IN_TIME_S)


@pytest.mark.parametrize("cut", [0, 1, 20, 50, 56, 57, 60, 100, 150])
async def test_requests_are_answered_in_the_order_they_come(serving, cut):
    """With all of them sent before the first is answered, in one piece or two."""
    waits = Waiting()
    requests = GET + b"\r\n\r\n"  # an empty line behind the first
    requests += b"POST /2 HTTP/1.1\r\nHost: gateway\r\nContent-Length: 4\r\n\r\nbody"
    requests += b"POST /3 HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    requests += GET.replace(b"/", b"/4", 1) + b"\r\n"
    async with Running(serving, waits) as running:
        client = await running.client()
        client.send(GET + b"\r\n" + requests[:cut])
        await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
        client.send(requests[cut:])
        waits.may_answer.set()
        for _ in range(5):
            assert (await client.answer()).startswith(b"HTTP/1.1 200")

    assert waits.paths == ["/", "/", "/2", "/3", "/4"]


async def test_requests_before_the_end_are_answered(serving):
    """As `printf ... | nc` sends them; uvicorn closes when its client does."""
    async with Running(servers.find("hypercorn")) as running:
        client = await running.client()
        client.send((GET + b"\r\n") * 3)
        client.writer.write_eof()

        assert (await client.rest()).count(b"pong") == 3


async def test_what_is_no_request_is_refused_after_the_answer_before_it(serving):
    """Not in the middle of it, where it would be taken for a part."""
    waits = Waiting()
    async with Running(serving, waits) as running:
        client = await running.client()
        client.send((GET + b"\r\n") * 2 + b"\x00 no request\r\n\r\n")
        await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
        waits.may_answer.set()
        answers = await client.rest()

    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.count(b"pong") == 2
    assert waits.paths == ["/", "/"]


@pytest.mark.parametrize("flood", [b"x" * 1000, GET + b"X: " + b"x" * 1000 + b"\r\n\r\n"])
async def test_what_comes_early_is_kept_up_to_a_limit(serving, flood):
    """Whoever sends more cannot be watched any longer, so it is taken for gone."""
    waits = Waiting()
    async with Running(serving, waits) as running:
        client = await running.client()
        client.send(GET + b"\r\n")
        await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
        with suppress(ConnectionError):
            for _ in range(400):
                client.send(flood)
                await client.writer.drain()

        await asyncio.wait_for(waits.has_left.wait(), IN_TIME_S)
        await client.rest()


async def test_headers_behind_a_request_have_as_long_as_others(serving):
    """Their time begins when it is their turn: the answer before them is not cut."""
    waits = Waiting()
    async with Running(serving, waits, head_s=0.05) as running:
        client = await running.client()
        client.send(GET + b"\r\n")
        await asyncio.wait_for(waits.has_begun.wait(), IN_TIME_S)
        client.send(GET)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waits.has_left.wait(), 0.2)
        waits.may_answer.set()

        assert (await client.answer()).startswith(b"HTTP/1.1 200")
        assert await client.rest() == b""


async def test_an_empty_line_does_not_hold_a_connection(serving):
    """On uvicorn it stopped the one timer there was."""
    async with Running(serving, head_s=0.05, keep_alive_s=0.1) as running:
        client = await running.client()
        client.send(GET + b"\r\n")
        await client.answer()
        client.send(b"\r\n")

        assert await client.rest() == b""


async def test_an_answer_may_begin_like_a_head(serving):
    """It was taken for one on Hypercorn, and took the place of the head that waited."""
    async with Running(serving, saying((b"content-length", b"12"), body=b"HTTP/1.1 200")) as running:
        client = await running.client()
        client.send(GET + b"Connection: close\r\n\r\n")
        answer = await client.rest()

    assert parts_of(answer)[1:] == ([b"connection: close", b"content-length: 12"], b"HTTP/1.1 200")


# --- what a request may look like -------------------------------------------------------------------------------------


async def echo(scope, receive, send):
    """Says what was asked, and what its headers are once the body has come."""
    size = 0
    while (message := await receive()).get("more_body"):
        size += len(message["body"])
    headers = [f"{name.decode()}: {value.decode()}" for name, value in scope["headers"]]
    asked = [scope["method"], scope["path"], scope["query_string"].decode(), size + len(message["body"]), *headers]
    body = json.dumps(asked).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def status_and_echo(serving, request):
    async with Running(serving, echo) as running:
        client = await running.client()
        client.send(request)
        head = await client.reader.readuntil(b"\r\n\r\n")
        body = await client.reader.readuntil(b"]")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        (b"GET /a?b=c HTTP/1.1", ["GET", "/a", "b=c", 0, "host: gateway"]),
        (b"GET http://other:81/a%20b?c HTTP/1.1", ["GET", "/a b", "c", 0, "host: other:81"]),
        (b"GET HTTPS://other HTTP/1.1", ["GET", "/", "", 0, "host: other"]),
        (b"GET http://other?c HTTP/1.0", ["GET", "/", "c", 0, "host: other"]),
        (b"GET http://user@other/ HTTP/1.1", ["GET", "/", "", 0, "host: user@other"]),  # the app refuses such a host
        (b"OPTIONS * HTTP/1.1", ["OPTIONS", "*", "", 0, "host: gateway"]),
    ],
)
async def test_what_is_asked_of_whom(serving, line, asked):
    """Hypercorn took a URL for a path, and uvicorn left its host out. Source: RFC 9112, section 3.2."""
    status, said = await status_and_echo(serving, line + b"\r\nHost: gateway\r\n\r\n")

    assert (status, said) == (200, asked)


@pytest.mark.parametrize("target", [b"other:443", b"/", b"http://other/"])
async def test_a_tunnel_is_asked_of_the_app_as_well(serving, target):
    """It has no path, and the app looks at the method first."""
    seen = []

    async def refuses(scope, receive, send):
        seen.append((scope["method"], scope["path"]))
        await send({"type": "http.response.start", "status": 405, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"pong"})

    async with Running(serving, refuses) as running:
        client = await running.client()
        client.send(b"CONNECT " + target + b" HTTP/1.1\r\nHost: other\r\n\r\n")

        assert (await client.answer()).startswith(b"HTTP/1.1 405")
    assert seen == [("CONNECT", "/")]


async def test_no_host_before_http_1_1(serving):
    assert await status_and_echo(serving, b"GET / HTTP/1.0\r\n\r\n") == (200, ["GET", "/", "", 0])


@pytest.mark.parametrize(
    "request_",
    [
        b"GET other:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    ],
)
async def test_what_is_no_request(serving, request_):
    """Two that read such bytes may read two things in them, and one of the two guards the other."""
    async with Running(serving, echo, linger_s=0.01) as running:
        client = await running.client()
        client.send(request_)
        answer = await client.rest()

    assert answer.split()[1] in (b"400", b"505")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_trailer_is_not_among_the_headers(serving):
    """On uvicorn it joined them once the body was read, so after they had been checked."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request += b"1;ext=1\r\na\r\n0\r\nAuthorization: evil\r\n\r\n"

    assert await status_and_echo(serving, request) == (
        200,
        ["POST", "/", "", 1, "host: a", "transfer-encoding: chunked"],
    )


POST = b"POST / HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "value of a trailer": (b"1\r\na\r\n0\r\nX: ", b"y" * 4096),
    "name of a trailer": (b"1\r\na\r\n0\r\n", b"y" * 4096),
    "trailer": (b"0\r\n", b"X: y\r\n" * 1000),
    "extension of a chunk": (b"1;", b"y" * 4096),
    "length of a chunk": (b"1", b"0" * 4096),
    "empty lines": (b"0\r\n\r\n", b"\r\n" * 2048),
}


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("what", ENDLESS)
async def test_what_brings_nothing_of_a_body_has_an_end(serving, what, reads):
    """Nobody needs a token for it. A trailer took 46 MiB in 2.6 s, and 1.3 s of everybody's time."""
    begin, more = ENDLESS[what]
    async with Running(serving, echo if reads else app, linger_s=0.01, head_s=0.2, keep_alive_s=0.2) as running:
        client = await running.client()
        client.send(POST + begin)

        async def flood():
            with suppress(ConnectionError):
                while True:
                    client.send(more)
                    await client.writer.drain()

        flooding = asyncio.create_task(flood())
        await client.rest()
        flooding.cancel()


# --- WebSockets -------------------------------------------------------------------------------------------------------

HANDSHAKE = GET + (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: realtime, x\r\n\r\n"
)
PING = b"\x81\x84\0\0\0\0ping"
"""A text, masked with zeros, as clients have to mask what they send. Source: RFC 6455, section 5.3."""
LONG = b"\x81\xfe\xea\x60\0\0\0\0" + 60_000 * b"x"
CLOSE = b"\x88\x80\0\0\0\0"
PONG = b"\x81\x04pong"


async def ponging(scope, receive, send):
    """Answers each text with another."""
    await send({"type": "websocket.accept", "subprotocol": "realtime"})
    await receive()
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "pong"})


async def denying(scope, receive, send):
    headers = [(b"content-length", b"4"), (b"x-one", b"a")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"pong"})


async def test_a_websocket_is_opened(serving):
    async with Running(serving, ponging) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        head = await client.reader.readuntil(b"\r\n\r\n")
        client.send(PING)

        assert await client.reader.readexactly(6) == PONG
        status, headers, _ = parts_of(head)
        assert status.startswith(b"HTTP/1.1 101")
        assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in headers  # Source: RFC 6455, section 1.3
        assert b"sec-websocket-protocol: realtime" in headers


async def test_a_websocket_may_be_denied_like_a_request(serving):
    """With a status, headers and a body, which say more than the 403 for all that is closed."""
    async with Running(serving, denying) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        status, headers, body = parts_of(await client.rest())

    assert status.startswith(b"HTTP/1.1 401")
    assert set(headers) >= {b"content-length: 4", b"x-one: a"}
    assert body == b"pong"


async def test_a_websocket_that_is_closed_at_once(serving):
    async def closes(scope, receive, send):
        await send({"type": "websocket.close", "code": 1008, "reason": "not here"})

    async with Running(serving, closes) as running:
        client = await running.client()
        client.send(HANDSHAKE)

        assert (await client.rest()).startswith(b"HTTP/1.1 403")


async def test_a_websocket_that_is_closed_later(serving):
    """The reason arrives, though the client is still sending."""

    async def closes(scope, receive, send):
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        await send({"type": "websocket.close", "code": 1011, "reason": "as planned"})

    async with Running(serving, closes) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        await client.reader.readuntil(b"\r\n\r\n")
        client.send(LONG * 100 + CLOSE)

        assert await client.rest() == b"\x88\x0c\x03\xf3as planned"


async def test_the_headers_of_a_websocket_are_as_they_came(serving):
    """wsproto decodes a host in punycode, and fails at one that is none."""
    seen = []

    async def looks(scope, receive, send):
        seen.append(scope)
        await denying(scope, receive, send)

    handshake = HANDSHAKE.replace(b"Host: gateway", b"Host: xn--bcher-kva.test:81\r\nAuthorization: Bearer t")
    async with Running(serving, looks) as running:
        for host in (b"xn--bcher-kva.test:81", b"xn--.test"):
            client = await running.client()
            client.send(handshake.replace(b"GET /", b"GET /v1/a%20b?c=d").replace(b"xn--bcher-kva.test:81", host))
            await client.rest()

    assert [scope["headers"] for scope in seen] == [
        [
            (b"host", host),
            (b"authorization", b"Bearer t"),
            (b"connection", b"keep-alive, Upgrade"),
            (b"upgrade", b"websocket"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-protocol", b"realtime, x"),
        ]
        for host in (b"xn--bcher-kva.test:81", b"xn--.test")
    ]
    asked = [seen[0][name] for name in ("type", "path", "raw_path", "query_string", "subprotocols", "state")]
    assert asked == ["websocket", "/v1/a b", b"/v1/a%20b", b"c=d", ["realtime", "x"], {"made": "at start"}]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET", b"POST"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"-Version: 13", b"-Version: 8"),
        (b"-Key", b"-Lock"),
        (b"realtime", b"\xe9"),
        (b"Host:", b"Content-Length: 4\r\nHost:"),
    ],
)
async def test_what_is_no_handshake_is_a_request(serving, old, new):
    """So the app says what is wrong with it, and one that has a body loses none of it."""
    async with Running(serving) as running:
        client = await running.client()
        client.send(HANDSHAKE.replace(old, new) + b"body")

        assert (await client.answer()).startswith(b"HTTP/1.1 200")


async def test_a_websocket_is_not_closed_for_being_idle(serving):
    """Whoever listens may have nothing to say for minutes."""
    async with Running(serving, ponging, head_s=0.05, keep_alive_s=0.05) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        await client.reader.readuntil(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.2)
        client.send(PING)

        assert await client.reader.readexactly(6) == PONG


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_client_of_a_websocket_is_seen_to_leave(serving, how):
    has_left = asyncio.Event()

    async def waits(scope, receive, send):
        await ponging(scope, receive, send)
        has_left.set()

    async with Running(serving, waits) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        await client.reader.readuntil(b"\r\n\r\n")
        if how == "close":
            client.writer.close()
        else:
            client.reset()

        await asyncio.wait_for(has_left.wait(), IN_TIME_S)


async def test_a_websocket_ends_with_its_app(serving):
    """On Hypercorn, an app that did not read what had come could not end."""

    async def deaf(scope, receive, send):
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        for _ in range(10):
            await asyncio.sleep(0)  # while the rest comes

    async with Running(serving, deaf, linger_s=0.01) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        await client.reader.readuntil(b"\r\n\r\n")
        client.send(PING * 100)

        await client.rest()


async def test_a_handshake_waits_for_the_answer_before_it(serving):
    """On uvicorn it is then a request like others, and not an answer in the middle of another one."""
    has_begun, may_answer = asyncio.Event(), asyncio.Event()

    async def either(scope, receive, send):
        if scope["type"] == "websocket":
            await denying(scope, receive, send)
        else:
            has_begun.set()
            await may_answer.wait()
            await app(scope, receive, send)

    async with Running(serving, either) as running:
        client = await running.client()
        client.send(GET + b"\r\n" + HANDSHAKE)
        await asyncio.wait_for(has_begun.wait(), IN_TIME_S)
        may_answer.set()
        first, second = await client.answer(), await client.answer()

    assert first.startswith(b"HTTP/1.1 200")
    assert parts_of(first)[2] == parts_of(second)[2] == b"pong"


async def test_hypercorn_ends_a_handshake_that_it_refuses_itself():
    """It left the connection open, for whoever had no token, with no timer on it."""
    has_begun = asyncio.Event()

    async def waits(scope, receive, send):
        has_begun.set()
        await receive()
        assert (await receive())["type"] == "websocket.disconnect"

    async with Running(servers.find("hypercorn"), waits, linger_s=0.01) as running:
        client = await running.client()
        client.send(HANDSHAKE)
        await asyncio.wait_for(has_begun.wait(), IN_TIME_S)
        client.send(PING)  # before it was accepted

        assert (await client.rest()).startswith(b"HTTP/1.1 400")


# --- what is left of a request when it is over ------------------------------------------------------------------------

LARGE = 2**20


class SlowUpstream(FakeUpstream):
    """Answers some turns of the loop later, when the client is being watched."""

    async def call(self, request):
        for _ in range(10):
            await asyncio.sleep(0)
        self.asked_now.set()
        return await super().call(request)


@contextmanager
def large_blocks():
    """A list of the sizes of all that is over 1 MiB, was allocated inside and stays there. No collector runs: it would
    come too late for bodies, of which a few hundred objects may hold gigabytes. A thread that has translated one lets
    go of it when it next has its turn."""
    found = []
    gc.disable()
    tracemalloc.start()
    try:
        yield found
        by = time.monotonic() + IN_TIME_S
        while sizes := [trace.size for trace in tracemalloc.take_snapshot().traces if trace.size > LARGE]:
            if time.monotonic() > by:
                found += sizes
                break
            time.sleep(0.001)
    finally:
        tracemalloc.stop()
        gc.enable()


EVENT = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n'
ENDS = {
    "answered": lambda: (200, [b'{"choices": []}']),
    "refused by the provider": lambda: (400, [b"no"]),
    "not reached": lambda: BrokeOff("cut"),
    "streamed": lambda: (200, [EVENT, b"data: [DONE]\n\n"]),
    "broken off": lambda: (200, [EVENT, BrokeOff("cut")]),
    "left": lambda: (200, [asyncio.Event()]),
}


@pytest.mark.parametrize("end", ENDS)
async def test_no_body_outlives_its_request(serving, manifest, auth, token, end):
    """Eight bodies of 19.5 MB at once left 190 MiB behind, each time, until the collector came, which was never."""
    upstream = SlowUpstream(ENDS[end]())
    gateway = build_app(
        manifest,
        environ={"GATEWAY_ADMIN_TOKEN": token},
        sinks=[],
        network=upstream,
        timing=Timing(watch_after_s=0.0),
    )
    ask = {"model": "mock/m", "stream": end in ("streamed", "broken off"), "messages": [{"content": "x" * 2 * LARGE}]}
    body = json.dumps(ask).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: {auth['authorization']}\r\n"

    async with gateway.lifespan():
        with large_blocks() as left:
            async with Running(serving, gateway) as running:
                for _ in range(2):
                    upstream.asked_now = asyncio.Event()
                    client = await running.client()
                    client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                    await asyncio.wait_for(upstream.asked_now.wait(), IN_TIME_S)
                    if end != "left":
                        await client.reader.readuntil(b"\r\n\r\n")
                    client.writer.close()
                    upstream.requests.clear()
            del client

    assert left == []

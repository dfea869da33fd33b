"""How bytes become requests, and answers bytes, wherever the packets are cut."""

import asyncio
import socket

import pytest

from gateway.servers import Limits
from gateway.servers.http1 import Http1
from gateway.servers.service import Service

BODY = b'5\r\nhello\r\n00001;name="a;b"\r\n \r\nA;x\r\n0123456789\r\n0;last\r\nX-One: a\r\nAuthorization: evil\r\n\r\n'
POST = b"POST /a?b HTTP/1.1\r\nHost: a\r\nX-Two:  b \t\r\nTransfer-Encoding: Chunked\r\n\r\n"
UPGRADE = b"POST /a?b HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 29\r\n\r\n"
INNER = b"GET /evil HTTP/1.1\r\nA: bc\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Asked:
    """An app that keeps what it is asked and answers `answer`, in as many messages as that has pieces."""

    def __init__(self, *answer, status=200, headers=()):
        self.answer = answer or (b"pong",)
        self.status = status
        self.headers = headers
        self.seen = []

    async def __call__(self, scope, receive, send):
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        self.seen.append((scope["method"], scope["path"], body + message.get("body", b"")))
        self.scope = scope
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        for piece in self.answer[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": self.answer[-1]})


async def answers_to(app, *packets):
    """What the client gets until its connection is closed. Packets come as they are cut, each a turn of the loop after
    the one before it."""
    service = Service(app, {}, Limits(linger_s=0.01, keep_alive_s=0.2), lambda *_: None, set(), set())
    ours, theirs = socket.socketpair()
    connection = Http1(service)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    for packet in packets:
        connection.data_received(packet)
        await asyncio.sleep(0)
    answers = await reader.read()
    writer.close()
    await service.end()
    return answers


def statuses_in(answers):
    return [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("request_", [POST + BODY, UPGRADE + INNER], ids=["chunks", "upgrade"])
async def test_a_request_cut_anywhere(request_):
    """And one behind it: where a body ends does not hang on how it came."""
    body = INNER if request_.startswith(UPGRADE) else b"hello 0123456789"
    whole = request_ + NEXT

    for cut in range(len(whole)):
        app = Asked()
        assert statuses_in(await answers_to(app, whole[:cut], whole[cut:])) == [200, 200]
        assert app.seen == [("POST", "/a", body), ("GET", "/next", b"")]


async def test_a_request_byte_by_byte():
    app = Asked()
    whole = POST + BODY + UPGRADE + INNER + NEXT

    assert statuses_in(await answers_to(app, *(whole[i : i + 1] for i in range(len(whole))))) == [200, 200, 200]
    assert app.seen == [("POST", "/a", b"hello 0123456789"), ("POST", "/a", INNER), ("GET", "/next", b"")]


async def test_what_the_app_is_told():
    app = Asked()
    await answers_to(app, POST + BODY + NEXT.replace(b"/next", b"/%C3%A9%2F?a=%20"))

    told = {name: app.scope[name] for name in ("type", "method", "path", "raw_path", "query_string", "http_version")}
    assert told == {
        "type": "http",
        "method": "GET",
        "path": "/é/",
        "raw_path": b"/%C3%A9%2F",
        "query_string": b"a=%20",
        "http_version": "1.1",
    }
    assert app.scope["headers"] == [(b"host", b"a"), (b"connection", b"close")]


async def test_the_spaces_around_a_value_are_none_of_it():
    """llhttp leaves those behind it. Source: RFC 9110, section 5.5."""
    app = Asked()
    await answers_to(app, b"GET / HTTP/1.1\r\nHost: \t a \t \r\nX:\r\nConnection: close \r\n\r\n")

    assert app.scope["headers"] == [(b"host", b"a"), (b"x", b""), (b"connection", b"close")]


@pytest.mark.parametrize("cut", [0, 60, len(POST), len(POST) + 9, len(POST + BODY)])
async def test_chunks_that_are_none_are_refused(cut):
    """Wherever they are cut, and nothing behind them is read."""
    app = Asked()
    whole = POST + BODY.replace(b"A;x", b"g;x") + NEXT

    assert statuses_in(await answers_to(app, whole[:cut], whole[cut:])) == [400]


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"chunked, chunked", b",chunked"])
async def test_other_codings_of_a_body(coding):
    """What is decoded here is `chunked`. Source: RFC 9112, section 6.1."""
    app = Asked()
    answers = await answers_to(app, POST.replace(b"Chunked", coding) + b"0\r\n\r\n")

    assert statuses_in(answers) in ([400], [501])
    assert app.seen == []


async def test_no_more_requests_are_taken_than_one_packet_may_bring():
    app = Asked()
    answers = await answers_to(app, b"GET / HTTP/1.1\r\nA: b\r\n\r\n" * 1000)

    assert statuses_in(answers) == [200] * 101
    assert len(app.seen) == 101


# --- answers ---------------------------------------------------------------------------------------------------------

GET_1_0 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


async def test_before_http_1_1_an_answer_ends_with_its_connection():
    """No chunks, which such a client does not know, and no other request, as it cannot tell where the answer ends."""
    answers = await answers_to(Asked(b"po", b"ng"), GET_1_0 + GET_1_0)

    head, _, body = answers.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"pong"


async def test_pieces_of_an_answer_are_chunks():
    answers = await answers_to(Asked(b"po", b"", b"ng", b""), NEXT)

    assert answers.endswith(b"\r\n\r\n2\r\npo\r\n2\r\nng\r\n0\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body(status):
    answers = await answers_to(Asked(b"evil", status=status), NEXT)

    assert answers.endswith(b"connection: close\r\n\r\n")
    assert b"transfer-encoding" not in answers


@pytest.mark.parametrize(("length", "body"), [(b"5", b"pong"), (b"3", b"pong"), (b"x", b"pong")])
async def test_an_answer_of_another_length_is_no_answer(length, body):
    """The client would take the next one for its end, or its end for the next one."""
    answers = await answers_to(Asked(body, headers=[(b"content-length", length)]), NEXT.replace(b"close", b"open"))

    assert not answers.endswith(body)


@pytest.mark.parametrize("status", [99, 101, 1000])
async def test_a_status_that_is_none(status):
    assert statuses_in(await answers_to(Asked(status=status), NEXT)) == [500]


async def test_an_app_that_fails_is_a_500():
    async def fails(scope, receive, send):
        raise RuntimeError("as planned")

    answers = await answers_to(fails, NEXT)

    assert statuses_in(answers) == [500]
    assert answers.endswith(b"content-length: 0\r\nconnection: close\r\n\r\n")


async def test_an_answer_that_has_begun_ends_though_the_request_does_not():
    """It was cut, and the reset could overtake what had gone out."""
    broken, may_end = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        broken.set()
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"pong"})

    async def end():
        await broken.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        may_end.set()

    ending = asyncio.create_task(end())
    answers = await answers_to(slow, POST, b"", b"", b"no chunk")
    await ending

    assert answers.endswith(b"connection: close\r\n\r\npong")


@pytest.mark.parametrize("headers", [(), ((b"connection", b"close"),)], ids=["while it sends", "when it has sent"])
async def test_who_has_a_last_answer_may_send_on(headers):
    """The next request may be on its way before it knows that none is taken; a reset would take the answer along."""

    async def app(scope, receive, send):
        if headers:
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, (b"content-length", b"4")]})
        while not headers and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.body", "body": b"pong"})

    service = Service(app, {}, Limits(linger_s=60), lambda *_: None, set(), set())
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(lambda: Http1(service), ours)
    reader, writer = await asyncio.open_connection(sock=theirs)

    writer.write(POST)
    if not headers:
        await reader.readuntil(b"connection: close\r\n\r\n")
    writer.write(BODY)
    assert (await reader.read()).endswith(b"pong")
    for _ in range(2):
        writer.write(NEXT)
        await writer.drain()

    writer.close()
    await service.end()

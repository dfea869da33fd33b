"""What one connection makes of bytes, however they are cut."""

import asyncio
import re
import socket

import pytest

from gateway.errors import BrokeOff
from gateway.upstream.connection import Connection

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"content-length: 5\r\n\r\nhello"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LIMIT = 64 * 1024


@pytest.fixture
async def connection():
    """One that has sent a request. The tests say what is received."""
    near, far = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(lambda: Connection(loop), sock=near)
    connection.send(b"POST / HTTP/1.1\r\n\r\n", b"")
    yield connection
    transport.abort()
    await connection.closed
    far.close()


async def error_of(connection):
    with pytest.raises(BrokeOff) as raised:
        await body_of(connection)
    return raised.value.message


async def body_of(connection):
    await connection.head()
    data = b""
    while part := await connection.read():
        data += part
    return data


# --- without end -----------------------------------------------------------------------------------------------------

ENDLESS = {
    "status line": (b"HTTP/1.1 200 ", b"x"),
    "status line with zeros": (b"HTTP/1.1 ", b" "),
    "blank lines": (b"", b"\r\n"),
    "header name": (HEAD, b"x"),
    "header value": (HEAD + b"x: ", b"x"),
    "header value of blanks": (HEAD + b"x: ", b" "),
    "headers": (HEAD, b"x: y\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header of an interim answer": (b"HTTP/1.1 103 Early Hints\r\nlink: ", b"x"),
    "chunk size": (CHUNKED, b"0"),
    "chunk extension": (CHUNKED + b"5;name=", b"x"),
    "second chunk size": (CHUNKED + b"5\r\nhello\r\n", b"0"),
    "trailer name": (CHUNKED + b"5\r\nhello\r\n0\r\n", b"x"),
    "trailer value": (CHUNKED + b"5\r\nhello\r\n0\r\nx: ", b"x"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\n", b"x: y\r\n"),
}


@pytest.mark.parametrize("size", [1, 1000, 200_000], ids="pieces of {}".format)
@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_what_has_no_end_is_cut(connection, begin, more, size):
    """The parser adds piece to piece until a header is whole: 300 MB of one took 1 GB, and minutes of CPU."""
    piece = more * (size // len(more) or 1)
    connection.data_received(begin)
    fed = 0
    while connection.is_connected():
        connection.data_received(piece)
        fed += len(piece)
        assert fed <= LIMIT + len(piece)

    assert await error_of(connection)
    assert connection.should_close


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (HEAD + b"x: ", "the provider's answer has more than 64 KiB in front of its body"),
        (CHUNKED + b"0\r\nx: ", "the provider's answer has more than 64 KiB between or behind the pieces of its body"),
    ],
    ids=["header", "trailer"],
)
async def test_says_what_has_no_end(connection, begin, message):
    connection.data_received(begin)
    connection.data_received(b"x" * (LIMIT + 1))

    assert await error_of(connection) == message


async def test_a_long_stream_may_have_much_between_its_chunks(connection):
    """Only what comes in a row counts: here are 200 kB of chunk heads, each in a packet of its own."""
    connection.data_received(CHUNKED)
    for _ in range(20_000):
        connection.data_received(b"00000002\r\n")
        connection.data_received(b"hi\r\n")
        assert await connection.read() == b"hi"
    connection.data_received(b"0\r\n\r\n")

    assert await connection.read() == b""
    assert not connection.should_close


async def test_some_interim_answers_are_passed_over(connection):
    """A provider that thinks for long says so with 102 now and then. Source: RFC 2518, section 10.1."""
    for _ in range(60):
        connection.data_received(b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n")
    connection.data_received(OK)

    assert await body_of(connection) == b"hello"
    assert not connection.should_close


async def test_a_flood_of_interim_answers_broke_off(connection):
    """A read of 256 KiB holds 15,000 of them."""
    connection.data_received(b"HTTP/1.1 100 \r\n\r\n" * 129 + OK)

    assert await error_of(connection) == "the provider's answer has more than 16 KiB, or 128 lines, of headers"


# --- what is not HTTP ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [10_000, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "Transfer-Encoding.*Content-Length"),
        (HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", "Content-Length.*Transfer-Encoding"),
        (HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n", "Content-Length"),
        (HEAD + b"content-length: -5\r\n\r\n", "Content-Length"),
        (HEAD + b"content-length: 5, 5\r\n\r\n", "Content-Length"),
        (HEAD + b"content-length: 99999999999999999999\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", "CR after response line"),
        (HEAD + b"content-length: 5\nx: y\n\nhello", "CR after header value"),
        (HEAD + b"x: y\r\n folded\r\n\r\n", "whitespace after header value"),
        (HEAD + b" x: y\r\n\r\n", "space after start line"),
        (HEAD + b"x : y\r\n\r\n", "header"),
        (HEAD + b"x: y\0z\r\n\r\n", "header value"),
        (HEAD + b"transfer-encoding: \r\n\r\n", "Transfer-Encoding"),
        (CHUNKED + b"-5\r\n", "chunk size"),
        (CHUNKED + b"fffffffffffffffff\r\n", "[Cc]hunk size"),
        (CHUNKED + b"5\nhello\n", "CR after chunk size"),
        (CHUNKED + b"5\r\nhelloXX", "after chunk data"),
        (CHUNKED + b"0\r\nx y: z\r\n\r\n", "header"),
        (b"HTTP/3 200 OK\r\n\r\n", "dot"),
        (b"HTTP/1.7 200 OK\r\n\r\n", "version"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "status"),
        (b"HTTP/1.1 -01 OK\r\n\r\n", "status"),
    ],
)
async def test_says_what_is_wrong_with_the_framing(connection, answer, what, step):
    """All of these were just "not HTTP", which helps nobody who has to mend the provider."""
    for at in range(0, len(answer), step):
        connection.data_received(answer[at : at + step])

    message = await error_of(connection)
    assert message.startswith("the provider's answer is not HTTP as it should be: ")
    assert re.search(what, message)
    assert connection.should_close


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH", b"<html>", b'{"error": 1}', b"\x15\x03\x01\0\2\2\x46", b"\0\0\x12\4"]
)
async def test_what_does_not_begin_like_http_is_not(connection, answer):
    connection.data_received(answer)

    assert await error_of(connection) == "the provider's answer is not HTTP"


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity"])
async def test_other_transfer_encodings_broke_off(connection, coding):
    """They were taken for a body that is not packed, or ends with the connection."""
    connection.data_received(HEAD + b"transfer-encoding: " + coding + b"\r\n\r\n")

    assert await error_of(connection) == "the provider's answer has a transfer encoding that was not asked for"


# --- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (b"000", "the provider answered with status 000, which HTTP does not have"),
        (b"099", "the provider answered with status 099, which HTTP does not have"),
        (b"600", "the provider answered with status 600, which HTTP does not have"),
        (b"999", "the provider answered with status 999, which HTTP does not have"),
        (b"101", "the provider answered with status 101: it wants to speak another protocol"),
    ],
)
@pytest.mark.parametrize("headers", [b"", b"upgrade: h2c\r\nconnection: upgrade\r\n"], ids=["", "with upgrade"])
async def test_statuses_that_are_none_broke_off(connection, status, headers, message):
    """Servers made a traceback and a cut connection of them."""
    connection.data_received(b"HTTP/1.1 " + status + b" Odd\r\n" + headers + b"\r\n" + OK)

    assert await error_of(connection) == message
    assert connection.should_close


@pytest.mark.parametrize("status", [200, 226, 299, 308, 400, 418, 499, 500, 599])
async def test_other_statuses_are_the_providers(connection, status):
    connection.data_received(b"HTTP/1.1 %d \r\ncontent-length: 0\r\n\r\n" % status)
    await connection.head()

    assert connection.status == status
    assert await connection.read() == b""
    assert not connection.should_close


@pytest.mark.parametrize("status", [100, 102, 103])
@pytest.mark.parametrize("headers", [b"", b"content-length: 5\r\n", b"transfer-encoding: gzip\r\n"])
async def test_interim_answers_have_no_body(connection, status, headers):
    """Whatever their headers say. Source: RFC 9112, section 6.3."""
    connection.data_received(b"HTTP/1.1 %d \r\n%b\r\n" % (status, headers) + OK)

    assert await body_of(connection) == b"hello"
    assert not connection.should_close


@pytest.mark.parametrize("headers", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
async def test_interim_answers_that_the_parser_does_not_know(connection, headers):
    """It would take what follows for their body, and that would stand in front of the answer's."""
    connection.data_received(b"HTTP/1.1 150 \r\n\r\nHTTP/1.1 199 \r\n" + headers + b"\r\nxxxxx" + OK)

    message = "the provider answered with status 199 and a body, which that status cannot have"
    assert await error_of(connection) == message


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("headers", [b"", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
async def test_no_content_is_the_end(connection, status, headers):
    connection.data_received(b"HTTP/1.1 %d \r\n%b\r\n" % (status, headers))
    await connection.head()

    assert await connection.read() == b""


async def test_lines_of_a_list_are_one_list(connection):
    connection.data_received(HEAD + b"Content-Encoding: gzip\r\ncontent-encoding: br\r\nx: 1\r\nx: 2\r\n\r\n")
    await connection.head()

    assert dict(connection.headers) == {"content-encoding": "gzip, br", "x": "2"}

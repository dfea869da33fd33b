"""How bytes become requests on Hypercorn."""

import h11
import pytest

from gateway.servers.http1 import Buffer, Chunks

BODY = b'5\r\nhello\r\n00001 ;name="a;b"\r\n \r\nA;x\r\n0123456789\r\n0;last\r\nX-One: a\r\nAuthorization: evil\r\n\r\n'


def read(pieces):
    """What the body holds, and whether it has come to its end."""
    buffer, chunks, body = Buffer(), Chunks(), b""
    for piece in pieces:
        buffer += piece
        while (event := chunks(buffer)) is not None:
            if isinstance(event, h11.EndOfMessage):
                return body, bytes(buffer)
            body += event.data
    return body, None


@pytest.mark.parametrize("cut", range(len(BODY)))
def test_chunks_cut_anywhere(cut):
    assert read([BODY[:cut], BODY[cut:] + b"next"]) == (b"hello 0123456789", b"next")


def test_chunks_byte_by_byte():
    assert read([BODY[i : i + 1] for i in range(len(BODY))]) == (b"hello 0123456789", b"")


def test_all_that_has_come_is_one_piece():
    """Of a body in chunks of one byte each, each was a message to the app, and 40 us."""
    buffer = Buffer()
    buffer += b"1\r\na\r\n" * 1000 + b"5\r\nbc"

    assert Chunks()(buffer).data == b"a" * 1000 + b"bc"
    assert len(buffer) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"hello\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"0" * 17 + b"\r\n\r\n",
        b"1" * 5000,
        b"1;" + b"x" * 5000,
        b"0\r\nX: y\n\r\n",
        b"0\r\nX: y\r\n\n",
        b"0\r\n\n",
        b"0\r\nX: y\r\n folded\r\n\r\n",
        b"0\r\nX: " + b"y" * 17_000,
        b"0\r\nX: " + b"y" * 17_000 + b"\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 3000,
    ],
)
def test_what_are_no_chunks(body):
    """Whoever reads them in another way sees another request behind them."""
    with pytest.raises(h11.LocalProtocolError):
        read([body])


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("cut", range(len(HEAD)))
def test_a_head_cut_anywhere(cut):
    buffer = Buffer()
    buffer += HEAD[:cut]
    first = buffer.maybe_extract_lines()
    buffer += HEAD[cut:]

    assert (first, buffer.maybe_extract_lines()) == (None, [b"GET / HTTP/1.1", b"Host: a"])


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_lines_that_end_as_they_should_not(head):
    """h11 takes them. Source: RFC 9112, sections 2.2 and 5.2."""
    buffer = Buffer()
    buffer += head

    with pytest.raises(h11.LocalProtocolError):
        buffer.maybe_extract_lines()


@pytest.mark.parametrize(
    ("came", "left"),
    [(b"\r\n\r\nGET", b"GET"), (b"\r\n\r", b"\r"), (b"\r", b"\r"), (b"\rG", b"\rG"), (b"GET\r\n", b"GET\r\n")],
)
def test_empty_lines_before_a_request_are_skipped(came, left):
    buffer = Buffer()
    buffer += came
    buffer.skip_empty_lines()

    assert bytes(buffer) == left

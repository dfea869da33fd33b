"""Bodies that come in pieces: what goes out, and that no part is taken for the whole."""

import pytest

from gateway.wire.framing import framed, framing


async def pieces(*parts):
    for part in parts:
        yield part


class Reusable:
    """Pieces that come from no generator."""

    def __aiter__(self):
        return pieces(b"he", b"llo")


async def out(body, length, taken=None):
    taken = [] if taken is None else taken
    async for frame in framed(body, length):
        taken.append(frame)
    return taken


@pytest.mark.parametrize(
    ("length", "line"), [(None, b"transfer-encoding: chunked"), (0, b"content-length: 0"), (7, b"content-length: 7")]
)
def test_the_head_says_where_the_body_ends(length, line):
    assert framing(length) == line + b"\r\n\r\n"


async def test_without_a_length_they_are_chunks():
    """An empty one would end the body."""
    body = pieces(b"", b"hello", b"", b"x" * 26, b"")

    assert await out(body, None) == [b"5\r\nhello\r\n", b"1a\r\n" + b"x" * 26 + b"\r\n", b"0\r\n\r\n"]


async def test_no_pieces_are_an_empty_body():
    assert await out(pieces(), None) == [b"0\r\n\r\n"]
    assert b"".join(await out(pieces(b"", b""), 0)) == b""


@pytest.mark.parametrize("cut", range(6))
async def test_with_a_length_they_go_out_as_they_are(cut):
    assert b"".join(await out(pieces(b"hello"[:cut], b"", b"hello"[cut:], b""), 5)) == b"hello"


async def test_any_iterable_will_do():
    assert b"".join(await out(Reusable(), 5)) == b"hello"


@pytest.mark.parametrize("parts", [(b"hello", b"!"), (b"hello!",), (b"hell", b"o", b"", b"!")])
async def test_a_body_that_is_longer_does_not_go_out_whole(parts):
    """Those who count would have it all before it is known to be wrong."""
    taken = []
    with pytest.raises(ValueError, match="longer than the 5 bytes that it should have"):
        await out(pieces(*parts), 5, taken)

    assert len(b"".join(taken)) < 5


async def test_a_body_that_is_shorter_says_by_how_much():
    with pytest.raises(ValueError, match="ended 2 bytes before the 5 that it should have"):
        await out(pieces(b"he", b"l"), 5)


@pytest.mark.parametrize("length", [None, 5])
async def test_a_body_that_fails_has_no_end(length):
    async def failing():
        yield b"he"
        yield b"l"
        raise OSError("gone")

    taken = []
    with pytest.raises(OSError, match="gone"):
        await out(failing(), length, taken)

    assert not b"".join(taken).endswith((b"0\r\n\r\n", b"hello"))


@pytest.mark.parametrize("length", [None, 9])
async def test_a_body_that_is_not_read_to_its_end_is_closed(length):
    is_closed = False

    async def body():
        nonlocal is_closed
        try:
            yield b"he"
            yield b"llo"
        finally:
            is_closed = True

    frames = framed(body(), length)
    await anext(frames)
    await frames.aclose()

    assert is_closed

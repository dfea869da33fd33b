"""Where the body of a request ends, when it comes in pieces."""

from collections.abc import AsyncGenerator, AsyncIterable


def framing(length: int | None) -> bytes:
    """The last lines of the head: how many bytes follow, or that there are chunks."""
    return b"transfer-encoding: chunked\r\n\r\n" if length is None else b"content-length: %d\r\n\r\n" % length


async def framed(body: AsyncIterable[bytes], length: int | None) -> AsyncGenerator[bytes, None]:
    """What follows then. Its end comes when that of the body has, and fits, so that nobody takes a part for the whole.

    The body is closed at the end, if it is a generator.

    Raises:
        ValueError: it is longer or shorter than `length`.

    Source: RFC 9112, sections 6.2 and 7.1.
    """
    try:
        if length is None:
            async for piece in body:
                if piece:  # an empty chunk would be the end
                    yield b"%x\r\n%b\r\n" % (len(piece), piece)
            yield b"0\r\n\r\n"
            return
        left, last = length, b""
        async for piece in body:
            left -= len(piece)
            if left < 0:
                raise ValueError(f"the body of a request is longer than the {length} bytes that it should have")
            if left:
                yield piece
            else:
                last = piece or last
        if left:
            raise ValueError(f"the body of a request ended {left} bytes before the {length} that it should have")
        yield last
    finally:
        if isinstance(body, AsyncGenerator):
            await body.aclose()

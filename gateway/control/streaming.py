"""Answers that are written while they go out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager, suppress
from typing import Any

from gateway.errors import Overloaded
from gateway.proxy.asgi import Headers, Receive, Send

MOST_STREAMS = 32
"""Of a process, at once: each asks the database several times a second."""


class Streams:
    """Those that are open."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self.is_stopping: Callable[[], bool] = lambda: False
        self._most = most
        self._open = 0

    @contextmanager
    def one_more(self) -> Any:
        """Raises Overloaded: there are too many."""
        if self._open >= self._most:
            raise Overloaded(f"{self._most} streams of records are open; close one, or ask again", retry_after_s=5)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


class Streamed:
    """
    Args:
        chunks: as they come; empty ones are not sent, and only let the gateway see that the client has gone. The first
            one is made before the head goes out, so that what keeps it from that is still an error.
    """

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes], headers: Headers = ()) -> None:
        self.content_type = content_type
        self.chunks = chunks
        self.headers = headers

    async def send(self, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_gone(receive))
        try:
            first = await anext(self.chunks, b"")
            head = [(b"content-type", self.content_type.encode()), (b"cache-control", b"no-cache"), *self.headers]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            if first:
                await send({"type": "http.response.body", "body": first, "more_body": True})
            async for chunk in self.chunks:
                if gone.done():
                    return
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            if (close := getattr(self.chunks, "aclose", None)) is not None:
                await close()


async def _gone(receive: Receive) -> None:
    """Returns when the client has left."""
    with suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass

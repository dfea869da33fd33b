"""One connection to a provider: the bytes of a reply in, its head and body out."""

import asyncio
import errno
import math
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from time import perf_counter
from typing import cast

import httptools

from gateway.errors import BrokeOff, TimedOut, UpstreamError
from gateway.wire.headers import HEADER

HIGH_WATER = 64 * 1024
"""More than this of a reply that nobody reads stops the provider."""

MAX_HEADERS = 128
"""Lines in front of the body. An interim answer counts as one, besides its own."""

MAX_HEADER_BYTES = 16 * 1024

MAX_BARE_BYTES = 64 * 1024
"""What may come in a row without any of the body: the parser tells of a header or a trailer only when it is whole, and
until then adds piece to piece.
"""

LINGER_S = 0.1
"""How long the end of a body is waited for that nobody reads any more."""

CUT_SHORT = "the provider broke off in the middle of its answer"
NO_ANSWER = "the provider closed the connection without an answer"
NOT_HTTP = "the provider's answer is not HTTP"
TOO_LONG = "the provider's answer has more than 16 KiB, or 128 lines, of headers"
LOST = "the connection to the provider is dead: nothing that was sent is acknowledged"

WAYS_LOST = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""How the kernel says that it has given up on a connection which neither end has closed."""


class Headers(Mapping[str, str]):
    """Case-insensitive, and decoded when they are asked for: of most replies one is."""

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.lower().encode()].decode(*HEADER)

    def __iter__(self) -> Iterator[str]:
        return (name.decode(*HEADER) for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 as a client, with llhttp as its parser, one reply after the other.

    It answers what aiohttp's pool asks of a connection: `transport`, `is_connected`, `should_close`, `close`, `abort`
    and `closed`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = perf_counter) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.was_used = False
        self._loop = loop
        self._clock = clock
        self._written_at = math.inf
        self._is_spent = False
        self._is_sending = False
        self._waiter: asyncio.Future[None] | None = None
        self._resumed: asyncio.Future[None] | None = None
        self._clear()
        self._is_done = True  # nothing is on its way

    def _clear(self) -> None:
        self.status = 0
        self.has_received = False
        self._raw: dict[bytes, bytes] = {}
        self._header_lines = 0
        self._header_bytes = 0
        self._bare_bytes = 0
        self._chunks: list[bytes] = []
        self.on_body = self._chunks.append  # the parser calls it for each piece, and in a burst that is each event
        self._size = 0  # of what came for them on the wire
        self._is_done = False
        self._is_paused = False
        self._error: UpstreamError | None = None

    # What the pool asks.

    def is_connected(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    @property
    def should_close(self) -> bool:
        """True unless another request may follow on this connection."""
        is_not_out = self._is_sending or self._written_at == math.inf
        return self._is_spent or not self._is_done or self._error is not None or is_not_out

    def close(self) -> None:
        if self._is_sending or self._written_at == math.inf:
            self.abort()  # else the rest of a request would go out first that nobody waits for
        elif self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # What a call asks.

    @property
    def headers(self) -> Headers:
        return Headers(self._raw)

    @property
    def written_for_s(self) -> float:
        """How long all of the request has been with the kernel; below 0 while some of it is not."""
        return self._clock() - self._written_at

    def send(self, head: bytes, body: bytes) -> None:
        """Sends a request; the reply that comes next is its."""
        self._clear()
        if self.transport is None:
            raise BrokeOff(NO_ANSWER)
        self.was_used = True
        self._written_at = self._clock()  # before it is written: that may pause at once
        self._parser = httptools.HttpResponseParser(self)
        if len(body) < HIGH_WATER:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    async def upload(self, head: bytes, pieces: AsyncGenerator[bytes, None]) -> None:
        """Sends a request whose body comes in pieces, and returns when status and headers of the answer are there.

        They may be there before the last piece is. Then no more are sent, and no other request can follow.

        Raises:
            BrokeOff, TimedOut: as `head` does.
            Exception: whatever the pieces raise.
        """
        self.send(head, b"")
        self._is_sending = True
        sending = self._loop.create_task(self._send_pieces(pieces))
        answered = self._loop.create_task(self.head())
        try:
            await asyncio.wait([sending, answered], return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                sending.result()
            await answered
        finally:
            sending.cancel()
            answered.cancel()
            await asyncio.gather(sending, answered, return_exceptions=True)

    async def _send_pieces(self, pieces: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(pieces):
            async for piece in pieces:
                if self.transport is None:
                    return  # `head` says why
                self.transport.write(piece)
                if self._written_at == math.inf:
                    self._resumed = self._loop.create_future()
                    await self._resumed
        self._is_sending = False

    async def head(self) -> None:
        """Returns when status and headers are there.

        Raises:
            BrokeOff: they will not come.
            TimedOut: neither will they, and nobody knows whether the request has arrived.
        """
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body since the last call; `b""` at its end.

        Raises:
            BrokeOff: the rest will not come.
        """
        while not self._chunks:
            if self._is_done:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()
        return data

    def let_go(self, release: Callable[[], None]) -> None:
        """Nobody reads the reply any more. `release` is called when its end is there, or does not come soon.

        Who knows from the content that it is over has not read the end of the body, which mostly is a packet of its
        own, right behind. Without this, each stream would cost its connection. Whatever else comes ends the waiting.
        """
        if not (self._is_done or self._is_spent or self._chunks) and b"transfer-encoding" in self._raw:
            timer = self._loop.call_later(LINGER_S, self._wake)
            waiter = self._waiter = self._loop.create_future()

            def done(_: object) -> None:
                timer.cancel()
                self._waiter = None
                release()

            waiter.add_done_callback(done)
        else:
            release()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self._is_spent = True  # whoever gives up must not wait for the end, either
            raise
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # Told of each byte that the kernel does not take. Not 0: TLS in asyncio would pause with nothing to write.
        self.transport.set_write_buffer_limits(high=1, low=0)

    def pause_writing(self) -> None:
        self._written_at = math.inf

    def resume_writing(self) -> None:
        self._written_at = self._clock()
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.has_received = True
        if self._is_done:
            # Nothing was asked, so this would be taken for the answer to the next request.
            self._is_spent = True
            self.close()
            return
        pieces = len(self._chunks)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(BrokeOff(_reason(error)))
            return
        if len(self._chunks) != pieces:
            self._on_more(len(data))
            return
        self._bare_bytes += len(data)
        if self._bare_bytes > MAX_BARE_BYTES:
            where = "between or behind the pieces of" if self.status else "in front of"
            self._fail(BrokeOff(f"the provider's answer has more than 64 KiB {where} its body"))

    def _on_more(self, size: int) -> None:
        self._bare_bytes = 0
        self._size += size
        if self._size > HIGH_WATER and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if not self._is_done and self._error is None:
            if exc is None and self.status and self._ends_with_connection():
                self._is_done = True
            elif self.has_received:
                self._fail(BrokeOff(CUT_SHORT))
            elif isinstance(exc, OSError) and exc.errno in WAYS_LOST:
                self._fail(TimedOut(LOST))
            else:
                self._fail(BrokeOff(NO_ANSWER))
        if not self.closed.done():
            self.closed.set_result(None)
        # It holds us: such a ring keeps what was read of a reply until the collector comes.
        self.__dict__.pop("_parser", None)
        self._wake()

    def _ends_with_connection(self) -> bool:
        return b"content-length" not in self._raw and b"transfer-encoding" not in self._raw

    def _fail(self, error: UpstreamError) -> None:
        self._is_spent = True
        if not self._is_done:
            self._error = error
            self.close()
            self._wake()

    # What the parser says.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer
        self._header_lines += 1
        self._header_bytes += len(name) + len(value)
        if self._header_lines > MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            raise ValueError(TOO_LONG)
        name = name.lower()
        if name == b"content-encoding" and name in self._raw:  # a list, of which each line has a part
            value = b"%b, %b" % (self._raw[name], value)
        self._raw[name] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if not 200 <= status < 600:
            self._on_interim(status)
            return
        if self._raw.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
            raise ValueError("the provider's answer has a transfer encoding that was not asked for")
        self.status = status
        self._wake()

    def _on_interim(self, status: int) -> None:
        """More is to come. Source: RFC 9110, section 15.2."""
        if status == 101:
            raise ValueError("the provider answered with status 101: it wants to speak another protocol")
        if not 100 <= status < 200:
            raise ValueError(f"the provider answered with status {status:03}, which HTTP does not have")
        if status > 103 and not self._ends_with_connection():  # of the others the parser knows that they have none
            raise ValueError(f"the provider answered with status {status} and a body, which that status cannot have")
        self._header_lines += 1
        if self._header_lines > MAX_HEADERS:
            raise ValueError(TOO_LONG)
        self._raw = {}

    def on_message_begin(self) -> None:
        if self._is_done:
            raise ValueError("a second answer behind the first")

    def on_message_complete(self) -> None:
        if self.status:
            self._is_done = True
            self._is_spent = self._is_spent or not self._parser.should_keep_alive()
            self._wake()


def _reason(error: httptools.HttpParserError) -> str:
    """What is wrong with an answer. The parser's own words, too, hold nothing of what the provider sent."""
    cause = error.__context__
    if isinstance(cause, ValueError):  # raised by us, in one of the parser's callbacks
        return str(cause)
    said = str(error)
    return NOT_HTTP if said.startswith("Expected HTTP/") else f"{NOT_HTTP} as it should be: {said}"

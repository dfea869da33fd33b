"""The client's end of a reply; or somebody in its place, for answers that are changed before they are sent."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter

import msgspec

from gateway.contract import Dialect
from gateway.contract.call import TellsFailure
from gateway.errors import BrokeOff, ClientLeft, GatewayError
from gateway.proxy.asgi import Headers, Message, Send
from gateway.proxy.exchange import Exchange
from gateway.wire import sse
from gateway.wire.headers import HEADER

LAST_WORD_S = 5.0
"""How long a client that does not read may hold up the error event it is owed."""


class ResponseWriter:
    """Sends one reply: a head, bytes, an end. While the provider is silent, comments; if it breaks off, an error event.

    `chunks`, `is_writing`, `is_ended` and `last` are there to be looked at: how far the reply is, whether it waits for
    the client, whether its end is on the way, and the bytes that went out last.
    """

    def __init__(self, send: Send, exchange: Exchange) -> None:
        self._send = send
        self._exchange = exchange
        self._comment: asyncio.Task[None] | None = None
        self.is_stream = False
        self.is_writing = False
        self.is_ended = False
        self.chunks = 0
        self.last = b"\n\n"

    @property
    def has_content(self) -> bool:
        """Whether anything of an answer has gone out; comments are nothing of it."""
        return self.chunks > 0 or self.is_ended or (self._exchange.answered_at is not None and not self.is_stream)

    @property
    def is_between_events(self) -> bool:
        return sse.ends_event(self.last)

    async def whole(self, status: int, content_type: str, body: bytes) -> None:
        if self._comment is not None:
            self._comment.cancel()
        self._exchange.answered_at = perf_counter()
        self.is_writing = self.is_ended = True
        headers = [
            (b"content-type", content_type.encode(*HEADER)),
            (b"content-length", b"%d" % len(body)),
            (b"server-timing", self._timing()),
            *self._about(),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def start(self, status: int, headers: Headers) -> None:
        self._exchange.answered_at = perf_counter()
        self.is_writing = True
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self._about()]})
        self.is_writing = False

    async def start_stream(self, content_type: str) -> None:
        """Does nothing when the head is out already, because a comment had to go before it."""
        if self._comment is not None:
            await self._comment
        if not self.is_stream:
            await self._open_stream(content_type)

    async def _open_stream(self, content_type: str) -> None:
        self.is_stream = True
        headers = [
            (b"content-type", content_type.encode(*HEADER)),
            (b"cache-control", b"no-cache, no-transform"),
            (b"x-accel-buffering", b"no"),  # nginx and others: pass it on at once
        ]
        await self.start(200, headers)

    def write(self, data: bytes) -> Awaitable[None]:
        """Sends on. Whoever calls this says with `is_writing = False` that it is done: an `async` function that does it
        would cost each event one more step."""
        self.is_writing = True
        self.chunks += 1
        self.last = data
        message = {"type": "http.response.body", "body": data, "more_body": True}
        return self._send(message) if self._comment is None else self._send_after(self._comment, message)

    async def _send_after(self, comment: "asyncio.Task[None]", message: Message) -> None:
        await comment
        await self._send(message)

    async def finish(self, data: bytes = b"") -> None:
        """Sends the last of it. The answer is complete then, whatever the client does next."""
        self.is_ended = self.is_writing = True
        if data:
            self.chunks += 1
        if self._comment is not None:
            await self._comment
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    def keep_alive(self) -> None:
        """Tells the client that its stream lives, unless it waits in the middle of an event."""
        if self._comment is None and self.is_between_events:
            self._comment = asyncio.create_task(self._send_comment())

    async def _send_comment(self) -> None:
        try:
            if not self.is_stream:
                await self._open_stream("text/event-stream; charset=utf-8")
            comment = getattr(self._exchange.dialect, "keep_alive", sse.KEEP_ALIVE)
            await self._send({"type": "http.response.body", "body": comment, "more_body": True})
        except OSError:
            self._exchange.interrupt(ClientLeft("the client closed the connection"))
        finally:
            self._comment = None

    async def fail(self, error: GatewayError, dialect: Dialect) -> None:
        """Once a stream has begun, an error is its last event: no proper end follows, and no replay.

        Raises:
            GatewayError: `error`, when it can still be a status, or cannot be told at all.
        """
        if not self.is_stream or self.is_ended or isinstance(error, ClientLeft):
            raise error
        self._exchange.error = error
        error.request_id = self._exchange.id or None
        # Its frames hold the exchange, which holds it: see `ErrorsMiddleware`. A body would stay with them.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        last = b"" if isinstance(error, BrokeOff) and self._has_told_error() else self._last_word(error, dialect)
        if last and not self.is_between_events:
            last = b"\n\n" + last
        try:
            async with asyncio.timeout(LAST_WORD_S):
                if self._comment is not None:
                    await self._comment
                await self._send({"type": "http.response.body", "body": last, "more_body": False})
        except (TimeoutError, OSError) as unheard:
            raise error from unheard

    def close(self) -> None:
        if self._comment is not None:
            self._comment.cancel()

    def _has_told_error(self) -> bool:
        """The provider's own event says it, and has been passed on as it came."""
        attempt = self._exchange.attempt
        reading = attempt.reading if attempt is not None else None
        return reading is not None and reading.told_error() is not None

    def _last_word(self, error: GatewayError, dialect: Dialect) -> bytes:
        attempt = self._exchange.attempt
        reading = attempt.reading if attempt is not None and self.chunks else None
        said = reading.failure(error) if isinstance(reading, TellsFailure) else b""
        return said or dialect.stream_error(error)

    def _timing(self) -> bytes:
        """Milliseconds until the model that answered was asked, and of that model. Source: W3C Server Timing."""
        exchange = self._exchange
        sent = exchange.attempt.sent_at if exchange.attempt is not None else None
        last = exchange.answered_at
        if sent is None or last is None:
            return b"gateway"
        return b"gateway;dur=%.3f, model;dur=%.3f" % ((sent - exchange.started) * 1e3, (last - sent) * 1e3)

    def _about(self) -> Headers:
        """What the gateway itself has to say about the reply."""
        headers = []
        exchange = self._exchange
        attempt, applied = exchange.attempt, exchange.applied
        is_open = self._comment is not None and applied is not None  # a comment goes first: another may yet answer
        if attempt is not None and not is_open:
            headers.append((b"x-tfy-resolved-model", attempt.target.name.encode()))
            if applied is not None:
                applied = {"resolved_model": attempt.target.name, **applied}
        if applied is not None:
            headers.append((b"x-tfy-applied-rules", msgspec.json.encode(applied)))
        if attempt is not None and attempt.dropped_params and not is_open:
            headers.append((b"x-gateway-dropped-params", ",".join(attempt.dropped_params).encode()))
        return headers


class HeldAnswer(ResponseWriter):
    """Keeps a whole answer instead of sending it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(_nowhere, exchange)
        self.status = 0
        self.content_type = ""
        self.body = b""

    async def whole(self, status: int, content_type: str, body: bytes) -> None:
        self.status, self.content_type, self.body = status, content_type, body

    async def start(self, status: int, headers: Headers) -> None:
        raise BrokeOff("the provider did not answer with an object")


async def _nowhere(_: object) -> None:
    """Nothing is sent."""

"""What is said on a WebSocket: the part of Hypercorn that is used."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import _handle
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.events import Body, Data, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from hypercorn.typing import AppWrapper, ConnectionState
from wsproto.events import Message

from gateway.servers.hypercorn import Unfinished, WebSocket
from gateway.servers.service import Handshake
from gateway.servers.turn import head_of

MAX_READ_BYTES = 16_384
"""Thousands of frames fit into it, each of which takes 5 microseconds; packed, a thousand times its size."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
ALWAYS_BYTES = 256 * 1024
"""Of each message. So who fills all the rest keeps nobody from speaking."""
MAX_QUEUED = 2
MAX_QUEUED_BYTES = 32 * 1024
"""Of a message that may wait for the app while the next one is read."""
STREAM_ID = 1
"""There is one stream on a connection; HTTP/2 has more."""


class Conversation:
    """Of the client of one WebSocket and the app."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._service = websocket.service
        self._reader = websocket.reader
        self._writer = websocket.writer
        self._message = UnfinishedMessage(websocket.unfinished)
        self._has_ended = False

    async def hold(self, handshake: Handshake) -> None:
        """Returns when all is said."""
        transport = self._websocket.transport
        client, server = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        app = ASGIWrapper(cast("Any", self._service.app))
        try:
            async with Tasks() as tasks:
                self._stream = WebSocketStream(
                    *(app, _config(), WorkerContext(None), tasks, False),
                    *(client and client[:2], server and server[:2], self._send, STREAM_ID),
                )
                self._stream.buffer = self._message
                request = Request(
                    stream_id=STREAM_ID,
                    headers=handshake.headers,
                    http_version="1.1",
                    method="GET",
                    raw_path=handshake.target,
                    state=ConnectionState(self._service.state),
                )
                await self._stream.handle(request)
                await self._read()
        finally:
            del self._stream  # holds us
            self._message.clear()

    async def _read(self) -> None:
        with suppress(OSError):  # the client has gone
            while data := await self._reader.read(MAX_READ_BYTES):
                if not self._has_ended:
                    await self._stream.handle(Data(stream_id=STREAM_ID, data=data))
                await asyncio.sleep(0)  # more may be there already, and then nobody else would have a turn
        await self._stream.handle(StreamClosed(stream_id=STREAM_ID))

    async def _send(self, event: Event) -> None:
        if isinstance(event, Response):
            await self._write(_head(event))
        elif isinstance(event, Body | Data):
            await self._write(event.data)
        elif isinstance(event, StreamClosed):
            await self._stream.handle(event)
            self._end()

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError):
            await self._stream.handle(StreamClosed(stream_id=STREAM_ID))

    def _end(self) -> None:
        """Closing while the client still sends would reset the connection, and our last word would be lost with it."""
        if not self._has_ended:
            self._has_ended = True
            with suppress(OSError, RuntimeError):
                self._writer.write_eof()
            self._service.loop.call_later(self._service.limits.linger_s, self._writer.close)


class UnfinishedMessage(WebsocketBuffer):
    """Hypercorn's own would go on growing after it has been refused, as long as the client sends.

    One that has come to its end counts until it is cleared: see `Inbox.put`.
    """

    def __init__(self, others: Unfinished, max_length: int = MAX_MESSAGE_BYTES) -> None:
        super().__init__(max_length)
        self._others = others
        self._counted = 0
        self._is_refused = False

    def extend(self, event: Message[str] | Message[bytes | bytearray]) -> None:
        """Raises FrameTooLargeError: it, or all of them together, would be."""
        length = self.length + len(event.data)
        more = max(0, length - ALWAYS_BYTES) - self._counted
        has_room = not more or self._others.size + more <= self._others.max_bytes
        if self._is_refused or length > self.max_length or not has_room:
            self.clear()
            self._is_refused = True
            raise FrameTooLargeError
        self._counted += more
        self._others.size += more
        super().extend(event)

    def to_message(self) -> dict[str, Any]:
        message = super().to_message()
        self.value = None  # it would be there twice
        return message

    def clear(self) -> None:
        super().clear()
        self._others.size -= self._counted
        self._counted = 0


class Inbox:
    """What a client has said, until the app has dealt with it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(MAX_QUEUED)
        self._is_idle = asyncio.Event()
        """The app has come back for more, and nothing was there."""

    async def put(self, message: Any) -> None:
        """Of a large one, returns when the app has dealt with it: until then it counts, and nothing more is read."""
        if message["type"] == "websocket.disconnect":
            while not self._queue.empty():
                self._queue.get_nowait()
            self._is_idle.set()
            await self._queue.put(message)
            return
        is_large = len(message.get("text") or message.get("bytes") or b"") > MAX_QUEUED_BYTES
        if is_large:
            self._is_idle.clear()
        await self._queue.put(message)
        if is_large:
            await self._is_idle.wait()

    async def get(self) -> Any:
        if self._queue.empty():
            self._is_idle.set()
        return await self._queue.get()


class WebSocketStream(WSStream):
    """Hypercorn's own, where it refuses by itself, would leave the connection open."""

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))


class Tasks(asyncio.TaskGroup):
    """What runs for one WebSocket. With Hypercorn's own, an app that does not read what has come could not end."""

    def spawn(self, func: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self.create_task(func(*args))

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        inbox = Inbox()
        self.spawn(_handle, app, config, scope, inbox.get, send, None, None)  # the last two are for WSGI
        return inbox.put


def _head(event: Response) -> bytes:
    """Accepts, or refuses: such an answer is the last one, whatever else it says, and ends with its connection."""
    if event.status_code == 101:
        return head_of(101, [b"%b: %b" % header for header in event.headers])
    lines = [b"%b: %b" % header for header in event.headers if header[0].lower() not in NOT_IN_REFUSALS]
    return head_of(event.status_code, [*lines, b"connection: close"])


NOT_IN_REFUSALS = frozenset((b"connection", b"transfer-encoding"))


@cache
def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    return config

"""Hypercorn's HTTP/1.1, on connections of our own.

Hypercorn's accept loop and its `TCPServer` are replaced for four reasons: one timer there serves both idle connections
and slow headers; stopping hangs from Python 3.12 on while a connection is open (pgjones/hypercorn#308); a request that
is refused before its body was read can block for good, or be answered with a reset; and HTTP/2 cannot be turned off.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from functools import lru_cache
from socket import socket
from time import time
from typing import Any, cast

import h11
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import _handle
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Request, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.typing import AppWrapper, ASGISendEvent, ConnectionState

from gateway.asgi import ASGIApp
from gateway.servers import Limits

MAX_READ_BYTES = 65_536
FRAMING = frozenset((b"connection", b"content-length", b"transfer-encoding"))
"""The headers that h11 has to know, as they say where an answer ends and what comes after it."""


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[None]:
    context = WorkerContext(None)
    config = _config(limits)
    wrapped = ASGIWrapper(cast("Any", app))
    connections: dict[asyncio.Task[None], Connection] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(connections) >= limits.max_connections:
            writer.close()
            return
        connection = Connection(reader, writer, limits)
        task = asyncio.create_task(connection.serve(wrapped, config, context, state))
        connections[task] = connection
        task.add_done_callback(connections.pop)

    server = await asyncio.start_server(accept, sock=sock, backlog=limits.backlog)
    try:
        yield
    finally:
        server.close()
        await context.terminated.set()  # who is being answered is closed after that
        for connection in connections.values():
            connection.close_if_idle()
        if connections:
            _, late = await asyncio.wait(connections, timeout=limits.end_s)
            for task in late:
                connections[task].abort()
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class Connection:
    """One client, from its first byte to its last."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self.reader = reader
        self.writer = writer
        self.limits = limits
        self._is_idle = True
        self._in_head = False
        self._has_ended = False
        self._head = b""
        self._reading: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(limits.keep_alive_s, self._close)

    async def serve(self, app: ASGIWrapper, config: Config, context: WorkerContext, state: dict[str, Any]) -> None:
        client = self.writer.get_extra_info("peername")
        server = self.writer.get_extra_info("sockname")
        try:
            async with Tasks() as tasks:
                self._protocol = Http1(
                    app,
                    config,
                    context,
                    tasks,
                    ConnectionState(state),
                    ssl=False,
                    client=client and client[:2],
                    server=server and server[:2],
                    send=self._send,
                )
                self._reading = tasks.create_task(self._read())
        finally:
            self._timer.cancel()
            self._reading = None
            del self._protocol  # both hold us, and such a ring would keep the last request and its body
            await self._flush()

    def close_if_idle(self) -> None:
        if self._is_idle:
            self._close()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def _read(self) -> None:
        try:
            while data := await self.reader.read(MAX_READ_BYTES):
                if self._has_ended:
                    continue
                await self._protocol.handle(RawData(data))
                if self._is_idle and not self._in_head and self._protocol.is_in_head():
                    self._in_head = True
                    self._close_in(self.limits.head_s)
        except OSError:
            pass  # the client has gone
        finally:
            await self._protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            if event.data.startswith(b"HTTP/"):
                self._hold_head(event.data)
                return
            try:
                self.writer.write(self._take_head() + event.data)
                await self.writer.drain()
            except (OSError, RuntimeError):
                await self._protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._is_idle, self._in_head = event.idle, False
            if event.idle:
                self._close_in(self.limits.keep_alive_s)
            else:
                self._timer.cancel()
        elif isinstance(event, Closed):
            self._end()

    def _hold_head(self, head: bytes) -> None:
        """The head of an answer goes out with what follows it at once: one system call less for each request."""
        self._head = head
        self._loop.call_soon(self._send_head)

    def _send_head(self) -> None:
        if self._head and not self.writer.is_closing():
            self.writer.write(self._take_head())

    def _take_head(self) -> bytes:
        head, self._head = self._head, b""
        return head

    def _end(self) -> None:
        """Closing while the client still sends would reset the connection, and our answer would be lost with it."""
        self._send_head()
        self._has_ended = True
        if self._protocol.is_in_request() and not self.writer.is_closing():
            with suppress(OSError, RuntimeError):
                self.writer.write_eof()
            self._close_in(self.limits.linger_s)
        else:
            self._close()

    def _close_in(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._close)

    def _close(self) -> None:
        self.writer.close()
        if self._reading:
            self._reading.cancel()

    async def _flush(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(self.limits.flush_s):
                await self.writer.wait_closed()
        except OSError:
            pass  # gone already, or TimeoutError
        finally:
            self.abort()


class Http1(H11Protocol):
    """Hypercorn's HTTP/1.1, without its ways into HTTP/2.

    Of the head of an answer h11 only sees what it has to know. With the two regular expressions that it takes to each
    header, heads would be a sixth of what a short answer costs in all.
    """

    async def stream_send(self, event: StreamEvent) -> None:
        if not isinstance(event, Response):
            await super().stream_send(event)
            return
        framing = []
        lines = [b"date: " + _date(int(time()))]
        for header in event.headers:
            if header[0].lower() in FRAMING:
                framing.append(header)
            else:
                lines.append(b"%s: %s" % header)
        if self.keep_alive_requests >= self.config.keep_alive_max_requests:
            framing.append((b"connection", b"close"))
        text = b"\r\n".join(lines)
        if not text.count(b"\r") == text.count(b"\n") == len(lines) - 1:
            raise h11.LocalProtocolError("a header of the answer has a line break in it")
        try:
            head = self.connection.send(h11.Response(headers=framing, status_code=event.status_code))
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
        else:
            await self.send(RawData(head[:-2] + text + b"\r\n\r\n"))

    async def _create_stream(self, request: h11.Request) -> None:
        if any(name == b"upgrade" for name, _ in request.headers):
            await super()._create_stream(request)
            return
        about = (self.ssl, self.client, self.server, self.stream_send, STREAM_ID)
        self.stream = Http1Stream(self.app, self.config, self.context, self.task_group, *about)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _check_protocol(self, event: h11.Request) -> None:
        pass

    def is_in_head(self) -> bool:
        """True when a request has begun and its headers have not ended."""
        return self.connection.their_state is h11.IDLE and bool(self.connection.trailing_data[0])

    def is_in_request(self) -> bool:
        """True when the client may still be sending a request that was answered already."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR)


class Http1Stream(HTTPStream):
    """One request. Hypercorn's own would look at each header of the answer, too."""

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if message is None or message["type"] != "http.response.start" or self.state is not ASGIHTTPState.REQUEST:
            await super().app_send(message)
            return
        self.response = message
        headers = list(message.get("headers", ()))
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=message["status"]))
        self.state = ASGIHTTPState.RESPONSE


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


class Tasks(asyncio.TaskGroup):
    """What runs for one connection. With Hypercorn's own, an app that does not read its body could not end."""

    def spawn(self, func: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self.create_task(func(*args))

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        inbox: asyncio.Queue[Any] = asyncio.Queue(config.max_app_queue_size)

        async def put(message: Any) -> None:
            if message["type"] == "http.disconnect":
                while not inbox.empty():
                    inbox.get_nowait()
            await inbox.put(message)

        self.spawn(_handle, app, config, scope, inbox.get, send, None, None)  # the last two are for WSGI
        return put


def _config(limits: Limits) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.h11_max_incomplete_size = limits.max_head_bytes
    config.include_server_header = False
    config.keep_alive_max_requests = limits.keep_alive_requests
    return config

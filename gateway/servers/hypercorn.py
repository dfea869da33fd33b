"""Hypercorn's HTTP/1.1, on connections of our own.

Hypercorn's accept loop and its `TCPServer` are replaced for four reasons: one timer there serves both idle connections
and slow headers; stopping hangs from Python 3.12 on while a connection is open (pgjones/hypercorn#308); a request that
is refused before its body was read can block for good, or be answered with a reset; and nobody sees a client leave that
has sent anything behind its request. What is replaced of its reading is in `gateway.servers.http1`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from socket import socket
from typing import Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import _handle
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.typing import AppWrapper, ConnectionState

from gateway.proxy.asgi import ASGIApp
from gateway.servers import Limits
from gateway.servers.http1 import Head, Http1

MAX_READ_BYTES = 65_536


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
        self._early: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(limits.keep_alive_s, self._close)

    async def serve(self, app: ASGIWrapper, config: Config, context: WorkerContext, state: dict[str, Any]) -> None:
        client = self.writer.get_extra_info("peername")
        server = self.writer.get_extra_info("sockname")
        try:
            async with Tasks() as self._tasks:
                self._protocol = Http1(
                    app,
                    config,
                    context,
                    self._tasks,
                    ConnectionState(state),
                    ssl=False,
                    client=client and client[:2],
                    server=server and server[:2],
                    send=self._send,
                )
                self._reading = self._tasks.create_task(self._read())
        finally:
            self._timer.cancel()
            self._reading = self._early = None
            del self._protocol, self._tasks  # they hold us, and such a ring would keep the last request and its body
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
                if self._early is not None:
                    await self._early
                    self._early = None
                await self._protocol.handle(RawData(data))
                if self._is_idle and not self._in_head and self._protocol.is_in_head():
                    self._in_head = True
                    self._close_in(self.limits.head_s)
                if len(data) == MAX_READ_BYTES:
                    await asyncio.sleep(0)  # there is more, which would be read before others have their turn
        except OSError:
            pass  # the client has gone
        finally:
            await self._protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        if isinstance(event, Head):
            self._hold_head(event.data)
        elif isinstance(event, RawData):
            try:
                self.writer.write(self._take_head() + event.data)
                await self.writer.drain()
            except (OSError, RuntimeError):
                await self._protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._is_idle = event.idle
            self._in_head = event.idle and self._protocol.is_in_head()
            if not event.idle:
                self._timer.cancel()
            elif not self._in_head:
                self._close_in(self.limits.keep_alive_s)
            elif not self.writer.is_closing():
                self._close_in(self.limits.head_s)
                self._early = self._tasks.create_task(self._protocol.read_on())
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


class Tasks(asyncio.TaskGroup):
    """What runs for one connection. With Hypercorn's own, an app that does not read its body could not end."""

    def spawn(self, func: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self.create_task(func(*args))

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        inbox: asyncio.Queue[Any] = asyncio.Queue(config.max_app_queue_size)

        async def put(message: Any) -> None:
            if message["type"] in ("http.disconnect", "websocket.disconnect"):
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

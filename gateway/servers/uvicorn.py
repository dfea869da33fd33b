"""uvicorn with httptools: the fastest of the three.

Not kept: the number of requests per connection, and reading on after a body was refused; it has neither.
"""

import asyncio
import logging
from asyncio import TimerHandle, Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.asgi import ASGIApp
from gateway.servers import Limits

HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=_protocol(limits),
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=limits.backlog,
        timeout_keep_alive=ceil(limits.keep_alive_s),
        timeout_graceful_shutdown=ceil(limits.end_s) + 1,
    )
    config.load()
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    # Not `Server.serve`, which takes the signals.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.lifespan.state = state
    await server.startup([sock])
    clock = asyncio.create_task(server.main_loop())  # writes the Date header
    try:
        yield
    finally:
        clock.cancel()
        late = asyncio.get_running_loop().call_later(limits.end_s, _abort, server)
        await server.shutdown([sock])
        late.cancel()


def _is_news(record: logging.LogRecord) -> bool:
    """An answer that is cut short is cut on purpose, and its request's record says why."""
    return "without completing response" not in record.msg


def _abort(server: uvicorn.Server) -> None:
    for connection in list(server.server_state.connections):
        connection.transport.abort()


class HeadHolder:
    """Stands before the transport until the head of the answer is out.

    It goes out with what follows it at once: one system call less for each request.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.cycle = cycle
        self.transport = cycle.transport
        self.head = b""

    def write(self, data: bytes) -> None:
        if self.head:
            self.cycle.transport = self.transport
            self.transport.write(self.head + data)
            self.head = b""
        else:
            self.head = data
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        if self.head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def is_closing(self) -> bool:
        return self.transport.is_closing()


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    class Connection(HttpToolsProtocol):
        """With limits: uvicorn takes headers of any size, and waits for ever for them and for the first request."""

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.latest: RequestResponseCycle | None = None
            self.head_bytes = 0
            self.head_timer: TimerHandle | None = None
            self.wait_for_head(limits.keep_alive_s)
            if len(self.connections) > limits.max_connections:
                transport.close()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            cycle: RequestResponseCycle | None = self.cycle
            if cycle is not self.latest and cycle is not None:  # a head is complete; the app has not begun yet
                self.latest = cycle
                cycle.transport = HeadHolder(cycle)  # type: ignore[assignment]
                self.head_bytes = 0
                if self.head_timer is not None:
                    self.head_timer.cancel()
                    self.head_timer = None
            elif cycle is None or cycle.scope is not self.scope:
                self.more_head(len(data))

        def more_head(self, size: int) -> None:
            if self.head_bytes == 0:
                self.wait_for_head(limits.head_s)
            self.head_bytes += size
            if self.head_bytes > limits.max_head_bytes and not self.transport.is_closing():
                self.transport.write(HEAD_TOO_LARGE)
                self.transport.close()

        def wait_for_head(self, seconds: float) -> None:
            if self.head_timer is not None:
                self.head_timer.cancel()
            self.head_timer = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.head_timer is not None:
                self.head_timer.cancel()
            super().connection_lost(exc)
            if self.cycle is not None:
                self.cycle.transport = self.transport  # not the holder of its head, which holds the cycle

    return Connection

"""uvicorn with httptools: the fastest of the three.

Not kept: the number of requests per connection, and reading on after a body was refused; it has neither.
"""

import asyncio
from asyncio import Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.asgi import ASGIApp
from gateway.servers import Limits

HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=_protocol(limits),
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=limits.backlog,
        limit_concurrency=limits.max_connections,
        timeout_keep_alive=ceil(limits.keep_alive_s),
        timeout_graceful_shutdown=ceil(limits.end_s) + 1,
    )
    config.load()
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


def _abort(server: uvicorn.Server) -> None:
    for connection in list(server.server_state.connections):
        connection.transport.abort()


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    class Connection(HttpToolsProtocol):
        """With an end to headers, and to waiting for the first request; uvicorn takes any size and waits for ever."""

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.head_bytes: int | None = None
            self.head_timer = self.loop.call_later(limits.keep_alive_s, self.timeout_keep_alive_handler)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.head_bytes = 0
            self.head_timer.cancel()
            self.head_timer = self.loop.call_later(limits.head_s, self.timeout_keep_alive_handler)

        def on_headers_complete(self) -> None:
            self.head_bytes = None
            self.head_timer.cancel()
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.head_bytes is not None:
                self.head_bytes += len(data)
                if self.head_bytes > limits.max_head_bytes and not self.transport.is_closing():
                    self.transport.write(HEAD_TOO_LARGE)
                    self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self.head_timer.cancel()
            super().connection_lost(exc)

    return Connection

"""uvicorn with httptools: the fastest of the three.

Not kept: the number of requests per connection, and reading on after a body was refused; it has neither. WebSockets are
read by wsproto, which is there for Hypercorn.
"""

import asyncio
import logging
from asyncio import TimerHandle, Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from math import ceil
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Request

from gateway.proxy.asgi import ASGIApp
from gateway.servers import MAX_EARLY_BYTES, MAX_TRAILER_BYTES, Limits
from gateway.servers.target import is_handshake, is_served, read_target, with_host

MAX_READ_BYTES = 65_536
MAX_EARLY_REQUESTS = 100
"""Behind the one that is being answered. All that one packet brings are taken at once, be they of 27 bytes."""

HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=_protocol(limits),
        interface="asgi3",
        ws="wsproto",
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


class WebSocket(WSProtocol):
    """One WebSocket, with its headers as they came: wsproto takes some out, and fails at a host that is no name."""

    def __init__(self, headers: list[tuple[bytes, bytes]], **options: Any) -> None:
        super().__init__(**options)
        self.headers = headers

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        self.scope["headers"] = self.headers  # the app begins a turn of the loop later


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    class Connection(HttpToolsProtocol):
        """With limits: uvicorn takes heads and trailers of any size, and waits for ever for them and the first request.

        And with an eye on who leaves: it stops reading once there is a request behind the one that is being answered,
        and tells only the last of them. Those behind are in `self.pipeline`; `self.cycle` is the last whose head came.
        """

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.running: RequestResponseCycle | None = None
            self.is_broken = False
            self.early_bytes = 0
            self.head_bytes = 0
            self.trailer_bytes = 0
            self.head_timer: TimerHandle | None = None
            self.wait_for_head(limits.keep_alive_s)
            if len(self.connections) > limits.max_connections:
                transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_waiting()
            super().connection_lost(exc)
            if (running := self.running) is not None:
                running.transport = self.transport  # not the holder of its head, which holds it
                running.disconnected = not running.response_complete
                running.message_event.set()

        def data_received(self, data: bytes) -> None:
            if not self.is_early():
                self.early_bytes = 0
            elif (early_bytes := self.early_bytes + len(data)) > MAX_EARLY_BYTES:
                self.transport.abort()  # to close it would wait for who does not read
                return
            else:
                self.early_bytes = early_bytes
            if self.is_broken:
                return
            cycle: RequestResponseCycle | None = self.cycle
            had_bytes = len(cycle.body) if cycle is not None else 0
            super().data_received(data)
            if self.pipeline:
                self.flow.resume_reading()
            if self.is_in_body():
                is_dry = cycle is self.cycle and cycle is not None and len(cycle.body) == had_bytes
                self.more_body(len(data), is_dry=is_dry)
            elif not self.is_answering() and self.transport.get_protocol() is self:
                self.more_head(len(data))

        def is_answering(self) -> bool:
            return self.running is not None and not self.running.response_complete

        def is_early(self) -> bool:
            """True when what comes is no part of the request that is being answered."""
            running = self.running
            if running is None or running.response_complete:
                return False
            return bool(self.pipeline) or not self.is_in_body()

        def is_in_body(self) -> bool:
            """True from the end of a head to that of its body, or to the next head if nobody reads the body."""
            cycle: RequestResponseCycle | None = self.cycle
            return cycle is not None and cycle.more_body and cycle.scope is self.scope

        def more_head(self, size: int) -> None:
            if self.head_bytes == 0:
                self.wait_for_head(limits.head_s)
            self.head_bytes += size
            if self.head_bytes > limits.max_head_bytes and not self.transport.is_closing():
                self.transport.write(HEAD_TOO_LARGE)
                self.transport.close()

        def more_body(self, size: int, *, is_dry: bool) -> None:
            """llhttp hands the headers of a trailer on when they are whole, and until then adds up their pieces.

            Args:
                is_dry: it brought nothing of a body, or of one that nobody reads any more.
            """
            self.trailer_bytes = self.trailer_bytes + size if is_dry else 0
            if self.trailer_bytes > MAX_TRAILER_BYTES:
                self.send_400_response("The trailer is too long.")
            elif not self.is_answering():
                if self.head_timer is None:
                    self.wait_for_head(limits.head_s)
            elif size >= MAX_READ_BYTES and not self.pipeline:
                self.flow.pause_reading()  # or all that has come would be read before others have their turn

        def wait_for_head(self, seconds: float) -> None:
            self.stop_waiting()
            self.head_timer = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def stop_waiting(self) -> None:
            if self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None

        def on_headers_complete(self) -> None:
            """Raises ValueError: the connection takes no more requests, but answers those before this one."""
            version = self.parser.get_http_version()
            if (version != "1.1" and not is_served(version, self.headers)) or len(self.pipeline) >= MAX_EARLY_REQUESTS:
                raise ValueError("not to be served")
            if not self.url.startswith(b"/") or b"#" in self.url:
                self.url, host = read_target(self.parser.get_method(), self.url)
                if host is not None:
                    self.headers[:] = with_host(self.headers, host, version)
            super().on_headers_complete()
            self.headers = []  # for a trailer, which would count among the headers
            self.head_bytes = self.trailer_bytes = 0
            self.stop_waiting()

        def _should_upgrade(self) -> bool:
            """Not behind a request that is being answered: the two answers would get mixed up."""
            method, version = self.scope["method"].encode(), self.scope["http_version"]
            return is_handshake(method, version, list(self.scope["headers"])) and not self.is_answering()

        def handle_websocket_upgrade(self) -> None:
            headers = list(self.scope["headers"])
            self.ws_protocol_class = partial(WebSocket, headers)  # type: ignore[assignment]
            self.scope["headers"] = [(b"host", b"-"), *(header for header in headers if header[0] != b"host")]
            super().handle_websocket_upgrade()

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            self.running = cycle
            cycle.transport = HeadHolder(cycle)  # type: ignore[assignment]
            super()._start_asgi_task(cycle, app)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle.scope is not self.scope and not self.is_answering():  # the next head has begun
                self.wait_for_head(limits.head_s)

        def send_400_response(self, msg: str) -> None:
            if self.is_early():
                self.is_broken = True
                if self.is_in_body():
                    self.pipeline.popleft()
                last = self.pipeline[0][0] if self.pipeline else self.running
                last.keep_alive = False  # type: ignore[union-attr]
            elif self.is_in_body() and self.running is not None and self.running.response_started:
                self.running.transport.close()
            else:
                super().send_400_response(msg)

    return Connection

"""uvicorn: its sockets, its end and its WebSockets, with HTTP/1.1 from `gateway.servers.http1`.

WebSockets are read by wsproto, which is there for Hypercorn.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Request

from gateway.proxy.asgi import ASGIApp
from gateway.servers import Limits, Retire
from gateway.servers.http1 import Http1
from gateway.servers.service import Handshake, Service


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[Retire]:
    config = uvicorn.Config(
        app,
        interface="asgi3",
        ws="wsproto",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=limits.backlog,
        timeout_graceful_shutdown=ceil(limits.end_s) + 1,
    )
    config.load()
    # Not `Server.serve`, which takes the signals.
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)

    def open_websocket(transport: asyncio.Transport, handshake: Handshake) -> None:
        websocket = WebSocket(handshake, config=config, server_state=server.server_state, app_state=state)
        websocket.connection_made(transport)
        websocket.data_received(websocket.head())
        transport.set_protocol(websocket)

    shared = server.server_state
    service = Service(app, state, limits, open_websocket, shared.connections, shared.tasks)
    config.http_protocol_class = lambda **_: Http1(service)  # type: ignore[assignment]
    await server.startup([sock])
    try:
        yield service.retire
    finally:
        late = service.loop.call_later(limits.end_s, _abort, server)
        await server.shutdown([sock])
        late.cancel()


def _abort(server: uvicorn.Server) -> None:
    for connection in list(server.server_state.connections):
        connection.transport.abort()


class WebSocket(WSProtocol):
    """One WebSocket, with its headers as they came: wsproto takes some out, and fails at a host that is no name."""

    def __init__(self, handshake: Handshake, **options: Any) -> None:
        super().__init__(**options)
        self.handshake = handshake

    def retire(self) -> None:
        """It is one that is under way."""

    def head(self) -> bytes:
        """For wsproto, which reads it once more."""
        headers = [(b"host", b"-"), *(header for header in self.handshake.headers if header[0] != b"host")]
        lines = [b"%b: %b" % header for header in headers]
        return b"\r\n".join((b"GET %b HTTP/1.1" % self.handshake.target, *lines, b"\r\n"))

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        self.scope["headers"] = self.handshake.headers  # the app begins a turn of the loop later

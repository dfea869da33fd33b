"""Hypercorn: its WebSockets, with HTTP/1.1 from `gateway.servers.http1`.

Its own HTTP/1.1 is h11, which costs a request more than all that the gateway does for it, on connections of which one
timer serves both idle ones and slow headers, and whose end hangs from Python 3.12 on while one is open
(pgjones/hypercorn#308). Its HTTP/2 would need TLS here, or a way round the paths that a proxy in front looks at.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from socket import socket
from typing import Any

from gateway.proxy.asgi import ASGIApp
from gateway.servers import Limits, Retire
from gateway.servers.http1 import Http1
from gateway.servers.service import Handshake, Service

MAX_UNFINISHED_BYTES = 256 * 1024 * 1024
"""Of all messages that have not come to their end, or have and were not dealt with yet; without the first of each."""
CONVERSATION = "gateway.servers.conversation"


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[Retire]:
    unfinished = Unfinished(MAX_UNFINISHED_BYTES)

    def open_websocket(transport: asyncio.Transport, handshake: Handshake) -> None:
        websocket = WebSocket(service, transport, unfinished)
        service.connections.add(websocket)
        task = service.loop.create_task(websocket.serve(handshake))
        service.tasks.add(task)
        task.add_done_callback(service.tasks.discard)

    service = Service(app, state, limits, open_websocket, set(), set())
    server = await service.loop.create_server(partial(Http1, service), sock=sock, backlog=limits.backlog)
    try:
        yield service.retire
    finally:
        server.close()
        await service.end()


class WebSocket:
    """The connection of one WebSocket, from its handshake to its last byte."""

    def __init__(self, service: Service, transport: asyncio.Transport, unfinished: "Unfinished") -> None:
        self.service = service
        self.transport = transport
        self.unfinished = unfinished
        self.reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self.reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self.writer = asyncio.StreamWriter(transport, protocol, self.reader, service.loop)

    def retire(self) -> None:
        """It is one that is under way."""

    def shutdown(self) -> None:
        """It has as long as others to end by itself."""

    async def serve(self, handshake: Handshake) -> None:
        try:
            # Only now: Hypercorn brings its HTTP/2 along, 3 MiB that nobody needs without a WebSocket. And in a thread,
            # as it takes a tenth of a second; always, as it may be under way for another WebSocket.
            conversation = await asyncio.to_thread(import_module, CONVERSATION)
            await conversation.Conversation(self).hold(handshake)
        finally:
            await self._flush()
            self.service.leave(self)

    async def _flush(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(self.service.limits.flush_s):
                await self.writer.wait_closed()
        except OSError:
            pass  # gone already, or TimeoutError
        finally:
            self.transport.abort()


class Unfinished:
    """How much there is of messages that have not come to their end, on all connections."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0

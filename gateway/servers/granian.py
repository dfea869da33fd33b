"""granian: sockets and HTTP in Rust, the app in our event loop.

Not kept: `head_s`, because hyper has one timer for slow headers and idle connections, and closing idle connections
before the load balancer does loses requests; the number of requests per connection; reading on after a body was
refused. It always names itself in the header `server`.

Nor can it be told from here: a client that has sent anything behind its request is not seen to leave, because hyper
looks for the end of a connection only while its buffer is empty; of a URL as request target only the path is told; bare
line feeds are taken for line ends; what asks for a WebSocket in a wrong way is refused by granian itself, or is one all
the same; and a WebSocket is accepted without the headers that the app adds.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import embed

from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.servers import Limits, Retire

LAST_WORDS_S = 0.1
"""What granian's own threads have for sending what the app has said last, the close frames of WebSockets among it."""

make_holder: Any = SocketHolder  # its stub has no arguments


class Server(embed.Server):
    """On a socket that listens already."""

    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sock = sock

    def _init_shared_socket(self) -> None:
        self._shd: Any = make_holder(self.sock.detach(), False, self.backlog)


@asynccontextmanager
async def serving(app: ASGIApp, sock: socket, state: dict[str, Any], limits: Limits) -> AsyncIterator[Retire]:
    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = state.copy()
        await app(scope, receive, send)

    server = Server(
        sock,
        with_state,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(limits.keep_alive_s * 1000), max_buffer_size=limits.max_head_bytes
        ),
        backlog=limits.backlog,
        backpressure=limits.max_connections,
        log_level=LogLevels.error,
        log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
    )
    task = asyncio.create_task(server.serve())
    try:
        yield lambda: None
    finally:
        await asyncio.sleep(LAST_WORDS_S)
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({task}, timeout=limits.end_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""What the connections of one server share, and how they come to an end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from operator import methodcaller
from typing import Any, NamedTuple

from gateway.proxy.asgi import ASGIApp
from gateway.proxy.deadlines import Deadlines
from gateway.servers import Limits


class Handshake(NamedTuple):
    """Asks for a WebSocket, and rightly."""

    target: bytes
    headers: list[tuple[bytes, bytes]]


class Service:
    """Connections have a `transport`, `retire` and `shutdown` for their end, and `close` if they have deadlines.

    Args:
        open_websocket: takes over a transport.
        connections: those that are open, and `tasks` what runs for them; uvicorn has its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        state: dict[str, Any],
        limits: Limits,
        open_websocket: Callable[[asyncio.Transport, Handshake], None],
        connections: set[Any],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self.app: Callable[..., Any] = app
        self.state = state
        self.limits = limits
        self.open_websocket = open_websocket
        self.connections = connections
        self.tasks = tasks
        self.loop = asyncio.get_running_loop()
        self.idle: Deadlines[Any] = Deadlines(limits.keep_alive_s, methodcaller("close"))
        self.in_head: Deadlines[Any] = Deadlines(limits.head_s, methodcaller("close"))
        self._left = asyncio.Event()

    def leave(self, connection: Any) -> None:
        self.connections.discard(connection)
        self._left.set()

    def retire(self) -> None:
        """Each closes once nothing is under way on it: a client that would use it again has to open another."""
        for connection in tuple(self.connections):
            connection.retire()

    async def end(self) -> None:
        """Returns when all that is under way is over; what takes longer than `Limits.end_s` is cut."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.end_s):
                for connection in tuple(self.connections):
                    connection.shutdown()
                while self.connections:
                    self._left.clear()
                    await self._left.wait()
                if self.tasks:
                    await asyncio.wait(self.tasks)
        for connection in tuple(self.connections):
            connection.transport.abort()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

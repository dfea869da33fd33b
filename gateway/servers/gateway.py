"""The ASGI app as a whole: it opens with its lifespan, or with the first request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from gateway.config.live import Config
from gateway.contract.part import Part
from gateway.control.control import Control
from gateway.errors import ConfigError, GatewayError, Stopping
from gateway.proxy.admission import Admission
from gateway.proxy.asgi import ASGIApp, Receive, Scope, Send
from gateway.proxy.drain import Drain
from gateway.proxy.exchange import Exchange


class Gateway:
    """The pipeline, and the parts that have to be opened and closed around it.

    Whoever serves it runs its lifespan. Mounted into an app that does not pass the lifespan on, it opens with the first
    request; `lifespan` can then be used as, or in, the outer app's own.

    Args:
        parts: opened in this order, and closed the other way round.
    """

    def __init__(
        self,
        app: ASGIApp,
        parts: Sequence[Part],
        *,
        drain: Drain,
        config: Config,
        admission: Admission,
        control: Control | None = None,
    ) -> None:
        self.app = app
        self.parts = parts
        self.drain = drain
        self.models = config
        self.config = config
        self.admission = admission
        self.control = control
        self._starting: asyncio.Task[AsyncExitStack] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
            return
        if self._loop is not Exchange.of(scope).loop:
            await self._opened()
        await self.app(scope, receive, send)

    async def open(self) -> None:
        """For whoever closes it, too; given up when it is cancelled. Raises as `_opened` does."""
        try:
            await self._opened()
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _opened(self) -> None:
        """Who comes while it is being opened waits for that, and has its error; the next to come tries again.

        Raises:
            ConfigError, Unavailable: what keeps it from starting.
            Stopping: it was closed meanwhile.
            RuntimeError: it is open in another event loop, where all that it holds on to stays.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        starting = self._starting
        if starting.get_loop() is not asyncio.get_running_loop():
            where = "one is needed for each loop; in tests, `with TestClient(app) as client` keeps to one loop"
            raise RuntimeError(f"this gateway is open in another event loop: {where}")
        try:
            await asyncio.shield(starting)  # the first to come may leave before the others
        except asyncio.CancelledError:
            if starting.cancelled():
                raise Stopping("the gateway was closed while it started; ask again", retry_after_s=1) from None
            raise

    async def _start(self) -> AsyncExitStack:
        stack = AsyncExitStack()
        try:
            for part in self.parts:
                await stack.enter_async_context(part.running())
        except BaseException:
            await stack.aclose()
            self._starting = None
            raise
        self._loop = asyncio.get_running_loop()
        return stack

    async def close(self) -> None:
        starting = self._starting
        if starting is None:
            return
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
        self._starting = self._loop = None
        if not starting.cancelled() and starting.exception() is None:
            await starting.result().aclose()

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """For an outer app: `Starlette(..., lifespan=gateway.lifespan)`."""
        await self.open()
        try:
            yield
        finally:
            await self.close()

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except (ConfigError, GatewayError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

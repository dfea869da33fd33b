"""What is done beside the requests, in tasks that end with the part they belong to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog

from gateway.contract.part import Part
from gateway.errors import Unavailable
from gateway.logs import traceback_text

AGAIN_S = 2.0
"""Who has not ended by then is told once more: clients of databases, while they connect, lose such a word."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def background(*jobs: Coroutine[Any, Any, object], again_s: float = AGAIN_S) -> AsyncIterator[None]:
    """They run while inside, and have ended after it."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        await ended(tasks, again_s=again_s)


async def ended(tasks: Iterable[asyncio.Task[Any]], *, again_s: float = AGAIN_S) -> None:
    """Cancels them, and returns when they have ended."""
    under_way = set(tasks)
    while under_way:
        for task in under_way:
            task.cancel()
        _, under_way = await asyncio.wait(under_way, timeout=again_s)


class Chore(Part):
    """Something that is done at once and then again and again. A failure is logged, and ends nothing.

    Args:
        failing: the event that is logged then.
    """

    def __init__(self, name: str, do: Callable[[], Awaitable[object]], *, every_s: float, failing: str) -> None:
        self.name = name
        self._do = do
        self._every_s = every_s
        self._failing = failing

    def running(self) -> AbstractAsyncContextManager[object]:
        return background(self._run())

    async def _run(self) -> None:
        while True:
            try:
                await self._do()
            except Unavailable as error:
                log.warning(self._failing, reason=error.message)
            except Exception:
                log.error(self._failing, traceback=traceback_text())
            await asyncio.sleep(self._every_s)

"""The app's start and end, told to it by the ASGI lifespan protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.proxy.asgi import ASGIApp, Message


class LifespanFailed(Exception):
    """The app could not start, or not end; the message is one line."""


@asynccontextmanager
async def lifespan(app: ASGIApp, *, end_s: float) -> AsyncIterator[dict[str, Any]]:
    """Inside, the app has started. An app that returns without an answer has no lifespan, which is fine.

    Args:
        end_s: how long its shutdown may take.

    Yields:
        The state that belongs into the scope of each request.

    Raises:
        LifespanFailed: it said so, raised, or took too long to end.
    """
    state: dict[str, Any] = {}
    asked: asyncio.Queue[Message] = asyncio.Queue()
    answers = {stage: asyncio.get_running_loop().create_future() for stage in ("startup", "shutdown")}

    async def send(message: Message) -> None:
        _, stage, _ = message["type"].split(".")
        answers[stage].set_result(message)

    async def run() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, asked.get, send)

    async def ask(stage: str, timeout_s: float | None) -> None:
        answer = answers[stage]
        asked.put_nowait({"type": f"lifespan.{stage}"})
        await asyncio.wait({task, answer}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            if answer.result()["type"].endswith(".failed"):
                raise LifespanFailed(f"{stage} failed: {_last_line(answer.result().get('message', ''))}")
        elif not task.done():
            raise LifespanFailed(f"{stage} took longer than {timeout_s:g} s")
        elif error := task.exception():
            raise LifespanFailed(f"{stage} failed: {type(error).__name__}: {error}") from error

    task = asyncio.create_task(run())
    try:
        await ask("startup", None)
        try:
            yield state
        finally:
            if not task.done():
                await ask("shutdown", end_s)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _last_line(message: str) -> str:
    """Starlette's message is a whole traceback, which ends with what happened."""
    return message.strip().rpartition("\n")[2]

"""Watching over a request while it waits."""

import asyncio

import pytest

from gateway.errors import ClientLeft, GatewayError, TimedOut
from gateway.proxy.deadlines import Deadlines
from gateway.proxy.exchange import Exchange
from gateway.proxy.watch import Timing, Watch
from gateway.proxy.writer import ResponseWriter


async def watched(receive, timing, waiting, *, writer=None):
    """Waits inside a Watch; returns why it was ended."""
    exchange = Exchange(task=asyncio.current_task())
    try:
        young = Deadlines(timing.watch_after_s, Watch.begin)
        watch = Watch(exchange, receive, writer or ResponseWriter(None, exchange), timing, young)
        with exchange.interruptible(), watch:
            await waiting
    except GatewayError as error:
        return error
    return None


async def stays():
    await asyncio.Event().wait()


async def test_a_client_that_leaves():
    left = asyncio.Event()
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive():
        await left.wait()
        return messages.pop(0)

    left.set()
    reason = await watched(receive, Timing(watch_after_s=0.0), asyncio.Event().wait())

    assert isinstance(reason, ClientLeft)


async def test_nobody_looks_after_a_fast_answer():
    """A task for each request would cost more than all else."""
    asked = []

    async def receive():
        asked.append(1)
        await asyncio.Event().wait()

    assert await watched(receive, Timing(watch_after_s=30), asyncio.sleep(0)) is None
    assert asked == []


async def test_nothing_goes_on_behind(until):
    """Neither a timer nor a task is left when the waiting is over."""
    before = asyncio.all_tasks()

    assert await watched(stays, Timing(watch_after_s=0.0, keep_alive_s=0.001), asyncio.sleep(0.01)) is None

    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize("first_byte_s", [0.01, 0.03])
async def test_a_provider_that_says_nothing(first_byte_s):
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.01, first_byte_s=first_byte_s)

    reason = await watched(stays, timing, asyncio.Event().wait())

    assert isinstance(reason, TimedOut)
    assert reason.message == f"the provider sent nothing for {first_byte_s} s"


async def test_a_client_that_does_not_read():
    async def send(message):
        await asyncio.Event().wait()

    writer = ResponseWriter(send, Exchange())
    timing = Timing(watch_after_s=0.0, keep_alive_s=0.01, write_stall_s=0.02)

    reason = await watched(stays, timing, writer.write(b"x"), writer=writer)

    assert isinstance(reason, ClientLeft)
    assert reason.message == "the client stopped reading"

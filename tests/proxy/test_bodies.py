"""Reading bodies, by whoever needs one."""

import asyncio
import re
from pathlib import Path

import pytest

import gateway
from gateway.errors import BodyTooSlow
from gateway.proxy.bodies import Bodies
from gateway.proxy.exchange import Exchange
from gateway.testing import http_scope


def begun():
    """Gives the first piece of a body; the next never comes."""
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        return pieces.pop() if pieces else await asyncio.Event().wait()

    return receive


async def test_a_body_that_does_not_arrive():
    exchange = Exchange.of(http_scope("POST", "/", {}, 9))

    with pytest.raises(BodyTooSlow, match=r"within 0\.01 s"):
        await Bodies(timeout_s=0.01).read(exchange, begun(), max_bytes=1000)

    assert asyncio.current_task().cancelling() == 0
    assert not exchange.body_is_read


async def test_being_cancelled_is_not_being_slow():
    async def read():
        await Bodies().read(Exchange.of(http_scope("POST", "/", {}, 9)), begun(), max_bytes=1000)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def test_nobody_else_reads_them():
    """The control API did, without a deadline: a slow body was still open after 45 s."""
    imported = re.compile(r"from gateway\.proxy\.asgi import .*\bread_pieces\b")

    readers = {path.name for path in Path(gateway.__file__).parent.rglob("*.py") if imported.search(path.read_text())}

    assert readers == {"bodies.py"}

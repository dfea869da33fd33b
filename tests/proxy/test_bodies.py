"""Reading bodies, by whoever needs one."""

import asyncio
import re
from pathlib import Path

import pytest

import gateway
from gateway.errors import BodyTooSlow, ClientLeft, TooLarge
from gateway.proxy.bodies import Bodies
from gateway.proxy.exchange import Exchange
from gateway.testing import http_scope


def begun():
    """Gives the first piece of a body; the next never comes."""
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        return pieces.pop() if pieces else await asyncio.Event().wait()

    return receive


async def read(receive, *, max_bytes):
    return await Bodies().read(Exchange.of(http_scope("POST", "/", {}, 9)), receive, max_bytes=max_bytes)


def receiving(*messages):
    left = list(messages)

    async def receive():
        return left.pop(0)

    return receive


def piece(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_one_piece_is_the_object_that_arrived():
    """20 MB are not copied for nothing."""
    body = bytes(1000)

    pieces = await read(receiving(piece(body, more=False)), max_bytes=1000)

    assert pieces[0] is body
    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ([{"type": "http.request"}], b""),
        ([piece(b"a"), piece(b""), piece(b"b"), piece(b"", more=False)], b"ab"),
        ([piece(b"a"), {"type": "http.request", "body": b"b"}], b"ab"),
    ],
)
async def test_bodies(messages, body):
    assert b"".join(await read(receiving(*messages), max_bytes=2)) == body


@pytest.mark.parametrize("messages", [[piece(b"abc", more=False)], [piece(b"ab"), piece(b"c")]])
async def test_a_body_too_large(messages):
    with pytest.raises(TooLarge):
        await read(receiving(*messages), max_bytes=2)


async def test_a_client_that_leaves():
    with pytest.raises(ClientLeft):
        await read(receiving(piece(b"a"), {"type": "http.disconnect"}), max_bytes=2)


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
    reads = re.compile(r"message = await receive\(\)")

    readers = {path.name for path in Path(gateway.__file__).parent.rglob("*.py") if reads.search(path.read_text())}

    assert readers == {"bodies.py", "errors.py"}  # the latter throws it away, for two seconds at most

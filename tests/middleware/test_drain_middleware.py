"""DrainMiddleware, alone around a foreign app."""

import asyncio

import pytest

from gateway.dialects import CHAT
from gateway.errors import Overloaded, Stopping
from gateway.middleware import DrainMiddleware, ErrorsMiddleware
from gateway.proxy.drain import Drain
from gateway.testing import get


@pytest.fixture
def gate():
    return asyncio.Event()


@pytest.fixture
def slow(gate):
    async def app(scope, receive, send):
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    return app


async def test_counts_those_being_served(slow, gate, until):
    drain = Drain()
    app = DrainMiddleware(slow, drain=drain, max_open=10)

    asking = [asyncio.create_task(get(app, "/")) for _ in range(3)]
    await until(lambda: len(drain) == 3)
    gate.set()
    answers = await asyncio.gather(*asking)

    assert [answer.body for answer in answers] == [b"hello"] * 3
    assert len(drain) == 0


async def test_refuses_once_it_stops_and_lets_the_others_end(slow, gate, until):
    drain = Drain()
    app = DrainMiddleware(slow, drain=drain, max_open=10)
    asking = asyncio.create_task(get(app, "/"))
    await until(lambda: len(drain) == 1)

    drain.begin()
    with pytest.raises(Stopping) as raised:
        await get(app, "/")
    gate.set()

    assert raised.value.retry_after_s == 1
    assert (await asking).body == b"hello"
    await drain.idle()


async def test_serves_whoever_asks_between_the_word_and_the_end(slow, gate):
    """A load balancer takes a while to look elsewhere."""
    drain = Drain()
    drain.announce()
    gate.set()

    assert (await get(DrainMiddleware(slow, drain=drain, max_open=10), "/")).body == b"hello"


async def test_refuses_more_than_it_can_serve(slow, gate, until):
    """Each takes two open files; without a limit, accepting would fail for all."""
    drain = Drain()
    app = DrainMiddleware(slow, drain=drain, max_open=1)
    asking = asyncio.create_task(get(app, "/"))
    await until(lambda: len(drain) == 1)

    with pytest.raises(Overloaded, match="1 requests are being served") as raised:
        await get(app, "/")
    gate.set()

    assert raised.value.retry_after_s == 1
    await asking
    assert (await get(app, "/")).body == b"hello"


@pytest.mark.parametrize("error", [ValueError("a fault"), asyncio.CancelledError()])
async def test_those_that_fail_have_left_too(error):
    async def app(scope, receive, send):
        raise error

    drain = Drain()

    with pytest.raises(type(error)):
        await get(DrainMiddleware(app, drain=drain, max_open=1), "/")

    assert len(drain) == 0


async def test_a_socket_is_counted_and_told_to_end(call, until):
    """It may be open for an hour, and its client has to hear of it."""
    drain = Drain()

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    socket = ErrorsMiddleware(DrainMiddleware(app, drain=drain, max_open=1), dialect=CHAT)
    serving = asyncio.create_task(call(socket, type="websocket"))
    await until(lambda: len(drain) == 1)
    drain.begin()
    drain.cut()

    reason = "the gateway is shutting down; ask again"
    assert (await serving)[1:] == [{"type": "websocket.close", "code": 1012, "reason": reason}]
    assert len(drain) == 0

"""What is known of one request."""

import asyncio

import pytest

from gateway.errors import ClientLeft, Stopping
from gateway.proxy.exchange import Exchange


@pytest.mark.parametrize(
    ("headers", "is_read", "closes"),
    [
        ({}, False, []),
        ({"content-length": "5"}, False, [(b"connection", b"close")]),
        ({"transfer-encoding": "chunked"}, False, [(b"connection", b"close")]),
        ({"content-length": "5"}, True, []),
    ],
)
async def test_an_answer_before_the_end_of_the_body_closes(headers, is_read, closes):
    """Else uvicorn keeps the connection as long as the rest trickles in, whoever it is that did not read it."""
    exchange = Exchange.of({"headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
    exchange.body_is_read = is_read
    sent = []

    async def send(message):
        sent.append(message)

    await exchange.noting(send)({"type": "http.response.start", "status": 200, "headers": []})

    assert sent[0]["headers"] == closes


def scope():
    return {"type": "http", "headers": [(b"authorization", b"Bearer my-secret-token")]}


async def test_there_is_one_of_each_request():
    request = scope()

    first = Exchange.of(request)

    assert Exchange.of(request) is first
    assert Exchange.of(scope()) is not first
    assert first.headers == {b"authorization": b"Bearer my-secret-token"}
    assert first.task is asyncio.current_task()


async def test_states_of_a_server_are_kept():
    """A server copies its lifespan state into each scope."""
    request = {**scope(), "state": {"theirs": 1}}

    exchange = Exchange.of(request)

    assert request["state"]["theirs"] == 1
    assert Exchange.of(request) is exchange


async def test_requests_share_nothing():
    one, other = Exchange.of(scope()), Exchange.of(scope())
    one.observers.append(1)
    one.holds.append(1)

    assert (other.observers, other.holds) == ([], [])


async def test_its_text_holds_no_token():
    """It is in the scope, and scopes get printed."""
    assert "my-secret-token" not in repr(Exchange.of(scope()))
    assert "my-secret-token" not in str(Exchange.of(scope()))


async def test_an_interrupt_ends_the_waiting_and_tells_why():
    reasons = []

    async def request():
        exchange = Exchange.of(current)
        try:
            with exchange.interruptible():
                await asyncio.Event().wait()
        except ClientLeft as error:
            reasons.append(error)
        await asyncio.sleep(0)
        return "still running"

    current = scope()
    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    first = ClientLeft("gone")
    Exchange.of(current).interrupt(first)
    Exchange.of(current).interrupt(Stopping("too late"))

    assert await task == "still running"
    assert reasons == [first]


async def test_a_cancel_from_outside_is_no_interrupt():
    current = scope()

    async def request():
        exchange = Exchange.of(current)
        with exchange.interruptible():
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

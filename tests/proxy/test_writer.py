"""The client's end of a reply."""

import asyncio

import pytest

from gateway.dialects import CHAT
from gateway.errors import BrokeOff, ClientLeft
from gateway.proxy.exchange import Exchange
from gateway.proxy.writer import ResponseWriter


@pytest.fixture
def sent():
    return []


@pytest.fixture
def writer(sent):
    async def send(message):
        sent.append(message)

    return ResponseWriter(send, Exchange())


def bodies(sent):
    return [message.get("body") for message in sent]


async def test_an_error_before_the_head_is_raised(writer, sent):
    """It can still be a status."""
    with pytest.raises(BrokeOff, match="it broke"):
        await writer.fail(BrokeOff("it broke"), CHAT)

    assert sent == []


async def test_an_error_after_the_head_is_the_last_event(writer, sent):
    error = BrokeOff("it broke")
    await writer.start_stream("text/event-stream")
    await writer.write(b"data: 1\n\n")

    await writer.fail(error, CHAT)

    assert bodies(sent) == [None, b"data: 1\n\n", CHAT.stream_error(error)]
    assert sent[-1]["more_body"] is False


async def test_nothing_is_said_to_a_client_that_has_gone(writer, sent):
    await writer.start_stream("text/event-stream")

    with pytest.raises(ClientLeft):
        await writer.fail(ClientLeft("gone"), CHAT)

    assert len(sent) == 1


@pytest.mark.parametrize("raised", [OSError("gone"), TimeoutError()])
async def test_an_error_nobody_hears_is_raised(raised):
    """The connection then is cut, not ended."""
    is_gone = False

    async def send(message):
        if is_gone:
            raise raised

    writer = ResponseWriter(send, Exchange())
    await writer.start_stream("text/event-stream")
    is_gone = True

    with pytest.raises(BrokeOff):
        await writer.fail(BrokeOff("it broke"), CHAT)


async def test_a_comment_opens_the_stream(writer, sent, until):
    writer.keep_alive()
    await until(lambda: len(sent) == 2)
    await writer.start_stream("text/event-stream")
    await writer.write(b"data: 1\n\n")

    assert [message["type"] for message in sent] == ["http.response.start"] + 2 * ["http.response.body"]
    assert bodies(sent)[1:] == [b": keep-alive\n\n", b"data: 1\n\n"]


@pytest.mark.parametrize("last", [b"data: 1", b"data: 1\n", b"data: 1\r\n", b"d", b"data: 1\r\n\r"])
async def test_no_comment_inside_an_event(writer, sent, last):
    await writer.start_stream("text/event-stream")
    await writer.write(last)

    writer.keep_alive()
    await asyncio.sleep(0)

    assert bodies(sent) == [None, last]


async def test_one_comment_at_a_time_and_in_order():
    """A client that does not read holds up the comment; neither another nor an event may overtake it."""
    order, accepts = [], asyncio.Event()

    async def send(message):
        order.append(("begins", message.get("body")))
        await accepts.wait()
        order.append(("ends", message.get("body")))

    writer = ResponseWriter(send, Exchange())
    accepts.set()
    await writer.start_stream("text/event-stream")
    accepts.clear()
    writer.keep_alive()
    await asyncio.sleep(0)
    writer.keep_alive()
    writing = asyncio.create_task(writer.write(b"data: 1\n\n"))
    await asyncio.sleep(0)
    accepts.set()
    await writing

    assert order[2:] == [
        ("begins", b": keep-alive\n\n"),
        ("ends", b": keep-alive\n\n"),
        ("begins", b"data: 1\n\n"),
        ("ends", b"data: 1\n\n"),
    ]


async def test_a_comment_that_finds_nobody_ends_the_request(until):
    current = asyncio.current_task()

    async def send(message):
        raise OSError("gone")

    exchange = Exchange(task=current)
    writer = ResponseWriter(send, exchange)
    writer.keep_alive()

    with pytest.raises(ClientLeft), exchange.interruptible():
        await asyncio.Event().wait()

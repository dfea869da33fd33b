"""How much of messages Hypercorn's WebSockets hold."""

import asyncio

import pytest
from hypercorn.protocol.ws_stream import FrameTooLargeError
from wsproto.events import BytesMessage, TextMessage

from gateway.servers.conversation import ALWAYS_BYTES, MAX_QUEUED_BYTES, Inbox, UnfinishedMessage
from gateway.servers.hypercorn import Unfinished


def piece(size):
    return BytesMessage(data=b"x" * size, message_finished=False)


def test_a_message_that_is_too_large_is_let_go():
    """It grew on, by all that the client sent after it had been refused."""
    unfinished = Unfinished(ALWAYS_BYTES)
    message = UnfinishedMessage(unfinished, ALWAYS_BYTES + 3)
    message.extend(piece(ALWAYS_BYTES + 3))
    assert unfinished.size == 3

    for size in (1, 1, ALWAYS_BYTES):
        with pytest.raises(FrameTooLargeError):
            message.extend(piece(size))

    assert (message.value, message.length, unfinished.size) == (None, 0, 0)


def test_all_of_them_together_have_an_end_but_small_ones_always_pass():
    unfinished = Unfinished(10)
    first, second, third = (UnfinishedMessage(unfinished) for _ in range(3))
    first.extend(piece(ALWAYS_BYTES))
    first.extend(piece(7))
    second.extend(piece(ALWAYS_BYTES + 3))

    with pytest.raises(FrameTooLargeError):
        second.extend(piece(1))
    third.extend(piece(ALWAYS_BYTES))
    assert unfinished.size == 7

    first.clear()
    third.extend(piece(10))
    assert unfinished.size == 10


def test_a_message_is_what_was_sent():
    unfinished = Unfinished(10)
    message = UnfinishedMessage(unfinished)
    for text in ("Gr", "üße", ""):
        message.extend(TextMessage(data=text))

    assert message.to_message() == {"type": "websocket.receive", "bytes": None, "text": "Grüße"}
    message.clear()
    assert (message.length, unfinished.size) == (0, 0)


def test_a_message_counts_until_it_is_dealt_with_and_is_there_once():
    """Whole ones waited for the app uncounted: two of 16 MiB for each session, and one more while that was full."""
    unfinished = Unfinished(10)
    message = UnfinishedMessage(unfinished)
    message.extend(piece(ALWAYS_BYTES + 7))

    whole = message.to_message()

    assert (len(whole["bytes"]), message.value, unfinished.size) == (ALWAYS_BYTES + 7, None, 7)
    message.clear()
    assert unfinished.size == 0


def said(size):
    return {"type": "websocket.receive", "text": "x" * size}


async def has_returned(task):
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


async def test_nothing_is_read_behind_a_large_message_before_the_app_has_dealt_with_it():
    inbox = Inbox()
    putting = asyncio.create_task(inbox.put(said(MAX_QUEUED_BYTES + 1)))
    assert not await has_returned(putting)

    assert await inbox.get() == said(MAX_QUEUED_BYTES + 1)
    assert not await has_returned(putting)  # it is being passed on

    getting = asyncio.create_task(inbox.get())
    assert await has_returned(putting)
    await inbox.put(said(1))
    assert await getting == said(1)


async def test_small_messages_wait_beside_each_other():
    inbox = Inbox()

    await inbox.put(said(MAX_QUEUED_BYTES))
    await inbox.put(said(1))

    third = asyncio.create_task(inbox.put(said(2)))
    assert not await has_returned(third)
    assert [await inbox.get(), await inbox.get(), await inbox.get()] == [said(MAX_QUEUED_BYTES), said(1), said(2)]
    await third


@pytest.mark.parametrize("taken", [False, True])
async def test_a_client_that_has_gone_is_told_of_at_once(taken):
    """Whatever has not been dealt with by then, and whoever waits for that, as the app may have ended without it."""
    inbox = Inbox()
    putting = asyncio.create_task(inbox.put(said(MAX_QUEUED_BYTES + 1)))
    await asyncio.sleep(0)
    if taken:
        await inbox.get()

    await inbox.put({"type": "websocket.disconnect", "code": 1006})

    assert await has_returned(putting)
    assert await inbox.get() == {"type": "websocket.disconnect", "code": 1006}
